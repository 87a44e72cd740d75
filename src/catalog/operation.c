/*
 * operation.c
 *		tandem.operation: tables that a migration adds, renames or drops, and what
 *		contract does besides dropping columns.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "catalog/operation.h"
#include "core/authority.h"
#include "core/query.h"
#include "core/text.h"

static const char *const kind_names[] = {
	[OPERATION_ADD_TABLE] = "add table",
	[OPERATION_RENAME_TABLE] = "rename table",
	[OPERATION_DROP_TABLE] = "drop table",
	[OPERATION_DROP_INDEX] = "drop index",
	[OPERATION_RENAME_CONSTRAINT] = "rename constraint",
	[OPERATION_STATEMENT] = "statement",
};

const char *
operation_kind_name(OperationKind kind)
{
	return kind_names[kind];
}

static void
query_optional_name(TandemQuery *query, const char *name)
{
	if (name)
		query_name(query, name);
	else
		query_datum(query, NAMEOID, (Datum) 0, true);
}

void
operation_insert(Operation *operation)
{
	Oid			owner = authority_owner_of(operation->relation);
	TandemQuery query;

	query_begin(&query);
	query_int(&query, operation->migration_id);
	query_text(&query, operation_kind_name(operation->kind));
	query_oid(&query, operation->relation);
	query_optional_name(&query, operation->object);
	query_optional_name(&query, operation->new_name);
	query_text(&query, operation->statement);
	query_oid(&query, owner);
	query_text(&query, operation->search_path);
	operation->id = query_end_int(&query, query_run(&query,
													"INSERT INTO tandem.operation (migration, kind, relation, object, new_name, statement, owner, search_path) "
													"VALUES ($1, $2, $3::regclass, $4, $5, $6, tandem.refer_to_role($7), $8) RETURNING id"));
}

#define OPERATION_COLUMNS \
	"SELECT o.id, o.migration, m.name, o.kind, o.relation::oid, o.object::text, o.new_name::text, o.statement, " \
	"coalesce(tandem.role_of(o.owner), 0), tandem.role_name(o.owner)::text, o.search_path " \
	"FROM tandem.operation o JOIN tandem.migration m ON m.id = o.migration "

static void *
read_operation(uint64 row)
{
	Operation  *operation = palloc0(sizeof(Operation));

	operation->id = query_get_int(row, 1);
	operation->migration_id = query_get_int(row, 2);
	operation->migration = query_get_text(row, 3);
	operation->kind = text_index(query_get_text(row, 4), kind_names, lengthof(kind_names));
	operation->relation = query_get_oid(row, 5);
	operation->object = query_get_text(row, 6);
	operation->new_name = query_get_text(row, 7);
	operation->statement = query_get_text(row, 8);
	operation->owner = query_get_oid(row, 9);
	operation->owner_name = query_get_text(row, 10);
	operation->search_path = query_get_text(row, 11);
	return operation;
}

List *
operation_list(int migration_id)
{
	TandemQuery query;
	List	   *operations;

	query_begin(&query);
	query_int(&query, migration_id);
	operations = query_rows(&query, OPERATION_COLUMNS "WHERE o.migration = $1 ORDER BY o.id",
							read_operation);
	query_end(&query);
	return operations;
}

List *
operation_list_of_kind(int migration_id, OperationKind kind)
{
	TandemQuery query;
	List	   *operations;

	query_begin(&query);
	query_int(&query, migration_id);
	query_text(&query, operation_kind_name(kind));
	operations = query_rows(&query, OPERATION_COLUMNS "WHERE o.migration = $1 AND o.kind = $2 "
							"AND EXISTS (SELECT FROM pg_class c WHERE c.oid = o.relation) ORDER BY o.id",
							read_operation);
	query_end(&query);
	return operations;
}

List *
operation_list_of_relation(Oid relid)
{
	TandemQuery query;
	List	   *operations;

	query_begin(&query);
	query_oid(&query, relid);
	operations = query_rows(&query, OPERATION_COLUMNS "WHERE o.relation = $1 AND m.phase NOT IN ('done', 'aborted') ORDER BY o.id",
							read_operation);
	query_end(&query);
	return operations;
}
