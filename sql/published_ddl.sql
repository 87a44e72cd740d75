-- the publications of releases follow what is done to their tables
CREATE DATABASE published_ddl;
\c published_ddl
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
RESET client_min_messages;
\set VERBOSITY default
CREATE TABLE orders (id int PRIMARY KEY, price int, note text);
CREATE TABLE parts (id int, at int, price int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE spare (id int, at int, price int, PRIMARY KEY (id, at));
CREATE VIEW sent AS SELECT pubname, tablename, attnames FROM pg_publication_tables WHERE pubname ~ '^release' ORDER BY 1, 2;
CREATE PUBLICATION p FOR TABLE orders, parts;
SELECT tandem.create_publication(41, 'p');
BEGIN;
SELECT tandem.create_migration('m', 42);
SELECT tandem.add_column('m', 'orders', 'id8', 'bigint');
SELECT tandem.sync_column('m', 'orders', 'id', 'id8', 'id::bigint', 'id8::int');
SELECT tandem.add_not_null('m', 'orders', 'id8');
SELECT tandem.add_index('m', 'CREATE UNIQUE INDEX orders_id8 ON orders (id8)');
SELECT tandem.add_column('m', 'parts', 'cents', 'bigint');
SELECT tandem.sync_column('m', 'parts', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
COMMIT;
SELECT * FROM sent;
SET client_min_messages = warning;
CALL tandem.migrate('m');
RESET client_min_messages;

-- Rule: DDL of a user makes no writer fail.
INSERT INTO orders (id, price) VALUES (1, 1);
BEGIN;
ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD CONSTRAINT orders_pkey PRIMARY KEY USING INDEX orders_id8;
UPDATE orders SET price = 2;
SELECT * FROM sent WHERE tablename = 'orders';
ROLLBACK;
CREATE UNIQUE INDEX orders_other ON orders (id8, id);
BEGIN;
ALTER TABLE orders REPLICA IDENTITY USING INDEX orders_other;
UPDATE orders SET price = 2;
SELECT * FROM sent WHERE tablename = 'orders';
ALTER TABLE orders REPLICA IDENTITY DEFAULT;
SELECT * FROM sent WHERE tablename = 'orders';
ROLLBACK;
ALTER TABLE orders REPLICA IDENTITY FULL;
-- where a column is dropped with what depends on it the rest is sent
BEGIN;
ALTER TABLE orders DROP COLUMN note CASCADE;
SELECT * FROM sent WHERE tablename = 'orders';
ROLLBACK;

-- Rule: what comes to a table, or to its tree, is sent as soon as it is there.
ALTER TABLE orders ADD COLUMN later text;
ALTER TABLE parts ADD COLUMN later text;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
ALTER TABLE spare ADD COLUMN cents bigint, ADD COLUMN later text;
ALTER TABLE parts ATTACH PARTITION spare FOR VALUES FROM (20) TO (30);
CREATE SCHEMA more CREATE TABLE parts_4 PARTITION OF public.parts FOR VALUES FROM (30) TO (40);
SELECT * FROM sent;
INSERT INTO parts (id, at, price) SELECT n, n, n FROM generate_series(0, 39) n;
UPDATE parts SET price = 1;
-- and what leaves it is not
ALTER TABLE parts DETACH PARTITION spare;
ALTER TABLE parts DETACH PARTITION more.parts_4 CONCURRENTLY;
SELECT DISTINCT tablename FROM sent;
-- other tables, and commands that change none of this, write nothing
CREATE TABLE before AS SELECT r.ctid AS place, r.xmin::text AS written FROM pg_publication_rel r;
CREATE TABLE unrelated (LIKE orders);
CREATE TEMPORARY TABLE orders_copy AS SELECT * FROM orders;
ALTER TABLE unrelated ADD PRIMARY KEY (id);
ALTER TABLE orders ADD CHECK (price > 0) NOT VALID, ALTER price SET STATISTICS 10;
ALTER TABLE parts_1 RENAME TO parts_first;
SELECT count(*) FROM (SELECT ctid, xmin::text FROM pg_publication_rel EXCEPT SELECT place, written FROM before) changed;

-- Rule: who does not own the publication is told, and stopped only where writers would fail.
CREATE ROLE tandem_ddl;
GRANT CREATE, USAGE ON SCHEMA public TO tandem_ddl;
ALTER TABLE orders OWNER TO tandem_ddl;
ALTER TABLE parts OWNER TO tandem_ddl;
ALTER TABLE parts_first OWNER TO tandem_ddl;
\set VERBOSITY terse
SET ROLE tandem_ddl;
ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD CONSTRAINT orders_pkey PRIMARY KEY USING INDEX orders_id8;
ALTER TABLE orders REPLICA IDENTITY USING INDEX orders_other;
ALTER TABLE orders ADD COLUMN latest text;
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20) TO (30);
UPDATE orders SET price = 3;
RESET ROLE;
SELECT tandem.create_publication(41);
SELECT tandem.create_publication(42);
SELECT pubname, attnames FROM sent WHERE tablename = 'orders';
SELECT DISTINCT tablename FROM sent;

-- Rule: what is added to the source, and taken out of it, is followed.
CREATE TABLE added (id int PRIMARY KEY, a int);
CREATE SCHEMA elsewhere;
CREATE SCHEMA apart CREATE TABLE inside (id int PRIMARY KEY);
BEGIN;
ALTER PUBLICATION p ADD TABLE added WHERE (id > 5);
SELECT * FROM sent WHERE tablename IN ('added', 'orders', 'inside');
SELECT pubname, rowfilter FROM pg_publication_tables WHERE tablename = 'added' ORDER BY 1;
ALTER PUBLICATION p SET TABLE added, parts;
SELECT * FROM sent WHERE tablename IN ('added', 'orders', 'inside');
SELECT pubname, rowfilter FROM pg_publication_tables WHERE tablename = 'added' ORDER BY 1;
ALTER PUBLICATION p DROP TABLE added;
ALTER PUBLICATION p ADD TABLE orders;
SELECT * FROM sent WHERE tablename IN ('added', 'orders', 'inside');
ROLLBACK;
BEGIN;
ALTER PUBLICATION p ADD TABLES IN SCHEMA apart;
SELECT * FROM sent WHERE tablename IN ('added', 'orders', 'inside');
ALTER TABLE added SET SCHEMA apart;
SELECT * FROM sent WHERE tablename IN ('added', 'orders', 'inside');
ALTER TABLE apart.added SET SCHEMA public;
SELECT * FROM sent;
-- Rule: what the source has as a partition of a table comes and goes with it, wherever it lies.
CREATE TABLE elsewhere.root (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE elsewhere.root_1 PARTITION OF elsewhere.root FOR VALUES FROM (0) TO (10);
ALTER TABLE elsewhere.root SET SCHEMA apart;
SELECT * FROM sent;
ALTER TABLE apart.root SET SCHEMA elsewhere;
SELECT * FROM sent;
DROP SCHEMA elsewhere CASCADE;
SELECT * FROM sent WHERE tablename IN ('added', 'orders', 'inside');
ALTER PUBLICATION p DROP TABLES IN SCHEMA apart;
SELECT * FROM sent WHERE tablename IN ('added', 'orders', 'inside');
ROLLBACK;
-- another publication is none of ours
CREATE PUBLICATION q;
ALTER PUBLICATION q ADD TABLE added;
SELECT * FROM sent WHERE tablename = 'added';
DROP PUBLICATION q;
-- who may not change them is told, and does what he does
ALTER TABLE added OWNER TO tandem_ddl;
GRANT CREATE ON DATABASE published_ddl TO tandem_ddl;
ALTER PUBLICATION p OWNER TO tandem_ddl;
SET ROLE tandem_ddl;
ALTER PUBLICATION p ADD TABLE added;
RESET ROLE;
SELECT * FROM sent WHERE tablename = 'added';
ALTER PUBLICATION p DROP TABLE added;
SELECT * FROM sent WHERE tablename = 'added';

-- Rule: of a tree that is sent as its root the identities of the partitions count.
\set VERBOSITY default
CALL tandem.abort('m', force => true);
CREATE TABLE tree (id int, at int, price int NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE tree_1 PARTITION OF tree FOR VALUES FROM (0) TO (10);
ALTER PUBLICATION p SET TABLE tree;
ALTER PUBLICATION p SET (publish_via_partition_root = true);
SELECT tandem.create_publication(41);
SELECT * FROM sent;
BEGIN;
SELECT tandem.create_migration('t', 43);
SELECT tandem.add_column('t', 'tree', 'cents', 'int', up => 'price * 100');
COMMIT;
SELECT * FROM sent;
INSERT INTO tree (id, at, price) VALUES (1, 1, 1);
UPDATE tree SET cents = 100;
ALTER TABLE tree_1 ALTER cents SET NOT NULL;
CREATE UNIQUE INDEX tree_1_cents ON tree_1 (at, cents);
ALTER TABLE tree_1 REPLICA IDENTITY FULL;
ALTER TABLE tree_1 REPLICA IDENTITY USING INDEX tree_1_cents;
UPDATE tree SET price = 2;
SELECT * FROM sent;

-- Rule: where the source sends partitions in another way now, that is said, and fails no DDL.
CREATE TABLE tree_2 PARTITION OF tree FOR VALUES FROM (10) TO (20);
ALTER TABLE tree_1 REPLICA IDENTITY DEFAULT;
ALTER PUBLICATION p SET (publish_via_partition_root = false);
\set VERBOSITY terse
CREATE TABLE tree_3 PARTITION OF tree FOR VALUES FROM (20) TO (30);
\set VERBOSITY default
CALL tandem.abort('t', force => true);
SELECT tandem.create_publication(41);
SELECT tandem.create_publication(43);
SELECT * FROM sent;
ALTER PUBLICATION p SET (publish_via_partition_root = true);
SELECT tandem.create_publication(41);
SELECT tandem.create_publication(43);
SELECT * FROM sent;
CALL tandem.abort('t', force => true);

-- Rule: a list of columns that the user has made is kept, and what a migration adds and it lacks is told.
CREATE TABLE listed (id int PRIMARY KEY, price int, secret text);
ALTER PUBLICATION p SET TABLE listed (id, price);
SELECT * FROM sent;
BEGIN;
SELECT tandem.create_migration('l', 44);
SELECT tandem.add_column('l', 'listed', 'cents', 'int');
SELECT tandem.sync_column('l', 'listed', 'price', 'cents', 'price * 100', 'cents / 100');
COMMIT;
SELECT * FROM sent;
ALTER PUBLICATION p SET TABLE listed (id, price, cents);
SELECT * FROM sent;

\c postgres
DROP DATABASE published_ddl;
DROP ROLE tandem_ddl;
