/*
 * authority.h
 *		Who may act, with whose rights work is done, and roles stored in
 *		tables.
 */
#ifndef TANDEM_AUTHORITY_H
#define TANDEM_AUTHORITY_H

#include "access/tupdesc.h"
#include "miscadmin.h"
#include "utils/rel.h"

/*-------------------------------------------------------------------------
 * Who may act, and the role and search_path with which work is done.
 *
 * For who may act on a migration, see catalog/migration_rights.h.
 *
 * A scope is left with authority_leave.  After an error the abort of the
 * (sub)transaction restores user, security context and settings.
 *-------------------------------------------------------------------------
 */

typedef struct AuthorityScope
{
	Oid			userid;			/* previous user */
	int			context;
	int			settings_level; /* GUC nest level */
} AuthorityScope;

/* Restores the user, security context and settings from before the scope. */
extern void authority_leave(AuthorityScope *scope);

/*
 * Enters a scope as the owner of the extension, with search_path pinned to
 * pg_catalog, to read and write the tandem tables.
 */
extern void authority_enter_extension(AuthorityScope *scope);

/*
 * Enters a scope as role, in a security-restricted operation.  If search_path
 * is NULL the one in force is kept, unless the current user lacks the rights of
 * the role: then it is pinned.  Otherwise the temporary schema is put last, so
 * that the session's temporary objects cannot replace what is used.
 */
extern void authority_enter_role(AuthorityScope *scope, Oid role,
								 const char *search_path);

/*
 * Enters a scope as the owner of rel (see authority_table_owner), in a
 * security-restricted operation, to parse, plan or evaluate stored text.
 * search_path is as for authority_enter_role.
 */
extern void authority_enter_owner(AuthorityScope *scope, Relation rel,
								  const char *search_path);

/* The part of authority_enter_evaluation that is about the search_path. */
extern void authority_enter_path(AuthorityScope *scope,
								 const char *search_path);

/*
 * For an expression that is evaluated for each row: enters a scope as role, in
 * a security-restricted operation.  search_path is NULL if the expression
 * calls only functions of the server that have no side effects and look no
 * names up; otherwise a path from authority_path_of_role.
 */
static inline void
authority_enter_evaluation(AuthorityScope *scope, Oid role,
						   const char *search_path)
{
	GetUserIdAndSecContext(&scope->userid, &scope->context);
	SetUserIdAndSecContext(role,
						   scope->context | SECURITY_RESTRICTED_OPERATION);
	scope->settings_level = 0;
	if (search_path)
		authority_enter_path(scope, search_path);
}

static inline void
authority_leave_evaluation(AuthorityScope *scope)
{
	if (scope->settings_level > 0)
		authority_leave(scope);
	else
		SetUserIdAndSecContext(scope->userid, scope->context);
}

/*
 * Returns the search_path as a scope of another role has it, palloc'd: with
 * the temporary schema last.
 */
extern char *authority_path_of_role(const char *search_path);

/*
 * The same as authority_enter_owner for a table that is not open.  Returns
 * false, without a scope, if
 * it was dropped.
 */
extern bool authority_enter_owner_of(AuthorityScope *scope, Oid relid);

/*
 * The same, with a search_path as for authority_enter_role, if the current user
 * lacks the rights of the table's owner.  Otherwise returns false, without a
 * scope.
 */
extern bool authority_enter_for(AuthorityScope *scope, Oid relid,
								const char *search_path);

/*
 * Enters a scope as the current user, with search_path pinned to pg_catalog.
 */
extern void authority_pin_search_path(AuthorityScope *scope);

/*
 * Within a scope: pins the settings that determine how SQL text is written and
 * read, so that all sessions write and read it alike.
 */
extern void authority_pin_text_forms(void);

/*
 * Within a scope: does the same, and pins the settings that determine how the
 * server deparses expressions of its catalogs, so that two such texts can be
 * compared.
 */
extern void authority_pin_catalog_forms(void);

/*
 * The settings of a caller that a statement of ours pins: search_path, and those
 * of authority_pin_text_forms.  Code of others that the statement calls by itself
 * gets them back.
 */
#define AUTHORITY_PINNED_SETTINGS 8

typedef struct CallerSettings
{
	char	   *values[AUTHORITY_PINNED_SETTINGS];
} CallerSettings;

