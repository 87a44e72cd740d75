/*
 * The fill against writers, of one row.  The fill reads a version that is not filled, locks the row, reads it again, and
 * computes the new column from what it has read then.  A writer has the trigger compute the new column from what he writes,
 * in the version that he has locked; one of the new release writes that column, and the trigger the old one.  At the end
 * the new column is up of the old one, and the last that was written is there.  src/fill/batch.c, src/row/dual_write.c.
 *
 * Broken on purpose: FILL_WHAT_WAS_READ, FILL_WHAT_IS_FILLED, NO_LOCK, NO_TRIGGER.
 */
#define WRITERS 2
#define NONE 0
#define up(v) ((v) + 10)
#define down(v) ((v) - 10)

byte old = 1;
byte new = NONE;	/* not filled */
bool locked;
byte last = 1;		/* the old value that was committed last, of whichever side */
byte running = WRITERS + 1;

inline lock_row()
{
	atomic { !locked -> locked = true }
}

proctype writer(byte value)
{
	byte o;
	byte n;

	lock_row();
	o = old;
	n = new;
	if
	:: o = value;
#ifdef NO_TRIGGER
		skip
#else
		n = up(value)
#endif
	:: n = up(value);
		o = down(n)
	/* another column: the row is filled by the way, or stays as it is */
	:: skip
	fi;
	atomic {
		last = (o != old -> value : last);
		old = o;
		new = n;
		locked = false;
		running--
	}
}

proctype fill()
{
	byte o;
	byte n;

	/* by the scan's snapshot */
	atomic { o = old; n = new }
	if
	:: n != NONE -> goto done
	:: else
	fi;
#ifndef NO_LOCK
	lock_row();
#endif
#ifndef FILL_WHAT_WAS_READ
	o = old;
	n = new;
#endif
#ifndef FILL_WHAT_IS_FILLED
	if
	:: n == NONE -> n = up(o)
	:: else
	fi;
#else
	n = up(1);
#endif
	atomic { old = o; new = n }
#ifndef NO_LOCK
	locked = false;
#endif
done:
	running--
}

init {
	byte i;

	atomic {
		for (i : 1 .. WRITERS) {
			run writer(i + 1)
		}
		run fill()
	}
}

never {
	do
	:: running == 0 && (new != up(old) || old != last) -> break
	:: else
	od
}
