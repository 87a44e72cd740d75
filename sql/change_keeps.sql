-- change_column: what the twin has of the column, and views that read the column by way of a row.
CREATE DATABASE change_keeps;
\c change_keeps
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
CREATE ROLE tandem_keeps_reader;
CREATE ROLE tandem_keeps_other;
CREATE SCHEMA keeps;
SET search_path = keeps, public;
SELECT tandem.register_release(1);
SELECT tandem.switch_release(1);

-- 1. The collation, of which the type says nothing: what is unique, and what comes first, stays so.
CREATE COLLATION "Other C" FROM "C";
CREATE DOMAIN in_c AS varchar COLLATE "C";
CREATE DOMAIN in_posix AS text COLLATE "POSIX";
CREATE TABLE t (id integer PRIMARY KEY, a varchar(10) COLLATE "Other C" UNIQUE CHECK (a < 'a'), b varchar(10), c in_c, d name, e varchar(10) COLLATE "C", f varchar(10) COLLATE "C", g integer);
CREATE INDEX t_a ON t (a, b COLLATE "C");
CREATE VIEW sorted AS SELECT id, a FROM t ORDER BY a COLLATE "Other C";
INSERT INTO t VALUES (1, 'B', 'b', 'c', 'd', 'e', 'f', 1), (2, 'A', 'a', 'b', 'c', 'd', 'e', 2);
SELECT tandem.create_views(1, ARRAY['t']);
SELECT tandem.create_migration('m', release => 2);
SELECT tandem.change_column('m', 't', 'a', 'text');
SELECT tandem.change_column('m', 't', 'b', 'text');
SELECT tandem.change_column('m', 't', 'c', 'text');
SELECT tandem.change_column('m', 't', 'd', 'text');
SELECT tandem.change_column('m', 't', 'e', 'in_posix');
SELECT tandem.change_column('m', 't', 'f', 'bytea', up => 'f::bytea', down => 'encode(f, ''escape'')');
SELECT tandem.change_column('m', 't', 'g', 'text', up => 'g::text', down => 'g::integer');
SELECT tandem.create_views(2, ARRAY['t']);
CREATE VIEW collations AS SELECT attrelid::regclass AS relation, attname, attcollation::regcollation FROM pg_attribute WHERE attrelid IN ('t'::regclass, 'release_2.t'::regclass) AND attnum > 0 AND NOT attisdropped;
SELECT attname, attcollation FROM collations WHERE relation = 'release_2.t'::regclass ORDER BY 1;
CALL tandem.migrate('m');
SELECT tandem.switch_release(2);
CALL tandem.contract('m', undeclared => 'ignore');
SELECT attname, attcollation FROM collations WHERE relation = 't'::regclass ORDER BY 1;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 't'::regclass ORDER BY 1;
SELECT a FROM sorted;

-- 2. Privileges of the column, with their grantors: what has been granted by another one goes with his.
CREATE TABLE granted (id integer, k integer, a integer) PARTITION BY LIST (k);
CREATE TABLE granted_part PARTITION OF granted FOR VALUES IN (1);
GRANT SELECT (a), UPDATE (a) ON granted TO tandem_keeps_reader WITH GRANT OPTION;
GRANT USAGE ON SCHEMA keeps TO tandem_keeps_reader;
GRANT INSERT (a) ON granted_part TO tandem_keeps_other;
SET ROLE tandem_keeps_reader;
GRANT SELECT (a) ON granted TO tandem_keeps_other;
RESET ROLE;
CREATE VIEW rights AS SELECT a.attrelid::regclass AS relation, e.grantor::regrole::text = 'tandem_keeps_reader' AS by_reader, e.grantee::regrole, e.privilege_type, e.is_grantable
FROM pg_attribute a, aclexplode(a.attacl) e WHERE a.attname = 'a' AND a.attrelid IN ('granted'::regclass, 'granted_part'::regclass);
CREATE TABLE rights_before AS TABLE rights;
SELECT * FROM rights_before ORDER BY 1, 2, 3, 4;
SELECT tandem.create_migration('rights', release => 3);
SELECT tandem.change_column('rights', 'granted', 'a', 'bigint');
CALL tandem.migrate('rights');
SELECT tandem.switch_release(3);
CALL tandem.contract('rights', undeclared => 'ignore');
(TABLE rights EXCEPT ALL TABLE rights_before) UNION ALL (TABLE rights_before EXCEPT ALL TABLE rights);
SELECT count(*) > 0 FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = 'tandem_keeps_other'::regrole AND objid = 'granted'::regclass AND objsubid > 0;
REVOKE SELECT (a) ON granted FROM tandem_keeps_reader CASCADE;
SELECT * FROM rights WHERE privilege_type = 'SELECT';

