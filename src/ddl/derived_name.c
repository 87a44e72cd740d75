/*
 * derived_name.c
 *		Names of what we make beside what the user named.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "common/hashfn.h"

#include "ddl/derived_name.h"

char *
derived_name(const char *first, const char *second)
{
	char	   *whole = psprintf("%s_%s", first, second);
	uint32		hash;

	if (strlen(whole) < NAMEDATALEN)
		return whole;
	hash = hash_bytes((unsigned char *) whole, (int) strlen(whole));
	return makeObjectName(first, second, psprintf("%08x", hash));
}
