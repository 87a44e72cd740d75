/*
 * query.c
 *		Runs queries on the tandem tables through SPI, as the extension's
 *		owner.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/text.h"
#include "core/transaction.h"

/* number of nested queries running; an error ends them all */
static int	depth = 0;

/*
 * The same text may be used in two places with parameters of different types.
 */
typedef struct PlanKey
{
	const char *sql;			/* a constant, identified by its address */
	Oid			types[QUERY_MAX_ARGS];
} PlanKey;

typedef struct KeptPlan
{
	PlanKey		key;
	SPIPlanPtr	plan;			/* NULL if preparing it failed */
} KeptPlan;

/*
 * How long queries of this transaction may wait for locks, in ms, since that
 * subtransaction, with which the locks go that are the reason.
 */
static LocalTransactionId limited_transaction = InvalidLocalTransactionId;
static SubTransactionId limited_since = InvalidSubTransactionId;
static int	limited_to = 0;

static HTAB *kept_plans = NULL; /* for the session */

static void
forget_query_at_xact_end(XactEvent event, void *arg)
{
	depth = 0;
}

static void
forget_query_at_subxact_abort(SubXactEvent event, SubTransactionId mine,
							  SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	depth = 0;
	/* those that began later are parts of it */
	if (limited_since >= mine)
		limited_transaction = InvalidLocalTransactionId;
}

static void
register_query_callbacks(void)
{
	static bool watching = false;

	if (watching)
		return;
	RegisterXactCallback(forget_query_at_xact_end, NULL);
	RegisterSubXactCallback(forget_query_at_subxact_abort, NULL);
	watching = true;
}

bool
query_is_running(void)
{
	return depth > 0;
}

void
query_ours_begin(void)
{
	register_query_callbacks();
	depth++;
}

void
query_ours_end(void)
{
	depth = Max(depth - 1, 0);
}

void
query_limit_waits(int ms)
{
	if (query_waits_limit() > 0)
		return;
	register_query_callbacks();
	limited_transaction = compat_local_transaction_id();
	limited_since = GetCurrentSubTransactionId();
	limited_to = ms;
}

int
query_waits_limit(void)
{
	return limited_transaction != InvalidLocalTransactionId &&
		limited_transaction == compat_local_transaction_id() ? limited_to : 0;
}

void
query_begin(TandemQuery *query)
{
	query_ours_begin();
	extension_hold();
	query->caller = CurrentMemoryContext;
	query->nargs = 0;
	authority_enter_extension(&query->scope);
	authority_pin_uncompiled();
	SPI_connect();
	/* results may be toasted, and are detoasted after the query */
	snapshot_push_latest();
}

void
query_end(TandemQuery *query)
{
	PopActiveSnapshot();
	SPI_finish();
	authority_leave(&query->scope);
	query_ours_end();
}

void
query_datum(TandemQuery *query, Oid type, Datum value, bool isnull)
{
	int			i = query->nargs++;

	Assert(i < QUERY_MAX_ARGS);
	query->types[i] = type;
	query->values[i] = value;
	query->nulls[i] = isnull ? 'n' : ' ';
}

void
query_text(TandemQuery *query, const char *value)
{
	query_datum(query, TEXTOID,
				value ? CStringGetTextDatum(text_valid(value)) : (Datum) 0,
				value == NULL);
}

void
query_name(TandemQuery *query, const char *value)
{
	query_datum(query, NAMEOID,
				DirectFunctionCall1(namein, CStringGetDatum(text_valid(value))),
				false);
}

void
query_int(TandemQuery *query, int32 value)
{
	query_datum(query, INT4OID, Int32GetDatum(value), false);
}

void
query_bigint(TandemQuery *query, int64 value)
{
	query_datum(query, INT8OID, Int64GetDatum(value), false);
}

void
query_bool(TandemQuery *query, bool value)
{
	query_datum(query, BOOLOID, BoolGetDatum(value), false);
}

void
query_oid(TandemQuery *query, Oid value)
{
	query_datum(query, OIDOID, ObjectIdGetDatum(value), false);
}

/* OIDs or integers: elements of four bytes */
static void
query_list(TandemQuery *query, List *values, Oid array_type, Oid element_type)
{
	int			count = list_length(values);
	Datum	   *elements = palloc(sizeof(Datum) * Max(count, 1));

	for (int i = 0; i < count; i++)
		elements[i] = element_type == OIDOID
			? ObjectIdGetDatum(list_nth_oid(values, i))
			: Int32GetDatum(list_nth_int(values, i));
	query_datum(query, array_type,
				PointerGetDatum(construct_array(elements, count, element_type,
												sizeof(int32), true,
												TYPALIGN_INT)),
				false);
}

void
query_int_list(TandemQuery *query, List *values)
{
	query_list(query, values, INT4ARRAYOID, INT4OID);
}

void
query_oid_list(TandemQuery *query, List *values)
{
	query_list(query, values, OIDARRAYOID, OIDOID);
}

static void
check_spi_result(int result, const char *sql)
{
	if (result >= 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("query on the tandem tables failed: %s",
					SPI_result_code_string(result)),
			 errdetail("Query: %s", sql)));
}

