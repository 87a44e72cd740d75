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
	AttrNumber	first_new;		/* lowest attribute number of a new column, or
								 * 0 if no row is unfilled any more */
	bool		exact;			/* are only rows shorter than that unfilled? */
} CompiledRule;

/* The side of a rule that the release of a writer means: see own_side.h. */
typedef enum OwnSide
{
	OWN_BOTH,					/* the writer has declared nothing */
	OWN_OLD,
	OWN_NEW
} OwnSide;

typedef struct RelationRules
{
	MemoryContext context;
	Oid			relid;
	Oid			root;			/* topmost table, whose owner evaluates */
	Oid			trigger;
	int			ncolumns;
	TupleDesc	desc;			/* copy of the relation's */
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
	bool		twin_keys_known;	/* has twin_keys_find been called? */
	bool		valid;			/* false once a callback has reported a change */
	bool		dropped;		/* removed from the cache; the last user frees
								 * it */
	List	   *twin_keys;		/* of TwinKey: see twin_keys.h */
	struct RowState *idle;		/* left for the next statement, or NULL */
	struct RelationRules *next; /* next rules of the same relation in the
								 * cache */
	dlist_node	stale;			/* node in the cache's list of stale rules */
	WriterNote	writer;			/* was this session marked as a writer? */
	int			users;			/* number of statements using it */
} RelationRules;

/* Does rel have a sync trigger? */
extern bool relation_has_sync_trigger(Relation rel);

/*
 * Returns the sync trigger of rel, copied into the current memory context, or
 * NULL.  The relcache frees its own copy at any invalidation, even if the
 * table is open and locked: a GRANT or ANALYZE in another session is enough.
 */
extern Trigger *relation_sync_trigger(Relation rel);

/*
 * Returns the rules of rel, from the cache or compiled.
 * They stay valid until relation_rules_release; the caller keeps a lock on rel
 * until then.  trigger is a copy, or that of a trigger call.  Errors: those of
 * expression_parse; a column of a rule does not exist; the trigger of a
 * partition was not created on its partitioned table; a rule would call a
 * function that was created since it was stored.
 */
extern RelationRules *relation_rules_get(Relation rel, const Trigger *trigger);
extern void relation_rules_release(RelationRules *rules);

#endif							/* TANDEM_RELATION_RULES_H */
