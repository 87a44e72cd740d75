/*
 * region.c
 *		SQL functions create_publication and take_release: which columns other
 *		servers are sent, and this one takes.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "api/arguments.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "region/release_publication.h"
#include "region/release_subscription.h"

SQL_FUNCTION(tandem_create_publication);
SQL_FUNCTION(tandem_take_release);

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
tandem_take_release(PG_FUNCTION_ARGS)
{
	int			release = PG_ARGISNULL(0) ? 0 : argument_release(fcinfo, 0);

	ddl_refuse_nested();
	if (release == 0 && !release_publication_exists())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("it is not known which publication has all columns"),
				 errhint("Run SELECT tandem.create_publication(release, 'name of the publication'); for the present release first.")));
	release_subscription_take(release, ERROR);
	PG_RETURN_VOID();
}
