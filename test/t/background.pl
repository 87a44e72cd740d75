# A run in the background: it needs no session, is told what to do from any, and says the truth about
# itself at all times.
# Hazard: a run ends with the connection that began it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
# many small batches, so that there is always a next one to act before
$node->append_conf('postgresql.conf', q(tandem.batch_target = '2ms'));
$node->reload;

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# What the views say of a migration's backfill.
sub progress
{
	my ($name, $columns) = @_;

	return ask("SELECT $columns FROM tandem.progress p WHERE migration = '$name' AND step = 'backfill'");
}

sub run_state
{
	my ($name) = @_;

	return ask("SELECT phase, running_pid IS NOT NULL, background, paused_by, error FROM tandem.migrations WHERE name = '$name'");
}

sub wait_for_progress
{
	my ($name, $condition) = @_;

	eval { wait_for_running($node, "SELECT $condition FROM tandem.progress WHERE migration = '$name' AND step = 'backfill'"); 1 }
	  or die $@ . progress($name, 'p') . run_state($name);
	return;
}

sub start_run
{
	my ($name, $workers) = @_;

	ask("CALL tandem.migrate('$name', background => true, workers => " . ($workers || 1) . ')');
	return;
}

sub wait_for_end
{
	my ($name) = @_;

	wait_for_running($node, "SELECT running_pid IS NULL AND NOT background FROM tandem.migrations WHERE name = '$name'");
	return;
}

sub is_done
{
	my ($name, $rows) = @_;

	wait_for_end($name);
	is(run_state($name), 'contract|f|f||', "$name: the run has come to its end");
	is(ask("SELECT count(*) FROM $name WHERE cents = price * 100"), $rows, "$name: every row is filled");
	is(progress($name, 'state, rows_filled, workers, waiting, blockers, error'),
		"done|$rows||||", "$name: each was filled once, and nothing is said that has passed");
	return;
}

# Prepared transactions, which outlast a restart of the server: a run leaves the rows that they hold for
# later, and so comes to no end before they do.
sub hold_rows
{
	my ($name, %held) = @_;

	ask("BEGIN; SELECT FROM $name WHERE $held{$_} FOR UPDATE; PREPARE TRANSACTION '$_'") foreach keys %held;
	return;
}

sub let_go
{
	my ($who) = @_;

	ask("COMMIT PREPARED '$who'");
	return;
}

# Waits until each of the processes has begun a transaction since, and so has seen what was said before.
sub wait_for_look
{
	my ($name) = @_;
	my $since = ask('SELECT clock_timestamp()');

	wait_for_running($node, <<"SQL");
SELECT count(*) > 0 AND min(a.xact_start) > '$since' FROM pg_stat_activity a
WHERE a.pid IN (SELECT unnest(workers) FROM tandem.progress WHERE migration = '$name' AND step = 'backfill')
SQL
	return;
}

