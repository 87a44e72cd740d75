-- Syncs that meet: split, merge, chains of releases, several on one table.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA chain;
SET search_path = chain;
CREATE FUNCTION open(migration text, release integer DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$ SELECT $1 FROM tandem.create_migration($1, $2) $$;

-- Split: one old column, two new ones.
CREATE TABLE person (id integer PRIMARY KEY, name text);
INSERT INTO person VALUES (1, 'Ada Lovelace'), (2, 'Grace Hopper'), (3, 'Alan Turing'), (4, 'Kurt Gödel'), (5, NULL);
BEGIN;
SELECT open('split');
ALTER TABLE person ADD COLUMN first text, ADD COLUMN last text;
SELECT tandem.sync_columns('split', 'person', old => '{name}', new => '{first,last}',
	up => ARRAY[$$ split_part(name, ' ', 1) $$, $$ split_part(name, ' ', 2) $$],
	down => ARRAY[$$ concat_ws(' ', first, last) $$]);
COMMIT;
INSERT INTO person (id, name) VALUES (11, 'Emmy Noether');
INSERT INTO person (id, first, last) VALUES (12, 'Sofja', 'Kowalewskaja');
INSERT INTO person (id, first) VALUES (13, 'Hypatia');
UPDATE person SET name = 'Ada King' WHERE id = 1;
-- a partial write of an unfilled row: up gives the other part
UPDATE person SET last = 'Murray' WHERE id = 2;
-- of a filled row: the other part is there
UPDATE person SET first = 'Augusta' WHERE id = 1;
-- both sides, by down in agreement; and not
UPDATE person SET name = 'Alan M. Turing', first = 'Alan M.', last = 'Turing' WHERE id = 3;
UPDATE person SET name = 'Kurt', first = 'Georg' WHERE id = 4;
SELECT * FROM person ORDER BY id;
CALL tandem.migrate('split');
SELECT * FROM person WHERE id IN (4, 5) ORDER BY id;
CALL tandem.contract('split');
SELECT * FROM person WHERE id = 4;

-- Merge: two old columns, one new one; down has an expression for each, or
-- none for one that is not written back.
BEGIN;
SELECT open('merge');
ALTER TABLE person ADD COLUMN full_name text;
SELECT tandem.sync_columns('merge', 'person', old => '{first,last}', new => '{full_name}',
	up => ARRAY[$$ last || ', ' || first $$],
	down => ARRAY[NULL, $$ split_part(full_name, ', ', 1) $$]);
COMMIT;
UPDATE person SET last = 'King' WHERE id = 4;
UPDATE person SET full_name = 'Murray Hopper, G.' WHERE id = 2;
INSERT INTO person (id, first, last) VALUES (14, 'Ida', 'Rhodes');
INSERT INTO person (id, full_name) VALUES (15, 'Clarke, Joan');
UPDATE person SET id = 3 WHERE id = 3;
SELECT * FROM person WHERE id IN (2, 3, 4, 14, 15) ORDER BY id;
SELECT direction, down FROM tandem.syncs WHERE migration = 'merge';

-- Three releases in two migrations: 41 knows a, 42 b, 43 c.
CREATE TABLE three (id integer PRIMARY KEY, a integer, note text);
INSERT INTO three SELECT i, i FROM generate_series(1, 9) i;
BEGIN;
SELECT open('ab', 42);
ALTER TABLE three ADD COLUMN b integer;
SELECT tandem.sync_column('ab', 'three', 'a', 'b', 'a * 10', 'b / 10');
COMMIT;
UPDATE three SET b = 25 WHERE id = 2;
BEGIN;
SELECT open('bc', 43);
ALTER TABLE three ADD COLUMN c text;
SELECT tandem.sync_column('bc', 'three', 'b', 'c', 'b::text', 'c::integer');
COMMIT;
-- a writer of any of the three sets all, of unfilled rows and of new ones
UPDATE three SET a = 11 WHERE id = 3;
UPDATE three SET b = 115 WHERE id = 4;
UPDATE three SET c = '119' WHERE id = 5;
UPDATE three SET note = 'neither' WHERE id IN (2, 6);
INSERT INTO three (id, a) VALUES (11, 11);
INSERT INTO three (id, b) VALUES (12, 115);
INSERT INTO three (id, c) VALUES (13, '119');
-- the same value, saved again by the first release, undoes nothing
UPDATE three SET a = a WHERE id IN (4, 5, 12, 13);
-- the two ends written at once agree, or not
UPDATE three SET a = 7, c = '70' WHERE id = 7;
UPDATE three SET a = 7, c = '80' WHERE id = 8;
SELECT id, a, b, c FROM three ORDER BY id;
-- a chain is followed to its end, from wherever it is written
CREATE TABLE long (id integer PRIMARY KEY, a integer, b integer, c integer, d integer);
SELECT open('long');
SELECT tandem.sync_column('long', 'long', 'c', 'd', 'c + 1', 'd - 1'),
	tandem.sync_column('long', 'long', 'a', 'b', 'a + 1', 'b - 1'),
	tandem.sync_column('long', 'long', 'b', 'c', 'b + 1', 'c - 1');
INSERT INTO long (id, a) VALUES (1, 1);
INSERT INTO long (id, b) VALUES (2, 2);
INSERT INTO long (id, c) VALUES (3, 3);
INSERT INTO long (id, d) VALUES (4, 4);
SELECT * FROM long ORDER BY id;
UPDATE long SET d = 14 WHERE id = 1;
UPDATE long SET a = 11 WHERE id = 2;
SELECT * FROM long WHERE id IN (1, 2) ORDER BY id;
-- all left out: the release says whose columns speak
SET tandem.release = 43;
INSERT INTO three (id, note) VALUES (43, '43');
RESET tandem.release;
CREATE TABLE three_defaults (id integer PRIMARY KEY, a text DEFAULT 'A', b text, c text);
SELECT open('ab_default', 42), open('bc_default', 43);
SELECT tandem.sync_column('ab_default', 'three_defaults', 'a', 'b', 'a', 'b'),
	tandem.sync_column('bc_default', 'three_defaults', 'b', 'c', $$ coalesce(b, 'none') $$, 'c');
INSERT INTO three_defaults (id) VALUES (0);
SET tandem.release = 41;
INSERT INTO three_defaults (id) VALUES (41);
SET tandem.release = 42;
INSERT INTO three_defaults (id) VALUES (42);
SET tandem.release = 43;
INSERT INTO three_defaults (id) VALUES (43);
RESET tandem.release;
SELECT * FROM three_defaults ORDER BY id;
-- unfilled, it keeps release 42 from writing, and so the other migration of 42 from contract
CALL tandem.abort('bc_default');
CALL tandem.abort('ab_default');

-- The later migration first: its backfill gives a row b and c.
CALL tandem.migrate('bc');
SELECT bool_and(b = a * 10 OR a = b / 10), bool_and(c = b::text) FROM three WHERE id <> 43;
-- in order: the earlier migration ends first, since the later reads its column
CALL tandem.contract('bc');
\echo :LAST_ERROR_SQLSTATE
CALL tandem.migrate('ab');
CALL tandem.contract('ab');
UPDATE three SET c = '5' WHERE id = 1;
UPDATE three SET b = 6 WHERE id = 2;
CALL tandem.migrate('bc');
CALL tandem.contract('bc');
SELECT * FROM three WHERE id IN (1, 2) ORDER BY id;

-- Two independent migrations on one table, and a fan-out from one column.
CREATE TABLE wide (id integer PRIMARY KEY, a integer, x text);
INSERT INTO wide SELECT i, i, 'x' || i FROM generate_series(1, 6) i;
BEGIN;
SELECT open('one'), open('two'), open('three');
ALTER TABLE wide ADD COLUMN b integer;
SELECT tandem.sync_column('one', 'wide', 'a', 'b', 'a * 10', 'b / 10');
COMMIT;
UPDATE wide SET b = 39 WHERE id = 3;
BEGIN;
ALTER TABLE wide ADD COLUMN y text;
SELECT tandem.sync_column('two', 'wide', 'x', 'y', 'upper(x)', 'lower(y)');
ALTER TABLE wide ADD COLUMN c text;
SELECT tandem.sync_column('three', 'wide', 'a', 'c', 'a::text', 'c::integer');
COMMIT;
UPDATE wide SET a = 20 WHERE id = 2;
UPDATE wide SET c = '40', y = 'FOUR' WHERE id = 4;
-- both ends of the fan agree, or not
UPDATE wide SET b = 500, c = '50' WHERE id = 5;
UPDATE wide SET b = 500, c = '60' WHERE id = 6;
SELECT * FROM wide ORDER BY id;
-- each backfill fills a row for all of them, and of a row that is filled for
-- some only the others; each verify proves its own
CALL tandem.migrate('one');
SELECT * FROM wide WHERE id IN (1, 3, 6) ORDER BY id;
-- abort of one leaves the others at work
CALL tandem.abort('three');
UPDATE wide SET b = 10, y = 'ONE' WHERE id = 1;
INSERT INTO wide (id, a, x) VALUES (7, 7, 'seven');
SELECT * FROM wide WHERE id IN (1, 7) ORDER BY id;
CALL tandem.migrate('two');
CALL tandem.contract('two');
CALL tandem.abort('one', force => true);
UPDATE wide SET a = 0 WHERE id = 1;
SELECT * FROM wide WHERE id = 1;
-- nothing of a sync is left
SELECT tgname FROM pg_trigger WHERE tgrelid = 'wide'::regclass;

-- Both ends of a chain disagree, and of a fan: the loser takes along what was
-- made from it.
CREATE TABLE ends (id integer PRIMARY KEY, a integer);
BEGIN;
SELECT open('ends');
ALTER TABLE ends ADD COLUMN b integer, ADD COLUMN c integer, ADD COLUMN d integer, ADD COLUMN e integer;
SELECT tandem.sync_column('ends', 'ends', 'a', 'b', 'a * 10', 'b / 10', 'new'),
	tandem.sync_column('ends', 'ends', 'b', 'c', 'b + 1', 'c - 1', 'new'),
	tandem.sync_column('ends', 'ends', 'c', 'd', 'c * 10', 'd / 10', 'new'),
	tandem.sync_column('ends', 'ends', 'a', 'e', 'a', 'e', 'new');
COMMIT;
INSERT INTO ends (id, a, d) VALUES (1, 1, 210);
INSERT INTO ends (id, b, e) VALUES (2, 10, 3);
INSERT INTO ends (id, a) VALUES (3, 1);
UPDATE ends SET a = 4, c = 51 WHERE id = 3;
SELECT * FROM ends ORDER BY id;
SELECT rows_mismatched FROM tandem.verify('ends');
CALL tandem.abort('ends');

-- Two new columns of one old column disagree, though the first leaves it as it is.
CREATE TABLE fan (id integer PRIMARY KEY, a boolean);
INSERT INTO fan VALUES (1, false), (2, false);
BEGIN;
SELECT open('fan');
ALTER TABLE fan ADD COLUMN b text, ADD COLUMN c integer;
SELECT tandem.sync_column('fan', 'fan', 'a', 'b', $$ CASE WHEN a THEN 'public' ELSE 'private' END $$, $$ b = 'public' $$),
	tandem.sync_column('fan', 'fan', 'a', 'c', 'a::integer', 'c::boolean');
COMMIT;
UPDATE fan SET b = 'shared', c = 1 WHERE id = 1;
UPDATE fan SET b = 'shared', c = 0 WHERE id = 2;
SELECT * FROM fan ORDER BY id;
CALL tandem.abort('fan', force => true);

-- Abort of the earlier of a chain is refused while the later reads its column;
-- abort of the later leaves the earlier at work.
CREATE TABLE undo (id integer PRIMARY KEY, a integer);
BEGIN;
SELECT open('undo_ab'), open('undo_bc');
ALTER TABLE undo ADD COLUMN b integer;
SELECT tandem.sync_column('undo_ab', 'undo', 'a', 'b', 'a', 'b');
COMMIT;
BEGIN;
ALTER TABLE undo ADD COLUMN c integer;
SELECT tandem.sync_column('undo_bc', 'undo', 'b', 'c', 'b', 'c');
COMMIT;
CALL tandem.abort('undo_ab');
CALL tandem.abort('undo_bc');
INSERT INTO undo (id, b) VALUES (1, 1);
CALL tandem.abort('undo_ab');
SELECT * FROM undo;

-- One-way: without down the writer of the new column leaves the old one; the
-- writer of the old one still sets the new.
CREATE TABLE one_way (id integer PRIMARY KEY, a integer);
INSERT INTO one_way VALUES (1, 1), (2, 2);
BEGIN;
SELECT open('one_way');
ALTER TABLE one_way ADD COLUMN b integer;
SELECT tandem.sync_column('one_way', 'one_way', 'a', 'b', up => 'a * 10');
COMMIT;
SELECT direction FROM tandem.syncs WHERE migration = 'one_way';
UPDATE one_way SET b = 99 WHERE id = 1;
UPDATE one_way SET a = a WHERE id = 1;
INSERT INTO one_way (id, b) VALUES (3, 30);
INSERT INTO one_way (id, a) VALUES (4, 4);
INSERT INTO one_way (id, a, b) VALUES (5, 5, 50);
INSERT INTO one_way (id, a, b) VALUES (6, 6, 61);
SELECT * FROM one_way ORDER BY id;
UPDATE one_way SET a = 11 WHERE id = 1;
SELECT * FROM one_way WHERE id = 1;

-- A circle is refused: of two syncs, of three, and through what up reads.
CREATE TABLE circle (id integer, a integer, b integer, c integer);
SELECT open('circle');
SELECT tandem.sync_column('circle', 'circle', 'a', 'b', 'a', 'b');
SELECT tandem.sync_column('circle', 'circle', 'b', 'a', 'b', 'a');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.sync_column('circle', 'circle', 'b', 'c', 'b', 'c');
SELECT tandem.sync_column('circle', 'circle', 'c', 'a', 'c', 'a');
SELECT tandem.sync_column('circle', 'circle', 'id', 'a', 'id + c');
SELECT migration, old_columns, new_columns FROM tandem.syncs WHERE migration = 'circle';

-- A source that a later rule sets: what up has made of it is made again, though down says that the sides agree.
CREATE TABLE fees (id int PRIMARY KEY, surcharge int, price int);
INSERT INTO fees VALUES (1, 1, 10);
SELECT tandem.create_migration('fees');
SELECT tandem.add_column('fees', 'fees', 'fee', 'bigint');
SELECT tandem.sync_column('fees', 'fees', 'surcharge', 'fee', 'surcharge * 1000::bigint + price', '(fee / 1000)::int');
SELECT tandem.add_column('fees', 'fees', 'cents', 'bigint');
SELECT tandem.sync_column('fees', 'fees', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
UPDATE fees SET surcharge = 2, cents = 3000;
SELECT * FROM fees;

DROP SCHEMA chain CASCADE;
DROP EXTENSION pg_tandem;
