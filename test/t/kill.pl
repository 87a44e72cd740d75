# Faults in a run in the background, under load: at random moments its processes, those of others and
# the whole server are killed, terminated or cancelled.  With a launcher the run completes by itself,
# without one by calling migrate again; either way each row is filled once, nothing is lost, and nothing
# is reported as running that is not.  TANDEM_SEED repeats the random choices.

use strict;
use warnings;

use FindBin;
use List::Util qw(shuffle);
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $rows = 200000;
my $count = 20;
my $seed = $ENV{TANDEM_SEED} || int(rand(1_000_000));
my $node = new_server('main');
my %injected;
my $release1;

diag("TANDEM_SEED=$seed");

my @faults = (
	[ 'kill -9 of the runner', \&kill_pids, q(SELECT running_pid FROM tandem.migrations) ],
	[ 'kill -9 of a worker', \&kill_pids, q(SELECT pid FROM tandem.migrations, tandem.worker_pids(1) w, unnest(w) pid WHERE pid <> running_pid LIMIT 1) ],
	[ 'kill -9 of a writer', \&kill_pids, q(SELECT pid FROM pg_stat_activity WHERE application_name = 'pgbench' LIMIT 1) ],
	[ 'kill -9 of the launcher', \&kill_pids, q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND datname IS NULL LIMIT 1) ],
	[ 'the end of the runner', \&terminate, 'pid = (SELECT running_pid FROM tandem.migrations)' ],
	[ 'the end of the workers', \&terminate, q(pid IN (SELECT pid FROM tandem.migrations, tandem.worker_pids(1) w, unnest(w) pid WHERE pid <> running_pid)) ],
	[ 'the end of a writer', \&terminate, q(pid = (SELECT max(pid) FROM pg_stat_activity WHERE application_name = 'pgbench')) ],
	[ 'the end of the launcher', \&terminate, q(backend_type = 'pg_tandem' AND datname IS NULL) ],
	[ 'the end of them all', \&terminate, q(pid <> pg_backend_pid() AND backend_type IN ('pg_tandem', 'client backend')) ],
	[ 'cancel of the runner', \&cancel ],
	[ 'immediate stop', sub { $node->stop('immediate'); $node->start; } ]);

srand($seed);
# as they come, each as often as the others
@faults = shuffle(@faults);

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# Waits through a crash of the server, which a connection may still meet on its way down.
sub wait_for_server
{
	my ($crashed_before) = @_;
	local $SIG{PIPE} = 'IGNORE';

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		# a psql that cannot connect may end before it is given the query: then this fails with a broken pipe
		my ($status, $out) = eval { $node->psql('postgres', 'SELECT pg_postmaster_start_time() IS NOT NULL') };
		return if defined $status && $status == 0 && $out eq 't' && (!defined $crashed_before || crashes() > $crashed_before);
		select(undef, undef, undef, 0.1);
	}
	die 'the server did not come back';
}

sub crashes
{
	my $log = slurp_file($node->logfile);

	return () = $log =~ /all server processes terminated; reinitializing/g;
}

sub kill_pids
{
	my ($query) = @_;
	my $before = crashes();
	my $pid = ask($query);

	return 0 if $pid eq '' || kill('KILL', $pid) == 0;
	wait_for_server($before);
	return 1;
}

sub terminate
{
	my ($which) = @_;
	my ($status, $out) = $node->psql('postgres', "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE $which");

	return $status == 0 && $out > 0;
}

