/*
 * lint_object.c
 *		Rules of tandem.lint about what is dropped, renamed, built and made, and about rows.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/text.h"
#include "lint/lint_look.h"
#include "lint/lint_text.h"

/*-------------------------------------------------------------------------
 * What goes, or gets another name.
 *-------------------------------------------------------------------------
 */

void
lint_rename_something(Lint *lint, Node *node)
{
	RenameStmt *rename = castNode(RenameStmt, node);
	ScriptTable *table = script_table(lint->tables, rename->relation);

	if (rename->renameType == OBJECT_SCHEMA)
		lint_report(lint, NULL, psprintf("the release before knows schema %s by its name", quote_identifier(rename->subname)),
					"Let the schema have its name, or rename it once no release before is served.");
	else if (rename->renameType == OBJECT_COLUMN && lint_is_used(table))
		lint_report(lint, table, psprintf("the release before knows column %s by its name", quote_identifier(rename->subname)),
					psprintf("SELECT tandem.rename_column('m', %s, %s, %s);", lint_table_literal(table),
							 lint_literal(rename->subname), lint_literal(rename->newname)));
	else if (rename->renameType == OBJECT_TABLE && lint_is_used(table))
		lint_report(lint, table, psprintf("the release before knows %s by its name", script_table_name(table)),
					psprintf("SELECT tandem.rename_table('m', %s, %s);", lint_table_literal(table), lint_literal(rename->newname)));
	else if (rename->renameType == OBJECT_VIEW && lint_is_used(table))
		lint_report(lint, table, psprintf("the release before knows %s by its name", script_table_name(table)),
					"Create a view of the new name beside it, and drop this one once no release before is served.");
}

void
lint_set_schema(Lint *lint, Node *node)
{
	AlterObjectSchemaStmt *alter = castNode(AlterObjectSchemaStmt, node);
	ScriptTable *table = script_table(lint->tables, alter->relation);

	if (lint_is_used(table))
		lint_report(lint, table, psprintf("the release before knows %s by its schema", script_table_name(table)),
					"Leave the table where it is while a release is served that looks for it there.");
}

void
lint_drop_something(Lint *lint, Node *node)
{
	DropStmt   *drop = castNode(DropStmt, node);
	ListCell   *lc;

	if (drop->removeType != OBJECT_TABLE && drop->removeType != OBJECT_VIEW && drop->removeType != OBJECT_MATVIEW)
		return;
	foreach(lc, drop->objects)
	{
		ScriptTable *table = script_table_of_names(lint->tables, lfirst(lc));

		if (lint_is_used(table))
			lint_report(lint, table, psprintf("the release before may still use %s", script_table_name(table)),
						drop->removeType == OBJECT_TABLE
						? psprintf("SELECT tandem.drop_table('m', %s);", lint_table_literal(table))
						: "Drop it once no release before is served.");
	}
}

void
lint_drop_schema(Lint *lint, Node *node)
{
	if (castNode(DropStmt, node)->removeType == OBJECT_SCHEMA)
		lint_report(lint, NULL, "everything in a schema goes with it, whoever uses it",
					"Drop what is in it with tandem.drop_table, then the schema.");
}

/* A table that loses something, though the statement does not name it. */
void
lint_drop_cascade(Lint *lint, Node *node)
{
	ListCell   *lc;

	switch (castNode(DropStmt, node)->removeType)
	{
		case OBJECT_DOMAIN:
		case OBJECT_EXTENSION:
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
		case OBJECT_TYPE:
			break;
		default:
			return;
	}
	foreach(lc, lint->effects)
	{
		ScriptTable *table = ((Effect *) lfirst(lc))->table;

		/* who drops pg_tandem knows its tables */
		if (lint_is_used(table) && get_rel_namespace(table->relid) != extension_schema())
			lint_report(lint, table, psprintf("what of %s depends on it goes along: columns, defaults, constraints, triggers, or all of it",
											  script_table_name(table)),
						"Drop by name what depends on it, columns with tandem.drop_column; then this without CASCADE.");
	}
}

void
lint_drop_owned(Lint *lint, Node *node)
{
	ListCell   *lc;

	foreach(lc, lint->effects)
	{
		ScriptTable *table = ((Effect *) lfirst(lc))->table;

		if (lint_is_used(table))
			lint_report(lint, table, psprintf("%s goes with what the role owns", script_table_name(table)),
						"REASSIGN OWNED BY the role TO another one; then nothing but its rights goes.");
	}
}

void
lint_drop_database(Lint *lint, Node *node)
{
	lint_report(lint, NULL, "the database goes", "Drop a database by hand, not in a migration.");
}

