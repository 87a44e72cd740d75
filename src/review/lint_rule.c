/*
 * lint_rule.c
 *		The rules of tandem.lint.
 *
 * All rules are in the table at the end.  Each looks at one kind of statement, or of
 * command of ALTER TABLE, and says what it finds with the names of the script.  What a
 * script makes itself nobody else uses, so that most rules pass it over.  Where a rule
 * comes from is in doc/lint.md.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "core/query.h"
#include "core/text.h"
#include "review/lint_rule.h"

#define DANGER "danger"
#define WARNING_ "warning"
#define NOTE "note"
#define FAILS "error"

typedef struct LintRule
{
	const char *name;
	const char *severity;
	NodeTag		statement;		/* T_Invalid: any */
	int			command;		/* an AlterTableType, or NO_COMMAND */
	void		(*look) (Lint *lint, Node *node);	/* the statement, or the command's definition */
} LintRule;

#define NO_COMMAND (-1)

static void
report(Lint *lint, ScriptTable *table, const char *message, const char *advice)
{
	lint->report(lint, lint->rule->severity, lint->rule->name, table, message, advice);
}

/* Does anybody else use it? */
static bool
is_used(const ScriptTable *table)
{
	return table && !table->made;
}

/*-------------------------------------------------------------------------
 * Texts.
 *-------------------------------------------------------------------------
 */

static char *
literal(const char *text)
{
	return quote_literal_cstr(text);
}

static char *
table_literal(const ScriptTable *table)
{
	return literal(script_table_name(table));
}

static char *
type_text(const TypeName *name)
{
	int32		typmod = -1;
	Oid			type = type_of_name(name, &typmod);

	return OidIsValid(type) ? format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN)
		: TypeNameToString(name);
}

/* The text of the statement from a place to the end of what stands there: a comma, or end. */
static char *
clause_text(const Lint *lint, int from, int end)
{
	const char *text = lint->statement->text;
	int			length = end > from ? end : (int) strlen(text);
	int			depth = 0;
	char		quote = '\0';
	int			at;

	if (from < 0 || from >= length)
		return "...";
	for (at = from; at < length; at++)
	{
		char		c = text[at];

		if (quote)
			quote = c == quote ? '\0' : quote;
		else if (c == '\'' || c == '"')
			quote = c;
		else if (c == '(' || c == '[')
			depth++;
		else if (c == ')' || c == ']')
			depth--;
		if (!quote && ((c == ',' && depth == 0) || depth < 0))
			break;
	}
	while (at > from && isspace((unsigned char) text[at - 1]))
		at--;
	return pnstrdup(text + from, at - from);
}

/* Of a constraint, what follows its name. */
static char *
constraint_text(const Lint *lint, const Constraint *constraint)
{
	static const char *const words[] = {"CHECK", "FOREIGN", "UNIQUE", "PRIMARY", "EXCLUDE", "REFERENCES"};
	char	   *clause = clause_text(lint, constraint->location, -1);
	size_t		past_name = constraint->conname ? strlen("CONSTRAINT") + strlen(constraint->conname) : 0;
	int			i;
	size_t		at;

	for (at = Min(past_name, strlen(clause)); clause[at]; at++)
		for (i = 0; i < (int) lengthof(words); i++)
			if (pg_strncasecmp(clause + at, words[i], strlen(words[i])) == 0)
				return clause + at;
	return clause;
}

/* Of a column, its default. */
static char *
default_text(const Lint *lint, const ColumnDef *column, const Constraint *given)
{
	int			from = exprLocation(given->raw_expr);
	int			end = -1;
	ListCell   *lc;

	foreach(lc, column->constraints)
	{
		int			location = lfirst_node(Constraint, lc)->location;

		if (location > from && (end < 0 || location < end))
			end = location;
	}
	return clause_text(lint, from, end);
}

static char *
constraint_name(const Lint *lint, const Constraint *constraint)
{
	return constraint->conname ? constraint->conname : "...";
}

static char *
add_constraint_advice(const Lint *lint, const Constraint *constraint)
{
	return psprintf("SELECT tandem.add_constraint('m', %s, %s, %s);", table_literal(lint->table),
					literal(constraint_name(lint, constraint)), literal(constraint_text(lint, constraint)));
}

/*-------------------------------------------------------------------------
 * ALTER TABLE: columns.
 *-------------------------------------------------------------------------
 */

static Effect *
own_effect(Lint *lint)
{
	List	   *effects = NIL;

	command_effects(lint->tables, lint->table, lint->command, &effects);
	return effect_on(&effects, lint->table, NoLock);
}

