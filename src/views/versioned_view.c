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
#include "catalog/operation.h"
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
#include "views/view_dependents.h"
#include "views/view_kept.h"
#include "views/view_properties.h"
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
	SHAPE_TAKE,					/* the same, without those that go */
	SHAPE_ANEW,					/* those that the release sees */
} Shaping;

List *
versioned_view_columns_that_go(Oid relid, int release, int ending)
{
	List	   *stay;
	List	   *go = NIL;
	ListCell   *lc;

	if (ending == 0)
		return NIL;
	stay = release_view_hidden(relid, release, 0);
	foreach(lc, release_view_hidden(relid, release, ending))
	{
		if (!text_is_among(lfirst(lc), stay))
			go = lappend(go, lfirst(lc));
	}
	return go;
}

static List *
columns_without(List *columns, List *names)
{
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		if (!text_is_among(((ViewColumn *) lfirst(lc))->name, names))
			left = lappend(left, lfirst(lc));
	}
	return left;
}

static List *
wanted_columns(Relation rel, int release, const ReleaseView *view,
			   Shaping shaping, int ending)
{
	List	   *hidden = release_view_hidden(RelationGetRelid(rel), release, ending);
	List	   *go = versioned_view_columns_that_go(RelationGetRelid(rel), release,
													ending);
	List	   *kept;

	if (shaping == SHAPE_ANEW)
		return view_columns(rel, release, hidden, go);
	kept = view_kept_columns(rel, view, go);
	if (shaping == SHAPE_TAKE)
		return columns_without(kept, view_kept_lost(rel, view, go));
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
drop_view(Oid schema, Oid view)
{
	view_schema_run(schema,
					psprintf("DROP VIEW %s RESTRICT", quoting_relation(view)));
	release_view_forget(view);
}

void
versioned_view_drop(const ReleaseView *view)
{
	Oid			base = view->ended ? release_view_base(view->view) : InvalidOid;

	check_nothing_built_on_view(view->view, view->ended);
	drop_view(view->schema, view->view);
	if (OidIsValid(base))
		drop_view(view->schema, base);
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
			versioned_view_drop(view);
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

/* view is NULL if there is none. */
static ViewProperties
properties_of_view(const WantedView *wanted, const ReleaseView *view)
{
	return (ViewProperties)
	{
		.view = view ? view->view : InvalidOid,
			.table = RelationGetRelid(wanted->rel),
			.from = view_column_origins(wanted->columns),
			.names = wanted->names,
			.owner = wanted->rel->rd_rel->relowner,
			.taken = view ? view->taken : NIL
	};
}

/* Roles that may use the view need USAGE on its schema. */
static void
open_schema_to_grantees(const WantedView *wanted, List *roles)
{
	ListCell   *lc;

	foreach(lc, roles ? view_properties_of_schema(roles, wanted->schema) : NIL)
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
	: operation_table_name(wanted->release, RelationGetRelid(wanted->rel));
	char	   *qualified = quote_qualified_identifier(quoting_raw_schema(wanted->schema),
													   name);
	ViewProperties properties = properties_of_view(wanted, view);
	List	   *roles;
	List	   *statements = view_properties_new(&properties, qualified, &roles);
	char	   *options = view_options(view && !view->ended ? view->view : InvalidOid);
	List	   *defaults = view ? view_defaults_own(view) : NIL;
	ReleaseView made = {.release = wanted->release,
		.schema = wanted->schema,
		.relation = RelationGetRelid(wanted->rel),
		.definition = wanted->definition,
	.columns = wanted->names};

	if (view && !replace)
	{
		/* what was given to the view alone, too */
		statements = list_concat(view_properties_own(&properties, qualified),
								 statements);
		versioned_view_drop(view);
	}
	if (!replace)
		free_view_name(wanted, name);
	view_schema_grant(grants, wanted->schema, properties.owner, true);
	run_as_view_owner(wanted,
					  list_make1(psprintf("CREATE %sVIEW %s WITH (%s) AS %s",
										  replace ? "OR REPLACE " : "", qualified,
										  options, wanted->definition)));
	run_as_view_owner(wanted, statements);
	open_schema_to_grantees(wanted, roles);
	made.view = get_relname_relid(name, wanted->schema);
	properties.view = made.view;
	made.taken = view_properties_taken(&properties);
	made.own_defaults = view_defaults_follow(made.view, wanted->rel, defaults);
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
	ViewProperties properties = properties_of_view(wanted, view);
	ReleaseView set = *view;
	List	   *roles;

	view_schema_grant(grants, wanted->schema, properties.owner, false);
	run_as_view_owner(wanted,
					  view_properties_new(&properties,
										  quoting_relation(view->view), &roles));
	open_schema_to_grantees(wanted, roles);
	(void) view_defaults_follow(view->view, wanted->rel, view_defaults_own(view));
	set.taken = view_properties_taken(&properties);
	if (!same_strings(set.taken, view->taken))
		release_view_note(&set);
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
	char	   *drop = view_drop_call(view->view);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("view %s was altered by hand", quoting_relation(view->view)),
			 errdetail("Its columns are not those that it was created with, and release %d may be using them.",
					   view->release),
			 errhint("If no node of release %d works, run %s SELECT tandem.create_views(%d);",
					 view->release, drop, view->release)));
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
	Oid			base = InvalidOid;

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
	{
		base = release_view_base(view->view);
		tombstone_open(view);
	}
	if (!replace && (shaping == SHAPE_KEEP || shaping == SHAPE_ADD))
		refuse_altered_view(view);
	make_view(wanted, view, replace, grants);
	if (OidIsValid(base))
		drop_view(view->schema, base);
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
shaping_of_view(const ReleaseView *view, bool fixed, bool refresh)
{
	if (view == NULL || view->ended || !fixed)
		return SHAPE_ANEW;
	return refresh ? SHAPE_ADD : SHAPE_KEEP;
}

/*
 * Drops a view of a release that nobody works as yet, or what an ended one has left,
 * where the release has another name for the table since.
 */
static ReleaseView *
drop_view_of_other_name(ReleaseView *view, bool fixed)
{
	if (view == NULL || (fixed && !view->ended) ||
		strcmp(quoting_raw_name(view->view),
			   operation_table_name(view->release, view->relation)) == 0)
		return view;
	lock_relations(list_make1_oid(view->view), AccessExclusiveLock);
	versioned_view_drop(view);
	return NULL;
}

void
versioned_view_make(int release, Oid relid, Oid schema, bool fixed,
					bool refresh, List **grants)
{
	ReleaseView *view = drop_view_of_other_name(release_view_find(relid, release), fixed);
	Shaping		shaping = shaping_of_view(view, fixed, refresh);
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

/* Returns false if something else depends on a view that must be made again. */
static bool
view_may_be_remade(const WantedView *wanted, const ReleaseView *view)
{
	Relation	rel = relation_open_present(view->view, AccessShareLock);
	bool		replace = view_may_be_replaced(wanted, rel);

	relation_close(rel, NoLock);
	return replace || view_dependents(view->view) == NIL;
}

/*
 * The shape of a release that nobody works as yet may still change: its view
 * may be older than some of its migrations.
 */
void
versioned_view_refresh(ReleaseView *view, int ending, List **grants)
{
	Shaping		shaping = shaping_of_view(view, release_view_is_fixed(view->release),
										  false);
	WantedView	wanted;

	if (ending != 0 && shaping == SHAPE_KEEP &&
		!release_view_is_served(view->release))
		shaping = SHAPE_TAKE;
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
