-- All that the value of an expression depends on, beside its text.  Each line of the table changes one thing after
-- verify.  Either the guard refuses it, or the proof is void until verify has run again; what changes no value voids
-- nothing.  Writes go on in any case.
CREATE DATABASE proof_uses;
\c proof_uses
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset null '-'
\pset format unaligned
\pset tuples_only

CREATE TABLE kind (number serial PRIMARY KEY, expected text, what text, made text, type text, value text, up text, change text);
-- the table is t, its columns id, a and x; b is computed
\copy kind (expected, what, made, type, value, up, change) FROM stdin (DELIMITER '|', NULL '-')
void|whole row: column added|-|int|1|(to_jsonb(t) - 'b')::text|ALTER TABLE t ADD y int DEFAULT 1
void|whole row: column dropped|-|int|1|(to_jsonb(t) - 'b')::text|ALTER TABLE t DROP x
void|whole row: column renamed|-|int|1|(to_jsonb(t) - 'b')::text|ALTER TABLE t RENAME id TO ident
void|whole row: type of a column|-|int|1|(to_jsonb(t) - 'b')::text|ALTER TABLE t ALTER x TYPE numeric USING x / 10.0
void|whole row as text|-|int|1|left(t.*::text, 4)|ALTER TABLE t ADD y int DEFAULT 1
refused|whole row: generated column|-|int|1|(to_jsonb(t) - 'b')::text|ALTER TABLE t ADD g int GENERATED ALWAYS AS (a * 2) STORED
void|function of the row: column added|CREATE FUNCTION f(t) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT (to_jsonb($1) - 'b')::text $$|int|1|f(t)|ALTER TABLE t ADD y int DEFAULT 1
refused|function of the row: generated column|CREATE FUNCTION f(t) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT (to_jsonb($1) - 'b')::text $$|int|1|f(t)|ALTER TABLE t ADD g int GENERATED ALWAYS AS (a * 2) STORED
void|array of the row|CREATE FUNCTION f(t[]) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT (to_jsonb($1[1]) - 'b')::text $$|int|1|f(ARRAY[t])|ALTER TABLE t ADD y int DEFAULT 1
stands|no whole row: column added|-|int|1|a::text|ALTER TABLE t ADD y int DEFAULT 1
stands|no whole row: generated column|-|int|1|a::text|ALTER TABLE t ADD g int GENERATED ALWAYS AS (x * 2) STORED
void|composite: attribute renamed|CREATE TYPE c AS (p int, q int)|c|(1,2)|to_jsonb(a)::text|ALTER TYPE c RENAME ATTRIBUTE p TO pp
void|composite: attribute added|CREATE TYPE c AS (p int, q int)|c|(1,2)|to_jsonb(a)::text|ALTER TYPE c ADD ATTRIBUTE r int
void|composite: attribute dropped|CREATE TYPE c AS (p int, q int)|c|(1,2)|to_jsonb(a)::text|ALTER TYPE c DROP ATTRIBUTE q
void|composite in a composite|CREATE TYPE c AS (p int); CREATE TYPE d AS (c c)|d|("(1)")|to_jsonb(a)::text|ALTER TYPE c RENAME ATTRIBUTE p TO pp
void|composite in an array|CREATE TYPE c AS (p int)|c[]|{(1)}|to_jsonb(a)::text|ALTER TYPE c RENAME ATTRIBUTE p TO pp
void|composite below a domain|CREATE TYPE c AS (p int); CREATE DOMAIN d AS c|d|(1)|to_jsonb(a)::text|ALTER TYPE c RENAME ATTRIBUTE p TO pp
void|composite below a domain in an array|CREATE TYPE c AS (p int); CREATE DOMAIN d AS c|d[]|{(1)}|to_jsonb(a)::text|ALTER TYPE c RENAME ATTRIBUTE p TO pp
void|composite in a range|CREATE TYPE c AS (p int); CREATE TYPE r AS RANGE (subtype = c)|r|["(1)","(2)"]|to_jsonb(lower(a))::text|ALTER TYPE c RENAME ATTRIBUTE p TO pp
void|composite in a multirange|CREATE TYPE c AS (p int); CREATE TYPE r AS RANGE (subtype = c)|r_multirange|{["(1)","(2)"]}|to_jsonb(lower(a))::text|ALTER TYPE c RENAME ATTRIBUTE p TO pp
void|composite in an expression alone|CREATE TYPE c AS (p int)|int|1|to_jsonb(ROW(a)::c)::text|ALTER TYPE c RENAME ATTRIBUTE p TO pp
void|composite that a function returns|CREATE TYPE c AS (p int); CREATE FUNCTION f(int) RETURNS c IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN ROW($1); END $$|int|1|to_jsonb(f(a))::text|ALTER TYPE c RENAME ATTRIBUTE p TO pp
void|composite within a function|CREATE TYPE c AS (p int); CREATE FUNCTION f(int) RETURNS text IMMUTABLE RETURN to_jsonb(ROW($1)::c)::text|int|1|f(a)|ALTER TYPE c RENAME ATTRIBUTE p TO pp
void|row type of another table|CREATE TABLE c (p int)|c|(1)|to_jsonb(a)::text|ALTER TABLE c RENAME p TO pp
void|row type of a view|CREATE VIEW c AS SELECT 1 AS p|int|1|to_jsonb(ROW(a)::c)::text|ALTER VIEW c RENAME p TO pp
refused|composite: attribute that is named|CREATE TYPE c AS (p int, q int)|c|(1,2)|(a).p::text|ALTER TYPE c RENAME ATTRIBUTE p TO pp
stands|composite that is not used|CREATE TYPE c AS (p int, q int)|int|1|a::text|ALTER TYPE c ADD ATTRIBUTE r int
void|enum: label renamed|CREATE TYPE e AS ENUM ('a', 'b')|e|a|a::text|ALTER TYPE e RENAME VALUE 'a' TO 'z'
void|enum: label added|CREATE TYPE e AS ENUM ('a', 'b')|e|a|(a > 'a')::text|ALTER TYPE e ADD VALUE 'z' BEFORE 'a'
void|enum in a composite|CREATE TYPE e AS ENUM ('a', 'b'); CREATE TYPE c AS (p e)|c|(a)|a::text|ALTER TYPE e RENAME VALUE 'a' TO 'z'
void|domain: constraint added|CREATE DOMAIN d AS int|int|1|a::d::text|ALTER DOMAIN d ADD CHECK (VALUE < 9)
void|domain: constraint dropped|CREATE DOMAIN d AS int CONSTRAINT k CHECK (VALUE > 0)|int|1|a::d::text|ALTER DOMAIN d DROP CONSTRAINT k
void|domain: not null|CREATE DOMAIN d AS int|int|1|a::d::text|ALTER DOMAIN d SET NOT NULL
void|domain in a composite|CREATE DOMAIN d AS int CONSTRAINT k CHECK (VALUE > 0); CREATE TYPE c AS (p d)|c|(1)|a::text::c::text|ALTER DOMAIN d DROP CONSTRAINT k
void|function: body|CREATE FUNCTION f(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|int|1|f(a)|CREATE OR REPLACE FUNCTION f(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'y' $$
void|function: body in BEGIN ATOMIC|CREATE FUNCTION f(int) RETURNS text IMMUTABLE RETURN 'x'|int|1|f(a)|CREATE OR REPLACE FUNCTION f(int) RETURNS text IMMUTABLE RETURN 'y'
void|function: strict|CREATE FUNCTION f(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|int|1|f(a)|ALTER FUNCTION f(int) STRICT
void|function: setting|CREATE FUNCTION f(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|int|1|f(a)|ALTER FUNCTION f(int) SET search_path = public
void|function: default of an argument|CREATE FUNCTION f(int, int DEFAULT 1) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $2::text $$|int|1|f(a)|CREATE OR REPLACE FUNCTION f(int, int DEFAULT 2) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $2::text $$
void|function that a default calls|CREATE FUNCTION g() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION f(int, int DEFAULT g()) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $2::text $$|int|1|f(a)|CREATE OR REPLACE FUNCTION g() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2'
void|function of an operator|CREATE FUNCTION f(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE OPERATOR #* (FUNCTION = f, LEFTARG = int, RIGHTARG = int)|int|1|(a #* a)::text|CREATE OR REPLACE FUNCTION f(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2'
void|function of a cast|CREATE TYPE c AS (p int); CREATE FUNCTION f(c) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE CAST (c AS int) WITH FUNCTION f(c)|c|(1)|a::int::text|CREATE OR REPLACE FUNCTION f(c) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2'
void|function of a CHECK of a domain|CREATE FUNCTION f(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'; CREATE DOMAIN d AS int CHECK (f(VALUE))|int|1|a::d::text|CREATE OR REPLACE FUNCTION f(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0'
void|function of a row comparison|CREATE FUNCTION f(int, int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 = $2'; CREATE OPERATOR === (FUNCTION = f, LEFTARG = int, RIGHTARG = int)|int|1|(a === 1 AND x === 1)::text|CREATE OR REPLACE FUNCTION f(int, int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 > $2'
void|function of a range|CREATE FUNCTION f(text, text) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT 1.0::float8'; CREATE TYPE r AS RANGE (subtype = text, subtype_diff = f)|r|[a,b]|a::text|CREATE OR REPLACE FUNCTION f(text, text) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT 2.0::float8'
void|aggregate within a function|CREATE AGGREGATE g(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0'); CREATE FUNCTION f(int) RETURNS text IMMUTABLE RETURN (SELECT g(v)::text FROM unnest(ARRAY[$1]) v)|int|1|f(a)|CREATE OR REPLACE AGGREGATE g(int) (SFUNC = int4pl, STYPE = int, INITCOND = '5')
void|view within a function|CREATE VIEW v AS SELECT 1 AS p; CREATE FUNCTION f(int) RETURNS text IMMUTABLE RETURN (SELECT p::text FROM v)|int|1|f(a)|CREATE OR REPLACE VIEW v AS SELECT 2 AS p
stands|function that is not used|CREATE FUNCTION f(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|int|1|a::text|CREATE OR REPLACE FUNCTION f(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'y' $$
stands|function: cost, grant, comment|CREATE FUNCTION f(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|int|1|f(a)|ALTER FUNCTION f(int) COST 7; GRANT EXECUTE ON FUNCTION f(int) TO PUBLIC; COMMENT ON FUNCTION f(int) IS 'f'
void|cast to json that to_jsonb looks up|CREATE TYPE c AS (p int); CREATE FUNCTION g(c) RETURNS json IMMUTABLE LANGUAGE sql AS $$ SELECT '"x"'::json $$|c|(1)|to_jsonb(a)::text|CREATE CAST (c AS json) WITH FUNCTION g(c)
void|cast to json of an attribute|CREATE TYPE e AS ENUM ('a'); CREATE TYPE c AS (p e); CREATE FUNCTION g(e) RETURNS json IMMUTABLE LANGUAGE sql AS $$ SELECT '"x"'::json $$|c|(a)|to_jsonb(a)::text|CREATE CAST (e AS json) WITH FUNCTION g(e)
void|cast dropped that to_jsonb looks up|CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION g(e) RETURNS json IMMUTABLE LANGUAGE sql AS $$ SELECT '"x"'::json $$; CREATE CAST (e AS json) WITH FUNCTION g(e)|e|a|to_jsonb(a)::text|DROP CAST (e AS json)
stands|cast of other types|CREATE TYPE c AS (p int); CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION g(c) RETURNS json IMMUTABLE LANGUAGE sql AS $$ SELECT '"x"'::json $$|e|a|to_jsonb(a)::text|CREATE CAST (c AS json) WITH FUNCTION g(c)
refused|cast takes over: enum|CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION g(e) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|e|a|a::text|CREATE CAST (e AS text) WITH FUNCTION g(e)
refused|cast takes over: for assignment|CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION g(e) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|e|a|a|CREATE CAST (e AS text) WITH FUNCTION g(e) AS ASSIGNMENT
refused|cast takes over: composite|CREATE TYPE c AS (p int); CREATE FUNCTION g(c) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|c|(1)|a::text|CREATE CAST (c AS text) WITH FUNCTION g(c)
refused|cast takes over: row of the table|CREATE FUNCTION g(t) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|int|1|left(t::text, 4)|CREATE CAST (t AS text) WITH FUNCTION g(t)
refused|cast takes over: range|CREATE TYPE r AS RANGE (subtype = int); CREATE FUNCTION g(r) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|r|[1,2]|a::text|CREATE CAST (r AS text) WITH FUNCTION g(r)
refused|cast takes over: elements of an array|CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION g(e) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|e[]|{a}|(a::text[])[1]|CREATE CAST (e AS text) WITH FUNCTION g(e)
refused|cast takes over: below a domain|CREATE TYPE e AS ENUM ('a'); CREATE DOMAIN d AS e; CREATE FUNCTION g(e) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|d|a|a::text|CREATE CAST (e AS text) WITH FUNCTION g(e)
refused|cast takes over: from text|CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION g(text) RETURNS e IMMUTABLE LANGUAGE sql AS $$ SELECT 'a'::e $$|text|a|(a::e)::text|CREATE CAST (text AS e) WITH FUNCTION g(text)
refused|cast takes over: types of the server|CREATE FUNCTION g(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$|int|1|a::text|CREATE CAST (int AS text) WITH FUNCTION g(int)
refused|cast lets another function fit|CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'text' $$; CREATE FUNCTION f(anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'any' $$|e|a|f(a)|CREATE CAST (e AS text) WITH INOUT AS IMPLICIT
void|cast by text, as before|CREATE TYPE e AS ENUM ('a')|e|a|a::text|CREATE CAST (e AS text) WITH INOUT AS ASSIGNMENT
stands|cast of the server to a type that is not used|CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION g(int) RETURNS e IMMUTABLE LANGUAGE sql AS $$ SELECT 'a'::e $$|int|1|a::text|CREATE CAST (int AS e) WITH FUNCTION g(int)
refused|type of a function's name: enum|CREATE FUNCTION f(anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'any' $$|varchar|a|f(a)|CREATE TYPE f AS ENUM ('a')
refused|type of a function's name: domain|CREATE FUNCTION f(anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'any' $$|varchar|a|f(a)|CREATE DOMAIN f AS text CHECK (VALUE > '')
stands|type of a function's name: composite|CREATE FUNCTION f(anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'any' $$|varchar|(1)|f(a)|CREATE TYPE f AS (p int)
stands|table of a function's name|CREATE FUNCTION f(anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'any' $$|varchar|(1)|f(a)|CREATE TABLE f (p int)
refused|type renamed to a function's name|CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION f(anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'any' $$|varchar|a|f(a)|ALTER TYPE e RENAME TO f
stands|type of a function's name that fits exactly|CREATE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'|text|a|f(a)|CREATE TYPE f AS ENUM ('a')
refused|operator class takes over|CREATE TYPE e AS ENUM ('a', 'b'); CREATE FUNCTION g(e, e) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT -enum_cmp($1, $2)'|e|a|GREATEST(a, 'b'::e)::text|CREATE OPERATOR CLASS o DEFAULT FOR TYPE e USING btree AS OPERATOR 1 <(anyenum, anyenum), OPERATOR 2 <=(anyenum, anyenum), OPERATOR 3 =(anyenum, anyenum), OPERATOR 4 >=(anyenum, anyenum), OPERATOR 5 >(anyenum, anyenum), FUNCTION 1 g(e, e)
void|operator class that compares|CREATE TYPE e AS ENUM ('a', 'b'); CREATE FUNCTION g(e, e) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT -enum_cmp($1, $2)'|e|a|a::text|CREATE OPERATOR CLASS o DEFAULT FOR TYPE e USING btree AS OPERATOR 1 <(anyenum, anyenum), OPERATOR 2 <=(anyenum, anyenum), OPERATOR 3 =(anyenum, anyenum), OPERATOR 4 >=(anyenum, anyenum), OPERATOR 5 >(anyenum, anyenum), FUNCTION 1 g(e, e)
refused|function takes over|CREATE FUNCTION f(anyelement) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'any' $$|int|1|f(a)|CREATE FUNCTION f(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'int' $$
void|text search: mapping|CREATE TEXT SEARCH CONFIGURATION s (COPY = simple)|text|the cats|to_tsvector('s.s', a)::text|ALTER TEXT SEARCH CONFIGURATION s ALTER MAPPING REPLACE simple WITH english_stem
void|text search: mapping dropped|CREATE TEXT SEARCH CONFIGURATION s (COPY = simple)|text|the cats|to_tsvector('s.s', a)::text|ALTER TEXT SEARCH CONFIGURATION s DROP MAPPING FOR asciiword
void|text search: dictionary|CREATE TEXT SEARCH DICTIONARY k (TEMPLATE = simple); CREATE TEXT SEARCH CONFIGURATION s (COPY = simple); ALTER TEXT SEARCH CONFIGURATION s ALTER MAPPING FOR asciiword WITH k|text|the cats|to_tsvector('s.s', a)::text|ALTER TEXT SEARCH DICTIONARY k (StopWords = english)
void|text search: dictionary that is named|CREATE TEXT SEARCH DICTIONARY k (TEMPLATE = simple)|text|the|ts_lexize('s.k', a)::text|ALTER TEXT SEARCH DICTIONARY k (StopWords = english)
void|text search: dictionary of the server|-|text|the cats|to_tsvector('simple', a)::text|ALTER TEXT SEARCH DICTIONARY simple (StopWords = english)
void|text search: within a function|CREATE TEXT SEARCH CONFIGURATION s (COPY = german); CREATE FUNCTION f(text) RETURNS text IMMUTABLE RETURN to_tsvector('s.s', $1)::text|text|the cats|f(a)|ALTER TEXT SEARCH CONFIGURATION s DROP MAPPING FOR asciiword
stands|text search: what is not used|CREATE TEXT SEARCH CONFIGURATION s (COPY = german)|text|the cats|to_tsvector('german', a)::text|ALTER TEXT SEARCH CONFIGURATION s DROP MAPPING FOR asciiword
void|extension of another version|CREATE EXTENSION citext VERSION '1.4'|citext|a|a::text|ALTER EXTENSION citext UPDATE
stands|extension that is not used|CREATE EXTENSION citext VERSION '1.4'|text|a|upper(a)|ALTER EXTENSION citext UPDATE
stands|collation: recorded version|CREATE COLLATION k (provider = libc, locale = 'C')|text|a|(a < 'b' COLLATE k)::text|ALTER COLLATION k OWNER TO CURRENT_USER
stands|table: name, statistics, trigger of others|-|int|1|a::text|ALTER TABLE t ALTER a SET STATISTICS 7; COMMENT ON TABLE t IS 't'; ALTER TABLE t SET (fillfactor = 90)
\.

CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;
-- contract, undone
CREATE FUNCTION contract() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	CALL tandem.contract('m');
	RAISE EXCEPTION 'contracted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN CASE WHEN SQLERRM = 'contracted' THEN 'stands'
		WHEN detail LIKE '%uses was changed since verify%' THEN 'void' ELSE SQLERRM || ' ' || detail END;
END $$;
-- each in a schema of its own, which goes with it
CREATE PROCEDURE change_each() LANGUAGE plpgsql AS $$
DECLARE
	k kind;
	found text;
	failed text;
BEGIN
	FOR k IN SELECT * FROM kind ORDER BY number
	LOOP
		CREATE SCHEMA s;
		SET search_path = s, public;
		CREATE TABLE t (id int PRIMARY KEY, x int DEFAULT 1);
		IF k.made LIKE '%(t)%' OR k.made LIKE '%(t[])%' THEN
			EXECUTE format('ALTER TABLE t ADD a %s', k.type);
			EXECUTE k.made;
		ELSE
			EXECUTE coalesce(k.made, 'SELECT');
			EXECUTE format('ALTER TABLE t ADD a %s', k.type);
		END IF;
		EXECUTE format('INSERT INTO t (id, a) VALUES (1, %L)', k.value);
		PERFORM tandem.create_migration('m');
		PERFORM tandem.add_column('m', 't', 'b', 'text');
		PERFORM tandem.sync_column('m', 't', 'a', 'b', k.up);
		COMMIT;
		CALL tandem.migrate('m');
		found = try(k.change);
		COMMIT;
		IF found IS NULL THEN
			found = contract();
		ELSIF found LIKE '%would break migration%' THEN
			found = 'refused';
		END IF;
		failed = try(format('UPDATE t SET a = a; INSERT INTO t (%I, a) SELECT 2, a FROM t',
			(SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum = 1)));
		IF found IS DISTINCT FROM k.expected OR failed IS NOT NULL THEN
			RAISE WARNING '% (%): %, %', k.what, k.expected, found, coalesce(failed, 'written');
		END IF;
		CALL tandem.abort('m', force => true);
		DROP SCHEMA s CASCADE;
		ALTER TEXT SEARCH DICTIONARY pg_catalog.simple (StopWords);
		COMMIT;
	END LOOP;
END $$;
-- it reads all columns of the table, and is warned of
SET client_min_messages = error;
CALL change_each();
SET client_min_messages = warning;
SELECT expected, count(*) FROM kind GROUP BY expected ORDER BY expected;

-- A derived column: verify says which rows have another value than up gives now.
CREATE TABLE derived (id int PRIMARY KEY, a int);
INSERT INTO derived SELECT i, i FROM generate_series(1, 3) i;
CREATE FUNCTION of_row(derived) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT (to_jsonb($1) - 'b')::text $$;
SELECT tandem.create_migration('derived');
SELECT tandem.add_column('derived', 'derived', 'b', 'text', up => 'of_row(derived)');
CALL tandem.migrate('derived');
ALTER TABLE derived ADD x int DEFAULT 1;
CALL tandem.contract('derived');
CALL tandem.migrate('derived');
SELECT rows_checked, rows_mismatched, rows_own FROM tandem.verify('derived');
UPDATE derived SET b = of_row(derived);
SELECT rows_own FROM tandem.verify('derived');
CALL tandem.contract('derived');

-- Who owns a type and has nothing to do with the table is warned of what a cast takes over.  Nobody calls it, and what
-- the hints say helps.
CREATE ROLE regress_typist;
GRANT CREATE ON SCHEMA public TO regress_typist;
SET ROLE regress_typist;
CREATE TYPE letter AS ENUM ('a', 'b');
CREATE FUNCTION spell(letter) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' || enum_out($1)::text $$;
RESET ROLE;
CREATE TABLE letters (id int PRIMARY KEY, a letter);
INSERT INTO letters VALUES (1, 'a'), (2, 'b');
BEGIN;
SELECT tandem.create_migration('letters');
SELECT tandem.add_column('letters', 'letters', 'b', 'text');
SELECT tandem.sync_column('letters', 'letters', 'a', 'b', 'a::text', 'b::letter');
COMMIT;
CALL tandem.migrate('letters');
SET ROLE regress_typist;
CREATE CAST (letter AS text) WITH FUNCTION spell(letter) AS ASSIGNMENT;
RESET ROLE;
\c proof_uses
SET client_min_messages = warning;
INSERT INTO letters (id, a) VALUES (3, 'a');
SELECT problem FROM tandem.syncs WHERE migration = 'letters';
CALL tandem.contract('letters');
CALL tandem.migrate('letters');
DROP CAST (letter AS text);
INSERT INTO letters (id, a) VALUES (3, 'a') RETURNING b;
CALL tandem.migrate('letters');
CALL tandem.contract('letters');

-- The same goes for what is still to be built.
SELECT tandem.create_migration('builds');
SELECT tandem.add_index('builds', 'CREATE INDEX by_text ON letters ((id::text))');
CREATE FUNCTION of_int(int) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$;
CREATE CAST (int AS text) WITH FUNCTION of_int(int);
CALL tandem.migrate('builds');
DROP CAST (int AS text);
CALL tandem.migrate('builds');
SELECT tandem.create_migration('checks');
SELECT tandem.add_constraint('checks', 'letters', 'is_short', 'CHECK (length(id::text) < 9)');
CREATE CAST (int AS text) WITH FUNCTION of_int(int);
CALL tandem.migrate('checks');
DROP CAST (int AS text);
CALL tandem.migrate('checks');
CALL tandem.abort('checks');
CALL tandem.abort('builds');

-- A restore changes no fingerprint: names count, not OIDs, nor the places of enum labels.
CREATE TYPE places AS ENUM ('b', 'c');
ALTER TYPE places ADD VALUE 'a' BEFORE 'b';
CREATE TABLE made (p places, q text COLLATE "C");
CREATE TEMP TABLE prints AS SELECT f FROM tandem._fingerprint('{pg_type, pg_collation, pg_ts_config}'::regclass[]::oid[],
	ARRAY['made'::regtype, 'pg_catalog."C"'::regcollation, 'english'::regconfig]::oid[], 'calls') f;
DROP TABLE made;
DROP TYPE places;
CREATE TYPE places AS ENUM ('a', 'b', 'c');
CREATE TABLE made (dropped int, p places, q text COLLATE "C");
ALTER TABLE made DROP dropped;
SELECT f = (SELECT f FROM prints) FROM tandem._fingerprint('{pg_ts_config, pg_type, pg_collation}'::regclass[]::oid[],
	ARRAY['english'::regconfig, 'made'::regtype, 'pg_catalog."C"'::regcollation]::oid[], 'calls') f;

\c postgres
DROP DATABASE proof_uses;
DROP ROLE regress_typist;
