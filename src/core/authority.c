/*
 * authority.c
 *		Under whose rights and which search_path a piece of work runs.
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "core/extension.h"
#include "core/authority.h"
#include "core/quoting.h"
#include "core/settings.h"

static bool session_is_borrowed = false;

static void
set_for_scope(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static void
enter(AuthorityScope *scope, Oid userid, int context, const char *search_path)
{
	GetUserIdAndSecContext(&scope->userid, &scope->context);
	if (session_is_borrowed)
		context |= SECURITY_RESTRICTED_OPERATION;
	SetUserIdAndSecContext(userid, scope->context | context);
	scope->settings_level = NewGUCNestLevel();
	if (search_path)
		set_for_scope("search_path", search_path);
}

/* The extension's owner is the owner of its tables. */
static Oid
extension_owner(void)
{
	Oid			relid = extension_relation("migration", false);
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table tandem.migration does not exist"),
				 errhint("CREATE EXTENSION pg_tandem in this database.")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
authority_enter_extension(AuthorityScope *scope)
{
	enter(scope, extension_owner(), SECURITY_LOCAL_USERID_CHANGE,
		  AUTHORITY_PINNED_PATH);
}

/*
 * A session's temporary relations and types come first in its search_path
 * unless pg_temp is named: what is stored never means them.
 */
static const char *
with_temp_last(const char *search_path)
{
	if (search_path == NULL)
		return NULL;
	return search_path[0] == '\0' ? "pg_temp"
		: psprintf("%s, pg_temp", search_path);
}

void
authority_enter_owner(AuthorityScope *scope, Relation rel,
					  const char *search_path)
{
	enter(scope, authority_table_owner(RelationGetRelid(rel)),
		  SECURITY_RESTRICTED_OPERATION, with_temp_last(search_path));
}

bool
authority_enter_owner_of(AuthorityScope *scope, Oid relid)
{
	Oid			owner = authority_table_owner(relid);

	if (!OidIsValid(owner))
		return false;
	enter(scope, owner, SECURITY_RESTRICTED_OPERATION, NULL);
	return true;
}

void
authority_enter_role(AuthorityScope *scope, Oid role)
{
	enter(scope, role, SECURITY_RESTRICTED_OPERATION, NULL);
}

void
authority_pin_search_path(AuthorityScope *scope)
{
	enter(scope, GetUserId(), 0, AUTHORITY_PINNED_PATH);
}

void
authority_pin_text_forms(void)
{
	set_for_scope("standard_conforming_strings", "on");
	set_for_scope("array_nulls", "on");
	set_for_scope("datestyle", "ISO");
	set_for_scope("intervalstyle", "postgres");
	set_for_scope("extra_float_digits", "1");
}

void
authority_pin_catalog_forms(void)
{
	authority_pin_text_forms();
	set_for_scope("timezone", "UTC");
	set_for_scope("bytea_output", "hex");
	set_for_scope("quote_all_identifiers", "off");
}

void
authority_pin_tablespace(void)
{
	set_for_scope("default_tablespace", "");
}

void
authority_pin_lock_timeout(void)
{
	set_for_scope("lock_timeout", psprintf("%d", setting_lock_timeout));
}

void
authority_see_all_rows(void)
{
	Oid			userid;
	int			context;

	GetUserIdAndSecContext(&userid, &context);
	SetUserIdAndSecContext(userid, context | SECURITY_NOFORCE_RLS);
}

void
authority_leave(AuthorityScope *scope)
{
	AtEOXact_GUC(false, scope->settings_level);
	SetUserIdAndSecContext(scope->userid, scope->context);
}

bool
authority_is_granted(Oid role)
{
	return OidIsValid(role) && is_member_of_role_nosuper(GetUserId(), role);
}

void
authority_check_owner(Oid relid)
{
	if (!compat_is_table_owner(relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table \"%s\"", get_rel_name(relid)),
				 errhint("Call it as the owner of the table, or as a member of that role.")));
}

/* InvalidOid: there is no such relation. */
static Oid
relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

Oid
authority_table_owner(Oid relid)
{
	List	   *ancestors = get_rel_relispartition(relid)
	? get_partition_ancestors(relid) : NIL;

	return relation_owner(ancestors == NIL ? relid : llast_oid(ancestors));
}

void
authority_check_partition(Oid relid)
{
	Oid			owner = authority_table_owner(relid);

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u was dropped meanwhile", relid),
				 errhint("Call it again: it goes on without that table.")));
	if (!compat_is_table_owner(relid, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("partition \"%s\" is not owned by the owner of its partitioned table",
						get_rel_name(relid)),
				 errdetail("It is owned by \"%s\", the partitioned table by \"%s\".",
						   GetUserNameFromId(relation_owner(relid), false),
						   GetUserNameFromId(owner, false)),
				 errhint("ALTER TABLE %s OWNER TO %s; then call it again.",
						 quoting_relation(relid),
						 quote_identifier(GetUserNameFromId(owner, false)))));
}

/* Whether the session has no rights but those of the role. */
static bool
session_is_of(Oid role)
{
	Oid			userid;
	int			context;

	GetUserIdAndSecContext(&userid, &context);
	return context == 0 && !session_is_borrowed && userid == role &&
		GetSessionUserId() == role && GetAuthenticatedUserId() == role;
}

void
authority_enter_stored(AuthorityScope *scope, Oid relid)
{
	Oid			owner;

	authority_check_partition(relid);
	owner = authority_table_owner(relid);
	enter(scope, owner,
		  session_is_of(owner) ? 0 : SECURITY_RESTRICTED_OPERATION,
		  AUTHORITY_PINNED_PATH);
}

void
authority_borrow_session(Oid role)
{
	SetUserIdAndSecContext(role, 0);
	session_is_borrowed = true;
}

bool
authority_session_is_borrowed(void)
{
	return session_is_borrowed;
}
