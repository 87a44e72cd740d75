/*
 * index_definition.c
 *		CREATE INDEX statements of the user: read, checked, and kept in a form
 *		that stands alone.
 *
 * Only the server knows what an index may be.  So the check has the server make
 * the index, all but its contents, reads from the catalogs what has come of it,
 * and takes it back.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "core/hint.h"
#include "core/quoting.h"
#include "core/authority.h"
#include "core/server_text.h"
#include "core/subtransaction.h"
#include "ddl/index_definition.h"
#include "ddl/target.h"

#define STATEMENT_HINT \
	"Give one CREATE INDEX statement, as in 'CREATE INDEX images_visibility_idx ON images (visibility)'."

static void
definition_error(void *arg)
{
	error_position_in(arg);
	errcontext("definition of the index");
}

static IndexStmt *
parse(const char *text)
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
	ErrorContextCallback callback = {error_context_stack, definition_error, unconstify(char *, text)};
	MemoryContext caller = CurrentMemoryContext;
	IndexStmt  *stmt = NULL;

	PG_TRY();
	{
		error_context_stack = &callback;
		stmt = parse(text);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller, STATEMENT_HINT);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	return stmt;
}

IndexDefinition *
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
	/* names are quoted as in the text */
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

	authority_leave(&scope);
	return definition;
}

typedef struct Rehearsal
{
	Oid			relid;
	IndexStmt  *stmt;
	const char *source;
	IndexDefinition *definition;
} Rehearsal;

/* A name to make it under: its own, unless an invalid index has that yet. */
static char *
free_name(const Rehearsal *check)
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

/* A row of the partitioned table is of another type than one of a partition. */
static void
check_no_whole_row(Oid relid, const IndexStmt *stmt)
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
 * The definition is read as the caller, who gives it; the index is made by the
 * owner of the table, as migrate has it made: what he may not is said now.
 */
static Oid
make_as_owner(Oid relid, IndexStmt *stmt)
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

/* Its lock goes with the subtransaction, unless the caller had one before. */
static void
rehearse(void *arg)
{
	Rehearsal  *check = arg;
	IndexStmt  *stmt = check->stmt;
	char	   *name = stmt->idxname;
	bool		partitioned = get_rel_relkind(check->relid) == RELKIND_PARTITIONED_TABLE;

	if (partitioned && !stmt->relation->inh)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("an index on only the partitioned table \"%s\" is never valid",
						quoting_shown_name(check->relid)),
				 errhint("Leave out ONLY: the index is built on every partition.")));
	target_lock(check->relid, list_make1_oid(check->relid), ShareLock);
	stmt->idxname = free_name(check);
	stmt->concurrent = false;
	stmt->if_not_exists = false;
	stmt->relation->inh = false;
	stmt = transformIndexStmt(check->relid, stmt, check->source);
	if (partitioned)
		check_no_whole_row(check->relid, stmt);
	check->definition = index_definition_read(make_as_owner(check->relid, stmt));
	if (name)
		check->definition->name = name;
}

IndexDefinition *
index_definition_check(Oid relid, IndexStmt *stmt, const char *source)
{
	ErrorContextCallback callback = {error_context_stack, definition_error, unconstify(char *, source)};
	MemoryContext caller = CurrentMemoryContext;
	Rehearsal	check = {relid, stmt, source, NULL};

	PG_TRY();
	{
		ErrorData  *error;

		error_context_stack = &callback;
		error = subtransaction_rehearse(rehearse, &check);
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
