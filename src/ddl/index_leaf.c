/*
 * index_leaf.c
 *		Building an index on one ordinary table.
 *
 * CREATE INDEX CONCURRENTLY that fails leaves an index that is invalid.  So does
 * one that has not come to its end: the two are told apart by the lock on the
 * table which a builder holds from before its index is seen until it is valid.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/query.h"
#include "core/quoting.h"
#include "ddl/index_leaf.h"

/*
 * Who may be building an index of the table, for people, or NULL.  VACUUM holds
 * the same lock: dropping would wait for it too; but autovacuum gives way to
 * who waits.
 */
static char *
possible_builder(Oid table)
{
	TandemQuery query;
	char	   *text = NULL;

	query_begin(&query);
	query_oid(&query, table);
	if (query_run_latest(&query,
						 "SELECT coalesce('pid ' || l.pid, 'a prepared transaction') FROM pg_locks l "
						 "LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
						 "WHERE l.locktype = 'relation' AND l.relation = $1 AND l.granted "
						 "AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) "
						 "AND l.mode = 'ShareUpdateExclusiveLock' AND l.pid IS DISTINCT FROM pg_backend_pid() "
						 "AND a.backend_type IS DISTINCT FROM 'autovacuum worker' LIMIT 1") > 0)
		text = query_get_text(0, 1);

	query_end(&query);
	return text;
}

static BuildResult
create_index(const Step *step, const FoundIndex *found, const char *progress,
			 BuildPiece *piece)
{
	/* IF NOT EXISTS: the clean-up must not drop what another session makes */
	piece->statement = psprintf("CREATE %sINDEX CONCURRENTLY IF NOT EXISTS %s ON %s %s",
								step->is_unique ? "UNIQUE " : "",
								quote_identifier(found->name),
								quoting_relation(found->table),
								step->definition);
	piece->index = found->name;
	piece->cleanup = psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
							  index_qualified_name(found));
	piece->doing = psprintf("building index %s on %s%s",
							quote_identifier(step->object),
							quoting_name(found->table),
							progress);
	return BUILD_STATEMENT;
}

/*
 * The order of looking matters: an index that was invalid, then has no builder,
 * and then is invalid still, has been left by one.
 */
static BuildResult
drop_invalid(const Step *step, const FoundIndex *found, BuildPiece *piece)
{
	char	   *builder = possible_builder(found->table);

	if (builder)
	{
		piece->doing = psprintf("waiting for %s, which may be building index %s",
								builder, quote_identifier(found->name));
		return BUILD_WAIT;
	}
	if (index_find(step, found->table, found->name).state != FOUND_INVALID)
		return BUILD_AGAIN;
	piece->statement = psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
								index_qualified_name(found));
	piece->doing = psprintf("dropping invalid index %s left by an earlier try",
							quote_identifier(found->name));
	return BUILD_STATEMENT;
}

BuildResult
index_leaf_next(const Step *step, const FoundIndex *found,
				const char *progress, BuildPiece *piece)
{
	piece->relation = found->table;
	switch (found->state)
	{
		case FOUND_NOTHING:
			return create_index(step, found, progress, piece);
		case FOUND_INVALID:
			return drop_invalid(step, found, piece);
		case FOUND_VALID:
			return BUILD_DONE;
		case FOUND_INCOMPLETE:
		case FOUND_OTHER:
			break;
	}
	index_refuse_other(found);
	return BUILD_DONE;
}
