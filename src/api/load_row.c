/*
 * load_row.c
 *		What the extension's script and a dump cannot do in SQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

#include "catalog/migration_lock.h"
#include "catalog/registry.h"
#include "core/authority.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/sql_function.h"
#include "core/text.h"
#include "core/transaction.h"

/*-------------------------------------------------------------------------
 * What the extension's script cannot say in SQL.
 *
 * The script makes this function, calls it, and drops it again.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_script_begin);

/*
 * Who made the schema may have put anything into it, and goes on owning it: so
 * one that is there is not used.
 */
Datum
tandem_script_begin(PG_FUNCTION_ARGS)
{
	if (OidIsValid(get_namespace_oid(EXTENSION_SCHEMA, true)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", EXTENSION_SCHEMA),
				 errdetail("Extension %s creates a schema of that name, and does not use an existing one.",
						   EXTENSION_NAME),
				 errhint("See what is in it, then run ALTER SCHEMA %s RENAME TO another name, or DROP SCHEMA %s.",
						 EXTENSION_SCHEMA, EXTENSION_SCHEMA)));
	PG_RETURN_VOID();
}

/*-------------------------------------------------------------------------
 * A row of state that the owner of the database loads from a dump.
 *
 * The owner of the database may insert into the tables of state, since
 * pg_restore does, but what it may claim there is what it could have brought
 * about by calling the functions of the extension: syncs and steps of tables
 * that it owns, migrations of its own, and the releases if it may move them.
 * Nothing that it loads runs as somebody else.  It can neither change nor delete
 * a row.
 *
 * Fires for each row that is inserted; the extension's owner, as which the
 * extension's own statements run, inserts as it likes.
 *-------------------------------------------------------------------------
 */

#define HOLD_FUNCTION "tandem.hold_function"

SQL_FUNCTION(tandem_load_row);

/* A row on its way into a table. */
typedef struct LoadedRow
{
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;
} LoadedRow;

/* The column of that name; -1: the table has none, or it is NULL. */
static int
column_with_value(const LoadedRow *row, const char *column)
{
	for (int i = 0; i < row->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(row->desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), column) == 0)
			return row->nulls[i] ? -1 : i;
	}
	return -1;
}

static void
forget_loaded_value(LoadedRow *row, const char *column)
{
	int			i = column_with_value(row, column);

	if (i >= 0)
		row->nulls[i] = true;
}

/* A role that the user cannot become is replaced by the user. */
static void
replace_role_of_others(LoadedRow *row, const char *column)
{
	int			i = column_with_value(row, column);
	TupleDesc	desc;
	Oid			role;

	if (i < 0)
		return;
	role = role_reference_of_value(row->values[i]);
	if (OidIsValid(role) && has_privs_of_role(GetUserId(), role))
		return;
	desc = lookup_rowtype_tupdesc(TupleDescAttr(row->desc, i)->atttypid, -1);
	row->values[i] = role_reference_value(GetUserId(), desc);
	ReleaseTupleDesc(desc);
}

/* The same of a role that is only shown, by its name. */
static void
replace_role_name_of_others(LoadedRow *row, const char *column)
{
	int			i = column_with_value(row, column);
	Oid			role;

	if (i < 0)
		return;
	role = get_role_oid(NameStr(*DatumGetName(row->values[i])), true);
	if (OidIsValid(role) && has_privs_of_role(GetUserId(), role))
		return;
	row->values[i] = DirectFunctionCall1(namein,
										 CStringGetDatum(GetUserNameFromId(GetUserId(), false)));
}

/* Whether the server takes it; the caller tries it in a subtransaction. */
static void
try_setting(void *arg)
{
	const char **setting = arg;

	(void) set_config_option(setting[0], setting[1], PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, false, 0, false);
}

