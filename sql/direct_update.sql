-- The backfill updates rows without a statement; it must do what an UPDATE does,
-- but fire the table's triggers.
CREATE DATABASE direct_update;
\c direct_update
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset null '-'
\set SHOW_CONTEXT never

-- Fills table t's b from a.
CREATE FUNCTION expand(relation text, up text DEFAULT 'a') RETURNS void LANGUAGE sql AS $$
	SELECT tandem.create_migration(relation);
	SELECT tandem.sync_column(relation, relation, 'a', 'b', up)
$$;

-- A row that its constraints do not take stops the fill, as it would an UPDATE.
CREATE TABLE checked (id integer PRIMARY KEY, a integer, b integer);
INSERT INTO checked SELECT i, i FROM generate_series(1, 5) i;
ALTER TABLE checked ADD CONSTRAINT small CHECK (b < 5);
SELECT expand('checked');
CALL tandem.migrate('checked');
\echo :LAST_ERROR_SQLSTATE
SELECT count(b) FROM checked;
ALTER TABLE checked DROP CONSTRAINT small, ADD CONSTRAINT small CHECK (b < 5) NOT VALID;
CALL tandem.migrate('checked');
ALTER TABLE checked DROP CONSTRAINT small, ADD CONSTRAINT a_small CHECK (a < 5) NOT VALID;
CALL tandem.migrate('checked');
ALTER TABLE checked DROP CONSTRAINT a_small;
CALL tandem.migrate('checked');
SELECT count(b) FROM checked;

CREATE TABLE not_null (id integer PRIMARY KEY, a integer, b integer NOT NULL DEFAULT 0);
INSERT INTO not_null VALUES (1, 1), (2, NULL);
SELECT expand('not_null');
CALL tandem.migrate('not_null');
\echo :LAST_ERROR_SQLSTATE
UPDATE not_null SET a = 2 WHERE id = 2;
CALL tandem.migrate('not_null');
SELECT * FROM not_null ORDER BY id;

CREATE DOMAIN small AS integer CHECK (VALUE < 3);
CREATE TABLE in_domain (id integer PRIMARY KEY, a integer, b small);
INSERT INTO in_domain SELECT i, i FROM generate_series(1, 3) i;
SELECT expand('in_domain');
CALL tandem.migrate('in_domain');
\echo :LAST_ERROR_SQLSTATE

-- Hazard: stored generated columns come after BEFORE triggers.
-- Stored generated columns that read the new column, and indexes on them.
CREATE TABLE generated (id integer PRIMARY KEY, a integer, b integer, g integer GENERATED ALWAYS AS (coalesce(b, 0) * 10) STORED);
CREATE INDEX generated_g_idx ON generated (g);
INSERT INTO generated (id, a) VALUES (1, 1), (2, 2);
SELECT expand('generated');
CALL tandem.migrate('generated');
SELECT * FROM generated ORDER BY id;
SET enable_seqscan = off;
SELECT id FROM generated WHERE g = 20;
SELECT id FROM generated WHERE g = 0;
RESET enable_seqscan;

-- Indexes: unique, deferred unique, exclusion, on an expression, partial.
CREATE TABLE indexed (id integer PRIMARY KEY, a integer, b integer);
CREATE INDEX indexed_expression_idx ON indexed ((b * 2));
CREATE INDEX indexed_partial_idx ON indexed (id) WHERE b = 3;
CREATE UNIQUE INDEX indexed_b_idx ON indexed (b);
INSERT INTO indexed VALUES (1, 1), (2, 2), (3, 3), (4, 1);
SELECT expand('indexed');
CALL tandem.migrate('indexed');
\echo :LAST_ERROR_SQLSTATE
UPDATE indexed SET a = 4 WHERE id = 4;
CALL tandem.migrate('indexed');
SET enable_seqscan = off;
SELECT * FROM indexed WHERE b * 2 = 4;
SELECT * FROM indexed WHERE b = 3 AND id > 0;
SELECT * FROM indexed WHERE b = 4;
RESET enable_seqscan;

