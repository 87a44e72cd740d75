-- BEFORE triggers of the table itself: they see both sides right, and what they change is followed.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA other_triggers;
SET search_path = other_triggers;
CREATE TABLE post (id integer PRIMARY KEY, title text, slug text);
CREATE FUNCTION slugify() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.title IS NULL THEN RAISE 'no title'; END IF;
	NEW.slug := lower(NEW.title);
	RETURN NEW;
END $$;
CREATE TRIGGER slug BEFORE INSERT OR UPDATE ON post FOR EACH ROW EXECUTE FUNCTION slugify();
INSERT INTO post VALUES (1, 'One'), (2, 'Two'), (3, 'Three');
BEGIN;
SELECT tandem.create_migration('headline', release => 42);
SELECT tandem.add_column('headline', 'post', 'headline', 'text');
SELECT tandem.sync_column('headline', 'post', 'title', 'headline', 'title', 'headline');
COMMIT;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'post'::regclass ORDER BY tgname;
-- every way to write, by a writer that knows the new column only
INSERT INTO post (id, headline) VALUES (4, 'Four');
UPDATE post SET headline = 'ONE' WHERE id = 1;
INSERT INTO post (id, headline) VALUES (2, 'TWO') ON CONFLICT (id) DO UPDATE SET headline = EXCLUDED.headline;
MERGE INTO post USING (VALUES (3), (5)) v (id) ON post.id = v.id
	WHEN MATCHED THEN UPDATE SET headline = 'THREE' WHEN NOT MATCHED THEN INSERT (id, headline) VALUES (v.id, 'Five');
COPY post (id, headline) FROM stdin;
6	Six
\.
DO $$ BEGIN INSERT INTO post (id, headline) VALUES (7, 'Seven'); END $$;
SET tandem.release = 42;
INSERT INTO post (id, title, headline) VALUES (8, 'stale', 'Eight');
SET tandem.release = 41;
INSERT INTO post (id, title, headline) VALUES (9, 'Nine', 'stale');
RESET tandem.release;
SELECT * FROM post ORDER BY id;
-- what a trigger changes is followed, whichever side it is, and though the writer has declared the other
CREATE FUNCTION trim_headline() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.headline := btrim(NEW.headline); RETURN NEW; END $$;
CREATE FUNCTION end_title() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.title := NEW.title || '.'; RETURN NEW; END $$;
CREATE FUNCTION skip_ten() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN NEW.id <> 10 THEN NEW END; END $$;
CREATE TRIGGER a_trim BEFORE INSERT OR UPDATE ON post FOR EACH ROW EXECUTE FUNCTION trim_headline();
CREATE TRIGGER skip BEFORE INSERT OR UPDATE ON post FOR EACH ROW EXECUTE FUNCTION skip_ten();
SET tandem.release = 41;
INSERT INTO post (id, title) VALUES (10, ' skipped '), (11, ' Eleven '), (12, 'Twelve'), (10, 'skipped');
RESET tandem.release;
DROP TRIGGER a_trim ON post;
CREATE TRIGGER z_end BEFORE UPDATE ON post FOR EACH ROW EXECUTE FUNCTION end_title();
SET tandem.release = 42;
UPDATE post SET headline = 'ELEVEN' WHERE id = 11;
UPDATE post SET slug = '' WHERE id = 12;
RESET tandem.release;
SELECT * FROM post WHERE id > 9 ORDER BY id;
-- a trigger that writes the same table meets a row of its own
CREATE FUNCTION write_again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.id < 23 THEN
		INSERT INTO post (id, headline) VALUES (NEW.id + 1, NEW.headline || '+');
	END IF;
	NEW.headline := NEW.headline || '!';
	RETURN NEW;
END $$;
CREATE TRIGGER again BEFORE INSERT ON post FOR EACH ROW EXECUTE FUNCTION write_again();
INSERT INTO post (id, title) VALUES (20, 'a'), (30, 'b');
SELECT * FROM post WHERE id >= 20 ORDER BY id;
DROP TRIGGER again ON post;
-- both sides, and they disagree
CREATE FUNCTION disagree() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.title := 'x'; NEW.headline := 'y'; RETURN NEW; END $$;
CREATE TRIGGER disagree BEFORE INSERT ON post FOR EACH ROW EXECUTE FUNCTION disagree();
INSERT INTO post (id, title) VALUES (40, 'both');
DROP TRIGGER disagree ON post;

