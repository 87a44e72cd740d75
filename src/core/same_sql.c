/*
 * same_sql.c
 *		Whether two texts of SQL are the same to the parser.
 */
#include "postgres.h"

#include "nodes/parsenodes.h"

#include "core/hint.h"
#include "core/same_sql.h"

static void
parse_error(void *arg)
{
	error_position_in(arg);
}

static List *
parse(RawParseMode mode, const char *text)
{
	ErrorContextCallback callback = {error_context_stack, parse_error, unconstify(char *, text)};
	MemoryContext caller = CurrentMemoryContext;
	List	   *statements = NIL;

	PG_TRY();
	{
		error_context_stack = &callback;
		statements = raw_parser(text, mode);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller, "Correct the text, or give the one that was given first.");
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	return statements;
}

/* Without the length of the text, which RawStmt has. */
static Node *
single_statement(List *statements)
{
	return list_length(statements) == 1
		? linitial_node(RawStmt, statements)->stmt : NULL;
}

bool
same_sql(RawParseMode mode, const char *recorded, const char *given)
{
	Node	   *before;
	Node	   *now;

	if (strcmp(recorded, given) == 0)
		return true;
	now = single_statement(parse(mode, given));
	before = single_statement(parse(mode, recorded));
	return now && before && equal(now, before);
}
