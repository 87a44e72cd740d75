/*
 * index_tree.c
 *		Building an index on a partitioned table and all that is below it.
 *
 * First the index of each partitioned table, on itself only, from the top; then
 * those of the leaf tables, concurrently; then each is attached to the one
 * above, from the bottom.  The server makes an index valid when the last one
 * below is attached.
 *
 * Partitions come and go meanwhile, and one that comes brings the index along.
 * So nothing is planned: each time the tree is looked over, and what is found
 * to be missing first is done.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/lock.h"
#include "core/query.h"
#include "core/quoting.h"
#include "core/authority.h"
#include "ddl/index_leaf.h"
#include "ddl/index_tree.h"
#include "ddl/statement.h"

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

static void survey(Survey *s, Oid table, Oid index);

/* The indexes that belong to index, by the table of each. */
static Oid
attached_index(Oid index, Oid table)
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
note_pair(Survey *s, Oid parent_table, Oid parent, Oid table, Oid index)
{
	if (!OidIsValid(s->loose.parent))
		s->loose = (Pair)
	{
		parent_table, parent, table, index
	};
}

static void
survey_leaf(Survey *s, Oid table, Oid attached, FoundIndex *found)
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
survey_branch(Survey *s, Oid table, Oid attached, FoundIndex *found)
{
	if (OidIsValid(attached))
	{
		survey(s, table, attached);
		return;
	}
	*found = index_find_on_partition(s->step, table);
	if (OidIsValid(found->index) && found->state != FOUND_OTHER &&
		found->state != FOUND_INVALID)
		survey(s, table, found->index);
	else if (!s->branch_missing)
	{
		s->branch = *found;
		s->branch_missing = true;
	}
}

static void
refuse_foreign(Oid table)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("partition \"%s\" is a foreign table and cannot be indexed",
					quoting_shown_name(table)),
			 errhint("Detach it, then call tandem.migrate again.")));
}

/* table is partitioned and has index; below it what is deeper comes first. */
static void
survey(Survey *s, Oid table, Oid index)
{
	bool		valid = get_index_isvalid(index);
	List	   *children = find_inheritance_children(table, NoLock);
	ListCell   *lc;

	foreach(lc, children)
	{
		Oid			child = lfirst_oid(lc);
		Oid			attached = attached_index(index, child);
		FoundIndex	found = {FOUND_NOTHING, InvalidOid, child, NULL};
		char		relkind = get_rel_relkind(child);

		if (relkind == RELKIND_FOREIGN_TABLE)
			refuse_foreign(child);
		if (relkind == RELKIND_PARTITIONED_TABLE)
			survey_branch(s, child, attached, &found);
		else if (relkind == RELKIND_RELATION)
			survey_leaf(s, child, attached, &found);
		if (found.state == FOUND_VALID)
			note_pair(s, table, index, child, found.index);
	}
	if (valid)
		return;
	if (children == NIL)
		s->empty = OidIsValid(s->empty) ? s->empty : index;
	else if (!OidIsValid(s->loose.parent))
	{
		/* all may be attached, the last since one that was not has gone */
		Oid			child = linitial_oid(children);
		Oid			attached = attached_index(index, child);

		if (OidIsValid(attached))
			note_pair(s, table, index, child, attached);
	}
}

/* Somebody made another index of this name, and did not come to its end. */
static BuildResult
drop_left_over(const Step *step, const FoundIndex *found, BuildPiece *piece)
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
create_branch(const Step *step, const FoundIndex *found, BuildPiece *piece)
{
	AuthorityScope scope;

	if (found->state == FOUND_OTHER)
		index_refuse_other(found);
	if (found->state == FOUND_INVALID)
		return drop_left_over(step, found, piece);
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
lock_ancestors(Oid index)
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
attach(const Step *step, const Pair *pair, BuildPiece *piece)
{
	bool		again = get_rel_relispartition(pair->index);

	piece->relation = pair->table;
	piece->doing = psprintf("attaching index %s of %s",
							quote_identifier(step->object),
							quoting_name(pair->table));
	/* of the tables first, as whoever reads them does */
	lock_ancestors(pair->parent);
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
drop_empty(Oid index, BuildPiece *piece)
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
rebuild(Oid index, BuildPiece *piece)
{
	piece->relation = IndexGetRelation(index, false);
	piece->statement = psprintf("REINDEX INDEX CONCURRENTLY %s",
								quoting_relation(index));
	piece->doing = psprintf("rebuilding invalid index %s",
							quoting_name(index));
	return BUILD_STATEMENT;
}

BuildResult
index_tree_next(const Step *step, const FoundIndex *root, BuildPiece *piece)
{
	Survey		s = {0};

	if (root->state == FOUND_VALID)
		return BUILD_DONE;
	if (root->state != FOUND_INCOMPLETE)
		return create_branch(step, root, piece);
	s.step = step;
	survey(&s, root->table, root->index);
	if (s.branch_missing)
		return create_branch(step, &s.branch, piece);
	if (s.leaf_missing)
		return index_leaf_next(step, &s.leaf,
							   psprintf(" (%d of %d)", s.built + 1, s.leaves),
							   piece);
	if (OidIsValid(s.broken))
		return rebuild(s.broken, piece);
	if (OidIsValid(s.loose.parent))
		return attach(step, &s.loose, piece);
	if (OidIsValid(s.empty))
		return drop_empty(s.empty, piece);
	return BUILD_AGAIN;
}
