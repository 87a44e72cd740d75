-- up sees the row as it was before: not the new columns of its own sync, by name or in the whole row.  Of a partition
-- the whole row is one of the topmost table.
CREATE DATABASE whole_row;
\c whole_row
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION pg_tandem;
\pset format unaligned
\pset tuples_only
\pset null '-'
CREATE PROCEDURE prove(migration text) LANGUAGE plpgsql AS $$
DECLARE
	counts record;
BEGIN
	FOR counts IN SELECT * FROM tandem.verify(migration) v ORDER BY v.relation::text LOOP
		RAISE WARNING '%: % rows, % unfilled, % mismatched', counts.relation, counts.rows_checked, counts.rows_unfilled,
			counts.rows_mismatched;
	END LOOP;
END $$;

-- A new column is no source of another one in the same sync; the hint can be followed.
CREATE TABLE s (id integer PRIMARY KEY, a integer, b integer, c integer, d integer);
INSERT INTO s VALUES (1, 1), (2, 2);
SELECT tandem.create_migration('s');
SELECT tandem.sync_column('s', 's', 'a', 'b', 'coalesce(b, 0) + a', 'b');
SELECT tandem.sync_columns('s', 's', '{a}', '{b,c}', '{a + 1,b * 2}', '{b - 1}');
SELECT tandem.sync_columns('s', 's', '{a}', '{b,c,d}', '{a + 1,a + d,s.c}', '{b - 1}');
SELECT tandem.sync_columns('s', 's', '{a}', '{b,c}', '{a,row(b)::text::integer}');
SELECT tandem.add_column('s', 's', 'e', 'integer', up => 'coalesce(e, a)');
SELECT tandem.sync_columns('s', 's', '{a}', '{b}', '{a + 1}', '{b - 1}');
SELECT tandem.sync_column('s', 'public.s', old => 'b', new => 'c', up => 'b * 2', keep_old => true);
INSERT INTO s (id, a) VALUES (3, 3);
UPDATE s SET a = 10 WHERE id = 1;
CALL tandem.migrate('s');
SELECT * FROM s ORDER BY id;
CALL prove('s');
CALL tandem.contract('s');
SELECT * FROM s ORDER BY id;

-- The whole row, in all its forms: what the trigger, the fill, views and verify make of it is the same.  The own new
-- columns of a rule, and those of later ones, are null in it; a column of an earlier one is what that gives.
CREATE TABLE w (id integer PRIMARY KEY, gone integer, a integer, x text);
ALTER TABLE w DROP gone;
INSERT INTO w VALUES (1, 10, 'one'), (2, NULL, 'two');
CREATE FUNCTION plain(r w) RETURNS text STABLE LANGUAGE plpgsql AS $$BEGIN RETURN 'plain ' || r::text; END$$;
BEGIN;
SELECT tandem.create_migration('w', release => 42);
SELECT tandem.add_column('w', 'w', 'f', 'text', default_value => '''-''');
SELECT tandem.add_column('w', 'w', 'g', 'text');
SELECT tandem.add_column('w', 'w', 'h', 'text', up => 'plain(w)');
SELECT tandem.sync_columns('w', 'w', '{x}', '{f,g}', '{w::text,row(w.*)::text}', ARRAY[$$split_part(f, ',', 3)$$]);
CREATE FUNCTION inlined(r w) RETURNS text STABLE LANGUAGE sql AS $$SELECT concat_ws(' ', r.id, r.a, r.x, r.f, r.h)$$;
SELECT tandem.add_column('w', 'w', 'i', 'text', up => 'inlined(w)', default_value => '''new''');
SELECT tandem.add_column('w', 'w', 'j', 'jsonb', up => 'to_jsonb(w.*)');
SELECT tandem.create_views(42, relations => '{w}');
COMMIT;
CREATE TABLE read_through AS SELECT * FROM release_42.w;
SELECT * FROM read_through ORDER BY id;
INSERT INTO w (id, a, x) VALUES (3, 30, 'three');
UPDATE w SET x = 'ONE', a = 11 WHERE id = 1;
SELECT * FROM w ORDER BY id;
UPDATE w SET x = 'one', a = 10 WHERE id = 1;
CALL tandem.migrate('w');
SELECT count(*) FROM (SELECT * FROM read_through INTERSECT SELECT * FROM release_42.w) same;
CALL prove('w');
UPDATE w SET a = 12 WHERE id = 2;
CALL prove('w');
SELECT h, i, j FROM w WHERE id = 2;
CALL tandem.abort('w', force => true);

-- A rule that is made later hides its new column, which held values, from the whole row: what was proved is void.
CREATE TABLE v (id integer PRIMARY KEY, a integer, c integer);
INSERT INTO v VALUES (1, 1, 5);
SELECT tandem.create_migration('v1');
SELECT tandem.add_column('v1', 'v', 'b', 'text', up => 'v::text');
CALL tandem.migrate('v1');
SELECT b FROM v;
SELECT tandem.create_migration('v2');
SELECT tandem.sync_column('v2', 'v', 'a', 'c', 'a + 4', keep_old => true);
CALL tandem.contract('v1');
CALL tandem.abort('v2');
CALL tandem.contract('v1');

-- down sees the row as it is, with the old columns as they are stored: all of them before any is computed.
CREATE TABLE d (id integer PRIMARY KEY, a integer, b integer);
INSERT INTO d VALUES (1, 1, 10), (2, 2, 20);
SELECT tandem.create_migration('d');
SELECT tandem.add_column('d', 'd', 'sum', 'integer');
SELECT tandem.sync_columns('d', 'd', '{a,b}', '{sum}', '{a + b}', '{sum - b,sum - a}');
CALL tandem.migrate('d');
UPDATE d SET sum = 15 WHERE id = 1;
SELECT * FROM d ORDER BY id;
CALL tandem.abort('d');

