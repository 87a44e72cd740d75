/*
 * lint.c
 *		tandem.lint.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"

#include "api/arguments.h"
#include "api/result_row.h"
#include "core/sql_function.h"
#include "lint/lint.h"
#include "lint/script.h"

SQL_FUNCTION(tandem_lint);

static void
put_finding(const LintFinding *finding, void *arg)
{
	ResultRow	row;
	ScriptTable *table = finding->table;
	const Effect *effect = finding->effect;
	int64		bytes = table ? script_table_bytes(table) : -1;

	result_row_begin(&row, arg);
	result_row_int(&row, finding->statement);
	result_row_int(&row, finding->line);
	result_row_text(&row, finding->severity);
	result_row_text(&row, finding->rule);
	result_row_text(&row, table ? script_table_name(table) : NULL);
	result_row_text(&row, effect ? GetLockmodeName(DEFAULT_LOCKMETHOD, effect->lock) : NULL);
	result_row_bool(&row, effect && effect->rewrites, effect != NULL);
	result_row_bool(&row, effect && effect->scans, effect != NULL);
	result_row_bigint(&row, bytes, bytes >= 0);
	result_row_text(&row, finding->message);
	result_row_text(&row, finding->advice);
	result_row_end(&row);
}

Datum
tandem_lint(PG_FUNCTION_ARGS)
{
	char	   *script = argument_text(fcinfo, 0, "script");

	InitMaterializedSRF(fcinfo, 0);
	lint_script(script_read(script), put_finding, fcinfo->resultinfo);
	return (Datum) 0;
}
