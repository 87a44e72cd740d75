-- What hangs on a column: what contract, abort and force make of each.
SET client_min_messages = error;
DROP EXTENSION IF EXISTS pg_tandem CASCADE;
CREATE EXTENSION pg_tandem;
CREATE ROLE regress_tandem_reader;
CREATE SCHEMA ending;
SET search_path = ending;
CREATE TABLE referred (code text PRIMARY KEY);
CREATE TABLE pairs (a text, b text, PRIMARY KEY (a, b), UNIQUE (b, a));
CREATE COLLATION anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';

/*
 * Each case has a table of its own, t, whose column title becomes head.  What
 * is done before expand hangs on title, what is done after it on head.  By hand, from
 * the table of src/ending/README.md: what contract says, which parts
 * preview_contract lists, and what abort says.
 */
CREATE TABLE cases (
	number integer GENERATED ALWAYS AS IDENTITY,
	what text PRIMARY KEY,
	before text NOT NULL DEFAULT '',
	after text NOT NULL DEFAULT '',
	contract text NOT NULL,
	parts text NOT NULL DEFAULT '',
	abort text NOT NULL DEFAULT 'passes',
	since integer NOT NULL DEFAULT 15 -- version of the server
);
INSERT INTO cases (what, before, after, contract, parts) VALUES
('nothing', '', '', 'passes', ''),
-- what it has
('default', $$ ALTER TABLE t ALTER title SET DEFAULT 'x' $$, '', 'refused: defaults', 'defaults'),
('default of both', $$ ALTER TABLE t ALTER title SET DEFAULT 'x' $$, $$ ALTER TABLE t ALTER head SET DEFAULT 'X' $$, 'passes', ''),
('serial', $$ CREATE SEQUENCE s OWNED BY t.title; ALTER TABLE t ALTER title SET DEFAULT 'k' || nextval('ending.s') $$, '', 'refused: defaults', 'defaults, sequences'),
('sequence that the new one uses', $$ CREATE SEQUENCE s OWNED BY t.title; ALTER TABLE t ALTER title SET DEFAULT 'k' || nextval('ending.s') $$,
	$$ ALTER TABLE t ALTER head SET DEFAULT 'K' || nextval('ending.s') $$, 'in use', 'in use, sequences'),
('not null', $$ ALTER TABLE t ALTER title SET NOT NULL $$, '', 'refused: not null', 'not null'),
('not null of both', $$ ALTER TABLE t ALTER title SET NOT NULL $$, $$ ALTER TABLE t ALTER head SET NOT NULL $$, 'passes', ''),
('domain', $$ CREATE DOMAIN dom AS text NOT NULL DEFAULT 'x' CHECK (VALUE <> ''); ALTER TABLE t DROP title; ALTER TABLE t ADD title dom $$, '', 'refused: defaults, not null', 'check constraints, defaults, not null'),
('domain over a domain', $$ CREATE DOMAIN dom AS text NOT NULL CHECK (VALUE <> ''); CREATE DOMAIN dom2 AS dom; ALTER TABLE t DROP title; ALTER TABLE t ADD title dom2 $$, '', 'refused: not null', 'check constraints, not null'),
('domain, and a column like it', $$ CREATE DOMAIN dom AS text NOT NULL DEFAULT 'x' CHECK (VALUE <> ''); ALTER TABLE t DROP title; ALTER TABLE t ADD title dom $$,
	$$ ALTER TABLE t ALTER head SET NOT NULL, ALTER head SET DEFAULT 'X' $$, 'passes', 'check constraints'),
('domain that says nothing', $$ CREATE DOMAIN dom AS text; ALTER TABLE t DROP title; ALTER TABLE t ADD title dom $$, '', 'passes', ''),
('comment', $$ COMMENT ON COLUMN t.title IS 'one' $$, '', 'passes', 'comment'),
('security label', $$ INSERT INTO pg_seclabel VALUES ('ending.t'::regclass, 'pg_class'::regclass, 3, 'provider', 'secret') $$, '', 'passes', 'security label'),
('security label of both', $$ INSERT INTO pg_seclabel VALUES ('ending.t'::regclass, 'pg_class'::regclass, 3, 'provider', 'secret') $$,
	$$ INSERT INTO pg_seclabel VALUES ('ending.t'::regclass, 'pg_class'::regclass, (SELECT attnum FROM pg_attribute WHERE attrelid = 'ending.t'::regclass AND attname = 'head'), 'provider', 'secret') $$, 'passes', ''),
