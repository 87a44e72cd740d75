/*
 * overload.c
 *		DDL that gives the text of a rule another meaning.
 *
 * The text of a rule names a function by schema and name, with arguments of
 * certain types.  Where the one that it means takes them as anyelement, as
 * VARIADIC or with a default, another one that takes just these types would be
 * called as soon as it exists.  A type of that name makes the call a cast.  What
 * is written as a cast goes by text until there is a cast for the two types, and
 * one that is implicit may have other functions and operators fit.  Here such
 * DDL is found; rule/recorded_calls.c keeps what was not refused from being
 * called.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"

#include "catalog/sync.h"
#include "core/query.h"
#include "trigger/overload.h"
#include "trigger/rule_objects.h"

/* Returns the OIDs that the query finds for an object. */
static List *
oids_for(Oid object, const char *sql)
{
	TandemQuery query;
	List	   *oids;

	query_begin(&query);
	query_oid(&query, object);
	oids = query_oids(&query, sql);
	query_end(&query);
	return oids;
}

static List *
users_of(Oid class_oid, Oid object_oid)
{
	ObjectAddress object;

	ObjectAddressSet(object, class_oid, object_oid);
	return rule_objects_users(&object);
}

static List *
users_of_all(Oid class_oid, List *objects)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, objects)
		tables = list_concat_unique_oid(tables,
										users_of(class_oid, lfirst_oid(lc)));
	return tables;
}

/* No call is taken for a cast to a row type. */
static List *
users_of_functions_named_as(Oid type)
{
	if (OidIsValid(get_typ_typrelid(type)))
		return NIL;
	return users_of_all(ProcedureRelationId,
						oids_for(type, "SELECT p.oid FROM pg_type t JOIN pg_proc p ON p.proname = t.typname AND p.pronamespace = t.typnamespace WHERE t.oid = $1"));
}

/* Also of what the type is made of. */
static List *
users_of_type(Oid type)
{
	Oid			relid = rule_objects_row_type(type);
	List	   *tables = users_of(TypeRelationId, type);

	if (OidIsValid(relid))
		tables = list_concat_unique_oid(tables,
										users_of(RelationRelationId, relid));
	return tables;
}

/*
 * Of the server's own types pg_depend tells nothing.  Only superusers can
 * create a cast or an operator class for these alone: then all rules are
 * concerned.
 */
static List *
users_of_types(List *types)
{
	List	   *users = NIL;
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, types)
	{
		if (lfirst_oid(lc) >= FirstUnpinnedObjectId)
			users = lappend_oid(users, lfirst_oid(lc));
	}
	if (users == NIL && types != NIL)
		return sync_relations_live();
	foreach(lc, users)
		tables = list_concat_unique_oid(tables,
										users_of_type(lfirst_oid(lc)));
	return tables;
}

static List *
tables_of_object(const ObjectAddress *object)
{
	Oid			oid = object->objectId;

	switch (object->classId)
	{
		case ProcedureRelationId:
			return users_of_all(ProcedureRelationId,
								oids_for(oid, "SELECT o.oid FROM pg_proc p JOIN pg_proc o USING (proname, pronamespace) WHERE p.oid = $1 AND o.oid <> $1"));
		case OperatorRelationId:
			return users_of_all(OperatorRelationId,
								oids_for(oid, "SELECT o.oid FROM pg_operator p JOIN pg_operator o USING (oprname, oprnamespace) WHERE p.oid = $1 AND o.oid <> $1"));
		case TypeRelationId:
			return users_of_functions_named_as(oid);
		case CastRelationId:
			return users_of_types(oids_for(oid, "SELECT unnest(ARRAY[castsource, casttarget]) FROM pg_cast WHERE oid = $1"));
		case OperatorClassRelationId:
			return users_of_types(oids_for(oid, "SELECT opcintype FROM pg_opclass WHERE oid = $1 AND opcdefault"));
		case OperatorFamilyRelationId:
			return users_of(OperatorFamilyRelationId, oid);
		default:
			return NIL;
	}
}

List *
overload_tables(const DdlEvent *event)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, event->objects)
		tables = list_concat_unique_oid(tables, tables_of_object(lfirst(lc)));
	return tables;
}
