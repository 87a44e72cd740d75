/*
 * rule_compile.c
 *		Parses and plans the rules of a table.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/tupdesc_details.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "core/authority.h"
#include "core/relation.h"
#include "core/text.h"
#include "core/transaction.h"
#include "rule/expression.h"
#include "rule/expression_uses.h"
#include "rule/recorded_calls.h"
#include "rule/rule_args.h"
#include "rule/rule_compile.h"
#include "rule/sync_trigger.h"
#include "rule/whole_row.h"

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

void
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

bool
relation_rules_are_valid(const RelationRules *rules)
{
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
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), name);

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
					 const char *label, const SyncRule *rule, List *rules)
{
	AuthorityScope scope;
	Node	   *expression;
	bool		entered = snapshot_enter();

	authority_enter_owner(&scope, rel, AUTHORITY_PINNED_PATH);
	authority_pin_text_forms();
	expression = expression_parse(text, rel, EXPRESSION_ALIAS, target, label);
	authority_leave(&scope);
	snapshot_leave(entered);
	return whole_row_spell_out(expression, rel,
							   whole_row_unseen(rule, rules,
												strcmp(label, "up") == 0));
}

static void
refuse_other_call(Relation rel, AttrNumber target, const char *label,
				  const OtherCall *other)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s of column \"%s\" would use %s, which it did not when it was stored",
					label,
					NameStr(TupleDescAttr(RelationGetDescr(rel), target - 1)->attname),
					other->what),
			 errhint("%s", other->remedy)));
}

/* The trigger of a partition was made on the topmost table. */
static bool
calls_recorded_for(Oid trigger, RecordedCalls *calls)
{
	Oid			made_on = trigger_made_on(trigger);

	return recorded_calls(get_trigger_oid(made_on, SYNC_TRIGGER_NAME, true),
						  calls);
}

Node *
relation_rules_parse_in_force(const char *text, Relation rel,
							  AttrNumber target, const char *label,
							  const SyncRule *rule, List *rules)
{
	Node	   *expression = relation_rules_parse(text, rel, target, label, rule,
												  rules);
	Trigger    *trigger = relation_sync_trigger(rel);
	RecordedCalls calls;
	OtherCall	other;

	if (trigger && calls_recorded_for(trigger->tgoid, &calls) &&
		recorded_calls_lack(expression, &calls, &other))
		refuse_other_call(rel, target, label, &other);
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

static bool
take_argument(Node *argument, void *context)
{
	*(Node **) context = argument;
	return true;
}

/* The planner leaves what a domain, a cast or a COLLATE does with a NULL. */
static Node *
expression_below_casts(Node *node)
{
	for (;;)
	{
		switch (nodeTag(node))
		{
			case T_CoerceToDomain:
			case T_RelabelType:
			case T_CollateExpr:
			case T_CoerceViaIO:
			case T_ArrayCoerceExpr:
			case T_ConvertRowtypeExpr:
				(void) expression_tree_walker(node, take_argument, &node);
				break;
			default:
				return node;
		}
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
	OtherCall	other;

	if (rules->calls_recorded &&
		recorded_calls_lack(expression, &rules->calls, &other))
		refuse_other_call(rel, target, label, &other);
}

/*
 * Fills in one side of a rule, one of all; texts has an expression, or NULL,
 * for each column.  Adds the columns that the expressions read to *read, and
 * returns whether they may have side effects, look names up, or run code of a
 * user.
 */
static bool
compile_side(RelationRules *rules, Relation rel, const SyncRule *rule,
			 List *all, RuleSide *side, List *names, List *texts,
			 const char *label, Bitmapset **read)
{
	int			i = 0;
	ListCell   *lc;
	bool		builtin = true;
	bool		looks_names_up = false;

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
		node = relation_rules_parse(lfirst(lc), rel, target, label, rule, all);
		check_calls(rules, rel, target, label, node);
		expression->id = rules->nexpressions++;
		expression->plan = plan_rule_as_owner(node, rel, rule->search_path);
		builtin &= expression_is_builtin(expression->plan->expr);
		looks_names_up |= expression_looks_names_up(expression->plan->expr);
		side->is_volatile |= contain_volatile_functions(node);
		pull_varattnos(node, 1, read);
	}
	rules->only_builtin &= builtin;
	return !builtin || side->is_volatile || looks_names_up;
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

		if (!rule_side_has_column(&rule->old_side, column) &&
			!rule_side_has_column(&rule->new_side, column))
			side->sources[side->nsources++] = column;
	}
}

