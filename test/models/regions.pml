/*
 * Regions: one is about to switch to a release, another to abort its migration.  Never do both act.
 *
 * Each region sends the others its row in the order of its changes.  What a region knows of another is as old as the
 * last row that has arrived.  Who acts holds the lock of the own row from his look to his commit,
 * and a beat commits under it, too.
 * src/region/gate.c, src/catalog/region_row.c.
 *
 * Region 1 may not have heard of region 0 yet when it begins: then it announces nothing.
 *
 * Broken on purpose: NO_ANSWERS, LOOK_BEFORE_ANSWERS, LOOK_BEFORE_LOCK, BEAT_WITHOUT_LOCK, CLEAR_LIVE_INTENT.
 */
#define REGIONS 2
#define BEATS 2
#define SWITCH 1
#define ABORT 2

typedef Row {
	byte seq;
	byte intent;		/* announced, and not done */
	byte acted;
	byte seen[REGIONS];	/* numbers of the others' rows that it has read */
}

typedef Known {
	Row about[REGIONS];
}

Row own[REGIONS];
Known known[REGIONS];	/* known[i].about[j]: what i knows of j */
bool locked[REGIONS];
bool acting[REGIONS];	/* holds the lock of its announcement */

typedef Wires {
	chan to[REGIONS] = [8] of { Row };
}
Wires wire[REGIONS];

inline lock(i)
{
	atomic { !locked[i] -> locked[i] = true }
}

/* commits the own row: the others get it in this order */
inline commit(i)
{
	d_step {
		own[i].seq++;
		k = 0;
		do
		:: k < REGIONS ->
			if
			:: k != i -> wire[i].to[k]!own[i]
			:: else
			fi;
			k++
		:: else -> break
		od
	}
}

#define opposed(what, theirs) ((theirs) != 0 && (theirs) != (what))

inline look(i, what)
{
	d_step {
		refused = false;
		k = 0;
		do
		:: k < REGIONS ->
			if
			:: k != i && (opposed(what, known[i].about[k].intent) || opposed(what, known[i].about[k].acted)) -> refused = true
			:: else
			fi;
			k++
		:: else -> break
		od
	}
}

/* has every other seen the announcement? */
#define answered(i, n) \
	((i == 0 || known[i].about[0].seen[i] >= n) && (i == 1 || known[i].about[1].seen[i] >= n))

proctype actor(byte i; byte what)
{
	byte k;
	byte announced;
	bool refused;

	acting[i] = true;
	if
	:: i == 1 && known[1].about[0].seq == 0 -> goto announced_or_alone
	:: else
	fi;
	/* in a transaction of its own */
	lock(i);
	own[i].intent = what;
	commit(i);
	announced = own[i].seq;
	locked[i] = false;
#ifdef LOOK_BEFORE_ANSWERS
	look(i, what);
#endif
#ifndef NO_ANSWERS
	if
	:: answered(i, announced)
	:: timeout -> goto given_up
	fi;
#endif
announced_or_alone:
#ifdef LOOK_BEFORE_LOCK
	look(i, what);
	lock(i);
#else
	lock(i);
#ifdef LOOK_BEFORE_ANSWERS
	if
	:: announced == 0 -> look(i, what)
	:: else
	fi;
#else
	look(i, what);
#endif
#endif
	if
	:: refused
	:: else -> own[i].acted = what
	fi;
	own[i].intent = 0;
	commit(i);
	locked[i] = false;
given_up:
	acting[i] = false
}

proctype beat(byte i)
{
	byte k;
	byte n = 0;
	byte seen[REGIONS];

	do
	:: n < BEATS ->
#ifndef BEAT_WITHOUT_LOCK
		lock(i);
#endif
		d_step {
			k = 0;
			do
			:: k < REGIONS -> seen[k] = known[i].about[k].seq; k++
			:: else -> break
			od
		}
		d_step {
			k = 0;
			do
			:: k < REGIONS -> own[i].seen[k] = seen[k]; k++
			:: else -> break
			od
		}
		/* nobody will act on what was announced */
#ifdef CLEAR_LIVE_INTENT
		own[i].intent = 0;
#else
		if
		:: !acting[i] -> own[i].intent = 0
		:: else
		fi;
#endif
		commit(i);
#ifndef BEAT_WITHOUT_LOCK
		locked[i] = false;
#endif
		n++
	:: n >= BEATS -> break
	:: break
	od
}

proctype apply(byte from; byte to)
{
	Row row;
	byte k;

end:
	do
	:: atomic {
		wire[from].to[to]?row ->
		known[to].about[from].seq = row.seq;
		known[to].about[from].intent = row.intent;
		known[to].about[from].acted = row.acted;
		k = 0;
		do
		:: k < REGIONS -> known[to].about[from].seen[k] = row.seen[k]; k++
		:: else -> break
		od
	}
	od
}

init {
	byte i;
	byte j;

	atomic {
		for (i : 0 .. REGIONS - 1) {
			for (j : 0 .. REGIONS - 1) {
				if
				:: i != j -> run apply(i, j)
				:: else
				fi
			}
			run beat(i)
		}
		run actor(0, SWITCH);
		run actor(1, ABORT)
	}
}

never {
	do
	:: own[0].acted != 0 && own[1].acted != 0 -> break
	:: else
	od
}
