/*
 * compat.h
 *		The differences between server versions 15 to 19, as static inlines.
 *
 * This is the only file that looks at PG_VERSION_NUM.
 */
#ifndef TANDEM_COMPAT_H
#define TANDEM_COMPAT_H

#include "access/genam.h"
#include "access/heapam.h"
#include "access/sysattr.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_subscription.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "parser/parse_type.h"
#include "postmaster/bgworker.h"
#include "replication/origin.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#if PG_VERSION_NUM >= 190000
#include "nodes/miscnodes.h"
#endif

#if PG_VERSION_NUM >= 160000
#include "parser/parse_relation.h"
#include "varatt.h"
#endif
#if PG_VERSION_NUM < 170000
#include "storage/sinvaladt.h"
#endif

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 200000
#error "pg_tandem supports PostgreSQL 15 to 19"
#endif

/* Declares a function that does not return. */
#if PG_VERSION_NUM >= 180000
#define COMPAT_NORETURN pg_noreturn
#else
#define COMPAT_NORETURN pg_attribute_noreturn()
#endif

/* What the hook behind parse analysis gets of a query. */
#if PG_VERSION_NUM >= 190000
#define COMPAT_JUMBLE_STATE const JumbleState
#else
#define COMPAT_JUMBLE_STATE JumbleState
#endif

/* Returns the relfilenumber, which changes when the table is rewritten. */
static inline Oid
compat_relation_file(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	return rel->rd_locator.relNumber;
#else
	return rel->rd_node.relNode;
#endif
}

/* Does the table have generated columns, stored or virtual? */
static inline bool
compat_has_generated(TupleDesc desc)
{
#if PG_VERSION_NUM >= 180000
	return desc->constr && (desc->constr->has_generated_stored ||
							desc->constr->has_generated_virtual);
#else
	return desc->constr && desc->constr->has_generated_stored;
#endif
}

/*
 * Returns the expression over columns of rel with virtual generated columns
 * replaced by what they are computed from: rows do not contain them.
 */
static inline Node *
compat_expand_virtual(Node *expression, Relation rel)
{
#if PG_VERSION_NUM >= 180000
	return expand_generated_columns_in_expr(expression, rel, 1);
#else
	return expression;
#endif
}

/* Has the server ALTER COLUMN ... SET EXPRESSION? */
static inline bool
compat_has_set_expression(void)
{
#if PG_VERSION_NUM >= 170000
	return true;
#else
	return false;
#endif
}

/* The command, or none, for tables that are constant. */
#if PG_VERSION_NUM >= 170000
#define COMPAT_AT_SET_EXPRESSION AT_SetExpression
#else
#define COMPAT_AT_SET_EXPRESSION (-2)
#endif

/* Is a command that? */
static inline bool
compat_sets_expression(AlterTableType command)
{
#if PG_VERSION_NUM >= 170000
	return command == AT_SetExpression;
#else
	return false;
#endif
}

/* Has a parsed UPDATE a RETURNING? */
static inline bool
compat_has_returning(const UpdateStmt *update)
{
#if PG_VERSION_NUM >= 180000
	return update->returningClause != NULL;
#else
	return update->returningList != NIL;
#endif
}

/* Has the running transaction given the relation a new file? */
static inline bool
compat_is_rewritten(Relation rel)
{
#if PG_VERSION_NUM >= 160000
	return rel->rd_firstRelfilelocatorSubid != InvalidSubTransactionId;
#else
	return rel->rd_firstRelfilenodeSubid != InvalidSubTransactionId;
#endif
}

/* Lets the whole row of a range table entry be one of that relation. */
static inline void
compat_set_row_relation(ParseNamespaceItem *item, Oid relid)
{
	item->p_rte->relid = relid;
#if PG_VERSION_NUM >= 160000
	item->p_perminfo->relid = relid;
#endif
}

