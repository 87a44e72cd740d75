# The extension's schema: the extension makes it or refuses the one that is there, nobody else creates
# anything in it, and in a database without the extension a schema of that name is nothing to us.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "shared_preload_libraries = 'pg_tandem'\ntandem.launcher_interval = '1s'\n");

$node->safe_psql('postgres', 'CREATE ROLE mallory LOGIN');

# A database of mallory's, with a schema of that name in which everything is a trap.
$node->safe_psql('postgres', 'CREATE DATABASE trap OWNER mallory');
$node->safe_psql('trap', <<'SQL');
SET ROLE mallory;
CREATE SCHEMA tandem;
GRANT ALL ON SCHEMA tandem TO PUBLIC;
CREATE TABLE public.sprung (who name, what text);
GRANT INSERT ON public.sprung TO PUBLIC;
CREATE FUNCTION tandem.spring(what text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.sprung VALUES (current_user, what); RETURN 99; END $$;
CREATE FUNCTION tandem.worker_pids(int) RETURNS int[] LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.sprung VALUES (current_user, 'worker_pids'); RETURN NULL; END $$;
CREATE VIEW tandem.registry AS SELECT true AS one, 99 AS current, tandem.spring('registry') AS lowest, 0 AS contracting, now() AS current_since, now() AS lowest_since;
CREATE VIEW tandem.migration AS SELECT 1 AS id, 'm' AS name, 99 AS release, true AS registered, 'migrate' AS phase, true AS background, NULL::name AS paused_by, tandem.spring('migration')::text AS run_in;
CREATE VIEW tandem.release AS SELECT tandem.spring('release') AS release;
CREATE VIEW tandem.sync AS SELECT tandem.spring('sync') AS id;
CREATE TABLE public.t (id int, a int);
INSERT INTO public.t VALUES (1, 1);
SQL
# declared, undeclared, reading, writing, DDL: all that the fence, the guard and the registry look at
$node->safe_psql('trap', <<'SQL');
SET tandem.release = 41;
SELECT * FROM t;
BEGIN; UPDATE t SET a = 2; COMMIT;
ALTER TABLE t ADD b int;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER "~tandem_sync" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
INSERT INTO t VALUES (2);
DROP TRIGGER "~tandem_sync" ON t;
RESET tandem.release;
SET tandem.undeclared = 'refuse';
SET ROLE mallory;
UPDATE t SET a = 3;
SQL
# the launcher has been in every database since that was made
$node->restart;
wait_for_running($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND wait_event IS NOT NULL));
is($node->safe_psql('trap', 'SELECT * FROM sprung'), '', 'nothing of a schema of that name is read or executed');

# The extension does not take it.
my ($status, $out, $err) = $node->psql('trap', "\\set VERBOSITY verbose\nCREATE EXTENSION pg_tandem");
like($err, qr/ERROR:  42P06: schema "tandem" already exists/, 'CREATE EXTENSION refuses a schema that is there');
like($err, qr/HINT:  See what is in it, then run ALTER SCHEMA tandem RENAME TO/, 'with what to do');
is($node->safe_psql('trap', 'SELECT count(*) FROM pg_extension WHERE extname = \'pg_tandem\''), 0, 'and leaves nothing');
is($node->safe_psql('trap', "SELECT count(*) FROM pg_proc WHERE proname ~ '^tandem_script'"), 0, 'of its script either');

