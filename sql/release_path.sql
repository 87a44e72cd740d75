-- The release of a session by its search_path: <prefix><n>, where tandem.release is not set.
CREATE DATABASE release_path;
-- only a session that has the library from its beginning is fenced
ALTER DATABASE release_path SET session_preload_libraries = 'pg_tandem';
\c release_path
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set VERBOSITY default
\pset format unaligned
\pset tuples_only
\pset null '-'
CREATE TABLE items (id int PRIMARY KEY, price int);
INSERT INTO items SELECT i, i FROM generate_series(1, 3) i;
-- an application may have such a schema without knowing anything of releases, and before the extension
CREATE SCHEMA release_7;
SET search_path = release_7, public;
SELECT count(*) FROM items;
CREATE EXTENSION pg_tandem;
UPDATE items SET price = price WHERE id = 1;
CREATE FUNCTION declared() RETURNS text LANGUAGE sql AS
	'SELECT concat_ws('' '', release, release_state) FROM tandem.sessions WHERE pid = pg_backend_pid()';
ALTER FUNCTION declared() SET SCHEMA public;
-- no release is known: nothing is refused
SELECT declared();
BEGIN; UPDATE items SET price = price WHERE id = 1; COMMIT;
SELECT * FROM tandem.health(7);

-- What names a release: the first <prefix><n>, wherever it stands, whether or not the schema exists.
SET search_path = release_41, public; SELECT declared();
SET search_path = public, release_42; SELECT declared();
SET search_path = "$user", public, release_43, release_42; SELECT declared();
SET search_path = "release_44", public; SELECT declared();
SET search_path = RELEASE_45, public; SELECT declared();
SET search_path = "RELEASE_46", public; SELECT declared();
SET search_path = public, release_2147483647; SELECT declared();
SET search_path = public, release_2147483648; SELECT declared();
SET search_path = public, release_99999999999999999999; SELECT declared();
SET search_path = public, release_0; SELECT declared();
SET search_path = public, release_042; SELECT declared();
SET search_path = public, "release_-1", "release_+1", "release_ 1", "release_1 ", "release_1.0"; SELECT declared();
SET search_path = public, release_, release_x, release_1x, my_release_1, app__release_1, release_x1; SELECT declared();
SET search_path = public, release_x1, "a,b", release_1, release_2; SELECT declared();
SET search_path = 'release_41, public'; SELECT public.declared();
SET search_path = ''; SELECT public.declared();
RESET search_path; SELECT declared();

-- The setting is above the path; 0 is no setting.
SET search_path = release_41, public;
SET tandem.release = 42; SELECT declared();
SET tandem.release = 0; SELECT declared();
RESET tandem.release;

-- Changes of the path are seen at the next statement.
BEGIN; SET LOCAL search_path = release_42, public; SELECT declared(); COMMIT; SELECT declared();
BEGIN; SET search_path = release_42, public; SELECT declared(); ROLLBACK; SELECT declared();
BEGIN; SAVEPOINT s; SET search_path = release_42, public; SELECT declared(); ROLLBACK TO s; SELECT declared(); COMMIT;
BEGIN; SAVEPOINT s; SET LOCAL search_path = release_42, public; RELEASE s; SELECT declared(); COMMIT; SELECT declared();
BEGIN; SET search_path = release_42, public; SET LOCAL search_path = release_43, public; SELECT declared(); COMMIT; SELECT declared();
SELECT set_config('search_path', 'release_41, public', false); SELECT declared();
SELECT set_config('search_path', 'public', false); SELECT declared();
-- the same text at another time, another text of the same length
SET search_path = release_41, public; SELECT declared();
SET search_path = release_43, public; SELECT declared();
-- also where it changes several times unseen, and the text may be where another one was
CREATE PROCEDURE set_to(last int) LANGUAGE plpgsql AS $$
DECLARE
	path text;
BEGIN
	FOR i IN 42..last LOOP
		path := set_config('search_path', format('release_%s, public', i), false);
		COMMIT;
	END LOOP;
END $$;
SET search_path = other___41, public; SELECT declared(); CALL set_to(46); SELECT declared();
SET search_path = other___41, public; SELECT declared(); CALL set_to(47); SELECT declared();
DISCARD ALL; SELECT declared();
ALTER ROLE CURRENT_USER IN DATABASE release_path SET search_path = release_41, public;
\c
SELECT declared();
DISCARD ALL; SELECT declared();
SET search_path = public; SELECT declared();
RESET search_path; SELECT declared();
ALTER ROLE CURRENT_USER IN DATABASE release_path RESET search_path;
\c
SELECT declared();
\set VERBOSITY default
SET client_min_messages = warning;

