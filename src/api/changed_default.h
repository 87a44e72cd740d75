/*
 * changed_default.h
 *		Another default of a column, and nothing else: no second column is needed.
 */
#ifndef TANDEM_CHANGED_DEFAULT_H
#define TANDEM_CHANGED_DEFAULT_H

#include "catalog/migration.h"

/*
 * Has contract give the column of the table, as the release before knows it, this default,
 * an expression; and the view of the migration's release at once, if it has one.  given:
 * the table as the user wrote it.  Errors: no such column; one that can have no default;
 * those of expression_parse_default.
 */
extern void changed_default_add(Migration *migration, Oid relid, char *given,
								const char *column, const char *text);

/* Gives the view of a table that was made for a release the defaults that it is to have. */
extern void changed_default_put(int release, Oid relid);

/* When the migration has ended its release's view has the default of the table. */
extern void changed_default_end(const Migration *migration);

#endif							/* TANDEM_CHANGED_DEFAULT_H */
