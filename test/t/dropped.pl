# The extension is dropped, and made anew, while workers are at work for it: they end, and say nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => <<'CONF');
shared_preload_libraries = 'pg_tandem'
tandem.launcher_interval = 1
max_worker_processes = 16
tandem.max_rows_per_second = 2000
tandem.batch_target = '1ms'
log_statement = none
CONF

sub sql { return $node->safe_psql('postgres', $_[0]); }

my $workers = q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND datname IS NOT NULL);

# What workers have said, but that a runner that ends has ended its own, and that one gave way to the DROP in a deadlock.
sub complaints
{
	return join "\n", grep { !/terminating background worker|deadlock detected/ && /\[\d+\] (?:pg_tandem )?(?:ERROR|FATAL|PANIC):/ } split /\n/, slurp_file($node->logfile);
}

# It locks the tables one after the other, which workers use in an order of their own: so it may meet a deadlock, as any
# DROP may, and is run again.
sub drop_extension
{
	my ($then) = @_;
	my ($status, $stderr);

	do
	{
		($status, undef, $stderr) = $node->psql('postgres', "SET client_min_messages = error; BEGIN; ALTER EVENT TRIGGER tandem_guard_before DISABLE; DROP EXTENSION pg_tandem CASCADE; ${then}COMMIT",
			on_error_stop => 1);
	} while ($status != 0 && $stderr =~ /ERROR:  deadlock detected/);
	is($stderr, '', 'the extension was dropped');
	return;
}

sql('CREATE TABLE items (id int PRIMARY KEY, price int); INSERT INTO items SELECT i, i FROM generate_series(1, 50000) i');
foreach my $round (1 .. 6)
{
	expand_price($node, 'items', migration => 'm');
	sql(q(CALL tandem.migrate('m', background => true, workers => 2)));
	wait_for_running($node, q(SELECT coalesce(bool_or(rows_filled > 0), false) FROM tandem.progress WHERE migration = 'm' AND step = 'backfill'));
	# half of the times another one is there when they look
	drop_extension($round % 2 ? 'CREATE EXTENSION pg_tandem; ' : '');
	wait_for_running($node, "SELECT ($workers) = 0");
	sql('CREATE EXTENSION pg_tandem') unless $round % 2;
	sql('ALTER TABLE items DROP COLUMN cents');
}
is(complaints(), '', 'workers of a dropped extension end without an error');

# The launcher's worker has looked for the extension, and then it is dropped.
sql(q(SELECT tandem.create_migration('m')));
my $gate = $node->background_psql('postgres');
$gate->query_safe('SET client_min_messages = error; BEGIN; LOCK TABLE tandem.migration IN ACCESS EXCLUSIVE MODE');
wait_for_running($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND wait_event_type = 'Lock'));
$gate->query_safe('ALTER EVENT TRIGGER tandem_guard_before DISABLE; DROP EXTENSION pg_tandem CASCADE; COMMIT');
$gate->quit;
wait_for_running($node, "SELECT ($workers) = 0");
is(complaints(), '', 'nor does what resumes runs');

# Anything else is still said.
sql('CREATE EXTENSION pg_tandem');
expand_price($node, 'items', migration => 'bad', up => '1 / (price - 40000)');
sql(q(SELECT tandem.configure('bad', 'tandem.max_rows_per_second', '0')));
sql(q(CALL tandem.migrate('bad', background => true)));
wait_for_running($node, q(SELECT NOT background FROM tandem.migration WHERE name = 'bad'));
like(complaints(), qr/ERROR:  .*division by zero/, 'an error of a run is in the log');

done_testing();
