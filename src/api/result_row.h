/*
 * result_row.h
 *		Rows of the SQL functions that return a set, column by column.
 */
#ifndef TANDEM_RESULT_ROW_H
#define TANDEM_RESULT_ROW_H

#include "funcapi.h"

#define RESULT_ROW_COLUMNS 16

typedef struct ResultRow
{
	ReturnSetInfo *result;
	int			columns;		/* so far */
	Datum		values[RESULT_ROW_COLUMNS];
	bool		nulls[RESULT_ROW_COLUMNS];
} ResultRow;

/* Begins a row of a result that InitMaterializedSRF has made ready. */
extern void result_row_begin(ResultRow *row, ReturnSetInfo *result);

/* Appends the next column; a text that is NULL, or what is not given, is a null. */
extern void result_row_text(ResultRow *row, const char *value);
extern void result_row_int(ResultRow *row, int value);
extern void result_row_bigint(ResultRow *row, int64 value, bool given);
extern void result_row_bool(ResultRow *row, bool value, bool given);
extern void result_row_datum(ResultRow *row, Datum value, bool given);

/* Adds the row to the result, which must have as many columns. */
extern void result_row_end(ResultRow *row);

#endif							/* TANDEM_RESULT_ROW_H */
