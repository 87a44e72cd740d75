/*
 * tandem_stub.sql: the calls of migration scripts, for servers without pg_tandem.
 *
 * On CI and laptops, without superuser: psql -f tandem_stub.sql.  Each operation is plain
 * DDL, done at once in the caller's transaction, as tandem.at_once has the extension do.
 * It only needs CREATE on the database.  Running it twice is harmless.
 */
DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_tandem') THEN
		RAISE EXCEPTION 'extension pg_tandem is installed in this database' USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'It needs no stub: ALTER DATABASE ... SET tandem.at_once = on;';
	END IF;
END $$;
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS tandem;
GRANT USAGE ON SCHEMA tandem TO PUBLIC;
CREATE TABLE IF NOT EXISTS tandem.stub_migration (name text PRIMARY KEY, release integer, comment text);
CREATE TABLE IF NOT EXISTS tandem.stub_call (migration text REFERENCES tandem.stub_migration, call text, PRIMARY KEY (migration, call));
CREATE TABLE IF NOT EXISTS tandem.stub_view (release integer, view text, PRIMARY KEY (release, view));
GRANT SELECT, INSERT, DELETE ON tandem.stub_migration, tandem.stub_call, tandem.stub_view TO PUBLIC;
RESET client_min_messages;

CREATE OR REPLACE FUNCTION tandem.plain_begin(migration text, call text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM tandem.stub_migration m WHERE m.name = $1) THEN
		RAISE EXCEPTION 'migration "%" does not exist', migration USING ERRCODE = 'undefined_object',
			HINT = format('Run SELECT tandem.create_migration(%L); first.', migration);
	END IF;
	IF EXISTS (SELECT FROM tandem.stub_call c WHERE c.migration = $1 AND c.call = $2) THEN
		RAISE NOTICE 'migration "%" has done this already, skipping', migration USING DETAIL = call;
		RETURN false;
	END IF;
	INSERT INTO tandem.stub_call VALUES (migration, call);
	RETURN true;
END $$;

-- Views of earlier releases go, as contract would have them end.
CREATE OR REPLACE FUNCTION tandem.create_migration(name text, release integer DEFAULT NULL,
	comment text DEFAULT NULL) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	old record;
BEGIN
	IF EXISTS (SELECT FROM tandem.stub_migration m WHERE m.name = $1) THEN
		RAISE NOTICE 'migration "%" is done, skipping', name;
		RETURN;
	END IF;
	INSERT INTO tandem.stub_migration VALUES (name, release, comment);
	FOR old IN SELECT v.view FROM tandem.stub_view v WHERE v.release < $2
	LOOP
		EXECUTE format('DROP VIEW IF EXISTS %s', old.view);
	END LOOP;
	DELETE FROM tandem.stub_view v WHERE v.release < $2;
END $$;
-- OPERATIONS

CREATE OR REPLACE PROCEDURE tandem.migrate(migration text, background boolean DEFAULT false,
	workers integer DEFAULT 1, if_running text DEFAULT 'error') LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'migration "%" is done, skipping', migration;
END $$;

CREATE OR REPLACE FUNCTION tandem.start_migrate(migration text, workers integer DEFAULT 1) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'migration "%" is done, skipping', migration;
END $$;

CREATE OR REPLACE PROCEDURE tandem.contract(migration text, force boolean DEFAULT false,
	undeclared text DEFAULT 'refuse', accept text[] DEFAULT '{}') LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'migration "%" is done, skipping', migration;
END $$;

CREATE OR REPLACE FUNCTION tandem.register_release(release integer, comment text DEFAULT NULL) RETURNS void LANGUAGE sql AS '';

CREATE OR REPLACE FUNCTION tandem.switch_release(release integer) RETURNS void LANGUAGE sql AS '';

CREATE OR REPLACE FUNCTION tandem.create_views(release integer, relations text[] DEFAULT NULL,
	schemas text[] DEFAULT NULL, refresh boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	item record;
	view text;
BEGIN
	IF EXISTS (SELECT FROM tandem.stub_migration m WHERE m.release OPERATOR(pg_catalog.>) $1) THEN
		RAISE NOTICE 'release % has ended, skipping its views', release;
		RETURN;
	END IF;
	FOR item IN
		SELECT c.oid, c.relname, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND (n.nspname::text OPERATOR(pg_catalog.=) ANY (coalesce($3, '{public}'))
			OR c.oid OPERATOR(pg_catalog.=) ANY (SELECT r::pg_catalog.regclass FROM pg_catalog.unnest($2) r))
	LOOP
		view := pg_catalog.format('%s.%I', CASE WHEN item.nspname OPERATOR(pg_catalog.=) 'public' THEN pg_catalog.format('release_%s', release)
			ELSE pg_catalog.format('%I', pg_catalog.format('%s__release_%s', item.nspname, release)) END, item.relname);
		EXECUTE pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %s', pg_catalog.split_part(view, '.', 1));
		EXECUTE pg_catalog.format('CREATE OR REPLACE VIEW %s AS SELECT * FROM %s', view, item.oid::pg_catalog.regclass);
		INSERT INTO tandem.stub_view VALUES (release, view) ON CONFLICT DO NOTHING;
	END LOOP;
END $$;
