/*
 * named_objects.c
 *		Which objects a DDL statement is about.
 */
#include "postgres.h"

#include "nodes/parsenodes.h"

#include "core/text.h"
#include "ddl/named_objects.h"

typedef struct NamedObject
{
	const char *name;
	List	   *tables;			/* see statement_is_about */
} NamedObject;

static bool
is_last(const List *qualified, const char *name)
{
	return qualified != NIL && strcmp(strVal(llast(qualified)), name) == 0;
}

static bool
is_relation(const RangeVar *relation, const char *name)
{
	return relation && strcmp(relation->relname, name) == 0;
}

/* An object as DROP, RENAME and the like have it. */
static bool
is_object(Node *object, const char *name)
{
	if (object == NULL)
		return false;
	switch (nodeTag(object))
	{
		case T_String:
			return strcmp(strVal(object), name) == 0;
		case T_List:
			return is_last((List *) object, name);
		case T_ObjectWithArgs:
			return is_last(((ObjectWithArgs *) object)->objname, name);
		case T_TypeName:
			return is_last(((TypeName *) object)->names, name);
		default:
			return false;
	}
}

static bool
is_string(const char *value, const char *name)
{
	return value && strcmp(value, name) == 0;
}

static bool
is_of_table(const char *table, const NamedObject *object)
{
	return object->tables == NIL || text_is_among(table, object->tables);
}

/* One that belongs to a table. */
static bool
is_part(const char *name, const RangeVar *table, const NamedObject *object)
{
	return is_string(name, object->name) && is_of_table(table->relname, object);
}

static bool
command_is_about(const AlterTableCmd *command, const char *name)
{
	/* a mark of the table */
	if (command->subtype == AT_ClusterOn)
		return false;
	return is_string(command->name, name) ||
		(command->def && IsA(command->def, Constraint) &&
		 is_string(((Constraint *) command->def)->conname, name));
}

static bool
alter_is_about(const AlterTableStmt *alter, const NamedObject *object)
{
	ListCell   *lc;

	foreach(lc, is_of_table(alter->relation->relname, object) ? alter->cmds : NIL)
	{
		if (command_is_about(lfirst_node(AlterTableCmd, lc), object->name))
			return true;
	}
	return is_relation(alter->relation, object->name);
}

/* The name of what belongs to a table stands behind that of the table. */
static bool
dropped_is(Node *dropped, ObjectType type, const NamedObject *object)
{
	const List *name = (const List *) dropped;

	if (!is_object(dropped, object->name))
		return false;
	if (type != OBJECT_POLICY && type != OBJECT_RULE && type != OBJECT_TRIGGER)
		return true;
	return is_of_table(strVal(list_nth(name, list_length(name) - 2)), object);
}

static bool
drop_is_about(const DropStmt *drop, const NamedObject *object)
{
	ListCell   *lc;

	foreach(lc, drop->objects)
	{
		if (dropped_is(lfirst(lc), drop->removeType, object))
			return true;
	}
	return false;
}

static bool
rename_is_about(const RenameStmt *rename, const NamedObject *object)
{
	if (rename->subname)
		return rename->relation ? is_part(rename->subname, rename->relation, object)
			: is_string(rename->subname, object->name);
	return is_relation(rename->relation, object->name) ||
		is_object(rename->object, object->name);
}

/* The statements whose trees have a name in one field, and the table in another. */
#define CASE_PART(type, name_field, table_field) \
	case T_##type: return is_part(((type *) node)->name_field, ((type *) node)->table_field, object)
#define CASE_STRING(type, field) \
	case T_##type: return is_string(((type *) node)->field, object->name)
#define CASE_LIST(type, field) \
	case T_##type: return is_last(((type *) node)->field, object->name)
#define CASE_RELATION(type, field) \
	case T_##type: return is_relation(((type *) node)->field, object->name)

static bool
node_is_about(Node *node, const NamedObject *object)
{
	switch (nodeTag(node))
	{
			CASE_PART(RuleStmt, rulename, relation);
			CASE_PART(CreateTrigStmt, trigname, relation);
			CASE_PART(CreatePolicyStmt, policy_name, table);
			CASE_PART(AlterPolicyStmt, policy_name, table);
			CASE_STRING(IndexStmt, idxname);
			CASE_STRING(AlterPublicationStmt, pubname);
			CASE_LIST(CreateStatsStmt, defnames);
			CASE_LIST(AlterStatsStmt, defnames);
			CASE_LIST(CreateFunctionStmt, funcname);
			CASE_LIST(AlterFunctionStmt, func->objname);
			CASE_RELATION(CreateStmt, relation);
			CASE_RELATION(ViewStmt, view);
			CASE_RELATION(CreateTableAsStmt, into->rel);
		case T_AlterTableStmt:
			return alter_is_about((AlterTableStmt *) node, object);
		case T_DropStmt:
			return drop_is_about((DropStmt *) node, object);
		case T_RenameStmt:
			return rename_is_about((RenameStmt *) node, object);
		case T_AlterObjectSchemaStmt:
			return is_relation(((AlterObjectSchemaStmt *) node)->relation, object->name) ||
				is_object(((AlterObjectSchemaStmt *) node)->object, object->name);
		default:
			return false;
	}
}

/* Returns its tree, NULL if it is not one statement. */
static Node *
parse_statement(const char *statement)
{
	List	   *parsed = sql_parse(RAW_PARSE_DEFAULT, statement, NULL);

	return list_length(parsed) == 1 ? linitial_node(RawStmt, parsed)->stmt : NULL;
}

bool
statement_is_about(const char *statement, const char *name, List *tables)
{
	NamedObject object = {name, tables};
	Node	   *node = parse_statement(statement);

	return node && node_is_about(node, &object);
}

bool
statement_drops(const char *statement, const char *name, List *tables)
{
	NamedObject object = {name, tables};
	Node	   *node = parse_statement(statement);

	return node && IsA(node, DropStmt) && drop_is_about((DropStmt *) node, &object);
}
