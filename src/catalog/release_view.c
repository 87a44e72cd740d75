/*
 * release_view.c
 *		The views of releases: rows of tandem.view, and which columns they
 *		show.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "catalog/release_view.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/text.h"

/*
 * If a user drops a view, its row remains, and another relation may get its
 * OID some day.  So its schema is checked, too.  v is tandem.view.
 */
#define VIEWS_THERE \
	"tandem.view v JOIN pg_class c ON c.oid = v.view AND c.relkind = 'v' " \
	"JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname::text ~ ('(^|__)release_' || v.release || '$') "

/* The role that created migration m, or NULL if it was dropped. */
#define MIGRATION_CREATOR \
	"tandem.role_of(m.created_by)"

/* objsubid of the locks on the address of tandem.view */
#define LOCK_RELATION 1
#define LOCK_SCHEMA 2

char *
release_view_schema(int release)
{
	return psprintf("release_%d", release);
}

static bool
lock_view_object(uint32 id, uint16 kind)
{
	LOCKTAG		tag;
	Oid			classid = extension_relation("view", false);

	extension_refuse_upgrade();
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, classid, id, kind);
	return lock_wait(&tag, ExclusiveLock, lock_retry_ms());
}

void
release_view_lock(Oid relid)
{
	if (lock_view_object(relid, LOCK_RELATION))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("the views of table \"%s\" are being changed by another session",
					quoting_shown_name(relid)),
			 errhint("Let that session commit, then call this again.")));
}

void
release_view_lock_schema(int release)
{
	if (!lock_view_object(release, LOCK_SCHEMA))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("the views of release %d are being created by another session",
						release),
				 errhint("Let that session commit, then call this again.")));
	/* the previous holder may have created the schema */
	AcceptInvalidationMessages();
}

List *
release_view_list(Oid relid)
{
	TandemQuery query;
	List	   *views = NIL;
	uint64		rows;

	query_begin(&query);
	query_oid(&query, relid);
	rows = query_run(&query,
					 "SELECT v.view::oid, n.oid, v.release, v.relation::oid, v.definition FROM " VIEWS_THERE
					 "WHERE v.relation = $1 ORDER BY v.release");
	for (uint64 row = 0; row < rows; row++)
	{
		ReleaseView *view = palloc(sizeof(ReleaseView));

		view->view = query_get_oid(row, 1);
		view->schema = query_get_oid(row, 2);
		view->release = query_get_int(row, 3);
		view->relation = query_get_oid(row, 4);
		view->definition = query_get_text(row, 5);
		views = lappend(views, view);
	}
	query_end(&query);
	return views;
}

ReleaseView *
release_view_find(Oid relid, int release)
{
	ListCell   *lc;

	foreach(lc, release_view_list(relid))
	{
		if (((ReleaseView *) lfirst(lc))->release == release)
			return lfirst(lc);
	}
	return NULL;
}

List *
release_view_closed(List *relids)
{
	TandemQuery query;
	List	   *releases;
	uint64		rows;

	query_begin(&query);
	query_oid_list(&query, relids);
	rows = query_run(&query,
					 "SELECT DISTINCT v.release FROM " VIEWS_THERE "JOIN pg_class t ON t.oid = v.relation "
					 "WHERE v.relation::oid = ANY ($1) AND NOT (has_schema_privilege(t.relowner, n.oid, 'CREATE') "
					 "AND has_schema_privilege(t.relowner, n.oid, 'USAGE')) ORDER BY 1");
	releases = query_get_ints(rows);
	query_end(&query);
	return releases;
}

void
release_view_note(const ReleaseView *view)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, view->view);
	query_int(&query, view->release);
	query_oid(&query, view->relation);
	(void) query_run(&query,
					 "DELETE FROM tandem.view v WHERE v.view = $1 OR (v.release = $2 AND v.relation = $3) "
					 "OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = v.relation)");
	query_oid(&query, view->view);
	query_int(&query, view->release);
	query_oid(&query, view->relation);
	query_text(&query, view->definition);
	(void) query_run(&query,
					 "INSERT INTO tandem.view VALUES ($1::regclass, $2, $3::regclass, $4)");
	query_end(&query);
}

