/*
 * lint_alter.c
 *		Rules of tandem.lint about the commands of ALTER TABLE.
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "utils/builtins.h"

#include "core/compat.h"
#include "core/query.h"
#include "lint/lint_look.h"
#include "lint/lint_text.h"

/*-------------------------------------------------------------------------
 * ALTER TABLE: columns.
 *-------------------------------------------------------------------------
 */

static Effect *
lint_command_effect(Lint *lint)
{
	List	   *effects = NIL;

	command_effects(lint->tables, lint->table, lint->command, &effects);
	return effect_on(&effects, lint->table, NoLock);
}

/* The values that a new column has in each row, as arguments of add_column. */
static char *
values_of_column(Lint *lint, const ColumnDef *column, const char *sequence)
{
	Constraint *given = column_constraint(column, CONSTR_DEFAULT);
	Constraint *generated = column_constraint(column, CONSTR_GENERATED);
	char	   *value;

	if (generated)
		return psprintf(", up => %s", lint_literal(lint_generated_text(lint, generated)));
	if (sequence)
		value = lint_literal(psprintf("nextval(%s)", lint_literal(sequence)));
	else if (given)
		value = lint_literal(lint_default_text(lint, column, given));
	else
		return "";
	/* of the rows that are there, and of later ones */
	return psprintf(", up => %s, default_value => %s", value, value);
}

void
lint_add_column_rewrites(Lint *lint, Node *node)
{
	ColumnDef  *column = castNode(ColumnDef, node);
	bool		serial = column_is_serial(column);
	bool		numbered = serial || column_constraint(column, CONSTR_IDENTITY);
	char	   *sequence = numbered ? quote_qualified_identifier(lint->table->schema,
																 psprintf("%s_%s_seq", lint->table->name, column->colname)) : NULL;

	if (!lint_command_effect(lint)->rewrites)
		return;
	lint_report(lint, lint->table,
				psprintf("column %s has a value of its own for each row, so that the table is written anew",
						 quote_identifier(column->colname)),
				psprintf("%sSELECT tandem.add_column('m', %s, %s, %s%s%s);",
						 numbered ? psprintf("CREATE SEQUENCE %s; ", sequence) : "",
						 lint_table_literal(lint->table), lint_literal(column->colname),
						 lint_literal(serial ? "bigint" : lint_type_text(column->typeName)),
						 values_of_column(lint, column, sequence),
						 numbered || column_constraint(column, CONSTR_NOTNULL) ? ", not_null => true" : ""));
}

void
lint_add_column_required(Lint *lint, Node *node)
{
	ColumnDef  *column = castNode(ColumnDef, node);

	if (!column_constraint(column, CONSTR_NOTNULL) || column_constraint(column, CONSTR_DEFAULT) ||
		column_constraint(column, CONSTR_GENERATED) || column_constraint(column, CONSTR_IDENTITY) ||
		column_is_serial(column))
		return;
	lint_report(lint, lint->table,
				psprintf("column %s is NOT NULL and has no default: the statement fails if the table has rows, and after it the release before cannot insert",
						 quote_identifier(column->colname)),
				psprintf("SELECT tandem.add_column('m', %s, %s, %s, up => '...', not_null => true); or with default_value",
						 lint_table_literal(lint->table), lint_literal(column->colname), lint_literal(lint_type_text(column->typeName))));
}

void
lint_add_column_checked(Lint *lint, Node *node)
{
	ColumnDef  *column = castNode(ColumnDef, node);
	static const ConstrType kinds[] = {CONSTR_CHECK, CONSTR_FOREIGN, CONSTR_UNIQUE, CONSTR_PRIMARY};
	int			i;

	if (!lint_command_effect(lint)->scans)
		return;
	for (i = 0; i < (int) lengthof(kinds); i++)
	{
		Constraint *constraint = column_constraint(column, kinds[i]);

		if (!constraint)
			continue;
		lint_report(lint, lint->table,
					psprintf("the constraint of column %s is tried on all rows while the table is locked",
							 quote_identifier(column->colname)),
					psprintf("SELECT tandem.add_column('m', %s, %s, %s); and tandem.add_constraint, which migrate adds without blocking",
							 lint_table_literal(lint->table), lint_literal(column->colname), lint_literal(lint_type_text(column->typeName))));
		return;
	}
}

