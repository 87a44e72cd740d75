/*
 * restore.h
 *		Whether this session restores a dump.
 */
#ifndef TANDEM_RESTORE_H
#define TANDEM_RESTORE_H

/*
 * True in a session that is set up as pg_dump has its scripts begin and
 * pg_restore its session.  pg_restore --clean drops triggers one by one, before
 * their tables and what tandem knows of them.
 */
extern bool restore_is_running(void);

#endif							/* TANDEM_RESTORE_H */
