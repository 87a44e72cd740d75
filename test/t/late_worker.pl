# A worker does nothing for a runner that has ended, nor once it has.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

# a worker that goes on would never end
my $node = new_server('main', conf => "statement_timeout = '60s'");
my $library = PostgreSQL::Test::Utils::tempdir . '/late_worker.so';

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

my ($compiler) = split ' ', `$ENV{PG_CONFIG} --cc`;
chomp(my $headers = `$ENV{PG_CONFIG} --includedir-server`);
system_or_bail($compiler, '-shared', '-fPIC', '-o', $library, "-I$FindBin::Bin/../../src", "-I$headers",
	'-DPGDLLEXPORT=', "$FindBin::Bin/lib/late_worker.c");
ask("CREATE FUNCTION late_worker(migration int, runner int) RETURNS bool LANGUAGE c AS '$library'");

expand_table($node, 'items');
my $progress = q(SELECT sum(rows_filled), count(*) FILTER (WHERE started_at IS NOT NULL) FROM tandem.step);
is(ask(q(SELECT late_worker(id, 1) FROM tandem.migration)), 't', 'a worker whose runner has ended');
is(ask($progress), '|0', 'does not begin');

# the same while another runner is at work
ask(q(SELECT tandem.pause('items'); CALL tandem.migrate('items', background => true)));
wait_for_running($node, q(SELECT bool_or(waiting ~ '^paused') FROM tandem.progress));
is(ask(q(SELECT late_worker(id, 1) FROM tandem.migration)), 't', 'a worker of another runner than the one at work');
is(ask(q(SELECT workers FROM tandem.progress WHERE step = 'backfill')),
	ask(q(SELECT ARRAY[running_pid] FROM tandem.migrations)), 'is gone');
# whose number some session has now
my $session = $node->background_psql('postgres');
my $pid = $session->query_safe('SELECT pg_backend_pid()');
is(ask("SELECT late_worker(id, $pid) FROM tandem.migration"), 't', 'a worker whose runner has left its number to another session is gone, too');
$session->quit;
is(ask('SELECT sum(rows_filled) FROM tandem.step'), 0, 'and has filled nothing');

# a worker of the right runner works, until that ends: at once, without an end of the migration's own
my $worker = start_psql($node, 'postgres', q(SELECT late_worker(m.id, v.running_pid) FROM tandem.migration m JOIN tandem.migrations v USING (name)));
wait_for_running($node, q(SELECT cardinality(workers) = 2 FROM tandem.progress WHERE step = 'backfill'));
my $log = -s $node->logfile;
my $runner = ask('SELECT running_pid FROM tandem.migrations');
ask("SELECT pg_terminate_backend($runner)");
ok(finish($worker), 'a worker whose runner ends');
like(slurp_file($node->logfile, $log), qr/ERROR:  the run of migration "items" by pid $runner has ended/, 'ends with it');
ask(q(SELECT tandem.cancel('items'); SELECT tandem.resume('items'); CALL tandem.migrate('items')));
is(ask('SELECT count(*) FROM items WHERE cents = price * 100'), 6000, 'the next run fills every row');

$node->stop;
done_testing();
