-- What reviews of change_column found: names that are one name where they are cut or where they are of
-- different kinds, what a partition has of its own, and what the column gets after expand.
CREATE DATABASE change_middle;
\c change_middle
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA mid;
SET search_path = mid, public;
SELECT tandem.register_release(1);
SELECT tandem.switch_release(1);
-- the catalog but for types, before and after
CREATE VIEW catalog AS
SELECT 'index' AS kind, indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index WHERE indrelid::regclass::text NOT LIKE 'pg_%' AND indexrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'mid'::regnamespace)
UNION ALL SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'mid'::regnamespace AND contype <> 'n' AND conrelid <> 0
UNION ALL SELECT 'statistics', stxname, (SELECT string_agg(attname, ', ' ORDER BY attname) FROM pg_attribute WHERE attrelid = stxrelid AND attnum = ANY (stxkeys)) FROM pg_statistic_ext
UNION ALL SELECT 'column', attrelid::regclass || '.' || attname, concat_ws(' ', pg_get_expr(adbin, adrelid), attnotnull, coalesce(attstattarget, -1), attstorage, attcompression, col_description(attrelid, attnum))
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'mid'::regnamespace AND relkind IN ('r', 'p')) AND attnum > 0 AND NOT attisdropped AND attrelid::regclass::text <> 'before';
CREATE TABLE before AS TABLE catalog;
CREATE VIEW difference AS SELECT '-' AS side, x.* FROM (TABLE before EXCEPT ALL TABLE catalog) x UNION ALL SELECT '+', y.* FROM (TABLE catalog EXCEPT ALL TABLE before) y ORDER BY 2, 3, 1 DESC;

-- 1. A name that a column is to get, while no release has a view.
CREATE TABLE r (a integer);
SELECT tandem.create_migration('rename', release => 2);
SELECT tandem.rename_column('rename', 'r', 'a', 'new_a');
SELECT tandem.add_column('rename', 'r', 'new_a', 'integer');
ALTER TABLE r ADD COLUMN new_a integer;
ALTER TABLE r ADD COLUMN other integer;
ALTER TABLE r RENAME other TO new_a;
CALL tandem.abort('rename');

-- 2. Names that are the same once they are cut, and those of an index, a CHECK and statistics.
SELECT repeat('n', 62) || 'a' AS a, repeat('n', 62) || 'b' AS b, repeat('n', 62) || 'c' AS c \gset
CREATE TABLE t (id integer PRIMARY KEY, :"a" integer, :"b" integer, a integer, b integer);
CREATE INDEX :"a" ON t (a);
CREATE INDEX :"b" ON t (a DESC);
ALTER TABLE t ADD CONSTRAINT :"a" CHECK (a > 0), ADD CONSTRAINT :"b" CHECK (a > -1);
CREATE STATISTICS :"a" ON a, b FROM t;
CREATE STATISTICS :"b" ON id, a FROM t;
CREATE INDEX t_a ON t (a, id);
ALTER TABLE t ADD CONSTRAINT t_a CHECK (a < 1000 AND b < 1000);
CREATE STATISTICS t_a ON a, b, id FROM t;
CREATE TABLE u (a integer);
CREATE INDEX :"c" ON u (a);
INSERT INTO t VALUES (1, 2, 3, 4, 5);
TRUNCATE before;
INSERT INTO before TABLE catalog;
BEGIN;
SELECT tandem.create_migration('names', release => 2);
SELECT tandem.change_column('names', 't', name, 'bigint') FROM unnest(ARRAY[:'a', :'b', 'a', 'b']) name;
SELECT tandem.change_column('names', 'u', 'a', 'bigint');
SELECT tandem.create_views(2, '{t}');
COMMIT;
-- run again
SET client_min_messages = notice;
SELECT tandem.change_column('names', 't', :'b', 'bigint');
SELECT tandem.change_column('names', 't', :'a', 'bigint');
SET client_min_messages = warning;
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 5 ORDER BY attnum;
CALL tandem.migrate('names');
INSERT INTO release_2.t VALUES (2, 3, 4, 5, 6);
SELECT * FROM t ORDER BY id;
CALL tandem.abort('names');
TABLE difference;
BEGIN;
SELECT tandem.create_migration('names', release => 2);
SELECT tandem.change_column('names', 't', name, 'bigint') FROM unnest(ARRAY[:'a', :'b', 'a', 'b']) name;
SELECT tandem.change_column('names', 'u', 'a', 'bigint');
COMMIT;
CALL tandem.migrate('names');
SELECT tandem.switch_release(2);
CALL tandem.contract('names', undeclared => 'ignore');
TABLE difference;
SELECT * FROM t ORDER BY id;
-- once more, after contract
SET client_min_messages = notice;
SELECT tandem.change_column('names', 't', :'b', 'bigint');
SET client_min_messages = warning;

