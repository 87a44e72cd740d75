/*
 * wide_effect.c
 *		What statements do that name no table, but reach all of some kind.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/tablespace.h"
#include "utils/acl.h"

#include "core/compat.h"
#include "core/query.h"
#include "lint/wide_effect.h"

/* Adds it to those that a query of our own tells, of which the parameters are set. */
static void
reach(ScriptTables *tables, TandemQuery *query, const char *sql, const Effect *effect, List **effects)
{
	ListCell   *lc;

	foreach(lc, script_tables_told(tables, query, sql))
	{
		ScriptTable *table = lfirst(lc);
		Effect	   *own = !table->made ? effect_on(effects, table, effect->lock) : NULL;

		if (own)
		{
			own->rewrites |= effect->rewrites;
			own->scans |= effect->scans;
		}
	}
}

#define OF_USERS \
	"n.nspname NOT IN ('pg_catalog', 'information_schema', 'tandem') AND n.nspname !~ '^pg_(toast|temp)'"

#define TABLES_OF_USERS \
	"SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE " OF_USERS " "

/* The server passes over tables that are not the user's. */
static void
write_all_anew(ScriptTables *tables, bool clustered, List **effects)
{
	static const Effect effect = {NULL, AccessExclusiveLock, true, true};
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, query.scope.userid);
	query_bool(&query, clustered);
	reach(tables, &query, TABLES_OF_USERS
		  "AND c.relkind IN ('r', 'm') AND pg_has_role($1, c.relowner, 'USAGE') "
		  "AND (NOT $2 OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisclustered)) "
		  "ORDER BY n.nspname, c.relname", &effect, effects);
}

static void
reindex_all(ScriptTables *tables, const ReindexStmt *reindex, List **effects)
{
	bool		concurrently = has_option(reindex->params, "concurrently");
	Effect		effect = {NULL, concurrently ? ShareUpdateExclusiveLock : ShareLock, false, true};
	TandemQuery query;

	if (reindex->kind == REINDEX_OBJECT_SYSTEM)
		return;
	query_begin(&query);
	query_oid(&query, query.scope.userid);
	query_text(&query, reindex->kind == REINDEX_OBJECT_SCHEMA ? reindex->name : NULL);
	reach(tables, &query, TABLES_OF_USERS
		  "AND c.relkind IN ('r', 'm') AND pg_has_role($1, c.relowner, 'USAGE') AND ($2 IS NULL OR n.nspname = $2) "
		  "AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid) ORDER BY n.nspname, c.relname", &effect, effects);
}

static List *
roles_named(List *specs)
{
	List	   *roles = NIL;
	ListCell   *lc;

	foreach(lc, specs)
		roles = lappend_oid(roles, get_rolespec_oid(lfirst(lc), true));
	return roles;
}

static void
move_all(ScriptTables *tables, const AlterTableMoveAllStmt *move, List **effects)
{
	static const Effect effect = {NULL, AccessExclusiveLock, true, false};
	Oid			from = get_tablespace_oid(move->orig_tablespacename, true);
	TandemQuery query;

	if (from == get_tablespace_oid(move->new_tablespacename, true))
		return;
	query_begin(&query);
	query_oid(&query, from);
	query_text(&query, move->objtype == OBJECT_INDEX ? "iI" : move->objtype == OBJECT_MATVIEW ? "m" : "rp");
	query_oid_list(&query, roles_named(move->roles));
	/* a partitioned table has no file */
	reach(tables, &query, TABLES_OF_USERS
		  "AND strpos($2, c.relkind::text) > 0 AND c.relkind NOT IN ('p', 'I') AND (cardinality($3) = 0 OR c.relowner = ANY ($3)) "
		  "AND $1 = CASE c.reltablespace WHEN 0 THEN (SELECT d.dattablespace FROM pg_database d WHERE d.datname = current_database()) "
		  "ELSE c.reltablespace END ORDER BY n.nspname, c.relname", &effect, effects);
}

static void
owned_effects(ScriptTables *tables, List *roles, const char *kinds, List **effects)
{
	static const Effect effect = {NULL, AccessExclusiveLock, false, false};
	TandemQuery query;

	query_begin(&query);
	query_oid_list(&query, roles_named(roles));
	query_text(&query, kinds);
	reach(tables, &query, TABLES_OF_USERS
		  "AND strpos($2, c.relkind::text) > 0 AND c.relowner = ANY ($1) ORDER BY n.nspname, c.relname", &effect, effects);
}

/* What hangs on what goes goes along, or keeps it. */
static void
drop_owned_effects(ScriptTables *tables, const DropOwnedStmt *drop, List **effects)
{
	List	   *owned = NIL;
	ListCell   *lc;

	owned_effects(tables, drop->roles, "rpmvSf", &owned);
	foreach(lc, owned)
	{
		ScriptTable *table = ((Effect *) lfirst(lc))->table;

		effect_on(effects, table, AccessExclusiveLock);
		drop_object_effects(tables, RelationRelationId, table->relid, 0, drop->behavior == DROP_CASCADE, effects);
	}
}

bool
wide_effects(ScriptTables *tables, Node *statement, List **effects)
{
	bool		clustered;
	bool		concurrently;

	if (IsA(statement, VacuumStmt) && ((VacuumStmt *) statement)->rels == NIL)
	{
		if (has_option(((VacuumStmt *) statement)->options, "full"))
			write_all_anew(tables, false, effects);
	}
	else if (compat_is_repack(statement, &clustered) && compat_repacked(statement, &concurrently) == NULL)
		write_all_anew(tables, clustered, effects);
	else if (IsA(statement, ReindexStmt) && ((ReindexStmt *) statement)->relation == NULL)
		reindex_all(tables, (ReindexStmt *) statement, effects);
	else if (IsA(statement, AlterTableMoveAllStmt))
		move_all(tables, (AlterTableMoveAllStmt *) statement, effects);
	else if (IsA(statement, DropOwnedStmt))
		drop_owned_effects(tables, (DropOwnedStmt *) statement, effects);
	else if (IsA(statement, ReassignOwnedStmt))
		owned_effects(tables, ((ReassignOwnedStmt *) statement)->roles, "rpmvSf", effects);
	else
		return false;
	return true;
}
