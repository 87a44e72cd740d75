/*
 * extension.h
 *		Looks up the extension in this database; detects a restore.
 */
#ifndef TANDEM_EXTENSION_H
#define TANDEM_EXTENSION_H

/*-------------------------------------------------------------------------
 * Whether this database has the extension, and the schema of its tables.
 *
 * A schema of that name proves nothing, since any role that may create schemas
 * can create it.  The right schema is a member of the extension, and only the
 * extension's owner can create objects in it.
 *-------------------------------------------------------------------------
 */

#define EXTENSION_NAME "pg_tandem"
#define EXTENSION_SCHEMA "tandem"

/* Called from _PG_init. */
extern void extension_init(void);

/*
 * Returns the extension's schema, or InvalidOid if this database does not have
 * the extension.  It is cached, so it can be called for each statement.  Call
 * in a transaction.
 */
extern Oid	extension_schema(void);

/*
 * Until it is called with false, each transaction of this process keeps DROP
 * EXTENSION waiting from its first query of our tables on (extension_hold).  DROP
 * EXTENSION locks the extension before anything else, so it waits with nothing
 * held, and cannot get into a deadlock with a run.  Call it where the transaction
 * has read none of our tables, or before a commit.
 */
extern void extension_hold_in_transactions(bool holds);

/* Called before each query.  Does nothing unless the process is to hold it. */
extern void extension_hold(void);

/*
 * Returns a relation of that schema.  If there is none, returns InvalidOid if
 * missing_ok, else throws an error.
 */
extern Oid	extension_relation(const char *name, bool missing_ok);

/*
 * Has the index of a table of that schema any row that is committed now?  One
 * index lookup and no query, for what is asked at each command.  Returns false,
 * too, while the extension is being created or dropped.
 */
extern bool extension_index_has_rows(const char *name, const char *index);

/*
 * Throws an error if the server runs for pg_upgrade: tuples written then would
 * have transaction ids that the new server considers to be in the future.
 * Call before anything is changed.
 */
extern void extension_refuse_upgrade(void);

/*
 * Is the session set up as pg_dump's scripts and pg_restore do it?  pg_restore
 * --clean drops triggers one by one before it drops their tables and the
 * extension's records of them.
 */
extern bool restore_is_running(void);

#endif							/* TANDEM_EXTENSION_H */
