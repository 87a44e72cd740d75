/*
 * write_target.h
 *		The part of a statement that writes one table.
 */
#ifndef TANDEM_WRITE_TARGET_H
#define TANDEM_WRITE_TARGET_H

#include "fmgr.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"
#include "utils/rel.h"

/*
 * An INSERT, UPDATE or MERGE: the statement, or one in its WITH.  Shared by
 * the partitions that it writes.
 */
typedef struct WriteTarget
{
	MemoryContext context;		/* of the statement */
	const PlannedStmt *stmt;
	ModifyTable *plan;
	ModifyTableState *state;	/* NULL if the library was loaded later */
	Oid			relid;			/* table that the statement names, or that of
								 * the view that it names */
	Bitmapset  *tables;			/* range table indexes of what it writes */
	Bitmapset  *named;			/* columns that INSERT names, offset by
								 * FirstLowInvalidHeapAttributeNumber */
	int			inserts;		/* number of its INSERT actions */
	int			view_release;	/* release of the view; 0 if none of ours */
	List	   *views;			/* OIDs of the views through which it writes
								 * the table, from the table on; the last one
								 * is what the statement names */
	List	   *from_itself;	/* of FromItselfAnswer */
} WriteTarget;

/*
 * Returns the part of the statement whose trigger call is being executed, or
 * NULL if it is not found; see writer_statement_find.
 */
extern WriteTarget *write_target_find(Relation rel, const FmgrInfo *call);

/*
 * May the statement name another relation than rel, by which it writes rel?
 * That is a view, or a partitioned table above it, and may have defaults of its
 * own.  Costs little.
 */
extern bool write_target_may_name_other(Relation rel, const FmgrInfo *call);

/* Returns the actions of a MERGE for its first target. */
extern List *write_target_actions(const ModifyTable *plan);

/*
 * Returns the action of a MERGE that inserts the row at hand, or NULL if none
 * does, or that is not known.
 */
extern MergeAction *write_target_inserting_action(const WriteTarget *target);

/* Returns the number that a column of relid has in other, or 0. */
extern AttrNumber write_target_column(Oid relid, AttrNumber attnum, Oid other);

#endif							/* TANDEM_WRITE_TARGET_H */
