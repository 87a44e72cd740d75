/*
 * write_target.c
 *		The part of a statement that writes one table.
 *
 * A statement may write several tables, or one in several places: by INSERT,
 * UPDATE and MERGE in its WITH.  The server keeps the trigger functions of
 * each place apart, so the address of the one being called tells the place.
 *
 * What the statement says is read off its plan.  If the library was loaded
 * after the statement began, as in the first write of a session without
 * preloading, there is only the plan, from the active portal.
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "nodes/execnodes.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"

#include "catalog/release_view.h"
#include "core/compat.h"
#include "core/relation.h"
#include "row/running_statement.h"
#include "row/write_target.h"

AttrNumber
write_target_column(Oid relid, AttrNumber attnum, Oid other)
{
	char	   *name;

	if (relid == other)
		return attnum;
	name = get_attname(relid, attnum, true);
	return name ? get_attnum(other, name) : InvalidAttrNumber;
}

List *
write_target_actions(const ModifyTable *plan)
{
	return plan->mergeActionLists == NIL ? NIL
		: linitial(plan->mergeActionLists);
}

MergeAction *
write_target_inserting_action(const WriteTarget *target)
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

static int
count_inserts(const ModifyTable *plan)
{
	int			inserts = 0;
	ListCell   *lc;

	if (plan->operation == CMD_INSERT)
		return 1;
	foreach(lc, write_target_actions(plan))
		inserts += lfirst_node(MergeAction, lc)->commandType == CMD_INSERT;
	return inserts;
}

/* The table that the statement names; for a view, the table below it. */
static Index
named_table(const ModifyTable *plan)
{
	return plan->rootRelation ? plan->rootRelation
		: (Index) linitial_int(plan->resultRelations);
}

static bool
entry_is_written(const PlannedStmt *stmt, RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION &&
		(compat_required_privileges(stmt, rte) &
		 (ACL_INSERT | ACL_UPDATE | ACL_DELETE)) != 0;
}

/* Returns the only relation that an updatable view reads, or InvalidOid. */
static Oid
relation_below_view(Oid view)
{
	Relation	rel = relation_open_present(view, AccessShareLock);
	const Query *query = get_view_query(rel);
	const Node *from = list_length(query->jointree->fromlist) == 1
	? linitial(query->jointree->fromlist) : NULL;
	Oid			below = InvalidOid;

	if (from && IsA(from, RangeTblRef))
		below = rt_fetch(((const RangeTblRef *) from)->rtindex, query->rtable)->relid;
	relation_close(rel, NoLock);
	return below;
}

/*
 * Finds the views that the statement names instead of the table.
 *
 * Where a statement names a view, the server keeps the view's entry in the
 * range table for its privileges, and appends that of the relation below it.
 * The entries of one query (the statement, or one in its WITH) stay together.
 * So the view is before the table, and no other entry of the table that is
 * written is between them.
 */
static void
find_views(WriteTarget *target, Index table)
{
	Oid			relid = rt_fetch(table, target->stmt->rtable)->relid;
	Oid			below = relid;

	for (Index i = table - 1; i > 0; i--)
	{
		RangeTblEntry *rte = rt_fetch(i, target->stmt->rtable);

		if (!entry_is_written(target->stmt, rte))
			continue;
		if (rte->relid == relid)
			break;
		if (rte->relkind != RELKIND_VIEW ||
			relation_below_view(rte->relid) != below)
			continue;
		below = rte->relid;
		target->views = lappend_oid(target->views, below);
	}
	if (target->views)
		target->view_release = release_view_release(linitial_oid(target->views),
													relid);
}

static WriteTarget *
make_target(const PlannedStmt *stmt, ModifyTable *plan,
			ModifyTableState *state, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	WriteTarget *target = palloc0(sizeof(WriteTarget));
	Index		table = named_table(plan);
	ListCell   *lc;

	target->context = context;
	target->stmt = stmt;
	target->plan = plan;
	target->state = state;
	target->relid = rt_fetch(table, stmt->rtable)->relid;
	target->tables = bms_make_singleton(table);
	foreach(lc, plan->resultRelations)
		target->tables = bms_add_member(target->tables, lfirst_int(lc));
	target->inserts = count_inserts(plan);
	if (target->inserts > 0)
		target->named = compat_inserted_columns(stmt, rt_fetch(table, stmt->rtable));
	find_views(target, table);
	MemoryContextSwitchTo(caller);
	return target;
}

/*-------------------------------------------------------------------------
 * In a statement that is being executed.
 *-------------------------------------------------------------------------
 */

static inline bool
table_makes_call(const ResultRelInfo *table, const FmgrInfo *call)
{
	return table && table->ri_TrigDesc && call >= table->ri_TrigFunctions &&
		call < table->ri_TrigFunctions + table->ri_TrigDesc->numtriggers;
}

/*
 * Looks first at the table of the last row, or opened last: with many
 * partitions, it is nearly always the one.
 */
