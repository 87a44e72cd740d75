-- Replica identities move to new keys before contract, in three steps: what each makes of tables and publications.  For what
-- several servers make of them see test/t/region_keys.pl.
CREATE DATABASE take_keys;
ALTER DATABASE take_keys SET session_preload_libraries = 'pg_tandem';
\c take_keys
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only
\pset null '-'
CREATE EXTENSION pg_tandem;
CREATE TABLE orders (id serial PRIMARY KEY, note text);
CREATE TABLE parts (order_id int REFERENCES orders, number int, PRIMARY KEY (order_id, number)) PARTITION BY RANGE (number);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
CREATE TABLE notes (id serial PRIMARY KEY, order_id int REFERENCES orders);
CREATE TABLE unsent (id serial PRIMARY KEY);
INSERT INTO orders (note) SELECT 'n' FROM generate_series(1, 5);
INSERT INTO parts SELECT i, i * 3 FROM generate_series(1, 5) i;
INSERT INTO notes (order_id) VALUES (1), (2);
CREATE PUBLICATION p FOR TABLE orders, parts, notes;
SELECT tandem.register_release(41);
SELECT tandem.switch_release(41);
SELECT tandem.create_views(41, schemas => '{public}');
SELECT tandem.create_publication(41, 'p');
CREATE VIEW state AS
SELECT c.relname, c.relreplident, string_agg(concat_ws(' ', n.conname, n.contype), ', ' ORDER BY n.conname) AS keys
FROM pg_class c JOIN pg_constraint n ON n.conrelid = c.oid AND n.contype IN ('p', 'u')
WHERE c.relname IN ('orders', 'parts', 'parts_1', 'parts_2', 'notes', 'alone') GROUP BY c.oid ORDER BY 1;
CREATE VIEW sent AS
SELECT pubname, tablename, array_to_string(attnames, ' ') FROM pg_publication_tables WHERE pubname <> 'p' ORDER BY 1, 2;

BEGIN;
SELECT tandem.create_migration('key', release => 42);
SELECT tandem.change_column('key', 'orders', 'id', 'bigint', cascade => true);
SELECT tandem.create_views(42, schemas => '{public}');
COMMIT;
SELECT tandem.take_keys('key');
\echo :LAST_ERROR_SQLSTATE
CALL tandem.migrate('key');
SELECT * FROM state;
SELECT * FROM sent;
SET client_min_messages = notice;
SELECT tandem.take_keys('key', back => true);
SELECT tandem.take_keys('key');
SET client_min_messages = warning;
SELECT * FROM state;
SELECT * FROM sent;
-- a partition that comes meanwhile takes the step of the others with the next call
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20) TO (30);
SELECT tandem.take_keys('key');
SELECT relreplident FROM pg_class WHERE relname = 'parts_3';
DROP TABLE parts_3;
SELECT tandem.take_keys('key');
SELECT * FROM state;
SELECT * FROM sent;
-- each release writes as before, also ON CONFLICT, and to rows of the other
SET search_path = release_41;
INSERT INTO orders (id, note) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET note = 'of 41';
INSERT INTO orders (note) VALUES ('new of 41');
UPDATE parts SET number = number + 1 WHERE order_id = 2;
DELETE FROM notes WHERE order_id = 1;
SET search_path = release_42;
INSERT INTO orders (id, note) VALUES (2, 'x') ON CONFLICT (id) DO UPDATE SET note = 'of 42';
INSERT INTO orders (note) VALUES ('new of 42');
UPDATE parts SET order_id = 5 WHERE order_id = 3;
DELETE FROM notes WHERE order_id = 2;
RESET search_path;
SELECT id, id__42, note FROM orders ORDER BY id;
SELECT order_id, order_id__42, number FROM parts ORDER BY 1;
-- no abort where the primary key has moved: the table would be without one
CALL tandem.abort('key', force => true);
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.take_keys('key');
SELECT * FROM state;
SELECT * FROM sent;
SET client_min_messages = notice;
SELECT tandem.take_keys('key');
SET client_min_messages = warning;
CALL tandem.abort('key', force => true);
-- one step back, and on
SELECT tandem.take_keys('key', back => true);
SELECT * FROM state;
SELECT tandem.take_keys('key');
SELECT detail FROM tandem.history WHERE action = 'take keys';
-- what has been built is still there for migrate, verify and contract
CALL tandem.migrate('key');
SELECT part, object FROM tandem.preview_contract('key') WHERE object LIKE '%pkey%';
SELECT tandem.switch_release(42);
CALL tandem.contract('key', undeclared => 'ignore');
SELECT * FROM state;
SELECT * FROM sent;
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 ORDER BY conrelid::regclass::text, conname;

-- All the way back, and abort.
CREATE TABLE alone (id int PRIMARY KEY, note text);
ALTER PUBLICATION p ADD TABLE alone;
BEGIN;
SELECT tandem.create_migration('alone', release => 43);
SELECT tandem.change_column('alone', 'alone', 'id', 'bigint');
SELECT tandem.create_views(43, schemas => '{public}');
COMMIT;
CALL tandem.migrate('alone');
SELECT tandem.take_keys('alone'), tandem.take_keys('alone'), tandem.take_keys('alone');
SELECT * FROM state WHERE relname = 'alone';
SELECT tandem.take_keys('alone', back => true), tandem.take_keys('alone', back => true), tandem.take_keys('alone', back => true);
SELECT * FROM state WHERE relname = 'alone';
CALL tandem.abort('alone', force => true);
SELECT * FROM state WHERE relname = 'alone';
SELECT * FROM sent WHERE tablename = 'alone';

-- An index of its own cannot move so; what is not replicated need not.
CREATE TABLE coded (id int PRIMARY KEY, code int NOT NULL UNIQUE);
ALTER TABLE coded REPLICA IDENTITY USING INDEX coded_code_key;
ALTER PUBLICATION p ADD TABLE coded;
BEGIN;
SELECT tandem.create_migration('code', release => 44);
SELECT tandem.change_column('code', 'coded', 'code', 'bigint');
SELECT tandem.create_migration('unsent', release => 44);
SELECT tandem.change_column('unsent', 'unsent', 'id', 'bigint', cascade => true);
ALTER TABLE notes REPLICA IDENTITY USING INDEX notes_pkey;
SELECT tandem.create_migration('notes', release => 44);
SELECT tandem.change_column('notes', 'notes', 'id', 'bigint', cascade => true);
ALTER TABLE notes REPLICA IDENTITY DEFAULT;
SELECT tandem.create_views(44, schemas => '{public}');
COMMIT;
CALL tandem.migrate('code');
CALL tandem.migrate('unsent');
SELECT tandem.take_keys('code');
\echo :LAST_ERROR_SQLSTATE
SET client_min_messages = notice;
SELECT tandem.take_keys('unsent');
SELECT tandem.take_keys('nothing');
\echo :LAST_ERROR_SQLSTATE

\c postgres
SET client_min_messages = warning;
DROP DATABASE take_keys;
