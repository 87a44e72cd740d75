-- A down that is null for every row says nothing: it is as if it were left out.
-- Else it would agree with rows that nobody has filled.
CREATE DATABASE one_way;
\c one_way
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset null '-'
\set SHOW_CONTEXT never

CREATE DOMAIN name_domain AS text;
CREATE TYPE color AS ENUM ('red');
CREATE FUNCTION nothing(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT NULL::text';
-- expands a table of its own with this down, and says what is known of the sync
CREATE FUNCTION direction_of(number integer, type text, down text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	name text = 't' || number;
BEGIN
	EXECUTE format('CREATE TABLE %I (id integer PRIMARY KEY, a %s)', name, type);
	PERFORM tandem.create_migration(name);
	PERFORM tandem.add_column(name, name, 'b', type);
	PERFORM tandem.sync_column(name, name, 'a', 'b', 'a', down);
	RETURN (SELECT s.direction || coalesce(', ' || s.down::text, '') FROM tandem.syncs s WHERE s.migration = name);
END $$;
SELECT down, type, direction_of(number::integer, type, down)
FROM (SELECT row_number() OVER () AS number, * FROM (VALUES
	('NULL', 'text'), ('NULL::text', 'text'), ('NULL', 'integer'), ('NULL::boolean', 'boolean'),
	('CAST(NULL AS integer)', 'bigint'), ('NULL::integer::text', 'text'), ('NULL::name_domain', 'name_domain'),
	('NULL::color', 'color'), ('NULL::text::color', 'color'), ('NULL::integer[]', 'bigint[]'), ('NULL COLLATE "C"', 'text'),
	('NULL || b', 'text'), ('b + NULL', 'integer'), ('upper(NULL)', 'text'), ('CASE WHEN false THEN b END', 'text'),
	('nullif(1, 1)', 'integer'), ('coalesce(NULL, NULL)', 'text'), ('nothing(b)', 'text'), (NULL, 'text'),
	-- these say something
	('b', 'text'), ('nullif(b, b)', 'text'), ('1 / 0', 'integer'), ('coalesce(NULL, b)', 'text')
	) v (down, type)) n;

-- It is said, and a script that is run again finds it, however it leaves down out.
CREATE TABLE people (id integer PRIMARY KEY, name text NOT NULL DEFAULT 'nobody', age integer);
INSERT INTO people VALUES (1, 'Ada Lovelace', 36), (2, 'Bob', NULL);
SELECT tandem.create_migration('people');
SELECT tandem.add_column('people', 'people', 'first', 'text'), tandem.add_column('people', 'people', 'years', 'integer');
SET client_min_messages = notice;
SELECT tandem.sync_columns('people', 'people', '{name,age}', '{first,years}',
	ARRAY[$$split_part(name, ' ', 1)$$, 'age'], '{NULL,NULL}');
SELECT tandem.sync_columns('people', 'people', '{name,age}', '{first,years}',
	ARRAY[$$split_part(name, ' ', 1)$$, 'age'], '{NULL,NULL}');
SELECT tandem.sync_columns('people', 'people', '{name,age}', '{first,years}',
	ARRAY[$$split_part(name, ' ', 1)$$, 'age']);
SELECT tandem.sync_columns('people', 'people', '{name,age}', '{first,years}',
	ARRAY[$$split_part(name, ' ', 1)$$, 'age'], ARRAY['first', NULL]);
SET client_min_messages = warning;
SELECT down, direction FROM tandem.syncs WHERE migration = 'people';
-- the trigger has none either
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'people'::regclass AND encode(tgargs, 'escape') LIKE '%{NULL%';
-- verify sees what is not filled
SELECT rows_unfilled, rows_mismatched, rows_lossy FROM tandem.verify('people');
CALL tandem.migrate('people');
SELECT * FROM people ORDER BY id;
-- both written in disagreement
INSERT INTO people (id, name, first) VALUES (3, 'Cy', 'Dee');
UPDATE people SET name = 'Eve', first = 'Fay' WHERE id = 1;
-- what N writes is not written back, and does not agree
UPDATE people SET first = 'Gus' WHERE id = 1;
SELECT * FROM people ORDER BY id;
SELECT rows_unfilled, rows_mismatched, rows_lossy FROM tandem.verify('people');
UPDATE people SET name = 'Gus' WHERE id = 1;
CALL tandem.migrate('people');
CALL tandem.contract('people', accept => '{defaults,not null}');
SELECT * FROM people ORDER BY id;

-- The arguments of a trigger of before are read in the same way.
CREATE TABLE restored (id integer PRIMARY KEY, a text);
INSERT INTO restored VALUES (1, 'x');
SELECT tandem.create_migration('restored');
SELECT tandem.add_column('restored', 'restored', 'b', 'text');
SELECT tandem.sync_columns('restored', 'restored', '{a}', '{b}', '{a}', '{NULL}');
SELECT format('CREATE OR REPLACE TRIGGER "~tandem_sync" BEFORE INSERT OR UPDATE ON restored FOR EACH ROW EXECUTE FUNCTION tandem.sync_row(%s)',
	string_agg(quote_literal(CASE WHEN n = 10 THEN '{NULL}' ELSE arg END), ', ' ORDER BY n)) AS statement
FROM pg_trigger, regexp_split_to_table(encode(tgargs, 'escape'), '\\000') WITH ORDINALITY a (arg, n)
WHERE tgrelid = 'restored'::regclass AND n <= 12 \gset
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
:statement;
ALTER TABLE restored ENABLE ALWAYS TRIGGER "~tandem_sync";
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
SELECT encode(tgargs, 'escape') LIKE '%{NULL}%' FROM pg_trigger WHERE tgrelid = 'restored'::regclass;
INSERT INTO restored VALUES (2, 'y', 'z');
SELECT rows_unfilled, rows_mismatched FROM tandem.verify('restored');

-- With some nulls down judges only if it has an expression for each old column.
CREATE TABLE part (id integer PRIMARY KEY, a text, b text);
INSERT INTO part VALUES (1, 'x', 'y'), (2, NULL, 'y');
SELECT tandem.create_migration('part');
SELECT tandem.add_column('part', 'part', 'c', 'text');
SELECT tandem.sync_columns('part', 'part', '{a,b}', '{c}', ARRAY[$$concat(a, '-', b)$$],
	ARRAY[$$nullif(split_part(c, '-', 1), '')$$, NULL]);
SELECT down, direction FROM tandem.syncs WHERE migration = 'part';
CALL tandem.migrate('part');
SELECT rows_unfilled, rows_mismatched, rows_lossy FROM tandem.verify('part');

-- What N gives a row in quarantine, up does not agree with: verify says so, and contract.
CREATE TABLE texts (id integer PRIMARY KEY, a text);
INSERT INTO texts VALUES (1, 'x'), (2, '1'), (3, NULL);
SELECT tandem.create_migration('texts');
SELECT tandem.add_column('texts', 'texts', 'n', 'integer');
SELECT tandem.sync_column('texts', 'texts', 'a', 'n', 'a::integer', on_error => 'quarantine');
CALL tandem.migrate('texts');
SELECT key FROM tandem.quarantine;
UPDATE texts SET n = 5 WHERE id = 1;
SET client_min_messages = warning;
CALL tandem.migrate('texts');
SELECT rows_unfilled, rows_mismatched, sample FROM tandem.verify('texts');
CALL tandem.contract('texts');
CALL tandem.contract('texts', force => true);

-- A value that one function has made is not another's to change: where PL/pgSQL gives arrays and rows in a form of its own.
CREATE TYPE pair AS (p integer, q text);
CREATE FUNCTION many(a integer) RETURNS integer[] IMMUTABLE LANGUAGE plpgsql AS
	'DECLARE r integer[]; BEGIN FOR i IN 1..500 LOOP r[i] := a; END LOOP; RETURN r; END';
CREATE FUNCTION first_of(b integer[]) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS 'BEGIN b[1] := 77; RETURN b[5]; END';
CREATE FUNCTION start_of(b integer[]) RETURNS integer[] IMMUTABLE LANGUAGE plpgsql AS 'BEGIN b[1] := 77; RETURN b[1:3]; END';
CREATE FUNCTION paired(a integer) RETURNS pair IMMUTABLE LANGUAGE plpgsql AS
	$$DECLARE r pair; BEGIN r.p := a; r.q := repeat('q' || a, 200); RETURN r; END$$;
CREATE FUNCTION first_of(b pair) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$BEGIN b.q := 'gone'; RETURN b.p; END$$;
CREATE TABLE expanded (id integer PRIMARY KEY, a integer, d integer);
INSERT INTO expanded SELECT i, i, i FROM generate_series(1, 3) i;
SELECT tandem.create_migration('expanded');
SELECT tandem.add_column('expanded', 'expanded', name, type) FROM (VALUES ('b', 'integer[]'), ('c', 'integer[]'), ('e', 'pair')) v (name, type);
SELECT tandem.sync_column('expanded', 'expanded', 'a', 'b', 'many(a)', 'first_of(b)');
SELECT tandem.sync_column('expanded', 'expanded', 'b', 'c', 'start_of(b)');
SELECT tandem.sync_column('expanded', 'expanded', 'd', 'e', 'paired(d)', 'first_of(e)');
SELECT tandem.add_column('expanded', 'expanded', 'n', 'integer', up => 'first_of(e)');
INSERT INTO expanded (id, a, d) VALUES (10, 10, 10);
CALL tandem.migrate('expanded');
SELECT id, b = many(a), c, e = paired(d), n FROM expanded ORDER BY id;
SELECT rows_unfilled, rows_mismatched FROM tandem.verify('expanded');

\c postgres
DROP DATABASE one_way;
