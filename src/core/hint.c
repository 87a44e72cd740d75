/*
 * hint.c
 *		A hint for errors of the server, which has few.
 */
#include "postgres.h"

#include "core/hint.h"

static bool
is_mistake_of_the_user(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
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
	FlushErrorState();
	if (error->hint == NULL && is_mistake_of_the_user(error->sqlerrcode))
		error->hint = pstrdup(error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE
							  ? privilege_hint : hint);
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
