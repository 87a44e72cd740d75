/*
 * text.h
 *		Texts of others, cut to a length or made fit to be stored; lists of texts.
 *
 * What is stored must be valid in the database's encoding, or no dump of it
 * can be restored: so nothing is cut in the middle of a character.
 */
#ifndef TANDEM_TEXT_H
#define TANDEM_TEXT_H

#include "nodes/pg_list.h"

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

#endif							/* TANDEM_TEXT_H */
