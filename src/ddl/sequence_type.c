/*
 * sequence_type.c
 *		The sequence of a changed column gets the type of the new one.
 *
 * ALTER SEQUENCE waits for each transaction that has taken a number, and others wait for
 * its commit.  So migrate does it in a transaction of its own, and not contract, which
 * has tables locked.
 *
 * Until contract each number goes to the old column, too.  So the sequence keeps its
 * bounds until then: that it has come to its end says the server, with its name.  Of an
 * identity column it would cut a number that is too large, and say nothing.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/operation.h"
#include "core/authority.h"
#include "core/catalog_row.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ddl/sequence_type.h"

List *
sequence_type_smaller(int migration_id)
{
	TandemQuery query;
	List	   *sequences;

	query_begin(&query);
	query_int(&query, migration_id);
	sequences = query_oids(&query,
						   "SELECT s.sequence FROM tandem._smaller_sequences s WHERE s.migration = $1 ORDER BY s.sequence");
	query_end(&query);
	return sequences;
}

bool
sequence_type_is_smaller(int migration_id, Oid sequence)
{
	return list_member_oid(sequence_type_smaller(migration_id), sequence);
}

static void
note_type(int migration_id, Oid sequence, char *type)
{
	Operation	operation = {
		.migration_id = migration_id,
		.kind = OPERATION_SEQUENCE,
		.relation = sequence,
		.given = type,
		.search_path = pstrdup(namespace_search_path),
	};

	operation_insert(&operation);
}

static void
set_type(Oid sequence, const char *type, const char *bounds)
{
	ddl_run_as(authority_owner_of(sequence),
			   psprintf("ALTER SEQUENCE %s AS %s %s", quoting_relation(sequence), type, bounds),
			   AUTHORITY_PINNED_PATH);
}

void
sequence_type_widen(int migration_id, Oid sequence)
{
	TandemQuery query;
	char	   *type = NULL;
	char	   *was = NULL;
	char	   *bounds = NULL;

	lock_relations(list_make1_oid(sequence), ShareRowExclusiveLock);
	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, sequence);
	if (query_run(&query,
				  "SELECT s.type, s.was, s.bounds FROM tandem._smaller_sequences s WHERE s.migration = $1 AND s.sequence = $2") > 0)
	{
		type = query_get_text(0, 1);
		was = query_get_text(0, 2);
		bounds = query_get_text(0, 3);
	}
	query_end(&query);
	if (type == NULL)
		return;
	note_type(migration_id, sequence, was);
	set_type(sequence, type, bounds);
}

static void
bounds_of_type(Oid type, int64 *lowest, int64 *highest)
{
	*lowest = type == INT2OID ? PG_INT16_MIN : type == INT4OID ? PG_INT32_MIN : PG_INT64_MIN;
	*highest = type == INT2OID ? PG_INT16_MAX : type == INT4OID ? PG_INT32_MAX : PG_INT64_MAX;
}

/* As noted by format_type. */
static Oid
type_of_name(const char *name)
{
	return strcmp(name, "smallint") == 0 ? INT2OID : INT4OID;
}

/* Those who take numbers go on: they read the bounds with each one. */
static void
extend_bounds(Oid sequence, Oid was)
{
	Relation	catalog = table_open(SequenceRelationId, RowExclusiveLock);
	HeapTuple	tuple;
	Form_pg_sequence form;
	int64		lowest;
	int64		highest;
	int64		new_lowest;
	int64		new_highest;

	LockRelationOid(sequence, ShareUpdateExclusiveLock);
	tuple = SearchSysCacheCopy1(SEQRELID, ObjectIdGetDatum(sequence));
	if (HeapTupleIsValid(tuple))
	{
		form = (Form_pg_sequence) GETSTRUCT(tuple);
		bounds_of_type(was, &lowest, &highest);
		bounds_of_type(form->seqtypid, &new_lowest, &new_highest);
		/* another one the user has chosen */
		if (form->seqmin == lowest)
			form->seqmin = new_lowest;
		if (form->seqmax == highest)
			form->seqmax = new_highest;
		catalog_row_store(catalog, tuple);
		heap_freetuple(tuple);
	}
	table_close(catalog, RowExclusiveLock);
}

void
sequence_type_end(int migration_id)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration_id, OPERATION_SEQUENCE))
	{
		Operation  *operation = lfirst(lc);

		extend_bounds(operation->relation, type_of_name(operation->given));
	}
	CommandCounterIncrement();
}

static void
take_back(void *arg)
{
	const Operation *operation = arg;

	set_type(operation->relation, operation->given, "");
}

void
sequence_type_take_back(int migration_id)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration_id, OPERATION_SEQUENCE))
	{
		Operation  *operation = lfirst(lc);
		ErrorData  *error = subtransaction_try(take_back, operation);

		if (error == NULL)
			continue;
		if (error->sqlerrcode != ERRCODE_INVALID_PARAMETER_VALUE)
			ReThrowError(error);
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("sequence %s has numbers that type %s cannot hold, and keeps its type",
						quoting_relation(operation->relation), operation->given),
				 errdetail("%s", error->message),
				 errhint("Reset it, then run ALTER SEQUENCE %s AS %s;",
						 quoting_relation(operation->relation), operation->given)));
	}
}
