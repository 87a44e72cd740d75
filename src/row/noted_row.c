/*
 * noted_row.c
 *		A row as a trigger has left it, kept for a later trigger of the same
 *		statement.
 *
 * It is kept in the statement's memory context, and only the same statement
 * looks for it.  It is gone when the statement ends, in whatever way.  So it
 * cannot be confused with what comes after the statement (TRUNCATE of the
 * partition, another row at the same TID) or with statements that other
 * triggers run in between.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "lib/ilist.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "core/compat.h"
#include "row/noted_row.h"

struct NotedRow
{
	dlist_node	node;			/* in notes */
	MemoryContext statement;	/* context of the statement, and of this
								 * struct */
	MemoryContextCallback end;
	MemoryContext context;		/* of the values */
	NotedFor	purpose;
	Oid			relid;			/* its table */
	ItemPointerData tid;
	bool		taken;			/* or nothing is noted yet */
	int			rule;			/* id of the first rule, to tell tables apart */
	int			ncolumns;		/* rules->columns, equal in all partitions */
	Datum	   *values;
	bool	   *nulls;
};

/* those of each active statement, innermost first */
static dlist_head notes = DLIST_STATIC_INIT(notes);
int			noted_row_count = 0;

/* Reset callback of the statement's memory context. */
static void
forget_noted_row(void *arg)
{
	NotedRow   *noted = arg;

	dlist_delete(&noted->node);
	noted_row_count--;
}

/* Returns the one to be used again, or to be taken. */
static NotedRow *
find_noted_row(RowState *state, NotedFor purpose)
{
	dlist_iter	iter;

	dlist_foreach(iter, &notes)
	{
		NotedRow   *noted = dlist_container(NotedRow, node, iter.cur);

		if (noted->statement == state->statement &&
			noted->purpose == purpose &&
			(purpose == NOTED_FOR_MOVE ||
			 noted->relid == state->table->relid))
			return noted;
	}
	return NULL;
}

static NotedRow *
make_noted_row(MemoryContext statement, NotedFor purpose)
{
	NotedRow   *noted = MemoryContextAllocZero(statement, sizeof(NotedRow));

	noted->statement = statement;
	noted->purpose = purpose;
	noted->context = AllocSetContextCreate(statement, "tandem noted row",
										   ALLOCSET_SMALL_SIZES);
	noted->taken = true;
	noted->end.func = forget_noted_row;
	noted->end.arg = noted;
	dlist_push_head(&notes, &noted->node);
	noted_row_count++;
	MemoryContextRegisterResetCallback(statement, &noted->end);
	return noted;
}

void
noted_row_set(RowState *state, NotedFor purpose, const ItemPointerData * tid,
			  HeapTuple tuple)
{
	RelationRules *rules = state->rules;
	NotedRow   *noted = find_noted_row(state, purpose);
	MemoryContext caller;

	if (noted == NULL)
		noted = make_noted_row(state->statement, purpose);
	noted->taken = true;
	MemoryContextReset(noted->context);
	caller = MemoryContextSwitchTo(noted->context);
	if (tid)
		noted->tid = *tid;
	noted->rule = rules->rules[0].source->id;
	noted->ncolumns = rules->ncolumns;
	noted->values = palloc(sizeof(Datum) * rules->ncolumns);
	noted->nulls = palloc(sizeof(bool) * rules->ncolumns);
	for (int i = 0; i < rules->ncolumns; i++)
	{
		Form_pg_attribute att = rules->columns[i].att;
		Datum		value = heap_getattr(tuple, att->attnum,
										 RelationGetDescr(state->rel),
										 &noted->nulls[i]);

		noted->values[i] = noted->nulls[i] ? (Datum) 0
			: datumCopy(value, att->attbyval, att->attlen);
	}
	noted->relid = state->table->relid;
	noted->taken = false;
	MemoryContextSwitchTo(caller);
}

NotedRow *
noted_row_search(RowState *state, NotedFor purpose)
{
	NotedRow   *noted = find_noted_row(state, purpose);

	return noted && !noted->taken ? noted : NULL;
}

Oid
noted_row_relation(const NotedRow *noted)
{
	return noted->relid;
}

const		ItemPointerData *
noted_row_tid(const NotedRow *noted)
{
	return &noted->tid;
}

TupleTableSlot *
noted_row_take(RowState *state, NotedRow *noted)
{
	RelationRules *rules = state->rules;
	TupleTableSlot *slot;

	if (noted->rule != rules->rules[0].source->id ||
		noted->ncolumns != rules->ncolumns)
		return NULL;
	if (state->noted == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->context);

		state->noted = compat_make_slot(rules->desc, &TTSOpsVirtual);
		MemoryContextSwitchTo(caller);
	}
	slot = state->noted;
	ExecStoreAllNullTuple(slot);
	for (int i = 0; i < rules->ncolumns; i++)
	{
		slot->tts_values[rules->columns[i].attnum - 1] = noted->values[i];
		slot->tts_isnull[rules->columns[i].attnum - 1] = noted->nulls[i];
	}
	noted->taken = true;
	return slot;
}
