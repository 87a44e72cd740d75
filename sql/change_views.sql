-- change_column: the views of users are made again at contract, and what cannot be carried over is told.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE ROLE tandem_reporter;
CREATE ROLE tandem_view_reader;
CREATE ROLE tandem_view_third;

-- from server 16 on a column is not written with its only table
CREATE FUNCTION flat(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT regexp_replace(regexp_replace($1, '\m(items|v1)\.', '', 'g'), '\s+', ' ', 'g') $$;
-- all that the catalogs say of the views of a schema
CREATE FUNCTION views(of_schema text) RETURNS SETOF text LANGUAGE sql AS $$
	WITH v AS (SELECT * FROM pg_class c WHERE c.relnamespace = of_schema::regnamespace AND c.relkind = 'v')
	SELECT concat_ws(' ', v.relname, v.relowner::regrole, v.relacl, v.reloptions, obj_description(v.oid, 'pg_class'), obj_description(v.reltype, 'pg_type'), flat(pg_get_viewdef(v.oid))) FROM v
	UNION ALL SELECT concat_ws(' ', v.relname, a.attname, a.attnum, a.attacl, col_description(v.oid, a.attnum), pg_get_expr(d.adbin, d.adrelid))
	FROM v JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0 LEFT JOIN pg_attrdef d ON d.adrelid = v.oid AND d.adnum = a.attnum
	UNION ALL SELECT concat_ws(' ', v.relname, pg_get_ruledef(r.oid), obj_description(r.oid, 'pg_rewrite')) FROM v JOIN pg_rewrite r ON r.ev_class = v.oid AND r.rulename <> '_RETURN'
	UNION ALL SELECT concat_ws(' ', v.relname, pg_get_triggerdef(t.oid), obj_description(t.oid, 'pg_trigger')) FROM v JOIN pg_trigger t ON t.tgrelid = v.oid
	-- roles that may not be dropped
	UNION ALL SELECT concat_ws(' ', v.relname, s.objsubid, s.refobjid::regrole, s.deptype) FROM v JOIN pg_shdepend s ON s.classid = 'pg_class'::regclass AND s.objid = v.oid
$$;
CREATE TABLE views_before (line text);
CREATE FUNCTION views_that_differ(of_schema text) RETURNS TABLE (side text, line text) LANGUAGE sql AS $$
	(SELECT 'gone', b.line FROM (SELECT line FROM views_before EXCEPT SELECT * FROM views(of_schema)) b)
	UNION ALL (SELECT 'new', n.line FROM (SELECT * FROM views(of_schema) EXCEPT SELECT line FROM views_before) n (line)) ORDER BY 1, 2
$$;

CREATE SCHEMA shop;
GRANT USAGE, CREATE ON SCHEMA shop TO tandem_reporter;
GRANT USAGE ON SCHEMA shop TO tandem_view_reader;
SET search_path = shop, public;
CREATE DOMAIN code AS text;
-- an operator that is found by search_path alone
CREATE FUNCTION equal_codes(code, code) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1::text) OPERATOR(pg_catalog.=) lower($2::text)';
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION equal_pairs(pair, pair) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1.a OPERATOR(pg_catalog.=) $2.a';
CREATE OPERATOR shop.= (LEFTARG = pair, RIGHTARG = pair, FUNCTION = equal_pairs);
CREATE TABLE items (id int PRIMARY KEY, price int NOT NULL DEFAULT 5, name text, two pair);
GRANT SELECT, UPDATE ON items TO tandem_reporter;
INSERT INTO items SELECT i, i * 10, 'n' || i, (i, i)::pair FROM generate_series(1, 5) i;
CREATE VIEW v1 WITH (security_barrier, check_option = local) AS SELECT id, price, name FROM items WHERE id > 0;
CREATE VIEW v2 AS SELECT id, price * 2 AS twice FROM v1;
SET ROLE tandem_reporter;
CREATE VIEW v3 AS SELECT i.id, i.price AS "the Price" FROM items i;
GRANT SELECT ON v3 TO tandem_view_reader WITH GRANT OPTION;
GRANT UPDATE ("the Price") ON v3 TO tandem_view_third;
SET ROLE tandem_view_reader;
GRANT SELECT ON v3 TO tandem_view_third;
RESET ROLE;
CREATE VIEW v4 AS SELECT v3.id, v2.twice FROM v3 JOIN v2 USING (id);
CREATE VIEW v5 AS SELECT id, price FROM items WHERE two IS DISTINCT FROM (1, 9)::pair;
COMMENT ON VIEW v1 IS 'one';
COMMENT ON TYPE v1 IS 'its row';
COMMENT ON COLUMN v1.price IS 'a price';
ALTER VIEW v1 ALTER COLUMN price SET DEFAULT 77;
CREATE FUNCTION insert_item() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO shop.items (id, price) VALUES (NEW.id, NEW."the Price"); RETURN NEW; END$$;
CREATE TRIGGER insert_item INSTEAD OF INSERT ON v3 FOR EACH ROW EXECUTE FUNCTION insert_item();
COMMENT ON TRIGGER insert_item ON v3 IS 'a trigger';
CREATE RULE delete_item AS ON DELETE TO v2 DO INSTEAD DELETE FROM v1 WHERE id = old.id;
COMMENT ON RULE delete_item ON v2 IS 'a rule';
-- two that name each other
CREATE RULE also AS ON UPDATE TO v1 DO ALSO DELETE FROM v2 WHERE false;
-- one that is made by default privileges alone is not made with others
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO tandem_view_third;
SELECT tandem.register_release(1);
SELECT tandem.switch_release(1);
INSERT INTO views_before SELECT * FROM views('shop');

