-- A derived column of which up was replaced: what the former up gave cannot be told from what the new release gave, and
-- follows its sources no more.  migrate says so, and refill computes again what it is told to.
CREATE DATABASE derived_refill;
\c derived_refill
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset null '-'
\pset format unaligned
\pset tuples_only

CREATE FUNCTION plus(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE TABLE rf (id int PRIMARY KEY, a int);
INSERT INTO rf SELECT i, i FROM generate_series(1, 4) i;
SELECT tandem.create_migration('rf');
SELECT tandem.add_column('rf', 'rf', 'b', 'int', up => 'plus(a)');
CALL tandem.migrate('rf');
-- a value of its own is none of a former up: no warning
UPDATE rf SET b = 7 WHERE id = 4;
VACUUM FULL rf;
CALL tandem.migrate('rf');
SELECT rows_own FROM tandem.verify('rf');
CREATE OR REPLACE FUNCTION plus(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 10';
UPDATE rf SET a = 30 WHERE id = 3;
CALL tandem.migrate('rf');
-- as long as it is so
CALL tandem.migrate('rf');
SELECT tandem.refill('rf');
SELECT tandem.refill('rf', NULL);
SELECT tandem.refill('rf', '{b,c}');
SELECT tandem.refill('rf', '{b,NULL}');
SELECT phase FROM tandem.migrations;
TABLE rf ORDER BY id;
-- the hint, run as it is
SELECT tandem.refill('rf', derived => '{b}');
SELECT phase FROM tandem.migrations;
CALL tandem.contract('rf');
CALL tandem.migrate('rf');
TABLE rf ORDER BY id;
UPDATE rf SET a = 40 WHERE id = 3;
UPDATE rf SET b = 8 WHERE id = 1;
VACUUM FULL rf;
CALL tandem.migrate('rf');
TABLE rf ORDER BY id;
SELECT rows_own FROM tandem.verify('rf');
SELECT refill, refill_derived FROM tandem.step WHERE refill OR refill_derived <> '{}';
-- a value of its own stays again, and what is put back is seen again
CREATE OR REPLACE FUNCTION plus(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 20';
CREATE OR REPLACE FUNCTION plus(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 10';
CALL tandem.migrate('rf');
CALL tandem.contract('rf');

-- put back: rows were written meanwhile
CREATE FUNCTION back(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE TABLE pb (id int PRIMARY KEY, a int);
INSERT INTO pb SELECT i, i FROM generate_series(1, 3) i;
SELECT tandem.create_migration('pb');
SELECT tandem.add_column('pb', 'pb', 'b', 'int', up => 'back(a)');
CALL tandem.migrate('pb');
CREATE OR REPLACE FUNCTION back(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1000';
INSERT INTO pb (id, a) VALUES (4, 4);
CREATE OR REPLACE FUNCTION back(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CALL tandem.migrate('pb');
SELECT tandem.refill('pb', '{b}');
CALL tandem.migrate('pb');
TABLE pb ORDER BY id;
CALL tandem.contract('pb');

-- before the first migrate, and with no row that differs
CREATE FUNCTION early(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE TABLE ea (id int PRIMARY KEY, a int);
INSERT INTO ea SELECT i, i FROM generate_series(1, 3) i;
SELECT tandem.create_migration('ea');
SELECT tandem.add_column('ea', 'ea', 'b', 'int', up => 'early(a)');
INSERT INTO ea (id, a) VALUES (4, 4);
CREATE OR REPLACE FUNCTION early(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 10';
CALL tandem.migrate('ea');
TABLE ea ORDER BY id;
CREATE OR REPLACE FUNCTION early(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 11';
UPDATE ea SET b = early(a);
CALL tandem.migrate('ea');
CALL tandem.contract('ea');

-- only what is named; a column that reads it follows; partitions; names that need quotes; what is left to be filled
CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE TABLE pt (id int, a int) PARTITION BY RANGE (id);
CREATE TABLE pt1 PARTITION OF pt FOR VALUES FROM (0) TO (10);
CREATE TABLE pt2 (x int, a int, id int NOT NULL);
ALTER TABLE pt2 DROP x;
ALTER TABLE pt ATTACH PARTITION pt2 FOR VALUES FROM (10) TO (20);
INSERT INTO pt SELECT i, i FROM generate_series(8, 11) i;
BEGIN;
SELECT tandem.create_migration('it''s', release => 42);
SELECT tandem.add_column('it''s', 'pt', 'it''s "b", c', 'int', up => 'f(a)');
SELECT tandem.add_column('it''s', 'pt', 'd', 'int', up => '"it''s ""b"", c" * 100');
SELECT tandem.add_column('it''s', 'pt', 'e', 'int', up => 'f(a) * 100');
COMMIT;
CALL tandem.migrate('it''s');
UPDATE pt SET e = 5 WHERE id = 8;
UPDATE pt SET d = 6 WHERE id = 9;
SET tandem.release = 42;
UPDATE pt SET "it's ""b"", c" = NULL WHERE id = 11;
RESET tandem.release;
CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 2';
CALL tandem.migrate('it''s');
TABLE pt ORDER BY id;
SELECT tandem.refill('it''s', derived => '{"it''s \"b\", c"}');
CALL tandem.migrate('it''s');
TABLE pt ORDER BY id;
-- two calls add up
SELECT tandem.refill('it''s', '{d}');
SELECT tandem.refill('it''s', '{e}');
SET tandem.fire_triggers = on;
CALL tandem.migrate('it''s', workers => 2);
RESET tandem.fire_triggers;
TABLE pt ORDER BY id;
SELECT sum(rows_own) FROM tandem.verify('it''s');
CALL tandem.contract('it''s', undeclared => 'ignore');

-- beside a sync: rows of both are computed, and without the name only those of the sync
CREATE FUNCTION g(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 10';
CREATE TABLE mx (id int PRIMARY KEY, a int, o int);
INSERT INTO mx VALUES (1, 1, 1), (2, 2, 2);
SELECT tandem.create_migration('mx');
SELECT tandem.add_column('mx', 'mx', 'b', 'int', up => 'g(a)');
SELECT tandem.add_column('mx', 'mx', 'n', 'int');
SELECT tandem.sync_column('mx', 'mx', 'o', 'n', 'g(o)');
CALL tandem.migrate('mx');
CREATE OR REPLACE FUNCTION g(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 11';
SELECT tandem.refill('mx');
CALL tandem.migrate('mx');
TABLE mx ORDER BY id;
SELECT tandem.refill('mx', '{n}');
SELECT tandem.refill('mx', '{b}');
CALL tandem.migrate('mx');
TABLE mx ORDER BY id;
CALL tandem.contract('mx');

-- where up fails, the value that has mended the row stays, and a failure ends the refill of a sync without quarantine
CREATE FUNCTION q(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN IF $1 = 2 THEN RAISE EXCEPTION 'not two'; END IF; RETURN $1; END $$;
CREATE TABLE qu (id int PRIMARY KEY, a int);
INSERT INTO qu SELECT i, i FROM generate_series(1, 3) i;
SELECT tandem.create_migration('qu');
SELECT tandem.add_column('qu', 'qu', 'b', 'int', up => 'q(a)', on_error => 'quarantine');
CALL tandem.migrate('qu');
UPDATE qu SET b = 22 WHERE id = 2;
CREATE OR REPLACE FUNCTION q(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN IF $1 = 2 THEN RAISE EXCEPTION 'not two'; END IF; RETURN $1 * 10; END $$;
CALL tandem.migrate('qu');
SELECT tandem.refill('qu', '{b}');
CALL tandem.migrate('qu');
TABLE qu ORDER BY id;
SELECT count(*) FROM tandem.quarantine;
CALL tandem.contract('qu');
CREATE TABLE er (id int PRIMARY KEY, a int);
INSERT INTO er VALUES (1, 1), (3, 3);
SELECT tandem.create_migration('er');
SELECT tandem.add_column('er', 'er', 'b', 'int', up => 'q(a)');
CALL tandem.migrate('er');
CREATE OR REPLACE FUNCTION q(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN IF $1 = 3 THEN RAISE EXCEPTION 'not three'; END IF; RETURN $1 * 100; END $$;
CALL tandem.migrate('er');
SELECT tandem.refill('er', '{b}');
CALL tandem.migrate('er');
UPDATE er SET a = 4 WHERE id = 3;
CALL tandem.migrate('er');
TABLE er ORDER BY id;
CALL tandem.contract('er');

-- the whole row is part of what up uses
CREATE TABLE wd (id int PRIMARY KEY, a int);
INSERT INTO wd SELECT i, i FROM generate_series(1, 3) i;
CREATE FUNCTION of_row(wd) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT (to_jsonb($1) - 'b' - 'c')::text $$;
BEGIN;
SELECT tandem.create_migration('wd');
SELECT tandem.add_column('wd', 'wd', 'b', 'text', up => 'of_row(wd)');
SELECT tandem.add_column('wd', 'wd', 'c', 'int', up => 'a + 1');
COMMIT;
UPDATE wd SET b = 'own' WHERE id = 1;
CALL tandem.migrate('wd');
ALTER TABLE wd ADD COLUMN x int DEFAULT 1;
CALL tandem.migrate('wd');
SELECT tandem.refill('wd', '{b}');
CALL tandem.migrate('wd');
UPDATE wd SET a = 5 WHERE id = 2;
TABLE wd ORDER BY id;

\c postgres
DROP DATABASE derived_refill;
