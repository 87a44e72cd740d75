/*
 * script.c
 *		A script as psql or a migration tool reads it: its statements, one after the other.
 *
 * The server's grammar reads one statement at a time, so that an error in one leaves the
 * others readable.  Where it ends must be known before: a semicolon ends it unless it is
 * in a literal, a quoted name, a comment, parentheses, or the body of a function that is
 * written in SQL (BEGIN ATOMIC ... END).
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "parser/scansup.h"

#include "core/transaction.h"
#include "lint/script.h"

typedef struct ScriptReader
{
	const char *at;				/* the next character */
	int			line;			/* its line */
	int			number;			/* of statements read */
} ScriptReader;

/* What has been read of a statement. */
typedef struct Reading
{
	ScriptReader *reader;
	StringInfoData text;		/* from its first word on; empty before it */
	int			line;			/* of its first word */
	int			words;			/* names and keywords, as far as counted */
	bool		creates;		/* it begins with CREATE */
	bool		of_routine;		/* and goes on with FUNCTION or PROCEDURE */
	bool		begun;			/* the word before was BEGIN */
	int			bodies;			/* BEGIN ATOMIC and CASE that have no END yet */
	int			parentheses;
	int			brackets;
	char	   *variable;		/* a variable of psql in it, or NULL */
} Reading;

/*-------------------------------------------------------------------------
 * Characters.
 *-------------------------------------------------------------------------
 */

