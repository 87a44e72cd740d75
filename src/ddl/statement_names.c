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
#include "utils/builtins.h"

#include "core/compat.h"
#include "core/text.h"
#include "ddl/statement_names.h"

/* Returns NULL for NULL. */
static NamedTable *
add_relation(StatementNames *names, RangeVar *relation)
{
	NamedTable *table;

	if (relation == NULL)
		return NULL;
	table = palloc0(sizeof(NamedTable));
	table->name = relation;
	names->tables = lappend(names->tables, table);
	return table;
}

/* One that the server may have named, or that need not be there. */
static NamedTable *
add_relation_of_kind(StatementNames *names, RangeVar *relation, ObjectType type, bool missing_ok)
{
	NamedTable *table = add_relation(names, relation);

	if (table)
		table->optional = missing_ok || type == OBJECT_INDEX || type == OBJECT_SEQUENCE;
	return table;
}

/* table is NULL if nobody can tell whose it is. */
static void
add_column(StatementNames *names, NamedTable *table, char *column)
{
	List	  **columns = table ? &table->columns : &names->columns;

	if (column)
		*columns = lappend(*columns, column);
}

static void
add_columns(StatementNames *names, NamedTable *table, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
		add_column(names, table, strVal(lfirst(lc)));
}

static void
add_made(StatementNames *names, char *name)
{
	if (name)
		names->made = lappend(names->made, name);
}

/* A name as a list of String, which may end in that of what belongs to the table. */
static NamedTable *
add_qualified(StatementNames *names, List *qualified, int parts_of_table)
{
	List	   *table = list_copy(qualified);

	table = list_truncate(table, list_length(table) - parts_of_table);
	if (table == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("column name must be qualified"),
				 errhint("Write the name of its table and a dot before %s.",
						 quote_identifier(strVal(llast(qualified))))));
	return add_relation(names, makeRangeVarFromNameList(table));
}

/* The tree of an expression over a table, or, without one, of a query. */
typedef struct NamedTree
{
	StatementNames *names;
	NamedTable *table;
} NamedTree;

static void
add_reference(NamedTree *tree, const ColumnRef *reference)
{
	Node	   *field = llast(reference->fields);

	if (!IsA(field, String))
		return;

	/*
	 * behind a dot a function can stand; the name of the table is its whole
	 * row
	 */
	if (tree->table == NULL || list_length(reference->fields) > 1)
		add_column(tree->names, NULL, strVal(field));
	else if (strcmp(strVal(field), tree->table->name->relname) != 0)
		add_column(tree->names, tree->table, strVal(field));
}

/* raw_expression_tree_walker */
static bool
add_names_walker(Node *node, void *context)
{
	NamedTree  *tree = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
		(void) add_relation(tree->names, (RangeVar *) node);
	else if (IsA(node, CommonTableExpr))
		tree->names->queries = lappend(tree->names->queries, ((CommonTableExpr *) node)->ctename);
	else if (IsA(node, ColumnRef))
	{
		add_reference(tree, (ColumnRef *) node);
		return false;
	}
	else if (IsA(node, IndexElem))
		add_column(tree->names, tree->table, ((IndexElem *) node)->name);
	return raw_expression_tree_walker(node, add_names_walker, context);
}

static void
add_names_of_tree(StatementNames *names, NamedTable *table, void *node)
{
	NamedTree	tree = {names, table};

	(void) add_names_walker(node, &tree);
}

static void
add_constraint(StatementNames *names, NamedTable *table, const Constraint *constraint)
{
	add_columns(names, table, constraint->keys);
	add_columns(names, table, constraint->including);
	add_columns(names, table, constraint->fk_attrs);
	add_columns(names, table, constraint->fk_del_set_cols);
	add_names_of_tree(names, table, constraint->raw_expr);
	/* operators, too, of EXCLUDE */
	add_names_of_tree(names, table, constraint->exclusions);
	add_names_of_tree(names, table, constraint->where_clause);
	add_columns(names, add_relation(names, constraint->pktable), constraint->pk_attrs);
	add_made(names, constraint->conname);
}

/* Its own name may be one that a column has now. */
static void
add_new_column(StatementNames *names, NamedTable *table, const ColumnDef *column)
{
	List	   *before = list_copy(table->columns);
	ListCell   *lc;

	table->columns = NIL;
	foreach(lc, column->constraints)
		add_constraint(names, table, lfirst_node(Constraint, lc));
	foreach(lc, table->columns)
	{
		if (strcmp(lfirst(lc), column->colname) == 0)
			table->columns = foreach_delete_current(table->columns, lc);
	}
	table->columns = list_concat(before, table->columns);
	add_made(names, column->colname);
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
			return compat_sets_expression(command);
	}
}

