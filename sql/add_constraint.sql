-- add_constraint and add_not_null: what is noted for migrate, and every way in
-- which that is refused.
CREATE DATABASE add_constraint;
\c add_constraint
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset format unaligned
\pset tuples_only

-- The error of a command, and what it lacks.
CREATE FUNCTION error_of(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
	state text;
BEGIN
	EXECUTE command;
	RAISE '*** NO ERROR';	-- which undoes the command
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
		state = RETURNED_SQLSTATE;
	RETURN state || ' ' || message
		|| CASE WHEN detail <> '' THEN E'\nDETAIL: ' || detail ELSE '' END
		|| CASE WHEN hint <> '' THEN E'\nHINT: ' || hint ELSE E'\n*** NO HINT' END
		|| CASE WHEN state LIKE 'XX%' THEN E'\n*** INTERNAL ERROR' ELSE '' END;
END $$;

CREATE SCHEMA shop;
CREATE TABLE shop.customers (id integer PRIMARY KEY, code text UNIQUE,
	UNIQUE (id, code));
CREATE FUNCTION shop.fits(integer) RETURNS boolean IMMUTABLE LANGUAGE sql
	AS 'SELECT $1 > 0';
CREATE TABLE orders (
	id integer,
	customer integer,
	code text,
	amount integer NOT NULL DEFAULT 1,
	"Odd ""name""" integer,
	CONSTRAINT taken CHECK (amount < 1000)
);
CREATE TABLE "Odd ""table""" (LIKE orders);
CREATE TABLE events (id integer, at date, customer integer, kind text)
	PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE events_2 (kind text, extra integer, customer integer, at date, id integer);
ALTER TABLE events_2 DROP COLUMN extra;
ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE no_partitions (id integer, customer integer) PARTITION BY LIST (id);

-- What there is: to compare with at the end.
CREATE VIEW catalog AS
	SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
	FROM pg_constraint WHERE connamespace IN ('public'::regnamespace, 'shop'::regnamespace)
	UNION ALL SELECT 'relation', NULL, relname, relkind::text FROM pg_class
	WHERE relnamespace IN ('public'::regnamespace, 'shop'::regnamespace)
	UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, NULL FROM pg_trigger
	UNION ALL SELECT 'not null', attrelid::regclass::text, attname, NULL
	FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	WHERE attnotnull AND attnum > 0 AND relnamespace IN ('public'::regnamespace, 'shop'::regnamespace);
CREATE TEMPORARY TABLE catalog_before AS SELECT * FROM catalog;

SELECT tandem.create_migration('m');

-- CHECK
SET search_path = shop, public;
SELECT tandem.add_constraint('m', 'orders', 'positive', 'check (amount > 0) not valid');
SELECT tandem.add_constraint('m', 'orders', 'fits', 'CHECK (fits(amount)) NO INHERIT -- a comment');
SELECT tandem.add_constraint('m', 'orders', 'Odd "name"',
	'CHECK ("Odd ""name""" <> 1 AND code <> '')'')');
SELECT tandem.add_constraint('m', '"Odd ""table"""', 'positive', 'CHECK (amount > 0)');
SELECT tandem.add_constraint('m', 'events', 'kind_known', 'CHECK (kind IN (''a'', ''b''))');
-- Hazard: a composite foreign key loses the pairing of its columns.
-- FOREIGN KEY
SELECT tandem.add_constraint('m', 'orders', 'customer_fkey',
	'FOREIGN KEY (customer) REFERENCES customers');
SELECT tandem.add_constraint('m', 'orders', 'customer_code_fkey',
	'FOREIGN KEY (customer, code) REFERENCES customers (id, code) MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL (code) DEFERRABLE INITIALLY DEFERRED');
SELECT tandem.add_constraint('m', 'events', 'customer_fkey',
	'FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE');
SELECT tandem.add_constraint('m', 'no_partitions', 'customer_fkey',
	'FOREIGN KEY (customer) REFERENCES customers (id) NOT VALID');
-- UNIQUE, PRIMARY KEY
SELECT tandem.add_constraint('m', 'orders', 'orders_code_key',
	'UNIQUE NULLS NOT DISTINCT (code, "Odd ""name""") INCLUDE (amount) WITH (fillfactor = 70, deduplicate_items = off) DEFERRABLE INITIALLY DEFERRED');
SELECT tandem.add_constraint('m', 'orders', 'Orders "key"', 'primary key (id, amount) deferrable');
SELECT tandem.add_constraint('m', 'events', 'events_key', 'UNIQUE (id, at)');
SELECT tandem.add_constraint('m', '"Odd ""table"""', 'odd_key',
	'UNIQUE ("Odd ""name""") USING INDEX TABLESPACE pg_default');
-- NOT NULL
SELECT tandem.add_not_null('m', 'orders', 'Odd "name"');
SELECT tandem.add_not_null('m', 'events', 'kind');
RESET search_path;

\pset format aligned
\pset tuples_only off
SELECT kind, relation, object, definition, is_unique FROM tandem.step ORDER BY id;
\pset format unaligned
\pset tuples_only

-- The very same again is nothing new; another of that name is an error.
SET client_min_messages = notice;
SELECT tandem.add_constraint('m', 'orders', 'positive', 'CHECK (amount > 0)');
SELECT tandem.add_constraint('m', 'orders', 'Orders "key"', 'PRIMARY KEY (id, amount) DEFERRABLE');
SELECT tandem.add_not_null('m', 'orders', 'Odd "name"');
SELECT tandem.add_not_null('m', 'orders', 'amount');
SELECT tandem.add_not_null('m', 'orders', 'id');
SET client_min_messages = warning;
SELECT error_of($$ SELECT tandem.add_constraint('m', 'orders', 'positive', 'CHECK (amount > 1)') $$);
SELECT count(*) FROM tandem.step;

-- Arguments
SELECT error_of($$ SELECT tandem.add_constraint(NULL, 'orders', 'a', 'CHECK (true)') $$);
SELECT error_of($$ SELECT tandem.add_constraint('m', NULL, 'a', 'CHECK (true)') $$);
SELECT error_of($$ SELECT tandem.add_constraint('m', 'orders', NULL, 'CHECK (true)') $$);
SELECT error_of($$ SELECT tandem.add_constraint('m', 'orders', 'a', NULL) $$);
SELECT error_of($$ SELECT tandem.add_constraint('none', 'orders', 'a', 'CHECK (true)') $$);
SELECT error_of($$ SELECT tandem.add_constraint('m', 'nothing', 'a', 'CHECK (true)') $$);
SELECT error_of($$ SELECT tandem.add_constraint('m', 'events_1', 'a', 'CHECK (true)') $$);
SELECT error_of($$ SELECT tandem.add_constraint('m', 'catalog', 'a', 'CHECK (true)') $$);
SELECT error_of($$ SELECT tandem.add_constraint('m', 'orders', '', 'CHECK (true)') $$);
SELECT error_of($$ SELECT tandem.add_constraint('m', 'orders', 'taken', 'CHECK (true)') $$);
CREATE FUNCTION refused(definition text, relation text DEFAULT 'orders') RETURNS text
LANGUAGE sql AS $$
	SELECT error_of(format('SELECT tandem.add_constraint(''m'', %L, ''a'', %L)', relation, definition))
$$;
-- Not one constraint
SELECT refused('');
SELECT refused('-- nothing');
SELECT refused('CHECK (amount > )');
SELECT refused('CHECK (amount > 0');
SELECT refused('CHECK (amount > 0), ADD COLUMN more integer');
SELECT refused('CHECK (amount > 0); DROP TABLE orders');
SELECT refused('CHECK (amount > 0) CHECK (amount > 1)');
SELECT refused('CONSTRAINT b CHECK (amount > 0)');
SELECT refused('DEFAULT 1');
-- Refused kinds
SELECT refused('EXCLUDE USING btree (amount WITH =)');
SELECT refused('UNIQUE USING INDEX taken');
SELECT refused('PRIMARY KEY USING INDEX taken');
-- Kinds that later servers know
SELECT refused('NOT NULL code') LIKE '%tandem.add_not_null%';
SELECT refused('CHECK (amount > 0) NOT ENFORCED') ~ '^(42601|0A000) ';
SELECT refused('UNIQUE (id, at WITHOUT OVERLAPS)', 'events') ~ '^(42601|0A000) ';
-- What the server refuses
SELECT refused('CHECK (nothing > 0)');
SELECT refused('CHECK (amount)');
SELECT refused('CHECK (amount > (SELECT 1))');
SELECT refused('CHECK (id > 0) NO INHERIT', 'events');
SELECT refused('FOREIGN KEY (nothing) REFERENCES shop.customers');
SELECT refused('FOREIGN KEY (customer) REFERENCES customers');
SELECT refused('FOREIGN KEY (customer) REFERENCES shop.customers (nothing)');
SELECT regexp_replace(refused('FOREIGN KEY (code) REFERENCES shop.customers (id)'),
	'of the referenc(ing|ed) table ', '', 'g');
SELECT refused('FOREIGN KEY (customer) REFERENCES orders (customer)');
SELECT refused('FOREIGN KEY (customer) REFERENCES nothing', 'events');
SELECT refused('UNIQUE (nothing)');
SELECT refused('UNIQUE (code, code)');
SELECT refused('UNIQUE (code) WITH (nothing = 1)');
SELECT refused('UNIQUE (code) USING INDEX TABLESPACE nowhere');
SELECT refused('UNIQUE (id)', 'events');
SELECT error_of($$ SELECT tandem.add_constraint('m', 'orders', 'events_1', 'UNIQUE (code)') $$);
SELECT refused('PRIMARY KEY (code)', 'shop.customers');
SELECT refused('PRIMARY KEY (code)');
-- add_not_null
SELECT error_of($$ SELECT tandem.add_not_null('m', 'orders', 'nothing') $$);
SELECT error_of($$ SELECT tandem.add_not_null('m', 'orders', 'ctid') $$);
SELECT error_of($$ SELECT tandem.add_not_null('m', 'orders', NULL) $$);
SELECT error_of($$ SELECT tandem.add_not_null('m', 'events_1', 'kind') $$);

-- Not the owner's; and a key to a table that one may not refer to
CREATE ROLE add_constraint_stranger;
GRANT USAGE ON SCHEMA tandem TO add_constraint_stranger;
GRANT CREATE ON SCHEMA public TO add_constraint_stranger;
GRANT USAGE ON SCHEMA shop TO add_constraint_stranger;
SET ROLE add_constraint_stranger;
CREATE TABLE mine (customer integer);
SELECT tandem.create_migration('mine');
SELECT error_of($$ SELECT tandem.add_constraint('mine', 'orders', 'a', 'CHECK (true)') $$);
SELECT error_of($$ SELECT tandem.add_not_null('mine', 'orders', 'code') $$);
SELECT error_of($$ SELECT tandem.add_constraint('mine', 'mine', 'a', 'FOREIGN KEY (customer) REFERENCES shop.customers (id)') $$);
SELECT tandem.add_constraint('mine', 'mine', 'a', 'CHECK (customer > 0)');
RESET ROLE;
CALL tandem.abort('mine');
DROP TABLE mine;

-- A check leaves nothing: no lock, no object.
BEGIN;
SELECT tandem.add_constraint('m', 'orders', 'late', 'FOREIGN KEY (id) REFERENCES shop.customers');
SELECT tandem.add_constraint('m', 'events', 'late', 'CHECK (id > 0)');
SELECT tandem.add_constraint('m', 'events', 'late_key', 'UNIQUE (at)');
SELECT relation::regclass, mode FROM pg_locks
WHERE locktype = 'relation' AND pid = pg_backend_pid() AND relation >= 16384
	AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock');
COMMIT;
DROP FUNCTION refused;
SELECT * FROM catalog EXCEPT SELECT * FROM catalog_before;
SELECT * FROM catalog_before EXCEPT SELECT * FROM catalog;

\c postgres
DROP DATABASE add_constraint;
DROP ROLE add_constraint_stranger;