-- The order: the sync's own fire first and last.
DROP TRIGGER "!tandem_sync" ON post;
ALTER TABLE post DISABLE TRIGGER "!tandem_sync";
ALTER TRIGGER "!tandem_sync" ON post RENAME TO later;
CREATE TRIGGER " early" BEFORE INSERT ON post FOR EACH ROW EXECUTE FUNCTION slugify();
CREATE TRIGGER "~~late" BEFORE INSERT ON post FOR EACH ROW EXECUTE FUNCTION slugify();
ALTER TRIGGER slug ON post RENAME TO "~~slug";
ALTER TRIGGER slug ON post RENAME TO slug2;
CREATE TRIGGER "~~after" AFTER INSERT ON post FOR EACH ROW EXECUTE FUNCTION slugify();
ALTER TABLE post DISABLE TRIGGER ALL;
ALTER TABLE post ENABLE TRIGGER ALL;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'post'::regclass ORDER BY tgname;

SELECT health FROM tandem.syncs;
CALL tandem.migrate('headline');
SELECT count(*) FROM post WHERE title IS DISTINCT FROM headline;
CALL tandem.contract('headline', undeclared => 'ignore');
CALL tandem.contract('headline', undeclared => 'ignore', accept => '{trigger functions}');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'post'::regclass ORDER BY tgname;

-- At expand.
CREATE TABLE early (id integer, a integer, b integer);
CREATE TRIGGER " early" BEFORE INSERT ON early FOR EACH ROW EXECUTE FUNCTION skip_ten();
SELECT tandem.create_migration('early');
SELECT tandem.sync_column('early', 'early', 'a', 'b', 'a');
ALTER TRIGGER " early" ON early RENAME TO early;
SELECT tandem.sync_column('early', 'early', 'a', 'b', 'a');
CREATE TABLE of_column (id integer, a integer, b integer);
CREATE TRIGGER of_a BEFORE UPDATE OF id, a ON of_column FOR EACH ROW EXECUTE FUNCTION skip_ten();
CREATE TRIGGER of_b AFTER UPDATE OF b ON of_column FOR EACH ROW EXECUTE FUNCTION skip_ten();
CREATE TRIGGER of_id AFTER UPDATE OF id ON of_column FOR EACH ROW EXECUTE FUNCTION skip_ten();
SELECT tandem.sync_column('early', 'of_column', 'a', 'b', 'a');
CALL tandem.abort('early');

-- Partitions: triggers of the tree and of one partition, which come before or after the sync.
CREATE TABLE part (id integer, a integer, total integer) PARTITION BY LIST (id);
CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1);
SELECT tandem.create_migration('part', release => 43);
SELECT tandem.add_column('part', 'part', 'b', 'integer');
SELECT tandem.sync_column('part', 'part', 'a', 'b', 'a * 10', 'b / 10');
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname ~ 'tandem' AND tgrelid::regclass::text LIKE 'part%' ORDER BY 1, 2;
CREATE FUNCTION total() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.total := NEW.a + NEW.b; RETURN NEW; END $$;
CREATE TRIGGER total BEFORE INSERT OR UPDATE ON part1 FOR EACH ROW EXECUTE FUNCTION total();
CREATE TABLE part2 (b integer, id integer, total integer, a integer);
CREATE TRIGGER total BEFORE INSERT OR UPDATE ON part2 FOR EACH ROW EXECUTE FUNCTION total();
ALTER TABLE part ATTACH PARTITION part2 FOR VALUES IN (2);
INSERT INTO part (id, b) VALUES (1, 20), (2, 30), (1, 40);
UPDATE part SET id = 2 WHERE b = 20;
UPDATE part SET id = 2, b = 50 WHERE b = 40;
SELECT tableoid::regclass, * FROM part ORDER BY b;
CREATE TRIGGER total_all BEFORE INSERT OR UPDATE ON part FOR EACH ROW EXECUTE FUNCTION total();
CREATE TABLE part3 PARTITION OF part FOR VALUES IN (3);
INSERT INTO part (id, b) VALUES (3, 60);
UPDATE part SET id = 3 WHERE b = 30;
SELECT tableoid::regclass, * FROM part ORDER BY b;
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname ~ 'tandem' AND tgrelid::regclass::text LIKE 'part%' ORDER BY 1, 2;
CALL tandem.migrate('part');
CALL tandem.abort('part', force => true);
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname ~ 'tandem' AND tgrelid::regclass::text LIKE 'part%' ORDER BY 1, 2;
-- the owner of the table need not make the trigger
CREATE ROLE other_triggers_maker;
CREATE ROLE other_triggers_owner;
GRANT USAGE ON SCHEMA other_triggers TO other_triggers_maker, other_triggers_owner;
CREATE TABLE owned (id integer, a integer, b integer);
ALTER TABLE owned OWNER TO other_triggers_owner;
GRANT TRIGGER ON owned TO other_triggers_maker;
SELECT tandem.create_migration('owned');
SELECT tandem.sync_column('owned', 'owned', 'a', 'b', 'a');
SET ROLE other_triggers_maker;
CREATE TRIGGER theirs BEFORE INSERT ON owned FOR EACH ROW EXECUTE FUNCTION skip_ten();
RESET ROLE;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'owned'::regclass ORDER BY tgname;
CALL tandem.abort('owned');
-- While the last trigger is disabled, which only force can do, nothing is in sync: nor does the first one work alone.
CREATE TABLE forced (id integer PRIMARY KEY, a integer, b integer);
CREATE TRIGGER theirs BEFORE INSERT ON forced FOR EACH ROW EXECUTE FUNCTION skip_ten();
SELECT tandem.create_migration('forced');
SELECT tandem.sync_column('forced', 'forced', 'a', 'b', 'a + 1', 'b - 1');
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
ALTER TABLE forced DISABLE TRIGGER "~tandem_sync";
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
INSERT INTO forced VALUES (1, 1, NULL), (2, NULL, 2);
TABLE forced;
CALL tandem.migrate('forced');
TABLE forced;
CALL tandem.abort('forced');
-- After a rewrite a NULL tells of a row that was never filled, but not of one that the writer has just set to NULL.
CREATE TABLE rewritten (id integer PRIMARY KEY, n integer, is_public boolean);
CREATE FUNCTION positive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := abs(NEW.n); RETURN NEW; END $$;
CREATE TRIGGER positive BEFORE INSERT OR UPDATE ON rewritten FOR EACH ROW EXECUTE FUNCTION positive();
INSERT INTO rewritten VALUES (1, 1, true), (2, 2, false), (3, 3, true);
SELECT tandem.create_migration('rewritten');
SELECT tandem.add_column('rewritten', 'rewritten', 'm', 'integer');
SELECT tandem.sync_column('rewritten', 'rewritten', 'n', 'm', 'n * 10', 'm / 10');
SELECT tandem.add_column('rewritten', 'rewritten', 'visibility', 'text');
SELECT tandem.sync_column('rewritten', 'rewritten', 'is_public', 'visibility',
	$$CASE WHEN is_public THEN 'public' ELSE 'private' END$$, $$visibility = 'public'$$);
