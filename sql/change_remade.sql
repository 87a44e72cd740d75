-- change_column: what is made again, or carried over, is what it was; what cannot be is told before anybody is refused.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE ROLE tandem_remade_reader;
CREATE ROLE tandem_remade_other;
CREATE SCHEMA made;
GRANT USAGE, CREATE ON SCHEMA made TO tandem_remade_reader;
SET search_path = made, public;
SELECT tandem.register_release(1);
SELECT tandem.switch_release(1);

-- 1. The views are made with the new type before, and taken back.
CREATE TABLE t (id int PRIMARY KEY, a int, b text);
GRANT SELECT ON t TO tandem_remade_reader;
INSERT INTO t VALUES (1, 1, 'x');
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION ff(int) RETURNS text LANGUAGE sql AS $$SELECT 'int'$$;
CREATE FUNCTION ff(bigint) RETURNS text LANGUAGE sql AS $$SELECT 'bigint'$$;
CREATE FUNCTION of_row(t) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE DOMAIN big AS bigint;
REVOKE USAGE ON TYPE big FROM PUBLIC;
CREATE VIEW good AS SELECT id, a, b, of_row(t) FROM t GROUP BY id;
CREATE VIEW good_over AS SELECT a FROM good;
-- names that the rehearsal would take
CREATE TYPE good_tandem_lent AS (x int);
ALTER TABLE t ADD COLUMN a_tandem_lent int;
CREATE VIEW missing AS SELECT f(a) FROM t;
CREATE VIEW missing_over AS SELECT f FROM missing;
CREATE RECURSIVE VIEW recursive (n) AS SELECT 1 UNION ALL SELECT n + a FROM recursive, t WHERE id = n;
CREATE VIEW owned AS SELECT id, a FROM t;
ALTER VIEW owned OWNER TO tandem_remade_reader;
CREATE VIEW with_rule AS SELECT id, a FROM t;
CREATE RULE r AS ON INSERT TO with_rule DO INSTEAD INSERT INTO t VALUES (f(new.a), new.a);
CREATE VIEW with_default AS SELECT id, a FROM t;
ALTER VIEW with_default ALTER a SET DEFAULT NULLIF(1, 2);
CREATE VIEW other AS SELECT ff(a) FROM t;
CREATE VIEW left_out AS SELECT f(a + 1) FROM t;
SELECT tandem.create_views(1, ARRAY['t']);
CREATE VIEW over_release AS SELECT id, a FROM release_1.t;
SELECT tandem.create_migration('m', release => 2);
-- the text of a view differs between servers
\set VERBOSITY terse
SELECT tandem.change_column('m', 't', 'a', 'big', carry => '{good}', leave => '{left_out}');
SELECT object FROM tandem.operation WHERE kind = 'undecided' ORDER BY 1;
SELECT tandem.change_column('m', 't', 'a', 'big', carry => '{with_rule,missing,recursive,other}');
SELECT tandem.create_views(2, ARRAY['t']);
CALL tandem.migrate('m');
SELECT object FROM tandem.preview_contract('m') WHERE part = 'in use';
-- nothing of it is left
SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE (a.attname ~ 'tandem' OR c.relname ~ 'tandem_') AND c.relnamespace = 'made'::regnamespace;
DROP VIEW missing, missing_over, recursive, other, with_rule;
GRANT USAGE ON TYPE big TO tandem_remade_reader;
SELECT tandem.change_column('m', 't', 'a', 'big', carry => '{with_default}');
CALL tandem.migrate('m');
SELECT tandem.switch_release(2);
-- one that fails since: the release before is not refused for it
CREATE VIEW late AS SELECT id, a FROM t;
CREATE VIEW late_over AS SELECT a FROM late;
CREATE FUNCTION of_type(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE RULE r AS ON DELETE TO late DO INSTEAD DELETE FROM t WHERE of_type(id) = old.id;
CREATE TRIGGER r INSTEAD OF UPDATE ON late FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER VIEW late OWNER TO tandem_remade_other;
GRANT SELECT ON t TO tandem_remade_other;
\set VERBOSITY default
CALL tandem.contract('m', undeclared => 'ignore');
\set VERBOSITY terse
SELECT tandem.at_contract('m', 't', 'COMMENT ON VIEW late IS ''late'' /* late */');
CALL tandem.contract('m', undeclared => 'ignore');
SELECT state FROM tandem.releases WHERE release = 1;
DROP VIEW late_over, late;
CALL tandem.abort('m', force => true);
DROP VIEW left_out;

-- 2. What a view gives a column that gets other values is asked for; and what uses the view of a release that ends is told.
CREATE TABLE log (x int);
CREATE VIEW plain AS SELECT id, a FROM t;
CREATE VIEW default_of_other AS SELECT id, a FROM t;
ALTER VIEW default_of_other ALTER COLUMN id SET DEFAULT 700;
CREATE VIEW rule_passes AS SELECT id, a FROM t;
CREATE RULE r AS ON INSERT TO rule_passes DO INSTEAD INSERT INTO t VALUES (new.id, new.a) RETURNING id, a;
CREATE VIEW rule_twice AS SELECT id, a FROM t;
CREATE RULE r AS ON INSERT TO rule_twice DO INSTEAD INSERT INTO t VALUES (new.id, new.a * 2);
CREATE VIEW rule_constant AS SELECT id, a FROM t;
CREATE RULE r AS ON INSERT TO rule_constant DO INSTEAD INSERT INTO t VALUES (new.id, 5);
CREATE VIEW rule_elsewhere AS SELECT id, a FROM t;
CREATE RULE r AS ON DELETE TO rule_elsewhere DO INSTEAD INSERT INTO log VALUES (old.a);
CREATE VIEW rule_where AS SELECT id, a FROM t;
CREATE RULE r AS ON DELETE TO rule_where WHERE old.a > 5 DO INSTEAD NOTHING;
SELECT tandem.create_migration('values', release => 3);
SELECT tandem.change_column('values', 't', 'a', 'numeric', up => 'a / 100.0', down => 'a * 100', carry => '{good}');
SELECT object FROM tandem.operation WHERE kind = 'undecided' ORDER BY 1;
SELECT tandem.change_column('values', 't', 'a', 'numeric', up => 'a / 100.0', down => 'a * 100', carry => '{rule_twice,rule_constant,rule_elsewhere}', leave => '{rule_where}');
SELECT tandem.create_views(3, ARRAY['t']);
\set VERBOSITY terse
CALL tandem.migrate('values');
SELECT object, what_happens FROM tandem.preview_contract('values') WHERE object ~ 'with_default|over_release' ORDER BY 1, 2;
SELECT tandem.at_contract('values', 't', 'ALTER VIEW with_default ALTER COLUMN a SET DEFAULT 7');
CALL tandem.migrate('values');
SELECT tandem.switch_release(3);
CALL tandem.contract('values', undeclared => 'ignore');
SELECT adrelid::regclass, pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'with_default'::regclass;
SELECT to_regclass('rule_where');
SELECT * FROM over_release;
DROP VIEW over_release;

-- 3. Indexes, constraints and statistics keep all that they have.
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE tandem_remade LOCATION '';
GRANT CREATE ON TABLESPACE tandem_remade TO PUBLIC;
CREATE TABLE kept (id serial PRIMARY KEY, a int NOT NULL DEFAULT 3, b int, s serial);
CREATE INDEX kept_expression ON kept ((a + 1), b);
ALTER INDEX kept_expression ALTER COLUMN 1 SET STATISTICS 555;
CREATE INDEX kept_space ON kept (a DESC, b) TABLESPACE tandem_remade;
ALTER INDEX kept_space DEPENDS ON EXTENSION plpgsql;
CREATE INDEX kept_a ON kept (a) WITH (fillfactor = 70);
CLUSTER kept USING kept_a;
ALTER TABLE kept ADD CONSTRAINT kept_unique UNIQUE (a, id) INCLUDE (b) WITH (fillfactor = 60) USING INDEX TABLESPACE tandem_remade DEFERRABLE;
ALTER TABLE kept ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;
CREATE STATISTICS kept_statistics ON a, b FROM kept;
ALTER STATISTICS kept_statistics SET STATISTICS 321;
ALTER STATISTICS kept_statistics OWNER TO tandem_remade_reader;
INSERT INTO kept (a, b) SELECT i, i FROM generate_series(1, 5) i;
CREATE VIEW kept_view AS SELECT id, a FROM kept;
GRANT USAGE ON TYPE kept_view TO tandem_remade_other;
REVOKE ALL ON TYPE kept_view FROM PUBLIC;
CREATE SEQUENCE of_view OWNED BY kept_view.id;
CREATE VIEW catalogs AS
SELECT concat_ws(' ', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary, i.indimmediate, i.indisclustered, i.indisvalid, i.indisreplident) AS line
FROM pg_index i WHERE i.indrelid = 'kept'::regclass
UNION ALL SELECT concat_ws(' ', c.relname, c.relowner::regrole, c.reloptions, s.spcname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE i.indrelid = 'kept'::regclass
UNION ALL SELECT concat_ws(' ', a.attrelid::regclass, a.attnum, nullif(a.attstattarget, -1)) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid WHERE i.indrelid = 'kept'::regclass
UNION ALL SELECT concat_ws(' ', c.conname, c.contype, c.convalidated, c.condeferrable, pg_get_constraintdef(c.oid)) FROM pg_constraint c WHERE c.conrelid = 'kept'::regclass AND c.contype <> 'n'
UNION ALL SELECT concat_ws(' ', s.stxname, s.stxowner::regrole, s.stxstattarget, s.stxkind) FROM pg_statistic_ext s WHERE s.stxrelid = 'kept'::regclass
UNION ALL SELECT concat_ws(' ', t.typname, t.typacl) FROM pg_type t WHERE t.typrelid = 'kept_view'::regclass
UNION ALL SELECT concat_ws(' ', pg_describe_object(d.classid, d.objid, d.objsubid), d.deptype, pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)) FROM pg_depend d
WHERE (d.refobjid IN ('kept'::regclass, 'kept_view'::regclass) OR d.deptype = 'x' AND d.refclassid = 'pg_extension'::regclass)
	AND NOT (d.classid = 'pg_rewrite'::regclass) AND NOT (d.classid = 'pg_trigger'::regclass) AND NOT EXISTS (SELECT FROM pg_constraint n WHERE d.classid = 'pg_constraint'::regclass AND n.oid = d.objid AND n.contype = 'n');
CREATE TABLE catalogs_before AS TABLE catalogs;
SELECT tandem.create_views(3, ARRAY['kept']);
SELECT tandem.create_migration('kept', release => 4);
\set VERBOSITY default
SELECT tandem.change_column('kept', 'kept', 'a', 'bigint');
\set VERBOSITY terse
SELECT tandem.change_column('kept', 'kept', 's', 'bigint');
SELECT tandem.create_views(4, ARRAY['kept']);
-- a word of a statement decides nothing
SELECT tandem.at_contract('kept', 'kept', 'COMMENT ON TABLE made.kept IS ''positive'' /* positive */');
CALL tandem.migrate('kept');
SELECT tandem.at_contract('kept', 'kept', 'ALTER TABLE made.kept DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (a > 0) NOT VALID');
CALL tandem.migrate('kept');
INSERT INTO release_3.kept (a) VALUES (50);
INSERT INTO release_4.kept (a) VALUES (51);
INSERT INTO kept (a) VALUES (52);
SELECT count(DISTINCT s), count(DISTINCT s__4), bool_and(s = s__4) FROM kept;
SELECT tandem.switch_release(4);
CALL tandem.contract('kept', undeclared => 'ignore');
SELECT 'gone' AS side, line FROM (TABLE catalogs_before EXCEPT TABLE catalogs) q UNION ALL SELECT 'new', line FROM (TABLE catalogs EXCEPT TABLE catalogs_before) q ORDER BY 1, 2;
INSERT INTO kept (a) VALUES (53) RETURNING s > (SELECT max(k.s) FROM kept k) AS later;
-- carry has it validated
SELECT tandem.create_migration('carried', release => 5);
SELECT tandem.change_column('carried', 'kept', 'a', 'numeric', carry => '{positive}');
SELECT tandem.create_views(5, ARRAY['kept']);
CALL tandem.migrate('carried');
SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'kept'::regclass AND conname ~ 'positive' ORDER BY 1;
CALL tandem.abort('carried', force => true);

-- 4. The owner of statistics whom the owner of the table cannot make the owner is told.
CREATE TABLE given (id int PRIMARY KEY, a int, b int);
CREATE STATISTICS given_statistics ON a, b FROM given;
ALTER STATISTICS given_statistics OWNER TO tandem_remade_other;
ALTER TABLE given OWNER TO tandem_remade_reader;
SELECT tandem.create_migration('given', release => 5);
SELECT tandem.change_column('given', 'made.given', 'a', 'bigint');
CALL tandem.migrate('given');
SELECT tandem.switch_release(5);
SET ROLE tandem_remade_reader;
CALL tandem.contract('given', undeclared => 'ignore');
RESET ROLE;
SELECT stxname, stxowner::regrole FROM pg_statistic_ext WHERE stxrelid = 'given'::regclass;

-- 5. Another default alone adds no column.
CREATE FUNCTION eight() RETURNS int LANGUAGE sql AS 'SELECT 8';
CREATE TABLE plain_default (id int PRIMARY KEY, a int DEFAULT 4, b text DEFAULT 'x', c int GENERATED ALWAYS AS IDENTITY);
SELECT tandem.create_views(5, ARRAY['plain_default']);
SELECT tandem.create_migration('default', release => 6);
SELECT tandem.change_column('default', 'plain_default', 'a', default_value => '7, DROP COLUMN b');
SELECT tandem.change_column('default', 'plain_default', 'c', default_value => '7');
SELECT tandem.change_column('default', 'plain_default', 'none', default_value => '7');
SELECT tandem.change_column('default', 'plain_default', 'a');
SELECT tandem.change_column('default', 'plain_default', 'a', default_value => 'eight() + 1 -- nine');
SELECT tandem.change_column('default', 'plain_default', 'a', default_value => 'eight() + 1 -- nine');
SELECT tandem.create_views(6, ARRAY['plain_default']);
SELECT tandem.change_column('default', 'plain_default', 'b', 'text', default_value => 'NULL');
INSERT INTO release_5.plain_default (id) VALUES (1);
INSERT INTO release_6.plain_default (id) VALUES (2);
INSERT INTO plain_default (id) VALUES (3);
TABLE plain_default;
SELECT attname FROM pg_attribute WHERE attrelid = 'plain_default'::regclass AND attnum > 0;
BEGIN;
CALL tandem.abort('default', force => true);
SELECT adrelid::regclass, adnum, pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid IN ('plain_default'::regclass, 'release_5.plain_default'::regclass) ORDER BY 1, 2;
ROLLBACK;
SELECT tandem.switch_release(6);
CALL tandem.contract('default', undeclared => 'ignore');
SELECT adrelid::regclass, adnum, pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid IN ('plain_default'::regclass, 'release_6.plain_default'::regclass) ORDER BY 1, 2;
SELECT view, own_defaults FROM tandem.view WHERE release = 6 AND NOT ended;
-- so the view goes on with the table
ALTER TABLE plain_default ALTER a SET DEFAULT 11;
INSERT INTO release_6.plain_default (id) VALUES (4) RETURNING a, b;

-- 6. What helps is said of temporary views, of those of an extension, and of rights.
CREATE TABLE helped (id int PRIMARY KEY, a int);
GRANT SELECT ON helped TO tandem_remade_reader;
CREATE TEMPORARY VIEW temporary AS SELECT a FROM helped;
CREATE VIEW of_extension AS SELECT a FROM helped;
ALTER EXTENSION plpgsql ADD VIEW of_extension;
CREATE VIEW of_reader AS SELECT a FROM helped;
ALTER VIEW of_reader OWNER TO tandem_remade_reader;
REVOKE CREATE ON SCHEMA made FROM tandem_remade_reader;
CREATE VIEW of_invoker WITH (security_invoker = on) AS SELECT a FROM helped;
GRANT SELECT ON of_invoker TO tandem_remade_reader;
ALTER VIEW of_invoker OWNER TO tandem_remade_other;
CREATE FUNCTION of_caller() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT max(a) FROM helped; END;
ALTER FUNCTION of_caller() OWNER TO tandem_remade_other;
SELECT tandem.create_migration('helped', release => 7);
SELECT tandem.change_column('helped', 'helped', 'a', 'bigint');
SELECT object FROM tandem.preview_contract('helped') WHERE part = 'in use' ORDER BY 1;
DROP VIEW temporary;
ALTER EXTENSION plpgsql DROP VIEW of_extension;
GRANT USAGE, CREATE ON SCHEMA made TO tandem_remade_reader, tandem_remade_other;
SELECT tandem.at_contract('helped', 'helped', 'DROP FUNCTION made.of_caller()');
CALL tandem.migrate('helped');
SELECT tandem.switch_release(7);
CALL tandem.contract('helped', undeclared => 'ignore');
SELECT c.relname, c.relowner::regrole = CURRENT_USER::regrole AS mine FROM pg_class c WHERE c.relname LIKE 'of\_%' AND c.relkind = 'v' ORDER BY 1;

-- 7. An identity column goes on as one, with its sequence; where it cannot, as a default.
CREATE TABLE numbered (id int PRIMARY KEY, a int GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 3), b int GENERATED BY DEFAULT AS IDENTITY);
INSERT INTO numbered VALUES (1);
SELECT tandem.create_views(7, ARRAY['numbered']);
SELECT tandem.create_migration('numbered', release => 8);
GRANT INSERT ON numbered TO tandem_remade_reader;
GRANT INSERT (a) ON numbered TO PUBLIC;
\set VERBOSITY default
-- as a type that no identity column has
SELECT tandem.change_column('numbered', 'numbered', 'a', 'numeric', bare_table => true);
\set VERBOSITY terse
GRANT USAGE ON SEQUENCE numbered_a_seq, numbered_b_seq TO PUBLIC;
SELECT tandem.change_column('numbered', 'numbered', 'a', 'bigint');
SELECT tandem.change_column('numbered', 'numbered', 'b', 'text', up => 'b::text', down => 'b::int');
SELECT tandem.create_views(8, ARRAY['numbered']);
INSERT INTO release_7.numbered VALUES (2);
SET ROLE tandem_remade_reader;
INSERT INTO made.numbered VALUES (9);
RESET ROLE;
INSERT INTO release_8.numbered (id) VALUES (3);
INSERT INTO numbered VALUES (4);
CALL tandem.migrate('numbered');
SELECT part, object, what_happens FROM tandem.preview_contract('numbered');
SELECT count(DISTINCT a), bool_and(a = a__8), count(DISTINCT b), bool_and(b::text = b__8) FROM numbered;
BEGIN;
CALL tandem.abort('numbered', force => true);
SELECT attname, attidentity, pg_get_serial_sequence('numbered', attname) FROM pg_attribute WHERE attrelid = 'numbered'::regclass AND attnum > 1 AND NOT attisdropped;
ROLLBACK;
SELECT tandem.switch_release(8);
-- no sequence is said to be dropped
SET client_min_messages = notice;
CALL tandem.contract('numbered', undeclared => 'ignore');
SET client_min_messages = warning;
SELECT attname, atttypid::regtype, attidentity, attnotnull, pg_get_serial_sequence('numbered', attname), pg_get_expr(adbin, adrelid)
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = 'numbered'::regclass AND attnum > 1 AND NOT attisdropped ORDER BY attname;
SELECT seqrelid::regclass, seqtypid::regtype, seqincrement FROM pg_sequence WHERE seqrelid IN ('numbered_a_seq'::regclass, 'numbered_b_seq'::regclass) ORDER BY 1;
INSERT INTO numbered VALUES (5);
INSERT INTO release_8.numbered (id) VALUES (6);
INSERT INTO numbered VALUES (7, 7);
SELECT count(DISTINCT a), count(DISTINCT b) FROM numbered;
ALTER TABLE numbered ALTER a DROP IDENTITY;
DROP TABLE numbered CASCADE;
SELECT to_regclass('numbered_a_seq'), to_regclass('numbered_b_seq');