# What is there when the extension has come belongs to its owner alone, whatever the default privileges are.
$node->safe_psql('trap', 'ALTER SCHEMA tandem RENAME TO hers');
$node->safe_psql('trap', <<'SQL');
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO mallory WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO mallory;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO mallory;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO mallory;
SQL
my $session = $node->background_psql('trap', on_error_stop => 0);
is($session->query_safe('SET tandem.release = 1; SELECT count(*) FROM t'), 2, 'a session that knows the database without the extension');
$node->safe_psql('trap', 'ALTER DATABASE trap OWNER TO postgres');
$node->safe_psql('trap', 'CREATE EXTENSION pg_tandem');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->safe_psql('plain', 'CREATE EXTENSION pg_tandem');
my $privileges = <<'SQL';
SELECT format('%s %s', oid::regnamespace, nspacl) FROM pg_namespace WHERE nspname = 'tandem'
UNION ALL SELECT format('%s %s', oid::regclass, relacl) FROM pg_class WHERE relnamespace = 'tandem'::regnamespace AND relkind IN ('r', 'v', 'S')
UNION ALL SELECT format('%s %s', oid::regprocedure, replace(proacl::text, '=X/postgres,', '')) FROM pg_proc WHERE pronamespace = 'tandem'::regnamespace AND proacl::text !~ '=X/postgres'
ORDER BY 1
SQL
unlike($node->safe_psql('trap', $privileges), qr/mallory/, 'default privileges give nobody a part of it');
is($node->safe_psql('trap', "SELECT nspacl FROM pg_namespace WHERE nspname = 'tandem'"),
	$node->safe_psql('plain', "SELECT nspacl FROM pg_namespace WHERE nspname = 'tandem'"), 'nor a place in the schema');
