/*
 * script_tables.c
 *		The tables that a script names, as its statements so far have left them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "core/relation.h"
#include "core/text.h"
#include "lint/script_tables.h"

/* What a qualified name means by now. */
typedef struct NamedTable
{
	char		name[2 * NAMEDATALEN];	/* schema, zero, name */
	ScriptTable *table;			/* NULL: nothing */
} NamedTable;

struct ScriptTables
{
	HTAB	   *names;			/* of NamedTable */
	List	   *all;			/* of ScriptTable */
	List	   *path;			/* of char *: where a name is looked up */
	char	   *creation;		/* the schema in which it is made */
	MemoryContext context;
};

/*-------------------------------------------------------------------------
 * Names.
 *-------------------------------------------------------------------------
 */

/* where the temporary tables of the script are, before all other schemas */
#define TEMPORARY "pg_temp"

static List *
names_of_schemas(List *schemas)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, schemas)
	{
		char	   *name = quoting_find_schema(lfirst_oid(lc));

		if (name)
			names = lappend(names, name);
	}
	return names;
}

static char *
first_name(List *names)
{
	return names ? linitial(names) : "";
}

ScriptTables *
script_tables_open(void)
{
	ScriptTables *tables = palloc0(sizeof(ScriptTables));
	HASHCTL		ctl = {0};

	ctl.keysize = 2 * NAMEDATALEN;
	ctl.entrysize = sizeof(NamedTable);
	ctl.hcxt = CurrentMemoryContext;
	tables->context = CurrentMemoryContext;
	tables->names = hash_create("pg_tandem tables of a script", 128, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	tables->path = lcons(TEMPORARY, names_of_schemas(fetch_search_path(true)));
	tables->creation = first_name(names_of_schemas(fetch_search_path(false)));
	return tables;
}

static NamedTable *
named_table(ScriptTables *tables, const char *schema, const char *name, bool *found)
{
	char		key[2 * NAMEDATALEN] = {0};

	strlcpy(key, schema, NAMEDATALEN);
	strlcpy(key + NAMEDATALEN, name, NAMEDATALEN);
	return hash_search(tables->names, key, HASH_ENTER, found);
}

/* May the current user know of it?  Whoever has some right on it, and on its schema. */
static bool
is_shown(Oid relid, Oid schema)
{
	Oid			user = GetUserId();

	return compat_has_schema_right(schema, user, ACL_USAGE) &&
		(pg_class_aclmask(relid, user, ACL_ALL_RIGHTS_RELATION | ACL_ALL_RIGHTS_SEQUENCE, ACLMASK_ANY) != 0 ||
		 pg_attribute_aclcheck_all(relid, user, ACL_ALL_RIGHTS_COLUMN, ACLMASK_ANY) == ACLCHECK_OK);
}

/* Has it an owner with rights on another kind of relation: an index has those of its table. */
static Oid
relation_with_rights(Oid relid)
{
	char		kind = get_rel_relkind(relid);

	return kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX
		? IndexGetRelation(relid, true) : relid;
}

static ScriptTable *
new_table(ScriptTables *tables, const char *schema, const char *name)
{
	ScriptTable *table = palloc0(sizeof(ScriptTable));

	table->schema = pstrdup(schema);
	table->name = pstrdup(name);
	table->bytes = -1;
	tables->all = lappend(tables->all, table);
	return table;
}

static ScriptTable *
table_of_catalog(ScriptTables *tables, const char *schema, const char *name)
{
	Oid			schema_id = get_namespace_oid(schema, true);
	Oid			relid = OidIsValid(schema_id) ? get_relname_relid(name, schema_id) : InvalidOid;
	Oid			owner = OidIsValid(relid) ? relation_with_rights(relid) : InvalidOid;
	ScriptTable *table;

	/* a type has a row of its own there */
	if (!OidIsValid(owner) || get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE || !is_shown(owner, schema_id))
		return NULL;
	table = new_table(tables, schema, name);
	table->relid = relid;
	table->kind = get_rel_relkind(relid);
	table->made = relation_persistence(relid) == RELPERSISTENCE_TEMP;
	return table;
}

static ScriptTable *
table_in_schema(ScriptTables *tables, const char *schema, const char *name)
{
	MemoryContext caller = MemoryContextSwitchTo(tables->context);
	bool		found;
	NamedTable *named = named_table(tables, schema, name, &found);

	if (!found)
		named->table = table_of_catalog(tables, schema, name);
	MemoryContextSwitchTo(caller);
	return named->table && !named->table->dropped ? named->table : NULL;
}

ScriptTable *
script_table(ScriptTables *tables, const RangeVar *name)
{
	ListCell   *lc;

	if (!name)
		return NULL;
	if (name->schemaname)
		return table_in_schema(tables, name->schemaname, name->relname);
	foreach(lc, tables->path)
	{
		ScriptTable *table = table_in_schema(tables, lfirst(lc), name->relname);

		if (table)
			return table;
	}
	return NULL;
}

ScriptTable *
script_table_of_names(ScriptTables *tables, List *names)
{
	return script_table(tables, makeRangeVarFromNameList(names));
}

ScriptTable *
script_table_of_oid(ScriptTables *tables, Oid relid)
{
	ListCell   *lc;
	char	   *name = quoting_find_name(relid);
	char	   *schema = quoting_find_schema(get_rel_namespace(relid));

	/* it may have another name in the script */
	foreach(lc, tables->all)
	{
		ScriptTable *table = lfirst(lc);

		if (table->relid == relid)
			return table->dropped ? NULL : table;
	}
	return name && schema ? table_in_schema(tables, schema, name) : NULL;
}

List *
script_tables_told(ScriptTables *tables, TandemQuery *query, const char *sql)
{
	List	   *relids = query_oids(query, sql);
	List	   *told = NIL;
	ListCell   *lc;

	query_end(query);
	foreach(lc, relids)
	{
		ScriptTable *table = script_table_of_oid(tables, lfirst_oid(lc));

		if (table)
			told = lappend(told, table);
	}
	return told;
}

char *
script_table_name(const ScriptTable *table)
{
	return quote_qualified_identifier(table->schema, table->name);
}

static void
name_table(ScriptTables *tables, const char *schema, const char *name, ScriptTable *table)
{
	bool		found;

	named_table(tables, schema, name, &found)->table = table;
}

ScriptTable *
script_table_make(ScriptTables *tables, const RangeVar *name, char kind)
{
	MemoryContext caller = MemoryContextSwitchTo(tables->context);
	const char *schema = name->relpersistence == RELPERSISTENCE_TEMP ? TEMPORARY
	: name->schemaname ? name->schemaname : tables->creation;
	ScriptTable *table = new_table(tables, schema, name->relname);

	table->made = true;
	table->kind = kind;
	name_table(tables, schema, name->relname, table);
	MemoryContextSwitchTo(caller);
	return table;
}

void
script_table_rename(ScriptTables *tables, ScriptTable *table, const char *schema, const char *name)
{
	MemoryContext caller = MemoryContextSwitchTo(tables->context);

	name_table(tables, table->schema, table->name, NULL);
	table->schema = pstrdup(schema);
	table->name = pstrdup(name);
	name_table(tables, schema, name, table);
	MemoryContextSwitchTo(caller);
}

/* "$user" is the schema of that name, where there is one. */
static char *
schema_meant(char *name)
{
	if (strcmp(name, "$user") != 0)
		return name;
	name = GetUserNameFromId(GetUserId(), false);
	return OidIsValid(get_namespace_oid(name, true)) ? name : NULL;
}

void
script_tables_set_path(ScriptTables *tables, List *schemas)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, schemas)
	{
		char	   *name = schema_meant(lfirst(lc));

		if (name)
			names = lappend(names, name);
	}
	tables->creation = first_name(names);
	if (!text_is_among("pg_catalog", names))
		names = lcons("pg_catalog", names);
	tables->path = lcons(TEMPORARY, names);
}

