/*
 * versioned_view.c
 *		Creates, updates and drops the views that show a release its columns
 *		of a table.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/tablecmds.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/migration.h"
#include "catalog/release_view.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "views/tombstone.h"
#include "views/versioned_view.h"
#include "views/view_default.h"
#include "views/view_definition.h"
#include "views/view_kept.h"
#include "views/view_schema.h"

/* A view as it should be. */
typedef struct WantedView
{
	int			release;
	Relation	rel;			/* the table */
	Oid			schema;			/* schema of the view */
	List	   *columns;		/* list of ViewColumn */
	List	   *names;			/* their names */
	char	   *definition;
} WantedView;

/* What may become of the columns of a view that is there. */
typedef enum Shaping
{
	SHAPE_KEEP,					/* the same columns */
	SHAPE_ADD,					/* the same, and new ones at the end */
	SHAPE_ANEW,					/* those that the release sees */
} Shaping;

/* Returns the columns that go with the migration that is ending. */
static List *
columns_that_go(Oid relid, int release, int ending, List *hidden)
{
	List	   *stay;
	List	   *go = NIL;
	ListCell   *lc;

	if (ending == 0)
		return NIL;
	stay = release_view_hidden(relid, release, 0);
	foreach(lc, hidden)
	{
		if (!text_is_among(lfirst(lc), stay))
			go = lappend(go, lfirst(lc));
	}
	return go;
}

static List *
wanted_columns(Relation rel, int release, const ReleaseView *view,
			   Shaping shaping, int ending)
{
	List	   *hidden = release_view_hidden(RelationGetRelid(rel), release, ending);
	List	   *go = columns_that_go(RelationGetRelid(rel), release, ending, hidden);
	List	   *kept;

	if (shaping == SHAPE_ANEW)
		return view_columns(rel, release, hidden, go);
	kept = view_kept_columns(rel, view, go);
	return shaping == SHAPE_KEEP ? kept
		: view_kept_and_added(kept, view_columns(rel, release, hidden, go), view);
}

/*
 * view is NULL if there is none, and for what is left of one.
 */
static void
begin_wanted_view(WantedView *wanted, int release, Oid relid, Oid schema,
				  const ReleaseView *view, Shaping shaping, int ending)
{
	AuthorityScope scope;

	wanted->release = release;
	wanted->schema = schema;
	wanted->rel = relation_open_present(relid, AccessShareLock);
	/* so that the text, which is compared, is the same in all sessions */
	authority_enter_owner(&scope, wanted->rel, "pg_catalog, pg_temp");
	authority_pin_catalog_forms();
	wanted->columns = wanted_columns(wanted->rel, release, view, shaping, ending);
	wanted->names = view_column_names(wanted->columns);
	wanted->definition = view_definition(wanted->rel, wanted->columns);
	authority_leave(&scope);
}

static void
end_wanted_view(WantedView *wanted)
{
	table_close(wanted->rel, NoLock);
}

/* Is CREATE OR REPLACE sufficient?  It can only add columns at the end. */
static bool
view_may_be_replaced(const WantedView *wanted, Relation view)
{
	TupleDesc	desc = RelationGetDescr(view);

	if (desc->natts > list_length(wanted->columns))
		return false;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute is = TupleDescAttr(desc, i);
		ViewColumn *should = list_nth(wanted->columns, i);

		if (strcmp(NameStr(is->attname), should->name) != 0 ||
			is->atttypid != should->type ||
			is->atttypmod != should->typmod ||
			is->attcollation != should->collation)
			return false;
	}
	return true;
}

/*
 * Objects that depend on the view's row type count, too.  Triggers and rules of
 * the view itself would be dropped silently.
 */
static List *
view_dependents(Oid view)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid(&query, view);
	lines = query_texts(&query,
						"SELECT line FROM tandem._view_dependents($1) ORDER BY line");
	query_end(&query);
	return lines;
}

static void
check_nothing_built_on_view(Oid view, bool ended)
{
	List	   *lines = view_dependents(view);

	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 ended ? errmsg("view %s cannot be dropped because other objects depend on it",
							quoting_relation(view))
			 : errmsg("view %s cannot be replaced because other objects depend on it",
					  quoting_relation(view)),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Drop these, then call it again.")));
}

/* The owner of the schema may drop anything in it. */
static void
drop_view(const ReleaseView *view)
{
	check_nothing_built_on_view(view->view, view->ended);
	view_schema_run(view->schema,
					psprintf("DROP VIEW %s RESTRICT", quoting_relation(view->view)));
	release_view_forget(view->view);
}

static void
check_view_name_is_free(Oid schema, const char *name)
{
	if (OidIsValid(get_relname_relid(name, schema)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" in schema \"%s\" was not created by pg_tandem",
						name, quoting_shown_schema(schema)),
				 errdetail("It was created by hand, or shows a table of that name in another schema."),
				 errhint("Rename one of the two, then SELECT tandem.create_views again.")));
}

