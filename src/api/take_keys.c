/*
 * take_keys.c
 *		SQL function take_keys: replicated tables get the new keys as their replica
 *		identity, before contract drops the old ones.
 *
 * Of a row that is updated or deleted a server sends the columns of its own replica
 * identity, and finds it by those of its own; while it sends all of them, by its primary
 * key.  So a key moves in three steps, each of which a region may take when all have
 * taken the one before:
 *
 *		1	all columns are sent: REPLICA IDENTITY FULL, and no lists of columns
 *		2	the new key is the primary key, the old one a unique constraint
 *		3	the new key is the replica identity: REPLICA IDENTITY DEFAULT
 *
 * How far it is the catalogs say (tandem._moving_keys).  Contract then drops a column
 * that nobody needs.  The steps back are the same in the other order.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "api/arguments.h"
#include "api/carried_key.h"
#include "api/take_keys.h"
#include "catalog/migration.h"
#include "catalog/migration_rights.h"
#include "catalog/region_row.h"
#include "core/lock.h"
#include "core/query.h"
#include "core/relation.h"
#include "core/sql_function.h"
#include "core/statement.h"
#include "core/text.h"
#include "region/gate.h"
#include "region/release_publication.h"
#include "region/release_subscription.h"

SQL_FUNCTION(tandem_take_keys);

#define LAST_STEP 3
#define STEP_OF_INDEX (-1)

/*-------------------------------------------------------------------------
 * How far it is.
 *-------------------------------------------------------------------------
 */

/* A table, or partition, whose replica identity moves. */
typedef struct MovingKey
{
	Oid			relation;
	int			step;
} MovingKey;

static List *
moving_keys(const Migration *migration)
{
	List	   *keys = NIL;
	TandemQuery query;

	query_begin(&query);
	query_int(&query, migration->id);
	/* what others have done since the statement began counts, too */
	for (uint64 row = 0, rows = query_run_latest(&query, "SELECT relation, step FROM tandem._moving_keys WHERE migration = $1 ORDER BY relation"); row < rows; row++)
	{
		MovingKey  *key = palloc(sizeof(MovingKey));

		*key = (MovingKey)
		{
			.relation = query_get_oid(row, 1),.step = query_get_int(row, 2)
		};
		keys = lappend(keys, key);
	}
	query_end(&query);
	return keys;
}

/* Returns the step that all tables have taken, or, back, that none has gone beyond. */
static int
step_of_keys(List *keys, bool back)
{
	int			step = back ? 0 : LAST_STEP;
	ListCell   *lc;

	foreach(lc, keys)
	{
		const MovingKey *key = lfirst(lc);

		step = back ? Max(step, key->step) : Min(step, key->step);
	}
	return step;
}

/*
 * Returns a line for each other region whose step is not between these; *first: the
 * first of them.
 */
static List *
regions_elsewhere(const Migration *migration, int lowest, int highest, char **first)
{
	TandemQuery query;
	List	   *lines = NIL;
	uint64		rows;

	query_begin(&query);
	query_text(&query, migration->name);
	query_int(&query, migration->release);
	query_int(&query, lowest);
	query_int(&query, highest);
	rows = query_run_latest(&query,
							"SELECT region, line FROM tandem._key_regions($1, $2, $3, $4) ORDER BY region");
	if (rows > 0)
		*first = query_get_text(0, 1);
	for (uint64 row = 0; row < rows; row++)
		lines = lappend(lines, query_get_text(row, 2));
	query_end(&query);
	return lines;
}

static char *
call_text(const Migration *migration, bool back)
{
	return psprintf("SELECT tandem.take_keys(%s%s);", quote_literal_cstr(migration->name),
					back ? ", back => true" : "");
}

/* Of the primary key the same columns are sent either way. */
static char *
hint_to_leave_index(Oid relid, bool primary, const char *then)
{
	return primary
		? psprintf("It is the primary key, so that what is sent stays the same: run ALTER TABLE %s REPLICA IDENTITY DEFAULT; in each region%s.",
				   quoting_relation(relid), then)
		: psprintf("Have the application stop writing the table in all regions, and when all has arrived, run ALTER TABLE %s REPLICA IDENTITY DEFAULT; in each%s.",
				   quoting_relation(relid), then);
}

/* Is the index that is its replica identity the primary key? */
static bool
identity_is_primary(Oid relid)
{
	TandemQuery query;
	bool		primary;

	query_begin(&query);
	query_oid(&query, relid);
	primary = query_run(&query,
						"SELECT FROM pg_index i WHERE i.indrelid = $1 AND i.indisreplident AND i.indisprimary") > 0;
	query_end(&query);
	return primary;
}

