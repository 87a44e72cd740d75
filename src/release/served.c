/*
 * served.c
 *		The registry as this session sees it.
 *
 * Changes are announced by an invalidation of the relcache entry of
 * tandem.registry, which sessions take notice of at the first look of a
 * transaction.  The registry of the session and its copy for the transaction
 * are each in a context of their own.
 */
#include "postgres.h"

#include "commands/extension.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "core/compat.h"
#include "release/served.h"

static Registry session_registry;
static MemoryContext session_context = NULL;
static bool session_has_one = false;
static uint64 session_generation = 0;	/* that it was read at; 0: it was not */

static Registry transaction_registry;
static MemoryContext transaction_context = NULL;
static uint64 transaction_generation = 0;
static LocalTransactionId transaction = InvalidLocalTransactionId;

static void
reset_context(MemoryContext *context)
{
	if (*context == NULL)
		*context = AllocSetContextCreate(TopMemoryContext, "tandem releases",
										 ALLOCSET_SMALL_SIZES);
	else
		MemoryContextReset(*context);
}

/* While the script of this extension runs, a part of its tables is there. */
static bool
is_being_created(void)
{
	return creating_extension &&
		CurrentExtensionObject == get_extension_oid("pg_tandem", true);
}

static void
read_registry(void)
{
	/* a change that comes while it is read makes it be read again */
	uint64		reading = registry_generation();
	MemoryContext caller;

	session_generation = 0;
	session_has_one = OidIsValid(registry_relid());
	if (session_has_one)
	{
		reset_context(&session_context);
		caller = MemoryContextSwitchTo(session_context);
		registry_read(&session_registry);
		MemoryContextSwitchTo(caller);
	}
	session_generation = reading;
}

const Registry *
served_now(void)
{
	if (is_being_created())
		return NULL;
	AcceptInvalidationMessages();
	if (session_generation != registry_generation())
		read_registry();
	return session_has_one ? &session_registry : NULL;
}

const Registry *
served_or_error(void)
{
	const Registry *registry = served_now();

	if (registry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the release registry is not there"),
				 errdetail("Extension pg_tandem is being created or altered, or its tables do not belong to it any more."),
				 errhint("Ask again when that has ended.")));
	return registry;
}

/* Where it is the same as that of the last transaction nothing is copied. */
static void
copy_for_transaction(const Registry *registry)
{
	Size		size = sizeof(ReleaseRange) * registry->nready;

	if (transaction_generation == session_generation)
		return;
	reset_context(&transaction_context);
	transaction_registry = *registry;
	transaction_registry.ready = MemoryContextAlloc(transaction_context, size);
	memcpy(transaction_registry.ready, registry->ready, size);
	transaction_generation = session_generation;
}

const Registry *
served_in_transaction(void)
{
	LocalTransactionId now = compat_local_transaction_id();
	const Registry *registry;

	if (now == transaction)
		return &transaction_registry;
	registry = served_now();
	if (registry == NULL)
		return NULL;
	copy_for_transaction(registry);
	transaction = now;
	return &transaction_registry;
}
