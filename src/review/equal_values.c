/*
 * equal_values.c
 *		Rows that UNIQUE would refuse with a new column: found by sorting its values.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "core/compat.h"
#include "review/equal_values.h"

struct EqualValues
{
	const ChangeConstraint *constraint;
	ChangeFinding *finding;
	int			ncolumns;
	TupleDesc	desc;			/* of what is sorted: the columns, and the key */
	TupleTableSlot *slot;
	Tuplesortstate *sort;
};

/* A leaf may have its columns in another order. */
static AttrNumber
column_of_trial(const EqualValues *values, int i, const ChangeTrial *trial)
{
	char	   *name = list_nth(values->constraint->columns, i);

	return strcmp(name, trial->call->column) == 0 ? trial->desc->natts
		: get_attnum(RelationGetRelid(trial->rel), name);
}

static bool
begin_sort(EqualValues *values)
{
	/* the key, too, so that the same rows are shown each time */
	int			ncolumns = values->ncolumns + 1;
	Oid		   *operators = palloc(sizeof(Oid) * ncolumns);
	Oid		   *collations = palloc(sizeof(Oid) * ncolumns);
	bool	   *nulls_first = palloc0(sizeof(bool) * ncolumns);
	AttrNumber *columns = palloc(sizeof(AttrNumber) * ncolumns);

	for (int i = 0; i < ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(values->desc, i);

		columns[i] = i + 1;
		collations[i] = att->attcollation;
		operators[i] = lookup_type_cache(att->atttypid, TYPECACHE_LT_OPR)->lt_opr;
		if (!OidIsValid(operators[i]))
			return false;
	}
	values->sort = tuplesort_begin_heap(values->desc, ncolumns, columns, operators, collations,
										nulls_first, work_mem, NULL, TUPLESORT_NONE);
	return true;
}

EqualValues *
equal_values_begin(ChangeConstraint *constraint, const ChangeTrial *trial, ChangeFinding *finding)
{
	EqualValues *values = palloc0(sizeof(EqualValues));
	int			ncolumns = list_length(constraint->columns);

	values->constraint = constraint;
	values->finding = finding;
	values->ncolumns = ncolumns;
	values->desc = CreateTemplateTupleDesc(ncolumns + 1);
	for (int i = 0; i < ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(trial->desc, column_of_trial(values, i, trial) - 1);

		TupleDescInitEntry(values->desc, i + 1, NameStr(att->attname), att->atttypid, att->atttypmod, 0);
		TupleDescInitEntryCollation(values->desc, i + 1, att->attcollation);
	}
	TupleDescInitEntry(values->desc, ncolumns + 1, "key", TEXTOID, -1, 0);
	TupleDescInitEntryCollation(values->desc, ncolumns + 1, C_COLLATION_OID);
	compat_finish_desc(values->desc);
	values->slot = compat_make_slot(values->desc, &TTSOpsVirtual);
	if (begin_sort(values))
		return values;
	constraint->not_tried = "a type of its columns cannot be sorted";
	return NULL;
}

void
equal_values_put(EqualValues *values, const ChangeTrial *trial, ResourceOwner owner, const char *key)
{
	TupleTableSlot *row = trial->row;
	TupleTableSlot *slot = values->slot;
	ResourceOwner current = CurrentResourceOwner;

	ExecClearTuple(slot);
	for (int i = 0; i < values->ncolumns; i++)
	{
		AttrNumber	attnum = column_of_trial(values, i, trial);

		if (row->tts_isnull[attnum - 1] && !values->constraint->nulls_equal)
			return;
		slot->tts_values[i] = row->tts_values[attnum - 1];
		slot->tts_isnull[i] = row->tts_isnull[attnum - 1];
	}
	slot->tts_values[values->ncolumns] = CStringGetTextDatum(key);
	slot->tts_isnull[values->ncolumns] = false;
	ExecStoreVirtualTuple(slot);
	CurrentResourceOwner = owner;
	tuplesort_puttupleslot(values->sort, slot);
	CurrentResourceOwner = current;
}

static bool
rows_are_equal(const EqualValues *values, TupleTableSlot *a, TupleTableSlot *b)
{
	for (int i = 0; i < values->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(values->desc, i);
		TypeCacheEntry *type = lookup_type_cache(att->atttypid, TYPECACHE_EQ_OPR_FINFO);

		if (a->tts_isnull[i] != b->tts_isnull[i])
			return false;
		if (!a->tts_isnull[i] &&
			!DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, att->attcollation,
											a->tts_values[i], b->tts_values[i])))
			return false;
	}
	return true;
}

static void
add_row(EqualValues *values, TupleTableSlot *row)
{
	ChangeFinding *finding = values->finding;

	if (finding->rows++ < CHANGE_SAMPLE)
		finding->keys[finding->nkeys++] = TextDatumGetCString(row->tts_values[values->ncolumns]);
}

void
equal_values_count(EqualValues *values)
{
	TupleTableSlot *last = compat_make_slot(values->desc, &TTSOpsMinimalTuple);
	TupleTableSlot *next = compat_make_slot(values->desc, &TTSOpsMinimalTuple);
	bool		in_group = false;

	tuplesort_performsort(values->sort);
	while (tuplesort_gettupleslot(values->sort, true, true, next, NULL))
	{
		TupleTableSlot *row = next;
		bool		same;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(next);
		same = !TTS_EMPTY(last) && rows_are_equal(values, last, next);
		if (same && !in_group)
			add_row(values, last);
		if (same)
			add_row(values, next);
		in_group = same;
		next = last;
		last = row;
	}
	ExecDropSingleTupleTableSlot(last);
	ExecDropSingleTupleTableSlot(next);
	tuplesort_end(values->sort);
}
