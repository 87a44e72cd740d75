/*
 * effect.h
 *		What a statement does to the tables that it works on: the lock that it takes,
 *		whether it writes them anew or reads all their rows.
 */
#ifndef TANDEM_EFFECT_H
#define TANDEM_EFFECT_H

#include "lint/script_tables.h"

typedef struct Effect
{
	ScriptTable *table;
	LOCKMODE	lock;
	bool		rewrites;		/* the table gets a new file, with all its
								 * rows */
	bool		scans;			/* all rows are read while the lock is held */
} Effect;

/*
 * Returns what the statement does, a list of Effect in the order in which it comes to
 * the tables, from what the grammar has read and the catalogs.  Locks weaker than ROW
 * EXCLUSIVE are left out, and so are partitions and heirs, which are as their
 * table.
 */
extern List *statement_effects(ScriptTables *tables, Node *statement);

/*
 * Returns the statements that it is made of: those in WITH, which the server has at its top
 * alone, and itself.
 */
extern List *statement_parts(Node *statement);

/*
 * Returns the tables that ALTER of that name changes, of ScriptTable: of a type those made OF
 * it, if it cascades.
 */
extern List *altered_tables(ScriptTables *tables, const RangeVar *name, bool of_type, bool cascades);

/* Returns the effect on a table of a list of them, or NULL. */
extern Effect *effect_of(List *effects, const ScriptTable *table);

/* The same, with that lock at least, which is added where there is none. */
extern Effect *effect_on(List **effects, ScriptTable *table, LOCKMODE lock);

/* Adds what one command of an ALTER TABLE does. */
extern void command_effects(ScriptTables *tables, ScriptTable *table, AlterTableCmd *command,
							List **effects);

/* Adds what comes to the default partition when another one comes, and its rows are tried, or goes. */
extern void default_partition_effect(ScriptTables *tables, ScriptTable *table, bool tried, List **effects);

/*
 * Adds the locks on what is dropped along with an object, or with column part of a
 * relation: what is a part of it, and if that cascades, what depends on it.
 */
extern void drop_object_effects(ScriptTables *tables, Oid class, Oid object, int part, bool cascades,
								List **effects);

/* Does the option list of a utility statement switch that option on? */
extern bool has_option(List *options, const char *name);

/* Has a default, as parsed, a value of its own for each row? */
extern bool default_is_volatile(Node *default_value);

/*-------------------------------------------------------------------------
 * Of a column definition, as parsed.
 *-------------------------------------------------------------------------
 */

/* Returns its constraint of that kind, or NULL. */
extern Constraint *column_constraint(const ColumnDef *column, ConstrType kind);

/* Is its type smallserial, serial or bigserial? */
extern bool column_is_serial(const ColumnDef *column);

/* Returns the type that a name means; InvalidOid if there is none. */
extern Oid	type_of_name(const TypeName *name, int32 *typmod);

#endif							/* TANDEM_EFFECT_H */
