-- Event triggers of others are called by a statement of ours as by any other: under the search_path of the session, with
-- its settings.  What our statements themselves name, nothing of that path replaces.  C10 of test/faults.md.
CREATE ROLE tandem_event_owner;
CREATE ROLE tandem_event_dba;
CREATE DATABASE event_triggers OWNER tandem_event_dba;
\c event_triggers
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA app;
CREATE SCHEMA audit;
GRANT ALL ON SCHEMA app, audit TO tandem_event_owner;
SET search_path = app, audit;
SET datestyle = 'SQL, DMY';
CREATE TABLE audit.ddl_log (event text, tag text, path text, style text, role name);
GRANT ALL ON audit.ddl_log TO PUBLIC;
CREATE FUNCTION audit.log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO ddl_log VALUES (tg_event, tg_tag, current_setting('search_path'), current_setting('datestyle'), current_user);
END $$;
CREATE FUNCTION audit.log_fixed() RETURNS event_trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO audit.ddl_log VALUES ('fixed', tg_tag, current_setting('search_path'), current_setting('datestyle'), current_user);
END $$;
CREATE FUNCTION audit.make_triggers() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE EVENT TRIGGER log_start ON ddl_command_start EXECUTE FUNCTION log_ddl();
	CREATE EVENT TRIGGER log_end ON ddl_command_end EXECUTE FUNCTION log_ddl();
	CREATE EVENT TRIGGER log_drop ON sql_drop EXECUTE FUNCTION log_ddl();
	CREATE EVENT TRIGGER log_rewrite ON table_rewrite EXECUTE FUNCTION log_ddl();
	CREATE EVENT TRIGGER log_fixed ON ddl_command_end EXECUTE FUNCTION log_fixed();
	DELETE FROM ddl_log;
END $$;
CREATE FUNCTION audit.drop_triggers() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DROP EVENT TRIGGER log_start;
	DROP EVENT TRIGGER log_end;
	DROP EVENT TRIGGER log_drop;
	DROP EVENT TRIGGER log_rewrite;
	DROP EVENT TRIGGER log_fixed;
END $$;
-- What the triggers have seen since the last call.
CREATE FUNCTION audit.seen(OUT tags text, OUT paths text, OUT fixed_paths text, OUT styles text) LANGUAGE plpgsql AS $$
BEGIN
	SELECT string_agg(DISTINCT tag, ', ' ORDER BY tag), string_agg(DISTINCT path, ' | ' ORDER BY path) FILTER (WHERE event <> 'fixed'),
		string_agg(DISTINCT path, ' | ' ORDER BY path) FILTER (WHERE event = 'fixed'), string_agg(DISTINCT style, ' | ' ORDER BY style)
		INTO tags, paths, fixed_paths, styles FROM audit.ddl_log;
	DELETE FROM audit.ddl_log;
END $$;

--
-- Each call.
--
CREATE TABLE items (id integer, a integer, note text) PARTITION BY RANGE (id);
CREATE TABLE items_1 PARTITION OF items FOR VALUES FROM (0) TO (1000);
INSERT INTO items SELECT i, i, 'x' FROM generate_series(1, 3) i;
SELECT audit.make_triggers();
SELECT tandem.create_migration('each', release => 42);
SELECT tandem.add_column('each', 'items', 'b', 'bigint');
SELECT * FROM audit.seen();
SELECT tandem.sync_column('each', 'items', 'a', 'b', 'a * 10', 'b / 10');
SELECT * FROM audit.seen();
SELECT tandem.add_index('each', 'CREATE INDEX items_b ON items (b)');
SELECT tandem.add_constraint('each', 'items', 'items_b_good', 'CHECK (b > 0)');
SELECT tags IS NOT NULL AS tried, paths, styles FROM audit.seen();
SELECT tandem.add_not_null('each', 'items', 'b');
SELECT tandem.create_views(41);
SELECT tandem.create_views(42);
SELECT * FROM audit.seen();
CREATE TABLE items_2 PARTITION OF items FOR VALUES FROM (1000) TO (2000);
SELECT * FROM audit.seen();
CALL tandem.migrate('each');
SELECT paths, fixed_paths, styles FROM audit.seen();
CALL tandem.contract('each', undeclared => 'ignore');
SELECT tags LIKE 'ALTER TABLE%' AS seen, paths, styles FROM audit.seen();
SELECT tandem.drop_views(41);
SELECT * FROM audit.seen();

