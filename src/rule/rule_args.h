/*
 * rule_args.h
 *		The rules of a relation as the arguments of its sync trigger.
 *
 * The trigger carries its rules, so it needs no table and no right of the
 * writer on schema tandem, comes through dump and restore with the table, and
 * works where the subscriber of a replication has nothing but the trigger.
 */
#ifndef TANDEM_RULE_ARGS_H
#define TANDEM_RULE_ARGS_H

#include "nodes/pg_list.h"
#include "utils/reltrigger.h"

/* Sorts after every name that begins with an ASCII letter: fires last. */
#define SYNC_TRIGGER_NAME "~tandem_sync"

/* The arguments, C strings, for rules in the order given. */
extern List *rule_args_encode(List *rules);

/*
 * The rules in a trigger's arguments, palloc'd; fields that the trigger does
 * not need (migration_id, relation, keep_old) are empty.
 * Errors: arguments not written by rule_args_encode.
 */
extern List *rule_args_decode(const Trigger *trigger);

#endif							/* TANDEM_RULE_ARGS_H */
