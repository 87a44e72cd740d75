/*
 * lint_text.c
 *		Texts of findings: names, types and clauses of the script, as a call of pg_tandem
 *		needs them.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"

#include "review/lint_text.h"

/*-------------------------------------------------------------------------
 * Texts.
 *-------------------------------------------------------------------------
 */

char *
lint_literal(const char *text)
{
	return quote_literal_cstr(text);
}

char *
lint_table_literal(const ScriptTable *table)
{
	return lint_literal(script_table_name(table));
}

char *
lint_type_text(const TypeName *name)
{
	int32		typmod = -1;
	Oid			type = type_of_name(name, &typmod);

	return OidIsValid(type) ? format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN)
		: TypeNameToString(name);
}

/* The text of the statement from a place to the end of what stands there: a comma, or end. */
char *
lint_clause_text(const Lint *lint, int from, int end)
{
	const char *text = lint->statement->text;
	int			length = end > from ? end : (int) strlen(text);
	int			depth = 0;
	char		quote = '\0';
	int			at;

	if (from < 0 || from >= length)
		return "...";
	for (at = from; at < length; at++)
	{
		char		c = text[at];

		if (quote)
			quote = c == quote ? '\0' : quote;
		else if (c == '\'' || c == '"')
			quote = c;
		else if (c == '(' || c == '[')
			depth++;
		else if (c == ')' || c == ']')
			depth--;
		if (!quote && ((c == ',' && depth == 0) || depth < 0))
			break;
	}
	while (at > from && isspace((unsigned char) text[at - 1]))
		at--;
	return pnstrdup(text +from, at - from);
}

/* Of a constraint, what follows its name. */
static char *
constraint_text(const Lint *lint, const Constraint *constraint)
{
	static const char *const words[] = {"CHECK", "FOREIGN", "UNIQUE", "PRIMARY", "EXCLUDE", "REFERENCES"};
	char	   *clause = lint_clause_text(lint, constraint->location, -1);
	size_t		past_name = constraint->conname ? strlen("CONSTRAINT") + strlen(constraint->conname) : 0;
	int			i;
	size_t		at;

	for (at = Min(past_name, strlen(clause)); clause[at]; at++)
		for (i = 0; i < (int) lengthof(words); i++)
			if (pg_strncasecmp(clause + at, words[i], strlen(words[i])) == 0)
				return clause + at;
	return clause;
}

/* Of a column, its default. */
char *
lint_default_text(const Lint *lint, const ColumnDef *column, const Constraint *given)
{
	int			from = exprLocation(given->raw_expr);
	int			end = -1;
	ListCell   *lc;

	foreach(lc, column->constraints)
	{
		int			location = lfirst_node(Constraint, lc)->location;

		if (location > from && (end < 0 || location < end))
			end = location;
	}
	return lint_clause_text(lint, from, end);
}

static char *
constraint_name(const Lint *lint, const Constraint *constraint)
{
	return constraint->conname ? constraint->conname : "...";
}

char *
lint_constraint_advice(const Lint *lint, const Constraint *constraint)
{
	return psprintf("SELECT tandem.add_constraint('m', %s, %s, %s);", lint_table_literal(lint->table),
					lint_literal(constraint_name(lint, constraint)), lint_literal(constraint_text(lint, constraint)));
}
