/*
 * published_ddl.c
 *		Has the publications of releases follow what is done to their tables.
 *
 * An event trigger, called after each command that creates or alters tables or a
 * publication, also of our own.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/event_trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"

#include "core/extension.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "region/release_publication.h"
#include "region/release_record.h"
#include "trigger/in_use.h"

SQL_FUNCTION(tandem_publications_follow);

/* Returns the topmost tables of those that the command has created or changed. */
static List *
roots_of_changed_tables(void)
{
	TandemQuery query;
	List	   *relids;
	List	   *roots = NIL;
	ListCell   *lc;

	query_begin(&query);
	relids = query_oids(&query,
						"SELECT DISTINCT c.objid FROM pg_event_trigger_ddl_commands() c JOIN pg_class k ON k.oid = c.objid "
						"WHERE c.classid = 'pg_class'::regclass AND k.relkind IN ('r', 'p') AND k.relpersistence = 'p'");
	query_end(&query);
	foreach(lc, relids)
		roots = list_append_unique_oid(roots, table_root(lfirst_oid(lc)));
	return roots;
}

/* Returns the tables that the command has taken out of a tree. */
static List *
detached_tables(Node *statement)
{
	List	   *relids = NIL;
	ListCell   *lc;

	if (!IsA(statement, AlterTableStmt))
		return NIL;
	foreach(lc, ((AlterTableStmt *) statement)->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		Oid			relid = InvalidOid;

		if (command->subtype == AT_DetachPartition ||
			command->subtype == AT_DetachPartitionFinalize)
			relid = RangeVarGetRelid(castNode(PartitionCmd, command->def)->name,
									 NoLock, true);
		if (OidIsValid(relid))
			relids = lappend_oid(relids, relid);
	}
	return relids;
}

/*
 * A source of schemas has a table no more that has left them, nor what it had as
 * a partition of it, wherever that lies.
 */
static List *
tables_of_trees(List *roots)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, roots)
		relids = list_concat(relids, table_tree(lfirst_oid(lc)));
	return relids;
}

static bool
renames_publication(Node *statement)
{
	return IsA(statement, RenameStmt) &&
		((RenameStmt *) statement)->renameType == OBJECT_PUBLICATION;
}

/* Of other options it is said that they are not followed. */
static bool
changes_published_tables(Node *statement)
{
	return IsA(statement, AlterPublicationStmt) &&
		((AlterPublicationStmt *) statement)->options == NIL;
}

static void
follow_command(Node *statement)
{
	List	   *roots;
	List	   *gone;

	if (changes_published_tables(statement))
		release_publication_source_changed(((AlterPublicationStmt *) statement)->pubname);
	if (IsA(statement, AlterPublicationStmt))
		return;

	if (renames_publication(statement))
	{
		/* notes the name, which a dump has */
		(void) release_record_list();
		return;
	}
	if (IsA(statement, RenameStmt))
		return;
	roots = roots_of_changed_tables();
	if (roots == NIL)			/* temporary tables, say */
		return;
	if (IsA(statement, AlterObjectSchemaStmt))
		gone = tables_of_trees(roots);
	else
	{
		gone = detached_tables(statement);
		roots = list_concat_unique_oid(roots, gone);
	}
	release_publication_table_changed(roots, gone);
}

Datum
tandem_publications_follow(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = (EventTriggerData *) fcinfo->context;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.publications_follow() can only be called as an event trigger"),
				 errhint("Its event trigger is created by CREATE EXTENSION pg_tandem.")));

	/*
	 * in pg_upgrade; a call of ours, which follows itself; where a dump
	 * brings the publications later
	 */
	if (!IsBinaryUpgrade && !ddl_is_ours() && extension_in_use() &&
		release_record_exists() && !restore_is_running())
		follow_command(data->parsetree);
	PG_RETURN_NULL();
}
