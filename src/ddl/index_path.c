/*
 * index_path.c
 *		Do the functions of an index find their names when it is built?
 *
 * From version 17 on the server builds indexes under pg_catalog and pg_temp alone.
 * A function that needs more fails then, after the whole fill.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/authority.h"
#include "core/compat.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/text.h"
#include "core/time_limit.h"
#include "ddl/index_path.h"

#define MOST_ROWS 10

typedef struct IndexTrial
{
	Oid			index;
	const char *search_path;	/* under which it is tried */
} IndexTrial;

typedef struct IndexEvaluation
{
	IndexInfo  *info;
	ExprState  *predicate;
	EState	   *estate;
	int			rows;			/* tried so far */
} IndexEvaluation;

/* Computes what the index would have for the row. */
static void
evaluate_index_row(IndexEvaluation *evaluation, TupleTableSlot *slot)
{
	ExprContext *context = GetPerTupleExprContext(evaluation->estate);
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];

	ResetExprContext(context);
	context->ecxt_scantuple = slot;
	evaluation->rows++;
	if (ExecQual(evaluation->predicate, context))
		FormIndexDatum(evaluation->info, slot, evaluation->estate, values, nulls);
}

/* The index has the columns of the table at the top. */
static void
evaluate_rows_of_leaf(IndexEvaluation *evaluation, Relation heap, Oid leafid)
{
	Relation	leaf = relation_open_present(leafid, AccessShareLock);
	TupleConversionMap *map = convert_tuples_by_name(RelationGetDescr(leaf),
													 RelationGetDescr(heap));
	TupleTableSlot *slot = table_slot_create(leaf, NULL);
	TupleTableSlot *converted = map
	? MakeSingleTupleTableSlot(RelationGetDescr(heap), &TTSOpsVirtual) : NULL;
	TableScanDesc scan = compat_begin_scan(leaf, GetActiveSnapshot());

	while (evaluation->rows < MOST_ROWS &&
		   table_scan_getnextslot(scan, ForwardScanDirection, slot))
		evaluate_index_row(evaluation,
						   map ? execute_attr_map_slot(map->attrMap, slot, converted)
						   : slot);
	table_endscan(scan);
	if (converted)
		ExecDropSingleTupleTableSlot(converted);
	ExecDropSingleTupleTableSlot(slot);
	table_close(leaf, AccessShareLock);
}

/* Without a row, functions that are not STRICT are called all the same. */
static void
evaluate_row_of_nulls(IndexEvaluation *evaluation, Relation heap)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(heap),
													&TTSOpsVirtual);

	evaluate_index_row(evaluation, ExecStoreAllNullTuple(slot));
	ExecDropSingleTupleTableSlot(slot);
}

static void
evaluate_index_rows(Relation heap, Relation index)
{
	IndexEvaluation evaluation = {.info = BuildIndexInfo(index)};
	ListCell   *lc;

	evaluation.estate = CreateExecutorState();
	evaluation.predicate = ExecPrepareQual(evaluation.info->ii_Predicate,
										   evaluation.estate);
	foreach(lc, table_leaves(RelationGetRelid(heap)))
	{
		if (evaluation.rows < MOST_ROWS)
			evaluate_rows_of_leaf(&evaluation, heap, lfirst_oid(lc));
	}
	if (evaluation.rows == 0)
		evaluate_row_of_nulls(&evaluation, heap);
	FreeExecutorState(evaluation.estate);
}

/* Runs in a subtransaction that is rolled back. */
static void
try_index(void *arg)
{
	IndexTrial *trial = arg;
	Relation	heap = table_open(IndexGetRelation(trial->index, false), NoLock);
	Relation	index;
	AuthorityScope scope;

	authority_enter_owner(&scope, heap, trial->search_path);
	PushActiveSnapshot(GetTransactionSnapshot());
	/* opened in the scope: the server folds its expressions then */
	index = index_open(trial->index, AccessShareLock);
	if (RelationGetIndexExpressions(index) != NIL ||
		RelationGetIndexPredicate(index) != NIL)
		evaluate_index_rows(heap, index);
	index_close(index, AccessShareLock);
	PopActiveSnapshot();
	authority_leave(&scope);
	table_close(heap, NoLock);
}

/* Returns the error, or NULL: also if it is not known in time. */
static ErrorData *
error_under_path(Oid index, const char *search_path)
{
	IndexTrial	trial = {index, search_path};
	bool		time_is_up;

	return rehearse_for_time(try_index, &trial, setting_lock_timeout,
							 &time_is_up);
}

static bool
error_is_of_name(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
		ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INVALID_SCHEMA_NAME;
}

static void
raise_path_error(const ErrorData *error)
{
	ereport(ERROR,
			(errcode(error->sqlerrcode),
			 errmsg("a function of the index would fail when the index is built: %s",
					error->message),
			 errdetail("This server builds indexes with search_path set to %s.%s%s",
					   AUTHORITY_PINNED_PATH, error->context ? " Context: " : "",
					   error->context ? error->context : ""),
			 errhint("Qualify the names in the body of the function, or give the function a search_path of its own with ALTER FUNCTION ... SET search_path, then call it again.")));
}

void
index_explain_error(const ErrorData *error)
{
	if (compat_index_build_pins_path() && error->internalquery &&
		error_is_of_name(error))
		raise_path_error(error);
}

void
index_check_path(Oid index)
{
	ErrorData  *error;

	if (!compat_index_build_pins_path())
		return;
	error = error_under_path(index, AUTHORITY_PINNED_PATH);
	if (error && error_is_of_name(error) &&
		error_under_path(index, namespace_search_path) == NULL)
		raise_path_error(error);
}
