/*
 * shape.c
 *		tandem.record_shape and tandem.check_shape: what a release relies on, and what of
 *		it is gone.
 *
 * A shape is a list of facts about relations, told by tandem._shape_facts, which the
 * release recorded: columns, types, defaults, constraints and rights.  Compared are texts,
 * so that a shape is the same in a copy of the database, where a pipeline tries a script.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "api/arguments.h"
#include "api/result_row.h"
#include "catalog/release_view.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/settings.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "core/transaction.h"
#include "review/lock_watch.h"

SQL_FUNCTION(tandem_record_shape);
SQL_FUNCTION(tandem_check_shape);

/*-------------------------------------------------------------------------
 * Recording.
 *-------------------------------------------------------------------------
 */

typedef struct ShapeRelation
{
	Oid			relid;
	List	   *columns;		/* that the release uses, of char * */
	bool		all_columns;
} ShapeRelation;

static void
check_columns(const ShapeRelation *relation)
{
	ListCell   *lc;

	foreach(lc, relation->columns)
	{
		if (get_attnum(relation->relid, lfirst(lc)) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							(char *) lfirst(lc), quoting_shown_name(relation->relid)),
					 errhint("Name a relation alone, or with columns of its own, as in '{orders, \"items(id, name)\"}'.")));
	}
}

/* A relation, or one with the columns that the release uses behind it: items(id, name). */
static ShapeRelation *
relation_of_text(char *text)
{
	ShapeRelation *relation = palloc0(sizeof(ShapeRelation));
	size_t		length = strlen(text);
	char	   *columns = length > 0 && text[length - 1] == ')' ? strrchr(text, '(') : NULL;

	relation->all_columns = columns == NULL;
	if (columns)
	{
		text[		length - 1] = '\0';

		*columns++ = '\0';
		if (!SplitIdentifierString(columns, ',', &relation->columns) || relation->columns == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_NAME),
					 errmsg("\"%s\" is not a list of columns", columns),
					 errhint("Name a relation alone, or with columns of its own, as in '{orders, \"items(id, name)\"}'.")));
	}
	relation->relid = quoting_resolve_relation(text);
	check_columns(relation);
	return relation;
}

static List *
relations_of_texts(List *texts)
{
	List	   *relations = NIL;
	ListCell   *lc;

	foreach(lc, texts)
	{
		if (lfirst(lc) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a relation of the shape is NULL"),
					 errhint("Leave relations out for the views of the release, or name each one.")));
		relations = lappend(relations, relation_of_text(pstrdup(lfirst(lc))));
	}
	return relations;
}

/*
 * Through its views a release writes the tables, which must take its rows: their columns
 * it does not name.
 */
static List *
relations_of_views(int release)
{
	List	   *relations = NIL;
	ListCell   *lc;

	foreach(lc, release_view_of_releases(release, release))
	{
		const ReleaseView *view = lfirst(lc);
		ShapeRelation *of_view = palloc0(sizeof(ShapeRelation));
		ShapeRelation *of_table = palloc0(sizeof(ShapeRelation));

		if (view->ended || !relation_exists(view->relation))
			continue;
		of_view->relid = view->view;
		of_view->all_columns = true;
		of_table->relid = view->relation;
		relations = lappend(lappend(relations, of_view), of_table);
	}
	if (relations == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("release %d has no views", release),
				 errhint("Name the relations that it uses, as in SELECT tandem.record_shape(%d, '{orders, \"items(id, name)\"}');",
						 release)));
	return relations;
}

static void
record_relation(int release, const ShapeRelation *relation)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	query_oid(&query, relation->relid);
	query_bool(&query, relation->all_columns);
	query_datum(&query, NAMEARRAYOID, array_from_strings(relation->columns, NAMEOID), false);
	query_run(&query,
			  "INSERT INTO tandem.shape (release, schema_name, relation_name, kind, item, definition, place, used) "
			  "SELECT $1, n.nspname, c.relname, f.kind, f.item, f.definition, f.place, "
			  "$3 OR CASE f.kind WHEN 'column' THEN f.item = ANY ($4::text[]) ELSE $4 <> '{}' END "
			  "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN tandem._shape_facts($2) f "
			  "WHERE c.oid = $2 "
	/* named twice, or a table of several views */
			  "ON CONFLICT (release, schema_name, relation_name, kind, item) DO UPDATE SET used = shape.used OR excluded.used");
	query_end(&query);
}

