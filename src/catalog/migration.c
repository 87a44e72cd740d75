/*
 * migration.c
 *		Migrations and their phases.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/subtrans.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog/migration.h"
#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "catalog/region_row.h"
#include "catalog/registry.h"
#include "catalog/run_control.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/text.h"

/*-------------------------------------------------------------------------
 * The phases of a migration, and the actions allowed in each: one table.
 *-------------------------------------------------------------------------
 */

static const char *const phase_names[] = {
	[PHASE_EXPAND] = "expand",
	[PHASE_MIGRATE] = "migrate",
	[PHASE_CONTRACT] = "contract",
	[PHASE_DONE] = "done",
	[PHASE_ABORTED] = "aborted",
};

static const char *const action_names[] = {
	[ACTION_EXPAND] = "expand",
	[ACTION_MIGRATE] = "migrate",
	[ACTION_REFILL] = "refill",
	[ACTION_FINISH] = "finish",
	[ACTION_VERIFY] = "verify",
	[ACTION_CONTROL] = "control of its run",
	[ACTION_CONTRACT] = "contract",
	[ACTION_FORCE] = "force contract",
	[ACTION_ABORT] = "abort",
};

static const struct
{
	Phase		before;
	PhaseAction action;
	Phase		after;
}			transitions[] = {
	{PHASE_EXPAND, ACTION_EXPAND, PHASE_EXPAND},
	{PHASE_EXPAND, ACTION_MIGRATE, PHASE_MIGRATE},
	{PHASE_MIGRATE, ACTION_MIGRATE, PHASE_MIGRATE},
	{PHASE_MIGRATE, ACTION_FINISH, PHASE_CONTRACT},
	/* to fill a partition attached since, or to verify again */
	{PHASE_CONTRACT, ACTION_MIGRATE, PHASE_MIGRATE},
	{PHASE_MIGRATE, ACTION_REFILL, PHASE_MIGRATE},
	{PHASE_CONTRACT, ACTION_REFILL, PHASE_MIGRATE},
	{PHASE_CONTRACT, ACTION_CONTRACT, PHASE_DONE},
	{PHASE_CONTRACT, ACTION_FORCE, PHASE_DONE},
	{PHASE_MIGRATE, ACTION_FORCE, PHASE_DONE},
	{PHASE_EXPAND, ACTION_VERIFY, PHASE_EXPAND},
	{PHASE_MIGRATE, ACTION_VERIFY, PHASE_MIGRATE},
	{PHASE_CONTRACT, ACTION_VERIFY, PHASE_CONTRACT},
	{PHASE_EXPAND, ACTION_CONTROL, PHASE_EXPAND},
	{PHASE_MIGRATE, ACTION_CONTROL, PHASE_MIGRATE},
	{PHASE_CONTRACT, ACTION_CONTROL, PHASE_CONTRACT},
	{PHASE_EXPAND, ACTION_ABORT, PHASE_ABORTED},
	{PHASE_MIGRATE, ACTION_ABORT, PHASE_ABORTED},
	{PHASE_CONTRACT, ACTION_ABORT, PHASE_ABORTED},
};

const char *
phase_name(Phase phase)
{
	return phase_names[phase];
}

static const char *
action_name(PhaseAction action)
{
	return action_names[action];
}

static Phase
phase_from_name(const char *name)
{
	int			index = text_index(name, phase_names, lengthof(phase_names));

	if (index < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("unknown phase \"%s\" in tandem.migration", name)));
	return (Phase) index;
}

/* Returns false if the phase does not allow the action. */
static bool
phase_after(Phase phase, PhaseAction action, Phase *after)
{
	for (int i = 0; i < (int) lengthof(transitions); i++)
	{
		if (transitions[i].before == phase && transitions[i].action == action)
		{
			*after = transitions[i].after;
			return true;
		}
	}
	return false;
}

