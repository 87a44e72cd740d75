-- What expand says of tables that logical replication sends or brings.  What would be lost: test/t/replication.pl.
CREATE DATABASE replicated;
\c replicated
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE TABLE keyless (k int, is_public boolean, n int);
CREATE TABLE keyed (LIKE keyless, PRIMARY KEY (k));
CREATE TABLE other_key (LIKE keyless);
ALTER TABLE other_key ALTER k SET NOT NULL;
CREATE UNIQUE INDEX other_key_k ON other_key (k);
CREATE TABLE parted (LIKE keyless) PARTITION BY LIST (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
-- expand, undone again
CREATE PROCEDURE try(name text, up text DEFAULT $$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tandem.create_migration('m');
	PERFORM tandem.add_column('m', name, 'visibility', 'text');
	PERFORM tandem.sync_column('m', name, 'is_public', 'visibility', up);
	ROLLBACK;
END $$;

-- no replication: no word
CALL try('keyless');
ALTER TABLE keyless REPLICA IDENTITY FULL;
ALTER TABLE parted_2 REPLICA IDENTITY FULL;
CALL try('keyless');

-- published, FULL and without a key: a warning, in whichever publication, also of one partition
CREATE PUBLICATION p FOR TABLE keyless, keyed, other_key, parted;
CALL try('parted');
ALTER TABLE parted_1 REPLICA IDENTITY FULL;
CALL try('parted');
CALL try('keyless');
-- without an UPDATE or DELETE that is sent there is nothing to lose
ALTER PUBLICATION p SET (publish = 'insert, truncate');
CALL try('keyless');
ALTER PUBLICATION p SET (publish = 'insert, delete');
CALL try('keyless');
ALTER PUBLICATION p SET (publish = 'insert, update, delete');
CALL try('keyed');
-- the server lets no UPDATE happen, so there would be no fill either
CALL try('other_key');
ALTER TABLE keyless REPLICA IDENTITY NOTHING;
CALL try('keyless');
ALTER TABLE other_key REPLICA IDENTITY USING INDEX other_key_k;
CALL try('other_key');
DROP PUBLICATION p;
-- nor where row filters and column lists do not go with the identity, in whichever publication, also of one partition
CREATE PUBLICATION p FOR TABLE keyed WHERE (n > 0), parted_2 WHERE (n > 0);
CALL try('keyed');
ALTER TABLE parted_2 REPLICA IDENTITY NOTHING;
CALL try('parted');
ALTER PUBLICATION p SET TABLE keyed (n);
CALL try('keyed');
ALTER PUBLICATION p SET (publish_via_partition_root);
ALTER PUBLICATION p SET TABLE parted WHERE (n > 0);
CALL try('parted');
ALTER TABLE parted_2 REPLICA IDENTITY FULL;
-- FULL goes with any filter, and with no list
CALL try('parted');
ALTER PUBLICATION p SET TABLE parted (k, is_public);
CALL try('parted');
ALTER PUBLICATION p SET TABLE keyed WHERE (k > 0), other_key (k, n);
CALL try('keyed');
CALL try('other_key');
CREATE PUBLICATION other FOR TABLE keyed WHERE (n > 0);
CALL try('keyed');
ALTER PUBLICATION other SET (publish = 'insert');
CALL try('keyed');
-- the fill is of the same opinion, and goes on when the hint was followed
INSERT INTO keyed VALUES (1, true, 1), (2, false, 2);
BEGIN;
SELECT tandem.create_migration('filtered');
SELECT tandem.add_column('filtered', 'keyed', 'visibility', 'text');
SELECT tandem.sync_column('filtered', 'keyed', 'is_public', 'visibility', $$ is_public::text $$);
COMMIT;
ALTER PUBLICATION other SET (publish = 'insert, update');
CALL tandem.migrate('filtered');
ALTER TABLE keyed REPLICA IDENTITY FULL;
CALL tandem.migrate('filtered');
SELECT k, visibility FROM keyed ORDER BY k;
CALL tandem.abort('filtered');
ALTER TABLE keyed REPLICA IDENTITY DEFAULT;
TRUNCATE keyed;
DROP PUBLICATION p, other;
CREATE PUBLICATION p FOR ALL TABLES;
ALTER TABLE keyless REPLICA IDENTITY FULL;
CALL try('keyless');
DROP PUBLICATION p;

-- the target of a subscription: what arrives would be lost here
SET client_min_messages = error;
CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (connect = false);
SET client_min_messages = warning;
-- as ALTER SUBSCRIPTION ... REFRESH PUBLICATION would
INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate)
	SELECT s.oid, c.oid, 'r' FROM pg_subscription s, pg_class c
	WHERE s.subname = 's' AND c.relname IN ('keyless', 'keyed', 'other_key', 'parted');
CALL try('keyless');
ALTER TABLE keyless REPLICA IDENTITY DEFAULT;
CALL try('keyless');
CALL try('parted');
CALL try('keyed');
CALL try('other_key');
-- where only INSERTs arrive the user says so
ALTER TABLE keyless REPLICA IDENTITY NOTHING;
CALL try('keyless');
-- what came after expand stops the fill before it writes
BEGIN;
SELECT tandem.create_migration('m');
SELECT tandem.add_column('m', 'keyless', 'visibility', 'text');
SELECT tandem.sync_column('m', 'keyless', 'is_public', 'visibility', $$ is_public::text $$);
COMMIT;
INSERT INTO keyless (k) VALUES (1);
ALTER TABLE keyless REPLICA IDENTITY FULL;
CALL tandem.migrate('m');
ALTER TABLE keyless REPLICA IDENTITY NOTHING;
CALL tandem.migrate('m');
CALL tandem.abort('m');

-- a volatile up, where the fill is not sent
SET tandem.send_fill = off;
CALL try('keyed', 'gen_random_uuid()::text');
SET tandem.send_fill = on;
CALL try('keyed', 'gen_random_uuid()::text');
-- in the run alone: it is refused at a row that needs a value, the row of a writer needs none
RESET tandem.send_fill;
INSERT INTO keyed (k) VALUES (1);
BEGIN;
SELECT tandem.create_migration('m');
SELECT tandem.add_column('m', 'keyed', 'visibility', 'text');
SELECT tandem.sync_column('m', 'keyed', 'is_public', 'visibility', 'gen_random_uuid()::text');
COMMIT;
INSERT INTO keyed (k) VALUES (2);
SELECT tandem.configure('m', 'tandem.send_fill', 'off');
CALL tandem.migrate('m');
SELECT tandem.configure('m', 'tandem.fire_triggers', 'on');
CALL tandem.migrate('m');
DELETE FROM keyed WHERE k = 1;
CALL tandem.migrate('m');
SELECT k, visibility IS NOT NULL FROM keyed;
SET tandem.send_fill = sometimes;
ALTER SUBSCRIPTION s SET (slot_name = NONE);
DROP SUBSCRIPTION s;
\c postgres
DROP DATABASE replicated;
