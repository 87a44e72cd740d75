-- up that is volatile, and up that needs a query.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA volatile_up;
SET search_path = volatile_up;

-- A volatile up fills, and is not asked again: not by a row that is saved
-- again, nor by the backfill, nor by verify.
CREATE TABLE account (id integer PRIMARY KEY, old integer, note text);
INSERT INTO account SELECT i, i FROM generate_series(1, 5) i;
BEGIN;
SELECT tandem.create_migration('uuid');
ALTER TABLE account ADD COLUMN new uuid;
SET client_min_messages = notice;
SELECT tandem.sync_column('uuid', 'account', 'old', 'new', up => 'gen_random_uuid()');
SET client_min_messages = warning;
COMMIT;
INSERT INTO account (id, old) VALUES (6, 6);
INSERT INTO account (id) VALUES (7);
INSERT INTO account (id, new) VALUES (8, '00000000-0000-0000-0000-000000000008');
-- both written: nothing can be said against it
INSERT INTO account (id, old, new) VALUES (9, 9, '00000000-0000-0000-0000-000000000009');
UPDATE account SET note = 'neither' WHERE id = 1;
UPDATE account SET old = 20, new = '00000000-0000-0000-0000-000000000002' WHERE id = 2;
CREATE TABLE written AS SELECT id, new FROM account WHERE new IS NOT NULL;
SELECT count(*), count(DISTINCT new), string_agg(id::text, ',' ORDER BY id) FROM written;
UPDATE account SET note = 'again', old = old;
SELECT count(*), count(DISTINCT new) FROM account;
SELECT count(*) AS kept FROM written JOIN account USING (id, new);
DROP TABLE written;
CREATE TABLE written AS SELECT id, new FROM account;
-- only old changed: up gives a new one
UPDATE account SET old = 30 WHERE id = 3;
SELECT w.id FROM written w JOIN account a USING (id) WHERE w.new <> a.new;
INSERT INTO account VALUES (10, 10, NULL), (11, 11, NULL);
CALL tandem.migrate('uuid');
SELECT rows_unfilled, rows_mismatched FROM tandem.verify('uuid');
CALL tandem.contract('uuid');
SELECT count(*), count(DISTINCT new) FROM account;

-- The backfill alone fills with a volatile up, each row with its own value.
CREATE TABLE untouched AS SELECT i AS old FROM generate_series(1, 1000) i;
BEGIN;
SELECT tandem.create_migration('untouched');
ALTER TABLE untouched ADD COLUMN new uuid;
SELECT tandem.sync_column('untouched', 'untouched', 'old', 'new', 'gen_random_uuid()');
COMMIT;
SELECT rows_unfilled, rows_mismatched FROM tandem.verify('untouched');
CALL tandem.migrate('untouched');
SELECT count(*), count(DISTINCT new) FROM untouched;

-- With a down, that judges: old and new written in disagreement with it.
CREATE TABLE judged (old integer);
BEGIN;
SELECT tandem.create_migration('judged');
ALTER TABLE judged ADD COLUMN new integer;
SELECT tandem.sync_column('judged', 'judged', 'old', 'new',
	up => 'old * 10 + (random() * 9)::integer', down => 'new / 10');
COMMIT;
INSERT INTO judged VALUES (1, 15), (2, 20);
INSERT INTO judged VALUES (3, 40);
INSERT INTO judged VALUES (4);
UPDATE judged SET new = 55 WHERE old = 4;
SELECT * FROM judged ORDER BY old;

-- A lossy one, whose down does not agree with what up has given, is proved by
-- every row being filled, so that its release becomes ready.
CREATE TABLE lossy_volatile (id integer PRIMARY KEY, old numeric, new integer);
INSERT INTO lossy_volatile (id, old) VALUES (1, 1.5), (2, 2), (3, NULL);
SELECT tandem.create_migration('lossy_volatile', release => 42);
SELECT tandem.sync_column('lossy_volatile', 'lossy_volatile', 'old', 'new',
	up => 'coalesce(old, 0) + (random() * 0)::integer', down => 'new');
