/*
 * block_scan.h
 *		A scan of some blocks of a table.
 */
#ifndef TANDEM_BLOCK_SCAN_H
#define TANDEM_BLOCK_SCAN_H

#include "access/tableam.h"
#include "storage/block.h"
#include "utils/rel.h"

/*
 * Begins a scan of blocks first to last under the active snapshot, for
 * table_scan_getnextslot_tidrange.  Errors: the access method of the table has
 * no such scan.
 */
extern TableScanDesc block_scan_begin(Relation rel, BlockNumber first,
									  BlockNumber last);

#endif							/* TANDEM_BLOCK_SCAN_H */
