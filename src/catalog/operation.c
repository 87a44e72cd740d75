/*
 * operation.c
 *		tandem.operation: tables that a migration adds, renames or drops, and what
 *		contract does besides dropping columns.
 */
#include "postgres.h"

#include "catalog/namespace.h"
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
	[OPERATION_CARRY] = "carry",
	[OPERATION_LEAVE] = "leave",
	[OPERATION_UNDECIDED] = "undecided",
	[OPERATION_SEQUENCE] = "sequence",
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
	query_text(&query, operation->given);
	operation->id = query_end_int(&query, query_run(&query,
													"INSERT INTO tandem.operation (migration, kind, relation, object, new_name, statement, owner, search_path, given) "
													"VALUES ($1, $2, $3::regclass, $4, $5, $6, tandem.refer_to_role($7), $8, $9) RETURNING id"));
}

void
operation_note_owner(const Operation *operation, Oid owner)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, operation->id);
	query_oid(&query, owner);
	(void) query_run(&query,
					 "UPDATE tandem.operation SET owner = tandem.refer_to_role($2) WHERE id = $1");
	query_end(&query);
}

void
operation_note_source(const Operation *operation, const char *source)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, operation->id);
	query_name(&query, source);
	(void) query_run(&query,
					 "UPDATE tandem.operation o SET source = n.oid, source_definition = concat(n.kinds, n.definition) "
					 "FROM tandem.operation p CROSS JOIN LATERAL tandem._object_now(p.relation, p.given, $2, NULL) n "
					 "WHERE o.id = $1 AND p.id = $1");
	query_end(&query);
}

void
operation_note_done(const Operation *operation)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, operation->id);
	(void) query_run(&query,
					 "UPDATE tandem.operation SET done = true WHERE id = $1");
	query_end(&query);
}

void
operation_delete(const Operation *operation)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, operation->id);
	(void) query_run(&query, "DELETE FROM tandem.operation WHERE id = $1");
	query_end(&query);
}

void
operation_note_overtaken(const Operation *operation, int release)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, operation->relation);
	query_int(&query, release);
	(void) query_run(&query,
					 "UPDATE tandem.operation o SET done = true FROM tandem.migration m "
					 "WHERE o.relation = $1 AND o.kind = 'rename table' AND NOT o.done "
					 "AND m.id = o.migration AND m.phase = 'done' AND m.release < $2");
	query_end(&query);
}

#define OPERATION_COLUMNS \
	"SELECT o.id, o.migration, m.name, o.kind, o.relation::oid, o.object::text, o.new_name::text, o.statement, " \
	"coalesce(tandem.role_of(o.owner), 0), tandem.role_name(o.owner)::text, o.search_path, o.given, o.done " \
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
	operation->given = query_get_text(row, 12);
	operation->done = query_get_bool(row, 13);
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
operation_list_of_table(Oid relid, int release)
{
	TandemQuery query;
	List	   *operations;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, release);
	operations = query_rows(&query, OPERATION_COLUMNS "WHERE o.relation = $1 AND m.release = $2 "
							"AND m.phase NOT IN ('done', 'aborted') ORDER BY o.id",
							read_operation);
	query_end(&query);
	return operations;
}

List *
operation_list_before(int release, OperationKind kind)
{
	TandemQuery query;
	List	   *operations;

	query_begin(&query);
	query_int(&query, release);
	query_text(&query, operation_kind_name(kind));
	operations = query_rows(&query, OPERATION_COLUMNS "WHERE m.release < $1 AND o.kind = $2 "
							"AND m.phase NOT IN ('done', 'aborted') ORDER BY o.id",
							read_operation);
	query_end(&query);
	return operations;
}

List *
operation_open_statements(void)
{
	TandemQuery query;
	List	   *statements;

	query_begin(&query);
	statements = query_texts(&query,
							 "SELECT o.statement FROM tandem.operation o JOIN tandem.migration m ON m.id = o.migration "
							 "WHERE o.kind = 'statement' AND NOT o.done AND m.phase NOT IN ('done', 'aborted') ORDER BY o.id");
	query_end(&query);
	return statements;
}

