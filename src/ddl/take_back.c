/*
 * take_back.c
 *		Takes back constraints that were added and not validated.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "catalog/unfinished.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/constraint_build.h"
#include "ddl/take_back.h"

/* Returns the name if the table has it of its own, and it is not valid. */
static char *
own_constraint_not_valid(Oid relid, char *name)
{
	ConstraintState state;

	return constraint_find(relid, name, &state) && !state.validated &&
		!OidIsValid(state.parent) ? name : NULL;
}

/* Nobody else gives a constraint the name of the CHECK. */
static char *
not_null_not_valid(const Step *step, Oid relid)
{
	bool		validated = true;
	char	   *name;

	if (relid != step->relation)
		return NULL;			/* inherited */
	if (!compat_not_null_is_constraint())
		return own_constraint_not_valid(relid, unfinished_not_null_check(step));
	name = not_null_constraint(relid, step->object, &validated);
	return !validated && list_member_oid(step->changed_tables, relid) ? name
		: NULL;
}

static char *
constraint_not_valid(const Step *step, Oid relid)
{
	if (step->kind == STEP_NOT_NULL)
		return not_null_not_valid(step, relid);
	return list_member_oid(step->changed_tables, relid)
		? own_constraint_not_valid(relid, step->object) : NULL;
}

static List *
tables_not_valid(const Step *step)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, table_tree(step->relation))
	{
		if (constraint_not_valid(step, lfirst_oid(lc)))
			relids = lappend_oid(relids, lfirst_oid(lc));
	}
	return relids;
}

static void
drop_constraint_not_valid(const Step *step, Oid relid)
{
	ddl_run_stored(relid,
				   psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
							quoting_relation(relid),
							quote_identifier(constraint_not_valid(step, relid))));
	unfinished_forget_table(step->id, relid);
}

List *
take_back_constraint(const Step *step)
{
	List	   *relids;
	ListCell   *lc;

	if (tables_not_valid(step) == NIL)
		return NIL;
	lock_relations(list_concat_unique_oid(table_tree(step->relation),
										  constraint_build_locks(step)),
				   AccessExclusiveLock);
	/* look again, now that nobody can validate it */
	relids = tables_not_valid(step);
	foreach(lc, relids)
		drop_constraint_not_valid(step, lfirst_oid(lc));
	return relids;
}
