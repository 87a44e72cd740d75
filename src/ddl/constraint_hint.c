/*
 * constraint_hint.c
 *		Where are the rows that violate a constraint?
 *
 * The server's errors name none, or the first at most.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "core/compat.h"
#include "core/quoting.h"
#include "ddl/constraint_definition.h"
#include "ddl/constraint_hint.h"

#define MOST_ROWS 10

/* The columns, each after prefix and before suffix. */
static char *
columns_text(List *columns, const char *prefix, const char *suffix,
			 const char *separator)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, columns)
		appendStringInfo(&text, "%s%s%s%s",
						 foreach_current_index(lc) ? separator : "", prefix,
						 quote_identifier(strVal(lfirst(lc))), suffix);
	return text.data;
}

/* CHECK (expression) [NO INHERIT]: what stands in the outermost parentheses */
static char *
check_query(const Step *step)
{
	const char *first = strchr(step->definition, '(');
	const char *last = strrchr(step->definition, ')');

	if (first == NULL || last == NULL)
		return NULL;
	return psprintf("SELECT * FROM %s WHERE NOT %s LIMIT %d",
					quoting_relation(step->relation),
					pnstrdup(first, last - first + 1), MOST_ROWS);
}

static char *
foreign_key_query(const Step *step, const Constraint *key)
{
	bool		full = key->fk_matchtype == FKCONSTR_MATCH_FULL;
	Oid			referenced = RangeVarGetRelid(key->pktable, NoLock, true);
	StringInfoData match;
	ListCell   *mine;
	ListCell   *theirs;

	if (compat_constraint_is_temporal(key) || !OidIsValid(referenced))
		return NULL;
	initStringInfo(&match);
	forboth(mine, key->fk_attrs, theirs, key->pk_attrs)
		appendStringInfo(&match, "%sp.%s = r.%s", match.len ? " AND " : "",
						 quote_identifier(strVal(lfirst(theirs))),
						 quote_identifier(strVal(lfirst(mine))));
	return psprintf("SELECT * FROM %s r WHERE (%s) AND NOT EXISTS (SELECT FROM %s p WHERE %s) LIMIT %d",
					quoting_relation(step->relation),
					columns_text(key->fk_attrs, "r.", " IS NOT NULL",
								 full ? " OR " : " AND "),
					quoting_relation(referenced), match.data, MOST_ROWS);
}

static char *
unique_query(const Step *step, const Constraint *key)
{
	char	   *columns = columns_text(key->keys, "", "", ", ");
	char	   *where = key->nulls_not_distinct ? pstrdup("")
	: psprintf(" WHERE %s", columns_text(key->keys, "", " IS NOT NULL", " AND "));

	return psprintf("SELECT %s, count(*) FROM %s%s GROUP BY %s HAVING count(*) > 1 LIMIT %d",
					columns, quoting_relation(step->relation), where, columns,
					MOST_ROWS);
}

static char *
violation_query(const Step *step)
{
	Constraint *constraint;

	if (step->kind == STEP_NOT_NULL)
		return psprintf("SELECT * FROM %s WHERE %s IS NOT DISTINCT FROM NULL LIMIT %d",
						quoting_relation(step->relation),
						quote_identifier(step->object), MOST_ROWS);
	if (step->kind != STEP_CONSTRAINT)
		return NULL;
	constraint = constraint_read(step->object, step->definition);
	if (constraint->contype == CONSTR_CHECK)
		return check_query(step);
	if (constraint->contype == CONSTR_FOREIGN)
		return foreign_key_query(step, constraint);
	return unique_query(step, constraint);
}

char *
constraint_violation_hint(const Step *step)
{
	char	   *query = violation_query(step);

	return query ? psprintf("See the rows: %s;", query)
		: psprintf("The constraint is: %s.", step->definition);
}
