/*
 * assignments.c
 *		Assignments to columns, as after SET in an UPDATE.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "core/error.h"
#include "core/relation.h"
#include "core/text.h"
#include "rule/assignments.h"
#include "rule/expression.h"
#include "rule/meaning.h"

/* What is before the caller's text when it is parsed. */
#define STATEMENT "UPDATE t SET "

#define SYNTAX_HINT \
	"Write it as after SET in an UPDATE of one table: column = expression, column = expression."

COMPAT_NORETURN static void
refuse_assignments(const char *given, const char *label)
{
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("%s is not a list of assignments", label),
			 errdetail("Given: %s", given),
			 errhint(SYNTAX_HINT)));
}

static bool
is_plain_update(const UpdateStmt *update)
{
	return IsA(update, UpdateStmt) && update->whereClause == NULL &&
		update->fromClause == NIL && !compat_has_returning(update) &&
		update->withClause == NULL;
}

static bool
is_plain_assignment(const ResTarget *target)
{
	return target->indirection == NIL && !IsA(target->val, MultiAssignRef) &&
		!IsA(target->val, SetToDefault);
}

/* Positions of errors refer to the statement, which contains the text. */
static void
statement_error_callback(void *arg)
{
	error_position_in(arg);
}

/* Returns the raw assignments, ResTargets. */
static List *
parse_raw_assignments(char *statement, const char *given, const char *label)
{
	ErrorContextCallback callback = {error_context_stack,
	statement_error_callback, statement};
	MemoryContext caller = CurrentMemoryContext;
	List	   *volatile parsed = NIL;
	UpdateStmt *update;
	ListCell   *lc;

	PG_TRY();
	{
		error_context_stack = &callback;
		parsed = raw_parser(statement, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller, SYNTAX_HINT);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	update = list_length(parsed) == 1
		? (UpdateStmt *) linitial_node(RawStmt, parsed)->stmt : NULL;
	if (update == NULL || !is_plain_update(update))
		refuse_assignments(given, label);
	foreach(lc, update->targetList)
	{
		if (!is_plain_assignment(lfirst(lc)))
			refuse_assignments(given, label);
	}
	return update->targetList;
}

/*
 * A row whose key changes would move to another partition, which an UPDATE of the
 * one that it is in cannot do.
 */
static void
check_no_partition_key(Oid relid, const char *column, const char *label)
{
	ListCell   *lc;

	foreach(lc, table_tree(relid))
	{
		Relation	rel = try_table_open(lfirst_oid(lc), AccessShareLock);
		AttrNumber	attnum = get_attnum(lfirst_oid(lc), column);
		bool		in_expression;

		if (rel && rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
			attnum > 0 &&
			has_partition_attrs(rel, bms_make_singleton(attnum - FirstLowInvalidHeapAttributeNumber),
								&in_expression))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("%s must not set column \"%s\", which is in the partition key of table \"%s\"",
							label, column, RelationGetRelationName(rel)),
					 errhint("Such a row moves to another partition. Have the application change these rows, with an UPDATE of the partitioned table.")));
		if (rel)
			table_close(rel, NoLock);
	}
}

static AttrNumber
column_to_set(Relation rel, const char *column, List *before,
			  const char *label)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), column);

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", column,
						RelationGetRelationName(rel)),
				 errhint("Name columns of the table in %s.", label)));
	if (text_is_among(column, before))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("column \"%s\" occurs twice in %s", column, label),
				 errhint(SYNTAX_HINT)));
	if (TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must not set column \"%s\", which is generated", label,
						column),
				 errhint("Set the columns that it comes from.")));
	check_no_partition_key(RelationGetRelid(rel), column, label);
	return attnum;
}

Assignments *
assignments_parse(const char *given, Relation rel, const char *alias,
				  const char *label)
{
	Assignments *assignments = palloc0(sizeof(Assignments));
	char	   *statement = psprintf(STATEMENT "%s", given);
	ListCell   *lc;

	foreach(lc, parse_raw_assignments(statement, given, label))
	{
		ResTarget  *target = lfirst(lc);
		AttrNumber	attnum = column_to_set(rel, target->name,
										   assignments->columns, label);
		StoredExpression stored = {
			.what = psprintf("%s of column \"%s\"", label, target->name),
			.label = label,
			.given = given,
			.rel = rel,
			.target = attnum,
		};
		Node	   *expression = expression_parse_part(target->val, statement,
													   rel, alias, attnum, label);

		assignments->columns = lappend(assignments->columns, target->name);
		assignments->expressions = lappend(assignments->expressions,
										   meaning_stored_text(&stored, expression));
	}
	return assignments;
}

char *
condition_parse(const char *given, Relation rel, const char *alias)
{
	StoredExpression stored = {
		.what = "condition",.given = given,.rel = rel,
		.target = InvalidAttrNumber,
	};
	Node	   *expression = expression_parse_definition(given, rel, alias,
														 stored.what);

	if (exprType(expression) != BOOLOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("condition is of type %s, and not boolean",
						format_type_be(exprType(expression))),
				 errdetail("Given: %s", given),
				 errhint("Write it as after WHERE in an UPDATE.")));
	return meaning_stored_text(&stored, expression);
}
