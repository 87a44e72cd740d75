/*
 * view_definition.h
 *		What the view of a release over a table selects.
 */
#ifndef TANDEM_VIEW_DEFINITION_H
#define TANDEM_VIEW_DEFINITION_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

/* Numbers of the columns of rel, in their order, without those in hidden (names). */
extern List *view_columns(Relation rel, List *hidden);

/*
 * A SELECT of these columns of rel.  A new column that is not filled yet is
 * read through: what the table has, or up of a row without any of the rule's
 * new columns.
 */
extern char *view_definition(Relation rel, List *columns);

#endif							/* TANDEM_VIEW_DEFINITION_H */
