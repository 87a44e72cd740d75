/*
 * catalog_row.c
 *		Rows of the server's catalogs, changed where no command of the server does.
 *
 * A long value is in the TOAST table of the catalog, which the server touches only with an
 * active snapshot.  A procedure that has committed has none outside a query.
 */
#include "postgres.h"

#include "catalog/indexing.h"

#include "core/catalog_row.h"
#include "core/transaction.h"

void
catalog_row_store(Relation catalog, HeapTuple tuple)
{
	bool		entered = snapshot_enter();

	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	snapshot_leave(entered);
}

void
catalog_row_delete(Relation catalog, HeapTuple tuple)
{
	bool		entered = snapshot_enter();

	CatalogTupleDelete(catalog, &tuple->t_self);
	snapshot_leave(entered);
}
