-- What was set on the view of a release by hand stays, whenever the view is replaced.
CREATE DATABASE view_by_hand;
\c view_by_hand
SET client_min_messages = warning;
\set VERBOSITY default
\pset format unaligned
\pset null '-'
\pset tuples_only on
CREATE EXTENSION pg_tandem;
CREATE ROLE tandem_reader;
CREATE ROLE tandem_writer;
CREATE ROLE tandem_hand;
CREATE SCHEMA app;
SET search_path = app;
CREATE TABLE orders (id integer PRIMARY KEY, title text DEFAULT 'x', price integer DEFAULT 7, note text);
INSERT INTO orders VALUES (1, 'a', 1, 'n');
COMMENT ON TABLE orders IS 'of the table';
COMMENT ON COLUMN orders.price IS 'of the column';
COMMENT ON COLUMN orders.note IS 'of the note';
GRANT SELECT, INSERT ON orders TO tandem_reader, tandem_writer;
GRANT UPDATE (price) ON orders TO tandem_reader;
CREATE VIEW kept AS SELECT c.oid::regclass AS view, array_to_string(c.reloptions, ' ') AS options,
	(SELECT string_agg(format('%s:%s', e.grantee::regrole, e.privilege_type), ' ' ORDER BY e.grantee::regrole::text, e.privilege_type)
		FROM aclexplode(c.relacl) e WHERE e.grantee <> c.relowner) AS privileges,
	(SELECT string_agg(format('%s:%s(%s)', e.grantee::regrole, e.privilege_type, a.attname), ' ' ORDER BY e.grantee::regrole::text, a.attname)
		FROM pg_attribute a, aclexplode(a.attacl) e WHERE a.attrelid = c.oid) AS column_privileges,
	obj_description(c.oid) AS comment,
	(SELECT string_agg(format('%s:%s', a.attname, col_description(c.oid, a.attnum)), ' ' ORDER BY a.attname)
		FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND col_description(c.oid, a.attnum) IS NOT NULL) AS comments,
	(SELECT string_agg(a.attname || '=' || pg_get_expr(d.adbin, d.adrelid), ' ' ORDER BY a.attname)
		FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = c.oid) AS defaults
	FROM pg_class c WHERE c.relname = 'orders' AND c.relkind = 'v' ORDER BY 1::text;
\x on
BEGIN;
SELECT tandem.create_migration('heads', release => 42);
SELECT tandem.add_column('heads', 'orders', 'head', 'text', default_value => '''X''');
SELECT tandem.sync_column('heads', 'orders', 'title', 'head', 'upper(title)', 'lower(head)');
SELECT tandem.create_views(42);
COMMIT;
SELECT * FROM kept;
-- read through, this column cannot be written, and has no default of ours
ALTER VIEW release_42.orders SET (security_barrier = true, check_option = local);
ALTER VIEW release_42.orders ALTER head SET DEFAULT 'mine';
ALTER VIEW release_42.orders ALTER price DROP DEFAULT;
ALTER TABLE release_42.orders ALTER note SET DEFAULT 'by hand';
COMMENT ON VIEW release_42.orders IS 'of the view';
COMMENT ON COLUMN release_42.orders.price IS NULL;
REVOKE SELECT ON release_42.orders FROM tandem_reader;
REVOKE UPDATE (price) ON release_42.orders FROM tandem_reader;
REVOKE USAGE ON SCHEMA release_42 FROM tandem_writer;
GRANT DELETE, TRIGGER ON release_42.orders TO tandem_hand WITH GRANT OPTION;
SELECT * FROM kept;
SELECT * FROM kept \gset was_
SELECT 'release_42.orders'::regclass::oid AS oid \gset was_
CALL tandem.migrate('heads');
-- replaced, since it shows the column itself now
SELECT pg_get_viewdef('release_42.orders') LIKE '%CASE%' AS reads_through, 'release_42.orders'::regclass::oid = :was_oid AS same;
SELECT options = :'was_options' AS options, privileges = :'was_privileges' AS privileges, column_privileges IS NULL AS column_privileges,
	comment = :'was_comment' AS comment, comments = :'was_comments' AS comments, defaults = :'was_defaults' AS defaults FROM kept;
SELECT has_schema_privilege('tandem_writer', 'release_42', 'USAGE');
-- created again: nothing to do, or columns to add
SELECT tandem.create_views(42);
ALTER TABLE orders ADD late integer DEFAULT 3;
SELECT tandem.create_views(42, refresh => true);
SELECT * FROM kept;
-- what the table gets, and what changes there that nobody has set on the view, is taken over as ever
GRANT DELETE ON orders TO tandem_writer;
COMMENT ON TABLE orders IS 'of the table, again';
COMMENT ON COLUMN orders.note IS 'of the note, again';
COMMENT ON COLUMN orders.late IS 'late';
ALTER TABLE orders ALTER price SET DEFAULT 8, ALTER note SET DEFAULT 'of the table', ALTER late SET DEFAULT 4, ALTER title SET DEFAULT 'y';
SELECT tandem.create_views(42);
SELECT * FROM kept;
-- by hand it is given back: then the view follows again
ALTER VIEW release_42.orders ALTER price SET DEFAULT 8;
ALTER TABLE orders ALTER price SET DEFAULT 9;
COMMENT ON VIEW release_42.orders IS 'of the table, again';
COMMENT ON TABLE orders IS 'of the table, at last';
GRANT SELECT ON release_42.orders TO tandem_reader;
SELECT tandem.create_views(42);
SELECT * FROM kept;

-- A view that must be made anew, as its columns change before anybody works with it, gets all of this, too.
SELECT tandem.register_release(1);
SELECT tandem.switch_release(1);
BEGIN;
SELECT tandem.create_migration('more', release => 43);
SELECT tandem.add_column('more', 'orders', 'more', 'text');
SELECT tandem.create_views(43);
COMMIT;
ALTER VIEW release_43.orders SET (security_barrier = true);
ALTER VIEW release_43.orders ALTER price SET DEFAULT 1, ALTER note SET DEFAULT 'mine';
COMMENT ON VIEW release_43.orders IS 'of the view';
REVOKE SELECT ON release_43.orders FROM tandem_writer;
GRANT TRIGGER ON release_43.orders TO tandem_hand;
SELECT 'release_43.orders'::regclass::oid AS oid \gset was_
BEGIN;
SELECT tandem.create_migration('length', release => 43);
SELECT tandem.add_column('length', 'orders', 'length', 'integer');
SELECT tandem.sync_column('length', 'orders', 'price', 'length', 'price', 'length');
SELECT tandem.create_views(43);
COMMIT;
SELECT 'release_43.orders'::regclass::oid <> :was_oid AS anew;
SELECT * FROM kept WHERE view = 'release_43.orders'::regclass;

-- Who may alter the view may set its default, and the rest of it is as before.
CREATE ROLE tandem_owner;
GRANT USAGE ON SCHEMA app TO tandem_owner;
CREATE TABLE lines (id integer PRIMARY KEY, amount integer DEFAULT 1);
ALTER TABLE lines OWNER TO tandem_owner;
SELECT tandem.create_views(43, relations => '{lines}');
SET ROLE tandem_owner;
ALTER VIEW release_43.lines ALTER amount SET DEFAULT 2;
ALTER TABLE lines ALTER amount SET DEFAULT 3;
RESET ROLE;
SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'release_43.lines'::regclass;

\c postgres
DROP DATABASE view_by_hand;
DROP ROLE tandem_reader, tandem_writer, tandem_hand, tandem_owner;
