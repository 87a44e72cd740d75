/*
 * role_reference.c
 *		Roles that are noted in the tandem tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "core/role_reference.h"
#include "core/sql_function.h"
#include "core/text.h"

SQL_FUNCTION(tandem_refer_to_role);
SQL_FUNCTION(tandem_role_of);
SQL_FUNCTION(tandem_role_name);

/* attributes of tandem.role_reference */
enum
{
	REFERENCE_ROLE = 1,
	REFERENCE_NAME,
	REFERENCE_CLUSTER,
	REFERENCE_ATTRIBUTES = REFERENCE_CLUSTER
};

/* A role's name is of the encoding of the database in which it was created. */
static const char *
valid_name(Oid role, bool missing_ok)
{
	return text_valid(GetUserNameFromId(role, missing_ok));
}

char *
role_reference_cluster(void)
{
	return psprintf(UINT64_FORMAT, GetSystemIdentifier());
}

Oid
role_reference_resolve(const RoleReference *reference)
{
	const char *name = valid_name(reference->role, true);

	if (name == NULL)
		return InvalidOid;
	if (strcmp(reference->cluster, role_reference_cluster()) != 0 &&
		strcmp(reference->name, name) != 0)
		return InvalidOid;
	return reference->role;
}

/* False: an attribute is null, which nobody but a superuser can write. */
static bool
read_reference(HeapTupleHeader tuple, RoleReference *reference)
{
	bool		nulls[REFERENCE_ATTRIBUTES];
	Datum		role = GetAttributeByNum(tuple, REFERENCE_ROLE, &nulls[0]);
	Datum		name = GetAttributeByNum(tuple, REFERENCE_NAME, &nulls[1]);
	Datum		cluster = GetAttributeByNum(tuple, REFERENCE_CLUSTER, &nulls[2]);

	if (nulls[0] || nulls[1] || nulls[2])
		return false;
	reference->role = DatumGetObjectId(role);
	reference->name = pstrdup(NameStr(*DatumGetName(name)));
	reference->cluster = TextDatumGetCString(cluster);
	return true;
}

Oid
role_reference_of_value(Datum value)
{
	RoleReference reference;

	return read_reference(DatumGetHeapTupleHeader(value), &reference)
		? role_reference_resolve(&reference) : InvalidOid;
}

Datum
role_reference_value(Oid role, TupleDesc desc)
{
	Datum		values[REFERENCE_ATTRIBUTES];
	bool		nulls[REFERENCE_ATTRIBUTES] = {false};

	values[0] = ObjectIdGetDatum(role);
	values[1] = DirectFunctionCall1(namein,
									CStringGetDatum(valid_name(role, false)));
	values[2] = CStringGetTextDatum(role_reference_cluster());
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

Datum
tandem_refer_to_role(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("return type of tandem.refer_to_role must be a row type")));
	PG_RETURN_DATUM(role_reference_value(PG_GETARG_OID(0),
										 BlessTupleDesc(desc)));
}

Datum
tandem_role_of(PG_FUNCTION_ARGS)
{
	Oid			role = role_reference_of_value(PG_GETARG_DATUM(0));

	if (!OidIsValid(role))
		PG_RETURN_NULL();
	PG_RETURN_OID(role);
}

Datum
tandem_role_name(PG_FUNCTION_ARGS)
{
	RoleReference reference;
	const char *name;
	Oid			role;

	if (!read_reference(PG_GETARG_HEAPTUPLEHEADER(0), &reference))
		PG_RETURN_NULL();
	role = role_reference_resolve(&reference);
	name = OidIsValid(role) ? valid_name(role, true) : reference.name;
	PG_RETURN_DATUM(DirectFunctionCall1(namein, CStringGetDatum(name)));
}
