-- A column that two open migrations change, one after the other: what stands on it is asked
-- about by both.
\set VERBOSITY default
CREATE DATABASE tandem_change_chain;
\c tandem_change_chain
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE TABLE prices (id int PRIMARY KEY, cents int);
INSERT INTO prices VALUES (1, 10), (2, 5);
ALTER TABLE prices ENABLE ROW LEVEL SECURITY;
CREATE POLICY positive ON prices USING (cents > 0);
CREATE POLICY dropped ON prices USING (cents < 1000);
-- of two tables, since servers write a view of one in different ways
CREATE TABLE one AS SELECT 1 AS n;
CREATE VIEW shown AS SELECT id, cents FROM prices, one;
CREATE VIEW sorted AS SELECT id, cents FROM prices, one ORDER BY cents;
CREATE VIEW shifted AS SELECT id, cents << 1 AS double FROM prices, one;
CREATE VIEW left_out AS SELECT cents + 1 AS more FROM prices, one;
CREATE VIEW taken AS SELECT cents - 1 AS less FROM prices, one;

BEGIN;
SELECT tandem.create_migration('m2', release => 42);
SELECT tandem.create_views(41, relations => '{prices}');
SELECT tandem.change_column('m2', 'prices', 'cents', 'bigint', up => 'cents * 100', down => 'cents / 100', carry => '{sorted,shifted}', leave => '{left_out}');
SELECT tandem.at_contract('m2', 'prices', 'ALTER POLICY positive ON prices USING (cents > 0)');
SELECT tandem.at_contract('m2', 'prices', 'DROP POLICY dropped ON prices');
SELECT tandem.at_contract('m2', 'prices', 'DROP VIEW taken');
SELECT tandem.create_views(42);
COMMIT;
CALL tandem.migrate('m2');

-- the second is asked about the same, but what the first leaves out or drops
BEGIN;
SELECT tandem.create_migration('m3', release => 43);
SELECT tandem.change_column('m3', 'prices', 'cents', 'numeric', up => 'cents / 100.0', down => '(cents * 100)::bigint');
SELECT tandem.create_views(43);
COMMIT;
CALL tandem.migrate('m3');
SELECT part, object, what_happens FROM tandem.preview_contract('m3') ORDER BY 1, 2;
SELECT tandem.change_column('m3', 'prices', 'cents', 'numeric', up => 'cents / 100.0', down => '(cents * 100)::bigint', carry => '{sorted}', leave => '{shifted}');
CALL tandem.migrate('m3');
SELECT tandem.at_contract('m3', 'prices', 'ALTER POLICY positive ON prices USING (cents > 0)');
CALL tandem.migrate('m3');

-- contract asks for nothing more
CALL tandem.contract('m2', undeclared => 'ignore');
SELECT array_agg(cents) FROM sorted;
SELECT part, object, what_happens FROM tandem.preview_contract('m3') ORDER BY 1, 2;
CALL tandem.contract('m3', undeclared => 'ignore');
SELECT array_agg(v.relname ORDER BY v.relname) FROM pg_class v WHERE v.relkind = 'v' AND v.relnamespace = 'public'::regnamespace;
SELECT array_agg(cents) FROM sorted;
SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'prices'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1;

\c contrib_regression
DROP DATABASE tandem_change_chain;
