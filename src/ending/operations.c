/*
 * operations.c
 *		What contract does besides dropping columns, and what is in its way.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/authority.h"
#include "core/error.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/given_statement.h"
#include "ddl/named_objects.h"
#include "ending/operations.h"
#include "ending/tables.h"

/*-------------------------------------------------------------------------
 * What the catalogs say of the objects.
 *-------------------------------------------------------------------------
 */

List *
drop_obstacles(List *relids, int migration, bool aborting)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_oid_list(&query, relids);
	query_int(&query, migration);
	query_bool(&query, aborting);
	lines = query_texts(&query,
						"SELECT line FROM tandem._drop_obstacles($1, $2, $3) WHERE NOT stray ORDER BY line COLLATE \"C\"");
	query_end(&query);
	return lines;
}

char *
index_identifies_rows_of(Oid index)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, index);
	/* of a partition each has its own */
	return query_end_text(&query, query_run_latest(&query,
												   "SELECT i.indrelid::regclass::text FROM pg_index i WHERE i.indisreplident "
												   "AND i.indexrelid IN (SELECT $1 UNION SELECT t.relid FROM pg_partition_tree($1) t) ORDER BY 1 LIMIT 1"));
}

Oid
operation_index(const Operation *operation)
{
	Oid			index = get_relname_relid(operation->object,
										  get_rel_namespace(operation->relation));

	return OidIsValid(index) &&
		IndexGetRelation(index, true) == operation->relation ? index : InvalidOid;
}

char *
constraint_name_taken(Oid relid, const char *constraint, const char *new_name)
{
	TandemQuery query;

	query_begin(&query);
	query_oid_list(&query, table_tree(relid));
	query_oid(&query, relid);
	query_name(&query, constraint);
	query_name(&query, new_name);
	return query_end_text(&query, query_run_latest(&query,
												   "SELECT pg_describe_object('pg_constraint'::regclass, c.oid, 0) "
												   "FROM pg_constraint c WHERE c.conrelid = ANY ($1) AND c.conname = $4 "
	/* that of a key has an index of its name */
												   "UNION ALL SELECT pg_describe_object('pg_class'::regclass, n.oid, 0) FROM pg_constraint c "
												   "JOIN pg_class i ON i.oid = c.conindid JOIN pg_class n ON n.relnamespace = i.relnamespace AND n.relname = $4 "
												   "WHERE c.conrelid = $2 AND c.conname = $3 AND c.contype IN ('p', 'u', 'x') LIMIT 1"));
}

char *
table_name_taken(const Migration *migration, Oid relid, const char *new_name)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	query_name(&query, new_name);
	query_int(&query, migration->id);
	return query_end_text(&query, query_run_latest(&query,
												   "SELECT line FROM tandem._table_name_taken($1, $2, $3) LIMIT 1"));
}

void
table_check_name_free(const Migration *migration, const Operation *rename,
					  const char *hint)
{
	char	   *taken = table_name_taken(migration, rename->relation, rename->new_name);

	if (taken)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("table \"%s\" cannot be renamed to \"%s\"",
						quoting_shown_name(rename->relation), rename->new_name),
				 errdetail("There is %s.", taken),
				 errhint("%s", hint)));
}

bool
table_is_replicated(Oid relid)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	/* the function is planned anew in each call */
	return query_end_found(&query, query_run_latest(&query,
													"SELECT WHERE (EXISTS (SELECT FROM pg_publication) OR EXISTS (SELECT FROM pg_subscription_rel)) "
													"AND tandem._is_replicated($1)"));
}

static bool table_keeps_name(const Operation *rename);

/* Does the table that has the new name keep it?  It is renamed by a call before this one. */
static bool
new_name_is_kept(const Operation *rename)
{
	Oid			holder = get_relname_relid(rename->new_name, get_rel_namespace(rename->relation));
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(rename->migration_id, OPERATION_RENAME_TABLE))
	{
		const Operation *other = lfirst(lc);

		if (other->relation == holder && other->id < rename->id && !other->done)
			return table_keeps_name(other);
	}
	return false;
}

static bool
table_keeps_name(const Operation *rename)
{
	return table_is_replicated(rename->relation) || new_name_is_kept(rename);
}

/*-------------------------------------------------------------------------
 * What contract will do.
 *-------------------------------------------------------------------------
 */

static ContractPart *
part_of(const Operation *operation, char *object, char *what_happens)
{
	ContractPart *part = palloc0(sizeof(ContractPart));

	part->part = pstrdup(operation_kind_name(operation->kind));
	part->object = object;
	part->what_happens = what_happens;
	return part;
}

