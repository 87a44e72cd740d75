-- tandem.lint of scripts that are deep, odd or wide.
CREATE DATABASE tandem_lint_hostile;
\c tandem_lint_hostile
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
SET lock_timeout = '1min';
CREATE TABLE orders (id int PRIMARY KEY, amount int, note text);
CREATE TABLE events (id int, day int NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
CREATE INDEX events_day ON events (day);
CREATE SCHEMA "odd ones";
CREATE TABLE "odd ones"."part 2" PARTITION OF events FOR VALUES FROM (100) TO (200);
CREATE FUNCTION found(script text) RETURNS TABLE (statement int, line int, severity text, rule text, relation text, message text, advice text)
LANGUAGE sql AS $$
	SELECT l.statement, l.line, l.severity, l.rule, l.relation, l.message, l.advice FROM tandem.lint(script) l WHERE l.rule <> 'locks'
$$;
CREATE FUNCTION shown(script text) RETURNS TABLE (rule text, severity text, relation text, message text)
LANGUAGE sql AS $$SELECT l.rule, l.severity, l.relation, left(l.message, 60) FROM tandem.lint(script) l WHERE l.rule <> 'not-repeatable'$$;
\pset format unaligned
\pset tuples_only on

-- expressions as deep as the text is long: the grammar reads them, and what walks them may not trust in that
SELECT * FROM shown('ALTER TABLE orders ADD x int GENERATED ALWAYS AS (amount' || repeat('+1', 300000) || ') STORED');
SELECT * FROM shown('ALTER TABLE orders ALTER amount TYPE bigint USING amount' || repeat('+1', 300000));
SELECT * FROM shown('ALTER TABLE orders ALTER amount TYPE bigint USING amount' || repeat('::int', 300000));
SELECT * FROM shown('ALTER TABLE orders ADD x float8 DEFAULT random()' || repeat('+1', 300000));
SELECT * FROM shown('ALTER TABLE orders ADD CHECK (amount' || repeat('+1', 300000) || ' > 0)');
SET tandem.ddl_check = refuse;
SET tandem.ddl_check_size = 0;
DO $$
BEGIN
	EXECUTE 'ALTER TABLE orders ALTER amount TYPE bigint USING amount' || repeat('::int', 300000);
EXCEPTION WHEN statement_too_complex THEN RAISE WARNING 'the server says that it is too deep';
END $$;
RESET tandem.ddl_check;
RESET tandem.ddl_check_size;

-- the advice has the words of the clause: all of them, and no others
SELECT advice FROM found('ALTER TABLE orders ALTER amount TYPE bigint USING (amount + 1) * 2, ADD y int');
SELECT advice FROM found('ALTER TABLE orders ADD x float8 DEFAULT (random() * 10)::float8 NOT NULL, ADD y int');
SELECT advice FROM found('ALTER TABLE orders ADD x text DEFAULT (random()::text || '','') || ''x'' COLLATE "C" NOT NULL');
SELECT advice FROM found('ALTER TABLE orders ADD x int GENERATED ALWAYS AS ((amount + 1) * 2) STORED');
SELECT advice FROM found($q$ALTER TABLE orders ALTER note TYPE bigint USING replace(note, E'\',', $$',($$)::bigint, ADD y int$q$);
SELECT advice FROM found('ALTER TABLE orders ADD CONSTRAINT            unique_check CHECK (amount > 0), ADD y int');
SELECT advice FROM found('ALTER TABLE orders ADD CONSTRAINT "no CHECK, but" UNIQUE (note)');
SELECT advice FROM found('ALTER TABLE events DETACH PARTITION "odd ones"."part 2"');
BEGIN;
CREATE TABLE events_others PARTITION OF events DEFAULT;
SELECT advice FROM found('ALTER TABLE events DETACH PARTITION events_1');
ROLLBACK;

-- what a name means: temporary tables, the schema in which a table is made
SELECT * FROM found('CREATE TEMP TABLE orders AS SELECT 1 AS amount; ALTER TABLE orders DROP amount; ALTER TABLE pg_temp.orders DROP x; ALTER TABLE public.orders DROP note');
SELECT * FROM found('CREATE TABLE x (id int); ALTER TABLE public.x ALTER id TYPE bigint');
SELECT * FROM found('CREATE SCHEMA a; SET search_path = a; CREATE TABLE x (id int); ALTER TABLE a.x DROP id; ALTER TABLE x DROP id; ALTER TABLE orders DROP id');
SELECT * FROM found('SET search_path = "odd ones"; ALTER TABLE "part 2" DROP id; RESET search_path; ALTER TABLE orders DROP id');
SELECT * FROM found('SET search_path = "$user", public; CREATE TABLE x (id int); ALTER TABLE public.x DROP id');

-- what does nothing is no danger, and what nobody else sees does not keep anybody waiting
SELECT * FROM found('ALTER TABLE orders ADD COLUMN IF NOT EXISTS amount int NOT NULL, DROP COLUMN IF EXISTS nothing, DROP CONSTRAINT IF EXISTS nothing');
SELECT * FROM found('CREATE INDEX IF NOT EXISTS orders_pkey ON orders (amount)');
SELECT * FROM found('CREATE TABLE x (id int); ALTER TABLE x ADD y int; ALTER TABLE orders ADD y int');

-- statements that name no table
SELECT * FROM shown('VACUUM FULL');
SELECT * FROM shown('CLUSTER');
BEGIN;
ALTER TABLE orders CLUSTER ON orders_pkey;
SELECT * FROM shown('CLUSTER');
ROLLBACK;
SELECT * FROM shown('REINDEX SCHEMA public');
SELECT * FROM shown('REINDEX SCHEMA "odd ones"');
SELECT * FROM shown('REINDEX DATABASE tandem_lint_hostile; REINDEX SYSTEM tandem_lint_hostile');
SELECT * FROM shown('ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE elsewhere');
SELECT * FROM shown('ALTER TABLE ALL IN TABLESPACE pg_default OWNED BY nobody_else SET TABLESPACE elsewhere');
SELECT * FROM shown('ALTER INDEX ALL IN TABLESPACE pg_default SET TABLESPACE elsewhere; ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE pg_default');
CREATE ROLE tandem_lint_owner;
CREATE TABLE owned (id int PRIMARY KEY);
ALTER TABLE owned OWNER TO tandem_lint_owner;
SELECT * FROM shown('DROP OWNED BY tandem_lint_owner; REASSIGN OWNED BY tandem_lint_owner TO CURRENT_USER');
CREATE TYPE mood AS ENUM ('good');
CREATE TABLE moods (mood mood);
SELECT * FROM shown('DROP TYPE mood CASCADE');
SELECT * FROM found('DROP TYPE mood; DROP EXTENSION pg_tandem; DROP EXTENSION nothing');
INSERT INTO orders SELECT i, i, 'x' FROM generate_series(1, 10000) i;
SET tandem.ddl_check = refuse;
SET tandem.ddl_check_size = '64kB';
VACUUM FULL;
REINDEX SCHEMA public;
DROP SCHEMA public CASCADE;
DROP OWNED BY CURRENT_USER;
DROP OWNED BY tandem_lint_owner;
-- it is about the large table, whichever the statement names first
CREATE TABLE small (id int);
ALTER TABLE small ADD FOREIGN KEY (id) REFERENCES orders;
RESET tandem.ddl_check_size;

-- tables of a composite type
CREATE TYPE pair AS (a int, b text);
CREATE TABLE pairs OF pair;
INSERT INTO pairs SELECT i, 'x' FROM generate_series(1, 10000) i;
SELECT * FROM shown('ALTER TYPE pair ADD ATTRIBUTE c int');
SELECT * FROM shown('ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint CASCADE, DROP ATTRIBUTE b CASCADE');
SELECT * FROM shown('ALTER TYPE pair RENAME ATTRIBUTE a TO c CASCADE; ALTER TYPE pair RENAME ATTRIBUTE a TO c');
SET tandem.ddl_check_size = '64kB';
ALTER TYPE pair ALTER ATTRIBUTE a TYPE bigint CASCADE;
RESET tandem.ddl_check_size;

-- rows changed within WITH
SELECT * FROM shown('WITH gone AS (DELETE FROM orders RETURNING *), other AS (UPDATE pairs SET a = 1 RETURNING *) SELECT * FROM gone');

-- another partition, beside a default one
BEGIN;
CREATE TABLE events_others PARTITION OF events DEFAULT;
CREATE TABLE events_5 (id int, day int NOT NULL, CHECK (day = 500));
SELECT * FROM shown('CREATE TABLE x PARTITION OF events FOR VALUES FROM (300) TO (400)');
SELECT * FROM shown('ALTER TABLE events ATTACH PARTITION events_5 FOR VALUES FROM (500) TO (600)');
ALTER TABLE events_others ADD CHECK (day > 1000);
SELECT * FROM shown('ALTER TABLE events ATTACH PARTITION events_5 FOR VALUES FROM (500) TO (600)');
ROLLBACK;

-- what commits on the way is refused in a transaction block, and has no setting of its own
SELECT * FROM found('BEGIN; REINDEX TABLE events; COMMIT');
SELECT * FROM found('BEGIN; REINDEX INDEX events_day; CLUSTER events USING events_day; COMMIT') WHERE rule = 'top-level';
SELECT * FROM found('BEGIN; REINDEX TABLE orders; CLUSTER orders USING orders_pkey; COMMIT') WHERE rule = 'top-level';
CLUSTER events USING events_day;
REINDEX TABLE events;
SHOW lock_timeout;
RESET tandem.ddl_check;

-- a key that the caller may not see
CREATE TABLE lines (id int, orders int REFERENCES orders);
CREATE ROLE tandem_lint_guest;
GRANT USAGE ON SCHEMA tandem TO tandem_lint_guest;
GRANT SELECT ON lines TO tandem_lint_guest;
SELECT advice FROM found('ALTER TABLE lines ALTER orders TYPE bigint');
SET ROLE tandem_lint_guest;
SELECT advice FROM found('ALTER TABLE lines ALTER orders TYPE bigint');
RESET ROLE;

-- what sets no limit, and a comment without an end
RESET lock_timeout;
SELECT * FROM found($$SET lock_timeout = 0; ALTER TABLE orders ADD x int$$);
SELECT * FROM found($$SET lock_timeout = '0'; ALTER TABLE orders ADD x int$$);
SELECT * FROM found($$SET lock_timeout = '1s'; RESET ALL; ALTER TABLE orders ADD x int$$);
SELECT * FROM found($$SET lock_timeout = 100; ALTER TABLE orders ADD x int$$);
SELECT * FROM found(E'SELECT 1;\nSELECT 2 /* and /* so */ on');
-- the mark of UTF-8 before a text
SET lock_timeout = '1min';
SELECT * FROM found(E'\uFEFFALTER TABLE orders DROP note');

\pset tuples_only off
\pset format aligned
\c contrib_regression
DROP DATABASE tandem_lint_hostile;
DROP ROLE tandem_lint_owner, tandem_lint_guest;
