/*
 * server_text.c
 *		What the server writes as SQL of the objects in its catalogs.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "core/authority.h"
#include "core/server_text.h"
#include "core/snapshot.h"

/* NULL where there is no such constraint any more. */
static char *
constraint_definition(Oid constraint)
{
	LOCAL_FCINFO(call, 1);
	Datum		value;

	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = ObjectIdGetDatum(constraint);
	call->args[0].isnull = false;
	value = pg_get_constraintdef(call);
	return call->isnull ? NULL : TextDatumGetCString(value);
}

char *
server_text_constraint(Oid constraint)
{
	bool		entered = snapshot_enter();
	AuthorityScope scope;
	char	   *text;

	authority_pin_search_path(&scope);
	authority_pin_catalog_forms();
	text = constraint_definition(constraint);

	authority_leave(&scope);
	snapshot_leave(entered);
	return text;
}

char *
server_text_index(Oid index)
{
	bool		entered = snapshot_enter();
	AuthorityScope scope;
	char	   *text = NULL;

	authority_pin_search_path(&scope);
	authority_pin_catalog_forms();
	if (SearchSysCacheExists1(INDEXRELID, ObjectIdGetDatum(index)))
		text = pg_get_indexdef_string(index);

	authority_leave(&scope);
	snapshot_leave(entered);
	return text;
}

char *
server_text_expression(Node *expression, Oid relid, const char *alias)
{
	bool		entered = snapshot_enter();
	AuthorityScope scope;
	char	   *text;

	authority_pin_search_path(&scope);
	authority_pin_text_forms();
	text = deparse_expression(expression, deparse_context_for(alias, relid),
							  false, false);

	authority_leave(&scope);
	snapshot_leave(entered);
	return text;
}