/* Returns the hint of a call that the phase does not allow. */
static char *
phase_hint(const Migration *migration)
{
	char	   *name = quote_literal_cstr(migration->name);

	switch (migration->phase)
	{
		case PHASE_EXPAND:
		case PHASE_MIGRATE:
			return psprintf("Run %s;", run_control_migrate_call(migration->name));
		case PHASE_CONTRACT:
			return psprintf("Run CALL tandem.contract(%s);", name);
		case PHASE_DONE:
			break;
		case PHASE_ABORTED:
			return psprintf("It was undone. To begin it again, run its script again, from SELECT tandem.create_migration(%s) on.",
							name);
	}
	return pstrdup("It has ended with contract. A further change, or one that takes it back, is another migration: create it under another name.");
}

/*-------------------------------------------------------------------------
 * Rows of tandem.migration, and changes of phase.
 *-------------------------------------------------------------------------
 */

static Migration *
read_migration(const char *name)
{
	TandemQuery query;
	Migration  *migration = NULL;

	query_begin(&query);
	query_text(&query, name);
	/* current, even in a REPEATABLE READ transaction */
	if (query_run_latest(&query,
						 "SELECT id, coalesce(release, 0), phase, coalesce(tandem.role_of(created_by), 0), "
						 "tandem.role_name(created_by)::text, comment, forgotten "
						 "FROM tandem.migration WHERE name = $1 "
						 "ORDER BY phase = 'aborted', id DESC LIMIT 1") > 0)
	{
		migration = palloc0(sizeof(Migration));
		migration->id = query_get_int(0, 1);
		migration->name = pstrdup(name);
		migration->release = query_get_int(0, 2);
		migration->phase = phase_from_name(query_get_text(0, 3));
		migration->creator = query_get_oid(0, 4);
		migration->created_by = query_get_text(0, 5);
		migration->comment = query_get_text(0, 6);
		migration->forgotten = query_get_bool(0, 7);
	}
	query_end(&query);
	return migration;
}

Migration *
migration_by_id(int id)
{
	TandemQuery query;
	char	   *name;
	Migration  *migration;

	query_begin(&query);
	query_int(&query, id);
	name = query_end_text(&query, query_run_latest(&query,
												   "SELECT name FROM tandem.migration WHERE id = $1"));
	migration = name ? read_migration(name) : NULL;
	return migration && migration->id == id ? migration : NULL;
}

static Migration *
get_migration_with_right(const char *name, MigrationRight right)
{
	Migration  *migration = read_migration(name);

	if (migration == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("migration \"%s\" does not exist", name),
				 errhint("Run SELECT name FROM tandem.migrations; or create it with SELECT tandem.create_migration(%s);",
						 quote_literal_cstr(name))));
	migration_check_rights(migration, right);
	return migration;
}

Migration *
migration_get(const char *name)
{
	return get_migration_with_right(name, RIGHT_TO_ACT);
}

/*
 * Rights are checked before the lock is requested, so that a session without
 * them makes no one wait, and again afterwards, since it may have waited.  The
 * lock is on the id, since the name may belong to another migration by then.
 */
static Migration *
lock_migration_for_change(const char *name, MigrationRight right)
{
	for (;;)
	{
		Migration  *seen = get_migration_with_right(name, right);
		Migration  *migration;

		migration_lock_change(seen);
		migration = get_migration_with_right(name, right);
		if (migration->id == seen->id)
			return migration;
		migration_unlock_change(seen);
	}
}

Migration *
migration_get_for_change(const char *name)
{
	return lock_migration_for_change(name, RIGHT_TO_ACT);
}

Migration *
migration_get_for_abort(const char *name)
{
	return lock_migration_for_change(name, RIGHT_TO_ABORT);
}

