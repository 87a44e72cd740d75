/*
 * rule_cache.h
 *		The compiled rules that a session keeps, by relation, trigger and user.
 */
#ifndef TANDEM_RULE_CACHE_H
#define TANDEM_RULE_CACHE_H

#include "sync/relation_rules.h"

/*
 * The compiled rules of rel, as of relation_rules_compile, whose errors it has.
 * The caller keeps a lock on rel, and them until relation_rules_release.
 */
extern RelationRules *relation_rules_get(Relation rel, const Trigger *trigger);
extern void relation_rules_release(RelationRules *rules);

#endif							/* TANDEM_RULE_CACHE_H */