static bool
setting_may_be_configured(const char *key, const JsonbValue *value)
{
	const char *name = settings_name_for_run(key);
	const char *setting[2] = {name, NULL};

	if (name == NULL || strcmp(name, key) != 0 ||
		strcmp(name, HOLD_FUNCTION) == 0 || value->type != jbvString)
		return false;
	setting[1] = pnstrdup(value->val.string.val, value->val.string.len);
	return subtransaction_try(try_setting, setting) == NULL;
}

/*
 * What tandem.configure could have stored: names as it spells them, values that
 * they accept, and no hold function, whose rights are not known here.
 */
static Datum
settings_to_load(Datum value)
{
	Jsonb	   *settings = DatumGetJsonbP(value);
	JsonbIterator *it;
	JsonbValue	item;
	char	   *key = NULL;

	if (!JB_ROOT_IS_OBJECT(settings))
		return DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
	value = JsonbPGetDatum(settings);
	it = JsonbIteratorInit(&settings->root);
	while (jsonb_next_member(&it, &key, &item))
	{
		if (!setting_may_be_configured(key, &item))
			value = DirectFunctionCall2(jsonb_delete, value,
										CStringGetTextDatum(key));
	}
	return value;
}

/* What decides as whom, and whether by itself, the migration runs. */
static void
check_loaded_run(LoadedRow *row)
{
	int			background = column_with_value(row, "background");
	int			settings = column_with_value(row, "settings");

	forget_loaded_value(row, "run_as");
	forget_loaded_value(row, "run_in");
	forget_loaded_value(row, "hold_by");
	forget_loaded_value(row, "hold_owner");
	forget_loaded_value(row, "hold_path");
	forget_loaded_value(row, "maintenance_work_mem");
	forget_loaded_value(row, "max_parallel_maintenance_workers");
	if (background >= 0)
		row->values[background] = BoolGetDatum(false);
	if (settings >= 0)
		row->values[settings] = settings_to_load(row->values[settings]);
}

/* False: it is not there. */
static bool
check_loaded_relation(Oid relid, bool view)
{
	char	   *name = quoting_find_name(relid);
	char		kind = get_rel_relkind(relid);

	if (name == NULL)
		return false;
	if (!compat_is_table_owner(relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of relation \"%s\" to load what pg_tandem knows of it",
						name),
				 errhint("Restore as a superuser, or with --no-owner as the role that is to own the tables.")));
	if (view ? kind != RELKIND_VIEW
		: kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a %s", name, view ? "view" : "table"),
				 errhint("Load rows that pg_dump has written.")));
	return true;
}

/* Those that are there. */
static Datum
check_loaded_relation_array(Datum array)
{
	ArrayType  *given = DatumGetArrayTypeP(array);
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			left = 0;

	deconstruct_array(given, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i] &&
			check_loaded_relation(DatumGetObjectId(elements[i]), false))
			elements[left++] = elements[i];
	}
	return PointerGetDatum(construct_array(elements, left, REGCLASSOID,
										   sizeof(Oid), true, TYPALIGN_INT));
}

/*
 * Tables and views must be the user's own.  False: the one that the row is of
 * is not there, and so the row says nothing.
 */
static bool
check_loaded_relations(LoadedRow *row)
{
	for (int i = 0; i < row->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(row->desc, i);

		if (row->nulls[i])
			continue;
		if (att->atttypid == REGCLASSARRAYOID)
			row->values[i] = check_loaded_relation_array(row->values[i]);
		else if (att->atttypid == REGCLASSOID &&
				 !check_loaded_relation(DatumGetObjectId(row->values[i]),
										strcmp(NameStr(att->attname), "view") == 0))
			return false;
	}
	return true;
}

/* A list of names, as SET search_path takes it. */
static void
check_loaded_search_path(const LoadedRow *row)
{
	int			i = column_with_value(row, "search_path");
	char	   *path;
	List	   *names;

	if (i < 0)
		return;
	path = TextDatumGetCString(row->values[i]);
	if (SplitIdentifierString(pstrdup(path), ',', &names))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid search_path: \"%s\"", path),
			 errdetail("List syntax is invalid."),
			 errhint("Load rows that pg_dump has written.")));
}