static void
add_command(StatementNames *names, NamedTable *table, const AlterTableCmd *command)
{
	if (command_names_column(command->subtype))
		add_column(names, command->missing_ok ? NULL : table, command->name);
	if (command->def == NULL)
		return;
	if (command->subtype == AT_AlterColumnType)
		add_names_of_tree(names, table, castNode(ColumnDef, command->def)->raw_default);
	else if (compat_sets_expression(command->subtype))
		add_names_of_tree(names, table, command->def);
	else if (IsA(command->def, Constraint))
		add_constraint(names, table, (Constraint *) command->def);
	else if (IsA(command->def, ColumnDef))
		add_new_column(names, table, (ColumnDef *) command->def);
	else if (IsA(command->def, RangeVar))
		(void) add_relation(names, (RangeVar *) command->def);
	else if (IsA(command->def, PartitionCmd))
		(void) add_relation(names, ((PartitionCmd *) command->def)->name);
}

static void
add_alter_table(StatementNames *names, const AlterTableStmt *statement)
{
	NamedTable *table;
	ListCell   *lc;

	if (statement->objtype == OBJECT_TYPE)
		return;
	table = add_relation_of_kind(names, statement->relation, statement->objtype,
								 statement->missing_ok);
	foreach(lc, statement->cmds)
		add_command(names, table, lfirst_node(AlterTableCmd, lc));
}

static void
add_index(StatementNames *names, const IndexStmt *statement)
{
	NamedTable *table = add_relation(names, statement->relation);

	add_names_of_tree(names, table, statement->indexParams);
	add_names_of_tree(names, table, statement->indexIncludingParams);
	add_names_of_tree(names, table, statement->whereClause);
	add_made(names, statement->idxname);
}

static void
add_statistics(StatementNames *names, const CreateStatsStmt *statement)
{
	NamedTable *table = NULL;
	ListCell   *lc;

	/* the server takes one table alone */
	if (list_length(statement->relations) == 1 && IsA(linitial(statement->relations), RangeVar))
		table = add_relation(names, linitial(statement->relations));
	else
		add_names_of_tree(names, NULL, statement->relations);
	foreach(lc, statement->exprs)
	{
		StatsElem  *element = lfirst(lc);

		add_column(names, table, element->name);
		add_names_of_tree(names, table, element->expr);
	}
}

/* Its own columns are none of a table that is there. */
static void
add_table(StatementNames *names, const CreateStmt *statement)
{
	NamedTable	made = {.name = statement->relation};
	ListCell   *lc;

	add_made(names, statement->relation->relname);
	foreach(lc, statement->inhRelations)
		(void) add_relation(names, lfirst(lc));
	foreach(lc, statement->tableElts)
	{
		Node	   *element = lfirst(lc);

		if (IsA(element, TableLikeClause))
			(void) add_relation(names, ((TableLikeClause *) element)->relation);
		else if (IsA(element, Constraint))
			add_constraint(names, &made, (Constraint *) element);
		else if (IsA(element, ColumnDef))
			add_new_column(names, &made, (ColumnDef *) element);
	}
	names->columns = NIL;
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
		case OBJECT_FOREIGN_TABLE:
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
add_object(StatementNames *names, ObjectType type, Node *object, bool missing_ok)
{
	int			parts = parts_beside_table(type);
	NamedTable *table;

	if (parts < 0 || !IsA(object, List))
		return;
	table = add_qualified(names, (List *) object, parts);
	table->optional = missing_ok || type == OBJECT_INDEX;
	if (type == OBJECT_COLUMN)
		add_column(names, table, strVal(llast((List *) object)));
}

static void
add_dropped(StatementNames *names, const DropStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->objects)
		add_object(names, statement->removeType, lfirst(lc), statement->missing_ok);
}

static void
add_grant(StatementNames *names, const GrantStmt *statement)
{
	NamedTable *table = NULL;
	ListCell   *lc;

	if (statement->targtype != ACL_TARGET_OBJECT || statement->objtype != OBJECT_TABLE)
		return;
	foreach(lc, statement->objects)
		table = add_relation(names, lfirst(lc));
	if (list_length(statement->objects) > 1)
		table = NULL;
	foreach(lc, statement->privileges)
		add_columns(names, table, ((AccessPriv *) lfirst(lc))->cols);
}

static void
add_trigger(StatementNames *names, const CreateTrigStmt *statement)
{
	NamedTable *table = add_relation(names, statement->relation);

	(void) add_relation(names, statement->constrrel);
	add_columns(names, table, statement->columns);
	add_names_of_tree(names, NULL, statement->whenClause);
}

/* OWNED BY of a sequence: a column, or NONE. */
static void
add_owner(StatementNames *names, List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		List	   *owner = (List *) option->arg;

		if (strcmp(option->defname, "owned_by") != 0 ||
			(list_length(owner) == 1 && strcmp(strVal(linitial(owner)), "none") == 0))
			continue;
		add_column(names, add_qualified(names, owner, 1), strVal(llast(owner)));
	}
}

