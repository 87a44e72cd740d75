-- tandem.lint: each rule finds what it is about, and nothing where that is not so.
CREATE DATABASE tandem_lint;
\c tandem_lint
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA shop;
SET search_path = shop, public;
SET lock_timeout = '1min';
CREATE TABLE customers (id int PRIMARY KEY, code text NOT NULL, name varchar(10), at timestamp);
CREATE TABLE orders (id int PRIMARY KEY, customer int, amount int, note text, number bigint, known int,
	doubled int GENERATED ALWAYS AS (amount * 2) STORED, CONSTRAINT known CHECK (known IS NOT NULL));
CREATE UNIQUE INDEX orders_note ON orders (note);
CREATE TABLE events (id int, day int NOT NULL) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
CREATE TABLE events_2 (id int, day int NOT NULL);
CREATE VIEW order_view AS SELECT code FROM customers;
CREATE MATERIALIZED VIEW sums AS SELECT count(*) AS count FROM customers;
CREATE DOMAIN plain AS int;
CREATE TABLE of_domain (x plain);
CREATE TYPE mood AS ENUM ('good');
-- what is found: but for locks, which lint_corpus.pl compares with what the server does
CREATE FUNCTION found(script text) RETURNS TABLE (statement int, line int, severity text, rule text, relation text, message text, advice text)
LANGUAGE sql AS $$
	SELECT l.statement, l.line, l.severity, l.rule, l.relation, l.message, l.advice FROM tandem.lint(script) l WHERE l.rule <> 'locks'
$$;
\pset format unaligned
\pset tuples_only on

-- columns
SELECT * FROM found($$ALTER TABLE orders ADD x uuid DEFAULT gen_random_uuid(), ADD y int DEFAULT 5, ADD z serial$$);
SELECT * FROM found($$ALTER TABLE orders ADD x int GENERATED ALWAYS AS (amount + 1) STORED$$);
SELECT * FROM found($$ALTER TABLE orders ADD x int NOT NULL$$);
SELECT * FROM found($$ALTER TABLE orders ADD x int NOT NULL DEFAULT 5$$);
SELECT * FROM found($$ALTER TABLE orders ADD x int CHECK (x > 0)$$);
SELECT * FROM found($$ALTER TABLE orders ADD x int REFERENCES customers$$);
SELECT * FROM found($$ALTER TABLE orders ALTER amount TYPE bigint$$);
SELECT * FROM found($$ALTER TABLE orders ALTER amount TYPE text USING lower(amount::text), ALTER note TYPE varchar(5)$$);
SELECT * FROM found($$ALTER TABLE customers ALTER name TYPE varchar(20)$$);
SELECT * FROM found($$ALTER TABLE customers ALTER code TYPE varchar(20)$$);
SELECT * FROM found($$DROP VIEW order_view; ALTER TABLE customers ALTER code TYPE varchar(20)$$) WHERE rule = 'type-in-use';
SELECT * FROM found($$ALTER TABLE orders DROP doubled; ALTER TABLE orders ALTER amount TYPE bigint$$) WHERE rule = 'type-in-use';
-- all of an expression is in the call, whatever it begins with
SELECT advice FROM found($$ALTER TABLE customers ALTER at TYPE timestamptz USING at AT TIME ZONE 'UTC', ALTER COLUMN code
	SET DATA TYPE numeric(8, 2) USING (length(code) + 1)::numeric, ADD "USING" float8 DEFAULT (1 + random()) * 2 NOT NULL,
	ADD y int GENERATED ALWAYS AS ((id + 1) * 2) STORED, ADD z bool DEFAULT (random() IS NULL) CHECK (z)$$) WHERE rule IN ('change-type', 'add-column-rewrites');
