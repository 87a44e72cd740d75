-- Statements that contract runs: each column and table that one names is looked at.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE SCHEMA statement_columns;
SET search_path = statement_columns, public;
SELECT tandem.register_release(1);
SELECT tandem.switch_release(1);
CREATE TABLE t (id integer PRIMARY KEY, was integer, period int4range, c integer);
CREATE SEQUENCE s;
SELECT tandem.create_migration('m', release => 2);
SELECT tandem.rename_column('m', 't', 'was', 'is_now');
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (int4range(was, was) WITH &&)');
\set VERBOSITY terse
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING btree (was WITH =)');
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (period WITH &&) WHERE (was > 0)');
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ADD COLUMN d integer CHECK (d > was)');
SELECT tandem.at_contract('m', 't', 'ALTER SEQUENCE s OWNED BY t.was');
SELECT tandem.at_contract('m', 't', 'CREATE SEQUENCE q OWNED BY statement_columns.t.was');
SELECT tandem.at_contract('m', 't', 'ALTER PUBLICATION p ADD TABLE t (id, was)');
SELECT tandem.at_contract('m', 't', 'ALTER PUBLICATION p ADD TABLE t WHERE (was > 0)');
SELECT tandem.at_contract('m', 't', 'CREATE RULE r AS ON DELETE TO t WHERE old.was > 0 DO INSTEAD NOTHING');
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ALTER c TYPE bigint USING was + c');
-- of a foreign key, both sides
CREATE TABLE r (id integer PRIMARY KEY, t_was integer, d integer);
SELECT tandem.rename_column('m', 'r', 't_was', 't_now');
\set VERBOSITY default
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE r ADD CONSTRAINT f FOREIGN KEY (t_was) REFERENCES t (is_now)');
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE r ADD CONSTRAINT f FOREIGN KEY (t_now) REFERENCES t (was)');
\set VERBOSITY terse
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE r ADD CONSTRAINT f FOREIGN KEY (d, t_now) REFERENCES t ON DELETE SET NULL (t_was)');
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE r ADD CONSTRAINT f FOREIGN KEY (t_now) REFERENCES t (nothing)');
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE r ADD COLUMN x integer CHECK (x > t_was) REFERENCES t (is_now)');
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE r ADD COLUMN x integer REFERENCES t (was)');
SELECT tandem.at_contract('m', 'r', 'CREATE TABLE n (was integer CHECK (n.was > 0) REFERENCES t (was))');
SELECT tandem.at_contract('m', 'r', 'CREATE TABLE n (was integer, FOREIGN KEY (was) REFERENCES t (was))');
-- each table has columns of its own
SELECT tandem.at_contract('m', 't', 'ALTER PUBLICATION p ADD TABLE t (is_now), r (t_was)');
-- columns that are not there
\set VERBOSITY default
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ALTER nothing SET DEFAULT 1');
\set VERBOSITY terse
SELECT tandem.at_contract('m', 't', 'CREATE INDEX ON t (lower(nothing))');
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ADD CHECK (nothing > 0)');
SELECT tandem.at_contract('m', 't', 'COMMENT ON COLUMN t.nothing IS NULL');
SELECT tandem.at_contract('m', 't', 'GRANT SELECT (nothing) ON t TO PUBLIC');
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t RENAME nothing TO something');
-- and tables
\set VERBOSITY default
SELECT tandem.at_contract('m', 't', 'ALTER TABLE nowhere ADD x integer');
\set VERBOSITY terse
SELECT tandem.at_contract('m', 't', 'DROP VIEW statement_columns.nowhere');
SELECT tandem.at_contract('m', 't', 'CREATE VIEW v AS WITH q AS (SELECT) SELECT FROM q, t, nowhere');
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES nowhere');
SELECT tandem.at_contract('m', 't', 'GRANT SELECT ON t, nowhere TO PUBLIC');
SELECT tandem.at_contract('m', 't', 'DROP TRIGGER x ON nowhere');
SELECT tandem.at_contract('m', 't', 'CREATE POLICY x ON t USING (EXISTS (SELECT FROM nowhere))');
-- names with too many parts, and too few
\set VERBOSITY default
SELECT tandem.at_contract('m', 't', 'COMMENT ON COLUMN a.b.c.d.e IS NULL');
SELECT tandem.at_contract('m', 't', 'COMMENT ON COLUMN e IS NULL');
\set VERBOSITY sqlstate
SELECT tandem.at_contract('m', 't', 'COMMENT ON TABLE a.b.c.d IS NULL');
SELECT tandem.at_contract('m', 't', 'DROP VIEW a.b.c.d');
SELECT tandem.at_contract('m', 't', 'DROP TRIGGER x ON a.b.c.d');
SELECT tandem.at_contract('m', 't', 'ALTER SEQUENCE s OWNED BY a.b.c.d.e');
SELECT tandem.at_contract('m', 't', 'ALTER SEQUENCE s OWNED BY e');
SELECT tandem.at_contract('m', 't', 'COMMENT ON COLUMN a.b.c.d IS NULL');
\set VERBOSITY terse
-- these are right
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE t ADD UNIQUE (is_now)');
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE r ADD CONSTRAINT f FOREIGN KEY (t_now) REFERENCES t (is_now), ADD CHECK (r IS NOT NULL AND r.d > 0)');
SELECT tandem.at_contract('m', 'r', 'CREATE TABLE n (was integer PRIMARY KEY CHECK (n.was > 0) REFERENCES t (is_now), up integer REFERENCES n)');
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE n ADD x integer, ADD CHECK (x > was)');
SELECT tandem.at_contract('m', 'r', 'CREATE VIEW v AS WITH nowhere AS (SELECT x FROM n) SELECT * FROM nowhere');
SELECT tandem.at_contract('m', 'r', 'COMMENT ON COLUMN v.x IS NULL');
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE v RENAME TO w');
SELECT tandem.at_contract('m', 'r', 'GRANT SELECT (x) ON w, n TO PUBLIC');
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE r ADD COLUMN y integer');
SELECT tandem.at_contract('m', 'r', 'CREATE INDEX ON r (y)');
SELECT tandem.at_contract('m', 'r', 'DROP TABLE IF EXISTS nowhere');
SELECT tandem.at_contract('m', 'r', 'ALTER TABLE r DROP COLUMN IF EXISTS nothing, ALTER d SET STATISTICS 10');
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING btree (is_now WITH =) WHERE (c > 0)');
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ADD COLUMN was integer CHECK (was > 0 AND is_now > 0)');
SELECT tandem.at_contract('m', 't', 'ALTER SEQUENCE s OWNED BY t.is_now');
SELECT tandem.at_contract('m', 't', 'CREATE SEQUENCE q OWNED BY NONE');
SELECT tandem.at_contract('m', 't', 'CREATE RULE r AS ON DELETE TO t WHERE old.is_now > 0 DO INSTEAD NOTHING');
-- a later rename is seen in the statements called for before
SELECT tandem.rename_column('m', 'r', 'd', 'e');
SELECT tandem.switch_release(2);
CALL tandem.contract('m', undeclared => 'ignore');
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1;

SET client_min_messages = error;
RESET search_path;
DROP SCHEMA statement_columns CASCADE;
DROP EXTENSION pg_tandem CASCADE;
