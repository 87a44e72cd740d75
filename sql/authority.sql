-- Who may act on a migration: roles that come, go, and change their names; tables that change hands.
CREATE DATABASE authority;
\c authority
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only
\pset null '-'
CREATE EXTENSION pg_tandem;
GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO PUBLIC;
CREATE ROLE authority_owner;
CREATE ROLE authority_other;
CREATE ROLE authority_deployer IN ROLE authority_owner;
CREATE ROLE authority_second IN ROLE authority_owner;
CREATE ROLE authority_both IN ROLE authority_owner, authority_other;
CREATE ROLE authority_mallory;
CREATE ROLE authority_dba;
ALTER DATABASE authority OWNER TO authority_dba;
CREATE SCHEMA app;
GRANT ALL ON SCHEMA app TO PUBLIC;
SET search_path = app;

-- What the current role is told by a call.
CREATE FUNCTION public.try(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE call;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', state, message, nullif(detail, ''), CASE WHEN state = '42501' THEN nullif(hint, '') END);
END $$;
-- What becomes of each call of migration m as a role; all that it does is undone.
CREATE FUNCTION public.may(name text) RETURNS TABLE (call text, becomes text) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH call IN ARRAY ARRAY[
		'SELECT tandem.add_column(%L, ''app.t1'', ''more'', ''text'')',
		'SELECT tandem.sync_column(%L, ''app.t1'', ''a'', ''more'', ''a'')',
		'SELECT tandem.sync_columns(%L, ''app.t1'', ''{a}'', ''{more}'', ''{a}'')',
		'SELECT tandem.add_index(%L, ''CREATE INDEX more ON app.t1 (a)'')',
		'SELECT tandem.add_constraint(%L, ''app.t1'', ''more'', ''CHECK (a > 0)'')',
		'SELECT tandem.add_not_null(%L, ''app.t1'', ''a'')',
		'SELECT tandem.pause(%L)', 'SELECT tandem.resume(%L)', 'SELECT tandem.cancel(%L)',
		'SELECT tandem.configure(%L, ''tandem.vacuum_every'', ''1'')',
		'SELECT tandem.verify(%L)', 'SELECT tandem.forget(%L)',
		'CALL tandem.contract(%L)', 'CALL tandem.contract(%L, force => true)',
		'CALL tandem.abort(%L)']
	LOOP
		BEGIN
			becomes := public.try(format(call, name));
			RAISE SQLSTATE 'UNDO0';
		EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
			NULL;
		END;
		becomes := CASE WHEN becomes LIKE '42501 | permission denied for migration%' THEN 'denied' ELSE 'allowed' END;
		RETURN NEXT;
	END LOOP;
END $$;

-- Without a table it is its creator's, and of who was granted the creator.
SET ROLE authority_deployer;
SELECT tandem.create_migration('m');
SELECT public.try($$SELECT tandem.pause('m')$$);
SET ROLE authority_owner;	-- which is granted to the creator, not the creator to it
SELECT public.try($$SELECT tandem.resume('m')$$);
SET ROLE authority_mallory;
SELECT public.try($$SELECT tandem.configure('m', 'tandem.vacuum_every', '0')$$);
CALL tandem.migrate('m');
CALL tandem.migrate('m', background => true);
SELECT becomes, count(*), max(call) FROM public.may('m') GROUP BY 1;

-- With tables it is of who has the rights of every owner; its creator has no other.
SET ROLE authority_owner;
CREATE TABLE t1 (id integer PRIMARY KEY, a integer, b integer);
INSERT INTO t1 VALUES (1, 1), (2, 2);
SET ROLE authority_other;
CREATE TABLE t2 (id integer PRIMARY KEY, a integer, b integer);
RESET ROLE;
GRANT authority_deployer TO authority_both;
SET ROLE authority_both;
SELECT tandem.sync_column('m', 't1', 'a', 'b', 'a', 'b');
SET ROLE authority_owner;	-- for now all its tables are this role's
SELECT becomes, count(*) FROM public.may('m') GROUP BY 1;
SET ROLE authority_both;
SELECT tandem.sync_column('m', 't2', 'a', 'b', 'a', 'b');
SELECT becomes, count(*) FROM public.may('m') GROUP BY 1;
SET ROLE authority_owner;
SELECT becomes, count(*) FROM public.may('m') GROUP BY 1;
SELECT public.try($$SELECT tandem.pause('m')$$);
CALL tandem.migrate('m');
SET ROLE authority_deployer;
SELECT becomes, count(*) FROM public.may('m') GROUP BY 1;
SET ROLE authority_mallory;
SELECT becomes, count(*) FROM public.may('m') GROUP BY 1;
-- the owner of the database may end it, and nothing else
SET ROLE authority_dba;
SELECT becomes, count(*), max(call) FROM public.may('m') GROUP BY 1 ORDER BY 1;
CALL tandem.migrate('m');
RESET ROLE;
SELECT becomes, count(*) FROM public.may('m') GROUP BY 1;

-- The owners of now count: a membership that is revoked, a table that changes hands, a table of columns or steps alone.
REVOKE authority_other FROM authority_both;
SET ROLE authority_both;
SELECT public.try($$SELECT tandem.pause('m')$$);
RESET ROLE;
ALTER TABLE t2 OWNER TO authority_owner;
SET ROLE authority_both;
SELECT public.try($$SELECT tandem.pause('m')$$);
SET ROLE authority_second;
SELECT public.try($$SELECT tandem.resume('m')$$);
SELECT tandem.create_migration('column');
SELECT tandem.add_column('column', 't1', 'c', 'text');
SELECT tandem.create_migration('step');
SELECT tandem.add_index('step', 'CREATE INDEX t2_a ON t2 (a)');
RESET ROLE;
ALTER TABLE t1 OWNER TO authority_other;
ALTER TABLE t2 OWNER TO authority_other;
SET ROLE authority_second;
SELECT public.try($$SELECT tandem.pause('column')$$);
SELECT public.try($$SELECT tandem.pause('step')$$);
SET ROLE authority_other;
SELECT public.try($$SELECT tandem.pause('column')$$), public.try($$SELECT tandem.pause('step')$$), public.try($$SELECT tandem.pause('m')$$);
CALL tandem.abort('column');
CALL tandem.abort('step');

-- One table that is gone leaves those of the others; the last one leaves the creator.
DROP TABLE t1;
SELECT public.try($$SELECT tandem.resume('m')$$);
DROP TABLE t2;
SELECT public.try($$SELECT tandem.resume('m')$$);
SET ROLE authority_deployer;
SELECT public.try($$SELECT tandem.resume('m')$$);
CALL tandem.abort('m');

-- The owner ends one of whose tables some are gone, with all that was built on the others.
SET ROLE authority_owner;
CREATE TABLE gone (id integer, a integer, b integer);
CREATE TABLE stays (id integer, a integer, b integer);
SELECT tandem.create_migration('gone');
SELECT tandem.sync_column('gone', 'gone', 'a', 'b', 'a', 'b');
SELECT tandem.add_index('gone', 'CREATE INDEX gone_b ON gone (b)');
SELECT tandem.add_constraint('gone', 'gone', 'positive', 'CHECK (b > 0)');
SELECT tandem.add_not_null('gone', 'gone', 'b');
SELECT tandem.sync_column('gone', 'stays', 'a', 'b', 'a', 'b');
SELECT tandem.add_index('gone', 'CREATE INDEX stays_b ON stays (b)');
CALL tandem.migrate('gone');
DROP TABLE gone;
CALL tandem.abort('gone');
SELECT count(*) FROM pg_index WHERE indrelid = 'stays'::regclass;
DROP TABLE stays;

-- A partition of another owner counts like the table above it.
RESET ROLE;
CREATE TABLE p (id integer, a integer, b integer) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10);
ALTER TABLE p OWNER TO authority_owner;
ALTER TABLE p1 OWNER TO authority_owner;
SET ROLE authority_owner;
SELECT tandem.create_migration('p');
SELECT tandem.sync_column('p', 'p', 'a', 'b', 'a', 'b');
SELECT public.try($$SELECT tandem.pause('p')$$);
RESET ROLE;
ALTER TABLE p1 OWNER TO authority_other;
SET ROLE authority_owner;
SELECT public.try($$SELECT tandem.resume('p')$$);
-- the owner of the database ends it, who has no right on any of its tables
SET ROLE authority_dba;
SELECT public.try($$SELECT tandem.resume('p')$$);
CALL tandem.abort('p');
SELECT phase FROM tandem.migrations WHERE name = 'p';
SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = '~tandem_sync';
RESET ROLE;
DROP TABLE p;

