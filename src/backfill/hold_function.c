/*
 * hold_function.c
 *		Asks the user's own function whether a fill must hold.
 *
 * Whoever may run the migration, a superuser perhaps, calls it.  So it has the
 * rights of the role that configured it, in a security-restricted operation,
 * and with the search_path of the session that did.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "backfill/hold_function.h"
#include "catalog/migration_rights.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/error_class.h"
#include "core/quoting.h"
#include "core/settings.h"

#define HINT "Set tandem.hold_function to the name of a function without arguments that returns boolean or text, or to '' for none."

/* it must not lead a superuser to call a stranger's function with its own rights */
#define CONFIGURE_HINT "Run SELECT tandem.configure(%s, 'tandem.hold_function', NULL); or, instead of NULL, name a function that may have your own rights."

/* of a function that a default of the server or database names */
#define FIXED_SEARCH_PATH "pg_catalog"

static void
refuse_missing(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("function %s() does not exist", name),
			 errhint(HINT)));
}

typedef struct Hold
{
	const char *name;
	Oid			role;			/* whose rights it has */
	const char *role_name;
	const char *search_path;	/* NULL: the session's */
} Hold;

Oid
hold_function_find(const char *name)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(name));
	Oid			funcid = LookupFuncName(names, 0, NULL, true);
	Oid			type;

	if (!OidIsValid(funcid))
		refuse_missing(name);
	type = get_func_rettype(funcid);
	if (get_func_prokind(funcid) != PROKIND_FUNCTION ||
		get_func_retset(funcid) || (type != BOOLOID && type != TEXTOID))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s() is not a function that returns boolean or text",
						name),
				 errhint(HINT)));
	return funcid;
}

Oid
hold_function_owner(Oid funcid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

char *
hold_function_name(Oid funcid, const char *wanted)
{
	char	   *schema = quoting_find_schema(get_func_namespace(funcid));
	char	   *name = get_func_name(funcid);

	/* dropped since it was found */
	if (schema == NULL || name == NULL)
		refuse_missing(wanted);
	return quote_qualified_identifier(schema, name);
}

static char *
reason_of_result(const Hold *hold, Oid type, const char *function)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
									  SPI_tuptable->tupdesc, 1, &isnull);
	const char *said = "";

	if (isnull || (type == BOOLOID && !DatumGetBool(value)))
		return NULL;
	if (type == TEXTOID)
		said = TextDatumGetCString(value);
	if (said[0] == '\0')
		said = psprintf("%s() returned true", function);
	return psprintf("%s (%s = %s)", said, HOLD_FUNCTION_SETTING, hold->name);
}

static char *
call_function(const Hold *hold, Oid funcid, MemoryContext caller)
{
	char	   *function = hold_function_name(funcid, hold->name);
	char	   *reason = NULL;

	SPI_connect();
	/* SPI finds none by itself in a worker, which has no portal */
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute(psprintf("SELECT %s()", function), false, 1) == SPI_OK_SELECT &&
		SPI_processed == 1)
		reason = reason_of_result(hold, get_func_rettype(funcid), function);
	if (reason)
		reason = MemoryContextStrdup(caller, reason);
	PopActiveSnapshot();
	SPI_finish();
	return reason;
}

/*
 * Where a user's function fails must be told, whatever it says itself.  The
 * role's name is looked up before: after an error no catalog can be read.
 */
static void
rethrow_named(MemoryContext context, const Hold *hold)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	error->context = psprintf("%s%s%s = %s",
							  error->context ? error->context : "",
							  error->context ? "\n" : "",
							  HOLD_FUNCTION_SETTING, hold->name);
	if (error->hint == NULL &&
		!error_is_intervention(error))
		error->hint = psprintf("The function that tandem.hold_function names is called as role %s: fix it, or grant that role what it needs, or set tandem.hold_function to ''.",
							   quote_identifier(hold->role_name));
	ReThrowError(error);
}

