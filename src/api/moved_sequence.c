/*
 * moved_sequence.c
 *		The sequence of a column that is changed goes on with the new column.
 *
 * For an identity the server knows no statement that does that: DROP IDENTITY drops the
 * sequence.  ALTER SEQUENCE ... OWNED BY waits for each transaction that has taken a
 * number, while the table is locked, for which that may wait.  So the rows of the catalogs
 * are changed: the mark of the columns, and on which of them the sequence depends.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "api/finish.h"
#include "api/moved_sequence.h"
#include "catalog/sync.h"
#include "core/catalog_row.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/sequence_type.h"

typedef struct Identity
{
	const SyncRule *rule;		/* of the column */
	Oid			sequence;
	char	   *statement;		/* gives the sequence the type of the new
								 * column, or NULL */
	bool		moves;			/* the new column can be one */
} Identity;

static void *
read_identity(uint64 row)
{
	Identity   *identity = palloc0(sizeof(Identity));

	identity->sequence = query_get_oid(row, 1);
	identity->statement = query_get_text(row, 2);
	identity->moves = query_get_bool(row, 3);
	return identity;
}

/* Returns what it was. */
static char
set_identity(Oid relid, const char *column, char kind)
{
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopyAttName(relid, column);
	Form_pg_attribute att;
	char		was;

	if (!HeapTupleIsValid(tuple))
		quoting_raise_dropped(relid);
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	was = att->attidentity;
	att->attidentity = kind;
	catalog_row_store(catalog, tuple);
	heap_freetuple(tuple);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
	return was;
}

/* Those who take numbers go on; other DDL on it is kept out. */
static void
have_sequence_depend(Oid sequence_oid, DependencyType was, Oid relid, char *name,
					 DependencyType type)
{
	ObjectAddress sequence;
	ObjectAddress column;

	LockRelationOid(sequence_oid, ShareUpdateExclusiveLock);
	ObjectAddressSet(sequence, RelationRelationId, sequence_oid);
	ObjectAddressSubSet(column, RelationRelationId, relid, get_attnum(relid, name));
	(void) deleteDependencyRecordsForClass(RelationRelationId, sequence_oid,
										   RelationRelationId, was);
	recordDependencyOn(&sequence, &column, type);
	CommandCounterIncrement();
}

/* From server 17 on the columns of partitions are marked, too. */
static void
move_marks(const Identity *identity)
{
	const SyncRule *rule = identity->rule;
	ListCell   *lc;

	foreach(lc, table_tree(rule->relation))
	{
		char		kind = set_identity(lfirst_oid(lc), linitial(rule->old_columns), '\0');

		if (kind != '\0' && identity->moves)
			(void) set_identity(lfirst_oid(lc), linitial(rule->new_columns), kind);
	}
}

static void
move_identity(Oid relid, void *arg)
{
	const Identity *identity = arg;

	if (identity->moves)
		ddl_run(psprintf("ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT", quoting_relation(relid),
						 quote_identifier(linitial(identity->rule->new_columns))));
	move_marks(identity);
	have_sequence_depend(identity->sequence, DEPENDENCY_INTERNAL, relid,
						 linitial(identity->rule->new_columns),
						 identity->moves ? DEPENDENCY_INTERNAL : DEPENDENCY_AUTO);
	if (identity->statement)
		ddl_run(identity->statement);
}

static List *
identities_of_rule(const SyncRule *rule)
{
	TandemQuery query;
	List	   *identities;

	query_begin(&query);
	query_oid(&query, rule->relation);
	query_name(&query, linitial(rule->old_columns));
	query_name(&query, linitial(rule->new_columns));
	identities = query_rows(&query,
							"SELECT sequence, statement, moves FROM tandem._moved_identities($1, $2, $3)",
							read_identity);
	query_end(&query);
	return identities;
}

/*-------------------------------------------------------------------------
 * Sequences that a column owns.
 *-------------------------------------------------------------------------
 */

typedef struct OwnedSequence
{
	Oid			sequence;
	char	   *new_column;
	char	   *statement;		/* gives it the type of the new column, or
								 * NULL */
} OwnedSequence;

static void *
read_owned_sequence(uint64 row)
{
	OwnedSequence *owned = palloc0(sizeof(OwnedSequence));

	owned->sequence = query_get_oid(row, 1);
	owned->statement = query_get_text(row, 2);
	return owned;
}

/* Those that the server would drop with the column of the table, or of a partition of it. */
static List *
sequences_owned(const SyncRule *rule, Oid relid)
{
	TandemQuery query;
	List	   *sequences;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, get_attnum(relid, linitial(rule->old_columns)));
	query_name(&query, linitial(rule->new_columns));
	sequences = query_rows(&query,
						   "SELECT s.seqrelid, "
	/* somebody may have given it a smaller one since migrate */
						   "CASE WHEN (s.seqtypid, a.atttypid) IN (('int2'::regtype, 'int4'::regtype), ('int2'::regtype, 'int8'::regtype), ('int4'::regtype, 'int8'::regtype)) "
						   "THEN format('ALTER SEQUENCE %s AS %s', s.seqrelid::regclass, a.atttypid::regtype) END "
						   "FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid "
						   "JOIN pg_attribute a ON a.attrelid = $1 AND a.attname = $3 "
						   "WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass "
						   "AND d.refobjid = $1 AND d.refobjsubid = $2 AND d.deptype = 'a' ORDER BY s.seqrelid",
						   read_owned_sequence);
	query_end(&query);
	return sequences;
}

static void
move_owned_sequence(Oid relid, void *arg)
{
	const OwnedSequence *owned = arg;

	have_sequence_depend(owned->sequence, DEPENDENCY_AUTO, relid, owned->new_column,
						 DEPENDENCY_AUTO);
	if (owned->statement)
		ddl_run(owned->statement);
}

static void
move_owned_sequences(const Migration *migration, const SyncRule *rule)
{
	ListCell   *lc;
	ListCell   *cell;

	foreach(lc, table_tree(rule->relation))
	{
		foreach(cell, sequences_owned(rule, lfirst_oid(lc)))
		{
			OwnedSequence *owned = lfirst(cell);

			owned->new_column = linitial(rule->new_columns);
			finish_change_table(migration, lfirst_oid(lc), move_owned_sequence, owned);
		}
	}
}

void
moved_sequences(const Migration *migration)
{
	ListCell   *lc;
	ListCell   *cell;

	foreach(lc, sync_list_changing(migration->id))
	{
		const SyncRule *rule = lfirst(lc);

		move_owned_sequences(migration, rule);
		foreach(cell, identities_of_rule(rule))
		{
			Identity   *identity = lfirst(cell);

			identity->rule = rule;
			finish_change_table(migration, rule->relation, move_identity, identity);
		}
	}
	sequence_type_end(migration->id);
}
