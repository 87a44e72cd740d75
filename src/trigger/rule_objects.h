/*
 * rule_objects.h
 *		The objects that rules use, and the properties that they rely on.
 */
#ifndef TANDEM_RULE_OBJECTS_H
#define TANDEM_RULE_OBJECTS_H

#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * Records in pg_depend all objects used by the rules of a trigger that can be
 * renamed, moved, altered or revoked: columns, functions, operators, types
 * (and their elements and row types), collations, casts, objects named by
 * constants of reg* types, the schemas of all that is named, the types of all
 * parts of an expression, and the table itself where its whole row is read.  So the server
 * refuses to drop or retype them, and rule_objects_users finds the rules
 * affected by a command.  Names are looked up with the rights of the current
 * user; no user-defined code is run.
 */
extern void rule_objects_record(Relation rel, Oid trigger_oid, List *rules);

/*
 * Returns the relation of a row type, also of one below arrays, domains and
 * ranges; InvalidOid for other types.  A rule that uses the type is found by
 * it.
 */
extern Oid	rule_objects_row_type(Oid type);

/*
 * Returns the objects of a trigger, including those of its table, as a list of
 * ObjectAddress *.
 */
extern List *rule_objects_of(Oid trigger_oid);

/* Returns the same for the sync trigger of a table before this transaction. */
extern List *rule_objects_before(Oid relid);

/*
 * Returns the OIDs of tables whose sync trigger uses the object or, for a
 * relation, one of its columns.  One index lookup in pg_depend.
 */
extern List *rule_objects_users(const ObjectAddress *object);

typedef struct ObjectState
{
	ObjectAddress object;
	bool		exists;			/* all other fields are empty if not */
	char	   *schema;			/* NULL if it has none */
	char	   *name;
	char	   *shape;			/* columns of a row type, labels of an enum,
								 * or NULL */
	List	   *rights;			/* names of the role's privileges */
	bool		granted;		/* to the role, not just to PUBLIC */
} ObjectState;

/*
 * Returns the states of the objects (a list of ObjectAddress *) in their
 * order, with the rights of a role: now or, with before, before this
 * transaction changed any.  Reads catalogs only; no user-defined code is run.
 */
extern List *object_states(List *objects, Oid role, bool before);

/* Does a text that uses the object mean the same in both states? */
extern bool object_state_equal(const ObjectState *a, const ObjectState *b);

/* Returns a privilege that the role had before and has lost, or NULL. */
extern char *object_state_lost_right(const ObjectState *before,
									 const ObjectState *now);

/* Does the role have this privilege on the object, in this state? */
extern bool object_state_has_right(const ObjectState *state, const char *right);

#endif							/* TANDEM_RULE_OBJECTS_H */
