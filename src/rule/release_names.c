/*
 * release_names.c
 *		The names under which a text that a user gives knows the columns of a
 *		table.
 *
 * What is stored has the names of the table.  They are put into the raw tree, so
 * that whatever the server makes of the text is made of these.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/renamed_column.h"
#include "core/text.h"
#include "rule/release_names.h"

/* What is left of these columns belongs to earlier releases. */
static List *
rules_that_take_columns(Oid relid, int release)
{
	List	   *rules = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_relation(relid))
	{
		SyncRule   *rule = lfirst(lc);

		if (!rule->keep_old && rule->release > 0 && rule->release <= release)
			rules = lappend(rules, rule);
	}
	return rules;
}

ReleaseNames
release_names_before(int release, Oid relid)
{
	ReleaseNames names = {.relation = relid};

	if (release == 0)
		return names;
	names.first = renamed_column_list(relid, release - 1);
	names.otherwise = renamed_column_list(relid, release);
	names.gone = rules_that_take_columns(relid, release - 1);
	names.known_by = psprintf("the release before release %d", release);
	return names;
}

ReleaseNames
release_names_after(int release, Oid relid)
{
	ReleaseNames names = {.relation = relid};

	if (release == 0)
		return names;
	names.first = renamed_column_list(relid, release);
	names.gone = rules_that_take_columns(relid, release);
	names.known_by = psprintf("release %d", release);
	return names;
}

ReleaseNames
release_names_of_down(const SyncRule *rule)
{
	ReleaseNames names = release_names_after(rule->release, rule->relation);
	ListCell   *lc;

	/* it is not recorded yet */
	if (rule_changes_column(rule))
		names.first = lappend(names.first, unconstify(SyncRule *, rule));
	foreach(lc, names.gone)
	{
		SyncRule   *other = lfirst(lc);

		if (!rule_drops_column(rule) && texts_share_one(other->old_columns, rule->old_columns))
			names.gone = foreach_delete_current(names.gone, lc);
	}
	return names;
}

ReleaseNames
release_names_carried(int migration_id, int release, Oid relid)
{
	ReleaseNames names = {.relation = relid};
	ListCell   *lc;

	names.known_by = psprintf("release %d", release);
	foreach(lc, sync_list_of_table(migration_id, relid))
	{
		SyncRule   *rule = lfirst(lc);

		if (rule_changes_column(rule))
		{
			rule->new_name = linitial(rule->old_columns);
			names.first = lappend(names.first, rule);
		}
		else if (!rule->keep_old)
			names.gone = lappend(names.gone, rule);
	}
	return names;
}

char *
release_names_stored(const ReleaseNames *names, char *name)
{
	char	   *stored = renamed_column_stored(names->first, name);

	if (stored == NULL && get_attnum(names->relation, name) == InvalidAttrNumber)
		stored = renamed_column_stored(names->otherwise, name);
	return stored ? stored : name;
}

List *
release_names_stored_list(const ReleaseNames *names, List *list)
{
	List	   *stored = NIL;
	ListCell   *lc;

	foreach(lc, list)
		stored = lappend(stored, lfirst(lc) ? release_names_stored(names, lfirst(lc)) : NULL);
	return stored;
}

/*-------------------------------------------------------------------------
 * Names that the release of a text does not know, though the table has them, or
 * will.
 *-------------------------------------------------------------------------
 */

static void
refuse_name(const ReleaseNames *names, const char *name, const char *detail,
			const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("%s does not know column \"%s\" of table \"%s\"",
					names->known_by, name, quoting_shown_name(names->relation)),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

static void
check_not_renamed(const ReleaseNames *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names->first)
	{
		SyncRule   *rule = lfirst(lc);
		char	   *shown = renamed_column_shown(names->first, rule_renamed_column(rule));

		if (strcmp(rule_renamed_column(rule), name) == 0)
			refuse_name(names, name,
						psprintf("Migration \"%s\" gives it the name \"%s\".", rule->migration, shown),
						psprintf("Write %s.", quote_identifier(shown)));
	}
}

static void
check_not_gone(const ReleaseNames *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names->gone)
	{
		SyncRule   *rule = lfirst(lc);

		if (text_is_among(name, rule->old_columns))
			refuse_name(names, name,
						rule_drops_column(rule) ? psprintf("Migration \"%s\" drops it.", rule->migration)
						: psprintf("Migration \"%s\" replaces it by %s.", rule->migration,
								   text_joined(rule->new_columns, "", ", ")),
						names->hint ? names->hint : "Name columns that it knows, or leave the call out.");
	}
}

/* The table has no column of that name: is it one that only the next release has? */
static void
check_not_new(const ReleaseNames *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names->otherwise)
	{
		SyncRule   *rule = lfirst(lc);
		char	   *shown = renamed_column_shown(names->first, rule_renamed_column(rule));

		if (strcmp(rule->new_name, name) == 0)
			refuse_name(names, name,
						psprintf("Migration \"%s\" gives that name to column \"%s\" for release %d.",
								 rule->migration, shown, rule->release),
						psprintf("Write %s.", quote_identifier(shown)));
	}
}

void
release_names_check(const ReleaseNames *names, const char *name)
{
	if (names->known_by == NULL || renamed_column_stored(names->first, name))
		return;
	check_not_renamed(names, name);
	if (get_attnum(names->relation, name) == InvalidAttrNumber)
		check_not_new(names, name);
	else
		check_not_gone(names, name);
}

static char *
stored_of_known(const ReleaseNames *names, char *name)
{
	release_names_check(names, name);
	return release_names_stored(names, name);
}

List *
release_names_stored_values(const ReleaseNames *names, List *list)
{
	List	   *stored = NIL;
	ListCell   *lc;

	foreach(lc, list)
		stored = lappend(stored, makeString(stored_of_known(names, strVal(lfirst(lc)))));
	return stored;
}

/* The column is the last name, or the one before: "t.*" and "a.field" have others. */
static void
name_column(const ReleaseNames *names, ColumnRef *reference)
{
	ListCell   *lc;

	foreach(lc, reference->fields)
	{
		Node	   *field = lfirst(lc);

		/* of two, the first may be the table */
		if (IsA(field, String) &&
			(foreach_current_index(lc) == 1 || list_length(reference->fields) == 1))
			lfirst(lc) = makeString(stored_of_known(names, strVal(field)));
	}
}

static bool
name_columns_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		name_column(context, (ColumnRef *) node);
		return false;
	}
	if (IsA(node, IndexElem) && ((IndexElem *) node)->name)
	{
		IndexElem  *element = (IndexElem *) node;

		element->name = stored_of_known(context, element->name);
	}
	return raw_expression_tree_walker(node, name_columns_walker, context);
}

void
release_names_apply(const ReleaseNames *names, Node *raw)
{
	if (names->known_by != NULL || names->first != NIL)
		(void) name_columns_walker(raw, unconstify(ReleaseNames *, names));
}
