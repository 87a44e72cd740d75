/*
 * lint_use.c
 *		Rules of tandem.lint about who uses what a script changes: releases, migrations, and
 *		clients that wait behind its locks.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"

#include "core/compat.h"
#include "core/query.h"
#include "lint/lint_look.h"
#include "lint/lint_text.h"

/*-------------------------------------------------------------------------
 * Releases and migrations.
 *-------------------------------------------------------------------------
 */

static void
look_at_use(Lint *lint, ScriptTable *table, const char *column, const ColumnDef *new_type)
{
	char	   *releases;
	char	   *migration;
	const char *what;
	TandemQuery query;

	if (!lint_is_used(table) || !OidIsValid(table->relid))
		return;
	query_begin(&query);
	query_oid(&query, table->relid);
	query_text(&query, column);
	query_run_latest(&query,
					 "SELECT (SELECT string_agg(u.release::text, ', ' ORDER BY u.release) FROM tandem._releases_using($1, $2::name) u), "
					 "(SELECT min(u.migration) FROM tandem._migrations_using($1, $2::name) u)");
	releases = query_get_text(0, 1);
	migration = query_get_text(0, 2);
	query_end(&query);
	what = column ? psprintf("column %s of %s", quote_identifier(column), script_table_name(table))
		: script_table_name(table);
	if (releases)
		lint->report(lint, LINT_DANGER, "breaks-release", table,
					 psprintf("%s is used by a release that is served: %s", what, releases),
					 new_type ? lint_change_type_advice(lint, new_type) : "Change it with the operations of pg_tandem, which keep what the release sees.");
	if (migration)
		lint->report(lint, LINT_DANGER, "breaks-migration", table,
					 psprintf("migration %s works on %s", lint_literal(migration), what),
					 psprintf("Wait until it has ended: CALL tandem.contract(%s); or CALL tandem.abort(%s);",
							  lint_literal(migration), lint_literal(migration)));
}

void
lint_used_column(Lint *lint, Node *node)
{
	/* of others the rules about them have the call */
	look_at_use(lint, lint->table, lint->command->name, lint->command->subtype == AT_AlterColumnType
				? castNode(ColumnDef, node) : NULL);
}

void
lint_used_renamed(Lint *lint, Node *node)
{
	RenameStmt *rename = castNode(RenameStmt, node);
	ScriptTable *table = script_table(lint->tables, rename->relation);

	if (rename->renameType == OBJECT_COLUMN)
		look_at_use(lint, table, rename->subname, NULL);
	else if (rename->renameType == OBJECT_TABLE || rename->renameType == OBJECT_VIEW)
		look_at_use(lint, table, NULL, NULL);
}

void
lint_used_dropped(Lint *lint, Node *node)
{
	DropStmt   *drop = castNode(DropStmt, node);
	ListCell   *lc;

	if (drop->removeType != OBJECT_TABLE && drop->removeType != OBJECT_VIEW)
		return;
	foreach(lc, drop->objects)
		look_at_use(lint, script_table_of_names(lint->tables, lfirst(lc)), NULL, NULL);
}

/*-------------------------------------------------------------------------
 * Transactions and locks.
 *-------------------------------------------------------------------------
 */

/* A partitioned table is worked on by partition, each in a transaction; so is all that a name does not tell. */
static bool
is_many(ScriptTables *tables, const RangeVar *name)
{
	ScriptTable *table = name ? script_table(tables, name) : NULL;

	return name == NULL || (table && (table->kind == RELKIND_PARTITIONED_TABLE || table->kind == RELKIND_PARTITIONED_INDEX));
}

bool
lint_is_top_level(ScriptTables *tables, Node *statement)
{
	bool		concurrently;
	bool		clustered;

	if (compat_is_repack(statement, &clustered))
		return is_many(tables, compat_repacked(statement, &concurrently)) || concurrently;
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
			return ((IndexStmt *) statement)->concurrent;
		case T_DropStmt:
			return ((DropStmt *) statement)->concurrent;
		case T_ReindexStmt:
			return has_option(((ReindexStmt *) statement)->params, "concurrently") ||
				is_many(tables, ((ReindexStmt *) statement)->relation);
		case T_VacuumStmt:
			return ((VacuumStmt *) statement)->is_vacuumcmd;
		case T_AlterTableStmt:
			{
				AlterTableCmd *command = linitial_node(AlterTableCmd, ((AlterTableStmt *) statement)->cmds);

				return command->subtype == AT_DetachPartition && castNode(PartitionCmd, command->def)->concurrent;
			}
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_CreateTableSpaceStmt:
		case T_DropTableSpaceStmt:
		case T_AlterSystemStmt:
		case T_CreateSubscriptionStmt:
			return true;
		default:
			return false;
	}
}

void
lint_top_level(Lint *lint, Node *node)
{
	if (lint_is_top_level(lint->tables, node) && lint->begun)
		lint_report(lint, lint->effects ? ((Effect *) linitial(lint->effects))->table : NULL,
					"the server refuses the statement in a transaction block",
					"Run it outside of BEGIN and COMMIT, and without the transaction of the migration tool.");
}

