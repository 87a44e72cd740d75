/*
 * restore.c
 *		Whether this session restores a dump.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "utils/guc.h"

#include "core/restore.h"

bool
restore_is_running(void)
{
	return !check_function_bodies && namespace_search_path &&
		namespace_search_path[0] == '\0';
}
