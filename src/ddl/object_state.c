/*
 * object_state.c
 *		What of an object the text of a rule relies on.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "core/query.h"
#include "ddl/object_state.h"

static void
query_subids(TandemQuery *query, List *objects)
{
	int			count = 0;
	Datum	   *subids = palloc(sizeof(Datum) * Max(list_length(objects), 1));
	ListCell   *lc;

	foreach(lc, objects)
		subids[count++] = Int32GetDatum(((ObjectAddress *) lfirst(lc))->objectSubId);
	query_datum(query, INT4ARRAYOID,
				PointerGetDatum(construct_array(subids, count, INT4OID,
												sizeof(int32), true,
												TYPALIGN_INT)),
				false);
}

static void
query_objects(TandemQuery *query, List *objects)
{
	List	   *classes = NIL;
	List	   *oids = NIL;
	ListCell   *lc;

	foreach(lc, objects)
	{
		classes = lappend_oid(classes, ((ObjectAddress *) lfirst(lc))->classId);
		oids = lappend_oid(oids, ((ObjectAddress *) lfirst(lc))->objectId);
	}
	query_oid_list(query, classes);
	query_oid_list(query, oids);
	query_subids(query, objects);
}

/* One row for each object, in their order. */
#define STATES \
	"SELECT s.schema, s.name, s.shape, s.rights, s.granted " \
	"FROM tandem.object_states($1, $2, $3, $4) s ORDER BY s.number"

List *
object_states(List *objects, Oid role, bool before)
{
	TandemQuery query;
	List	   *states = NIL;
	uint64		rows;

	if (objects == NIL)
		return NIL;
	query_begin(&query);
	query_objects(&query, objects);
	query_oid(&query, role);
	rows = before ? query_run_before(&query, STATES)
		: query_run_latest(&query, STATES);
	for (uint64 row = 0; row < rows; row++)
	{
		ObjectState *state = palloc0(sizeof(ObjectState));

		state->object = *(ObjectAddress *) list_nth(objects, row);
		state->schema = query_get_text(row, 1);
		state->name = query_get_text(row, 2);
		state->exists = state->name != NULL;
		state->shape = query_get_text(row, 3);
		state->rights = query_get_strings(row, 4);
		state->granted = query_get_bool(row, 5);
		states = lappend(states, state);
	}
	query_end(&query);
	return states;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool
object_state_has_right(const ObjectState *state, const char *right)
{
	ListCell   *lc;

	foreach(lc, state->rights)
	{
		if (strcmp(lfirst(lc), right) == 0)
			return true;
	}
	return false;
}

char *
object_state_lost_right(const ObjectState *before, const ObjectState *now)
{
	ListCell   *lc;

	foreach(lc, before->rights)
	{
		if (!object_state_has_right(now, lfirst(lc)))
			return lfirst(lc);
	}
	return NULL;
}

bool
object_state_equal(const ObjectState *a, const ObjectState *b)
{
	return a->exists == b->exists && same_text(a->schema, b->schema) &&
		same_text(a->name, b->name) && same_text(a->shape, b->shape) &&
		object_state_lost_right(a, b) == NULL;
}
