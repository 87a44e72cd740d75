/*
 * lint_text.c
 *		Texts of findings: names, types and clauses of the script, as a call of pg_tandem
 *		needs them.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
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

static bool
is_word_character(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

/*
 * From a place on, where the text has a comma, the end of what encloses it, or the word, if
 * one is given.  Not within quotes and parentheses.
 */
static int
clause_end(const char *text, int from, int length, const char *word)
{
	char		quote = '\0';
	int			depth = 0;
	int			at;

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
		if (quote || depth > 0)
			continue;
		if (c == ',' || depth < 0)
			break;
		if (word && pg_strncasecmp(text +at, word, strlen(word)) == 0 &&
			(at == 0 || !is_word_character(text[at - 1])) && !is_word_character(text[at + strlen(word)]))
			break;
	}
	return at;
}

static int
text_length(const char *text, int from, int end)
{
	return end > from ? end : (int) strlen(text);
}

char *
lint_clause_text(const Lint *lint, int from, int end)
{
	const char *text = lint->statement->text;
	int			length = text_length(text, from, end);
	int			at;

	if (from < 0 || from >= length)
		return "...";
	from += strspn(text +from, " \t\r\n");
	at = clause_end(text, from, length, NULL);
	while (at > from && isspace((unsigned char) text[at - 1]))
		at--;
	return pnstrdup(text +from, at - from);
}

char *
lint_text_behind(const Lint *lint, int from, const char *word, int end)
{
	const char *text = lint->statement->text;
	int			at;

	if (from < 0)
		return "...";
	at = clause_end(text, from, text_length(text, from, end), word);
	return lint_clause_text(lint, pg_strncasecmp(text +at, word, strlen(word)) == 0 ? at + (int) strlen(word) : -1, end);
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

char *
lint_default_text(const Lint *lint, const ColumnDef *column, const Constraint *given)
{
	int			end = -1;
	ListCell   *lc;

	foreach(lc, column->constraints)
	{
		int			location = lfirst_node(Constraint, lc)->location;

		if (location > given->location && (end < 0 || location < end))
			end = location;
	}
	return lint_text_behind(lint, given->location, "DEFAULT", end);
}

/* GENERATED ALWAYS AS (expression) STORED */
char *
lint_generated_text(const Lint *lint, const Constraint *generated)
{
	char	   *clause = lint_text_behind(lint, generated->location, "AS", -1);

	return clause[0] == '(' ? pnstrdup(clause + 1, clause_end(clause, 1, (int) strlen(clause), NULL) - 1) : clause;
}

/* The columns that a constraint names, as the server names it after them. */
static char *
names_of_columns(List *columns)
{
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, columns)
		appendStringInfo(&names, "%s%s", names.len > 0 ? "_" : "", strVal(lfirst(lc)));
	return names.len > 0 ? names.data : NULL;
}

/* A name that is free; for a constraint without one. */
static char *
constraint_name(const Lint *lint, const Constraint *constraint)
{
	const char *table = lint->table->name;
	Oid			schema = get_namespace_oid(lint->table->schema, true);

	if (constraint->conname)
		return constraint->conname;
	switch (constraint->contype)
	{
		case CONSTR_FOREIGN:
			return ChooseConstraintName(table, names_of_columns(constraint->fk_attrs), "fkey", schema, NIL);
		case CONSTR_UNIQUE:
			return ChooseRelationName(table, names_of_columns(constraint->keys), "key", schema, true);
		case CONSTR_PRIMARY:
			return ChooseRelationName(table, NULL, "pkey", schema, true);
		default:
			return ChooseConstraintName(table, NULL, "check", schema, NIL);
	}
}

char *
lint_constraint_advice(const Lint *lint, const Constraint *constraint)
{
	return psprintf("SELECT tandem.add_constraint('m', %s, %s, %s);", lint_table_literal(lint->table),
					lint_literal(constraint_name(lint, constraint)), lint_literal(constraint_text(lint, constraint)));
}
