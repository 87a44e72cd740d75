-- A proof holds while what the rules use is what it was when verify ran.  A
-- function that is replaced voids it; refill computes again what the former one
-- has filled.
CREATE DATABASE proof;
\c proof
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
\pset null '-'

CREATE FUNCTION to_cents(numeric) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN trunc($1 * 100); END $$;
CREATE FUNCTION to_euros(integer) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN $1 / 100.0; END $$;
CREATE TABLE orders (id integer PRIMARY KEY, price numeric);
INSERT INTO orders VALUES (1, 12.00), (2, 12.999), (3, NULL), (4, 0.019);
SELECT tandem.create_migration('cents', release => 42);
SELECT tandem.add_column('cents', 'orders', 'price_cents', 'integer');
SELECT tandem.sync_column('cents', 'orders', 'price', 'price_cents', 'to_cents(price)', 'to_euros(price_cents)');
CALL tandem.migrate('cents');
SELECT phase FROM tandem.migrations;
SELECT healthy, reason, state FROM tandem.health(42);
-- the new release writes a value of its own, which up would not give
UPDATE orders SET price_cents = 700 WHERE id = 1;
-- a GRANT, or the same text again, changes nothing that was proved
GRANT EXECUTE ON FUNCTION to_cents TO PUBLIC;
CREATE OR REPLACE FUNCTION to_cents(numeric) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN trunc($1 * 100); END $$;
CALL tandem.migrate('cents', if_running => 'wait');

-- The function is replaced: the release that was ready stays ready, contract
-- asks for verify, and migrate says which rows it has filled otherwise.
CREATE OR REPLACE FUNCTION to_cents(numeric) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN round($1 * 100); END $$;
SELECT healthy, reason, state FROM tandem.health(42);
CALL tandem.contract('cents', undeclared => 'ignore');
CALL tandem.migrate('cents', if_running => 'wait');
SELECT phase FROM tandem.migrations;
SELECT healthy, reason, state FROM tandem.health(42);
SELECT rows_unfilled, rows_mismatched, rows_lossy FROM tandem.verify('cents');

-- refill sets these, and no others: not 1, which N has given
SET client_min_messages = notice;
SELECT tandem.refill('cents');
SET client_min_messages = warning;
SELECT step, state FROM tandem.progress WHERE step <> 'analyze';
SELECT * FROM orders ORDER BY id;
CALL tandem.migrate('cents');
SELECT * FROM orders ORDER BY id;
SELECT step, state, rows_filled, rows_mismatched FROM tandem.progress WHERE step <> 'analyze';
SELECT action, phase_before, phase_after FROM tandem.history WHERE migration = 'cents';
SELECT refill FROM tandem.step WHERE refill;
-- it may be called again, and finds nothing
SELECT tandem.refill('cents');
CALL tandem.migrate('cents');
SELECT step, rows_filled FROM tandem.progress WHERE step = 'backfill';
CALL tandem.contract('cents', undeclared => 'ignore');
SELECT * FROM orders ORDER BY id;
SELECT tandem.refill('cents');
