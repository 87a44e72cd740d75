/*
 * sync.h
 *		Syncs, the columns they own, and which of their rows are unfilled.
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

/* Of a changed column: what becomes of those who use the table itself? */
typedef enum OnTable
{
	ON_TABLE_ALIKE,				/* both types hold the same values alike */
	ON_TABLE_VIEWS,				/* the releases are to use their views */
	ON_TABLE_BARE				/* the user knows who does */
} OnTable;

typedef struct SyncRule
{
	int			id;
	int			migration_id;
	char	   *migration;		/* name */
	int			release;		/* of the migration; 0 if not given */
	Oid			relation;
	List	   *old_columns;	/* of char *; NIL for a derived column */
	List	   *new_columns;	/* NIL for a column that contract drops or
								 * renames */
	char	   *new_name;		/* what contract renames the column to, see
								 * rule_renamed_column; NULL: none */
	OnTable		on_table;		/* only if rule_changes_column */
	bool		one_default;	/* an INSERT that says nothing of either
								 * column gives both the default of the old
								 * one */
	List	   *up;				/* expressions, qualified, one per new column */
	List	   *down;			/* one per old column, NULL if none; NIL if
								 * one-way */
	List	   *up_given;		/* both as given by the user */
	List	   *down_given;
	OnConflict	on_conflict;
	bool		quarantine;		/* on_error => 'quarantine' */
	bool		keep_old;
	bool		stored;			/* false if the new columns exist only in
								 * views */
	bool		filled;			/* all rows have been filled once */
	char	   *search_path;	/* of the session that created the sync */
	char	   *uses;			/* what down used at expand; of a derived
								 * column, what up used when rows were filled
								 * first, see rule/rule_uses.h; NULL if not
								 * known */
} SyncRule;

/*
 * Is it the rule of a derived column?  It has no old side: up reads columns
 * that stay, and the new column may have another value.
 */
static inline bool
rule_is_derived(const SyncRule *rule)
{
	return rule->old_columns == NIL;
}

/*
 * Has it a new side?  If not, contract drops its old column, or renames it: there
 * is nothing to fill or to verify.
 */
static inline bool
rule_has_new_side(const SyncRule *rule)
{
	return rule->new_columns != NIL;
}

static inline bool
rule_drops_column(const SyncRule *rule)
{
	return !rule_has_new_side(rule) && rule->new_name == NULL;
}

/* Has it a new column that takes the place of the old one, under its name? */
static inline bool
rule_changes_column(const SyncRule *rule)
{
	return rule_has_new_side(rule) && rule->new_name != NULL;
}

/* Returns the column that contract gives the name new_name of the rule. */
static inline char *
rule_renamed_column(const SyncRule *rule)
{
	return (char *) linitial(rule_has_new_side(rule) ? rule->new_columns : rule->old_columns);
}

/*
 * Does the new release write what the old one loses at contract: has it old
 * columns that contract drops, and no down for them?
 */
static inline bool
rule_is_one_way(const SyncRule *rule)
{
	return rule_has_new_side(rule) && !rule_is_derived(rule) && rule->down == NIL;
}

/* Returns the columns by which messages name the rule. */
static inline List *
sync_columns_shown(const SyncRule *rule)
{
	return rule_has_new_side(rule) ? rule->new_columns : rule->old_columns;
}

/* Returns "error", "new" or "old", a constant. */
extern const char *on_conflict_name(OnConflict on_conflict);

/* Errors: the name is not error, new or old. */
extern OnConflict on_conflict_from_name(const char *name);

/* Errors: on_error is not error or quarantine. */
extern bool quarantine_from_name(const char *on_error);

/* Adds the rule and sets its id. */
extern void sync_insert(SyncRule *rule);

/*
 * Has an open migration of a later release a rule that does not write back the old
 * columns, which contract drops, or does it drop a table?
 */
extern bool sync_is_one_way_after(int release);

/* Returns the stored rules of open migrations on a relation, oldest first. */
extern List *sync_list_of_relation(Oid relid);

/* Returns those of the relations that other open migrations have rules on. */
extern List *sync_relations_of_others(List *relids, int migration_id);

/*
 * sync_list_of_migration returns the stored rules of a migration;
 * sync_list_of_table those of them on a table, which is all that what is done for
 * one table after the other may read; sync_list_recorded returns all of the
 * migration's rules.
 */
extern List *sync_list_of_migration(int migration_id);
extern List *sync_list_of_table(int migration_id, Oid relid);
extern List *sync_list_recorded(int migration_id);

/* Returns those by which the migration changes a column of a table that exists. */
extern List *sync_list_changing(int migration_id);

/*
 * Returns the columns whose names the rule's old column will have had when contract comes
 * to it: those that open migrations of earlier releases change into it, nearest first.
 */
extern List *sync_columns_before(const SyncRule *rule);

/*
 * Returns the search_path that the rules of a leaf table are read under: those of
 * the table at the top, or its own, from before it was attached.  Palloc'd; NULL
 * if it has none.
 */
