/*
 * rule_compile.h
 *		Parses and plans the rules of a table.
 */
#ifndef TANDEM_RULE_COMPILE_H
#define TANDEM_RULE_COMPILE_H

#include "rule/relation_rules.h"

/*
 * Compiles the rules of rel from its sync trigger, which must not be the
 * relcache's own: pass a copy, or that of a trigger call.  The rules are
 * parsed and planned as the table's owner in a security-restricted context.
 * They are returned in their own memory context below CacheMemoryContext.  The
 * caller holds a lock on rel.  Errors: those of expression_parse; a column of
 * a rule does not exist; rel is a partition and the trigger was not created on
 * its partitioned table.
 *
 * Until complete, the rules belong to the caller's context: the error message
 * may refer to text in them, which must outlive the error.
 */
extern RelationRules *relation_rules_compile(Relation rel,
											 const Trigger *trigger);

/* Frees rules that no table has. */
extern void relation_rules_free(RelationRules *rules);

/* Are all functions that the planned expressions use unchanged? */
extern bool relation_rules_are_valid(const RelationRules *rules);

/*
 * Returns the topmost table of rel, with what is recorded of the calls of its
 * rules.  Errors: rel is a partition and the trigger was not created there.
 */
extern Oid	relation_rules_root(Relation rel, const Trigger *trigger,
								bool *recorded, RecordedCalls *calls);

/*
 * Would the compilation of the rules of rel give the same, as far as rel and
 * its trigger tell?  Looks nothing up.
 */
extern bool relation_rules_fit(const RelationRules *rules, Relation rel,
							   const Trigger *trigger);

/*
 * Returns the default of a column, as a Const if it is constant, or NULL if it
 * has none, in the current memory context.  Planning it runs immutable
 * functions, so the caller must have entered the owner's authority scope.
 */
extern Node *relation_rules_default(Relation rel, AttrNumber attnum);

/*
 * The same within a scope of its own, with that search_path.  Returns NULL
 * also if the default is not planned: the owner of a partition has set it, and
 * it may call functions of users.
 */
extern Node *relation_rules_default_as_owner(Relation rel, AttrNumber attnum,
											 const char *search_path);

/*
 * Parses the stored expression of a rule as the owner of rel.  label is "up" or
 * "down"; rules are those of the table, which settle what the rule sees of the
 * whole row (whole_row.h).
 */
extern Node *relation_rules_parse(const char *text, Relation rel,
								  AttrNumber target, const char *label,
								  const SyncRule *rule, List *rules);

/*
 * The same for a rule that the sync trigger of rel has.  Another error: it
 * would call a function that was created since it was stored.
 */
extern Node *relation_rules_parse_in_force(const char *text, Relation rel,
										   AttrNumber target,
										   const char *label,
										   const SyncRule *rule, List *rules);

/*
 * Is a parsed expression of a rule NULL for every row, as the planner finds out
 * with search_path as the owner of rel?
 */
extern bool relation_rules_is_null(Node *expression, Relation rel,
								   const char *search_path);

#endif							/* TANDEM_RULE_COMPILE_H */