('privileges', $$ GRANT SELECT (title), UPDATE (title) ON t TO regress_tandem_reader $$, '', 'passes', 'privileges'),
('privileges of both', $$ GRANT SELECT (title) ON t TO regress_tandem_reader $$, $$ GRANT SELECT (head) ON t TO regress_tandem_reader $$, 'passes', ''),
('privileges that may be passed on, and some that may not', $$ GRANT SELECT (title) ON t TO regress_tandem_reader WITH GRANT OPTION $$, $$ GRANT SELECT (head) ON t TO regress_tandem_reader $$, 'passes', 'privileges'),
('privileges on the table', $$ GRANT SELECT (title), SELECT ON t TO regress_tandem_reader $$, '', 'passes', ''),
('statistics target', $$ ALTER TABLE t ALTER title SET STATISTICS 1000 $$, '', 'passes', 'statistics target'),
('storage', $$ ALTER TABLE t ALTER title SET STORAGE external $$, '', 'passes', 'storage'),
('compression', $$ ALTER TABLE t ALTER title SET COMPRESSION pglz $$, '', 'passes', 'compression'),
('options', $$ ALTER TABLE t ALTER title SET (n_distinct = 5) $$, '', 'passes', 'column options'),
-- indexes
('index', $$ CREATE INDEX i ON t (title) $$, '', 'passes', 'indexes'),
('index of an expression', $$ CREATE INDEX i ON t (lower(title)) $$, '', 'passes', 'indexes'),
('index with another column', $$ CREATE INDEX i ON t (tenant, title) $$, '', 'refused: indexes', 'indexes'),
('index with another column, and its twin', $$ CREATE INDEX i ON t (tenant, title) $$, $$ CREATE INDEX j ON t (tenant, head) $$, 'passes', 'indexes'),
('index with another column, and a partial twin', $$ CREATE INDEX i ON t (tenant, title) $$, $$ CREATE INDEX j ON t (tenant, head) WHERE id > 1 $$, 'refused: indexes', 'indexes'),
('index with another column, and one in another order', $$ CREATE INDEX i ON t (tenant, title) $$, $$ CREATE INDEX j ON t (head, tenant) $$, 'refused: indexes', 'indexes'),
('index with another column, and one with more', $$ CREATE INDEX i ON t (tenant, title) $$, $$ CREATE INDEX j ON t (tenant, head, id) $$, 'passes', 'indexes'),
('index with a direction, and one without', $$ CREATE INDEX i ON t (tenant, title DESC) $$, $$ CREATE INDEX j ON t (tenant, head) $$, 'refused: indexes', 'indexes'),
('index with directions, and one with the other', $$ CREATE INDEX i ON t (tenant, title DESC) $$, $$ CREATE INDEX j ON t (tenant DESC, head) $$, 'passes', 'indexes'),
('index with an operator class, and one without', $$ CREATE INDEX i ON t (tenant, title text_pattern_ops) $$, $$ CREATE INDEX j ON t (tenant, head) $$, 'refused: indexes', 'indexes'),
('index that includes it, and its twin', $$ CREATE INDEX i ON t (tenant) INCLUDE (title) $$, $$ CREATE INDEX j ON t (tenant) INCLUDE (head) $$, 'passes', 'indexes'),
('predicate, and an index of all of it', $$ CREATE INDEX i ON t (tenant) WHERE title <> '' $$, $$ CREATE INDEX j ON t (tenant, head) $$, 'passes', 'indexes'),
('predicate, and its twin', $$ CREATE INDEX i ON t (tenant) WHERE title <> '' $$, $$ CREATE INDEX j ON t (tenant) WHERE head <> '' $$, 'passes', 'indexes'),
('predicate, and another', $$ CREATE INDEX i ON t (tenant) WHERE title <> '' $$, $$ CREATE INDEX j ON t (tenant) WHERE head <> 'x' $$, 'refused: indexes', 'indexes'),
('expression with another column, and its twin', $$ CREATE INDEX i ON t ((tenant || title)) $$, $$ CREATE INDEX j ON t ((tenant || head)) $$, 'passes', 'indexes'),
('expression with another column, and another', $$ CREATE INDEX i ON t ((tenant || title)) $$, $$ CREATE INDEX j ON t ((head || tenant)) $$, 'refused: indexes', 'indexes'),
('index that includes it', $$ CREATE INDEX i ON t (tenant) INCLUDE (title) $$, '', 'refused: indexes', 'indexes'),
('predicate', $$ CREATE INDEX i ON t (tenant) WHERE title <> '' $$, '', 'refused: indexes', 'indexes'),
('expression with another column', $$ CREATE INDEX i ON t ((tenant || title)) $$, '', 'refused: indexes', 'indexes'),
-- uniqueness
('unique constraint', $$ ALTER TABLE t ADD CONSTRAINT u UNIQUE (title) $$, '', 'refused: unique constraints', 'unique constraints'),
('unique constraint, and its twin', $$ ALTER TABLE t ADD CONSTRAINT u UNIQUE (title) $$, $$ CREATE UNIQUE INDEX v ON t (head) $$, 'passes', 'unique constraints'),
('unique constraint, and a partial twin', $$ ALTER TABLE t ADD CONSTRAINT u UNIQUE (title) $$, $$ CREATE UNIQUE INDEX v ON t (head) WHERE id > 1 $$, 'refused: unique constraints', 'unique constraints'),
('unique constraint, and a twin of some of its values', $$ ALTER TABLE t ADD CONSTRAINT u UNIQUE (title) $$, $$ CREATE UNIQUE INDEX v ON t (head) WHERE head <> 'A' $$, 'refused: unique constraints', 'unique constraints'),
('unique constraint, and an index', $$ ALTER TABLE t ADD CONSTRAINT u UNIQUE (title) $$, $$ CREATE INDEX v ON t (head) $$, 'refused: unique constraints', 'unique constraints'),
('unique constraint, and a wider one', $$ ALTER TABLE t ADD CONSTRAINT u UNIQUE (title) $$, $$ CREATE UNIQUE INDEX v ON t (tenant, head) $$, 'refused: unique constraints', 'unique constraints'),
('unique nulls', $$ ALTER TABLE t ADD CONSTRAINT u UNIQUE NULLS NOT DISTINCT (title) $$, $$ CREATE UNIQUE INDEX v ON t (head) $$, 'refused: unique constraints', 'unique constraints'),
('unique index', $$ CREATE UNIQUE INDEX u ON t (title) $$, '', 'refused: unique constraints', 'unique constraints'),
('unique without case, and with it', $$ CREATE UNIQUE INDEX u ON t (title COLLATE anycase) $$, $$ CREATE UNIQUE INDEX v ON t (head) $$, 'refused: unique constraints', 'unique constraints'),
('unique without case, and its twin', $$ CREATE UNIQUE INDEX u ON t (title COLLATE anycase) $$, $$ CREATE UNIQUE INDEX v ON t (head COLLATE anycase) $$, 'passes', 'unique constraints'),
('unique constraint with another column', $$ ALTER TABLE t ADD CONSTRAINT u UNIQUE (tenant, title) $$, '', 'refused: unique constraints', 'unique constraints'),
('unique constraint with another column, and its twin', $$ ALTER TABLE t ADD CONSTRAINT u UNIQUE (tenant, title) $$, $$ ALTER TABLE t ADD CONSTRAINT v UNIQUE (tenant, head) $$, 'passes', 'unique constraints'),
('unique constraint with another column, and a narrower one', $$ ALTER TABLE t ADD CONSTRAINT u UNIQUE (tenant, title) $$, $$ CREATE UNIQUE INDEX v ON t (head) $$, 'passes', 'unique constraints'),
('unique expression', $$ CREATE UNIQUE INDEX u ON t (lower(title)) $$, '', 'refused: unique constraints', 'unique constraints'),
('unique expression, and its twin', $$ CREATE UNIQUE INDEX u ON t (lower(title)) $$, $$ CREATE UNIQUE INDEX v ON t (lower(head)) $$, 'passes', 'unique constraints'),
('unique expression, and another', $$ CREATE UNIQUE INDEX u ON t (lower(title)) $$, $$ CREATE UNIQUE INDEX v ON t (md5(head)) $$, 'refused: unique constraints', 'unique constraints'),
('exclusion constraint', $$ ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING btree (title WITH =) $$, '', 'refused: exclusion constraints', 'exclusion constraints'),
('exclusion constraint, and its twin', $$ ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING btree (title WITH =) $$, $$ ALTER TABLE t ADD CONSTRAINT y EXCLUDE USING btree (head WITH =) $$, 'passes', 'exclusion constraints'),
('exclusion constraint, and an index', $$ ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING btree (title WITH =) $$, $$ CREATE INDEX y ON t (head) $$, 'refused: exclusion constraints', 'exclusion constraints'),
-- other constraints
('check', $$ ALTER TABLE t ADD CONSTRAINT c CHECK (title <> '') $$, '', 'passes', 'check constraints'),
('check of two columns', $$ ALTER TABLE t ADD CONSTRAINT c CHECK (title <> '' OR tenant > 0) $$, '', 'refused: check constraints', 'check constraints'),
('check of two columns, and its twin', $$ ALTER TABLE t ADD CONSTRAINT c CHECK (title <> '' OR tenant > 0) $$, $$ ALTER TABLE t ADD CONSTRAINT d CHECK (head <> '' OR tenant > 0) $$, 'passes', 'check constraints'),
('check of two columns, and another of these', $$ ALTER TABLE t ADD CONSTRAINT c CHECK (title <> '' OR tenant > 0) $$, $$ ALTER TABLE t ADD CONSTRAINT d CHECK (head IS NOT NULL OR tenant IS NOT NULL) $$, 'refused: check constraints', 'check constraints'),
('two checks of two columns, and a twin of one', $$ ALTER TABLE t ADD CONSTRAINT c CHECK (title <> '' OR tenant > 0), ADD CONSTRAINT c2 CHECK (length(title) < tenant * 9) $$,
	$$ ALTER TABLE t ADD CONSTRAINT d CHECK (head <> '' OR tenant > 0) $$, 'refused: check constraints', 'check constraints'),
