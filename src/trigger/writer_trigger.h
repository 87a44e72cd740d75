/*
 * writer_trigger.h
 *		The trigger that marks who writes a table that a migration renames or
 *		drops.
 */
#ifndef TANDEM_WRITER_TRIGGER_H
#define TANDEM_WRITER_TRIGGER_H

#define WRITER_TRIGGER_NAME "~tandem_writer"

/*
 * Creates the trigger on root and the partitions below it, and drops it there
 * unless an open migration still renames or drops the table.  Call these as the
 * owner of the table, with the tables locked against writers.
 */
extern void writer_trigger_install(Oid root);
extern void writer_trigger_end(Oid root);

/*
 * Makes the trigger of relid, a table that has come to a tree, or left one, agree
 * with tandem.operation.  Call as for the others.
 */
extern void writer_trigger_follow(Oid relid);

/* Is it so already?  Call as any role. */
extern bool writer_trigger_agrees(Oid relid);

#endif							/* TANDEM_WRITER_TRIGGER_H */
