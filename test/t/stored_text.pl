# Stored text in workers and in restored databases: as whom it is read and run where the owner of the
# table can connect, cannot log in, or may not connect.  A text that tries everything to become more
# than the owner stays what it is: in up, an index, a CHECK, the functions of event triggers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');

sub ask
{
	my ($query, $database) = @_;

	return $node->safe_psql($database // 'postgres', $query);
}

# What was seen since the last call: as whom, and whether it was more than that role.
sub seen
{
	my $seen = ask('SELECT DISTINCT role, more FROM spy.seen ORDER BY 1, 2');

	ask('TRUNCATE spy.seen');
	return $seen;
}

my $spy = <<'SQL';
CREATE SCHEMA spy AUTHORIZATION ex;
GRANT USAGE ON SCHEMA spy TO PUBLIC;
SET ROLE ex;
CREATE UNLOGGED TABLE spy.seen (role name, more boolean);
GRANT ALL ON spy.seen TO PUBLIC;
CREATE FUNCTION spy.try(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE what;
	RETURN current_user <> 'ex';
EXCEPTION WHEN OTHERS THEN
	RETURN false;
END $$;
CREATE FUNCTION spy.look() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO spy.seen SELECT current_user,
		spy.try('RESET ROLE') OR spy.try('SET ROLE NONE') OR spy.try('RESET SESSION AUTHORIZATION')
		OR spy.try('SET SESSION AUTHORIZATION DEFAULT') OR spy.try('ALTER ROLE ex SUPERUSER');
	RETURN true;
END $$;
CREATE DOMAIN spy.d AS integer CHECK (spy.look());
CREATE FUNCTION spy.pass(spy.d[], integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $2; END';
RESET ROLE;
SQL

ask('CREATE ROLE ex LOGIN; CREATE ROLE helper LOGIN IN ROLE ex');
ask($spy);
ask(<<'SQL');
-- an event trigger whose function calls what the owner has made, in workers
CREATE FUNCTION audit() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF current_user = 'ex' AND current_setting('application_name') = 'pg_tandem' THEN
		PERFORM spy.look();
	END IF;
END $$;
CREATE FUNCTION record() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.recorded SELECT command_tag, object_identity FROM pg_event_trigger_ddl_commands();
END $$;
CREATE TABLE recorded (tag text, object text);
GRANT INSERT ON recorded TO PUBLIC;
CREATE EVENT TRIGGER audit ON ddl_command_start WHEN TAG IN ('CREATE INDEX', 'ALTER TABLE') EXECUTE FUNCTION audit();
CREATE EVENT TRIGGER audit_drop ON sql_drop EXECUTE FUNCTION audit();
CREATE EVENT TRIGGER record ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION record();
SQL

# A migration of ex, whose every text looks.  Others have begun its index: one partition has an invalid
# one, which is to be dropped, the other one that is attached already and is to be built again.
sub expand
{
	my ($name) = @_;

	ask(<<"SQL");
SET SESSION AUTHORIZATION ex;
SET search_path = spy;
CREATE TABLE $name (id integer PRIMARY KEY, a integer) PARTITION BY RANGE (id);
CREATE TABLE ${name}_1 PARTITION OF $name FOR VALUES FROM (0) TO (50);
CREATE TABLE ${name}_2 PARTITION OF $name DEFAULT;
INSERT INTO $name SELECT i, i FROM generate_series(1, 100) i;
SELECT tandem.create_migration('$name');
SELECT tandem.add_column('$name', '$name', 'b', 'integer');
SELECT tandem.sync_column('$name', '$name', 'a', 'b', \$\$pass('{1}'::d[], a)\$\$, \$\$pass('{2}'::d[], b)\$\$);
SELECT tandem.add_index('$name', \$\$CREATE INDEX ${name}_b ON $name (pass('{3}'::d[], b)) WHERE pass('{4}'::d[], b) > 0\$\$);
SELECT tandem.add_constraint('$name', '$name', 'checked', \$\$CHECK (pass('{5}'::d[], b) > 0 AND look())\$\$);
SELECT tandem.add_constraint('$name', '$name', '${name}_key', 'UNIQUE (id, b)');
SQL
	my $index = "(pass('{3}'::d[], b)) WHERE pass('{4}'::d[], b) > 0";
	ask(<<"SQL");
SET SESSION AUTHORIZATION ex;
SET search_path = spy;
CREATE INDEX ${name}_b_${name}_1 ON ${name}_1 $index;
CREATE INDEX ${name}_b ON ONLY $name $index;
CREATE INDEX ${name}_b_${name}_2 ON ${name}_2 $index;
ALTER INDEX ${name}_b ATTACH PARTITION ${name}_b_${name}_2;
RESET SESSION AUTHORIZATION;
UPDATE pg_index SET indisvalid = false WHERE indexrelid IN ('${name}_b'::regclass, '${name}_b_${name}_1'::regclass, '${name}_b_${name}_2'::regclass);
SQL
	seen();
	ask('TRUNCATE recorded');
	return;
}

my $number = 0;

foreach my $owner (
	[ 'an owner that can log in', 'ALTER ROLE ex LOGIN' ],
	[ 'an owner that cannot log in', 'ALTER ROLE ex NOLOGIN' ],
	[ 'an owner that may not connect', 'ALTER ROLE ex LOGIN; REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; GRANT CONNECT ON DATABASE postgres TO helper' ])
{
	my ($what, $make) = @$owner;

	ask($make);
	foreach my $caller ([ 'a superuser', 'SELECT 1' ], [ 'a member', 'SET SESSION AUTHORIZATION helper' ],
		[ 'a superuser that has taken the role', 'SET ROLE ex' ], [ 'the owner', 'SET SESSION AUTHORIZATION ex' ])
	{
		my ($who, $become) = @$caller;
		my $name = 'm' . ++$number;
		my $how = "$what, called by $who";

		expand($name);
		# with workers in the background every other time
		my $background = $number % 2 ? 'true' : 'false';
		ask("$become; CALL tandem.migrate('$name', background => $background, workers => 2)");
		wait_for_running($node, "SELECT running_pid IS NULL AND NOT background FROM tandem.migrations WHERE name = '$name'");
		is(ask("SELECT phase, error FROM tandem.migrations WHERE name = '$name'"), 'contract|', "$how: migrate comes to its end");
		is(seen(), 'ex|f', "$how: each text as the owner, and no more than that");
		is(ask("SELECT count(*) FROM pg_index WHERE indisvalid AND indrelid IN ('spy.${name}_1'::regclass, 'spy.${name}_2'::regclass)"),
			6, "$how: the indexes are there");
		is(ask("SELECT count(*) FROM recorded WHERE object = 'spy.${name}_b_${name}_1'"), 1, "$how: an event trigger was told of it");
		ask("$become; CALL tandem.contract('$name')");
		unlike(seen(), qr/\|t/, "$how: contract");
	}
}
is(ask(q(SELECT rolsuper FROM pg_roles WHERE rolname = 'ex')), 'f', 'the owner is no superuser');
ask('GRANT CONNECT ON DATABASE postgres TO PUBLIC; ALTER ROLE ex LOGIN');

# In a session of the owner's own there is nothing to get at: DDL is plain DDL there, so that the event
# triggers of others may do whatever they may in the owner's own ALTER TABLE.
ask(<<'SQL');
CREATE FUNCTION scratch() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF session_user = 'ex' AND current_setting('application_name') <> 'pg_tandem' THEN
		CREATE TEMP TABLE IF NOT EXISTS scratch ();
		INSERT INTO public.recorded VALUES ('scratch');
	END IF;
END $$;
SQL
expand('own_session');
ask(q(CREATE EVENT TRIGGER scratch ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION scratch()));
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-U', 'ex', '-d', $node->connstr('postgres'), '-c', q(CALL tandem.migrate('own_session')) ],
	'migrate in a session of the owner');
ask('DROP EVENT TRIGGER scratch');
is(ask(q(SELECT count(*) > 0 FROM recorded WHERE tag = 'scratch')), 't', 'event triggers may do what they may there');
seen();

# A dump restored by a superuser: the rights that the owner needs are granted at its end.
ask('CREATE DATABASE before');
ask('CREATE EXTENSION pg_tandem', 'before');
ask($spy, 'before');
ask('CREATE SCHEMA util; CREATE FUNCTION util.up(integer) RETURNS integer IMMUTABLE LANGUAGE sql RETURN $1; GRANT USAGE ON SCHEMA util TO ex', 'before');
ask(q(SET SESSION AUTHORIZATION ex; SET search_path = spy; CREATE TABLE r (id integer PRIMARY KEY, a integer, b integer); INSERT INTO r VALUES (1, 1);
	SELECT tandem.create_migration('r'); SELECT tandem.sync_column('r', 'r', 'a', 'b', $$util.up(pass('{1}'::d[], a))$$); TRUNCATE seen), 'before');
my $file = "${PostgreSQL::Test::Utils::tmp_check}/stored_text.dump";
$node->command_ok([ 'pg_dump', '-Fc', '-f', $file, '-d', $node->connstr('before') ], 'dump');
ask('CREATE DATABASE again');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('again'), $file ], 'restore, without an error');
is(ask('SELECT DISTINCT role, more FROM spy.seen', 'again'), '', 'nothing that a rule calls is run at the restore');
my $uses = q(SELECT count(*) FROM pg_depend d JOIN pg_trigger t ON t.oid = d.objid AND d.classid = 'pg_trigger'::regclass
	WHERE t.tgrelid = 'spy.r'::regclass AND t.tgname = '~tandem_sync' AND d.refobjid IN ('util.up(integer)'::regprocedure, 'spy.pass(spy.d[], integer)'::regprocedure));
