-- A lossy mapping: is_public becomes visibility, which knows more than two
-- values.  What the old release cannot say it must not undo.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA lossy;
SET search_path = lossy;

CREATE TABLE images (id integer PRIMARY KEY, name text, is_public boolean DEFAULT false);
INSERT INTO images SELECT i, 'image ' || i, i % 2 = 0 FROM generate_series(1, 12) i;
BEGIN;
SELECT tandem.create_migration('visibility', release => 42);
ALTER TABLE images ADD COLUMN visibility text
	CHECK (visibility IN ('public', 'private', 'shared', 'community'));
SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility',
	up => $$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$,
	down => $$ visibility = 'public' $$);
COMMIT;

-- the new release shares an image that nobody has filled
UPDATE images SET visibility = 'shared' WHERE id = 1;
SELECT * FROM images WHERE id = 1;
-- Hazard: a lossy value undone by an update of the old release.
-- the old release saves the whole row again, unchanged: the row stays
UPDATE images SET id = 1, name = 'image 1', is_public = false WHERE id = 1;
SELECT * FROM images WHERE id = 1;
-- it changes another column: so does visibility
UPDATE images SET name = 'renamed', is_public = false WHERE id = 1;
SELECT * FROM images WHERE id = 1;
-- it saves by INSERT ON CONFLICT, where is_public is at its default
INSERT INTO images (id, name, is_public) VALUES (1, 'saved', false)
	ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, is_public = EXCLUDED.is_public;
SELECT * FROM images WHERE id = 1;
-- it flips is_public, and back: only that touches visibility
UPDATE images SET is_public = true WHERE id = 1;
SELECT * FROM images WHERE id = 1;
UPDATE images SET is_public = false WHERE id = 1;
SELECT * FROM images WHERE id = 1;
-- between two values that are the same to it, is_public stays
UPDATE images SET visibility = 'community' WHERE id = 1;
UPDATE images SET visibility = 'shared' WHERE id = 1;
SELECT * FROM images WHERE id = 1;

-- An explicit NULL of a new writer survives the backfill, as an INSERT or an
-- UPDATE of a filled row; so does what the old release saves over it.
SET tandem.release = 42;
INSERT INTO images (id, visibility) VALUES (21, NULL);
RESET tandem.release;
UPDATE images SET visibility = 'shared' WHERE id IN (2, 3);
UPDATE images SET visibility = NULL WHERE id IN (2, 3);
UPDATE images SET name = 'saved again', is_public = is_public WHERE id = 3;
CALL tandem.migrate('visibility');
SELECT * FROM images WHERE id IN (1, 2, 3, 21) ORDER BY id;
-- all others were filled by up, once
SELECT count(*), bool_and(visibility = CASE WHEN is_public THEN 'public' ELSE 'private' END)
FROM images WHERE id NOT IN (1, 2, 3, 21);
SELECT rows_filled, rows_unfilled, rows_mismatched FROM tandem.progress WHERE migration = 'visibility';
-- the old release writes on, over what is filled
UPDATE images SET name = 'unchanged' WHERE id IN (2, 4);
UPDATE images SET is_public = true WHERE id = 3;
SELECT * FROM images WHERE id IN (2, 3, 4) ORDER BY id;