-- 1. Word for word: all are made again as they are.
BEGIN;
SELECT tandem.create_migration('wide', release => 2);
SELECT tandem.change_column('wide', 'items', 'price', 'bigint');
SELECT tandem.create_views(2, schemas => '{shop}');
COMMIT;
CALL tandem.migrate('wide');
SELECT part, object, what_happens FROM tandem.preview_contract('wide') ORDER BY 1, 2;
SELECT * FROM views_that_differ('shop');
SELECT tandem.switch_release(2);
CALL tandem.contract('wide');
SELECT * FROM views_that_differ('shop');
SELECT c.relname, a.attname, a.atttypid::regtype FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'shop'::regnamespace AND c.relkind = 'v' AND a.attnum > 0 AND a.attname <> 'id' ORDER BY c.relname, a.attnum;
SELECT * FROM v4 ORDER BY id;
SELECT id FROM v5 ORDER BY id;
INSERT INTO v3 VALUES (9, 3000000000);
DELETE FROM v2 WHERE id = 1;
SELECT * FROM v3 ORDER BY id;

-- 2. Other values: what computes from them is asked for.
SELECT tandem.create_migration('euros', release => 3);
SELECT tandem.change_column('euros', 'items', 'price', 'numeric(12,2)', up => 'price / 100.0', down => 'price * 100', carry => '{v2}', leave => '{v9}');
CREATE VIEW v9 AS SELECT id, count(*) OVER (ORDER BY price) FROM items;
SELECT tandem.change_column('euros', 'items', 'price', 'numeric(12,2)', up => 'price / 100.0', down => 'price * 100', carry => '{v2}');
SELECT tandem.create_views(3, schemas => '{shop}');
SELECT operation, new_name, state, at_contract FROM tandem.operations WHERE migration = 'euros';
CALL tandem.migrate('euros');
SELECT tandem.change_column('euros', 'items', 'price', 'numeric(12,2)', up => 'price / 100.0', down => 'price * 100', carry => '{v4,v1}', leave => '{v9}');
CALL tandem.migrate('euros');
-- views that come later
CREATE VIEW v10 AS SELECT sum(price) FROM v1;
CREATE VIEW v11 AS SELECT count FROM v9;
SELECT tandem.switch_release(3);
\set VERBOSITY default
\set SHOW_CONTEXT never
CALL tandem.contract('euros');
\set VERBOSITY terse
DROP VIEW v10, v11;
CALL tandem.contract('euros');
SELECT line FROM views_that_differ('shop') WHERE side = 'gone' OR line NOT LIKE 'v9%';
SELECT to_regclass('shop.v9');
SELECT * FROM v4 ORDER BY id;

