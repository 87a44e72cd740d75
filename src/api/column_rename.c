/*
 * column_rename.c
 *		Gives columns their new names, at contract or later.
 */
#include "postgres.h"

#include "access/table.h"
#include "commands/defrem.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "api/column_rename.h"
#include "api/finish.h"
#include "catalog/owned_column.h"
#include "catalog/renamed_column.h"
#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/authority.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ending/operations.h"
#include "rule/expression.h"
#include "trigger/install.h"
#include "views/views_end.h"

/*-------------------------------------------------------------------------
 * Rules of other migrations, whose texts name the column.
 *
 * A text is read while the column has its old name, and written once it has the
 * new one: the tree in between has its number.
 *-------------------------------------------------------------------------
 */

typedef struct FollowedRule
{
	const SyncRule *rule;
	List	   *up;				/* of Node *, NULL where there is none */
	List	   *down;
} FollowedRule;

static List *
read_texts(Relation rel, List *columns, List *texts, const char *label)
{
	List	   *nodes = NIL;
	ListCell   *column;
	ListCell   *text;

	forboth(column, columns, text, texts)
	{
		nodes = lappend(nodes,
						lfirst(text) == NULL ? NULL
						: expression_parse(lfirst(text), rel, EXPRESSION_ALIAS,
										   get_attnum(RelationGetRelid(rel), lfirst(column)),
										   label));
	}
	return nodes;
}

static List *
written_texts(Relation rel, List *nodes)
{
	List	   *texts = NIL;
	ListCell   *lc;

	foreach(lc, nodes)
		texts = lappend(texts, lfirst(lc) ? expression_deparse(lfirst(lc), rel) : NULL);
	return texts;
}

static List *
read_rules(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	List	   *followed = NIL;
	AuthorityScope scope;
	ListCell   *lc;

	authority_enter_owner(&scope, rel, AUTHORITY_PINNED_PATH);
	authority_pin_text_forms();
	foreach(lc, sync_list_of_relation(relid))
	{
		FollowedRule *follows = palloc(sizeof(FollowedRule));

		follows->rule = lfirst(lc);
		follows->up = read_texts(rel, follows->rule->new_columns, follows->rule->up, "up");
		follows->down = read_texts(rel, follows->rule->old_columns, follows->rule->down, "down");
		followed = lappend(followed, follows);
	}
	authority_leave(&scope);
	table_close(rel, NoLock);
	return followed;
}

static void
install_rules_of_table(Oid relid, void *arg)
{
	sync_install(relid);
}

static void
write_rules(const Migration *migration, Oid relid, List *followed)
{
	Relation	rel;
	ListCell   *lc;

	if (followed == NIL)
		return;
	rel = table_open(relid, NoLock);
	foreach(lc, followed)
	{
		const FollowedRule *follows = lfirst(lc);

		sync_store_texts(follows->rule->id, written_texts(rel, follows->up),
						 written_texts(rel, follows->down));
	}
	table_close(rel, NoLock);
	finish_change_table(migration, relid, install_rules_of_table, NULL);
}

/*-------------------------------------------------------------------------
 * The column.
 *-------------------------------------------------------------------------
 */

typedef struct ColumnNames
{
	const char *column;
	const char *new_name;
} ColumnNames;

static void
rename_column_of_table(Oid relid, void *arg)
{
	const ColumnNames *names = arg;

	ddl_run(psprintf("ALTER TABLE %s RENAME COLUMN %s TO %s",
					 quoting_relation(relid), quote_identifier(names->column),
					 quote_identifier(names->new_name)));
}

static void
rename_in_table(const Migration *migration, Oid relid, const char *column,
				const char *new_name)
{
	ColumnNames names = {column, new_name};

	finish_change_table(migration, relid, rename_column_of_table, &names);
}

