-- A migration from its beginning to each of its ends: what the views say, what
-- goes and what stays, and when the gate is shut.
\set SHOW_CONTEXT never
CREATE DATABASE migration_flow;
\c migration_flow
CREATE EXTENSION pg_tandem;
\pset null '-'

-- what the four views say; without what differs from run to run
CREATE VIEW status AS
	SELECT name, release, phase, running_pid, syncs, steps_open AS open, rows_quarantined AS quarantined, problem
	FROM tandem.migrations;
CREATE VIEW steps AS
	SELECT migration, step, relation, state, done AS blocks, percent, bar, rows_done AS rows,
		rows_filled AS filled, rows_unfilled AS unfilled, rows_mismatched AS mismatched, error
	FROM tandem.progress;
CREATE VIEW rules AS
	SELECT migration, relation, old_columns AS old, new_columns AS new, up, down, direction, health, problem FROM tandem.syncs;
CREATE VIEW events AS
	SELECT migration, action, phase_before AS before, phase_after AS after, took IS NOT NULL AS took, detail FROM tandem.history
	WHERE done_by = current_user AND done_at > now() - interval '1 hour';

-- From end to end.
CREATE TABLE images (id integer PRIMARY KEY, is_public boolean NOT NULL DEFAULT false);
INSERT INTO images SELECT i, i % 3 = 0 FROM generate_series(1, 10) i;
BEGIN;
SELECT tandem.create_migration('visibility', release => 42, comment => 'shared images');
ALTER TABLE images ADD COLUMN visibility text;
SELECT tandem.sync_column('visibility', 'images', old => 'is_public', new => 'visibility',
	up => $$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$,
	down => $$ visibility = 'public' $$);
COMMIT;
SELECT comment, created_by = current_user AS mine, created_at = phase_since AS new FROM tandem.migrations;
SELECT * FROM status;
SELECT * FROM rules;
SELECT * FROM steps;
-- a second release writes before the fill
INSERT INTO images (id, visibility) VALUES (11, 'shared');
SELECT relation, rows_checked, rows_unfilled, rows_mismatched FROM tandem.verify('visibility');

SET client_min_messages = warning;	-- notices tell seconds
CALL tandem.migrate('visibility');
SELECT * FROM status;
SELECT * FROM steps;
SELECT * FROM tandem.verify('visibility');
-- migrate again, in phase contract: nothing is left to do
CALL tandem.migrate('visibility');
SELECT * FROM status;
CALL tandem.contract('visibility');
CALL tandem.contract('visibility', accept => '{defaults,not null}');
SELECT * FROM status;
SELECT * FROM rules;
SELECT * FROM events;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'images'::regclass;
SELECT * FROM images ORDER BY id;

-- Owned columns: what its transaction adds to its tables goes with abort, nothing else does.
CREATE TABLE owned (id integer PRIMARY KEY, a integer, before1 text, before2 text);
BEGIN;
SELECT tandem.create_migration('own');
ALTER TABLE owned ADD COLUMN plain text, ADD COLUMN "Plain 2" text DEFAULT 'x';
ALTER TABLE owned ADD COLUMN beside text;
ALTER TABLE owned ALTER COLUMN before2 SET STORAGE EXTERNAL, ALTER COLUMN before2 SET DEFAULT 'y';
SELECT tandem.add_column('own', 'owned', 'added', 'numeric(10,2)');
SELECT tandem.sync_columns('own', 'owned', '{a}', '{plain,"Plain 2",before1,before2,added}', '{a,a,a,a,a}');
COMMIT;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
	WHERE attrelid = 'owned'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
CALL tandem.abort('own');
SELECT attname FROM pg_attribute WHERE attrelid = 'owned'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
-- a column added in an earlier transaction is not known to be the migration's
ALTER TABLE owned ADD COLUMN earlier text;
SELECT tandem.create_migration('own');
SELECT tandem.sync_column('own', 'owned', 'a', 'earlier', 'a::text');
CALL tandem.abort('own');
SELECT count(*) FROM pg_attribute WHERE attrelid = 'owned'::regclass AND attname = 'earlier';
-- nor one that is added in a subtransaction which is rolled back, and again
BEGIN;
SELECT tandem.create_migration('own');
SAVEPOINT s;
ALTER TABLE owned ADD COLUMN again text;
ROLLBACK TO s;
ALTER TABLE owned ADD COLUMN again text;
SELECT tandem.sync_column('own', 'owned', 'a', 'again', 'a::text');
COMMIT;
-- a migration that only adds a column: abort drops it too
CALL tandem.abort('own');
SELECT tandem.create_migration('own');
SELECT tandem.add_column('own', 'owned', 'alone', 'text');
CALL tandem.abort('own');
SELECT attname FROM pg_attribute WHERE attrelid = 'owned'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT action, detail FROM events WHERE migration = 'own';

