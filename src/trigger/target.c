/*
 * target.c
 *		Checks which tables and columns can be synced.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tupdesc_details.h"
#include "access/twophase.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/run_control.h"
#include "catalog/subscription.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "rule/fill_mark.h"
#include "rule/relation_rules.h"
#include "rule/rule_compile.h"
#include "rule/rule_args.h"
#include "rule/sync_trigger.h"
#include "trigger/target.h"

/*-------------------------------------------------------------------------
 * Checking the tables and columns on which a migration is to work.
 *-------------------------------------------------------------------------
 */

static void
refuse_sync_target(Oid relid, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("\"%s\" is %s", quoting_shown_name(relid), what),
			 errhint("%s", hint)));
}

static const char *
relation_kind_description(char relkind)
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

/* A typed table (OF) can neither get nor lose a column. */
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
check_target_inheritance(Oid relid, char relkind)
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

	/* fails if it was dropped, when it has no relkind and no owner */
	(void) quoting_raw_name(relid);
	relkind = get_rel_relkind(relid);
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		refuse_sync_target(relid, relation_kind_description(relkind),
						   "Name an ordinary or partitioned table.");
	if (IsCatalogRelationOid(relid) ||
		IsCatalogNamespace(get_rel_namespace(relid)) ||
		get_rel_namespace(relid) == extension_schema() ||
		get_rel_namespace(relid) == get_namespace_oid("information_schema", true))
		refuse_sync_target(relid, "a system table", "Name a table of your own.");
	if (relation_persistence(relid) == RELPERSISTENCE_TEMP)
		refuse_sync_target(relid, "a temporary table",
						   "Change it directly: no other session sees it.");
	authority_check_owner(relid);
	if (OidIsValid(type_of_typed_table(relid)))
		refuse_sync_target(relid, "a typed table",
						   "Its columns are those of its type. Make it an ordinary table: ALTER TABLE ... NOT OF.");
	check_target_inheritance(relid, relkind);
	table_rows_check(table_tree(relid));
}

/*
 * What was checked before the lock may have changed.  The session that held it
 * may have dropped the table, or given it to another role, as which the text
 * of our caller would be parsed.
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

/* Indexes go with the old columns. */
static int64
count_indexes_to_drop(const SyncRule *rule, List *tree)
{
	TandemQuery query;

	if (rule->keep_old)
		return 0;
	query_begin(&query);
	query_oid_list(&query, tree);
	query_datum(&query, NAMEARRAYOID,
				array_from_strings(rule->old_columns, NAMEOID), false);
	return query_end_bigint(&query, query_run(&query,
											  "SELECT count(DISTINCT i.indexrelid) FROM unnest($1) t "
											  "JOIN pg_attribute a ON a.attrelid = t AND a.attname = ANY ($2) "
											  "JOIN pg_index i ON i.indrelid = t AND a.attnum = ANY (i.indkey)"));
}

/* What a server needs beside the locks of the tree, mostly on catalogs. */
#define OTHER_LOCKS 500

/*
 * Each table and its trigger are locked, and the trigger that fires first.  No
 * more is counted than the server has for certain, by its documentation.
 */
void
target_check_locks(const SyncRule *rule)
{
	List	   *tree = table_tree(rule->relation);
	bool		other = false;
	ListCell   *lc;

	foreach(lc, tree)
		other |= other_trigger_exists(lfirst_oid(lc));
	if (list_length(tree) > 1)
		target_check_locks_of_tree(rule->relation,
								   (int64) list_length(tree) * (other ? 3 : 2) +
								   count_indexes_to_drop(rule, tree));
}

void
target_check_locks_of_tree(Oid relid, int64 needed)
{
	int			sessions = MaxConnections + max_prepared_xacts;
	int64		most = (int64) max_locks_per_xact * sessions;

	if (needed <= most)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("contract and abort could not lock table \"%s\" and its partitions",
					quoting_raw_name(relid)),
			 errdetail("They lock " INT64_FORMAT " tables, triggers, indexes and the like in one transaction. The server has " INT64_FORMAT " locks for all transactions: max_locks_per_transaction (%d) times the sum of max_connections and max_prepared_transactions (%d).",
					   needed, most, max_locks_per_xact, sessions),
			 errhint("Set max_locks_per_transaction to " INT64_FORMAT " or more, and restart the server.",
					 (needed + OTHER_LOCKS) / sessions + 1)));
}

static void
check_columns_listed_once(const SyncRule *rule)
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
check_sync_column(Relation rel, const char *name, bool written)
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
				 errhint("%s", relation_missing_column_hint(RelationGetRelid(rel), name))));
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

