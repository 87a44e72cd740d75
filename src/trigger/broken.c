/*
 * broken.c
 *		Finds rules and steps whose text a DDL command has made invalid.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "catalog/sync.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "row/quarantine.h"
#include "rule/rule_args.h"
#include "rule/sync_trigger.h"
#include "trigger/broken.h"
#include "trigger/guard.h"
#include "trigger/install.h"
#include "trigger/overload.h"
#include "trigger/rule_objects.h"

/* The names in an expression, with their schemas if given in the text. */
typedef struct NamesInExpression
{
	List	   *objects;		/* functions, operators, types, collations,
								 * and names in literals of reg* types: a list
								 * of lists of String */
	List	   *columns;		/* list of C strings */
	List	   *schemas;		/* in literals of type regnamespace: list of C
								 * strings */
} NamesInExpression;

/*-------------------------------------------------------------------------
 * Which names occur in text that will be parsed again.
 *-------------------------------------------------------------------------
 */

/* Can the character be part of an unquoted name? */
static bool
char_continues_name(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

/* Within quotes "" is part of the name, not its end. */
static bool
name_stands_alone(const char *text, const char *at, size_t length)
{
	const char *end = at + length;
	bool		quoted = at[0] == '"';

	if (quoted)
		return *end != '"' && (at == text ||at[-1] != '"');
	return (at == text ||!char_continues_name(at[-1]) ||
			!char_continues_name(at[0])) &&
		(!char_continues_name(*end) || !char_continues_name(end[-1]));
}

/*
 * Does the name occur in the text as a whole, quoted if SQL requires it?  It
 * may occur anywhere, so true can be wrong, but false is certain.
 */
static bool
name_is_in_text(const char *text, const char *name)
{
	const char *written = quote_identifier(name);
	size_t		length = strlen(written);

	for (const char *at = strstr(text, written); at; at = strstr(at + 1, written))
	{
		if (name_stands_alone(text, at, length))
			return true;
	}

	/*
	 * an operator is not quoted, and a literal may contain the name unquoted
	 */
	return written != name && strstr(text, name) != NULL;
}

/*
 * Returns the name of the type if a literal is cast to a reg* type, else NULL.
 */
static const char *
reg_type_of_cast(const TypeCast *cast)
{
	const char *name = strVal(llast(cast->typeName->names));

	if (!IsA(cast->arg, A_Const) || ((A_Const *) cast->arg)->isnull ||
		!IsA(&((A_Const *) cast->arg)->val, String) ||
		strncmp(name, "reg", strlen("reg")) != 0)
		return NULL;
	return name;
}

/*
 * Without a schema it is a built-in object, and an operator is no identifier.
 */
static void
collect_literal_names(const TypeCast *cast, NamesInExpression *names)
{
	const char *type = reg_type_of_cast(cast);
	char	   *literal;
	List	   *parts;
	List	   *name = NIL;
	ListCell   *lc;

	if (type == NULL || strncmp(type, "regoper", strlen("regoper")) == 0)
		return;
	literal = pstrdup(strVal(&((A_Const *) cast->arg)->val));
	/* cut off function arguments and array brackets */
	literal[strcspn(literal, "([")] = '\0';
	if (!SplitIdentifierString(literal, '.', &parts) || parts == NIL)
		return;
	if (strcmp(type, "regnamespace") == 0)
	{
		names->schemas = lappend(names->schemas, linitial(parts));
		return;
	}
	foreach(lc, parts)
		name = lappend(name, makeString(lfirst(lc)));
	names->objects = lappend(names->objects, name);
}

static bool
collect_names_walker(Node *node, void *context)
{
	NamesInExpression *names = context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_FuncCall:
			names->objects = lappend(names->objects, ((FuncCall *) node)->funcname);
			break;
		case T_A_Expr:
			names->objects = lappend(names->objects, ((A_Expr *) node)->name);
			break;
		case T_TypeName:
			names->objects = lappend(names->objects, ((TypeName *) node)->names);
			break;
		case T_CollateClause:
			names->objects = lappend(names->objects, ((CollateClause *) node)->collname);
			break;
		case T_ColumnRef:
			if (IsA(llast(((ColumnRef *) node)->fields), String))
				names->columns = lappend(names->columns,
										 strVal(llast(((ColumnRef *) node)->fields)));
			return false;
		case T_TypeCast:
			collect_literal_names((TypeCast *) node, names);
			break;
		default:
			break;
	}
	return raw_expression_tree_walker(node, collect_names_walker, context);
}

