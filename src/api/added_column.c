/*
 * added_column.c
 *		What a column that is added to a table will break: said at expand.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "api/added_column.h"
#include "core/query.h"
#include "core/text.h"

/* what is left of a value in its row when the value is stored in TOAST */
#define TOAST_POINTER_WIDTH 20

void
added_column_warn_of_readers(Oid relid)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid(&query, relid);
	lines = query_texts(&query,
						"SELECT format('function %s: %s', function::regprocedure, what) AS line FROM tandem._readers_of_all_columns($1) ORDER BY line");
	query_end(&query);
	if (lines == NIL)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("functions may depend on table \"%s\" having the columns that it has now",
					quoting_shown_name(relid)),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Let them name the columns. The same goes for statements of the application: COPY without a list of columns, and INSERT INTO ... SELECT *.")));
}

static void
check_number_of_columns(Relation rel, const char *name)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			dropped = 0;

	for (int i = 0; i < desc->natts; i++)
		dropped += TupleDescAttr(desc, i)->attisdropped;
	if (desc->natts < MaxHeapAttributeNumber)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_TOO_MANY_COLUMNS),
			 errmsg("table \"%s\" cannot have another column",
					RelationGetRelationName(rel)),
			 errdetail("Columns that were dropped count: it has %d, and %d that were dropped; the limit is %d.",
					   desc->natts - dropped, dropped, MaxHeapAttributeNumber),
			 errhint("Copy the table into a new one, which has only the columns that are there; then add column %s to that.",
					 quote_identifier(name))));
}

/* Returns the width of a value in a row that holds one in every column. */
static int
width_in_full_row(int attlen, int32 width)
{
	if (attlen > 0)
		return attlen;
	return Min(width, TOAST_POINTER_WIDTH);
}

/*
 * Every wide value can be moved to TOAST, but for its pointer.  So this is what
 * a row with a value in each column takes at least, without alignment.
 */
static int
width_of_full_row(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			width = MAXALIGN(SizeofHeapTupleHeader + BITMAPLEN(desc->natts + 1));

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		int32		average = get_attavgwidth(RelationGetRelid(rel), i + 1);

		if (att->attisdropped)
			continue;
		if (average <= 0)
			average = get_typavgwidth(att->atttypid, att->atttypmod);
		width += width_in_full_row(att->attlen, average);
	}
	return width;
}

void
added_column_check_room(Oid relid, const char *name, Oid type, int32 typmod)
{
	Relation	rel = table_open(relid, NoLock);
	int			width;

	check_number_of_columns(rel, name);
	width = width_of_full_row(rel) +
		width_in_full_row(get_typlen(type), get_typavgwidth(type, typmod));
	if (width > (int) MaxHeapTupleSize)
		ereport(WARNING,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("rows of table \"%s\" may be too wide for column \"%s\"",
						RelationGetRelationName(rel), name),
				 errdetail("A row with a value in each column takes some %d bytes, and a page holds rows of %d. Writes of such rows, and their backfill, would fail.",
						   width, (int) MaxHeapTupleSize),
				 errhint("Keep the column in a table of its own.")));
	table_close(rel, NoLock);
}
