-- What the server keeps out of line: texts of users that are large, and the texts that it makes of them.  Each is
-- read where no query has left a snapshot behind: in a migration from one end to the other, on a table and on partitions.
CREATE DATABASE large_texts;
\c large_texts
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset null '-'
\pset tuples_only on

-- texts that compress badly
CREATE FUNCTION words(count integer) RETURNS text LANGUAGE sql IMMUTABLE
	AS $$SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, count) i$$;
CREATE FUNCTION checks(name text, count integer) RETURNS text LANGUAGE sql
	AS $$SELECT string_agg(format('%I <> %L', name, md5(i::text)), ' AND ') FROM generate_series(1, count) i$$;
CREATE FUNCTION run(statement text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE statement; END';
CREATE TABLE t (id integer PRIMARY KEY, a text, part integer NOT NULL DEFAULT 1);
CREATE TABLE p (id integer, a text, part integer NOT NULL DEFAULT 1) PARTITION BY LIST (part);
-- a bound of many values
SELECT run(format('CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1, %s)', string_agg((i * 1000003)::text, ', ')))
	FROM generate_series(1, 200) i;
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
INSERT INTO t SELECT i, md5(i::text || 'x') FROM generate_series(1, 50) i;
INSERT INTO p SELECT i, md5(i::text || 'x'), 1 + i % 2 FROM generate_series(1, 50) i;

-- default, comments, CHECK and an index that were there before
SELECT run(format('ALTER TABLE %s ALTER a SET DEFAULT %L', r, words(3000))),
	run(format('COMMENT ON TABLE %s IS %L', r, words(3000))),
	run(format('COMMENT ON COLUMN %s.a IS %L', r, words(3000))),
	run(format('ALTER TABLE %s ADD CONSTRAINT before CHECK (%s)', r, checks('a', 300))),
	run(format('CREATE INDEX ON %s (id) WHERE %s', r, checks('a', 40)))
	FROM unnest('{t, p}'::text[]) r;

-- up of 100 kB and of 1 MB, which is in the arguments of the trigger and in the views, too
CREATE FUNCTION expand(name text, r text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tandem.create_migration(name, release => 7);
	PERFORM tandem.add_column(name, r, 'b', 'text');
	PERFORM tandem.sync_column(name, r, 'a', 'b', format('a || left(%L, 3)', words(CASE r WHEN 't' THEN 30000 ELSE 3000 END)), 'left(b, length(b) - 3)');
	PERFORM tandem.add_constraint(name, r, r || '_check', format('CHECK (%s)', checks('b', 300)));
	PERFORM tandem.add_index(name, format('CREATE INDEX %s_some ON %s (id) WHERE %s', r, r, checks('b', 40)));
	PERFORM tandem.add_index(name, format('CREATE INDEX %s_text ON %s ((length(b || %L)))', r, r, words(150)));
	PERFORM tandem.create_views(7);
END $$;
SELECT expand('t', 't');
SELECT expand('p', 'p');
SELECT relation, length(up[1]), health FROM tandem.syncs;
SELECT count(*), sum(length(definition)) > 1000000 FROM tandem.view;
INSERT INTO t (id) VALUES (51);
INSERT INTO p (id) VALUES (51);
-- the statement that fails says so, and what is in its way is told
CREATE INDEX t_some ON t (part) WHERE a <> 'no';
CALL tandem.migrate('t');
DROP INDEX t_some;
CALL tandem.migrate('t');
CALL tandem.migrate('p', background => true);
CALL tandem.migrate('p', if_running => 'wait');
SELECT phase, error FROM tandem.migrations;
SELECT conrelid::regclass, conname, convalidated, length(pg_get_constraintdef(oid)) > 10000 FROM pg_constraint
	WHERE conname ~ '^[tp]_check$' ORDER BY conrelid::regclass::text;
SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
	WHERE c.relname ~ '_(some|text)$' ORDER BY 1;
SELECT relation, rows_checked, rows_unfilled, rows_mismatched FROM tandem.verify('t');
ALTER TABLE t DROP CONSTRAINT before;
ALTER TABLE p DROP CONSTRAINT before;
CALL tandem.contract('t', undeclared => 'ignore', accept => '{defaults}');
CALL tandem.abort('p');
SELECT phase, error FROM tandem.migrations;
