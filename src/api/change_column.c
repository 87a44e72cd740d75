/*
 * change_column.c
 *		SQL function change_column: another type, or other values, under the same
 *		name.
 *
 * The new release has a twin, a second column that its views show under the name
 * and in the place of the first, and that takes its name at contract.  A rule keeps
 * the two equal, as any sync does.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "api/arguments.h"
#include "api/at_once.h"
#include "api/cascade.h"
#include "api/carried.h"
#include "api/change_column.h"
#include "api/changed_default.h"
#include "api/column_moves.h"
#include "api/column_operation.h"
#include "api/expand.h"
#include "api/new_column.h"
#include "catalog/migration.h"
#include "catalog/migration_rights.h"
#include "catalog/owned_column.h"
#include "catalog/release_view.h"
#include "catalog/renamed_column.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/columns.h"
#include "ddl/constraint_build.h"
#include "rule/expression.h"
#include "rule/release_names.h"

OPERATION_FUNCTION(tandem_change_column, at_once_call)

/* What the function was called with, and what that comes to. */
typedef struct ColumnChange
{
	SyncRule   *rule;			/* its texts as given, or their defaults */
	NewColumn	twin;
	char	   *type_given;		/* NULL: the same type */
	bool		up_given;
	bool		down_given;
	bool		one_way;
	bool		not_null_given;
	bool		not_null;
	bool		bare_table;
	Carrying	carrying;
} ColumnChange;

static char *
column_of(const ColumnChange *change)
{
	return linitial(change->rule->old_columns);
}

/*-------------------------------------------------------------------------
 * The arguments.
 *-------------------------------------------------------------------------
 */

/* Returns the column's type and modifier as text. */
static char *
type_of_column(Oid relid, const char *column)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(relid, get_attnum(relid, column), &type, &typmod, &collation);
	return owned_column_type_text(type, typmod);
}

static void
check_texts_fit(const ColumnChange *change)
{
	if (change->one_way && change->down_given)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("change of column \"%s\" has a down, but is one_way",
						change->rule->new_name),
				 errhint("Leave out one of the two.")));
	if (change->up_given && !change->down_given && !change->one_way)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("change of column \"%s\" with an up of its own needs down",
						change->rule->new_name),
				 errdetail("It gives the release before what release %d writes.",
						   change->rule->release),
				 errhint("Give down, an expression over the columns as release %d has them; or one_way => true, and the release before goes on to see the values that it has.",
						 change->rule->release)));
}

/* Has the twin another type, or other values? */
static void
check_something_changes(const ColumnChange *change)
{
	const SyncRule *rule = change->rule;

	if (change->up_given || change->down_given ||
		change->twin.type_text == NULL ||
		strcmp(change->twin.type_text, type_of_column(rule->relation, column_of(change))) != 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 change->type_given
			 ? errmsg("column \"%s\" of table \"%s\" is of type %s already",
					  rule->new_name, quoting_shown_name(rule->relation),
					  format_type_with_typemod(change->twin.type, change->twin.typmod))
			 : errmsg("change of column \"%s\" has neither type nor up",
					  rule->new_name),
			 errdetail("No second column is needed for that."),
			 errhint("For NOT NULL call SELECT tandem.add_not_null(%s, %s, %s); for another default give default_value alone.",
					 quote_literal_cstr(rule->migration),
					 quote_literal_cstr(quoting_relation(rule->relation)),
					 quote_literal_cstr(rule->new_name))));
}

/* Has the migration another column that is changed into one of this name? */
static bool
is_twin_of_another(const SyncRule *rule, const char *name)
{
	ListCell   *lc;

	foreach(lc, sync_list_recorded(rule->migration_id))
	{
		const SyncRule *other = lfirst(lc);

		if (other->relation == rule->relation && rule_changes_column(other) &&
			strcmp(linitial(other->new_columns), name) == 0)
			return strcmp(linitial(other->old_columns), linitial(rule->old_columns)) != 0;
	}
	return false;
}

/* The name of the twin, cut by the server's rule: two may be the same then. */
static char *
name_of_twin(const SyncRule *rule)
{
	char	   *suffix = psprintf("_%d", rule->release);
	char	   *name = makeObjectName(rule->new_name, suffix, NULL);

	for (int i = 1; is_twin_of_another(rule, name); i++)
		name = makeObjectName(rule->new_name, suffix, psprintf("%d", i));
	return name;
}

