/*
 * own_tables.h
 *		Keeps the tables of schema tandem out of logical replication.
 */
#ifndef TANDEM_OWN_TABLES_H
#define TANDEM_OWN_TABLES_H

/* Warns when a publication of this database has tables of schema tandem in it. */
extern void own_tables_warn_published(void);

#endif							/* TANDEM_OWN_TABLES_H */
