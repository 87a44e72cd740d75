-- A release that ends leaves views that raise 55T01, whatever is done with them, until drop_views.
CREATE DATABASE view_tombstones;
\c view_tombstones
SET client_min_messages = warning;
\set VERBOSITY default
\pset format unaligned
\pset null '-'
CREATE EXTENSION pg_tandem;
CREATE SCHEMA app;
SET search_path = app;
CREATE DOMAIN app.name AS varchar(9) NOT NULL CHECK (VALUE <> 'x');
CREATE TYPE pair AS (x integer, y integer);
CREATE TABLE users (id integer PRIMARY KEY, full_name name, n numeric(7,2)[] DEFAULT '{1}', both_of pair, label varchar(20) COLLATE "C",
	is_public boolean, at interval second(2), code serial);
INSERT INTO users (id, full_name, is_public) VALUES (1, 'Ada', true), (2, 'Alan', false);
CREATE TABLE lines (id integer PRIMARY KEY, user_id integer);
INSERT INTO lines VALUES (1, 1);
CREATE ROLE tandem_app;
GRANT USAGE ON SCHEMA app TO tandem_app;
GRANT ALL ON users, lines TO tandem_app;
SELECT tandem.create_views(41, schemas => '{app}');
CREATE VIEW columns AS SELECT attrelid AS view, string_agg(format('%s %s %s %s', attnum, attname, format_type(atttypid, atttypmod), attcollation::regcollation), ', ' ORDER BY attnum) AS described
	FROM pg_attribute WHERE attnum > 0 GROUP BY 1;
SELECT 'release_41.users'::regclass::oid AS users_41, 'release_41.lines'::regclass::oid AS lines_41 \gset
SELECT described AS before FROM columns WHERE view = :users_41 \gset
-- what others built on them stays, and raises the error, too
CREATE VIEW on_top AS SELECT id, is_public FROM release_41.users;
CREATE FUNCTION of_row(release_41.users) RETURNS integer LANGUAGE sql AS 'SELECT $1.id';
CREATE FUNCTION keep_quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER "!mine" INSTEAD OF INSERT ON release_41.lines FOR EACH ROW EXECUTE FUNCTION keep_quiet();
BEGIN;
SELECT tandem.create_migration('visibility', release => 42);
SELECT tandem.add_column('visibility', 'users', 'visibility', 'text');
SELECT tandem.sync_column('visibility', 'users', 'is_public', 'visibility', $$CASE WHEN is_public THEN 'public' ELSE 'private' END$$, $$visibility = 'public'$$);
COMMIT;
SELECT tandem.create_views(42, schemas => '{app}');
CALL tandem.migrate('visibility');

-- Prepared before.
PREPARE read AS SELECT * FROM release_41.users ORDER BY id;
PREPARE put AS INSERT INTO release_41.users (id, full_name, is_public) VALUES ($1, 'n', true);
PREPARE set AS UPDATE release_41.users SET is_public = $2 WHERE id = $1;
PREPARE del AS DELETE FROM release_41.users WHERE id = $1;
PREPARE upsert AS INSERT INTO release_41.users (id, full_name, is_public) VALUES ($1, 'n', true) ON CONFLICT (id) DO UPDATE SET is_public = EXCLUDED.is_public;
PREPARE other AS SELECT user_id FROM release_41.lines WHERE id = 1;
EXECUTE read;
EXECUTE put (3);
EXECUTE set (3, false);
EXECUTE upsert (3);
EXECUTE del (3);
EXECUTE other;

-- A rule, and a trigger that fires first, would hide that the release has ended.
CREATE RULE mine AS ON DELETE TO release_41.users DO INSTEAD NOTHING;
CALL tandem.contract('visibility', undeclared => 'ignore');
DROP RULE mine ON release_41.users;
CALL tandem.contract('visibility', undeclared => 'ignore');
ALTER TRIGGER "!mine" ON release_41.lines RENAME TO mine;
CALL tandem.contract('visibility', undeclared => 'ignore');
SELECT view::oid IN (:users_41, :lines_41) AS same, view, relation, ended FROM tandem.view ORDER BY view::text;
SELECT described = :'before' AS same FROM columns WHERE view = :users_41;
SELECT tgname FROM pg_trigger WHERE tgrelid IN (:users_41, :lines_41) ORDER BY tgrelid::regclass::text, 1;

