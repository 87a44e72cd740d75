/*
 * alter_effect.c
 *		What the commands of ALTER TABLE do.
 *
 * The lock is the server's own answer (AlterTableGetLockLevel).  Whether rows are written
 * or read follows ATRewriteTables and what calls it in commands/tablecmds.c.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_expr.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "lint/effect.h"

/*-------------------------------------------------------------------------
 * Parts of definitions.
 *-------------------------------------------------------------------------
 */

Constraint *
column_constraint(const ColumnDef *column, ConstrType kind)
{
	Constraint *found = NULL;
	ListCell   *lc;

	foreach(lc, column->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		/* it says so of the one before, which then does nothing */
		if (found && compat_unenforces(constraint))
			return NULL;
		if (found && constraint->contype != CONSTR_ATTR_DEFERRABLE && constraint->contype != CONSTR_ATTR_DEFERRED)
			break;
		if (constraint->contype == kind)
			found = constraint;
	}
	return found;
}

bool
column_is_serial(const ColumnDef *column)
{
	static const char *const serials[] = {
		"smallserial", "serial2", "serial", "serial4", "bigserial", "serial8",
	};
	const char *name;
	int			i;

	if (!column->typeName || list_length(column->typeName->names) != 1)
		return false;
	name = strVal(linitial(column->typeName->names));
	for (i = 0; i < (int) lengthof(serials); i++)
		if (strcmp(name, serials[i]) == 0)
			return true;
	return false;
}

Oid
type_of_name(const TypeName *name, int32 *typmod)
{
	Type		type = name ? LookupTypeName(NULL, name, typmod, true) : NULL;
	Oid			oid = InvalidOid;

	if (!type)
		return InvalidOid;
	if (((Form_pg_type) GETSTRUCT(type))->typisdefined)
		oid = typeTypeId(type);
	ReleaseSysCache(type);
	return oid;
}

bool
default_is_volatile(Node *default_value)
{
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expression = transformExpr(pstate, copyObject(default_value), EXPR_KIND_COLUMN_DEFAULT);

	free_parsestate(pstate);
	return contain_volatile_functions(expression);
}

/*-------------------------------------------------------------------------
 * ADD COLUMN.
 *-------------------------------------------------------------------------
 */

static bool
is_null_literal(Node *expression)
{
	return IsA(expression, A_Const) && ((A_Const *) expression)->isnull;
}

/* Is a value computed for each row, so that the table is written anew? */
static bool
new_column_rewrites(const ColumnDef *column, const Constraint *given_default)
{
	Constraint *generated = column_constraint(column, CONSTR_GENERATED);
	int32		typmod;
	Oid			type = type_of_name(column->typeName, &typmod);

	if (column_is_serial(column) || column_constraint(column, CONSTR_IDENTITY))
		return true;
	if (generated)
		return !compat_is_virtual(generated);
	if (given_default && default_is_volatile(given_default->raw_expr))
		return true;
	return OidIsValid(type) && compat_is_constrained_domain(type);
}

static void
referenced_effect(ScriptTables *tables, const Constraint *constraint, LOCKMODE lock, bool scans,
				  List **effects)
{
	ScriptTable *referenced = constraint->pktable ? script_table(tables, constraint->pktable) : NULL;

	if (referenced)
		effect_on(effects, referenced, lock)->scans |= scans;
}

static void
add_column_effect(ScriptTables *tables, AlterTableCmd *command, Effect *effect, List **effects)
{
	ColumnDef  *column = castNode(ColumnDef, command->def);
	Constraint *given_default = column_constraint(column, CONSTR_DEFAULT);
	Constraint *foreign_key = column_constraint(column, CONSTR_FOREIGN);
	bool		has_value;

	if (command->missing_ok && script_column(effect->table, column->colname))
		return;
	if (given_default && is_null_literal(given_default->raw_expr))
		given_default = NULL;
	if (new_column_rewrites(column, given_default))
		effect->rewrites = true;
	has_value = given_default || effect->rewrites;
	if ((column_constraint(column, CONSTR_NOTNULL) && !has_value) ||
		column_constraint(column, CONSTR_CHECK) ||
		column_constraint(column, CONSTR_UNIQUE) ||
		column_constraint(column, CONSTR_PRIMARY))
		effect->scans = true;
	if (foreign_key)
	{
		/* nulls refer to nothing */
		effect->scans |= has_value;
		referenced_effect(tables, foreign_key, ShareRowExclusiveLock, has_value, effects);
	}
}

