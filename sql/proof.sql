-- A proof holds while what the rules use is what it was when verify ran.  A
-- function that is replaced voids it; refill computes again what the former one
-- has filled.
CREATE DATABASE proof;
\c proof
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset null '-'

CREATE FUNCTION to_cents(numeric) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN trunc($1 * 100); END $$;
CREATE FUNCTION to_euros(integer) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN $1 / 100.0; END $$;
CREATE TABLE orders (id integer PRIMARY KEY, price numeric);
INSERT INTO orders VALUES (1, 12.00), (2, 12.999), (3, NULL), (4, 0.019);
SELECT tandem.create_migration('cents', release => 42);
SELECT tandem.add_column('cents', 'orders', 'price_cents', 'integer');
SELECT tandem.sync_column('cents', 'orders', 'price', 'price_cents', 'to_cents(price)', 'to_euros(price_cents)');
CALL tandem.migrate('cents');
SELECT phase FROM tandem.migrations;
SELECT healthy, reason, state FROM tandem.health(42);
-- the new release writes a value of its own, which up would not give
UPDATE orders SET price_cents = 700 WHERE id = 1;
-- a GRANT, or the same text again, changes nothing that was proved
GRANT EXECUTE ON FUNCTION to_cents TO PUBLIC;
CREATE OR REPLACE FUNCTION to_cents(numeric) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN trunc($1 * 100); END $$;
CALL tandem.migrate('cents', if_running => 'wait');

-- The function is replaced: the release that was ready stays ready, contract
-- asks for verify, and migrate says which rows it has filled otherwise.
CREATE OR REPLACE FUNCTION to_cents(numeric) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN round($1 * 100); END $$;
SELECT healthy, reason, state FROM tandem.health(42);
CALL tandem.contract('cents', undeclared => 'ignore');
CALL tandem.migrate('cents', if_running => 'wait');
SELECT phase FROM tandem.migrations;
SELECT healthy, reason, state FROM tandem.health(42);
SELECT rows_unfilled, rows_mismatched, rows_lossy FROM tandem.verify('cents');

-- refill sets these, and no others: not 1, which N has given
SET client_min_messages = notice;
SELECT tandem.refill('cents');
SET client_min_messages = warning;
SELECT step, state FROM tandem.progress WHERE step <> 'analyze';
SELECT * FROM orders ORDER BY id;
CALL tandem.migrate('cents');
SELECT * FROM orders ORDER BY id;
SELECT step, state, rows_filled, rows_mismatched FROM tandem.progress WHERE step <> 'analyze';
SELECT action, phase_before, phase_after FROM tandem.history WHERE migration = 'cents';
SELECT refill FROM tandem.step WHERE refill;
-- it may be called again, and finds nothing
SELECT tandem.refill('cents');
CALL tandem.migrate('cents');
SELECT step, rows_filled FROM tandem.progress WHERE step = 'backfill';
CALL tandem.contract('cents', undeclared => 'ignore');
SELECT * FROM orders ORDER BY id;
SELECT tandem.refill('cents');

