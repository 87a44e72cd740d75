/*
 * view_default.c
 *		Gives the views of releases the defaults of their table's columns.
 *
 * ALTER VIEW ... SET DEFAULT would lock the view against its readers, and those
 * who wait for the table hold it: so the catalogs are written here, under a
 * lock against other DDL.  A statement that had looked the old default up
 * before may still use it, as if it had come before the change.
 *
 * A default that was set on the view by hand stays, and that is noted when it is
 * set: later the table's may have changed, too.
 *
 * An identity column has no default in the view: an INSERT through the view
 * leaves it to the table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "nodes/nodeFuncs.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/catalog_row.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "views/view_default.h"
#include "views/view_kept.h"

/* Returns the default of a column as it is stored, or NULL. */
static Node *
stored_default(Relation rel, AttrNumber attnum)
{
	const TupleDesc desc = RelationGetDescr(rel);
	const TupleConstr *constr = desc->constr;

	if (constr == NULL || TupleDescAttr(desc, attnum - 1)->attgenerated)
		return NULL;
	for (int i = 0; i < constr->num_defval; i++)
	{
		if (constr->defval[i].adnum == attnum)
			return stringToNode(constr->defval[i].adbin);
	}
	return NULL;
}

/* The caller removes the column's mark that there is one. */
static void
delete_default(Oid view, AttrNumber attnum)
{
	Relation	catalog = table_open(AttrDefaultRelationId, RowExclusiveLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_attrdef_adrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(view));
	ScanKeyInit(&keys[1], Anum_pg_attrdef_adnum, BTEqualStrategyNumber,
				F_INT2EQ, Int16GetDatum(attnum));
	scan = systable_beginscan(catalog, AttrDefaultIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		(void) deleteDependencyRecordsFor(AttrDefaultRelationId,
										  ((Form_pg_attrdef) GETSTRUCT(tuple))->oid,
										  false);
		catalog_row_delete(catalog, tuple);
	}
	systable_endscan(scan);
	table_close(catalog, RowExclusiveLock);
}

static void
mark_without_default(Oid view, AttrNumber attnum)
{
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy2(ATTNUM, ObjectIdGetDatum(view),
											Int16GetDatum(attnum));

	if (!HeapTupleIsValid(tuple))
		quoting_raise_dropped(view);
	((Form_pg_attribute) GETSTRUCT(tuple))->atthasdef = false;
	catalog_row_store(catalog, tuple);
	heap_freetuple(tuple);
	table_close(catalog, RowExclusiveLock);
}

static void
replace_default(Relation view, AttrNumber attnum, bool had, Node *expression)
{
	bool		entered;

	if (had)
	{
		delete_default(RelationGetRelid(view), attnum);
		mark_without_default(RelationGetRelid(view), attnum);
		CommandCounterIncrement();
	}
	if (expression)
	{
		entered = snapshot_enter();
		compat_store_default(view, attnum, expression);
		snapshot_leave(entered);
	}
	CommandCounterIncrement();
}

static void
lock_view_against_ddl(Oid view)
{
	if (ConditionalLockRelationOid(view, ShareUpdateExclusiveLock))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("view %s is being changed by another session",
					quoting_relation(view)),
			 errdetail("It is to get the defaults of its table."),
			 errhint("Let that session commit, then run the command again.")));
}

static const OwnDefault *
own_default_of(List *own, Form_pg_attribute att)
{
	ListCell   *lc;

	foreach(lc, own)
	{
		const OwnDefault *found = lfirst(lc);

		if (strcmp(found->column, NameStr(att->attname)) == 0 &&
			(found->expression == NULL ||
			 exprType(found->expression) == att->atttypid))
			return found;
	}
	return NULL;
}

/* What the column has of its table, which is NULL if the view is to have none. */
static Node *
default_of_table(Relation table, List *attnums, AttrNumber attnum)
{
	AttrNumber	from = attnum <= list_length(attnums)
	? list_nth_int(attnums, attnum - 1) : InvalidAttrNumber;

	return from > 0 ? stored_default(table, from) : NULL;
}

/* Sets those that differ. */
static List *
set_defaults(Oid view, Relation table, List *own)
{
	Relation	rel = relation_open_present(view, AccessShareLock);
	List	   *attnums = table ? view_kept_plain(view, RelationGetRelid(table)) : NIL;
	List	   *names = NIL;
	bool		locked = false;

	for (AttrNumber attnum = 1; attnum <= RelationGetNumberOfAttributes(rel); attnum++)
	{
		const OwnDefault *found = own_default_of(own,
												 TupleDescAttr(RelationGetDescr(rel), attnum - 1));
		Node	   *is = stored_default(rel, attnum);
		Node	   *should = found ? found->expression
		: default_of_table(table, attnums, attnum);

		if (found)
			names = lappend(names, found->column);
		if (equal(is, should))
			continue;
		if (!locked)
			lock_view_against_ddl(view);
		locked = true;
		replace_default(rel, attnum, is != NULL, should);
	}
	relation_close(rel, NoLock);
	return names;
}

List *
view_defaults_own(const ReleaseView *view)
{
	List	   *own = NIL;
	Relation	rel;
	ListCell   *lc;

	if (view->own_defaults == NIL)
		return NIL;
	rel = relation_open_present(view->view, AccessShareLock);
	foreach(lc, view->own_defaults)
	{
		AttrNumber	attnum = get_attnum(view->view, lfirst(lc));
		OwnDefault *found;

		if (attnum == InvalidAttrNumber)
			continue;
		found = palloc(sizeof(OwnDefault));
		found->column = lfirst(lc);
		found->expression = stored_default(rel, attnum);
		own = lappend(own, found);
	}
	relation_close(rel, NoLock);
	return own;
}

List *
view_defaults_altered(const ReleaseView *view, List *columns)
{
	Relation	rel = relation_open_present(view->view, AccessShareLock);
	Relation	table = relation_open_present(view->relation, AccessShareLock);
	List	   *attnums = view_kept_plain(view->view, view->relation);
	List	   *own = NIL;

	for (AttrNumber attnum = 1; attnum <= RelationGetNumberOfAttributes(rel); attnum++)
	{
		char	   *name = NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);

		if (text_is_among(name, columns)
			? !equal(stored_default(rel, attnum), default_of_table(table, attnums, attnum))
			: text_is_among(name, view->own_defaults))
			own = lappend(own, pstrdup(name));
	}
	relation_close(table, NoLock);
	relation_close(rel, NoLock);
	return own;
}

List *
view_defaults_follow(Oid view, Relation table, List *own)
{
	bool		entered = snapshot_enter();
	List	   *names = set_defaults(view, table, own);

	snapshot_leave(entered);
	return names;
}

void
view_defaults_remove(Oid view)
{
	bool		entered = snapshot_enter();

	(void) set_defaults(view, NULL, NIL);
	snapshot_leave(entered);
}
