/*
 * target.c
 *		Which tables and columns a migration may work on.
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/extension.h"
#include "core/lock.h"
#include "core/quoting.h"
#include "core/authority.h"
#include "core/table_rows.h"
#include "ddl/partitions.h"
#include "ddl/target.h"
#include "sync/relation_rules.h"

static void
refuse_table(Oid relid, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("\"%s\" is %s", quoting_shown_name(relid), what),
			 errhint("%s", hint)));
}

static const char *
kind_description(char relkind)
{
	switch (relkind)
	{
		case RELKIND_VIEW:
			return "a view";
		case RELKIND_MATVIEW:
			return "a materialized view";
		case RELKIND_FOREIGN_TABLE:
			return "a foreign table";
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			return "an index";
		case RELKIND_SEQUENCE:
			return "a sequence";
		case RELKIND_COMPOSITE_TYPE:
			return "a composite type";
	}
	return "not a table";
}

/* A table made OF a type can neither gain nor lose a column. */
static Oid
type_of_typed_table(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			type = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		type = ((Form_pg_class) GETSTRUCT(tuple))->reloftype;
		ReleaseSysCache(tuple);
	}
	return type;
}

static void
check_inheritance(Oid relid, char relkind)
{
	if (get_rel_relispartition(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partition", quoting_shown_name(relid)),
				 errhint("Name the partitioned table: %s.",
						 quoting_relation(table_root(relid)))));
	if (relkind != RELKIND_PARTITIONED_TABLE &&
		(has_subclass(relid) || has_superclass(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"%s\" is part of a table inheritance",
						quoting_shown_name(relid)),
				 errhint("Only partitioning is followed. End the inheritance: ALTER TABLE ... NO INHERIT.")));
}

void
target_check_table(Oid relid)
{
	char		relkind;

	/* what was dropped since it was named has no kind and no owner */
	(void) quoting_raw_name(relid);
	relkind = get_rel_relkind(relid);
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		refuse_table(relid, kind_description(relkind),
					 "Name an ordinary or partitioned table.");
	if (IsCatalogRelationOid(relid) ||
		IsCatalogNamespace(get_rel_namespace(relid)) ||
		get_rel_namespace(relid) == extension_schema() ||
		get_rel_namespace(relid) == get_namespace_oid("information_schema", true))
		refuse_table(relid, "a system table", "Name a table of your own.");
	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		refuse_table(relid, "a temporary table",
					 "Change it directly: no other session sees it.");
	authority_check_owner(relid);
	if (OidIsValid(type_of_typed_table(relid)))
		refuse_table(relid, "a typed table",
					 "Its columns are those of its type. Make it an ordinary table: ALTER TABLE ... NOT OF.");
	check_inheritance(relid, relkind);
	table_rows_check(table_tree(relid));
}

/*
 * What was looked at before the lock says nothing: the session that was in the
 * way may have dropped the table, or given it to a role as which the text of our
 * caller would be read.
 */
void
target_lock(Oid relid, List *relids, LOCKMODE mode)
{
	ListCell   *lc;

	lock_relations(relids, mode);
	target_check_table(relid);
	foreach(lc, relids)
		(void) quoting_raw_name(lfirst_oid(lc));
}

static void
check_listed_once(const SyncRule *rule)
{
	List	   *all = list_concat_copy(rule->old_columns, rule->new_columns);

	for (int i = 0; i < list_length(all); i++)
	{
		for (int j = 0; j < i; j++)
		{
			if (strcmp(list_nth(all, i), list_nth(all, j)) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" is named twice",
								(char *) list_nth(all, i)),
						 errhint("Name each old and each new column once.")));
		}
	}
}

