-- Views of releases: each release sees its own columns, complete from expand on.
CREATE DATABASE create_views;
\c create_views
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\set VERBOSITY default
CREATE EXTENSION pg_tandem;
GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO PUBLIC;
\pset format unaligned
\pset null '-'
-- what a view was made from: the server writes it otherwise from one version to the next
CREATE FUNCTION made_from(regclass) RETURNS text SECURITY DEFINER LANGUAGE sql
	AS 'SELECT definition FROM tandem.view WHERE view = $1';
CREATE FUNCTION grants(aclitem[]) RETURNS text LANGUAGE sql
	AS $$ SELECT string_agg(format('%s %s%s', e.grantee::regrole, e.privilege_type, CASE WHEN e.is_grantable THEN '*' END), ', '
		ORDER BY e.grantee::regrole::text, e.privilege_type) FROM aclexplode($1) e WHERE e.grantee <> e.grantor $$;
CREATE ROLE tandem_owner;
CREATE ROLE tandem_member IN ROLE tandem_owner;
CREATE ROLE tandem_reader;
CREATE ROLE "tandem Writer ""x""";
CREATE ROLE tandem_stranger;
GRANT EXECUTE ON FUNCTION tandem.switch_release TO tandem_owner;
CREATE SCHEMA app AUTHORIZATION tandem_owner;
GRANT USAGE ON SCHEMA app TO tandem_member, tandem_stranger;
SET search_path = app, public;

-- Wrong calls.
SET ROLE tandem_owner;
SELECT tandem.create_views(0);
SELECT tandem.create_views(NULL);
SELECT tandem.drop_views(NULL);
SELECT tandem.retired(NULL);
SELECT * FROM tandem.preview_contract(NULL);
SELECT tandem.create_views(42);
CREATE TABLE images (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, is_public boolean NOT NULL DEFAULT false,
	title varchar(8) DEFAULT 'none', gone integer, seen timestamptz DEFAULT '2020-01-01 00:00Z');
ALTER TABLE images DROP COLUMN gone;
COMMENT ON TABLE images IS $$the user's images \ "all"$$;
COMMENT ON COLUMN images.title IS 'what it shows';
COMMENT ON COLUMN images.is_public IS 'old';
INSERT INTO images (is_public, title) SELECT i % 2 = 0, 'i' || i FROM generate_series(1, 4) i;
GRANT SELECT ON images TO tandem_reader WITH GRANT OPTION;
GRANT SELECT (id, title), INSERT (title), UPDATE (title) ON images TO "tandem Writer ""x""";
GRANT TRUNCATE, REFERENCES ON images TO PUBLIC;
BEGIN;
SELECT tandem.create_migration('visibility', release => 42);
ALTER TABLE images ADD COLUMN visibility text;
COMMENT ON COLUMN images.visibility IS 'new';
SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility',
	$$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$, $$ coalesce(visibility = 'public', false) $$);
SELECT tandem.add_column('visibility', 'images', 'extra', 'text');
COMMIT;
SELECT tandem.create_views(42);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT CREATE ON DATABASE create_views TO tandem_owner;
SET ROLE tandem_stranger;
SELECT tandem.create_views(42);
SET ROLE tandem_owner;
SELECT tandem.create_views(41), tandem.create_views(42);

-- What the views are.
CREATE VIEW app.shape AS SELECT n.nspname AS schema, c.relname AS view, c.reloptions,
	(SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
		|| CASE WHEN pg_column_is_updatable(c.oid, a.attnum, false) THEN '' ELSE ' (read)' END, ', ' ORDER BY a.attnum)
		FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0) AS columns
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND n.nspname LIKE 'release%'
	ORDER BY 1, 2;
SELECT * FROM app.shape;
SELECT made_from('release_42.images'::regclass);
SELECT n.nspname, n.nspowner::regrole, grants(n.nspacl) AS usage, c.relowner::regrole, grants(c.relacl), obj_description(c.oid, 'pg_class') FROM pg_namespace n
	JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'images' WHERE n.nspname LIKE 'release%' ORDER BY 1;
SELECT attrelid::regclass, attname, grants(attacl), col_description(attrelid, attnum) FROM pg_attribute
	WHERE attrelid IN ('release_41.images'::regclass, 'release_42.images'::regclass) AND attnum > 0 ORDER BY 1, attnum;