typedef enum Creator
{
	CREATOR_NONE,				/* there is no such migration */
	CREATOR_OWN,
	CREATOR_OTHER
} Creator;

static Creator
creator_of_migration(int migration)
{
	Oid			user = GetUserId();
	TandemQuery query;
	Creator		creator = CREATOR_NONE;

	query_begin(&query);
	query_int(&query, migration);
	query_oid(&query, user);
	if (query_run_latest(&query,
						 "SELECT pg_has_role($2, tandem.role_of(m.created_by), 'USAGE') IS TRUE "
						 "FROM tandem.migration m WHERE m.id = $1") > 0)
		creator = query_get_bool(0, 1) ? CREATOR_OWN : CREATOR_OTHER;
	query_end(&query);
	return creator;
}

/*
 * A migration that is there already must not get a part of somebody else.  One
 * that is not there may be loaded later, by another job of pg_restore; if it is
 * created instead, it begins without what was loaded: see
 * migration_begin_empty.
 */
static void
check_loaded_migration(const LoadedRow *row)
{
	int			i = column_with_value(row, "migration");
	int			migration;
	Creator		creator;

	if (i < 0)
		return;
	migration = DatumGetInt32(row->values[i]);
	creator = creator_of_migration(migration);
	if (creator == CREATOR_NONE)
	{
		/* who is creating it is waited for */
		migration_lock_load();
		creator = creator_of_migration(migration);
	}
	if (creator == CREATOR_OTHER)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for migration %d", migration),
				 errdetail("It was created by another role."),
				 errhint("Restore into a database that has no migrations yet.")));
}

static void
check_loaded_releases(Relation rel)
{
	if (registry_may_change())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to load table tandem.%s",
					RelationGetRelationName(rel)),
			 errhint("Run GRANT EXECUTE ON FUNCTION tandem.switch_release TO %s; as a superuser, then restore again.",
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

static bool
is_own_table(Relation rel, const char *name)
{
	return strcmp(RelationGetRelationName(rel), name) == 0;
}

/* NULL: the row is of no use here. */
static HeapTuple
check_loaded_row(Relation rel, HeapTuple tuple)
{
	LoadedRow	row = {.desc = RelationGetDescr(rel)};

	row.values = palloc(sizeof(Datum) * row.desc->natts);
	row.nulls = palloc(sizeof(bool) * row.desc->natts);
	heap_deform_tuple(tuple, row.desc, row.values, row.nulls);
	if (is_own_table(rel, "registry") || is_own_table(rel, "release") ||
		is_own_table(rel, "release_state") || is_own_table(rel, "dependency") ||
		(is_own_table(rel, "migration") && column_with_value(&row, "release") >= 0))
		check_loaded_releases(rel);
	if (!check_loaded_relations(&row))
		return NULL;
	check_loaded_migration(&row);
	check_loaded_search_path(&row);
	replace_role_of_others(&row, "created_by");
	replace_role_of_others(&row, "paused_by");
	replace_role_name_of_others(&row, "done_by");
	check_loaded_run(&row);
	return heap_form_tuple(row.desc, row.values, row.nulls);
}

Datum
tandem_load_row(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	HeapTuple	tuple;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BY_INSERT(data->tg_event) ||
		!TRIGGER_FIRED_BEFORE(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
		RelationGetNamespace(data->tg_relation) != extension_schema())
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function tandem.load_row() can only be called by the triggers of the extension's tables"),
				 errhint("These triggers are created by CREATE EXTENSION pg_tandem.")));
	tuple = data->tg_trigtuple;
	/* our own statements say themselves when they change it */
	if (!query_is_running())
		registry_changed();
	if (!compat_is_table_owner(RelationGetRelid(data->tg_relation), GetUserId()))
		tuple = check_loaded_row(data->tg_relation, tuple);
	return PointerGetDatum(tuple);
}