/* Planning runs immutable functions, so do it with the owner's rights. */
static Node *
default_of_column(Relation rel, AttrNumber attnum)
{
	Node	   *expression;
	AuthorityScope scope;

	authority_enter_owner(&scope, rel, NULL);
	expression = relation_rules_default(rel, attnum);
	authority_leave(&scope);
	return expression;
}

static bool
column_has_computed_default(Relation rel, const char *name)
{
	Node	   *expression = default_of_column(rel, get_attnum(RelationGetRelid(rel), name));

	return expression && !IsA(expression, Const);
}

/*
 * Returns a value, as text, that rows hold which are older than the column, if
 * that is another one than its default; else NULL.
 */
static char *
value_that_is_no_default(Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	AttrMissing *missing;
	Node	   *expression;
	Oid			output;
	bool		is_varlena;

	if (!att->atthasmissing)
		return NULL;
	missing = &RelationGetDescr(rel)->constr->missing[attnum - 1];
	if (!missing->am_present)
		return NULL;
	expression = default_of_column(rel, attnum);
	if (expression && IsA(expression, Const) &&
		!((Const *) expression)->constisnull &&
		datum_image_eq(missing->am_value, ((Const *) expression)->constvalue,
					   att->attbyval, att->attlen))
		return NULL;
	getTypeOutputInfo(att->atttypid, &output, &is_varlena);
	return OidOutputFunctionCall(output, missing->am_value);
}

void
target_check_default_is_held(const SyncRule *rule)
{
	ListCell   *leaf;
	ListCell   *lc;

	foreach(leaf, table_leaves(rule->relation))
	{
		Relation	rel = table_open(lfirst_oid(leaf), NoLock);

		foreach(lc, rule->new_columns)
		{
			char	   *value = value_that_is_no_default(rel, get_attnum(RelationGetRelid(rel),
																		 lfirst(lc)));

			if (value)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("default of column \"%s\" of table %s was changed since the column was added",
								(char *) lfirst(lc),
								quoting_relation(RelationGetRelid(rel))),
						 errdetail("Rows from before hold %s, which would count as a value once the table is rewritten.",
								   quote_literal_cstr(value)),
						 errhint("Add the column with tandem.add_column, or without a default; or give it that default again until the table is filled.")));
		}
		table_close(rel, NoLock);
	}
}

/*
 * If the length of a row does not tell whether it is filled, its new columns
 * must: NULL or a constant default means unfilled.  A computed default would
 * hide that, but not in a derived column, which is added as NULL.
 */
static void
check_unfilled_is_known(const SyncRule *rule, Relation rel, List *exact)
{
	ListCell   *lc;

	if (rule_is_derived(rule) ||
		list_length(exact) == list_length(table_leaves(rule->relation)))
		return;
	foreach(lc, rule->new_columns)
	{
		if (column_has_computed_default(rel, lfirst(lc)))
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

/*
 * Whether the column had a default before this transaction, which rows may hold
 * that were rewritten.
 */
static bool
column_had_default(Oid relid, AttrNumber attnum)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, attnum);
	return query_end_found(&query, query_run_before(&query,
													"SELECT FROM pg_attrdef WHERE adrelid = $1 AND adnum = $2"));
}

/* May rows of a leaf table that are not filled hold another value than NULL? */
static bool
leaf_may_hold_default(const SyncRule *rule, Oid relid, const char *column)
{
	Relation	rel = relation_open_present(relid, AccessShareLock);
	AttrNumber	attnum = get_attnum(relid, column);
	const Trigger *trigger = relation_sync_trigger(rel);
	bool		may = TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atthasmissing;

	if (!may && !(trigger && fill_mark_unfilled(rule, rel, trigger->tgoid) != UNFILLED_UNKNOWN))
		may = column_had_default(relid, attnum);
	table_close(rel, NoLock);
	return may;
}

static bool
unfilled_rows_may_hold_default(const SyncRule *rule, Oid relid,
							   const char *column)
{
	ListCell   *lc;

	foreach(lc, table_leaves(relid))
	{
		if (leaf_may_hold_default(rule, lfirst_oid(lc), column))
			return true;
	}
	return false;
}

static void
refuse_other_default(const SyncRule *rule, Oid relid, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("default of column \"%s\" of table %s tells which rows migration \"%s\" has not filled",
					column, quoting_relation(relid), rule->migration),
			 errdetail("After a rewrite of the table they hold the default that the column had at expand."),
			 errhint("Change the default after %s, which fills them.",
					 run_control_migrate_call(rule->migration))));
}

void
target_check_new_defaults(Oid relid, const AlterTableStmt *statement)
{
	ListCell   *command;

	foreach(command, statement->cmds)
	{
		AlterTableCmd *change = lfirst_node(AlterTableCmd, command);
		ListCell   *lc;

		if (change->subtype != AT_ColumnDefault)
			continue;
		foreach(lc, sync_list_of_relation(table_root(relid)))
		{
			SyncRule   *rule = lfirst(lc);

			if (!rule->filled && text_is_among(change->name, rule->new_columns) &&
				unfilled_rows_may_hold_default(rule, relid, change->name))
				refuse_other_default(rule, relid, change->name);
		}
	}
}

