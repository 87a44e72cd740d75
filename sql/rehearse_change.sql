/*
 * rehearse_change: up and down over the rows that are there, before anything is made.
 */
CREATE DATABASE tandem_rehearse_change;
\c tandem_rehearse_change
CREATE EXTENSION pg_tandem;
-- what depends on the machine is left out
CREATE FUNCTION findings(relation regclass, type text, up text, down text DEFAULT NULL, sample_rows bigint DEFAULT NULL, column_name name DEFAULT NULL,
	OUT finding text, OUT object text, OUT rows bigint, OUT sample_keys text[], OUT detail text)
RETURNS SETOF record LANGUAGE sql AS
'SELECT f.finding, f.object, f.rows, f.sample_keys, CASE WHEN f.bytes IS NULL THEN f.detail END
	FROM tandem.rehearse_change($1, $2, $3, $4, $5, $6) f WHERE f.finding NOT IN (''fill time'', ''fill wal'') AND f.finding !~ ''after fill|new column''';

CREATE TABLE orders (id integer PRIMARY KEY, price text NOT NULL, email text UNIQUE, note text,
	CONSTRAINT price_check CHECK (price <> '13'), CONSTRAINT orders_note_check CHECK (length(note) < 6));
INSERT INTO orders SELECT i, i::text, 'Name' || i, 'n' || i FROM generate_series(1, 100) i WHERE i <> 13;
INSERT INTO orders VALUES (101, 'free', 'NAME7', NULL), (102, '007', 'NAME8', 'x'), (103, 'on request', NULL, 'y'), (104, '', NULL, NULL);

-- rows that raise, and rows that do not come back, with their keys
SELECT * FROM findings('orders', 'integer', 'price::integer', 'price::text');
SELECT * FROM findings('orders', 'integer', 'nullif(regexp_replace(price, ''\D'', '''', ''g''), '''')::integer', 'price::text');
-- a type without equality: what is the same to the bit is given back
CREATE TABLE documents (id integer PRIMARY KEY, data json);
INSERT INTO documents VALUES (1, '{"a": 1}'), (2, '{"a":1}'), (3, NULL);
SELECT * FROM findings('documents', 'jsonb', 'data::jsonb', 'data::json');
-- one-way
SELECT * FROM findings('orders', 'integer', 'length(price)');
-- as change_column without up: the assignment casts, there and back
SELECT finding, object, rows, detail FROM tandem.rehearse_change('orders', 'varchar(8)', column_name => 'price') WHERE finding ~ '^(up|rows|not)';
SELECT * FROM findings('orders', 'varchar(8)', NULL, NULL, NULL, 'price');
-- down that raises
SELECT * FROM findings('orders', 'text', 'price', '(1 / (length(price) - 3))::text');
-- a CHECK that breaks, one that the type has no operator for, UNIQUE
SELECT * FROM findings('orders', 'text', 'left(price, 1) || ''3''', NULL);
SELECT * FROM findings('orders', 'text', 'lower(email)', 'email');
SELECT * FROM findings('orders', 'text', 'note || id', 'note', NULL, 'note');
SELECT * FROM findings('orders', 'text', 'note || id', 'regexp_replace(note, ''\d+$'', '''')');
-- which column?
SELECT * FROM findings('orders', 'text', 'note || price', 'note || price');
SELECT * FROM findings('orders', 'text', 'note || price');
-- the name that sync_column would give
SELECT * FROM findings('orders', 'integer', 'length(note)', 'repeat(''x'', note_length)');

-- the whole row is another one then
CREATE TABLE keyless (a integer, b integer);
INSERT INTO keyless SELECT i, i % 3 FROM generate_series(1, 5) i;
ALTER TABLE keyless ADD CONSTRAINT told CHECK (b < 3 AND row_to_json(keyless) IS NOT NULL);
SELECT * FROM findings('keyless', 'bigint', 'b', 'b');
SELECT * FROM findings('keyless', 'json', 'row_to_json(keyless)', '(row_to_json(keyless)->>''b'')::integer', NULL, 'b');
-- a sample
SELECT finding, object, rows, detail FROM findings('orders', 'integer', 'length(price)', NULL, 10);
ANALYZE orders;
SELECT finding, object, rows, detail FROM findings('orders', 'integer', 'length(price)', NULL, 10);
SELECT finding, object, rows, detail FROM findings('orders', 'integer', 'length(price)', NULL, 1000000);

-- many messages
CREATE TABLE many (id serial PRIMARY KEY, value text);
INSERT INTO many (value) SELECT 'v' || i FROM generate_series(1, 60) i;
SELECT finding, object, count(*), sum(rows) FROM findings('many', 'integer', 'value::integer') GROUP BY 1, 2 ORDER BY 1, 2;
-- no key
SELECT * FROM findings('keyless', 'integer', '10 / b');
-- up that fails for every row: there is nothing to measure
SELECT finding, object, rows, detail FROM tandem.rehearse_change('many', 'integer', 'value::integer') WHERE finding !~ '^up raises';
-- nothing there
CREATE TABLE empty (a integer);
SELECT * FROM tandem.rehearse_change('empty', 'bigint', 'a', 'a');

-- partitions, whose columns are in another order
CREATE TABLE parted (id integer, code text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 (gone integer, code text, id integer NOT NULL);
ALTER TABLE parted_2 DROP gone;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (10) TO (20);
INSERT INTO parted SELECT i, CASE WHEN i % 5 = 0 THEN 'c' || i ELSE i::text END FROM generate_series(1, 19) i;
SELECT * FROM findings('parted', 'integer', 'code::integer', 'code::text');
SELECT finding, object FROM tandem.rehearse_change('parted', 'integer', 'length(code)') ORDER BY 1, 2;

-- what is no expression over a row
SELECT * FROM findings('orders', 'integer', 'price +');
SELECT * FROM findings('orders', 'integer', '(SELECT 1)');
SELECT * FROM findings('orders', 'integer', 'nothing');
SELECT * FROM findings('orders', 'integer', 'nothing::integer', 'nothing::text');
SELECT * FROM findings('orders', 'integer', 'price::integer', 'price::text', NULL, 'ctid');
SELECT * FROM findings('orders', 'integer', 'price::integer', 'nothing || else_there');
SELECT * FROM findings('orders', 'integer); DROP TABLE orders; --', 'price');
SELECT * FROM findings('orders', 'integer', '1); DROP TABLE orders; --');
SELECT * FROM findings('orders', 'record', 'price');
SELECT * FROM findings('orders', 'integer', 'price::date');
SELECT * FROM findings('orders', 'no_type', 'price');
SELECT * FROM findings('orders', 'integer', NULL);
SELECT * FROM findings('orders', 'integer', '1', NULL, NULL, 'nothing');
SELECT * FROM findings('orders', 'integer', '1', NULL, 0);
SELECT * FROM findings(NULL, 'integer', '1');
SELECT * FROM findings('orders', NULL, '1');
SELECT * FROM findings('pg_stat_activity', 'integer', '1');
SELECT * FROM findings('orders_pkey', 'integer', '1');

-- nothing is written, neither to the table nor by up
CREATE SEQUENCE counter;
CREATE FUNCTION writes(text) RETURNS integer LANGUAGE plpgsql AS 'BEGIN INSERT INTO many (value) VALUES ($1); RETURN 1; END';
CREATE FUNCTION switches(text) RETURNS integer LANGUAGE plpgsql AS
'BEGIN PERFORM set_config(''transaction_read_only'', ''off'', true); INSERT INTO many (value) VALUES ($1); RETURN 1; END';
SELECT * FROM findings('orders', 'integer', 'nextval(''counter'')::integer');
SELECT * FROM findings('orders', 'integer', 'writes(price)');
SELECT * FROM findings('orders', 'integer', 'switches(price)');
CREATE OR REPLACE FUNCTION switches(text) RETURNS integer LANGUAGE plpgsql AS 'BEGIN PERFORM set_config(''role'', ''none'', false); RETURN 1; END';
SELECT * FROM findings('orders', 'integer', 'switches(price)');
SELECT count(*) FROM many;
SELECT count(*) FROM tandem.fill_probe;
SHOW transaction_read_only;
BEGIN READ ONLY;
SELECT finding, rows, duration, detail FROM tandem.rehearse_change('orders', 'text', 'price', 'price') WHERE finding ~ 'time|tried|back';
ROLLBACK;
-- volatile: down(up(x)) is another each time
SELECT * FROM findings('orders', 'text', 'price || random()', 'price');

-- rights: those of the caller; text of the table is not run for who is not its owner
CREATE ROLE regress_reader;
CREATE ROLE regress_owner;
CREATE FUNCTION tells(text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''% as %'', $1, current_user; RETURN true; END';
CREATE TABLE owned (id integer PRIMARY KEY, value text, CONSTRAINT owned_told CHECK (tells(value)));
INSERT INTO owned VALUES (1, 'a');
ALTER TABLE owned OWNER TO regress_owner;
CREATE FUNCTION whoami(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''up as %'', current_user; RETURN $1; END';
SET ROLE regress_reader;
SELECT * FROM findings('owned', 'text', 'value');
RESET ROLE;
GRANT SELECT ON owned TO regress_reader;
SET ROLE regress_reader;
SELECT * FROM findings('owned', 'text', 'whoami(value)');
RESET ROLE;
SELECT * FROM findings('owned', 'text', 'whoami(value)');
ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
SET ROLE regress_reader;
SELECT * FROM findings('owned', 'text', 'value');
RESET ROLE;

-- the estimate of bytes: what the fill then takes differs by less than 30 percent
CREATE TABLE wide (id integer PRIMARY KEY, n integer, s text) WITH (autovacuum_enabled = off);
INSERT INTO wide SELECT i, i % 1000, repeat('s', i % 50) FROM generate_series(1, 40000) i;
CREATE INDEX wide_n ON wide (n);
VACUUM ANALYZE wide;
CREATE TABLE guessed AS SELECT finding, object, bytes FROM tandem.rehearse_change('wide', 'text', 'md5(n::text)', NULL) WHERE bytes IS NOT NULL;
INSERT INTO guessed SELECT 'sampled ' || finding, object, bytes FROM tandem.rehearse_change('wide', 'text', 'md5(n::text)', NULL, 2000) WHERE bytes IS NOT NULL;
SELECT tandem.create_migration('widen');
SELECT tandem.add_column('widen', 'wide', 'hash', 'text', up => 'md5(n::text)');
CHECKPOINT;
SELECT pg_current_wal_insert_lsn() AS before \gset
SET client_min_messages = warning;
CALL tandem.migrate('widen');
RESET client_min_messages;
SELECT finding, object, CASE WHEN abs(g.bytes - t.bytes) < 0.3 * t.bytes THEN 'near' ELSE format('%s, then %s', g.bytes, t.bytes) END
FROM guessed g CROSS JOIN LATERAL (SELECT CASE WHEN finding ~ 'wal' THEN pg_current_wal_insert_lsn() - :'before' ELSE pg_relation_size(g.object::regclass) END AS bytes) t
WHERE finding !~ 'on new column' ORDER BY 1, 2;
CALL tandem.abort('widen', force => true);

\c postgres
DROP DATABASE tandem_rehearse_change;
DROP ROLE regress_reader, regress_owner;
