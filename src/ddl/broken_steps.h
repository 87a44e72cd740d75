/*
 * broken_steps.h
 *		Open steps, and rules that only views show, whose text names what a DDL
 *		command has renamed or forbidden.
 */
#ifndef TANDEM_BROKEN_STEPS_H
#define TANDEM_BROKEN_STEPS_H

#include "ddl/ddl_event.h"

/*
 * Refuses the command, or warns (see guard_report.h), if the definition of an
 * index or constraint that is still to be built, the column of a NOT NULL, or a
 * rule that is not stored names what it has renamed, moved or forbidden.
 */
extern void broken_steps_check(const DdlEvent *event);

#endif							/* TANDEM_BROKEN_STEPS_H */
