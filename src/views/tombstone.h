/*
 * tombstone.h
 *		What a release leaves of its views when it ends: views that only
 *		raise an error.
 *
 * If its schema vanished, a session that has the schema in its search_path
 * would find the tables under the same names, and read values that mean
 * something else to its release.
 */
#ifndef TANDEM_TOMBSTONE_H
#define TANDEM_TOMBSTONE_H

#include "catalog/release_view.h"

/*
 * Replaces the view in place: it keeps its OID, columns, types and privileges,
 * and whatever is done with it raises ERRCODE_RELEASE_NOT_SERVED.  The caller has
 * locked the view and granted its owner what is needed to replace it.  Errors:
 * those of tombstone_check.
 */
extern void tombstone_make(const ReleaseView *view);

/*
 * The release has begun again: makes it a view that can be replaced by one of
 * the table.  The caller has locked it, and drops its base afterwards.
 */
extern void tombstone_open(const ReleaseView *view);

/*
 * Throws an error if the view has a rule or trigger of a user that would do its
 * work instead of the error.
 */
extern void tombstone_check(const ReleaseView *view);

#endif							/* TANDEM_TOMBSTONE_H */
