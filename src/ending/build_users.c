/*
 * build_users.c
 *		What depends on the indexes and constraints that a migration has built.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "utils/builtins.h"

#include "catalog/step.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "ddl/constraint_build.h"
#include "ddl/index_build.h"
#include "ddl/index_definition.h"
#include "ddl/key.h"
#include "ending/build_users.h"
#include "ending/built.h"

/* Adds a line for each user of the object, which the step has built on relid. */
static List *
add_users(List *lines, const Step *step, Oid relid, Oid class, Oid object)
{
	TandemQuery query;
	ListCell   *lc;

	query_begin(&query);
	query_oid(&query, class);
	query_oid(&query, object);
	query_int(&query, step->migration_id);
	foreach(lc, query_texts(&query,
							"SELECT line FROM tandem._build_users($1, $2, $3) ORDER BY line COLLATE \"C\""))
		lines = lappend(lines,
						psprintf("%s %s of table %s: %s", step_kind_name(step->kind),
								 quote_identifier(step->object),
								 quoting_relation(relid), (char *) lfirst(lc)));
	query_end(&query);
	return lines;
}

static List *
users_of_constraint(List *lines, const Step *step, Oid relid)
{
	ConstraintState state;

	/* those of partitions are found with their parent */
	if (list_member_oid(step->changed_tables, relid) &&
		constraint_find(relid, key_leaf_name(step->relation, relid, step->object),
						&state) &&
		!OidIsValid(state.parent))
		lines = add_users(lines, step, relid, ConstraintRelationId, state.oid);
	return lines;
}

static List *
users_of_index(List *lines, const Step *step, Oid relid)
{
	FoundIndex	found = relid == step->relation
	? index_find(step, relid, step->object) : index_find_on_partition(step, relid);

	if (OidIsValid(found.index) && step_has_built(step, found.name))
		lines = add_users(lines, step, relid, RelationRelationId, found.index);
	return lines;
}

static List *
users_of_step(List *lines, const Step *step)
{
	ListCell   *lc;

	/* what somebody has put in its place stays */
	if (!relation_exists(step->relation) || step_object_is_another(step))
		return lines;
	foreach(lc, table_tree(step->relation))
		lines = step->kind == STEP_INDEX
		? users_of_index(lines, step, lfirst_oid(lc))
		: users_of_constraint(lines, step, lfirst_oid(lc));
	return lines;
}

void
build_users_check(const Migration *migration)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, list_concat(step_list(migration->id, STEP_CONSTRAINT),
							step_list(migration->id, STEP_INDEX)))
		lines = users_of_step(lines, lfirst(lc));
	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("what migration \"%s\" has built is in use", migration->name),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Drop these, or have them use other indexes and constraints, then run CALL tandem.abort(%s) again.",
					 quote_literal_cstr(migration->name))));
}
