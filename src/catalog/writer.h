/*
 * writer.h
 *		Marks the sessions that have written a table of a migration.
 *
 * A mark is a session lock on the address of the migration's row, of the kind
 * of advisory locks: it survives an abort and ends with the process.  It needs
 * no preloaded library and no privilege.  So it covers sessions that write
 * after SET ROLE, through a view or by a function of another role.
 */
#ifndef TANDEM_WRITER_H
#define TANDEM_WRITER_H

#include "nodes/pg_list.h"

#include "catalog/registry.h"
#include "catalog/session_release.h"

/* objsubid of the marks, also used in tandem.writers() */
#define WRITER_LOCK 7

/*
 * The state for which it was decided whether this session needs a mark; 0 if
 * none.
 */
typedef struct WriterNote
{
	int			release;		/* release as which it wrote */
	int			declared;		/* release of the session */
	uint64		generation;		/* of the registry */
} WriterNote;

/*
 * Is there nothing to do for a statement that writes as that release?
 */
static inline bool
writer_is_settled(const WriterNote *note, int release)
{
	return note->release == release && note->declared == session_release() &&
		note->generation == registry_generation();
}

/*
 * Returns the release as which a statement writes, or 0 if nothing says it:
 * tandem.release where it is set, else view_release, that of the view that the
 * statement writes through (0 for none), else that of the session's
 * search_path.  What a subscription applies is of no release.
 */
extern int	writer_release(int view_release);

/*
 * Call when this session writes the table relid, whose trigger has the rules
 * syncs (a list of SyncRule), as that release (see writer_release).  Marks it
 * for those migrations whose release is newer, and for those that rename or
 * drop the table, and notes that the session works as its release, if that is
 * ready.  Does not fail if the lock table is full.
 */
extern void writer_settle(WriterNote *note, int release, Oid relid,
						  List *syncs);

#endif							/* TANDEM_WRITER_H */
