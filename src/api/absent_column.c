/*
 * absent_column.c
 *		What is stored in a column for a release that does not have it: without down
 *		its default, or NULL.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "api/absent_column.h"
#include "api/planned_builds.h"
#include "core/authority.h"
#include "core/error.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "rule/expression.h"

typedef struct AbsentColumn
{
	const SyncRule *rule;
	Relation	rel;			/* the table, or a partition of it */
	AttrNumber	number;
	Node	   *value;			/* its default, or a NULL */
	bool		has_default;
	List	   *all;			/* of AbsentColumn: this one, and others that
								 * the release does not have either */
} AbsentColumn;

static void
refuse_absent(const SyncRule *rule, int code, const char *message)
{
	ereport(ERROR,
			(errcode(code),
			 errmsg("%s", message),
			 errdetail("Every INSERT of release %d, which does not know the column, would fail until contract.",
					   rule->release),
			 errhint("Give down, which computes it for the rows of the new release: SELECT tandem.drop_column(%s, %s, %s, down => '...'); or give it %s first.",
					 quote_literal_cstr(rule->migration),
					 quote_literal_cstr(quoting_relation(rule->relation)),
					 quote_literal_cstr(linitial(rule->old_columns)),
					 code == ERRCODE_NOT_NULL_VIOLATION ? "a default" : "another default")));
}

static char *
title_of(const SyncRule *rule)
{
	return psprintf("column \"%s\" of table \"%s\"", (char *) linitial(rule->old_columns),
					quoting_shown_name(rule->relation));
}

/*-------------------------------------------------------------------------
 * NOT NULL, of the column or a migration.
 *-------------------------------------------------------------------------
 */

static void
check_not_null(const AbsentColumn *column)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(column->rel), column->number - 1);
	char	   *other = planned_not_null(column->rule);

	if (column->has_default ||
		!(att->attnotnull || other))
		return;
	refuse_absent(column->rule, ERRCODE_NOT_NULL_VIOLATION,
				  other ? psprintf("%s becomes NOT NULL by migration \"%s\", and has no default",
								   title_of(column->rule), other)
				  : psprintf("%s is NOT NULL and has no default", title_of(column->rule)));
}

/*-------------------------------------------------------------------------
 * A CHECK that refuses the value, whatever the other columns are; a UNIQUE that
 * takes it once.
 *-------------------------------------------------------------------------
 */

/* Returns NULL where the release has the column. */
static Node *
value_of(const AbsentColumn *column, AttrNumber number)
{
	ListCell   *lc;

	foreach(lc, column->all)
	{
		const AbsentColumn *absent = lfirst(lc);

		if (absent->number == number)
			return absent->value;
	}
	return NULL;
}

static Node *
put_value_mutator(Node *node, void *context)
{
	const AbsentColumn *column = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && value_of(column, ((Var *) node)->varattno))
		return copyObject(value_of(column, ((Var *) node)->varattno));
	return expression_tree_mutator(node, put_value_mutator, context);
}

typedef struct FoldCall
{
	Relation	rel;
	Node	   *expression;
} FoldCall;

static void
fold_as_owner(void *arg)
{
	FoldCall   *call = arg;
	AuthorityScope scope;

	authority_enter_owner(&scope, call->rel, AUTHORITY_PINNED_PATH);
	call->expression = expression_fold(call->expression);
	authority_leave(&scope);
}

/* Returns the constant that the expression is for each row, or NULL. */
static Const *
constant_of(const AbsentColumn *column, Node *expression)
{
	FoldCall	call = {column->rel, expression};
	ErrorData  *error = subtransaction_try(fold_as_owner, &call);

	if (error && !error_is_of_row(error))
		ReThrowError(error);
	return error == NULL && IsA(call.expression, Const) ? (Const *) call.expression : NULL;
}

static void
check_checks(AbsentColumn *column)
{
	TupleConstr *constraints = RelationGetDescr(column->rel)->constr;
	int			count = constraints ? constraints->num_check : 0;

	for (int i = 0; i < count; i++)
	{
		Node	   *expression = stringToNode(constraints->check[i].ccbin);
		Const	   *result = constant_of(column, put_value_mutator(expression, column));

		if (result && !result->constisnull && !DatumGetBool(result->constvalue))
			refuse_absent(column->rule, ERRCODE_CHECK_VIOLATION,
						  psprintf("constraint \"%s\" refuses %s of %s", constraints->check[i].ccname,
								   column->has_default ? "the default" : "a NULL",
								   title_of(column->rule)));
	}
}

static bool
index_reads_column(Relation index, AttrNumber number)
{
	Bitmapset  *read = NULL;

	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		if (index->rd_index->indkey.values[i] == number)
			return true;
	}
	pull_varattnos((Node *) RelationGetIndexExpressions(index), 1, &read);
	pull_varattnos((Node *) RelationGetIndexPredicate(index), 1, &read);
	return bms_is_member(number - FirstLowInvalidHeapAttributeNumber, read);
}

static bool
index_has_each_row(const AbsentColumn *column, Relation index)
{
	List	   *predicate = RelationGetIndexPredicate(index);
	Const	   *result;

	if (predicate == NIL)
		return true;
	result = constant_of(column, put_value_mutator((Node *) make_ands_explicit(predicate),
												   unconstify(AbsentColumn *, column)));
	return result && !result->constisnull && DatumGetBool(result->constvalue);
}

