/*
 * view_definition.h
 *		What a release sees of a table, and the privileges and comments of
 *		its view.
 */
#ifndef TANDEM_VIEW_DEFINITION_H
#define TANDEM_VIEW_DEFINITION_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "catalog/sync.h"

/* A column as a view has it. */
typedef struct ViewColumn
{
	char	   *name;
	char	   *from;			/* the table's column that it is, or NULL */
	char	   *text;			/* of its expression */
	Oid			type;
	int32		typmod;
	Oid			collation;
} ViewColumn;

/*
 * Whether the new columns of the rule are read through: until the backfill has
 * been at every row once.  From then on never again, whatever is attached to the
 * table: an application writes them.
 */
extern bool view_reads_through(const SyncRule *rule);

/*
 * The columns that a release sees of rel, in the order of the table; not those
 * in hidden (names).  A new column that is not filled yet is read through: what
 * the table has, or up of a row without any of the rule's new columns.  One
 * that is not stored stands behind its first old column.
 */
extern List *view_columns(Relation rel, int release, List *hidden);

/* Their names, and those of the table's columns that they are, or NULL. */
extern List *view_column_names(List *columns);
extern List *view_column_origins(List *columns);

/* A SELECT of these columns of rel. */
extern char *view_definition(Relation rel, List *columns);

/*
 * Statements that give the view called name (quoted), with owner owner, what
 * source has of privileges and comments: of the relation itself, and of its
 * columns in from, which the view calls as in names (NULL: comes from no
 * column).  source is the table, or an earlier view in its place.  To be run as
 * owner, who may use the schema of the view.
 */
extern List *view_properties(Oid source, List *from, List *names, Oid owner,
							 const char *name);

/*
 * Statements that let the same roles use the schema of the view: to be run as
 * the owner of the schema.
 */
extern List *view_properties_of_schema(Oid source, List *from, List *names,
									   Oid owner, Oid schema);

#endif							/* TANDEM_VIEW_DEFINITION_H */
