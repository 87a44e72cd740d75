/*
 * changed_use.h
 *		DDL that changes what the rules of open migrations use.
 */
#ifndef TANDEM_CHANGED_USE_H
#define TANDEM_CHANGED_USE_H

#include "trigger/ddl_event.h"

/*
 * Records, for the proofs of verify, that the command has changed a function,
 * type, operator, cast, collation or text search object on which rules depend,
 * also through others.  Not for a change of a table, whose columns rules name.
 */
extern void changed_use_check(const DdlEvent *event);

#endif							/* TANDEM_CHANGED_USE_H */
