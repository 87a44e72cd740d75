# No background worker is free: each call says so, nothing is lost, and once one is free it goes on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $none_free = qr/ERROR:  no background worker is free\nHINT:  Raise max_worker_processes \(now \d+\), or wait .*nothing is lost/;

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

sub limit_workers
{
	my ($count) = @_;

	$node->append_conf('postgresql.conf', "max_worker_processes = $count");
	$node->restart;
	return;
}

sub state_of
{
	my ($name) = @_;

	return ask("SELECT phase, background, running_pid FROM tandem.migrations WHERE name = '$name'");
}

# the server's own launcher takes the only one
limit_workers(1);
expand_table($node, 'none');
ask(q(SELECT tandem.add_index('none', 'CREATE INDEX none_cents ON none (cents)')));
is_refused($node, q(CALL tandem.migrate('none', background => true)), $none_free, 'in the background');
is(state_of('none'), 'expand|f|', 'in the background: nothing has changed');
my ($status, $out, $err) = $node->psql('postgres', q(CALL tandem.migrate('none', workers => 2)));
isnt($status, 0, 'in the foreground: an index cannot be built');
like($err, qr/WARNING:  only 1 of 2 workers could be started\nHINT:  Raise max_worker_processes/, 'but one worker fewer is no error');
like($err, qr/WARNING:  table "none" is backfilled without intermediate VACUUM: no background worker is free\nHINT:  /, 'nor a fill without VACUUM');
like($err, $none_free, 'the index says why and what to do');
is(ask(q(SELECT string_agg(step || ' ' || state, ', ') FROM tandem.progress WHERE migration = 'none')),
	'backfill done, index failed, analyze pending, verify pending', 'all before it is kept');
like(ask(q(SELECT error || hint FROM tandem.progress WHERE migration = 'none' AND step = 'index')),
	qr/^no background worker is free.*Raise max_worker_processes/, 'and tandem.progress tells');
is(ask('SELECT count(*) FROM none WHERE cents = price * 100'), 6000, 'every row is filled');

limit_workers(3);
ask(q(CALL tandem.migrate('none')));
is(ask(q(SELECT phase, (SELECT rows_filled FROM tandem.progress WHERE step = 'backfill'),
	(SELECT indisvalid FROM pg_index WHERE indexrelid = 'none_cents'::regclass) FROM tandem.migrations)), 'contract|6000|t', 'with a worker it comes to its end');

# taken by another migration
expand_table($node, $_) foreach ('first', 'second');
ask(q(SELECT tandem.configure('first', 'tandem.max_rows_per_second', '1')));
ask(q(CALL tandem.migrate('first', background => true, workers => 2)));
wait_for_running($node, q(SELECT cardinality(workers) = 2 AND waiting IS NOT NULL FROM tandem.progress WHERE migration = 'first' AND step = 'backfill'));
is_refused($node, q(CALL tandem.migrate('second', background => true)), $none_free, 'while others have them all');
is(state_of('second'), 'expand|f|', 'while others have them all: nothing has changed');
ask(q(SELECT tandem.cancel('first')));
ask(q(CALL tandem.migrate('second', background => true)));
wait_for_running($node, q(SELECT phase = 'contract' FROM tandem.migrations WHERE name = 'second'));
is(state_of('second'), 'contract|f|', 'and once they have ended it goes on');
$node->stop;
done_testing();