void
lint_not_repeatable(Lint *lint, Node *node)
{
	bool		creates = IsA(node, IndexStmt) && ((IndexStmt *) node)->concurrent && !((IndexStmt *) node)->if_not_exists;
	bool		drops = IsA(node, DropStmt) && ((DropStmt *) node)->concurrent && !((DropStmt *) node)->missing_ok;

	if (creates || drops)
		lint_report(lint, NULL, "the script cannot be run again if it fails behind this statement, which no transaction takes back",
					creates ? "A build that failed leaves an invalid index: DROP INDEX CONCURRENTLY IF EXISTS before it, or use tandem.add_index."
					: "Say IF EXISTS.");
}

void
lint_nested_transaction(Lint *lint, Node *node)
{
	TransactionStmt *statement = castNode(TransactionStmt, node);

	if ((statement->kind == TRANS_STMT_BEGIN || statement->kind == TRANS_STMT_START) && lint->begun)
		lint_report(lint, NULL, "a transaction is open already", "Leave the second BEGIN out.");
	if (statement->kind == TRANS_STMT_COMMIT && !lint->begun)
		lint_report(lint, NULL, "no transaction of the script is open: this ends that of the migration tool",
					"Leave COMMIT out, or begin the transaction in the script.");
}

/* Does it keep out writers, or more? */
static bool
blocks_writers(LOCKMODE lock)
{
	return lock >= ShareLock;
}

void
lint_lock_timeout(Lint *lint, Node *node)
{
	ListCell   *lc;

	if (lint->has_lock_timeout || lint->told_lock_timeout)
		return;
	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if (!blocks_writers(effect->lock) || !lint_is_used(effect->table))
			continue;
		lint->told_lock_timeout = true;
		lint_report(lint, effect->table,
					"while the statement waits for its lock everybody else waits behind it, and nothing limits how long",
					"SET lock_timeout = '1s'; before it, and try again if it fails.");
		return;
	}
}

void
lint_several_locks(Lint *lint, Node *node)
{
	List	   *held = script_tables_held(lint->tables, ShareLock);
	ListCell   *lc;

	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if (!lint->in_transaction || !blocks_writers(effect->lock) || !lint_is_used(effect->table) ||
			blocks_writers(effect->table->held) || held == NIL)
			continue;
		lint_report(lint, effect->table,
					psprintf("the transaction has %s locked already, and waits for another lock", script_table_name(linitial(held))),
					"One table in a transaction: others who take the locks in another order end in a deadlock.");
		return;
	}
}

void
lint_work_under_lock(Lint *lint, Node *node)
{
	List	   *held = script_tables_held(lint->tables, ShareRowExclusiveLock);
	ListCell   *lc;

	if (!lint->in_transaction || held == NIL)
		return;
	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if ((effect->scans || effect->rewrites) && lint_is_used(effect->table))
		{
			lint_report(lint, effect->table,
						psprintf("the rows are read while the transaction keeps the lock of an earlier statement on %s",
								 script_table_name(linitial(held))),
						"Commit before it, so that the lock is short.");
			return;
		}
	}
}

/* The relations that a statement needs, as RangeVars. */
static List *
relations_needed(Node *node)
{
	List	   *relations = NIL;
	ListCell   *lc;

	switch (nodeTag(node))
	{
		case T_AlterTableStmt:
			if (((AlterTableStmt *) node)->objtype == OBJECT_TYPE)
				return NIL;
			return ((AlterTableStmt *) node)->missing_ok ? NIL : list_make1(((AlterTableStmt *) node)->relation);
		case T_RenameStmt:
			if (((RenameStmt *) node)->renameType == OBJECT_ATTRIBUTE)
				return NIL;
			return ((RenameStmt *) node)->missing_ok ? NIL : list_make1(((RenameStmt *) node)->relation);
		case T_IndexStmt:
			return list_make1(((IndexStmt *) node)->relation);
		case T_InsertStmt:
			return list_make1(((InsertStmt *) node)->relation);
		case T_UpdateStmt:
			return list_make1(((UpdateStmt *) node)->relation);
		case T_DeleteStmt:
			return list_make1(((DeleteStmt *) node)->relation);
		case T_TruncateStmt:
			return ((TruncateStmt *) node)->relations;
		default:
			break;
	}
	if (((DropStmt *) node)->missing_ok)
		return NIL;
	switch (((DropStmt *) node)->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_INDEX:
			foreach(lc, ((DropStmt *) node)->objects)
				relations = lappend(relations, makeRangeVarFromNameList(lfirst(lc)));
			return relations;
		default:
			return NIL;
	}
}

void
lint_not_there(Lint *lint, Node *node)
{
	ListCell   *lc;

	foreach(lc, relations_needed(node))
	{
		const RangeVar *name = lfirst(lc);

		if (name && !script_table(lint->tables, name))
			lint_report(lint, NULL,
						psprintf("%s is not there, or you have no right on it", quote_qualified_identifier(name->schemaname, name->relname)),
						"Run lint where the script is to be run, as who is to run it.");
	}
}

void
lint_not_looked_into(Lint *lint, Node *node)
{
	lint_report(lint, NULL, "what it runs is not looked at", "On staging, CALL tandem.rehearse(script); runs it and takes it back: tandem.rehearsals then shows what it has locked.");
}