-- All that a migration has is taken back by the owner of the database: columns, constraints, indexes, views of releases.
SET ROLE authority_owner;
CREATE TABLE t (id integer PRIMARY KEY, a integer);
INSERT INTO t VALUES (1, 1);
SELECT tandem.create_migration('whole', release => 2);
SELECT tandem.add_column('whole', 't', 'b', 'integer');
SELECT tandem.sync_column('whole', 't', 'a', 'b', 'a', 'b');
SELECT tandem.add_index('whole', 'CREATE INDEX t_b ON t (b)');
SELECT tandem.add_constraint('whole', 't', 'positive', 'CHECK (b > 0)');
SELECT tandem.add_constraint('whole', 't', 'key', 'UNIQUE (b)');
SELECT tandem.add_not_null('whole', 't', 'b');
RESET ROLE;
GRANT CREATE ON DATABASE authority TO authority_owner;
SET ROLE authority_owner;
SELECT tandem.create_views(2);
CALL tandem.migrate('whole');
SET ROLE authority_dba;
CALL tandem.abort('whole');
RESET ROLE;
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 't'::regclass;
SELECT conname FROM pg_constraint WHERE conrelid = 't'::regclass AND contype <> 'n';
SELECT attname FROM pg_attribute WHERE attrelid = 'release_2.t'::regclass AND attnum > 0;