/*
 * Notes them, palloc'd, before a scope for a statement as role is entered.  The
 * search_path of a caller who lacks the rights of role does not count: it is
 * pinned then.  With the rights of another role pg_temp is last in it.
 */
extern void authority_note_caller(CallerSettings *caller, Oid role);

/* Returns the search_path noted. */
static inline const char *
authority_callers_path(const CallerSettings *caller)
{
	return caller->values[0];
}

/*
 * Within a GUC nest level: sets them as they were noted, but for those that a
 * function sets itself: except has its settings, as "name=value".
 */
extern void authority_take_caller(const CallerSettings *caller, List *except);

/*
 * Within a scope: an index is created in the tablespace that its text names,
 * not in the user's default_tablespace.
 */
extern void authority_pin_tablespace(void);

/*
 * Within a scope: statements that are planned read tables through indexes where
 * they can.  Their plans are kept, also for a table that grows later.
 */
extern void authority_pin_index_scans(void);

/*
 * Has queries until the scope is left run without being compiled, which takes
 * longer than a query of many parts over few rows itself: the server goes by
 * its estimate, which grows with the catalogs.
 */
extern void authority_pin_uncompiled(void);

/*
 * Has queries until the scope is left begin with small hash tables: those of
 * WITH RECURSIVE are made, and cleared, for as many rows as work_mem takes.
 */
extern void authority_pin_small_tables(void);

/* Within a scope: lock_timeout is at most tandem.lock_timeout. */
extern void authority_pin_lock_timeout(void);

/*
 * Is the current user the role, or a member of it?  Being superuser does not
 * count.
 */
extern bool authority_is_granted(Oid role);

/*
 * Throws an error unless the current user has the rights of the table's owner.
 */
extern void authority_check_owner(Oid relid);

/*
 * Stored text.
 *
 * What a caller passes is run as the caller.  What was stored by a user before
 * (up and down, CHECKs, index expressions, predicates, defaults) is parsed,
 * planned and run as the table's owner, security-restricted, in every session.
 */

/* The search_path of our own statements, in which all names are qualified. */
#define AUTHORITY_PINNED_PATH "pg_catalog, pg_temp"

/*
 * Returns the role with whose rights stored text of the table is used, or
 * InvalidOid if the table was dropped.  For a partition this is the owner of
 * the topmost partitioned table, where the text was stored: the partition may
 * have been created by another role, perhaps a superuser.
 */
extern Oid	authority_table_owner(Oid relid);

/*
 * Enters a scope to run a statement that contains stored text of relid: as the
 * table's owner, with this search_path and security-restricted.  It is not
 * restricted if the session has only that owner's rights, so that the text
 * could gain nothing.  Errors: the table was dropped; it is a partition with
 * another owner.
 */
extern void authority_enter_stored(AuthorityScope *scope, Oid relid,
								   const char *search_path);

/*
 * Throws an error if the table was dropped, or is a partition with another
 * owner.
 */
extern void authority_check_partition(Oid relid);

/*
 * Switches to role for the rest of the process.  Call it first in a process
 * that has connected as the bootstrap superuser because role cannot connect.
 * From then on all scopes are security-restricted, since the session could
 * give a text more rights than the role has.  authority_session_is_borrowed
 * tells whether it was called.
 */
extern void authority_borrow_session(Oid role);
extern bool authority_session_is_borrowed(void);

/* Does the current user have the rights of the owner of this database? */
extern bool authority_owns_database(void);

/* Returns the owner of this database. */
extern Oid	authority_database_owner(void);

/* Returns the owner of a table, or InvalidOid if it was dropped. */
extern Oid	authority_owner_of(Oid relid);

/*-------------------------------------------------------------------------
 * References to roles in the tandem tables.
 *
 * They have the type tandem.role_reference: OID, name, and the cluster to
 * which the OID belongs.  A query stores a role with tandem.refer_to_role($n),
 * reads it with tandem.role_of(column), and displays it with
 * tandem.role_name(column).
 *-------------------------------------------------------------------------
 */

/*
 * Returns the role to which a value of type tandem.role_reference refers, or
 * InvalidOid if it does not exist or another role has its name.
 */
extern Oid	role_reference_of_value(Datum value);

/* Returns such a value for an existing role.  desc is the blessed row type. */
extern Datum role_reference_value(Oid role, TupleDesc desc);

#endif							/* TANDEM_AUTHORITY_H */