-- What a function sets for itself, or a scope of ours, is not the session's; what it sets for the session is.
CREATE FUNCTION inside(path text) RETURNS text LANGUAGE plpgsql SET search_path = release_41, public AS $$
BEGIN
	IF path <> '' THEN
		PERFORM set_config('search_path', path, false);
	END IF;
	RETURN public.declared();
END $$;
CREATE FUNCTION nested() RETURNS text LANGUAGE plpgsql SET search_path = release_43 AS $$
BEGIN
	RETURN public.inside('');
EXCEPTION WHEN division_by_zero THEN
	RETURN NULL;
END $$;
SELECT inside('');
SELECT nested();
SET search_path = release_42, public;
SELECT inside('');
SELECT nested();
BEGIN; SET LOCAL search_path = release_44, public; SELECT inside(''); SELECT nested(); COMMIT;
SELECT declared();
SELECT inside('release_45, public');
SELECT declared();
SET search_path = public;
CREATE FUNCTION put(value int) RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = release_41, public AS
	'UPDATE public.items SET price = value WHERE id = 1 RETURNING price';

-- Once releases are known a session of a path is served or refused as one with the setting.
SELECT tandem.register_release(41);
SET search_path = release_41, public;
SELECT count(*) FROM items;
SET search_path = release_7, public;
SELECT count(*) FROM items;
-- newer than all known: its script only, and it sees where the release comes from
SET search_path = release_42, public;
SELECT count(*) FROM items;
\echo :LAST_ERROR_SQLSTATE
SELECT healthy, state FROM tandem.health(42);
SET tandem.release = 42;
SELECT count(*) FROM items;
RESET tandem.release;
-- a name that is no release of this application does not concern the fence
SET search_path = app_42, public;
SELECT count(*) FROM items;

-- The script of 42, run by a session of 42; again, when the views are there, by another node.
SET search_path = release_42, public;
BEGIN;
SELECT tandem.create_migration('m', release => 42);
SELECT tandem.add_column('m', 'items', 'cents', 'bigint');
SELECT tandem.sync_column('m', 'items', 'price', 'cents', 'price * 100', 'cents / 100');
SELECT tandem.add_index('m', 'CREATE INDEX items_cents ON items (cents)');
SELECT tandem.add_not_null('m', 'items', 'cents');
SELECT tandem.add_constraint('m', 'items', 'items_cents_check', 'CHECK (cents >= 0)');
-- its transaction may do anything
UPDATE items SET price = price WHERE id = 1;
SELECT tandem.create_views(41);
SELECT tandem.create_views(42);
COMMIT;
SELECT declared();
UPDATE items SET price = 7 WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM items;
SET client_min_messages = notice;
BEGIN;
SELECT tandem.create_migration('m', release => 42);
SELECT tandem.add_column('m', 'items', 'cents', 'bigint');
SELECT tandem.sync_column('m', 'items', 'price', 'cents', 'price * 100', 'cents / 100');
SELECT tandem.add_index('m', 'CREATE INDEX items_cents ON items (cents)');
SELECT tandem.add_not_null('m', 'items', 'cents');
SELECT tandem.add_constraint('m', 'items', 'items_cents_check', 'CHECK (cents >= 0)');
SELECT tandem.create_views(42, relations => '{items}');
COMMIT;
SET client_min_messages = warning;
CALL tandem.migrate('m');
CALL tandem.wait_for_release(42);
SELECT declared();
UPDATE items SET cents = 1250 WHERE id = 2 RETURNING *;

-- The release serves the dual write: a path says what a writer is, a function's own SET does not.
UPDATE public.items SET price = 1, cents = 1300 WHERE id = 2 RETURNING *;
SET search_path = release_41, public;
UPDATE public.items SET price = 14, cents = 1 WHERE id = 2 RETURNING *;
UPDATE release_42.items SET cents = 1500 WHERE id = 2 RETURNING *;
SET search_path = release_42, public;
SELECT put(99);
SELECT * FROM public.items WHERE id = 1;

-- Marks: a writer of 42, by its path or by the view, needs none; one of 41, or of none, does.
CREATE FUNCTION marked() RETURNS text LANGUAGE sql AS
	'SELECT concat_ws('' '', release, has_written::text) FROM tandem.sessions WHERE pid = pg_backend_pid()';
