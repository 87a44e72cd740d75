-- add_column with a value: a derived column, which up computes from columns that stay; a default; NOT NULL.
\set SHOW_CONTEXT never
CREATE DATABASE add_column_up;
\c add_column_up
CREATE EXTENSION pg_tandem;
\pset null '-'
\pset format unaligned

-- Calls a statement and says what came of it.
CREATE PROCEDURE try(statement text) LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
	context text;
BEGIN
	EXECUTE statement;
	RAISE INFO 'taken';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	-- the point is the server's, from 19 on
	detail := regexp_replace(detail, '(depends on column "\w+")$', '\1.');
	RAISE INFO USING MESSAGE = SQLSTATE || ' ' || message, DETAIL = detail, HINT = hint;
END $$;

-- without the times
CREATE VIEW told AS
	SELECT migration, step, relation, rows_done, rows_filled, rows_quarantined, rows_unfilled, rows_mismatched, rows_own
	FROM tandem.progress WHERE step IN ('backfill', 'verify');

CREATE TABLE orders (id int PRIMARY KEY, net int, rate int DEFAULT 10, note text);
INSERT INTO orders SELECT i, i * 10 FROM generate_series(1, 5) i;
INSERT INTO orders VALUES (6, NULL, NULL);

-- The rule: nothing is old, nothing is hidden from N-1, nothing is dropped.
SELECT tandem.create_migration('gross', release => 42);
SELECT tandem.add_column('gross', 'orders', 'gross', 'int', up => 'net + net * rate / 100', default_value => '-1');
SELECT old_columns, new_columns, up, down, direction, on_conflict, on_error, keep_old, health FROM tandem.syncs;
SELECT attname, attnotnull, atthasmissing FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'gross';
SELECT action, detail FROM tandem.history ORDER BY done_at;
-- rows that are there are not written, and hold no default
SELECT id, gross FROM orders WHERE id < 3 OR id = 6 ORDER BY id;
SELECT tandem.create_views(41, '{orders}');
SELECT tandem.create_views(42, '{orders}');
SELECT table_schema, string_agg(column_name, ',' ORDER BY ordinal_position) FROM information_schema.columns
	WHERE table_schema IN ('release_41', 'release_42') GROUP BY 1 ORDER BY 1;
-- read through until it is filled
SELECT id, net, gross FROM release_42.orders WHERE id < 3 OR id = 6 ORDER BY id;
-- who writes as N-1: computed.  Who declares nothing: the same, unless gross is given.  N: what it says.
INSERT INTO release_41.orders (id, net) VALUES (10, 100);
INSERT INTO orders (id, net) VALUES (11, 100);
INSERT INTO orders (id, net, gross) VALUES (12, 100, 99);
SET tandem.release = 42;
INSERT INTO orders (id, net) VALUES (13, 100);
INSERT INTO orders (id, net, gross) VALUES (14, 100, NULL);
UPDATE orders SET net = 110 WHERE id = 13;
RESET tandem.release;
SELECT id, net, gross FROM orders WHERE id >= 10 ORDER BY id;
-- it follows its sources, both of them, where it has no value of its own
UPDATE orders SET net = 200 WHERE id IN (10, 12);
UPDATE orders SET rate = 20 WHERE id IN (10, 11, 12, 14);
UPDATE orders SET note = 'x' WHERE id IN (11, 13, 1);
SELECT id, net, rate, gross FROM orders WHERE id >= 10 OR id = 1 ORDER BY id;

-- verify: what is not filled; values of their own are counted, and are no mismatch
SELECT * FROM tandem.verify('gross');
SET client_min_messages = warning;
CALL tandem.migrate('gross');
RESET client_min_messages;
SELECT * FROM told;
SELECT relation, rows_checked, rows_unfilled, rows_mismatched, sample, rows_own FROM tandem.verify('gross');
SELECT id, net, rate, gross FROM orders ORDER BY id;
SELECT replace(pg_get_viewdef('release_42.orders'::regclass), 'tandem_row.', '');
SELECT column_name, column_default FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'orders' AND column_name = 'gross';

-- a value of its own is nobody's to compute again
CALL try($$SELECT tandem.refill('gross')$$);

