/*
 * rule_args.c
 *		The rules of a relation as the arguments of its sync trigger.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "catalog/sync.h"
#include "core/authority.h"
#include "core/error.h"
#include "core/query.h"
#include "rule/rule_args.h"

/*
 * The first argument is the format of the others.  The library must be able to
 * read every format that it has ever written, since triggers outlive upgrades.
 * Formats 1 to 3 had the fill marks before the old columns; format 1 had no
 * search_path, and formats 1 and 2 no keep_old.
 */
#define RULE_FORMAT "4"
#define RULE_FORMAT_3 "3"
#define RULE_FORMAT_2 "2"
#define RULE_FORMAT_1 "1"
#define RULE_NARGS_3 (RULE_NARGS + 1)
#define RULE_NARGS_2 (ARG_KEEP_OLD + 1)
#define RULE_NARGS_1 (ARG_SEARCH_PATH + 1)

/* the arguments of one rule, in this order */
typedef enum RuleArg
{
	ARG_ID,
	ARG_MIGRATION,
	ARG_RELEASE,
	ARG_ON_CONFLICT,
	ARG_ON_ERROR,
	ARG_OLD_COLUMNS,
	ARG_NEW_COLUMNS,
	ARG_UP,
	ARG_DOWN,
	ARG_SEARCH_PATH,
	ARG_KEEP_OLD,				/* or one_default, which no rule is besides */
	RULE_NARGS
} RuleArg;

static char *
encode_strings(List *strings)
{
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(TEXTARRAYOID, &output, &is_varlena);
	return OidOutputFunctionCall(output, array_from_strings(strings, TEXTOID));
}

static List *
decode_strings(const char *text)
{
	Datum		array = OidInputFunctionCall(F_ARRAY_IN, unconstify(char *, text),
											 TEXTOID, -1);

	return strings_from_array(array);
}

List *
rule_args_encode(List *rules)
{
	List	   *args = list_make1(RULE_FORMAT);
	ListCell   *lc;

	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);

		args = lappend(args, psprintf("%d", rule->id));
		args = lappend(args, rule->migration);
		args = lappend(args, psprintf("%d", rule->release));
		args = lappend(args, pstrdup(on_conflict_name(rule->on_conflict)));
		args = lappend(args, pstrdup(rule->quarantine ? "quarantine" : "error"));
		args = lappend(args, encode_strings(rule->old_columns));
		args = lappend(args, encode_strings(rule->new_columns));
		args = lappend(args, encode_strings(rule->up));
		args = lappend(args, encode_strings(rule->down));
		args = lappend(args, rule->search_path);
		args = lappend(args, pstrdup(rule->keep_old ? "keep_old"
									 : rule->one_default ? "one_default" : ""));
	}
	return args;
}

/* A down without any expression is none. */
static List *
down_or_none(List *down)
{
	ListCell   *lc;

	foreach(lc, down)
	{
		if (lfirst(lc) != NULL)
			return down;
	}
	return NIL;
}

/* Those of args that the format does not have are NULL. */
static SyncRule *
decode_rule(char **args)
{
	SyncRule   *rule = palloc0(sizeof(SyncRule));

	rule->id = pg_strtoint32(args[ARG_ID]);
	rule->migration = pstrdup(args[ARG_MIGRATION]);
	rule->release = pg_strtoint32(args[ARG_RELEASE]);
	rule->on_conflict = on_conflict_from_name(args[ARG_ON_CONFLICT]);
	rule->quarantine = quarantine_from_name(args[ARG_ON_ERROR]);
	rule->old_columns = decode_strings(args[ARG_OLD_COLUMNS]);
	rule->new_columns = decode_strings(args[ARG_NEW_COLUMNS]);
	rule->up = decode_strings(args[ARG_UP]);
	rule->down = down_or_none(decode_strings(args[ARG_DOWN]));
	rule->search_path = pstrdup(args[ARG_SEARCH_PATH] ? args[ARG_SEARCH_PATH]
								: AUTHORITY_PINNED_PATH);
	rule->one_default = args[ARG_KEEP_OLD] && strcmp(args[ARG_KEEP_OLD], "one_default") == 0;
	rule->keep_old = args[ARG_KEEP_OLD] && args[ARG_KEEP_OLD][0] && !rule->one_default;
	/* a hand-made trigger may have any arguments */
	if ((rule->new_columns == NIL && rule->old_columns == NIL) ||
		list_member_ptr(rule->old_columns, NULL) ||
		list_member_ptr(rule->new_columns, NULL) ||
		list_length(rule->up) != list_length(rule->new_columns) ||
		(rule->one_default &&
		 (list_length(rule->new_columns) != 1 || list_length(rule->old_columns) != 1)) ||
		(rule->down != NIL &&
		 list_length(rule->down) != list_length(rule->old_columns)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments of the sync trigger do not describe a rule"),
				 errhint("Let tandem.sync_column create the trigger.")));
	return rule;
}

/* Returns the number of arguments per rule, or 0 if these are not rules. */
static int
rule_arg_count(const Trigger *trigger)
{
	int			nargs = RULE_NARGS;

	if (trigger->tgnargs <= 1)
		return 0;
	if (strcmp(trigger->tgargs[0], RULE_FORMAT_1) == 0)
		nargs = RULE_NARGS_1;
	else if (strcmp(trigger->tgargs[0], RULE_FORMAT_2) == 0)
		nargs = RULE_NARGS_2;
	else if (strcmp(trigger->tgargs[0], RULE_FORMAT_3) == 0)
		nargs = RULE_NARGS_3;
	else if (strcmp(trigger->tgargs[0], RULE_FORMAT) != 0)
		return 0;
	return trigger->tgnargs % nargs == 1 ? nargs : 0;
}

static List *
decode_rules(const Trigger *trigger)
{
	int			nargs = rule_arg_count(trigger);
	int			skipped = strcmp(trigger->tgargs[0], RULE_FORMAT) == 0 ? 0 : 1;
	List	   *rules = NIL;

	for (int i = 1; i < trigger->tgnargs; i += nargs)
	{
		char	   *args[RULE_NARGS] = {NULL};

		for (int j = 0; j < nargs - skipped; j++)
			args[j] = trigger->tgargs[i + j + (j < ARG_OLD_COLUMNS ? 0 : skipped)];
		rules = lappend(rules, decode_rule(args));
	}
	return rules;
}

List *
rule_args_decode(const Trigger *trigger)
{
	List	   *volatile rules = NIL;
	MemoryContext caller = CurrentMemoryContext;
	AuthorityScope scope;

	if (rule_arg_count(trigger) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments of trigger \"%s\" are not the rules of a sync",
						trigger->tgname),
				 errhint("Let tandem.sync_column create the trigger; if it was created by a later version of pg_tandem than the installed one, install that version.")));
	authority_pin_search_path(&scope);
	authority_pin_text_forms();
	PG_TRY();
	{
		rules = decode_rules(trigger);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller, "Let tandem.sync_column create the trigger.");
	}
	PG_END_TRY();
	authority_leave(&scope);
	return rules;
}
