-- What somebody made by hand is his: abort takes away what the migration has made, and no more; nor is
-- a trigger replaced whose migration nobody knows.
CREATE DATABASE by_hand;
\c by_hand
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only
CREATE EXTENSION pg_tandem;
CREATE TABLE others (id int PRIMARY KEY);
CREATE TABLE items (id int PRIMARY KEY, price int, other int, tag text, kind text);
INSERT INTO others VALUES (1);
INSERT INTO items SELECT i, i, 1, i, i FROM generate_series(1, 3) i;
CREATE VIEW made AS
SELECT i.relname::text AS object FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
	WHERE t.relname ~ '^(items|parts)' AND NOT x.indisprimary
UNION ALL SELECT conrelid::regclass || ' ' || conname FROM pg_constraint WHERE conrelid::regclass::text ~ '^(items|parts)' AND contype NOT IN ('p', 'n')
UNION ALL SELECT attrelid::regclass || ' ' || attname || ' NOT NULL' FROM pg_attribute
	WHERE attrelid::regclass::text ~ '^(items|parts)' AND attnum > 1 AND attnotnull
ORDER BY 1;

-- Planned, then made by hand under the same names, before the steps are run.
BEGIN;
SELECT tandem.create_migration('m');
SELECT tandem.add_index('m', 'CREATE INDEX items_price ON items (price)');
SELECT tandem.add_index('m', 'CREATE INDEX items_tag ON items (tag)');
SELECT tandem.add_constraint('m', 'items', 'items_positive', 'CHECK (price > 0)');
SELECT tandem.add_constraint('m', 'items', 'items_small', 'CHECK (price < 100)');
SELECT tandem.add_constraint('m', 'items', 'items_other', 'FOREIGN KEY (other) REFERENCES others (id)');
SELECT tandem.add_constraint('m', 'items', 'items_tag_key', 'UNIQUE (tag)');
SELECT tandem.add_constraint('m', 'items', 'items_kind_key', 'UNIQUE (kind)');
SELECT tandem.add_not_null('m', 'items', 'price');
SELECT tandem.add_not_null('m', 'items', 'tag');
COMMIT;
CREATE INDEX items_price ON items (price);
ALTER TABLE items ADD CONSTRAINT items_positive CHECK (price > 0);
ALTER TABLE items ADD CONSTRAINT items_other FOREIGN KEY (other) REFERENCES others (id) NOT VALID;
ALTER TABLE items ADD CONSTRAINT items_tag_key UNIQUE (tag);
ALTER TABLE items ALTER price SET NOT NULL;
CREATE TABLE before AS SELECT * FROM made;
CALL tandem.migrate('m');
-- what the migration has made
SELECT * FROM made EXCEPT SELECT * FROM before ORDER BY 1;
-- an index that is rebuilt is the same
REINDEX TABLE CONCURRENTLY items;
SET client_min_messages = notice;
CALL tandem.abort('m');
SET client_min_messages = warning;
TABLE made EXCEPT TABLE before;
TABLE before EXCEPT TABLE made;

-- On partitions: of one leaf by hand.
CREATE TABLE parts (id int, price int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
SELECT tandem.create_migration('p');
SELECT tandem.add_index('p', 'CREATE INDEX parts_price ON parts (price)');
CREATE INDEX parts_price_parts_1 ON parts_1 (price);
CALL tandem.migrate('p');
SELECT object FROM made WHERE object ~ '^parts';
CALL tandem.abort('p');
SELECT object FROM made WHERE object ~ '^parts';
DROP TABLE parts;

-- Never run: what is there under the names stays.
SELECT tandem.create_migration('q');
SELECT tandem.add_index('q', 'CREATE INDEX items_kind ON items (kind)');
SELECT tandem.add_not_null('q', 'items', 'kind');
CREATE INDEX items_kind ON items (kind);
ALTER TABLE items ALTER kind SET NOT NULL;
CALL tandem.abort('q');
SELECT object FROM made WHERE object ~ 'kind';

-- A table that is restored alone brings a trigger along.
CREATE TABLE restored (id int PRIMARY KEY, a int, b int, c int);
INSERT INTO restored VALUES (1, 1, 1, 1);
CREATE TRIGGER "~tandem_sync" BEFORE INSERT OR UPDATE ON restored FOR EACH ROW
	EXECUTE FUNCTION tandem.sync_row('1', '77', 'elsewhere', '0', 'error', 'error', '', '{a}', '{b}', '{a}', '{b}');
ALTER TABLE restored ENABLE ALWAYS TRIGGER "~tandem_sync";
SELECT tandem.create_migration('r');
SELECT tandem.sync_column('r', 'restored', 'a', 'c', 'a');
\echo :LAST_ERROR_SQLSTATE
UPDATE restored SET a = 2 RETURNING *;
DROP TRIGGER "~tandem_sync" ON public.restored;
SELECT tandem.sync_column('r', 'restored', 'a', 'c', 'a');
UPDATE restored SET a = 3 RETURNING *;
CALL tandem.abort('r');
-- as pg_restore -t makes it in the database that it came from: the table is another one
SELECT tandem.create_migration('s');
SELECT tandem.sync_column('s', 'restored', 'a', 'b', 'a');
SELECT pg_get_triggerdef(oid) AS definition FROM pg_trigger WHERE tgrelid = 'restored'::regclass AND tgname = '~tandem_sync' \gset
DROP TABLE restored;
CREATE TABLE restored (id int PRIMARY KEY, a int, b int, c int);
:definition;
SELECT tandem.create_migration('t');
\set VERBOSITY terse
SELECT tandem.sync_column('t', 'restored', 'a', 'c', 'a');
CALL tandem.abort('s');
CALL tandem.abort('t');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'restored'::regclass;

\c postgres
SET client_min_messages = warning;
DROP DATABASE by_hand;
