/*
 * user_views.c
 *		Views of users over columns that are changed: contract drops them, and makes
 *		them again.
 *
 * The server cannot change the type of a view's column, and keeps a column that a
 * view reads.  What a view is, the script's function tandem._remake_statements says;
 * each statement runs as the owner of the view, under a pinned search_path, for which
 * the server has written it.  Privileges are copied as they are: GRANT would need each
 * grantor.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteSupport.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/operation.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ending/operations.h"
#include "ending/tables.h"
#include "ending/user_views.h"

typedef struct ChangedColumn
{
	Oid			relation;		/* a table, or a view */
	AttrNumber	number;
} ChangedColumn;

typedef struct ChangedColumns
{
	List	   *all;			/* of ChangedColumn */
	List	   *valued;			/* those that get other values than the same cast */
} ChangedColumns;

static List *
add_column(List *columns, Oid relation, AttrNumber number)
{
	ChangedColumn *column = palloc(sizeof(ChangedColumn));

	column->relation = relation;
	column->number = number;
	return lappend(columns, column);
}

/* Also of partitions, in which it may have another number. */
static void
add_columns_of_rule(ChangedColumns *columns, const SyncRule *rule)
{
	ListCell   *lc;

	if (!rule_changes_column(rule) || !relation_exists(rule->relation))
		return;
	foreach(lc, table_tree(rule->relation))
	{
		AttrNumber	number = get_attnum(lfirst_oid(lc), linitial(rule->old_columns));

		if (number <= 0)
			continue;
		columns->all = add_column(columns->all, lfirst_oid(lc), number);
		if (!rule_casts_alone(rule))
			columns->valued = add_column(columns->valued, lfirst_oid(lc), number);
	}
}

static ChangedColumns
columns_of_migration(const Migration *migration)
{
	ChangedColumns columns = {NIL, NIL};
	ListCell   *lc;

	foreach(lc, sync_list_of_migration(migration->id))
		add_columns_of_rule(&columns, lfirst(lc));
	return columns;
}

/*-------------------------------------------------------------------------
 * What a view does with the column.
 *
 * To show it is one thing: the view shows the new values then.  To compute from it,
 * sort or select by it is another one.
 *-------------------------------------------------------------------------
 */

typedef struct ColumnUses
{
	List	   *columns;		/* of ChangedColumn */
	List	   *range_tables;	/* of the query and those around it, innermost
								 * first */
} ColumnUses;

static bool
is_of_columns(List *columns, Oid relation, AttrNumber number)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		const ChangedColumn *column = lfirst(lc);

		if (column->relation == relation &&
			(column->number == number || number == InvalidAttrNumber))
			return true;
	}
	return false;
}

/* Returns what a column of a join is, NULL if it is of none, or the whole row. */
static Node *
joined_column(const RangeTblEntry *rte, AttrNumber number)
{
	if (rte->rtekind != RTE_JOIN || number <= 0)
		return NULL;
	return list_nth(rte->joinaliasvars, number - 1);
}

static bool uses_columns_walker(Node *node, void *context);

static bool
variable_uses_columns(const Var *var, ColumnUses *uses)
{
	List	   *around = uses->range_tables;
	const RangeTblEntry *rte = rt_fetch(var->varno, list_nth(around, var->varlevelsup));
	Node	   *joined = joined_column(rte, var->varattno);
	bool		result;

	if (rte->rtekind == RTE_RELATION)
		return is_of_columns(uses->columns, rte->relid, var->varattno);
	if (joined == NULL)
		return rte->rtekind == RTE_JOIN;
	uses->range_tables = list_copy_tail(around, var->varlevelsup);
	result = uses_columns_walker(joined, uses);
	uses->range_tables = around;
	return result;
}