# Whoever cancels the runner wants an end of it: no launcher starts it again.
sub cancel
{
	my ($launcher) = @_;
	my $pid = ask('SELECT running_pid FROM tandem.migrations');

	return 0 if $pid eq '' || ask("SELECT pg_cancel_backend($pid)") ne 't';
	wait_for_running($node, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
	my $state = ask('SELECT phase, background, error, hint IS NOT NULL FROM tandem.migrations');
	return 0 if $state =~ /^contract/;
	is($state, 'migrate|f|canceling statement due to user request|t', 'cancelled: no run is wanted any more, and why is told');
	call_migrate();
	return 1;
}

sub call_migrate
{
	# it may be running already, or be at its end
	my ($status, $out, $err) = $node->psql('postgres', q(CALL tandem.migrate('cents', background => true, workers => 2)));

	like($err, qr/already running by pid/, 'migrate called again') if $status != 0;
	return;
}

sub start_writers
{
	$release1->{run}->kill_kill if $release1;
	wait_for_running($node, q(SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'));
	$release1 = start_pgbench($node, '-c', '2', '-R', '200', '-T', '600');
	wait_for_running($node, q(SELECT count(*) = 2 FROM pg_stat_activity WHERE application_name = 'pgbench'));
	return;
}

# Nothing is said to run that does not: each process that is named is there, and does it.
sub is_true
{
	my ($when) = @_;

	is(ask(<<'SQL'), '0|0|0', "nothing is said that is not so after $when");
SELECT count(*) FILTER (WHERE p.state IN ('running', 'waiting', 'paused') AND p.workers IS NULL),
	count(*) FILTER (WHERE p.workers IS NULL AND (p.waiting, p.blockers, p.doing) IS DISTINCT FROM (NULL, NULL, NULL)),
	count(*) FILTER (WHERE EXISTS (SELECT FROM unnest(p.workers) pid
		-- they may have ended since the view was read
		WHERE pid NOT IN (SELECT a.pid FROM pg_stat_activity a) AND pid = ANY (tandem.worker_pids(1))))
FROM tandem.progress p
SQL
	return;
}

# Returns false when there was no such process.
sub inject
{
	my ($fault, $launcher) = @_;
	my ($name, $action, $target) = @$fault;
	my $at = ask(q(SELECT string_agg(step || ' ' || done || '/' || total, ', ') FROM tandem.progress WHERE state <> 'done' AND workers IS NOT NULL));
	# the server starts it again a few seconds after its end
	wait_for_running($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND datname IS NULL))
	  if $launcher && $name =~ /launcher/;
	my $hit = $action->($target);

	wait_for_server();
	if (!$hit && $name !~ /stop/)
	{
		return 0;
	}
	note("$name at $at");
	$injected{$name}++;
	is_true($name);
	start_writers() if ask(q(SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench')) < 2;
	if (!$launcher && ask('SELECT running_pid IS NULL AND phase <> \'contract\' FROM tandem.migrations') eq 't')
	{
		call_migrate();
	}
	return 1;
}

sub expand
{
	expand_accounts($node, 0);
	ask(<<'SQL');
SELECT tandem.add_index('cents', 'CREATE INDEX cents_idx ON pgbench_accounts (abalance_cents, aid)');
SELECT tandem.add_constraint('cents', 'pgbench_accounts', 'cents_check', 'CHECK (abalance_cents % 100 = 0)');
SELECT tandem.add_not_null('cents', 'pgbench_accounts', 'abalance_cents');
SELECT tandem.configure('cents', 'tandem.batch_target', '5ms');
SQL
	return;
}

# So that the faults fall all over the run: each when so much more of it is done.
sub wait_for_moment
{
	my ($number) = @_;
	my $percent = ($number + rand()) * 100 / $count;
	my $moment = $percent < 85
	  ? "(SELECT rows_filled >= $rows * $percent / 85 OR state = 'done' FROM tandem.progress WHERE step = 'backfill')"
	  : q((SELECT state = 'done' FROM tandem.progress WHERE step = 'backfill'));

	wait_for_running($node, "SELECT $moment OR phase = 'contract' FROM tandem.migrations");
	# the steps after the fill are short
	select(undef, undef, undef, rand(0.4)) if $percent >= 85;
	return;
}

sub run_with_faults
{
	my ($launcher) = @_;
	my $how = $launcher ? 'with a launcher' : 'without a launcher';

	ask('CREATE EXTENSION IF NOT EXISTS pg_tandem');
	expand();
	start_writers();
	# slow enough to be hit
	ask(q(SELECT tandem.configure('cents', 'tandem.max_rows_per_second', '20000')));
	call_migrate();
	foreach my $number (0 .. $count - 1)
	{
		wait_for_moment($number);
		# one whose target is there at the moment
		foreach (@faults)
		{
			push @faults, shift @faults;
			last if inject($faults[-1], $launcher);
		}
	}
	ask(q(SELECT tandem.configure('cents', 'tandem.max_rows_per_second', NULL)));
	call_migrate() if !$launcher && ask(q(SELECT phase <> 'contract' AND running_pid IS NULL FROM tandem.migrations)) eq 't';
	wait_for_running($node, q(SELECT phase = 'contract' AND running_pid IS NULL FROM tandem.migrations));
	pass("$how: the run comes to its end");
	check($how);
	return;
}

sub check
{
	my ($how) = @_;

	$release1->{run}->kill_kill;
	$release1 = undef;
	wait_for_running($node, q(SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'));
	is(ask('SELECT background, error, hint FROM tandem.migrations'), 'f||', "$how: nothing is wanted any more, no error is left");
	# a runner whose statement's worker was ended waits to try again, beside the one that another call has
	# started: at its next look it finds that nothing is wanted
	wait_for_running($node, q(SELECT tandem.worker_pids(1) IS NULL));
	pass("$how: no worker is left");
	is(ask(q(SELECT string_agg(DISTINCT state, ' ') || count(workers) || count(waiting) || count(error) FROM tandem.progress)),
		'done000', "$how: all steps are done");
	is(ask(q(SELECT rows_checked, rows_unfilled, rows_mismatched FROM tandem.verify('cents'))), "$rows|0|0", "$how: verify finds nothing");
	my $filled = ask(q(SELECT rows_filled FROM tandem.progress WHERE step = 'backfill'));
	my $written = ask('SELECT count(DISTINCT aid) FROM pgbench_history');
	cmp_ok($filled, '<=', $rows, "$how: no row was filled twice");
	cmp_ok($filled + $written, '>=', $rows, "$how: rows that no writer touched were filled by a batch");
	sums_agree($node, $how);
	is(ask(q(SELECT count(*) FROM pg_index WHERE NOT indisvalid OR NOT indisready)), 0, "$how: no invalid index is left");
	is(ask(q(SELECT count(*) FROM pg_index WHERE indrelid = 'pgbench_accounts'::regclass)), 2, "$how: there is one of each");
	is(ask(q(SELECT string_agg(conname || convalidated, ' ' ORDER BY conname) FROM pg_constraint
		WHERE conrelid = 'pgbench_accounts'::regclass AND contype = 'c')), 'cents_checktrue', "$how: the constraint is validated, and alone");
	is(ask(q(SELECT attnotnull FROM pg_attribute WHERE attrelid = 'pgbench_accounts'::regclass AND attname = 'abalance_cents')), 't', "$how: NOT NULL is set");
	is(ask(q(CALL tandem.contract('cents'); SELECT phase FROM tandem.migrations)), 'done', "$how: contract");
	return;
}

# A launcher resumes what was ended, and neither what somebody has cancelled nor what is paused.  It looks
# at all of them each time: when the last is resumed, the others have been left alone.
sub test_who_is_resumed
{
	my @names = ('cancelled', 'signalled', 'paused', 'ended');

	foreach my $name (@names)
	{
		expand_table($node, $name, rows => 500);
		ask(qq(SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '1')));
		ask(qq(CALL tandem.migrate('$name', background => true)));
	}
	my %pid = map { $_ => ask("SELECT running_pid FROM tandem.migrations WHERE name = '$_'") } @names;
	ask(q(SELECT tandem.cancel('cancelled'); SELECT tandem.pause('paused')));
	ask("SELECT pg_cancel_backend($pid{signalled})");
	wait_for_running($node, q(SELECT NOT background FROM tandem.migrations WHERE name = 'signalled'));
	ask("SELECT pg_terminate_backend(pid, 10000) FROM unnest(ARRAY[$pid{paused}, $pid{ended}]) pid");
	wait_for_running($node, "SELECT running_pid <> $pid{ended} FROM tandem.migrations WHERE name = 'ended'");
	is(ask(q(SELECT string_agg(name, ' ') FROM tandem.migrations WHERE running_pid IS NOT NULL)), 'ended',
		'a launcher resumes what was ended, not what was cancelled or paused');
	ask(q(SELECT tandem.resume('paused')));
	wait_for_running($node, q(SELECT running_pid IS NOT NULL FROM tandem.migrations WHERE name = 'paused'));
	pass('and what is paused no longer');
	return;
}

$node->append_conf('postgresql.conf', <<'CONF');
restart_after_crash = on
autovacuum = off
checkpoint_timeout = 1h
log_statement = none
CONF
$node->restart;
init_pgbench($node, 2);
run_with_faults(0);

ask('ALTER EVENT TRIGGER tandem_guard_before DISABLE; DROP EXTENSION pg_tandem CASCADE');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_tandem'\ntandem.launcher_interval = 1s");
$node->restart;
init_pgbench($node, 2);
run_with_faults(1);
test_who_is_resumed();
note(join(', ', map { "$_: $injected{$_}" } sort keys %injected));
$node->stop;
done_testing();
