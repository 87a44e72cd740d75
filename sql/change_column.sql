-- change_column: another type, or other values, under the same name, and all that stands on the column.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE ROLE tandem_change_reader;

-- all that the catalogs say of the tables of a schema, but for the places and the types of columns
CREATE FUNCTION shape(of_schema text, with_types boolean DEFAULT false) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' ', 'column', a.attrelid::regclass, a.attname, CASE WHEN with_types THEN format_type(a.atttypid, a.atttypmod) END,
		a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, coalesce(a.attstattarget, -1),
		ARRAY(SELECT o FROM unnest(a.attoptions) o WHERE o !~ '^pg_attver'), a.attacl, a.attcompression,
		col_description(a.attrelid, a.attnum))
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	WHERE c.relnamespace = of_schema::regnamespace AND c.relkind IN ('r', 'p')
	UNION ALL SELECT concat_ws(' ', 'constraint', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid), c.convalidated, c.condeferrable)
	FROM pg_constraint c WHERE c.connamespace = of_schema::regnamespace AND c.contype <> 'n'
	UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid), i.indisunique, i.indisvalid)
	FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = of_schema::regnamespace AND c.relkind IN ('r', 'p')
	UNION ALL SELECT concat_ws(' ', 'statistics', pg_get_statisticsobjdef(s.oid)) FROM pg_statistic_ext s WHERE s.stxnamespace = of_schema::regnamespace
	UNION ALL SELECT concat_ws(' ', 'sequence', s.seqrelid::regclass, d.refobjid::regclass, a.attname) FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
	LEFT JOIN pg_depend d ON d.objid = s.seqrelid AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass
	LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE c.relnamespace = of_schema::regnamespace
	UNION ALL SELECT concat_ws(' ', 'trigger', t.tgrelid::regclass, t.tgname) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	WHERE c.relnamespace = of_schema::regnamespace AND NOT t.tgisinternal
$$;
CREATE TABLE shape_before (line text);
-- what is different from the shape noted
CREATE FUNCTION differences(of_schema text, with_types boolean DEFAULT false) RETURNS TABLE (side text, line text) LANGUAGE sql AS $$
	(SELECT 'gone', b.line FROM (SELECT line FROM shape_before EXCEPT SELECT * FROM shape(of_schema, with_types)) b)
	UNION ALL (SELECT 'new', n.line FROM (SELECT * FROM shape(of_schema, with_types) EXCEPT SELECT line FROM shape_before) n (line)) ORDER BY 1, 2
$$;

CREATE SCHEMA cinema;
SET search_path = cinema, public;
CREATE TABLE studios (id int PRIMARY KEY);
CREATE TABLE films (id int PRIMARY KEY, title text, rating int NOT NULL DEFAULT 3,
	studio int REFERENCES studios ON DELETE SET NULL DEFERRABLE, number serial, note text,
	CONSTRAINT rating_is_positive CHECK (rating > 0), CONSTRAINT rating_of_title UNIQUE (title, rating));
CREATE INDEX films_rating ON films (rating DESC NULLS LAST, title COLLATE "C" text_pattern_ops) INCLUDE (note) WITH (fillfactor = 70) WHERE rating < 100;
CREATE INDEX films_next ON films ((rating + 1));
CREATE UNIQUE INDEX films_number ON films (number) NULLS NOT DISTINCT;
CREATE STATISTICS films_stats (ndistinct, dependencies) ON rating, title FROM films;
COMMENT ON COLUMN films.rating IS 'stars';
GRANT SELECT (rating), UPDATE (rating) ON films TO tandem_change_reader;
ALTER TABLE films ALTER rating SET STATISTICS 500, ALTER rating SET (n_distinct = 5);
INSERT INTO studios VALUES (1), (2);
INSERT INTO films (id, title, studio) SELECT i, 't' || i, 1 FROM generate_series(1, 4) i;
SELECT tandem.register_release(41);
SELECT tandem.switch_release(41);
SELECT tandem.create_views(41, schemas => '{cinema}');
INSERT INTO shape_before SELECT * FROM shape('cinema');

