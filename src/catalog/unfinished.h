/*
 * unfinished.h
 *		Constraints that a migration has added and not validated yet.
 */
#ifndef TANDEM_UNFINISHED_H
#define TANDEM_UNFINISHED_H

#include "catalog/migration.h"
#include "catalog/step.h"

/*
 * Returns the name of the CHECK that stands for NOT NULL of the step's column
 * until all rows are known to have a value, palloc'd.  Only before version 18.
 */
extern char *unfinished_not_null_check(const Step *step);

/*
 * Returns the hint for an error of a row of relid that the migration has written,
 * palloc'd.  If the row violates a constraint or NOT NULL that an open migration is
 * adding, it says so.
 */
extern char *unfinished_hint(const Migration *migration, Oid relid,
							 const ErrorData *error);

/* Records that the step has taken its constraint back from the table. */
extern void unfinished_forget_table(int step_id, Oid relid);

#endif							/* TANDEM_UNFINISHED_H */
