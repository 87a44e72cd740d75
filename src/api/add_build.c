/*
 * add_build.c
 *		Schedules indexes and constraints that migrate is to build.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/add_build.h"
#include "api/arguments.h"
#include "api/at_once.h"
#include "api/carried.h"
#include "api/expand.h"
#include "api/planned_builds.h"
#include "catalog/migration.h"
#include "catalog/operation.h"
#include "catalog/release_view.h"
#include "catalog/step.h"
#include "core/authority.h"
#include "core/error.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "ddl/constraint_build.h"
#include "ddl/constraint_definition.h"
#include "ddl/index_definition.h"
#include "ddl/key.h"
#include "rule/release_names.h"
#include "trigger/target.h"

/*-------------------------------------------------------------------------
 * tandem.add_index: schedules an index that migrate builds.
 *-------------------------------------------------------------------------
 */

OPERATION_FUNCTION(tandem_add_index, at_once_call)

static Oid
resolve_index_table(const Migration *migration, const RangeVar *name)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile Oid relid = operation_table_called(name, migration->name, migration->release);

	if (OidIsValid(relid))
		return relid;
	PG_TRY();
	{
		relid = RangeVarGetRelid(name, NoLock, false);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller,
						  "Name the table in the definition with its schema, or SET search_path.");
	}
	PG_END_TRY();
	return relid;
}

/* Each partition gets an index of its own, which only its owner may build. */
static void
check_index_table(Oid relid)
{
	ListCell   *lc;

	target_check_table(relid);
	foreach(lc, table_tree(relid))
		authority_check_owner(lfirst_oid(lc));
}

/*
 * A planned index is not in the catalogs yet, so look for its name in the
 * steps.
 */
static void
check_planned_index_name(const Migration *migration,
						 const IndexDefinition *definition)
{
	TandemQuery query;
	char	   *other;

	query_begin(&query);
	query_int(&query, migration->id);
	query_oid(&query, definition->relation);
	query_text(&query, definition->name);
	query_oid(&query, get_rel_namespace(definition->relation));
	other = query_end_text(&query, query_run(&query,
											 "SELECT description FROM tandem._planned_indexes "
											 "WHERE name = $3 AND schema = $4 AND (migration, relation) <> ($1, $2)"));
	if (other)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("index \"%s\" is already planned",
						definition->name),
				 errdetail("Planned by %s.", other),
				 errhint("Choose another name.")));
}

static void
name_index_columns(const ReleaseNames *names, IndexStmt *stmt)
{
	release_names_apply(names, (Node *) stmt->indexParams);
	release_names_apply(names, (Node *) stmt->indexIncludingParams);
	release_names_apply(names, stmt->whereClause);
}

void
add_build_index(Migration *migration, const ReleaseNames *names, IndexStmt *stmt,
				char *text)
{
	IndexDefinition *definition;
	Step		step = {.kind = STEP_INDEX};
	Oid			relid = names->relation;
	char	   *label;

	check_index_table(relid);
	/* until the step is seen by others, who may drop what it names */
	target_lock(relid, list_make1_oid(relid), AccessShareLock);
	name_index_columns(names, stmt);
	definition = index_definition_check(relid, stmt, text);
	check_planned_index_name(migration, definition);
	step.given = text;

	step.relation = definition->relation;
	step.object = definition->name;
	step.definition = definition->tail;
	step.calls = definition->calls;
	step.is_unique = definition->is_unique;
	label = psprintf("index %s on %s", quote_identifier(definition->name),
					 quoting_relation(relid));
	if (step_add(migration->id, &step))
		expand_done(migration, relid, label);
	else
		ereport(NOTICE,
				(errmsg("migration \"%s\" has %s already, skipping",
						migration->name, label)));
}