/* What a subquery reads counts, whatever is done with it around it. */
static bool
uses_columns_walker(Node *node, void *context)
{
	ColumnUses *uses = context;
	bool		result;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return variable_uses_columns((Var *) node, uses);
	if (!IsA(node, Query))
		return expression_tree_walker(node, uses_columns_walker, context);
	uses->range_tables = lcons(((Query *) node)->rtable, uses->range_tables);
	result = query_tree_walker((Query *) node, uses_columns_walker, context,
							   QTW_IGNORE_JOINALIASES);
	uses->range_tables = list_delete_first(uses->range_tables);
	return result;
}

static bool
merely_shows(const TargetEntry *entry, const Query *query, List *columns)
{
	Node	   *node = (Node *) entry->expr;

	if (entry->resjunk || entry->ressortgroupref != 0)
		return false;
	while (node && IsA(node, Var) && ((Var *) node)->varlevelsup == 0)
	{
		const Var  *var = (const Var *) node;
		const RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);

		if (rte->rtekind == RTE_RELATION)
			return var->varattno > 0 && is_of_columns(columns, rte->relid, var->varattno);
		node = joined_column(rte, var->varattno);
	}
	return false;
}

/*
 * Adds the columns of the view that show one of these.  Returns whether the view does
 * anything else with one.
 */
static bool
look_through_view(Relation view, List **columns)
{
	Query	   *query = copyObject(get_view_query(view));
	List	   *others = NIL;
	ColumnUses	uses = {.columns = *columns};
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		const TargetEntry *entry = lfirst(lc);

		if (merely_shows(entry, query, *columns))
			*columns = add_column(*columns, RelationGetRelid(view), entry->resno);
		else
			others = lappend(others, lfirst(lc));
	}
	query->targetList = others;
	if (!uses_columns_walker((Node *) query, &uses))
		return false;
	/* what it makes of them may be anything */
	foreach(lc, others)
		*columns = add_column(*columns, RelationGetRelid(view),
							  ((TargetEntry *) lfirst(lc))->resno);
	return true;
}

static void *
read_view(uint64 row)
{
	UserView   *view = palloc0(sizeof(UserView));

	view->view = query_get_oid(row, 1);
	view->owner = query_get_oid(row, 2);
	return view;
}

static List *
views_over(List *columns)
{
	TandemQuery query;
	List	   *relations = NIL;
	List	   *numbers = NIL;
	List	   *views;
	ListCell   *lc;

	if (columns == NIL)
		return NIL;
	foreach(lc, columns)
	{
		relations = lappend_oid(relations, ((ChangedColumn *) lfirst(lc))->relation);
		numbers = lappend_int(numbers, ((ChangedColumn *) lfirst(lc))->number);
	}
	query_begin(&query);
	query_oid_list(&query, relations);
	query_int_list(&query, numbers);
	views = query_rows(&query,
					   "SELECT view, owner FROM tandem._remade_views($1, $2) ORDER BY place, view",
					   read_view);
	query_end(&query);
	return views;
}

static List *
views_of_columns(const ChangedColumns *columns)
{
	List	   *views = views_over(columns->all);
	List	   *valued = list_copy(columns->valued);
	ListCell   *lc;

	foreach(lc, valued != NIL ? views : NIL)
	{
		UserView   *view = lfirst(lc);
		Relation	rel = relation_open_present(view->view, AccessShareLock);

		view->by_value = look_through_view(rel, &valued);
		relation_close(rel, NoLock);
	}
	return views;
}

List *
user_views_of_rule(const SyncRule *rule)
{
	ChangedColumns columns = {NIL, NIL};

	add_columns_of_rule(&columns, rule);
	return views_of_columns(&columns);
}

static List *
oids_of_views(List *views)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, views)
		relids = lappend_oid(relids, ((UserView *) lfirst(lc))->view);
	return relids;
}

List *
user_views_of_migration(const Migration *migration)
{
	ChangedColumns columns = columns_of_migration(migration);

	return oids_of_views(views_over(columns.all));
}

/*-------------------------------------------------------------------------
 * The statements.
 *-------------------------------------------------------------------------
 */

/* Steps of tandem._remake_statements; in between the views are dropped. */
#define STEP_BEFORE_DROP	0
#define STEP_VIEW			1

