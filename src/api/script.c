/*
 * script.c
 *		What the extension's script cannot say in SQL.
 *
 * The script makes these functions, calls them, and drops them again.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "core/extension.h"
#include "core/sql_function.h"

SQL_FUNCTION(tandem_script_begin);
SQL_FUNCTION(tandem_script_privileges);

/*
 * Who made the schema may have put anything into it, and goes on owning it: so
 * one that is there is not used.
 */
Datum
tandem_script_begin(PG_FUNCTION_ARGS)
{
	if (OidIsValid(get_namespace_oid(EXTENSION_SCHEMA, true)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", EXTENSION_SCHEMA),
				 errdetail("Extension %s creates a schema of that name, and does not use an existing one.",
						   EXTENSION_NAME),
				 errhint("See what is in it, then run ALTER SCHEMA %s RENAME TO another name, or DROP SCHEMA %s.",
						 EXTENSION_SCHEMA, EXTENSION_SCHEMA)));
	PG_RETURN_VOID();
}

/*
 * Statements that take back what default privileges have granted to others, and
 * the use of our types from everybody: a column of that type in a table of
 * theirs would be in the way of an update that changes it, and of DROP
 * EXTENSION.  Whoever reads a table or view needs no right on its types.
 */
static const char revokes[] =
"WITH granted (object, grantee, owner) AS ("
"SELECT format('SCHEMA %I', n.nspname), a.grantee, n.nspowner FROM pg_namespace n, aclexplode(n.nspacl) a "
"WHERE n.nspname = '" EXTENSION_SCHEMA "' "
"UNION SELECT format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass), "
"a.grantee, c.relowner FROM pg_class c, aclexplode(c.relacl) a "
"WHERE c.relnamespace = '" EXTENSION_SCHEMA "'::regnamespace AND c.relkind IN ('r', 'v', 'S') "
/* everybody may call what does not say otherwise, as anywhere */
"UNION SELECT format('TYPE %s', t.oid::regtype), a.grantee, t.typowner FROM pg_type t, "
"aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a "
"WHERE t.typnamespace = '" EXTENSION_SCHEMA "'::regnamespace AND t.typelem = 0 "
"UNION SELECT format('ROUTINE %s', p.oid::regprocedure), a.grantee, p.proowner FROM pg_proc p, aclexplode(p.proacl) a "
"WHERE p.pronamespace = '" EXTENSION_SCHEMA "'::regnamespace AND a.grantee <> 0) "
"SELECT format('REVOKE ALL ON %s FROM %s CASCADE', object, "
"CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END) "
"FROM granted WHERE grantee <> owner";

/*
 * ALTER DEFAULT PRIVILEGES of the role that makes the extension counts for the
 * extension's objects too: what it has granted would let others write the
 * tables of state.  The script grants what is to be granted after this.
 */
Datum
tandem_script_privileges(PG_FUNCTION_ARGS)
{
	uint64		rows;
	SPITupleTable *table;

	SPI_connect();
	(void) SPI_execute(revokes, false, 0);
	rows = SPI_processed;
	table = SPI_tuptable;
	for (uint64 row = 0; row < rows; row++)
		(void) SPI_execute(SPI_getvalue(table->vals[row], table->tupdesc, 1),
						   false, 0);
	SPI_finish();
	PG_RETURN_VOID();
}
