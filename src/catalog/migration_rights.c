/*
 * migration_rights.c
 *		Who may act on a migration, and deletion of ended migrations.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/migration_lock.h"
#include "catalog/migration_rights.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/text.h"

/*-------------------------------------------------------------------------
 * Who may act on a migration.
 *
 * This is checked at each call, with the current catalogs: before requesting a
 * lock that others might wait behind, and again when it has been granted.
 *-------------------------------------------------------------------------
 */

/*
 * The existing tables of a migration with all their partitions: to alter a
 * table the server requires ownership of each of these.
 */
#define TABLES_OF_MIGRATION \
	"WITH RECURSIVE t (relation) AS ((SELECT relation::oid FROM tandem.sync WHERE migration = $1 " \
	"UNION SELECT relation::oid FROM tandem.owned_column WHERE migration = $1 " \
	"UNION SELECT relation::oid FROM tandem.after_switch WHERE migration = $1 " \
	"UNION SELECT relation::oid FROM tandem.operation WHERE migration = $1 " \
	"UNION SELECT relation::oid FROM tandem.step WHERE migration = $1 AND object IS NOT NULL) " \
	"UNION SELECT i.inhrelid FROM pg_inherits i JOIN t ON i.inhparent = t.relation) "

static List *
owners_of_tables(const Migration *migration)
{
	TandemQuery query;
	List	   *owners;

	query_begin(&query);
	query_int(&query, migration->id);
	owners = query_oids(&query, TABLES_OF_MIGRATION
						"SELECT DISTINCT c.relowner FROM t JOIN pg_class c ON c.oid = t.relation");
	query_end(&query);
	return owners;
}

bool
migration_has_table(const Migration *migration)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration->id);
	return query_end_found(&query, query_run_latest(&query, TABLES_OF_MIGRATION "SELECT FROM t LIMIT 1"));
}

/* Returns a table whose owner's rights the role lacks, for the error. */
static Oid
find_table_of_other_owner(const Migration *migration, Oid role)
{
	TandemQuery query;
	List	   *tables;

	query_begin(&query);
	query_int(&query, migration->id);
	query_oid(&query, role);
	tables = query_oids(&query, TABLES_OF_MIGRATION
						"SELECT c.oid FROM t JOIN pg_class c ON c.oid = t.relation "
						"WHERE NOT pg_has_role($2, c.relowner, 'USAGE') ORDER BY c.oid LIMIT 1");
	query_end(&query);
	return tables == NIL ? InvalidOid : linitial_oid(tables);
}

static bool
has_rights_of_owners(Oid role, List *owners)
{
	ListCell   *lc;

	foreach(lc, owners)
	{
		if (!has_privs_of_role(role, lfirst_oid(lc)))
			return false;
	}
	return true;
}

bool
migration_role_may_act(const Migration *migration, Oid role)
{
	List	   *owners;

	if (superuser_arg(role))
		return true;
	owners = owners_of_tables(migration);
	if (owners != NIL)
		return has_rights_of_owners(role, owners);
	return OidIsValid(migration->creator) &&
		has_privs_of_role(role, migration->creator);
}

static void
deny_for_table(const Migration *migration, Oid relid)
{
	char	   *owner = GetUserNameFromId(authority_owner_of(relid), true);

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for migration \"%s\"", migration->name),
			 errdetail("Table %s belongs to role \"%s\".",
					   quoting_relation(relid), owner ? owner : "?"),
			 errhint("Call it as a role that has the rights of the owner of each table of the migration.")));
}

static void
deny_for_creator(const Migration *migration)
{
	if (!OidIsValid(migration->creator))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for migration \"%s\"",
						migration->name),
				 errdetail("It has no table, and the role that created it is gone."),
				 errhint("The owner of the database or a superuser can run CALL tandem.abort(%s);",
						 quote_literal_cstr(migration->name))));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for migration \"%s\"", migration->name),
			 errdetail("It has no table, and was created by role \"%s\".",
					   migration->created_by),
			 errhint("Use SET ROLE to become that role, or a member of it.")));
}

void
migration_check_rights(const Migration *migration, MigrationRight right)
{
	Oid			relid;

	if (migration_role_may_act(migration, GetUserId()) ||
		(right == RIGHT_TO_ABORT && authority_owns_database()))
		return;
	relid = find_table_of_other_owner(migration, GetUserId());
	if (OidIsValid(relid))
		deny_for_table(migration, relid);
	deny_for_creator(migration);
}

static bool
may_repeat_script(const Migration *migration)
{
	List	   *owners;
	ListCell   *lc;

	if (OidIsValid(migration->creator) &&
		is_member_of_role_nosuper(GetUserId(), migration->creator))
		return true;
	if (migration->phase != PHASE_DONE)
		return false;
	owners = owners_of_tables(migration);
	foreach(lc, owners)
	{
		if (!is_member_of_role_nosuper(GetUserId(), lfirst_oid(lc)))
			return false;
	}
	return owners != NIL;
}

