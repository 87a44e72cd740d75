/*
 * role_reference.h
 *		Roles that are noted in the tandem tables.
 *
 * They are of type tandem.role_reference: OID, name, and the cluster that the
 * OID is of.  A query that notes a role writes tandem.refer_to_role($n), one
 * that reads it tandem.role_of(column), and tandem.role_name(column) to show it.
 */
#ifndef TANDEM_ROLE_REFERENCE_H
#define TANDEM_ROLE_REFERENCE_H

#include "access/tupdesc.h"

typedef struct RoleReference
{
	Oid			role;
	const char *name;			/* as it was when it was noted */
	const char *cluster;		/* as role_reference_cluster gives it */
} RoleReference;

/* The identifier of this cluster, palloc'd; pg_upgrade and a restore change it. */
extern char *role_reference_cluster(void);

/*
 * The role that is referred to: the one with that OID, if it was noted in this
 * cluster or still has the name.  So a role that was renamed keeps what it has,
 * and one that is given the name of another gets nothing.  Else InvalidOid.
 */
extern Oid	role_reference_resolve(const RoleReference *reference);

/* The same of a value of type tandem.role_reference. */
extern Oid	role_reference_of_value(Datum value);

/* Such a value, of a role that exists; desc is the row type's, blessed. */
extern Datum role_reference_value(Oid role, TupleDesc desc);

#endif							/* TANDEM_ROLE_REFERENCE_H */