static void
add_column_rewrites(Lint *lint, Node *node)
{
	ColumnDef  *column = castNode(ColumnDef, node);
	Constraint *given = column_constraint(column, CONSTR_DEFAULT);
	char	   *call = psprintf("SELECT tandem.add_column('m', %s, %s, %s", table_literal(lint->table),
								literal(column->colname), literal(type_text(column->typeName)));

	if (!own_effect(lint)->rewrites)
		return;
	if (given)
		call = psprintf("%s, default_value => %s", call, literal(default_text(lint, column, given)));
	report(lint, lint->table,
		   psprintf("column %s has a value of its own for each row, so that the table is written anew",
					quote_identifier(column->colname)),
		   column_constraint(column, CONSTR_GENERATED)
		   ? psprintf("%s, up => '...'); computes it from other columns", call)
		   : column_is_serial(column) || column_constraint(column, CONSTR_IDENTITY)
		   ? psprintf("%s, default_value => 'nextval(...)'); with a sequence of its own", call)
		   : psprintf("%s);", call));
}

static void
add_column_required(Lint *lint, Node *node)
{
	ColumnDef  *column = castNode(ColumnDef, node);

	if (!column_constraint(column, CONSTR_NOTNULL) || column_constraint(column, CONSTR_DEFAULT) ||
		column_constraint(column, CONSTR_GENERATED) || column_constraint(column, CONSTR_IDENTITY) ||
		column_is_serial(column))
		return;
	report(lint, lint->table,
		   psprintf("column %s is NOT NULL and has no default: the statement fails if the table has rows, and after it the release before cannot insert",
					quote_identifier(column->colname)),
		   psprintf("SELECT tandem.add_column('m', %s, %s, %s, up => '...', not_null => true); or with default_value",
					table_literal(lint->table), literal(column->colname), literal(type_text(column->typeName))));
}

static void
add_column_checked(Lint *lint, Node *node)
{
	ColumnDef  *column = castNode(ColumnDef, node);
	static const ConstrType kinds[] = {CONSTR_CHECK, CONSTR_FOREIGN, CONSTR_UNIQUE, CONSTR_PRIMARY};
	int			i;

	if (!own_effect(lint)->scans)
		return;
	for (i = 0; i < (int) lengthof(kinds); i++)
	{
		Constraint *constraint = column_constraint(column, kinds[i]);

		if (!constraint)
			continue;
		report(lint, lint->table,
			   psprintf("the constraint of column %s is tried on all rows while the table is locked",
						quote_identifier(column->colname)),
			   psprintf("SELECT tandem.add_column('m', %s, %s, %s); and tandem.add_constraint, which migrate adds without blocking",
						table_literal(lint->table), literal(column->colname), literal(type_text(column->typeName))));
		return;
	}
}

static void
change_type(Lint *lint, Node *node)
{
	ColumnDef  *definition = castNode(ColumnDef, node);
	Effect	   *effect = own_effect(lint);

	if (!effect->rewrites && !effect->scans)
		return;
	report(lint, lint->table,
		   effect->rewrites
		   ? psprintf("the new type of column %s has the table, and its indexes, written anew",
					  quote_identifier(lint->command->name))
		   : psprintf("the new type of column %s has its indexes built, or its constraints tried, anew",
					  quote_identifier(lint->command->name)),
		   psprintf("SELECT tandem.change_column('m', %s, %s, %s%s);", table_literal(lint->table),
					literal(lint->command->name), literal(type_text(definition->typeName)),
					definition->raw_default
					? psprintf(", up => %s", literal(clause_text(lint, exprLocation(definition->raw_default), -1))) : ""));
}

static void
change_expression(Lint *lint, Node *node)
{
	if (own_effect(lint)->rewrites)
		report(lint, lint->table,
			   psprintf("column %s is computed, and the table written, anew", quote_identifier(lint->command->name)),
			   psprintf("SELECT tandem.add_column('m', %s, 'other_name', 'type', up => '...'); then drop the column with tandem.drop_column",
						table_literal(lint->table)));
}

static void
set_not_null(Lint *lint, Node *node)
{
	char	   *name = lint->command->name;

	if (node && IsA(node, Constraint))
	{
		Constraint *constraint = castNode(Constraint, node);

		if (constraint->contype != CONSTR_NOTNULL)
			return;
		name = strVal(linitial(constraint->keys));
	}
	if (own_effect(lint)->scans)
		report(lint, lint->table,
			   psprintf("all rows are read to see that column %s has no null", quote_identifier(name)),
			   psprintf("SELECT tandem.add_not_null('m', %s, %s);", table_literal(lint->table), literal(name)));
}

static void
drop_not_null(Lint *lint, Node *node)
{
	report(lint, lint->table,
		   psprintf("column %s may have nulls, which the release before does not expect",
					quote_identifier(lint->command->name)),
		   "Be sure that both releases read nulls there.");
}

static void
drop_column(Lint *lint, Node *node)
{
	report(lint, lint->table,
		   psprintf("the release before may still use column %s", quote_identifier(lint->command->name)),
		   psprintf("SELECT tandem.drop_column('m', %s, %s);", table_literal(lint->table),
					literal(lint->command->name)));
}

