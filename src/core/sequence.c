/*
 * sequence.c
 *		The last number of a sequence.
 *
 * The server's own function keeps a lock on each sequence until the transaction ends:
 * of ten thousand it fills the lock table.  It also waits for that lock.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/rel.h"

#include "core/sql_function.h"

SQL_FUNCTION(tandem_last_number);

/* One that is not logged is not there during recovery. */
static bool
sequence_may_be_read(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_SEQUENCE && !RELATION_IS_OTHER_TEMP(rel) &&
		(rel->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT || !RecoveryInProgress()) &&
		pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_SELECT | ACL_USAGE) == ACLCHECK_OK;
}

/* A sequence is one row on one page, which is changed in place. */
static FormData_pg_sequence_data
read_sequence(Relation rel)
{
	Buffer		buffer = ReadBuffer(rel, 0);
	FormData_pg_sequence_data data;
	HeapTupleData tuple;
	ItemId		item;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	item = PageGetItemId(BufferGetPage(buffer), FirstOffsetNumber);
	tuple.t_data = (HeapTupleHeader) PageGetItem(BufferGetPage(buffer), item);
	data = *(Form_pg_sequence_data) GETSTRUCT(&tuple);
	UnlockReleaseBuffer(buffer);
	return data;
}

Datum
tandem_last_number(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	FormData_pg_sequence_data data = {0};
	Relation	rel;

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		PG_RETURN_NULL();
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
	{
		UnlockRelationOid(relid, AccessShareLock);
		PG_RETURN_NULL();
	}
	if (sequence_may_be_read(rel))
		data = read_sequence(rel);
	relation_close(rel, AccessShareLock);
	if (!data.is_called)
		PG_RETURN_NULL();
	PG_RETURN_INT64(data.last_value);
}
