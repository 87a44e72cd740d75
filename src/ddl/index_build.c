/*
 * index_build.c
 *		Building the index of a step without blocking, and taking it away.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"

#include "core/quoting.h"
#include "ddl/index_build.h"
#include "ddl/index_found.h"
#include "ddl/index_leaf.h"
#include "ddl/index_tree.h"
#include "ddl/partitions.h"
#include "ddl/statement.h"

BuildResult
index_build_next(const Step *step, BuildPiece *piece)
{
	FoundIndex	found;

	memset(piece, 0, sizeof(BuildPiece));
	/* a table that is gone needs no index */
	if (quoting_find_name(step->relation) == NULL)
		return BUILD_DONE;
	found = index_find(step, step->relation, step->object);
	/* since it was built, as a key that changes its type has it */
	if (found.state == FOUND_NOTHING && step->done &&
		index_has_become_constraint(step))
		return BUILD_DONE;
	if (get_rel_relkind(step->relation) == RELKIND_PARTITIONED_TABLE)
		return index_tree_next(step, &found, piece);
	return index_leaf_next(step, &found, "", piece);
}

static void
refuse_identity(Oid index)
{
	Oid			relid = IndexGetRelation(index, false);

	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("index \"%s\" is the replica identity of table \"%s\"",
					quoting_shown_name(index), quoting_shown_name(relid)),
			 errhint("Give it another one with ALTER TABLE %s REPLICA IDENTITY, then call tandem.abort again.",
					 quoting_relation(relid))));
}

void
index_check_undo(Oid index)
{
	ListCell   *lc;

	foreach(lc, table_tree(index))
	{
		if (get_index_isreplident(lfirst_oid(lc)))
			refuse_identity(lfirst_oid(lc));
	}
}

/* The server takes no index off the one above: both would go. */
static bool
has_adopted(const Step *step, Oid table)
{
	ListCell   *lc;

	foreach(lc, table_tree(table))
	{
		if (lfirst_oid(lc) != table && index_is_adopted(step, lfirst_oid(lc)))
			return true;
	}
	return false;
}

/*
 * What somebody has built by hand under the name is his, though the step has
 * taken it for its own.  But what is invalid is of no use to anybody.
 */
static void
drop_if_ours(const Step *step, FoundIndex found)
{
	if (found.state != FOUND_VALID && found.state != FOUND_INVALID &&
		found.state != FOUND_INCOMPLETE)
		return;
	if (found.state != FOUND_INVALID && !step_has_built(step, found.name))
	{
		ereport(NOTICE,
				(errmsg("index %s stays: the migration has not built it",
						index_qualified_name(&found))));
		return;
	}
	if (has_adopted(step, found.table))
	{
		ereport(NOTICE,
				(errmsg("index %s stays: an index of a partition that the migration has not built is attached to it",
						index_qualified_name(&found))));
		return;
	}
	index_check_undo(found.index);
	ddl_run_stored(found.table,
				   psprintf("DROP INDEX %s", index_qualified_name(&found)));
}

/* What is attached goes with the index of the parent; the rest one by one. */
void
index_build_undo(const Step *step)
{
	ListCell   *lc;

	if (quoting_find_name(step->relation) == NULL)
		return;
	drop_if_ours(step, index_find(step, step->relation, step->object));
	foreach(lc, table_tree(step->relation))
	{
		if (lfirst_oid(lc) != step->relation)
			drop_if_ours(step, index_find_on_partition(step, lfirst_oid(lc)));
	}
}