('check with its name as a value, and its twin', $$ ALTER TABLE t ADD CONSTRAINT c CHECK (title <> 'title' OR tenant > 0) $$, $$ ALTER TABLE t ADD CONSTRAINT d CHECK (head <> 'title' OR tenant > 0) $$, 'passes', 'check constraints'),
('check, and a twin that is not valid', $$ ALTER TABLE t ADD CONSTRAINT c CHECK (title <> '' OR tenant > 0) $$, $$ ALTER TABLE t ADD CONSTRAINT d CHECK (head <> '' OR tenant > 0) NOT VALID $$, 'refused: check constraints', 'check constraints'),
('foreign key', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title) REFERENCES referred $$, '', 'refused: foreign keys', 'foreign keys'),
('foreign key, and its twin', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title) REFERENCES referred $$, $$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head) REFERENCES referred $$, 'passes', 'foreign keys'),
('foreign key, and a twin that is not valid', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title) REFERENCES referred $$, $$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head) REFERENCES referred NOT VALID $$, 'refused: foreign keys', 'foreign keys'),
('foreign key that cascades, and its twin', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title) REFERENCES referred ON DELETE CASCADE ON UPDATE SET NULL $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head) REFERENCES referred ON DELETE CASCADE ON UPDATE SET NULL $$, 'passes', 'foreign keys'),
('foreign key that cascades, and a twin that does not', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title) REFERENCES referred ON DELETE CASCADE $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head) REFERENCES referred $$, 'refused: foreign keys', 'foreign keys'),
('foreign key that follows, and a twin that does not', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title) REFERENCES referred ON UPDATE CASCADE $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head) REFERENCES referred ON UPDATE RESTRICT $$, 'refused: foreign keys', 'foreign keys'),
('foreign key, and a twin that does not and one that cascades', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title) REFERENCES referred ON DELETE CASCADE $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head) REFERENCES referred, ADD CONSTRAINT h FOREIGN KEY (head) REFERENCES referred ON DELETE CASCADE $$, 'passes', 'foreign keys'),
('foreign key, and a twin that cascades', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title) REFERENCES referred $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head) REFERENCES referred ON DELETE CASCADE $$, 'passes', 'foreign keys'),
('foreign key of two columns, and its twin', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title, note) REFERENCES pairs (a, b) $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (note, head) REFERENCES pairs (b, a) $$, 'passes', 'foreign keys'),
('foreign key of two columns, and one the other way round', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title, note) REFERENCES pairs (a, b) $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head, note) REFERENCES pairs (b, a) $$, 'refused: foreign keys', 'foreign keys'),
('foreign key that empties one column, and one that empties the other', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title, note) REFERENCES pairs (a, b) ON DELETE SET NULL (title) $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head, note) REFERENCES pairs (a, b) ON DELETE SET NULL (note) $$, 'refused: foreign keys', 'foreign keys'),
('foreign key that empties one column, and its twin', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title, note) REFERENCES pairs (a, b) ON DELETE SET NULL (title) $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head, note) REFERENCES pairs (a, b) ON DELETE SET NULL (head) $$, 'passes', 'foreign keys'),
('foreign key of two columns that are both given or none, and one that takes one alone', $$ ALTER TABLE t ALTER note SET DEFAULT 'n'; INSERT INTO pairs SELECT unnest(string_to_array('a b c d A B', ' ')), 'n';
	ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title, note) REFERENCES pairs (a, b) MATCH FULL $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head, note) REFERENCES pairs (a, b) $$, 'refused: foreign keys', 'foreign keys'),
