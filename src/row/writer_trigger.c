/*
 * writer_trigger.c
 *		tandem.note_writer(), the BEFORE INSERT OR UPDATE statement trigger of a
 *		table that a migration renames or drops.
 *
 * Such a table may have no sync trigger, which would mark who writes it.  The
 * trigger is a statement's, so that a COPY is as fast as without it.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "catalog/writer.h"
#include "core/sql_function.h"
#include "row/write_target.h"

SQL_FUNCTION(tandem_note_writer);

typedef struct WrittenTable
{
	Oid			relid;			/* hash key */
	WriterNote	note;
} WrittenTable;

/* One for each table with the trigger that this session has written. */
static HTAB *written = NULL;

/*
 * Another migration may rename or drop the table now, since its trigger was
 * made again.
 */
static void
forget_table(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	WrittenTable *table;

	hash_seq_init(&status, written);
	while ((table = hash_seq_search(&status)) != NULL)
	{
		if (!OidIsValid(relid) || table->relid == relid)
			memset(&table->note, 0, sizeof(WriterNote));
	}
}

static WriterNote *
note_of_table(Oid relid)
{
	WrittenTable *table;
	bool		found;

	if (written == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(Oid),.entrysize = sizeof(WrittenTable)};

		written = hash_create("pg_tandem written tables", 16, &control,
							  HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(forget_table, (Datum) 0);
	}
	table = hash_search(written, &relid, HASH_ENTER, &found);
	if (!found)
		memset(&table->note, 0, sizeof(WriterNote));
	return &table->note;
}

static void
check_statement_trigger_call(FunctionCallInfo fcinfo)
{
	TriggerEvent event;

	if (CALLED_AS_TRIGGER(fcinfo))
	{
		event = ((TriggerData *) fcinfo->context)->tg_event;
		if (TRIGGER_FIRED_BEFORE(event) && TRIGGER_FIRED_FOR_STATEMENT(event) &&
			(TRIGGER_FIRED_BY_INSERT(event) || TRIGGER_FIRED_BY_UPDATE(event)))
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function tandem.note_writer() must be fired BEFORE INSERT OR UPDATE, FOR EACH STATEMENT"),
			 errhint("Let tandem.rename_table or tandem.drop_table create the trigger.")));
}

Datum
tandem_note_writer(PG_FUNCTION_ARGS)
{
	Relation	rel;
	WriteTarget *target;
	WriterNote *note;
	int			release;

	check_statement_trigger_call(fcinfo);
	rel = ((TriggerData *) fcinfo->context)->tg_relation;
	target = write_target_find(rel, fcinfo->flinfo);
	release = writer_release(target ? target->view_release : 0);
	note = note_of_table(RelationGetRelid(rel));
	if (!writer_is_settled(note, release))
		writer_settle(note, release, RelationGetRelid(rel), NIL);
	/* what a statement trigger returns is ignored, and must be NULL */
	return PointerGetDatum(NULL);
}
