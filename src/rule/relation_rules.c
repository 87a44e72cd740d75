/*
 * relation_rules.c
 *		The compiled rules of a table, cached for the session.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "core/authority.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "rule/expression.h"
#include "rule/fill_mark.h"
#include "rule/recorded_calls.h"
#include "rule/relation_rules.h"
#include "rule/rule_args.h"
#include "rule/sync_trigger.h"

/*-------------------------------------------------------------------------
 * The order in which the rules of a table run.
 *-------------------------------------------------------------------------
 */

/* Does rule read a new column of other? */
static bool
rule_reads_other(const SyncRule *rule, const SyncRule *other, Relation rel)
{
	ListCell   *lc;
	Bitmapset  *read = NULL;

	foreach(lc, rule->old_columns)
		read = bms_add_member(read, get_attnum(RelationGetRelid(rel),
											   lfirst(lc)) - FirstLowInvalidHeapAttributeNumber);
	for (int i = 0; i < list_length(rule->up); i++)
	{
		AttrNumber	target = get_attnum(RelationGetRelid(rel),
										list_nth(rule->new_columns, i));

		if (target > 0)
			pull_varattnos(relation_rules_parse(list_nth(rule->up, i), rel, target,
												"up"), 1, &read);
	}
	foreach(lc, other->new_columns)
	{
		if (bms_is_member(get_attnum(RelationGetRelid(rel), lfirst(lc)) -
						  FirstLowInvalidHeapAttributeNumber, read))
			return true;
	}
	return false;
}

List *
rule_order_sort(List *rules, Relation rel)
{
	List	   *left = list_copy(rules);
	List	   *sorted = NIL;

	while (left != NIL)
	{
		SyncRule   *next = NULL;
		ListCell   *lc;

		foreach(lc, left)
		{
			SyncRule   *candidate = lfirst(lc);
			bool		ready = true;
			ListCell   *other;

			foreach(other, left)
			{
				if (lfirst(other) != candidate &&
					rule_reads_other(candidate, lfirst(other), rel))
					ready = false;
			}
			if (ready)
			{
				next = candidate;
				break;
			}
		}
		if (next == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("syncs of table \"%s\" depend on each other in a circle",
							RelationGetRelationName(rel)),
					 errhint("Let the new column of each sync be read only by later ones; see SELECT * FROM tandem.syncs;")));
		sorted = lappend(sorted, next);
		left = list_delete_ptr(left, next);
	}
	return sorted;
}

/*-------------------------------------------------------------------------
 * Compiling the rules of a relation.
 *-------------------------------------------------------------------------
 */

static void
free_side_plans(RuleSide *side)
{
	for (int i = 0; side->expressions && i < side->ncolumns; i++)
	{
		if (side->expressions[i].plan)
			FreeCachedExpression(side->expressions[i].plan);
	}
}

static void
free_all_plans(RelationRules *rules)
{
	for (int i = 0; i < rules->nrules; i++)
	{
		free_side_plans(&rules->rules[i].old_side);
		free_side_plans(&rules->rules[i].new_side);
	}
}

static void
relation_rules_free(RelationRules *rules)
{
	free_all_plans(rules);
	MemoryContextDelete(rules->context);
}

static bool
side_plans_are_valid(const RuleSide *side)
{
	for (int i = 0; side->expressions && i < side->ncolumns; i++)
	{
		if (side->expressions[i].plan && !side->expressions[i].plan->is_valid)
			return false;
	}
	return true;
}

/* Are rel and all functions that the planned expressions use unchanged? */
static bool
relation_rules_are_valid(const RelationRules *rules)
{
	if (!rules->valid)
		return false;
	for (int i = 0; i < rules->nrules; i++)
	{
		if (!side_plans_are_valid(&rules->rules[i].old_side) ||
			!side_plans_are_valid(&rules->rules[i].new_side))
			return false;
	}
	return true;
}

/*
 * A default is constant if planning reduces it to a Const.  The planner leaves
 * the check of a domain to the executor, but that does not change the value.
 */
