-- Which name means which column and table: in texts, in statements, and where operations meet.
CREATE DATABASE operations_names;
\c operations_names
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;
SELECT tandem.register_release(1), tandem.switch_release(1);
\set VERBOSITY default
\pset format unaligned
\pset tuples_only

/*
 * A column that the release does not have: nothing is built of it, whichever call comes first.
 */

CREATE TABLE t (id integer PRIMARY KEY, a integer, b text, c integer DEFAULT 3, d text);
CREATE TABLE parent (id integer PRIMARY KEY, code integer UNIQUE);
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT tandem.create_migration('m', 2);
SELECT tandem.drop_column('m', 't', 'a');
SELECT tandem.drop_column('m', 'parent', 'code');
SELECT tandem.add_not_null('m', 't', 'a');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.add_constraint('m', 't', 'given', 'CHECK (a > 0)');
SELECT tandem.add_constraint('m', 't', 'one', 'UNIQUE (b) INCLUDE (a)');
SELECT tandem.add_constraint('m', 't', 'of_parent', 'FOREIGN KEY (a) REFERENCES parent');
SELECT tandem.add_constraint('m', 't', 'of_code', 'FOREIGN KEY (c) REFERENCES parent (code)');
SELECT tandem.add_index('m', 'CREATE INDEX t_a ON t (a)');
SELECT tandem.add_index('m', 'CREATE INDEX t_a ON t (b) WHERE a > 0');
SELECT tandem.add_index('m', 'CREATE INDEX t_a ON t ((t.a + 1))');
SELECT tandem.drop_column('m', 't', 'b', down => 'a::text');
SELECT tandem.add_after_switch('m', 't', 'c = 1', 'a = 0');
SELECT tandem.add_after_switch('m', 't', 'a = 1', 'c = 0');
-- the name is free for another one
SELECT tandem.rename_column('m', 't', 'c', 'a');
SELECT tandem.add_not_null('m', 't', 'a');
SELECT operation, column_name FROM tandem.operations WHERE operation = 'add_not_null';
ROLLBACK;

BEGIN;
SELECT tandem.create_migration('m', 2);
SAVEPOINT one;
SELECT tandem.add_not_null('m', 't', 'a');
SELECT tandem.drop_column('m', 't', 'a');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO one;
SELECT tandem.add_constraint('m', 't', 'given', 'CHECK (a > 0 AND b <> ''c'')');
SELECT tandem.drop_column('m', 't', 'c');
SELECT tandem.drop_column('m', 't', 'a');
ROLLBACK TO one;
SELECT tandem.add_constraint('m', 't', 'of_code', 'FOREIGN KEY (c) REFERENCES parent (code)');
SELECT tandem.drop_column('m', 'parent', 'code');
ROLLBACK TO one;
SELECT tandem.add_index('m', 'CREATE INDEX t_a ON t (b) INCLUDE (a)');
SELECT tandem.drop_column('m', 't', 'a');
-- the column that takes its place is meant by a later call
SELECT tandem.change_column('m', 't', 'a', 'bigint');
ROLLBACK TO one;
SELECT tandem.change_column('m', 't', 'a', 'bigint');
SELECT tandem.add_not_null('m', 't', 'a');
SELECT operation, column_name FROM tandem.operations WHERE operation = 'add_not_null';
ROLLBACK TO one;
SELECT tandem.add_column('m', 't', 'a2', 'bigint');
SELECT tandem.sync_column('m', 't', 'a', 'a2', 'a', 'a2');
SELECT tandem.add_not_null('m', 't', 'a');
-- what goes with it need not be refused
SELECT tandem.at_contract('m', 't', 'ALTER TABLE t ALTER a DROP NOT NULL');
ROLLBACK;

-- A NOT NULL that another migration adds, and the column that goes: each would end the INSERTs of the release.
BEGIN;
CREATE DOMAIN filled AS text NOT NULL;
ALTER TABLE t ADD e filled DEFAULT 'e';
ALTER TABLE t ALTER e DROP DEFAULT;
SELECT tandem.create_migration('m', 2);
SELECT tandem.create_migration('not_null');
SELECT tandem.drop_column('m', 't', 'e');
SELECT tandem.drop_column('m', 't', 'e', down => '''e''');
SELECT tandem.drop_column('m', 't', 'a');
SELECT tandem.drop_column('m', 't', 'c');
SELECT tandem.add_not_null('not_null', 't', 'a');
SELECT tandem.add_not_null('not_null', 't', 'c');
SELECT tandem.add_not_null('not_null', 't', 'd');
SELECT tandem.drop_column('m', 't', 'd');
SELECT tandem.drop_column('m', 't', 'd', down => '''d''');
ROLLBACK;

