/*
 * meaning.h
 *		Does an expression mean the same when its stored text is read again?
 */
#ifndef TANDEM_MEANING_H
#define TANDEM_MEANING_H

#include "nodes/nodes.h"
#include "utils/rel.h"

/* An expression that is to be stored as text. */
typedef struct StoredExpression
{
	const char *what;			/* for messages: up of column "b" */
	const char *label;			/* "up" or "down"; NULL: of a CHECK or an
								 * index, where any column is allowed */
	const char *given;			/* as the caller wrote it */
	Relation	rel;			/* its table, locked by the caller */
	AttrNumber	target;			/* column that up or down computes, or
								 * InvalidAttrNumber */
} StoredExpression;

/*
 * Call when an expression is about to be stored.  expression is the text of
 * the caller as parsed by the caller.  Returns the text to store, palloc'd, see
 * expression_deparse.  Reads it again as every session will, as the owner of
 * the table, restricted, under the pinned search_path.
 *
 * Errors, with the form that works as the hint: it cannot be read then, or is
 * another expression; it uses temporary objects of this session.  Those of
 * expression_parse: the owner lacks a right.
 */
extern char *meaning_stored_text(const StoredExpression *stored,
								 Node *expression);

/*
 * The same, but returns the expression as it will be read.  It may be deparsed
 * in another form than the caller's: the server flattens a OR b OR c, and
 * writes lists of values as arrays.
 */
extern Node *meaning_read_again(const StoredExpression *stored,
								Node *expression);

#endif							/* TANDEM_MEANING_H */
