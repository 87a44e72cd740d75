/*
 * pg_tandem.c
 *		Loads the library: defines the settings.
 */
#include "postgres.h"

#include "core/settings.h"
#include "fmgr.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	settings_define();
}
