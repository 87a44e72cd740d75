/*
 * writer_statement.c
 *		What the statement that fires the sync trigger says about columns.
 *
 * What does not depend on the row is found once per statement and table.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"

#include "core/authority.h"
#include "core/compat.h"
#include "core/relation.h"
#include "row/plan_source.h"
#include "row/running_statement.h"
#include "row/write_target.h"
#include "row/writer_statement.h"
#include "rule/relation_rules.h"

typedef enum Answer
{
	ANSWER_UNKNOWN,
	ANSWER_NO,
	ANSWER_YES,
	ANSWER_BY_ROW				/* depends on the row of a VALUES list */
} Answer;

/* What is known of a column in one INSERT action. */
typedef struct DefaultAnswer
{
	const Node *value;			/* what the action inserts */
	Answer		answer;
	int			column;			/* of the VALUES list */
	struct DefaultAnswer *next; /* in another action of a MERGE */
} DefaultAnswer;

/* What is known of a MERGE's INSERT action. */
typedef struct ActionColumns
{
	const MergeAction *action;
	Bitmapset  *named;
} ActionColumns;

/*
 * What has been found out so far, in the context of the statement.  The arrays
 * are by attribute number of the table at hand.
 */
typedef struct WriterAnswers
{
	MemoryContext context;
	Answer	   *from_itself;
	DefaultAnswer **given;
	List	  **defaults;		/* expressions that are the column's default */
	bool	   *defaults_known;
	ValuesScanState *values;	/* scan of the VALUES that is inserted */
	List	   *actions;		/* of ActionColumns */
} WriterAnswers;

static WriterAnswers *
make_answers(Relation rel, MemoryContext context)
{
	int			n = RelationGetNumberOfAttributes(rel) + 1;
	WriterAnswers *answers = palloc0(sizeof(WriterAnswers));

	answers->context = context;
	answers->from_itself = palloc0(sizeof(Answer) * n);
	answers->given = palloc0(sizeof(DefaultAnswer *) * n);
	answers->defaults = palloc0(sizeof(List *) * n);
	answers->defaults_known = palloc0(sizeof(bool) * n);
	return answers;
}

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
note_copy(WriterStatement *found, MemoryContext statement)
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
	if (found->known)
		found->named = map_columns_to_relation(columns_of_copy(copy, named),
											   named, found->rel);
}

/*-------------------------------------------------------------------------
 * Columns that are given just their default.
 *
 * The planner has put the default where the statement says DEFAULT, so it is
 * told from a value by equal().  Values that the statement takes from a
 * subquery or a VALUES list are followed to where they come from.
 *-------------------------------------------------------------------------
 */

/* Returns the number of the view's column that shows a column, or 0. */
static AttrNumber
view_column(Relation view, AttrNumber attnum)
{
	ListCell   *lc;

	foreach(lc, get_view_query(view)->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);

		if (!entry->resjunk && IsA(entry->expr, Var) &&
			((Var *) entry->expr)->varattno == attnum)
			return entry->resno;
	}
	return InvalidAttrNumber;
}

/* Adds the default of a column, which is found by its number in table. */
static List *
add_default(List *defaults, Oid relid, AttrNumber attnum, bool is_view,
			const char *search_path)
{
	Relation	rel = relation_open_present(relid, AccessShareLock);
	Node	   *expression = NULL;

	if (rel == NULL)
		return defaults;
	if (is_view)
		attnum = view_column(rel, attnum);
	if (attnum > 0)
		expression = relation_rules_default_as_owner(rel, attnum, search_path);
	relation_close(rel, NoLock);
	return expression ? lappend(defaults, expression) : defaults;
}

/*
 * Returns the default of the column in the table at hand, and in the table and
 * view that the statement names.
 */
static List *
defaults_of_column(const WriterStatement *statement, AttrNumber attnum)
{
	WriterAnswers *answers = statement->answers;
	const WriteTarget *target = statement->target;
	Oid			relid = RelationGetRelid(statement->rel);
	AttrNumber	named = write_target_column(relid, attnum, target->relid);
	MemoryContext caller;
	List	   *defaults;

	if (answers->defaults_known[attnum])
		return answers->defaults[attnum];
	caller = MemoryContextSwitchTo(answers->context);
	defaults = add_default(NIL, relid, attnum, false, statement->search_path);
	if (target->relid != relid)
		defaults = add_default(defaults, target->relid, named, false,
							   statement->search_path);
	if (OidIsValid(target->view))
		defaults = add_default(defaults, target->view, named, true,
							   statement->search_path);
	MemoryContextSwitchTo(caller);
	answers->defaults[attnum] = defaults;
	answers->defaults_known[attnum] = true;
	return defaults;
}

static Node *
without_domain_check(Node *value)
{
	while (value && IsA(value, CoerceToDomain))
		value = (Node *) ((CoerceToDomain *) value)->arg;
	return value;
}

