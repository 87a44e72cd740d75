-- What a served release sees of a table stays the same, whoever does what in whatever order.
CREATE DATABASE view_shapes;
\c view_shapes
SET client_min_messages = warning;
\set VERBOSITY default
\pset format unaligned
\pset null '-'
CREATE EXTENSION pg_tandem;
CREATE SCHEMA app;
SET search_path = app;
CREATE VIEW shape AS SELECT c.oid::regclass AS view, (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
		|| CASE WHEN pg_column_is_updatable(c.oid, a.attnum, false) THEN '' ELSE ' (read)' END, ', ' ORDER BY a.attnum)
		FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND n.nspname LIKE '%release%'
	ORDER BY n.nspname, c.relname;

-- While no release is known the end of a migration takes its columns from the views, and what others are called stays.
CREATE TABLE early (id integer PRIMARY KEY, a integer, note text);
BEGIN;
SELECT tandem.create_migration('early');
SELECT tandem.add_column('early', 'early', 'b', 'integer');
SELECT tandem.sync_column('early', 'early', 'a', 'b', 'a', 'b');
COMMIT;
SELECT tandem.create_views(1, relations => '{early}');
ALTER TABLE early RENAME note TO comment;
ALTER TABLE early ADD COLUMN more integer;
CALL tandem.migrate('early');
SELECT tandem.create_views(1);
SELECT * FROM shape;
CALL tandem.contract('early');
SELECT * FROM shape;
DROP TABLE early CASCADE;

-- A name that only views show (41), and a column that takes its place (42): 42 sees that alone, and contract passes.
CREATE TABLE prices (id integer PRIMARY KEY, a integer);
INSERT INTO prices VALUES (1, 10);
SELECT tandem.create_migration('rename', release => 41);
SELECT tandem.sync_column('rename', 'prices', 'a', 'b', 'a', stored => false);
SELECT tandem.sync_column('rename', 'prices', 'a', 'half', 'a / 2', stored => false);
SELECT tandem.create_views(40), tandem.create_views(41);
CALL tandem.migrate('rename');
-- nor may a name be taken that they show
ALTER TABLE prices ADD COLUMN b text;
ALTER TABLE prices ADD COLUMN x text;
ALTER TABLE prices RENAME x TO half;
ALTER TABLE prices DROP COLUMN x;
-- of an open migration the column keeps its name
ALTER TABLE prices RENAME a TO other;
SELECT tandem.create_migration('type', release => 42);
SELECT tandem.add_column('type', 'prices', 'c', 'text');
SELECT tandem.sync_column('type', 'prices', 'a', 'c', 'a::text', 'c::integer');
SELECT tandem.create_views(42);
SELECT * FROM shape;
CALL tandem.migrate('type');
SELECT * FROM shape;
CALL tandem.contract('type', undeclared => 'ignore');
CALL tandem.contract('rename', undeclared => 'ignore');
CALL tandem.contract('type', undeclared => 'ignore');
SELECT * FROM shape;
SELECT * FROM release_42.prices;
DROP TABLE prices CASCADE;
SELECT tandem.drop_views(40), tandem.drop_views(41);
SELECT * FROM shape;

