-- A script that is run again: what the migration has already is passed over, in every phase; what was
-- asked for with other arguments is an error that names both.
\set SHOW_CONTEXT never
CREATE DATABASE idempotent;
\c idempotent
CREATE EXTENSION pg_tandem;
\pset null '-'

CREATE TABLE images (id integer PRIMARY KEY, is_public boolean NOT NULL DEFAULT false, a int, b int);
INSERT INTO images SELECT i, i % 3 = 0, i, i FROM generate_series(1, 10) i;

-- The script of a release, as each of its nodes runs it.
CREATE PROCEDURE expand() LANGUAGE plpgsql AS $script$
BEGIN
	PERFORM tandem.create_migration('visibility', release => 42, comment => 'shared images');
	PERFORM tandem.add_column('visibility', 'images', 'visibility', 'varchar(10)');
	PERFORM tandem.add_column('visibility', 'images', 'c', 'int');
	ALTER TABLE images ADD COLUMN IF NOT EXISTS d int;
	PERFORM tandem.sync_column('visibility', 'images', old => 'is_public', new => 'visibility',
		up => $$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$,
		down => $$ visibility = 'public' $$);
	PERFORM tandem.sync_columns('visibility', 'images', old => '{a,b}', new => '{c,d}',
		up => '{a + b, b}', down => '{c - d, NULL}', on_conflict => 'new');
	PERFORM tandem.add_index('visibility', 'CREATE INDEX images_visibility_idx ON images (visibility)');
	PERFORM tandem.add_index('visibility', 'CREATE INDEX ON images (c)');
	PERFORM tandem.add_not_null('visibility', 'images', 'visibility');
	PERFORM tandem.add_constraint('visibility', 'images', 'known', 'CHECK (visibility <> '''')');
END $script$;

-- what there is, without what differs from run to run
CREATE VIEW status AS
	SELECT m.name, m.release, m.comment, m.phase, m.syncs,
		(SELECT count(*) FROM tandem.progress p WHERE p.migration = m.name) AS steps,
		(SELECT count(*) FROM tandem.history h WHERE h.migration = m.name) AS events,
		(SELECT count(*) FROM pg_trigger WHERE tgrelid = 'images'::regclass) AS triggers
	FROM tandem.migrations m;

-- What the NOTICEs of a run tell, without their times.
CREATE VIEW told AS
	SELECT migration, step, rows_done, rows_filled, rows_unfilled, rows_mismatched FROM tandem.progress
	WHERE step IN ('backfill', 'verify');

-- Calls a statement and says what came of it.
CREATE PROCEDURE try(statement text) LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RAISE INFO 'taken';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RAISE INFO USING MESSAGE = SQLSTATE || ' ' || message, DETAIL = detail, HINT = hint;
END $$;

-- Each of the calls with another argument.
CREATE PROCEDURE try_others() LANGUAGE plpgsql AS $script$
DECLARE
	statement text;
BEGIN
	FOREACH statement IN ARRAY ARRAY[
		$$SELECT tandem.create_migration('visibility', release => 43, comment => 'shared images')$$,
		$$SELECT tandem.create_migration('visibility')$$,
		$$SELECT tandem.create_migration('visibility', 42, 'another comment')$$,
		$$SELECT tandem.add_column('visibility', 'images', 'visibility', 'varchar(20)')$$,
		$$SELECT tandem.add_column('visibility', 'images', 'c', 'bigint')$$,
		$$SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility',
			'CASE WHEN is_public THEN ''all'' ELSE ''private'' END', 'visibility = ''public''')$$,
		$$SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility',
			'CASE WHEN is_public THEN ''public'' ELSE ''private'' END', 'visibility <> ''private''')$$,
		$$SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility',
			'CASE WHEN is_public THEN ''public'' ELSE ''private'' END')$$,
		$$SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility',
			'CASE WHEN is_public THEN ''public'' ELSE ''private'' END', 'visibility = ''public''', on_conflict => 'old')$$,
		$$SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility',
			'CASE WHEN is_public THEN ''public'' ELSE ''private'' END', 'visibility = ''public''', on_error => 'quarantine')$$,
		$$SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility',
			'CASE WHEN is_public THEN ''public'' ELSE ''private'' END', 'visibility = ''public''', keep_old => true)$$,
		$$SELECT tandem.sync_column('visibility', 'images', 'a', 'visibility', 'a')$$,
		$$SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility', 'CASE WHEN', 'visibility = ''public''')$$,
		$$SELECT tandem.sync_columns('visibility', 'images', '{a,b}', '{c,d}', '{a + b, b}', '{c - d, d}', on_conflict => 'new')$$,
		$$SELECT tandem.sync_columns('visibility', 'images', '{a,b}', '{d,c}', '{b, a + b}', '{c - d, NULL}', on_conflict => 'new')$$,
		$$SELECT tandem.add_index('visibility', 'CREATE UNIQUE INDEX images_visibility_idx ON images (visibility)')$$,
		$$SELECT tandem.add_constraint('visibility', 'images', 'known', 'CHECK (visibility <> ''x'')')$$]
	LOOP
		CALL try(statement);
	END LOOP;
END $script$;

-- Once, and once more, in phase expand.
CALL expand();
SELECT * FROM status;
CALL expand();
SELECT * FROM status;
-- written in another way, but the same to the parser; and as tandem.syncs has it; a comment need not be given
SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility',
	'case  WHEN IS_PUBLIC /* shared */ THEN ''public'' ELSE ''private'' END', 'visibility=''public''');
