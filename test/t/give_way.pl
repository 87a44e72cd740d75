# A statement of somebody else that waits for snapshots and locks of others, a REINDEX CONCURRENTLY say, is never the one
# that fails where it and a migration would wait for each other: the migration gives way, and comes again.  C17 of
# test/faults.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $node = new_server('main', conf => <<'CONF');
autovacuum = off
deadlock_timeout = 1s
CONF

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# Begins a transaction that is in the way.
sub stand_in_the_way
{
	my ($statement) = @_;
	my $session = $node->background_psql('postgres');

	$session->query_safe("BEGIN; $statement");
	return $session;
}

sub go_away
{
	my ($session) = @_;

	$session->query_safe('COMMIT');
	$session->quit;
	return;
}

# Runs a REINDEX of somebody else until it waits for a writer.
sub start_reindex
{
	my ($name) = @_;
	my $writer = stand_in_the_way("LOCK TABLE $name IN ROW EXCLUSIVE MODE");
	my $reindex = start_psql($node, 'postgres', "REINDEX TABLE CONCURRENTLY $name");

	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.query LIKE 'REINDEX TABLE CONCURRENTLY $name%' AND l.locktype = 'virtualxid' AND NOT l.granted)");
	return ($writer, $reindex);
}

sub wait_for_worker_in_queue
{
	my ($name) = @_;

	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type = 'pg_tandem' AND l.relation = '$name'::regclass AND l.mode = 'ShareUpdateExclusiveLock' AND NOT l.granted)");
	return;
}

sub invalid_indexes
{
	return ask("SELECT coalesce(string_agg(indexrelid::regclass::text, ', '), 'none') FROM pg_index WHERE NOT indisvalid");
}

# A run whose statement comes to wait for the REINDEX, which then goes on and waits for others in turn.
sub test_statement
{
	my ($name, $what) = @_;
	my ($writer, $reindex) = start_reindex($name);
	my $migrate = start_psql($node, 'postgres', 'SET client_min_messages = warning', "CALL tandem.migrate('$name')");

	wait_for_worker_in_queue($name);
	like(ask("SELECT blockers FROM tandem.progress WHERE migration = '$name' AND blockers IS NOT NULL"), qr/REINDEX|pid \d+/, "$what: who is in the way is shown")
	  if $node->poll_query_until('postgres', "SELECT count(*) > 0 FROM tandem.progress WHERE migration = '$name' AND blockers IS NOT NULL");
	go_away($writer);
	ok(finish($reindex), "$what: a REINDEX CONCURRENTLY that is there before it ends well");
	return $migrate;
}

# Each of the steps of a migration fails first, so that it is the next thing that migrate does.
sub test_builds
{
	my $name = 'built';
	my $migrate;

	ask("CREATE TABLE $name (id int PRIMARY KEY, price int); INSERT INTO $name SELECT i, nullif(abs(i), 7) FROM generate_series(-1, 100) i");
	expand_price($node, $name, release => 2);
	ask(<<"SQL");
SELECT tandem.create_views(1);
SELECT tandem.create_views(2);
SELECT tandem.add_index('$name', 'CREATE UNIQUE INDEX ${name}_cents ON $name (cents)');
SELECT tandem.add_not_null('$name', '$name', 'cents');
SELECT tandem.add_constraint('$name', '$name', '${name}_good', 'CHECK (cents > 0)');
SQL
	is_refused($node, "CALL tandem.migrate('$name')", qr/could not create unique index "${name}_cents"/, 'an index that cannot be built');
	ask("UPDATE $name SET price = 1000 WHERE id = -1");
	$migrate = test_statement($name, 'CREATE INDEX');
	ok(!finish($migrate), 'and the run goes on, to NOT NULL');
	is(ask("SELECT indisvalid FROM pg_index WHERE indexrelid = '${name}_cents'::regclass"), 't', 'with its index built');
	like(ask("SELECT hint FROM tandem.progress WHERE migration = '$name' AND step = 'not null'"), qr/Until then it is enforced .* SELECT tandem\.cancel\('$name'\) takes it back\./, 'progress says that NOT NULL is enforced');
	ask("UPDATE $name SET price = 2000 WHERE price IS NULL");
	$migrate = test_statement($name, 'VALIDATE of NOT NULL');
	ok(!finish($migrate), 'and the run goes on, to the CHECK');
	ask("UPDATE $name SET price = 3000 WHERE price = 0");
	$migrate = test_statement($name, 'VALIDATE of a CHECK');
	ok(finish($migrate), 'and the run ends');
	is(invalid_indexes(), 'none', 'no index is left invalid');
	unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/terminating background worker|deadlock detected/, 'none of the statements had to be ended');
	return;
}

