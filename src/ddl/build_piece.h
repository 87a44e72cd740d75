/*
 * build_piece.h
 *		Interface of steps that build something, one piece at a time.
 *
 * Before each piece the state of the step is determined again from the
 * catalogs.  So it continues after a crash, an earlier try, or a change by
 * another session.
 */
#ifndef TANDEM_BUILD_PIECE_H
#define TANDEM_BUILD_PIECE_H

#include "catalog/step.h"

typedef enum BuildResult
{
	BUILD_DONE,					/* nothing is left to do */
	BUILD_AGAIN,				/* a piece was done in this transaction:
								 * commit, and ask again */
	BUILD_STATEMENT,			/* run piece->statement at top level, and ask
								 * again */
	BUILD_WAIT					/* another session is building it: ask again
								 * later */
} BuildResult;

typedef struct BuildPiece
{
	char	   *statement;
	StepPhase	phase;
	char	   *doing;			/* the same in words: "building index x", ... */
	Oid			relation;		/* table being worked on; its owner runs the
								 * statement */
	char	   *index;			/* name of the index that the statement
								 * builds, or NULL */
	char	   *cleanup;		/* statement to run at top level if this one
								 * fails, or NULL */
} BuildPiece;

#endif							/* TANDEM_BUILD_PIECE_H */
