# tandem.start_migrate in the one transaction of a tool: the run begins at its commit, and not before; rolled
# back, nothing runs.
# Hazard: a tool whose scripts are transactions cannot start the fill.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $node = new_server('main');

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# What a tool would run, but for its COMMIT.
sub script
{
	my ($name) = @_;

	return <<"SQL";
SELECT tandem.create_migration('$name');
SELECT tandem.add_column('$name', 'items', '$name', 'bigint', up => 'price * 100');
SELECT tandem.start_migrate('$name');
SQL
}

sub has_worker
{
	return ask(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem'));
}

sub says
{
	my ($statement) = @_;
	my (undef, undef, $err) = $node->psql('postgres', $statement);

	return $err;
}

ask(<<'SQL');
CREATE TABLE items (id int PRIMARY KEY, price int NOT NULL);
INSERT INTO items SELECT i, i FROM generate_series(1, 3000) i;
SQL

my $tool = $node->background_psql('postgres');
$tool->query_safe('BEGIN');
$tool->query_safe(script('cents'));
wait_for_running($node, q(SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND wait_event_type = 'Lock')));
is(ask('SELECT count(*) FROM tandem.migrations'), 0, 'before the commit nobody else sees the migration');
$tool->query_safe('COMMIT');
wait_for_running($node, q(SELECT phase = 'contract' AND running_pid IS NULL AND NOT background FROM tandem.migrations WHERE name = 'cents'));
is(ask('SELECT count(*) FROM items WHERE cents IS DISTINCT FROM price * 100'), 0, 'the run begins at the commit, and does all');
is(has_worker(), 0, 'and ends');

foreach my $how ('ROLLBACK', 'ROLLBACK TO SAVEPOINT before; COMMIT')
{
	$tool->query_safe('BEGIN; SAVEPOINT before');
	$tool->query_safe(script('mills'));
	is(has_worker(), 1, 'a worker waits');
	$tool->query_safe($how);
	ok($node->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_tandem')), "$how: it ends");
	is(ask(q(SELECT count(*) FROM tandem.migrations WHERE name = 'mills')), 0, 'and has done nothing');
}

# prepared, it is committed by whoever
$tool->query_safe('BEGIN');
$tool->query_safe(script('mills'));
$tool->query_safe(q(PREPARE TRANSACTION 'tool'));
$tool->quit;
is(has_worker(), 1, 'a worker waits for a prepared transaction');
ask(q(COMMIT PREPARED 'tool'));
wait_for_running($node, q(SELECT phase = 'contract' AND running_pid IS NULL FROM tandem.migrations WHERE name = 'mills'));
is(ask('SELECT count(*) FROM items WHERE mills IS DISTINCT FROM price * 100'), 0, 'and begins at its commit');

# what there is no need for, or no way
like(says(q(SELECT tandem.start_migrate('cents'))), qr/NOTICE:  migration "cents" is in phase contract, nothing is left to migrate/, 'nothing is left');
like(says(q(SELECT tandem.start_migrate('nothing'))), qr/ERROR:  migration "nothing" does not exist/, 'no such migration');
like(says(q(SELECT tandem.start_migrate('cents', 0))), qr/ERROR:  workers must be from 1 to/, 'no workers');
ask(q(SELECT tandem.create_migration('paused'); SELECT tandem.add_column('paused', 'items', 'paused', 'int', up => 'price'); SELECT tandem.pause('paused');));
like(says(q(SELECT tandem.start_migrate('paused'))), qr/NOTICE:  migration "paused" is paused by role/, 'it says that it will wait');
wait_for_running($node, q(SELECT running_pid IS NOT NULL FROM tandem.migrations WHERE name = 'paused'));
like(says(q(SELECT tandem.start_migrate('paused'))), qr/NOTICE:  migration "paused" is already running by pid \d+/, 'it runs already');
ask(q(SELECT tandem.resume('paused')));
wait_for_running($node, q(SELECT phase = 'contract' AND running_pid IS NULL FROM tandem.migrations WHERE name = 'paused'));

# nobody else's
ask(q(CREATE ROLE stranger LOGIN; SELECT tandem.create_migration('theirs'); SELECT tandem.add_column('theirs', 'items', 'theirs', 'int', up => 'price')));
like(says(q(SET ROLE stranger; SELECT tandem.start_migrate('theirs'))), qr/ERROR: /, 'nobody else starts it');
like(says(q(BEGIN READ ONLY; SELECT tandem.start_migrate('theirs'))), qr/ERROR:  cannot execute/, 'nor a transaction that may not write');

# no worker is free: the script fails as a whole
$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
like(says('BEGIN; ' . script('late') . 'COMMIT'), qr/ERROR:  no background worker is free\nHINT:  Raise max_worker_processes \(now 0\)/, 'no worker is free');
is(ask(q(SELECT count(*) FROM tandem.migrations WHERE name = 'late')), 0, 'and nothing is left of the script');

done_testing();
