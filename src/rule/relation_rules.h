/*
 * relation_rules.h
 *		The compiled rules of a table, cached for the session.
 */
#ifndef TANDEM_RELATION_RULES_H
#define TANDEM_RELATION_RULES_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "lib/ilist.h"
#include "nodes/pg_list.h"
#include "utils/plancache.h"
#include "utils/rel.h"

#include "catalog/sync.h"
#include "catalog/writer.h"
#include "rule/fill_mark.h"
#include "rule/recorded_calls.h"

/*
 * Returns rules (a list of SyncRule) ordered so that each rule comes after
 * those whose new columns it reads.  Errors: the rules form a cycle.
 */
extern List *rule_order_sort(List *rules, Relation rel);

/* The value that an INSERT stores in a column that it does not name. */
typedef enum DefaultKind
{
	DEFAULT_NULL,
	DEFAULT_CONSTANT,
	DEFAULT_COMPUTED			/* now(), nextval(): not known in advance */
} DefaultKind;

/* A column that some rule reads or writes. */
typedef struct RuleColumn
{
	AttrNumber	attnum;
	Form_pg_attribute att;
	DefaultKind default_kind;
	Datum		default_value;	/* for DEFAULT_CONSTANT */
	FmgrInfo   *equal;			/* equality of the type, or NULL if it has
								 * none */
} RuleColumn;

/* The expression up of a new column, or down of an old one. */
typedef struct RuleExpression
{
	int			column;			/* index of the column that it computes */
	int			id;				/* unique in the relation; -1 if there is none */
	CachedExpression *plan;
} RuleExpression;

/* One side of a rule: its old or its new columns. */
typedef struct RuleSide
{
	int			ncolumns;
	int		   *columns;		/* indexes into RelationRules.columns */
	RuleExpression *expressions;	/* by column, or NULL if the side has none */
	bool		is_complete;	/* has every column an expression? */
	bool		is_volatile;	/* is any of the expressions volatile? */
	bool		is_followed;	/* does another rule have or read any of the
								 * columns? */
	int			nsources;		/* columns of neither side that the
								 * expressions read */
	int		   *sources;		/* indexes into RelationRules.columns */
} RuleSide;

static inline bool
rule_side_has_column(const RuleSide *side, int column)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		if (side->columns[i] == column)
			return true;
	}
	return false;
}

/* Have the sides a column in common? */
extern bool rule_sides_share_column(const RuleSide *a, const RuleSide *b);

/* Does the side read a column of the other one, which is of another rule? */
extern bool rule_side_reads(const RuleSide *side, const RuleSide *other);

typedef struct CompiledRule
{
	SyncRule   *source;
	RuleSide	old_side;		/* computed by down; a derived column has none */
	RuleSide	new_side;		/* computed by up */
	const char *search_path;	/* under which the expressions are evaluated;
								 * NULL if they call only functions of the
								 * server that have no side effects and do not
								 * look names up */
	AttrNumber	first_new;		/* lowest attribute number of a new column */
} CompiledRule;

/* The side of a rule that the release of a writer means: see own_side.h. */
typedef enum OwnSide
{
	OWN_BOTH,					/* the writer has declared nothing */
	OWN_OLD,
	OWN_NEW
} OwnSide;

/*
 * The compiled rules of a table, or of those of its partitions that have the
 * same columns in the same places: a session keeps them once.
 */
typedef struct RelationRules
{
	MemoryContext context;
	Oid			root;			/* topmost table, whose owner evaluates */
	Oid			owner;			/* of the relations */
	int			nargs;
	char	  **args;			/* of the trigger, from which they are
								 * compiled */
	int			ncolumns;
	TupleDesc	desc;			/* copy of a relation's */
	RuleColumn *columns;
	CompiledRule *rules;		/* sorted: a rule follows those it depends on */
	int			nrules;
	int			widest_side;	/* number of columns of the widest side */
	int			nexpressions;
	AttrNumber	last_column;	/* highest attribute number in columns */
	bool		calls_recorded; /* see recorded_calls */
	bool		only_builtin;	/* expression_is_builtin() for all expressions */
	RecordedCalls calls;
	OwnSide    *own;			/* by rule */
	bool	   *foreign;		/* by column: does that release mean another
								 * side than this column's? */
	int			release;		/* of the writer for whom own and foreign were
								 * settled; -1 if not settled */
	bool		any_release;	/* does any rule belong to a release? */
	struct RowState *idle;		/* left for the next statement, or NULL */
	dlist_node	shared;			/* node in the list of all */
	int			ntables;		/* number of TableRules that have them */
} RelationRules;

/* What the session keeps of one table or partition beside its rules. */
typedef struct TableRules
{
	RelationRules *rules;
	Oid			relid;
	Oid			trigger;
	Unfilled   *unfilled;		/* by rule */
	bool		twin_keys_known;	/* has twin_keys_find been called? */
	bool		valid;			/* false once a callback has reported a change */
	bool		dropped;		/* removed from the cache; the last user frees
								 * it */
	List	   *twin_keys;		/* of TwinKey: see twin_keys.h */
	MemoryContext keys_context; /* of these; NULL if there are none */
	struct TableRules *next;	/* next of the same relation in the cache */
	dlist_node	stale;			/* node in the cache's list of stale ones */
	WriterNote	writer;			/* was this session marked as a writer? */
	int			users;			/* number of statements using it */
} TableRules;

/* Does rel have a sync trigger? */
extern bool relation_has_sync_trigger(Relation rel);

/*
 * Returns the sync trigger of rel, copied into the current memory context, or
 * NULL.  The relcache frees its own copy at any invalidation, even if the
 * table is open and locked: a GRANT or ANALYZE in another session is enough.
 */
extern Trigger *relation_sync_trigger(Relation rel);

/*
 * Returns what there is of rel and its rules, from the cache or compiled.
 * It stays valid until relation_rules_release; the caller keeps a lock on rel
 * until then.  trigger is a copy, or that of a trigger call.  Errors: those of
 * expression_parse; a column of a rule does not exist; the trigger of a
 * partition was not created on its partitioned table; a rule would call a
 * function that was created since it was stored.
 */
extern TableRules *relation_rules_get(Relation rel, const Trigger *trigger);
extern void relation_rules_release(TableRules *table);

/*
 * Do both sides together tell who has put a NULL into one of them?  Of a column that
 * contract drops, and where down does not give every old one, only a note in quarantine
 * does.
 */
extern bool compiled_rule_tells_nulls(const CompiledRule *rule);

#endif							/* TANDEM_RELATION_RULES_H */
