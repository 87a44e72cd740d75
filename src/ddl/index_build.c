/*
 * index_build.c
 *		Builds the index of a step, on a table or a partition tree.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "catalog/sync.h"
#include "core/authority.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/index_build.h"
#include "ddl/index_definition.h"

/*-------------------------------------------------------------------------
 * Building an index on one table that is not partitioned.
 *
 * A CREATE INDEX CONCURRENTLY that fails leaves an invalid index, and one that
 * is running has an invalid index, too.  They are told apart by the lock on
 * the table, which the session that builds it holds from before the index is
 * visible until it is valid.
 *-------------------------------------------------------------------------
 */

/*
 * Returns the session that may be building an index of the table, for
 * messages, or NULL.  VACUUM takes the same lock.  Dropping the index would
 * wait for VACUUM as well; but autovacuum gives way, so it does not count.
 */
static char *
possible_index_builder(Oid table)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, table);
	return query_end_text(&query, query_run_latest(&query,
												   "SELECT description FROM tandem._index_builders WHERE relation = $1 LIMIT 1"));
}

static BuildResult
create_index_piece(const Step *step, const FoundIndex *found,
				   const char *progress, BuildPiece *piece)
{
	/*
	 * IF NOT EXISTS: else the cleanup could drop an index of another session
	 */
	index_check_calls(step, found->table);
	piece->statement = psprintf("CREATE %sINDEX CONCURRENTLY IF NOT EXISTS %s ON %s %s",
								step->is_unique ? "UNIQUE " : "",
								quote_identifier(found->name),
								quoting_relation(found->table),
								step->definition);
	piece->index = found->name;
	piece->cleanup = psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
							  index_qualified_name(found));
	piece->phase = DOING_INDEX;
	piece->doing = psprintf("building index %s on %s%s",
							quote_identifier(step->object),
							quoting_name(found->table),
							progress);
	return BUILD_STATEMENT;
}

/*
 * The order matters: an index that is invalid, then has no session building
 * it, and is then still invalid, was left behind.
 */
static BuildResult
drop_invalid_index(const Step *step, const FoundIndex *found,
				   BuildPiece *piece)
{
	char	   *builder = possible_index_builder(found->table);

	if (builder)
	{
		piece->phase = DOING_WAIT;
		piece->doing = psprintf("waiting for %s, which may be building index %s",
								builder, quote_identifier(found->name));
		return BUILD_WAIT;
	}
	if (index_find(step, found->table, found->name).state != FOUND_INVALID)
		return BUILD_AGAIN;
	piece->statement = psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
								index_qualified_name(found));
	piece->phase = DOING_INDEX_DROP;
	piece->doing = psprintf("dropping invalid index %s left by an earlier try",
							quote_identifier(found->name));
	return BUILD_STATEMENT;
}

/*
 * Finds the next piece of the index, which index_find has found in this state.
 * progress is for messages and may be "".  Returns BUILD_DONE if the table has
 * the index.  Errors: another object has the name.
 */
static BuildResult
index_leaf_next(const Step *step, const FoundIndex *found,
				const char *progress, BuildPiece *piece)
{
	piece->relation = found->table;
	switch (found->state)
	{
		case FOUND_NOTHING:
			return create_index_piece(step, found, progress, piece);
		case FOUND_INVALID:
			return drop_invalid_index(step, found, piece);
		case FOUND_VALID:
			return BUILD_DONE;
		case FOUND_INCOMPLETE:
		case FOUND_OTHER:
			break;
	}
	index_refuse_other(found);
	return BUILD_DONE;
}

/*-------------------------------------------------------------------------
 * Building an index on a partition tree.
 *
 * First each partitioned table gets an index ON ONLY that table, from the top.
 * Then the leaves get theirs, concurrently.  Then each is attached to its
 * parent, from the bottom.  The server makes an index valid when the last
 * index below it is attached.
 *
 * Partitions may be attached and detached meanwhile; one that is attached gets
 * the index by that.  So the index is complete when the tree is examined and
 * nothing is missing.  What is missing is done, and only then is the tree
 * examined again: each time would take the square of its partitions.
 *-------------------------------------------------------------------------
 */

