/*
 * sql_function.h
 *		Marks a C function as one that SQL calls.
 *
 * Everything else in the library is hidden; before 16 the server's own macro
 * exports a function's record, but not the function.
 */
#ifndef TANDEM_SQL_FUNCTION_H
#define TANDEM_SQL_FUNCTION_H

#include "fmgr.h"

#define SQL_FUNCTION(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

#endif							/* TANDEM_SQL_FUNCTION_H */