static void
compile_rule(RelationRules *rules, Relation rel, SyncRule *source, List *all)
{
	CompiledRule *rule = &rules->rules[rules->nrules++];
	Bitmapset  *read_by_up = NULL;
	Bitmapset  *read_by_down = NULL;
	bool		needs_path;

	rule->source = source;
	rules->any_release |= source->release > 0;
	needs_path = compile_side(rules, rel, source, all, &rule->old_side,
							  source->old_columns, source->down, "down",
							  &read_by_down);
	needs_path |= compile_side(rules, rel, source, all, &rule->new_side,
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
}

static bool
side_is_followed(const RelationRules *rules, const CompiledRule *of,
				 const RuleSide *side)
{
	for (int i = 0; i < rules->nrules; i++)
	{
		const CompiledRule *rule = &rules->rules[i];

		if (rule != of &&
			(rule_sides_share_column(&rule->old_side, side) ||
			 rule_sides_share_column(&rule->new_side, side) ||
			 rule_side_reads(&rule->old_side, side) ||
			 rule_side_reads(&rule->new_side, side)))
			return true;
	}
	return false;
}

static void
note_followed_sides(RelationRules *rules)
{
	for (int i = 0; i < rules->nrules; i++)
	{
		CompiledRule *rule = &rules->rules[i];

		rule->old_side.is_followed = side_is_followed(rules, rule,
													  &rule->old_side);
		rule->new_side.is_followed = side_is_followed(rules, rule,
													  &rule->new_side);
	}
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

Oid
relation_rules_root(Relation rel, const Trigger *trigger, bool *recorded,
					RecordedCalls *calls)
{
	check_trigger_made_on_root(rel, trigger);
	*recorded = calls_recorded_for(trigger->tgoid, calls);
	return table_root(RelationGetRelid(rel));
}

static void
copy_trigger_args(RelationRules *rules, const Trigger *trigger)
{
	rules->nargs = trigger->tgnargs;
	rules->args = palloc(sizeof(char *) * Max(rules->nargs, 1));
	for (int i = 0; i < rules->nargs; i++)
		rules->args[i] = pstrdup(trigger->tgargs[i]);
}

static bool
same_trigger_args(const RelationRules *rules, const Trigger *trigger)
{
	if (rules->nargs != trigger->tgnargs)
		return false;
	for (int i = 0; i < rules->nargs; i++)
	{
		if (strcmp(rules->args[i], trigger->tgargs[i]) != 0)
			return false;
	}
	return true;
}

#define SAME(member) (a->member == b->member)

/* Of a dropped column the type is not known any more: so its layout, too. */
static bool
same_attribute(Form_pg_attribute a, Form_pg_attribute b)
{
	return strcmp(NameStr(a->attname), NameStr(b->attname)) == 0 &&
		SAME(atttypid) && SAME(atttypmod) && SAME(attcollation) &&
		SAME(attlen) && SAME(attbyval) && SAME(attalign) &&
		SAME(attstorage) && SAME(attisdropped) && SAME(atthasdef) &&
		SAME(attgenerated) && SAME(attidentity) && SAME(atthasmissing);
}

#undef SAME

/* The defaults, and what rows hold that are shorter. */
static bool
same_defaults(TupleDesc a, TupleDesc b)
{
	int			count = a->constr ? a->constr->num_defval : 0;

	if (count != (b->constr ? b->constr->num_defval : 0))
		return false;
	for (int i = 0; i < count; i++)
	{
		if (a->constr->defval[i].adnum != b->constr->defval[i].adnum ||
			strcmp(a->constr->defval[i].adbin, b->constr->defval[i].adbin) != 0)
			return false;
	}
	/* both have the same columns with missing values */
	if (a->constr == NULL || b->constr == NULL)
		return true;
	for (int i = 0; i < a->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(a, i);

		if (att->atthasmissing &&
			!datumIsEqual(a->constr->missing[i].am_value,
						  b->constr->missing[i].am_value,
						  att->attbyval, att->attlen))
			return false;
	}
	return true;
}

/* Unlike the server's own function, of the rows of different tables. */
static bool
same_row_shape(TupleDesc a, TupleDesc b)
{
	if (a->natts != b->natts)
		return false;
	for (int i = 0; i < a->natts; i++)
	{
		if (!same_attribute(TupleDescAttr(a, i), TupleDescAttr(b, i)))
			return false;
	}
	return same_defaults(a, b);
}

bool
relation_rules_fit(const RelationRules *rules, Relation rel,
				   const Trigger *trigger)
{
	return rules->owner == rel->rd_rel->relowner &&
		same_trigger_args(rules, trigger) &&
		same_row_shape(rules->desc, RelationGetDescr(rel));
}

RelationRules *
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
		rules->owner = rel->rd_rel->relowner;
		copy_trigger_args(rules, trigger);
		rules->only_builtin = true;
		rules->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
		rules->root = relation_rules_root(rel, trigger, &rules->calls_recorded,
										  &rules->calls);
		sources = rule_args_decode(trigger);
		rules->rules = palloc0(sizeof(CompiledRule) * list_length(sources));
		rules->columns = palloc0(sizeof(RuleColumn) * rules->desc->natts);
		foreach(lc, sources)
			compile_rule(rules, rel, lfirst(lc), sources);
		note_followed_sides(rules);
		rules->release = -1;
		rules->own = palloc0(sizeof(OwnSide) * rules->nrules);
		rules->foreign = palloc0(sizeof(bool) * rules->ncolumns);
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
