-- What the rules of a table use: a command that takes a name, a right or a shape which they rely on is refused, and
-- after any other one the table is written as before.
CREATE DATABASE guard_uses;
\c guard_uses
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION pg_tandem;
GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO PUBLIC;
\pset null '-'
\pset format unaligned
\pset tuples_only

CREATE ROLE regress_app;
CREATE ROLE regress_group;
CREATE ROLE regress_util;
CREATE ROLE regress_mallory;
GRANT CREATE ON DATABASE guard_uses TO regress_app, regress_mallory;
GRANT regress_group TO regress_app;
CREATE SCHEMA app AUTHORIZATION regress_app;
CREATE SCHEMA mallory AUTHORIZATION regress_mallory;
CREATE SCHEMA util AUTHORIZATION regress_util;
CREATE SCHEMA "Odd";
CREATE SCHEMA seqs;
CREATE SCHEMA other;
GRANT USAGE ON SCHEMA util TO regress_app;
GRANT USAGE ON SCHEMA "Odd", seqs, other TO regress_group;
SET ROLE regress_util;
CREATE FUNCTION util.f(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
CREATE FUNCTION util.back(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 2';
CREATE FUNCTION util.unused(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION util.plus(integer, integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1 + $2';
CREATE OPERATOR util.+#+ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = util.plus);
CREATE TYPE util.addr AS (street text, number integer);
CREATE TYPE util.mood AS ENUM ('sad', 'happy', 'not used');
CREATE DOMAIN util.level AS integer CHECK (VALUE >= 0);
CREATE DOMAIN util.plain AS integer CHECK (VALUE >= 0);
CREATE FUNCTION util.make(text) RETURNS util.addr IMMUTABLE LANGUAGE sql AS $$ SELECT ROW($1, 7)::util.addr $$;
CREATE FUNCTION util.size(util.level[], integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $2 + 1';
RESET ROLE;
CREATE COLLATION "Odd"."Col" (provider = libc, locale = 'C');
CREATE TEXT SEARCH CONFIGURATION "Odd".conf (COPY = simple);
CREATE TEXT SEARCH DICTIONARY "Odd".dict (TEMPLATE = simple);
CREATE SEQUENCE seqs.counter;
GRANT USAGE ON SEQUENCE seqs.counter TO regress_app;
CREATE TABLE other.lookup (id serial PRIMARY KEY, a text);
GRANT SELECT ON other.lookup TO regress_app;
GRANT USAGE ON SEQUENCE other.lookup_id_seq TO regress_app;
CREATE VIEW other.seen AS SELECT a FROM other.lookup;
CREATE FUNCTION other.to_point(integer) RETURNS point IMMUTABLE LANGUAGE sql AS 'SELECT point($1, $1)';
CREATE CAST (integer AS point) WITH FUNCTION other.to_point(integer);

SET ROLE regress_app;
CREATE TABLE app.t (id serial, a integer, s text,
	n1 integer, n2 integer, n3 integer, n4 text, n5 text, n6 integer, n7 bigint, n8 bigint,
	n9 text, n10 boolean, n11 tsvector, n12 text, n13 integer, n14 text, n15 text, n16 text, n17 text, n18 text);
BEGIN;
SELECT tandem.create_migration('m');
SELECT tandem.sync_column('m', 'app.t', 'a', 'n1', 'util.f(a)', 'util.back(n1)');
SELECT tandem.sync_column('m', 'app.t', 'a', 'n2', 'a OPERATOR(util.+#+) 1');
SELECT tandem.sync_column('m', 'app.t', 'a', 'n3', 'a::util.plain');
SELECT tandem.sync_column('m', 'app.t', 's', 'n4', '(util.make(s)).street');
SELECT tandem.sync_column('m', 'app.t', 's', 'n5', 'ROW(s, 1)::util.addr::text');
SELECT tandem.sync_column('m', 'app.t', 'a', 'n6', $$util.size('{1,2}', a)$$);
SELECT tandem.sync_column('m', 'app.t', 'a', 'n7', $$nextval('seqs.counter')$$);
SELECT tandem.sync_column('m', 'app.t', 'a', 'n8', $$nextval('other.lookup_id_seq')$$);
SELECT tandem.sync_column('m', 'app.t', 's', 'n9', $$'other.seen'::regclass::text || s$$);
SELECT tandem.sync_column('m', 'app.t', 's', 'n10', 's < ''x'' COLLATE "Odd"."Col"');
SELECT tandem.sync_column('m', 'app.t', 's', 'n11', $$to_tsvector('"Odd".conf', s)$$);
SELECT tandem.sync_column('m', 'app.t', 's', 'n12', $$ts_lexize('"Odd".dict', s)::text$$);
SELECT tandem.sync_column('m', 'app.t', 's', 'n13', $$CASE WHEN s::util.mood = 'sad' THEN 1 ELSE 2 END$$);
SELECT tandem.sync_column('m', 'app.t', 's', 'n14', $$ROW(1, s)::other.lookup::text$$);
SELECT tandem.sync_column('m', 'app.t', 'a', 'n15', 'a::point::text');
SELECT tandem.sync_column('m', 'app.t', 's', 'n16', $$('{happy}'::util.mood[])[1]::text || s$$);
SELECT tandem.sync_column('m', 'app.t', 's', 'n17', $$'util.f(integer)'::regprocedure::text || s$$);
SELECT tandem.sync_column('m', 'app.t', 's', 'n18', $$'seqs'::regnamespace::text || s$$);
COMMIT;
RESET ROLE;
SELECT DISTINCT health FROM tandem.syncs;

-- Tries a command and takes it back; what it has let through must be written.
CREATE FUNCTION attempt(command text, author text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	why text;
BEGIN
	IF author IS NOT NULL THEN
		EXECUTE format('SET ROLE %I', author);
	END IF;
	EXECUTE command;
	RESET ROLE;
	SET LOCAL ROLE regress_app;
	INSERT INTO app.t (a, s) VALUES (1, 'sad');
	RESET ROLE;
	RAISE no_data_found;
EXCEPTION
	WHEN no_data_found THEN
		RETURN format('passed: %s', command);
	WHEN dependent_objects_still_exist THEN
		GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
		RETURN format(E'%s\n  %s\n  %s', command, SQLERRM, why);
	WHEN OTHERS THEN
		RETURN format(E'cannot be written after: %s\n  %s', command, SQLERRM);
END $$;

-- names
SELECT attempt(c) FROM unnest(ARRAY[
	'ALTER FUNCTION util.f(integer) RENAME TO g',
	'ALTER ROUTINE util.back(integer) SET SCHEMA app',
	'ALTER OPERATOR util.+#+ (integer, integer) SET SCHEMA app',
	'ALTER DOMAIN util.plain RENAME TO p',
	'ALTER DOMAIN util.level RENAME TO l',
	'ALTER TYPE util.level SET SCHEMA app',
	'ALTER TYPE util.addr RENAME TO address',
	'ALTER TYPE util.addr SET SCHEMA app',
	'ALTER TYPE util.mood RENAME TO feeling',
	'ALTER SEQUENCE seqs.counter RENAME TO c',
	'ALTER TABLE seqs.counter RENAME TO c',
	'ALTER SEQUENCE seqs.counter SET SCHEMA app',
	'ALTER SEQUENCE other.lookup_id_seq RENAME TO c',
	'ALTER TABLE other.lookup SET SCHEMA app',
	'ALTER TABLE other.lookup RENAME TO looked_up',
	'ALTER VIEW other.seen RENAME TO saw',
	'ALTER VIEW other.seen SET SCHEMA app',
	'ALTER COLLATION "Odd"."Col" RENAME TO col',
	'ALTER COLLATION "Odd"."Col" SET SCHEMA app',
	'ALTER TEXT SEARCH CONFIGURATION "Odd".conf RENAME TO c',
	'ALTER TEXT SEARCH CONFIGURATION "Odd".conf SET SCHEMA app',
	'ALTER TEXT SEARCH DICTIONARY "Odd".dict RENAME TO d',
	'ALTER SCHEMA util RENAME TO utility',
	'ALTER SCHEMA seqs RENAME TO s',
	'ALTER SCHEMA "Odd" RENAME TO odd',
	'ALTER TABLE app.t RENAME a TO b',
	'ALTER TABLE app.t RENAME n11 TO b']) c;
-- shapes
SELECT attempt(c) FROM unnest(ARRAY[
	'ALTER TYPE util.addr ADD ATTRIBUTE town text',
	'ALTER TYPE util.addr RENAME ATTRIBUTE street TO road',
	'ALTER TYPE util.addr RENAME ATTRIBUTE number TO no',
	'ALTER TYPE util.addr DROP ATTRIBUTE number',
	'ALTER TABLE other.lookup ADD b integer',
	'ALTER TABLE other.lookup RENAME a TO b',
	$$ALTER TYPE util.mood RENAME VALUE 'sad' TO 'unhappy'$$,
	$$ALTER TYPE util.mood RENAME VALUE 'happy' TO 'glad'$$,
	$$ALTER TYPE util.mood RENAME VALUE 'not used' TO 'used'$$,
	$$ALTER TYPE util.mood ADD VALUE 'angry' BEFORE 'happy'$$]) c;
-- rights
SELECT attempt(c) FROM unnest(ARRAY[
	'REVOKE USAGE ON SCHEMA util FROM regress_app',
	'REVOKE ALL ON SCHEMA "Odd" FROM regress_group CASCADE',
	'REVOKE EXECUTE ON FUNCTION util.f(integer) FROM PUBLIC',
	'REVOKE EXECUTE ON FUNCTION util.plus(integer, integer) FROM PUBLIC',
	'REVOKE EXECUTE ON FUNCTION other.to_point(integer) FROM PUBLIC',
	'REVOKE USAGE ON SEQUENCE seqs.counter FROM regress_app',
	'REVOKE USAGE ON TYPE util.addr FROM PUBLIC',
	'REVOKE USAGE ON LANGUAGE sql FROM PUBLIC',
	'REVOKE EXECUTE ON FUNCTION util.f(integer) FROM regress_app',
	'REVOKE GRANT OPTION FOR USAGE ON SCHEMA util FROM regress_app',
	'REVOKE USAGE ON SCHEMA util FROM regress_mallory',
	'GRANT ALL ON SCHEMA util TO regress_app',
	'ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC',
	'ALTER SCHEMA util OWNER TO regress_mallory',
	'ALTER FUNCTION util.f(integer) OWNER TO regress_mallory']) c;
SELECT replace(split_part(attempt(c), '  After', 1), E'\n', '') FROM unnest(ARRAY[
	'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA util FROM PUBLIC',
	'REVOKE ALL ON ALL SEQUENCES IN SCHEMA other FROM regress_app',
	'DROP OWNED BY regress_group',
	'DROP OWNED BY regress_mallory',
	'ALTER TABLE app.t OWNER TO regress_mallory',
	'ALTER TABLE app.t OWNER TO regress_util']) c;
-- what the server refuses, the cast that the text writes among it; and with CASCADE the guard
SELECT attempt(c) FROM unnest(ARRAY[
	'DROP CAST (integer AS point)',
	'DROP CAST (integer AS point) CASCADE',
	'DROP SEQUENCE seqs.counter',
	'DROP VIEW other.seen CASCADE',
	'DROP COLLATION "Odd"."Col" CASCADE',
	'DROP TEXT SEARCH CONFIGURATION "Odd".conf CASCADE',
	'DROP OPERATOR util.+#+ (integer, integer) CASCADE',
	'DROP SCHEMA seqs CASCADE']) c;
-- all else passes
SELECT attempt(c) FROM unnest(ARRAY[
	'ALTER FUNCTION util.f(integer) COST 5 STABLE',
	'CREATE OR REPLACE FUNCTION util.f(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS ''SELECT $1 * 3''',
	'ALTER FUNCTION util.f(integer) OWNER TO regress_app',
	'ALTER FUNCTION util.unused(integer) RENAME TO g',
	'ALTER FUNCTION util.unused(integer) SET SCHEMA app',
	'REVOKE EXECUTE ON FUNCTION util.unused(integer) FROM PUBLIC',
	'ALTER SEQUENCE seqs.counter RESTART 5 INCREMENT 2',
	'ALTER VIEW other.seen ALTER a SET DEFAULT 1',
	'ALTER DOMAIN util.plain ADD CHECK (VALUE < 100)',
	'ALTER TABLE app.t RENAME TO u; ALTER TABLE app.u RENAME TO t',
	'ALTER TABLE app.t ADD another integer',
	'ALTER SCHEMA seqs OWNER TO regress_util',
	'ALTER TABLE app.t SET (fillfactor = 80)']) c;

-- An extension that moves takes along what rules use.
CREATE SCHEMA ext;
GRANT USAGE ON SCHEMA ext TO regress_app;
CREATE EXTENSION citext SCHEMA ext;
CREATE SCHEMA elsewhere;
SET ROLE regress_app;
CREATE TABLE app.moved (a text, b text);
SELECT tandem.sync_column('m', 'app.moved', 'a', 'b', 'upper(a::ext.citext)::text');
RESET ROLE;
SELECT attempt(c) FROM unnest(ARRAY[
	'ALTER EXTENSION citext SET SCHEMA elsewhere',
	'ALTER EXTENSION citext UPDATE',
	'ALTER EXTENSION citext DROP TYPE ext.citext']) c;

-- In one transaction with expand: new objects are guarded at once.
BEGIN;
CREATE SCHEMA fresh;
CREATE FUNCTION fresh.f(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE TABLE fresh.t (a integer, b integer);
SELECT tandem.create_migration('fresh');
SELECT tandem.sync_column('fresh', 'fresh.t', 'a', 'b', 'fresh.f(a)');
SAVEPOINT s;
ALTER FUNCTION fresh.f(integer) RENAME TO g;
ROLLBACK TO s;
ALTER TABLE fresh.t RENAME b TO c;
ROLLBACK TO s;
ALTER FUNCTION fresh.f(integer) COST 5;
ALTER SCHEMA fresh RENAME TO old;
ROLLBACK;

-- Broken before: nobody is stopped, neither from other commands nor from putting it right.
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
ALTER FUNCTION util.f(integer) RENAME TO g;
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
SELECT count(*), min(problem) FROM tandem.syncs WHERE health = 'broken';
SELECT attempt(c) FROM unnest(ARRAY[
	'ALTER FUNCTION util.g(integer) COST 5',
	'ALTER FUNCTION util.g(integer) RENAME TO h',
	'ALTER TABLE app.t ADD another integer',
	'ALTER FUNCTION util.g(integer) RENAME TO f',
	'ALTER FUNCTION util.back(integer) RENAME TO f2',
	'ALTER SEQUENCE seqs.counter RENAME TO c']) c;
ALTER FUNCTION util.g(integer) RENAME TO f;
SELECT DISTINCT health FROM tandem.syncs;
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
REVOKE USAGE ON SCHEMA util FROM regress_app;
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
SELECT min(problem) FROM tandem.syncs WHERE health = 'broken';
SELECT replace(split_part(attempt(c), '  After', 1), E'\n', '') FROM unnest(ARRAY[
	'CREATE SCHEMA one; ALTER SCHEMA one RENAME TO many',
	'ALTER FUNCTION util.back(integer) RENAME TO b',
	'GRANT USAGE ON SCHEMA util TO regress_app']) c;
GRANT USAGE ON SCHEMA util TO regress_app;
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
REVOKE EXECUTE ON FUNCTION util.plus(integer, integer) FROM PUBLIC;
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
SELECT DISTINCT problem FROM tandem.syncs WHERE health = 'broken';
GRANT EXECUTE ON FUNCTION util.plus(integer, integer) TO PUBLIC;

-- a write says what is missing, and who can help
REVOKE regress_group FROM regress_app;
SET ROLE regress_app;
\set VERBOSITY default
INSERT INTO app.t (a) VALUES (1);
RESET ROLE;
GRANT regress_group TO regress_app;

-- Steps that are still to be built, and what only views show.
SET ROLE regress_app;
CREATE TABLE app.steps (id integer PRIMARY KEY, a integer, b integer, c text);
BEGIN;
SELECT tandem.create_migration('steps', release => 5);
SELECT tandem.add_index('steps', 'CREATE INDEX steps_f ON app.steps (util.unused(a)) WHERE util.unused(b) > 1');
SELECT tandem.add_constraint('steps', 'app.steps', 'positive', 'CHECK (util.unused(b) > 0)');
SELECT tandem.add_constraint('steps', 'app.steps', 'refers', 'FOREIGN KEY (b) REFERENCES app.steps (id)');
SELECT tandem.add_not_null('steps', 'app.steps', 'c');
COMMIT;
RESET ROLE;
SELECT attempt(c) FROM unnest(ARRAY[
	'ALTER FUNCTION util.unused(integer) RENAME TO g',
	'REVOKE EXECUTE ON FUNCTION util.unused(integer) FROM PUBLIC',
	'ALTER TABLE app.steps RENAME b TO d',
	'ALTER TABLE app.steps RENAME c TO d',
	'ALTER TABLE app.steps RENAME TO stairs',
	'ALTER TABLE app.steps ADD d integer']) c;
CALL tandem.abort('steps');
SELECT attempt('ALTER FUNCTION util.unused(integer) RENAME TO g');

-- The tree.
SET ROLE regress_app;
CREATE TABLE app.parent (LIKE app.t);
CREATE TABLE app.tree (LIKE app.t) PARTITION BY LIST (a);
CREATE TYPE app.row AS (a integer, b integer);
CREATE TABLE app.two (a integer, b integer);
CREATE TABLE app.p (a integer, b integer) PARTITION BY LIST (a);
CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES IN (1);
SELECT tandem.sync_column('m', 'app.two', 'a', 'b', 'a');
SELECT tandem.sync_column('m', 'app.p', 'a', 'b', 'a', keep_old => true);
SELECT attempt(c) FROM unnest(ARRAY[
	'CREATE TABLE app.kid () INHERITS (app.t)',
	'ALTER TABLE app.t INHERIT app.parent',
	'ALTER TABLE app.parent INHERIT app.t',
	'ALTER TABLE app.tree ATTACH PARTITION app.t FOR VALUES IN (1)',
	'ALTER TABLE app.two OF app.row',
	'CREATE TABLE app.p2 PARTITION OF app.p FOR VALUES IN (2)',
	'ALTER TABLE app.p DETACH PARTITION app.p1',
	'CREATE TABLE app.alike (LIKE app.t INCLUDING ALL)',
	'CREATE TABLE app.tree_1 PARTITION OF app.tree FOR VALUES IN (1)',
	'ALTER TABLE app.two SET UNLOGGED',
	'CREATE TABLE app.kid () INHERITS (app.parent)']) c;
RESET ROLE;
CREATE TABLE typed OF app.row;
SELECT tandem.create_migration('typed');
SELECT tandem.sync_column('typed', 'typed', 'a', 'b', 'a');
CALL tandem.abort('typed');

-- A stranger's rule stops nobody: not by a literal that raises, nor by naming what is not hers.
CREATE FUNCTION public.shared(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1';
ALTER FUNCTION public.shared(integer) OWNER TO regress_util;
GRANT CREATE ON SCHEMA public TO regress_util;
SET ROLE regress_mallory;
CREATE FUNCTION mallory.never(integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('mallory.raises', true) = 'yes' THEN
		RAISE 'mallory was here, as %', current_user;
	END IF;
	RETURN true;
END $$;
CREATE DOMAIN mallory.d AS integer CHECK (mallory.never(VALUE));
CREATE FUNCTION mallory.pass(mallory.d[], integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $2';
CREATE TABLE mallory.t (a integer, b integer, c integer);
SELECT tandem.create_migration('mallory');
SELECT tandem.sync_column('mallory', 'mallory.t', 'a', 'b', $$mallory.pass('{1}', public.shared(a))$$);
RESET ROLE;
ALTER DATABASE guard_uses SET mallory.raises = 'yes';
SET mallory.raises = 'yes';
SELECT health FROM tandem.syncs WHERE migration = 'mallory';
SELECT name, problem FROM tandem.migrations WHERE name = 'mallory';
-- it does raise where it is parsed
INSERT INTO mallory.t VALUES (1);
SELECT attempt(c) FROM unnest(ARRAY[
	'ALTER FUNCTION util.unused(integer) RENAME TO g',
	'CREATE DOMAIN app.d AS integer; ALTER DOMAIN app.d RENAME TO e',
	'CREATE SCHEMA one; ALTER SCHEMA one RENAME TO many',
	'ALTER TABLE app.parent RENAME TO granny',
	'ALTER FUNCTION public.shared(integer) COST 7',
	'ALTER DOMAIN mallory.d RENAME TO e']) c;
SET client_min_messages = notice;
SELECT attempt('ALTER FUNCTION public.shared(integer) RENAME TO mine', 'regress_util');
SELECT attempt('REVOKE ALL ON FUNCTION public.shared(integer) FROM PUBLIC', 'regress_util');
SELECT attempt('DROP FUNCTION public.shared(integer) CASCADE', 'regress_util');
SET client_min_messages = warning;
-- whom its owner has let in by name is protected, and who can end her migration is told
SELECT attempt('ALTER FUNCTION public.shared(integer) RENAME TO mine');
GRANT EXECUTE ON FUNCTION public.shared(integer) TO regress_mallory;
SELECT attempt('ALTER FUNCTION public.shared(integer) RENAME TO mine', 'regress_util');
SELECT attempt('DROP FUNCTION public.shared(integer) CASCADE', 'regress_util');
\c guard_uses
SET client_min_messages = warning;
SET SESSION AUTHORIZATION regress_util;
\set ON_ERROR_STOP off
ALTER FUNCTION public.shared(integer) RENAME TO mine;
RESET SESSION AUTHORIZATION;
CALL tandem.abort('mallory', force => true);
ALTER FUNCTION public.shared(integer) RENAME TO mine;

\c postgres
DROP DATABASE guard_uses;
DROP ROLE regress_app, regress_group, regress_util, regress_mallory;
