/*
 * plan_source.c
 *		Where the expressions of a plan get their values from.
 *
 * What a reference means depends on the kind of node: the planner's setrefs.c
 * is the authority.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

#include "core/compat.h"
#include "row/plan_source.h"

Node *
plan_source_target(List *targets, AttrNumber resno)
{
	ListCell   *lc;

	foreach(lc, targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		if (target->resno == resno)
			return (Node *) target->expr;
	}
	return NULL;
}

Plan *
plan_source_subplan(const PlannedStmt *stmt, int plan_id)
{
	if (plan_id < 1 || plan_id > list_length(stmt->subplans))
		return NULL;
	return list_nth(stmt->subplans, plan_id - 1);
}

static List *
add_source(List *sources, Plan *plan, Node *expression)
{
	PlanSource *source = palloc(sizeof(PlanSource));

	if (plan == NULL || expression == NULL)
		return sources;
	source->plan = plan;
	source->expression = expression;
	return lappend(sources, source);
}

/* Adds a column, or with number 0 all columns, of a list of TargetEntry. */
static List *
add_targets(List *sources, Plan *plan, List *targets, AttrNumber number)
{
	ListCell   *lc;

	if (number > 0)
		return add_source(sources, plan, plan_source_target(targets, number));
	foreach(lc, targets)
		sources = add_source(sources, plan,
							 (Node *) lfirst_node(TargetEntry, lc)->expr);
	return sources;
}

static List *
add_output(List *sources, Plan *plan, AttrNumber number)
{
	return plan ? add_targets(sources, plan, plan->targetlist, number)
		: sources;
}

/* A node over several others: each of its rows comes from one of them. */
static List *
add_outputs(List *plans, AttrNumber number)
{
	List	   *sources = NIL;
	ListCell   *lc;

	foreach(lc, plans)
		sources = add_output(sources, lfirst(lc), number);
	return sources;
}

static List *
source_below(Plan *plan, const Var *var)
{
	switch (nodeTag(plan))
	{
		case T_Append:
			return add_outputs(((Append *) plan)->appendplans, var->varattno);
		case T_MergeAppend:
			return add_outputs(((MergeAppend *) plan)->mergeplans,
							   var->varattno);
		case T_RecursiveUnion:
			return add_output(add_output(NIL, outerPlan(plan), var->varattno),
							  innerPlan(plan), var->varattno);
		default:
			return add_output(NIL, outerPlan(plan), var->varattno);
	}
}

/*
 * The actions of a MERGE refer to its source by INNER_VAR; the DO UPDATE of an
 * INSERT to the row that was to be inserted, which has a column for each of the
 * table's.
 */
static List *
source_beside(Plan *plan, const Var *var)
{
	return add_output(NIL, IsA(plan, ModifyTable) ? outerPlan(plan)
					  : innerPlan(plan), var->varattno);
}

/* What a scan reads is described by a list of its own. */
static List *
source_in_scan_list(Plan *plan, const Var *var)
{
	switch (nodeTag(plan))
	{
		case T_IndexOnlyScan:
			return add_targets(NIL, plan, ((IndexOnlyScan *) plan)->indextlist,
							   var->varattno);
		case T_ForeignScan:
			return add_targets(NIL, plan,
							   ((ForeignScan *) plan)->fdw_scan_tlist,
							   var->varattno);
		case T_CustomScan:
			return add_targets(NIL, plan,
							   ((CustomScan *) plan)->custom_scan_tlist,
							   var->varattno);
		default:
			return NIL;
	}
}

static List *
source_in_values(Plan *plan, const Var *var)
{
	List	   *sources = NIL;
	ListCell   *row;

	foreach(row, ((ValuesScan *) plan)->values_lists)
	{
		List	   *values = lfirst(row);

		if (var->varattno < 1)
			sources = add_source(sources, plan, (Node *) values);
		else if (var->varattno <= list_length(values))
			sources = add_source(sources, plan,
								 list_nth(values, var->varattno - 1));
	}
	return sources;
}