/*-------------------------------------------------------------------------
 * Sizes and locks.
 *-------------------------------------------------------------------------
 */

static int64
noted_pages(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int64		pages = 0;

	if (HeapTupleIsValid(tuple))
	{
		pages = ((Form_pg_class) GETSTRUCT(tuple))->relpages;
		ReleaseSysCache(tuple);
	}
	return Max(pages, 0);
}

/* As its file is now, or if somebody has locked it, as VACUUM has seen it. */
static int64
relation_bytes(Oid relid)
{
	bool		gone;
	Relation	rel = relation_open_nowait(relid, &gone);
	int64		blocks;
	Oid			toast = InvalidOid;

	if (!rel)
		return gone ? 0 : noted_pages(relid) * BLCKSZ;
	blocks = RELKIND_HAS_STORAGE(rel->rd_rel->relkind) ? RelationGetNumberOfBlocks(rel) : 0;
	toast = rel->rd_rel->reltoastrelid;
	relation_close(rel, AccessShareLock);
	return blocks * BLCKSZ + (OidIsValid(toast) ? relation_bytes(toast) : 0);
}

int64
script_table_bytes(ScriptTable *table)
{
	ListCell   *lc;

	if (table->bytes >= 0 || !OidIsValid(table->relid))
		return table->bytes;
	table->bytes = 0;
	if (table->kind == RELKIND_INDEX || table->kind == RELKIND_PARTITIONED_INDEX)
		table->bytes = noted_pages(table->relid) * BLCKSZ;
	else
		foreach(lc, table_tree(table->relid))
			table->bytes += relation_bytes(lfirst_oid(lc));
	return table->bytes;
}