/* Do all keys of the index have one value in all rows of the release? */
static bool
index_has_one_key(const AbsentColumn *column, Relation index)
{
	List	   *expressions = RelationGetIndexExpressions(index);
	int			expression = 0;

	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		AttrNumber	number = index->rd_index->indkey.values[i];
		Node	   *key = number != InvalidAttrNumber ? value_of(column, number)
		: put_value_mutator(list_nth(expressions, expression++), unconstify(AbsentColumn *, column));
		Const	   *value = key ? constant_of(column, key) : NULL;

		if (value == NULL || (value->constisnull && !index->rd_index->indnullsnotdistinct))
			return false;
	}
	return true;
}

static void
check_unique_index(const AbsentColumn *column, Relation index)
{
	const FormData_pg_index *form = index->rd_index;

	if (!form->indisunique || !form->indislive || !index_reads_column(index, column->number) ||
		!index_has_one_key(column, index) || !index_has_each_row(column, index))
		return;
	refuse_absent(column->rule, ERRCODE_UNIQUE_VIOLATION,
				  column->has_default && form->indnkeyatts == 1 && form->indkey.values[0] == column->number
				  ? psprintf("%s is unique, and has one default for all rows", title_of(column->rule))
				  : psprintf("unique index \"%s\" takes one row without %s",
							 RelationGetRelationName(index), title_of(column->rule)));
}

static void
check_unique(const AbsentColumn *column)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(column->rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		check_unique_index(column, index);
		index_close(index, NoLock);
	}
}

/*-------------------------------------------------------------------------
 * The table, and what a partition has of its own.
 *-------------------------------------------------------------------------
 */

/* The value is that of the table, also where a partition has another default. */
static AbsentColumn *
read_absent(const SyncRule *rule, Relation table, Relation rel)
{
	AttrNumber	number;
	AbsentColumn *column;
	Form_pg_attribute att;

	if (!rule_drops_column(rule) || rule->down != NIL)
		return NULL;
	number = get_attnum(rule->relation, linitial(rule->old_columns));
	if (number <= 0)
		return NULL;
	att = TupleDescAttr(RelationGetDescr(table), number - 1);
	if (att->attgenerated != '\0')
		return NULL;
	column = palloc0(sizeof(AbsentColumn));
	column->rule = rule;
	column->rel = rel;
	column->number = get_attnum(RelationGetRelid(rel), NameStr(att->attname));
	column->value = build_column_default(table, number);
	column->has_default = column->value != NULL;
	if (column->value == NULL)
		column->value = (Node *) makeNullConst(att->atttypid, att->atttypmod, att->attcollation);
	return column;
}

static List *
read_others(const SyncRule *rule, Relation table, Relation rel)
{
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_relation(rule->relation))
	{
		const SyncRule *other = lfirst(lc);
		AbsentColumn *column = other->release <= rule->release ? read_absent(other, table, rel) : NULL;

		if (column)
			others = lappend(others, column);
	}
	return others;
}

static void
check_relation(const SyncRule *rule, Relation table, Relation rel)
{
	AbsentColumn *column = read_absent(rule, table, rel);

	if (column == NULL)
		return;
	column->all = lcons(column, read_others(rule, table, rel));
	check_not_null(column);
	check_checks(column);
	check_unique(column);
}

void
absent_column_check(const SyncRule *rule)
{
	Relation	table = relation_open_present(rule->relation, AccessShareLock);
	ListCell   *lc;

	foreach(lc, table_tree(rule->relation))
	{
		Relation	rel = relation_open_present(lfirst_oid(lc), AccessShareLock);

		check_relation(rule, table, rel);
		relation_close(rel, NoLock);
	}
	table_close(table, NoLock);
}

/*-------------------------------------------------------------------------
 * A domain that refuses a NULL, whatever computes the column: the server checks that
 * before any trigger fires.
 *-------------------------------------------------------------------------
 */

typedef struct DomainTry
{
	Relation	rel;
	Oid			type;
} DomainTry;

static void
put_null_in_domain(void *arg)
{
	DomainTry  *try = arg;
	AuthorityScope scope;

	authority_enter_owner(&scope, try->rel, AUTHORITY_PINNED_PATH);
	domain_check((Datum) 0, true, try->type, NULL, NULL);
	authority_leave(&scope);
}

static bool
domain_refuses_null(Relation rel, Oid type)
{
	DomainTry	try = {rel, type};
	ErrorData  *error;

	if (get_typtype(type) != TYPTYPE_DOMAIN)
		return false;
	error = subtransaction_try(put_null_in_domain, &try);
	if (error && !error_is_of_row(error))
		ReThrowError(error);
	return error != NULL;
}

static void
check_columns_take_null(Relation rel, List *columns, const char *release)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		AttrNumber	number = get_attnum(RelationGetRelid(rel), lfirst(lc));
		Oid			type = number > 0 ? get_atttype(RelationGetRelid(rel), number) : InvalidOid;

		if (!OidIsValid(type) || build_column_default(rel, number) != NULL ||
			!domain_refuses_null(rel, type))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("column \"%s\" of table \"%s\" has no default, and its domain %s refuses NULL",
						(char *) lfirst(lc), quoting_shown_name(RelationGetRelid(rel)),
						format_type_be(type)),
				 errdetail("Every INSERT of %s, which does not know the column, would fail: the server checks the domain before the column is computed.",
						   release),
				 errhint("Give the column a default that the domain takes first, as by ALTER TABLE %s ALTER COLUMN %s SET DEFAULT ...; what the migration computes for it is stored all the same.",
						 quoting_relation(RelationGetRelid(rel)), quote_identifier(lfirst(lc)))));
	}
}

void
absent_column_check_domains(const SyncRule *rule, Relation rel)
{
	/* else nobody knows who leaves out which */
	if (rule->release == 0)
		return;
	if (!rule->keep_old)
		check_columns_take_null(rel, rule->old_columns, psprintf("release %d", rule->release));
	check_columns_take_null(rel, rule->new_columns, "the release before");
}
