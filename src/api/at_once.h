/*
 * at_once.h
 *		Operations done to their end in the caller's transaction, as plain DDL:
 *		tandem.at_once, for development databases.
 */
#ifndef TANDEM_AT_ONCE_H
#define TANDEM_AT_ONCE_H

#include "core/sql_function.h"

/*
 * For a function whose argument 0 is a migration: does the call at once, and
 * returns true, if tandem.at_once has made the migration.
 */
extern bool at_once_call(FunctionCallInfo fcinfo);

/* The same for tandem.create_migration, which makes it so while tandem.at_once is on. */
extern bool at_once_create(FunctionCallInfo fcinfo);

/*
 * Declares an SQL function that tries done_at_once first.  What it does otherwise is
 * name_staged.
 */
#define OPERATION_FUNCTION(name, done_at_once) \
	static Datum name##_staged(PG_FUNCTION_ARGS); \
	SQL_FUNCTION(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		if (done_at_once(fcinfo)) \
			PG_RETURN_VOID(); \
		return name##_staged(fcinfo); \
	}

#endif							/* TANDEM_AT_ONCE_H */
