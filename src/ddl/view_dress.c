/*
 * view_dress.c
 *		What the view of a release takes over from its table beside columns:
 *		privileges and comments.
 *
 * The owner of the table, who owns the view too, grants on it whatever anybody
 * has granted on the table.  Nobody gains by that, and nothing is taken away: the
 * views check the rights of their reader on the table (security_invoker), so a
 * privilege on the view alone gives nothing.
 * Defaults need nothing: an INSERT through a view that has none takes those of
 * the table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "core/query.h"
#include "ddl/view_dress.h"

/* $1 source, $2 from, $3 names, $4 owner */
#define COLUMNS \
	"columns AS (SELECT a.attnum, a.attacl, n.shown FROM unnest($2, $3) n (original, shown) " \
	"JOIN pg_attribute a ON a.attrelid = $1 AND a.attname = n.original AND NOT a.attisdropped), "
#define GRANTS \
	"WITH " COLUMNS "granted AS (" \
	"SELECT e.grantee, e.privilege_type, e.is_grantable, NULL::name AS attname FROM pg_class c, " \
	"aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) e WHERE c.oid = $1 " \
	"UNION SELECT e.grantee, e.privilege_type, e.is_grantable, a.shown FROM columns a, aclexplode(a.attacl) e), " \
	"wanted AS (SELECT g.*, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS role " \
	"FROM granted g LEFT JOIN pg_roles r ON r.oid = g.grantee " \
	"WHERE g.grantee <> $4 AND (g.grantee = 0 OR r.oid IS NOT NULL) " \
	"AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')) "

static void
begin_dress(TandemQuery *query, Oid source, List *from, List *names, Oid owner)
{
	query_begin(query);
	query_oid(query, source);
	query_datum(query, NAMEARRAYOID, array_from_strings(from, NAMEOID), false);
	query_datum(query, NAMEARRAYOID, array_from_strings(names, NAMEOID), false);
	query_oid(query, owner);
}

List *
view_dress(Oid source, List *from, List *names, Oid owner, const char *name)
{
	TandemQuery query;
	List	   *statements;

	begin_dress(&query, source, from, names, owner);
	query_text(&query, name);
	statements = query_texts(&query, GRANTS
							 "SELECT format('GRANT %s%s ON %s TO %s%s', privilege_type, '(' || quote_ident(attname) || ')', $5, role, "
							 "CASE WHEN is_grantable AND grantee <> 0 THEN ' WITH GRANT OPTION' END) FROM wanted "
							 "UNION SELECT format('COMMENT ON VIEW %s IS %L', $5, obj_description($1, 'pg_class')) "
							 "WHERE obj_description($1, 'pg_class') IS NOT NULL "
							 "UNION SELECT format('COMMENT ON COLUMN %s.%I IS %L', $5, a.shown, col_description($1, a.attnum)) "
							 "FROM columns a WHERE col_description($1, a.attnum) IS NOT NULL ORDER BY 1");
	query_end(&query);
	return statements;
}

List *
view_dress_schema(Oid source, List *from, List *names, Oid owner, Oid schema)
{
	TandemQuery query;
	List	   *statements;

	begin_dress(&query, source, from, names, owner);
	query_oid(&query, schema);
	statements = query_texts(&query, GRANTS
							 "SELECT DISTINCT format('GRANT USAGE ON SCHEMA %I TO %s', n.nspname, role) "
							 "FROM wanted, pg_namespace n WHERE n.oid = $5 "
							 "AND (grantee = 0 OR NOT has_schema_privilege(grantee, n.oid, 'USAGE')) "
							 "AND NOT EXISTS (SELECT FROM aclexplode(n.nspacl) e WHERE e.grantee = 0 AND e.privilege_type = 'USAGE') ORDER BY 1");
	query_end(&query);
	return statements;
}
