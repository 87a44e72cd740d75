/*
 * key.c
 *		Builds UNIQUE and PRIMARY KEY constraints.
 */
#include "postgres.h"

#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/sync.h"
#include "core/authority.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/constraint_build.h"
#include "ddl/index_build.h"
#include "ddl/index_definition.h"
#include "ddl/key.h"

/*-------------------------------------------------------------------------
 * The text of UNIQUE and PRIMARY KEY constraints and of their indexes.
 *-------------------------------------------------------------------------
 */

static void
append_key_columns(StringInfo text, List *columns)
{
	ListCell   *lc;

	appendStringInfoChar(text, '(');
	foreach(lc, columns)
		appendStringInfo(text, "%s%s",
						 foreach_current_index(lc) ? ", " : "",
						 quote_identifier(strVal(lfirst(lc))));
	appendStringInfoChar(text, ')');
}

static void
append_storage_options(StringInfo text, List *options)
{
	ListCell   *lc;

	if (options == NIL)
		return;
	appendStringInfoString(text, " WITH (");
	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		char	   *value = option->arg ? defGetString(option) : "true";

		/* quoted as the server does */
		appendStringInfo(text, "%s%s=%s",
						 foreach_current_index(lc) ? ", " : "",
						 quote_identifier(option->defname),
						 quote_identifier(value) == value ? value
						 : quote_literal_cstr(value));
	}
	appendStringInfoChar(text, ')');
}

/*
 * The text is compared with the server's, so names must be quoted the same
 * way.
 */
static void
begin_key_text(StringInfo text, AuthorityScope *scope)
{
	initStringInfo(text);
	authority_pin_search_path(scope);
	authority_pin_catalog_forms();
}

/* Returns " DEFERRABLE ..." of the constraint, or "". */
static const char *
key_deferral(const Constraint *key)
{
	if (!key->deferrable)
		return "";
	return key->initdeferred ? " DEFERRABLE INITIALLY DEFERRED" : " DEFERRABLE";
}

/*
 * Returns the constraint as text.  With storage it includes storage parameters
 * and tablespace, which pg_get_constraintdef leaves out.
 */
static char *
key_text(const Constraint *key, bool storage)
{
	StringInfoData text;
	AuthorityScope scope;

	begin_key_text(&text, &scope);
	appendStringInfoString(&text, key->contype == CONSTR_PRIMARY
						   ? "PRIMARY KEY " : "UNIQUE ");
	if (key->nulls_not_distinct)
		appendStringInfoString(&text, "NULLS NOT DISTINCT ");
	append_key_columns(&text, key->keys);
	if (key->including != NIL)
	{
		appendStringInfoString(&text, " INCLUDE ");
		append_key_columns(&text, key->including);
	}
	if (storage)
	{
		append_storage_options(&text, key->options);
		if (key->indexspace)
			appendStringInfo(&text, " USING INDEX TABLESPACE %s",
							 quote_identifier(key->indexspace));
	}
	appendStringInfoString(&text, key_deferral(key));
	authority_leave(&scope);
	return text.data;
}

bool
key_is_met_by(const Constraint *key, const char *text)
{
	Constraint	primary = *key;

	primary.contype = CONSTR_PRIMARY;
	return strcmp(text, key_text(key, false)) == 0 || strcmp(text, key_text(&primary, false)) == 0;
}

/* Returns the definition of its index from USING on. */
static char *
key_index_tail(const Constraint *key)
{
	StringInfoData text;
	AuthorityScope scope;

	begin_key_text(&text, &scope);
	appendStringInfoString(&text, "USING btree ");
	append_key_columns(&text, key->keys);
	if (key->including != NIL)
	{
		appendStringInfoString(&text, " INCLUDE ");
		append_key_columns(&text, key->including);
	}
	if (key->nulls_not_distinct)
		appendStringInfoString(&text, " NULLS NOT DISTINCT");
	append_storage_options(&text, key->options);
	if (key->indexspace)
		appendStringInfo(&text, " TABLESPACE %s",
						 quote_identifier(key->indexspace));
	authority_leave(&scope);
	return text.data;
}

static List *
key_index_elements(List *columns)
{
	List	   *elements = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		IndexElem  *element = makeNode(IndexElem);

		element->name = strVal(lfirst(lc));
		element->ordering = SORTBY_DEFAULT;
		element->nulls_ordering = SORTBY_NULLS_DEFAULT;
		elements = lappend(elements, element);
	}
	return elements;
}