ALTER FUNCTION marked() SET SCHEMA public;
\c
SET search_path = release_42, public; UPDATE items SET cents = 1 WHERE id = 3; SELECT marked();
SET search_path = public; UPDATE release_42.items SET cents = 2 WHERE id = 3; SELECT marked();
SET search_path = release_41, public; UPDATE release_42.items SET cents = 200 WHERE id = 3; SELECT marked();
UPDATE items SET price = 3 WHERE id = 3; SELECT marked();
\c
SET search_path = release_42, public; UPDATE release_41.items SET price = 4 WHERE id = 3; SELECT marked();
\c
UPDATE release_41.items SET price = 5 WHERE id = 3; SELECT marked();
\c
UPDATE items SET id = 3 WHERE id = 3; SELECT marked();
\c
-- the setting is above the view
SET tandem.release = 42; UPDATE release_41.items SET id = 3 WHERE id = 3; SELECT marked();
RESET tandem.release; UPDATE release_42.items SET id = 3 WHERE id = 3; SELECT marked();
UPDATE release_41.items SET id = 3 WHERE id = 3; SELECT marked();
\c
\set VERBOSITY default
SET client_min_messages = warning;
-- a release as which a session of a path has written is in use
SELECT DISTINCT releases FROM tandem.release_state WHERE state = 'used';
SELECT tandem.create_migration('late', release => 42);

-- tandem.undeclared: a release by path is declared.
CREATE ROLE tandem_by_path;
GRANT ALL ON items TO tandem_by_path;
SET tandem.undeclared = 'refuse';
SET ROLE tandem_by_path;
SELECT count(*) FROM items;
\echo :LAST_ERROR_SQLSTATE
SET search_path = release_42, public;
SELECT count(*) FROM public.items;
RESET ROLE;
SET tandem.undeclared = 'warn';
SET ROLE tandem_by_path;
SELECT count(*) FROM public.items;
SET search_path = public;
SELECT count(*) FROM public.items;
RESET ROLE;
RESET tandem.undeclared;

-- Contract retires the releases of paths, too; the fence tells why.
SET search_path = release_42, public;
CALL tandem.contract('m');
SET search_path = release_41, public;
SELECT count(*) FROM public.items;
\echo :LAST_ERROR_SQLSTATE
BEGIN;
ROLLBACK;
SELECT state FROM tandem.health(41);
SET search_path = release_7, public;
SELECT 1;
-- a way out that needs no other name of the schema
SET tandem.release = 42;
SELECT count(*) FROM public.items;
RESET tandem.release;
SET search_path = release_42, public;
SELECT declared(), count(*) FROM items;
SELECT count(*) FROM release_42.items;

-- The prefix: before there are views, by who may move releases.
SELECT tandem.drop_views(41);
SET search_path = public;
SELECT tandem.set_release_prefix('app_');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.set_release_prefix('release_');
DROP SCHEMA release_42 CASCADE;
DROP SCHEMA release_7;
SELECT tandem.set_release_prefix(NULL);
SELECT tandem.set_release_prefix('');
SELECT tandem.set_release_prefix('pg_r');
SELECT tandem.set_release_prefix('v1');
SELECT tandem.set_release_prefix('a_prefix_of_more_than_32_bytes_is_');
\echo :LAST_ERROR_SQLSTATE
SET ROLE tandem_by_path;
SELECT tandem.set_release_prefix('app_');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT EXECUTE ON FUNCTION tandem.switch_release TO tandem_by_path;
SET search_path = release_41, public; SELECT count(*) FROM items;
SET search_path = public, "App v";
BEGIN; SELECT tandem.set_release_prefix('App v'); SET search_path = "App v41", public; SELECT state FROM tandem.health(41); SELECT count(*) FROM items; ROLLBACK;
SET search_path = "App v41", public; SELECT declared();
SET search_path = public;
SET ROLE tandem_by_path;
SELECT tandem.set_release_prefix('App v');
RESET ROLE;
SELECT prefix FROM tandem.registry;
-- seen by this session at once, of the old prefix nothing is left
SET search_path = release_41, public; SELECT declared(), count(*) FROM items;
SET search_path = "App v42", public; SELECT declared(), count(*) FROM items;
SET search_path = "App v41", public; SELECT count(*) FROM items;
SET search_path = "app v41", public; SELECT count(*) FROM items;
SET search_path = "App v43", public;
CREATE SCHEMA other;
CREATE TABLE other.things (id int PRIMARY KEY, a int);
BEGIN;
SELECT tandem.create_migration('n', release => 43);
SELECT tandem.add_column('n', 'items', 'note', 'text');
SELECT tandem.add_column('n', 'other.things', 'b', 'int');
SELECT tandem.sync_column('n', 'other.things', 'a', 'b', 'a', 'b');
SELECT tandem.create_views(42);
SELECT tandem.create_views(43);
COMMIT;
SELECT schemaname, viewname FROM pg_views WHERE schemaname ~ 'App' ORDER BY 1, 2;
SELECT tandem.set_release_prefix('release_');
CALL tandem.migrate('n');
INSERT INTO "other__App v43".things VALUES (1, 5);
SELECT * FROM other.things;
SELECT * FROM tandem.create_views(43);
CALL tandem.contract('n', undeclared => 'ignore');
SELECT schemaname, viewname FROM pg_views WHERE schemaname ~ 'App' ORDER BY 1, 2;
\c postgres
DROP DATABASE release_path;
DROP ROLE tandem_by_path;
