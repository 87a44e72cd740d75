/*
 * pg_tandem.c
 *		Loads the library: defines settings, registers the launcher, sets
 *		hooks.
 */
#include "postgres.h"

#include "fmgr.h"

#include "catalog/registry.h"
#include "core/extension.h"
#include "core/settings.h"
#include "lint/ddl_check.h"
#include "release/fence.h"
#include "row/key_lock.h"
#include "row/running_statement.h"
#include "run/background.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	settings_define();
	extension_init();
	launcher_register();
	registry_init();
	fence_init();
	running_statement_init();
	key_lock_init();
	ddl_check_init();
}
