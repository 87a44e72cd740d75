/*
 * view_definition.c
 *		What the view of a release over a table selects.
 *
 * Plain columns keep the view automatically updatable.  A column that is read
 * through is an expression, which the server will not let anyone write.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/quoting.h"
#include "core/authority.h"
#include "ddl/partitions.h"
#include "ddl/view_definition.h"
#include "sync/expression.h"
#include "sync/relation_rules.h"

/* The rules whose new columns are read through, while one column is written. */
typedef struct ReadThrough
{
	Relation	rel;
	List	   *rules;			/* of SyncRule */
} ReadThrough;

static char *column_text(const ReadThrough *read, AttrNumber attnum);

static Form_pg_attribute
column_of(Relation rel, AttrNumber attnum)
{
	return TupleDescAttr(RelationGetDescr(rel), attnum - 1);
}

/* A row that the backfill had to put into quarantine is shown as it is: up raises. */
bool
view_reads_through(const SyncRule *rule)
{
	List	   *fills;
	ListCell   *lc;

	if (rule->filled)
		return false;
	fills = step_list(rule->migration_id, STEP_BACKFILL);
	foreach(lc, table_leaves(rule->relation))
	{
		Step	   *fill = step_find(fills, lfirst_oid(lc));

		if (fill == NULL || !fill->done)
			return true;
	}
	return false;
}

/* The rule of a new column that is read through, or NULL. */
static SyncRule *
rule_of(const ReadThrough *read, AttrNumber attnum, int *index)
{
	ListCell   *rule;
	ListCell   *name;

	foreach(rule, read->rules)
	{
		List	   *names = ((SyncRule *) lfirst(rule))->new_columns;

		foreach(name, names)
		{
			if (get_attnum(RelationGetRelid(read->rel), lfirst(name)) != attnum)
				continue;
			*index = foreach_current_index(name);
			return lfirst(rule);
		}
	}
	return NULL;
}

/* In a chain of rules up reads what is itself read through. */
static Node *
show_columns(Node *node, void *context)
{
	const ReadThrough *read = context;
	int			index;

	if (node && IsA(node, Var) && ((Var *) node)->varattno > 0 &&
		rule_of(read, ((Var *) node)->varattno, &index))
	{
		AttrNumber	attnum = ((Var *) node)->varattno;

		return relation_rules_parse(column_text(read, attnum), read->rel,
									attnum, "read-through");
	}
	return expression_tree_mutator(node, show_columns, context);
}

/* The constant that an unfilled row may have, as text, or NULL. */
static char *
default_text(Relation rel, AttrNumber attnum)
{
	AuthorityScope scope;
	Node	   *value;

	/* planning runs immutable functions */
	authority_enter_owner(&scope, rel, NULL);
	value = relation_rules_default(rel, attnum);
	authority_leave(&scope);
	if (value == NULL || !IsA(value, Const) || ((Const *) value)->constisnull)
		return NULL;
	return expression_deparse(value, rel);
}

/* As the trigger and the backfill see an unfilled row, but for its length. */
static char *
unfilled_text(Relation rel, const SyncRule *rule)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, rule->new_columns)
	{
		const char *name = quote_identifier(lfirst(lc));
		char	   *value = default_text(rel, get_attnum(RelationGetRelid(rel),
														 lfirst(lc)));

		appendStringInfoString(&text, text.len ? " AND " : "");
		/* IS NULL would look into a row */
		if (value)
			appendStringInfo(&text, "(%s IS NOT DISTINCT FROM NULL OR CAST(%s AS pg_catalog.text) = CAST(%s AS pg_catalog.text))",
							 name, name, value);
		else
			appendStringInfo(&text, "%s IS NOT DISTINCT FROM NULL", name);
	}
	return text.data;
}

/* " COLLATE ..." of a column; up may have another, or none. */
static char *
collate_text(Form_pg_attribute att)
{
	HeapTuple	tuple;
	Form_pg_collation collation;
	char	   *text;

	if (!OidIsValid(att->attcollation))
		return "";
	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(att->attcollation));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("collation with OID %u does not exist",
						att->attcollation)));
	collation = (Form_pg_collation) GETSTRUCT(tuple);
	text = psprintf(" COLLATE %s",
					quote_qualified_identifier(quoting_raw_schema(collation->collnamespace),
											   NameStr(collation->collname)));

	ReleaseSysCache(tuple);
	return text;
}

