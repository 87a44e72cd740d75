/*
 * after_switch.h
 *		tandem.after_switch: rows that are changed once a release is the current
 *		one.
 */
#ifndef TANDEM_AFTER_SWITCH_H
#define TANDEM_AFTER_SWITCH_H

#include "nodes/pg_list.h"

/* Texts are qualified, and those of expressions meant for EXPRESSION_ALIAS. */
typedef struct AfterSwitch
{
	int			id;
	int			migration_id;
	Oid			relation;
	List	   *columns;		/* of char *, those that are set */
	List	   *set;			/* expressions, one for each */
	char	   *condition;		/* which rows */
	List	   *back;			/* expressions, one for each; NIL: the rows
								 * stay as they are */
	char	   *set_given;		/* these as given by the user */
	char	   *condition_given;
	char	   *back_given;		/* or NULL */
	char	   *search_path;	/* of the session that added it */
	bool		switched;		/* the release is the current one here */
	bool		due;			/* rows are to be looked at, in the direction
								 * of switched */
	bool		complete;		/* all regions have switched, and no row is
								 * left */
	List	   *regions;		/* names of the others that have switched, */
	List	   *waits_for;		/* and of those that have not */
	int64		rows_changed;	/* since it was added */
	bool		changed;		/* and these have not been changed back */
	int			turns;			/* grows when a release is switched back */
} AfterSwitch;

/* Adds it; sets its id. */
extern void after_switch_insert(AfterSwitch *change);

/* Returns those of an open migration, oldest first. */
extern List *after_switch_list(int migration_id);

/* Is any of them due? */
extern bool after_switch_is_due(List *changes);

/* Is the release of the migration, which is open, the current one here? */
extern bool after_switch_is_switched(int migration_id);

/* Records that a batch has changed rows, or changed them back. */
extern void after_switch_note_rows(const AfterSwitch *change, int64 rows);

/*
 * Records that no row was left after *change was read, when the regions in
 * change->regions had switched; or, if it is not switched, that none is left to be
 * changed back.  Records nothing if a release was switched back since.
 */
extern void after_switch_note_none_left(const AfterSwitch *change);

/*
 * The release is the current one here now: of later ones it is to be looked again
 * once they are.  The same, of all, for a region that has switched back or is another.
 */
extern void after_switch_turned_here(int current);
extern void after_switch_turned_region(const char *region);

#endif							/* TANDEM_AFTER_SWITCH_H */