-- The same when the table is rewritten between expand and migrate.  Rows that
-- nobody wrote are no shorter any more; all new columns NULL now means
-- unfilled.  So every such row is still filled, and what a writer put into the
-- new column survives, but for an explicit NULL: it cannot be told from an
-- unfilled row, and gets what up says of the row.
CREATE TABLE rewritten (id integer PRIMARY KEY, is_public boolean DEFAULT false);
INSERT INTO rewritten SELECT i, i % 2 = 0 FROM generate_series(1, 1000) i;
CREATE TABLE clustered (LIKE rewritten INCLUDING ALL);
INSERT INTO clustered SELECT * FROM rewritten;
CREATE TABLE half (LIKE rewritten INCLUDING ALL);
INSERT INTO half SELECT * FROM rewritten;
CREATE PROCEDURE expand(tab text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tandem.create_migration(tab);
	PERFORM tandem.add_column(tab, tab, 'visibility', 'text');
	PERFORM tandem.sync_column(tab, tab, 'is_public', 'visibility',
		up => $up$ CASE WHEN is_public THEN 'public' ELSE 'private' END $up$,
		down => $down$ visibility = 'public' $down$);
	-- writers before the rewrite: 1, 2 by the new release, 3 by the old one
	EXECUTE format('UPDATE %I SET visibility = $1 WHERE id IN (1, 2)', tab) USING 'shared';
	EXECUTE format('UPDATE %I SET visibility = NULL WHERE id = 2', tab);
	EXECUTE format('UPDATE %I SET is_public = true WHERE id = 3', tab);
END $$;
CREATE FUNCTION check_filled(tab text) RETURNS TABLE (written text, filled bigint, as_up_says bigint)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format(
		$sql$ SELECT string_agg(coalesce(visibility, 'null'), ',' ORDER BY id) FILTER (WHERE id <= 3),
			count(visibility), count(*) FILTER (WHERE id > 3
				AND visibility = CASE mod(id, 2) WHEN 0 THEN 'public' ELSE 'private' END)
		FROM %I $sql$, tab);
END $$;
CALL expand('rewritten');
CALL expand('clustered');
CALL expand('half');
VACUUM FULL rewritten;
CLUSTER clustered USING clustered_pkey;
-- a writer after the rewrite that changes neither fills the row
UPDATE rewritten SET id = id WHERE id = 4;
SELECT id, visibility FROM rewritten WHERE id IN (4, 5) ORDER BY id;
CALL tandem.migrate('rewritten');
CALL tandem.migrate('clustered');
SELECT * FROM check_filled('rewritten') UNION ALL SELECT * FROM check_filled('clustered');

-- A rewrite after the backfill harms nothing; a second migrate has nothing to do.
CALL tandem.migrate('half');
VACUUM FULL half;
CALL tandem.migrate('half');
SELECT * FROM check_filled('half');
-- Hazard: a default hides which rows are unfilled.
-- and a column added with a constant default: the default is what is unfilled
CREATE TABLE with_default (id integer PRIMARY KEY, is_public boolean);
INSERT INTO with_default VALUES (1, true), (2, false), (3, true);
BEGIN;
SELECT tandem.create_migration('with_default');
ALTER TABLE with_default ADD COLUMN visibility text DEFAULT 'private';
SELECT tandem.sync_column('with_default', 'with_default', 'is_public', 'visibility',
	up => $$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$,
	down => $$ visibility = 'public' $$);
COMMIT;
UPDATE with_default SET visibility = 'shared' WHERE id = 2;
VACUUM FULL with_default;
CALL tandem.migrate('with_default');
SELECT * FROM with_default ORDER BY id;

-- A column that was there before, and rows written in the transaction of the
-- expand before it made the sync: their length says nothing, they are filled.
CREATE TABLE was_there (id integer PRIMARY KEY, is_public boolean, visibility text);
INSERT INTO was_there VALUES (1, true), (2, false);
SELECT tandem.create_migration('was_there'), tandem.create_migration('just_written');
SELECT tandem.sync_column('was_there', 'was_there', 'is_public', 'visibility',
	up => $$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$,
	down => $$ visibility = 'public' $$);
CREATE TABLE just_written (id integer PRIMARY KEY, is_public boolean);
INSERT INTO just_written VALUES (1, true);
BEGIN;
ALTER TABLE just_written ADD COLUMN visibility text;
INSERT INTO just_written VALUES (2, false);
SELECT tandem.sync_column('just_written', 'just_written', 'is_public', 'visibility',
	up => $$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$,
	down => $$ visibility = 'public' $$);
COMMIT;
-- another command in between takes nothing away from that
CREATE TABLE altered_too (id integer PRIMARY KEY, is_public boolean);
INSERT INTO altered_too VALUES (1, true);
SELECT tandem.create_migration('altered_too');
BEGIN;
ALTER TABLE altered_too ADD COLUMN visibility text;
INSERT INTO altered_too VALUES (3, false);
GRANT SELECT ON altered_too TO PUBLIC;
SELECT tandem.sync_column('altered_too', 'altered_too', 'is_public', 'visibility',
	up => $$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$,
	down => $$ visibility = 'public' $$);
COMMIT;
CALL tandem.migrate('altered_too');
SELECT * FROM altered_too ORDER BY id;
CALL tandem.migrate('was_there');
CALL tandem.migrate('just_written');
SELECT * FROM was_there UNION ALL SELECT * FROM just_written ORDER BY id, visibility;

SELECT migration, kind, rows_unfilled, rows_mismatched FROM
	(SELECT migration, step AS kind, rows_unfilled, rows_mismatched, state FROM tandem.progress) p
WHERE state <> 'done' OR rows_unfilled + rows_mismatched > 0;


-- When all rows have been filled none is unfilled any more, though its values look so: what a
-- release writes then stays, also of a column that is older than the sync, and after a rewrite.
CREATE TABLE filled (id integer PRIMARY KEY, is_public boolean, note text, visibility text DEFAULT 'shared');
INSERT INTO filled VALUES (1, false, NULL, 'private'), (2, false, NULL, NULL), (3, true, NULL, 'shared');
SELECT tandem.create_migration('filled');
SELECT tandem.sync_column('filled', 'filled', 'is_public', 'visibility',
	$$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$, $$ coalesce(visibility, '') = 'public' $$);
CALL tandem.migrate('filled');
SELECT * FROM filled ORDER BY id;
UPDATE filled SET visibility = 'shared' WHERE id = 1;
UPDATE filled SET visibility = NULL WHERE id = 2;
UPDATE filled SET note = 'saved again';
VACUUM FULL filled;
UPDATE filled SET note = 'and again';
SELECT * FROM filled ORDER BY id;
CALL tandem.migrate('filled');
SELECT * FROM filled ORDER BY id;
CALL tandem.contract('filled');
SELECT * FROM filled ORDER BY id;

DROP SCHEMA lossy CASCADE;
DROP EXTENSION pg_tandem;
