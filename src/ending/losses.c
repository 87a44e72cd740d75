/*
 * losses.c
 *		What abort loses: values that only the new columns have.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "catalog/owned_column.h"
#include "catalog/sync.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ending/kept.h"
#include "ending/losses.h"
#include "ending/tables.h"
#include "fill/former_writers.h"
#include "fill/verify.h"
#include "rule/expression.h"

/* A table, or a partition, whose rows are counted. */
typedef struct LossCount
{
	const Migration *migration;
	const SyncRule *rule;
	Oid			relation;
	int64		until;			/* when to stop, or CLOCK_NEVER */
	XLogRecPtr	since;			/* in the second look: only of what is newer,
								 * if valid */
	bool		again;			/* is it the second look? */
	VerifyResult counts;
} LossCount;

/*
 * Values that come back by down are lost only where down says less than they do.
 * A look for them is to hold up no abort of a large table.
 */
#define TWO_WAY_SECONDS 10

/* The second look has the tables locked: clients wait as for a try for a lock. */
#define AGAIN_MS (setting_lock_timeout / 2)

typedef enum RuleKind
{
	RULE_ONE_WAY,				/* some old column gets no value from the new
								 * ones */
	RULE_DERIVED,
	RULE_TWO_WAY
} RuleKind;

static RuleKind
kind_of_rule(const SyncRule *rule)
{
	if (rule_is_derived(rule))
		return RULE_DERIVED;
	return rule->down == NIL || list_member_ptr(rule->down, NULL)
		? RULE_ONE_WAY : RULE_TWO_WAY;
}

static bool
rules_have_kind(List *rules, RuleKind kind)
{
	ListCell   *lc;

	foreach(lc, rules)
	{
		if (kind_of_rule(lfirst(lc)) == kind)
			return true;
	}
	return false;
}

static int64
count_failed_downs(const Migration *migration)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration->id);
	return query_end_bigint(&query, query_run_latest(&query,
													 "SELECT count(*) FROM tandem.quarantined_row q JOIN tandem.sync s ON s.id = q.sync "
													 "WHERE s.migration = $1 AND q.direction = 'down'"));
}

/* The whole row has that name in an expression. */
static const char *
alias_of_condition(const char *condition)
{
	return strstr(condition, EXPRESSION_ALIAS ".") ? " AS " EXPRESSION_ALIAS : "";
}

/* condition finds the rows. */
static List *
line_of_count(List *lines, int64 count, Oid relid, const char *what,
			  const char *condition)
{
	if (count == 0)
		return lines;
	return lappend(lines, psprintf("table %s: " INT64_FORMAT " %s %s: SELECT * FROM %s%s WHERE %s;",
								   quoting_relation(relid), count,
								   count == 1 ? "row" : "rows", what,
								   quoting_relation(relid),
								   alias_of_condition(condition), condition));
}

/*
 * Returns the condition for another value of the column than SQL gives.  A type
 * like json has no equality of its own.
 */
static char *
condition_of_value(Oid relid, const char *column, const char *sql)
{
	Oid			type = get_atttype(relid, get_attnum(relid, column));
	const char *name = quote_identifier(column);

	if (!OidIsValid(type) ||
		OidIsValid(lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr))
		return psprintf("%s IS DISTINCT FROM %s", name, sql);
	/* servers before 19 qualify a name of the server's own, too */
	return psprintf("%s::text IS DISTINCT FROM (%s)::%s::text", name, sql,
					type < FirstNormalObjectId ? format_type_be(type)
					: format_type_be_qualified(type));
}

/*
 * Returns the condition for a value of a new column that up does not give, of
 * the rules of that kind.
 */
static char *
condition_of_rules(List *rules, RuleKind kind)
{
	List	   *conditions = NIL;
	ListCell   *lc;
	ListCell   *column;
	ListCell   *up;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		if (kind_of_rule(rule) != kind)
			continue;
		forboth(column, rule->new_columns, up, rule->up)
		{
			conditions = lappend(conditions,
								 condition_of_value(rule->relation, lfirst(column),
													psprintf("(%s)", (char *) lfirst(up))));
		}
	}
	return text_joined(conditions, "", " OR ");
}