static ContractPart *
part_in_the_way(const Operation *operation, char *object, char *why,
				char *remedy)
{
	ContractPart *part = part_of(operation, object, why);

	part->remedy = remedy;
	part->refuses = true;
	return part;
}

static char *
table_title(const Operation *operation)
{
	return psprintf("table %s", quoting_relation(operation->relation));
}

static char *
role_title(Oid role)
{
	return psprintf("role %s", quote_identifier(GetUserNameFromId(role, false)));
}

/* The text must not run as somebody who has not said it. */
static ContractPart *
part_of_statement(const Operation *operation)
{
	Oid			owner = authority_table_owner(operation->relation);
	char	   *statement = text_shortened(operation->statement, 200);

	if (owner == operation->owner)
		return part_of(operation, table_title(operation),
					   psprintf("it is run as %s: %s", role_title(owner), statement));
	return part_in_the_way(operation, table_title(operation),
						   psprintf("it would be run as %s, who has not called for it: %s",
									role_title(owner), statement),
						   psprintf("SELECT tandem.at_contract(%s, %s, %s)",
									quote_literal_cstr(operation->migration),
									quote_literal_cstr(quoting_relation(operation->relation)),
									quote_literal_cstr(operation->statement)));
}

static ContractPart *
part_of_index(const Operation *operation)
{
	Oid			index = operation_index(operation);
	char	   *object;
	char	   *table;
	List	   *lines;

	if (!OidIsValid(index))
		return part_of(operation,
					   psprintf("index %s of %s", quote_identifier(operation->object),
								table_title(operation)),
					   pstrdup("it is gone already"));
	object = psprintf("index %s", quoting_relation(index));
	table = index_identifies_rows_of(index);
	if (table)
		return part_in_the_way(operation, object,
							   psprintf("it is the replica identity of table %s", table),
							   psprintf("ALTER TABLE %s REPLICA IDENTITY DEFAULT, or another index", table));
	if (OidIsValid(get_index_constraint(index)))
		return part_in_the_way(operation, object,
							   pstrdup("it belongs to a constraint"),
							   psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
										quoting_relation(operation->relation),
										quote_identifier(get_constraint_name(get_index_constraint(index)))));
	lines = drop_obstacles(list_make1_oid(index), 0, false);
	if (lines != NIL)
		return part_in_the_way(operation, object,
							   psprintf("in use by %s", text_joined(lines, "", ", ")),
							   pstrdup("drop it, or have it use another index"));
	return part_of(operation, object, pstrdup("it is dropped"));
}

static ContractPart *
part_of_constraint(const Operation *operation)
{
	char	   *object = psprintf("constraint %s of %s",
								  pstrdup(quote_identifier(operation->object)),
								  table_title(operation));
	char	   *taken;

	if (!OidIsValid(get_relation_constraint_oid(operation->relation,
												operation->object, true)))
		return part_of(operation, object, pstrdup("it is gone already"));
	taken = constraint_name_taken(operation->relation, operation->object,
								  operation->new_name);
	if (taken)
		return part_in_the_way(operation, object,
							   psprintf("%s has the name %s", taken,
										quote_identifier(operation->new_name)),
							   pstrdup("rename or drop that one"));
	return part_of(operation, object,
				   psprintf("it is renamed to %s", quote_identifier(operation->new_name)));
}

/* Returns what keeps the tables that the migration drops from being dropped together. */
static List *
lines_of_drops(const Migration *migration)
{
	List	   *relids = operation_tables(migration->id, OPERATION_DROP_TABLE);

	return relids == NIL ? NIL
		: tables_obstacles(migration, relids, migration->release, false);
}

/* Returns those of one of them; all are those of lines_of_drops. */
static List *
lines_of_drop(const Migration *migration, Oid relid, List *all)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, all == NIL ? NIL
			: tables_obstacles(migration, list_make1_oid(relid), migration->release, false))
	{
		if (text_is_among(lfirst(lc), all))
			lines = lappend(lines, lfirst(lc));
	}
	return lines;
}

/* What statements of the user free before nobody can tell: then the drop fails, or not. */
static ContractPart *
part_of_drop(const Migration *migration, const Operation *operation, List *obstacles)
{
	List	   *lines = lines_of_drop(migration, operation->relation, obstacles);

	if (lines == NIL)
		return part_of(operation, table_title(operation), pstrdup("it is dropped"));
	if (operations_may_free_columns(migration))
		return part_of(operation, table_title(operation),
					   psprintf("it is dropped, unless the statements called for leave %s",
								text_joined(lines, "", ", ")));
	return part_in_the_way(operation, table_title(operation),
						   psprintf("in use by %s", text_joined(lines, "", ", ")),
						   pstrdup(has_superclass(operation->relation) ? "do what it says"
								   : "drop it, or end the migration that uses the table"));
}

