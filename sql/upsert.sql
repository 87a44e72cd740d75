-- Which unique indexes hold one key in two forms, so that a writer locks the key until its row is stored.
CREATE EXTENSION pg_tandem;
SET client_min_messages = warning;
CREATE TABLE seen (keys int);
-- an AFTER trigger comes too late for these locks, the next row's BEFORE trigger does not
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO seen SELECT count(*) FROM pg_locks
	WHERE locktype = 'object' AND classid = TG_RELID AND pid = pg_backend_pid();
	RETURN NEW;
END $$;
-- The locks that a statement held for the row before its last.
CREATE FUNCTION keys_locked(statement text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE keys int;
BEGIN
	TRUNCATE seen;
	EXECUTE statement;
	SELECT max(s.keys) INTO keys FROM seen s;
	RETURN keys;
END $$;
CREATE PROCEDURE expand(name text, columns text, old text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (%s)', name, columns);
	PERFORM tandem.create_migration(name);
	PERFORM tandem.add_column(name, name, 'new', 'text');
	PERFORM tandem.sync_column(name, name, old, 'new', format('%I::text', old), 'new::int');
	EXECUTE format('CREATE TRIGGER a_see BEFORE INSERT OR UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION see()', name);
END $$;

-- one unique index, or two that no rule makes the same
CALL expand('t', 'id int, other int, tenant int', 'id');
CREATE UNIQUE INDEX t_id ON t (id);
CREATE UNIQUE INDEX t_other ON t (other);
SELECT keys_locked('INSERT INTO t (id, other) VALUES (1, 1), (2, 2)') AS one_index;
CREATE INDEX t_plain ON t (new);
SELECT keys_locked('INSERT INTO t (id, other) VALUES (3, 3), (4, 4)') AS not_unique;
-- a twin counts in the statement after it was made, and no more when it is gone
CREATE UNIQUE INDEX t_new ON t (new);
SELECT keys_locked('INSERT INTO t (id, other) VALUES (5, 5), (6, 6)') AS twins;
SELECT keys_locked('INSERT INTO t (new, other) VALUES (7, 7), (8, 8)') AS by_the_new_column;
SELECT keys_locked('INSERT INTO t (other) VALUES (9), (10)') AS null_keys;
SELECT keys_locked('UPDATE t SET other = other + 100 WHERE id IN (1, 2)') AS key_unchanged;
SELECT keys_locked('UPDATE t SET new = (id + 100)::text WHERE id IN (1, 2)') AS key_changed;
SELECT keys_locked('INSERT INTO t (id, other) VALUES (5, 50), (6, 60) ON CONFLICT DO NOTHING') AS nothing_done;
SELECT count(*) AS after_the_statement FROM pg_locks WHERE classid = 't'::regclass;
DROP INDEX t_new;
SELECT keys_locked('INSERT INTO t (id, other) VALUES (11, 11), (12, 12)') AS twin_gone;
-- a deferrable constraint raises nothing at once
ALTER TABLE t ADD CONSTRAINT t_deferred UNIQUE (new) DEFERRABLE;
SELECT keys_locked('INSERT INTO t (id, other) VALUES (13, 13), (14, 14)') AS deferrable;
ALTER TABLE t DROP CONSTRAINT t_deferred;

-- other columns of the key, in any order; more than one pair
CREATE UNIQUE INDEX t_tenant_new ON t (new, tenant);
SELECT keys_locked('INSERT INTO t (id, other, tenant) VALUES (15, 15, 1), (16, 16, 1)') AS other_columns;
CREATE UNIQUE INDEX t_tenant_id ON t (tenant, id) INCLUDE (other);
SELECT keys_locked('INSERT INTO t (id, other, tenant) VALUES (17, 17, 1), (18, 18, 1)') AS composite;
CREATE UNIQUE INDEX t_new ON t (new);
SELECT keys_locked('INSERT INTO t (id, other, tenant) VALUES (19, 19, 1), (20, 20, 1)') AS two_pairs;
SELECT keys_locked('INSERT INTO t (id, other) VALUES (21, 21), (22, 22)') AS one_null;

-- predicates, expressions, NULLS NOT DISTINCT
CALL expand('p', 'id int, live boolean', 'id');
CREATE UNIQUE INDEX p_id ON p (id) WHERE live;
CREATE UNIQUE INDEX p_new ON p (new) WHERE live;
SELECT keys_locked('INSERT INTO p (id, live) VALUES (1, true), (2, true)') AS predicate_true;
SELECT keys_locked('INSERT INTO p (id, live) VALUES (1, false), (2, false)') AS predicate_false;
SELECT keys_locked('UPDATE p SET live = true WHERE NOT live AND id > 2') IS NULL AS no_row;
CALL expand('x', 'id int', 'id');
CREATE UNIQUE INDEX x_id ON x ((id + 1));
CREATE UNIQUE INDEX x_new ON x (lower(new));
SELECT keys_locked('INSERT INTO x (id) VALUES (1), (2)') AS expressions;
CALL expand('d', 'id int', 'id');
CREATE UNIQUE INDEX d_id ON d (id) NULLS NOT DISTINCT;
CREATE UNIQUE INDEX d_new ON d (new) NULLS NOT DISTINCT;
SELECT keys_locked('INSERT INTO d (new) VALUES (NULL), (1)') AS nulls_not_distinct;

-- errors are the server's, and leave no lock
BEGIN;
SAVEPOINT s;
INSERT INTO x (id) VALUES (3), (1);
ROLLBACK TO s;
SELECT count(*) AS after_an_error FROM pg_locks WHERE classid = 'x'::regclass;
INSERT INTO x (id) VALUES (3), (4);
SELECT count(*) AS after_the_next FROM pg_locks WHERE classid = 'x'::regclass;
COMMIT;
DO $$
BEGIN
	FOR i IN 1..3 LOOP
		BEGIN
			INSERT INTO x (id) VALUES (10 + i), (1);
		EXCEPTION WHEN unique_violation THEN
			RAISE WARNING '%, % locks', SQLERRM, (SELECT count(*) FROM pg_locks WHERE classid = 'x'::regclass);
		END;
	END LOOP;
END $$;
SELECT id, new FROM x ORDER BY id;
DROP TABLE t, p, x, d, seen;
DROP EXTENSION pg_tandem;
DROP FUNCTION see, keys_locked;
DROP PROCEDURE expand;