SELECT tandem.sync_column(migration, relation::text, old_columns[1], new_columns[1], up[1], down[1])
	FROM tandem.syncs WHERE 'visibility' = ANY (new_columns);
SELECT tandem.create_migration('visibility', 42);
CALL try_others();
SELECT * FROM status;
-- a column that is there but is not the migration's
SELECT tandem.add_column('visibility', 'images', 'a', 'int');
-- one that somebody has dropped meanwhile comes back
SELECT tandem.add_column('visibility', 'images', 'e', 'int');
ALTER TABLE images DROP COLUMN e;
SELECT tandem.add_column('visibility', 'images', 'e', 'bigint');
SELECT tandem.add_column('visibility', 'images', 'e', 'bigint');

-- While it migrates: the first node has failed on the way.
UPDATE images SET id = 0, a = NULL WHERE id = 10;
INSERT INTO images (id, visibility) VALUES (11, '');
SET client_min_messages = warning;
CALL tandem.migrate('visibility');
RESET client_min_messages;
SELECT * FROM told;
SELECT phase FROM tandem.migrations;
CALL expand();
CALL try_others();
DELETE FROM images WHERE id = 11;

-- When all is filled.
SET client_min_messages = warning;
CALL tandem.migrate('visibility', if_running => 'wait');
RESET client_min_messages;
SELECT * FROM told;
SELECT * FROM status;
CALL expand();
CALL try_others();
-- nothing is left: who calls by itself begins nothing anew
CALL tandem.migrate('visibility', if_running => 'wait');
CALL tandem.migrate('visibility', if_running => 'return');
CALL tandem.migrate('visibility', background => true, if_running => 'wait');
SELECT * FROM status;
-- but something is when the trigger was out of force
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
ALTER TABLE images DISABLE TRIGGER ALL;
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE;
SET client_min_messages = warning;
CALL tandem.migrate('visibility', if_running => 'return');
RESET client_min_messages;
SELECT * FROM told;
SELECT detail FROM tandem.history WHERE action = 'repair';
SELECT * FROM status;
-- and who asks for it is served
CALL tandem.migrate('visibility');
SELECT * FROM status;

-- When the old columns are gone.
CALL tandem.contract('visibility', undeclared => 'ignore', accept => '{defaults}');
CALL expand();
CALL try_others();
CALL tandem.migrate('visibility');
CALL tandem.migrate('visibility', if_running => 'wait');
CALL tandem.migrate('visibility', background => true);
SELECT * FROM status;
-- what it did not have is no longer added
SELECT tandem.add_column('visibility', 'images', 'f', 'int');
SELECT tandem.add_not_null('visibility', 'images', 'c');
SELECT tandem.sync_column('visibility', 'images', 'c', 'e', 'c');
\d images

-- Aborted, the same script begins anew.
CREATE TABLE notes (id int PRIMARY KEY, body text);
INSERT INTO notes VALUES (1, 'x');
CREATE PROCEDURE expand_notes() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tandem.create_migration('notes');
	ALTER TABLE notes ADD COLUMN IF NOT EXISTS title text;
	PERFORM tandem.sync_column('notes', 'notes', 'body', 'title', 'upper(body)');
	PERFORM tandem.add_index('notes', 'CREATE INDEX notes_title ON notes (title)');
END $$;
CALL expand_notes();
SET client_min_messages = warning;
CALL tandem.migrate('notes');
RESET client_min_messages;
SELECT * FROM told;
CALL tandem.abort('notes');
\d notes
CALL expand_notes();
SET client_min_messages = warning;
CALL tandem.migrate('notes', if_running => 'wait');
RESET client_min_messages;
SELECT * FROM told;
SELECT name, phase, syncs FROM tandem.migrations;
SELECT * FROM notes;
CALL tandem.contract('notes');

-- Another role's migration is no business of ours.
CREATE ROLE idempotent_other;
GRANT USAGE ON SCHEMA public TO idempotent_other;
SET ROLE idempotent_other;
SELECT tandem.create_migration('visibility', 42);
RESET ROLE;
REVOKE USAGE ON SCHEMA public FROM idempotent_other;
DROP ROLE idempotent_other;

CALL tandem.migrate('notes', if_running => 'perhaps');
CALL tandem.migrate('notes', if_running => NULL);

\c postgres
DROP DATABASE idempotent;
