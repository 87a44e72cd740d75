# The time of day is set back by an hour, or forward by a day, in the midst of a run and of each wait: what waits
# or measures does not care.  A lock that is waited for is let alone here: the server's own lock_timeout follows the
# time of day.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SetClock;
use TandemTest;
use Test::More;
use Time::HiRes qw(time);

my $clock = SetClock->new;
my $node = new_server('main');

$node->append_conf('postgresql.conf', "autovacuum = off\nsession_preload_libraries = 'pg_tandem'");
$node->stop;
$clock->start($node);

sub sql { return $node->safe_psql('postgres', $_[0]); }

my ($hour, $day) = (3600, 86400);
my $before = sql('SELECT extract(epoch FROM clock_timestamp())::bigint');
$clock->move(-$hour);
cmp_ok(sql('SELECT extract(epoch FROM clock_timestamp())::bigint'), '<', $before, 'the clock of the server is set');

# a run, and what is shown of it
foreach my $by (-$hour, $day)
{
	my $name = $by < 0 ? 'back' : 'forward';
	my $progress = "FROM tandem.progress WHERE migration = '$name' AND step = 'backfill'";

	expand_table($node, $name, rows => 6000);
	sql("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '2000')");
	my $job = start_psql($node, 'postgres', "CALL tandem.migrate('$name')");
	wait_for_running($node, "SELECT rows_filled > 0 $progress");
	$clock->move($by);
	wait_for_running($node, "SELECT rows_filled > 3000 $progress");
	my ($rate, $left) = split /\|/, sql("SELECT rows_per_second, extract(epoch FROM time_left) $progress");
	cmp_ok($rate, '>', 0, "$name: rows a second");
	cmp_ok($rate, '<', 1_000_000, "$name: and not too many");
	cmp_ok($left || 0, '>=', 0, "$name: time left");
	ok(finish($job), "$name: ended") or diag($job->{err});
	unlike($job->{err}, qr/-\d+ (rows|s)\b/, "$name: no negative number is told");
	is(sql("SELECT count(*) FROM tandem.history WHERE migration = '$name' AND (took < '0' OR took > '1 min')"), '0',
		"$name: history tells how long it took");
}

# waits that end by themselves
sub wait_for_release
{
	my ($timeout, $by) = @_;
	my $begun = time;
	my $job = start_psql($node, 'postgres', "CALL tandem.wait_for_release(99, '$timeout')");

	wait_for_running($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'CALL tandem.wait%' AND state = 'active'));
	$clock->move($by);
	return ($job, $begun);
}

sql('SELECT tandem.register_release(98)');
my ($job, $begun) = wait_for_release('2 s', -$hour);
ok(!finish($job), 'set back: a release is not waited for any longer');
like($job->{err}, qr/did not become ready in time/, 'which is said');
cmp_ok(time - $begun, '<', 30, 'in time');

($job) = wait_for_release('1 h', $day);
sql('SELECT pg_sleep(1)');
sql('SELECT tandem.register_release(99)');
ok(finish($job), 'set forward: a release is waited for all the same') or diag($job->{err});

# transactions of an old release are waited for
expand_table($node, 'drained', rows => 1, release => 100);
sql(q(CALL tandem.migrate('drained')));
my $old = $node->background_psql('postgres');
$old->query_safe(q(SET tandem.release = 99; BEGIN; SELECT 1));
$job = start_psql($node, 'postgres', q(CALL tandem.contract('drained', undeclared => 'ignore')));
wait_for_running($node, q(SELECT count(*) > 0 FROM tandem.registry WHERE contracting IS NOT NULL));
$clock->move($day);
sql('SELECT pg_sleep(2)');
$old->query_safe('COMMIT');
$old->quit;
ok(finish($job), 'set forward: contract waits for its transactions all the same') or diag($job->{err});

# and for who cancels
expand_table($node, 'cancelled', rows => 6000);
sql(q(SELECT tandem.configure('cancelled', 'tandem.max_rows_per_second', '10'); CALL tandem.migrate('cancelled', background => true)));
wait_for_running($node, q(SELECT running_pid IS NOT NULL FROM tandem.migrations WHERE name = 'cancelled'));
$job = start_psql($node, 'postgres', q(CALL tandem.migrate('cancelled', if_running => 'wait')));
wait_for_running($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'CALL tandem.migrate%wait%' AND wait_event_type = 'Extension'));
$clock->move(-$hour);
sql(q(SELECT tandem.cancel('cancelled')));
ok(!finish($job), 'set back: who waits for a run that is cancelled ends, too');
like($job->{err}, qr/was stopped by another session/, 'and says so');

$node->stop('immediate');
done_testing();