/* What an ended release has left of the view of a dropped table goes. */
static void
free_view_name(const WantedView *wanted, const char *name)
{
	Oid			relid = get_relname_relid(name, wanted->schema);
	ListCell   *lc;

	foreach(lc, OidIsValid(relid) ? release_view_of_releases(wanted->release,
															 wanted->release) : NIL)
	{
		ReleaseView *view = lfirst(lc);

		if (view->view == relid && view->relation == relid)
			drop_view(view);
	}
	check_view_name_is_free(wanted->schema, name);
}

/* Runs as the owner of the table, who owns the view. */
static void
run_as_view_owner(const WantedView *wanted, List *statements)
{
	ListCell   *lc;

	foreach(lc, statements)
		ddl_run_stored(RelationGetRelid(wanted->rel), lfirst(lc));
}

/* Returns the statements for what the view takes over from its table. */
static List *
view_properties_of_table(const WantedView *wanted, const char *qualified)
{
	return view_properties(RelationGetRelid(wanted->rel),
						   view_column_origins(wanted->columns), wanted->names,
						   wanted->rel->rd_rel->relowner, qualified);
}

/* Roles that may use the view need USAGE on its schema. */
static void
open_schema_to_grantees(const WantedView *wanted)
{
	ListCell   *lc;

	foreach(lc, view_properties_of_schema(RelationGetRelid(wanted->rel),
										  view_column_origins(wanted->columns),
										  wanted->names, wanted->rel->rd_rel->relowner,
										  wanted->schema))
		view_schema_change_rights(wanted->schema, lfirst(lc));
}

/*
 * Creates or replaces view (NULL if there is none) as the owner of the table:
 * its text contains expressions stored by the owner, and parsing these may run
 * the owner's code.
 */
static void
make_view(const WantedView *wanted, ReleaseView *view, bool replace,
		  List **grants)
{
	char	   *name = view ? quoting_raw_name(view->view)
	: pstrdup(RelationGetRelationName(wanted->rel));
	char	   *qualified = quote_qualified_identifier(quoting_raw_schema(wanted->schema),
													   name);
	List	   *statements = view_properties_of_table(wanted, qualified);
	Oid			owner = wanted->rel->rd_rel->relowner;
	ReleaseView made = {.release = wanted->release,
		.schema = wanted->schema,
		.relation = RelationGetRelid(wanted->rel),
		.definition = wanted->definition,
	.columns = wanted->names};

	if (view && !replace)
	{
		/* also keep what was granted only on the view */
		statements = list_concat(statements,
								 view_properties(view->view, wanted->names,
												 wanted->names, owner, qualified));
		drop_view(view);
	}
	if (!replace)
		free_view_name(wanted, name);
	view_schema_grant(grants, wanted->schema, owner, true);
	run_as_view_owner(wanted,
					  list_make1(psprintf("CREATE %sVIEW %s WITH (security_invoker = true) AS %s",
										  replace ? "OR REPLACE " : "", qualified,
										  wanted->definition)));
	run_as_view_owner(wanted, statements);
	open_schema_to_grantees(wanted);
	made.view = get_relname_relid(name, wanted->schema);
	view_defaults_follow(made.view, wanted->rel);
	release_view_note(&made);
}

/*
 * Changes only defaults, privileges and comments, which takes no lock that
 * blocks readers.
 */
static void
set_view_properties(const WantedView *wanted, const ReleaseView *view,
					List **grants)
{
	view_schema_grant(grants, wanted->schema, wanted->rel->rd_rel->relowner,
					  false);
	run_as_view_owner(wanted,
					  view_properties_of_table(wanted,
											   quoting_relation(view->view)));
	open_schema_to_grantees(wanted);
	view_defaults_follow(view->view, wanted->rel);
}

static bool
view_has_other_owner(const WantedView *wanted, const ReleaseView *view)
{
	Relation	rel = relation_open_present(view->view, AccessShareLock);
	bool		other = rel->rd_rel->relowner != wanted->rel->rd_rel->relowner;

	relation_close(rel, NoLock);
	return other;
}

/*
 * A view follows its table to a new owner, as indexes and sequences of the
 * table do.  Like these it does not require that the owner may create objects
 * in the schema.  The caller has locked the view.
 */
static void
follow_table_owner(const WantedView *wanted, const ReleaseView *view)
{
	bool		entered;

	if (!view_has_other_owner(wanted, view))
		return;
	/* the row of its type may be toasted */
	entered = snapshot_enter();
	ATExecChangeOwner(view->view, wanted->rel->rd_rel->relowner, true,
					  AccessExclusiveLock);
	CommandCounterIncrement();
	snapshot_leave(entered);
}