static IndexStmt *
key_index_statement(Oid relid, const Constraint *key)
{
	IndexStmt  *index = makeNode(IndexStmt);

	index->idxname = key->conname;
	index->relation = quoting_range_var(relid);
	index->accessMethod = "btree";
	index->tableSpace = key->indexspace;
	index->indexParams = key_index_elements(key->keys);
	index->indexIncludingParams = key_index_elements(key->including);
	index->options = key->options;
	index->unique = true;
	index->nulls_not_distinct = key->nulls_not_distinct;
	return index;
}

static void
check_key_columns_once(const Constraint *key)
{
	ListCell   *lc;

	foreach(lc, key->keys)
	{
		char	   *name = strVal(lfirst(lc));

		for (int i = 0; i < foreach_current_index(lc); i++)
		{
			if (strcmp(strVal(list_nth(key->keys, i)), name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" appears twice in constraint \"%s\"",
								name, key->conname),
						 errhint("Name each column once.")));
		}
	}
}

/* The index of a constraint has its name, which must be free in the schema. */
static void
check_key_index_name(Oid relid, const char *name)
{
	Oid			taken = get_relname_relid(name, get_rel_namespace(relid));

	if (OidIsValid(taken))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", name),
				 errdetail("The index of a constraint bears the constraint's name."),
				 errhint("Choose another name. To create a constraint from an existing unique index, run ALTER TABLE %s ADD CONSTRAINT name UNIQUE USING INDEX %s.",
						 quoting_relation(relid), quote_identifier(name))));
}

static void
check_no_primary_key(Oid relid)
{
	Oid			other = primary_key_table(relid);

	if (OidIsValid(other))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("table \"%s\" already has a primary key",
						quoting_shown_name(other)),
				 errhint("Add a unique index with tandem.add_index, and tandem.add_not_null; after migrate, and before contract, drop the old key and make the new one of that index in one transaction: ALTER TABLE ... ADD PRIMARY KEY USING INDEX.")));
}

/*
 * The session that builds it may have another default_tablespace.  The
 * database's own tablespace is not named, as in the catalogs.
 */
static void
pin_key_tablespace(Oid relid, Constraint *key)
{
	Oid			tablespace = key->indexspace
	? get_tablespace_oid(key->indexspace, true)
	: GetDefaultTablespace(relation_persistence(relid), false);

	if (key->indexspace == NULL && OidIsValid(tablespace))
		key->indexspace = get_tablespace_name(tablespace);
	else if (tablespace == MyDatabaseTableSpace)
		key->indexspace = NULL;
}

/* Check the index's text, by which the built index is recognized. */
static void
check_key_index(Oid relid, const Constraint *key, const char *definition)
{
	IndexDefinition *index = index_definition_check(relid,
													key_index_statement(relid,
																		key),
													definition);

	if (strcmp(index->tail, key_index_tail(key)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index of constraint \"%s\" is not as its definition says",
						key->conname),
				 errdetail("The server creates it as: %s", index->tail),
				 errhint("Write the storage parameters as the server does.")));
}

char *
key_check(Oid relid, Constraint *key, const char *definition)
{
	check_key_columns_once(key);
	check_key_index_name(relid, key->conname);
	if (key->contype == CONSTR_PRIMARY)
		check_no_primary_key(relid);
	pin_key_tablespace(relid, key);
	check_key_index(relid, key, definition);
	return key_text(key, true);
}

char *
key_leaf_name(Oid relid, Oid leaf, const char *name)
{
	char	   *table = quoting_find_name(leaf);

	if (relid == leaf)
		return pstrdup(name);
	/* the leaf was dropped meanwhile; any name will do */
	return derived_name(table ? table : psprintf("%u", leaf), name);
}

/*-------------------------------------------------------------------------
 * Adding UNIQUE and PRIMARY KEY from an index that was built concurrently.
 *
 * Each leaf gets its index, and then its constraint USING INDEX.  A
 * partitioned table cannot have a constraint USING INDEX.  But if each
 * partition has a matching one, a constraint added to the parent adopts these
 * and builds nothing (DefineIndex).
 *-------------------------------------------------------------------------
 */

/*
 * Returns the index of one leaf in the form of a step, for index_build_next.
 */
