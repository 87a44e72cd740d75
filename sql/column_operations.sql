-- rename_column and drop_column: through the views of both releases, at once, and at contract.
CREATE DATABASE column_operations;
\c column_operations
SET client_min_messages = warning;
\set VERBOSITY default
\pset format unaligned
CREATE EXTENSION pg_tandem;
SET client_min_messages = notice;

CREATE TABLE films (id integer PRIMARY KEY, name text, stars integer NOT NULL, length integer DEFAULT 90);
INSERT INTO films VALUES (1, 'Vertigo', 5, 128), (2, 'Marnie', 3, 130);

-- Without a release nobody would see it.
SELECT tandem.create_migration('none');
SELECT tandem.rename_column('none', 'films', 'name', 'title');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.drop_column('none', 'films', 'name');
CALL tandem.abort('none');

SELECT tandem.create_migration('m42', 42);
SELECT tandem.rename_column('m42', 'films', 'nothing', 'title');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.rename_column('m42', 'films', 'ctid', 'title');
SELECT tandem.rename_column('m42', 'films', 'name', '');
SELECT tandem.rename_column('m42', 'films', 'name', 'xmin');
SELECT tandem.rename_column('m42', 'films', 'name', 'stars');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.rename_column('m42', 'films', 'name', 'title');
-- the script again, and another one
SELECT tandem.rename_column('m42', 'films', 'name', 'title');
SELECT tandem.rename_column('m42', 'films', 'name', 'label');
SELECT tandem.rename_column('m42', 'films', 'title', 'label');
SELECT tandem.drop_column('m42', 'films', 'name');
\echo :LAST_ERROR_SQLSTATE
-- NOT NULL, and no INSERT of release 42 would name it
SELECT tandem.drop_column('m42', 'films', 'stars');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.drop_column('m42', 'films', 'stars', on_error => 'quarantine');
SELECT tandem.drop_column('m42', 'films', 'stars', 'stars + 1');
\echo :LAST_ERROR_SQLSTATE
-- down knows the names of release 42
SELECT tandem.drop_column('m42', 'films', 'stars', 'length(title) % 6');
SELECT tandem.drop_column('m42', 'films', 'stars', 'length(title) % 6');
SELECT tandem.drop_column('m42', 'films', 'stars', 'length(title) % 5');
SELECT tandem.rename_column('m42', 'films', 'stars', 'rating');
SELECT tandem.drop_column('m42', 'films', 'length');
-- a name that becomes free
SELECT tandem.add_column('m42', 'films', 'comment', 'text');
SELECT tandem.rename_column('m42', 'films', 'comment', 'note');
SELECT tandem.create_views(41);
SELECT tandem.create_views(42);
SELECT relation, old_columns, new_columns, down, direction, health FROM tandem.syncs ORDER BY old_columns;
-- ready at once
SELECT * FROM tandem.health(42);
SELECT * FROM release_42.films ORDER BY id;
SELECT * FROM release_41.films ORDER BY id;

-- Release 42 inserts, and changes what down reads.
SET tandem.release = 42;
INSERT INTO release_42.films (id, title) VALUES (3, 'Rope');
INSERT INTO release_42.films (id, title, comment) VALUES (4, 'Frenzy', 'late');
UPDATE release_42.films SET title = 'Rebecca' WHERE id = 3;
SELECT * FROM release_41.films ORDER BY id;
-- What release 41 writes is never replaced.
SET tandem.release = 41;
UPDATE release_41.films SET stars = 2 WHERE id = 3;
INSERT INTO release_41.films VALUES (5, 'Psycho', 4, 109);
UPDATE release_41.films SET name = 'Topaz' WHERE id = 5;
SET tandem.release = 42;
UPDATE release_42.films SET title = 'The Birds' WHERE id IN (3, 5);
UPDATE release_42.films SET title = 'Suspicion' WHERE id = 4;
-- nor what release 42 may not know, if it says so on the table
UPDATE films SET stars = 0, name = 'Notorious' WHERE id = 4;
RESET tandem.release;
SELECT * FROM films ORDER BY id;
-- Who declares nothing: the default where there is one, else down.
INSERT INTO films (id, name) VALUES (6, 'Torn Curtain');
INSERT INTO films (id, name, stars, length) VALUES (7, 'Sabotage', 2, NULL);
UPDATE films SET name = 'Lifeboat' WHERE id IN (6, 7);
SELECT * FROM films WHERE id > 5 ORDER BY id;

