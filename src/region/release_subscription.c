/*
 * release_subscription.c
 *		Which publication of other servers the subscriptions of this database
 *		take.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "core/query.h"
#include "core/statement.h"
#include "region/release_subscription.h"

typedef struct WantedSubscription
{
	char	   *name;
	Oid			owner;
	char	   *publications;	/* quoted list */
} WantedSubscription;

static void *
read_wanted_subscription(uint64 row)
{
	WantedSubscription *wanted = palloc(sizeof(WantedSubscription));

	wanted->name = query_get_text(row, 1);
	wanted->owner = query_get_oid(row, 2);
	wanted->publications = query_get_text(row, 3);
	return wanted;
}

static List *
wanted_subscriptions(int release)
{
	TandemQuery query;
	List	   *subscriptions;

	query_begin(&query);
	query_int(&query, release);
	subscriptions = query_rows(&query,
							   "SELECT name, owner, publications FROM tandem._wanted_subscriptions($1)",
							   read_wanted_subscription);
	query_end(&query);
	return subscriptions;
}

static void
refuse_subscription(const WantedSubscription *wanted, const char *sql, int elevel)
{
	ereport(elevel,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of subscription %s",
					quote_identifier(wanted->name)),
			 errdetail("It is to take another publication of the servers that it subscribes to."),
			 elevel >= ERROR
			 ? errhint("As a member of role %s run %s; then call it again.",
					   quote_identifier(GetUserNameFromId(wanted->owner, false)),
					   sql)
			 : errhint("After the commit, as a member of role %s run %s;",
					   quote_identifier(GetUserNameFromId(wanted->owner, false)),
					   sql)));
}

/* The tables are the same, and refresh would connect elsewhere. */
static char *
statement_to_take(const WantedSubscription *wanted)
{
	return psprintf("ALTER SUBSCRIPTION %s SET PUBLICATION %s WITH (refresh = false)",
					quote_identifier(wanted->name), wanted->publications);
}

void
release_subscription_check_known(int release)
{
	TandemQuery query;
	bool		known;

	query_begin(&query);
	query_int(&query, release);
	known = query_run_latest(&query,
							 "SELECT FROM tandem.publication WHERE release = $1 "
							 "UNION ALL SELECT FROM tandem.release WHERE release = $1 "
							 "UNION ALL SELECT FROM tandem.migration WHERE release = $1 AND phase <> 'aborted' LIMIT 1") > 0;
	query_end(&query);
	if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("release %d is not known here", release),
				 errdetail("From a server that does not have its publication no rows would come."),
				 errhint("SELECT release FROM tandem.releases; shows those that are known. If it is right, run SELECT tandem.register_release(%d); first.",
						 release)));
}

void
release_subscription_check(int release)
{
	ListCell   *lc;

	foreach(lc, wanted_subscriptions(release))
	{
		const WantedSubscription *wanted = lfirst(lc);

		if (!has_privs_of_role(GetUserId(), wanted->owner))
			refuse_subscription(wanted, statement_to_take(wanted), ERROR);
	}
}

void
release_subscription_take(int release, int elevel)
{
	ListCell   *lc;

	foreach(lc, wanted_subscriptions(release))
	{
		const WantedSubscription *wanted = lfirst(lc);
		char	   *sql = statement_to_take(wanted);

		if (has_privs_of_role(GetUserId(), wanted->owner))
			ddl_run(sql);
		else
			refuse_subscription(wanted, sql, elevel);
	}
}

void
release_subscription_restart(int release)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	(void) query_run(&query,
					 "SELECT pg_terminate_backend(a.pid) FROM pg_subscription s JOIN pg_stat_subscription a ON a.subid = s.oid "
					 "WHERE a.pid IS NOT NULL AND s.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) "
					 "AND (SELECT p.name::text FROM tandem._release_publications p WHERE p.release = $1) = ANY (s.subpublications)");
	query_end(&query);
}