void
release_view_forget(Oid view)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, view);
	(void) query_run(&query, "DELETE FROM tandem.view WHERE view = $1");
	query_end(&query);
}

List *
release_view_schemas(void)
{
	TandemQuery query;
	List	   *schemas = NIL;
	uint64		rows;

	query_begin(&query);
	rows = query_run(&query,
					 "SELECT * FROM (SELECT DISTINCT ON (n.nspname) n.nspname, n.nspowner, v.release, t.relnamespace FROM " VIEWS_THERE
					 "JOIN pg_class t ON t.oid = v.relation GROUP BY n.nspname, n.nspowner, v.release, t.relnamespace "
					 "ORDER BY n.nspname, count(*) DESC, t.relnamespace) s ORDER BY release DESC, nspname");
	for (uint64 row = 0; row < rows; row++)
	{
		ViewSchema *schema = palloc(sizeof(ViewSchema));

		schema->name = query_get_text(row, 1);
		schema->owner = query_get_oid(row, 2);
		schema->release = query_get_int(row, 3);
		schema->tables_in = query_get_oid(row, 4);
		schemas = lappend(schemas, schema);
	}
	query_end(&query);
	return schemas;
}

List *
release_view_tables(int release)
{
	TandemQuery query;
	List	   *tables = NIL;
	uint64		rows;

	query_begin(&query);
	query_int(&query, release);
	rows = query_run(&query,
					 "SELECT t.oid, t.relnamespace, t.relowner, coalesce(w.maker, 0) FROM ("
					 "SELECT r.relation, " MIGRATION_CREATOR " AS maker, m.id AS place FROM "
					 "(SELECT migration, relation FROM tandem.sync UNION SELECT migration, relation FROM tandem.owned_column) r "
					 "JOIN tandem.migration m ON m.id = r.migration AND m.phase <> 'aborted' "
					 "UNION ALL SELECT v.relation, n.nspowner, NULL FROM " VIEWS_THERE "WHERE v.release = $1) w "
					 "JOIN pg_class t ON t.oid = w.relation ORDER BY w.place NULLS LAST, t.oid, w.maker");
	for (uint64 row = 0; row < rows; row++)
	{
		ViewedTable *table = palloc(sizeof(ViewedTable));

		table->relation = query_get_oid(row, 1);
		table->schema = query_get_oid(row, 2);
		table->owner = query_get_oid(row, 3);
		table->maker = query_get_oid(row, 4);
		tables = lappend(tables, table);
	}
	query_end(&query);
	return tables;
}

List *
release_view_hidden(Oid relid, int release, int ending)
{
	TandemQuery query;
	List	   *names;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, release);
	query_int(&query, ending);
	names = query_texts(&query,
						"SELECT unnest(s.new_columns)::text FROM tandem.sync s JOIN tandem.migration m ON m.id = s.migration "
						"WHERE s.relation = $1 AND m.phase <> 'aborted' AND m.release > $2 "

	/*
	 * columns of an ended migration were dropped; one of that name is another
	 * column
	 */
						"UNION SELECT unnest(s.old_columns)::text FROM tandem.sync s JOIN tandem.migration m ON m.id = s.migration "
						"WHERE s.relation = $1 AND NOT s.keep_old AND m.phase <> 'aborted' "
						"AND (((m.phase <> 'done' OR NOT s.stored) AND m.release <= $2) OR (s.stored AND m.phase = 'done' AND m.id = $3)) "
						"UNION SELECT o.column_name::text FROM tandem.owned_column o JOIN tandem.migration m ON m.id = o.migration "
						"WHERE o.relation = $1 AND ((m.phase <> 'aborted' AND m.release > $2) OR (m.phase = 'aborted' AND m.id = $3))");
	query_end(&query);
	return names;
}

char *
release_view_retired_by(Oid relid, int release)
{
	TandemQuery query;
	List	   *names;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, release);
	names = query_texts(&query,
						"SELECT m.name FROM tandem.migration m WHERE m.phase = 'done' AND m.release > $2 "
						"AND EXISTS (SELECT FROM tandem.sync s WHERE s.migration = m.id AND s.relation = $1) "
						"ORDER BY m.release LIMIT 1");
	query_end(&query);
	return names == NIL ? NULL : linitial(names);
}