/*
 * The key that the column is, or refers to, as arguments of change_key; NULL if there is none,
 * or its table is not the user's to see.
 */
static char *
key_of_column(Lint *lint)
{
	Oid			relid = InvalidOid;
	char	   *column = NULL;
	ScriptTable *table;
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, lint->table->relid);
	query_name(&query, lint->command->name);
	if (query_run_latest(&query,
						 "SELECT k.relation, a.attname::text FROM pg_attribute c CROSS JOIN LATERAL ("
						 "  SELECT n.confrelid AS relation, n.confkey[array_position(n.conkey, c.attnum)] AS number "
						 "  FROM pg_constraint n WHERE n.contype = 'f' AND n.conrelid = c.attrelid AND c.attnum = ANY (n.conkey) "
						 "  UNION ALL SELECT c.attrelid, c.attnum FROM pg_constraint n "
						 "  WHERE n.contype = 'p' AND n.conrelid = c.attrelid AND c.attnum = ANY (n.conkey) "
						 "  OR n.contype = 'f' AND n.confrelid = c.attrelid AND c.attnum = ANY (n.confkey)) k "
						 "JOIN pg_attribute a ON a.attrelid = k.relation AND a.attnum = k.number "
						 "WHERE c.attrelid = $1 AND c.attname = $2 ORDER BY k.relation::regclass::text, a.attname LIMIT 1") > 0)
	{
		relid = query_get_oid(0, 1);
		column = query_get_text(0, 2);
	}
	query_end(&query);
	table = OidIsValid(relid) ? script_table_of_oid(lint->tables, relid) : NULL;
	return table ? psprintf("%s, %s", lint_table_literal(table), lint_literal(column)) : NULL;
}

char *
lint_change_type_advice(Lint *lint, const ColumnDef *definition)
{
	char	   *type = lint_literal(lint_type_text(definition->typeName));
	char	   *key = definition->raw_default || !OidIsValid(lint->table->relid) ? NULL : key_of_column(lint);

	if (key)
		return psprintf("CALL tandem.change_key('m', %s, %s);", key, type);
	return psprintf("SELECT tandem.change_column('m', %s, %s, %s%s);", lint_table_literal(lint->table),
					lint_literal(lint->command->name), type,
					definition->raw_default
					? psprintf(", up => %s, down => '...'", lint_literal(lint_text_behind(lint, definition->location, "USING", -1))) : "");
}

void
lint_change_type(Lint *lint, Node *node)
{
	ColumnDef  *definition = castNode(ColumnDef, node);
	Effect	   *effect = lint_command_effect(lint);

	if (!effect->rewrites && !effect->scans)
		return;
	lint_report(lint, lint->table,
				effect->rewrites
				? psprintf("the new type of column %s has the table, and its indexes, written anew",
						   quote_identifier(lint->command->name))
				: psprintf("the new type of column %s has its indexes built, or its constraints tried, anew",
						   quote_identifier(lint->command->name)),
				lint_change_type_advice(lint, definition));
}

/* Returns what of it the script has not dropped by now, or NULL. */
static char *
user_of_column(Lint *lint, uint64 row)
{
	Oid			view = query_get_oid(row, 1);
	char	   *column = query_get_text(row, 2);
	ScriptColumn *generated;

	if (OidIsValid(view))
	{
		ScriptTable *table = script_table_of_oid(lint->tables, view);

		return table ? psprintf("view %s", script_table_name(table)) : NULL;
	}
	generated = script_column(lint->table, column);
	return generated ? psprintf("generated column %s", quote_identifier(column)) : NULL;
}

