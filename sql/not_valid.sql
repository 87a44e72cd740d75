-- A constraint that a migration has added and could not validate is enforced all the same: that is said, and tandem.cancel
-- takes it back.  C17 of test/faults.md.
CREATE DATABASE not_valid;
\c not_valid
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE TABLE other (id integer PRIMARY KEY);
CREATE TABLE items (id integer PRIMARY KEY, a integer, c integer);
INSERT INTO items VALUES (1, -1, 1), (2, 2, 2);
CREATE VIEW own AS SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype IN ('c', 'f') ORDER BY 1;

-- The CHECK of one migration stops the fill of another.
SELECT tandem.create_migration('one');
SELECT tandem.add_column('one', 'items', 'b', 'integer');
SELECT tandem.sync_column('one', 'items', 'a', 'b', 'a', 'b');
SELECT tandem.add_constraint('one', 'items', 'a_good', 'CHECK (a > 0)');
SELECT tandem.add_constraint('one', 'items', 'b_good', 'CHECK (b < 100)');
CALL tandem.migrate('one');
SELECT hint FROM tandem.progress WHERE migration = 'one' AND state = 'failed';
SELECT * FROM own;
SELECT tandem.create_migration('two');
SELECT tandem.add_column('two', 'items', 'd', 'integer');
SELECT tandem.sync_column('two', 'items', 'c', 'd', 'c', 'd');
\set VERBOSITY terse
CALL tandem.migrate('two');
\set VERBOSITY default
SELECT hint FROM tandem.progress WHERE migration = 'two' AND state = 'failed';
SET client_min_messages = notice;
SELECT tandem.cancel('one');
SELECT * FROM own;
-- Nothing is left to take back.
SELECT tandem.cancel('one');
SET client_min_messages = warning;
CALL tandem.migrate('two');
SELECT phase FROM tandem.migrations WHERE name = 'two';
-- What is by hand is not ours, although it has the name.
ALTER TABLE items ADD CONSTRAINT a_good CHECK (a > 0) NOT VALID;
SELECT tandem.cancel('one');
SELECT * FROM own;
ALTER TABLE items DROP CONSTRAINT a_good;
UPDATE items SET a = 1 WHERE id = 1;
CALL tandem.migrate('one');
SELECT phase FROM tandem.migrations WHERE name = 'one';
SELECT * FROM own;
-- Of a migration that is done with its steps nothing is taken back.
SELECT tandem.cancel('one');
SELECT count(*) FROM own;
CALL tandem.abort('two', force => true);
CALL tandem.abort('one');

-- NOT NULL, and a foreign key, also of a partitioned table.
CREATE TABLE parts (id integer, a integer) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
INSERT INTO parts VALUES (1, 1), (11, NULL);
INSERT INTO other VALUES (1), (2);
SELECT tandem.create_migration('parts');
SELECT tandem.add_column('parts', 'parts', 'b', 'integer');
SELECT tandem.sync_column('parts', 'parts', 'a', 'b', 'a', 'b');
SELECT tandem.add_not_null('parts', 'parts', 'b');
SELECT tandem.add_constraint('parts', 'parts', 'b_refers', 'FOREIGN KEY (b) REFERENCES other');
\set VERBOSITY terse
CALL tandem.migrate('parts');
\set VERBOSITY default
INSERT INTO parts (id) VALUES (12);
SELECT tandem.cancel('parts');
INSERT INTO parts (id) VALUES (12);
SELECT count(*) FROM pg_constraint WHERE conrelid::regclass::text LIKE 'parts%' AND (conname LIKE '%not_null%' OR conname = 'b_refers');
UPDATE parts SET a = 3 WHERE a IS NULL;
\set VERBOSITY terse
CALL tandem.migrate('parts');
\set VERBOSITY default
INSERT INTO parts VALUES (13, 7);
SELECT tandem.cancel('parts');
INSERT INTO parts VALUES (13, 7);
-- A column that is NOT NULL by now stays so.
SELECT attnotnull FROM pg_attribute WHERE attrelid = 'parts'::regclass AND attname = 'b';
UPDATE parts SET a = 2;
CALL tandem.migrate('parts');
SELECT phase FROM tandem.migrations WHERE name = 'parts';
CALL tandem.abort('parts');

\c postgres
DROP DATABASE not_valid;
