/*
 * key_definition.h
 *		UNIQUE and PRIMARY KEY: their text, and that of the index below them.
 */
#ifndef TANDEM_KEY_DEFINITION_H
#define TANDEM_KEY_DEFINITION_H

#include "nodes/parsenodes.h"

/*
 * The constraint as text; with storage, its storage parameters and tablespace
 * too, which pg_get_constraintdef leaves out.
 */
extern char *key_text(const Constraint *key, bool storage);

/* " DEFERRABLE ..." of the constraint, or "" */
extern const char *key_deferral(const Constraint *key);

/* The index below it, from USING on. */
extern char *key_index_tail(const Constraint *key);

/*
 * Checks all of it, as the server would, and returns it as text, with storage.
 * Its lock is short.
 */
extern char *key_check(Oid relid, Constraint *key, const char *definition);

/* The name of the index and constraint on a leaf of relid. */
extern char *key_leaf_name(Oid relid, Oid leaf, const char *name);

#endif							/* TANDEM_KEY_DEFINITION_H */
