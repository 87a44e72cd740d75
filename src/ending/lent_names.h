/*
 * lent_names.h
 *		Columns and views have other names for as long as a subtransaction lasts.
 */
#ifndef TANDEM_LENT_NAMES_H
#define TANDEM_LENT_NAMES_H

#include "postgres.h"

/*
 * Gives a column of a table, and of all its partitions, another name, or any that is free;
 * and the latter to a view with its type.  Only the caller sees it, who must be in a
 * subtransaction that is taken back: no lock keeps others from reading or writing the
 * relations meanwhile, and a view is locked in SHARE UPDATE EXCLUSIVE mode.  Names are not
 * quoted.  Errors: those of the server, also where another transaction has changed the rows
 * of the catalogs in this moment.
 */
extern void lend_column_name(Oid relid, const char *name, const char *new_name);
extern void lend_column_any_name(Oid relid, const char *name);
extern void lend_view_any_name(Oid view);

/*
 * The same for the primary key of a table, and of its partitions: it has another column in
 * the place of one.  For what it says of rows alone, as a view that groups by it.
 */
extern void lend_primary_key(Oid relid, const char *column, const char *other);

#endif							/* TANDEM_LENT_NAMES_H */
