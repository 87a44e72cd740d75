-- A down that does not give back what up was computed from loses the old value.
-- It is said at expand, of some rows, and counted by migrate and by verify.
CREATE DATABASE rows_lossy;
\c rows_lossy
SET client_min_messages = notice;
\set VERBOSITY default
CREATE EXTENSION pg_tandem;
\pset null '-'

-- The example: euros as cents, and back by an integer division.
CREATE TABLE orders (id integer PRIMARY KEY, price numeric);
INSERT INTO orders VALUES (1, 12.00), (2, 12.99), (3, NULL), (4, 5.5), (5, 7), (6, 0.01), (7, 0.02);
SELECT tandem.create_migration('cents');
SELECT tandem.add_column('cents', 'orders', 'price_cents', 'integer');
SELECT tandem.sync_column('cents', 'orders', 'price', 'price_cents',
	up => 'price * 100', down => 'price_cents / 100');
-- Rows that the trigger fills are not counted by the fill, but by verify: 8 is
-- lossy, 9 and what N has written of 7 are not.
INSERT INTO orders (id, price) VALUES (8, 0.03), (9, 3);
UPDATE orders SET price_cents = 200 WHERE id = 7;
SELECT rows_checked, rows_unfilled, rows_mismatched, rows_lossy, sample FROM tandem.verify('cents');
CALL tandem.migrate('cents');
SELECT step, rows_filled, rows_lossy, lossy_rows FROM tandem.progress
	WHERE migration = 'cents' AND step <> 'analyze';
SELECT rows_checked, rows_unfilled, rows_mismatched, rows_lossy, sample FROM tandem.verify('cents');
-- again: nothing is counted twice, and it is said again
CALL tandem.migrate('cents');
SELECT step, rows_lossy FROM tandem.progress WHERE migration = 'cents' AND step <> 'analyze';
-- once the new release has written such a row the value is gone, and no more to be lost
UPDATE orders SET price_cents = price_cents + 0 WHERE id = 4;
UPDATE orders SET price_cents = 551 WHERE id = 4;
SELECT * FROM orders WHERE id = 4;
SELECT rows_lossy FROM tandem.verify('cents');
CALL tandem.abort('cents');
