/*
 * index_build.c
 *		Building the index of a step, on one table or on partitions.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/authority.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/index_build.h"
#include "ddl/index_definition.h"

/*-------------------------------------------------------------------------
 * Building an index on one ordinary table.
 *
 * CREATE INDEX CONCURRENTLY that fails leaves an index that is invalid.  So does
 * one that has not come to its end: the two are told apart by the lock on the
 * table which a builder holds from before its index is seen until it is valid.
 *-------------------------------------------------------------------------
 */

/*
 * Who may be building an index of the table, for people, or NULL.  VACUUM holds
 * the same lock: dropping would wait for it too; but autovacuum gives way to
 * who waits.
 */
static char *
possible_index_builder(Oid table)
{
	TandemQuery query;
	char	   *text = NULL;

	query_begin(&query);
	query_oid(&query, table);
	if (query_run_latest(&query,
						 "SELECT description FROM tandem._index_builders WHERE relation = $1 LIMIT 1") > 0)
		text = query_get_text(0, 1);

	query_end(&query);
	return text;
}

static BuildResult
create_index_piece(const Step *step, const FoundIndex *found,
				   const char *progress, BuildPiece *piece)
{
	/* IF NOT EXISTS: the clean-up must not drop what another session makes */
	piece->statement = psprintf("CREATE %sINDEX CONCURRENTLY IF NOT EXISTS %s ON %s %s",
								step->is_unique ? "UNIQUE " : "",
								quote_identifier(found->name),
								quoting_relation(found->table),
								step->definition);
	piece->index = found->name;
	piece->cleanup = psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
							  index_qualified_name(found));
	piece->doing = psprintf("building index %s on %s%s",
							quote_identifier(step->object),
							quoting_name(found->table),
							progress);
	return BUILD_STATEMENT;
}

/*
 * The order of looking matters: an index that was invalid, then has no builder,
 * and then is invalid still, has been left by one.
 */
static BuildResult
drop_invalid_index(const Step *step, const FoundIndex *found,
				   BuildPiece *piece)
{
	char	   *builder = possible_index_builder(found->table);

	if (builder)
	{
		piece->doing = psprintf("waiting for %s, which may be building index %s",
								builder, quote_identifier(found->name));
		return BUILD_WAIT;
	}
	if (index_find(step, found->table, found->name).state != FOUND_INVALID)
		return BUILD_AGAIN;
	piece->statement = psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
								index_qualified_name(found));
	piece->doing = psprintf("dropping invalid index %s left by an earlier try",
							quote_identifier(found->name));
	return BUILD_STATEMENT;
}

/*
 * The next piece of the index, which was found so.  progress is for people and
 * may be "".  BUILD_DONE: this table has it.  Errors: something else has the
 * name.
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
 * Building an index on a partitioned table and all that is below it.
 *
 * First the index of each partitioned table, on itself only, from the top; then
 * those of the leaf tables, concurrently; then each is attached to the one
 * above, from the bottom.  The server makes an index valid when the last one
 * below is attached.
 *
 * Partitions come and go meanwhile, and one that comes brings the index along.
 * So nothing is planned: each time the tree is looked over, and what is found
 * to be missing first is done.
 *-------------------------------------------------------------------------
 */

/* An index, and the one above that it belongs to. */
typedef struct Pair
{
	Oid			parent_table;
	Oid			parent;			/* InvalidOid: there is no such pair */
	Oid			table;
	Oid			index;
} Pair;

/* What a look over the tree finds; of each kind the first. */
typedef struct Survey
{
	const Step *step;
	int			leaves;
	int			built;
	bool		branch_missing;
	bool		leaf_missing;
	FoundIndex	branch;			/* partitioned table without its index */
	FoundIndex	leaf;
	Oid			broken;			/* attached, but not valid */
	Pair		loose;			/* complete, to be attached; or attached, and
								 * the one above does not know yet */
	Oid			empty;			/* invalid, with no partition below */
} Survey;