/*
 * Gives an expression node the form in which the server reads it again after
 * deparsing: JSON_QUERY is written with the wrapper and the format that it has
 * by default.
 */
static inline void
compat_unify_json(Node *node)
{
#if PG_VERSION_NUM >= 170000
	JsonExpr   *json = (JsonExpr *) node;

	if (!IsA(node, JsonExpr) || json->op != JSON_QUERY_OP)
		return;
	if (json->wrapper == JSW_UNSPEC)
		json->wrapper = JSW_NONE;
	if (json->returning && json->returning->format)
		json->returning->format->format_type = JS_FORMAT_DEFAULT;
#endif
}

/* Is it an expression of SQL/JSON, as newer servers have it, with a type? */
static inline bool
compat_is_json_value(Node *node)
{
#if PG_VERSION_NUM >= 170000
	return IsA(node, JsonExpr) || IsA(node, JsonConstructorExpr) ||
		IsA(node, JsonValueExpr);
#elif PG_VERSION_NUM >= 160000
	return IsA(node, JsonConstructorExpr) || IsA(node, JsonValueExpr);
#else
	return false;
#endif
}

/* May the role execute the function? */
static inline bool
compat_may_execute(Oid function, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

/* The major version of the server, such as 15. */
#define COMPAT_MAJOR_VERSION (PG_VERSION_NUM / 10000)

/* Returns a slot for rows of desc that belongs to no tuple table. */
static inline TupleTableSlot *
compat_make_slot(TupleDesc desc, const TupleTableSlotOps *operations)
{
#if PG_VERSION_NUM >= 190000
	return MakeTupleTableSlot(desc, operations, 0);
#else
	return MakeTupleTableSlot(desc, operations);
#endif
}

/* Call when all columns of a new descriptor are set. */
static inline void
compat_finish_desc(TupleDesc desc)
{
#if PG_VERSION_NUM >= 190000
	TupleDescFinalize(desc);
#endif
}

/* Begins a scan of the whole table. */
static inline TableScanDesc
compat_begin_scan(Relation rel, Snapshot snapshot)
{
#if PG_VERSION_NUM >= 190000
	return table_beginscan(rel, snapshot, 0, NULL, SO_NONE);
#else
	return table_beginscan(rel, snapshot, 0, NULL);
#endif
}

/*
 * Begins a scan of the rows between two TIDs.  The caller may write the table,
 * so the scan is not flagged as read-only.
 */
static inline TableScanDesc
compat_begin_range_scan(Relation rel, Snapshot snapshot, ItemPointer from,
						ItemPointer to)
{
#if PG_VERSION_NUM >= 190000
	return table_beginscan_tidrange(rel, snapshot, from, to, SO_NONE);
#else
	return table_beginscan_tidrange(rel, snapshot, from, to);
#endif
}

/*
 * Prunes a page if that is worthwhile.  The buffer is pinned and not locked.
 */
static inline void
compat_prune_page(Relation rel, Buffer buffer)
{
#if PG_VERSION_NUM >= 190000
	Buffer		visibility_map = InvalidBuffer;

	heap_page_prune_opt(rel, buffer, &visibility_map, false);
	if (BufferIsValid(visibility_map))
		ReleaseBuffer(visibility_map);
#else
	heap_page_prune_opt(rel, buffer);
#endif
}

/* Tells which indexes need new entries after an update. */
#if PG_VERSION_NUM >= 160000
typedef TU_UpdateIndexes CompatUpdateIndexes;

static inline bool
compat_needs_indexes(CompatUpdateIndexes update_indexes)
{
	return update_indexes != TU_None;
}
#else
typedef bool CompatUpdateIndexes;

static inline bool
compat_needs_indexes(CompatUpdateIndexes update_indexes)
{
	return update_indexes;
}
#endif

/*
 * Updates a row, waiting for a session that has it locked.  Returns false if
 * the row was updated or deleted.
 */
static inline bool
compat_update_tuple(Relation rel, ItemPointer tid, TupleTableSlot *slot,
					CommandId command, Snapshot snapshot,
					CompatUpdateIndexes *update_indexes)
{
	LockTupleMode mode;
	TM_FailureData failure;

#if PG_VERSION_NUM >= 190000
	return table_tuple_update(rel, tid, slot, command, 0, snapshot,
							  InvalidSnapshot, true, &failure, &mode,
							  update_indexes) == TM_Ok;
#else
	return table_tuple_update(rel, tid, slot, command, snapshot,
							  InvalidSnapshot, true, &failure, &mode,
							  update_indexes) == TM_Ok;
#endif
}

/*
 * Inserts the index entries of an updated tuple; returns the indexes to
 * recheck.
 */
static inline List *
compat_insert_index_tuples(ResultRelInfo *rri, TupleTableSlot *slot,
						   EState *estate, CompatUpdateIndexes update_indexes)
{
#if PG_VERSION_NUM >= 190000
	return ExecInsertIndexTuples(rri, estate, EIIT_IS_UPDATE |
								 (update_indexes == TU_Summarizing ? EIIT_ONLY_SUMMARIZING : 0),
								 slot, NIL, NULL);
#elif PG_VERSION_NUM >= 160000
	return ExecInsertIndexTuples(rri, slot, estate, true, false, NULL, NIL,
								 update_indexes == TU_Summarizing);
#else
	(void) update_indexes;
	return ExecInsertIndexTuples(rri, slot, estate, true, false, NULL, NIL);
#endif
}

/*
 * Gives the executor state a range table of one relation.  updated_columns is
 * offset by FirstLowInvalidHeapAttributeNumber, as in the server.
 */
static inline void
compat_init_range_table(EState *estate, Relation rel, Bitmapset *updated_columns)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rel);
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
#if PG_VERSION_NUM >= 160000
	{
		List	   *perminfos = NIL;
		RTEPermissionInfo *perminfo = addRTEPermissionInfo(&perminfos, rte);

		perminfo->updatedCols = updated_columns;
#if PG_VERSION_NUM >= 180000
		ExecInitRangeTable(estate, list_make1(rte), perminfos,
						   bms_make_singleton(1));
#else
		ExecInitRangeTable(estate, list_make1(rte), perminfos);
#endif
	}
