/*
 * adopt.h
 *		Triggers that come without our doing: by a dump, or with a new
 *		partition.
 */
#ifndef TANDEM_ADOPT_H
#define TANDEM_ADOPT_H

/*
 * Records what the rules of the table's sync trigger use, where that is not
 * recorded yet: of a trigger that a restore makes.  Names are looked up with the
 * rights of the current user, and no code of a user is run.  Where that user
 * lacks a right nothing is recorded, which is left to adopt_late.  Errors: as
 * expression_resolve.
 */
extern void adopt_trigger(Oid relid);

/*
 * The same for all tables of the database that have one, with the rights of
 * their owners: after a GRANT.
 */
extern void adopt_late(void);

/*
 * The same at the end of pg_upgrade's restore of the schema, which makes the
 * triggers before the event triggers of the extension.  Whatever a trigger's
 * text is, it is no error: one that cannot be read is a WARNING, and shown by
 * tandem.syncs.
 */
extern void adopt_all_triggers(void);

#endif							/* TANDEM_ADOPT_H */
