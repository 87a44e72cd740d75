/*
 * text.h
 *		Texts of SQL: quoted, derived, compared, written by the server, and
 *		cut.
 */
#ifndef TANDEM_TEXT_H
#define TANDEM_TEXT_H

#include "nodes/nodes.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"
#include "parser/parser.h"

/*-------------------------------------------------------------------------
 * Texts of others, cut to a length or made fit to be stored; lists of texts.
 *
 * What is stored must be valid in the database's encoding, or no dump of it
 * can be restored: so nothing is cut in the middle of a character.
 *-------------------------------------------------------------------------
 */

/*
 * Copies from into the size bytes at to, its end included; what does not fit
 * is left out in whole characters.  from may be NULL: the empty text.
 */
extern void text_copy(char *to, const char *from, size_t size);

/* text, or if it has more than max bytes, its beginning and "..."; palloc'd */
extern char *text_shortened(const char *text, int max);

/*
 * text itself where it is valid in the database's encoding, else a palloc'd
 * copy with "?" for each byte that is not.  Names of roles and prepared
 * transactions may come from a database of another encoding.  NULL is NULL.
 */
extern const char *text_valid(const char *text);

/* Where text is among count texts, from 0; -1 where it is not */
extern int	text_index(const char *text, const char *const *texts, int count);

/*
 * The same of the choices that a function's argument has; it is an error, with
 * the choices in its hint, where text is none of them.
 */
extern int	text_choice(const char *argument, const char *text,
						const char *const *choices, int count);

/*
 * The texts of a list, each after prefix, with separator between them;
 * palloc'd.  An empty list is "".
 */
extern char *text_joined(List *texts, const char *prefix, const char *separator);

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

/* Raises the error of the above, of a relation that was dropped meanwhile. */
extern void quoting_raise_dropped(Oid relid);
extern const char *quoting_name(Oid relid);
extern char *quoting_relation(Oid relid);

/* The same for a statement that is made as a tree. */
extern RangeVar *quoting_range_var(Oid relid);

/*
 * The relation that text names, as the session's search_path sees it.  Takes
 * no lock.  Errors: no such relation, or text is not a name.
 */
extern Oid	quoting_resolve_relation(const char *text);

/*
 * The name made of two others: the same each time, so that what a crash left is
 * found again, and told apart by a hash where it had to be cut.
 */
extern char *derived_name(const char *first, const char *second);

/*
 * Compares what the grammar makes of them: white space, comments and the case
 * of names do not count, and nothing that they name need be there.  recorded
 * was taken before.  Errors: given is not of that mode's syntax.
 */
extern bool same_sql(RawParseMode mode, const char *recorded,
					 const char *given);

/*-------------------------------------------------------------------------
 * What the server writes as SQL of the objects in its catalogs.
 *
 * The only place that calls the server's functions for that: they need an
 * active snapshot (core/transaction.h), and settings that decide how they write.
 *-------------------------------------------------------------------------
 */

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

#endif							/* TANDEM_TEXT_H */
