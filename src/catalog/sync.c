/*
 * sync.c
 *		Syncs, and which of their rows are unfilled.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "catalog/sync.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"

/*-------------------------------------------------------------------------
 * Rows of tandem.sync: the dual-write rules.
 *-------------------------------------------------------------------------
 */

static const char *const on_conflict_names[] = {
	[ON_CONFLICT_ERROR] = "error",
	[ON_CONFLICT_NEW] = "new",
	[ON_CONFLICT_OLD] = "old",
};

static const char *const on_table_names[] = {
	[ON_TABLE_ALIKE] = "alike",
	[ON_TABLE_VIEWS] = "views",
	[ON_TABLE_BARE] = "bare",
};

#define RULE_COLUMNS \
	"SELECT s.id, s.migration, m.name, coalesce(m.release, 0), s.relation::oid, " \
	"s.old_columns, s.new_columns, s.up, s.down, s.on_conflict, " \
	"s.on_error = 'quarantine', s.keep_old, s.search_path, " \
	"m.phase NOT IN ('done', 'aborted'), s.stored, s.up_given, s.down_given, s.filled, s.uses, s.new_name, s.on_table, s.one_default "
#define RULE_SELECT RULE_COLUMNS \
	"FROM tandem.sync s JOIN tandem.migration m ON m.id = s.migration "

const char *
on_conflict_name(OnConflict on_conflict)
{
	return on_conflict_names[on_conflict];
}

OnConflict
on_conflict_from_name(const char *name)
{
	return (OnConflict) text_choice("on_conflict", name, on_conflict_names,
									lengthof(on_conflict_names));
}

bool
quarantine_from_name(const char *on_error)
{
	static const char *const choices[] = {"error", "quarantine"};

	return text_choice("on_error", on_error, choices, lengthof(choices)) == 1;
}

/* pg_upgrade and a restore change it. */
static char *
this_server(void)
{
	return psprintf("%d/" UINT64_FORMAT "/%u", COMPAT_MAJOR_VERSION,
					GetSystemIdentifier(), MyDatabaseId);
}

void
sync_insert(SyncRule *rule)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, rule->migration_id);
	query_oid(&query, rule->relation);
	query_datum(&query, NAMEARRAYOID,
				array_from_strings(rule->old_columns, NAMEOID), false);
	query_datum(&query, NAMEARRAYOID,
				array_from_strings(rule->new_columns, NAMEOID), false);
	query_datum(&query, TEXTARRAYOID,
				array_from_strings(rule->up, TEXTOID), false);
	query_datum(&query, TEXTARRAYOID,
				array_from_strings(rule->down, TEXTOID), rule->down == NIL);
	query_text(&query, on_conflict_name(rule->on_conflict));
	query_text(&query, rule->quarantine ? "quarantine" : "error");
	query_bool(&query, rule->keep_old);
	query_text(&query, rule->search_path);
	query_bool(&query, rule->stored);
	query_datum(&query, TEXTARRAYOID,
				array_from_strings(rule->up_given, TEXTOID), false);
	query_datum(&query, TEXTARRAYOID,
				array_from_strings(rule->down_given, TEXTOID),
				rule->down_given == NIL);
	query_text(&query, rule->uses);
	query_text(&query, this_server());
	query_text(&query, rule->new_name);
	query_bool(&query, !rule_has_new_side(rule));
	query_text(&query, rule_changes_column(rule) ? on_table_names[rule->on_table] : NULL);
	query_bool(&query, rule->one_default);
	(void) query_run(&query,
					 "INSERT INTO tandem.sync (migration, relation, old_columns, new_columns, up, down, on_conflict, on_error, keep_old, search_path, stored, up_given, down_given, uses, parsed_in, new_name, filled, on_table, one_default, number, numbered_at) "
					 "VALUES ($1, $2::regclass, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, tandem._column_number($2, $3[1]), clock_timestamp()) RETURNING id");
	rule->id = query_get_int(0, 1);
	query_end(&query);
}

