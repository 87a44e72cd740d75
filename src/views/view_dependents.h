/*
 * view_dependents.h
 *		What others have built on the view of a release.
 */
#ifndef TANDEM_VIEW_DEPENDENTS_H
#define TANDEM_VIEW_DEPENDENTS_H

#include "nodes/pg_list.h"

/*
 * Returns a line for each object that depends on the view or its row type.
 * Triggers and rules of the view itself count, too: they would be dropped
 * silently.
 */
extern List *view_dependents(Oid view);

/*
 * Returns, for a hint, the statement that drops the view, and the views that
 * depend on it; what else does is named before it; palloc'd.
 */
extern char *view_drop_call(Oid view);

#endif							/* TANDEM_VIEW_DEPENDENTS_H */
