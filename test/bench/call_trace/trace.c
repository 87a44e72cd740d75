/*
 * Linked into a copy of the extension that is built with -finstrument-functions: writes the calls of a
 * process, in their order, to the file of its number in the folder $CALL_TRACE.
 *
 * A line is "> ADDRESS" for a call, "< ADDRESS" for its return (there is none when an error ends it),
 * and "= ROWS" for a commit, with the rows of table item that the session has updated until then.
 * Addresses count from where the library is loaded, as addr2line wants them.
 */
#include "postgres.h"

#include <dlfcn.h>
#include <unistd.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "pgstat.h"

#define UNTRACED __attribute__((no_instrument_function))

void		__cyg_profile_func_enter(void *function, void *caller);
void		__cyg_profile_func_exit(void *function, void *caller);

static FILE *trace = NULL;
static pid_t traced_process = 0;
static char *library = NULL;
static bool asking = false;
static long updated = 0;

/* Looked for before the commit, while there is a transaction to look in. */
UNTRACED static long
rows_updated(void)
{
	Oid			item = RelnameGetRelid("item");
	PgStat_TableStatus *status = OidIsValid(item) ? find_tabstat_entry(item) : NULL;
	long		rows = 0;

	if (status == NULL)
		return 0;
#if PG_VERSION_NUM >= 160000
	rows = (long) status->counts.tuples_updated;
#else
	rows = (long) status->t_counts.t_tuples_updated;
#endif
	for (PgStat_TableXactStatus *trans = status->trans; trans != NULL; trans = trans->upper)
		rows += (long) trans->tuples_updated;
	return rows;
}

UNTRACED static void
note_commit(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT)
	{
		asking = true;
		updated = rows_updated();
		asking = false;
	}
	else if (event == XACT_EVENT_COMMIT && trace != NULL)
		fprintf(trace, "= %ld\n", updated);
}

/* A process that was forked off a traced one has a file of its own. */
UNTRACED static bool
is_traced(void *function)
{
	const char *folder = getenv("CALL_TRACE");
	char		path[MAXPGPATH];
	Dl_info		info;

	if (asking || folder == NULL)
		return false;
	if (traced_process == getpid())
		return trace != NULL;
	traced_process = getpid();
	if (dladdr(function, &info) == 0)
		return false;
	library = info.dli_fbase;
	snprintf(path, sizeof(path), "%s/%d", folder, (int) traced_process);
	trace = fopen(path, "w");
	RegisterXactCallback(note_commit, NULL);
	return trace != NULL;
}

UNTRACED static void
note_call(char mark, void *function)
{
	if (is_traced(function))
		fprintf(trace, "%c 0x%lx\n", mark, (unsigned long) ((char *) function - library));
}

UNTRACED void
__cyg_profile_func_enter(void *function, void *caller)
{
	note_call('>', function);
}

UNTRACED void
__cyg_profile_func_exit(void *function, void *caller)
{
	note_call('<', function);
}