/*
 * Only parses; nothing is looked up.  Throws an error if the text is no
 * expression.
 */
static void
names_in_expression(const char *text, NamesInExpression *names)
{
	List	   *parsed = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);

	(void) collect_names_walker(linitial_node(RawStmt, parsed)->stmt, names);
}

/*-------------------------------------------------------------------------
 * Open steps, and rules shown only by views, whose text refers to an object
 * that a DDL command has renamed or revoked.
 *
 * The server's catalogs do not show what these use, since they are only text
 * until they are built.  So search the text for the name that the object had
 * before this transaction, and its schema.
 *-------------------------------------------------------------------------
 */

typedef struct OpenText
{
	char	   *migration;
	char	   *what;			/* for messages */
	Oid			relation;
	Oid			owner;			/* of the relation */
	char	   *text;
} OpenText;

/*
 * Returns texts that contain one of the names; name_is_in_text decides later.
 */
static List *
list_open_texts(List *names)
{
	TandemQuery query;
	List	   *texts = NIL;
	uint64		rows;

	query_begin(&query);
	query_datum(&query, TEXTARRAYOID, array_from_strings(names, TEXTOID), false);
	rows = query_run_latest(&query,
							"SELECT migration, what, relation, owner, text FROM tandem._open_texts "
							"WHERE EXISTS (SELECT FROM unnest($1) n WHERE position(n IN text) > 0 OR position(quote_ident(n) IN text) > 0) "
							"ORDER BY kind, id");
	for (uint64 row = 0; row < rows; row++)
	{
		OpenText   *text = palloc(sizeof(OpenText));

		text	  ->migration = query_get_text(row, 1);
		text	  ->what = query_get_text(row, 2);
		text	  ->relation = query_get_oid(row, 3);
		text	  ->owner = query_get_oid(row, 4);
		text	  ->text = query_get_text(row, 5);

		texts = lappend(texts, text);
	}
	query_end(&query);
	return texts;
}

/* Could the text refer to the object by its former name? */
static bool
text_names_object(const OpenText *open, const ObjectState *was)
{
	if (!name_is_in_text(open->text, was->name))
		return false;
	if (was->object.classId == RelationRelationId)
	{
		/* a text does not name its own table, only columns of it */
		if (was->object.objectId == open->relation)
			return was->object.objectSubId != 0;
		if (was->object.objectSubId != 0)
			return name_is_in_text(open->text,
								   quoting_shown_name(was->object.objectId));
	}
	return was->schema == NULL || strcmp(was->schema, "pg_catalog") == 0 ||
		name_is_in_text(open->text, was->schema);
}

static bool
object_has_other_name(const ObjectState *was, const ObjectState *is)
{
	if (!is->exists || strcmp(was->name, is->name) != 0)
		return true;
	return was->schema && (is->schema == NULL || strcmp(was->schema, is->schema) != 0);
}

static void
check_object_in_text(const OpenText *open, const ObjectState *was,
					 const ObjectState *is, CommandTag tag)
{
	char	   *right = object_state_lost_right(was, is);

	if (!was->exists || !text_names_object(open, was))
		return;
	if (object_has_other_name(was, is))
		guard_refuse_or_warn(tag, open->migration, open->relation,
							 psprintf("%s of table %s, which is still to be made, names \"%s\"",
									  open->what, quoting_relation(open->relation), was->name),
							 was->granted || was->object.objectId == open->relation);
	else if (right)
		guard_refuse_or_warn(tag, open->migration, open->relation,
							 psprintf("%s of table %s is still to be made, whose owner no longer has %s on %s",
									  open->what, quoting_relation(open->relation), right,
									  getObjectDescription(&was->object, false)),
							 was->granted);
}

