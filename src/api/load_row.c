/*
 * load_row.c
 *		What the extension's script and a dump need and cannot do in SQL.
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
 * What the extension's script cannot do in SQL.
 *
 * The script creates this function, calls it and drops it.
 *-------------------------------------------------------------------------
 */

SQL_FUNCTION(tandem_script_begin);

/*
 * The owner of an existing schema could have put anything into it and would go
 * on owning it.  So the schema must not exist.
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
 * Rows that the database owner loads into the extension's tables from a dump.
 *
 * The database owner may insert into these tables, since pg_restore does.  But
 * the rows may claim only what that role could have achieved with the
 * extension's functions: syncs and steps of tables that it owns, migrations of
 * its own, and releases if it may switch them.  Nothing loaded is run as
 * another role, and no row can be changed or deleted.
 *
 * The trigger fires for each inserted row.  It lets the extension's owner, as
 * whom the extension's own statements run, insert any row.
 *-------------------------------------------------------------------------
 */

#define HOLD_FUNCTION "tandem.hold_function"

SQL_FUNCTION(tandem_load_row);

/* A row to be inserted. */
typedef struct LoadedRow
{
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;
} LoadedRow;

/* Returns the index of the column, or -1 if it does not exist. */
static int
column_index(const LoadedRow *row, const char *column)
{
	for (int i = 0; i < row->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(row->desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), column) == 0)
			return i;
	}
	return -1;
}

/* The same, or -1 if it is NULL. */
static int
column_with_value(const LoadedRow *row, const char *column)
{
	int			i = column_index(row, column);

	return i >= 0 && row->nulls[i] ? -1 : i;
}

static void
forget_loaded_value(LoadedRow *row, const char *column)
{
	int			i = column_with_value(row, column);

	if (i >= 0)
		row->nulls[i] = true;
}

/* Replaces a role that the user cannot become by the user. */
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

/* The same for a role that is only displayed, given by name. */
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

/* Checks that the server accepts the setting; called in a subtransaction. */
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
 * Keeps what tandem.configure could have stored: its spelling of names, valid
 * values, and no hold function, since the role that configured it is not known
 * here.
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

/*
 * Checks the columns that decide as whom the migration runs, and whether by
 * itself.
 */
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

/* Returns false if it does not exist. */
static bool
check_loaded_relation(Oid relid, char wanted)
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
	if (kind != wanted && !(wanted == RELKIND_RELATION && kind == RELKIND_PARTITIONED_TABLE))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a %s", name,
						wanted == RELKIND_VIEW ? "view" : wanted == RELKIND_SEQUENCE ? "sequence" : "table"),
				 errhint("Load rows that pg_dump has written.")));
	return true;
}

/* Returns the elements that exist. */
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
			check_loaded_relation(DatumGetObjectId(elements[i]), RELKIND_RELATION))
			elements[left++] = elements[i];
	}
	return PointerGetDatum(construct_array(elements, left, REGCLASSOID,
										   sizeof(Oid), true, TYPALIGN_INT));
}

/* Of a view, and of what is left of one that has no table, which names itself. */
static bool
names_view(const LoadedRow *row, int i)
{
	int			view = column_with_value(row, "view");

	return view >= 0 && DatumGetObjectId(row->values[view]) == DatumGetObjectId(row->values[i]);
}

/* The type that a sequence had before migrate, see tandem.operation. */
static bool
is_of_sequence(const LoadedRow *row)
{
	int			kind = column_with_value(row, "kind");

	return kind >= 0 && strcmp(TextDatumGetCString(row->values[kind]), "sequence") == 0;
}

