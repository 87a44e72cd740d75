/*
 * Contract's fence: it retires the old release in the registry and commits, then looks for transactions of the old release,
 * waits for those, and drops the columns.  A session of the old release marks itself first, then looks at the registry.
 * So whoever has not seen the fence is seen by contract.  Never does an old transaction write after the drop.
 * src/release/README.md.
 *
 * Broken on purpose: LOOK_BEFORE_MARK, LOOK_BEFORE_FENCE, NO_WAIT.
 */
#define SESSIONS 2
#define TRANSACTIONS 2

bool fence;		/* committed */
bool marked[SESSIONS];	/* holds the mark of its transaction */
bool dropped;
bool late;		/* an old transaction has written without the columns */

proctype session(byte me)
{
	bool refused;
	byte n = 0;

	do
	:: n < TRANSACTIONS ->
#ifdef LOOK_BEFORE_MARK
		refused = fence;
		marked[me] = true;
#else
		marked[me] = true;
		refused = fence;
#endif
		if
		:: refused
		:: else ->
			/* two statements of one transaction */
			late = late || dropped;
			late = late || dropped
		fi;
		marked[me] = false;
		n++
	:: else -> break
	od
}

proctype contract()
{
	bool seen[SESSIONS];
	byte i;

#ifdef LOOK_BEFORE_FENCE
	for (i : 0 .. SESSIONS - 1) {
		seen[i] = marked[i]
	}
	fence = true;
#else
	fence = true;
	for (i : 0 .. SESSIONS - 1) {
		seen[i] = marked[i]
	}
#endif
#ifndef NO_WAIT
	for (i : 0 .. SESSIONS - 1) {
		if
		:: seen[i] -> !marked[i]
		:: else
		fi
	}
#endif
	dropped = true
}

init {
	byte i;

	atomic {
		for (i : 0 .. SESSIONS - 1) {
			run session(i)
		}
		run contract()
	}
}

never {
	do
	:: late -> break
	:: else
	od
}