void
migration_check(const Migration *migration, PhaseAction action)
{
	Phase		after;

	if (phase_after(migration->phase, action, &after))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" is in phase %s, which does not allow: %s",
					migration->name, phase_name(migration->phase),
					action_name(action)),
			 migration->phase == PHASE_CONTRACT && action == ACTION_EXPAND
			 ? errhint("Add it in a migration of its own, beginning with SELECT tandem.create_migration(...); or run CALL tandem.contract(%s); first.",
					   quote_literal_cstr(migration->name))
			 : errhint("%s", phase_hint(migration))));
}

bool
migration_has_ended(const Migration *migration, Phase phase)
{
	if (migration->phase != phase)
		return false;
	ereport(NOTICE,
			(errmsg(phase == PHASE_DONE
					? "migration \"%s\" was contracted already, nothing is left to do"
					: "migration \"%s\" was aborted already, nothing is left to do",
					migration->name)));
	return true;
}

static void
record_history_event(const Migration *migration, const char *action,
					 const char *before, const char *after, const char *detail,
					 int64 started)
{
	TandemQuery query;
	char	   *user = GetUserNameFromId(GetUserId(), false);

	query_begin(&query);
	query_int(&query, migration->id);
	query_text(&query, migration->name);
	query_text(&query, action);
	query_text(&query, before);
	query_text(&query, after);
	query_name(&query, user);
	query_text(&query, detail);
	query_datum(&query, FLOAT8OID,
				Float8GetDatum((clock_now() - started) / (double) USECS_PER_SEC),
				started == CLOCK_NEVER);
	(void) query_run(&query,
					 "INSERT INTO tandem.event (migration, name, action, phase_before, phase_after, done_by, detail, took) "
					 "VALUES ($1, $2, $3, $4, $5, $6, $7, make_interval(secs => $8))");
	query_end(&query);
}

void
migration_record(const Migration *migration, const char *action,
				 const char *detail, int64 started)
{
	record_history_event(migration, action, NULL, NULL, detail, started);
}

void
migration_act(Migration *migration, PhaseAction action, const char *detail,
			  int64 started)
{
	TandemQuery query;
	Phase		before = migration->phase;
	Phase		after = before;

	migration_check(migration, action);
	(void) phase_after(before, action, &after);
	if (after != before)
	{
		query_begin(&query);
		query_int(&query, migration->id);
		query_text(&query, phase_name(after));
		query_bool(&query, action == ACTION_FINISH);
		(void) query_run(&query,
						 "UPDATE tandem.migration SET phase = $2, phase_since = clock_timestamp(), "
						 "filled_at = coalesce(filled_at, CASE WHEN $3 THEN clock_timestamp() END) WHERE id = $1");
		query_end(&query);
		if (migration->release > 0)
		{
			if (after == PHASE_ABORTED)
				registry_forget_ready(migration->release);
			registry_note_ready();
			region_follow();
		}
	}
	migration->phase = after;
	record_history_event(migration, action_name(action), phase_name(before),
						 phase_name(after), detail, started);
}

static const char *
release_as_text(int release)
{
	return release == 0 ? "none" : psprintf("%d", release);
}

/*
 * Each node that starts runs the script that creates the migration.  All but
 * the first find that it exists.
 */
static void
check_same_migration(const Migration *migration, int release,
					 const char *comment)
{
	bool		other_release = migration->release != release;

	if (!other_release &&
		(comment == NULL || migration->comment == NULL ||
		 strcmp(comment, migration->comment) == 0))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("migration \"%s\" already exists, with another %s",
					migration->name, other_release ? "release" : "comment"),
			 errdetail("Recorded: %s. Given: %s. It is in phase %s.",
					   other_release ? release_as_text(migration->release) : migration->comment,
					   other_release ? release_as_text(release) : comment,
					   phase_name(migration->phase)),
			 errhint("Choose another name, or run SELECT * FROM tandem.migrations;")));
}

/*
 * Returns the existing migration with the name, when a script is run again.
 * Returns NULL if it was being aborted, which has completed on return.
 */