/* An index and the parent index to which it belongs. */
typedef struct IndexPair
{
	Oid			parent_table;
	Oid			parent;			/* InvalidOid if there is no such pair */
	Oid			table;
	Oid			index;
} IndexPair;

/* The result of examining the tree: all leaves, else the first of each kind. */
typedef struct Survey
{
	const Step *step;
	int			leaves;
	int			built;
	bool		branch_missing;
	FoundIndex	branch;			/* partitioned table without the index */
	List	   *missing;		/* OIDs of leaves without the index */
	Oid			broken;			/* attached, but not valid */
	List	   *loose;			/* of IndexPair *: complete and to be attached */
	IndexPair	unready;		/* attached, but the parent is not yet valid */
	Oid			empty;			/* invalid, with no partition below */
} Survey;

static void survey_index_tree(Survey *s, Oid table, Oid index);

/* Returns the index of table that is attached to index, or InvalidOid. */
static Oid
attached_index_of_table(Oid index, Oid table)
{
	TandemQuery query;
	Oid			attached = InvalidOid;

	query_begin(&query);
	query_oid(&query, index);
	query_oid(&query, table);
	if (query_run_latest(&query,
						 "SELECT i.indexrelid FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid "
						 "WHERE h.inhparent = $1 AND i.indrelid = $2") > 0)
		attached = query_get_oid(0, 1);
	query_end(&query);
	return attached;
}

static IndexPair *
make_index_pair(Oid parent_table, Oid parent, Oid table, Oid index)
{
	IndexPair  *pair = palloc(sizeof(IndexPair));

	pair->parent_table = parent_table;
	pair->parent = parent;
	pair->table = table;
	pair->index = index;
	return pair;
}

static void
survey_leaf_index(Survey *s, Oid table, Oid attached, FoundIndex *found)
{
	s->leaves++;
	if (OidIsValid(attached))
	{
		if (get_index_isvalid(attached))
			s->built++;
		else if (!OidIsValid(s->broken))
			s->broken = attached;
		return;
	}
	*found = index_find_on_partition(s->step, table);
	if (found->state == FOUND_VALID)
		s->built++;
	else
		s->missing = lappend_oid(s->missing, table);
}

static void
survey_branch_index(Survey *s, Oid table, Oid attached, FoundIndex *found)
{
	if (OidIsValid(attached))
	{
		survey_index_tree(s, table, attached);
		return;
	}
	*found = index_find_on_partition(s->step, table);
	if (OidIsValid(found->index) && found->state != FOUND_OTHER &&
		found->state != FOUND_INVALID)
		survey_index_tree(s, table, found->index);
	else if (!s->branch_missing)
	{
		s->branch = *found;
		s->branch_missing = true;
	}
}

static void
refuse_foreign_partition(Oid table)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("partition \"%s\" is a foreign table and cannot be indexed",
					quoting_shown_name(table)),
			 errhint("Detach it, then call tandem.migrate again.")));
}

/*
 * Examines a partitioned table that has the index.  The deepest level comes
 * first.
 */
static void
survey_index_tree(Survey *s, Oid table, Oid index)
{
	bool		valid = get_index_isvalid(index);
	List	   *children = table_children(table);
	ListCell   *lc;

	foreach(lc, children)
	{
		Oid			child = lfirst_oid(lc);
		Oid			attached = attached_index_of_table(index, child);
		FoundIndex	found = {FOUND_NOTHING, InvalidOid, child, NULL};
		char		relkind = get_rel_relkind(child);

		if (relkind == RELKIND_FOREIGN_TABLE)
			refuse_foreign_partition(child);
		if (relkind == RELKIND_PARTITIONED_TABLE)
			survey_branch_index(s, child, attached, &found);
		else if (relkind == RELKIND_RELATION)
			survey_leaf_index(s, child, attached, &found);
		if (found.state == FOUND_VALID)
			s->loose = lappend(s->loose, make_index_pair(table, index, child,
														 found.index));
	}
	if (valid)
		return;
	if (children == NIL)
		s->empty = OidIsValid(s->empty) ? s->empty : index;
	else if (s->loose == NIL && !OidIsValid(s->unready.parent))
	{
		/* all may be attached if one that was not has been detached */
		Oid			child = linitial_oid(children);
		Oid			attached = attached_index_of_table(index, child);

		if (OidIsValid(attached))
			s->unready = *make_index_pair(table, index, child, attached);
	}
}