-- Contract at once: there is nothing to migrate.
SELECT * FROM tandem.preview_contract('m42');
SELECT tandem.switch_release(42);
CALL tandem.contract('m42', undeclared => 'ignore');
\d films
SELECT * FROM release_42.films ORDER BY id;
SELECT attname FROM pg_attribute WHERE attrelid = 'release_42.films'::regclass ORDER BY attnum;
SELECT * FROM release_41.films;
SELECT phase FROM tandem.migrations WHERE name = 'm42';
-- the script once more
SELECT tandem.rename_column('m42', 'films', 'name', 'title');
SELECT tandem.drop_column('m42', 'films', 'stars', 'length(title) % 6');

-- Abort leaves no trace.
CREATE TABLE plain (id integer, a integer, b text);
SELECT tandem.create_migration('m43', 43);
SELECT tandem.rename_column('m43', 'plain', 'a', 'c');
SELECT tandem.drop_column('m43', 'plain', 'b');
CALL tandem.abort('m43');
\d plain
SELECT * FROM tandem.syncs WHERE migration = 'm43' AND health <> 'removed';

-- A name that the same migration frees, texts by the names of each release, and a chain of releases.
SELECT tandem.create_migration('m44', 44);
SELECT tandem.drop_column('m44', 'plain', 'b');
SELECT tandem.rename_column('m44', 'plain', 'a', 'b');
SELECT tandem.add_column('m44', 'plain', 'twice', 'integer', up => 'a * 2');
SELECT tandem.add_index('m44', 'CREATE INDEX plain_b ON plain (b, (b + 1)) WHERE b > 0');
SELECT tandem.add_constraint('m44', 'plain', 'b_small', 'CHECK (b < 1000)');
SELECT tandem.add_constraint('m44', 'plain', 'b_key', 'UNIQUE (b)');
SELECT tandem.add_not_null('m44', 'plain', 'b');
SELECT tandem.create_views(44);
-- 45 starts from what 44 has
SELECT tandem.create_migration('m45', 45);
SELECT tandem.rename_column('m45', 'plain', 'b', 'd');
SELECT tandem.add_column('m45', 'plain', 'half', 'integer', up => 'b / 2');
SELECT tandem.add_column('m45', 'plain', 'whole', 'text', up => '(plain).id::text');
SELECT tandem.create_views(45);
INSERT INTO plain (id, a) VALUES (1, 10);
SELECT * FROM release_44.plain;
SELECT * FROM release_45.plain;
-- what a later release has changed, or what goes, is no place to start from
SELECT tandem.create_migration('m44b', 44);
SELECT tandem.rename_column('m44b', 'plain', 'a', 'e');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.drop_column('m44b', 'plain', 'half');
SELECT tandem.drop_column('m45', 'plain', 'b');
CALL tandem.abort('m44b');
SET client_min_messages = warning;
CALL tandem.migrate('m44');
SELECT tandem.switch_release(44);
SELECT tandem.add_index('m45', 'CREATE INDEX plain_d ON plain (d)');
SET client_min_messages = notice;
CALL tandem.contract('m44', undeclared => 'ignore');
SET client_min_messages = warning;
CALL tandem.migrate('m45');
SET client_min_messages = notice;
CALL tandem.contract('m44', undeclared => 'ignore');
\d plain
SELECT old_columns, new_columns, up, health, problem FROM tandem.syncs WHERE migration = 'm45' ORDER BY new_columns;
UPDATE plain SET b = 30;
SELECT * FROM release_45.plain;
SET client_min_messages = warning;
CALL tandem.migrate('m45');
SELECT tandem.switch_release(45);
SET client_min_messages = notice;
CALL tandem.contract('m45', undeclared => 'ignore');
\d plain
SELECT * FROM release_45.plain;

-- What names the old column in a body would fail: contract says so.
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.d := coalesce(NEW.d, 0); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION stamp();
SELECT tandem.create_migration('m46', 46);
SELECT tandem.rename_column('m46', 'plain', 'd', 'f');
SELECT part, object, what_happens FROM tandem.preview_contract('m46');
SELECT tandem.switch_release(46);
CALL tandem.contract('m46', undeclared => 'ignore');
DROP TRIGGER stamp ON plain;
CALL tandem.contract('m46', undeclared => 'ignore');
SELECT f FROM plain;