-- Renames by hand: before contract, and after it as README proposes; a late node; a name that was freed is taken again.
CREATE TABLE items (id integer PRIMARY KEY, nmae text, price integer, note text DEFAULT 'n');
INSERT INTO items VALUES (1, 'one', 10);
SELECT tandem.create_migration('name', release => 43);
SELECT tandem.sync_column('name', 'items', 'nmae', 'name', 'nmae', stored => false);
SELECT tandem.create_views(42, relations => '{items}'), tandem.create_views(43, relations => '{items}');
CALL tandem.migrate('name');
ALTER TABLE items RENAME note TO comment;
SELECT tandem.create_views(42, relations => '{items}'), tandem.create_views(43, relations => '{items}');
SELECT * FROM shape;
CALL tandem.contract('name', undeclared => 'ignore');
-- to another name than the release's: a view that is lost shows what it did
BEGIN;
ALTER TABLE items RENAME nmae TO label;
SELECT tandem.create_views(43, relations => '{items}');
DROP VIEW release_43.items;
SELECT tandem.create_views(43, relations => '{items}'), tandem.create_views(44, relations => '{items}');
SELECT * FROM shape WHERE view::text <> 'release_42.items';
ALTER TABLE items RENAME label TO labels;
ALTER TABLE items ADD COLUMN nmae integer;
DROP VIEW release_43.items;
SELECT tandem.create_views(43, relations => '{items}');
SELECT * FROM release_43.items;
-- the script again
SELECT tandem.create_migration('name', release => 43);
SELECT tandem.sync_column('name', 'items', 'nmae', 'name', 'nmae', stored => false);
ROLLBACK;
ALTER TABLE items RENAME nmae TO name;
ALTER TABLE items ADD COLUMN nmae integer DEFAULT 3;
SELECT tandem.create_views(43, relations => '{items}'), tandem.create_views(44, relations => '{items}');
SELECT * FROM shape;
SELECT * FROM release_43.items;
SELECT * FROM release_44.items;
UPDATE release_43.items SET name = 'uno' RETURNING *;
SELECT tandem.create_views(43, relations => '{items}', refresh => true);
SELECT * FROM shape WHERE view::text = 'release_43.items';
-- the rename after contract, of a column that was stored
BEGIN;
SELECT tandem.create_migration('cents', release => 45);
SELECT tandem.add_column('cents', 'items', 'price_cents', 'bigint');
SELECT tandem.sync_column('cents', 'items', 'price', 'price_cents', 'price * 100', 'price_cents / 100');
COMMIT;
SELECT tandem.create_views(45, relations => '{items}');
CALL tandem.migrate('cents');
CALL tandem.contract('cents', undeclared => 'ignore');
SELECT 'release_45.items'::regclass::oid AS was \gset
ALTER TABLE items RENAME price_cents TO price;
SELECT tandem.create_views(45, relations => '{items}');
ALTER TABLE items ADD COLUMN price_cents text;
SELECT tandem.create_views(45, relations => '{items}');
\set VERBOSITY terse
SELECT tandem.create_views(45, relations => '{items}', refresh => true);
\set VERBOSITY default
SELECT tandem.create_views(46, relations => '{items}');
SELECT * FROM shape WHERE view::text ~ '4[56]';
SELECT 'release_45.items'::regclass::oid = :was AS same;
SELECT * FROM release_45.items;

-- New columns come at the end, and only when asked for; a migration without a release; nothing is taken.
ALTER TABLE items ADD COLUMN more integer;
SELECT tandem.create_views(45, relations => '{items}');
BEGIN;
SELECT tandem.create_migration('plain');
SELECT tandem.add_column('plain', 'items', 'title', 'text');
SELECT tandem.sync_column('plain', 'items', 'comment', 'title', 'comment', 'title');
COMMIT;
CALL tandem.migrate('plain');
SELECT * FROM shape WHERE view::text ~ '45';
SELECT tandem.create_views(45, relations => '{items}', refresh => true);
SELECT * FROM shape WHERE view::text ~ '45';
SELECT object, what_happens, remedy FROM tandem.preview_contract('plain') WHERE part = 'in use';
CALL tandem.contract('plain', accept => '{defaults}');
-- the hint names what others have built on the view
CREATE VIEW over_45 AS SELECT id, comment FROM release_45.items;
CREATE VIEW over_over AS SELECT id FROM over_45;
CREATE MATERIALIZED VIEW stored_45 AS SELECT id FROM over_45;
CALL tandem.contract('plain', accept => '{defaults}');
DROP MATERIALIZED VIEW stored_45;
SELECT remedy FROM tandem.preview_contract('plain') WHERE part = 'in use';
BEGIN;
DROP VIEW release_45.items, over_45, over_over;
ROLLBACK;
SELECT tandem.drop_views(45);
DROP VIEW over_over, over_45;
CALL tandem.abort('plain');
SELECT * FROM shape WHERE view::text ~ '45';
DROP VIEW release_45.items, release_46.items;
CALL tandem.abort('plain');
SELECT tandem.create_views(45, relations => '{items}'), tandem.create_views(46, relations => '{items}');
SELECT * FROM shape WHERE view::text ~ '4[56]';
-- an earlier migration's abort
BEGIN;
SELECT tandem.create_migration('first', release => 47);
SELECT tandem.add_column('first', 'items', 'f', 'text');
SELECT tandem.sync_column('first', 'items', 'comment', 'f', 'comment', 'f');
SELECT tandem.create_migration('second', release => 48);
SELECT tandem.add_column('second', 'items', 's', 'text');
SELECT tandem.sync_column('second', 'items', 'name', 's', 'name', 's');
COMMIT;
SELECT tandem.create_views(47, relations => '{items}'), tandem.create_views(48, relations => '{items}');
CALL tandem.migrate('first');
CALL tandem.migrate('second');
SELECT * FROM shape WHERE view::text ~ '4[78]';
CALL tandem.abort('first');
CALL tandem.abort('second');
SELECT * FROM release_48.items;
CALL tandem.abort('first');
SELECT tandem.drop_views(47), tandem.drop_views(48);

