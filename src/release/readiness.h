/*
 * readiness.h
 *		May a release be served, and may a migration of it be created?
 */
#ifndef TANDEM_READINESS_H
#define TANDEM_READINESS_H

#include "utils/jsonb.h"

#include "catalog/migration.h"
#include "catalog/registry.h"

/*
 * Checks the migration that this transaction has just created.  From the
 * commit on its release is not ready until it is filled; other releases are
 * not affected.  Errors: the current user may not switch releases; the release
 * is retired, or is the oldest remaining, or the current one or older; it is
 * ready, and a session works as it or has written as it.
 */
extern void opening_check(const Migration *migration);

/*
 * Call when something was added to the migration, in phase expand.  Its release is
 * ready from the commit on if there is nothing to migrate, and not any more if there
 * is now.  Errors: then, if the release was ready before this transaction, and is
 * the current one, or a session works as it or has written as it.
 */
extern void opening_follow(const Migration *migration);

/*
 * Returns the name of a migration if the release had no others, and needs one, but all of
 * them were aborted; or NULL.  Its nodes lack what these have added.  A release that is
 * below a known one, or the current one, has state ready all the same: abort with force
 * lets the nodes go on as far as they can; but no node of it should start.
 */
extern char *release_left_by(int release);

typedef struct ReleaseHealth
{
	bool		healthy;
	const char *reason;			/* for messages */
	ReleaseState state;
} ReleaseHealth;

/*
 * Returns the health of release.  requires (may be NULL) is a JSON object of
 * dependencies and their minimal versions.  Errors: it is not such an object.
 */
extern void release_health(const Registry *registry, int release,
						   Jsonb *requires, ReleaseHealth *health);

#endif							/* TANDEM_READINESS_H */
