-- contract and abort called again; what abort would lose; what was built and is gone.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA calls;
SET search_path = calls;

-- Called again.
CREATE TABLE a (id integer PRIMARY KEY, price integer);
INSERT INTO a VALUES (1, 10), (2, 20);
SELECT tandem.create_migration('again', release => 42);
SELECT tandem.add_column('again', 'a', 'cents', 'bigint');
SELECT tandem.sync_column('again', 'a', 'price', 'cents', 'price * 100', 'cents / 100');
CALL tandem.abort('again');
SET client_min_messages = notice;
CALL tandem.abort('again');
CALL tandem.abort('again', force => true);
-- that is another thing
CALL tandem.contract('again');
CALL tandem.migrate('again');
SELECT * FROM tandem.preview_contract('again');
SET client_min_messages = warning;
-- as the hint says
SELECT tandem.create_migration('again', release => 42);
SELECT tandem.add_column('again', 'a', 'cents', 'bigint');
SELECT tandem.sync_column('again', 'a', 'price', 'cents', 'price * 100', 'cents / 100');
CALL tandem.migrate('again');
CALL tandem.contract('again');
SET client_min_messages = notice;
CALL tandem.contract('again');
CALL tandem.contract('again', force => true, undeclared => 'ignore', accept => '{defaults}');
BEGIN;
CALL tandem.contract('again');
COMMIT;
CALL tandem.abort('again');
SELECT * FROM tandem.preview_contract('again');
-- what is not a part
CALL tandem.contract('again', accept => '{defaults,everything}');
CALL tandem.contract('again', accept => '{NULL}');
CALL tandem.contract('never');
SET client_min_messages = warning;

-- What abort would lose: nothing of a sync that writes back.
CREATE TABLE b (id integer PRIMARY KEY, v text);
INSERT INTO b VALUES (1, '1'), (2, '2'), (3, '3');
SELECT tandem.create_migration('both');
SELECT tandem.add_column('both', 'b', 'n', 'integer');
SELECT tandem.sync_column('both', 'b', 'v', 'n', 'v::integer', 'n::text');
CALL tandem.migrate('both');
UPDATE b SET n = 20 WHERE id = 2;
CALL tandem.abort('both');
SELECT * FROM b ORDER BY id;
-- of a one-way sync what was written into the new column
SELECT tandem.create_migration('one way');
SELECT tandem.add_column('one way', 'b', 'n', 'integer');
SELECT tandem.sync_column('one way', 'b', 'v', 'n', 'v::integer');
CALL tandem.abort('one way');
SELECT tandem.create_migration('one way');
SELECT tandem.add_column('one way', 'b', 'n', 'integer');
SELECT tandem.sync_column('one way', 'b', 'v', 'n', 'v::integer');
UPDATE b SET n = 20 WHERE id = 2;
UPDATE b SET n = 30 WHERE id = 3;
CALL tandem.abort('one way');
-- a failed call has changed nothing
SELECT * FROM b ORDER BY id;
SELECT phase FROM tandem.migrations WHERE name = 'one way' ORDER BY phase = 'aborted' LIMIT 1;
-- they are saved: nothing is lost any more
UPDATE b SET v = n::text WHERE n IN (20, 30);
CALL tandem.abort('one way');
-- of a derived column a value of its own, an explicit NULL included
SELECT tandem.create_migration('derived');
SELECT tandem.add_column('derived', 'b', 'n', 'integer', up => 'v::integer');
CALL tandem.migrate('derived');
UPDATE b SET n = NULL WHERE id = 1;
CALL tandem.abort('derived');
CALL tandem.abort('derived', force => true);
SELECT * FROM b ORDER BY id;
-- on partitions
CREATE TABLE p (id integer, v text) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
INSERT INTO p VALUES (1, '1'), (11, '11');
SELECT tandem.create_migration('partitions');
SELECT tandem.add_column('partitions', 'p', 'n', 'integer', up => 'v::integer');
CALL tandem.migrate('partitions');
UPDATE p SET n = 0 WHERE id = 11;
CALL tandem.abort('partitions');
CALL tandem.abort('partitions', force => true);
-- a down that fails
SELECT tandem.create_migration('failed');
SELECT tandem.add_column('failed', 'b', 'n', 'text');
SELECT tandem.sync_column('failed', 'b', 'v', 'n', 'v', '(n::integer)::text', on_error => 'quarantine');
CALL tandem.migrate('failed');
UPDATE b SET n = 'one' WHERE id = 1;
CALL tandem.abort('failed');
CALL tandem.abort('failed', force => true);
SELECT * FROM b ORDER BY id;

