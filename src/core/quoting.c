/*
 * quoting.c
 *		Names of relations, resolved from and written into SQL text.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "core/hint.h"
#include "core/quoting.h"

char *
quoting_find_name(Oid relid)
{
	return get_rel_name(relid);
}

char *
quoting_find_schema(Oid schema)
{
	return get_namespace_name(schema);
}

char *
quoting_shown_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	return name ? name : psprintf("OID %u", relid);
}

char *
quoting_shown_schema(Oid schema)
{
	char	   *name = get_namespace_name(schema);

	return name ? name : psprintf("OID %u", schema);
}

char *
quoting_raw_schema(Oid schema)
{
	char	   *name = get_namespace_name(schema);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema with OID %u does not exist", schema),
				 errhint("It was dropped meanwhile: call it again.")));
	return name;
}

char *
quoting_raw_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL || get_namespace_name(get_rel_namespace(relid)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid),
				 errhint("It was dropped meanwhile: call it again.")));
	return name;
}

const char *
quoting_name(Oid relid)
{
	return quote_identifier(quoting_raw_name(relid));
}

char *
quoting_relation(Oid relid)
{
	char	   *name = quoting_raw_name(relid);

	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  name);
}

RangeVar *
quoting_range_var(Oid relid)
{
	char	   *name = quoting_raw_name(relid);

	return makeRangeVar(get_namespace_name(get_rel_namespace(relid)), name, -1);
}

Oid
quoting_resolve_relation(const char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile Oid relid = InvalidOid;

	PG_TRY();
	{
		List	   *names = textToQualifiedNameList(cstring_to_text(text));

		relid = RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock,
								 false);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller,
						  "Name the table as SQL would, with its schema, and in double quotes where SQL needs them.");
	}
	PG_END_TRY();
	return relid;
}