static SyncRule *
rule_from_row(uint64 row)
{
	SyncRule   *rule = palloc0(sizeof(SyncRule));

	rule->id = query_get_int(row, 1);
	rule->migration_id = query_get_int(row, 2);
	rule->migration = query_get_text(row, 3);
	rule->release = query_get_int(row, 4);
	rule->relation = query_get_oid(row, 5);
	rule->old_columns = query_get_strings(row, 6);
	rule->new_columns = query_get_strings(row, 7);
	rule->up = query_get_strings(row, 8);
	rule->down = query_get_strings(row, 9);
	rule->on_conflict = on_conflict_from_name(query_get_text(row, 10));
	rule->quarantine = query_get_bool(row, 11);
	rule->keep_old = query_get_bool(row, 12);
	rule->search_path = query_get_text(row, 13);
	rule->stored = query_get_bool(row, 15);
	rule->up_given = query_get_strings(row, 16);
	rule->down_given = query_get_strings(row, 17);
	rule->filled = query_get_bool(row, 18);
	rule->uses = query_get_text(row, 19);
	rule->new_name = query_get_text(row, 20);
	if (rule_changes_column(rule))
		rule->on_table = text_index(query_get_text(row, 21), on_table_names,
									lengthof(on_table_names));
	rule->one_default = query_get_bool(row, 22);
	return rule;
}

/*
 * Rules are read as of now: the trigger made from them must include rules
 * committed since a REPEATABLE READ transaction began.
 */
static List *
rules_from_query(TandemQuery *query, const char *sql)
{
	List	   *rules = NIL;
	uint64		rows = query_run_latest(query, sql);

	for (uint64 row = 0; row < rows; row++)
		rules = lappend(rules, rule_from_row(row));
	return rules;
}

List *
sync_list_of_relation(Oid relid)
{
	TandemQuery query;
	List	   *rules;

	query_begin(&query);
	query_oid(&query, relid);
	rules = rules_from_query(&query, RULE_SELECT
							 "WHERE s.relation = $1 AND s.stored AND m.phase NOT IN ('done', 'aborted') ORDER BY s.id");
	query_end(&query);
	return rules;
}

List *
sync_relations_of_others(List *relids, int migration_id)
{
	TandemQuery query;
	List	   *synced;

	query_begin(&query);
	query_oid_list(&query, relids);
	query_int(&query, migration_id);
	synced = query_oids(&query,
						"SELECT DISTINCT s.relation::oid FROM tandem.sync s JOIN tandem.migration m ON m.id = s.migration "
						"WHERE s.relation = ANY ($1) AND m.id <> $2 AND s.stored AND m.phase NOT IN ('done', 'aborted')");
	query_end(&query);
	return synced;
}

void
sync_note_parsed(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, this_server());
	(void) query_run(&query,
					 "UPDATE tandem.sync SET parsed_in = $2 WHERE migration = $1 AND parsed_in IS DISTINCT FROM $2");
	query_end(&query);
}

List *
sync_list_not_parsed(void)
{
	TandemQuery query;
	List	   *rules;

	query_begin(&query);
	query_text(&query, this_server());
	rules = rules_from_query(&query, RULE_SELECT
							 "WHERE s.stored AND s.parsed_in IS DISTINCT FROM $1 AND m.release IS NOT NULL "
							 "AND m.phase NOT IN ('done', 'aborted') ORDER BY s.id");
	query_end(&query);
	return rules;
}

static List *
rules_of_migration(int migration_id, const char *sql)
{
	TandemQuery query;
	List	   *rules;

	query_begin(&query);
	query_int(&query, migration_id);
	rules = rules_from_query(&query, sql);
	query_end(&query);
	return rules;
}

bool
sync_is_one_way_after(int release)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM tandem.sync s JOIN tandem.migration m ON m.id = s.migration "
											 "WHERE m.release > $1 AND m.phase NOT IN ('done', 'aborted') AND s.down IS NULL AND s.stored "
											 "AND NOT s.keep_old AND cardinality(s.old_columns) > 0 AND cardinality(s.new_columns) > 0 "
											 "UNION ALL SELECT FROM tandem.operation o JOIN tandem.migration m ON m.id = o.migration "
											 "WHERE m.release > $1 AND m.phase NOT IN ('done', 'aborted') AND o.kind = 'drop table' LIMIT 1"));
}

bool
sync_list_has_one_way(List *rules)
{
	ListCell   *lc;

	foreach(lc, rules)
	{
		if (rule_is_one_way(lfirst(lc)))
			return true;
	}
	return false;
}

List *
sync_list_of_migration(int migration_id)
{
	return rules_of_migration(migration_id, RULE_SELECT
							  "WHERE s.migration = $1 AND s.stored ORDER BY s.id");
}