-- Names that are taken first.
SET ROLE authority_mallory;
SELECT tandem.create_migration('visibility', release => 42);
SELECT public.try($$SELECT tandem.create_migration('visibility', release => 42)$$);
-- a superuser runs the script of that release; that it has everybody's rights is no grant
RESET ROLE;
SELECT public.try($$SELECT tandem.create_migration('visibility', release => 42)$$);
SELECT tandem.create_migration('visibility', release => 42);
-- neither is that of who has a right to nothing of the kind; each is told what it can do
SET SESSION AUTHORIZATION authority_owner;
SELECT tandem.create_migration('visibility', release => 42);
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION authority_dba;
SELECT tandem.create_migration('visibility', release => 42);
CALL tandem.abort('visibility');
SELECT tandem.create_migration('visibility', release => 42);
CALL tandem.abort('visibility');
RESET SESSION AUTHORIZATION;
-- nodes that are one role, or were granted it, pass over it
SET ROLE authority_deployer;
SET client_min_messages = notice;
SELECT tandem.create_migration('nodes', release => 42);
SELECT tandem.create_migration('nodes', release => 42);
SET ROLE authority_both;
SELECT tandem.create_migration('nodes', release => 42);
SET client_min_messages = warning;
SET ROLE authority_second;
SELECT tandem.create_migration('nodes', release => 42);
-- when it is done who may act for the owners of its tables passes over it, too; nobody else does
SET ROLE authority_deployer;
SET SESSION AUTHORIZATION authority_owner;
CREATE TABLE n (id integer, a integer, b integer);
RESET SESSION AUTHORIZATION;
SET ROLE authority_deployer;
SELECT tandem.sync_column('nodes', 'n', 'a', 'b', 'a', 'b');
CALL tandem.migrate('nodes');
CALL tandem.contract('nodes');
SET ROLE authority_second;
SET client_min_messages = notice;
SELECT tandem.create_migration('nodes', release => 42);
SET client_min_messages = warning;
SET ROLE authority_mallory;
SELECT tandem.create_migration('nodes', release => 42);
RESET ROLE;
SELECT tandem.create_migration('nodes', release => 42);
SET ROLE authority_mallory;
-- one without a table that is done is no way to take a name either
SELECT tandem.create_migration('empty');
CALL tandem.migrate('empty');
CALL tandem.contract('empty');
SET ROLE authority_owner;
SELECT tandem.create_migration('empty');