static char *
table_renamed_before(const Migration *migration, Oid relid)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, migration->id);
	return query_end_text(&query, query_run(&query, "SELECT tandem._table_renamed_before($1, $2)"));
}

/*
 * Returns what another migration is to build by the name of the table, and in *remedy
 * the call that does; or NULL.
 */
static char *
name_is_waited_for(const Migration *migration, Oid relid, char **remedy)
{
	TandemQuery query;
	char	   *waits = NULL;

	query_begin(&query);
	query_int(&query, migration->id);
	query_text(&query, psprintf("REFERENCES %s(", quoting_relation(relid)));
	if (query_run_latest(&query,
						 "SELECT format('constraint %I of migration %I, which refers to it, is not built yet', t.object, m.name), "
						 "format('CALL tandem.migrate(%L)', m.name) "
						 "FROM tandem.step t JOIN tandem.migration m ON m.id = t.migration AND m.id <> $1 AND m.phase NOT IN ('done', 'aborted') "
						 "WHERE t.kind = 'constraint' AND t.state <> 'done' AND position($2 IN t.definition) > 0 ORDER BY t.id LIMIT 1") > 0)
	{
		waits = query_get_text(0, 1);
		*remedy = query_get_text(0, 2);
	}
	query_end(&query);
	return waits;
}

List *
operations_rename_waits(const Migration *migration)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_RENAME_TABLE))
	{
		const Operation *operation = lfirst(lc);
		char	   *remedy;
		char	   *waits = operation->done ? NULL
		: name_is_waited_for(migration, operation->relation, &remedy);

		if (waits)
			lines = lappend(lines, psprintf("%s: %s: %s;", table_title(operation), waits, remedy));
	}
	return lines;
}

static ContractPart *
part_of_rename(const Migration *migration, const Operation *operation)
{
	char	   *remedy;
	char	   *waits;
	char	   *taken = table_name_taken(migration, operation->relation, operation->new_name);
	char	   *new_name = pstrdup(quote_identifier(operation->new_name));
	char	   *before = table_renamed_before(migration, operation->relation);

	if (before)
		return part_in_the_way(operation, table_title(operation),
							   psprintf("migration %s gives it another name for an earlier release",
										quote_identifier(before)),
							   psprintf("end that migration first, by CALL tandem.contract(%s) or CALL tandem.abort(%s)",
										quote_literal_cstr(before), quote_literal_cstr(before)));
	if (table_keeps_name(operation))
		return part_of(operation, table_title(operation),
					   psprintf("it keeps its name, since logical replication finds %s by that; views show it as %s",
								table_is_replicated(operation->relation) ? "it" : "the one that has the new name",
								new_name));
	if (taken)
		return part_in_the_way(operation, table_title(operation),
							   psprintf("%s has the name %s", taken, new_name),
							   pstrdup("rename or drop that one"));
	waits = name_is_waited_for(migration, operation->relation, &remedy);
	if (waits)
		return part_in_the_way(operation, table_title(operation), waits, remedy);
	return part_of(operation, table_title(operation),
				   psprintf("it is renamed to %s", new_name));
}

static ContractPart *
part_of_operation(const Migration *migration, const Operation *operation, List *obstacles)
{
	switch (operation->kind)
	{
		case OPERATION_DROP_TABLE:
			return part_of_drop(migration, operation, obstacles);
		case OPERATION_RENAME_TABLE:
			return part_of_rename(migration, operation);
		case OPERATION_STATEMENT:
			return part_of_statement(operation);
		case OPERATION_DROP_INDEX:
			return part_of_index(operation);
		case OPERATION_RENAME_CONSTRAINT:
			return part_of_constraint(operation);
		default:
			return NULL;
	}
}

List *
operations_parts(const Migration *migration)
{
	List	   *obstacles = lines_of_drops(migration);
	List	   *parts = NIL;
	ListCell   *lc;

	foreach(lc, operation_list(migration->id))
	{
		const Operation *operation = lfirst(lc);
		ContractPart *part = relation_exists(operation->relation)
		? part_of_operation(migration, operation, obstacles) : NULL;

		if (part)
			parts = lappend(parts, part);
	}
	return parts;
}

