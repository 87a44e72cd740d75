/*
 * fill_estimate.c
 *		What the fill of a new column would take, from the sizes of some rows.
 *
 * Bytes follow from the sizes of the rows and from how a fill writes them: each page is
 * visited until its rows have their new versions; those that do not fit move, and only
 * these need new entries in the indexes (fill/README.md).  The time of one write is
 * measured, on rows of the same size in a table of ours.
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/toast_internals.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "core/clock.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/transaction.h"
#include "review/fill_estimate.h"

/*-------------------------------------------------------------------------
 * Sizes of rows.
 *-------------------------------------------------------------------------
 */

static double
bytes_on_page(Size tuple)
{
	return MAXALIGN(tuple) + sizeof(ItemIdData);
}

static Size
size_of_row(TupleDesc desc, TupleTableSlot *row)
{
	bool		has_nulls = false;

	for (int i = 0; i < desc->natts; i++)
		has_nulls |= row->tts_isnull[i];
	return MAXALIGN(SizeofHeapTupleHeader + (has_nulls ? BITMAPLEN(desc->natts) : 0)) +
		heap_compute_data_size(desc, row->tts_values, row->tts_isnull);
}

/* What the new value takes when the row is too long; returns the bytes left in it. */
static double
bytes_of_long_value(LeafRows *leaf, Form_pg_attribute att, Datum value)
{
	double		bytes = toast_raw_datum_size(value);

	if (att->attstorage == TYPSTORAGE_EXTENDED || att->attstorage == TYPSTORAGE_MAIN)
	{
		Datum		small = toast_compress_datum(value, InvalidCompressionMethod);

		if (DatumGetPointer(small) != NULL)
			bytes = VARSIZE_ANY(DatumGetPointer(small));
	}
	if (bytes * 4 <= TOAST_TUPLE_TARGET || att->attstorage == TYPSTORAGE_MAIN)
		return bytes;
	/* each chunk is a row, and has an entry in the index */
	leaf->toast_bytes += bytes * 1.06 + 20;
	return TOAST_POINTER_SIZE;
}

void
leaf_rows_add(LeafRows *leaf, TupleDesc desc, TupleTableSlot *row, TupleTableSlot *stored)
{
	int			last = desc->natts - 1;
	Form_pg_attribute att = TupleDescAttr(desc, last);
	Size		size = size_of_row(desc, row);
	Size		column = 0;

	if (!row->tts_isnull[last])
		column = att->attlen > 0 ? (Size) att->attlen
			: att->attlen == -1 ? toast_datum_size(row->tts_values[last])
			: strlen(DatumGetCString(row->tts_values[last])) + 1;
	if (size > TOAST_TUPLE_THRESHOLD && att->attlen == -1 && att->attstorage != TYPSTORAGE_PLAIN && column > 32)
	{
		double		left = bytes_of_long_value(leaf, att, row->tts_values[last]);

		size -= (Size) (column - Min(left, column));
		column = (Size) Min(left, column);
	}
	leaf->seen++;
	leaf->new_bytes += bytes_on_page(size);
	leaf->column_bytes += column;
	leaf->old_bytes += TTS_IS_BUFFERTUPLE(stored)
		? bytes_on_page(((BufferHeapTupleTableSlot *) stored)->base.tuple->t_len)
		: bytes_on_page(size - column);
}

/*-------------------------------------------------------------------------
 * The time of a write.
 *-------------------------------------------------------------------------
 */

/* the best of some rounds: what else the machine does is not what a write takes */
#define PROBE_ROWS 1000
#define PROBE_ROUNDS 4

typedef struct WriteProbe
{
	int64		first;			/* numbers of the rows begin behind it */
	int			old_bytes;
	int			new_bytes;
	double		us;				/* of a new version on the same page */
	double		us_indexed;		/* of one with an entry in an index more */
} WriteProbe;

static void
query_zeros(TandemQuery *query, int bytes)
{
	bytea	   *zeros = palloc0(VARHDRSZ + bytes);

	SET_VARSIZE(zeros, VARHDRSZ + bytes);
	query_datum(query, BYTEAOID, PointerGetDatum(zeros), false);
}

static double
timed_update(TandemQuery *query, const WriteProbe *probe, const char *sql)
{
	int64		start;

	query_zeros(query, probe->new_bytes);
	query_bigint(query, probe->first);
	query_bigint(query, probe->first + PROBE_ROWS);
	start = clock_now();
	(void) query_run(query, sql);
	return (double) (clock_now() - start) / PROBE_ROWS;
}

/* Of at most 1024: the process, and the time in milliseconds, for the most part. */
static int64
first_number(void)
{
	int64		ms = (clock_now() / 1000) & ((INT64CONST(1) << 28) - 1);

	return ((int64) MyProcPid << 38) | (ms << 10);
}

/*
 * Rows of that size in a table of ours; they have no text of anybody.  What other calls
 * have rolled back is still there: numbers that nobody else has, found in the index, keep
 * out of its way, and of the others who measure now.
 */