Node *
relation_rules_default(Relation rel, AttrNumber attnum)
{
	Node	   *expression = NULL;

	/* planning runs immutable functions, which need a snapshot */
	bool		entered = snapshot_enter();

	if (!TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated)
		expression = build_column_default(rel, attnum);
	if (expression)
	{
		CachedExpression *plan = expression_plan(expression);

		expression = copyObject(plan->expr);
		FreeCachedExpression(plan);
	}
	snapshot_leave(entered);
	while (expression && IsA(expression, CoerceToDomain))
		expression = (Node *) ((CoerceToDomain *) expression)->arg;
	return expression;
}

/*
 * Planning a default runs immutable functions with the rights of the owner of
 * the topmost table, but the owner of a partition sets its defaults.  Is this
 * default safe to plan?
 */
static bool
default_is_of_owner(Relation rel, AttrNumber attnum)
{
	Node	   *expression;

	if (has_privs_of_role(authority_owner_of(RelationGetRelid(rel)),
						  authority_table_owner(RelationGetRelid(rel))))
		return true;
	expression = build_column_default(rel, attnum);
	return expression == NULL || expression_is_builtin(expression);
}

/* Planning runs immutable functions, so do it as the table's owner. */
static Node *
default_as_owner(Relation rel, AttrNumber attnum, const char *search_path)
{
	AuthorityScope scope;
	Node	   *expression;

	authority_enter_owner(&scope, rel, search_path);
	expression = relation_rules_default(rel, attnum);
	authority_leave(&scope);
	return expression;
}

Node *
relation_rules_default_as_owner(Relation rel, AttrNumber attnum,
								const char *search_path)
{
	return default_is_of_owner(rel, attnum)
		? default_as_owner(rel, attnum, search_path) : NULL;
}

static void
compile_default(RuleColumn *column, Relation rel, const char *search_path)
{
	Node	   *expression;

	column->default_kind = DEFAULT_COMPUTED;
	if (!default_is_of_owner(rel, column->attnum))
		return;
	column->default_kind = DEFAULT_NULL;
	expression = default_as_owner(rel, column->attnum, search_path);
	if (expression == NULL)
		return;
	if (!IsA(expression, Const))
		column->default_kind = DEFAULT_COMPUTED;
	else if (!((Const *) expression)->constisnull)
	{
		column->default_kind = DEFAULT_CONSTANT;
		column->default_value = datumCopy(((Const *) expression)->constvalue,
										  column->att->attbyval,
										  column->att->attlen);
	}
}

/* Returns the index of a column in rules->columns, adding it if needed. */
static int
compile_column(RelationRules *rules, Relation rel, const SyncRule *rule,
			   AttrNumber attnum)
{
	RuleColumn *column;
	TypeCacheEntry *type;

	for (int i = 0; i < rules->ncolumns; i++)
	{
		if (rules->columns[i].attnum == attnum)
			return i;
	}
	column = &rules->columns[rules->ncolumns];
	column->attnum = attnum;
	column->att = TupleDescAttr(rules->desc, attnum - 1);
	compile_default(column, rel, rule->search_path);
	type = lookup_type_cache(column->att->atttypid, TYPECACHE_EQ_OPR_FINFO);
	column->equal = OidIsValid(type->eq_opr) ? &type->eq_opr_finfo : NULL;
	rules->last_column = Max(rules->last_column, attnum);
	return rules->ncolumns++;
}

static int
compile_named_column(RelationRules *rules, Relation rel, const SyncRule *rule,
					 const char *name)
{
	AttrNumber	attnum = get_attnum(rules->relid, name);

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of a sync of table \"%s\" does not exist",
						name, RelationGetRelationName(rel)),
				 errhint("It was renamed or dropped: give it its name back, or CALL tandem.abort of the migration.")));
	return compile_column(rules, rel, rule, attnum);
}

Node *
relation_rules_parse(const char *text, Relation rel, AttrNumber target,
					 const char *label)
{
	AuthorityScope scope;
	Node	   *expression;
	bool		entered = snapshot_enter();

	authority_enter_owner(&scope, rel, AUTHORITY_PINNED_PATH);
	authority_pin_text_forms();
	expression = expression_parse(text, rel, EXPRESSION_ALIAS, target, label);
	authority_leave(&scope);
	snapshot_leave(entered);
	return expression;
}

