/*
 * carried.c
 *		What stands on a column that is changed, carried over to its twin.
 *
 * It is built under another name, since that which it is to have is taken until the
 * column goes.  tandem.operation notes which name it gets then (kind carry), and what
 * nobody has decided about yet (kind undecided).
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "api/add_build.h"
#include "api/carried.h"
#include "api/carried_key.h"
#include "api/finish.h"
#include "catalog/operation.h"
#include "catalog/step.h"
#include "core/authority.h"
#include "core/error.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "ddl/index_definition.h"
#include "ddl/statement_names.h"
#include "ending/operations.h"
#include "ending/user_views.h"
#include "ending/view_parts.h"

#define VIEW_KIND "view"

/* A row of tandem._carried_objects, or a view. */
typedef struct CarriedObject
{
	char	   *kind;			/* index, constraint, statistics or view */
	char	   *name;			/* that it has, or gets from an open migration */
	char	   *stored_name;
	char	   *definition;		/* as the server writes it */
	bool		depends_on_values;
	bool		buildable;		/* while others write */
	bool		validated;		/* else rows may violate it */
	char	   *given;			/* what it is noted as */
} CarriedObject;

static bool
is_view(const CarriedObject *object)
{
	return strcmp(object->kind, VIEW_KIND) == 0;
}

static char *
column_of(const Carrying *carrying)
{
	return linitial(carrying->rule->old_columns);
}

static void *
read_object(uint64 row)
{
	CarriedObject *object = palloc(sizeof(CarriedObject));

	object->kind = query_get_text(row, 1);
	object->name = query_get_text(row, 2);
	object->stored_name = query_get_text(row, 3);
	object->definition = query_get_text(row, 4);
	object->depends_on_values = query_get_bool(row, 5);
	object->buildable = query_get_bool(row, 6);
	object->validated = query_get_bool(row, 7);
	object->given = object->kind;
	return object;
}

static List *
built_objects(const Migration *migration, const Carrying *carrying)
{
	Oid			relid = carrying->rule->relation;
	TandemQuery query;
	List	   *objects;

	query_begin(&query);
	query_oid(&query, relid);
	query_int(&query, get_attnum(relid, column_of(carrying)));
	query_int(&query, migration->id);
	objects = query_rows(&query,
						 "SELECT kind, name::text, stored_name::text, definition, depends_on_values, buildable, validated FROM tandem._carried_objects($1, $2, $3) ORDER BY place, name COLLATE \"C\"",
						 read_object);
	query_end(&query);
	return objects;
}

/* What is made again at contract. */
static List *
views_of_rule(const Migration *migration, const SyncRule *rule)
{
	List	   *objects = NIL;
	ListCell   *lc;

	foreach(lc, user_views_of_rule(migration, rule))
	{
		const UserView *view = lfirst(lc);
		CarriedObject *object = palloc(sizeof(CarriedObject));

		object->kind = VIEW_KIND;
		object->name = quoting_raw_name(view->view);
		object->stored_name = object->name;
		object->definition = view_definition_text(view->view);
		object->depends_on_values = view->by_value;
		object->buildable = true;
		object->validated = true;
		object->given = user_view_given(view->view);
		objects = lappend(objects, object);
	}
	return objects;
}

static List *
objects_of_column(const Migration *migration, const Carrying *carrying)
{
	return list_concat(built_objects(migration, carrying), views_of_rule(migration, carrying->rule));
}

/*-------------------------------------------------------------------------
 * The properties of the column itself.
 *-------------------------------------------------------------------------
 */

/* Not by GRANT, which has the owner for a grantor. */
static void
carry_rights(const Carrying *carrying)
{
	ListCell   *lc;

	foreach(lc, table_tree(carrying->rule->relation))
		column_copy_rights(lfirst_oid(lc),
						   get_attnum(lfirst_oid(lc), column_of(carrying)),
						   get_attnum(lfirst_oid(lc), linitial(carrying->rule->new_columns)));
}

