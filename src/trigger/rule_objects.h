/*
 * rule_objects.h
 *		The objects that rules use, and what of them they rely on.
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

typedef struct ObjectState
{
	ObjectAddress object;
	bool		exists;			/* all else is empty if not */
	char	   *schema;			/* NULL: it is in none */
	char	   *name;
	char	   *shape;			/* columns of a row, labels of an enum, or
								 * NULL */
	List	   *rights;			/* of the role, names of privileges */
	bool		granted;		/* to the role, not to PUBLIC alone */
} ObjectState;

/*
 * The states of the objects, a List of ObjectAddress *, in their order, with
 * the rights of a role: as they are now, or as they were before this
 * transaction changed any.  Read from the catalogs; no code of a user is run.
 */
extern List *object_states(List *objects, Oid role, bool before);

/* Whether a text that relies on the object reads it as before. */
extern bool object_state_equal(const ObjectState *a, const ObjectState *b);

/* A privilege that the role had before and has lost, or NULL. */
extern char *object_state_lost_right(const ObjectState *before,
									 const ObjectState *now);

extern bool object_state_has_right(const ObjectState *state, const char *right);

#endif							/* TANDEM_RULE_OBJECTS_H */
