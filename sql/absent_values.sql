-- drop_column without down: what the new release stores there is refused by more than a NOT NULL, a CHECK and a UNIQUE of that column.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA absent_values;
SET search_path = absent_values, public;
SELECT tandem.register_release(1);
SELECT tandem.switch_release(1);
CREATE DOMAIN not_null AS integer CHECK (VALUE IS NOT NULL);
CREATE DOMAIN over_not_null AS not_null;
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE t (id integer PRIMARY KEY, in_domain not_null, over_domain over_not_null, fits positive, has_default not_null DEFAULT 1,
	one_null integer, many_nulls integer UNIQUE, CONSTRAINT one_null_key UNIQUE NULLS NOT DISTINCT (one_null),
	p integer DEFAULT 1, q integer DEFAULT 2, r integer, CONSTRAINT p_q_key UNIQUE (p, q), UNIQUE (p, r), UNIQUE (id, q),
	u text DEFAULT 'u', v text DEFAULT 'v', w text, CONSTRAINT v_or_w CHECK (v <> 'v' OR w IS NOT NULL));
CREATE UNIQUE INDEX upper_u ON t (upper(u)) WHERE u <> '';
CREATE UNIQUE INDEX lower_v ON t (lower(v)) WHERE v <> 'v';
CREATE UNIQUE INDEX one_row ON t ((1)) WHERE id > 100;
SELECT tandem.create_migration('m', release => 2);
SELECT tandem.drop_column('m', 't', 'in_domain');
SELECT tandem.drop_column('m', 't', 'in_domain', down => 'id');
ALTER TABLE t ALTER COLUMN in_domain SET DEFAULT 0;
SELECT tandem.drop_column('m', 't', 'in_domain', down => 'id');
\set VERBOSITY terse
SELECT tandem.drop_column('m', 't', 'over_domain');
ALTER TABLE t ALTER COLUMN over_domain SET DEFAULT 0;
SELECT tandem.drop_column('m', 't', 'over_domain');
SELECT tandem.drop_column('m', 't', 'fits');
SELECT tandem.drop_column('m', 't', 'has_default');
\set VERBOSITY default
SELECT tandem.drop_column('m', 't', 'one_null');
\set VERBOSITY terse
SELECT tandem.drop_column('m', 't', 'many_nulls');
SELECT tandem.add_column('m', 't', 'derived', 'integer', up => 'id');
-- two that are fine alone
SELECT tandem.drop_column('m', 't', 'p');
SELECT tandem.drop_column('m', 't', 'r');
SELECT tandem.drop_column('m', 't', 'q');
SELECT tandem.drop_column('m', 't', 'u');
SELECT tandem.drop_column('m', 't', 'v');
SELECT tandem.drop_column('m', 't', 'w');
SELECT tandem.create_views(2, ARRAY['t']);
CALL tandem.migrate('m');
INSERT INTO release_2.t (id, q, u, w, one_null) VALUES (1, 2, 'a', 'a', 1), (2, 3, 'b', 'b', 2);
SELECT id, in_domain, over_domain, p, v FROM t ORDER BY id;
CALL tandem.abort('m', force => true);

-- A domain is checked before the column is computed, of either side.
CREATE TABLE d (id integer PRIMARY KEY, a not_null, b integer);
SELECT tandem.create_views(1, ARRAY['d']);
SELECT tandem.create_migration('m', release => 2);
\set VERBOSITY default
SELECT tandem.change_column('m', 'd', 'a', 'bigint');
\set VERBOSITY terse
ALTER TABLE d ALTER COLUMN a SET DEFAULT 0;
SELECT tandem.change_column('m', 'd', 'a', 'bigint');
BEGIN;
ALTER TABLE d ADD COLUMN c not_null;
SELECT tandem.sync_column('m', 'd', old => 'b', new => 'c', up => 'coalesce(b, 0)', down => 'c');
ROLLBACK;
SELECT tandem.create_views(2, ARRAY['d']);
CALL tandem.migrate('m');
INSERT INTO release_2.d VALUES (1, 5, 1);
INSERT INTO release_1.d VALUES (2, 6, 1);
SELECT id, a, a__2 FROM d ORDER BY id;
CALL tandem.abort('m', force => true);

-- What a partition has of its own.
CREATE TABLE parted (id integer, k integer, x integer, y integer DEFAULT 1, z integer) PARTITION BY LIST (k);
CREATE TABLE part (z integer, y integer, x integer NOT NULL, k integer, id integer);
ALTER TABLE parted ATTACH PARTITION part FOR VALUES IN (1);
CREATE UNIQUE INDEX part_y ON part (y);
ALTER TABLE part ADD CONSTRAINT part_z CHECK (z IS NOT NULL);
SELECT tandem.create_migration('m', release => 3);
SELECT tandem.drop_column('m', 'parted', 'x');
SELECT tandem.drop_column('m', 'parted', 'y');
SELECT tandem.drop_column('m', 'parted', 'z');
CALL tandem.abort('m');

SET client_min_messages = error;
RESET search_path;
DROP SCHEMA absent_values CASCADE;
DROP EXTENSION pg_tandem CASCADE;
DO $$DECLARE s name; BEGIN FOR s IN SELECT nspname FROM pg_namespace WHERE nspname LIKE '%release%' LOOP EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END$$;
