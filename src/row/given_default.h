/*
 * given_default.h
 *		Columns that an INSERT gives just their default.
 */
#ifndef TANDEM_GIVEN_DEFAULT_H
#define TANDEM_GIVEN_DEFAULT_H

#include "row/write_target.h"
#include "rule/relation_rules.h"

typedef struct GivenDefaults GivenDefaults;

/*
 * Begins to remember what the INSERT says of the columns of rel, the table at
 * hand, in the current memory context, which must be that of the statement.
 * target is NULL for COPY.  named is the table that the statement names.
 * Defaults are planned as the table's owner with search_path, which lives as
 * long as the statement.
 */
extern GivenDefaults *given_default_begin(Relation rel,
										  const WriteTarget *target, Oid named,
										  const char *search_path);

/*
 * Returns the default that the column has in what the statement names, planned,
 * without the check of a domain, or NULL; see relation_rules_default_as_owner.
 */
extern Node *given_default_expression(GivenDefaults *given, AttrNumber attnum);

/*
 * Is that value of the row at hand the default that the column has in what the
 * statement names?  Of a computed one this is the same as given_default_of_row.
 */
extern bool given_default_is_value(GivenDefaults *given,
								   const RuleColumn *column,
								   Datum value, bool isnull);

/*
 * Does the row at hand get just its default in the column, or what is equal to
 * it in the statement?  True also for a column that the INSERT does not name.
 */
extern bool given_default_of_row(GivenDefaults *given, AttrNumber attnum);

/*
 * Does that INSERT action of a MERGE name the column, which some action of the
 * MERGE names?  If it says DEFAULT, that is not known, and the answer is no.
 */
extern bool given_default_is_named(GivenDefaults *given,
								   const MergeAction *action,
								   AttrNumber attnum);

#endif							/* TANDEM_GIVEN_DEFAULT_H */
