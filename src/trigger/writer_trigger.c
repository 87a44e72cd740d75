/*
 * writer_trigger.c
 *		Installs the trigger that marks who writes a table that a migration
 *		renames or drops.
 *
 * It is a statement's, which the server does not clone to partitions: each
 * table of the tree has its own, for those who write it by its name.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/builtins.h"

#include "catalog/operation.h"
#include "core/relation.h"
#include "core/statement.h"
#include "core/text.h"
#include "trigger/writer_trigger.h"

static bool
has_writer_trigger(Oid relid)
{
	return OidIsValid(get_trigger_oid(relid, WRITER_TRIGGER_NAME, true));
}

bool
writer_trigger_agrees(Oid relid)
{
	return operation_watches_table(relid) == has_writer_trigger(relid);
}

void
writer_trigger_install(Oid relid)
{
	const char *name = quote_identifier(WRITER_TRIGGER_NAME);

	if (operation_watches_table(relid))
		ddl_run(psprintf("CREATE OR REPLACE TRIGGER %s BEFORE INSERT OR UPDATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION tandem.note_writer()",
						 name, quoting_relation(relid)));
	else if (has_writer_trigger(relid))
		ddl_run(psprintf("DROP TRIGGER %s ON %s", name, quoting_relation(relid)));
}
