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
#include "utils/lsyscache.h"

#include "catalog/renamed_column.h"
#include "rule/release_names.h"

ReleaseNames
release_names_before(int release, Oid relid)
{
	ReleaseNames names = {.relation = relid};

	if (release == 0)
		return names;
	names.first = renamed_column_list(relid, release - 1);
	names.otherwise = renamed_column_list(relid, release);
	return names;
}

ReleaseNames
release_names_after(int release, Oid relid)
{
	ReleaseNames names = {.relation = relid};

	names.first = renamed_column_list(relid, release);
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

List *
release_names_stored_values(const ReleaseNames *names, List *list)
{
	List	   *stored = NIL;
	ListCell   *lc;

	foreach(lc, list)
		stored = lappend(stored, makeString(release_names_stored(names, strVal(lfirst(lc)))));
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
			lfirst(lc) = makeString(release_names_stored(names, strVal(field)));
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

		element->name = release_names_stored(context, element->name);
	}
	return raw_expression_tree_walker(node, name_columns_walker, context);
}

void
release_names_apply(const ReleaseNames *names, Node *raw)
{
	if (names->first != NIL || names->otherwise != NIL)
		(void) name_columns_walker(raw, unconstify(ReleaseNames *, names));
}