-- Before the fill both are complete; the new column cannot be written yet.
SELECT * FROM release_41.images ORDER BY id;
SELECT * FROM release_42.images ORDER BY id;
UPDATE release_42.images SET visibility = 'public';
\echo :LAST_ERROR_SQLSTATE
INSERT INTO release_42.images (visibility) VALUES ('public');
INSERT INTO release_42.images (title) VALUES ('by 42') RETURNING *;
INSERT INTO release_41.images (is_public, title) VALUES (true, 'by 41') RETURNING *;
UPDATE release_41.images SET is_public = NOT is_public WHERE id = 1 RETURNING *;
UPDATE release_42.images SET title = 'by 42' WHERE id = 2 RETURNING *;
DELETE FROM release_42.images WHERE id = 3 RETURNING *;
-- half filled: some rows by writers, one by a writer of the new column
UPDATE images SET visibility = 'shared' WHERE id = 4;
SELECT id, is_public, visibility FROM images ORDER BY id;
SELECT id, is_public FROM release_41.images ORDER BY id;
SELECT id, visibility FROM release_42.images ORDER BY id;

-- The rights of the reader count on the table, too.
SET ROLE tandem_reader;
SELECT count(*) FROM release_42.images;
UPDATE release_42.images SET title = 'x';
SET ROLE "tandem Writer ""x""";
UPDATE release_42.images SET title = 'W';
INSERT INTO release_42.images (title) VALUES ('W');
-- reading takes the right to read every column that the view reads
UPDATE release_42.images SET title = upper(title) WHERE id = 1 RETURNING id, title;
SELECT visibility FROM release_42.images;
SET ROLE tandem_stranger;
SELECT count(*) FROM release_42.images;
SET ROLE tandem_owner;
REVOKE SELECT ON images FROM tandem_reader CASCADE;
SET ROLE tandem_reader;
SELECT count(*) FROM release_42.images;
SET ROLE tandem_owner;

-- A name that is not ours; a schema that lies in wait.
SET ROLE tandem_owner;
CREATE SCHEMA release_43;
CREATE TABLE release_43.images ();
SELECT tandem.create_views(43);
DROP TABLE release_43.images;
RESET ROLE;
GRANT CREATE ON DATABASE create_views TO tandem_stranger;
SET ROLE tandem_stranger;
CREATE SCHEMA release_44;
SET ROLE tandem_owner;
SELECT tandem.create_views(44);
\echo :LAST_ERROR_SQLSTATE

-- Another migration, with hostile names and a chain: each release sees exactly its own.
CREATE TABLE "Odd ""t" (id integer PRIMARY KEY, "a ""'$$" text, "user" text);
INSERT INTO "Odd ""t" VALUES (1, '1', 'u'), (2, '2', 'v'), (3, NULL, 'w');
BEGIN;
SELECT tandem.create_migration('to b', release => 42);
ALTER TABLE "Odd ""t" ADD COLUMN "B;--" integer;
SELECT tandem.sync_column('to b', '"Odd ""t"', 'a "''$$', 'B;--', '"a ""''$$"::integer', '"B;--"::text');
SELECT tandem.create_migration('to c', release => 43);
ALTER TABLE "Odd ""t" ADD COLUMN c varchar(9) COLLATE "C";
SELECT tandem.sync_column('to c', '"Odd ""t"', 'B;--', 'c', $$'#' || "B;--"$$, 'substr(c, 2)::integer');
COMMIT;
SELECT tandem.create_views(r) FROM generate_series(41, 43) r;
SELECT * FROM app.shape WHERE view LIKE 'Odd%';
SELECT made_from('release_43."Odd ""t"'::regclass);
INSERT INTO release_41."Odd ""t" VALUES (4, '4', 'x');
SELECT * FROM release_41."Odd ""t" ORDER BY id;
SELECT * FROM release_42."Odd ""t" ORDER BY id;
SELECT * FROM release_43."Odd ""t" ORDER BY id;
-- the first of the chain filled, the other not
CALL tandem.migrate('to b');
SELECT * FROM app.shape WHERE view LIKE 'Odd%';
SELECT made_from('release_43."Odd ""t"'::regclass);
SELECT * FROM release_43."Odd ""t" ORDER BY id;
CALL tandem.migrate('to c');
SELECT * FROM app.shape WHERE view LIKE 'Odd%';
INSERT INTO release_43."Odd ""t" VALUES (5, 'y', '#5');
UPDATE release_42."Odd ""t" SET "B;--" = 20 WHERE id = 2;
SELECT * FROM release_41."Odd ""t" ORDER BY id;
SELECT * FROM release_43."Odd ""t" ORDER BY id;

