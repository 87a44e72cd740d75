/*
 * text.c
 *		SQL text: quotes, derives, compares, deparses and truncates it.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "core/authority.h"
#include "core/error.h"
#include "core/text.h"
#include "core/transaction.h"

/*-------------------------------------------------------------------------
 * Texts of others, truncated or made valid to be stored; lists of texts.
 *-------------------------------------------------------------------------
 */

void
text_copy(char *to, const char *from, size_t size)
{
	int			length;

	if (from == NULL)
		from = "";
	length = pg_mbcliplen(from, (int) strlen(from), (int) size - 1);
	memcpy(to, from, length);
	to[length] = '\0';
}

char *
text_shortened(const char *text, int max)
{
	int			length = (int) strlen(text);

	if (length <= max)
		return pstrdup(text);
	return psprintf("%.*s...", pg_mbcliplen(text, length, max), text);
}

const char *
text_valid(const char *text)
{
	int			encoding = GetDatabaseEncoding();
	char	   *copy;
	char	   *byte;

	if (text == NULL || pg_verify_mbstr(encoding, text, (int) strlen(text), true))
		return text;

	copy = pstrdup(text);
	for (byte = copy; *byte != '\0';)
	{
		int			left = (int) strlen(byte);
		int			length = Min(pg_encoding_mblen_bounded(encoding, byte), left);

		/* one byte only: what follows may be valid */
		if (pg_verify_mbstr(encoding, byte, length, true))
			byte += length;
		else
			*byte++ = '?';
	}
	return copy;
}

int
text_index(const char *text, const char *const *texts, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (strcmp(texts[i], text) == 0)
			return i;
	}
	return -1;
}

int
text_choice(const char *argument, const char *text, const char *const *choices,
			int count)
{
	int			index = text_index(text, choices, count);
	StringInfoData hint;

	if (index >= 0)
		return index;
	initStringInfo(&hint);
	for (int i = 0; i < count; i++)
		appendStringInfo(&hint, "%s'%s'",
						 i == 0 ? "" : i < count - 1 ? ", " : " or ", choices[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s: \"%s\"", argument, text),
			 errhint("Use %s.", hint.data)));
}

bool
text_is_among(const char *text, List *texts)
{
	ListCell   *lc;

	foreach(lc, texts)
	{
		if (strcmp(lfirst(lc), text) == 0)
			return true;
	}
	return false;
}

char *
text_joined(List *texts, const char *prefix, const char *separator)
{
	StringInfoData joined;
	ListCell   *lc;

	initStringInfo(&joined);
	foreach(lc, texts)
		appendStringInfo(&joined, "%s%s%s", joined.len ? separator : "",
						 prefix, (char *) lfirst(lc));
	return joined.data;
}

/*-------------------------------------------------------------------------
 * Names of relations: looking them up and quoting them.
 *-------------------------------------------------------------------------
 */

char *
quoting_find_name(Oid relid)
{
	return get_rel_name(relid);
}

char *
quoting_find_schema(Oid schema)
{
	return get_namespace_name(schema);
}

char *
quoting_shown_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	return name ? name : psprintf("OID %u", relid);
}

char *
quoting_shown_schema(Oid schema)
{
	char	   *name = get_namespace_name(schema);

	return name ? name : psprintf("OID %u", schema);
}

char *
quoting_raw_schema(Oid schema)
{
	char	   *name = get_namespace_name(schema);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema with OID %u does not exist", schema),
				 errhint("It was dropped meanwhile: call it again.")));
	return name;
}

void
quoting_raise_dropped(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("relation with OID %u does not exist", relid),
			 errhint("It was dropped meanwhile: call it again.")));
}

char *
quoting_raw_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL || get_namespace_name(get_rel_namespace(relid)) == NULL)
		quoting_raise_dropped(relid);
	return name;
}

const char *
quoting_name(Oid relid)
{
	return quote_identifier(quoting_raw_name(relid));
}

char *
quoting_relation(Oid relid)
{
	char	   *name = quoting_raw_name(relid);

	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  name);
}

RangeVar *
quoting_range_var(Oid relid)
{
	char	   *name = quoting_raw_name(relid);

	return makeRangeVar(get_namespace_name(get_rel_namespace(relid)), name, -1);
}

#define HINT_ON_NAMES "Name the table as SQL would, with its schema, and in double quotes where SQL needs them."

RangeVar *
quoting_parse_name(const char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	RangeVar   *volatile name = NULL;

	PG_TRY();
	{
		name = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(text)));
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller, HINT_ON_NAMES);
	}
	PG_END_TRY();
	return name;
}

