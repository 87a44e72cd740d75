-- Operations on tables that meet each other, or what somebody has done between expand and contract.
CREATE DATABASE operations_combined;
\c operations_combined
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
SELECT tandem.register_release(41), tandem.switch_release(41);
\pset format unaligned
\pset tuples_only

/*
 * A table goes whose sequence is the default of the views that end before, and to which a column refers that goes
 * before: of a rule, too.  What a column refers to that stays is in the way.
 */

CREATE TABLE artists (id serial PRIMARY KEY, name text);
CREATE TABLE kinds (id serial PRIMARY KEY);
CREATE TABLE albums (id serial PRIMARY KEY, artist integer REFERENCES artists, kind integer REFERENCES kinds);
SELECT tandem.create_views(41, schemas => '{public}');
BEGIN;
SELECT tandem.create_migration('goes', 42);
SELECT tandem.add_column('goes', 'albums', 'kind_name', 'text');
SELECT tandem.sync_column('goes', 'albums', 'kind', 'kind_name', 'kind::text', 'kind_name::integer');
SELECT tandem.drop_column('goes', 'albums', 'artist');
SELECT tandem.drop_table('goes', 'artists');
SELECT tandem.drop_table('goes', 'kinds');
CREATE TABLE notes (id serial PRIMARY KEY, kind integer REFERENCES kinds);
SELECT tandem.add_table('goes', 'notes');
SELECT tandem.create_views(42, schemas => '{public}');
COMMIT;
SELECT object, what_happens FROM tandem.preview_contract('goes') WHERE part = 'drop table';
ALTER TABLE notes DROP CONSTRAINT notes_kind_fkey;
CALL tandem.abort('goes');
SELECT to_regclass('notes'), to_regclass('artists'), to_regclass('kinds');

BEGIN;
SELECT tandem.create_migration('goes', 42);
SELECT tandem.add_column('goes', 'albums', 'kind_name', 'text');
SELECT tandem.sync_column('goes', 'albums', 'kind', 'kind_name', 'kind::text', 'kind_name::integer');
SELECT tandem.drop_column('goes', 'albums', 'artist');
SELECT tandem.drop_table('goes', 'artists');
SELECT tandem.drop_table('goes', 'kinds');
SELECT tandem.create_views(42, schemas => '{public}');
COMMIT;
CALL tandem.migrate('goes');
SELECT tandem.switch_release(42);
SET client_min_messages = error;
CALL tandem.contract('goes', undeclared => 'ignore', accept => '{foreign keys}');
SET client_min_messages = warning;
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r';
\d albums

/*
 * Two migrations give a table and a column other names: contract goes in the order of the releases, or the later
 * name would be taken back.
 */

CREATE TABLE clients (id integer PRIMARY KEY, nmae text);
SELECT tandem.create_migration('first', 43);
SELECT tandem.rename_table('first', 'clients', 'customers');
SELECT tandem.rename_column('first', 'clients', 'nmae', 'name');
SELECT tandem.create_views(43);
SELECT tandem.create_migration('second', 44);
SELECT tandem.rename_table('second', 'clients', 'buyers');
SELECT tandem.rename_column('second', 'clients', 'name', 'full_name');
SELECT tandem.create_views(44);
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('second');
SELECT tandem.switch_release(44);
CALL tandem.contract('second', undeclared => 'ignore');
BEGIN;
CALL tandem.abort('first');
CALL tandem.contract('second', undeclared => 'ignore');
\d buyers
ROLLBACK;
CALL tandem.contract('first', undeclared => 'ignore');
CALL tandem.contract('second', undeclared => 'ignore');
\d buyers

\c postgres
DROP DATABASE operations_combined;