/* Each partition has its own. */
static void
carry_properties(const Carrying *carrying)
{
	ListCell   *relation;
	ListCell   *lc;

	foreach(relation, table_tree(carrying->rule->relation))
	{
		Oid			relid = lfirst_oid(relation);
		TandemQuery query;
		List	   *statements;

		query_begin(&query);
		query_oid(&query, relid);
		query_int(&query, get_attnum(relid, column_of(carrying)));
		query_int(&query, get_attnum(relid, linitial(carrying->rule->new_columns)));
		statements = query_texts(&query,
								 "SELECT statement FROM tandem._carried_properties($1, $2, $3) ORDER BY place, statement");
		query_end(&query);
		foreach(lc, statements)
			ddl_run(lfirst(lc));
	}
}

/*-------------------------------------------------------------------------
 * What is built.
 *-------------------------------------------------------------------------
 */

/* given: what it is; new_name: only of what is carried.  Returns its row, palloc'd. */
static Operation *
note_object(Migration *migration, Oid relid, OperationKind kind, char *given,
			char *object, char *new_name)
{
	Operation  *operation = palloc0(sizeof(Operation));

	operation->migration_id = migration->id;
	operation->kind = kind;
	operation->relation = relid;
	operation->given = given;
	operation->object = object;
	operation->new_name = new_name;
	operation->search_path = pstrdup(namespace_search_path);
	operation_insert(operation);
	return operation;
}

/* Returns a name in the schema of the table, palloc'd. */
static char *
qualified_name(Oid relid, const char *name)
{
	return quote_qualified_identifier(quoting_raw_schema(get_rel_namespace(relid)), name);
}

/* What is undecided is noted with its definition after what it is given as. */
static bool
is_given_as(const Operation *operation, const char *given)
{
	size_t		length = strlen(given);

	return strncmp(operation->given, given, length) == 0 &&
		(operation->given[length] == '\0' || operation->given[length] == ':');
}

/* An index, a constraint, statistics and a view may have one name. */
static Operation *
find_noted(const Migration *migration, OperationKind kind, Oid relid, const char *given,
		   const char *name)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, kind))
	{
		Operation  *operation = lfirst(lc);
		const char *noted = kind == OPERATION_CARRY ? operation->new_name : operation->object;

		if (operation->relation == relid && strcmp(noted, name) == 0 &&
			is_given_as(operation, given))
			return operation;
	}
	return NULL;
}

static bool
is_reserved(const Migration *migration, const char *name)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_CARRY))
	{
		if (strcmp(((Operation *) lfirst(lc))->object, name) == 0)
			return true;
	}
	return false;
}

/*
 * The name under which the object is built, cut by the server's rule.  Each has one of its
 * own: two long names may be the same once they are cut, and those of an index, a constraint
 * and statistics may be from the start.
 */
static char *
reserved_name(const Migration *migration, Oid relid, const char *kind, const char *name)
{
	const Operation *carried = find_noted(migration, OPERATION_CARRY, relid, kind, name);
	char	   *suffix = psprintf("_%d", migration->release);
	char	   *reserved = carried ? carried->object : makeObjectName(name, suffix, NULL);

	for (int i = 1; carried == NULL && is_reserved(migration, reserved); i++)
		reserved = makeObjectName(name, suffix, psprintf("%d", i));
	return reserved;
}

/* Multi-column objects are carried again when another of their columns is changed. */
static void
forget_carried(Migration *migration, Oid relid, const char *built)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_CARRY))
	{
		Operation  *operation = lfirst(lc);

		if (operation->relation != relid || strcmp(operation->object, built) != 0)
			continue;
		operation_delete(operation);
		if (strcmp(operation->given, "statistics") == 0)
			ddl_run(psprintf("DROP STATISTICS IF EXISTS %s", qualified_name(relid, built)));
		else
			step_delete_build(migration->id, relid, built);
	}
}

