-- Keys that change with what is unusual about them: names to be quoted, sequences that nobody owns, foreign keys that are not
-- valid, statements at contract.
CREATE DATABASE key_kinds;
ALTER DATABASE key_kinds SET session_preload_libraries = 'pg_tandem';
\c key_kinds
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only
CREATE EXTENSION pg_tandem;
CREATE SCHEMA "Odd one";
CREATE SEQUENCE "Odd one"."Down ""ward" AS integer INCREMENT -1 MINVALUE -1000 MAXVALUE -1 START -1 CACHE 5 CYCLE;
CREATE SEQUENCE shared AS integer;
CREATE SEQUENCE owned AS smallint;
CREATE TABLE "Odd one"."Left" ("Id" integer DEFAULT nextval('"Odd one"."Down ""ward"') CONSTRAINT "Key of left" PRIMARY KEY, n integer);
CREATE TABLE "Odd one".rights (id integer GENERATED ALWAYS AS IDENTITY (INCREMENT -3 MAXVALUE 100 START 50) PRIMARY KEY, "Left" integer DEFAULT -1 REFERENCES "Odd one"."Left" ON DELETE SET DEFAULT);
-- two draw from one; and one from what another one owns
CREATE TABLE firsts (id integer DEFAULT nextval('shared') PRIMARY KEY, n integer);
CREATE TABLE seconds (id integer DEFAULT nextval('shared') PRIMARY KEY, n integer, first_id integer);
ALTER TABLE seconds ADD CONSTRAINT seconds_fkey FOREIGN KEY (first_id) REFERENCES firsts NOT VALID;
CREATE TABLE thirds (id smallint DEFAULT nextval('owned') PRIMARY KEY, n integer);
CREATE TABLE fourths (id smallint DEFAULT nextval('owned') PRIMARY KEY);
ALTER SEQUENCE owned OWNED BY fourths.id;
CREATE POLICY seen ON seconds USING (first_id > 0);
CREATE VIEW grouped AS SELECT f.id, f.n, count(*) FROM firsts f LEFT JOIN seconds s ON s.first_id = f.id GROUP BY f.id;
INSERT INTO "Odd one"."Left" (n) SELECT i FROM generate_series(1, 5) i;
INSERT INTO "Odd one".rights ("Left") SELECT "Id" FROM "Odd one"."Left";
INSERT INTO firsts (n) SELECT i FROM generate_series(1, 5) i;
INSERT INTO seconds (first_id) SELECT id FROM firsts;
INSERT INTO thirds (n) SELECT i FROM generate_series(1, 5) i;
-- of a row that has no other
ALTER TABLE firsts DISABLE TRIGGER ALL;
DELETE FROM firsts WHERE n = 5;
ALTER TABLE firsts ENABLE TRIGGER ALL;

SELECT tandem.create_migration('m', release => 2);
CALL tandem.change_key('m', '"Odd one"."Left"', 'Id', 'bigint');
SELECT tandem.change_column('m', '"Odd one".rights', 'id', 'bigint', cascade => true);
SELECT tandem.change_column('m', 'thirds', 'id', 'bigint', cascade => true);
-- the call that keeps it as it is frees the key, too
SELECT tandem.change_column('m', 'firsts', 'id', 'bigint', cascade => true);
CALL tandem.migrate('m');
SELECT tandem.at_contract('m', 'public.seconds', 'ALTER TABLE public.seconds DROP CONSTRAINT seconds_fkey, ADD CONSTRAINT seconds_fkey FOREIGN KEY (first_id) REFERENCES public.firsts(id) NOT VALID');
SELECT tandem.at_contract('m', 'public.seconds', 'ALTER POLICY seen ON seconds USING (first_id > 0)');
SELECT tandem.create_views(1, schemas => '{public,Odd one}');
SELECT tandem.create_views(2, schemas => '{public,Odd one}');
CALL tandem.migrate('m');
-- as large as the old type, until contract
SELECT seqrelid::regclass, seqtypid::regtype, seqmin, seqmax FROM pg_sequence WHERE seqrelid::regclass::text !~ 'tandem' ORDER BY seqrelid::regclass::text COLLATE "C";
INSERT INTO "Odd one"."Left" (n) VALUES (6) RETURNING *;
INSERT INTO seconds (n) VALUES (6) RETURNING id, n;
DELETE FROM "Odd one"."Left" WHERE n = 2;
SELECT "Left", "Left__2" FROM "Odd one".rights ORDER BY id;
SELECT tandem.switch_release(2);
CALL tandem.contract('m', undeclared => 'ignore');
SELECT seqrelid::regclass, seqtypid::regtype, seqmin, seqmax, seqincrement, seqcache, seqcycle FROM pg_sequence WHERE seqrelid::regclass::text !~ 'tandem' ORDER BY seqrelid::regclass::text COLLATE "C";
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
WHERE contype IN ('p', 'f') AND connamespace::regnamespace::text IN ('public', '"Odd one"') ORDER BY conrelid::regclass::text COLLATE "C", conname COLLATE "C";
SELECT setval('shared', 3000000000), setval('owned', 3000000000);
INSERT INTO firsts (n) VALUES (7) RETURNING id;
INSERT INTO thirds (n) VALUES (7) RETURNING id;
SELECT id, count FROM grouped ORDER BY id;