SELECT * FROM found($$ALTER TABLE orders ALTER amount SET NOT NULL$$);
SELECT * FROM found($$ALTER TABLE orders ALTER known SET NOT NULL$$);
SELECT * FROM found($$ALTER TABLE orders ADD CONSTRAINT c CHECK (amount IS NOT NULL) NOT VALID; ALTER TABLE orders ALTER amount SET NOT NULL$$);
SELECT * FROM found($$BEGIN; ALTER TABLE orders ADD CONSTRAINT c CHECK (amount IS NOT NULL) NOT VALID; COMMIT;
BEGIN; ALTER TABLE orders VALIDATE CONSTRAINT c; COMMIT;
BEGIN; ALTER TABLE orders ALTER amount SET NOT NULL; COMMIT;$$);
SELECT * FROM found($$ALTER TABLE orders DROP CONSTRAINT known; ALTER TABLE orders ALTER known SET NOT NULL$$);
SELECT * FROM found($$ALTER TABLE customers ALTER code DROP NOT NULL$$);
SELECT * FROM found($$ALTER TABLE orders DROP note$$);

-- constraints
SELECT * FROM found($$ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount > 0), ADD CONSTRAINT later CHECK (amount > 1) NOT VALID$$);
SELECT * FROM found($$ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (customer) REFERENCES customers (id)$$);
SELECT * FROM found($$ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (number) REFERENCES customers (id) NOT VALID$$);
SELECT * FROM found($$ALTER TABLE orders ADD UNIQUE (number)$$);
SELECT * FROM found($$ALTER TABLE orders ADD UNIQUE USING INDEX orders_note$$);
SELECT * FROM found($$ALTER TABLE events_2 ADD PRIMARY KEY (id)$$);
SELECT * FROM found($$ALTER TABLE orders ADD EXCLUDE USING btree (number WITH =)$$);

-- storage, partitions
SELECT * FROM found($$ALTER TABLE orders SET UNLOGGED$$);
SELECT * FROM found($$ALTER TABLE orders SET LOGGED$$);
SELECT * FROM found($$ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM (100) TO (200)$$);
SELECT * FROM found($$ALTER TABLE events DETACH PARTITION events_1$$);
SELECT * FROM found($$ALTER TABLE events DETACH PARTITION events_1 CONCURRENTLY$$);

-- what goes, or gets another name
SELECT * FROM found($$ALTER TABLE orders RENAME note TO remark; ALTER TABLE orders RENAME TO purchases; ALTER TABLE purchases DROP remark$$);
SELECT * FROM found($$ALTER INDEX orders_note RENAME TO other; ALTER TABLE orders RENAME CONSTRAINT known TO is_known$$);
SELECT * FROM found($$ALTER SCHEMA shop RENAME TO store$$);
SELECT * FROM found($$ALTER TABLE orders SET SCHEMA public$$);
SELECT * FROM found($$DROP TABLE customers; DROP VIEW order_view; DROP SCHEMA shop CASCADE; DROP TABLE IF EXISTS nothing$$);
SELECT * FROM found($$DROP DATABASE other$$);
SELECT * FROM found($$TRUNCATE orders; TRUNCATE customers CASCADE$$);

-- indexes and files
SELECT * FROM found($$CREATE INDEX ON orders (number)$$);
SELECT * FROM found($$CREATE INDEX CONCURRENTLY x ON orders (number, amount, note, id); DROP INDEX CONCURRENTLY orders_note$$);
SELECT * FROM found($$CREATE INDEX CONCURRENTLY IF NOT EXISTS x ON events (id)$$);
SELECT * FROM found($$DROP INDEX orders_note$$);
SELECT * FROM found($$REINDEX TABLE orders$$);
SELECT * FROM found($$REINDEX TABLE CONCURRENTLY orders$$);
SELECT * FROM found($$VACUUM FULL orders; VACUUM orders$$);
SELECT * FROM found($$CLUSTER orders USING orders_pkey$$);
SELECT * FROM found($$REFRESH MATERIALIZED VIEW sums$$);
SELECT * FROM found($$REFRESH MATERIALIZED VIEW CONCURRENTLY sums$$);
BEGIN;
CREATE UNIQUE INDEX ON sums (count);
SELECT advice FROM found($$REFRESH MATERIALIZED VIEW sums$$);
ROLLBACK;

