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

static void
create_writer_trigger(Oid relid)
{
	ddl_run(psprintf("CREATE OR REPLACE TRIGGER %s BEFORE INSERT OR UPDATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION tandem.note_writer()",
					 quote_identifier(WRITER_TRIGGER_NAME), quoting_relation(relid)));
}

static void
drop_writer_trigger(Oid relid)
{
	if (has_writer_trigger(relid))
		ddl_run(psprintf("DROP TRIGGER %s ON %s", quote_identifier(WRITER_TRIGGER_NAME),
						 quoting_relation(relid)));
}

void
writer_trigger_follow(Oid relid)
{
	if (operation_watches_table(relid))
		create_writer_trigger(relid);
	else
		drop_writer_trigger(relid);
}

void
writer_trigger_install(Oid root)
{
	ListCell   *lc;

	foreach(lc, table_tree(root))
		create_writer_trigger(lfirst_oid(lc));
}

void
writer_trigger_end(Oid root)
{
	ListCell   *lc;

	/* most tables have none, and nothing is asked of each partition */
	if (!has_writer_trigger(root) || operation_watches_table(root))
		return;
	foreach(lc, table_tree(root))
		drop_writer_trigger(lfirst_oid(lc));
}
