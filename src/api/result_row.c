/*
 * result_row.c
 *		Rows of the SQL functions that return a set, column by column.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "api/result_row.h"

void
result_row_begin(ResultRow *row, ReturnSetInfo *result)
{
	row->result = result;
	row->columns = 0;
}

void
result_row_datum(ResultRow *row, Datum value, bool given)
{
	Assert(row->columns < RESULT_ROW_COLUMNS);
	row->values[row->columns] = value;
	row->nulls[row->columns++] = !given;
}

void
result_row_text(ResultRow *row, const char *value)
{
	result_row_datum(row, value ? CStringGetTextDatum(value) : (Datum) 0, value != NULL);
}

void
result_row_int(ResultRow *row, int value)
{
	result_row_datum(row, Int32GetDatum(value), true);
}

void
result_row_bigint(ResultRow *row, int64 value, bool given)
{
	result_row_datum(row, Int64GetDatum(value), given);
}

void
result_row_bool(ResultRow *row, bool value, bool given)
{
	result_row_datum(row, BoolGetDatum(value), given);
}

void
result_row_end(ResultRow *row)
{
	Assert(row->columns == row->result->setDesc->natts);
	tuplestore_putvalues(row->result->setResult, row->result->setDesc, row->values, row->nulls);
}
