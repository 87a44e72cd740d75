-- An expression means to every session what it means to the one that expands, or
-- it is refused there, with the form that works.  See also test/t/expressions.pl.
CREATE DATABASE meaning;
\c meaning
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION pg_tandem;
CREATE EXTENSION citext;
CREATE SCHEMA lib;
CREATE EXTENSION hstore SCHEMA lib;
\pset format unaligned
\pset tuples_only
\pset null '-'

-- CASE x WHEN, NULLIF, IS DISTINCT FROM, rows: with the operator of citext here, with
-- that of text for whoever does not have it in the search_path.
CREATE TABLE t (id integer PRIMARY KEY, a citext, b text, h lib.hstore);
INSERT INTO t VALUES (1, 'ADMIN'), (2, 'guest'), (3, NULL);
SELECT tandem.create_migration('m', 1);
SELECT tandem.sync_column('m', 't', 'a', 'b', $$CASE a WHEN 'admin' THEN 'yes' ELSE 'no' END$$);
SELECT tandem.sync_column('m', 't', 'a', 'b', $$coalesce(NULLIF(a, 'admin'), 'no')$$);
SELECT tandem.sync_column('m', 't', 'a', 'b', $$(a IS DISTINCT FROM 'admin')::text$$);
SELECT tandem.sync_column('m', 't', 'a', 'b', $$((id, a) < (1, 'B'))::text$$);
SELECT tandem.sync_column('m', 't', 'a', 'b', 'a', $$NULLIF(b::citext, '')$$);
SET search_path = public, lib;
SELECT tandem.sync_column('m', 't', 'a', 'b', $$NULLIF(h, 'a=>1')::text$$);
-- what is volatile cannot be written twice
SELECT tandem.sync_column('m', 't', 'a', 'b', $$NULLIF((random() + 1)::text::citext, 'a')$$);
SELECT tandem.add_constraint('m', 't', 'c', $$CHECK (CASE b::citext WHEN 'YES' THEN true ELSE b = 'no' END)$$);
SELECT tandem.add_index('m', $$CREATE INDEX i ON t (id, (NULLIF(b::citext, 'NO')))$$);
SELECT tandem.add_index('m', $$CREATE INDEX i ON t (id) WHERE b::citext IS DISTINCT FROM 'NO'$$);
-- the form that works
SELECT tandem.sync_column('m', 't', 'a', 'b', $$CASE WHEN (a OPERATOR(public.=) 'admin'::public.citext) THEN 'yes'::text ELSE 'no'::text END$$);
SELECT tandem.add_constraint('m', 't', 'c', $$CHECK (CASE WHEN b::citext = 'YES' THEN true ELSE b = 'no' END)$$);
SELECT tandem.add_index('m', $$CREATE INDEX i ON t (id) WHERE (CASE WHEN ((b)::public.citext IS NULL) THEN true ELSE (NOT ((b)::public.citext OPERATOR(public.=) 'NO'::public.citext)) END)$$);
SET search_path = pg_catalog;
INSERT INTO public.t VALUES (4, 'Admin') RETURNING b;
SELECT tandem.create_views(1);
SELECT id, b FROM release_1.t ORDER BY id;
CALL tandem.migrate('m');
SELECT id, b FROM release_1.t ORDER BY id;
SELECT pg_get_indexdef('public.i'::regclass), pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'c';
SET search_path = public;
CALL tandem.abort('m');
DROP TABLE t CASCADE;