('foreign key that empties both columns, and one that empties one', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title, note) REFERENCES pairs (a, b) ON DELETE SET NULL $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head, note) REFERENCES pairs (a, b) ON DELETE SET NULL (head) $$, 'refused: foreign keys', 'foreign keys'),
-- statistics
('statistics', $$ CREATE STATISTICS s1 ON (lower(title)) FROM t $$, '', 'passes', 'extended statistics'),
('statistics with another column', $$ CREATE STATISTICS s1 ON tenant, title FROM t $$, '', 'refused: extended statistics', 'extended statistics'),
('statistics with another column, and their twin', $$ CREATE STATISTICS s1 ON tenant, title FROM t $$, $$ CREATE STATISTICS s2 ON tenant, head FROM t $$, 'passes', 'extended statistics'),
-- triggers
('trigger function', $$ CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.title = btrim(NEW.title); RETURN NEW; END';
	CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f() $$, '', 'refused: trigger functions', 'trigger functions'),
('trigger function, in capitals', $$ CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.TITLE IS NULL THEN RAISE ''none''; END IF; RETURN NEW; END';
	CREATE TRIGGER a AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f() $$, '', 'refused: trigger functions', 'trigger functions'),
('trigger function that names part of a word', $$ CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'DECLARE titles int; _title int; title2 int; BEGIN RETURN NEW; END';
	CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f() $$, '', 'passes', ''),
('trigger argument', $$ ALTER TABLE t ADD search tsvector;
	CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger('search', 'pg_catalog.english', 'title') $$,
	'', 'refused: trigger functions', 'trigger functions'),
('trigger function of a statement', $$ CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM max(title) FROM ending.t; RETURN NULL; END';
	CREATE TRIGGER a AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION f() $$, '', 'refused: trigger functions', 'trigger functions'),
('trigger that is disabled', $$ CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.title = 1; RETURN NEW; END';
	CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER a $$, '', 'passes', 'functions'),