-- What the release stores in a column that it does not have: a CHECK or UNIQUE may refuse that, too.
CREATE TABLE absent (id integer PRIMARY KEY, a integer CHECK (a IS NOT NULL), b integer DEFAULT 0, c integer DEFAULT 1 UNIQUE, d text UNIQUE,
	e integer CHECK (10 / e > 0), f integer DEFAULT 0, g serial UNIQUE, CHECK (id > 0 AND b > 0), CHECK (id > 0 OR e > 0), CHECK (10 / f > 0));
BEGIN;
SELECT tandem.create_migration('m', 2);
SELECT tandem.drop_column('m', 'absent', 'a');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.drop_column('m', 'absent', 'a', down => 'id');
SELECT tandem.drop_column('m', 'absent', 'b');
SELECT tandem.drop_column('m', 'absent', 'c');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.drop_column('m', 'absent', column_name) FROM unnest('{d,e,f,g}'::text[]) column_name;
ROLLBACK;

-- What stands on a column that changes, and on one that goes, is not carried over.
CREATE TABLE both_columns (id integer, line integer, place integer, CHECK (line + place < 1000));
CREATE INDEX both_index ON both_columns (line, place);
CREATE STATISTICS both_stats ON line, place FROM both_columns;
BEGIN;
SELECT tandem.create_migration('m', 2);
SAVEPOINT one;
SELECT tandem.change_column('m', 'both_columns', 'line', 'bigint');
SELECT tandem.drop_column('m', 'both_columns', 'place');
ROLLBACK TO one;
SELECT tandem.drop_column('m', 'both_columns', 'place');
SELECT tandem.change_column('m', 'both_columns', 'line', 'bigint');
SELECT tandem.change_column('m', 'both_columns', 'line', 'bigint', leave => '{both_index}');
SELECT tandem.change_column('m', 'both_columns', 'line', 'bigint', leave => '{both_index,both_columns_check}');
SELECT tandem.change_column('m', 'both_columns', 'line', 'bigint', leave => '{both_index,both_columns_check,both_stats}');
SELECT operation, column_name, new_name, at_contract FROM tandem.operations;
ROLLBACK;

/*
 * up knows the names of the release before, all else those of the release, and neither any others.
 */

