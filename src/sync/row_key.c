/*
 * row_key.c
 *		How a row is named: by its primary key, else by the given columns.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"

#include "core/authority.h"
#include "core/text.h"
#include "sync/row_key.h"

/* longest value shown in a message, in bytes */
#define VALUE_SHOWN 60

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

/* The column as text in the current context, or NULL. */
static char *
column_text(Relation rel, TupleTableSlot *slot, AttrNumber attnum)
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
column_name(Relation rel, AttrNumber attnum)
{
	return NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);
}

static int
fix_formats(void)
{
	int			level = NewGUCNestLevel();

	authority_pin_text_forms();
	return level;
}

char *
row_columns_json(Relation rel, TupleTableSlot *slot, List *columns)
{
	StringInfoData json;
	ListCell   *lc;
	int			level = fix_formats();

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	foreach(lc, columns)
	{
		char	   *value = column_text(rel, slot, lfirst_int(lc));

		if (json.len > 1)
			appendStringInfoString(&json, ", ");
		escape_json(&json, column_name(rel, lfirst_int(lc)));
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
row_key_text(Relation rel, TupleTableSlot *slot, List *columns)
{
	StringInfoData names;
	StringInfoData values;
	ListCell   *lc;

	initStringInfo(&names);
	initStringInfo(&values);
	foreach(lc, columns)
	{
		char	   *value = column_text(rel, slot, lfirst_int(lc));
		const char *separator = names.len ? ", " : "";

		appendStringInfo(&names, "%s%s", separator,
						 column_name(rel, lfirst_int(lc)));
		appendStringInfo(&values, "%s%s", separator,
						 value ? text_shortened(value, VALUE_SHOWN) : "null");
	}
	return psprintf("(%s)=(%s)", names.data, values.data);
}
