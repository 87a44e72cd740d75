/*
 * view_schema_name.h
 *		Which schema of views the tables of a schema have.
 */
#ifndef TANDEM_VIEW_SCHEMA_NAME_H
#define TANDEM_VIEW_SCHEMA_NAME_H

#include "nodes/pg_list.h"

/*
 * For each table of relids its schema of views of a release, as names in the
 * same order: where the table has its view, or where others of its schema have
 * theirs.  Else one schema of tables, in every release the same one, has
 * release_<n>: the one that has it already; else public; else that of the first
 * table.  Tables of any other have <schema>__release_<n>.  The caller has
 * the schemas of the release locked (release_view_lock_schema).
 */
extern List *view_schema_choose(int release, List *relids);

#endif							/* TANDEM_VIEW_SCHEMA_NAME_H */