static void
count_rows_of_leaf(void *arg)
{
	LossCount  *count = arg;

	snapshot_push_latest();
	verify_leaf(count->relation, count->migration->name,
				count->rule->search_path, count->until, count->since,
				&count->counts);
	PopActiveSnapshot();
}

/* The columns are gone when somebody reads this. */
static void
warn_of_unread_again(const Migration *migration, Oid relid, const char *why)
{
	ereport(WARNING,
			(errmsg("abort of migration \"%s\" may lose values of new columns that were written after it had looked for them",
					migration->name),
			 errdetail("Table %s: %s.", quoting_relation(relid), why)));
}

/* What was not looked at, and why. */
static void
warn_of_unread(const LossCount *count, List *rules, const char *why)
{
	char	   *table;
	char	   *condition;

	if (count->again)
	{
		warn_of_unread_again(count->migration, count->relation, why);
		return;
	}
	table = quoting_relation(count->relation);
	condition = condition_of_rules(rules, RULE_TWO_WAY);
	ereport(WARNING,
			(errmsg("abort of migration \"%s\" may lose values of new columns that up does not give",
					count->migration->name),
			 errdetail("Table %s: %s.", table, why),
			 errhint("SELECT * FROM %s%s WHERE %s; shows them, as long as the columns are there.",
					 table, alias_of_condition(condition), condition)));
}

/*
 * Fails closed: what cannot be counted may be lost.  But one whose values come
 * back must be able to end although its sync is broken, or somebody has the
 * table locked.
 */
static List *
lines_not_counted(List *lines, const LossCount *count, List *rules,
				  ErrorData *error)
{
	if (count->until == CLOCK_NEVER)
		return lappend(lines, psprintf("table %s: its rows cannot be counted, since the sync is broken",
									   quoting_relation(count->relation)));
	warn_of_unread(count, rules, error->message);
	return lines;
}

/*
 * What must be counted is waited for as what abort locks is: not for long if
 * others wait for this transaction.
 */
static void
lock_to_count(Oid leaf)
{
	lock_relations(list_append_unique_oid(list_make1_oid(leaf), table_root(leaf)),
				   AccessShareLock);
}

static void
count_locked_rows_of_leaf(void *arg)
{
	lock_to_count(((LossCount *) arg)->relation);
	count_rows_of_leaf(arg);
}

/*
 * Rolls back what takes the locks of a count: kept, they would be in the way of
 * others who lock the table.
 */
static ErrorData *
count_and_unlock(void (*count) (void *), void *arg)
{
	ErrorData  *error = subtransaction_rehearse(count, arg);

	if (error && error_passes_with_others(error))
		ReThrowError(error);
	return error;
}

static List *
lines_of_leaf(List *lines, LossCount *count, List *rules)
{
	ErrorData  *error;

	verify_result_init(&count->counts);
	error = count->until == CLOCK_NEVER
		? count_and_unlock(count_locked_rows_of_leaf, count)
		: lock_limited_try(count_rows_of_leaf, count, setting_lock_timeout);
	if (error)
		return lines_not_counted(lines, count, rules, error);
	if (count->counts.blocks_unread > 0)
		warn_of_unread(count, rules,
					   psprintf("%u of its blocks were not read within the %d %s that this may take",
								count->counts.blocks_unread,
								count->again ? AGAIN_MS : TWO_WAY_SECONDS,
								count->again ? "ms" : "s"));
	if (rules_have_kind(rules, RULE_ONE_WAY))
		lines = line_of_count(lines, count->counts.rows_mismatched,
							  count->relation,
							  "with a value that up does not give, and that no down writes back",
							  condition_of_rules(rules, RULE_ONE_WAY));
	lines = line_of_count(lines, count->counts.rows_own, count->relation,
						  "in which a derived column has a value of its own",
						  condition_of_rules(rules, RULE_DERIVED));
	return line_of_count(lines, count->counts.rows_new_only, count->relation,
						 "with a value that up does not give, and of which down writes back only a part",
						 condition_of_rules(rules, RULE_TWO_WAY));
}

static List *
rules_of_table(List *rules, Oid relid)
{
	List	   *found = NIL;
	ListCell   *lc;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->relation == relid && rule_has_new_side(rule))
			found = lappend(found, lfirst(lc));
	}
	return found;
}

/*-------------------------------------------------------------------------
 * Columns that add_column has added, and that no sync sets: what they hold
 * beside their default is what the new release has written.
 *-------------------------------------------------------------------------
 */

