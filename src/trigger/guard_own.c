/*
 * guard_own.c
 *		DDL on the extension's own schema that would make it unusable, or would
 *		put something into it.
 *
 * The triggers of synced tables, the fence and the extension's functions find
 * objects of schema tandem by name, and trust the schema because it is a
 * member of the extension.  The server still lets its owner rename it, and
 * from then on every write to a synced table would fail.  This is refused even
 * if no migration is open, since nothing would work afterwards.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"

#include "core/extension.h"
#include "core/query.h"
#include "trigger/guard_own.h"

static bool
is_own_name(const char *name)
{
	return name && strcmp(name, EXTENSION_SCHEMA) == 0;
}

/*
 * Objects other than relations are named by a list of names, or with
 * arguments.
 */
static bool
is_in_own_schema(RangeVar *relation, Node *object)
{
	List	   *names = NIL;

	if (relation)
		return is_own_name(relation->schemaname);
	if (object && IsA(object, ObjectWithArgs))
		names = ((ObjectWithArgs *) object)->objname;
	else if (object && IsA(object, List))
		names = (List *) object;
	return list_length(names) > 1 && IsA(linitial(names), String) &&
		is_own_name(strVal(linitial(names)));
}

static bool
is_of_extension(Oid schema)
{
	Oid			extension = get_extension_oid(EXTENSION_NAME, true);

	return OidIsValid(schema) && OidIsValid(extension) &&
		getExtensionOfObject(NamespaceRelationId, schema) == extension;
}

/* The command has been executed: a renamed schema has its new name. */
static bool
breaks_extension(Node *statement)
{
	if (IsA(statement, RenameStmt))
	{
		RenameStmt *rename = (RenameStmt *) statement;

		if (rename->renameType == OBJECT_SCHEMA)
			return is_own_name(rename->subname) &&
				is_of_extension(get_namespace_oid(rename->newname, true));
		return is_in_own_schema(rename->relation, rename->object) &&
			OidIsValid(extension_schema());
	}
	if (IsA(statement, AlterObjectSchemaStmt))
	{
		AlterObjectSchemaStmt *move = (AlterObjectSchemaStmt *) statement;

		return is_in_own_schema(move->relation, move->object) &&
			OidIsValid(extension_schema());
	}
	if (IsA(statement, AlterExtensionContentsStmt))
	{
		AlterExtensionContentsStmt *contents = (AlterExtensionContentsStmt *) statement;

		return contents->action < 0 &&
			strcmp(contents->extname, EXTENSION_NAME) == 0 &&
			(contents->objtype == OBJECT_SCHEMA ||
			 is_in_own_schema(NULL, contents->object));
	}
	return false;
}

/* It would go with the extension, rows and all. */
static void
refuse_in_schema(const char *what, const char *remedy)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("schema %s is extension %s's own", EXTENSION_SCHEMA,
					EXTENSION_NAME),
			 errdetail("What is %s it is dropped with the extension.", what),
			 errhint("%s", remedy)));
}

static void
refuse_move_into_schema(Node *statement)
{
	if (IsA(statement, AlterObjectSchemaStmt) &&
		is_own_name(((AlterObjectSchemaStmt *) statement)->newschema) &&
		OidIsValid(extension_schema()))
		refuse_in_schema("moved into", "SET SCHEMA to another one.");
}

static bool
command_creates(CommandTag tag)
{
	return tag == CMDTAG_SELECT_INTO || tag == CMDTAG_IMPORT_FOREIGN_SCHEMA ||
		strncmp(GetCommandTagName(tag), "CREATE ", strlen("CREATE ")) == 0;
}

/* Hardly anybody may, so that others pay for no query. */
static bool
user_may_create_in(Oid schema)
{
	return DatumGetBool(DirectFunctionCall2(has_schema_privilege_id,
											ObjectIdGetDatum(schema),
											CStringGetTextDatum("CREATE")));
}

/*
 * What belongs to one of the extension's tables, as an index does, is not meant.
 */
static bool
has_created_in_schema(Oid schema)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, schema);
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM pg_event_trigger_ddl_commands() c "
											 "JOIN pg_depend d ON d.classid = c.classid AND d.objid = c.objid AND d.objsubid = c.objsubid "
											 "WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = $1 AND d.deptype = 'n' "
											 "AND c.object_type <> 'index' "
											 "AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e') LIMIT 1"));
}

/* An unqualified name is created in the first schema of the path. */
static bool
may_be_in_schema(const char *qualifier, Oid schema)
{
	List	   *path;

	if (qualifier)
		return is_own_name(qualifier);
	path = fetch_search_path(false);
	return path != NIL && linitial_oid(path) == schema;
}

static bool
relation_may_be_in_schema(const RangeVar *relation, Oid schema)
{
	return may_be_in_schema(relation->schemaname, schema);
}

/*
 * Can the statement, which has been executed, have created something in the
 * schema?  Of the statements that scripts have most of, their name tells; of
 * others true, and the server's list of what was created is asked.
 */
static bool
statement_may_create_in(Node *statement, Oid schema)
{
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
		case T_CreateTrigStmt:
		case T_CreatePolicyStmt:
		case T_RuleStmt:
		case T_CreateSchemaStmt:
			return false;
		case T_CreateStmt:
			return relation_may_be_in_schema(((CreateStmt *) statement)->relation, schema);
		case T_CreateTableAsStmt:
			return relation_may_be_in_schema(((CreateTableAsStmt *) statement)->into->rel, schema);
		case T_CreateSeqStmt:
			return relation_may_be_in_schema(((CreateSeqStmt *) statement)->sequence, schema);
		case T_ViewStmt:
			return relation_may_be_in_schema(((ViewStmt *) statement)->view, schema);
		case T_CreateFunctionStmt:
			{
				char	   *qualifier;
				char	   *name;

				DeconstructQualifiedName(((CreateFunctionStmt *) statement)->funcname,
										 &qualifier, &name);
				return may_be_in_schema(qualifier, schema);
			}
		default:
			return true;
	}
}

static void
refuse_creation_in_schema(const EventTriggerData *data)
{
	Oid			schema = command_creates(data->tag) ? extension_schema() : InvalidOid;

	if (OidIsValid(schema) && user_may_create_in(schema) &&
		statement_may_create_in(data->parsetree, schema) &&
		has_created_in_schema(schema))
		refuse_in_schema("created in", "Create it in another one.");
}

void
guard_own_check(const EventTriggerData *data)
{
	refuse_move_into_schema(data->parsetree);
	refuse_creation_in_schema(data);
	if (!breaks_extension(data->parsetree))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("%s would break extension %s",
					GetCommandTagName(data->tag), EXTENSION_NAME),
			 errdetail("Its triggers and functions find what is in schema %s by name, as members of the extension; without it every write of a synced table fails.",
					   EXTENSION_SCHEMA),
			 errhint("Leave it as it is. To be rid of it, end the migrations, then run DROP EXTENSION %s.",
					 EXTENSION_NAME)));
}
