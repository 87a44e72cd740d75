/*
 * partition_root.h
 *		The table that a partition belongs to.
 */
#ifndef TANDEM_PARTITION_ROOT_H
#define TANDEM_PARTITION_ROOT_H

/*
 * The partitioned table above all others that relid is part of, or relid
 * itself.  A partition that DETACH CONCURRENTLY is about to take away belongs
 * to it until that has ended, though the server's list of its ancestors is
 * empty by then.
 */
extern Oid	partition_root(Oid relid);

#endif							/* TANDEM_PARTITION_ROOT_H */
