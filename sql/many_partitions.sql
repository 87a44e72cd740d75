-- What a partition costs does not depend on how many there are, and partitions that share their compiled rules
-- differ in what is their own.
CREATE DATABASE many_partitions;
\c many_partitions
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset format unaligned
\pset tuples_only
\pset null '-'
CREATE PROCEDURE make_tree(name text, partitions integer) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (id integer NOT NULL, a integer, note text) PARTITION BY RANGE (id)', name);
	FOR i IN 0 .. partitions - 1 LOOP
		EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)', name || i, name, i * 10, i * 10 + 10);
	END LOOP;
	EXECUTE format('INSERT INTO %I SELECT i * 10, i FROM generate_series(0, %s) i', name, partitions - 1);
END $$;
-- the longest arguments that the trigger of a partition has
CREATE VIEW arguments AS SELECT parent.relname AS tree, max(length(t.tgargs)) AS bytes
	FROM pg_trigger t JOIN pg_inherits h ON h.inhrelid = t.tgrelid JOIN pg_class parent ON parent.oid = h.inhparent
	WHERE t.tgname = '~tandem_sync' GROUP BY parent.relname;
CREATE VIEW memory AS SELECT coalesce(sum(total_bytes), 0) AS bytes FROM pg_backend_memory_contexts WHERE name LIKE 'tandem %';
-- sets of compiled rules, and the hash table in which they are found
CREATE VIEW compiled AS SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'tandem rules';
CALL make_tree('few', 10);
CALL make_tree('many', 200);

SELECT tandem.create_migration('m');
BEGIN;
SELECT tandem.add_column('m', name, 'b', 'bigint'), tandem.sync_column('m', name, 'a', 'b', 'coalesce(a, 0)', 'b::integer')
	FROM unnest('{few,many}'::text[]) name;
COMMIT;
SELECT count(*), min(bytes) = max(bytes) AS same FROM arguments;
UPDATE few SET a = a + 1;
SELECT bytes AS before FROM memory \gset
UPDATE many SET a = a + 1;
SELECT (bytes - :before) / 200 < 2048 AS small FROM memory;
SELECT count(*), count(*) FILTER (WHERE b = a) FROM many;
CALL tandem.migrate('m');
SELECT count(*), min(bytes) = max(bytes) AS same FROM arguments;

-- what the session has is given back
UPDATE few SET a = a + 1;
UPDATE many SET a = a + 1;
SELECT count FROM compiled;
CALL tandem.contract('m', accept => '{defaults}');
SELECT count FROM compiled;
SELECT count(*) FROM tandem.fill_mark;

-- Partitions whose columns are in other places, have another default, or another owner.
CREATE ROLE many_partitions_owner;
CREATE TABLE t (id integer NOT NULL, a integer, note text) PARTITION BY RANGE (id);
CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (0) TO (10);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (10) TO (20);
CREATE TABLE places (x text, note text, y text, a integer, id integer NOT NULL);
ALTER TABLE places DROP x, DROP y;
ALTER TABLE t ATTACH PARTITION places FOR VALUES FROM (20) TO (30);
CREATE TABLE other_default PARTITION OF t (a DEFAULT 7) FOR VALUES FROM (30) TO (40);
CREATE TABLE other_owner PARTITION OF t (a DEFAULT 7) FOR VALUES FROM (40) TO (50);
ALTER TABLE other_owner OWNER TO many_partitions_owner;
INSERT INTO t SELECT i * 10, i FROM generate_series(0, 4) i;
BEGIN;
SELECT tandem.create_migration('n');
SELECT tandem.add_column('n', 't', 'b', 'bigint');
SELECT tandem.sync_column('n', 't', 'a', 'b', 'coalesce(a, 0)', 'b::integer');
COMMIT;
INSERT INTO t (id, a) SELECT i * 10 + 1, i FROM generate_series(0, 4) i;
INSERT INTO t (id, b) SELECT i * 10 + 2, i FROM generate_series(0, 4) i;
INSERT INTO other_default (id, b) VALUES (33, 5);
INSERT INTO other_owner (id, b) VALUES (43, 5);
SELECT tableoid::regclass, id, a, b FROM t WHERE id % 10 > 0 ORDER BY id;
UPDATE t SET b = 100 WHERE id % 10 = 1;
UPDATE t SET a = 50 WHERE id % 10 = 2;
SELECT count(*), count(*) FILTER (WHERE b = a) FROM t WHERE id % 10 > 0;

-- One of them was rewritten: there alone a NULL may be that of a row which is not filled.
VACUUM FULL t1;
UPDATE t SET b = NULL WHERE id IN (1, 11);
UPDATE t SET note = 'seen' WHERE id IN (1, 11);
SELECT id, a, b FROM t WHERE id IN (1, 11) ORDER BY id;

-- An index of a tree with branches.
CREATE TABLE branch PARTITION OF t FOR VALUES FROM (50) TO (90) PARTITION BY RANGE (id);
CREATE TABLE leaf5 PARTITION OF branch FOR VALUES FROM (50) TO (60);
CREATE TABLE leaf6 PARTITION OF branch FOR VALUES FROM (60) TO (70);
SELECT tandem.add_index('n', 'CREATE INDEX t_b ON t (b)');
SET client_min_messages = error;
CALL tandem.migrate('n');
SELECT count(*), bool_and(indisvalid) FROM pg_index i JOIN pg_partition_tree('t_b') p ON p.relid = i.indexrelid;
CALL tandem.abort('n', force => true);
SELECT count(*) FROM pg_partition_tree('t') p JOIN pg_attribute a ON a.attrelid = p.relid AND a.attname = 'b';
DROP OWNED BY many_partitions_owner;
DROP ROLE many_partitions_owner;
\c postgres
DROP DATABASE many_partitions;
