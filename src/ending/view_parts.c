/*
 * view_parts.c
 *		What a view of a user is, to make it again: statements and privileges.
 *
 * The statements are those of the script's function tandem._remake_statements.
 * Privileges are copied as they are: GRANT would need each grantor.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/query.h"
#include "core/text.h"
#include "ending/view_parts.h"

static void *
read_statement(uint64 row)
{
	ViewStatement *statement = palloc(sizeof(ViewStatement));

	statement->view = query_get_oid(row, 1);
	statement->step = query_get_int(row, 2);
	statement->text = query_get_text(row, 3);
	statement->search_path = query_get_text(row, 4);
	return statement;
}

List *
view_statements(List *relids)
{
	TandemQuery query;
	List	   *statements;

	if (relids == NIL)
		return NIL;
	query_begin(&query);
	authority_pin_catalog_forms();
	query_oid_list(&query, relids);
	statements = query_rows(&query,
							"SELECT view, step, statement, search_path FROM tandem._remake_statements($1) "
							"ORDER BY step, array_position($1, view), statement COLLATE \"C\"",
							read_statement);
	query_end(&query);
	return statements;
}

ViewStatement *
view_statement_behind_name(Oid view)
{
	ListCell   *lc;

	foreach(lc, view_statements(list_make1_oid(view)))
	{
		ViewStatement *statement = lfirst(lc);

		if (statement->step != VIEW_ITSELF)
			continue;
		statement->text +=strlen("CREATE VIEW ") + strlen(quoting_relation(view));
		return statement;
	}
	quoting_raise_dropped(view);
}

char *
view_definition_text(Oid view)
{
	List	   *texts = NIL;
	ListCell   *lc;

	foreach(lc, view_statements(list_make1_oid(view)))
	{
		const ViewStatement *statement = lfirst(lc);
		char	   *query = strstr(statement->text, " AS\n");

		if (statement->step == VIEW_ITSELF && query)
			texts = lappend(texts, query + strlen(" AS\n"));
		else if (statement->step == VIEW_DEFAULT || statement->step == VIEW_RULE)
			texts = lappend(texts, statement->text);
	}
	return text_joined(texts, "", "; ");
}

/*-------------------------------------------------------------------------
 * Privileges.
 *-------------------------------------------------------------------------
 */

typedef struct ColumnRights
{
	AttrNumber	number;			/* 0: of the view */
	Acl		   *acl;
} ColumnRights;

static List *
add_rights(List *rights, AttrNumber number, int cache, HeapTuple tuple, AttrNumber place)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(cache, tuple, place, &isnull);
	ColumnRights *of_column;

	if (isnull)
		return rights;
	of_column = palloc(sizeof(ColumnRights));
	of_column->number = number;
	of_column->acl = DatumGetAclPCopy(value);
	return lappend(rights, of_column);
}

List *
view_rights(Oid view)
{
	List	   *rights = NIL;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
	AttrNumber	count;

	if (!HeapTupleIsValid(tuple))
		quoting_raise_dropped(view);
	count = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	rights = add_rights(rights, 0, RELOID, tuple, Anum_pg_class_relacl);
	ReleaseSysCache(tuple);
	for (AttrNumber number = 1; number <= count; number++)
	{
		tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(view), Int16GetDatum(number));
		if (!HeapTupleIsValid(tuple))
			continue;
		rights = add_rights(rights, number, ATTNUM, tuple, Anum_pg_attribute_attacl);
		ReleaseSysCache(tuple);
	}
	return rights;
}

static void
note_members(Oid view, AttrNumber number, Oid owner, const Acl *old, const Acl *new)
{
	Oid		   *old_members = NULL;
	Oid		   *new_members = NULL;
	int			old_count = old ? aclmembers(old, &old_members) : 0;
	int			new_count = new ? aclmembers(new, &new_members) : 0;

	updateAclDependencies(RelationRelationId, view, number, owner,
						  old_count, old_members, new_count, new_members);
}

/* acl: NULL for the default.  The tuple is a copy. */
static void
store_rights(Relation catalog, HeapTuple tuple, AttrNumber place, Acl *acl)
{
	Datum		values[Max(Natts_pg_class, Natts_pg_attribute)] = {0};
	bool		nulls[Max(Natts_pg_class, Natts_pg_attribute)] = {0};
	bool		replaces[Max(Natts_pg_class, Natts_pg_attribute)] = {0};
	HeapTuple	changed;

	values[place - 1] = PointerGetDatum(acl);
	nulls[place - 1] = acl == NULL;
	replaces[place - 1] = true;
	changed = heap_modify_tuple(tuple, RelationGetDescr(catalog), values, nulls, replaces);
	CatalogTupleUpdate(catalog, &tuple->t_self, changed);
}

static void
set_rights(Oid view, Oid owner, AttrNumber number, Acl *acl)
{
	Oid			class = number == 0 ? RelationRelationId : AttributeRelationId;
	int			cache = number == 0 ? RELOID : ATTNUM;
	AttrNumber	place = number == 0 ? Anum_pg_class_relacl : Anum_pg_attribute_attacl;
	Relation	catalog = table_open(class, RowExclusiveLock);
	HeapTuple	tuple = number == 0 ? SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(view))
	: SearchSysCacheCopy2(ATTNUM, ObjectIdGetDatum(view), Int16GetDatum(number));
	bool		isnull;
	Datum		old;

	if (!HeapTupleIsValid(tuple))
		quoting_raise_dropped(view);
	old = SysCacheGetAttr(cache, tuple, place, &isnull);
	note_members(view, number, owner, isnull ? NULL : DatumGetAclPCopy(old), acl);
	store_rights(catalog, tuple, place, acl);
	heap_freetuple(tuple);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

void
view_set_rights(Oid view, Oid owner, List *rights)
{
	ListCell   *lc;

	set_rights(view, owner, 0, NULL);
	foreach(lc, rights)
	{
		const ColumnRights *of_column = lfirst(lc);

		set_rights(view, owner, of_column->number, of_column->acl);
	}
}
