/*
 * view_definition.h
 *		Determines the columns of a release's view.
 */
#ifndef TANDEM_VIEW_DEFINITION_H
#define TANDEM_VIEW_DEFINITION_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "catalog/sync.h"

/* A column of a view. */
typedef struct ViewColumn
{
	char	   *name;
	AttrNumber	attnum;			/* column of the table that it shows, perhaps
								 * read through, or 0 */
	char	   *from;			/* name of the table's column that it is, or
								 * NULL */
	char	   *text;			/* text of its expression */
	Oid			type;
	int32		typmod;
	Oid			collation;
} ViewColumn;

/*
 * Are the new columns of the rule read through?  Only until the backfill has
 * visited all rows once.  After that never again, even if a partition is
 * attached, since the application writes the columns.
 */
extern bool view_reads_through(const SyncRule *rule);

/*
 * Returns the columns of rel that a release sees, in the order of the table,
 * without those in hidden (names).  A new column that is not filled yet is
 * read through: the view shows the stored value or, if the row has none of the
 * rule's new columns, up.  A new column that is not stored follows its first
 * old column.  What is shown does not depend on the columns that go (names),
 * unless an expression names one.
 */
extern List *view_columns(Relation rel, int release, List *hidden, List *go);

/*
 * These return one column: as it is stored; as view_columns shows it; that of a
 * rule that is not stored, NULL if the release sees none of that name.
 */
extern ViewColumn *view_column_plain(Relation rel, AttrNumber attnum);
extern ViewColumn *view_column_now(Relation rel, AttrNumber attnum, List *go);
extern ViewColumn *view_column_unstored(Relation rel, int release,
										const char *name, List *go);

/*
 * view_column_names returns their names; view_column_origins, the names of the
 * table's columns that they are, or NULL for each.
 */
extern List *view_column_names(List *columns);
extern List *view_column_origins(List *columns);

/* Returns a NULL of the column's type, modifier and collation, palloc'd. */
extern char *view_null_of_column(Form_pg_attribute att);

/* Returns a SELECT of these columns of rel, palloc'd. */
extern char *view_definition(Relation rel, List *columns);

#endif							/* TANDEM_VIEW_DEFINITION_H */