/*
 * Without up, and without down, the server's cast assigns the value: the text is the
 * column alone, under the name that both releases know.
 */
static void
read_texts(FunctionCallInfo fcinfo, ColumnChange *change)
{
	SyncRule   *rule = change->rule;
	char	   *up = argument_optional_text(fcinfo, CHANGE_UP);
	char	   *down = argument_optional_text(fcinfo, CHANGE_DOWN);
	char	   *name = pstrdup(quote_identifier(rule->new_name));

	change->up_given = up != NULL;
	change->down_given = down != NULL;
	rule->up = list_make1(up ? up : name);
	if (change->one_way)
		rule->down = NIL;
	else
		rule->down = list_make1(down ? down : name);
}

static void
read_arguments(FunctionCallInfo fcinfo, const Migration *migration,
			   ColumnChange *change)
{
	SyncRule   *rule = column_operation_rule(fcinfo, migration);
	NewColumn  *twin = &change->twin;

	memset(change, 0, sizeof(ColumnChange));
	change->rule = rule;
	rule->new_name = renamed_column_shown(renamed_column_list(rule->relation, migration->release - 1),
										  linitial(rule->old_columns));
	rule->new_columns = list_make1(name_of_twin(rule));
	change->type_given = argument_optional_text(fcinfo, CHANGE_TYPE);
	change->one_way = argument_bool(fcinfo, CHANGE_ONE_WAY, "one_way");
	read_texts(fcinfo, change);
	change->not_null_given = !PG_ARGISNULL(CHANGE_NOT_NULL);
	change->not_null = change->not_null_given && PG_GETARG_BOOL(CHANGE_NOT_NULL);
	rule->on_conflict = on_conflict_from_name(argument_text(fcinfo, CHANGE_ON_CONFLICT, "on_conflict"));
	rule->quarantine = quarantine_from_name(argument_text(fcinfo, CHANGE_ON_ERROR, "on_error"));
	change->bare_table = argument_bool(fcinfo, CHANGE_BARE_TABLE, "bare_table");
	change->carrying.rule = rule;
	change->carrying.carry = argument_strings(fcinfo, CHANGE_CARRY);
	change->carrying.leave = argument_strings(fcinfo, CHANGE_LEAVE);
	check_texts_fit(change);

	twin->relation = rule->relation;
	twin->name = linitial(rule->new_columns);
	twin->up = linitial(rule->up);
	twin->given.default_given = argument_optional_text(fcinfo, CHANGE_DEFAULT);
	twin->given.not_null = change->not_null;
}

/*-------------------------------------------------------------------------
 * The type, also when the same is called again.
 *-------------------------------------------------------------------------
 */

/* Without a type it is that which the column has, or had when that was first called. */
static void
read_type(const Migration *migration, ColumnChange *change)
{
	NewColumn  *twin = &change->twin;
	char	   *recorded = owned_column_type(migration->id, twin->relation, twin->name);

	if (change->type_given)
		new_column_read_type(twin, change->type_given);
	else if (recorded || get_attnum(twin->relation, column_of(change)) > 0)
		new_column_read_type(twin, recorded ? recorded
							 : type_of_column(twin->relation, column_of(change)));
}

static void
check_same_twin(const Migration *migration, ColumnChange *change)
{
	read_type(migration, change);
	new_column_check_same(migration,
						  psprintf("a change of column %s of %s",
								   quote_identifier(change->rule->new_name),
								   quoting_relation(change->rule->relation)),
						  &change->twin);
}

/*-------------------------------------------------------------------------
 * The default of the twin: that which is given, or what up makes of the default
 * of the column.
 *-------------------------------------------------------------------------
 */

typedef struct DefaultPut
{
	AttrNumber	attnum;
	Node	   *value;
} DefaultPut;

static Node *
put_default_mutator(Node *node, void *context)
{
	const DefaultPut *put = context;

	if (node && IsA(node, Var) && ((Var *) node)->varattno == put->attnum)
		return copyObject(put->value);
	return expression_tree_mutator(node, put_default_mutator, context);
}