static void
refuse_other_call(Relation rel, AttrNumber target, const char *label,
				  const char *function)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s of column \"%s\" would call %s, which it did not when it was stored",
					label,
					NameStr(TupleDescAttr(RelationGetDescr(rel), target - 1)->attname),
					function),
			 errhint("It was created later, with a name that the expression uses: drop or rename it, or end the migration; SELECT * FROM tandem.syncs shows it.")));
}

/* The trigger of a partition was made on the topmost table. */
static bool
calls_recorded_for(Oid trigger, List **functions)
{
	Oid			made_on = trigger_made_on(trigger);

	return recorded_calls(get_trigger_oid(made_on, SYNC_TRIGGER_NAME, true),
						  functions);
}

Node *
relation_rules_parse_in_force(const char *text, Relation rel,
							  AttrNumber target, const char *label)
{
	Node	   *expression = relation_rules_parse(text, rel, target, label);
	Trigger    *trigger = relation_sync_trigger(rel);
	List	   *functions;
	char	   *other = NULL;

	if (trigger && calls_recorded_for(trigger->tgoid, &functions))
		other = recorded_calls_lack(expression, functions);
	if (other)
		refuse_other_call(rel, target, label, other);
	return expression;
}

/*
 * Planning runs immutable functions and parses the bodies of SQL functions.
 * Do both as the table's owner, with the search_path of the session that
 * created the sync.
 */
static CachedExpression *
plan_rule_as_owner(Node *expression, Relation rel, const char *search_path)
{
	AuthorityScope scope;
	CachedExpression *plan;
	bool		entered = snapshot_enter();

	authority_enter_owner(&scope, rel, search_path);
	plan = expression_plan(expression);
	authority_leave(&scope);
	snapshot_leave(entered);
	return plan;
}

/* The planner leaves what a domain, a cast or a COLLATE does with a NULL. */
static Node *
expression_below_casts(Node *node)
{
	for (;;)
	{
		if (IsA(node, CoerceToDomain))
			node = (Node *) ((CoerceToDomain *) node)->arg;
		else if (IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (IsA(node, CollateExpr))
			node = (Node *) ((CollateExpr *) node)->arg;
		else if (IsA(node, CoerceViaIO))
			node = (Node *) ((CoerceViaIO *) node)->arg;
		else if (IsA(node, ArrayCoerceExpr))
			node = (Node *) ((ArrayCoerceExpr *) node)->arg;
		else if (IsA(node, ConvertRowtypeExpr))
			node = (Node *) ((ConvertRowtypeExpr *) node)->arg;
		else
			return node;
	}
}

bool
relation_rules_is_null(Node *expression, Relation rel, const char *search_path)
{
	CachedExpression *plan = plan_rule_as_owner(expression, rel, search_path);
	Node	   *node = expression_below_casts(plan->expr);
	bool		is_null = IsA(node, Const) && ((Const *) node)->constisnull;

	FreeCachedExpression(plan);
	return is_null;
}

static void
check_calls(const RelationRules *rules, Relation rel, AttrNumber target,
			const char *label, Node *expression)
{
	char	   *other = rules->calls_recorded
	? recorded_calls_lack(expression, rules->calls) : NULL;

	if (other)
		refuse_other_call(rel, target, label, other);
}

/*
 * Fills in one side of a rule; texts has an expression, or NULL, for each
 * column.  Adds the columns that the expressions read to *read, and returns
 * whether they may have side effects, or run code of a user.
 */
static bool
compile_side(RelationRules *rules, Relation rel, const SyncRule *rule,
			 RuleSide *side, List *names, List *texts, const char *label,
			 Bitmapset **read)
{
	int			i = 0;
	ListCell   *lc;
	bool		builtin = true;

	side->ncolumns = list_length(names);
	rules->widest_side = Max(rules->widest_side, side->ncolumns);
	side->columns = palloc(sizeof(int) * Max(side->ncolumns, 1));
	foreach(lc, names)
		side->columns[i++] = compile_named_column(rules, rel, rule, lfirst(lc));
	if (texts == NIL)
		return false;
	side->is_complete = true;
	side->expressions = palloc0(sizeof(RuleExpression) * side->ncolumns);
	i = 0;
	foreach(lc, texts)
	{
		RuleExpression *expression = &side->expressions[i];
		AttrNumber	target = rules->columns[side->columns[i]].attnum;
		Node	   *node;

		expression->column = side->columns[i++];
		expression->id = -1;
		if (lfirst(lc) == NULL)
		{
			side->is_complete = false;
			continue;
		}
		node = relation_rules_parse(lfirst(lc), rel, target, label);
		check_calls(rules, rel, target, label, node);
		expression->id = rules->nexpressions++;
		expression->plan = plan_rule_as_owner(node, rel, rule->search_path);
		builtin &= expression_is_builtin(expression->plan->expr);
		side->is_volatile |= contain_volatile_functions(node);
		pull_varattnos(node, 1, read);
	}
	rules->only_builtin &= builtin;
	return !builtin || side->is_volatile;
}

/* A reference to the whole row, or a function of it, reads every column. */
static Bitmapset *
columns_that_are_read(Relation rel, Bitmapset *read)
{
	TupleDesc	desc = RelationGetDescr(rel);

	if (!bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber,
					   read))
		return read;
	for (int i = 0; i < desc->natts; i++)
	{
		if (!TupleDescAttr(desc, i)->attisdropped)
			read = bms_add_member(read,
								  i + 1 - FirstLowInvalidHeapAttributeNumber);
	}
	return read;
}

