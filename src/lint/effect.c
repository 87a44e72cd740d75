/*
 * effect.c
 *		What a statement does to the tables that it works on.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "commands/policy.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "rewrite/rewriteSupport.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "core/query.h"
#include "core/relation.h"
#include "lint/effect.h"
#include "lint/wide_effect.h"

Effect *
effect_of(List *effects, const ScriptTable *table)
{
	ListCell   *lc;

	foreach(lc, effects)
	{
		if (((Effect *) lfirst(lc))->table == table)
			return lfirst(lc);
	}
	return NULL;
}

Effect *
effect_on(List **effects, ScriptTable *table, LOCKMODE lock)
{
	Effect	   *effect = effect_of(*effects, table);

	if (effect)
	{
		effect->lock = Max(effect->lock, lock);
		return effect;
	}
	effect = palloc0(sizeof(Effect));
	effect->table = table;
	effect->lock = lock;
	*effects = lappend(*effects, effect);
	return effect;
}

/* Of a table that a statement names; NULL if it is not there. */
static Effect *
effect_named(ScriptTables *tables, const RangeVar *name, LOCKMODE lock, List **effects)
{
	ScriptTable *table = name ? script_table(tables, name) : NULL;

	return table ? effect_on(effects, table, lock) : NULL;
}

bool
has_option(List *options, const char *name)
{
	bool		set = false;
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			set = defGetBoolean(option);
	}
	return set;
}

/*-------------------------------------------------------------------------
 * Tables that hang together.
 *-------------------------------------------------------------------------
 */

/* Adds a lock on those that a query of our own, of which the parameters are set, tells. */
static void
effects_told(ScriptTables *tables, TandemQuery *query, const char *sql, LOCKMODE lock, List **effects)
{
	ListCell   *lc;

	foreach(lc, script_tables_told(tables, query, sql))
		effect_on(effects, lfirst(lc), lock);
}

void
drop_object_effects(ScriptTables *tables, Oid class, Oid object, int part, bool cascades, List **effects)
{
	TandemQuery query;

	if (!OidIsValid(object))
		return;
	query_begin(&query);
	query_oid(&query, class);
	query_oid(&query, object);
	query_int(&query, part);
	query_bool(&query, cascades);
	effects_told(tables, &query, "SELECT d.relation FROM tandem._dropped_with($1, $2, $3, $4) d "
				 "WHERE EXISTS (SELECT FROM pg_depend e WHERE e.refclassid = $1 AND e.refobjid = $2 AND ($3 = 0 OR e.refobjsubid = $3))",
				 AccessExclusiveLock, effects);
}

static void
referring_effects(ScriptTables *tables, ScriptTable *table, List **effects)
{
	TandemQuery query;

	query_begin(&query);
	query_oid(&query, table->relid);
	effects_told(tables, &query,
				 "WITH RECURSIVE r AS (SELECT $1 AS oid UNION SELECT c.conrelid FROM r JOIN pg_constraint c ON c.confrelid = r.oid AND c.contype = 'f') "
				 "SELECT r.oid FROM r", AccessExclusiveLock, effects);
}

static ScriptTable *
table_of_index(ScriptTables *tables, ScriptTable *index)
{
	Oid			relid = OidIsValid(index->relid) ? IndexGetRelation(index->relid, true) : InvalidOid;

	return OidIsValid(relid) ? script_table_of_oid(tables, relid) : NULL;
}

/*-------------------------------------------------------------------------
 * DROP, TRUNCATE.
 *-------------------------------------------------------------------------
 */

static void
drop_index_effects(ScriptTables *tables, ScriptTable *index, const DropStmt *drop, List **effects)
{
	LOCKMODE	lock = drop->concurrent ? ShareUpdateExclusiveLock : AccessExclusiveLock;
	ScriptTable *table = table_of_index(tables, index);

	if (table)
		effect_on(effects, table, lock);
	effect_on(effects, index, lock);
	if (drop->behavior == DROP_CASCADE)
		drop_object_effects(tables, RelationRelationId, index->relid, 0, true, effects);
}

