/*
 * constraint_build.c
 *		Builds CHECK and FOREIGN KEY constraints, piece by piece.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "common/string.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/constraint_build.h"
#include "ddl/constraint_definition.h"
#include "ddl/key.h"
#include "rule/recorded_calls.h"

/*-------------------------------------------------------------------------
 * Looking up constraints and NOT NULL columns in the catalogs.
 *-------------------------------------------------------------------------
 */

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

Node *
catalog_expression(int cache, Oid object, AttrNumber attribute)
{
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(object));
	Node	   *expression = NULL;
	Datum		stored;
	bool		none = true;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	stored = SysCacheGetAttr(cache, tuple, attribute, &none);
	if (!none)
		expression = stringToNode(TextDatumGetCString(stored));
	ReleaseSysCache(tuple);
	return expression;
}

Node *
constraint_expression(Oid constraint)
{
	return catalog_expression(CONSTROID, constraint,
							  Anum_pg_constraint_conbin);
}

char *
constraint_calls(Oid constraint)
{
	return recorded_calls_text(constraint_expression(constraint));
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
	/*
	 * validating the parent comes last, when its partitions are valid already
	 */
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
		piece->phase = DOING_VALIDATE;
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

/* Returns false if there is no such column. */
static bool
read_column_flags(Oid relid, const char *column, bool *not_null,
				  bool *identity)
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

	if (!read_column_flags(relid, column, &not_null, &identity) || !not_null)
		return false;
	/* attnotnull is also set for a NOT VALID constraint */
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

	if (!read_column_flags(relid, column, &not_null, &identity))
		return false;
	rel = relation_open_present(relid, AccessShareLock);
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

/*-------------------------------------------------------------------------
 * Finding the rows that violate a constraint.
 *
 * The server's errors name the first one at most.
 *-------------------------------------------------------------------------
 */

#define MOST_ROWS 10

/* Returns the quoted columns, each with prefix and suffix. */
static char *
join_column_names(List *columns, const char *prefix, const char *suffix,
				  const char *separator)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, columns)
		appendStringInfo(&text, "%s%s%s%s",
						 foreach_current_index(lc) ? separator : "", prefix,
						 quote_identifier(strVal(lfirst(lc))), suffix);
	return text.data;
}

/*
 * The text is CHECK (expression) [NO INHERIT]; use what is in the outer
 * parentheses.
 */
static char *
check_violation_query(const Step *step)
{
	const char *first = strchr(step->definition, '(');
	const char *last = strrchr(step->definition, ')');

	if (first == NULL || last == NULL)
		return NULL;
	return psprintf("SELECT * FROM %s WHERE NOT %s LIMIT %d",
					quoting_relation(step->relation),
					pnstrdup(first, last - first + 1), MOST_ROWS);
}

static char *
foreign_key_violation_query(const Step *step, const Constraint *key)
{
	bool		full = key->fk_matchtype == FKCONSTR_MATCH_FULL;
	Oid			referenced = RangeVarGetRelid(key->pktable, NoLock, true);
	StringInfoData match;
	ListCell   *mine;
	ListCell   *theirs;

	if (compat_constraint_is_temporal(key) || !OidIsValid(referenced))
		return NULL;
	initStringInfo(&match);
	forboth(mine, key->fk_attrs, theirs, key->pk_attrs)
		appendStringInfo(&match, "%sp.%s = r.%s", match.len ? " AND " : "",
						 quote_identifier(strVal(lfirst(theirs))),
						 quote_identifier(strVal(lfirst(mine))));
	return psprintf("SELECT * FROM %s r WHERE (%s) AND NOT EXISTS (SELECT FROM %s p WHERE %s) LIMIT %d",
					quoting_relation(step->relation),
					join_column_names(key->fk_attrs, "r.", " IS NOT NULL",
									  full ? " OR " : " AND "),
					quoting_relation(referenced), match.data, MOST_ROWS);
}