static void
add_publication(StatementNames *names, const AlterPublicationStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->pubobjects)
	{
		PublicationTable *published = lfirst_node(PublicationObjSpec, lc)->pubtable;
		NamedTable *table;

		if (published == NULL)
			continue;
		table = add_relation(names, published->relation);
		add_columns(names, table, published->columns);
		add_names_of_tree(names, table, published->whereClause);
	}
}

static void
add_rename(StatementNames *names, const RenameStmt *statement)
{
	NamedTable *table = add_relation_of_kind(names, statement->relation, statement->renameType,
											 statement->missing_ok);

	if (statement->renameType == OBJECT_COLUMN || statement->renameType == OBJECT_ATTRIBUTE)
		add_column(names, table, statement->subname);
	add_made(names, statement->newname);
}

static void
add_view(StatementNames *names, const ViewStmt *statement)
{
	add_made(names, statement->view->relname);
	add_names_of_tree(names, NULL, statement->query);
}

static void
add_stored_view(StatementNames *names, const CreateTableAsStmt *statement)
{
	add_made(names, statement->into->rel->relname);
	add_names_of_tree(names, NULL, statement->query);
}

static void
add_rule(StatementNames *names, const RuleStmt *statement)
{
	(void) add_relation(names, statement->relation);
	add_names_of_tree(names, NULL, statement->whereClause);
}

static void
add_made_policy(StatementNames *names, const CreatePolicyStmt *statement)
{
	(void) add_relation(names, statement->table);
	add_names_of_tree(names, NULL, list_make2(statement->qual, statement->with_check));
}

static void
add_policy(StatementNames *names, const AlterPolicyStmt *statement)
{
	(void) add_relation(names, statement->table);
	add_names_of_tree(names, NULL, list_make2(statement->qual, statement->with_check));
}

static void
add_sequence(StatementNames *names, const CreateSeqStmt *statement)
{
	add_made(names, statement->sequence->relname);
	add_owner(names, statement->options);
}

#define CASE_STATEMENT(type, add) \
	case T_##type: add(names, (type *) statement); break

static void
add_names(StatementNames *names, Node *statement)
{
	switch (nodeTag(statement))
	{
			CASE_STATEMENT(AlterTableStmt, add_alter_table);
			CASE_STATEMENT(CreateStmt, add_table);
			CASE_STATEMENT(IndexStmt, add_index);
			CASE_STATEMENT(CreateStatsStmt, add_statistics);
			CASE_STATEMENT(CreateTrigStmt, add_trigger);
			CASE_STATEMENT(RuleStmt, add_rule);
			CASE_STATEMENT(CreatePolicyStmt, add_made_policy);
			CASE_STATEMENT(AlterPolicyStmt, add_policy);
		case T_CompositeTypeStmt:
			add_made(names, ((CompositeTypeStmt *) statement)->typevar->relname);
			break;
			CASE_STATEMENT(ViewStmt, add_view);
			CASE_STATEMENT(CreateTableAsStmt, add_stored_view);
			CASE_STATEMENT(CreateSeqStmt, add_sequence);
		case T_AlterSeqStmt:
			add_owner(names, ((AlterSeqStmt *) statement)->options);
			break;
			CASE_STATEMENT(AlterPublicationStmt, add_publication);
			CASE_STATEMENT(GrantStmt, add_grant);
			CASE_STATEMENT(RenameStmt, add_rename);
			CASE_STATEMENT(DropStmt, add_dropped);
		case T_CommentStmt:
			add_object(names, ((CommentStmt *) statement)->objtype,
					   ((CommentStmt *) statement)->object, false);
			break;
		case T_AlterObjectDependsStmt:
			(void) add_relation_of_kind(names, ((AlterObjectDependsStmt *) statement)->relation,
										((AlterObjectDependsStmt *) statement)->objectType, false);
			break;
		case T_AlterObjectSchemaStmt:
			(void) add_relation_of_kind(names, ((AlterObjectSchemaStmt *) statement)->relation,
										((AlterObjectSchemaStmt *) statement)->objectType,
										((AlterObjectSchemaStmt *) statement)->missing_ok);
			break;
		default:
			break;
	}
}

static bool
is_of_query(const RangeVar *name, List *queries)
{
	return name->schemaname == NULL && text_is_among(name->relname, queries);
}

StatementNames
statement_names(const char *text)
{
	StatementNames names = {.tables = NIL};
	List	   *parsed = sql_parse(RAW_PARSE_DEFAULT, text, "Give one DDL statement.");
	ListCell   *lc;

	add_names(&names, linitial_node(RawStmt, parsed)->stmt);
	foreach(lc, names.tables)
	{
		if (is_of_query(((NamedTable *) lfirst(lc))->name, names.queries))
			names.tables = foreach_delete_current(names.tables, lc);
	}
	return names;
}

List *
statement_columns(const char *text)
{
	StatementNames names = statement_names(text);
	List	   *columns = names.columns;
	ListCell   *lc;

	foreach(lc, names.tables)
		columns = list_concat(columns, ((NamedTable *) lfirst(lc))->columns);
	return columns;
}
