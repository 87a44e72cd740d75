# What a run in the background is allowed while roles and owners change, how many workers one role has, what
# others are shown of it, and that a restore into another cluster believes no OID.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => <<'CONF');
shared_preload_libraries = 'pg_tandem'
tandem.launcher_interval = 1s
max_worker_processes = 12
CONF

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# A table of app_owner and its migration, created by creator.
sub expand
{
	my ($name, $creator) = @_;

	ask(<<"SQL");
SET ROLE app_owner;
CREATE TABLE $name (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 150));
INSERT INTO $name SELECT i, i FROM generate_series(1, 6000) i;
SET ROLE $creator;
SELECT tandem.create_migration('$name');
SELECT tandem.add_column('$name', '$name', 'cents', 'bigint');
SELECT tandem.sync_column('$name', '$name', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '100');
SELECT tandem.configure('$name', 'tandem.batch_target', '5ms');
SQL
	return;
}

sub start
{
	my ($name, $workers) = @_;

	$workers ||= 1;
	return $node->psql('postgres', "SET SESSION AUTHORIZATION deployer; CALL tandem.migrate('$name', background => true, workers => $workers)");
}

# Nobody runs it, for the reason that is an SQL pattern.
sub is_stopped
{
	my ($name, $pattern, $what) = @_;

	wait_for_running($node, "SELECT running_pid IS NULL AND error LIKE '$pattern' FROM tandem.migrations WHERE name = '$name'");
	pass($what);
	isnt(ask("SELECT hint FROM tandem.migrations WHERE name = '$name'"), '', "$what: with what to do");
	is(ask("SELECT state FROM tandem.status WHERE migration = '$name'"), 'failed', "$what: and status says so");
	return;
}

ask(<<'SQL');
CREATE ROLE app_owner;
CREATE ROLE deployer LOGIN IN ROLE app_owner;
CREATE ROLE stranger LOGIN;
CREATE ROLE mallory LOGIN;
GRANT CREATE ON SCHEMA public TO app_owner, mallory;
SQL

# A membership that is revoked ends the run, and it is not resumed; granted again it can be.
expand('revoked', 'deployer');
is((start('revoked'))[0], 0, 'a run in the background begins');
ask('REVOKE app_owner FROM deployer');
is_stopped('revoked', 'permission denied for migration "revoked"', 'a membership that is revoked ends it');
is(ask(q(SELECT background FROM tandem.migrations WHERE name = 'revoked')), 'f', 'and it is no longer wanted');
ask('GRANT app_owner TO deployer');
is((start('revoked'))[0], 0, 'once it is granted again the run goes on');

# The same after a restart: rights are asked for before the launcher starts it again.
$node->stop('immediate');
$node->append_conf('postgresql.conf', 'tandem.launcher_interval = 86400s');
$node->start;
wait_for_running($node, q(SELECT running_pid IS NOT NULL FROM tandem.migrations WHERE name = 'revoked'));
$node->stop('immediate');
# nothing is resumed while a role is changed
$node->append_conf('postgresql.conf', q(shared_preload_libraries = ''));
$node->start;
ask('REVOKE app_owner FROM deployer');
$node->append_conf('postgresql.conf', qq(shared_preload_libraries = 'pg_tandem'\ntandem.launcher_interval = 1s));
$node->restart;
is_stopped('revoked', 'role "deployer", which runs migration "revoked" in the background, may no longer act on it',
	'after a restart a role that has lost its membership runs nothing');
ask('GRANT app_owner TO deployer');
wait_for_running($node, q(SELECT running_pid IS NOT NULL AND error IS NULL FROM tandem.migrations WHERE name = 'revoked'));
pass('with its membership back it is resumed');

# A role that is gone, and one that has taken its name.
ask(q(SELECT tandem.cancel('revoked')));
ask(<<'SQL');
UPDATE tandem.migration SET background = true, run_as.role = '4000000000' WHERE name = 'revoked';
SQL
is_stopped('revoked', 'role "deployer", which runs migration "revoked" in the background, is gone', 'a role that is gone runs nothing');
ask(q(UPDATE tandem.migration SET run_as = tandem.refer_to_role('mallory'::regrole) WHERE name = 'revoked'));
is_stopped('revoked', 'role "mallory", % may no longer act on it', 'a role without any right runs nothing');
ask(q(CALL tandem.abort('revoked')));

