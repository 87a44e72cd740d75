/*
 * key_lock.c
 *		One writer of a key at a time, while unique indexes hold the key in two
 *		forms.
 *
 * INSERT ... ON CONFLICT looks for a conflict in the index that it names.  If a
 * second session inserts the same key between this look and the insertion, it
 * notices that in the same index, and looks again; but in any other unique
 * index it is an error.  So once a rule's new columns have a unique index of
 * their own, concurrent upserts of either release would fail.  Here the second
 * session is kept out in between.  Why no deadlock comes of it is in README.md.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/pquery.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "core/clock.h"
#include "core/compat.h"
#include "core/transaction.h"
#include "core/wait_chain.h"
#include "row/key_lock.h"
#include "rule/twin_keys.h"

/* objsubid of the locks; their class is the table, which no other lock's is */
#define KEY_LOCK_SUBID 1

/* how long a session is waited for that has the lock and does not finish its row */
#define PATIENCE_MS 1000
#define FIRST_NAP_US 50
#define LONGEST_NAP_US 2000

/* keys that a statement looks up before it asks again whether it writes alone */
#define LOOKS_BESIDE_OTHERS 32

/*-------------------------------------------------------------------------
 * The locks that a statement holds.
 *
 * They belong to the (sub)transaction, so that an abort releases them, and are
 * given back by the statement's next row or after its last.  The list of all
 * statements that run is for the callbacks, which must not give back what an
 * abort has released already.
 *-------------------------------------------------------------------------
 */

typedef struct HeldKeys
{
	dlist_node	node;			/* in statements */
	MemoryContext statement;	/* context of the statement, and of this
								 * struct */
	MemoryContextCallback end;
	SubTransactionId subid;
	ResourceOwner owner;
	int			looks;			/* keys to be looked up in any case */
	int			nlocks;
	int			room;
	LOCKTAG    *locks;
} HeldKeys;

/* one for each active statement that has met twins, innermost first */
static dlist_head statements = DLIST_STATIC_INIT(statements);

static ExecutorFinish_hook_type next_executor_finish = NULL;

static void
release_keys(HeldKeys *held)
{
	ResourceOwner caller = CurrentResourceOwner;

	if (held->nlocks == 0)
		return;
	CurrentResourceOwner = held->owner;
	while (held->nlocks > 0)
		(void) LockRelease(&held->locks[--held->nlocks], ExclusiveLock, false);
	CurrentResourceOwner = caller;
}

/* Returns false if another session holds it, or if the lock table is full. */
static bool
try_lock_key(HeldKeys *held, const LOCKTAG *tag)
{
	ResourceOwner caller = CurrentResourceOwner;
	bool		taken;

	/* room first: a lock that is not in the list would not be given back */
	if (held->nlocks == held->room)
	{
		held->room = Max(4, held->room * 2);
		held->locks = held->locks
			? repalloc(held->locks, sizeof(LOCKTAG) * held->room)
			: MemoryContextAlloc(held->statement, sizeof(LOCKTAG) * held->room);
	}
	if (held->nlocks == 0)
	{
		held->subid = GetCurrentSubTransactionId();
		held->owner = CurTransactionResourceOwner;
	}
	CurrentResourceOwner = held->owner;
	taken = compat_lock_try(tag, ExclusiveLock, false);
	CurrentResourceOwner = caller;
	if (taken)
		held->locks[held->nlocks++] = *tag;
	return taken;
}

/* Reset callback of the statement's memory context. */
static void
end_statement_keys(void *arg)
{
	HeldKeys   *held = arg;

	release_keys(held);
	dlist_delete(&held->node);
}

static void
forget_aborted_keys(XactEvent event, void *arg)
{
	dlist_iter	iter;

	if (event != XACT_EVENT_ABORT)
		return;
	dlist_foreach(iter, &statements)
		dlist_container(HeldKeys, node, iter.cur)->nlocks = 0;
}

static void
forget_aborted_subtransaction_keys(SubXactEvent event, SubTransactionId subid,
								   SubTransactionId parent, void *arg)
{
	dlist_iter	iter;

	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	dlist_foreach(iter, &statements)
	{
		HeldKeys   *held = dlist_container(HeldKeys, node, iter.cur);

		if (held->subid == subid)
			held->nlocks = 0;
	}
}

/*
 * All rows are stored: what AFTER triggers wait for is nobody else's business.
 */