static HTAB *
create_plan_table(void)
{
	HASHCTL		control = {.keysize = sizeof(PlanKey),.entrysize = sizeof(KeptPlan)};

	return hash_create("tandem plans", 64, &control, HASH_ELEM | HASH_BLOBS);
}

/* The plan cache replans it when an object that it uses has changed. */
static SPIPlanPtr
find_or_prepare_plan(const TandemQuery *query, const char *sql)
{
	PlanKey		key = {.sql = sql};
	KeptPlan   *kept;
	bool		found;

	memcpy(key.types, query->types, sizeof(Oid) * query->nargs);
	if (kept_plans == NULL)
		kept_plans = create_plan_table();
	kept = hash_search(kept_plans, &key, HASH_ENTER, &found);
	if (!found)
		kept->plan = NULL;
	if (kept->plan == NULL)
	{
		/*
		 * these texts are planned once for a session, not again for each
		 * value
		 */
		SPIPlanPtr	plan = SPI_prepare_cursor(sql, query->nargs, key.types,
											  CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL)
			check_spi_result(SPI_result, sql);
		(void) SPI_keepplan(plan);
		kept->plan = plan;
	}
	return kept->plan;
}

static bool
plan_only_reads(SPIPlanPtr plan)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));

	return source->commandTag == CMDTAG_SELECT;
}

/* A caller may have set a shorter lock_timeout, and handles its error. */
static bool
waits_are_too_long(void)
{
	int			limit = query_waits_limit();

	return limit > 0 && (LockTimeout == 0 || LockTimeout > limit);
}

static void
explain_lock_timeout(void *arg)
{
	if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
		errhint("Another transaction has changed the same entry of pg_tandem and is still open. Let it end, and call it again; nothing was changed.");
}

/*
 * Snapshot for a query that may write.  A transaction in REPEATABLE READ would
 * read its own state of our tables and of the catalogs, though it acts on what is
 * there now.  A parallel query cannot take another snapshot than it has.
 */
static Snapshot
snapshot_of_query(void)
{
	return IsolationUsesXactSnapshot() && !IsInParallelMode()
		? GetLatestSnapshot() : InvalidSnapshot;
}

static int
execute_plan(TandemQuery *query, SPIPlanPtr plan, bool read_only)
{
	return SPI_execute_snapshot(plan, query->values, query->nulls,
								read_only ? InvalidSnapshot : snapshot_of_query(),
								InvalidSnapshot, read_only, true, 0);
}

/*
 * Tables are locked, and others wait for them.  An entry of ours that another
 * transaction has changed must not keep them waiting.
 */
static int
execute_plan_without_waiting(TandemQuery *query, SPIPlanPtr plan)
{
	ErrorContextCallback context = {
		.callback = explain_lock_timeout,.previous = error_context_stack
	};
	int			level = NewGUCNestLevel();
	int			result;

	(void) set_config_option("lock_timeout",
							 psprintf("%d", query_waits_limit()), PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	error_context_stack = &context;
	result = execute_plan(query, plan, false);
	error_context_stack = context.previous;
	AtEOXact_GUC(false, level);
	return result;
}

/*
 * Runs sql in the snapshot that push_snapshot makes the active one, and writes
 * nothing; with NULL in one of its own, and may write.
 */
static uint64
execute_query(TandemQuery *query, const char *sql, void (*push_snapshot) (void))
{
	bool		read_only = push_snapshot != NULL;
	SPIPlanPtr	plan;

	if (read_only)
		push_snapshot();
	plan = find_or_prepare_plan(query, sql);
	if (!plan_only_reads(plan))
		extension_refuse_upgrade();
	check_spi_result(!read_only && waits_are_too_long()
					 ? execute_plan_without_waiting(query, plan)
					 : execute_plan(query, plan, read_only), sql);
	if (read_only)
		PopActiveSnapshot();
	query->nargs = 0;
	/* SPI's memory ends with query_end; results must outlive it */
	MemoryContextSwitchTo(query->caller);
	return SPI_processed;
}

uint64
query_run(TandemQuery *query, const char *sql)
{
	return execute_query(query, sql, NULL);
}

uint64
query_run_latest(TandemQuery *query, const char *sql)
{
	return execute_query(query, sql, snapshot_push_latest);
}

uint64
query_run_before(TandemQuery *query, const char *sql)
{
	return execute_query(query, sql, snapshot_push_before);
}

List *
query_texts(TandemQuery *query, const char *sql)
{
	uint64		rows = query_run_latest(query, sql);
	List	   *texts = NIL;

	for (uint64 row = 0; row < rows; row++)
		texts = lappend(texts, query_get_text(row, 1));
	return texts;
}

List *
query_oids(TandemQuery *query, const char *sql)
{
	uint64		rows = query_run_latest(query, sql);
	List	   *oids = NIL;

	for (uint64 row = 0; row < rows; row++)
		oids = lappend_oid(oids, query_get_oid(row, 1));
	return oids;
}

List *
query_rows(TandemQuery *query, const char *sql, void *(*read_row) (uint64 row))
{
	uint64		rows = query_run(query, sql);
	List	   *list = NIL;

	for (uint64 row = 0; row < rows; row++)
		list = lappend(list, read_row(row));
	return list;
}

static Datum
get_result_datum(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 column, isnull);
}