-- A role that was renamed keeps what it has; the name that became free inherits nothing.
RESET ROLE;
CREATE ROLE authority_creator;
SET ROLE authority_creator;
SELECT tandem.create_migration('renamed');
RESET ROLE;
ALTER ROLE authority_creator RENAME TO authority_renamed;
CREATE ROLE authority_creator;
SET ROLE authority_creator;
SELECT public.try($$SELECT tandem.pause('renamed')$$);
SELECT public.try($$SELECT tandem.create_migration('renamed')$$);
SET ROLE authority_renamed;
SELECT public.try($$SELECT tandem.pause('renamed')$$);
SELECT created_by, paused_by FROM tandem.migrations WHERE name = 'renamed';
-- A role that is dropped leaves it to nobody: a superuser, and the owner of the database, who ends it.
RESET ROLE;
DROP ROLE authority_renamed;
SET ROLE authority_creator;
SELECT public.try($$SELECT tandem.pause('renamed')$$);
SELECT public.try($$SELECT tandem.create_migration('renamed')$$);
RESET ROLE;
CREATE ROLE authority_renamed;
SET ROLE authority_renamed;
SELECT public.try($$SELECT tandem.pause('renamed')$$);
SELECT created_by FROM tandem.migrations WHERE name = 'renamed';
SET ROLE authority_dba;
SELECT public.try($$SELECT tandem.resume('renamed')$$);
RESET ROLE;
SELECT public.try($$SELECT tandem.resume('renamed')$$);
SET ROLE authority_dba;
CALL tandem.abort('renamed');
-- In another cluster an OID is believed only with its name.
SET ROLE authority_creator;
SELECT tandem.create_migration('restored');
RESET ROLE;
UPDATE tandem.migration SET created_by.cluster = '1' WHERE name = 'restored';
SET ROLE authority_creator;
SELECT public.try($$SELECT tandem.pause('restored')$$);
RESET ROLE;
UPDATE tandem.migration SET created_by.name = 'authority_other' WHERE name = 'restored';
SET ROLE authority_creator;
SELECT public.try($$SELECT tandem.pause('restored')$$);
SET ROLE authority_other;
SELECT public.try($$SELECT tandem.pause('restored')$$);
RESET ROLE;
CALL tandem.abort('restored');

-- The hold function runs as who configured it, found and called under that session's path.
SET ROLE authority_owner;
CREATE TABLE h (id integer PRIMARY KEY, a integer, b integer);
INSERT INTO h VALUES (1, 1);
SELECT tandem.create_migration('h');
SELECT tandem.sync_column('h', 'h', 'a', 'b', 'a', 'b');
RESET ROLE;
CREATE TABLE public.called (by name, temporary boolean);
GRANT ALL ON public.called TO PUBLIC;
-- has the next run look at every row again, and so ask the function
CREATE FUNCTION public.again() RETURNS void LANGUAGE sql
	AS $$ TRUNCATE public.called; UPDATE tandem.step SET state = 'pending', started_at = NULL, proof = NULL $$;
CREATE SCHEMA deploy AUTHORIZATION authority_deployer;
SET ROLE authority_deployer;
CREATE FUNCTION deploy.flag() RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION deploy.holds() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO public.called VALUES (current_user, EXISTS (SELECT FROM switches WHERE temporary));
	RETURN flag();
