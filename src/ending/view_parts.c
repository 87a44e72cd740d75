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
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/authority.h"
#include "core/catalog_row.h"
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

/* Whose privileges: of the view, of the type of its rows, or of a column by its number. */
#define RIGHTS_OF_VIEW	0
#define RIGHTS_OF_TYPE	(-1)

typedef struct ColumnRights
{
	AttrNumber	number;
	Acl		   *acl;
} ColumnRights;

/* Where privileges are stored. */
typedef struct RightsPlace
{
	Oid			class;
	int			cache;
	AttrNumber	attribute;
	Oid			object;
	AttrNumber	column;
} RightsPlace;

static RightsPlace
place_of_rights(Oid view, AttrNumber number)
{
	RightsPlace of_view = {RelationRelationId, RELOID, Anum_pg_class_relacl, view, 0};
	RightsPlace of_column = {AttributeRelationId, ATTNUM, Anum_pg_attribute_attacl, view, number};

	if (number == RIGHTS_OF_TYPE)
	{
		RightsPlace of_type = {TypeRelationId, TYPEOID, Anum_pg_type_typacl, get_rel_type_id(view), 0};

		return of_type;
	}
	return number == RIGHTS_OF_VIEW ? of_view : of_column;
}

/* Returns a copy, or NULL. */
static HeapTuple
tuple_with_rights(const RightsPlace *place)
{
	if (place->column > 0)
		return SearchSysCacheCopy2(place->cache, ObjectIdGetDatum(place->object),
								   Int16GetDatum(place->column));
	return SearchSysCacheCopy1(place->cache, ObjectIdGetDatum(place->object));
}

/* Returns NULL for the default. */
static Acl *
rights_in_tuple(const RightsPlace *place, HeapTuple tuple)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(place->cache, tuple, place->attribute, &isnull);

	return isnull ? NULL : DatumGetAclPCopy(value);
}

static Acl *
rights_at(Oid view, AttrNumber number)
{
	RightsPlace place = place_of_rights(view, number);
	HeapTuple	tuple = tuple_with_rights(&place);

	return HeapTupleIsValid(tuple) ? rights_in_tuple(&place, tuple) : NULL;
}

static List *
add_rights(List *rights, Oid view, AttrNumber number)
{
	Acl		   *acl = rights_at(view, number);
	ColumnRights *of_column;

	if (acl == NULL)
		return rights;
	of_column = palloc(sizeof(ColumnRights));
	of_column->number = number;
	of_column->acl = acl;
	return lappend(rights, of_column);
}

List *
view_rights(Oid view)
{
	List	   *rights = NIL;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
	int			count;

	if (!HeapTupleIsValid(tuple))
		quoting_raise_dropped(view);
	count = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	ReleaseSysCache(tuple);
	for (int number = RIGHTS_OF_TYPE; number <= count; number++)
		rights = add_rights(rights, view, (AttrNumber) number);
	return rights;
}

static void
note_members(const RightsPlace *place, Oid owner, const Acl *old, const Acl *new)
{
	Oid		   *old_members = NULL;
	Oid		   *new_members = NULL;
	int			old_count = old ? aclmembers(old, &old_members) : 0;
	int			new_count = new ? aclmembers(new, &new_members) : 0;

	/* of a column they are those of its relation */
	updateAclDependencies(place->class == AttributeRelationId ? RelationRelationId : place->class,
						  place->object, place->column, owner,
						  old_count, old_members, new_count, new_members);
}

#define MOST_ATTRIBUTES Max(Max(Natts_pg_class, Natts_pg_attribute), Natts_pg_type)

/* acl: NULL for the default.  The tuple is a copy. */
static void
store_rights(Relation catalog, HeapTuple tuple, AttrNumber attribute, Acl *acl)
{
	Datum		values[MOST_ATTRIBUTES] = {0};
	bool		nulls[MOST_ATTRIBUTES] = {0};
	bool		replaces[MOST_ATTRIBUTES] = {0};
	HeapTuple	changed;

	values[attribute - 1] = PointerGetDatum(acl);
	nulls[attribute - 1] = acl == NULL;
	replaces[attribute - 1] = true;
	changed = heap_modify_tuple(tuple, RelationGetDescr(catalog), values, nulls, replaces);
	catalog_row_store(catalog, changed);
}

static void
set_rights(Oid view, Oid owner, AttrNumber number, Acl *acl)
{
	RightsPlace place = place_of_rights(view, number);
	Relation	catalog = table_open(place.class, RowExclusiveLock);
	HeapTuple	tuple = tuple_with_rights(&place);

	if (!HeapTupleIsValid(tuple))
		quoting_raise_dropped(view);
	note_members(&place, owner, rights_in_tuple(&place, tuple), acl);
	store_rights(catalog, tuple, place.attribute, acl);
	heap_freetuple(tuple);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

void
view_set_rights(Oid view, Oid owner, List *rights)
{
	ListCell   *lc;

	set_rights(view, owner, RIGHTS_OF_VIEW, NULL);
	foreach(lc, rights)
	{
		const ColumnRights *of_column = lfirst(lc);

		set_rights(view, owner, of_column->number, of_column->acl);
	}
}

void
column_copy_rights(Oid relid, AttrNumber from, AttrNumber to)
{
	Acl		   *acl = rights_at(relid, from);
	Acl		   *other = rights_at(relid, to);

	if (acl != NULL && (other == NULL || !aclequal(acl, other)))
		set_rights(relid, authority_owner_of(relid), to, acl);
}
