/*
 * lint_text.h
 *		Texts of findings: names, types and clauses of the script, as a call of pg_tandem
 *		needs them.  All are palloc'd.
 */
#ifndef TANDEM_LINT_TEXT_H
#define TANDEM_LINT_TEXT_H

#include "review/lint_rule.h"

/* A text, or the name of a table, as a literal of SQL. */
extern char *lint_literal(const char *text);
extern char *lint_table_literal(const ScriptTable *table);

/* A type with its modifier; as the script writes it if it is not there. */
extern char *lint_type_text(const TypeName *name);

/*
 * The text of the statement behind the first such keyword from the place from on: to the
 * comma or parenthesis that ends what stands there, or to the place end, if that is not
 * negative.  '...' if there is none.
 */
extern char *lint_text_behind(const Lint *lint, int from, const char *keyword, int end);

/* The default of a column, in the words of the script. */
extern char *lint_default_text(const Lint *lint, const ColumnDef *column, const Constraint *given);

/* The call that adds a constraint of the ALTER TABLE. */
extern char *lint_constraint_advice(const Lint *lint, const Constraint *constraint);

#endif							/* TANDEM_LINT_TEXT_H */
