/*
 * tombstone.c
 *		What a release leaves of its views when it ends: views that only
 *		raise an error.
 *
 * The view reads no table, but a base: a view of nulls, beside it.  Its WHERE
 * calls a function that raises the error, for SELECT, UPDATE and DELETE; as a
 * CHECK OPTION it does so for INSERT.  The function is immutable, so that the
 * planner calls it, before it looks at what the statement asks for: of WHERE
 * id = 1 it would know, as the view's id is null, that no row fulfills it, and
 * the executor would call nothing; and of ON CONFLICT (id) it would find no
 * index.  The server takes a CHECK OPTION only of a view that it can write
 * through by itself, hence the base.
 *
 * The view is replaced with the lock that contract has: who waits for that lock,
 * and who has prepared a statement, finds the new one.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_trigger.h"
#include "commands/defrem.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/registry.h"
#include "catalog/release_view.h"
#include "core/error.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "core/text.h"
#include "views/tombstone.h"
#include "views/view_default.h"
#include "views/view_definition.h"

SQL_FUNCTION(tandem_retired);
SQL_FUNCTION(tandem_retired_write);

/* It fires before those of users, which might be content. */
#define ENDED_TRIGGER "!tandem_ended"
#define ENDED_TRIGGER_NAME "\"" ENDED_TRIGGER "\""

/*
 * Of a release that was contracted away, says the same as the fence does, which
 * the session may not have loaded.  Any other tombstone is what abort has left:
 * of a release that nobody knows any more, or of one that goes on, with another
 * migration or begun again.
 */
static void
raise_release_ended(int release)
{
	Registry	registry;

	registry_read(&registry);
	switch (registry_state_of(&registry, release))
	{
		case RELEASE_RETIRED:
			ereport(ERROR,
					(errcode(ERRCODE_RELEASE_NOT_SERVED),
					 errmsg("release %d is no longer served", release),
					 errdetail("The database serves release %d and later.",
							   registry.lowest),
					 errhint("Start a node of release %d or later instead.",
							 registry.lowest)));
			break;
		case RELEASE_UNKNOWN:
			ereport(ERROR,
					(errcode(ERRCODE_RELEASE_NOT_SERVED),
					 errmsg("release %d is not served: its migration was aborted",
							release),
					 errdetail("This is what is left of its view."),
					 registry.highest > 0
					 ? errhint("Start a node of release %d or earlier instead; or run the script of release %d again, and SELECT tandem.create_views(%d);",
							   registry.highest, release, release)
					 : errhint("To begin it again, run the script of release %d, and SELECT tandem.create_views(%d);",
							   release, release)));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_RELEASE_NOT_SERVED),
					 errmsg("this view of release %d has ended: a migration of the release was aborted",
							release),
					 errdetail("The view stays as it is until it is made again."),
					 errhint("If the release has begun again, or goes on without that migration, run SELECT tandem.create_views(%d);",
							 release)));
	}
}

Datum
tandem_retired(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"release\" must not be null"),
				 errhint("The views of a release that has ended call this function with its number.")));
	raise_release_ended(PG_GETARG_INT32(0));
	PG_RETURN_BOOL(false);
}

Datum
tandem_retired_write(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || data->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.retired() can only be called by the triggers of views whose release has ended"),
				 errhint("These triggers are created by contract and abort.")));
	raise_release_ended(pg_strtoint32(data->tg_trigger->tgargs[0]));
	PG_RETURN_NULL();
}

static char *
columns_of_nulls(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < desc->natts; i++)
		appendStringInfo(&columns, "%s %s AS %s", i > 0 ? "," : "",
						 view_null_of_column(TupleDescAttr(desc, i)),
						 quote_identifier(NameStr(TupleDescAttr(desc, i)->attname)));
	return columns.data;
}

static char *
columns_by_name(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < desc->natts; i++)
		appendStringInfo(&columns, "%s %s", i > 0 ? "," : "",
						 quote_identifier(NameStr(TupleDescAttr(desc, i)->attname)));
	return columns.data;
}

