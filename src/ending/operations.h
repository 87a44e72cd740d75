/*
 * operations.h
 *		What contract does besides dropping columns, and what is in its way.
 */
#ifndef TANDEM_OPERATIONS_H
#define TANDEM_OPERATIONS_H

#include "catalog/migration.h"
#include "catalog/operation.h"
#include "ending/parts.h"

/*
 * Returns what contract will do (of ContractPart, the kind of the operation as the
 * part), in the order of the calls; it drops tables after all that is done to others,
 * and renames tables last.  One that refuses cannot be done, whatever is accepted.  Takes
 * no lock.
 */
extern List *operations_parts(const Migration *migration);

/*
 * Has the migration statements of the user, which may move or drop what holds an old
 * column?  Whether they do is seen after they have run.
 */
extern bool operations_may_free_columns(const Migration *migration);

/*
 * Is one of these statements about an object of this name, see statement_is_about?  What
 * belongs to a table is to be of this one; InvalidOid: of any.
 */
extern bool operations_name(const Migration *migration, Oid relid, const char *object);

/* The same of a statement of an open migration of an earlier release, which drops it. */
extern bool operations_drop_before(const Migration *migration, Oid relid, const char *object);

/* Throws an error that lists those that refuse. */
extern void operations_check(const Migration *migration);

/*
 * Do all that: operations_run before old columns are dropped, which a statement may
 * free of what holds them, and after the others were renamed; operations_run_on_carried
 * once what was built for changed columns has its name; operations_end_tables at last,
 * which drops and renames tables.  The tables are locked, and the phase has
 * changed.  Errors: those of the server.
 */
extern void operations_run(const Migration *migration);
extern void operations_run_on_carried(const Migration *migration);
extern void operations_end_tables(const Migration *migration);

/*
 * Returns the tables of a migration that contract has left under their old names, as
 * OIDs; and gives them the new ones, locked, once logical replication is done with the
 * old ones.  Errors: a name is taken.
 */
extern List *operations_names_left(const Migration *migration);
extern void operations_take_names(const Migration *migration);

/* Returns lines of what other migrations have still to do by the names of its tables. */
extern List *operations_rename_waits(const Migration *migration);

/* Returns the index of an OPERATION_DROP_INDEX, or InvalidOid if it is gone. */
extern Oid	operation_index(const Operation *operation);

/*
 * These return lines of what keeps the server from dropping these relations, of
 * which is a replica identity, and of what has the name that the constraint or table
 * is to get; palloc'd, NIL or NULL if there is none.  What the abort or contract of
 * the migration (0: none) drops before does not count.
 */
extern List *drop_obstacles(List *relids, int migration, bool aborting);
extern char *index_identifies_rows_of(Oid index);
extern char *constraint_name_taken(Oid relid, const char *constraint,
								   const char *new_name);
extern char *table_name_taken(const Migration *migration, Oid relid,
							  const char *new_name);

/* Throws an error with the hint if something has the name that a table is to get. */
extern void table_check_name_free(const Migration *migration, const Operation *rename,
								  const char *hint);

/* Is the table published, or subscribed to?  Then contract leaves its name. */
extern bool table_is_replicated(Oid relid);

#endif							/* TANDEM_OPERATIONS_H */
