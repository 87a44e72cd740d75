/*
 * named_objects.c
 *		Which objects a DDL statement is about.
 */
#include "postgres.h"

#include "nodes/parsenodes.h"

#include "core/text.h"
#include "ddl/named_objects.h"

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
alter_is_about(const AlterTableStmt *alter, const char *name)
{
	ListCell   *lc;

	foreach(lc, alter->cmds)
	{
		if (command_is_about(lfirst_node(AlterTableCmd, lc), name))
			return true;
	}
	return is_relation(alter->relation, name);
}

static bool
drop_is_about(const DropStmt *drop, const char *name)
{
	ListCell   *lc;

	foreach(lc, drop->objects)
	{
		if (is_object(lfirst(lc), name))
			return true;
	}
	return false;
}

static bool
rename_is_about(const RenameStmt *rename, const char *name)
{
	if (rename->subname)
		return is_string(rename->subname, name);
	return is_relation(rename->relation, name) || is_object(rename->object, name);
}

/* How a statement has the name of the one object that it is about. */
typedef enum Naming
{
	BY_RELATION,				/* RangeVar * */
	BY_OBJECT,					/* Node *, see is_object */
	BY_STRING					/* char * */
} Naming;

static const struct
{
	NodeTag		tag;
	size_t		offset;
	Naming		naming;
}			named[] = {
	{T_CreateStmt, offsetof(CreateStmt, relation), BY_RELATION},
	{T_ViewStmt, offsetof(ViewStmt, view), BY_RELATION},
	{T_AlterObjectSchemaStmt, offsetof(AlterObjectSchemaStmt, relation), BY_RELATION},
	{T_AlterObjectSchemaStmt, offsetof(AlterObjectSchemaStmt, object), BY_OBJECT},
	{T_CreateStatsStmt, offsetof(CreateStatsStmt, defnames), BY_OBJECT},
	{T_AlterStatsStmt, offsetof(AlterStatsStmt, defnames), BY_OBJECT},
	{T_CreateFunctionStmt, offsetof(CreateFunctionStmt, funcname), BY_OBJECT},
	{T_AlterFunctionStmt, offsetof(AlterFunctionStmt, func), BY_OBJECT},
	{T_IndexStmt, offsetof(IndexStmt, idxname), BY_STRING},
	{T_RuleStmt, offsetof(RuleStmt, rulename), BY_STRING},
	{T_CreateTrigStmt, offsetof(CreateTrigStmt, trigname), BY_STRING},
	{T_CreatePolicyStmt, offsetof(CreatePolicyStmt, policy_name), BY_STRING},
	{T_AlterPolicyStmt, offsetof(AlterPolicyStmt, policy_name), BY_STRING},
	{T_AlterPublicationStmt, offsetof(AlterPublicationStmt, pubname), BY_STRING},
};

static bool
field_is(void *field, Naming naming, const char *name)
{
	switch (naming)
	{
		case BY_RELATION:
			return is_relation(field, name);
		case BY_OBJECT:
			return is_object(field, name);
		case BY_STRING:
			return is_string(field, name);
	}
	return false;
}

static bool
node_is_about(Node *node, const char *name)
{
	if (IsA(node, AlterTableStmt))
		return alter_is_about((AlterTableStmt *) node, name);
	if (IsA(node, DropStmt))
		return drop_is_about((DropStmt *) node, name);
	if (IsA(node, RenameStmt))
		return rename_is_about((RenameStmt *) node, name);
	if (IsA(node, CreateTableAsStmt))
		return is_relation(((CreateTableAsStmt *) node)->into->rel, name);
	for (int i = 0; i < (int) lengthof(named); i++)
	{
		if (nodeTag(node) == named[i].tag &&
			field_is(*(void **) ((char *) node + named[i].offset), named[i].naming, name))
			return true;
	}
	return false;
}

bool
statement_is_about(const char *statement, const char *name)
{
	List	   *parsed = sql_parse(RAW_PARSE_DEFAULT, statement, NULL);

	return list_length(parsed) == 1 &&
		node_is_about(linitial_node(RawStmt, parsed)->stmt, name);
}
