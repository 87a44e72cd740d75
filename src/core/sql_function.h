/*
 * sql_function.h
 *		Declares a C function that is called from SQL.
 *
 * All other functions of the library are hidden.  Before version 16 the
 * server's macro exports the record of a function, but not the function.
 */
#ifndef TANDEM_SQL_FUNCTION_H
#define TANDEM_SQL_FUNCTION_H

#include "fmgr.h"

#define SQL_FUNCTION(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

#endif							/* TANDEM_SQL_FUNCTION_H */