-- what is called as one of the columns, or their table, is
CREATE TABLE mcv (id integer PRIMARY KEY, mcv integer, "ON" integer, "mid" integer);
CREATE STATISTICS mcv (mcv, ndistinct) ON mcv, "ON", (mcv % 2), "mid" FROM mcv;
CREATE STATISTICS "ON" ON mcv, "ON" FROM mcv;
TRUNCATE before;
INSERT INTO before TABLE catalog;
SELECT tandem.create_migration('words', release => 3);
SELECT tandem.change_column('words', 'mcv', name, 'bigint') FROM unnest('{mcv,ON,mid}'::text[]) name;
SELECT stxname FROM pg_statistic_ext WHERE stxname ~ '__' ORDER BY 1;
CALL tandem.migrate('words');
SELECT tandem.switch_release(3);
CALL tandem.contract('words', undeclared => 'ignore');
TABLE difference;

-- a column that a constraint has in INCLUDE alone
CREATE TABLE inc (id integer PRIMARY KEY, a integer, b integer, c integer, UNIQUE (a) INCLUDE (b), UNIQUE (id, a) INCLUDE (c));
TRUNCATE before;
INSERT INTO before TABLE catalog;
SELECT tandem.create_migration('include', release => 4);
SELECT tandem.change_column('include', 'inc', name, 'bigint') FROM unnest('{a,b,c}'::text[]) name;
CALL tandem.migrate('include');
SELECT tandem.switch_release(4);
CALL tandem.contract('include', undeclared => 'ignore');
TABLE difference;

