/*
 * rule_text.c
 *		The expressions of a rule as the user gives them: what they may read, and
 *		the text that is stored.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/rule_text.h"
#include "core/error.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "fill/direct_update.h"
#include "rule/expression.h"
#include "rule/meaning.h"
#include "rule/relation_rules.h"
#include "rule/release_names.h"
#include "rule/rule_compile.h"
#include "trigger/target.h"

static void
report_volatile(const SyncRule *rule, const char *column, const char *label)
{
	/* that a derived column is filled is proved without it */
	if (rule_is_derived(rule))
		return;
	ereport(NOTICE,
			(errmsg("%s of column \"%s\" is volatile: verify cannot recompute it",
					label, column),
			 errdetail("Nor are rows counted whose old value down does not give back."),
			 errhint("If its function depends on its arguments and on tables only, declare it STABLE.")));
}

/*
 * What a volatile up gives once must stay: a row that is filled must not look
 * unfilled later, and each server has what one of them has computed.
 */
static void
check_volatile_up(const SyncRule *rule, Relation rel, const char *column)
{
	ListCell   *lc;

	target_check_default_is_held(rule);
	foreach(lc, table_leaves(rule->relation))
	{
		if (!fill_is_sent(lfirst_oid(lc)))
			fill_refuse_volatile(rel, column);
	}
}

/* Returns the text to store, with all names qualified. */
static char *
qualify_expression(Relation rel, Node *expression, const char *given,
				   const char *column, const char *label)
{
	StoredExpression stored = {
		.what = psprintf("%s of column \"%s\"", label, column),
		.label = label,
		.given = given,
		.rel = rel,
		.target = get_attnum(RelationGetRelid(rel), column),
	};

	return meaning_stored_text(&stored, expression);
}

static Node *
parse_given(const SyncRule *rule, Relation rel, AttrNumber target,
			const char *text, const char *label)
{
	bool		up = strcmp(label, "up") == 0;
	ReleaseNames names = up
	? release_names_before(rule->release, rule->relation) : release_names_of_down(rule);

	return expression_parse_given(text, rel, target, label, &names,
								  up ? rule->new_columns : NIL);
}

/*-------------------------------------------------------------------------
 * What up reads: the row as it was before, not the new columns themselves.
 *-------------------------------------------------------------------------
 */

typedef struct NewColumns
{
	const SyncRule *rule;
	int			count;
	Bitmapset **read;			/* by new column: those that its up reads */
} NewColumns;

/* Returns the new columns, by number, that an expression names. */
static Bitmapset *
new_columns_read(const SyncRule *rule, Node *expression)
{
	Bitmapset  *attnums = NULL;
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	pull_varattnos(expression, 1, &attnums);
	foreach(lc, rule->new_columns)
	{
		if (bms_is_member(get_attnum(rule->relation, lfirst(lc)) -
						  FirstLowInvalidHeapAttributeNumber, attnums))
			columns = bms_add_member(columns, foreach_current_index(lc));
	}
	return columns;
}

/* Would a column be computed, through others in the end, from itself? */
static bool
is_read_in_circle(const NewColumns *columns, int column)
{
	Bitmapset  *reached = bms_copy(columns->read[column]);
	int			before;

	do
	{
		int			i = -1;

		before = bms_num_members(reached);
		while ((i = bms_next_member(reached, i)) >= 0)
			reached = bms_add_members(reached, columns->read[i]);
	} while (bms_num_members(reached) > before);
	return bms_is_member(column, reached);
}

static void
refuse_new_column(const NewColumns *columns, int column)
{
	const SyncRule *rule = columns->rule;
	char	   *name = list_nth(rule->new_columns, column);
	char	   *up = list_nth(rule->up, column);
	bool		itself = bms_is_member(column, columns->read[column]);
	char	   *other = itself ? name
	: list_nth(rule->new_columns, bms_next_member(columns->read[column], -1));

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
			 itself ? errmsg("up of column \"%s\" reads the column itself", name)
			 : errmsg("up of column \"%s\" reads column \"%s\", which is new in the same sync",
					  name, other),
			 errdetail("Expression: %s", up),
			 is_read_in_circle(columns, column)
			 ? errhint("Compute it from the columns that the table had before.")
			 : errhint("Write out what \"%s\" is computed from. Or leave \"%s\" out of this sync and call, after it, SELECT tandem.sync_column(%s, %s, old => %s, new => %s, up => %s, keep_old => true);",
					   other, name, quote_literal_cstr(rule->migration),
					   quote_literal_cstr(quoting_relation(rule->relation)),
					   quote_literal_cstr(other), quote_literal_cstr(name),
					   quote_literal_cstr(up))));
}

/*
 * All new columns are computed from one row.  One that read another would see
 * what that was before, and never be proved.
 */
