-- add_index: what it keeps of a definition, what it refuses, and that it leaves nothing behind.
CREATE DATABASE add_index;
\c add_index
SET client_min_messages = warning;
\set SHOW_CONTEXT never
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

CREATE SCHEMA app;
CREATE FUNCTION app.plain(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
CREATE FUNCTION app.compare(integer, integer) RETURNS integer IMMUTABLE LANGUAGE sql
	AS 'SELECT btint4cmp($2, $1)';
CREATE OPERATOR CLASS app.backwards FOR TYPE integer USING btree AS
	OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <,
	FUNCTION 1 app.compare(integer, integer);
CREATE COLLATION app.bytes FROM "C";
CREATE TABLE app.images (id integer PRIMARY KEY, title text, tags text[], size integer,
	period int4range, made timestamptz, waited interval, raw bytea);
CREATE TABLE public.images (id integer);
CREATE TABLE app."Größe of ""x""" ("Id" integer, "select" text);
SET search_path = app, public;
SELECT tandem.create_migration('m');

-- each option is kept, and every name is qualified
SELECT tandem.add_index('m', d) FROM unnest(ARRAY[
	'CREATE INDEX plain ON images (title)',
	'CREATE UNIQUE INDEX several ON images (title DESC, size ASC NULLS FIRST, id DESC NULLS LAST)',
	'CREATE UNIQUE INDEX nulls ON images (title, size) NULLS NOT DISTINCT',
	'CREATE INDEX include ON images (title) INCLUDE (size, made)',
	'CREATE INDEX gin ON images USING gin (tags) WITH (fastupdate = off)',
	'CREATE INDEX gist ON images USING gist (period)',
	'CREATE INDEX hash ON images USING hash (title)',
	'CREATE INDEX brin ON images USING brin (made timestamptz_minmax_multi_ops (values_per_range = 16)) WITH (pages_per_range = 8)',
	'CREATE INDEX fill ON images (id) WITH (fillfactor = 70, deduplicate_items = off)',
	'CREATE INDEX pattern ON images (title text_pattern_ops)',
	'CREATE INDEX opclass ON images (size backwards)',
	'CREATE INDEX collated ON images (title COLLATE bytes)',
	'CREATE INDEX expression ON images (plain(title), (size + 1))',
	'CREATE INDEX partial ON images (id) WHERE size > 0 AND plain(title) <> ''it''''s''',
	'CREATE INDEX constants ON images (id) WHERE made > ''2024-01-02 03:04+05'' AND waited > ''-1 day 2 h'' AND raw <> ''\x00ff''',
	'CREATE INDEX CONCURRENTLY IF NOT EXISTS concurrent ON ONLY images (size)',
	'CREATE INDEX ON images (made)',
	'CREATE INDEX "Mixed ""case"" index" ON "Größe of ""x""" ("Id", "select" DESC)',
	'  /* a comment */ CREATE INDEX spaced ON app.images(id);  ']) d;
SELECT relation, object, is_unique, definition FROM tandem.step ORDER BY id;
SELECT action, detail FROM tandem.history WHERE detail LIKE '%Mixed%' OR detail LIKE '%made%';

-- The same again does nothing, however it is written, and whatever the session's settings.
SELECT count(*) AS steps FROM tandem.step;
SET client_min_messages = notice;
SELECT tandem.add_index('m', 'CREATE INDEX plain ON app.images USING btree (title ASC NULLS LAST)');
SET search_path = public;
SET timezone = 'Asia/Tokyo';
SET datestyle = 'German';
SET intervalstyle = 'iso_8601';
SET bytea_output = 'escape';
SET quote_all_identifiers = on;
SELECT tandem.add_index('m', 'CREATE INDEX constants ON app.images (id)
	WHERE made > ''2024-01-02 03:04+05'' AND waited > ''-1 day 2 h'' AND raw <> ''\x00ff''');
RESET timezone;
RESET datestyle;
RESET intervalstyle;
RESET bytea_output;
RESET quote_all_identifiers;
SET client_min_messages = warning;
SELECT count(*) AS steps FROM tandem.step;

-- Another one under a name that is taken.
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX plain ON app.images (size)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE UNIQUE INDEX plain ON app.images (title)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX images_pkey ON app.images (size)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX images ON app.images (size)') $$);

SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX ON app.images (made DESC)') $$);
SELECT tandem.create_migration('n');
SELECT error_of($$ SELECT tandem.add_index('n', 'CREATE INDEX plain ON app.images (title)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX plain ON app."Größe of ""x""" ("Id")') $$);

-- search_path decides which table is meant
SELECT tandem.add_index('m', 'CREATE INDEX other ON images (id)');
SELECT relation, object FROM tandem.step ORDER BY id DESC LIMIT 1;
SET search_path = app, public;

-- arguments and text
SELECT error_of($$ SELECT tandem.add_index(NULL, 'CREATE INDEX i ON images (id)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', NULL) $$);
SELECT error_of($$ SELECT tandem.add_index('nobody''s', 'CREATE INDEX i ON images (id)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', '') $$);
SELECT error_of($$ SELECT tandem.add_index('m', ' -- nothing') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE TABLE t (a integer)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'SELECT 1') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images (id); DROP TABLE images') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images id') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images ()') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX app.i ON images (id)') $$);

-- the position of an error is one in the definition
SELECT tandem.add_index('m', 'CREATE INDEX i ON images (id id id)');
SELECT tandem.add_index('m', 'CREATE INDEX i ON images ((nothing + 1))');

-- tables
CREATE TABLE parts (k integer, a text, b text) PARTITION BY LIST (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parent (a text);
CREATE TABLE child () INHERITS (parent);
CREATE VIEW v AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW mv AS SELECT 1 AS a;
CREATE TEMP TABLE passing (a integer);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON nothing (a)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON nowhere.nothing (a)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON elsewhere.app.images (a)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON v (a)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON mv (a)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON passing (a)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON parts_1 (a)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON parent (a)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON pg_class (relname)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON tandem.step (id)') $$);

-- what the server would refuse, it refuses at once
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images (nothing)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images (random())') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images (id) WHERE now() > made') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images ((SELECT 1))') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images (nosuch(id))') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images USING nosuch (id)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images USING gin (id)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE UNIQUE INDEX i ON images USING hash (id)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images (id nosuch_ops)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images (title COLLATE nosuch)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images (id) WITH (nosuch = 1)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images (id) WITH (fillfactor = 1)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images (id) TABLESPACE nosuch') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON images (ctid)') $$);
SELECT error_of(format('SELECT tandem.add_index(%L, %L)', 'm',
	'CREATE INDEX i ON images (' || string_agg('id', ',') || ')')) FROM generate_series(1, 33);

-- partitioned tables
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE UNIQUE INDEX i ON parts (a)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON ONLY parts (a)') $$);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX i ON parts ((parts.*::text))') $$);
SELECT tandem.add_index('m', 'CREATE UNIQUE INDEX CONCURRENTLY parts_unique ON parts (a, k) INCLUDE (b)');
SELECT tandem.add_index('m', 'CREATE INDEX ON parts (b) WHERE a > ''''');
SELECT relation, object, is_unique, definition FROM tandem.step WHERE relation = 'parts'::regclass ORDER BY id;

-- An index that a build has left invalid is in nobody's way.
CREATE TABLE twice (a integer);
INSERT INTO twice VALUES (1), (1);
CREATE UNIQUE INDEX CONCURRENTLY twice_idx ON twice (a);
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX twice_idx ON images (id)') $$);
SELECT tandem.add_index('m', 'CREATE INDEX twice_idx ON twice (a)');
SELECT object, definition FROM tandem.step WHERE relation = 'twice'::regclass;

-- Nor is one that somebody has made ON ONLY a partitioned table, and left so: taken up, or dropped if it is another.
CREATE TABLE tree (k integer, a integer) PARTITION BY LIST (k);
CREATE TABLE tree_1 PARTITION OF tree FOR VALUES IN (1);
CREATE TABLE tree_2 PARTITION OF tree FOR VALUES IN (2) PARTITION BY LIST (a);
CREATE TABLE tree_2_1 PARTITION OF tree_2 FOR VALUES IN (1);
CREATE INDEX tree_same ON ONLY tree (a);
CREATE INDEX tree_other ON ONLY tree (k);
CREATE INDEX tree_at_work ON ONLY tree (k);
SELECT tandem.create_migration('tree');
SELECT tandem.add_index('tree', 'CREATE INDEX tree_same ON tree (a)');
SELECT tandem.add_index('tree', 'CREATE INDEX tree_other ON tree (a, k)');
CREATE INDEX tree_other_tree_2 ON ONLY tree_2 (k);
SELECT oid AS same FROM pg_class WHERE relname = 'tree_same' \gset
CALL tandem.migrate('tree');
SELECT pg_get_indexdef(indexrelid), indisvalid, indexrelid = :same AS taken_up FROM pg_index
	WHERE indrelid IN ('tree'::regclass, 'tree_2'::regclass) ORDER BY pg_get_indexdef(indexrelid) COLLATE "C";
-- with indexes of partitions attached it is somebody's work
CREATE INDEX tree_1_k ON tree_1 (k);
ALTER INDEX tree_at_work ATTACH PARTITION tree_1_k;
SELECT tandem.create_migration('tree 2');
SELECT tandem.add_index('tree 2', 'CREATE INDEX tree_at_work ON tree (a, k)');
\set VERBOSITY terse
CALL tandem.migrate('tree 2');
\set VERBOSITY default
SELECT count(*) FROM pg_inherits WHERE inhparent = 'tree_at_work'::regclass;
CALL tandem.abort('tree 2');
CALL tandem.abort('tree');
DROP TABLE tree;

-- The check leaves nothing: no index, and no lock but those that the transaction had, and the one that keeps the
-- columns until others see the step.
BEGIN;
SELECT tandem.add_index('m', 'CREATE INDEX fleeting ON images (lower(title))');
SELECT tandem.add_index('m', 'CREATE INDEX fleeting_parts ON parts (lower(a))');
SELECT relation::regclass, mode FROM pg_locks
	WHERE pid = pg_backend_pid() AND relation IN ('images'::regclass, 'parts'::regclass, 'parts_1'::regclass) ORDER BY 1, 2;
LOCK images IN ROW EXCLUSIVE MODE;
SELECT tandem.add_index('m', 'CREATE INDEX fleeting_2 ON images (lower(title))');
SELECT relation::regclass, mode FROM pg_locks
	WHERE pid = pg_backend_pid() AND relation = 'images'::regclass ORDER BY 1, 2;
COMMIT;
SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
	JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('app', 'public') ORDER BY 1;

-- In the transaction that has changed the table, with triggers that wait for its end.
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON images DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION nothing();
BEGIN;
ALTER TABLE images ADD COLUMN fresh text;
INSERT INTO images VALUES (1, 'a');
SELECT tandem.add_index('m', 'CREATE INDEX images_fresh ON images (fresh)');
COMMIT;
SELECT definition FROM tandem.step WHERE object = 'images_fresh';

-- Rights: the server's, and of the table's owner.
CREATE ROLE tandem_index_owner;
CREATE ROLE tandem_index_stranger;
GRANT USAGE ON SCHEMA app TO tandem_index_owner, tandem_index_stranger;
CREATE TABLE owned (a integer, b integer) PARTITION BY LIST (a);
CREATE TABLE owned_1 PARTITION OF owned FOR VALUES IN (1);
ALTER TABLE owned OWNER TO tandem_index_owner;
SET ROLE tandem_index_stranger;
SELECT tandem.create_migration('stranger');
SELECT error_of($$ SELECT tandem.add_index('stranger', 'CREATE INDEX i ON owned (a)') $$);
SET ROLE tandem_index_owner;
SELECT tandem.create_migration('owner');
SELECT error_of($$ SELECT tandem.add_index('owner', 'CREATE INDEX i ON owned (a)') $$);
RESET ROLE;
ALTER TABLE owned_1 OWNER TO tandem_index_owner;
SET ROLE tandem_index_owner;
SELECT error_of($$ SELECT tandem.add_index('owner', 'CREATE INDEX i ON owned (a)') $$);
RESET ROLE;
GRANT CREATE ON SCHEMA app TO tandem_index_owner;
SET ROLE tandem_index_owner;
SELECT tandem.add_index('owner', 'CREATE INDEX i ON owned (a)');
RESET ROLE;

-- What was built and is gone is built again by migrate, and contract goes on; an index that has
-- become the key of its table, under the name of the constraint, is not gone.
CREATE TABLE keyed (id integer CONSTRAINT keyed_pkey PRIMARY KEY);
INSERT INTO keyed VALUES (1), (2);
SELECT tandem.create_migration('keyed');
SELECT tandem.add_column('keyed', 'keyed', 'id8', 'bigint');
SELECT tandem.sync_column('keyed', 'keyed', old => 'id', new => 'id8', up => 'id', down => 'id8');
SELECT tandem.add_index('keyed', 'CREATE UNIQUE INDEX keyed_id8 ON keyed (id8)');
SELECT tandem.add_index('keyed', 'CREATE INDEX keyed_sum ON keyed ((id + id8))');
\set VERBOSITY terse
SET client_min_messages = warning;
CALL tandem.migrate('keyed');
DROP INDEX keyed_sum;
CALL tandem.migrate('keyed');
SELECT object, state FROM tandem.progress WHERE migration = 'keyed' AND step = 'index';
ALTER TABLE keyed DROP CONSTRAINT keyed_pkey, ADD CONSTRAINT keyed_pkey PRIMARY KEY USING INDEX keyed_id8;
CALL tandem.migrate('keyed');
SELECT object, state FROM tandem.progress WHERE migration = 'keyed' AND step = 'index';
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'keyed'::regclass ORDER BY indexrelid::regclass::text;
ALTER TABLE keyed DROP CONSTRAINT keyed_pkey;
CALL tandem.migrate('keyed');
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'keyed'::regclass ORDER BY indexrelid::regclass::text;
CALL tandem.contract('keyed', accept => '{indexes}');
SELECT phase FROM tandem.migrations WHERE name = 'keyed';
RESET client_min_messages;

-- only in phase expand
CALL tandem.abort('m');
SELECT error_of($$ SELECT tandem.add_index('m', 'CREATE INDEX late ON images (id)') $$);

\c postgres
DROP DATABASE add_index;
DROP ROLE tandem_index_owner, tandem_index_stranger;