typedef struct RemakeStatement
{
	Oid			view;
	int			step;
	char	   *text;
	char	   *search_path;
} RemakeStatement;

static void *
read_statement(uint64 row)
{
	RemakeStatement *statement = palloc(sizeof(RemakeStatement));

	statement->view = query_get_oid(row, 1);
	statement->step = query_get_int(row, 2);
	statement->text = query_get_text(row, 3);
	statement->search_path = query_get_text(row, 4);
	return statement;
}

/* In the order in which they run. */
static List *
statements_of_views(List *relids)
{
	TandemQuery query;
	List	   *statements;

	if (relids == NIL)
		return NIL;
	query_begin(&query);
	authority_pin_catalog_forms();
	query_oid_list(&query, relids);
	statements = query_rows(&query,
							"SELECT view, step, statement, search_path FROM tandem._remake_statements($1) "
							"ORDER BY step, array_position($1, view), statement COLLATE \"C\"",
							read_statement);
	query_end(&query);
	return statements;
}

/* Returns the one that makes the view, with its text from behind the name. */
static RemakeStatement *
statement_of_view(Oid view)
{
	ListCell   *lc;

	foreach(lc, statements_of_views(list_make1_oid(view)))
	{
		RemakeStatement *statement = lfirst(lc);

		if (statement->step != STEP_VIEW)
			continue;
		statement->text += strlen("CREATE VIEW ") + strlen(quoting_relation(view));
		return statement;
	}
	quoting_raise_dropped(view);
	return NULL;
}

char *
user_view_definition(Oid view)
{
	char	   *text = strstr(statement_of_view(view)->text, " AS\n");

	return text ? text + strlen(" AS\n") : "";
}

/*-------------------------------------------------------------------------
 * What is in the way.
 *-------------------------------------------------------------------------
 */

static bool
has_operation(const Migration *migration, OperationKind kind, Oid view)
{
	const char *name = quoting_raw_name(view);
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, kind))
	{
		const Operation *operation = lfirst(lc);

		if (strcmp(operation->given, "view") == 0 && strcmp(operation->object, name) == 0)
			return true;
	}
	return false;
}

static bool
is_left(const Migration *migration, Oid view)
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
			!is_left(migration, view->view))
			lines = lappend(lines, psprintf("view %s, which computes from values that change",
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
		if (is_left(migration, ((UserView *) lfirst(lc))->view))
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

/*
 * The server writes all names qualified but the operators of some constructs, as IS
 * DISTINCT FROM, for which the schemas of those that the view uses are in search_path.
 * To see what comes of it a view is made of the text, and not kept.
 */
static char *
problem_of_text(const UserView *view)
{
	ReadAgain	again = {.view = view};
	RemakeStatement *statement;
	ErrorData  *error;

	/* the preview of a standby */
	if (XactReadOnly)
		return NULL;
	again.name = derived_name(quoting_raw_name(view->view), "tandem_again");
	statement = statement_of_view(view->view);
	again.search_path = statement->search_path;
	again.statement = psprintf("CREATE VIEW %s%s",
							   quote_qualified_identifier(quoting_raw_schema(get_rel_namespace(view->view)), again.name),
							   statement->text);
	error = subtransaction_rehearse(read_view_again, &again);
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

		if (!operations_name(migration, quoting_raw_name(view->view)))
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
			 errhint("Drop these and, if they are still wanted, create them again after contract.")));
}

List *
user_views_problems(const Migration *migration)
{
	ChangedColumns columns = columns_of_migration(migration);
	List	   *views = views_not_named(migration, views_of_columns(&columns));
	List	   *lines = lines_of_undecided(migration, views);
	ListCell   *lc;

	foreach(lc, views)
	{
		const UserView *view = lfirst(lc);
		char	   *problem = is_left(migration, view->view) ? NULL : problem_of_text(view);

		if (problem)
			lines = lappend(lines, problem);
	}
	return list_concat(lines, lines_over_left(migration, views));
}

