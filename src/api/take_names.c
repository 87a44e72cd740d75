/*
 * take_names.c
 *		SQL function take_names: gives replicated tables and their columns the names
 *		that contract has left.
 *
 * Logical replication maps tables and columns by their names, those that they had when
 * a row was written.  What was written before must have been applied everywhere, or the
 * subscriber will never find the column again.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"

#include "api/arguments.h"
#include "api/column_rename.h"
#include "catalog/migration.h"
#include "catalog/migration_rights.h"
#include "catalog/region_row.h"
#include "catalog/renamed_column.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "ending/operations.h"
#include "views/views_end.h"

SQL_FUNCTION(tandem_take_names);

/* How often the slots are looked at. */
#define LOOK_AGAIN_MS 10

static char *
say_not_contracted(const Region *region, void *arg)
{
	int			release = *(int *) arg;

	return region->lowest >= release && region->doubt == NULL ? NULL
		: psprintf("serves %s and later", region_release_shown(region->lowest));
}

/* A region that has not contracted has writers that know the old name alone. */
static void
check_regions_have_contracted(const Migration *migration)
{
	int			release = migration->release;
	const char *first;
	char	   *regions = region_list(say_not_contracted, &release, &first);

	if (regions)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("names of migration \"%s\" cannot be taken before all regions have contracted it",
						migration->name),
				 errdetail("%s.", regions),
				 errhint("Run CALL tandem.contract(%s); in region %s first.",
						 quote_literal_cstr(migration->name), first)));
}

static List *
slots_behind(void *arg)
{
	XLogRecPtr	until = *(XLogRecPtr *) arg;
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_datum(&query, PG_LSNOID, LSNGetDatum(until), false);
	lines = query_texts(&query,
						"SELECT line FROM tandem._slots_behind($1) ORDER BY line COLLATE \"C\"");
	query_end(&query);
	return lines;
}

/*
 * Looks until something is found, if that is awaited, or else until nothing is.  The
 * tables are locked, so nobody waits longer than for a lock.
 */
static List *
look_again(List *(*look) (void *arg), void *arg, bool awaits)
{
	int64		end = clock_after_ms(setting_lock_timeout);
	List	   *found;

	while (((found = look(arg)) != NIL) != awaits && clock_now() < end)
		interruptible_sleep(LOOK_AGAIN_MS);
	return found;
}

static void
refuse_while(List *lines, const char *message, const char *hint)
{
	if (lines != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("%s", message),
				 errdetail("%s", text_joined(lines, "- ", "\n")),
				 errhint("%s", hint)));
}

static void
wait_for_subscribers(const Migration *migration)
{
	XLogRecPtr	until = GetXLogInsertRecPtr();

	XLogFlush(until);
	refuse_while(look_again(slots_behind, &until, false),
				 psprintf("what was written to tables of migration \"%s\" has not arrived everywhere",
						  migration->name),
				 "Have the application stop writing these tables in all regions, wait until the subscribers have caught up, and drop slots that nobody reads; then call it again.");
}

static List *
waiting_writers(void *arg)
{
	List	   *relids = arg;
	TandemQuery query;
	Oid			reader = GetUserId();
	List	   *lines;

	query_begin(&query);
	query_oid_list(&query, relids);
	query_oid(&query, MyDatabaseId);
	query_oid(&query, reader);
	lines = query_texts(&query,
						"SELECT DISTINCT tandem._describe_session(l.pid, $3) FROM pg_locks l "
						"WHERE l.locktype = 'relation' AND l.database = $2 AND l.relation = ANY ($1) AND NOT l.granted "
						"AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') ORDER BY 1");
	query_end(&query);
	return lines;
}

/*
 * What another region sends by an old name from then on could not be applied here, for
 * ever.  Who writes the tables waits for us by now: sessions, and the workers that apply
 * what other regions write.
 */
static void
check_nobody_writes(const Migration *migration, List *relids)
{
	refuse_while(look_again(waiting_writers, relids, true),
				 psprintf("tables of migration \"%s\" are being written", migration->name),
				 "Have the application stop writing these tables in all regions until each has taken the names; then call it again.");
}

/* What another migration is to build by a name would not be found. */
static void
check_no_name_is_waited_for(const Migration *migration)
{
	refuse_while(list_concat(column_rename_waits(migration), operations_rename_waits(migration)),
				 psprintf("names of migration \"%s\" cannot be taken yet", migration->name),
				 "Do what each line says, then call it again.");
}

Datum
tandem_take_names(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	List	   *relids = NIL;
	List	   *trees = NIL;
	ListCell   *lc;

	if (migration->phase != PHASE_DONE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" is in phase %s", migration->name,
						phase_name(migration->phase)),
				 errdetail("Its new names are taken at contract, or after it."),
				 errhint("Run CALL tandem.contract(%s); first.",
						 quote_literal_cstr(migration->name))));
	foreach(lc, sync_list_renames_left(migration->id))
		relids = list_append_unique_oid(relids, ((SyncRule *) lfirst(lc))->relation);
	relids = list_concat_unique_oid(relids, operations_names_left(migration));
	if (relids == NIL)
	{
		ereport(NOTICE,
				(errmsg("migration \"%s\" has no names left to take, skipping",
						migration->name)));
		PG_RETURN_VOID();
	}
	check_regions_have_contracted(migration);
	check_no_name_is_waited_for(migration);
	foreach(lc, relids)
		trees = list_concat_unique_oid(trees, table_tree(lfirst_oid(lc)));
	versioned_views_lock(relids, 0);
	trees = list_concat_unique_oid(trees, versioned_views_of(relids, 0));
	lock_relations(trees, AccessExclusiveLock);
	wait_for_subscribers(migration);
	check_nobody_writes(migration, trees);
	column_rename_left(migration);
	operations_take_names(migration);
	migration_record(migration, "take names", NULL, 0);
	PG_RETURN_VOID();
}
