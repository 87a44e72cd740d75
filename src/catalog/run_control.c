/*
 * run_control.c
 *		The settings and state of a migration's run in tandem.migration.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "catalog/run_control.h"
#include "core/query.h"
#include "core/settings.h"

/*
 * Identifies the database among its copies: a restored one does not resume
 * runs.
 */
static char *
this_database(void)
{
	return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), MyDatabaseId);
}

/*
 * Only the name, in any spelling, decides whether a setting is allowed: a row
 * loaded from a dump need not be as tandem.configure writes it.
 */
static void
read_run_settings(TandemQuery *query, int migration_id, RunControl *control)
{
	uint64		rows;

	query_int(query, migration_id);
	rows = query_run(query,
					 "SELECT s.key, s.value FROM tandem.migration m, jsonb_each_text(m.settings) s "
					 "WHERE m.id = $1 ORDER BY 1");
	for (uint64 row = 0; row < rows; row++)
	{
		const char *name = settings_name_for_run(query_get_text(row, 1));
		char	   *value = query_get_text(row, 2);

		if (name == NULL)
			continue;
		if (strcmp(name, HOLD_FUNCTION_SETTING) == 0)
		{
			control->hold_function = value;
			continue;
		}
		control->names = lappend(control->names, pstrdup(name));
		control->values = lappend(control->values, value);
	}
}

RunControl *
run_control_get(int migration_id)
{
	TandemQuery query;
	RunControl *control = palloc0(sizeof(RunControl));
	bool		configured = false;

	query_begin(&query);
	query_int(&query, migration_id);
	if (query_run(&query,
				  "SELECT background, workers, run_as, run_as_name, paused_by, error, hint, hold_by, hold_by_name, hold_owner, "
				  "hold_path, configured FROM tandem._run_controls WHERE migration = $1") > 0)
	{
		control->background = query_get_bool(0, 1);
		control->workers = query_get_int(0, 2);
		control->run_as = query_get_oid(0, 3);
		control->run_as_name = query_get_text(0, 4);
		control->paused_by = query_get_text(0, 5);
		control->error = query_get_text(0, 6);
		control->hint = query_get_text(0, 7);
		control->hold_by = query_get_oid(0, 8);
		control->hold_by_name = query_get_text(0, 9);
		control->hold_owner = query_get_oid(0, 10);
		control->hold_path = query_get_text(0, 11);
		configured = query_get_bool(0, 12);
	}
	if (configured)
		read_run_settings(&query, migration_id, control);
	query_end(&query);
	return control;
}

void
run_control_want_background(int migration_id, int workers, Oid run_as)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_int(&query, workers);
	query_oid(&query, run_as);
	query_text(&query, this_database());
	(void) query_run(&query,
					 "WITH wanted AS (UPDATE tandem.migration SET background = true, workers = $2, "
					 "run_as = tandem.refer_to_role($3), run_in = $4 WHERE id = $1 RETURNING id) "
					 "DELETE FROM tandem.run_report r USING wanted w WHERE r.migration = w.id");
	query_end(&query);
}

void
run_control_set_build(int migration_id, int memory, int workers)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_int(&query, memory);
	query_int(&query, workers);
	(void) query_run(&query,
					 "UPDATE tandem.migration SET maintenance_work_mem = $2, max_parallel_maintenance_workers = $3 "
					 "WHERE id = $1");
	query_end(&query);
}

void
run_control_get_build(int migration_id, int *memory, int *workers)
{
	TandemQuery query;

	*memory = *workers = 0;
	query_begin(&query);
	query_int(&query, migration_id);
	if (query_run(&query,
				  "SELECT maintenance_work_mem, max_parallel_maintenance_workers FROM tandem.migration WHERE id = $1") > 0)
	{
		*memory = query_get_int(0, 1);
		*workers = query_get_int(0, 2);
	}
	query_end(&query);
}

