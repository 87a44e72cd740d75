/*
 * error.c
 *		Classifies caught errors, and adds hints when they are thrown again.
 */
#include "postgres.h"

#include "core/error.h"

/*-------------------------------------------------------------------------
 * Classification of errors: the only list of SQLSTATEs.
 *-------------------------------------------------------------------------
 */

bool
error_passes_with_others(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK;
}

bool
error_passes_by_itself(const ErrorData *error)
{
	return error_passes_with_others(error) ||
		error->sqlerrcode == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED ||
		error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		error->sqlerrcode == ERRCODE_OBJECT_IN_USE;
}

bool
error_is_intervention(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION;
}

bool
error_is_of_row(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return false;
	}
	return error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE;
}

bool
error_code_is_unfit_value(int code)
{
	switch (code)
	{
		case ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE:
		case ERRCODE_STRING_DATA_RIGHT_TRUNCATION:
		case ERRCODE_STRING_DATA_LENGTH_MISMATCH:
		case ERRCODE_DATETIME_VALUE_OUT_OF_RANGE:
		case ERRCODE_INTERVAL_FIELD_OVERFLOW:
		case ERRCODE_INVALID_TEXT_REPRESENTATION:
		case ERRCODE_INVALID_DATETIME_FORMAT:
			/* of a domain */
		case ERRCODE_CHECK_VIOLATION:
		case ERRCODE_NOT_NULL_VIOLATION:
			return true;
	}
	return false;
}

/* Was the error caused by the user's statement or the values in it? */
static bool
error_is_mistake(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_INVALID_SCHEMA_NAME:
			return true;
	}
	return false;
}

/*-------------------------------------------------------------------------
 * Adding hints to errors of the server, most of which have none.
 *-------------------------------------------------------------------------
 */

void
rethrow_with_hint(MemoryContext context, const char *hint)
{
	rethrow_with_hints(context, hint, hint);
}

void
rethrow_with_hints(MemoryContext context, const char *hint,
				   const char *privilege_hint)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	/* before the flush: the hints may have been made in ErrorContext */
	if (error->hint == NULL && error_is_mistake(error))
		error->hint = pstrdup(error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE
							  ? privilege_hint : hint);
	FlushErrorState();
	ReThrowError(error);
}

void
rethrow_explained(MemoryContext context, bool replaces, const char *hint)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (error_passes_with_others(error) || error_is_intervention(error) ||
		(error->hint && !replaces))
		PG_RE_THROW();
	/* before the flush: the hint may have been made in ErrorContext */
	error->hint = pstrdup(hint);
	FlushErrorState();
	ReThrowError(error);
}

void
error_position_in(const char *text)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(text);
	}
}