static void
refuse_altered_view(const ReleaseView *view)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("view %s was altered by hand", quoting_relation(view->view)),
			 errdetail("Its columns are not those that it was created with, and release %d may be using them.",
					   view->release),
			 errhint("If no node of release %d works, run DROP VIEW %s; SELECT tandem.create_views(%d);",
					 view->release, quoting_relation(view->view), view->release)));
}

/*
 * CREATE OR REPLACE takes no name back that was changed by hand.  The caller has
 * locked the view.
 */
static void
restore_names(const WantedView *wanted, const ReleaseView *view)
{
	Relation	rel = relation_open(view->view, NoLock);
	List	   *statements = NIL;
	ListCell   *name;

	foreach(name, view->columns)
	{
		int			i = foreach_current_index(name);
		char	   *is;

		if (i >= RelationGetNumberOfAttributes(rel))
			break;
		is = NameStr(TupleDescAttr(RelationGetDescr(rel), i)->attname);
		if (strcmp(is, lfirst(name)) != 0)
			statements = lappend(statements,
								 psprintf("ALTER VIEW %s RENAME COLUMN %s TO %s",
										  quoting_relation(view->view),
										  pstrdup(quote_identifier(is)),
										  quote_identifier(lfirst(name))));
	}
	relation_close(rel, NoLock);
	run_as_view_owner(wanted, statements);
}

static void
remake_view(const WantedView *wanted, ReleaseView *view, Shaping shaping,
			List **grants)
{
	Relation	rel;
	bool		replace;

	/* not with the view locked, since it may have to wait */
	view_schema_grant(grants, wanted->schema, wanted->rel->rd_rel->relowner,
					  true);
	lock_relations(list_make1_oid(view->view), AccessExclusiveLock);
	follow_table_owner(wanted, view);
	if (shaping != SHAPE_ANEW)
		restore_names(wanted, view);
	rel = relation_open(view->view, NoLock);
	replace = view_may_be_replaced(wanted, rel);
	relation_close(rel, NoLock);
	if (replace && view->ended)
		tombstone_open(view);
	if (!replace && shaping != SHAPE_ANEW)
		refuse_altered_view(view);
	make_view(wanted, view, replace, grants);
}

/* If so there is nothing to do; false if the view was altered by hand. */
static bool
view_is_as_noted(const WantedView *wanted, const ReleaseView *view)
{
	Relation	rel;
	bool		same;

	if (view->ended || strcmp(wanted->definition, view->definition) != 0)
		return false;
	rel = relation_open_present(view->view, AccessShareLock);
	same = view_may_be_replaced(wanted, rel) &&
		RelationHasSecurityInvoker(rel) &&
		RelationGetNumberOfAttributes(rel) == list_length(wanted->columns);
	relation_close(rel, NoLock);
	return same;
}

/*
 * A release that sessions may work as sees the same columns for as long as it
 * is served.
 */
static Shaping
shaping_of_view(const ReleaseView *view, bool refresh)
{
	if (view == NULL || view->ended || !release_view_is_fixed(view->release))
		return SHAPE_ANEW;
	return refresh ? SHAPE_ADD : SHAPE_KEEP;
}

void
versioned_view_make(int release, Oid relid, Oid schema, bool refresh,
					List **grants)
{
	ReleaseView *view = release_view_find(relid, release);
	Shaping		shaping = shaping_of_view(view, refresh);
	WantedView	wanted;

	begin_wanted_view(&wanted, release, relid, schema, view, shaping, 0);
	/* check again, now that the table cannot change its owner */
	authority_check_owner(relid);
	if (view == NULL)
		make_view(&wanted, NULL, false, grants);
	else if (view_is_as_noted(&wanted, view) &&
			 !view_has_other_owner(&wanted, view))
		set_view_properties(&wanted, view, grants);
	else
		remake_view(&wanted, view, shaping, grants);
	end_wanted_view(&wanted);
}

/* Returns false if something else depends on a view that must be made anew. */
static bool
view_may_be_remade(const WantedView *wanted, const ReleaseView *view)
{
	Relation	rel = relation_open_present(view->view, AccessShareLock);
	bool		replace = view_may_be_replaced(wanted, rel);

	relation_close(rel, NoLock);
	return replace || view_dependents(view->view) == NIL;
}

/*
 * Updates a view if its definition is not what it should be.  The shape of a
 * release that nobody works as yet may still change: its view may be older than
 * some of its migrations.
 */