-- What holds a column is said at expand, and refused at contract.
CREATE VIEW halves AS SELECT half FROM plain;
CREATE INDEX two ON plain (half, id);
CREATE UNIQUE INDEX alone ON plain (half);
SELECT tandem.create_migration('m47', 47);
SELECT tandem.drop_column('m47', 'plain', 'half');
SELECT tandem.switch_release(47);
CALL tandem.contract('m47', undeclared => 'ignore');
DROP VIEW halves;
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('m47');
CALL tandem.contract('m47', undeclared => 'ignore');
CALL tandem.contract('m47', undeclared => 'ignore', accept => '{indexes}');
\d plain

-- Partitions, in which the columns lie elsewhere; generated and identity columns.
CREATE TABLE events (id integer GENERATED ALWAYS AS IDENTITY, day integer, kind text, old text, sum integer GENERATED ALWAYS AS (day + 1) STORED) PARTITION BY RANGE (day);
CREATE TABLE events_1 (old text, kind text, day integer, gone integer, id integer NOT NULL, sum integer GENERATED ALWAYS AS (day + 1) STORED);
ALTER TABLE events_1 DROP COLUMN gone;
ALTER TABLE events ATTACH PARTITION events_1 FOR VALUES FROM (0) TO (10) ;
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20) PARTITION BY LIST (day);
CREATE TABLE events_2_1 PARTITION OF events_2 DEFAULT;
SELECT tandem.create_migration('m48', 48);
SELECT tandem.rename_column('m48', 'events', 'day', 'at');
SELECT tandem.drop_column('m48', 'events', 'old', $$'was ' || kind$$);
SELECT tandem.drop_column('m48', 'events', 'sum', '1');
SELECT tandem.drop_column('m48', 'events', 'sum');
SELECT tandem.create_views(48);
SET tandem.release = 48;
INSERT INTO release_48.events (at, kind) VALUES (1, 'a'), (11, 'b');
UPDATE release_48.events SET kind = 'c', at = 12 WHERE at = 1;
SELECT * FROM events ORDER BY day;
RESET tandem.release;
SELECT tandem.switch_release(48);
CALL tandem.contract('m48', undeclared => 'ignore');
\d events
SELECT attname FROM pg_attribute WHERE attrelid = 'events_1'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT * FROM release_48.events ORDER BY at;

-- Of a table that is published contract renames nothing: other servers know the columns by their names.
CREATE TABLE sent (id integer PRIMARY KEY, a integer, b integer);
SET client_min_messages = error;
CREATE PUBLICATION sent FOR TABLE sent;
SET client_min_messages = notice;
SELECT tandem.create_migration('m49', 49);
SELECT tandem.rename_column('m49', 'sent', 'a', 'c');
SELECT tandem.drop_column('m49', 'sent', 'b');
SELECT tandem.create_views(49);
SELECT tandem.switch_release(49);
SELECT tandem.take_names('m49');
\echo :LAST_ERROR_SQLSTATE
CALL tandem.contract('m49', undeclared => 'ignore');
SELECT attname FROM pg_attribute WHERE attrelid = 'sent'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
INSERT INTO release_49.sent VALUES (1, 2);
SELECT * FROM release_49.sent;
-- a later release sees the same name, and texts know it
SELECT tandem.create_migration('m50', 50);
SELECT tandem.add_column('m50', 'sent', 'd', 'integer', up => 'c * 10');
SELECT tandem.rename_column('m50', 'sent', 'd', 'e');
SELECT tandem.create_views(50);
SELECT * FROM release_50.sent;
-- a name that is taken on the way
ALTER TABLE sent ADD COLUMN c integer;
SELECT slot_name FROM pg_create_logical_replication_slot('nobody_reads', 'pgoutput');
SET tandem.lock_timeout = '50ms';
SELECT tandem.take_names('m49');
RESET tandem.lock_timeout;
SELECT pg_drop_replication_slot('nobody_reads');
SELECT tandem.take_names('m49');
SELECT tandem.take_names('m49');
SELECT attname FROM pg_attribute WHERE attrelid = 'sent'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT * FROM release_49.sent;
SELECT * FROM release_50.sent;
SELECT up, problem FROM tandem.syncs WHERE migration = 'm50';