-- Contract drops the trigger and nothing else; from then on it is a column as any other.
CALL tandem.contract('gross', undeclared => 'ignore');
\d orders
INSERT INTO orders (id, net) VALUES (20, 100) RETURNING gross;
SELECT to_regclass('release_41.orders'), to_regclass('release_42.orders');
SELECT phase FROM tandem.migrations;
SELECT direction, health FROM tandem.syncs;

-- A default without up: rows that are there get it, and no row is written; NOT NULL is a step of migrate.
CREATE TABLE plain (id int PRIMARY KEY, a int);
INSERT INTO plain SELECT i, i FROM generate_series(1, 3) i;
CREATE FUNCTION next_label() RETURNS text LANGUAGE sql VOLATILE AS $$SELECT 'label'$$;
CREATE TEMP TABLE before AS SELECT pg_relation_filenode('plain') AS file, xmin::text AS rows FROM plain WHERE id = 1;
SELECT tandem.create_migration('plain');
SELECT tandem.add_column('plain', 'plain', 'state', 'varchar(6)', default_value => $$'n' || 'ew'$$, not_null => true);
SELECT tandem.add_column('plain', 'plain', 'made', 'date', default_value => 'current_date');
SELECT tandem.add_column('plain', 'plain', 'label', 'text', default_value => 'next_label()');
SELECT tandem.add_column('plain', 'plain', 'nothing', 'text', default_value => 'NULL');
SELECT tandem.add_column('plain', 'plain', 'ratio', 'numeric(6,2)', default_value => '7');
INSERT INTO plain (id) VALUES (4);
SELECT id, state, made = current_date AS made, label, nothing, ratio FROM plain ORDER BY id;
SELECT pg_relation_filenode('plain') = file AS same_file, (SELECT xmin::text FROM plain WHERE id = 1) = rows AS same_row FROM before;
SELECT kind, object, state FROM tandem.step WHERE migration = (SELECT max(id) FROM tandem.migration);
SELECT column_name, type, default_given, not_null FROM tandem.owned_column WHERE relation = 'plain'::regclass ORDER BY 1;
CALL tandem.migrate('plain');
SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = 'plain'::regclass AND attnum > 2 ORDER BY attnum;
CALL tandem.abort('plain');
\d plain