void
user_views_check(const Migration *migration)
{
	refuse_views(migration, user_views_problems(migration));
}

/* Under the locks, after the statements of users have run. */
static void
check_views_to_drop(const Migration *migration, List *views)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid_list(&query, oids_of_views(views));
	lines = query_texts(&query,
						"SELECT line FROM tandem._remake_problems($1) ORDER BY line COLLATE \"C\"");
	query_end(&query);
	lines = list_concat(lines, lines_of_undecided(migration, views));
	refuse_views(migration, list_concat(lines, lines_over_left(migration, views)));
}

/*-------------------------------------------------------------------------
 * Privileges.
 *-------------------------------------------------------------------------
 */

typedef struct ColumnRights
{
	AttrNumber	number;			/* 0: of the view */
	Acl		   *acl;
} ColumnRights;

static List *
add_rights(List *rights, AttrNumber number, int cache, HeapTuple tuple, AttrNumber place)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(cache, tuple, place, &isnull);
	ColumnRights *of_column;

	if (isnull)
		return rights;
	of_column = palloc(sizeof(ColumnRights));
	of_column->number = number;
	of_column->acl = DatumGetAclPCopy(value);
	return lappend(rights, of_column);
}

/* Returns those that are not the default, of ColumnRights. */
static List *
rights_of_view(Oid view)
{
	List	   *rights = NIL;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
	int			count;

	if (!HeapTupleIsValid(tuple))
		quoting_raise_dropped(view);
	count = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	rights = add_rights(rights, 0, RELOID, tuple, Anum_pg_class_relacl);
	ReleaseSysCache(tuple);
	for (AttrNumber number = 1; number <= count; number++)
	{
		tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(view), Int16GetDatum(number));
		if (!HeapTupleIsValid(tuple))
			continue;
		rights = add_rights(rights, number, ATTNUM, tuple, Anum_pg_attribute_attacl);
		ReleaseSysCache(tuple);
	}
	return rights;
}

static void
note_members(Oid view, AttrNumber number, Oid owner, const Acl *old, const Acl *new)
{
	Oid		   *old_members = NULL;
	Oid		   *new_members = NULL;
	int			old_count = old ? aclmembers(old, &old_members) : 0;
	int			new_count = new ? aclmembers(new, &new_members) : 0;

	updateAclDependencies(RelationRelationId, view, number, owner,
						  old_count, old_members, new_count, new_members);
}

/* acl: NULL for the default.  The tuple is a copy. */
static void
store_rights(Relation catalog, HeapTuple tuple, AttrNumber place, Acl *acl)
{
	Datum		values[Max(Natts_pg_class, Natts_pg_attribute)] = {0};
	bool		nulls[Max(Natts_pg_class, Natts_pg_attribute)] = {0};
	bool		replaces[Max(Natts_pg_class, Natts_pg_attribute)] = {0};
	HeapTuple	changed;

	values[place - 1] = PointerGetDatum(acl);
	nulls[place - 1] = acl == NULL;
	replaces[place - 1] = true;
	changed = heap_modify_tuple(tuple, RelationGetDescr(catalog), values, nulls, replaces);
	CatalogTupleUpdate(catalog, &tuple->t_self, changed);
}

static void
set_rights(Oid view, Oid owner, AttrNumber number, Acl *acl)
{
	Oid			class = number == 0 ? RelationRelationId : AttributeRelationId;
	int			cache = number == 0 ? RELOID : ATTNUM;
	AttrNumber	place = number == 0 ? Anum_pg_class_relacl : Anum_pg_attribute_attacl;
	Relation	catalog = table_open(class, RowExclusiveLock);
	HeapTuple	tuple = number == 0 ? SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(view))
	: SearchSysCacheCopy2(ATTNUM, ObjectIdGetDatum(view), Int16GetDatum(number));
	bool		isnull;
	Datum		old;

	if (!HeapTupleIsValid(tuple))
		quoting_raise_dropped(view);
	old = SysCacheGetAttr(cache, tuple, place, &isnull);
	note_members(view, number, owner, isnull ? NULL : DatumGetAclPCopy(old), acl);
	store_rights(catalog, tuple, place, acl);
	heap_freetuple(tuple);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