-- 3. What a partition has of its own, beside what its table has; no DEFAULT NULL that is cast to a length.
CREATE TABLE p (id integer, a varchar(10)) PARTITION BY LIST (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
ALTER TABLE p ALTER a SET STATISTICS 50, ALTER a SET STORAGE external;
COMMENT ON COLUMN p.a IS 'of all';
ALTER TABLE p1 ALTER a SET STATISTICS 7, ALTER a SET STORAGE main, ALTER a SET NOT NULL;
COMMENT ON COLUMN p1.a IS 'of p1';
ALTER TABLE p2 ALTER a SET STATISTICS -1, ALTER a SET STORAGE extended;
TRUNCATE before;
INSERT INTO before TABLE catalog;
SELECT tandem.create_migration('parts', release => 5);
SELECT tandem.change_column('parts', 'p', 'a', 'varchar(20)');
ALTER TABLE p1 ALTER COLUMN a__5 SET NOT NULL;
SELECT tandem.add_column('parts', 'u', 'v', 'varchar(5)', up => 'a::text');
CALL tandem.migrate('parts');
SELECT tandem.switch_release(5);
CALL tandem.contract('parts', undeclared => 'ignore');
TABLE difference;

-- 4. A default and a NOT NULL that the column has got since expand.
CREATE TYPE letter AS ENUM ('a');
CREATE TABLE d (l letter DEFAULT 'a', id integer PRIMARY KEY, a integer DEFAULT 1, b integer, c integer DEFAULT 3, e integer DEFAULT 4, f integer NOT NULL DEFAULT 5);
SELECT tandem.create_migration('defaults', release => 6);
SELECT tandem.change_column('defaults', 'd', name, 'bigint') FROM unnest('{a,b,c}'::text[]) name;
SELECT tandem.change_column('defaults', 'd', 'l', 'text', up => 'l::text', down => 'l::letter', bare_table => true);
SELECT tandem.change_column('defaults', 'd', 'e', 'bigint', default_value => '44');
SELECT tandem.change_column('defaults', 'd', 'f', 'bigint', not_null => false);
ALTER TYPE letter RENAME VALUE 'a' TO 'b';
ALTER TABLE d ALTER a SET DEFAULT 11, ALTER b SET NOT NULL, ALTER c DROP DEFAULT, ALTER e SET DEFAULT 5;
CALL tandem.migrate('defaults');
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('defaults');
SELECT tandem.switch_release(6);
CALL tandem.contract('defaults', undeclared => 'ignore');
SELECT remedy FROM tandem.preview_contract('defaults') \gexec
SELECT part FROM tandem.preview_contract('defaults');
CALL tandem.contract('defaults', undeclared => 'ignore');
SELECT name, definition FROM catalog WHERE name LIKE 'd.%' ORDER BY 1;

-- 5. A table that contract is to drop, or abort, and that has become a part of another one.
CREATE TABLE going (id integer);
CREATE TABLE going_too (id integer);
CREATE TABLE stays (id integer) PARTITION BY LIST (id);
INSERT INTO going VALUES (1);
BEGIN;
SELECT tandem.create_migration('tables', release => 7);
SELECT tandem.drop_table('tables', 'going');
SELECT tandem.drop_table('tables', 'going_too');
CREATE TABLE added (id integer);
SELECT tandem.add_table('tables', 'added');
COMMIT;
ALTER TABLE stays ATTACH PARTITION going FOR VALUES IN (1);
ALTER TABLE stays ATTACH PARTITION added FOR VALUES IN (2);
CREATE TABLE parent (id integer);
ALTER TABLE going_too INHERIT parent;
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('tables') ORDER BY 2;
SELECT tandem.switch_release(7);
CALL tandem.contract('tables', undeclared => 'ignore');
SELECT tandem.switch_release(6);
CALL tandem.abort('tables');
ALTER TABLE stays DETACH PARTITION going;
ALTER TABLE stays DETACH PARTITION added;
ALTER TABLE going_too NO INHERIT parent;
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('tables') ORDER BY 2;
CALL tandem.abort('tables');
-- a partition is dropped by itself, not with all others
SELECT tandem.create_migration('tables', release => 7);
SELECT tandem.drop_table('tables', 'p1');
SELECT tandem.rename_table('tables', 'p1', 'p_1');
SELECT tandem.change_column('tables', 'p', 'id', 'bigint', bare_table => true);
CREATE TABLE sub (id integer, k integer) PARTITION BY LIST (id);
CREATE TABLE sub_1 PARTITION OF sub DEFAULT PARTITION BY LIST (k);
SELECT tandem.change_column('tables', 'sub', 'k', 'bigint');
CALL tandem.abort('tables');

-- 6. What stands on the column is dropped, renamed, made anew or newly made after expand; and what was built is dropped.
CREATE TABLE k (id integer PRIMARY KEY, "kK" integer);
CREATE TABLE s (id integer PRIMARY KEY, a integer NOT NULL, b integer CHECK (b > 0), c integer UNIQUE, d integer REFERENCES k, e integer NOT NULL, f varchar(5) CHECK (f <> 'x'));
CREATE INDEX s_a ON s (a);
CREATE INDEX s_b ON s (b);
CREATE INDEX s_e ON s (e);
CREATE INDEX s_again ON s (e, a);
ALTER TABLE s ADD CONSTRAINT s_less CHECK (b < 1000), ADD CONSTRAINT s_two UNIQUE (a, b);
CREATE STATISTICS s_ab ON a, b FROM s;
CREATE STATISTICS s_ac (mcv) ON a, c FROM s;
CREATE STATISTICS s_bc ON b, c FROM s;
SELECT tandem.create_migration('since', release => 7);
SELECT tandem.change_column('since', 's', name, 'bigint') FROM unnest('{a,b,c,d,e}'::text[]) name;
SELECT tandem.change_column('since', 's', 'f', 'text');
-- nothing has become of anything yet
CALL tandem.migrate('since');
SELECT * FROM tandem.preview_contract('since');
-- what was built is gone
DROP INDEX s_b__7;
ALTER TABLE s DROP CONSTRAINT s_less__7;
SELECT state, what FROM tandem.status;
SELECT problem FROM tandem.migrations WHERE name = 'since';
SET client_min_messages = error;
CALL tandem.contract('since', undeclared => 'ignore', force => true);
SET client_min_messages = warning;
CALL tandem.migrate('since');
SELECT state, what FROM tandem.status;
SELECT problem FROM tandem.migrations WHERE name = 'since';
-- or has other options
ALTER INDEX s_again__7 SET (fillfactor = 50);
DROP INDEX s_a, s_b, s_again;
CREATE INDEX s_b ON s (b) WHERE b > 7;
CREATE INDEX s_again ON s (e, a);
ALTER INDEX s_e RENAME TO s_f;
CREATE INDEX s_new ON s (c, b);
ALTER TABLE s ALTER a DROP NOT NULL, DROP CONSTRAINT s_b_check, DROP CONSTRAINT s_c_key, DROP CONSTRAINT s_d_fkey, DROP CONSTRAINT s_less, DROP CONSTRAINT s_two;
ALTER TABLE s ADD CONSTRAINT s_less CHECK (b < 2000), ADD CONSTRAINT s_new_check CHECK (c > 8), ADD CONSTRAINT s_two UNIQUE (b, a),
	ADD CONSTRAINT s_d_fkey FOREIGN KEY (d) REFERENCES k ON DELETE CASCADE;
DROP STATISTICS s_ab, s_ac, s_bc__7;
CREATE STATISTICS s_ac (ndistinct) ON a, c FROM s;
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('since');
SELECT tandem.switch_release(7);
CALL tandem.contract('since', undeclared => 'ignore');
SELECT regexp_split_to_table(remedy, '; ') FROM tandem.preview_contract('since') \gexec
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('since');
-- nothing of it comes back
CALL tandem.migrate('since');
CALL tandem.contract('since', undeclared => 'ignore');
SELECT kind, name, definition FROM catalog WHERE name ~ '^s[._]' ORDER BY 1, 2;
-- a generated column
CREATE TABLE g (a integer, g integer GENERATED ALWAYS AS (a + 1) STORED);
SELECT tandem.create_migration('generated', release => 8);
SELECT tandem.change_column('generated', 'g', 'g', 'bigint');

\c postgres
DROP DATABASE change_middle;
