/*
 * twin_keys.c
 *		Unique indexes of a table that hold one key in two forms.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/sysattr.h"
#include "access/stratnum.h"
#include "catalog/index.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "rule/twin_keys.h"

/* A unique index, while twins are looked for. */
typedef struct UniqueKey
{
	Oid			index;
	bool		valid;
	bool		plain;
	Bitmapset  *columns;		/* attribute numbers of the key */
	Bitmapset  *groups;			/* their groups, see join_columns */
} UniqueKey;

/*-------------------------------------------------------------------------
 * The groups of columns: all that one rule reads or writes are one.
 *-------------------------------------------------------------------------
 */

/* groups[attnum] becomes equal for all columns of the set. */
static void
join_columns(int *groups, int natts, const Bitmapset *columns)
{
	int			first = bms_next_member(columns, -1);
	int			i = first;

	while (i >= 0 && (i = bms_next_member(columns, i)) >= 0)
	{
		int			from = groups[i];

		for (int attnum = 1; attnum <= natts; attnum++)
		{
			if (groups[attnum] == from)
				groups[attnum] = groups[first];
		}
	}
}

/* Adds the columns that a parsed expression reads. */
static Bitmapset *
add_columns_read(Bitmapset *columns, Node *expression)
{
	Bitmapset  *read = NULL;
	int			i = -1;

	pull_varattnos(expression, 1, &read);
	while ((i = bms_next_member(read, i)) >= 0)
	{
		if (i + FirstLowInvalidHeapAttributeNumber > 0)
			columns = bms_add_member(columns,
									 i + FirstLowInvalidHeapAttributeNumber);
	}
	return columns;
}

static Bitmapset *
add_side_columns(Bitmapset *columns, const RelationRules *rules,
				 const RuleSide *side)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		columns = bms_add_member(columns,
								 rules->columns[side->columns[i]].attnum);
		if (side->expressions && side->expressions[i].plan)
			columns = add_columns_read(columns,
									   side->expressions[i].plan->expr);
	}
	return columns;
}

static int *
group_columns(const RelationRules *rules)
{
	int			natts = rules->desc->natts;
	int		   *groups = palloc(sizeof(int) * (natts + 1));

	for (int attnum = 0; attnum <= natts; attnum++)
		groups[attnum] = attnum;
	for (int i = 0; i < rules->nrules; i++)
	{
		Bitmapset  *columns = add_side_columns(NULL, rules,
											   &rules->rules[i].old_side);

		join_columns(groups, natts,
					 add_side_columns(columns, rules,
									  &rules->rules[i].new_side));
	}
	return groups;
}

static Bitmapset *
new_columns_of_rules(const RelationRules *rules)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; i < rules->nrules; i++)
	{
		const RuleSide *side = &rules->rules[i].new_side;

		for (int j = 0; j < side->ncolumns; j++)
			columns = bms_add_member(columns,
									 rules->columns[side->columns[j]].attnum);
	}
	return columns;
}

/*-------------------------------------------------------------------------
 * The unique indexes of a table.
 *-------------------------------------------------------------------------
 */

static Bitmapset *
key_columns(Relation index)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		AttrNumber	attnum = index->rd_index->indkey.values[i];

		if (attnum > 0)
			columns = bms_add_member(columns, attnum);
	}
	return add_columns_read(columns,
							(Node *) RelationGetIndexExpressions(index));
}

static bool
reads_generated_column(const Bitmapset *columns, TupleDesc desc)
{
	int			i = -1;

	while ((i = bms_next_member(columns, i)) >= 0)
	{
		if (TupleDescAttr(desc, i - 1)->attgenerated)
			return true;
	}
	return false;
}

/* Returns NULL for an index that cannot be a twin. */
static UniqueKey *
unique_key(Relation rel, Oid index_oid, const int *groups)
{
	Relation	index = index_open(index_oid, AccessShareLock);
	UniqueKey  *key = NULL;
	int			i = -1;

	if (index->rd_index->indisunique && index->rd_index->indimmediate &&
		index->rd_index->indislive && !index->rd_index->indisexclusion)
	{
		key = palloc0(sizeof(UniqueKey));
		key->index = index_oid;
		key->valid = index->rd_index->indisvalid && index->rd_index->indisready;
		key->plain = RelationGetIndexExpressions(index) == NIL &&
			RelationGetIndexPredicate(index) == NIL;
		key->columns = key_columns(index);
		while ((i = bms_next_member(key->columns, i)) >= 0)
			key->groups = bms_add_member(key->groups, groups[i]);
		if (bms_is_empty(key->columns) ||
			reads_generated_column(key->columns, RelationGetDescr(rel)))
			key = NULL;
	}
	index_close(index, AccessShareLock);
	return key;
}