static bool
part_is_there(const ScriptTable *table, ObjectType kind, const char *name)
{
	return kind == OBJECT_TRIGGER ? OidIsValid(get_trigger_oid(table->relid, name, true))
		: kind == OBJECT_RULE ? OidIsValid(get_rewrite_oid(table->relid, name, true))
		: OidIsValid(get_relation_policy_oid(table->relid, name, true));
}

/* The object is named behind the table that it belongs to. */
static void
drop_part_effects(ScriptTables *tables, const DropStmt *drop, List *names, List **effects)
{
	List	   *of_table = list_truncate(list_copy(names), list_length(names) - 1);
	ScriptTable *table = of_table ? script_table_of_names(tables, of_table) : NULL;

	if (table && !(drop->missing_ok && !table->made && !part_is_there(table, drop->removeType, strVal(llast(names)))))
		effect_on(effects, table, AccessExclusiveLock);
}

static void
drop_table_effects(ScriptTables *tables, ScriptTable *table, bool cascades, List **effects)
{
	Oid			parent = OidIsValid(table->relid) && get_rel_relispartition(table->relid)
	? partition_parent(table->relid) : InvalidOid;
	ScriptTable *of_partition = OidIsValid(parent) ? script_table_of_oid(tables, parent) : NULL;

	effect_on(effects, table, AccessExclusiveLock);
	if (of_partition)
		effect_on(effects, of_partition, AccessExclusiveLock);
	drop_object_effects(tables, RelationRelationId, table->relid, 0, cascades, effects);
}

