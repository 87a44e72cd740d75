/*
 * finish.c
 *		What contract and abort have in common: taking syncs and columns away.
 */
#include "postgres.h"

#include "api/finish.h"
#include "catalog/sync.h"
#include "core/lock.h"
#include "core/quoting.h"
#include "core/security.h"
#include "ddl/columns.h"
#include "ddl/install.h"
#include "ddl/partitions.h"
#include "lib/stringinfo.h"
#include "sync/quarantine.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

List *
doomed_add(List *doomed, Oid relid, const char *name)
{
	ListCell   *lc;
	DoomedColumn *column;

	if (get_rel_name(relid) == NULL || get_attnum(relid, name) <= 0)
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
doomed_obstacles(const Migration *migration, List *doomed, bool keys)
{
	List	   *reasons = NIL;
	ListCell   *lc;
	ListCell   *line;

	foreach(lc, doomed)
	{
		DoomedColumn *column = lfirst(lc);
		List	   *lines = column_dependents(column->relation, column->name,
											  migration->id);

		if (keys)
			lines = list_concat(column_keys(column->relation, column->name),
								lines);
		foreach(line, lines)
			reasons = lappend(reasons,
							  psprintf("column %s of table %s: %s",
									   quote_identifier(column->name),
									   quoting_relation(column->relation),
									   (char *) lfirst(line)));
	}
	return reasons;
}

void
finish_check_owner(const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, sync_relations_of_migration(migration->id))
		security_check_owner(lfirst_oid(lc));
}

void
finish_lock_tables(const Migration *migration)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, sync_relations_of_migration(migration->id))
		relids = list_concat_unique_oid(relids, table_tree(lfirst_oid(lc)));
	lock_relations(relids, AccessExclusiveLock);
}

/* Says what goes, before it goes. */
static void
announce_drop(const DoomedColumn *column)
{
	List	   *casualties = column_casualties(column->relation, column->name);

	if (casualties != NIL)
		ereport(NOTICE,
				(errmsg("dropping column \"%s\" of table \"%s\" drops what is built on it alone",
						column->name, get_rel_name(column->relation)),
				 errdetail("%s", lines_as_list(casualties))));
}

void
finish_drop(const Migration *migration, List *doomed)
{
	ListCell   *lc;

	foreach(lc, sync_relations_of_migration(migration->id))
		sync_install(lfirst_oid(lc));
	foreach(lc, doomed)
	{
		DoomedColumn *column = lfirst(lc);

		announce_drop(column);
		column_drop(column->relation, column->name);
	}
	quarantine_remove_all(migration->id);
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
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, lines)
		appendStringInfo(&text, "%s- %s", text.len ? "\n" : "",
						 (char *) lfirst(lc));
	return text.data;
}
