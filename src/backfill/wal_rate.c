/*
 * wal_rate.c
 *		How fast the server writes WAL, against tandem.max_wal_rate.
 *
 * Two measures, of which the larger counts.  All WAL of the last second tells
 * of what everybody writes.  The WAL of our last batch over the time since it
 * began keeps the average where one batch writes more than a second's worth.
 * Each falls by itself while the fill holds.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "utils/builtins.h"

#include "backfill/wal_rate.h"
#include "core/settings.h"

#define WINDOW 1.0				/* s */
#define SAMPLES 16
#define SAMPLE_INTERVAL 0.1		/* s; SAMPLES of them exceed the window */

typedef struct WalSample
{
	double		at;
	XLogRecPtr	position;
} WalSample;

static WalSample samples[SAMPLES];	/* a ring */
static int	taken = 0;			/* ever; the next goes to taken % SAMPLES */
static WalSample batch_start;
static uint64 batch_bytes = 0;

/* Newest first. */
static WalSample *
sample(int back)
{
	return &samples[(taken - 1 - back) % SAMPLES];
}

static void
take_sample(double now, XLogRecPtr position)
{
	if (taken > 0 && now - sample(0)->at < SAMPLE_INTERVAL)
		return;
	/* keeps the count small, and its remainder */
	if (taken == 2 * SAMPLES)
		taken = SAMPLES;
	samples[taken % SAMPLES].at = now;
	samples[taken % SAMPLES].position = position;
	taken++;
}

/* Bytes per second since the newest sample that is as old as the window. */
static double
rate_of_server(double now, XLogRecPtr position)
{
	int			back = 0;

	while (back + 1 < Min(taken, SAMPLES) && now - sample(back)->at < WINDOW)
		back++;
	return (position - sample(back)->position) /
		Max(now - sample(back)->at, WINDOW);
}

static double
rate_of_batch(double now)
{
	return batch_bytes / Max(now - batch_start.at, 0.001);
}

void
wal_rate_batch_starts(double now)
{
	batch_bytes = 0;
	batch_start.at = now;
	batch_start.position = InvalidXLogRecPtr;
	if (setting_max_wal_rate > 0 && !RecoveryInProgress())
		batch_start.position = GetXLogInsertRecPtr();
}

void
wal_rate_batch_ends(void)
{
	if (!XLogRecPtrIsInvalid(batch_start.position))
		batch_bytes = GetXLogInsertRecPtr() - batch_start.position;
	batch_start.position = InvalidXLogRecPtr;
}

char *
wal_rate_reason(double now)
{
	XLogRecPtr	position;
	double		rate;

	if (setting_max_wal_rate == 0 || RecoveryInProgress())
	{
		taken = 0;
		return NULL;
	}
	position = GetXLogInsertRecPtr();
	take_sample(now, position);
	rate = Max(rate_of_server(now, position), rate_of_batch(now));
	if (rate <= setting_max_wal_rate * 1024.0)
		return NULL;
	return psprintf("%s of WAL are written per second (%s)",
					text_to_cstring(DatumGetTextPP(DirectFunctionCall1(pg_size_pretty,
																	   Int64GetDatum((int64) rate)))),
					settings_show("tandem.max_wal_rate"));
}
