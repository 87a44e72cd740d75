/*
 * table_change.c
 *		Has the views of releases follow what is done to their tables.
 *
 * An event trigger, called after each ALTER TABLE, also of our own, after each
 * ALTER VIEW, and for what was dropped.
 */
#include "postgres.h"

#include "access/table.h"
#include "commands/event_trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "catalog/release_view.h"
#include "catalog/sync.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "core/text.h"
#include "trigger/in_use.h"
#include "views/view_default.h"

SQL_FUNCTION(tandem_views_follow);

static bool
command_names_column(const AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableType type = lfirst_node(AlterTableCmd, lc)->subtype;

		if (type == AT_ColumnDefault || type == AT_AddColumn)
			return true;
	}
	return false;
}

/*
 * Is any column shown under another name than it has, or to get one?  Not where migrations
 * have no releases.
 */
static bool
any_other_name(void)
{
	return extension_index_has_rows("view", "view_pkey") ||
		extension_index_has_rows("sync", "sync_unstored_idx") ||
		extension_index_has_rows("sync", "sync_renamed_idx");
}

/* Most commands need no look at any catalog. */
static bool
command_may_concern_views(Node *statement)
{
	if (IsA(statement, RenameStmt))
		return ((RenameStmt *) statement)->renameType == OBJECT_COLUMN;
	return IsA(statement, AlterTableStmt) &&
		command_names_column((AlterTableStmt *) statement);
}

/* sql is a constant, see query_run. */
static List *
altered_relations(const char *sql)
{
	TandemQuery query;
	List	   *relids;

	query_begin(&query);
	relids = query_oids(&query, sql);
	query_end(&query);
	return relids;
}

static void
follow_defaults(Oid relid)
{
	List	   *views = release_view_list(relid);
	Relation	table;
	ListCell   *lc;

	if (views == NIL)
		return;
	table = relation_open_present(relid, AccessShareLock);
	foreach(lc, views)
	{
		ReleaseView *view = lfirst(lc);

		if (!view->ended)
			(void) view_defaults_follow(view->view, table,
										view_defaults_own(view));
	}
	table_close(table, NoLock);
}

/*
 * The name under which views show another column of the table must not become
 * ambiguous.  renamed: the column that gets it, or NULL for a new one.
 */
static void
check_name_is_free(Oid relid, const char *name, const char *renamed)
{
	SyncRule   *rule = sync_shown_under(relid, name);

	if (rule == NULL)
		return;
	/* that which is shown under the name is there in the place of this one */
	if (renamed && rule_changes_column(rule) &&
		text_is_among(renamed, rule->old_columns))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_COLUMN),
			 errmsg("the views of releases show another column of table %s as \"%s\"",
					quoting_relation(relid), name),
			 errdetail("Since migration \"%s\" it is the name of %s.",
					   rule->migration, text_joined(rule->old_columns, "", ", ")),
			 errhint("Choose another name.")));
}

static void
check_added_columns(Oid relid, const AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_AddColumn && command->def)
			check_name_is_free(relid, castNode(ColumnDef, command->def)->colname, NULL);
	}
}

/* Is the rule nothing but another name for its old column? */
static bool
rule_is_rename(const SyncRule *rule)
{
	return list_length(rule->old_columns) == 1 &&
		list_length(rule->new_columns) == 1 &&
		strcmp(linitial(rule->up),
			   quote_identifier(linitial(rule->old_columns))) == 0;
}

static void
follow_renamed_column(Oid relid, const RenameStmt *rename)
{
	ListCell   *lc;

	foreach(lc, sync_list_unstored_named(relid, rename->subname))
	{
		SyncRule   *rule = lfirst(lc);

		if (!rule_is_rename(rule))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("the views of releases compute a column from column \"%s\" of table %s",
							rename->subname, quoting_relation(relid)),
					 errdetail("Column \"%s\" of migration \"%s\" is computed by %s.",
							   (char *) linitial(rule->new_columns), rule->migration,
							   (char *) linitial(rule->up)),
					 errhint("Keep the name; or have a later release read a column that is stored, by tandem.add_column with up.")));
		sync_note_renamed(rule, rename->newname);
	}
	check_name_is_free(relid, rename->newname, rename->subname);
}

static List *
columns_given_default(const AlterTableStmt *statement)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		if (command->subtype == AT_ColumnDefault && command->name)
			columns = lappend(columns, command->name);
	}
	return columns;
}

/* Notes which defaults of our views were set by hand. */
static void
follow_altered_views(const AlterTableStmt *statement)
{
	List	   *columns = columns_given_default(statement);
	ListCell   *lc;

	foreach(lc, columns == NIL || ddl_is_ours() ? NIL
			: altered_relations("SELECT DISTINCT c.objid FROM pg_event_trigger_ddl_commands() c "
								"JOIN tandem.view v ON v.view = c.objid "
								"WHERE c.classid = 'pg_class'::regclass"))
	{
		ReleaseView *view = release_view_get(lfirst_oid(lc));

		if (view)
			release_view_note_defaults(view->view,
									   view_defaults_altered(view, columns));
	}
}

static void
follow_command(const EventTriggerData *data)
{
	ListCell   *lc;

	if (IsA(data->parsetree, AlterTableStmt))
		follow_altered_views((AlterTableStmt *) data->parsetree);
	foreach(lc, altered_relations("SELECT DISTINCT c.objid FROM pg_event_trigger_ddl_commands() c "
								  "WHERE c.classid = 'pg_class'::regclass AND c.object_type IN ('table', 'table column')"))
	{
		Oid			relid = lfirst_oid(lc);

		if (IsA(data->parsetree, RenameStmt))
			follow_renamed_column(relid, (RenameStmt *) data->parsetree);
		else
		{
			check_added_columns(relid, (AlterTableStmt *) data->parsetree);
			follow_defaults(relid);
		}
	}
}

static List *
dropped_relations(const char *sql)
{
	TandemQuery query;
	List	   *relids;

	query_begin(&query);
	relids = query_oids(&query, sql);
	query_end(&query);
	return relids;
}

/* Another relation may get the OID of one that is gone. */
static void
follow_drop(void)
{
	ListCell   *lc;

	foreach(lc, dropped_relations("SELECT v.view::oid FROM pg_event_trigger_dropped_objects() d "
								  "JOIN tandem.view v ON v.view = d.objid "
								  "WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0"))
		release_view_forget(lfirst_oid(lc));
	foreach(lc, dropped_relations("SELECT v.relation::oid FROM pg_event_trigger_dropped_objects() d "
								  "JOIN tandem.view v ON v.ended AND v.relation = d.objid "
								  "WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0"))
		release_view_table_dropped(lfirst_oid(lc));
}

Datum
tandem_views_follow(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = (EventTriggerData *) fcinfo->context;
	bool		drop;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.views_follow() can only be called as an event trigger"),
				 errhint("Its event triggers are created by CREATE EXTENSION pg_tandem.")));
	drop = strcmp(data->event, "sql_drop") == 0;

	/*
	 * in pg_upgrade; what we drop ourselves, and forget ourselves; before the
	 * extension is there or after it has gone
	 */
	if (IsBinaryUpgrade || (drop ? ddl_is_ours()
							: !command_may_concern_views(data->parsetree)) ||
		!extension_in_use() || !any_other_name())
		PG_RETURN_NULL();
	if (drop)
		follow_drop();
	else
		follow_command(data);
	PG_RETURN_NULL();
}
