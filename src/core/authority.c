/*
 * authority.c
 *		Who may act, with whose rights work is done, and roles stored in
 *		tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "core/authority.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/sql_function.h"
#include "core/text.h"

typedef struct RoleReference
{
	Oid			role;
	const char *name;			/* when it was recorded */
	const char *cluster;		/* result of role_reference_cluster */
} RoleReference;

/*-------------------------------------------------------------------------
 * Who may act, and the role and search_path with which work is done.
 *-------------------------------------------------------------------------
 */

static bool session_is_borrowed = false;

/* what authority_path_of_role appends */
#define LAST_IN_PATH ", pg_temp"

static void
set_for_scope(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Returns the path with the temporary schema last.  If the path does not
 * mention it, the server looks there first for tables.  Then a temporary view
 * of the session could take the place of a table, and its functions would run
 * with the rights of the scope.
 */
char *
authority_path_of_role(const char *search_path)
{
	List	   *schemas;
	ListCell   *lc;
	StringInfoData path;

	initStringInfo(&path);
	/* invalid lists are rejected where they are set */
	if (!SplitIdentifierString(pstrdup(search_path), ',', &schemas))
		return pstrdup(search_path);
	foreach(lc, schemas)
	{
		if (strcmp(lfirst(lc), "pg_temp") != 0)
			appendStringInfo(&path, "%s, ", quote_identifier(lfirst(lc)));
	}
	appendStringInfoString(&path, "pg_temp");
	return path.data;
}

static void
enter_scope_as_user(AuthorityScope *scope, Oid userid, int context,
					const char *search_path)
{
	GetUserIdAndSecContext(&scope->userid, &scope->context);
	if (session_is_borrowed)
		context |= SECURITY_RESTRICTED_OPERATION;
	SetUserIdAndSecContext(userid, scope->context | context);
	scope->settings_level = NewGUCNestLevel();
	if (search_path)
		set_for_scope("search_path", search_path);
}

Oid
authority_owner_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/* The owner of the extension's tables. */
static Oid
extension_owner(void)
{
	Oid			owner = authority_owner_of(extension_relation("migration", false));

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table tandem.migration does not exist"),
				 errhint("Run CREATE EXTENSION pg_tandem in this database.")));
	return owner;
}

void
authority_enter_extension(AuthorityScope *scope)
{
	enter_scope_as_user(scope, extension_owner(), SECURITY_LOCAL_USERID_CHANGE,
						AUTHORITY_PINNED_PATH);
}

/*
 * Returns the path in force, as long as who chose it has the rights of role;
 * otherwise its functions would run with those.
 */
static const char *
path_in_force_for(Oid role)
{
	return has_privs_of_role(GetUserId(), role) ? namespace_search_path
		: AUTHORITY_PINNED_PATH;
}

void
authority_enter_role(AuthorityScope *scope, Oid role, const char *search_path)
{
	if (search_path)
		search_path = authority_path_of_role(search_path);
	else if (path_in_force_for(role) != namespace_search_path)
		search_path = AUTHORITY_PINNED_PATH;
	enter_scope_as_user(scope, role, SECURITY_RESTRICTED_OPERATION,
						search_path);
}

/*
 * Does the session look names up as under search_path already?  A fill has
 * entered a scope with it.  A writer may have it but for the temporary schema,
 * which is looked at first then; as long as the session has none, it is the
 * same, and what runs in a security-restricted operation makes none.
 */
static bool
path_is_in_effect(const char *search_path)
{
	size_t		length = strlen(namespace_search_path);
	Oid			temporary;
	Oid			temporary_toast;

	if (strncmp(search_path, namespace_search_path, length) != 0)
		return false;
	if (search_path[length] == '\0')
		return true;
	GetTempNamespaceState(&temporary, &temporary_toast);
	return !OidIsValid(temporary) &&
		strcmp(search_path + length, LAST_IN_PATH) == 0;
}

void
authority_enter_path(AuthorityScope *scope, const char *search_path)
{
	/* what a function sets must not outlive it */
	scope->settings_level = NewGUCNestLevel();
	if (!path_is_in_effect(search_path))
		set_for_scope("search_path", search_path);
}

void
authority_enter_owner(AuthorityScope *scope, Relation rel,
					  const char *search_path)
{
	authority_enter_role(scope, authority_table_owner(RelationGetRelid(rel)),
						 search_path);
}

