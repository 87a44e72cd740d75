/*
 * install.h
 *		Putting the sync trigger on a table, and taking it off.
 */
#ifndef TANDEM_INSTALL_H
#define TANDEM_INSTALL_H

/*
 * Makes the trigger of relid say what tandem.sync says of it: makes it,
 * replaces it, or drops it when no live rule is left.  Runs as the current
 * user, who owns the table, and who has it locked against writers.
 */
extern void sync_install(Oid relid);

/*
 * Errors when the table has a sync trigger with a rule that tandem.sync does
 * not know of it: a table restored alone brings its trigger along.  Its rules
 * would be gone with the next sync_install.
 */
extern void sync_check_found(Oid relid);

#endif							/* TANDEM_INSTALL_H */