extern char *sync_path_of_leaf(int migration_id, Oid relid);

/* Does one of these rules have old columns, but no down? */
extern bool sync_list_has_one_way(List *rules);

/*
 * Returns the rules on a relation that are not stored and that the release
 * sees.  If several show the same old column, only the last is returned, and
 * none if a stored rule has replaced that column, or if the table has got a
 * column of the new name.
 */
extern List *sync_list_unstored(Oid relid, int release);

/*
 * For a column of the table that is renamed: sync_list_unstored_named returns
 * the rules that are not stored, of migrations that are done, whose old column
 * it is.  sync_note_renamed records its new name for one with a single column.
 */
extern List *sync_list_unstored_named(Oid relid, const char *old_column);
extern void sync_note_renamed(const SyncRule *rule, const char *old_column);

/*
 * Returns a rule that is not stored and under whose new column views show
 * another column, or NULL.
 */
extern SyncRule *sync_shown_under(Oid relid, const char *new_column);

/*
 * Returns a stored rule, or NULL; *live tells whether its migration is open.
 */
extern SyncRule *sync_get(int id, bool *live);

/*
 * Returns the search_path that the migration was expanded under, as noted with a
 * rule of the table, or else of another one; palloc'd; NULL if it has no rule.
 */
extern char *sync_expand_path(int migration_id, Oid relid);

/*
 * Return the rules whose renames the table has not got yet: of relid, up to release,
 * in the order of the releases; of a migration that is done.
 */
extern List *sync_list_renames(Oid relid, int release);
extern List *sync_list_renames_left(int migration_id);

/*
 * Returns the tables of a migration with a column that is changed so that each
 * release needs its view of it (ON_TABLE_VIEWS), of which the release, or each one
 * before it, has none.
 */
extern List *sync_tables_without_views(int migration_id);

/*
 * Record that contract has left the new name to tandem.take_names; and that it is taken,
 * so that those of earlier releases are passed over: before the column gets it.
 */
extern void sync_note_name_left(const SyncRule *rename);
extern void sync_note_name_taken(const SyncRule *rename);

/* Records that the column goes: one that has its name later is another. */
extern void sync_note_column_gone(Oid relid, const char *column);

/* Records the texts of a rule, which mean the same as those that it has. */
extern void sync_store_texts(int id, List *up, List *down);

/* Records what the rule uses, see rule/rule_uses.h; NULL if not known. */
extern void sync_note_uses(const SyncRule *rule, const char *uses);

/*
 * Records that all rows have been filled.  This is not taken back: rows of a
 * partition attached later are filled while the new columns are in use.
 */
extern void sync_note_filled(const SyncRule *rule);

/*
 * Records that the rules of a migration were parsed in this server.
 * sync_list_not_parsed returns the rules of open migrations with a release that
 * were not: a newer server may not take their text any more.
 */
extern void sync_note_parsed(int migration_id);
extern List *sync_list_not_parsed(void);

/*
 * Returns the relations of a migration: those of its syncs, and those to which
 * it adds columns, indexes or constraints.
 */
extern List *sync_relations_of_migration(int migration_id);

/* Returns the relations with a rule of an open migration. */
extern List *sync_relations_live(void);

/*-------------------------------------------------------------------------
 * Rows of tandem.changed_use: DDL that has changed what rules use.
 *
 * A function that is replaced and put back is the same again, but rows may have
 * been written under the other one.
 *-------------------------------------------------------------------------
 */

/*
 * Records that this transaction has changed something that the rules of the
 * migration use.  Takes no lock that others wait for.
 */
extern void changed_use_note(int migration_id);

/*
 * Returns a text that is another one after each such transaction that has
 * committed, palloc'd; NULL if there was none.
 */
extern char *changed_use_last(int migration_id);

/*-------------------------------------------------------------------------
 * Rows of tandem.fill_mark: what is known of the unfilled rows of a table that
 * has rows, which is a partition or not partitioned.  See rule/fill_mark.h.
 *-------------------------------------------------------------------------
 */

typedef struct FillMark
{
	Oid			relation;
	Oid			trigger;		/* while this one is in force */
	Oid			file;			/* in this file rows that are too short, and
								 * no others, are unfilled; InvalidOid: no row
								 * is unfilled */
} FillMark;

/*
 * Records marks (of FillMark *) of a rule, instead of those of the same tables.
 * place identifies this database among all to which the OIDs could be copied.
 * The caller has locked the tables against writers.
 */
extern void fill_mark_store(int sync_id, List *marks, const char *place);

/*
 * Reads the mark that a rule has of relid at present; false if there is none of
 * that place.  For the trigger: works without SQL, and with any rights of the
 * current user.
 */
extern bool fill_mark_read(int sync_id, Oid relid, const char *place,
						   FillMark *mark);

/*
 * Deletes the marks of a rule.  The caller changes the triggers in the same
 * transaction, which makes all sessions look again.
 */
extern void fill_mark_delete(int sync_id);

#endif							/* TANDEM_SYNC_H */