/* Returns the default of the column, or NULL if it has none. */
static Node *
default_of_column(Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

	if (att->attidentity != '\0')
		return expression_parse_default(psprintf("pg_catalog.nextval(%s::pg_catalog.regclass)",
												 quote_literal_cstr(quoting_relation(compat_identity_sequence(rel, attnum)))),
										NameStr(att->attname), att->atttypid, att->atttypmod);
	return build_column_default(rel, attnum);
}

static void
warn_default_stays(const ColumnChange *change)
{
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("the default of column \"%s\" of table \"%s\" is not carried over",
					change->rule->new_name,
					quoting_shown_name(change->rule->relation)),
			 errdetail("up reads other columns, too, which a default cannot."),
			 errhint("Give default_value; 'NULL' for none.")));
}

/* relid: the table, or a partition of it, which may have another default */
static char *
default_carried(const ColumnChange *change, Oid relid)
{
	const SyncRule *rule = change->rule;
	Relation	rel = relation_open_present(rule->relation, AccessShareLock);
	Relation	of_default = relation_open_present(relid, AccessShareLock);
	DefaultPut	put = {get_attnum(rule->relation, column_of(change)), NULL};
	char	   *text = NULL;

	put.value = default_of_column(of_default, get_attnum(relid, column_of(change)));
	relation_close(of_default, NoLock);
	if (put.value)
	{
		ReleaseNames names = release_names_before(rule->release, rule->relation);
		Node	   *up = expression_parse_given(linitial(rule->up), rel, InvalidAttrNumber,
												"up", &names, NIL);

		up = put_default_mutator(up, &put);
		if (!contain_var_clause(up))
			text = expression_deparse(up, rel);

		else if (relid == rule->relation)
			warn_default_stays(change);
	}
	table_close(rel, NoLock);
	return text;
}

static bool
is_nextval(Oid function, void *context)
{
	return function == F_NEXTVAL;
}

static bool
contain_nextval_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_nextval, context) ||
		expression_tree_walker(node, contain_nextval_walker, context);
}

static bool
column_is_identity(const ColumnChange *change)
{
	HeapTuple	tuple = SearchSysCacheAttName(change->rule->relation, column_of(change));
	bool		is_identity;

	if (!HeapTupleIsValid(tuple))
		return false;
	is_identity = ((Form_pg_attribute) GETSTRUCT(tuple))->attidentity != '\0';
	ReleaseSysCache(tuple);
	return is_identity;
}

static int
integer_size(Oid type)
{
	return type == INT2OID ? 2 : type == INT4OID ? 4 : type == INT8OID ? 8 : 0;
}

/*
 * Does the column take its values from a sequence?  Two defaults would take two numbers
 * of it for one row, so the twin has none until contract.
 */
static bool
has_one_default(const ColumnChange *change)
{
	const SyncRule *rule = change->rule;
	Relation	rel;
	Node	   *value;

	if (change->up_given || change->down_given || change->one_way ||
		change->twin.given.default_given)
		return false;
	if (column_is_identity(change))
		return integer_size(change->twin.type) > 0;
	rel = relation_open_present(rule->relation, AccessShareLock);
	value = default_of_column(rel, get_attnum(rule->relation, column_of(change)));
	table_close(rel, NoLock);
	return value && contain_nextval_walker(value, NULL);
}

/* Where a partition has another default than the table, or none. */
static void
carry_defaults_of_partitions(const ColumnChange *change)
{
	const char *of_table = change->twin.default_sql;
	ListCell   *lc;

	/* a partition has none of its own */
	if (column_is_identity(change))
		return;
	foreach(lc, table_tree(change->rule->relation))
	{
		Oid			relid = lfirst_oid(lc);
		char	   *text;

		if (relid == change->rule->relation)
			continue;
		text = default_carried(change, relid);

		if (text == of_table || (text &&of_table && strcmp(text, of_table) == 0))
			continue;
		ddl_run(psprintf("ALTER TABLE ONLY %s ALTER COLUMN %s %s", quoting_relation(relid),
						 pstrdup(quote_identifier(change->twin.name)),
						 text ? psprintf("SET DEFAULT %s", text) : "DROP DEFAULT"));
	}
}

typedef struct OldType
{
	Oid			type;
	int32		typmod;
	Oid			collation;
} OldType;

static OldType
old_type_of(const ColumnChange *change)
{
	OldType		old;

	get_atttypetypmodcoll(change->rule->relation,
						  get_attnum(change->rule->relation, column_of(change)),
						  &old.type, &old.typmod, &old.collation);
	return old;
}

