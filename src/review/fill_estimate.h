/*
 * fill_estimate.h
 *		What the fill of a new column would take, from the sizes of some rows.
 */
#ifndef TANDEM_FILL_ESTIMATE_H
#define TANDEM_FILL_ESTIMATE_H

#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "storage/block.h"

/* What was seen of the rows of one leaf table; bytes and time are sums. */
typedef struct LeafRows
{
	Oid			relid;
	BlockNumber blocks;
	double		rows;			/* of the table, as far as they are known */
	int64		seen;
	int64		blocks_seen;
	double		old_bytes;		/* on their pages, with line pointers */
	double		new_bytes;
	double		toast_bytes;	/* that the new column stores outside of them */
	double		column_bytes;	/* of the new column alone */
	int64		up_us;			/* time that up took */
} LeafRows;

/* Adds a row, with its new column last; stored is the row as it is. */
extern void leaf_rows_add(LeafRows *leaf, TupleDesc desc, TupleTableSlot *row,
						  TupleTableSlot *stored);

typedef struct IndexEstimate
{
	Oid			relid;
	double		bytes;			/* after the fill, or of the new one */
	bool		is_new;			/* it takes the place of one of the old column */
} IndexEstimate;

typedef struct FillEstimate
{
	double		rows;
	double		heap_now;
	double		heap_bytes;
	double		toast_bytes;
	double		wal_bytes;
	double		us;				/* time of the fill; negative: not measured */
	List	   *indexes;		/* IndexEstimate */
} FillEstimate;

/*
 * Estimates the fill of all leaves (LeafRows), of a column of the type that takes the
 * place of column (name, or NULL).  It measures writes on a table of the extension's, and
 * rolls them back; not where nothing may be written.
 */
extern FillEstimate *fill_estimate(List *leaves, const char *column);

#endif							/* TANDEM_FILL_ESTIMATE_H */