-- Foreign keys that others create: after expand; where the column has the type already; and after migrate.
CREATE TABLE books (id integer PRIMARY KEY);
CREATE TABLE pages (book_id integer REFERENCES books);
INSERT INTO books VALUES (1), (2);
SELECT tandem.create_migration('k', release => 3);
SELECT tandem.change_column('k', 'books', 'id', 'bigint', cascade => true);
CREATE TABLE lines (book_id integer REFERENCES books);
CREATE TABLE marks (book_id bigint REFERENCES books);
SELECT tandem.create_views(2, ARRAY['books', 'pages', 'lines']);
SELECT tandem.create_views(3, ARRAY['books', 'pages', 'lines']);
CALL tandem.migrate('k');
CALL tandem.change_key('k', 'public.books', 'id', 'bigint');
CALL tandem.migrate('k');
SELECT tandem.at_contract('k', 'public.marks', 'ALTER TABLE public.marks DROP CONSTRAINT marks_book_id_fkey, ADD CONSTRAINT marks_book_id_fkey FOREIGN KEY (book_id) REFERENCES public.books(id) NOT VALID');
CALL tandem.migrate('k');
CREATE TABLE notes (book_id integer REFERENCES books);
CALL tandem.migrate('k');
SELECT tandem.switch_release(3);
CALL tandem.contract('k', undeclared => 'ignore');
ALTER TABLE notes DROP CONSTRAINT notes_book_id_fkey, ADD CONSTRAINT notes_book_id_fkey FOREIGN KEY (book_id) REFERENCES books (id__3);
CALL tandem.contract('k', undeclared => 'ignore');
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE confrelid = 'books'::regclass ORDER BY 1;

-- A column that refers to the key is changed by an earlier release: what takes its name refers to the new key.
CREATE TABLE owners (id serial PRIMARY KEY);
CREATE TABLE cars (owner_id integer REFERENCES owners, price integer);
INSERT INTO owners SELECT FROM generate_series(1, 3);
INSERT INTO cars SELECT id, 5 FROM owners;
SELECT tandem.create_migration('cars', release => 4);
SELECT tandem.change_column('cars', 'cars', 'owner_id', 'bigint');
SELECT tandem.create_migration('owners', release => 5);
CALL tandem.change_key('owners', 'owners', 'id', 'bigint');
SELECT tandem.change_column('owners', 'owners', 'id', 'bigint', cascade => true);
SELECT tandem.create_views(3, ARRAY['owners', 'cars']), tandem.create_views(4, ARRAY['owners', 'cars']);
CALL tandem.migrate('cars');
CALL tandem.change_key('owners', 'owners', 'id', 'bigint');
SELECT tandem.create_views(5, ARRAY['owners', 'cars']);
CALL tandem.migrate('owners');
SELECT operation, relation, column_name, new_name FROM tandem.operations WHERE migration = 'owners';
SELECT tandem.switch_release(4);
CALL tandem.contract('cars', undeclared => 'ignore');
SELECT tandem.switch_release(5);
CALL tandem.contract('owners', undeclared => 'ignore');
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE confrelid = 'owners'::regclass ORDER BY 1;
INSERT INTO cars (owner_id) VALUES (3000000000);

\c postgres
DROP DATABASE key_kinds;
