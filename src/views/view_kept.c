/*
 * view_kept.c
 *		The columns that the view of a release has already.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

#include "catalog/sync.h"
#include "core/relation.h"
#include "core/text.h"
#include "rule/expression.h"
#include "views/view_definition.h"
#include "views/view_dependents.h"
#include "views/view_kept.h"

/* A column of an existing view. */
typedef struct KeptColumn
{
	char	   *name;
	Node	   *expression;		/* over the table as relation 1 */
} KeptColumn;

static void
refuse_view_of_other(const ReleaseView *view)
{
	char	   *drop = view_drop_call(view->view);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("view %s was replaced by hand",
					quoting_relation(view->view)),
			 errdetail("It does not show the columns of table %s alone.",
					   quoting_relation(view->relation)),
			 errhint("Run %s then SELECT tandem.create_views(%d);",
					 drop, view->release)));
}

/* Returns the number of the only relation that the query reads, or 0. */
static int
relation_of_query(const Query *query, Oid relid)
{
	const Node *from = list_length(query->jointree->fromlist) == 1
	? linitial(query->jointree->fromlist) : NULL;
	int			index = from && IsA(from, RangeTblRef)
	? ((const RangeTblRef *) from)->rtindex : 0;

	return index > 0 && rt_fetch(index, query->rtable)->relid == relid ? index : 0;
}

static KeptColumn *
make_kept_column(const ReleaseView *view, TupleDesc desc, int i,
				 const Node *expression, int relation)
{
	KeptColumn *column = palloc(sizeof(KeptColumn));

	/* the name that it was given, whatever it was renamed to by hand */
	column->name = i < list_length(view->columns)
		? list_nth(view->columns, i)
		: pstrdup(NameStr(TupleDescAttr(desc, i)->attname));
	column->expression = copyObject(unconstify(Node *, expression));
	if (relation != 1)
		ChangeVarNodes(column->expression, relation, 1, 0);
	return column;
}

static List *
list_kept_columns(const ReleaseView *view)
{
	Relation	rel = relation_open_present(view->view, AccessShareLock);
	const Query *query = get_view_query(rel);
	int			relation = relation_of_query(query, view->relation);
	List	   *columns = NIL;
	ListCell   *lc;

	if (relation == 0)
		refuse_view_of_other(view);
	foreach(lc, query->targetList)
		columns = lappend(columns,
						  make_kept_column(view, RelationGetDescr(rel),
										   foreach_current_index(lc),
										   (Node *) lfirst_node(TargetEntry, lc)->expr,
										   relation));
	relation_close(rel, NoLock);
	return columns;
}

/* Returns the number of the column that the expression merely shows, or 0. */
static AttrNumber
column_shown_plainly(const Node *expression)
{
	return IsA(expression, Var) && ((const Var *) expression)->varattno > 0
		? ((const Var *) expression)->varattno : InvalidAttrNumber;
}

/* The same for one that view_column_now reads through. */
static AttrNumber
column_read_through(const Node *expression)
{
	const Node *otherwise;

	if (IsA(expression, CollateExpr))
		expression = (const Node *) ((const CollateExpr *) expression)->arg;
	if (!IsA(expression, CaseExpr))
		return InvalidAttrNumber;
	otherwise = (const Node *) ((const CaseExpr *) expression)->defresult;
	if (otherwise && IsA(otherwise, RelabelType))
		otherwise = (const Node *) ((const RelabelType *) otherwise)->arg;
	return otherwise ? column_shown_plainly(otherwise) : InvalidAttrNumber;
}

/* What a rule has computed that has ended stays as it is. */
static ViewColumn *
column_of_expression(Relation rel, Node *expression)
{
	ViewColumn *column = palloc0(sizeof(ViewColumn));

	column->text = expression_deparse(expression, rel);
	column->type = exprType(expression);
	column->typmod = exprTypmod(expression);
	column->collation = exprCollation(expression);
	return column;
}

