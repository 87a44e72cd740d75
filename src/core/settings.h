/*
 * settings.h
 *		The settings tandem.*.
 */
#ifndef TANDEM_SETTINGS_H
#define TANDEM_SETTINGS_H

/* release of the application that this session is; 0 if not declared */
extern int	setting_release;

/*
 * Is it a tool instead, which belongs to no release?  Then neither the path
 * declares one, nor is one missing.
 */
extern bool setting_release_is_tool;

/* treatment of sessions that have not declared a release */
typedef enum Undeclared
{
	UNDECLARED_ALLOW,
	UNDECLARED_WARN,
	UNDECLARED_REFUSE
} Undeclared;

extern int	setting_undeclared;

/* are migrations done to their end at once, in the transactions of their scripts? */
extern bool setting_at_once;

/* what happens to DDL that the rules of tandem.lint call a danger */
typedef enum DdlCheck
{
	DDL_CHECK_OFF,
	DDL_CHECK_WARN,
	DDL_CHECK_REFUSE
} DdlCheck;

extern int	setting_ddl_check;

/* size, in kB, from which on a table counts for it */
extern int	setting_ddl_check_size;

/* longest wait of such DDL for a lock, in ms; 0 for no limit */
extern int	setting_ddl_check_lock_timeout;

/* intended duration of a fill's batch, in ms */
extern int	setting_batch_target;

/* maximum wait of a batch for another session, in ms; 0 for no limit */
extern int	setting_batch_lock_timeout;

/* maximum wait for one strong lock, in ms */
extern int	setting_lock_timeout;

/* time after which retrying a strong lock fails, in s */
extern int	setting_lock_retry_time;

/* does the backfill fire the table's own triggers? */
extern bool setting_fire_triggers;

/* subscribers to which a fill is sent */
typedef enum SendFill
{
	SEND_FILL_AUTO,				/* all, except for tables that other servers
								 * fill, too */
	SEND_FILL_ON,				/* all */
	SEND_FILL_OFF				/* all except those with origin = none */
} SendFill;

extern int	setting_send_fill;

/* percentage of a table after whose fill it is vacuumed; 0 for never */
extern int	setting_vacuum_every;

/* interval at which the launcher looks for migrations to resume, in s */
extern int	setting_launcher_interval;

/* longest wait for the other regions to answer, in s */
extern int	setting_region_timeout;

/* maximum number of a role's background workers; 0 for half of the server's */
extern int	setting_max_workers_per_role;

/* time to keep the steps of an ended migration, in s; 0 to keep them */
extern int	setting_forget_after;

/* maximum rows per second of a fill, with all its workers; 0 for no limit */
extern int	setting_max_rows_per_second;

/*
 * maximum WAL that the server writes per second during a fill, in kB; 0 for no
 * limit
 */
extern int	setting_max_wal_rate;

/*
 * maximum lag of standbys and slots during a fill, in kB and in s; 0 for no
 * limit
 */
extern int	setting_max_lag_size;
extern int	setting_max_lag_time;

/*
 * pause while clients are active, as a multiple of the batch's duration; 0 for
 * none
 */
extern double setting_nice_ratio;

/* user's function that tells whether to hold; "" if none, never NULL */
extern char *setting_hold_function;

/* Does tandem.lag_sources name this standby or slot, or all of them? */
extern bool settings_lag_counts(const char *name);

/* Does it name any? */
extern bool settings_any_lag_counts(void);

/* Returns "name = value" with the value as shown by SHOW, palloc'd. */
extern char *settings_show(const char *name);

/*
 * Returns the server's spelling of the name if a migration may have this
 * setting for its runs, else NULL.  Only settings that any user may set are
 * allowed: no user should set others by letting another role run the
 * migration.
 */
extern const char *settings_name_for_run(const char *name);

/* Sets a setting until the end of the transaction. */
extern void settings_for_transaction(const char *name, const char *value);

/*
 * Returns the search_path of the session: that of its connection, of SET or of
 * SET LOCAL, not what a function or a scope of ours sets while it runs.  Valid
 * until a setting changes.
 */
extern const char *settings_session_path(void);

/* Defines the settings.  Called once, from _PG_init. */
extern void settings_define(void);

#endif							/* TANDEM_SETTINGS_H */