/* Valid ones first, each kind in the order of OIDs: the newest is the last. */
static List *
unique_keys(Relation rel, const int *groups)
{
	List	   *valid = NIL;
	List	   *unready = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		UniqueKey  *key = unique_key(rel, lfirst_oid(lc), groups);

		if (key && key->valid)
			valid = lappend(valid, key);
		else if (key)
			unready = lappend(unready, key);
	}
	return list_concat(valid, unready);
}

/*
 * Two indexes that one rule makes to hold the same key: a new column is in one
 * of them only.  Two indexes over old columns are the user's own affair.
 */
static bool
are_twins(const UniqueKey *a, const UniqueKey *b, const Bitmapset *new_columns)
{
	return bms_equal(a->groups, b->groups) &&
		(bms_overlap(bms_difference(a->columns, b->columns), new_columns) ||
		 bms_overlap(bms_difference(b->columns, a->columns), new_columns));
}

/*
 * Of each pair of twins the later one need not be guarded: two rows that
 * conflict in both conflict in the earlier one.  Nor need a plain index with
 * the same columns as one before it.
 */
static bool
must_be_guarded(const UniqueKey *key, List *keys, const Bitmapset *new_columns)
{
	bool		later = false;
	ListCell   *lc;

	if (!key->valid)
		return false;
	foreach(lc, keys)
	{
		UniqueKey  *other = lfirst(lc);

		if (other == key)
			later = true;
		else if (!later && key->plain && other->plain &&
				 bms_equal(other->columns, key->columns))
			return false;
		else if (later && are_twins(key, other, new_columns))
			return true;
	}
	return false;
}

/*
 * The hash function that goes with the equality of an index column.  Its lock
 * is shared by all values of the column if there is none.
 */
static void
find_hash_function(FmgrInfo *hash, Relation index, int column)
{
	Oid			type = index->rd_opcintype[column];
	Oid			stored = TupleDescAttr(RelationGetDescr(index), column)->atttypid;
	Oid			equal = get_opfamily_member(index->rd_opfamily[column], type,
											type, BTEqualStrategyNumber);
	RegProcedure function;

	hash->fn_oid = InvalidOid;
	/* of an array, range or row the parts must have one as well */
	if (!OidIsValid(equal) || !get_op_hash_functions(equal, &function, NULL) ||
		!OidIsValid(lookup_type_cache(stored, TYPECACHE_HASH_PROC)->hash_proc))
		return;
	fmgr_info_cxt(function, hash, CurrentMemoryContext);
}

/* Made in the current memory context, that of the rules. */
static TwinKey *
make_twin_key(Oid index_oid)
{
	Relation	index = index_open(index_oid, AccessShareLock);
	TwinKey    *key = palloc0(sizeof(TwinKey));

	key->index = index_oid;
	key->info = BuildIndexInfo(index);
	BuildSpeculativeIndexInfo(index, key->info);
	key->columns = add_columns_read(key_columns(index),
									(Node *) key->info->ii_Predicate);
	key->is_plain = key->info->ii_Expressions == NIL &&
		key->info->ii_Predicate == NIL;
	key->nkeys = key->info->ii_NumIndexKeyAttrs;
	key->collations = palloc(sizeof(Oid) * key->nkeys);
	key->hash = palloc0(sizeof(FmgrInfo) * key->nkeys);
	for (int i = 0; i < key->nkeys; i++)
	{
		key->collations[i] = index->rd_indcollation[i];
		find_hash_function(&key->hash[i], index, i);
	}
	index_close(index, AccessShareLock);
	return key;
}

/*
 * What is compared goes with the caller's context, that of one row; what is
 * kept goes with the table.
 */
void
twin_keys_find(Relation rel, TableRules *table)
{
	const RelationRules *rules = table->rules;
	List	   *keys = unique_keys(rel, group_columns(rules));
	Bitmapset  *new_columns = new_columns_of_rules(rules);
	List	   *found = NIL;
	MemoryContext caller;
	ListCell   *lc;

	foreach(lc, keys)
	{
		UniqueKey  *key = lfirst(lc);

		if (must_be_guarded(key, keys, new_columns))
			found = lappend_oid(found, key->index);
	}
	if (found != NIL && table->keys_context == NULL)
		table->keys_context = AllocSetContextCreate(rules->context,
													"tandem twin keys",
													ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(found != NIL ? table->keys_context
								   : CurrentMemoryContext);
	table->twin_keys = NIL;
	foreach(lc, found)
		table->twin_keys = lappend(table->twin_keys,
								   make_twin_key(lfirst_oid(lc)));
	table->twin_keys_known = true;
	MemoryContextSwitchTo(caller);
}