void
carried_forget_index(Migration *migration, Oid relid, const char *name)
{
	Operation  *undecided = find_noted(migration, OPERATION_UNDECIDED, relid, "index", name);
	Operation  *carried = find_noted(migration, OPERATION_CARRY, relid, "index", name);

	if (undecided)
		operation_delete(undecided);
	if (carried)
		forget_carried(migration, relid, carried->object);
}

/* The server leaves it out of the definition.  Returns NULL for that of the database. */
static char *
tablespace_of_index(Oid relid, const char *name)
{
	Oid			index = get_relname_relid(name, get_rel_namespace(relid));
	Oid			tablespace = OidIsValid(index) ? get_rel_tablespace(index) : InvalidOid;

	return OidIsValid(tablespace) ? get_tablespace_name(tablespace) : NULL;
}

static void
carry_index(Migration *migration, const ReleaseNames *names,
			const CarriedObject *object, char *built)
{
	IndexStmt  *stmt = index_definition_parse(object->definition);

	stmt->idxname = built;
	/* that of a partitioned table is written as of it alone */
	stmt->relation->inh = true;
	stmt->tableSpace = tablespace_of_index(names->relation, object->stored_name);
	add_build_index(migration, names, stmt, object->definition);
}

static void
carry_statistics(const ReleaseNames *names, const CarriedObject *object, char *built)
{
	TandemQuery query;
	char	   *statement;
	List	   *olds = NIL;
	List	   *news = NIL;
	ListCell   *lc;

	foreach(lc, statement_columns(object->definition))
		release_names_check(names, lfirst(lc));
	foreach(lc, names->first)
	{
		const SyncRule *rule = lfirst(lc);

		olds = lappend(olds, rule->new_name);
		news = lappend(news, pstrdup(quote_identifier(rule_renamed_column(rule))));
	}

	query_begin(&query);
	query_text(&query, object->definition);
	query_name(&query, object->stored_name);
	query_name(&query, built);
	query_datum(&query, NAMEARRAYOID, array_from_strings(olds, NAMEOID), false);
	query_datum(&query, TEXTARRAYOID, array_from_strings(news, TEXTOID), false);
	query_oid(&query, names->relation);

	/*
	 * what it is called, and of which table it is, may be words of its
	 * columns
	 */
	statement = query_end_text(&query, query_run(&query,
												 "SELECT format('CREATE STATISTICS %s.%I%s ON %s FROM %s', s.stxnamespace::regnamespace, $3, m[1], tandem._with_words(m[2], $4, $5), $6::regclass) "
												 "FROM pg_statistic_ext s CROSS JOIN LATERAL regexp_match(left(substr($1, "
												 "length(format('CREATE STATISTICS %s.%I', s.stxnamespace::regnamespace, $2)) + 1), "
												 "-length(format(' FROM %s', $6::regclass))), '^( \\([a-z, ]*\\))? ON (.*)$') m "
												 "WHERE s.stxrelid = $6 AND s.stxname = $2"));
	/* whoever calls for it, it is the owner's */
	if (statement)
		ddl_run_as(authority_table_owner(names->relation), statement, AUTHORITY_PINNED_PATH);
}

static char *
validated_definition(const CarriedObject *object)
{
	const char *mark = " NOT VALID";
	size_t		length = strlen(object->definition) - (object->validated ? 0 : strlen(mark));

	return pnstrdup(object->definition, length);
}

static char *
hint_to_leave(const CarriedObject *object)
{
	return psprintf("To have the changed column go without %s %s, give leave => '{%s}'.",
					object->kind, pstrdup(quote_identifier(object->name)),
					quote_identifier(object->name));
}

static void
build_object(Migration *migration, const Carrying *carrying,
			 const CarriedObject *object, char *built)
{
	Oid			relid = carrying->rule->relation;
	ReleaseNames names = release_names_carried(migration->id, migration->release, relid);
	char	   *key = strcmp(object->kind, "constraint") == 0
	? carried_key_text(migration, relid, object->stored_name) : NULL;

	names.hint = hint_to_leave(object);
	if (strcmp(object->kind, "index") == 0)
		carry_index(migration, &names, object, built);
	else if (key)
		carried_key_add(migration, relid, built, key, object->definition);
	else if (strcmp(object->kind, "constraint") == 0)
		add_build_constraint(migration, &names, built, validated_definition(object));
	else
		carry_statistics(&names, object, built);
}

