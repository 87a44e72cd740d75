/*
 * readiness.h
 *		May a node of a release go to work?
 */
#ifndef TANDEM_READINESS_H
#define TANDEM_READINESS_H

#include "utils/jsonb.h"

#include "catalog/registry.h"

typedef struct Health
{
	bool		healthy;
	const char *reason;			/* for people */
	ReleaseState state;
} Health;

/*
 * The health of release; requires (may be NULL) is an object of names of
 * dependencies and the version that each must have at least.  Errors: it is not
 * such an object.
 */
extern void health_check(const Registry *registry, int release,
						 Jsonb *requires, Health *health);

#endif							/* TANDEM_READINESS_H */
