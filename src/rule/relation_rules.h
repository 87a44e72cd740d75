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
	bool		is_volatile;	/* is any of the expressions volatile? */
} RuleSide;

typedef struct CompiledRule
{
	SyncRule   *source;
	RuleSide	old_side;		/* computed by down */
	RuleSide	new_side;		/* computed by up */
	AttrNumber	first_new;		/* lowest attribute number of a new column */
	bool		exact;			/* are only rows shorter than that unfilled? */
} CompiledRule;

typedef struct RelationRules
{
	MemoryContext context;
	Oid			relid;
	Oid			userid;
	Oid			trigger;
	TupleDesc	desc;			/* copy of the relation's */
	int			ncolumns;
	RuleColumn *columns;
	AttrNumber	last_column;	/* highest attribute number in columns */
	int			nrules;
	CompiledRule *rules;		/* sorted: a rule follows those it depends on */
	int			widest_side;	/* number of columns of the widest side */
	int			nexpressions;
	bool		only_builtin;	/* expression_is_builtin() for all expressions */
	struct RowState *idle;		/* left for the next statement, or NULL */
	bool		twin_keys_known;	/* has twin_keys_find been called? */
	List	   *twin_keys;		/* of TwinKey: see twin_keys.h */
	bool		valid;			/* false once a callback has reported a change */
	bool		dropped;		/* removed from the cache; the last user frees
								 * it */
	int			users;			/* number of statements using it */
	uint32		role_hash;		/* hash of userid in the AUTHOID syscache */
	struct RelationRules *next; /* next rules of the same relation in the
								 * cache */
	dlist_node	stale;			/* node in the cache's list of stale rules */
	WriterNote	writer;			/* was this session marked as a writer? */
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
 * Returns the default of a column, as a Const if it is constant, or NULL if it
 * has none, in the current memory context.  Planning it runs immutable
 * functions, so the caller must have entered the owner's authority scope.
 */
extern Node *relation_rules_default(Relation rel, AttrNumber attnum);

/*
 * Parses the stored expression of a rule as the owner of rel.  It is evaluated
 * with the rights of the writer.
 */
extern Node *relation_rules_parse(const char *text, Relation rel,
								  AttrNumber target, const char *label);

/*
 * Returns the rules of rel for the current user, from the cache or compiled.
 * They stay valid until relation_rules_release; the caller keeps a lock on rel
 * until then.  trigger is a copy, or that of a trigger call.  Errors: those of
 * expression_parse; a column of a rule does not exist; the trigger of a
 * partition was not created on its partitioned table.
 */
extern RelationRules *relation_rules_get(Relation rel, const Trigger *trigger);
extern void relation_rules_release(RelationRules *rules);

#endif							/* TANDEM_RELATION_RULES_H */