static char *
unique_violation_query(const Step *step, const Constraint *key)
{
	char	   *columns = join_column_names(key->keys, "", "", ", ");
	char	   *where = key->nulls_not_distinct ? pstrdup("")
	: psprintf(" WHERE %s", join_column_names(key->keys, "", " IS NOT NULL", " AND "));

	return psprintf("SELECT %s, count(*) FROM %s%s GROUP BY %s HAVING count(*) > 1 LIMIT %d",
					columns, quoting_relation(step->relation), where, columns,
					MOST_ROWS);
}

static char *
constraint_violation_query(const Step *step)
{
	Constraint *constraint;

	if (step->kind == STEP_NOT_NULL)
		return psprintf("SELECT * FROM %s WHERE %s IS NOT DISTINCT FROM NULL LIMIT %d",
						quoting_relation(step->relation),
						quote_identifier(step->object), MOST_ROWS);
	if (step->kind != STEP_CONSTRAINT)
		return NULL;
	constraint = constraint_read(step->object, step->definition);
	if (constraint->contype == CONSTR_CHECK)
		return check_violation_query(step);
	if (constraint->contype == CONSTR_FOREIGN)
		return foreign_key_violation_query(step, constraint);
	return unique_violation_query(step, constraint);
}

char *
constraint_violation_hint(const Step *step)
{
	char	   *query = constraint_violation_query(step);

	return query ? psprintf("See the rows: %s;", query)
		: psprintf("The constraint is: %s.", step->definition);
}

/*-------------------------------------------------------------------------
 * Adding the constraint of a step without blocking, and dropping it.
 *
 * CHECK and FOREIGN KEY constraints are added NOT VALID under a short lock, so
 * that new writes satisfy them, and validated later, which does not block
 * writes.  Before version 18 a partitioned table cannot have a NOT VALID
 * foreign key.  There each leaf gets its own.  When all are valid the foreign
 * key of the parent adopts them and reads no rows
 * (tryAttachPartitionForeignKey).
 *-------------------------------------------------------------------------
 */

static void
lock_constraint_tables(List *relids, const Constraint *constraint)
{
	lock_relations(list_concat_unique_oid(relids,
										  constraint_referenced_tables(constraint)),
				   constraint_lock_mode(constraint));
}

static void
check_constraint_calls(const Step *step, const ConstraintState *state)
{
	recorded_calls_check("constraint", step->object, step->calls,
						 constraint_calls(state->oid));
}

static void
add_constraint_to(Oid relid, const Step *step, const char *suffix)
{
	ConstraintState state;

	ddl_run_stored(relid,
				   psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s%s",
							quoting_relation(relid),
							quote_identifier(step->object),
							step->definition, suffix));
	/* the error takes it away again */
	if (constraint_find(relid, step->object, &state))
		check_constraint_calls(step, &state);
	step_note_table(step->id, relid);
}

void
constraint_refuse_other(Oid relid, const char *name, Oid constraint, const char *wanted)
{
	char	   *definition = constraint_text(constraint);

	if (wanted && strcmp(definition, wanted) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("table %s has another constraint \"%s\"",
					quoting_relation(relid), name),
			 errdetail("Its definition is: %s", definition),
			 errhint("Drop or rename it, and call tandem.migrate again.")));
}

static bool
table_has_constraint(Oid relid, const Step *step, ConstraintState *state)
{
	if (!constraint_find(relid, step->object, state))
		return false;
	/* once done the user may change it, for example rename a column */
	if (step->done)
		return true;
	constraint_refuse_other(relid, step->object, state->oid, step->definition);
	check_constraint_calls(step, state);
	return true;
}

static char *
describe_constraint_check(const Step *step)
{
	return psprintf("checking constraint %s", quote_identifier(step->object));
}

static BuildResult
validate_constraint_next(Oid relid, const Step *step, BuildPiece *piece)
{
	return constraint_validate_next(relid, step->object,
									describe_constraint_check(step), piece);
}

