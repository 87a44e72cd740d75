/*
 * remade_views.c
 *		Contract drops the views of users over columns that are changed, and makes them
 *		again.
 *
 * The server cannot change the type of a view's column, and keeps a column that a
 * view reads.  Each statement runs as the owner of the view, under a pinned
 * search_path, for which the server has written it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/operation.h"
#include "core/error.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ending/held_rows.h"
#include "ending/lent_names.h"
#include "ending/operations.h"
#include "ending/remade_views.h"
#include "ending/tables.h"
#include "ending/user_views.h"
#include "ending/view_parts.h"

/*-------------------------------------------------------------------------
 * What is in the way.
 *-------------------------------------------------------------------------
 */

static bool
has_operation(const Migration *migration, OperationKind kind, Oid view)
{
	return user_view_is_noted(operation_list_of_kind(migration->id, kind), view);
}

bool
remade_view_is_left(const Migration *migration, Oid view)
{
	return has_operation(migration, OPERATION_LEAVE, view);
}

/* What it computes from the new values is another thing than before. */
static List *
lines_of_undecided(const Migration *migration, List *views)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, views)
	{
		const UserView *view = lfirst(lc);

		if (view->by_value && !has_operation(migration, OPERATION_CARRY, view->view) &&
			!remade_view_is_left(migration, view->view))
			lines = lappend(lines, psprintf("view %s, which computes from values that change: name it in carry or leave of tandem.change_column",
											quoting_relation(view->view)));
	}
	return lines;
}

static List *
lines_over_left(const Migration *migration, List *views)
{
	List	   *lines = NIL;
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, views)
	{
		if (remade_view_is_left(migration, ((UserView *) lfirst(lc))->view))
			left = lappend_oid(left, ((UserView *) lfirst(lc))->view);
	}
	foreach(lc, left != NIL ? drop_obstacles(left, 0, false) : NIL)
		lines = lappend(lines, psprintf("%s, over a view that is left out", (char *) lfirst(lc)));
	return lines;
}

typedef struct ReadAgain
{
	const UserView *view;
	char	   *statement;		/* of another view with its text */
	char	   *search_path;
	char	   *name;			/* of that view, without its schema */
	bool		same;
} ReadAgain;

/* What both depend on is the same, but for types and operators of the server itself. */
static bool
views_depend_alike(Oid view, Oid other)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, view);
	query_oid(&query, other);
	return !query_end_found(&query, query_run(&query,
											  "WITH d AS (SELECT r.ev_class, d.refclassid, d.refobjid, d.refobjsubid FROM pg_rewrite r "
											  "JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid "
											  "WHERE r.ev_class IN ($1, $2) AND r.rulename = '_RETURN' AND d.refobjid <> r.ev_class) "
											  "SELECT FROM d GROUP BY refclassid, refobjid, refobjsubid HAVING count(DISTINCT ev_class) = 1 LIMIT 1"));
}

static void
read_view_again(void *arg)
{
	ReadAgain  *again = arg;
	Oid			made;

	ddl_run_as(again->view->owner, again->statement, again->search_path);
	made = get_relname_relid(again->name, get_rel_namespace(again->view->view));
	again->same = OidIsValid(made) && views_depend_alike(again->view->view, made);
}

/* raw_expression_tree_walker: names for the columns of a table, by their places */
static bool
has_column_aliases(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
		return ((RangeVar *) node)->alias && ((RangeVar *) node)->alias->colnames != NIL;
	if (IsA(node, JoinExpr) && ((JoinExpr *) node)->alias &&
		((JoinExpr *) node)->alias->colnames != NIL)
		return true;
	return raw_expression_tree_walker(node, has_column_aliases, context);
}

/* The places are others once the old column is gone. */
static bool
names_columns_by_place(const char *statement)
{
	List	   *parsed = sql_parse(RAW_PARSE_DEFAULT, statement, NULL);
	ViewStmt   *stmt = (ViewStmt *) linitial_node(RawStmt, parsed)->stmt;

	return has_column_aliases(stmt->query, NULL);
}

/*
 * The server writes all names qualified but the operators of some constructs, as IS
 * DISTINCT FROM, for which the schemas of those that the view uses are in search_path.
 * To see what comes of it a view is made of the text, and not kept.
 */