/*
 * A type is given without a collation, so one of the column's own, or of its domain,
 * stays where the new type has none of its own: what is equal, and what comes first, is
 * the same for all that stands on it.  Returns InvalidOid for that of the type.
 */
static Oid
collation_kept(const ColumnChange *change)
{
	OldType		old = old_type_of(change);

	return get_typcollation(change->twin.type) == DEFAULT_COLLATION_OID &&
		old.collation != get_typcollation(getBaseType(old.type)) ? old.collation : InvalidOid;
}

/* Without a text of the user's the server must be able to assign the value. */
static void
check_assignable(const ColumnChange *change)
{
	Oid			old_type = old_type_of(change).type;
	Oid			new_type = change->twin.type;
	bool		up = change->up_given ||
	can_coerce_type(1, &old_type, &new_type, COERCION_ASSIGNMENT);
	bool		down = change->down_given || change->one_way ||
	can_coerce_type(1, &new_type, &old_type, COERCION_ASSIGNMENT);

	if (up && down)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of table \"%s\" cannot be cast automatically from type %s to type %s",
					change->rule->new_name,
					quoting_shown_name(change->rule->relation),
					format_type_be(up ? new_type : old_type),
					format_type_be(up ? old_type : new_type)),
			 up ? errdetail("The release before is given what release %d writes.",
							change->rule->release) : 0,
			 up ? errhint("Give down, as in down => '%s::%s'; or one_way => true, if it is not to be given that.",
						  quote_identifier(change->rule->new_name), format_type_be(old_type))
			 : errhint("Give up and down, as in up => '%s::%s'.",
					   quote_identifier(change->rule->new_name), format_type_be(new_type))));
}

/*-------------------------------------------------------------------------
 * Who uses the table itself.
 *
 * He finds the column there with its old type and values until contract, and with
 * the new ones after it.  Where both are written and read alike that is enough.
 *-------------------------------------------------------------------------
 */

/* Returns the precision and scale of a modifier of numeric, 0 and 0 if none. */
static void
read_numeric_modifier(int32 typmod, int *precision, int *scale)
{
	*precision = typmod < 0 ? 0 : ((typmod - VARHDRSZ) >> 16) & 0xffff;
	*scale = typmod < 0 ? 0 : (typmod - VARHDRSZ) & 0x7ff;
}

static bool
types_are_alike(Oid old_type, int32 old_typmod, Oid new_type, int32 new_typmod)
{
	if (integer_size(old_type) > 0)
		return integer_size(new_type) >= integer_size(old_type);
	if (old_type == VARCHAROID)
		return (new_type == TEXTOID ||
				(new_type == VARCHAROID && old_typmod >= 0 &&
				 (new_typmod < 0 || new_typmod >= old_typmod)));
	if (old_type == NUMERICOID && new_type == NUMERICOID)
	{
		int			precision;
		int			scale;
		int			new_precision;
		int			new_scale;

		read_numeric_modifier(old_typmod, &precision, &scale);
		read_numeric_modifier(new_typmod, &new_precision, &new_scale);
		return precision > 0 && new_precision >= precision && new_scale == scale;
	}
	return false;
}

static OnTable
on_table_of(const ColumnChange *change)
{
	OldType		old = old_type_of(change);

	if (!change->up_given && !change->down_given &&
		types_are_alike(old.type, old.typmod, change->twin.type, change->twin.typmod))
		return ON_TABLE_ALIKE;
	return change->bare_table ? ON_TABLE_BARE : ON_TABLE_VIEWS;
}

/* The new release has its views once the script has called create_views. */
static void
warn_without_views(const ColumnChange *change)
{
	const SyncRule *rule = change->rule;
	ListCell   *lc;

	if (rule->on_table != ON_TABLE_VIEWS)
		return;
	foreach(lc, release_view_list(rule->relation))
	{
		const ReleaseView *view = lfirst(lc);

		if (!view->ended && view->release < rule->release)
			return;
	}
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("no release before %d has a view of table \"%s\"", rule->release,
					quoting_shown_name(rule->relation)),
			 errdetail("On the table itself column \"%s\" has its old values until contract and the new ones after it, so migrate is refused until both releases have a view.",
					   rule->new_name),
			 errhint("Run SELECT tandem.create_views(%d, ARRAY[%s]); with the number of the release that is running, and have its nodes use these; or call tandem.sync_column with a column of another name.",
					 Max(rule->release - 1, 1),
					 quote_literal_cstr(quoting_relation(rule->relation)))));
}

