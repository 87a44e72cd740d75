/*
 * session_release.h
 *		The release that the session declares, and the names of the schemas
 *		of releases.
 */
#ifndef TANDEM_SESSION_RELEASE_H
#define TANDEM_SESSION_RELEASE_H

/* maximum length of the prefix in bytes: a name may have more around it */
#define RELEASE_PREFIX_MAX 32

/*
 * Returns the prefix of the schemas of releases: the schema of release n is
 * <prefix><n>.  The text is valid until the next call.  Outside of a
 * transaction, the prefix as it was known last.
 */
extern const char *release_prefix(void);

/*
 * Sets the prefix, from the commit on for all sessions.  Checks nothing.
 */
extern void release_set_prefix(const char *prefix);

/*
 * Returns the release of this session, or 0 if it declares none: tandem.release
 * where it is set, else the first <prefix><n> in the search_path of the session
 * (see settings_session_path), whether or not that schema exists.  A tool
 * (setting_release_is_tool) has none.  So cheap that it may be called for each
 * statement.
 */
extern int	session_release(void);

#endif							/* TANDEM_SESSION_RELEASE_H */
