/*
 * release_record.c
 *		The rows of tandem.publication: which publications are those of
 *		releases.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "catalog/registry.h"
#include "core/extension.h"
#include "core/query.h"
#include "region/release_record.h"

static ReleasePublication *
read_release_publication(uint64 row)
{
	ReleasePublication *publication = palloc(sizeof(ReleasePublication));

	publication->release = query_get_int(row, 1);
	publication->name = query_get_text(row, 2);
	publication->source = query_get_text(row, 3);
	publication->owner = query_get_oid(row, 4);
	publication->source_gone = query_get_bool(row, 5);
	publication->stale = query_get_bool(row, 6);
	publication->other_options = query_get_bool(row, 7);
	return publication;
}

/* What was committed while a lock was waited for counts. */
static List *
read_release_publications(void)
{
	TandemQuery query;
	List	   *publications = NIL;
	uint64		rows;

	query_begin(&query);
	rows = query_run_latest(&query,
							"SELECT release, name::text, source::text, coalesce(owner, 0), source_object IS NULL, stale, other_options "
							"FROM tandem._release_publications ORDER BY release");
	for (uint64 row = 0; row < rows; row++)
		publications = lappend(publications, read_release_publication(row));
	query_end(&query);
	return publications;
}

/* Names are recorded for dumps alone, which a publication is found by once. */
static void
record_stale_publications(void)
{
	TandemQuery query;

	query_begin(&query);
	(void) query_run(&query,
					 "UPDATE tandem.publication t SET name = v.name, source = v.source, object = v.object, "
					 "source_object = v.source_object, home = v.home "
					 "FROM tandem._release_publications v WHERE v.release = t.release AND v.stale");
	query_end(&query);
}

bool
release_record_exists(void)
{
	return extension_index_has_rows("publication", "publication_pkey");
}

List *
release_record_list(void)
{
	List	   *publications = release_record_exists() ? read_release_publications() : NIL;
	bool		stale = false;
	ListCell   *lc;

	foreach(lc, publications)
		stale |= ((ReleasePublication *) lfirst(lc))->stale;
	if (stale)
		record_stale_publications();
	return publications;
}

ReleasePublication *
release_record_find(List *publications, int release)
{
	ListCell   *lc;

	foreach(lc, publications)
	{
		if (((ReleasePublication *) lfirst(lc))->release == release)
			return lfirst(lc);
	}
	return NULL;
}

void
release_record_write(int release, const char *name, const char *source)
{
	TandemQuery query;

	/* sessions remember that there is none: see extension_in_use */
	registry_changed();
	query_begin(&query);
	query_int(&query, release);
	query_name(&query, name);
	query_name(&query, source);
	(void) query_run(&query,
					 "INSERT INTO tandem.publication (release, name, source) VALUES ($1, $2, $3) "
					 "ON CONFLICT (release) DO UPDATE SET name = excluded.name, source = excluded.source, home = NULL");
	query_end(&query);
	record_stale_publications();
}

/* The source was dropped and made again, as the caller says. */
void
release_record_note_source(const char *source)
{
	TandemQuery query;

	query_begin(&query);
	query_name(&query, source);
	(void) query_run(&query,
					 "UPDATE tandem.publication SET source_object = p.oid FROM pg_publication p WHERE p.pubname = $1");
	query_end(&query);
}

void
release_record_delete(int release)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	(void) query_run(&query, "DELETE FROM tandem.publication WHERE release = $1");
	query_end(&query);
}

/* The server's own error would not say what is to be done. */
void
release_record_check_owner(const ReleasePublication *publication)
{
	if (has_privs_of_role(GetUserId(), publication->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of publication %s", publication->name),
			 errdetail("The publication of release %d changes with the columns that the release sees.",
					   publication->release),
			 errhint("Call it as a member of role %s, or run ALTER PUBLICATION %s OWNER TO %s; before.",
					 quote_identifier(GetUserNameFromId(publication->owner, false)),
					 quote_identifier(publication->name),
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

void
release_record_check_options(const ReleasePublication *publication)
{
	if (publication->other_options)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("publication %s has another publish_via_partition_root than publication %s, whose tables it has",
						quote_identifier(publication->name),
						quote_identifier(publication->source)),
				 errhint("Run SELECT tandem.create_publication(%d); first.",
						 publication->release)));
}