/* The table of statistics that are dropped. */
static void
drop_statistics_effects(ScriptTables *tables, List *names, List **effects)
{
	Oid			statistics = get_statistics_object_oid(names, true);
	HeapTuple	tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
	ScriptTable *table;

	if (!HeapTupleIsValid(tuple))
		return;
	table = script_table_of_oid(tables, ((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxrelid);
	ReleaseSysCache(tuple);
	if (table)
		effect_on(effects, table, ShareUpdateExclusiveLock);
}

static void
drop_other_effects(ScriptTables *tables, DropStmt *drop, Node *object, List **effects)
{
	Oid			found = InvalidOid;
	Oid			class = InvalidOid;
	int32		typmod;

	bool		cascades = drop->behavior == DROP_CASCADE;

	/* an extension has tables of its own */
	if (!cascades && drop->removeType != OBJECT_EXTENSION)
		return;
	if (drop->removeType == OBJECT_EXTENSION)
	{
		class = ExtensionRelationId;
		found = get_extension_oid(strVal(object), true);
	}
	else if (drop->removeType == OBJECT_TYPE || drop->removeType == OBJECT_DOMAIN)
	{
		class = TypeRelationId;
		found = type_of_name(castNode(TypeName, object), &typmod);
	}
	else if (drop->removeType == OBJECT_FUNCTION || drop->removeType == OBJECT_PROCEDURE ||
			 drop->removeType == OBJECT_ROUTINE)
	{
		class = ProcedureRelationId;
		found = LookupFuncWithArgs(drop->removeType, castNode(ObjectWithArgs, object), true);
	}
	else if (drop->removeType == OBJECT_SCHEMA)
	{
		class = NamespaceRelationId;
		found = get_namespace_oid(strVal(object), true);
	}
	drop_object_effects(tables, class, found, 0, cascades, effects);
}

static void
drop_effects(ScriptTables *tables, void *statement, List **effects)
{
	DropStmt   *drop = statement;
	ListCell   *lc;

	foreach(lc, drop->objects)
	{
		ScriptTable *table;

		switch (drop->removeType)
		{
			case OBJECT_TABLE:
			case OBJECT_VIEW:
			case OBJECT_MATVIEW:
			case OBJECT_SEQUENCE:
			case OBJECT_FOREIGN_TABLE:
				table = script_table_of_names(tables, lfirst(lc));
				if (table)
					drop_table_effects(tables, table, drop->behavior == DROP_CASCADE, effects);
				break;
			case OBJECT_INDEX:
				table = script_table_of_names(tables, lfirst(lc));
				if (table)
					drop_index_effects(tables, table, drop, effects);
				break;
			case OBJECT_TRIGGER:
			case OBJECT_RULE:
			case OBJECT_POLICY:
				drop_part_effects(tables, drop, lfirst(lc), effects);
				break;
			case OBJECT_STATISTIC_EXT:
				drop_statistics_effects(tables, lfirst(lc), effects);
				break;
			default:
				drop_other_effects(tables, drop, lfirst(lc), effects);
				break;
		}
	}
}

static void
truncate_effects(ScriptTables *tables, void *statement, List **effects)
{
	TruncateStmt *truncate = statement;
	ListCell   *lc;

	foreach(lc, truncate->relations)
	{
		Effect	   *effect = effect_named(tables, lfirst(lc), AccessExclusiveLock, effects);

		if (effect && truncate->behavior == DROP_CASCADE)
			referring_effects(tables, effect->table, effects);
	}
}

/*-------------------------------------------------------------------------
 * CREATE.
 *-------------------------------------------------------------------------
 */

static void
referenced_by_new_table(ScriptTables *tables, const Constraint *constraint, List **effects)
{
	if (constraint->contype == CONSTR_FOREIGN)
		effect_named(tables, constraint->pktable, ShareRowExclusiveLock, effects);
}

static void
create_table_effects(ScriptTables *tables, void *statement, List **effects)
{
	CreateStmt *create = statement;
	ListCell   *lc;
	ListCell   *lc2;

	if (create->if_not_exists && script_table(tables, create->relation))
		return;
	foreach(lc, create->inhRelations)
	{
		Effect	   *parent = effect_named(tables, lfirst(lc), create->partbound ? AccessExclusiveLock : ShareUpdateExclusiveLock,
										  effects);

		if (parent && create->partbound && !create->partbound->is_default)
			default_partition_effect(tables, parent->table, true, effects);
	}
	foreach(lc, create->tableElts)
	{
		if (IsA(lfirst(lc), Constraint))
			referenced_by_new_table(tables, lfirst(lc), effects);
		else if (IsA(lfirst(lc), ColumnDef))
			foreach(lc2, ((ColumnDef *) lfirst(lc))->constraints)
				referenced_by_new_table(tables, lfirst(lc2), effects);
	}
	foreach(lc, create->constraints)
		referenced_by_new_table(tables, lfirst(lc), effects);
}

static bool
index_exists(ScriptTables *tables, const IndexStmt *create, const ScriptTable *table)
{
	return create->if_not_exists && create->idxname &&
		script_table(tables, makeRangeVar(table->schema, create->idxname, -1));
}

static void
create_index_effects(ScriptTables *tables, void *statement, List **effects)
{
	IndexStmt  *create = statement;
	Effect	   *effect = effect_named(tables, create->relation,
									  create->concurrent ? ShareUpdateExclusiveLock : ShareLock, effects);

	if (effect && !index_exists(tables, create, effect->table))
		effect->scans = create->relation->inh || effect->table->kind != RELKIND_PARTITIONED_TABLE;
}

static void
statistics_effects(ScriptTables *tables, void *statement, List **effects)
{
	CreateStatsStmt *create = statement;
	ListCell   *lc;

	foreach(lc, create->relations)
	{
		if (IsA(lfirst(lc), RangeVar))
			effect_named(tables, lfirst(lc), ShareUpdateExclusiveLock, effects);
	}
}

static void
publication_effects(ScriptTables *tables, List *objects, List **effects)
{
	ListCell   *lc;

	foreach(lc, objects)
	{
		PublicationObjSpec *object = lfirst_node(PublicationObjSpec, lc);

		if (object->pubtable)
			effect_named(tables, object->pubtable->relation, ShareUpdateExclusiveLock, effects);
	}
}

static void
alter_publication_effects(ScriptTables *tables, void *statement, List **effects)
{
	AlterPublicationStmt *alter = statement;
	TandemQuery query;

	publication_effects(tables, alter->pubobjects, effects);
	if (alter->action != AP_SetObjects || alter->pubobjects == NIL)
		return;
	/* those that are not named go */
	query_begin(&query);
	query_oid(&query, get_publication_oid(alter->pubname, true));
	effects_told(tables, &query, "SELECT prrelid FROM pg_publication_rel WHERE prpubid = $1",
				 ShareUpdateExclusiveLock, effects);
}

/*-------------------------------------------------------------------------
 * Other statements.
 *-------------------------------------------------------------------------
 */

static LOCKMODE
lock_of_renaming(const RenameStmt *rename)
{
	return rename->renameType == OBJECT_INDEX ? ShareUpdateExclusiveLock : AccessExclusiveLock;
}

static void
comment_effects(ScriptTables *tables, void *statement, List **effects)
{
	CommentStmt *comment = statement;
	List	   *names = comment->object && IsA(comment->object, List) ? (List *) comment->object : NIL;
	ScriptTable *table = NULL;

	switch (comment->objtype)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_INDEX:
		case OBJECT_SEQUENCE:
		case OBJECT_FOREIGN_TABLE:
			table = script_table_of_names(tables, names);
			break;
		case OBJECT_COLUMN:
			if (list_length(names) > 1)
				table = script_table_of_names(tables, list_truncate(list_copy(names), list_length(names) - 1));
			break;
		default:
			break;
	}
	if (table)
		effect_on(effects, table, ShareUpdateExclusiveLock);
}

static void
vacuum_effects(ScriptTables *tables, void *statement, List **effects)
{
	VacuumStmt *vacuum = statement;
	bool		full = has_option(vacuum->options, "full");
	ListCell   *lc;

	foreach(lc, vacuum->rels)
	{
		Effect	   *effect = effect_named(tables, ((VacuumRelation *) lfirst(lc))->relation,
										  full ? AccessExclusiveLock : ShareUpdateExclusiveLock, effects);

		if (effect)
			effect->rewrites = effect->scans = full;
	}
}

static void
reindex_effects(ScriptTables *tables, void *statement, List **effects)
{
	ReindexStmt *reindex = statement;
	bool		concurrently = has_option(reindex->params, "concurrently");
	ScriptTable *table = script_table(tables, reindex->relation);
	ScriptTable *of_index = table && reindex->kind == REINDEX_OBJECT_INDEX ? table_of_index(tables, table) : NULL;

	if (!table)
		return;
	if (of_index)
		effect_on(effects, of_index, concurrently ? ShareUpdateExclusiveLock : ShareLock)->scans = true;
	if (reindex->kind == REINDEX_OBJECT_INDEX)
		effect_on(effects, table, concurrently ? ShareUpdateExclusiveLock : AccessExclusiveLock)->rewrites = true;
	else
		effect_on(effects, table, concurrently ? ShareUpdateExclusiveLock : ShareLock)->scans = true;
}

static void
refresh_effects(ScriptTables *tables, void *statement, List **effects)
{
	RefreshMatViewStmt *refresh = statement;
	Effect	   *effect = effect_named(tables, refresh->relation,
									  refresh->concurrent ? ExclusiveLock : AccessExclusiveLock, effects);

	if (effect)
	{
		effect->rewrites = !refresh->concurrent;
		effect->scans = true;
	}
}

/* Of a view all that it shows is locked along, through other views too. */
static void
lock_effects(ScriptTables *tables, void *statement, List **effects)
{
	LockStmt   *lock = statement;
	ListCell   *lc;

	if (lock->mode < RowExclusiveLock)
		return;
	foreach(lc, lock->relations)
	{
		Effect	   *effect = effect_named(tables, lfirst(lc), lock->mode, effects);
		TandemQuery query;

		if (effect == NULL || effect->table->kind != RELKIND_VIEW || !OidIsValid(effect->table->relid))
			continue;
		query_begin(&query);
		query_oid(&query, effect->table->relid);
		effects_told(tables, &query,
					 "WITH RECURSIVE shown AS (SELECT $1 AS oid UNION "
					 "  SELECT d.refobjid FROM shown s JOIN pg_rewrite w ON w.ev_class = s.oid AND w.rulename = '_RETURN' "
					 "  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid "
					 "    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> s.oid) "
					 "SELECT s.oid FROM shown s JOIN pg_class c ON c.oid = s.oid AND c.relkind IN ('r', 'p', 'v', 'f') "
					 "ORDER BY s.oid", lock->mode, effects);
	}
}

List *
altered_tables(ScriptTables *tables, const RangeVar *name, bool of_type, bool cascades)
{
	ScriptTable *table = of_type ? NULL : script_table(tables, name);
	Oid			type = of_type && cascades ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;
	TandemQuery query;

	if (!of_type)
		return table ? list_make1(table) : NIL;
	if (!OidIsValid(type))
		return NIL;
	query_begin(&query);
	query_oid(&query, type);
	return script_tables_told(tables, &query,
							  "SELECT c.oid FROM pg_class t JOIN pg_class c ON c.reloftype = t.reltype WHERE t.oid = $1 AND t.relkind = 'c' "
							  "ORDER BY c.oid");
}

static void
alter_table_effects(ScriptTables *tables, void *statement, List **effects)
{
	AlterTableStmt *alter = statement;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, alter->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);

		foreach(lc2, altered_tables(tables, alter->relation, alter->objtype == OBJECT_TYPE, command->behavior == DROP_CASCADE))
			command_effects(tables, lfirst(lc2), command, effects);
	}
}

