/*
 * parts.c
 *		What contract takes along beyond the old columns, and what these have
 *		and the new ones lack.
 *
 * The functions tandem._contract_parts and _contract_texts of the extension's
 * script look at the catalogs, and decide which kinds refuse.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "core/query.h"
#include "core/text.h"
#include "core/transaction.h"
#include "ending/parts.h"

/* In the order of README.md. */
static const char *const part_kinds[] = {
	"defaults", "not null", "unique constraints", "exclusion constraints",
	"foreign keys", "check constraints", "indexes", "extended statistics",
	"trigger functions", "expressions", "privileges", "sequences", "comment",
	"security label", "statistics target", "storage", "compression",
	"column options", "stored rows", "functions", "views", "statements",
};

/* of which each but the last met an object that was being dropped */
#define MOST_LOOKS 10

static void *
read_contract_part(uint64 row)
{
	ContractPart *part = palloc(sizeof(ContractPart));

	part->part = query_get_text(row, 1);
	part->object = query_get_text(row, 2);
	part->what_happens = query_get_text(row, 3);
	part->remedy = query_get_text(row, 4);
	part->refuses = query_get_bool(row, 5);
	return part;
}

typedef struct PartsRead
{
	const char *sql;
	void	   *(*read_row) (uint64 row);
	int			migration_id;
	MemoryContext caller;
	List	   *parts;			/* of what read_row returns */
} PartsRead;

static void
read_parts(void *arg)
{
	PartsRead  *read = arg;
	MemoryContext here = MemoryContextSwitchTo(read->caller);
	TandemQuery query;

	query_begin(&query);
	query_int(&query, read->migration_id);
	read->parts = query_rows(&query, read->sql, read->read_row);
	query_end(&query);
	MemoryContextSwitchTo(here);
}

/*
 * Nothing that is looked at is locked, and the server's functions fail for what the
 * snapshot shows and another session has dropped since: it is looked at again then, as
 * often as this may be.  sql is a constant, see query_run.
 */
static List *
read_contract_parts(const char *sql, int migration_id)
{
	PartsRead	read = {
		.sql = sql,.read_row = read_contract_part,
		.migration_id = migration_id,.caller = CurrentMemoryContext
	};

	for (int looks = 1;; looks++)
	{
		ErrorData  *error = subtransaction_try(read_parts, &read);

		if (error == NULL)
			return read.parts;
		if (error->sqlerrcode != ERRCODE_INTERNAL_ERROR || looks == MOST_LOOKS)
			ReThrowError(error);
	}
}

#define PARTS_SELECT(function) \
	"SELECT part, object, what_happens, remedy, refuses FROM " function " " \
	"ORDER BY refuses DESC, part COLLATE \"C\", object COLLATE \"C\", what_happens COLLATE \"C\""

List *
contract_parts(const Migration *migration)
{
	return read_contract_parts(PARTS_SELECT("tandem._contract_parts($1)"),
							   migration->id);
}

List *
contract_texts(const Migration *migration)
{
	return read_contract_parts(PARTS_SELECT("tandem._contract_texts($1)"),
							   migration->id);
}

static void *
read_kind(uint64 row)
{
	return query_get_text(row, 1);
}

List *
contract_part_kinds(int migration_id)
{
	PartsRead	read = {
		.sql = "SELECT DISTINCT part COLLATE \"C\" FROM tandem._contract_parts($1) "
		"UNION SELECT 'in use' WHERE EXISTS (SELECT FROM tandem._columns_in_use($1)) ORDER BY 1",
		.read_row = read_kind,.migration_id = migration_id,.caller = CurrentMemoryContext
	};
	ErrorData  *error = subtransaction_try(read_parts, &read);

	if (error == NULL)
		return read.parts;
	/* what the reader's snapshot shows may have been dropped since */
	if (error->sqlerrcode != ERRCODE_INTERNAL_ERROR)
		ReThrowError(error);
	return NIL;
}