void
lint_truncate_table(Lint *lint, Node *node)
{
	TruncateStmt *statement = castNode(TruncateStmt, node);
	ListCell   *lc;

	foreach(lc, statement->relations)
	{
		ScriptTable *table = script_table(lint->tables, lfirst(lc));

		if (lint_is_used(table))
			lint_report(lint, table,
						statement->behavior == DROP_CASCADE
						? "all rows go, and those of all tables that refer to them, at whatever depth"
						: "all rows go",
						"Delete in batches what is not wanted, by a key.");
	}
}

/*-------------------------------------------------------------------------
 * Indexes and files.
 *-------------------------------------------------------------------------
 */

static char *
statement_text(const Lint *lint)
{
	char	   *text = lint->statement->text +lint->statement->text_from;

	return text +strspn(text, " \t\r\n");
}

void
lint_create_index(Lint *lint, Node *node)
{
	IndexStmt  *create = castNode(IndexStmt, node);
	ScriptTable *table = script_table(lint->tables, create->relation);

	if (lint_is_used(table) && !create->concurrent && effect_of(lint->effects, table)->scans)
		lint_report(lint, table, "nobody writes the table while the index is built",
					psprintf("SELECT tandem.add_index('m', %s); or CREATE INDEX CONCURRENTLY, outside of a transaction",
							 lint_literal(statement_text(lint))));
}

void
lint_index_on_partitions(Lint *lint, Node *node)
{
	IndexStmt  *create = castNode(IndexStmt, node);
	ScriptTable *table = script_table(lint->tables, create->relation);

	if (table && create->concurrent && table->kind == RELKIND_PARTITIONED_TABLE)
		lint_report(lint, table, "the server does not build an index of a partitioned table concurrently",
					psprintf("SELECT tandem.add_index('m', %s);", lint_literal(statement_text(lint))));
}

void
lint_index_many_columns(Lint *lint, Node *node)
{
	IndexStmt  *create = castNode(IndexStmt, node);

	if (!create->unique && list_length(create->indexParams) > 3)
		lint_report(lint, script_table(lint->tables, create->relation),
					psprintf("the index has %d columns", list_length(create->indexParams)),
					"Few queries use more than three columns of an index; each one makes it larger.");
}

void
lint_drop_index(Lint *lint, Node *node)
{
	DropStmt   *drop = castNode(DropStmt, node);
	ListCell   *lc;

	if (drop->removeType != OBJECT_INDEX || drop->concurrent)
		return;
	foreach(lc, drop->objects)
	{
		ScriptTable *index = script_table_of_names(lint->tables, lfirst(lc));

		if (lint_is_used(index))
			lint_report(lint, index, "nobody reads or writes the table of the index until the transaction ends",
						psprintf("SELECT tandem.drop_index('m', %s); or DROP INDEX CONCURRENTLY, outside of a transaction",
								 lint_table_literal(index)));
	}
}

void
lint_reindex(Lint *lint, Node *node)
{
	ReindexStmt *statement = castNode(ReindexStmt, node);
	ScriptTable *table = script_table(lint->tables, statement->relation);

	if (!has_option(statement->params, "concurrently") && (!statement->relation || lint_is_used(table)))
		lint_report(lint, table, "nobody writes the table, or reads by the index, while it is built anew",
					"REINDEX ... CONCURRENTLY, outside of a transaction.");
}

static void
write_anew(Lint *lint, Node *node)
{
	ListCell   *lc;

	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if (effect->rewrites && effect->lock == AccessExclusiveLock && lint_is_used(effect->table))
			lint_report(lint, effect->table, "nobody reads or writes the table while it is written anew",
						"Use pg_repack, from PostgreSQL 19 on REPACK (CONCURRENTLY), or do it when nobody works.");
	}
}

void
lint_move_all(Lint *lint, Node *node)
{
	write_anew(lint, node);
}

void
lint_repack(Lint *lint, Node *node)
{
	bool		clustered;

	if (compat_is_repack(node, &clustered))
		write_anew(lint, node);
}

void
lint_vacuum_full(Lint *lint, Node *node)
{
	if (has_option(castNode(VacuumStmt, node)->options, "full"))
		write_anew(lint, node);
}

/* Has it what REFRESH ... CONCURRENTLY asks for: a unique index of columns, without WHERE? */
static bool
has_key_of_all_rows(const ScriptTable *view)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, view->relid);
	return query_end_found(&query, query_run_latest(&query, "SELECT FROM pg_index WHERE indrelid = $1 AND indisunique AND indisvalid "
													"AND indimmediate AND indpred IS NULL AND indexprs IS NULL"));
}

void
lint_refresh(Lint *lint, Node *node)
{
	RefreshMatViewStmt *statement = castNode(RefreshMatViewStmt, node);
	ScriptTable *view = script_table(lint->tables, statement->relation);

	if (!statement->concurrent && lint_is_used(view))
		lint_report(lint, view, "nobody reads the materialized view while it is computed",
					psprintf("%sREFRESH MATERIALIZED VIEW CONCURRENTLY %s;",
							 has_key_of_all_rows(view) ? "" : "Create a unique index of it, of columns and without WHERE, then ",
							 script_table_name(view)));
}