static bool
state_makes_call(const ModifyTableState *state, const FmgrInfo *call)
{
	List	   *routed = state->ps.state->es_tuple_routing_result_relations;

	if (table_makes_call(state->resultRelInfo + state->mt_lastResultIndex, call) ||
		table_makes_call(state->rootResultRelInfo, call))
		return true;
	for (int i = list_length(routed) - 1; i >= 0; i--)
	{
		ResultRelInfo *table = list_nth(routed, i);

		if (table->ri_RootResultRelInfo == state->rootResultRelInfo &&
			table_makes_call(table, call))
			return true;
	}
	for (int i = 0; i < state->mt_nrels; i++)
	{
		if (table_makes_call(state->resultRelInfo + i, call))
			return true;
	}
	return false;
}

/* Returns the states of the statement that insert or update. */
static List *
writing_states(const QueryDesc *query)
{
	List	   *all = query->estate->es_auxmodifytables;
	List	   *states = NIL;
	ListCell   *lc;

	if (IsA(query->planstate, ModifyTableState))
		states = list_make1(query->planstate);
	foreach(lc, all)
		states = list_append_unique_ptr(states, lfirst(lc));
	foreach(lc, states)
	{
		if (((ModifyTableState *) lfirst(lc))->operation == CMD_DELETE)
			states = foreach_delete_current(states, lc);
	}
	return states;
}

/* Is the table at hand written by that part, as far as the plan tells? */
static bool
plan_writes(const PlannedStmt *stmt, const ModifyTable *plan, Oid relid)
{
	Oid			named = rt_fetch(named_table(plan), stmt->rtable)->relid;
	ListCell   *lc;

	if (plan->operation == CMD_DELETE)
		return false;
	foreach(lc, plan->resultRelations)
	{
		if (rt_fetch(lfirst_int(lc), stmt->rtable)->relid == relid)
			return true;
	}
	return named == relid ||
		(get_rel_relispartition(relid) &&
		 list_member_oid(get_partition_ancestors(relid), named));
}

static ModifyTableState *
state_of_call(const QueryDesc *query, const FmgrInfo *call)
{
	List	   *states = writing_states(query);
	ModifyTableState *found = NULL;
	ListCell   *lc;

	if (list_length(states) == 1)
		return linitial(states);
	foreach(lc, states)
	{
		ModifyTableState *state = lfirst(lc);

		if (!state_makes_call(state, call))
			continue;
		if (found)
			return NULL;
		found = state;
	}
	return found;
}

/* Partitions of one statement share what was found. */
static WriteTarget *
target_in_running(RunningStatement *running, const FmgrInfo *call)
{
	ModifyTableState *state = state_of_call(running->query, call);
	WriteTarget *target;
	MemoryContext caller;
	ListCell   *lc;

	if (state == NULL)
		return NULL;
	foreach(lc, running->targets)
	{
		target = lfirst(lc);
		if (target->state == state)
			return target;
	}
	target = make_target(running->query->plannedstmt,
						 (ModifyTable *) state->ps.plan, state,
						 running->context);
	caller = MemoryContextSwitchTo(running->context);
	running->targets = lappend(running->targets, target);
	MemoryContextSwitchTo(caller);
	return target;
}

/*-------------------------------------------------------------------------
 * In a statement that began before the library was loaded.
 *-------------------------------------------------------------------------
 */

static bool
plan_is_writer(const PlannedStmt *stmt, const Plan *plan, Oid relid)
{
	return plan && IsA(plan, ModifyTable) &&
		plan_writes(stmt, (const ModifyTable *) plan, relid);
}

/*
 * The active portal's statements, of which a rule may have made several.
 * Their context is directly below the portal's; that of a statement in a
 * function is below SPI's, and the portal tells nothing about it.
 */
static WriteTarget *
target_in_portal(MemoryContext statement, Oid relid)
{
	const PlannedStmt *found_stmt = NULL;
	Plan	   *found = NULL;
	int			writers = 0;
	ListCell   *lc;

	if (ActivePortal == NULL ||
		MemoryContextGetParent(statement) != ActivePortal->portalContext)
		return NULL;
	foreach(lc, ActivePortal->stmts)
	{
		PlannedStmt *stmt = lfirst_node(PlannedStmt, lc);
		List	   *plans = stmt->commandType == CMD_UTILITY ? NIL
		: lcons(stmt->planTree, list_copy(stmt->subplans));
		ListCell   *plan;

		foreach(plan, plans)
		{
			if (!plan_is_writer(stmt, lfirst(plan), relid))
				continue;
			found_stmt = stmt;
			found = lfirst(plan);
			writers++;
		}
	}
	return writers == 1 ? make_target(found_stmt, (ModifyTable *) found, NULL,
									  statement) : NULL;
}

WriteTarget *
write_target_find(Relation rel, const FmgrInfo *call)
{
	RunningStatement *running = running_statement_find(call->fn_mcxt);

	if (running == NULL)
		return target_in_portal(call->fn_mcxt, RelationGetRelid(rel));
	return running->query ? target_in_running(running, call) : NULL;
}

bool
write_target_may_name_other(Relation rel, const FmgrInfo *call)
{
	RunningStatement *running;
	ListCell   *lc;

	if (rel->rd_rel->relispartition)
		return true;
	running = running_statement_find(call->fn_mcxt);
	if (running == NULL)
		return true;
	foreach(lc, running->query ? running->query->plannedstmt->rtable : NIL)
	{
		if (lfirst_node(RangeTblEntry, lc)->relkind == RELKIND_VIEW)
			return true;
	}
	return false;
}