static char *
problem_of_text(const UserView *view)
{
	ReadAgain	again = {.view = view};
	ViewStatement *statement;
	ErrorData  *error;

	/* the preview of a standby */
	if (XactReadOnly)
		return NULL;
	again.name = derived_name(quoting_raw_name(view->view), "tandem_again");
	statement = view_statement_behind_name(view->view);
	again.search_path = statement->search_path;
	again.statement = psprintf("CREATE VIEW %s%s",
							   quote_qualified_identifier(quoting_raw_schema(get_rel_namespace(view->view)), again.name),
							   statement->text);
	if (names_columns_by_place(again.statement))
		return psprintf("view %s, whose text gives the columns of a table other names",
						quoting_relation(view->view));
	error = subtransaction_rehearse(read_view_again, &again);
	/* a right that is missing is told by the rehearsal, or by the catalogs */
	if (error && (error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE || error_passes_with_others(error)))
		return NULL;
	if (error)
		return psprintf("view %s, whose text cannot be read again: %s",
						quoting_relation(view->view), error->message);
	return again.same ? NULL
		: psprintf("view %s, whose text depends on search_path", quoting_relation(view->view));
}

/* Of what a statement at contract names that is told which it leaves. */
static List *
views_not_named(const Migration *migration, List *views)
{
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, views)
	{
		UserView   *view = lfirst(lc);

		if (!operations_name(migration, InvalidOid, quoting_raw_name(view->view)))
			others = lappend(others, view);
	}
	return others;
}

static void
refuse_views(const Migration *migration, List *lines)
{
	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("views over changed columns of migration \"%s\" cannot be made again",
					migration->name),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Do what a line says; or drop these and, if they are still wanted, create them again after contract.")));
}

/* readable: gets the OIDs of those without a problem. */
static List *
lines_of_texts(const Migration *migration, List *views, List **readable)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, views)
	{
		const UserView *view = lfirst(lc);
		char	   *problem = remade_view_is_left(migration, view->view) ? NULL : problem_of_text(view);

		if (problem)
			lines = lappend(lines, problem);
		else
			*readable = lappend_oid(*readable, view->view);
	}
	return lines;
}

/* Under the locks, after the statements of users have run. */
static void
check_views_to_drop(const Migration *migration, List *views)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid_list(&query, user_views_oids(views));
	lines = query_texts(&query,
						"SELECT line FROM tandem._remake_problems($1) ORDER BY line COLLATE \"C\"");
	query_end(&query);
	lines = list_concat(lines, lines_of_undecided(migration, views_not_named(migration, views)));
	refuse_views(migration, list_concat(lines, lines_over_left(migration, views)));
}

/*-------------------------------------------------------------------------
 * Contract.
 *-------------------------------------------------------------------------
 */

typedef struct RemadeView
{
	const UserView *view;
	char	   *name;
	char	   *title;			/* for messages, while it has another name */
	Oid			schema;
	List	   *rights;			/* of ColumnRights */
	List	   *bindings;		/* what it names, of char * */
	bool		left;			/* it is not made again */
} RemadeView;

/*
 * A column of a table, the first of those that take its name one after the other, and
 * the one that takes it now; by their numbers, which stay.
 */
typedef struct Twins
{
	Oid			relation;
	AttrNumber	old;
	AttrNumber	new;
} Twins;

struct RemadeViews
{
	const Migration *migration;
	ChangedColumns columns;
	List	   *twins;			/* of Twins */
	List	   *views;			/* of RemadeView, a view after those that it
								 * reads */
	List	   *statements;		/* of ViewStatement */
};

RemadeViews *
remade_views_begin(const Migration *migration)
{
	RemadeViews *remade = palloc0(sizeof(RemadeViews));
	ListCell   *lc;

	remade->migration = migration;
	remade->columns = changed_columns_of_migration(migration);
	foreach(lc, sync_list_changing(migration->id))
	{
		const SyncRule *rule = lfirst(lc);
		List	   *before = sync_columns_before(rule);
		Twins	   *twins = palloc(sizeof(Twins));

		twins->relation = rule->relation;
		/* views still read this one, as long as there is one */
		twins->old = get_attnum(rule->relation, before != NIL ? llast(before) : linitial(rule->old_columns));
		twins->new = get_attnum(rule->relation, linitial(rule->new_columns));
		remade->twins = lappend(remade->twins, twins);
	}
	return remade;
}

