/*
 * page_room.h
 *		Which rows of a page are written now, and which are left for a later
 *		visit, so that new versions find room beside the old ones.
 *
 * A new version that stays on its page is cheap for as long as the table lives:
 * it takes no entry in any index, and its old version is pruned without a
 * VACUUM (a heap-only tuple).  But a full page has room for none.  So a page is
 * visited several times: each visit writes what fits, and a small part of its
 * rows in any case, which moves those elsewhere; the commit makes their old
 * versions prunable, and that is the room for the next visit.
 */
#ifndef TANDEM_PAGE_ROOM_H
#define TANDEM_PAGE_ROOM_H

#include "executor/tuptable.h"
#include "storage/block.h"
#include "utils/rel.h"

typedef struct PageRoom
{
	bool		unlimited;		/* no heap, or an index needs each version */
	int			written;		/* rows, on this visit */
	int			quota;			/* rows that may move elsewhere on it */
	Size		growth;			/* that a new version takes more than its old */
	Size		free;			/* at the last question */
	BlockNumber block;
} PageRoom;

/* For updates of rel that write columns (numbers of attributes). */
extern void page_room_init(PageRoom *room, Relation rel, Bitmapset *columns);

/* The scan has come to another page: that of the row in slot. */
extern void page_room_enter(PageRoom *room, TupleTableSlot *slot);

/* Whether the row in slot may be written on this visit. */
extern bool page_room_allows(PageRoom *room, TupleTableSlot *slot);

/* It has been, from slot, as the row at tid.  True: that is on another page. */
extern bool page_room_written(PageRoom *room, TupleTableSlot *slot,
							  ItemPointer tid);

#endif							/* TANDEM_PAGE_ROOM_H */
