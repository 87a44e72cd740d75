/*
 * adopt.h
 *		Sync triggers that come without their dependencies.
 */
#ifndef TANDEM_ADOPT_H
#define TANDEM_ADOPT_H

/*
 * Records for each sync trigger of the database what its rules depend on, where
 * that is not recorded yet: at the end of pg_upgrade's restore of the schema,
 * which makes the triggers before the event triggers of the extension.  Each is
 * read as the owner of its table.  Whatever a trigger's text is, it is no error:
 * one that cannot be read is a WARNING, and shown by tandem.syncs.
 */
extern void adopt_all_triggers(void);

#endif							/* TANDEM_ADOPT_H */