static bool
is_name_start(char c)
{
	return isalpha((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
is_name_part(char c)
{
	return is_name_start(c) || isdigit((unsigned char) c) || c == '$';
}

/* Takes the next characters into the statement. */
static void
take(Reading *reading, size_t count)
{
	ScriptReader *reader = reading->reader;
	size_t		i;

	for (i = 0; i < count; i++)
		if (reader->at[i] == '\n')
			reader->line++;
	appendBinaryStringInfo(&reading->text, reader->at, count);
	reader->at += count;
}

/* Passes over them; in the middle of a statement, lines stay where they are. */
static void
pass(Reading *reading, size_t count)
{
	ScriptReader *reader = reading->reader;
	size_t		i;

	for (i = 0; i < count; i++)
	{
		bool		ends_line = reader->at[i] == '\n';

		if (ends_line)
			reader->line++;
		if (reading->text.len > 0)
			appendStringInfoChar(&reading->text, ends_line ? '\n' : ' ');
	}
	reader->at += count;
}

static size_t
rest_of_line(const char *at)
{
	return strcspn(at, "\r\n");
}

/* The length up to behind text, or of all if it does not come. */
static size_t
length_through(const char *at, const char *text)
{
	const char *end = strstr(at, text);

	return end ? end - at + strlen(text) : strlen(at);
}

/*-------------------------------------------------------------------------
 * Parts of a statement in which nothing ends it.
 *-------------------------------------------------------------------------
 */

/* A literal or quoted name at this quote; a doubled quote opens the next one at once. */
static size_t
length_quoted(const char *at, bool escapes)
{
	char		quote = *at;
	size_t		length = 1;

	while (at[length] && at[length] != quote)
		length += escapes && at[length] == '\\' && at[length + 1] ? 2 : 1;
	return at[length] ? length + 1 : length;
}

/* 0: it has no end, and the server says so. */
static size_t
length_comment(const char *at)
{
	size_t		length = 2;
	int			depth = 1;

	while (at[length] && depth > 0)
	{
		bool		opens = at[length] == '/' && at[length + 1] == '*';
		bool		closes = at[length] == '*' && at[length + 1] == '/';

		depth += opens - closes;
		length += opens || closes ? 2 : 1;
	}
	return depth > 0 ? 0 : length;
}

/* A text quoted with dollars, or 0. */
static size_t
length_dollar_quoted(const char *at)
{
	size_t		tag = 1;
	char	   *quote;

	if (is_name_start(at[tag]))
		while (is_name_part(at[tag]) && at[tag] != '$')
			tag++;
	if (at[tag] != '$')
		return 0;
	quote = pnstrdup(at, tag + 1);
	return tag + 1 + length_through(at + tag + 1, quote);
}

/* A variable of psql: :name, :'name', :"name" or :{?name}; or 0. */
static size_t
length_variable(const Reading *reading)
{
	const char *at = reading->reader->at;
	size_t		length = 1;

	/* in an index expression it is the bound of a slice */
	if (reading->brackets > 0)
		return 0;
	if (at[1] == '{' && at[2] == '?')
		return length_through(at, "}");
	if (at[1] == '\'' || at[1] == '"')
		return 1 + length_quoted(at + 1, false);
	while (is_name_part(at[length]) && at[length] != '$')
		length++;
	return length > 1 ? length : 0;
}

/*-------------------------------------------------------------------------
 * Words: where the body of a function begins and ends.
 *-------------------------------------------------------------------------
 */

static bool
is_word(const char *at, size_t length, const char *word)
{
	return strlen(word) == length && pg_strncasecmp(at, word, length) == 0;
}

static void
count_word(Reading *reading, const char *at, size_t length)
{
	int			place = reading->words++;

	if (place == 0)
		reading->creates = is_word(at, length, "create");
	/* CREATE OR REPLACE FUNCTION is the longest way to it */
	if (reading->creates && place > 0 && place < 4 &&
		(is_word(at, length, "function") || is_word(at, length, "procedure")))
		reading->of_routine = true;
	if (!reading->of_routine)
		return;
	if ((is_word(at, length, "atomic") && reading->begun) || (is_word(at, length, "case") && reading->bodies > 0))
		reading->bodies++;
	else if (is_word(at, length, "end") && reading->bodies > 0)
		reading->bodies--;
	reading->begun = is_word(at, length, "begin");
}

static void
take_word(Reading *reading)
{
	const char *at = reading->reader->at;
	size_t		length = 1;
	bool		escapes;

	while (is_name_part(at[length]))
		length++;
	escapes = is_word(at, length, "e") && at[length] == '\'';
	if (!escapes)
		count_word(reading, at, length);
	take(reading, length);
	if (escapes)
		take(reading, length_quoted(reading->reader->at, true));
}

/*-------------------------------------------------------------------------
 * Meta-commands of psql.
 *-------------------------------------------------------------------------
 */

/* These send the statement before them. */
static bool
sends_statement(const char *command)
{
	static const char *const senders[] = {
		"g", "gx", "gset", "gexec", "gdesc", "crosstabview", "watch", "bind", "parse", "sendpipeline",
	};
	size_t		length = strspn(command, "abcdefghijklmnopqrstuvwxyz");
	int			i;

	for (i = 0; i < (int) lengthof(senders); i++)
		if (is_word(command, length, senders[i]))
			return true;
	return false;
}

/* The rows of a COPY FROM STDIN, which begin on the next line. */
static void
pass_rows(ScriptReader *reader)
{
	const char *at = reader->at;

	at += rest_of_line(at);
	for (;;)
	{
		size_t		length;

		at += strspn(at, "\r");
		if (*at == '\n')
		{
			at++;
			reader->line++;
		}
		length = rest_of_line(at);
		if ((length == 2 && strncmp(at, "\\.", 2) == 0) || at[length] == '\0')
		{
			reader->at = at + length;
			return;
		}
		at += length;
	}
}

static void
read_meta_command(ScriptReader *reader, ScriptStatement *statement)
{
	size_t		length = rest_of_line(reader->at);
	char	   *lower = downcase_identifier(reader->at, length, false, false);
	size_t		name = 1 + strspn(lower + 1, "abcdefghijklmnopqrstuvwxyz_?!");

	statement->line = reader->line;
	statement->text = pnstrdup(reader->at, length);
	statement->skipped = psprintf("\\%.*s is a command of psql", (int) name - 1, statement->text +1);
	reader->at += length;
	if (strncmp(lower, "\\copy ", 6) == 0 && strstr(lower, "from stdin"))
		pass_rows(reader);
}

/*-------------------------------------------------------------------------
 * A statement.
 *-------------------------------------------------------------------------
 */

/*
 * Takes the next part of the statement.  Returns false if the statement ends here; what
 * ends it is passed over, but for a meta-command.
 */
static bool
read_part(Reading *reading)
{
	ScriptReader *reader = reading->reader;
	const char *at = reader->at;
	size_t		length = 0;

	CHECK_FOR_INTERRUPTS();
	if (*at == '\0')
		return false;
	if (reading->text.len == 0 && isspace((unsigned char) *at))
		pass(reading, 1);
	else if (at[0] == '-' && at[1] == '-')
		pass(reading, rest_of_line(at));
	else if (at[0] == '/' && at[1] == '*' && (length = length_comment(at)) > 0)
		pass(reading, length);
	else if (*at == '\\')
	{
		if (at[1] == ';')
		{
			pass(reading, 2);
			return false;
		}
		if (reading->text.len == 0 || sends_statement(at + 1))
			return false;
		pass(reading, rest_of_line(at));
	}
	else if (*at == ';' && reading->parentheses <= 0 && reading->bodies == 0)
	{
		reader->at++;
		return false;
	}
	else
	{
		if (reading->text.len == 0)
			reading->line = reader->line;
		if (is_name_start(*at))
			take_word(reading);
		else if (*at == '\'' || *at == '"')
			take(reading, length_quoted(at, false));
		else if (*at == '$' && (length = length_dollar_quoted(at)) > 0)
			take(reading, length);
		else if (at[0] == '/' && at[1] == '*')
			take(reading, strlen(at));
		else if (isdigit((unsigned char) *at))
			take(reading, strspn(at, "0123456789$"));
		else if (at[0] == ':' && (at[1] == ':' || at[1] == '='))
			take(reading, 2);
		else if (*at == ':' && (length = length_variable(reading)) > 0)
		{
			reading->variable = pnstrdup(at, length);
			take(reading, length);
		}
		else
		{
			reading->parentheses += (*at == '(') - (*at == ')');
			reading->brackets += (*at == '[') - (*at == ']');
			take(reading, 1);
		}
	}
	return true;
}

typedef struct Parse
{
	const char *text;
	List	   *statements;		/* of RawStmt */
} Parse;

static void
parse_text(void *arg)
{
	Parse	   *parse = arg;

	parse->statements = raw_parser(parse->text, RAW_PARSE_DEFAULT);
}

int
script_line_of_position(const ScriptStatement *statement, int position)
{
	int			offset = position > 0
	? pg_mbcharcliplen(statement->text, strlen(statement->text), position - 1) : 0;
	int			line = statement->line;
	int			i;

	for (i = 0; i < offset; i++)
		line += statement->text[i] == '\n';
	return line;
}

static void
parse_statement(ScriptStatement *statement)
{
	Parse		parse = {statement->text, NIL};
	ErrorData  *error = subtransaction_try(parse_text, &parse);

	if (error)
	{
		statement->error = error->message;
		statement->error_line = script_line_of_position(statement, error->cursorpos);
	}
	else if (list_length(parse.statements) == 1)
		statement->parsed = linitial_node(RawStmt, parse.statements)->stmt;
	else
		statement->skipped = "the server reads it as more than one statement";
}

static bool
takes_rows(Node *parsed)
{
	CopyStmt   *copy = (CopyStmt *) parsed;

	return parsed && IsA(parsed, CopyStmt) && copy->is_from && !copy->filename;
}

static void
end_statement(Reading *reading, ScriptStatement *statement)
{
	statement->line = reading->line;
	statement->text = reading->text.data;
	if (reading->variable)
		statement->skipped = psprintf("%s is a variable of psql", reading->variable);
	else
		parse_statement(statement);
	if (takes_rows(statement->parsed))
		pass_rows(reading->reader);
}

static bool
next_statement(ScriptReader *reader, ScriptStatement *statement)
{
	Reading		reading;

	memset(&reading, 0, sizeof(reading));
	reading.reader = reader;
	initStringInfo(&reading.text);
	memset(statement, 0, sizeof(*statement));
	for (;;)
	{
		while (read_part(&reading))
			;
		/* a semicolon alone is no statement */
		if (reading.text.len > 0 || *reader->at == '\0' || *reader->at == '\\')
			break;
	}
	if (reading.text.len == 0 && *reader->at == '\0')
		return false;
	statement->number = ++reader->number;
	if (reading.text.len > 0)
		end_statement(&reading, statement);
	else
		read_meta_command(reader, statement);
	return true;
}

List *
script_read(const char *script)
{
	/* psql passes over the mark that editors put before a text in UTF-8 */
	bool		marked = GetDatabaseEncoding() == PG_UTF8 && strncmp(script, "\xef\xbb\xbf", 3) == 0;
	ScriptReader reader = {.at = marked ? script + 3 : script,.line = 1};
	List	   *statements = NIL;
	ScriptStatement statement;

	while (next_statement(&reader, &statement))
	{
		ScriptStatement *copy = palloc(sizeof(statement));

		*copy = statement;
		statements = lappend(statements, copy);
	}
	return statements;
}