-- What counts is what the rule uses, however it does: by an operator, a cast, a
-- CHECK of a domain, the labels of an enum, a function whose body names another;
-- not what another migration of the table uses.
CREATE FUNCTION times(integer, integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * $2; END';
CREATE OPERATOR #* (FUNCTION = times, LEFTARG = integer, RIGHTARG = integer);
CREATE TYPE boxed AS (v integer);
CREATE FUNCTION unbox(boxed) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.v; END';
CREATE CAST (boxed AS integer) WITH FUNCTION unbox(boxed);
CREATE FUNCTION small(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 < 1000; END';
CREATE DOMAIN small_integer AS integer CHECK (small(VALUE));
CREATE TYPE color AS ENUM ('red', 'green');
CREATE FUNCTION inner_one(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 1; END';
CREATE FUNCTION outer_one(integer) RETURNS integer IMMUTABLE RETURN inner_one($1);
CREATE FUNCTION other(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
CREATE TABLE used (id integer PRIMARY KEY, a integer DEFAULT 3, c color DEFAULT 'red');
INSERT INTO used VALUES (1, 1), (2, 2);
DO $$
DECLARE
	rule text[];
BEGIN
	FOREACH rule SLICE 1 IN ARRAY ARRAY[
		['operator', 'a #* 2'], ['cast', 'row(a)::boxed::integer'], ['domain', 'a::small_integer'],
		['enum', 'length(c::text)'], ['nested', 'outer_one(a)'], ['other', 'other(a)']]
	LOOP
		PERFORM tandem.create_migration(rule[1]);
		PERFORM tandem.add_column(rule[1], 'used', rule[1], 'integer');
		PERFORM tandem.sync_column(rule[1], 'used', 'a', rule[1], rule[2], keep_old => true);
	END LOOP;
END $$;
CREATE PROCEDURE migrate_all() LANGUAGE plpgsql AS $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY '{operator,cast,domain,enum,nested,other}'::text[]
	LOOP
		CALL tandem.migrate(name);
	END LOOP;
END $$;
CALL migrate_all();
-- which proofs are void
CREATE FUNCTION void() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	name text;
	void text[];
BEGIN
	FOREACH name IN ARRAY '{operator,cast,domain,enum,nested,other}'::text[]
	LOOP
		BEGIN
			CALL tandem.contract(name);
			RAISE EXCEPTION 'contracted';
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			void = void || name;
		WHEN OTHERS THEN
			IF SQLERRM <> 'contracted' THEN RAISE; END IF;
		END;
	END LOOP;
	RETURN void;
END $$;
SELECT void();
CREATE OR REPLACE FUNCTION times(integer, integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * $2 + 0; END';
SELECT void();
CREATE OR REPLACE FUNCTION unbox(boxed) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1.v + 0; END';
SELECT void();
CREATE OR REPLACE FUNCTION small(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 < 900; END';
SELECT void();
ALTER TYPE color RENAME VALUE 'red' TO 'crimson';
SELECT void();
ALTER FUNCTION inner_one(integer) STRICT;
SELECT void();
CALL migrate_all();
-- one-way: rows on which up does not agree are computed again
SELECT * FROM used ORDER BY id;
SELECT tandem.refill('enum');
CALL migrate_all();
SELECT id, enum FROM used ORDER BY id;
SELECT void();

-- Of partitions, too, and of one that came later and was empty.  What the first
-- function gives is wrong, and down does not agree with it.
CREATE FUNCTION twice(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * 2 + 5; END';
CREATE TABLE days (day integer, a integer) PARTITION BY LIST (day);
CREATE TABLE day1 PARTITION OF days FOR VALUES IN (1);
INSERT INTO days VALUES (1, 10), (1, 20);
SELECT tandem.create_migration('days');
SELECT tandem.add_column('days', 'days', 'b', 'integer');
SELECT tandem.refill('days');
SELECT tandem.sync_column('days', 'days', 'a', 'b', 'twice(a)', 'b / 2');
CALL tandem.migrate('days');
CREATE TABLE day2 PARTITION OF days FOR VALUES IN (2);
INSERT INTO days (day, a) VALUES (2, 30);
-- the new release writes what up would not give
UPDATE days SET b = 41 WHERE a = 20;
SELECT * FROM days ORDER BY day, a;
-- a function that fails on a row: the refill stops there
CREATE OR REPLACE FUNCTION twice(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN IF $1 = 30 THEN RAISE 'not this row'; END IF; RETURN $1 * 2; END $$;
CALL tandem.contract('days');
SELECT tandem.refill('days');
CALL tandem.migrate('days');
SELECT relation, step, state, rows_filled, error FROM tandem.progress
	WHERE migration = 'days' AND step IN ('backfill', 'verify') ORDER BY step, relation::text;
CALL tandem.contract('days');
-- and goes on from there; no trigger of the table is fired by it, whatever the setting
CREATE OR REPLACE FUNCTION twice(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * 2; END';
SELECT tandem.configure('days', 'tandem.fire_triggers', 'on');
CALL tandem.migrate('days');
SELECT * FROM days ORDER BY day, a;
SELECT relation, step, state, rows_filled FROM tandem.progress
	WHERE migration = 'days' AND step IN ('backfill', 'verify') ORDER BY step, relation::text;
-- a verify that is under way begins again: what it has seen was judged by the former one
UPDATE tandem.step SET state = 'pending', uses = 'of a former function' WHERE kind = 'verify'
	AND migration = (SELECT id FROM tandem.migration WHERE name = 'days');
CALL tandem.migrate('days');
CALL tandem.contract('days');

-- With a down that fails on what a former up has given, and rows in quarantine.
CREATE FUNCTION as_text(integer) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 'no ' || $1; END $$;
CREATE TABLE texts (id integer PRIMARY KEY, a integer);
INSERT INTO texts VALUES (1, 1), (2, 2), (3, NULL);
SELECT tandem.create_migration('texts');
SELECT tandem.add_column('texts', 'texts', 'b', 'text');
SELECT tandem.sync_column('texts', 'texts', 'a', 'b', 'as_text(a)', 'b::integer', on_error => 'quarantine');
CALL tandem.migrate('texts');
SELECT rows_lossy FROM tandem.verify('texts');
CREATE OR REPLACE FUNCTION as_text(integer) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN IF $1 = 2 THEN RAISE 'not 2'; END IF; RETURN $1; END $$;
SELECT tandem.refill('texts');
CALL tandem.migrate('texts');
SELECT * FROM texts ORDER BY id;
SELECT key, direction, error FROM tandem.quarantine;
UPDATE texts SET a = 4 WHERE id = 2;
CALL tandem.migrate('texts');
SELECT rows_lossy FROM tandem.verify('texts');
CALL tandem.contract('texts');

-- Once down has changed, what the new release has given cannot be told any more.
CREATE FUNCTION half(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 / 2; END';
CREATE TABLE both_ways (id integer PRIMARY KEY, a integer);
INSERT INTO both_ways VALUES (1, 1), (2, 2);
SELECT tandem.create_migration('both_ways');
SELECT tandem.add_column('both_ways', 'both_ways', 'b', 'integer');
SELECT tandem.sync_column('both_ways', 'both_ways', 'a', 'b', 'twice(a)', 'half(b)');
SELECT tandem.refill('both_ways');
CALL tandem.migrate('both_ways');
CREATE OR REPLACE FUNCTION half(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 / 3; END';
SELECT tandem.refill('both_ways');
-- it is not for others
CREATE ROLE tandem_stranger;
SET ROLE tandem_stranger;
SELECT tandem.refill('both_ways');
RESET ROLE;
DROP ROLE tandem_stranger;
CALL tandem.migrate('both_ways');
SELECT rows_lossy FROM tandem.verify('both_ways');

-- What was changed and put back has voided the proof, too: rows may have been written meanwhile.
CREATE FUNCTION shown(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION shown_by(v integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN shown(v);
CREATE TYPE tint AS ENUM ('red', 'blue');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE inner_pair AS (p integer, q tint);
CREATE TABLE put_back (id integer PRIMARY KEY, a integer, c text, d text);
INSERT INTO put_back VALUES (1, 1, 'red', '(1,red)');
SELECT tandem.create_migration('put_back');
SELECT tandem.add_column('put_back', 'put_back', name, type) FROM (VALUES ('b', 'integer'), ('e', 'tint'), ('f', 'integer')) v (name, type);
SELECT tandem.sync_column('put_back', 'put_back', 'a', 'b', 'shown_by(a)::positive');
SELECT tandem.sync_column('put_back', 'put_back', 'c', 'e', 'c::tint');
SELECT tandem.sync_column('put_back', 'put_back', 'd', 'f', '(d::inner_pair).p');
CREATE FUNCTION ready() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	problem text;
BEGIN
	CALL tandem.contract('put_back');
	RETURN 'contract';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	GET STACKED DIAGNOSTICS problem = PG_EXCEPTION_DETAIL;
	RETURN regexp_replace(split_part(problem, chr(10), 1), '^- ', '');
END $$;
CALL tandem.migrate('put_back');
CREATE OR REPLACE FUNCTION shown(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2';
UPDATE put_back SET a = 2 WHERE id = 1;
CREATE OR REPLACE FUNCTION shown(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
SELECT ready();
CALL tandem.migrate('put_back');
SELECT tandem.refill('put_back');
CALL tandem.migrate('put_back');
ALTER TYPE tint RENAME VALUE 'blue' TO 'navy';
ALTER TYPE tint RENAME VALUE 'navy' TO 'blue';
SELECT ready();
CALL tandem.migrate('put_back');
ALTER DOMAIN positive ADD CHECK (VALUE < 5);
ALTER DOMAIN positive DROP CONSTRAINT positive_check1;
SELECT ready();
CALL tandem.migrate('put_back');
-- what changes no value leaves the proof, and so does what the rules do not use
GRANT EXECUTE ON FUNCTION shown(integer) TO pg_monitor;
COMMENT ON FUNCTION shown(integer) IS 'adds one';
CREATE FUNCTION unused(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE FUNCTION unused(integer) RETURNS integer LANGUAGE sql AS 'SELECT 2';
CREATE INDEX ON put_back (a);
BEGIN;
CREATE OR REPLACE FUNCTION shown(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2';
ROLLBACK;
SELECT ready();

-- Who evaluates is part of it where an expression asks.
CREATE ROLE proof_owner;
GRANT ALL ON SCHEMA public TO proof_owner;
CREATE TABLE owned (id integer PRIMARY KEY, a integer);
INSERT INTO owned VALUES (1, 1);
SELECT tandem.create_migration('put_back2');
SELECT tandem.add_column('put_back2', 'owned', 'b', 'text');
SELECT tandem.sync_column('put_back2', 'owned', 'a', 'b', 'CASE WHEN current_user = ''proof_owner'' THEN 2 ELSE 1 END::text');
CALL tandem.migrate('put_back2');
ALTER TABLE owned OWNER TO proof_owner;
CALL tandem.contract('put_back2');
CALL tandem.abort('put_back2', force => true);
DROP TABLE owned;
DROP OWNED BY proof_owner;
DROP ROLE proof_owner;

-- A text that a newer server does not take is named by whoever needs it.  Here
-- it is made such a text behind the guard's back.
CREATE TABLE newer (id integer PRIMARY KEY, a integer);
SELECT tandem.create_migration('newer', release => 43);
SELECT tandem.add_column('newer', 'newer', 'b', 'integer');
SELECT tandem.sync_column('newer', 'newer', 'a', 'b', 'a + 1', 'b - 1');
CALL tandem.migrate('newer');
SELECT healthy, reason, state FROM tandem.health(43);
UPDATE tandem.sync SET up = '{pg_catalog.no_such_function(tandem_row.a)}', parsed_in = '14/an older server'
	WHERE relation = 'newer'::regclass;
SELECT healthy, reason, state FROM tandem.health(43);
SELECT tandem.switch_release(43);
SELECT new_columns, health, problem FROM tandem.syncs WHERE migration = 'newer';
CALL tandem.contract('newer', undeclared => 'ignore');
CALL tandem.migrate('newer');
-- and what it has parsed is not looked at again
UPDATE tandem.sync SET up = '{(tandem_row.a OPERATOR(pg_catalog.+) 1)}' WHERE relation = 'newer'::regclass;
SELECT healthy, reason, state FROM tandem.health(43);
CALL tandem.migrate('newer');
SELECT healthy, reason, state FROM tandem.health(43);
SELECT count(*) FROM tandem.sync WHERE relation = 'newer'::regclass AND parsed_in LIKE '14/%';

\c postgres
DROP DATABASE proof;
