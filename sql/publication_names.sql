-- which publications are those of releases: by OID, whatever their names become
CREATE DATABASE publication_names;
\c publication_names
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
RESET client_min_messages;
\set VERBOSITY default
CREATE TABLE items (id int PRIMARY KEY, price int);
CREATE TABLE secrets (id int PRIMARY KEY);
CREATE VIEW sent AS SELECT pubname, tablename, attnames FROM pg_publication_tables ORDER BY 1, 2;
CREATE VIEW recorded AS SELECT release, name, source FROM tandem.publication ORDER BY 1;
CREATE PUBLICATION p FOR TABLE items;
SELECT tandem.create_publication(41, 'p');

-- Rule: a publication keeps its place under another name.
ALTER PUBLICATION p RENAME TO items_of_the_application;
ALTER PUBLICATION release_41 RENAME TO before;
SELECT * FROM recorded;
BEGIN;
SELECT tandem.create_migration('m', 42);
SELECT tandem.add_column('m', 'items', 'cents', 'bigint');
SELECT tandem.sync_column('m', 'items', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
COMMIT;
SELECT * FROM sent;
SELECT * FROM recorded;
-- and another one of its name has none
CREATE PUBLICATION p FOR TABLE secrets;
CREATE PUBLICATION release_41 FOR TABLE secrets;
DROP PUBLICATION before;
SELECT tandem.create_publication(41);
ALTER TABLE items ADD COLUMN note text;
SELECT * FROM sent;
-- the source of that name, too
DROP PUBLICATION items_of_the_application;
CREATE PUBLICATION items_of_the_application FOR TABLE secrets;
SELECT tandem.create_migration('later', 43);
SELECT tandem.create_publication(42, 'p');
-- what is there follows its tables nevertheless
SET client_min_messages = warning;
CALL tandem.migrate('m');
CALL tandem.contract('m', undeclared => 'ignore');
RESET client_min_messages;
SELECT * FROM sent;
-- until it is said that it is the one
ALTER PUBLICATION items_of_the_application SET TABLE items;
SELECT tandem.create_publication(42, 'items_of_the_application');
SELECT tandem.create_migration('later', 43);
SELECT * FROM sent;
SELECT * FROM recorded;

-- Rule: what comes from a dump is found by its name, once.
CREATE TABLE dumped AS SELECT * FROM tandem.publication;
DELETE FROM tandem.publication;
DROP PUBLICATION release_42, release_43;
INSERT INTO tandem.publication SELECT * FROM dumped;
CREATE PUBLICATION release_42 FOR TABLE items;
CREATE PUBLICATION release_43 FOR TABLE items;
ALTER TABLE items ADD COLUMN more text;
ALTER PUBLICATION release_43 RENAME TO renamed;
CREATE PUBLICATION release_43;
SELECT * FROM recorded;
SELECT release, source, home IS NOT NULL AS has_home FROM tandem.publication ORDER BY 1;

-- Rule: there is a way out.
SET client_min_messages = error;
CREATE SUBSCRIPTION s CONNECTION 'dbname=none' PUBLICATION release_42 WITH (connect = false, slot_name = NONE, enabled = false);
RESET client_min_messages;
SELECT tandem.drop_publications();
SELECT tandem.take_release();
SELECT subpublications FROM pg_subscription;
CREATE ROLE tandem_names;
GRANT CREATE ON DATABASE publication_names TO tandem_names;
GRANT EXECUTE ON FUNCTION tandem.drop_publications TO tandem_names;
ALTER PUBLICATION release_42 OWNER TO tandem_names;
SET ROLE tandem_names;
\set VERBOSITY terse
SELECT tandem.drop_publications();
RESET ROLE;
SELECT * FROM recorded;
SELECT tandem.drop_publications();
SELECT * FROM recorded;
SELECT pubname FROM pg_publication ORDER BY 1;
SELECT tandem.create_migration('even later', 44);
SELECT tandem.create_publication(44, 'p');
SELECT tandem.drop_publications();
DROP SUBSCRIPTION s;

\c postgres
DROP DATABASE publication_names;
DROP ROLE tandem_names;