-- A call that another function would take over as soon as it is there.
CREATE TABLE t (id integer PRIMARY KEY, a integer, b text);
CREATE FUNCTION f(v anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'any' $$;
CREATE FUNCTION g(v integer, w integer DEFAULT 1) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'default' $$;
CREATE FUNCTION same(anyelement, anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'same' $$;
CREATE OPERATOR === (LEFTARG = anyelement, RIGHTARG = anyelement, FUNCTION = same);
SELECT tandem.create_migration('m');
SELECT tandem.sync_column('m', 't', 'a', 'b', 'f(a) || g(a) || (a === 1)');
CREATE FUNCTION f(v integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'integer' $$;
CREATE FUNCTION g(v integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'one' $$;
CREATE FUNCTION other(integer, integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'other' $$;
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = other);
ALTER FUNCTION other(integer, integer) RENAME TO g;
-- these take nothing over
CREATE FUNCTION f(v integer, w integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'two' $$;
CREATE FUNCTION lib.f(v integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'elsewhere' $$;
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = same);
CREATE OR REPLACE FUNCTION f(v anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'any' $$;
INSERT INTO t (id, a) VALUES (1, 1) RETURNING b;
-- who has nothing to do with the table is warned, and the sync is not healthy
CREATE ROLE tandem_stranger;
GRANT CREATE ON SCHEMA public TO tandem_stranger;
SET ROLE tandem_stranger;
CREATE FUNCTION f(v integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'integer' $$;
RESET ROLE;
SELECT health FROM tandem.syncs;
-- the function of the stranger is not called
INSERT INTO t (id, a) VALUES (2, 2) RETURNING b;
DROP FUNCTION f(integer);
SELECT health FROM tandem.syncs;
CALL tandem.abort('m');

-- Nor is it called by what is still to be built, where it is noticed before the build.
CREATE TABLE parts (id integer NOT NULL, a integer) PARTITION BY LIST (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
SELECT tandem.create_migration('checks');
SELECT tandem.add_constraint('checks', 't', 'checked', $$CHECK (f(a) = 'any')$$);
SELECT tandem.create_migration('m');
SELECT tandem.add_index('m', 'CREATE INDEX plain ON t (f(a))');
SELECT tandem.add_index('m', $$CREATE INDEX partial ON t (a) WHERE a === a <> ''$$);
SELECT tandem.create_migration('parts');
SELECT tandem.add_index('parts', 'CREATE INDEX on_parts ON parts ((f(a) || f(id)))');
CREATE FUNCTION f(v integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'any' $$;
CALL tandem.migrate('checks');
CALL tandem.migrate('m');
CALL tandem.migrate('parts');
SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'c';
SELECT indexrelid::regclass FROM pg_index WHERE indrelid IN ('t'::regclass, 'parts'::regclass) AND NOT indisprimary;
-- what was made by hand meanwhile is another one
CREATE INDEX plain ON t (f(a));
ALTER TABLE t ADD CONSTRAINT checked CHECK (f(a) = 'any');
CALL tandem.migrate('m');
CALL tandem.migrate('checks');
ALTER TABLE t DROP CONSTRAINT checked;
DROP INDEX plain;
DROP FUNCTION f(integer);
CREATE FUNCTION same(integer, integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'same' $$;
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = same);
CALL tandem.migrate('m');
DROP OPERATOR === (integer, integer);
CALL tandem.migrate('m');
CALL tandem.migrate('checks');
CALL tandem.migrate('parts');
SELECT name, phase FROM tandem.migrations WHERE phase = 'contract' ORDER BY name COLLATE "C";
CALL tandem.abort('m');
CALL tandem.abort('checks');
CALL tandem.abort('parts');
DROP TABLE parts;

-- What is temporary ends with this session.
CREATE FUNCTION pg_temp.h(integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'temporary' $$;
CREATE DOMAIN pg_temp.d AS integer;
SELECT tandem.create_migration('temporary');
SELECT tandem.sync_column('temporary', 't', 'a', 'b', 'pg_temp.h(a)');
SELECT tandem.sync_column('temporary', 't', 'a', 'b', 'a::pg_temp.d::text');
SELECT tandem.add_constraint('temporary', 't', 'c', 'CHECK (a::pg_temp.d > 0)');
CALL tandem.abort('temporary');

-- Literals do not depend on the settings of who reads the text.
ALTER TABLE t DROP b, ADD p money, ADD b money, ADD x text;
SELECT tandem.create_migration('m');
SELECT tandem.sync_columns('m', 't', old => '{a}', new => '{b,x}', up => ARRAY[$$'1.50'::money + '2'::money$$, $$xmlserialize(CONTENT '<a/><b/>'::xml AS text)$$]);
SET xmloption = document;
INSERT INTO t (id, a) VALUES (2, 2) RETURNING b::numeric, x;
RESET xmloption;
CALL tandem.abort('m');

-- What the server looks up by name when it computes is not what the writer's search_path has.
CREATE SCHEMA here;
CREATE SCHEMA there;
CREATE TABLE here.named ();
CREATE TABLE there.named ();
CREATE TABLE names (id integer PRIMARY KEY, a text);
SET search_path = here, public;
BEGIN;
SELECT tandem.create_migration('names');
ALTER TABLE names ADD oid oid, ADD cast_oid oid, ADD shown text, ADD schema text, ADD visible boolean;
SELECT tandem.sync_columns('names', 'names', old => '{a}', new => '{oid,cast_oid,shown,schema,visible}', keep_old => true,
	up => ARRAY['to_regclass(a)', 'a::regclass', '(a::regclass)::text', 'current_schema', 'pg_table_is_visible(to_regclass(a))']);
COMMIT;
INSERT INTO names VALUES (1, 'named') RETURNING oid::regclass, cast_oid::regclass, shown, schema, visible;
SET search_path = there, public;
INSERT INTO names VALUES (2, 'named') RETURNING oid::regclass, cast_oid::regclass, shown, schema, visible;
SET search_path = public;
CALL tandem.abort('names');

\c postgres
DROP DATABASE meaning;
DROP ROLE tandem_stranger;
