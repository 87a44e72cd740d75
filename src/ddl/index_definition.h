/*
 * index_definition.h
 *		CREATE INDEX statements of the user: read, checked, and kept in a form
 *		that stands alone.
 */
#ifndef TANDEM_INDEX_DEFINITION_H
#define TANDEM_INDEX_DEFINITION_H

#include "nodes/parsenodes.h"

/* An index that a migration is to build. */
typedef struct IndexDefinition
{
	Oid			relation;		/* ordinary or partitioned table */
	char	   *name;
	bool		is_unique;
	char	   *tail;			/* "USING ..." up to the end, every name
								 * qualified */
} IndexDefinition;

/*
 * Reads exactly one CREATE INDEX statement; CONCURRENTLY and IF NOT EXISTS are
 * passed over.  Errors: anything else.
 */
extern IndexStmt *index_definition_parse(const char *text);

/*
 * Checks stmt, all of it, as the server would, against its table, and returns
 * it in a form that does not depend on search_path.  Builds nothing and leaves
 * nothing: its lock on relid is short.  source is the text of stmt, for
 * messages.  An invalid index of that name on that table is passed over: it is
 * dropped before ours is built.
 */
extern IndexDefinition *index_definition_check(Oid relid, IndexStmt *stmt,
											   const char *source);

/*
 * The definition of an index that is there, in the same form: two are the
 * same when is_unique and tail are.
 */
extern IndexDefinition *index_definition_read(Oid index);

#endif							/* TANDEM_INDEX_DEFINITION_H */