/* Returns a leaf without a valid foreign key of its own, or InvalidOid. */
static Oid
leaf_without_foreign_key(const Step *step, bool *is_there)
{
	ListCell   *lc;
	ConstraintState state;

	foreach(lc, table_leaves(step->relation))
	{
		*is_there = table_has_constraint(lfirst_oid(lc), step, &state);
		if (!*is_there || !state.validated)
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

static BuildResult
leaf_foreign_key_next(const Step *step, const Constraint *constraint,
					  BuildPiece *piece)
{
	bool		is_there;
	Oid			leaf = leaf_without_foreign_key(step, &is_there);

	if (OidIsValid(leaf) && is_there)
		return validate_constraint_next(leaf, step, piece);
	if (OidIsValid(leaf))
	{
		lock_constraint_tables(list_make1_oid(leaf), constraint);
		add_constraint_to(leaf, step, " NOT VALID");
		return BUILD_AGAIN;
	}
	lock_constraint_tables(table_tree(step->relation), constraint);
	/* rows of a partition attached meanwhile would be read under the lock */
	if (!OidIsValid(leaf_without_foreign_key(step, &is_there)))
		add_constraint_to(step->relation, step, "");
	return BUILD_AGAIN;
}

static BuildResult
checked_constraint_next(const Step *step, const Constraint *constraint,
						BuildPiece *piece)
{
	ConstraintState state;

	if (table_has_constraint(step->relation, step, &state))
		return state.validated ? BUILD_DONE
			: validate_constraint_next(step->relation, step, piece);
	if (constraint->contype == CONSTR_FOREIGN &&
		get_rel_relkind(step->relation) == RELKIND_PARTITIONED_TABLE &&
		!compat_partitioned_foreign_key_not_valid())
		return leaf_foreign_key_next(step, constraint, piece);
	lock_constraint_tables(table_tree(step->relation), constraint);
	add_constraint_to(step->relation, step, " NOT VALID");
	return BUILD_AGAIN;
}

/* Does the step's table still exist? */
static bool
step_table_exists(const Step *step)
{
	return get_rel_relkind(step->relation) != '\0';
}

BuildResult
constraint_build_next(const Step *step, BuildPiece *piece)
{
	Constraint *constraint = constraint_read(step->object, step->definition);

	if (!step_table_exists(step))
		return BUILD_DONE;
	return constraint_is_key(constraint)
		? key_build_next(step, constraint, piece)
		: checked_constraint_next(step, constraint, piece);
}

/* An inherited constraint is dropped with that of the parent. */
static void
drop_checked_constraint(Oid relid, const Step *step)
{
	ConstraintState state;

	if (!constraint_find(relid, step->object, &state) ||
		OidIsValid(state.parent) ||
		(state.type != CONSTRAINT_CHECK && state.type != CONSTRAINT_FOREIGN))
		return;
	if (constraint_is_made(relid, step))
		ddl_run_stored(relid,
					   psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
								quoting_relation(relid),
								quote_identifier(step->object)));
}

void
constraint_build_undo(const Step *step)
{
	Constraint *constraint = constraint_read(step->object, step->definition);
	ListCell   *lc;

	if (!step_table_exists(step))
		return;
	if (constraint_is_key(constraint))
	{
		key_build_undo(step, constraint);
		return;
	}
	drop_checked_constraint(step->relation, step);
	if (constraint->contype != CONSTR_FOREIGN)
		return;
	foreach(lc, table_leaves(step->relation))
	{
		if (lfirst_oid(lc) != step->relation)
			drop_checked_constraint(lfirst_oid(lc), step);
	}
}

List *
constraint_build_locks(const Step *step)
{
	if (step->kind != STEP_CONSTRAINT)
		return NIL;
	return constraint_referenced_tables(constraint_read(step->object,
														step->definition));
}
