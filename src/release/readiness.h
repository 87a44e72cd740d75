/*
 * readiness.h
 *		Whether a release may be served, and whether a migration of it may
 *		be begun.
 */
#ifndef TANDEM_READINESS_H
#define TANDEM_READINESS_H

#include "utils/jsonb.h"

#include "catalog/migration.h"
#include "catalog/registry.h"

/*
 * For the migration that this transaction has just created.  Its release is not
 * ready from the commit on, until it is filled; every other one stays as it is.
 * Errors: the current user may not move releases; the release is retired, or is
 * the oldest that is left, or the current one or older; it is ready, and a
 * session works as it or has written as it.
 */
extern void opening_check(const Migration *migration);

typedef struct ReleaseHealth
{
	bool		healthy;
	const char *reason;			/* for people */
	ReleaseState state;
} ReleaseHealth;

/*
 * The health of release; requires (may be NULL) is an object of names of
 * dependencies and the version that each must have at least.  Errors: it is not
 * such an object.
 */
extern void release_health(const Registry *registry, int release,
						   Jsonb *requires, ReleaseHealth *health);

#endif							/* TANDEM_READINESS_H */
