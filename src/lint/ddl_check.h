/*
 * ddl_check.h
 *		The check of a session's DDL before it waits for its lock: tandem.ddl_check.
 */
#ifndef TANDEM_DDL_CHECK_H
#define TANDEM_DDL_CHECK_H

/* Called from _PG_init: sets the hook. */
extern void ddl_check_init(void);

#endif							/* TANDEM_DDL_CHECK_H */
