/*
 * arguments.c
 *		Arguments of the SQL functions; a missing one is an error.
 */
#include "postgres.h"

#include "nodes/parsenodes.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "catalog/operation.h"
#include "catalog/release_view.h"
#include "core/query.h"
#include "core/text.h"

static void
check_argument_given(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name),
				 errhint("See the signature with psql: \\df tandem.*")));
}

char *
argument_text(FunctionCallInfo fcinfo, int n, const char *name)
{
	check_argument_given(fcinfo, n, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

char *
argument_name(FunctionCallInfo fcinfo, int n, const char *name)
{
	check_argument_given(fcinfo, n, name);
	return pstrdup(NameStr(*PG_GETARG_NAME(n)));
}

char *
argument_optional_text(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

List *
argument_strings(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NIL : strings_from_array(PG_GETARG_DATUM(n));
}

Oid
argument_relation(FunctionCallInfo fcinfo, int n)
{
	char	   *text = argument_text(fcinfo, n, "relation");
	Oid			relid = operation_table_called(quoting_parse_name(text), argument_text(fcinfo, 0, "migration"), 0);

	return OidIsValid(relid) ? relid : release_view_table(quoting_resolve_relation(text));
}

bool
argument_bool(FunctionCallInfo fcinfo, int n, const char *name)
{
	check_argument_given(fcinfo, n, name);
	return PG_GETARG_BOOL(n);
}

int
argument_release(FunctionCallInfo fcinfo, int n)
{
	int			release;

	check_argument_given(fcinfo, n, "release");
	release = PG_GETARG_INT32(n);
	if (release <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("release must be a positive integer, not %d", release),
				 errhint("Give the number of the application's release.")));
	return release;
}

bool
procedure_may_commit(FunctionCallInfo fcinfo)
{
	CallContext *context = (CallContext *) fcinfo->context;

	return context && IsA(context, CallContext) && !context->atomic;
}