/* By their names, since the column and views over it are others afterwards. */
static List *
bindings_of_view(Oid view)
{
	TandemQuery query;
	List	   *bindings;

	query_begin(&query);
	query_oid(&query, view);
	bindings = query_texts(&query,
						   "SELECT description FROM tandem._view_bindings($1) ORDER BY description COLLATE \"C\"");
	query_end(&query);
	return bindings;
}

/*
 * With the new type a function or operator of another name's owner could have been found
 * in the place of that which the view meant, and it runs with the rights of its readers.
 */
static void
check_bindings(const RemadeView *view, Oid made)
{
	List	   *bindings = bindings_of_view(made);

	if (same_strings(bindings, view->bindings))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("view \"%s\" would mean other objects with the new type of a column",
					view->name),
			 errdetail("Before: %s. Then: %s.", text_joined(view->bindings, "", ", "),
					   text_joined(bindings, "", ", ")),
			 errhint("Drop the view, and create it again after contract.")));
}

/* The texts name the new column, under the name that it has by now. */
static void
read_statements(void *arg)
{
	RemadeViews *remade = arg;
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, remade->twins)
	{
		const Twins *twins = lfirst(lc);
		char	   *old = get_attname(twins->relation, twins->old, false);
		char	   *new = get_attname(twins->relation, twins->new, false);

		lend_column_any_name(twins->relation, new);
		lend_column_name(twins->relation, old, new);
	}
	foreach(lc, remade->views)
	{
		RemadeView *view = lfirst(lc);

		relids = lappend_oid(relids, view->view->view);
		view->bindings = bindings_of_view(view->view->view);
	}
	remade->statements = view_statements(relids);
}

static void
add_views(RemadeViews *remade, List *views)
{
	ListCell   *lc;

	foreach(lc, views)
	{
		RemadeView *view = palloc0(sizeof(RemadeView));

		view->view = lfirst(lc);
		view->name = quoting_raw_name(view->view->view);
		view->title = psprintf("view %s", quoting_relation(view->view->view));
		view->schema = get_rel_namespace(view->view->view);
		view->rights = view_rights(view->view->view);
		view->left = remade_view_is_left(remade->migration, view->view->view);
		remade->views = lappend(remade->views, view);
	}
}

static void
read_views(RemadeViews *remade)
{
	List	   *views = user_views_of_columns(&remade->columns);

	if (views != NIL)
		check_views_to_drop(remade->migration, views);
	add_views(remade, views);
}

static const RemadeView *
find_view(const RemadeViews *remade, Oid relid)
{
	ListCell   *lc;

	foreach(lc, remade->views)
	{
		const RemadeView *view = lfirst(lc);

		if (view->view->view == relid)
			return view;
	}
	return NULL;
}

static void
run_statement_of_view(const RemadeView *view, const ViewStatement *statement)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		ddl_run_as(view->view->owner, statement->text, statement->search_path);
	}
	PG_CATCH();
	{
		/* hints of the server speak of its own statement */
		rethrow_explained(caller, true,
						  psprintf("The error is that of view %s, as it is made again. Drop the view, and create it again after contract.",
								   quote_identifier(view->name)));
	}
	PG_END_TRY();
}

/* Of those that are left out only what is before the drop. */
static void
run_statements(const RemadeViews *remade, bool before_drop)
{
	ListCell   *lc;

	foreach(lc, remade->statements)
	{
		const ViewStatement *statement = lfirst(lc);
		const RemadeView *view = find_view(remade, statement->view);

		if ((statement->step == VIEW_BEFORE_DROP) == before_drop &&
			(before_drop || !view->left))
			run_statement_of_view(view, statement);
	}
}

/* Nothing else depends on one than views that went before, and what counts for nothing. */
static void
drop_view(const RemadeView *view)
{
	Oid			relid = view->view->view;

	ddl_run_as(view->view->owner,
			   psprintf("DROP VIEW %s %s", quoting_relation(relid),
						drop_behavior(list_make1_oid(relid))),
			   AUTHORITY_PINNED_PATH);
}

void
remade_views_drop(RemadeViews *remade)
{
	ErrorData  *error;

	/* not before: a statement of the user's may have changed or dropped one */
	read_views(remade);
	if (remade->views == NIL)
		return;
	error = subtransaction_rehearse(read_statements, remade);
	if (error)
		ReThrowError(error);
	run_statements(remade, true);
	for (int i = list_length(remade->views) - 1; i >= 0; i--)
		drop_view(list_nth(remade->views, i));
}