-- When the fill has ended the views are plain.
CALL tandem.migrate('visibility');
SELECT * FROM app.shape WHERE view = 'images';
SELECT made_from('release_42.images'::regclass);
SELECT id, visibility FROM release_42.images ORDER BY id;
UPDATE release_42.images SET visibility = 'public' WHERE id = 2;
INSERT INTO release_42.images (visibility, title) VALUES ('shared', 's'), (DEFAULT, DEFAULT);
SELECT * FROM release_41.images ORDER BY id;
SELECT * FROM release_42.images ORDER BY id;

-- A column added later, when asked for.
GRANT DELETE ON release_42.images TO tandem_reader;
ALTER TABLE images ADD COLUMN later integer DEFAULT 7;
SELECT tandem.create_views(41), tandem.create_views(42);
SELECT * FROM app.shape WHERE view = 'images';
SELECT tandem.create_views(41, refresh => true), tandem.create_views(42, refresh => true);
SELECT * FROM app.shape WHERE view = 'images';
ALTER TABLE images DROP COLUMN later;
\echo :LAST_ERROR_SQLSTATE
DROP VIEW release_41.images, release_42.images, release_43.images;
ALTER TABLE images DROP COLUMN later;
ALTER TABLE images ALTER COLUMN title TYPE text;
SELECT tandem.create_views(r) FROM generate_series(41, 43) r;
GRANT DELETE ON release_42.images TO tandem_reader;
SELECT * FROM app.shape WHERE view = 'images';

-- Once more: what others built on it stays; what was altered by hand is put right.
CREATE RULE mine AS ON DELETE TO release_42.images DO INSTEAD NOTHING;
COMMENT ON COLUMN images.title IS 'what it shows now';
SELECT tandem.create_views(42);
SELECT col_description('release_42.images'::regclass, 2);
DROP RULE mine ON release_42.images;
ALTER VIEW release_42.images RENAME title TO mine;
ALTER VIEW release_43.images RESET (security_invoker);
SELECT tandem.create_views(42), tandem.create_views(43);
SELECT * FROM app.shape WHERE view = 'images';

-- A column goes from the middle, of a release that nobody works as: the view is made anew, unless something is built on it.
-- What was granted on the view alone stays.
BEGIN;
SELECT tandem.create_migration('again', release => 42);
SELECT tandem.sync_column('again', 'images', 'title', 'extra', 'title');
CREATE VIEW on_top AS SELECT id, title FROM release_42.images;
SELECT tandem.create_views(42);
ROLLBACK;
BEGIN;
SELECT tandem.create_migration('again', release => 42);
SELECT tandem.sync_column('again', 'images', 'title', 'extra', 'title');
SELECT tandem.create_views(42);
SELECT * FROM app.shape WHERE view = 'images';
SELECT grants(relacl) FROM pg_class WHERE oid = 'release_42.images'::regclass;
ROLLBACK;

-- Contract ends the views of the releases that it retires (view_tombstones); what others built on them stays.
CREATE VIEW on_top AS SELECT id, is_public FROM release_41.images;
CREATE FUNCTION reads_top() RETURNS bigint STABLE BEGIN ATOMIC SELECT count(is_public) FROM release_41.images; END;
CREATE VIEW on_new AS SELECT id, visibility FROM release_42.images;
CALL tandem.contract('visibility', accept => '{defaults,not null}');
SELECT * FROM app.shape;
SELECT made_from('release_42.images'::regclass);
SELECT * FROM on_new ORDER BY id;
SELECT tandem.create_views(41);
SELECT tandem.create_views(42);
INSERT INTO release_42.images (visibility) VALUES ('public') RETURNING *;

