/*
 * operations.h
 *		Phase expand: adds operations, or finds that they exist.
 */
#ifndef TANDEM_API_OPERATIONS_H
#define TANDEM_API_OPERATIONS_H

#include "catalog/migration.h"
#include "catalog/operation.h"
#include "catalog/release_view.h"

/*
 * Does the migration have this operation?  Without a relation only one is found
 * whose object is gone, by the text that named it.  Says so, and gives the change lock
 * back.  Errors: it has one of the object with another new name.
 */
extern bool repeat_operation(const Migration *migration, const Operation *given);

/* Adds it, which has been checked, and ends the call. */
extern void add_operation(Migration *migration, Operation *operation);

/*
 * Throws an error unless the table can be synced (target_check_table), and the current
 * user has the rights of the owners of its partitions.
 */
extern void check_tree_is_own(Oid relid);

/*
 * Throws the error that a view, of a release that may have nodes, shows what the call
 * would change: what.
 */
extern void operation_refuse_shown(const ReleaseView *view, const char *what);

#endif							/* TANDEM_API_OPERATIONS_H */
