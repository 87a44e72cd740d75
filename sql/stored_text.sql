-- Text that somebody stored is parsed, planned and run as the owner of the table,
-- security-restricted, whoever calls.  Reading a literal may run the CHECK of a
-- domain: here one counts, in sequences that no rollback takes back, as whom it
-- is run, and whether it could have taken another role.
CREATE DATABASE stored_text;
\c stored_text
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION pg_tandem;
\pset format unaligned
\pset tuples_only
\pset null '-'
CREATE ROLE tandem_ex;
CREATE ROLE tandem_helper IN ROLE tandem_ex;
CREATE SCHEMA ex AUTHORIZATION tandem_ex;
SET SESSION AUTHORIZATION tandem_ex;
SET search_path = ex;
CREATE SEQUENCE as_owner MINVALUE 0;
CREATE SEQUENCE as_owner_free MINVALUE 0;
CREATE SEQUENCE as_another MINVALUE 0;
CREATE FUNCTION look() RETURNS boolean LANGUAGE plpgsql SET search_path = ex AS $$
BEGIN
	IF current_user <> 'tandem_ex' THEN
		PERFORM nextval('as_another');
		RETURN true;
	END IF;
	PERFORM set_config('role', 'none', false);
	PERFORM nextval('as_owner_free');
	RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
	PERFORM nextval('as_owner');
	RETURN true;