static ViewColumn *
view_column_as_kept(Relation rel, int release, const KeptColumn *kept, List *go)
{
	AttrNumber	plain = column_shown_plainly(kept->expression);
	ViewColumn *column = plain > 0 ? view_column_plain(rel, plain)
	: view_column_unstored(rel, release, kept->name, go);

	if (column == NULL)
	{
		AttrNumber	through = column_read_through(kept->expression);

		column = through > 0 ? view_column_now(rel, through, go)
			: column_of_expression(rel, kept->expression);
	}
	column->name = kept->name;
	return column;
}

List *
view_kept_columns(Relation rel, const ReleaseView *view, List *go)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, list_kept_columns(view))
		columns = lappend(columns,
						  view_column_as_kept(rel, view->release, lfirst(lc), go));
	return columns;
}

static bool
column_is_shown(const ViewColumn *column, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		ViewColumn *other = lfirst(lc);

		if (column->attnum > 0 ? other->attnum == column->attnum
			: strcmp(other->name, column->name) == 0)
			return true;
	}
	return false;
}

List *
view_kept_and_added(List *kept, List *columns, const ReleaseView *view)
{
	List	   *all = list_copy(kept);
	ListCell   *lc;

	foreach(lc, columns)
	{
		ViewColumn *column = lfirst(lc);

		if (column_is_shown(column, all))
			continue;
		if (!text_is_among(column->name, view_column_names(all)))
			all = lappend(all, column);
		else
			ereport(WARNING,
					(errcode(ERRCODE_WARNING),
					 errmsg("column \"%s\" is not added to view %s", column->name,
							quoting_relation(view->view)),
					 errdetail("The view shows another column of the table under that name."),
					 errhint("The views of a later release show both under their present names.")));
	}
	return all;
}

static bool
expression_reads(Relation rel, Node *expression, List *names)
{
	Bitmapset  *read = NULL;
	ListCell   *lc;

	pull_varattnos(expression, 1, &read);
	foreach(lc, names)
	{
		if (bms_is_member(get_attnum(RelationGetRelid(rel), lfirst(lc)) -
						  FirstLowInvalidHeapAttributeNumber, read))
			return true;
	}
	return false;
}

/*
 * A column that is read through does not need what up reads, once that goes:
 * see view_columns.
 */
static bool
column_is_lost(Relation rel, int release, const KeptColumn *kept, List *go)
{
	AttrNumber	attnum = column_shown_plainly(kept->expression);
	ListCell   *lc;

	foreach(lc, sync_list_unstored(RelationGetRelid(rel), release))
	{
		if (text_is_among(kept->name, ((SyncRule *) lfirst(lc))->new_columns))
			return expression_reads(rel, kept->expression, go);
	}
	if (attnum == InvalidAttrNumber)
		attnum = column_read_through(kept->expression);
	return attnum > 0
		? text_is_among(NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname), go)
		: expression_reads(rel, kept->expression, go);
}

List *
view_kept_lost(Relation rel, const ReleaseView *view, List *go)
{
	List	   *lost = NIL;
	ListCell   *lc;

	foreach(lc, list_kept_columns(view))
	{
		KeptColumn *kept = lfirst(lc);

		if (column_is_lost(rel, view->release, kept, go))
			lost = lappend(lost, kept->name);
	}
	return lost;
}

List *
view_kept_plain(Oid view, Oid relid)
{
	Relation	rel = relation_open_present(view, AccessShareLock);
	const Query *query = get_view_query(rel);
	List	   *attnums = NIL;
	ListCell   *lc;

	foreach(lc, relation_of_query(query, relid) > 0 ? query->targetList : NIL)
		attnums = lappend_int(attnums,
							  column_shown_plainly((Node *) lfirst_node(TargetEntry, lc)->expr));
	relation_close(rel, NoLock);
	return attnums;
}
