/*
 * published_table.h
 *		The tables of the publication of a release, each with the columns that
 *		it is to send.
 */
#ifndef TANDEM_PUBLISHED_TABLE_H
#define TANDEM_PUBLISHED_TABLE_H

#include "nodes/pg_list.h"

#include "region/release_record.h"

typedef struct PublishedTable
{
	Oid			relid;
	char	   *name;			/* qualified and quoted */
	char	   *clause;			/* after ADD TABLE; NULL: the source has not
								 * got it */
	char	   *sent_anyhow;	/* columns that the release does not see, or
								 * NULL */
	bool		whole;			/* no column can be left out: REPLICA IDENTITY
								 * FULL */
	bool		has;			/* the publication of the release has it */
	bool		same;			/* and just so */
	bool		listed;			/* and a part of its columns */
	bool		fails;			/* without those that an UPDATE must send */
} PublishedTable;

/*
 * Returns the tables that the publication is to have, and those that it has, as it
 * is committed now: all, or those of the tree of relid, its topmost table.  ending
 * is the id of a migration that is about to drop columns, or 0.
 */
extern List *published_table_list(const ReleasePublication *publication,
								  Oid relid, int ending);

/* Has the publication send the table, which is locked, as it is to.  Errors: a right is missing. */
extern void published_table_put(const ReleasePublication *publication,
								const PublishedTable *table);

/*
 * The same for the tables of published_table_list; if these are all, locks them
 * first.  Errors also: columns that the release does not see cannot be left out.
 */
extern void published_table_put_all(const ReleasePublication *publication,
									Oid relid, int ending);

/* Locks the tables, and takes those out that the publication has otherwise than it is to. */
extern void published_table_take_out(const ReleasePublication *publication);

/* Throws the error that no column of the table can be left out. */
extern void published_table_refuse_whole(const ReleasePublication *publication,
										 const PublishedTable *table,
										 const char *hint);

/* Warns of columns that are sent although the release does not see them. */
extern void published_table_warn(const ReleasePublication *publication,
								 const PublishedTable *table);

#endif							/* TANDEM_PUBLISHED_TABLE_H */