BEGIN;
SELECT tandem.create_migration('m', 2);
SELECT tandem.rename_column('m', 't', 'a', 'aa');
SELECT tandem.add_column('m', 't', 'e', 'integer', up => 'a + 1');
SELECT tandem.add_column('m', 't', 'f', 'integer', up => 'aa + 1');
\echo :LAST_ERROR_SQLSTATE
SELECT tandem.drop_column('m', 't', 'b', down => 'a::text');
SELECT tandem.drop_column('m', 't', 'b', down => 'aa::text');
SELECT tandem.add_constraint('m', 't', 'given', 'CHECK (a > 0)');
SELECT tandem.add_constraint('m', 't', 'given', 'CHECK (t.aa > 0)');
SELECT tandem.add_index('m', 'CREATE INDEX t_a ON t (a)');
SELECT tandem.add_index('m', 'CREATE INDEX t_a ON t (aa)');
SELECT tandem.add_not_null('m', 't', 'a');
SELECT tandem.add_not_null('m', 't', 'aa');
SELECT tandem.add_after_switch('m', 't', 'c = a', 'aa > 3');
SELECT tandem.add_after_switch('m', 't', 'c = aa', 'a > 3');
SELECT tandem.add_after_switch('m', 't', 'a = 1', 'aa > 3');
SELECT tandem.add_after_switch('m', 't', 'c = aa', 'aa > 3');
SELECT tandem.change_column('m', 't', 'd', 'varchar', up => 'd || a', down => 'd || aa');
SELECT tandem.add_constraint('m', 't', 'long', 'CHECK (d__2 <> '''')');
-- and the next one: its up those of release 2
SELECT tandem.create_migration('n', 3);
SELECT tandem.add_column('n', 't', 'g', 'integer', up => 'a + 1');
SELECT tandem.add_column('n', 't', 'g', 'text', up => 'b');
SELECT tandem.add_column('n', 't', 'g', 'integer', up => 'aa + e');
-- one without a release knows all
SELECT tandem.create_migration('any');
SELECT tandem.add_index('any', 'CREATE INDEX t_any ON t (a, b)');
ROLLBACK;

-- A call that was made before a rename is found again by the name that it had.
CREATE TABLE again (id integer, a integer, c integer);
BEGIN;
CREATE FUNCTION script() RETURNS void LANGUAGE sql AS $$
	SELECT tandem.create_migration('m', 2);
	SELECT tandem.add_index('m', 'CREATE INDEX again_a ON again (a)');
	SELECT tandem.rename_column('m', 'again', 'a', 'b');
	SELECT tandem.rename_column('m', 'again', 'c', 'a');
	SELECT tandem.add_index('m', 'CREATE INDEX again_b ON again (b, a)');
$$;
SELECT script();
SET client_min_messages = notice;
SELECT script();
SET client_min_messages = warning;
SELECT object, definition FROM tandem.step ORDER BY id;
ROLLBACK;
-- but one that has no text could mean either
BEGIN;
SELECT tandem.create_migration('m', 2);
SELECT tandem.add_not_null('m', 'again', 'a');
SELECT tandem.rename_column('m', 'again', 'a', 'b');
SELECT tandem.rename_column('m', 'again', 'c', 'a');
SELECT tandem.add_not_null('m', 'again', 'b');
ROLLBACK;

-- Two calls about the same two columns.
BEGIN;
SELECT tandem.create_migration('m', 2);
SET client_min_messages = error;
SELECT tandem.change_column('m', 't', 'a', 'bigint', up => 'a', down => 'a');
SET client_min_messages = warning;
SELECT tandem.sync_column('m', 't', 'a', 'a__2', 'a', 'a');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT tandem.create_migration('m', 2);
SELECT tandem.add_column('m', 't', 'a__2', 'bigint');
SELECT tandem.sync_column('m', 't', 'a', 'a__2', 'a', 'a');
SELECT tandem.change_column('m', 't', 'a', 'bigint', up => 'a', down => 'a');
ROLLBACK;

BEGIN;
SELECT tandem.create_migration('m', 2);
SELECT tandem.drop_column('m', 't', 'a');
SELECT tandem.sync_column('m', 't', 'a', 'c', 'a', 'c');
SELECT tandem.rename_column('m', 't', 'b', 'bb');
SELECT tandem.add_column('m', 't', 'b2', 'text');
SELECT tandem.sync_column('m', 't', 'b', 'b2', 'b', 'b2');
SELECT tandem.sync_column('m', 't', 'b', 'b2', 'b', 'b2', keep_old => true);
SELECT tandem.add_constraint('m', 't', 'first_name', 'CHECK (c > 0)');
ALTER TABLE t ADD CONSTRAINT there CHECK (id > 0);
SELECT tandem.rename_constraint('m', 't', 'there', 'first_name');
SELECT tandem.rename_constraint('m', 't', 'there', 'second_name');
SELECT tandem.add_constraint('m', 't', 'second_name', 'CHECK (c > 0)');
ROLLBACK;

/*
 * Names that move on, of columns and of tables: each call frees the name for the next one.
 */

CREATE TABLE u (id integer PRIMARY KEY, a integer);
CREATE TABLE s (id integer PRIMARY KEY, t integer);
INSERT INTO t SELECT i, i, 'x' || i, 10 * i, 'd' FROM generate_series(1, 2) i;
INSERT INTO u VALUES (1, 1);
INSERT INTO s VALUES (1, 1);
SELECT tandem.create_views(1, schemas => '{public}');
CREATE FUNCTION chain() RETURNS void LANGUAGE sql AS $$
	SELECT tandem.create_migration('chain', 2);
	SELECT tandem.rename_column('chain', 't', 'b', 'x');
	SELECT tandem.rename_column('chain', 't', 'a', 'b');
	SELECT tandem.rename_column('chain', 't', 'c', 'a');
	SELECT tandem.rename_table('chain', 's', 'ss');
	SELECT tandem.rename_table('chain', 'u', 's');
	SELECT tandem.rename_table('chain', 't', 'u');
	SELECT tandem.add_column('chain', 't', 'e', 'text', up => 'b || a');
	SELECT tandem.drop_column('chain', 't', 'd', down => 'x || a');
	SELECT tandem.add_constraint('chain', 't', 'given', 'CHECK (b > 0 AND x IS NOT NULL)');
	SELECT tandem.add_constraint('chain', 's', 'of_t', 'FOREIGN KEY (t) REFERENCES u');
	SELECT tandem.add_constraint('chain', 's', 'of_u', 'FOREIGN KEY (t) REFERENCES s');
	SELECT tandem.create_views(2, schemas => '{public}');
$$;
SELECT chain();
SELECT * FROM release_1.t ORDER BY id;
SELECT * FROM release_2.u ORDER BY id;
SELECT * FROM release_2.s;
SELECT conrelid::regclass, conname, confrelid::regclass FROM pg_constraint WHERE contype = 'f';
SELECT object, definition FROM tandem.step WHERE object LIKE 'of%' ORDER BY object;
SET client_min_messages = error;
CALL tandem.migrate('chain');
SET client_min_messages = warning;
SET tandem.release = 2;
INSERT INTO release_2.u (id, a, b, x) VALUES (3, 30, 3, 'y');
INSERT INTO release_2.u (id, a, b, x) VALUES (4, 30, 0, 'y');
SET tandem.release = 1;
INSERT INTO release_1.t VALUES (5, 5, 'z', 50, 'd');
RESET tandem.release;
SELECT * FROM release_1.t ORDER BY id;
SELECT * FROM release_2.u ORDER BY id;
SELECT tandem.switch_release(2);
CALL tandem.contract('chain', undeclared => 'ignore');
SELECT chain();
SELECT * FROM release_2.u ORDER BY id;
SELECT * FROM u ORDER BY id;
SELECT conrelid::regclass, conname, confrelid::regclass FROM pg_constraint WHERE contype = 'f' ORDER BY conname;
-- names that are exchanged
SELECT tandem.create_migration('swap', 3);
SELECT tandem.rename_column('swap', 'u', 'a', 'b');
SELECT tandem.rename_table('swap', 'u', 's');
-- by two releases
SELECT tandem.rename_column('swap', 'u', 'b', 'third');
SELECT tandem.rename_column('swap', 'u', 'a', 'b');
SELECT tandem.rename_table('swap', 's', 'third');
SELECT tandem.rename_table('swap', 'u', 's');
SELECT tandem.create_views(3, schemas => '{public}');
SELECT tandem.create_migration('swapped', 4);
-- s is what release 3 sees so, before contract and after it
SELECT tandem.rename_table('swapped', 'third', 'u');
BEGIN;
SELECT tandem.rename_column('swapped', 's', 'third', 'c');
SELECT relation, column_name, new_name FROM tandem.operations WHERE migration = 'swapped';
ROLLBACK;
SELECT tandem.drop_column('swapped', 's', 'x', down => '''x''');
SELECT tandem.create_migration('later', 5);
SELECT tandem.rename_column('later', 's', 'e', 'x');
SELECT tandem.rename_column('later', 's', 'e', 'a');
CALL tandem.abort('later');
CALL tandem.abort('swapped');
SELECT tandem.create_migration('swapped', 4);
SELECT tandem.switch_release(3);
CALL tandem.contract('swap', undeclared => 'ignore');
SELECT tandem.rename_column('swapped', 's', 'third', 'a');
SELECT tandem.rename_table('swapped', 'third', 'u');
SELECT tandem.create_views(4, schemas => '{public}');
SELECT tandem.switch_release(4);
CALL tandem.contract('swapped', undeclared => 'ignore');
SELECT * FROM release_4.s ORDER BY id;
SELECT * FROM s ORDER BY id;
SELECT * FROM u;

/*
 * The same where contract leaves the names, and a name that is not free before they are taken.
 */

CREATE PUBLICATION sent FOR TABLE s;
SELECT tandem.create_migration('left', 5);
SELECT tandem.rename_column('left', 's', 'x', 'y');
SELECT tandem.rename_column('left', 's', 'b', 'x');
SET client_min_messages = error;
SELECT tandem.rename_table('left', 's', 'posted');
SET client_min_messages = warning;
SELECT tandem.rename_table('left', 'u', 's');
SELECT tandem.create_views(5, schemas => '{public}');
SELECT object, what_happens FROM tandem.preview_contract('left');
SELECT tandem.switch_release(5);
CALL tandem.contract('left', undeclared => 'ignore');
SELECT * FROM release_5.posted ORDER BY id LIMIT 1;
SELECT * FROM release_5.s;
SELECT tandem.register_release(6);
SELECT tandem.create_views(6, schemas => '{public}');
SELECT * FROM release_6.posted ORDER BY id LIMIT 1;
SELECT * FROM release_6.s;
SELECT tandem.create_migration('waits', 7);
SELECT tandem.rename_column('waits', 's', 'a', 'b');
SELECT tandem.take_names('left');
SELECT tandem.rename_column('waits', 'posted', 'a', 'b');
SELECT * FROM posted ORDER BY id LIMIT 1;
SELECT * FROM s;
SELECT * FROM release_5.posted ORDER BY id LIMIT 1;
SELECT * FROM release_6.posted ORDER BY id LIMIT 1;
CALL tandem.abort('waits');

/*
 * Names of an earlier release that are left, when contract gives those of a later one: the earlier ones are over.
 */

CREATE TABLE first (id integer PRIMARY KEY, a integer, gone integer);
CREATE PUBLICATION first FOR TABLE first;
SET client_min_messages = error;
SELECT tandem.create_migration('early', 8);
SELECT tandem.rename_table('early', 'first', 'second');
SELECT tandem.rename_column('early', 'first', 'a', 'aa');
SELECT tandem.rename_column('early', 'first', 'gone', 'goes');
SELECT tandem.create_views(8, schemas => '{public}');
SELECT tandem.switch_release(8);
CALL tandem.contract('early', undeclared => 'ignore');
SELECT tandem.create_migration('late', 9);
SELECT tandem.rename_table('late', 'second', 'third');
SELECT tandem.rename_column('late', 'first', 'aa', 'aaa');
SELECT tandem.drop_column('late', 'first', 'goes');
SELECT tandem.create_views(9, schemas => '{public}');
SELECT tandem.switch_release(9);
DROP PUBLICATION first;
SET client_min_messages = notice;
CALL tandem.contract('late', undeclared => 'ignore');
SELECT tandem.register_release(10);
SELECT tandem.create_views(10, schemas => '{public}');
\d release_9.third
\d release_10.third
ALTER TABLE third ADD gone integer;
SELECT tandem.create_views(10, schemas => '{public}', refresh => true);
\d release_10.third
SELECT tandem.take_names('early');
SELECT tandem.take_names('late');
\d third
SET client_min_messages = warning;

/*
 * A name that is free only by an earlier release, which is to be aborted.
 */

CREATE TABLE freed (id integer PRIMARY KEY, a integer, n integer);
SELECT tandem.create_migration('frees', 11);
SELECT tandem.drop_column('frees', 'freed', 'n');
SELECT tandem.rename_column('frees', 'freed', 'a', 'n');
SELECT tandem.create_migration('follows', 12);
SELECT tandem.change_column('follows', 'freed', 'n', 'bigint');
CALL tandem.abort('frees', force => true);
CALL tandem.abort('follows');
CALL tandem.abort('frees');

/*
 * A statement for contract names tables as they are called then.
 */

CREATE TABLE clients (id integer PRIMARY KEY, nmae text, other integer);
CREATE TABLE carts (id integer, client integer, note text);
BEGIN;
SELECT tandem.create_migration('m', 11);
SELECT tandem.rename_table('m', 'clients', 'customers');
SELECT tandem.rename_column('m', 'clients', 'nmae', 'name');
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
	PERFORM tandem.at_contract('m', 'clients', statement);
	RETURN 'taken: ' || statement;
EXCEPTION WHEN undefined_table OR undefined_column THEN
	GET STACKED DIAGNOSTICS detail = pg_exception_detail, hint = pg_exception_hint;
	RETURN statement || E'\n  ' || sqlerrm || E'\n  ' || hint;
END $$;
SELECT try(s) FROM unnest(ARRAY[
	'ALTER TABLE customers REPLICA IDENTITY FULL', 'ALTER TABLE public.customers SET (fillfactor = 90)',
	'ALTER TABLE carts ADD FOREIGN KEY (client) REFERENCES customers',
	'CREATE INDEX ON customers (name)', 'CREATE VIEW v AS SELECT name FROM customers',
	'CREATE MATERIALIZED VIEW w AS SELECT 1 FROM carts JOIN customers ON true',
	'CREATE TRIGGER g BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION f()',
	'CREATE POLICY p ON customers USING (true)', 'ALTER POLICY p ON customers USING (true)',
	'CREATE STATISTICS st ON id, name FROM customers', 'CREATE RULE r AS ON DELETE TO customers DO INSTEAD NOTHING',
	'DROP TRIGGER g ON customers', 'DROP TABLE customers', 'COMMENT ON COLUMN customers.name IS ''customers''',
	'COMMENT ON TABLE public.customers IS ''them''', 'GRANT SELECT (id) ON customers TO PUBLIC',
	'ALTER TABLE customers OWNER TO CURRENT_USER', 'ALTER TABLE customers SET SCHEMA pg_temp',
	'ALTER TABLE customers RENAME CONSTRAINT a TO b', 'CREATE TABLE x (LIKE customers)',
	'CREATE TABLE x (c integer REFERENCES customers)', 'ALTER TABLE carts INHERIT customers',
	'ALTER TABLE clients ALTER nmae SET STATISTICS 10', 'ALTER TABLE clients ADD CHECK (nmae <> '''')',
	'ALTER TABLE clients ADD UNIQUE (nmae)', 'CREATE INDEX ON clients (lower(nmae)) WHERE nmae > ''''',
	'CREATE VIEW v AS SELECT nmae FROM clients', 'CREATE STATISTICS st ON id, nmae FROM clients',
	'CREATE TRIGGER g BEFORE UPDATE OF nmae ON clients FOR EACH ROW EXECUTE FUNCTION f()',
	'COMMENT ON COLUMN clients.nmae IS ''it''', 'GRANT SELECT (nmae) ON clients TO PUBLIC',
	'ALTER TABLE clients RENAME nmae TO nam', 'CREATE POLICY p ON clients USING (nmae = user)',
	'ALTER TABLE clients ALTER name SET STATISTICS 10', 'COMMENT ON TABLE clients IS ''customers''',
	'CREATE VIEW v AS SELECT name, other AS nmae FROM clients', 'ALTER TABLE clients ADD CONSTRAINT customers CHECK (id > 0)']) s;
