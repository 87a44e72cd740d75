/*
 * view_schema.c
 *		Manages the schemas that contain the views of releases.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/release_view.h"
#include "core/authority.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/settings.h"
#include "core/statement.h"
#include "core/text.h"
#include "core/transaction.h"
#include "views/view_schema.h"

/*-------------------------------------------------------------------------
 * Choosing the schema of views for the tables of a schema.
 *-------------------------------------------------------------------------
 */

/* Does it contain, or is it chosen for, views of another schema's tables? */
static bool
schema_name_is_taken(List *schemas, const char *name, Oid tables_in)
{
	ListCell   *lc;

	foreach(lc, schemas)
	{
		ViewSchema *schema = lfirst(lc);

		if (schema->tables_in != tables_in && strcmp(schema->name, name) == 0)
			return true;
	}
	return false;
}

/* Returns those that the current user may have created, or can use. */
static List *
schemas_of_caller(void)
{
	List	   *mine = NIL;
	ListCell   *lc;

	foreach(lc, release_view_schemas())
	{
		if (authority_is_granted(((ViewSchema *) lfirst(lc))->owner))
			mine = lappend(mine, lfirst(lc));
	}
	return mine;
}

/*
 * Returns the schema of tables whose views are in release_<n>, for any
 * release.
 */
static Oid
schema_with_plain_name(List *schemas)
{
	ListCell   *lc;

	foreach(lc, schemas)
	{
		ViewSchema *schema = lfirst(lc);

		if (strcmp(schema->name, release_view_schema(schema->release)) == 0)
			return schema->tables_in;
	}
	return InvalidOid;
}

/* Chooses one if there is none yet. */
static Oid
first_schema_of_tables(List *relids)
{
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (get_rel_namespace(lfirst_oid(lc)) == PG_PUBLIC_NAMESPACE)
			return PG_PUBLIC_NAMESPACE;
	}
	return get_rel_namespace(linitial_oid(relids));
}

/* Returns the schema that already has views of a schema's tables, or NULL. */
static char *
schema_name_in_use(List *schemas, int release, Oid tables_in)
{
	ListCell   *lc;

	foreach(lc, schemas)
	{
		ViewSchema *schema = lfirst(lc);

		if (schema->release == release && schema->tables_in == tables_in)
			return schema->name;
	}
	return NULL;
}

/*
 * Returns "<schema>__release_<n>", truncated like the server's generated
 * names.  If it is then the same as another one, a number is added.
 */
static char *
prefixed_schema_name(List *schemas, int release, Oid tables_in)
{
	List	   *all = list_concat(release_view_schemas(), schemas);
	char	   *label = psprintf("_%s", release_view_schema(release));
	char	   *name = makeObjectName(quoting_raw_schema(tables_in), NULL, label);

	for (int i = 1; schema_name_is_taken(all, name, tables_in); i++)
		name = makeObjectName(quoting_raw_schema(tables_in), psprintf("%d", i),
							  label);
	return name;
}

static char *
new_schema_name(List *schemas, int release, Oid tables_in, Oid plain)
{
	char	   *name = release_view_schema(release);

	if (tables_in == plain && !schema_name_is_taken(schemas, name, tables_in))
		return name;
	return prefixed_schema_name(schemas, release, tables_in);
}

List *
view_schema_choose(int release, List *relids)
{
	/* schemas of other roles must not decide; such a name is refused later */
	List	   *schemas = schemas_of_caller();
	List	   *names = NIL;
	Oid			plain = schema_with_plain_name(schemas);
	ListCell   *lc;

	if (!OidIsValid(plain))
		plain = first_schema_of_tables(relids);
	foreach(lc, relids)
	{
		Oid			tables_in = get_rel_namespace(lfirst_oid(lc));
		ReleaseView *view = release_view_find(lfirst_oid(lc), release);
		char	   *name = view ? quoting_find_schema(view->schema)
		: schema_name_in_use(schemas, release, tables_in);

		if (name == NULL)
		{
			ViewSchema *schema = palloc(sizeof(ViewSchema));

			name = new_schema_name(schemas, release, tables_in, plain);
			*schema = (ViewSchema)
			{
				name, GetUserId(), release, tables_in
			};
			schemas = lappend(schemas, schema);
		}
		names = lappend(names, name);
	}
	return names;
}

/*-------------------------------------------------------------------------
 * The schemas that contain the views of releases.
 *-------------------------------------------------------------------------
 */

