/*
 * authority.c
 *		Under whose rights and which search_path a piece of work runs.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "core/extension.h"
#include "core/authority.h"

#define PINNED_SEARCH_PATH "pg_catalog, pg_temp"

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
		  PINNED_SEARCH_PATH);
}

void
authority_enter_owner(AuthorityScope *scope, Relation rel,
					  const char *search_path)
{
	enter(scope, rel->rd_rel->relowner, SECURITY_RESTRICTED_OPERATION,
		  search_path);
}

bool
authority_enter_owner_of(AuthorityScope *scope, Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		return false;
	enter(scope, ((Form_pg_class) GETSTRUCT(tuple))->relowner,
		  SECURITY_RESTRICTED_OPERATION, NULL);
	ReleaseSysCache(tuple);
	return true;
}

void
authority_pin_search_path(AuthorityScope *scope)
{
	enter(scope, GetUserId(), 0, PINNED_SEARCH_PATH);
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

void
authority_check_owner(Oid relid)
{
	if (!compat_is_table_owner(relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table \"%s\"", get_rel_name(relid)),
				 errhint("Call it as the owner of the table, or as a member of that role.")));
}
