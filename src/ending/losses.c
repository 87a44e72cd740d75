/*
 * losses.c
 *		What abort loses: values that only the new columns have.
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "catalog/sync.h"
#include "core/error.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ending/losses.h"
#include "fill/verify.h"

/* A table, or a partition, whose rows are counted. */
typedef struct LossCount
{
	const Migration *migration;
	const SyncRule *rule;
	Oid			relation;
	VerifyResult counts;
} LossCount;

/* Does each old column get a value from the new ones? */
static bool
rule_writes_back(const SyncRule *rule)
{
	return rule->down != NIL && !list_member_ptr(rule->down, NULL);
}

static int64
count_failed_downs(const Migration *migration)
{
	TandemQuery query;
	int64		count;

	query_begin(&query);
	query_int(&query, migration->id);
	(void) query_run_latest(&query,
							"SELECT count(*) FROM tandem.quarantined_row q JOIN tandem.sync s ON s.id = q.sync "
							"WHERE s.migration = $1 AND q.direction = 'down'");
	count = query_get_bigint(0, 1);
	query_end(&query);
	return count;
}

static List *
line_of_count(List *lines, int64 count, Oid relid, const char *what)
{
	if (count == 0)
		return lines;
	return lappend(lines, psprintf("table %s: " INT64_FORMAT " %s %s",
								   quoting_relation(relid), count,
								   count == 1 ? "row" : "rows", what));
}

static void
count_rows_of_leaf(void *arg)
{
	LossCount  *count = arg;

	snapshot_push_latest();
	verify_leaf(count->relation, count->migration->name,
				count->rule->search_path, &count->counts);
	PopActiveSnapshot();
}

/* Fails closed: what cannot be counted may be lost. */
static List *
lines_of_leaf(List *lines, LossCount *count, bool one_way)
{
	ErrorData  *error;

	verify_result_init(&count->counts);
	error = subtransaction_try(count_rows_of_leaf, count);
	if (error && error_is_intervention(error))
		ReThrowError(error);
	if (error)
		return lappend(lines, psprintf("table %s: its rows cannot be counted, since the sync is broken",
									   quoting_relation(count->relation)));
	if (one_way)
		lines = line_of_count(lines, count->counts.rows_mismatched,
							  count->relation,
							  "with a value that up does not give, and that no down writes back");
	return line_of_count(lines, count->counts.rows_own, count->relation,
						 "in which a derived column has a value of its own");
}

/* Returns the rules that the table must be read for. */
static List *
rules_to_count(List *rules, Oid relid, bool *one_way)
{
	List	   *found = NIL;
	ListCell   *lc;

	*one_way = false;
	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->relation != relid || rule_writes_back(rule))
			continue;
		found = lappend(found, rule);
		*one_way |= !rule_is_derived(rule);
	}
	return found;
}

List *
abort_losses(const Migration *migration, bool scan)
{
	List	   *rules = scan ? sync_list_of_migration(migration->id) : NIL;
	List	   *lines = NIL;
	int64		failed = count_failed_downs(migration);
	ListCell   *lc;
	ListCell   *leaf;

	if (failed > 0)
		lines = lappend(lines,
						psprintf(INT64_FORMAT " %s in quarantine, since down fails on %s",
								 failed, failed == 1 ? "row is" : "rows are",
								 failed == 1 ? "it" : "them"));
	if (!scan)
		return lines;
	foreach(lc, sync_relations_of_migration(migration->id))
	{
		bool		one_way;
		List	   *counted = rules_to_count(rules, lfirst_oid(lc), &one_way);

		if (counted == NIL || !relation_exists(lfirst_oid(lc)))
			continue;
		foreach(leaf, table_leaves(lfirst_oid(lc)))
		{
			LossCount	count = {.migration = migration,
				.rule = linitial(counted),
			.relation = lfirst_oid(leaf)};

			if (table_rows_problem(lfirst_oid(leaf)) == NULL)
				lines = lines_of_leaf(lines, &count, one_way);
		}
	}
	return lines;
}
