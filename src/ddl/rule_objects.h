/*
 * rule_objects.h
 *		What the rules of a sync trigger use, as pg_depend has it.
 */
#ifndef TANDEM_RULE_OBJECTS_H
#define TANDEM_RULE_OBJECTS_H

#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * Notes in pg_depend all that the rules of a trigger use and that can be
 * renamed, moved, changed or forbidden: columns, functions, operators, types
 * (and their elements and row types), collations, casts, what a constant of a
 * reg* type names, and the schemas of all these.  So the server refuses to drop
 * or retype them, and rule_objects_users finds the rules that DDL concerns.
 * Names are looked up with the rights of the current user; no code of a user is
 * run.
 */
extern void rule_objects_record(Relation rel, Oid trigger_oid, List *rules);

/* The objects of a trigger, a List of ObjectAddress *, those of its table too. */
extern List *rule_objects_of(Oid trigger_oid);

/* The same before this transaction, of the sync trigger of a table. */
extern List *rule_objects_before(Oid relid);

/*
 * The tables whose sync trigger uses the object, or with a relation one of its
 * columns: OIDs.  One look into an index of pg_depend.
 */
extern List *rule_objects_users(const ObjectAddress *object);

#endif							/* TANDEM_RULE_OBJECTS_H */