void
keys_warn_of_index(const SyncRule *rule)
{
	TandemQuery query;
	List	   *relids;
	ListCell   *lc;

	query_begin(&query);
	query_oid(&query, rule->relation);
	query_name(&query, linitial(rule->old_columns));
	relids = query_oids(&query,
						"SELECT c.oid FROM (SELECT $1 AS oid UNION SELECT p.relid FROM pg_partition_tree($1) p) t "
						"JOIN pg_class c ON c.oid = t.oid AND c.relreplident = 'i' JOIN pg_index i ON i.indrelid = c.oid AND i.indisreplident "
						"JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND a.attnum = ANY (i.indkey) "
						"WHERE tandem._is_replicated($1) ORDER BY c.oid");
	query_end(&query);
	foreach(lc, relids)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("the replica identity of table %s is an index over a column that goes",
						quoting_relation(lfirst_oid(lc))),
				 errdetail("While there are other regions, tandem.take_keys and contract are refused."),
				 errhint("%s", hint_to_leave_index(lfirst_oid(lc), identity_is_primary(lfirst_oid(lc)), ""))));
}

/* With an index of its own neither all columns nor another key are ever enough for the others. */
static void
check_keys_can_move(const Migration *migration, List *keys)
{
	ListCell   *lc;

	foreach(lc, keys)
	{
		const MovingKey *key = lfirst(lc);

		if (key->step == STEP_OF_INDEX)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the replica identity of table %s is an index over a column that goes",
							quoting_relation(key->relation)),
					 errdetail("It cannot move while other regions write the table: what they send of a row that is deleted is not what is asked for here."),
					 errhint("%s", hint_to_leave_index(key->relation, identity_is_primary(key->relation), "; then call it again"))));
	}
}

/*-------------------------------------------------------------------------
 * What contract and abort ask.
 *-------------------------------------------------------------------------
 */

/* Returns a line for each region, this one first, whose keys have not moved. */
static List *
regions_behind(const Migration *migration, List *keys, char **first)
{
	int			step = step_of_keys(keys, false);
	List	   *lines = keys == NIL ? NIL
	: regions_elsewhere(migration, LAST_STEP, LAST_STEP, first);

	if (keys != NIL && step == STEP_OF_INDEX)
		return lcons("the replica identity of a table here is an index", lines);
	if (keys != NIL && step < LAST_STEP)
		return lcons(psprintf("this region is at step %d", step), lines);
	return lines;
}

List *
keys_not_taken(const Migration *migration, char **remedy)
{
	char	   *first = NULL;
	List	   *keys = region_others() == NIL ? NIL : moving_keys(migration);
	List	   *lines = regions_behind(migration, keys, &first);

	*remedy = psprintf("in each region in turn, until all have taken step %d: %s", LAST_STEP,
					   call_text(migration, false));
	return lines;
}

void
keys_check_taken(const Migration *migration, bool force)
{
	List	   *keys = force || region_others() == NIL ? NIL : moving_keys(migration);
	char	   *first = NULL;
	List	   *lines = regions_behind(migration, keys, &first);

	if (lines == NIL)
		return;
	check_keys_can_move(migration, keys);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("replica identities of migration \"%s\" have still to move to the new columns",
					migration->name),
			 errdetail("No region could apply what another writes after contract. There are %d steps.\n%s",
					   LAST_STEP, text_joined(lines, "- ", "\n")),
			 errhint("Run %s in each region in turn until all have taken step %d; begin %s.",
					 call_text(migration, false), LAST_STEP,
					 step_of_keys(keys, false) < LAST_STEP ? "here" : psprintf("in region %s", first))));
}

void
keys_check_not_taken(const Migration *migration)
{
	List	   *keys = moving_keys(migration);
	int			step = step_of_keys(keys, true);
	char	   *first = NULL;
	List	   *lines;

	if (keys == NIL)
		return;
	lines = regions_elsewhere(migration, 0, 1, &first);
	if (step >= 2)
		lines = lcons(psprintf("this database is at step %d", step), lines);
	if (lines == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("replica identities of migration \"%s\" have moved to the new columns",
					migration->name),
			 errdetail("%s", text_joined(lines, "- ", "\n")),
			 errhint("Run %s in each region in turn until all are at step 0, then abort.",
					 call_text(migration, true))));
}

/*-------------------------------------------------------------------------
 * The steps.
 *-------------------------------------------------------------------------
 */