#else
	rte->updatedCols = updated_columns;
	ExecInitRangeTable(estate, list_make1(rte));
#endif
}

/* The arguments of ExecutorRun's hook. */
#if PG_VERSION_NUM >= 180000
#define COMPAT_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count
#define COMPAT_EXECUTE_ONCE true
#else
#define COMPAT_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define COMPAT_EXECUTE_ONCE execute_once
#endif

/* Calls ExecutorRun, or what stands for it. */
static inline void
compat_executor_run(ExecutorRun_hook_type run, QueryDesc *query,
					ScanDirection direction, uint64 count, bool execute_once)
{
#if PG_VERSION_NUM >= 180000
	(void) execute_once;
	run(query, direction, count);
#else
	run(query, direction, count, execute_once);
#endif
}

/*
 * Returns the columns that a planned statement names as INSERT targets of a
 * range table entry, offset by FirstLowInvalidHeapAttributeNumber.
 */
static inline Bitmapset *
compat_inserted_columns(const PlannedStmt *stmt, RangeTblEntry *rte)
{
#if PG_VERSION_NUM >= 160000
	return rte->perminfoindex == 0 ? NULL
		: getRTEPermissionInfo(stmt->permInfos, rte)->insertedCols;
#else
	(void) stmt;
	return rte->insertedCols;
#endif
}

/* Returns the privileges that a planned statement needs on it. */
static inline AclMode
compat_required_privileges(const PlannedStmt *stmt, RangeTblEntry *rte)
{
#if PG_VERSION_NUM >= 160000
	return rte->perminfoindex == 0 ? ACL_NO_RIGHTS
		: getRTEPermissionInfo(stmt->permInfos, rte)->requiredPerms;
#else
	(void) stmt;
	return rte->requiredPerms;
#endif
}