-- 1. A wider type, word for word.
BEGIN;
SELECT tandem.create_migration('wider', release => 42);
SELECT tandem.change_column('wider', 'films', 'rating', 'bigint');
SELECT tandem.change_column('wider', 'films', 'studio', 'bigint');
SELECT tandem.change_column('wider', 'films', 'number', 'bigint');
SELECT tandem.create_views(42, schemas => '{cinema}');
COMMIT;
SELECT operation, column_name, new_name, state, at_contract FROM tandem.operations;
SELECT * FROM release_41.films ORDER BY id;
SELECT * FROM release_42.films ORDER BY id;
INSERT INTO release_41.films (id, studio) VALUES (10, 2);
UPDATE release_41.films SET rating = 5 WHERE id = 1;
-- the same script once more
SELECT tandem.change_column('wider', 'films', 'rating', 'bigint');
SELECT tandem.change_column('wider', 'films', 'rating', 'numeric');
CALL tandem.migrate('wider');
SELECT * FROM tandem.preview_contract('wider');
-- abort leaves nothing
BEGIN;
CALL tandem.abort('wider');
SELECT * FROM differences('cinema') WHERE line !~ 'nextval';
ROLLBACK;
INSERT INTO release_42.films (id, title, rating, studio) VALUES (11, 'eleven', 7, 2);
INSERT INTO release_42.films (id, title, studio) VALUES (12, 'twelve', 2);
UPDATE release_42.films SET rating = 8 WHERE id = 2;
-- 3,000,000,000 is for a release alone that knows it
INSERT INTO release_42.films (id, rating) VALUES (13, 3000000000);
SELECT id, title, rating, studio, number > 0 AS numbered FROM release_41.films ORDER BY id;
SELECT id, title, rating, studio, number > 0 AS numbered FROM release_42.films ORDER BY id;
SELECT tandem.switch_release(42);
CALL tandem.contract('wider', undeclared => 'ignore');
SELECT * FROM differences('cinema');
SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'films'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'release_42.films'::regclass AND attnum > 0 ORDER BY attnum;
SELECT seqtypid::regtype FROM pg_sequence WHERE seqrelid = 'films_number_seq'::regclass;
INSERT INTO release_42.films (id, rating) VALUES (13, 3000000000);
DELETE FROM films WHERE id = 13;
SELECT * FROM tandem.operations WHERE state <> 'done';
SELECT tandem.change_column('wider', 'films', 'rating', 'bigint');

-- 2. Other values: what depends on them is asked for.
TRUNCATE shape_before;
INSERT INTO shape_before SELECT * FROM shape('cinema', true);
SELECT tandem.create_migration('stars', release => 43);
SELECT tandem.change_column('stars', 'films', 'rating', 'text', up => 'repeat(''*'', rating::int)');
SELECT tandem.change_column('stars', 'films', 'rating', 'text', up => 'repeat(''*'', rating::int)', down => 'length(rating)', one_way => true);
SELECT tandem.change_column('stars', 'films', 'rating', 'text', up => 'repeat(''*'', rating::int)', down => 'NULL');
SELECT tandem.change_column('stars', 'films', 'rating', 'text', up => 'repeat(''*'', rating::int)', down => 'length(rating)', carry => '{films_none}');
\set VERBOSITY default
SELECT tandem.change_column('stars', 'films', 'rating', 'text', up => 'repeat(''*'', rating::int)', down => 'length(rating)');
\set VERBOSITY terse
SELECT tandem.create_views(43, schemas => '{cinema}');
SELECT operation, column_name, new_name, state, at_contract FROM tandem.operations WHERE migration = 'stars';
CALL tandem.migrate('stars');
SELECT tandem.change_column('stars', 'films', 'rating', 'text', up => 'repeat(''*'', rating::int)', down => 'length(rating)', leave => '{films_next,films_none}');
SELECT tandem.change_column('stars', 'films', 'rating', 'text', up => 'repeat(''*'', rating::int)', down => 'length(rating)', leave => '{films_next}');
SELECT tandem.change_column('stars', 'films', 'rating', 'text', up => 'repeat(''*'', rating::int)', down => 'length(rating)', leave => '{cinema.films_next}');
SELECT tandem.change_column('stars', 'films', 'rating', 'text', up => 'repeat(''*'', rating::int)', down => 'length(rating)', bare_table => true);
SELECT tandem.add_constraint('stars', 'films', 'rating_is_positive', 'CHECK (rating <> '''')');
SELECT tandem.add_index('stars', 'CREATE INDEX films_rating ON films (rating DESC) WHERE rating < ''*****''');
SELECT operation, column_name, new_name, state, at_contract FROM tandem.operations WHERE migration = 'stars';
CALL tandem.migrate('stars');
SELECT * FROM tandem.preview_contract('stars');
SELECT id, rating FROM release_42.films ORDER BY id;
SELECT id, rating FROM release_43.films ORDER BY id;
INSERT INTO release_43.films (id, title, rating) VALUES (20, 'a', '**') RETURNING rating;
INSERT INTO release_43.films (id, title) VALUES (21, 'a') RETURNING rating;
INSERT INTO release_43.films (id, title, rating) VALUES (22, 'b', '');
SELECT id, rating FROM release_42.films WHERE id >= 20 ORDER BY id;
BEGIN;
CALL tandem.abort('stars', force => true);
SELECT * FROM differences('cinema', true);
ROLLBACK;
SELECT tandem.switch_release(43);
CALL tandem.contract('stars', undeclared => 'ignore');
SELECT * FROM differences('cinema', true);

