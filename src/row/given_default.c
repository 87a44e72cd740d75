/*
 * given_default.c
 *		Columns that an INSERT gives just their default.
 *
 * The planner has put the default where the statement says DEFAULT, so it is
 * told from a value by equal().  Values that the statement takes from a
 * subquery or a VALUES list are followed to where they come from.
 */
#include "postgres.h"

#include "access/relation.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/datum.h"

#include "core/compat.h"
#include "core/relation.h"
#include "row/given_default.h"
#include "row/plan_source.h"
#include "rule/relation_rules.h"
#include "rule/rule_compile.h"

typedef enum Answer
{
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

typedef struct GivenColumn
{
	bool		default_known;
	Node	   *default_value;	/* where what the statement names has one */
	DefaultAnswer *answers;
} GivenColumn;

struct GivenDefaults
{
	MemoryContext context;		/* of the statement */
	Relation	rel;			/* the table at hand */
	const WriteTarget *target;	/* NULL for COPY */
	Oid			named;			/* table that the statement names */
	const char *search_path;
	ValuesScanState *values;	/* scan of the VALUES that is inserted */
	GivenColumn *columns;		/* by attribute number */
};

GivenDefaults *
given_default_begin(Relation rel, const WriteTarget *target, Oid named,
					const char *search_path)
{
	GivenDefaults *given = palloc0(sizeof(GivenDefaults));

	given->context = CurrentMemoryContext;
	given->rel = rel;
	given->target = target;
	given->named = named;
	given->search_path = search_path;
	given->columns = palloc0(sizeof(GivenColumn) *
							 (RelationGetNumberOfAttributes(rel) + 1));
	return given;
}

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

/*
 * Returns the default of the column in a view over the one that has *attnum, or
 * NULL, and sets *attnum to its number in the view, 0 if the view lacks it.
 */
static Node *
default_in_view(Oid view, AttrNumber *attnum, const char *search_path)
{
	Relation	rel = relation_open_present(view, AccessShareLock);
	Node	   *expression = NULL;

	*attnum = view_column(rel, *attnum);
	if (*attnum > 0)
		expression = relation_rules_default_as_owner(rel, *attnum, search_path);
	relation_close(rel, NoLock);
	return expression;
}

/* Of several views, the server takes that of the outermost that has one. */
static Node *
find_default(GivenDefaults *given, AttrNumber attnum)
{
	AttrNumber	named = write_target_column(RelationGetRelid(given->rel), attnum,
											given->named);
	AttrNumber	column = named;
	Node	   *found = NULL;
	Relation	rel;
	ListCell   *lc;

	foreach(lc, given->target ? given->target->views : NIL)
	{
		Node	   *expression = column > 0
		? default_in_view(lfirst_oid(lc), &column, given->search_path)
		: NULL;

		if (expression)
			found = expression;
	}
	if (found || named <= 0)
		return found;
	rel = relation_open_present(given->named, AccessShareLock);
	found = relation_rules_default_as_owner(rel, named, given->search_path);
	relation_close(rel, NoLock);
	return found;
}

/*
 * Returns the default that the column has in what the statement names, or NULL.
 * That of a partition does not count for who names the table above it.
 */
Node *
given_default_expression(GivenDefaults *given, AttrNumber attnum)
{
	GivenColumn *column = &given->columns[attnum];
	MemoryContext caller;

	if (column->default_known)
		return column->default_value;
	caller = MemoryContextSwitchTo(given->context);
	column->default_value = find_default(given, attnum);
	MemoryContextSwitchTo(caller);
	column->default_known = true;
	return column->default_value;
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
value_is_default(GivenDefaults *given, AttrNumber attnum, Plan *plan,
				 Node *value)
{
	Resolving	at = {given->target->stmt, plan};

	value = without_domain_check(resolve_references(value, &at));
	return value && equal(given_default_expression(given, attnum), value);
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
find_default_answer(GivenDefaults *given, AttrNumber attnum, Plan *plan,
					Node *value)
{
	const WriteTarget *target = given->target;
	DefaultAnswer *found = MemoryContextAllocZero(given->context,
												  sizeof(DefaultAnswer));

	found->value = value;
	found->answer = ANSWER_NO;
	if (value == NULL)
		return found;
	if (value_is_default(given, attnum, plan, value))
		found->answer = ANSWER_YES;
	else if (target->state)
	{
		given->values = values_being_inserted(outerPlanState(target->state));
		found->column = given->values == NULL ? 0
			: column_of_values(target->stmt, given->values, plan, value);
		if (found->column > 0)
			found->answer = ANSWER_BY_ROW;
	}
	return found;
}

static bool
row_gives_default(GivenDefaults *given, AttrNumber attnum, int column)
{
	const ValuesScanState *values = given->values;
	List	   *row;

	if (values->curr_idx < 0 || values->curr_idx >= values->array_len)
		return false;
	row = values->exprlists[values->curr_idx];
	return column <= list_length(row) &&
		equal(given_default_expression(given, attnum),
			  without_domain_check(list_nth(row, column - 1)));
}

/* Returns what the row at hand is given in the column, and where. */
static Node *
inserted_value(GivenDefaults *given, AttrNumber attnum, Plan **plan)
{
	const WriteTarget *target = given->target;
	AttrNumber	named = write_target_column(RelationGetRelid(given->rel),
											attnum, target->relid);
	MergeAction *action;

	*plan = outerPlan(target->plan);
	if (target->plan->operation == CMD_INSERT)
		return plan_source_target((*plan)->targetlist, named);
	*plan = (Plan *) target->plan;
	action = write_target_inserting_action(target);
	return action ? plan_source_target(action->targetList, named) : NULL;
}

bool
given_default_of_row(GivenDefaults *given, AttrNumber attnum)
{
	DefaultAnswer **answers = &given->columns[attnum].answers;
	DefaultAnswer *answer = *answers;
	Plan	   *plan;
	Node	   *value = NULL;

	/* the value of an INSERT is the same expression for all rows */
	if (answer == NULL || given->target->plan->operation == CMD_MERGE)
	{
		value = inserted_value(given, attnum, &plan);
		while (answer && answer->value != value)
			answer = answer->next;
	}
	if (answer == NULL)
	{
		answer = find_default_answer(given, attnum, plan, value);
		answer->next = *answers;
		*answers = answer;
	}
	return answer->answer == ANSWER_BY_ROW
		? row_gives_default(given, attnum, answer->column)
		: answer->answer == ANSWER_YES;
}

bool
given_default_is_value(GivenDefaults *given, const RuleColumn *column,
					   Datum value, bool isnull)
{
	const Const *expected = (Const *) given_default_expression(given, column->attnum);

	if (expected && !IsA(expected, Const))
		return given->target && given_default_of_row(given, column->attnum);
	if (isnull || expected == NULL || expected->constisnull)
		return isnull && (expected == NULL || expected->constisnull);
	return datum_image_eq(value, expected->constvalue, column->att->attbyval,
						  column->att->attlen);
}

/*
 * A literal of the statement has a place in its text.  Expressions have not
 * always, and those of an SQL function that the planner has put in place of
 * its call have one in the text of the function.
 */
bool
given_default_is_named(GivenDefaults *given, const MergeAction *action,
					   AttrNumber attnum)
{
	AttrNumber	named = write_target_column(RelationGetRelid(given->rel),
											attnum, given->target->relid);
	Node	   *value = without_domain_check(plan_source_target(action->targetList,
																named));
	bool		is_null;

	if (value == NULL)
		return false;
	is_null = IsA(value, Const) && ((Const *) value)->constisnull;
	if (!is_null && !equal(given_default_expression(given, attnum), value))
		return true;
	return IsA(value, Const) && exprLocation(value) >= 0;
}
