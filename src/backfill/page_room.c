/*
 * page_room.c
 *		Which rows of a page are written now, and which on a later visit.
 *
 * The page is looked at without its lock, by the pin of the scan: a wrong
 * answer costs a row that moves or waits, no more.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup.h"
#include "access/tableam.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"

#include "backfill/page_room.h"
#include "core/compat.h"

/* a page is done after about so many visits, even if nothing is ever pruned */
#define VISITS 16

void
page_room_init(PageRoom *room, Relation rel, Bitmapset *columns)
{
	memset(room, 0, sizeof(PageRoom));
	room->block = InvalidBlockNumber;
	room->unlimited = rel->rd_tableam != GetHeapamTableAmRoutine() ||
		compat_index_reads(rel, columns);
}

static Page
page_of(TupleTableSlot *slot)
{
	return BufferGetPage(((BufferHeapTupleTableSlot *) slot)->buffer);
}

static Size
length_of(TupleTableSlot *slot)
{
	return MAXALIGN(((BufferHeapTupleTableSlot *) slot)->base.tuple->t_len);
}

void
page_room_enter(PageRoom *room, TupleTableSlot *slot)
{
	room->block = ItemPointerGetBlockNumber(&slot->tts_tid);
	room->written = 0;
	if (room->unlimited)
		return;
	room->quota = PageGetMaxOffsetNumber(page_of(slot)) / VISITS + 1;
}

bool
page_room_allows(PageRoom *room, TupleTableSlot *slot)
{
	if (room->unlimited)
		return true;
	room->free = PageGetHeapFreeSpace(page_of(slot));
	return room->written < room->quota ||
		room->free >= length_of(slot) + room->growth;
}

bool
page_room_written(PageRoom *room, TupleTableSlot *slot, ItemPointer tid)
{
	bool		moved = ItemPointerGetBlockNumber(tid) != room->block;
	Size		length;
	Size		taken;

	room->written++;
	if (room->unlimited)
		return moved;
	length = length_of(slot);
	if (!moved)
	{
		taken = room->free - Min(room->free,
								 PageGetHeapFreeSpace(page_of(slot)));
		room->growth = taken - Min(taken, length);
	}
	/* it was to fit, and did not */
	else if (room->free >= length + room->growth)
		room->growth = MAXALIGN(room->free - length + 1);
	return moved;
}