-- Dropped with the migration: also a column that a plain ALTER TABLE of the same transaction has added, and no other.
ALTER TABLE b ADD kept integer;
BEGIN;
SELECT tandem.create_migration('plain');
ALTER TABLE b ADD n integer;
ALTER TABLE b ALTER kept SET STATISTICS 10;
SELECT tandem.sync_column('plain', 'b', 'v', 'n', 'v::integer', 'n::text');
COMMIT;
SELECT tandem.create_migration('there');
SELECT tandem.sync_column('there', 'b', 'id', 'kept', 'id', 'kept', keep_old => true);
CALL tandem.abort('plain');
CALL tandem.abort('there');
SELECT attname FROM pg_attribute WHERE attrelid = 'b'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- What only a partition has, whose columns may have another order.
CREATE TABLE q (id integer, title text, tenant integer) PARTITION BY RANGE (id);
CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (10);
CREATE TABLE q2 (tenant integer, title text, gone text, id integer);
ALTER TABLE q2 DROP gone;
ALTER TABLE q ATTACH PARTITION q2 FOR VALUES FROM (10) TO (20);
ALTER TABLE q1 ALTER title SET DEFAULT 'x', ADD CONSTRAINT own CHECK (title <> '' OR tenant > 0);
CREATE INDEX q2_both ON q2 (tenant, title);
CREATE INDEX q_tenant ON q (tenant);
CREATE FUNCTION of_q2() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.title = upper(NEW.title); RETURN NEW; END';
CREATE TRIGGER of_q2 BEFORE INSERT ON q2 FOR EACH ROW EXECUTE FUNCTION of_q2();
COMMENT ON COLUMN q.title IS 'of the table';
COMMENT ON COLUMN q1.title IS 'of the partition';
SELECT tandem.create_migration('parts');
SELECT tandem.add_column('parts', 'q', 'head', 'text');
SELECT tandem.sync_column('parts', 'q', 'title', 'head', 'upper(title)', 'lower(head)');
SELECT part, object, what_happens FROM tandem.preview_contract('parts');
SELECT name, contract_parts FROM tandem.migrations WHERE contract_parts IS NOT NULL;
CREATE INDEX q2_twin ON q2 (tenant, head);
ALTER TABLE q1 ALTER head SET DEFAULT 'X';
SELECT part, object, remedy FROM tandem.preview_contract('parts') WHERE part IN ('defaults', 'indexes');
CALL tandem.abort('parts');

