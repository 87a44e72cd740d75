/*
 * index_path.h
 *		Do the functions of an index find their names when it is built?
 */
#ifndef TANDEM_INDEX_PATH_H
#define TANDEM_INDEX_PATH_H

/*
 * Throws an error if the expressions or the predicate of the index, which has its
 * catalog entries only, fail on a row under the search_path under which this server
 * builds indexes, and do not under that of the session.  It tries a few rows, as
 * the table's owner, restricted, for a moment: what functions do with others, and
 * with values that are not filled yet, is not known.
 */
extern void index_check_path(Oid index);

#define INDEX_PATH_HINT \
	"Qualify the names in the body of the function, or give the function a search_path of its own with ALTER FUNCTION ... SET search_path, then call it again."

/*
 * Does the error, of a function that the server has put into the expression or
 * called, come from a name that it does not find where it builds indexes?
 */
extern bool index_error_is_of_name(int sqlerrcode);

#endif							/* TANDEM_INDEX_PATH_H */
