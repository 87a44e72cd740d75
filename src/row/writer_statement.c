/*
 * writer_statement.c
 *		What the statement that fires the sync trigger says about columns.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "nodes/parsenodes.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "row/writer_statement.h"

/*-------------------------------------------------------------------------
 * Finding the columns that the running INSERT or COPY names.
 *
 * The parser records the target columns of an INSERT for the permission check.
 * They are in the plan that the active portal holds.
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
		char	   *name = get_attname(parent, attnum, true);

		if (attnum > 0 && name)
			mapped = bms_add_member(mapped, get_attnum(RelationGetRelid(rel),
													   name));
	}
	return mapped;
}

static Bitmapset *
columns_of_copy(CopyStmt *copy, Oid relid, bool *found)
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
 * A statement run by the portal itself has its context directly below the
 * portal's (COPY uses the portal's own).  A statement run by a function has
 * its context below SPI's, and the active portal tells nothing about it.
 */
static bool
statement_is_run_by_portal(MemoryContext statement)
{
	return ActivePortal && list_length(ActivePortal->stmts) == 1 &&
		(statement == ActivePortal->portalContext ||
		 MemoryContextGetParent(statement) == ActivePortal->portalContext);
}

static Bitmapset *
named_columns(Relation rel, MemoryContext statement, bool *known)
{
	PlannedStmt *stmt;
	List	   *targets = list_make1_oid(RelationGetRelid(rel));
	ListCell   *lc;

	*known = false;
	if (!statement_is_run_by_portal(statement))
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
				? columns_of_copy((CopyStmt *) stmt->utilityStmt, target,
								  known)
				: NULL;
		else
			columns = compat_inserted_columns(stmt, target, known);
		if (*known)
			return map_columns_to_relation(columns, target, rel);
	}
	return NULL;
}

WriterStatement *
writer_statement_find(Relation rel, MemoryContext statement)
{
	MemoryContext caller = MemoryContextSwitchTo(statement);
	WriterStatement *found = palloc0(sizeof(WriterStatement));

	found->named = named_columns(rel, statement, &found->known);
	MemoryContextSwitchTo(caller);
	return found;
}

bool
writer_statement_gives_default(const WriterStatement *statement,
							   AttrNumber attnum)
{
	return false;
}

bool
writer_statement_computes_from_itself(const WriterStatement *statement,
									  AttrNumber attnum)
{
	return false;
}
