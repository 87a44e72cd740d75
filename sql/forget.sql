-- What is kept of a migration that has ended: no data of a row; and no more than is wanted.
CREATE DATABASE forget;
\c forget
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only
\pset null '-'
CREATE EXTENSION pg_tandem;
CREATE ROLE forget_owner;
CREATE ROLE forget_stranger;
GRANT CREATE ON SCHEMA public TO forget_owner;
GRANT CREATE ON DATABASE forget TO forget_owner;
GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO forget_owner;
SET ROLE forget_owner;
CREATE TABLE t (id text PRIMARY KEY, a text, b integer, c integer);
INSERT INTO t VALUES ('secret key 1', 'secret a', NULL, NULL), ('secret key 2', '2', NULL, NULL);

-- Where a row's data may be found in our tables, as a dump would have it.
RESET ROLE;
CREATE FUNCTION kept() RETURNS TABLE (relation text, rows bigint, secrets bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR relation IN SELECT c.oid::regclass::text FROM pg_class c
		WHERE c.relnamespace = 'tandem'::regnamespace AND c.relkind = 'r' ORDER BY 1
	LOOP
		EXECUTE format('SELECT count(*), count(*) FILTER (WHERE r::text ~ ''secret'') FROM %s r', relation) INTO rows, secrets;
		RETURN NEXT;
	END LOOP;
END $$;

-- A live migration keeps what its operator has to look at: the sample of a verify, errors, rows in quarantine.
SET ROLE forget_owner;
SELECT tandem.create_migration('forced', release => 2);
SELECT tandem.sync_column('forced', 't', 'a', 'b', 'a::integer', on_error => 'quarantine');
SELECT tandem.sync_column('forced', 't', 'a', 'c', 'length(a)');
SELECT tandem.add_constraint('forced', 't', 'short', 'CHECK (c < 2)');
SELECT tandem.add_index('forced', 'CREATE INDEX t_b ON t (b)');
SELECT tandem.create_views(2);
CALL tandem.migrate('forced');
SELECT step, state FROM tandem.progress WHERE error IS NOT NULL;
RESET ROLE;
ALTER TABLE t DROP CONSTRAINT IF EXISTS short;
DELETE FROM tandem.step WHERE object = 'short';
SET ROLE forget_owner;
UPDATE t SET c = 99;
CALL tandem.migrate('forced');
RESET ROLE;
INSERT INTO tandem.run_report SELECT id, 'of a secret row', 'secret' FROM tandem.migration;
SELECT relation, secrets FROM kept() WHERE secrets > 0;
-- who may not act does not have it removed, and nobody has a live one removed
SET ROLE forget_stranger;
SELECT tandem.forget('forced');
SET ROLE forget_owner;
SELECT tandem.forget('forced');
SELECT tandem.forget('no such');
-- its end leaves none of that
CALL tandem.contract('forced', force => true);
RESET ROLE;
SELECT relation, secrets FROM kept() WHERE secrets > 0;
SELECT step, state, rows_quarantined, rows_mismatched, error, hint FROM tandem.progress WHERE migration = 'forced' ORDER BY 1, 2;
-- nor does that of an abort, also where the table has been dropped
SET ROLE forget_owner;
CREATE TABLE d (id text PRIMARY KEY, a text, b integer);
INSERT INTO d VALUES ('secret key', 'secret', NULL);
SELECT tandem.create_migration('aborted');
SELECT tandem.sync_column('aborted', 'd', 'a', 'b', 'a::integer', on_error => 'quarantine');
CALL tandem.migrate('aborted');
RESET ROLE;
SELECT relation, secrets FROM kept() WHERE secrets > 0;
SET ROLE forget_owner;
DROP TABLE d;
CALL tandem.abort('aborted');
RESET ROLE;
SELECT relation, secrets FROM kept() WHERE secrets > 0;

-- What is kept of one that goes on is bounded: an error's text, whatever a function says.
SET ROLE forget_owner;
CREATE TABLE l (id integer PRIMARY KEY, a text, b text, c text);
INSERT INTO l VALUES (1, 'x');
CREATE FUNCTION cries(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE '%', repeat('Ü', 100000); END $$;
SELECT tandem.create_migration('long');
SELECT tandem.sync_column('long', 'l', 'a', 'b', 'cries(a)', on_error => 'quarantine');
CALL tandem.migrate('long');
SELECT DISTINCT length(error), pg_column_size(error) < 5000 FROM tandem.quarantine;
CALL tandem.abort('long', force => true);
SELECT tandem.create_migration('long');
SELECT tandem.sync_column('long', 'l', 'a', 'b', 'cries(a)');
DO $$ BEGIN CALL tandem.migrate('long'); EXCEPTION WHEN OTHERS THEN NULL; END $$;
\set VERBOSITY sqlstate
CALL tandem.migrate('long');
\set VERBOSITY default
SELECT step, length(error) FROM tandem.progress WHERE migration = 'long' AND error IS NOT NULL;
CALL tandem.abort('long', force => true);

-- tandem.forget of one that has a release: its steps go; the releases, their views and the script that is run again stay as they were.
CREATE TEMP TABLE before AS SELECT release, state, reason, since, migrations FROM tandem.releases;
SELECT release, state FROM before;
SELECT tandem.health(1), tandem.health(2), tandem.health(3);
SELECT tandem.forget('forced');
TABLE before EXCEPT SELECT release, state, reason, since, migrations FROM tandem.releases;
SELECT tandem.health(1), tandem.health(2), tandem.health(3);
RESET ROLE;
SELECT count(*) FROM tandem.step t JOIN tandem.migration m ON m.id = t.migration AND m.name = 'forced';
SET ROLE forget_owner;
SELECT migration, step FROM tandem.progress WHERE migration = 'forced';
SELECT action FROM tandem.history WHERE migration = 'forced';
SET client_min_messages = notice;
SELECT tandem.create_migration('forced', release => 2);
SELECT tandem.add_column('forced', 't', 'd', 'integer');
SELECT tandem.sync_column('forced', 't', 'a', 'b', 'whatever');
SELECT tandem.add_constraint('forced', 't', 'short', 'CHECK (c < 2)');
SELECT tandem.add_index('forced', 'CREATE INDEX t_b ON t (b)');
SELECT tandem.add_not_null('forced', 't', 'b');
CALL tandem.migrate('forced');
SET client_min_messages = warning;
SELECT tandem.create_views(1);		-- still retired
SELECT tandem.create_views(2);
SELECT attname FROM pg_attribute WHERE attrelid = 'release_2.t'::regclass AND attnum > 0;
SELECT tandem.forget('forced');		-- once more
-- of one without a release, and of an aborted one, all goes, and the name is free
SELECT tandem.create_migration('plain');
SELECT tandem.add_column('plain', 'l', 'd', 'text');
SELECT tandem.sync_column('plain', 'l', 'a', 'd', 'a', 'd', keep_old => true);
CALL tandem.migrate('plain');
CALL tandem.contract('plain');
RESET ROLE;
SELECT id AS plain FROM tandem.migration WHERE name = 'plain' \gset
SELECT id AS aborted FROM tandem.migration WHERE name = 'aborted' \gset
SET ROLE forget_stranger;
SELECT tandem.forget('plain');
SET ROLE forget_owner;
SELECT tandem.forget('plain');
-- its table is gone: it is its creator's
SET ROLE forget_stranger;
SELECT tandem.forget('aborted');
SET ROLE forget_owner;
SELECT tandem.forget('aborted');
RESET ROLE;
SELECT count(*) FROM tandem.migration WHERE id IN (:plain, :aborted);
SELECT count(*) FROM tandem.sync WHERE migration IN (:plain, :aborted);
SELECT count(*) FROM tandem.step WHERE migration IN (:plain, :aborted);
SELECT count(*) FROM tandem.owned_column WHERE migration IN (:plain, :aborted);
SELECT count(*) FROM tandem.event WHERE migration IN (:plain, :aborted) AND action = 'forget';

-- Age: tandem.forget_after, at the next migration that is created or ends.
SET ROLE forget_owner;
SET tandem.forget_after = '1s';		-- not for everybody to set
SELECT tandem.create_migration('old', release => 3);
SELECT tandem.add_column('old', 'l', 'e', 'text');
SELECT tandem.sync_column('old', 'l', 'a', 'e', 'a', 'e', keep_old => true);
SELECT tandem.add_index('old', 'CREATE INDEX l_e ON l (e)');
CALL tandem.migrate('old');
CALL tandem.contract('old', undeclared => 'ignore');
SELECT tandem.create_migration('old aborted');
SELECT tandem.sync_column('old aborted', 'l', 'a', 'b', 'a', 'b');
CALL tandem.abort('old aborted');
SELECT tandem.create_migration('live');
SELECT tandem.sync_column('live', 'l', 'a', 'b', 'a', 'b');
CALL tandem.migrate('live');
RESET ROLE;
UPDATE tandem.migration SET phase_since = now() - interval '31 days' WHERE name IN ('old', 'old aborted', 'live');
SET tandem.forget_after = '0';		-- never
SELECT tandem.create_migration('first');
SELECT count(*) FROM tandem.migrations WHERE name LIKE 'old%';
SELECT step, object FROM tandem.progress WHERE migration = 'old' ORDER BY 1;
RESET tandem.forget_after;
SHOW tandem.forget_after;
CALL tandem.abort('first');
-- of the aborted nothing is left, of the one that is done what a script that is run again is compared with
SELECT name FROM tandem.migrations WHERE name LIKE 'old%';
SELECT step, object FROM tandem.progress WHERE migration = 'old' ORDER BY 1;
SELECT count(*) FROM tandem.progress WHERE migration = 'live';
SET ROLE forget_owner;
SET client_min_messages = notice;
SELECT tandem.create_migration('old', release => 3);
SELECT tandem.add_column('old', 'l', 'e', 'text');
SELECT tandem.sync_column('old', 'l', 'a', 'e', 'a', 'e', keep_old => true);
SELECT tandem.add_index('old', 'CREATE INDEX l_e ON l (e)');
SELECT tandem.add_index('old', 'CREATE INDEX l_e ON l (e DESC)');
SET client_min_messages = warning;
SELECT release, state FROM tandem.releases ORDER BY 1;
CALL tandem.abort('live');

RESET ROLE;
\c postgres
DROP DATABASE forget;
DROP ROLE forget_owner, forget_stranger;
