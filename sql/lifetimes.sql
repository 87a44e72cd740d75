-- What the sync keeps from one statement to the next is never what a statement
-- must not see: nor after an error, in a statement within a statement, or when
-- what up calls has changed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_tandem;
CREATE SCHEMA lifetimes;
SET search_path = lifetimes, public;

CREATE TABLE kept (id int PRIMARY KEY, price int);
BEGIN;
SELECT tandem.create_migration('lifetimes');
ALTER TABLE kept ADD cents bigint;
SELECT tandem.sync_column('lifetimes', 'kept', 'price', 'cents', 'price * 100', 'cents / 100');
COMMIT;
CREATE FUNCTION memory() RETURNS bigint LANGUAGE sql AS
	$$ SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name LIKE 'tandem%' $$;

-- memory does not grow with statements
CREATE FUNCTION write_often(times int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. times LOOP
		UPDATE kept SET price = i WHERE id = 1;
		UPDATE kept SET cents = i WHERE id = 1;
	END LOOP;
END $$;
INSERT INTO kept VALUES (1, 1);
SELECT write_often(10);
SELECT memory() AS before \gset
SELECT write_often(2000);
SELECT memory() - :before AS grown;

-- an error in the middle of up, and in a subtransaction; memory comes back
CREATE TABLE fails (id int PRIMARY KEY, part int);
BEGIN;
SELECT tandem.create_migration('lifetimes_fails');
ALTER TABLE fails ADD share int;
SELECT tandem.sync_column('lifetimes_fails', 'fails', 'part', 'share', '100 / part', '100 / share');
COMMIT;
CREATE FUNCTION fail_often(times int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. times LOOP
		BEGIN
			INSERT INTO fails VALUES (-1, 5), (-2, 0);
			RAISE 'it did not fail';
		EXCEPTION WHEN division_by_zero THEN
			INSERT INTO fails VALUES (i, 5) ON CONFLICT (id) DO UPDATE SET part = 4;
		END;
	END LOOP;
END $$;
SELECT fail_often(10);
SELECT memory() AS before \gset
SELECT fail_often(200);
SELECT memory() - :before AS grown;
INSERT INTO fails VALUES (1000, 0);
INSERT INTO fails VALUES (1000, 10);
SELECT part, share, count(*) FROM fails GROUP BY 1, 2 ORDER BY 1;

-- a statement within a statement on the same table: by an AFTER trigger, and by up
CREATE FUNCTION write_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id < 104 THEN
		INSERT INTO kept (id, price) VALUES (NEW.id + 1, NEW.price + 1);
		UPDATE kept SET cents = cents + 100 WHERE id = NEW.id;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER again AFTER INSERT ON kept FOR EACH ROW EXECUTE FUNCTION write_again();
INSERT INTO kept (id, price) SELECT i, i FROM generate_series(100, 105, 5) i;
DROP TRIGGER again ON kept;
SELECT * FROM kept WHERE id >= 100 ORDER BY id;

CREATE TABLE nested (id int PRIMARY KEY, a int);
CREATE FUNCTION nest(id int, a int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF a > 0 THEN
		INSERT INTO lifetimes.nested (id, a) VALUES (nest.id + 1, nest.a - 1);
	END IF;
	RETURN a * 10;
END $$;
BEGIN;
SELECT tandem.create_migration('lifetimes_nested');
ALTER TABLE nested ADD b int, ADD c int;
SELECT tandem.sync_columns('lifetimes_nested', 'nested', '{a}', '{b,c}', '{a + 1,"nest(id, a)"}', '{b - 1}');
COMMIT;
INSERT INTO nested VALUES (1, 2), (11, 1);
INSERT INTO nested VALUES (21, 0);
SELECT * FROM nested ORDER BY id;

-- what an SQL function keeps holds for a statement only
CREATE SCHEMA lifetimes_a;
CREATE SCHEMA lifetimes_b;
CREATE FUNCTION lifetimes_a.rate() RETURNS int LANGUAGE sql AS 'SELECT 10';
CREATE FUNCTION lifetimes_b.rate() RETURNS int LANGUAGE sql AS 'SELECT 20';
CREATE FUNCTION rated(price int) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN price; END';
CREATE FUNCTION rated_here(price int) RETURNS bigint LANGUAGE sql VOLATILE STRICT AS $$ SELECT price * 1::bigint; $$;
CREATE TABLE rates (id int PRIMARY KEY, price int);
-- whatever path the writers have, it runs under the one that the sync was made with
BEGIN;
SET LOCAL search_path = lifetimes, lifetimes_a;
SELECT tandem.create_migration('lifetimes_rates');
ALTER TABLE rates ADD cents bigint, ADD cents2 bigint;
SELECT tandem.sync_column('lifetimes_rates', 'rates', 'price', 'cents', 'rated_here(price)', 'cents', keep_old => true);
SELECT tandem.sync_column('lifetimes_rates', 'rates', 'price', 'cents2', 'rated(price)', 'cents2');
COMMIT;
SET check_function_bodies = off;
CREATE OR REPLACE FUNCTION rated_here(price int) RETURNS bigint LANGUAGE sql VOLATILE STRICT AS $$ SELECT price * rate()::bigint; $$;
CREATE OR REPLACE FUNCTION rated(price int) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN price + 1; END';
BEGIN;
SET LOCAL search_path = lifetimes, lifetimes_a;
INSERT INTO rates VALUES (1, 1) RETURNING *;
SET LOCAL search_path = lifetimes, lifetimes_b;
INSERT INTO rates VALUES (2, 1) RETURNING *;
CREATE OR REPLACE FUNCTION lifetimes_a.rate() RETURNS int LANGUAGE sql AS 'SELECT 30';
CREATE OR REPLACE FUNCTION rated(price int) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN price + 2; END';
INSERT INTO rates VALUES (3, 1) RETURNING *;
COMMIT;

-- A function finds what its owner means, and leaves nothing set, whether the writer's path reads like the recorded
-- one or not, and whether the session has a temporary schema.
CREATE TABLE factor (f int);
INSERT INTO factor VALUES (100);
CREATE FUNCTION by_factor(price int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	result bigint := (SELECT price * f FROM factor);
BEGIN
	PERFORM set_config('search_path', 'pg_catalog', false), set_config('lifetimes.tag', 'by_factor', false);
	IF price < 0 THEN
		RAISE EXCEPTION 'negative';
	END IF;
	RETURN result;
END $$;
CREATE FUNCTION what_is_set() RETURNS text LANGUAGE sql
	AS $$ SELECT format('%s|%s|%s', current_setting('search_path'), current_setting('lifetimes.tag', true), current_user) $$;
CREATE TABLE found (id int PRIMARY KEY, price int);
BEGIN;
SELECT tandem.create_migration('lifetimes_found');
ALTER TABLE found ADD cents bigint;
SELECT tandem.sync_column('lifetimes_found', 'found', 'price', 'cents', 'by_factor(price)', 'cents / 100');
COMMIT;
CREATE FUNCTION write_found(first int) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY INSERT INTO lifetimes.found VALUES (first, 1), (first + 1, 2) RETURNING format('%s %s', cents, lifetimes.what_is_set());
	BEGIN
		INSERT INTO lifetimes.found VALUES (first + 2, 3), (first + 3, -1);
	EXCEPTION WHEN raise_exception THEN
		RETURN NEXT format('%s %s', SQLERRM, lifetimes.what_is_set());
	END;
END $$;
SELECT write_found(1);
SELECT what_is_set();
SET search_path = public, lifetimes;
SELECT write_found(11);
SET search_path = lifetimes, public;
CREATE TEMP TABLE factor (f int);
INSERT INTO factor VALUES (7);
SELECT write_found(21);
SET search_path = lifetimes, public, pg_temp;
SELECT write_found(31);
SET search_path = lifetimes, public;
DROP TABLE pg_temp.factor;
SELECT write_found(41);
BEGIN;
SET LOCAL lifetimes.tag = 'the writer';
SELECT write_found(51);
COMMIT;

-- an inlined function replaced in the middle of a statement: from the next one on
CREATE TABLE replaced (id int PRIMARY KEY, price int);
CREATE FUNCTION to_cents(price int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT price * 100::bigint';
CREATE FUNCTION replace_at(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF i = 2 THEN
		CREATE OR REPLACE FUNCTION lifetimes.to_cents(price int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT price * 1000::bigint';
	END IF;
	RETURN i;
END $$;
BEGIN;
SELECT tandem.create_migration('lifetimes_replaced');
ALTER TABLE replaced ADD cents bigint;
SELECT tandem.sync_column('lifetimes_replaced', 'replaced', 'price', 'cents', 'to_cents(price)', 'cents / 100');
COMMIT;
INSERT INTO replaced (id, price) SELECT i, replace_at(i) FROM generate_series(1, 3) i RETURNING *;
INSERT INTO replaced (id, price) VALUES (4, 4) RETURNING *;

-- the rules change while a portal is open that writes the table
CREATE FUNCTION write_price(i int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE written text;
BEGIN
	INSERT INTO replaced (id, price) VALUES (i, i) RETURNING replaced::text INTO written;
	RETURN written;
END $$;
BEGIN;
DECLARE writes NO SCROLL CURSOR FOR SELECT write_price(i) FROM generate_series(10, 13) i;
FETCH 2 FROM writes;
SELECT tandem.create_migration('lifetimes_later');
ALTER TABLE replaced ADD dimes bigint;
SELECT tandem.sync_column('lifetimes_later', 'replaced', 'cents', 'dimes', 'cents / 10', 'dimes * 10');
FETCH 1 FROM writes;
SAVEPOINT s;
CALL tandem.abort('lifetimes_later');
FETCH 1 FROM writes;
COMMIT;

-- a domain and a type that change
CREATE DOMAIN small AS bigint CHECK (VALUE < 1000);
CREATE TABLE checked (id int PRIMARY KEY, price int);
BEGIN;
SELECT tandem.create_migration('lifetimes_checked');
ALTER TABLE checked ADD cents small;
SELECT tandem.sync_column('lifetimes_checked', 'checked', 'price', 'cents', 'price * 100::bigint', 'cents / 100');
COMMIT;
BEGIN;
INSERT INTO checked VALUES (1, 5);
ALTER DOMAIN small ADD CHECK (VALUE <> 600);
INSERT INTO checked VALUES (2, 6);
ROLLBACK;
INSERT INTO checked VALUES (2, 6);

-- the owner's rights are looked up, not the writer's, whoever owned it before
CREATE ROLE lifetimes_writer;
CREATE ROLE lifetimes_owner;
GRANT USAGE, CREATE ON SCHEMA lifetimes TO lifetimes_owner;
GRANT USAGE ON SCHEMA lifetimes TO lifetimes_writer;
GRANT INSERT, UPDATE, SELECT ON kept, replaced TO lifetimes_writer;
SET ROLE lifetimes_writer;
INSERT INTO lifetimes.kept VALUES (200, 2) RETURNING *;
RESET ROLE;
BEGIN;
REVOKE EXECUTE ON FUNCTION pg_catalog.int4mul(int, int) FROM PUBLIC;
INSERT INTO kept VALUES (201, 2) RETURNING *;
SET LOCAL ROLE lifetimes_writer;
INSERT INTO kept VALUES (202, 2) RETURNING *;
RESET ROLE;
ALTER TABLE kept OWNER TO lifetimes_owner;
INSERT INTO kept VALUES (203, 2);
ROLLBACK;
SET ROLE lifetimes_writer;
INSERT INTO kept VALUES (202, 2) RETURNING *;
RESET ROLE;

-- and settings; DISCARD ALL drops plans, not rules
CREATE TABLE dated (id int PRIMARY KEY, at date);
BEGIN;
SELECT tandem.create_migration('lifetimes_dated');
ALTER TABLE dated ADD text text, ADD zoned timestamptz;
SELECT tandem.sync_column('lifetimes_dated', 'dated', 'at', 'text', 'at::text', 'text::date', keep_old => true);
SELECT tandem.sync_column('lifetimes_dated', 'dated', 'at', 'zoned', 'at::timestamptz', 'zoned::date');
COMMIT;
SET datestyle = 'ISO';
SET timezone = 'UTC';
INSERT INTO dated VALUES (1, '2024-02-01');
SET datestyle = 'German';
SET timezone = 'Asia/Tokyo';
INSERT INTO dated VALUES (2, '01.02.2024');
DISCARD ALL;
SET search_path = lifetimes, public;
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
INSERT INTO dated VALUES (3, '2024-02-01');
SELECT * FROM dated ORDER BY id;

DROP TABLE kept, fails, nested, rates, found, factor, replaced, checked, dated;
DROP OWNED BY lifetimes_writer, lifetimes_owner;
DROP ROLE lifetimes_writer, lifetimes_owner;
DROP SCHEMA lifetimes, lifetimes_a, lifetimes_b CASCADE;