-- 3. Rights and objects that stop it, and are told at expand; who may not use the table stops nothing.
GRANT SELECT ON items TO tandem_reporter;
REVOKE CREATE ON SCHEMA shop FROM tandem_reporter;
REVOKE EXECUTE ON FUNCTION insert_item() FROM PUBLIC;
CREATE MATERIALIZED VIEW m1 AS SELECT twice FROM v2;
CREATE FUNCTION takes_row(v1) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE SCHEMA elsewhere AUTHORIZATION tandem_view_third;
GRANT USAGE ON SCHEMA shop TO tandem_view_third;
REVOKE SELECT ON v3 FROM tandem_view_reader CASCADE;
REVOKE ALL ON v3 FROM tandem_view_third;
SET ROLE tandem_view_third;
CREATE VIEW elsewhere.stray AS SELECT price FROM shop.items;
CREATE VIEW elsewhere.stray_over AS SELECT twice FROM shop.v2;
RESET ROLE;
-- one whose text cannot be read again: the type of a literal has other values since
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE VIEW v12 AS SELECT price FROM items WHERE 'good'::mood IS NOT NULL;
ALTER TYPE mood RENAME VALUE 'good' TO 'fine';
CREATE DOMAIN refusing AS int CHECK (VALUE > 0);
CREATE VIEW v13 AS SELECT price FROM items WHERE '{1}'::refusing[] IS NOT NULL;
ALTER DOMAIN refusing ADD CHECK (VALUE > 5) NOT VALID;
REVOKE ALL ON v12, v13 FROM tandem_view_third;
SELECT tandem.create_migration('stops', release => 4);
\set VERBOSITY default
SELECT tandem.change_column('stops', 'items', 'price', 'numeric(14,2)');
\set VERBOSITY terse
SELECT tandem.create_views(4, schemas => '{shop}');
CALL tandem.migrate('stops');
GRANT CREATE ON SCHEMA shop TO tandem_reporter;
GRANT EXECUTE ON FUNCTION insert_item() TO tandem_reporter;
DROP FUNCTION takes_row(v1);
ALTER DOMAIN refusing DROP CONSTRAINT refusing_check1;
SELECT tandem.at_contract('stops', 'items', 'DROP MATERIALIZED VIEW shop.m1');
CALL tandem.migrate('stops');
SELECT tandem.switch_release(4);
TRUNCATE views_before;
INSERT INTO views_before SELECT * FROM views('shop');
CALL tandem.contract('stops');
SELECT * FROM views_that_differ('shop');
SELECT to_regclass('elsewhere.stray'), to_regclass('elsewhere.stray_over'), to_regclass('shop.m1');

