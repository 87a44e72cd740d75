# A primary dies in the middle of a migration in the background and its standby is promoted: the
# migration goes on there, by itself where the library is preloaded, else with the next call, and does
# again nothing that was done.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $rows = 100000;
my $backfill = q(FROM tandem.progress WHERE step = 'backfill' AND migration = 'cents');
my $primary = new_server('primary');

sub start_standby
{
	my ($name) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$primary->backup($name);
	$standby->init_from_backup($primary, $name, has_streaming => 1);
	$standby->start;
	return $standby;
}

# What a standby in recovery answers.
sub test_recovery
{
	my ($standby, $phase) = @_;

	is($standby->safe_psql('postgres', 'SELECT phase, background, running_pid IS NULL, error IS NULL FROM tandem.migrations'),
		$phase, 'the standby shows the migration, which nobody runs there');
	is($standby->safe_psql('postgres', q(SELECT count(*), count(workers) FROM tandem.progress)),
		'5|0', 'and its steps, without workers');
	foreach my $call (q(CALL tandem.migrate('cents')), q(CALL tandem.migrate('cents', background => true)))
	{
		my ($status, $out, $err) = $standby->psql('postgres', $call);
		isnt($status, 0, "$call is refused there");
		like($err, qr/ERROR:  cannot execute tandem.migrate during recovery/, 'because it is a standby');
	}
	is($standby->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem')),
		0, 'no launcher or worker is there');
	return;
}

# The primary dies, as the standby has all it had.
sub fail_over
{
	my ($standby, @clients) = @_;

	$primary->stop('immediate');
	$_->{run}->finish foreach @clients;
	# what it had sent is replayed before anything is compared
	$standby->poll_query_until('postgres', 'SELECT pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()')
	  or die 'standby did not replay';
	return;
}

sub is_migrated
{
	my ($node) = @_;

	is($node->safe_psql('postgres', q(SELECT rows_checked, rows_unfilled, rows_mismatched FROM tandem.verify('cents'))),
		"$rows|0|0", 'verify finds nothing');
	is($node->safe_psql('postgres', <<'SQL'), 't|t', 'index and constraint are there and valid');
SELECT bool_and(indisvalid), (SELECT convalidated FROM pg_constraint WHERE conname = 'cents_whole')
FROM pg_index WHERE indexrelid = 'accounts_cents'::regclass
SQL
	is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_index WHERE NOT indisvalid'), 0, 'no index is invalid');
	return;
}

sub expand
{
	expand_accounts($primary, 0);
	$primary->safe_psql('postgres', <<'SQL');
SELECT tandem.add_index('cents', 'CREATE INDEX accounts_cents ON pgbench_accounts (abalance_cents)');
SELECT tandem.add_constraint('cents', 'pgbench_accounts', 'cents_whole', 'CHECK (abalance_cents % 100 = 0)');
SELECT tandem.configure('cents', 'tandem.batch_target', '10ms');
SQL
	return;
}

$primary->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'pg_tandem'
tandem.launcher_interval = 1s
CONF
$primary->restart;
init_pgbench($primary, 1);
expand();
my $standby = start_standby('first');

# in the middle of the fill, with a launcher
my $clients = start_pgbench($primary, '-c', '2', '-T', '600', '--rate', '200');
$primary->safe_psql('postgres', <<'SQL');
SELECT tandem.configure('cents', 'tandem.max_rows_per_second', '15000');
CALL tandem.migrate('cents', background => true);
SQL
wait_for_running($primary, "SELECT rows_filled > 30000 $backfill");
# so that it stays there
$primary->safe_psql('postgres', q(SELECT tandem.configure('cents', 'tandem.max_rows_per_second', '100')));
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('flush'));
test_recovery($standby, 'migrate|t|t|t');
fail_over($standby, $clients);
my $counts = "SELECT done, rows_filled, rows_done $backfill";
my ($done, $filled, $seen) = split /\|/, $standby->safe_psql('postgres', $counts);
my $started = $standby->safe_psql('postgres', q(SELECT started_at FROM tandem.step WHERE kind = 'backfill'));
my $unfilled = $standby->safe_psql('postgres', 'SELECT count(*) FROM pgbench_accounts WHERE abalance_cents IS NULL');
my $horizon = $standby->safe_psql('postgres', 'SELECT pg_snapshot_xmax(pg_current_snapshot())');
note("$done blocks done, $filled rows filled, $unfilled to fill");
cmp_ok($unfilled, '>', $rows / 10, 'the primary died in the middle of the fill');
cmp_ok($filled, '>', $rows / 10, 'and not at its beginning');