ROLLBACK;
-- the statement comes first
BEGIN;
SELECT tandem.create_migration('m', 11);
SAVEPOINT one;
SELECT tandem.at_contract('m', 'clients', 'ALTER TABLE clients ALTER nmae SET STATISTICS 10');
SELECT tandem.rename_column('m', 'clients', 'nmae', 'name');
ROLLBACK TO one;
SELECT tandem.at_contract('m', 'clients', 'CREATE VIEW customers AS SELECT id FROM clients');
SELECT tandem.at_contract('m', 'clients', 'ALTER VIEW customers SET (security_barrier)');
SELECT tandem.rename_table('m', 'clients', 'customers');
ROLLBACK TO one;
-- after contract of an earlier release
SELECT tandem.rename_table('m', 'clients', 'customers');
SELECT tandem.rename_column('m', 'clients', 'nmae', 'name');
SELECT tandem.create_migration('n', 12);
SELECT tandem.at_contract('n', 'clients', 'ALTER TABLE clients SET (fillfactor = 90)');
SELECT tandem.at_contract('n', 'clients', 'ALTER TABLE customers ALTER nmae SET STATISTICS 10');
SELECT tandem.at_contract('n', 'clients', 'ALTER TABLE customers ALTER name SET STATISTICS 10');
SELECT tandem.create_views(12);
SELECT tandem.switch_release(11);
CALL tandem.contract('m', undeclared => 'ignore');
SELECT tandem.switch_release(12);
CALL tandem.contract('n', undeclared => 'ignore');
SELECT attstattarget FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname = 'name';
ROLLBACK;
-- names that stay, since the table is replicated
BEGIN;
CREATE PUBLICATION clients FOR TABLE clients;
SELECT tandem.create_migration('m', 11);
SET client_min_messages = error;
SELECT tandem.rename_table('m', 'clients', 'customers');
SELECT tandem.rename_column('m', 'clients', 'nmae', 'name');
SET client_min_messages = warning;
SELECT tandem.at_contract('m', 'clients', 'ALTER TABLE clients ALTER name SET STATISTICS 10');
SELECT tandem.at_contract('m', 'clients', 'ALTER TABLE clients ALTER nmae SET STATISTICS 10');
ROLLBACK;

