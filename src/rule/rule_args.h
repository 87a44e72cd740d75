/*
 * rule_args.h
 *		The rules of a relation as the arguments of its sync trigger.
 *
 * Since the trigger carries its rules, it reads no table, and writers need no
 * rights on schema tandem.  The rules pass through dump and restore with the
 * table, and work on a subscriber that has nothing but the trigger.
 */
#ifndef TANDEM_RULE_ARGS_H
#define TANDEM_RULE_ARGS_H

#include "nodes/pg_list.h"
#include "utils/reltrigger.h"

/*
 * Triggers fire in the order of their names, and this one is to fire last: it
 * sorts after every name that begins with an ASCII letter.
 */
#define SYNC_TRIGGER_NAME "~tandem_sync"

/* This one fires first, on tables with BEFORE triggers of their own. */
#define FIRST_TRIGGER_NAME "!tandem_sync"

/* Returns the trigger arguments, C strings, for a list of SyncRule. */
extern List *rule_args_encode(List *rules);

/*
 * Returns the rules in a trigger's arguments, a list of SyncRule, palloc'd.
 * Fields that the trigger does not need (migration_id, relation) are not set.
 * Errors: the arguments were not written by rule_args_encode.
 */
extern List *rule_args_decode(const Trigger *trigger);

#endif							/* TANDEM_RULE_ARGS_H */
