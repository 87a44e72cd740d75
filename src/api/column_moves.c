/*
 * column_moves.c
 *		What depends on a column that is changed, and is not carried over: statements
 *		at contract have it use the new column.
 *
 * Policies, rules, triggers, functions and the like are the user's: he decides whether
 * they mean the same of the new values.  The statements that they would need are those
 * of tandem._column_moves.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "common/string.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/column_moves.h"
#include "api/take_keys.h"
#include "catalog/release_view.h"
#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/text.h"
#include "ddl/columns.h"
#include "ending/operations.h"
#include "ending/parts.h"
#include "ending/remade_views.h"
#include "views/view_dependents.h"

typedef struct ColumnMove
{
	char	   *line;			/* as of column_dependents */
	char	   *name;			/* by which a statement names it */
	List	   *statements;		/* that move it */
	Oid			relation;		/* which they are about */
	Oid			key;			/* that is made again, or InvalidOid */
} ColumnMove;

static void *
read_move(uint64 row)
{
	ColumnMove *move = palloc0(sizeof(ColumnMove));

	move->line = query_get_text(row, 1);
	move->name = query_get_text(row, 2);
	move->statements = query_get_strings(row, 3);
	move->relation = query_get_oid(row, 4);
	return move;
}

static void *
read_key_move(uint64 row)
{
	ColumnMove *move = palloc0(sizeof(ColumnMove));

	move->line = query_get_text(row, 1);
	move->name = query_get_text(row, 2);
	move->relation = query_get_oid(row, 3);
	move->key = query_get_oid(row, 4);
	return move;
}

/* What is to be put behind the definition of a foreign key that is added. */
static const char *
mark_to_add(Oid relid, const char *definition)
{
	const char *mark = " NOT VALID";

	return pg_str_endswith(definition, mark) ||
		(get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE &&
		 !compat_partitioned_foreign_key_not_valid()) ? "" : mark;
}

/* Foreign keys that refer to the column, and are a matter of the tables that they are of. */
static List *
moves_of_keys(Oid relid, const char *column)
{
	TandemQuery query;
	List	   *moves;
	ListCell   *lc;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, get_attnum(relid, column));
	moves = query_rows(&query,
					   "SELECT format('foreign key %I of table %s', c.conname, c.conrelid::regclass), c.conname::text, c.conrelid, c.oid "
					   "FROM tandem._referring_columns r JOIN pg_constraint c ON c.oid = r.constraint_oid "
					   "WHERE r.key_relation = $1 AND r.key_number = $2",
					   read_key_move);
	query_end(&query);
	foreach(lc, moves)
	{
		ColumnMove *move = lfirst(lc);
		char	   *name = pstrdup(quote_identifier(move->name));
		char	   *definition = server_text_constraint(move->key);

		/* rows are not read while all tables are locked */
		if (definition)
			move->statements = list_make1(psprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD CONSTRAINT %s %s%s",
												   quoting_relation(move->relation), name, name,
												   definition, mark_to_add(move->relation, definition)));
	}
	return moves;
}

static List *
moves_of_table(const SyncRule *rule, Oid relid, const char *column)
{
	TandemQuery query;
	List	   *moves;

	query_begin(&query);
	authority_pin_catalog_forms();
	query_oid(&query, relid);
	query_int(&query, get_attnum(relid, column));
	query_name(&query, linitial(rule->new_columns));
	query_oid(&query, rule->relation);
	moves = query_rows(&query,
					   "SELECT line, name, statements, $4 FROM tandem._column_moves($1, $2, $3)",
					   read_move);
	query_end(&query);
	return list_concat(moves, moves_of_keys(relid, column));
}

static const ColumnMove *
find_move(List *moves, const char *line)
{
	ListCell   *lc;

	foreach(lc, moves)
	{
		if (strcmp(((ColumnMove *) lfirst(lc))->line, line) == 0)
			return lfirst(lc);
	}
	return NULL;
}

/* Only the user knows which of the two he can do with. */
static const char *
advice_on(const ColumnMove *move)
{
	const char *ending = " DROP EXPRESSION";
	const char *last = move && move->statements ? llast(move->statements) : "";

	if (strlen(last) < strlen(ending) || strcmp(last + strlen(last) - strlen(ending), ending) != 0)
		return "";
	return compat_has_set_expression()
		? " It leaves a plain column; with SET EXPRESSION AS (...) in its place the column is computed as before, and the table is rewritten while it is locked."
		: " It leaves a plain column.";
}

static char *
line_with_calls(const Migration *migration, const char *line, const ColumnMove *move)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	appendStringInfoString(&text, line);
	if (move && move->statements == NIL && !OidIsValid(move->key))
		appendStringInfoString(&text, ", which is virtual: the server cannot change it in a table with CHECK constraints; drop it by tandem.drop_column before this call, and add it again after contract");
	foreach(lc, move ? move->statements : NIL)
		appendStringInfo(&text, "%s SELECT tandem.at_contract(%s, %s, %s);",
						 lc == list_head(move->statements) ? ":" : "",
						 quote_literal_cstr(migration->name),
						 quote_literal_cstr(quoting_relation(move->relation)),
						 quote_literal_cstr(lfirst(lc)));
	appendStringInfoString(&text, advice_on(move));
	return text.data;
}