/*-------------------------------------------------------------------------
 * ALTER TABLE: constraints.
 *-------------------------------------------------------------------------
 */

static void
add_constraint_of(Lint *lint, Node *node, ConstrType kind, const char *message)
{
	Constraint *constraint = castNode(Constraint, node);

	if (constraint->contype == kind && own_effect(lint)->scans)
		report(lint, lint->table, message, add_constraint_advice(lint, constraint));
}

static void
add_check(Lint *lint, Node *node)
{
	add_constraint_of(lint, node, CONSTR_CHECK, "the CHECK is tried on all rows while the table is locked");
}

static void
add_foreign_key(Lint *lint, Node *node)
{
	add_constraint_of(lint, node, CONSTR_FOREIGN,
					  "the foreign key is tried on all rows while both tables are locked against writes");
}

static void
add_unique(Lint *lint, Node *node)
{
	add_constraint_of(lint, node, CONSTR_UNIQUE, "the index of the constraint is built while the table is locked");
}

static void
add_primary_key(Lint *lint, Node *node)
{
	add_constraint_of(lint, node, CONSTR_PRIMARY,
					  "the index of the key is built, or its columns are looked through for nulls, while the table is locked");
}

static void
add_exclusion(Lint *lint, Node *node)
{
	Constraint *constraint = castNode(Constraint, node);

	if (constraint->contype == CONSTR_EXCLUSION)
		report(lint, lint->table, "the index of the constraint is built while the table is locked",
			   "The server has no other way to it: add the constraint to a new table, or when nobody works.");
}

static Oid
column_type(ScriptTable *table, List *names, int n)
{
	ScriptColumn *column = table && n < list_length(names) ? script_column(table, strVal(list_nth(names, n))) : NULL;

	return column ? column->type : InvalidOid;
}

static void
foreign_key_type(Lint *lint, Node *node)
{
	Constraint *constraint = castNode(Constraint, node);
	ScriptTable *referenced = constraint->contype == CONSTR_FOREIGN && constraint->pktable
		? script_table(lint->tables, constraint->pktable) : NULL;
	int			i;

	for (i = 0; referenced && i < list_length(constraint->fk_attrs); i++)
	{
		Oid			own = column_type(lint->table, constraint->fk_attrs, i);
		Oid			other = column_type(referenced, constraint->pk_attrs, i);

		if (OidIsValid(own) && OidIsValid(other) && own != other)
			report(lint, lint->table,
				   psprintf("column %s has type %s, and the key that it refers to %s",
							quote_identifier(strVal(list_nth(constraint->fk_attrs, i))),
							format_type_be(own), format_type_be(other)),
				   "Give both the same type, so that the one can hold what the other has.");
	}
}

/*-------------------------------------------------------------------------
 * ALTER TABLE: storage and partitions.
 *-------------------------------------------------------------------------
 */

static void
change_storage(Lint *lint, Node *node)
{
	if (own_effect(lint)->rewrites)
		report(lint, lint->table, "the table is written anew while it is locked",
			   "Do it when nobody works, or move the rows with REPACK or pg_repack.");
}

static void
attach_partition(Lint *lint, Node *node)
{
	ScriptTable *partition = script_table(lint->tables, castNode(PartitionCmd, node)->name);
	ListCell   *lc;

	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if (effect->table == partition && effect->scans && is_used(partition))
			report(lint, partition, "all rows of the new partition are read to see that they are within its bounds",
				   "Add a CHECK that says what the bounds say before, and drop it afterwards.");
	}
}

static void
detach_partition(Lint *lint, Node *node)
{
	PartitionCmd *partition = castNode(PartitionCmd, node);

	if (!partition->concurrent)
		report(lint, lint->table, "nobody reads or writes the partitioned table while the partition is detached",
			   psprintf("ALTER TABLE %s DETACH PARTITION %s CONCURRENTLY;", script_table_name(lint->table),
						quote_identifier(partition->name->relname)));
}

/*-------------------------------------------------------------------------
 * What goes, or gets another name.
 *-------------------------------------------------------------------------
 */

static void
rename_something(Lint *lint, Node *node)
{
	RenameStmt *rename = castNode(RenameStmt, node);
	ScriptTable *table = rename->relation ? script_table(lint->tables, rename->relation) : NULL;

	if (rename->renameType == OBJECT_SCHEMA)
		report(lint, NULL, psprintf("the release before knows schema %s by its name", quote_identifier(rename->subname)),
			   "Let the schema have its name, or rename it once no release before is served.");
	else if (rename->renameType == OBJECT_COLUMN && is_used(table))
		report(lint, table, psprintf("the release before knows column %s by its name", quote_identifier(rename->subname)),
			   psprintf("SELECT tandem.rename_column('m', %s, %s, %s);", table_literal(table),
						literal(rename->subname), literal(rename->newname)));
	else if ((rename->renameType == OBJECT_TABLE || rename->renameType == OBJECT_VIEW) && is_used(table))
		report(lint, table, psprintf("the release before knows %s by its name", script_table_name(table)),
			   psprintf("SELECT tandem.rename_table('m', %s, %s);", table_literal(table), literal(rename->newname)));
}