foreach my $sql (
	'CREATE FUNCTION tandem.add_column(text, text, text, text) RETURNS void LANGUAGE sql AS $$ $$',
	'CREATE TABLE tandem.mine ()', 'CREATE VIEW tandem.mine AS SELECT 1', 'CREATE TYPE tandem.mine AS ENUM ()',
	q(INSERT INTO tandem.migration (name, created_by) VALUES ('m', ROW(10, 'postgres', '1'))), 'SELECT nextval(\'tandem.event_id_seq\')',
	'DELETE FROM tandem.event', 'SELECT * FROM tandem.step', 'SELECT tandem.switch_release(1)')
{
	($status, $out, $err) = $node->psql('trap', "SET ROLE mallory; $sql");
	like($err, qr/permission denied/, "refused: $sql");
}
is($node->safe_psql('trap', "SELECT count(*) FROM pg_depend WHERE classid = 'pg_namespace'::regclass AND objid = 'tandem'::regnamespace
	AND deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_tandem')"), 1, 'the schema is a part of the extension');

# A session learns that the extension has come, and that it has gone; a transaction that is rolled back included.
$node->safe_psql('trap', 'SELECT tandem.register_release(7); SELECT tandem.switch_release(7)');
$session->query('SET tandem.release = 99; SELECT count(*) FROM t');
like($session->{stderr}, qr/release 99 is not served yet/, 'the fence is there as soon as the extension is');
$session->{stderr} = '';
$session->query_safe('RESET tandem.release; BEGIN; DROP EXTENSION pg_tandem; CREATE SCHEMA tandem; SET LOCAL tandem.release = 99; SELECT 1; ROLLBACK');
$session->query('SET tandem.release = 99; SELECT count(*) FROM t');
like($session->{stderr}, qr/release 99 is not served yet/, 'and after a rollback still');
$session->{stderr} = '';
($status, $out, $err) = $node->psql('trap', 'ALTER EXTENSION pg_tandem SET SCHEMA public');
like($err, qr/does not support SET SCHEMA/, 'the extension does not move');
($status, $out, $err) = $node->psql('trap', 'DROP SCHEMA tandem CASCADE');
like($err, qr/cannot drop schema tandem because extension pg_tandem requires it/, 'nor goes its schema alone');
# what the server lets a superuser do to it, and what stops every write of a synced table from then on
$node->safe_psql('trap', <<'SQL');
CREATE TABLE synced (a int, b int);
SELECT tandem.create_migration('synced');
SELECT tandem.sync_column('synced', 'synced', 'a', 'b', 'a');
CREATE TABLE others (i int);
SQL
foreach my $sql (
	'ALTER SCHEMA tandem RENAME TO other',
	'ALTER TABLE tandem.migration RENAME TO other',
	'ALTER TABLE tandem.sync RENAME COLUMN up TO other',
	'ALTER VIEW tandem.progress SET SCHEMA public',
	'ALTER FUNCTION tandem.sync_row() RENAME TO other',
	'ALTER FUNCTION tandem.sync_row() SET SCHEMA public',
	'ALTER TYPE tandem.role_reference RENAME TO other',
	'ALTER EXTENSION pg_tandem DROP SCHEMA tandem',
	'ALTER EXTENSION pg_tandem DROP TABLE tandem.sync',
	'ALTER EXTENSION pg_tandem DROP FUNCTION tandem.sync_row()')
{
	($status, $out, $err) = $node->psql('trap', $sql);
	like($err, qr/ERROR:  ALTER \w+ would break extension pg_tandem\n.*\nHINT:  Leave it as it is/, "refused: $sql");
}
is($node->safe_psql('trap', 'INSERT INTO synced VALUES (1); SELECT b FROM synced'), 1, 'and tables stay synced');
# what was moved in would be dropped with the extension
foreach my $sql ('ALTER TABLE others SET SCHEMA tandem', 'ALTER TABLE synced SET SCHEMA tandem', 'ALTER FUNCTION public.f() SET SCHEMA tandem')
{
	($status, $out, $err) = $node->psql('trap', $sql);
	like($err, qr/ERROR:  schema tandem is extension pg_tandem's own\nDETAIL:  .*\nHINT:  SET SCHEMA to another one/, "refused: $sql");
}
# and so would what was created there, as is only let happen to a superuser
foreach my $sql ('CREATE TABLE tandem.mine (i int)', 'SET search_path = tandem, public; CREATE TABLE mine (i serial)', 'CREATE VIEW tandem.mine AS SELECT 1 AS one',
	'CREATE MATERIALIZED VIEW tandem.mine AS SELECT 1 AS one', 'CREATE TABLE tandem.mine AS SELECT 1 AS one', 'SELECT 1 AS one INTO tandem.mine',
	'CREATE SEQUENCE tandem.mine', 'CREATE TYPE tandem.mine AS ENUM ()', 'CREATE TYPE tandem.mine AS (i int)', 'CREATE DOMAIN tandem.mine AS int',
	'CREATE FUNCTION tandem.mine() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$', 'CREATE AGGREGATE tandem.mine(int) (SFUNC = int4pl, STYPE = int)',
	'CREATE OPERATOR tandem.+! (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)', 'CREATE STATISTICS tandem.mine ON a, b FROM synced')
{
	($status, $out, $err) = $node->psql('trap', $sql);
	like($err, qr/ERROR:  schema tandem is extension pg_tandem's own\nDETAIL:  What is created in it is dropped with the extension\.\nHINT:  Create it in another one/, "refused: $sql");
}
$node->safe_psql('trap', 'CREATE INDEX event_done_by ON tandem.event (done_at); DROP INDEX tandem.event_done_by');
$node->safe_psql('trap', <<'SQL');
CALL tandem.abort('synced');
ALTER EXTENSION pg_tandem ADD TABLE others;
ALTER EXTENSION pg_tandem DROP TABLE others;
SQL
$node->safe_psql('trap', 'DROP EXTENSION pg_tandem');
is($node->safe_psql('trap', q(SELECT to_regnamespace('tandem') IS NULL)), 't', 'DROP EXTENSION takes the schema along');
is($session->query_safe('SET tandem.release = 99; SELECT count(*) FROM t'), 2, 'the session learns that');
$node->safe_psql('trap', 'ALTER SCHEMA hers RENAME TO tandem');
is($session->query_safe('SELECT count(*) FROM t'), 2, 'and does not take another schema for it');
is($node->safe_psql('trap', 'SELECT * FROM sprung'), '', 'in which nothing has been read or executed');
$node->safe_psql('trap', 'ALTER SCHEMA tandem RENAME TO hers; CREATE EXTENSION pg_tandem; SELECT tandem.register_release(7); SELECT tandem.switch_release(7)');
$session->query('SELECT count(*) FROM t');
like($session->{stderr}, qr/release 99 is not served yet/, 'it finds the extension when it is made again');
$session->quit;

done_testing();
