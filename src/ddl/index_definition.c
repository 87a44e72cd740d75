/*
 * index_definition.c
 *		Checks CREATE INDEX statements given by the user, and looks up
 *		existing indexes.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "core/authority.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ddl/constraint_build.h"
#include "ddl/index_definition.h"
#include "ddl/index_path.h"
#include "rule/meaning.h"
#include "rule/recorded_calls.h"
#include "trigger/target.h"

/*-------------------------------------------------------------------------
 * CREATE INDEX statements given by the user.
 *
 * Only the server knows which indexes are possible.  So the check lets the
 * server create the index without contents, reads the result from the
 * catalogs, and rolls back.
 *-------------------------------------------------------------------------
 */

#define STATEMENT_HINT \
	"Give one CREATE INDEX statement, as in 'CREATE INDEX images_visibility_idx ON images (visibility)'."

static void
index_definition_error_callback(void *arg)
{
	error_position_in(arg);
	errcontext("definition of the index");
}

static IndexStmt *
parse_index_definition(const char *text)
{
	List	   *parsed = raw_parser(text, RAW_PARSE_DEFAULT);
	Node	   *stmt;

	if (list_length(parsed) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("definition of an index must be one statement, not %d",
						list_length(parsed)),
				 errhint(STATEMENT_HINT)));
	stmt = linitial_node(RawStmt, parsed)->stmt;
	if (!IsA(stmt, IndexStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("definition of an index is not a CREATE INDEX statement"),
				 errdetail("Definition: %s", text),
				 errhint(STATEMENT_HINT)));
	return (IndexStmt *) stmt;
}

IndexStmt *
index_definition_parse(const char *text)
{
	ErrorContextCallback callback = {error_context_stack,
	index_definition_error_callback, unconstify(char *, text)};
	MemoryContext caller = CurrentMemoryContext;
	IndexStmt  *stmt = NULL;

	PG_TRY();
	{
		error_context_stack = &callback;
		stmt = parse_index_definition(text);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller, STATEMENT_HINT);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	return stmt;
}

static char *
index_calls(Node *expressions, Node *predicate)
{
	return recorded_calls_text((Node *) list_make2(expressions, predicate));
}

/*
 * Returns the definition of an existing index in the same form.
 */
static IndexDefinition *
index_definition_read(Oid index)
{
	IndexDefinition *definition = palloc0(sizeof(IndexDefinition));
	AuthorityScope scope;
	char	   *text = server_text_index(index);
	char	   *head;

	definition->relation = IndexGetRelation(index, true);
	definition->name = quoting_find_name(index);
	if (text == NULL || definition->name == NULL ||
		!OidIsValid(definition->relation))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index with OID %u does not exist", index),
				 errhint("Another session has dropped it: call this again.")));
	/* quote names as the stored text does */
	authority_pin_search_path(&scope);
	authority_pin_catalog_forms();
	definition->is_unique = pg_strncasecmp(text, "CREATE UNIQUE ", 14) == 0;
	head = psprintf("CREATE %sINDEX %s ON %s ",
					definition->is_unique ? "UNIQUE " : "",
					quote_identifier(definition->name),
					quoting_relation(definition->relation));
	if (strncmp(text, head, strlen(head)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("definition of an index is not in the expected form"),
				 errdetail("Definition: %s", text)));
	definition->tail = text +strlen(head);

	/* as they were parsed: the relcache's have been simplified */
	definition->calls = index_calls(catalog_expression(INDEXRELID, index, Anum_pg_index_indexprs),
									catalog_expression(INDEXRELID, index, Anum_pg_index_indpred));

	authority_leave(&scope);
	return definition;
}

static bool
same_calls(const Step *step, const char *calls)
{
	return strcmp(step->calls ? step->calls : "", calls) == 0;
}

static bool
is_index_of_step(const IndexDefinition *definition, const Step *step)
{
	return definition->is_unique == step->is_unique &&
		strcmp(definition->tail, step->definition) == 0 &&
		same_calls(step, definition->calls);
}

typedef struct Rehearsal
{
	Oid			relid;
	IndexStmt  *stmt;
	const char *source;
	IndexDefinition *definition;
} Rehearsal;

/*
 * Returns the name to create it under.  That is its own name, unless an
 * invalid index has it.
 */
