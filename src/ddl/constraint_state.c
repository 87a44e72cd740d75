/*
 * constraint_state.c
 *		What the catalog says of constraints and NOT NULL columns.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_constraint.h"
#include "common/string.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "core/query.h"
#include "core/quoting.h"
#include "core/server_text.h"
#include "ddl/constraint_state.h"
#include "ddl/partitions.h"

#define NOT_VALID " NOT VALID"

bool
constraint_find(Oid relid, const char *name, ConstraintState *state)
{
	Oid			oid = get_relation_constraint_oid(relid, name, true);
	HeapTuple	tuple = OidIsValid(oid)
	? SearchSysCache1(CONSTROID, ObjectIdGetDatum(oid)) : NULL;
	Form_pg_constraint form;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	state->oid = oid;
	state->type = form->contype;
	state->validated = form->convalidated;
	state->parent = form->conparentid;
	ReleaseSysCache(tuple);
	return true;
}

char *
constraint_text(Oid constraint)
{
	char	   *def = server_text_constraint(constraint);

	if (def == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("constraint with OID %u does not exist", constraint),
				 errhint("Another session has dropped it: call this again.")));
	if (pg_str_endswith(def, NOT_VALID))
		def[strlen(def) - strlen(NOT_VALID)] = '\0';
	return def;
}

BuildResult
constraint_validate_next(Oid relid, const char *name, const char *doing,
						 BuildPiece *piece)
{
	/* validating the table above at last finds its partitions valid */
	List	   *tables = lappend_oid(table_leaves(relid), relid);
	ListCell   *lc;

	foreach(lc, tables)
	{
		ConstraintState state;
		char	   *table;

		if (!constraint_find(lfirst_oid(lc), name, &state) || state.validated)
			continue;
		table = quoting_relation(lfirst_oid(lc));
		piece->statement = psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s",
									table, quote_identifier(name));
		piece->doing = psprintf("%s on %s", doing, table);
		piece->relation = lfirst_oid(lc);
		piece->cleanup = NULL;
		return BUILD_STATEMENT;
	}
	return BUILD_DONE;
}

char *
not_null_constraint(Oid relid, const char *column, bool *validated)
{
	TandemQuery query;
	char	   *name = NULL;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, get_attnum(relid, column));
	if (query_run(&query,
				  "SELECT conname, convalidated FROM pg_constraint "
				  "WHERE contype = 'n' AND conrelid = $1 AND conkey = ARRAY[$2::int2]") > 0)
	{
		name = query_get_text(0, 1);
		*validated = query_get_bool(0, 2);
	}
	query_end(&query);
	return name;
}

/* False also where there is no such column. */
static bool
column_flags(Oid relid, const char *column, bool *not_null, bool *identity)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, column);

	if (!HeapTupleIsValid(tuple))
		return false;
	*not_null = ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;
	*identity = ((Form_pg_attribute) GETSTRUCT(tuple))->attidentity != '\0';
	ReleaseSysCache(tuple);
	return true;
}

bool
column_is_not_null(Oid relid, const char *column)
{
	bool		not_null;
	bool		identity;
	bool		validated = true;

	if (!column_flags(relid, column, &not_null, &identity) || !not_null)
		return false;
	/* a NOT VALID one marks the column, too */
	if (compat_not_null_is_constraint())
		(void) not_null_constraint(relid, column, &validated);
	return validated;
}

bool
column_must_not_be_null(Oid relid, const char *column)
{
	bool		not_null;
	bool		identity;
	Relation	rel;
	Bitmapset  *keys;
	bool		member;

	if (!column_flags(relid, column, &not_null, &identity))
		return false;
	rel = table_open(relid, AccessShareLock);
	keys = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	member = bms_is_member(get_attnum(relid, column) -
						   FirstLowInvalidHeapAttributeNumber, keys);
	table_close(rel, AccessShareLock);
	return identity || member;
}

Oid
primary_key_table(Oid relid)
{
	ListCell   *lc;

	foreach(lc, table_tree(relid))
	{
		Oid			constraint;

		if (get_primary_key_attnos(lfirst_oid(lc), true, &constraint))
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

bool
constraint_is_made(Oid relid, const Step *step)
{
	if (list_member_oid(step->changed_tables, relid))
		return true;
	if (step->kind == STEP_NOT_NULL)
		ereport(NOTICE,
				(errmsg("column %s of table %s stays NOT NULL: the migration has not set it",
						quote_identifier(step->object), quoting_relation(relid))));
	else
		ereport(NOTICE,
				(errmsg("constraint %s of table %s stays: the migration has not added it",
						quote_identifier(step->object), quoting_relation(relid))));
	return false;
}
