/*
 * user_views.c
 *		Views of users over columns that are changed, and what they do with these.
 */
#include "postgres.h"

#include "access/relation.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "parser/parsetree.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/operation.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "ending/operations.h"
#include "ending/user_views.h"

typedef struct ChangedColumn
{
	Oid			relation;		/* a table, or a view */
	AttrNumber	number;
} ChangedColumn;

static List *
add_column(List *columns, Oid relation, AttrNumber number)
{
	ChangedColumn *column = palloc(sizeof(ChangedColumn));

	column->relation = relation;
	column->number = number;
	return lappend(columns, column);
}

/* Also of partitions, in which it may have another number. */
static void
add_columns_of_table(ChangedColumns *columns, const SyncRule *rule, const char *name)
{
	ListCell   *lc;

	foreach(lc, table_tree(rule->relation))
	{
		AttrNumber	number = get_attnum(lfirst_oid(lc), name);

		if (number <= 0)
			continue;
		columns->all = add_column(columns->all, lfirst_oid(lc), number);
		/* a mere cast may sort, compare or round otherwise */
		if (rule->on_table != ON_TABLE_ALIKE)
			columns->valued = add_column(columns->valued, lfirst_oid(lc), number);
	}
}

/* A view over one that is changed into it will have been made again over it. */
static void
add_columns_of_rule(ChangedColumns *columns, const SyncRule *rule)
{
	List	   *before = sync_columns_before(rule);
	ListCell   *lc;

	add_columns_of_table(columns, rule, linitial(rule->old_columns));
	foreach(lc, before)
		add_columns_of_table(columns, rule, lfirst(lc));
	columns->chained |= before != NIL;
}

ChangedColumns
changed_columns_of_migration(const Migration *migration)
{
	ChangedColumns columns = {.migration = migration};
	ListCell   *lc;

	foreach(lc, sync_list_changing(migration->id))
		add_columns_of_rule(&columns, lfirst(lc));
	return columns;
}

/*-------------------------------------------------------------------------
 * What a view does with the column.
 *
 * To show it is one thing: the view shows the new values then.  To compute from it,
 * sort or select by it is another one, and so is a default of the view's own, or a rule
 * that writes something else than what it is given.
 *-------------------------------------------------------------------------
 */

typedef struct ColumnUses
{
	List	   *columns;		/* of ChangedColumn */
	List	   *range_tables;	/* of the query and those around it, innermost
								 * first */
} ColumnUses;

static bool
is_of_columns(List *columns, Oid relation, AttrNumber number)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		const ChangedColumn *column = lfirst(lc);

		if (column->relation == relation &&
			(column->number == number || number == InvalidAttrNumber))
			return true;
	}
	return false;
}

/* Returns what a column of a join is, NULL if it is of none, or the whole row. */
static Node *
joined_column(const RangeTblEntry *rte, AttrNumber number)
{
	if (rte->rtekind != RTE_JOIN || number <= 0)
		return NULL;
	return list_nth(rte->joinaliasvars, number - 1);
}

static bool uses_columns_walker(Node *node, void *context);

static bool
variable_uses_columns(const Var *var, ColumnUses *uses)
{
	List	   *around = uses->range_tables;
	const RangeTblEntry *rte = rt_fetch(var->varno, list_nth(around, var->varlevelsup));
	Node	   *joined = joined_column(rte, var->varattno);
	bool		result;

	if (rte->rtekind == RTE_RELATION)
		return is_of_columns(uses->columns, rte->relid, var->varattno);
	if (joined == NULL)
		return rte->rtekind == RTE_JOIN;
	uses->range_tables = list_copy_tail(around, var->varlevelsup);
	result = uses_columns_walker(joined, uses);
	uses->range_tables = around;
	return result;
}

/* What a subquery reads counts, whatever is done with it around it. */
static bool
query_uses_columns(Query *query, ColumnUses *uses)
{
	List	   *around = uses->range_tables;
	bool		result;

	uses->range_tables = lcons(query->rtable, list_copy(around));
	result = query_tree_walker(query, uses_columns_walker, uses, QTW_IGNORE_JOINALIASES);
	uses->range_tables = around;
	return result;
}

/* A row of the table, wherever it is from, as a view shows it or a function returns it. */
static bool
selects_column(const FieldSelect *select, const ColumnUses *uses)
{
	Oid			relid = typeOrDomainTypeRelid(exprType((Node *) select->arg));

	return OidIsValid(relid) && is_of_columns(uses->columns, relid, select->fieldnum);
}

static bool
uses_columns_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return variable_uses_columns((Var *) node, context);
	if (IsA(node, Query))
		return query_uses_columns((Query *) node, context);
	return (IsA(node, FieldSelect) && selects_column((FieldSelect *) node, context)) ||
		expression_tree_walker(node, uses_columns_walker, context);
}

static bool
merely_shows(const TargetEntry *entry, const Query *query, List *columns)
{
	Node	   *node = (Node *) entry->expr;

	if (entry->resjunk || entry->ressortgroupref != 0)
		return false;
	while (node && IsA(node, Var) && ((Var *) node)->varlevelsup == 0)
	{
		const Var  *var = (const Var *) node;
		const RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);

		if (rte->rtekind == RTE_RELATION)
			return var->varattno > 0 && is_of_columns(columns, rte->relid, var->varattno);
		node = joined_column(rte, var->varattno);
	}
	return false;
}

/*
 * Adds the columns of the view that show one of these.  Returns whether the view does
 * anything else with one.
 */