-- Whatever is done with them.
SET ROLE tandem_app;
EXECUTE read;
\set VERBOSITY sqlstate
RESET ROLE;
EXECUTE read;
EXECUTE put (3);
EXECUTE set (1, false);
EXECUTE upsert (1);
EXECUTE del (1);
EXECUTE other;
SET ROLE tandem_app;
SELECT count(*) FROM release_41.users;
SELECT 1 FROM release_41.lines WHERE id = 1 FOR UPDATE;
SELECT 1 FROM release_42.users u JOIN release_41.lines l USING (id) WHERE u.id = 17;
SELECT * FROM release_41.users WHERE id = 1 AND false;
SELECT u.id, l.id FROM release_42.users u LEFT JOIN release_41.lines l ON l.id = 17 AND u.id = l.user_id;
SELECT (SELECT user_id FROM release_41.lines l WHERE l.id = u.id) FROM release_42.users u WHERE u.id = 17;
EXPLAIN SELECT id FROM release_41.users WHERE id = 1 AND full_name = 'Ada';
SELECT EXISTS (SELECT FROM release_41.lines);
INSERT INTO release_41.users (id) VALUES (9);
INSERT INTO release_41.users SELECT * FROM release_41.users;
INSERT INTO release_41.users (id) VALUES (9) ON CONFLICT DO NOTHING;
INSERT INTO release_41.users VALUES (9, 'n', '{1}', NULL, 'l', true, '1 s', 1) ON CONFLICT (id) DO NOTHING;
INSERT INTO release_41.users (id, full_name) VALUES (9, 'n'), (10, 'n') ON CONFLICT (id) DO UPDATE SET full_name = EXCLUDED.full_name WHERE false RETURNING id;
INSERT INTO release_41.users (id, code) VALUES (9, DEFAULT) ON CONFLICT (full_name, (id + 1)) WHERE is_public DO NOTHING;
INSERT INTO release_41.lines VALUES (9, 9) ON CONFLICT DO NOTHING;
-- with a trigger of a user the server looks for the index first
INSERT INTO release_41.lines VALUES (9, 9) ON CONFLICT (id) DO NOTHING;
UPDATE release_41.users SET is_public = true WHERE false;
DELETE FROM release_41.users WHERE false;
UPDATE release_41.users SET is_public = true;
DELETE FROM release_41.users USING release_42.lines WHERE users.id = lines.id;
COPY (SELECT * FROM release_41.users) TO stdout;
COPY release_41.lines FROM stdin;
9	9
\.
-- as the server says it of a view that is served
COPY release_41.users (id) FROM stdin;
9
\.
DO 'DECLARE r release_41.users; BEGIN SELECT * INTO r FROM release_41.users; END';
SET search_path = release_41;
SELECT * FROM users u LEFT JOIN lines l ON l.user_id = u.id;
RESET search_path;
RESET ROLE;
SELECT * FROM app.on_top;
SELECT app.of_row(u) FROM release_41.users u;
SET search_path = app;
\set VERBOSITY default
SELECT count(*) FROM users;
SELECT tandem.retired(NULL);
SELECT tandem.create_views(41);
CREATE TRIGGER mine BEFORE INSERT ON lines FOR EACH ROW EXECUTE FUNCTION tandem.retired();
INSERT INTO lines VALUES (9, 9);
DROP TRIGGER mine ON lines;

-- They outlive their tables, and dumps of these; only drop_views removes them.
DROP TABLE lines CASCADE;
SELECT view, relation, ended FROM tandem.view WHERE view IN (SELECT oid FROM pg_class) ORDER BY view::text;
CREATE TABLE lines (id integer);
SELECT tandem.create_views(41);
SELECT * FROM release_41.lines;
SET ROLE tandem_app;
SELECT tandem.drop_views(41);
RESET ROLE;
SELECT tandem.drop_views(42);
SELECT tandem.drop_views(41);
DROP VIEW on_top;
DROP FUNCTION of_row;
DROP TRIGGER mine ON release_41.lines;
SELECT tandem.drop_views(41);
SELECT tandem.drop_views(41);
SELECT tandem.drop_views(0);
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'release%' ORDER BY 1;

-- abort of a release's last migration ends it, for all tables; begun again it has its views again.
CREATE PROCEDURE expand(release integer) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tandem.create_migration('shown', release => release);
	PERFORM tandem.add_column('shown', 'app.users', 'shown', 'boolean');
	PERFORM tandem.sync_column('shown', 'app.users', 'visibility', 'shown', $up$visibility = 'public'$up$, $down$CASE WHEN shown THEN 'public' ELSE 'private' END$down$);
END $$;
CALL expand(43);
SELECT tandem.create_views(43, schemas => '{app}');
GRANT SELECT ON release_43.users TO tandem_app;
SELECT 'release_43.users'::regclass::oid AS users_43, 'release_43.lines'::regclass::oid AS lines_43 \gset
CALL tandem.migrate('shown');
SELECT id, shown FROM release_43.users ORDER BY id;
CREATE VIEW on_top AS SELECT shown FROM release_43.users;
CALL tandem.abort('shown');
SELECT id, shown FROM release_43.users ORDER BY id;
SELECT * FROM release_43.lines;
SELECT * FROM on_top;
SELECT id, visibility FROM release_42.users ORDER BY id;
CALL expand(43);
SELECT * FROM on_top;
SELECT tandem.create_views(43);
SELECT * FROM on_top;
SELECT * FROM release_43.lines;
SELECT 'release_43.users'::regclass::oid = :users_43 AS same, 'release_43.lines'::regclass::oid = :lines_43 AS same_lines;
CALL tandem.migrate('shown');
UPDATE release_43.users SET shown = true WHERE id = 2;
SELECT id, visibility FROM release_42.users ORDER BY id;
-- in another shape, with nothing built on it; and with a table that was made again
DROP VIEW on_top;
CALL tandem.abort('shown');
DROP TABLE lines;
CREATE TABLE lines (key text);
BEGIN;
SELECT tandem.create_migration('hidden', release => 43);
SELECT tandem.sync_column('hidden', 'users', 'visibility', 'seen_by', 'visibility', stored => false);
SELECT tandem.create_views(43, schemas => '{app}');
COMMIT;
SELECT view::regclass, described FROM columns WHERE view IN ('release_43.users'::regclass, 'release_43.lines'::regclass) ORDER BY view::regclass::text DESC;
SELECT id, seen_by FROM release_43.users ORDER BY id;
SELECT has_table_privilege('tandem_app', 'release_43.users', 'SELECT');
SELECT view, relation, ended FROM tandem.view WHERE view IN (SELECT oid FROM pg_class) ORDER BY view::text;
-- a release that was registered has no migration to lose
SELECT tandem.register_release(43);
CALL tandem.abort('hidden');
SELECT id, seen_by FROM release_43.users ORDER BY id;
\c postgres
DROP DATABASE view_tombstones;
DROP ROLE tandem_app;
