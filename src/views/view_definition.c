/*
 * view_definition.c
 *		Determines the columns, privileges and comments of a release's view.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/renamed_column.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "rule/expression.h"
#include "rule/relation_rules.h"
#include "rule/rule_compile.h"
#include "views/view_definition.h"

/*-------------------------------------------------------------------------
 * The SELECT of a release's view over a table.
 *
 * Plain columns keep the view automatically updatable.  A column that is read
 * through is an expression, so the server does not allow writing it.
 *-------------------------------------------------------------------------
 */

/*
 * State while writing one column: the rules whose new columns are read
 * through.
 */
typedef struct ReadThrough
{
	Relation	rel;
	List	   *rules;			/* list of SyncRule */
	List	   *all;			/* all rules of the table */
	List	   *go;				/* names of columns that will be dropped now */
} ReadThrough;

static char *shown_column_text(const ReadThrough *read, AttrNumber attnum);

static Form_pg_attribute
attribute_of_column(Relation rel, AttrNumber attnum)
{
	return TupleDescAttr(RelationGetDescr(rel), attnum - 1);
}

/* Rows in quarantine are shown as they are, since up fails on them. */
bool
view_reads_through(const SyncRule *rule)
{
	List	   *leaves;
	List	   *fills;
	ListCell   *lc;

	if (rule->filled)
		return false;
	leaves = table_leaves(rule->relation);
	fills = step_list_of_tables(rule->migration_id, STEP_BACKFILL, leaves);
	foreach(lc, leaves)
	{
		Step	   *fill = step_find(fills, lfirst_oid(lc));

		if (fill == NULL || !fill->done)
			return true;
	}
	return false;
}

/* Returns the rule of a new column that is read through, or NULL. */
static SyncRule *
read_through_rule_of(const ReadThrough *read, AttrNumber attnum, int *index)
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

static Node *
parse_shown_column(const ReadThrough *read, AttrNumber attnum)
{
	int			index;
	const SyncRule *rule = read_through_rule_of(read, attnum, &index);

	return relation_rules_parse(shown_column_text(read, attnum), read->rel,
								attnum, "read-through", rule, read->all);
}

/*
 * In a chain of rules up reads columns that are themselves read through.  The
 * whole row may have columns that go: they are null in it from then on.
 */
static Node *
show_columns_mutator(Node *node, void *context)
{
	const ReadThrough *read = context;
	int			index;

	if (node && IsA(node, Var) && ((Var *) node)->varattno > 0)
	{
		AttrNumber	attnum = ((Var *) node)->varattno;
		Form_pg_attribute att = attribute_of_column(read->rel, attnum);

		if (read_through_rule_of(read, attnum, &index))
			return parse_shown_column(read, attnum);
		if (text_is_among(NameStr(att->attname), read->go))
			return (Node *) makeNullConst(att->atttypid, att->atttypmod,
										  att->attcollation);
	}
	return expression_tree_mutator(node, show_columns_mutator, context);
}

/* Returns the constant that an unfilled row may have, as text, or NULL. */
static char *
unfilled_default_text(Relation rel, AttrNumber attnum)
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

/*
 * The same condition as in trigger and backfill, except for the row's length.
 */
static char *
unfilled_condition_text(Relation rel, const SyncRule *rule)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, rule->new_columns)
	{
		const char *name = quote_identifier(lfirst(lc));
		char	   *value = unfilled_default_text(rel,
												  get_attnum(RelationGetRelid(rel),
															 lfirst(lc)));

		appendStringInfoString(&text, text.len ? " AND " : "");
		/* not IS NULL, which tests the fields of a composite value */
		if (value)
			appendStringInfo(&text, "(%s IS NOT DISTINCT FROM NULL OR CAST(%s AS pg_catalog.text) = CAST(%s AS pg_catalog.text))",
							 name, name, value);
		else
			appendStringInfo(&text, "%s IS NOT DISTINCT FROM NULL", name);
	}
	return text.data;
}

/*
 * Returns " COLLATE ..." of the column; up may have another collation, or
 * none.
 */
static char *
collate_clause(Form_pg_attribute att)
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