typedef struct Resolving
{
	const PlannedStmt *stmt;
	Plan	   *plan;			/* evaluates the expression at hand */
} Resolving;

static Node *resolve_references(Node *node, void *context);

/* Returns what all sources are, or NULL if they differ or there is none. */
static Node *
resolve_sources(List *sources, const PlannedStmt *stmt)
{
	Node	   *resolved = NULL;
	ListCell   *lc;

	foreach(lc, sources)
	{
		PlanSource *source = lfirst(lc);
		Resolving	below = {stmt, source->plan};
		Node	   *one = resolve_references(source->expression, &below);

		if (resolved && !equal(resolved, one))
			return NULL;
		resolved = one;
	}
	return resolved;
}

/*
 * Replaces references to other nodes of the plan by what these compute, as far
 * as it is the same for all rows.
 */
static Node *
resolve_references(Node *node, void *context)
{
	Resolving  *at = context;
	Node	   *resolved = NULL;

	check_stack_depth();
	if (node && IsA(node, Var))
		resolved = resolve_sources(plan_source_of_var(at->stmt, at->plan,
													  (Var *) node), at->stmt);
	else if (node && IsA(node, Param))
		resolved = resolve_sources(plan_source_of_param(at->stmt,
														(Param *) node), at->stmt);
	return resolved ? resolved
		: expression_tree_mutator(node, resolve_references, context);
}

static bool
value_is_default(const WriterStatement *statement, AttrNumber attnum,
				 Plan *plan, Node *value)
{
	Resolving	at = {statement->target->stmt, plan};

	value = without_domain_check(resolve_references(value, &at));
	return list_member(defaults_of_column(statement, attnum), value);
}

/*
 * Returns the scan of the VALUES list whose row at hand is being inserted, or
 * NULL.  Nodes that hold rows back would be ahead of it.
 */
static ValuesScanState *
values_being_inserted(PlanState *state)
{
	while (state && !IsA(state, ValuesScanState))
	{
		switch (nodeTag(state))
		{
			case T_ResultState:
			case T_LimitState:
			case T_ProjectSetState:
				state = outerPlanState(state);
				break;
			case T_SubqueryScanState:
				state = ((SubqueryScanState *) state)->subplan;
				break;
			default:
				return NULL;
		}
	}
	return (ValuesScanState *) state;
}

/*
 * Follows a value to the column of that VALUES list that it comes from;
 * returns 0 if it comes from elsewhere.
 */
static int
column_of_values(const PlannedStmt *stmt, const ValuesScanState *values,
				 Plan *plan, Node *value)
{
	List	   *sources;
	PlanSource *source;

	value = without_domain_check(value);
	if (!IsA(value, Var))
		return 0;
	if (plan == values->ss.ps.plan)
		return plan_source_values_column(plan, value);
	sources = plan_source_of_var(stmt, plan, (Var *) value);
	if (list_length(sources) != 1)
		return 0;
	source = linitial(sources);
	return column_of_values(stmt, values, source->plan, source->expression);
}

static DefaultAnswer *
find_default_answer(const WriterStatement *statement, AttrNumber attnum,
					Plan *plan, Node *value)
{
	const WriteTarget *target = statement->target;
	WriterAnswers *answers = statement->answers;
	DefaultAnswer *found = MemoryContextAllocZero(answers->context,
												  sizeof(DefaultAnswer));

	found->value = value;
	found->answer = ANSWER_NO;
	if (value == NULL)
		return found;
	if (value_is_default(statement, attnum, plan, value))
		found->answer = ANSWER_YES;
	else if (target->state)
	{
		answers->values = values_being_inserted(outerPlanState(target->state));
		found->column = answers->values == NULL ? 0
			: column_of_values(target->stmt, answers->values, plan, value);
		if (found->column > 0)
			found->answer = ANSWER_BY_ROW;
	}
	return found;
}

static bool
row_gives_default(const WriterStatement *statement, AttrNumber attnum,
				  int column)
{
	const ValuesScanState *values = statement->answers->values;
	List	   *row;

	if (values->curr_idx < 0 || values->curr_idx >= values->array_len)
		return false;
	row = values->exprlists[values->curr_idx];
	return column <= list_length(row) &&
		list_member(defaults_of_column(statement, attnum),
					without_domain_check(list_nth(row, column - 1)));
}

/*
 * Returns the action that inserts the row at hand, or NULL if that is not
 * known.
 */
static MergeAction *
inserting_action(const WriteTarget *target)
{
	ListCell   *lc;

	if (target->state)
		return compat_merge_action(target->state, CMD_INSERT);
	foreach(lc, target->inserts == 1 ? write_target_actions(target->plan) : NIL)
	{
		if (lfirst_node(MergeAction, lc)->commandType == CMD_INSERT)
			return lfirst(lc);
	}
	return NULL;
}

