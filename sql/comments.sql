-- What the extension says of its objects, and who may use them.
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;

CREATE TEMP VIEW members AS
SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object
FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_tandem');

-- every function, procedure, view, table and event trigger has a comment
SELECT object FROM members m
WHERE obj_description(objid, classid::regclass::name) IS NULL
	AND (classid IN ('pg_proc'::regclass, 'pg_event_trigger'::regclass)
		OR classid = 'pg_class'::regclass
			AND (SELECT relkind FROM pg_class WHERE oid = objid) IN ('r', 'v', 'm', 'p'))
ORDER BY object COLLATE "C";

-- nothing of it lies outside schema tandem
SELECT object FROM members m
WHERE coalesce((SELECT relnamespace FROM pg_class WHERE oid = objid AND classid = 'pg_class'::regclass),
		(SELECT pronamespace FROM pg_proc WHERE oid = objid AND classid = 'pg_proc'::regclass),
		'tandem'::regnamespace) <> 'tandem'::regnamespace;

-- functions that PUBLIC may not execute; each of the others checks its caller
SELECT object FROM members
WHERE classid = 'pg_proc'::regclass AND NOT has_function_privilege('public', objid, 'EXECUTE')
ORDER BY object COLLATE "C";

-- what only the library calls is among them
SELECT object FROM members JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
WHERE starts_with(proname, '_') AND has_function_privilege('public', p.oid, 'EXECUTE');

-- what PUBLIC may read or write: views, and no table or sequence
SELECT object,
	has_table_privilege('public', objid, 'SELECT') AS read,
	has_table_privilege('public', objid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') AS write
FROM members JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass
WHERE CASE WHEN relkind = 'S' THEN has_sequence_privilege('public', objid, 'SELECT, USAGE, UPDATE')
	WHEN relkind IN ('r', 'v', 'm', 'p')
	THEN has_table_privilege('public', objid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') END
ORDER BY object COLLATE "C";
SELECT has_schema_privilege('public', 'tandem', 'USAGE') AS usage, has_schema_privilege('public', 'tandem', 'CREATE') AS "create";

-- a plain role reads every view, but those for the library, and no table
CREATE ROLE regress_tandem_plain;
SET ROLE regress_tandem_plain;
DO $$
DECLARE
	name text;
BEGIN
	FOR name IN SELECT c.oid::regclass FROM pg_class c WHERE relnamespace = 'tandem'::regnamespace AND relkind IN ('v', 'r')
	LOOP
		BEGIN
			EXECUTE format('SELECT FROM %s', name);
			IF (SELECT relkind <> 'v' OR starts_with(relname, '_') FROM pg_class WHERE oid = name::regclass) THEN
				RAISE WARNING '% may be read', name;
			END IF;
		EXCEPTION WHEN insufficient_privilege THEN
			IF (SELECT relkind = 'v' AND NOT starts_with(relname, '_') FROM pg_class WHERE oid = name::regclass) THEN
				RAISE WARNING '%: %', name, SQLERRM;
			END IF;
		END;
	END LOOP;
END $$;
RESET ROLE;
DROP ROLE regress_tandem_plain;

-- functions in SQL pin their search_path, or were parsed when they were made; none runs with its owner's rights.
-- Those of tandem.at_once run the caller's texts under the caller's path, and name all else in full.
SELECT p.oid::regprocedure FROM members m JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
JOIN pg_language l ON l.oid = prolang
WHERE prosecdef OR lanname <> 'c' AND prosqlbody IS NULL AND NOT coalesce(proconfig::text LIKE '%search\_path=%', false)
	AND NOT (starts_with(proname, 'once_') OR proname = 'plain_run');

-- as the server's own tests ask of all functions: what is immutable may run in a parallel worker
SELECT p.oid::regprocedure FROM members m JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
WHERE provolatile = 'i' AND proparallel = 'u';

-- settings have a description
SELECT name FROM pg_settings WHERE name LIKE 'tandem.%' AND coalesce(short_desc, '') = '';

-- each of our types has its array type under the usual name: no name of ours is in its way
SELECT t.typname FROM pg_type t JOIN pg_type a ON a.oid = t.typarray
WHERE t.typnamespace = 'tandem'::regnamespace AND a.typname <> left('_' || t.typname, 63);

DROP EXTENSION pg_tandem;