static bool
side_has_column(const RuleSide *side, int column)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		if (side->columns[i] == column)
			return true;
	}
	return false;
}

static int
compare_column_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * Notes the sources of a side: what its expressions read that belongs to
 * neither side of the rule.  In the order of their names: the columns of the
 * rules must have the same order in all partitions (row_movement.c), whose
 * attribute numbers may differ.
 */
static void
compile_sources(RelationRules *rules, Relation rel, CompiledRule *rule,
				RuleSide *side, Bitmapset *read)
{
	List	   *names = NIL;
	ListCell   *lc;
	int			i = -1;

	read = columns_that_are_read(rel, read);
	while ((i = bms_next_member(read, i)) >= 0)
	{
		AttrNumber	attnum = i + FirstLowInvalidHeapAttributeNumber;

		if (attnum > 0)
			names = lappend(names, NameStr(TupleDescAttr(rules->desc,
														 attnum - 1)->attname));
	}
	list_sort(names, compare_column_names);
	side->sources = palloc(sizeof(int) * Max(list_length(names), 1));
	foreach(lc, names)
	{
		int			column = compile_named_column(rules, rel, rule->source,
												  lfirst(lc));

		if (!side_has_column(&rule->old_side, column) &&
			!side_has_column(&rule->new_side, column))
			side->sources[side->nsources++] = column;
	}
}

static bool
rule_computes_column(const RelationRules *rules, AttrNumber attnum)
{
	for (int i = 0; i < rules->nrules; i++)
	{
		const RuleSide *side = &rules->rules[i].new_side;

		for (int j = 0; j < side->ncolumns; j++)
		{
			if (rules->columns[side->columns[j]].attnum == attnum)
				return true;
		}
	}
	return false;
}

static List *
names_of_other_columns(const RelationRules *rules)
{
	List	   *names = NIL;

	for (int i = 0; i < rules->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(rules->desc, i);

		if (!att->attisdropped && !att->attgenerated &&
			!rule_computes_column(rules, att->attnum))
			names = lappend(names, NameStr(att->attname));
	}
	return names;
}

List *
rule_row_names(const RelationRules *rules, const CompiledRule *rule)
{
	const RuleSide *side = &rule->new_side;
	List	   *names = NIL;

	if (!rule_is_derived(rule->source))
		return rule->source->old_columns;
	for (int i = 0; i < side->nsources; i++)
	{
		RuleColumn *column = &rules->columns[side->sources[i]];

		if (!rule_computes_column(rules, column->attnum))
			names = lappend(names, NameStr(column->att->attname));
	}
	return names != NIL ? names : names_of_other_columns(rules);
}

