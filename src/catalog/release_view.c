/*
 * release_view.c
 *		The views of releases: rows of tandem.view, and which columns they
 *		show.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "catalog/registry.h"
#include "catalog/release_view.h"
#include "catalog/session_release.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/text.h"

/* objsubid of the locks on the address of tandem.view */
#define LOCK_RELATION 1
#define LOCK_SCHEMA 2
#define LOCK_PREFIX 3

char *
release_view_schema(int release)
{
	return psprintf("%s%d", release_prefix(), release);
}

static bool
lock_view_object(uint32 id, uint16 kind, LOCKMODE mode)
{
	LOCKTAG		tag;
	Oid			classid = extension_relation("view", false);

	extension_refuse_upgrade();
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, classid, id, kind);
	return lock_wait(&tag, mode, lock_retry_ms());
}

void
release_view_lock(Oid relid)
{
	if (lock_view_object(relid, LOCK_RELATION, ExclusiveLock))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("the views of table \"%s\" are being changed by another session",
					quoting_shown_name(relid)),
			 errhint("Let that session commit, then call this again.")));
}

void
release_view_lock_prefix(LOCKMODE mode)
{
	if (!lock_view_object(0, LOCK_PREFIX, mode))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 mode == ShareLock
				 ? errmsg("the prefix of the schemas of releases is being changed by another session")
				 : errmsg("views of a release are being created by another session"),
				 errhint("Let that session commit, then call this again.")));
	/* the previous holder may have changed it */
	AcceptInvalidationMessages();
}

void
release_view_lock_schema(int release)
{
	release_view_lock_prefix(ShareLock);
	if (!lock_view_object(release, LOCK_SCHEMA, ExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("the views of release %d are being created by another session",
						release),
				 errhint("Let that session commit, then call this again.")));
	/* the previous holder may have created the schema */
	AcceptInvalidationMessages();
}

#define VIEW_SELECT \
	"SELECT view, schema, release, relation, definition, columns, ended, taken, own_defaults FROM tandem._release_views "

static void *
read_release_view(uint64 row)
{
	ReleaseView *view = palloc(sizeof(ReleaseView));

	view->view = query_get_oid(row, 1);
	view->schema = query_get_oid(row, 2);
	view->release = query_get_int(row, 3);
	view->relation = query_get_oid(row, 4);
	view->definition = query_get_text(row, 5);
	view->columns = query_get_strings(row, 6);
	view->ended = query_get_bool(row, 7);
	view->taken = query_get_strings(row, 8);
	view->own_defaults = query_get_strings(row, 9);
	return view;
}

List *
release_view_list(Oid relid)
{
	TandemQuery query;
	List	   *views;

	query_begin(&query);
	query_oid(&query, relid);
	views = query_rows(&query,
					   VIEW_SELECT "WHERE relation = $1 ORDER BY release",
					   read_release_view);
	query_end(&query);
	return views;
}

List *
release_view_of_releases(int first, int last)
{
	TandemQuery query;
	List	   *views;

	query_begin(&query);
	query_int(&query, first);
	query_int(&query, last);
	views = query_rows(&query,
					   VIEW_SELECT "WHERE release BETWEEN $1 AND $2 ORDER BY release, view",
					   read_release_view);
	query_end(&query);
	return views;
}

int
release_view_aborted(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	return query_end_int(&query, query_run(&query, "SELECT release FROM tandem._ended_release($1)"));
}

static bool
release_is_declared(int release)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	return query_end_found(&query, query_run_latest(&query,
													"SELECT FROM tandem.declared_sessions() d WHERE d.release = $1 AND d.pid <> pg_backend_pid() LIMIT 1"));
}

/* While no release is registered there is no fence, and any may work. */
bool
release_view_is_fixed(int release)
{
	Registry	registry;

	registry_read(&registry);
	return registry.highest == 0 || release_view_is_served(release);
}

