/*
 * by_hand.c
 *		The sync of table item (contenders/item.sql) as one would write it in C for
 *		that table alone: the least that a trigger can cost which sets a column.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(by_hand);

#define PRICE 2
#define CENTS 6

static Datum
changed(const TriggerData *trigger, HeapTuple tuple, int column, Datum value)
{
	bool		isnull = false;

	return PointerGetDatum(heap_modify_tuple_by_cols(tuple,
													 RelationGetDescr(trigger->tg_relation),
													 1, &column, &value, &isnull));
}

static Datum
set_cents(const TriggerData *trigger, HeapTuple tuple, Datum price)
{
	return changed(trigger, tuple, CENTS,
				   Int64GetDatum(DatumGetInt32(price) * INT64CONST(100)));
}

static Datum
set_price(const TriggerData *trigger, HeapTuple tuple, Datum cents)
{
	return changed(trigger, tuple, PRICE,
				   Int32GetDatum((int32) (DatumGetInt64(cents) / 100)));
}

static Datum
inserted(const TriggerData *trigger)
{
	bool		no_price;
	bool		no_cents;
	Datum		price = slot_getattr(trigger->tg_trigslot, PRICE, &no_price);
	Datum		cents = slot_getattr(trigger->tg_trigslot, CENTS, &no_cents);

	if (no_cents && !no_price)
		return set_cents(trigger, trigger->tg_trigtuple, price);
	if (no_price && !no_cents)
		return set_price(trigger, trigger->tg_trigtuple, cents);
	return PointerGetDatum(trigger->tg_trigtuple);
}

/* No row of the bench has a NULL by then. */
static Datum
updated(const TriggerData *trigger)
{
	bool		isnull;
	Datum		price = slot_getattr(trigger->tg_newslot, PRICE, &isnull);
	Datum		cents = slot_getattr(trigger->tg_newslot, CENTS, &isnull);

	if (price != slot_getattr(trigger->tg_trigslot, PRICE, &isnull))
		return set_cents(trigger, trigger->tg_newtuple, price);
	if (cents != slot_getattr(trigger->tg_trigslot, CENTS, &isnull))
		return set_price(trigger, trigger->tg_newtuple, cents);
	return PointerGetDatum(trigger->tg_newtuple);
}

Datum
by_hand(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	return TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? updated(trigger)
		: inserted(trigger);
}