/*
 * A foreign key refers to a table by the name that the release has for it, and to none that goes.
 */

BEGIN;
SELECT tandem.create_migration('m', 11);
SELECT tandem.rename_table('m', 'clients', 'customers');
SELECT tandem.rename_column('m', 'clients', 'id', 'number');
SELECT tandem.add_constraint('m', 'carts', 'one', 'FOREIGN KEY (client) REFERENCES customers');
SELECT tandem.add_constraint('m', 'carts', 'two', 'FOREIGN KEY (client) REFERENCES public.customers (number)');
SELECT tandem.add_constraint('m', 'carts', 'three', 'FOREIGN KEY (client) REFERENCES clients (id)');
SELECT tandem.add_constraint('m', 'carts', 'four', 'FOREIGN KEY (client) REFERENCES nobody');
SELECT object, definition FROM tandem.step WHERE kind = 'constraint' ORDER BY id;
ROLLBACK;
BEGIN;
SELECT tandem.create_migration('m', 11);
SAVEPOINT one;
SELECT tandem.drop_table('m', 'clients');
SELECT tandem.add_constraint('m', 'carts', 'one', 'FOREIGN KEY (client) REFERENCES clients');
ROLLBACK TO one;
SELECT tandem.add_constraint('m', 'carts', 'one', 'FOREIGN KEY (client) REFERENCES clients');
SELECT tandem.drop_table('m', 'clients');
ROLLBACK;