static Datum
tandem_add_index_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	char	   *text = argument_text(fcinfo, 1, "definition");
	IndexStmt  *stmt = index_definition_parse(text);
	Oid			relid;
	Step		step = {.kind = STEP_INDEX};
	ReleaseNames names;

	relid = release_view_table(resolve_index_table(migration, stmt->relation));
	step.relation = relid;
	step.object = stmt->idxname;
	step.given = text;

	if (repeat_step(migration, &step))
		PG_RETURN_VOID();
	migration_check(migration, ACTION_EXPAND);
	if (stmt->idxname)
		stmt->idxname = carried_build_name(migration, relid, "index", stmt->idxname);
	names = release_names_after(migration->release, relid);
	add_build_index(migration, &names, stmt, text);
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 * The SQL functions add_constraint and add_not_null, for phase expand.
 *
 * They check and record what migrate is to add after the fill.
 *-------------------------------------------------------------------------
 */

OPERATION_FUNCTION(tandem_add_constraint, at_once_call)
OPERATION_FUNCTION(tandem_add_not_null, at_once_call)

static void
check_constraint_name_given(const char *name)
{
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("name of a constraint must not be empty"),
				 errhint("Call it as in SELECT tandem.add_constraint('my_migration', 'my_table', 'my_constraint', 'CHECK (a > 0)');")));
}

/* Planned constraints of the migration are not in the catalogs yet. */
static void
check_other_constraint_steps(const Migration *migration, const Step *step,
							 const Constraint *constraint)
{
	ListCell   *lc;

	foreach(lc, step_list(migration->id, STEP_INDEX))
	{
		Step	   *other = lfirst(lc);

		if (constraint_is_key(constraint) &&
			strcmp(other->object, step->object) == 0 &&
			get_rel_namespace(other->relation) == get_rel_namespace(step->relation))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("the migration already has an index \"%s\"",
							step->object),
					 errdetail("The index of a constraint bears the constraint's name."),
					 errhint("Choose another name, or leave out the index: a UNIQUE or PRIMARY KEY builds its own.")));
	}
	foreach(lc, step_list(migration->id, STEP_CONSTRAINT))
	{
		Step	   *other = lfirst(lc);

		if (constraint->contype == CONSTR_PRIMARY &&
			other->relation == step->relation &&
			strcmp(other->object, step->object) != 0 &&
			constraint_read(other->object, other->definition)->contype == CONSTR_PRIMARY)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("the migration already adds a primary key to \"%s\"",
							quoting_shown_name(step->relation)),
					 errdetail("Its name is \"%s\".", other->object),
					 errhint("Add a UNIQUE constraint instead.")));
	}
}

/* Contract gives the name to another one. */
static void
check_name_is_not_given(const Migration *migration, const Step *step)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_RENAME_CONSTRAINT))
	{
		const Operation *rename = lfirst(lc);

		if (rename->relation == step->relation && strcmp(rename->new_name, step->object) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("the migration gives the name \"%s\" to constraint \"%s\" of table \"%s\"",
							step->object, rename->object, quoting_shown_name(step->relation)),
					 errhint("Choose another name.")));
	}
}

static void
add_key_columns(const Migration *migration, Oid relid, const Constraint *key)
{
	ListCell   *lc;

	foreach(lc, key->keys)
	{
		char	   *column = strVal(lfirst(lc));

		if (!column_is_not_null(relid, column))
			(void) step_add_not_null(migration->id, relid, column);
	}
}

/* Of two tables it is that which has the name in the release, not in the database. */
static Oid
referenced_table(const Migration *migration, Constraint *constraint)
{
	Oid			relid = operation_table_shown(constraint->pktable, migration->release);

	if (!OidIsValid(relid))
		relid = operation_table_called(constraint->pktable, migration->name,
									   migration->release);
	if (OidIsValid(relid))
		constraint->pktable = quoting_range_var(relid);
	else
		relid = RangeVarGetRelid(constraint->pktable, NoLock, true);
	if (OidIsValid(relid))
		expand_check_table_is_seen(migration, relid);
	return relid;
}

/* Those that it refers to may be of another table. */
static void
name_constraint_columns(const Migration *migration, const ReleaseNames *names,
						Constraint *constraint)
{
	ReleaseNames referenced;
	Oid			other;

	release_names_apply(names, constraint->raw_expr);
	constraint->keys = release_names_stored_values(names, constraint->keys);
	constraint->including = release_names_stored_values(names, constraint->including);
	if (constraint->contype != CONSTR_FOREIGN)
		return;
	other = referenced_table(migration, constraint);
	referenced = other == names->relation ? *names
		: release_names_after(migration->release, other);
	constraint->fk_attrs = release_names_stored_values(names, constraint->fk_attrs);
	constraint->fk_del_set_cols = release_names_stored_values(names, constraint->fk_del_set_cols);
	constraint->pk_attrs = release_names_stored_values(&referenced, constraint->pk_attrs);
}

