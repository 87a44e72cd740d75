/*
 * operations.c
 *		Schedules what contract does besides dropping columns.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/arguments.h"
#include "api/at_once.h"
#include "api/carried.h"
#include "api/expand.h"
#include "api/operations.h"
#include "api/statement_check.h"
#include "catalog/migration.h"
#include "catalog/operation.h"
#include "catalog/step.h"
#include "core/authority.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "ddl/given_statement.h"
#include "ending/operations.h"
#include "trigger/target.h"

OPERATION_FUNCTION(tandem_at_contract, at_once_call)
OPERATION_FUNCTION(tandem_drop_index, at_once_call)
OPERATION_FUNCTION(tandem_rename_constraint, at_once_call)

/*-------------------------------------------------------------------------
 * Running a script again.
 *-------------------------------------------------------------------------
 */

static char *
describe_operation(const Operation *operation)
{
	switch (operation->kind)
	{
		case OPERATION_STATEMENT:
			return psprintf("the statement \"%s\" for %s",
							text_shortened(operation->statement, 60), operation->given);
		case OPERATION_DROP_INDEX:
			return psprintf("the drop of index %s", operation->given);
		case OPERATION_RENAME_CONSTRAINT:
			return psprintf("a new name for constraint %s of %s",
							quote_identifier(operation->object), operation->given);
		case OPERATION_ADD_TABLE:
			return psprintf("table %s", operation->given);
		case OPERATION_RENAME_TABLE:
			return psprintf("a new name for table %s", operation->given);
		case OPERATION_DROP_TABLE:
			return psprintf("the drop of table %s", operation->given);
		case OPERATION_CARRY:
		case OPERATION_LEAVE:
		case OPERATION_UNDECIDED:
		case OPERATION_SEQUENCE:
			break;				/* no calls of their own */
	}
	return NULL;
}

static bool
texts_are_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Is it of the same object?  given may name one that is gone by now. */
static bool
is_of_same_object(const Operation *other, const Operation *given)
{
	if (other->kind != given->kind)
		return false;
	if (!OidIsValid(given->relation))
	{
		if (!(other->done || !relation_exists(other->relation)) ||
			strcmp(other->given, given->given) != 0)
			return false;
		return given->object == NULL || texts_are_equal(other->object, given->object);
	}
	return other->relation == given->relation &&
		(given->object == NULL || texts_are_equal(other->object, given->object));
}

/*
 * What one owner has called for is not run as another one: who has the rights of
 * that one by now says so by the same call.
 */
static void
confirm_statement(const Operation *operation)
{
	Oid			owner = authority_owner_of(operation->relation);

	if (!OidIsValid(owner) || owner == operation->owner || operation->done)
		return;
	operation_note_owner(operation, owner);
	ereport(NOTICE,
			(errmsg("contract will run the statement as role \"%s\", to whom table \"%s\" belongs now",
					GetUserNameFromId(owner, false),
					quoting_shown_name(operation->relation))));
}

bool
repeat_operation(const Migration *migration, const Operation *given)
{
	ListCell   *lc;

	foreach(lc, operation_list(migration->id))
	{
		Operation  *other = lfirst(lc);

		if (!is_of_same_object(other, given) ||
			(given->statement && !same_sql(RAW_PARSE_DEFAULT, other->statement, given->statement)))
			continue;
		if (!texts_are_equal(other->new_name, given->new_name))
			repeat_refuse(migration, describe_operation(other), "name",
						  other->new_name, given->new_name);
		if (given->statement)
			confirm_statement(other);
		repeat_skip(migration, describe_operation(other));
		return true;
	}
	return OidIsValid(given->relation) &&
		repeat_skip_forgotten(migration, given->relation);
}

void
add_operation(Migration *migration, Operation *operation)
{
	operation->migration_id = migration->id;
	operation->search_path = pstrdup(namespace_search_path);
	operation_insert(operation);
	if (migration->phase != PHASE_EXPAND)
		migration_record(migration, "at_contract", describe_operation(operation), 0);
	/* a statement may be what lets the table go */
	else if (operation->kind == OPERATION_DROP_TABLE || operation->kind == OPERATION_STATEMENT)
		expand_done_unseen(migration, operation->relation, describe_operation(operation));
	else
		expand_done(migration, operation->relation, describe_operation(operation));
}