static void
rename_effects(ScriptTables *tables, void *statement, List **effects)
{
	RenameStmt *rename = statement;
	ListCell   *lc;

	foreach(lc, rename->relation ? altered_tables(tables, rename->relation, rename->renameType == OBJECT_ATTRIBUTE,
												  rename->behavior == DROP_CASCADE) : NIL)
		effect_on(effects, lfirst(lc), lock_of_renaming(rename));
}

/* The values of a domain are in the columns of its type. */
static void
domain_effects(ScriptTables *tables, void *statement, List **effects)
{
	AlterDomainStmt *alter = statement;
	TypeName   *name = makeTypeNameFromNameList(alter->typeName);
	int32		typmod;
	Oid			domain = type_of_name(name, &typmod);
	bool		tries = alter->subtype == 'O' ||
	(alter->subtype == 'C' && !((Constraint *) alter->def)->skip_validation) || alter->subtype == 'V';
	TandemQuery query;
	ListCell   *lc;

	if (!OidIsValid(domain) || !tries)
		return;
	query_begin(&query);
	query_oid(&query, domain);
	foreach(lc, script_tables_told(tables, &query,
								   "SELECT DISTINCT a.attrelid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
								   "WHERE a.atttypid = $1 AND NOT a.attisdropped AND c.relkind IN ('r', 'm')"))
		effect_on(effects, lfirst(lc), ShareLock)->scans = true;
}