static void
compile_rule(RelationRules *rules, Relation rel, const Trigger *trigger,
			 SyncRule *source)
{
	CompiledRule *rule = &rules->rules[rules->nrules++];
	Bitmapset  *read_by_up = NULL;
	Bitmapset  *read_by_down = NULL;
	bool		needs_path;

	rule->source = source;
	rules->any_release |= source->release > 0;
	needs_path = compile_side(rules, rel, source, &rule->old_side,
							  source->old_columns, source->down, "down",
							  &read_by_down);
	needs_path |= compile_side(rules, rel, source, &rule->new_side,
							   source->new_columns, source->up, "up",
							   &read_by_up);
	if (needs_path)
		rule->search_path = authority_path_of_role(source->search_path);
	compile_sources(rules, rel, rule, &rule->new_side, read_by_up);
	compile_sources(rules, rel, rule, &rule->old_side, read_by_down);
	rule->first_new = MaxAttrNumber;
	for (int i = 0; i < rule->new_side.ncolumns; i++)
		rule->first_new = Min(rule->first_new,
							  rules->columns[rule->new_side.columns[i]].attnum);
	rule->exact = fill_mark_is_exact(source, rel, trigger->tgoid);
	/* the fill has left a row short for which up gives what it had */
	if (fill_mark_leaf_is_filled(source, rel, trigger->tgoid))
		rule->first_new = InvalidAttrNumber;
}

/*
 * The text is parsed as the owner of the topmost table, so the trigger of a
 * partition must come from there.  A table may have had a hand-made trigger
 * before its owner attached it.
 */
static void
check_trigger_made_on_root(Relation rel, const Trigger *trigger)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			made_on = trigger_made_on(trigger->tgoid);

	if (!rel->rd_rel->relispartition || made_on == table_root(relid))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("sync trigger \"%s\" of partition \"%s\" was not created on its partitioned table",
					trigger->tgname, RelationGetRelationName(rel)),
			 errhint("Run DROP TRIGGER %s ON %s; or detach the partition.",
					 quote_identifier(trigger->tgname),
					 quoting_relation(OidIsValid(made_on) ? made_on : relid))));
}

/*
 * Compiles the rules of rel from its sync trigger, which must not be the
 * relcache's own: pass a copy, or that of a trigger call.  The rules are
 * parsed and planned as the table's owner in a security-restricted context.
 * They are returned in their own memory context below CacheMemoryContext.  The
 * caller holds a lock on rel.  Errors: those of expression_parse; a column of
 * a rule does not exist; rel is a partition and the trigger was not created on
 * its partitioned table.
 *
 * Until complete, the rules belong to the caller's context: the error message
 * may refer to text in them, which must outlive the error.
 */
static RelationRules *
relation_rules_compile(Relation rel, const Trigger *trigger)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "tandem rules",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	RelationRules *volatile rules = palloc0(sizeof(RelationRules));

	PG_TRY();
	{
		List	   *sources;
		ListCell   *lc;

		rules->context = context;
		rules->relid = RelationGetRelid(rel);
		rules->root = table_root(rules->relid);
		rules->trigger = trigger->tgoid;
		rules->only_builtin = true;
		rules->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
		check_trigger_made_on_root(rel, trigger);
		rules->calls_recorded = calls_recorded_for(trigger->tgoid, &rules->calls);
		sources = rule_args_decode(trigger);
		rules->rules = palloc0(sizeof(CompiledRule) * list_length(sources));
		rules->columns = palloc0(sizeof(RuleColumn) * rules->desc->natts);
		foreach(lc, sources)
			compile_rule(rules, rel, trigger, lfirst(lc));
		rules->release = -1;
		rules->own = palloc0(sizeof(OwnSide) * rules->nrules);
		rules->foreign = palloc0(sizeof(bool) * rules->ncolumns);
		rules->valid = true;
	}
	PG_CATCH();
	{
		free_all_plans(rules);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, CacheMemoryContext);
	return rules;
}

/*
 * The result points into the relcache: use it before anything else is called.
 */
static const Trigger *
relcache_sync_trigger(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		if (strcmp(triggers->triggers[i].tgname, SYNC_TRIGGER_NAME) == 0)
			return &triggers->triggers[i];
	}
	return NULL;
}

bool
relation_has_sync_trigger(Relation rel)
{
	return relcache_sync_trigger(rel) != NULL;
}

/*
 * A sync trigger has no column list, WHEN clause or transition tables to copy.
 */