-- A release that nobody works as yet: its views take the shape that its later scripts give it, also without a further call.
BEGIN;
SELECT tandem.create_migration('one', release => 47);
SELECT tandem.add_column('one', 'items', 'o', 'text');
SELECT tandem.sync_column('one', 'items', 'comment', 'o', 'comment', 'o');
SELECT tandem.create_views(47, relations => '{items}');
COMMIT;
BEGIN;
SELECT tandem.create_migration('two', release => 47);
SELECT tandem.add_column('two', 'items', 't', 'text');
SELECT tandem.sync_column('two', 'items', 'name', 't', 'name', 't');
COMMIT;
CALL tandem.migrate('one');
CALL tandem.migrate('two');
SELECT * FROM shape WHERE view::text ~ '47';
-- one of its two migrations is aborted: the table's view ends until it is made again
CALL tandem.abort('two');
SELECT * FROM release_47.items;
SELECT tandem.create_views(47, relations => '{items}');
SELECT * FROM shape WHERE view::text ~ '47';
SELECT * FROM release_47.items;
CALL tandem.contract('one', undeclared => 'ignore', accept => '{defaults}');
SELECT * FROM release_45.items;

-- An altered view.
ALTER VIEW release_47.items RENAME o TO mine;
SELECT tandem.create_views(47, relations => '{items}');
SELECT * FROM shape WHERE view::text ~ '47';
DROP VIEW release_47.items;
CREATE VIEW release_47.items AS SELECT 1 AS one;
SELECT tandem.create_views(47, relations => '{items}');
DROP VIEW release_47.items;
SELECT tandem.create_views(47, relations => '{items}');

-- All tables of a schema, whether a migration works on them or not: an application lives in its views from the first day.
CREATE TABLE lines (id integer PRIMARY KEY, item integer);
CREATE TABLE parted (id integer) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE VIEW any_view AS SELECT 1 AS one;
CREATE SCHEMA more;
CREATE TABLE more.lines (id integer PRIMARY KEY);
CREATE SCHEMA empty;
SELECT tandem.create_views(47, schemas => '{app,more}');
SELECT * FROM shape WHERE view::text ~ '47';
SELECT tandem.create_views(47, schemas => '{empty}');
CREATE ROLE tandem_owner;
CREATE TABLE theirs (id integer);
ALTER TABLE theirs OWNER TO tandem_owner;
GRANT ALL ON SCHEMA app TO tandem_owner;
GRANT SELECT ON shape TO tandem_owner;
GRANT CREATE ON DATABASE view_shapes TO tandem_owner;
SET ROLE tandem_owner;
SELECT tandem.create_views(48, schemas => '{app}');
SELECT view FROM app.shape WHERE view::text ~ '48';
RESET ROLE;
CREATE TABLE later (id integer);
SELECT tandem.create_views(47, schemas => '{app}');
SELECT view FROM shape WHERE view::text ~ '47';
-- a table was renamed, and another one has its name: a release that is served goes on with the first
ALTER TABLE later RENAME TO earlier;
CREATE TABLE later (other text);
SET client_min_messages = notice;
SELECT tandem.create_views(47, schemas => '{app}');
SELECT tandem.create_views(47, relations => '{later}');
SET client_min_messages = warning;
SELECT tandem.create_views(49, schemas => '{app}');
SELECT relation, view FROM tandem.view WHERE view::text ~ 'lat|ear' ORDER BY view::text;
\c postgres
DROP DATABASE view_shapes;
DROP ROLE tandem_owner;