/*
 * Before 17 the server does not tell which action of a MERGE it performs.  It
 * is the first whose condition was true, and an executable expression keeps
 * its last result.
 */
#if PG_VERSION_NUM < 170000
static inline List *
compat_merge_actions_tried(ModifyTableState *state, CmdType command)
{
	ResultRelInfo *target = state->resultRelInfo + state->mt_lastResultIndex;
	TupleTableSlot *source = state->ps.ps_ExprContext->ecxt_innertuple;
	bool		isnull;

	if (command != CMD_INSERT)
		return target->ri_matchedMergeAction;
	/* a row that matches nothing has the first target, whatever was last */
	if (AttributeNumberIsValid(state->mt_resultOidAttno) && source)
	{
		(void) slot_getattr(source, state->mt_resultOidAttno, &isnull);
		if (isnull)
			target = state->resultRelInfo;
	}
	return target->ri_notMatchedMergeAction;
}
#endif

/*
 * Returns the action of that command (INSERT or UPDATE) that a MERGE performs
 * while it calls a row trigger, or NULL if it performs another.
 */
static inline MergeAction *
compat_merge_action(ModifyTableState *state, CmdType command)
{
	MergeActionState *chosen = NULL;

#if PG_VERSION_NUM >= 170000
	chosen = state->mt_merge_action;
#else
	ListCell   *lc;

	foreach(lc, compat_merge_actions_tried(state, command))
	{
		MergeActionState *action = lfirst(lc);
		ExprState  *condition = action->mas_whenqual;

		if (condition && (condition->resnull ||
						  !DatumGetBool(condition->resvalue)))
			continue;
		chosen = action;
		break;
	}
#endif
	return chosen && chosen->mas_action->commandType == command
		? chosen->mas_action : NULL;
}

/*
 * Returns the process id of a lock holder, or 0 if the transaction is not its
 * session's current one any more: it is prepared, or has ended.
 */
static inline int
compat_holder_pid(VirtualTransactionId vxid)
{
	PGPROC	   *proc = NULL;
	LocalTransactionId current = InvalidLocalTransactionId;

#if PG_VERSION_NUM >= 170000
	if (vxid.procNumber != INVALID_PROC_NUMBER)
		proc = ProcNumberGetProc(vxid.procNumber);
	if (proc)
		current = proc->vxid.lxid;
#else
	if (vxid.backendId != InvalidBackendId)
		proc = BackendIdGetProc(vxid.backendId);
	if (proc)
		current = proc->lxid;
#endif
	return proc && current == vxid.localTransactionId ? proc->pid : 0;
}

/*
 * Does an index use one of the columns (attribute numbers)?  Then an update of
 * it must insert each new version into all indexes.
 */
static inline bool
compat_index_reads(Relation rel, Bitmapset *columns)
{
	Bitmapset  *indexed;
	int			i = -1;

#if PG_VERSION_NUM >= 160000
	indexed = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_HOT_BLOCKING);
#else
	indexed = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_ALL);
#endif
	while ((i = bms_next_member(columns, i)) >= 0)
	{
		if (bms_is_member(i - FirstLowInvalidHeapAttributeNumber, indexed))
			return true;
	}
	return false;
}

/*
 * Returns the replication origin that marks this process's changes in the WAL.
 */
static inline uint16
compat_session_origin(void)
{
#if PG_VERSION_NUM >= 190000
	return replorigin_xact_state.origin;
#else
	return replorigin_session_origin;
#endif
}

static inline void
compat_set_session_origin(uint16 origin)
{
#if PG_VERSION_NUM >= 190000
	replorigin_xact_state.origin = origin;
#else
	replorigin_session_origin = origin;
#endif
}