static void
check_phase(const Migration *migration)
{
	if (migration->phase == PHASE_CONTRACT)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" is in phase %s", migration->name,
					phase_name(migration->phase)),
			 errdetail("Its keys are taken once all rows are filled, and before contract."),
			 migration->phase == PHASE_EXPAND || migration->phase == PHASE_MIGRATE
			 ? errhint("Run CALL tandem.migrate(%s); first.", quote_literal_cstr(migration->name))
			 : errhint("Run SELECT name, phase FROM tandem.migrations; to see what is open.")));
}

/*
 * Forward all others must have come as far; back none may be beyond: what they send lacks
 * what is asked for here then, or the other way round.
 */
static void
check_regions(const Migration *migration, int step, bool back)
{
	char	   *first = NULL;
	List	   *lines = back ? regions_elsewhere(migration, 0, step, &first)
	: regions_elsewhere(migration, step, LAST_STEP, &first);

	if (lines != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the keys of migration \"%s\" wait for another region", migration->name),
				 errdetail("This region is at step %d.\n%s", step, text_joined(lines, "- ", "\n")),
				 errhint("Run %s in region %s; then call this again once that has arrived.",
						 call_text(migration, back), first)));
}

static void
set_identity(Oid relid, const char *identity)
{
	ddl_run(psprintf("ALTER TABLE %s REPLICA IDENTITY %s", quoting_relation(relid), identity));
}

/* The step from one to the next, up or down. */
static void
move_key(const Migration *migration, const MovingKey *key, bool back)
{
	int			upper = key->step + (back ? 0 : 1);

	if (upper == 2)
		carried_keys_exchange(migration, key->relation, back);
	else
		set_identity(key->relation, (upper == 1) == back ? "DEFAULT" : "FULL");
}

static const char *
what_holds(int step)
{
	switch (step)
	{
		case 0:
			return "the old keys are the replica identities";
		case 1:
			return "all columns are sent, and the old keys are the primary keys";
		case 2:
			return "all columns are sent, and the new keys are the primary keys";
		default:
			return "the new keys are the replica identities";
	}
}

/* Those of a tree follow their topmost table. */
static List *
topmost_tables(List *keys)
{
	List	   *roots = NIL;
	ListCell   *lc;

	foreach(lc, keys)
		roots = list_append_unique_oid(roots, table_root(((MovingKey *) lfirst(lc))->relation));
	return roots;
}

static void
move_keys(const Migration *migration, List *keys, int step, bool back)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, keys)
		relids = lappend_oid(relids, ((MovingKey *) lfirst(lc))->relation);
	lock_relations(relids, AccessExclusiveLock);
	foreach(lc, keys)
	{
		if (((MovingKey *) lfirst(lc))->step == step)
			move_key(migration, lfirst(lc), back);
	}
	release_publication_follow(topmost_tables(keys), 0);
}

Datum
tandem_take_keys(PG_FUNCTION_ARGS)
{
	Migration  *migration = migration_get_for_change(argument_text(fcinfo, 0, "migration"));
	bool		back = argument_bool(fcinfo, 1, "back");
	List	   *keys;
	int			step;
	int			next;
	RegionGate	gate = {
		.act = back ? REGION_GIVE_KEYS_BACK : REGION_TAKE_KEYS,.release = migration->release,
		.migration_id = migration->id,.name = migration->name
	};

	ddl_refuse_nested();
	check_phase(migration);
	keys = moving_keys(migration);
	step = step_of_keys(keys, back);
	if (keys == NIL || step == (back ? 0 : LAST_STEP))
	{
		ereport(NOTICE,
				(keys == NIL
				 ? errmsg("migration \"%s\" moves no replica identity of a replicated table, skipping",
						  migration->name)
				 : errmsg("keys of migration \"%s\" are at step %d already, skipping",
						  migration->name, step)));
		PG_RETURN_INT32(step);
	}
	next = back ? step - 1 : step + 1;
	check_keys_can_move(migration, keys);
	check_regions(migration, step, back);
	region_gate_announce(&gate);
	(void) region_lock();
	/* what they have done without knowing of it has arrived */
	check_regions(migration, step, back);
	region_gate_pass(&gate);
	/* lists of columns, which whole rows exclude, go */
	if (next == 1 && !back && release_publication_exists())
		release_subscription_take(0, ERROR);
	move_keys(migration, keys, step, back);
	region_follow();
	migration_record(migration, "take keys", psprintf("step %d: %s", next, what_holds(next)), 0);
	ereport(NOTICE,
			(errmsg("step %d of %d: %s", next, LAST_STEP, what_holds(next)),
			 next == (back ? 0 : LAST_STEP) ? 0
			 : errhint("Once all regions are there, run %s again.", call_text(migration, back))));
	PG_RETURN_INT32(next);
}
