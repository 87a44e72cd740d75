-- What a backfill gives way to: which settings are refused, and what a function that is to be asked
-- must be.  That it gives way is tested in test/t/throttle.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_tandem;
SELECT tandem.create_migration('throttle');
SHOW tandem.max_rows_per_second;
SHOW tandem.nice_ratio;
SHOW tandem.max_wal_rate;
SHOW tandem.max_lag_size;
SHOW tandem.max_lag_time;
SHOW tandem.lag_sources;
SHOW tandem.hold_function;
SET tandem.max_rows_per_second = -1;
SET tandem.nice_ratio = 101;
SET tandem.max_wal_rate = '1 min';
SET tandem.max_lag_size = '1 min';
SET tandem.max_lag_time = '1MB';

-- a list of names, as one string or as several
SET tandem.lag_sources = 'a, "B c" ,node-1';
SET tandem.lag_sources = slot_a, 'slot_b';
SHOW tandem.lag_sources;
SET tandem.lag_sources = '';
SET tandem.lag_sources = 'a,,b';
SET tandem.lag_sources = 'a b';
SET tandem.lag_sources = 'a,';
SET tandem.lag_sources = '"a';
SHOW tandem.lag_sources;
RESET tandem.lag_sources;

SET tandem.hold_function = 'f()';
SET tandem.hold_function = 'a.';
SET tandem.hold_function = '"a';
SET tandem.hold_function = 'a, b';

-- the function is looked up when it is to be called
CREATE TABLE throttle (id int PRIMARY KEY, a int);
INSERT INTO throttle SELECT i, i FROM generate_series(1, 10) i;
ALTER TABLE throttle ADD b int;
SELECT tandem.sync_column('throttle', 'throttle', 'a', 'b', 'a', 'b');
CREATE SCHEMA throttle_functions;
CREATE FUNCTION throttle_functions.returns_int() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION throttle_functions.returns_set() RETURNS SETOF text LANGUAGE sql AS 'SELECT 1::text';
CREATE FUNCTION throttle_functions.with_argument(int DEFAULT 1) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION throttle_functions.raises() RETURNS boolean LANGUAGE plpgsql
	AS $$ BEGIN RAISE 'metrics are away' USING ERRCODE = '58000'; END $$;
CREATE FUNCTION throttle_functions.raises_with_hint() RETURNS boolean LANGUAGE plpgsql
	AS $$ BEGIN RAISE 'metrics are away' USING HINT = 'Start them.'; END $$;
CREATE PROCEDURE throttle_functions.is_procedure() LANGUAGE sql AS '';
CREATE FUNCTION throttle_functions."Says; no"() RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION throttle_functions.says_null() RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
SET tandem.hold_function = 'no_such_function';
CALL tandem.migrate('throttle');
SET tandem.hold_function = 'no_such_schema.f';
CALL tandem.migrate('throttle');
SET tandem.hold_function = 'returns_int';
CALL tandem.migrate('throttle');
SET search_path = throttle_functions, public;
CALL tandem.migrate('throttle');
SET tandem.hold_function = 'returns_set';
CALL tandem.migrate('throttle');
SET tandem.hold_function = 'with_argument';
CALL tandem.migrate('throttle');
SET tandem.hold_function = 'is_procedure';
CALL tandem.migrate('throttle');
SET tandem.hold_function = 'raises';
CALL tandem.migrate('throttle');
SET tandem.hold_function = 'raises_with_hint';
CALL tandem.migrate('throttle');
SELECT rows_filled FROM tandem.progress WHERE migration = 'throttle' AND step = 'backfill';

-- one that says no, by a name that must be quoted
SET tandem.hold_function = 'throttle_functions."Says; no"';
CALL tandem.migrate('throttle');
SET tandem.hold_function = 'says_null';
CALL tandem.migrate('throttle');
SELECT rows_filled, state FROM tandem.progress WHERE migration = 'throttle' AND step = 'backfill';
RESET search_path;
CALL tandem.abort('throttle');
DROP TABLE throttle;
DROP SCHEMA throttle_functions CASCADE;
