/*
 * plan_source.h
 *		Where the expressions of a plan get their values from.
 *
 * In a finished plan a column is often only a reference to the output of
 * another node.  These functions follow such references.
 */
#ifndef TANDEM_PLAN_SOURCE_H
#define TANDEM_PLAN_SOURCE_H

#include "nodes/plannodes.h"

/* An expression, and the node of the plan that evaluates it. */
typedef struct PlanSource
{
	Plan	   *plan;
	Node	   *expression;
} PlanSource;

/*
 * Returns what a column reference of plan stands for, one step further down: a
 * list of PlanSource, palloc'd, with more than one if the rows come from
 * several places, or if it is a whole row.  Returns NIL if it is a column of a
 * table, or is computed by something that the plan does not show.
 */
extern List *plan_source_of_var(const PlannedStmt *stmt, Plan *plan,
								const Var *var);

/*
 * The same for an executor parameter that the outer side of a nested loop
 * passes to the inner one, or that a subquery sets which is run beforehand.  NIL
 * if it is of another kind.
 */
extern List *plan_source_of_param(const PlannedStmt *stmt, const Param *param);

/*
 * Is it a reference to a column of the VALUES list that plan scans?  If so,
 * returns its number, else 0.
 */
extern int	plan_source_values_column(const Plan *plan, const Node *expression);

/* Returns the plan of a query within stmt, by its number. */
extern Plan *plan_source_subplan(const PlannedStmt *stmt, int plan_id);

/*
 * Returns the expression with that number in a list of TargetEntry, or NULL.
 */
extern Node *plan_source_target(List *targets, AttrNumber resno);

#endif							/* TANDEM_PLAN_SOURCE_H */