static void
measure_writes(void *arg)
{
	WriteProbe *probe = arg;
	TandemQuery query;
	double		us;
	double		indexed;

	probe->first = first_number();
	query_begin(&query);
	authority_pin_index_scans();
	query_zeros(&query, probe->old_bytes);
	query_bigint(&query, probe->first);
	query_bigint(&query, probe->first + PROBE_ROWS);
	query_run(&query, "INSERT INTO tandem.fill_probe (number, data) SELECT i, $1 FROM generate_series($2 + 1, $3) i");
	us = timed_update(&query, probe,
					  "UPDATE tandem.fill_probe SET data = $1 WHERE number > $2 AND number <= $3");
	indexed = timed_update(&query, probe,
						   "UPDATE tandem.fill_probe SET number = -number, data = $1 WHERE number > $2 AND number <= $3");
	probe->us = Min(probe->us, us);
	probe->us_indexed = Min(probe->us_indexed, indexed);
	query_end(&query);
}

/* what of a row is neither its columns nor the probe's number */
#define PROBE_OVERHEAD 44

static bool
probe_writes(WriteProbe *probe, double old_bytes, double new_bytes)
{
	ErrorData  *error;

	if (XactReadOnly || RecoveryInProgress())
		return false;
	probe->old_bytes = (int) Min(Max(old_bytes - PROBE_OVERHEAD, 1), 2000);
	probe->new_bytes = (int) Min(Max(new_bytes - PROBE_OVERHEAD, 1), 2000);
	probe->us = probe->us_indexed = HUGE_VAL;
	for (int i = 0; i < PROBE_ROUNDS; i++)
	{
		error = subtransaction_rehearse(measure_writes, probe);
		if (error)
			ReThrowError(error);
	}
	return true;
}

/*-------------------------------------------------------------------------
 * The estimate.
 *-------------------------------------------------------------------------
 */

/* bytes of a page that rows may take */
#define PAGE_BYTES (BLCKSZ - SizeOfPageHeaderData)

/* heads of the records of one row in the WAL: its update, and its share of pruning */
#define WAL_OF_UPDATE 85
/* the same of an entry in an index, with the entry */
#define WAL_OF_ENTRY 84

/* rows that move leave line pointers, and pages are not filled to the brim */
#define HEAP_SLACK 1.08

/*
 * A page is visited several times, its rows are looked at each time, and it is pruned.
 * The entries of rows that move are spread over the index.  Whole pages in the WAL, which
 * the measured rows have not, take time by their bytes.  (test/bench, part estimate.)
 */
#define VISITS_FACTOR 2.2
#define ENTRY_FACTOR 1.35
#define US_OF_WAL_BYTE 0.005

/* the least share of rows that a visit moves elsewhere, as in fill/pages.c */
#define LEAST_MOVED (1.0 / 16)

typedef struct LeafEstimate
{
	const LeafRows *leaf;
	Relation	rel;
	double		old_bytes;		/* of a row */
	double		new_bytes;
	double		moved;			/* share of rows that leave their page */
	double		heap_bytes;
	int			entries;		/* indexes that get entries of moved rows */
} LeafEstimate;

static void
estimate_heap(LeafEstimate *estimate)
{
	const LeafRows *leaf = estimate->leaf;
	double		on_page = leaf->rows / Max(leaf->blocks, 1);
	double		fit;
	double		blocks;

	estimate->old_bytes = leaf->old_bytes / leaf->seen;
	estimate->new_bytes = leaf->new_bytes / leaf->seen;
	fit = Max(floor(PAGE_BYTES / estimate->new_bytes), 1);
	estimate->moved = on_page > fit ? Max(1 - fit / on_page, LEAST_MOVED) : 0;
	blocks = ceil(leaf->rows / fit);
	estimate->heap_bytes = Max(leaf->blocks, on_page > fit ? blocks * HEAP_SLACK : blocks) * BLCKSZ;
}

static bool
index_has_column(Relation index, AttrNumber attnum)
{
	for (int i = 0; i < index->rd_index->indnatts; i++)
	{
		if (attnum != InvalidAttrNumber && index->rd_index->indkey.values[i] == attnum)
			return true;
	}
	return false;
}

static void
add_index(FillEstimate *fill, Oid relid, double bytes, bool is_new)
{
	IndexEstimate *index = palloc(sizeof(IndexEstimate));

	index->relid = relid;
	index->bytes = bytes;
	index->is_new = is_new;
	fill->indexes = lappend(fill->indexes, index);
}

/* entries of equal keys that a B-tree stores together take a few bytes each */
#define BYTES_OF_SHARED_ENTRY 12