/* Another session has started an index of this name and not completed it. */
static BuildResult
drop_left_over_index(const Step *step, const FoundIndex *found,
					 BuildPiece *piece)
{
	char	   *table = quoting_find_name(found->table);

	/* another session has dropped it meanwhile */
	if (table == NULL)
		return BUILD_AGAIN;
	piece->relation = found->table;
	piece->phase = DOING_INDEX_DROP;
	piece->doing = psprintf("dropping invalid index %s of partitioned table %s",
							quote_identifier(found->name),
							quote_identifier(table));
	lock_relations(list_make1_oid(found->table), AccessExclusiveLock);
	if (quoting_find_name(found->table) &&
		index_find(step, found->table, found->name).state == FOUND_INVALID)
		ddl_run(psprintf("DROP INDEX %s", index_qualified_name(found)));
	return BUILD_AGAIN;
}

/* Creates the index of a partitioned table ON ONLY that table. */
static BuildResult
create_branch_index(const Step *step, const FoundIndex *found,
					BuildPiece *piece)
{
	int			level;

	if (found->state == FOUND_OTHER)
		index_refuse_other(found);
	if (found->state == FOUND_INVALID)
		return drop_left_over_index(step, found, piece);
	piece->relation = found->table;
	piece->phase = DOING_INDEX;
	piece->doing = psprintf("creating index %s on partitioned table %s",
							quote_identifier(found->name),
							quoting_name(found->table));
	/* keeps out writes through this table while the catalog entry is made */
	lock_relations(list_make1_oid(found->table), ShareLock);
	if (!relation_exists(found->table) ||
		index_find(step, found->table, found->name).state != FOUND_NOTHING)
		return BUILD_AGAIN;
	index_check_calls(step, found->table);
	level = NewGUCNestLevel();
	authority_pin_tablespace();
	ddl_run_stored(found->table,
				   psprintf("CREATE %sINDEX %s ON ONLY %s %s",
							step->is_unique ? "UNIQUE " : "",
							quote_identifier(found->name),
							quoting_relation(found->table), step->definition));
	AtEOXact_GUC(false, level);
	step_note_index(step->id, found->name);
	return BUILD_AGAIN;
}

/*
 * If an index that is already attached becomes valid, the server locks its
 * parent and the parent's table in ACCESS EXCLUSIVE mode, and waits for the
 * locks without limit.  So take them here first.
 */
static void
lock_index_ancestors(Oid index)
{
	List	   *relids = NIL;

	while (OidIsValid(index = partition_parent(index)))
	{
		relids = lappend_oid(relids, index);
		relids = list_append_unique_oid(relids, IndexGetRelation(index, true));
	}
	relids = list_delete_oid(relids, InvalidOid);
	if (relids != NIL)
		lock_relations(relids, AccessExclusiveLock);
}

/*
 * Attaches the index of a partition, after locking what the server would lock.
 */