bool
release_view_is_served(int release)
{
	Registry	registry;

	registry_read(&registry);
	if (registry.highest == 0)
		return false;
	switch (registry_state_of(&registry, release))
	{
		case RELEASE_READ_ONLY:
		case RELEASE_UNKNOWN:
			return release_is_declared(release);
		default:
			return true;
	}
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

ReleaseView *
release_view_get(Oid view)
{
	TandemQuery query;
	List	   *views;

	query_begin(&query);
	query_oid(&query, view);
	views = query_rows(&query, VIEW_SELECT "WHERE view = $1 AND NOT ended",
					   read_release_view);
	query_end(&query);
	return views ? linitial(views) : NULL;
}

Oid
release_view_table(Oid relid)
{
	TandemQuery query;

	if (get_rel_relkind(relid) != RELKIND_VIEW)
		return relid;
	query_begin(&query);
	query_oid(&query, relid);
	if (query_run_latest(&query,
						 "SELECT relation FROM tandem._release_views WHERE view = $1") > 0)
		relid = query_get_oid(0, 1);
	query_end(&query);
	return relid;
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
					 "SELECT DISTINCT release FROM tandem._release_views WHERE relation = ANY ($1) "
					 "AND NOT (has_schema_privilege(relation_owner, schema, 'CREATE') "
					 "AND has_schema_privilege(relation_owner, schema, 'USAGE')) ORDER BY 1");
	releases = query_get_ints(rows);
	query_end(&query);
	return releases;
}

void
release_view_note(const ReleaseView *view)
{
	TandemQuery query;

	/* sessions remember that there is none: see extension_in_use */
	registry_changed();
	query_begin(&query);
	query_oid(&query, view->view);
	query_int(&query, view->release);
	query_oid(&query, view->relation);
	(void) query_run(&query,
					 "DELETE FROM tandem.view v WHERE v.view = $1 OR (v.release = $2 AND v.relation = $3)");
	query_oid(&query, view->view);
	query_int(&query, view->release);
	query_oid(&query, view->relation);
	query_text(&query, view->definition);
	query_datum(&query, NAMEARRAYOID,
				array_from_strings(view->columns, NAMEOID), false);
	query_bool(&query, view->ended);
	query_datum(&query, TEXTARRAYOID,
				array_from_strings(view->taken, TEXTOID), false);
	query_datum(&query, NAMEARRAYOID,
				array_from_strings(view->own_defaults, NAMEOID), false);
	(void) query_run(&query,
					 "INSERT INTO tandem.view (view, release, relation, definition, columns, ended, taken, own_defaults) "
					 "VALUES ($1::regclass, $2, $3::regclass, $4, $5, $6, $7, $8)");
	query_end(&query);
	/* sessions remember what they have found, see release_view_release */
	CacheInvalidateRelcacheByRelid(view->view);
}

void
release_view_note_defaults(Oid view, List *own_defaults)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, view);
	query_datum(&query, NAMEARRAYOID,
				array_from_strings(own_defaults, NAMEOID), false);
	(void) query_run(&query,
					 "UPDATE tandem.view SET own_defaults = $2 WHERE view = $1");
	query_end(&query);
}

void
release_view_table_dropped(Oid relid)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	(void) query_run(&query,
					 "UPDATE tandem.view SET relation = view WHERE relation = $1 AND ended");
	query_end(&query);
}

Oid
release_view_base(Oid view)
{
	TandemQuery query;
	List	   *bases;

	query_begin(&query);
	query_oid(&query, view);
	bases = query_oids(&query, "SELECT base FROM tandem._view_base($1)");
	query_end(&query);
	return bases ? linitial_oid(bases) : InvalidOid;
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

static void *
read_view_schema(uint64 row)
{
	ViewSchema *schema = palloc(sizeof(ViewSchema));

	schema->name = query_get_text(row, 1);
	schema->owner = query_get_oid(row, 2);
	schema->release = query_get_int(row, 3);
	schema->tables_in = query_get_oid(row, 4);
	return schema;
}

bool
release_view_exists(void)
{
	TandemQuery query;

	query_begin(&query);
	return query_end_found(&query, query_run_latest(&query,
													"SELECT FROM tandem._release_views LIMIT 1"));
}

List *
release_view_schemas(void)
{
	TandemQuery query;
	List	   *schemas;

	query_begin(&query);
	schemas = query_rows(&query,
						 "SELECT name, owner, release, relation_schema FROM tandem._release_view_schemas "
						 "ORDER BY release DESC, name",
						 read_view_schema);
	query_end(&query);
	return schemas;
}

static void *
read_viewed_table(uint64 row)
{
	ViewedTable *table = palloc(sizeof(ViewedTable));

	table->relation = query_get_oid(row, 1);
	table->schema = query_get_oid(row, 2);
	table->owner = query_get_oid(row, 3);
	table->maker = query_get_oid(row, 4);
	return table;
}

List *
release_view_tables(int release)
{
	TandemQuery query;
	List	   *tables;

	query_begin(&query);
	query_int(&query, release);
	tables = query_rows(&query,
						"SELECT relation, schema, owner, maker FROM tandem._release_view_tables($1) "
						"ORDER BY place NULLS LAST, relation, maker",
						read_viewed_table);
	query_end(&query);
	return tables;
}

List *
release_view_tables_in_schema(Oid schema)
{
	TandemQuery query;
	List	   *tables;

	query_begin(&query);
	query_oid(&query, schema);
	tables = query_rows(&query,
						"SELECT c.oid, c.relnamespace, c.relowner, 0::oid FROM pg_class c "
						"WHERE c.relnamespace = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
						"AND c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM pg_depend d "
						"WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') ORDER BY c.relname",
						read_viewed_table);
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
						"SELECT name FROM tandem._hidden_columns($1, $2, $3)");
	query_end(&query);
	return names;
}