$standby->promote;
wait_for_running($standby, "SELECT running_pid IS NOT NULL FROM tandem.migrations");
cmp_ok($standby->safe_psql('postgres', "SELECT done $backfill"), '>=', $done, 'promoted: the launcher resumes it where it was');
$standby->safe_psql('postgres', q(SELECT tandem.configure('cents', 'tandem.max_rows_per_second', NULL)));
wait_for_running($standby, q(SELECT phase = 'contract' FROM tandem.migrations));
is($standby->safe_psql('postgres', q(SELECT background, running_pid IS NULL, error IS NULL FROM tandem.migrations)),
	'f|t|t', 'and ends it');
is($standby->safe_psql('postgres', "SELECT rows_filled $backfill"), $filled + $unfilled,
	'what was unfilled was filled, once');
is($standby->safe_psql('postgres', q(SELECT started_at FROM tandem.step WHERE kind = 'backfill')), $started,
	'the fill did not begin anew');
is($standby->safe_psql('postgres', "SELECT count(*) FROM pgbench_accounts WHERE NOT age(xmin) > age('$horizon'::xid)"), $unfilled,
	'and no row was written that was filled before');
is_migrated($standby);
is($standby->safe_psql('postgres', q(SELECT sum(abalance) = (SELECT sum(delta) FROM pgbench_history) FROM pgbench_accounts)),
	't', 'no change of the writers is lost');
$standby->safe_psql('postgres', q(CALL tandem.contract('cents')));
is($standby->safe_psql('postgres', q(SELECT phase FROM tandem.migrations)), 'done', 'contract');

# in the middle of the index, without a launcher
$primary = $standby;
$primary->safe_psql('postgres', <<'SQL');
ALTER TABLE pgbench_accounts RENAME abalance_cents TO abalance;
DROP EXTENSION pg_tandem;
CREATE EXTENSION pg_tandem;
DROP INDEX accounts_cents;
ALTER TABLE pgbench_accounts DROP CONSTRAINT cents_whole, ALTER abalance TYPE int;
SQL
$primary->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$primary->restart;
expand();
$standby = start_standby('second');
my $holder = $primary->background_psql('postgres');
# the last thing that the build waits for is whoever has a snapshot from before it
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$clients = start_pgbench($primary, '-c', '2', '-T', '600', '--rate', '200');
$primary->safe_psql('postgres', q(CALL tandem.migrate('cents', background => true)));
wait_for_running($primary, q(SELECT blockers ~ 'pid' FROM tandem.progress WHERE step = 'index'));
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('flush'));
test_recovery($standby, 'migrate|t|t|t');
fail_over($standby, $clients);
$holder->{run}->finish;
is($standby->safe_psql('postgres', q(SELECT count(*) FROM pg_index WHERE NOT indisvalid)), 1, 'the primary died in the middle of the index');
$standby->promote;
is($standby->safe_psql('postgres', 'SELECT phase, background, running_pid IS NULL FROM tandem.migrations'), 'migrate|t|t',
	'promoted, without a launcher: it waits for somebody to go on');
$clients = start_pgbench($standby, '-c', '2', '-T', '600', '--rate', '200');
$standby->safe_psql('postgres', q(CALL tandem.migrate('cents')));
is($standby->safe_psql('postgres', 'SELECT phase, background, running_pid IS NULL FROM tandem.migrations'), 'contract|f|t',
	'the next call goes on and ends it');
is_migrated($standby);
$clients->{run}->kill_kill;
$standby->safe_psql('postgres', q(CALL tandem.contract('cents')));
is($standby->safe_psql('postgres', q(SELECT phase FROM tandem.migrations)), 'done', 'contract');

done_testing();
