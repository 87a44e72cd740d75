-- :rows rows of about 120 bytes, two indexes, and a table for the load to write to
CREATE EXTENSION pg_prewarm;
CREATE TABLE item (id int, price int, stock int, created timestamptz, name text);
INSERT INTO item
SELECT i, i % 10000, i % 100, '2025-01-01'::timestamptz + i * interval '1 second', rpad(md5(i::text), 70, 'x')
FROM generate_series(1, :rows) i;
ALTER TABLE item ADD PRIMARY KEY (id);
CREATE INDEX item_created ON item (created);
CREATE TABLE sale (item int, price int, at timestamptz);
VACUUM (FREEZE, ANALYZE) item;
