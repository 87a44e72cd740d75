/*
 * served.c
 *		The registry as this session sees it.
 *
 * Changes are announced by an invalidation of the relcache entry of
 * tandem.registry, which sessions take notice of at the first look of a
 * transaction.  The callback only marks: it may run in any place.
 */
#include "postgres.h"

#include "commands/extension.h"
#include "utils/inval.h"

#include "core/compat.h"
#include "release/served.h"

static Registry session_registry;
static Oid	session_relid = InvalidOid;
static bool session_valid = false;

static Registry transaction_registry;
static LocalTransactionId transaction = InvalidLocalTransactionId;

static void
mark_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == session_relid ||
		session_relid == InvalidOid)
		session_valid = false;
}

void
served_init(void)
{
	CacheRegisterRelcacheCallback(mark_changed, (Datum) 0);
}

const Registry *
served_now(void)
{
	/* while its script runs, a part of the tables is there */
	if (creating_extension)
		return NULL;
	AcceptInvalidationMessages();
	if (session_valid)
		return OidIsValid(session_relid) ? &session_registry : NULL;
	/* a change that comes while it is read makes it invalid again */
	session_valid = true;
	session_relid = registry_relid();
	if (!OidIsValid(session_relid))
		return NULL;
	PG_TRY();
	{
		registry_read(&session_registry);
	}
	PG_CATCH();
	{
		session_valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	return &session_registry;
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
	transaction_registry = *registry;
	transaction = now;
	return &transaction_registry;
}
