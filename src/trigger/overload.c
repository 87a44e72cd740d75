/*
 * overload.c
 *		Functions and operators that take the place of those that rules use.
 *
 * The text of a rule names a function by schema and name, with arguments of
 * certain types.  Where the one that it means takes them as anyelement, as
 * VARIADIC or with a default, another one that takes just these types would be
 * called as soon as it exists.  Here such DDL is found; rule/recorded_calls.c
 * keeps what was not refused from being called.
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"

#include "core/query.h"
#include "trigger/overload.h"
#include "trigger/rule_objects.h"

static List *
namesakes_of(Oid object, const char *sql)
{
	TandemQuery query;
	List	   *namesakes;

	query_begin(&query);
	query_oid(&query, object);
	namesakes = query_oids(&query, sql);
	query_end(&query);
	return namesakes;
}

static List *
namesakes_of_object(const ObjectAddress *object)
{
	switch (object->classId)
	{
		case ProcedureRelationId:
			return namesakes_of(object->objectId,
								"SELECT o.oid FROM pg_proc p JOIN pg_proc o USING (proname, pronamespace) WHERE p.oid = $1 AND o.oid <> $1");
		case OperatorRelationId:
			return namesakes_of(object->objectId,
								"SELECT o.oid FROM pg_operator p JOIN pg_operator o USING (oprname, oprnamespace) WHERE p.oid = $1 AND o.oid <> $1");
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
	{
		ObjectAddress *object = lfirst(lc);
		ListCell   *namesake;

		foreach(namesake, namesakes_of_object(object))
		{
			ObjectAddress used;

			ObjectAddressSet(used, object->classId, lfirst_oid(namesake));
			tables = list_concat_unique_oid(tables, rule_objects_users(&used));
		}
	}
	return tables;
}
