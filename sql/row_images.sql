-- A synced row is stored as an INSERT or UPDATE of all its columns would store
-- it: whatever is before the new columns and after them, NULL or dropped.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_tandem;
CREATE TABLE row_images (id int PRIMARY KEY, flag bool, small int2, gone text, body text,
	amount numeric, letter "char", big bigint, key uuid, at timestamp, gone2 int);
CREATE TABLE row_plain (LIKE row_images INCLUDING ALL);
ALTER TABLE row_images DROP COLUMN gone;
ALTER TABLE row_plain DROP COLUMN gone;
BEGIN;
SELECT tandem.create_migration('row_images');
ALTER TABLE row_images ADD letter2 "char", ADD big2 bigint, ADD gone3 bool, ADD key2 uuid, ADD flag2 bool,
	ADD at2 timestamp, ADD small2 int2, ADD name2 name;
ALTER TABLE row_plain ADD letter2 "char", ADD big2 bigint, ADD gone3 bool, ADD key2 uuid, ADD flag2 bool,
	ADD at2 timestamp, ADD small2 int2, ADD name2 name;
SELECT tandem.sync_column('row_images', 'row_images', 'letter', 'letter2', 'letter', 'letter2');
SELECT tandem.sync_column('row_images', 'row_images', 'big', 'big2', 'big + 1', 'big2 - 1');
SELECT tandem.sync_column('row_images', 'row_images', 'key', 'key2', 'key', 'key2');
SELECT tandem.sync_column('row_images', 'row_images', 'flag', 'flag2', 'NOT flag', 'NOT flag2');
SELECT tandem.sync_column('row_images', 'row_images', 'at', 'at2', $$ at + interval '1 day' $$, $$ at2 - interval '1 day' $$);
SELECT tandem.sync_column('row_images', 'row_images', 'small', 'small2', '-small', '-small2');
SELECT tandem.sync_column('row_images', 'row_images', 'body', 'name2', 'left(body, 40)::name', 'name2::text');
COMMIT;
ALTER TABLE row_images DROP COLUMN gone2, DROP COLUMN gone3;
ALTER TABLE row_plain DROP COLUMN gone2, DROP COLUMN gone3;
-- every column NULL in some rows, in every combination with its neighbours
CREATE FUNCTION pick(i int, column_number int) RETURNS bool LANGUAGE sql IMMUTABLE AS
	$$ SELECT hashint4(i * 31 + column_number) % 3 <> 0 $$;
CREATE VIEW row_values AS SELECT i AS id,
	CASE WHEN pick(i, 1) THEN i % 2 = 0 END AS flag,
	CASE WHEN pick(i, 2) THEN (i % 1000)::int2 END AS small,
	CASE WHEN pick(i, 3) THEN repeat('b', CASE i % 50 WHEN 0 THEN 300 ELSE i % 39 END) END AS body,
	CASE WHEN pick(i, 4) THEN i / 7.0 END AS amount,
	CASE WHEN pick(i, 5) THEN chr(65 + i % 26)::"char" END AS letter,
	CASE WHEN pick(i, 6) THEN i * 10000000000 END AS big,
	CASE WHEN pick(i, 7) THEN md5(i::text)::uuid END AS key,
	CASE WHEN pick(i, 8) THEN timestamp '2024-01-01' + i * interval '1 hour' END AS at
	FROM generate_series(1, 3000) i;
CREATE VIEW row_all AS SELECT *, letter AS letter2, big + 1 AS big2, key AS key2, NOT flag AS flag2,
	at + interval '1 day' AS at2, -small AS small2, left(body, 40)::name AS name2 FROM row_values;
INSERT INTO row_plain SELECT id, flag, small, body, amount, letter, big, key, at, letter2, big2, key2, flag2, at2, small2, name2 FROM row_all;
CREATE FUNCTION row_differences(OUT rows bigint, OUT rows_differing bigint, OUT sizes_differing bigint) LANGUAGE sql AS $$
	SELECT count(*), count(*) FILTER (WHERE s.stored IS DISTINCT FROM p.stored), count(*) FILTER (WHERE s.size <> p.size)
	FROM (SELECT id, pg_column_size(r) AS size, r AS stored FROM row_images r OFFSET 0) s
	JOIN (SELECT id, pg_column_size(r) AS size, r AS stored FROM row_plain r OFFSET 0) p USING (id)
$$;

-- the old release, the new one, and a mixture
INSERT INTO row_images SELECT * FROM row_values WHERE id <= 1000;
INSERT INTO row_images (id, amount, letter2, big2, key2, flag2, at2, small2, name2)
	SELECT id, amount, letter2, big2, key2, flag2, at2, small2, name2 FROM row_all WHERE id BETWEEN 1001 AND 2000;
UPDATE row_plain SET body = name2::text WHERE id BETWEEN 1001 AND 2000;
INSERT INTO row_images (id, flag, body, amount, letter2, big, key, at2, small)
	SELECT id, flag, body, amount, letter2, big, key, at2, small FROM row_all WHERE id > 2000;
SELECT * FROM row_differences();

-- updates that make values NULL, and those that make them no longer so
UPDATE row_images r SET big = v.big, flag = v.flag, body = v.body FROM row_values v WHERE v.id = r.id % 3000 + 1;
UPDATE row_images r SET at2 = a.at2, key2 = a.key2 FROM row_all a WHERE a.id = r.id % 3000 + 1 AND r.id % 2 = 0;
UPDATE row_plain r SET big = a.big, flag = a.flag, body = a.body, big2 = a.big2, flag2 = a.flag2, name2 = a.name2
	FROM row_all a WHERE a.id = r.id % 3000 + 1;
UPDATE row_plain r SET at = a.at, key = a.key, at2 = a.at2, key2 = a.key2
	FROM row_all a WHERE a.id = r.id % 3000 + 1 AND r.id % 2 = 0;
SELECT * FROM row_differences();

-- a trigger that returns the stored row, which is shorter than the table
CREATE TABLE row_short (id int PRIMARY KEY, a int, b text);
INSERT INTO row_short SELECT i, i, 'b' FROM generate_series(1, 3) i;
ALTER TABLE row_short ADD c int, ADD d int DEFAULT 7;
CREATE FUNCTION keep_old() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
CREATE TRIGGER keep BEFORE UPDATE ON row_short FOR EACH ROW EXECUTE FUNCTION keep_old();
BEGIN;
SELECT tandem.create_migration('row_short');
ALTER TABLE row_short ADD e bigint, ADD f bigint DEFAULT 8;
SELECT tandem.sync_column('row_short', 'row_short', 'a', 'e', 'a * 10', 'e / 10');
COMMIT;
UPDATE row_short SET a = 5 WHERE id < 3;
SELECT * FROM row_short ORDER BY id;
CALL tandem.abort('row_images');
CALL tandem.abort('row_short');
DROP VIEW row_all, row_values;
DROP FUNCTION row_differences, pick, keep_old CASCADE;
DROP TABLE row_images, row_plain, row_short;