/* The call that has contract make it of the new column, whose name that is by then. */
static char *
call_to_build_at_contract(const Migration *migration, Oid relid, const CarriedObject *object)
{
	char	   *table = quoting_relation(relid);
	char	   *name = pstrdup(quote_identifier(object->stored_name));
	char	   *statement = psprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD CONSTRAINT %s %s",
									 table, name, name, object->definition);

	return psprintf("SELECT tandem.at_contract(%s, %s, %s);",
					quote_literal_cstr(migration->name), quote_literal_cstr(table),
					quote_literal_cstr(statement));
}

static void
refuse_to_build(const Migration *migration, const Carrying *carrying,
				const CarriedObject *object)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("constraint \"%s\" of table \"%s\" cannot be carried over",
					object->name, quoting_shown_name(carrying->rule->relation)),
			 errdetail("%s: the server cannot build it while others write.", object->definition),
			 errhint("Give it in leave; or have contract make it, with the table locked: %s",
					 call_to_build_at_contract(migration, carrying->rule->relation, object))));
}

static void
carry_object(Migration *migration, const Carrying *carrying,
			 const CarriedObject *object)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *built = reserved_name(migration, carrying->rule->relation, object->given,
									  object->name);

	if (!object->buildable)
		refuse_to_build(migration, carrying, object);
	if (is_view(object))
	{
		if (text_is_among(object->name, carrying->carry))
			note_object(migration, carrying->rule->relation, OPERATION_CARRY, object->given,
						object->name, object->name);
		return;
	}
	forget_carried(migration, carrying->rule->relation, built);
	PG_TRY();
	{
		build_object(migration, carrying, object, built);
	}
	PG_CATCH();
	{
		rethrow_with_hint(caller, hint_to_leave(object));
	}
	PG_END_TRY();
	operation_note_source(note_object(migration, carrying->rule->relation, OPERATION_CARRY,
									  object->kind, built, object->name),
						  object->stored_name);
}

/*-------------------------------------------------------------------------
 * What depends on the values: the user decides.
 *-------------------------------------------------------------------------
 */

static char *
line_of_undecided(const Operation *operation)
{
	return psprintf("%s of table %s, %s", quote_identifier(operation->object),
					quoting_relation(operation->relation), operation->given);
}

static char *
line_of_object(const Migration *migration, Oid relid, const CarriedObject *object)
{
	char	   *line = psprintf("%s %s: %s", object->kind, quote_identifier(object->name),
								object->definition);

	if (object->buildable && object->validated)
		return line;
	return psprintf("%s: %s: %s", line,
					object->buildable ? "carry has it validated; to have it as it is"
					: "not built while others write",
					call_to_build_at_contract(migration, relid, object));
}

static void
warn_of_undecided(const Carrying *carrying, List *lines)
{
	if (lines == NIL)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("not all that stands on column \"%s\" of table \"%s\" is carried over without being asked",
					carrying->rule->new_name, quoting_shown_name(carrying->rule->relation)),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Name each in carry, to have it word for word, or in leave, to have it no more; or call tandem.add_constraint or tandem.add_index with its name. Until then migrate is refused.")));
}

/* What is gone by now needs no decision; what stands on two columns is told once. */
static List *
add_undecided(List *lines, const Migration *migration, List *objects, Oid relid)
{
	ListCell   *lc;

	foreach(lc, objects)
	{
		const CarriedObject *object = lfirst(lc);
		const Operation *operation = find_noted(migration, OPERATION_UNDECIDED, relid,
												object->given, object->name);

		/* what a statement at contract makes of it is the user's */
		if (operation && !operations_name(migration, relid, object->name) &&
			!text_is_among(line_of_undecided(operation), lines))
			lines = lappend(lines, line_of_undecided(operation));
	}
	return lines;
}