-- Abort in each phase, under one name.
CREATE TABLE phases (id integer, a integer);
INSERT INTO phases SELECT i, i FROM generate_series(1, 5) i;
CREATE FUNCTION raising(integer) RETURNS integer STABLE LANGUAGE plpgsql AS $$ BEGIN
	IF $1 = 3 THEN RAISE 'not this row' USING HINT = 'Mend it.'; END IF;
	RETURN $1;
END $$;
CREATE FUNCTION again(up text) RETURNS void LANGUAGE sql AS $$
	SELECT tandem.create_migration('again');
	SELECT tandem.add_column('again', 'phases', 'b', 'integer');
	SELECT tandem.sync_column('again', 'phases', 'a', 'b', up, 'b')
$$;
SELECT tandem.create_migration('again');
CALL tandem.abort('again');		-- expand, nothing in it
SELECT again('a');
CALL tandem.abort('again');		-- expand
SELECT again('raising(a)');
CALL tandem.migrate('again');
SELECT phase FROM status WHERE name = 'again';
CALL tandem.contract('again');		-- steps are open
CALL tandem.abort('again');		-- migrate
SELECT again('a');
CALL tandem.migrate('again');
CALL tandem.abort('again');		-- contract
SELECT phase, count(*) FROM status WHERE name = 'again' GROUP BY phase;
SELECT * FROM phases ORDER BY id;
INSERT INTO phases VALUES (6, 6);
SELECT tgname FROM pg_trigger WHERE tgrelid = 'phases'::regclass;

-- keep_old: contract takes the sync away and leaves the column
SELECT tandem.create_migration('keep');
SELECT tandem.add_column('keep', 'phases', 'b', 'integer');
SELECT tandem.add_column('keep', 'phases', 'c', 'integer');
SELECT tandem.sync_column('keep', 'phases', 'a', 'b', 'a', 'b', keep_old => true);
SELECT tandem.sync_column('keep', 'phases', 'id', 'c', 'id + 1');
SELECT direction, keep_old FROM tandem.syncs WHERE migration = 'keep';
CALL tandem.migrate('keep');
CALL tandem.contract('keep');
SELECT * FROM phases ORDER BY c;

-- An empty migration, an empty table, one whose table is gone.
SELECT tandem.create_migration('empty');
CALL tandem.migrate('empty');
CALL tandem.contract('empty');
CREATE TABLE no_rows (a integer, b integer);
SELECT tandem.create_migration('no rows');
SELECT tandem.sync_column('no rows', 'no_rows', 'a', 'b', 'a');
CALL tandem.migrate('no rows');
SELECT * FROM steps WHERE migration = 'no rows';
CALL tandem.contract('no rows');
CREATE TABLE gone (a integer, b integer);
SELECT tandem.create_migration('gone');
SELECT tandem.sync_column('gone', 'gone', 'a', 'b', 'a');
DROP TABLE gone;
SELECT health, problem FROM rules WHERE migration = 'gone';
CALL tandem.abort('gone');
SELECT name, phase FROM status WHERE name IN ('empty', 'no rows', 'gone');

-- What goes with an old column is said before it goes.
CREATE TABLE items (id integer PRIMARY KEY, price numeric, name text);
CREATE INDEX items_price_idx ON items (price);
CREATE INDEX items_both_idx ON items (name, price);
CREATE INDEX items_round_idx ON items (round(price));
CREATE INDEX items_cheap_idx ON items (name) WHERE price < 1;
CREATE INDEX items_include_idx ON items (name) INCLUDE (price);
CREATE INDEX items_name_idx ON items (name);
ALTER TABLE items ADD CONSTRAINT price_positive CHECK (price > 0), ADD CONSTRAINT named CHECK (name <> '');
CREATE STATISTICS items_stats ON name, price FROM items;
INSERT INTO items VALUES (1, 1.50, 'tea');
SELECT tandem.create_migration('cents');
SELECT tandem.add_column('cents', 'items', 'cents', 'integer');
SELECT tandem.sync_column('cents', 'items', 'price', 'cents', 'price * 100', 'cents / 100.0');
CALL tandem.migrate('cents');
SET client_min_messages = notice;
CALL tandem.contract('cents');
CALL tandem.contract('cents', accept => '{extended statistics,indexes,check constraints}');
SET client_min_messages = warning;
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'items'::regclass ORDER BY indexrelid::regclass::text;
SELECT conname FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype <> 'n' ORDER BY 1;

