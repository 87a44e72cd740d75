/*
 * wide_effect.h
 *		What statements do that name no table, but reach all of some kind.
 */
#ifndef TANDEM_WIDE_EFFECT_H
#define TANDEM_WIDE_EFFECT_H

#include "lint/effect.h"

/*
 * Adds what such a statement does: VACUUM FULL, CLUSTER, REPACK and REINDEX of a schema or
 * the database, ALTER TABLE ALL IN TABLESPACE, DROP OWNED, REASSIGN OWNED.  Returns false
 * if it is another one.
 */
extern bool wide_effects(ScriptTables *tables, Node *statement, List **effects);

#endif							/* TANDEM_WIDE_EFFECT_H */
