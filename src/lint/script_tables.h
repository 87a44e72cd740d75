/*
 * script_tables.h
 *		The tables that a script names, as its statements so far have left them.
 *
 * What the catalogs say holds at first.  What a statement makes, drops, renames or
 * proves is noted, and holds for those behind it.  No lock is taken, and nothing is
 * told of a table that the current user has no right on: it counts as one that is not
 * there.
 */
#ifndef TANDEM_SCRIPT_TABLES_H
#define TANDEM_SCRIPT_TABLES_H

#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"

#include "core/query.h"

typedef struct ScriptTables ScriptTables;

typedef struct ScriptColumn
{
	char	   *name;
	bool		dropped;
	bool		made;			/* by the script */
	bool		not_null;
	bool		generated;		/* its values are stored and computed */
	Oid			type;			/* InvalidOid: not known, as of a type that
								 * the script makes */
	int32		typmod;
	Oid			collation;
} ScriptColumn;

typedef struct ScriptConstraint
{
	char	   *name;
	Oid			oid;			/* InvalidOid: made by the script */
	bool		dropped;
	bool		valid;
	bool		foreign_key;
	char	   *proves_not_null;	/* the column of a valid CHECK that it is
									 * not null, or NULL */
	struct ScriptTable *referenced; /* of a foreign key */
} ScriptConstraint;

typedef struct ScriptTable
{
	char	   *schema;
	char	   *name;			/* as the script has it by now */
	Oid			relid;			/* InvalidOid: made by the script */
	char		kind;			/* relkind */
	bool		made;			/* by the script, or temporary: nobody else
								 * uses it */
	bool		dropped;
	bool		has_rows;		/* of one that the script makes: never told */
	List	   *columns;		/* of ScriptColumn, those that were looked at */
	List	   *constraints;	/* of ScriptConstraint, those that the script
								 * has touched */
	LOCKMODE	held;			/* by the script's transaction, as far as it
								 * has come */
	int64		bytes;			/* of it, its partitions and what they store
								 * apart; -1: not asked */
} ScriptTable;

/* Begins with what is there now; allocated in the current memory context. */
extern ScriptTables *script_tables_open(void);

/*
 * Returns the table, view, index or sequence that a name means, NULL if there is none,
 * or no name.  It stays the same object when it is renamed.
 */
extern ScriptTable *script_table(ScriptTables *tables, const RangeVar *name);

/* The same of a list of names, as DROP has it. */
extern ScriptTable *script_table_of_names(ScriptTables *tables, List *names);

/* The same of an OID; NULL if the user has no right on it, or the script has dropped it. */
extern ScriptTable *script_table_of_oid(ScriptTables *tables, Oid relid);

/*
 * Returns those of OIDs that a query of our own tells, of which the parameters are set; ends the
 * query.
 */
extern List *script_tables_told(ScriptTables *tables, TandemQuery *query, const char *sql);

/* Its schema-qualified name, quoted, palloc'd. */
extern char *script_table_name(const ScriptTable *table);

/* The bytes of it and its partitions, or -1 if they are not known. */
extern int64 script_table_bytes(ScriptTable *table);

/* Notes that the script makes it, or gives it that name. */
extern ScriptTable *script_table_make(ScriptTables *tables, const RangeVar *name, char kind);
extern void script_table_rename(ScriptTables *tables, ScriptTable *table, const char *schema,
								const char *name);

/* Returns a column, NULL if there is none of that name. */
extern ScriptColumn *script_column(ScriptTable *table, const char *name);

/* Adds one that the script makes. */
extern ScriptColumn *script_column_make(ScriptTable *table, const char *name);

/* Returns a constraint, NULL if there is none of that name. */
extern ScriptConstraint *script_constraint(ScriptTables *tables, ScriptTable *table, const char *name);

/* Adds one that the script makes.  name is NULL if the server is to choose it. */
extern ScriptConstraint *script_constraint_make(ScriptTable *table, const char *name, bool valid);

/* Does something that is valid say that the column holds no null? */
extern bool script_column_is_proven(ScriptTable *table, const char *column);

/*
 * Does look say yes to a row of pg_constraint, or of pg_index, of the relation?  It gets
 * the row, its catalog, and arg.
 */
extern bool relation_rows_any(Oid catalog, Oid relid, bool (*look) (HeapTuple, Relation, void *), void *arg);

/* Names without a schema are looked up in these from now on, of a SET search_path. */
extern void script_tables_set_path(ScriptTables *tables, List *schemas);

/* The transaction of the script has ended: no lock is held. */
extern void script_tables_release(ScriptTables *tables);

/* Returns the tables on which the script holds a lock of at least that mode, and others might. */
extern List *script_tables_held(ScriptTables *tables, LOCKMODE mode);

#endif							/* TANDEM_SCRIPT_TABLES_H */