-- Abort: of 43, which ends, and of one of the migrations of 42, which goes on: without the new column, once it is made again.
CALL tandem.abort('to c');
SELECT * FROM app.shape WHERE view LIKE 'Odd%';
SELECT * FROM release_43."Odd ""t" ORDER BY id;
UPDATE release_42."Odd ""t" SET "B;--" = 50 WHERE id = 5;
SELECT * FROM release_42."Odd ""t" ORDER BY id;
CALL tandem.abort('to b');
SELECT * FROM release_42."Odd ""t" ORDER BY id;
SELECT tandem.create_views(42);
SELECT * FROM release_42."Odd ""t" ORDER BY id;
SELECT * FROM app.shape WHERE view LIKE 'Odd%';
-- before the fill has ended, where the views read through
BEGIN;
SELECT tandem.create_migration('to b', release => 43);
SELECT tandem.add_column('to b', '"Odd ""t"', 'B', 'integer');
SELECT tandem.sync_column('to b', '"Odd ""t"', 'a "''$$', 'B', '"a ""''$$"::integer', '"B"::text');
COMMIT;
SELECT tandem.create_views(43);
SELECT * FROM app.shape WHERE view LIKE 'Odd%';
CALL tandem.abort('to b');
SELECT * FROM app.shape WHERE view LIKE 'Odd%';

-- Several columns of one rule; defaults; a type without equality, one of a row; a partitioned table; keep_old.
CREATE TYPE pair AS (x integer, y integer);
CREATE TABLE p (id integer, name text, n integer) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
INSERT INTO p VALUES (1, 'Ada Lovelace', 7), (11, 'Alan Turing', NULL), (12, NULL, 8);
BEGIN;
SELECT tandem.create_migration('parts', release => 50);
ALTER TABLE p ADD COLUMN first text, ADD COLUMN last varchar(6), ADD COLUMN doc json DEFAULT '{"n": 0}', ADD COLUMN both_of pair;
SELECT tandem.sync_columns('parts', 'p', '{name}', '{first,last}', $${"split_part(name, ' ', 1)","split_part(name, ' ', 2)"}$$, $${"first || ' ' || last"}$$);
SELECT tandem.sync_columns('parts', 'p', '{n}', '{doc,both_of}', $${"json_build_object('n', n)","row(n, NULL)::app.pair"}$$, $${"(doc->>'n')::integer"}$$, keep_old => true);
COMMIT;
SELECT tandem.create_views(49), tandem.create_views(50);
SELECT * FROM app.shape WHERE view = 'p';
INSERT INTO p (id, first) VALUES (2, 'Grace');
SELECT * FROM release_49.p ORDER BY id;
SELECT * FROM release_50.p ORDER BY id;
SET client_min_messages = error;
CALL tandem.migrate('parts');
SELECT * FROM app.shape WHERE view = 'p';
-- not by force: rows are unfilled
CALL tandem.contract('parts', force => true);
UPDATE p SET name = 'Ada Lovela' WHERE id = 1;
CALL tandem.migrate('parts');
CALL tandem.contract('parts', force => true);
SELECT * FROM app.shape WHERE view = 'p';
SELECT id, n, first, last FROM release_50.p ORDER BY id;

-- A migration without a release: every release sees both. What is put into quarantine is seen as it is.
CREATE TABLE q (id integer PRIMARY KEY, a text);
INSERT INTO q VALUES (1, '1'), (2, 'two');
BEGIN;
SELECT tandem.create_migration('q');
ALTER TABLE q ADD COLUMN b integer;
SELECT tandem.sync_column('q', 'q', 'a', 'b', 'a::integer', 'b::text', on_error => 'quarantine');
COMMIT;
RESET ROLE;
GRANT CREATE ON DATABASE create_views TO tandem_member;
SET ROLE tandem_member;
SELECT tandem.create_views(60);
SELECT c.relowner::regrole, grants(c.relacl) FROM pg_class c WHERE c.oid = 'release_60.q'::regclass;
SELECT * FROM app.shape WHERE view = 'q';
SELECT * FROM release_60.q;
SELECT * FROM release_60.q WHERE id = 1;
SET ROLE tandem_owner;
CALL tandem.migrate('q');
SELECT * FROM app.shape WHERE view = 'q';
SELECT * FROM release_60.q ORDER BY id;
UPDATE release_60.q SET b = 2 WHERE id = 2 RETURNING *;
CALL tandem.migrate('q');
CALL tandem.contract('q');
SELECT * FROM app.shape WHERE view = 'q';
SELECT * FROM release_60.q ORDER BY id;

-- Two tables of one name: each in a schema of its own.
CREATE SCHEMA other;
CREATE TABLE other.q (id integer PRIMARY KEY, a text, b text);
SELECT tandem.create_migration('other', release => 61);
SELECT tandem.sync_column('other', 'other.q', 'a', 'b', 'a');
SELECT tandem.create_views(61);
-- A table that is gone, a view that was dropped by hand.
CALL tandem.abort('other');
DROP TABLE p CASCADE;
DROP VIEW release_60.q;
SET ROLE tandem_member;
SELECT tandem.create_views(60), tandem.create_views(61);
SET ROLE tandem_owner;
SELECT * FROM app.shape WHERE schema IN ('release_61', 'release_60');