/*-------------------------------------------------------------------------
 * tandem.at_contract: a statement of the user.
 *-------------------------------------------------------------------------
 */

static Datum
tandem_at_contract_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	Operation	operation = {
		.kind = OPERATION_STATEMENT,
		.given = argument_text(fcinfo, 1, "relation"),
		.statement = argument_text(fcinfo, 2, "statement"),
	};

	given_statement_check(operation.statement);
	if (repeat_operation(migration, &operation))
		PG_RETURN_VOID();
	operation.relation = argument_relation(fcinfo, 1);
	if (repeat_operation(migration, &operation))
		PG_RETURN_VOID();
	/* what is in the way of contract is often seen last */
	migration_check(migration,
					migration->phase == PHASE_MIGRATE || migration->phase == PHASE_CONTRACT
					? ACTION_CONTROL : ACTION_EXPAND);
	target_check_table(operation.relation);
	target_lock(operation.relation, list_make1_oid(operation.relation), AccessShareLock);
	statement_check_names(migration, operation.statement);
	add_operation(migration, &operation);
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 * tandem.drop_index
 *-------------------------------------------------------------------------
 */

/* Returns the index that a text names, and its table. */
static Oid
index_named(const char *text, Oid *relid)
{
	Oid			index = quoting_resolve_relation(text);
	char		kind = get_rel_relkind(index);

	if (kind != RELKIND_INDEX && kind != RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index", quoting_shown_name(index)),
				 errhint("Name an index of an ordinary or partitioned table.")));
	*relid = IndexGetRelation(index, true);
	if (!OidIsValid(*relid))
		quoting_raise_dropped(index);
	return index;
}

static void
check_not_of_constraint(const Migration *migration, Oid index, Oid relid)
{
	Oid			constraint = get_index_constraint(index);
	char	   *name = OidIsValid(constraint) ? get_constraint_name(constraint) : NULL;
	char	   *statement;

	if (name == NULL)
		return;
	statement = psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
						 quoting_relation(relid), quote_identifier(name));
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("index \"%s\" belongs to constraint \"%s\" of table \"%s\"",
					quoting_shown_name(index), name, quoting_shown_name(relid)),
			 errhint("Drop the constraint: SELECT tandem.at_contract(%s, %s, %s);",
					 quote_literal_cstr(migration->name),
					 quote_literal_cstr(quoting_relation(relid)),
					 quote_literal_cstr(statement))));
}

/* What migrations build, and rely on, contract of this one must not take away. */
static void
check_not_built(Oid index, Oid relid)
{
	TandemQuery query;
	char	   *builder;

	query_begin(&query);
	query_oid(&query, relid);
	query_name(&query, quoting_raw_name(index));
	builder = query_end_text(&query, query_run(&query,
											   "SELECT m.name FROM tandem.step t JOIN tandem.migration m ON m.id = t.migration "
											   "WHERE t.relation = $1 AND t.kind IN ('index', 'constraint') AND t.object = $2 "
											   "AND m.phase NOT IN ('done', 'aborted') LIMIT 1"));
	if (builder)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("index \"%s\" is built by migration \"%s\"",
						quoting_shown_name(index), builder),
				 errhint("Name an index that was there before, or end that migration first.")));
}

static void
check_index_can_go(const Migration *migration, Oid index, Oid relid)
{
	char	   *identified;
	List	   *lines;

	if (get_rel_relispartition(index))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("index \"%s\" is part of an index of a partitioned table",
						quoting_shown_name(index)),
				 errhint("Name that one: %s.", quoting_relation(table_root(index)))));
	check_not_of_constraint(migration, index, relid);
	identified = index_identifies_rows_of(index);
	if (identified)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("index \"%s\" is the replica identity of table %s",
						quoting_shown_name(index), identified),
				 errhint("Choose another one first, as by ALTER TABLE %s REPLICA IDENTITY DEFAULT, which uses the primary key.",
						 identified)));
	lines = drop_obstacles(list_make1_oid(index), 0, false);
	if (lines != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("other objects depend on index \"%s\"", quoting_shown_name(index)),
				 errdetail("%s", text_joined(lines, "- ", "\n")),
				 errhint("Drop these, or have them use another index, then call it again.")));
	check_not_built(index, relid);
}