/* For types that are passed by value on all platforms; returns 0 for NULL. */
static Datum
get_datum_or_zero(uint64 row, int column)
{
	bool		isnull;
	Datum		value = get_result_datum(row, column, &isnull);

	return isnull ? (Datum) 0 : value;
}

char *
query_get_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

int32
query_get_int(uint64 row, int column)
{
	return DatumGetInt32(get_datum_or_zero(row, column));
}

int64
query_get_bigint(uint64 row, int column)
{
	bool		isnull;
	Datum		value = get_result_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

List *
query_get_ints(uint64 rows)
{
	List	   *ints = NIL;

	for (uint64 row = 0; row < rows; row++)
		ints = lappend_int(ints, query_get_int(row, 1));
	return ints;
}

bool
query_get_bool(uint64 row, int column)
{
	return DatumGetBool(get_datum_or_zero(row, column));
}

Oid
query_get_oid(uint64 row, int column)
{
	return DatumGetObjectId(get_datum_or_zero(row, column));
}

bool
query_end_found(TandemQuery *query, uint64 rows)
{
	query_end(query);
	return rows > 0;
}

char *
query_end_text(TandemQuery *query, uint64 rows)
{
	char	   *value = rows > 0 ? query_get_text(0, 1) : NULL;

	query_end(query);
	return value;
}

int32
query_end_int(TandemQuery *query, uint64 rows)
{
	int32		value = rows > 0 ? query_get_int(0, 1) : 0;

	query_end(query);
	return value;
}

int64
query_end_bigint(TandemQuery *query, uint64 rows)
{
	int64		value = rows > 0 ? query_get_bigint(0, 1) : 0;

	query_end(query);
	return value;
}

List *
query_get_strings(uint64 row, int column)
{
	bool		isnull;
	Datum		value = get_result_datum(row, column, &isnull);

	return isnull ? NIL : strings_from_array(value);
}

List *
ints_from_array(Datum array)
{
	List	   *ints = NIL;
	Datum	   *elements;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(array), INT4OID, sizeof(int32), true,
					  TYPALIGN_INT, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		ints = lappend_int(ints, DatumGetInt32(elements[i]));
	return ints;
}

List *
query_get_int_list(uint64 row, int column)
{
	bool		isnull;

	return ints_from_array(get_result_datum(row, column, &isnull));
}

List *
strings_from_array(Datum array)
{
	ArrayType  *a = DatumGetArrayTypeP(array);
	List	   *strings = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	get_typlenbyvalalign(ARR_ELEMTYPE(a), &typlen, &typbyval, &typalign);
	deconstruct_array(a, ARR_ELEMTYPE(a), typlen, typbyval, typalign,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *string = NULL;

		if (!nulls[i])
			string = ARR_ELEMTYPE(a) == NAMEOID
				? pstrdup(NameStr(*DatumGetName(elements[i])))
				: TextDatumGetCString(elements[i]);
		strings = lappend(strings, string);
	}
	return strings;
}

char *
array_literal(List *names)
{
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(NAMEARRAYOID, &output, &is_varlena);
	return quote_literal_cstr(OidOutputFunctionCall(output,
													array_from_strings(names, NAMEOID)));
}

bool
same_strings(List *a, List *b)
{
	ListCell   *la;
	ListCell   *lb;

	if (list_length(a) != list_length(b))
		return false;
	forboth(la, a, lb, b)
	{
		if ((lfirst(la) == NULL) != (lfirst(lb) == NULL) ||
			(lfirst(la) && strcmp(lfirst(la), lfirst(lb)) != 0))
			return false;
	}
	return true;
}

Datum
array_from_strings(List *strings, Oid element_type)
{
	int			count = list_length(strings);
	Datum	   *elements = palloc(sizeof(Datum) * Max(count, 1));
	bool	   *nulls = palloc0(sizeof(bool) * Max(count, 1));
	int			dims[1] = {count};
	int			lower_bounds[1] = {1};
	int16		typlen;
	bool		typbyval;
	char		typalign;

	for (int i = 0; i < count; i++)
	{
		char	   *string = list_nth(strings, i);

		nulls[i] = (string == NULL);
		if (string == NULL)
			elements[i] = (Datum) 0;
		else if (element_type == NAMEOID)
			elements[i] = DirectFunctionCall1(namein, CStringGetDatum(string));
		else
			elements[i] = CStringGetTextDatum(string);
	}
	get_typlenbyvalalign(element_type, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_md_array(elements, nulls, 1, dims,
											  lower_bounds, element_type,
											  typlen, typbyval, typalign));
}

bool
jsonb_next_member(JsonbIterator **members, char **name, JsonbValue *value)
{
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(members, value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			*name = pnstrdup(value->val.string.val, value->val.string.len);
		else if (token == WJB_VALUE)
			return true;
	}
	return false;
}
