/*
 * quoting.h
 *		Names of relations, resolved from and written into SQL text.
 */
#ifndef TANDEM_QUOTING_H
#define TANDEM_QUOTING_H

/*
 * The name of relid as it is; quoted where needed; and with its schema.
 * palloc'd.  Errors: it was dropped meanwhile.
 */
extern char *quoting_raw_name(Oid relid);
extern const char *quoting_name(Oid relid);
extern char *quoting_relation(Oid relid);

/*
 * The relation that text names, as the session's search_path sees it.  Takes
 * no lock.  Errors: no such relation, or text is not a name.
 */
extern Oid	quoting_resolve_relation(const char *text);

#endif							/* TANDEM_QUOTING_H */
