-- INSERT and defaults: what a statement leaves out is not given, though the
-- row has a value there.
-- Hazard: an INSERT cannot tell not given from given as the default.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA defaults;
SET search_path = defaults;
SET datestyle = iso;
CREATE FUNCTION open(migration text, release integer DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$ SELECT $1 FROM tandem.create_migration($1, $2) $$;

-- Constant defaults: a column is given when its value is not the default.
CREATE TABLE constant (id integer PRIMARY KEY, old integer DEFAULT 5);
BEGIN;
SELECT open('constant');
ALTER TABLE constant ADD COLUMN new integer DEFAULT 70;
SELECT tandem.sync_column('constant', 'constant', 'old', 'new', 'old * 10', 'new / 10');
COMMIT;
INSERT INTO constant (id) VALUES (0);
INSERT INTO constant (id, old) VALUES (1, 1);
INSERT INTO constant (id, new) VALUES (2, 20);
INSERT INTO constant (id, old, new) VALUES (3, 3, 30);
-- named, and at the default: no more than if it were left out
INSERT INTO constant (id, old, new) VALUES (4, 5, 40);
INSERT INTO constant (id, old, new) VALUES (5, 6, 70);
INSERT INTO constant VALUES (6, DEFAULT, DEFAULT), (7, 7, DEFAULT), (8, DEFAULT, 80);
SELECT * FROM constant ORDER BY id;

-- A computed default on the old side.  It does not count by itself: a release
-- that writes the new column alone meets no conflict.
CREATE TABLE old_computed (id integer PRIMARY KEY, created timestamptz DEFAULT now());
BEGIN;
SELECT open('old_computed', 42);
ALTER TABLE old_computed ADD COLUMN made date;
SELECT tandem.sync_column('old_computed', 'old_computed', 'created', 'made',
	$$ (created AT TIME ZONE 'UTC')::date $$, $$ made::timestamp AT TIME ZONE 'UTC' $$);
COMMIT;
CREATE FUNCTION row_is(t old_computed) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s %s', CASE WHEN (t).created BETWEEN now() - interval '1 hour' AND now() THEN 'now'
			ELSE coalesce(((t).created AT TIME ZONE 'UTC')::text, 'null') END,
		CASE WHEN (t).made = ((t).created AT TIME ZONE 'UTC')::date THEN 'agree' ELSE coalesce((t).made::text, 'null') END) $$;
INSERT INTO old_computed (id) VALUES (0);
INSERT INTO old_computed (id, made) VALUES (1, '2001-01-01');
INSERT INTO old_computed (id, made) VALUES (2, '2002-02-02'), (3, '2003-03-03');
INSERT INTO old_computed (id, made) SELECT 4, date '2004-04-04';
INSERT INTO old_computed (id, created) VALUES (5, '2005-05-05 00:00Z');
COPY old_computed (id, made) FROM stdin;
6	2006-06-06
\.
COPY old_computed (id, created) FROM stdin;
7	2007-07-07 00:00Z
\.
COPY old_computed FROM stdin;
8	2008-08-08 00:00Z	\N
\.
WITH v AS (VALUES (9, date '2009-09-09')) INSERT INTO old_computed (id, made) SELECT * FROM v;
PREPARE insert_made AS INSERT INTO old_computed (id, made) VALUES ($1, $2);
EXECUTE insert_made(10, '2010-10-10');
INSERT INTO old_computed (id, made) VALUES (10, '2011-11-11')
	ON CONFLICT (id) DO UPDATE SET made = EXCLUDED.made;
MERGE INTO old_computed o USING (VALUES (12)) v (id) ON o.id = v.id
	WHEN NOT MATCHED THEN INSERT (id, made) VALUES (v.id, '2012-12-12');
-- of two INSERT actions in one MERGE the one at work counts
MERGE INTO old_computed o USING (VALUES (19), (20)) v (id) ON o.id = v.id
	WHEN NOT MATCHED AND v.id = 19 THEN INSERT (id, created) VALUES (v.id, '2019-01-19 00:00Z')
	WHEN NOT MATCHED THEN INSERT (id, made) VALUES (v.id, '2020-01-20');
WITH w AS (INSERT INTO old_computed (id, made) VALUES (13, '2013-01-13') RETURNING id) SELECT id FROM w;
-- two INSERTs in one statement, each with columns of its own
WITH w AS (INSERT INTO old_computed (id, created) VALUES (15, '2015-01-15 00:00Z') RETURNING id)
	INSERT INTO old_computed (id, made) VALUES (16, '2016-01-16');
