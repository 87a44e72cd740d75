/*
 * served.h
 *		The registry as this session sees it: read once, kept until a change of
 *		it is announced, and the same from the first look of a transaction to its
 *		end.
 */
#ifndef TANDEM_SERVED_H
#define TANDEM_SERVED_H

#include "catalog/registry.h"

/* For _PG_init. */
extern void served_init(void);

/*
 * The registry for this transaction; NULL: the database has no pg_tandem, or is
 * getting it.
 * Called in a transaction.
 */
extern const Registry *served_in_transaction(void);

/* As it is now; may differ from what the transaction saw before. */
extern const Registry *served_now(void);

#endif							/* TANDEM_SERVED_H */
