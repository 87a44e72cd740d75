/*
 * hold_function.c
 *		Asks the user's own function whether a fill must hold.
 *
 * Whoever may configure the migration names it, and whoever may run it, a
 * superuser perhaps, would call it.  So it has the rights of the table's owner,
 * in a security-restricted operation, as up and down have.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "backfill/hold_function.h"
#include "core/authority.h"
#include "core/settings.h"

#define HINT "Set tandem.hold_function to the name of a function without arguments that returns boolean or text, or to '' for none."

static void
refuse_missing(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("function %s() does not exist", setting_hold_function),
			 errhint(HINT)));
}

static Oid
find_function(void)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(setting_hold_function));
	Oid			funcid = LookupFuncName(names, 0, NULL, true);
	Oid			type;

	if (!OidIsValid(funcid))
		refuse_missing();
	type = get_func_rettype(funcid);
	if (get_func_prokind(funcid) != PROKIND_FUNCTION ||
		get_func_retset(funcid) || (type != BOOLOID && type != TEXTOID))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s() is not a function that returns boolean or text",
						setting_hold_function),
				 errhint(HINT)));
	return funcid;
}

static char *
qualified_name(Oid funcid)
{
	char	   *schema = get_namespace_name(get_func_namespace(funcid));
	char	   *name = get_func_name(funcid);

	/* dropped since it was found */
	if (schema == NULL || name == NULL)
		refuse_missing();
	return quote_qualified_identifier(schema, name);
}

static char *
reason_of_result(Oid type, const char *function)
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
		said = psprintf("%s() says so", function);
	return psprintf("%s (%s)", said, settings_show("tandem.hold_function"));
}

static char *
ask(MemoryContext caller)
{
	Oid			funcid = find_function();
	char	   *function = qualified_name(funcid);
	char	   *reason = NULL;

	SPI_connect();
	/* SPI finds none by itself in a worker, which has no portal */
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute(psprintf("SELECT %s()", function), false, 1) == SPI_OK_SELECT &&
		SPI_processed == 1)
		reason = reason_of_result(get_func_rettype(funcid), function);
	if (reason)
		reason = MemoryContextStrdup(caller, reason);
	PopActiveSnapshot();
	SPI_finish();
	return reason;
}

/* Where a user's function fails must be told, whatever it says itself. */
static void
rethrow_named(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	error->context = psprintf("%s%standem.hold_function = %s",
							  error->context ? error->context : "",
							  error->context ? "\n" : "",
							  setting_hold_function);
	if (error->hint == NULL &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_OPERATOR_INTERVENTION)
		error->hint = pstrdup("The function that tandem.hold_function names is called as the owner of the table: mend it, or grant him what it needs, or set tandem.hold_function to ''.");
	ReThrowError(error);
}

char *
hold_function_reason(Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;
	AuthorityScope scope;
	char	   *volatile reason = NULL;

	/* a table that was dropped needs no hold */
	if (setting_hold_function[0] == '\0' ||
		!authority_enter_owner_of(&scope, relid))
		return NULL;
	PG_TRY();
	{
		reason = ask(caller);
	}
	PG_CATCH();
	{
		rethrow_named(caller);
	}
	PG_END_TRY();
	authority_leave(&scope);
	return reason;
}
