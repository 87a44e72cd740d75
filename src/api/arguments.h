/*
 * arguments.h
 *		Arguments of the SQL functions; a missing one is an error.
 */
#ifndef TANDEM_ARGUMENTS_H
#define TANDEM_ARGUMENTS_H

#include "fmgr.h"
#include "nodes/pg_list.h"

/* Returns argument n, of type text or name, palloc'd.  Errors: it is NULL. */
extern char *argument_text(FunctionCallInfo fcinfo, int n, const char *name);
extern char *argument_name(FunctionCallInfo fcinfo, int n, const char *name);

/* Returns argument n, of type text, palloc'd, or NULL. */
extern char *argument_optional_text(FunctionCallInfo fcinfo, int n);

/*
 * Returns the elements of an array argument as C strings, or NIL if it is
 * NULL.
 */
extern List *argument_strings(FunctionCallInfo fcinfo, int n);

/*
 * Returns the table that argument n names, as the script of the migration that is
 * argument 0 knows it, or that of the view of a release that it names.  Errors: it is
 * NULL; there is no such relation.
 */
extern Oid	argument_relation(FunctionCallInfo fcinfo, int n);

/* Returns a boolean argument.  Errors: it is NULL. */
extern bool argument_bool(FunctionCallInfo fcinfo, int n, const char *name);

/* Returns a release.  Errors: it is not a positive integer. */
extern int	argument_release(FunctionCallInfo fcinfo, int n);

/* Was the procedure called in a context where it may commit? */
extern bool procedure_may_commit(FunctionCallInfo fcinfo);

#endif							/* TANDEM_ARGUMENTS_H */