('function', $$ CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(title) FROM ending.t); END' $$, '', 'passes', 'functions'),
('function of the row', $$ CREATE FUNCTION f(r t) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN r.title; END' $$, '', 'passes', 'functions'),
('trigger function that names it in quotes', $$ CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW."title" = btrim(NEW."title"); RETURN NEW; END';
	CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f() $$, '', 'refused: trigger functions', 'trigger functions'),
('trigger function that fires in replication alone', $$ CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.title = btrim(NEW.title); RETURN NEW; END';
	CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t ENABLE REPLICA TRIGGER a $$, '', 'refused: trigger functions', 'trigger functions'),
('trigger function that stores whole rows', $$ CREATE TABLE r (how text, LIKE t); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO ending.r SELECT ''D'', OLD.*; RETURN NULL; END';
	CREATE TRIGGER a AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION f() $$, $$ ALTER TABLE r ADD head text $$, 'refused: trigger functions', 'trigger functions'),
('trigger function that stores the rows of a statement', $$ CREATE TABLE r (LIKE t); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO ending.r SELECT * FROM gone; RETURN NULL; END';
	CREATE TRIGGER a AFTER DELETE ON t REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION f() $$, $$ ALTER TABLE r ADD head text $$, 'refused: trigger functions', 'trigger functions'),
('trigger function that stores rows as documents', $$ CREATE TABLE r (how text, what jsonb); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO ending.r VALUES (''D'', to_jsonb(OLD.*)); RETURN NULL; END';
	CREATE TRIGGER a AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION f() $$, '', 'passes', 'functions'),
('trigger function that compares rows', $$ CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.* IS DISTINCT FROM NEW.* THEN NEW.note = ''changed''; END IF; RETURN NEW; END';
	CREATE TRIGGER a BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f() $$, '', 'passes', ''),
('trigger function of another table', $$ CREATE TABLE r (id integer); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE ending.t SET title = ''x'' WHERE id = NEW.id; RETURN NULL; END';
	CREATE TRIGGER a AFTER INSERT ON r FOR EACH ROW EXECUTE FUNCTION f() $$, '', 'passes', 'functions'),
('function that reads all columns', $$ CREATE FUNCTION f(OUT a integer, OUT b integer) LANGUAGE plpgsql AS 'BEGIN SELECT * INTO a, b FROM ending.t; END' $$, '', 'passes', 'functions'),
('function of another table', $$ CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(title) FROM elsewhere); END' $$, '', 'passes', ''),
('function of a check', $$ CREATE FUNCTION f(r t) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN r.title <> ''''; END'; ALTER TABLE t ADD CHECK (f(t)) $$,
	'', 'refused: expressions', 'expressions'),
('function of a check that goes with it', $$ CREATE FUNCTION f(r t, title text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN r.title = title; END'; ALTER TABLE t ADD CONSTRAINT c CHECK (f(t, title)) $$,
	'', 'refused: check constraints', 'check constraints, functions'),
('function of an index', $$ CREATE FUNCTION f(r t) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN r.title; END'; CREATE INDEX i ON t (f(t)) $$,
	'', 'refused: expressions', 'expressions'),
('function of an index that goes with it', $$ CREATE FUNCTION f(r t) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN r.title; END'; CREATE INDEX i ON t (f(t), title) $$,
	'', 'passes', 'functions, indexes'),
('function of a default', $$ CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(title) FROM ending.t); END'; ALTER TABLE t ALTER tenant SET DEFAULT f() $$,
	'', 'refused: expressions', 'expressions'),
('function of its default', $$ CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(title) FROM ending.t); END'; ALTER TABLE t ALTER title SET DEFAULT f() $$,
	$$ ALTER TABLE t ALTER head SET DEFAULT 'X' $$, 'passes', 'functions'),
('function of a policy', $$ CREATE FUNCTION f(r t) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN r.title <> ''''; END'; CREATE POLICY p ON t USING (f(t)) $$,
	'', 'refused: expressions', 'expressions'),
('function of the condition of a trigger', $$ CREATE FUNCTION f(r t) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN r.title <> ''''; END';
	CREATE TRIGGER a AFTER UPDATE ON t FOR EACH ROW WHEN (f(NEW)) EXECUTE FUNCTION nothing() $$, '', 'refused: expressions', 'expressions'),
('check over the whole row', $$ ALTER TABLE t ADD CONSTRAINT c CHECK (coalesce(to_jsonb(t) ->> 'title', '') <> 'none') $$, '', 'refused: expressions', 'expressions'),
('check over the whole row, of another member', $$ ALTER TABLE t ADD CONSTRAINT c CHECK (coalesce(to_jsonb(t) ->> 'subtitle', '') <> 'none') $$, '', 'passes', ''),
('policy over the whole row', $$ CREATE POLICY p ON t USING (to_jsonb(t) ->> 'title' IS DISTINCT FROM 'none') $$, '', 'refused: expressions', 'expressions'),
('rule over the whole row', $$ CREATE RULE r AS ON DELETE TO t WHERE to_jsonb(old) ->> 'title' = 'none' DO INSTEAD NOTHING $$, '', 'refused: expressions', 'expressions'),
('condition of a trigger over the whole row', $$ CREATE TRIGGER a AFTER UPDATE ON t FOR EACH ROW WHEN (to_jsonb(NEW) ->> 'title' = 'none') EXECUTE FUNCTION nothing() $$, '', 'refused: expressions', 'expressions'),
('function of a check that names it as something else', $$ CREATE FUNCTION f(tenant integer) RETURNS boolean LANGUAGE plpgsql AS 'DECLARE title text; BEGIN RETURN tenant > 0; END'; ALTER TABLE t ADD CHECK (f(tenant)) $$,
	'', 'passes', ''),
('view that calls a function with the row', $$ CREATE FUNCTION f(r t) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN r.title; END'; CREATE VIEW shown AS SELECT f(t) AS name FROM t $$,
	'', 'refused: expressions', 'expressions'),
('rows of the table in another', $$ CREATE TABLE r (id integer, saved t) $$, '', 'refused: stored rows', 'stored rows'),
('rows of the table in arrays of a domain of another', $$ CREATE DOMAIN dom AS t; CREATE TYPE kept_rows AS (n integer, rows dom[]); CREATE TABLE r (id integer, saved kept_rows) $$, '', 'refused: stored rows', 'stored rows'),
('rows of the table in a type that no table has', $$ CREATE DOMAIN dom AS t; CREATE TYPE kept_rows AS (n integer, rows dom[]) $$, '', 'passes', ''),
('view of whole rows', $$ CREATE VIEW shown AS SELECT to_jsonb(t) ->> 'title' AS name FROM t $$, '', 'passes', 'views'),
-- what is in use
('view', $$ CREATE VIEW shown AS SELECT title FROM t $$, '', 'in use', 'in use'),
('materialized view', $$ CREATE MATERIALIZED VIEW shown AS SELECT title FROM t $$, '', 'in use', 'in use'),
('rule', $$ CREATE RULE r AS ON DELETE TO t WHERE OLD.title = 'x' DO INSTEAD NOTHING $$, '', 'in use', 'in use'),
('policy', $$ CREATE POLICY p ON t USING (title <> '') $$, '', 'in use', 'in use'),
('policy of another table', $$ CREATE TABLE r (id integer); CREATE POLICY p ON r USING (EXISTS (SELECT FROM t WHERE t.title = 'x')) $$, '', 'in use', 'in use'),
('rule of another table', $$ CREATE TABLE r (id integer); CREATE RULE a AS ON INSERT TO r DO ALSO UPDATE t SET note = 'x' WHERE title = 'x' $$, '', 'in use', 'in use'),
('generated column', $$ ALTER TABLE t ADD made text GENERATED ALWAYS AS (title || '!') STORED $$, '', 'in use', 'in use'),
('function with a SQL body', $$ CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT max(title) FROM ending.t; END $$, '', 'in use', 'in use'),
('trigger of the column', $$ CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE TRIGGER a BEFORE UPDATE OF title ON t FOR EACH ROW EXECUTE FUNCTION f() $$, '', 'in use', 'in use'),
('condition of a trigger', $$ CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	CREATE TRIGGER a AFTER UPDATE ON t FOR EACH ROW WHEN (NEW.title = 'x') EXECUTE FUNCTION f() $$, '', 'in use', 'in use'),
('publication of columns', $$ CREATE PUBLICATION regress_ending FOR TABLE t (id, title) $$, '', 'in use', 'in use'),
('publication of rows', $$ CREATE PUBLICATION regress_ending FOR TABLE t WHERE (id > 0 AND title <> 'x') WITH (publish = 'insert') $$, '', 'in use', 'in use'),
('foreign key to it', $$ ALTER TABLE t ADD CONSTRAINT u UNIQUE (title); CREATE TABLE r (title text REFERENCES t (title)) $$, $$ CREATE UNIQUE INDEX v ON t (head) $$, 'in use', 'in use, unique constraints'),
('primary key', $$ ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (title) $$, $$ ALTER TABLE t ALTER head SET NOT NULL $$, 'in use', 'in use'),
('replica identity', $$ ALTER TABLE t ALTER title SET NOT NULL; CREATE UNIQUE INDEX u ON t (title); ALTER TABLE t REPLICA IDENTITY USING INDEX u $$,
	$$ ALTER TABLE t ALTER head SET NOT NULL; CREATE UNIQUE INDEX v ON t (head) $$, 'in use', 'in use, unique constraints'),
('sync of another migration', '', $$ SELECT tandem.create_migration('other'); ALTER TABLE t ADD third text; SELECT tandem.sync_column('other', 't', 'title', 'third', 'title', 'third') $$, 'in use', 'in use'),
('derived column of another migration', '', $$ SELECT tandem.create_migration('other'); SELECT tandem.add_column('other', 't', 'third', 'text', up => 'title || 1') $$, 'in use', 'in use'),
('index of another migration', '', $$ SELECT tandem.create_migration('other'); SELECT tandem.add_index('other', 'CREATE INDEX i ON t (lower(title))') $$, 'in use', 'in use'),
('check of another migration', '', $$ SELECT tandem.create_migration('other'); SELECT tandem.add_constraint('other', 't', 'c', 'CHECK (title <> '''')') $$, 'in use', 'in use'),
('not null of another migration', '', $$ SELECT tandem.create_migration('other'); SELECT tandem.add_not_null('other', 't', 'title') $$, 'in use', 'in use'),
('statement of another migration', '', $$ SELECT tandem.create_migration('other'); SELECT tandem.at_contract('other', 't', 'ALTER TABLE t ALTER title SET NOT NULL') $$, 'passes', 'statements'),
('statement of another migration, with another name', '', $$ SELECT tandem.create_migration('other'); SELECT tandem.at_contract('other', 't', 'ALTER TABLE t ADD subtitle text') $$, 'passes', '');
-- what only newer servers have
INSERT INTO cases (since, what, before, after, contract, parts) VALUES
(18, 'virtual column', $$ ALTER TABLE t ADD made text GENERATED ALWAYS AS (title || '!') VIRTUAL $$, '', 'in use', 'in use'),
(18, 'not null that is not valid', $$ ALTER TABLE t ADD CONSTRAINT n NOT NULL title NOT VALID $$, '', 'refused: not null', 'not null'),
(18, 'check that is not enforced', $$ ALTER TABLE t ADD CONSTRAINT c CHECK (title <> '' OR tenant > 0) $$,
	$$ ALTER TABLE t ADD CONSTRAINT d CHECK (head <> '' OR tenant > 0) NOT ENFORCED $$, 'refused: check constraints', 'check constraints'),