char *
view_null_of_column(Form_pg_attribute att)
{
	return psprintf("CAST(NULL AS %s)%s",
					format_type_extended(att->atttypid, att->atttypmod,
										 FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
					collate_clause(att));
}

/* Returns a column as the view shows it. */
static char *
shown_column_text(const ReadThrough *read, AttrNumber attnum)
{
	Form_pg_attribute att = attribute_of_column(read->rel, attnum);
	int			index = 0;
	SyncRule   *rule = read_through_rule_of(read, attnum, &index);
	ReadThrough others = *read;
	Node	   *up;

	if (rule == NULL)
		return pstrdup(quote_identifier(NameStr(att->attname)));
	up = relation_rules_parse_in_force(list_nth(rule->up, index), read->rel,
									   attnum, "up", rule, read->all);
	others.rules = list_delete_ptr(list_copy(read->rules), rule);
	up = show_columns_mutator(up, &others);
	return psprintf("CASE WHEN %s THEN CAST((%s) AS %s) ELSE %s END%s",
					unfilled_condition_text(read->rel, rule),
					expression_deparse(up, read->rel),
					format_type_extended(att->atttypid, att->atttypmod,
										 FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
					quote_identifier(NameStr(att->attname)), collate_clause(att));
}

static List *
rules_to_read_through(List *all)
{
	List	   *rules = NIL;
	ListCell   *lc;

	foreach(lc, all)
	{
		if (view_reads_through(lfirst(lc)))
			rules = lappend(rules, lfirst(lc));
	}
	return rules;
}

static ViewColumn *
view_column_of_table(const ReadThrough *read, AttrNumber attnum)
{
	Form_pg_attribute att = attribute_of_column(read->rel, attnum);
	ViewColumn *column = palloc(sizeof(ViewColumn));

	column->name = pstrdup(NameStr(att->attname));
	column->attnum = attnum;
	column->from = column->name;
	column->text = shown_column_text(read, attnum);
	column->type = att->atttypid;
	column->typmod = att->atttypmod;
	column->collation = att->attcollation;
	return column;
}

/* Returns the column that the expression merely renames, or NULL. */
static char *
renamed_column(Relation rel, Node *up)
{
	if (!IsA(up, Var) || ((Var *) up)->varattno <= 0)
		return NULL;
	return pstrdup(NameStr(attribute_of_column(rel,
											   ((Var *) up)->varattno)->attname));
}

/* Returns the new columns of a rule that is not stored. */
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
											  InvalidAttrNumber, "up", rule,
											  read->all);

		up = show_columns_mutator(up, (void *) read);
		column->name = lfirst(name);
		column->attnum = IsA(up, Var) ? ((Var *) up)->varattno : InvalidAttrNumber;
		column->from = renamed_column(read->rel, up);
		column->text = expression_deparse(up, read->rel);
		column->type = exprType(up) == UNKNOWNOID ? TEXTOID : exprType(up);
		column->typmod = exprTypmod(up);
		column->collation = exprCollation(up);
		columns = lappend(columns, column);
	}
	return columns;
}

/*
 * Returns the column that is shown in the place of one: that which a rule has put
 * there, maybe in several steps.  renames are in the order of their releases.
 */
static AttrNumber
column_in_place_of(Relation rel, List *renames, AttrNumber attnum)
{
	ListCell   *lc;

	foreach(lc, renames)
	{
		SyncRule   *rule = lfirst(lc);

		if (rule_changes_column(rule) &&
			get_attnum(RelationGetRelid(rel), linitial(rule->old_columns)) == attnum)
			attnum = get_attnum(RelationGetRelid(rel), linitial(rule->new_columns));
	}
	return attnum;
}

/* Returns the numbers of the columns of the table in the order of the view. */
static List *
column_order(Relation rel, List *renames)
{
	List	   *order = NIL;
	AttrNumber	natts = RelationGetNumberOfAttributes(rel);

	for (AttrNumber attnum = 1; attnum <= natts; attnum++)
		order = list_append_unique_int(order, column_in_place_of(rel, renames, attnum));
	/* and those whose places are taken: they are hidden, but may be named */
	for (AttrNumber attnum = 1; attnum <= natts; attnum++)
		order = list_append_unique_int(order, attnum);
	return order;
}

List *
view_columns(Relation rel, int release, List *hidden, List *go)
{
	Oid			relid = RelationGetRelid(rel);
	List	   *rules = sync_list_of_relation(relid);
	ReadThrough read = {rel, rules_to_read_through(rules), rules, go};
	List	   *unstored = sync_list_unstored(relid, release);
	List	   *renames = renamed_column_list(relid, release);
	List	   *columns = NIL;
	ListCell   *place;
	ListCell   *lc;

	foreach(place, column_order(rel, renames))
	{
		AttrNumber	attnum = lfirst_int(place);
		Form_pg_attribute att = attribute_of_column(rel, attnum);
		bool		shown = !att->attisdropped;

		foreach(lc, hidden)
			shown = shown && strcmp(lfirst(lc), NameStr(att->attname)) != 0;
		if (shown)
		{
			ViewColumn *column = view_column_of_table(&read, attnum);

			column->name = renamed_column_shown(renames, column->name);
			columns = lappend(columns, column);
		}
		foreach(lc, unstored)
		{
			SyncRule   *rule = lfirst(lc);

			if (get_attnum(relid, linitial(rule->old_columns)) == attnum)
				columns = list_concat(columns, unstored_columns(&read, rule));
		}
	}
	return columns;
}

ViewColumn *
view_column_plain(Relation rel, AttrNumber attnum)
{
	ReadThrough read = {rel, NIL, NIL, NIL};

	return view_column_of_table(&read, attnum);
}

ViewColumn *
view_column_now(Relation rel, AttrNumber attnum, List *go)
{
	List	   *rules = sync_list_of_relation(RelationGetRelid(rel));
	ReadThrough read = {rel, rules_to_read_through(rules), rules, go};

	return view_column_of_table(&read, attnum);
}

ViewColumn *
view_column_unstored(Relation rel, int release, const char *name, List *go)
{
	List	   *rules = sync_list_of_relation(RelationGetRelid(rel));
	ReadThrough read = {rel, rules_to_read_through(rules), rules, go};
	ListCell   *lc;
	ListCell   *column;

	foreach(lc, sync_list_unstored(RelationGetRelid(rel), release))
	{
		if (!text_is_among(name, ((SyncRule *) lfirst(lc))->new_columns))
			continue;
		foreach(column, unstored_columns(&read, lfirst(lc)))
		{
			if (strcmp(((ViewColumn *) lfirst(column))->name, name) == 0)
				return lfirst(column);
		}
	}
	return NULL;
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
