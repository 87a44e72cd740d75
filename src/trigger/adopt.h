/*
 * adopt.h
 *		Handles triggers that come from a dump, or with a new partition.
 */
#ifndef TANDEM_ADOPT_H
#define TANDEM_ADOPT_H

/*
 * Records the objects used by the rules of the table's sync trigger, unless
 * they are recorded already; for a trigger created by a restore.  Names are
 * looked up with the rights of the current user, and no user-defined code is
 * run.  If that user lacks a right nothing is recorded; adopt_late does it
 * later.  Errors: those of expression_resolve.
 */
extern void adopt_trigger(Oid relid);

/*
 * Does the same for all tables of the database with a sync trigger, as their
 * owners.  Called after a GRANT.
 */
extern void adopt_late(void);

/*
 * Does the same at the end of pg_upgrade's restore of the schema, which
 * creates the triggers before the extension's event triggers.  A trigger whose
 * text cannot be parsed is no error: a WARNING is given, and tandem.syncs
 * shows it.
 */
extern void adopt_all_triggers(void);

#endif							/* TANDEM_ADOPT_H */
