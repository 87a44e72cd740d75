/*
 * row_tuple.c
 *		Forms the tuple to be stored for a row, and describes the row's key.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/tupmacs.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"

#include "core/authority.h"
#include "core/text.h"
#include "row/row_tuple.h"

/*-------------------------------------------------------------------------
 * The tuple of a row in which the rules have replaced some columns.
 *
 * New columns usually are the last of their table.  The data before the first
 * replaced column is copied in one piece, which makes wide rows little more
 * expensive than narrow ones.  That requires that all columns after it have a
 * fixed length; otherwise heap_form_tuple does the work.
 *-------------------------------------------------------------------------
 */

/*
 * Are all columns of the tuple from first on NULL?  They are in a row inserted
 * by a release that does not know the new columns.
 */
static bool
tuple_ends_before(HeapTuple tuple, int first)
{
	if (!HeapTupleHasNulls(tuple))
		return false;
	for (int i = first; i < HeapTupleHeaderGetNatts(tuple->t_data); i++)
	{
		if (!att_isnull(i, tuple->t_data->t_bits))
			return false;
	}
	return true;
}

/* Returns the length of the data of the first columns of the tuple. */
static Size
tuple_head_length(HeapTuple tuple, TupleDesc desc, int columns)
{
	HeapTupleHeader header = tuple->t_data;
	const uint8 *given = HeapTupleHasNulls(tuple) ? header->t_bits : NULL;
	const char *data = (char *) header + header->t_hoff;
	Size		length = 0;

	if (tuple_ends_before(tuple, columns))
		return tuple->t_len - header->t_hoff;
	for (int i = 0; i < columns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (given && att_isnull(i, given))
			continue;
		if (att->attlen > 0)
		{
			length = att_align_nominal(length, att->attalign) + att->attlen;
			continue;
		}
		length = att_align_pointer(length, att->attalign, att->attlen,
								   data + length);
		length = att_addlength_pointer(length, att->attlen, data + length);
	}
	return length;
}

/*
 * Returns the length of the data if the columns from first on are added after
 * length bytes, or 0 if one of them has no fixed length.
 */
static Size
tuple_length_with_tail(const TupleTableSlot *row, TupleDesc desc, int first,
					   Size length)
{
	for (int i = first; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attlen <= 0)
			return 0;
		if (row->tts_isnull[i])
			continue;
		length = att_align_nominal(length, att->attalign) + att->attlen;
	}
	return length;
}

static void
fill_tuple_tail(char *data, const TupleTableSlot *row, TupleDesc desc,
				int first, Size length)
{
	for (int i = first; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (row->tts_isnull[i])
			continue;
		length = att_align_nominal(length, att->attalign);
		if (att->attbyval)
			store_att_byval(data + length, row->tts_values[i], att->attlen);
		else
			memcpy(data + length, DatumGetPointer(row->tts_values[i]),
				   att->attlen);
		length += att->attlen;
	}
}

/*
 * Sets the null bitmap of to, which has one: bits before column first as in
 * from, the others by row.
 */
static void
fill_null_bitmap(HeapTuple to, HeapTuple from, const TupleTableSlot *row,
				 int natts, int first)
{
	uint8	   *bits = to->t_data->t_bits;
	int			copied = 0;

	if (HeapTupleHasNulls(from))
	{
		copied = first / BITS_PER_BYTE;
		memcpy(bits, from->t_data->t_bits, copied);
	}
	for (int i = copied * BITS_PER_BYTE; i < natts; i++)
	{
		if (!row->tts_isnull[i])
			bits[i / BITS_PER_BYTE] |= 1 << (i % BITS_PER_BYTE);
	}
}

