-- The rule of a sync means the same in every session, whatever its settings
-- of how text is written and read: strings, nulls in arrays, dates.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_tandem;
CREATE TABLE session_settings (id int PRIMARY KEY, a text, d date, k int[]);
BEGIN;
SET LOCAL datestyle = 'SQL, DMY';
SELECT tandem.create_migration('session_settings');
ALTER TABLE session_settings ADD a2 text, ADD d2 date, ADD k2 text;
SELECT tandem.sync_column('session_settings', 'session_settings', 'a', 'a2',
	$$ a || '\ny' $$, $$ replace(a2, '\ny', '') $$);
SELECT tandem.sync_column('session_settings', 'session_settings', 'd', 'd2',
	$$ coalesce(d, date '2024-03-04') $$, 'd2');
SELECT tandem.sync_columns('session_settings', 'session_settings', '{k,a}', '{k2}',
	ARRAY['k::text'], ARRAY['k2::int[]', NULL]);
COMMIT;
\c -
SET datestyle = 'ISO, MDY';
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET array_nulls = off;
INSERT INTO session_settings (id, a) VALUES (1, 'p') RETURNING a, a2, d2;
UPDATE session_settings SET k2 = '{5}' WHERE id = 1 RETURNING a, a2, k, k2;
CALL tandem.abort('session_settings');
DROP TABLE session_settings;