void
operations_check(const Migration *migration)
{
	List	   *lines = NIL;
	List	   *remedies = NIL;
	ListCell   *lc;

	foreach(lc, operations_parts(migration))
	{
		const ContractPart *part = lfirst(lc);

		if (!part->refuses)
			continue;
		lines = lappend(lines, psprintf("%s, %s: %s", part->part, part->object,
										part->what_happens));
		remedies = list_append_unique(remedies, makeString(part->remedy));
	}
	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("contract of migration \"%s\" cannot do all that it is to do",
					migration->name),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 list_length(remedies) == 1
			 ? errhint("What helps: %s. Then contract.", strVal(linitial(remedies)))
			 : errhint("Do what SELECT object, remedy FROM tandem.preview_contract(%s); says, then contract.",
					   quote_literal_cstr(migration->name))));
}

/*-------------------------------------------------------------------------
 * Doing it.
 *-------------------------------------------------------------------------
 */

static void
operation_error_callback(void *arg)
{
	const Operation *operation = arg;

	errcontext("%s of migration \"%s\" at contract%s%s",
			   operation_kind_name(operation->kind), operation->migration,
			   operation->statement ? ": " : "",
			   operation->statement ? operation->statement : "");
}

/* Contract is tried again after an error that passes. */
static void
explain_statement_error(MemoryContext context, const Operation *operation)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (error_passes_with_others(error) || error_is_intervention(error))
		PG_RE_THROW();
	FreeErrorData(error);
	rethrow_with_hint(context,
					  psprintf("Contract has changed nothing. Have the objects be as the statement needs them, or end the migration: CALL tandem.abort(%s);",
							   quote_literal_cstr(operation->migration)));
}

/* A dump may have brought any text. */
static void
run_statement(const Operation *operation)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		given_statement_check(operation->statement);
		ddl_run_given(operation->relation, operation->statement,
					  operation->search_path);
	}
	PG_CATCH();
	{
		explain_statement_error(context, operation);
	}
	PG_END_TRY();
}

/* Somebody has dropped or renamed it since. */
static void
report_gone(const Operation *operation)
{
	ereport(NOTICE,
			(errmsg("there is no \"%s\" on table \"%s\" any more, skipping: %s",
					operation->object, quoting_shown_name(operation->relation),
					operation_kind_name(operation->kind))));
}

static void
drop_index(const Operation *operation)
{
	Oid			index = operation_index(operation);

	if (OidIsValid(index))
		ddl_run(psprintf("DROP INDEX %s RESTRICT", quoting_relation(index)));
	else
		report_gone(operation);
}

static void
rename_constraint(const Operation *operation)
{
	if (OidIsValid(get_relation_constraint_oid(operation->relation,
											   operation->object, true)))
		ddl_run(psprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s",
						 quoting_relation(operation->relation),
						 pstrdup(quote_identifier(operation->object)),
						 quote_identifier(operation->new_name)));
	else
		report_gone(operation);
}

/* The names that earlier migrations have left are not to be given to it any more. */
static void
give_new_name(const Operation *operation)
{
	ddl_run(psprintf("ALTER TABLE %s RENAME TO %s",
					 quoting_relation(operation->relation),
					 quote_identifier(operation->new_name)));
	operation_note_done(operation);
	operation_note_overtaken(operation,
							 migration_by_id(operation->migration_id)->release);
}

static void
rename_table(const Operation *operation)
{
	/* the views show the new name, until tandem.take_names takes it */
	if (table_keeps_name(operation))
	{
		ereport(NOTICE,
				(errmsg("table \"%s\" keeps its name, since %s is replicated",
						quoting_shown_name(operation->relation),
						table_is_replicated(operation->relation) ? "it" : "the one that has the new name"),
				 errdetail("Logical replication finds a table by its name. Release %d and later ones see this one as \"%s\" through their views.",
						   migration_by_id(operation->migration_id)->release, operation->new_name),
				 errhint("Once all servers have contracted, run SELECT tandem.take_names(%s); in each.",
						 quote_literal_cstr(operation->migration))));
		return;
	}
	give_new_name(operation);
}

/* All at once: they may refer to each other. */
static void
drop_tables(const Migration *migration)
{
	List	   *relids = operation_tables(migration->id, OPERATION_DROP_TABLE);
	List	   *lines = tables_obstacles(migration, relids, migration->release, false);

	if (lines != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("tables that migration \"%s\" drops are in use", migration->name),
				 errdetail("%s", text_joined(lines, "- ", "\n")),
				 errhint("Drop these, end the migrations that use the tables, or do what a line says, then contract.")));
	tables_drop(relids, NULL);
}

