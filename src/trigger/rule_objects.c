/*
 * rule_objects.c
 *		The objects that rules use, and the properties that they rely on.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/sync.h"
#include "core/authority.h"
#include "core/query.h"
#include "rule/expression.h"
#include "rule/expression_uses.h"
#include "rule/rule_args.h"
#include "rule/sync_trigger.h"
#include "trigger/rule_objects.h"

/*-------------------------------------------------------------------------
 * The objects used by the rules of a sync trigger, as recorded in pg_depend.
 *
 * The server records by OID what a view or a CHECK uses.  A rule is text, so
 * whatever its names are looked up in matters, too: schemas, the casts behind
 * ::, the element type of an array, the columns of a row that is read whole;
 * and types alone, since a cast that is created takes over by them.
 *-------------------------------------------------------------------------
 */

static void
add_used_object(ObjectAddresses *objects, Oid class_oid, Oid object_oid)
{
	ObjectAddress object;

	if (!OidIsValid(object_oid))
		return;
	ObjectAddressSet(object, class_oid, object_oid);
	add_exact_object_address(&object, objects);
}

static void
add_used_column(ObjectAddresses *objects, Relation rel, const char *name)
{
	ObjectAddress column;

	ObjectAddressSubSet(column, RelationRelationId, RelationGetRelid(rel),
						get_attnum(RelationGetRelid(rel), name));
	add_exact_object_address(&column, objects);
}

/* Returns uses with what the expressions of the side use added. */
static List *
add_objects_of_side(const ObjectAddress *trigger, ObjectAddresses *objects,
					List *uses, Relation rel, List *names, List *texts,
					const char *label)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		const char *text = texts == NIL ? NULL
		: list_nth(texts, foreach_current_index(lc));
		AttrNumber	target = get_attnum(RelationGetRelid(rel), lfirst(lc));
		Node	   *expression;

		add_used_column(objects, rel, lfirst(lc));
		if (text == NULL)
			continue;
		expression = expression_resolve(text, rel, target, label);
		uses = expression_uses(uses, expression);
		recordDependencyOnSingleRelExpr(trigger, expression,
										RelationGetRelid(rel),
										DEPENDENCY_NORMAL, DEPENDENCY_NORMAL,
										false);
	}
	return uses;
}

static bool
class_has_schema(Oid class_oid)
{
	switch (class_oid)
	{
		case ProcedureRelationId:
		case OperatorRelationId:
		case TypeRelationId:
		case CollationRelationId:
		case RelationRelationId:
		case TSConfigRelationId:
		case TSDictionaryRelationId:
			return true;
	}
	return false;
}

/* Adds the objects that are involved when an expression uses an object. */
static void
add_derived_objects(ObjectAddresses *objects, const ObjectAddress *object)
{
	if (class_has_schema(object->classId))
		add_used_object(objects, NamespaceRelationId,
						get_object_namespace(object));
	if (object->classId == OperatorRelationId)
		add_used_object(objects, ProcedureRelationId,
						get_opcode(object->objectId));
	if (object->classId == TypeRelationId)
	{
		add_used_object(objects, TypeRelationId,
						get_element_type(object->objectId));
		/* the columns of a row type are those of its relation */
		add_used_object(objects, RelationRelationId,
						get_typ_typrelid(object->objectId));
		add_used_object(objects, RelationRelationId,
						get_typ_typrelid(get_element_type(object->objectId)));
	}
}

Oid
rule_objects_row_type(Oid type)
{
	for (;;)
	{
		type = getBaseType(type);
		if (OidIsValid(get_element_type(type)))
			type = get_element_type(type);
		else if (type_is_range(type))
			type = get_range_subtype(type);
		else if (type_is_multirange(type))
			type = get_multirange_range(type);
		else
			return get_typ_typrelid(type);
	}
}

/*
 * What the texts do not name: they need no right on its schema.  Of a row type,
 * or one that is made of it, that is its relation alone, since the server lets
 * no table be rewritten on whose row type a trigger depends.
 */
static void
add_unnamed_object(ObjectAddresses *objects, const ObjectAddress *object)
{
	Oid			relid = object->classId == TypeRelationId
	? rule_objects_row_type(object->objectId) : InvalidOid;

	if (OidIsValid(relid))
		add_used_object(objects, RelationRelationId, relid);
	else
		add_used_object(objects, object->classId, object->objectId);
}

static bool
object_is_among(const ObjectAddress *object, List *objects)
{
	ListCell   *lc;

	foreach(lc, objects)
	{
		ObjectAddress *other = lfirst(lc);

		if (other->classId == object->classId &&
			other->objectId == object->objectId && other->objectSubId == 0)
			return true;
	}
	return false;
}

/*
 * Apart from the columns: of a table and its columns in one list, the server
 * keeps the columns alone.
 */
static void
record_unnamed_objects(const ObjectAddress *trigger, List *uses)
{
	ObjectAddresses *objects = new_object_addresses();
	List	   *recorded = rule_objects_of(trigger->objectId);
	ListCell   *lc;

	foreach(lc, uses)
	{
		if (!object_is_among(lfirst(lc), recorded))
			add_unnamed_object(objects, lfirst(lc));
	}
	record_object_address_dependencies(trigger, objects, DEPENDENCY_NORMAL);
	free_object_addresses(objects);
	CommandCounterIncrement();
}

