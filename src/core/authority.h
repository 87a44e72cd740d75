/*
 * authority.h
 *		Under whose rights and which search_path a piece of work runs.
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
 * As the owner of rel in a security-restricted operation: to evaluate the
 * expressions of a sync when it is not the writer who does so.  search_path
 * may be NULL, which leaves the session's.
 */
extern void authority_enter_owner(AuthorityScope *scope, Relation rel,
								  const char *search_path);

/* The same of a table that is not open; false, and no scope: it is gone. */
extern bool authority_enter_owner_of(AuthorityScope *scope, Oid relid);

/* As a role in a security-restricted operation, with the session's search_path. */
extern void authority_enter_role(AuthorityScope *scope, Oid role);

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

/* Within a scope: no wait for a lock lasts longer than tandem.lock_timeout. */
extern void authority_pin_lock_timeout(void);

/* Until authority_leave: FORCE ROW LEVEL SECURITY hides no row from the owner. */
extern void authority_see_all_rows(void);

extern void authority_leave(AuthorityScope *scope);

/*
 * Whether the role is the current user or has been granted to it: being
 * superuser is no grant.
 */
extern bool authority_is_granted(Oid role);

/* Errors unless the current user owns the table (or may act as its owner). */
extern void authority_check_owner(Oid relid);

#endif							/* TANDEM_AUTHORITY_H */
