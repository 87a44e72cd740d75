/*
 * not_null.c
 *		Makes a column NOT NULL without scanning the table under a lock.
 *
 * Since version 18 NOT NULL itself can be added NOT VALID and validated later.
 * Before, a CHECK constraint is used.  Once it is valid, SET NOT NULL relies
 * on it and reads no rows (NotNullImpliedByRelConstraints); then it is
 * dropped.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/sync.h"
#include "catalog/unfinished.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/constraint_build.h"

static char *
describe_not_null_check(const Step *step)
{
	return psprintf("checking column %s for nulls",
					quote_identifier(step->object));
}

static bool
column_is_not_null_everywhere(const Step *step)
{
	ListCell   *lc;

	foreach(lc, table_tree(step->relation))
	{
		if (!column_is_not_null(lfirst_oid(lc), step->object))
			return false;
	}
	return true;
}

/*
 * Runs ALTER TABLE with the table and its partitions locked.  To see whether
 * the table's CHECKs imply NOT NULL, the server folds them, which runs
 * immutable functions.
 */
static void
alter_not_null_table(const Step *step, const char *command)
{
	ddl_run_evaluating(step->relation,
					   psprintf("ALTER TABLE %s %s",
								quoting_relation(step->relation), command),
					   sync_expand_path(step->migration_id, step->relation));
}

static void
lock_not_null_tables(const Step *step)
{
	lock_relations(table_tree(step->relation), AccessExclusiveLock);
}

static BuildResult
not_null_constraint_next(const Step *step, BuildPiece *piece)
{
	bool		validated;
	char	   *name = not_null_constraint(step->relation, step->object,
										   &validated);

	if (name)
		return constraint_validate_next(step->relation, name,
										describe_not_null_check(step), piece);
	lock_not_null_tables(step);
	alter_not_null_table(step, psprintf("ADD NOT NULL %s NOT VALID",
										quote_identifier(step->object)));
	step_note_table(step->id, step->relation);
	return BUILD_AGAIN;
}

/*
 * Before version 18: add the CHECK, validate it, set NOT NULL, drop the CHECK.
 */
static BuildResult
not_null_helper_next(const Step *step, BuildPiece *piece)
{
	char	   *helper = unfinished_not_null_check(step);
	const char *column = quote_identifier(step->object);
	ConstraintState state;
	BuildResult result;

	if (!constraint_find(step->relation, helper, &state))
	{
		if (column_is_not_null_everywhere(step))
			return BUILD_DONE;
		lock_not_null_tables(step);

		/*
		 * not IS NOT NULL, which for a composite column also tests its fields
		 */
		alter_not_null_table(step, psprintf("ADD CONSTRAINT %s CHECK (%s IS DISTINCT FROM NULL) NOT VALID",
											quote_identifier(helper), column));
		return BUILD_AGAIN;
	}
	result = constraint_validate_next(step->relation, helper,
									  describe_not_null_check(step), piece);
	if (result != BUILD_DONE)
		return result;
	lock_not_null_tables(step);
	if (!column_is_not_null_everywhere(step))
	{
		alter_not_null_table(step, psprintf("ALTER COLUMN %s SET NOT NULL", column));
		step_note_table(step->id, step->relation);
	}
	alter_not_null_table(step, psprintf("DROP CONSTRAINT %s", quote_identifier(helper)));
	return BUILD_AGAIN;
}

BuildResult
not_null_build_next(const Step *step, BuildPiece *piece)
{
	if (get_rel_relkind(step->relation) == '\0')
		return BUILD_DONE;
	return compat_not_null_is_constraint() ? not_null_constraint_next(step,
																	  piece)
		: not_null_helper_next(step, piece);
}

/*
 * Adding the primary key of a partition USING INDEX marks the inherited NOT
 * NULL as the partition's own as well, so it would stay there.
 */
static void
drop_not_null_of_partitions(const Step *step, const char *name)
{
	ListCell   *lc;
	bool		validated;

	foreach(lc, table_tree(step->relation))
	{
		char	   *other = not_null_constraint(lfirst_oid(lc), step->object,
												&validated);

		if (other && strcmp(other, name) == 0)
			ddl_run_stored(lfirst_oid(lc),
						   psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
									quoting_relation(lfirst_oid(lc)),
									quote_identifier(name)));
	}
}

/*
 * Before version 18 this also removes a NOT NULL that a partition had of its
 * own.
 */
static void
drop_not_null_of_table(const Step *step)
{
	bool		validated;
	char	   *name = compat_not_null_is_constraint()
	? not_null_constraint(step->relation, step->object, &validated) : NULL;

	alter_not_null_table(step, psprintf("ALTER COLUMN %s DROP NOT NULL",
										quote_identifier(step->object)));
	if (name)
		drop_not_null_of_partitions(step, name);
}

void
not_null_build_undo(const Step *step)
{
	ConstraintState state;
	char	   *helper = unfinished_not_null_check(step);

	if (get_rel_relkind(step->relation) == '\0')
		return;
	if (constraint_find(step->relation, helper, &state))
		alter_not_null_table(step, psprintf("DROP CONSTRAINT %s", quote_identifier(helper)));
	if (get_attnum(step->relation, step->object) > 0 &&
		!column_must_not_be_null(step->relation, step->object) &&
		(list_member_oid(step->changed_tables, step->relation) ||
		 column_is_not_null(step->relation, step->object)) &&
		constraint_is_made(step->relation, step))
		drop_not_null_of_table(step);
}
