-- one transaction of the application: one item is repriced, read and sold
\set id random(1, :rows)
\set delta random(-5, 5)
BEGIN;
UPDATE item SET price = price + :delta WHERE id = :id;
SELECT price, name FROM item WHERE id = :id;
INSERT INTO sale (item, price, at) VALUES (:id, :delta, CURRENT_TIMESTAMP);
END;
