/*
 * owned_column.h
 *		tandem.owned_column: columns that a migration has added.
 *
 * A column is known by its number, which no name says: the user may rename it
 * and give its name to another one.  A restore gives it another number, and finds
 * it by the name that it has then (load_row.c).  Each column has one owner among
 * the open migrations.
 */
#ifndef TANDEM_OWNED_COLUMN_H
#define TANDEM_OWNED_COLUMN_H

#include "nodes/pg_list.h"

/*
 * Records that the migration has added the column, which exists; may be
 * repeated.  named: a call of the migration names it as its own; else it was
 * added beside those by a plain ALTER TABLE, and becomes another migration's
 * when a call of that names it.  A column of another open migration stays that
 * one's.
 */
extern void owned_column_add(int migration_id, Oid relid, const char *column,
							 bool named);

/*
 * Returns the type with which the migration has added the column, as
 * format_type writes it with its schema; NULL if it has not added it.  column is
 * the name that it had then.
 */
extern char *owned_column_type(int migration_id, Oid relid,
							   const char *column);

/* Returns a type in that form. */
extern char *owned_column_type_text(Oid type, int32 typmod);

/* What add_column was called with. */
typedef struct ColumnArguments
{
	char	   *default_given;	/* NULL if none */
	bool		not_null;
} ColumnArguments;

/* Records this for a column that the migration has added, or reads it. */
extern void owned_column_note(int migration_id, Oid relid, const char *column,
							  const ColumnArguments *arguments);
extern void owned_column_read(int migration_id, Oid relid, const char *column,
							  ColumnArguments *arguments);

/*
 * Records what the column is like, old_column, that one which the migration has added
 * changes: contract tells what it has got since.
 */
extern void owned_column_note_old(int migration_id, Oid relid, const char *column,
								  const char *old_column);

/*
 * Returns the present names of existing columns of relid that the migration has
 * added, which abort drops.
 */
extern List *owned_column_list(int migration_id, Oid relid);

/* Records the present names of columns of the table that were renamed. */
extern void owned_column_follow_names(Oid relid);

/*
 * The migration ends with contract: the new columns of its rules stay, whichever
 * other migration has added them.
 */
extern void owned_column_keep_new(int migration_id);

#endif							/* TANDEM_OWNED_COLUMN_H */