Datum
tandem_record_shape(PG_FUNCTION_ARGS)
{
	int			release = argument_release(fcinfo, 0);
	List	   *relations = PG_ARGISNULL(1) ? relations_of_views(release)
	: relations_of_texts(argument_strings(fcinfo, 1));
	TandemQuery query;
	ListCell   *lc;

	query_begin(&query);
	query_int(&query, release);
	query_run(&query, "DELETE FROM tandem.shape WHERE release = $1");
	query_end(&query);
	foreach(lc, relations)
		record_relation(release, lfirst(lc));
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 * Checking.
 *-------------------------------------------------------------------------
 */

typedef struct ShapeBreak
{
	char	   *relation;
	char	   *column;			/* NULL: none */
	char	   *kind;
	char	   *problem;
} ShapeBreak;

typedef struct ShapeCheck
{
	int			release;
	char	   *script;			/* NULL: none */
	List	   *breaks;			/* of ShapeBreak */
	MemoryContext result;		/* where they are */
} ShapeCheck;

static void *
read_break(uint64 row)
{
	ShapeBreak *broken = palloc(sizeof(ShapeBreak));

	broken->relation = query_get_text(row, 1);
	broken->column = query_get_text(row, 2);
	broken->kind = query_get_text(row, 3);
	broken->problem = query_get_text(row, 4);
	return broken;
}

static void
check_is_recorded(int release)
{
	TandemQuery query;

	query_begin(&query);
	query_int(&query, release);
	if (query_end_found(&query, query_run_latest(&query, "SELECT FROM tandem.shape WHERE release = $1 LIMIT 1")))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("no shape of release %d is recorded", release),
			 errhint("Run SELECT tandem.record_shape(%d); for what its views show, or with the relations that it uses.",
					 release)));
}

static void
find_breaks(ShapeCheck *check)
{
	MemoryContext caller = MemoryContextSwitchTo(check->result);
	TandemQuery query;

	query_begin(&query);
	query_int(&query, check->release);
	check->breaks = query_rows(&query,
							   "SELECT relation, column_name, kind, problem FROM tandem._shape_breaks($1) "
							   "ORDER BY relation COLLATE \"C\", place, column_name COLLATE \"C\", problem COLLATE \"C\"",
							   read_break);
	query_end(&query);
	MemoryContextSwitchTo(caller);
}

static void
script_error_callback(void *arg)
{
	errcontext("the script that was given to tandem.check_shape");
}

/* What the caller says, as the caller. */
static void
run_script(const char *script)
{
	ErrorContextCallback callback = {error_context_stack, script_error_callback, NULL};
	int			code;

	error_context_stack = &callback;
	/* what is taken back harms nobody; so is this, with the subtransaction */
	(void) set_config_option("tandem.ddl_check", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	SPI_connect();
	code = SPI_execute(script, false, 0);
	SPI_finish();
	error_context_stack = callback.previous;
	if (code == SPI_ERROR_TRANSACTION || code == SPI_ERROR_COPY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the script has a statement that cannot be taken back"),
				 errdetail("It is run and rolled back, so it can contain no BEGIN, COMMIT or COPY of the client's."),
				 errhint("Leave that statement out.")));
	if (code < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the script cannot be run: %s", SPI_result_code_string(code)),
				 errhint("Run its statements, then call tandem.check_shape without a script.")));
}

static void
run_and_look(void *arg)
{
	ShapeCheck *check = arg;

	run_script(check->script);
	CommandCounterIncrement();
	find_breaks(check);
}

static void
rehearse_and_look(void *arg)
{
	ErrorData  *error;
	char	   *wait;

	/* the script may set lock_timeout, but not wait longer */
	lock_watch_begin(setting_lock_timeout);
	error = subtransaction_catch(run_and_look, arg, false);
	lock_watch_end();
	wait = error && lock_watch_has_cancelled() ? lock_watch_message() : NULL;
	if (wait)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("%s", wait),
				 errhint("Call it again, or in a copy of the database; tandem.lock_timeout says how long it waits.")));
	if (error)
		ReThrowError(error);
}

static char *
line_of(const ShapeBreak *broken)
{
	return broken->column
		? psprintf("%s, column %s: %s", broken->relation, quote_identifier(broken->column), broken->problem)
		: psprintf("%s: %s", broken->relation, broken->problem);
}

static void
raise_breaks(const ShapeCheck *check)
{
	List	   *lines = NIL;
	ListCell   *lc;

	if (check->breaks == NIL)
		return;
	foreach(lc, check->breaks)
		lines = lappend(lines, line_of(lfirst(lc)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg(check->script ? "release %d would not work after this script"
					: "release %d does not work with this schema", check->release),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("While release %d is served, make such changes with the operations of pg_tandem, which keep its shape; if it is served no more, check another release.",
					 check->release)));
}

static void
put_break(ReturnSetInfo *result, const ShapeBreak *broken)
{
	ResultRow	row;

	result_row_begin(&row, result);
	result_row_text(&row, broken->relation);
	result_row_text(&row, broken->column);
	result_row_text(&row, broken->kind);
	result_row_text(&row, broken->problem);
	result_row_end(&row);
}

Datum
tandem_check_shape(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ShapeCheck	check = {argument_release(fcinfo, 0), argument_optional_text(fcinfo, 1), NIL,
	CurrentMemoryContext};
	bool		raises = argument_bool(fcinfo, 2, "raise");
	ErrorData  *error = NULL;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	check_is_recorded(check.release);
	if (check.script)
		error = lock_limited_try(rehearse_and_look, &check, setting_lock_timeout);
	else
		find_breaks(&check);
	if (error)
		ReThrowError(error);
	if (raises)
		raise_breaks(&check);
	foreach(lc, check.breaks)
		put_break(result, lfirst(lc));
	return (Datum) 0;
}
