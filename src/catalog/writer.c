/*
 * writer.c
 *		Marks the sessions that have written a table of a migration.
 *
 * pg_advisory_unlock_all and DISCARD ALL, which connection poolers send when a
 * connection is returned, release the lock although the application is still
 * connected.  So the process remembers its marks, and takes the lock again at
 * the end of that transaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/registry.h"
#include "catalog/sync.h"
#include "catalog/writer.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/settings.h"

/* as for declared sessions, a mode that does not conflict with itself */
#define WRITER_MODE AccessShareLock

static List *marked = NIL;		/* ids of migrations, in TopMemoryContext */
static Oid	marked_classid = InvalidOid;	/* tandem.migration */

static LOCKTAG
writer_mark_lock_tag(int migration_id)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, marked_classid, migration_id,
					   WRITER_LOCK);
	tag.locktag_lockmethodid = USER_LOCKMETHOD;
	return tag;
}

/* Returns false if the lock table is full. */
static bool
take_writer_mark(int migration_id)
{
	LOCKTAG		tag = writer_mark_lock_tag(migration_id);

	return compat_lock_is_held(&tag, WRITER_MODE) ||
		compat_lock_try(&tag, WRITER_MODE, true);
}

static void
retake_writer_marks(XactEvent event, void *arg)
{
	ListCell   *lc;

	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
		return;
	foreach(lc, marked)
		(void) take_writer_mark(lfirst_int(lc));
}

static bool
mark_session_as_writer(int migration_id)
{
	static bool watching = false;
	MemoryContext caller;

	if (!watching)
		RegisterXactCallback(retake_writer_marks, NULL);
	watching = true;
	if (!take_writer_mark(migration_id))
		return false;
	caller = MemoryContextSwitchTo(TopMemoryContext);
	marked = list_append_unique_int(marked, migration_id);
	MemoryContextSwitchTo(caller);
	return true;
}

static void
unmark_session(int migration_id)
{
	LOCKTAG		tag = writer_mark_lock_tag(migration_id);

	marked = list_delete_int(marked, migration_id);
	if (compat_lock_is_held(&tag, WRITER_MODE))
		(void) LockRelease(&tag, WRITER_MODE, true);
}

/*
 * Returns the migrations of the rules, and those that rename or drop the table,
 * whose release is newer.  A hand-made trigger may name the rule of another
 * table.
 */
static List *
migrations_newer_than(int release, Oid relid, List *syncs)
{
	TandemQuery query;
	List	   *sync_ids = NIL;
	List	   *ids;
	ListCell   *lc;

	foreach(lc, syncs)
		sync_ids = lappend_int(sync_ids, ((SyncRule *) lfirst(lc))->id);
	query_begin(&query);
	query_int_list(&query, sync_ids);
	query_oid(&query, relid);
	query_int(&query, release);
	ids = query_get_ints(query_run_latest(&query,
										  "SELECT m.id FROM tandem.sync s JOIN tandem.migration m ON m.id = s.migration "
										  "WHERE s.id = ANY ($1) AND m.release > $3 AND m.phase NOT IN ('done', 'aborted') "
										  "AND (s.relation = $2 OR s.relation IN (SELECT pg_partition_ancestors($2::regclass))) "
										  "UNION SELECT w.migration FROM tandem._watched_tables w WHERE w.release > $3 "
										  "AND (w.relation = $2 OR w.relation IN (SELECT pg_partition_ancestors($2::regclass)))"));
	query_end(&query);
	return ids;
}

/*
 * Marks that belong to an extension that was dropped and created again refer
 * to other rows.
 */
static void
forget_marks_of_other_extension(void)
{
	Oid			classid = get_relname_relid("migration",
											get_rel_namespace(registry_relid()));

	while (classid != marked_classid && marked != NIL)
		unmark_session(linitial_int(marked));
	marked_classid = classid;
}

/* Releases the marks for migrations that have ended. */
static void
forget_ended_migrations(void)
{
	TandemQuery query;
	List	   *ended;
	ListCell   *lc;

	if (marked == NIL)
		return;
	query_begin(&query);
	query_int_list(&query, marked);
	ended = query_get_ints(query_run_latest(&query,
											"SELECT i FROM unnest($1) i WHERE NOT EXISTS (SELECT FROM tandem.migration m "
											"WHERE m.id = i AND m.phase NOT IN ('done', 'aborted'))"));
	query_end(&query);
	foreach(lc, ended)
		unmark_session(lfirst_int(lc));
}

/*
 * Done once per release, by the first session of it that writes; from then on
 * no migration suspends it.  Suspending a release concerns the sessions that
 * are fenced by it, and not who writes through its views by their full names.
 * The note is lost if the transaction aborts.  Then, as after each change of
 * the registry, the next statement looks again.  Returns false if it must look
 * again because a read-only transaction cannot write the note.
 */
static bool
note_release_use(int release)
{
	Registry	registry;
	ReleaseState state;

	if (XactReadOnly)
		return false;
	registry_read(&registry);
	state = registry_state_of(&registry, release);
	if ((state == RELEASE_READY || state == RELEASE_CURRENT) &&
		!release_note_is_used(release))
		registry_note_used(release);
	return true;
}

/*
 * Only clients can be of an older release.  Workers of logical replication
 * apply what others have written, and our own workers do not count.
 */
static bool
process_is_client(void)
{
	return MyBackendType == B_BACKEND || MyBackendType == B_WAL_SENDER;
}

/*
 * What a subscription applies others have written; the settings of the role or
 * the database, which its worker has too, are for sessions.
 */
int
writer_release(int view_release)
{
	if (IsLogicalWorker())
		return 0;
	if (setting_release > 0)
		return setting_release;
	return view_release > 0 ? view_release : session_release();
}

void
writer_settle(WriterNote *note, int release, Oid relid, List *syncs)
{
	uint64		generation = registry_generation();
	int			declared = session_release();
	bool		settled = true;
	ListCell   *lc;

	/* a fill that fires triggers is not a write of the client */
	if (query_is_running())
		return;
	if (process_is_client() && OidIsValid(registry_relid()))
	{
		forget_marks_of_other_extension();
		forget_ended_migrations();
		foreach(lc, migrations_newer_than(release, relid, syncs))
			settled &= mark_session_as_writer(lfirst_int(lc));
		if (declared > 0)
			settled &= note_release_use(declared);
	}
	note->release = release;
	note->declared = declared;
	note->generation = settled ? generation : 0;
}
