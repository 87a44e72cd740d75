/*
 * view_dress.c
 *		What the view of a release takes over from its table beside columns:
 *		privileges and comments.
 *
 * Nothing is taken away: the views check the rights of their reader on the
 * table (security_invoker), so a privilege on the view alone gives nothing.
 * Defaults need nothing: an INSERT through a view that has none takes those of
 * the table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/query.h"
#include "ddl/view_dress.h"

/* $1 source, $2 names, $3 owner, $4 name, $5 schema */
#define GRANTS \
	"WITH granted AS (" \
	"SELECT e.grantee, e.privilege_type, e.is_grantable, NULL::name AS attname FROM pg_class c, " \
	"aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) e WHERE c.oid = $1 " \
	"UNION SELECT e.grantee, e.privilege_type, e.is_grantable, a.attname FROM pg_attribute a, aclexplode(a.attacl) e " \
	"WHERE a.attrelid = $1 AND NOT a.attisdropped AND a.attname = ANY ($2)), " \
	"wanted AS (SELECT g.*, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS role " \
	"FROM granted g LEFT JOIN pg_roles r ON r.oid = g.grantee " \
	"WHERE g.grantee <> $3 AND (g.grantee = 0 OR r.oid IS NOT NULL) " \
	"AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')) "

List *
view_dress(Oid source, List *names, Oid owner, const char *name,
		   const char *schema)
{
	TandemQuery query;
	List	   *statements;

	query_begin(&query);
	query_oid(&query, source);
	query_datum(&query, NAMEARRAYOID, array_from_strings(names, NAMEOID), false);
	query_oid(&query, owner);
	query_text(&query, name);
	query_text(&query, schema);
	statements = query_texts(&query, GRANTS
							 "SELECT format('GRANT %s%s ON %s TO %s%s', privilege_type, '(' || quote_ident(attname) || ')', $4, role, "
							 "CASE WHEN is_grantable AND grantee <> 0 THEN ' WITH GRANT OPTION' END) FROM wanted "
	/* who owns the view may not be who owns the schema */
							 "UNION SELECT format('GRANT USAGE ON SCHEMA %s TO %s', $5, role) FROM wanted, pg_namespace n "
							 "WHERE quote_ident(n.nspname) = $5 AND pg_has_role($3, n.nspowner, 'USAGE') "
							 "AND (grantee = 0 OR NOT has_schema_privilege(grantee, n.oid, 'USAGE')) "
							 "UNION SELECT format('COMMENT ON VIEW %s IS %L', $4, obj_description($1, 'pg_class')) "
							 "WHERE obj_description($1, 'pg_class') IS NOT NULL "
							 "UNION SELECT format('COMMENT ON COLUMN %s.%I IS %L', $4, a.attname, col_description($1, a.attnum)) "
							 "FROM pg_attribute a WHERE a.attrelid = $1 AND NOT a.attisdropped AND a.attname = ANY ($2) "
							 "AND col_description($1, a.attnum) IS NOT NULL ORDER BY 1");
	query_end(&query);
	return statements;
}
