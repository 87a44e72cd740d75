/*
 * release_note.c
 *		What is noted of releases in tandem.release_state, read without a trace.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog/release_note.h"
#include "core/compat.h"
#include "core/extension.h"

/* Notes of one state, as they are read. */
typedef struct NoteScan
{
	Relation	rel;
	TableScanDesc scan;
	TupleTableSlot *slot;
	AttrNumber	releases;
	AttrNumber	state;
	const char *wanted;
} NoteScan;

static void
begin_scan(NoteScan *notes, const char *state)
{
	Oid			relid = extension_relation("release_state", false);

	notes->rel = table_open(relid, AccessShareLock);
	notes->releases = get_attnum(relid, "releases");
	notes->state = get_attnum(relid, "state");
	notes->wanted = state;
	notes->slot = table_slot_create(notes->rel, NULL);
	notes->scan = compat_begin_scan(notes->rel, SnapshotSelf);
}

static void
end_scan(NoteScan *notes)
{
	table_endscan(notes->scan);
	ExecDropSingleTupleTableSlot(notes->slot);
	table_close(notes->rel, AccessShareLock);
}

/* The next range, an int8range that is good until the next call. */
static bool
next_note(NoteScan *notes, Datum *releases)
{
	while (table_scan_getnextslot(notes->scan, ForwardScanDirection,
								  notes->slot))
	{
		bool		isnull;
		Datum		state = slot_getattr(notes->slot, notes->state, &isnull);

		if (isnull || strcmp(TextDatumGetCString(state), notes->wanted) != 0)
			continue;
		*releases = slot_getattr(notes->slot, notes->releases, &isnull);
		if (!isnull)
			return true;
	}
	return false;
}

char *
release_note_all_ready(void)
{
	NoteScan	notes;
	StringInfoData text;
	Datum		releases;
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(INT8RANGEOID, &output, &is_varlena);
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	begin_scan(&notes, "ready");
	while (next_note(&notes, &releases))
		appendStringInfo(&text, "%s%s", text.len > 1 ? "," : "",
						 OidOutputFunctionCall(output, releases));
	end_scan(&notes);
	appendStringInfoChar(&text, '}');
	return text.data;
}

static bool
is_noted(const char *state, int release)
{
	NoteScan	notes;
	Datum		releases;
	bool		noted = false;

	begin_scan(&notes, state);
	while (!noted && next_note(&notes, &releases))
		noted = DatumGetBool(OidFunctionCall2(F_RANGE_CONTAINS_ELEM, releases,
											  Int64GetDatum(release)));
	end_scan(&notes);
	return noted;
}

bool
release_note_is_ready(int release)
{
	return is_noted("ready", release);
}

bool
release_note_is_used(int release)
{
	return is_noted("used", release);
}
