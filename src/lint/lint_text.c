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
#include "parser/scanner.h"
#include "utils/builtins.h"

#include "lint/lint_text.h"

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

/*-------------------------------------------------------------------------
 * Clauses of the statement, word by word as the server's own lexer reads it.
 *-------------------------------------------------------------------------
 */

typedef struct Words
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	int			word;			/* 0: the text has ended */
	YYLTYPE		at;				/* where it begins in the text */
} Words;

static void
words_begin(Words *words, const char *text)
{
	memset(words, 0, sizeof(*words));
	words->scanner = scanner_init(text, &words->extra, &ScanKeywords, ScanKeywordTokens);
}

static bool
words_next(Words *words)
{
	core_YYSTYPE value;

	words->word = core_yylex(&value, &words->at, words->scanner);
	return words->word != 0;
}

/* The lexer has put a zero behind the word. */
static int
end_of_word(const Words *words)
{
	return words->at + (int) strlen(words->extra.scanbuf + words->at);
}

static bool
word_is(const Words *words, const char *keyword)
{
	return pg_strcasecmp(words->extra.scanbuf + words->at, keyword) == 0;
}

static bool
find_word(Words *words, const char *keyword)
{
	while (words_next(words))
	{
		if (word_is(words, keyword))
			return true;
	}
	return false;
}

/* What comes next, to the comma or parenthesis that ends it, or to the place end. */
static char *
read_clause(Words *words, const char *read, int end)
{
	int			depth = 0;
	int			begins = -1;
	int			ends = -1;

	while (words_next(words) && (end < 0 || words->at < end))
	{
		bool		opens = words->word == '(' || words->word == '[';
		bool		closes = words->word == ')' || words->word == ']';

		if (depth == 0 && (closes || words->word == ',' || words->word == ';'))
			break;
		depth += opens - closes;
		if (begins < 0)
			begins = words->at;
		ends = end_of_word(words);
	}
	return begins < 0 ? "..." : pnstrdup(read + begins, ends - begins);
}

char *
lint_text_behind(const Lint *lint, int from, const char *keyword, int end)
{
	const char *whole = lint->statement->text;
	char	   *clause = "...";
	Words		words;

	if (from < 0 || from >= (int) strlen(whole))
		return clause;
	words_begin(&words, whole + from);
	if (find_word(&words, keyword))
		clause = read_clause(&words, whole + from, end > from ? end - from : -1);
	scanner_finish(words.scanner);
	return clause;
}

/* Of a constraint, what follows its name: from its first word that no name can be. */
static char *
constraint_text(const Lint *lint, const Constraint *constraint)
{
	const char *keyword = constraint->contype == CONSTR_CHECK ? "CHECK"
	: constraint->contype == CONSTR_FOREIGN ? "FOREIGN"
	: constraint->contype == CONSTR_UNIQUE ? "UNIQUE" : "PRIMARY";

	return psprintf("%s %s", keyword, lint_text_behind(lint, constraint->location, keyword, -1));
}

static int
nearest_behind(int from, int end, int place)
{
	return place > from && (end < 0 || place < end) ? place : end;
}

char *
lint_default_text(const Lint *lint, const ColumnDef *column, const Constraint *given)
{
	int			end = column->collClause ? nearest_behind(given->location, -1, column->collClause->location) : -1;
	ListCell   *lc;

	foreach(lc, column->constraints)
		end = nearest_behind(given->location, end, lfirst_node(Constraint, lc)->location);
	return lint_text_behind(lint, given->location, "DEFAULT", end);
}

/* GENERATED ALWAYS AS (expression) STORED */
char *
lint_generated_text(const Lint *lint, const Constraint *generated)
{
	return lint_text_behind(lint, generated->location, "(", -1);
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