/* A CREATE privilege that must be revoked. */
typedef struct SchemaGrant
{
	Oid			schema;
	Oid			role;
	List	   *found;			/* what objects_of_others has found before */
} SchemaGrant;

static Oid
schema_owner(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema with OID %u does not exist", schema)));
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

static char *
quoted_schema_name(Oid schema)
{
	return pstrdup(quote_identifier(quoting_raw_schema(schema)));
}

static char *
quoted_role_name(Oid role)
{
	return pstrdup(quote_identifier(GetUserNameFromId(role, false)));
}

static void
create_view_schema(const char *name)
{
	if (!DatumGetBool(DirectFunctionCall2(has_database_privilege_id,
										  ObjectIdGetDatum(MyDatabaseId),
										  CStringGetTextDatum("CREATE"))))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create schema \"%s\"", name),
				 errhint("Run GRANT CREATE ON DATABASE %s TO %s; or have its owner CREATE SCHEMA %s AUTHORIZATION %s.",
						 quote_identifier(get_database_name(MyDatabaseId)),
						 quoted_role_name(GetUserId()), quote_identifier(name),
						 quoted_role_name(GetUserId()))));
	ddl_run(psprintf("CREATE SCHEMA %s", quote_identifier(name)));
}

/*
 * The owner of a schema may put anything into it.  So an existing schema must
 * be the caller's: another role may have created it in expectation of a
 * release.  For a superuser this is checked all the same.
 */
static void
check_schema_owner(const char *name, Oid schema)
{
	Oid			owner = schema_owner(schema);

	if (authority_is_granted(owner) && has_privs_of_role(GetUserId(), owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("schema \"%s\" belongs to role \"%s\"", name,
					GetUserNameFromId(owner, false)),
			 errdetail("Its owner may put other objects in place of the views.%s",
					   superuser() ? " A superuser must have been granted that role, too." : ""),
			 errhint("Have the schema renamed or dropped; or, if that role is to have the views, SET ROLE %s and call this again.",
					 quoted_role_name(owner))));
}

/* Roles with the rights of the owner may create objects in any case. */
static void
check_only_owner_creates(const char *name, Oid schema)
{
	TandemQuery query;
	List	   *grantees;
	char	   *roles;

	query_begin(&query);
	query_oid(&query, schema);
	grantees = query_texts(&query,
						   "SELECT role FROM tandem._schema_creators WHERE schema = $1 ORDER BY role");
	query_end(&query);
	if (grantees == NIL)
		return;
	roles = text_joined(grantees, "", ", ");
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("other roles than its owner may create objects in schema \"%s\"",
					name),
			 errdetail("CREATE is granted to %s.", roles),
			 errhint("Run REVOKE CREATE ON SCHEMA %s FROM %s; then call this again.",
					 quote_identifier(name), roles)));
}

/*
 * Returns the objects in a schema that are not our views and whose owner lacks
 * the rights of the schema's owner, as "<catalog>/<OID> <description>".
 */
static List *
objects_of_others(Oid schema)
{
	TandemQuery query;
	List	   *objects;

	query_begin(&query);
	query_oid(&query, schema);
	objects = query_texts(&query,
						  "SELECT format('%s/%s %s', class, object, description) "
						  "FROM tandem._schema_objects_of_others WHERE schema = $1 ORDER BY class, object");
	query_end(&query);
	return objects;
}

static const char *
object_description(const char *object)
{
	return strchr(object, ' ') + 1;
}

static void
check_holds_nothing_of_others(const char *name, Oid schema)
{
	List	   *objects = objects_of_others(schema);

	if (objects != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("schema \"%s\" holds objects of other roles than its owner",
						name),
				 errdetail("One of them: %s.", object_description(linitial(objects))),
				 errhint("Drop them or move them to another schema, then call this again.")));
}

void
view_schema_ensure(const char *name)
{
	Oid			schema = get_namespace_oid(name, true);

	if (OidIsValid(schema))
		check_schema_owner(name, schema);
	else
	{
		create_view_schema(name);
		schema = get_namespace_oid(name, false);
	}
	/* even for a new one: its owner may have set default privileges */
	check_only_owner_creates(name, schema);
	check_holds_nothing_of_others(name, schema);
}