-- Nothing stored: a rename, which stays writable, and a computed column; again for the next release.
CREATE TABLE r (id integer PRIMARY KEY, nmae varchar(20) NOT NULL DEFAULT 'x', cents integer, n text);
COMMENT ON COLUMN r.nmae IS 'the name';
GRANT SELECT (nmae) ON r TO tandem_reader;
INSERT INTO r VALUES (1, 'a', 150, 'n'), (2, 'b', NULL, 'n');
SELECT tandem.create_migration('rename', release => 70);
SELECT tandem.sync_column('rename', 'r', 'nmae', 'n', 'nmae', stored => false);
SELECT tandem.sync_column('rename', 'r', 'nope', 'name', 'nmae', stored => false);
SELECT tandem.sync_column('rename', 'r', 'nmae', 'name', 'nmae', 'name', stored => false);
SELECT tandem.sync_column('rename', 'r', 'nmae', 'name', 'nope', stored => false);
SELECT tandem.sync_column('rename', 'r', 'nmae', 'name', 'nmae', stored => false);
SELECT tandem.sync_columns('rename', 'r', '{cents}', '{price,currency}', $${"cents / 100.0","'EUR'::char(3)"}$$, stored => false);
-- again
SELECT tandem.sync_column('rename', 'r', 'nmae', 'name', 'nmae', stored => false);
SELECT tandem.sync_column('rename', 'r', 'nmae', 'name', 'nmae');
SELECT migration, old_columns, new_columns, up, direction, health, problem FROM tandem.syncs WHERE migration = 'rename';
SELECT tandem.create_views(69), tandem.create_views(70);
SELECT * FROM app.shape WHERE view = 'r';
SELECT attname, grants(attacl), col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'release_70.r'::regclass AND attnum > 0 ORDER BY attnum;
SELECT * FROM release_69.r;
INSERT INTO release_70.r (id, name) VALUES (3, 'c'), (4, DEFAULT);
UPDATE release_70.r SET name = upper(name) WHERE name = 'a' RETURNING *;
UPDATE release_70.r SET price = 7;
SELECT * FROM release_69.r ORDER BY id;
SELECT * FROM release_70.r ORDER BY id;
CALL tandem.migrate('rename');
SELECT tandem.create_migration('rename again', release => 71);
SELECT tandem.sync_column('rename again', 'r', 'nmae', 'label', 'nmae', stored => false);
SELECT tandem.create_views(71);
SELECT * FROM app.shape WHERE view = 'r';
CALL tandem.contract('rename');
SELECT tandem.create_views(69);
SELECT tandem.create_views(70), tandem.create_views(71);
SELECT * FROM app.shape WHERE view = 'r';
UPDATE release_71.r SET label = 'L' WHERE id = 1 RETURNING *;
CALL tandem.abort('rename again');
SELECT * FROM app.shape WHERE view = 'r';
SELECT * FROM r ORDER BY id;
-- One that only builds, or only does something later, works on its table, too.
BEGIN;
CREATE TABLE built (id integer NOT NULL, a integer) PARTITION BY LIST (id);
CREATE TABLE built_1 PARTITION OF built FOR VALUES IN (1);
CREATE TABLE dealt_with (id integer);
CREATE TABLE switched (id integer);
SELECT tandem.create_migration('builds', release => 72);
SELECT tandem.add_index('builds', 'CREATE INDEX ON built (a)');
SELECT tandem.at_contract('builds', 'dealt_with', 'ALTER TABLE dealt_with SET (fillfactor = 90)');
SELECT tandem.add_after_switch('builds', 'switched', 'id = 1', 'id = 0');
SELECT tandem.create_views(72);
SELECT viewname FROM pg_views WHERE schemaname IN ('release_72', 'app__release_72') AND viewname IN ('built', 'built_1', 'dealt_with', 'switched') ORDER BY 1;
ROLLBACK;
RESET ROLE;
SELECT view, release, relation FROM tandem.view ORDER BY view::text;
\c postgres
DROP DATABASE create_views;
DROP ROLE tandem_owner, tandem_member, tandem_reader, "tandem Writer ""x""", tandem_stranger;
