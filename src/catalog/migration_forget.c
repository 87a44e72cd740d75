/*
 * migration_forget.c
 *		What is kept of migrations that have ended, and how it goes.
 */
#include "postgres.h"

#include "access/xact.h"

#include "catalog/migration_forget.h"
#include "catalog/migration_lock.h"
#include "core/query.h"
#include "core/settings.h"

/* so many at a time: the call that it is done with is to stay short */
#define MOST_AT_ONCE 100

static void
delete_of_migration(int id, const char *sql)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, id);
	(void) query_run(&query, sql);
	query_end(&query);
}

static void
delete_steps(int id)
{
	delete_of_migration(id, "DELETE FROM tandem.step WHERE migration = $1");
}

static void
delete_parts(int id)
{
	migration_forget_rows(id);
	delete_steps(id);
	delete_of_migration(id, "DELETE FROM tandem.owned_column WHERE migration = $1");
	delete_of_migration(id, "DELETE FROM tandem.sync WHERE migration = $1");
}

static void
delete_whole(int id)
{
	delete_parts(id);
	delete_of_migration(id, "DELETE FROM tandem.migration WHERE id = $1");
}

static bool
has_parts(int id)
{
	TandemQuery query;
	bool		found;

	query_begin(&query);
	query_int(&query, id);
	found = query_run_latest(&query,
							 "SELECT FROM tandem.sync WHERE migration = $1 "
							 "UNION ALL SELECT FROM tandem.owned_column WHERE migration = $1 "
							 "UNION ALL SELECT FROM tandem.step WHERE migration = $1 "
							 "UNION ALL SELECT FROM tandem.event WHERE migration = $1 LIMIT 1") > 0;
	query_end(&query);
	return found;
}

void
migration_begin_empty(const Migration *migration)
{
	migration_lock_new();
	if (!has_parts(migration->id))
		return;
	delete_parts(migration->id);
	delete_of_migration(migration->id,
						"DELETE FROM tandem.event WHERE migration = $1");
	/* a transaction with an older snapshot deletes what it sees */
	if (has_parts(migration->id))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("rows of a migration with the number of migration \"%s\" have been loaded meanwhile",
						migration->name),
				 errhint("Call it again in a new transaction.")));
}

/* Until the end of the transaction, against migration_forget_old. */
static bool
lock_row(int id)
{
	TandemQuery query;
	bool		locked;

	query_begin(&query);
	query_int(&query, id);
	locked = query_run(&query,
					   "SELECT FROM tandem.migration WHERE id = $1 FOR UPDATE SKIP LOCKED") > 0;
	query_end(&query);
	return locked;
}

void
migration_forget(const Migration *migration)
{
	if (!lock_row(migration->id))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("migration \"%s\" is being removed by another session",
						migration->name),
				 errhint("Let that session commit, then run SELECT * FROM tandem.migrations;")));
	if (migration->phase == PHASE_ABORTED || migration->release == 0)
	{
		delete_whole(migration->id);
		return;
	}
	migration_forget_rows(migration->id);
	delete_steps(migration->id);
	delete_of_migration(migration->id,
						"UPDATE tandem.migration SET forgotten = true, settings = '{}', hold_by = NULL, hold_owner = NULL, "
						"hold_path = NULL, run_as = NULL, paused_by = NULL WHERE id = $1");
}

/* The migrations whose time is over, locked. */
static List *
old_migrations(bool aborted)
{
	TandemQuery query;
	List	   *ids;
	uint64		rows;

	query_begin(&query);
	query_bool(&query, aborted);
	query_int(&query, setting_forget_after);
	query_int(&query, MOST_AT_ONCE);
	rows = query_run(&query,
					 "SELECT m.id FROM tandem.migration m WHERE m.phase = CASE WHEN $1 THEN 'aborted' ELSE 'done' END "
					 "AND m.phase_since < clock_timestamp() - make_interval(secs => $2) "
					 "AND ($1 OR EXISTS (SELECT FROM tandem.step t WHERE t.migration = m.id AND t.object IS NULL)) "
					 "ORDER BY m.id LIMIT $3 FOR UPDATE SKIP LOCKED");
	ids = query_get_ints(rows);
	query_end(&query);
	return ids;
}

void
migration_forget_old(void)
{
	ListCell   *lc;

	/* a row that somebody else has removed would be an error to such a one */
	if (setting_forget_after == 0 || IsolationUsesXactSnapshot())
		return;
	foreach(lc, old_migrations(true))
		delete_whole(lfirst_int(lc));
	foreach(lc, old_migrations(false))
		delete_of_migration(lfirst_int(lc),
							"DELETE FROM tandem.step WHERE migration = $1 AND object IS NULL");
}