List *
operation_tables(int migration_id, OperationKind kind)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration_id, kind))
		relids = list_append_unique_oid(relids, ((Operation *) lfirst(lc))->relation);
	return relids;
}

bool
operation_watches_table(Oid relid)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	return query_end_found(&query, query_run_latest(&query,
													"SELECT FROM tandem._watched_tables w "
													"WHERE w.relation = $1 OR w.relation IN (SELECT pg_partition_ancestors($1::regclass)) LIMIT 1"));
}

char *
operation_hides_table(int release, Oid relid)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	query_oid(&query, relid);
	return query_end_text(&query, query_run_latest(&query, "SELECT tandem._hides_table($1, $2)"));
}

static List *
schemas_of_name(const RangeVar *name)
{
	return name->schemaname ? list_make1_oid(get_namespace_oid(name->schemaname, true))
		: fetch_search_path(false);
}

Oid
operation_table_called(const RangeVar *name, const char *migration, int release)
{
	TandemQuery query;

	/* of the caller: the query has a path of its own */
	List	   *schemas = schemas_of_name(name);
	List	   *relids;

	query_begin(&query);
	query_oid_list(&query, schemas);
	query_name(&query, name->relname);
	query_int(&query, release);
	query_text(&query, migration);
	relids = query_oids(&query,
						"SELECT c.oid FROM unnest($1) WITH ORDINALITY s (oid, place) JOIN pg_class c ON c.relnamespace = s.oid "
						"JOIN tandem.operation o ON o.relation = c.oid AND o.kind = 'rename table' "
						"JOIN tandem.migration m ON m.id = o.migration AND m.phase <> 'aborted' "
						"CROSS JOIN coalesce((SELECT g.release FROM tandem.migration g WHERE g.name = $4 AND g.phase <> 'aborted'), $3) r (release) "
	/* of two tables it is the one that has the name in the release before */
						"CROSS JOIN LATERAL (SELECT $4 IS NOT NULL AND NOT o.done AND o.new_name = $2 AND m.release < r.release "
						"AND tandem._table_name(r.release - 1, c.oid) = $2) b (of_release_before) "
						"WHERE b.of_release_before OR CASE WHEN EXISTS (SELECT FROM pg_class f WHERE f.relname = $2 AND f.relnamespace = ANY ($1)) "
	/* somebody has given the name to another table since contract */
						"THEN m.name = $4 AND o.done AND o.object = $2 "
						"ELSE NOT o.done AND o.new_name = $2 AND m.release <= r.release OR o.object = $2 AND m.release >= r.release END "
						"ORDER BY b.of_release_before DESC, s.place, m.release DESC LIMIT 1");
	query_end(&query);
	return relids ? linitial_oid(relids) : InvalidOid;
}

Oid
operation_table_shown(const RangeVar *name, int release)
{
	TandemQuery query;
	List	   *schemas = schemas_of_name(name);
	List	   *relids;

	query_begin(&query);
	query_oid_list(&query, schemas);
	query_name(&query, name->relname);
	query_int(&query, release);
	relids = query_oids(&query,
						"SELECT c.oid FROM unnest($1) WITH ORDINALITY s (oid, place) JOIN pg_class c ON c.relnamespace = s.oid "
						"WHERE c.oid IN (SELECT o.relation FROM tandem.operation o JOIN tandem.migration m ON m.id = o.migration AND m.phase <> 'aborted' "
						"WHERE o.kind = 'rename table' AND NOT o.done AND o.new_name = $2 AND m.release <= $3) "
						"AND tandem._table_name($3, c.oid) = $2 ORDER BY s.place LIMIT 1");
	query_end(&query);
	return relids ? linitial_oid(relids) : InvalidOid;
}

char *
operation_table_name(int release, Oid relid)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	query_oid(&query, relid);
	return query_end_text(&query, query_run_latest(&query, "SELECT tandem._table_name($1, $2)::text"));
}
