/*
 * script_change.c
 *		Notes what a statement of a script does, for the statements behind it.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "core/compat.h"
#include "lint/effect.h"
#include "lint/script_change.h"

/*-------------------------------------------------------------------------
 * Columns and constraints.
 *-------------------------------------------------------------------------
 */

/* The column that a CHECK, as parsed, demands not to be null, or NULL. */
static char *
proven_not_null(Node *check)
{
	ListCell   *lc;

	check_stack_depth();
	if (IsA(check, NullTest) && ((NullTest *) check)->nulltesttype == IS_NOT_NULL &&
		IsA(((NullTest *) check)->arg, ColumnRef))
	{
		Node	   *last = llast(((ColumnRef *) ((NullTest *) check)->arg)->fields);

		return IsA(last, String) ? strVal(last) : NULL;
	}
	if (IsA(check, BoolExpr) && ((BoolExpr *) check)->boolop == AND_EXPR)
	{
		foreach(lc, ((BoolExpr *) check)->args)
		{
			char	   *column = proven_not_null(lfirst(lc));

			if (column)
				return column;
		}
	}
	return NULL;
}

static void
set_not_null(ScriptTable *table, const char *name, bool not_null)
{
	ScriptColumn *column = script_column(table, name);

	if (column)
		column->not_null = not_null;
}

static void
note_constraint(ScriptTables *tables, ScriptTable *table, const Constraint *constraint)
{
	ScriptConstraint *made = script_constraint_make(table, constraint->conname,
													!constraint->skip_validation &&
													!compat_is_unenforced(constraint));
	ListCell   *lc;

	if (constraint->contype == CONSTR_CHECK)
		made->proves_not_null = proven_not_null(constraint->raw_expr);
	else if (constraint->contype == CONSTR_NOTNULL && constraint->keys)
		made->proves_not_null = strVal(linitial(constraint->keys));
	else if (constraint->contype == CONSTR_FOREIGN)
	{
		made->foreign_key = true;
		made->referenced = script_table(tables, constraint->pktable);
	}
	if (constraint->contype == CONSTR_PRIMARY)
		foreach(lc, constraint->keys)
			set_not_null(table, strVal(lfirst(lc)), true);
	if (constraint->contype == CONSTR_NOTNULL && constraint->keys)
		set_not_null(table, made->proves_not_null, true);
	if (constraint->indexname)
	{
		/* the index has the name of the constraint now */
		ScriptTable *index = script_table(tables, makeRangeVar(table->schema, constraint->indexname, -1));

		if (index && constraint->conname)
			script_table_rename(tables, index, table->schema, constraint->conname);
	}
}

static void
note_column(ScriptTables *tables, ScriptTable *table, const ColumnDef *definition)
{
	ScriptColumn *column;
	ListCell   *lc;

	if (script_column(table, definition->colname))
		return;
	column = script_column_make(table, definition->colname);
	column->type = type_of_name(definition->typeName, &column->typmod);
	column->not_null = column_constraint(definition, CONSTR_NOTNULL) || column_constraint(definition, CONSTR_PRIMARY) ||
		column_is_serial(definition) || column_constraint(definition, CONSTR_IDENTITY);
	column->generated = column_constraint(definition, CONSTR_GENERATED) &&
		!compat_is_virtual(column_constraint(definition, CONSTR_GENERATED));
	column->collation = OidIsValid(column->type) ? get_typcollation(column->type) : InvalidOid;
	foreach(lc, definition->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		if (constraint->contype == CONSTR_CHECK || constraint->contype == CONSTR_FOREIGN)
			note_constraint(tables, table, constraint);
	}
}

static void
change_command(ScriptTables *tables, ScriptTable *table, AlterTableCmd *command)
{
	ScriptColumn *column;
	ScriptConstraint *constraint;

	switch (command->subtype)
	{
		case AT_AddColumn:
			note_column(tables, table, castNode(ColumnDef, command->def));
			break;
		case AT_DropColumn:
			column = script_column(table, command->name);
			if (column)
				column->dropped = true;
			break;
		case AT_AlterColumnType:
			column = script_column(table, command->name);
			if (!column)
				break;
			column->typmod = -1;
			column->type = type_of_name(castNode(ColumnDef, command->def)->typeName, &column->typmod);
			break;
		case AT_SetNotNull:
			set_not_null(table, command->name, true);
			break;
		case AT_DropNotNull:
			set_not_null(table, command->name, false);
			break;
		case AT_AddConstraint:
			note_constraint(tables, table, castNode(Constraint, command->def));
			break;
		case AT_ValidateConstraint:
			constraint = script_constraint(tables, table, command->name);
			if (constraint)
				constraint->valid = true;
			break;
		case AT_DropConstraint:
			constraint = script_constraint(tables, table, command->name);
			if (constraint)
				constraint->dropped = true;
			break;
		default:
			break;
	}
}

/*-------------------------------------------------------------------------
 * Tables.
 *-------------------------------------------------------------------------
 */

static void
make_table(ScriptTables *tables, const CreateStmt *create)
{
	ScriptTable *table;
	ListCell   *lc;

	if (create->if_not_exists && script_table(tables, create->relation))
		return;
	table = script_table_make(tables, create->relation,
							  create->partspec ? RELKIND_PARTITIONED_TABLE : RELKIND_RELATION);
	foreach(lc, create->tableElts)
	{
		if (IsA(lfirst(lc), ColumnDef))
			note_column(tables, table, lfirst(lc));
		else if (IsA(lfirst(lc), Constraint))
			note_constraint(tables, table, lfirst(lc));
	}
}