/* Returns a tuple with a header for row and room for length bytes of data. */
static HeapTuple
make_empty_tuple(const TupleTableSlot *row, TupleDesc desc, Size length)
{
	bool		nulls = memchr(row->tts_isnull, true, desc->natts) != NULL;
	Size		offset = MAXALIGN(SizeofHeapTupleHeader +
								  (nulls ? BITMAPLEN(desc->natts) : 0));
	HeapTuple	tuple = palloc0(HEAPTUPLESIZE + offset + length);
	HeapTupleHeader header = (HeapTupleHeader) ((char *) tuple + HEAPTUPLESIZE);

	tuple->t_data = header;
	tuple->t_len = offset + length;
	HeapTupleHeaderSetDatumLength(header, tuple->t_len);
	HeapTupleHeaderSetTypeId(header, desc->tdtypeid);
	HeapTupleHeaderSetTypMod(header, desc->tdtypmod);
	HeapTupleHeaderSetNatts(header, desc->natts);
	header->t_hoff = offset;
	header->t_infomask = nulls ? HEAP_HASNULL : 0;
	return tuple;
}

/*
 * Returns a tuple of the first columns of tuple and the remaining ones of row,
 * or NULL if that is not possible (see above).
 */
static HeapTuple
splice_tuple_tail(HeapTuple tuple, const TupleTableSlot *row, TupleDesc desc,
				  int first)
{
	Size		head;
	Size		length;
	HeapTuple	result;
	char	   *data;

	if (HeapTupleHeaderGetNatts(tuple->t_data) < first)
		return NULL;
	head = tuple_head_length(tuple, desc, first);
	length = tuple_length_with_tail(row, desc, first, head);
	if (length == 0)
		return NULL;
	result = make_empty_tuple(row, desc, length);
	result->t_data->t_infomask |= tuple->t_data->t_infomask &
		(HEAP_HASVARWIDTH | HEAP_HASEXTERNAL);
	if (HeapTupleHasNulls(result))
		fill_null_bitmap(result, tuple, row, desc->natts, first);
	data = (char *) result->t_data + result->t_data->t_hoff;
	memcpy(data, (char *) tuple->t_data + tuple->t_data->t_hoff, head);
	fill_tuple_tail(data, row, desc, first, head);
	return result;
}

HeapTuple
row_tuple(const RowState *state, HeapTuple tuple)
{
	TupleDesc	desc = state->rules->desc;
	HeapTuple	result = splice_tuple_tail(tuple, state->row, desc,
										   state->first_replaced - 1);

	if (result == NULL)
		result = heap_form_tuple(desc, state->row->tts_values,
								 state->row->tts_isnull);
	/* copy the identification of the tuple, as heap_modify_tuple does */
	result->t_data->t_ctid = tuple->t_data->t_ctid;
	result->t_self = tuple->t_self;
	result->t_tableOid = tuple->t_tableOid;
	return result;
}

/*-------------------------------------------------------------------------
 * How a row is named: by its primary key, else by the fallback columns.
 *-------------------------------------------------------------------------
 */

/* maximum length of a value in a message, in bytes */
#define VALUE_SHOWN 60

/* maximum length of a sampled key, in bytes */
#define KEY_KEPT 1000

static bool
rule_computes_column(const RelationRules *rules, AttrNumber attnum)
{
	for (int i = 0; i < rules->nrules; i++)
	{
		const RuleSide *side = &rules->rules[i].new_side;

		for (int j = 0; j < side->ncolumns; j++)
		{
			if (rules->columns[side->columns[j]].attnum == attnum)
				return true;
		}
	}
	return false;
}

static List *
names_of_other_columns(const RelationRules *rules)
{
	List	   *names = NIL;

	for (int i = 0; i < rules->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(rules->desc, i);

		if (!att->attisdropped && !att->attgenerated &&
			!rule_computes_column(rules, att->attnum))
			names = lappend(names, NameStr(att->attname));
	}
	return names;
}

List *
row_fallback_names(const RelationRules *rules, const CompiledRule *rule)
{
	bool		drops = rule_drops_column(rule->source);
	const RuleSide *side = drops ? &rule->old_side : &rule->new_side;
	List	   *names = NIL;

	if (!drops && !rule_is_derived(rule->source))
		return rule->source->old_columns;
	for (int i = 0; i < side->nsources; i++)
	{
		RuleColumn *column = &rules->columns[side->sources[i]];

		if (!rule_computes_column(rules, column->attnum))
			names = lappend(names, NameStr(column->att->attname));
	}
	return names != NIL ? names : names_of_other_columns(rules);
}

