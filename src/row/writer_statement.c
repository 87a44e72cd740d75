/*
 * writer_statement.c
 *		What the statement that fires the sync trigger says about columns.
 *
 * What does not depend on the row is found once per statement and table.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"

#include "core/compat.h"
#include "row/from_itself.h"
#include "row/given_default.h"
#include "row/running_statement.h"
#include "row/writer_statement.h"

typedef enum Answer
{
	ANSWER_UNKNOWN,
	ANSWER_NO,
	ANSWER_YES
} Answer;

/* What is known of a MERGE's INSERT action. */
typedef struct ActionColumns
{
	const MergeAction *action;
	Bitmapset  *named;
} ActionColumns;

/* What has been found out so far, in the context of the statement. */
typedef struct WriterAnswers
{
	MemoryContext context;
	GivenDefaults *defaults;
	Answer	   *from_itself;	/* by attribute number of the table at hand */
	List	   *actions;		/* of ActionColumns */
} WriterAnswers;

/*-------------------------------------------------------------------------
 * The columns that an INSERT or COPY names.
 *
 * The parser records the target columns of an INSERT for the permission check.
 *-------------------------------------------------------------------------
 */

/*
 * Translates column numbers of a parent to those of rel; columns that rel
 * lacks are left out.
 */
static Bitmapset *
map_columns_to_relation(Bitmapset *columns, Oid parent, Relation rel)
{
	Bitmapset  *mapped = NULL;
	int			i = -1;

	while ((i = bms_next_member(columns, i)) >= 0)
	{
		AttrNumber	attnum = i + FirstLowInvalidHeapAttributeNumber;

		if (attnum > 0)
			attnum = write_target_column(parent, attnum, RelationGetRelid(rel));
		if (attnum > 0)
			mapped = bms_add_member(mapped, attnum);
	}
	return mapped;
}

static Bitmapset *
columns_of_copy(CopyStmt *copy, Oid relid)
{
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	foreach(lc, copy->attlist)
	{
		AttrNumber	attnum = get_attnum(relid, strVal(lfirst(lc)));

		columns = bms_add_member(columns,
								 attnum - FirstLowInvalidHeapAttributeNumber);
	}
	if (copy->attlist == NIL)
	{
		for (AttrNumber attnum = 1; get_attname(relid, attnum, true); attnum++)
			columns = bms_add_member(columns,
									 attnum - FirstLowInvalidHeapAttributeNumber);
	}
	return columns;
}

/* COPY runs in the context of its caller; a portal's own for the session's. */
static CopyStmt *
copy_at_work(MemoryContext statement)
{
	RunningStatement *running = running_statement_find(statement);
	PlannedStmt *stmt;

	if (running)
		return running->copy;
	if (ActivePortal == NULL || statement != ActivePortal->portalContext ||
		list_length(ActivePortal->stmts) != 1)
		return NULL;
	stmt = linitial_node(PlannedStmt, ActivePortal->stmts);
	if (stmt->commandType != CMD_UTILITY || !IsA(stmt->utilityStmt, CopyStmt))
		return NULL;
	return (CopyStmt *) stmt->utilityStmt;
}

static void
note_copy(WriterStatement *found, MemoryContext statement,
		  const char *search_path)
{
	CopyStmt   *copy = copy_at_work(statement);
	Oid			named;

	if (copy == NULL || !copy->is_from || copy->relation == NULL)
		return;
	named = RangeVarGetRelid(copy->relation, NoLock, true);
	found->known = named == RelationGetRelid(found->rel) ||
		(found->rel->rd_rel->relispartition &&
		 list_member_oid(get_partition_ancestors(RelationGetRelid(found->rel)),
						 named));
	found->inserts = found->known;
	if (!found->known)
		return;
	found->named = map_columns_to_relation(columns_of_copy(copy, named),
										   named, found->rel);
	found->names_other = named != RelationGetRelid(found->rel);
	found->answers = palloc0(sizeof(WriterAnswers));
	found->answers->defaults = given_default_begin(found->rel, NULL, named,
												   search_path);
}

/*-------------------------------------------------------------------------
 * A MERGE with several INSERT actions.
 *
 * The plan has the columns that any of them names, and for each action the
 * values of all columns.  In an action that does not name it, a column has its
 * default, or NULL.  The word DEFAULT in an action cannot be told from that,
 * and counts as if the column were left out.
 *-------------------------------------------------------------------------
 */

