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

/*
 * Throws the same error if error, one that the server has raised when it made the
 * catalog entries of an analyzed definition, is of the body of a function.
 */
extern void index_explain_error(const ErrorData *error);

#endif							/* TANDEM_INDEX_PATH_H */
