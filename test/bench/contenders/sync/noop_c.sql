-- a C trigger that does nothing (test/bench/c_triggers); the statements write both columns themselves
ALTER TABLE item ADD COLUMN cents bigint;
CREATE FUNCTION noop() RETURNS trigger LANGUAGE c AS :'c_triggers', 'noop';
CREATE TRIGGER noop BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION noop();
