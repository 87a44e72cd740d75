-- The dual-write rule, row by row of its table, for every way to write a row.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA dual_write;
SET search_path = dual_write;

-- Rows 10 to 69 are there before the migration, with amount = id.
CREATE TABLE item (id integer PRIMARY KEY, amount integer, note text);
INSERT INTO item SELECT i, i FROM generate_series(10, 69) i;
BEGIN;
SELECT tandem.create_migration('cents', release => 2);
ALTER TABLE item ADD COLUMN cents bigint;
SELECT tandem.sync_column('cents', 'item', 'amount', 'cents',
	up => 'amount * 100', down => 'cents / 100');
COMMIT;
CREATE FUNCTION items(first integer, last integer) RETURNS TABLE (id integer, amount integer, cents bigint)
LANGUAGE sql AS 'SELECT id, amount, cents FROM item WHERE id BETWEEN $1 AND $2 ORDER BY id';

-- INSERT: only old, only new, neither, both agree by up, by down, disagree
INSERT INTO item (id, amount) VALUES (1, 1);
INSERT INTO item (id, cents) VALUES (2, 250);
INSERT INTO item (id) VALUES (3);
INSERT INTO item (id, amount, cents) VALUES (4, 4, 400);
INSERT INTO item (id, amount, cents) VALUES (5, 5, 599);
INSERT INTO item (id, amount, cents) VALUES (6, 6, 1);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM items(1, 9);

-- UPDATE: the same of rows that nobody has filled
UPDATE item SET amount = 1 WHERE id = 10;
UPDATE item SET cents = 250 WHERE id = 11;
UPDATE item SET note = 'neither' WHERE id = 12;
UPDATE item SET amount = 4, cents = 400 WHERE id = 13;
UPDATE item SET amount = 5, cents = 599 WHERE id = 14;
UPDATE item SET amount = 6, cents = 1 WHERE id = 15;
-- a column written with the value that it has is not changed
UPDATE item SET amount = amount, cents = cents WHERE id = 16;
UPDATE item SET cents = NULL WHERE id = 17;
SELECT * FROM items(10, 19);
-- UPDATE of filled rows: neither means that the row stays, a NULL too
UPDATE item SET cents = NULL WHERE id = 10;
UPDATE item SET amount = amount, note = 'saved again' WHERE id IN (10, 11);
UPDATE item SET amount = NULL WHERE id = 12;
UPDATE item SET amount = 7 WHERE id = 13;
UPDATE item SET cents = 700 WHERE id = 14;
SELECT * FROM items(10, 14);

-- Hazard: ON CONFLICT fires BEFORE INSERT, then BEFORE UPDATE.
-- INSERT ON CONFLICT DO UPDATE: EXCLUDED has both sides already
INSERT INTO item (id, amount) VALUES (20, 1)
	ON CONFLICT (id) DO UPDATE SET amount = EXCLUDED.amount;
INSERT INTO item (id, cents) VALUES (21, 250)
	ON CONFLICT (id) DO UPDATE SET cents = EXCLUDED.cents;
INSERT INTO item (id, amount) VALUES (22, 9)
	ON CONFLICT (id) DO UPDATE SET note = 'neither';
INSERT INTO item (id, amount) VALUES (23, 4)
	ON CONFLICT (id) DO UPDATE SET amount = EXCLUDED.amount, cents = EXCLUDED.cents;
INSERT INTO item (id, amount) VALUES (24, 6)
	ON CONFLICT (id) DO UPDATE SET amount = EXCLUDED.amount, cents = 1;
INSERT INTO item (id, amount) VALUES (7, 7)
	ON CONFLICT (id) DO UPDATE SET amount = 0;
SELECT * FROM items(20, 24) UNION ALL SELECT * FROM items(7, 7);

-- MERGE
MERGE INTO item i USING (VALUES (30, 1), (8, 8)) v (id, n) ON i.id = v.id
	WHEN MATCHED THEN UPDATE SET amount = v.n
	WHEN NOT MATCHED THEN INSERT (id, amount) VALUES (v.id, v.n);
MERGE INTO item i USING (VALUES (31, 250), (9, 900)) v (id, n) ON i.id = v.id
	WHEN MATCHED THEN UPDATE SET cents = v.n
	WHEN NOT MATCHED THEN INSERT (id, cents) VALUES (v.id, v.n);
MERGE INTO item i USING (VALUES (32)) v (id) ON i.id = v.id
	WHEN MATCHED THEN UPDATE SET note = 'neither';
MERGE INTO item i USING (VALUES (33, 4)) v (id, n) ON i.id = v.id
	WHEN MATCHED THEN UPDATE SET amount = n, cents = n * 100;
MERGE INTO item i USING (VALUES (34, 6)) v (id, n) ON i.id = v.id
	WHEN MATCHED THEN UPDATE SET amount = n, cents = 1;
SELECT * FROM items(30, 34) UNION ALL SELECT * FROM items(8, 9);