(18, 'foreign key, and a twin that is not enforced', $$ ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (title) REFERENCES referred $$,
	$$ ALTER TABLE t ADD CONSTRAINT g FOREIGN KEY (head) REFERENCES referred NOT ENFORCED $$, 'refused: foreign keys', 'foreign keys');
DELETE FROM cases WHERE since > current_setting('server_version_num')::integer / 10000;
-- what hangs on the new column stops abort
INSERT INTO cases (what, before, after, contract, abort) VALUES
('sequence that has moved', $$ CREATE SEQUENCE s OWNED BY t.title; ALTER TABLE t ALTER title SET DEFAULT 'k' || nextval('ending.s') $$,
	$$ ALTER TABLE t ALTER head SET DEFAULT 'K' || nextval('ending.s'); ALTER SEQUENCE s OWNED BY t.head $$, 'passes', 'in use');
INSERT INTO cases (what, after, contract, abort) VALUES
('view of the new column', $$ CREATE VIEW shown AS SELECT head FROM t $$, 'passes', 'in use'),
('index of another migration on the new column', $$ SELECT tandem.create_migration('other'); SELECT tandem.add_index('other', 'CREATE INDEX i ON t (lower(head))') $$, 'passes', 'in use'),
('trigger function that names the new column', $$ CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.tenant = length(NEW.head); RETURN NEW; END';
	CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f() $$, 'passes', 'refused'),