/*
 * No table of the tree can do without the columns by which its rows are
 * distributed, so contract could never drop them.
 */
static void
check_no_partition_key(const SyncRule *rule)
{
	List	   *partitioned = NIL;
	TandemQuery query;
	ListCell   *lc;

	if (rule->keep_old || rule->old_columns == NIL)
		return;
	foreach(lc, table_tree(rule->relation))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE)
			partitioned = lappend_oid(partitioned, lfirst_oid(lc));
	}
	if (partitioned == NIL)
		return;
	query_begin(&query);
	query_oid_list(&query, partitioned);
	query_datum(&query, TEXTARRAYOID,
				array_from_strings(rule->old_columns, TEXTOID), false);
	if (query_run_latest(&query,
						 "SELECT a.attname::text, a.attrelid FROM pg_attribute a WHERE a.attrelid = ANY ($1) AND a.attname = ANY ($2) "
						 "AND EXISTS (SELECT FROM tandem._column_keys(a.attrelid, a.attnum, NULL) k WHERE k.line = 'partition key') "
						 "ORDER BY array_position($1, a.attrelid), a.attnum LIMIT 1") > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("column \"%s\" is in the partition key of table %s",
						query_get_text(0, 1),
						quoting_relation(query_get_oid(0, 2))),
				 errdetail("Contract could not drop it."),
				 rule_drops_column(rule) || rule_changes_column(rule)
				 ? errhint("Move the rows into a table that is partitioned by another column.")
				 : errhint("Move the rows into a table that is partitioned by the new column. With keep_old => true the column stays, and every INSERT must name it: the server chooses the partition before the sync computes it.")));
	query_end(&query);
}

void
target_check_columns(const SyncRule *rule, Relation rel, List *exact)
{
	ListCell   *lc;

	check_columns_listed_once(rule);
	foreach(lc, rule->old_columns)
	{
		bool		written = rule->down != NIL &&
		list_nth(rule->down, foreach_current_index(lc)) != NULL;

		/*
		 * the server may compute a column that is renamed or dropped; that
		 * which is changed is an identity for those who do not see the other
		 */
		if (rule_has_new_side(rule) || written)
			check_sync_column(rel, lfirst(lc), written && !rule_changes_column(rule));
	}
	foreach(lc, rule->new_columns)
		check_sync_column(rel, lfirst(lc), true);
	check_not_synced_twice(rule);
	check_no_partition_key(rule);
	check_unfilled_is_known(rule, rel, exact);
}

/* A column that a stored rule replaces goes with its contract. */
static void
check_unstored_follows(const SyncRule *rule)
{
	ListCell   *lc;
	ListCell   *name;

	foreach(lc, sync_list_of_relation(rule->relation))
	{
		SyncRule   *other = lfirst(lc);

		foreach(name, other->keep_old ? NIL : rule->old_columns)
		{
			if (text_is_among(lfirst(name), other->old_columns))
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("column \"%s\" is replaced by migration \"%s\"",
								(char *) lfirst(name), other->migration),
						 errdetail("Contract of that migration drops it."),
						 errhint("Name as the old column what replaces it: %s.",
								 text_joined(other->new_columns, "", ", "))));
		}
	}
}

void
target_check_unstored(const SyncRule *rule, Relation rel)
{
	ListCell   *lc;

	check_columns_listed_once(rule);
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
	check_unstored_follows(rule);
}

/*-------------------------------------------------------------------------
 * Requirements of logical replication on a table to be migrated.
 *
 * The fill writes all rows, and a row that is filled on one server only looks
 * different to a server that compares whole rows.  Problems from that would
 * appear only with the first batch, or never.  So they are reported in phase
 * expand.
 *-------------------------------------------------------------------------
 */

/* Problems with publishing changes of a table. */
typedef struct SendProblems
{
	ErrorData  *cannot;			/* why an UPDATE of it fails, and so the fill */
	bool		keyless;		/* the whole old row is sent instead of a key */
} SendProblems;

/* The server asks this before each UPDATE, the fill before each batch. */
static void
check_update_is_sendable(void *arg)
{
	CheckCmdReplicaIdentity((Relation) arg, CMD_UPDATE);
}

static void
read_publication_problems(Relation rel, SendProblems *problems)
{
	PublicationDesc published;

	if (problems->cannot == NULL)
		problems->cannot = subtransaction_try(check_update_is_sendable, rel);
	if (rel->rd_rel->relreplident != REPLICA_IDENTITY_FULL ||
		OidIsValid(compat_primary_key_index(rel)))
		return;
	RelationBuildPublicationDesc(rel, &published);
	problems->keyless |= published.pubactions.pubupdate ||
		published.pubactions.pubdelete;
}

