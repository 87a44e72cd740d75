-- a pair of triggers in the manner of pgroll, written from its description: each copies every column
-- into a variable, reads search_path by a SELECT to tell the releases apart, and recomputes on every write
ALTER TABLE item ADD COLUMN cents bigint;
CREATE FUNCTION item_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	id public.item.id%TYPE := NEW.id;
	price public.item.price%TYPE := NEW.price;
	stock public.item.stock%TYPE := NEW.stock;
	created public.item.created%TYPE := NEW.created;
	name public.item.name%TYPE := NEW.name;
	cents public.item.cents%TYPE := NEW.cents;
	path text;
BEGIN
	SELECT current_setting('search_path') INTO path;
	IF path <> 'public_release_2' THEN
		NEW.cents := price * 100::bigint;
	END IF;
	RETURN NEW;
END $$;
CREATE FUNCTION item_down() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	id public.item.id%TYPE := NEW.id;
	price public.item.price%TYPE := NEW.price;
	stock public.item.stock%TYPE := NEW.stock;
	created public.item.created%TYPE := NEW.created;
	name public.item.name%TYPE := NEW.name;
	cents public.item.cents%TYPE := NEW.cents;
	path text;
BEGIN
	SELECT current_setting('search_path') INTO path;
	IF path = 'public_release_2' THEN
		NEW.price := cents / 100;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER item_up BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION item_up();
CREATE TRIGGER item_down BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION item_down();
