/*
 * from_itself.h
 *		Does a statement compute a column from the column's own value?
 */
#ifndef TANDEM_FROM_ITSELF_H
#define TANDEM_FROM_ITSELF_H

#include "row/write_target.h"

/*
 * Does the statement compute the column of relid, one of the tables that it
 * updates, from values that it reads in that column of the table?  Not if it
 * only copies such a value.
 */
extern bool from_itself_computes(WriteTarget *target, Oid relid,
								 AttrNumber attnum);

#endif							/* TANDEM_FROM_ITSELF_H */