static BuildResult
attach_index(const Step *step, const IndexPair *pair, BuildPiece *piece)
{
	bool		again = get_rel_relispartition(pair->index);

	piece->relation = pair->table;
	piece->phase = DOING_INDEX_ATTACH;
	piece->doing = psprintf("attaching index %s of %s",
							quote_identifier(step->object),
							quoting_name(pair->table));
	/* the tables first, as any session that reads them does */
	lock_index_ancestors(pair->parent);
	lock_relations(list_make2_oid(pair->parent_table, pair->table),
				   AccessShareLock);
	lock_relations(list_make1_oid(pair->parent), ShareUpdateExclusiveLock);
	lock_relations(list_make1_oid(pair->index), AccessExclusiveLock);
	if (!relation_exists(pair->parent) ||
		!relation_exists(pair->index) ||
		!list_member_oid(table_children(pair->parent_table),
						 pair->table))
		return BUILD_AGAIN;

	/*
	 * runs immutable functions: the server folds the expressions to compare
	 * them
	 */
	ddl_run_evaluating(pair->table,
					   psprintf("ALTER INDEX %s ATTACH PARTITION %s",
								quoting_relation(pair->parent),
								quoting_relation(pair->index)),
					   sync_expand_path(step->migration_id, step->relation));
	if (again && !get_index_isvalid(pair->parent))
	{
		/* a DETACH CONCURRENTLY that has not finished */
		piece->phase = DOING_WAIT;
		piece->doing = psprintf("waiting for a partition of %s to be detached",
								quoting_name(pair->parent_table));
		return BUILD_WAIT;
	}
	return BUILD_AGAIN;
}

/*
 * An index created ON ONLY never becomes valid if its last partition is gone.
 */
static BuildResult
drop_empty_index(Oid index, BuildPiece *piece)
{
	Oid			table = IndexGetRelation(index, false);

	piece->relation = table;
	piece->phase = DOING_INDEX;
	piece->doing = psprintf("rebuilding index %s, because %s no longer has partitions",
							quoting_name(index),
							quoting_name(table));
	lock_relations(list_make1_oid(table), AccessExclusiveLock);
	if (table_children(table) == NIL)
		ddl_run_stored(table,
					   psprintf("DROP INDEX %s", quoting_relation(index)));
	return BUILD_AGAIN;
}

static BuildResult
rebuild_index(Oid index, BuildPiece *piece)
{
	piece->relation = IndexGetRelation(index, false);
	piece->statement = psprintf("REINDEX INDEX CONCURRENTLY %s",
								quoting_relation(index));
	piece->phase = DOING_INDEX;
	piece->doing = psprintf("rebuilding invalid index %s",
							quoting_name(index));
	return BUILD_STATEMENT;
}

void
index_plan_init(IndexPlan *plan)
{
	memset(plan, 0, sizeof(IndexPlan));
	plan->context = CurrentMemoryContext;
}

static void
plan_from_survey(IndexPlan *plan, const Survey *s)
{
	MemoryContext caller = MemoryContextSwitchTo(plan->context);
	ListCell   *lc;

	plan->leaves = list_copy(s->missing);
	/* an index is not attached before its leaves have it */
	foreach(lc, s->missing == NIL && !OidIsValid(s->broken) ? s->loose : NIL)
	{
		const IndexPair *pair = lfirst(lc);

		plan->pairs = lappend(plan->pairs,
							  make_index_pair(pair->parent_table, pair->parent,
											  pair->table, pair->index));
	}
	plan->built = s->built;
	plan->total = s->leaves;
	MemoryContextSwitchTo(caller);
}

/*
 * Takes the next partition of the plan that still needs the index.  Returns
 * false if there is none: the tree must be examined again, as where a partition
 * is not as it was.
 */
static bool
next_planned_leaf(const Step *step, IndexPlan *plan, FoundIndex *found)
{
	while (plan->leaves != NIL)
	{
		Oid			table = linitial_oid(plan->leaves);

		plan->leaves = list_delete_first(plan->leaves);
		if (get_rel_relkind(table) != RELKIND_RELATION ||
			!list_member_oid(get_partition_ancestors(table), step->relation))
			continue;
		*found = index_find_on_partition(step, table);
		if (found->state == FOUND_NOTHING || found->state == FOUND_INVALID)
			return true;
	}
	return false;
}

static bool
next_planned_pair(IndexPlan *plan, IndexPair *pair)
{
	while (plan->pairs != NIL)
	{
		IndexPair  *next = linitial(plan->pairs);

		*pair = *next;
		plan->pairs = list_delete_first(plan->pairs);
		pfree(next);
		if (relation_exists(pair->index) &&
			!get_rel_relispartition(pair->index))
			return true;
	}
	return false;
}

