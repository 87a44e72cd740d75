/*
 * hint.c
 *		A hint for errors of the server, which has few.
 */
#include "postgres.h"

#include "core/error_class.h"
#include "core/hint.h"

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
	if (error->hint == NULL && error_is_mistake(error))
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