void
rule_objects_record(Relation rel, Oid trigger_oid, List *rules)
{
	ObjectAddresses *objects = new_object_addresses();
	ObjectAddress trigger;
	AuthorityScope scope;
	List	   *uses = NIL;
	ListCell   *lc;

	authority_pin_search_path(&scope);
	authority_pin_text_forms();
	ObjectAddressSet(trigger, TriggerRelationId, trigger_oid);
	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		uses = add_objects_of_side(&trigger, objects, uses, rel,
								   rule->old_columns, rule->down, "down");
		uses = add_objects_of_side(&trigger, objects, uses, rel,
								   rule->new_columns, rule->up, "up");
	}
	authority_leave(&scope);
	CommandCounterIncrement();
	foreach(lc, rule_objects_of(trigger_oid))
	{
		ObjectAddress *object = lfirst(lc);

		/* the text does not name the table's own schema */
		if (object->classId != RelationRelationId ||
			object->objectId != RelationGetRelid(rel))
			add_derived_objects(objects, object);
	}
	record_object_address_dependencies(&trigger, objects, DEPENDENCY_NORMAL);
	free_object_addresses(objects);
	CommandCounterIncrement();
	record_unnamed_objects(&trigger, uses);
}

static bool
dependency_is_of_trigger(Form_pg_depend row)
{
	return row->classid == TriggerRelationId && row->deptype == DEPENDENCY_NORMAL;
}

List *
rule_objects_of(Oid trigger_oid)
{
	Oid			own_function = sync_trigger_function();
	List	   *objects = NIL;
	ListCell   *lc;

	foreach(lc, trigger_dependencies(trigger_oid))
	{
		Form_pg_depend row = lfirst(lc);
		ObjectAddress *object;

		/* the trigger's own function is not used by a rule */
		if (!dependency_is_of_trigger(row) ||
			(row->refclassid == ProcedureRelationId && row->refobjid == own_function))
			continue;
		object = palloc(sizeof(ObjectAddress));
		ObjectAddressSubSet(*object, row->refclassid, row->refobjid,
							row->refobjsubid);
		objects = lappend(objects, object);
	}
	return objects;
}

List *
rule_objects_before(Oid relid)
{
	TandemQuery query;
	List	   *objects = NIL;
	uint64		rows;

	query_begin(&query);
	query_oid(&query, relid);
	rows = query_run_before(&query,
							"SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_trigger t "
							"JOIN pg_depend d ON d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'n' AND d.refobjid <> t.tgfoid "
							"WHERE t.tgrelid = $1 AND t.tgname = '" SYNC_TRIGGER_NAME "'");
	for (uint64 row = 0; row < rows; row++)
	{
		ObjectAddress *object = palloc(sizeof(ObjectAddress));

		ObjectAddressSubSet(*object, query_get_oid(row, 1),
							query_get_oid(row, 2), query_get_int(row, 3));
		objects = lappend(objects, object);
	}
	query_end(&query);
	return objects;
}

/* Returns the table of a trigger if it is a sync trigger. */
static Oid
table_of_sync_trigger(Oid trigger_oid)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			relid = InvalidOid;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger_oid));
	scan = systable_beginscan(catalog, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple) &&
		strcmp(NameStr(((Form_pg_trigger) GETSTRUCT(tuple))->tgname),
			   SYNC_TRIGGER_NAME) == 0)
		relid = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relid;
}

List *
rule_objects_users(const ObjectAddress *object)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *triggers = NIL;
	List	   *tables = NIL;
	ListCell   *lc;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object->classId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object->objectId));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2,
							  keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);

		if (dependency_is_of_trigger(row))
			triggers = list_append_unique_oid(triggers, row->objid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	foreach(lc, triggers)
	{
		Oid			relid = table_of_sync_trigger(lfirst_oid(lc));

		if (OidIsValid(relid))
			tables = list_append_unique_oid(tables, relid);
	}
	return tables;
}

/*-------------------------------------------------------------------------
 * The properties of an object that the text of a rule relies on.
 *-------------------------------------------------------------------------
 */

static void
add_subids_parameter(TandemQuery *query, List *objects)
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
add_objects_parameters(TandemQuery *query, List *objects)
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
	add_subids_parameter(query, objects);
}

/* One row per object, in their order. */
#define STATES \
	"SELECT s.schema, s.name, s.shape, s.rights, s.granted " \
	"FROM tandem._object_states($1, $2, $3, $4) s ORDER BY s.number"

List *
object_states(List *objects, Oid role, bool before)
{
	TandemQuery query;
	List	   *states = NIL;
	uint64		rows;

	if (objects == NIL)
		return NIL;
	query_begin(&query);
	add_objects_parameters(&query, objects);
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
same_state_text(const char *a, const char *b)
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
	return a->exists == b->exists && same_state_text(a->schema, b->schema) &&
		same_state_text(a->name, b->name) &&
		same_state_text(a->shape, b->shape) &&
		object_state_lost_right(a, b) == NULL;
}
