/*
 * versioned_view.c
 *		The views that show each release its own columns of a table: made,
 *		brought up to date, dropped.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/release_view.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/quoting.h"
#include "core/authority.h"
#include "core/settings.h"
#include "ddl/statement.h"
#include "ddl/versioned_view.h"
#include "ddl/view_definition.h"
#include "ddl/view_dress.h"

/* A view as it should be. */
typedef struct Wanted
{
	int			release;
	Relation	rel;			/* the table */
	List	   *columns;		/* of ViewColumn */
	List	   *names;			/* of the same columns */
	char	   *definition;
} Wanted;

static void
wanted_begin(Wanted *wanted, int release, Oid relid, int ending)
{
	AuthorityScope scope;

	wanted->release = release;
	wanted->rel = table_open(relid, AccessShareLock);
	/* the same text in every session, to be compared */
	authority_pin_search_path(&scope);
	authority_pin_catalog_forms();
	wanted->columns = view_columns(wanted->rel, release,
								   release_view_hidden(relid, release, ending));
	wanted->names = view_column_names(wanted->columns);
	wanted->definition = view_definition(wanted->rel, wanted->columns);
	authority_leave(&scope);
}

static void
wanted_end(Wanted *wanted)
{
	table_close(wanted->rel, NoLock);
}

/* Whether CREATE OR REPLACE can do it: it only adds columns at the end. */
static bool
may_replace(const Wanted *wanted, Relation view)
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
 * The row type of a view counts as the view.  Its own triggers, rules and
 * defaults would go with it unasked.
 */
static void
check_nothing_built_on(Oid view)
{
	TandemQuery query;
	List	   *lines;
	StringInfoData text;
	ListCell   *lc;

	query_begin(&query);
	query_oid(&query, view);
	lines = query_texts(&query,
						"SELECT DISTINCT CASE WHEN r.oid IS NOT NULL THEN format('view %s', r.ev_class::regclass) "
						"ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END "
						"FROM pg_depend d LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN' "
						"WHERE (d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 "
						"OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT unnest(ARRAY[t.oid, t.typarray]) FROM pg_type t WHERE t.typrelid = $1)) "
						"AND (d.deptype = 'n' OR d.deptype = 'a' AND d.classid IN ('pg_trigger'::regclass, 'pg_rewrite'::regclass, 'pg_attrdef'::regclass)) "
						"AND r.ev_class IS DISTINCT FROM $1 ORDER BY 1");
	query_end(&query);
	if (lines == NIL)
		return;
	initStringInfo(&text);
	foreach(lc, lines)
		appendStringInfo(&text, "%s- %s", text.len ? "\n" : "",
						 (char *) lfirst(lc));
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("view %s must be dropped or made anew, and is in use",
					quoting_relation(view)),
			 errdetail("%s", text.data),
			 errhint("Drop these, then call it again.")));
}

static void
drop_view(Oid view)
{
	check_nothing_built_on(view);
	ddl_run(psprintf("DROP VIEW %s RESTRICT", quoting_relation(view)));
	release_view_forget(view);
}

static void
check_name_is_free(const char *schema, const char *name)
{
	if (OidIsValid(get_relname_relid(name, get_namespace_oid(schema, false))))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" in schema \"%s\" is none of ours",
						name, schema),
				 errdetail("It was made by hand, or shows a table of that name in another schema."),
				 errhint("Rename one of the two, then SELECT tandem.create_views again.")));
}

/* What the view takes over from its table. */
static List *
dress_of(const Wanted *wanted, const char *schema, const char *qualified)
{
	return view_dress(RelationGetRelid(wanted->rel),
					  view_column_origins(wanted->columns), wanted->names,
					  GetUserId(), qualified, quote_identifier(schema));
}

/*
 * Makes or replaces view (NULL: there is none) as the current user, who owns it.
 */
static void
make_view(const Wanted *wanted, ReleaseView *view, bool replace)
{
	char	   *schema = release_view_schema(wanted->release);
	char	   *name = view ? get_rel_name(view->view)
	: pstrdup(RelationGetRelationName(wanted->rel));
	char	   *qualified = quote_qualified_identifier(schema, name);
	List	   *dress = dress_of(wanted, schema, qualified);
	ReleaseView made = {.release = wanted->release,
		.relation = RelationGetRelid(wanted->rel),
	.definition = wanted->definition};
	ListCell   *lc;

	if (view && !replace)
	{
		/* what was granted on the view alone, too */
		dress = list_concat(dress, view_dress(view->view, wanted->names, wanted->names,
											  GetUserId(), qualified,
											  quote_identifier(schema)));
		drop_view(view->view);
	}
	if (!replace)
		check_name_is_free(schema, name);
	ddl_run(psprintf("CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS %s",
					 qualified, wanted->definition));
	foreach(lc, dress)
		ddl_run(lfirst(lc));
	made.view = get_relname_relid(name, get_namespace_oid(schema, false));
	release_view_note(&made);
}

