/*
 * quoting.h
 *		Names of relations, resolved from and written into SQL text.
 */
#ifndef TANDEM_QUOTING_H
#define TANDEM_QUOTING_H

/* schema.table of relid, quoted where needed; palloc'd */
extern char *quoting_relation(Oid relid);

/* The name of relid alone, for people, quoted where needed: never NULL. */
extern char *quoting_name(Oid relid);

/*
 * The relation that text names, as the session's search_path sees it.  Takes
 * no lock.  Errors: no such relation, or text is not a name.
 */
extern Oid	quoting_resolve_relation(const char *text);

#endif							/* TANDEM_QUOTING_H */
