/*
 * after_switch.c
 *		tandem.after_switch: rows that are changed once a release is the current
 *		one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "catalog/after_switch.h"
#include "core/query.h"

static void
query_strings(TandemQuery *query, Oid array, Oid element, List *values)
{
	query_datum(query, array,
				values == NIL ? (Datum) 0 : array_from_strings(values, element),
				values == NIL);
}

void
after_switch_insert(AfterSwitch *change)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, change->migration_id);
	query_oid(&query, change->relation);
	query_strings(&query, NAMEARRAYOID, NAMEOID, change->columns);
	query_strings(&query, TEXTARRAYOID, TEXTOID, change->set);
	query_text(&query, change->condition);
	query_strings(&query, TEXTARRAYOID, TEXTOID, change->back);
	query_text(&query, change->set_given);
	query_text(&query, change->condition_given);
	query_text(&query, change->back_given);
	query_text(&query, change->search_path);
	(void) query_run(&query,
					 "INSERT INTO tandem.after_switch (migration, relation, columns, set, condition, back, "
					 "set_given, condition_given, back_given, search_path) "
					 "VALUES ($1, $2::regclass, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id");
	change->id = query_get_int(0, 1);
	query_end(&query);
}

static void *
read_after_switch(uint64 row)
{
	AfterSwitch *change = palloc0(sizeof(AfterSwitch));

	change->id = query_get_int(row, 1);
	change->migration_id = query_get_int(row, 2);
	change->relation = query_get_oid(row, 3);
	change->columns = query_get_strings(row, 4);
	change->set = query_get_strings(row, 5);
	change->condition = query_get_text(row, 6);
	change->back = query_get_strings(row, 7);
	change->set_given = query_get_text(row, 8);
	change->condition_given = query_get_text(row, 9);
	change->back_given = query_get_text(row, 10);
	change->search_path = query_get_text(row, 11);
	change->switched = query_get_bool(row, 12);
	change->due = query_get_bool(row, 13);
	change->complete = query_get_bool(row, 14);
	change->regions = query_get_strings(row, 15);
	change->waits_for = query_get_strings(row, 16);
	change->rows_changed = query_get_bigint(row, 17);
	change->changed = query_get_bool(row, 18);
	change->turns = query_get_int(row, 19);
	return change;
}

List *
after_switch_list(int migration_id)
{
	TandemQuery query;
	List	   *changes;

	query_begin(&query);
	query_int(&query, migration_id);
	changes = query_rows(&query,
						 "SELECT id, migration, relation::oid, columns, set, condition, coalesce(back, '{}'), set_given, condition_given, "
						 "back_given, search_path, switched, due, complete, regions, waits_for, rows_changed, changed, turns "
						 "FROM tandem._pending_after_switches WHERE migration = $1 ORDER BY id",
						 read_after_switch);
	query_end(&query);
	return changes;
}

bool
after_switch_is_due(List *changes)
{
	ListCell   *lc;

	foreach(lc, changes)
	{
		if (((AfterSwitch *) lfirst(lc))->due)
			return true;
	}
	return false;
}

bool
after_switch_is_switched(int migration_id)
{
	TandemQuery query;
	bool		switched;

	query_begin(&query);
	query_int(&query, migration_id);
	switched = query_run(&query,
						 "SELECT FROM tandem.migration m JOIN tandem.registry g ON g.current >= m.release WHERE m.id = $1") > 0;
	query_end(&query);
	return switched;
}

void
after_switch_note_rows(const AfterSwitch *change, int64 rows)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, change->id);
	query_bigint(&query, rows);
	(void) query_run(&query,
					 "UPDATE tandem.after_switch SET rows_changed = rows_changed + $2, changed = true WHERE id = $1");
	query_end(&query);
}

void
after_switch_note_none_left(const AfterSwitch *change)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, change->id);
	query_bool(&query, change->switched);
	query_datum(&query, TEXTARRAYOID, array_from_strings(change->regions, TEXTOID), false);
	query_int(&query, change->turns);
	(void) query_run(&query,
					 "UPDATE tandem.after_switch SET passed = CASE WHEN $2 THEN $3 END, changed = changed AND $2 "
					 "WHERE id = $1 AND turns = $4");
	query_end(&query);
}

/* Whoever notes meanwhile that no row is left waits for this, and then does not. */
void
after_switch_turned_here(int current)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, current);
	(void) query_run(&query,
					 "UPDATE tandem.after_switch a SET passed = NULL, turns = a.turns + 1 FROM tandem.migration m "
					 "WHERE m.id = a.migration AND m.release > $1 AND m.phase NOT IN ('done', 'aborted')");
	query_end(&query);
}

void
after_switch_turned_region(const char *region)
{
	TandemQuery query;

	query_begin(&query);
	query_text(&query, region);
	(void) query_run(&query,
					 "UPDATE tandem.after_switch a SET passed = array_remove(a.passed, $1), turns = a.turns + 1 FROM tandem.migration m "
					 "WHERE m.id = a.migration AND m.phase NOT IN ('done', 'aborted')");
	query_end(&query);
}