-- What was built is looked up: somebody has dropped or changed it since.
CREATE TABLE c (id integer PRIMARY KEY, price integer);
INSERT INTO c VALUES (1, 10), (2, 20);
SELECT tandem.create_migration('built');
SELECT tandem.add_column('built', 'c', 'cents', 'bigint');
SELECT tandem.sync_column('built', 'c', 'price', 'cents', 'price * 100', 'cents / 100');
SELECT tandem.add_index('built', 'CREATE INDEX c_cents ON c (cents)');
SELECT tandem.add_index('built', 'CREATE INDEX c_id ON c (id, cents) WHERE id > 0');
SELECT tandem.add_not_null('built', 'c', 'cents');
SELECT tandem.add_constraint('built', 'c', 'c_check', 'CHECK (cents > 0)');
SELECT tandem.add_constraint('built', 'c', 'c_unique', 'UNIQUE (cents)');
CALL tandem.migrate('built');
SELECT count(*) FROM tandem.progress WHERE migration = 'built' AND state <> 'done';
CREATE FUNCTION missing(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE change;
	CALL tandem.contract('built');
	RAISE EXCEPTION 'contracted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN SQLERRM || coalesce(' ' || detail, '');
END $$;
SELECT missing(change) FROM unnest(ARRAY[
	'SELECT',
	-- the text is another one, the index is not
	'ALTER TABLE c RENAME id TO number',
	'DROP INDEX c_cents',
	'DROP INDEX c_cents; CREATE INDEX c_cents ON c (cents DESC)',
	'DROP INDEX c_cents; CREATE UNIQUE INDEX c_cents ON c (cents)',
	'DROP INDEX c_cents; CREATE TABLE c_cents ()',
	$$UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'calls.c_cents'::regclass$$,
	'ALTER TABLE c ALTER cents DROP NOT NULL',
	'ALTER TABLE c DROP CONSTRAINT c_check',
	'ALTER TABLE c DROP CONSTRAINT c_check, ADD CONSTRAINT c_check CHECK (cents > 0) NOT VALID',
	'ALTER TABLE c DROP CONSTRAINT c_check, ADD CONSTRAINT c_check CHECK (cents >= 0)',
	'ALTER TABLE c DROP CONSTRAINT c_unique',
	'ALTER TABLE c DROP CONSTRAINT c_unique, ADD CONSTRAINT c_unique UNIQUE (id, cents)',
	'ALTER TABLE c ADD other integer; DROP INDEX c_cents; ALTER TABLE c DROP CONSTRAINT c_check']) change;
-- from server 18 on, one that is not enforced: what is said to be done about it can be done
DO $$
DECLARE
	said text;
BEGIN
	IF current_setting('server_version_num')::integer < 180000 THEN RETURN; END IF;
	said = missing('ALTER TABLE c DROP CONSTRAINT c_check, ADD CONSTRAINT c_check CHECK (cents > 0) NOT ENFORCED');
	IF said NOT LIKE '%c_check of table calls.c is not enforced: run ALTER TABLE%' THEN
		RAISE 'not enforced, and contracted: %', said;
	END IF;
	said = missing('ALTER TABLE c DROP CONSTRAINT c_check, ADD CONSTRAINT c_check CHECK (cents > 0) NOT ENFORCED; '
		|| substring(said FROM 'is not enforced: run ([^\n]*)'));
	IF said NOT LIKE '%c_check of table calls.c does not exist any more%' THEN
		RAISE 'what is to be done does not help: %', said;
	END IF;
END $$;
-- force does not pass over it
SELECT replace(missing($$DROP INDEX c_cents; DO 'BEGIN CALL tandem.contract(''built'', force => true); END'$$), E'\n', ' ');
-- migrate again builds it again
DROP INDEX c_cents;
ALTER TABLE c ALTER cents DROP NOT NULL;
ALTER TABLE c DROP CONSTRAINT c_check, DROP CONSTRAINT c_unique;
CALL tandem.contract('built');
CALL tandem.migrate('built');
CALL tandem.contract('built');
\d c

-- force passes over rows that disagree, and not over rows that nobody has filled
CREATE TABLE d (id integer PRIMARY KEY, v text);
INSERT INTO d VALUES (1, 'a'), (2, 'b');
SELECT tandem.create_migration('unfilled');
SELECT tandem.add_column('unfilled', 'd', 'n', 'text');
SELECT tandem.sync_column('unfilled', 'd', 'v', 'n', 'upper(v)', 'lower(n)');
CALL tandem.contract('unfilled', force => true);
CALL tandem.abort('unfilled');

-- what is in the way may be a prepared transaction, which has no process to end
CREATE TABLE held (id integer PRIMARY KEY, v text);
SELECT tandem.create_migration('held');
BEGIN;
INSERT INTO held VALUES (1, 'a');
PREPARE TRANSACTION 'regress_tandem_held';
DO $$
DECLARE
	hint text;
BEGIN
	SET LOCAL tandem.lock_retry_time = '1s';
	PERFORM tandem.add_column('held', 'held', 'n', 'text');
	RAISE 'locked';
EXCEPTION WHEN lock_not_available THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	PERFORM set_config('test.hint', hint, false);
END $$;
SELECT current_setting('test.hint') AS hint;
ROLLBACK PREPARED 'regress_tandem_held';
SELECT tandem.add_column('held', 'held', 'n', 'text');

-- what a column that no sync sets holds beside its default only the new release can say
CREATE TABLE plain (z integer, id integer PRIMARY KEY, v text) PARTITION BY RANGE (id);
ALTER TABLE plain DROP z;
CREATE TABLE plain_1 PARTITION OF plain FOR VALUES FROM (0) TO (10);
CREATE TABLE plain_2 (v text, gone integer, id integer NOT NULL);
ALTER TABLE plain_2 DROP gone;
ALTER TABLE plain ATTACH PARTITION plain_2 FOR VALUES FROM (10) TO (20);
INSERT INTO plain VALUES (1, 'a'), (2, 'b'), (11, 'c'), (12, 'd');
SELECT tandem.create_migration('plain');
SELECT tandem.add_column('plain', 'plain', 'note', 'text');
SELECT tandem.add_column('plain', 'plain', 'count', 'bigint', default_value => '5');
SELECT tandem.add_column('plain', 'plain', 'data', 'json', default_value => $$'{}'$$);
SELECT tandem.add_column('plain', 'plain', 'at', 'timestamptz', default_value => 'now()');
SELECT tandem.add_column('plain', 'plain', 'w', 'text');
SELECT tandem.sync_column('plain', 'plain', 'v', 'w', 'upper(v)', 'lower(w)');
INSERT INTO plain (id, v) VALUES (3, 'e');
INSERT INTO plain (id, w, at) VALUES (13, 'F', '2020-01-01');
-- nothing but defaults and what the sync gives back
SELECT tandem.create_migration('other plain');
SELECT tandem.add_column('other plain', 'plain', 'unused', 'text');
CALL tandem.abort('other plain');
BEGIN;
CALL tandem.abort('plain');
ROLLBACK;
-- the former default and the new one
ALTER TABLE plain ALTER count SET DEFAULT 6;
INSERT INTO plain (id, v) VALUES (4, 'g');
BEGIN;
CALL tandem.abort('plain');
ROLLBACK;
UPDATE plain SET note = '' WHERE id IN (1, 11);
UPDATE plain SET count = 7 WHERE id > 10;
UPDATE plain SET data = '[]' WHERE id = 2;
CALL tandem.abort('plain');
CALL tandem.abort('plain', force => true);
SELECT * FROM plain ORDER BY id;
-- What others have put in the place of what was built stays.
CREATE TABLE taken (id int PRIMARY KEY, tenant int, v text);
INSERT INTO taken VALUES (1, 1, 'a');
SELECT tandem.create_migration('taken');
SELECT tandem.add_column('taken', 'taken', 'w', 'text');
SELECT tandem.sync_column('taken', 'taken', 'v', 'w', 'upper(v)', 'lower(w)');
SELECT tandem.add_index('taken', 'CREATE INDEX taken_idx ON taken (tenant)');
SELECT tandem.add_constraint('taken', 'taken', 'taken_check', 'CHECK (tenant > 0)');
SELECT tandem.add_index('taken', 'CREATE INDEX taken_ours ON taken (tenant, w)');
CALL tandem.migrate('taken');
ALTER INDEX taken_idx RENAME TO taken_first;
ALTER TABLE taken RENAME CONSTRAINT taken_check TO taken_check_first;
CREATE INDEX taken_idx ON taken (id, tenant);
ALTER TABLE taken ADD CONSTRAINT taken_check CHECK (id > 0);
-- what reads the whole row means the column by its name
ALTER TABLE taken ADD CONSTRAINT taken_row CHECK (to_jsonb(taken) ->> 'w' IS NOT NULL);
CALL tandem.abort('taken');
ALTER TABLE taken DROP CONSTRAINT taken_row;
CALL tandem.abort('taken');
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'taken'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";
SELECT conname FROM pg_constraint WHERE conrelid = 'taken'::regclass AND contype = 'c' ORDER BY 1;

-- What depends on an index or a constraint that goes, and not on the column: the server would say CASCADE.
CREATE TABLE used (id integer PRIMARY KEY, code text, n integer);
ALTER TABLE used ADD CONSTRAINT used_code_key UNIQUE (code);
INSERT INTO used VALUES (1, 'a', 1);
CREATE FUNCTION upsert() RETURNS void LANGUAGE sql
	BEGIN ATOMIC INSERT INTO used (id, n) VALUES (9, 1) ON CONFLICT ON CONSTRAINT used_code_key DO NOTHING; END;
CREATE RULE used_rule AS ON DELETE TO used DO ALSO INSERT INTO used (id) VALUES (8) ON CONFLICT ON CONSTRAINT used_code_key DO NOTHING;
SELECT tandem.create_migration('used');
SELECT tandem.add_column('used', 'used', 'code2', 'text');
SELECT tandem.sync_column('used', 'used', 'code', 'code2', 'upper(code)', 'lower(code2)');
SELECT tandem.add_index('used', 'CREATE UNIQUE INDEX used_code2_idx ON used (code2)');
SELECT tandem.add_constraint('used', 'used', 'used_n_key', 'UNIQUE (n)');
SELECT tandem.add_index('used', 'CREATE UNIQUE INDEX used_n_idx ON used (n, id)');
CALL tandem.migrate('used');
SELECT object FROM tandem.preview_contract('used') WHERE part = 'in use' ORDER BY object COLLATE "C";
CALL tandem.contract('used');
CREATE FUNCTION upsert_new() RETURNS void LANGUAGE sql
	BEGIN ATOMIC INSERT INTO used (id, n) VALUES (9, 1) ON CONFLICT ON CONSTRAINT used_n_key DO NOTHING; END;
CREATE TABLE refers (n integer REFERENCES used (n), id integer, FOREIGN KEY (n, id) REFERENCES used (n, id));
CALL tandem.abort('used');
CALL tandem.abort('used', force => true);
DROP TABLE refers;
DROP FUNCTION upsert_new();
CALL tandem.abort('used');
-- on a partition, and of a key
CREATE TABLE halves (id integer, n integer) PARTITION BY RANGE (id);
CREATE TABLE halves_1 PARTITION OF halves FOR VALUES FROM (0) TO (10);
SELECT tandem.create_migration('halves');
SELECT tandem.add_not_null('halves', 'halves', 'id');
SELECT tandem.add_constraint('halves', 'halves', 'halves_key', 'PRIMARY KEY (id)');
CALL tandem.migrate('halves');
CREATE TABLE refers (id integer REFERENCES halves, first integer REFERENCES halves_1);
CREATE VIEW grouped AS SELECT id, n FROM halves GROUP BY id;
CALL tandem.abort('halves');
DROP TABLE refers;
DROP VIEW grouped;
CALL tandem.abort('halves');
-- a table that refers to itself
CREATE TABLE referred (id integer PRIMARY KEY, n integer, parent integer);
SELECT tandem.create_migration('own');
SELECT tandem.add_constraint('own', 'referred', 'referred_n_key', 'UNIQUE (n)');
CALL tandem.migrate('own');
ALTER TABLE referred ADD CONSTRAINT referred_parent FOREIGN KEY (parent) REFERENCES referred (n);
CALL tandem.abort('own');
ALTER TABLE referred DROP CONSTRAINT referred_parent;
CALL tandem.abort('own');
-- What the new side of a two-way sync says beyond the old one is lost, too; but a broken sync, or a table that is locked, can end.
CREATE TABLE flags (id int PRIMARY KEY, is_public bool NOT NULL DEFAULT false);
INSERT INTO flags VALUES (1, false), (2, true);
SELECT tandem.create_migration('flags');
SELECT tandem.add_column('flags', 'flags', 'visibility', 'text');
SELECT tandem.sync_column('flags', 'flags', 'is_public', 'visibility', $$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$, $$ coalesce(visibility = 'public', false) $$);
-- not filled: NULL is what nobody has given
BEGIN;
CALL tandem.abort('flags');
ROLLBACK;
CALL tandem.migrate('flags');
BEGIN;
CALL tandem.abort('flags');
ROLLBACK;
UPDATE flags SET visibility = 'unlisted' WHERE id = 1;
CALL tandem.abort('flags');
SELECT * FROM flags WHERE visibility IS DISTINCT FROM (CASE WHEN is_public THEN 'public'::text ELSE 'private'::text END);
BEGIN;
CALL tandem.abort('flags', force => true);
ROLLBACK;
UPDATE flags SET visibility = 'private' WHERE id = 1;
CALL tandem.abort('flags');
SELECT * FROM flags ORDER BY id;
CREATE TABLE broken (id int PRIMARY KEY, a int);
INSERT INTO broken VALUES (1, 1);
CREATE FUNCTION breaks(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
SELECT tandem.create_migration('broken');
SELECT tandem.add_column('broken', 'broken', 'b', 'int');
SELECT tandem.sync_column('broken', 'broken', 'a', 'b', 'breaks(a)', 'b');
CREATE OR REPLACE FUNCTION breaks(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE ''not today''; END';
CALL tandem.abort('broken');
-- a NULL that was given, in a column with a default
CREATE TABLE nulled (id int PRIMARY KEY);
INSERT INTO nulled VALUES (1), (2);
SELECT tandem.create_migration('nulled');
SELECT tandem.add_column('nulled', 'nulled', 'count', 'int', default_value => '5');
INSERT INTO nulled VALUES (3);
BEGIN;
CALL tandem.abort('nulled');
ROLLBACK;
UPDATE nulled SET count = NULL WHERE id = 2;
CALL tandem.abort('nulled');
CALL tandem.abort('nulled', force => true);
-- abort drops the columns that the migration has added, whatever they are called, and no other
CREATE FUNCTION columns_of(relation regclass) RETURNS text LANGUAGE sql AS
	$$ SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped $$;
CREATE TABLE named (id int PRIMARY KEY, a int);
SELECT tandem.create_migration('named');
SELECT tandem.add_column('named', 'named', 'first', 'int'), tandem.add_column('named', 'named', 'second', 'int');
ALTER TABLE named RENAME first TO was_first;
ALTER TABLE named ADD first int;
ALTER TABLE named DROP second;
ALTER TABLE named ADD second int;
CALL tandem.abort('named');
SELECT columns_of('named');
-- those of a plain ALTER TABLE in its transaction, too, but not what a rule takes for old
CREATE TABLE beside (id int PRIMARY KEY, a int);
BEGIN;
ALTER TABLE beside ADD before int, ADD old int;
SELECT tandem.create_migration('beside');
SELECT tandem.add_index('beside', 'CREATE INDEX beside_before ON beside (before)');
ALTER TABLE beside ADD new int, ADD between int;
SELECT tandem.sync_column('beside', 'beside', 'old', 'new', 'old', 'new');
ALTER TABLE beside ADD last int;
ALTER TABLE beside RENAME last TO very_last;
SAVEPOINT s;
SELECT tandem.create_migration('taken_back');
SELECT tandem.add_not_null('taken_back', 'named', 'a');
ROLLBACK TO s;
ALTER TABLE named ADD third int;
COMMIT;
ALTER TABLE beside ADD after int;
SELECT column_name, named, renamed FROM tandem.owned_column WHERE relation = 'beside'::regclass ORDER BY 1;
CALL tandem.abort('beside');
SELECT columns_of('beside'), columns_of('named');
-- of a table that is new itself, only what a call has named
BEGIN;
CREATE TABLE made (id int PRIMARY KEY, a int);
SELECT tandem.create_migration('made');
SELECT tandem.add_column('made', 'made', 'b', 'int', up => 'a');
COMMIT;
CALL tandem.abort('made');
SELECT columns_of('made');
-- two migrations of one transaction: each drops its own, none what the other has ended with
CREATE TABLE shared (id int PRIMARY KEY, a int);
BEGIN;
ALTER TABLE shared ADD c int;
SELECT tandem.create_migration('adds'), tandem.create_migration('syncs'), tandem.create_migration('chains');
SELECT tandem.add_column('adds', 'shared', 'b', 'int');
SELECT tandem.sync_column('syncs', 'shared', 'a', 'b', 'a', 'b');
SELECT tandem.sync_column('chains', 'shared', 'b', 'c', 'b', 'c');
COMMIT;
SELECT m.name, o.column_name, o.named FROM tandem.owned_column o JOIN tandem.migration m ON m.id = o.migration WHERE relation = 'shared'::regclass ORDER BY 2;
CALL tandem.abort('adds');
BEGIN;
CALL tandem.abort('chains');
CALL tandem.abort('syncs');
SELECT columns_of('shared');
CALL tandem.abort('adds');
SELECT columns_of('shared');
ROLLBACK;
CALL tandem.abort('chains');
CALL tandem.migrate('syncs');
CALL tandem.contract('syncs');
INSERT INTO shared VALUES (1, 2);
CALL tandem.abort('adds');
SELECT columns_of('shared');

-- A NOT NULL that is to be built for the new column counts, one for another column does not.
CREATE TABLE to_build (id integer PRIMARY KEY, a integer NOT NULL, z integer);
SELECT tandem.create_migration('to_build');
SELECT tandem.add_column('to_build', 'to_build', 'b', 'bigint');
SELECT tandem.sync_column('to_build', 'to_build', 'a', 'b', 'a', 'b');
SELECT tandem.add_not_null('to_build', 'to_build', 'z');
SELECT part, object FROM tandem.preview_contract('to_build');
SELECT tandem.add_not_null('to_build', 'to_build', 'b');
SELECT part, object FROM tandem.preview_contract('to_build');
CALL tandem.abort('to_build');

-- A CHECK of two columns that both go says what no CHECK of one says.
CREATE TABLE spans (id integer PRIMARY KEY, a integer, b integer, CONSTRAINT spans_check CHECK (a < b), CONSTRAINT spans_a CHECK (a > 0));
SELECT tandem.create_migration('spans');
SELECT tandem.add_column('spans', 'spans', 'a2', 'bigint');
SELECT tandem.add_column('spans', 'spans', 'b2', 'bigint');
SELECT tandem.sync_column('spans', 'spans', 'a', 'a2', 'a', 'a2');
SELECT tandem.sync_column('spans', 'spans', 'b', 'b2', 'b', 'b2');
CALL tandem.migrate('spans');
CALL tandem.contract('spans');
ALTER TABLE spans ADD CONSTRAINT spans_check2 CHECK (a2 < b2);
CALL tandem.contract('spans');

-- The remedies are statements: what refuses is gone when they have been run.
CREATE ROLE regress_tandem_remedied;
CREATE TABLE kinds (id integer PRIMARY KEY, of text UNIQUE);
INSERT INTO kinds VALUES (1, 'A'), (2, 'a'), (3, 'title'), (4, 'TITLE'), (5, 'B'), (6, 'C');
CREATE TABLE remedied (id integer PRIMARY KEY, price integer NOT NULL DEFAULT 7, title text DEFAULT 'title', tenant integer, number serial, other integer GENERATED ALWAYS AS IDENTITY,
	CONSTRAINT remedied_check CHECK (title <> 'title' OR tenant > 0), CONSTRAINT remedied_both CHECK (price > 0 OR title <> ''), EXCLUDE USING btree (title WITH =));
ALTER TABLE remedied ADD CONSTRAINT remedied_kind FOREIGN KEY (title) REFERENCES kinds (of);
CREATE INDEX remedied_idx ON remedied (tenant, lower(title)) WHERE title <> 'none';
CREATE UNIQUE INDEX remedied_key ON remedied (tenant, price);
CREATE STATISTICS remedied_stat ON tenant, price FROM remedied;
COMMENT ON COLUMN remedied.title IS 'the title''s comment';
GRANT SELECT (title), UPDATE (title) ON remedied TO regress_tandem_remedied;
-- who may write needs no right on the sequence of an identity, but on one of a default
CREATE ROLE regress_tandem_writer;
GRANT USAGE ON SCHEMA calls TO regress_tandem_remedied, regress_tandem_writer;
GRANT INSERT ON remedied TO regress_tandem_remedied;
GRANT USAGE ON SEQUENCE remedied_number_seq TO regress_tandem_remedied, regress_tandem_writer;
ALTER TABLE remedied CLUSTER ON remedied_key;
ALTER TABLE remedied ALTER title SET STORAGE main, ALTER title SET STATISTICS 300, ALTER title SET COMPRESSION pglz, ALTER title SET (n_distinct = 5);
INSERT INTO remedied (id, price, title, tenant) VALUES (1, 1, 'a', 1);
SELECT tandem.create_migration('remedied');
SELECT tandem.add_column('remedied', 'remedied', new, type) FROM (VALUES ('cents', 'bigint'), ('head', 'text'), ('number8', 'bigint'), ('other8', 'bigint')) v (new, type);
GRANT INSERT (id, head, tenant) ON remedied TO regress_tandem_writer;
SELECT tandem.sync_column('remedied', 'remedied', 'price', 'cents', 'price * 100', 'cents / 100');
SELECT tandem.sync_column('remedied', 'remedied', 'title', 'head', 'upper(title)', 'lower(head)');
SELECT tandem.sync_column('remedied', 'remedied', 'number', 'number8', 'number', 'number8');
SELECT tandem.sync_column('remedied', 'remedied', 'other', 'other8', 'other');
SET client_min_messages = error;
CALL tandem.migrate('remedied');
\pset tuples_only on
\pset format unaligned
SELECT part, remedy FROM tandem.preview_contract('remedied');
SELECT remedy FROM tandem.preview_contract('remedied') WHERE part <> 'sequences' \gexec
SELECT part, object, what_happens FROM tandem.preview_contract('remedied');
CALL tandem.contract('remedied');
SET client_min_messages = warning;
INSERT INTO remedied (id, tenant) VALUES (2, 2);
INSERT INTO remedied (id, head, tenant) VALUES (3, 'a', 3);
SET ROLE regress_tandem_remedied;
INSERT INTO remedied (id, head, tenant) VALUES (4, 'B', 4);
SET ROLE regress_tandem_writer;
INSERT INTO remedied (id, head, tenant) VALUES (5, 'C', 5);
RESET ROLE;
SELECT * FROM remedied ORDER BY id;
ALTER EVENT TRIGGER tandem_guard_before DISABLE;
DROP EXTENSION pg_tandem CASCADE;
DROP SCHEMA calls CASCADE;
DROP ROLE regress_tandem_remedied, regress_tandem_writer;
