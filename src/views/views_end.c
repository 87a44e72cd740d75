/*
 * views_end.c
 *		The views of tables when the fill of a migration, the migration or a
 *		release has ended.
 */
#include "postgres.h"

#include "access/relation.h"
#include "utils/rel.h"

#include "catalog/migration.h"
#include "catalog/operation.h"
#include "catalog/release_view.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/text.h"
#include "views/tombstone.h"
#include "views/versioned_view.h"
#include "views/view_dependents.h"
#include "views/view_kept.h"
#include "views/view_schema.h"
#include "views/views_end.h"

/* Is the view one of those that end with a release of these tables' owners? */
static bool
view_ends_with(const ReleaseView *view, List *relids, List *owners)
{
	Oid			owner;

	if (view->ended)
		return false;
	if (list_member_oid(relids, view->relation))
		return true;
	owner = authority_owner_of(view->relation);
	return OidIsValid(owner) &&
		compat_is_table_owner(view->relation, GetUserId()) &&
		(list_member_oid(owners, owner) || authority_is_granted(owner));
}

/*
 * Returns the views of the releases first to last over the tables, and over
 * other tables of the same owners or of roles that were granted to the caller.
 */
static List *
views_that_end(List *relids, int first, int last)
{
	List	   *owners = NIL;
	List	   *views = NIL;
	ListCell   *lc;

	foreach(lc, relids)
		owners = list_append_unique_oid(owners,
										authority_owner_of(lfirst_oid(lc)));
	foreach(lc, release_view_of_releases(first, last))
	{
		if (view_ends_with(lfirst(lc), relids, owners))
			views = lappend(views, lfirst(lc));
	}
	return views;
}

static List *
tables_with_views_that_end(List *relids, int release)
{
	List	   *all = list_copy(relids);
	ListCell   *lc;

	foreach(lc, release > 0 ? views_that_end(relids, 1, release) : NIL)
		all = list_append_unique_oid(all, ((ReleaseView *) lfirst(lc))->relation);
	list_sort(all, list_oid_cmp);
	return all;
}

void
versioned_views_lock(List *relids, int release)
{
	List	   *all = tables_with_views_that_end(relids, release);
	ListCell   *lc;

	/* two sessions that grant at the same time would fail */
	foreach(lc, release_view_closed(all))
		release_view_lock_schema(lfirst_int(lc));
	foreach(lc, all)
		release_view_lock(lfirst_oid(lc));
}

List *
versioned_views_of(List *relids, int release)
{
	List	   *views = NIL;
	ListCell   *lc;
	ListCell   *view;

	foreach(lc, relids)
	{
		foreach(view, release_view_list(lfirst_oid(lc)))
			views = lappend_oid(views, ((ReleaseView *) lfirst(view))->view);
	}
	foreach(lc, release > 0 ? views_that_end(relids, 1, release) : NIL)
		views = list_append_unique_oid(views, ((ReleaseView *) lfirst(lc))->view);
	return views;
}

void
versioned_views_refresh(List *relids)
{
	List	   *grants = NIL;
	ListCell   *lc;
	ListCell   *view;

	versioned_views_lock(relids, 0);
	foreach(lc, relids)
	{
		foreach(view, release_view_list(lfirst_oid(lc)))
		{
			if (!((ReleaseView *) lfirst(view))->ended)
				versioned_view_refresh(lfirst(view), 0, &grants);
		}
	}
	view_schema_revoke(grants);
}

/* Returns the columns that contract of the migration drops. */
static List *
columns_to_go(int migration_id, Oid relid)
{
	List	   *go = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_table(migration_id, relid))
	{
		SyncRule   *rule = lfirst(lc);

		if (!rule->keep_old)
			go = list_concat(go, list_copy(rule->old_columns));
	}
	return go;
}

static List *
lost_columns(const ReleaseView *view, List *go)
{
	Relation	rel = relation_open_present(view->relation, AccessShareLock);
	List	   *lost = view_kept_lost(rel, view, go);

	relation_close(rel, NoLock);
	return lost;
}

char *
versioned_view_call(const ReleaseView *view)
{
	return psprintf("SELECT tandem.create_views(%d, relations => ARRAY[%s]::regclass[]);",
					view->release,
					quote_literal_cstr(quoting_relation(view->relation)));
}

/* Returns what a release that is served would lose with the columns, or NIL. */
static List *
lost_to_nodes(const ReleaseView *view, List *go)
{
	return go == NIL || !release_view_is_served(view->release) ? NIL
		: lost_columns(view, go);
}

