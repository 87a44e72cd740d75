/*
 * derived_name.h
 *		Names of what we make beside what the user named.
 */
#ifndef TANDEM_DERIVED_NAME_H
#define TANDEM_DERIVED_NAME_H

/*
 * The name made of two others: the same each time, so that what a crash left is
 * found again, and told apart by a hash where it had to be cut.
 */
extern char *derived_name(const char *first, const char *second);

#endif							/* TANDEM_DERIVED_NAME_H */
