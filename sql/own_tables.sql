-- Tables of the extension itself, and logical replication.  What arrives in them: test/t/all_tables.pl.
CREATE DATABASE own_tables;
\c own_tables
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION pg_tandem;

-- every one of them, whichever comes later, passes over the rows that replication brings (R: not called for
-- our own writes), or takes what another region says, and is never truncated (A)
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'tandem'::regnamespace AND c.relkind IN ('r', 'p', 'f', 'm')
	AND (SELECT string_agg(format('%s %s %s', t.tgname, t.tgenabled, t.tgtype), ', ' ORDER BY t.tgname)
		FROM pg_trigger t WHERE t.tgrelid = c.oid AND (t.tgfoid = 'tandem.ignore_replicated'::regproc OR t.tgfoid = 'tandem.region_arrives'::regproc AND c.relname = 'region'))
	IS DISTINCT FROM 'tandem_ignore_replicated R 31, tandem_refuse_truncate A 34';
SELECT count(*) > 0 AS tables FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'tandem'::regnamespace AND t.tgname = 'tandem_ignore_replicated';
-- a publication FOR ALL TABLES stops no write of ours: each has an identity
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'tandem'::regnamespace AND c.relkind = 'r' AND c.relreplident <> 'f'
	AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND c.relreplident = 'd');
-- nor are rows of two tables held together by triggers of the server, which a restore would disturb
SELECT conname FROM pg_constraint WHERE connamespace = 'tandem'::regnamespace AND contype = 'f';

-- whatever is no apply worker may write, a session as which a restore loads its data too
SET session_replication_role = replica;
SELECT tandem.create_migration('restored');
INSERT INTO tandem.dependency (name, version) VALUES ('theirs', 1);
UPDATE tandem.dependency SET version = 2;
SELECT name, version FROM tandem.dependency;
DELETE FROM tandem.dependency;
SELECT name FROM tandem.migrations;
SELECT count(*) FROM tandem.dependency;
TRUNCATE tandem.event;
RESET session_replication_role;
TRUNCATE tandem.migration;
SELECT count(*) > 0 AS kept FROM tandem.event;
CREATE TABLE public.mine (id int);
CREATE TRIGGER wrong AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION tandem.ignore_replicated();
INSERT INTO mine VALUES (1);
SELECT tandem.ignore_replicated();

-- a publication that has them is reported, however it comes to have them
CREATE PUBLICATION others FOR TABLE mine;
SELECT tandem.create_migration('quiet');
CREATE PUBLICATION "all" FOR ALL TABLES;
SELECT tandem.create_migration('all');
CREATE PUBLICATION by_schema FOR TABLES IN SCHEMA tandem;
CREATE PUBLICATION by_name FOR TABLE mine, tandem.step;
SELECT tandem.create_migration('three');
DROP PUBLICATION "all", by_schema, by_name;
SELECT tandem.create_migration('quiet again');

-- nobody else makes columns of our types: they would be in the way of an update, and of DROP EXTENSION.  Of the row
-- types pg_dump would print a warning each.
CREATE ROLE tandem_types;
GRANT CREATE ON SCHEMA public TO tandem_types;
SET ROLE tandem_types;
CREATE TABLE theirs (r tandem.role_reference);
CREATE TABLE theirs (r tandem.role_reference[]);
SELECT count(*) > 0 AS readable FROM tandem.migrations WHERE created_by IS NOT NULL;
RESET ROLE;
SELECT t.typname FROM pg_type t
WHERE t.typnamespace = 'tandem'::regnamespace AND t.typelem = 0
	AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c') AND EXISTS (
	SELECT FROM aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a WHERE a.grantee <> t.typowner);
DROP OWNED BY tandem_types;
DROP ROLE tandem_types;
\c postgres
DROP DATABASE own_tables;