-- Hazard: COPY goes through the BEFORE trigger.
-- COPY
COPY item (id, amount) FROM stdin;
101	1
\.
COPY item (id, cents) FROM stdin;
102	250
\.
COPY item (id) FROM stdin;
103
\.
COPY item (id, amount, note, cents) FROM stdin;
104	4	both agree	400
105	5	only old	\N
106	\N	only new	600
\.
COPY item FROM stdin;
107	6	both disagree	1
\.
SELECT * FROM items(101, 109);

-- UPDATE FROM
UPDATE item i SET amount = v.n FROM (VALUES (40, 1)) v (id, n) WHERE i.id = v.id;
UPDATE item i SET cents = v.n FROM (VALUES (41, 250)) v (id, n) WHERE i.id = v.id;
UPDATE item i SET note = v.n FROM (VALUES (42, 'neither')) v (id, n) WHERE i.id = v.id;
UPDATE item i SET amount = v.n, cents = v.n * 100 FROM (VALUES (43, 4)) v (id, n) WHERE i.id = v.id;
UPDATE item i SET amount = v.n, cents = 1 FROM (VALUES (44, 6)) v (id, n) WHERE i.id = v.id;
SELECT * FROM items(40, 44);

-- the triggers of a replica do not fire; ours does
SET session_replication_role = replica;
INSERT INTO item (id, amount) VALUES (111, 1);
INSERT INTO item (id, cents) VALUES (112, 250);
UPDATE item SET amount = 3 WHERE id = 50;
UPDATE item SET cents = 450 WHERE id = 51;
UPDATE item SET note = 'neither' WHERE id = 52;
RESET session_replication_role;
SELECT * FROM items(111, 112) UNION ALL SELECT * FROM items(50, 52);

-- the rows that nobody wrote are filled, and none of the others is touched
CREATE TABLE item_before AS SELECT * FROM item WHERE cents IS NOT NULL OR id IN (3, 10, 12, 103);
CALL tandem.migrate('cents');
SELECT count(*), bool_and(cents = amount * 100) FROM item
	WHERE id NOT IN (SELECT id FROM item_before);
SELECT * FROM item_before EXCEPT SELECT * FROM item;

-- A foreign key's ON UPDATE CASCADE writes a synced column, old or new.
CREATE TABLE country (code text PRIMARY KEY);
CREATE TABLE city (name text, country text REFERENCES country ON UPDATE CASCADE ON DELETE SET NULL);
INSERT INTO country VALUES ('at'), ('ch'), ('fr');
INSERT INTO city VALUES ('Wien', 'at'), ('Bern', 'ch');
BEGIN;
SELECT tandem.create_migration('country');
ALTER TABLE city ADD COLUMN land text;
SELECT tandem.sync_column('country', 'city', 'country', 'land', up => 'upper(country)', down => 'lower(land)');
COMMIT;
UPDATE country SET code = 'aut' WHERE code = 'at';
INSERT INTO city (name, land) VALUES ('Paris', 'FR');
UPDATE country SET code = 'fra' WHERE code = 'fr';
SELECT * FROM city ORDER BY name;
DELETE FROM country WHERE code = 'aut';
SELECT * FROM city WHERE name = 'Wien';
-- what down writes is checked by the foreign key
UPDATE city SET land = 'XX' WHERE name = 'Bern';

-- on_conflict: the side that wins when both are written and disagree
CREATE TABLE wins (id integer PRIMARY KEY, a integer, b integer, c integer, d integer);
INSERT INTO wins VALUES (0, 1, NULL, 1);
SELECT tandem.create_migration('wins');
SELECT tandem.sync_column('wins', 'wins', 'a', 'b', 'a * 10', 'b / 10', on_conflict => 'new');
SELECT tandem.sync_column('wins', 'wins', 'c', 'd', 'c * 10', 'd / 10', on_conflict => 'old');
INSERT INTO wins VALUES (1, 5, 90, 5, 90);
INSERT INTO wins VALUES (2, 5, 55, 5, 55);
UPDATE wins SET a = 5, b = 90, c = 5, d = 90 WHERE id = 0;
SELECT * FROM wins ORDER BY id;

-- tandem.release settles what values do not tell: an INSERT of an explicit
-- NULL, and one that leaves both sides at their default.
CREATE TABLE declared (id integer PRIMARY KEY, old text DEFAULT 'open');
SELECT tandem.create_migration('declared', release => 42);
ALTER TABLE declared ADD COLUMN new text DEFAULT 'closed';
SELECT tandem.sync_column('declared', 'declared', 'old', 'new', 'old', 'new');
INSERT INTO declared (id) VALUES (0);
SET tandem.release = 41;
INSERT INTO declared (id) VALUES (41);
SET tandem.release = 42;
INSERT INTO declared (id) VALUES (42);
SET tandem.release = 43;
INSERT INTO declared (id, new) VALUES (43, 'closed');
-- what it writes to the other side never counts
INSERT INTO declared (id, old) VALUES (44, 'ajar');
SET tandem.release = 41;
INSERT INTO declared (id, new) VALUES (45, 'ajar');
RESET tandem.release;
SELECT id, old, new FROM declared ORDER BY id;