static void
set_schema(Lint *lint, Node *node)
{
	AlterObjectSchemaStmt *alter = castNode(AlterObjectSchemaStmt, node);
	ScriptTable *table = alter->relation ? script_table(lint->tables, alter->relation) : NULL;

	if (is_used(table))
		report(lint, table, psprintf("the release before knows %s by its schema", script_table_name(table)),
			   "Leave the table where it is while a release is served that looks for it there.");
}

static void
drop_something(Lint *lint, Node *node)
{
	DropStmt   *drop = castNode(DropStmt, node);
	ListCell   *lc;

	if (drop->removeType != OBJECT_TABLE && drop->removeType != OBJECT_VIEW && drop->removeType != OBJECT_MATVIEW)
		return;
	foreach(lc, drop->objects)
	{
		ScriptTable *table = script_table_of_names(lint->tables, lfirst(lc));

		if (is_used(table))
			report(lint, table, psprintf("the release before may still use %s", script_table_name(table)),
				   psprintf("SELECT tandem.drop_table('m', %s);", table_literal(table)));
	}
}

static void
drop_schema(Lint *lint, Node *node)
{
	if (castNode(DropStmt, node)->removeType == OBJECT_SCHEMA)
		report(lint, NULL, "everything in a schema goes with it, whoever uses it",
			   "Drop what is in it with tandem.drop_table, then the schema.");
}

static void
drop_database(Lint *lint, Node *node)
{
	report(lint, NULL, "the database goes", "Drop a database by hand, not in a migration.");
}

static void
truncate_table(Lint *lint, Node *node)
{
	TruncateStmt *statement = castNode(TruncateStmt, node);
	ListCell   *lc;

	foreach(lc, statement->relations)
	{
		ScriptTable *table = script_table(lint->tables, lfirst(lc));

		if (is_used(table))
			report(lint, table,
				   statement->behavior == DROP_CASCADE
				   ? "all rows go, and those of all tables that refer to them, at whatever depth"
				   : "all rows go",
				   "Delete in batches what is not wanted, by a key.");
	}
}

/*-------------------------------------------------------------------------
 * Indexes and files.
 *-------------------------------------------------------------------------
 */

static void
create_index(Lint *lint, Node *node)
{
	IndexStmt  *create = castNode(IndexStmt, node);
	ScriptTable *table = script_table(lint->tables, create->relation);

	if (is_used(table) && !create->concurrent)
		report(lint, table, "nobody writes the table while the index is built",
			   psprintf("SELECT tandem.add_index('m', %s); or CREATE INDEX CONCURRENTLY, outside of a transaction",
						literal(lint->statement->text)));
}

static void
index_on_partitions(Lint *lint, Node *node)
{
	IndexStmt  *create = castNode(IndexStmt, node);
	ScriptTable *table = script_table(lint->tables, create->relation);

	if (table && create->concurrent && table->kind == RELKIND_PARTITIONED_TABLE)
		report(lint, table, "the server does not build an index of a partitioned table concurrently",
			   psprintf("SELECT tandem.add_index('m', %s);", literal(lint->statement->text)));
}

static void
index_many_columns(Lint *lint, Node *node)
{
	IndexStmt  *create = castNode(IndexStmt, node);

	if (!create->unique && list_length(create->indexParams) > 3)
		report(lint, script_table(lint->tables, create->relation),
			   psprintf("the index has %d columns", list_length(create->indexParams)),
			   "Few queries use more than three columns of an index; each one makes it larger.");
}

static void
drop_index(Lint *lint, Node *node)
{
	DropStmt   *drop = castNode(DropStmt, node);
	ListCell   *lc;

	if (drop->removeType != OBJECT_INDEX || drop->concurrent)
		return;
	foreach(lc, drop->objects)
	{
		ScriptTable *index = script_table_of_names(lint->tables, lfirst(lc));

		if (is_used(index))
			report(lint, index, "nobody reads or writes the table of the index until the transaction ends",
				   psprintf("SELECT tandem.drop_index('m', %s); or DROP INDEX CONCURRENTLY, outside of a transaction",
							table_literal(index)));
	}
}

static void
reindex(Lint *lint, Node *node)
{
	ReindexStmt *statement = castNode(ReindexStmt, node);
	ScriptTable *table = statement->relation ? script_table(lint->tables, statement->relation) : NULL;

	if (!has_option(statement->params, "concurrently") && (!statement->relation || is_used(table)))
		report(lint, table, "nobody writes the table, or reads by the index, while it is built anew",
			   "REINDEX ... CONCURRENTLY, outside of a transaction.");
}

