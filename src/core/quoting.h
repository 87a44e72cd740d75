/*
 * quoting.h
 *		Names of relations, resolved from and written into SQL text.
 */
#ifndef TANDEM_QUOTING_H
#define TANDEM_QUOTING_H

#include "nodes/primnodes.h"

/*
 * What another session has dropped meanwhile has no name, and a NULL in its
 * place ends the server where it is not just printed.  So names are looked up
 * here alone: as NULL, for who asks whether it is still there; for messages,
 * where its number will do; or with an error.
 */
extern char *quoting_find_name(Oid relid);
extern char *quoting_find_schema(Oid schema);
extern char *quoting_shown_name(Oid relid);
extern char *quoting_shown_schema(Oid schema);
extern char *quoting_raw_schema(Oid schema);

/*
 * The name of relid as it is; quoted where needed; and with its schema.
 * palloc'd.  Errors: it was dropped meanwhile.
 */
extern char *quoting_raw_name(Oid relid);
extern const char *quoting_name(Oid relid);
extern char *quoting_relation(Oid relid);

/* The same for a statement that is made as a tree. */
extern RangeVar *quoting_range_var(Oid relid);

/*
 * The relation that text names, as the session's search_path sees it.  Takes
 * no lock.  Errors: no such relation, or text is not a name.
 */
extern Oid	quoting_resolve_relation(const char *text);

#endif							/* TANDEM_QUOTING_H */
