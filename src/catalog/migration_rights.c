/*
 * migration_rights.c
 *		Who may act on a migration.
 *
 * It is asked at each call, of the catalogs as they are then, before a lock is
 * taken that others would wait for, and again once it is had.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/migration_rights.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/quoting.h"

/*
 * The tables of a migration that are there, with all their partitions, as the
 * server asks for the rights of the owner of each when the table is altered.
 */
#define TABLES_OF_MIGRATION \
	"WITH RECURSIVE t (relation) AS ((SELECT relation::oid FROM tandem.sync WHERE migration = $1 " \
	"UNION SELECT relation::oid FROM tandem.owned_column WHERE migration = $1 " \
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
	bool		has;

	query_begin(&query);
	query_int(&query, migration->id);
	has = query_run_latest(&query, TABLES_OF_MIGRATION "SELECT FROM t LIMIT 1") > 0;
	query_end(&query);
	return has;
}

/* A table whose owner's rights the role has not, for the error. */
static Oid
table_of_others(const Migration *migration, Oid role)
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
has_rights_of_all(Oid role, List *owners)
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
		return has_rights_of_all(role, owners);
	return OidIsValid(migration->creator) &&
		has_privs_of_role(role, migration->creator);
}

static void
deny_table(const Migration *migration, Oid relid)
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
deny_creator(const Migration *migration)
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
	relid = table_of_others(migration, GetUserId());
	if (OidIsValid(relid))
		deny_table(migration, relid);
	deny_creator(migration);
}

static bool
may_repeat(const Migration *migration)
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

/* The ways out that work for the caller. */
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

	if (may_repeat(migration))
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