VACUUM FULL rewritten;
UPDATE rewritten SET n = -5, visibility = 'shared' WHERE id IN (1, 2);
UPDATE rewritten SET n = -6, visibility = NULL WHERE id = 1;
INSERT INTO rewritten (id, n, visibility) VALUES (4, -4, NULL);
INSERT INTO rewritten (id, n, visibility) VALUES (5, 4, NULL);
INSERT INTO rewritten (id, n, visibility) VALUES (2, -7, NULL)
	ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n, visibility = EXCLUDED.visibility;
UPDATE rewritten SET n = -8 WHERE id = 3;
SELECT * FROM rewritten ORDER BY id;
CALL tandem.abort('rewritten');
-- A trigger that returns OLD, in a row that is too short for the new columns: ON CONFLICT on a partitioned table reads
-- it by a descriptor without their values.  That is no NULL that somebody has given.
CREATE TABLE undone (id integer PRIMARY KEY, n integer, city text) PARTITION BY RANGE (id);
CREATE TABLE undone_1 PARTITION OF undone FOR VALUES FROM (1) TO (100);
CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
CREATE TRIGGER undo BEFORE UPDATE ON undone FOR EACH ROW EXECUTE FUNCTION undo();
INSERT INTO undone SELECT i, i, 'Ulm' FROM generate_series(1, 4) i;
SELECT tandem.create_migration('undone', release => 43);
ALTER TABLE undone ADD COLUMN m integer, ADD COLUMN town text DEFAULT 'Bonn';
SELECT tandem.sync_column('undone', 'undone', 'n', 'm', 'n * 10', 'm / 10');
SELECT tandem.sync_column('undone', 'undone', 'city', 'town', 'upper(city)', 'initcap(town)');
UPDATE undone SET n = 7 WHERE id = 1;
INSERT INTO undone (id, n) VALUES (2, 7) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n;
INSERT INTO undone (id, m) VALUES (3, 70) ON CONFLICT (id) DO UPDATE SET m = EXCLUDED.m;
SET tandem.release = 42;
INSERT INTO undone (id, m) VALUES (4, 70) ON CONFLICT (id) DO UPDATE SET m = EXCLUDED.m;
RESET tandem.release;
SELECT * FROM undone ORDER BY id;
CALL tandem.abort('undone');
DROP SCHEMA other_triggers CASCADE;
DROP EXTENSION pg_tandem;
DROP ROLE other_triggers_maker, other_triggers_owner;