static void
run_operation(const Operation *operation)
{
	switch (operation->kind)
	{
		case OPERATION_STATEMENT:
			run_statement(operation);
			break;
		case OPERATION_DROP_INDEX:
			drop_index(operation);
			break;
		case OPERATION_RENAME_CONSTRAINT:
			rename_constraint(operation);
			break;
		case OPERATION_RENAME_TABLE:
			rename_table(operation);
			return;
		default:
			return;
	}
	operation_note_done(operation);
}

/* When operations are run, in this order. */
typedef enum RunTime
{
	RUN_BEFORE_DROPS,
	RUN_ONCE_CARRIED,			/* what was built has its name */
	RUN_WITH_TABLES
} RunTime;

/* Is it of a constraint that goes, and whose name another one takes? */
static bool
is_of_carried(const Operation *operation, List *operations)
{
	ListCell   *lc;

	foreach(lc, operations)
	{
		const Operation *other = lfirst(lc);

		if (other->kind == OPERATION_CARRY && other->relation == operation->relation &&
			strcmp(other->given, "constraint") == 0 &&
			strcmp(other->new_name, operation->object) == 0)
			return true;
	}
	return false;
}

static RunTime
time_to_run(const Operation *operation, List *operations)
{
	if (operation->kind == OPERATION_RENAME_TABLE)
		return RUN_WITH_TABLES;
	if (operation->kind == OPERATION_RENAME_CONSTRAINT && is_of_carried(operation, operations))
		return RUN_ONCE_CARRIED;
	return RUN_BEFORE_DROPS;
}

static void
run_operations(const Migration *migration, RunTime when)
{
	List	   *operations = operation_list(migration->id);
	ListCell   *lc;

	foreach(lc, operations)
	{
		Operation  *operation = lfirst(lc);
		ErrorContextCallback callback = {error_context_stack,
		operation_error_callback, operation};

		/* an earlier one may have dropped it */
		if (!relation_exists(operation->relation) ||
			time_to_run(operation, operations) != when)
			continue;
		error_context_stack = &callback;
		run_operation(operation);
		error_context_stack = callback.previous;
	}
}

/* An earlier release may have renamed it by then. */
static List *
names_of_table(const Migration *migration, Oid relid)
{
	if (!OidIsValid(relid))
		return NIL;
	return list_make2(quoting_raw_name(relid),
					  operation_table_name(Max(migration->release - 1, 0), relid));
}

typedef bool (*StatementTest) (const char *statement, const char *object, List *tables);

static bool
is_any(List *operations, StatementTest test, const char *object, List *tables)
{
	ListCell   *lc;

	foreach(lc, operations)
	{
		if (test(((Operation *) lfirst(lc))->statement, object, tables))
			return true;
	}
	return false;
}

bool
operations_name(const Migration *migration, Oid relid, const char *object)
{
	return is_any(operation_list_of_kind(migration->id, OPERATION_STATEMENT),
				  statement_is_about, object, names_of_table(migration, relid));
}

bool
operations_drop_before(const Migration *migration, Oid relid, const char *object)
{
	return is_any(operation_list_before(migration->release, OPERATION_STATEMENT),
				  statement_drops, object, names_of_table(migration, relid));
}

bool
operations_may_free_columns(const Migration *migration)
{
	return operation_list_of_kind(migration->id, OPERATION_STATEMENT) != NIL;
}

void
operations_run(const Migration *migration)
{
	run_operations(migration, RUN_BEFORE_DROPS);
}

void
operations_run_on_carried(const Migration *migration)
{
	run_operations(migration, RUN_ONCE_CARRIED);
}

static List *
renames_left(const Migration *migration)
{
	List	   *renames = NIL;
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_RENAME_TABLE))
	{
		const Operation *operation = lfirst(lc);

		if (!operation->done)
			renames = lappend(renames, lfirst(lc));
	}
	return renames;
}

List *
operations_names_left(const Migration *migration)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, renames_left(migration))
		relids = list_append_unique_oid(relids, ((Operation *) lfirst(lc))->relation);
	return relids;
}

void
operations_take_names(const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, renames_left(migration))
	{
		const Operation *operation = lfirst(lc);

		table_check_name_free(migration, operation,
							  "Rename or drop that one, then call it again.");
		give_new_name(operation);
	}
}

/* The name of what was dropped can be taken. */
void
operations_end_tables(const Migration *migration)
{
	drop_tables(migration);
	run_operations(migration, RUN_WITH_TABLES);
}
