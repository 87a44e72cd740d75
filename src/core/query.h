/*
 * query.h
 *		Queries on the tandem tables, through SPI, as the extension's owner.
 *
 * Every value goes in as a parameter.  Results live until query_end; what
 * outlives it is copied into the context that was current at query_begin.
 */
#ifndef TANDEM_QUERY_H
#define TANDEM_QUERY_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "core/authority.h"

#define QUERY_MAX_ARGS 16

/*
 * Most characters that are kept of a text that others have written, such as an
 * error: the second argument of left() in a query.
 */
#define QUERY_KEPT_TEXT "2000"

typedef struct TandemQuery
{
	AuthorityScope scope;
	MemoryContext caller;		/* context of the results that outlive it */
	int			nargs;
	Oid			types[QUERY_MAX_ARGS];
	Datum		values[QUERY_MAX_ARGS];
	char		nulls[QUERY_MAX_ARGS];
} TandemQuery;

/*
 * From the first query_run on the memory context is that of query_begin again:
 * what is made of the rows outlives query_end.
 */
extern void query_begin(TandemQuery *query);
extern void query_end(TandemQuery *query);

/* Whether one is under way: its statements are ours, not the session's. */
extern bool query_is_running(void);

/* Between the two statements count as ours, too, which no query here runs. */
extern void query_ours_begin(void);
extern void query_ours_end(void);

/* Parameters of the next query_run, in order.  NULL text is SQL NULL. */
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
 * Runs sql with the parameters given since the last run and forgets them.
 * Returns the number of rows.  sql is a constant: its plan is kept for the
 * session, and found again by the text's address.
 */
extern uint64 query_run(TandemQuery *query, const char *sql);

/* The same for a SELECT that sees what is committed now, at any isolation. */
extern uint64 query_run_latest(TandemQuery *query, const char *sql);

/*
 * The same for what was committed before this transaction changed anything:
 * of rows that it has changed the versions before it.
 */
extern uint64 query_run_before(TandemQuery *query, const char *sql);

/* The first column of such a SELECT as a list of C strings, or of OIDs. */
extern List *query_texts(TandemQuery *query, const char *sql);
extern List *query_oids(TandemQuery *query, const char *sql);

/* What read_row, which runs no query, makes of each row of a query_run. */
extern List *query_rows(TandemQuery *query, const char *sql,
						void *(*read_row) (uint64 row));

/* A column of a result row; columns count from 1. */
extern char *query_get_text(uint64 row, int column);
extern int32 query_get_int(uint64 row, int column);
extern int64 query_get_bigint(uint64 row, int column);
extern bool query_get_bool(uint64 row, int column);
extern Oid	query_get_oid(uint64 row, int column);

/* The first column of all rows, as many as a run has returned. */
extern List *query_get_ints(uint64 rows);

/*
 * Arrays of names and texts as C strings in a List; a NULL element is a NULL
 * pointer in the list.
 */
extern List *query_get_strings(uint64 row, int column);
extern List *strings_from_array(Datum array);
extern Datum array_from_strings(List *strings, Oid element_type);
extern bool same_strings(List *a, List *b);

/*
 * The next member of a JSON object that an iterator goes through, members of
 * inner objects skipped as parts of their value; false at the end.  The name is
 * palloc'd.
 */
extern bool jsonb_next_member(JsonbIterator **members, char **name,
							  JsonbValue *value);

#endif							/* TANDEM_QUERY_H */