/* Returns the range table indexes of the relations that a statement writes. */
static inline Bitmapset *
compat_result_relations(const PlannedStmt *query)
{
#if PG_VERSION_NUM >= 190000
	return query->resultRelationRelids;
#else
	Bitmapset  *numbers = NULL;
	ListCell   *lc;

	foreach(lc, query->resultRelations)
		numbers = bms_add_member(numbers, lfirst_int(lc));
	return numbers;
#endif
}

/*
 * Converts a numeric to an integer, rounding; *failed if NaN, infinite or too
 * large.
 */
static inline int32
compat_numeric_to_int(Numeric number, bool *failed)
{
#if PG_VERSION_NUM >= 190000
	ErrorSaveContext context = {.type = T_ErrorSaveContext};
	int32		result = numeric_int4_safe(number, (Node *) &context);

	*failed = context.error_occurred;
	return result;
#else
	return numeric_int4_opt_error(number, failed);
#endif
}

/* Is the type a domain with constraints? */
static inline bool
compat_is_checked_domain(Oid type)
{
#if PG_VERSION_NUM >= 190000
	return DomainHasConstraints(type, NULL);
#else
	return DomainHasConstraints(type);
#endif
}

/* Returns the sequence of an identity column. */
static inline Oid
compat_identity_sequence(Relation rel, AttrNumber attnum)
{
#if PG_VERSION_NUM >= 170000
	return getIdentitySequence(rel, attnum, false);
#else
	return getIdentitySequence(RelationGetRelid(rel), attnum, false);
#endif
}

