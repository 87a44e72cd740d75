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
 * Notes in pg_depend which columns, functions and types the rules of a trigger
 * use, so that the server refuses to drop or retype them.  The rules are read as
 * the owner of the table, security-restricted, whoever has made the trigger.
 * Errors: as relation_rules_parse, with nothing noted if the caller's
 * subtransaction is rolled back.
 */
extern void sync_record_dependencies(Relation rel, Oid trigger_oid,
									 List *rules);

#endif							/* TANDEM_INSTALL_H */
