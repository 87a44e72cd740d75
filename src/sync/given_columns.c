/*
 * given_columns.c
 *		Which columns the running INSERT or COPY names.
 *
 * The parser notes the named target columns of an INSERT for the check of
 * privileges; the active portal holds the plan and so those notes.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "nodes/parsenodes.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"

#include "core/compat.h"
#include "sync/given_columns.h"

/* Columns of a parent, by the numbers that they have in rel. */
static Bitmapset *
map_to_relation(Bitmapset *columns, Oid parent, Relation rel)
{
	Bitmapset  *mapped = NULL;
	int			i = -1;

	while ((i = bms_next_member(columns, i)) >= 0)
	{
		AttrNumber	attnum = i + FirstLowInvalidHeapAttributeNumber;
		char	   *name = get_attname(parent, attnum, true);

		if (attnum > 0 && name)
			mapped = bms_add_member(mapped, get_attnum(RelationGetRelid(rel),
													   name));
	}
	return mapped;
}

static Bitmapset *
copy_columns(CopyStmt *copy, Oid relid, bool *found)
{
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	*found = copy->is_from && copy->relation &&
		RangeVarGetRelid(copy->relation, NoLock, true) == relid;
	if (!*found)
		return NULL;
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

/*
 * A statement that the portal runs itself has its context right under the
 * portal's, and COPY works in that one; a statement that a function runs has
 * it under SPI's.
 */
static bool
is_run_by_portal(MemoryContext statement)
{
	return ActivePortal && list_length(ActivePortal->stmts) == 1 &&
		(statement == ActivePortal->portalContext ||
		 MemoryContextGetParent(statement) == ActivePortal->portalContext);
}

Bitmapset *
given_columns(Relation rel, MemoryContext statement, bool *known)
{
	PlannedStmt *stmt;
	List	   *targets = list_make1_oid(RelationGetRelid(rel));
	ListCell   *lc;

	*known = false;
	if (!is_run_by_portal(statement))
		return NULL;
	stmt = linitial_node(PlannedStmt, ActivePortal->stmts);
	if (rel->rd_rel->relispartition)
		targets = list_concat(targets,
							  get_partition_ancestors(RelationGetRelid(rel)));
	foreach(lc, targets)
	{
		Oid			target = lfirst_oid(lc);
		Bitmapset  *columns;

		if (stmt->commandType == CMD_UTILITY)
			columns = IsA(stmt->utilityStmt, CopyStmt)
				? copy_columns((CopyStmt *) stmt->utilityStmt, target, known)
				: NULL;
		else
			columns = compat_inserted_columns(stmt, target, known);
		if (*known)
			return map_to_relation(columns, target, rel);
	}
	return NULL;
}