void
carried_check_decided(const Migration *migration)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_changing(migration->id))
	{
		Carrying	carrying = {.rule = lfirst(lc)};

		lines = add_undecided(lines, migration, objects_of_column(migration, &carrying),
							  carrying.rule->relation);
	}
	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" does not say what becomes of all that stands on its changed columns",
					migration->name),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Call tandem.change_column again, with each of them in carry or in leave; or call tandem.add_constraint or tandem.add_index with its name.")));
}

char *
carried_name(int migration_id, Oid relid, char *built)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration_id, OPERATION_CARRY))
	{
		const Operation *operation = lfirst(lc);

		if (operation->relation == relid && strcmp(operation->object, built) == 0)
			return operation->new_name;
	}
	return built;
}

char *
carried_build_name(Migration *migration, Oid relid, char *kind, char *name)
{
	Operation  *operation = find_noted(migration, OPERATION_UNDECIDED, relid, kind, name);
	char	   *built;

	if (operation == NULL)
		return name;
	built = reserved_name(migration, relid, kind, name);
	operation_delete(operation);
	note_object(migration, relid, OPERATION_CARRY, kind, built, name);
	return built;
}

/*-------------------------------------------------------------------------
 * Expand.
 *-------------------------------------------------------------------------
 */

/* By an earlier call, whatever has become of it since. */
static bool
is_said_already(const Migration *migration, Oid relid, const char *name)
{
	ListCell   *lc;

	foreach(lc, operation_list(migration->id))
	{
		const Operation *operation = lfirst(lc);

		if (operation->relation == relid &&
			((operation->kind == OPERATION_CARRY && strcmp(operation->new_name, name) == 0) ||
			 (operation->kind == OPERATION_LEAVE && strcmp(operation->object, name) == 0)))
			return true;
	}
	return false;
}

static void
check_names(const Migration *migration, const Carrying *carrying, List *objects, List *names,
			const char *argument)
{
	ListCell   *lc;
	ListCell   *object;

	foreach(lc, names)
	{
		bool		found = is_said_already(migration, carrying->rule->relation, lfirst(lc));

		foreach(object, objects)
			found |= strcmp(((CarriedObject *) lfirst(object))->name, lfirst(lc)) == 0;
		if (!found)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("%s names \"%s\", which does not stand on column \"%s\" of table \"%s\"",
							argument, (char *) lfirst(lc), column_of(carrying),
							quoting_shown_name(carrying->rule->relation)),
					 errhint("Name indexes, constraints or statistics of the column, or views over it, without a schema.")));
	}
}

/* Contract will drop it, as the user has said. */
static bool
is_dropped_index(const Migration *migration, Oid relid, const CarriedObject *object)
{
	ListCell   *lc;

	foreach(lc, operation_list_of_kind(migration->id, OPERATION_DROP_INDEX))
	{
		const Operation *operation = lfirst(lc);

		if (operation->relation == relid && strcmp(object->kind, "index") == 0 &&
			strcmp(operation->object, object->stored_name) == 0)
			return true;
	}
	return false;
}

static bool
is_carried_unasked(const Carrying *carrying, const CarriedObject *object)
{
	return object->buildable && object->validated &&
		(!object->depends_on_values || (carrying->word_for_word && !is_view(object)));
}

/* Returns the lines, and that of an object of which the user is to say what becomes of it. */
static List *
carry_or_ask(Migration *migration, const Carrying *carrying, CarriedObject *object,
			 List *lines)
{
	Oid			relid = carrying->rule->relation;

	if (is_dropped_index(migration, relid, object))
		return lines;
	if (text_is_among(object->name, carrying->leave))
		note_object(migration, relid, OPERATION_LEAVE, object->given, object->name, NULL);
	else if (is_carried_unasked(carrying, object) || text_is_among(object->name, carrying->carry))
		carry_object(migration, carrying, object);
	else if (find_noted(migration, OPERATION_UNDECIDED, relid, object->given, object->name) == NULL)
	{
		note_object(migration, relid, OPERATION_UNDECIDED,
					psprintf("%s: %s", object->given, object->definition),
					object->name, NULL);
		return lappend(lines, line_of_object(migration, relid, object));
	}
	return lines;
}

