# Fifty nodes of a release start together, and each runs the release's script: one does the work.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $nodes = 50;
my $node = new_server('main', conf => <<'CONF');
max_connections = 100
# a node that is gone is noticed
client_connection_check_interval = '50ms'
CONF

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Rows a second; 0: as fast as it can.
sub set_speed
{
	my ($rows) = @_;

	$node->append_conf('postgresql.conf', "tandem.max_rows_per_second = $rows\ntandem.batch_target = '5ms'");
	$node->reload;
	return;
}

sub new_table
{
	my ($name) = @_;

	sql(<<"SQL");
CREATE TABLE $name (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 150));
INSERT INTO $name SELECT i, i FROM generate_series(1, 6000) i;
SQL
	return;
}

# What each node runs: expand in one transaction, migrate, and whether it may serve.  Options: plain
# (columns by ALTER TABLE), begin (how its transaction begins), before_commit, migrate.
sub script
{
	my ($name, $release, %options) = @_;
	my $add = $options{plain}
	  ? "ALTER TABLE $name ADD COLUMN IF NOT EXISTS cents bigint;"
	  : "SELECT tandem.add_column('$name', '$name', 'cents', 'bigint');";
	my $begin = $options{begin} || 'BEGIN';
	my $before_commit = $options{before_commit} || '';
	my $migrate = $options{migrate} || "CALL tandem.migrate('$name', if_running => 'wait')";

	# ALTER TABLE waits with a snapshot for the table, on which a concurrent build waits for snapshots
	my $index = $options{plain} ? ''
	  : "SELECT tandem.add_index('$name', 'CREATE INDEX ${name}_cents ON $name (cents)');";

	return write_script("$name-" . ($options{file} || 'script'), <<"SQL");
SET client_min_messages = warning;
$begin;
SELECT tandem.create_migration('$name', $release);
$add
SELECT tandem.sync_column('$name', '$name', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
$index
SELECT tandem.add_not_null('$name', '$name', 'cents');
$before_commit
COMMIT;
$migrate;
SELECT 'healthy: ' || healthy FROM tandem.health($release);
SQL
}

# A psql that runs a script file.
sub start_node
{
	my ($file) = @_;
	my %job = (out => '', err => '', what => $file);

	$job{run} = IPC::Run::start(
		[ $node->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d',
			$node->connstr('postgres') . ' application_name=node', '-f', $file ],
		'<', \undef, '>', \$job{out}, '2>', \$job{err},
		IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	return \%job;
}

sub kill_node
{
	my ($job) = @_;

	$job->{run}->signal('KILL');
	eval { $job->{run}->finish };
	return;
}

sub all_are_healthy
{
	my ($jobs, $what) = @_;
	my ($ended, $healthy, $told) = (0, 0, 0);

	foreach my $job (@$jobs)
	{
		my $well = finish($job) && $job->{err} eq '';
		my $serves = $job->{out} =~ /healthy: true/;

		$ended++ if $well;
		$healthy++ if $serves;
		# the first tells enough
		diag("$what: a node has printed: $job->{out}$job->{err}") unless $well && $serves || $told++;
	}
	is($ended, scalar @$jobs, "$what: every node ends with status 0 and no warning");
	is($healthy, scalar @$jobs, "$what: every node may serve");
	return;
}

# Whether the work was done, and once.
sub is_done_once
{
	my ($name, $runs, $what) = @_;

	is(sql("SELECT count(*), min(phase), min(syncs) FROM tandem.migrations WHERE name = '$name'"),
		'1|contract|1', "$what: one migration with one sync");
	is(sql("SELECT string_agg(action || ' ' || n, ', ' ORDER BY action) FROM "
			. "(SELECT action, count(*) AS n FROM tandem.history WHERE migration = '$name' GROUP BY action) h"),
		# of an expand: the sync, the index, NOT NULL, and add_column
		$runs, "$what: each thing was done once");
	is(sql("SELECT sum(rows_filled) FROM tandem.progress WHERE migration = '$name' AND step = 'backfill'"),
		'6000', "$what: each row was filled once");
	is(sql("SELECT count(*) FROM $name WHERE cents IS DISTINCT FROM price * 100"),
		'0', "$what: each row is right");
	is(sql("SELECT count(*) FROM pg_indexes WHERE tablename = '$name' AND indexname LIKE '%cents%'"),
		$name eq 'plain' ? '0' : '1', "$what: one index");
	return;
}

# all at once
new_table('together');
my $file = script('together', 2);
all_are_healthy([ map { start_node($file) } 1 .. $nodes ], 'together');
is_done_once('together', 'create 1, expand 4, finish 1, migrate 1', 'together');

# columns by plain SQL
new_table('plain');
$file = script('plain', 3, plain => 1);
all_are_healthy([ map { start_node($file) } 1 .. $nodes ], 'plain');
is_done_once('plain', 'create 1, expand 2, finish 1, migrate 1', 'plain');

# with snapshots from before
new_table('serializable');
my %serializable = (begin => "SET default_transaction_isolation = 'serializable'; BEGIN; SELECT 1");
$file = script('serializable', 4, %serializable);
all_are_healthy([ map { start_node($file) } 1 .. $nodes ], 'serializable');
is_done_once('serializable', 'create 1, expand 4, finish 1, migrate 1', 'serializable');

# in the background: a node waits for another's run, and then for its own release
new_table('background');
$file = script('background', 5,
	migrate => "CALL tandem.migrate('background', background => true, if_running => 'return'); CALL tandem.wait_for_release(5)");
all_are_healthy([ map { start_node($file) } 1 .. $nodes ], 'background');
is_done_once('background', 'create 1, expand 4, finish 1, migrate 1', 'background');

# the first is killed before its expand is committed
new_table('killed');
my $first = start_node(script('killed', 6, file => 'first', before_commit => 'SELECT pg_sleep(600);'));
wait_for_running($node, q(SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'));
$file = script('killed', 6);
my @jobs = map { start_node($file) } 1 .. $nodes;
wait_for_running($node, qq(SELECT count(*) = $nodes FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'));
is(sql(q(SELECT count(*) FROM tandem.migrations WHERE name = 'killed')), '0', 'killed: all wait for the first');
kill_node($first);
all_are_healthy(\@jobs, 'killed');
is_done_once('killed', 'create 1, expand 4, finish 1, migrate 1', 'killed');

# the runner is killed in migrate
new_table('dying');
$file = script('dying', 7);
set_speed(200);
$first = start_node($file);
my $filling = q(SELECT coalesce(bool_or(rows_filled BETWEEN 1 AND 5999), false) FROM tandem.progress WHERE migration = 'dying' AND step = 'backfill');
wait_for_running($node, $filling);
@jobs = map { start_node($file) } 1 .. $nodes;
my $waiting = q(SELECT count(*) FROM pg_stat_activity WHERE application_name = 'node' AND query ~ '^CALL tandem.migrate');
wait_for_running($node, "SELECT ($waiting) = $nodes + 1");
my $runner = q(SELECT running_pid FROM tandem.migrations WHERE name = 'dying');
my $before = sql($runner);
is(sql(qq(SELECT count(*) FROM pg_stat_activity WHERE application_name = 'node' AND pid <> $before AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL))),
	'0', 'dying: who waits has no snapshot');
is(sql(qq(SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE application_name = 'node' AND pid <> $before AND locktype <> 'virtualxid')),
	'0', 'dying: who waits has no lock');
is(sql(qq($filling)), 't', 'dying: it is in its middle');
# who does not wait
my ($status, $out, $err) = $node->psql('postgres', q(CALL tandem.migrate('dying')));
like($err, qr/ERROR:  migration "dying" is already running by pid $before\b/, 'dying: who does not say is refused');
($status, $out, $err) = $node->psql('postgres', q(CALL tandem.migrate('dying', if_running => 'return')));
is($status, 0, 'dying: who returns does so');
like($err, qr/NOTICE:  migration "dying" is already running by pid $before\b/, 'dying: and is told');
($status, $out, $err) = $node->psql('postgres', q(SET statement_timeout = '300ms'; CALL tandem.migrate('dying', background => true, if_running => 'wait')),
	on_error_stop => 0);
like($err, qr/waiting for its end.*canceling statement due to statement timeout/s, 'dying: a wait can be cancelled');
kill_node($first);
wait_for_running($node, "SELECT running_pid <> $before FROM tandem.migrations WHERE name = 'dying'");
set_speed(0);
all_are_healthy(\@jobs, 'dying');
is_done_once('dying', 'create 1, expand 4, finish 1, migrate 2', 'dying');

# a node that has found nothing sleeps while another creates it: the server must not see it as a writer
new_table('overslept');
$file = script('overslept', 8, %serializable);
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM tandem.migration');
my $gate = $node->background_psql('postgres');
$gate->query_safe('BEGIN; LOCK TABLE tandem.migration IN SHARE MODE');
my $creator = start_node($file);
my $waits = q(SELECT count(*) = %d FROM pg_locks WHERE NOT granted AND locktype = '%s' AND database = (SELECT oid FROM pg_database WHERE datname = 'postgres'));
wait_for_running($node, sprintf($waits, 1, 'relation'));
my $sleeper = start_node($file);
wait_for_running($node, sprintf($waits, 1, 'object'));
my $sleeping = sql(q(SELECT pid FROM pg_locks WHERE NOT granted AND locktype = 'object'));
kill 'STOP', $sleeping or die "could not stop $sleeping: $!";
$gate->query_safe('COMMIT');
$gate->quit;
wait_for_running($node, q(SELECT count(*) = 1 FROM tandem.migrations WHERE name = 'overslept'));
kill 'CONT', $sleeping;
# its expand has ended, whichever way; the build of the index waits for the reader
wait_for_running($node, qq(SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $sleeping AND query !~ '^CALL'));
$reader->query_safe('COMMIT');
$reader->quit;
all_are_healthy([ $creator, $sleeper ], 'overslept');
is_done_once('overslept', 'create 1, expand 4, finish 1, migrate 1', 'overslept');

# cancel ends the wait too
new_table('cancelled');
set_speed(200);
$file = script('cancelled', 9);
@jobs = map { start_node($file) } 1 .. 5;
wait_for_running($node, q(SELECT coalesce(bool_or(rows_filled > 0), false) FROM tandem.progress WHERE migration = 'cancelled' AND step = 'backfill'));
wait_for_running($node, "SELECT ($waiting) = 5");
sql(q(SELECT tandem.cancel('cancelled')));
is(scalar(grep { !finish($_) && $_->{err} =~ /was stopped by another session/ } @jobs), 5, 'cancelled: nobody takes it over');

done_testing();