CREATE TABLE deferred (id integer PRIMARY KEY, a integer, b integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO deferred VALUES (1, 1), (2, 2), (3, 1);
SELECT expand('deferred');
CALL tandem.migrate('deferred');
\echo :LAST_ERROR_SQLSTATE
SELECT count(b) FROM deferred;
UPDATE deferred SET a = 3 WHERE id = 3;
CALL tandem.migrate('deferred');
SELECT * FROM deferred ORDER BY id;

CREATE TABLE excluded (id integer PRIMARY KEY, a integer, b int4range, EXCLUDE USING gist (b WITH &&));
INSERT INTO excluded VALUES (1, 1), (2, 5), (3, 6);
SELECT expand('excluded', 'int4range(a, a + 2)');
CALL tandem.migrate('excluded');
\echo :LAST_ERROR_SQLSTATE
UPDATE excluded SET a = 10 WHERE id = 3;
CALL tandem.migrate('excluded');
SELECT * FROM excluded ORDER BY id;

-- A foreign key on the new column, both immediate and deferred; and one that points to it.
CREATE TABLE referred (id integer PRIMARY KEY);
INSERT INTO referred VALUES (1), (2);
CREATE TABLE referring (id integer PRIMARY KEY, a integer, b integer REFERENCES referred);
INSERT INTO referring VALUES (1, 1), (2, 7);
SELECT expand('referring');
CALL tandem.migrate('referring');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE referring ALTER CONSTRAINT referring_b_fkey DEFERRABLE INITIALLY DEFERRED;
CALL tandem.migrate('referring');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO referred VALUES (7);
CALL tandem.migrate('referring');
SELECT * FROM referring ORDER BY id;
CREATE TABLE pointed (id integer PRIMARY KEY, a integer, b integer UNIQUE DEFAULT -1);
INSERT INTO pointed VALUES (1, 1);
CREATE TABLE pointing (b integer REFERENCES pointed (b) ON UPDATE CASCADE);
INSERT INTO pointing VALUES (-1);
SELECT expand('pointed');
CALL tandem.migrate('pointed');
SELECT * FROM pointing;

-- Hazard: the fill fires the triggers of the table.
-- The table's own triggers and rules do not fire, whatever their kind, unless asked for.
CREATE TABLE fired (id integer PRIMARY KEY, a integer, b integer, updated_at text DEFAULT 'never');
CREATE TABLE audit (what text);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.updated_at := 'touched'; RETURN new; END $$;
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO audit VALUES (format('%s %s %s', tg_when, tg_level, to_jsonb(new)->'b')); RETURN NULL;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON fired FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER log AFTER UPDATE ON fired FOR EACH ROW EXECUTE FUNCTION log();
CREATE TRIGGER log_always AFTER UPDATE ON fired FOR EACH ROW EXECUTE FUNCTION log();
ALTER TABLE fired ENABLE ALWAYS TRIGGER log_always;
CREATE CONSTRAINT TRIGGER log_deferred AFTER UPDATE ON fired DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log();
CREATE TRIGGER log_statement AFTER UPDATE ON fired FOR EACH STATEMENT EXECUTE FUNCTION log();
CREATE TRIGGER log_transition AFTER UPDATE ON fired REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION log();
INSERT INTO fired VALUES (1, 1), (2, 2);
SELECT expand('fired');
CALL tandem.migrate('fired');
SELECT * FROM fired ORDER BY id;
SELECT * FROM audit;
CALL tandem.abort('fired');
ALTER TABLE fired DISABLE TRIGGER USER;
UPDATE fired SET b = NULL;
ALTER TABLE fired ENABLE TRIGGER USER;
ALTER TABLE fired ENABLE ALWAYS TRIGGER log_always;
SELECT expand('fired');
SET tandem.fire_triggers = on;
CALL tandem.migrate('fired');
RESET tandem.fire_triggers;
SELECT * FROM fired ORDER BY id;
SELECT what, count(*) FROM audit GROUP BY what ORDER BY what;
-- a trigger that suppresses the update would leave rows unfilled
CREATE TABLE suppressed (id integer PRIMARY KEY, a integer);
INSERT INTO suppressed VALUES (1, 1), (2, 2);
CREATE FUNCTION suppress_odd() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN IF new.id % 2 = 1 THEN RETURN NULL; END IF; RETURN new; END';
CREATE TRIGGER suppress BEFORE UPDATE ON suppressed FOR EACH ROW EXECUTE FUNCTION suppress_odd();
BEGIN;
SELECT tandem.create_migration('suppressed');
SELECT tandem.add_column('suppressed', 'suppressed', 'b', 'integer');
SELECT tandem.sync_column('suppressed', 'suppressed', 'a', 'b', 'a', 'b');
COMMIT;
SET tandem.fire_triggers = on;
CALL tandem.migrate('suppressed');
RESET tandem.fire_triggers;
CALL tandem.migrate('suppressed');
SELECT * FROM suppressed ORDER BY id;
-- row security does not hide rows from it, nor from the quarantine
CREATE ROLE tandem_secured;
CREATE TABLE secured (id integer PRIMARY KEY, a text, b integer);
INSERT INTO secured VALUES (1, '1'), (2, 'x');
ALTER TABLE secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, OWNER TO tandem_secured;
CREATE POLICY none ON secured USING (false);
SELECT tandem.create_migration('secured');
SELECT tandem.sync_column('secured', 'secured', 'a', 'b', 'a::integer', on_error => 'quarantine');
CALL tandem.migrate('secured');
CALL tandem.migrate('secured');
SELECT * FROM secured ORDER BY id;
-- but who may not see a row does not see its key there either
SELECT key FROM tandem.quarantine;
SET ROLE tandem_secured;
SELECT key FROM tandem.quarantine;
RESET ROLE;
UPDATE secured SET a = '2' WHERE id = 2;
CALL tandem.migrate('secured');

-- HOT: no index has an entry for the new column, and there is room on the page.
CREATE TABLE hot (id integer PRIMARY KEY, a integer, b integer) WITH (fillfactor = 40);
INSERT INTO hot SELECT i, i FROM generate_series(1, 50) i;
SELECT expand('hot');
SELECT pg_stat_force_next_flush();
CALL tandem.migrate('hot');
SELECT pg_stat_force_next_flush();
SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'hot';
SELECT count(*) FROM hot WHERE b = a;

-- Hazard: unchanged TOAST values.
-- TOAST: a value that the fill does not touch keeps its place.
CREATE TABLE toasted (id integer PRIMARY KEY, a text, b integer);
ALTER TABLE toasted ALTER a SET STORAGE EXTERNAL;
INSERT INTO toasted VALUES (1, repeat('x', 1000000));
SELECT reltoastrelid::regclass AS toast FROM pg_class WHERE relname = 'toasted' \gset
SELECT min(chunk_id::text) AS before FROM :toast \gset
SELECT expand('toasted', 'length(a)');
CALL tandem.migrate('toasted');
SELECT id, length(a), b FROM toasted;
SELECT count(DISTINCT chunk_id), min(chunk_id::text) = :'before' AS same FROM :toast;

-- What a dropped column has left in the rows goes, as with an UPDATE.
CREATE TABLE narrowed (id integer PRIMARY KEY, gone text, also_gone integer, a integer, b integer);
ALTER TABLE narrowed ALTER gone SET STORAGE external;
INSERT INTO narrowed SELECT i, repeat('x', 10000), i, i FROM generate_series(1, 3) i;
ALTER TABLE narrowed DROP gone, DROP also_gone;
SELECT reltoastrelid::regclass AS toast FROM pg_class WHERE relname = 'narrowed' \gset
SELECT count(DISTINCT chunk_id) FROM :toast;
SELECT expand('narrowed');
CALL tandem.migrate('narrowed');
SELECT * FROM narrowed ORDER BY id;
SELECT count(DISTINCT chunk_id) FROM :toast;

-- A published table needs a replica identity, as it does for an UPDATE.
CREATE TABLE published (a integer, b integer);
INSERT INTO published VALUES (1);
SELECT expand('published');
CREATE PUBLICATION all_of_it FOR TABLE published;
CALL tandem.migrate('published');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE published REPLICA IDENTITY FULL;
SELECT 'slot' FROM pg_create_logical_replication_slot('direct_update', 'test_decoding');
CALL tandem.migrate('published');
SELECT data FROM pg_logical_slot_get_changes('direct_update', NULL, NULL, 'skip-empty-xacts', '1', 'include-xids', '0')
	WHERE data LIKE 'table public.%';
SELECT pg_drop_replication_slot('direct_update');

SELECT name, phase FROM tandem.migrations WHERE phase <> 'contract';
\c postgres
DROP DATABASE direct_update;
DROP ROLE tandem_secured;