bool
authority_enter_owner_of(AuthorityScope *scope, Oid relid)
{
	Oid			owner = authority_table_owner(relid);

	if (!OidIsValid(owner))
		return false;
	authority_enter_role(scope, owner, NULL);
	return true;
}

bool
authority_enter_for(AuthorityScope *scope, Oid relid, const char *search_path)
{
	Oid			owner = authority_owner_of(relid);

	if (!OidIsValid(owner) || has_privs_of_role(GetUserId(), owner))
		return false;
	authority_enter_role(scope, owner, search_path);
	return true;
}

void
authority_pin_search_path(AuthorityScope *scope)
{
	enter_scope_as_user(scope, GetUserId(), 0, AUTHORITY_PINNED_PATH);
}

/* the path first, see authority_note_caller */
static const char *const pinned_settings[AUTHORITY_PINNED_SETTINGS][2] = {
	{"search_path", AUTHORITY_PINNED_PATH},
	{"standard_conforming_strings", "on"},
	{"array_nulls", "on"},
	{"datestyle", "ISO"},
	{"intervalstyle", "postgres"},
	{"extra_float_digits", "1"},
	{"lc_monetary", "C"},
	{"xmloption", "content"},
};

void
authority_pin_text_forms(void)
{
	for (int i = 1; i < AUTHORITY_PINNED_SETTINGS; i++)
		set_for_scope(pinned_settings[i][0], pinned_settings[i][1]);
}

void
authority_note_caller(CallerSettings *caller, Oid role)
{
	for (int i = 1; i < AUTHORITY_PINNED_SETTINGS; i++)
		caller->values[i] = pstrdup(GetConfigOption(pinned_settings[i][0],
													false, false));
	caller->values[0] = role == GetUserId()
		? pstrdup(namespace_search_path)
		: authority_path_of_role(path_in_force_for(role));
}

/* Does the function have a SET of its own for the setting? */
static bool
function_sets(List *settings, const char *name)
{
	size_t		length = strlen(name);
	ListCell   *lc;

	foreach(lc, settings)
	{
		const char *setting = lfirst(lc);

		if (pg_strncasecmp(setting, name, length) == 0 &&
			setting[length] == '=')
			return true;
	}
	return false;
}

void
authority_take_caller(const CallerSettings *caller, List *except)
{
	for (int i = 0; i < AUTHORITY_PINNED_SETTINGS; i++)
	{
		if (!function_sets(except, pinned_settings[i][0]))
			set_for_scope(pinned_settings[i][0], caller->values[i]);
	}
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
authority_pin_index_scans(void)
{
	set_for_scope("enable_seqscan", "off");
}

void
authority_pin_uncompiled(void)
{
	set_for_scope("jit", "off");
}

void
authority_pin_small_tables(void)
{
	set_for_scope("work_mem", "256kB");
}

void
authority_pin_lock_timeout(void)
{
	set_for_scope("lock_timeout", psprintf("%d", setting_lock_timeout));
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

bool
authority_owns_database(void)
{
	/*
	 * the server treats the owner of the database as the member of that role
	 */
	return has_privs_of_role(GetUserId(), ROLE_PG_DATABASE_OWNER);
}

Oid
authority_database_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID,
										ObjectIdGetDatum(MyDatabaseId));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
		ReleaseSysCache(tuple);
	}
	return owner;
}

void
authority_check_owner(Oid relid)
{
	if (!compat_is_table_owner(relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table \"%s\"", quoting_shown_name(relid)),
				 errhint("Call it as the owner of the table, or as a member of that role.")));
}

/* Returns InvalidOid if there is no such relation. */
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
	return relation_owner(table_root(relid));
}

void
authority_check_partition(Oid relid)
{
	Oid			owner = authority_table_owner(relid);

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u was dropped meanwhile", relid),
				 errhint("Call it again: it continues without that table.")));
	if (!compat_is_table_owner(relid, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("partition \"%s\" is not owned by the owner of its partitioned table",
						quoting_shown_name(relid)),
				 errdetail("It is owned by \"%s\", the partitioned table by \"%s\".",
						   GetUserNameFromId(relation_owner(relid), false),
						   GetUserNameFromId(owner, false)),
				 errhint("Run ALTER TABLE %s OWNER TO %s; then call it again.",
						 quoting_relation(relid),
						 quote_identifier(GetUserNameFromId(owner, false)))));
}

/* Has the session no other rights than those of the role? */
static bool
session_has_only_rights_of(Oid role)
{
	Oid			userid;
	int			context;

	GetUserIdAndSecContext(&userid, &context);
	return context == 0 && !session_is_borrowed && userid == role &&
		GetSessionUserId() == role && GetAuthenticatedUserId() == role;
}

