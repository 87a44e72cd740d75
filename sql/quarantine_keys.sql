-- What becomes of a row in quarantine until it is right: over kinds of keys, and over what can happen to a row and
-- to its key.  A note is there for each bad row, and for no other.
CREATE DATABASE quarantine_keys;
\c quarantine_keys
SET client_min_messages = warning;
-- as on a host in FIPS mode, where md5() is an error: nothing of ours calls it
ALTER FUNCTION pg_catalog.md5(text) RENAME TO md5_of_text;
ALTER FUNCTION pg_catalog.md5(bytea) RENAME TO md5_of_bytes;
CREATE EXTENSION pg_tandem;
CREATE EXTENSION citext;
\pset null '-'
SET timezone = 'UTC';

-- each kind of key: its type, and an expression for value number i
CREATE TYPE label AS ENUM ('l1', 'l2', 'l3', 'l4', 'l5', 'l6', 'l7', 'l8', 'l9', 'l11', 'l12', 'l13', 'l14', 'l15', 'l16', 'l17');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN code AS character(5) CHECK (VALUE <> '');
CREATE DOMAIN part_number AS numeric(9,3);
-- a server without ICU has none
DO $$ BEGIN
	CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
EXCEPTION WHEN feature_not_supported THEN CREATE COLLATION any_case FROM "C";
END $$;
CREATE TABLE kind (name text PRIMARY KEY, type text, value text, keyed boolean DEFAULT true);
INSERT INTO kind (name, type, value) VALUES
	('integer', 'integer', 'i'), ('bigint', 'bigint', 'i * 10000000000'), ('text', 'text', $$'Ä"\' || i$$),
	('varchar', 'varchar(9)', $$'v ' || i$$), ('char', 'char(5)', $$'A' || i$$), ('citext', 'citext', $$'MiXed' || i$$),
	('any_case', 'text COLLATE any_case', $$'MiXed' || i$$),
	('numeric', 'numeric(8,2)', 'i + 0.5'), ('numeric_free', 'numeric', 'i + 0.50'), ('real', 'real', 'i + 0.1'),
	('float', 'double precision', 'i + 1.0 / 3'), ('money', 'money', 'i'), ('date', 'date', $$date '2024-02-20' + i$$),
	('timestamp', 'timestamp', $$timestamp '2024-02-20 01:02:03.4' + i * interval '1 day'$$),
	('timestamptz', 'timestamptz(3)', $$timestamptz '2024-02-20 01:02:03.4567+00' + i * interval '1 day'$$),
	('interval', 'interval', $$i * interval '1 day 25 hours'$$), ('bytea', 'bytea', $$decode(lpad(i::text, 4, '0'), 'hex')$$),
	('uuid', 'uuid', $$lpad(i::text, 32, '0')$$), ('inet', 'inet', $$'10.0.0.' || i || '/24'$$), ('bit', 'bit(8)', 'i'),
	('enum', 'label', $$'l' || i$$), ('composite', 'pair', $$ROW(i, 'x, "' || i)$$), ('domain', 'code', $$'D' || i$$),
	('domain_numeric', 'part_number', 'i'), ('array', 'text[]', $$ARRAY['a ' || i, NULL]$$), ('jsonb', 'jsonb', $$jsonb_build_object('i', i, 'a', '[1.0]')$$),
	('range', 'int4range', 'int4range(i, i, ''[]'')'), ('name', 'name', $$'n' || i$$);
INSERT INTO kind VALUES ('none', 'integer', 'i', false), ('identity', 'integer NOT NULL UNIQUE', 'i', false);

CREATE FUNCTION run(statement text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; RETURN true; END $$;
CREATE FUNCTION number(text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1::integer; END $$;
-- the bad rows of each table, and those that are noted: the error quotes the value
CREATE FUNCTION bad_rows(regclass) RETURNS text LANGUAGE plpgsql AS $$ DECLARE
	found text;
BEGIN
	EXECUTE format($q$ SELECT string_agg(DISTINCT price, ', ' ORDER BY price) FROM ONLY %s WHERE cents IS NULL AND price IS NOT NULL $q$, $1) INTO found;
	RETURN found;
END $$;
CREATE FUNCTION noted_rows(regclass) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(DISTINCT substring(error FROM '"(.*)"'), ', ' ORDER BY substring(error FROM '"(.*)"')) FROM tandem.quarantine WHERE relation = $1
$$;
CREATE VIEW tables AS SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'cents'
	WHERE c.relkind = 'r' ORDER BY c.relname COLLATE "C";
CREATE VIEW differ AS SELECT name, bad_rows(name) AS bad, noted_rows(name) AS noted FROM tables
	WHERE bad_rows(name) IS DISTINCT FROM noted_rows(name);

SELECT tandem.create_migration('m', release => 42);
SELECT bool_and(run(format('CREATE TABLE k_%s (id %s %s, price text, n integer)', name, type, CASE WHEN keyed THEN 'PRIMARY KEY' END))) FROM kind;
ALTER TABLE k_identity REPLICA IDENTITY USING INDEX k_identity_id_key;
-- 1 to 9: right or wrong before the trigger is there
SELECT bool_and(run(format($$INSERT INTO k_%s SELECT (%s)::%s, CASE WHEN i = 9 THEN '9 EUR' ELSE i::text END, i FROM generate_series(1, 9) i WHERE i <> 8$$,
	name, value, split_part(type, ' NOT NULL', 1)))) FROM kind;
-- and tables for what happens to a key as a whole
CREATE TABLE d_renamed (id char(5) PRIMARY KEY, price text);
CREATE TABLE d_exchanged (id integer PRIMARY KEY, n integer NOT NULL, price text);
CREATE TABLE d_dropped (LIKE d_renamed INCLUDING ALL);
CREATE TABLE d_no_key (LIKE d_renamed INCLUDING ALL);
CREATE TABLE d_other_key (LIKE d_exchanged INCLUDING ALL);
CREATE TABLE d_type (LIKE d_exchanged INCLUDING ALL);
CREATE TABLE d_values (LIKE d_exchanged INCLUDING ALL);
CREATE TABLE d_rewritten (LIKE d_renamed INCLUDING ALL);
CREATE TABLE d_truncated (LIKE d_renamed INCLUDING ALL);
CREATE TABLE d_gone (LIKE d_renamed INCLUDING ALL);
CREATE TABLE d_two (id integer, part char(3), price text, PRIMARY KEY (part, id));
CREATE TABLE parent (id char(5) PRIMARY KEY);
INSERT INTO parent VALUES ('P1'), ('P2');
CREATE TABLE d_child (id char(5) PRIMARY KEY REFERENCES parent ON UPDATE CASCADE, price text);
CREATE TABLE parts (id char(5), region text, price text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
CREATE TABLE parts_us (price text, region text NOT NULL, x integer, id char(5) NOT NULL);	-- other attribute numbers
ALTER TABLE parts_us DROP x;
ALTER TABLE parts ATTACH PARTITION parts_us FOR VALUES IN ('us');
CREATE TABLE parts_off PARTITION OF parts FOR VALUES IN ('off');
CREATE TABLE parts_gone PARTITION OF parts FOR VALUES IN ('gone');
CREATE VIEW expanded AS SELECT c.oid::regclass AS name FROM pg_class c
	WHERE c.relname ~ '^(k_|d_|parts$)' AND c.relkind IN ('r', 'p') ORDER BY c.relname COLLATE "C" OFFSET 0;
SELECT count(*) FROM expanded WHERE tandem.add_column('m', name::text, 'cents', 'integer') IS NOT NULL
	AND tandem.sync_column('m', name::text, 'price', 'cents', 'number(price)', 'cents::text', on_error => 'quarantine') IS NOT NULL;

-- An old writer, before migrate and after it.
SELECT bool_and(run(format($$INSERT INTO k_%s SELECT (%s)::%s, i || ' EUR', i FROM generate_series(11, 11) i$$, name, value, split_part(type, ' NOT NULL', 1)))) FROM kind;
SELECT bool_and(run(format($$INSERT INTO %s (id, price) VALUES ('1', '1'), ('2', '2 EUR')$$, name))) FROM expanded WHERE name::text ~ 'd_(renamed|dropped|no_key|rewritten|truncated|gone)';
SELECT bool_and(run(format($$INSERT INTO %s (id, n, price) VALUES (1, 2, '1'), (2, 1, '2 EUR')$$, name))) FROM expanded WHERE name::text ~ 'd_(exchanged|other_key|type|values)';
INSERT INTO d_two VALUES (1, 'a', '1'), (1, 'b', '2 EUR');
INSERT INTO d_child VALUES ('P1', '1'), ('P2', '2 EUR');
INSERT INTO parts VALUES ('A0001', 'eu', '1'), ('A0002', 'eu', '2 EUR'), ('A0003', 'us', '3 EUR'), ('A0004', 'off', '4 EUR'), ('A0005', 'gone', '5 EUR');
CALL tandem.migrate('m');
SELECT * FROM differ;
SELECT count(*) FROM tables WHERE noted_rows(name) IS NOT NULL;
SELECT bool_and(run(format($$INSERT INTO k_%s SELECT (%s)::%s, i || ' EUR', i FROM generate_series(12, 17) i$$, name, value, split_part(type, ' NOT NULL', 1)))) FROM kind;
SELECT bool_and(run(format($$UPDATE k_%s SET price = '3 EUR' WHERE n = 3$$, name))) FROM kind;
SELECT * FROM differ;
-- B1: the note stays, and contract is refused
CALL tandem.migrate('m');
SELECT * FROM differ;
SELECT DISTINCT noted_rows(name) FROM tables WHERE name::text LIKE 'k\_%';
SELECT migration, relation, key, direction, sqlstate, error FROM tandem.quarantine WHERE relation IN ('k_char'::regclass, 'k_timestamptz'::regclass) ORDER BY relation, key->>'id';
\set VERBOSITY terse
CALL tandem.contract('m');
\set VERBOSITY default

-- The row changes: its key, by either release, another column, its place, or it is deleted.
SET timezone = 'Asia/Kolkata';
SET datestyle = 'SQL, DMY';
SET bytea_output = 'escape';
SET extra_float_digits = -5;
SET tandem.release = 41;
SELECT bool_and(run(format($$UPDATE k_%s SET id = (SELECT (%s)::%s FROM (VALUES (8)) v (i)) WHERE n = 11$$, name, value, split_part(type, ' NOT NULL', 1)))) FROM kind;
SELECT bool_and(run(format($$DELETE FROM k_%s WHERE n = 12$$, name))) FROM kind;
SELECT bool_and(run(format($$UPDATE k_%s SET n = n + 100 WHERE n = 13$$, name))) FROM kind;
SET tandem.release = 42;
-- the key of a bad row goes to another row, and that of the other to it
SELECT bool_and(run(format($$UPDATE k_%1$s SET id = (SELECT (%2$s)::%3$s FROM (VALUES (12)) v (i)) WHERE n = 14$$, name, value, split_part(type, ' NOT NULL', 1)))) FROM kind;
SELECT bool_and(run(format($$UPDATE k_%1$s SET id = (SELECT (%2$s)::%3$s FROM (VALUES (14)) v (i)) WHERE n = 1$$, name, value, split_part(type, ' NOT NULL', 1)))) FROM kind;
SELECT bool_and(run(format($$UPDATE k_%1$s SET id = (SELECT (%2$s)::%3$s FROM (VALUES (1)) v (i)) WHERE n = 14$$, name, value, split_part(type, ' NOT NULL', 1)))) FROM kind;
RESET tandem.release;
RESET extra_float_digits;
RESET bytea_output;
RESET datestyle;
SET timezone = 'UTC';
UPDATE d_two SET part = 'c' WHERE part = 'b';
UPDATE parent SET id = 'P' || 5 - substr(id, 2)::integer;
UPDATE parts SET region = 'us' WHERE id = 'A0002';
UPDATE parts SET region = 'eu' WHERE id = 'A0003';
ALTER TABLE d_renamed RENAME id TO number;
ALTER TABLE d_exchanged RENAME id TO x;
ALTER TABLE d_exchanged RENAME n TO id;
ALTER TABLE d_exchanged RENAME x TO n;
ALTER TABLE d_dropped DROP id;
ALTER TABLE d_no_key DROP CONSTRAINT d_no_key_pkey;
ALTER TABLE d_other_key DROP CONSTRAINT d_other_key_pkey, ADD PRIMARY KEY (n);
ALTER TABLE d_type ALTER id TYPE numeric(9,1);
ALTER TABLE d_values ALTER id TYPE integer USING 3 - id;
VACUUM FULL d_rewritten;
TRUNCATE d_truncated;
DROP TABLE d_gone;
ALTER TABLE parts DETACH PARTITION parts_off;
DROP TABLE parts_gone;
CALL tandem.migrate('m');
-- what is detached is of no migration any more
SELECT * FROM differ WHERE name <> 'parts_off'::regclass;
SELECT relation, key, error FROM tandem.quarantine WHERE relation IS NULL OR relation::text !~ '^k_' ORDER BY relation::text COLLATE "C", key::text COLLATE "C";
SELECT DISTINCT noted_rows(name) FROM tables WHERE name::text LIKE 'k\_%';
CALL tandem.migrate('m');
SELECT * FROM differ WHERE name <> 'parts_off'::regclass;
\set VERBOSITY terse
CALL tandem.contract('m');
\set VERBOSITY default

-- It is fixed: by the old release, by the new one; then nothing is left, and contract passes.
SELECT bool_and(run(format($$UPDATE %s SET price = split_part(price, ' ', 1) WHERE cents IS NULL AND price NOT LIKE '9%%'$$, name))) FROM tables;
SELECT bool_and(run(format($$UPDATE %s SET cents = 9 WHERE cents IS NULL$$, name))) FROM tables;
-- the note goes with the write, where it can be found by the key
SELECT relation FROM tandem.quarantine GROUP BY relation ORDER BY relation::text COLLATE "C";
\set VERBOSITY terse
CALL tandem.contract('m');
\set VERBOSITY default
CALL tandem.migrate('m');
SELECT migration, relation, key, error FROM tandem.quarantine;
\set VERBOSITY terse
CALL tandem.contract('m');
\set VERBOSITY default
SELECT phase FROM tandem.migrations;
CREATE FUNCTION cents_of(text) RETURNS integer[] LANGUAGE plpgsql AS $$ DECLARE
	found integer[];
BEGIN
	EXECUTE format('SELECT array_agg(cents ORDER BY cents) FROM k_%s', $1) INTO found;
	RETURN found;
END $$;
SELECT cents_of(name), count(*) FROM kind GROUP BY 1;

-- B1, of a table that was proved before.
CREATE TABLE product (id char(5) PRIMARY KEY, price text);
INSERT INTO product VALUES ('A0001', '1');
SELECT tandem.create_migration('b1');
SELECT tandem.add_column('b1', 'product', 'cents', 'integer');
SELECT tandem.sync_column('b1', 'product', 'price', 'cents', 'number(price)', on_error => 'quarantine');
CALL tandem.migrate('b1');
INSERT INTO product VALUES ('A0002', '12 EUR');
CALL tandem.contract('b1');
CALL tandem.migrate('b1');
CALL tandem.contract('b1');
SELECT * FROM product ORDER BY id;
DELETE FROM product WHERE id = 'A0002';
CALL tandem.migrate('b1');
CALL tandem.contract('b1');
SELECT * FROM product;

-- A NULL that a writer has put there, and that down knows, is no failure of up: on it, or when the row is saved again.
CREATE TABLE known (id integer PRIMARY KEY, price text, n integer);
INSERT INTO known VALUES (1, '1'), (2, '2');
SELECT tandem.create_migration('known', release => 43);
SELECT tandem.add_column('known', 'known', 'cents', 'integer');
SELECT tandem.sync_column('known', 'known', 'price', 'cents', 'number(price)', $$coalesce(cents::text, 'n/a')$$, on_error => 'quarantine');
CALL tandem.migrate('known');
UPDATE known SET cents = NULL WHERE id = 1;
UPDATE known SET n = 5;
UPDATE known SET price = 'none' WHERE id = 2;
UPDATE known SET n = 6;
CALL tandem.migrate('known');
SELECT * FROM known ORDER BY id;
SELECT relation, key, error FROM tandem.quarantine;
CALL tandem.abort('known', force => true);

-- Without a down only its note tells a NULL of quarantine from one that a writer has put there.
CREATE TABLE one (id integer PRIMARY KEY, code char(5), gone integer, price text);
INSERT INTO one SELECT i, 'A' || i, i, i::text FROM generate_series(1, 9) i;
CREATE TABLE two (id integer, price text);
INSERT INTO two SELECT i, i::text FROM generate_series(1, 9) i;
-- noted by a writer who writes times in another way than the session that migrates
CREATE TABLE three (id timestamptz PRIMARY KEY, price text);
INSERT INTO three VALUES ('2024-02-20 01:02:03+00', '2');
SELECT tandem.create_migration('one');
SELECT tandem.add_column('one', t, 'cents', 'integer') FROM unnest('{one,two,three}'::text[]) t;
SELECT tandem.sync_column('one', t, 'price', 'cents', 'number(price)', on_error => 'quarantine') FROM unnest('{one,two,three}'::text[]) t;
CALL tandem.migrate('one');
UPDATE one SET price = id || ' EUR' WHERE id IN (2, 4, 6);
UPDATE two SET price = id || ' EUR' WHERE id IN (2, 4, 6);
SET timezone = 'Asia/Kolkata';
UPDATE three SET price = '2 EUR';
SET timezone = 'UTC';
UPDATE one SET cents = NULL WHERE id = 3;
UPDATE two SET cents = NULL WHERE id = 3;
UPDATE one SET id = 40 WHERE id = 4;
-- up fails for such a NULL later on, and the row is saved again
UPDATE one SET cents = NULL WHERE id = 7;
CREATE OR REPLACE FUNCTION number(text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 1 / ($1::integer - 7) + $1::integer; END $$;
UPDATE one SET code = 'B' WHERE id = 7;
SELECT relation, key, error FROM tandem.quarantine ORDER BY relation, key;
ALTER TABLE one RENAME id TO number;
ALTER TABLE one DROP CONSTRAINT one_pkey;
CREATE OR REPLACE FUNCTION number(text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT split_part($1, ' ', 1)::integer $$;
CALL tandem.migrate('one');
SELECT number, price, cents FROM one ORDER BY gone;
SELECT id, price, cents FROM two ORDER BY id;
SELECT id, price, cents FROM three;
SELECT relation, key, error FROM tandem.quarantine;
-- where the column of the key is gone, too, nothing tells them apart: the note stays
UPDATE one SET cents = 3 WHERE number = 3;
UPDATE two SET cents = 3 WHERE id = 3;
ALTER TABLE one ADD PRIMARY KEY (gone);
UPDATE one SET cents = 7 WHERE number = 7;
CREATE OR REPLACE FUNCTION number(text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1::integer; END $$;
UPDATE one SET price = '5 EUR' WHERE number = 5;
ALTER TABLE one DROP gone;
CREATE OR REPLACE FUNCTION number(text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT split_part($1, ' ', 1)::integer $$;
CALL tandem.migrate('one');
SELECT number, price, cents FROM one WHERE number IN (3, 5) ORDER BY number;
SELECT relation, key, error FROM tandem.quarantine;
CALL tandem.contract('one');
UPDATE one SET cents = 5 WHERE number = 5;
CALL tandem.migrate('one');
SELECT relation, key, error FROM tandem.quarantine;

CALL tandem.abort('one');

-- A NULL that a writer has given is not filled because another row, or an earlier version, was in quarantine under the key.
CREATE TABLE mean (id integer PRIMARY KEY, total integer, members integer);
SELECT tandem.create_migration('mean', release => 50);
SELECT tandem.add_column('mean', 'mean', 'mean', 'integer', up => 'total / members', on_error => 'quarantine');
CALL tandem.migrate('mean');
INSERT INTO mean SELECT id, 10, 0 FROM generate_series(1, 7) id;
SELECT key FROM tandem.quarantine ORDER BY key::text;
SET tandem.release = 50;
-- the key is given to another row: of an INSERT, and of an UPDATE
DELETE FROM mean WHERE id IN (1, 2);
INSERT INTO mean VALUES (1, 10, 2);
INSERT INTO mean VALUES (8, 10, 2);
UPDATE mean SET id = 2 WHERE id = 8;
-- an earlier version
UPDATE mean SET members = 2, mean = 3 WHERE id = 3;
UPDATE mean SET mean = NULL WHERE id = 3;
-- what is in quarantine is filled once it can be, whoever has made it so, but for what he gave
UPDATE mean SET members = 2 WHERE id = 4;
UPDATE mean SET members = 2, mean = 4 WHERE id = 5;
RESET tandem.release;
UPDATE mean SET members = 5 WHERE id = 6;
SELECT key FROM tandem.quarantine ORDER BY key::text;
CALL tandem.migrate('mean');
SELECT * FROM mean ORDER BY id;
SELECT key FROM tandem.quarantine ORDER BY key::text;
UPDATE mean SET members = 3 WHERE id = 7;
CALL tandem.migrate('mean');
SELECT key FROM tandem.quarantine ORDER BY key::text;
CALL tandem.abort('mean', force => true);
-- what is left of migrations that have ended
SELECT count(*) FROM tandem.quarantined_row;

\c postgres
DROP DATABASE quarantine_keys;