-- rows, types
SELECT * FROM found($$UPDATE orders SET amount = 1; DELETE FROM orders; UPDATE orders SET amount = 1 WHERE id = 1$$);
SELECT * FROM found($$ALTER DOMAIN plain ADD CHECK (value > 0)$$);
SELECT * FROM found($$ALTER DOMAIN plain ADD CONSTRAINT c CHECK (value > 0) NOT VALID; CREATE DOMAIN x AS int CHECK (value > 1)$$);
SELECT * FROM found($$ALTER TYPE mood ADD VALUE 'bad'; ALTER TYPE mood ADD VALUE 'fine' BEFORE 'good'$$);
SELECT * FROM found($$CREATE TABLE x (id serial PRIMARY KEY, a char(3), b json, c timestamp, d timestamptz, e jsonb, f text); ALTER TABLE x ADD g smallint$$);

-- what the script makes is nobody else's
SELECT * FROM found($$CREATE TABLE x (id bigint PRIMARY KEY, a int); CREATE INDEX ON x (a); ALTER TABLE x ALTER a TYPE bigint; UPDATE x SET a = 1; DROP TABLE x;
CREATE TEMP TABLE y AS SELECT 1 AS a; ALTER TABLE y ALTER a SET NOT NULL$$);
SELECT * FROM found($$DROP TABLE orders; CREATE TABLE orders (a int); ALTER TABLE orders ADD CHECK (a > 0)$$);

-- transactions and locks
SELECT * FROM found($$BEGIN; CREATE INDEX CONCURRENTLY IF NOT EXISTS x ON orders (number); COMMIT$$);
SELECT * FROM found($$BEGIN; BEGIN; ALTER TABLE orders ADD x int$$);
SELECT * FROM found($$ALTER TABLE orders ADD x int; COMMIT$$);
SELECT * FROM found($$ALTER TABLE orders ADD x int; ALTER TABLE customers ADD x int$$);
SELECT * FROM found($$BEGIN; ALTER TABLE orders ADD x int; COMMIT; BEGIN; ALTER TABLE customers ADD x int; COMMIT$$);
SELECT * FROM found($$ALTER TABLE orders ADD x int; UPDATE orders SET x = 1$$);
RESET lock_timeout;
SELECT * FROM found($$ALTER TABLE orders ADD x int; ALTER TABLE orders ADD y int$$);
SELECT * FROM found($$SET lock_timeout = '1s'; ALTER TABLE orders ADD x int$$);
SELECT * FROM found($$COMMENT ON TABLE orders IS 'x'$$);
SET lock_timeout = '1min';

-- releases and migrations
SELECT tandem.create_migration('amount', 42);
SELECT tandem.change_column('amount', 'orders', 'amount', 'bigint');
SELECT * FROM found($$ALTER TABLE orders DROP amount; ALTER TABLE orders DROP number; DROP TABLE orders$$);
CALL tandem.abort('amount');
SELECT tandem.register_release(41);
SELECT tandem.create_views(41, '{orders}');
SELECT tandem.record_shape(41, '{"customers(id, code)"}');
SELECT * FROM found($$ALTER TABLE orders RENAME note TO remark; ALTER TABLE customers DROP code; ALTER TABLE customers DROP name$$);

