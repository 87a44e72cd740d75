/*
 * server_text.h
 *		What the server writes as SQL of the objects in its catalogs.
 *
 * The only place that calls the server's functions for that: they need an
 * active snapshot (core/snapshot.h), and settings that decide how they write.
 */
#ifndef TANDEM_SERVER_TEXT_H
#define TANDEM_SERVER_TEXT_H

#include "nodes/nodes.h"

/*
 * The definition of a constraint, as what follows ADD CONSTRAINT name, or of
 * an index, as a CREATE INDEX statement; every name outside pg_catalog has its
 * schema, and the text is the same in every session.  NULL: it is gone.
 */
extern char *server_text_constraint(Oid constraint);
extern char *server_text_index(Oid index);

/*
 * An expression over one row of a relation, which it calls alias; names as
 * above, and what the caller has set decides how literals are written.
 */
extern char *server_text_expression(Node *expression, Oid relid,
									const char *alias);

#endif							/* TANDEM_SERVER_TEXT_H */
