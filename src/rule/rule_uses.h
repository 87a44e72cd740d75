/*
 * rule_uses.h
 *		What the result of a rule depends on besides its text.
 */
#ifndef TANDEM_RULE_USES_H
#define TANDEM_RULE_USES_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "catalog/sync.h"

/*
 * Returns a fingerprint of all that the values of up and down of the rules (of
 * SyncRule) depend on and that can be changed without changing the text of a
 * rule: functions, those behind operators, casts and types, which functions the
 * texts mean, casts that are looked up by type when they run, CHECKs of domains,
 * labels of enums, columns of row types (of the table itself where its whole row
 * is read), text search objects, collations and their versions; see
 * tandem._fingerprint.  With only_down it leaves out up.  palloc'd.  It has no
 * OIDs, so it survives dump and restore.  What the body of a function written as
 * a string uses is not in it.  rel is the table of the rules.  Runs no code of a
 * user.  Errors: a rule can no longer be parsed.
 */
extern char *rule_uses(Relation rel, List *rules, bool only_down);

/*
 * The same of the rules that a migration has on relid or, for a partition, on
 * the table at its top; with what the guard has seen change meanwhile, also if
 * it was changed back.  NULL if that cannot be found out now: the table is
 * locked or gone, or a rule can no longer be parsed, which sync_problem tells.
 */
extern char *rule_uses_of_table(Oid relid, int migration_id);

/* What it has returned last, to be asked about many partitions of one table. */
typedef struct KnownUses
{
	MemoryContext context;		/* of uses */
	int64		found_at;		/* 0: it has not been asked yet */
	Oid			root;
	int			migration_id;
	char	   *uses;
} KnownUses;

/* Begins with nothing known; what will be is kept in the current context. */
extern void known_uses_init(KnownUses *known);

/*
 * The same as rule_uses_of_table, as it was at most twice for_ms ago.  The result
 * is known's: it lives until the next call.
 */
extern const char *known_uses_of_table(KnownUses *known, Oid relid,
									   int migration_id, int for_ms);

/*
 * For how long a run believes what it knows: who relies on a proof in the end
 * looks again.
 */
#define KNOWN_USES_FOR_MS 1000

/*
 * Forgets what was found before, within whatever time: call it where a run
 * begins and where it ends.
 */
extern void rule_uses_look_again(void);

/*
 * The same of the rule of one derived column, to be kept in rule->uses.  Without
 * with_changes it is what is there alone, so that all that the guard has seen
 * counts as changed since.  What is there may be as it was for_ms ago.
 */
extern char *rule_uses_of_derived(const SyncRule *rule, bool with_changes,
								  int for_ms);

/*
 * May rows of the derived column have what a former up gave?  Compares with
 * rule->uses; what cannot be found out now has not changed.
 */
extern bool rule_uses_of_derived_changed(const SyncRule *rule);

/* The same of what is there alone, whatever has changed and is as it was. */
extern bool rule_uses_definition_changed(const char *was, const char *is);

/* Has the guard seen anything change, by what rule_uses_of_table has returned? */
extern bool rule_uses_note_change(const char *uses);

/*
 * Has what a proof depended on been changed since?  was and is are fingerprints
 * of then and now; an unknown one of now has not changed.
 */
extern bool rule_uses_changed(const char *was, const char *is);

#endif							/* TANDEM_RULE_USES_H */
