/*
 * view_kept.h
 *		The columns that the view of a release has already.
 *
 * What each of them shows is read off the view's own query: there the server
 * has the numbers of the table's columns, which neither a rename of one nor a
 * dump makes wrong.
 */
#ifndef TANDEM_VIEW_KEPT_H
#define TANDEM_VIEW_KEPT_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "catalog/release_view.h"

/*
 * Returns the columns (of ViewColumn) of an existing view of rel: the same, in
 * the same order, under the same names, whatever the table's are called now.
 * One that was read through is plain once it is filled; one that was plain
 * stays so.  go is as for view_columns.  Errors: the view was altered by hand
 * and shows something else than a table's columns.
 */
extern List *view_kept_columns(Relation rel, const ReleaseView *view, List *go);

/*
 * Returns those columns and, at the end, the ones of columns that are not
 * among them.  Gives a WARNING for one whose name another column has.
 */
extern List *view_kept_and_added(List *kept, List *columns,
								 const ReleaseView *view);

/*
 * Returns the names of the columns of the view that could not be shown without
 * the columns go (names) of rel.
 */
extern List *view_kept_lost(Relation rel, const ReleaseView *view, List *go);

/*
 * Returns the numbers of the columns of relid that the columns of the view
 * merely show, so that they can be written, 0 for others; NIL if the view is
 * none of relid alone.
 */
extern List *view_kept_plain(Oid view, Oid relid);

#endif							/* TANDEM_VIEW_KEPT_H */
