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

#include "catalog/release_view.h"
#include "core/authority.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "views/versioned_view.h"
#include "views/view_definition.h"
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

static void
begin_wanted_view(WantedView *wanted, int release, Oid relid, Oid schema,
				  int ending)
{
	AuthorityScope scope;
	List	   *hidden = release_view_hidden(relid, release, ending);

	wanted->release = release;
	wanted->schema = schema;
	wanted->rel = relation_open_present(relid, AccessShareLock);
	/* so that the text, which is compared, is the same in all sessions */
	authority_enter_owner(&scope, wanted->rel, "pg_catalog, pg_temp");
	authority_pin_catalog_forms();
	wanted->columns = view_columns(wanted->rel, release, hidden,
								   columns_that_go(relid, release, ending,
												   hidden));
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
 * Objects that depend on the view's row type count, too.  Triggers, rules and
 * defaults of the view itself would be dropped silently.
 */
static void
check_nothing_built_on_view(Oid view)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid(&query, view);
	lines = query_texts(&query,
						"SELECT line FROM tandem._view_dependents($1) ORDER BY line");
	query_end(&query);
	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("view %s cannot be replaced because other objects depend on it",
					quoting_relation(view)),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Drop these, then call it again.")));
}

/* The owner of the schema may drop anything in it. */
static void
drop_view(const ReleaseView *view)
{
	check_nothing_built_on_view(view->view);
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
	.definition = wanted->definition};

	if (view && !replace)
	{
		/* also keep what was granted only on the view */
		statements = list_concat(statements,
								 view_properties(view->view, wanted->names,
												 wanted->names, owner, qualified));
		drop_view(view);
	}
	if (!replace)
		check_view_name_is_free(wanted->schema, name);
	view_schema_grant(grants, wanted->schema, owner, true);
	run_as_view_owner(wanted,
					  list_make1(psprintf("CREATE %sVIEW %s WITH (security_invoker = true) AS %s",
										  replace ? "OR REPLACE " : "", qualified,
										  wanted->definition)));
	run_as_view_owner(wanted, statements);
	open_schema_to_grantees(wanted);
	made.view = get_relname_relid(name, wanted->schema);
	release_view_note(&made);
}

/*
 * Changes only privileges and comments, which takes no lock that blocks
 * readers.
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
remake_view(const WantedView *wanted, ReleaseView *view, List **grants)
{
	Relation	rel;
	bool		replace;

	/* not with the view locked, since it may have to wait */
	view_schema_grant(grants, wanted->schema, wanted->rel->rd_rel->relowner,
					  true);
	lock_relations(list_make1_oid(view->view), AccessExclusiveLock);
	follow_table_owner(wanted, view);
	rel = relation_open(view->view, NoLock);
	replace = view_may_be_replaced(wanted, rel);
	relation_close(rel, NoLock);
	make_view(wanted, view, replace, grants);
}

static void
drop_retired_view(const ReleaseView *view)
{
	lock_relations(list_make1_oid(view->view), AccessExclusiveLock);
	drop_view(view);
	view_schema_drop_unused(view->schema);
}

/* If so there is nothing to do; false if the view was altered by hand. */
static bool
view_is_as_noted(const WantedView *wanted, const ReleaseView *view)
{
	Relation	rel;
	bool		same;

	if (strcmp(wanted->definition, view->definition) != 0)
		return false;
	rel = relation_open_present(view->view, AccessShareLock);
	same = view_may_be_replaced(wanted, rel) &&
		RelationHasSecurityInvoker(rel) &&
		RelationGetNumberOfAttributes(rel) == list_length(wanted->columns);
	relation_close(rel, NoLock);
	return same;
}

void
versioned_view_make(int release, Oid relid, Oid schema, List **grants)
{
	WantedView	wanted;
	ReleaseView *view;

	view = release_view_find(relid, release);
	begin_wanted_view(&wanted, release, relid, schema, 0);
	/* check again, now that the table cannot change its owner */
	authority_check_owner(relid);
	if (view == NULL)
		make_view(&wanted, NULL, false, grants);
	else if (view_is_as_noted(&wanted, view) &&
			 !view_has_other_owner(&wanted, view))
		set_view_properties(&wanted, view, grants);
	else
		remake_view(&wanted, view, grants);
	end_wanted_view(&wanted);
}

/* Updates a view if its definition is not what it should be. */
static void
refresh_view(ReleaseView *view, int ending, List **grants)
{
	WantedView	wanted;

	begin_wanted_view(&wanted, view->release, view->relation, view->schema,
					  ending);
	if (strcmp(wanted.definition, view->definition) != 0)
		remake_view(&wanted, view, grants);
	end_wanted_view(&wanted);
}

void
versioned_views_lock(List *relids)
{
	ListCell   *lc;

	/* two sessions that grant at the same time would fail */
	foreach(lc, release_view_closed(relids))
		release_view_lock_schema(lfirst_int(lc));
	foreach(lc, relids)
		release_view_lock(lfirst_oid(lc));
}

void
versioned_views_refresh(List *relids)
{
	List	   *grants = NIL;
	ListCell   *lc;
	ListCell   *view;

	versioned_views_lock(relids);
	foreach(lc, relids)
	{
		foreach(view, release_view_list(lfirst_oid(lc)))
			refresh_view(lfirst(view), 0, &grants);
	}
	view_schema_revoke(grants);
}

List *
versioned_views_of(List *relids)
{
	List	   *views = NIL;
	ListCell   *lc;
	ListCell   *view;

	foreach(lc, relids)
	{
		foreach(view, release_view_list(lfirst_oid(lc)))
			views = lappend_oid(views, ((ReleaseView *) lfirst(view))->view);
	}
	return views;
}

void
versioned_views_check_retired(List *relids, int retired)
{
	ListCell   *lc;
	ListCell   *cell;

	foreach(lc, relids)
	{
		foreach(cell, release_view_list(lfirst_oid(lc)))
		{
			ReleaseView *view = lfirst(cell);

			if (view->release < retired)
				check_nothing_built_on_view(view->view);
		}
	}
}

void
versioned_views_end(List *relids, int ending, int retired)
{
	List	   *grants = NIL;
	ListCell   *lc;
	ListCell   *cell;

	foreach(lc, relids)
	{
		foreach(cell, release_view_list(lfirst_oid(lc)))
		{
			ReleaseView *view = lfirst(cell);

			if (view->release < retired)
				drop_retired_view(view);
			else
				refresh_view(view, ending, &grants);
		}
	}
	view_schema_revoke(grants);
}
