/*
 * block_scan.c
 *		A scan of some blocks of a table.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "backfill/block_scan.h"
#include "core/quoting.h"

/* An access method need not have it, and the server does not look. */
static void
check_access_method(Relation rel)
{
	const TableAmRoutine *routine = rel->rd_tableam;

	if (routine && routine->scan_set_tidrange &&
		routine->scan_getnextslot_tidrange)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("rows of table \"%s\" cannot be read by ranges of blocks",
					RelationGetRelationName(rel)),
			 errdetail("Its access method \"%s\" has no TID range scan.",
					   get_am_name(rel->rd_rel->relam)),
			 errhint("Run ALTER TABLE %s SET ACCESS METHOD heap, or end the migration with CALL tandem.abort.",
					 quoting_relation(RelationGetRelid(rel)))));
}

TableScanDesc
block_scan_begin(Relation rel, BlockNumber first, BlockNumber last)
{
	ItemPointerData from;
	ItemPointerData to;

	check_access_method(rel);
	ItemPointerSet(&from, first, FirstOffsetNumber);
	ItemPointerSet(&to, last, MaxOffsetNumber);
	return table_beginscan_tidrange(rel, GetActiveSnapshot(), &from, &to);
}
