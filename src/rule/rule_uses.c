/*
 * rule_uses.c
 *		What the result of a rule depends on besides its text.
 *
 * verify proves rows by the functions that are there when it runs.  CREATE OR
 * REPLACE FUNCTION neither changes the trigger nor fires it, so a proof keeps
 * this fingerprint, and whoever relies on it compares.  A fingerprint of what
 * the functions are, rather than the transaction that wrote them, is not
 * changed by a GRANT or by the same script run again.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "catalog/sync.h"
#include "core/authority.h"
#include "core/error.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "rule/expression.h"
#include "rule/rule_uses.h"
#include "rule/whole_row.h"

typedef struct Uses
{
	List	   *functions;		/* OIDs */
	List	   *types;
	bool		whole_row;		/* does an expression read it? */
} Uses;

/* What initdb has made is the server's. */
static List *
add_if_of_user(List *oids, Oid oid)
{
	return oid < FirstNormalObjectId ? oids : list_append_unique_oid(oids, oid);
}

static void
add_type(Uses *uses, Oid type)
{
	uses->types = add_if_of_user(uses->types, type);
	uses->types = add_if_of_user(uses->types, get_element_type(type));
}

/* A callback for check_functions_in_node, which stops at true. */
static bool
add_function(Oid function, void *context)
{
	Uses	   *uses = context;

	uses->functions = add_if_of_user(uses->functions, function);
	return false;
}

static bool
add_uses_walker(Node *node, void *context)
{
	Uses	   *uses = context;

	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, add_function, uses);
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_FuncExpr:
		case T_OpExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_ConvertRowtypeExpr:
		case T_CoerceToDomain:
			add_type(uses, exprType(node));
			break;
		case T_MinMaxExpr:
			(void) add_function(lookup_type_cache(((MinMaxExpr *) node)->minmaxtype,
												  TYPECACHE_CMP_PROC)->cmp_proc,
								uses);
			break;
		default:
			break;
	}
	return expression_tree_walker(node, add_uses_walker, context);
}

/* Columns are compared by the equality of their type. */
static void
add_column_uses(Uses *uses, Relation rel, AttrNumber attnum)
{
	Oid			type = TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid;

	add_type(uses, type);
	(void) add_function(get_opcode(lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr),
						uses);
}

/* texts has an expression or NULL for each column, or is NIL. */
static void
add_side_uses(Uses *uses, Relation rel, List *names, List *texts,
			  const char *label)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel), lfirst(lc));
		char	   *text = texts == NIL ? NULL
		: list_nth(texts, foreach_current_index(lc));

		if (attnum <= 0)
			continue;			/* sync_problem tells */
		add_column_uses(uses, rel, attnum);
		if (text)
		{
			Node	   *expression = expression_resolve(text, rel, attnum, label);

			uses->whole_row |= whole_row_is_read(expression);
			(void) add_uses_walker(expression, uses);
		}
	}
}

static char *
fingerprint_of(const Uses *uses)
{
	TandemQuery query;
	char	   *fingerprint;

	if (uses->functions == NIL && uses->types == NIL)
		return pstrdup("");
	/* pg_get_constraintdef takes one, within a query that has a snapshot */
	if (!FirstSnapshotSet)
		(void) GetTransactionSnapshot();
	query_begin(&query);
	query_oid_list(&query, uses->functions);
	query_oid_list(&query, uses->types);
	(void) query_run_latest(&query, "SELECT tandem._fingerprint($1, $2)");
	fingerprint = query_get_text(0, 1);
	query_end(&query);
	return fingerprint;
}

/*
 * A rule that is made later hides its new columns from the whole row that
 * these rules read, until it is gone.
 */
static char *
unseen_in_whole_row(Relation rel, List *rules)
{
	List	   *all = sync_list_of_relation(RelationGetRelid(rel));
	List	   *unseen = NIL;
	ListCell   *lc;

	foreach(lc, rules)
		unseen = list_concat(unseen, whole_row_unseen(lfirst(lc), all, true));
	return text_joined(unseen, "", ", ");
}

char *
rule_uses(Relation rel, List *rules, bool only_down)
{
	Uses		uses = {NIL, NIL, false};
	AuthorityScope scope;
	ListCell   *lc;

	authority_enter_owner(&scope, rel, AUTHORITY_PINNED_PATH);
	authority_pin_text_forms();
	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		add_side_uses(&uses, rel, rule->old_columns, rule->down, "down");
		if (!only_down)
			add_side_uses(&uses, rel, rule->new_columns, rule->up, "up");
	}
	authority_leave(&scope);
	if (!only_down && uses.whole_row)
		return psprintf("%s without %s", fingerprint_of(&uses),
						unseen_in_whole_row(rel, rules));
	return fingerprint_of(&uses);
}

typedef struct UsesCall
{
	Relation	rel;
	int			migration_id;
	char	   *uses;
} UsesCall;

static void
find_uses(void *arg)
{
	UsesCall   *call = arg;
	List	   *rules = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_migration(call->migration_id))
	{
		if (((SyncRule *) lfirst(lc))->relation == RelationGetRelid(call->rel))
			rules = lappend(rules, lfirst(lc));
	}
	call->uses = rule_uses(call->rel, rules, false);
}

char *
rule_uses_of_table(Oid relid, int migration_id)
{
	bool		gone;
	UsesCall	call = {relation_open_nowait(table_root(relid), &gone), migration_id, NULL};
	ErrorData  *error;

	if (call.rel == NULL)
		return NULL;
	error = subtransaction_try(find_uses, &call);
	if (error && !error_is_of_row(error))
		ReThrowError(error);
	table_close(call.rel, AccessShareLock);
	return call.uses;
}

bool
rule_uses_changed(const char *was, const char *is)
{
	return is != NULL && (was == NULL || strcmp(was, is) != 0);
}