static void
release_stored_rows(QueryDesc *query)
{
	dlist_iter	iter;

	dlist_foreach(iter, &statements)
	{
		HeldKeys   *held = dlist_container(HeldKeys, node, iter.cur);

		if (query->estate && held->statement == query->estate->es_query_cxt)
			release_keys(held);
	}
	if (next_executor_finish)
		next_executor_finish(query);
	else
		standard_ExecutorFinish(query);
}

void
key_lock_init(void)
{
	next_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = release_stored_rows;
}

/* Returns what the statement holds: all its partitions share it. */
static HeldKeys *
keys_of_statement(MemoryContext statement)
{
	static bool registered = false;
	HeldKeys   *held;
	dlist_iter	iter;

	dlist_foreach(iter, &statements)
	{
		held = dlist_container(HeldKeys, node, iter.cur);
		if (held->statement == statement)
			return held;
	}
	if (!registered)
	{
		RegisterXactCallback(forget_aborted_keys, NULL);
		RegisterSubXactCallback(forget_aborted_subtransaction_keys, NULL);
		registered = true;
	}
	held = MemoryContextAllocZero(statement, sizeof(HeldKeys));
	held->statement = statement;
	held->looks = 1;
	held->end.func = end_statement_keys;
	held->end.arg = held;
	dlist_push_head(&statements, &held->node);
	MemoryContextRegisterResetCallback(statement, &held->end);
	return held;
}

/*-------------------------------------------------------------------------
 * The key of one row in one index.
 *-------------------------------------------------------------------------
 */

typedef struct RowKey
{
	const TwinKey *key;
	EState	   *estate;			/* of the index's expressions, or NULL */
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	LOCKTAG		lock;
	bool		without_lock;	/* its holder must not be waited for */
} RowKey;

/* Returns false if a row like this is not in the index. */
static bool
form_plain_key(RowKey *row_key, const RowState *state, HeapTuple tuple)
{
	const TwinKey *key = row_key->key;

	for (int i = 0; i < key->nkeys; i++)
		row_key->values[i] = heap_getattr(tuple,
										  key->info->ii_IndexAttrNumbers[i],
										  state->rules->desc,
										  &row_key->nulls[i]);
	return true;
}

/*
 * The expressions are run as the server runs them when it inserts into the
 * index.  What they return lives as long as row_key->estate.
 */
static bool
form_computed_key(RowKey *row_key, const RowState *state, HeapTuple tuple)
{
	IndexInfo	info = *row_key->key->info;
	TupleTableSlot *slot = compat_make_slot(state->rules->desc,
											&TTSOpsHeapTuple);
	ExprContext *econtext;

	row_key->estate = CreateExecutorState();
	econtext = GetPerTupleExprContext(row_key->estate);
	ExecStoreHeapTuple(tuple, slot, false);
	econtext->ecxt_scantuple = slot;
	info.ii_ExpressionsState = NIL;
	if (info.ii_Predicate &&
		!ExecQual(ExecPrepareQual(info.ii_Predicate, row_key->estate), econtext))
		return false;
	FormIndexDatum(&info, slot, row_key->estate, row_key->values,
				   row_key->nulls);
	return true;
}

/* Can another row conflict with this one? */
static bool
key_can_conflict(const RowKey *row_key)
{
	for (int i = 0; i < row_key->key->nkeys; i++)
	{
		if (row_key->nulls[i] && !row_key->key->info->ii_NullsNotDistinct)
			return false;
	}
	return true;
}

static void
set_key_lock_tag(RowKey *row_key, Oid relid)
{
	const TwinKey *key = row_key->key;
	uint32		hash = 0;

	for (int i = 0; i < key->nkeys; i++)
	{
		uint32		value = 0;

		if (!row_key->nulls[i] && OidIsValid(key->hash[i].fn_oid))
			value = DatumGetUInt32(FunctionCall1Coll(&key->hash[i],
													 key->collations[i],
													 row_key->values[i]));
		hash = hash_combine(hash, (uint32) key->info->ii_IndexAttrNumbers[i]);
		hash = hash_combine(hash, value);
	}
	/* not by the index: a REINDEX CONCURRENTLY gives it another OID */
	SET_LOCKTAG_OBJECT(row_key->lock, MyDatabaseId, relid, hash, KEY_LOCK_SUBID);
}