static void survey_index_tree(Survey *s, Oid table, Oid index);

/* The indexes that belong to index, by the table of each. */
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

static void
note_index_pair(Survey *s, Oid parent_table, Oid parent, Oid table, Oid index)
{
	if (!OidIsValid(s->loose.parent))
		s->loose = (Pair)
	{
		parent_table, parent, table, index
	};
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
	else if (!s->leaf_missing)
	{
		s->leaf = *found;
		s->leaf_missing = true;
	}
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

/* table is partitioned and has index; below it what is deeper comes first. */
static void
survey_index_tree(Survey *s, Oid table, Oid index)
{
	bool		valid = get_index_isvalid(index);
	List	   *children = find_inheritance_children(table, NoLock);
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
			note_index_pair(s, table, index, child, found.index);
	}
	if (valid)
		return;
	if (children == NIL)
		s->empty = OidIsValid(s->empty) ? s->empty : index;
	else if (!OidIsValid(s->loose.parent))
	{
		/* all may be attached, the last since one that was not has gone */
		Oid			child = linitial_oid(children);
		Oid			attached = attached_index_of_table(index, child);

		if (OidIsValid(attached))
			note_index_pair(s, table, index, child, attached);
	}
}

/* Somebody made another index of this name, and did not come to its end. */
static BuildResult
drop_left_over_index(const Step *step, const FoundIndex *found,
					 BuildPiece *piece)
{
	char	   *table = quoting_find_name(found->table);

	/* another session has dropped it meanwhile */
	if (table == NULL)
		return BUILD_AGAIN;
	piece->relation = found->table;
	piece->doing = psprintf("dropping invalid index %s of partitioned table %s",
							quote_identifier(found->name),
							quote_identifier(table));
	lock_relations(list_make1_oid(found->table), AccessExclusiveLock);
	if (quoting_find_name(found->table) &&
		index_find(step, found->table, found->name).state == FOUND_INVALID)
		ddl_run(psprintf("DROP INDEX %s", index_qualified_name(found)));
	return BUILD_AGAIN;
}

static BuildResult
create_branch_index(const Step *step, const FoundIndex *found,
					BuildPiece *piece)
{
	AuthorityScope scope;

	if (found->state == FOUND_OTHER)
		index_refuse_other(found);
	if (found->state == FOUND_INVALID)
		return drop_left_over_index(step, found, piece);
	piece->relation = found->table;
	piece->doing = psprintf("creating index %s on partitioned table %s",
							quote_identifier(found->name),
							quoting_name(found->table));
	/* keeps out who writes through this table, for the instant of an entry */
	lock_relations(list_make1_oid(found->table), ShareLock);
	if (quoting_find_name(found->table) == NULL ||
		index_find(step, found->table, found->name).state != FOUND_NOTHING)
		return BUILD_AGAIN;
	authority_pin_search_path(&scope);
	authority_pin_text_forms();
	authority_pin_tablespace();
	ddl_run_stored(found->table,
				   psprintf("CREATE %sINDEX %s ON ONLY %s %s",
							step->is_unique ? "UNIQUE " : "",
							quote_identifier(found->name),
							quoting_relation(found->table), step->definition));
	authority_leave(&scope);
	step_note_index(step->id, found->name);
	return BUILD_AGAIN;
}

/*
 * Where an index becomes valid that is attached already, the server locks the
 * one above, and its table, against everybody, and does not give up.
 */
static void
lock_index_ancestors(Oid index)
{
	List	   *relids = NIL;

	while (get_rel_relispartition(index))
	{
		index = get_partition_parent(index, true);
		relids = lappend_oid(relids, index);
		relids = lappend_oid(relids, IndexGetRelation(index, false));
	}
	if (relids != NIL)
		lock_relations(relids, AccessExclusiveLock);
}