static void
check_view_loses_nothing(const ReleaseView *view, List *lost)
{
	char	   *drop;

	if (lost == NIL)
		return;
	drop = view_drop_call(view->view);
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("view %s of release %d shows columns that would be dropped",
					quoting_relation(view->view), view->release),
			 errdetail("Columns: %s.", text_joined(lost, "", ", ")),
			 errhint("If no node of release %d uses them, run %s then call it again, then %s from the first to the last no node of release %d can use the view.",
					 view->release, drop,
					 versioned_view_call(view), view->release)));
}

List *
versioned_views_that_lose(List *relids, int ending, int retired)
{
	List	   *losses = NIL;
	ListCell   *lc;
	ListCell   *cell;

	foreach(lc, relids)
	{
		List	   *go = columns_to_go(ending, lfirst_oid(lc));

		foreach(cell, release_view_list(lfirst_oid(lc)))
		{
			ReleaseView *view = lfirst(cell);
			List	   *lost = view->release < retired || view->ended ? NIL
			: lost_to_nodes(view, go);
			ViewLoss   *loss;

			if (lost == NIL)
				continue;
			loss = palloc(sizeof(ViewLoss));
			loss->view = view;
			loss->columns = lost;
			losses = lappend(losses, loss);
		}
	}
	return losses;
}

void
versioned_views_check_end(List *relids, int ending, int retired)
{
	ListCell   *lc;

	foreach(lc, retired > 0 ? views_that_end(relids, 1, retired - 1) : NIL)
		tombstone_check(lfirst(lc));
	foreach(lc, versioned_views_that_lose(relids, ending, retired))
	{
		ViewLoss   *loss = lfirst(lc);

		check_view_loses_nothing(loss->view, loss->columns);
	}
}

/* The views are locked.  Those of one schema mostly have the same owner. */
static void
end_views(List *views, List **grants)
{
	Oid			schema = InvalidOid;
	Oid			owner = InvalidOid;
	ListCell   *lc;

	foreach(lc, views)
	{
		ReleaseView *view = lfirst(lc);
		Oid			owner_of_view = authority_owner_of(view->view);

		if (view->schema != schema || owner_of_view != owner)
			view_schema_grant(grants, view->schema, owner_of_view, true);
		schema = view->schema;
		owner = owner_of_view;
		tombstone_make(view);
	}
}

/*
 * Of the view of a later release nothing is taken.  One of the aborted
 * migration's own release, which continues, ends until create_views: its nodes
 * must not read values of another meaning.
 */
static void
end_view_or_refresh(ReleaseView *view, int ending, int aborted, List **grants)
{
	List	   *go = versioned_view_columns_that_go(view->relation, view->release,
													ending);

	if (go != NIL && view->release == aborted &&
		release_view_is_served(view->release) && lost_columns(view, go) != NIL)
	{
		end_views(list_make1(view), grants);
		return;
	}
	check_view_loses_nothing(view, lost_to_nodes(view, go));
	versioned_view_refresh(view, ending, grants);
}

void
versioned_views_end(List *relids, int ending, int retired)
{
	List	   *grants = NIL;
	int			aborted = release_view_aborted(ending);
	int			release = migration_by_id(ending)->release;
	List	   *dropped = retired > 0 ? NIL : operation_tables(ending, OPERATION_ADD_TABLE);
	ListCell   *lc;
	ListCell   *cell;

	if (retired > 0)
		end_views(views_that_end(relids, 1, retired - 1), &grants);
	else if (aborted > 0)
		end_views(views_that_end(relids, aborted, aborted), &grants);
	foreach(lc, relids)
	{
		foreach(cell, release_view_list(lfirst_oid(lc)))
		{
			ReleaseView *view = lfirst(cell);

			if (view->ended)
				continue;
			if (list_member_oid(dropped, view->relation))
				end_views(list_make1(view), &grants);
			else
				end_view_or_refresh(view, ending, retired > 0 ? 0 : release, &grants);
		}
	}
	view_schema_revoke(grants);
}

void
versioned_views_drop(List *views)
{
	List	   *relids = NIL;
	List	   *bases = NIL;
	List	   *schemas = NIL;
	ListCell   *lc;

	foreach(lc, views)
		relids = lappend_oid(relids, ((ReleaseView *) lfirst(lc))->view);
	lock_relations(relids, AccessExclusiveLock);
	foreach(lc, relids)
		bases = lappend_oid(bases, release_view_base(lfirst_oid(lc)));
	foreach(lc, views)
	{
		ReleaseView *view = lfirst(lc);

		/* one whose view was dropped by hand is the base of none */
		if (!list_member_oid(bases, view->view))
			versioned_view_drop(view);
		schemas = list_append_unique_oid(schemas, view->schema);
	}
	foreach(lc, schemas)
		view_schema_drop_unused(lfirst_oid(lc));
}