sub test_under_load
{
	init_pgbench($node, 1);
	expand_accounts($node, 1);
	my $release1 = start_pgbench($node, '-c', '2', '-T', '600');
	ask(q(SELECT tandem.configure('cents', 'tandem.max_rows_per_second', '2000')));
	start_run('cents', 2);
	isnt(ask('SELECT phase FROM tandem.migrations'), 'contract', 'CALL returns before the work is done');
	wait_for_progress('cents', q(state = 'running' AND done > 0 AND cardinality(workers) >= 2));
	is(ask(<<'SQL'), 't|t|t', 'tandem.progress names the processes');
SELECT m.running_pid = ANY (p.workers), m.background,
	NOT EXISTS (SELECT FROM unnest(p.workers) pid WHERE NOT EXISTS (SELECT FROM pg_stat_activity a
		WHERE a.pid = pid.pid AND a.backend_type = 'pg_tandem'))
FROM tandem.migrations m JOIN tandem.progress p ON p.migration = m.name AND p.step = 'backfill'
SQL
	my $pid = ask('SELECT running_pid FROM tandem.migrations');
	is_refused($node, $_, qr/ERROR:  migration "cents" is already running by pid $pid\nHINT:  CALL tandem\.migrate\('cents', if_running => 'wait'\); .*tandem\.status/, $_)
	  foreach (q(CALL tandem.migrate('cents', background => true)), q(CALL tandem.migrate('cents')));
	is_refused($node, q(CALL tandem.contract('cents')), qr/ERROR: .*HINT:  Run CALL tandem\.migrate\('cents', if_running => 'wait'\)/s,
		'contract, meanwhile, tells how to wait for it');
	ask(q(SELECT tandem.configure('cents', 'tandem.max_rows_per_second', '20000')));
	ask(q(CALL tandem.migrate('cents', if_running => 'wait')));
	wait_for_end('cents');
	is(run_state('cents'), 'contract|f|f||', 'the run comes to its end by itself');
	is(ask('SELECT count(workers) FROM tandem.progress'), 0, 'and no process is left');
	is(ask(q(SELECT rows_checked, rows_unfilled, rows_mismatched FROM tandem.verify('cents'))),
		'100000|0|0', 'verify finds nothing under load');
	$release1->{run}->kill_kill;
	wait_for_running($node, q(SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'));
	sums_agree($node, 'after a run in the background');
	return;
}

sub test_refused
{
	expand_table($node, 'refused', rows => 10);
	my $before = ask(q(SELECT m FROM tandem.migration m WHERE name = 'refused'));

	is_refused($node, q(CALL tandem.migrate('nothing', background => true)),
		qr/ERROR:  migration "nothing" does not exist\nHINT:  /, 'an unknown migration');
	# Hazard: CREATE INDEX CONCURRENTLY waits for the snapshot of its launcher.
	is_refused($node, q(BEGIN; CALL tandem.migrate('refused', background => true)),
		qr/ERROR:  tandem\.migrate cannot run inside a transaction block\n.*HINT:  /s, 'in a transaction block');
	is_refused($node, "CALL tandem.migrate('refused', background => true, workers => $_)",
		qr/ERROR:  workers must be from 1 to 64.*\nHINT:  /, "$_ workers")
	  foreach ('0', 'NULL', '1000');
	is_refused($node, 'CALL tandem.migrate(NULL, background => true)', qr/ERROR:  .*migration.*null.*\n?HINT:/is, 'no name');
	is_refused($node, "SELECT tandem.$_('nothing')", qr/ERROR:  migration "nothing" does not exist\nHINT:  /, "$_ of an unknown migration")
	  foreach ('pause', 'resume', 'cancel');
	is(ask(q(SELECT m FROM tandem.migration m WHERE name = 'refused')), $before, 'nothing has changed by any of them');
	return;
}

sub test_pause
{
	my $name = 'paused';

	expand_table($node, $name);
	# let go one after the other: so there is always more to do
	hold_rows($name, second => 'id BETWEEN 2001 AND 4000', third => 'id BETWEEN 4001 AND 5999', last => 'id = 6000');
	ask("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '1000')");
	start_run($name, 2);
	wait_for_progress($name, 'done > 10');
	ask("SELECT tandem.pause('$name')");
	wait_for_look($name);
	my $done = progress($name, 'done');
	# without the pause it would be through in an instant
	ask("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', NULL)");
	wait_for_look($name);
	is(progress($name, 'done, state, cardinality(workers)'), "$done|paused|2", 'paused: nothing is done any more');
	my $user = ask('SELECT quote_ident(current_user)');
	is(progress($name, 'waiting'), "paused by $user: SELECT tandem.resume('$name');", 'who paused it, and how to go on');

	$node->restart;
	is(run_state($name), "migrate|f|t|$user|", 'it is paused after a restart');
	is(progress($name, 'done, workers'), "$done|", 'and nobody runs it');
	my ($status, $out, $err) = $node->psql('postgres', "CALL tandem.migrate('$name', background => true)");
	like($err, qr/NOTICE:  migration "$name" is paused by role "\w+", and waits to be resumed\nHINT:  Run SELECT tandem.resume\('$name'\)/,
		'who calls migrate is told that it is paused');
	wait_for_look($name);
	is(progress($name, 'done, state'), "$done|paused", 'migrate called while it is paused: it stays so');
	ask("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '1000'); SELECT tandem.resume('$name')");
	let_go('second');
	wait_for_progress($name, "done > $done AND state IN ('running', 'waiting')");
	pass('after resume it goes on');

	ask("SELECT tandem.pause('$name')");
	$node->restart;
	like(($node->psql('postgres', "SELECT tandem.resume('$name')"))[2],
		qr/NOTICE:  .*is not running\nHINT:  Run CALL tandem\.migrate\('$name', background => true\);/, 'resume tells that nobody is there');
	return;
}

sub test_cancel
{
	my $name = 'paused';

	start_run($name, 2);
	wait_for_progress($name, q(state IN ('running', 'waiting')));
	my $done = progress($name, 'done');
	let_go('third');
	wait_for_progress($name, "done > $done");
	ask("SELECT tandem.cancel('$name')");
	is(progress($name, 'workers'), '', 'when cancel returns no process is left');
	like(run_state($name), qr/^migrate\|f\|f\|\|migration "$name" was stopped by another session$/, 'nor is one wanted');
	is(ask(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem')), 0, 'nor waits one in secret');
	cmp_ok(progress($name, 'rows_filled'), '>', 0, 'what was done is kept');
	like(($node->psql('postgres', "SELECT tandem.cancel('$name')"))[2], qr/NOTICE:  migration "$name" is not running/, 'cancel again');
	let_go('last');
	ask("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', NULL)");
	start_run($name, 2);
	is_done($name, 6000);
	is(ask("SELECT string_agg(action, ' ' ORDER BY done_at) FROM tandem.history WHERE migration = '$name' AND action IN ('pause', 'resume', 'cancel')"),
		'pause resume pause resume cancel cancel', 'the history has every word');
	return;
}

sub test_configure
{
	my $name = 'configured';

	# a block takes 10 ms or more, and there are more than all of this takes
	expand_table($node, $name, rows => 60000, up => 'CASE WHEN price % 4 = 0 THEN length(pg_sleep(0.001)::text) ELSE 0 END + price * 100::bigint');
	is_refused($node, "SELECT tandem.configure('$name', $_->[0])", $_->[1], $_->[0])
	  foreach (
		[ q('work_mem', '1MB'), qr/ERROR:  "work_mem" is not a setting of a migration\nHINT:  / ],
		[ q('tandem.nonsense', '1'), qr/ERROR:  .*"tandem\.nonsense"/ ],
		[ q('tandem.batch_target', 'soon'), qr/ERROR:  invalid value for parameter "tandem\.batch_target"/ ],
		[ q('tandem.batch_target', '-1'), qr/ERROR:  -1.* is outside the valid range/ ],
		[ q('tandem.launcher_interval', '1'), qr/ERROR:  .*tandem\.launcher_interval/ ],
		[ q(NULL, '1'), qr/ERROR:  .*setting/ ]);
	is(ask("SELECT settings FROM tandem.migrations WHERE name = '$name'"), '{}', 'none of them is kept');

	ask("SELECT tandem.configure('$name', 'tandem.batch_target', '1ms')");
	start_run($name);
	wait_for_progress($name, 'batch_blocks = 1 AND rows_filled > 0');
	ask("SELECT tandem.configure('$name', 'tandem.batch_target', '2s')");
	wait_for_progress($name, 'batch_blocks >= 6');
	ask("SELECT tandem.configure('$name', 'tandem.batch_target', NULL)");
	wait_for_progress($name, 'batch_blocks BETWEEN 1 AND 4');
	pass('batches follow the configured target while they run');
	ask("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '1')");
	wait_for_progress($name, q(waiting ~ 'tandem.max_rows_per_second = 1'));
	is(progress($name, 'state'), 'waiting', 'the cap configured while it runs makes it wait');
	ask("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', NULL)");
	wait_for_progress($name, q(state = 'running'));
	ask("SELECT tandem.cancel('$name'); CALL tandem.abort('$name')");
	return;
}

# Settings of the server reach who runs already.
sub test_reload
{
	my ($name, $start) = @_;
	my $job;

	expand_table($node, $name);
	ask("LOAD 'pg_tandem'; ALTER SYSTEM SET tandem.max_rows_per_second = 200; SELECT pg_reload_conf()");
	$job = $start->();
	wait_for_progress($name, 'done > 0');
	ask("LOAD 'pg_tandem'; ALTER SYSTEM SET tandem.max_rows_per_second = 7; SELECT pg_reload_conf()");
	wait_for_progress($name, q(waiting ~ 'tandem.max_rows_per_second = 7\M'));
	pass("$name: a cap that is reloaded holds who runs already");
	ask("LOAD 'pg_tandem'; ALTER SYSTEM RESET tandem.max_rows_per_second; SELECT pg_reload_conf()");
	ok(finish($job), "$name: migrate succeeds") if ref $job;
	is_done($name, 6000);
	return;
}

# An error of a row ends the run with the reason, whichever process meets it.
sub test_row_error
{
	my ($name, $bad) = @_;

	expand_table($node, $name, rows => 12000, up => "100 * price / (price - $bad + price * 0) * (price - $bad)");
	start_run($name, 2);
	wait_for_end($name);
	is(progress($name, 'state, workers'), 'failed|', "$name: the step has failed, and no worker is left");
	like(progress($name, 'error'), qr/^division by zero -- .*$bad/s, "$name: with the row");
	like(progress($name, 'hint'), qr/CALL tandem\.migrate\('$name'\)/, "$name: and a hint");
	like(run_state($name), qr/^migrate\|f\|f\|\|division by zero/, "$name: tandem.migrations has it too");
	like(ask("SELECT hint FROM tandem.migrations WHERE name = '$name'"), qr/CALL tandem\.migrate\('$name'\)/, "$name: with a hint");
	is(ask(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem')), 0, "$name: nobody waits in secret");
	ask("DELETE FROM $name WHERE id = $bad");
	start_run($name, 2);
	wait_for_end($name);
	is(run_state($name), 'contract|f|f||', "$name: once the row is mended it comes to its end");
	return;
}

# Whoever is in the way for a while only makes the run wait.
sub test_lock
{
	my $name = 'locked';
	my $locker = $node->background_psql('postgres');

	expand_table($node, $name);
	ask("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '200')");
	start_run($name, 2);
	wait_for_progress($name, 'done > 0');
	$locker->query_safe("BEGIN; LOCK TABLE $name IN ACCESS EXCLUSIVE MODE");
	wait_for_progress($name, q(blockers ~ 'canceling statement due to lock timeout'));
	my $done = progress($name, 'done');
	wait_for_look($name);
	# for the lock, or for its turn under the cap
	is(progress($name, q(done, state IN ('running', 'waiting'), error, cardinality(workers))), "$done|t||2",
		'a lock of another session: the run waits');
	$locker->query_safe('COMMIT');
	ask("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', NULL)");
	is_done($name, 6000);

	# the trigger is changed when all rows are filled, for which no writer may be at work
	$name = 'written';
	expand_table($node, $name);
	ask("SELECT tandem.configure('$name', 'tandem.lock_retry_time', '0')");
	$locker->query_safe("BEGIN; LOCK TABLE $name IN ROW EXCLUSIVE MODE");
	start_run($name);
	wait_for_running($node, "SELECT error ~ 'could not lock table' AND hint IS NOT NULL FROM tandem.migrations WHERE name = '$name'");
	# it tries again and again
	my $written = ask("SELECT count(*) FROM tandem.history WHERE migration = '$name' AND action = 'migrate'");
	wait_for_running($node, "SELECT count(*) >= $written + 2 FROM tandem.history WHERE migration = '$name' AND action = 'migrate'");
	is(ask("SELECT phase, background, (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem') FROM tandem.migrations WHERE name = '$name'"),
		'migrate|t|1', 'a writer that does not end: one process tries again and again');
	$locker->query_safe('COMMIT');
	is_done($name, 6000);

	# and what waits to try again can be cancelled
	$name = 'given_up';
	expand_table($node, $name);
	ask("SELECT tandem.configure('$name', 'tandem.lock_retry_time', '0')");
	$locker->query_safe("BEGIN; LOCK TABLE $name IN ROW EXCLUSIVE MODE");
	start_run($name);
	wait_for_running($node, "SELECT error ~ 'could not lock table' FROM tandem.migrations WHERE name = '$name'");
	ask("SELECT tandem.cancel('$name')");
	wait_for_running($node, q(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_tandem'));
	like(run_state($name), qr/^migrate\|f\|f\|/, 'cancel ends a run that waits to try again');
	$locker->query_safe('COMMIT');
	$locker->quit;
	return;
}

sub test_two_databases
{
	my $running = q(SELECT state IN ('running', 'waiting') AND cardinality(workers) = 2 FROM tandem.progress WHERE migration = 'twin' AND step = 'backfill');
	my %pids;

	ask('CREATE DATABASE other');
	$node->safe_psql('other', 'CREATE EXTENSION pg_tandem');
	foreach my $database ('postgres', 'other')
	{
		expand_table($node, 'twin', database => $database);
		$node->safe_psql($database, q(SELECT tandem.configure('twin', 'tandem.max_rows_per_second', '200')));
		$node->safe_psql($database, q(CALL tandem.migrate('twin', background => true, workers => 2)));
	}
	foreach my $database ('postgres', 'other')
	{
		wait_for_running($node, $running, $database);
		$pids{$_}++ foreach split /,/, $node->safe_psql($database, q(SELECT array_to_string(workers, ',') FROM tandem.progress WHERE migration = 'twin' AND step = 'backfill'));
	}
	is(join(' ', values %pids), '1 1 1 1', 'two databases at once, each with processes of its own');
	foreach my $database ('postgres', 'other')
	{
		$node->safe_psql($database, q(SELECT tandem.configure('twin', 'tandem.max_rows_per_second', NULL)));
		wait_for_running($node, q(SELECT phase = 'contract' FROM tandem.migrations WHERE name = 'twin'), $database);
		is($node->safe_psql($database, q(SELECT count(*) FROM twin WHERE cents = price * 100)), 6000, "$database: every row is filled");
	}
	return;
}

test_under_load();
test_refused();
test_pause();
test_cancel();
test_configure();
test_reload('reload_background', sub { start_run('reload_background', 2) });
test_reload('reload_foreground', sub { start_psql($node, 'postgres', q(CALL tandem.migrate('reload_foreground'))) });
# the row of the runner's part, and of the other worker's
test_row_error('bad_of_runner', 200);
test_row_error('bad_of_worker', 6300);
test_lock();
test_two_databases();
$node->stop;
done_testing();
