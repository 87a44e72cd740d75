-- by hand, as one would write it: both directions, comparing OLD and NEW
ALTER TABLE item ADD COLUMN cents bigint;
CREATE FUNCTION by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		IF NEW.cents IS NULL THEN
			NEW.cents := NEW.price * 100::bigint;
		ELSIF NEW.price IS NULL THEN
			NEW.price := NEW.cents / 100;
		END IF;
	ELSIF NEW.price IS DISTINCT FROM OLD.price THEN
		NEW.cents := NEW.price * 100::bigint;
	ELSIF NEW.cents IS DISTINCT FROM OLD.cents THEN
		NEW.price := NEW.cents / 100;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER by_hand BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION by_hand();