/* Statements of which the lock on one table is all. */
typedef struct PlainStatement
{
	NodeTag		tag;
	LOCKMODE	lock;
	size_t		relation;		/* where its RangeVar * is */
} PlainStatement;

static const PlainStatement plain_statements[] = {
	{T_AlterObjectSchemaStmt, AccessExclusiveLock, offsetof(AlterObjectSchemaStmt, relation)},
	{T_CreateTrigStmt, ShareRowExclusiveLock, offsetof(CreateTrigStmt, relation)},
	{T_RuleStmt, AccessExclusiveLock, offsetof(RuleStmt, relation)},
	{T_CreatePolicyStmt, AccessExclusiveLock, offsetof(CreatePolicyStmt, table)},
	{T_AlterPolicyStmt, AccessExclusiveLock, offsetof(AlterPolicyStmt, table)},
	{T_AlterSeqStmt, ShareRowExclusiveLock, offsetof(AlterSeqStmt, sequence)},
	{T_InsertStmt, RowExclusiveLock, offsetof(InsertStmt, relation)},
	{T_UpdateStmt, RowExclusiveLock, offsetof(UpdateStmt, relation)},
	{T_DeleteStmt, RowExclusiveLock, offsetof(DeleteStmt, relation)},
	{T_MergeStmt, RowExclusiveLock, offsetof(MergeStmt, relation)},
};

static bool
plain_effect(ScriptTables *tables, Node *statement, List **effects)
{
	int			i;

	for (i = 0; i < (int) lengthof(plain_statements); i++)
	{
		const PlainStatement *plain = &plain_statements[i];
		Effect	   *effect;

		if (plain->tag != nodeTag(statement))
			continue;
		effect = effect_named(tables, *(RangeVar **) ((char *) statement + plain->relation), plain->lock, effects);
		if (effect)
			effect->scans = (IsA(statement, UpdateStmt) && !((UpdateStmt *) statement)->whereClause) ||
				(IsA(statement, DeleteStmt) && !((DeleteStmt *) statement)->whereClause);
		return true;
	}
	return false;
}

