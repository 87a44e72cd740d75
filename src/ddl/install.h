/*
 * install.h
 *		Putting the sync trigger on a table, and taking it off.
 */
#ifndef TANDEM_INSTALL_H
#define TANDEM_INSTALL_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

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

/*
 * Notes in pg_depend which columns, functions and types the rules of a trigger
 * use, so that the server refuses to drop or retype them.  Their names are
 * looked up with the rights of the current user: it must be one who may have
 * the code of whoever wrote the rules run as him, as reading a literal does
 * where a domain is checked.
 */
extern void sync_record_dependencies(Relation rel, Oid trigger_oid,
									 List *rules);

#endif							/* TANDEM_INSTALL_H */