-- 8. What only a partition has is told, too.
CREATE TABLE parts (id int, a int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
ALTER TABLE parts_1 ALTER a SET NOT NULL, ALTER a SET STATISTICS 99, ADD CONSTRAINT parts_1_unique UNIQUE (a, id), ADD CONSTRAINT parts_1_check CHECK (a > -5);
CREATE INDEX parts_1_index ON parts_1 (a);
CREATE STATISTICS parts_1_statistics ON id, a FROM parts_1;
COMMENT ON COLUMN parts_1.a IS 'of one';
CREATE POLICY one ON parts_1 USING (a > 0);
CREATE VIEW of_part AS SELECT a FROM parts_1;
INSERT INTO parts VALUES (1, 1), (11, 11);
SELECT tandem.create_views(8, ARRAY['parts']);
SELECT tandem.create_migration('parts', release => 9);
\set VERBOSITY default
SELECT tandem.change_column('parts', 'parts', 'a', 'bigint');
\set VERBOSITY terse
SELECT tandem.create_views(9, ARRAY['parts']);
CALL tandem.migrate('parts');
SELECT tandem.at_contract('parts', 'parts', 'ALTER POLICY one ON made.parts_1 USING (a > 0)');
CALL tandem.migrate('parts');
SELECT part, object FROM tandem.preview_contract('parts') ORDER BY 1, 2;
SELECT tandem.switch_release(9);
CALL tandem.contract('parts', undeclared => 'ignore');
CALL tandem.contract('parts', undeclared => 'ignore', accept => '{unique constraints,not null,extended statistics}');
SELECT attrelid::regclass, atttypid::regtype, nullif(attstattarget, -1) AS target, col_description(attrelid, attnum) FROM pg_attribute WHERE attname = 'a' AND attrelid IN ('parts'::regclass, 'parts_1'::regclass, 'of_part'::regclass) ORDER BY 1;

SET client_min_messages = error;
RESET search_path;
DROP SCHEMA made CASCADE;
DROP TABLESPACE tandem_remade;
DROP EXTENSION pg_tandem CASCADE;
DO $$DECLARE s name; BEGIN FOR s IN SELECT nspname FROM pg_namespace WHERE nspname LIKE '%release%' LOOP EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END$$;
DROP OWNED BY tandem_remade_reader, tandem_remade_other;
DROP ROLE tandem_remade_reader, tandem_remade_other;
