# What a backfill gives way to.  For each cause: the fill does not begin while the cause is there, the
# view says which it is, and when it is gone the fill goes on to its end by itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $rows = 6000;
my $node = new_server('main', conf => <<'CONF');
track_commit_timestamp = on
autovacuum = off
tandem.vacuum_every = 0
CONF

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# Settings from here on, for sessions that are at work too.
sub configure
{
	my ($settings) = @_;

	$node->append_conf('postgresql.conf', $settings);
	$node->reload;
	return;
}

sub start_migrate
{
	my ($name, @settings) = @_;

	return start_psql($node, 'postgres', @settings, "CALL tandem.migrate('$name')");
}

# Waits until the backfill says that it waits for that; returns how many rows were filled before.
sub wait_for_hold
{
	my ($name, $pattern) = @_;
	my $progress = "FROM tandem.progress WHERE migration = '$name' AND step = 'backfill'";

	wait_for_running($node, "SELECT waiting ~ '$pattern' $progress");
	note(ask("SELECT waiting $progress"));
	return ask("SELECT rows_filled $progress");
}

sub is_filled
{
	my ($job, $name, $how, $count) = @_;

	# which gives up after a while; waiting for the job does not
	wait_for_running($node, "SELECT bool_and(state = 'done') FROM tandem.progress WHERE migration = '$name'");
	ok(finish($job), "$name: it ends by itself $how");
	is(ask("SELECT count(*) FROM $name WHERE cents = price * 100"), $count || $rows, "$name: every row is filled");
	is(ask("SELECT count(waiting) FROM tandem.progress WHERE migration = '$name'"), 0, "$name: nothing is said to be waited for");
	return;
}

# Writes WAL that nobody needs.
sub write_wal
{
	my ($megabytes) = @_;

	ask("SELECT count(pg_logical_emit_message(false, 'test', repeat('x', 1048576))) FROM generate_series(1, $megabytes)");
	return;
}

sub test_standby
{
	$node->backup('backup');
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($node, 'backup', has_streaming => 1);
	$standby->start;
	$node->wait_for_catchup($standby, 'replay');

	configure("tandem.max_lag_size = '1MB'");
	$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
	$standby->poll_query_until('postgres', q(SELECT pg_get_wal_replay_pause_state() = 'paused'))
	  or die 'replay was not paused';
	expand_table($node, 'lag_size', rows => $rows);
	write_wal(2);
	my $migrate = start_migrate('lag_size');
	is(wait_for_hold('lag_size', 'standby "standby" is .* behind \(tandem.max_lag_size = 1MB\)'),
		0, 'a standby far behind: no row is filled');
	$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
	is_filled($migrate, 'lag_size', 'when the standby comes near');

	# the cap keeps the fill going for longer than the standby may be late
	configure("tandem.max_lag_size = 0\ntandem.max_lag_time = 1\ntandem.max_rows_per_second = 500");
	expand_table($node, 'lag_time', rows => $rows);
	$node->wait_for_catchup($standby, 'replay');
	$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
	$standby->poll_query_until('postgres', q(SELECT pg_get_wal_replay_pause_state() = 'paused'))
	  or die 'replay was not paused';
	$migrate = start_migrate('lag_time');
	cmp_ok(wait_for_hold('lag_time', 'standby "standby" is \d+ s behind \(tandem.max_lag_time = 1s\)'),
		'<', $rows, 'a standby late: not all rows are filled');
	configure('tandem.max_rows_per_second = 0');
	$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
	is_filled($migrate, 'lag_time', 'when the standby has caught up');
	configure("tandem.max_lag_time = 30");
	$standby->stop;
	return;
}

sub test_slot
{
	configure("tandem.max_lag_size = '1MB'");
	ask(q(SELECT pg_create_logical_replication_slot('forgotten', 'pgoutput')));
	write_wal(2);
	expand_table($node, 'dropped', rows => $rows);
	my $migrate = start_migrate('dropped');
	is(wait_for_hold('dropped', 'logical slot "forgotten" \(inactive\) is .* behind \(tandem.max_lag_size = 1MB\)'),
		0, 'a slot that nobody reads: no row is filled');
	ask(q(SELECT pg_drop_replication_slot('forgotten')));
	is_filled($migrate, 'dropped', 'when the slot is dropped');

	ask(q(SELECT pg_create_physical_replication_slot('kept', true)));
	# it may be a segment behind more than others
	write_wal(18);
	expand_table($node, 'excluded', rows => $rows);
	$migrate = start_migrate('excluded');
	is(wait_for_hold('excluded', 'physical slot "kept" \(inactive\) is .* behind'),
		0, 'a physical slot: no row is filled');
	configure(q(tandem.lag_sources = 'some_standby, other_slot'));
	is_filled($migrate, 'excluded', 'when tandem.lag_sources names others');
	expand_table($node, 'included', rows => $rows);
	$migrate = start_migrate('included', q(SET tandem.lag_sources = 'some_standby, "kept"'));
	is(wait_for_hold('included', 'physical slot "kept"'), 0, 'or holds when it names that one');
	ask(q(SELECT pg_drop_replication_slot('kept')));
	is_filled($migrate, 'included', 'when the slot is dropped');
	configure("tandem.lag_sources = '*'\ntandem.max_lag_size = '256MB'");
	return;
}