void
lint_type_in_use(Lint *lint, Node *node)
{
	TandemQuery query;
	char	   *user = NULL;
	uint64		rows;

	if (!OidIsValid(lint->table->relid))
		return;
	query_begin(&query);
	query_oid(&query, lint->table->relid);
	query_text(&query, lint->command->name);
	rows = query_run_latest(&query,
							"SELECT DISTINCT r.ev_class, g.attname FROM pg_attribute a "
							"JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum "
							"LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid "
							"LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND f.adnum <> a.attnum "
							"LEFT JOIN pg_attribute g ON g.attrelid = f.adrelid AND g.attnum = f.adnum "
							"WHERE a.attrelid = $1 AND a.attname = $2::name AND (r.oid IS NOT NULL OR f.oid IS NOT NULL) ORDER BY 1, 2");
	for (uint64 row = 0; row < rows && !user; row++)
		user = user_of_column(lint, row);
	query_end(&query);
	if (user)
		lint_report(lint, lint->table,
					psprintf("the type of column %s cannot be altered: %s uses it", quote_identifier(lint->command->name), user),
					lint_change_type_advice(lint, castNode(ColumnDef, node)));
}

void
lint_change_expression(Lint *lint, Node *node)
{
	if (lint_command_effect(lint)->rewrites)
		lint_report(lint, lint->table,
					psprintf("column %s is computed, and the table written, anew", quote_identifier(lint->command->name)),
					"Add another column with tandem.add_column, whose up computes it, and drop this one with tandem.drop_column.");
}

void
lint_set_not_null(Lint *lint, Node *node)
{
	char	   *name = lint->command->name;

	if (node && IsA(node, Constraint))
	{
		Constraint *constraint = castNode(Constraint, node);

		if (constraint->contype != CONSTR_NOTNULL)
			return;
		name = strVal(linitial(constraint->keys));
	}
	if (lint_command_effect(lint)->scans)
		lint_report(lint, lint->table,
					psprintf("all rows are read to see that column %s has no null", quote_identifier(name)),
					psprintf("SELECT tandem.add_not_null('m', %s, %s);", lint_table_literal(lint->table), lint_literal(name)));
}

void
lint_drop_not_null(Lint *lint, Node *node)
{
	lint_report(lint, lint->table,
				psprintf("column %s may have nulls, which the release before does not expect",
						 quote_identifier(lint->command->name)),
				"Be sure that both releases read nulls there.");
}

void
lint_drop_column(Lint *lint, Node *node)
{
	lint_report(lint, lint->table,
				psprintf("the release before may still use column %s", quote_identifier(lint->command->name)),
				psprintf("SELECT tandem.drop_column('m', %s, %s);", lint_table_literal(lint->table),
						 lint_literal(lint->command->name)));
}

/*-------------------------------------------------------------------------
 * ALTER TABLE: constraints.
 *-------------------------------------------------------------------------
 */

static void
add_constraint_of(Lint *lint, Node *node, ConstrType kind, const char *message)
{
	Constraint *constraint = castNode(Constraint, node);

	if (constraint->contype == kind && lint_command_effect(lint)->scans)
		lint_report(lint, lint->table, message, lint_constraint_advice(lint, constraint));
}

void
lint_add_check(Lint *lint, Node *node)
{
	add_constraint_of(lint, node, CONSTR_CHECK, "the CHECK is tried on all rows while the table is locked");
}

void
lint_add_foreign_key(Lint *lint, Node *node)
{
	add_constraint_of(lint, node, CONSTR_FOREIGN,
					  "the foreign key is tried on all rows while both tables are locked against writes");
}

void
lint_add_unique(Lint *lint, Node *node)
{
	add_constraint_of(lint, node, CONSTR_UNIQUE, "the index of the constraint is built while the table is locked");
}

void
lint_add_primary_key(Lint *lint, Node *node)
{
	add_constraint_of(lint, node, CONSTR_PRIMARY,
					  "the index of the key is built, or its columns are looked through for nulls, while the table is locked");
}

void
lint_add_exclusion(Lint *lint, Node *node)
{
	Constraint *constraint = castNode(Constraint, node);

	if (constraint->contype == CONSTR_EXCLUSION)
		lint_report(lint, lint->table, "the index of the constraint is built while the table is locked",
					"The server has no other way to it: add the constraint to a new table, or when nobody works.");
}

