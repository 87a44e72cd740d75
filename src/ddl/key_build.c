/*
 * key_build.c
 *		Adding UNIQUE and PRIMARY KEY from an index built concurrently.
 *
 * Each leaf gets its index, and then its constraint from that index.  The
 * server makes no constraint of a partitioned table from an index; but where
 * each partition has one that matches, a constraint added to the table above
 * adopts them and builds nothing (DefineIndex).
 */
#include "postgres.h"

#include "catalog/pg_constraint.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/lock.h"
#include "core/quoting.h"
#include "ddl/constraint_state.h"
#include "ddl/index_build.h"
#include "ddl/key_build.h"
#include "ddl/key_definition.h"
#include "ddl/partitions.h"
#include "ddl/statement.h"

/* The index of one leaf, as a step that the index builder knows. */
static Step
leaf_index(const Step *step, const Constraint *key, Oid leaf)
{
	Step		index = {
		.id = step->id,
		.kind = STEP_INDEX,
		.relation = leaf,
		.is_unique = true,
		.started = step->started,
		.built_indexes = step->built_indexes,
	};

	index.object = key_leaf_name(step->relation, leaf, step->object);
	index.definition = key_index_tail(key);
	return index;
}

static bool
has_key(const Step *step, Oid relid, const char *name, const Constraint *key)
{
	ConstraintState state;
	char		type = key->contype == CONSTR_PRIMARY ? CONSTRAINT_PRIMARY
	: CONSTRAINT_UNIQUE;

	if (!constraint_find(relid, name, &state))
		return false;
	/* once done it is the user's: a column may be renamed */
	if (state.type != type ||
		(!step->done &&
		 strcmp(constraint_text(state.oid), key_text(key, false)) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("table %s has another constraint \"%s\"",
						quoting_relation(relid), name),
				 errdetail("Its definition is: %s", constraint_text(state.oid)),
				 errhint("Drop or rename it, and call tandem.migrate again.")));
	return true;
}

static void
use_index(const Step *step, Oid leaf, const char *name,
		  const Constraint *key)
{
	lock_relations(list_make1_oid(leaf), AccessExclusiveLock);
	/* a primary key looks at the CHECKs of the table for NOT NULL */
	ddl_run_stored(leaf,
				   psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s%s",
							quoting_relation(leaf), quote_identifier(name),
							key->contype == CONSTR_PRIMARY ? "PRIMARY KEY" : "UNIQUE",
							quote_identifier(name), key_deferral(key)));
	step_note_table(step->id, leaf);
}

static Oid
leaf_without_key(const Step *step, const Constraint *key)
{
	ListCell   *lc;

	foreach(lc, table_leaves(step->relation))
	{
		Oid			leaf = lfirst_oid(lc);

		if (quoting_find_name(leaf) == NULL)
			continue;			/* dropped meanwhile */
		if (!has_key(step, leaf, key_leaf_name(step->relation, leaf, step->object),
					 key))
			return leaf;
	}
	return InvalidOid;
}

BuildResult
key_build_next(const Step *step, const Constraint *key, BuildPiece *piece)
{
	Oid			leaf;

	if (has_key(step, step->relation, step->object, key))
		return BUILD_DONE;
	leaf = leaf_without_key(step, key);
	if (OidIsValid(leaf))
	{
		Step		index = leaf_index(step, key, leaf);
		BuildResult result = index_build_next(&index, piece);

		if (result != BUILD_DONE)
			return result;
		use_index(step, leaf, index.object, key);
		return BUILD_AGAIN;
	}
	lock_relations(table_tree(step->relation), AccessExclusiveLock);
	/* a partition attached meanwhile would be indexed under the lock */
	if (!OidIsValid(leaf_without_key(step, key)))
	{
		ddl_run_stored(step->relation,
					   psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s",
								quoting_relation(step->relation),
								quote_identifier(step->object),
								step->definition));
		step_note_table(step->id, step->relation);
	}
	return BUILD_AGAIN;
}

static void
drop_key(const Step *step, Oid relid, const char *name)
{
	ConstraintState state;

	if (!constraint_find(relid, name, &state) || OidIsValid(state.parent) ||
		(state.type != CONSTRAINT_PRIMARY && state.type != CONSTRAINT_UNIQUE) ||
		!constraint_is_made(relid, step))
		return;
	index_check_undo(get_constraint_index(state.oid));
	ddl_run_stored(relid,
				   psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
							quoting_relation(relid), quote_identifier(name)));
}

void
key_build_undo(const Step *step, const Constraint *key)
{
	ListCell   *lc;

	/* takes the adopted ones with it */
	drop_key(step, step->relation, step->object);
	foreach(lc, table_leaves(step->relation))
	{
		Step		index = leaf_index(step, key, lfirst_oid(lc));

		if (lfirst_oid(lc) != step->relation)
			drop_key(step, lfirst_oid(lc), index.object);
		index_build_undo(&index);
	}
}