-- what a function inserts is no matter of the statement that calls it
CREATE FUNCTION insert_beside() RETURNS integer LANGUAGE plpgsql AS
	$$ BEGIN INSERT INTO old_computed (id, made) VALUES (17, '2017-01-17'); RETURN 18; END $$;
INSERT INTO old_computed (id, created) SELECT insert_beside(), '2018-01-18 00:00Z';
-- named is given, even where the value happens to be the default
\set VERBOSITY terse
INSERT INTO old_computed (id, created, made) VALUES (14, now(), '2014-01-14');
COPY old_computed (id, created, made) FROM stdin;
14	2000-01-01 00:00Z	2014-01-14
\.
\set VERBOSITY default
-- in functions as well
CREATE FUNCTION insert_made(id integer, made date) RETURNS void
LANGUAGE plpgsql AS 'BEGIN INSERT INTO old_computed (id, made) VALUES ($1, $2); END';
CREATE FUNCTION insert_created(id integer, created timestamptz) RETURNS void
LANGUAGE plpgsql AS 'BEGIN INSERT INTO old_computed (id, created) VALUES ($1, $2); END';
SELECT insert_made(21, '2021-01-21'), insert_created(22, '2022-01-22 00:00Z');
DO $$ BEGIN INSERT INTO old_computed (id, made) VALUES (23, '2023-01-23'); END $$;
\set VERBOSITY terse
DO $$ BEGIN INSERT INTO old_computed (id, created, made) VALUES (24, '2000-01-01 00:00Z', '2024-01-24'); END $$;
\set VERBOSITY default
SELECT id, row_is(t) FROM old_computed t ORDER BY id;

-- An explicit NULL in the new column: the release settles it, in a statement
-- and in a function.
SET tandem.release = 42;
INSERT INTO old_computed (id, made) VALUES (31, NULL);
SELECT insert_made(32, NULL);
SELECT insert_made(33, '2033-01-23');
-- what this release writes to the old column never counts
SELECT insert_created(34, '2034-01-24 00:00Z');
INSERT INTO old_computed (id, created) VALUES (35, '2035-01-25 00:00Z');
SET tandem.release = 41;
INSERT INTO old_computed (id, made) VALUES (36, NULL);
SELECT insert_created(37, '2037-01-27 00:00Z');
RESET tandem.release;
SELECT id, row_is(t) FROM old_computed t WHERE id > 30 ORDER BY id;

-- A computed default on the new side: it does not hide what the old release wrote.
CREATE TABLE new_computed (id integer PRIMARY KEY, old text);
INSERT INTO new_computed VALUES (0, 'before');
CREATE SEQUENCE tickets;
BEGIN;
SELECT open('new_computed', 42);
ALTER TABLE new_computed ADD COLUMN new text;
ALTER TABLE new_computed ALTER COLUMN new SET DEFAULT 'ticket ' || nextval('tickets');
SELECT tandem.sync_column('new_computed', 'new_computed', 'old', 'new', 'upper(old)', 'lower(new)');
COMMIT;
INSERT INTO new_computed (id, old) VALUES (1, 'one');
INSERT INTO new_computed (id, new) VALUES (2, 'TWO');
INSERT INTO new_computed (id) VALUES (3);
DO $$ BEGIN
	INSERT INTO new_computed (id, old) VALUES (4, 'four');
	INSERT INTO new_computed (id, new) VALUES (5, 'FIVE');
END $$;
COPY new_computed (id, old) FROM stdin;
6	six
\.
INSERT INTO new_computed (id, new) VALUES (7, DEFAULT);
SET tandem.release = 42;
INSERT INTO new_computed (id) VALUES (8);
DO $$ BEGIN INSERT INTO new_computed (id) VALUES (9); END $$;
SET tandem.release = 41;
INSERT INTO new_computed (id) VALUES (10);
DO $$ BEGIN INSERT INTO new_computed (id, old) VALUES (11, 'eleven'); INSERT INTO new_computed (id) VALUES (12); END $$;
RESET tandem.release;
SELECT id, old, regexp_replace(new, '\d+', 'n') AS new, lower(new) = old AS agree FROM new_computed ORDER BY id;
CALL tandem.migrate('new_computed');
SELECT * FROM new_computed WHERE id = 0;

-- Computed defaults on both sides: an integer key that becomes a uuid.
CREATE TABLE both_computed (id integer PRIMARY KEY, serial_key integer DEFAULT nextval('tickets'));
BEGIN;
SELECT open('both_computed', 42);
CREATE FUNCTION key_to_uuid(integer) RETURNS uuid LANGUAGE sql IMMUTABLE
	RETURN lpad($1::text, 32, '0')::uuid;
