/*
 * same_sql.h
 *		Whether two texts of SQL are the same to the parser.
 */
#ifndef TANDEM_SAME_SQL_H
#define TANDEM_SAME_SQL_H

#include "parser/parser.h"

/*
 * Compares what the grammar makes of them: white space, comments and the case
 * of names do not count, and nothing that they name need be there.  recorded
 * was taken before.  Errors: given is not of that mode's syntax.
 */
extern bool same_sql(RawParseMode mode, const char *recorded,
					 const char *given);

#endif							/* TANDEM_SAME_SQL_H */