CREATE TABLE explicit_null (id integer PRIMARY KEY, old text DEFAULT 'open');
SELECT tandem.create_migration('explicit_null', release => 42);
ALTER TABLE explicit_null ADD COLUMN new text;
SELECT tandem.sync_column('explicit_null', 'explicit_null', 'old', 'new', 'old', 'new');
INSERT INTO explicit_null (id, new) VALUES (0, NULL);
SET tandem.release = 41;
INSERT INTO explicit_null (id, new) VALUES (41, NULL);
SET tandem.release = 42;
INSERT INTO explicit_null (id, new) VALUES (42, NULL);
INSERT INTO explicit_null (id, old) VALUES (43, NULL);
RESET tandem.release;
SELECT * FROM explicit_null ORDER BY id;

-- An UPDATE that moves a row to another partition fires UPDATE there and
-- INSERT here; the second leaves the row as the first made it.
CREATE TABLE image (id integer, region text, is_public boolean) PARTITION BY LIST (region);
CREATE TABLE image_eu PARTITION OF image FOR VALUES IN ('eu');
CREATE TABLE image_us PARTITION OF image FOR VALUES IN ('us');
INSERT INTO image SELECT i, 'eu', i % 2 = 0 FROM generate_series(1, 8) i;
BEGIN;
SELECT tandem.create_migration('visibility');
ALTER TABLE image ADD COLUMN visibility text;
SELECT tandem.sync_column('visibility', 'image', 'is_public', 'visibility',
	up => $$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$,
	down => $$ visibility = 'public' $$);
COMMIT;
UPDATE image SET visibility = 'shared' WHERE id IN (3, 4);
UPDATE image SET visibility = NULL WHERE id = 4;
-- neither, of an unfilled row and of the two above
UPDATE image SET region = 'us' WHERE id IN (1, 2, 3, 4);
-- only old, only new, an explicit NULL, both, while it moves
UPDATE image SET region = 'us', is_public = true WHERE id = 5;
UPDATE image SET region = 'us', visibility = 'shared' WHERE id = 6;
UPDATE image SET region = 'us', is_public = true, visibility = 'shared' WHERE id = 7;
SELECT tableoid::regclass, id, is_public, visibility FROM image ORDER BY id;
-- the same where the statement cannot be reached, and by MERGE
DO $$ BEGIN UPDATE image SET region = 'eu' WHERE region = 'us'; END $$;
MERGE INTO image USING (VALUES (3), (4)) v (id) ON image.id = v.id
	WHEN MATCHED THEN UPDATE SET region = 'us';
SELECT tableoid::regclass, id, is_public, visibility FROM image ORDER BY id;
-- a row that is inserted beside a moved one is a row of its own
WITH moved AS (UPDATE image SET region = 'eu' WHERE id = 4 RETURNING id)
	INSERT INTO image (id, region) SELECT id + 10, 'us' FROM moved;
SELECT tableoid::regclass, id, is_public, visibility FROM image WHERE id IN (4, 14) ORDER BY id;

BEGIN;
UPDATE image SET is_public = false WHERE id = 8;
INSERT INTO image (id, region, is_public) VALUES (15, 'us', false);
COMMIT;
SELECT tableoid::regclass, id, is_public, visibility FROM image WHERE id IN (8, 15) ORDER BY id;

-- one-way: the writer of the new column leaves the old one, also when it moves
CREATE TABLE one_way (id integer, region text, a integer) PARTITION BY LIST (region);
CREATE TABLE one_way_eu PARTITION OF one_way FOR VALUES IN ('eu');
CREATE TABLE one_way_us PARTITION OF one_way FOR VALUES IN ('us');
INSERT INTO one_way VALUES (1, 'eu', 1);
SELECT tandem.create_migration('one_way');
ALTER TABLE one_way ADD COLUMN b integer;
SELECT tandem.sync_column('one_way', 'one_way', 'a', 'b', up => 'a * 10');
UPDATE one_way SET b = 99;
UPDATE one_way SET region = 'us';
SELECT tableoid::regclass, * FROM one_way;

-- A foreign key that cascades to a column of the other side is no writer of the declared release.
CREATE TABLE referenced (key integer PRIMARY KEY);
INSERT INTO referenced VALUES (1), (2), (3);
CREATE TABLE cascading (id integer PRIMARY KEY, old integer DEFAULT 3 REFERENCES referenced ON UPDATE CASCADE ON DELETE SET NULL, new integer);
SELECT tandem.create_migration('cascading', release => 42);
SELECT tandem.sync_column('cascading', 'cascading', 'old', 'new', 'old + 100', 'new - 100');
INSERT INTO cascading VALUES (1, 1), (2, 2);
SET tandem.release = 42;
UPDATE referenced SET key = 11 WHERE key = 1;
DELETE FROM referenced WHERE key = 2;
RESET tandem.release;
SELECT * FROM cascading ORDER BY id;

-- no write broke a rule
SELECT v.* FROM unnest('{visibility,country,cents,wins,declared}'::text[]) m,
	LATERAL (SELECT relation, rows_unfilled, rows_mismatched FROM tandem.verify(m)
		WHERE rows_mismatched > 0) v;

DROP SCHEMA dual_write CASCADE;
DROP EXTENSION pg_tandem;
