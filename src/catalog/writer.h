/*
 * writer.h
 *		Marks the sessions that have written a table of a migration.
 *
 * A mark is a session lock on the address of the migration's row, of the kind
 * of advisory locks: it outlives an abort and ends with the process.  No library
 * need be preloaded for it, and no right is asked: so it sees who writes by SET
 * ROLE, through a view or by a function of somebody else.
 */
#ifndef TANDEM_WRITER_H
#define TANDEM_WRITER_H

#include "nodes/pg_list.h"

#include "catalog/registry.h"
#include "core/settings.h"

/* objsubid of the marks: see tandem.writers() */
#define WRITER_LOCK 7

/* For what it is settled whether this session needs a mark; 0: for nothing. */
typedef struct WriterNote
{
	int			release;		/* that the session had declared */
	uint64		generation;		/* of the registry */
} WriterNote;

/* Whether nothing is to be done: the only cost for a statement that writes. */
static inline bool
writer_is_settled(const WriterNote *note)
{
	return note->release == setting_release &&
		note->generation == registry_generation();
}

/*
 * This session writes the table relid, whose trigger has the rules syncs (of
 * SyncRule).  Marks it for those migrations whose release is newer than what
 * the session says it is; and notes that a release that is ready is used.
 * Never fails a statement for want of room for a lock.
 */
extern void writer_settle(WriterNote *note, Oid relid, List *syncs);

#endif							/* TANDEM_WRITER_H */