static void
write_anew(Lint *lint, Node *node)
{
	ListCell   *lc;

	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if (effect->rewrites && effect->lock == AccessExclusiveLock && is_used(effect->table))
			report(lint, effect->table, "nobody reads or writes the table while it is written anew",
				   "Use pg_repack, or REPACK (CONCURRENTLY) from PostgreSQL 19 on, when nobody works.");
	}
}

static void
repack(Lint *lint, Node *node)
{
	bool		concurrently;

	if (compat_repacked(node, &concurrently))
		write_anew(lint, node);
}

static void
vacuum_full(Lint *lint, Node *node)
{
	if (has_option(castNode(VacuumStmt, node)->options, "full"))
		write_anew(lint, node);
}

static void
refresh(Lint *lint, Node *node)
{
	RefreshMatViewStmt *statement = castNode(RefreshMatViewStmt, node);
	ScriptTable *view = script_table(lint->tables, statement->relation);

	if (!statement->concurrent && is_used(view))
		report(lint, view, "nobody reads the materialized view while it is computed",
			   psprintf("REFRESH MATERIALIZED VIEW CONCURRENTLY %s;", script_table_name(view)));
}

/*-------------------------------------------------------------------------
 * Rows.
 *-------------------------------------------------------------------------
 */

static void
whole_table(Lint *lint, ScriptTable *table, const char *what)
{
	if (is_used(table))
		report(lint, table, psprintf("all rows are %s in one transaction, which keeps them locked and its old versions until it ends", what),
			   "Give a column its values with tandem.add_column(..., up => '...') or tandem.change_column; change other rows in batches, by a key.");
}

static void
update_all(Lint *lint, Node *node)
{
	if (!castNode(UpdateStmt, node)->whereClause)
		whole_table(lint, script_table(lint->tables, castNode(UpdateStmt, node)->relation), "updated");
}

static void
delete_all(Lint *lint, Node *node)
{
	if (!castNode(DeleteStmt, node)->whereClause)
		whole_table(lint, script_table(lint->tables, castNode(DeleteStmt, node)->relation), "deleted");
}

/*-------------------------------------------------------------------------
 * Types.
 *-------------------------------------------------------------------------
 */

static void
domain_constraint(Lint *lint, Node *node)
{
	ListCell   *lc;

	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if (effect->scans && is_used(effect->table))
			report(lint, effect->table, "all rows of tables with the domain are read while they are locked against writes",
				   "Add the constraint NOT VALID, and validate it in a transaction of its own.");
	}
}

static void
new_domain(Lint *lint, Node *node)
{
	if (castNode(CreateDomainStmt, node)->constraints)
		report(lint, NULL, "a constraint of a domain is changed for all its tables at once",
			   "Give the column a CHECK with tandem.add_constraint instead.");
}

static void
enum_order(Lint *lint, Node *node)
{
	AlterEnumStmt *alter = castNode(AlterEnumStmt, node);

	if (!alter->oldVal && !alter->newValNeighbor)
		report(lint, NULL, psprintf("value %s comes behind all others", literal(alter->newVal)),
			   "Say BEFORE or AFTER if the order is asked for anywhere.");
}

static bool
names_type(const TypeName *name, Oid type)
{
	int32		typmod;

	return type_of_name(name, &typmod) == type;
}

static bool
is_key(const ColumnDef *column)
{
	return column_constraint(column, CONSTR_PRIMARY) || column_constraint(column, CONSTR_IDENTITY) ||
		column_is_serial(column);
}

/* What a new column should not be. */
static void
look_at_column(Lint *lint, ScriptTable *table, const ColumnDef *column)
{
	const char *name = quote_identifier(column->colname);

	if (!column->typeName)
		return;
	if (column_is_serial(column))
		lint->report(lint, NOTE, "serial", table, psprintf("column %s is serial", name),
					 "GENERATED BY DEFAULT AS IDENTITY has no rights and no default of its own to look after.");
	if (is_key(column) && (names_type(column->typeName, INT4OID) || names_type(column->typeName, INT2OID) ||
						   (column_is_serial(column) && strncmp(strVal(linitial(column->typeName->names)), "big", 3) != 0 &&
							strcmp(strVal(linitial(column->typeName->names)), "serial8") != 0)))
		lint->report(lint, WARNING_, "small-key", table,
					 psprintf("key %s runs out of numbers at 2147483647 or before", name),
					 "Take bigint now; later it is tandem.change_key.");
	if (names_type(column->typeName, BPCHAROID))
		lint->report(lint, NOTE, "char-type", table, psprintf("column %s is padded with blanks", name),
					 "Take text, with a CHECK of its length if need be.");
	if (names_type(column->typeName, JSONOID))
		lint->report(lint, NOTE, "json-type", table,
					 psprintf("column %s has a type without equality: SELECT DISTINCT and UNION fail", name),
					 "Take jsonb.");
	if (names_type(column->typeName, TIMESTAMPOID))
		lint->report(lint, NOTE, "timestamp-type", table,
					 psprintf("column %s does not say of which time zone its times are", name),
					 "Take timestamptz.");
}