/*-------------------------------------------------------------------------
 * ALTER COLUMN ... TYPE.
 *-------------------------------------------------------------------------
 */

/* Functions of extensions are not run to see what they come to. */
static bool
is_not_built_in(Oid function, void *context)
{
	return function >= FirstUnpinnedObjectId;
}

static bool
calls_others(Node *node, void *context)
{
	return node && (check_functions_in_node(node, is_not_built_in, context) ||
					expression_tree_walker(node, calls_others, context));
}

/* Has the session's time zone the times of UTC always? */
static bool
time_zone_is_utc(void)
{
	return !TimestampTimestampTzRequiresRewrite();
}

/* Does the expression give what is stored in the column as it is? */
static bool
gives_stored_value(Node *expression)
{
	for (;;)
	{
		if (IsA(expression, Var))
			return true;
		if (IsA(expression, RelabelType))
			expression = (Node *) ((RelabelType *) expression)->arg;
		else if (IsA(expression, CoerceToDomain) &&
				 !compat_is_constrained_domain(((CoerceToDomain *) expression)->resulttype))
			expression = (Node *) ((CoerceToDomain *) expression)->arg;
		else if (IsA(expression, FuncExpr) && time_zone_is_utc() &&
				 (((FuncExpr *) expression)->funcid == F_TIMESTAMPTZ_TIMESTAMP ||
				  ((FuncExpr *) expression)->funcid == F_TIMESTAMP_TIMESTAMPTZ))
			expression = linitial(((FuncExpr *) expression)->args);
		else
			return false;
	}
}

/* The column, or casts of it, as an expression; NULL of anything else. */
static Node *
cast_column(Node *raw, const char *name, Var *column)
{
	/* casts of casts stand in a row: the grammar has not looked at the depth */
	check_stack_depth();
	if (IsA(raw, ColumnRef))
	{
		Node	   *last = llast(((ColumnRef *) raw)->fields);

		return IsA(last, String) && strcmp(strVal(last), name) == 0 ? (Node *) column : NULL;
	}
	if (IsA(raw, TypeCast))
	{
		TypeCast   *cast = (TypeCast *) raw;
		int32		typmod;
		Oid			type = type_of_name(cast->typeName, &typmod);
		Node	   *value = cast_column(cast->arg, name, column);

		return value && OidIsValid(type)
			? coerce_to_target_type(NULL, value, exprType(value), type, typmod,
									COERCION_EXPLICIT, COERCE_EXPLICIT_CAST, -1) : NULL;
	}
	return NULL;
}

static bool
type_rewrites(const ScriptColumn *column, const ColumnDef *definition, Oid type, int32 typmod)
{
	Var		   *var = makeVar(1, 1, column->type, column->typmod, column->collation, 0);
	Node	   *value = definition->raw_default
	? cast_column(definition->raw_default, column->name, var) : (Node *) var;

	if (value)
		value = coerce_to_target_type(NULL, value, exprType(value), type, typmod,
									  COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (!value || calls_others(value, NULL))
		return true;
	return !gives_stored_value((Node *) expression_planner((Expr *) value));
}

static bool
mentions_column(HeapTuple tuple, Relation catalog, AttrNumber member, AttrNumber column)
{
	bool		isnull;
	Datum		stored = heap_getattr(tuple, member, RelationGetDescr(catalog), &isnull);
	Bitmapset  *columns = NULL;

	if (isnull)
		return false;
	pull_varattnos(stringToNode(TextDatumGetCString(stored)), 1, &columns);
	return bms_is_member(column - FirstLowInvalidHeapAttributeNumber, columns);
}

/* Would an index with this operator class be the same over the new type? */
static bool
class_stays(Oid opclass, Oid access_method, Oid old_type, Oid new_type)
{
	if (GetDefaultOpClass(old_type, access_method) != opclass)
		return true;
	return GetDefaultOpClass(new_type, access_method) == opclass;
}

static Oid
access_method_of(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	Oid			method = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		method = ((Form_pg_class) GETSTRUCT(tuple))->relam;
		ReleaseSysCache(tuple);
	}
	return method;
}

/* A column that gets another type or collation. */
typedef struct NewType
{
	const ScriptColumn *column;
	AttrNumber	attnum;
	Oid			type;
	Oid			collation;
} NewType;

