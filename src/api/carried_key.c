/*
 * carried_key.c
 *		Foreign keys between columns that are changed, and primary keys of them.
 *
 * A table has one primary key, so what migrate builds for the twin is a unique
 * constraint.  Contract makes it the primary key: that differs from it in two rows of
 * the catalogs for each table of the tree.  The server knows no statement that does it
 * and spares the index, which foreign keys depend on.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "api/carried_key.h"
#include "api/expand.h"
#include "api/finish.h"
#include "catalog/operation.h"
#include "catalog/step.h"
#include "core/catalog_row.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/constraint_build.h"
#include "ddl/constraint_definition.h"

/*-------------------------------------------------------------------------
 * Expand.
 *-------------------------------------------------------------------------
 */

static void *
read_referring_key(uint64 row)
{
	ReferringKey *key = palloc(sizeof(ReferringKey));

	key->relation = query_get_oid(row, 1);
	key->column = query_get_text(row, 2);
	key->constraint = query_get_text(row, 3);
	return key;
}

List *
carried_keys_referring(const Migration *migration, Oid relid, const char *column)
{
	TandemQuery query;
	List	   *keys;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, get_attnum(relid, column));
	query_int(&query, migration->id);
	keys = query_rows(&query,
					  "SELECT r.relation, r.name::text, c.conname::text FROM tandem._referring_columns r "
					  "JOIN pg_constraint c ON c.oid = r.constraint_oid AND c.conrelid = r.relation "
					  "WHERE r.key_relation = $1 AND r.key_number = $2 AND tandem._follows_key(r.relation, r.name, $1, $2, $3) ORDER BY 1, 3",
					  read_referring_key);
	query_end(&query);
	return keys;
}

char *
carried_key_text(const Migration *migration, Oid relid, const char *name)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	query_name(&query, name);
	query_int(&query, migration->id);
	return query_end_text(&query, query_run(&query,
											"SELECT tandem._foreign_key_text(c.oid, $3) FROM pg_constraint c "
											"WHERE c.conrelid = $1 AND c.conname = $2 AND c.contype = 'f' AND EXISTS (SELECT FROM tandem.sync s JOIN pg_attribute a "
											"ON a.attrelid = c.confrelid AND a.attnum = ANY (c.confkey) AND a.attname = ANY (s.old_columns) "
											"WHERE s.migration = $3 AND s.relation = c.confrelid AND s.new_name IS NOT NULL AND s.new_columns <> '{}')"));
}

void
carried_key_add(Migration *migration, Oid relid, char *name, char *definition, char *given)
{
	Step		step = {
		.kind = STEP_CONSTRAINT,
		.relation = relid,
		.object = name,
		.definition = definition,
		.given = given,
	};

	constraint_check_name(relid, name);
	(void) step_add(migration->id, &step);
	expand_done(migration, relid,
				psprintf("constraint %s of %s", quote_identifier(name),
						 quoting_relation(relid)));
}

/*-------------------------------------------------------------------------
 * Contract.
 *-------------------------------------------------------------------------
 */

static void
drop_constraint(Oid relid, void *name)
{
	ddl_run(psprintf("ALTER TABLE %s DROP CONSTRAINT %s", quoting_relation(relid),
					 quote_identifier(name)));
}

List *
carried_keys_replace(const Migration *migration)
{
	List	   *primary = NIL;
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_CARRY))
	{
		Operation  *operation = lfirst(lc);
		ConstraintState state;

		if (strcmp(operation->given, "constraint") != 0 ||
			!constraint_find(operation->relation, operation->new_name, &state))
			continue;
		if (state.type == CONSTRAINT_FOREIGN)
			finish_change_table(migration, operation->relation, drop_constraint,
								operation->new_name);
		else if (state.type == CONSTRAINT_PRIMARY)
			primary = lappend(primary, operation);
	}
	return primary;
}

static void
mark_primary(Relation constraints, Relation indexes, Oid constraint, bool primary)
{
	HeapTuple	of_constraint = SearchSysCacheCopy1(CONSTROID, ObjectIdGetDatum(constraint));
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(of_constraint);
	HeapTuple	of_index = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(form->conindid));

	form->contype = primary ? CONSTRAINT_PRIMARY : CONSTRAINT_UNIQUE;
	((Form_pg_index) GETSTRUCT(of_index))->indisprimary = primary;
	catalog_row_store(constraints, of_constraint);
	catalog_row_store(indexes, of_index);
	/* the table keeps the OID of its primary key */
	CacheInvalidateRelcacheByRelid(form->conrelid);
}

/* Those of partitions have that of the table above as their parent. */
static List *
constraints_of_tree(Oid constraint)
{
	TandemQuery query;
	List	   *oids;

	query_begin(&query);
	query_oid(&query, constraint);
	oids = query_oids(&query,
					  "WITH RECURSIVE c (oid) AS (SELECT $1 UNION SELECT p.oid FROM c JOIN pg_constraint p ON p.conparentid = c.oid AND p.contype IN ('u', 'p')) "
					  "SELECT c.oid FROM c");
	query_end(&query);
	return oids;
}

static void
set_primary(Oid relid, const char *name, bool primary)
{
	Relation	constraints;
	Relation	indexes;
	ConstraintState state;
	ListCell   *lc;

	/* a statement of the user's may have dropped it */
	if (!constraint_find(relid, name, &state) ||
		state.type != (primary ? CONSTRAINT_UNIQUE : CONSTRAINT_PRIMARY))
		return;
	constraints = table_open(ConstraintRelationId, RowExclusiveLock);
	indexes = table_open(IndexRelationId, RowExclusiveLock);
	foreach(lc, constraints_of_tree(state.oid))
		mark_primary(constraints, indexes, lfirst_oid(lc), primary);
	table_close(indexes, RowExclusiveLock);
	table_close(constraints, RowExclusiveLock);
	CommandCounterIncrement();
}

static void
become_primary(Oid relid, void *arg)
{
	set_primary(relid, ((const Operation *) arg)->new_name, true);
}

void
carried_keys_exchange(const Migration *migration, Oid relid, bool back)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_CARRY))
	{
		Operation  *operation = lfirst(lc);
		const char *from = back ? operation->object : operation->new_name;
		ConstraintState state;

		if (operation->relation != relid || strcmp(operation->given, "constraint") != 0 ||
			!constraint_find(relid, from, &state) || state.type != CONSTRAINT_PRIMARY)
			continue;
		set_primary(relid, from, false);
		set_primary(relid, back ? operation->new_name : operation->object, true);
	}
}

void
carried_keys_become_primary(const Migration *migration, List *keys)
{
	ListCell   *lc;

	foreach(lc, keys)
	{
		Operation  *operation = lfirst(lc);

		finish_change_table(migration, operation->relation, become_primary, operation);
	}
}
