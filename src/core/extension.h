/*
 * extension.h
 *		The extension in this database, and whether a dump is being
 *		restored.
 */
#ifndef TANDEM_EXTENSION_H
#define TANDEM_EXTENSION_H

/*-------------------------------------------------------------------------
 * Whether this database has the extension, and where its tables are.
 *
 * A schema of that name proves nothing, since anybody who may create schemas in
 * the database can make one: the schema that counts is a member of the
 * extension.  Nobody but the extension's owner can create anything in it.
 *-------------------------------------------------------------------------
 */

#define EXTENSION_NAME "pg_tandem"
#define EXTENSION_SCHEMA "tandem"

/* For _PG_init. */
extern void extension_init(void);

/*
 * The extension's schema; InvalidOid: the database does not have the extension.
 * Kept for the session, so that it can be asked for each statement.  Called in
 * a transaction.
 */
extern Oid	extension_schema(void);

/*
 * A relation of that schema.  InvalidOid if there is none and missing_ok, else
 * an error.
 */
extern Oid	extension_relation(const char *name, bool missing_ok);

/*
 * Errors while the server runs for pg_upgrade: what it writes then to a table
 * of the user would have transaction numbers that the new server takes for
 * those of the future.  Asked before anything is changed.
 */
extern void extension_refuse_upgrade(void);

/*
 * True in a session that is set up as pg_dump has its scripts begin and
 * pg_restore its session.  pg_restore --clean drops triggers one by one, before
 * their tables and what tandem knows of them.
 */
extern bool restore_is_running(void);

#endif							/* TANDEM_EXTENSION_H */