('function of a check that names the new column', $$ CREATE FUNCTION f(r t) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN r.head <> ''''; END'; ALTER TABLE t ADD CHECK (f(t)) $$, 'passes', 'refused');

-- what a call says; all that it does is undone
CREATE FUNCTION said(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
BEGIN
	EXECUTE command;
	RAISE EXCEPTION 'undone';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN CASE WHEN message = 'undone' THEN 'passes'
		WHEN message ~ 'still in use$|are in use$' THEN 'in use'
		WHEN message ~ 'would lose more than' THEN 'refused: ' || (
			SELECT string_agg(DISTINCT m[1], ', ' ORDER BY m[1]) FROM regexp_matches(detail, '^- ([a-z ]+):', 'gn') m)
		WHEN message ~ 'would lose what only' THEN 'refused'
		ELSE message || coalesce(' -- ' || detail, '') END;
END $$;
-- the table as the catalogs have it
CREATE FUNCTION shape() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
	RETURN (SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT format('%s %s %s %s %s %s', attname, atttypid::regtype, attnotnull, attstattarget, attacl, (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum)) AS line
		FROM pg_attribute WHERE attrelid = 'ending.t'::regclass AND attnum > 0 AND NOT attisdropped
		UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE conrelid = 'ending.t'::regclass
		UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'ending.t'::regclass
		UNION ALL SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxrelid = 'ending.t'::regclass
		UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'ending.t'::regclass AND NOT tgisinternal) s);
END $$;
CREATE FUNCTION shape_after(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	EXECUTE command;
	found = ending.shape();
	RAISE EXCEPTION 'undone';
EXCEPTION WHEN OTHERS THEN
	IF SQLERRM <> 'undone' THEN RETURN SQLERRM; END IF;
	RETURN found;
END $$;
CREATE TABLE results (number integer, what text, question text, expected text, found text);
CREATE PROCEDURE try_case(c cases) LANGUAGE plpgsql AS $$
DECLARE
	refused text[];
	was text;
BEGIN
	CREATE TABLE t (id integer PRIMARY KEY, tenant integer, title text, note text);
	INSERT INTO referred SELECT unnest(string_to_array('a A b B c C d D', ' ')) ON CONFLICT DO NOTHING;
	EXECUTE c.before;
	INSERT INTO t (id, tenant, title) VALUES (1, 1, 'a'), (2, 2, 'b');
	was = shape();
	PERFORM tandem.create_migration('m');
	ALTER TABLE t ADD head text;
	PERFORM tandem.sync_column('m', 't', 'title', 'head', 'upper(title)', 'lower(head)');
	COMMIT;
	CALL tandem.migrate('m');
	EXECUTE c.after;
	COMMIT;
	INSERT INTO results VALUES
		(c.number, c.what, 'contract', c.contract, said($call$ CALL tandem.contract('m') $call$)),
		-- passes over nothing of this
		(c.number, c.what, 'contract with force', c.contract, said($call$ CALL tandem.contract('m', force => true) $call$)),
		(c.number, c.what, 'parts', c.parts, coalesce((SELECT string_agg(DISTINCT part, ', ' ORDER BY part) FROM tandem.preview_contract('m') WHERE object !~ 'try_case|shape'), '')),
		(c.number, c.what, 'abort', c.abort, said($call$ CALL tandem.abort('m') $call$)),
		(c.number, c.what, 'abort with force', CASE c.abort WHEN 'refused' THEN 'passes' ELSE c.abort END, said($call$ CALL tandem.abort('m', force => true) $call$));
	-- what it does not refuse leaves a table that the release which stays can write
	IF c.contract = 'passes' THEN
		INSERT INTO results VALUES (c.number, c.what, 'write after contract', 'passes',
			said($call$ CALL tandem.contract('m'); INSERT INTO ending.t (id, tenant, head) VALUES (3, 3, 'C'); UPDATE ending.t SET head = 'D' WHERE id = 3; DELETE FROM ending.t $call$));
	END IF;
	IF c.abort = 'passes' THEN
		INSERT INTO results VALUES (c.number, c.what, 'write after abort', 'passes',
			said($call$ CALL tandem.abort('m'); INSERT INTO ending.t (id, tenant, title) VALUES (3, 3, 'c'); UPDATE ending.t SET title = 'd' WHERE id = 3; DELETE FROM ending.t $call$));
	END IF;
	-- the table is as before
	IF c.abort = 'passes' AND c.after !~ 'create_migration' THEN
		INSERT INTO results VALUES (c.number, c.what, 'shape after abort', was, shape_after($call$ CALL tandem.abort('m') $call$));
	END IF;
	-- another part does not help, the part does
	IF c.contract ~ '^refused' THEN
		refused = string_to_array(substr(c.contract, 10), ', ');
		INSERT INTO results VALUES
			(c.number, c.what, 'contract, another accepted', c.contract,
				said(format($call$ CALL tandem.contract('m', accept => %L) $call$,
					CASE WHEN refused = '{indexes}' THEN '{defaults}' ELSE '{indexes}' END))),
			(c.number, c.what, 'contract, accepted', 'passes', said(format($call$ CALL tandem.contract('m', accept => %L) $call$, refused)));
	END IF;
	COMMIT;
	DROP PUBLICATION IF EXISTS regress_ending;
	IF c.what !~ '^materialized' THEN DROP VIEW IF EXISTS shown; END IF;
	DROP SEQUENCE IF EXISTS s CASCADE;
	IF EXISTS (SELECT FROM tandem.migrations WHERE name = 'other' AND phase = 'expand') THEN CALL tandem.abort('other', force => true); END IF;
	CALL tandem.abort('m', force => true);
	DROP TABLE t CASCADE;
	DROP TABLE IF EXISTS r;
	IF c.what ~ '^materialized' THEN DROP MATERIALIZED VIEW IF EXISTS shown; END IF;
	DROP FUNCTION IF EXISTS f;
	DROP TYPE IF EXISTS kept_rows;
	DROP DOMAIN IF EXISTS dom2, dom;
	COMMIT;
END $$;
DO $$
DECLARE
	c cases;
BEGIN
	FOR c IN SELECT * FROM cases ORDER BY number LOOP
		CALL try_case(c);
	END LOOP;
END $$;
-- none is other than expected, and all were asked
SELECT what, question, expected, found FROM results WHERE found IS DISTINCT FROM expected ORDER BY number, question;
SELECT count(DISTINCT r.what) = (SELECT count(*) FROM cases) AS all_cases, count(*) FILTER (WHERE c.since = 15) FROM results r JOIN cases c USING (number);
-- what keep_old leaves in the table gets no value from down any more
CREATE DOMAIN whole AS integer NOT NULL;
CREATE DOMAIN whole_or_0 AS integer NOT NULL DEFAULT 0;
CREATE TABLE kept (id integer PRIMARY KEY, a integer NOT NULL, b integer NOT NULL DEFAULT 0, c integer, d whole, e whole_or_0, f integer NOT NULL,
	g integer CONSTRAINT g_is_given CHECK (g IS NOT NULL) CHECK (g > 0)) PARTITION BY RANGE (id);
CREATE TABLE kept_1 PARTITION OF kept FOR VALUES FROM (0) TO (10);
CREATE TABLE kept_2 (e whole_or_0, f integer NOT NULL, id integer NOT NULL, a integer NOT NULL DEFAULT 3, b integer NOT NULL, c integer NOT NULL, d whole,
	g integer CONSTRAINT g_is_given CHECK (g IS NOT NULL) CONSTRAINT kept_g_check CHECK (g > 0));
ALTER TABLE kept ATTACH PARTITION kept_2 FOR VALUES FROM (10) TO (20);
INSERT INTO kept VALUES (1, 1, 1, 1, 1, 1, 1, 1), (11, 1, 1, 1, 1, 1, 1, 1);
SELECT tandem.create_migration('kept');
ALTER TABLE kept ADD a2 bigint, ADD b2 bigint, ADD c2 bigint, ADD d2 bigint, ADD e2 bigint, ADD f2 bigint, ADD g2 bigint;
SELECT tandem.sync_columns('kept', 'kept', '{a,b,c,d,e,g}', '{a2,b2,c2,d2,e2,g2}', '{a,b,c,d,e,g}', '{a2,b2,c2,d2,e2,g2}', keep_old => true);
-- without down the writers give it, as before
SELECT tandem.sync_column('kept', 'kept', 'f', 'f2', 'f', keep_old => true);
CALL tandem.migrate('kept');
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('kept');
CALL tandem.contract('kept');
-- the remedies
ALTER TABLE ending.kept ALTER COLUMN a DROP NOT NULL;
ALTER TABLE ending.kept ALTER COLUMN d SET DEFAULT 0;
ALTER TABLE ending.kept DROP CONSTRAINT g_is_given;
ALTER TABLE ending.kept_2 ALTER COLUMN b SET DEFAULT 0, ALTER COLUMN c DROP NOT NULL, ALTER COLUMN d SET DEFAULT 0;
SELECT part, object FROM tandem.preview_contract('kept');
CALL tandem.contract('kept');
INSERT INTO kept (id, a2, b2, c2, d2, e2, f) VALUES (2, 2, 2, 2, 2, 2, 2);
INSERT INTO kept_2 (id, a2, b2, c2, d2, e2, f) VALUES (12, 2, 2, 2, 2, 2, 2);
-- and what else it may break there: two rows with the same default, one that a CHECK or a foreign key refuses
CREATE TABLE defaults (id integer PRIMARY KEY, tenant integer, code integer NOT NULL DEFAULT 0 CONSTRAINT code_key UNIQUE,
	free integer CONSTRAINT free_key UNIQUE CONSTRAINT free_positive CHECK (free > 0), -- NULL passes all of it
	made integer DEFAULT (random() * 1000000000)::integer CONSTRAINT made_key UNIQUE,
	positive integer DEFAULT 0 CONSTRAINT positive_check CHECK (positive > 0) CONSTRAINT positive_or_zero CHECK (positive >= 0),
	given integer CONSTRAINT given_check CHECK (num_nulls(given) = 0), CONSTRAINT given_or_tenant CHECK (num_nulls(given, tenant) < 2),
	text text DEFAULT 'none' CONSTRAINT referred_text REFERENCES referred, other text CONSTRAINT referred_other REFERENCES referred,
	CONSTRAINT of_tenant UNIQUE (tenant, code), CONSTRAINT with_id UNIQUE (id, code), CONSTRAINT with_free UNIQUE (code, free), EXCLUDE USING btree (positive WITH =));
CREATE UNIQUE INDEX lower_other ON defaults (lower(other));
INSERT INTO referred VALUES ('a') ON CONFLICT DO NOTHING;
INSERT INTO defaults VALUES (1, 1, 1, 1, 1, 1, 1, 'a', 'a');
SELECT tandem.create_migration('defaults');
ALTER TABLE defaults ADD code2 bigint, ADD free2 bigint, ADD made2 bigint, ADD positive2 bigint, ADD given2 bigint, ADD text2 text, ADD other2 text;
SELECT tandem.sync_columns('defaults', 'defaults', '{code,free,made,positive,given,text,other}', '{code2,free2,made2,positive2,given2,text2,other2}',
	'{code,free,made,positive,given,text,other}', '{"coalesce(code2, 0)",free2,made2,positive2,given2,text2,other2}', keep_old => true);
CALL tandem.migrate('defaults');
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('defaults');
CALL tandem.contract('defaults');
ALTER TABLE ending.defaults DROP CONSTRAINT code_key;
ALTER TABLE ending.defaults DROP CONSTRAINT defaults_positive_excl;
ALTER TABLE ending.defaults DROP CONSTRAINT positive_check;
ALTER TABLE ending.defaults DROP CONSTRAINT given_check;
ALTER TABLE ending.defaults DROP CONSTRAINT referred_text;
ALTER TABLE ending.defaults DROP CONSTRAINT of_tenant;
DROP INDEX CONCURRENTLY ending.lower_other;
SELECT part, object FROM tandem.preview_contract('defaults');
CALL tandem.contract('defaults', accept => '{check constraints}');
INSERT INTO defaults (id, tenant, code2) VALUES (2, 1, 2), (3, 1, 3);
-- of a rule of several columns, each old one has what is computed from it in its place
CREATE TABLE several (id integer PRIMARY KEY, f text NOT NULL DEFAULT 'f' CONSTRAINT f_key UNIQUE, l text NOT NULL DEFAULT 'l' CONSTRAINT l_key UNIQUE);
INSERT INTO several VALUES (1, 'a', 'b');
COMMENT ON COLUMN several.f IS 'first';
COMMENT ON COLUMN several.l IS 'last';
GRANT SELECT (f, l) ON several TO regress_tandem_reader;
SELECT tandem.create_migration('several');
ALTER TABLE several ADD f2 text, ADD l2 text;
SELECT tandem.sync_columns('several', 'several', '{f,l}', '{f2,l2}', '{upper(f),upper(l)}', '{lower(f2),lower(l2)}');
ALTER TABLE several ALTER f2 SET DEFAULT 'F';
COMMENT ON COLUMN several.f2 IS 'first';
GRANT SELECT (f2) ON several TO regress_tandem_reader;
CREATE UNIQUE INDEX f2_key ON several (f2);
CALL tandem.migrate('several');
ALTER TABLE several ALTER f2 SET NOT NULL;
SELECT part, object, what_happens, remedy FROM tandem.preview_contract('several');
CALL tandem.contract('several');
ALTER EVENT TRIGGER tandem_guard_before DISABLE;
DROP EXTENSION pg_tandem CASCADE;
DROP SCHEMA ending CASCADE;
DROP ROLE regress_tandem_reader;
