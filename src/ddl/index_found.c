/*
 * index_found.c
 *		What there is under the name of an index that is to be built.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "core/quoting.h"
#include "core/server_text.h"
#include "ddl/index_definition.h"
#include "ddl/index_found.h"

/*
 * Of a partitioned table: made ON ONLY that, and left so.  With indexes of
 * partitions attached it is at work, or theirs would go with it.
 */
static bool
is_left_over(Oid index)
{
	return !get_index_isvalid(index) &&
		get_rel_relkind(index) == RELKIND_PARTITIONED_INDEX &&
		!get_rel_relispartition(index) &&
		find_inheritance_children(index, NoLock) == NIL;
}

static FoundState
judge(const Step *step, Oid index, Oid table)
{
	char		relkind = get_rel_relkind(index);
	bool		valid;
	IndexDefinition *definition;

	if ((relkind != RELKIND_INDEX && relkind != RELKIND_PARTITIONED_INDEX) ||
		IndexGetRelation(index, true) != table)
		return FOUND_OTHER;
	valid = get_index_isvalid(index);
	/* a build may have been cut off at a moment when its definition differs */
	if (!valid && relkind == RELKIND_INDEX)
		return FOUND_INVALID;
	/* once it has been built it is the user's: a column may be renamed */
	if (valid && step->done)
		return FOUND_VALID;
	definition = index_definition_read(index);
	if (definition->is_unique != step->is_unique ||
		strcmp(definition->tail, step->definition) != 0)
		return is_left_over(index) ? FOUND_INVALID : FOUND_OTHER;
	return valid ? FOUND_VALID : FOUND_INCOMPLETE;
}

FoundIndex
index_find(const Step *step, Oid table, const char *name)
{
	FoundIndex	found = {FOUND_NOTHING, InvalidOid, table, pstrdup(name)};

	AcceptInvalidationMessages();
	found.index = get_relname_relid(name, get_rel_namespace(table));
	if (OidIsValid(found.index))
		found.state = judge(step, found.index, table);
	return found;
}

/* ADD CONSTRAINT ... USING INDEX renames an index to the constraint. */
bool
index_has_become_constraint(const Step *step)
{
	Relation	rel = table_open(step->relation, AccessShareLock);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		IndexDefinition *definition;

		if (!OidIsValid(get_index_constraint(lfirst_oid(lc))) ||
			!get_index_isvalid(lfirst_oid(lc)))
			continue;
		definition = index_definition_read(lfirst_oid(lc));
		found = found || (definition->is_unique == step->is_unique &&
						  strcmp(definition->tail, step->definition) == 0);
	}
	table_close(rel, AccessShareLock);
	return found;
}

/* The names that we may have given to the index on a partition. */
static List *
names_on_partition(const Step *step, Oid partition)
{
	const char *table = quoting_find_name(partition);

	if (table == NULL)
		return NIL;
	return list_make2(makeObjectName(step->object, table, NULL),
					  makeObjectName(step->object, table,
									 psprintf("%u", partition)));
}

/* An index that belongs to another one of the partitioned table is not ours. */
static FoundIndex
find_unattached(const Step *step, Oid partition, const char *name)
{
	FoundIndex	found = index_find(step, partition, name);

	if (OidIsValid(found.index) && get_rel_relispartition(found.index))
		found.state = FOUND_OTHER;
	return found;
}

/*
 * The first name, unless something else has it; but what has been built under
 * either counts.
 */
FoundIndex
index_find_on_partition(const Step *step, Oid partition)
{
	static const FoundState preference[] = {FOUND_VALID, FOUND_INCOMPLETE, FOUND_INVALID, FOUND_NOTHING};
	List	   *names = names_on_partition(step, partition);
	FoundIndex	found = {FOUND_OTHER, InvalidOid, partition, NULL};

	for (int i = 0; i < (int) lengthof(preference); i++)
	{
		ListCell   *lc;

		foreach(lc, names)
		{
			found = find_unattached(step, partition, lfirst(lc));
			if (found.state == preference[i])
				return found;
		}
	}
	return found;
}

bool
index_is_adopted(const Step *step, Oid partition)
{
	ListCell   *lc;

	foreach(lc, names_on_partition(step, partition))
	{
		Oid			index = get_relname_relid(lfirst(lc),
											  get_rel_namespace(partition));

		if (OidIsValid(index) && get_rel_relispartition(index) &&
			IndexGetRelation(index, true) == partition &&
			!step_has_built(step, lfirst(lc)))
			return true;
	}
	return false;
}

char *
index_qualified_name(const FoundIndex *found)
{
	Oid			namespace = get_rel_namespace(found->table);

	return quote_qualified_identifier(quoting_raw_schema(namespace),
									  found->name);
}

void
index_refuse_other(const FoundIndex *found)
{
	char		relkind = get_rel_relkind(found->index);
	char	   *definition;

	if (relkind != RELKIND_INDEX && relkind != RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists and is not an index",
						found->name),
				 errhint("Rename it with ALTER TABLE %s RENAME TO ...; then call tandem.migrate again.",
						 index_qualified_name(found))));
	definition = server_text_index(found->index);
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_TABLE),
			 errmsg("index \"%s\" already exists and is another one",
					found->name),
			 definition ? errdetail("Its definition is: %s", definition) : 0,
			 errhint("Rename it with ALTER INDEX %s RENAME TO ...; then call tandem.migrate again.",
					 index_qualified_name(found))));
}