-- 4. The statements that are told move what is not carried over.
CREATE TABLE rooms (id int PRIMARY KEY, a int NOT NULL DEFAULT 1, b int, c int);
CREATE FUNCTION shop.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
ALTER TABLE rooms ADD CONSTRAINT no_two EXCLUDE USING gist (int4range(a::int, a::int + 1) WITH &&);
CREATE POLICY seen ON rooms FOR UPDATE USING (a > 0) WITH CHECK (a < 100);
CREATE TABLE log (a bigint);
CREATE RULE also AS ON DELETE TO rooms WHERE old.a > 50 DO ALSO INSERT INTO log VALUES (old.a);
CREATE TRIGGER of_a BEFORE UPDATE OF a ON rooms FOR EACH ROW WHEN (old.a IS DISTINCT FROM new.a) EXECUTE FUNCTION nothing();
CREATE CONSTRAINT TRIGGER later AFTER UPDATE OF a ON rooms DEFERRABLE FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE FUNCTION largest() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT max(a) FROM rooms; END;
INSERT INTO rooms SELECT i, i, i FROM generate_series(1, 3) i;
CREATE TABLE halls (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED);
CREATE FUNCTION all_halls() RETURNS SETOF halls LANGUAGE sql AS 'SELECT * FROM shop.halls';
CREATE FUNCTION a_hall() RETURNS halls LANGUAGE sql STABLE AS 'SELECT h FROM shop.halls h ORDER BY id LIMIT 1';
-- with a function in FROM the text of a view has all columns of its row
CREATE VIEW by_function AS SELECT id, a FROM all_halls();
CREATE VIEW by_row AS SELECT (a_hall()).a;
INSERT INTO halls VALUES (1, 5);
SELECT tandem.create_views(4, ARRAY['rooms', 'halls']);
SELECT tandem.create_migration('moves', release => 5);
\set VERBOSITY default
SELECT tandem.change_column('moves', 'rooms', 'a', 'bigint', carry => '{no_two}');
SELECT tandem.change_column('moves', 'rooms', 'a', 'bigint');
\set VERBOSITY terse
SELECT tandem.change_column('moves', 'halls', 'a', 'bigint');
SELECT tandem.create_views(5, ARRAY['rooms', 'halls']);
CALL tandem.migrate('moves');
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('moves') WHERE object ~ 'view' ORDER BY object;
-- what it says, word for word
SELECT line, statements FROM tandem._column_moves('halls'::regclass, 2, 'a__5') ORDER BY line;
SELECT tandem.at_contract('moves', 'halls', s) FROM tandem._column_moves('halls'::regclass, 2, 'a__5') m, unnest(m.statements) s ORDER BY line;
SELECT tandem.at_contract('moves', 'halls', 'CREATE VIEW by_function AS SELECT id, a FROM all_halls()');
SELECT tandem.at_contract('moves', 'halls', 'ALTER VIEW by_row SET (security_barrier)');
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('moves') WHERE part = 'views' ORDER BY object;
SELECT count(*) FROM (SELECT tandem.at_contract('moves', 'shop.rooms', s) FROM tandem._column_moves('rooms'::regclass, 2, 'a__5') m, unnest(m.statements) WITH ORDINALITY u (s, place) ORDER BY m.name, place) q;
CALL tandem.migrate('moves');
SELECT tandem.at_contract('moves', 'shop.rooms', 'ALTER TABLE shop.rooms DROP CONSTRAINT no_two, ADD CONSTRAINT no_two EXCLUDE USING gist (int4range(a::int, a::int + 1) WITH &&)');
CALL tandem.migrate('moves');
SELECT tandem.switch_release(5);
CREATE VIEW of_rooms AS
SELECT pg_get_constraintdef(c.oid) AS text FROM pg_constraint c WHERE c.conrelid = 'rooms'::regclass AND c.contype <> 'n'
UNION ALL SELECT concat_ws(' ', p.polname, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) FROM pg_policy p WHERE p.polrelid = 'rooms'::regclass
UNION ALL SELECT pg_get_ruledef(r.oid) FROM pg_rewrite r WHERE r.ev_class = 'rooms'::regclass
UNION ALL SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE t.tgrelid = 'rooms'::regclass AND NOT t.tgisinternal AND t.tgname NOT LIKE '%tandem\_sync'
UNION ALL SELECT pg_get_functiondef('largest'::regproc);
CREATE TABLE rooms_before AS SELECT text FROM of_rooms;
CALL tandem.contract('moves');
TABLE rooms_before EXCEPT SELECT text FROM of_rooms;
SELECT text FROM of_rooms EXCEPT TABLE rooms_before;
SELECT attname, atttypid::regtype, attgenerated = '' AS plain FROM pg_attribute WHERE attrelid IN ('rooms'::regclass, 'halls'::regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attname;
SELECT * FROM by_function, by_row;
INSERT INTO rooms (id, a) VALUES (7, 50);
SELECT largest();

-- 5. A table that is published: the new column keeps its name in the table, and the views show it by the old one.
CREATE PUBLICATION of_items FOR TABLE items;
CREATE POLICY cheap ON items USING (price < 100);
SELECT tandem.create_migration('published', release => 6);
SELECT tandem.change_column('published', 'items', 'price', 'numeric(16,2)');
SELECT tandem.create_views(6, schemas => '{shop}');
SELECT count(*) FROM (SELECT tandem.at_contract('published', 'shop.items', s) FROM tandem._column_moves('items'::regclass, (SELECT attnum FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'price')::int, 'price__6') m, unnest(m.statements) s) q;
CALL tandem.migrate('published');
SELECT tandem.switch_release(6);
SET client_min_messages = error;
CALL tandem.contract('published');
SET client_min_messages = warning;
SELECT attname FROM pg_attribute WHERE attrelid = 'items'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname;
SELECT flat(pg_get_viewdef('v1'));
SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'cheap';
SELECT * FROM v4 ORDER BY id;
SELECT tandem.take_names('published');
SELECT flat(pg_get_viewdef('v1'));
SELECT * FROM v3 ORDER BY id;

-- 6. What a view would mean otherwise with the new type, and what says otherwise than before.
CREATE TABLE sums (id int PRIMARY KEY, amount int, cut int, note text);
INSERT INTO sums VALUES (1, 9, 1), (2, 10, 2);
CREATE FUNCTION form(int) RETURNS text LANGUAGE sql AS 'SELECT ''whole''';
CREATE VIEW placed AS SELECT y FROM sums AS i(x, y, z);
CREATE VIEW largest_cut AS SELECT max(cut) AS m FROM sums;
CREATE SCHEMA other;
CREATE VIEW other.largest_cut AS SELECT max(cut) AS m FROM sums;
ALTER TABLE sums ADD CONSTRAINT whole_cut CHECK (cut < 1000);
COMMENT ON CONSTRAINT whole_cut ON sums IS 'a check';
CREATE INDEX sums_cut ON sums (cut);
COMMENT ON INDEX sums_cut IS 'an index';
CREATE VIEW shown AS SELECT id, amount FROM sums;
CREATE RULE moved AS ON UPDATE TO shown DO INSTEAD UPDATE sums SET amount = new.amount WHERE id = old.id RETURNING sums.id, sums.amount;
CREATE TRIGGER off BEFORE UPDATE OF cut ON sums FOR EACH ROW EXECUTE FUNCTION nothing();
ALTER TABLE sums DISABLE TRIGGER off;
SELECT tandem.create_views(6, ARRAY['sums']);
SELECT tandem.create_migration('bound', release => 7);
SET client_min_messages = error;
SELECT tandem.change_column('bound', 'sums', 'amount', 'bigint');
SELECT tandem.change_column('bound', 'sums', 'cut', 'text', down => 'cut::int', carry => '{largest_cut}', leave => '{largest_cut}');
SELECT tandem.change_column('bound', 'sums', 'cut', 'text', down => 'cut::int', leave => '{largest_cut,whole_cut}');
SELECT tandem.change_column('bound', 'sums', 'cut', 'text', down => 'cut::int', carry => '{largest_cut}');
SELECT tandem.create_views(7, ARRAY['sums']);
SET client_min_messages = warning;
\set VERBOSITY default
CALL tandem.migrate('bound');
\set VERBOSITY terse
DROP VIEW placed;
SELECT count(*) FROM (SELECT tandem.at_contract('bound', 'shop.sums', s) FROM tandem._column_moves('sums'::regclass, 3, 'cut__7') m, unnest(m.statements) WITH ORDINALITY u (s, place) ORDER BY m.name, place) q;
CALL tandem.migrate('bound');
SELECT object, what_happens FROM tandem.preview_contract('bound') WHERE part = 'views' ORDER BY 1;
SELECT tandem.switch_release(7);
-- another function takes the new type better
CREATE VIEW formed AS SELECT id, form(amount) FROM sums;
CREATE FUNCTION form(bigint) RETURNS text LANGUAGE sql AS 'SELECT ''mine''';
\set VERBOSITY default
CALL tandem.contract('bound');
DROP FUNCTION form(bigint);
\set VERBOSITY terse
DROP VIEW formed;
CALL tandem.contract('bound');
SELECT c.oid::regclass FROM pg_class c WHERE relname IN ('largest_cut', 'shown') ORDER BY 1::text;
UPDATE shown SET amount = 3000000000 WHERE id = 1 RETURNING amount;
SELECT tgenabled FROM pg_trigger WHERE tgname = 'off';
SELECT obj_description('sums_cut'::regclass, 'pg_class');

-- 7. A constraint and a view of one name are decided about together, and each is noted.
CREATE TABLE tens (id int PRIMARY KEY, n int);
INSERT INTO tens VALUES (1, 10);
ALTER TABLE tens ADD CONSTRAINT both_n CHECK (n >= 10);
CREATE VIEW both_n AS SELECT id FROM tens WHERE n > 5;
SELECT tandem.create_migration('both', release => 8);
SET client_min_messages = error;
SELECT tandem.change_column('both', 'tens', 'n', 'bigint', up => 'n * 2', down => 'n / 2');
SELECT kind, object, split_part(given, ':', 1) AS given FROM tandem.operation WHERE object = 'both_n' ORDER BY 3 COLLATE "C";
SELECT tandem.change_column('both', 'tens', 'n', 'bigint', up => 'n * 2', down => 'n / 2', leave => '{both_n}');
SELECT kind, object, split_part(given, ':', 1) AS given FROM tandem.operation WHERE object = 'both_n' ORDER BY 3 COLLATE "C";
SET client_min_messages = warning;
CALL tandem.abort('both');

SET client_min_messages = error;
RESET search_path;
DROP PUBLICATION of_items;
DROP SCHEMA shop, elsewhere, other CASCADE;
DROP EXTENSION pg_tandem CASCADE;
DROP FUNCTION views, views_that_differ, flat;
DROP TABLE views_before;
DO $$DECLARE s name; BEGIN FOR s IN SELECT nspname FROM pg_namespace WHERE nspname LIKE '%release%' LOOP EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END$$;
DROP OWNED BY tandem_reporter, tandem_view_reader, tandem_view_third;
DROP ROLE tandem_reporter, tandem_view_reader, tandem_view_third;