static Step
leaf_index_step(const Step *step, const Constraint *key, Oid leaf)
{
	Step		index = {
		.id = step->id,
		.migration_id = step->migration_id,
		.kind = STEP_INDEX,
		.relation = leaf,
		.is_unique = true,
		.started = step->started,
		.built_indexes = step->built_indexes,
	};

	index.object = key_leaf_name(step->relation, leaf, step->object);
	index.definition = key_index_tail(key);
	return index;
}

static bool
table_has_key(const Step *step, Oid relid, const char *name,
			  const Constraint *key)
{
	ConstraintState state;

	if (!constraint_find(relid, name, &state))
		return false;
	/* once done the user may change it, for example rename a column */
	if (state.type != CONSTRAINT_PRIMARY &&
		(state.type != CONSTRAINT_UNIQUE || key->contype == CONSTR_PRIMARY))
		constraint_refuse_other(relid, name, state.oid, NULL);
	else if (!step->done)
		constraint_refuse_other(relid, name, state.oid, key_text(key, false));
	return true;
}

static void
add_key_using_index(const Step *step, Oid leaf, const char *name,
					const Constraint *key)
{
	lock_relations(list_make1_oid(leaf), AccessExclusiveLock);
	/* evaluates CHECKs: a primary key looks for one that implies NOT NULL */
	ddl_run_evaluating(leaf,
					   psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s%s",
								quoting_relation(leaf), quote_identifier(name),
								key->contype == CONSTR_PRIMARY ? "PRIMARY KEY" : "UNIQUE",
								quote_identifier(name), key_deferral(key)),
					   sync_expand_path(step->migration_id, step->relation));
	step_note_table(step->id, leaf);
}

static Oid
leaf_without_key(const Step *step, const Constraint *key)
{
	ListCell   *lc;

	foreach(lc, table_leaves(step->relation))
	{
		Oid			leaf = lfirst_oid(lc);

		if (!relation_exists(leaf))
			continue;			/* dropped meanwhile */
		if (!table_has_key(step, leaf,
						   key_leaf_name(step->relation, leaf, step->object),
						   key))
			return leaf;
	}
	return InvalidOid;
}

BuildResult
key_build_next(const Step *step, const Constraint *key, BuildPiece *piece)
{
	Oid			leaf;

	if (table_has_key(step, step->relation, step->object, key))
		return BUILD_DONE;
	leaf = leaf_without_key(step, key);
	if (OidIsValid(leaf))
	{
		Step		index = leaf_index_step(step, key, leaf);
		BuildResult result;
		IndexPlan	plan;

		/* a leaf has nothing to be planned */
		index_plan_init(&plan);
		result = index_build_next(&index, &plan, piece);
		if (result != BUILD_DONE)
			return result;
		add_key_using_index(step, leaf, index.object, key);
		return BUILD_AGAIN;
	}
	lock_relations(table_tree(step->relation), AccessExclusiveLock);
	/* a partition attached meanwhile would be indexed under the lock */
	if (!OidIsValid(leaf_without_key(step, key)))
	{
		ddl_run_evaluating(step->relation,
						   psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s",
									quoting_relation(step->relation),
									quote_identifier(step->object),
									step->definition),
						   sync_expand_path(step->migration_id, step->relation));
		step_note_table(step->id, step->relation);
	}
	return BUILD_AGAIN;
}

static void
drop_key_of_table(const Step *step, Oid relid, const char *name)
{
	ConstraintState state;

	if (!constraint_find(relid, name, &state) || OidIsValid(state.parent) ||
		(state.type != CONSTRAINT_PRIMARY && state.type != CONSTRAINT_UNIQUE) ||
		!constraint_is_made(relid, step))
		return;
	index_check_undo(get_constraint_index(state.oid));
	ddl_run_stored(relid,
				   psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
							quoting_relation(relid), quote_identifier(name)));
}

void
key_build_undo(const Step *step, const Constraint *key)
{
	ListCell   *lc;

	/* drops the adopted constraints of partitions, too */
	drop_key_of_table(step, step->relation, step->object);
	foreach(lc, table_leaves(step->relation))
	{
		Step		index = leaf_index_step(step, key, lfirst_oid(lc));

		if (lfirst_oid(lc) != step->relation)
			drop_key_of_table(step, lfirst_oid(lc), index.object);
		index_build_undo(&index);
	}
}
