/*
 * finish.c
 *		What contract and abort have in common: removing syncs and columns.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/carried_end.h"
#include "api/carried_key.h"
#include "api/changed_default.h"
#include "api/column_rename.h"
#include "api/finish.h"
#include "api/moved_sequence.h"
#include "catalog/migration_rights.h"
#include "catalog/operation.h"
#include "catalog/registry.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/clock.h"
#include "core/lock.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/text.h"
#include "ending/compiled_functions.h"
#include "ending/operations.h"
#include "ending/remade_views.h"
#include "ending/tables.h"
#include "region/release_publication.h"
#include "trigger/install.h"
#include "trigger/writer_trigger.h"
#include "views/views_end.h"

List *
dropped_column_add(List *dropped, Oid relid, const char *name)
{
	ListCell   *lc;
	TableColumn *column;

	if (!relation_exists(relid) || get_attnum(relid, name) <= 0)
		return dropped;
	foreach(lc, dropped)
	{
		column = lfirst(lc);
		if (column->relation == relid && strcmp(column->name, name) == 0)
			return dropped;
	}
	column = palloc(sizeof(TableColumn));
	column->relation = relid;
	column->name = pstrdup(name);
	return lappend(dropped, column);
}

List *
finish_tables(const Migration *migration)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, sync_relations_of_migration(migration->id))
		relids = list_concat_unique_oid(relids, table_tree(lfirst_oid(lc)));
	return relids;
}

static void
finish_lock_tables(const Migration *migration, List *others)
{
	List	   *tables = sync_relations_of_migration(migration->id);
	List	   *relids = list_concat_unique_oid(list_copy(others),
												finish_tables(migration));

	/* so that no other view is created meanwhile */
	versioned_views_lock(tables, migration->release);
	lock_relations(list_concat_unique_oid(relids, versioned_views_of(tables, migration->release)),
				   AccessExclusiveLock);
}

/*
 * Nothing is waited for while a strong lock is held: neither a row that somebody
 * has locked in a transaction that stays open, nor a relation that is dropped
 * with a column.
 */
typedef struct LockedWork
{
	const Migration *migration;
	List	   *others;
	const WorkUnderLocks *work;
} LockedWork;

static void
try_work_under_locks(void *arg)
{
	LockedWork *locked = arg;

	/* an error takes back what the work does to it, too */
	Migration	migration = *locked->migration;

	if (locked->work->look_up)
		locked->work->look_up(&migration, locked->work->arg);
	registry_lock_rows(migration.id);
	finish_lock_tables(&migration, locked->others);
	locked->work->work(&migration, locked->work->arg);
}

/* The server's own error names neither the migration nor a remedy. */
static void
give_up_work(const Migration *migration, ErrorData *error)
{
	if (error->hint)
		ReThrowError(error);
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("could not end migration \"%s\" within %d s",
					migration->name, setting_lock_retry_time),
			 errdetail("Another session has locked what changes with its tables, and is not waited for while these are locked: %s.",
					   error->message),
			 errhint("Let that transaction end, see SELECT pid, relation::regclass, mode FROM pg_locks WHERE granted; then call it again; nothing was changed.")));
}

void
finish_under_locks(const Migration *migration, List *others,
				   const WorkUnderLocks *work)
{
	LockedWork	locked = {migration, others, work};
	int64		give_up = clock_after_ms(setting_lock_retry_time * INT64CONST(1000));
	double		pause = 0;
	ErrorData  *error;

	while ((error = lock_limited_try(try_work_under_locks, &locked,
									 setting_lock_timeout)) != NULL)
	{
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ReThrowError(error);
		if (clock_now() >= give_up)
			give_up_work(migration, error);
		FreeErrorData(error);
		interruptible_sleep(lock_next_pause(&pause));
	}
}

List *
dropped_columns_of_trees(List *dropped)
{
	List	   *columns = NIL;
	ListCell   *lc;
	ListCell   *table;

	foreach(lc, dropped)
	{
		TableColumn *column = lfirst(lc);

		foreach(table, table_tree(column->relation))
		{
			TableColumn *of_table = palloc(sizeof(TableColumn));

			of_table->relation = lfirst_oid(table);
			of_table->name = column->name;
			columns = lappend(columns, of_table);
		}
	}
	return columns;
}

static List *
lines_of_dropped_column(List *all, const TableColumn *column, List *lines)
{
	ListCell   *lc;

	foreach(lc, lines)
		all = lappend(all, psprintf("column %s of table %s: %s",
									quote_identifier(column->name),
									quoting_relation(column->relation),
									(char *) lfirst(lc)));
	return all;
}