void
remade_views_make(const RemadeViews *remade)
{
	ListCell   *lc;

	run_statements(remade, false);
	foreach(lc, remade->views)
	{
		const RemadeView *view = lfirst(lc);

		Oid			made = get_relname_relid(view->name, view->schema);

		if (view->left)
			continue;
		check_bindings(view, made);
		view_set_rights(made, view->view->owner, view->rights);
	}
}

/*-------------------------------------------------------------------------
 * The rehearsal.
 *
 * What fails with the new type fails before anything is refused for it: all views are
 * made as contract makes them, beside the old ones, which have other names meanwhile, and
 * taken back.  Nobody who reads or writes the table or the views is locked out.
 *-------------------------------------------------------------------------
 */

typedef struct Rehearsal
{
	RemadeViews *remade;
	List	   *failed;			/* of RemadeView */
	List	   *lines;			/* of char *, as many as of those */
} Rehearsal;

/* As column_rename_all will have it; what is replicated keeps its name. */
static void
lend_names_of_columns(const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, sync_list_changing(migration->id))
	{
		const SyncRule *rule = lfirst(lc);

		lend_primary_key(rule->relation, linitial(rule->old_columns),
						 linitial(rule->new_columns));
		if (table_is_replicated(rule->relation))
			continue;
		lend_column_any_name(rule->relation, rule->new_name);
		lend_column_name(rule->relation, linitial(rule->new_columns), rule->new_name);
	}
}

static void
note_failure(Rehearsal *rehearsal, const RemadeView *view, char *line)
{
	rehearsal->failed = lappend(rehearsal->failed, unconstify(RemadeView *, view));
	rehearsal->lines = lappend(rehearsal->lines, line);
}

static bool
is_among_problems(const UserView *view)
{
	TandemQuery query;

	query_begin(&query);
	query_oid_list(&query, list_make1_oid(view->view));
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM tandem._remake_problems($1) LIMIT 1"));
}

/* A view over one that could not be made, or is left out, is not told of. */
static bool
is_to_be_told(const Rehearsal *rehearsal, const RemadeView *view, const ErrorData *error)
{
	ListCell   *lc;

	if (error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE)
		return !is_among_problems(view->view);
	if (error->sqlerrcode != ERRCODE_UNDEFINED_TABLE)
		return true;
	foreach(lc, rehearsal->remade->views)
	{
		if (((const RemadeView *) lfirst(lc))->left)
			return false;
	}
	return rehearsal->failed == NIL;
}

static char *
line_of_failure(const RemadeView *view, const ViewStatement *statement, const ErrorData *error)
{
	if (statement->step == VIEW_ITSELF)
		return psprintf("%s, which cannot be made with the new type: %s", view->title,
						error->message);
	return psprintf("%s, for which this fails with the new type: %s: %s", view->title,
					text_shortened(statement->text, 200), error->message);
}

typedef struct StatementTry
{
	const RemadeView *view;
	const ViewStatement *statement;
} StatementTry;

static void
try_statement(void *arg)
{
	const StatementTry *try = arg;

	ddl_run_as(try->view->view->owner, try->statement->text, try->statement->search_path);
}

static void
rehearse_statement(Rehearsal *rehearsal, const ViewStatement *statement)
{
	StatementTry try = {find_view(rehearsal->remade, statement->view), statement};
	ErrorData  *error;

	if (statement->step == VIEW_BEFORE_DROP || statement->step == VIEW_OBJECT || try.view == NULL || try.view->left ||
		list_member_ptr(rehearsal->failed, try.view))
		return;
	error = subtransaction_try(try_statement, &try);
	if (error == NULL)
		return;
	if (error_passes_with_others(error))
		ReThrowError(error);
	note_failure(rehearsal, try.view,
				 is_to_be_told(rehearsal, try.view, error)
				 ? line_of_failure(try.view, statement, error) : NULL);
}

static void
rehearse_bindings(Rehearsal *rehearsal, const RemadeView *view)
{
	List	   *bindings;

	if (view->left || list_member_ptr(rehearsal->failed, view))
		return;
	bindings = bindings_of_view(get_relname_relid(view->name, view->schema));
	if (!same_strings(bindings, view->bindings))
		note_failure(rehearsal, view,
					 psprintf("%s, which would mean other objects with the new type: before %s; then %s",
							  view->title,
							  text_joined(view->bindings, "", ", "),
							  text_joined(bindings, "", ", ")));
}