static void
new_column_type(Lint *lint, Node *node)
{
	look_at_column(lint, lint->table, castNode(ColumnDef, node));
}

static void
new_table_types(Lint *lint, Node *node)
{
	ListCell   *lc;

	foreach(lc, castNode(CreateStmt, node)->tableElts)
	{
		if (IsA(lfirst(lc), ColumnDef))
			look_at_column(lint, NULL, lfirst(lc));
	}
}

/*-------------------------------------------------------------------------
 * Releases and migrations.
 *-------------------------------------------------------------------------
 */

static char *
text_about(ScriptTable *table, const char *column, const char *sql)
{
	TandemQuery query;

	if (!is_used(table) || !OidIsValid(table->relid))
		return NULL;
	query_begin(&query);
	query_oid(&query, table->relid);
	query_text(&query, column);
	return query_end_text(&query, query_run_latest(&query, sql));
}

static void
look_at_use(Lint *lint, ScriptTable *table, const char *column)
{
	char	   *releases = text_about(table, column, "SELECT string_agg(u.release::text, ', ' ORDER BY u.release) "
									  "FROM tandem._releases_using($1, $2::name) u");
	char	   *migration = text_about(table, column, "SELECT min(u.migration) FROM tandem._migrations_using($1, $2::name) u");
	const char *what = column ? psprintf("column %s of %s", quote_identifier(column), script_table_name(table))
		: table ? script_table_name(table) : "";

	if (releases)
		lint->report(lint, DANGER, "breaks-release", table,
					 psprintf("%s is used by a release that is served: %s", what, releases),
					 "Change it with the operations of pg_tandem, which keep what the release sees.");
	if (migration)
		lint->report(lint, DANGER, "breaks-migration", table,
					 psprintf("migration %s works on %s", literal(migration), what),
					 psprintf("Wait until it has ended: CALL tandem.contract(%s); or CALL tandem.abort(%s);",
							  literal(migration), literal(migration)));
}

static void
used_column(Lint *lint, Node *node)
{
	look_at_use(lint, lint->table, lint->command->name);
}

static void
used_renamed(Lint *lint, Node *node)
{
	RenameStmt *rename = castNode(RenameStmt, node);
	ScriptTable *table = rename->relation ? script_table(lint->tables, rename->relation) : NULL;

	if (rename->renameType == OBJECT_COLUMN)
		look_at_use(lint, table, rename->subname);
	else if (rename->renameType == OBJECT_TABLE || rename->renameType == OBJECT_VIEW)
		look_at_use(lint, table, NULL);
}

static void
used_dropped(Lint *lint, Node *node)
{
	DropStmt   *drop = castNode(DropStmt, node);
	ListCell   *lc;

	if (drop->removeType != OBJECT_TABLE && drop->removeType != OBJECT_VIEW)
		return;
	foreach(lc, drop->objects)
		look_at_use(lint, script_table_of_names(lint->tables, lfirst(lc)), NULL);
}

/*-------------------------------------------------------------------------
 * Transactions and locks.
 *-------------------------------------------------------------------------
 */

bool
lint_is_top_level(Node *statement)
{
	bool		concurrently;

	if (compat_repacked(statement, &concurrently))
		return concurrently;
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
			return ((IndexStmt *) statement)->concurrent;
		case T_DropStmt:
			return ((DropStmt *) statement)->concurrent;
		case T_ReindexStmt:
			return has_option(((ReindexStmt *) statement)->params, "concurrently") ||
				((ReindexStmt *) statement)->relation == NULL;
		case T_VacuumStmt:
			return ((VacuumStmt *) statement)->is_vacuumcmd;
		case T_AlterTableStmt:
			{
				AlterTableCmd *command = linitial_node(AlterTableCmd, ((AlterTableStmt *) statement)->cmds);

				return command->subtype == AT_DetachPartition && castNode(PartitionCmd, command->def)->concurrent;
			}
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_CreateTableSpaceStmt:
		case T_DropTableSpaceStmt:
		case T_AlterSystemStmt:
		case T_CreateSubscriptionStmt:
			return true;
		default:
			return false;
	}
}

static void
top_level(Lint *lint, Node *node)
{
	if (lint_is_top_level(node) && lint->begun)
		report(lint, lint->effects ? ((Effect *) linitial(lint->effects))->table : NULL,
			   "the server refuses the statement in a transaction block",
			   "Run it outside of BEGIN and COMMIT, and without the transaction of the migration tool.");
}

static void
not_repeatable(Lint *lint, Node *node)
{
	bool		creates = IsA(node, IndexStmt) && ((IndexStmt *) node)->concurrent && !((IndexStmt *) node)->if_not_exists;
	bool		drops = IsA(node, DropStmt) && ((DropStmt *) node)->concurrent && !((DropStmt *) node)->missing_ok;

	if (creates || drops)
		report(lint, NULL, "the script cannot be run again if it fails behind this statement, which no transaction takes back",
			   creates ? "A build that failed leaves an invalid index: DROP INDEX CONCURRENTLY IF EXISTS before it, or use tandem.add_index."
			   : "Say IF EXISTS.");
}