# In one transaction nothing gets past who waits for it.
sub test_expand
{
	my $name = 'expanded';

	ask("CREATE TABLE $name (id int PRIMARY KEY, price int); INSERT INTO $name VALUES (1, 1); SELECT tandem.create_migration('$name')");
	my ($writer, $reindex) = start_reindex($name);
	my $expand = start_psql($node, 'postgres', "SET tandem.lock_retry_time = '60s'", "SELECT tandem.add_column('$name', '$name', 'cents', 'bigint')");
	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT tandem.add_column%' AND state = 'active')");
	go_away($writer);
	ok(finish($reindex), 'expand: a REINDEX CONCURRENTLY that waits for it ends well');
	ok(!finish($expand), 'expand has failed');
	like($expand->{err}, qr/could not lock table "$name": a session in the way waits for this transaction\n.*Blocked by: .*\n.*Call it again when its statement has ended/, 'and says why');
	ask("SELECT tandem.add_column('$name', '$name', 'cents', 'bigint')");
	pass('called again, it is done');
	is(invalid_indexes(), 'none', 'no index is left invalid');
	return;
}

# A client for whose snapshot CREATE INDEX CONCURRENTLY waits comes to need a lock that it has.
sub test_client
{
	my $name = 'client';

	ask("CREATE TABLE $name (id int PRIMARY KEY, price int); INSERT INTO $name VALUES (1, 1)");
	expand_price($node, $name);
	ask("SELECT tandem.add_index('$name', 'CREATE INDEX ${name}_cents ON $name (cents)')");
	my $client = $node->background_psql('postgres');
	$client->query_safe("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class");
	my $migrate = start_psql($node, 'postgres', "CALL tandem.migrate('$name')");
	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type = 'pg_tandem' AND l.locktype = 'virtualxid' AND NOT l.granted)");
	$client->query_safe("ALTER TABLE $name SET (fillfactor = 90)");
	pass('a client that needs the lock of an index build for which it is waited does not fail');
	go_away($client);
	ok(finish($migrate), 'and the index is built then');
	is(invalid_indexes(), 'none', 'no index is left invalid');
	return;
}

# A REINDEX that has queued behind the build of an index, with a snapshot that the build then waits for.
sub test_queued_behind
{
	my $name = 'queued';

	ask("CREATE TABLE $name (id int PRIMARY KEY, price int); INSERT INTO $name SELECT i, 1 FROM generate_series(1, 2) i");
	expand_price($node, $name);
	ask("SELECT tandem.add_index('$name', 'CREATE UNIQUE INDEX ${name}_cents ON $name (cents)')");
	is_refused($node, "CALL tandem.migrate('$name')", qr/could not create unique index/, 'an index that cannot be built');
	ask("UPDATE $name SET price = id");
	my $writer = stand_in_the_way("LOCK TABLE $name IN ROW EXCLUSIVE MODE");
	my $migrate = start_psql($node, 'postgres', "CALL tandem.migrate('$name')");
	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type = 'pg_tandem' AND l.locktype = 'virtualxid' AND NOT l.granted)");
	my $reindex = start_psql($node, 'postgres', "REINDEX TABLE CONCURRENTLY $name");
	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.query LIKE 'REINDEX TABLE CONCURRENTLY $name%' AND l.relation = '$name'::regclass AND NOT l.granted)");
	my $offset = -s $node->logfile;
	go_away($writer);
	ok(finish($reindex), 'a REINDEX CONCURRENTLY that is queued behind the build of an index ends well');
	ok(finish($migrate), 'and the index is built then');
	is(ask("SELECT indisvalid FROM pg_index WHERE indexrelid = '${name}_cents'::regclass"), 't', 'and is valid');
	like(PostgreSQL::Test::Utils::slurp_file($node->logfile, $offset), qr/ERROR:  deadlock detected/, 'it is the build that has looked for a deadlock first');
	is(invalid_indexes(), 'none', 'no index is left invalid');
	return;
}

test_builds();
test_queued_behind();
test_expand();
test_client();
$node->stop;

done_testing();