-- The view of a release that nobody works as yet shows neither what goes nor what has gone.
SET client_min_messages = warning;
CALL tandem.abort('m50');
CREATE TABLE parts (id integer PRIMARY KEY, a integer, old text, b text);
INSERT INTO parts VALUES (1, 1, 'old', 'new');
SELECT tandem.create_migration('m51', 51);
SELECT tandem.drop_column('m51', 'parts', 'old');
SELECT tandem.drop_column('m51', 'parts', 'a');
SELECT tandem.rename_column('m51', 'parts', 'b', 'old');
SELECT tandem.create_views(52, relations => '{parts}');
SELECT tandem.switch_release(51);
CALL tandem.contract('m51', undeclared => 'ignore');
SELECT * FROM release_52.parts;
\d parts

-- down reads what the same migration adds: once it is computed, and of a row that was never filled not at all.
CREATE TABLE orders (id integer PRIMARY KEY, a integer DEFAULT 5, s integer, d text, e text);
INSERT INTO orders VALUES (1, 1, 1, NULL, NULL), (2, 2, 2, NULL, 'own'), (3, 3, 3, NULL, NULL), (4, 4, 4, '40', '8');
SELECT tandem.create_migration('m53', 53);
SELECT tandem.add_column('m53', 'orders', 'b', 'bigint');
SELECT tandem.drop_column('m53', 'orders', 'd', 'b::text');
SELECT tandem.sync_column('m53', 'orders', 'a', 'b', 'a * 10', '(b / 10)::integer');
SELECT tandem.add_column('m53', 'orders', 'n', 'bigint', up => 's * 2');
SELECT tandem.drop_column('m53', 'orders', 'e', 'n::text');
INSERT INTO orders (id, s) VALUES (10, 3);
SET tandem.release = 53;
INSERT INTO orders (id, s, b, n) VALUES (11, 3, 70, 9);
UPDATE orders SET s = 9 WHERE id = 2;
RESET tandem.release;
UPDATE orders SET s = 1 WHERE id = 1;
SELECT * FROM orders ORDER BY id;
SET client_min_messages = error;
CALL tandem.migrate('m53');
UPDATE orders SET a = 44, s = 44 WHERE id = 4;
UPDATE orders SET a = 100 WHERE id = 10;
SELECT * FROM orders ORDER BY id;
CALL tandem.abort('m53', force => true);

-- A statement at contract frees a column, and finds the new names.
CREATE TABLE held (id integer PRIMARY KEY, a integer, b integer);
CREATE VIEW holds AS SELECT a FROM held;
SELECT tandem.create_migration('m54', 54);
SELECT tandem.drop_column('m54', 'held', 'a');
SELECT tandem.rename_column('m54', 'held', 'b', 'a');
SELECT tandem.at_contract('m54', 'held', 'COMMENT ON COLUMN held.a IS ''what was b''');
SELECT operation, relation, column_name, new_name, state, at_contract FROM tandem.operations WHERE migration = 'm54';
SELECT part, object, what_happens FROM tandem.preview_contract('m54');
SELECT tandem.switch_release(54);
-- nothing has freed it
CALL tandem.contract('m54', undeclared => 'ignore');
SELECT phase FROM tandem.migrations WHERE name = 'm54';
SELECT tandem.at_contract('m54', 'held', 'CREATE OR REPLACE VIEW holds AS SELECT a FROM held');
SELECT pg_get_viewdef('holds') ~ '\ma\M' AS shows_a;
CALL tandem.contract('m54', undeclared => 'ignore');
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'held'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT pg_get_viewdef('holds') ~ '\ma\M' AS shows_a;

-- A view that nodes may use is not changed: views are made last.
CREATE TABLE late (id integer PRIMARY KEY, a integer, b integer, c integer);
SELECT tandem.create_migration('m55', 55);
SELECT tandem.rename_column('m55', 'late', 'a', 'd');
SELECT tandem.create_views(55, relations => '{late}');
SELECT tandem.rename_column('m55', 'late', 'b', 'e');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.drop_column('m55', 'late', 'c');
DROP VIEW release_55.late;
SELECT tandem.rename_column('m55', 'late', 'b', 'e');
SELECT tandem.drop_column('m55', 'late', 'c');
SELECT tandem.create_views(55, relations => '{late}');
SELECT * FROM release_55.late;
CALL tandem.abort('m55');

\c postgres
DROP DATABASE column_operations;
