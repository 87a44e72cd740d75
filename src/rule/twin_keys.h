/*
 * twin_keys.h
 *		Unique indexes of a table that hold one key in two forms.
 *
 * A unique index over old columns and one over the new columns that a rule
 * computes from them are twins: two rows that conflict in one conflict in the
 * other.  Columns that no rule reads or writes are the same in both.
 */
#ifndef TANDEM_TWIN_KEYS_H
#define TANDEM_TWIN_KEYS_H

#include "fmgr.h"
#include "nodes/execnodes.h"

#include "rule/relation_rules.h"

/* A unique index whose key another one holds in another form. */
typedef struct TwinKey
{
	Oid			index;
	IndexInfo  *info;			/* with what BuildSpeculativeIndexInfo adds */
	Bitmapset  *columns;		/* attribute numbers that it reads, its
								 * predicate included */
	int			nkeys;			/* number of key columns */
	Oid		   *collations;		/* of each key column */
	FmgrInfo   *hash;			/* of each; fn_oid is invalid if the type has
								 * none */
	bool		is_plain;		/* neither expressions nor a predicate? */
} TwinKey;

/*
 * Fills in table->twin_keys: those valid indexes of rel of which each pair of
 * twins has at least one, so that two rows that conflict in both indexes of a
 * pair have the same key in one of these.  NIL if no two indexes are twins.  An
 * index counts from the moment when it is in the catalog, before it is built.
 * Left out: deferrable constraints, which raise nothing at once, and indexes of
 * generated columns, which BEFORE triggers do not see.  The caller holds a lock
 * on rel.
 */
extern void twin_keys_find(Relation rel, TableRules *table);

#endif							/* TANDEM_TWIN_KEYS_H */
