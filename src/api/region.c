/*
 * region.c
 *		SQL functions for several servers: which columns others are sent, and
 *		this one takes; which databases are regions.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "api/arguments.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "catalog/region_row.h"
#include "catalog/registry.h"
#include "region/membership.h"
#include "region/release_publication.h"
#include "region/release_subscription.h"

SQL_FUNCTION(tandem_create_publication);
SQL_FUNCTION(tandem_drop_publications);
SQL_FUNCTION(tandem_take_release);
SQL_FUNCTION(tandem_join_region);
SQL_FUNCTION(tandem_leave_region);
SQL_FUNCTION(tandem_region_beat);
SQL_FUNCTION(tandem_region);

Datum
tandem_create_publication(PG_FUNCTION_ARGS)
{
	int			release = argument_release(fcinfo, 0);
	char	   *source = PG_ARGISNULL(1) ? NULL : NameStr(*PG_GETARG_NAME(1));
	char	   *name;

	ddl_refuse_nested();
	name = release_publication_make(release, source);
	PG_RETURN_DATUM(DirectFunctionCall1(namein, CStringGetDatum(name)));
}

Datum
tandem_drop_publications(PG_FUNCTION_ARGS)
{
	ddl_refuse_nested();
	release_publication_drop_all();
	PG_RETURN_VOID();
}

Datum
tandem_take_release(PG_FUNCTION_ARGS)
{
	int			release = PG_ARGISNULL(0) ? 0 : argument_release(fcinfo, 0);

	ddl_refuse_nested();
	if (release == 0 && !release_publication_exists())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("it is not known which publication has all columns"),
				 errhint("Run SELECT tandem.create_publication(release, 'name of the publication'); for the present release first.")));
	if (release > 0)
		release_subscription_check_known(release);
	release_subscription_take(release, ERROR);
	PG_RETURN_VOID();
}

/* The publications of releases, too, if there are none: their source is given. */
static void
begin_publications(char *source)
{
	Registry	registry;
	int			release;

	if (source == NULL || release_publication_exists())
		return;
	registry_read(&registry);
	release = registry.current > 0 ? registry.current : registry.highest;
	if (release == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("it is not known which release the application is at"),
				 errhint("Run SELECT tandem.register_release(41); with its number first.")));
	(void) release_publication_make(release, source);
}

Datum
tandem_join_region(PG_FUNCTION_ARGS)
{
	char	   *name = argument_text(fcinfo, 0, "region");
	char	   *source = PG_ARGISNULL(1) ? NULL : NameStr(*PG_GETARG_NAME(1));

	if (name[0] == '\0' || strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the name of a region has 1 to %d bytes", NAMEDATALEN - 1),
				 errhint("Run SELECT tandem.join_region('eu');")));
	registry_lock();
	begin_publications(source);
	region_join(name);
	PG_RETURN_VOID();
}

Datum
tandem_leave_region(PG_FUNCTION_ARGS)
{
	char	   *name = argument_text(fcinfo, 0, "region");

	registry_lock();
	region_leave(name);
	PG_RETURN_VOID();
}

Datum
tandem_region_beat(PG_FUNCTION_ARGS)
{
	ddl_refuse_nested();
	(void) region_beat();
	PG_RETURN_VOID();
}

Datum
tandem_region(PG_FUNCTION_ARGS)
{
	char	   *name = region_here();

	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(name));
}
