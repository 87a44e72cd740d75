/*
 * session_release.c
 *		The release that the session declares, and the names of the schemas
 *		of releases.
 *
 * An application that lives in the views of its release names their schema in
 * its search_path, and so says its release in every session, without another
 * setting.
 *
 * The server keeps the path as text, which may change at any time (SET, SET
 * LOCAL, RESET, DISCARD, ROLLBACK) without notice, and another text may then be
 * at the same address.  So the text is compared with that of the last call, and
 * parsed only if it differs.  The prefix is read from the registry again after
 * a change of that, but only if the path has a name that ends in a digit.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "catalog/registry.h"
#include "catalog/session_release.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/text.h"

#define DEFAULT_PREFIX "release_"

/*-------------------------------------------------------------------------
 * The prefix, as the registry has it.
 *-------------------------------------------------------------------------
 */

static char known_prefix[RELEASE_PREFIX_MAX + 1] = DEFAULT_PREFIX;
static uint64 prefix_generation = 0;	/* of the registry; 0 if not read */

/*
 * The registry has one row, or none.  It is scanned without a query, because a
 * session declares its release before it is ready for queries; and under a
 * catalog snapshot, because the transaction may still choose its isolation
 * level.
 */
static void
read_prefix(Oid registry)
{
	Relation	rel = try_relation_open(registry, AccessShareLock);
	AttrNumber	attnum;
	Snapshot	snapshot;
	TupleTableSlot *slot;
	TableScanDesc scan;

	/*
	 * The extension was dropped while this waited.  An idle session is here
	 * when the server has it catch up with invalidations: an error would end
	 * it.
	 */
	if (rel == NULL)
		return;
	attnum = get_attnum(registry, "prefix");
	snapshot = RegisterSnapshot(GetCatalogSnapshot(registry));
	slot = table_slot_create(rel, NULL);
	scan = compat_begin_scan(rel, snapshot);
	if (attnum > 0 && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Datum		prefix = slot_getattr(slot, attnum, &isnull);

		if (!isnull)
			text_copy(known_prefix, TextDatumGetCString(prefix),
					  sizeof(known_prefix));
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
}

const char *
release_prefix(void)
{
	uint64		reading = registry_generation();

	if (prefix_generation == reading || !IsTransactionState())
		return known_prefix;
	strcpy(known_prefix, DEFAULT_PREFIX);
	if (OidIsValid(registry_relid()))
		read_prefix(registry_relid());
	/* a change during the read makes it be read again */
	prefix_generation = reading;
	return known_prefix;
}

void
release_set_prefix(const char *prefix)
{
	TandemQuery query;

	query_begin(&query);
	query_text(&query, prefix);
	(void) query_run(&query,
					 "INSERT INTO tandem.registry (prefix) VALUES ($1) ON CONFLICT (one) DO UPDATE SET prefix = $1");
	query_end(&query);
	registry_changed();
	/* this session sees it at once */
	CommandCounterIncrement();
}

/*-------------------------------------------------------------------------
 * The release of the session.
 *-------------------------------------------------------------------------
 */

static char *known_path = NULL; /* path of the last call, in TopMemoryContext */
static bool path_has_numbers = false;	/* does a name in it end in a digit? */
static int	path_release = 0;
static uint64 path_generation = 0;	/* of the prefix */

/*
 * Returns n if the name is <prefix><n>, else 0.  The views of release 42 are
 * not in release_042.
 */
static int
release_of_schema(const char *name, const char *prefix)
{
	size_t		length = strlen(prefix);
	const char *digits = name + length;
	int64		release = 0;

	if (strncmp(name, prefix, length) != 0 || *digits == '0')
		return 0;
	for (; *digits; digits++)
	{
		if (*digits < '0' || *digits > '9')
			return 0;
		release = release * 10 + (*digits - '0');
		if (release > PG_INT32_MAX)
			return 0;
	}
	return (int) release;
}

static bool
ends_in_digit(const char *name)
{
	size_t		length = strlen(name);

	return length > 0 && name[length - 1] >= '0' && name[length - 1] <= '9';
}

/*
 * Parses the path.  With a prefix, returns the first release in it; without
 * one, whether any name may be that of a release.
 */
static int
search_path_for_release(const char *path, const char *prefix)
{
	char	   *names_text = pstrdup(path);
	List	   *names;
	int			found = 0;
	ListCell   *lc;

	/* invalid lists are rejected where they are set */
	if (!SplitIdentifierString(names_text, ',', &names))
		names = NIL;
	foreach(lc, names)
	{
		found = prefix ? release_of_schema(lfirst(lc), prefix)
			: ends_in_digit(lfirst(lc));
		if (found)
			break;
	}
	list_free(names);
	pfree(names_text);
	return found;
}

static void
note_path(const char *path)
{
	if (known_path)
		pfree(known_path);
	known_path = NULL;
	path_release = 0;
	path_generation = 0;
	path_has_numbers = search_path_for_release(path, NULL) != 0;
	known_path = MemoryContextStrdup(TopMemoryContext, path);
}

/*
 * Returns the release of the session's search_path, or 0.
 */
static int
session_path_release(void)
{
	const char *path = settings_session_path();

	if (known_path == NULL || strcmp(known_path, path) != 0)
		note_path(path);
	if (path_has_numbers && path_generation != registry_generation())
	{
		path_release = search_path_for_release(known_path, release_prefix());
		path_generation = prefix_generation;
	}
	return path_release;
}

int
session_release(void)
{
	if (setting_release > 0)
		return setting_release;
	return setting_release_is_tool ? 0 : session_path_release();
}
