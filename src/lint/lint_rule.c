/*
 * lint_rule.c
 *		The rules of tandem.lint.
 *
 * All rules are in the table at the end.  Each looks at one kind of statement, or of
 * command of ALTER TABLE, and says what it finds with the names of the script.  What a
 * script makes itself nobody else uses, so that most rules pass it over.  Where a rule
 * comes from is in doc/lint.md.
 */
#include "postgres.h"

#include "core/compat.h"
#include "lint/lint_look.h"

typedef struct LintRule
{
	const char *name;
	const char *severity;
	NodeTag		statement;		/* T_Invalid: any */
	int			command;		/* an AlterTableType, or NO_COMMAND */
	void		(*look) (Lint *lint, Node *node);	/* the statement, or the
													 * command's definition */
} LintRule;

#define NO_COMMAND (-1)

void
lint_report(Lint *lint, ScriptTable *table, const char *message, const char *advice)
{
	lint->report(lint, lint->rule->severity, lint->rule->name, table, message, advice);
}

/*-------------------------------------------------------------------------
 * The rules.
 *-------------------------------------------------------------------------
 */

static const LintRule rules[] = {
	/* columns */
	{"add-column-rewrites", LINT_DANGER, T_AlterTableStmt, AT_AddColumn, lint_add_column_rewrites},
	{"add-column-required", LINT_DANGER, T_AlterTableStmt, AT_AddColumn, lint_add_column_required},
	{"add-column-checked", LINT_DANGER, T_AlterTableStmt, AT_AddColumn, lint_add_column_checked},
	{"change-type", LINT_DANGER, T_AlterTableStmt, AT_AlterColumnType, lint_change_type},
	{"type-in-use", LINT_FAILS, T_AlterTableStmt, AT_AlterColumnType, lint_type_in_use},
	{"change-expression", LINT_DANGER, T_AlterTableStmt, COMPAT_AT_SET_EXPRESSION, lint_change_expression},
	{"set-not-null", LINT_DANGER, T_AlterTableStmt, AT_SetNotNull, lint_set_not_null},
	{"set-not-null", LINT_DANGER, T_AlterTableStmt, AT_AddConstraint, lint_set_not_null},
	{"drop-not-null", LINT_WARNING, T_AlterTableStmt, AT_DropNotNull, lint_drop_not_null},
	{"drop-column", LINT_DANGER, T_AlterTableStmt, AT_DropColumn, lint_drop_column},
	/* constraints */
	{"add-check", LINT_DANGER, T_AlterTableStmt, AT_AddConstraint, lint_add_check},
	{"add-foreign-key", LINT_DANGER, T_AlterTableStmt, AT_AddConstraint, lint_add_foreign_key},
	{"add-unique", LINT_DANGER, T_AlterTableStmt, AT_AddConstraint, lint_add_unique},
	{"add-primary-key", LINT_DANGER, T_AlterTableStmt, AT_AddConstraint, lint_add_primary_key},
	{"add-exclusion", LINT_DANGER, T_AlterTableStmt, AT_AddConstraint, lint_add_exclusion},
	{"foreign-key-type", LINT_WARNING, T_AlterTableStmt, AT_AddConstraint, lint_foreign_key_type},
	/* storage and partitions */
	{"change-storage", LINT_DANGER, T_AlterTableStmt, AT_SetLogged, lint_change_storage},
	{"change-storage", LINT_DANGER, T_AlterTableStmt, AT_SetUnLogged, lint_change_storage},
	{"change-storage", LINT_DANGER, T_AlterTableStmt, AT_SetAccessMethod, lint_change_storage},
	{"change-storage", LINT_DANGER, T_AlterTableStmt, AT_SetTableSpace, lint_change_storage},
	{"change-storage", LINT_DANGER, T_AlterTableMoveAllStmt, NO_COMMAND, lint_move_all},
	{"attach-partition", LINT_WARNING, T_AlterTableStmt, AT_AttachPartition, lint_attach_partition},
	{"default-partition", LINT_DANGER, T_AlterTableStmt, AT_AttachPartition, lint_default_partition},
	{"default-partition", LINT_DANGER, T_CreateStmt, NO_COMMAND, lint_new_partition},
	{"detach-partition", LINT_DANGER, T_AlterTableStmt, AT_DetachPartition, lint_detach_partition},
	/* what goes, or gets another name */
	{"rename", LINT_DANGER, T_RenameStmt, NO_COMMAND, lint_rename_something},
	{"set-schema", LINT_DANGER, T_AlterObjectSchemaStmt, NO_COMMAND, lint_set_schema},
	{"drop-table", LINT_DANGER, T_DropStmt, NO_COMMAND, lint_drop_something},
	{"drop-schema", LINT_DANGER, T_DropStmt, NO_COMMAND, lint_drop_schema},
	{"drop-cascade", LINT_DANGER, T_DropStmt, NO_COMMAND, lint_drop_cascade},
	{"drop-owned", LINT_DANGER, T_DropOwnedStmt, NO_COMMAND, lint_drop_owned},
	{"drop-database", LINT_DANGER, T_DropdbStmt, NO_COMMAND, lint_drop_database},
	{"truncate", LINT_DANGER, T_TruncateStmt, NO_COMMAND, lint_truncate_table},
	/* indexes and files */
	{"create-index", LINT_DANGER, T_IndexStmt, NO_COMMAND, lint_create_index},
	{"index-on-partitions", LINT_FAILS, T_IndexStmt, NO_COMMAND, lint_index_on_partitions},
	{"index-many-columns", LINT_NOTE, T_IndexStmt, NO_COMMAND, lint_index_many_columns},
	{"drop-index", LINT_DANGER, T_DropStmt, NO_COMMAND, lint_drop_index},
	{"reindex", LINT_DANGER, T_ReindexStmt, NO_COMMAND, lint_reindex},
	{"repack", LINT_DANGER, T_Invalid, NO_COMMAND, lint_repack},
	{"vacuum-full", LINT_DANGER, T_VacuumStmt, NO_COMMAND, lint_vacuum_full},
	{"refresh", LINT_DANGER, T_RefreshMatViewStmt, NO_COMMAND, lint_refresh},
	/* rows */
	{"update-all", LINT_DANGER, T_UpdateStmt, NO_COMMAND, lint_update_all},
	{"delete-all", LINT_DANGER, T_DeleteStmt, NO_COMMAND, lint_delete_all},
	/* types; look_at_column names the rule of what it finds */
	{"domain-constraint", LINT_DANGER, T_AlterDomainStmt, NO_COMMAND, lint_domain_constraint},
	{"new-domain", LINT_NOTE, T_CreateDomainStmt, NO_COMMAND, lint_new_domain},
	{"enum-order", LINT_NOTE, T_AlterEnumStmt, NO_COMMAND, lint_enum_order},
	{"column-type", LINT_NOTE, T_AlterTableStmt, AT_AddColumn, lint_new_column_type},
	{"column-type", LINT_NOTE, T_CreateStmt, NO_COMMAND, lint_new_table_types},
	/* releases and migrations */
	{"breaks-release", LINT_DANGER, T_AlterTableStmt, AT_DropColumn, lint_used_column},
	{"breaks-release", LINT_DANGER, T_AlterTableStmt, AT_AlterColumnType, lint_used_column},
	{"breaks-release", LINT_DANGER, T_RenameStmt, NO_COMMAND, lint_used_renamed},
	{"breaks-release", LINT_DANGER, T_DropStmt, NO_COMMAND, lint_used_dropped},
	/* transactions and locks */
	{"top-level", LINT_FAILS, T_Invalid, NO_COMMAND, lint_top_level},
	{"not-repeatable", LINT_NOTE, T_Invalid, NO_COMMAND, lint_not_repeatable},
	{"nested-transaction", LINT_WARNING, T_TransactionStmt, NO_COMMAND, lint_nested_transaction},
	{"lock-timeout", LINT_WARNING, T_Invalid, NO_COMMAND, lint_lock_timeout},
	{"several-locks", LINT_WARNING, T_Invalid, NO_COMMAND, lint_several_locks},
	{"work-under-lock", LINT_DANGER, T_Invalid, NO_COMMAND, lint_work_under_lock},
	{"not-there", LINT_NOTE, T_AlterTableStmt, NO_COMMAND, lint_not_there},
	{"not-there", LINT_NOTE, T_IndexStmt, NO_COMMAND, lint_not_there},
	{"not-there", LINT_NOTE, T_RenameStmt, NO_COMMAND, lint_not_there},
	{"not-there", LINT_NOTE, T_DropStmt, NO_COMMAND, lint_not_there},
	{"not-there", LINT_NOTE, T_InsertStmt, NO_COMMAND, lint_not_there},
	{"not-there", LINT_NOTE, T_UpdateStmt, NO_COMMAND, lint_not_there},
	{"not-there", LINT_NOTE, T_DeleteStmt, NO_COMMAND, lint_not_there},
	{"not-there", LINT_NOTE, T_TruncateStmt, NO_COMMAND, lint_not_there},
	{"not-looked-into", LINT_NOTE, T_DoStmt, NO_COMMAND, lint_not_looked_into},
};

