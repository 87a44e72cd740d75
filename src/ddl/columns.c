/*
 * columns.c
 *		Drops columns at the end of a migration, and finds what prevents
 *		that.
 *
 * Both use plain queries over the server's catalogs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/step.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/columns.h"
#include "ddl/key.h"
#include "rule/rule_args.h"

/* Returns the names of keys that the migration adds to the table. */
static List *
names_of_added_keys(Oid relid, int migration_id)
{
	Oid			root = table_root(relid);
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, step_list(migration_id, STEP_CONSTRAINT))
	{
		Step	   *step = lfirst(lc);

		if (step->relation == root)
			names = lappend(names, key_leaf_name(step->relation, relid,
												 step->object));
	}
	return names;
}

/*
 * Runs a query that returns one text column.  Its parameters are: $1 relid, $2
 * column number, $3 name of the sync trigger, $4 id of the migration, $5
 * names.
 */
static List *
column_lines_with_names(const char *sql, Oid relid, const char *name,
						int migration_id, List *names)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, get_attnum(relid, name));
	query_text(&query, SYNC_TRIGGER_NAME);
	query_int(&query, migration_id);
	query_datum(&query, NAMEARRAYOID, array_from_strings(names, NAMEOID), false);
	lines = query_texts(&query, sql);
	query_end(&query);
	return lines;
}

static List *
column_lines_from_query(const char *sql, Oid relid, const char *name,
						int migration_id)
{
	return column_lines_with_names(sql, relid, name, migration_id, NIL);
}

List *
column_dependents(Oid relid, const char *name, int migration_id)
{
	return column_lines_from_query(
	/* what makes DROP COLUMN ... RESTRICT fail */
								   "SELECT CASE WHEN r.rulename = '_RETURN' THEN format('view %s', r.ev_class::regclass) "
								   "ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END "
								   "FROM pg_depend d LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid "
								   "LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid "
								   "LEFT JOIN pg_constraint c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid "
								   "WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = $2 "
								   "AND d.deptype = 'n' AND t.tgname IS DISTINCT FROM $3::name "
								   "AND coalesce(t.tgparentid, 0) = 0 AND c.oid IS NULL AND d.classid <> 'pg_attrdef'::regclass "

	/*
	 * views of releases are replaced, but objects that depend on them are not
	 */
								   "AND NOT EXISTS (SELECT FROM tandem.view v WHERE v.view = r.ev_class AND v.relation = $1) "
								   "UNION SELECT format('%s, through view %s', CASE WHEN r.rulename = '_RETURN' THEN format('view %s', r.ev_class::regclass) "
								   "ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END, v.view) FROM tandem.view v "
								   "JOIN pg_attribute t ON t.attrelid = v.relation AND t.attnum = $2 "
								   "JOIN pg_attribute a ON a.attrelid = v.view AND a.attname = t.attname AND NOT a.attisdropped "
								   "JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.view AND d.deptype = 'n' "
								   "LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid "
								   "WHERE v.relation = $1 AND r.ev_class IS DISTINCT FROM v.view "
								   "UNION SELECT format('generated column %I', a.attname) FROM pg_depend d "
								   "JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid "
								   "JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated <> '' "
								   "WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = $2 AND a.attnum <> $2 "

	/* users of a sequence owned by the column, except the column itself */
								   "UNION SELECT format('%s, through sequence %s', pg_describe_object(u.classid, u.objid, u.objsubid), s.oid::regclass) "
								   "FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' "
								   "JOIN pg_depend u ON u.refclassid = 'pg_class'::regclass AND u.refobjid = s.oid AND u.deptype = 'n' "
								   "LEFT JOIN pg_attrdef f ON u.classid = 'pg_attrdef'::regclass AND f.oid = u.objid "
								   "LEFT JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum "
								   "WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 "
								   "AND d.refobjsubid = $2 AND d.deptype IN ('a', 'i') "
								   "AND NOT coalesce(a.attname = (SELECT attname FROM pg_attribute WHERE attrelid = $1 AND attnum = $2) "
								   "AND (a.attrelid = $1 OR a.attrelid IN (SELECT relid FROM pg_partition_tree($1))), false) "
								   "UNION SELECT format('foreign key %I of table %s', c.conname, c.conrelid::regclass) "
								   "FROM pg_constraint c WHERE c.confrelid = $1 AND c.contype = 'f' AND c.conparentid = 0 AND $2 = ANY (c.confkey) "
								   "UNION SELECT format('migration %I, which syncs it too', m.name) FROM tandem.sync s "
								   "JOIN tandem.migration m ON m.id = s.migration AND m.id <> $4 AND m.phase NOT IN ('done', 'aborted') "
								   "JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = $2 "
								   "WHERE s.relation = $1 AND (a.attname = ANY (s.old_columns) OR a.attname = ANY (s.new_columns)) "
								   "ORDER BY 1", relid, name, migration_id);
}