/*
 * Foreign keys of columns that were changed before, or need not be, refer to the twin from
 * now on.  Returns the lines of those that are not carried over unasked.
 */
static List *
carry_keys_that_refer(Migration *migration, const Carrying *carrying)
{
	List	   *lines = NIL;
	ListCell   *lc;
	ListCell   *object;

	foreach(lc, carried_keys_referring(migration, carrying->rule->relation, column_of(carrying)))
	{
		ReferringKey *key = lfirst(lc);
		SyncRule	rule = {.relation = key->relation,.old_columns = list_make1(key->column)};
		Carrying	referring = {.rule = &rule,.word_for_word = true};

		foreach(object, built_objects(migration, &referring))
		{
			CarriedObject *one = lfirst(object);

			if (strcmp(one->kind, "constraint") == 0 &&
				strcmp(one->stored_name, key->constraint) == 0 &&
				find_noted(migration, OPERATION_LEAVE, key->relation, one->given, one->name) == NULL)
				lines = carry_or_ask(migration, &referring, one, lines);
		}
	}
	return lines;
}

void
carry_over(Migration *migration, const Carrying *carrying)
{
	List	   *objects = objects_of_column(migration, carrying);
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, carrying->carry)
	{
		if (text_is_among(lfirst(lc), carrying->leave))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is in carry and in leave", (char *) lfirst(lc)),
					 errhint("Name it in one of the two.")));
	}
	check_names(migration, carrying, objects, carrying->carry, "carry");
	check_names(migration, carrying, objects, carrying->leave, "leave");
	carry_rights(carrying);
	carry_properties(carrying);
	foreach(lc, objects)
		lines = carry_or_ask(migration, carrying, lfirst(lc), lines);
	lines = list_concat(lines, carry_keys_that_refer(migration, carrying));
	warn_of_undecided(carrying, lines);
}

/* A call that says otherwise than one before would be passed over. */
static void
check_decision_stays(const Migration *migration, const Carrying *carrying,
					 const CarriedObject *object)
{
	bool		carry = text_is_among(object->name, carrying->carry);
	bool		leave = text_is_among(object->name, carrying->leave);
	Oid			relid = carrying->rule->relation;

	if ((carry && find_noted(migration, OPERATION_LEAVE, relid, object->given, object->name)) ||
		(leave && find_noted(migration, OPERATION_CARRY, relid, object->given, object->name)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s \"%s\" was in %s when the column was changed first",
						object->kind, object->name, carry ? "leave" : "carry"),
				 errhint("Give it as before; or run CALL tandem.abort(%s); and begin again.",
						 quote_literal_cstr(migration->name))));
}

bool
carry_decide(Migration *migration, const Carrying *carrying)
{
	Oid			relid = carrying->rule->relation;
	bool		decided = false;
	List	   *objects;
	ListCell   *lc;

	if (carrying->carry == NIL && carrying->leave == NIL)
		return false;
	objects = objects_of_column(migration, carrying);
	check_names(migration, carrying, objects, carrying->carry, "carry");
	check_names(migration, carrying, objects, carrying->leave, "leave");
	foreach(lc, objects)
	{
		CarriedObject *object = lfirst(lc);
		Operation  *operation = find_noted(migration, OPERATION_UNDECIDED, relid, object->given, object->name);

		check_decision_stays(migration, carrying, object);
		if (operation == NULL)
			continue;
		if (text_is_among(object->name, carrying->carry))
		{
			operation_delete(operation);
			carry_object(migration, carrying, object);
			decided = true;
		}
		else if (text_is_among(object->name, carrying->leave))
		{
			operation_delete(operation);
			note_object(migration, relid, OPERATION_LEAVE, object->given, object->name, NULL);
			decided = true;
		}
	}
	return decided;
}
