/*
 * constraint_definition.c
 *		Parses and checks constraint definitions given by the user.
 *
 * A definition is parsed only by the server's parser, and added as its parse
 * tree or as the server's own deparsed text.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parser.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/authority.h"
#include "core/compat.h"
#include "core/error.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ddl/constraint_build.h"
#include "ddl/constraint_definition.h"
#include "rule/meaning.h"
#include "trigger/target.h"

#define DEFINITION_HINT \
	"Give what follows ADD CONSTRAINT name: CHECK (...), FOREIGN KEY (...) REFERENCES ..., UNIQUE (...) or PRIMARY KEY (...). For NOT NULL there is tandem.add_not_null."

typedef struct DefinitionSource
{
	const char *name;
	const char *text;			/* as given by the user */
	char	   *statement;		/* ALTER TABLE statement that contains text */
	int			before;			/* characters in statement before text */
} DefinitionSource;

/* Error positions refer to the definition, not to the user's statement. */
static void
constraint_definition_error_callback(void *arg)
{
	DefinitionSource *source = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(Max(position - source->before, 1));
		internalerrquery(source->text);
	}
	errcontext("definition of constraint \"%s\"", source->name);
}

static void
make_constraint_statement(DefinitionSource *source, const char *name,
						  const char *text)
{
	char	   *before = psprintf("ALTER TABLE t ADD CONSTRAINT %s ",
								  quote_identifier(name));

	source->name = name;
	source->text = text;

	source->before = pg_mbstrlen(before);
	source->statement = psprintf("%s%s", before, text);
}

static List *
parse_constraint_statement(DefinitionSource *source)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = constraint_definition_error_callback,
		.arg = source,
	};
	List	   *volatile parsed = NIL;

	PG_TRY();
	{
		error_context_stack = &callback;
		parsed = raw_parser(source->statement, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller, DEFINITION_HINT);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	return parsed;
}

/* Returns NULL unless it is exactly one constraint. */
static Constraint *
single_constraint(List *parsed)
{
	AlterTableStmt *alter;
	AlterTableCmd *command;

	if (list_length(parsed) != 1)
		return NULL;
	alter = (AlterTableStmt *) linitial_node(RawStmt, parsed)->stmt;
	if (!IsA(alter, AlterTableStmt) || list_length(alter->cmds) != 1)
		return NULL;
	command = linitial_node(AlterTableCmd, alter->cmds);
	return command->subtype == AT_AddConstraint
		? castNode(Constraint, command->def) : NULL;
}

static void
refuse_constraint(const DefinitionSource *source, const char *what,
				  const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("constraint \"%s\" is %s", source->name, what),
			 errdetail("%s", why),
			 errhint("%s", hint)));
}

#define NO_LATER_CHECK \
	"The server can neither build it concurrently nor check the rows later."
#define EXCLUDE_HINT \
	"Where all its operators are =, UNIQUE does the same. Else add it in a maintenance window, after contract."

static void
check_constraint_kind(const Constraint *constraint,
					  const DefinitionSource *source)
{
	switch (constraint->contype)
	{
		case CONSTR_CHECK:
		case CONSTR_FOREIGN:
		case CONSTR_UNIQUE:
		case CONSTR_PRIMARY:
			break;
		case CONSTR_EXCLUSION:
			refuse_constraint(source, "an exclusion constraint", NO_LATER_CHECK,
							  EXCLUDE_HINT);
			break;
		case CONSTR_NOTNULL:
			refuse_constraint(source, "NOT NULL",
							  "It belongs to a column.",
							  "tandem.add_not_null(migration, relation, column_name)");
			break;
		default:
			refuse_constraint(source, "of a kind that migrate cannot add",
							  "It is none of CHECK, FOREIGN KEY, UNIQUE, PRIMARY KEY.",
							  DEFINITION_HINT);
	}
	if (compat_constraint_is_temporal(constraint) &&
		constraint->contype != CONSTR_FOREIGN)
		refuse_constraint(source, "WITHOUT OVERLAPS", NO_LATER_CHECK, EXCLUDE_HINT);
	if (!compat_constraint_is_enforced(constraint))
		refuse_constraint(source, "NOT ENFORCED", "There is nothing to check.",
						  "Add it by ALTER TABLE in the script that expands, or leave out NOT ENFORCED.");
	if (constraint->indexname)
		refuse_constraint(source, "made from an index of its own",
						  "The index is built by migrate, when the rows are filled.",
						  "Give the columns: UNIQUE (...) or PRIMARY KEY (...).");
}