static char *
free_rehearsal_name(const Rehearsal *check)
{
	char	   *name = check->stmt->idxname;
	Oid			namespace = get_rel_namespace(check->relid);
	Oid			other = name ? get_relname_relid(name, namespace) : InvalidOid;

	if (!OidIsValid(other))
		return name;
	if ((get_rel_relkind(other) == RELKIND_INDEX ||
		 get_rel_relkind(other) == RELKIND_PARTITIONED_INDEX) &&
		IndexGetRelation(other, true) == check->relid &&
		!get_index_isvalid(other))
		return ChooseRelationName(name, NULL, "tandem", namespace, false);
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_TABLE),
			 errmsg("relation \"%s\" already exists", name),
			 errhint("Choose another name for the index, or drop that one first.")));
}

/* The row type of the partitioned table differs from that of a partition. */
static void
check_no_whole_row_index(Oid relid, const IndexStmt *stmt)
{
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	foreach(lc, stmt->indexParams)
		pull_varattnos(lfirst_node(IndexElem, lc)->expr, 1, &columns);
	pull_varattnos(stmt->whereClause, 1, &columns);
	if (bms_is_member(-FirstLowInvalidHeapAttributeNumber, columns))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index of partitioned table \"%s\" must not contain its whole row",
						quoting_shown_name(relid)),
				 errhint("Name the columns of the row one by one.")));
}

/*
 * The definition is parsed as the caller, who gives it.  The index is created
 * as the table's owner, as migrate will do, to report missing rights now.
 */
static Oid
make_index_as_owner(Oid relid, IndexStmt *stmt)
{
	AuthorityScope scope;
	Oid			index;

	authority_check_partition(relid);
	if (!authority_enter_owner_of(&scope, relid))
		return InvalidOid;
	index = compat_define_index(relid, stmt, true).objectId;
	authority_leave(&scope);
	return index;
}

static Node *
index_expression_read_again(Relation rel, Node *expression, const char *what)
{
	StoredExpression stored = {.what = what,.rel = rel};

	if (expression == NULL)
		return NULL;
	stored.given = server_text_expression(expression, RelationGetRelid(rel),
										  RelationGetRelationName(rel));
	return meaning_read_again(&stored, expression);
}

/*
 * The statement has been analyzed as the caller wrote it; migrate creates the
 * index by its text.  Puts the expressions as that will read them into the
 * statement, so that the definition recorded is that of the index to come.
 */
static void
read_index_expressions_again(Oid relid, IndexStmt *stmt)
{
	Relation	rel = table_open(relid, NoLock);
	ListCell   *lc;

	foreach(lc, stmt->indexParams)
	{
		IndexElem  *element = lfirst_node(IndexElem, lc);

		element->expr = index_expression_read_again(rel, element->expr,
													"expression of the index");
	}
	stmt->whereClause = index_expression_read_again(rel, stmt->whereClause,
													"predicate of the index");
	table_close(rel, NoLock);
}

/* The server may put the body of a function into an expression. */
static Oid
rehearsed_index(const Rehearsal *check, IndexStmt *stmt)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			index = InvalidOid;

	PG_TRY();
	{
		index = make_index_as_owner(check->relid, stmt);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		index_explain_error(error);
		ReThrowError(error);
	}
	PG_END_TRY();
	return index;
}

/*
 * The subtransaction also releases the lock, unless the caller had it before.
 */
static void
rehearse_index(void *arg)
{
	Rehearsal  *check = arg;
	IndexStmt  *stmt = check->stmt;
	char	   *name = stmt->idxname;
	bool		partitioned = get_rel_relkind(check->relid) == RELKIND_PARTITIONED_TABLE;
	Oid			index;

	if (partitioned && !stmt->relation->inh)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("an index on only the partitioned table \"%s\" is never valid",
						quoting_shown_name(check->relid)),
				 errhint("Leave out ONLY: the index is built on every partition.")));
	target_lock(check->relid, list_make1_oid(check->relid), ShareLock);
	stmt->idxname = free_rehearsal_name(check);
	stmt->concurrent = false;
	stmt->if_not_exists = false;
	stmt->relation->inh = false;
	stmt = transformIndexStmt(check->relid, stmt, check->source);
	if (partitioned)
		check_no_whole_row_index(check->relid, stmt);
	read_index_expressions_again(check->relid, stmt);
	index = rehearsed_index(check, stmt);
	check->definition = index_definition_read(index);
	index_check_path(index);
	if (name)
		check->definition->name = name;
}