-- 3. The default and NOT NULL.
CREATE TABLE parts (id int PRIMARY KEY, a int DEFAULT 1, b int NOT NULL DEFAULT 2, c int DEFAULT 3, d int NOT NULL, e int);
INSERT INTO parts VALUES (1, 1, 1, 1, 1, 1);
SELECT tandem.create_views(43, ARRAY['parts']);
SELECT tandem.create_migration('defaults', release => 44);
SELECT tandem.change_column('defaults', 'parts', 'a', 'text', up => 'a::text || b', down => 'left(a, 1)::int');
SELECT tandem.change_column('defaults', 'parts', 'b', 'bigint', default_value => 'NULL', not_null => false, down => 'coalesce(b, 0)');
SELECT tandem.change_column('defaults', 'parts', 'c', 'bigint', default_value => '30', not_null => true);
SELECT tandem.change_column('defaults', 'parts', 'd', 'bigint');
SELECT tandem.change_column('defaults', 'parts', 'e', up => 'coalesce(e, 0) * 100', down => 'e / 100', not_null => true, default_value => '100');
SELECT tandem.create_views(44, ARRAY['parts']);
CALL tandem.migrate('defaults');
INSERT INTO release_43.parts (id, d) VALUES (2, 2);
INSERT INTO release_44.parts (id, d) VALUES (3, 3);
SELECT * FROM release_43.parts ORDER BY id;
SELECT * FROM release_44.parts ORDER BY id;
SELECT tandem.switch_release(44);
CALL tandem.contract('defaults', undeclared => 'ignore', accept => '{defaults}');
SELECT a.attname, a.atttypid::regtype, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = 'parts'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1;

-- 4. A chain of two releases, ended in order; partitions of other layouts.
CREATE TABLE measures (id int, junk int, at date, value int CONSTRAINT measures_check CHECK (value >= 0),
	CONSTRAINT measures_value UNIQUE (at, id, value)) PARTITION BY RANGE (at);
ALTER TABLE measures DROP COLUMN junk;
CREATE TABLE measures_old (value int CONSTRAINT measures_check CHECK (value >= 0), at date, id int);
ALTER TABLE measures ATTACH PARTITION measures_old FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE TABLE measures_new PARTITION OF measures FOR VALUES FROM ('2020-01-01') TO (MAXVALUE) PARTITION BY LIST (id);
CREATE TABLE measures_1 PARTITION OF measures_new FOR VALUES IN (1);
CREATE TABLE measures_2 PARTITION OF measures_new FOR VALUES IN (2);
CREATE INDEX measures_value_idx ON measures (value);
INSERT INTO measures SELECT 1 + i % 2, date '2019-12-25' + i, i FROM generate_series(1, 20) i;
SELECT tandem.create_views(44, ARRAY['measures']);
TRUNCATE shape_before;
INSERT INTO shape_before SELECT * FROM shape('cinema');
SELECT tandem.create_migration('first', release => 45);
SELECT tandem.change_column('first', 'measures', 'value', 'bigint');
SELECT tandem.create_views(45, ARRAY['measures']);
SELECT tandem.create_migration('second', release => 46);
SELECT tandem.change_column('second', 'measures', 'value', 'numeric');
CALL tandem.migrate('first');
\set VERBOSITY default
SELECT tandem.change_column('second', 'measures', 'value', 'numeric');
\set VERBOSITY terse
SELECT tandem.create_views(46, ARRAY['measures']);
CALL tandem.migrate('second');
INSERT INTO release_44.measures VALUES (1, '2010-01-01', 100);
INSERT INTO release_45.measures VALUES (1, '2030-01-01', 101);
INSERT INTO release_46.measures VALUES (2, '2030-01-02', 102);
SELECT * FROM release_44.measures WHERE value >= 100 ORDER BY 2;
SELECT * FROM release_46.measures WHERE value >= 100 ORDER BY 2;
SELECT tandem.switch_release(45);
CALL tandem.contract('first', undeclared => 'ignore');
SELECT tandem.switch_release(46);
CALL tandem.contract('second', undeclared => 'ignore');
SELECT * FROM differences('cinema');
SELECT * FROM release_46.measures WHERE value >= 100 ORDER BY 2;