-- In the background the path is that of expand.
CREATE TABLE others (id integer PRIMARY KEY, a integer);
INSERT INTO others SELECT i, i FROM generate_series(1, 3) i;
SELECT tandem.create_migration('behind');
SELECT tandem.add_column('behind', 'others', 'b', 'bigint');
SELECT tandem.sync_column('behind', 'others', 'a', 'b', 'a * 10', 'b / 10');
SELECT tandem.add_not_null('behind', 'others', 'b');
SELECT tandem.add_index('behind', 'CREATE INDEX others_b ON others (b)');
SELECT audit.drop_triggers();
SELECT audit.make_triggers();
RESET search_path;
CALL tandem.migrate('behind', background => true);
CALL tandem.migrate('behind', if_running => 'wait');
SELECT name, phase, error FROM tandem.migrations WHERE name = 'behind';
SELECT paths FROM audit.seen();
SET search_path = app, audit;
CALL tandem.abort('behind');
SELECT tags, paths FROM audit.seen();

--
-- Made in mid-migration, without what it needs: nothing is done by halves, the error says whose it is, and once the trigger
-- is gone the call is made again.
--
CREATE FUNCTION audit.fail() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'no DDL on Fridays';
END $$;
SELECT tandem.create_migration('locked', release => 43);
SELECT tandem.add_column('locked', 'others', 'b', 'bigint');
SELECT tandem.sync_column('locked', 'others', 'a', 'b', 'a * 10', 'b / 10');
SELECT tandem.add_not_null('locked', 'others', 'b');
CREATE EVENT TRIGGER fail ON ddl_command_end EXECUTE FUNCTION fail();
SELECT tandem.add_column('locked', 'others', 'c', 'bigint');
SELECT tandem.create_views(43);
\set VERBOSITY terse
CALL tandem.migrate('locked');
SELECT tandem.pause('locked');
CALL tandem.migrate('locked', background => true);
SELECT tandem.resume('locked');
CALL tandem.migrate('locked', if_running => 'wait');
\set VERBOSITY default
CALL tandem.abort('locked', force => true);
DROP EVENT TRIGGER fail;
SELECT phase FROM tandem.migrations WHERE name = 'locked';
CALL tandem.migrate('locked');
CREATE EVENT TRIGGER fail ON sql_drop EXECUTE FUNCTION fail();
CALL tandem.contract('locked', undeclared => 'ignore');
SELECT phase FROM tandem.migrations WHERE name = 'locked';
SELECT count(*) FROM pg_attribute WHERE attrelid = 'others'::regclass AND attname IN ('a', 'b');
UPDATE others SET a = 5 WHERE id = 1 RETURNING b;
DROP EVENT TRIGGER fail;
CALL tandem.contract('locked', undeclared => 'ignore');
SELECT phase FROM tandem.migrations WHERE name = 'locked';
SELECT paths FROM audit.seen();

--
-- The path of the caller does not reach what our statements name.
--
CREATE SCHEMA evil;
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'evil.lower'; END $$;
CREATE FUNCTION evil.same(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'evil.='; END $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.same);
CREATE DOMAIN evil.text AS pg_catalog.text CHECK (false);
CREATE TABLE words (id integer PRIMARY KEY, a text);
INSERT INTO words VALUES (1, 'A');
SELECT tandem.create_migration('words', release => 44);
SELECT tandem.add_column('words', 'words', 'b', 'text');
SELECT tandem.sync_column('words', 'words', 'a', 'b', 'CASE a WHEN ''z'' THEN ''y'' ELSE lower(a) END', NULL);
SELECT tandem.add_constraint('words', 'words', 'words_low', 'CHECK (b = lower(b))');
SELECT tandem.add_index('words', 'CREATE INDEX words_b ON words (lower(b)) WHERE b = ''x''');
SELECT audit.seen() IS NOT NULL AS seen;
SET search_path = evil, pg_catalog, app, audit;
SELECT tandem.create_views(44);
CALL tandem.migrate('words');
SET search_path = app, audit;
SELECT paths FROM audit.seen();
SELECT a, b FROM words;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'words_low';
SELECT pg_get_indexdef('words_b'::regclass);
SET search_path = evil, pg_catalog, app, audit;
CALL tandem.contract('words', undeclared => 'ignore', force => true);
SET search_path = app, audit;
SELECT phase FROM tandem.migrations WHERE name = 'words';
SELECT paths FROM audit.seen();