IndexDefinition *
index_definition_check(Oid relid, IndexStmt *stmt, const char *source)
{
	ErrorContextCallback callback = {error_context_stack,
	index_definition_error_callback, unconstify(char *, source)};
	MemoryContext caller = CurrentMemoryContext;
	Rehearsal	check = {relid, stmt, source, NULL};

	PG_TRY();
	{
		ErrorData  *error;

		error_context_stack = &callback;
		error = subtransaction_rehearse(rehearse_index, &check);
		if (error)
			ReThrowError(error);
	}
	PG_CATCH();
	{
		rethrow_with_hints(caller,
						   "Correct the definition: the server does not take it for this table.",
						   "Grant that right to the owner of the table, who builds the index.");
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	return check.definition;
}

/*
 * The text is read as the statement that builds the index will read it.
 */
static char *
calls_of_index_text(const Step *step, Oid relid)
{
	AuthorityScope scope;
	Relation	rel = relation_open_present(relid, AccessShareLock);
	char	   *text = psprintf("CREATE INDEX ON %s %s", quoting_relation(relid),
								step->definition);
	IndexStmt  *stmt = (IndexStmt *) parse_index_definition(text);
	List	   *expressions = NIL;
	ListCell   *lc;

	authority_enter_stored(&scope, relid, AUTHORITY_PINNED_PATH);
	authority_pin_text_forms();
	PushActiveSnapshot(GetTransactionSnapshot());
	stmt = transformIndexStmt(relid, stmt, text);
	PopActiveSnapshot();
	authority_leave(&scope);
	foreach(lc, stmt->indexParams)
		expressions = lappend(expressions, lfirst_node(IndexElem, lc)->expr);
	table_close(rel, NoLock);
	return index_calls((Node *) expressions, stmt->whereClause);
}

void
index_check_calls(const Step *step, Oid relid)
{
	if (step->calls)
		recorded_calls_check("index", step->object, step->calls,
							 calls_of_index_text(step, relid));
}

/*-------------------------------------------------------------------------
 * Looking up an existing relation with the name of a planned index.
 *-------------------------------------------------------------------------
 */

/*
 * Was the index of a partitioned table created ON ONLY and abandoned?  If
 * indexes of partitions are attached it is in use, and dropping it would drop
 * them.
 */
static bool
index_is_left_over(Oid index)
{
	return !get_index_isvalid(index) &&
		get_rel_relkind(index) == RELKIND_PARTITIONED_INDEX &&
		!get_rel_relispartition(index) &&
		table_children(index) == NIL;
}

static FoundState
judge_found_index(const Step *step, Oid index, Oid table)
{
	char		relkind = get_rel_relkind(index);
	bool		valid;
	IndexDefinition *definition;

	if ((relkind != RELKIND_INDEX && relkind != RELKIND_PARTITIONED_INDEX) ||
		IndexGetRelation(index, true) != table)
		return FOUND_OTHER;
	valid = get_index_isvalid(index);
	/* do not compare: an interrupted build may have another definition */
	if (!valid && relkind == RELKIND_INDEX)
		return FOUND_INVALID;
	/* once built the user may change it, for example rename a column */
	if (valid && step->done)
		return FOUND_VALID;
	definition = index_definition_read(index);
	if (!is_index_of_step(definition, step))
		return index_is_left_over(index) ? FOUND_INVALID : FOUND_OTHER;
	return valid ? FOUND_VALID : FOUND_INCOMPLETE;
}

FoundIndex
index_find(const Step *step, Oid table, const char *name)
{
	FoundIndex	found = {FOUND_NOTHING, InvalidOid, table, pstrdup(name)};

	AcceptInvalidationMessages();
	found.index = get_relname_relid(name, get_rel_namespace(table));
	if (OidIsValid(found.index))
		found.state = judge_found_index(step, found.index, table);
	return found;
}

bool
index_has_other_options(const Step *step)
{
	Oid			index = get_relname_relid(step->object, get_rel_namespace(step->relation));
	IndexDefinition *definition;
	TandemQuery query;
	bool		alike;

	/* of what is no index there is none */
	if (!OidIsValid(index) || IndexGetRelation(index, true) != step->relation || !get_index_isvalid(index))
		return false;
	definition = index_definition_read(index);
	if (definition->is_unique != step->is_unique || !same_calls(step, definition->calls))
		return false;
	query_begin(&query);
	query_text(&query, definition->tail);
	query_text(&query, step->definition);
	(void) query_run(&query,
					 "SELECT regexp_replace($1, o.options, '') = regexp_replace($2, o.options, '') "
					 "FROM (VALUES (' WITH \\([^()]*\\)')) o (options)");
	alike = query_get_bool(0, 1);
	query_end(&query);
	return alike;
}

/*
 * ADD CONSTRAINT ... USING INDEX renames the index to the constraint's name.
 */
bool
index_has_become_constraint(const Step *step)
{
	Relation	rel = relation_open_present(step->relation, AccessShareLock);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		IndexDefinition *definition;

		if (!OidIsValid(get_index_constraint(lfirst_oid(lc))) ||
			!get_index_isvalid(lfirst_oid(lc)))
			continue;
		definition = index_definition_read(lfirst_oid(lc));
		found = found || is_index_of_step(definition, step);
	}
	table_close(rel, AccessShareLock);
	return found;
}