/* A range table entry that is no table. */
static List *
source_in_scan(const PlannedStmt *stmt, Plan *plan, const Var *var)
{
	switch (nodeTag(plan))
	{
		case T_SubqueryScan:
			return add_output(NIL, ((SubqueryScan *) plan)->subplan,
							  var->varattno);
		case T_CteScan:
			return add_output(NIL,
							  plan_source_subplan(stmt,
												  ((CteScan *) plan)->ctePlanId),
							  var->varattno);
		case T_ValuesScan:
			return source_in_values(plan, var);
		case T_FunctionScan:
			return add_source(NIL, plan,
							  (Node *) ((FunctionScan *) plan)->functions);
		case T_TableFuncScan:
			return add_source(NIL, plan,
							  (Node *) ((TableFuncScan *) plan)->tablefunc);
		default:
			return NIL;
	}
}

List *
plan_source_of_var(const PlannedStmt *stmt, Plan *plan, const Var *var)
{
	if (var->varlevelsup != 0 || var->varattno < 0)
		return NIL;
	switch ((int) var->varno)
	{
		case OUTER_VAR:
			return source_below(plan, var);
		case INNER_VAR:
			return source_beside(plan, var);
		case INDEX_VAR:
			return source_in_scan_list(plan, var);
		default:
			return source_in_scan(stmt, plan, var);
	}
}

int
plan_source_values_column(const Plan *plan, const Node *expression)
{
	const Var  *var = (const Var *) expression;

	return IsA(plan, ValuesScan) && IsA(expression, Var) &&
		var->varno == (int) ((const ValuesScan *) plan)->scan.scanrelid
		? Max(var->varattno, 0) : 0;
}

/* Returns the nodes directly below a node, without those of expressions. */
static List *
plans_below(Plan *plan)
{
	List	   *plans = NIL;

	switch (nodeTag(plan))
	{
		case T_Append:
			plans = list_copy(((Append *) plan)->appendplans);
			break;
		case T_MergeAppend:
			plans = list_copy(((MergeAppend *) plan)->mergeplans);
			break;
		case T_SubqueryScan:
			plans = list_make1(((SubqueryScan *) plan)->subplan);
			break;
		case T_CustomScan:
			plans = list_copy(((CustomScan *) plan)->custom_plans);
			break;
		default:
			break;
	}
	if (outerPlan(plan))
		plans = lappend(plans, outerPlan(plan));
	if (innerPlan(plan))
		plans = lappend(plans, innerPlan(plan));
	return plans;
}

/* A subquery that uses nothing of the outer one is run once, beforehand. */
static List *
source_in_initplan(const PlannedStmt *stmt, const Plan *plan,
				   const Param *param)
{
	ListCell   *lc;

	foreach(lc, plan->initPlan)
	{
		SubPlan    *subplan = lfirst_node(SubPlan, lc);
		ListCell   *set;

		foreach(set, subplan->setParam)
		{
			if (lfirst_int(set) == param->paramid)
				return add_output(NIL,
								  plan_source_subplan(stmt, subplan->plan_id),
								  foreach_current_index(set) + 1);
		}
	}
	return NIL;
}

static List *
source_of_param_in(const PlannedStmt *stmt, Plan *plan, const Param *param)
{
	List	   *sources;
	ListCell   *lc;

	if (plan == NULL)
		return NIL;
	check_stack_depth();
	sources = source_in_initplan(stmt, plan, param);
	if (sources)
		return sources;
	if (IsA(plan, NestLoop))
	{
		foreach(lc, ((NestLoop *) plan)->nestParams)
		{
			NestLoopParam *passed = lfirst_node(NestLoopParam, lc);

			if (passed->paramno == param->paramid)
				return add_source(NIL, plan, (Node *) passed->paramval);
		}
	}
	foreach(lc, plans_below(plan))
	{
		sources = source_of_param_in(stmt, lfirst(lc), param);
		if (sources)
			return sources;
	}
	return NIL;
}

List *
plan_source_of_param(const PlannedStmt *stmt, const Param *param)
{
	List	   *sources;
	ListCell   *lc;

	if (param->paramkind != PARAM_EXEC)
		return NIL;
	sources = source_of_param_in(stmt, stmt->planTree, param);
	foreach(lc, stmt->subplans)
	{
		if (sources)
			break;
		sources = source_of_param_in(stmt, lfirst(lc), param);
	}
	return sources;
}