/* Does index i use the column, as a key or in an expression or predicate? */
#define INDEX_READS_COLUMN \
	"($2 = ANY (i.indkey) OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass " \
	"AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = $2)) "

List *
column_keys(Oid relid, const char *name, int migration_id)
{
	return column_lines_from_query(
								   "SELECT format('%s %I', CASE c.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique constraint' "
								   "WHEN 'x' THEN 'exclusion constraint' ELSE 'foreign key' END, c.conname) "
								   "FROM pg_constraint c LEFT JOIN pg_index i ON i.indexrelid = c.conindid AND c.contype <> 'f' "
								   "WHERE c.conrelid = $1 AND c.contype IN ('p', 'u', 'x', 'f') AND c.conparentid = 0 "
								   "AND ($2 = ANY (c.conkey) OR (i.indexrelid IS NOT NULL AND " INDEX_READS_COLUMN ")) "
								   "UNION SELECT format('%s %s', CASE WHEN i.indisreplident THEN 'replica identity' ELSE 'unique index' END, i.indexrelid::regclass) "
								   "FROM pg_index i WHERE i.indrelid = $1 AND (i.indisunique OR i.indisreplident) AND " INDEX_READS_COLUMN
								   "AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x') "
								   "AND NOT i.indisreplident) "

	/*
	 * a partition's index counts with its parent, but not as a replica
	 * identity
	 */
								   "AND (i.indisreplident OR NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)) "

	/*
	 * partition key columns, also in expressions, depend on the table itself
	 */
								   "UNION SELECT 'partition key' FROM pg_partitioned_table p WHERE p.partrelid = $1 "
								   "AND ($2 = ANY (p.partattrs) OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass "
								   "AND d.objid = $1 AND d.objsubid = $2 AND d.refclassid = 'pg_class'::regclass "
								   "AND d.refobjid = $1 AND d.refobjsubid = 0 AND d.deptype = 'i')) "
								   "ORDER BY 1", relid, name, migration_id);
}

List *
column_moved_keys(Oid relid, const char *name, int migration_id)
{
	return column_lines_with_names(
								   "SELECT format('primary key %I', c.conname) FROM pg_constraint c "
								   "JOIN pg_index i ON i.indexrelid = c.conindid AND " INDEX_READS_COLUMN
								   "WHERE c.conrelid = $1 AND c.contype = 'p' AND c.conparentid = 0 AND c.conname <> ALL ($5::name[]) "
								   "UNION SELECT format('replica identity %s', i.indexrelid::regclass) "
								   "FROM pg_index i WHERE i.indrelid = $1 AND i.indisreplident AND " INDEX_READS_COLUMN
								   "ORDER BY 1", relid, name, migration_id,
								   names_of_added_keys(relid, migration_id));
}

List *
column_objects_dropped_with(Oid relid, const char *name, int migration_id)
{
	return column_lines_from_query(
								   "SELECT format('index %s', i.indexrelid::regclass) FROM pg_index i WHERE i.indrelid = $1 AND " INDEX_READS_COLUMN
								   "AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid) "
								   "UNION SELECT format('constraint %I', c.conname) FROM pg_constraint c "
								   "WHERE c.conrelid = $1 AND c.contype = 'c' AND $2 = ANY (c.conkey) AND c.coninhcount = 0 "
								   "UNION SELECT format('statistics %I', s.stxname) FROM pg_statistic_ext s "
								   "WHERE s.stxrelid = $1 AND ($2 = ANY (s.stxkeys) OR EXISTS (SELECT FROM pg_depend d "
								   "WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass "
								   "AND d.refobjid = $1 AND d.refobjsubid = $2)) "
								   "UNION SELECT format('sequence %s', d.objid::regclass) FROM pg_depend d "
								   "JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' WHERE d.classid = 'pg_class'::regclass "
								   "AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = $2 AND d.deptype IN ('a', 'i') "
								   "ORDER BY 1", relid, name, migration_id);
}

void
column_drop(Oid relid, const char *name)
{
	ddl_run(psprintf("ALTER TABLE %s DROP COLUMN %s RESTRICT",
					 quoting_relation(relid), quote_identifier(name)));
}
