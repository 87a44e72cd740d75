/*
 * key.h
 *		Builds UNIQUE and PRIMARY KEY constraints.
 */
#ifndef TANDEM_KEY_H
#define TANDEM_KEY_H

#include "nodes/parsenodes.h"

#include "catalog/step.h"
#include "ddl/build_piece.h"

/*
 * Checks the constraint completely, as the server would, and returns it as
 * text with storage parameters, palloc'd.  Holds its lock only briefly.
 */
extern char *key_check(Oid relid, Constraint *key, const char *definition);

/*
 * Is that the text of the constraint, as constraint_text returns it, or of the primary key
 * that tandem.take_keys has made of it?
 */
extern bool key_is_met_by(const Constraint *key, const char *text);

/* Returns the name of index and constraint on a leaf of relid, palloc'd. */
extern char *key_leaf_name(Oid relid, Oid leaf, const char *name);

/*
 * These are the parts of constraint_build_next and constraint_build_undo for
 * keys.
 */
extern BuildResult key_build_next(const Step *step, const Constraint *key,
								  BuildPiece *piece);
extern void key_build_undo(const Step *step, const Constraint *key);

#endif							/* TANDEM_KEY_H */
