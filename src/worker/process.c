/*
 * process.c
 *		Background workers: starting one, and what each does first.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "worker/process.h"
#include "worker/quota.h"

/* Where a role or database has its own, they are meant for its clients. */
static const char *const settings_of_workers[][2] = {
	{"default_transaction_read_only", "off"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_deferrable", "off"},
	{"statement_timeout", "0"},
	{"lock_timeout", "0"},
	{"idle_in_transaction_session_timeout", "0"},
	{"transaction_timeout", "0"},	/* from 17 */
	/* how the statements of a step are written and read, and where they build */
	{"standard_conforming_strings", "on"},
	{"intervalstyle", "postgres"},
	{"default_tablespace", ""},
	{"application_name", "pg_tandem"},
};

static bool
can_log_in(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool		can;

	if (!HeapTupleIsValid(tuple))
		return false;
	can = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	return can;
}

void
process_order_init(ProcessOrder *order, Oid role, Oid login)
{
	memset(order, 0, sizeof(ProcessOrder));
	order->database = MyDatabaseId;
	order->role = order->login = role;
	order->payer = GetUserId();
	if (!COMPAT_WORKER_NEEDS_LOGIN || can_log_in(role))
		return;
	order->login = login;
	if (!OidIsValid(login) || !can_log_in(login))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" cannot log in, and so cannot run in the background",
						GetUserNameFromId(role, false)),
				 errhint("ALTER ROLE %s LOGIN; or call it in a session of a member of that role.",
						 quote_identifier(GetUserNameFromId(role, false)))));
}

BackgroundWorkerHandle *
process_start(const char *function, const char *name,
			  const ProcessOrder *order)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;

	if (!quota_is_left(order->payer, order->spare))
		return NULL;
	StaticAssertStmt(sizeof(ProcessOrder) <= BGW_EXTRALEN,
					 "order must fit into bgw_extra");
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "$libdir/pg_tandem", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pg_tandem", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "pg_tandem: %s", name);
	memcpy(worker.bgw_extra, order, sizeof(ProcessOrder));
	return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : NULL;
}

static void
take_role(Oid role)
{
	if (role == GetUserId())
		return;
	(void) set_config_option("role", GetUserNameFromId(role, false),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true,
							 0, false);
}

void
process_begin(ProcessOrder *order)
{
	memcpy(order, MyBgworkerEntry->bgw_extra, sizeof(ProcessOrder));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(order->database, order->login,
											  COMPAT_WORKER_FLAGS);
	StartTransactionCommand();
	quota_take(order->payer, order->spare);
	if (OidIsValid(order->role))
		take_role(order->role);
	for (int i = 0; i < (int) lengthof(settings_of_workers); i++)
	{
		if (GetConfigOption(settings_of_workers[i][0], true, false))
			SetConfigOption(settings_of_workers[i][0],
							settings_of_workers[i][1], PGC_USERSET,
							PGC_S_SESSION);
	}
	CommitTransactionCommand();
}

void
process_reload_settings(void)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
}
