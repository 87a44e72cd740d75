/*
 * build_piece.h
 *		How steps that build something go on: one piece at a time.
 *
 * Each step is looked at again before each piece, so that it goes on from
 * whatever a crash, another session or an earlier try has left.
 */
#ifndef TANDEM_BUILD_PIECE_H
#define TANDEM_BUILD_PIECE_H

typedef enum BuildResult
{
	BUILD_DONE,					/* nothing is left to do */
	BUILD_AGAIN,				/* a piece was done, in this transaction:
								 * commit, and ask again */
	BUILD_STATEMENT,			/* run piece->statement at top level, and ask
								 * again */
	BUILD_WAIT					/* another session is at it: ask again later */
} BuildResult;

typedef struct BuildPiece
{
	char	   *statement;
	char	   *doing;			/* for people: "building index x", ... */
	Oid			relation;		/* table at work: the statement runs as its
								 * owner */
	char	   *index;			/* name of the index that statement makes, or
								 * NULL */
	char	   *cleanup;		/* statement to run at top level when this one
								 * has failed, or NULL */
} BuildPiece;

#endif							/* TANDEM_BUILD_PIECE_H */
