/*
 * authority.h
 *		Who may act, and under whose rights and which search_path work runs.
 *
 * Who may act on a migration: see catalog/migration.h.  Roles that are noted:
 * see role_reference.h.
 *
 * A scope is left on success; on error the (sub)transaction abort restores
 * user, security context and settings by itself.
 */
#ifndef TANDEM_AUTHORITY_H
#define TANDEM_AUTHORITY_H

#include "utils/rel.h"

typedef struct AuthorityScope
{
	Oid			userid;			/* to return to */
	int			context;
	int			settings_level; /* of the settings stack */
} AuthorityScope;

/*
 * As the owner of the extension, with search_path pinned to pg_catalog: to
 * read and write the tandem tables.
 */
extern void authority_enter_extension(AuthorityScope *scope);

/*
 * As any role, in a security-restricted operation.  search_path may be NULL,
 * which leaves the session's; else the temporary schema comes last in it,
 * whatever it says: what is run must not be told by the temporary objects of the
 * session.
 */
extern void authority_enter_role(AuthorityScope *scope, Oid role,
								 const char *search_path);

/*
 * As the owner of rel in a security-restricted operation: to evaluate the
 * expressions of a sync when it is not the writer who does so.  search_path
 * is as of authority_enter_role.
 */
extern void authority_enter_owner(AuthorityScope *scope, Relation rel,
								  const char *search_path);

/* The same of a table that is not open; false, and no scope: it is gone. */
extern bool authority_enter_owner_of(AuthorityScope *scope, Oid relid);

/*
 * The same where the current user may not act as the owner of the table; else
 * it returns false, and there is no scope.
 */
extern bool authority_enter_for(AuthorityScope *scope, Oid relid);

/* As the same user, with search_path pinned to pg_catalog. */
extern void authority_pin_search_path(AuthorityScope *scope);

/*
 * Within a scope: pins what else decides how SQL text is written and read, so
 * that one session reads what another has written.
 */
extern void authority_pin_text_forms(void);

/*
 * Within a scope: the same, and what else decides how the server writes the
 * expressions of its catalogs, so that two such texts can be compared.
 */
extern void authority_pin_catalog_forms(void);

/* Within a scope: an index goes where its text says, not where the user's
 * default_tablespace does. */
extern void authority_pin_tablespace(void);

/* Until authority_leave: FORCE ROW LEVEL SECURITY hides no row from the owner. */
extern void authority_see_all_rows(void);

extern void authority_leave(AuthorityScope *scope);

/* Errors unless the current user owns the table (or may act as its owner). */
extern void authority_check_owner(Oid relid);

/* Whether the current user has the rights of the owner of this database. */
extern bool authority_owns_database(void);

extern Oid	authority_database_owner(void);

/* The owner of a table; InvalidOid: it is gone. */
extern Oid	authority_owner_of(Oid relid);

extern bool authority_role_exists(Oid role);

#endif							/* TANDEM_AUTHORITY_H */