CREATE FUNCTION uuid_to_key(uuid) RETURNS integer LANGUAGE sql IMMUTABLE
	RETURN ('x' || right(md5($1::text), 7))::bit(28)::integer;
ALTER TABLE both_computed ADD COLUMN uuid_key uuid;
ALTER TABLE both_computed ALTER COLUMN uuid_key SET DEFAULT gen_random_uuid();
SELECT tandem.sync_column('both_computed', 'both_computed', 'serial_key', 'uuid_key',
	'key_to_uuid(serial_key)', 'uuid_to_key(uuid_key)');
COMMIT;
INSERT INTO both_computed (id) VALUES (1);
INSERT INTO both_computed (id, serial_key) VALUES (2, 1002);
INSERT INTO both_computed (id, uuid_key) VALUES (3, '12345678-0000-0000-0000-000000000003');
INSERT INTO both_computed (id) SELECT 4;
SET tandem.release = 42;
INSERT INTO both_computed (id) VALUES (5);
SET tandem.release = 41;
DO $$ BEGIN INSERT INTO both_computed (id) VALUES (6); END $$;
RESET tandem.release;
DO $$ BEGIN INSERT INTO both_computed (id) VALUES (7); END $$;
INSERT INTO both_computed (id, serial_key, uuid_key)
	VALUES (8, 1008, '12345678-0000-0000-0000-000000000008');
SELECT id, CASE WHEN uuid_key = key_to_uuid(serial_key) THEN 'from old'
	WHEN serial_key = uuid_to_key(uuid_key) THEN 'from new' ELSE 'disagree' END AS row
FROM both_computed ORDER BY id;

-- The statement may write a partitioned table; its leaf has other column numbers.
CREATE TABLE parent (id integer, created timestamptz DEFAULT now(), part integer) PARTITION BY LIST (part);
CREATE TABLE leaf (dropped text, part integer, created timestamptz DEFAULT now(), id integer);
ALTER TABLE leaf DROP COLUMN dropped;
ALTER TABLE parent ATTACH PARTITION leaf FOR VALUES IN (1);
BEGIN;
SELECT open('parent');
ALTER TABLE parent ADD COLUMN made date;
SELECT tandem.sync_column('parent', 'parent', 'created', 'made',
	$$ (created AT TIME ZONE 'UTC')::date $$, $$ made::timestamp AT TIME ZONE 'UTC' $$);
COMMIT;
INSERT INTO parent (id, part, made) VALUES (1, 1, '2001-01-01');
INSERT INTO parent (id, part, created) VALUES (2, 1, '2002-02-02 00:00Z');
INSERT INTO leaf (id, part, made) VALUES (3, 1, '2003-03-03');
COPY parent (made, part, id) FROM stdin;
2004-04-04	1	4
\.
SELECT id, created AT TIME ZONE 'UTC' AS created, made FROM parent ORDER BY id;