-- 3. What computes from the column of a row that another view shows is asked for.
CREATE TABLE r (id integer PRIMARY KEY, a integer, b text);
CREATE VIEW shows_row AS SELECT r FROM r;
CREATE VIEW computes AS SELECT (v.r).a + 1 AS y FROM shows_row v;
CREATE VIEW other_column AS SELECT (v.r).b, r.a FROM shows_row v JOIN r ON (v.r).id = r.id;
SELECT tandem.create_views(3, ARRAY['r']);
SELECT tandem.create_migration('row', release => 4);
\set VERBOSITY terse
SELECT tandem.change_column('row', 'r', 'a', 'numeric', up => 'a / 100.0', down => 'a * 100');
SELECT object FROM tandem.operation WHERE kind = 'undecided' ORDER BY 1;
CALL tandem.abort('row');
\set VERBOSITY default

-- 4. The default of a partition, another one than the table has, or none; and its own sequence.
CREATE TABLE p (id int, k int, a int DEFAULT 5, b int DEFAULT 7, c int, d serial, e serial, f int DEFAULT 3) PARTITION BY LIST (k);
CREATE TABLE p2 (b int, a int DEFAULT 6, k int DEFAULT 2, c int DEFAULT 8, id int, d serial, e int NOT NULL DEFAULT 4, f int);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3) PARTITION BY LIST (k);
CREATE TABLE p31 PARTITION OF p3 FOR VALUES IN (3);
ALTER TABLE ONLY p3 ALTER a SET DEFAULT 66;
CREATE TABLE defaults AS SELECT 1 AS place, a.attrelid::regclass AS relation, a.attname, NULL AS value FROM pg_attribute a LIMIT 0;
CREATE VIEW defaults_now AS SELECT a.attrelid::regclass AS relation, a.attname, pg_get_expr(d.adbin, d.adrelid) AS value FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
WHERE a.attrelid IN (SELECT relid FROM pg_partition_tree(('keeps' || '.p')::regclass))
UNION ALL SELECT refobjid::regclass, objid::regclass::name, NULL FROM pg_depend WHERE deptype = 'a' AND classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjid IN (SELECT relid FROM pg_partition_tree(('keeps' || '.p')::regclass)) AND refobjsubid > 0;
INSERT INTO defaults SELECT 1, * FROM defaults_now;
SELECT tandem.create_views(3, ARRAY['p']);
SELECT tandem.create_migration('parts', release => 5);
SELECT tandem.change_column('parts', 'p', name, 'bigint') FROM unnest('{a,b,c,d,e}'::text[]) name;
SELECT tandem.change_column('parts', 'p', 'f', 'bigint', default_value => '33');
SELECT tandem.create_views(5, ARRAY['p']);
CALL tandem.migrate('parts');
SELECT tandem.switch_release(5);
CALL tandem.contract('parts', undeclared => 'ignore');
INSERT INTO defaults SELECT 2, * FROM defaults_now;
SELECT relation, attname, min(place), min(value), count(*) FROM defaults GROUP BY 1, 2, value HAVING count(*) <> 2 ORDER BY 1, 2, 3;
INSERT INTO p2 (id) VALUES (1);
SELECT id, a, b, c, d > 0 AS d, e, f FROM p2;
-- told once, of however many partitions; and no default reads another column
SELECT tandem.create_migration('told', release => 6);
SELECT tandem.change_column('told', 'p', 'a', 'bigint', up => 'a + id', down => 'a - id', bare_table => true);
SELECT object, remedy FROM tandem.preview_contract('told') WHERE part = 'defaults';
CALL tandem.abort('told');

\c postgres
DROP DATABASE change_keeps;
DROP ROLE tandem_keeps_reader, tandem_keeps_other;