/* What a partition has goes, too. */
void
check_tree_is_own(Oid relid)
{
	ListCell   *lc;

	target_check_table(relid);
	foreach(lc, table_tree(relid))
		authority_check_owner(lfirst_oid(lc));
}

static Datum
tandem_drop_index_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	Operation	operation = {
		.kind = OPERATION_DROP_INDEX,
		.given = argument_text(fcinfo, 1, "index"),
	};
	Oid			index;

	if (repeat_operation(migration, &operation))
		PG_RETURN_VOID();
	index = index_named(operation.given, &operation.relation);
	operation.object = quoting_raw_name(index);
	if (repeat_operation(migration, &operation))
		PG_RETURN_VOID();
	migration_check(migration, ACTION_EXPAND);
	if (get_rel_relispartition(operation.relation))
		check_index_can_go(migration, index, operation.relation);
	check_tree_is_own(operation.relation);
	target_lock(operation.relation, list_make1_oid(operation.relation), AccessShareLock);
	/* each partition, and its index */
	target_check_locks_of_tree(operation.relation,
							   2 * (int64) list_length(table_tree(operation.relation)));
	check_index_can_go(migration, index, operation.relation);
	carried_forget_index(migration, operation.relation, operation.object);
	add_operation(migration, &operation);
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 * tandem.rename_constraint
 *-------------------------------------------------------------------------
 */

static void
check_constraint_names(const Operation *operation)
{
	char	   *taken;

	if (operation->new_name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("name of a constraint must not be empty"),
				 errhint("Call it as in SELECT tandem.rename_constraint('my_migration', 'my_table', 'old_name', 'new_name');")));
	if (!OidIsValid(get_relation_constraint_oid(operation->relation, operation->object, true)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("constraint \"%s\" of table \"%s\" does not exist",
						operation->object, quoting_shown_name(operation->relation)),
				 errhint("See SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass;",
						 quote_literal_cstr(quoting_relation(operation->relation)))));
	taken = constraint_name_taken(operation->relation, operation->object,
								  operation->new_name);
	if (taken)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("constraint \"%s\" of table \"%s\" cannot be renamed to \"%s\"",
						operation->object, quoting_shown_name(operation->relation),
						operation->new_name),
				 errdetail("There is %s.", taken),
				 errhint("Choose another name.")));
}

/* A constraint that migrate is to build has not got its name yet. */
static void
check_name_is_not_planned(const Migration *migration, const Operation *operation)
{
	ListCell   *lc;

	foreach(lc, step_list(migration->id, STEP_CONSTRAINT))
	{
		const Step *step = lfirst(lc);

		if (step->relation == operation->relation &&
			(strcmp(step->object, operation->new_name) == 0 ||
			 strcmp(step->object, operation->object) == 0))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("the migration already adds constraint \"%s\" to table \"%s\"",
							step->object, quoting_shown_name(step->relation)),
					 errhint("Give that one the right name from the start, or choose another one.")));
	}
}

static Datum
tandem_rename_constraint_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	Operation	operation = {
		.kind = OPERATION_RENAME_CONSTRAINT,
		.given = argument_text(fcinfo, 1, "relation"),
		.object = argument_name(fcinfo, 2, "name"),
		.new_name = argument_name(fcinfo, 3, "new_name"),
	};

	operation.relation = argument_relation(fcinfo, 1);
	if (repeat_operation(migration, &operation))
		PG_RETURN_VOID();
	migration_check(migration, ACTION_EXPAND);
	check_tree_is_own(operation.relation);
	target_lock(operation.relation, list_make1_oid(operation.relation), AccessShareLock);
	target_check_locks_of_tree(operation.relation,
							   list_length(table_tree(operation.relation)));
	check_constraint_names(&operation);
	check_name_is_not_planned(migration, &operation);
	add_operation(migration, &operation);
	PG_RETURN_VOID();
}