/* Is this index, of the column, built anew? */
static bool
index_is_built_anew(HeapTuple tuple, Relation catalog, void *arg)
{
	NewType    *new = arg;
	Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
	bool		no_classes;
	bool		no_collations;
	oidvector  *classes;
	oidvector  *collations;
	int			i;

	if (mentions_column(tuple, catalog, Anum_pg_index_indexprs, new->attnum) ||
		mentions_column(tuple, catalog, Anum_pg_index_indpred, new->attnum))
		return true;
	classes = (oidvector *) DatumGetPointer(heap_getattr(tuple, Anum_pg_index_indclass,
														 RelationGetDescr(catalog), &no_classes));
	collations = (oidvector *) DatumGetPointer(heap_getattr(tuple, Anum_pg_index_indcollation,
															RelationGetDescr(catalog), &no_collations));
	/* never so */
	if (no_classes || no_collations)
		return true;
	for (i = 0; i < form->indnatts; i++)
	{
		if (form->indkey.values[i] != new->attnum)
			continue;
		/* what it has with expressions or a predicate is never taken over */
		if (!heap_attisnull(tuple, Anum_pg_index_indexprs, NULL) ||
			!heap_attisnull(tuple, Anum_pg_index_indpred, NULL) || !form->indisvalid)
			return true;
		if (i < form->indnkeyatts &&
			(!class_stays(classes->values[i], access_method_of(form->indexrelid), new->column->type, new->type) ||
			 (collations->values[i] == new->column->collation && new->collation != new->column->collation)))
			return true;
	}
	return false;
}

/* Is it a valid CHECK; of the column, if there is one?  That is tried again on all rows. */
static bool
is_valid_check(HeapTuple tuple, Relation catalog, void *arg)
{
	NewType    *new = arg;
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

	return form->contype == CONSTRAINT_CHECK && form->convalidated &&
		(!new || mentions_column(tuple, catalog, Anum_pg_constraint_conbin, new->attnum));
}

static Oid
new_collation(const ColumnDef *definition, Oid type)
{
	return definition->collClause ? get_collation_oid(definition->collClause->collname, true)
		: get_typcollation(type);
}

static void
type_effect(AlterTableCmd *command, Effect *effect)
{
	ColumnDef  *definition = castNode(ColumnDef, command->def);
	ScriptColumn *column = script_column(effect->table, command->name);
	int32		typmod = -1;
	Oid			type = type_of_name(definition->typeName, &typmod);

	if (!column)
		return;
	/* of a type that is not there yet nothing is known, so the worst is told */
	if (!OidIsValid(type) || !OidIsValid(column->type) ||
		type_rewrites(column, definition, type, typmod))
		effect->rewrites = true;
	else if (!column->made && OidIsValid(effect->table->relid))
	{
		NewType		new = {column, get_attnum(effect->table->relid, column->name), type, new_collation(definition, type)};

		effect->scans |= relation_rows_any(IndexRelationId, effect->table->relid, index_is_built_anew, &new) ||
			relation_rows_any(ConstraintRelationId, effect->table->relid, is_valid_check, &new);
	}
}

/* Foreign keys of the column, and to it, are made anew; and tried, if its values are written. */
static void
foreign_keys_effect(ScriptTables *tables, AlterTableCmd *command, const Effect *effect, List **effects)
{
	AttrNumber	attnum = OidIsValid(effect->table->relid) ? get_attnum(effect->table->relid, command->name)
	: InvalidAttrNumber;
	TandemQuery query;
	ListCell   *lc;

	if (attnum == InvalidAttrNumber)
		return;
	query_begin(&query);
	query_oid(&query, effect->table->relid);
	query_int(&query, attnum);
	foreach(lc, script_tables_told(tables, &query,
								   "SELECT confrelid FROM pg_constraint WHERE contype = 'f' AND conrelid = $1 AND $2 = ANY (conkey) "
								   "UNION SELECT conrelid FROM pg_constraint WHERE contype = 'f' AND confrelid = $1 AND $2 = ANY (confkey)"))
	{
		if (lfirst(lc) != effect->table)
			effect_on(effects, lfirst(lc), AccessExclusiveLock)->scans |= effect->rewrites;
	}
}

/*-------------------------------------------------------------------------
 * Constraints.
 *-------------------------------------------------------------------------
 */