static Migration *
find_existing_migration(Migration *seen, int release, const char *comment)
{
	Migration  *migration;

	migration_check_repeat(seen);
	/* a session that holds the lock may be about to abort it */
	migration_lock_change(seen);
	migration = read_migration(seen->name);
	migration_unlock_change(seen);
	if (migration == NULL || migration->id != seen->id ||
		migration->phase == PHASE_ABORTED)
		return NULL;
	migration_check_repeat(migration);
	check_same_migration(migration, release, comment);
	ereport(NOTICE,
			(errmsg("migration \"%s\" already exists, in phase %s, skipping",
					migration->name, phase_name(migration->phase))));
	return migration;
}

typedef struct Creation
{
	const char *name;
	int			release;
	const char *comment;
} Creation;

static void
insert_migration(void *arg)
{
	Creation   *creation = arg;
	Oid			creator = GetUserId();
	TandemQuery query;

	/* sessions remember that there is none: see extension_in_use */
	registry_changed();
	query_begin(&query);
	query_text(&query, creation->name);
	query_datum(&query, INT4OID, Int32GetDatum(creation->release),
				creation->release == 0);
	query_text(&query, creation->comment);
	query_oid(&query, creator);
	(void) query_run(&query,
					 "INSERT INTO tandem.migration (name, release, comment, created_by) "
					 "VALUES ($1, $2, $3, tandem.refer_to_role($4))");
	query_end(&query);
}

/*
 * Returns the open transaction that has inserted a migration of the name,
 * whose row is not visible yet; InvalidTransactionId if there is none.
 */
static TransactionId
creating_transaction(const char *name)
{
	Relation	rel = table_open(get_relname_relid("migration",
												   get_namespace_oid("tandem", false)),
								 AccessShareLock);
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), "name");
	TransactionId xid = InvalidTransactionId;
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	SnapshotData dirty;
	TableScanDesc scan;

	InitDirtySnapshot(dirty);
	scan = compat_begin_scan(rel, &dirty);
	while (!TransactionIdIsValid(xid) &&
		   table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Datum		value = slot_getattr(slot, attnum, &isnull);

		if (!isnull && strcmp(TextDatumGetCString(value), name) == 0)
			xid = dirty.xmin;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
	return TransactionIdIsValid(xid) ? SubTransGetTopmostTransaction(xid) : xid;
}

static void
refuse_creation_in_progress(const char *name, TransactionId xid)
{
	char	   *other = lock_describe_transaction(xid);

	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("migration \"%s\" is being created by another session",
					name),
			 errdetail("Blocked by: %s.", other),
			 errhint("Let that session end its transaction, or choose another name.")));
}

/*
 * The unique index on the name decides.  Returns false if another session has
 * created the migration and committed.
 */
static bool
try_insert_migration(Creation *creation)
{
	ErrorData  *error = lock_limited_try(insert_migration, creation,
										 lock_retry_ms());

	if (error == NULL)
		return true;
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		refuse_creation_in_progress(creation->name,
									creating_transaction(creation->name));
	if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION ||
		error->constraint_name == NULL ||
		strcmp(error->constraint_name, "migration_name_key") != 0)
		ReThrowError(error);
	FreeErrorData(error);
	return false;
}

static bool
migration_name_is_open(const char *name)
{
	Migration  *migration = read_migration(name);

	return migration && migration->phase != PHASE_ABORTED;
}

/*
 * Makes one try; returns false if the caller must look again.  The creation
 * lock, held only for a moment so that no session can keep it, decides which
 * session creates the migration.  Others wait for the transaction of that
 * session.  It may also have committed since the caller looked.  In a
 * serializable transaction even trying to insert the row counts as a write,
 * and could make the server cancel it.  So look once more, after checking for
 * open transactions.
 */
