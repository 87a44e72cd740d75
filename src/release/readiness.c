/*
 * readiness.c
 *		May a node of a release go to work?
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/numeric.h"

#include "core/compat.h"
#include "core/query.h"
#include "release/readiness.h"

/* Of a registry that has lost its notes nothing is served, and this fixes it. */
static char *
reason_to_wait(const Registry *registry, int release)
{
	if (registry->unfilled > 0 && registry->unfilled <= release)
		return psprintf("release %d waits for the migration of release %d",
						release, registry->unfilled);
	return psprintf("release %d was not noted as ready: SELECT tandem.register_release(%d) looks again",
					release, release);
}

static char *
reason_unknown(const Registry *registry, int release)
{
	if (registry->highest == 0)
		return psprintf("release %d is not known: no migration names a release, and none was registered",
						release);
	return psprintf("release %d is newer than what the database is prepared for, release %d",
					release, registry->highest);
}

static void
check_release(const Registry *registry, int release, Health *health)
{
	health->state = registry_state_of(registry, release);
	health->healthy = health->state == RELEASE_READY ||
		health->state == RELEASE_CURRENT;
	switch (health->state)
	{
		case RELEASE_RETIRED:
			health->reason = psprintf("release %d is no longer served, the oldest is %d",
									  release, registry->lowest);
			break;
		case RELEASE_READ_ONLY:
			health->reason = reason_to_wait(registry, release);
			break;
		case RELEASE_UNKNOWN:
			health->reason = reason_unknown(registry, release);
			break;
		default:
			health->reason = "served";
	}
}

static int
version_of(const JsonbValue *value, const char *name)
{
	bool		failed = value->type != jbvNumeric;
	int			version = 0;

	if (!failed)
		version = compat_numeric_to_int(value->val.numeric, &failed);
	/* 7.4 is not rounded down to what is there */
	if (failed ||
		!DatumGetBool(DirectFunctionCall2(numeric_eq,
										  NumericGetDatum(value->val.numeric),
										  NumericGetDatum(int64_to_numeric(version)))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("version of dependency \"%s\" must be an integer", name),
				 errhint("Run SELECT * FROM tandem.health(42, requires => '{\"search-index\": 7}');")));
	return version;
}

static void
check_dependency(const char *name, int needed, Health *health)
{
	int			version;

	if (!registry_dependency(name, &version))
		health->reason = psprintf("dependency \"%s\" must be at %d, and has not been set",
								  name, needed);
	else if (version < needed)
		health->reason = psprintf("dependency \"%s\" must be at %d, and is at %d",
								  name, needed, version);
	else
		return;
	health->healthy = false;
}

static void
check_dependencies(Jsonb *requires, Health *health)
{
	JsonbIterator *it;
	JsonbValue	value;
	char	   *name = NULL;

	if (!JB_ROOT_IS_OBJECT(requires))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("requires must be an object of names and versions"),
				 errhint("Run SELECT * FROM tandem.health(42, requires => '{\"search-index\": 7}');")));
	it = JsonbIteratorInit(&requires->root);
	while (jsonb_next_member(&it, &name, &value))
	{
		int			needed = version_of(&value, name);

		if (health->healthy)
			check_dependency(name, needed, health);
	}
}

void
health_check(const Registry *registry, int release, Jsonb *requires,
			 Health *health)
{
	check_release(registry, release, health);
	if (requires)
		check_dependencies(requires, health);
}