# One role does not have all workers: 12, of which the launcher is one.
ask(<<'SQL');
SET ROLE mallory;
SELECT format('CREATE TABLE m%s (id int PRIMARY KEY, price int, filler text DEFAULT repeat(%L, 150))', i, 'x') FROM generate_series(1, 12) i \gexec
SELECT format('INSERT INTO m%s SELECT i, i FROM generate_series(1, 6000) i', i) FROM generate_series(1, 12) i \gexec
SELECT tandem.create_migration('m' || i) FROM generate_series(1, 12) i;
SELECT tandem.add_column('m' || i, 'm' || i, 'cents', 'bigint') FROM generate_series(1, 12) i;
SELECT tandem.sync_column('m' || i, 'm' || i, 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int') FROM generate_series(1, 12) i;
SELECT tandem.configure('m' || i, s, v) FROM generate_series(1, 12) i,
	(VALUES ('tandem.max_rows_per_second', '100'), ('tandem.batch_target', '5ms')) c (s, v);
SQL
my @started = grep { ($node->psql('postgres', "SET SESSION AUTHORIZATION mallory; CALL tandem.migrate('m$_', background => true, workers => 1)"))[0] == 0 } 1 .. 12;
is(scalar @started, 5, 'a role has half of the workers, one of them for statements');
my ($status, $out, $err) = $node->psql('postgres', q(SET SESSION AUTHORIZATION mallory; CALL tandem.migrate('m12', background => true)));
like($err, qr/ERROR:  no background worker is free\nHINT:  .*tandem.max_workers_per_role/, 'what it asks for beyond that is refused, with the reason');
my $of_mallory = q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND usename = 'mallory');
is(ask($of_mallory), 5, 'and so many are there');
expand('others', 'deployer');
is((start('others', 3))[0], 0, q(another role's run begins beside them));
wait_for_running($node, q(SELECT cardinality(workers) = 3 FROM tandem.progress WHERE migration = 'others' AND step = 'backfill'));
pass('with the workers that it asked for');
# a run of more workers than a role may have goes on with fewer
ask(qq(SELECT tandem.cancel('m$_'))) foreach @started;
ask(q(SET SESSION AUTHORIZATION mallory; CALL tandem.migrate('m1', background => true, workers => 12)));
wait_for_running($node, q(SELECT cardinality(workers) = 5 FROM tandem.progress WHERE migration = 'm1' AND step = 'backfill'));
is(ask($of_mallory), 5, 'many workers of one migration are not more either');
# a worker that ends, however it does, gives back what it had
ask(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND usename = 'mallory'));
# nor is it begun again meanwhile
ask(q(SELECT tandem.cancel('m1')));
wait_for_running($node, qq(SELECT ($of_mallory) = 0));
ask(q(SELECT tandem.configure('m' || i, 'tandem.max_rows_per_second', NULL) FROM generate_series(1, 12) i));
foreach my $i (2, 3)
{
	ask(qq(SET SESSION AUTHORIZATION mallory; CALL tandem.migrate('m$i', background => true, workers => 2)));
	is_ended_well($node, "m$i", "m$i, after those were terminated");
}
ask(q(SELECT tandem.cancel('others')));
# so does a setting
$node->append_conf('postgresql.conf', 'tandem.max_workers_per_role = 2');
$node->reload;
wait_for_running($node, q(SELECT current_setting('tandem.max_workers_per_role') = '2'));
is((start('others'))[0], 0, 'a role that may have two workers runs one migration');
expand('second', 'deployer');
isnt((start('second'))[0], 0, 'and no second one');
ask(q(SELECT tandem.configure('others', 'tandem.max_rows_per_second', NULL)));
is_ended_well($node, 'others', 'with a worker for its statements');
$node->append_conf('postgresql.conf', 'tandem.max_workers_per_role = 0');
$node->reload;

# What is waited for, and who is in the way: to who may read the table, and what he may see of the sessions.
ask(<<'SQL');
SET ROLE app_owner;
CREATE FUNCTION holds() RETURNS text LANGUAGE sql AS $$ SELECT 'a secret reason'::text $$;
SQL
ask(q(SELECT tandem.configure('second', 'tandem.hold_function', 'public.holds')));
is((start('second'))[0], 0, 'a run begins that is held');
my $waits = q(SELECT rows_filled, waiting FROM tandem.progress WHERE migration = 'second' AND step = 'backfill');
wait_for_running($node, q(SELECT bool_or(waiting LIKE 'a secret reason%') FROM tandem.progress WHERE migration = 'second'));
like(ask("SET ROLE deployer; $waits"), qr/^0\|a secret reason/, 'the owner is shown why it waits');
is(ask("SET ROLE stranger; $waits"), '0|', 'a stranger is not');
ask(q(SELECT tandem.configure('second', 'tandem.hold_function', NULL)));

my $writer = $node->background_psql('postgres', on_error_stop => 1);
$writer->query_safe(q(SET application_name = 'secret_app'));
$writer->query_safe('BEGIN; UPDATE second SET price = 7 WHERE id = 6000');
ask(q(SELECT tandem.configure('second', 'tandem.max_rows_per_second', NULL)));
# nothing but that row is left to wait for: these very sessions are clients at work, too
ask(q(SELECT tandem.configure('second', 'tandem.nice_ratio', '0')));
my $blockers = q(SELECT regexp_replace(blockers, '\d+', 'N', 'g') FROM tandem.progress WHERE migration = 'second' AND blockers IS NOT NULL);
wait_for_running($node, q(SELECT bool_or(blockers LIKE 'rows locked by pid %' AND total - done <= 1) FROM tandem.progress WHERE migration = 'second'));
like(ask($blockers), qr/^rows locked by pid N \(user \w+, application secret_app, idle in transaction, transaction open for /, 'a superuser is shown the session in the way');
like(ask("SET ROLE deployer; $blockers"), qr/^rows locked by pid N \(user \w+\)$/, 'the owner of the table what it may see of it');
is(ask("SET ROLE stranger; $blockers"), '', 'a stranger nothing');
like(ask("GRANT pg_read_all_stats TO deployer; SET ROLE deployer; $blockers"), qr/application secret_app/, 'a role that reads all statistics all of it');
$writer->query_safe('COMMIT');
$writer->quit;
is_ended_well($node, 'second', 'when that session has ended');

# The list of sessions is what pg_stat_activity shows.
is(ask(q(SET ROLE stranger; SELECT count(state), count(xact_start), count(client_addr) FROM tandem.sessions)), '0|0|0', 'a stranger sees nothing of the sessions of others');
cmp_ok(ask(q(SELECT count(state) FROM tandem.sessions)), '>', 0, 'a superuser does');
my $other = $node->background_psql('postgres', on_error_stop => 1);
my $pid = $other->query_safe('SELECT pg_backend_pid()');
is(ask(qq(SET ROLE stranger; SELECT count(*) FROM tandem.sessions WHERE pid = $pid)), '1', 'but that they are there');
$other->quit;

# What an error tells who calls: no more than he may see of the sessions in the way.
$writer = $node->background_psql('postgres', on_error_stop => 1);
$writer->query_safe(q(SET application_name = 'secret_app'));
$writer->query_safe('BEGIN; UPDATE second SET price = 8 WHERE id = 1');
($status, $out, $err) = $node->psql('postgres', <<'SQL');
REVOKE pg_read_all_stats FROM deployer;
SET SESSION AUTHORIZATION deployer;
SET tandem.lock_retry_time = 0;
CALL tandem.contract('second');
SQL
like($err, qr/ERROR:  could not lock table "second" .*\nDETAIL:  Blocked by: pid \d+ \(user \w+\)\.\n/, 'an error names the session in the way');
unlike($err, qr/secret_app/, 'and does not tell more');
like(($node->psql('postgres', q(SET tandem.lock_retry_time = 0; CALL tandem.contract('second'))))[2], qr/application secret_app, idle in transaction/, 'a superuser is told');
$writer->query_safe('ROLLBACK');
$writer->quit;

# A restore into another cluster, where the OID of the creator is a stranger's.
ask(q(SET ROLE deployer; SELECT tandem.create_migration('restored'); SELECT tandem.configure('restored', 'tandem.vacuum_every', '0')));
ask(q(SELECT tandem.configure('restored', 'tandem.hold_function', 'public.holds')));
my $oid = ask(q(SELECT 'deployer'::regrole::oid));
my $dump = "${PostgreSQL::Test::Utils::tmp_check}/authority.dump";
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'a dump');
my $elsewhere = new_server('other');
$elsewhere->safe_psql('postgres', 'DROP EXTENSION pg_tandem; DROP SCHEMA IF EXISTS tandem; CREATE ROLE app_owner');
$elsewhere->stop;
$elsewhere->command_ok([ 'pg_resetwal', '-o', $oid, '-D', $elsewhere->data_dir ], 'another cluster, whose next OID is that of the creator');
$elsewhere->start;
$elsewhere->safe_psql('postgres', 'CREATE ROLE impostor');
is($elsewhere->safe_psql('postgres', q(SELECT 'impostor'::regrole::oid)), $oid, 'a role has it there');
$elsewhere->safe_psql('postgres', 'CREATE ROLE deployer LOGIN IN ROLE app_owner; CREATE ROLE mallory; CREATE ROLE stranger');
$elsewhere->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $elsewhere->connstr('postgres') ], 'and the dump is restored');
foreach my $role ('impostor', 'deployer', 'stranger')
{
	is_refused($elsewhere, "SET ROLE $role; SELECT tandem.pause('restored')",
		qr/ERROR:  permission denied for migration "restored"\nDETAIL:  .*is gone/, "$role there");
}
is($elsewhere->safe_psql('postgres', q(SELECT created_by FROM tandem.migrations WHERE name = 'restored')), 'deployer', 'it is shown by whom it was created');
is($elsewhere->safe_psql('postgres', q(SET ROLE deployer; SELECT tandem.pause('second'); SELECT 'paused')), "\npaused",
	'a migration with tables is its owners, there too');
$elsewhere->safe_psql('postgres', q(CALL tandem.abort('restored')));
$elsewhere->stop;
$node->stop;
done_testing();
