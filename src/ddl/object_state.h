/*
 * object_state.h
 *		What of an object the text of a rule relies on.
 */
#ifndef TANDEM_OBJECT_STATE_H
#define TANDEM_OBJECT_STATE_H

#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"

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

#endif							/* TANDEM_OBJECT_STATE_H */
