/*
 * changed_default.c
 *		Another default of a column, and nothing else: no second column is needed.
 *
 * It is a statement that contract runs.  The release of the migration has the default
 * before, through its view; on the table itself both releases have the old one until
 * then.  tandem.operation notes the column, in object.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "api/changed_default.h"
#include "api/operations.h"
#include "catalog/operation.h"
#include "catalog/release_view.h"
#include "catalog/renamed_column.h"
#include "core/authority.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "rule/expression.h"

#define NO_DEFAULT	"DROP DEFAULT"

static void
refuse_column(Oid relid, Form_pg_attribute att)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
			 att->attidentity
			 ? errmsg("column \"%s\" of table \"%s\" is an identity column",
					  NameStr(att->attname), quoting_shown_name(relid))
			 : errmsg("column \"%s\" of table \"%s\" is a generated column",
					  NameStr(att->attname), quoting_shown_name(relid)),
			 errdetail("It can have no default.")));
}

/* Returns "SET DEFAULT ..." or NO_DEFAULT, palloc'd. */
static char *
read_action(Oid relid, const char *column, const char *text)
{
	Relation	rel = relation_open_present(relid, AccessShareLock);
	AttrNumber	attnum = get_attnum(relid, column);
	Form_pg_attribute att;
	Node	   *value;

	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", column,
						quoting_shown_name(relid))));
	att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	if (att->attidentity || att->attgenerated)
		refuse_column(relid, att);
	value = expression_parse_default(text, column, att->atttypid, att->atttypmod);
	relation_close(rel, NoLock);
	return IsA(value, Const) && ((Const *) value)->constisnull
		? pstrdup(NO_DEFAULT) : psprintf("SET DEFAULT %s", text);
}

static char *
head_of_statement(Oid relid, const char *column)
{
	return psprintf("ALTER TABLE %s ALTER COLUMN %s ", quoting_relation(relid),
					pstrdup(quote_identifier(column)));
}

static void
alter_view(const ReleaseView *view, const Operation *operation, const char *action,
		   const char *search_path)
{
	if (view == NULL || view->ended || get_attnum(view->view, operation->object) <= 0)
		return;
	lock_relations(list_make1_oid(view->view), AccessExclusiveLock);
	ddl_run_given(operation->relation,
				  psprintf("ALTER VIEW %s ALTER COLUMN %s %s", quoting_relation(view->view),
						   pstrdup(quote_identifier(operation->object)), action),
				  search_path);
}

/*
 * A view without a default leaves the column to the table, which still has one; and the
 * server stores no mere NULL.
 */
static void
put_on_view(const ReleaseView *view, const Operation *operation, const char *action)
{
	AttrNumber	attnum = view ? get_attnum(view->view, operation->object) : InvalidAttrNumber;
	Oid			type;
	int32		typmod;
	Oid			collation;

	if (attnum <= 0)
		return;
	get_atttypetypmodcoll(view->view, attnum, &type, &typmod, &collation);
	alter_view(view, operation, strcmp(action, NO_DEFAULT) != 0 ? action
			   : psprintf("SET DEFAULT CASE WHEN true THEN NULL::%s END",
						  format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY)),
			   operation->search_path);
}

/* What one owner has called for is not run as another one. */
static bool
is_of_default(const Operation *operation)
{
	return operation->kind == OPERATION_STATEMENT && operation->object != NULL &&
		operation->owner == authority_owner_of(operation->relation);
}

/* The action is what stands behind the column.  Returns NULL if a dump has brought another text. */
static const char *
action_of(const Operation *operation)
{
	char	   *before = psprintf(" ALTER COLUMN %s ", quote_identifier(operation->object));
	char	   *place = strstr(operation->statement, before);

	return place ? place + strlen(before) : NULL;
}

void
changed_default_add(Migration *migration, Oid relid, char *given,
					const char *column, const char *text)
{
	char	   *action = read_action(relid, column, text);
	char	   *name = renamed_column_shown(renamed_column_list(relid, migration->release),
											pstrdup(column));
	Operation	operation = {
		.kind = OPERATION_STATEMENT,
		.relation = relid,
		.given = given,
		.object = name,
		.statement = psprintf("%s%s", head_of_statement(relid, name), action),
	};

	if (repeat_operation(migration, &operation))
		return;
	add_operation(migration, &operation);
	put_on_view(release_view_find(relid, migration->release), &operation, action);
}

void
changed_default_put(int release, Oid relid)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_table(relid, release))
	{
		const Operation *operation = lfirst(lc);

		if (is_of_default(operation) && action_of(operation))
			put_on_view(release_view_find(relid, release), operation, action_of(operation));
	}
}

static char *
action_of_table(Oid relid, const char *column)
{
	TandemQuery query;
	char	   *value;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, get_attnum(relid, column));
	value = query_end_text(&query, query_run_latest(&query,
													"SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum "
													"WHERE d.adrelid = $1 AND d.adnum = $2 AND a.attgenerated = ''"));
	return value ? psprintf("SET DEFAULT %s", value) : pstrdup(NO_DEFAULT);
}

void
changed_default_end(const Migration *migration)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_STATEMENT))
	{
		const Operation *operation = lfirst(lc);

		if (is_of_default(operation))
			alter_view(release_view_find(operation->relation, migration->release), operation,
					   action_of_table(operation->relation, operation->object),
					   AUTHORITY_PINNED_PATH);
	}
}
