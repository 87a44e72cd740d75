# A service of eight processes is rolled from release 41 to 42, one by one, while all of them write:
# no transaction of a node that is served fails, and no amount is lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $python = '/usr/bin/python3';
my $nodes = 8;
my $rows = 20000;

plan skip_all => "$python with psycopg2 and sqlalchemy is needed"
  if !-x $python || system("$python -c 'import psycopg2, sqlalchemy' 2>/dev/null") != 0;

my $node = new_server('main');
my %failed;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub start_node
{
	my ($release, $first_step) = @_;
	my %job = (in => '', out => '', err => '', release => $release);

	$job{run} = IPC::Run::start(
		[ $python, "$FindBin::Bin/lib/node.py", $node->connstr('postgres'), $release, $first_step || 'ask' ],
		'<', \$job{in}, '>', \$job{out}, '2>', \$job{err}, IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	return \%job;
}

# Until the node has said so.
sub wait_for
{
	my ($job, $pattern) = @_;

	$job->{run}->pump until $job->{out} =~ $pattern || !$job->{run}->pumpable;
	$job->{out} =~ $pattern or die "a node of release $job->{release} said: $job->{out}$job->{err}";
	return;
}

sub command
{
	my ($job, $command) = @_;

	$job->{in} .= "$command\n";
	$job->{run}->pump while length $job->{in};
	return;
}

# Its last words: how it ended, what it booked, what failed.
sub last_words
{
	my ($job) = @_;

	wait_for($job, qr/^(stopped|refused|failed) .*\n/m);
	$job->{run}->finish;
	my ($end, $booked, $failed) = $job->{out} =~ /^(stopped|refused \w+|failed \w+) (\d+) (\d+)$/m;
	die "a node of release $job->{release} ended with: $job->{out}$job->{err}" if !defined $end;
	$failed{$job->{release}} += $failed;
	note("release $job->{release}: $end after $booked, $failed failed $job->{err}");
	return ($end, $booked);
}

sub stop_node
{
	my ($job) = @_;

	command($job, 'stop');
	my ($end, $booked) = last_words($job);
	is($end, 'stopped', "a node of release $job->{release} was served to its end");
	cmp_ok($booked, '>', 0, 'and worked');
	return;
}

$node->append_conf('postgresql.conf', "session_preload_libraries = 'pg_tandem'\nmax_connections = 60");
$node->restart;
sql(<<"SQL");
CREATE TABLE items (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 100));
CREATE TABLE bookings (id bigserial PRIMARY KEY, release int, amount int);
INSERT INTO items SELECT i, 100 FROM generate_series(1, $rows) i;
SELECT tandem.register_release(41);
SELECT tandem.switch_release(41);
SQL

my @old = map { start_node(41) } 1 .. $nodes;
wait_for($_, qr/^ready/m) foreach @old;
my @new = (start_node(42));
wait_for($new[0], qr/^waiting release 42 is newer than what the database is prepared for, release 41/m);

# expand and migrate, slowly
expand_price($node, 'items', migration => 'cents', release => 42);
wait_for($new[0], qr/^waiting release 42 waits for the migration of release 42/m);
my $rash = start_node(42, 'rash');
is((last_words($rash))[0], 'refused 55T02', 'a node that does not wait may not write');
unlike($new[0]->{out}, qr/^ready/m, 'the one that asks waits');
my $wait = start_psql($node, 'postgres', q(CALL tandem.wait_for_release(42, '1 min')));
# a client that is gone leaves no backend behind, which would be in the way of DROP DATABASE
my $gone = start_psql($node, 'postgres', q(CALL tandem.wait_for_release(42, '1 hour')));
my $waits = q(SELECT count(*) = %d FROM pg_stat_activity WHERE query ~ 'wait_for_release.42, .1 hour' AND pid <> pg_backend_pid());
wait_for_running($node, sprintf($waits, 1));
$gone->{run}->signal('KILL');
eval { $gone->{run}->finish };
wait_for_running($node, sprintf($waits, 0));
my $migrate = start_psql($node, 'postgres', q(SET client_min_messages = warning; SET tandem.max_rows_per_second = 20000), q(CALL tandem.migrate('cents')));
ok(finish($migrate), 'migrate under load');
ok(finish($wait), 'who waits for the release is told');

# node by node; the pointer goes there, back, and there
foreach my $i (0 .. $nodes - 2)
{
	# the next one starts meanwhile
	push @new, start_node(42);
	wait_for($new[$i], qr/^ready/m);
	stop_node($old[$i]);
	sql('SELECT tandem.switch_release(42)') if $i == 3;
	sql('SELECT tandem.switch_release(41)') if $i == 4;
	sql('SELECT tandem.switch_release(42)') if $i == 5;
}
is(sql('SELECT release, state FROM tandem.releases'), "41|ready\n42|current", 'both releases are served');

# every session from here on says what it is, that of contract too
$ENV{PGOPTIONS} = '-ctandem.release=42';
my $hanging = $old[-1];
command($hanging, 'hang');
wait_for($hanging, qr/^hanging/m);
my $contract = start_psql($node, 'postgres', q(SET tandem.lock_retry_time = '30s'), q(CALL tandem.contract('cents')));
wait_for_running($node, <<'SQL');
SELECT count(*) = 1 FROM tandem.sessions s, tandem.migrations m
WHERE s.release = 41 AND s.release_state = 'retired' AND s.state = 'idle in transaction'
	AND s.application_name = 'node 41' AND s.pid = ANY (pg_blocking_pids(m.running_pid))
SQL
pass('contract waits for the node that hangs');
$rash = start_node(41, 'rash');
is((last_words($rash))[0], 'refused 55T01', 'a node of release 41 that comes meanwhile is refused');
command($hanging, 'go on');
ok(finish($contract), 'contract goes on when it ends');
my ($end, $booked) = last_words($hanging);
is($end, 'refused 55T01', 'its next transaction is refused');
cmp_ok($booked, '>', 0, 'its last one is committed');

# one that comes back
$rash = start_node(41, 'rash');
is((last_words($rash))[0], 'refused 55T01', 'a node of release 41 that comes back is refused');
my $late = start_node(41);
wait_for($late, qr/^waiting release 41 is no longer served, the oldest is 42/m);
command($late, 'stop');
is((last_words($late))[0], 'stopped', 'one that asks is told why');

wait_for($new[-1], qr/^ready/m);
stop_node($_) foreach @new;
is_deeply(\%failed, { 41 => 0, 42 => 0 }, 'no transaction has failed');
is(sql(<<"SQL"), 't|t|t', 'every amount of either release is there');
SELECT sum(cents) = 100 * (100 * $rows + (SELECT sum(amount) FROM bookings)),
	(SELECT count(*) > 100 FROM bookings WHERE release = 41), (SELECT count(*) > 100 FROM bookings WHERE release = 42)
FROM items
SQL

done_testing();