static bool
keys_are_not_null(ScriptTable *table, List *names)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (!script_column_is_proven(table, strVal(lfirst(lc))))
			return false;
	}
	return true;
}

/* The columns of an index that becomes a primary key. */
static bool
index_is_not_null(ScriptTables *tables, ScriptTable *table, char *name)
{
	ScriptTable *index = script_table(tables, makeRangeVar(table->schema, name, -1));
	HeapTuple	tuple;
	bool		all = true;
	int			i;

	if (!index || !OidIsValid(index->relid))
		return false;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index->relid));
	if (!HeapTupleIsValid(tuple))
		return false;
	for (i = 0; i < ((Form_pg_index) GETSTRUCT(tuple))->indnkeyatts; i++)
	{
		char	   *column = get_attname(table->relid,
										 ((Form_pg_index) GETSTRUCT(tuple))->indkey.values[i], true);

		all = all && column && script_column_is_proven(table, column);
	}
	ReleaseSysCache(tuple);
	return all;
}

static void
add_constraint_effect(ScriptTables *tables, const Constraint *constraint, Effect *effect, List **effects)
{
	bool		validates = !constraint->skip_validation && !compat_is_unenforced(constraint);

	switch (constraint->contype)
	{
		case CONSTR_CHECK:
			effect->scans |= validates;
			break;
		case CONSTR_NOTNULL:
			effect->scans |= validates && !keys_are_not_null(effect->table, constraint->keys);
			break;
		case CONSTR_FOREIGN:
			effect->scans |= validates;
			referenced_effect(tables, constraint, ShareRowExclusiveLock, validates, effects);
			break;
		case CONSTR_PRIMARY:
			if (constraint->indexname)
				effect->scans |= !index_is_not_null(tables, effect->table, constraint->indexname);
			else
				effect->scans = true;
			break;
		case CONSTR_UNIQUE:
			effect->scans |= constraint->indexname == NULL;
			break;
		case CONSTR_EXCLUSION:
			effect->scans = true;
			break;
		default:
			break;
	}
}

static void
validate_effect(ScriptTables *tables, AlterTableCmd *command, Effect *effect, List **effects)
{
	ScriptConstraint *constraint = script_constraint(tables, effect->table, command->name);

	effect->scans |= constraint && !constraint->valid;
}

static void
alter_constraint_effect(ScriptTables *tables, AlterTableCmd *command, Effect *effect, List **effects)
{
	const char *name;
	bool		enforced;
	ScriptConstraint *constraint = compat_alters_enforcement(command->def, &name, &enforced)
	? script_constraint(tables, effect->table, name) : NULL;

	if (constraint == NULL || constraint->referenced == NULL)
		return;
	effect->scans |= enforced;
	effect_on(effects, constraint->referenced, enforced ? ShareRowExclusiveLock : AccessExclusiveLock)->scans |= enforced;
}

static void
drop_constraint_effect(ScriptTables *tables, AlterTableCmd *command, Effect *effect, List **effects)
{
	ScriptConstraint *constraint = script_constraint(tables, effect->table, command->name);

	if (constraint && constraint->referenced && !constraint->referenced->dropped)
		effect_on(effects, constraint->referenced, AccessExclusiveLock);
	if (constraint && command->behavior == DROP_CASCADE)
		drop_object_effects(tables, ConstraintRelationId, constraint->oid, 0, true, effects);
}

static void
drop_column_effect(ScriptTables *tables, AlterTableCmd *command, ScriptTable *table, List **effects)
{
	AttrNumber	attnum = OidIsValid(table->relid) ? get_attnum(table->relid, command->name) : InvalidAttrNumber;

	if (attnum != InvalidAttrNumber)
		drop_object_effects(tables, RelationRelationId, table->relid, attnum,
							command->behavior == DROP_CASCADE, effects);
}

/*-------------------------------------------------------------------------
 * Storage, partitions.
 *-------------------------------------------------------------------------
 */

typedef struct Storage
{
	char		persistence;
	Oid			tablespace;
	Oid			access_method;
} Storage;

static bool
storage_of(Oid relid, Storage *storage)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	storage->persistence = form->relpersistence;
	storage->tablespace = OidIsValid(form->reltablespace) ? form->reltablespace : MyDatabaseTableSpace;
	storage->access_method = form->relam;
	ReleaseSysCache(tuple);
	return true;
}

