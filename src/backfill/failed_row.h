/*
 * failed_row.h
 *		Names the row that a batch has failed at.
 *
 * Not while the error is raised: to write a key runs the output functions of
 * its types, whose own error would take the place of the first.
 */
#ifndef TANDEM_FAILED_ROW_H
#define TANDEM_FAILED_ROW_H

#include "storage/itemptr.h"

/*
 * Adds to the context of an error, whose (sub)transaction has been rolled
 * back, which row of the table it was: by its key, or where that cannot be
 * written, by its place.
 */
extern void failed_row_name(ErrorData *error, Oid relid, ItemPointer tid);

#endif							/* TANDEM_FAILED_ROW_H */