-- Partitions whose columns have another order, or were dropped elsewhere, at any depth.
CREATE TABLE p (id integer, gone text, a integer, x text) PARTITION BY RANGE (id);
ALTER TABLE p DROP gone;
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 (x text, gone integer, a integer, id integer);
ALTER TABLE p2 DROP gone;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
CREATE TABLE pp (a integer, id integer, x text) PARTITION BY RANGE (id);
CREATE TABLE p3 (x text, id integer, a integer);
ALTER TABLE pp ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30);
ALTER TABLE p ATTACH PARTITION pp FOR VALUES FROM (20) TO (30);
-- the row of a partition is no other type to choose a function by
CREATE FUNCTION which(r p) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'p' || r::text$$;
CREATE FUNCTION which(r p2) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'p2' || r::text$$;
CREATE FUNCTION which(r p3) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'p3' || r::text$$;
INSERT INTO p VALUES (1, 7, 'a'), (11, 7, 'a'), (21, 7, 'a');
BEGIN;
SELECT tandem.create_migration('p', release => 43);
SELECT tandem.add_column('p', 'p', 'b', 'text');
SELECT tandem.sync_column('p', 'p', 'x', 'b', 'p::text', $$split_part(b, ',', 3)$$);
SELECT tandem.add_column('p', 'p', 'c', 'text', up => 'which(p)');
SELECT tandem.add_column('p', 'p', 'd', 'text', up => 'row(p.*)::text');
SELECT tandem.add_column('p', 'p', 'e', 'text', up => $$concat_ws('; ', p, to_json(p), (p).a, (p.*) IS NULL, p = p)$$);
SELECT tandem.create_views(43, relations => '{p}');
COMMIT;
-- read through, written, filled: one value in all partitions
CREATE VIEW forms AS SELECT array_agg(p.id ORDER BY p.id) AS ids, f.*
	FROM release_43.p, LATERAL (SELECT replace(b, p.id::text, '#') AS b, replace(c, p.id::text, '#') AS c,
		replace(d, p.id::text, '#') AS d, replace(e, p.id::text, '#') AS e) f
	GROUP BY f.b, f.c, f.d, f.e ORDER BY 1;
SELECT * FROM forms;
INSERT INTO p VALUES (4, 5, 'a'), (12, 5, 'a'), (22, 5, 'a');
CREATE TABLE p4 (c text, e text, x text, b text, id integer, a integer, d text);
INSERT INTO p4 (id, a, x) VALUES (31, 5, 'a');
ALTER TABLE p ATTACH PARTITION p4 FOR VALUES FROM (30) TO (40);
INSERT INTO p4 (id, a, x) VALUES (32, 5, 'a');
SELECT * FROM forms;
CALL tandem.migrate('p');
SELECT * FROM forms;
CALL prove('p');
UPDATE p SET a = 6 WHERE id <> 12;
SELECT * FROM forms;
-- moved, also by an UPDATE of the new column
UPDATE p SET id = 40 - id WHERE id IN (4, 11);
UPDATE p SET id = 33, b = ',,z' WHERE id = 12;
SELECT tableoid::regclass, * FROM p WHERE id IN (29, 33, 36) ORDER BY id;
-- a change of the topmost table's columns is seen in all of them
ALTER TABLE p ADD COLUMN y integer DEFAULT 9;
INSERT INTO p (id, a, x) SELECT id, 8, 'b' FROM unnest('{2,14,24,34}'::integer[]) id;
ALTER TABLE p RENAME y TO z;
INSERT INTO p (id, a, x) SELECT id, 8, 'b' FROM unnest('{3,15,25,35}'::integer[]) id;
ALTER TABLE p DROP z;
INSERT INTO p (id, a, x) SELECT id, 8, 'b' FROM unnest('{5,16,26,38}'::integer[]) id;
SELECT * FROM forms WHERE (ids)[1] < 6;
-- a partition that leaves is a table of its own
ALTER TABLE p DETACH PARTITION p2;
INSERT INTO p2 (id, a, x) VALUES (14, 1, 'a') RETURNING *;
DROP VIEW forms;
CALL tandem.abort('p', force => true);

-- A view that reads the whole row through does not keep the column that another migration ends with, in it.
CREATE TABLE c (id integer PRIMARY KEY, a integer);
INSERT INTO c VALUES (1, 10);
SELECT tandem.create_migration('c1', release => 44);
SELECT tandem.add_column('c1', 'c', 'b', 'integer');
SELECT tandem.sync_column('c1', 'c', 'a', 'b', 'a * 2', 'b / 2');
CALL tandem.migrate('c1');
SELECT tandem.create_migration('c2', release => 45);
SELECT tandem.add_column('c2', 'c', 'd', 'integer');
SELECT tandem.create_migration('c3', release => 46);
SELECT tandem.add_column('c3', 'c', 'e', 'text', up => 'to_json(c)');
SELECT tandem.create_views(46, relations => '{c}');
TABLE release_46.c;
CALL tandem.contract('c1');
TABLE release_46.c;
CALL tandem.abort('c2');
TABLE release_46.c;
CALL tandem.migrate('c3');
TABLE release_46.c;
CALL prove('c3');
CALL tandem.contract('c3');
