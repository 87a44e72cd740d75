/*
 * broken_steps.c
 *		Open steps, and rules that only views show, whose text names what a DDL
 *		command has renamed or forbidden.
 *
 * No catalog of the server knows what these use: they are text alone until they
 * are built.  So it is the text that is looked at, for the name that the object
 * had before this transaction, with its schema.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "core/query.h"
#include "core/quoting.h"
#include "ddl/broken_steps.h"
#include "ddl/guard_report.h"
#include "ddl/named_in.h"
#include "ddl/object_state.h"

typedef struct OpenText
{
	char	   *migration;
	char	   *what;			/* for people */
	Oid			relation;
	Oid			owner;			/* of the relation */
	char	   *text;
} OpenText;

/* Those with one of the names anywhere, which named_in then looks at. */
static List *
open_texts(List *names)
{
	TandemQuery query;
	List	   *texts = NIL;
	uint64		rows;

	query_begin(&query);
	query_datum(&query, TEXTARRAYOID, array_from_strings(names, TEXTOID), false);
	rows = query_run_latest(&query,
							"SELECT u.name, u.what, c.oid, c.relowner, u.text FROM ("
							"SELECT m.name, CASE t.kind WHEN 'not null' THEN format('the NOT NULL of column %I', t.object) "
							"ELSE format('%s %I', t.kind, t.object) END AS what, t.relation, "
							"coalesce(t.definition, quote_ident(t.object)) AS text "
							"FROM tandem.migration m JOIN tandem.step t ON t.migration = m.id "
							"WHERE m.phase NOT IN ('done', 'aborted') AND t.state <> 'done' "
							"AND t.kind IN ('index', 'constraint', 'not null') "
							"UNION ALL "
							"SELECT m.name, format('column %s of the views of its release', s.new_columns), s.relation, "
							"concat_ws(' ', array_to_string(s.up, ' '), (SELECT string_agg(quote_ident(o), ' ') FROM unnest(s.old_columns) o)) "
							"FROM tandem.migration m JOIN tandem.sync s ON s.migration = m.id "
							"WHERE m.phase NOT IN ('done', 'aborted') AND NOT s.stored) u "
							"JOIN pg_class c ON c.oid = u.relation "
							"WHERE EXISTS (SELECT FROM unnest($1) n WHERE position(n IN u.text) > 0 OR position(quote_ident(n) IN u.text) > 0)");
	for (uint64 row = 0; row < rows; row++)
	{
		OpenText   *text = palloc(sizeof(OpenText));

		text	  ->migration = query_get_text(row, 1);
		text	  ->what = query_get_text(row, 2);
		text	  ->relation = query_get_oid(row, 3);
		text	  ->owner = query_get_oid(row, 4);
		text	  ->text = query_get_text(row, 5);

		texts = lappend(texts, text);
	}
	query_end(&query);
	return texts;
}

/* Whether the text may mean the object as it was. */
static bool
names_object(const OpenText *open, const ObjectState *was)
{
	if (!named_in(open->text, was->name))
		return false;
	if (was->object.classId == RelationRelationId)
	{
		/* a text does not name its own table, but the columns of that alone */
		if (was->object.objectId == open->relation)
			return was->object.objectSubId != 0;
		if (was->object.objectSubId != 0)
			return named_in(open->text, quoting_shown_name(was->object.objectId));
	}
	return was->schema == NULL || strcmp(was->schema, "pg_catalog") == 0 ||
		named_in(open->text, was->schema);
}

static bool
has_other_name(const ObjectState *was, const ObjectState *is)
{
	if (!is->exists || strcmp(was->name, is->name) != 0)
		return true;
	return was->schema && (is->schema == NULL || strcmp(was->schema, is->schema) != 0);
}

static void
check_object(const OpenText *open, const ObjectState *was,
			 const ObjectState *is, CommandTag tag)
{
	char	   *right = object_state_lost_right(was, is);

	if (!was->exists || !names_object(open, was))
		return;
	if (has_other_name(was, is))
		guard_refuse_or_warn(tag, open->migration, open->relation,
							 psprintf("%s of table %s, which is still to be made, names \"%s\"",
									  open->what, quoting_relation(open->relation), was->name),
							 was->granted || was->object.objectId == open->relation);
	else if (right)
		guard_refuse_or_warn(tag, open->migration, open->relation,
							 psprintf("%s of table %s is still to be made, whose owner no longer has %s on %s",
									  open->what, quoting_relation(open->relation), right,
									  getObjectDescription(&was->object, false)),
							 was->granted);
}

/* One owner after the other, since rights are those of a role. */
static void
check_texts_of(Oid owner, List *texts, const DdlEvent *event)
{
	List	   *before = object_states(event->objects, owner, true);
	List	   *now = object_states(event->objects, owner, false);
	ListCell   *was;
	ListCell   *is;
	ListCell   *lc;

	forboth(was, before, is, now)
	{
		if (object_state_equal(lfirst(was), lfirst(is)))
			continue;
		foreach(lc, texts)
		{
			if (((OpenText *) lfirst(lc))->owner == owner)
				check_object(lfirst(lc), lfirst(was), lfirst(is), event->tag);
		}
	}
}

void
broken_steps_check(const DdlEvent *event)
{
	List	   *texts;
	List	   *owners = NIL;
	List	   *names = NIL;
	ListCell   *lc;

	if (event->objects == NIL || !ddl_event_takes_away(event->parsetree))
		return;
	foreach(lc, object_states(event->objects, GetUserId(), true))
	{
		ObjectState *was = lfirst(lc);

		if (was->exists)
			names = lappend(names, was->name);
	}
	texts = names == NIL ? NIL : open_texts(names);
	foreach(lc, texts)
		owners = list_append_unique_oid(owners, ((OpenText *) lfirst(lc))->owner);
	foreach(lc, owners)
		check_texts_of(lfirst_oid(lc), texts, event);
}