-- NOT NULL with up, and partitions, one of which comes later
CREATE TABLE parts (id int, region int, price text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts2 (price text, gone int, region int NOT NULL, id int NOT NULL);
ALTER TABLE parts2 DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION parts2 FOR VALUES IN (2);
INSERT INTO parts SELECT i, 1 + i % 2, i || '.50' FROM generate_series(1, 6) i;
SELECT tandem.create_migration('parts');
SELECT tandem.add_column('parts', 'parts', 'cents', 'bigint', up => '(price::numeric * 100)::bigint', not_null => true);
CREATE TABLE parts3 PARTITION OF parts FOR VALUES IN (3);
INSERT INTO parts VALUES (7, 3, '7.00'), (8, 1, '8.00');
-- from one partition to another, with and without a change of the source
UPDATE parts SET region = 2 WHERE id = 8;
UPDATE parts SET region = 3, price = '2.00' WHERE id = 2;
UPDATE parts SET region = 1, price = '4.00', cents = 1 WHERE id = 4;
SET client_min_messages = warning;
CALL tandem.migrate('parts');
RESET client_min_messages;
SELECT * FROM told WHERE migration = 'parts' ORDER BY step, relation::text;
SELECT tableoid::regclass, id, price, cents FROM parts ORDER BY id;
SELECT attrelid::regclass, attnotnull FROM pg_attribute WHERE attname = 'cents' AND attrelid::regclass::text ~ '^parts' ORDER BY 1;
CALL try($$INSERT INTO parts VALUES (9, 1, NULL)$$);
CALL tandem.contract('parts');
SELECT tgrelid::regclass FROM pg_trigger WHERE tgname ~ 'tandem_sync';
SELECT count(cents) FROM parts;

-- Quarantine, with and without a primary key; a NULL that up has left is no value of its own
CREATE TABLE raises (id int, price text, a int);
CREATE TABLE raises_key (id int PRIMARY KEY, price text);
INSERT INTO raises VALUES (1, '5', 1), (2, 'x', 2), (3, 'y', 3), (4, NULL, 4);
INSERT INTO raises_key VALUES (1, '5'), (2, 'x');
SELECT tandem.create_migration('raises');
SELECT tandem.add_column('raises', 'raises', 'price_n', 'int', up => 'price::int', on_error => 'quarantine');
SELECT tandem.add_column('raises', 'raises_key', 'price_n', 'int', up => 'price::int', on_error => 'quarantine');
INSERT INTO raises VALUES (5, 'z', 5), (6, '6', 6);
INSERT INTO raises (id, price, a, price_n) VALUES (7, 'w', 7, 70);
SELECT tandem.verify('raises');
SET client_min_messages = warning;
CALL tandem.migrate('raises');
RESET client_min_messages;
SELECT relation, key, direction, sqlstate FROM tandem.quarantine ORDER BY 1, 2;
SELECT * FROM told WHERE migration = 'raises' ORDER BY step, relation::text;
SELECT relation, rows_checked, rows_unfilled, rows_mismatched, sample, rows_own FROM tandem.verify('raises') ORDER BY 1;
CALL try($$CALL tandem.contract('raises')$$);
SELECT id, price, price_n FROM raises ORDER BY id;
-- corrected: the value follows
UPDATE raises SET price = '2' WHERE id = 2;
UPDATE raises SET price_n = 3 WHERE id = 3;
UPDATE raises SET price = '55' WHERE id = 5;
DELETE FROM raises_key WHERE id = 2;
SELECT id, price, price_n FROM raises ORDER BY id;
SET client_min_messages = warning;
CALL tandem.migrate('raises');
RESET client_min_messages;
SELECT count(*) FROM tandem.quarantine;
SELECT relation, rows_mismatched, sample, rows_own FROM tandem.verify('raises') ORDER BY 1;
CALL tandem.contract('raises');

-- An error of up that is not quarantined: of the fill, with the row; what a writer has given meanwhile stays
CREATE TABLE strict (id int, price text);
INSERT INTO strict VALUES (1, '5'), (2, 'x');
SELECT tandem.create_migration('strict');
SELECT tandem.add_column('strict', 'strict', 'n', 'int', up => 'price::int');
CALL try($$INSERT INTO strict VALUES (3, 'y')$$);
INSERT INTO strict VALUES (3, 'y', 33);
\set VERBOSITY terse
CALL tandem.migrate('strict');
\set VERBOSITY default
SELECT error FROM tandem.progress WHERE migration = 'strict' AND step = 'backfill';
SELECT rows_unfilled, rows_mismatched, sample, rows_own FROM tandem.verify('strict');
UPDATE strict SET price = '2' WHERE id = 2;
SET client_min_messages = warning;
CALL tandem.migrate('strict');
RESET client_min_messages;
SELECT * FROM strict ORDER BY id;
SELECT rows_unfilled, rows_mismatched, rows_own FROM tandem.verify('strict');
CALL tandem.contract('strict');

-- The same call again is passed over, in every phase; with another argument it is an error
CREATE TABLE again (id int PRIMARY KEY, a int, b int);
INSERT INTO again VALUES (1, 1, 1);
CREATE PROCEDURE expand_again() LANGUAGE plpgsql AS $script$
BEGIN
	PERFORM tandem.create_migration('again');
	PERFORM tandem.add_column('again', 'again', 'c', 'int', up => 'a + b', default_value => '1 + 1', not_null => true, on_error => 'quarantine');
	PERFORM tandem.add_column('again', 'again', 'd', 'int');
	PERFORM tandem.add_column('again', 'again', 'e', 'int', default_value => '5');
END $script$;
CREATE PROCEDURE try_again() LANGUAGE plpgsql AS $script$
DECLARE
	statement text;
BEGIN
	FOREACH statement IN ARRAY ARRAY[
		$$SELECT tandem.add_column('again', 'again', 'c', 'int', 'A  + B', '1+1', true, 'quarantine')$$,
		$$SELECT tandem.add_column('again', 'again', 'c', 'bigint', 'a + b', '1 + 1', true, 'quarantine')$$,
		$$SELECT tandem.add_column('again', 'again', 'c', 'int', 'a - b', '1 + 1', true, 'quarantine')$$,
		$$SELECT tandem.add_column('again', 'again', 'c', 'int', 'a + b', '2', true, 'quarantine')$$,
		$$SELECT tandem.add_column('again', 'again', 'c', 'int', 'a + b', NULL, true, 'quarantine')$$,
		$$SELECT tandem.add_column('again', 'again', 'c', 'int', 'a + b', '1 + 1', false, 'quarantine')$$,
		$$SELECT tandem.add_column('again', 'again', 'c', 'int', 'a + b', '1 + 1', true)$$,
		$$SELECT tandem.add_column('again', 'again', 'c', 'int')$$,
		$$SELECT tandem.add_column('again', 'again', 'd', 'int', up => 'a')$$,
		$$SELECT tandem.add_column('again', 'again', 'd', 'int', default_value => '0')$$,
		$$SELECT tandem.add_column('again', 'again', 'e', 'int')$$,
		$$SELECT tandem.sync_column('again', 'again', 'a', 'c', 'a', 'c')$$]
	LOOP
		CALL try(statement);
	END LOOP;
END $script$;
CALL expand_again();
CALL expand_again();
CALL try_again();
-- as tandem.syncs shows it
SELECT tandem.add_column('again', 'again', 'c', 'int', (SELECT up[1] FROM tandem.syncs WHERE migration = 'again'), '1 + 1', true, 'quarantine');
SET client_min_messages = warning;
CALL tandem.migrate('again');
RESET client_min_messages;
CALL expand_again();
CALL tandem.contract('again');
CALL expand_again();
CALL try_again();

-- What cannot be
CREATE TABLE errors (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED);
CREATE DOMAIN drawn AS int DEFAULT (random() * 10)::int;
CREATE DOMAIN five AS int DEFAULT 5;
SELECT tandem.create_migration('errors');
DO $script$
DECLARE
	statement text;
BEGIN
	FOREACH statement IN ARRAY ARRAY[
		$$up => 'a +'$$, $$up => 'nothing'$$, $$up => 'now()'$$, $$up => '(SELECT 1)'$$, $$up => 'count(a)'$$, $$up => 'g'$$, $$up => ''$$,
		$$up => 'c + 1'$$, $$up => 'errors.c'$$, $$up => 'a', on_error => 'ignore'$$, $$up => 'a', on_error => NULL$$,
		$$up => 'a', not_null => NULL$$, $$on_error => 'quarantine'$$, $$not_null => true$$,
		$$not_null => true, default_value => 'NULL'$$, $$not_null => true, default_value => 'nullif(1, 1)'$$,
		$$not_null => true, default_value => 'random()::int'$$,
		$$default_value => 'a'$$, $$default_value => '''x'''$$, $$default_value => 'now()'$$, $$default_value => '(SELECT 1)'$$,
		$$default_value => '1) , ADD COLUMN h int DEFAULT (2'$$, $$default_value => ''$$, $$default_value => '1, 2'$$,
		$$default_value => 'count(*)'$$, $$default_value => '1 / 0'$$]
	LOOP
		RAISE INFO '%', statement;
		CALL try(format('SELECT tandem.add_column(''errors'', ''errors'', ''c'', ''int'', %s)', statement));
	END LOOP;
END $script$;
CALL try($$SELECT tandem.add_column('errors', 'errors', 'c', 'drawn')$$);
CALL try($$SELECT tandem.add_column('errors', 'errors', 'a', 'int', up => 'id')$$);
CALL try($$SELECT tandem.add_column('errors', 'errors', '', 'int', up => 'id')$$);
CALL try($$SELECT tandem.add_column('errors', 'errors', 'c', 'varchar(2)', default_value => '''abc''')$$);
CALL try($$SELECT tandem.sync_columns('errors', 'errors', '{}', '{a}', '{id}')$$);
-- rows that were written before, in this transaction, with each kind of default
INSERT INTO errors (id, a) VALUES (99, 99);
BEGIN;
INSERT INTO errors (id, a) VALUES (100, 100);
SELECT tandem.add_column('errors', 'errors', 'none', 'int', up => 'a');
SELECT tandem.add_column('errors', 'errors', 'constant', 'int', up => 'a', default_value => '7');
SELECT tandem.add_column('errors', 'errors', 'computed', 'int', up => 'a', default_value => '(random() * 3)::int - 9');
SELECT tandem.add_column('errors', 'errors', 'domain', 'five', up => 'a');
SELECT tandem.add_column('errors', 'errors', 'drawn', 'drawn', up => 'a');
COMMIT;
INSERT INTO errors (id, a) VALUES (101, 101);
SET client_min_messages = warning;
CALL tandem.migrate('errors');
RESET client_min_messages;
SELECT * FROM errors ORDER BY id;
SELECT rows_unfilled, rows_mismatched, rows_own FROM tandem.verify('errors');
SELECT column_name, column_default FROM information_schema.columns WHERE table_name = 'errors' AND ordinal_position > 3 ORDER BY 1;
INSERT INTO errors (id, a, domain) VALUES (102, 102, DEFAULT) RETURNING domain;
CALL tandem.abort('errors', force => true);
SELECT attname FROM pg_attribute WHERE attrelid = 'errors'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
-- without up: NULL for rows that are there, where the default is volatile; the domain's own where it is not
SELECT tandem.create_migration('domains');
SELECT tandem.add_column('domains', 'errors', 'd1', 'drawn', default_value => '(random() * 3)::int');
SELECT tandem.add_column('domains', 'errors', 'd2', 'drawn', default_value => '3');
SELECT tandem.add_column('domains', 'errors', 'd3', 'five');
SELECT id, d1, d2, d3 FROM errors WHERE id = 99;
CALL tandem.abort('domains');

-- A chain: derived from the new column of another migration, and from a derived column.  What another
-- migration computes from stays.
CREATE TABLE chain (id int PRIMARY KEY, a int, b int, z int);
INSERT INTO chain VALUES (1, 1, 10, 0), (2, 2, 20, 0);
SELECT tandem.create_migration('chain1', release => 50);
SELECT tandem.add_column('chain1', 'chain', 'c', 'int');
SELECT tandem.sync_column('chain1', 'chain', 'a', 'c', 'a * 2 + b', 'c / 2');
SELECT tandem.create_migration('chain2', release => 51);
SELECT tandem.add_column('chain2', 'chain', 'd', 'int', up => 'c + b');
SELECT tandem.add_column('chain2', 'chain', 'e', 'int', up => 'd + 1');
SELECT migration, new_columns, direction, health FROM tandem.syncs WHERE relation = 'chain'::regclass;
INSERT INTO chain (id, a, b) VALUES (3, 3, 30);
UPDATE chain SET b = 31 WHERE id = 3;
UPDATE chain SET a = 4 WHERE id = 3;
UPDATE chain SET c = 9 WHERE id = 2;
SELECT * FROM chain ORDER BY id;
SELECT tandem.create_views(51, '{chain}');
SELECT * FROM release_51.chain ORDER BY id;
CALL try($$CALL tandem.abort('chain1')$$);
SET client_min_messages = warning;
CALL tandem.migrate('chain1');
RESET client_min_messages;
SELECT * FROM chain ORDER BY id;
SET client_min_messages = warning;
CALL tandem.migrate('chain2');
RESET client_min_messages;
SELECT * FROM chain ORDER BY id;
SELECT relation, rows_unfilled, rows_mismatched, rows_own FROM tandem.verify('chain1')
	UNION ALL SELECT relation, rows_unfilled, rows_mismatched, rows_own FROM tandem.verify('chain2');
-- a is old in chain1, and a source of chain3, of up and of down: of a release that does not know it
SELECT tandem.create_migration('chain4', release => 52);
SELECT tandem.add_column('chain4', 'chain', 'f', 'int', up => 'a');
CALL tandem.abort('chain4');
SELECT tandem.create_migration('chain3');
SELECT tandem.add_column('chain3', 'chain', 'f', 'int');
SELECT tandem.sync_column('chain3', 'chain', 'z', 'f', 'z + a', 'f - a');
CALL try($$CALL tandem.contract('chain1', undeclared => 'ignore')$$);
CALL tandem.abort('chain3');
SELECT tandem.create_migration('chain3');
SELECT tandem.add_column('chain3', 'chain', 'f', 'int');
SELECT tandem.sync_column('chain3', 'chain', 'z', 'f', 'z', 'f + a - a');
CALL try($$CALL tandem.contract('chain1', undeclared => 'ignore')$$);
CALL tandem.abort('chain3');
CALL tandem.contract('chain1', undeclared => 'ignore');
SELECT * FROM chain ORDER BY id;
UPDATE chain SET c = 100 WHERE id = 1;
SELECT * FROM chain WHERE id = 1;
CALL tandem.abort('chain2');
SELECT * FROM chain ORDER BY id;

-- The guard: what up reads
CREATE SCHEMA util;
CREATE FUNCTION util.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 10';
CREATE TABLE guarded (id int PRIMARY KEY, a int, b int);
INSERT INTO guarded VALUES (1, 1, 1);
SELECT tandem.create_migration('guarded');
SELECT tandem.add_column('guarded', 'guarded', 'c', 'int', up => 'util.f(a)');
CALL try('ALTER TABLE guarded RENAME a TO x');
CALL try('ALTER TABLE guarded RENAME c TO x');
CALL try('ALTER TABLE guarded DROP a');
CALL try('ALTER TABLE guarded DROP a CASCADE');
CALL try('ALTER TABLE guarded ALTER a TYPE bigint');
CALL try('ALTER TABLE guarded DROP c');
CALL try('ALTER FUNCTION util.f RENAME TO g');
CALL try('ALTER SCHEMA util RENAME TO tools');
CALL try('DROP FUNCTION util.f');
CALL try('ALTER TABLE guarded DISABLE TRIGGER "~tandem_sync"');
CALL try('ALTER TABLE guarded RENAME b TO x');
CALL try('ALTER TABLE guarded DROP x');
INSERT INTO guarded VALUES (2, 2) RETURNING c;
-- broken behind the guard's back: named
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
ALTER TABLE guarded RENAME a TO x;
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
SELECT problem FROM tandem.syncs WHERE migration = 'guarded';
CALL try('INSERT INTO guarded VALUES (3, 3)');
ALTER TABLE guarded RENAME x TO a;
SELECT health FROM tandem.syncs WHERE migration = 'guarded';
CALL tandem.abort('guarded');
SELECT * FROM guarded;

-- up of the whole row, of nothing, and a volatile one
CREATE TABLE kinds (id int, a int, b text);
INSERT INTO kinds VALUES (1, 1, 'x'), (1, 1, 'x'), (2, NULL, 'y');
CREATE FUNCTION fails(kinds) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN (6 / (2 - $1.id))::text || $1.b; END$$;
CREATE FUNCTION fails() RETURNS int LANGUAGE plpgsql VOLATILE AS $$BEGIN RETURN 1 / 0; END$$;
CREATE SEQUENCE numbers;
SELECT tandem.create_migration('kinds');
SELECT tandem.add_column('kinds', 'kinds', 'whole', 'text', up => 'fails(kinds)', on_error => 'quarantine');
SELECT tandem.add_column('kinds', 'kinds', 'number', 'bigint', up => $$nextval('numbers')$$, default_value => $$nextval('numbers')$$, not_null => true);
SELECT tandem.add_column('kinds', 'kinds', 'fixed', 'date', up => $$date '2026-01-02'$$);
SELECT tandem.add_column('kinds', 'kinds', 'never', 'int', up => 'fails()', on_error => 'quarantine');
INSERT INTO kinds VALUES (3, 6, 'z');
UPDATE kinds SET b = 'zz', a = 7 WHERE id = 3;
SET client_min_messages = warning;
CALL tandem.migrate('kinds');
RESET client_min_messages;
SELECT id, a, b, whole, number IS NULL AS null, fixed FROM kinds ORDER BY id;
SELECT count(DISTINCT number) FROM kinds;
SELECT key, direction FROM tandem.quarantine ORDER BY key::text;
SELECT rows_unfilled, rows_mismatched, rows_own FROM tandem.verify('kinds');
CALL tandem.abort('kinds');

-- The default keeps its meaning, whatever search_path it is read under
CREATE EXTENSION citext SCHEMA util;
CREATE EXTENSION cube SCHEMA util;
CREATE TABLE cases (id int);
SELECT tandem.create_migration('cases');
SET search_path = public, util;
CALL try($$SELECT tandem.add_column('cases', 'cases', 'c', 'text', default_value => $d$CASE 'A'::citext WHEN 'a' THEN 'yes' ELSE 'no' END$d$)$$);
CALL try($$SELECT tandem.add_column('cases', 'cases', 'c', 'boolean', default_value => $d$'1'::cube IS DISTINCT FROM '2'::cube$d$)$$);
SELECT tandem.add_column('cases', 'cases', 'd', 'text', default_value => $d$CASE WHEN 'A'::citext = 'a' THEN 'yes' ELSE 'no' END$d$);
SELECT tandem.add_column('cases', 'cases', 'e', 'date', default_value => $d$'02/01/2026'$d$);
SET DateStyle = 'SQL, DMY';
SELECT tandem.add_column('cases', 'cases', 'f', 'date', default_value => $d$'02/01/2026'$d$);
RESET search_path;
RESET DateStyle;
INSERT INTO cases (id) VALUES (1) RETURNING d, e::text, f::text;
CALL tandem.abort('cases');

-- A function that up calls is replaced: the proof is void, and no value is touched, not by refill either
CREATE TABLE replaced (id int PRIMARY KEY, a int, o int);
INSERT INTO replaced VALUES (1, 1, 1), (2, 2, 2);
CREATE FUNCTION ten(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 10';
SELECT tandem.create_migration('replaced');
SELECT tandem.add_column('replaced', 'replaced', 'b', 'int', up => 'ten(a)');
SELECT tandem.add_column('replaced', 'replaced', 'n', 'int');
SELECT tandem.sync_column('replaced', 'replaced', 'o', 'n', 'ten(o)');
SET client_min_messages = warning;
CALL tandem.migrate('replaced');
CREATE OR REPLACE FUNCTION ten(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 11';
CALL try($$CALL tandem.contract('replaced')$$);
SELECT tandem.refill('replaced');
CALL tandem.migrate('replaced');
RESET client_min_messages;
SELECT * FROM replaced ORDER BY id;
SELECT rows_unfilled, rows_mismatched, rows_own FROM tandem.verify('replaced');
CALL tandem.contract('replaced');

-- A row as one of which up cannot be computed is told at once, but not one that there cannot be
CREATE TABLE tried (id int PRIMARY KEY, a int NOT NULL, b int);
CREATE FUNCTION needs(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN IF $1 IS NULL THEN RAISE EXCEPTION 'nothing'; END IF; RETURN $1; END$$;
SELECT tandem.create_migration('tried');
SELECT tandem.add_column('tried', 'tried', 'c', 'int', up => 'needs(a)');
SELECT tandem.add_column('tried', 'tried', 'd', 'int', up => 'needs(b)');
CALL tandem.abort('tried');

-- Each runs as whom it may; what is stored as the owner of the table
CREATE ROLE add_column_owner;
CREATE ROLE add_column_writer;
CREATE SCHEMA shop AUTHORIZATION add_column_owner;
GRANT USAGE ON SCHEMA shop TO add_column_writer;
SET ROLE add_column_owner;
CREATE TABLE shop.items (id int PRIMARY KEY, a int);
CREATE FUNCTION shop.who(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT current_user::text';
REVOKE EXECUTE ON FUNCTION shop.who FROM PUBLIC;
INSERT INTO shop.items VALUES (1, 1);
GRANT INSERT (id, a), UPDATE (a), SELECT (id, a) ON shop.items TO add_column_writer;
SELECT tandem.create_migration('items');
SELECT tandem.add_column('items', 'shop.items', 'who', 'text', up => 'shop.who(a)', default_value => $$'nobody'$$);
RESET ROLE;
SET ROLE add_column_writer;
INSERT INTO shop.items VALUES (2, 2);
UPDATE shop.items SET a = 3 WHERE id = 2;
CALL try($$SELECT tandem.add_column('items', 'shop.items', 'z', 'text', up => 'a::text')$$);
RESET ROLE;
SET client_min_messages = warning;
CALL tandem.migrate('items');
RESET client_min_messages;
SELECT * FROM shop.items ORDER BY id;
CALL tandem.contract('items');
DROP SCHEMA shop CASCADE;
DROP ROLE add_column_owner, add_column_writer;