static bool
insert_migration_under_lock(Creation *creation, int64 give_up)
{
	TransactionId other;
	bool		inserted = false;

	migration_lock_creation(creation->name);
	other = creating_transaction(creation->name);
	if (!TransactionIdIsValid(other) &&
		!migration_name_is_open(creation->name))
		inserted = try_insert_migration(creation);
	migration_unlock_creation(creation->name);
	if (!TransactionIdIsValid(other))
		return inserted;
	if (clock_now() >= give_up)
		refuse_creation_in_progress(creation->name, other);
	lock_wait_for_transaction(psprintf("%u", other),
							  (int) Max(clock_ms_until(give_up), 1));
	return false;
}

static Migration *
insert_new_migration(const char *name, int release, const char *comment,
					 int64 give_up)
{
	Creation	creation = {
		.name = name,.release = release,.comment = comment
	};
	Migration  *migration;

	if (!insert_migration_under_lock(&creation, give_up))
		return NULL;
	migration = read_migration(name);
	migration_begin_empty(migration);
	record_history_event(migration, "create", NULL, phase_name(PHASE_EXPAND), comment,
						 0);
	return migration;
}

Migration *
migration_create(const char *name, int release, const char *comment,
				 bool *created)
{
	int64		give_up = clock_after_ms(lock_retry_ms());
	Migration  *migration = NULL;

	*created = false;
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of a migration must not be empty"),
				 errhint("Run SELECT tandem.create_migration('what it changes');")));
	while (migration == NULL)
	{
		Migration  *seen = read_migration(name);

		*created = seen == NULL || seen->phase == PHASE_ABORTED;
		migration = *created ? insert_new_migration(name, release, comment,
													give_up)
			: find_existing_migration(seen, release, comment);
	}
	return migration;
}

void
migration_forget_rows(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	(void) query_run(&query,
					 "DELETE FROM tandem.changed_use WHERE migration = $1");
	query_int(&query, migration_id);
	(void) query_run(&query,
					 "DELETE FROM tandem.quarantined_row q USING tandem.sync s "
					 "WHERE s.id = q.sync AND s.migration = $1");
	query_int(&query, migration_id);
	(void) query_run(&query,
					 "WITH steps AS (UPDATE tandem.step SET phase = NULL, doing = NULL WHERE migration = $1 RETURNING id) "
					 "DELETE FROM tandem.step_report r USING steps s WHERE r.step = s.id");
	query_int(&query, migration_id);
	(void) query_run(&query,
					 "DELETE FROM tandem.run_report WHERE migration = $1");
	query_end(&query);
}

char *
migration_open_after(int release)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	return query_end_text(&query, query_run(&query,
											"SELECT name FROM tandem.migration WHERE release > $1 AND phase NOT IN ('done', 'aborted') "
											"ORDER BY release DESC, id DESC LIMIT 1"));
}

/*-------------------------------------------------------------------------
 * Is it filled, or has it nothing to fill?
 *-------------------------------------------------------------------------
 */

bool
migration_is_to_be_migrated(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	return query_end_found(&query, query_run_latest(&query,
													"SELECT FROM tandem._to_migrate WHERE migration = $1"));
}

bool
migration_is_filled(int migration_id, bool before)
{
	static const char *const sql = "SELECT FROM tandem.migration WHERE id = $1 AND filled_at IS NOT NULL";
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	return query_end_found(&query, before ? query_run_before(&query, sql)
						   : query_run_latest(&query, sql));
}

void
migration_note_filled(int migration_id, bool filled)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_bool(&query, filled);
	(void) query_run(&query,
					 "UPDATE tandem.migration SET filled_at = CASE WHEN $2 THEN clock_timestamp() END WHERE id = $1");
	query_end(&query);
}

/*-------------------------------------------------------------------------
 * Is any migration of this database open?
 *-------------------------------------------------------------------------
 */

bool
open_migration_exists(void)
{
	/* the index contains only open migrations */
	return extension_index_has_rows("migration", "migration_open_idx");
}