static void
rename_column(const Migration *migration, Oid relid, const char *column,
			  const char *new_name)
{
	List	   *followed = read_rules(relid);

	rename_in_table(migration, relid, column, new_name);
	renamed_column_follow(relid, column, new_name);
	step_follow_renamed(relid, column, new_name);
	owned_column_follow_names(relid);
	write_rules(migration, relid, followed);
}

/*
 * The column goes in this transaction, but something of the server may depend on it
 * yet.  No rule is left that names it, but that which it goes by.
 */
static void
move_dropped_columns_away(const Migration *migration, const SyncRule *rename,
						  List *dropped)
{
	ListCell   *lc;

	foreach(lc, dropped)
	{
		TableColumn *column = lfirst(lc);
		char	   *name;

		if (column->relation != rename->relation ||
			strcmp(column->name, rename->new_name) != 0)
			continue;
		name = makeObjectName(column->name, psprintf("_%d", migration->release), NULL);
		for (int i = 1; get_attnum(column->relation, name) != InvalidAttrNumber; i++)
			name = makeObjectName(column->name, psprintf("_%d", migration->release),
								  psprintf("%d", i));
		rename_in_table(migration, column->relation, column->name, name);
		column->name = name;
	}
}

static void
say_names_are_left(const Migration *migration, const SyncRule *rename)
{
	ereport(NOTICE,
			(errmsg("column \"%s\" of table \"%s\" keeps its name in the table",
					rule_renamed_column(rename),
					quoting_shown_name(rename->relation)),
			 errdetail("Logical replication finds columns by their names, and another server may not have contracted yet. The views of releases show it as \"%s\".",
					   rename->new_name),
			 errhint("Once all servers have contracted, run SELECT tandem.take_names(%s); in each.",
					 quote_literal_cstr(migration->name))));
}

static List *
renames_of_migration(const Migration *migration)
{
	List	   *renames = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_migration(migration->id))
	{
		SyncRule   *rule = lfirst(lc);

		if (rule->new_name && relation_exists(rule->relation))
			renames = lappend(renames, rule);
	}
	return renames;
}

static void
give_new_name(const Migration *migration, const SyncRule *rename)
{
	/* or the earlier names would be given to it once more */
	sync_note_name_taken(rename);
	rename_column(migration, rename->relation, rule_renamed_column(rename),
				  rename->new_name);
}

List *
column_rename_all(const Migration *migration, List *dropped)
{
	List	   *renamed = NIL;
	ListCell   *lc;

	foreach(lc, renames_of_migration(migration))
	{
		SyncRule   *rename = lfirst(lc);

		if (table_is_replicated(rename->relation))
		{
			say_names_are_left(migration, rename);
			sync_note_name_left(rename);
			continue;
		}
		move_dropped_columns_away(migration, rename, dropped);
		give_new_name(migration, rename);
		renamed = list_append_unique_oid(renamed, rename->relation);
	}
	return renamed;
}

void
column_rename_left(const Migration *migration)
{
	List	   *renamed = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_renames_left(migration->id))
	{
		SyncRule   *rename = lfirst(lc);

		give_new_name(migration, rename);
		renamed = list_append_unique_oid(renamed, rename->relation);
	}
	versioned_views_refresh(renamed);
}

List *
column_rename_waits(const Migration *migration)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, renames_of_migration(migration))
	{
		SyncRule   *rename = lfirst(lc);
		TandemQuery query;
		ListCell   *line;
		List	   *waits;

		query_begin(&query);
		query_oid(&query, rename->relation);
		query_name(&query, rule_renamed_column(rename));
		query_int(&query, migration->id);
		waits = query_texts(&query,
							"SELECT line FROM tandem._rename_waits($1, $2, $3) ORDER BY line COLLATE \"C\"");
		query_end(&query);
		foreach(line, waits)
			lines = lappend(lines, psprintf("column %s of table %s: %s",
											quote_identifier(rule_renamed_column(rename)),
											quoting_relation(rename->relation),
											(char *) lfirst(line)));
	}
	return lines;
}