/* Checks one owner at a time, since rights are those of a role. */
static void
check_texts_of_owner(Oid owner, List *texts, const DdlEvent *event)
{
	List	   *before = object_states(event->objects, owner, true);
	List	   *now = object_states(event->objects, owner, false);
	ListCell   *was;
	ListCell   *is;
	ListCell   *lc;

	forboth(was, before, is, now)
	{
		if (object_state_equal(lfirst(was), lfirst(is)))
			continue;
		foreach(lc, texts)
		{
			if (((OpenText *) lfirst(lc))->owner == owner)
				check_object_in_text(lfirst(lc), lfirst(was), lfirst(is),
									 event->tag);
		}
	}
}

/*
 * Refuses the command, or warns (see guard.h), if the definition of an index
 * or constraint still to be built, the column of a NOT NULL, or a rule that is
 * not stored refers to something that it has renamed, moved or revoked.
 */
static void
broken_steps_check(const DdlEvent *event)
{
	List	   *texts;
	List	   *owners = NIL;
	List	   *names = NIL;
	ListCell   *lc;

	if (event->objects == NIL || !ddl_event_takes_away(event->parsetree))
		return;
	foreach(lc, object_states(event->objects, GetUserId(), true))
	{
		ObjectState *was = lfirst(lc);

		if (was->exists)
			names = lappend(names, was->name);
	}
	texts = names == NIL ? NIL : list_open_texts(names);
	foreach(lc, texts)
		owners = list_append_unique_oid(owners, ((OpenText *) lfirst(lc))->owner);
	foreach(lc, owners)
		check_texts_of_owner(lfirst_oid(lc), texts, event);
}

/*-------------------------------------------------------------------------
 * Rules whose text a DDL command has made invalid.
 *
 * The objects that a rule uses are compared with their state before this
 * transaction.  If a name, a right or a shape differs, the rule is resolved
 * again, to see whether it is still valid.  If it is not, its names are looked
 * up among those that the objects had before, to see whether it was valid
 * then.
 *-------------------------------------------------------------------------
 */

/* The objects used by the rules of a table, now and before. */
typedef struct RuleUse
{
	Oid			relid;
	Oid			owner;
	Oid			owner_before;
	List	   *now;			/* list of ObjectState, in the same order as
								 * before */
	List	   *before;
} RuleUse;

static Oid
rule_table_owner(Oid relid, bool before)
{
	static const char *const sql = "SELECT relowner FROM pg_class WHERE oid = $1";
	TandemQuery query;
	Oid			owner = InvalidOid;

	query_begin(&query);
	query_oid(&query, relid);
	if ((before ? query_run_before(&query, sql) : query_run_latest(&query, sql)) > 0)
		owner = query_get_oid(0, 1);
	query_end(&query);
	return owner;
}

static void
read_rule_use(RuleUse *use, Oid relid, List *objects)
{
	use->relid = relid;
	use->owner = rule_table_owner(relid, false);
	use->owner_before = rule_table_owner(relid, true);
	if (!OidIsValid(use->owner_before))
		use->owner_before = use->owner;
	use->now = object_states(objects, use->owner, false);
	use->before = object_states(objects, use->owner_before, true);
}

static bool
rule_use_is_changed(const RuleUse *use)
{
	ListCell   *now;
	ListCell   *before;

	forboth(now, use->now, before, use->before)
	{
		if (!object_state_equal(lfirst(before), lfirst(now)))
			return true;
	}
	return false;
}

/*
 * Has the owner of what has changed granted it explicitly to the table's
 * owner?
 */
static bool
rule_use_is_granted(const RuleUse *use)
{
	ListCell   *now;
	ListCell   *before;

	forboth(now, use->now, before, use->before)
	{
		ObjectState *was = lfirst(before);
		ListCell   *lc;

		if (object_state_equal(was, lfirst(now)))
			continue;
		if (was->granted || !was->exists || was->object.objectId == use->relid)
			return true;
		foreach(lc, use->before)
		{
			ObjectState *schema = lfirst(lc);

			if (schema->object.classId == NamespaceRelationId &&
				schema->granted && was->schema &&
				strcmp(schema->name, was->schema) == 0)
				return true;
		}
	}
	return false;
}

