/*
 * settings.h
 *		The settings tandem.*
 */
#ifndef TANDEM_SETTINGS_H
#define TANDEM_SETTINGS_H

/* release of the application this session is; 0 when it does not say */
extern int	setting_release;

/* what happens to a session that does not say its release */
typedef enum Undeclared
{
	UNDECLARED_ALLOW,
	UNDECLARED_WARN,
	UNDECLARED_REFUSE
} Undeclared;

extern int	setting_undeclared;

/* time that one batch of a fill should take, in ms */
extern int	setting_batch_target;

/* longest wait of a batch for what another session holds, in ms; 0: no limit */
extern int	setting_batch_lock_timeout;

/* longest wait for one strong lock, in ms */
extern int	setting_lock_timeout;

/* time after which retrying a strong lock ends in an error, in s */
extern int	setting_lock_retry_time;

/* whether the backfill fires the table's own triggers */
extern bool setting_fire_triggers;

/* which subscribers a fill is sent to */
typedef enum SendFill
{
	SEND_FILL_AUTO,				/* all, but for tables that other servers fill
								 * too */
	SEND_FILL_ON,				/* all */
	SEND_FILL_OFF				/* all but those with origin = none */
} SendFill;

extern int	setting_send_fill;

/* part of a table, in percent, after whose fill it is vacuumed; 0: never */
extern int	setting_vacuum_every;

/* seconds between two looks of the launcher for migrations to resume */
extern int	setting_launcher_interval;

/* most background workers of one role; 0: half of what the server has */
extern int	setting_max_workers_per_role;

/* seconds after its end that the steps of a migration are kept; 0: for ever */
extern int	setting_forget_after;

/* most rows that a fill works on in a second, all its workers together; 0: no cap */
extern int	setting_max_rows_per_second;

/* most WAL that the server may write in a second for a fill to go on, in kB; 0: off */
extern int	setting_max_wal_rate;

/* how far standbys and slots may be behind for a fill to go on, in kB and in s; 0: off */
extern int	setting_max_lag_size;
extern int	setting_max_lag_time;

/* how long a fill rests while clients are at work, in times of its last batch; 0: off */
extern double setting_nice_ratio;

/* function of the user's that says whether to hold; empty: none; never NULL */
extern char *setting_hold_function;

/* Whether tandem.lag_sources names a standby or slot, or all of them. */
extern bool settings_lag_counts(const char *name);

/* Whether it names any at all. */
extern bool settings_any_lag_counts(void);

/* "name = value" as SHOW would write the value, palloc'd. */
extern char *settings_show(const char *name);

/*
 * The name, as the server spells it, of a setting that a migration may have for
 * its runs; NULL: it is none.  Only those that everybody may set for itself are:
 * nobody sets others by having somebody else run the migration.
 */
extern const char *settings_name_for_run(const char *name);

/* Sets any setting until the end of the transaction. */
extern void settings_for_transaction(const char *name, const char *value);

/* Defines the settings; called once, from _PG_init. */
extern void settings_define(void);

#endif							/* TANDEM_SETTINGS_H */
