/*
 * text.c
 *		Texts of others, cut to a length or made fit to be stored.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "core/text.h"

void
text_copy(char *to, const char *from, size_t size)
{
	int			length;

	if (from == NULL)
		from = "";
	length = pg_mbcliplen(from, (int) strlen(from), (int) size - 1);
	memcpy(to, from, length);
	to[length] = '\0';
}

char *
text_shortened(const char *text, int max)
{
	int			length = (int) strlen(text);

	if (length <= max)
		return pstrdup(text);
	return psprintf("%.*s...", pg_mbcliplen(text, length, max), text);
}

const char *
text_valid(const char *text)
{
	int			encoding = GetDatabaseEncoding();
	char	   *copy;
	char	   *byte;

	if (text == NULL || pg_verify_mbstr(encoding, text, (int) strlen(text), true))
		return text;

	copy = pstrdup(text);
	for (byte = copy; *byte != '\0';)
	{
		int			left = (int) strlen(byte);
		int			length = Min(pg_encoding_mblen_bounded(encoding, byte), left);

		/* one byte at a time: what follows it may be valid */
		if (pg_verify_mbstr(encoding, byte, length, true))
			byte += length;
		else
			*byte++ = '?';
	}
	return copy;
}
