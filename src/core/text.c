/*
 * text.c
 *		Texts of others, cut to a length or made fit to be stored; lists of texts.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
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

int
text_index(const char *text, const char *const *texts, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (strcmp(texts[i], text) == 0)
			return i;
	}
	return -1;
}

int
text_choice(const char *argument, const char *text, const char *const *choices,
			int count)
{
	int			index = text_index(text, choices, count);
	StringInfoData hint;

	if (index >= 0)
		return index;
	initStringInfo(&hint);
	for (int i = 0; i < count; i++)
		appendStringInfo(&hint, "%s'%s'",
						 i == 0 ? "" : i < count - 1 ? ", " : " or ", choices[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s: \"%s\"", argument, text),
			 errhint("Use %s.", hint.data)));
}

char *
text_joined(List *texts, const char *prefix, const char *separator)
{
	StringInfoData joined;
	ListCell   *lc;

	initStringInfo(&joined);
	foreach(lc, texts)
		appendStringInfo(&joined, "%s%s%s", joined.len ? separator : "",
						 prefix, (char *) lfirst(lc));
	return joined.data;
}
