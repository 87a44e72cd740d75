-- An event trigger that calls the extension while a call of the extension alters a table: the outer call
-- has read its migration, and goes on with what it has read.
CREATE DATABASE nested_call;
\c nested_call
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
CREATE EXTENSION pg_tandem;
CREATE TABLE nested (id int PRIMARY KEY, a int, b int);
INSERT INTO nested VALUES (1, 1);

CREATE FUNCTION nested_call() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
	call text := current_setting('nested.call', true);
BEGIN
	IF tg_tag = current_setting('nested.tag', true) THEN
		EXECUTE call;
	END IF;
END $$;
CREATE EVENT TRIGGER nested_call ON ddl_command_end EXECUTE FUNCTION nested_call();

-- Every call that changes something, from within every statement that alters a table.
CREATE FUNCTION try_nested(tag text, outer_call text) RETURNS TABLE (nested text, state text, message text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('nested.tag', tag, true);
	FOREACH nested IN ARRAY ARRAY['SELECT tandem.create_migration(''other'')',
		'SELECT tandem.add_column(''nested'', ''public.nested'', ''d'', ''int'')',
		'SELECT tandem.sync_column(''nested'', ''public.nested'', ''a'', ''b'', ''a + 1'')',
		'SELECT tandem.add_index(''nested'', ''CREATE INDEX i ON public.nested (a)'')',
		'SELECT tandem.add_not_null(''nested'', ''public.nested'', ''a'')',
		'SELECT tandem.add_constraint(''nested'', ''public.nested'', ''c'', ''CHECK (a > 0)'')',
		'SELECT tandem.pause(''nested'')', 'SELECT tandem.cancel(''nested'')', 'SELECT tandem.resume(''nested'')',
		'SELECT tandem.configure(''nested'', ''tandem.nice_ratio'', ''0'')', 'SELECT tandem.forget(''nested'')',
		'SELECT tandem.create_views(7, relations => ''{public.nested}'')', 'SELECT tandem.register_release(7)',
		'CALL tandem.contract(''nested'', force => true)', 'CALL tandem.abort(''nested'')']
	LOOP
		PERFORM set_config('nested.call', nested, true);
		BEGIN
			EXECUTE outer_call;
			RAISE EXCEPTION 'not refused';
		EXCEPTION WHEN others THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
		END;
		RETURN NEXT;
	END LOOP;
	PERFORM set_config('nested.tag', '', true);
END $$;

SELECT tandem.create_migration('nested');
SELECT * FROM try_nested('ALTER TABLE', $$SELECT tandem.add_column('nested', 'nested', 'c', 'int')$$);
SELECT DISTINCT state, message FROM try_nested('CREATE TRIGGER', $$SELECT tandem.sync_column('nested', 'nested', 'a', 'b', 'a')$$);
SELECT tandem.add_column('nested', 'nested', 'c', 'int');
SELECT tandem.sync_column('nested', 'nested', 'a', 'c', 'a', keep_old => true);
SELECT DISTINCT state, message FROM try_nested('CREATE VIEW', $$SELECT tandem.create_views(7, relations => '{nested}')$$);
SELECT DISTINCT state, message FROM try_nested('ALTER TABLE', $$CALL tandem.abort('nested')$$);
SET nested.call = $$CALL tandem.abort('nested')$$;
SET nested.tag = 'ALTER TABLE';
SELECT tandem.add_column('nested', 'nested', 'd', 'int');
RESET nested.tag;
SELECT attname FROM pg_attribute WHERE attrelid = 'nested'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- once the statement has ended, or failed, calls are as ever
DO $$
BEGIN
	PERFORM set_config('nested.tag', 'ALTER TABLE', true);
	BEGIN
		PERFORM tandem.add_column('nested', 'nested', 'd', 'int');
	EXCEPTION WHEN object_in_use THEN
		PERFORM set_config('nested.tag', '', true);
	END;
	PERFORM tandem.add_column('nested', 'nested', 'd', 'int');
END $$;
DROP EVENT TRIGGER nested_call;
CALL tandem.abort('nested');
SELECT attname FROM pg_attribute WHERE attrelid = 'nested'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

\c postgres
DROP DATABASE nested_call;