Trigger *
relation_sync_trigger(Relation rel)
{
	const Trigger *cached = relcache_sync_trigger(rel);
	Trigger    *copy;

	if (cached == NULL)
		return NULL;
	copy = palloc(sizeof(Trigger));
	*copy = *cached;
	copy->tgname = pstrdup(cached->tgname);
	copy->tgnattr = 0;
	copy->tgattr = NULL;
	copy->tgqual = copy->tgoldtable = copy->tgnewtable = NULL;
	copy->tgargs = palloc(sizeof(char *) * Max(cached->tgnargs, 1));
	for (int i = 0; i < cached->tgnargs; i++)
		copy->tgargs[i] = pstrdup(cached->tgargs[i]);
	return copy;
}

/*-------------------------------------------------------------------------
 * Which side of each rule a release means: the newest columns that it sees.
 *
 * A release sees the old columns of later rules and the new columns of its own
 * and earlier ones, but for those that are in turn the old columns of a rule
 * that it knows.  In a chain a, b, c the rules of a release in the middle mean
 * b; what that release writes to a or c never counts.
 *-------------------------------------------------------------------------
 */

static bool
release_sees_column(const RelationRules *rules, int release, int column)
{
	for (int i = 0; i < rules->nrules; i++)
	{
		const CompiledRule *rule = &rules->rules[i];
		int			of_rule = rule->source->release;

		if (of_rule <= 0)
			continue;
		if (of_rule <= release
			? !rule->source->keep_old && side_has_column(&rule->old_side, column)
			: side_has_column(&rule->new_side, column))
			return false;
	}
	return true;
}

static bool
release_sees_side(const RelationRules *rules, int release,
				  const RuleSide *side)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		if (release_sees_column(rules, release, side->columns[i]))
			return true;
	}
	return side->ncolumns == 0; /* the old side of a derived column */
}

static OwnSide
own_side_of_release(const RelationRules *rules, int release,
					const CompiledRule *rule)
{
	bool		new = release >= rule->source->release;

	/* with keep_old the release that knows the new side uses both */
	if (release == 0 || rule->source->release == 0 ||
		(new && rule->source->keep_old) ||
		!release_sees_side(rules, release,
						   new ? &rule->new_side : &rule->old_side))
		return OWN_BOTH;
	return new ? OWN_NEW : OWN_OLD;
}

/* Returns whether any of the columns was not foreign yet. */
static bool
make_side_foreign(RelationRules *rules, const RuleSide *side)
{
	bool		changed = false;

	for (int i = 0; i < side->ncolumns; i++)
	{
		changed |= !rules->foreign[side->columns[i]];
		rules->foreign[side->columns[i]] = true;
	}
	return changed;
}

static bool
side_has_foreign_column(const RelationRules *rules, const RuleSide *side)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		if (rules->foreign[side->columns[i]])
			return true;
	}
	return false;
}

/*
 * The columns of a rule that the release sees neither side of are foreign if
 * the rule belongs to a chain whose columns the release sees elsewhere.
 */
static void
settle_unseen_rules(RelationRules *rules)
{
	bool		changed;

	do
	{
		changed = false;
		for (int i = 0; i < rules->nrules; i++)
		{
			CompiledRule *rule = &rules->rules[i];

			if (rules->own[i] == OWN_BOTH && rule->source->release > 0 &&
				(side_has_foreign_column(rules, &rule->old_side) ||
				 side_has_foreign_column(rules, &rule->new_side)))
			{
				changed |= make_side_foreign(rules, &rule->old_side);
				changed |= make_side_foreign(rules, &rule->new_side);
			}
		}
	} while (changed);
}

void
relation_rules_settle(RelationRules *rules, int release)
{
	if (rules->release == release)
		return;
	memset(rules->foreign, 0, sizeof(bool) * rules->ncolumns);
	for (int i = 0; i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];

		rules->own[i] = own_side_of_release(rules, release, rule);
		if (rules->own[i] != OWN_BOTH)
			(void) make_side_foreign(rules, rules->own[i] == OWN_NEW
									 ? &rule->old_side : &rule->new_side);
	}
	settle_unseen_rules(rules);
	rules->release = release;
}