static void
make_relation(ScriptTables *tables, const RangeVar *name, char kind, bool replaces)
{
	if (!replaces || !script_table(tables, name))
		script_table_make(tables, name, kind);
}

static void
make_index(ScriptTables *tables, const IndexStmt *create)
{
	ScriptTable *table = script_table(tables, create->relation);

	/* which name the server chooses is not known */
	if (table && create->idxname)
		make_relation(tables, makeRangeVar(table->schema, create->idxname, -1), RELKIND_INDEX,
					  create->if_not_exists);
}

static void
rename_object(ScriptTables *tables, const RenameStmt *rename)
{
	ScriptTable *table = script_table(tables, rename->relation);
	ScriptColumn *column;
	ScriptConstraint *constraint;
	ScriptColumn *renamed;

	if (!table)
		return;
	switch (rename->renameType)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_INDEX:
		case OBJECT_SEQUENCE:
		case OBJECT_FOREIGN_TABLE:
			script_table_rename(tables, table, table->schema, rename->newname);
			break;
		case OBJECT_COLUMN:
			column = script_column(table, rename->subname);
			if (!column)
				break;
			renamed = script_column_make(table, rename->newname);
			renamed->not_null = column->not_null;
			renamed->generated = column->generated;
			renamed->type = column->type;
			renamed->typmod = column->typmod;
			renamed->collation = column->collation;
			column->dropped = true;
			break;
		case OBJECT_TABCONSTRAINT:
			constraint = script_constraint(tables, table, rename->subname);
			if (constraint)
			{
				ScriptConstraint *made = script_constraint_make(table, rename->newname, constraint->valid);

				made->foreign_key = constraint->foreign_key;
				made->proves_not_null = constraint->proves_not_null;
				made->referenced = constraint->referenced;
				constraint->dropped = true;
			}
			break;
		default:
			break;
	}
}

static void
drop_relations(ScriptTables *tables, const DropStmt *drop)
{
	ListCell   *lc;

	if (drop->removeType != OBJECT_TABLE && drop->removeType != OBJECT_VIEW && drop->removeType != OBJECT_MATVIEW &&
		drop->removeType != OBJECT_SEQUENCE && drop->removeType != OBJECT_INDEX &&
		drop->removeType != OBJECT_FOREIGN_TABLE)
		return;
	foreach(lc, drop->objects)
	{
		ScriptTable *table = script_table_of_names(tables, lfirst(lc));

		if (table)
			table->dropped = true;
	}
}

static void
set_path(ScriptTables *tables, const VariableSetStmt *set)
{
	List	   *schemas = NIL;
	ListCell   *lc;

	if (set->kind == VAR_RESET_ALL ||
		((set->kind == VAR_RESET || set->kind == VAR_SET_DEFAULT) && strcmp(set->name, "search_path") == 0))
	{
		char	   *path = pstrdup(GetConfigOptionResetString("search_path"));

		if (SplitIdentifierString(path, ',', &schemas))
			script_tables_set_path(tables, schemas);
		return;
	}
	if (set->kind != VAR_SET_VALUE || strcmp(set->name, "search_path") != 0)
		return;
	foreach(lc, set->args)
	{
		A_Const    *value = (A_Const *) lfirst(lc);

		if (IsA(value, A_Const) && IsA(&value->val, String))
			schemas = lappend(schemas, strVal(&value->val));
	}
	script_tables_set_path(tables, schemas);
}

void
script_change(ScriptTables *tables, Node *statement)
{
	ScriptTable *table;
	ListCell   *lc;

	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
			table = script_table(tables, ((AlterTableStmt *) statement)->relation);
			if (table)
				foreach(lc, ((AlterTableStmt *) statement)->cmds)
					change_command(tables, table, lfirst_node(AlterTableCmd, lc));
			break;
		case T_CreateStmt:
			make_table(tables, (CreateStmt *) statement);
			break;
		case T_CreateTableAsStmt:
			make_relation(tables, ((CreateTableAsStmt *) statement)->into->rel,
						  ((CreateTableAsStmt *) statement)->objtype == OBJECT_MATVIEW ? RELKIND_MATVIEW : RELKIND_RELATION,
						  ((CreateTableAsStmt *) statement)->if_not_exists);
			break;
		case T_SelectStmt:
			if (((SelectStmt *) statement)->intoClause)
				make_relation(tables, ((SelectStmt *) statement)->intoClause->rel, RELKIND_RELATION, false);
			break;
		case T_ViewStmt:
			make_relation(tables, ((ViewStmt *) statement)->view, RELKIND_VIEW, ((ViewStmt *) statement)->replace);
			break;
		case T_CreateSeqStmt:
			make_relation(tables, ((CreateSeqStmt *) statement)->sequence, RELKIND_SEQUENCE,
						  ((CreateSeqStmt *) statement)->if_not_exists);
			break;
		case T_IndexStmt:
			make_index(tables, (IndexStmt *) statement);
			break;
		case T_RenameStmt:
			rename_object(tables, (RenameStmt *) statement);
			break;
		case T_AlterObjectSchemaStmt:
			table = ((AlterObjectSchemaStmt *) statement)->relation
				? script_table(tables, ((AlterObjectSchemaStmt *) statement)->relation) : NULL;
			if (table)
				script_table_rename(tables, table, ((AlterObjectSchemaStmt *) statement)->newschema, table->name);
			break;
		case T_DropStmt:
			drop_relations(tables, (DropStmt *) statement);
			break;
		case T_VariableSetStmt:
			set_path(tables, (VariableSetStmt *) statement);
			break;
		default:
			break;
	}
}