Constraint *
constraint_parse(const char *name, const char *definition)
{
	DefinitionSource source;
	Constraint *constraint;

	make_constraint_statement(&source, name, definition);
	constraint = single_constraint(parse_constraint_statement(&source));
	if (constraint == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("definition of constraint \"%s\" is not a single constraint",
						name),
				 errdetail("Definition: %s", definition),
				 errhint("%s", DEFINITION_HINT)));
	check_constraint_kind(constraint, &source);
	return constraint;
}

Constraint *
constraint_read(const char *name, const char *definition)
{
	AuthorityScope scope;
	Constraint *constraint;

	authority_pin_search_path(&scope);
	authority_pin_catalog_forms();
	constraint = constraint_parse(name, definition);
	authority_leave(&scope);
	return constraint;
}

bool
constraint_is_key(const Constraint *constraint)
{
	return constraint->contype == CONSTR_UNIQUE ||
		constraint->contype == CONSTR_PRIMARY;
}

LOCKMODE
constraint_lock_mode(const Constraint *constraint)
{
	return constraint->contype == CONSTR_FOREIGN ? ShareRowExclusiveLock
		: AccessExclusiveLock;
}

void
constraint_check_name(Oid relid, const char *name)
{
	ListCell   *lc;
	ConstraintState state;

	foreach(lc, table_tree(relid))
	{
		char	   *definition;

		if (!constraint_find(lfirst_oid(lc), name, &state))
			continue;
		definition = constraint_text(state.oid);
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("constraint \"%s\" of table \"%s\" already exists",
						name, quoting_shown_name(lfirst_oid(lc))),
				 errdetail("Its definition is: %s", definition),
				 errhint("Choose another name. If it is NOT VALID, run ALTER TABLE %s VALIDATE CONSTRAINT %s; outside this transaction.",
						 quoting_relation(lfirst_oid(lc)),
						 quote_identifier(name))));
	}
}

List *
constraint_referenced_tables(const Constraint *constraint)
{
	Oid			relid;

	if (constraint->contype != CONSTR_FOREIGN)
		return NIL;
	relid = RangeVarGetRelid(constraint->pktable, NoLock, true);
	return OidIsValid(relid) ? table_tree(relid) : NIL;
}

typedef struct ConstraintProbe
{
	Oid			relid;
	Constraint *constraint;
	DefinitionSource source;
	Oid			table;			/* table on which it is tried */
	bool		not_valid;
	char	   *text;			/* as deparsed by the server */
	char	   *calls;			/* functions of users that it calls */
} ConstraintProbe;

/* Adds it as the session would do, with the session's search_path. */
static void
add_probed_constraint(Oid relid, Constraint *constraint,
					  const DefinitionSource *source)
{
	AlterTableCmd *command = makeNode(AlterTableCmd);
	AlterTableStmt *alter = makeNode(AlterTableStmt);
	PlannedStmt *statement = makeNode(PlannedStmt);

	command->subtype = AT_AddConstraint;
	command->def = (Node *) constraint;
	alter->relation = quoting_range_var(relid);
	alter->cmds = list_make1(command);
	alter->objtype = OBJECT_TABLE;
	statement->commandType = CMD_UTILITY;
	statement->canSetTag = true;
	statement->utilityStmt = (Node *) alter;
	statement->stmt_location = -1;
	ProcessUtility(statement, source->statement, false, PROCESS_UTILITY_QUERY,
				   NULL, NULL, None_Receiver, NULL);
}

