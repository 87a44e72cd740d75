-- after_switch: rows that are changed once the release is the current one, and back.
CREATE DATABASE after_switch;
\c after_switch
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset format unaligned
\pset tuples_only
\set VERBOSITY terse
CREATE SCHEMA shop;
SET search_path = shop, public;
CREATE FUNCTION next(version text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'v' || substr(version, 2)::int + 1 $$;
CREATE TABLE items (id int PRIMARY KEY, price int);
CREATE TABLE links (id int PRIMARY KEY, item int, version text, "On" boolean, note text, long int GENERATED ALWAYS AS (item * 2) STORED);
INSERT INTO items SELECT i, i FROM generate_series(1, 10) i;
INSERT INTO links SELECT i, i % 10, CASE WHEN i % 3 = 0 THEN 'v9' ELSE 'v1' END, i % 2 = 0 FROM generate_series(1, 3000) i;
SELECT tandem.register_release(41);

\echo == what is refused
SELECT tandem.create_migration('none');
SELECT tandem.add_after_switch('none', 'links', 'version = ''v2''', 'version = ''v1''');
SELECT tandem.create_migration('m', 42);
\set VERBOSITY default
SELECT tandem.add_after_switch('m', 'links', 'version = ', 'true');
SELECT tandem.add_after_switch('m', 'links', 'version = next(versio)', 'true');
SELECT tandem.add_after_switch('m', 'links', 'version = ''v2''', 'version');
\set VERBOSITY terse
SELECT tandem.add_after_switch('m', 'links', 'note = 1; DROP TABLE links', 'true');
SELECT tandem.add_after_switch('m', 'links', 'note = 1 WHERE id = 1', 'true');
SELECT tandem.add_after_switch('m', 'links', 'note = 1 RETURNING id', 'true');
SELECT tandem.add_after_switch('m', 'links', 'note = DEFAULT', 'true');
SELECT tandem.add_after_switch('m', 'links', '(note, item) = (SELECT 1, 2)', 'true');
SELECT tandem.add_after_switch('m', 'links', '(note, item) = (''1'', 2)', 'true');
SELECT tandem.add_after_switch('m', 'links', 'note[1] = 1', 'true');
SELECT tandem.add_after_switch('m', 'links', 'note = 1, note = 2', 'true');
SELECT tandem.add_after_switch('m', 'links', 'nothing = 1', 'true');
SELECT tandem.add_after_switch('m', 'links', 'long = 1', 'true');
SELECT tandem.add_after_switch('m', 'links', 'ctid = NULL', 'true');
SELECT tandem.add_after_switch('m', 'links', 'note = (SELECT 1)', 'true');
SELECT tandem.add_after_switch('m', 'links', 'note = count(*)', 'true');
SELECT tandem.add_after_switch('m', 'links', 'item = now()', 'true');
SELECT tandem.add_after_switch('m', 'links', 'note = 1', 'EXISTS (SELECT 1)');
SELECT tandem.add_after_switch('m', 'links', 'note = 1', 'id = 1 LIMIT 1');
SELECT tandem.add_after_switch('m', 'links', 'note = 1', NULL);
SELECT tandem.add_after_switch('m', 'links', 'version = ''v2''', 'version = ''v1''', 'note = ''v1''');
SELECT tandem.add_after_switch('m', 'missing', 'version = ''v2''', 'version = ''v1''');

\echo == what is added
SELECT tandem.sync_column('m', 'items', 'price', 'cents', 'price * 100', 'cents / 100');
ALTER TABLE items ADD cents int;
SELECT tandem.sync_column('m', 'items', 'price', 'cents', 'price * 100', 'cents / 100');
SELECT tandem.add_after_switch('m', 'links', 'version = next(version), note = links.note || ''!''',
	'version = ''v1'' AND "On" AND long >= 0', 'note = CASE WHEN note <> ''!'' THEN left(note, -1) END, version = ''v1''');
SELECT tandem.add_after_switch('m', 'links', '"On" = NULL', '"On" IS false AND item = 1');
-- the script runs again
SELECT tandem.add_after_switch('m', 'links', '"On" = NULL', '"On" IS false AND item = 1');
SELECT relation, columns, set, condition, back FROM tandem.after_switch ORDER BY id;
CALL tandem.migrate('m');
SELECT state, rows_changed, waits_for FROM tandem.after_switches;
SELECT state, what FROM tandem.status;
SELECT tandem.add_after_switch('m', 'links', '"On" = NULL', 'true');

\echo == nothing before the switch, and no contract
CALL tandem.migrate('m', if_running => 'return');
SELECT count(*) FROM links WHERE version = 'v2';
CALL tandem.contract('m');

\echo == after it
SELECT tandem.switch_release(42);
SELECT state, rows_changed FROM tandem.after_switches;
SELECT state, what FROM tandem.status;
CALL tandem.contract('m');
-- as a session without any path
SET search_path = pg_catalog;
CALL tandem.migrate('m');
SET search_path = shop, public;
SELECT version, "On", note, count(*) FROM links GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT state, rows_changed FROM tandem.after_switches;
SELECT step, relation, state, done = total AS all_done, rows_filled FROM tandem.progress WHERE step = 'after switch';
SELECT percent, state FROM tandem.migrations JOIN tandem.status s ON s.migration = name WHERE name = 'm';

\echo == back
SELECT tandem.switch_release(41);
SELECT state FROM tandem.after_switches;
CALL tandem.abort('m');
CALL tandem.migrate('m');
SELECT version, "On", note, count(*) FROM links GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT state, rows_changed FROM tandem.after_switches;
\set VERBOSITY default
CALL tandem.abort('m');
\set VERBOSITY terse

\echo == and there again
INSERT INTO links VALUES (4000, 1, 'v1', true);
SELECT tandem.switch_release(42);
CALL tandem.migrate('m', if_running => 'wait');
CALL tandem.migrate('m', if_running => 'wait');
SELECT version, "On", note, count(*) FROM links GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
CALL tandem.contract('m');
SELECT state FROM tandem.after_switches;
SELECT action, detail FROM tandem.history WHERE migration = 'm' AND action = 'after switch';

\echo == partitions, triggers, and a change that has no end
CREATE TABLE log (id int, day int, state text, n int DEFAULT 0, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (1) TO (10);
CREATE TABLE log_2 (n int DEFAULT 0, gone int, state text, day int NOT NULL, id int NOT NULL);
ALTER TABLE log_2 DROP gone;
ALTER TABLE log ATTACH PARTITION log_2 FOR VALUES FROM (10) TO (20);
INSERT INTO log SELECT i, 1 + i % 19, 'old' FROM generate_series(1, 1000) i;
CREATE FUNCTION count_writes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := OLD.n + 1; RETURN NEW; END $$;
CREATE TRIGGER count_writes BEFORE UPDATE ON log FOR EACH ROW EXECUTE FUNCTION count_writes();
SELECT tandem.create_migration('p', 43);
SELECT tandem.add_after_switch('p', 'log', 'day = day + 1', 'state = ''old''');
SELECT tandem.add_after_switch('p', 'log', 'state = ''new''', 'state = ''old''');
CALL tandem.migrate('p');
SELECT tandem.switch_release(43);
CALL tandem.migrate('p');
SELECT tableoid::regclass, state, n, count(*) FROM log GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
CALL tandem.contract('p');
SELECT tandem.create_migration('endless', 44);
SELECT tandem.add_after_switch('endless', 'log', 'n = n + 1', 'state = ''new''');
CALL tandem.migrate('endless');
SELECT tandem.switch_release(44);
\set VERBOSITY default
CALL tandem.migrate('endless');
\set VERBOSITY terse
SELECT step, state, error, hint FROM tandem.progress WHERE migration = 'endless';
SELECT problem FROM tandem.migrations WHERE name = 'endless';
SELECT state, what FROM tandem.status;
CALL tandem.contract('endless');
SELECT tandem.switch_release(43);
CALL tandem.abort('endless');
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER a_nothing BEFORE UPDATE ON log FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT tandem.create_migration('held', 45);
SELECT tandem.add_after_switch('held', 'log', 'state = ''newer''', 'state = ''new''');
CALL tandem.migrate('held');
SELECT tandem.switch_release(45);
CALL tandem.migrate('held');
DROP TRIGGER a_nothing ON log;
ALTER TABLE log RENAME state TO status;
ALTER TABLE log DROP state;
\set VERBOSITY default
CALL tandem.migrate('held');
\set VERBOSITY terse
ALTER TABLE log ADD state text DEFAULT 'new';
CALL tandem.migrate('held');
SELECT state, count(*) FROM log GROUP BY 1;
-- what it has changed stays, which force takes upon itself
SELECT tandem.switch_release(43);
CALL tandem.abort('held');
CALL tandem.abort('held', force => true);
SELECT migration, state FROM tandem.after_switches;
SELECT tandem.forget('held');
SELECT migration, state FROM tandem.after_switches;

\echo == generated columns are those of the row that it is changed back to
CREATE TABLE boxes (id int PRIMARY KEY, item int, long int GENERATED ALWAYS AS (item * 2) STORED, own int GENERATED ALWAYS AS IDENTITY);
INSERT INTO boxes SELECT i, 4 FROM generate_series(1, 3) i;
SELECT tandem.create_migration('g', 46);
SELECT tandem.add_after_switch('g', 'boxes', 'own = 7', 'long < 10');
SELECT tandem.add_after_switch('g', 'boxes', 'item = item + 1', 'xmin IS NOT NULL AND long < 10');
SELECT tandem.add_after_switch('g', 'boxes', 'item = item + 1', 'tableoid IS NOT NULL AND long < 10', 'item = item - 1');
CALL tandem.migrate('g');
SELECT tandem.switch_release(46);
CALL tandem.migrate('g');
SELECT item, long, count(*) FROM boxes GROUP BY 1, 2;
SELECT tandem.switch_release(45);
CALL tandem.migrate('g');
SELECT item, long, count(*) FROM boxes GROUP BY 1, 2;
CALL tandem.abort('g');

\echo == triggers that change other rows, or undo the change
CREATE FUNCTION others() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF pg_trigger_depth() = 1 THEN
		DELETE FROM boxes WHERE id = 3;
		UPDATE boxes SET item = item + 10 WHERE id <> NEW.id;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER others AFTER UPDATE ON boxes FOR EACH ROW EXECUTE FUNCTION others();
SELECT tandem.create_migration('t', 47);
SELECT tandem.add_after_switch('t', 'boxes', 'item = item + 1', 'item % 10 = 4');
CALL tandem.migrate('t');
SELECT tandem.switch_release(47);
CALL tandem.migrate('t');
SELECT id, item FROM boxes ORDER BY id;
CALL tandem.contract('t');
CREATE OR REPLACE FUNCTION others() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF pg_trigger_depth() = 1 THEN
		UPDATE boxes SET item = OLD.item WHERE id = NEW.id;
	END IF;
	RETURN NULL;
END $$;
SELECT tandem.create_migration('u', 48);
SELECT tandem.add_after_switch('u', 'boxes', 'item = item + 1', 'item % 10 = 5');
CALL tandem.migrate('u');
SELECT tandem.switch_release(48);
CALL tandem.migrate('u');
DROP TRIGGER others ON boxes;
SELECT tandem.switch_release(47);
CALL tandem.abort('u');

\echo == changes that feed each other
SELECT tandem.create_migration('c', 49);
SELECT tandem.add_after_switch('c', 'boxes', 'item = item + 1', 'item % 2 = 1 AND item < 30');
SELECT tandem.add_after_switch('c', 'boxes', 'item = item + 1', 'item % 2 = 0 AND item < 30');
CALL tandem.migrate('c');
SELECT tandem.switch_release(49);
CALL tandem.migrate('c');
SELECT id, item FROM boxes ORDER BY id;
CALL tandem.contract('c');
SELECT tandem.create_migration('round', 50);
SELECT tandem.add_after_switch('round', 'boxes', 'item = 31', 'item = 30');
SELECT tandem.add_after_switch('round', 'boxes', 'item = 30', 'item = 31');
CALL tandem.migrate('round');
SELECT tandem.switch_release(50);
\set VERBOSITY default
CALL tandem.migrate('round');
\set VERBOSITY terse
SELECT step, state, error, hint FROM tandem.progress WHERE migration = 'round';
SELECT tandem.switch_release(49);
CALL tandem.abort('round', force => true);

\echo == partitions of others, and one that is attached later
CREATE ROLE tandem_rows_owner;
CREATE ROLE tandem_rows_other;
GRANT USAGE ON SCHEMA shop TO tandem_rows_owner;
CREATE TABLE parts (id int, version text) PARTITION BY LIST (id);
CREATE TABLE parts_1 (version text, id int);
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
INSERT INTO parts SELECT 1 + i % 2, 'v1' FROM generate_series(1, 10) i;
ALTER TABLE parts OWNER TO tandem_rows_owner;
ALTER TABLE parts_1 OWNER TO tandem_rows_other;
SELECT tandem.create_migration('parts', 51);
SELECT tandem.add_after_switch('parts', 'parts', 'version = ''v2''', 'version = ''v1''');
CALL tandem.migrate('parts');
SELECT tandem.switch_release(51);
CALL tandem.migrate('parts');
SELECT tableoid::regclass, version, count(*) FROM parts GROUP BY 1, 2 ORDER BY 1;
SELECT state FROM tandem.after_switches WHERE migration = 'parts';
CREATE TABLE parts_3 (id int, version text);
INSERT INTO parts_3 VALUES (3, 'v1');
ALTER TABLE parts ATTACH PARTITION parts_3 FOR VALUES IN (3);
SELECT state FROM tandem.after_switches WHERE migration = 'parts';
CALL tandem.contract('parts');
CALL tandem.migrate('parts');
SELECT tableoid::regclass, version, count(*) FROM parts GROUP BY 1, 2 ORDER BY 1;
CALL tandem.contract('parts');
DROP TABLE parts;
DROP OWNED BY tandem_rows_owner, tandem_rows_other;
DROP ROLE tandem_rows_owner, tandem_rows_other;

\echo == a column that another migration drops
CREATE TABLE kept (id int PRIMARY KEY, a int, c int);
SELECT tandem.create_migration('drops', 52);
SELECT tandem.add_column('drops', 'kept', 'b', 'int');
SELECT tandem.create_migration('uses', 53);
SELECT tandem.add_after_switch('uses', 'kept', 'c = 1', 'c = 0 AND a > 0 AND b > 0');
SELECT tandem.sync_column('drops', 'kept', 'a', 'b', 'a', 'b');
-- from then on 53 does not know it
SELECT tandem.add_after_switch('uses', 'kept', 'c = 2', 'a > 1');
SET client_min_messages = error;
CALL tandem.migrate('drops');
CALL tandem.migrate('uses');
SET client_min_messages = warning;
\set VERBOSITY default
CALL tandem.abort('drops');
SELECT tandem.switch_release(52);
CALL tandem.contract('drops');
\set VERBOSITY terse
CALL tandem.abort('uses');
CALL tandem.contract('drops');

\echo == a table that is dropped
SELECT tandem.create_migration('gone', 53);
SELECT tandem.add_after_switch('gone', 'kept', 'c = 1', 'c = 0');
DROP TABLE kept;
SELECT state FROM tandem.after_switches WHERE migration = 'gone';
CALL tandem.abort('gone');

\echo == a block of large values is changed in portions, which are not kept at once
CREATE TABLE large (id int PRIMARY KEY, doc text);
INSERT INTO large SELECT i, repeat('x', 4000000) FROM generate_series(1, 20) i;
SELECT tandem.create_migration('large', 53);
SELECT tandem.add_after_switch('large', 'large', 'doc = doc || ''y''', 'right(doc, 1) = ''x''', 'doc = left(doc, -1)');
CALL tandem.migrate('large');
SELECT tandem.switch_release(53);
CALL tandem.migrate('large');
SELECT length(doc), count(*), count(DISTINCT xmin::text) > 1 AS portions FROM large GROUP BY 1;
SELECT tandem.switch_release(52);
CALL tandem.migrate('large');
SELECT length(doc), count(*), count(DISTINCT xmin::text) > 1 AS portions FROM large GROUP BY 1;
CALL tandem.abort('large');

\echo == back fails for a row that the change has not made
CREATE TABLE codes (id int PRIMARY KEY, code text, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO codes SELECT i, CASE WHEN i = 3 THEN 'none' ELSE '10' END FROM generate_series(1, 5) i;
SELECT tandem.create_migration('codes', 54);
SELECT tandem.add_after_switch('codes', 'codes', 'code = (code::int + 1)::text', 'code ~ ''0$''', 'code = (code::int - 1)::text');
CALL tandem.migrate('codes');
SELECT tandem.switch_release(54);
CALL tandem.migrate('codes');
SELECT code, count(*) FROM codes GROUP BY 1 ORDER BY 1;
SELECT tandem.switch_release(52);
\set VERBOSITY default
CALL tandem.migrate('codes');
\set VERBOSITY terse
SELECT code, count(*) FROM codes GROUP BY 1 ORDER BY 1;
CALL tandem.abort('codes');

\c postgres
DROP DATABASE after_switch;
