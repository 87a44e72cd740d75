/*
 * gate.c
 *		What waits for other regions: the switch to a release, contract and
 *		abort.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "core/clock.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/settings.h"
#include "region/gate.h"
#include "run/beat.h"

#define LOOK_EVERY_MS 20

/*-------------------------------------------------------------------------
 * What another region must be.
 *-------------------------------------------------------------------------
 */

/* Is the region about to do what does not go together with the act? */
static bool
region_opposes(const Region *region, const RegionGate *gate)
{
	if (region->intent == NULL)
		return false;
	if (gate->act == REGION_ABORT)
		return !region->intends_abort && region->intent_release >= gate->release;
	if (region->intends_abort)
		return region->intent_release <= gate->release;
	if (gate->act == REGION_GIVE_KEYS_BACK)
		return region->intends_take_keys || region->intends_contract;
	/* contract needs the keys to stay where they are */
	if (region->intends_give_keys_back)
		return gate->act != REGION_SWITCH;
	/* one goes back to what the other is about to do without */
	if (gate->act == REGION_SWITCH)
		return gate->back && region->intends_contract && region->intent_release > gate->release;
	return gate->everywhere && !region->intends_contract && region->intent_release < gate->release;
}

/* Returns why the act cannot be done, palloc'd, or NULL. */
static char *
say_what_forbids(const Region *region, void *arg)
{
	const RegionGate *gate = arg;

	if (region->doubt)
		return psprintf("%s", region->doubt);
	if (region_opposes(region, gate))
		return psprintf("is about to %s", region->intent);
	if (gate->back && region->lowest > gate->release)
		return psprintf("has contracted up to release %d, and writes nothing to the old columns", region->lowest);
	if (gate->act == REGION_ABORT)
	{
		if (region->current >= gate->release)
			return psprintf("has switched to release %d", region->current);
		if (region->lowest >= gate->release)
			return psprintf("has contracted up to release %d", region->lowest);
		return NULL;
	}
	if (region->expanded < Max(gate->release, gate->takes))
		return psprintf("has %s", region_release_shown(region->expanded));
	if (gate->everywhere && region->current < gate->release)
		return psprintf("has switched to %s, and a value of the new columns cannot be written back there",
						region_release_shown(region->current));
	return NULL;
}

static const char *
name_of_act(const RegionGate *gate)
{
	switch (gate->act)
	{
		case REGION_SWITCH:
			return psprintf("switch to release %d", gate->release);
		case REGION_CONTRACT:
			return psprintf("contract of migration \"%s\"", gate->name);
		case REGION_ABORT:
			return psprintf("abort of migration \"%s\"", gate->name);
		case REGION_TAKE_KEYS:
			return psprintf("taking the keys of migration \"%s\"", gate->name);
		case REGION_GIVE_KEYS_BACK:
			return psprintf("giving back the keys of migration \"%s\"", gate->name);
	}
	return NULL;				/* keep the compiler quiet */
}

static char *
say_how_to_forget(const char *region)
{
	return psprintf("drop its subscription and run SELECT tandem.leave_region(%s); then call it again",
					quote_literal_cstr(region));
}

static const char *
hint_for_act(const RegionGate *gate, const char *region)
{
	char	   *leave = psprintf("or, if region %s is no more, %s", region, say_how_to_forget(region));

	switch (gate->act)
	{
		case REGION_SWITCH:
			if (gate->back)
				return psprintf("Go on to contract here, too; %s.", leave);
			return psprintf("Expand up to release %d there, and call tandem.migrate; %s.", gate->release, leave);
		case REGION_CONTRACT:
			return psprintf("%s; %s. force => true passes over it.",
							gate->everywhere ? psprintf("Run SELECT tandem.switch_release(%d); there", gate->release)
							: psprintf("Expand up to release %d there, and call tandem.migrate",
									   Max(gate->release, gate->takes)), leave);
		case REGION_ABORT:
			return psprintf("Where a region has switched, go on to contract; %s. force => true passes over it.", leave);
		case REGION_TAKE_KEYS:
		case REGION_GIVE_KEYS_BACK:
			return psprintf("Expand up to release %d there, and call tandem.migrate, or let it do what it is about to; %s.", gate->release, leave);
	}
	return NULL;				/* keep the compiler quiet */
}