static void
nested_transaction(Lint *lint, Node *node)
{
	TransactionStmt *statement = castNode(TransactionStmt, node);

	if ((statement->kind == TRANS_STMT_BEGIN || statement->kind == TRANS_STMT_START) && lint->begun)
		report(lint, NULL, "a transaction is open already", "Leave the second BEGIN out.");
	if (statement->kind == TRANS_STMT_COMMIT && !lint->begun)
		report(lint, NULL, "no transaction of the script is open: this ends that of the migration tool",
			   "Leave COMMIT out, or begin the transaction in the script.");
}

/* Does it keep out writers, or more? */
static bool
blocks_writers(LOCKMODE lock)
{
	return lock >= ShareLock;
}

static void
lock_timeout(Lint *lint, Node *node)
{
	ListCell   *lc;

	if (lint->has_lock_timeout || lint->told_lock_timeout)
		return;
	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if (!blocks_writers(effect->lock) || !is_used(effect->table))
			continue;
		lint->told_lock_timeout = true;
		report(lint, effect->table,
			   "while the statement waits for its lock everybody else waits behind it, and nothing limits how long",
			   "SET lock_timeout = '1s'; before it, and try again if it fails.");
		return;
	}
}

static void
several_locks(Lint *lint, Node *node)
{
	List	   *held = script_tables_held(lint->tables, ShareLock);
	ListCell   *lc;

	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if (!lint->in_transaction || !blocks_writers(effect->lock) || !is_used(effect->table) ||
			blocks_writers(effect->table->held) || held == NIL)
			continue;
		report(lint, effect->table,
			   psprintf("the transaction has %s locked already, and waits for another lock", script_table_name(linitial(held))),
			   "One table in a transaction: others who take the locks in another order end in a deadlock.");
		return;
	}
}

static void
work_under_lock(Lint *lint, Node *node)
{
	List	   *held = script_tables_held(lint->tables, ShareRowExclusiveLock);
	ListCell   *lc;

	if (!lint->in_transaction || held == NIL)
		return;
	foreach(lc, lint->effects)
	{
		Effect	   *effect = lfirst(lc);

		if ((effect->scans || effect->rewrites) && is_used(effect->table))
		{
			report(lint, effect->table,
				   psprintf("the rows are read while the transaction keeps the lock of an earlier statement on %s",
							script_table_name(linitial(held))),
				   "Commit before it, so that the lock is short.");
			return;
		}
	}
}

static void
not_looked_into(Lint *lint, Node *node)
{
	report(lint, NULL, "what it runs is not looked at", "CALL tandem.rehearse, which runs it and takes it back, tells.");
}

/*-------------------------------------------------------------------------
 * The rules.
 *-------------------------------------------------------------------------
 */

