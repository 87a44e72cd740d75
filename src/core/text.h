/*
 * text.h
 *		SQL text: quotes, derives, compares, deparses and truncates it.
 */
#ifndef TANDEM_TEXT_H
#define TANDEM_TEXT_H

#include "nodes/nodes.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"
#include "parser/parser.h"

#include "core/compat.h"

/*-------------------------------------------------------------------------
 * Texts of others, truncated or made valid to be stored; lists of texts.
 *
 * Stored text must be valid in the database's encoding, or a dump of it could
 * not be restored.  So a text is never truncated within a character.
 *-------------------------------------------------------------------------
 */

/*
 * Copies from into the size bytes at to, including the terminating zero,
 * omitting whole characters that do not fit.  NULL counts as the empty text.
 */
extern void text_copy(char *to, const char *from, size_t size);

/*
 * Returns text or, if it is longer than max bytes, its start and "...";
 * palloc'd.
 */
extern char *text_shortened(const char *text, int max);

/*
 * Returns text itself if it is valid in the database's encoding, else a
 * palloc'd copy with "?" for each invalid byte.  Names of roles and prepared
 * transactions may come from a database with another encoding.  NULL gives
 * NULL.
 */
extern const char *text_valid(const char *text);

/* Is text equal to one of a list? */
extern bool text_is_among(const char *text, List *texts);

/* Is one of these texts among those? */
extern bool texts_share_one(List *these, List *those);

/* Returns the index of text among count texts, or -1. */
extern int	text_index(const char *text, const char *const *texts, int count);

/*
 * The same for the choices of a function's argument.  If text is none of them
 * it throws an error with the choices in its hint.
 */
extern int	text_choice(const char *argument, const char *text,
						const char *const *choices, int count);

/*
 * Returns the texts of a list, each with prefix in front, joined with
 * separator; palloc'd.  An empty list gives "".
 */
extern char *text_joined(List *texts, const char *prefix, const char *separator);

/*
 * These return a name, not quoted, palloc'd.  What another session has dropped
 * meanwhile has no name, and passing NULL on may crash the server.  So names
 * are looked up only here.  In that case the quoting_find functions return
 * NULL; the quoting_shown functions, for messages, return "OID" and the number;
 * the quoting_raw functions throw an error.
 */
extern char *quoting_find_name(Oid relid);
extern char *quoting_find_schema(Oid schema);
extern char *quoting_shown_name(Oid relid);
extern char *quoting_shown_schema(Oid schema);
extern char *quoting_raw_schema(Oid schema);

/*
 * quoting_raw_name returns the name of relid unquoted; quoting_name, quoted;
 * and quoting_relation, schema-qualified and quoted.  All are palloc'd.
 * Errors: the relation was dropped meanwhile.
 */
extern char *quoting_raw_name(Oid relid);

/* Raises the error of the above, of a relation that was dropped meanwhile. */
COMPAT_NORETURN extern void quoting_raise_dropped(Oid relid);
extern const char *quoting_name(Oid relid);
extern char *quoting_relation(Oid relid);

/* Returns the same as a RangeVar, for a statement that is built as a tree. */
extern RangeVar *quoting_range_var(Oid relid);

/*
 * Returns the relation that text names in the session's search_path.  Takes no
 * lock.  Errors: there is no such relation, or text is not a name.
 */
extern Oid	quoting_resolve_relation(const char *text);

/* Returns the name itself.  Errors: text is none. */
extern RangeVar *quoting_parse_name(const char *text);

/*
 * Returns a name composed of two others, palloc'd.  It is always the same, so
 * that what a crash has left is found again; if truncated, a hash makes it
 * unique.
 */
extern char *derived_name(const char *first, const char *second);

/*
 * Returns the raw statements of a text, which only the grammar has read.  Errors:
 * it has a syntax error in that mode; the position is one in text.
 */
extern List *sql_parse(RawParseMode mode, const char *text, const char *hint);

/*
 * Compares the parse trees of two texts.  White space, comments and the case
 * of names do not count, and the objects they name need not exist.  recorded
 * has been parsed before.  Errors: given has a syntax error in that mode.
 */
extern bool same_sql(RawParseMode mode, const char *recorded,
					 const char *given);

/*-------------------------------------------------------------------------
 * SQL text that the server produces for the objects in its catalogs.
 *
 * The server's functions for this are called only here: they need an active
 * snapshot (core/transaction.h), and settings that determine the output.
 *-------------------------------------------------------------------------
 */

/*
 * Returns the definition of a constraint, as the text that follows ADD
 * CONSTRAINT name, or of an index, as a CREATE INDEX statement; palloc'd.  All
 * names outside pg_catalog are qualified, and the text is the same in all
 * sessions.  NULL if it does not exist any more.
 */
extern char *server_text_constraint(Oid constraint);
extern char *server_text_index(Oid index);

/*
 * Returns an expression over one row of a relation, called alias, palloc'd.
 * Names are as above; the caller's settings determine how literals are
 * written.
 */
extern char *server_text_expression(Node *expression, Oid relid,
									const char *alias);

/* The same, but qualified only where the current search_path needs it. */
extern char *server_text_expression_here(Node *expression, Oid relid,
										 const char *alias);

#endif							/* TANDEM_TEXT_H */