/* Such a column of one leaf, and the values that nobody has given. */
typedef struct PlainColumn
{
	Oid			relation;
	const char *name;
	AttrNumber	number;
	int16		length;
	bool		by_value;
	NullableDatum initial;		/* of rows that were there before it */
	NullableDatum standard;		/* of rows that do not name it */
	int64		rows;
} PlainColumn;

/* Those of one leaf, as in LossCount. */
typedef struct PlainCount
{
	List	   *columns;
	bool		again;
	int64		until;
	XLogRecPtr	since;
	BlockNumber unread;
} PlainCount;

/*
 * Sets the default of the column.  Its text is evaluated as far as it is
 * constant, as the table's owner.  Returns false if it is not.
 */
static bool
read_standard_value(PlainColumn *column, Relation rel)
{
	Node	   *value = kept_column_default(rel, column->number);

	column->standard.isnull = true;
	if (value == NULL)
		return true;
	if (!IsA(value, Const))
		return false;
	column->standard.isnull = ((Const *) value)->constisnull;
	column->standard.value = ((Const *) value)->constvalue;
	return true;
}

static bool
same_value(const PlainColumn *column, NullableDatum a, NullableDatum b)
{
	if (a.isnull || b.isnull)
		return a.isnull && b.isnull;
	return datum_image_eq(a.value, b.value, column->by_value, column->length);
}

static bool
value_is_given(const PlainColumn *column, TupleTableSlot *slot)
{
	NullableDatum value;

	value.value = slot_getattr(slot, column->number, &value.isnull);

	/*
	 * a NULL of a row that was there before is one of a column without
	 * default
	 */
	if (value.isnull)
		return !column->initial.isnull && !column->standard.isnull;
	return !same_value(column, value, column->initial) &&
		!same_value(column, value, column->standard);
}

static void
count_values_of_row(List *columns, TupleTableSlot *slot)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		PlainColumn *column = lfirst(lc);

		if (value_is_given(column, slot))
			column->rows++;
	}
}

/* All columns in one pass, since the table may be large. */
static void
count_given_values(List *columns, Relation rel)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = compat_begin_scan(rel, GetActiveSnapshot());

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		count_values_of_row(columns, slot);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

static void
count_values_of_block(List *columns, Relation rel, BlockNumber block,
					  TupleTableSlot *slot)
{
	TableScanDesc scan = table_rows_begin_scan(rel, block, block);

	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
		count_values_of_row(columns, slot);
	table_endscan(scan);
}

/* Returns how many blocks were not read in time. */
static BlockNumber
count_newer_values(PlainCount *count, Relation rel)
{
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	BlockNumber blocks = RelationGetNumberOfBlocks(rel);
	BlockNumber block;

	for (block = 0; block < blocks && clock_now() < count->until; block++)
	{
		CHECK_FOR_INTERRUPTS();
		if (XLogRecPtrIsInvalid(count->since) ||
			heap_block_is_newer(rel, block, count->since))
			count_values_of_block(count->columns, rel, block, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	return blocks - block;
}

/* Returns false for a column whose values cannot tell, or that is gone. */
static bool
describe_plain_column(PlainColumn *column, Relation rel)
{
	Form_pg_attribute attribute;

	column->number = get_attnum(column->relation, column->name);
	if (column->number == InvalidAttrNumber)
		return false;
	attribute = TupleDescAttr(RelationGetDescr(rel), column->number - 1);
	column->length = attribute->attlen;
	column->by_value = attribute->attbyval;
	column->initial.value = getmissingattr(RelationGetDescr(rel), column->number,
										   &column->initial.isnull);
	return read_standard_value(column, rel);
}

/* Counts the rows of the columns, which are of one leaf. */
static void
count_plain_columns(void *arg)
{
	PlainCount *count = arg;
	Oid			leaf = ((PlainColumn *) linitial(count->columns))->relation;
	Relation	rel;
	List	   *countable = NIL;
	ListCell   *lc;

	lock_to_count(leaf);
	rel = table_open_leaf(leaf, AccessShareLock);
	/* dropped while others were read */
	if (rel == NULL)
		return;
	foreach(lc, count->columns)
	{
		if (describe_plain_column(lfirst(lc), rel))
			countable = lappend(countable, lfirst(lc));
	}
	if (countable != NIL)
	{
		PlainCount	part = *count;

		part.columns = countable;
		snapshot_push_latest();
		if (count->again)
			count->unread = count_newer_values(&part, rel);
		else
			count_given_values(countable, rel);
		PopActiveSnapshot();
	}
	table_close(rel, AccessShareLock);
}

static bool
rules_set_column(List *rules, Oid relid, const char *name)
{
	ListCell   *lc;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->relation == relid && text_is_among(name, rule->new_columns))
			return true;
	}
	return false;
}

