# Each phase of a run shows itself while it is held up: in tandem.stat_progress, tandem.progress and tandem.status.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "autovacuum = off\ntandem.lock_retry_time = 120s\ntandem.vacuum_every = 0\n");

sub ask { return $node->safe_psql('postgres', $_[0]); }

my $stat = "FROM tandem.stat_progress p JOIN tandem.migration m ON m.id = p.migration_id WHERE m.name = 'steps'";

# psql with its aligned format, as a person sees it
sub status
{
	my ($role) = @_;
	my $out = '';

	IPC::Run::run([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', "SET ROLE $role", '-c', 'SELECT * FROM tandem.status' ], '>', \$out)
	  or die 'psql failed';
	return $out;
}

# A session that has, or waits for, a lock that each of the phases needs, and the fill does not.
sub locker
{
	my $session = $node->background_psql('postgres');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');

	$session->query_until(qr/asks/, "\\echo asks\nBEGIN;\nLOCK TABLE steps IN SHARE UPDATE EXCLUSIVE MODE;\n");
	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $pid AND relation = 'steps'::regclass)");
	return { session => $session, pid => $pid };
}

sub leave
{
	my ($locker) = @_;

	ask("SELECT pg_terminate_backend($locker->{pid})");
	eval { $locker->{session}->quit };
	return;
}

ask(<<'SQL');
CREATE ROLE stranger;
CREATE TABLE steps (id int PRIMARY KEY, price int);
INSERT INTO steps SELECT i, i FROM generate_series(1, 100) i;
SQL
expand_price($node, 'steps');
ask(<<'SQL');
SELECT tandem.add_index('steps', 'CREATE INDEX steps_cents ON steps (cents)');
SELECT tandem.add_not_null('steps', 'steps', 'cents');
SQL
my $first = locker();
my $job = start_psql($node, 'postgres', q(CALL tandem.migrate('steps')));
my $wide;

# A try to lock is short, and says who is in its way.
wait_for_running($node, "SELECT EXISTS (SELECT FROM tandem.progress WHERE migration = 'steps' AND blockers ~ 'pid $first->{pid} ')");
is(ask("SELECT p.kind, p.state, p.phase, p.pid = (SELECT running_pid FROM tandem.migrations WHERE name = 'steps') $stat AND p.phase IS NOT NULL"),
	'backfill|waiting|marking filled|t', 'a table that is to be marked as filled');
like(status('postgres'), qr/^ steps +\| waiting +\|.*backfill of steps.*pid $first->{pid}/ms, 'status tells who is in the way');
unlike(status('stranger'), qr/pid $first->{pid}/, 'not to who may not read the table');

$wide ||= grep { length > 100 } split /\n/, status('postgres');

# The build of the index waits for an old snapshot.  Who wants the table locked comes after it, and before the next step.
my $reader = $node->background_psql('postgres');
my $reader_pid = $reader->query_safe('SELECT pg_backend_pid()');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class LIMIT 1');
leave($first);
wait_for_running($node, "SELECT EXISTS (SELECT FROM tandem.progress WHERE migration = 'steps' AND blockers ~ 'pid $reader_pid ')");
is(ask("SELECT p.kind, p.state, p.phase $stat AND p.phase IS NOT NULL"), 'index|waiting|building index', 'an index that is being built');
like(status('postgres'), qr/^ steps +\| waiting +\| +\d+\.\d % \| +\|.*index of steps.*pid $reader_pid/ms, 'status tells whom it waits for, and no time left');
$wide ||= grep { length > 100 } split /\n/, status('postgres');
my $next = locker();
leave({ session => $reader, pid => $reader_pid });
wait_for_running($node, "SELECT EXISTS (SELECT FROM tandem.progress WHERE migration = 'steps' AND blockers ~ 'pid $next->{pid} ')");
is(ask("SELECT p.kind, p.state, p.phase $stat AND p.phase IS NOT NULL"), 'not null|waiting|adding constraint', 'a constraint that is being added');

# The last lock follows a statement, the validation, which is held up until a reader has come.
my $holder = $node->background_psql('postgres');
$holder->query_safe(<<'SQL');
CREATE FUNCTION hold() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF current_query() ~ 'VALIDATE CONSTRAINT' THEN PERFORM pg_advisory_xact_lock(7); END IF;
END $$;
CREATE EVENT TRIGGER hold ON ddl_command_start EXECUTE FUNCTION hold();
SELECT pg_advisory_lock(7);
SQL
leave($next);
wait_for_running($node, q(SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)));
$reader = $node->background_psql('postgres');
$reader_pid = $reader->query_safe('SELECT pg_backend_pid()');
$reader->query_safe('BEGIN; SELECT FROM steps LIMIT 1');
$holder->query_safe('SELECT pg_advisory_unlock(7)');
$holder->quit;
wait_for_running($node, "SELECT running_pid IS NULL FROM tandem.migrations WHERE name = 'steps' UNION ALL
	SELECT EXISTS (SELECT FROM tandem.progress WHERE migration = 'steps' AND blockers ~ 'pid $reader_pid ') ORDER BY 1 DESC LIMIT 1");
# from 18 on that is all
is( ask("SELECT p.kind, p.state, p.phase $stat AND p.phase IS NOT NULL"),
	$node->pg_version < 18 ? 'not null|waiting|adding constraint' : '',
	'NOT NULL that is to follow its proof');
leave({ session => $reader, pid => $reader_pid });
ok(finish($job), 'the run ends') or diag($job->{err});
ok(!$wide, 'no line of tandem.status is wider than 100 characters');
is(ask("SELECT count(*) $stat AND (p.phase IS NOT NULL OR p.state <> 'done' OR seconds_left IS NOT NULL)"), 0, 'at the end nothing is being done');
is(ask(q(SELECT percent, time_left FROM tandem.migrations WHERE name = 'steps')), '100.0|', 'and all of it is done');
like(status('postgres'), qr/^ steps +\| ready +\| 100\.0 % \| +\| filled and verified/m, 'status says so');

# a pause before any step has begun
ask("SELECT tandem.create_migration('asleep'); CREATE TABLE asleep (id int PRIMARY KEY, price int);
	SELECT tandem.add_column('asleep', 'asleep', 'cents', 'bigint');
	SELECT tandem.sync_column('asleep', 'asleep', 'price', 'cents', 'price * 100', 'cents / 100'); SELECT tandem.pause('asleep')");
$job = start_psql($node, 'postgres', q(CALL tandem.migrate('asleep')));
wait_for_running($node, q(SELECT coalesce(bool_or(state = 'paused' AND waiting ~ '^paused'), false) FROM tandem.progress WHERE migration = 'asleep'));
like(status('postgres'), qr/^ asleep +\| paused +\|.*tandem\.resume\('asleep'\);/ms, 'a pause shows itself');
ask(q(SELECT tandem.resume('asleep')));
ok(finish($job), 'which ends') or diag($job->{err});

$node->stop;
done_testing();