static char *
part_kinds_joined(void)
{
	List	   *kinds = NIL;

	for (int i = 0; i < (int) lengthof(part_kinds); i++)
		kinds = lappend(kinds, unconstify(char *, part_kinds[i]));
	return text_joined(kinds, "", ", ");
}

void
contract_parts_check_names(List *accept)
{
	ListCell   *lc;

	foreach(lc, accept)
	{
		const char *name = lfirst(lc);

		if (name != NULL &&
			text_index(name, part_kinds, lengthof(part_kinds)) >= 0)
			continue;
		ereport(ERROR,
				(errcode(name ? ERRCODE_INVALID_PARAMETER_VALUE
						 : ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 name ? errmsg("\"%s\" is not a part of what contract takes along",
							   name)
				 : errmsg("accept must not contain nulls"),
				 errhint("The parts are: %s. What preview_contract shows as in use cannot be accepted.",
						 part_kinds_joined())));
	}
}

static char *
part_line(const ContractPart *part)
{
	return psprintf("- %s: %s: %s", part->part, part->object,
					part->what_happens);
}

/* Returns the lines of the parts; refused: of those that accept leaves out. */
static List *
part_lines(List *parts, List *accept, bool refused, List **kinds)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, parts)
	{
		ContractPart *part = lfirst(lc);

		if (refused && (!part->refuses || text_is_among(part->part, accept)))
			continue;
		lines = lappend(lines, part_line(part));
		if (part->refuses && !text_is_among(part->part, *kinds))
			*kinds = lappend(*kinds, part->part);
	}
	return lines;
}

void
contract_parts_check(const Migration *migration, List *parts, List *accept)
{
	List	   *kinds = list_copy(accept);
	List	   *lines = part_lines(parts, accept, true, &kinds);
	char	   *name = quote_literal_cstr(migration->name);

	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("contract of migration \"%s\" would lose more than the old columns",
					migration->name),
			 errdetail("%s", text_joined(lines, "", "\n")),
			 errhint("SELECT * FROM tandem.preview_contract(%s); shows a remedy for each. To let them go, run CALL tandem.contract(%s, accept => %s);",
					 name, name, array_literal(kinds))));
}

/* What contract is refused for whatever it accepts, as far as the tables show. */
static List *
lines_in_use(const Migration *migration)
{
	TandemQuery query;
	List	   *lines;

	query_begin(&query);
	query_int(&query, migration->id);
	lines = query_texts(&query,
						"SELECT '- in use: ' || u.line FROM tandem._columns_in_use($1) u ORDER BY u.line COLLATE \"C\"");
	query_end(&query);
	return lines;
}

static List *
kinds_left(List *kinds, List *accepted)
{
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, kinds)
	{
		if (!text_is_among(lfirst(lc), accepted))
			left = lappend(left, lfirst(lc));
	}
	return left;
}

void
contract_parts_warn(const Migration *migration, List *parts, List *accepted)
{
	List	   *kinds = NIL;
	List	   *lines = part_lines(list_concat_copy(parts, contract_texts(migration)),
								   NIL, false, &kinds);
	List	   *open = kinds_left(kinds, accepted);
	List	   *in_use = lines_in_use(migration);
	char	   *name = quote_literal_cstr(migration->name);

	lines = list_concat(list_copy(in_use), lines);
	if (lines == NIL)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 kinds == NIL && list_length(lines) == list_length(in_use)
			 ? errmsg("contract of migration \"%s\" is refused while old columns are in use",
					  migration->name)
			 : errmsg("contract of migration \"%s\" takes along more than the old columns, or loses what they have",
					  migration->name),
			 errdetail("%s", text_joined(lines, "", "\n")),
			 open == NIL
			 ? errhint("SELECT * FROM tandem.preview_contract(%s); shows a remedy for each.",
					   name)
			 : errhint("SELECT * FROM tandem.preview_contract(%s); shows a remedy for each. Contract is refused until these parts are gone, or accepted: %s.",
					   name, text_joined(open, "", ", "))));
}