/* Does an UPDATE leave alone what the index reads? */
static bool
key_is_unchanged(const TwinKey *key, const RowState *state, HeapTuple tuple,
				 TupleTableSlot *before)
{
	int			attnum = -1;

	while ((attnum = bms_next_member(key->columns, attnum)) >= 0)
	{
		Form_pg_attribute att = TupleDescAttr(state->rules->desc, attnum - 1);
		bool		null;
		bool		null_before;
		Datum		value = heap_getattr(tuple, attnum, state->rules->desc,
										 &null);
		Datum		value_before = slot_getattr(before, attnum, &null_before);

		if (null != null_before ||
			(!null && !datum_image_eq(value, value_before, att->attbyval,
									  att->attlen)))
			return false;
	}
	return true;
}

/* Returns the number of keys of the row that are to be locked. */
static int
form_row_keys(RowKey *row_keys, const RowState *state, HeapTuple tuple,
			  TupleTableSlot *before)
{
	int			count = 0;
	ListCell   *lc;

	foreach(lc, state->table->twin_keys)
	{
		RowKey	   *row_key = &row_keys[count];
		bool		in_index;

		row_key->key = lfirst(lc);
		row_key->estate = NULL;
		row_key->without_lock = false;
		if (before && key_is_unchanged(row_key->key, state, tuple, before))
			continue;
		in_index = row_key->key->is_plain
			? form_plain_key(row_key, state, tuple)
			: form_computed_key(row_key, state, tuple);
		if (in_index && key_can_conflict(row_key))
		{
			set_key_lock_tag(row_key, state->table->relid);
			count++;
		}
		else if (row_key->estate)
			FreeExecutorState(row_key->estate);
	}
	return count;
}

/*-------------------------------------------------------------------------
 * Is another transaction writing the key?
 *-------------------------------------------------------------------------
 */

typedef struct KeyWriter
{
	bool		row_exists;
	TransactionId xid;			/* invalid: nobody is writing the row */
	uint32		token;			/* of a speculative insertion, or 0 */
	ItemPointerData tid;		/* its row */
} KeyWriter;

static void
init_scan_keys(ScanKeyData *scan_keys, const RowKey *row_key)
{
	const TwinKey *key = row_key->key;

	for (int i = 0; i < key->nkeys; i++)
		ScanKeyEntryInitialize(&scan_keys[i],
							   row_key->nulls[i] ? SK_ISNULL | SK_SEARCHNULL : 0,
							   i + 1, key->info->ii_UniqueStrats[i], InvalidOid,
							   key->collations[i], key->info->ii_UniqueProcs[i],
							   row_key->values[i]);
}

/*
 * Looks the key up, rows that are not committed included.  A row that no open
 * transaction has inserted, updated or deleted is as good as none: the server
 * will find it.
 */