--
-- Of a role without the rights of the owner the path does not count: it would choose what runs with these rights.
--
SELECT audit.drop_triggers();
CREATE FUNCTION audit.note_it() RETURNS void LANGUAGE sql AS $$ INSERT INTO audit.ddl_log VALUES ('good', NULL, current_setting('search_path'), NULL, current_user) $$;
CREATE FUNCTION audit.call_note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM note_it(); END $$;
CREATE FUNCTION evil.note_it() RETURNS void LANGUAGE sql AS $$ INSERT INTO audit.ddl_log VALUES ('evil', NULL, current_setting('search_path'), NULL, current_user) $$;
GRANT USAGE ON SCHEMA evil, audit, app TO PUBLIC;
CREATE TABLE owned (id integer PRIMARY KEY, a integer);
ALTER TABLE owned OWNER TO tandem_event_owner;
SET ROLE tandem_event_owner;
SELECT tandem.create_migration('owned');
SELECT tandem.add_column('owned', 'owned', 'b', 'integer');
SELECT tandem.sync_column('owned', 'owned', 'a', 'b', 'a', 'b');
RESET ROLE;
DELETE FROM audit.ddl_log;
CREATE EVENT TRIGGER call_note ON ddl_command_end EXECUTE FUNCTION call_note();
SET ROLE tandem_event_dba;
SET search_path = evil, app;
CALL tandem.abort('owned');
RESET ROLE;
SET search_path = app, audit;
SELECT DISTINCT event, path, role FROM audit.ddl_log ORDER BY event;
SELECT phase FROM tandem.migrations WHERE name = 'owned';
-- Of a superuser it counts: it is his own.
DELETE FROM audit.ddl_log;
SET ROLE tandem_event_owner;
SELECT tandem.create_migration('owned_2');
SELECT tandem.add_column('owned_2', 'owned', 'b', 'integer');
SELECT tandem.sync_column('owned_2', 'owned', 'a', 'b', 'a', 'b');
SELECT tandem.add_not_null('owned_2', 'owned', 'b');
RESET ROLE;
DELETE FROM audit.ddl_log;
CALL tandem.migrate('owned_2');
SELECT DISTINCT event, path, role FROM audit.ddl_log ORDER BY role, path;
CALL tandem.abort('owned_2');
DROP EVENT TRIGGER call_note;

--
-- What the server evaluates for a statement that names no function finds its names under the path of expand, too.
--
CREATE FUNCTION app.helper() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 0; END $$;
CREATE FUNCTION app.least_price() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN helper(); END $$;
CREATE TABLE priced (id integer, a integer, CHECK (a > least_price()));
INSERT INTO priced VALUES (1, 1);
SELECT tandem.create_migration('priced');
SELECT tandem.add_column('priced', 'priced', 'b', 'integer');
SELECT tandem.sync_column('priced', 'priced', 'a', 'b', 'a', 'b');
SELECT tandem.add_not_null('priced', 'priced', 'b');
SELECT tandem.add_constraint('priced', 'priced', 'priced_pkey', 'PRIMARY KEY (id)');
CALL tandem.migrate('priced');
SELECT phase, error FROM tandem.migrations WHERE name = 'priced';
CALL tandem.abort('priced');

\c postgres
DROP DATABASE event_triggers;
DROP ROLE tandem_event_owner, tandem_event_dba;
