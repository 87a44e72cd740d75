/*
 * added_columns.c
 *		Columns that the expand transaction adds by a plain ALTER TABLE.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "catalog/migration.h"
#include "catalog/owned_column.h"
#include "catalog/sync.h"
#include "core/relation.h"
#include "core/text.h"
#include "rule/fill_mark.h"
#include "trigger/added_columns.h"

/* A table that a call of the migration has named in this transaction. */
typedef struct NamedTable
{
	int			migration_id;
	Oid			relation;
} NamedTable;

/*
 * In the memory of the transaction that is here by its number; when another one
 * runs, that memory is gone.
 */
static List *named_tables = NIL;
static FullTransactionId named_in;

static List *
tables_named_here(void)
{
	if (!FullTransactionIdIsValid(named_in) ||
		!FullTransactionIdEquals(named_in, GetTopFullTransactionIdIfAny()))
		named_tables = NIL;
	return named_tables;
}

static void
remember_table(int migration_id, Oid relid)
{
	List	   *tables = tables_named_here();
	MemoryContext caller;
	NamedTable *table;
	ListCell   *lc;

	foreach(lc, tables)
	{
		table = lfirst(lc);
		if (table->migration_id == migration_id && table->relation == relid)
			return;
	}
	caller = MemoryContextSwitchTo(TopTransactionContext);
	table = palloc(sizeof(NamedTable));
	table->migration_id = migration_id;
	table->relation = relid;
	named_tables = lappend(tables, table);
	named_in = GetTopFullTransactionId();
	MemoryContextSwitchTo(caller);
}

/*
 * Records the columns that this transaction has added and that no call names.
 * Returns true if they are the first ones of the migration in this table.
 */
static bool
record_new_columns(int migration_id, Oid relid)
{
	Relation	rel = relation_open_present(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	bool		table_is_new = fill_mark_column_is_new(relid, "ctid");
	List	   *owned = owned_column_list(migration_id, relid);
	bool		first = false;

	for (int i = 0; i < desc->natts && !table_is_new; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (column->attisdropped ||
			text_is_among(NameStr(column->attname), owned) ||
			!fill_mark_column_is_new(relid, NameStr(column->attname)))
			continue;
		owned_column_add(migration_id, relid, NameStr(column->attname), false);
		first = owned == NIL;
	}
	relation_close(rel, AccessShareLock);
	return first;
}

bool
added_columns_note(int migration_id, Oid relid)
{
	remember_table(migration_id, relid);
	return record_new_columns(migration_id, relid);
}

static bool
adds_column(AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_AddColumn)
			return true;
	}
	return false;
}

/* A savepoint may have taken the call back. */
static bool
migration_still_has(int migration_id, Oid relid)
{
	return list_member_oid(sync_relations_of_migration(migration_id), relid);
}

static void
record_later_columns(Oid relid)
{
	ListCell   *lc;

	foreach(lc, tables_named_here())
	{
		NamedTable *table = lfirst(lc);

		if (table->relation == relid &&
			migration_still_has(table->migration_id, relid))
			(void) record_new_columns(table->migration_id, relid);
	}
}

void
added_columns_follow(Node *statement)
{
	if (IsA(statement, AlterTableStmt) &&
		adds_column((AlterTableStmt *) statement))
		record_later_columns(RangeVarGetRelid(((AlterTableStmt *) statement)->relation,
											  NoLock, true));
	else if (IsA(statement, RenameStmt) &&
			 ((RenameStmt *) statement)->renameType == OBJECT_COLUMN &&
			 open_migration_exists())
		owned_column_follow_names(RangeVarGetRelid(((RenameStmt *) statement)->relation,
												   NoLock, true));
}