static BuildResult
attach_index(const Step *step, const Pair *pair, BuildPiece *piece)
{
	bool		again = get_rel_relispartition(pair->index);

	piece->relation = pair->table;
	piece->doing = psprintf("attaching index %s of %s",
							quote_identifier(step->object),
							quoting_name(pair->table));
	/* of the tables first, as whoever reads them does */
	lock_index_ancestors(pair->parent);
	lock_relations(list_make2_oid(pair->parent_table, pair->table),
				   AccessShareLock);
	lock_relations(list_make1_oid(pair->parent), ShareUpdateExclusiveLock);
	lock_relations(list_make1_oid(pair->index), AccessExclusiveLock);
	if (quoting_find_name(pair->parent) == NULL ||
		quoting_find_name(pair->index) == NULL ||
		!list_member_oid(find_inheritance_children(pair->parent_table, NoLock),
						 pair->table))
		return BUILD_AGAIN;
	/* compares the expressions of both, which the server folds to do so */
	ddl_run_stored(pair->table,
				   psprintf("ALTER INDEX %s ATTACH PARTITION %s",
							quoting_relation(pair->parent),
							quoting_relation(pair->index)));
	if (again && !get_index_isvalid(pair->parent))
	{
		/* DETACH CONCURRENTLY, which is not at its end */
		piece->doing = psprintf("waiting for a partition of %s to be detached",
								quoting_name(pair->parent_table));
		return BUILD_WAIT;
	}
	return BUILD_AGAIN;
}

/* An index that was made before its last partition went never gets valid. */
static BuildResult
drop_empty_index(Oid index, BuildPiece *piece)
{
	Oid			table = IndexGetRelation(index, false);

	piece->relation = table;
	piece->doing = psprintf("rebuilding index %s, because %s no longer has partitions",
							quoting_name(index),
							quoting_name(table));
	lock_relations(list_make1_oid(table), AccessExclusiveLock);
	if (find_inheritance_children(table, NoLock) == NIL)
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
	piece->doing = psprintf("rebuilding invalid index %s",
							quoting_name(index));
	return BUILD_STATEMENT;
}

/*
 * The next piece of the index of a partitioned table, which was found so.
 * Errors: something else has the name, here or on a partition; strong locks as
 * in lock_relations.
 */
static BuildResult
index_tree_next(const Step *step, const FoundIndex *root, BuildPiece *piece)
{
	Survey		s = {0};

	if (root->state == FOUND_VALID)
		return BUILD_DONE;
	if (root->state != FOUND_INCOMPLETE)
		return create_branch_index(step, root, piece);
	s.step = step;
	survey_index_tree(&s, root->table, root->index);
	if (s.branch_missing)
		return create_branch_index(step, &s.branch, piece);
	if (s.leaf_missing)
		return index_leaf_next(step, &s.leaf,
							   psprintf(" (%d of %d)", s.built + 1, s.leaves),
							   piece);
	if (OidIsValid(s.broken))
		return rebuild_index(s.broken, piece);
	if (OidIsValid(s.loose.parent))
		return attach_index(step, &s.loose, piece);
	if (OidIsValid(s.empty))
		return drop_empty_index(s.empty, piece);
	return BUILD_AGAIN;
}

/*-------------------------------------------------------------------------
 * Building the index of a step without blocking, and taking it away.
 *-------------------------------------------------------------------------
 */

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

/* The server takes no index off the one above: both would go. */
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
 * What somebody has built by hand under the name is his, though the step has
 * taken it for its own.  But what is invalid is of no use to anybody.
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

/* What is attached goes with the index of the parent; the rest one by one. */
void
index_build_undo(const Step *step)
{
	ListCell   *lc;

	if (quoting_find_name(step->relation) == NULL)
		return;
	drop_index_if_ours(step, index_find(step, step->relation, step->object));
	foreach(lc, table_tree(step->relation))
	{
		if (lfirst_oid(lc) != step->relation)
			drop_index_if_ours(step,
							   index_find_on_partition(step, lfirst_oid(lc)));
	}
}