-- Hazard: what stands on an old column fails contract or is dropped by CASCADE.
-- The gate, first part: old columns that something stands on.  Nothing passes over that, not even force.
CREATE TABLE used (pk integer PRIMARY KEY, u integer UNIQUE, ui integer, fk integer REFERENCES items, ref integer UNIQUE,
	ident integer NOT NULL, x integer, viewed integer, ruled integer, body integer, policied integer, gen integer,
	generated integer GENERATED ALWAYS AS (gen + 1) STORED, published integer, partial integer, fired integer, plain integer);
CREATE UNIQUE INDEX used_ui_idx ON used (ui);
CREATE UNIQUE INDEX used_partial_idx ON used (pk) WHERE partial > 0;
CREATE UNIQUE INDEX used_expression_idx ON used ((x + 1));
ALTER TABLE used ADD EXCLUDE USING btree (x WITH =);
CREATE UNIQUE INDEX used_ident_idx ON used (ident);
ALTER TABLE used REPLICA IDENTITY USING INDEX used_ident_idx;
CREATE TABLE referring (ref integer REFERENCES used (ref));
CREATE VIEW on_used AS SELECT viewed FROM used;
CREATE MATERIALIZED VIEW mat_used AS SELECT viewed + 1 FROM used;
CREATE RULE on_insert AS ON INSERT TO referring WHERE new.ref = 0 DO INSTEAD UPDATE used SET ruled = 1;
CREATE FUNCTION body() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(body) FROM used; END;
CREATE POLICY own_rows ON used USING (policied = 1);
SET client_min_messages = error;	-- wal_level may not be logical
CREATE PUBLICATION some_columns FOR TABLE used (ident, published);
SET client_min_messages = warning;
CREATE TRIGGER fired BEFORE UPDATE OF fired ON used FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE used ADD COLUMN n text;
SELECT tandem.create_migration('used');
SELECT tandem.sync_columns('used', 'used', '{pk,u,ui,fk,ref,ident,x,viewed,ruled,body,policied,gen,published,partial,fired,plain}', '{n}', '{plain}');
CALL tandem.migrate('used');
CALL tandem.contract('used');
\echo :LAST_ERROR_SQLSTATE
CALL tandem.contract('used', force => true);
\echo :LAST_ERROR_SQLSTATE
SELECT phase FROM status WHERE name = 'used';
CALL tandem.abort('used');
-- a partition key, by name and in an expression, that a partition has got since (before: known_at_expand)
CREATE TABLE parts (k integer, e integer, n integer) PARTITION BY LIST (n);
SELECT tandem.create_migration('parts');
SELECT tandem.add_column('parts', 'parts', 'm', 'integer');
SELECT tandem.sync_columns('parts', 'parts', '{k,e}', '{m}', '{k}');
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1) PARTITION BY RANGE (k, (e + 1));
CALL tandem.migrate('parts');
CALL tandem.contract('parts');
CALL tandem.abort('parts');
-- a partition alone may have what its parent has not
CREATE TABLE parts2 (k integer, a integer, n integer) PARTITION BY LIST (k);
CREATE TABLE parts2_1 PARTITION OF parts2 FOR VALUES IN (1);
CREATE UNIQUE INDEX parts2_1_a_idx ON parts2_1 (a);
CREATE INDEX parts2_a_idx ON parts2 (a);
CREATE INDEX parts2_1_plain_idx ON parts2_1 (a);
CREATE VIEW on_partition AS SELECT a FROM parts2_1;
SELECT tandem.create_migration('parts2');
SELECT tandem.sync_column('parts2', 'parts2', 'a', 'n', 'a');
CALL tandem.migrate('parts2');
CALL tandem.contract('parts2');
DROP VIEW on_partition;
CALL tandem.contract('parts2');
DROP INDEX parts2_1_a_idx;
SET client_min_messages = notice;
CALL tandem.contract('parts2');
SET client_min_messages = warning;
-- another migration's sync
CREATE TABLE chain (a integer, b integer, c integer);
SELECT tandem.create_migration('first');
SELECT tandem.sync_column('first', 'chain', 'a', 'b', 'a');
SELECT tandem.create_migration('second');
SELECT tandem.sync_column('second', 'chain', 'b', 'c', 'b');
CALL tandem.migrate('second');
CALL tandem.contract('second');
CALL tandem.migrate('first');
CALL tandem.contract('first');
CALL tandem.migrate('second');
CALL tandem.contract('second');
SELECT attname FROM pg_attribute WHERE attrelid = 'chain'::regclass AND attnum > 0 AND NOT attisdropped;
-- abort is refused likewise where a new column is in use
SELECT tandem.create_migration('in use');
SELECT tandem.add_column('in use', 'chain', 'd', 'integer');
SELECT tandem.sync_column('in use', 'chain', 'c', 'd', 'c');
CREATE VIEW on_chain AS SELECT d FROM chain;
CALL tandem.abort('in use');
\echo :LAST_ERROR_SQLSTATE
DROP VIEW on_chain;
CALL tandem.abort('in use');