static KeyWriter
find_key_writer(Relation rel, const RowKey *row_key)
{
	Relation	index = index_open(row_key->key->index, RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	KeyWriter	writer = {0};
	SnapshotData dirty;
	ScanKeyData scan_keys[INDEX_MAX_KEYS];
	IndexScanDesc scan;

	InitDirtySnapshot(dirty);
	init_scan_keys(scan_keys, row_key);
	scan = compat_begin_index_scan(rel, index, &dirty, row_key->key->nkeys);
	index_rescan(scan, scan_keys, row_key->key->nkeys, NULL, 0);
	if (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		writer.row_exists = true;
		writer.xid = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
		writer.token = dirty.speculativeToken;
		writer.tid = slot->tts_tid;
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, RowExclusiveLock);
	return writer;
}

/*
 * Can nobody be writing a key?  The first row of a statement does not ask, since
 * the answer takes a lock that all sessions share; nor do the next rows of one
 * that others write beside.
 */
static bool
no_writer_is_open(HeldKeys *held)
{
	if (held->looks > 0)
	{
		held->looks--;
		return false;
	}
	if (transaction_writes_alone())
		return true;
	held->looks = LOOKS_BESIDE_OTHERS;
	return false;
}

/* The server's deadlock detector sees this wait, as it would see its own. */
static void
wait_for_key_writer(Relation rel, KeyWriter *writer)
{
	if (writer->token)
		SpeculativeInsertionWait(writer->xid, writer->token);
	else
		XactLockTableWait(writer->xid, rel, &writer->tid, XLTW_InsertIndex);
}

/*-------------------------------------------------------------------------
 * The lock.
 *-------------------------------------------------------------------------
 */

typedef struct Patience
{
	int64		until;			/* 0: the wait has not begun */
	long		nap_us;
} Patience;

/*
 * Is the statement an INSERT that updates the row it conflicts with?  Known of
 * what the client itself sends.
 */
static bool
statement_updates_on_conflict(MemoryContext statement)
{
	PlannedStmt *query;

	if (ActivePortal == NULL || list_length(ActivePortal->stmts) != 1 ||
		MemoryContextGetParent(statement) != ActivePortal->portalContext)
		return false;
	query = linitial_node(PlannedStmt, ActivePortal->stmts);
	return query->planTree && IsA(query->planTree, ModifyTable) &&
		((ModifyTable *) query->planTree)->onConflictAction == ONCONFLICT_UPDATE;
}

/*
 * The session that has the lock is between its look and the end of its row,
 * usually for microseconds.  Sleeps for a moment; returns false if that session
 * must not be waited for any longer.  It is not waited for in the lock's own
 * queue, where the wait could be part of a deadlock.
 *
 * If it waits itself, for a row or in another index, so must we, unless it
 * waits for us: it continues and inserts the key, or finds it gone and does.  But
 * where the row is there already, only an upsert would wait for it without us.
 */
static bool
nap_for_holder(const LOCKTAG *lock, bool wait_with_it, Patience *patience)
{
	LockHolder	holder = wait_chain_holder(lock, ExclusiveLock);

	CHECK_FOR_INTERRUPTS();
	if (holder == HOLDER_WAITS_FOR_US)
		return false;
	if (patience->until == 0)
	{
		patience->until = clock_after_ms(PATIENCE_MS);
		patience->nap_us = FIRST_NAP_US;
	}
	else if (!(holder == HOLDER_WAITS && wait_with_it) &&
			 clock_ms_until(patience->until) <= 0)
		return false;
	pgstat_report_wait_start(PG_WAIT_EXTENSION);
	pg_usleep(patience->nap_us);
	pgstat_report_wait_end();
	patience->nap_us = Min(patience->nap_us * 2, LONGEST_NAP_US);
	return true;
}

/*
 * Locks a key and looks for its writer, unless nobody writes.  Returns true if
 * the row may go on with this key.  The look comes after the lock, so no writer
 * that locks its keys can come between it and the insertion.
 */
static bool
lock_row_key(Relation rel, HeldKeys *held, const RowKey *row_key,
			 KeyWriter *writer)
{
	bool		locked = row_key->without_lock ||
	try_lock_key(held, &row_key->lock);

	if (locked && no_writer_is_open(held))
		return true;
	*writer = find_key_writer(rel, row_key);
	return locked && !TransactionIdIsValid(writer->xid);
}

/* Locks all keys of the row, or none while it waits. */
static void
lock_row_keys(Relation rel, HeldKeys *held, RowKey *row_keys, int count)
{
	Patience	patience = {0};
	int			i = 0;

	while (i < count)
	{
		RowKey	   *row_key = &row_keys[i];
		KeyWriter	writer;

		if (lock_row_key(rel, held, row_key, &writer))
		{
			i++;
			continue;
		}
		release_keys(held);
		if (TransactionIdIsValid(writer.xid))
		{
			wait_for_key_writer(rel, &writer);
			patience.until = 0;
		}
		else if (!nap_for_holder(&row_key->lock,
								 !writer.row_exists ||
								 statement_updates_on_conflict(held->statement),
								 &patience))
			row_key->without_lock = true;
		i = 0;
	}
}

void
key_lock_take_twins(RowState *state, HeapTuple tuple, TupleTableSlot *before)
{
	TableRules *table = state->table;
	HeldKeys   *held;
	RowKey	   *row_keys;
	int			count;

	if (!table->twin_keys_known)
		twin_keys_find(state->rel, table);
	if (table->twin_keys == NIL)
		return;
	held = keys_of_statement(state->statement);
	row_keys = palloc(sizeof(RowKey) * list_length(table->twin_keys));
	count = form_row_keys(row_keys, state, tuple, before);

	/*
	 * An UPDATE that leaves the keys alone may be what an upsert does to the
	 * row that it found.  Until the row is stored, nobody may look for it:
	 * who reads the index before, and the row after this transaction has
	 * ended, finds neither version.
	 */
	if (before == NULL || count > 0)
		release_keys(held);
	lock_row_keys(state->rel, held, row_keys, count);
	for (int i = 0; i < count; i++)
	{
		if (row_keys[i].estate)
			FreeExecutorState(row_keys[i].estate);
	}
	pfree(row_keys);
}
