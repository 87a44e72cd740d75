-- Views of releases: whose tables they show, whose rights their text has, in which schemas they are.
CREATE DATABASE view_rights;
\c view_rights
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set VERBOSITY default
CREATE EXTENSION pg_tandem;
GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO PUBLIC;
\pset format unaligned
\pset tuples_only
\pset null '-'
CREATE ROLE tandem_app;
CREATE ROLE tandem_deployer IN ROLE tandem_app;
CREATE ROLE tandem_reader;
CREATE ROLE tandem_mallory;
GRANT CREATE ON DATABASE view_rights TO tandem_app, tandem_deployer, tandem_mallory;
GRANT CREATE ON SCHEMA public TO tandem_app;
CREATE SCHEMA app AUTHORIZATION tandem_app;
CREATE SCHEMA evil AUTHORIZATION tandem_mallory;
-- every view of a release, its owner, and what it shows
CREATE VIEW shape AS SELECT n.nspname || '.' || c.relname AS view, n.nspowner::regrole AS schema_owner, c.relowner::regrole AS owner, c.reloptions,
	v.relation, (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN tandem.view v ON v.view = c.oid
	WHERE n.nspname LIKE '%release%' AND c.relkind = 'v' ORDER BY 1;
-- who may create anything in a schema of a release
CREATE VIEW creators AS SELECT n.nspname, r.rolname FROM pg_namespace n CROSS JOIN pg_roles r
	WHERE n.nspname LIKE '%release%' AND r.rolname LIKE 'tandem%' AND has_schema_privilege(r.oid, n.oid, 'CREATE') ORDER BY 1, 2;
GRANT SELECT ON shape, creators TO PUBLIC;
CREATE PROCEDURE expand(migration text, relation text, release integer) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tandem.create_migration(migration, release => release);
	PERFORM tandem.add_column(migration, relation, 'b', 'integer');
	PERFORM tandem.sync_column(migration, relation, 'a', 'b', 'a', 'b');
END $$;

SET ROLE tandem_app;
CREATE TABLE app.orders (id integer PRIMARY KEY, a integer);
INSERT INTO app.orders VALUES (1, 10);
SET ROLE tandem_mallory;
CREATE TABLE evil.orders (id integer PRIMARY KEY, a integer);
CREATE TABLE evil.lines (id integer PRIMARY KEY, a integer);
-- what a literal of a column's expression runs when it is read
CREATE TABLE evil.log (who name, what text);
GRANT INSERT ON evil.log TO PUBLIC;
CREATE FUNCTION evil.spy(integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	command text := current_setting('tandem_test.command', true);
BEGIN
	INSERT INTO evil.log VALUES (current_user, current_setting('role'));
	IF command <> '' THEN
		BEGIN
			EXECUTE command;
		EXCEPTION WHEN insufficient_privilege OR undefined_object OR duplicate_function OR duplicate_table THEN
			NULL;
		END;
	END IF;
	RETURN true;
END $$;
CREATE DOMAIN evil.spied AS integer CHECK (evil.spy(VALUE));
CREATE FUNCTION evil.pass(evil.spied[], integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $2';
RESET ROLE;
GRANT USAGE ON SCHEMA evil TO PUBLIC;

-- A superuser's call takes the tables of his own migrations, not of everybody's.
CALL expand('of mallory', 'evil.lines', 42);
SELECT tandem.create_views(42, schemas => '{evil}');
SELECT * FROM shape;
CALL tandem.abort('of mallory');
DROP SCHEMA release_42 CASCADE;
SET ROLE tandem_mallory;
CALL expand('of mallory', 'evil.lines', 42);
RESET ROLE;
SELECT tandem.create_views(42);
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.create_views(42, schemas => '{evil}');
\echo :LAST_ERROR_SQLSTATE
CALL expand('of the superuser', 'app.orders', 42);
SELECT tandem.create_views(42);
SELECT * FROM shape;
DROP SCHEMA release_42 CASCADE;
-- the owner's call takes his own tables, whoever created the migration; so does one that has been granted his role
SET ROLE tandem_app;
SELECT tandem.create_views(42);
SELECT * FROM shape;
DROP SCHEMA release_42 CASCADE;
SET ROLE tandem_deployer;
SELECT tandem.create_views(42);
-- the schema is the caller's, the view the owner's, who cannot create anything else there
SELECT * FROM shape;
SELECT * FROM creators;
DROP SCHEMA release_42 CASCADE;
-- one without any gets nothing
SET ROLE tandem_reader;
SELECT tandem.create_views(42);
SELECT tandem.create_views(42, relations => '{app.orders}');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;

-- A list: exactly these tables, and only tables.
CREATE TABLE app.parts (id integer, a integer) PARTITION BY RANGE (id);
CREATE TABLE app.part1 PARTITION OF app.parts FOR VALUES FROM (0) TO (10);
CREATE TABLE app."Odd ""t" (id integer);
CREATE TEMPORARY TABLE gone (id integer);
ALTER TABLE app.parts OWNER TO tandem_app;
SELECT tandem.create_views(42, relations => '{}');
SELECT tandem.create_views(42, schemas => '{}');
SELECT tandem.create_views(42, relations => '{app.orders,NULL}');
SELECT tandem.create_views(42, relations => '{app.nothing}');
SELECT tandem.create_views(42, schemas => '{nothing}');
SELECT tandem.create_views(42, relations => '{app.orders,shape}');
SELECT tandem.create_views(42, relations => '{app.part1}');
SELECT tandem.create_views(42, relations => '{gone}');
SELECT tandem.create_views(42, relations => '{pg_catalog.pg_class}');
SELECT tandem.create_views(42, relations => '{tandem.sync}');
SELECT count(*) FROM shape;
SELECT tandem.create_views(42, relations => ARRAY['app.orders', 'app.parts', 'app."Odd ""t"', 'app.orders']);
SELECT * FROM shape;
-- again without a list: what has a view is brought up to date
ALTER TABLE app.parts ADD COLUMN c integer;
SELECT tandem.create_views(42);
SELECT * FROM shape;
DROP SCHEMA release_42 CASCADE;
DROP TABLE app.parts, app."Odd ""t";
CALL tandem.abort('of the superuser');
CALL tandem.abort('of mallory');

-- Stored text is read as the owner of the table, whoever makes the view, and whenever it is made anew.
SET ROLE tandem_mallory;
SELECT tandem.create_migration('spy', release => 42);
SELECT tandem.add_column('spy', 'evil.orders', 'b', 'integer');
SELECT tandem.sync_column('spy', 'evil.orders', 'a', 'b', $$evil.pass('{1}'::evil.spied[], a)$$, 'b');
SELECT tandem.create_migration('later', release => 43);
SELECT tandem.add_column('later', 'evil.orders', 'c', 'integer');
SELECT tandem.sync_column('later', 'evil.orders', 'b', 'c', $$evil.pass('{2}'::evil.spied[], b)$$, 'c');
RESET ROLE;
CREATE FUNCTION spied() RETURNS TABLE (who name) BEGIN ATOMIC SELECT DISTINCT l.who FROM evil.log l ORDER BY 1; END;
TRUNCATE evil.log;
SELECT tandem.create_views(42, relations => '{evil.orders}'), tandem.create_views(43, relations => '{evil.orders}');
SELECT * FROM spied();
SELECT * FROM shape;
SELECT * FROM creators;
TRUNCATE evil.log;
ALTER TABLE evil.orders ADD COLUMN d integer;
SELECT tandem.create_views(42);
SELECT * FROM spied();
TRUNCATE evil.log;
CALL tandem.migrate('spy');
SELECT * FROM spied();
TRUNCATE evil.log;
CALL tandem.abort('later');
SELECT * FROM spied();
TRUNCATE evil.log;
CALL tandem.contract('spy', undeclared => 'ignore');
SELECT * FROM spied();
SELECT * FROM shape;
SELECT * FROM creators;
DROP SCHEMA release_42, release_43 CASCADE;

-- A view that belongs to another role than its table, since that has a new owner: it follows, and is read as the new one.
ALTER TABLE evil.orders DROP COLUMN b;
ALTER TABLE evil.orders ADD COLUMN a integer;
ALTER TABLE evil.orders OWNER TO tandem_app;
GRANT CREATE ON SCHEMA evil TO tandem_app;
SET ROLE tandem_app;
SELECT tandem.create_migration('moves', release => 44);
SELECT tandem.add_column('moves', 'evil.orders', 'b', 'integer');
SELECT tandem.sync_column('moves', 'evil.orders', 'a', 'b', $$evil.pass('{1}'::evil.spied[], a)$$, 'b');
GRANT SELECT ON evil.orders TO tandem_reader;
SELECT tandem.create_views(44);
RESET ROLE;
ALTER TABLE evil.orders OWNER TO tandem_mallory;
SELECT replace(relacl::text, 'Dxtm', 'Dxt') AS relacl FROM pg_class WHERE oid = 'release_44.orders'::regclass;
TRUNCATE evil.log;
SET ROLE tandem_mallory;
CALL tandem.migrate('moves');
RESET ROLE;
SELECT * FROM spied();
SELECT * FROM shape;
SELECT * FROM creators;
SELECT replace(relacl::text, 'Dxtm', 'Dxt') AS relacl FROM pg_class WHERE oid = 'release_44.orders'::regclass;
ALTER VIEW release_44.orders OWNER TO tandem_deployer;
SELECT tandem.create_views(44, relations => '{evil.orders}');
SET ROLE tandem_app;
SELECT tandem.create_views(44, relations => '{evil.orders}');
RESET ROLE;
GRANT tandem_mallory TO tandem_app;
SET ROLE tandem_app;
SELECT tandem.create_views(44, relations => '{evil.orders}');
SELECT * FROM shape;
RESET ROLE;
REVOKE tandem_mallory FROM tandem_app;
CALL tandem.abort('moves');
DROP SCHEMA release_44 CASCADE;

-- While her view is made the owner of a table may create objects in the schema: nothing else stays there.
SET ROLE tandem_mallory;
SELECT tandem.create_migration('abuse', release => 46);
SELECT tandem.add_column('abuse', 'evil.orders', 'b', 'integer');
SELECT tandem.sync_column('abuse', 'evil.orders', 'a', 'b', $$evil.pass('{1}'::evil.spied[], a)$$, 'b');
RESET ROLE;
SET tandem_test.command = 'CREATE FUNCTION release_46.lower(text) RETURNS text LANGUAGE sql AS $$SELECT $1$$';
SELECT tandem.create_views(46, relations => '{evil.orders}');
\echo :LAST_ERROR_SQLSTATE
SET tandem_test.command = 'ALTER TABLE evil.lines SET SCHEMA release_46';
SELECT tandem.create_views(46, relations => '{evil.orders}');
SET tandem_test.command = 'CREATE VIEW release_46.orders AS SELECT 1';
SELECT tandem.create_views(46, relations => '{evil.orders}');
SET tandem_test.command = 'CREATE VIEW release_46.others AS SELECT 1; DROP VIEW release_46.others';
SELECT tandem.create_views(46, relations => '{evil.orders}');
RESET tandem_test.command;
SELECT * FROM shape;
SELECT * FROM creators;
-- nor when it is made again
ALTER TABLE evil.orders ADD COLUMN more integer;
SET tandem_test.command = 'CREATE FUNCTION release_46.lower(text) RETURNS text LANGUAGE sql AS $$SELECT $1$$';
SELECT tandem.create_views(46, relations => '{evil.orders}');
RESET tandem_test.command;
SET ROLE tandem_mallory;
CALL tandem.abort('abuse');
RESET ROLE;
SELECT * FROM shape;
SELECT * FROM creators;
DROP SCHEMA release_46 CASCADE;

-- A schema that a stranger made first, by hand or by create_views, is refused: a superuser's call too.
CALL expand('m', 'app.orders', 45);
SET ROLE tandem_mallory;
CREATE SCHEMA release_45;
RESET ROLE;
SELECT tandem.create_views(45);
\echo :LAST_ERROR_SQLSTATE
SET ROLE tandem_app;
SELECT tandem.create_views(45);
\echo :LAST_ERROR_SQLSTATE
SET ROLE tandem_mallory;
DROP SCHEMA release_45;
CALL expand('n', 'evil.lines', 46);
SELECT tandem.create_views(45);
SELECT * FROM shape;
SET ROLE tandem_app;
SELECT tandem.create_views(45);
RESET ROLE;
SELECT tandem.create_views(45);
-- as the hint says
ALTER SCHEMA release_45 RENAME TO taken;
SET ROLE tandem_app;
SELECT tandem.create_views(45);
SELECT * FROM shape;
-- another schema of tables, too
RESET ROLE;
DROP SCHEMA taken CASCADE;
SET ROLE tandem_mallory;
CREATE SCHEMA other__release_45;
RESET ROLE;
CREATE SCHEMA other AUTHORIZATION tandem_app;
CREATE TABLE other.orders (id integer PRIMARY KEY, a integer);
ALTER TABLE other.orders OWNER TO tandem_app;
SET ROLE tandem_app;
SELECT tandem.create_views(45, relations => '{other.orders}');
RESET ROLE;
DROP SCHEMA other__release_45;
SET ROLE tandem_app;
SELECT tandem.create_views(45, relations => '{other.orders}');
SELECT * FROM shape;
DROP SCHEMA other__release_45 CASCADE;

-- Others may put something into it, or have.
GRANT CREATE ON SCHEMA release_45 TO PUBLIC;
GRANT CREATE ON SCHEMA release_45 TO tandem_mallory;
SELECT tandem.create_views(45);
\echo :LAST_ERROR_SQLSTATE
SET ROLE tandem_mallory;
CREATE FUNCTION release_45.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
SET ROLE tandem_app;
REVOKE CREATE ON SCHEMA release_45 FROM PUBLIC, tandem_mallory;
SELECT tandem.create_views(45);
DROP FUNCTION release_45.lower(text);
SELECT tandem.create_views(45);
-- who has the rights of the owner may in any case
GRANT CREATE ON SCHEMA release_45 TO tandem_deployer;
SELECT tandem.create_views(45);
DROP SCHEMA release_45 CASCADE;
ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO tandem_mallory;
SELECT tandem.create_views(45);
ALTER DEFAULT PRIVILEGES REVOKE CREATE ON SCHEMAS FROM tandem_mallory;
-- a schema of one's own that was there is as good
CREATE SCHEMA release_45;
SELECT tandem.create_views(45);
SELECT * FROM shape;
RESET ROLE;
-- it is the deployer's now: who owns the table may not put views into it
ALTER SCHEMA release_45 OWNER TO tandem_deployer;
SET ROLE tandem_app;
SELECT tandem.create_views(45);
SET ROLE tandem_deployer;
SELECT tandem.create_views(45);
-- but goes on with the migration, which makes the view plain
SET ROLE tandem_app;
CALL tandem.migrate('m');
RESET ROLE;
CALL tandem.migrate('m');
SELECT * FROM creators;
SET ROLE tandem_deployer;
INSERT INTO release_45.orders (id, b) VALUES (2, 20);
SELECT * FROM app.orders;
-- and with its end, which takes the schema along
SET ROLE tandem_app;
CALL tandem.abort('m');
SELECT * FROM shape;
SELECT tandem.create_migration('m', release => 46);
SELECT tandem.add_column('m', 'app.orders', 'b', 'integer');
SELECT tandem.sync_column('m', 'app.orders', 'a', 'b', 'a', 'b');
CALL tandem.migrate('m');
-- a stranger's of the same release is not filled: contract would leave no release that may write
CALL tandem.contract('m', undeclared => 'ignore');
RESET ROLE;
CALL tandem.abort('n');
SET ROLE tandem_app;
CALL tandem.contract('m', undeclared => 'ignore');
SELECT * FROM shape;
RESET ROLE;
DROP TABLE app.orders, other.orders;

-- Tables of a second schema have their views in a schema of their own.
CREATE SCHEMA "a very long name of a schema whose first bytes are another's one";
CREATE SCHEMA "a very long name of a schema whose first bytes are another's two";
CREATE PROCEDURE tenants(names name[]) LANGUAGE plpgsql AS $$
DECLARE
	tenant name;
BEGIN
	FOREACH tenant IN ARRAY names LOOP
		EXECUTE format('CREATE TABLE %I.orders (id integer PRIMARY KEY, a integer)', tenant);
		CALL expand(tenant, format('%I.orders', tenant), 50);
	END LOOP;
END $$;
CALL tenants(ARRAY['other', 'app', 'a very long name of a schema whose first bytes are another''s one',
	'a very long name of a schema whose first bytes are another''s two']);
BEGIN;
-- without public: that of the first table
SELECT tandem.create_views(50);
SELECT view, relation FROM shape;
ROLLBACK;
SELECT tandem.create_views(50, relations => '{app.orders,other.orders}');
SELECT view, relation FROM shape;
-- it stays with it, whatever comes later, and in the next release
CALL tenants('{public}');
SELECT tandem.create_views(50);
SELECT view, relation FROM shape;
CREATE TABLE other.lines (id integer);
SELECT tandem.create_views(51, relations => '{other.lines}');
SELECT tandem.create_views(50, relations => '{other.lines}');
SELECT tandem.create_views(51, relations => '{app.orders}');
SELECT view, relation FROM shape WHERE relation::text ~ 'lines|app';
INSERT INTO app.orders VALUES (1, 1);
INSERT INTO other.orders VALUES (2, 2);
SET search_path = release_50;
SELECT * FROM orders;
SET search_path = other__release_50;
SELECT * FROM orders;
RESET search_path;
-- none is left: public has it
DROP SCHEMA release_50, release_51, other__release_50, other__release_51, public__release_50 CASCADE;
SELECT tandem.create_views(50, relations => '{app.orders,public.orders}');
SELECT view, relation FROM shape;
-- a table that moves to another schema leaves its view where it is, and those that come after it are not led there
SELECT tandem.create_views(50, relations => '{other.orders,other.lines}');
ALTER TABLE other.lines SET SCHEMA public;
CREATE TABLE public.more (id integer);
CREATE TABLE other.more (id integer);
SELECT tandem.create_views(50, relations => '{lines,more,other.more}');
SELECT view, relation FROM shape WHERE relation::text ~ 'more|lines';
-- each end drops what it retires, and the schema with the last
SELECT tandem.create_views(49);
SELECT DISTINCT substring(view FROM '^.*release_[0-9]+') FROM shape ORDER BY 1;
SELECT format('CALL tandem.migrate(%L)', name) FROM tandem.migrations WHERE release = 50 AND phase = 'expand' ORDER BY name \gexec
CALL tandem.contract('app', undeclared => 'ignore');
SELECT view, relation FROM shape WHERE relation::text LIKE 'app%';
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'app__release%';

-- What the owner, and others with the right to, have granted on the table is granted on the view by its owner.
GRANT CREATE ON SCHEMA other TO tandem_app;
ALTER TABLE other.orders OWNER TO tandem_app;
SET ROLE tandem_app;
GRANT SELECT ON other.orders TO tandem_deployer WITH GRANT OPTION;
SET ROLE tandem_deployer;
GRANT SELECT (id) ON other.orders TO tandem_reader;
RESET ROLE;
SELECT tandem.create_views(52, relations => '{other.orders}');
SELECT replace(c.relacl::text, 'Dxtm', 'Dxt') AS relacl, a.attname, a.attacl, n.nspacl FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
	JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'other__release_52' AND c.relkind = 'v' ORDER BY a.attnum;
SET ROLE tandem_reader;
SELECT id FROM other__release_52.orders;
SELECT * FROM other__release_52.orders;
RESET ROLE;
\c postgres
DROP DATABASE view_rights;
DROP ROLE tandem_app, tandem_deployer, tandem_reader, tandem_mallory;