/*
 * What another migration is to build by a name, of its own table or of one that it refers to.
 */

CREATE TABLE target (id integer PRIMARY KEY, a integer);
CREATE TABLE source (id integer PRIMARY KEY, target integer);
CREATE TABLE sent (id integer PRIMARY KEY, a integer);
CREATE PUBLICATION sent_too FOR TABLE sent;
SET client_min_messages = error;
BEGIN;
SELECT tandem.create_migration('names', 11);
SELECT tandem.rename_table('names', 'target', 'aim');
SELECT tandem.rename_column('names', 'target', 'id', 'number');
SELECT tandem.rename_table('names', 'sent', 'mailed');
SELECT tandem.rename_column('names', 'sent', 'id', 'number');
SELECT tandem.rename_column('names', 'sent', 'a', 'aa');
COMMIT;
SELECT tandem.create_migration('builds', 12);
SELECT tandem.add_constraint('builds', 'source', 'of_target', 'FOREIGN KEY (target) REFERENCES aim (number)');
SELECT tandem.switch_release(11);
SET client_min_messages = warning;
CALL tandem.contract('names', undeclared => 'ignore');
SELECT object, what_happens, remedy FROM tandem.preview_contract('names') WHERE remedy IS NOT NULL;
SET client_min_messages = error;
CALL tandem.migrate('builds');
CALL tandem.contract('names', undeclared => 'ignore');
SELECT tandem.create_migration('more', 12);
SELECT tandem.add_index('more', 'CREATE INDEX sent_a ON mailed (aa)');
SELECT tandem.add_constraint('more', 'source', 'of_sent', 'FOREIGN KEY (target) REFERENCES mailed');
SET client_min_messages = warning;
SELECT tandem.take_names('names');
CALL tandem.migrate('more');
SELECT tandem.take_names('names');
CALL tandem.migrate('more');
CALL tandem.migrate('builds');
SELECT tandem.switch_release(12);
CALL tandem.contract('builds', undeclared => 'ignore');
CALL tandem.contract('more', undeclared => 'ignore');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'source'::regclass AND contype = 'f' ORDER BY conname;
SELECT pg_get_indexdef('sent_a'::regclass);

