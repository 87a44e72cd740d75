/*
 * from_itself.c
 *		Does a statement compute a column from the column's own value?
 *
 * The planner turns the columns of an expression into references to other
 * nodes of the plan, so they are followed down to the tables (plan_source.h).
 * A join of the table with itself, a subquery or a CTE over it may well read
 * the row that is updated, and what they read of another row that is not filled
 * is no value either.  So every place counts where the statement reads the
 * table.  What a function reads is not seen.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "core/relation.h"
#include "row/from_itself.h"
#include "row/plan_source.h"

/* What is known of one column of the target. */
typedef struct FromItselfAnswer
{
	const Node *expression;		/* its new value */
	bool		from_itself;
} FromItselfAnswer;

typedef struct ColumnSearch
{
	const WriteTarget *target;
	const char *name;			/* of the column */
	Plan	   *plan;			/* evaluates the expression at hand */
	List	   *targets;		/* TargetEntry list that it stands in */
	const SubPlan *subplan;		/* the subquery within which it is, or NULL */
	const struct ColumnSearch *outer;	/* the search in whose expression that
										 * stands */
} ColumnSearch;

static bool reads_column(Node *node, void *context);

static bool
sources_read_column(List *sources, const ColumnSearch *search)
{
	ListCell   *lc;

	foreach(lc, sources)
	{
		PlanSource *source = lfirst(lc);
		ColumnSearch below = *search;

		below.plan = source->plan;
		below.targets = source->plan->targetlist;
		if (reads_column(source->expression, &below))
			return true;
	}
	return false;
}

/* Is it the column, or the whole row, of the table that is updated? */
static bool
var_is_column(const Var *var, const ColumnSearch *search)
{
	RangeTblEntry *rte;
	char	   *name;

	if (IS_SPECIAL_VARNO(var->varno) || var->varlevelsup != 0)
		return false;
	rte = rt_fetch(var->varno, search->target->stmt->rtable);
	if (rte->rtekind != RTE_RELATION ||
		(!bms_is_member(var->varno, search->target->tables) &&
		 table_root(rte->relid) != table_root(search->target->relid)))
		return false;
	if (var->varattno == 0)
		return true;
	name = get_attname(rte->relid, var->varattno, true);
	return name && strcmp(name, search->name) == 0;
}

/*
 * Looks for the SET (...) = (SELECT ...) that sets a parameter.  It stands in
 * the same target list as the parameter, and has one for each column.
 */
static const SubPlan *
subplan_that_sets(const ColumnSearch *search, int paramid)
{
	ListCell   *lc;

	foreach(lc, search->targets)
	{
		const SubPlan *subplan = (SubPlan *) lfirst_node(TargetEntry, lc)->expr;

		if (IsA(subplan, SubPlan) &&
			subplan->subLinkType == MULTIEXPR_SUBLINK &&
			list_member_int(subplan->setParam, paramid))
			return subplan;
	}
	return NULL;
}

static int
position_of_param(List *params, int paramid)
{
	ListCell   *lc;

	foreach(lc, params)
	{
		if (lfirst_int(lc) == paramid)
			return foreach_current_index(lc);
	}
	return -1;
}

/* Does the subquery read the column in that column of its result? */
static bool
subplan_reads_column(const SubPlan *subplan, int position,
					 const ColumnSearch *search)
{
	ColumnSearch below = *search;
	Plan	   *plan = plan_source_subplan(search->target->stmt,
										   subplan->plan_id);

	if (plan == NULL)
		return false;
	below.subplan = subplan;
	below.outer = search;
	below.plan = plan;
	below.targets = plan->targetlist;
	return reads_column(plan_source_target(plan->targetlist, position + 1),
						&below);
}

/* The value of EXISTS is no value of the columns of the subquery. */
static bool
subplan_value_reads_column(const SubPlan *subplan, const ColumnSearch *search)
{
	int			columns = list_length(subplan->paramIds);

	switch (subplan->subLinkType)
	{
		case EXISTS_SUBLINK:
		case MULTIEXPR_SUBLINK:
			return false;
		case EXPR_SUBLINK:
		case ARRAY_SUBLINK:
			columns = 1;
			break;
		default:
			break;
	}
	for (int i = 0; i < columns; i++)
	{
		if (subplan_reads_column(subplan, i, search))
			return true;
	}
	return false;
}

/*
 * An argument of the subquery within which the parameter is, or of one around
 * that, is a column of the query outside.
 */
static bool
param_reads_column(const Param *param, const ColumnSearch *search)
{
	const SubPlan *subplan;

	if (param->paramkind != PARAM_EXEC)
		return false;
	for (const ColumnSearch *in = search; in->subplan; in = in->outer)
	{
		int			position = position_of_param(in->subplan->parParam,
												 param->paramid);
		ColumnSearch outer;

		if (position < 0)
			continue;
		outer = *in->outer;
		return reads_column(list_nth(in->subplan->args, position), &outer);
	}
	subplan = subplan_that_sets(search, param->paramid);
	if (subplan)
		return subplan_reads_column(subplan,
									position_of_param(subplan->setParam,
													  param->paramid), search);
	return sources_read_column(plan_source_of_param(search->target->stmt, param),
							   search);
}