/* The name may have become that of a function of somebody else. */
static void
check_same_owner(const Migration *migration, const RunControl *control,
				 const char *name, Oid funcid)
{
	if (OidIsValid(control->hold_owner) &&
		hold_function_owner(funcid) == control->hold_owner)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("function %s() has another owner than when it was configured",
					name),
			 errdetail("It would have the rights of role \"%s\".",
					   control->hold_by_name),
			 errhint(CONFIGURE_HINT, quote_literal_cstr(migration->name))));
}

static void
configured_hold(const Migration *migration, const RunControl *control,
				Hold *hold)
{
	bool		gone = !OidIsValid(control->hold_by);

	/* a dump that the owner of the database has loaded does not tell it */
	if (control->hold_by_name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("it is not known who configured tandem.hold_function for migration \"%s\"",
						migration->name),
				 errdetail("The function has the rights of that role."),
				 errhint(CONFIGURE_HINT, quote_literal_cstr(migration->name))));
	if (gone || !migration_role_may_act(migration, control->hold_by))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 gone
				 ? errmsg("role \"%s\", which configured tandem.hold_function for migration \"%s\", is gone",
						  control->hold_by_name, migration->name)
				 : errmsg("role \"%s\", which configured tandem.hold_function for migration \"%s\", may no longer act on it",
						  control->hold_by_name, migration->name),
				 errdetail("The function has the rights of that role."),
				 errhint(CONFIGURE_HINT, quote_literal_cstr(migration->name))));
	hold->role = control->hold_by;
	hold->search_path = control->hold_path;
}

/*
 * Of the session, of its role or database, of the server: as who could say so
 * there.  What a superuser says for all has the rights of the table's owner,
 * the least that serve.
 */
static void
session_hold(Oid relid, Hold *hold)
{
	struct config_generic *setting = compat_find_setting(HOLD_FUNCTION_SETTING);

	switch (setting->source)
	{
		case PGC_S_CLIENT:
		case PGC_S_OVERRIDE:
		case PGC_S_INTERACTIVE:
		case PGC_S_TEST:
		case PGC_S_SESSION:
			hold->role = setting->srole;
			break;
		case PGC_S_USER:
		case PGC_S_DATABASE_USER:
			hold->role = GetSessionUserId();
			break;
		case PGC_S_DATABASE:
			hold->role = authority_database_owner();
			break;
		default:
			hold->role = authority_owner_of(relid);
			break;
	}
	/* who set search_path may be another */
	hold->search_path = hold->role == GetUserId() ? NULL : FIXED_SEARCH_PATH;
}

static bool
find_hold(const Migration *migration, const RunControl *control, Oid relid,
		  Hold *hold)
{
	hold->name = control->hold_function ? control->hold_function
		: setting_hold_function;
	if (hold->name[0] == '\0')
		return false;
	if (control->hold_function)
		configured_hold(migration, control, hold);
	else
		session_hold(relid, hold);
	/* a table that was dropped needs no hold */
	if (!OidIsValid(hold->role))
		return false;
	hold->role_name = GetUserNameFromId(hold->role, true);
	if (hold->role_name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the role that has set tandem.hold_function is gone"),
				 errhint("Set it again, or RESET tandem.hold_function.")));
	return true;
}

char *
hold_function_reason(const Migration *migration, const RunControl *control,
					 Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;
	AuthorityScope scope;
	Hold		hold;
	char	   *volatile reason = NULL;

	if (!find_hold(migration, control, relid, &hold))
		return NULL;
	authority_enter_role(&scope, hold.role, hold.search_path);
	PG_TRY();
	{
		Oid			funcid = hold_function_find(hold.name);

		if (control->hold_function)
			check_same_owner(migration, control, hold.name, funcid);
		reason = call_function(&hold, funcid, caller);
	}
	PG_CATCH();
	{
		rethrow_named(caller, &hold);
	}
	PG_END_TRY();
	authority_leave(&scope);
	return reason;
}