void
script_tables_release(ScriptTables *tables)
{
	ListCell   *lc;

	foreach(lc, tables->all)
		((ScriptTable *) lfirst(lc))->held = NoLock;
}

List *
script_tables_held(ScriptTables *tables, LOCKMODE mode)
{
	List	   *held = NIL;
	ListCell   *lc;

	foreach(lc, tables->all)
	{
		ScriptTable *table = lfirst(lc);

		if (table->held >= mode && !table->made)
			held = lappend(held, table);
	}
	return held;
}

/*-------------------------------------------------------------------------
 * Columns.
 *-------------------------------------------------------------------------
 */

static ScriptColumn *
new_column(ScriptTable *table, const char *name)
{
	MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(table));
	ScriptColumn *column = palloc0(sizeof(ScriptColumn));

	column->name = pstrdup(name);
	column->typmod = -1;
	table->columns = lappend(table->columns, column);
	MemoryContextSwitchTo(caller);
	return column;
}

static ScriptColumn *
column_of_catalog(ScriptTable *table, const char *name)
{
	HeapTuple	tuple = SearchSysCacheAttName(table->relid, name);
	Form_pg_attribute attribute;
	ScriptColumn *column;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	column = new_column(table, name);
	column->not_null = attribute->attnotnull;
	column->generated = attribute->attgenerated == ATTRIBUTE_GENERATED_STORED;
	column->type = attribute->atttypid;
	column->typmod = attribute->atttypmod;
	column->collation = attribute->attcollation;
	ReleaseSysCache(tuple);
	return column;
}

