-- What the trigger remembers of a row that an UPDATE moves to another partition holds for that UPDATE alone,
-- however it ends and whatever comes after it in the transaction.
CREATE DATABASE moved_rows;
\c moved_rows
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset null '-'

CREATE TABLE t (k integer, a integer DEFAULT 7, note text) PARTITION BY RANGE (k);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20);
SELECT tandem.create_migration('m');
SELECT tandem.add_column('m', 't', 'b', 'integer');
SELECT tandem.sync_column('m', 't', 'a', 'b', 'a * 100', 'b / 100');
-- one way: a row with a value of its own is right only as long as it is known to be moved
SELECT tandem.add_column('m', 't', 'c', 'integer');
SELECT tandem.sync_column('m', 't', 'a', 'c', 'a + 1', keep_old => true);
CREATE INDEX t_k ON t (k);
CREATE FUNCTION put(VARIADIC keys integer[]) RETURNS void LANGUAGE sql
	AS 'TRUNCATE t; INSERT INTO t SELECT k, k FROM unnest(keys) k';
CREATE VIEW rows AS SELECT tableoid::regclass AS part, k, a, b, c FROM t ORDER BY k, a;

-- a move keeps what the row has
SELECT put(1);
UPDATE t SET k = 11 WHERE k = 1;
UPDATE t SET k = 1, a = 5 WHERE k = 11;
UPDATE t SET k = 11, b = 900 WHERE k = 1;
UPDATE t SET k = 1, c = 33 WHERE k = 11;
SELECT * FROM rows;

-- the page of the old row is gone: TRUNCATE, a rewrite, DROP, DETACH
SELECT put(1);
BEGIN;
UPDATE t SET note = 'x' WHERE k = 1;
TRUNCATE t1;
INSERT INTO t (k) VALUES (12);
UPDATE t SET k = 2 WHERE k = 12;
TRUNCATE t1;
INSERT INTO t (k) VALUES (13);
COMMIT;
SELECT * FROM rows;
SELECT put(1);
BEGIN;
UPDATE t SET k = 11 WHERE k = 1;
CLUSTER t1 USING t1_k_idx;
INSERT INTO t (k, b) VALUES (12, 100);
UPDATE t SET k = 1 WHERE k = 11;
CLUSTER t2 USING t2_k_idx;
INSERT INTO t (k, b) VALUES (2, 300);
COMMIT;
SELECT * FROM rows;
SELECT put(1);
BEGIN;
CREATE TABLE t3 PARTITION OF t FOR VALUES FROM (20) TO (30);
UPDATE t SET k = 21 WHERE k = 1;
UPDATE t SET k = 1 WHERE k = 21;
ALTER TABLE t DETACH PARTITION t3;
DROP TABLE t3;
INSERT INTO t (k, b) VALUES (12, 100);
COMMIT;
SELECT * FROM rows;

-- another row in the same place of the old partition, moved by what fires no trigger that sees it
SELECT put(1);
BEGIN;
SAVEPOINT s;
UPDATE t SET k = 11, a = 8 WHERE k = 1;
ROLLBACK TO s;
INSERT INTO t (k) VALUES (12);
INSERT INTO t (k, b) VALUES (13, 500);
COMMIT;
SELECT * FROM rows;
-- an UPDATE that fails in the middle of its move
ALTER TABLE t2 ADD CHECK (a <> 6);
SELECT put(1);
BEGIN;
DO $$
BEGIN
	UPDATE t SET k = 11, a = 6 WHERE k = 1;
EXCEPTION WHEN check_violation THEN
	INSERT INTO t (k) VALUES (14);
END $$;
INSERT INTO t (k, b) VALUES (15, 600 + 100);
COMMIT;
SELECT * FROM rows;

-- a move that another trigger stops leaves nothing for the next INSERT, of that statement or another
CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER stop BEFORE INSERT ON t2 FOR EACH ROW WHEN (NEW.note = 'stop') EXECUTE FUNCTION stop();
SELECT put(1);
BEGIN;
UPDATE t SET k = 11, note = 'stop' WHERE k = 1;
INSERT INTO t (k) VALUES (12);
COMMIT;
SELECT * FROM rows;

-- one statement that updates a row where it is, and inserts another into the next partition
SELECT put(1, 2);
WITH changed AS (UPDATE t SET a = 8 WHERE k = 1 RETURNING k)
	INSERT INTO t (k) SELECT k + 11 FROM changed;
MERGE INTO t USING (VALUES (1, 2), (2, 13)) v (step, k) ON t.k = v.k
	WHEN MATCHED THEN UPDATE SET b = 900
	WHEN NOT MATCHED THEN INSERT (k, c) VALUES (v.k, 44);
SELECT * FROM rows;

-- statements of other triggers in the middle of a move leave its note alone
CREATE TABLE u (k integer, a integer DEFAULT 7) PARTITION BY RANGE (k);
CREATE TABLE u1 PARTITION OF u FOR VALUES FROM (0) TO (10);
CREATE TABLE u2 PARTITION OF u FOR VALUES FROM (10) TO (40);
SELECT tandem.create_migration('n');
SELECT tandem.add_column('n', 'u', 'b', 'integer');
SELECT tandem.sync_column('n', 'u', 'a', 'b', 'a * 100', 'b / 100');
INSERT INTO u VALUES (1, 1), (2, 2);
CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE u SET k = 21 - k, a = a + 1 WHERE k <> 2;
	UPDATE t SET note = 'seen' WHERE k = 3;
	RETURN OLD;
END $$;
CREATE TRIGGER meanwhile BEFORE DELETE ON t1 FOR EACH ROW EXECUTE FUNCTION meanwhile();
SELECT put(1, 3);
UPDATE t SET k = 11, c = 999 WHERE k = 1;
SELECT * FROM rows;
SELECT tableoid::regclass AS part, * FROM u ORDER BY k;

-- a cursor that is open over it all
SELECT put(1, 2);
BEGIN;
DECLARE c CURSOR FOR SELECT k, a, b FROM t ORDER BY k;
FETCH c;
UPDATE t SET k = 11 WHERE k = 2;
INSERT INTO t (k) VALUES (12);
FETCH ALL FROM c;
COMMIT;
SELECT * FROM rows;

-- After a rewrite a NULL tells of a row that was never filled, but not of one that the writer has just set to NULL.
CREATE TABLE v (k integer, is_public boolean) PARTITION BY RANGE (k);
CREATE TABLE v1 PARTITION OF v FOR VALUES FROM (0) TO (10);
CREATE TABLE v2 PARTITION OF v FOR VALUES FROM (10) TO (20);
INSERT INTO v VALUES (1, true), (2, true), (3, false);
SELECT tandem.create_migration('v');
SELECT tandem.add_column('v', 'v', 'visibility', 'text');
SELECT tandem.sync_column('v', 'v', 'is_public', 'visibility',
	$$CASE WHEN is_public THEN 'public' ELSE 'private' END$$, $$visibility = 'public'$$);
VACUUM FULL v;
UPDATE v SET visibility = 'shared' WHERE k = 1;
UPDATE v SET k = 11, visibility = NULL WHERE k = 1;
UPDATE v SET k = 12 WHERE k = 2;
UPDATE v SET k = 13, is_public = NULL WHERE k = 3;
SELECT * FROM v ORDER BY k;