static void
check_up_reads_old_row(const SyncRule *rule, Relation rel)
{
	NewColumns	columns = {rule, list_length(rule->new_columns), NULL};

	columns.read = palloc0(sizeof(Bitmapset *) * columns.count);
	for (int i = 0; i < columns.count; i++)
		columns.read[i] = new_columns_read(rule,
										   parse_given(rule, rel,
													   get_attnum(rule->relation,
																  list_nth(rule->new_columns, i)),
													   list_nth(rule->up, i), "up"));
	for (int i = 0; i < columns.count; i++)
	{
		if (columns.read[i])
			refuse_new_column(&columns, i);
	}
}

/* A column that goes cannot be what it is computed from. */
static void
check_down_reads_other_columns(const SyncRule *rule, Relation rel)
{
	AttrNumber	attnum;
	Bitmapset  *read = NULL;

	if (!rule_drops_column(rule) || rule->down == NIL)
		return;
	attnum = get_attnum(rule->relation, linitial(rule->old_columns));
	pull_varattnos(parse_given(rule, rel, attnum, linitial(rule->down), "down"), 1,
				   &read);
	if (bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, read))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("down of column \"%s\" reads the column itself",
						(char *) linitial(rule->old_columns)),
				 errdetail("Expression: %s", (char *) linitial(rule->down)),
				 errhint("Compute it from columns that release %d knows.",
						 rule->release)));
}

/*
 * Parses the expressions of one side and returns them with all names
 * qualified.
 */
static List *
qualify_side(SyncRule *rule, Relation rel, List *columns, List *texts,
			 const char *label)
{
	List	   *qualified = NIL;
	const char *volatile_column = NULL;
	ListCell   *column;
	ListCell   *text;

	forboth(column, columns, text, texts)
	{
		AttrNumber	attnum = get_attnum(rule->relation, lfirst(column));
		Node	   *expression;

		if (lfirst(text) == NULL)
		{
			qualified = lappend(qualified, NULL);
			continue;
		}
		expression = parse_given(rule, rel, attnum, lfirst(text), label);
		if (contain_volatile_functions(expression))
		{
			report_volatile(rule, lfirst(column), label);
			volatile_column = lfirst(column);
		}
		qualified = lappend(qualified,
							qualify_expression(rel, expression, lfirst(text),
											   lfirst(column), label));
	}
	if (volatile_column && rule->stored && strcmp(label, "up") == 0)
		check_volatile_up(rule, rel, volatile_column);
	return qualified;
}

static bool
all_columns_exist(const SyncRule *rule, List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
	{
		if (get_attnum(rule->relation, lfirst(lc)) <= 0)
			return false;
	}
	return true;
}

typedef struct NullCall
{
	const SyncRule *rule;
	Relation	rel;
	Node	   *expression;
	bool		is_null;
} NullCall;

static void
look_whether_null(void *arg)
{
	NullCall   *call = arg;

	call->is_null = relation_rules_is_null(call->expression, call->rel,
										   call->rule->search_path);
}

/* An immutable function that fails when it is planned is no NULL. */
static bool
expression_is_null(const SyncRule *rule, Relation rel, Node *expression)
{
	NullCall	call = {rule, rel, expression, false};
	ErrorData  *error = subtransaction_try(look_whether_null, &call);

	if (error && !error_is_of_row(error))
		ReThrowError(error);
	return call.is_null;
}

/* Is down NULL for every old column, whatever the row? */
static bool
down_is_null(const SyncRule *rule, Relation rel)
{
	ListCell   *column;
	ListCell   *text;

	/* of a column that is missing, another error is better */
	if (!all_columns_exist(rule, rule->old_columns) ||
		!all_columns_exist(rule, rule->new_columns))
		return false;
	forboth(column, rule->old_columns, text, rule->down)
	{
		Node	   *expression;

		if (lfirst(text) == NULL)
			continue;
		expression = parse_given(rule, rel,
								 get_attnum(rule->relation, lfirst(column)),
								 lfirst(text), "down");
		if (!expression_is_null(rule, rel, expression))
			return false;
	}
	return rule->down != NIL;
}

/*
 * A down that says nothing of any old column is left out.  Else it would agree
 * with rows that nobody has filled.
 */
void
rule_text_drop_null_down(SyncRule *rule, Relation rel)
{
	if (!down_is_null(rule, rel))
		return;
	rule->down = NIL;
	ereport(NOTICE,
			(errmsg("down of table \"%s\" is null for every row, so the sync is one-way",
					RelationGetRelationName(rel)),
			 errdetail("What a release writes into the new columns is not written back, as if down were left out.")));
}

void
rule_text_store(SyncRule *rule, Relation rel)
{
	check_up_reads_old_row(rule, rel);
	check_down_reads_other_columns(rule, rel);
	rule->up = qualify_side(rule, rel, rule->new_columns, rule->up, "up");
	rule->down = qualify_side(rule, rel, rule->old_columns, rule->down, "down");
}

void
rule_text_store_unstored(SyncRule *rule, Relation rel)
{
	rule->up = qualify_side(rule, rel, rule->new_columns, rule->up, "up");
}
