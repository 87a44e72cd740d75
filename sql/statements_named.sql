-- The columns that the writer's statement names are known wherever it runs, and
-- for each of several parts of one statement.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA named;
SET search_path = named;
CREATE FUNCTION open(migration text, release integer DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$ SELECT $1 FROM tandem.create_migration($1, $2) $$;

--
-- Which columns it names.  Both sides have a computed default, so the values
-- of a row do not tell.  A row of which old is given has its id there; a row of
-- which new is given has a value there that old * 10 could not give.
--
CREATE SEQUENCE computed START 100000 INCREMENT 10;
CREATE TABLE t (id integer PRIMARY KEY, old integer DEFAULT nextval('computed'), note text);
BEGIN;
SELECT open('t', 42);
ALTER TABLE t ADD COLUMN new integer;
ALTER TABLE t ALTER new SET DEFAULT nextval('computed');
SELECT tandem.sync_column('t', 't', 'old', 'new', 'old * 10', 'new / 10');
COMMIT;

-- the first statement of a session, which loads the library by the trigger
\c -
SET search_path = named;
SET client_min_messages = warning;
INSERT INTO t (id, old) VALUES (1, 1), (2, 2);
\c -
SET search_path = named;
SET client_min_messages = warning;
COPY t (id, old) FROM stdin;
3	3
\.
\c -
SET search_path = named;
SET client_min_messages = warning;
WITH a AS (INSERT INTO t (id, old) VALUES (4, 4) RETURNING id) SELECT id FROM a;
-- two statements of one portal, made by a rule
CREATE TABLE log (id integer, what text);
CREATE TABLE ruled (id integer, old integer);
CREATE RULE ruled AS ON INSERT TO ruled DO INSTEAD
	(INSERT INTO t (id, old) VALUES (new.id, new.old); INSERT INTO log VALUES (new.id, 'ruled'));
\c -
SET search_path = named;
SET client_min_messages = warning;
INSERT INTO ruled VALUES (5, 5);
INSERT INTO ruled VALUES (6, 6);

-- in functions
CREATE FUNCTION insert_old(integer) RETURNS integer LANGUAGE plpgsql AS
	'BEGIN INSERT INTO t (id, old) VALUES ($1, $1); RETURN $1; END';
CREATE FUNCTION insert_new(integer) RETURNS integer LANGUAGE plpgsql AS
	'BEGIN INSERT INTO t (id, new) VALUES ($1, 100 * $1 + 1); RETURN $1; END';
CREATE FUNCTION insert_sql(integer) RETURNS integer LANGUAGE sql AS
	'INSERT INTO t (id, old) VALUES ($1, $1) RETURNING id';
CREATE FUNCTION insert_parsed(integer) RETURNS integer LANGUAGE sql BEGIN ATOMIC
	INSERT INTO t (id, old) VALUES ($1, $1) RETURNING id; END;
CREATE FUNCTION insert_rows(integer, integer) RETURNS SETOF integer LANGUAGE sql AS
	'INSERT INTO t (id, old) SELECT i, i FROM generate_series($1, $2) i RETURNING id';
SELECT insert_old(10), insert_new(11), insert_sql(12), insert_parsed(13);
SELECT insert_rows(14, 15);
DO $$ BEGIN EXECUTE 'INSERT INTO t (id, old) VALUES ($1, $1)' USING 16; END $$;
DO $$ DECLARE r record; BEGIN
	FOR r IN INSERT INTO t (id, old) VALUES (17, 17) RETURNING id LOOP PERFORM insert_old(18); END LOOP;
END $$;
CREATE PROCEDURE insert_committed() LANGUAGE plpgsql AS
	'BEGIN INSERT INTO t (id, old) VALUES (19, 19); COMMIT; INSERT INTO t (id, old) VALUES (20, 20); END';
CALL insert_committed();
-- within a statement of its own that names others
INSERT INTO t (id, new) SELECT insert_old(21) + 1, 10021;
INSERT INTO t (id, old) SELECT insert_new(23) + 1, 24;
-- prepared, with a plan of its own for the values and with one for all
PREPARE insert_prepared AS INSERT INTO t (id, old) VALUES ($1, $2);
SET plan_cache_mode = force_custom_plan;
EXECUTE insert_prepared(25, 25);
SET plan_cache_mode = force_generic_plan;
EXECUTE insert_prepared(26, 26);
RESET plan_cache_mode;
DO $$ BEGIN EXECUTE 'EXPLAIN ANALYZE INSERT INTO t (id, old) VALUES (27, 27)'; END $$;

-- what another trigger writes is found, not the statement that fires that one
CREATE TABLE source (id integer);
CREATE FUNCTION copy_to_t() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN INSERT INTO t (id, old) VALUES (NEW.id, NEW.id); RETURN NEW; END';
CREATE TRIGGER copy_to_t BEFORE INSERT ON source FOR EACH ROW EXECUTE FUNCTION copy_to_t();
INSERT INTO source VALUES (30);
COPY source FROM stdin;
31
\.
CREATE FUNCTION copy_on() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN IF NEW.id BETWEEN 32 AND 33 THEN INSERT INTO t (id, new) VALUES (NEW.id + 2, 100 * NEW.id + 1); END IF; RETURN NULL; END';
CREATE TRIGGER copy_on AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION copy_on();
INSERT INTO t (id, old) VALUES (32, 32), (33, 33);
DROP TRIGGER copy_on ON t;

-- COPY, with a list and without, also in a function
COPY t (old, id) FROM stdin;
40	40
\.
COPY t FROM stdin;
41	41	\N	410
\.
DO $$ BEGIN
	COPY t (id, old) FROM PROGRAM 'echo 42,42' (FORMAT csv);
	COPY t (id, new) FROM PROGRAM 'echo 43,10421' (FORMAT csv);
END $$;
COPY (INSERT INTO t (id, old) VALUES (44, 44) RETURNING id) TO stdout;

-- several INSERTs in one statement, each with columns of its own; nobody asks
-- for the rows of the last, which the end of the statement runs
WITH a AS (INSERT INTO t (id, old) VALUES (50, 50) RETURNING id),
	b AS (INSERT INTO t (id, new) SELECT id + 1, 10501 FROM a RETURNING id),
	c AS (UPDATE t SET note = 'updated' WHERE id = 1),
	d AS (DELETE FROM log),
	e AS (INSERT INTO t (id, old) VALUES (53, 53))
	INSERT INTO t (id, new) SELECT id + 1, 10511 FROM b;
-- so with the actions of a MERGE
MERGE INTO t USING (VALUES (54), (55), (1), (56)) v (id) ON t.id = v.id
	WHEN MATCHED THEN UPDATE SET note = 'merged'
	WHEN NOT MATCHED AND v.id = 54 THEN INSERT (id, old) VALUES (v.id, v.id)
	WHEN NOT MATCHED AND v.id = 55 THEN INSERT (id, new) VALUES (v.id, 10551)
	WHEN NOT MATCHED THEN INSERT (id, old, note) VALUES (v.id, v.id, 'third');
INSERT INTO t (id, old) VALUES (57, 57), (57, 58) ON CONFLICT (id) DO NOTHING;
INSERT INTO t (id, old) VALUES (57, 59), (60, 60) ON CONFLICT (id) DO UPDATE SET note = 'conflict';

-- after statements that failed, within and outside of a function
DO $$ BEGIN
	BEGIN INSERT INTO t (id, new) VALUES (1, 10); EXCEPTION WHEN unique_violation THEN NULL; END;
	INSERT INTO t (id, old) VALUES (61, 61);
END $$;
\set VERBOSITY sqlstate
BEGIN;
SAVEPOINT s;
INSERT INTO t (id, new) SELECT insert_new(1), 10;
ROLLBACK TO s;
INSERT INTO t (id, old) VALUES (62, 62);
COMMIT;
\set VERBOSITY default
SELECT id, old, new, note FROM t ORDER BY id;

-- A partition has other column numbers, and a statement may name any table above it.
CREATE TABLE parent (id integer, part integer, old integer DEFAULT nextval('computed')) PARTITION BY LIST (part);
CREATE TABLE leaf1 (dropped text, old integer DEFAULT nextval('computed'), part integer, id integer);
ALTER TABLE leaf1 DROP COLUMN dropped;
ALTER TABLE parent ATTACH PARTITION leaf1 FOR VALUES IN (1);
CREATE TABLE middle PARTITION OF parent FOR VALUES IN (2, 3) PARTITION BY LIST (part);
CREATE TABLE leaf2 PARTITION OF middle FOR VALUES IN (2);
CREATE TABLE leaf3 PARTITION OF middle FOR VALUES IN (3);
BEGIN;
SELECT open('parent', 42);
ALTER TABLE parent ADD COLUMN new integer;
ALTER TABLE parent ALTER new SET DEFAULT nextval('computed');
SELECT tandem.sync_column('parent', 'parent', 'old', 'new', 'old * 10', 'new / 10');
COMMIT;
INSERT INTO parent (id, part, old) VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3);
INSERT INTO middle (id, part, old) VALUES (4, 2, 4);
INSERT INTO leaf1 (id, part, old) VALUES (5, 1, 5);
WITH a AS (INSERT INTO parent (id, part, old) VALUES (6, 1, 6), (7, 2, 7)),
	b AS (UPDATE parent SET part = part WHERE id < 3)
	INSERT INTO parent (id, part, new) VALUES (8, 1, 10081), (9, 2, 10091), (10, 3, 10101);
WITH a AS (INSERT INTO leaf1 (id, part, old) VALUES (11, 1, 11)) INSERT INTO parent (id, part, new) VALUES (12, 1, 10121);
MERGE INTO parent USING (VALUES (13, 1), (14, 3), (1, 1)) v (id, part) ON parent.id = v.id
	WHEN NOT MATCHED AND v.id = 13 THEN INSERT (id, part, old) VALUES (v.id, v.part, v.id)
	WHEN NOT MATCHED THEN INSERT (id, part, new) VALUES (v.id, v.part, 10141)
	WHEN MATCHED THEN UPDATE SET part = 3;
COPY parent (part, old, id) FROM stdin;
1	15	15
2	16	16
\.
DO $$ BEGIN INSERT INTO parent (id, part, old) VALUES (17, 1, 17), (18, 3, 18); END $$;
SELECT id, part, old, new FROM parent ORDER BY id;

DROP SCHEMA named CASCADE;
DROP EXTENSION pg_tandem;
