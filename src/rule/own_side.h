/*
 * own_side.h
 *		Which side of each rule a release means.
 */
#ifndef TANDEM_OWN_SIDE_H
#define TANDEM_OWN_SIDE_H

#include "rule/relation_rules.h"

/*
 * Settles which side of each rule a writer of that release means, 0 for one
 * that has declared none.  Done when the release differs from the one before.
 */
extern void relation_rules_settle(RelationRules *rules, int release);

#endif							/* TANDEM_OWN_SIDE_H */
