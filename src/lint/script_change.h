/*
 * script_change.h
 *		Notes what a statement of a script does, for the statements behind it.
 */
#ifndef TANDEM_SCRIPT_CHANGE_H
#define TANDEM_SCRIPT_CHANGE_H

#include "lint/script_tables.h"

/*
 * Notes in tables what the statement makes, drops, renames and proves.  A statement of
 * which that is not known, as of DO, changes nothing.
 */
extern void script_change(ScriptTables *tables, Node *statement);

#endif							/* TANDEM_SCRIPT_CHANGE_H */