/*
 * Tables and views must be owned by the user.  Returns false if the relation
 * of the row does not exist, so that the row is of no use.
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
										names_view(row, i) ? RELKIND_VIEW
										: is_of_sequence(row) ? RELKIND_SEQUENCE : RELKIND_RELATION))
			return false;
	}
	return true;
}

/* Checks that it is a list of names, as SET search_path takes it. */
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
 * An existing migration must not get parts from another role.  One that does
 * not exist may be loaded later, by another job of pg_restore.  If it is
 * created instead, it starts without what was loaded: see
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
		/* wait for a session that is creating it */
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
			 errhint("Run GRANT EXECUTE ON FUNCTION tandem.switch_release TO %s; as the owner of the extension or a superuser, then restore again.",
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

static bool
is_own_table(Relation rel, const char *name)
{
	return strcmp(RelationGetRelationName(rel), name) == 0;
}

static void
begin_loaded_row(LoadedRow *row, Relation rel, HeapTuple tuple)
{
	row->desc = RelationGetDescr(rel);
	row->values = palloc(sizeof(Datum) * row->desc->natts);
	row->nulls = palloc(sizeof(bool) * row->desc->natts);
	heap_deform_tuple(tuple, row->desc, row->values, row->nulls);
}

/*
 * Whoever contracts drops the publication that is recorded, and it may be that of
 * somebody else: nothing here tells whose it was.
 */
static void
skip_loaded_publication(const LoadedRow *row)
{
	int			i = column_with_value(row, "release");

	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("the record of a publication of release %d is not loaded",
					i < 0 ? 0 : DatumGetInt32(row->values[i])),
			 errdetail("Only a superuser may restore it."),
			 errhint("Drop the publication, and make it again with tandem.create_publication.")));
}

/* Returns NULL if the row is to be skipped. */
static HeapTuple
check_loaded_row(Relation rel, HeapTuple tuple)
{
	LoadedRow	row;

	begin_loaded_row(&row, rel, tuple);
	if (is_own_table(rel, "registry") || is_own_table(rel, "release") ||
		is_own_table(rel, "release_state") || is_own_table(rel, "dependency") ||
		(is_own_table(rel, "migration") && column_with_value(&row, "release") >= 0))
		check_loaded_releases(rel);
	if (is_own_table(rel, "publication"))
	{
		skip_loaded_publication(&row);
		return NULL;
	}
	if (!check_loaded_relations(&row))
		return NULL;
	check_loaded_migration(&row);
	check_loaded_search_path(&row);
	replace_role_of_others(&row, "created_by");
	replace_role_of_others(&row, "paused_by");
	replace_role_of_others(&row, "owner");
	replace_role_name_of_others(&row, "done_by");
	check_loaded_run(&row);
	return heap_form_tuple(row.desc, row.values, row.nulls);
}

/*
 * A restored column has another number where columns before it had been dropped.
 * It has the name that it had last, and this row knows it.
 */
static void
find_loaded_column(LoadedRow *row)
{
	int			relation = column_with_value(row, "relation");
	int			name = column_with_value(row, "renamed");
	int			found = column_index(row, "number");
	AttrNumber	number = InvalidAttrNumber;

	if (name < 0)
		name = column_with_value(row, "column_name");
	if (relation >= 0 && name >= 0)
		number = get_attnum(DatumGetObjectId(row->values[relation]),
							NameStr(*DatumGetName(row->values[name])));
	row->values[found] = Int32GetDatum(number);
	row->nulls[found] = false;
}

/* The table has no CHECKs of its own, so that its UPDATEs need not read them. */
static void
check_loaded_step(Relation rel, HeapTuple tuple)
{
	TandemQuery query;

	query_begin(&query);
	query_datum(&query, rel->rd_rel->reltype,
				heap_copy_tuple_as_datum(tuple, RelationGetDescr(rel)), false);
	if (query_run_latest(&query, "SELECT WHERE NOT tandem._step_is_right($1)") > 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("new row for relation \"%s\" is none that pg_dump has written",
						RelationGetRelationName(rel)),
				 errhint("Load rows that pg_dump has written.")));
	query_end(&query);
}

/* The same, whoever loads it. */
static HeapTuple
adjust_loaded_row(Relation rel, HeapTuple tuple)
{
	LoadedRow	row;
	bool		publication = is_own_table(rel, "publication");
	bool		change = is_own_table(rel, "after_switch");

	if (!(publication || change || is_own_table(rel, "owned_column")) || query_is_running())
		return tuple;
	begin_loaded_row(&row, rel, tuple);
	if (publication)			/* it will have another OID */
		row.nulls[column_index(&row, "home")] = true;
	else if (change)			/* nobody has looked at the rows here */
		row.nulls[column_index(&row, "passed")] = true;
	else
		find_loaded_column(&row);
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
	/* our own statements announce the change themselves */
	if (!query_is_running())
		registry_changed();
	if (!compat_is_table_owner(RelationGetRelid(data->tg_relation), GetUserId()))
		tuple = check_loaded_row(data->tg_relation, tuple);
	if (tuple)
		tuple = adjust_loaded_row(data->tg_relation, tuple);
	if (tuple && is_own_table(data->tg_relation, "step") && !query_is_running())
		check_loaded_step(data->tg_relation, tuple);
	return PointerGetDatum(tuple);
}
