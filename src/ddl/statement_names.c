/*
 * statement_names.c
 *		The tables and columns that a DDL statement of a user names.
 *
 * The server walks the trees of queries and expressions, and of no other statement.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"

#include "core/text.h"
#include "ddl/statement_names.h"

static void
add_relation(StatementNames *names, RangeVar *relation)
{
	if (relation)
		names->relations = lappend(names->relations, relation);
}

static void
add_column(StatementNames *names, char *column)
{
	if (column)
		names->columns = lappend(names->columns, column);
}

static void
add_columns(StatementNames *names, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
		add_column(names, strVal(lfirst(lc)));
}

/* A name as a list of String, which may end in that of what belongs to the table. */
static void
add_qualified(StatementNames *names, List *qualified, int parts_of_table)
{
	List	   *table = list_copy(qualified);

	table = list_truncate(table, list_length(table) - parts_of_table);
	if (table != NIL && list_length(table) <= 3)
		add_relation(names, makeRangeVarFromNameList(table));
}

/* raw_expression_tree_walker */
static bool
add_names_of_query(Node *node, void *context)
{
	StatementNames *names = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
		add_relation(names, (RangeVar *) node);
	else if (IsA(node, ColumnRef))
	{
		Node	   *field = llast(((ColumnRef *) node)->fields);

		if (IsA(field, String))
			add_column(names, strVal(field));
		return false;
	}
	else if (IsA(node, IndexElem))
		add_column(names, ((IndexElem *) node)->name);
	return raw_expression_tree_walker(node, add_names_of_query, context);
}

static void
add_constraint(StatementNames *names, const Constraint *constraint)
{
	add_columns(names, constraint->keys);
	add_columns(names, constraint->including);
	add_columns(names, constraint->fk_attrs);
	(void) add_names_of_query(constraint->raw_expr, names);
	/* operators, too, of EXCLUDE */
	(void) add_names_of_query((Node *) constraint->exclusions, names);
	(void) add_names_of_query(constraint->where_clause, names);
	/* its columns are of that one */
	add_relation(names, constraint->pktable);
}

/* Its own name may be one that a column has now. */
static void
add_new_column(StatementNames *names, const ColumnDef *column)
{
	StatementNames of_column = {NIL, NIL};
	ListCell   *lc;

	foreach(lc, column->constraints)
		add_constraint(&of_column, lfirst_node(Constraint, lc));
	names->relations = list_concat(names->relations, of_column.relations);
	foreach(lc, of_column.columns)
	{
		if (strcmp(lfirst(lc), column->colname) != 0)
			add_column(names, lfirst(lc));
	}
}

/* What the names of commands mean besides columns. */
static bool
command_names_column(AlterTableType command)
{
	switch (command)
	{
		case AT_ColumnDefault:
		case AT_DropNotNull:
		case AT_SetNotNull:
		case AT_DropExpression:
		case AT_SetStatistics:
		case AT_SetOptions:
		case AT_ResetOptions:
		case AT_SetStorage:
		case AT_SetCompression:
		case AT_DropColumn:
		case AT_AlterColumnType:
		case AT_AddIdentity:
		case AT_SetIdentity:
		case AT_DropIdentity:
			return true;
		default:
			return false;
	}
}

static void
add_command(StatementNames *names, const AlterTableCmd *command)
{
	if (command_names_column(command->subtype))
		add_column(names, command->name);
	if (command->def == NULL)
		return;
	if (IsA(command->def, Constraint))
		add_constraint(names, (Constraint *) command->def);
	else if (IsA(command->def, ColumnDef))
		add_new_column(names, (ColumnDef *) command->def);
	else if (IsA(command->def, RangeVar))
		add_relation(names, (RangeVar *) command->def);
	else if (IsA(command->def, PartitionCmd))
		add_relation(names, ((PartitionCmd *) command->def)->name);
}

static void
add_alter_table(StatementNames *names, const AlterTableStmt *statement)
{
	ListCell   *lc;

	if (statement->objtype == OBJECT_TYPE)
		return;
	add_relation(names, statement->relation);
	foreach(lc, statement->cmds)
		add_command(names, lfirst_node(AlterTableCmd, lc));
}

static void
add_index(StatementNames *names, const IndexStmt *statement)
{
	add_relation(names, statement->relation);
	(void) add_names_of_query((Node *) statement->indexParams, names);
	(void) add_names_of_query((Node *) statement->indexIncludingParams, names);
	(void) add_names_of_query(statement->whereClause, names);
}

static void
add_statistics(StatementNames *names, const CreateStatsStmt *statement)
{
	ListCell   *lc;

	(void) add_names_of_query((Node *) statement->relations, names);
	foreach(lc, statement->exprs)
	{
		StatsElem  *element = lfirst(lc);

		add_column(names, element->name);
		(void) add_names_of_query(element->expr, names);
	}
}

static void
add_table(StatementNames *names, const CreateStmt *statement)
{
	ListCell   *lc;
	ListCell   *of_column;

	foreach(lc, statement->inhRelations)
		add_relation(names, lfirst(lc));
	foreach(lc, statement->tableElts)
	{
		Node	   *element = lfirst(lc);

		if (IsA(element, TableLikeClause))
			add_relation(names, ((TableLikeClause *) element)->relation);
		else if (IsA(element, Constraint))
			add_relation(names, ((Constraint *) element)->pktable);
		else if (IsA(element, ColumnDef))
		{
			foreach(of_column, ((ColumnDef *) element)->constraints)
				add_relation(names, lfirst_node(Constraint, of_column)->pktable);
		}
	}
}