/*-------------------------------------------------------------------------
 * The compiled rules cached by the session, by relation and trigger.
 *
 * They become stale when the relation changes, which a callback tells, or when
 * a function that a plan uses changes, which CachedExpression tells.  The next statement compiles them again.  A statement that is still
 * using stale rules keeps them alive; since it holds a lock on the relation,
 * its rules cannot have been replaced.
 *
 * Neither a callback nor the end of a transaction may look up whether the
 * relation still exists.  So stale rules are always dropped at the end
 * of the transaction, and compiled again when needed.
 *-------------------------------------------------------------------------
 */

typedef struct CacheEntry
{
	Oid			relid;
	RelationRules *rules;		/* head of the chain */
} CacheEntry;

static HTAB *cache = NULL;
static dlist_head stale = DLIST_STATIC_INIT(stale);

/* Called from invalidation callbacks at any time, so it only marks. */
static void
mark_rules_stale(RelationRules *rules)
{
	if (rules->valid)
		dlist_push_tail(&stale, &rules->stale);
	rules->valid = false;
}

static void
rules_relation_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	CacheEntry *entry;

	if (OidIsValid(relid))
	{
		entry = hash_search(cache, &relid, HASH_FIND, NULL);
		for (RelationRules *r = entry ? entry->rules : NULL; r; r = r->next)
			mark_rules_stale(r);
		return;
	}
	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		for (RelationRules *r = entry->rules; r; r = r->next)
			mark_rules_stale(r);
	}
}

/* Takes rules out of the cache.  They are freed now, or by their last user. */
static void
drop_cached_rules(RelationRules *rules)
{
	CacheEntry *entry = hash_search(cache, &rules->relid, HASH_FIND, NULL);
	RelationRules **link = &entry->rules;

	while (*link != rules)
		link = &(*link)->next;
	*link = rules->next;
	if (entry->rules == NULL)
		(void) hash_search(cache, &rules->relid, HASH_REMOVE, NULL);
	if (!rules->valid)
		dlist_delete(&rules->stale);
	rules->dropped = true;
	if (rules->users == 0)
		relation_rules_free(rules);
}

static void
drop_stale_rules(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	while (!dlist_is_empty(&stale))
		drop_cached_rules(dlist_head_element(RelationRules, stale, &stale));
}

static void
create_rule_cache(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(CacheEntry);
	control.hcxt = CacheMemoryContext;
	cache = hash_create("tandem rules", 32, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(rules_relation_changed, (Datum) 0);
	RegisterXactCallback(drop_stale_rules, NULL);
}

static RelationRules *
find_cached_rules(Oid relid, Oid trigger)
{
	CacheEntry *entry = hash_search(cache, &relid, HASH_FIND, NULL);

	for (RelationRules *r = entry ? entry->rules : NULL; r; r = r->next)
	{
		if (r->trigger == trigger)
			return r;
	}
	return NULL;
}

static void
keep_rules_in_cache(RelationRules *rules)
{
	bool		found;
	CacheEntry *entry = hash_search(cache, &rules->relid, HASH_ENTER, &found);

	rules->next = found ? entry->rules : NULL;
	entry->rules = rules;
}

RelationRules *
relation_rules_get(Relation rel, const Trigger *trigger)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			trigger_oid = trigger->tgoid;
	RelationRules *rules;
	RelationRules *meanwhile;

	if (cache == NULL)
		create_rule_cache();
	rules = find_cached_rules(relid, trigger_oid);
	if (rules == NULL || !relation_rules_are_valid(rules))
	{
		if (rules)
			drop_cached_rules(rules);

		/*
		 * Between compiling and caching the rules, no lookup may process
		 * invalidation messages: they would not be marked stale.
		 */
		rules = relation_rules_compile(rel, trigger);
		/* compiling may have run functions that compiled the same rules */
		meanwhile = find_cached_rules(relid, trigger_oid);
		if (meanwhile)
			drop_cached_rules(meanwhile);
		keep_rules_in_cache(rules);
	}
	rules->users++;
	return rules;
}

void
relation_rules_release(RelationRules *rules)
{
	rules->users--;
	if (rules->users == 0 && rules->dropped)
		relation_rules_free(rules);
}