# What was committed before a batch never exceeds what the cap gave since the call began, and a second's
# credit.  The batches tell themselves when they were: each has one transaction.
sub test_rows
{
	my ($workers) = @_;
	my $name = "rows_$workers";
	my $cap = 2000;

	expand_table($node, $name, rows => $rows);
	my $begun = ask('SELECT clock_timestamp()');
	ask("SET tandem.max_rows_per_second = $cap; CALL tandem.migrate('$name', workers => $workers)") if $workers == 1;
	if ($workers > 1)
	{
		configure("tandem.max_rows_per_second = $cap");
		ask("CALL tandem.migrate('$name', workers => $workers)");
		configure('tandem.max_rows_per_second = 0');
	}
	my ($batches, $exceeded) = split /\|/, ask(<<"SQL");
WITH batch AS (
	SELECT pg_xact_commit_timestamp(xmin) AS at, count(*) AS rows FROM $name GROUP BY xmin
), so_far AS (
	SELECT at, sum(rows) OVER (ORDER BY at) - rows AS before FROM batch
)
SELECT count(*), count(*) FILTER (WHERE before > $cap * (extract(epoch FROM at - '$begun') + 1)
	-- what the other workers have just committed
	+ ($workers - 1) * (SELECT max(rows) FROM batch))
FROM so_far
SQL
	cmp_ok($batches, '>', 3, "$workers workers: enough batches to tell");
	is($exceeded, 0, "$workers workers: none came before its time");
	is(ask("SELECT count(*) FROM $name WHERE cents = price * 100"), $rows, "$workers workers: every row is filled");
	return;
}

sub test_wal_rate
{
	# more than a slow writer of WAL lets through before it is noticed
	my $many = 10 * $rows;

	expand_table($node, 'wal_rate', rows => $many);
	my $writer = start_psql($node, 'postgres', <<'SQL');
SET application_name = 'writer';
DO $$ BEGIN LOOP
	PERFORM pg_logical_emit_message(false, 'test', repeat('x', 100000)), pg_sleep(0.02);
END LOOP; END $$
SQL
	wait_for_running($node, q(SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'writer'));
	my $migrate = start_migrate('wal_rate', q(SET tandem.max_wal_rate = '500kB'));
	my $filled = wait_for_hold('wal_rate', 'of WAL are written per second \(tandem.max_wal_rate = 500kB\)');
	cmp_ok($filled, '<', $many, 'others write WAL: not all rows are filled');
	# it goes on holding as long as they do
	my $lsn = ask('SELECT pg_current_wal_lsn()');
	wait_for_running($node, "SELECT pg_current_wal_lsn() - '$lsn' > 3000000");
	is(wait_for_hold('wal_rate', 'tandem.max_wal_rate'), $filled, 'nor any more');
	ask(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'writer'));
	$writer->{run}->finish;
	is_filled($migrate, 'wal_rate', 'when they have stopped', $many);
	return;
}

sub test_hold_function
{
	expand_table($node, 'asked', rows => $rows);
	ask(<<'SQL');
CREATE TABLE flag (held boolean);
INSERT INTO flag VALUES (true);
CREATE ROLE plain LOGIN;
GRANT CREATE ON SCHEMA public TO plain;
CREATE SCHEMA ops;
CREATE FUNCTION ops.is_held() RETURNS boolean LANGUAGE sql AS 'SELECT held FROM public.flag';
CREATE FUNCTION ops.why_held() RETURNS text LANGUAGE sql
	AS $$ SELECT 'quarter is being closed by ' || current_user FROM public.flag WHERE held $$;
GRANT USAGE ON SCHEMA ops TO plain;
SQL
	my $migrate = start_migrate('asked', 'SET search_path = ops, public', 'SET tandem.hold_function = is_held');
	is(wait_for_hold('asked', 'ops.is_held\(\) returned true \(tandem.hold_function = is_held\)'), 0, 'a function says true: no row is filled');
	ask('UPDATE flag SET held = false');
	is_filled($migrate, 'asked', 'when the function says false');

	# never with more rights than the owner of the table has
	expand_table($node, 'as_owner', rows => $rows);
	ask('UPDATE flag SET held = true; ALTER TABLE as_owner OWNER TO plain');
	my @as_plain = ('SET SESSION AUTHORIZATION plain', "SET tandem.hold_function = 'ops.why_held'");
	my $refused = start_migrate('as_owner', @as_plain, q(SET statement_timeout = '60s'));
	ok(!finish($refused), 'a function that reads what its caller may not');
	like($refused->{err}, qr/ERROR:  permission denied for table flag\n.*HINT:  .*tandem\.hold_function/s, 'raises, and the run stops');
	ask('GRANT SELECT ON flag TO plain');
	$migrate = start_migrate('as_owner', @as_plain);
	is(wait_for_hold('as_owner', '^quarter is being closed by plain \(tandem.hold_function = ops.why_held\)'),
		0, 'a function says why: no row is filled');
	ask('DELETE FROM flag');
	is_filled($migrate, 'as_owner', 'when it has nothing more to say');
	return;
}