-- Hazard: contract before the fill is complete.
-- The gate, second part: what is not proved.  Force passes over it.
CREATE TABLE proof (id integer PRIMARY KEY, a integer);
INSERT INTO proof SELECT i, i FROM generate_series(1, 5) i;
CREATE FUNCTION set_by_hand(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
	-- as a superuser may who does not know better
	ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
	ALTER EVENT TRIGGER tandem_guard_drop DISABLE;
	EXECUTE what;
	ALTER EVENT TRIGGER tandem_guard_ddl ENABLE;
	ALTER EVENT TRIGGER tandem_guard_drop ENABLE;
END $$;
BEGIN;
SELECT tandem.create_migration('proof');
SELECT tandem.add_column('proof', 'proof', 'b', 'integer');
SELECT tandem.sync_column('proof', 'proof', 'a', 'b', 'a * 2', 'b / 2');
COMMIT;
CALL tandem.migrate('proof');
-- a write behind the trigger's back, which shows in the next verify only
SELECT set_by_hand('ALTER TABLE proof DISABLE TRIGGER "~tandem_sync"');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'proof'::regclass AND NOT tgisinternal;
CALL tandem.contract('proof');
\echo :LAST_ERROR_SQLSTATE
UPDATE proof SET b = 7 WHERE id = 2;
UPDATE proof SET b = NULL WHERE id = 3;
SELECT health, problem FROM rules WHERE migration = 'proof';
SELECT * FROM tandem.verify('proof');
CALL tandem.migrate('proof');
\echo :LAST_ERROR_SQLSTATE
SELECT phase, open, problem FROM status WHERE name = 'proof';
SELECT * FROM steps WHERE migration = 'proof';
SELECT sample FROM tandem.verify('proof');
CALL tandem.contract('proof');
UPDATE proof SET a = 20 WHERE id = 2;
CALL tandem.migrate('proof');
SELECT * FROM proof ORDER BY id;
-- the trigger was made anew since verify
SELECT set_by_hand($$ ALTER TABLE proof DISABLE TRIGGER "~tandem_sync"; UPDATE proof SET b = 9 WHERE id = 4;
	ALTER TABLE proof ENABLE ALWAYS TRIGGER "~tandem_sync" $$);
SELECT health FROM rules WHERE migration = 'proof';
CALL tandem.contract('proof');
CALL tandem.migrate('proof');
-- verified again, so the gate is open; contract is one transaction, and all of it can be undone
BEGIN;
CALL tandem.contract('proof');
SELECT phase FROM status WHERE name = 'proof';
ROLLBACK;
SELECT health FROM rules WHERE migration = 'proof';
-- and dropped
SELECT set_by_hand('DROP TRIGGER "~tandem_sync" ON proof');
CALL tandem.contract('proof');
SELECT * FROM tandem.verify('proof');
CALL tandem.contract('proof', force => true);		-- rows may have been left unfilled
CALL tandem.migrate('proof');
CALL tandem.contract('proof', force => true);
SELECT * FROM proof ORDER BY id;
SELECT action, before, after, detail FROM events WHERE migration = 'proof';

-- A migration that works on no table has nothing to fill: it goes on, and says so.
SET client_min_messages = notice;
SELECT tandem.create_migration('names');
CALL tandem.migrate('names');
SELECT name, phase FROM tandem.migrations WHERE name = 'names';
CALL tandem.abort('names');
CREATE TABLE dropped (id integer PRIMARY KEY, a integer);
SELECT tandem.create_migration('names');
SELECT tandem.add_column('names', 'dropped', 'b', 'integer');
SELECT tandem.sync_column('names', 'dropped', 'a', 'b', 'a', 'b');
SET client_min_messages = warning;
CALL tandem.migrate('names');
CALL tandem.contract('names');
SELECT relation FROM tandem.syncs WHERE migration = 'names' UNION SELECT relation FROM tandem.progress WHERE migration = 'names';

-- Of a table that was dropped since no relation is shown, no number either.
DROP TABLE dropped;
SELECT relation, old_columns, new_columns, health FROM tandem.syncs WHERE migration = 'names' AND health = 'removed' ORDER BY relation;
SELECT DISTINCT relation FROM tandem.progress WHERE migration = 'names';

-- One whose tables were dropped before it was filled has nothing to fill either.
CREATE TABLE lost (id integer PRIMARY KEY, a integer);
SELECT tandem.create_migration('lost');
SELECT tandem.add_column('lost', 'lost', 'b', 'integer');
SELECT tandem.sync_column('lost', 'lost', 'a', 'b', 'a', 'b');
DROP TABLE lost;
SET client_min_messages = notice;
CALL tandem.migrate('lost');
CALL tandem.abort('lost');
\c postgres
DROP DATABASE migration_flow;
