/*
 * given_statement.c
 *		DDL statements of users that contract runs.
 */
#include "postgres.h"

#include "nodes/parsenodes.h"
#include "tcop/utility.h"

#include "core/text.h"
#include "ddl/given_statement.h"

#define STATEMENT_HINT \
	"Give one DDL statement, as in 'ALTER TABLE images REPLICA IDENTITY USING INDEX images_id_new_idx'."

static Node *
parse_given_statement(const char *text)
{
	List	   *parsed = sql_parse(RAW_PARSE_DEFAULT, text, STATEMENT_HINT);

	if (list_length(parsed) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("contract runs one statement for each call, not %d",
						list_length(parsed)),
				 errhint("Call tandem.at_contract once for each statement.")));
	return linitial_node(RawStmt, parsed)->stmt;
}

/* Of these kinds of objects the server has one statement for all. */
static bool
is_object_of_schema(ObjectType type)
{
	switch (type)
	{
		case OBJECT_ACCESS_METHOD:
		case OBJECT_DATABASE:
		case OBJECT_EVENT_TRIGGER:
		case OBJECT_EXTENSION:
		case OBJECT_FDW:
		case OBJECT_FOREIGN_SERVER:
		case OBJECT_LANGUAGE:
		case OBJECT_LARGEOBJECT:
		case OBJECT_ROLE:
		case OBJECT_SUBSCRIPTION:
		case OBJECT_TABLESPACE:
		case OBJECT_USER_MAPPING:
			return false;
		default:
			return true;
	}
}

/*
 * DDL on tables and what belongs to a schema with them.  Not what runs code or
 * moves rows alone, nor what concerns the whole database or cluster.
 */
static const NodeTag ddl_tags[] = {
	T_AlterTableStmt, T_CreateStmt, T_IndexStmt, T_ViewStmt, T_RuleStmt, T_CreateTrigStmt,
	T_CreatePolicyStmt, T_AlterPolicyStmt, T_CreateStatsStmt, T_AlterStatsStmt,
	T_CreateSeqStmt, T_AlterSeqStmt, T_CreateFunctionStmt, T_AlterFunctionStmt,
	T_CreateDomainStmt, T_AlterDomainStmt, T_CreateEnumStmt, T_AlterEnumStmt,
	T_CompositeTypeStmt, T_CreateRangeStmt, T_AlterTypeStmt, T_DefineStmt,
	T_AlterObjectDependsStmt, T_AlterPublicationStmt,
};

static bool
is_ddl(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_RenameStmt:
			return is_object_of_schema(castNode(RenameStmt, statement)->renameType);
		case T_DropStmt:
			return is_object_of_schema(castNode(DropStmt, statement)->removeType);
		case T_CommentStmt:
			return is_object_of_schema(castNode(CommentStmt, statement)->objtype);
		case T_AlterOwnerStmt:
			return is_object_of_schema(castNode(AlterOwnerStmt, statement)->objectType);
		case T_AlterObjectSchemaStmt:
			return is_object_of_schema(castNode(AlterObjectSchemaStmt, statement)->objectType);
		case T_GrantStmt:
			return is_object_of_schema(castNode(GrantStmt, statement)->objtype);
		case T_CreateTableAsStmt:
			return castNode(CreateTableAsStmt, statement)->objtype == OBJECT_MATVIEW;
		default:
			break;
	}
	for (int i = 0; i < (int) lengthof(ddl_tags); i++)
	{
		if (nodeTag(statement) == ddl_tags[i])
			return true;
	}
	return false;
}

static bool
is_concurrent(const Node *statement)
{
	ListCell   *lc;

	if (IsA(statement, IndexStmt))
		return ((const IndexStmt *) statement)->concurrent;
	if (IsA(statement, DropStmt))
		return ((const DropStmt *) statement)->concurrent;
	if (!IsA(statement, AlterTableStmt))
		return false;
	foreach(lc, ((const AlterTableStmt *) statement)->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_DetachPartition &&
			castNode(PartitionCmd, command->def)->concurrent)
			return true;
	}
	return false;
}

static bool
is_cascading(const Node *statement)
{
	ListCell   *lc;

	if (IsA(statement, DropStmt))
		return ((const DropStmt *) statement)->behavior == DROP_CASCADE;
	if (IsA(statement, AlterDomainStmt))
		return ((const AlterDomainStmt *) statement)->behavior == DROP_CASCADE;
	if (!IsA(statement, AlterTableStmt))
		return false;
	foreach(lc, ((const AlterTableStmt *) statement)->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->behavior == DROP_CASCADE)
			return true;
	}
	return false;
}

void
given_statement_check(const char *text)
{
	Node	   *statement = parse_given_statement(text);
	const char *command = CreateCommandName(statement);

	if (!is_ddl(statement))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("contract does not run %s", command),
				 errdetail("It runs DDL statements on tables, and on what belongs to a schema with them."),
				 errhint(STATEMENT_HINT)));
	if (is_concurrent(statement))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s CONCURRENTLY cannot run in the transaction of contract", command),
				 errhint("Have an index built by tandem.add_index, and dropped by tandem.drop_index; or leave out CONCURRENTLY, where it takes moments.")));
	if (is_cascading(statement))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("contract drops nothing with CASCADE"),
				 errhint("Drop what depends on it by calls of their own, before this one.")));
}