/* A column as the view shows it. */
static char *
column_text(const ReadThrough *read, AttrNumber attnum)
{
	Form_pg_attribute att = column_of(read->rel, attnum);
	int			index = 0;
	SyncRule   *rule = rule_of(read, attnum, &index);
	ReadThrough others = *read;
	Node	   *up;

	if (rule == NULL)
		return pstrdup(quote_identifier(NameStr(att->attname)));
	up = relation_rules_parse(list_nth(rule->up, index), read->rel, attnum,
							  "up");
	others.rules = list_delete_ptr(list_copy(read->rules), rule);
	up = show_columns(up, &others);
	return psprintf("CASE WHEN %s THEN CAST((%s) AS %s) ELSE %s END%s",
					unfilled_text(read->rel, rule),
					expression_deparse(up, read->rel),
					format_type_extended(att->atttypid, att->atttypmod,
										 FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
					quote_identifier(NameStr(att->attname)), collate_text(att));
}

static List *
rules_to_read_through(Oid relid)
{
	List	   *rules = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_relation(relid))
	{
		if (view_reads_through(lfirst(lc)))
			rules = lappend(rules, lfirst(lc));
	}
	return rules;
}

static ViewColumn *
table_column(const ReadThrough *read, AttrNumber attnum)
{
	Form_pg_attribute att = column_of(read->rel, attnum);
	ViewColumn *column = palloc(sizeof(ViewColumn));

	column->name = pstrdup(NameStr(att->attname));
	column->from = column->name;
	column->text = column_text(read, attnum);
	column->type = att->atttypid;
	column->typmod = att->atttypmod;
	column->collation = att->attcollation;
	return column;
}

/* The column that an expression only renames, or NULL. */
static char *
renamed_column(Relation rel, Node *up)
{
	if (!IsA(up, Var) || ((Var *) up)->varattno <= 0)
		return NULL;
	return pstrdup(NameStr(column_of(rel, ((Var *) up)->varattno)->attname));
}

/* The new columns of a rule that is not stored. */
static List *
unstored_columns(const ReadThrough *read, const SyncRule *rule)
{
	List	   *columns = NIL;
	ListCell   *name;
	ListCell   *text;

	forboth(name, rule->new_columns, text, rule->up)
	{
		ViewColumn *column = palloc(sizeof(ViewColumn));
		Node	   *up = relation_rules_parse(lfirst(text), read->rel,
											  InvalidAttrNumber, "up");

		up = show_columns(up, (void *) read);
		column->name = lfirst(name);
		column->from = renamed_column(read->rel, up);
		column->text = expression_deparse(up, read->rel);
		column->type = exprType(up) == UNKNOWNOID ? TEXTOID : exprType(up);
		column->typmod = exprTypmod(up);
		column->collation = exprCollation(up);
		columns = lappend(columns, column);
	}
	return columns;
}

List *
view_columns(Relation rel, int release, List *hidden)
{
	Oid			relid = RelationGetRelid(rel);
	ReadThrough read = {rel, rules_to_read_through(relid)};
	List	   *unstored = sync_list_unstored(relid, release);
	List	   *columns = NIL;
	ListCell   *lc;

	for (AttrNumber attnum = 1; attnum <= RelationGetNumberOfAttributes(rel); attnum++)
	{
		Form_pg_attribute att = column_of(rel, attnum);
		bool		shown = !att->attisdropped;

		foreach(lc, hidden)
			shown = shown && strcmp(lfirst(lc), NameStr(att->attname)) != 0;
		if (shown)
			columns = lappend(columns, table_column(&read, attnum));
		foreach(lc, unstored)
		{
			SyncRule   *rule = lfirst(lc);

			if (get_attnum(relid, linitial(rule->old_columns)) == attnum)
				columns = list_concat(columns, unstored_columns(&read, rule));
		}
	}
	return columns;
}

List *
view_column_names(List *columns)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, columns)
		names = lappend(names, ((ViewColumn *) lfirst(lc))->name);
	return names;
}

List *
view_column_origins(List *columns)
{
	List	   *origins = NIL;
	ListCell   *lc;

	foreach(lc, columns)
		origins = lappend(origins, ((ViewColumn *) lfirst(lc))->from);
	return origins;
}

char *
view_definition(Relation rel, List *columns)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT");
	foreach(lc, columns)
	{
		ViewColumn *column = lfirst(lc);

		appendStringInfo(&sql, "%s %s AS %s",
						 foreach_current_index(lc) ? "," : "", column->text,
						 quote_identifier(column->name));
	}
	appendStringInfo(&sql, " FROM %s %s",
					 quoting_relation(RelationGetRelid(rel)), EXPRESSION_ALIAS);
	return sql.data;
}