static void
check_regions(const RegionGate *gate)
{
	const char *first;
	char	   *regions = region_list(say_what_forbids, (void *) gate, &first);

	if (regions)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s waits for another region", name_of_act(gate)),
				 errdetail_internal("%s.", regions),
				 errhint("%s", hint_for_act(gate, first))));
}

void
region_gate_check(const RegionGate *gate)
{
	if (gate->release > 0 && !gate->force)
		check_regions(gate);
}

/*-------------------------------------------------------------------------
 * The handshake.
 *-------------------------------------------------------------------------
 */

typedef struct Answers
{
	const RegionGate *gate;
	int64		seq;			/* of the own row, that they must have seen */
} Answers;

/*
 * A region that has contracted cannot abort what it has contracted, so nothing that it has
 * done meanwhile forbids a contract here.  It may be unable to answer: what it writes, and
 * only the new columns can hold, is not applied here before.
 */
static bool
need_not_answer(const Region *region, const RegionGate *gate)
{
	return gate->act == REGION_CONTRACT && region->doubt == NULL &&
		region->lowest >= Max(gate->release, gate->takes);
}

static char *
say_not_answered(const Region *region, void *arg)
{
	const Answers *answers = arg;

	return region->seen < answers->seq && !need_not_answer(region, answers->gate)
		? pstrdup("has not") : NULL;
}

static void
wait_for_answers(const RegionGate *gate, int64 seq)
{
	int64		end = clock_after_ms(setting_region_timeout * 1000L);
	Answers		answers = {gate, seq};
	const char *first;
	char	   *missing;

	while ((missing = region_list(say_not_answered, &answers, &first)) != NULL)
	{
		if (clock_now() >= end)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("%s was not answered by every region within %d s",
							name_of_act(gate), setting_region_timeout),
					 errdetail_internal("%s.", missing),
					 errhint("SELECT * FROM tandem.regions; shows what is wrong. A longer time is set with tandem.region_timeout. If region %s is no more, %s%s",
							 first, say_how_to_forget(first),
							 gate->act == REGION_SWITCH ? "." : "; force => true passes over it.")));
		interruptible_sleep(LOOK_EVERY_MS);
		pfree(missing);
	}
}

void
region_gate_announce(const RegionGate *gate)
{
	char	   *intent;
	int64		seq;

	if (gate->release == 0 || gate->force || region_others() == NIL)
		return;
	check_regions(gate);
	if (!region_lock_intent() || region_intends())
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("another session is about to switch to a release, to contract or to abort"),
				 errhint("Let it end, then call this again; SELECT * FROM tandem.regions; shows what it has announced.")));
	intent = region_intent(gate->act, gate->release, gate->name);
	beat_announce(gate->act, gate->release, gate->migration_id);
	seq = region_announced(intent);
	if (seq == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not tell the other regions what is about to be done"),
				 errhint("The server's log has the error of the background worker; then call it again.")));
	wait_for_answers(gate, seq);
	check_regions(gate);
}

void
region_gate_pass(const RegionGate *gate)
{
	region_gate_check(gate);
	region_act_done();
}

static char *
say_expanded(const Region *region, void *arg)
{
	return region->expanded >= *(int *) arg ? psprintf("has %s", region_release_shown(region->expanded)) : NULL;
}

static bool
release_was_aborted(int release)
{
	TandemQuery query;
	bool		aborted;

	query_begin(&query);
	query_int(&query, release);
	aborted = query_run(&query,
						"SELECT FROM tandem.migration WHERE release = $1 AND phase = 'aborted' LIMIT 1") > 0;
	query_end(&query);
	return aborted;
}

/* Whether it has been aborted there since is not known. */
void
region_gate_warn_of_kept(int release)
{
	const char *first;
	char	   *regions = release > 0 && release_was_aborted(release)
	? region_list(say_expanded, &release, &first) : NULL;

	if (regions)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("release %d was aborted here, and is expanded in another region",
						release),
				 errdetail("%s. If it has not been aborted there meanwhile, what only its columns say was not sent here, and the backfill makes something else of these rows.",
						   regions),
				 errhint("Abort it in all regions before one expands it again; or roll this back, and take another release.")));
}
