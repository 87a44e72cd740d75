/*
 * whole_row.c
 *		The whole row, in an expression of a rule.
 *
 * The trigger, the fill and verify compute up from one row of a table or
 * partition, and views compute it in SQL.  A reference to the whole row would
 * be another value in each: a partition may have its columns in another order,
 * and the row contains the very columns that are to be computed, which have one
 * value before and another one after.  So the expression says which row it
 * means: ROW(...) of the topmost table's type, column by column, with null for
 * what up must not see.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/text.h"
#include "rule/whole_row.h"

/*
 * Each rule sees what was there before it.  So any number of rules can read the
 * whole row, and none waits for a later one.  What a rule computes from it sees
 * in any case.
 */
List *
whole_row_unseen(const SyncRule *rule, List *rules, bool up)
{
	List	   *unseen = up ? list_copy(rule->new_columns) : NIL;
	ListCell   *lc;
	ListCell   *name;

	/* what down computes of a column that goes */
	if (rule_drops_column(rule))
		unseen = list_concat(unseen, list_copy(rule->old_columns));

	foreach(lc, rules)
	{
		const SyncRule *other = lfirst(lc);

		if (other->id <= rule->id)
			continue;
		foreach(name, other->new_columns)
		{
			if (!text_is_among(lfirst(name), rule->old_columns))
				unseen = lappend(unseen, lfirst(name));
		}
	}
	return unseen;
}

typedef struct WholeRow
{
	Relation	rel;
	List	   *unseen;			/* names */
} WholeRow;

/* att is a column of the topmost table. */
static Node *
field_of_row(const WholeRow *row, Form_pg_attribute att)
{
	const char *name = NameStr(att->attname);
	AttrNumber	attnum;

	/* the executor wants a field of any type for one that was dropped */
	if (att->attisdropped)
		return (Node *) makeNullConst(INT4OID, -1, InvalidOid);
	if (text_is_among(name, row->unseen))
		return (Node *) makeNullConst(att->atttypid, att->atttypmod,
									  att->attcollation);
	attnum = get_attnum(RelationGetRelid(row->rel), name);
	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of partition \"%s\" does not exist",
						name, RelationGetRelationName(row->rel))));
	return (Node *) makeVar(1, attnum, att->atttypid, att->atttypmod,
							att->attcollation, 0);
}

static int
number_of_columns(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int			natts;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	ReleaseSysCache(tuple);
	return natts;
}

/* Reads the catalog: to open the topmost table could mean to wait for it. */
static List *
fields_of_row(const WholeRow *row, Oid type)
{
	Oid			relid = get_typ_typrelid(type);
	int			natts = number_of_columns(relid);
	List	   *fields = NIL;

	for (int attnum = 1; attnum <= natts; attnum++)
	{
		HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
											Int16GetDatum(attnum));

		if (!HeapTupleIsValid(tuple))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column %d of relation with OID %u does not exist",
							attnum, relid)));
		fields = lappend(fields,
						 field_of_row(row, (Form_pg_attribute) GETSTRUCT(tuple)));
		ReleaseSysCache(tuple);
	}
	return fields;
}

static Node *
spell_out_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varattno == InvalidAttrNumber)
	{
		RowExpr    *spelled = makeNode(RowExpr);

		spelled->row_typeid = ((Var *) node)->vartype;
		spelled->args = fields_of_row(context, spelled->row_typeid);
		/* so that a view names the type */
		spelled->row_format = COERCE_EXPLICIT_CAST;
		spelled->location = -1;
		return (Node *) spelled;
	}
	return expression_tree_mutator(node, spell_out_mutator, context);
}

bool
whole_row_is_read(Node *expression)
{
	Bitmapset  *read = NULL;

	pull_varattnos(expression, 1, &read);
	return bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber,
						 read);
}

Node *
whole_row_spell_out(Node *expression, Relation rel, List *unseen)
{
	WholeRow	row = {rel, unseen};

	/* a row of this very table, with nothing to hide, is the one at hand */
	if ((unseen == NIL && !rel->rd_rel->relispartition) ||
		!whole_row_is_read(expression))
		return expression;
	return spell_out_mutator(expression, &row);
}
