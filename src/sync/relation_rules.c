/*
 * relation_rules.c
 *		The rules of a relation, compiled.  Kept by rule_cache.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "miscadmin.h"
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
#include "core/partition_root.h"
#include "core/quoting.h"
#include "core/snapshot.h"
#include "sync/expression.h"
#include "sync/fill_mark.h"
#include "sync/relation_rules.h"
#include "sync/rule_args.h"
#include "sync/trigger_row.h"

static void
free_plans(RuleSide *side)
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
		free_plans(&rules->rules[i].old_side);
		free_plans(&rules->rules[i].new_side);
	}
}

void
relation_rules_free(RelationRules *rules)
{
	free_all_plans(rules);
	MemoryContextDelete(rules->context);
}

static bool
side_is_current(const RuleSide *side)
{
	for (int i = 0; side->expressions && i < side->ncolumns; i++)
	{
		if (side->expressions[i].plan && !side->expressions[i].plan->is_valid)
			return false;
	}
	return true;
}

bool
relation_rules_current(const RelationRules *rules)
{
	if (!rules->current)
		return false;
	for (int i = 0; i < rules->nrules; i++)
	{
		if (!side_is_current(&rules->rules[i].old_side) ||
			!side_is_current(&rules->rules[i].new_side))
			return false;
	}
	return true;
}

/*
 * A default is constant when planning makes it so.  The planner leaves the
 * check of a domain to the execution; it does not change the value.
 */
Node *
relation_rules_default(Relation rel, AttrNumber attnum)
{
	Node	   *expression = NULL;

	/* planning runs immutable functions */
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
 * Whether planning a default of rel runs nothing that a role without the rights
 * of the owner could have put there: whoever owns a partition says its defaults.
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

/* Planning runs immutable functions: as the owner, whose default it is. */
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

/* The index of a column of a rule, which is added when it is new here. */
static int
compile_column(RelationRules *rules, Relation rel, const SyncRule *rule,
			   const char *name)
{
	AttrNumber	attnum = get_attnum(rules->relid, name);
	RuleColumn *column;
	TypeCacheEntry *type;

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of a sync of table \"%s\" does not exist",
						name, RelationGetRelationName(rel)),
				 errhint("It was renamed or dropped: give it its name back, or CALL tandem.abort of the migration.")));
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

/*
 * Planning runs immutable functions and reads the bodies of SQL functions, both
 * as the owner whose text it is, under the search_path that it was made under.
 */
static CachedExpression *
plan_as_owner(Node *expression, Relation rel, const char *search_path)
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

static void
compile_side(RelationRules *rules, Relation rel, const SyncRule *rule,
			 RuleSide *side, List *names, List *texts, const char *label)
{
	int			i = 0;
	ListCell   *lc;

	side->ncolumns = list_length(names);
	rules->widest_side = Max(rules->widest_side, side->ncolumns);
	side->columns = palloc(sizeof(int) * side->ncolumns);
	foreach(lc, names)
		side->columns[i++] = compile_column(rules, rel, rule, lfirst(lc));
	if (texts == NIL)
		return;
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
			continue;
		node = relation_rules_parse(lfirst(lc), rel, target, label);
		expression->id = rules->nexpressions++;
		expression->plan = plan_as_owner(node, rel, rule->search_path);
		rules->only_builtin &= expression_is_builtin(expression->plan->expr);
		side->is_volatile |= contain_volatile_functions(node);
	}
}

static void
compile_rule(RelationRules *rules, Relation rel, const Trigger *trigger,
			 SyncRule *source)
{
	CompiledRule *rule = &rules->rules[rules->nrules++];

	rule->source = source;
	compile_side(rules, rel, source, &rule->old_side, source->old_columns,
				 source->down, "down");
	compile_side(rules, rel, source, &rule->new_side, source->new_columns,
				 source->up, "up");
	rule->first_new = MaxAttrNumber;
	for (int i = 0; i < rule->new_side.ncolumns; i++)
		rule->first_new = Min(rule->first_new,
							  rules->columns[rule->new_side.columns[i]].attnum);
	rule->exact = fill_mark_is_exact(source, rel, trigger->tgoid);
}

/*
 * The text is read as the owner of the table above a partition, so it must be
 * from there: what was a table of somebody else has brought its own.
 */
static void
check_made_on_root(Relation rel, const Trigger *trigger)
{
	Oid			relid = RelationGetRelid(rel);
	Oid			made_on = trigger_made_on(trigger->tgoid);

	if (!rel->rd_rel->relispartition || made_on == partition_root(relid))
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
 * The caller's context has them until they are complete: the text of an error
 * may lie among them, and must outlive it.
 */
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
		rules->relid = RelationGetRelid(rel);
		rules->userid = GetUserId();
		rules->trigger = trigger->tgoid;
		rules->only_builtin = true;
		rules->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
		check_made_on_root(rel, trigger);
		sources = rule_args_decode(trigger);
		rules->rules = palloc0(sizeof(CompiledRule) * list_length(sources));
		rules->columns = palloc0(sizeof(RuleColumn) * rules->desc->natts);
		foreach(lc, sources)
			compile_rule(rules, rel, trigger, lfirst(lc));
		rules->current = true;
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

/* As the relcache has it: to be used before anything else is called. */
static const Trigger *
cached_trigger(Relation rel)
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
	return cached_trigger(rel) != NULL;
}

/* It is ours: of any column, without WHEN and transition tables. */
Trigger *
relation_sync_trigger(Relation rel)
{
	const Trigger *cached = cached_trigger(rel);
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
