/*
 * relation_rules.h
 *		The rules of a table: compiled, ordered, and kept for the session.
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
 * Sorts rules (of SyncRule) so that each comes after those whose new columns
 * it reads.  Errors: a circle.
 */
extern List *rule_order_sort(List *rules, Relation rel);

/* What an INSERT puts into a column that it does not name. */
typedef enum DefaultKind
{
	DEFAULT_NULL,
	DEFAULT_CONSTANT,
	DEFAULT_COMPUTED			/* now(), nextval(): not known before */
} DefaultKind;

/* A column that some rule reads or writes. */
typedef struct RuleColumn
{
	AttrNumber	attnum;
	Form_pg_attribute att;
	DefaultKind default_kind;
	Datum		default_value;	/* of DEFAULT_CONSTANT */
	FmgrInfo   *equal;			/* of the type, or NULL: it has none */
} RuleColumn;

/* up of a new column, or down of an old one. */
typedef struct RuleExpression
{
	int			column;			/* that it computes: index into columns */
	int			id;				/* unique in the relation; -1: there is none */
	CachedExpression *plan;
} RuleExpression;

/* One side of a rule: the old columns or the new ones. */
typedef struct RuleSide
{
	int			ncolumns;
	int		   *columns;		/* indexes into columns */
	RuleExpression *expressions;	/* that compute them; NULL where none does */
	bool		is_volatile;	/* any of the expressions is */
} RuleSide;

typedef struct CompiledRule
{
	SyncRule   *source;
	RuleSide	old_side;		/* computed by down */
	RuleSide	new_side;		/* computed by up */
	AttrNumber	first_new;		/* smallest number of a new column */
	bool		exact;			/* a row is unfilled when shorter than that */
} CompiledRule;

typedef struct RelationRules
{
	MemoryContext context;
	Oid			relid;
	Oid			userid;
	Oid			trigger;
	TupleDesc	desc;			/* a copy */
	int			ncolumns;
	RuleColumn *columns;
	AttrNumber	last_column;	/* largest number among them */
	int			nrules;
	CompiledRule *rules;		/* a rule comes after those it depends on */
	int			widest_side;	/* most columns of a side */
	int			nexpressions;
	bool		only_builtin;	/* as of expression_is_builtin, all of them */
	struct RowState *idle;		/* for the next statement, or NULL */
	bool		valid;			/* false: a change was told of */
	bool		dropped;		/* from the cache: its last user frees it */
	int			users;			/* statements that work with it */
	uint32		role_hash;		/* of userid in the syscache of roles */
	struct RelationRules *next; /* of the same relation in the cache */
	dlist_node	stale;			/* in the cache's list of those to drop */
	WriterNote	writer;			/* whether this session was marked */
} RelationRules;

/* Whether rel has a sync trigger. */
extern bool relation_has_sync_trigger(Relation rel);

/*
 * The sync trigger of rel, copied into the current memory context, or NULL.
 * The relcache frees its own triggers at any invalidation, of a table that is
 * open and locked too: another session's GRANT or ANALYZE is enough.
 */
extern Trigger *relation_sync_trigger(Relation rel);

/*
 * What an INSERT puts into a column that it does not name, as a Const where
 * that is known before, or NULL where there is no default.  Planning it runs
 * immutable functions: the caller has entered the owner's scope.
 */
extern Node *relation_rules_default(Relation rel, AttrNumber attnum);

/*
 * Parses an expression of a rule, as stored, with the rights of the owner of
 * rel: running it takes those of the writer.
 */
extern Node *relation_rules_parse(const char *text, Relation rel,
								  AttrNumber target, const char *label);

/*
 * The compiled rules of rel, as of relation_rules_compile, whose errors it has.
 * The caller keeps a lock on rel, and them until relation_rules_release.
 */
extern RelationRules *relation_rules_get(Relation rel, const Trigger *trigger);
extern void relation_rules_release(RelationRules *rules);

#endif							/* TANDEM_RELATION_RULES_H */
