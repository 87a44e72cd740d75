/*
 * expression.h
 *		Expressions up and down: parsed, checked, planned.
 */
#ifndef TANDEM_EXPRESSION_H
#define TANDEM_EXPRESSION_H

#include "nodes/nodes.h"
#include "nodes/primnodes.h"
#include "utils/plancache.h"
#include "utils/rel.h"

/*
 * Parses expression_text as an expression over one row of rel, which it may name as
 * alias, and coerces it to the type of column target as an assignment would
 * (InvalidAttrNumber: leaves it the type it has).
 * label ("up", "down") is for messages.  Names are resolved by the current
 * search_path and user.
 *
 * Errors, each with its hint: does not parse; unknown or generated or system
 * column; a subquery, aggregate, window or set-returning function; a type
 * that cannot be assigned to the column.
 */
extern Node *expression_parse(const char *expression_text, Relation rel,
							  const char *alias, AttrNumber target,
							  const char *label);

/*
 * The same, with alias EXPRESSION_ALIAS, to learn what the text names: literals
 * that code of a user would read are NULL in it, and no such code is run.  Not
 * to be evaluated.
 */
extern Node *expression_resolve(const char *expression_text, Relation rel,
								AttrNumber target, const char *label);

/*
 * The expression as text in which every name outside pg_catalog has its
 * schema, to be parsed by expression_parse with alias EXPRESSION_ALIAS under a
 * pinned search_path.
 */
extern char *expression_deparse(Node *expression, Relation rel);

/*
 * Whether a planned expression calls nothing but functions of the server's
 * own, on types whose shape nobody can change: so that its executable form,
 * and what the functions keep with that, stays right from one statement to
 * the next.
 */
extern bool expression_is_builtin(Node *expression);

/*
 * Plans a parsed expression as the current user, which runs immutable functions
 * and inlines SQL functions.  One whose body cannot be read under the current
 * search_path is not inlined: it is read where it is called.
 */
extern CachedExpression *expression_plan(Node *expression);

#define EXPRESSION_ALIAS "tandem_row"

#endif							/* TANDEM_EXPRESSION_H */
