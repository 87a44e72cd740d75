/*
 * key.h
 *		UNIQUE and PRIMARY KEY.
 */
#ifndef TANDEM_KEY_H
#define TANDEM_KEY_H

#include "nodes/parsenodes.h"

#include "catalog/step.h"
#include "ddl/build_piece.h"

/*
 * Checks all of it, as the server would, and returns it as text, with storage.
 * Its lock is short.
 */
extern char *key_check(Oid relid, Constraint *key, const char *definition);

/* The name of the index and constraint on a leaf of relid. */
extern char *key_leaf_name(Oid relid, Oid leaf, const char *name);

/* As constraint_build_next and constraint_build_undo, of which they are part. */
extern BuildResult key_build_next(const Step *step, const Constraint *key,
								  BuildPiece *piece);
extern void key_build_undo(const Step *step, const Constraint *key);

#endif							/* TANDEM_KEY_H */
