/*
 * arrived_default.h
 *		Columns that a row from another server does not bring, and that get
 *		their default here.
 */
#ifndef TANDEM_ARRIVED_DEFAULT_H
#define TANDEM_ARRIVED_DEFAULT_H

#include "executor/executor.h"
#include "rule/relation_rules.h"

/*
 * Is that value of a row that has just been read from another server the one
 * that the computed default of the column has made for it?  No also where that
 * cannot be told.  Evaluates the default once more, in the per-tuple memory of
 * econtext, as the table's owner with search_path.
 */
extern bool arrived_default_is_value(Relation rel, const RuleColumn *column,
									 Datum value, bool isnull,
									 ExprContext *econtext,
									 const char *search_path);

#endif							/* TANDEM_ARRIVED_DEFAULT_H */