List *
sync_list_changing(int migration_id)
{
	List	   *rules = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_migration(migration_id))
	{
		SyncRule   *rule = lfirst(lc);

		if (rule_changes_column(rule) && relation_exists(rule->relation))
			rules = lappend(rules, rule);
	}
	return rules;
}

static const SyncRule *
find_changing_into(List *rules, const char *column)
{
	ListCell   *lc;

	foreach(lc, rules)
	{
		const SyncRule *rule = lfirst(lc);

		if (rule_changes_column(rule) && strcmp(linitial(rule->new_columns), column) == 0)
			return rule;
	}
	return NULL;
}

List *
sync_columns_before(const SyncRule *rule)
{
	List	   *rules = sync_list_of_relation(rule->relation);
	List	   *columns = NIL;

	while ((rule = find_changing_into(rules, linitial(rule->old_columns))) != NULL)
		columns = lappend(columns, linitial(rule->old_columns));
	return columns;
}

List *
sync_list_of_table(int migration_id, Oid relid)
{
	TandemQuery query;
	List	   *rules;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	rules = rules_from_query(&query, RULE_SELECT
							 "WHERE s.relation = $2 AND s.migration = $1 AND s.stored ORDER BY s.id");
	query_end(&query);
	return rules;
}

char *
sync_path_of_leaf(int migration_id, Oid relid)
{
	List	   *rules = sync_list_of_table(migration_id, table_root(relid));

	if (rules == NIL)
		rules = sync_list_of_table(migration_id, relid);
	return rules ? ((SyncRule *) linitial(rules))->search_path : NULL;
}

List *
sync_list_recorded(int migration_id)
{
	return rules_of_migration(migration_id, RULE_SELECT
							  "WHERE s.migration = $1 ORDER BY s.id");
}

List *
sync_list_unstored(Oid relid, int release)
{
	TandemQuery query;
	List	   *rules;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, release);
	rules = rules_from_query(&query, RULE_COLUMNS
							 "FROM tandem._unstored_syncs s JOIN tandem.migration m ON m.id = s.migration "
							 "WHERE s.relation = $1 AND coalesce(m.release, $2) <= $2 AND NOT EXISTS ("
							 "SELECT FROM tandem._unstored_syncs l WHERE l.relation = s.relation AND NOT l.keep_old "
							 "AND l.old_columns && s.old_columns AND l.release > m.release AND l.release <= $2) "
							 "AND NOT EXISTS ("
							 "SELECT FROM tandem.sync l JOIN tandem.migration k ON k.id = l.migration AND k.phase NOT IN ('done', 'aborted') "
							 "WHERE l.relation = s.relation AND l.stored AND NOT l.keep_old "
							 "AND l.old_columns && s.old_columns AND k.release <= $2) ORDER BY s.id");
	query_end(&query);
	return rules;
}

List *
sync_list_unstored_named(Oid relid, const char *old_column)
{
	TandemQuery query;
	List	   *rules;

	query_begin(&query);
	query_oid(&query, relid);
	query_name(&query, old_column);
	rules = rules_from_query(&query, RULE_SELECT
							 "WHERE s.relation = $1 AND NOT s.stored AND m.phase = 'done' "
							 "AND CASE WHEN s.renamed_to IS NULL THEN $2 = ANY (s.old_columns) ELSE s.renamed_to = $2 END");
	query_end(&query);
	return rules;
}

SyncRule *
sync_shown_under(Oid relid, const char *new_column)
{
	TandemQuery query;
	List	   *rules;

	query_begin(&query);
	query_oid(&query, relid);
	query_name(&query, new_column);
	rules = rules_from_query(&query, RULE_SELECT
							 "WHERE s.relation = $1 AND m.phase <> 'aborted' AND (NOT s.stored AND $2 = ANY (s.new_columns) "
							 "AND s.renamed_to IS DISTINCT FROM $2 "
							 "OR s.new_name = $2 AND (m.phase <> 'done' OR s.name_left)) LIMIT 1");
	query_end(&query);
	return rules == NIL ? NULL : linitial(rules);
}

void
sync_note_renamed(const SyncRule *rule, const char *old_column)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, rule->id);
	query_name(&query, old_column);
	(void) query_run(&query,
					 "UPDATE tandem.sync SET renamed_to = $2 WHERE id = $1");
	query_end(&query);
}