/* Does a statement of this migration move it, or one of an earlier release drop it? */
static bool
is_moved(const Migration *migration, const SyncRule *rule, Oid relid, const ColumnMove *move)
{
	if (move->relation != rule->relation)
		relid = move->relation;
	return operations_name(migration, relid, move->name) ||
		operations_drop_before(migration, relid, move->name);
}

/* Migrations of earlier releases end before. */
static List *
lines_of_column(const Migration *migration, const SyncRule *rule, Oid relid, char *name)
{
	TableColumn column = {relid, name};
	List	   *all = linitial(column_dependents(list_make1(&column), migration->id));
	List	   *others = linitial(column_migrations(list_make1(&column), migration->id));
	List	   *moves = all == NIL ? NIL : moves_of_table(rule, relid, name);
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, all)
	{
		const ColumnMove *move = find_move(moves, lfirst(lc));

		if (!text_is_among(lfirst(lc), others) &&
			!(move && is_moved(migration, rule, relid, move)))
			lines = lappend(lines, line_with_calls(migration, lfirst(lc), move));
	}
	return lines;
}

static List *
lines_of_table(const Migration *migration, const SyncRule *rule, Oid relid, List *columns)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, columns)
		lines = list_concat(lines, lines_of_column(migration, rule, relid, lfirst(lc)));
	return lines;
}

/* Contract ends the releases before: their views fail, and what uses them. */
static void
warn_of_views_that_end(const SyncRule *rule)
{
	List	   *lines = NIL;
	ListCell   *lc;
	ListCell   *line;

	foreach(lc, release_view_list(rule->relation))
	{
		const ReleaseView *view = lfirst(lc);

		if (view->ended || view->release >= rule->release)
			continue;
		foreach(line, view_dependents(view->view))
			lines = lappend(lines, psprintf("%s, over view %s", (char *) lfirst(line),
											quoting_relation(view->view)));
	}
	if (lines == NIL)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("contract ends views of table \"%s\" that others use",
					quoting_shown_name(rule->relation)),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("They fail from then on, with the releases before %d. Have them use the table, or the view of release %d.",
					 rule->release, rule->release)));
}

/*
 * A partition may have more than its table.  What an earlier release's contract moves to
 * the column uses another one now.
 */
static List *
lines_of_rule(const Migration *migration, const SyncRule *rule)
{
	List	   *columns = lcons(linitial(rule->old_columns), sync_columns_before(rule));
	List	   *lines = NIL;
	ListCell   *lc;
	ListCell   *line;

	foreach(lc, table_tree(rule->relation))
	{
		foreach(line, lines_of_table(migration, rule, lfirst_oid(lc), columns))
		{
			if (!text_is_among(lfirst(line), lines))
				lines = lappend(lines, lfirst(line));
		}
	}
	return lines;
}

/* The remedy names the table; and what the table itself has is decided about elsewhere. */
static bool
is_of_partition(const ContractPart *part, const SyncRule *rule)
{
	char	   *table = psprintf(" %s ", quoting_relation(rule->relation));

	return strstr(part->remedy, linitial(rule->new_columns)) != NULL &&
		strstr(psprintf("%s ", part->remedy), table) == NULL;
}

/* What stands on the column of a partition alone. */
static void
warn_of_partitions(const Migration *migration, const SyncRule *rule)
{
	static const char *const kinds[] = {
		"defaults", "not null", "unique constraints", "exclusion constraints", "foreign keys",
		"check constraints", "indexes", "extended statistics",
	};
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, get_rel_relkind(rule->relation) == RELKIND_PARTITIONED_TABLE
			? contract_parts(migration) : NIL)
	{
		const ContractPart *part = lfirst(lc);

		if (text_index(part->part, kinds, lengthof(kinds)) >= 0 && part->remedy &&
			is_of_partition(part, rule))
			lines = lappend(lines, psprintf("%s: %s; to have the like: %s", part->object,
											part->what_happens, part->remedy));
	}
	if (lines != NIL)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("partitions of table \"%s\" have what is not carried over",
						quoting_shown_name(rule->relation)),
				 errdetail("%s", text_joined(lines, "- ", "\n")),
				 errhint("Run what is still wanted before contract, which gives the column its name in it.")));
}

void
column_moves_warn(const Migration *migration, const SyncRule *rule)
{
	List	   *lines = list_concat(lines_of_rule(migration, rule),
									remade_views_unreadable(migration, rule));

	warn_of_views_that_end(rule);
	warn_of_partitions(migration, rule);
	keys_warn_of_index(rule);
	if (lines == NIL)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("column \"%s\" of table \"%s\" is in use by what is not carried over",
					rule->new_name, quoting_shown_name(rule->relation)),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Make these calls, with the statements changed where the new values need it; contract runs them when the new column has its name. Or do what else a line says, or drop what is named. Until then migrate is refused.")));
}

static List *
lines_of_migration(const Migration *migration)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_changing(migration->id))
		lines = list_concat(lines, lines_of_rule(migration, lfirst(lc)));
	return list_concat(lines, remade_views_unreadable(migration, NULL));
}

void
column_moves_check(const Migration *migration)
{
	List	   *lines = lines_of_migration(migration);

	if (lines != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("changed columns of migration \"%s\" are in use by what is not carried over",
						migration->name),
				 errdetail("%s", text_joined(lines, "- ", "\n")),
				 errhint("Make these calls, with the statements changed where the new values need it, or do what else a line says, or drop what is named, then run CALL tandem.migrate(%s); again.",
						 quote_literal_cstr(migration->name))));
}