END $$;
CREATE TABLE deploy.switches (temporary boolean);
SET search_path = deploy, public;
SELECT tandem.configure('h', 'TANDEM.Hold_Function', 'holds');
SELECT tandem.configure('h', 'tandem.hold_function', 'no_such_function');
SELECT tandem.configure('h', 'tandem.hold_function', 'public.may');
SELECT settings FROM tandem.migrations WHERE name = 'h';
RESET ROLE;
SET search_path = app;
CREATE FUNCTION app.flag() RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
CREATE TEMP TABLE switches (temporary boolean);
INSERT INTO switches VALUES (true);
GRANT SELECT ON switches TO PUBLIC;
SET ROLE authority_owner;
CALL tandem.migrate('h');
SELECT DISTINCT by, temporary FROM public.called;
SELECT phase FROM tandem.migrations WHERE name = 'h';
-- a superuser that runs the migration gives it nothing
RESET ROLE;
SELECT public.again();
CALL tandem.migrate('h');
SELECT DISTINCT by, temporary FROM public.called;
-- nor is it called when its owner is another than it was
SELECT public.again();
ALTER FUNCTION deploy.holds() OWNER TO authority_mallory;
CALL tandem.migrate('h');
ALTER FUNCTION deploy.holds() OWNER TO authority_deployer;
-- when the role that configured it may no longer act
REVOKE authority_owner FROM authority_deployer;
CALL tandem.migrate('h');
GRANT authority_owner TO authority_deployer;
-- when that role is gone
UPDATE tandem.migration SET hold_by.role = '4000000000' WHERE name = 'h';
CALL tandem.migrate('h');
SELECT count(*) FROM public.called;
-- whoever may act takes it over, or takes it back
GRANT USAGE ON SCHEMA deploy TO PUBLIC;
GRANT SELECT ON deploy.switches TO PUBLIC;
SET ROLE authority_owner;
SET search_path = deploy, public;
SELECT tandem.configure('h', 'tandem.hold_function', 'deploy.holds');
RESET ROLE;
SET search_path = app;
CALL tandem.migrate('h');
SELECT DISTINCT by, temporary FROM public.called;
SELECT public.again();
SELECT tandem.configure('h', 'tandem.hold_function', NULL);
CALL tandem.migrate('h');
SELECT count(*) FROM public.called;
CALL tandem.abort('h');
-- that of a session has the rights of who has set it there
RESET ROLE;
TRUNCATE public.called;
ALTER FUNCTION deploy.holds() SET search_path = deploy, public;
SET ROLE authority_mallory;
CREATE FUNCTION app.sets() RETURNS text SECURITY DEFINER LANGUAGE sql
	AS $$ SELECT set_config('tandem.hold_function', 'deploy.holds', false) $$;
SET ROLE authority_owner;
SELECT tandem.create_migration('h');
SELECT tandem.sync_column('h', 'h', 'a', 'b', 'a', 'b');
RESET ROLE;
SELECT app.sets();
CALL tandem.migrate('h');
SELECT DISTINCT by FROM public.called;
RESET tandem.hold_function;
TRUNCATE public.called;
-- that of the database has the rights of its owner, whatever role runs it
ALTER DATABASE authority SET tandem.hold_function = 'deploy.holds';
\c authority
SET client_min_messages = warning;
SET search_path = app;
SELECT public.again();
CALL tandem.migrate('h');
SELECT DISTINCT by FROM public.called;
ALTER DATABASE authority RESET tandem.hold_function;
-- that of all roles is a superuser's word, and has the rights of the table's owner, the least that serve
ALTER ROLE ALL SET tandem.hold_function = 'deploy.holds';
\c authority
SET client_min_messages = warning;
SET search_path = app;
SELECT public.again();
CALL tandem.migrate('h');
SELECT DISTINCT by FROM public.called;
ALTER ROLE ALL RESET tandem.hold_function;
\c authority
SET client_min_messages = warning;
SET search_path = app;
CALL tandem.abort('h');