static bool
has_instead_of_trigger(Oid view)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, view);
	query_int(&query, TRIGGER_TYPE_INSTEAD);
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM pg_trigger WHERE tgrelid = $1 AND tgtype & $2 <> 0 LIMIT 1"));
}

void
tombstone_check(const ReleaseView *view)
{
	TandemQuery query;
	char	   *kind = NULL;
	char	   *name = NULL;

	query_begin(&query);
	query_oid(&query, view->view);
	if (query_run(&query,
				  "SELECT kind, name FROM tandem._view_overrides($1) ORDER BY kind, name") > 0)
	{
		kind = query_get_text(0, 1);
		name = query_get_text(0, 2);
	}
	query_end(&query);
	if (name == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("view %s of release %d would not fail when the release has ended",
					quoting_relation(view->view), view->release),
			 errdetail("%s %s would do its work in place of the error.", kind,
					   quote_identifier(name)),
			 errhint("Run DROP %s %s ON %s; then call it again.", kind,
					 quote_identifier(name), quoting_relation(view->view))));
}

static void
make_trigger(const ReleaseView *view, const char *name)
{
	ddl_run_stored(view->view,
				   psprintf("CREATE TRIGGER " ENDED_TRIGGER_NAME " INSTEAD OF INSERT OR UPDATE OR DELETE ON %s "
							"FOR EACH ROW EXECUTE FUNCTION tandem.retired('%d')",
							name, view->release));
}

/* Returns the name of the base of the view, a view of these columns. */
static char *
make_base(const ReleaseView *view, const char *columns)
{
	char	   *relname = ChooseRelationName(quoting_raw_name(view->view), NULL,
											 "tandem_ended", view->schema, false);
	char	   *name = quote_qualified_identifier(quoting_raw_schema(view->schema),
												  relname);
	ReleaseView base = {.schema = view->schema,
		.release = view->release,
		.definition = psprintf("SELECT%s WHERE tandem.retired(%d)", columns, view->release),
		.columns = view->columns,
	.ended = true};

	ddl_run_stored(view->view,
				   psprintf("CREATE VIEW %s AS %s", name, base.definition));
	make_trigger(view, name);
	base.view = get_relname_relid(relname, view->schema);
	/* like what is left of a view whose table was dropped */
	base.relation = base.view;
	release_view_note(&base);
	return name;
}

/*
 * With a trigger of a user that fires instead of an INSERT, the server evaluates
 * no CHECK OPTION, and without columns it takes none: such a view gets a trigger
 * that fires first.  Neither view is for security_invoker: who may use the view
 * has no right on its base.
 */
void
tombstone_make(const ReleaseView *view)
{
	Relation	rel = relation_open_present(view->view, AccessShareLock);
	bool		by_trigger = has_instead_of_trigger(view->view) ||
	RelationGetNumberOfAttributes(rel) == 0;
	char	   *nulls = columns_of_nulls(rel);
	char	   *names = columns_by_name(rel);
	ReleaseView ended = *view;
	char	   *name = quoting_relation(view->view);

	relation_close(rel, NoLock);
	tombstone_check(view);
	ended.definition = psprintf("SELECT%s%s WHERE tandem.retired(%d)",
								by_trigger ? nulls : names,
								by_trigger ? "" : psprintf(" FROM %s", make_base(view, nulls)),
								view->release);
	ended.ended = true;
	ended.own_defaults = NIL;
	view_defaults_remove(view->view);
	ddl_run_stored(view->view,
				   psprintf("CREATE OR REPLACE VIEW %s AS %s%s", name, ended.definition,
							by_trigger ? "" : " WITH LOCAL CHECK OPTION"));
	if (by_trigger)
		make_trigger(view, name);
	release_view_note(&ended);
}

void
tombstone_open(const ReleaseView *view)
{
	if (OidIsValid(get_trigger_oid(view->view, ENDED_TRIGGER, true)))
		ddl_run_stored(view->view,
					   psprintf("DROP TRIGGER " ENDED_TRIGGER_NAME " ON %s",
								quoting_relation(view->view)));
}