/* Returns the local transaction id of this process's running transaction. */
static inline LocalTransactionId
compat_local_transaction_id(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

/*
 * Returns a virtual transaction id from its two parts, as shown by pg_locks.
 */
static inline VirtualTransactionId
compat_virtual_transaction(int process, LocalTransactionId number)
{
	VirtualTransactionId vxid;

#if PG_VERSION_NUM >= 170000
	vxid.procNumber = process;
#else
	vxid.backendId = process;
#endif
	vxid.localTransactionId = number;
	return vxid;
}

/*
 * Is the process a WAL sender?  One that decodes is connected to a database.
 */
static inline bool
compat_is_wal_sender(const PGPROC *proc)
{
	for (int i = 0; WalSndCtl && i < max_wal_senders; i++)
	{
		if (WalSndCtl->walsnds[i].pid == proc->pid)
			return true;
	}
	return false;
}

/*
 * Does the entry belong to a client session of any database?  The entry of a
 * process that has ended keeps its contents until it is used again, but its
 * latch has no owner.
 */
static inline bool
compat_is_client(const PGPROC *proc)
{
	if (proc->pid == 0 || proc->procLatch.owner_pid != proc->pid ||
		!OidIsValid(proc->databaseId) ||
		(proc->statusFlags & PROC_IS_AUTOVACUUM))
		return false;
#if PG_VERSION_NUM >= 190000
	return proc->backendType == B_BACKEND;
#elif PG_VERSION_NUM >= 180000
	return proc->isRegularBackend;
#else
	return !proc->isBackgroundWorker && !compat_is_wal_sender(proc);
#endif
}

/* Does this process hold the lock in exactly this mode? */
static inline bool
compat_lock_is_held(const LOCKTAG *tag, LOCKMODE mode)
{
#if PG_VERSION_NUM >= 170000
	return LockHeldByMe(tag, mode, false);
#else
	return LockHeldByMe(tag, mode);
#endif
}

/*
 * Takes a lock, of the session or of the current resource owner, without
 * waiting.  Returns false if the lock table is full, or if another session
 * holds it in a conflicting mode.
 */
static inline bool
compat_lock_try(const LOCKTAG *tag, LOCKMODE mode, bool session)
{
#if PG_VERSION_NUM >= 180000
	return LockAcquireExtended(tag, mode, session, true, false, NULL,
							   false) != LOCKACQUIRE_NOT_AVAIL;
#else
	return LockAcquireExtended(tag, mode, session, true, false,
							   NULL) != LOCKACQUIRE_NOT_AVAIL;
#endif
}

/* Begins a scan of the table through an index, without order by operators. */
static inline IndexScanDesc
compat_begin_index_scan(Relation rel, Relation index, Snapshot snapshot,
						int nkeys)
{
#if PG_VERSION_NUM >= 190000
	return index_beginscan(rel, index, snapshot, NULL, nkeys, 0, SO_NONE);
#elif PG_VERSION_NUM >= 180000
	return index_beginscan(rel, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(rel, index, snapshot, nkeys, 0);
#endif
}

/*
 * Is this an event trigger ON login?  Then the client has sent nothing yet,
 * and the session has not reported its state.
 */
static inline bool
compat_is_logging_in(void)
{
#if PG_VERSION_NUM >= 180000
	return MyBEEntry && (MyBEEntry->st_state == STATE_UNDEFINED ||
						 MyBEEntry->st_state == STATE_STARTING);
#elif PG_VERSION_NUM >= 170000
	return MyBEEntry && MyBEEntry->st_state == STATE_UNDEFINED;
#else
	return false;
#endif
}

/* declared here because its header needs that of Kerberos */
extern bool pq_check_connection(void);

/* Is the client still connected, as far as the system knows? */
static inline bool
compat_client_is_there(void)
{
	return MyProcPort == NULL || pq_check_connection();
}

/* Runs a portal to completion, as a statement of its own. */
static inline void
compat_portal_run_all(Portal portal, DestReceiver *receiver)
{
#if PG_VERSION_NUM >= 180000
	(void) PortalRun(portal, FETCH_ALL, true, receiver, receiver, NULL);
#else
	(void) PortalRun(portal, FETCH_ALL, true, true, receiver, receiver, NULL);
#endif
}

/* Can a background worker connect as a role that cannot log in? */
#ifdef BGWORKER_BYPASS_ROLELOGINCHECK
#define COMPAT_WORKER_NEEDS_LOGIN false
#define COMPAT_WORKER_FLAGS BGWORKER_BYPASS_ROLELOGINCHECK
#else
#define COMPAT_WORKER_NEEDS_LOGIN true
#define COMPAT_WORKER_FLAGS 0
#endif

static inline bool
compat_is_table_owner(Oid relid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, roleid);
#else
	return pg_class_ownercheck(relid, roleid);
#endif
}

/* May a session of session_role SET ROLE role? */
static inline bool
compat_can_set_role(Oid session_role, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return member_can_set_role(session_role, role);
#else
	return is_member_of_role(session_role, role);
#endif
}

static inline bool
compat_is_extension_owner(Oid extension, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(ExtensionRelationId, extension, roleid);
#else
	return pg_extension_ownercheck(extension, roleid);
#endif
}

/*
 * Returns the server's record of a setting, with the source of its value and
 * its setter.
 */
static inline struct config_generic *
compat_find_setting(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, true, ERROR);
#else
	struct config_generic **all = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
	{
		if (pg_strcasecmp(all[i]->name, name) == 0)
			return all[i];
	}
	return NULL;
#endif
}

/*
 * Allocates what the check of a setting hands to its assignment; the server
 * frees it.  Returns NULL if there is no memory.
 */
