/*
 * expression.h
 *		Parses, checks and plans the expressions up and down.
 */
#ifndef TANDEM_EXPRESSION_H
#define TANDEM_EXPRESSION_H

#include "nodes/nodes.h"
#include "nodes/primnodes.h"
#include "utils/plancache.h"
#include "utils/rel.h"

#include "rule/release_names.h"

/*
 * Parses expression_text as an expression over one row of rel, which can be
 * referred to as alias, and coerces it to the type of column target as an
 * assignment would (InvalidAttrNumber: no coercion).  The whole row has the type
 * of one of the topmost table.  label ("up" or "down") is used in messages.
 * Names are resolved with the current search_path and user.  The result is in
 * the current memory context.
 *
 * Errors, each with a hint: syntax; unknown, generated or system column;
 * subquery, aggregate, window or set-returning function; a type that cannot be
 * assigned to the column.
 */
extern Node *expression_parse(const char *expression_text, Relation rel,
							  const char *alias, AttrNumber target,
							  const char *label);

/*
 * The same for a text as the user gives it, which knows columns by these names,
 * and whose t.* leaves out the columns not_in_star (names).
 */
extern Node *expression_parse_given(const char *expression_text, Relation rel,
									AttrNumber target, const char *label,
									const ReleaseNames *names,
									List *not_in_star);

/*
 * The same as expression_parse for a part of a longer text, which the parser has
 * returned as raw.
 */
extern Node *expression_parse_part(Node *raw, const char *whole_text,
								   Relation rel,
								   const char *alias, AttrNumber target,
								   const char *label);

/* What an expression is for, and reads, that the table does not have yet. */
typedef struct ExpressionToCome
{
	const char *alias;			/* of the row in the text */
	const char *column;			/* that it computes, NULL: none, it is a
								 * condition */
	Oid			type;			/* of that column; InvalidOid: none */
	int32		typmod;
	const char *replaced;		/* column that will be another one, or NULL, */
	AttrNumber	attnum;			/* the number, and */
	Oid			by_type;		/* the type of the other one */
	int32		by_typmod;
} ExpressionToCome;

/*
 * The same for a table as a change would leave it.  A reference to the column that is
 * replaced is one to the column attnum, which rel does not have.
 */
extern Node *expression_parse_to_come(const char *expression_text, Relation rel,
									  const char *label, const ExpressionToCome *to_come);

/*
 * The same for an expression of a CHECK or an index, or a condition, which may
 * contain generated and system columns.  label describes it in messages.  names: by
 * which the text knows columns, or NULL.
 */
extern Node *expression_parse_definition(const char *expression_text,
										 Relation rel, const char *alias,
										 const char *label,
										 const ReleaseNames *names);

/*
 * Like expression_parse with alias EXPRESSION_ALIAS, but only to find out what
 * the text refers to: literals whose input would run user-defined code are
 * replaced with NULL, so no such code is run.  Do not evaluate the result.
 */
extern Node *expression_resolve(const char *expression_text, Relation rel,
								AttrNumber target, const char *label);

/*
 * Parses the default of a column, which need not exist yet, and coerces it to
 * the type as an assignment would.  Names are resolved with the current
 * search_path and user.  Errors, each with a hint: syntax; a column; subquery,
 * aggregate, window or set-returning function; a type that cannot be assigned
 * to the column's.
 */
extern Node *expression_parse_default(const char *expression_text,
									  const char *column, Oid type,
									  int32 typmod);

/*
 * Returns the expression as text, palloc'd, with all names outside pg_catalog
 * schema-qualified.  It can be parsed again by expression_parse with alias
 * EXPRESSION_ALIAS and a pinned search_path.
 */
extern char *expression_deparse(Node *expression, Relation rel);

/*
 * Does a planned expression call only built-in functions, on types that cannot
 * be altered?  If so, its executable form, and what the functions cache in it,
 * can be kept from one statement to the next.
 */
extern bool expression_is_builtin(Node *expression);

/*
 * Plans a parsed expression as the current user.  This runs immutable
 * functions and inlines SQL functions.  If the body of one cannot be parsed
 * with the current search_path, nothing is inlined; the body is parsed when
 * the function is called.  The caller frees the plan with
 * FreeCachedExpression.
 */
extern CachedExpression *expression_plan(Node *expression);

/*
 * Returns a parsed expression with its constant parts evaluated, to be
 * compared with another one: columns are parameters in it.  This runs immutable
 * functions as the current user; it inlines none.
 */
extern Node *expression_fold(Node *expression);

#define EXPRESSION_ALIAS "tandem_row"

#endif							/* TANDEM_EXPRESSION_H */
