/*
 * moved_identity.c
 *		An identity column that is changed: its sequence goes on with the new column.
 *
 * The server knows no statement for that: DROP IDENTITY drops the sequence.  So the rows
 * of the catalogs are changed: the mark of the columns, and on which of them the sequence
 * depends.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "api/finish.h"
#include "api/moved_identity.h"
#include "catalog/sync.h"
#include "core/catalog_row.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"

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

static void
have_sequence_depend(const Identity *identity, DependencyType type)
{
	ObjectAddress sequence;
	ObjectAddress column;
	Oid			relid = identity->rule->relation;

	ObjectAddressSet(sequence, RelationRelationId, identity->sequence);
	ObjectAddressSubSet(column, RelationRelationId, relid,
						get_attnum(relid, linitial(identity->rule->new_columns)));
	(void) deleteDependencyRecordsForClass(RelationRelationId, identity->sequence,
										   RelationRelationId, DEPENDENCY_INTERNAL);
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
	have_sequence_depend(identity, identity->moves ? DEPENDENCY_INTERNAL : DEPENDENCY_AUTO);
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

void
moved_identities(const Migration *migration)
{
	ListCell   *lc;
	ListCell   *cell;

	foreach(lc, sync_list_changing(migration->id))
	{
		const SyncRule *rule = lfirst(lc);

		foreach(cell, identities_of_rule(rule))
		{
			Identity   *identity = lfirst(cell);

			identity->rule = rule;
			finish_change_table(migration, rule->relation, move_identity, identity);
		}
	}
}