Oid
quoting_resolve_relation(const char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	RangeVar   *name = quoting_parse_name(text);
	volatile Oid relid = InvalidOid;

	PG_TRY();
	{
		relid = RangeVarGetRelid(name, NoLock, false);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller, HINT_ON_NAMES);
	}
	PG_END_TRY();
	return relid;
}

/*-------------------------------------------------------------------------
 * Names of what we create beside what the user has named.
 *-------------------------------------------------------------------------
 */

char *
derived_name(const char *first, const char *second)
{
	char	   *whole = psprintf("%s_%s", first, second);
	uint32		hash;

	if (strlen(whole) < NAMEDATALEN)
		return whole;
	hash = hash_bytes((unsigned char *) whole, (int) strlen(whole));
	return makeObjectName(first, second, psprintf("%08x", hash));
}

/*-------------------------------------------------------------------------
 * Are two SQL texts the same to the parser?
 *-------------------------------------------------------------------------
 */

static void
parse_error_callback(void *arg)
{
	error_position_in(arg);
}

List *
sql_parse(RawParseMode mode, const char *text, const char *hint)
{
	ErrorContextCallback callback = {error_context_stack,
	parse_error_callback, unconstify(char *, text)};
	MemoryContext caller = CurrentMemoryContext;
	List	   *statements = NIL;

	PG_TRY();
	{
		error_context_stack = &callback;
		statements = raw_parser(text, mode);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller, hint);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	return statements;
}

/* RawStmt contains the length of the text, which does not count. */
static Node *
single_statement(List *statements)
{
	return list_length(statements) == 1
		? linitial_node(RawStmt, statements)->stmt : NULL;
}

bool
same_sql(RawParseMode mode, const char *recorded, const char *given)
{
	const char *hint = "Correct the text, or give the one that was given first.";
	Node	   *before;
	Node	   *now;

	if (strcmp(recorded, given) == 0)
		return true;
	now = single_statement(sql_parse(mode, given, hint));
	before = single_statement(sql_parse(mode, recorded, hint));
	return now && before && equal(now, before);
}

/*-------------------------------------------------------------------------
 * SQL text that the server produces for the objects in its catalogs.
 *-------------------------------------------------------------------------
 */

typedef struct ObjectText
{
	char	   *(*read) (Oid object);
	Oid			object;
	char	   *text;
} ObjectText;

static void
read_object_text(void *arg)
{
	ObjectText *object = arg;
	bool		entered = snapshot_enter();
	AuthorityScope scope;

	authority_pin_search_path(&scope);
	authority_pin_catalog_forms();
	object->text = object->read(object->object);

	authority_leave(&scope);
	snapshot_leave(entered);
}

/*
 * Without a lock on it, which others might hold for long, the object may be dropped
 * while the server reads one catalog after the other: then it throws an internal error.
 */
static char *
text_of_object(char *(*read) (Oid object), Oid oid, int cache)
{
	ObjectText	object = {.read = read,.object = oid};
	ErrorData  *error = subtransaction_try(read_object_text, &object);

	if (error == NULL)
		return object.text;
	AcceptInvalidationMessages();
	if (SearchSysCacheExists1(cache, ObjectIdGetDatum(oid)))
		ReThrowError(error);
	return NULL;
}

/* Returns NULL if the constraint does not exist any more. */
static char *
read_constraint_definition(Oid constraint)
{
	LOCAL_FCINFO(call, 1);
	Datum		value;

	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = ObjectIdGetDatum(constraint);
	call->args[0].isnull = false;
	value = pg_get_constraintdef(call);
	return call->isnull ? NULL : TextDatumGetCString(value);
}

char *
server_text_constraint(Oid constraint)
{
	return text_of_object(read_constraint_definition, constraint, CONSTROID);
}

static char *
read_index_definition(Oid index)
{
	return SearchSysCacheExists1(INDEXRELID, ObjectIdGetDatum(index))
		? pg_get_indexdef_string(index) : NULL;
}

char *
server_text_index(Oid index)
{
	return text_of_object(read_index_definition, index, INDEXRELID);
}

char *
server_text_expression_here(Node *expression, Oid relid, const char *alias)
{
	bool		entered = snapshot_enter();
	int			level = NewGUCNestLevel();
	char	   *text;

	authority_pin_text_forms();
	text = deparse_expression(expression, deparse_context_for(alias, relid),
							  false, false);

	AtEOXact_GUC(false, level);
	snapshot_leave(entered);
	return text;
}

char *
server_text_expression(Node *expression, Oid relid, const char *alias)
{
	bool		entered = snapshot_enter();
	AuthorityScope scope;
	char	   *text;

	authority_pin_search_path(&scope);
	text = server_text_expression_here(expression, relid, alias);

	authority_leave(&scope);
	snapshot_leave(entered);
	return text;
}