static inline void *
compat_setting_extra(size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

/* Parses a type name with its modifier.  Throws the server's errors. */
static inline void
compat_parse_type(const char *text, Oid *type, int32 *typmod)
{
#if PG_VERSION_NUM >= 160000
	(void) parseTypeString(text, type, typmod, NULL);
#else
	parseTypeString(text, type, typmod, false);
#endif
}

/* Is NOT NULL a constraint of its own, which can be NOT VALID? */
static inline bool
compat_not_null_is_constraint(void)
{
#if PG_VERSION_NUM >= 180000
	return true;
#else
	return false;
#endif
}

/* Can a partitioned table have a NOT VALID foreign key? */
static inline bool
compat_partitioned_foreign_key_not_valid(void)
{
#if PG_VERSION_NUM >= 180000
	return true;
#else
	return false;
#endif
}

/* Features of constraints in later versions only. */
static inline bool
compat_constraint_is_enforced(const Constraint *constraint)
{
#if PG_VERSION_NUM >= 180000
	return constraint->is_enforced ||
		(constraint->contype != CONSTR_CHECK &&
		 constraint->contype != CONSTR_FOREIGN);
#else
	(void) constraint;
	return true;
#endif
}

/* Is it WITHOUT OVERLAPS in a key, or PERIOD in a foreign key? */
static inline bool
compat_constraint_is_temporal(const Constraint *constraint)
{
#if PG_VERSION_NUM >= 180000
	return constraint->without_overlaps || constraint->fk_with_period;
#else
	(void) constraint;
	return false;
#endif
}

/*
 * Does the server build indexes under pg_catalog and pg_temp alone, whatever the
 * search_path is?
 */
static inline bool
compat_index_build_pins_path(void)
{
	return PG_VERSION_NUM >= 170000;
}

/*
 * Creates an index from a transformed statement; returns its address.  With
 * entries_only, makes only its catalog entries, without messages.
 */
static inline ObjectAddress
compat_define_index(Oid relid, IndexStmt *stmt, bool entries_only)
{
#if PG_VERSION_NUM >= 190000
	return DefineIndex(NULL, relid, stmt, InvalidOid, InvalidOid, InvalidOid, -1,
					   false, true, !entries_only, entries_only, entries_only);
#elif PG_VERSION_NUM >= 160000
	return DefineIndex(relid, stmt, InvalidOid, InvalidOid, InvalidOid, -1,
					   false, true, !entries_only, entries_only, entries_only);
#else
	return DefineIndex(relid, stmt, InvalidOid, InvalidOid, InvalidOid,
					   false, true, !entries_only, entries_only, entries_only);
#endif
}

/* Does the role have the privilege (see acl.h) on the schema? */
static inline bool
compat_has_schema_right(Oid schema, Oid role, AclMode right)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(NamespaceRelationId, schema, role, right) == ACLCHECK_OK;
#else
	return pg_namespace_aclcheck(schema, role, right) == ACLCHECK_OK;
#endif
}

/*
 * Of a row of pg_constraint: is it NOT NULL, which has rows there since version 18?
 * Sets *column to the column that it is about.
 */
static inline bool
compat_is_not_null(HeapTuple constraint, AttrNumber *column)
{
#if PG_VERSION_NUM >= 180000
	if (((Form_pg_constraint) GETSTRUCT(constraint))->contype != CONSTRAINT_NOTNULL)
		return false;
	*column = extractNotNullColumn(constraint);
	return true;
#else
	return false;
#endif
}

/* Is a constraint, as parsed, not enforced?  Then it reads no rows. */
static inline bool
compat_is_unenforced(const Constraint *constraint)
{
#if PG_VERSION_NUM >= 180000
	/* of other kinds the grammar does not say it */
	return (constraint->contype == CONSTR_CHECK || constraint->contype == CONSTR_FOREIGN) &&
		!constraint->is_enforced;
#else
	return false;
#endif
}

/* Is it NOT ENFORCED, behind a constraint of a column, as parsed? */
static inline bool
compat_unenforces(const Constraint *constraint)
{
#if PG_VERSION_NUM >= 180000
	return constraint->contype == CONSTR_ATTR_NOT_ENFORCED;
#else
	return false;
#endif
}