is(ask($uses, 'again'), 2, 'and what they use is noted, once the owner has the rights');
my ($status, $out, $err) = $node->psql('again', 'DROP FUNCTION util.up(integer)');
like($err, qr/cannot drop function util.up\(integer\) because other objects depend on it/, 'so it is not dropped');
ask('GRANT USAGE ON SCHEMA util TO PUBLIC', 'again');
is(ask($uses, 'again'), 2, 'noted once, after another GRANT too');
ask('TRUNCATE spy.seen', 'again');
ask('INSERT INTO spy.r VALUES (2, 2)', 'again');
is(ask('SELECT DISTINCT role, more FROM spy.seen', 'again'), 'ex|f', 'a write reads them as the owner');
ask(q(CALL tandem.migrate('r')), 'again');
is(ask('SELECT DISTINCT role, more FROM spy.seen', 'again'), 'ex|f', 'migrate too');

# A partition that goes, or changes hands, while its index waits to be built.
my $wait = q(CREATE EVENT TRIGGER wait ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION wait());

sub wait_behind_writer
{
	my ($name, $meanwhile) = @_;

	expand($name);
	ask("DROP INDEX spy.${name}_b, spy.${name}_b_${name}_1");
	ask($wait);
	my $writer = $node->background_psql('postgres');
	# once the index of the table above is made: nothing else locks the partition then
	$writer->query_safe('SELECT pg_advisory_lock(1)');
	my $migrate = start_psql($node, 'postgres', "CALL tandem.migrate('$name')");
	wait_for_running($node, q(SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted));
	$writer->query_safe("BEGIN; LOCK TABLE spy.${name}_1 IN SHARE UPDATE EXCLUSIVE MODE; SELECT pg_advisory_unlock(1)");
	wait_for_running($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ '^CREATE INDEX CONCURRENTLY' AND wait_event_type = 'Lock'));
	$writer->query_safe($meanwhile);
	$writer->query_safe('COMMIT');
	$writer->quit;
	ask('DROP EVENT TRIGGER wait');
	ok(!finish($migrate), "$name: migrate ends with an error");
	is(seen(), 'ex|f', "$name: no text as anybody else");
	return $migrate->{err};
}

