/*
 * losses.h
 *		What abort loses: values that only the new columns have.
 */
#ifndef TANDEM_LOSSES_H
#define TANDEM_LOSSES_H

#include "access/xlogdefs.h"
#include "nodes/pg_list.h"

#include "catalog/migration.h"

/* What a first look has read, for a second one. */
typedef struct LossLook
{
	XLogRecPtr	begun;			/* whatever is written later has a greater
								 * place in the WAL */
	List	   *files;			/* files of the leaves that were read */
} LossLook;

/*
 * Returns a line for each kind of rows whose new columns have a value that the
 * old ones do not give back: their down has failed, the sync is one-way, a
 * derived column has a value of its own, or a column that no sync sets has
 * another one than its default, which is not looked at if it differs from row
 * to row.  For all but the first it reads the tables, as what is committed now,
 * and waits for whoever writes them.
 */
extern List *abort_losses(const Migration *migration, LossLook *look);

/*
 * The same of what was written since, with the tables locked.  Of a table it reads the
 * blocks that have changed, and that not for long: a WARNING tells what is left.
 */
extern List *abort_losses_since(const Migration *migration, const LossLook *look);

#endif							/* TANDEM_LOSSES_H */
