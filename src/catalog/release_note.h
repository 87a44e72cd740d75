/*
 * release_note.h
 *		What is noted of releases in tandem.release_state, read without a trace.
 *
 * A serializable transaction that has read a table with a snapshot is at odds
 * with each one that adds to it meanwhile: the sessions of a release that is new
 * look for a note and find none, and add one each, and all but one would fail.
 * So these rows are read one by one, as they are committed: in no snapshot, of
 * which the server would keep that it was there.  It does no harm to see more
 * of them than of other tables, since rows are only added, but for releases
 * that are retired.
 */
#ifndef TANDEM_RELEASE_NOTE_H
#define TANDEM_RELEASE_NOTE_H

/*
 * The releases that are noted as ready, committed or by this transaction: the
 * text of an int8multirange, palloc'd.
 */
extern char *release_note_all_ready(void);

extern bool release_note_is_ready(int release);

/* Whether a session has written as that release after it was ready. */
extern bool release_note_is_used(int release);

#endif							/* TANDEM_RELEASE_NOTE_H */