/*
 * Returns a right that the table's owner has lost.  If the table has a new
 * owner, only rights that are certainly needed count: on functions, schemas,
 * and sequences, which are named only to be advanced.
 */
static char *
right_lost_by_owner(const RuleUse *use)
{
	ListCell   *now;
	ListCell   *before;

	forboth(now, use->now, before, use->before)
	{
		ObjectState *was = lfirst(before);
		char	   *right = object_state_lost_right(was, lfirst(now));

		if (right == NULL || !((ObjectState *) lfirst(now))->exists)
			continue;
		/* to read a row that is written needs no right on its table */
		if (was->object.classId == RelationRelationId &&
			was->object.objectId == use->relid)
			continue;
		if (use->owner != use->owner_before &&
			was->object.classId == RelationRelationId &&
			get_rel_relkind(was->object.objectId) != RELKIND_SEQUENCE)
			continue;
		return psprintf("the owner of table %s, role %s, no longer has %s on %s",
						quoting_relation(use->relid),
						quote_identifier(GetUserNameFromId(use->owner, false)),
						right, getObjectDescription(&was->object, false));
	}
	return NULL;
}

/*
 * Had an object used by the trigger this name?  With schema it is an object in
 * that schema; with NULL, one of a class without schemas, or a column.  An
 * object created by this transaction counts under its present name.
 */
static bool
object_had_name(const RuleUse *use, Oid class_oid, const char *schema,
				const char *name)
{
	ListCell   *before;
	ListCell   *now;

	forboth(before, use->before, now, use->now)
	{
		ObjectState *was = lfirst(before);

		if (!was->exists && ((ObjectState *) lfirst(now))->exists)
			return true;
		if (!was->exists)
			continue;			/* of a class without names, such as casts */
		if (strcmp(was->name, name) != 0)
			continue;
		if (schema ? was->schema && strcmp(was->schema, schema) == 0
			: was->schema == NULL && was->object.classId == class_oid)
			return true;
	}
	return false;
}

/* Without a schema, or in pg_catalog, it is a built-in object. */
static bool
objects_were_there(List *objects, const RuleUse *use)
{
	ListCell   *lc;

	foreach(lc, objects)
	{
		List	   *names = lfirst(lc);
		int			parts = list_length(names);
		const char *schema = parts > 1 ? strVal(list_nth(names, parts - 2)) : NULL;

		if (schema && strcmp(schema, "pg_catalog") != 0 &&
			!object_had_name(use, InvalidOid, schema, strVal(llast(names))))
			return false;
	}
	return true;
}

static bool
names_were_there(List *names, const RuleUse *use, Oid class_oid)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (!object_had_name(use, class_oid, NULL, lfirst(lc)))
			return false;
	}
	return true;
}

/*
 * Had the table's owner the rights that are needed to parse and run the text?
 */
static bool
rights_were_there(const char *text, const RuleUse *use)
{
	ListCell   *lc;

	foreach(lc, use->before)
	{
		ObjectState *was = lfirst(lc);

		if (!was->exists)
			continue;
		if (was->object.classId == ProcedureRelationId &&
			!object_state_has_right(was, "EXECUTE"))
			return false;
		if (was->object.classId == NamespaceRelationId &&
			name_is_in_text(text, was->name) && !object_state_has_right(was, "USAGE"))
			return false;
	}
	return true;
}

static bool
text_made_sense(const char *text, const RuleUse *use)
{
	NamesInExpression names = {NIL, NIL, NIL};

	names_in_expression(text, &names);
	return objects_were_there(names.objects, use) &&
		names_were_there(names.columns, use, RelationRelationId) &&
		names_were_there(names.schemas, use, NamespaceRelationId) &&
		rights_were_there(text, use);
}

typedef struct SenseCall
{
	const SyncRule *rule;
	const RuleUse *use;
	bool		made_sense;
} SenseCall;

static void
look_whether_rule_made_sense(void *arg)
{
	SenseCall  *call = arg;
	ListCell   *lc;

	if (!names_were_there(call->rule->old_columns, call->use, RelationRelationId) ||
		!names_were_there(call->rule->new_columns, call->use, RelationRelationId))
		return;
	foreach(lc, list_concat_copy(call->rule->up, call->rule->down))
	{
		if (lfirst(lc) && !text_made_sense(lfirst(lc), call->use))
			return;
	}
	call->made_sense = true;
}

