/*
 * operation.h
 *		tandem.operation: tables that a migration adds, renames or drops, and what
 *		contract does besides dropping columns.
 */
#ifndef TANDEM_OPERATION_H
#define TANDEM_OPERATION_H

#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

typedef enum OperationKind
{
	OPERATION_ADD_TABLE,
	OPERATION_RENAME_TABLE,
	OPERATION_DROP_TABLE,
	OPERATION_DROP_INDEX,
	OPERATION_RENAME_CONSTRAINT,
	OPERATION_STATEMENT,
	OPERATION_CARRY,			/* an index, constraint or statistics built
								 * for a changed column, which takes the name
								 * new_name */
	OPERATION_LEAVE,			/* one that is not */
	OPERATION_UNDECIDED,		/* one of which the user has not said whether
								 * it is to be carried over */
	OPERATION_SEQUENCE			/* one that migrate has given another type;
								 * given: which it had */
} OperationKind;

/* Returns the name of a kind as stored in tandem.operation, a constant. */
extern const char *operation_kind_name(OperationKind kind);

typedef struct Operation
{
	int			id;
	int			migration_id;
	char	   *migration;		/* its name */
	OperationKind kind;
	Oid			relation;
	char	   *given;			/* it, or the index, as the user wrote it */
	char	   *object;			/* name of the index or constraint, or NULL */
	char	   *new_name;		/* or NULL */
	char	   *statement;		/* as the user wrote it, or NULL */
	Oid			owner;			/* of the table when it was called; InvalidOid
								 * if that role is gone */
	char	   *owner_name;
	char	   *search_path;	/* of the session that called it */
	bool		done;			/* contract has done it */
} Operation;

/* Adds it, with the owner that the table has now; sets its id. */
extern void operation_insert(Operation *operation);

/* Records that the owner of the table has called it, too. */
extern void operation_note_owner(const Operation *operation, Oid owner);

/*
 * Records what the object of this name, of its table, is now, from which another was carried
 * over: tandem._carried tells what has become of it since.
 */
extern void operation_note_source(const Operation *operation, const char *source);

/* Records that contract has done it. */
extern void operation_note_done(const Operation *operation);

/* Deletes it. */
extern void operation_delete(const Operation *operation);

/* Records that earlier releases' new names of the table have been passed over. */
extern void operation_note_overtaken(const Operation *operation, int release);

/* Returns those of a migration, in the order of the calls. */
extern List *operation_list(int migration_id);

/* The same of one kind, of tables that are there. */
extern List *operation_list_of_kind(int migration_id, OperationKind kind);

/* Returns those of a table, of all open migrations of a release, in the order of the calls. */
extern List *operation_list_of_table(Oid relid, int release);

/* Returns those of one kind of all open migrations before a release, in the order of the calls. */
extern List *operation_list_before(int release, OperationKind kind);

/* Returns the statements that contract of open migrations is to run, of char *. */
extern List *operation_open_statements(void);

/* Returns the tables of operation_list_of_kind, as OIDs. */
extern List *operation_tables(int migration_id, OperationKind kind);

/*
 * Does an open migration rename or drop the table, or one above it?
 */
extern bool operation_watches_table(Oid relid);

/*
 * Returns the migration that has added the table for a later release, or drops it
 * for this one or an earlier one: the release does not see it; palloc'd.  NULL: it
 * does.
 */
extern char *operation_hides_table(int release, Oid relid);

/* Returns the name that the release sees of a table that is there, palloc'd. */
extern char *operation_table_name(int release, Oid relid);

/*
 * Returns the table that the release sees under a name that an open migration, or
 * tandem.take_names, is still to give it; InvalidOid if there is none.
 */
extern Oid	operation_table_shown(const RangeVar *name, int release);

/*
 * Returns the table that has, or will have, another name than the one by which a
 * script knows it: that of a migration, which may be run again after contract, or with
 * migration NULL one that makes views of the release.  InvalidOid: the name means what
 * it says.
 */
extern Oid	operation_table_called(const RangeVar *name, const char *migration,
								   int release);

#endif							/* TANDEM_OPERATION_H */