-- 5. Who uses the table itself.
CREATE TABLE prices (id int PRIMARY KEY, small smallint, short varchar(5), amount numeric(6, 2), euros int);
SELECT tandem.create_migration('bare', release => 47);
SELECT tandem.change_column('bare', 'prices', 'small', 'int');
SELECT tandem.change_column('bare', 'prices', 'short', 'varchar(10)');
SELECT tandem.change_column('bare', 'prices', 'amount', 'numeric(8, 2)');
SELECT relation, old_columns, on_table FROM tandem.sync WHERE migration = (SELECT max(id) FROM tandem.migration) ORDER BY id;
CALL tandem.migrate('bare');
\set VERBOSITY default
SELECT tandem.create_migration('cents', release => 48);
SELECT tandem.change_column('cents', 'prices', 'euros', 'bigint', up => 'euros * 100', down => 'euros / 100');
CALL tandem.migrate('cents');
\set VERBOSITY terse
SELECT tandem.create_views(47, ARRAY['prices']);
SELECT tandem.create_views(48, ARRAY['prices']);
CALL tandem.migrate('cents');

-- 6. Refusals.
\set VERBOSITY default
SELECT tandem.create_migration('none');
SELECT tandem.change_column('none', 'prices', 'small', 'bigint');
SELECT tandem.create_migration('refused', release => 49);
SELECT tandem.change_column('refused', 'prices', 'small');
SELECT tandem.change_column('refused', 'films', 'note', 'text');
SELECT tandem.change_column('refused', 'prices', 'no', 'bigint');
SELECT tandem.change_column('refused', 'studios', 'id', 'bigint');
SELECT tandem.change_column('refused', 'studios', 'id', 'bigint', up => 'id * 2', down => 'id / 2', cascade => true);
SELECT tandem.change_column('refused', 'films', 'title', 'int');
SELECT tandem.change_column('refused', 'films', 'note', 'nothing');
SELECT tandem.change_column('refused', 'films', 'title', 'varchar(20)', up => 'left(title, 20)', down => 'title', carry => '{rating_of_title}');
CREATE VIEW titles AS SELECT note FROM films;
SELECT tandem.change_column('refused', 'films', 'note', 'varchar(20)', up => 'left(note, 20)', down => 'note');
SELECT tandem.drop_column('refused', 'films', 'note');
CALL tandem.abort('refused');


-- 7. Two columns of one index; a function of a trigger that names the column.
CREATE TABLE seats (id int PRIMARY KEY, line smallint, place smallint, UNIQUE (line, place), CHECK (line + place < 1000));
CREATE STATISTICS seats_stats ON line, place FROM seats;
CREATE FUNCTION check_seat() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF new.line < 0 THEN RAISE ''no such line''; END IF; RETURN new; END';
CREATE TRIGGER check_seat BEFORE INSERT ON seats FOR EACH ROW EXECUTE FUNCTION check_seat();
INSERT INTO seats SELECT i, i / 10, i % 10 FROM generate_series(1, 30) i;
TRUNCATE shape_before;
INSERT INTO shape_before SELECT * FROM shape('cinema');
SELECT tandem.create_migration('seats', release => 50);
SELECT tandem.change_column('seats', 'seats', 'line', 'int');
SELECT tandem.change_column('seats', 'seats', 'place', 'int');
SELECT tandem.create_views(50, ARRAY['seats']);
SELECT operation, column_name, new_name, at_contract FROM tandem.operations WHERE migration = 'seats';
CALL tandem.migrate('seats');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'seats'::regclass AND contype <> 'n' ORDER BY conname COLLATE "C";
SELECT tandem.switch_release(50);
CALL tandem.contract('seats', undeclared => 'ignore');
SELECT * FROM differences('cinema');
INSERT INTO seats VALUES (100, -1, 1);
INSERT INTO seats VALUES (100, 1, 1);
INSERT INTO release_50.seats VALUES (100, 100000, 1);
DROP SCHEMA cinema CASCADE;