-- how a script is read: lines, meta-commands, variables, rows, bodies of functions
SELECT * FROM found($script$
\set x 1
-- a comment; and /* no comment
/* a comment /* in one */ ; */
SELECT ';', $$;$$, $a$;$$;$a$, E'\';', ";" FROM (SELECT 1 AS ";") s;
SELECT :x, :'y';
SELECT a[1:2], a::text FROM (SELECT '{1,2,3}'::int[] AS a) s;
CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;
COPY customers (id, code) FROM stdin;
1	; DROP TABLE customers;
\.
SELECT 'ALTER TABLE orders ADD x int' \gexec
;;
ALTER TABLE orders
	ADD COLUM x int, y;
DO $$ BEGIN EXECUTE 'DROP TABLE orders'; END $$;
ALTER TABLE nothing ADD x int;
ALTER TABLE orders DROP note
$script$);
SELECT * FROM found('');
SELECT * FROM found('SELECT ''never closed');
SELECT * FROM found($$SELECT $a$ never closed$$);
SELECT * FROM found(NULL);
SELECT count(*) FROM tandem.lint(repeat('ALTER TABLE shop.orders ADD x int;', 2000) || 'SELECT ''' || repeat('x', 1000000) || '''') WHERE rule = 'locks';
SELECT * FROM found(repeat('(', 20000)) WHERE message NOT LIKE '%stack%';

-- nothing is told of a table that the caller has no right on
CREATE ROLE tandem_lint_stranger;
GRANT USAGE ON SCHEMA tandem, shop TO tandem_lint_stranger;
SET ROLE tandem_lint_stranger;
SELECT rule, relation, table_bytes, message FROM tandem.lint($$ALTER TABLE shop.orders ALTER amount TYPE bigint; ALTER TABLE shop.nothing ADD x int; DROP TABLE shop.orders$$);
RESET ROLE;
GRANT SELECT (id) ON orders TO tandem_lint_stranger;
SET ROLE tandem_lint_stranger;
SELECT rule, relation FROM tandem.lint($$ALTER TABLE shop.orders ALTER amount TYPE bigint$$);
RESET ROLE;
-- nothing is run
SELECT count(*) FROM tandem.lint($$DROP SCHEMA tandem CASCADE; DROP EXTENSION pg_tandem; COMMIT; DROP TABLE shop.orders$$) WHERE severity = 'danger';
SELECT count(*) FROM orders;

-- what an earlier statement has taken away is not there any more
SELECT line, rule, message FROM found($$ALTER TABLE customers RENAME TO clients;
DROP TABLE customers CASCADE;
DROP TABLE IF EXISTS customers; DROP INDEX orders_note, nothing;
INSERT INTO schema_migrations VALUES (1); UPDATE customers SET id = 1 WHERE id = 2; DELETE FROM customers WHERE id = 1; TRUNCATE customers$$)
WHERE rule = 'not-there';

-- the advice is right: each call of it is run, and taken back
CREATE FUNCTION try_advice(script text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	call text;
BEGIN
	FOR call IN SELECT l.advice FROM tandem.lint(script) l WHERE l.advice ~ '^(CREATE SEQUENCE .*)?SELECT tandem\.' AND l.advice !~ '\.\.\.' LOOP
		BEGIN
			PERFORM tandem.create_migration('m', 42);
			EXECUTE regexp_replace(call, ';[^;]*$', '');
			RAISE EXCEPTION SQLSTATE 'TDOK1';
		EXCEPTION
			WHEN SQLSTATE 'TDOK1' THEN RETURN NEXT 'done: ' || call;
			WHEN OTHERS THEN RETURN NEXT 'failed: ' || call || ': ' || SQLERRM;
		END;
	END LOOP;
END $$;

SELECT * FROM try_advice($$ALTER TABLE orders ADD x uuid DEFAULT gen_random_uuid() NOT NULL, ADD y float8 DEFAULT (1 + random()), ADD z serial, ADD w bigint GENERATED BY DEFAULT AS IDENTITY;
ALTER TABLE orders ADD v int GENERATED ALWAYS AS (amount + 1) STORED;
ALTER TABLE orders ALTER amount TYPE bigint, ALTER number TYPE text USING number::text, ALTER number SET NOT NULL, DROP note;
ALTER TABLE orders RENAME note TO remark;
ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount > 0 AND note <> ','), ADD CONSTRAINT f FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE, ADD CONSTRAINT "u,;" UNIQUE (number);
ALTER TABLE orders ADD CHECK (amount > 1), ADD FOREIGN KEY (customer) REFERENCES customers (id), ADD UNIQUE (number, amount);
ALTER TABLE events_2 ADD PRIMARY KEY (id);
CREATE INDEX ON orders (amount);
CREATE INDEX x ON orders (number) WHERE number > 5;
DROP INDEX orders_note; DROP TABLE events; ALTER TABLE orders RENAME TO purchases$$);
\pset tuples_only off
\pset format aligned
\c contrib_regression
DROP DATABASE tandem_lint;
DROP ROLE tandem_lint_stranger;
