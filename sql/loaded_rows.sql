-- What the owner of the database loads into the tables of state: nothing that the functions could not
-- have written, and nothing for a migration that somebody creates later.
CREATE DATABASE loaded_rows;
\c loaded_rows
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only
CREATE EXTENSION pg_tandem;
CREATE ROLE loading_owner;
CREATE ROLE loading_other;
ALTER DATABASE loaded_rows OWNER TO loading_owner;
GRANT CREATE ON SCHEMA public TO loading_owner, loading_other;
GRANT EXECUTE ON FUNCTION tandem.switch_release TO loading_owner;
SET ROLE loading_other;
CREATE TABLE theirs (id int PRIMARY KEY, price int);
SET ROLE loading_owner;
CREATE TABLE items (id int PRIMARY KEY, price int, cents int);
CREATE VIEW shown AS SELECT * FROM items;
CREATE SEQUENCE numbers;
-- one value of a row that is right otherwise
CREATE FUNCTION load_sync(name text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE row tandem.sync;
BEGIN
	row := jsonb_populate_record(NULL::tandem.sync, jsonb_build_object('id', 900, 'migration', 900, 'relation', 'items',
		'old_columns', '{price}', 'new_columns', '{cents}', 'up', '{price * 100}', 'up_given', '{price * 100}',
		'down', '{cents / 100}', 'down_given', '{cents / 100}', 'on_conflict', 'error', 'on_error', 'error', 'keep_old', false,
		'stored', true, 'filled', false, 'name_left', false, 'one_default', false, 'search_path', 'public') || jsonb_build_object(name, value));
	INSERT INTO tandem.sync VALUES (row.*);
	RETURN 'loaded';
EXCEPTION WHEN OTHERS THEN RETURN sqlerrm;
END $$;
CREATE FUNCTION load_step(value jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE row tandem.step;
BEGIN
	row := jsonb_populate_record(NULL::tandem.step, jsonb_build_object('id', 900, 'migration', 900, 'kind', 'index', 'relation', 'items',
		'object', 'items_cents', 'definition', 'USING btree (cents)', 'given', 'CREATE INDEX items_cents ON items (cents)', 'is_unique', false,
		'state', 'pending', 'blocks_total', 0, 'blocks_todo', '{}', 'rows_done', 0, 'rows_filled', 0, 'rows_indexed', 0, 'rows_quarantined', 0,
		'rows_unfilled', 0, 'rows_mismatched', 0, 'rows_own', 0, 'rows_lossy', 0, 'refill', false, 'refill_derived', '{}', 'built_indexes', '{}', 'changed_tables', '{}', 'units_done', 0, 'units_total', 0,
		'run_time', '0', 'blocks_partly', 0, 'wall_time', '0', 'late_seconds', 0, 'late_blocks', 0, 'last_blocks', 0, 'vacuum_length', 0, 'vacuums_left', 0) || value);
	INSERT INTO tandem.step VALUES (row.*);
	RETURN 'loaded';
EXCEPTION WHEN OTHERS THEN RETURN sqlerrm;
END $$;

SELECT name, coalesce(value, 'NULL') AS value, load_sync(name, value) FROM (VALUES
	('id', '0'), ('migration', NULL), ('relation', NULL), ('relation', 'shown'), ('relation', 'numbers'), ('relation', 'theirs'), ('relation', '99'),
	('old_columns', '{}'), ('old_columns', '{NULL}'), ('old_columns', '{{price}}'), ('old_columns', '{price,id}'), ('old_columns', NULL),
	('new_columns', '{}'), ('new_columns', '{NULL}'), ('new_columns', '{{cents}}'), ('new_columns', '{cents,id}'),
	('up', '{}'), ('up', '{NULL}'), ('up', '{{1}}'), ('up', '{1,2}'), ('up_given', '{}'), ('up_given', '{NULL}'), ('up_given', '{1,2}'),
	('down', '{}'), ('down', '{NULL}'), ('down', '{{1}}'), ('down', '{1,2}'),
	('down_given', '{}'), ('down_given', '{NULL}'), ('down_given', '{1,2}'), ('down_given', NULL),
	('on_conflict', 'sometimes'), ('on_error', 'never'), ('name_left', 'true'), ('one_default', 'true'), ('search_path', 'a,,b'), ('search_path', NULL)) v (name, value);
SELECT value, load_step(value) FROM (SELECT value::jsonb FROM unnest(ARRAY['{"id": 0}', '{"migration": null}', '{"kind": "nothing"}',
	'{"object": null}', '{"object": ""}', '{"definition": null}', '{"kind": "backfill"}', '{"relation": "shown"}', '{"relation": "theirs"}',
	'{"state": "unknown"}', '{"blocks_total": -1}', '{"blocks_total": 4294967296}', '{"blocks_todo": "{[-1,1]}"}', '{"blocks_todo": "{(,)}"}',
	'{"blocks_todo": "{[1,9999999999]}"}', '{"batch_blocks": -1}', '{"rows_done": -1}', '{"rows_filled": -1}', '{"rows_indexed": -1}',
	'{"rows_quarantined": -1}', '{"rows_unfilled": -1}', '{"rows_mismatched": -1}', '{"rows_own": -1}', '{"rows_lossy": -1}', '{"kind": "verify", "refill": true}', '{"refill_derived": "{1}"}', '{"units_done": -1}', '{"units_total": -1}', '{"run_time": "-1"}', '{"wall_time": "-1"}', '{"blocks_partly": -1}', '{"late_seconds": -1}', '{"late_blocks": -1}', '{"last_blocks": -1}', '{"vacuum_length": -1}', '{"vacuums_left": -1}', '{"phase": "idling"}',
	'{"built_indexes": "{NULL}"}', '{"built_indexes": "{{a}}"}', '{"changed_tables": "{theirs}"}', '{"changed_tables": "{numbers}"}']) value) v;
-- columns, views, releases, events
\set VERBOSITY terse
INSERT INTO tandem.owned_column VALUES (900, 'items', '', 'int');
INSERT INTO tandem.owned_column VALUES (900, 'shown', 'cents', 'int');
-- a column is found by its last name: it may have another number than in the dump
INSERT INTO tandem.owned_column (migration, relation, column_name, type, number, renamed) VALUES
	(900, 'items', 'price', 'int', 7, NULL), (900, 'items', 'taken', 'int', 1, 'price'), (900, 'items', 'missing', 'int', 1, NULL);
SELECT o.column_name, a.attname FROM tandem.owned_column o LEFT JOIN pg_attribute a ON a.attrelid = o.relation AND a.attnum = o.number AND a.attnum > 0 WHERE o.migration = 900 ORDER BY 1;
INSERT INTO tandem.view VALUES ('items', 2, 'items', '', '{id}');
INSERT INTO tandem.view VALUES ('shown', 2, 'numbers', '', '{id}');
INSERT INTO tandem.view VALUES ('shown', 0, 'items', '', '{id}');
INSERT INTO tandem.release_state (releases, state) VALUES ('empty', 'ready');
INSERT INTO tandem.release_state (releases, state) VALUES ('[,]', 'ready');
INSERT INTO tandem.release_state (releases, state) VALUES ('[1,]', 'ready');
INSERT INTO tandem.release_state (releases, state) VALUES ('[1,2147483648]', 'used');
INSERT INTO tandem.release_state (releases, state) VALUES ('[1,2]', 'over');
INSERT INTO tandem.event (id, name, action, done_by) VALUES (0, 'm', 'create', 'loading_owner');
-- of a migration: what may be configured stays, and nothing that tells a worker what to do
INSERT INTO tandem.migration (id, name, created_by, phase) VALUES (0, 'm', NULL, 'expand');
INSERT INTO tandem.migration (id, name, created_by, phase) VALUES (901, 'm', ROW (NULL, NULL, NULL), 'unheard');
INSERT INTO tandem.migration (id, name, created_by, workers) VALUES (901, 'm', ROW (NULL, NULL, NULL), 0);
INSERT INTO tandem.migration (id, name, created_by, maintenance_work_mem, max_parallel_maintenance_workers, settings)
	VALUES (901, 'm', ROW (NULL, NULL, NULL), -1, -1, '{"tandem.batch_target": "many", "tandem.nice_ratio": {"a": 1}, "tandem.max_rows_per_second": "20", "tandem.vacuum_every": null}');
SELECT tandem.role_name(created_by), maintenance_work_mem, max_parallel_maintenance_workers, settings FROM tandem.migration WHERE id = 901;

-- What stands under a number is not there when the migration of that number is created.
SELECT nextval('tandem.migration_id_seq') - 1 AS last \gset
SELECT setval('tandem.migration_id_seq', :last + 1) \g /dev/null
SELECT load_sync('migration', (:last + 2)::text), load_step(jsonb_build_object('migration', :last + 2));
INSERT INTO tandem.owned_column VALUES (:last + 2, 'items', 'price', 'int');
INSERT INTO tandem.event (migration, name, action, done_by) VALUES (:last + 2, 'later', 'cancel', 'loading_owner');
SET ROLE loading_other;
SELECT tandem.create_migration('later');
RESET ROLE;
SELECT id = :last + 2 FROM tandem.migration WHERE name = 'later';
SELECT 'sync' FROM tandem.sync WHERE migration = :last + 2 UNION ALL SELECT 'step' FROM tandem.step WHERE migration = :last + 2
UNION ALL SELECT 'column' FROM tandem.owned_column WHERE migration = :last + 2;
SELECT action FROM tandem.event WHERE migration = :last + 2;
-- nor can it be put there any more
SET ROLE loading_owner;
SELECT load_sync('migration', (:last + 2)::text);
RESET ROLE;
-- what contract would drop as whoever calls it
CREATE PUBLICATION of_another;
SET ROLE loading_owner;
INSERT INTO tandem.publication VALUES (1, 'of_another', 'of_another');
RESET ROLE;
SELECT count(*) FROM tandem.publication;
-- a hold function of nobody
SELECT tandem.create_migration('held');
SELECT tandem.sync_column('held', 'items', 'price', 'cents', 'price * 100');
CREATE FUNCTION hold() RETURNS boolean LANGUAGE sql AS 'SELECT false';
SELECT tandem.configure('held', 'tandem.hold_function', 'hold');
UPDATE tandem.migration SET hold_by = NULL WHERE name = 'held';
\set VERBOSITY default
CALL tandem.migrate('held');
\c postgres
DROP DATABASE loaded_rows;
DROP ROLE loading_owner, loading_other;
