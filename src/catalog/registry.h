/*
 * registry.h
 *		Which releases of the application the database serves.
 *
 * The registry is tandem.registry (one row), tandem.release, and what each open
 * migration adds.  Its state is read whole, and kept by every session until a
 * change is announced.
 */
#ifndef TANDEM_REGISTRY_H
#define TANDEM_REGISTRY_H

typedef struct Registry
{
	int			current;		/* where operators have put the pointer; 0:
								 * nowhere */
	int			lowest;			/* releases below it are retired; 0: none */
	int			highest;		/* newest release that is known; 0: none is */
	int			read_only_from; /* releases from here on wait for a fill; 0:
								 * none */
	int			contracting;	/* id of the migration whose contract fences;
								 * 0 */
} Registry;

/* What a release may do. */
typedef enum ReleaseState
{
	RELEASE_READY,
	RELEASE_CURRENT,
	RELEASE_READ_ONLY,			/* its fill has not ended */
	RELEASE_RETIRED,			/* its columns are gone, or about to go */
	RELEASE_UNKNOWN				/* newer than what the database is prepared
								 * for */
} ReleaseState;

extern ReleaseState registry_state_of(const Registry *registry, int release);

/* "ready", "current", "read_only", "retired", "unknown" */
extern const char *release_state_name(ReleaseState state);

/*
 * Keeps every other change of the registry out until the end of the
 * transaction.  Errors: another change goes on for seconds.
 */
extern void registry_lock(void);

/* The same without waiting; whether it was had. */
extern bool registry_try_lock(void);

/* Reads it as it is committed now, and as this transaction has changed it. */
extern void registry_read(Registry *registry);

/* The table whose relcache entry stands for the registry; invalid: no extension. */
extern Oid	registry_relid(void);

/*
 * Announces at commit that the registry has changed: to be called by whoever
 * changes a table that it is read from.
 */
extern void registry_changed(void);

/* Whether a migration other than that one keeps the release from being ready. */
extern bool registry_others_fill(int migration_id, int release);

/* Whether the current user may: has EXECUTE on tandem.switch_release. */
extern bool registry_may_change(void);

extern void registry_set_current(int release);

/* Retires the releases below lowest; contracting is 0 when that is final. */
extern void registry_set_lowest(int lowest, int contracting);

/* The lowest release as the migrations that are done have made it; 0: none. */
extern int	registry_lowest_final(void);

/* Makes a release known that needs no migration. */
extern void registry_add_release(int release, const char *comment);

/* The version of a dependency; false: it is not known. */
extern bool registry_dependency(const char *name, int *version);
extern void registry_set_dependency(const char *name, int version);

#endif							/* TANDEM_REGISTRY_H */