# A batch takes half a second, and a rest then fifty.
sub test_load
{
	my $up = 'price * 100::bigint + (pg_sleep(0.5 / 6000) IS NULL)::int';
	my @nice = ('SET tandem.nice_ratio = 100', q(SET tandem.batch_target = '500ms'));

	# who sleeps or is idle in a transaction is not at work; nobody else looks on meanwhile
	expand_table($node, 'calm', rows => $rows, up => $up);
	my $idle = $node->background_psql('postgres');
	$idle->query_safe('BEGIN; SELECT 1');
	my $sleeper = start_psql($node, 'postgres', q(SET application_name = 'sleeper'), 'SELECT pg_sleep(600)');
	my $migrate = start_migrate('calm', @nice);
	ok(finish($migrate), 'calm: the run ends');
	is(ask(q(SELECT extract(epoch FROM max(done_at) - min(done_at)) < 40 FROM tandem.history WHERE migration = 'calm')), 't', 'calm: without a rest');
	$idle->quit;

	expand_table($node, 'busy', rows => $rows, up => $up);
	my $worker = start_psql($node, 'postgres', q(SET application_name = 'worker'), 'SELECT count(*) FROM generate_series(1, 1e15)');
	wait_for_running($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'worker' AND query ~ 'count'));
	$migrate = start_migrate('busy', @nice);
	cmp_ok(wait_for_hold('busy', '^clients are at work: tandem.nice_ratio = 100$'), '<', $rows, 'clients are at work: the fill rests after a batch');
	ask(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('worker', 'sleeper')));
	$_->{run}->finish foreach $worker, $sleeper;
	ask(q(SELECT tandem.cancel('busy')));
	ok(!finish($migrate), 'busy: the rest is no hindrance to a cancel');
	is_filled(start_migrate('busy', 'SET tandem.nice_ratio = 0'), 'busy', 'when told not to rest');
	return;
}

# The table is old, and its autovacuum cannot have the lock.
sub test_autovacuum
{
	configure("autovacuum = on\nautovacuum_naptime = 1\nautovacuum_vacuum_cost_delay = 0");
	expand_table($node, 'vacuumed', rows => $rows);
	ask('ALTER TABLE vacuumed SET (autovacuum_freeze_max_age = 100000)');
	my $holder = $node->background_psql('postgres');
	$holder->query_safe('BEGIN; LOCK TABLE vacuumed IN SHARE UPDATE EXCLUSIVE MODE');
	# what makes it old: each subtransaction that writes takes an id
	ask(<<'SQL');
CREATE TEMP TABLE written ();
DO $$ BEGIN
	FOR i IN 1..110000 LOOP
		BEGIN INSERT INTO written DEFAULT VALUES; EXCEPTION WHEN division_by_zero THEN NULL; END;
	END LOOP;
END $$
SQL
	wait_for_running($node, q(SELECT count(*) > 0 FROM pg_locks WHERE relation = 'vacuumed'::regclass AND NOT granted));
	my $migrate = start_migrate('vacuumed');
	is(wait_for_hold('vacuumed', '^autovacuum \(pid \d+\) waits for a lock on the table'),
		0, 'autovacuum wants the table: no row is filled');
	$holder->query_safe('COMMIT');
	is_filled($migrate, 'vacuumed', 'when autovacuum is through');
	$holder->quit;
	return;
}

# Where there is no replication there is nothing to ask, and no error.
sub test_without_replication
{
	configure("wal_level = minimal\nmax_wal_senders = 0\nmax_replication_slots = 0");
	$node->restart;
	expand_table($node, 'alone', rows => $rows);
	is_filled(start_migrate('alone'), 'alone', 'without replication');
	return;
}

test_standby();
test_slot();
test_rows(1);
test_rows(3);
test_wal_rate();
test_hold_function();
test_load();
test_autovacuum();
test_without_replication();
$node->stop;
done_testing();