static Oid
column_type(ScriptTable *table, List *names, int n)
{
	ScriptColumn *column = table && n < list_length(names) ? script_column(table, strVal(list_nth(names, n))) : NULL;

	return column ? column->type : InvalidOid;
}

void
lint_foreign_key_type(Lint *lint, Node *node)
{
	Constraint *constraint = castNode(Constraint, node);
	ScriptTable *referenced = script_table(lint->tables, constraint->pktable);
	int			i;

	for (i = 0; referenced && i < list_length(constraint->fk_attrs); i++)
	{
		Oid			own = column_type(lint->table, constraint->fk_attrs, i);
		Oid			other = column_type(referenced, constraint->pk_attrs, i);

		if (OidIsValid(own) && OidIsValid(other) && own != other)
			lint_report(lint, lint->table,
						psprintf("column %s has type %s, and the key that it refers to %s",
								 quote_identifier(strVal(list_nth(constraint->fk_attrs, i))),
								 format_type_be(own), format_type_be(other)),
						"Give both the same type, so that the one can hold what the other has.");
	}
}

/*-------------------------------------------------------------------------
 * ALTER TABLE: storage and partitions.
 *-------------------------------------------------------------------------
 */

void
lint_change_storage(Lint *lint, Node *node)
{
	if (lint_command_effect(lint)->rewrites)
		lint_report(lint, lint->table, "the table is written anew while it is locked",
					"Do it when nobody works.");
}

static void
look_at_default_partition(Lint *lint, ScriptTable *table)
{
	Oid			relid = table && OidIsValid(table->relid) ? get_default_partition_oid(table->relid) : InvalidOid;
	ScriptTable *partition = OidIsValid(relid) ? script_table_of_oid(lint->tables, relid) : NULL;
	Effect	   *effect = partition ? effect_of(lint->effects, partition) : NULL;

	if (effect && effect->scans && lint_is_used(partition))
		lint_report(lint, partition, "nobody reads or writes the default partition while all its rows are read to see that none is for the new one",
					"Add a CHECK to the default partition before that says that it has no rows of these bounds, NOT VALID, and validate it.");
}

void
lint_attach_partition(Lint *lint, Node *node)
{
	ScriptTable *partition = script_table(lint->tables, castNode(PartitionCmd, node)->name);
	Effect	   *effect = partition ? effect_of(lint->effects, partition) : NULL;

	if (effect && effect->scans && lint_is_used(partition))
		lint_report(lint, partition, "all rows of the new partition are read to see that they are within its bounds",
					"Add a CHECK that says what the bounds say before, and drop it afterwards.");
}

void
lint_default_partition(Lint *lint, Node *node)
{
	look_at_default_partition(lint, lint->table);
}

void
lint_new_partition(Lint *lint, Node *node)
{
	CreateStmt *create = castNode(CreateStmt, node);

	if (create->partbound)
		look_at_default_partition(lint, script_table(lint->tables, linitial(create->inhRelations)));
}

static char *
name_in_script(Lint *lint, const RangeVar *name)
{
	ScriptTable *table = script_table(lint->tables, name);

	return table ? script_table_name(table) : quote_qualified_identifier(name->schemaname, name->relname);
}

void
lint_detach_partition(Lint *lint, Node *node)
{
	PartitionCmd *partition = castNode(PartitionCmd, node);
	bool		has_default = OidIsValid(lint->table->relid) && OidIsValid(get_default_partition_oid(lint->table->relid));

	if (!partition->concurrent)
		lint_report(lint, lint->table, "nobody reads or writes the partitioned table while the partition is detached",
					has_default ? "Do it when nobody works: of a table with a default partition none is detached CONCURRENTLY."
					: psprintf("ALTER TABLE %s DETACH PARTITION %s CONCURRENTLY;", script_table_name(lint->table),
							   name_in_script(lint, partition->name)));
}