List *
release_view_nameless(int release, List *relids, List **others)
{
	TandemQuery query;
	List	   *nameless = NIL;
	uint64		rows;

	*others = NIL;
	query_begin(&query);
	query_int(&query, release);
	query_oid_list(&query, relids);
	rows = query_run(&query,
					 "SELECT c.oid, o.oid FROM pg_class c CROSS JOIN LATERAL tandem._table_name($1, c.oid) n (name) "
					 "JOIN (tandem.view v JOIN pg_class w ON w.oid = v.view JOIN pg_class o ON o.oid = v.relation) "
	/* what an ended release has left gives way */
					 "ON v.release = $1 AND NOT v.ended AND w.relname = n.name AND o.relnamespace = c.relnamespace AND o.oid <> c.oid "
					 "WHERE c.oid = ANY ($2) AND NOT EXISTS (SELECT FROM tandem.view e WHERE e.relation = c.oid AND e.release = $1)");
	for (uint64 row = 0; row < rows; row++)
	{
		nameless = lappend_oid(nameless, query_get_oid(row, 1));
		*others = lappend_oid(*others, query_get_oid(row, 2));
	}
	query_end(&query);
	return nameless;
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

/*-------------------------------------------------------------------------
 * Which release a view is of, remembered by each session.
 *
 * Asked for each statement that writes through a view, also by roles without
 * any right on schema tandem.  An entry is forgotten with any change of the
 * view, or of its record.
 *-------------------------------------------------------------------------
 */

typedef struct KnownView
{
	Oid			view;			/* key */
	int			release;		/* 0 if it is none of ours */
	Oid			relation;
} KnownView;

static HTAB *known_views = NULL;
static Oid	known_from = InvalidOid;	/* tandem.view of that time */
static uint64 view_changes = 0;

static void
forget_all_known_views(void)
{
	HASH_SEQ_STATUS status;
	KnownView  *known;

	hash_seq_init(&status, known_views);
	while ((known = hash_seq_search(&status)) != NULL)
		(void) hash_search(known_views, &known->view, HASH_REMOVE, NULL);
}

/* Invalidation callback; InvalidOid stands for all relations. */
static void
forget_known_view(Datum arg, Oid relid)
{
	view_changes++;
	if (OidIsValid(relid))
		(void) hash_search(known_views, &relid, HASH_REMOVE, NULL);
	else
		forget_all_known_views();
}

static void
make_known_views(void)
{
	HASHCTL		control = {.keysize = sizeof(Oid),.entrysize = sizeof(KnownView)};

	known_views = hash_create("tandem views", 16, &control,
							  HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(forget_known_view, (Datum) 0);
}

/*
 * As committed now: the view may be newer than the snapshot of the
 * transaction, as every catalog is read.
 */
static void
look_up_view(KnownView *found)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, found->view);
	if (query_run_latest(&query,
						 "SELECT release, relation FROM tandem.view WHERE view = $1") > 0)
	{
		found->release = query_get_int(0, 1);
		found->relation = query_get_oid(0, 2);
	}
	query_end(&query);
}

int
release_view_release(Oid view, Oid relid)
{
	Oid			table = extension_relation("view", true);
	KnownView	found = {.view = view};
	KnownView  *known;
	uint64		changes;

	if (known_views == NULL)
		make_known_views();
	if (table != known_from)
		forget_all_known_views();
	known_from = table;
	if (!OidIsValid(table))
		return 0;
	known = hash_search(known_views, &view, HASH_FIND, NULL);
	if (known)
		return known->relation == relid ? known->release : 0;
	changes = view_changes;
	look_up_view(&found);
	/* a change that came while the query ran may be newer than its answer */
	if (changes == view_changes)
		*(KnownView *) hash_search(known_views, &view, HASH_ENTER,
								   NULL) = found;
	return found.relation == relid ? found.release : 0;
}