static Bitmapset *
columns_of_action(const WriterStatement *statement, const MergeAction *action)
{
	WriterAnswers *answers = statement->answers;
	ActionColumns *columns;
	Bitmapset  *any;
	int			attnum = -1;
	ListCell   *lc;

	foreach(lc, answers->actions)
	{
		columns = lfirst(lc);
		if (columns->action == action)
			return columns->named;
	}
	columns = palloc0(sizeof(ActionColumns));
	columns->action = action;
	any = map_columns_to_relation(statement->target->named,
								  statement->target->relid, statement->rel);
	while ((attnum = bms_next_member(any, attnum)) >= 0)
	{
		if (given_default_is_named(answers->defaults, action, attnum))
			columns->named = bms_add_member(columns->named, attnum);
	}
	answers->actions = lappend(answers->actions, columns);
	return columns->named;
}

void
writer_statement_choose_action(WriterStatement *statement)
{
	const MergeAction *action = write_target_inserting_action(statement->target);
	MemoryContext caller;

	statement->known = statement->target->state != NULL;
	statement->named = NULL;
	if (action == NULL)
		return;
	caller = MemoryContextSwitchTo(statement->answers->context);
	statement->named = columns_of_action(statement, action);
	MemoryContextSwitchTo(caller);
}

/*-------------------------------------------------------------------------
 * The interface.
 *-------------------------------------------------------------------------
 */

static void
note_target(WriterStatement *found, WriteTarget *target,
			const char *search_path)
{
	WriterAnswers *answers = palloc0(sizeof(WriterAnswers));

	answers->context = CurrentMemoryContext;
	answers->defaults = given_default_begin(found->rel, target, target->relid,
											search_path);
	answers->from_itself = palloc0(sizeof(Answer) *
								   (RelationGetNumberOfAttributes(found->rel) + 1));
	found->target = target;
	found->answers = answers;
	found->view_release = target->view_release;
	found->names_other = target->views ||
		target->relid != RelationGetRelid(found->rel);
	found->inserts = target->inserts > 0;
	found->by_action = target->plan->operation == CMD_MERGE && target->inserts > 1;
	found->known = !found->by_action;
	if (found->known)
		found->named = map_columns_to_relation(target->named, target->relid,
											   found->rel);
}

WriterStatement *
writer_statement_find(Relation rel, const FmgrInfo *call,
					  const char *search_path)
{
	MemoryContext caller = MemoryContextSwitchTo(call->fn_mcxt);
	WriterStatement *found = palloc0(sizeof(WriterStatement));
	WriteTarget *target = write_target_find(rel, call);

	found->rel = rel;
	if (target)
		note_target(found, target, search_path);
	else
		note_copy(found, call->fn_mcxt, search_path);
	MemoryContextSwitchTo(caller);
	return found;
}

bool
writer_statement_gives_default(const WriterStatement *statement,
							   AttrNumber attnum)
{
	return statement->target && statement->inserts &&
		given_default_of_row(statement->answers->defaults, attnum);
}

bool
writer_statement_value_is_default(const WriterStatement *statement,
								  const RuleColumn *column, Datum value,
								  bool isnull)
{
	return given_default_is_value(statement->answers->defaults, column, value,
								  isnull);
}

Node *
writer_statement_default(const WriterStatement *statement, AttrNumber attnum,
						 bool *unknown)
{
	Node	   *expression = statement->answers
	? given_default_expression(statement->answers->defaults, attnum) : NULL;

	/* that of the table at hand may be one that is not planned */
	*unknown = expression == NULL && !statement->names_other;
	return expression;
}

bool
writer_statement_computes_from_itself(const WriterStatement *statement,
									  AttrNumber attnum)
{
	WriteTarget *target = statement->target;
	Answer	   *answer;

	if (target == NULL)
		return false;
	answer = &statement->answers->from_itself[attnum];
	/* a MERGE may do another thing with the next row */
	if (*answer == ANSWER_UNKNOWN || target->plan->operation == CMD_MERGE)
		*answer = from_itself_computes(target,
									   RelationGetRelid(statement->rel),
									   attnum)
			? ANSWER_YES : ANSWER_NO;
	return *answer == ANSWER_YES;
}
