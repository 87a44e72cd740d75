/*
 * rehearsal_report.c
 *		What a rehearsal has seen: stored for tandem.rehearsals, and told as an error.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "core/query.h"
#include "core/settings.h"
#include "review/observed.h"
#include "review/rehearsal_report.h"

static void
query_optional(TandemQuery *query, int64 value, bool given)
{
	query_datum(query, INT8OID, Int64GetDatum(value), !given);
}

static void
store_row(int64 rehearsal, const RehearsalRow *row)
{
	bool		whole = row->relation == NULL;
	bool		seen = row->mode != NoLock;
	TandemQuery query;

	query_begin(&query);
	query_bigint(&query, rehearsal);
	query_int(&query, row->statement);
	query_int(&query, row->line);
	query_text(&query, row->command);
	query_text(&query, row->relation);
	query_text(&query, seen ? rehearsal_mode_name(row->mode) : NULL);
	query_text(&query, seen ? observed_blocks(row->mode) : NULL);
	query_optional(&query, row->until - row->since, seen);
	query_optional(&query, row->waiting, seen);
	query_optional(&query, row->rewritten, row->rewritten > 0);
	query_optional(&query, row->scans, seen && row->scans >= 0);
	query_text(&query, row->predicted ? rehearsal_mode_name(row->predicted_mode) : NULL);
	query_datum(&query, BOOLOID, BoolGetDatum(row->predicted_rewrite), !row->predicted);
	query_datum(&query, BOOLOID, BoolGetDatum(row->predicted_scan), !row->predicted);
	query_optional(&query, row->temp_bytes, whole && row->temp_bytes >= 0);
	query_optional(&query, row->wal_bytes, whole && row->wal_bytes >= 0);
	query_optional(&query, row->us, whole);
	query_text(&query, row->sqlstate ? unpack_sql_state(row->sqlstate) : NULL);
	query_text(&query, row->message);
	query_run(&query,
			  "INSERT INTO tandem.rehearsal_row (rehearsal, statement, line, command, relation, lock_mode, blocks, held, "
			  "waiting, rewritten_bytes, scans, predicted_lock_mode, predicted_rewrite, predicted_scan, temp_bytes, wal_bytes, "
			  "duration, sqlstate, message) "
			  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8 * interval '1 us', $9, $10, $11, $12, $13, $14, $15, $16, "
			  "$17 * interval '1 us', $18, left($19, " QUERY_KEPT_TEXT "))");
	query_end(&query);
}

static void
forget_old_reports(void)
{
	TandemQuery query;

	if (setting_forget_after == 0)
		return;
	query_begin(&query);
	query_int(&query, setting_forget_after);
	query_run(&query, "WITH forgotten AS (DELETE FROM tandem.rehearsal WHERE rehearsed_at < now() - $1 * interval '1 s' RETURNING id) "
			  "DELETE FROM tandem.rehearsal_row r USING forgotten f WHERE r.rehearsal = f.id");
	query_end(&query);
}

void
rehearsal_store(Rehearsal *rehearsal, Oid who)
{
	TandemQuery query;
	ListCell   *lc;

	forget_old_reports();
	query_begin(&query);
	query_oid(&query, who);
	query_bool(&query, rehearsal->kept);
	rehearsal->id = query_end_bigint(&query,
									 query_run(&query, "INSERT INTO tandem.rehearsal (done_by, name, kept) "
											   "SELECT a.oid, a.rolname, $2 FROM pg_roles a WHERE a.oid = $1 RETURNING id"));
	foreach(lc, rehearsal->rows)
		store_row(rehearsal->id, lfirst(lc));
}

/* The server's own, but for that to drop with CASCADE what others use. */
static const char *
hint_of_error(const ErrorData *error)
{
	return error->hint && strstr(error->hint, "CASCADE")
		? "SELECT * FROM tandem.lint(script); names the call of pg_tandem to make instead, if there is one; CASCADE would take along what others use."
		: error->hint;
}

void
rehearsal_raise(const Rehearsal *rehearsal, bool stored)
{
	const ErrorData *error = rehearsal->error;
	const char *hint = error ? hint_of_error(error) : NULL;
	char	   *where = psprintf("SELECT * FROM tandem.rehearsals WHERE rehearsal = " INT64_FORMAT "; shows what it has done.%s",
								 rehearsal->id,
								 rehearsal->kept_until > 0 ? psprintf(" What stands before line %d is kept.", rehearsal->kept_until) : "");

	if (error)
		ereport(ERROR,
				(errcode(error->sqlerrcode),
				 errmsg("line %d of the script: %s", rehearsal->error_line, error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 hint ? errhint("%s", hint) : stored ? errhint("%s", where) : 0));
	if (rehearsal->exceeded)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the script exceeds the limits of the rehearsal"),
				 errdetail_internal("%s", rehearsal->exceeded),
				 stored ? errhint("%s", where)
				 : errhint("Use the operations of pg_tandem, or smaller steps; called at top level, tandem.rehearse leaves a report.")));
}