void
authority_enter_stored(AuthorityScope *scope, Oid relid,
					   const char *search_path)
{
	Oid			owner;

	authority_check_partition(relid);
	owner = authority_table_owner(relid);
	enter_scope_as_user(scope, owner,
						session_has_only_rights_of(owner) ? 0 : SECURITY_RESTRICTED_OPERATION,
						search_path);
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

/*-------------------------------------------------------------------------
 * References to roles in the tandem tables.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_refer_to_role);
SQL_FUNCTION(tandem_role_of);
SQL_FUNCTION(tandem_role_name);

/* attributes of tandem.role_reference */
enum
{
	REFERENCE_ROLE = 1,
	REFERENCE_NAME,
	REFERENCE_CLUSTER,
	REFERENCE_ATTRIBUTES = REFERENCE_CLUSTER
};

/* A role's name has the encoding of the database in which it was created. */
static const char *
valid_role_name(Oid role, bool missing_ok)
{
	return text_valid(GetUserNameFromId(role, missing_ok));
}

/*
 * Returns the identifier of this cluster, palloc'd.  It changes by pg_upgrade
 * and restore.
 */
static char *
role_reference_cluster(void)
{
	return psprintf(UINT64_FORMAT, GetSystemIdentifier());
}

/*
 * Returns the referenced role: the one with that OID, if the reference was
 * made in this cluster or if the role still has that name.  So a renamed role
 * keeps what it has, and a role that gets the name of another one gains
 * nothing.  Otherwise returns InvalidOid.
 */
static Oid
role_reference_resolve(const RoleReference *reference)
{
	const char *name = valid_role_name(reference->role, true);

	if (name == NULL)
		return InvalidOid;
	if (strcmp(reference->cluster, role_reference_cluster()) != 0 &&
		strcmp(reference->name, name) != 0)
		return InvalidOid;
	return reference->role;
}

/* Returns false if an attribute is NULL, which only a superuser can store. */
static bool
read_role_reference(HeapTupleHeader tuple, RoleReference *reference)
{
	bool		nulls[REFERENCE_ATTRIBUTES];
	Datum		role = GetAttributeByNum(tuple, REFERENCE_ROLE, &nulls[0]);
	Datum		name = GetAttributeByNum(tuple, REFERENCE_NAME, &nulls[1]);
	Datum		cluster = GetAttributeByNum(tuple, REFERENCE_CLUSTER, &nulls[2]);

	if (nulls[0] || nulls[1] || nulls[2])
		return false;
	reference->role = DatumGetObjectId(role);
	reference->name = pstrdup(NameStr(*DatumGetName(name)));
	reference->cluster = TextDatumGetCString(cluster);
	return true;
}

Oid
role_reference_of_value(Datum value)
{
	RoleReference reference;

	return read_role_reference(DatumGetHeapTupleHeader(value), &reference)
		? role_reference_resolve(&reference) : InvalidOid;
}

Datum
role_reference_value(Oid role, TupleDesc desc)
{
	Datum		values[REFERENCE_ATTRIBUTES];
	bool		nulls[REFERENCE_ATTRIBUTES] = {false};

	values[0] = ObjectIdGetDatum(role);
	values[1] = DirectFunctionCall1(namein,
									CStringGetDatum(valid_role_name(role,
																	false)));
	values[2] = CStringGetTextDatum(role_reference_cluster());
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

Datum
tandem_refer_to_role(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("return type of tandem.refer_to_role must be a row type")));
	PG_RETURN_DATUM(role_reference_value(PG_GETARG_OID(0),
										 BlessTupleDesc(desc)));
}

Datum
tandem_role_of(PG_FUNCTION_ARGS)
{
	Oid			role = role_reference_of_value(PG_GETARG_DATUM(0));

	if (!OidIsValid(role))
		PG_RETURN_NULL();
	PG_RETURN_OID(role);
}

Datum
tandem_role_name(PG_FUNCTION_ARGS)
{
	RoleReference reference;
	const char *name;
	Oid			role;

	if (!read_role_reference(PG_GETARG_HEAPTUPLEHEADER(0), &reference))
		PG_RETURN_NULL();
	role = role_reference_resolve(&reference);
	name = OidIsValid(role) ? valid_role_name(role, true) : reference.name;
	PG_RETURN_DATUM(DirectFunctionCall1(namein, CStringGetDatum(name)));
}