static bool
reads_column(Node *node, void *context)
{
	ColumnSearch *search = context;

	if (node == NULL)
		return false;
	check_stack_depth();
	if (IsA(node, Var))
		return var_is_column((Var *) node, search) ||
			sources_read_column(plan_source_of_var(search->target->stmt,
												   search->plan,
												   (Var *) node), search);
	if (IsA(node, Param))
		return param_reads_column((Param *) node, search);
	if (IsA(node, SubPlan) &&
		subplan_value_reads_column((SubPlan *) node, search))
		return true;
	return expression_tree_walker(node, reads_column, context);
}

/* Is the value just the column?  Then nothing is computed from it. */
static bool
is_column_itself(Node *node, const ColumnSearch *search)
{
	Var		   *var = (Var *) node;
	List	   *sources;
	ListCell   *lc;

	if (!IsA(node, Var))
		return false;
	if (var_is_column(var, search))
		return var->varattno != InvalidAttrNumber;
	sources = plan_source_of_var(search->target->stmt, search->plan, var);
	foreach(lc, sources)
	{
		PlanSource *source = lfirst(lc);
		ColumnSearch below = *search;

		below.plan = source->plan;
		below.targets = source->plan->targetlist;
		if (!is_column_itself(source->expression, &below))
			return false;
	}
	return sources != NIL;
}

/*
 * Returns the expression that gives a column its new value: that of the same
 * place in the target list as the column has in the list of columns.  NULL if
 * it is not there.
 */
static Node *
new_value(List *targets, List *columns, AttrNumber attnum)
{
	ListCell   *target;
	ListCell   *column = list_head(columns);

	foreach(target, targets)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, target);

		if (entry->resjunk)
			continue;
		if (column == NULL)
			break;
		if (lfirst_int(column) == attnum)
			return (Node *) entry->expr;
		column = lnext(columns, column);
	}
	return NULL;
}

static bool
value_reads_column(WriteTarget *target, Plan *plan, List *targets,
				   Node *value, const char *name)
{
	ColumnSearch search = {.target = target,.name = name,.plan = plan,
	.targets = targets};
	FromItselfAnswer *answer;
	MemoryContext caller;
	ListCell   *lc;

	if (value == NULL)
		return false;
	foreach(lc, target->from_itself)
	{
		answer = lfirst(lc);
		if (answer->expression == value)
			return answer->from_itself;
	}
	answer = MemoryContextAlloc(target->context, sizeof(FromItselfAnswer));
	answer->expression = value;
	answer->from_itself = reads_column(value, &search) &&
		!is_column_itself(value, &search);
	caller = MemoryContextSwitchTo(target->context);
	target->from_itself = lappend(target->from_itself, answer);
	MemoryContextSwitchTo(caller);
	return answer->from_itself;
}

/* Columns of the target lists are numbered as in the first of its tables. */
static AttrNumber
column_of_first_table(const WriteTarget *target, Oid relid, AttrNumber attnum)
{
	return write_target_column(relid, attnum,
							   rt_fetch(linitial_int(target->plan->resultRelations),
										target->stmt->rtable)->relid);
}

/* The new values of all tables that it updates come from one target list. */
static bool
update_reads_column(WriteTarget *target, Oid relid, AttrNumber attnum,
					const char *name)
{
	ModifyTable *plan = target->plan;
	List	   *targets = outerPlan(plan)->targetlist;

	return value_reads_column(target, outerPlan(plan), targets,
							  new_value(targets,
										linitial(plan->updateColnosLists),
										column_of_first_table(target, relid, attnum)),
							  name);
}

static bool
conflict_reads_column(WriteTarget *target, Oid relid, AttrNumber attnum,
					  const char *name)
{
	ModifyTable *plan = target->plan;

	return value_reads_column(target, (Plan *) plan, plan->onConflictSet,
							  new_value(plan->onConflictSet,
										plan->onConflictCols,
										write_target_column(relid, attnum,
															target->relid)),
							  name);
}

static bool
action_reads_column(WriteTarget *target, MergeAction *action,
					AttrNumber attnum, const char *name)
{
	return action->commandType == CMD_UPDATE &&
		value_reads_column(target, (Plan *) target->plan, action->targetList,
						   new_value(action->targetList, action->updateColnos,
									 attnum), name);
}

/*
 * If it is unknown which action is performed, any counts: an error is better
 * than a wrong value.
 */
static bool
merge_reads_column(WriteTarget *target, Oid relid, AttrNumber attnum,
				   const char *name)
{
	AttrNumber	column = column_of_first_table(target, relid, attnum);
	ListCell   *lc;

	if (target->state)
	{
		MergeAction *action = compat_merge_action(target->state, CMD_UPDATE);

		return action && action_reads_column(target, action, attnum, name);
	}
	foreach(lc, write_target_actions(target->plan))
	{
		if (action_reads_column(target, lfirst(lc), column, name))
			return true;
	}
	return false;
}

bool
from_itself_computes(WriteTarget *target, Oid relid, AttrNumber attnum)
{
	char	   *name = get_attname(relid, attnum, true);

	if (name == NULL)
		return false;
	switch (target->plan->operation)
	{
		case CMD_INSERT:
			return conflict_reads_column(target, relid, attnum, name);
		case CMD_UPDATE:
			return update_reads_column(target, relid, attnum, name);
		case CMD_MERGE:
			return merge_reads_column(target, relid, attnum, name);
		default:
			return false;
	}
}