List *
row_key_columns(Relation rel, List *fallback)
{
	Bitmapset  *key = RelationGetIndexAttrBitmap(rel,
												 INDEX_ATTR_BITMAP_PRIMARY_KEY);
	List	   *columns = NIL;
	ListCell   *lc;
	int			i = -1;

	while ((i = bms_next_member(key, i)) >= 0)
		columns = lappend_int(columns, i + FirstLowInvalidHeapAttributeNumber);
	if (columns != NIL)
		return columns;
	foreach(lc, fallback)
		columns = lappend_int(columns, get_attnum(RelationGetRelid(rel),
												  lfirst(lc)));
	return columns;
}

/* Returns the column's value as text in the current context, or NULL. */
static char *
key_column_text(Relation rel, TupleTableSlot *slot, AttrNumber attnum)
{
	Oid			output;
	bool		is_varlena;
	bool		isnull;
	Datum		value = slot_getattr(slot, attnum, &isnull);

	if (isnull)
		return NULL;
	getTypeOutputInfo(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid,
					  &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}

static const char *
key_column_name(Relation rel, AttrNumber attnum)
{
	return NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);
}

/*
 * Two sessions must write a value alike, whatever their settings: a note is
 * found by its key.
 */
static int
fix_output_formats(void)
{
	int			level = NewGUCNestLevel();

	authority_pin_catalog_forms();
	return level;
}

List *
row_column_names(Relation rel, List *columns)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, columns)
		names = lappend(names, pstrdup(key_column_name(rel, lfirst_int(lc))));
	return names;
}

char *
row_columns_json(Relation rel, TupleTableSlot *slot, List *columns)
{
	return row_columns_json_as(rel, slot, columns,
							   row_column_names(rel, columns));
}

char *
row_columns_json_as(Relation rel, TupleTableSlot *slot, List *columns,
					List *names)
{
	StringInfoData json;
	ListCell   *lc;
	ListCell   *name;
	int			level = fix_output_formats();

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	forboth(lc, columns, name, names)
	{
		char	   *value = key_column_text(rel, slot, lfirst_int(lc));

		if (json.len > 1)
			appendStringInfoString(&json, ", ");
		escape_json(&json, lfirst(name));
		appendStringInfoString(&json, ": ");
		if (value)
			escape_json(&json, value);
		else
			appendStringInfoString(&json, "null");
	}
	appendStringInfoChar(&json, '}');
	AtEOXact_GUC(true, level);
	return json.data;
}

char *
row_key_json(Relation rel, TupleTableSlot *slot, List *fallback)
{
	char	   *key = row_columns_json(rel, slot,
									   row_key_columns(rel, fallback));

	if (strlen(key) <= KEY_KEPT)
		return key;
	return psprintf("{\"ctid\": \"(%u,%u)\"}",
					ItemPointerGetBlockNumber(&slot->tts_tid),
					ItemPointerGetOffsetNumber(&slot->tts_tid));
}

char *
row_key_text(Relation rel, TupleTableSlot *slot, List *columns)
{
	StringInfoData names;
	StringInfoData values;
	ListCell   *lc;

	initStringInfo(&names);
	initStringInfo(&values);
	foreach(lc, columns)
	{
		char	   *value = key_column_text(rel, slot, lfirst_int(lc));
		const char *separator = names.len ? ", " : "";

		appendStringInfo(&names, "%s%s", separator,
						 key_column_name(rel, lfirst_int(lc)));
		appendStringInfo(&values, "%s%s", separator,
						 value ? text_shortened(value, VALUE_SHOWN) : "null");
	}
	return psprintf("(%s)=(%s)", names.data, values.data);
}
