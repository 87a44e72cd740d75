/*
 * unfit_value.c
 *		The error of a writer whose value the old type of a column cannot hold.
 *
 * Until contract each row is written for both releases.  The server's error speaks of
 * a type that the new release does not know.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/error.h"
#include "core/text.h"
#include "row/unfit_value.h"

static bool
column_is_integer(const RuleColumn *column)
{
	switch (getBaseType(column->att->atttypid))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return true;
	}
	return false;
}

static void
give_hint(const RowState *state, const CompiledRule *rule, const RuleColumn *column)
{
	const char *migration = quote_literal_cstr(rule->source->migration);

	if (column_is_integer(column))
		errhint("Write such values after CALL tandem.contract(%s). If a sequence gives them, SELECT * FROM tandem.keys WHERE relation = %s::regclass AND column_name = %s; tells how much room is left.",
				migration, quote_literal_cstr(quoting_relation(state->rules->root)),
				quote_literal_cstr(NameStr(column->att->attname)));
	else
		errhint("Write such values after CALL tandem.contract(%s).", migration);
}

/*
 * The catalogs may be read here: the error is one of a value, so the transaction and
 * the caches are as they should be.
 */
void
unfit_value_explain(const RowState *state, const CompiledRule *rule,
					const RuleColumn *column)
{
	MemoryContext caller;
	ErrorData  *error;

	if (!error_code_is_unfit_value(geterrcode()))
		return;
	/* the server does not let the error be copied where it is made */
	caller = MemoryContextSwitchTo(state->econtext->ecxt_per_tuple_memory);
	error = CopyErrorData();
	/* with a hint: of a function of the user's, or of a write within down */
	if (error->elevel >= ERROR && error->hint == NULL)
	{
		errmsg("column \"%s\" of table \"%s\" is of type %s until contract of migration \"%s\": %s",
			   NameStr(column->att->attname), RelationGetRelationName(state->rel),
			   format_type_with_typemod(column->att->atttypid, column->att->atttypmod),
			   rule->source->migration, error->message);
		give_hint(state, rule, column);
	}
	MemoryContextSwitchTo(caller);
}