/* Returns BUILD_DONE if nothing that was planned is left. */
static BuildResult
index_planned_next(const Step *step, IndexPlan *plan, BuildPiece *piece)
{
	FoundIndex	leaf;
	IndexPair	pair;

	if (next_planned_leaf(step, plan, &leaf))
		return index_leaf_next(step, &leaf,
							   psprintf(" (%d of %d)", ++plan->built, plan->total),
							   piece);
	if (next_planned_pair(plan, &pair))
		return attach_index(step, &pair, piece);
	return BUILD_DONE;
}

/*
 * Finds the next piece of the index of a partitioned table, which index_find
 * has found in this state.  Errors: another object has the name, here or on a
 * partition; strong locks as for lock_relations.
 */
static BuildResult
index_tree_next(const Step *step, const FoundIndex *root, IndexPlan *plan,
				BuildPiece *piece)
{
	Survey		s = {0};
	BuildResult planned;

	if (root->state == FOUND_VALID)
		return BUILD_DONE;
	if (root->state != FOUND_INCOMPLETE)
		return create_branch_index(step, root, piece);
	planned = index_planned_next(step, plan, piece);
	if (planned != BUILD_DONE)
		return planned;
	s.step = step;
	survey_index_tree(&s, root->table, root->index);
	if (s.branch_missing)
		return create_branch_index(step, &s.branch, piece);
	plan_from_survey(plan, &s);
	planned = index_planned_next(step, plan, piece);
	if (planned != BUILD_DONE)
		return planned;
	/* another object has the name on it */
	if (s.missing != NIL)
	{
		FoundIndex	other = index_find_on_partition(step, linitial_oid(s.missing));

		planned = index_leaf_next(step, &other, "", piece);
		/* or it has got the index meanwhile */
		return planned == BUILD_DONE ? BUILD_AGAIN : planned;
	}
	if (OidIsValid(s.broken))
		return rebuild_index(s.broken, piece);
	if (OidIsValid(s.unready.parent))
		return attach_index(step, &s.unready, piece);
	if (OidIsValid(s.empty))
		return drop_empty_index(s.empty, piece);
	return BUILD_AGAIN;
}

/*-------------------------------------------------------------------------
 * Building the index of a step without blocking, and dropping it.
 *-------------------------------------------------------------------------
 */

BuildResult
index_build_next(const Step *step, IndexPlan *plan, BuildPiece *piece)
{
	FoundIndex	found;

	memset(piece, 0, sizeof(BuildPiece));
	/* a table that was dropped needs no index */
	if (!relation_exists(step->relation))
		return BUILD_DONE;
	found = index_find(step, step->relation, step->object);
	/* a key added USING INDEX has taken the index since it was built */
	if (found.state == FOUND_NOTHING && step->done &&
		index_has_become_constraint(step))
		return BUILD_DONE;
	if (get_rel_relkind(step->relation) == RELKIND_PARTITIONED_TABLE)
		return index_tree_next(step, &found, plan, piece);
	return index_leaf_next(step, &found, "", piece);
}

static void
refuse_replica_identity(Oid index)
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
			refuse_replica_identity(lfirst_oid(lc));
	}
}

/* The server cannot detach an index from its parent: both would be dropped. */
static bool
step_has_adopted_index(const Step *step, Oid table)
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
 * An index that was built by hand under the name is kept, although the step
 * uses it as its own.  But an invalid one is of no use.
 */
static void
drop_index_if_ours(const Step *step, FoundIndex found)
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
	if (step_has_adopted_index(step, found.table))
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

/*
 * Attached indexes are dropped with that of the parent; drop the others
 * singly.
 */
void
index_build_undo(const Step *step)
{
	ListCell   *lc;

	if (!relation_exists(step->relation))
		return;
	drop_index_if_ours(step, index_find(step, step->relation, step->object));
	foreach(lc, table_tree(step->relation))
	{
		if (lfirst_oid(lc) != step->relation)
			drop_index_if_ours(step,
							   index_find_on_partition(step, lfirst_oid(lc)));
	}
}
