/*
 * catalog_row.h
 *		Rows of the server's catalogs, changed where no command of the server does.
 */
#ifndef TANDEM_CATALOG_ROW_H
#define TANDEM_CATALOG_ROW_H

#include "access/htup.h"
#include "utils/relcache.h"

/*
 * Store a tuple in the place of that which it is a copy of, and delete one.  catalog is open
 * in ROW EXCLUSIVE mode.  What follows sees it after CommandCounterIncrement.  Errors: another
 * transaction has changed the row meanwhile.
 */
extern void catalog_row_store(Relation catalog, HeapTuple tuple);
extern void catalog_row_delete(Relation catalog, HeapTuple tuple);

#endif							/* TANDEM_CATALOG_ROW_H */