/* Returns the names of the columns that the migration has added, and no rule sets. */
static List *
plain_column_names(const Migration *migration, List *rules, Oid relid)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, owned_column_list(migration->id, relid))
	{
		if (!rules_set_column(rules, relid, lfirst(lc)))
			names = lappend(names, lfirst(lc));
	}
	return names;
}

/* Returns the columns of those names of one leaf, counted. */
static List *
plain_columns_of_leaf(List *names, Oid leaf, LossCount *look)
{
	PlainCount	count = {
		.again = look->again,.until = look->until,.since = look->since
	};
	ErrorData  *error;
	ListCell   *lc;

	foreach(lc, names)
	{
		PlainColumn *column = palloc0(sizeof(PlainColumn));

		column->relation = leaf;
		column->name = lfirst(lc);
		count.columns = lappend(count.columns, column);
	}
	error = count_and_unlock(count_plain_columns, &count);
	if (error)
		ReThrowError(error);
	if (count.unread > 0)
		warn_of_unread_again(look->migration, leaf,
							 psprintf("%u of its blocks were not read within the %d ms that this may take",
									  count.unread, AGAIN_MS));
	return count.columns;
}

/* Returns the condition for a value that is not the column's default. */
static char *
condition_of_plain_column(const PlainColumn *column)
{
	TandemQuery query;
	List	   *texts;

	query_begin(&query);
	query_oid(&query, column->relation);
	query_int(&query, column->number);
	texts = query_texts(&query,
						"SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d "
						"WHERE d.adrelid = $1 AND d.adnum = $2");
	query_end(&query);
	return texts == NIL ? psprintf("%s IS NOT NULL", quote_identifier(column->name))
		: condition_of_value(column->relation, column->name, linitial(texts));
}

/*
 * Returns the file of a heap that is written to the WAL, or InvalidOid: with another
 * number it has been rewritten.
 */
static Oid
file_of_heap(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	Oid			file = InvalidOid;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	form = (Form_pg_class) GETSTRUCT(tuple);
	if (form->relam == HEAP_TABLE_AM_OID &&
		form->relpersistence == RELPERSISTENCE_PERMANENT)
		file = form->relfilenode;
	ReleaseSysCache(tuple);
	return file;
}

/* Notes in the first look which file it reads; by that the second knows what is new. */
static XLogRecPtr
begin_look_at_leaf(LossLook *look, Oid leaf, bool again)
{
	Oid			file = file_of_heap(leaf);

	if (again)
		return OidIsValid(file) && list_member_oid(look->files, file)
			? look->begun : InvalidXLogRecPtr;
	look->files = list_append_unique_oid(look->files, file);
	return InvalidXLogRecPtr;
}

/* Adds the columns of one table that hold what the new release has written. */
static List *
lines_of_plain_columns(List *lines, List *names, LossLook *look, LossCount *count)
{
	List	   *columns = NIL;
	ListCell   *lc;
	ListCell   *counted;

	foreach(lc, names == NIL ? NIL : table_leaves(count->relation))
	{
		LossCount	leaf = *count;

		if (table_rows_problem(lfirst_oid(lc)) != NULL)
			continue;
		leaf.since = begin_look_at_leaf(look, lfirst_oid(lc), count->again);
		columns = list_concat(columns,
							  plain_columns_of_leaf(names, lfirst_oid(lc), &leaf));
	}
	foreach(lc, names)
	{
		foreach(counted, columns)
		{
			PlainColumn *column = lfirst(counted);

			if (column->name == lfirst(lc))
				lines = line_of_count(lines, column->rows, column->relation,
									  psprintf("with a value in column %s",
											   quote_identifier(column->name)),
									  condition_of_plain_column(column));
		}
	}
	return lines;
}

