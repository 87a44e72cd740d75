/*
 * change_trial.h
 *		The expressions of a change of a column that is not made yet, tried on a row.
 */
#ifndef TANDEM_CHANGE_TRIAL_H
#define TANDEM_CHANGE_TRIAL_H

#include "executor/executor.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/* What a caller of rehearse_change says, and what that comes to. */
typedef struct ChangeCall
{
	Oid			relation;
	char	   *type_text;
	char	   *up;				/* never NULL after change_call_read */
	char	   *down;			/* NULL: one-way */
	char	   *column;			/* that is changed; NULL: none is */
	Oid			type;
	int32		typmod;
} ChangeCall;

/* A constraint of the table that the new column would have too. */
typedef struct ChangeConstraint
{
	char	   *name;
	char	   *check;			/* its expression; NULL: it is UNIQUE */
	List	   *columns;		/* of a UNIQUE one, names */
	bool		nulls_equal;
	char	   *not_tried;		/* why its rows are not looked at, or NULL */
} ChangeConstraint;

/* What is looked at of a row. */
typedef enum TrialStage
{
	STAGE_UP,
	STAGE_DOWN,
	STAGE_CONSTRAINT
} TrialStage;

/* The trial on the rows of one leaf table. */
typedef struct ChangeTrial
{
	const ChangeCall *call;
	Relation	rel;
	EState	   *estate;
	ExprContext *context;
	ExprState  *up;
	ExprState  *down;			/* NULL: not tried */
	ExprState **checks;			/* by constraint; NULL: not tried */
	AttrNumber	column;			/* in rel, or InvalidAttrNumber */
	Oid			owner;			/* as whom the table's own text is run */
	TupleDesc	desc;			/* the columns of rel, and the new one */
	TupleTableSlot *row;		/* such a row */
	FmgrInfo   *equal;			/* of the old column; NULL: its type has no
								 * equality */
	bool		not_null;
	bool		is_volatile;
} ChangeTrial;

/*
 * Reads the call as the caller: its type, and which column it is about.  Errors: there
 * is no such type or column; it cannot be told which column down gives back.
 */
extern void change_call_read(ChangeCall *call, Relation rel);

/*
 * Returns the constraints that the new column would have, as ChangeConstraint; of them
 * those with text of the table's owner are tried if the caller has his rights.
 */
extern List *change_constraints(const ChangeCall *call);

/*
 * Prepares the trial on rows of rel, which is open, in the current memory context, as
 * the caller.  A CHECK that cannot be read with the new type gets a reason in not_tried.
 * Errors: those of expression_parse.
 */
extern ChangeTrial *change_trial_begin(const ChangeCall *call, Relation rel, List *constraints);
extern void change_trial_end(ChangeTrial *trial);

/*
 * Computes the new column of the row in slot, and puts both into trial->row.  Valid until
 * the next call.  Errors: those of up.
 */
extern void change_trial_up(ChangeTrial *trial, TupleTableSlot *slot);

/* Is down of that row another value than the old one?  Errors: those of down. */
extern bool change_trial_loses(ChangeTrial *trial);

/* Does that row break the CHECK with this index?  Errors: those of the CHECK. */
extern bool change_trial_breaks(ChangeTrial *trial, int constraint);

/* Returns a value of that row as text: that of the new column, or of an old one. */
extern char *change_trial_value(const ChangeTrial *trial, AttrNumber attnum);

#endif							/* TANDEM_CHANGE_TRIAL_H */
