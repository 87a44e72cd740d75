/*
 * launcher.h
 *		Resumes migrations that were interrupted, where the library is preloaded.
 */
#ifndef TANDEM_LAUNCHER_H
#define TANDEM_LAUNCHER_H

/*
 * Registers the launcher with the postmaster; called from _PG_init.  Does
 * nothing unless the library is in shared_preload_libraries.
 */
extern void launcher_register(void);

#endif							/* TANDEM_LAUNCHER_H */