/* Returns the names that the index of a step may have on a partition. */
static List *
index_names_on_partition(const Step *step, Oid partition)
{
	const char *table = quoting_find_name(partition);

	if (table == NULL)
		return NIL;
	return list_make2(makeObjectName(step->object, table, NULL),
					  makeObjectName(step->object, table,
									 psprintf("%u", partition)));
}

/* An index attached to another index of the partitioned table is not ours. */
static FoundIndex
find_unattached_index(const Step *step, Oid partition, const char *name)
{
	FoundIndex	found = index_find(step, partition, name);

	if (OidIsValid(found.index) && get_rel_relispartition(found.index))
		found.state = FOUND_OTHER;
	return found;
}

/*
 * Prefers the first name, unless another object has it; but an index already
 * built under either name counts before that.
 */
FoundIndex
index_find_on_partition(const Step *step, Oid partition)
{
	static const FoundState preference[] = {FOUND_VALID, FOUND_INCOMPLETE, FOUND_INVALID, FOUND_NOTHING};
	List	   *names = index_names_on_partition(step, partition);
	FoundIndex	found = {FOUND_OTHER, InvalidOid, partition, NULL};

	for (int i = 0; i < (int) lengthof(preference); i++)
	{
		ListCell   *lc;

		foreach(lc, names)
		{
			found = find_unattached_index(step, partition, lfirst(lc));
			if (found.state == preference[i])
				return found;
		}
	}
	return found;
}

bool
index_is_adopted(const Step *step, Oid partition)
{
	ListCell   *lc;

	foreach(lc, index_names_on_partition(step, partition))
	{
		Oid			index = get_relname_relid(lfirst(lc),
											  get_rel_namespace(partition));

		if (OidIsValid(index) && get_rel_relispartition(index) &&
			IndexGetRelation(index, true) == partition &&
			!step_has_built(step, lfirst(lc)))
			return true;
	}
	return false;
}

char *
index_qualified_name(const FoundIndex *found)
{
	Oid			namespace = get_rel_namespace(found->table);

	return quote_qualified_identifier(quoting_raw_schema(namespace),
									  found->name);
}

/* What may be all that tells it from the one that is wanted. */
static char *
functions_shown(Oid index)
{
	char	   *calls = index_definition_read(index)->calls;

	return calls[0] == '\0' ? "" : psprintf("; it calls %s", calls);
}

void
index_refuse_other(const FoundIndex *found)
{
	char		relkind = get_rel_relkind(found->index);
	char	   *definition;

	if (relkind != RELKIND_INDEX && relkind != RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists and is not an index",
						found->name),
				 errhint("Rename it with ALTER TABLE %s RENAME TO ...; then call tandem.migrate again.",
						 index_qualified_name(found))));
	definition = server_text_index(found->index);
	if (definition)
		definition = psprintf("%s%s", definition, functions_shown(found->index));
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_TABLE),
			 errmsg("index \"%s\" already exists and is another one",
					found->name),
			 definition ? errdetail("Its definition is: %s", definition) : 0,
			 errhint("Rename it with ALTER INDEX %s RENAME TO ...; then call tandem.migrate again.",
					 index_qualified_name(found))));
}