/* Privileges and comments alone: no lock that would stop a reader. */
static void
dress_view(const Wanted *wanted, ReleaseView *view)
{
	char	   *schema = release_view_schema(wanted->release);
	AuthorityScope scope;
	Relation	rel = relation_open(view->view, AccessShareLock);
	ListCell   *lc;

	authority_enter_owner(&scope, rel, NULL);
	foreach(lc, dress_of(wanted, schema, quoting_relation(view->view)))
		ddl_run(lfirst(lc));
	authority_leave(&scope);
	relation_close(rel, NoLock);
}

/* All of it, with the rights of the view's owner. */
static void
remake_view(const Wanted *wanted, ReleaseView *view)
{
	AuthorityScope scope;
	Relation	rel;
	bool		replace;

	lock_relations(list_make1_oid(view->view), AccessExclusiveLock);
	rel = relation_open(view->view, NoLock);
	replace = may_replace(wanted, rel);
	authority_enter_owner(&scope, rel, NULL);
	relation_close(rel, NoLock);
	make_view(wanted, view, replace);
	authority_leave(&scope);
}

/* Nothing is in it or known of it, and the current user may drop it. */
static bool
is_unused(Oid schema)
{
	TandemQuery query;
	bool		unused;

	query_begin(&query);
	query_oid(&query, schema);
	query_oid(&query, GetUserId());
	unused = query_run(&query,
					   "SELECT FROM pg_namespace n WHERE n.oid = $1 AND pg_has_role($2, n.nspowner, 'USAGE') "
					   "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid) "
					   "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid)") > 0;
	query_end(&query);
	return unused;
}

/* A schema whose last view has gone; where somebody puts a thing into it, it stays. */
static void
drop_empty_schema(int release)
{
	char	   *name = release_view_schema(release);
	Oid			schema = get_namespace_oid(name, true);
	LOCKTAG		tag;

	if (!is_unused(schema))
		return;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, NamespaceRelationId, schema, 0);
	if (lock_wait(&tag, AccessExclusiveLock, setting_lock_timeout) &&
		is_unused(schema))
		ddl_run(psprintf("DROP SCHEMA %s RESTRICT", quote_identifier(name)));
}

static void
drop_as_owner(ReleaseView *view)
{
	AuthorityScope scope;
	Relation	rel;

	lock_relations(list_make1_oid(view->view), AccessExclusiveLock);
	rel = relation_open(view->view, NoLock);
	authority_enter_owner(&scope, rel, NULL);
	relation_close(rel, NoLock);
	drop_view(view->view);
	drop_empty_schema(view->release);
	authority_leave(&scope);
}

/* Nothing to do, unless somebody has altered the view by hand. */
static bool
is_as_noted(const Wanted *wanted, const ReleaseView *view)
{
	Relation	rel;
	bool		same;

	if (strcmp(wanted->definition, view->definition) != 0)
		return false;
	rel = relation_open(view->view, AccessShareLock);
	same = may_replace(wanted, rel) && RelationHasSecurityInvoker(rel) &&
		RelationGetNumberOfAttributes(rel) == list_length(wanted->columns);
	relation_close(rel, NoLock);
	return same;
}

void
versioned_view_make(int release, Oid relid)
{
	Wanted		wanted;
	ReleaseView *view;

	view = release_view_find(relid, release);
	wanted_begin(&wanted, release, relid, 0);
	if (view == NULL)
		make_view(&wanted, NULL, false);
	else if (is_as_noted(&wanted, view))
		dress_view(&wanted, view);
	else
		remake_view(&wanted, view);
	wanted_end(&wanted);
}

/* Brings a view up to date, where its definition is not what it should be. */
static void
refresh_view(ReleaseView *view, int ending)
{
	Wanted		wanted;

	wanted_begin(&wanted, view->release, view->relation, ending);
	if (strcmp(wanted.definition, view->definition) != 0)
		remake_view(&wanted, view);
	wanted_end(&wanted);
}

void
versioned_views_refresh(List *relids)
{
	ListCell   *lc;
	ListCell   *view;

	foreach(lc, relids)
	{
		release_view_lock(lfirst_oid(lc));
		foreach(view, release_view_list(lfirst_oid(lc)))
			refresh_view(lfirst(view), 0);
	}
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
				check_nothing_built_on(view->view);
		}
	}
}

void
versioned_views_end(List *relids, int ending, int retired)
{
	ListCell   *lc;
	ListCell   *cell;

	foreach(lc, relids)
	{
		foreach(cell, release_view_list(lfirst_oid(lc)))
		{
			ReleaseView *view = lfirst(cell);

			if (view->release < retired)
				drop_as_owner(view);
			else
				refresh_view(view, ending);
		}
	}
}