void
add_build_constraint(Migration *migration, const ReleaseNames *names, char *name,
					 char *definition)
{
	Step		step = {.kind = STEP_CONSTRAINT};
	Constraint *constraint;

	step.relation = names->relation;
	step.object = name;
	step.given = definition;
	target_check_table(step.relation);
	target_lock(step.relation, list_make1_oid(step.relation), AccessShareLock);
	constraint = constraint_parse(step.object, definition);
	name_constraint_columns(migration, names, constraint);
	constraint_check_name(step.relation, step.object);
	step.definition = constraint_is_key(constraint)
		? key_check(step.relation, constraint, definition)
		: constraint_check(step.relation, constraint, definition, &step.calls);
	check_other_constraint_steps(migration, &step, constraint);
	check_name_is_not_given(migration, &step);
	if (!step_add(migration->id, &step))
	{
		ereport(NOTICE,
				(errmsg("constraint \"%s\" of table \"%s\" is already part of the migration",
						step.object, quoting_shown_name(step.relation))));
		return;
	}
	if (constraint->contype == CONSTR_PRIMARY)
		add_key_columns(migration, step.relation, constraint);
	expand_done(migration, step.relation,
				psprintf("constraint %s of %s", quote_identifier(step.object),
						 quoting_relation(step.relation)));
}

static Datum
tandem_add_constraint_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	Step		step = {.kind = STEP_CONSTRAINT};
	char	   *definition;
	ReleaseNames names;

	step.relation = argument_relation(fcinfo, 1);
	step.object = argument_name(fcinfo, 2, "name");
	definition = argument_text(fcinfo, 3, "definition");
	step.given = definition;
	if (repeat_step(migration, &step))
		PG_RETURN_VOID();
	migration_check(migration, ACTION_EXPAND);
	check_constraint_name_given(step.object);
	names = release_names_after(migration->release, step.relation);
	add_build_constraint(migration, &names,
						 carried_build_name(migration, step.relation, "constraint", step.object),
						 definition);
	PG_RETURN_VOID();
}

static void
check_not_null_column(Oid relid, const char *column)
{
	AttrNumber	attnum = get_attnum(relid, column);

	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", column,
						quoting_shown_name(relid)),
				 errhint("%s", relation_missing_column_hint(relid, column))));
	if (attnum < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" is a system column", column),
				 errhint("Name a column of your own.")));
}

static bool
column_is_not_null_already(const Step *step)
{
	ListCell   *lc;

	foreach(lc, table_tree(step->relation))
	{
		if (!column_is_not_null(lfirst_oid(lc), step->object))
			return false;
	}
	return true;
}

static Datum
tandem_add_not_null_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	Step		step = {.kind = STEP_NOT_NULL};
	char	   *column = argument_name(fcinfo, 2, "column_name");
	ReleaseNames names;

	step.relation = argument_relation(fcinfo, 1);
	names = release_names_after(migration->release, step.relation);
	step.object = release_names_stored(&names, column);
	if (repeat_step(migration, &step))
		PG_RETURN_VOID();
	release_names_check(&names, column);
	target_check_table(step.relation);
	target_lock(step.relation, list_make1_oid(step.relation), AccessShareLock);
	check_not_null_column(step.relation, step.object);
	planned_not_null_check(&step);

	/*
	 * in a later phase, too: there was nothing to do on the first run of the
	 * script
	 */
	if (column_is_not_null_already(&step))
	{
		ereport(NOTICE,
				(errmsg("column \"%s\" of table \"%s\" is already NOT NULL",
						step.object, quoting_shown_name(step.relation))));
		PG_RETURN_VOID();
	}
	migration_check(migration, ACTION_EXPAND);
	(void) step_add(migration->id, &step);
	expand_done(migration, step.relation,
				psprintf("not null of column %s of %s",
						 quote_identifier(step.object),
						 quoting_relation(step.relation)));
	PG_RETURN_VOID();
}
