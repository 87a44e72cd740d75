/*
 * rehearsal_limits.c
 *		What a rehearsal has done that is above its limits.
 */
#include "postgres.h"

#include "storage/lock.h"

#include "core/text.h"
#include "review/rehearsal_report.h"

char *
rehearsal_mode_name(LOCKMODE mode)
{
	return pstrdup(GetLockmodeName(DEFAULT_LOCKMETHOD, mode));
}

LOCKMODE
rehearsal_lock_mode(const char *text)
{
	static const char *const words[] = {
		"ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE",
		"SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"
	};

	for (LOCKMODE mode = AccessShareLock; mode <= AccessExclusiveLock; mode++)
	{
		if (pg_strcasecmp(text, words[mode - 1]) == 0 || pg_strcasecmp(text, rehearsal_mode_name(mode)) == 0)
			return mode;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is not a lock mode", text),
			 errhint("Use one of LOCK TABLE, as in 'SHARE UPDATE EXCLUSIVE' or 'ShareUpdateExclusiveLock'.")));
	return NoLock;
}

static bool
keeps_writers_out(LOCKMODE mode)
{
	return mode >= ShareLock;
}

static char *
shown_ms(int64 us)
{
	return psprintf("%.3f ms", us / 1000.0);
}

static List *
add_exceeded(List *lines, const RehearsalCall *call, const RehearsalRow *row)
{
	LOCKMODE	mode = row->passed_over ? row->predicted_mode : row->mode;
	int64		rewritten = !row->passed_over ? row->rewritten : row->predicted_rewrite ? row->predicted_bytes : 0;
	const char *told = row->passed_over ? ", as tandem.lint says: it is not run" : "";

	if (row->relation == NULL)
		return lines;
	if (call->max_lock_mode != NoLock && mode > call->max_lock_mode)
		lines = lappend(lines, psprintf("line %d: %s on %s, above %s%s", row->line, rehearsal_mode_name(mode),
										row->relation, rehearsal_mode_name(call->max_lock_mode), told));
	if (call->max_lock_us >= 0 && keeps_writers_out(row->mode) && row->until - row->since > call->max_lock_us)
		lines = lappend(lines, psprintf("line %d: %s on %s held for %s, longer than %s", row->line,
										rehearsal_mode_name(row->mode), row->relation,
										shown_ms(row->until - row->since), shown_ms(call->max_lock_us)));
	if (call->max_rewrite_bytes >= 0 && rewritten > call->max_rewrite_bytes)
		lines = lappend(lines, psprintf("line %d: %s rewritten with " INT64_FORMAT " bytes, more than " INT64_FORMAT "%s",
										row->line, row->relation, rewritten, call->max_rewrite_bytes, told));
	return lines;
}

/* Partitions, and others that one statement writes anew, each within the limit. */
static List *
add_exceeded_together(List *lines, const Rehearsal *rehearsal)
{
	int64		limit = rehearsal->call->max_rewrite_bytes;
	int64		all = 0;
	int64		most = 0;

	for (int i = 0; i < list_length(rehearsal->rows); i++)
	{
		const RehearsalRow *row = list_nth(rehearsal->rows, i);
		const RehearsalRow *next = i + 1 < list_length(rehearsal->rows) ? list_nth(rehearsal->rows, i + 1) : NULL;

		all += row->rewritten;
		most = Max(most, row->rewritten);
		if (next && next->statement == row->statement)
			continue;
		if (limit >= 0 && all > limit && most <= limit)
			lines = lappend(lines, psprintf("line %d: tables rewritten with " INT64_FORMAT " bytes together, more than " INT64_FORMAT,
											row->line, all, limit));
		all = most = 0;
	}
	return lines;
}

char *
rehearsal_exceeded(const Rehearsal *rehearsal)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, rehearsal->rows)
		lines = add_exceeded(lines, rehearsal->call, lfirst(lc));
	lines = add_exceeded_together(lines, rehearsal);
	return lines ? text_joined(lines, "", "\n") : NULL;
}