static void
check_column(Relation rel, const char *name, bool written)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), name);
	Form_pg_attribute att;

	if (attnum < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("column \"%s\" of table \"%s\" is a system column",
						name, RelationGetRelationName(rel)),
				 errhint("Name a column that the table was created with, or that was added to it.")));
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("a column of table \"%s\" is named by an empty string",
						RelationGetRelationName(rel)),
				 errhint("Name a column of the table.")));
	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", name,
						RelationGetRelationName(rel)),
				 errhint("Add it first, with ALTER TABLE %s ADD COLUMN %s ..., or tandem.add_column.",
						 quoting_relation(RelationGetRelid(rel)),
						 quote_identifier(name))));
	att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	if (att->attgenerated)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column \"%s\" is generated and cannot be synced", name),
				 errhint("Sync the columns that it is generated from.")));
	if (att->attidentity && written)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column \"%s\" is an identity column and cannot be written by a sync",
						name),
				 errhint("As the old column leave out down; as the new one make it a plain column, and an identity after contract.")));
}

static void
check_not_synced_twice(const SyncRule *rule)
{
	ListCell   *lc;

	foreach(lc, sync_list_of_relation(rule->relation))
	{
		SyncRule   *other = lfirst(lc);
		ListCell   *mine;
		ListCell   *theirs;

		foreach(mine, rule->new_columns)
		{
			foreach(theirs, other->new_columns)
			{
				if (strcmp(lfirst(mine), lfirst(theirs)) == 0)
					ereport(ERROR,
							(errcode(ERRCODE_DUPLICATE_OBJECT),
							 errmsg("column \"%s\" is already the new column of a sync",
									(char *) lfirst(mine)),
							 errdetail("Migration: \"%s\".", other->migration),
							 errhint("Give each new column one sync; see SELECT * FROM tandem.syncs;")));
			}
		}
	}
}

/* Planning runs immutable functions: the owner's, not with our caller's rights. */
static bool
has_computed_default(Relation rel, const char *name)
{
	Node	   *expression;
	AuthorityScope scope;

	/* planning runs immutable functions */
	authority_enter_owner(&scope, rel, NULL);
	expression = relation_rules_default(rel, get_attnum(RelationGetRelid(rel),
														name));
	authority_leave(&scope);
	return expression && !IsA(expression, Const);
}

/*
 * Where the length of a row does not tell, its new columns must: NULL or a
 * constant default means unfilled.  A computed default would hide that.
 */
static void
check_unfilled_is_known(const SyncRule *rule, Relation rel)
{
	ListCell   *lc;
	int			leaves = list_length(table_leaves(rule->relation));
	int			exact = rule->origin[0] ? 1 : 0;

	for (const char *p = rule->origin; *p; p++)
		exact += (*p == ',');
	if (exact == leaves)
		return;
	foreach(lc, rule->new_columns)
	{
		if (has_computed_default(rel, lfirst(lc)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot tell filled from unfilled rows of column \"%s\"",
							(char *) lfirst(lc)),
					 errdetail("Its default is computed, and it was not added, without rewriting the table, in this transaction."),
					 errhint("Run ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT, or add the column and set its default in the transaction that makes the sync.",
							 quoting_relation(rule->relation),
							 quote_identifier(lfirst(lc)))));
	}
}

void
target_check_columns(const SyncRule *rule, Relation rel)
{
	ListCell   *lc;

	check_listed_once(rule);
	foreach(lc, rule->old_columns)
	{
		bool		written = rule->down != NIL &&
		list_nth(rule->down, foreach_current_index(lc)) != NULL;

		check_column(rel, lfirst(lc), written);
	}
	foreach(lc, rule->new_columns)
		check_column(rel, lfirst(lc), true);
	check_not_synced_twice(rule);
	check_unfilled_is_known(rule, rel);
}

void
target_check_unstored(const SyncRule *rule, Relation rel)
{
	ListCell   *lc;

	check_listed_once(rule);
	foreach(lc, rule->old_columns)
	{
		if (get_attnum(RelationGetRelid(rel), lfirst(lc)) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" does not exist",
							(char *) lfirst(lc), RelationGetRelationName(rel)),
					 errhint("Name columns that are stored, also after an earlier sync with stored => false.")));
	}
	foreach(lc, rule->new_columns)
	{
		if (get_attnum(RelationGetRelid(rel), lfirst(lc)) != InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" already exists",
							(char *) lfirst(lc), RelationGetRelationName(rel)),
					 errhint("With stored => false the new name must be free.")));
	}
}