/*-------------------------------------------------------------------------
 * Rows.
 *-------------------------------------------------------------------------
 */

static void
whole_table(Lint *lint, ScriptTable *table, const char *what, const char *advice)
{
	if (lint_is_used(table))
		lint_report(lint, table, psprintf("all rows are %s in one transaction, which keeps them locked until it ends", what), advice);
}

void
lint_update_all(Lint *lint, Node *node)
{
	if (!castNode(UpdateStmt, node)->whereClause)
		whole_table(lint, script_table(lint->tables, castNode(UpdateStmt, node)->relation), "updated",
					"Give a column its values with tandem.add_column(..., up => '...') or tandem.change_column; change other rows in batches, by a key.");
}

void
lint_delete_all(Lint *lint, Node *node)
{
	if (!castNode(DeleteStmt, node)->whereClause)
		whole_table(lint, script_table(lint->tables, castNode(DeleteStmt, node)->relation), "deleted",
					"Delete in batches, by a key.");
}

/*-------------------------------------------------------------------------
 * Types.
 *-------------------------------------------------------------------------
 */

void
lint_domain_constraint(Lint *lint, Node *node)
{
	ListCell   *lc;

	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if (effect->scans && lint_is_used(effect->table))
			lint_report(lint, effect->table, "all rows of tables with the domain are read while they are locked against writes",
						"Add the constraint NOT VALID, and validate it in a transaction of its own.");
	}
}

void
lint_new_domain(Lint *lint, Node *node)
{
	if (castNode(CreateDomainStmt, node)->constraints)
		lint_report(lint, NULL, "a constraint of a domain is changed for all its tables at once",
					"Give the column a CHECK with tandem.add_constraint instead.");
}

void
lint_enum_order(Lint *lint, Node *node)
{
	AlterEnumStmt *alter = castNode(AlterEnumStmt, node);

	if (!alter->oldVal && !alter->newValNeighbor)
		lint_report(lint, NULL, psprintf("value %s comes behind all others", lint_literal(alter->newVal)),
					"Say BEFORE or AFTER if the order is asked for anywhere.");
}

static bool
names_type(const TypeName *name, Oid type)
{
	int32		typmod;

	return type_of_name(name, &typmod) == type;
}

static bool
is_key(const ColumnDef *column)
{
	return column_constraint(column, CONSTR_PRIMARY) || column_constraint(column, CONSTR_IDENTITY) ||
		column_is_serial(column);
}

/* What a new column should not be. */
static void
look_at_column(Lint *lint, ScriptTable *table, const ColumnDef *column)
{
	const char *name = quote_identifier(column->colname);

	if (!column->typeName)
		return;
	if (column_is_serial(column))
		lint->report(lint, LINT_NOTE, "serial", table, psprintf("column %s is serial", name),
					 "GENERATED BY DEFAULT AS IDENTITY has no rights and no default of its own to look after.");
	if (is_key(column) && (names_type(column->typeName, INT4OID) || names_type(column->typeName, INT2OID) ||
						   (column_is_serial(column) && strncmp(strVal(linitial(column->typeName->names)), "big", 3) != 0 &&
							strcmp(strVal(linitial(column->typeName->names)), "serial8") != 0)))
		lint->report(lint, LINT_WARNING, "small-key", table,
					 psprintf("key %s runs out of numbers at 2147483647 or before", name),
					 "Take bigint now; later it is tandem.change_key.");
	if (names_type(column->typeName, BPCHAROID))
		lint->report(lint, LINT_NOTE, "char-type", table, psprintf("column %s is padded with blanks", name),
					 "Take text, with a CHECK of its length if need be.");
	if (names_type(column->typeName, JSONOID))
		lint->report(lint, LINT_NOTE, "json-type", table,
					 psprintf("column %s has a type without equality: SELECT DISTINCT and UNION fail", name),
					 "Take jsonb.");
	if (names_type(column->typeName, TIMESTAMPOID))
		lint->report(lint, LINT_NOTE, "timestamp-type", table,
					 psprintf("column %s does not say of which time zone its times are", name),
					 "Take timestamptz.");
}

void
lint_new_column_type(Lint *lint, Node *node)
{
	look_at_column(lint, lint->table, castNode(ColumnDef, node));
}

void
lint_new_table_types(Lint *lint, Node *node)
{
	ListCell   *lc;

	foreach(lc, castNode(CreateStmt, node)->tableElts)
	{
		if (IsA(lfirst(lc), ColumnDef))
			look_at_column(lint, NULL, lfirst(lc));
	}
}