/* A publication has row filters or a column list that the server refuses. */
static void
refuse_publication(Oid relid, const ErrorData *error)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" cannot be updated because of a publication",
					quoting_shown_name(relid)),
			 errdetail("%s The backfill would fail as any UPDATE of the table does.", error->detail),
			 errhint("Change the publication, or the replica identity of the table and each of its partitions: it must contain the columns of the row filter, and the column list must contain it.")));
}

static void
refuse_without_identity(Oid relid, const ErrorData *error)
{
	/* with the server's reason, if it gives one */
	if (error->detail)
		refuse_publication(relid, error);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" does not have a replica identity and publishes updates",
					quoting_shown_name(relid)),
			 errdetail("The backfill would fail as any UPDATE of the table does."),
			 errhint("Give the table and each of its partitions a primary key, or set REPLICA IDENTITY USING INDEX.")));
}

static void
warn_of_changes_not_sent(Oid relid)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("table \"%s\" is published with REPLICA IDENTITY FULL and has no primary key",
					quoting_shown_name(relid)),
			 errdetail("A subscriber that has no key either finds the row of an UPDATE or DELETE by all columns. Where it fills the new columns itself, and only one of the two servers has filled them, it finds none, and the change is lost there without an error."),
			 errhint("Before a subscriber expands as well, add a primary key to the table there.")));
}

static bool
catalog_has_rows(Oid catalog_oid)
{
	Relation	catalog = table_open(catalog_oid, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0,
										  NULL);
	bool		found = HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/* Asks nothing of the leaves, which may be many, that has one answer for all. */
void
replicated_table_check(Oid relid)
{
	bool		subscribed = catalog_has_rows(SubscriptionRelRelationId);
	bool		published = catalog_has_rows(PublicationRelationId);
	SendProblems problems = {0};
	ListCell   *lc;

	foreach(lc, subscribed || published ? table_leaves(relid) : NIL)
	{
		Relation	leaf = table_open(lfirst_oid(lc), NoLock);

		if (subscribed)
			subscription_check_key(leaf);
		if (published)
			read_publication_problems(leaf, &problems);
		table_close(leaf, NoLock);
	}
	if (problems.cannot)
		refuse_without_identity(relid, problems.cannot);
	if (problems.keyless)
		warn_of_changes_not_sent(relid);
}

/*-------------------------------------------------------------------------
 * The table's own triggers.
 *-------------------------------------------------------------------------
 */

static void
check_trigger_order(Oid relid)
{
	char	   *outside = trigger_outside_sync(relid);

	if (outside == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("trigger \"%s\" of table %s would fire outside the sync",
					outside, quoting_relation(relid)),
			 errdetail("Triggers fire in the order of their names, and those of the sync are \"%s\" and \"%s\".",
					   FIRST_TRIGGER_NAME, SYNC_TRIGGER_NAME),
			 errhint("Run ALTER TRIGGER %s ON %s RENAME TO a name that sorts between these.",
					 quote_identifier(outside), quoting_relation(relid))));
}

static void
warn_of_triggers_of_columns(const SyncRule *rule, List *tree)
{
	TandemQuery query;
	uint64		rows;

	query_begin(&query);
	query_oid_list(&query, tree);
	query_datum(&query, TEXTARRAYOID,
				array_from_strings(list_concat_copy(rule->old_columns,
													rule->new_columns),
								   TEXTOID), false);
	rows = query_run_latest(&query,
							"SELECT t.tgname::text, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), t.tgrelid "
							"FROM pg_trigger t JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr) "
							"WHERE t.tgrelid = ANY ($1) AND a.attname = ANY ($2) AND NOT t.tgisinternal AND t.tgparentid = 0 "
							"GROUP BY t.tgrelid, t.tgname ORDER BY array_position($1, t.tgrelid), t.tgname");
	for (uint64 row = 0; row < rows; row++)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("trigger \"%s\" of table \"%s\" fires only for an UPDATE that names its columns",
						query_get_text(row, 1),
						quoting_shown_name(query_get_oid(row, 3))),
				 errdetail("It names %s. An UPDATE of the other side of the sync changes that, and does not fire the trigger.",
						   query_get_text(row, 2)),
				 errhint("Create the trigger without OF, or for the columns of both sides.")));
	query_end(&query);
}

void
target_check_triggers(const SyncRule *rule, Oid relid)
{
	List	   *tree = table_tree(relid);
	ListCell   *lc;

	foreach(lc, tree)
		check_trigger_order(lfirst_oid(lc));
	warn_of_triggers_of_columns(rule, tree);
}