/* What default privileges have given it, too, is replaced. */
static void
set_rights_of_view(Oid view, Oid owner, List *rights)
{
	ListCell   *lc;

	set_rights(view, owner, 0, NULL);
	foreach(lc, rights)
	{
		const ColumnRights *of_column = lfirst(lc);

		set_rights(view, owner, of_column->number, of_column->acl);
	}
}

/*-------------------------------------------------------------------------
 * Contract.
 *-------------------------------------------------------------------------
 */

typedef struct RemadeView
{
	const UserView *view;
	char	   *name;
	Oid			schema;
	List	   *rights;			/* of ColumnRights */
	bool		left;			/* it is not made again */
} RemadeView;

/* A column of a table and the one that takes its name, by their numbers, which stay. */
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
	List	   *views;			/* of RemadeView, a view after those that it reads */
	List	   *statements;		/* of RemakeStatement */
};

RemadeViews *
user_views_begin(const Migration *migration)
{
	RemadeViews *remade = palloc0(sizeof(RemadeViews));
	ListCell   *lc;

	remade->migration = migration;
	remade->columns = columns_of_migration(migration);
	foreach(lc, sync_list_of_migration(migration->id))
	{
		const SyncRule *rule = lfirst(lc);
		Twins	   *twins;

		if (!rule_changes_column(rule) || !relation_exists(rule->relation))
			continue;
		twins = palloc(sizeof(Twins));
		twins->relation = rule->relation;
		twins->old = get_attnum(rule->relation, linitial(rule->old_columns));
		twins->new = get_attnum(rule->relation, linitial(rule->new_columns));
		remade->twins = lappend(remade->twins, twins);
	}
	return remade;
}

static void
rename_column(Oid relid, const char *name, const char *new_name)
{
	ddl_run_stored(relid, psprintf("ALTER TABLE %s RENAME COLUMN %s TO %s",
								   quoting_relation(relid), quote_identifier(name),
								   pstrdup(quote_identifier(new_name))));
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

		rename_column(twins->relation, new, derived_name(new, "tandem_moved"));
		rename_column(twins->relation, old, new);
	}
	foreach(lc, remade->views)
		relids = lappend_oid(relids, ((RemadeView *) lfirst(lc))->view->view);
	remade->statements = statements_of_views(relids);
}

static void
read_views(RemadeViews *remade)
{
	List	   *views = views_of_columns(&remade->columns);
	ListCell   *lc;

	if (views != NIL)
		check_views_to_drop(remade->migration, views);
	foreach(lc, views)
	{
		RemadeView *view = palloc0(sizeof(RemadeView));

		view->view = lfirst(lc);
		view->name = quoting_raw_name(view->view->view);
		view->schema = get_rel_namespace(view->view->view);
		view->rights = rights_of_view(view->view->view);
		view->left = is_left(remade->migration, view->view->view);
		remade->views = lappend(remade->views, view);
	}
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

/* Of those that are left out only what is before the drop. */
static void
run_statements(const RemadeViews *remade, bool before_drop)
{
	ListCell   *lc;

	foreach(lc, remade->statements)
	{
		const RemakeStatement *statement = lfirst(lc);
		const RemadeView *view = find_view(remade, statement->view);

		if ((statement->step == STEP_BEFORE_DROP) == before_drop &&
			(before_drop || !view->left))
			ddl_run_as(view->view->owner, statement->text, statement->search_path);
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
user_views_drop(RemadeViews *remade)
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
user_views_make(const RemadeViews *remade)
{
	ListCell   *lc;

	run_statements(remade, false);
	foreach(lc, remade->views)
	{
		const RemadeView *view = lfirst(lc);

		if (!view->left)
			set_rights_of_view(get_relname_relid(view->name, view->schema),
							   view->view->owner, view->rights);
	}
}
