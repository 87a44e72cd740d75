-- How far a migration is: tandem.stat_progress, and the views for people that are made from it.  That the time left
-- is right is tested in test/t/time_left.pl, that each phase shows itself in test/t/phases.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_tandem;

-- numbers, and texts of which each value is known
SELECT attname, atttypid::regtype FROM pg_attribute
WHERE attrelid = 'tandem.stat_progress'::regclass AND atttypid::regtype::text NOT IN ('integer', 'bigint', 'double precision', 'oid') ORDER BY attnum;
-- every phase that may be noted is in the comment
SELECT p AS not_in_comment
FROM regexp_matches(substring(pg_get_functiondef('tandem._step_is_right'::regproc) FROM 'phase[^[]*\[([^]]*)'), '''([^'']+)''', 'g') m, unnest(m) p
WHERE position(p IN (
	SELECT col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'tandem.stat_progress'::regclass AND attname = 'phase')) = 0;

-- before anything has begun nothing is known
CREATE TABLE progress (id int PRIMARY KEY, a int);
INSERT INTO progress SELECT i, i FROM generate_series(1, 1000) i;
ALTER TABLE progress ADD b int;
SELECT tandem.create_migration('progress');
SELECT percent, rows_per_second, time_left FROM tandem.migrations WHERE name = 'progress';
SELECT * FROM tandem.status WHERE migration = 'progress';
SELECT tandem.sync_column('progress', 'progress', 'a', 'b', 'a', 'b');
SELECT tandem.add_index('progress', 'CREATE INDEX progress_b ON progress (b)');
SELECT percent, rows_per_second, time_left FROM tandem.migrations WHERE name = 'progress';
SELECT p.kind, p.state, p.phase, p.pid, p.workers, p.blocks_done, p.blocks_total, p.seconds_left, p.datid = d.oid AS here, p.relid::regclass
FROM tandem.stat_progress p JOIN tandem.migrations m ON m.id = p.migration_id, pg_database d
WHERE m.name = 'progress' AND d.datname = current_database();

-- what stops it is told
CREATE FUNCTION says_no() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
SET tandem.hold_function = 'says_no';
CALL tandem.migrate('progress');
SELECT state, done, "left", what LIKE 'backfill of progress, % %%%' AS what FROM tandem.status WHERE migration = 'progress';
RESET tandem.hold_function;
CALL tandem.migrate('progress');
SELECT kind, state, p.phase, blocks_done = blocks_total AS all_done, rows_filled, seconds >= 0 AS seconds, seconds_left, workers
FROM tandem.stat_progress p JOIN tandem.migrations m ON m.id = p.migration_id WHERE m.name = 'progress' ORDER BY step_id;
SELECT percent, rows_per_second, time_left FROM tandem.migrations WHERE name = 'progress';
SELECT * FROM tandem.status WHERE migration = 'progress';
CALL tandem.abort('progress');
SELECT percent, rows_per_second, time_left FROM tandem.migrations WHERE name = 'progress';
SELECT * FROM tandem.status WHERE migration = 'progress';

-- what has it filled, while it is paused: one place says so
SELECT tandem.migrate_call('it''s', p, r) FROM (VALUES (false, false), (false, true), (true, false), (true, true)) v(p, r);
CREATE FUNCTION plus(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
SELECT tandem.create_migration('paused');
SELECT tandem.add_column('paused', 'progress', 'c', 'int');
SELECT tandem.sync_column('paused', 'progress', 'a', 'c', 'plus(a)', 'c - 1');
SELECT tandem.pause('paused');
SELECT state, what FROM tandem.status WHERE migration = 'paused';
CALL tandem.contract('paused');
UPDATE progress SET c = c + 1;
SELECT tandem.resume('paused');
CALL tandem.contract('paused');
CALL tandem.abort('paused');

-- no line is wider than 100 characters, whatever the names
SELECT tandem.create_migration(repeat('m', 200));
SELECT tandem.create_migration(repeat('many words ', 20));
SELECT tandem.pause(repeat('many words ', 20));
SELECT max(length(l)) AS "migration" FROM tandem.status s, regexp_split_to_table(s.migration, '\n') l;
SELECT max(length(l)) AS "what" FROM tandem.status s, regexp_split_to_table(s.what, '\n') l;
SELECT what FROM tandem.status WHERE migration ~ '^mm';
CALL tandem.abort(repeat('m', 200));
CALL tandem.abort(repeat('many words ', 20));

-- one of each
SELECT s, tandem.duration(s) FROM unnest(ARRAY[0, 0.4, 1, 59.6, 60, 61, 3599, 3600, 3660, 86399, 86400, 1e12]::float8[]) s;
SELECT w, tandem.in_lines(w, 5) FROM unnest(ARRAY['', 'a', 'a b c d e', 'abcdefgh', 'ab cdefghijklm n', E'a\nb', 'abcde f']) w;

DROP TABLE progress;
DROP FUNCTION says_no(), plus(int);
