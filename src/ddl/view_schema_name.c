/*
 * view_schema_name.c
 *		Which schema of views the tables of a schema have.
 */
#include "postgres.h"

#include "catalog/pg_namespace.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "catalog/release_view.h"
#include "core/authority.h"
#include "core/quoting.h"
#include "ddl/view_schema_name.h"

/* Views of another schema's tables are in it, or are about to be. */
static bool
is_taken(List *schemas, const char *name, Oid tables_in)
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

/* Those that the current user may have made, or use. */
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

/* The schema of tables whose views are in release_<n>, of any release. */
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

/* The same where there is none yet. */
static Oid
first_schema(List *relids)
{
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (get_rel_namespace(lfirst_oid(lc)) == PG_PUBLIC_NAMESPACE)
			return PG_PUBLIC_NAMESPACE;
	}
	return get_rel_namespace(linitial_oid(relids));
}

/* The name that views of the tables of a schema are in already, or NULL. */
static char *
name_in_use(List *schemas, int release, Oid tables_in)
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
 * "<schema>__release_<n>", cut as the server cuts the names that it makes; where
 * the cut makes it another's, with a number.
 */
static char *
prefixed_name(List *schemas, int release, Oid tables_in)
{
	List	   *all = list_concat(release_view_schemas(), schemas);
	char	   *label = psprintf("_%s", release_view_schema(release));
	char	   *name = makeObjectName(quoting_raw_schema(tables_in), NULL, label);

	for (int i = 1; is_taken(all, name, tables_in); i++)
		name = makeObjectName(quoting_raw_schema(tables_in), psprintf("%d", i),
							  label);
	return name;
}

static char *
new_name(List *schemas, int release, Oid tables_in, Oid plain)
{
	char	   *name = release_view_schema(release);

	if (tables_in == plain && !is_taken(schemas, name, tables_in))
		return name;
	return prefixed_name(schemas, release, tables_in);
}

List *
view_schema_choose(int release, List *relids)
{
	/* what strangers have made must not decide: such a name is refused later */
	List	   *schemas = schemas_of_caller();
	List	   *names = NIL;
	Oid			plain = schema_with_plain_name(schemas);
	ListCell   *lc;

	if (!OidIsValid(plain))
		plain = first_schema(relids);
	foreach(lc, relids)
	{
		Oid			tables_in = get_rel_namespace(lfirst_oid(lc));
		ReleaseView *view = release_view_find(lfirst_oid(lc), release);
		char	   *name = view ? quoting_find_schema(view->schema)
		: name_in_use(schemas, release, tables_in);

		if (name == NULL)
		{
			ViewSchema *schema = palloc(sizeof(ViewSchema));

			name = new_name(schemas, release, tables_in, plain);
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
