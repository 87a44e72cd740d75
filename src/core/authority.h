/*
 * authority.h
 *		Who may act, whose rights a piece of work has, and roles that are
 *		noted.
 */
#ifndef TANDEM_AUTHORITY_H
#define TANDEM_AUTHORITY_H

#include "access/tupdesc.h"
#include "utils/rel.h"

/*-------------------------------------------------------------------------
 * Who may act, and under whose rights and which search_path work runs.
 *
 * Who may act on a migration: see catalog/migration.h.
 *
 * A scope is left on success; on error the (sub)transaction abort restores
 * user, security context and settings by itself.
 *-------------------------------------------------------------------------
 */

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
 * As the owner of rel (see authority_table_owner) in a security-restricted
 * operation: to parse, plan or evaluate text that somebody stored.  search_path
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

/*
 * Text that was stored.
 *
 * What a caller says now runs as the caller.  What somebody stored (up and
 * down, CHECKs, index expressions, predicates, defaults) is parsed, planned and
 * run as the owner of the table, security-restricted, whoever calls.
 */

/* What our own statements, in which every name is qualified, are read under. */
#define AUTHORITY_PINNED_PATH "pg_catalog, pg_temp"

/*
 * The owner whose rights stored text of the table has; InvalidOid: it is gone.
 * For a partition that is the owner of the partitioned table at the top, where
 * the text was stored: who creates partitions may be a superuser.
 */
extern Oid	authority_table_owner(Oid relid);

/*
 * To run a statement that holds stored text of relid: as its owner, with the
 * pinned search_path, security-restricted, unless the session is that owner's
 * and has nothing else that the text could get at.  Errors: the table is gone;
 * it is a partition that is not the owner's.
 */
extern void authority_enter_stored(AuthorityScope *scope, Oid relid);

/* Errors: the table is gone, or a partition whose owner is another role. */
extern void authority_check_partition(Oid relid);

/*
 * First thing in a process that the server has let in as the bootstrap
 * superuser, for role cannot connect: from now on it is that role, and whatever
 * runs in a scope is security-restricted, for the session would give a text
 * more rights than the role has.
 */
extern void authority_borrow_session(Oid role);
extern bool authority_session_is_borrowed(void);

/* Whether the current user has the rights of the owner of this database. */
extern bool authority_owns_database(void);

extern Oid	authority_database_owner(void);

/* The owner of a table; InvalidOid: it is gone. */
extern Oid	authority_owner_of(Oid relid);

/*-------------------------------------------------------------------------
 * Roles that are noted in the tandem tables.
 *
 * They are of type tandem.role_reference: OID, name, and the cluster that the
 * OID is of.  A query that notes a role writes tandem.refer_to_role($n), one
 * that reads it tandem.role_of(column), and tandem.role_name(column) to show it.
 *-------------------------------------------------------------------------
 */

/*
 * The role that a value of type tandem.role_reference refers to; InvalidOid: it
 * is not there, or another one of that name.
 */
extern Oid	role_reference_of_value(Datum value);

/* Such a value, of a role that exists; desc is the row type's, blessed. */
extern Datum role_reference_value(Oid role, TupleDesc desc);

#endif							/* TANDEM_AUTHORITY_H */
