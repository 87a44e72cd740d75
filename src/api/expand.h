/*
 * expand.h
 *		Phase expand: adds syncs, or finds that they exist.
 */
#ifndef TANDEM_EXPAND_H
#define TANDEM_EXPAND_H

#include "catalog/migration.h"
#include "catalog/step.h"
#include "catalog/sync.h"

/*
 * Does the migration already have this index, constraint or NOT NULL?  step
 * has kind, relation, object (NULL for an index without a name) and given.
 * Errors: it has one that differs, except in phase expand, where the caller
 * then compares the server's own form of both.
 */
extern bool repeat_step(const Migration *migration, const Step *step);

/*
 * Does the migration already have this rule, whose expressions are those that the
 * user gives?  Errors: it has one for these columns that differs.
 */
extern bool repeat_rule(const Migration *migration, const SyncRule *rule);

/*
 * Throws the error that the migration has an object already, and what of it
 * differs.  recorded and given are its texts, or NULL.
 */
extern void repeat_refuse(const Migration *migration, const char *object,
						  const char *what, const char *recorded,
						  const char *given);

/* Says that the migration has the object, and gives the change lock back. */
extern void repeat_skip(const Migration *migration, const char *object);

/*
 * The same for a migration that was forgotten: it has ended well, and there is
 * nothing left to compare with.  Returns false if it was not.
 */
extern bool repeat_skip_forgotten(const Migration *migration, Oid relid);

/*
 * Is an expression the same as one that was given before, or as tandem.syncs
 * shows that, canonical?  Each may be NULL.
 */
extern bool repeat_same_expression(const char *recorded, const char *canonical,
								   const char *given);

/*
 * Adds a stored sync to the migration, and puts its trigger on the table.  rule
 * has the expressions as given.  Errors: the table or a column cannot be
 * synced; those of expression_parse.
 */
extern void expand_add_sync(Migration *migration, SyncRule *rule);

/*
 * Ends a call that has added something, what, of relid to the migration: records
 * it, and the columns that this transaction gives the table beside it.  Errors: the
 * migration's release does not see the table.
 */
extern void expand_done(Migration *migration, Oid relid, const char *what);

/* The same of a table that the release need not see. */
extern void expand_done_unseen(Migration *migration, Oid relid,
							   const char *what);

/* Errors: the migration's release does not see the table. */
extern void expand_check_table_is_seen(const Migration *migration, Oid relid);

#endif							/* TANDEM_EXPAND_H */