/* Returns the possible remedies for the caller. */
static char *
hint_for_repeat(const Migration *migration)
{
	bool		may_become = OidIsValid(migration->creator) &&
	compat_can_set_role(GetSessionUserId(), migration->creator);
	bool		may_end = migration->phase != PHASE_DONE &&
	(migration_role_may_act(migration, GetUserId()) ||
	 authority_owns_database());

	if (!may_become && !may_end && OidIsValid(migration->creator))
		return psprintf("Choose another name; only a role that may SET ROLE %s can continue this one.",
						quote_identifier(migration->created_by));
	if (!may_become && !may_end)
		return "Choose another name.";
	return psprintf("%s%sor choose another name.",
					may_become ? psprintf("Run SET ROLE %s; to continue it, ",
										  quote_identifier(migration->created_by)) : "",
					may_end ? psprintf("%s CALL tandem.abort(%s); to end it, ",
									   may_become ? "run" : "Run",
									   quote_literal_cstr(migration->name)) : "");
}

void
migration_check_repeat(const Migration *migration)
{
	const char *hint;

	if (may_repeat_script(migration))
		return;
	hint = hint_for_repeat(migration);
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("migration \"%s\" already exists and belongs to another role",
					migration->name),
			 OidIsValid(migration->creator)
			 ? errdetail("It was created by role \"%s\", which is not granted to role \"%s\".",
						 migration->created_by,
						 GetUserNameFromId(GetUserId(), false))
			 : errdetail("The role that created it is gone."),
			 errhint("%s", hint)));
}

/*-------------------------------------------------------------------------
 * What is kept of ended migrations, and its deletion.
 *-------------------------------------------------------------------------
 */

/* limit per call, so that the call which does this stays short */
#define MOST_AT_ONCE 100

static void
delete_rows_of_migration(int id, const char *sql)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, id);
	(void) query_run(&query, sql);
	query_end(&query);
}

static void
delete_migration_steps(int id)
{
	delete_rows_of_migration(id, "DELETE FROM tandem.step WHERE migration = $1");
}

static void
delete_migration_parts(int id)
{
	migration_forget_rows(id);
	delete_migration_steps(id);
	delete_rows_of_migration(id, "DELETE FROM tandem.owned_column WHERE migration = $1");
	delete_rows_of_migration(id, "DELETE FROM tandem.after_switch WHERE migration = $1");
	delete_rows_of_migration(id, "DELETE FROM tandem.operation WHERE migration = $1");
	delete_rows_of_migration(id, "DELETE FROM tandem.sync WHERE migration = $1");
}

static void
delete_migration(int id)
{
	delete_migration_parts(id);
	delete_rows_of_migration(id, "DELETE FROM tandem.migration WHERE id = $1");
}

static bool
migration_has_parts(int id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, id);
	return query_end_found(&query, query_run_latest(&query,
													"SELECT FROM tandem.sync WHERE migration = $1 "
													"UNION ALL SELECT FROM tandem.owned_column WHERE migration = $1 "
													"UNION ALL SELECT FROM tandem.after_switch WHERE migration = $1 "
													"UNION ALL SELECT FROM tandem.operation WHERE migration = $1 "
													"UNION ALL SELECT FROM tandem.step WHERE migration = $1 "
													"UNION ALL SELECT FROM tandem.event WHERE migration = $1 LIMIT 1"));
}

void
migration_begin_empty(const Migration *migration)
{
	migration_lock_new();
	if (!migration_has_parts(migration->id))
		return;
	delete_migration_parts(migration->id);
	delete_rows_of_migration(migration->id,
							 "DELETE FROM tandem.event WHERE migration = $1");
}

/* Locks until the end of the transaction, against migration_forget_old. */
static bool
lock_migration_row(int id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, id);
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM tandem.migration WHERE id = $1 FOR UPDATE SKIP LOCKED"));
}

void
migration_forget(const Migration *migration)
{
	if (!lock_migration_row(migration->id))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("migration \"%s\" is being removed by another session",
						migration->name),
				 errhint("Let that session commit, then run SELECT * FROM tandem.migrations;")));
	if (migration->phase == PHASE_ABORTED || migration->release == 0)
	{
		delete_migration(migration->id);
		return;
	}
	migration_forget_rows(migration->id);
	delete_migration_steps(migration->id);
	delete_rows_of_migration(migration->id,
							 "UPDATE tandem.migration SET forgotten = true, settings = '{}', hold_by = NULL, hold_owner = NULL, "
							 "hold_path = NULL, run_as = NULL, paused_by = NULL WHERE id = $1");
}

/* Returns the migrations to be deleted, locked. */
static List *
list_old_migrations(bool aborted)
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

	/*
	 * in such a transaction a row deleted by another session would be an
	 * error
	 */
	if (setting_forget_after == 0 || IsolationUsesXactSnapshot())
		return;
	foreach(lc, list_old_migrations(true))
		delete_migration(lfirst_int(lc));
	foreach(lc, list_old_migrations(false))
		delete_rows_of_migration(lfirst_int(lc),
								 "DELETE FROM tandem.step WHERE migration = $1 AND object IS NULL");
}
