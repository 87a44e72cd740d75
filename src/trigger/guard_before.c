/*
 * guard_before.c
 *		DDL that is refused before it begins.
 *
 * A column that is kept in sync cannot be dropped, because the trigger depends on it; the
 * server's hint to that is CASCADE, which the guard refuses.  The extension can be dropped
 * with CASCADE, and the triggers with it, without a word: what writers write then reaches one
 * side only.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"

#include "core/compat.h"
#include "core/extension.h"
#include "core/query.h"
#include "trigger/guard.h"
#include "trigger/guard_before.h"
#include "trigger/in_use.h"

static bool
statement_drops_extension(const DropStmt *statement)
{
	ListCell   *lc;

	if (statement->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, statement->objects)
	{
		if (strcmp(strVal(lfirst(lc)), EXTENSION_NAME) == 0)
			return true;
	}
	return false;
}

static void
refuse_drop_of_extension(void)
{
	TandemQuery query;
	char	   *names;
	char	   *first;

	query_begin(&query);
	query_run_latest(&query,
					 "SELECT string_agg(quote_ident(m.name), ', ' ORDER BY m.id), quote_literal((array_agg(m.name ORDER BY m.id))[1]) "
					 "FROM tandem.migration m WHERE m.phase NOT IN ('done', 'aborted') "
					 "AND EXISTS (SELECT FROM tandem._migration_tables t WHERE t.migration = m.id)");
	names = query_get_text(0, 1);
	first = query_get_text(0, 2);
	query_end(&query);
	if (names)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop extension %s while migrations are open", EXTENSION_NAME),
				 errdetail("Without its triggers writes would reach one side of their tables only. Open: %s.", names),
				 errhint("End each of them first, with CALL tandem.contract(%s) or CALL tandem.abort(%s).",
						 first, first)));
}

/* Returns the migration whose trigger depends on the column, or NULL. */
static char *
migration_that_syncs(Oid relid, const char *column)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	query_text(&query, column);
	return query_end_text(&query, query_run_latest(&query,
												   "SELECT min(u.migration) FROM tandem._migrations_using($1, $2::name) u "
												   "WHERE EXISTS (SELECT FROM pg_depend d JOIN pg_attribute a ON a.attrelid = $1 AND a.attname = $2 "
												   "WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = a.attnum "
												   "AND d.classid = 'pg_trigger'::regclass)"));
}

static void
check_dropped_columns(const AlterTableStmt *statement, CommandTag tag)
{
	Oid			relid = RangeVarGetRelid(statement->relation, NoLock, true);
	ListCell   *lc;

	if (!OidIsValid(relid) || !compat_is_table_owner(relid, GetUserId()))
		return;
	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		char	   *migration;

		/* the guard sees what goes with CASCADE */
		if (command->subtype != AT_DropColumn || command->behavior != DROP_RESTRICT)
			continue;
		migration = migration_that_syncs(relid, command->name);
		if (migration)
			guard_refuse_or_warn(tag, migration, relid,
								 psprintf("column \"%s\", which the migration keeps in sync, is gone",
										  command->name), true);
	}
}

void
guard_check_before(const EventTriggerData *data)
{
	if (!extension_in_use())
		return;
	if (IsA(data->parsetree, DropStmt))
	{
		/* to others the server says whose it is */
		if (statement_drops_extension((DropStmt *) data->parsetree) &&
			compat_is_extension_owner(get_extension_oid(EXTENSION_NAME, false), GetUserId()))
			refuse_drop_of_extension();
	}
	else if (IsA(data->parsetree, AlterTableStmt))
		check_dropped_columns((AlterTableStmt *) data->parsetree, data->tag);
}
