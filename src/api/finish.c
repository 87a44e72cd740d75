/*
 * finish.c
 *		What contract and abort have in common: taking syncs and columns away.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/finish.h"
#include "catalog/filled_leaf.h"
#include "catalog/sync.h"
#include "core/lock.h"
#include "core/quoting.h"
#include "core/text.h"
#include "core/authority.h"
#include "ddl/columns.h"
#include "ddl/install.h"
#include "ddl/partitions.h"
#include "ddl/versioned_view.h"

List *
doomed_add(List *doomed, Oid relid, const char *name)
{
	ListCell   *lc;
	DoomedColumn *column;

	if (quoting_find_name(relid) == NULL || get_attnum(relid, name) <= 0)
		return doomed;
	foreach(lc, doomed)
	{
		column = lfirst(lc);
		if (column->relation == relid && strcmp(column->name, name) == 0)
			return doomed;
	}
	column = palloc(sizeof(DoomedColumn));
	column->relation = relid;
	column->name = pstrdup(name);
	return lappend(doomed, column);
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

void
finish_lock_tables(const Migration *migration, List *others)
{
	List	   *tables = sync_relations_of_migration(migration->id);
	List	   *relids = list_concat_unique_oid(list_copy(others),
												finish_tables(migration));

	/* nobody makes another one meanwhile */
	versioned_views_lock(tables);
	lock_relations(list_concat_unique_oid(relids, versioned_views_of(tables)),
				   AccessExclusiveLock);
}

static List *
lines_of_column(List *all, const DoomedColumn *column, Oid relid,
				List *lines)
{
	ListCell   *lc;

	foreach(lc, lines)
		all = lappend(all, psprintf("column %s of table %s: %s",
									quote_identifier(column->name),
									quoting_relation(relid),
									(char *) lfirst(lc)));
	return all;
}

List *
doomed_lines(List *doomed, ColumnLines lines, const Migration *migration)
{
	List	   *all = NIL;
	ListCell   *lc;
	ListCell   *table;

	foreach(lc, doomed)
	{
		DoomedColumn *column = lfirst(lc);

		foreach(table, table_tree(column->relation))
			all = lines_of_column(all, column, lfirst_oid(table),
								  lines(lfirst_oid(table), column->name,
										migration->id));
	}
	return all;
}

/* Says what goes, before it goes. */
static void
announce_drop(const Migration *migration, List *doomed)
{
	List	   *casualties = doomed_lines(doomed, column_casualties, migration);

	if (casualties != NIL)
		ereport(NOTICE,
				(errmsg("dropping columns of migration \"%s\" drops what is built on them",
						migration->name),
				 errdetail("%s", lines_as_list(casualties))));
}

void
finish_change_table(Oid relid, void (*change) (Oid relid, void *arg),
					void *arg)
{
	AuthorityScope scope;
	bool		entered = authority_enter_for(&scope, relid);

	change(relid, arg);
	if (entered)
		authority_leave(&scope);
}

static void
uninstall_sync(Oid relid, void *arg)
{
	sync_install(relid);
}

static void
drop_column(Oid relid, void *name)
{
	column_drop(relid, name);
}

void
finish_drop(const Migration *migration, List *doomed)
{
	ListCell   *lc;

	foreach(lc, sync_relations_of_migration(migration->id))
		finish_change_table(lfirst_oid(lc), uninstall_sync, NULL);
	versioned_views_end(sync_relations_of_migration(migration->id),
						migration->id,
						migration->phase == PHASE_DONE ? migration->release : 0);
	announce_drop(migration, doomed);
	foreach(lc, doomed)
	{
		DoomedColumn *column = lfirst(lc);

		finish_change_table(column->relation, drop_column, column->name);
	}
	foreach(lc, sync_list_of_migration(migration->id))
		filled_leaf_forget(((SyncRule *) lfirst(lc))->id);
	migration_forget_rows(migration->id);
}

char *
doomed_describe(List *doomed)
{
	StringInfoData text;
	ListCell   *lc;

	if (doomed == NIL)
		return NULL;
	initStringInfo(&text);
	foreach(lc, doomed)
	{
		DoomedColumn *column = lfirst(lc);

		appendStringInfo(&text, "%s%s.%s", text.len ? ", " : "dropped ",
						 quoting_relation(column->relation),
						 quote_identifier(column->name));
	}
	return text.data;
}

char *
lines_as_list(List *lines)
{
	return text_joined(lines, "- ", "\n");
}