static bool
look_through_view(Relation view, List **columns)
{
	Query	   *query = copyObject(get_view_query(view));
	List	   *others = NIL;
	ColumnUses	uses = {.columns = *columns};
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		const TargetEntry *entry = lfirst(lc);

		if (merely_shows(entry, query, *columns))
			*columns = add_column(*columns, RelationGetRelid(view), entry->resno);
		else
			others = lappend(others, lfirst(lc));
	}
	query->targetList = others;
	if (!query_uses_columns(query, &uses))
		return false;
	/* what it makes of them may be anything */
	foreach(lc, others)
		* columns = add_column(*columns, RelationGetRelid(view),
							   ((TargetEntry *) lfirst(lc))->resno);
	return true;
}

/* Does an action of a rule give other values than those which it shows, or others' columns these? */
static bool
action_computes(Query *action, List *columns)
{
	Query	   *query = copyObject(action);
	Oid			target = query->resultRelation > 0
	? rt_fetch(query->resultRelation, query->rtable)->relid : InvalidOid;
	List	   *others = NIL;
	List	   *returned = NIL;
	ColumnUses	uses = {.columns = columns};
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		const TargetEntry *entry = lfirst(lc);

		if (merely_shows(entry, query, columns) != is_of_columns(columns, target, entry->resno))
			return true;
		if (!is_of_columns(columns, target, entry->resno))
			others = lappend(others, lfirst(lc));
	}
	foreach(lc, query->returningList)
	{
		if (!merely_shows(lfirst(lc), query, columns))
			returned = lappend(returned, lfirst(lc));
	}
	query->targetList = others;
	query->returningList = returned;
	return query_uses_columns(query, &uses);
}

static bool
rule_computes(const RewriteRule *rule, List *columns)
{
	ListCell   *lc;

	if (rule->event == CMD_SELECT)
		return false;
	foreach(lc, rule->actions)
	{
		Query	   *action = lfirst_node(Query, lc);
		ColumnUses	uses = {columns, list_make1(action->rtable)};

		if (uses_columns_walker(rule->qual, &uses) || action_computes(action, columns))
			return true;
	}
	return false;
}

/* What is written through the view may be given values by the view itself. */
static bool
view_gives_values(Relation view, List *columns)
{
	const TupleConstr *constr = RelationGetDescr(view)->constr;

	for (int i = 0; constr && i < constr->num_defval; i++)
	{
		if (is_of_columns(columns, RelationGetRelid(view), constr->defval[i].adnum))
			return true;
	}
	for (int i = 0; i < view->rd_rules->numLocks; i++)
	{
		if (rule_computes(view->rd_rules->rules[i], columns))
			return true;
	}
	return false;
}

static void *
read_view(uint64 row)
{
	UserView   *view = palloc0(sizeof(UserView));

	view->view = query_get_oid(row, 1);
	view->owner = query_get_oid(row, 2);
	return view;
}

bool
user_view_is_noted(List *operations, Oid view)
{
	const char *name = quoting_raw_name(view);
	const char *given = user_view_given(view);
	ListCell   *lc;

	foreach(lc, operations)
	{
		const Operation *operation = lfirst(lc);

		if (strcmp(operation->given, given) == 0 && strcmp(operation->object, name) == 0)
			return true;
	}
	return false;
}

/* Those that contract of an earlier release takes away are none by then. */
static List *
views_that_stay(const Migration *migration, List *views)
{
	List	   *left = operation_list_before(migration->release, OPERATION_LEAVE);
	List	   *staying = NIL;
	ListCell   *lc;

	foreach(lc, views)
	{
		Oid			view = ((UserView *) lfirst(lc))->view;

		if (!user_view_is_noted(left, view) &&
			!operations_drop_before(migration, InvalidOid, quoting_raw_name(view)))
			staying = lappend(staying, lfirst(lc));
	}
	return staying;
}

static List *
views_over(const ChangedColumns *columns)
{
	TandemQuery query;
	List	   *relations = NIL;
	List	   *numbers = NIL;
	List	   *views;
	ListCell   *lc;

	if (columns->all == NIL)
		return NIL;
	foreach(lc, columns->all)
	{
		relations = lappend_oid(relations, ((ChangedColumn *) lfirst(lc))->relation);
		numbers = lappend_int(numbers, ((ChangedColumn *) lfirst(lc))->number);
	}
	query_begin(&query);
	query_oid_list(&query, relations);
	query_int_list(&query, numbers);
	views = query_rows(&query,
					   "SELECT view, owner FROM tandem._remade_views($1, $2) ORDER BY place, view",
					   read_view);
	query_end(&query);
	return columns->chained ? views_that_stay(columns->migration, views) : views;
}

List *
user_views_of_columns(const ChangedColumns *columns)
{
	List	   *views = views_over(columns);
	List	   *valued = list_copy(columns->valued);
	ListCell   *lc;

	foreach(lc, valued != NIL ? views : NIL)
	{
		UserView   *view = lfirst(lc);
		Relation	rel = relation_open_present(view->view, AccessShareLock);

		view->by_value = look_through_view(rel, &valued);
		view->by_value |= view_gives_values(rel, valued);
		relation_close(rel, NoLock);
	}
	return views;
}

List *
user_views_of_rule(const Migration *migration, const SyncRule *rule)
{
	ChangedColumns columns = {.migration = migration};

	add_columns_of_rule(&columns, rule);
	return user_views_of_columns(&columns);
}

List *
user_views_oids(List *views)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, views)
		relids = lappend_oid(relids, ((UserView *) lfirst(lc))->view);
	return relids;
}

List *
user_views_of_migration(const Migration *migration)
{
	ChangedColumns columns = changed_columns_of_migration(migration);

	return user_views_oids(views_over(&columns));
}

char *
user_view_given(Oid view)
{
	return psprintf("view of schema %s", quoting_raw_schema(get_rel_namespace(view)));
}
