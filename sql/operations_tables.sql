-- Operations that are no rules: statements at contract, indexes, constraints and tables.
CREATE DATABASE operations_tables;
\c operations_tables
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset format unaligned
\pset tuples_only

-- The error of a command, and what it lacks.
CREATE FUNCTION error_of(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
	state text;
BEGIN
	EXECUTE command;
	RAISE '*** NO ERROR';	-- which undoes the command
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
		state = RETURNED_SQLSTATE;
	RETURN state || ' ' || message
		|| CASE WHEN detail <> '' THEN E'\nDETAIL: ' || detail ELSE '' END
		|| CASE WHEN hint <> '' THEN E'\nHINT: ' || hint ELSE E'\n*** NO HINT' END
		|| CASE WHEN state LIKE 'XX%' THEN E'\n*** INTERNAL ERROR' ELSE '' END;
END $$;
SET client_min_messages = notice;

CREATE TABLE images (id integer CONSTRAINT images_pkey PRIMARY KEY, title text, kind text,
	CONSTRAINT title_given CHECK (title <> ''), CONSTRAINT kind_given CHECK (kind <> ''));
CREATE INDEX images_title_idx ON images (title);
CREATE UNIQUE INDEX images_kind_idx ON images (kind);
CREATE TABLE sizes (id integer, at date, kind text) PARTITION BY RANGE (at);
CREATE TABLE sizes_1 PARTITION OF sizes FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') PARTITION BY RANGE (at);
CREATE TABLE sizes_1_1 PARTITION OF sizes_1 FOR VALUES FROM ('2026-01-01') TO ('2026-01-15');
CREATE INDEX sizes_kind_idx ON sizes (kind);
INSERT INTO images VALUES (1, 'one', 'a');

/*
 * Statements, indexes and constraints: they need no release, and nothing is migrated.
 */

SELECT tandem.create_migration('m');
SELECT error_of('CALL tandem.contract(''m'')');
SELECT tandem.at_contract('m', 'images', 'ALTER TABLE images RENAME COLUMN title TO name');
SELECT tandem.drop_index('m', 'images_title_idx');
SELECT tandem.drop_index('m', 'sizes_kind_idx');
SELECT tandem.rename_constraint('m', 'images', 'title_given', 'name_given');
SELECT tandem.at_contract('m', 'images', 'CREATE INDEX images_name_idx ON images (name)');

-- the same again
SELECT tandem.at_contract('m', 'images', 'alter table images rename title to name');
SELECT tandem.drop_index('m', 'public.images_title_idx');
SELECT tandem.rename_constraint('m', 'public.images', 'title_given', 'name_given');
SELECT error_of($$SELECT tandem.rename_constraint('m', 'images', 'title_given', 'other')$$);

SELECT kind, relation, object, new_name, statement FROM tandem.operation ORDER BY id;
SELECT * FROM tandem.preview_contract('m');
SELECT operation, relation, column_name, new_name, state, at_contract FROM tandem.operations;

-- one that fails at contract: nothing is changed
BEGIN;
ALTER TABLE images RENAME COLUMN title TO heading;
SELECT error_of('CALL tandem.contract(''m'')');
ROLLBACK;
SELECT phase FROM tandem.migrations WHERE name = 'm';
SELECT state, what FROM tandem.status;

CALL tandem.contract('m');
\d images
\d sizes
SELECT action, phase_before, phase_after, detail FROM tandem.history ORDER BY done_at;
-- and again
SELECT tandem.at_contract('m', 'images', 'ALTER TABLE images RENAME COLUMN title TO name');
SELECT tandem.drop_index('m', 'images_title_idx');
SELECT tandem.rename_constraint('m', 'images', 'title_given', 'name_given');
CALL tandem.contract('m');
SELECT error_of($$SELECT tandem.at_contract('m', 'images', 'DROP TABLE sizes')$$);

-- refused at once
SELECT tandem.create_migration('r');
CREATE TABLE parts (image integer REFERENCES images, kind text REFERENCES images (kind));
SELECT statement, error_of(format('SELECT tandem.at_contract(''r'', ''images'', %L)', statement))
FROM unnest(ARRAY['', 'SELECT 1', 'UPDATE images SET id = 1', 'CREATE INDEX CONCURRENTLY i ON images (id)', 'DROP INDEX CONCURRENTLY images_kind_idx',
	'ALTER TABLE sizes DETACH PARTITION sizes_1 CONCURRENTLY', 'VACUUM images', 'BEGIN', 'COMMIT', 'CREATE DATABASE d', 'DROP DATABASE d',
	'CREATE ROLE r', 'GRANT a TO b', 'CREATE TABLESPACE t LOCATION ''/''', 'DO ''''', 'CALL p()', 'TRUNCATE images', 'DROP TABLE images CASCADE',
	'ALTER TABLE images DROP COLUMN kind CASCADE', 'DROP TABLE a; DROP TABLE b', 'ALTER TABEL images', 'SELECT 1 INTO x', 'CREATE TABLE x AS SELECT 1',
	'ALTER SYSTEM SET a = 1', 'SET a = 1', 'DROP EXTENSION pg_tandem', 'COMMENT ON DATABASE d IS ''''', 'DROP OWNED BY r', 'LOCK images', 'PREPARE TRANSACTION ''x''',
	'REINDEX TABLE images', 'CREATE EXTENSION x']) statement;
SELECT call, error_of('SELECT tandem.' || call) FROM unnest(ARRAY[
	$$at_contract('r', 'nowhere', 'DROP TABLE images')$$, $$at_contract('r', NULL, 'DROP TABLE images')$$, $$at_contract('r', 'images', NULL)$$,
	$$at_contract('r', 'sizes_1', 'DROP TABLE sizes_1')$$, $$at_contract('r', 'tandem.migration', 'DROP TABLE images')$$,
	$$at_contract('nothing', 'images', 'DROP TABLE images')$$,
	$$drop_index('r', 'nowhere')$$, $$drop_index('r', 'images')$$, $$drop_index('r', 'images_pkey')$$, $$drop_index('r', 'images_kind_idx')$$,
	$$drop_index('r', NULL)$$, $$rename_constraint('r', 'images', 'nothing', 'x')$$, $$rename_constraint('r', 'images', 'kind_given', 'name_given')$$,
	$$rename_constraint('r', 'images', 'kind_given', '')$$, $$rename_constraint('r', 'images', 'images_pkey', 'images_kind_idx')$$,
	$$rename_constraint('r', 'images', NULL, 'x')$$, $$rename_constraint('r', 'images', 'kind_given', NULL)$$]) call;
CREATE INDEX ON sizes (id);
SELECT error_of($$SELECT tandem.drop_index('r', 'sizes_1_1_id_idx')$$);
ALTER TABLE images ALTER kind SET NOT NULL, REPLICA IDENTITY USING INDEX images_kind_idx;
BEGIN;
DROP TABLE parts;
SELECT error_of($$SELECT tandem.drop_index('r', 'images_kind_idx')$$);
ROLLBACK;
ALTER TABLE images REPLICA IDENTITY DEFAULT;
SELECT tandem.add_index('r', 'CREATE INDEX kinds_idx ON images (kind)');
SELECT error_of($$SELECT tandem.drop_index('r', 'kinds_idx')$$);
SELECT tandem.add_constraint('r', 'images', 'id_given', 'CHECK (id > 0)');
SELECT error_of($$SELECT tandem.rename_constraint('r', 'images', 'kind_given', 'id_given')$$);
CALL tandem.migrate('r');
SELECT error_of($$SELECT tandem.drop_index('r', 'kinds_idx')$$);
SELECT tandem.create_migration('x');
SELECT error_of($$SELECT tandem.drop_index('x', 'kinds_idx')$$);
SELECT operation, relation, column_name, new_name, state, at_contract FROM tandem.operations WHERE migration = 'r';
CALL tandem.abort('r');

-- what came in the way since: contract says so, and changes nothing
DROP TABLE parts;
SELECT tandem.create_migration('w');
SELECT tandem.drop_index('w', 'images_kind_idx');
SELECT tandem.rename_constraint('w', 'images', 'kind_given', 'kind_known');
CREATE TABLE parts (kind text REFERENCES images (kind));
ALTER TABLE images ADD CONSTRAINT kind_known CHECK (kind <> 'x');
SELECT * FROM tandem.preview_contract('w');
SELECT error_of('CALL tandem.contract(''w'')');
BEGIN;
DROP TABLE parts;
ALTER TABLE images DROP CONSTRAINT kind_known, REPLICA IDENTITY USING INDEX images_kind_idx;
SELECT error_of('CALL tandem.contract(''w'')');
ROLLBACK;
ALTER TABLE images DROP CONSTRAINT kind_known, DROP CONSTRAINT kind_given;
DROP TABLE parts;
DROP INDEX images_kind_idx;
SELECT * FROM tandem.preview_contract('w');
CALL tandem.contract('w');

-- aborted: nothing is done
SELECT tandem.create_migration('a');
SELECT tandem.at_contract('a', 'images', 'DROP TABLE sizes');
CALL tandem.abort('a');
SELECT 'sizes'::regclass;

-- another owner has not said it
CREATE ROLE operations_alice;
CREATE ROLE operations_bob;
GRANT CREATE ON SCHEMA public TO operations_alice, operations_bob;
SET ROLE operations_alice;
CREATE TABLE mine (id integer);
SELECT tandem.create_migration('o');
SELECT tandem.at_contract('o', 'mine', 'ALTER TABLE mine ADD COLUMN note text');
SELECT error_of($$SELECT tandem.at_contract('o', 'images', 'DROP TABLE images')$$);
RESET ROLE;
ALTER TABLE mine OWNER TO operations_bob;
SET ROLE operations_alice;
SELECT error_of('CALL tandem.contract(''o'')');
SET ROLE operations_bob;
SELECT error_of('CALL tandem.contract(''o'')');
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('o');
SELECT tandem.at_contract('o', 'public.mine', 'ALTER TABLE mine ADD COLUMN note text');
CALL tandem.contract('o');
\d mine
RESET ROLE;

-- what the server restricts when it runs as the owner: called by a superuser, the text gains nothing
SET ROLE operations_bob;
CREATE FUNCTION spy() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'as %', current_user; SET ROLE postgres; RETURN 'x'; END $$;
SELECT tandem.create_migration('s');
INSERT INTO mine VALUES (1);
SELECT tandem.at_contract('s', 'mine', 'ALTER TABLE mine ALTER note TYPE text USING spy()');
RESET ROLE;
CALL tandem.contract('s');
CALL tandem.abort('s');

-- the guard refuses what would break the rule of another migration
SELECT tandem.create_migration('g1');
ALTER TABLE images ADD COLUMN heading text;
BEGIN;
ALTER TABLE images ADD COLUMN label text;
SELECT tandem.sync_column('g1', 'images', 'name', 'label', 'upper(name)', 'lower(label)');
COMMIT;
SELECT tandem.create_migration('g2');
SELECT tandem.at_contract('g2', 'images', 'ALTER TABLE images RENAME COLUMN label TO lettering');
CALL tandem.contract('g2');
CALL tandem.abort('g2');
CALL tandem.abort('g1');

/*
 * Tables: they belong to a release, which is ready at once.
 */

CREATE TABLE orders (id integer PRIMARY KEY, note text);
CREATE TABLE lines (order_id integer REFERENCES orders, place integer);
CREATE TABLE events (id integer, at date, kind text) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') PARTITION BY RANGE (at);
CREATE TABLE events_1_1 PARTITION OF events_1 FOR VALUES FROM ('2026-01-01') TO ('2026-01-15');
INSERT INTO orders VALUES (1, 'first');
INSERT INTO events VALUES (1, '2026-01-02', 'a');
SELECT tandem.register_release(1), tandem.switch_release(1);
SELECT tandem.create_views(1, schemas => '{public}');

BEGIN;
SELECT tandem.create_migration('two', 2);
CREATE TABLE invoices (id integer PRIMARY KEY, order_id integer REFERENCES orders) PARTITION BY RANGE (id);
CREATE TABLE invoices_1 PARTITION OF invoices FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
CREATE TABLE invoices_1_1 PARTITION OF invoices_1 FOR VALUES FROM (0) TO (5);
SELECT tandem.add_table('two', 'invoices');
SELECT tandem.rename_table('two', 'events', 'happenings');
SELECT tandem.drop_table('two', 'lines');
SELECT tandem.drop_table('two', 'orders');
SELECT tandem.at_contract('two', 'images', 'ALTER TABLE invoices DROP CONSTRAINT invoices_order_id_fkey');
SELECT healthy, state FROM tandem.health(2);
SELECT tandem.create_views(2, schemas => '{public}');
COMMIT;
SELECT healthy, state FROM tandem.health(2);
SELECT operation, relation, column_name, new_name, state, at_contract FROM tandem.operations WHERE migration = 'two';
SELECT schemaname, viewname FROM pg_views WHERE schemaname LIKE 'release%' ORDER BY 1, 2;
-- the views of release 1 are what they were, also when they are made now
SELECT tandem.create_views(1, schemas => '{public}');
SELECT tandem.create_views(1);
SELECT schemaname, viewname FROM pg_views WHERE schemaname = 'release_1' ORDER BY 1, 2;
SELECT error_of($$SELECT tandem.create_views(1, '{invoices}')$$);
SELECT error_of($$SELECT tandem.create_views(2, '{orders}')$$);
INSERT INTO release_2.happenings VALUES (2, '2026-01-03', 'b');
SELECT count(*) FROM release_1.events;

-- again
SELECT tandem.add_table('two', 'invoices');
SELECT tandem.rename_table('two', 'events', 'happenings');
SELECT error_of($$SELECT tandem.rename_table('two', 'events', 'occurrences')$$);
SELECT tandem.drop_table('two', 'release_1.orders');

-- what is added later must not make it wait: nodes use the release
INSERT INTO release_2.happenings VALUES (3, '2026-01-03', 'c');
BEGIN;
SELECT tandem.add_index('two', 'CREATE INDEX ON events (kind)');
SELECT healthy, state FROM tandem.health(2);
ROLLBACK;
BEGIN;
SELECT tandem.switch_release(2);
SELECT error_of($$SELECT tandem.add_index('two', 'CREATE INDEX ON events (kind)')$$);
ROLLBACK;
SELECT error_of($$SELECT tandem.rename_table('two', 'images', 'pictures')$$);

SELECT * FROM tandem.preview_contract('two');
-- a later rename of the table is followed
ALTER TABLE events RENAME TO events_stored;
SELECT * FROM tandem.preview_contract('two') WHERE part = 'rename table';
SELECT tandem.switch_release(2);
CALL tandem.contract('two', undeclared => 'ignore');
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1;
SELECT schemaname, viewname FROM pg_views WHERE schemaname LIKE 'release%' ORDER BY 1, 2;
SELECT error_of('SELECT * FROM release_1.orders');
SELECT error_of('SELECT * FROM release_1.events');
SELECT count(*) FROM release_2.happenings;
SELECT operation, relation, new_name, state, at_contract FROM tandem.operations WHERE migration = 'two';
-- the script once more
SELECT tandem.add_table('two', 'invoices');
SELECT tandem.rename_table('two', 'events', 'happenings');
SELECT tandem.drop_table('two', 'lines');
SELECT tandem.drop_table('two', 'orders');
SELECT tandem.create_views(2, schemas => '{public}');
SELECT schemaname, viewname FROM pg_views WHERE schemaname = 'release_2' ORDER BY 1, 2;

-- a release later: names as they are stored now, and one taken from a table that goes
BEGIN;
SELECT tandem.create_migration('three', 3);
CREATE TABLE things (id integer);
SELECT tandem.add_table('three', 'things');
SELECT tandem.drop_table('three', 'sizes');
SELECT tandem.rename_table('three', 'happenings', 'sizes');
SELECT tandem.create_views(3);
COMMIT;
SELECT schemaname, viewname FROM pg_views WHERE schemaname = 'release_3' ORDER BY 1, 2;
-- aborted: nothing is left of it
INSERT INTO things VALUES (1);
SELECT error_of('CALL tandem.abort(''three'')');
CREATE VIEW over AS SELECT * FROM things;
CREATE TABLE users_of_things (thing integer);
ALTER TABLE things ADD PRIMARY KEY (id);
ALTER TABLE users_of_things ADD FOREIGN KEY (thing) REFERENCES things;
SELECT error_of('CALL tandem.abort(''three'', force => true)');
DROP VIEW over;
DROP TABLE users_of_things;
CALL tandem.abort('three', force => true);
SELECT to_regclass('things'), to_regclass('sizes'), to_regclass('happenings');
SELECT error_of('SELECT * FROM release_3.things');
SELECT error_of('SELECT * FROM release_3.sizes');

-- and again, with other names: the tombstones make room
BEGIN;
SELECT tandem.create_migration('three', 3);
SELECT tandem.drop_table('three', 'sizes');
SELECT tandem.rename_table('three', 'happenings', 'sizes');
SELECT tandem.create_views(3);
COMMIT;
SELECT viewname FROM pg_views WHERE schemaname = 'release_3' ORDER BY 1;
SELECT tandem.switch_release(3);
CALL tandem.contract('three', undeclared => 'ignore');
SELECT count(*) FROM sizes;
SELECT count(*) FROM release_3.sizes;

-- foreign keys between old tables and added ones, in both directions
BEGIN;
SELECT tandem.create_migration('four', 4);
CREATE TABLE colors (id integer PRIMARY KEY, image integer REFERENCES images);
SELECT tandem.add_table('four', 'colors');
SELECT tandem.add_column('four', 'images', 'color', 'integer');
SELECT tandem.add_constraint('four', 'images', 'colored', 'FOREIGN KEY (color) REFERENCES colors');
COMMIT;
SELECT state FROM tandem.health(4);
CALL tandem.migrate('four');
SELECT state FROM tandem.health(4);
CALL tandem.abort('four');
SELECT to_regclass('colors');

-- refused at once
SELECT tandem.create_migration('five', 5);
SELECT tandem.create_migration('none');
CREATE TABLE cars (id integer PRIMARY KEY);
CREATE VIEW over AS SELECT id FROM cars;
CREATE TYPE taken AS (a integer);
SELECT call, error_of('SELECT tandem.' || call) FROM unnest(ARRAY[
	$$add_table('five', 'cars')$$, $$add_table('none', 'cars')$$, $$rename_table('none', 'cars', 'x')$$, $$drop_table('none', 'cars')$$,
	$$rename_table('five', 'cars', 'images')$$, $$rename_table('five', 'cars', 'over')$$, $$rename_table('five', 'cars', 'cars')$$,
	$$rename_table('five', 'cars', '')$$, $$rename_table('five', 'cars', 'taken')$$, $$rename_table('five', 'nowhere', 'x')$$,
	$$rename_table('five', 'over', 'x')$$, $$drop_table('five', 'nowhere')$$, $$drop_table('five', 'over')$$]) call;
SELECT tandem.drop_table('five', 'cars');
SELECT error_of($$SELECT tandem.rename_table('five', 'cars', 'x')$$);
SELECT error_of('CALL tandem.contract(''five'', undeclared => ''ignore'')');
SELECT * FROM tandem.preview_contract('five');
SELECT tandem.create_migration('six');
SELECT tandem.add_column('six', 'cars', 'wheels', 'integer');
DROP VIEW over;
SELECT error_of('CALL tandem.contract(''five'', undeclared => ''ignore'')');
SELECT error_of($$SELECT tandem.drop_table('five', 'images')$$) FROM tandem.add_column('six', 'images', 'wheels', 'integer');
CALL tandem.abort('six');
-- who may neither read nor write it keeps nobody from dropping it
SET ROLE operations_bob;
CREATE VIEW stray AS SELECT * FROM cars;
RESET ROLE;
SELECT * FROM tandem.preview_contract('five');
SELECT tandem.switch_release(5);
CALL tandem.contract('five', undeclared => 'ignore');
SELECT to_regclass('cars'), to_regclass('stray');

-- the owner of the database aborts what another role has added: tables that refer to each other
ALTER DATABASE operations_tables OWNER TO operations_alice;
GRANT EXECUTE ON FUNCTION tandem.switch_release TO operations_bob;
SET ROLE operations_bob;
BEGIN;
SELECT tandem.create_migration('of_bob', 6);
CREATE TABLE apples (id integer PRIMARY KEY, pear integer);
CREATE TABLE pears (id integer PRIMARY KEY, apple integer REFERENCES apples);
ALTER TABLE apples ADD FOREIGN KEY (pear) REFERENCES pears;
SELECT tandem.add_table('of_bob', 'apples'), tandem.add_table('of_bob', 'pears');
COMMIT;
INSERT INTO apples VALUES (1);
SET ROLE operations_alice;
SELECT error_of('CALL tandem.abort(''of_bob'')');
CALL tandem.abort('of_bob', force => true);
RESET ROLE;
SELECT to_regclass('apples'), to_regclass('pears');

-- what is published keeps its name
CREATE PUBLICATION p FOR TABLE images;
BEGIN;
SELECT tandem.create_migration('seven', 7);
SELECT tandem.rename_table('seven', 'images', 'pictures');
SELECT tandem.create_views(7);
COMMIT;
SELECT error_of($$SELECT tandem.create_migration('late', 6), tandem.rename_table('late', 'images', 'paintings')$$);
SELECT part, object, what_happens FROM tandem.preview_contract('seven');
SELECT tandem.switch_release(7);
CALL tandem.contract('seven', undeclared => 'ignore');
SELECT count(*) FROM images;
SELECT count(*) FROM release_7.pictures;
SELECT tandem.register_release(8);
SELECT tandem.create_views(8, schemas => '{public}');
SELECT viewname FROM pg_views WHERE schemaname = 'release_8' ORDER BY 1;

\c postgres
SET client_min_messages = warning;
DROP DATABASE operations_tables;
DROP ROLE operations_alice, operations_bob;
