# A server started as pg_upgrade starts it, with -b: the extension writes nothing there and starts no
# process, though it is preloaded and a run is wanted; what would change something is refused.  The
# same server started as usual takes the run up where it was.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => <<'CONF');
shared_preload_libraries = 'pg_tandem'
tandem.launcher_interval = '1s'
# tells which background workers are registered
log_min_messages = debug1
autovacuum = off
CONF

# Starts the server with -b, and returns what the log says of that.
sub start_for_upgrade
{
	my $offset = -s $node->logfile;

	$node->command_ok([ 'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', '-b', 'start' ], 'the server starts with -b');
	return sub { return substr(slurp_file($node->logfile), $offset) };
}

# only a superuser can connect to such a server, so the run is one's of a superuser
expand_table($node, 'items', rows => 4000);
$node->safe_psql('postgres', q(SELECT tandem.create_migration('empty'), tandem.register_release(1)));
run_slowly($node, 'items', 2);
$node->stop;
like(slurp_file($node->logfile), qr/registering background worker "pg_tandem: launcher"/, 'as a rule a launcher is registered');

my $log = start_for_upgrade();
my $state = q(SELECT count(cents), sum(hashtext(i.ctid::text || i::text)::bigint) FROM items i;
	SELECT * FROM tandem.step ORDER BY id; SELECT * FROM tandem.migration ORDER BY id; SELECT * FROM tandem.event ORDER BY id);
my $before = $node->safe_psql('postgres', $state);
is($node->safe_psql('postgres', q(SELECT background, running_pid, phase FROM tandem.migrations WHERE name = 'items')), 't||migrate',
	'a run is wanted, and nobody runs it');

my %calls = (
	q(CALL tandem.migrate('items')) => 'migrate',
	q(CALL tandem.migrate('items', background => true)) => 'migrate in the background',
	q(CALL tandem.contract('items', force => true)) => 'contract',
	q(CALL tandem.abort('items')) => 'abort',
	q(SELECT tandem.pause('items')) => 'pause',
	q(SELECT tandem.resume('items')) => 'resume',
	q(SELECT tandem.cancel('items')) => 'cancel',
	q(SELECT tandem.configure('items', 'tandem.nice_ratio', '1')) => 'configure',
	q(SELECT tandem.create_migration('other')) => 'create_migration',
	q(SELECT tandem.add_column('empty', 'items', 'more', 'int')) => 'add_column',
	q(SELECT tandem.sync_column('empty', 'items', 'id', 'price', 'id')) => 'sync_column',
	q(SELECT tandem.add_index('empty', 'CREATE INDEX ON items (price)')) => 'add_index',
	q(SELECT tandem.add_not_null('empty', 'items', 'price')) => 'add_not_null',
	q(SELECT tandem.add_constraint('empty', 'items', 'c', 'CHECK (price > 0)')) => 'add_constraint',
	'SELECT tandem.register_release(2)' => 'register_release',
	'SELECT tandem.switch_release(1)' => 'switch_release',
	q(SELECT tandem.set_dependency('d', 1)) => 'set_dependency',
	'SELECT tandem.create_views(1)' => 'create_views',
);
foreach my $call (sort keys %calls)
{
	is_refused($node, $call, qr/pg_tandem changes nothing while the server runs for pg_upgrade/, $calls{$call});
}
is($node->safe_psql('postgres', $state), $before, 'nothing has been written');

# what pg_dump asks goes through, whatever the role or database has set
$node->safe_psql('postgres', q(ALTER DATABASE postgres SET tandem.release = 99));
is($node->safe_psql('postgres', 'SELECT count(*) FROM items'), 4000, 'the fence stands in the way of nobody');
$node->command_ok([ 'pg_dump', '--binary-upgrade', '-s', '-h', $node->host, '-p', $node->port, '-f', '/dev/null', 'postgres' ],
	'nor of pg_dump');
$node->safe_psql('postgres', q(ALTER DATABASE postgres RESET tandem.release));
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem')), 0, 'no process of the extension is there');
unlike($log->(), qr/background worker "pg_tandem/, 'nor was one registered or started');
$node->command_ok([ 'pg_ctl', '-w', '-D', $node->data_dir, '-m', 'fast', 'stop' ], 'the server stops');

$node->start;
speed_up($node, 'items');
is_ended_well($node, 'items', 'started as usual');
is($node->safe_psql('postgres', 'SELECT count(*), sum(cents) FROM items'), '4000|800200000', 'every row is filled');
$node->stop;

# Single-user mode has no background workers: the reason is said.
my ($out, $err);
IPC::Run::run([ $node->installed_command('postgres'), '--single', '-D', $node->data_dir, 'postgres' ],
	'<', \q(CALL tandem.migrate('empty', background => true)), '>', \$out, '2>', \$err);
like($err, qr/there are no background workers in single-user mode/, 'single-user mode runs nothing in the background');

done_testing();