/*-------------------------------------------------------------------------
 * Expand.
 *-------------------------------------------------------------------------
 */

static void
add_twin(const Migration *migration, ColumnChange *change)
{
	NewColumn  *twin = &change->twin;
	char	   *given = twin->given.default_given;

	twin->default_sql = change->rule->one_default ? NULL
		: given ? given : default_carried(change, change->rule->relation);
	twin->collation = collation_kept(change);
	new_column_add(migration, twin);
	owned_column_note_old(migration->id, twin->relation, twin->name, column_of(change));
	if (given == NULL && !change->rule->one_default)
		carry_defaults_of_partitions(change);
}

/* A down that is NULL for every row was taken for none. */
static void
check_down_is_left(const ColumnChange *change)
{
	if (change->rule->down != NIL || change->one_way)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("down of column \"%s\" is null for every row",
					change->rule->new_name),
			 errhint("Give one_way => true instead, if nothing is to be written back.")));
}

/* Nobody writes it, so there is nothing to keep equal. */
static void
check_is_not_generated(const ColumnChange *change)
{
	Oid			relid = change->rule->relation;

	if (get_attgenerated(relid, get_attnum(relid, column_of(change))) == '\0')
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column \"%s\" of table \"%s\" is a generated column",
					change->rule->new_name, quoting_shown_name(relid)),
			 errhint("Drop it with tandem.drop_column, and add one of another name with tandem.add_column, with up: what it is generated from.")));
}

/* The rows of a partition are found by what it is in. */
static void
check_is_no_partition_key(const ColumnChange *change)
{
	TableColumn column = {change->rule->relation, column_of(change)};

	if (!text_is_among("partition key", linitial(column_keys(list_make1(&column), change->rule->migration_id))))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column \"%s\" of table \"%s\" is in the partition key",
					change->rule->new_name,
					quoting_shown_name(change->rule->relation)),
			 errhint("Partition another table by a column of the new type, and move the rows.")));
}

/* What others hold on to does not follow the column by itself. */
static void
check_nothing_refers(const Migration *migration, const ColumnChange *change)
{
	const SyncRule *rule = change->rule;
	List	   *lines = cascade_lines_left(migration, rule->relation, column_of(change));

	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("other columns refer to column \"%s\" of table \"%s\"",
					rule->new_name, quoting_shown_name(rule->relation)),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Give cascade => true, and they change with it; or run CALL tandem.change_key(%s, %s, %s, %s); which locks one table at a time.",
					 quote_literal_cstr(rule->migration),
					 quote_literal_cstr(quoting_relation(rule->relation)),
					 quote_literal_cstr(rule->new_name),
					 quote_literal_cstr(change->type_given ? change->type_given : "bigint"))));
}

/* What is not built yet cannot be carried over. */
void
change_check_built(int migration_id, Oid relid, char *column, const char *shown)
{
	TandemQuery query;
	char	   *other;

	query_begin(&query);
	query_int(&query, migration_id);
	query_oid(&query, relid);
	query_name(&query, column);
	other = query_end_text(&query, query_run(&query,
											 "SELECT m.name FROM tandem.step t JOIN tandem.migration m ON m.id = t.migration AND m.id <> $1 AND m.phase NOT IN ('done', 'aborted') "
											 "WHERE t.relation = $2 AND t.state <> 'done' AND (t.kind = 'not null' AND t.object = $3 "
											 "OR t.kind IN ('index', 'constraint') AND tandem._names_word(t.definition, $3)) ORDER BY m.id LIMIT 1"));
	if (other == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" has still to build what stands on column \"%s\" of table \"%s\"",
					other, shown, quoting_shown_name(relid)),
			 errdetail("It is carried over once it is there."),
			 errhint("Run CALL tandem.migrate(%s); first.", quote_literal_cstr(other))));
}

/*
 * The server asks for no right on the sequence of an identity column, but for a default,
 * which the twin has until contract: who inserts now must go on to.
 */
