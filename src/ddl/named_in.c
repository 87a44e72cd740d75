/*
 * named_in.c
 *		Which names stand in a text that will be parsed again.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "ddl/named_in.h"

/* Whether a character can be part of a name that is not quoted. */
static bool
continues_name(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

/* "" within quotes is part of the name, not its end. */
static bool
is_whole(const char *text, const char *at, size_t length)
{
	const char *end = at + length;
	bool		quoted = at[0] == '"';

	if (quoted)
		return *end != '"' && (at == text ||at[-1] != '"');
	return (at == text ||!continues_name(at[-1]) || !continues_name(at[0])) &&
		(!continues_name(*end) || !continues_name(end[-1]));
}

bool
named_in(const char *text, const char *name)
{
	const char *written = quote_identifier(name);
	size_t		length = strlen(written);

	for (const char *at = strstr(text, written); at; at = strstr(at + 1, written))
	{
		if (is_whole(text, at, length))
			return true;
	}
	/* an operator is not quoted, and a literal may hold the bare name */
	return written != name && strstr(text, name) != NULL;
}

/* The type that a literal is cast to, if it is one of the server's reg* types. */
static const char *
reg_type(const TypeCast *cast)
{
	const char *name = strVal(llast(cast->typeName->names));

	if (!IsA(cast->arg, A_Const) || ((A_Const *) cast->arg)->isnull ||
		!IsA(&((A_Const *) cast->arg)->val, String) ||
		strncmp(name, "reg", strlen("reg")) != 0)
		return NULL;
	return name;
}

/* One without a schema is the server's own, and an operator no identifier. */
static void
collect_from_literal(const TypeCast *cast, NamesInExpression *names)
{
	const char *type = reg_type(cast);
	char	   *literal;
	List	   *parts;
	List	   *name = NIL;
	ListCell   *lc;

	if (type == NULL || strncmp(type, "regoper", strlen("regoper")) == 0)
		return;
	literal = pstrdup(strVal(&((A_Const *) cast->arg)->val));
	/* the arguments of a function, the mark of an array */
	literal[strcspn(literal, "([")] = '\0';
	if (!SplitIdentifierString(literal, '.', &parts) || parts == NIL)
		return;
	if (strcmp(type, "regnamespace") == 0)
	{
		names->schemas = lappend(names->schemas, linitial(parts));
		return;
	}
	foreach(lc, parts)
		name = lappend(name, makeString(lfirst(lc)));
	names->objects = lappend(names->objects, name);
}

static bool
collect_names(Node *node, void *context)
{
	NamesInExpression *names = context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_FuncCall:
			names->objects = lappend(names->objects, ((FuncCall *) node)->funcname);
			break;
		case T_A_Expr:
			names->objects = lappend(names->objects, ((A_Expr *) node)->name);
			break;
		case T_TypeName:
			names->objects = lappend(names->objects, ((TypeName *) node)->names);
			break;
		case T_CollateClause:
			names->objects = lappend(names->objects, ((CollateClause *) node)->collname);
			break;
		case T_ColumnRef:
			if (IsA(llast(((ColumnRef *) node)->fields), String))
				names->columns = lappend(names->columns,
										 strVal(llast(((ColumnRef *) node)->fields)));
			return false;
		case T_TypeCast:
			collect_from_literal((TypeCast *) node, names);
			break;
		default:
			break;
	}
	return raw_expression_tree_walker(node, collect_names, context);
}

void
names_in_expression(const char *text, NamesInExpression *names)
{
	List	   *parsed = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);

	(void) collect_names(linitial_node(RawStmt, parsed)->stmt, names);
}