List *
dropped_column_lines(List *dropped, ColumnLines lines,
					 const Migration *migration)
{
	List	   *columns = dropped_columns_of_trees(dropped);
	List	   *all = NIL;
	ListCell   *lc;
	ListCell   *of_column;

	if (columns == NIL)
		return NIL;
	forboth(lc, columns, of_column, lines(columns, migration->id))
		all = lines_of_dropped_column(all, lfirst(lc), lfirst(of_column));
	return all;
}

char *
lines_as_list(List *lines)
{
	return text_joined(lines, "- ", "\n");
}

List *
finish_dropped_with(const Migration *migration, List *dropped)
{
	return dropped_column_lines(dropped, column_objects_dropped_with, migration);
}

/* Reports what will be dropped. */
static void
announce_drop(const Migration *migration, List *objects)
{
	if (objects != NIL)
		ereport(NOTICE,
				(errmsg("dropping columns of migration \"%s\" drops what is built on them",
						migration->name),
				 errdetail("%s", lines_as_list(objects))));
}

void
finish_change_table(const Migration *migration, Oid relid,
					void (*change) (Oid relid, void *arg), void *arg)
{
	AuthorityScope scope;
	bool		entered = authority_enter_for(&scope, relid,
											  sync_expand_path(migration->id, relid));

	change(relid, arg);
	if (entered)
		authority_leave(&scope);
}

static void
uninstall_sync_of_table(Oid relid, void *arg)
{
	sync_install(relid);
	writer_trigger_end(relid);
}

static void
drop_column_of_table(Oid relid, void *name)
{
	column_drop(relid, name);
}

void
finish_drop(const Migration *migration, List *dropped, List *objects,
			List *functions, List *names, ColumnCheck check)
{
	List	   *renamed = NIL;
	List	   *primary = NIL;
	RemadeViews *views = NULL;
	ListCell   *lc;

	foreach(lc, sync_relations_of_migration(migration->id))
		finish_change_table(migration, lfirst_oid(lc),
							uninstall_sync_of_table, NULL);
	versioned_views_end(sync_relations_of_migration(migration->id),
						migration->id,
						migration->phase == PHASE_DONE ? migration->release : 0);
	release_publication_end(migration,
							migration->phase == PHASE_DONE ? migration->release : 0);
	announce_drop(migration, objects);
	if (migration->phase == PHASE_DONE)
	{
		carried_give_defaults(migration);
		moved_sequences(migration);
		views = remade_views_begin(migration);
		renamed = column_rename_all(migration, dropped);
		operations_run(migration);
		remade_views_drop(views);
	}
	if (check)
		check(migration, dropped);
	if (migration->phase == PHASE_DONE)
		primary = carried_keys_replace(migration);
	foreach(lc, dropped)
	{
		TableColumn *column = lfirst(lc);

		/* a statement of the user's may have dropped it */
		if (relation_exists(column->relation) &&
			get_attnum(column->relation, column->name) > 0)
		{
			sync_note_column_gone(column->relation, column->name);
			finish_change_table(migration, column->relation,
								drop_column_of_table, column->name);
		}
	}

	carried_take_names(migration, names);
	carried_keys_become_primary(migration, primary);
	if (migration->phase == PHASE_DONE)
		operations_run_on_carried(migration);
	if (views)
		remade_views_make(views);
	compiled_functions_renew(functions);

	/*
	 * they show the same, but by another name of the table's; not before a
	 * release could see what is dropped
	 */
	if (renamed != NIL)
		versioned_views_refresh(renamed);
	if (migration->phase == PHASE_DONE)
		operations_end_tables(migration);
	else
		tables_drop(operation_tables(migration->id, OPERATION_ADD_TABLE), AUTHORITY_PINNED_PATH);
	changed_default_end(migration);
	/* none of them has a column left that a release does not see */
	release_publication_follow(sync_relations_of_migration(migration->id), 0);
	foreach(lc, sync_list_of_migration(migration->id))
		fill_mark_delete(((SyncRule *) lfirst(lc))->id);
	migration_forget_rows(migration->id);
}

char *
dropped_columns_describe(List *dropped)
{
	StringInfoData text;
	ListCell   *lc;

	if (dropped == NIL)
		return NULL;
	initStringInfo(&text);
	foreach(lc, dropped)
	{
		TableColumn *column = lfirst(lc);

		appendStringInfo(&text, "%s%s.%s", text.len ? ", " : "dropped ",
						 quoting_relation(column->relation),
						 quote_identifier(column->name));
	}
	return text.data;
}