END $$;
GRANT USAGE ON SCHEMA ex TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA ex TO PUBLIC;
CREATE DOMAIN d AS integer CHECK (look());
-- a literal runs the CHECK where it is read, a constant call where it is planned
CREATE FUNCTION pass(d[], integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $2; END';
CREATE FUNCTION const(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM ex.look(); RETURN $1; END';
CREATE TABLE other (k integer PRIMARY KEY);
INSERT INTO other SELECT generate_series(0, 1100);

-- Whom the counters have seen since the last call.
CREATE FUNCTION seen() RETURNS text LANGUAGE plpgsql SET search_path = ex AS $$
DECLARE
	result text;
BEGIN
	SELECT concat_ws(', ', CASE WHEN a.is_called THEN 'the owner, restricted' END,
		CASE WHEN b.is_called THEN 'the owner' END, CASE WHEN c.is_called THEN 'ANOTHER' END)
		INTO result FROM as_owner a, as_owner_free b, as_another c;
	PERFORM setval('as_owner', 0, false), setval('as_owner_free', 0, false), setval('as_another', 0, false);
	RETURN coalesce(nullif(result, ''), 'nobody');
END $$;
CREATE FUNCTION expand(name text) RETURNS void LANGUAGE plpgsql SET search_path = ex AS $$
BEGIN
	EXECUTE format('CREATE TABLE %1$I (id integer PRIMARY KEY, a integer DEFAULT const(7)) PARTITION BY RANGE (id); '
		'CREATE TABLE %2$I PARTITION OF %1$I FOR VALUES FROM (0) TO (100); '
		'CREATE TABLE %3$I PARTITION OF %1$I DEFAULT; '
		'INSERT INTO %1$I SELECT i * 10, i FROM generate_series(1, 20) i', name, name || '_1', name || '_2');
	PERFORM tandem.create_migration(name);
	PERFORM tandem.add_column(name, name, 'b', 'integer');
	PERFORM tandem.sync_column(name, name, 'a', 'b', $t$pass('{1}'::d[], a) + const(0)$t$, $t$pass('{2}'::d[], b) + const(0)$t$,
		on_error => 'quarantine');
	PERFORM tandem.add_index(name, format($t$CREATE INDEX %I ON %I (pass('{3}'::d[], b)) WHERE pass('{4}'::d[], b) > const(0)$t$,
		name || '_b', name));
	PERFORM tandem.add_constraint(name, name, 'checked', $t$CHECK (pass('{5}'::d[], b) >= const(0))$t$);
	PERFORM tandem.add_constraint(name, name, 'refers', 'FOREIGN KEY (b) REFERENCES other');
	PERFORM tandem.add_constraint(name, name, name || '_single', 'UNIQUE (id, b)');
	PERFORM tandem.add_not_null(name, name, 'b');
END $$;
SELECT expand('by_superuser'), expand('by_member'), expand('by_role');
RESET SESSION AUTHORIZATION;
SET search_path = ex;
SELECT seen() <> '' AS forgotten;

-- A superuser, a member, a superuser that has taken the role.
\set name by_superuser
INSERT INTO :name (id, a) VALUES (1, 1);
SELECT 'write: ' || seen();
ALTER TABLE :name ADD c integer;
SELECT 'guard: ' || seen();
SELECT health FROM tandem.syncs WHERE migration = :'name';
SELECT 'syncs: ' || seen();
SELECT sum(rows_unfilled) FROM tandem.verify(:'name');
SELECT 'verify: ' || seen();
CALL tandem.migrate(:'name', workers => 2);
SELECT 'migrate: ' || seen();
SELECT count(*) FILTER (WHERE i.indisvalid), count(*) FROM pg_index i WHERE i.indrelid = :'name'::regclass;
SELECT conname, convalidated FROM pg_constraint WHERE conrelid = :'name'::regclass AND contype IN ('c', 'f', 'u') ORDER BY 1;
CALL tandem.contract(:'name', accept => '{defaults}');
SELECT 'contract: ' || seen();

\set name by_member
SET SESSION AUTHORIZATION tandem_helper;
INSERT INTO :name (id, a) VALUES (1, 1);
SELECT 'write: ' || seen();
ALTER TABLE :name ADD c integer;
SELECT 'guard: ' || seen();
SELECT health FROM tandem.syncs WHERE migration = :'name';
SELECT 'syncs: ' || seen();
SELECT sum(rows_unfilled) FROM tandem.verify(:'name');
SELECT 'verify: ' || seen();
CALL tandem.migrate(:'name', workers => 2);
SELECT 'migrate: ' || seen();
CALL tandem.contract(:'name', accept => '{defaults}');
SELECT 'contract: ' || seen();
RESET SESSION AUTHORIZATION;

\set name by_role
SET ROLE tandem_ex;
CALL tandem.migrate(:'name');
SELECT 'migrate: ' || seen();
CALL tandem.abort(:'name');
SELECT 'abort: ' || seen();
RESET ROLE;
SELECT count(*) FROM pg_index WHERE indrelid = :'name'::regclass;

-- Rows in quarantine tried again.
SET SESSION AUTHORIZATION tandem_ex;
CREATE TABLE q (id integer PRIMARY KEY, a text, b integer);
SELECT tandem.create_migration('q');
SELECT tandem.sync_column('q', 'q', 'a', 'b', $$pass('{1}'::d[], a::integer)$$, on_error => 'quarantine');
INSERT INTO q VALUES (1, 'x');
SELECT count(*) FROM tandem.quarantine;
RESET SESSION AUTHORIZATION;
SELECT seen() <> '' AS forgotten;
CALL tandem.migrate('q');
SELECT 'retry: ' || seen();
CALL tandem.abort('q');

-- Nothing that the owner's text does to the session outlives it.
SET SESSION AUTHORIZATION tandem_ex;
CREATE FUNCTION sets() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('search_path', 'nowhere', false), set_config('work_mem', '65kB', false);
	RETURN true;
END $$;
CREATE DOMAIN setting AS integer CHECK (sets());
CREATE FUNCTION pass(setting[], integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $2; END';
CREATE TABLE s (id integer PRIMARY KEY, a integer, b integer);
INSERT INTO s VALUES (1, 1);
SELECT tandem.create_migration('s');
SELECT tandem.sync_column('s', 's', 'a', 'b', $$ex.pass('{1}'::ex.setting[], a)$$);
RESET work_mem;
RESET SESSION AUTHORIZATION;
SET search_path = ex;
INSERT INTO s VALUES (2, 2);
SELECT health FROM tandem.syncs WHERE migration = 's';
CALL tandem.migrate('s');
SHOW search_path;
SHOW work_mem;
CALL tandem.abort('s');

-- What is temporary in the writer's session is not what the owner's text means: a
-- function whose body is read when it is planned, under the search_path of expand.
SET SESSION AUTHORIZATION tandem_ex;
CREATE DOMAIN price AS integer;
CREATE FUNCTION priced(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS $$ SELECT ('{1}'::price[])[1] * $1 $$;
CREATE TABLE z (id integer PRIMARY KEY, a integer, b integer);
GRANT ALL ON z TO PUBLIC;
SELECT tandem.create_migration('z');
SELECT tandem.sync_column('z', 'z', 'a', 'b', 'priced(a)');
RESET SESSION AUTHORIZATION;
SET search_path = pg_catalog;
CREATE ROLE tandem_trapper;
GRANT TEMP ON DATABASE stored_text TO tandem_trapper;
SET SESSION AUTHORIZATION tandem_trapper;
CREATE FUNCTION pg_temp.trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'sprung as %', current_user; RETURN true; END $$;
CREATE DOMAIN pg_temp.price AS integer CHECK (pg_temp.trap());
INSERT INTO ex.z VALUES (1, 1) RETURNING b;
RESET SESSION AUTHORIZATION;
SET search_path = ex;
CALL tandem.abort('z');

-- A partition of another owner: the rules are those of the table above, so they
-- run as its owner; what only the partition's owner may do is refused.
SET SESSION AUTHORIZATION tandem_ex;
SELECT expand('foreign_leaf');
RESET SESSION AUTHORIZATION;
ALTER TABLE foreign_leaf_1 OWNER TO session_user;
SELECT seen() <> '' AS forgotten;
INSERT INTO foreign_leaf_1 (id, a) VALUES (1, 1);
SELECT 'write: ' || seen();
CALL tandem.migrate('foreign_leaf');
\echo :LAST_ERROR_SQLSTATE
SELECT 'migrate: ' || seen();
ALTER TABLE foreign_leaf_1 OWNER TO tandem_ex;
CALL tandem.migrate('foreign_leaf');
SELECT 'migrate: ' || seen();
CALL tandem.abort('foreign_leaf');

-- What migrate adds as the owner, the owner must be allowed to: said at expand.
CREATE SCHEMA closed;
CREATE TABLE closed.t (id integer PRIMARY KEY, a integer);
ALTER TABLE closed.t OWNER TO tandem_ex;
CREATE TABLE hidden (k integer PRIMARY KEY);
GRANT USAGE ON SCHEMA closed TO tandem_ex;
SELECT tandem.create_migration('closed');
SELECT tandem.add_index('closed', 'CREATE INDEX ON closed.t (a)');
SELECT tandem.add_constraint('closed', 'closed.t', 'refers', 'FOREIGN KEY (a) REFERENCES hidden');
GRANT CREATE ON SCHEMA closed TO tandem_ex;
GRANT REFERENCES ON hidden TO tandem_ex;
SELECT tandem.add_index('closed', 'CREATE INDEX ON closed.t (a)');
SELECT tandem.add_constraint('closed', 'closed.t', 'refers', 'FOREIGN KEY (a) REFERENCES hidden');
CALL tandem.migrate('closed');
CALL tandem.abort('closed');

-- A conflict shows the values of those columns alone that the writer may select,
-- and none under row-level security.
SET SESSION AUTHORIZATION tandem_ex;
CREATE TABLE people (id integer, first text, last text, name text) PARTITION BY LIST (id);
CREATE TABLE people_1 PARTITION OF people FOR VALUES IN (1);
INSERT INTO people VALUES (1, 'Bob', 'Secret');
SELECT tandem.create_migration('people');
SELECT tandem.sync_columns('people', 'people', '{first, last}', '{name}', '{"first || '' '' || last"}',
	'{"split_part(name, '' '', 1)", "split_part(name, '' '', 2)"}');
RESET SESSION AUTHORIZATION;
GRANT USAGE ON SCHEMA ex TO tandem_trapper;
GRANT UPDATE (first, name), SELECT (id, first) ON people TO tandem_trapper;
SET ROLE tandem_trapper;
UPDATE people SET first = 'Eve', name = 'Mallory X' WHERE id = 1;
RESET ROLE;
GRANT SELECT ON people TO tandem_trapper;
SET ROLE tandem_trapper;
UPDATE people SET first = 'Eve', name = 'Mallory X' WHERE id = 1;
RESET ROLE;
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON people USING (true);
SET ROLE tandem_trapper;
UPDATE people SET first = 'Eve', name = 'Mallory X' WHERE id = 1;
RESET ROLE;
UPDATE people SET first = 'Eve', name = 'Mallory X' WHERE id = 1;
CALL tandem.abort('people');

\c postgres
DROP DATABASE stored_text;
DROP ROLE tandem_helper, tandem_ex, tandem_trapper;
