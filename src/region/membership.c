/*
 * membership.c
 *		Which databases are regions: joining and leaving.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "catalog/after_switch.h"
#include "catalog/region_row.h"
#include "catalog/registry.h"
#include "core/authority.h"
#include "core/query.h"
#include "core/statement.h"
#include "region/membership.h"

#define PUBLICATION "tandem_region"

/* What is sent of a row; the rest is what each server notes of it. */
#define SENT_COLUMNS \
	"region, system_identifier, database, seq, expanded, ready, current, lowest, phases, keys, progress, intent, intent_release, seen, at"

/*-------------------------------------------------------------------------
 * Joining.
 *-------------------------------------------------------------------------
 */

static void
refuse_second_name(const char *own, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this database is region %s already", own),
			 errhint("To give it another name, run SELECT tandem.leave_region(%s); let it reach the other regions, then run SELECT tandem.join_region(%s);",
					 quote_literal_cstr(own), quote_literal_cstr(name))));
}

/*
 * A row that has come by a subscription is of another database; one that has not
 * is of the database that this one is a copy of, or was before pg_upgrade.
 */
static void
check_name_is_free(const char *name)
{
	TandemQuery query;
	bool		taken;
	char	   *subscription = NULL;

	query_begin(&query);
	query_text(&query, name);
	taken = query_run(&query,
					  "SELECT (SELECT s.subname FROM pg_subscription s WHERE s.oid = r.subscription) FROM tandem.region r "
					  "WHERE r.region = $1 AND r.subscription IS NOT NULL") > 0;
	if (taken)
		subscription = query_get_text(0, 1);
	query_end(&query);
	if (taken)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("region %s is another database", name),
				 subscription
				 ? errdetail("Subscription %s brings what it says.", quote_identifier(subscription)) : 0,
				 errhint("Take another name; or, if that database is no more, drop the subscription and run SELECT tandem.leave_region(%s); first.",
						 quote_literal_cstr(name))));
}

/* Writes the row, or that of the database that this one was copied from. */
static void
write_own_row(const char *name)
{
	TandemQuery query;

	query_begin(&query);
	query_text(&query, name);
	query_bigint(&query, (int64) GetSystemIdentifier());
	query_oid(&query, MyDatabaseId);
	/* higher than what a copy, or what was restored, has said */
	(void) query_run(&query,
					 "INSERT INTO tandem.region (region, system_identifier, database, seq, at) "
					 "VALUES ($1, $2, $3, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, clock_timestamp()) "
					 "ON CONFLICT (region) DO UPDATE SET system_identifier = excluded.system_identifier, database = excluded.database, "
					 "seq = greatest(excluded.seq, region.seq + 1), doubt = NULL, intent = NULL, intent_release = NULL, intent_migration = NULL, seen = '{}'");
	query_end(&query);
}

/*
 * Otherwise what the others write as that release would be lost here.  They refuse
 * in their turn to serve one that is not expanded here, but not while this is no
 * region yet: one that is ready then stays ready.
 */
static void
check_not_behind(const char *name, bool joins)
{
	TandemQuery query;
	bool		behind;

	query_begin(&query);
	query_text(&query, name);
	query_bool(&query, joins);
	behind = query_run(&query,
					   "SELECT o.region, w.release, r.expanded, w.release > coalesce(o.current, 0) FROM tandem.region r JOIN tandem.region o ON o.region <> r.region "
					   "CROSS JOIN LATERAL (SELECT greatest(o.current, CASE WHEN $2 THEN o.ready END) AS release) w "
					   "WHERE r.region = $1 AND w.release > coalesce(r.expanded, 0) ORDER BY w.release DESC, o.region LIMIT 1") > 0;
	if (behind)
	{
		char	   *other = query_get_text(0, 1);
		int			release = query_get_int(0, 2);
		int			expanded = query_get_int(0, 3);
		bool		only_ready = query_get_bool(0, 4);

		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 only_ready
				 ? errmsg("release %d is ready in region %s, and is not expanded here", release, other)
				 : errmsg("region %s has switched to release %d, which is not expanded here",
						  other, release),
				 expanded > 0
				 ? errdetail("Here the migrations up to release %d have been started.", expanded)
				 : errdetail("Here no migration with a release has been started, and no release is registered."),
				 errhint("Run the scripts of the releases up to %d here, and CALL tandem.migrate of each; or, if the tables have their columns already, SELECT tandem.register_release(%d); then join.",
						 release, release)));
	}
	query_end(&query);
}

/* The publication is not dropped: subscribers ask for it in all that is older. */
static void
publish_own_row(const char *name)
{
	AuthorityScope scope;
	TandemQuery query;
	bool		there;

	query_begin(&query);
	query_text(&query, PUBLICATION);
	there = query_run(&query, "SELECT FROM pg_publication WHERE pubname = $1") > 0;
	query_end(&query);
	/* of the table only its owner may make one */
	authority_enter_extension(&scope);
	ddl_run(psprintf("%s TABLE tandem.region (" SENT_COLUMNS ") WHERE (region = %s)%s",
					 there ? "ALTER PUBLICATION " PUBLICATION " SET"
					 : "CREATE PUBLICATION " PUBLICATION " FOR",
					 quote_literal_cstr(name),
					 there ? "" : " WITH (publish = 'insert, update, delete')"));
	authority_leave(&scope);
}

void
region_join(const char *name)
{
	char	   *own = region_here();

	if (own && strcmp(own, name) != 0)
		refuse_second_name(own, name);
	check_name_is_free(name);
	if (own == NULL)
		write_own_row(name);
	region_follow();
	check_not_behind(name, own == NULL);
	publish_own_row(name);
}

/*-------------------------------------------------------------------------
 * Leaving.
 *-------------------------------------------------------------------------
 */

static void
check_not_subscribed(const char *name)
{
	TandemQuery query;
	char	   *subscription = NULL;

	query_begin(&query);
	query_text(&query, name);
	if (query_run(&query, "SELECT (SELECT s.subname FROM pg_subscription s WHERE s.oid = r.subscription) FROM tandem.region r WHERE r.region = $1") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("region %s does not exist", name),
				 errhint("See SELECT * FROM tandem.regions;")));
	subscription = query_get_text(0, 1);
	query_end(&query);
	if (subscription)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("subscription %s still brings what region %s sends",
						quote_identifier(subscription), name),
				 errhint("If that region is no more, run DROP SUBSCRIPTION %s; then call it again.",
						 quote_identifier(subscription))));
}

void
region_leave(const char *name)
{
	TandemQuery query;

	check_not_subscribed(name);
	query_begin(&query);
	query_text(&query, name);
	(void) query_run(&query, "DELETE FROM tandem.region WHERE region = $1");
	query_end(&query);
	after_switch_turned_region(name);
	/* a release may have waited for it */
	registry_note_ready();
}
