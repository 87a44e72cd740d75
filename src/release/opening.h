/*
 * opening.h
 *		May a migration of a release be begun?
 */
#ifndef TANDEM_OPENING_H
#define TANDEM_OPENING_H

#include "catalog/migration.h"

/*
 * For the migration that this transaction has just created.  Its release is not
 * ready from the commit on, until it is filled; every other one stays as it is.
 * Errors: the current user may not move releases; the release is retired, or is
 * the oldest that is left, or the current one or older; it is ready, and a
 * session works as it or has written as it.
 */
extern void opening_check(const Migration *migration);

#endif							/* TANDEM_OPENING_H */