static bool
storage_changes(Oid relid, AlterTableCmd *command)
{
	Storage		storage;

	/* a partitioned table has no file, and its partitions keep theirs */
	if (!RELKIND_HAS_STORAGE(get_rel_relkind(relid)) || !storage_of(relid, &storage))
		return false;
	switch (command->subtype)
	{
		case AT_SetLogged:
			return storage.persistence != RELPERSISTENCE_PERMANENT;
		case AT_SetUnLogged:
			return storage.persistence != RELPERSISTENCE_UNLOGGED;
		case AT_SetTableSpace:
			return storage.tablespace != get_tablespace_oid(command->name, true);
		default:
			return storage.access_method !=
				get_table_am_oid(command->name ? command->name : default_table_access_method, true);
	}
}

/* A CHECK that says what the bounds say spares it; which it is, is the server's to see. */
static bool
rows_are_tried(const ScriptTable *partition)
{
	return !relation_rows_any(ConstraintRelationId, partition->relid, is_valid_check, NULL);
}

void
default_partition_effect(ScriptTables *tables, ScriptTable *table, bool tried, List **effects)
{
	Oid			relid = OidIsValid(table->relid) ? get_default_partition_oid(table->relid) : InvalidOid;
	ScriptTable *partition = OidIsValid(relid) ? script_table_of_oid(tables, relid) : NULL;

	if (partition)
		effect_on(effects, partition, AccessExclusiveLock)->scans |= tried && rows_are_tried(partition);
}

static void
partition_effect(ScriptTables *tables, ScriptTable *table, AlterTableCmd *command, List **effects)
{
	PartitionCmd *partition = castNode(PartitionCmd, command->def);
	ScriptTable *named = script_table(tables, partition->name);
	bool		attaches = command->subtype == AT_AttachPartition;
	Effect	   *effect;

	if (!partition->concurrent && !(attaches && partition->bound && partition->bound->is_default))
		default_partition_effect(tables, table, attaches, effects);
	if (!named)
		return;
	effect = effect_on(effects, named, AccessExclusiveLock);
	effect->scans |= attaches && OidIsValid(named->relid) && rows_are_tried(named);
}

void
command_effects(ScriptTables *tables, ScriptTable *table, AlterTableCmd *command, List **effects)
{
	Effect	   *effect = effect_on(effects, table, AlterTableGetLockLevel(list_make1(command)));
	Effect		own = {table, effect->lock, false, false};
	ScriptTable *parent;

	switch (command->subtype)
	{
		case AT_AddColumn:
			add_column_effect(tables, command, &own, effects);
			break;
		case AT_AlterColumnType:
			type_effect(command, &own);
			foreign_keys_effect(tables, command, &own, effects);
			break;
		case AT_SetNotNull:
			own.scans = !script_column_is_proven(table, command->name);
			break;
		case AT_AddConstraint:
			add_constraint_effect(tables, castNode(Constraint, command->def), &own, effects);
			break;
		case AT_ValidateConstraint:
			validate_effect(tables, command, &own, effects);
			break;
		case AT_AlterConstraint:
			alter_constraint_effect(tables, command, &own, effects);
			break;
		case AT_DropConstraint:
			drop_constraint_effect(tables, command, &own, effects);
			break;
		case AT_SetLogged:
		case AT_SetUnLogged:
		case AT_SetAccessMethod:
			own.rewrites = OidIsValid(table->relid) && storage_changes(table->relid, command);
			break;
		case AT_DropColumn:
			drop_column_effect(tables, command, table, effects);
			break;
		case AT_AddInherit:
			parent = script_table(tables, castNode(RangeVar, command->def));
			if (parent)
				effect_on(effects, parent, ShareUpdateExclusiveLock);
			break;
		case AT_AttachPartition:
		case AT_DetachPartition:
			partition_effect(tables, table, command, effects);
			break;
		default:
			if (compat_sets_expression(command->subtype))
			{
				ScriptColumn *column = script_column(table, command->name);

				own.rewrites = column && column->generated;
			}
			break;
	}
	own.scans |= own.rewrites;
	/* a file is copied as it is */
	if (command->subtype == AT_SetTableSpace && OidIsValid(table->relid))
		own.rewrites = storage_changes(table->relid, command);
	effect = effect_on(effects, table, NoLock);
	effect->rewrites |= own.rewrites;
	effect->scans |= own.scans;
}
