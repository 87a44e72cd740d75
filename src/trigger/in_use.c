/*
 * in_use.c
 *		Is there anything in this database that DDL may concern?
 *
 * The event triggers are called for each DDL command of a database, and most of the
 * time there is nothing for them to do.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/inval.h"

#include "catalog/migration.h"
#include "catalog/registry.h"
#include "core/extension.h"
#include "rule/sync_trigger.h"
#include "trigger/in_use.h"

/*
 * The generation of the registry in which nothing was found, or 0.  Whatever ends
 * that has the registry invalidated in all sessions: migration_create,
 * release_view_note, release_record_write, rows that are loaded, and the guard
 * for a trigger that comes without a migration.  Who commits that has locked the
 * table, so a command on the same table that waits for it gets to know.
 */
static uint64 idle_in = 0;

/* The transaction that has found something: it takes that for granted. */
static TransactionId used_in = InvalidTransactionId;

/* What the transaction had taken away is there again. */
static void
forget_at_abort(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		idle_in = 0;
}

static void
forget_at_subabort(SubXactEvent event, SubTransactionId subtransaction,
				   SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		idle_in = 0;
}

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(forget_at_abort, NULL);
	RegisterSubXactCallback(forget_at_subabort, NULL);
	registered = true;
}

static bool
anything_is_there(void)
{
	return open_migration_exists() ||
		sync_trigger_exists() ||
		extension_index_has_rows("view", "view_pkey") ||
		extension_index_has_rows("publication", "publication_pkey") ||
		extension_index_has_rows("sync", "sync_unstored_idx");
}

bool
extension_in_use(void)
{
	TransactionId transaction = GetTopTransactionIdIfAny();
	uint64		generation;

	if (TransactionIdIsValid(transaction) && transaction == used_in)
		return true;
	register_callbacks();
	AcceptInvalidationMessages();
	/* its messages are told from those of other tables only if it is known */
	(void) registry_relid();
	generation = registry_generation();
	if (idle_in == generation)
		return false;
	if (anything_is_there())
	{
		used_in = transaction;
		return true;
	}
	idle_in = generation;
	return false;
}

void
extension_use_begins(void)
{
	registry_changed();
	/* no subtransaction may begin with a message that is not processed */
	CommandCounterIncrement();
}
