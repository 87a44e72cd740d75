/*
 * What migration tools and their users meet (faults D4, D5 and D13).
 */
\set VERBOSITY default
SET client_min_messages = warning;
DROP DATABASE IF EXISTS tandem_tools;
CREATE DATABASE tandem_tools;
ALTER DATABASE tandem_tools SET session_preload_libraries = 'pg_tandem';
\c tandem_tools
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE ROLE tandem_tool;
GRANT CREATE ON SCHEMA public TO tandem_tool;
GRANT EXECUTE ON FUNCTION tandem.switch_release, tandem.register_release TO tandem_tool;
SET ROLE tandem_tool;
CREATE TABLE books (version text);
CREATE TABLE items (id integer PRIMARY KEY, price integer);
INSERT INTO items SELECT i, i FROM generate_series(1, 10) i;
SELECT tandem.register_release(41);
SELECT tandem.switch_release(41);
BEGIN;
SELECT tandem.create_migration('cents', release => 42);
SELECT tandem.add_column('cents', 'items', 'cents', 'bigint');
-- a column that is misspelled, and one that is meant to be added
SAVEPOINT s;
SELECT tandem.sync_column('cents', 'items', 'prce', 'cents', 'prce * 100', 'cents / 100');
ROLLBACK TO s;
SELECT tandem.sync_column('cents', 'items', 'price', 'amount', 'price * 100', 'amount / 100');
ROLLBACK TO s;
SELECT tandem.add_not_null('cents', 'items', 'cent');
ROLLBACK TO s;
SELECT tandem.sync_column('cents', 'items', 'price', 'cents', 'price * 100', 'cents / 100');
COMMIT;

/*
 * A tool belongs to no release.  It keeps its books, whatever the fence and
 * tandem.undeclared have to say, and whatever its search_path names; what it writes
 * through a view is of that view's release.
 */
RESET ROLE;
SET tandem.undeclared = refuse;
SET ROLE tandem_tool;
INSERT INTO books VALUES ('nobody');
SET tandem.release = 42;
INSERT INTO books VALUES ('42');
SET tandem.release = 43;
INSERT INTO books VALUES ('43');
SET tandem.release = 'tool';
INSERT INTO books VALUES ('tool');
SET search_path = release_43, public;
INSERT INTO books VALUES ('tool');
UPDATE items SET price = 11 WHERE id = 1;
SELECT * FROM books;
SELECT * FROM items WHERE id = 1;
RESET search_path;
SELECT release FROM tandem.sessions WHERE pid = pg_backend_pid();
SET tandem.release = 'TOOL';
SHOW tandem.release;
-- what is neither
SET tandem.release = 'tools';
SET tandem.release = '';
SET tandem.release = -1;
SET tandem.release = 2147483648;
SET tandem.release = 2147483647;
SET tandem.release = 0;
RESET tandem.release;
SHOW tandem.release;
RESET ROLE;
RESET tandem.undeclared;

/*
 * The server's hint would be CASCADE.
 */
SET ROLE tandem_tool;
ALTER TABLE items DROP COLUMN price;
ALTER TABLE items ADD COLUMN note text, DROP COLUMN cents;
ALTER TABLE items DROP COLUMN price CASCADE;
ALTER TABLE items DROP COLUMN nothing;
ALTER TABLE items DROP COLUMN IF EXISTS nothing;
ALTER TABLE nothing DROP COLUMN price;
-- others are told what the server tells
RESET ROLE;
CREATE ROLE tandem_stranger;
GRANT USAGE ON SCHEMA public TO tandem_stranger;
SET ROLE tandem_stranger;
ALTER TABLE items DROP COLUMN price;
DROP EXTENSION pg_tandem;
RESET ROLE;
-- nor does the extension go while a migration is open, and its triggers with it
DROP EXTENSION pg_tandem;
DROP EXTENSION IF EXISTS plpgsql_missing, pg_tandem CASCADE;
CALL tandem.abort('cents', force => true);
DROP EXTENSION pg_tandem;
CREATE EXTENSION pg_tandem;
-- nothing is lost with a migration whose tables are gone
SELECT tandem.create_migration('cents');
SELECT tandem.add_column('cents', 'items', 'cents', 'bigint', 'price * 100');
DROP TABLE items;
DROP EXTENSION pg_tandem;

\c contrib_regression
DROP DATABASE tandem_tools;
DROP OWNED BY tandem_tool, tandem_stranger;
DROP ROLE tandem_tool, tandem_stranger;
