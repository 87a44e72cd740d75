/*
 * membership.h
 *		Which databases are regions: joining and leaving.
 */
#ifndef TANDEM_MEMBERSHIP_H
#define TANDEM_MEMBERSHIP_H

/*
 * Makes this database the region: writes its row, and has publication
 * tandem_region send it.  A call again says how far it is now.  Errors: it is
 * another region; another database has the name; a region that it has heard of has
 * switched to a release that is not expanded here, or may when this one joins.
 */
extern void region_join(const char *name);

/*
 * Removes the row of a region that is no more, or this one's, which the others are
 * told.  Errors: there is none; a subscription still brings what it says.
 */
extern void region_leave(const char *name);

#endif							/* TANDEM_MEMBERSHIP_H */
