/*
 * arguments.h
 *		Arguments of the SQL functions, with an error for a missing one.
 */
#ifndef TANDEM_ARGUMENTS_H
#define TANDEM_ARGUMENTS_H

#include "fmgr.h"
#include "nodes/pg_list.h"

/* A text or name argument that must not be NULL; palloc'd. */
extern char *argument_text(FunctionCallInfo fcinfo, int n, const char *name);
extern char *argument_name(FunctionCallInfo fcinfo, int n, const char *name);

/* The same of a text that may be NULL. */
extern char *argument_optional_text(FunctionCallInfo fcinfo, int n);

/* Elements of an array as C strings; NIL for NULL. */
extern List *argument_strings(FunctionCallInfo fcinfo, int n);

extern bool argument_bool(FunctionCallInfo fcinfo, int n, const char *name);

/* A release: a positive integer. */
extern int	argument_release(FunctionCallInfo fcinfo, int n);

/* Whether a procedure was called so that it may commit. */
extern bool procedure_may_commit(FunctionCallInfo fcinfo);

#endif							/* TANDEM_ARGUMENTS_H */
