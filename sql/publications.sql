-- the publications of releases: which columns of each table they send
CREATE DATABASE publications;
\c publications
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
RESET client_min_messages;
\set VERBOSITY default
CREATE TABLE images (id int, region text, is_public boolean, n int, PRIMARY KEY (id, region));
CREATE TABLE notes (id int PRIMARY KEY, body text, size int GENERATED ALWAYS AS (length(body)) STORED);
CREATE TABLE parts (id int, at date, price int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
-- before PostgreSQL 18 attnames has generated columns, which are not sent
CREATE VIEW sent AS SELECT pubname, tablename, array_remove(attnames, 'size') AS attnames, rowfilter FROM pg_publication_tables ORDER BY 1, 2;

-- what cannot be made
SELECT tandem.create_publication(0);
SELECT tandem.create_publication(NULL);
SELECT tandem.create_publication(41);
SELECT tandem.create_publication(41, 'p');
SELECT tandem.take_release();
CREATE PUBLICATION p FOR TABLE images WHERE (region = 'a'), parts WITH (publish = 'insert, update, delete', publish_via_partition_root = true);
CREATE PUBLICATION other FOR TABLE notes;
CREATE PUBLICATION release_41;
SELECT tandem.create_publication(41, 'p');
DROP PUBLICATION release_41;

-- who may not move releases would decide for everybody
CREATE ROLE tandem_publisher;
SET ROLE tandem_publisher;
SELECT tandem.create_publication(41, 'other');
RESET ROLE;

-- filters and options are those of the publication
SELECT tandem.create_publication(41, 'p');
SELECT pubname, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot FROM pg_publication WHERE pubname ~ '41|^p$' ORDER BY 1;
SELECT * FROM sent WHERE pubname = 'release_41';
SELECT tandem.create_publication(42, 'other');
SELECT tandem.create_publication(42, 'release_41');
-- made again it follows them
ALTER PUBLICATION p ADD TABLE notes;
ALTER PUBLICATION p SET (publish = 'insert, update');
SELECT tandem.create_publication(41);
SELECT pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication WHERE pubname = 'release_41';
SELECT tablename FROM sent WHERE pubname = 'release_41';
-- nothing is written when nothing changes
CREATE TABLE before AS SELECT r.ctid AS place, r.xmin::text AS written FROM pg_publication_rel r;
SELECT tandem.create_publication(41);
SELECT count(*) FROM (SELECT ctid, xmin::text FROM pg_publication_rel EXCEPT SELECT place, written FROM before) changed;

-- expand makes that of its release, and takes its columns out of the others
BEGIN;
SELECT tandem.create_migration('m', 42);
SELECT tandem.add_column('m', 'images', 'visibility', 'text');
SELECT tandem.sync_column('m', 'images', 'is_public', 'visibility', $$CASE WHEN is_public THEN 'public' ELSE 'private' END$$, $$visibility = 'public'$$);
SELECT tandem.add_column('m', 'parts', 'cents', 'bigint');
SELECT tandem.sync_column('m', 'parts', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
COMMIT;
SELECT * FROM sent WHERE pubname ~ '^release' OR pubname = 'p';
SELECT release, name, source FROM tandem.publication ORDER BY 1;
INSERT INTO images VALUES (1, 'a', true, 0);
UPDATE images SET n = 1;

-- abort takes them back
CALL tandem.abort('m');
SELECT * FROM sent WHERE pubname ~ '^release';
SELECT release FROM tandem.publication ORDER BY 1;

-- contract ends that of the release before
BEGIN;
SELECT tandem.create_migration('m2', 42);
SELECT tandem.add_column('m2', 'images', 'visibility', 'text');
SELECT tandem.sync_column('m2', 'images', 'is_public', 'visibility', $$CASE WHEN is_public THEN 'public' ELSE 'private' END$$, $$visibility = 'public'$$);
COMMIT;
SET client_min_messages = warning;
CALL tandem.migrate('m2');
RESET client_min_messages;
CALL tandem.contract('m2', undeclared => 'ignore');
SELECT * FROM sent WHERE pubname ~ '^release' AND tablename = 'images';
SELECT r.prattrs IS NULL AS all_columns FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
WHERE p.pubname = 'release_42' AND r.prrelid = 'images'::regclass;
-- and a column that comes otherwise is sent
ALTER TABLE images ADD COLUMN later int;
SELECT attnames FROM sent WHERE pubname = 'release_42' AND tablename = 'images';

-- a replica identity must be sent, or writers would get errors
CREATE TABLE keys (id int PRIMARY KEY, body text);
ALTER PUBLICATION p ADD TABLE keys;
SELECT tandem.create_publication(42);
BEGIN;
SELECT tandem.create_migration('k', 43);
SELECT tandem.add_column('k', 'keys', 'id_big', 'bigint');
SELECT tandem.sync_column('k', 'keys', 'id', 'id_big', 'id::bigint', 'id_big::int');
COMMIT;
SELECT pubname, attnames FROM sent WHERE pubname ~ '^release' AND tablename = 'keys';
INSERT INTO keys (id) VALUES (1);
UPDATE keys SET body = 'x';
CALL tandem.abort('k', force => true);
-- and all of a row with REPLICA IDENTITY FULL
ALTER TABLE keys REPLICA IDENTITY FULL;
BEGIN;
SELECT tandem.create_migration('f', 43);
SELECT tandem.add_column('f', 'keys', 'note', 'text');
SELECT tandem.sync_column('f', 'keys', 'body', 'note', 'body', 'note');
COMMIT;
ALTER TABLE keys REPLICA IDENTITY DEFAULT;

-- who owns the tables, and not the publication
GRANT CREATE ON DATABASE publications TO tandem_publisher;
ALTER TABLE notes OWNER TO tandem_publisher;
SET ROLE tandem_publisher;
BEGIN;
SELECT tandem.create_migration('n');
SELECT tandem.add_column('n', 'notes', 'text', 'text');
ROLLBACK;
RESET ROLE;
GRANT EXECUTE ON FUNCTION tandem.switch_release TO tandem_publisher;
SET ROLE tandem_publisher;
SELECT tandem.create_migration('n', 43);
RESET ROLE;

-- contract takes what the highest release that is expanded here sees
SET client_min_messages = error;
CREATE SUBSCRIPTION s CONNECTION 'dbname=none' PUBLICATION release_42, more WITH (connect = false, slot_name = NONE, enabled = false);
RESET client_min_messages;
BEGIN;
SELECT tandem.create_migration('m43', 43);
SELECT tandem.add_column('m43', 'images', 'twice', 'int');
SELECT tandem.sync_column('m43', 'images', 'n', 'twice', 'n * 2', 'twice / 2');
COMMIT;
BEGIN;
SELECT tandem.create_migration('m44', 44);
SELECT tandem.add_column('m44', 'images', 'thrice', 'int');
COMMIT;
SELECT tandem.create_publication(45);
SELECT subpublications FROM pg_subscription;
CALL tandem.abort('m43');
SET client_min_messages = warning;
CALL tandem.migrate('m43');
CALL tandem.contract('m43', undeclared => 'ignore');
RESET client_min_messages;
SELECT subpublications FROM pg_subscription;
CALL tandem.abort('m44');
SELECT subpublications FROM pg_subscription;
SELECT release FROM tandem.publication ORDER BY 1;
DROP SUBSCRIPTION s;

-- Rule: a right that contract and abort lack is found before anything is refused or stopped.
CREATE TABLE owned (id int PRIMARY KEY, price int);
ALTER PUBLICATION p ADD TABLE owned;
SELECT tandem.create_publication(43);
BEGIN;
SELECT tandem.create_migration('o', 46);
SELECT tandem.add_column('o', 'owned', 'cents', 'bigint');
SELECT tandem.sync_column('o', 'owned', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
COMMIT;
SET client_min_messages = warning;
CALL tandem.migrate('o');
RESET client_min_messages;
SELECT tandem.switch_release(46);
ALTER TABLE owned OWNER TO tandem_publisher;
CREATE TABLE registry AS SELECT ctid AS place, xmin::text AS written FROM tandem.registry;
SET ROLE tandem_publisher;
\set VERBOSITY terse
CALL tandem.contract('o', undeclared => 'ignore');
CALL tandem.abort('o', force => true);
RESET ROLE;
ALTER PUBLICATION release_43 OWNER TO tandem_publisher;
ALTER PUBLICATION release_45 OWNER TO tandem_publisher;
ALTER PUBLICATION release_46 OWNER TO tandem_publisher;
SET client_min_messages = error;
CREATE SUBSCRIPTION s CONNECTION 'dbname=none' PUBLICATION release_43 WITH (connect = false, slot_name = NONE, enabled = false);
RESET client_min_messages;
SET ROLE tandem_publisher;
CALL tandem.contract('o', undeclared => 'ignore');
\set VERBOSITY default
RESET ROLE;
SELECT (r.ctid, r.xmin::text) = (place, written) AS untouched FROM tandem.registry r, registry;
DROP SUBSCRIPTION s;
CALL tandem.contract('o', undeclared => 'ignore');

-- what was taken out of the source is taken out
ALTER PUBLICATION p DROP TABLE notes;
SELECT tandem.create_publication(46);
SELECT pubname, tablename FROM sent WHERE pubname ~ '^release' AND tablename = 'notes';

-- a number that is a mistake, and a migration without one
SELECT tandem.take_release(4444);
SELECT tandem.take_release(46);
BEGIN;
SELECT tandem.create_migration('none');
SELECT tandem.add_column('none', 'owned', 'first', 'int');
SELECT tandem.add_column('none', 'owned', 'second', 'int');
SELECT tandem.add_column('none', 'notes', 'first', 'int');
COMMIT;
CALL tandem.abort('none');

-- a publication that somebody has dropped
DROP PUBLICATION release_46;
SELECT tandem.create_publication(46);
SELECT count(*) FROM sent WHERE pubname = 'release_46';
DROP PUBLICATION p;
SELECT tandem.create_publication(46);

\c postgres
DROP DATABASE publications;
DROP ROLE tandem_publisher;
