/*
 * sync.h
 *		Syncs, the columns they own, and partitions that have nothing to
 *		fill.
 */
#ifndef TANDEM_SYNC_H
#define TANDEM_SYNC_H

#include "nodes/pg_list.h"

typedef enum OnConflict
{
	ON_CONFLICT_ERROR,
	ON_CONFLICT_NEW,
	ON_CONFLICT_OLD
} OnConflict;

typedef struct SyncRule
{
	int			id;
	int			migration_id;
	char	   *migration;		/* name */
	int			release;		/* of the migration; 0: not given */
	Oid			relation;
	List	   *old_columns;	/* of char * */
	List	   *new_columns;
	List	   *up;				/* expressions, qualified, one a new column */
	List	   *down;			/* one an old column, NULL where it has none;
								 * NIL: one-way */
	List	   *up_given;		/* both as the user wrote them */
	List	   *down_given;
	OnConflict	on_conflict;
	bool		quarantine;		/* on_error => 'quarantine' */
	bool		keep_old;
	bool		stored;			/* false: the new columns are only in views */
	char	   *fill_marks;		/* files whose short rows are unfilled: see
								 * rule/fill_mark.h */
	bool		filled;			/* every row has been, once */
	char	   *search_path;	/* of the session that made the sync */
} SyncRule;

extern const char *on_conflict_name(OnConflict on_conflict);

/* Errors: not one of error, new, old. */
extern OnConflict on_conflict_from_name(const char *name);

/* Errors: not one of error, quarantine. */
extern bool quarantine_from_name(const char *on_error);

/* Adds the rule; sets its id. */
extern void sync_insert(SyncRule *rule);

/* The stored rules of live migrations on a relation, oldest first. */
extern List *sync_list_of_relation(Oid relid);

/* The stored rules of a migration; and all of them. */
extern List *sync_list_of_migration(int migration_id);
extern List *sync_list_recorded(int migration_id);

/*
 * The rules on a relation that are not stored and that the release sees: the
 * last of those that show one old column.
 */
extern List *sync_list_unstored(Oid relid, int release);

/* One stored rule, or NULL; *live tells whether its migration has not ended. */
extern SyncRule *sync_get(int id, bool *live);

/*
 * Sets the origin of a rule.  "" forgets it: writes may have passed by the
 * trigger, so that the length of a row does not tell any more that it is
 * filled.
 */
extern void sync_set_fill_marks(const SyncRule *rule, const char *fill_marks);

/*
 * Notes that every row has been filled.  It stays noted: what a partition that
 * is attached later brings is filled while the new columns are in use.
 */
extern void sync_note_filled(const SyncRule *rule);

/*
 * The relations of a migration: of its syncs, and those that it adds columns,
 * indexes or constraints to.
 */
extern List *sync_relations_of_migration(int migration_id);

/* The relations with a live rule. */
extern List *sync_relations_live(void);

/* Notes that the migration added the column, which is there; twice is once. */
extern void owned_column_add(int migration_id, Oid relid, const char *column);

/*
 * The type that a column of the migration was added with, as format_type has
 * it with its schema; NULL: it did not add such a column.
 */
extern char *owned_column_type(int migration_id, Oid relid,
							   const char *column);

/* A type as it is kept there. */
extern char *owned_column_type_text(Oid type, int32 typmod);

/* Names of the columns of relid that the migration added and are there. */
extern List *owned_column_list(int migration_id, Oid relid);

/*-------------------------------------------------------------------------
 * Rows of tandem.filled_leaf: partitions that were empty when they got the
 * trigger of a sync.
 *
 * Every row of such a partition was written under the trigger, so none is
 * unfilled, as long as it is this trigger that is in force.
 *-------------------------------------------------------------------------
 */

/*
 * Notes it of a rule.  place tells this database from any other that the OIDs
 * could come to: see fill_mark.h.  The caller has relid locked against writers.
 */
extern void filled_leaf_note(int sync_id, Oid relid, Oid trigger_oid,
							 const char *place);

/*
 * Whether it is noted, as of now.  For the trigger: without SQL and whatever
 * the rights of the current user.
 */
extern bool filled_leaf_is_noted(int sync_id, Oid relid, Oid trigger_oid,
								 const char *place);

/*
 * Forgets what is noted of a rule.  The caller changes the triggers in the same
 * transaction, which has every session look again.
 */
extern void filled_leaf_forget(int sync_id);

#endif							/* TANDEM_SYNC_H */