static ScriptColumn *
listed_column(ScriptTable *table, const char *name, bool dropped)
{
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		ScriptColumn *column = lfirst(lc);

		if (column->dropped == dropped && strcmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

ScriptColumn *
script_column(ScriptTable *table, const char *name)
{
	ScriptColumn *column = listed_column(table, name, false);

	if (column)
		return column;
	/* what was dropped or renamed is in the list, and in the catalog still */
	if (listed_column(table, name, true))
		return NULL;
	return OidIsValid(table->relid) ? column_of_catalog(table, name) : NULL;
}

ScriptColumn *
script_column_make(ScriptTable *table, const char *name)
{
	ScriptColumn *column = listed_column(table, name, true);
	char	   *kept;

	if (column)
	{
		kept = column->name;
		memset(column, 0, sizeof(ScriptColumn));
		column->name = kept;
		column->typmod = -1;
	}
	else
		column = new_column(table, name);
	column->made = true;
	return column;
}

/*-------------------------------------------------------------------------
 * Constraints.
 *-------------------------------------------------------------------------
 */

static ScriptConstraint *
touched_constraint(ScriptTable *table, const char *name)
{
	ScriptConstraint *last = NULL;
	ListCell   *lc;

	foreach(lc, table->constraints)
	{
		ScriptConstraint *constraint = lfirst(lc);

		if (constraint->name && strcmp(constraint->name, name) == 0)
			last = constraint;
	}
	return last;
}

ScriptConstraint *
script_constraint_make(ScriptTable *table, const char *name, bool valid)
{
	MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(table));
	ScriptConstraint *constraint = palloc0(sizeof(ScriptConstraint));

	constraint->name = name ? pstrdup(name) : NULL;
	constraint->valid = valid;
	table->constraints = lappend(table->constraints, constraint);
	MemoryContextSwitchTo(caller);
	return constraint;
}

/* Does this expression over the columns of a relation imply that one of them is not null? */
static bool
check_proves_not_null(Oid relid, HeapTuple tuple, Relation catalog, AttrNumber column)
{
	NullTest   *test = makeNode(NullTest);
	Oid			type;
	int32		typmod;
	Oid			collation;
	bool		isnull;
	Datum		stored = heap_getattr(tuple, Anum_pg_constraint_conbin, RelationGetDescr(catalog), &isnull);
	Node	   *check;

	if (isnull)
		return false;
	check = stringToNode(TextDatumGetCString(stored));
	check = (Node *) canonicalize_qual((Expr *) check, true);
	get_atttypetypmodcoll(relid, column, &type, &typmod, &collation);
	test->arg = (Expr *) makeVar(1, column, type, typmod, collation, 0);
	test->nulltesttype = IS_NOT_NULL;
	test->location = -1;
	return predicate_implied_by(list_make1(test), make_ands_implicit((Expr *) check), true);
}

typedef struct ConstraintSearch
{
	ScriptTable *table;
	const char *name;			/* of the one to find, or NULL */
	AttrNumber	column;			/* that is to be proven not null */
	ScriptConstraint *found;
	Oid			referenced;
	bool		not_null_is_invalid;
	bool		proven;
} ConstraintSearch;

/* Looks at all: says no to each. */
static bool
look_at_constraint(HeapTuple tuple, Relation catalog, void *arg)
{
	ConstraintSearch *search = arg;
	ScriptTable *table = search->table;
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	ScriptConstraint *touched = touched_constraint(table, NameStr(form->conname));
	AttrNumber	column;

	if (search->name)
	{
		if (strcmp(NameStr(form->conname), search->name) != 0)
			return false;
		search->found = script_constraint_make(table, search->name, form->convalidated);
		search->found->foreign_key = form->contype == CONSTRAINT_FOREIGN;
		search->found->oid = form->oid;
		search->referenced = form->confrelid;
		return false;
	}
	if (touched && touched->dropped)
		return false;
	if (compat_is_not_null(tuple, &column))
	{
		if (!form->convalidated && !(touched && touched->valid) && column == search->column)
			search->not_null_is_invalid = true;
	}
	else if (form->contype == CONSTRAINT_CHECK && (touched ? touched->valid : form->convalidated))
		search->proven = search->proven ||
			check_proves_not_null(table->relid, tuple, catalog, search->column);
	return false;
}

bool
relation_rows_any(Oid catalog_id, Oid relid, bool (*look) (HeapTuple, Relation, void *), void *arg)
{
	bool		of_index = catalog_id == IndexRelationId;
	Relation	catalog = table_open(catalog_id, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, of_index ? Anum_pg_index_indrelid : Anum_pg_constraint_conrelid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, of_index ? IndexIndrelidIndexId : ConstraintRelidTypidNameIndexId,
							  true, NULL, 1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = look(tuple, catalog, arg);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

static void
search_constraints(ScriptTable *table, ConstraintSearch *search)
{
	search->table = table;
	relation_rows_any(ConstraintRelationId, table->relid, look_at_constraint, search);
}

ScriptConstraint *
script_constraint(ScriptTables *tables, ScriptTable *table, const char *name)
{
	ScriptConstraint *touched = touched_constraint(table, name);
	ConstraintSearch search = {.name = name};

	if (touched)
		return touched->dropped ? NULL : touched;
	if (!OidIsValid(table->relid))
		return NULL;
	search_constraints(table, &search);
	if (search.found && OidIsValid(search.referenced))
		search.found->referenced = script_table_of_oid(tables, search.referenced);
	return search.found;
}

bool
script_column_is_proven(ScriptTable *table, const char *column)
{
	ScriptColumn *known = script_column(table, column);
	ConstraintSearch search = {.name = NULL};
	ListCell   *lc;

	foreach(lc, table->constraints)
	{
		ScriptConstraint *constraint = lfirst(lc);

		if (!constraint->dropped && constraint->valid && constraint->proves_not_null &&
			strcmp(constraint->proves_not_null, column) == 0)
			return true;
	}
	if (!known || known->made || !OidIsValid(table->relid))
		return known && known->not_null;
	search.column = get_attnum(table->relid, column);
	if (search.column == InvalidAttrNumber)
		return known->not_null;
	search_constraints(table, &search);
	return search.proven || (known->not_null && !search.not_null_is_invalid);
}