/* Of an object of a table, such as a trigger, the last part of its name is its own. */
static int
parts_beside_table(ObjectType type)
{
	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_INDEX:
			return 0;
		case OBJECT_COLUMN:
		case OBJECT_POLICY:
		case OBJECT_RULE:
		case OBJECT_TRIGGER:
		case OBJECT_TABCONSTRAINT:
			return 1;
		default:
			return -1;
	}
}

static void
add_object(StatementNames *names, ObjectType type, Node *object)
{
	int			parts = parts_beside_table(type);

	if (parts < 0 || !IsA(object, List))
		return;
	add_qualified(names, (List *) object, parts);
	if (type == OBJECT_COLUMN)
		add_column(names, strVal(llast((List *) object)));
}

static void
add_dropped(StatementNames *names, const DropStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->objects)
		add_object(names, statement->removeType, lfirst(lc));
}

static void
add_grant(StatementNames *names, const GrantStmt *statement)
{
	ListCell   *lc;
	ListCell   *privilege;

	if (statement->targtype != ACL_TARGET_OBJECT || statement->objtype != OBJECT_TABLE)
		return;
	foreach(lc, statement->objects)
		add_relation(names, lfirst(lc));
	foreach(privilege, statement->privileges)
		add_columns(names, ((AccessPriv *) lfirst(privilege))->cols);
}

static void
add_trigger(StatementNames *names, const CreateTrigStmt *statement)
{
	add_relation(names, statement->relation);
	add_relation(names, statement->constrrel);
	add_columns(names, statement->columns);
	(void) add_names_of_query(statement->whenClause, names);
}

/* OWNED BY of a sequence: a column, or NONE. */
static void
add_owner(StatementNames *names, List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "owned_by") != 0 || list_length((List *) option->arg) < 2)
			continue;
		add_qualified(names, (List *) option->arg, 1);
		add_column(names, strVal(llast((List *) option->arg)));
	}
}

/* Each table has columns of its own. */
static void
add_publication(StatementNames *names, const AlterPublicationStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->pubobjects)
	{
		PublicationTable *table = lfirst_node(PublicationObjSpec, lc)->pubtable;

		if (table == NULL)
			continue;
		add_relation(names, table->relation);
		add_columns(names, table->columns);
		(void) add_names_of_query(table->whereClause, names);
	}
}

static void
add_rename(StatementNames *names, const RenameStmt *statement)
{
	add_relation(names, statement->relation);
	if (statement->renameType == OBJECT_COLUMN || statement->renameType == OBJECT_ATTRIBUTE)
		add_column(names, statement->subname);
}

static void
add_names(StatementNames *names, Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
			add_alter_table(names, (AlterTableStmt *) statement);
			break;
		case T_CreateStmt:
			add_table(names, (CreateStmt *) statement);
			break;
		case T_IndexStmt:
			add_index(names, (IndexStmt *) statement);
			break;
		case T_ViewStmt:
			(void) add_names_of_query(((ViewStmt *) statement)->query, names);
			break;
		case T_CreateTableAsStmt:
			(void) add_names_of_query(((CreateTableAsStmt *) statement)->query, names);
			break;
		case T_RuleStmt:
			add_relation(names, ((RuleStmt *) statement)->relation);
			(void) add_names_of_query(((RuleStmt *) statement)->whereClause, names);
			break;
		case T_CreateSeqStmt:
			add_owner(names, ((CreateSeqStmt *) statement)->options);
			break;
		case T_AlterSeqStmt:
			add_owner(names, ((AlterSeqStmt *) statement)->options);
			break;
		case T_AlterPublicationStmt:
			add_publication(names, (AlterPublicationStmt *) statement);
			break;
		case T_CreateTrigStmt:
			add_trigger(names, (CreateTrigStmt *) statement);
			break;
		case T_CreatePolicyStmt:
			add_relation(names, ((CreatePolicyStmt *) statement)->table);
			(void) add_names_of_query(((CreatePolicyStmt *) statement)->qual, names);
			(void) add_names_of_query(((CreatePolicyStmt *) statement)->with_check, names);
			break;
		case T_AlterPolicyStmt:
			add_relation(names, ((AlterPolicyStmt *) statement)->table);
			(void) add_names_of_query(((AlterPolicyStmt *) statement)->qual, names);
			(void) add_names_of_query(((AlterPolicyStmt *) statement)->with_check, names);
			break;
		case T_CreateStatsStmt:
			add_statistics(names, (CreateStatsStmt *) statement);
			break;
		case T_RenameStmt:
			add_rename(names, (RenameStmt *) statement);
			break;
		case T_DropStmt:
			add_dropped(names, (DropStmt *) statement);
			break;
		case T_CommentStmt:
			add_object(names, ((CommentStmt *) statement)->objtype, ((CommentStmt *) statement)->object);
			break;
		case T_AlterOwnerStmt:
			add_relation(names, ((AlterOwnerStmt *) statement)->relation);
			break;
		case T_AlterObjectSchemaStmt:
			add_relation(names, ((AlterObjectSchemaStmt *) statement)->relation);
			break;
		case T_GrantStmt:
			add_grant(names, (GrantStmt *) statement);
			break;
		default:
			break;
	}
}

StatementNames
statement_names(const char *text)
{
	StatementNames names = {NIL, NIL};
	List	   *parsed = sql_parse(RAW_PARSE_DEFAULT, text, "Give one DDL statement.");

	add_names(&names, linitial_node(RawStmt, parsed)->stmt);
	return names;
}
