/*
 * key_definition.c
 *		UNIQUE and PRIMARY KEY: their text, and that of the index below them.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/quoting.h"
#include "core/authority.h"
#include "ddl/constraint_state.h"
#include "ddl/derived_name.h"
#include "ddl/index_definition.h"
#include "ddl/key_definition.h"

static void
append_columns(StringInfo text, List *columns)
{
	ListCell   *lc;

	appendStringInfoChar(text, '(');
	foreach(lc, columns)
		appendStringInfo(text, "%s%s",
						 foreach_current_index(lc) ? ", " : "",
						 quote_identifier(strVal(lfirst(lc))));
	appendStringInfoChar(text, ')');
}

static void
append_options(StringInfo text, List *options)
{
	ListCell   *lc;

	if (options == NIL)
		return;
	appendStringInfoString(text, " WITH (");
	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		char	   *value = option->arg ? defGetString(option) : "true";

		/* quoted as the server does */
		appendStringInfo(text, "%s%s=%s",
						 foreach_current_index(lc) ? ", " : "",
						 quote_identifier(option->defname),
						 quote_identifier(value) == value ? value
						 : quote_literal_cstr(value));
	}
	appendStringInfoChar(text, ')');
}

/* The text is compared with the server's, so names are quoted as there. */
static void
begin_text(StringInfo text, AuthorityScope *scope)
{
	initStringInfo(text);
	authority_pin_search_path(scope);
	authority_pin_catalog_forms();
}

const char *
key_deferral(const Constraint *key)
{
	if (!key->deferrable)
		return "";
	return key->initdeferred ? " DEFERRABLE INITIALLY DEFERRED" : " DEFERRABLE";
}

char *
key_text(const Constraint *key, bool storage)
{
	StringInfoData text;
	AuthorityScope scope;

	begin_text(&text, &scope);
	appendStringInfoString(&text, key->contype == CONSTR_PRIMARY
						   ? "PRIMARY KEY " : "UNIQUE ");
	if (key->nulls_not_distinct)
		appendStringInfoString(&text, "NULLS NOT DISTINCT ");
	append_columns(&text, key->keys);
	if (key->including != NIL)
	{
		appendStringInfoString(&text, " INCLUDE ");
		append_columns(&text, key->including);
	}
	if (storage)
	{
		append_options(&text, key->options);
		if (key->indexspace)
			appendStringInfo(&text, " USING INDEX TABLESPACE %s",
							 quote_identifier(key->indexspace));
	}
	appendStringInfoString(&text, key_deferral(key));
	authority_leave(&scope);
	return text.data;
}

char *
key_index_tail(const Constraint *key)
{
	StringInfoData text;
	AuthorityScope scope;

	begin_text(&text, &scope);
	appendStringInfoString(&text, "USING btree ");
	append_columns(&text, key->keys);
	if (key->including != NIL)
	{
		appendStringInfoString(&text, " INCLUDE ");
		append_columns(&text, key->including);
	}
	if (key->nulls_not_distinct)
		appendStringInfoString(&text, " NULLS NOT DISTINCT");
	append_options(&text, key->options);
	if (key->indexspace)
		appendStringInfo(&text, " TABLESPACE %s",
						 quote_identifier(key->indexspace));
	authority_leave(&scope);
	return text.data;
}

static List *
index_elements(List *columns)
{
	List	   *elements = NIL;
	ListCell   *lc;

	foreach(lc, columns)
	{
		IndexElem  *element = makeNode(IndexElem);

		element->name = strVal(lfirst(lc));
		element->ordering = SORTBY_DEFAULT;
		element->nulls_ordering = SORTBY_NULLS_DEFAULT;
		elements = lappend(elements, element);
	}
	return elements;
}

static IndexStmt *
index_statement(Oid relid, const Constraint *key)
{
	IndexStmt  *index = makeNode(IndexStmt);

	index->idxname = key->conname;
	index->relation = quoting_range_var(relid);
	index->accessMethod = "btree";
	index->tableSpace = key->indexspace;
	index->indexParams = index_elements(key->keys);
	index->indexIncludingParams = index_elements(key->including);
	index->options = key->options;
	index->unique = true;
	index->nulls_not_distinct = key->nulls_not_distinct;
	return index;
}

static void
check_columns_given_once(const Constraint *key)
{
	ListCell   *lc;

	foreach(lc, key->keys)
	{
		char	   *name = strVal(lfirst(lc));

		for (int i = 0; i < foreach_current_index(lc); i++)
		{
			if (strcmp(strVal(list_nth(key->keys, i)), name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" appears twice in constraint \"%s\"",
								name, key->conname),
						 errhint("Name each column once.")));
		}
	}
}

/* A constraint's index bears its name, among the relations of the schema. */
static void
check_index_name(Oid relid, const char *name)
{
	Oid			taken = get_relname_relid(name, get_rel_namespace(relid));

	if (OidIsValid(taken))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", name),
				 errdetail("The index of a constraint bears the constraint's name."),
				 errhint("Choose another name. To create a constraint from an existing unique index, run ALTER TABLE %s ADD CONSTRAINT name UNIQUE USING INDEX %s.",
						 quoting_relation(relid), quote_identifier(name))));
}

static void
check_no_primary_key(Oid relid)
{
	Oid			other = primary_key_table(relid);

	if (OidIsValid(other))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("table \"%s\" already has a primary key",
						quoting_shown_name(other)),
				 errhint("Add a unique index with tandem.add_index, and tandem.add_not_null; after migrate, and before contract, drop the old key and make the new one of that index in one transaction: ALTER TABLE ... ADD PRIMARY KEY USING INDEX.")));
}

/*
 * The session that builds it may have another default_tablespace.  The
 * database's own is never named: the catalog does not, either.
 */
static void
pin_tablespace(Oid relid, Constraint *key)
{
	Oid			tablespace = key->indexspace
	? get_tablespace_oid(key->indexspace, true)
	: GetDefaultTablespace(get_rel_persistence(relid), false);

	if (key->indexspace == NULL && OidIsValid(tablespace))
		key->indexspace = get_tablespace_name(tablespace);
	else if (tablespace == MyDatabaseTableSpace)
		key->indexspace = NULL;
}

/* The index that is built is known again by its text. */
static void
check_index(Oid relid, const Constraint *key, const char *definition)
{
	IndexDefinition *index = index_definition_check(relid,
													index_statement(relid, key),
													definition);

	if (strcmp(index->tail, key_index_tail(key)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index of constraint \"%s\" is not as its definition says",
						key->conname),
				 errdetail("The server creates it as: %s", index->tail),
				 errhint("Write the storage parameters as the server does.")));
}

char *
key_check(Oid relid, Constraint *key, const char *definition)
{
	check_columns_given_once(key);
	check_index_name(relid, key->conname);
	if (key->contype == CONSTR_PRIMARY)
		check_no_primary_key(relid);
	pin_tablespace(relid, key);
	check_index(relid, key, definition);
	return key_text(key, true);
}

char *
key_leaf_name(Oid relid, Oid leaf, const char *name)
{
	char	   *table = quoting_find_name(leaf);

	if (relid == leaf)
		return pstrdup(name);
	/* of a leaf that was dropped meanwhile, no matter which */
	return derived_name(table ? table : psprintf("%u", leaf), name);
}