static double
bytes_of_new_index(const LeafEstimate *estimate, Relation index, double bytes)
{
	double		rows = Max(estimate->leaf->rows, 1);
	double		key = estimate->leaf->column_bytes / estimate->leaf->seen;

	if (index->rd_rel->relam != BTREE_AM_OID || bytes / rows < BYTES_OF_SHARED_ENTRY)
		return bytes;
	return Max(rows * (MAXALIGN(sizeof(IndexTupleData) + key) + sizeof(ItemIdData)) / 0.9, 2 * BLCKSZ);
}

/*
 * The new versions of rows that move get entries.  In a unique index those of the old
 * versions make room for them; of another the pages, which are nearly full, are split.
 */
static double
growth_of_index(const LeafEstimate *estimate, Relation index)
{
	double		growth = Min(Max(estimate->moved - LEAST_MOVED, 0) * 4, 1);

	return index->rd_index->indisunique ? growth / 10 : growth;
}

static void
estimate_indexes(FillEstimate *fill, LeafEstimate *estimate, AttrNumber attnum)
{
	List	   *indexes = RelationGetIndexList(estimate->rel);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Relation	index = relation_open_present(lfirst_oid(lc), AccessShareLock);
		double		bytes = (double) RelationGetNumberOfBlocks(index) * BLCKSZ;

		add_index(fill, lfirst_oid(lc), bytes * (1 + growth_of_index(estimate, index)), false);
		if (index_has_column(index, attnum))
			add_index(fill, lfirst_oid(lc), bytes_of_new_index(estimate, index, bytes), true);
		estimate->entries++;
		if (estimate->moved > 0 && fullPageWrites)
			fill->wal_bytes += bytes;
		relation_close(index, AccessShareLock);
	}
}

static void
estimate_wal(FillEstimate *fill, const LeafEstimate *estimate)
{
	const LeafRows *leaf = estimate->leaf;
	double		growth = estimate->new_bytes - estimate->old_bytes;

	/* without logical decoding only what changed on the page is written */
	double		tuple = RelationIsLogicallyLogged(estimate->rel) ? estimate->new_bytes
	: estimate->moved * estimate->new_bytes + (1 - estimate->moved) * Max(growth, 8);

	if (!RelationNeedsWAL(estimate->rel))
		return;
	if (fullPageWrites)
		fill->wal_bytes += (double) leaf->blocks * Min(PAGE_BYTES, leaf->rows / Max(leaf->blocks, 1) * estimate->old_bytes);
	fill->wal_bytes += leaf->rows * (tuple + WAL_OF_UPDATE);
	fill->wal_bytes += leaf->rows * estimate->moved * estimate->entries * WAL_OF_ENTRY;
}

/* What is written in all leaves together, to be measured once. */
typedef struct Writes
{
	double		old_bytes;
	double		new_bytes;
	double		entries;
	double		up_us;
} Writes;

static void
add_writes(Writes *writes, const LeafEstimate *estimate)
{
	const LeafRows *leaf = estimate->leaf;

	writes->old_bytes += leaf->rows * estimate->old_bytes;
	writes->new_bytes += leaf->rows * estimate->new_bytes;
	writes->entries += leaf->rows * estimate->moved * estimate->entries;
	writes->up_us += leaf->rows * leaf->up_us / leaf->seen;
}

static void
estimate_time(FillEstimate *fill, const Writes *writes)
{
	WriteProbe	probe;

	if (fill->rows < 1)
		return;
	fill->us = -1;
	if (probe_writes(&probe, writes->old_bytes / fill->rows, writes->new_bytes / fill->rows))
		fill->us = writes->up_us + VISITS_FACTOR * probe.us * fill->rows +
			ENTRY_FACTOR * writes->entries * Max(probe.us_indexed - probe.us, 0) +
			US_OF_WAL_BYTE * fill->wal_bytes;
}

static void
estimate_leaf(FillEstimate *fill, Writes *writes, const LeafRows *leaf, const char *column)
{
	LeafEstimate estimate = {.leaf = leaf,.rel = relation_open_present(leaf->relid, AccessShareLock)};

	estimate_heap(&estimate);
	estimate_indexes(fill, &estimate, column ? get_attnum(leaf->relid, column) : InvalidAttrNumber);
	estimate_wal(fill, &estimate);
	add_writes(writes, &estimate);
	fill->rows += leaf->rows;
	fill->heap_now += (double) leaf->blocks * BLCKSZ;
	fill->heap_bytes += estimate.heap_bytes;
	fill->toast_bytes += leaf->rows * leaf->toast_bytes / leaf->seen;
	relation_close(estimate.rel, AccessShareLock);
}

FillEstimate *
fill_estimate(List *leaves, const char *column)
{
	FillEstimate *fill = palloc0(sizeof(FillEstimate));
	Writes		writes = {0};
	ListCell   *lc;

	foreach(lc, leaves)
	{
		const LeafRows *leaf = lfirst(lc);

		if (leaf->seen > 0)
			estimate_leaf(fill, &writes, leaf, column);
	}
	estimate_time(fill, &writes);
	fill->wal_bytes += fill->toast_bytes * 1.1;
	return fill;
}
