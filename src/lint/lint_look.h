/*
 * lint_look.h
 *		What the rules of lint_rule.c call: each looks at a statement, or at the definition of
 *		a command of ALTER TABLE, and reports what it finds.
 */
#ifndef TANDEM_LINT_LOOK_H
#define TANDEM_LINT_LOOK_H

#include "lint/lint_rule.h"

#define LINT_DANGER "danger"
#define LINT_WARNING "warning"
#define LINT_NOTE "note"
#define LINT_FAILS "error"

/* node is the statement, or the definition of the command. */
typedef void LintLook(Lint *lint, Node *node);

/* Reports a finding of the rule that is being asked.  table may be NULL. */
extern void lint_report(Lint *lint, ScriptTable *table, const char *message, const char *advice);

/* Does anybody but the script use the table?  False of NULL. */
static inline bool
lint_is_used(const ScriptTable *table)
{
	return table && !table->made;
}

/* lint_alter.c: lint->table is the table, which others use, and lint->command the command. */
extern LintLook lint_add_check, lint_add_column_checked, lint_add_column_required,
lint_add_column_rewrites, lint_add_exclusion, lint_add_foreign_key, lint_add_primary_key,
lint_add_unique, lint_attach_partition, lint_change_expression, lint_change_storage,
lint_change_type, lint_default_partition, lint_detach_partition, lint_drop_column, lint_drop_not_null,
lint_foreign_key_type, lint_new_partition, lint_set_not_null, lint_type_in_use;

/* The call that gives a column, of the command at hand, its new type. */
extern char *lint_change_type_advice(Lint *lint, const ColumnDef *definition);

/* lint_object.c */
extern LintLook lint_create_index, lint_delete_all, lint_domain_constraint, lint_drop_cascade, lint_drop_database,
lint_drop_index, lint_drop_owned, lint_drop_schema, lint_drop_something, lint_enum_order,
lint_index_many_columns, lint_index_on_partitions, lint_move_all, lint_new_column_type, lint_new_domain,
lint_new_table_types, lint_refresh, lint_reindex, lint_rename_something, lint_repack,
lint_set_schema, lint_truncate_table, lint_update_all, lint_vacuum_full;

/* lint_use.c */
extern LintLook lint_lock_timeout, lint_nested_transaction, lint_not_looked_into,
lint_not_repeatable, lint_not_there, lint_several_locks, lint_top_level, lint_used_column,
lint_used_dropped, lint_used_renamed, lint_work_under_lock;

#endif							/* TANDEM_LINT_LOOK_H */
