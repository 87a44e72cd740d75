/*
 * in_use.h
 *		Is there anything in this database that DDL may concern?
 */
#ifndef TANDEM_IN_USE_H
#define TANDEM_IN_USE_H

/*
 * Returns false if the database has no open migration, no sync trigger, no view
 * or publication of a release, and no column that only views show: then no DDL
 * concerns anything of ours but schema tandem itself.  That answer is remembered, so
 * that it costs nothing at each DDL command.  Call in a transaction.
 */
extern bool extension_in_use(void);

/* Call after a trigger was made that no migration may know. */
extern void extension_use_begins(void);

#endif							/* TANDEM_IN_USE_H */