/* Returns what the row at hand is given in the column, and where. */
static Node *
inserted_value(const WriterStatement *statement, AttrNumber attnum,
			   Plan **plan)
{
	const WriteTarget *target = statement->target;
	AttrNumber	named = write_target_column(RelationGetRelid(statement->rel),
											attnum, target->relid);
	MergeAction *action;

	*plan = outerPlan(target->plan);
	if (target->plan->operation == CMD_INSERT)
		return plan_source_target((*plan)->targetlist, named);
	*plan = (Plan *) target->plan;
	action = target->plan->operation == CMD_MERGE ? inserting_action(target) : NULL;
	return action ? plan_source_target(action->targetList, named) : NULL;
}

static bool
gives_default(const WriterStatement *statement, AttrNumber attnum)
{
	DefaultAnswer **answers = &statement->answers->given[attnum];
	DefaultAnswer *answer = *answers;
	Plan	   *plan;
	Node	   *value = NULL;

	/* the value of an INSERT is the same expression for all rows */
	if (answer == NULL || statement->target->plan->operation == CMD_MERGE)
	{
		value = inserted_value(statement, attnum, &plan);
		while (answer && answer->value != value)
			answer = answer->next;
	}
	if (answer == NULL)
	{
		answer = find_default_answer(statement, attnum, plan, value);
		answer->next = *answers;
		*answers = answer;
	}
	return answer->answer == ANSWER_BY_ROW
		? row_gives_default(statement, attnum, answer->column)
		: answer->answer == ANSWER_YES;
}

bool
writer_statement_gives_default(const WriterStatement *statement,
							   AttrNumber attnum)
{
	return statement->target && statement->target->inserts > 0 &&
		gives_default(statement, attnum);
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

/*
 * A literal of the statement has a place in its text.  Expressions have not
 * always, and those of an SQL function that the planner has put in place of
 * its call have one in the text of the function.
 */
static bool
action_names_column(const WriterStatement *statement,
					const MergeAction *action, AttrNumber attnum)
{
	AttrNumber	named = write_target_column(RelationGetRelid(statement->rel),
											attnum, statement->target->relid);
	Node	   *value = without_domain_check(plan_source_target(action->targetList,
																named));
	bool		is_null;

	if (value == NULL)
		return false;
	is_null = IsA(value, Const) && ((Const *) value)->constisnull;
	if (!is_null && !list_member(defaults_of_column(statement, attnum), value))
		return true;
	return IsA(value, Const) && exprLocation(value) >= 0;
}

static Bitmapset *
columns_of_action(const WriterStatement *statement, const MergeAction *action)
{
	WriterAnswers *answers = statement->answers;
	Bitmapset  *any = map_columns_to_relation(statement->target->named,
											  statement->target->relid,
											  statement->rel);
	ActionColumns *columns;
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
	while ((attnum = bms_next_member(any, attnum)) >= 0)
	{
		if (action_names_column(statement, action, attnum))
			columns->named = bms_add_member(columns->named, attnum);
	}
	answers->actions = lappend(answers->actions, columns);
	return columns->named;
}

void
writer_statement_choose_action(WriterStatement *statement)
{
	const MergeAction *action = inserting_action(statement->target);
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
note_target(WriterStatement *found, WriteTarget *target, MemoryContext statement)
{
	found->target = target;
	found->answers = make_answers(found->rel, statement);
	found->view_release = target->view_release;
	found->inserts = target->inserts > 0;
	found->by_action = target->plan->operation == CMD_MERGE && target->inserts > 1;
	found->known = !found->by_action;
	if (found->known)
		found->named = map_columns_to_relation(target->named, target->relid,
											   found->rel);
}

static WriterStatement *
find_statement(Relation rel, MemoryContext statement, const FmgrInfo *call,
			   const char *search_path)
{
	MemoryContext caller = MemoryContextSwitchTo(statement);
	WriterStatement *found = palloc0(sizeof(WriterStatement));
	WriteTarget *target = write_target_find(rel, statement, call);

	found->rel = rel;
	found->search_path = search_path;
	if (target)
		note_target(found, target, statement);
	else
		note_copy(found, statement);
	MemoryContextSwitchTo(caller);
	return found;
}

WriterStatement *
writer_statement_find(Relation rel, MemoryContext statement)
{
	return find_statement(rel, statement, NULL, AUTHORITY_PINNED_PATH);
}

WriterStatement *
writer_statement_find_call(Relation rel, const FmgrInfo *call,
						   const char *search_path)
{
	return find_statement(rel, call->fn_mcxt, call, search_path);
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
		*answer = write_target_computes_from_itself(target,
													RelationGetRelid(statement->rel),
													attnum)
			? ANSWER_YES : ANSWER_NO;
	return *answer == ANSWER_YES;
}
