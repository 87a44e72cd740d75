/*
 * changed_use.c
 *		DDL that changes what the rules of open migrations use.
 *
 * A proof compares what the rules use with what they used then.  That does not
 * tell of a function that was replaced and put back, between which rows were
 * written.  So each such command voids the proofs, in its own transaction.
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"

#include "catalog/step.h"
#include "catalog/sync.h"
#include "core/query.h"
#include "core/relation.h"
#include "rule/rule_uses.h"
#include "trigger/changed_use.h"

/* May an expression have another value when that object is changed? */
static bool
object_may_be_used(const ObjectAddress *object)
{
	switch (object->classId)
	{
		case ProcedureRelationId:
		case TypeRelationId:
		case OperatorRelationId:
		case OperatorClassRelationId:
		case OperatorFamilyRelationId:
		case CastRelationId:
		case CollationRelationId:
		case TSConfigRelationId:
		case TSDictionaryRelationId:
			return true;
		case RelationRelationId:
			return get_rel_relkind(object->objectId) == RELKIND_COMPOSITE_TYPE;
		default:
			return false;
	}
}

/* Goes up from the objects by pg_depend to the triggers that have the rules. */
static List *
tables_that_use(List *classes, List *oids)
{
	TandemQuery query;
	List	   *tables;

	query_begin(&query);
	query_oid_list(&query, classes);
	query_oid_list(&query, oids);
	tables = query_oids(&query,
						"WITH RECURSIVE used (class, object) AS ("
						"SELECT o.class, o.object FROM unnest($1, $2) o (class, object) "
						"UNION SELECT d.classid, d.objid FROM used u "
						"JOIN pg_depend d ON d.refclassid = u.class AND d.refobjid = u.object "
						"WHERE d.classid = ANY (ARRAY['pg_trigger', 'pg_proc', 'pg_type', 'pg_operator', 'pg_opclass', 'pg_opfamily', 'pg_amproc', 'pg_amop', "
						"'pg_cast', 'pg_constraint', 'pg_ts_config', 'pg_ts_dict']::regclass[]) "
						"OR (d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_class c WHERE c.oid = d.objid AND c.relkind = 'c'))) "
						"SELECT DISTINCT t.tgrelid FROM used u JOIN pg_trigger t ON t.oid = u.object "
						"WHERE u.class = 'pg_trigger'::regclass AND t.tgname = '~tandem_sync'");
	query_end(&query);
	return tables;
}

/*
 * Is what the migration's rules on that table use another than that by which
 * verify has judged its rows?  The same script may have been run again.  Without
 * a verify, rows may have been written under what was there before.
 */
static bool
proof_is_of_other_uses(Oid root, int migration_id)
{
	char	   *uses = rule_uses_of_table(root, migration_id);
	bool		any = false;
	ListCell   *lc;

	foreach(lc, step_list_of_tables(migration_id, STEP_VERIFY, table_tree(root)))
	{
		Step	   *step = lfirst(lc);

		if (step->uses == NULL)
			continue;
		any = true;
		if (rule_uses_definition_changed(step->uses, uses))
			return true;
	}
	return !any;
}

static void
check_rules_of_table(Oid root)
{
	List	   *seen = NIL;
	ListCell   *lc;

	foreach(lc, sync_list_of_relation(root))
	{
		int			migration_id = ((SyncRule *) lfirst(lc))->migration_id;

		if (list_member_int(seen, migration_id))
			continue;
		seen = lappend_int(seen, migration_id);
		if (proof_is_of_other_uses(root, migration_id))
			changed_use_note(migration_id);
	}
}

void
changed_use_check(const DdlEvent *event)
{
	List	   *classes = NIL;
	List	   *oids = NIL;
	List	   *roots = NIL;
	ListCell   *lc;

	foreach(lc, event->objects)
	{
		ObjectAddress *object = lfirst(lc);

		if (!object_may_be_used(object))
			continue;
		classes = lappend_oid(classes, object->classId);
		oids = lappend_oid(oids, object->objectId);
	}
	foreach(lc, oids == NIL ? NIL : tables_that_use(classes, oids))
		roots = list_append_unique_oid(roots, table_root(lfirst_oid(lc)));
	foreach(lc, roots)
		check_rules_of_table(lfirst_oid(lc));
}
