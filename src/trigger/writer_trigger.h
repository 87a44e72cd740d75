/*
 * writer_trigger.h
 *		The trigger that marks who writes a table that a migration renames or
 *		drops.
 */
#ifndef TANDEM_WRITER_TRIGGER_H
#define TANDEM_WRITER_TRIGGER_H

#define WRITER_TRIGGER_NAME "~tandem_writer"

/*
 * Makes the trigger of relid, one table of a tree, agree with tandem.operation:
 * creates it, or drops it if no open migration renames or drops the table, or
 * one above it.  Call as the owner of the table, with the table locked against
 * writers.
 */
extern void writer_trigger_install(Oid relid);

/* Is it so already?  Call as any role. */
extern bool writer_trigger_agrees(Oid relid);

#endif							/* TANDEM_WRITER_TRIGGER_H */