void
view_schema_run(Oid schema, const char *sql)
{
	AuthorityScope scope;

	authority_enter_role(&scope, schema_owner(schema), NULL);
	authority_pin_lock_timeout();
	ddl_run(sql);
	authority_leave(&scope);
}

typedef struct RightsChange
{
	Oid			schema;
	const char *sql;
} RightsChange;

static void
change_schema_rights(void *arg)
{
	RightsChange *change = arg;

	view_schema_run(change->schema, change->sql);
}

void
view_schema_change_rights(Oid schema, const char *sql)
{
	RightsChange change = {schema, sql};

	for (bool again = false;; again = true)
	{
		ErrorData  *error = subtransaction_try(change_schema_rights, &change);

		if (error == NULL)
			return;
		if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("the privileges of schema \"%s\" are being changed by another session",
							quoting_shown_schema(schema)),
					 errhint("Let that session commit, then call this again.")));

		/*
		 * "tuple concurrently updated"; the other session has committed
		 * meanwhile
		 */
		if (again || error->sqlerrcode != ERRCODE_INTERNAL_ERROR)
			ReThrowError(error);
	}
}

static void
missing_schema_rights(Oid schema, Oid role, bool *usage, bool *create)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, role);
	query_oid(&query, schema);
	(void) query_run(&query,
					 "SELECT NOT has_schema_privilege($1, $2, 'USAGE'), NOT has_schema_privilege($1, $2, 'CREATE')");
	*usage = query_get_bool(0, 1);
	*create = query_get_bool(0, 2);
	query_end(&query);
}

void
view_schema_grant(List **grants, Oid schema, Oid role, bool create)
{
	bool		no_usage;
	bool		no_create;
	SchemaGrant *grant;

	missing_schema_rights(schema, role, &no_usage, &no_create);
	/* this one stays, since the views cannot be used without it */
	if (no_usage)
		view_schema_change_rights(schema, psprintf("GRANT USAGE ON SCHEMA %s TO %s",
												   quoted_schema_name(schema), quoted_role_name(role)));
	if (!create || !no_create)
		return;
	grant = palloc(sizeof(SchemaGrant));
	*grant = (SchemaGrant)
	{
		schema, role, objects_of_others(schema)
	};
	view_schema_change_rights(schema, psprintf("GRANT CREATE ON SCHEMA %s TO %s",
											   quoted_schema_name(schema), quoted_role_name(role)));
	*grants = lappend(*grants, grant);
}

static bool
object_was_found(const char *object, List *found)
{
	size_t		length = object_description(object) - object;
	ListCell   *lc;

	foreach(lc, found)
	{
		if (strncmp(object, lfirst(lc), length) == 0)
			return true;
	}
	return false;
}

/*
 * Expressions stored by the role were run with the privilege, and may have
 * used it.
 */
static void
check_grant_not_abused(const SchemaGrant *grant)
{
	ListCell   *lc;

	foreach(lc, objects_of_others(grant->schema))
	{
		if (!object_was_found(lfirst(lc), grant->found))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for schema %s",
							quoting_shown_schema(grant->schema)),
					 errdetail("An expression of a table of role \"%s\" has created %s.",
							   GetUserNameFromId(grant->role, false),
							   object_description(lfirst(lc))),
					 errhint("Leave out the tables of that role by naming the others: relations => '{...}'.")));
	}
}

void
view_schema_revoke(List *grants)
{
	ListCell   *lc;

	foreach(lc, grants)
	{
		SchemaGrant *grant = lfirst(lc);

		view_schema_change_rights(grant->schema,
								  psprintf("REVOKE CREATE ON SCHEMA %s FROM %s",
										   quoted_schema_name(grant->schema),
										   quoted_role_name(grant->role)));
		check_grant_not_abused(grant);
	}
}

static bool
schema_is_unused(Oid schema)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, schema);
	return query_end_found(&query, query_run(&query,
											 "SELECT FROM tandem._unused_schemas WHERE schema = $1"));
}

void
view_schema_drop_unused(Oid schema)
{
	LOCKTAG		tag;

	if (!schema_is_unused(schema))
		return;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, NamespaceRelationId, schema, 0);
	/* a session about to create an object in the schema has it locked */
	if (lock_wait(&tag, AccessExclusiveLock, setting_lock_timeout) &&
		schema_is_unused(schema))
		view_schema_run(schema, psprintf("DROP SCHEMA %s RESTRICT",
										 quoted_schema_name(schema)));
}
