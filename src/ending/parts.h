/*
 * parts.h
 *		What contract takes along beyond the old columns, and what these have
 *		and the new ones lack.
 */
#ifndef TANDEM_PARTS_H
#define TANDEM_PARTS_H

#include "nodes/pg_list.h"

#include "catalog/migration.h"

/* A row of tandem.preview_contract.  See README.md for the kinds. */
typedef struct ContractPart
{
	char	   *part;			/* the kind, as given to accept */
	char	   *object;
	char	   *what_happens;
	char	   *remedy;
	bool		refuses;		/* contract needs it to be accepted */
} ContractPart;

/* Returns what the catalogs say now, sorted.  Takes no lock. */
extern List *contract_parts(const Migration *migration);

/*
 * Returns the functions and views that merely seem to mean a column that goes,
 * as further parts, which takes a look at every function of the database.
 */
extern List *contract_texts(const Migration *migration);

/*
 * Returns the kinds of the parts that contract of a migration would lose, as C
 * strings without duplicates; none while something that they name is being
 * dropped.
 */
extern List *contract_part_kinds(int migration_id);

/* Throws an error, which lists the kinds, if one of the names is none. */
extern void contract_parts_check_names(List *accept);

/*
 * Throws an error if one of the parts refuses, and is not among the accepted
 * kinds.
 */
extern void contract_parts_check(const Migration *migration, List *parts,
								 List *accept);

/*
 * Warns of these parts and of texts: those of kinds in accepted were accepted,
 * others will be lost, or are in the way, at contract.
 */
extern void contract_parts_warn(const Migration *migration, List *parts,
								List *accepted);

#endif							/* TANDEM_PARTS_H */