/* Returns a table to which the server can add it without reading rows. */
static Oid
find_probe_table(Oid relid, Constraint *constraint)
{
	List	   *leaves;

	constraint->skip_validation = true;
	constraint->initially_valid = false;
	if (constraint->contype != CONSTR_FOREIGN ||
		get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE ||
		compat_partitioned_foreign_key_not_valid())
		return relid;
	leaves = table_leaves(relid);
	if (leaves != NIL)
		return linitial_oid(leaves);
	/* without leaves there are no rows */
	constraint->skip_validation = false;
	constraint->initially_valid = true;
	return relid;
}

/*
 * The server has parsed the CHECK as the caller wrote it; migrate adds it by
 * its text.
 */
static void
check_meaning_of_check(const ConstraintProbe *probe, Oid constraint)
{
	Relation	rel = table_open(probe->table, NoLock);
	StoredExpression stored = {
		.what = psprintf("CHECK of constraint \"%s\"", probe->source.name),
		.given = probe->source.text,
		.rel = rel,
	};

	(void) meaning_stored_text(&stored, constraint_expression(constraint));
	table_close(rel, NoLock);
}

/*
 * Runs as the caller, who gives the text, in a subtransaction that is rolled
 * back.
 */
static void
probe_constraint_text(void *arg)
{
	ConstraintProbe *probe = arg;
	Constraint *constraint = copyObject(probe->constraint);
	ConstraintState state;
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = constraint_definition_error_callback,
		.arg = &probe->source,
	};

	probe->table = find_probe_table(probe->relid, constraint);
	error_context_stack = &callback;
	add_probed_constraint(probe->table, constraint, &probe->source);
	error_context_stack = callback.previous;
	if (constraint_find(probe->table, constraint->conname, &state))
	{
		probe->text = constraint_text(state.oid);
		if (constraint->contype == CONSTR_CHECK)
			check_meaning_of_check(probe, state.oid);
	}
	probe->not_valid = constraint->skip_validation;
}

/*
 * Adds the text as the table's owner, as migrate will, to report missing rights
 * now.  The server may deparse what it has read from the text in another form,
 * which is what migrate will find then.
 */
static void
probe_constraint_as_owner(ConstraintProbe *probe)
{
	ConstraintState state;

	ddl_run_stored(probe->table,
				   psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s%s",
							quoting_relation(probe->table),
							quote_identifier(probe->source.name),
							probe->text,
							probe->not_valid ? " NOT VALID" : ""));
	if (!constraint_find(probe->table, probe->source.name, &state))
		return;
	probe->text = constraint_text(state.oid);
	probe->calls = constraint_calls(state.oid);
}

/* Runs in a subtransaction, which also releases the locks. */
static void
probe_constraint(void *arg)
{
	ConstraintProbe *probe = arg;
	ErrorContextCallback *previous = error_context_stack;
	ErrorData  *error;

	target_lock(probe->relid,
				list_concat_unique_oid(table_tree(probe->relid),
									   constraint_referenced_tables(probe->constraint)),
				constraint_lock_mode(probe->constraint));
	error = subtransaction_rehearse(probe_constraint_text, probe);
	error_context_stack = previous;
	if (error)
		ReThrowError(error);
	if (probe->text)
		probe_constraint_as_owner(probe);
}

char *
constraint_check(Oid relid, Constraint *constraint, const char *definition,
				 char **calls)
{
	ConstraintProbe probe = {.relid = relid,.constraint = constraint};
	ErrorContextCallback *previous = error_context_stack;
	ErrorData  *error;

	make_constraint_statement(&probe.source, constraint->conname, definition);
	error = subtransaction_rehearse(probe_constraint, &probe);
	error_context_stack = previous;
	if (error && error->hint == NULL)
		error->hint = pstrdup(error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE
							  ? (constraint->contype == CONSTR_FOREIGN
								 ? "A foreign key needs the right: its owner may GRANT REFERENCES ON that table."
								 : "Grant that right to the owner of the table, who adds the constraint.")
							  : "Correct the definition: the server does not take it for this table.");
	if (error)
		ReThrowError(error);
	if (probe.text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("constraint \"%s\" was not added by ALTER TABLE",
						constraint->conname),
				 errhint("Look for an event trigger that undoes it.")));
	*calls = probe.calls;
	return probe.text;
}
