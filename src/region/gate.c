/*
 * gate.c
 *		What waits for other regions: the switch to a release, contract and
 *		abort.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "core/clock.h"
#include "core/lock.h"
#include "core/settings.h"
#include "region/gate.h"
#include "run/beat.h"

#define LOOK_EVERY_MS 20

/*-------------------------------------------------------------------------
 * What another region must be.
 *-------------------------------------------------------------------------
 */

static const char *
release_shown(int release)
{
	return release > 0 ? psprintf("release %d", release) : "no release";
}

/* Returns why the act cannot be done, palloc'd, or NULL. */
static char *
reason_of_region(const RegionGate *gate, const Region *region)
{
	bool		opposed = region->intent && (gate->act == REGION_ABORT
											 ? !region->intends_abort && region->intent_release >= gate->release
											 : region->intends_abort && region->intent_release <= gate->release);

	if (region->doubt)
		return psprintf("%s", region->doubt);
	if (opposed)
		return psprintf("is about to %s", region->intent);
	if (gate->act == REGION_ABORT)
	{
		if (region->current >= gate->release)
			return psprintf("has switched to release %d", region->current);
		if (region->lowest >= gate->release)
			return psprintf("has contracted up to release %d", region->lowest);
		return NULL;
	}
	if (region->expanded < gate->release)
		return psprintf("has %s", release_shown(region->expanded));
	if (gate->everywhere && region->current < gate->release)
		return psprintf("has switched to %s, and a value of the new columns cannot be written back there",
						release_shown(region->current));
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
			return psprintf("contract of migration \"%s\"", gate->migration->name);
		case REGION_ABORT:
			return psprintf("abort of migration \"%s\"", gate->migration->name);
	}
	return NULL;				/* keep the compiler quiet */
}

static const char *
hint_for_act(const RegionGate *gate, const char *region)
{
	char	   *leave = psprintf("or, if region %s is no more, drop its subscription and run SELECT tandem.leave_region(%s); then call it again",
								 region, quote_literal_cstr(region));

	switch (gate->act)
	{
		case REGION_SWITCH:
			return psprintf("Expand up to release %d there, and call tandem.migrate; %s.", gate->release, leave);
		case REGION_CONTRACT:
			return psprintf("%s; %s. force => true passes over it.",
							gate->everywhere ? psprintf("Run SELECT tandem.switch_release(%d); there", gate->release)
							: psprintf("Expand up to release %d there, and call tandem.migrate", gate->release), leave);
		case REGION_ABORT:
			return psprintf("Where a region has switched, go on to contract; %s. force => true passes over it.", leave);
	}
	return NULL;				/* keep the compiler quiet */
}

static void
check_regions(const RegionGate *gate)
{
	StringInfoData text;
	const char *first = NULL;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, region_others())
	{
		Region	   *region = lfirst(lc);
		char	   *reason = reason_of_region(gate, region);

		if (reason == NULL)
			continue;
		if (first == NULL)
			first = region->name;
		appendStringInfo(&text, "%sregion %s %s (heard of %s ago)",
						 text.len ? "; " : "", region->name, reason, region->heard);
	}
	if (first)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s waits for another region", name_of_act(gate)),
				 errdetail_internal("%s.", text.data),
				 errhint("%s", hint_for_act(gate, first))));
}

/*-------------------------------------------------------------------------
 * The handshake.
 *-------------------------------------------------------------------------
 */

/* Returns the names of the regions that have not seen so much, or NULL. */
static char *
regions_not_answering(int64 seq)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, region_others())
	{
		Region	   *region = lfirst(lc);

		if (region->seen < seq)
			appendStringInfo(&text, "%sregion %s (heard of %s ago)",
							 text.len ? ", " : "", region->name, region->heard);
	}
	return text.len ? text.data : NULL;
}

static void
wait_for_answers(const RegionGate *gate, int64 seq)
{
	int64		end = clock_after_ms(setting_region_timeout * 1000L);
	char	   *missing;

	while ((missing = regions_not_answering(seq)) != NULL)
	{
		if (clock_now() >= end)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("%s was not answered by every region within %d s",
							name_of_act(gate), setting_region_timeout),
					 errdetail_internal("Not by: %s.", missing),
					 errhint("SELECT * FROM tandem.regions; shows what is wrong. A longer time is set with tandem.region_timeout.")));
		interruptible_sleep(LOOK_EVERY_MS);
		pfree(missing);
	}
}

void
region_gate_announce(const RegionGate *gate)
{
	char	   *intent;

	if (gate->release == 0 || gate->force || region_others() == NIL)
		return;
	check_regions(gate);
	if (!region_lock_intent() || region_intends())
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("another session is about to switch to a release, to contract or to abort"),
				 errhint("Let it end, then call this again; SELECT * FROM tandem.regions; shows what it has announced.")));
	beat_announce(gate->act, gate->release, gate->migration);
	intent = region_intent(gate->act, gate->release,
						   gate->migration ? gate->migration->name : "");
	wait_for_answers(gate, region_announced(intent));
	check_regions(gate);
}

void
region_gate_pass(const RegionGate *gate)
{
	if (gate->release > 0 && !gate->force)
		check_regions(gate);
	region_act_done();
}