/* CLUSTER, or REPACK */
static bool
repack_effect(ScriptTables *tables, Node *statement, List **effects)
{
	bool		concurrently;
	RangeVar   *repacked = compat_repacked(statement, &concurrently);
	Effect	   *effect;

	if (!repacked)
		return false;
	effect = effect_named(tables, repacked, concurrently ? ShareUpdateExclusiveLock : AccessExclusiveLock, effects);
	if (effect)
		effect->rewrites = effect->scans = true;
	return true;
}

/* Those whose table is named by a part of them. */
static void
other_effects(ScriptTables *tables, Node *statement, List **effects)
{
	if (IsA(statement, ViewStmt) && ((ViewStmt *) statement)->replace)
		effect_named(tables, ((ViewStmt *) statement)->view, AccessExclusiveLock, effects);
	else if (IsA(statement, CopyStmt) && ((CopyStmt *) statement)->is_from)
		effect_named(tables, ((CopyStmt *) statement)->relation, RowExclusiveLock, effects);
	else if (IsA(statement, CreatePublicationStmt))
		publication_effects(tables, ((CreatePublicationStmt *) statement)->pubobjects, effects);
}

typedef void (*EffectFunction) (ScriptTables *tables, void *statement, List **effects);

/* Statements with a function of their own. */
typedef struct OwnEffects
{
	NodeTag		tag;
	EffectFunction add;
} OwnEffects;

static const OwnEffects own_effects[] = {
	{T_AlterTableStmt, alter_table_effects},
	{T_RenameStmt, rename_effects},
	{T_CreateStmt, create_table_effects},
	{T_IndexStmt, create_index_effects},
	{T_CreateStatsStmt, statistics_effects},
	{T_AlterDomainStmt, domain_effects},
	{T_DropStmt, drop_effects},
	{T_TruncateStmt, truncate_effects},
	{T_CommentStmt, comment_effects},
	{T_VacuumStmt, vacuum_effects},
	{T_ReindexStmt, reindex_effects},
	{T_RefreshMatViewStmt, refresh_effects},
	{T_AlterPublicationStmt, alter_publication_effects},
	{T_LockStmt, lock_effects},
};

static const WithClause *
with_clause(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_SelectStmt:
			return ((SelectStmt *) statement)->withClause;
		case T_InsertStmt:
			return ((InsertStmt *) statement)->withClause;
		case T_UpdateStmt:
			return ((UpdateStmt *) statement)->withClause;
		case T_DeleteStmt:
			return ((DeleteStmt *) statement)->withClause;
		case T_MergeStmt:
			return ((MergeStmt *) statement)->withClause;
		default:
			return NULL;
	}
}

List *
statement_parts(Node *statement)
{
	const WithClause *with = with_clause(statement);
	List	   *parts = NIL;
	ListCell   *lc;

	if (with)
		foreach(lc, with->ctes)
			parts = lappend(parts, ((CommonTableExpr *) lfirst(lc))->ctequery);
	return lappend(parts, statement);
}

static List *
effects_of_part(ScriptTables *tables, Node *statement, List *effects)
{
	int			i;

	if (wide_effects(tables, statement, &effects))
		return effects;
	for (i = 0; i < (int) lengthof(own_effects); i++)
	{
		if (own_effects[i].tag == nodeTag(statement))
		{
			own_effects[i].add(tables, statement, &effects);
			return effects;
		}
	}
	if (!plain_effect(tables, statement, &effects) && !repack_effect(tables, statement, &effects))
		other_effects(tables, statement, &effects);
	return effects;
}

List *
statement_effects(ScriptTables *tables, Node *statement)
{
	List	   *effects = NIL;
	ListCell   *lc;

	foreach(lc, statement_parts(statement))
		effects = effects_of_part(tables, lfirst(lc), effects);
	return effects;
}
