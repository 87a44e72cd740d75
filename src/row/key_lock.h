/*
 * key_lock.h
 *		One writer of a key at a time, while unique indexes hold the key in two
 *		forms.
 */
#ifndef TANDEM_KEY_LOCK_H
#define TANDEM_KEY_LOCK_H

#include "access/htup.h"

#include "row/row_state.h"

/* The part of key_lock_take for a table that may have such keys. */
extern void key_lock_take_twins(RowState *state, HeapTuple tuple,
								TupleTableSlot *before);

/*
 * Call for each row that is to be stored, as the last thing before it is: tuple
 * is the row, both sides of each rule computed, before the old row of an
 * UPDATE, or NULL for an INSERT.  Waits for transactions that are writing the
 * keys of the row, as the server's own check would; then keeps other writers of
 * these keys out until the next row of the statement, or its last is stored.  Does nothing
 * for keys that no second unique index of the table holds (twin_keys.h), and
 * for those that an UPDATE leaves alone.
 */
static inline void
key_lock_take(RowState *state, HeapTuple tuple, TupleTableSlot *before)
{
	if (!state->table->twin_keys_known || state->table->twin_keys != NIL)
		key_lock_take_twins(state, tuple, before);
}

/* Installs a hook; called once, when the library is loaded. */
extern void key_lock_init(void);

#endif							/* TANDEM_KEY_LOCK_H */
