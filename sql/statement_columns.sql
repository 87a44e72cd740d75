-- Statements that contract runs: each column that one names is looked at.
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
-- these are right
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING btree (is_now WITH =) WHERE (c > 0)');
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ADD COLUMN was integer CHECK (was > 0 AND is_now > 0)');
SELECT tandem.at_contract('m', 't', 'ALTER SEQUENCE s OWNED BY t.is_now');
SELECT tandem.at_contract('m', 't', 'CREATE SEQUENCE q OWNED BY NONE');
SELECT tandem.at_contract('m', 't', 'CREATE RULE r AS ON DELETE TO t WHERE old.is_now > 0 DO INSTEAD NOTHING');
SELECT tandem.switch_release(2);
CALL tandem.contract('m', undeclared => 'ignore');
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1;

SET client_min_messages = error;
RESET search_path;
DROP SCHEMA statement_columns CASCADE;
DROP EXTENSION pg_tandem CASCADE;