/* IF EXISTS of what is not there, IF NOT EXISTS of what is. */
static bool
does_nothing(ScriptTables *tables, ScriptTable *table, const AlterTableCmd *command)
{
	if (!command->missing_ok)
		return false;
	switch (command->subtype)
	{
		case AT_AddColumn:
			return script_column(table, castNode(ColumnDef, command->def)->colname) != NULL;
		case AT_DropColumn:
			return script_column(table, command->name) == NULL;
		case AT_DropConstraint:
			return script_constraint(tables, table, command->name) == NULL;
		default:
			return false;
	}
}

static void
look_at_command(Lint *lint, const LintRule *rule, AlterTableStmt *alter, AlterTableCmd *command)
{
	ListCell   *lc;

	foreach(lc, altered_tables(lint->tables, alter->relation, alter->objtype == OBJECT_TYPE, command->behavior == DROP_CASCADE))
	{
		lint->table = lfirst(lc);
		lint->command = command;
		if (lint_is_used(lint->table) && !does_nothing(lint->tables, lint->table, command))
			rule->look(lint, command->def);
	}
	lint->command = NULL;
	lint->table = NULL;
}

static void
look_at_commands(Lint *lint, const LintRule *rule, AlterTableStmt *alter)
{
	ListCell   *lc;

	foreach(lc, alter->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if ((int) command->subtype == rule->command)
			look_at_command(lint, rule, alter, command);
	}
}

static void
look_at_part(Lint *lint, const LintRule *rule, Node *statement)
{
	if (rule->statement != nodeTag(statement))
		return;
	if (rule->command == NO_COMMAND)
		rule->look(lint, statement);
	else
		look_at_commands(lint, rule, (AlterTableStmt *) statement);
}

void
lint_statement(Lint *lint)
{
	Node	   *statement = lint->statement->parsed;
	List	   *parts = statement_parts(statement);
	int			i;
	ListCell   *lc;

	for (i = 0; i < (int) lengthof(rules); i++)
	{
		lint->rule = &rules[i];
		if (rules[i].statement == T_Invalid)
			rules[i].look(lint, statement);
		else
			foreach(lc, parts)
				look_at_part(lint, lint->rule, lfirst(lc));
	}
}

void
lint_end(Lint *lint)
{
	if (lint->begun)
		lint->report(lint, LINT_WARNING, "open-transaction", NULL, "the transaction is not committed", "Add COMMIT.");
}