SyncRule *
sync_get(int id, bool *live)
{
	TandemQuery query;
	SyncRule   *rule = NULL;

	query_begin(&query);
	query_int(&query, id);
	if (query_run_latest(&query, RULE_SELECT "WHERE s.id = $1 AND s.stored") > 0)
	{
		rule = rule_from_row(0);
		*live = query_get_bool(0, 14);
	}
	query_end(&query);
	return rule;
}

void
sync_note_filled(const SyncRule *rule)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, rule->id);
	(void) query_run(&query,
					 "UPDATE tandem.sync SET filled = true WHERE id = $1 AND NOT filled");
	query_end(&query);
}

char *
sync_expand_path(int migration_id, Oid relid)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, table_root(relid));
	return query_end_text(&query, query_run(&query,
											"(SELECT search_path FROM tandem.sync WHERE relation = $2 AND migration = $1 ORDER BY id LIMIT 1) "
											"UNION ALL (SELECT search_path FROM tandem.sync WHERE migration = $1 LIMIT 1) LIMIT 1"));
}

List *
sync_list_renames(Oid relid, int release)
{
	TandemQuery query;
	List	   *rules;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, release);
	rules = rules_from_query(&query, RULE_SELECT
							 "JOIN tandem._renames_left r ON r.id = s.id "
							 "WHERE s.relation = $1 AND m.release <= $2 ORDER BY m.release, s.id");
	query_end(&query);
	return rules;
}

List *
sync_list_renames_left(int migration_id)
{
	return rules_of_migration(migration_id, RULE_SELECT
							  "JOIN tandem._renames_left r ON r.id = s.id "
							  "WHERE s.migration = $1 AND m.phase = 'done' ORDER BY s.id");
}

List *
sync_tables_without_views(int migration_id)
{
	TandemQuery query;
	List	   *relids;

	query_begin(&query);
	query_int(&query, migration_id);
	relids = query_oids(&query,
						"SELECT DISTINCT s.relation::oid FROM tandem.sync s JOIN tandem.migration m ON m.id = s.migration "
						"WHERE s.migration = $1 AND s.on_table = 'views' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation) "
						"AND NOT (EXISTS (SELECT FROM tandem._release_views v WHERE v.relation = s.relation AND NOT v.ended AND v.release = m.release) "
						"AND EXISTS (SELECT FROM tandem._release_views v WHERE v.relation = s.relation AND NOT v.ended AND v.release < m.release)) ORDER BY 1");
	query_end(&query);
	return relids;
}

void
sync_note_name_left(const SyncRule *rename)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, rename->id);
	(void) query_run(&query, "UPDATE tandem.sync SET name_left = true WHERE id = $1");
	query_end(&query);
}

void
sync_note_name_taken(const SyncRule *rename)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, rename->id);
	(void) query_run(&query,
					 "UPDATE tandem.sync s SET name_left = false FROM tandem.migration m, tandem.sync r JOIN tandem.migration n ON n.id = r.migration "
					 "WHERE r.id = $1 AND s.relation = r.relation AND coalesce(s.new_columns[1], s.old_columns[1]) = coalesce(r.new_columns[1], r.old_columns[1]) AND s.name_left "
					 "AND m.id = s.migration AND m.release <= n.release");
	query_end(&query);
}

void
sync_note_column_gone(Oid relid, const char *column)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	query_name(&query, column);
	(void) query_run(&query,
					 "UPDATE tandem.sync SET name_left = false "
					 "WHERE relation = $1 AND name_left AND coalesce(new_columns[1], old_columns[1]) = $2");
	query_end(&query);
}

void
sync_store_texts(int id, List *up, List *down)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, id);
	query_datum(&query, TEXTARRAYOID, array_from_strings(up, TEXTOID), false);
	query_datum(&query, TEXTARRAYOID, array_from_strings(down, TEXTOID),
				down == NIL);
	(void) query_run(&query,
					 "UPDATE tandem.sync SET up = $2, down = $3 WHERE id = $1");
	query_end(&query);
}

void
sync_note_uses(const SyncRule *rule, const char *uses)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, rule->id);
	query_text(&query, uses);
	(void) query_run(&query,
					 "UPDATE tandem.sync SET uses = $2 WHERE id = $1 AND uses IS DISTINCT FROM $2");
	query_end(&query);
}

List *
sync_relations_of_migration(int migration_id)
{
	TandemQuery query;
	List	   *relids;

	query_begin(&query);
	query_int(&query, migration_id);
	relids = query_oids(&query,
						"SELECT relation FROM tandem._migration_tables WHERE migration = $1 ORDER BY relation");
	query_end(&query);
	return relids;
}

