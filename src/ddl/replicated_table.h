/*
 * replicated_table.h
 *		What logical replication asks of a table before it is migrated.
 */
#ifndef TANDEM_REPLICATED_TABLE_H
#define TANDEM_REPLICATED_TABLE_H

/*
 * Errors when changes that arrive by a subscription would be lost
 * (subscription_check_key).  Warns when the fill would fail, since an UPDATE
 * could not be sent, and when subscribers might lose changes that are sent.
 * The table and its partitions are locked.
 */
extern void replicated_table_check(Oid relid);

#endif							/* TANDEM_REPLICATED_TABLE_H */