/*
 * An index that goes by a call of its own is not said to go with its column.
 */

CREATE INDEX carts_client ON carts (client);
CREATE INDEX carts_both ON carts (client, id);
SELECT tandem.create_migration('goes', 13);
SELECT tandem.drop_column('goes', 'carts', 'client');
SELECT tandem.drop_index('goes', 'carts_client');
SELECT tandem.switch_release(13);
SET client_min_messages = notice;
CALL tandem.contract('goes', undeclared => 'ignore', accept => '{indexes}');
SET client_min_messages = warning;

/*
 * A release that is the current one is not taken away under its nodes.
 */

SELECT tandem.create_views(13, relations => '{carts}');
SELECT tandem.create_migration('m', 14);
SELECT tandem.add_column('m', 'carts', 'total', 'integer', default_value => '0');
SELECT tandem.create_views(14, relations => '{carts}');
SET client_min_messages = error;
CALL tandem.migrate('m');
SET client_min_messages = warning;
SELECT tandem.switch_release(14);
SELECT healthy FROM tandem.health(14);
CALL tandem.abort('m');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM release_14.carts;
SELECT tandem.switch_release(13);
CALL tandem.abort('m');
SELECT tandem.create_migration('m', 15);
SELECT tandem.add_column('m', 'carts', 'total', 'integer', default_value => '0');
SELECT tandem.create_views(15, relations => '{carts}');
SET client_min_messages = error;
CALL tandem.migrate('m');
SET client_min_messages = warning;
SELECT tandem.switch_release(15);
CALL tandem.abort('m', force => true);
SELECT * FROM release_15.carts;
-- its nodes are told, by what a probe asks and by what an operator looks at
SELECT * FROM tandem.health(15);
SELECT state, reason FROM tandem.releases WHERE release = 15;
SELECT tandem.switch_release(15);
CALL tandem.wait_for_release(15, '0.1 s');
BEGIN;
SELECT tandem.register_release(15);
SELECT * FROM tandem.health(15);
ROLLBACK;
SELECT healthy FROM tandem.health(15);
-- so are those of a release that is not the current one, but below one that is known
BEGIN;
SELECT tandem.switch_release(13);
SELECT tandem.register_release(16);
SELECT * FROM tandem.health(15);
ROLLBACK;

