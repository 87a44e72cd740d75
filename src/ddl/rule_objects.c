/*
 * rule_objects.c
 *		What the rules of a sync trigger use, as pg_depend has it.
 *
 * The server knows what a view or a CHECK uses by OID.  A rule is text, so what
 * its names are looked up in counts as well: schemas, the casts that the text
 * writes as ::, the element of an array type.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/sync.h"
#include "core/authority.h"
#include "core/query.h"
#include "ddl/rule_objects.h"
#include "sync/expression.h"
#include "sync/rule_args.h"
#include "sync/trigger_row.h"

static void
add_object(ObjectAddresses *objects, Oid class_oid, Oid object_oid)
{
	ObjectAddress object;

	if (!OidIsValid(object_oid))
		return;
	ObjectAddressSet(object, class_oid, object_oid);
	add_exact_object_address(&object, objects);
}

static void
add_column(ObjectAddresses *objects, Relation rel, const char *name)
{
	ObjectAddress column;

	ObjectAddressSubSet(column, RelationRelationId, RelationGetRelid(rel),
						get_attnum(RelationGetRelid(rel), name));
	add_exact_object_address(&column, objects);
}

static void
add_cast(ObjectAddresses *objects, Oid source, Oid target)
{
	add_object(objects, CastRelationId,
			   GetSysCacheOid2(CASTSOURCETARGET, Anum_pg_cast_oid,
							   ObjectIdGetDatum(getBaseType(source)),
							   ObjectIdGetDatum(getBaseType(target))));
}

/*
 * Whether and how one type is cast to another is written as :: and found by the
 * pair of types; GREATEST and LEAST go by the order of the type.
 */
static bool
add_unnamed(Node *node, void *context)
{
	ObjectAddresses *objects = context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			if (list_length(((FuncExpr *) node)->args) > 0)
				add_cast(objects, exprType(linitial(((FuncExpr *) node)->args)),
						 ((FuncExpr *) node)->funcresulttype);
			break;
		case T_RelabelType:
			add_cast(objects, exprType((Node *) ((RelabelType *) node)->arg),
					 ((RelabelType *) node)->resulttype);
			break;
		case T_CoerceViaIO:
			add_cast(objects, exprType((Node *) ((CoerceViaIO *) node)->arg),
					 ((CoerceViaIO *) node)->resulttype);
			break;
		case T_MinMaxExpr:
			add_object(objects, OperatorClassRelationId,
					   GetDefaultOpClass(((MinMaxExpr *) node)->minmaxtype,
										 BTREE_AM_OID));
			break;
		default:
			break;
	}
	return expression_tree_walker(node, add_unnamed, context);
}

static void
record_side(const ObjectAddress *trigger, ObjectAddresses *objects,
			Relation rel, List *names, List *texts, const char *label)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		const char *text = texts == NIL ? NULL
		: list_nth(texts, foreach_current_index(lc));
		AttrNumber	target = get_attnum(RelationGetRelid(rel), lfirst(lc));
		Node	   *expression;

		add_column(objects, rel, lfirst(lc));
		if (text == NULL)
			continue;
		expression = expression_resolve(text, rel, target, label);
		(void) add_unnamed(expression, objects);
		recordDependencyOnSingleRelExpr(trigger, expression,
										RelationGetRelid(rel),
										DEPENDENCY_NORMAL, DEPENDENCY_NORMAL,
										false);
	}
}

static bool
has_schema(Oid class_oid)
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

/* What comes with an object that an expression uses. */
static void
add_derived(ObjectAddresses *objects, const ObjectAddress *object)
{
	if (has_schema(object->classId))
		add_object(objects, NamespaceRelationId, get_object_namespace(object));
	if (object->classId == OperatorRelationId)
		add_object(objects, ProcedureRelationId, get_opcode(object->objectId));
	if (object->classId == TypeRelationId)
	{
		add_object(objects, TypeRelationId, get_element_type(object->objectId));
		/* the columns of a row type are those of a relation */
		add_object(objects, RelationRelationId,
				   get_typ_typrelid(object->objectId));
		add_object(objects, RelationRelationId,
				   get_typ_typrelid(get_element_type(object->objectId)));
	}
}

void
rule_objects_record(Relation rel, Oid trigger_oid, List *rules)
{
	ObjectAddresses *objects = new_object_addresses();
	ObjectAddress trigger;
	AuthorityScope scope;
	ListCell   *lc;

	authority_pin_search_path(&scope);
	authority_pin_text_forms();
	ObjectAddressSet(trigger, TriggerRelationId, trigger_oid);
	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		record_side(&trigger, objects, rel, rule->old_columns, rule->down, "down");
		record_side(&trigger, objects, rel, rule->new_columns, rule->up, "up");
	}
	authority_leave(&scope);
	CommandCounterIncrement();
	foreach(lc, rule_objects_of(trigger_oid))
	{
		ObjectAddress *object = lfirst(lc);

		/* its own schema is nowhere in the text */
		if (object->classId != RelationRelationId ||
			object->objectId != RelationGetRelid(rel))
			add_derived(objects, object);
	}
	record_object_address_dependencies(&trigger, objects, DEPENDENCY_NORMAL);
	free_object_addresses(objects);
	CommandCounterIncrement();
}

static bool
is_use_by_trigger(Form_pg_depend row)
{
	return row->classid == TriggerRelationId && row->deptype == DEPENDENCY_NORMAL;
}

List *
rule_objects_of(Oid trigger_oid)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			own_function = sync_trigger_function();
	List	   *objects = NIL;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(TriggerRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(trigger_oid));
	scan = systable_beginscan(catalog, DependDependerIndexId, true, NULL, 2,
							  keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress *object;

		/* that of the trigger itself no rule uses */
		if (!is_use_by_trigger(row) ||
			(row->refclassid == ProcedureRelationId && row->refobjid == own_function))
			continue;
		object = palloc(sizeof(ObjectAddress));
		ObjectAddressSubSet(*object, row->refclassid, row->refobjid,
							row->refobjsubid);
		objects = lappend(objects, object);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
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

/* The table of a trigger, if it is a sync trigger. */
static Oid
synced_table(Oid trigger_oid)
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

		if (is_use_by_trigger(row))
			triggers = list_append_unique_oid(triggers, row->objid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	foreach(lc, triggers)
	{
		Oid			relid = synced_table(lfirst_oid(lc));

		if (OidIsValid(relid))
			tables = list_append_unique_oid(tables, relid);
	}
	return tables;
}
