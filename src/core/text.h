/*
 * text.h
 *		Texts of others, cut to a length or made fit to be stored.
 *
 * What is stored must be valid in the database's encoding, or no dump of it
 * can be restored: so nothing is cut in the middle of a character.
 */
#ifndef TANDEM_TEXT_H
#define TANDEM_TEXT_H

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

#endif							/* TANDEM_TEXT_H */
