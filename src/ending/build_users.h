/*
 * build_users.h
 *		What depends on the indexes and constraints that a migration has built.
 */
#ifndef TANDEM_BUILD_USERS_H
#define TANDEM_BUILD_USERS_H

#include "catalog/migration.h"

/*
 * Throws an error if something that abort does not drop depends on an index or
 * a constraint that it does drop: a foreign key to a unique one, a view that
 * groups by a primary key, a function with ON CONFLICT ON CONSTRAINT.
 */
extern void build_users_check(const Migration *migration);

#endif							/* TANDEM_BUILD_USERS_H */
