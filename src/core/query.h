/*
 * query.h
 *		Runs queries on the tandem tables through SPI, as the extension's
 *		owner.
 *
 * All values are passed as parameters.  SPI's results live until query_end;
 * the query_get functions copy into the context that was current at
 * query_begin.
 */
#ifndef TANDEM_QUERY_H
#define TANDEM_QUERY_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "core/authority.h"

#define QUERY_MAX_ARGS 24

/*
 * Maximum length, in characters, of stored texts of others, such as errors:
 * the second argument of left() in a query.
 */
#define QUERY_KEPT_TEXT "2000"

typedef struct TandemQuery
{
	AuthorityScope scope;
	MemoryContext caller;		/* context for results that outlive it */
	int			nargs;
	Oid			types[QUERY_MAX_ARGS];
	Datum		values[QUERY_MAX_ARGS];
	char		nulls[QUERY_MAX_ARGS];
} TandemQuery;

/*
 * Begins a query.  After the first query_run the memory context of query_begin
 * is current again, so that what the caller allocates outlives query_end.
 * Pairs can be nested; an error ends all of them.
 */
extern void query_begin(TandemQuery *query);
extern void query_end(TandemQuery *query);

/* Is a query running?  Then statements are ours, not the session's. */
extern bool query_is_running(void);

/*
 * Statements between query_ours_begin and query_ours_end count as ours, too,
 * although they are not run by this file.
 */
extern void query_ours_begin(void);
extern void query_ours_end(void);

/*
 * Until the end of the transaction our queries wait for no lock longer than ms:
 * then they fail with ERRCODE_LOCK_NOT_AVAILABLE.  query_waits_limit returns the
 * limit, or 0.
 */
extern void query_limit_waits(int ms);
extern int	query_waits_limit(void);

/*
 * These add parameters of the next query_run, in order.  NULL text is SQL
 * NULL.
 */
extern void query_text(TandemQuery *query, const char *value);
extern void query_name(TandemQuery *query, const char *value);
extern void query_int(TandemQuery *query, int32 value);
extern void query_bigint(TandemQuery *query, int64 value);
extern void query_bool(TandemQuery *query, bool value);
extern void query_oid(TandemQuery *query, Oid value);
extern void query_int_list(TandemQuery *query, List *values);
extern void query_oid_list(TandemQuery *query, List *values);
extern void query_datum(TandemQuery *query, Oid type, Datum value, bool isnull);

/*
 * Runs sql with the parameters added since the last run, which are then
 * cleared.  Returns the number of rows.  sql must be a constant: its plan is
 * kept for the session and found by the address of the text.
 *
 * It sees what is committed now, and what this transaction has changed, at any
 * isolation level.  In REPEATABLE READ a row that it locks or changes fails with
 * 40001 if another session commits a change of it meanwhile.
 */
extern uint64 query_run(TandemQuery *query, const char *sql);

/*
 * The same for a SELECT that may run where nothing may be written.
 */
extern uint64 query_run_latest(TandemQuery *query, const char *sql);

/*
 * The same for a SELECT that does not see the changes of this transaction.  It
 * sees the row versions that were current before.
 */
extern uint64 query_run_before(TandemQuery *query, const char *sql);

/*
 * These run a SELECT like query_run and return its first column as a list of C
 * strings, or of OIDs.
 */
extern List *query_texts(TandemQuery *query, const char *sql);
extern List *query_oids(TandemQuery *query, const char *sql);

/* Runs the query, and returns what read_row, which runs none, makes of each row. */
extern List *query_rows(TandemQuery *query, const char *sql,
						void *(*read_row) (uint64 row));

/* These return a column of a result row.  Columns are numbered from 1. */
extern char *query_get_text(uint64 row, int column);
extern int32 query_get_int(uint64 row, int column);
extern int64 query_get_bigint(uint64 row, int column);
extern bool query_get_bool(uint64 row, int column);
extern Oid	query_get_oid(uint64 row, int column);

/*
 * These end a query whose last run has returned rows.  They return whether there
 * was a row, or the first column of the first one; where there is none, or it is
 * null: NULL, or 0.  A text is palloc'd in the context of query_begin.
 */
extern bool query_end_found(TandemQuery *query, uint64 rows);
extern char *query_end_text(TandemQuery *query, uint64 rows);
extern int32 query_end_int(TandemQuery *query, uint64 rows);
extern int64 query_end_bigint(TandemQuery *query, uint64 rows);

/* Returns the first column of all rows; rows is what query_run returned. */
extern List *query_get_ints(uint64 rows);

/* Returns an array of integers without a null, as a list of ints. */
extern List *query_get_int_list(uint64 row, int column);

/* Returns an int[] without nulls as a list of ints. */
extern List *ints_from_array(Datum array);

/*
 * These convert arrays of names and texts to a list of C strings and back, and
 * compare such lists.  A NULL element is a NULL pointer.
 */
extern List *query_get_strings(uint64 row, int column);
extern List *strings_from_array(Datum array);
extern Datum array_from_strings(List *strings, Oid element_type);
extern bool same_strings(List *a, List *b);

/* Returns names as a quoted literal of an array, for a hint; palloc'd. */
extern char *array_literal(List *names);

/*
 * Gets the next member of a JSON object from an iterator.  Inner objects are
 * returned as part of their value.  Returns false at the end.  *name is
 * palloc'd.
 */
extern bool jsonb_next_member(JsonbIterator **members, char **name,
							  JsonbValue *value);

#endif							/* TANDEM_QUERY_H */