static void
refresh_view(ReleaseView *view, int ending, List **grants)
{
	Shaping		shaping = shaping_of_view(view, false);
	WantedView	wanted;

	begin_wanted_view(&wanted, view->release, view->relation, view->schema,
					  view, shaping, ending);
	if (ending == 0 && shaping == SHAPE_ANEW && !view_may_be_remade(&wanted, view))
	{
		end_wanted_view(&wanted);
		shaping = SHAPE_KEEP;
		begin_wanted_view(&wanted, view->release, view->relation, view->schema,
						  view, shaping, ending);
	}
	if (strcmp(wanted.definition, view->definition) != 0)
		remake_view(&wanted, view, shaping, grants);
	end_wanted_view(&wanted);
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
				refresh_view(lfirst(view), 0, &grants);
		}
	}
	view_schema_revoke(grants);
}

/*-------------------------------------------------------------------------
 * The end of a migration, and of releases with it.
 *-------------------------------------------------------------------------
 */

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

/* Returns the columns that contract of the migration drops. */
static List *
columns_to_go(int migration_id, Oid relid)
{
	List	   *go = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_migration(migration_id))
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->relation == relid && !rule->keep_old)
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

static void
check_view_loses_nothing(const ReleaseView *view, List *go)
{
	List	   *lost = go == NIL || !release_view_is_fixed(view->release) ? NIL
	: lost_columns(view, go);

	if (lost == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("view %s of release %d shows columns that would be dropped",
					quoting_relation(view->view), view->release),
			 errdetail("Columns: %s.", text_joined(lost, "", ", ")),
			 errhint("If no node of release %d uses them, run DROP VIEW %s; then call it again, then SELECT tandem.create_views(%d);",
					 view->release, quoting_relation(view->view), view->release)));
}

void
versioned_views_check_end(List *relids, int ending, int retired)
{
	ListCell   *lc;
	ListCell   *cell;

	foreach(lc, retired > 0 ? views_that_end(relids, 1, retired - 1) : NIL)
		tombstone_check(lfirst(lc));
	foreach(lc, relids)
	{
		List	   *go = columns_to_go(ending, lfirst_oid(lc));

		foreach(cell, release_view_list(lfirst_oid(lc)))
		{
			ReleaseView *view = lfirst(cell);

			if (view->release >= retired && !view->ended)
				check_view_loses_nothing(view, go);
		}
	}
}

/*
 * The owner of the table makes it, since it has the name of a view of that
 * owner.
 */
static void
end_view(const ReleaseView *view, List **grants)
{
	Relation	rel = relation_open_present(view->view, AccessShareLock);
	Oid			owner = rel->rd_rel->relowner;

	relation_close(rel, NoLock);
	view_schema_grant(grants, view->schema, owner, true);
	lock_relations(list_make1_oid(view->view), AccessExclusiveLock);
	tombstone_make(view);
}

/*
 * Of the view of a later release nothing is taken.  One of the aborted
 * migration's own release, which goes on, ends until create_views: its nodes
 * must not read values of another meaning.
 */
static void
end_view_or_refresh(ReleaseView *view, int ending, int aborted, List **grants)
{
	List	   *hidden = release_view_hidden(view->relation, view->release, ending);
	List	   *go = columns_that_go(view->relation, view->release, ending, hidden);

	if (go != NIL && view->release == aborted &&
		release_view_is_fixed(view->release) && lost_columns(view, go) != NIL)
	{
		end_view(view, grants);
		return;
	}
	check_view_loses_nothing(view, go);
	refresh_view(view, ending, grants);
}

void
versioned_views_end(List *relids, int ending, int retired)
{
	List	   *grants = NIL;
	int			aborted = release_view_aborted(ending);
	int			release = migration_by_id(ending)->release;
	ListCell   *lc;
	ListCell   *cell;

	if (retired > 0)
	{
		foreach(lc, views_that_end(relids, 1, retired - 1))
			end_view(lfirst(lc), &grants);
	}
	else if (aborted > 0)
	{
		foreach(lc, views_that_end(relids, aborted, aborted))
			end_view(lfirst(lc), &grants);
	}
	foreach(lc, relids)
	{
		foreach(cell, release_view_list(lfirst_oid(lc)))
		{
			ReleaseView *view = lfirst(cell);

			if (!view->ended)
				end_view_or_refresh(view, ending, retired > 0 ? 0 : release, &grants);
		}
	}
	view_schema_revoke(grants);
}

void
versioned_views_drop(List *views)
{
	List	   *relids = NIL;
	List	   *schemas = NIL;
	ListCell   *lc;

	foreach(lc, views)
		relids = lappend_oid(relids, ((ReleaseView *) lfirst(lc))->view);
	lock_relations(relids, AccessExclusiveLock);
	foreach(lc, views)
	{
		ReleaseView *view = lfirst(lc);

		drop_view(view);
		schemas = list_append_unique_oid(schemas, view->schema);
	}
	foreach(lc, schemas)
		view_schema_drop_unused(lfirst_oid(lc));
}
