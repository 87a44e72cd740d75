/*
 * unfinished.c
 *		Constraints that a migration has added and not validated yet.
 *
 * Until then they are enforced for each row that is written, also by others, and
 * by fills of other migrations.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "catalog/unfinished.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"

typedef struct UnfinishedStep
{
	char	   *migration;
	Step		step;			/* kind and object */
} UnfinishedStep;

char *
unfinished_not_null_check(const Step *step)
{
	return derived_name("tandem_not_null", step->object);
}

static void *
read_unfinished_step(uint64 row)
{
	UnfinishedStep *unfinished = palloc0(sizeof(UnfinishedStep));

	unfinished->migration = query_get_text(row, 1);
	unfinished->step.kind = query_get_bool(row, 2) ? STEP_NOT_NULL : STEP_CONSTRAINT;
	unfinished->step.object = query_get_text(row, 3);
	return unfinished;
}

static bool
same_name(const char *given, const char *name)
{
	return given && strcmp(given, name) == 0;
}

static bool
step_enforces(const Step *step, const char *constraint, const char *column)
{
	if (step->kind == STEP_CONSTRAINT)
		return same_name(constraint, step->object);
	return same_name(column, step->object) ||
		same_name(constraint, unfinished_not_null_check(step));
}

/*
 * Returns the name of an open migration with a step, not done yet, that adds the
 * constraint, or NOT NULL of the column, to relid or to the partitioned table above
 * it; NULL if there is none.  constraint and column may be NULL.
 */
static char *
migration_that_adds(Oid relid, const char *constraint, const char *column)
{
	TandemQuery query;
	List	   *steps;
	ListCell   *lc;

	query_begin(&query);
	query_oid(&query, relid);
	query_oid(&query, table_root(relid));
	steps = query_rows(&query,
					   "SELECT m.name, s.kind = 'not null', s.object FROM tandem.step s "
					   "JOIN tandem.migration m ON m.id = s.migration "
					   "WHERE s.relation::oid IN ($1, $2) AND s.kind IN ('not null', 'constraint') "
					   "AND s.state <> 'done' AND m.phase NOT IN ('done', 'aborted') ORDER BY s.id",
					   read_unfinished_step);
	query_end(&query);
	foreach(lc, steps)
	{
		UnfinishedStep *unfinished = lfirst(lc);

		if (step_enforces(&unfinished->step, constraint, column))
			return unfinished->migration;
	}
	return NULL;
}

char *
unfinished_hint(const Migration *migration, Oid relid, const ErrorData *error)
{
	char	   *name = quote_literal_cstr(migration->name);
	char	   *other = NULL;

	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
		ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
		other = migration_that_adds(relid, error->constraint_name,
									error->column_name);
	if (other)
		return psprintf("The constraint is not valid yet: migration %s is adding it. Fix the row, or have it taken back with SELECT tandem.cancel(%s), then run CALL tandem.migrate(%s) again; completed work is kept.",
						quote_literal_cstr(other), quote_literal_cstr(other),
						name);
	return psprintf("Fix the cause, then run CALL tandem.migrate(%s) again; completed work is kept.",
					name);
}

void
unfinished_forget_table(int step_id, Oid relid)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, step_id);
	query_oid(&query, relid);
	(void) query_run(&query,
					 "UPDATE tandem.step SET changed_tables = array_remove(changed_tables, $2::regclass) "
					 "WHERE id = $1");
	query_end(&query);
}