/* Waits for those that write the tables now; returns one that is left, or NULL. */
static char *
wait_for_writers(List *leaves, int64 until)
{
	ListCell   *lc;

	foreach(lc, former_writers_find(leaves))
	{
		const char *writer = lfirst(lc);
		const char *prepared = strncmp(writer, "-1/", 3) == 0 ? writer + 3 : NULL;
		char	   *left;

		lock_wait_for_transaction(prepared ? prepared : writer,
								  (int) clock_ms_until(until));
		left = former_writers_left(leaves, list_make1(lfirst(lc)));
		if (left)
			return lock_describe_marks(left);
	}
	return NULL;
}

/*
 * What a transaction that is open has written cannot be counted before it ends.
 * That it ends before the tables are locked is of no use to who has written there.
 */
static void
wait_to_count(const Migration *migration, Oid relid, List *rules, bool whole)
{
	int64		until = clock_after_ms(whole ? setting_lock_retry_time * INT64CONST(1000)
									   : setting_lock_timeout);
	LossCount	count = {.migration = migration,.relation = relid};
	char	   *left = wait_for_writers(table_leaves(relid), until);

	if (left == NULL)
		return;
	if (whole)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("a transaction that writes tables of migration \"%s\" has not ended within %d s",
						migration->name, setting_lock_retry_time),
				 errdetail("This one: %s.", left),
				 errhint("Let it end, then call it again; nothing was changed. With force => true nothing is counted.")));
	warn_of_unread(&count, rules,
				   psprintf("a transaction that writes it has not ended: %s", left));
}

/* What is noted in quarantine, without reading a table. */
static List *
lines_of_quarantine(const Migration *migration)
{
	int64		failed = count_failed_downs(migration);

	if (failed == 0)
		return NIL;
	return list_make1(psprintf(INT64_FORMAT " %s in quarantine, since down fails on %s",
							   failed, failed == 1 ? "row is" : "rows are",
							   failed == 1 ? "it" : "them"));
}

/* until is when to stop with what need not be counted as a whole. */
static List *
lines_of_table(List *lines, LossCount *count, List *rules, LossLook *look,
			   int64 until)
{
	List	   *counted = rules_of_table(rules, count->relation);
	bool		whole = rules_have_kind(counted, RULE_ONE_WAY) ||
	rules_have_kind(counted, RULE_DERIVED);
	List	   *names = plain_column_names(count->migration, rules, count->relation);
	ListCell   *lc;

	count->until = until;
	if (!count->again && (counted != NIL || names != NIL))
		wait_to_count(count->migration, count->relation, counted,
					  whole || names != NIL);
	lines = lines_of_plain_columns(lines, names, look, count);
	foreach(lc, counted == NIL ? NIL : table_leaves(count->relation))
	{
		LossCount	leaf = *count;

		if (table_rows_problem(lfirst_oid(lc)) != NULL)
			continue;
		leaf.rule = linitial(counted);
		leaf.relation = lfirst_oid(lc);
		leaf.since = begin_look_at_leaf(look, leaf.relation, count->again);
		if (whole && !count->again)
			leaf.until = CLOCK_NEVER;
		lines = lines_of_leaf(lines, &leaf, counted);
	}
	return lines;
}

static List *
lines_of_tables(const Migration *migration, LossLook *look, bool again,
				int64 until)
{
	List	   *rules = sync_list_of_migration(migration->id);
	List	   *lines = list_concat(lines_of_quarantine(migration), tables_losses(migration));
	ListCell   *lc;

	foreach(lc, sync_relations_of_migration(migration->id))
	{
		LossCount	count = {
			.migration = migration,.relation = lfirst_oid(lc),.again = again
		};

		if (relation_exists(lfirst_oid(lc)))
			lines = lines_of_table(lines, &count, rules, look, until);
	}
	return lines;
}

List *
abort_losses(const Migration *migration, LossLook *look)
{
	/* who writes before is waited for */
	look->begun = GetXLogInsertRecPtr();
	return lines_of_tables(migration, look, false,
						   clock_after_ms(TWO_WAY_SECONDS * 1000));
}

List *
abort_losses_since(const Migration *migration, const LossLook *look)
{
	LossLook	seen = *look;

	return lines_of_tables(migration, &seen, true, clock_after_ms(AGAIN_MS));
}
