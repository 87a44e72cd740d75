/*
 * statement.c
 *		DDL statements of ours.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/snapmgr.h"

#include "core/authority.h"
#include "core/extension.h"
#include "ddl/statement.h"

static bool running = false;

bool
ddl_is_running(void)
{
	return running;
}

/* Within a scope that has pinned the search_path. */
static void
run_statement(const char *sql)
{
	int			result = 0;

	extension_refuse_upgrade();
	authority_pin_text_forms();
	SPI_connect();
	running = true;
	PG_TRY();
	{
		/* SPI finds none by itself in a worker, which has no portal */
		PushActiveSnapshot(GetTransactionSnapshot());
		result = SPI_execute(sql, false, 0);
		PopActiveSnapshot();
	}
	PG_FINALLY();
	{
		running = false;
	}
	PG_END_TRY();
	if (result != SPI_OK_UTILITY)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("statement failed: %s", SPI_result_code_string(result)),
				 errdetail("Statement: %s", sql)));
	SPI_finish();
	CommandCounterIncrement();
}

void
ddl_run(const char *sql)
{
	AuthorityScope scope;

	authority_pin_search_path(&scope);
	run_statement(sql);
	authority_leave(&scope);
}

void
ddl_run_stored(Oid relid, const char *sql)
{
	AuthorityScope scope;

	authority_enter_stored(&scope, relid);
	run_statement(sql);
	authority_leave(&scope);
}