/* Was the rule valid before this transaction? */
static bool
rule_made_sense(const SyncRule *rule, const RuleUse *use)
{
	SenseCall	call = {rule, use, false};

	(void) quarantine_try(look_whether_rule_made_sense, &call);
	return call.made_sense;
}

/*
 * Used if others have the table locked: looks only for a name that the rule
 * uses.
 */
static char *
name_gone_from_rule(const SyncRule *rule, const RuleUse *use)
{
	ListCell   *now;
	ListCell   *before;
	ListCell   *lc;

	forboth(now, use->now, before, use->before)
	{
		ObjectState *was = lfirst(before);

		if (!was->exists || object_state_equal(was, lfirst(now)))
			continue;
		foreach(lc, list_concat_copy(rule->up, rule->down))
		{
			if (lfirst(lc) && name_is_in_text(lfirst(lc), was->name))
				return psprintf("rule of table %s, which is locked now, names \"%s\"",
								quoting_relation(rule->relation), was->name);
		}
	}
	return NULL;
}

/*
 * overloaded: the command has made something that the text of the rule may
 * mean.
 */
static char *
damage_of_rule(const SyncRule *rule, const RuleUse *use, bool overloaded)
{
	bool		locked = false;
	char	   *problem = right_lost_by_owner(use);

	if (problem == NULL)
		problem = sync_rule_problem(rule, &locked);
	if (problem == NULL && locked)
		problem = overloaded
			? psprintf("table %s is locked now, and a rule of it uses what this may take the place of",
					   quoting_relation(rule->relation))
			: name_gone_from_rule(rule, use);
	return problem && rule_made_sense(rule, use) ? problem : NULL;
}

static void
check_rules_of_table(Oid relid, const DdlEvent *event, bool overloaded)
{
	List	   *rules = sync_list_of_relation(relid);
	SyncTriggerRow row;
	RuleUse		use;
	ListCell   *lc;

	if (rules == NIL || !sync_trigger_row(relid, &row))
		return;
	read_rule_use(&use, relid, rule_objects_of(row.oid));
	if (!overloaded && !rule_use_is_changed(&use))
		return;
	foreach(lc, rules)
	{
		SyncRule   *rule = lfirst(lc);
		char	   *problem = damage_of_rule(rule, &use, overloaded);

		if (problem)
			guard_refuse_or_warn(event->tag, rule->migration, relid, problem,
								 rule_use_is_granted(&use));
	}
}

void
broken_rules_check_dropped(Oid relid, CommandTag tag)
{
	List	   *rules = sync_list_of_relation(table_root(relid));
	SyncRule   *rule = rules == NIL ? NULL : linitial(rules);
	SyncTriggerRow row;
	RuleUse		use;

	if (rule == NULL || sync_trigger_row(relid, &row))
		return;
	read_rule_use(&use, rule->relation, rule_objects_before(rule->relation));
	guard_refuse_or_warn(tag, rule->migration, rule->relation,
						 psprintf("trigger %s of table %s is gone",
								  quote_identifier(SYNC_TRIGGER_NAME),
								  quoting_relation(relid)),
						 rule_use_is_granted(&use));
}

void
broken_rules_check(const DdlEvent *event)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, event->objects)
		tables = list_concat_unique_oid(tables, rule_objects_users(lfirst(lc)));
	foreach(lc, tables)
		check_rules_of_table(lfirst_oid(lc), event, false);
	foreach(lc, overload_tables(event))
		check_rules_of_table(lfirst_oid(lc), event, true);
	broken_steps_check(event);
}

void
broken_rules_check_roles(const DdlEvent *event, List *roles)
{
	ListCell   *lc;
	ListCell   *role;

	foreach(lc, sync_relations_live())
	{
		Oid			owner = rule_table_owner(lfirst_oid(lc), false);

		foreach(role, roles)
		{
			if (OidIsValid(owner) && has_privs_of_role(owner, lfirst_oid(role)))
			{
				check_rules_of_table(lfirst_oid(lc), event, false);
				break;
			}
		}
	}
}