-- What another role's migration shows: not what may quote a row, nor what a function of the user's says.
SET ROLE authority_owner;
CREATE TABLE v (id integer PRIMARY KEY, a text, b integer);
INSERT INTO v VALUES (1, 'secret'), (2, '2');
SELECT tandem.create_migration('v');
SELECT tandem.sync_column('v', 'v', 'a', 'b', 'a::integer', 'b::text', on_error => 'quarantine');
CALL tandem.migrate('v');
RESET ROLE;
WITH failed AS (UPDATE tandem.step SET state = 'failed', started_at = now()
		WHERE kind = 'verify' AND relation = 'v'::regclass RETURNING id)
	INSERT INTO tandem.step_report (step, error, hint, waiting, blockers)
	SELECT id, 'secret', 'secret', 'secret', 'secret {pid ' || pg_backend_pid() || '}' FROM failed;
INSERT INTO tandem.run_report SELECT id, 'secret', 'secret' FROM tandem.migration WHERE name = 'v';
CREATE FUNCTION public.seen() RETURNS TABLE (place text, what text) LANGUAGE sql AS $$
	SELECT 'migrations', m::text FROM tandem.migrations m WHERE name = 'v' AND m::text LIKE '%secret%'
	UNION ALL SELECT 'progress', p.error || ' ' || p.hint FROM tandem.progress p WHERE migration = 'v' AND p::text LIKE '%secret%'
	UNION ALL SELECT 'quarantine', q.error || q.key::text FROM tandem.quarantine q
$$;
SELECT place FROM public.seen();
SET ROLE authority_deployer;
SELECT place FROM public.seen();
SET ROLE authority_mallory;
SELECT place FROM public.seen();
-- a right on some columns, and row security, hide it, too
RESET ROLE;
GRANT SELECT (id) ON v TO authority_mallory;
SET ROLE authority_mallory;
SELECT place FROM public.seen();
RESET ROLE;
GRANT SELECT ON v TO authority_mallory;
SET ROLE authority_mallory;
SELECT place FROM public.seen();
RESET ROLE;
ALTER TABLE v ENABLE ROW LEVEL SECURITY;
SET ROLE authority_mallory;
SELECT place FROM public.seen();
RESET ROLE;
ALTER TABLE v DISABLE ROW LEVEL SECURITY;
-- nobody's privilege is left of a table that is gone
DROP TABLE v;
SET ROLE authority_mallory;
SELECT place FROM public.seen();
SET ROLE authority_owner;
SELECT place FROM public.seen();
RESET ROLE;
SELECT place FROM public.seen();
CALL tandem.abort('v');
-- Whoever reads a mark of a session is told what pg_stat_activity tells.
SET ROLE authority_mallory;
SELECT regexp_replace(tandem.describe_sessions('by {pid ' || pg_backend_pid() || '} and {pid 0}, {xid 3}, {pid'), '\d+', 'N', 'g');
RESET ROLE;
GRANT pg_read_all_stats TO authority_mallory;
SET ROLE authority_mallory;
SELECT regexp_replace(regexp_replace(tandem.describe_sessions('by {pid ' || pg_backend_pid() || '}'), '\d+', 'N', 'g'), 'application [^,]*', 'application A');
RESET ROLE;
REVOKE pg_read_all_stats FROM authority_mallory;

-- Settings: those that everybody may set, and that are of a run.
SET ROLE authority_owner;
SELECT tandem.create_migration('s');
SELECT tandem.configure('s', 'tandem.undeclared', 'allow');
SELECT tandem.configure('s', 'tandem.release', '1');
SELECT tandem.configure('s', 'tandem.launcher_interval', '1');
SELECT tandem.configure('s', 'tandem.forget_after', '1');
SELECT tandem.configure('s', 'work_mem', '1GB');
SELECT tandem.configure('s', 'tandem.no_such', '1');
SELECT tandem.configure('s', 'Tandem.NICE_ratio', '7');
SELECT settings FROM tandem.migrations WHERE name = 's';
RESET ROLE;
SELECT tandem.configure('s', 'tandem.undeclared', 'allow');
CALL tandem.abort('s');

RESET ROLE;
\c postgres
DROP DATABASE authority;
DROP ROLE authority_deployer, authority_second, authority_both, authority_owner, authority_other, authority_mallory,
	authority_dba, authority_creator, authority_renamed;
