-- Pages whose rows are of many widths take their new versions in different
-- numbers of visits.  What is left of them must not become a batch a page.
CREATE DATABASE uneven;
\c uneven
CREATE EXTENSION pg_tandem;
SET tandem.batch_target = 10000;
CREATE TABLE uneven (id int PRIMARY KEY, old int, filler text);
INSERT INTO uneven SELECT g, g, repeat('x', (g::bigint * g * 7919 % 1009)::int) FROM generate_series(1, 30000) g;
SELECT tandem.create_migration('uneven');
ALTER TABLE uneven ADD COLUMN new int;
SELECT tandem.sync_column('uneven', 'uneven', old => 'old', new => 'new', up => 'old + 1');
SELECT pg_current_xact_id()::text::bigint AS xid_before \gset
\set VERBOSITY terse
SET client_min_messages = warning;
CALL tandem.migrate('uneven');
RESET client_min_messages;
\set VERBOSITY default
-- a batch and its subtransaction each take one
SELECT (pg_current_xact_id()::text::bigint - :xid_before) * 10 < pg_relation_size('uneven') / 8192 AS few_batches;
SELECT count(*) FILTER (WHERE new IS DISTINCT FROM old + 1) AS wrong FROM uneven;
-- rows that went to the last page, which had room, are seen there again
SELECT rows_filled, rows_done BETWEEN 30000 AND 30300 AS each_counted_once FROM tandem.step WHERE kind = 'backfill';
CALL tandem.abort('uneven');
DROP TABLE uneven;

-- a row in quarantine counts once, however often its page is visited
CREATE TABLE uneven (id int PRIMARY KEY, old int);
INSERT INTO uneven SELECT g, g FROM generate_series(1, 5000) g;
SELECT tandem.create_migration('refused');
ALTER TABLE uneven ADD COLUMN new int;
SELECT tandem.sync_column('refused', 'uneven', old => 'old', new => 'new', up => '1000 / (old % 100)', on_error => 'quarantine');
SET client_min_messages = error;
CALL tandem.migrate('refused');
RESET client_min_messages;
SELECT rows_filled, rows_quarantined FROM tandem.step WHERE kind = 'backfill' AND relation = 'uneven'::regclass;
SELECT count(*) FROM tandem.quarantine;
CALL tandem.abort('refused');
DROP TABLE uneven;
