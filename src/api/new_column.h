/*
 * new_column.h
 *		A column that a migration adds to a table.
 */
#ifndef TANDEM_NEW_COLUMN_H
#define TANDEM_NEW_COLUMN_H

#include "nodes/primnodes.h"

#include "catalog/migration.h"
#include "catalog/owned_column.h"

/* What a call says of the column, and what that comes to. */
typedef struct NewColumn
{
	Oid			relation;
	char	   *name;
	Oid			type;
	int32		typmod;
	Oid			collation;		/* InvalidOid for that of the type */
	char	   *type_text;		/* as SQL, with its schema and modifier */
	char	   *up;				/* NULL if none */
	ColumnArguments given;
	char	   *default_sql;	/* the default, as an expression; NULL if none */
	bool		quarantine;
	Node	   *default_value;	/* NULL if none */
	char	   *default_text;	/* with all names qualified */
} NewColumn;

/*
 * Sets the type of the column.  Errors: it is none, or adding a column of it
 * rewrites the table.
 */
extern void new_column_read_type(NewColumn *column, const char *text);

/*
 * Adds the column to the table, with its default, and records that the migration
 * has added it.  Locks the table and its partitions against readers, too.
 * Errors: the name is taken; the table can get no other column; the default is
 * none for the type, or depends on search_path, or breaks NOT NULL.
 */
extern void new_column_add(const Migration *migration, NewColumn *column);

/*
 * Throws an error if the migration has added the column with another type, default
 * or NOT NULL; object names it.
 */
extern void new_column_check_same(const Migration *migration, const char *object,
								  const NewColumn *column);

#endif							/* TANDEM_NEW_COLUMN_H */