static void
check_identity_rights(const ColumnChange *change)
{
	const SyncRule *rule = change->rule;
	TandemQuery query;
	List	   *grants;

	query_begin(&query);
	query_oid(&query, rule->relation);
	query_int(&query, get_attnum(rule->relation, column_of(change)));
	grants = query_texts(&query,
						 "SELECT statement FROM tandem._identity_grants($1, $2) ORDER BY statement COLLATE \"C\"");
	query_end(&query);
	if (grants == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("roles that may insert into table \"%s\" may not use the sequence of its identity column \"%s\"",
					quoting_shown_name(rule->relation), rule->new_name),
			 errdetail("Until contract the new column takes its values from that by a default, which needs the right."),
			 errhint("Run %s; then call it again. After contract the right is not needed any more.",
					 text_joined(grants, "", "; "))));
}

static void
add_not_null(const Migration *migration, const ColumnChange *change)
{
	if (change->not_null_given ? change->not_null
		: column_is_not_null(change->twin.relation, column_of(change)))
		(void) step_add_not_null(migration->id, change->twin.relation, change->twin.name);
}

static bool
has_rule(const Migration *migration, const SyncRule *rule)
{
	ListCell   *lc;

	foreach(lc, sync_list_of_table(migration->id, rule->relation))
	{
		if (strcmp(linitial(((SyncRule *) lfirst(lc))->old_columns), linitial(rule->old_columns)) == 0)
			return true;
	}
	return false;
}

/* Is only another default given, of a column that the migration changes in nothing else? */
static bool
changes_default_alone(const Migration *migration, const ColumnChange *change)
{
	const SyncRule *rule = change->rule;

	return change->twin.given.default_given && !change->up_given && !change->down_given &&
		!change->one_way && !change->not_null_given && !migration->forgotten &&
		change->carrying.carry == NIL && change->carrying.leave == NIL &&
		get_attnum(rule->relation, column_of(change)) > 0 && !has_rule(migration, rule) &&
		(change->type_given == NULL ||
		 strcmp(change->twin.type_text, type_of_column(rule->relation, column_of(change))) == 0);
}

SyncRule *
change_one_column(FunctionCallInfo fcinfo, Migration *migration, bool of_cascade)
{
	ColumnChange change;

	column_operation_check_release(migration, "change_column");
	read_arguments(fcinfo, migration, &change);
	change.carrying.word_for_word = !change.up_given;
	if (migration->phase == PHASE_EXPAND && carry_decide(migration, &change.carrying))
		return NULL;
	if (!migration->forgotten)
		check_same_twin(migration, &change);
	/* as it was given: whether both types are alike nobody has said */
	change.rule->on_table = change.bare_table ? ON_TABLE_BARE : ON_TABLE_VIEWS;
	if (repeat_rule(migration, change.rule))
		return NULL;
	if (changes_default_alone(migration, &change))
	{
		migration_check(migration, ACTION_EXPAND);
		changed_default_add(migration, change.rule->relation, argument_text(fcinfo, CHANGE_RELATION, "relation"),
							column_of(&change), change.twin.given.default_given);
		return NULL;
	}
	column_operation_check(migration, change.rule);
	check_something_changes(&change);
	check_is_not_generated(&change);
	check_is_no_partition_key(&change);
	if (!of_cascade)
		check_nothing_refers(migration, &change);
	change_check_built(migration->id, change.rule->relation, column_of(&change), change.rule->new_name);
	check_assignable(&change);
	change.rule->one_default = has_one_default(&change);
	if (!change.rule->one_default)
		check_identity_rights(&change);
	add_twin(migration, &change);
	change.rule->on_table = on_table_of(&change);
	warn_without_views(&change);
	/* first, so that no null is tried on down */
	add_not_null(migration, &change);
	expand_add_sync(migration, change.rule);
	check_down_is_left(&change);
	carry_over(migration, &change.carrying);
	return change.rule;
}

static Datum
tandem_change_column_staged(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, CHANGE_MIGRATION, "migration"));
	SyncRule   *rule;

	if (argument_bool(fcinfo, CHANGE_CASCADE, "cascade"))
		cascade_change(fcinfo, migration);
	else if ((rule = change_one_column(fcinfo, migration, false)) != NULL)
		column_moves_warn(migration, rule);
	PG_RETURN_VOID();
}
