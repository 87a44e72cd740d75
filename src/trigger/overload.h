/*
 * overload.h
 *		DDL that gives the text of a rule another meaning.
 */
#ifndef TANDEM_OVERLOAD_H
#define TANDEM_OVERLOAD_H

#include "nodes/pg_list.h"

#include "trigger/ddl_event.h"

/*
 * Returns the tables, as OIDs, of whose rules the text could mean what the
 * command has made or changed: those that use a function or operator of its
 * name and schema; for a type, a function of its name; for a cast or a default
 * operator class, one of its types; for an operator family, that family.
 */
extern List *overload_tables(const DdlEvent *event);

#endif							/* TANDEM_OVERLOAD_H */