/*
 * What a release writes that may only read yet, through a view that computes the column.
 */

SELECT tandem.create_migration('m', 16);
SET client_min_messages = error;
SELECT tandem.change_column('m', 'carts', 'id', 'text', up => 'id::text', down => 'id::integer');
SET client_min_messages = warning;
SELECT tandem.create_views(15, relations => '{carts}');
SELECT tandem.create_views(16, relations => '{carts}');
ALTER DATABASE operations_names SET session_preload_libraries = 'pg_tandem';
\c
CREATE FUNCTION state(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
SET search_path = release_16;
SELECT public.state(s) FROM unnest(ARRAY['UPDATE carts SET id = ''1''', 'INSERT INTO carts VALUES (''1'')', 'INSERT INTO carts DEFAULT VALUES', 'DELETE FROM carts',
	'WITH w AS (UPDATE carts SET id = ''1'' RETURNING 1) SELECT * FROM w', 'SELECT id FROM carts',
	'INSERT INTO carts (note) VALUES (''n'')', 'INSERT INTO carts (note) VALUES (''n'') ON CONFLICT (note) DO UPDATE SET id = ''1''', 'UPDATE carts SET note = ''n''', 'DO $do$BEGIN UPDATE carts SET id = ''1''; END$do$',
	'CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE sql AS ''DELETE FROM carts''']) s;
UPDATE carts SET id = '1';
PREPARE p AS UPDATE carts SET id = $1;
-- who declares nothing is told what the server says
RESET search_path;
SELECT public.state('UPDATE release_16.carts SET id = ''1''');
\c postgres
DROP DATABASE operations_names;