List *
sync_relations_live(void)
{
	TandemQuery query;
	List	   *relids;

	query_begin(&query);
	relids = query_oids(&query,
						"SELECT DISTINCT s.relation::oid FROM tandem.sync s "
						"JOIN tandem.migration m ON m.id = s.migration "
						"WHERE s.stored AND m.phase NOT IN ('done', 'aborted')");
	query_end(&query);
	return relids;
}

/*-------------------------------------------------------------------------
 * Rows of tandem.changed_use: DDL that has changed what rules use.
 *-------------------------------------------------------------------------
 */

void
changed_use_note(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	(void) query_run(&query,
					 "INSERT INTO tandem.changed_use (migration) SELECT m.id FROM tandem.migration m "
					 "WHERE m.id = $1 AND m.phase IN ('expand', 'migrate', 'contract') ON CONFLICT DO NOTHING");
	query_end(&query);
}

char *
changed_use_last(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	return query_end_text(&query, query_run_latest(&query,
												   "SELECT changed_in::text FROM tandem.changed_use WHERE migration = $1 "
												   "ORDER BY changed_in DESC LIMIT 1"));
}

/*-------------------------------------------------------------------------
 * Rows of tandem.fill_mark: what is known of the unfilled rows of a table.
 *-------------------------------------------------------------------------
 */

/* columns of the table, in their order */
#define COLUMN_SYNC 1
#define COLUMN_RELATION 2
#define COLUMN_TRIGGER 3
#define COLUMN_FILE 4
#define COLUMN_PLACE 5

void
fill_mark_store(int sync_id, List *marks, const char *place)
{
	TandemQuery query;
	List	   *relids = NIL;
	List	   *triggers = NIL;
	List	   *files = NIL;
	ListCell   *lc;

	foreach(lc, marks)
	{
		FillMark   *mark = lfirst(lc);

		relids = lappend_oid(relids, mark->relation);
		triggers = lappend_oid(triggers, mark->trigger);
		files = lappend_oid(files, mark->file);
	}
	query_begin(&query);
	query_int(&query, sync_id);
	query_oid_list(&query, relids);
	query_oid_list(&query, triggers);
	query_oid_list(&query, files);
	query_text(&query, place);
	(void) query_run(&query,
					 "INSERT INTO tandem.fill_mark (sync, relation, trigger, file, place) "
					 "SELECT $1, m.relation, m.trigger, nullif(m.file, 0::oid), $5 FROM unnest($2, $3, $4) m (relation, trigger, file) "
					 "ON CONFLICT (relation, sync) DO UPDATE SET trigger = excluded.trigger, file = excluded.file, place = excluded.place");
	query_end(&query);
}

static bool
take_fill_mark(HeapTuple tuple, TupleDesc desc, const char *place,
			   FillMark *mark)
{
	bool		isnull;
	Datum		file = heap_getattr(tuple, COLUMN_FILE, desc, &isnull);
	bool		no_row = isnull;
	Datum		noted = heap_getattr(tuple, COLUMN_PLACE, desc, &isnull);

	mark->trigger = DatumGetObjectId(heap_getattr(tuple, COLUMN_TRIGGER, desc,
												  &isnull));
	mark->file = no_row ? InvalidOid : DatumGetObjectId(file);
	return strcmp(TextDatumGetCString(noted), place) == 0;
}

/*
 * Looks up by the primary key like a catalog.  An older version of the
 * extension has no such table.
 */
bool
fill_mark_read(int sync_id, Oid relid, const char *place, FillMark *mark)
{
	Oid			namespace = get_namespace_oid("tandem", true);
	Oid			table = get_relname_relid("fill_mark", namespace);
	Relation	rel;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	mark->relation = relid;
	if (!OidIsValid(table))
		return false;
	rel = table_open(table, AccessShareLock);
	ScanKeyInit(&key[0], COLUMN_RELATION, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&key[1], COLUMN_SYNC, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(sync_id));
	scan = systable_beginscan(rel, get_relname_relid("fill_mark_pkey", namespace),
							  true, NULL, 2, key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		found = take_fill_mark(tuple, RelationGetDescr(rel), place, mark);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

void
fill_mark_delete(int sync_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, sync_id);
	(void) query_run(&query, "DELETE FROM tandem.fill_mark WHERE sync = $1");
	query_end(&query);
}