static void
rehearse_remake(void *arg)
{
	Rehearsal  *rehearsal = arg;
	RemadeViews *remade = rehearsal->remade;
	ErrorData  *error;
	ListCell   *lc;

	lend_names_of_columns(remade->migration);
	error = subtransaction_rehearse(read_statements, remade);
	if (error)
		ReThrowError(error);
	foreach(lc, remade->views)
		lend_view_any_name(((const RemadeView *) lfirst(lc))->view->view);
	foreach(lc, remade->statements)
		rehearse_statement(rehearsal, lfirst(lc));
	foreach(lc, remade->views)
		rehearse_bindings(rehearsal, lfirst(lc));
}

static void
rehearse_and_take_back(void *arg)
{
	ErrorData  *error = subtransaction_rehearse(rehearse_remake, arg);

	if (error)
		ReThrowError(error);
}

/* What cannot be seen now, since others change it, contract meets under its locks. */
static bool
passes(const ErrorData *error)
{
	return error_passes_with_others(error) || error->sqlerrcode == ERRCODE_INTERNAL_ERROR;
}

static List *
relations_of_rehearsal(const RemadeViews *remade, List *views)
{
	List	   *relids = user_views_oids(views);
	ListCell   *lc;

	foreach(lc, remade->twins)
		relids = list_concat_unique_oid(relids, table_tree(((const Twins *) lfirst(lc))->relation));
	return relids;
}

/* views: all of the migration that are to be made again; told: OIDs of those to tell of. */
static List *
lines_of_rehearsal(const Migration *migration, List *views, List *told)
{
	Rehearsal	rehearsal = {.remade = remade_views_begin(migration)};
	ErrorData  *error;
	List	   *lines = NIL;
	ListCell   *lc;
	ListCell   *view;

	if (told == NIL || XactReadOnly)
		return NIL;
	/* nobody is waited for to look */
	if (held_rows(relations_of_rehearsal(rehearsal.remade, views), NIL) != NIL)
		return NIL;
	add_views(rehearsal.remade, views);
	error = lock_limited_try(rehearse_and_take_back, &rehearsal, setting_lock_timeout);
	if (error && !passes(error))
		ReThrowError(error);
	forboth(lc, rehearsal.lines, view, rehearsal.failed)
	{
		if (lfirst(lc) && list_member_oid(told, ((RemadeView *) lfirst(view))->view->view))
			lines = lappend(lines, lfirst(lc));
	}
	return lines;
}

/* told: those of the views, which are all of the migration, to tell of. */
static List *
lines_of_making(const Migration *migration, List *views, List *told)
{
	List	   *readable = NIL;
	List	   *lines = lines_of_texts(migration, told, &readable);

	return list_concat(lines, lines_of_rehearsal(migration, views, readable));
}

static List *
views_of_migration(const Migration *migration)
{
	ChangedColumns columns = changed_columns_of_migration(migration);

	return views_not_named(migration, user_views_of_columns(&columns));
}

List *
remade_views_unreadable(const Migration *migration, const SyncRule *rule)
{
	List	   *views = views_of_migration(migration);

	return lines_of_making(migration, views,
						   rule ? views_not_named(migration, user_views_of_rule(migration, rule)) : views);
}

static List *
lines_of_problems(const Migration *migration, bool rehearses)
{
	List	   *views = views_of_migration(migration);
	List	   *readable = NIL;
	List	   *lines = list_concat(lines_of_undecided(migration, views),
									rehearses ? lines_of_making(migration, views, views)
									: lines_of_texts(migration, views, &readable));

	return list_concat(lines, lines_over_left(migration, views));
}

List *
remade_views_problems(const Migration *migration)
{
	return lines_of_problems(migration, true);
}

/* Of what column_dependents knows that which no statement at contract takes away. */
static List *
lines_of_rights(List *views)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid_list(&query, user_views_oids(views));
	lines = query_texts(&query,
						"SELECT line FROM tandem._remake_problems($1) "
						"WHERE line NOT LIKE '%, which depends on a view of the column' ORDER BY line COLLATE \"C\"");
	query_end(&query);
	return lines;
}

void
remade_views_check(const Migration *migration, bool rehearses)
{
	List	   *lines = lines_of_problems(migration, rehearses);

	/* else it was asked what depends on the columns */
	if (operations_may_free_columns(migration))
		lines = list_concat(lines, lines_of_rights(views_of_migration(migration)));
	refuse_views(migration, lines);
}
