/*
 * served.h
 *		The registry as this session sees it: read once, kept until a change of
 *		it is announced, and the same from the first look of a transaction to its
 *		end.
 */
#ifndef TANDEM_SERVED_H
#define TANDEM_SERVED_H

#include "catalog/registry.h"

/*
 * The registry for this transaction; NULL: the database has no pg_tandem, or is
 * getting it.
 * Called in a transaction.
 */
extern const Registry *served_in_transaction(void);

/* As it is now; may differ from what the transaction saw before.  NULL: as there. */
extern const Registry *served_now(void);

/* The same, never NULL.  Errors: there is none. */
extern const Registry *served_or_error(void);

#endif							/* TANDEM_SERVED_H */