void
run_control_end_background(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	(void) query_run(&query,
					 "UPDATE tandem.migration SET background = false WHERE id = $1 AND background");
	query_end(&query);
}

void
run_control_set_paused(int migration_id, Oid role)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, role);
	(void) query_run(&query,
					 "UPDATE tandem.migration SET paused_by = tandem.refer_to_role($2) WHERE id = $1");
	query_end(&query);
}

void
run_control_end_pause(int migration_id)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	(void) query_run(&query,
					 "UPDATE tandem.migration SET paused_by = NULL WHERE id = $1");
	query_end(&query);
}

char *
run_control_migrate_call(const char *migration)
{
	TandemQuery query;
	char	   *call;

	query_begin(&query);
	query_text(&query, migration);
	call = query_end_text(&query, query_run_latest(&query,
												   "SELECT tandem.migrate_call(name, paused_by IS NOT NULL, coalesce(tandem.runner_pid(id) <> pg_backend_pid(), false)) "
												   "FROM tandem.migration WHERE name = $1 AND phase NOT IN ('done', 'aborted')"));
	/* a copy of its trigger may outlive it */
	return call ? call : psprintf("CALL tandem.migrate(%s)", quote_literal_cstr(migration));
}

void
run_control_set_error(int migration_id, const char *error, const char *hint)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, error);
	query_text(&query, hint);
	if (error)
		(void) query_run(&query,
						 "INSERT INTO tandem.run_report AS r (migration, error, hint) "
						 "SELECT id, left($2, " QUERY_KEPT_TEXT "), left($3, " QUERY_KEPT_TEXT ") FROM tandem.migration WHERE id = $1 "
						 "ON CONFLICT (migration) DO UPDATE SET error = excluded.error, hint = excluded.hint "
						 "WHERE (r.error, r.hint) IS DISTINCT FROM (excluded.error, excluded.hint)");
	else
		(void) query_run(&query,
						 "DELETE FROM tandem.run_report WHERE migration = $1");
	query_end(&query);
}

void
run_control_configure(int migration_id, const char *name, const char *value)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, name);
	query_text(&query, value);
	(void) query_run(&query,
					 "UPDATE tandem.migration SET settings = CASE WHEN $3::text IS NULL THEN settings - $2 "
					 "ELSE settings || jsonb_build_object($2, $3) END WHERE id = $1");
	query_end(&query);
}

void
run_control_configure_hold(int migration_id, const char *function, Oid owner,
						   const char *search_path)
{
	Oid			role = GetUserId();
	TandemQuery query;

	run_control_configure(migration_id, HOLD_FUNCTION_SETTING, function);
	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, role);
	query_oid(&query, owner);
	query_text(&query, search_path);
	(void) query_run(&query,
					 "UPDATE tandem.migration SET hold_by = tandem.refer_to_role($2), "
					 "hold_owner = tandem.refer_to_role($3), hold_path = $4 WHERE id = $1");
	query_end(&query);
}

void
run_control_apply_settings(const RunControl *control)
{
	ListCell   *name;
	ListCell   *value;

	forboth(name, control->names, value, control->values)
		settings_for_transaction(lfirst(name), lfirst(value));
}

List *
run_control_orphans(void)
{
	TandemQuery query;
	List	   *ids;
	uint64		rows;

	query_begin(&query);
	query_text(&query, this_database());
	rows = query_run(&query,
					 "SELECT m.id FROM tandem.migration m WHERE m.background AND m.paused_by IS NULL "
					 "AND m.phase IN ('expand', 'migrate', 'contract') AND m.run_in = $1 "
					 "AND (NOT EXISTS (SELECT FROM tandem.after_switch a WHERE a.migration = m.id) OR m.phase <> 'contract' "
					 "OR EXISTS (SELECT FROM tandem._pending_after_switches a WHERE a.migration = m.id AND a.due)) "
					 "AND tandem.worker_pids(m.id) IS NULL ORDER BY m.id");
	ids = query_get_ints(rows);
	query_end(&query);
	return ids;
}
