-- A collation to which other spellings are equal: agreement is by the type's
-- equality, change by image.
-- Only where the server has ICU.
SELECT NOT EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i') AS no_icu \gset
\if :no_icu
	\quit
\endif
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA collated_text;
SET search_path = collated_text;

CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE collated (id integer PRIMARY KEY, old text);
INSERT INTO collated VALUES (1, 'One'), (2, 'Two');
BEGIN;
SELECT tandem.create_migration('collated');
ALTER TABLE collated ADD COLUMN new text COLLATE caseless;
SELECT tandem.sync_column('collated', 'collated', 'old', 'new', 'upper(old)', 'new');
COMMIT;
-- agree: 'ten' = 'TEN' here
INSERT INTO collated VALUES (3, 'Ten', 'ten');
UPDATE collated SET new = 'oNE' WHERE id = 1;
-- the case alone is a change, and is followed
UPDATE collated SET new = 'one' WHERE id = 1;
INSERT INTO collated VALUES (4, 'Four', 'five');
CALL tandem.migrate('collated');
SELECT * FROM collated ORDER BY id;

DROP SCHEMA collated_text CASCADE;
DROP EXTENSION pg_tandem;