ask(<<'SQL');
CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('application_name') <> 'pg_tandem' THEN
		PERFORM pg_advisory_xact_lock(1);
	END IF;
END $$;
SQL
like(wait_behind_writer('dropped', 'DROP TABLE spy.dropped_1'), qr/ERROR:  table with OID \d+ was dropped meanwhile\nHINT:  Call it again/, 'a table that was dropped');
like(wait_behind_writer('given', 'ALTER TABLE spy.given_1 OWNER TO postgres'),
	qr/ERROR:  partition "given_1" is not owned by the owner of its partitioned table\nDETAIL:  .*\nHINT:  Run ALTER TABLE spy.given_1 OWNER TO ex;/, 'a partition that was given away');
ask('ALTER TABLE spy.given_1 OWNER TO ex');
ask('CREATE ROLE heir; GRANT ALL ON SCHEMA spy TO heir');
like(wait_behind_writer('handed', join(';', map { "ALTER TABLE spy.$_ OWNER TO heir" } qw(handed handed_1 handed_2))),
	qr/ERROR:  table "handed_1" has another owner now\nHINT:  /, 'a table that has changed hands, with its partitions');
foreach my $name ('dropped', 'given', 'handed')
{
	ask("CALL tandem.migrate('$name')");
	is(ask("SELECT phase, error FROM tandem.migrations WHERE name = '$name'"), 'contract|', "$name: goes on");
}
$node->stop;
done_testing();
