/*
 * overload.h
 *		Functions and operators that take the place of those that rules use.
 */
#ifndef TANDEM_OVERLOAD_H
#define TANDEM_OVERLOAD_H

#include "nodes/pg_list.h"

#include "trigger/ddl_event.h"

/*
 * Returns the tables, as OIDs, whose sync trigger uses a function or operator
 * with the name and schema of one that the command has made or changed: the
 * text of a rule could mean the new one.
 */
extern List *overload_tables(const DdlEvent *event);

#endif							/* TANDEM_OVERLOAD_H */
