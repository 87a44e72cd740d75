/*
 * settings.c
 *		The settings tandem.*
 */
#include "postgres.h"

#include <limits.h>

#include "core/settings.h"
#include "utils/guc.h"

int			setting_release = 0;
int			setting_batch_target = 100;
int			setting_batch_lock_timeout = 100;
int			setting_lock_timeout = 200;
int			setting_lock_retry_time = 60;
bool		setting_fire_triggers = false;
int			setting_vacuum_every = 10;
int			setting_launcher_interval = 60;

void
settings_define(void)
{
	DefineCustomIntVariable("tandem.release",
							"Release of the application that this session is.",
							"Settles what the values of a row cannot; 0 means not said.",
							&setting_release, 0, 0, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.batch_target",
							"Time that one batch of a backfill should take.",
							NULL,
							&setting_batch_target, 100, 1, 60000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.batch_lock_timeout",
							"Longest wait of a batch for what another session holds.",
							"Such as a unique key being inserted. After it the batch gives way and is tried again; 0 means no limit.",
							&setting_batch_lock_timeout, 100, 0, 60000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.lock_timeout",
							"Longest wait for a lock that stops readers or writers.",
							"After it the lock is given up, and tried again a little later.",
							&setting_lock_timeout, 200, 1, 60000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.lock_retry_time",
							"Time after which a lock that was not had is an error.",
							NULL,
							&setting_lock_retry_time, 60, 0, 86400,
							PGC_USERSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomBoolVariable("tandem.fire_triggers",
							 "Whether a backfill fires the triggers of the table.",
							 NULL,
							 &setting_fire_triggers, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.vacuum_every",
							"Part of a table, in percent, after whose fill it is vacuumed.",
							"So that new row versions reuse the space of old ones; 0 means never.",
							&setting_vacuum_every, 10, 0, 100,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tandem.launcher_interval",
							"Time between two looks for migrations to resume.",
							"Of the launcher that runs where pg_tandem is in shared_preload_libraries.",
							&setting_launcher_interval, 60, 1, 86400,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	MarkGUCPrefixReserved("tandem");
}
