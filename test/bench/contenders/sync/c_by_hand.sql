-- a C trigger written for this one table (test/bench/c_triggers): the least that setting the column can cost
ALTER TABLE item ADD COLUMN cents bigint;
CREATE FUNCTION by_hand() RETURNS trigger LANGUAGE c AS :'c_triggers', 'by_hand';
CREATE TRIGGER by_hand BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION by_hand();
