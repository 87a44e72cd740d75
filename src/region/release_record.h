/*
 * release_record.h
 *		The rows of tandem.publication: which publications are those of
 *		releases.
 */
#ifndef TANDEM_RELEASE_RECORD_H
#define TANDEM_RELEASE_RECORD_H

#include "nodes/pg_list.h"

typedef struct ReleasePublication
{
	int			release;
	char	   *name;
	char	   *source;
	Oid			owner;			/* InvalidOid: it was dropped, or not restored */
	bool		source_gone;	/* the source was dropped */
	bool		stale;			/* the record has other names, or is from
								 * elsewhere */
	bool		other_options;	/* it sends partitions where the source sends
								 * their topmost table, or the other way round */
} ReleasePublication;

/*
 * Is any recorded?  Called for DDL commands of the database, so it does one index
 * lookup and no query.
 */
extern bool release_record_exists(void);

/*
 * Returns those recorded, by release, as they are committed now: a list of
 * ReleasePublication with the present names.  Records new names, and those that a
 * dump or a copy of the database has brought: these count once.
 */
extern List *release_record_list(void);

/* Returns that of the release in such a list, or NULL. */
extern ReleasePublication *release_record_find(List *publications, int release);

/*
 * Records the existing publication of this name as that of the release, in place of
 * another one.
 */
extern void release_record_write(int release, const char *name,
								 const char *source);

/* The existing publication of this name is the source of all. */
extern void release_record_note_source(const char *source);

extern void release_record_delete(int release);

/* Throws an error, with what is to be done, unless the caller owns it. */
extern void release_record_check_owner(const ReleasePublication *publication);

/* Throws an error if other_options: create_publication is to be called first. */
extern void release_record_check_options(const ReleasePublication *publication);

#endif							/* TANDEM_RELEASE_RECORD_H */