-- After a rewrite the default tells which rows are not filled: it stays until they are.
CREATE FUNCTION added(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1 + 1000';
CREATE TABLE rewritten (id integer PRIMARY KEY, old integer);
INSERT INTO rewritten SELECT i, i FROM generate_series(1, 3) i;
SELECT open('rewritten');
SELECT tandem.add_column('rewritten', 'rewritten', 'new', 'integer', default_value => '0');
SELECT tandem.sync_column('rewritten', 'rewritten', 'old', 'new', 'added(old)');
VACUUM FULL rewritten;
ALTER TABLE rewritten ALTER new SET DEFAULT 7;
ALTER TABLE rewritten ALTER new DROP DEFAULT;
ALTER TABLE rewritten ALTER old SET DEFAULT 7;
CALL tandem.migrate('rewritten');
SELECT * FROM rewritten ORDER BY id;
ALTER TABLE rewritten ALTER new SET DEFAULT 7;
CREATE TABLE rewritten_parts (id integer, old integer) PARTITION BY LIST (id);
CREATE TABLE rewritten_1 PARTITION OF rewritten_parts FOR VALUES IN (1);
INSERT INTO rewritten_parts VALUES (1, 1);
SELECT open('parts');
SELECT tandem.add_column('parts', 'rewritten_parts', 'new', 'integer', default_value => '0');
SELECT tandem.sync_column('parts', 'rewritten_parts', 'old', 'new', 'added(old)');
ALTER TABLE rewritten_1 ALTER new SET DEFAULT 7;
ALTER TABLE rewritten_parts ALTER new DROP DEFAULT;
-- a first default is no other: what is not filled holds NULL
CREATE TABLE without (id integer PRIMARY KEY, old integer);
INSERT INTO without VALUES (1, 1);
SELECT open('without');
SELECT tandem.add_column('without', 'without', 'new', 'integer');
SELECT tandem.sync_column('without', 'without', 'old', 'new', 'added(old)');
ALTER TABLE without ALTER new SET DEFAULT 7;
ALTER TABLE without ALTER new SET DEFAULT 8;
VACUUM FULL without;
CALL tandem.migrate('without');
TABLE without;
-- nor was it changed before
CREATE TABLE added_before (id integer PRIMARY KEY, old integer);
INSERT INTO added_before VALUES (1, 1);
SELECT open('before');
ALTER TABLE added_before ADD new integer DEFAULT 0;
ALTER TABLE added_before ALTER new DROP DEFAULT;
SELECT tandem.sync_column('before', 'added_before', 'old', 'new', 'added(old)');
ALTER TABLE added_before ALTER new SET DEFAULT 0;
SELECT tandem.sync_column('before', 'added_before', 'old', 'new', 'added(old)');

-- An identity column's value is a computed default, too.
CREATE TABLE with_identity (old integer GENERATED BY DEFAULT AS IDENTITY, note text);
SELECT open('with_identity');
ALTER TABLE with_identity ADD COLUMN new bigint;
SELECT tandem.sync_column('with_identity', 'with_identity', 'old', 'new', 'old');
INSERT INTO with_identity (note) VALUES ('generated');
INSERT INTO with_identity (old, note) VALUES (100, 'given');
INSERT INTO with_identity (old, new, note) VALUES (101, 101, 'both');
INSERT INTO with_identity (old, new, note) VALUES (101, 102, 'disagree');
SELECT * FROM with_identity ORDER BY old;

-- What release N writes to an old column that no down computes does not count: the column gets
-- the default that it has in what the statement names, computed as for a column left out.
CREATE FUNCTION who() RETURNS text LANGUAGE plpgsql VOLATILE AS
	$$ BEGIN RETURN 'by ' || current_user; END $$;
CREATE DOMAIN short AS text CHECK (length(VALUE) < 20);
CREATE TABLE taken_back (id integer GENERATED BY DEFAULT AS IDENTITY, part integer DEFAULT 1,
	city text DEFAULT upper('def') || clock_timestamp()::text, street short DEFAULT lower(who()))
	PARTITION BY LIST (part);
CREATE TABLE taken_back_1 PARTITION OF taken_back FOR VALUES IN (1);
ALTER TABLE taken_back_1 ALTER street SET DEFAULT upper('leaf ' || who());
BEGIN;
SELECT open('taken_back', 43);
ALTER TABLE taken_back ADD COLUMN address text;
SELECT tandem.sync_columns('taken_back', 'taken_back', '{city,street}', '{address}',
	ARRAY[$$ city || ', ' || street $$], ARRAY[$$ split_part(address, ', ', 1) $$, NULL]);
COMMIT;
SET tandem.release = 43;
INSERT INTO taken_back (city, street, address) VALUES ('a', 'written', 'c, d');
INSERT INTO taken_back (street, address) VALUES (NULL, 'e, f'), (DEFAULT, 'g, h');
INSERT INTO taken_back_1 (id, street, address) VALUES (11, 'written', 'i, j');
COPY taken_back (id, street, address) FROM stdin;
12	\N	k, l
13	written	m, n
\.
RESET tandem.release;
SELECT id, city, replace(street, lower(current_user), 'me') AS street, address FROM taken_back
	WHERE id < 11 OR id > 11 ORDER BY id;
SELECT replace(street, upper(current_user), 'ME') AS street, address FROM taken_back WHERE id = 11;

-- A row that another trigger gives a value is judged by what it has then.
CREATE TABLE filled_by_trigger (id integer PRIMARY KEY, old text);
CREATE FUNCTION set_old() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN NEW.old = coalesce(NEW.old, 'from trigger'); RETURN NEW; END $$;
CREATE TRIGGER set_old BEFORE INSERT ON filled_by_trigger FOR EACH ROW EXECUTE FUNCTION set_old();
SELECT open('filled_by_trigger');
ALTER TABLE filled_by_trigger ADD COLUMN new text;
SELECT tandem.sync_column('filled_by_trigger', 'filled_by_trigger', 'old', 'new', 'upper(old)', 'lower(new)');
INSERT INTO filled_by_trigger (id) VALUES (1);
SELECT * FROM filled_by_trigger;

DROP SCHEMA defaults CASCADE;
DROP EXTENSION pg_tandem;