static const LintRule rules[] = {
	/* columns */
	{"add-column-rewrites", DANGER, T_AlterTableStmt, AT_AddColumn, add_column_rewrites},
	{"add-column-required", DANGER, T_AlterTableStmt, AT_AddColumn, add_column_required},
	{"add-column-checked", DANGER, T_AlterTableStmt, AT_AddColumn, add_column_checked},
	{"change-type", DANGER, T_AlterTableStmt, AT_AlterColumnType, change_type},
	{"change-expression", DANGER, T_AlterTableStmt, COMPAT_AT_SET_EXPRESSION, change_expression},
	{"set-not-null", DANGER, T_AlterTableStmt, AT_SetNotNull, set_not_null},
	{"set-not-null", DANGER, T_AlterTableStmt, AT_AddConstraint, set_not_null},
	{"drop-not-null", WARNING_, T_AlterTableStmt, AT_DropNotNull, drop_not_null},
	{"drop-column", DANGER, T_AlterTableStmt, AT_DropColumn, drop_column},
	/* constraints */
	{"add-check", DANGER, T_AlterTableStmt, AT_AddConstraint, add_check},
	{"add-foreign-key", DANGER, T_AlterTableStmt, AT_AddConstraint, add_foreign_key},
	{"add-unique", DANGER, T_AlterTableStmt, AT_AddConstraint, add_unique},
	{"add-primary-key", DANGER, T_AlterTableStmt, AT_AddConstraint, add_primary_key},
	{"add-exclusion", DANGER, T_AlterTableStmt, AT_AddConstraint, add_exclusion},
	{"foreign-key-type", WARNING_, T_AlterTableStmt, AT_AddConstraint, foreign_key_type},
	/* storage and partitions */
	{"change-storage", DANGER, T_AlterTableStmt, AT_SetLogged, change_storage},
	{"change-storage", DANGER, T_AlterTableStmt, AT_SetUnLogged, change_storage},
	{"change-storage", DANGER, T_AlterTableStmt, AT_SetAccessMethod, change_storage},
	{"change-storage", DANGER, T_AlterTableStmt, AT_SetTableSpace, change_storage},
	{"attach-partition", WARNING_, T_AlterTableStmt, AT_AttachPartition, attach_partition},
	{"detach-partition", DANGER, T_AlterTableStmt, AT_DetachPartition, detach_partition},
	/* what goes, or gets another name */
	{"rename", DANGER, T_RenameStmt, NO_COMMAND, rename_something},
	{"set-schema", DANGER, T_AlterObjectSchemaStmt, NO_COMMAND, set_schema},
	{"drop-table", DANGER, T_DropStmt, NO_COMMAND, drop_something},
	{"drop-schema", DANGER, T_DropStmt, NO_COMMAND, drop_schema},
	{"drop-database", DANGER, T_DropdbStmt, NO_COMMAND, drop_database},
	{"truncate", DANGER, T_TruncateStmt, NO_COMMAND, truncate_table},
	/* indexes and files */
	{"create-index", DANGER, T_IndexStmt, NO_COMMAND, create_index},
	{"index-on-partitions", FAILS, T_IndexStmt, NO_COMMAND, index_on_partitions},
	{"index-many-columns", NOTE, T_IndexStmt, NO_COMMAND, index_many_columns},
	{"drop-index", DANGER, T_DropStmt, NO_COMMAND, drop_index},
	{"reindex", DANGER, T_ReindexStmt, NO_COMMAND, reindex},
	{"repack", DANGER, T_Invalid, NO_COMMAND, repack},
	{"vacuum-full", DANGER, T_VacuumStmt, NO_COMMAND, vacuum_full},
	{"refresh", DANGER, T_RefreshMatViewStmt, NO_COMMAND, refresh},
	/* rows */
	{"update-all", DANGER, T_UpdateStmt, NO_COMMAND, update_all},
	{"delete-all", DANGER, T_DeleteStmt, NO_COMMAND, delete_all},
	/* types; look_at_column names the rule of what it finds */
	{"domain-constraint", DANGER, T_AlterDomainStmt, NO_COMMAND, domain_constraint},
	{"new-domain", NOTE, T_CreateDomainStmt, NO_COMMAND, new_domain},
	{"enum-order", NOTE, T_AlterEnumStmt, NO_COMMAND, enum_order},
	{"column-type", NOTE, T_AlterTableStmt, AT_AddColumn, new_column_type},
	{"column-type", NOTE, T_CreateStmt, NO_COMMAND, new_table_types},
	/* releases and migrations */
	{"breaks-release", DANGER, T_AlterTableStmt, AT_DropColumn, used_column},
	{"breaks-release", DANGER, T_AlterTableStmt, AT_AlterColumnType, used_column},
	{"breaks-release", DANGER, T_RenameStmt, NO_COMMAND, used_renamed},
	{"breaks-release", DANGER, T_DropStmt, NO_COMMAND, used_dropped},
	/* transactions and locks */
	{"top-level", FAILS, T_Invalid, NO_COMMAND, top_level},
	{"not-repeatable", NOTE, T_Invalid, NO_COMMAND, not_repeatable},
	{"nested-transaction", WARNING_, T_TransactionStmt, NO_COMMAND, nested_transaction},
	{"lock-timeout", WARNING_, T_Invalid, NO_COMMAND, lock_timeout},
	{"several-locks", WARNING_, T_Invalid, NO_COMMAND, several_locks},
	{"work-under-lock", DANGER, T_Invalid, NO_COMMAND, work_under_lock},
	{"not-looked-into", NOTE, T_DoStmt, NO_COMMAND, not_looked_into},
};

static void
look_at_commands(Lint *lint, const LintRule *rule, AlterTableStmt *alter)
{
	ListCell   *lc;

	lint->table = script_table(lint->tables, alter->relation);
	if (!is_used(lint->table))
		return;
	foreach(lc, alter->cmds)
	{
		lint->command = lfirst_node(AlterTableCmd, lc);
		if ((int) lint->command->subtype == rule->command)
			rule->look(lint, lint->command->def);
	}
	lint->command = NULL;
}

void
lint_statement(Lint *lint)
{
	Node	   *statement = lint->statement->parsed;
	int			i;

	for (i = 0; i < (int) lengthof(rules); i++)
	{
		lint->rule = &rules[i];
		if (rules[i].statement != T_Invalid && rules[i].statement != nodeTag(statement))
			continue;
		if (rules[i].command == NO_COMMAND)
			rules[i].look(lint, statement);
		else
			look_at_commands(lint, &rules[i], (AlterTableStmt *) statement);
	}
}

void
lint_end(Lint *lint)
{
	if (lint->begun)
		lint->report(lint, WARNING_, "open-transaction", NULL, "the transaction is not committed", "Add COMMIT.");
}