/* Does this definition of ALTER CONSTRAINT have it enforced, or no more?  Of which name? */
static inline bool
compat_alters_enforcement(const Node *definition, const char **name, bool *enforced)
{
#if PG_VERSION_NUM >= 180000
	ATAlterConstraint *alter = castNode(ATAlterConstraint, (Node *) definition);

	*name = alter->conname;
	*enforced = alter->is_enforced;
	return alter->alterEnforceability;
#else
	return false;
#endif
}

/* Are the values of a generated column, as parsed, computed when they are read? */
static inline bool
compat_is_virtual(const Constraint *constraint)
{
#if PG_VERSION_NUM >= 180000
	return constraint->contype == CONSTR_GENERATED &&
		constraint->generated_kind == ATTRIBUTE_GENERATED_VIRTUAL;
#else
	return false;
#endif
}

/* Is the type a domain with constraints? */
static inline bool
compat_is_constrained_domain(Oid type)
{
#if PG_VERSION_NUM >= 190000
	return DomainHasConstraints(type, NULL);
#else
	return DomainHasConstraints(type);
#endif
}

/*
 * The table that CLUSTER, or REPACK since version 19, writes anew; NULL of another
 * statement, or of one without a table.
 */
static inline RangeVar *
compat_repacked(Node *statement, bool *concurrently)
{
	*concurrently = false;
#if PG_VERSION_NUM >= 190000
	if (IsA(statement, RepackStmt))
	{
		ListCell   *lc;

		foreach(lc, ((RepackStmt *) statement)->params)
			* concurrently = *concurrently || strcmp(((DefElem *) lfirst(lc))->defname, "concurrently") == 0;
		return ((RepackStmt *) statement)->relation
			? ((RepackStmt *) statement)->relation->relation : NULL;
	}
#else
	if (IsA(statement, ClusterStmt))
		return ((ClusterStmt *) statement)->relation;
#endif
	return NULL;
}

/* Is it CLUSTER or REPACK; of tables that have been clustered by an index, where it names none? */
static inline bool
compat_is_repack(Node *statement, bool *clustered)
{
#if PG_VERSION_NUM >= 190000
	*clustered = IsA(statement, RepackStmt) &&
		(((RepackStmt *) statement)->usingindex || ((RepackStmt *) statement)->command == REPACK_COMMAND_CLUSTER);
	return IsA(statement, RepackStmt);
#else
	*clustered = true;
	return IsA(statement, ClusterStmt);
#endif
}

/* Does the role have the privilege (see acl.h) on this database? */
static inline bool
compat_has_database_right(Oid role, AclMode right)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(DatabaseRelationId, MyDatabaseId, role, right) == ACLCHECK_OK;
#else
	return pg_database_aclcheck(MyDatabaseId, role, right) == ACLCHECK_OK;
#endif
}

/*
 * Returns the index of the primary key unless that is deferrable, else
 * InvalidOid.
 */
static inline Oid
compat_primary_key_index(Relation rel)
{
#if PG_VERSION_NUM >= 180000
	return RelationGetPrimaryKeyIndex(rel, false);
#else
	return RelationGetPrimaryKeyIndex(rel);
#endif
}

/* Stores the default of a column that has none. */
static inline void
compat_store_default(Relation rel, AttrNumber attnum, Node *expression)
{
#if PG_VERSION_NUM >= 180000
	(void) StoreAttrDefault(rel, attnum, expression, true);
#else
	(void) StoreAttrDefault(rel, attnum, expression, true, false);
#endif
}

/* Does a row of pg_subscription have origin = none? */
static inline bool
compat_subscription_is_local_only(HeapTuple subscription)
{
#if PG_VERSION_NUM >= 160000
	bool		isnull;
	Datum		origin = SysCacheGetAttr(SUBSCRIPTIONOID, subscription,
										 Anum_pg_subscription_suborigin,
										 &isnull);

	return !isnull &&
		strcmp(TextDatumGetCString(origin), LOGICALREP_ORIGIN_NONE) == 0;
#else
	(void) subscription;
	return false;
#endif
}

#endif							/* TANDEM_COMPAT_H */