SELECT rows_unfilled, rows_mismatched, rows_lossy FROM tandem.verify('lossy_volatile');
SELECT healthy, state FROM tandem.health(42);
CALL tandem.migrate('lossy_volatile');
SELECT * FROM lossy_volatile ORDER BY id;
SELECT rows_unfilled, rows_mismatched, rows_lossy FROM tandem.verify('lossy_volatile');
SELECT healthy, state FROM tandem.health(42);
CALL tandem.contract('lossy_volatile', undeclared => 'ignore');
SELECT * FROM lossy_volatile ORDER BY id;

-- Hazard: a transform that needs a query.
-- up that needs a query: a private image with members becomes 'shared'.
CREATE TABLE images (id integer PRIMARY KEY, is_public boolean);
CREATE TABLE members (image integer REFERENCES images, member text);
INSERT INTO images VALUES (1, true), (2, false), (3, false), (4, true);
INSERT INTO members VALUES (3, 'ada'), (3, 'bob'), (4, 'eve');
BEGIN;
SELECT tandem.create_migration('visibility');
ALTER TABLE images ADD COLUMN visibility text;
-- written as a subquery the error says so, and where to put it
SAVEPOINT before_subquery;
SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility',
	up => $$ CASE WHEN is_public THEN 'public'
		WHEN EXISTS (SELECT FROM members WHERE image = images.id) THEN 'shared' ELSE 'private' END $$,
	down => $$ visibility = 'public' $$);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO before_subquery;
CREATE FUNCTION visibility(id integer, is_public boolean) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = volatile_up AS $$
BEGIN
	IF is_public THEN
		RETURN 'public';
	END IF;
	PERFORM FROM members WHERE image = visibility.id;
	RETURN CASE WHEN FOUND THEN 'shared' ELSE 'private' END;
END $$;
SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility',
	up => 'visibility(id, is_public)', down => $$ visibility = 'public' $$);
COMMIT;
-- written by the old release: of an image that has members, of one that has none
UPDATE images SET is_public = false WHERE id = 4;
INSERT INTO images VALUES (5, false);
UPDATE images SET is_public = true WHERE id = 3;
CALL tandem.migrate('visibility');
SELECT * FROM images ORDER BY id;
-- Hazard: logical apply has an empty search_path.
-- The trigger of a writer with an empty search_path finds the function and its table.
SET search_path = '';
UPDATE volatile_up.images SET is_public = false WHERE id = 3;
SET search_path = volatile_up;
SELECT * FROM images WHERE id = 3;
-- a function that is replaced counts from the next statement on, also one
-- whose body was taken into the expression
CREATE OR REPLACE FUNCTION visibility(id integer, is_public boolean) RETURNS text
LANGUAGE sql STABLE RETURN CASE WHEN is_public THEN 'public' ELSE 'community' END;
UPDATE images SET is_public = true WHERE id = 3;
UPDATE images SET is_public = false WHERE id = 3;
SELECT * FROM images WHERE id = 3;
CREATE OR REPLACE FUNCTION visibility(id integer, is_public boolean) RETURNS text
LANGUAGE sql STABLE RETURN CASE WHEN is_public THEN 'public' ELSE 'members only' END;
UPDATE images SET is_public = true WHERE id = 3;
UPDATE images SET is_public = false WHERE id = 3;
SELECT * FROM images WHERE id = 3;

-- The other forms that are not an expression over one row
SELECT tandem.create_migration('refused');
ALTER TABLE images ADD COLUMN other text;
\set VERBOSITY terse
SELECT tandem.sync_column('refused', 'images', 'is_public', 'other', 'max(id)::text');
SELECT tandem.sync_column('refused', 'images', 'is_public', 'other', 'row_number() OVER ()::text');
SELECT tandem.sync_column('refused', 'images', 'is_public', 'other', 'generate_series(1, id)::text');
SELECT tandem.sync_column('refused', 'images', 'is_public', 'other', 'id, id');
SELECT tandem.sync_column('refused', 'images', 'is_public', 'other', $$ 'a' FROM images $$);
SELECT tandem.sync_column('refused', 'images', 'is_public', 'other', 'xmin::text');
SELECT tandem.sync_column('refused', 'images', 'is_public', 'other', $$ 'a' $$, 'ARRAY(SELECT true)');

DROP SCHEMA volatile_up CASCADE;
DROP EXTENSION pg_tandem;
