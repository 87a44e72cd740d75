-- Who may do what, and with whose rights what runs.
CREATE DATABASE rights;
\c rights
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION pg_tandem;
\pset format unaligned
\pset tuples_only
\pset null '-'
CREATE ROLE tandem_owner;
CREATE ROLE tandem_member IN ROLE tandem_owner;
CREATE ROLE tandem_writer;
CREATE ROLE tandem_stranger;
CREATE SCHEMA app AUTHORIZATION tandem_owner;
GRANT USAGE ON SCHEMA app TO tandem_writer, tandem_stranger, tandem_member;
SET search_path = app;

-- What PUBLIC may: read the views, call the functions; no table, not the guard.
SELECT c.relname, c.relacl FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = 'tandem' AND c.relkind IN ('r', 'S')
	AND (has_table_privilege('tandem_stranger', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE'));
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = 'tandem' AND c.relkind = 'v' AND NOT has_table_privilege('tandem_stranger', c.oid, 'SELECT') ORDER BY 1;
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'tandem'::regnamespace
	AND NOT has_function_privilege('tandem_stranger', p.oid, 'EXECUTE') ORDER BY 1;
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'tandem'::regnamespace AND p.prosecdef;
SELECT has_schema_privilege('tandem_stranger', 'tandem', 'CREATE');

-- A plain owner does the whole migration; a member of that role may take over.
SET ROLE tandem_owner;
CREATE TABLE t (id integer PRIMARY KEY, a text, secret text);
INSERT INTO t VALUES (1, '1'), (2, '2');
GRANT INSERT (id, a), UPDATE (a), SELECT (id, a) ON t TO tandem_writer;
CREATE FUNCTION who() RETURNS text STABLE LANGUAGE sql AS 'SELECT current_user::text';
SELECT tandem.create_migration('t');
SELECT tandem.add_column('t', 't', 'b', 'integer');
GRANT INSERT (b), UPDATE (b), SELECT (b) ON t TO tandem_writer;
SELECT tandem.sync_column('t', 't', 'a', 'b', 'a::integer', 'b::text', on_error => 'quarantine');
SET ROLE tandem_member;
SELECT tandem.add_column('t', 't', 'filled_by', 'text');
SELECT tandem.sync_column('t', 't', 'secret', 'filled_by', 'who()');
SELECT action, done_by FROM tandem.history;

-- Another role is refused each of them.
SET ROLE tandem_stranger;
SELECT tandem.create_migration('mine');
SELECT tandem.add_column('t', 't', 'c', 'text');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.sync_column('t', 't', 'a', 'b', 'a');
SELECT tandem.sync_columns('t', 't', '{a}', '{b}', '{a}');
CALL tandem.migrate('t');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.verify('t');
CALL tandem.contract('t');
CALL tandem.contract('t', force => true);
CALL tandem.abort('t');
SELECT tandem.add_column('mine', 't', 'c', 'text');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.sync_column('mine', 't', 'a', 'b', 'a');
DELETE FROM tandem.migration;
INSERT INTO tandem.owned_column VALUES (1, 't', 'a');
UPDATE tandem.sync SET up = '{1}';
SELECT * FROM tandem.quarantined_row;
-- the views show that there is a migration; not the keys of rows of a table that one may not read
SELECT name, phase, problem FROM tandem.migrations;
SELECT migration, relation, health FROM tandem.syncs;

-- A writer without any right on schema tandem, not even to look into it.
RESET ROLE;
REVOKE USAGE ON SCHEMA tandem FROM PUBLIC;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA tandem FROM PUBLIC;
SET ROLE tandem_writer;
SELECT * FROM tandem.migrations;
INSERT INTO t (id, a) VALUES (3, '3');
INSERT INTO t (id, b) VALUES (4, 4);
INSERT INTO t (id, a) VALUES (5, 'five');
UPDATE t SET b = 10 WHERE id = 1;
INSERT INTO t (id, a) VALUES (2, 'two') ON CONFLICT (id) DO UPDATE SET a = excluded.a;
SELECT id, a, b FROM t ORDER BY id;
RESET ROLE;
SELECT key, error FROM tandem.quarantine;
SELECT id, filled_by FROM t ORDER BY id;	-- evaluated as the writer
GRANT USAGE ON SCHEMA tandem TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tandem TO PUBLIC;
SET ROLE tandem_stranger;
SELECT count(*) FROM tandem.quarantine;
-- the backfill: as the owner, whoever calls it
SET ROLE tandem_member;
UPDATE t SET a = '5' WHERE id = 5;
UPDATE t SET a = '2' WHERE id = 2;
RESET ROLE;
ALTER TABLE t DROP COLUMN secret CASCADE;
UPDATE t SET filled_by = NULL;
CALL tandem.migrate('t');
SELECT id, filled_by FROM t ORDER BY id;
SET ROLE tandem_owner;
CALL tandem.contract('t');
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT DISTINCT action, CASE done_by WHEN session_user THEN 'superuser' ELSE done_by END FROM tandem.history
	WHERE migration = 't' ORDER BY 1, 2;

-- up runs with the writer's rights, as a CHECK constraint does.
RESET ROLE;
CREATE SCHEMA private AUTHORIZATION tandem_owner;
SET ROLE tandem_owner;
CREATE FUNCTION private.hidden(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN upper($1); END';
CREATE FUNCTION private.refused(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN upper($1); END';
REVOKE EXECUTE ON FUNCTION private.refused(text) FROM PUBLIC;
CREATE TABLE r (id integer, a text, b text, c text, CHECK (private.hidden(a) <> 'X'));
INSERT INTO r VALUES (0, 'o');
GRANT INSERT, UPDATE, SELECT ON r TO tandem_writer;
SELECT tandem.create_migration('r');
SELECT tandem.sync_column('r', 'r', 'a', 'b', 'private.hidden(a)');
SET ROLE tandem_writer;
SELECT private.hidden('a');
INSERT INTO r (id, a) VALUES (1, 'a');
SET ROLE tandem_owner;
SELECT tandem.sync_column('r', 'r', 'a', 'c', 'private.refused(a)');
SET ROLE tandem_writer;
INSERT INTO r (id, a) VALUES (2, 'b');
\echo :LAST_ERROR_SQLSTATE
SET ROLE tandem_owner;
INSERT INTO r (id, a) VALUES (3, 'c');
CALL tandem.migrate('r');
SELECT * FROM r ORDER BY id;
CALL tandem.abort('r');

-- The backfill and verify run as the owner under security restrictions, a superuser's call too.
CREATE FUNCTION breakout(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
	EXECUTE $1;
	RETURN current_user;
END $$;
CREATE TABLE e (id integer, how text, new text);
INSERT INTO e VALUES (1, 'SET ROLE tandem_stranger');
SELECT tandem.create_migration('e');
SELECT tandem.sync_column('e', 'e', 'how', 'new', 'breakout(how)');
RESET ROLE;
CALL tandem.migrate('e');
\echo :LAST_ERROR_SQLSTATE
-- its error quotes the row, so it is shown to who may read the table
SELECT state, error LIKE '%filling row (how)=(SET ROLE tandem_stranger) of table "e"' FROM tandem.progress
	WHERE migration = 'e' AND step = 'backfill';
SET ROLE tandem_stranger;
SELECT state, error FROM tandem.progress WHERE migration = 'e' AND step = 'backfill';
RESET ROLE;
SET session_replication_role = replica;		-- fires the sync all the same
UPDATE e SET how = 'SELECT 1';
SELECT new = session_user FROM e;
RESET session_replication_role;
CALL tandem.abort('e');

-- Reading a literal may run the CHECK of a domain: as the owner, whoever's command has the rules read.
SET ROLE tandem_owner;
CREATE DOMAIN checked AS integer CHECK (current_user = 'tandem_owner');
CREATE FUNCTION pass(checked[], integer) RETURNS integer STABLE LANGUAGE sql AS 'SELECT $2';
CREATE TABLE l (id integer, a integer, b integer);
SELECT tandem.create_migration('l');
SELECT tandem.sync_column('l', 'l', 'a', 'b', $$pass('{1}'::checked[], a)$$);
RESET ROLE;
ALTER TABLE l ADD c integer;
CREATE TRIGGER audit AFTER INSERT ON l FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CALL tandem.migrate('l');
SELECT phase, problem FROM tandem.migrations WHERE name = 'l';
CALL tandem.abort('l');
TRUNCATE e;
INSERT INTO e VALUES (1, 'SET SESSION AUTHORIZATION tandem_stranger'), (2, 'RESET ROLE'), (3, 'CREATE TEMP TABLE x (a integer)'),
	(4, 'SELECT 1'), (5, 'LISTEN x');
SET ROLE tandem_owner;
SELECT tandem.create_migration('e');
SELECT tandem.sync_column('e', 'e', 'how', 'new', 'breakout(how)', on_error => 'quarantine');
RESET ROLE;
CALL tandem.migrate('e');
SELECT id, new FROM e ORDER BY id;
SELECT key, sqlstate, error FROM tandem.quarantine;
SELECT current_user = session_user;
CALL tandem.abort('e');

-- A search_path with one's own operators and functions in front: none of it runs as the extension's owner.
RESET ROLE;
CREATE SCHEMA trap AUTHORIZATION tandem_stranger;
SET ROLE tandem_stranger;
CREATE FUNCTION trap.spring(what text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
	RAISE WARNING 'sprung: % as %', what, current_user;
	RETURN true;
END $$;
CREATE FUNCTION trap.eq(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT trap.spring('=') $$;
CREATE FUNCTION trap.eq(integer, integer) RETURNS boolean LANGUAGE sql AS $$ SELECT trap.spring('=') $$;
CREATE FUNCTION trap.eq(oid, oid) RETURNS boolean LANGUAGE sql AS $$ SELECT trap.spring('=') $$;
CREATE FUNCTION trap.eq(regclass, oid) RETURNS boolean LANGUAGE sql AS $$ SELECT trap.spring('=') $$;
CREATE FUNCTION trap.get(jsonb, text) RETURNS text LANGUAGE sql AS $$ SELECT trap.spring('->>')::text $$;
CREATE FUNCTION trap.eq(tid, tid) RETURNS boolean LANGUAGE sql AS $$ SELECT trap.spring('=') $$;
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.eq);
CREATE OPERATOR trap.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = trap.eq);
CREATE OPERATOR trap.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap.eq);
CREATE OPERATOR trap.= (LEFTARG = regclass, RIGHTARG = oid, FUNCTION = trap.eq);
CREATE OPERATOR trap.= (LEFTARG = tid, RIGHTARG = tid, FUNCTION = trap.eq);
CREATE OPERATOR trap.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.eq);
CREATE OPERATOR trap.->> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = trap.get);
CREATE FUNCTION trap.format(text, text) RETURNS text LANGUAGE sql AS $$ SELECT trap.spring('format')::text $$;
CREATE FUNCTION trap.md5(text) RETURNS text LANGUAGE sql AS $$ SELECT trap.spring('md5')::text $$;
CREATE FUNCTION trap.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT trap.spring('clock_timestamp')::text::timestamptz $$;
CREATE TYPE trap.regclass AS (a text);
CREATE TYPE trap.jsonb AS (a text);
CREATE TABLE trap.mine (id integer PRIMARY KEY, a text, b integer);
INSERT INTO trap.mine VALUES (1, '1'), (2, 'x');
SET search_path = trap, pg_catalog, pg_temp;
SELECT 'a'::text = 'b';		-- the trap works
SELECT tandem.create_migration('trap');
SELECT tandem.add_column('trap', 'mine', 'c', 'text');
SELECT tandem.sync_column('trap', 'mine', 'a', 'b', 'a::integer', 'b::text', on_error => 'quarantine');
INSERT INTO mine VALUES (3, 'y');
CALL tandem.migrate('trap');
UPDATE mine SET a = '2' WHERE true;
CALL tandem.migrate('trap');
SELECT rows_mismatched FROM tandem.verify('trap');
SELECT name, phase, problem FROM tandem.migrations WHERE pg_catalog.texteq(name, 'trap');
SELECT health FROM tandem.syncs WHERE pg_catalog.texteq(migration, 'trap');
SELECT percent FROM tandem.progress WHERE pg_catalog.texteq(migration, 'trap');
SELECT pg_catalog.count(*) FROM tandem.quarantine;
ALTER TABLE mine RENAME b TO d;
CALL tandem.contract('trap');
CALL tandem.abort('mine');
RESET search_path;

-- The trigger function is open to all, for the owner of a table must make the trigger; but a
-- trigger that somebody makes by hand cannot put rows into another's quarantine.
RESET ROLE;
SET search_path = app;
SET ROLE tandem_owner;
CREATE TABLE victim (a text, b integer);
SELECT tandem.create_migration('victim');
SELECT tandem.sync_column('victim', 'victim', 'a', 'b', 'a::integer', on_error => 'quarantine');
CALL tandem.migrate('victim');
RESET ROLE;
SELECT max(id) AS sync FROM tandem.sync \gset
SET ROLE tandem_stranger;
CREATE TABLE trap.forged (a text, b integer);
CREATE TRIGGER forged BEFORE INSERT ON trap.forged FOR EACH ROW
	EXECUTE FUNCTION tandem.sync_row('1', :'sync', 'victim', '0', 'error', 'quarantine', '', '{a}', '{b}', '{a::integer}', '{}');
INSERT INTO trap.forged VALUES ('x');
\echo :LAST_ERROR_SQLSTATE
SET ROLE tandem_owner;
-- who made a migration and owns the table no longer has no say in it; its owner has
RESET ROLE;
ALTER TABLE victim OWNER TO tandem_stranger;
SET ROLE tandem_owner;
CALL tandem.migrate('victim');
SELECT tandem.verify('victim');
CALL tandem.contract('victim');
CALL tandem.contract('victim', force => true);
CALL tandem.abort('victim');
\echo :LAST_ERROR_SQLSTATE
SET ROLE tandem_stranger;
CALL tandem.contract('victim');
SET ROLE tandem_owner;

-- Names that would be SQL if they were not quoted.
RESET ROLE;
CREATE SCHEMA "a""; DROP TABLE t; --" AUTHORIZATION tandem_owner;
SET ROLE tandem_owner;
CREATE TABLE "a""; DROP TABLE t; --"."t'; --" (id integer PRIMARY KEY, "o'; --" text, """; --{,}\ " text, "Ü""$$" integer);
INSERT INTO "a""; DROP TABLE t; --"."t'; --" VALUES (1, 'x', NULL, 7), (2, 'raises', NULL, 8);
SELECT tandem.create_migration($$m'; DROP TABLE t; --\$$, comment => $$'; --$$);
SELECT tandem.add_column($$m'; DROP TABLE t; --\$$, $$"a""; DROP TABLE t; --"."t'; --"$$, $$n'"; --$$, 'pg_catalog.int8');
SELECT tandem.sync_column($$m'; DROP TABLE t; --\$$, $$"a""; DROP TABLE t; --"."t'; --"$$, $$o'; --$$, $$"; --{,}\ $$,
	$$ "o'; --" || '''"\{,' $$, $$ split_part("""; --{,}\ ", '''', 1) $$);
SELECT tandem.sync_column($$m'; DROP TABLE t; --\$$, $$"a""; DROP TABLE t; --"."t'; --"$$, $$Ü"$$ || '$$', $$n'"; --$$,
	$$ 8 / (8 - "Ü""$$ || '$$" )', on_error => 'quarantine');
CALL tandem.migrate($$m'; DROP TABLE t; --\$$);
SELECT * FROM "a""; DROP TABLE t; --"."t'; --" ORDER BY id;
SELECT migration, relation, key, error FROM tandem.quarantine;
UPDATE "a""; DROP TABLE t; --"."t'; --" SET "Ü""$$" = 4 WHERE id = 2;
CALL tandem.migrate($$m'; DROP TABLE t; --\$$);
CALL tandem.contract($$m'; DROP TABLE t; --\$$);
SELECT * FROM "a""; DROP TABLE t; --"."t'; --" ORDER BY id;
SELECT count(*) FROM t;

-- What the owner of a table has to say in a migration runs with the owner's rights, also
-- when a superuser runs it: a CHECK's function, and that of hold_function.
RESET ROLE;
SET SESSION AUTHORIZATION tandem_owner;
CREATE TABLE owned (id integer PRIMARY KEY, old integer);
INSERT INTO owned VALUES (1, 1);
CREATE TABLE called (what text, by name);
CREATE FUNCTION checks(integer) RETURNS boolean LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$ BEGIN INSERT INTO called VALUES ('check', current_user); RETURN true; END $$;
CREATE FUNCTION holds() RETURNS boolean LANGUAGE plpgsql SET search_path FROM CURRENT
	AS $$ BEGIN INSERT INTO called VALUES ('hold', current_user); RETURN false; END $$;
CREATE FUNCTION escapes() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; RETURN false; END $$;
SELECT tandem.create_migration('owned');
ALTER TABLE owned ADD COLUMN new integer;
SELECT tandem.sync_column('owned', 'owned', old => 'old', new => 'new', up => 'old + 1', down => 'new - 1');
SELECT tandem.add_constraint('owned', 'owned', 'checked', 'CHECK (checks(new))');
SELECT tandem.configure('owned', 'tandem.hold_function', current_schema() || '.escapes');
RESET SESSION AUTHORIZATION;
CALL tandem.migrate('owned');
SET SESSION AUTHORIZATION tandem_owner;
SELECT tandem.configure('owned', 'tandem.hold_function', current_schema() || '.holds');
RESET SESSION AUTHORIZATION;
CALL tandem.migrate('owned');
SELECT DISTINCT what, by FROM called ORDER BY 1;
SELECT convalidated FROM pg_constraint WHERE conname = 'checked';
DROP TABLE called;

RESET ROLE;
\c postgres
DROP DATABASE rights;
DROP ROLE tandem_member, tandem_owner, tandem_writer, tandem_stranger;
