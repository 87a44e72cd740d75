/*
 * settings.h
 *		The settings tandem.*, defined when the library is loaded.
 */
#ifndef TANDEM_SETTINGS_H
#define TANDEM_SETTINGS_H

/* release of the application this session is; 0 when it does not say */
extern int	setting_release;

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

/* part of a table, in percent, after whose fill it is vacuumed; 0: never */
extern int	setting_vacuum_every;

/* seconds between two looks of the launcher for migrations to resume */
extern int	setting_launcher_interval;

/* Defines the settings; called once, from _PG_init. */
extern void settings_define(void);

#endif							/* TANDEM_SETTINGS_H */
