# Races whose messages name processes, or that last longer than an isolation test can hold.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
# up holds a batch here, which otherwise gives way to what other sessions hold
$node->append_conf('postgresql.conf', 'tandem.batch_lock_timeout = 0');
$node->reload;
my $waiting = q(SELECT count(*) > 0 FROM tandem.progress WHERE step = 'backfill' AND blockers IS NOT NULL);

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A table in phase expand; up stops at row 2 while somebody holds advisory lock 2, and takes a millisecond
# a row beyond the first thousand.
sub expand
{
	my ($rows) = @_;

	sql(<<"SQL");
DROP TABLE IF EXISTS items;
DROP EXTENSION pg_tandem;
CREATE EXTENSION pg_tandem;
CREATE TABLE items (id int PRIMARY KEY, price int, filler text);
ALTER TABLE items ALTER COLUMN filler SET STORAGE plain;
INSERT INTO items SELECT i, i, repeat('x', 500) FROM generate_series(1, $rows) i;
CREATE OR REPLACE FUNCTION up(id int, price int) RETURNS bigint AS \$\$
BEGIN
	IF id = 2 THEN PERFORM pg_advisory_xact_lock_shared(2); END IF;
	IF id > 1000 THEN PERFORM pg_sleep(0.001); END IF;
	RETURN price * 100;
END \$\$ LANGUAGE plpgsql;
SQL
	sql(<<'SQL');
BEGIN;
SELECT tandem.create_migration('m');
ALTER TABLE items ADD COLUMN cents bigint;
SELECT tandem.sync_column('m', 'items', 'price', 'cents', 'up(id, price)', 'cents / 100');
COMMIT;
SQL
	return;
}

sub stderr_of
{
	my ($command) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $command);
	return $err;
}

# a second caller while migrate runs
expand(10);
my $holder = $node->background_psql('postgres');
$holder->query_safe('SELECT pg_advisory_lock(2)');
my $migrate = start_psql($node, 'postgres', q(CALL tandem.migrate('m')));
wait_for_running($node, q(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted));
my $pid = sql('SELECT running_pid FROM tandem.migrations');
like(stderr_of(q(CALL tandem.migrate('m'))),
	qr/ERROR:  migration "m" is already running by pid $pid\n/, 'a second migrate names the first');
like(stderr_of(q(CALL tandem.contract('m', force => true))),
	qr/ERROR:  migration "m" is not ready for contract\nDETAIL:  - table public.items is not filled\n/, 'contract does not go along, even by force');

# Ctrl-C in mid-batch
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
ok(!finish($migrate), 'a cancelled migrate ends');
like($migrate->{err}, qr/canceling statement due to user request/, 'as cancelled');
is(sql('SELECT running_pid IS NULL FROM tandem.migrations'), 't', 'and nobody is said to run it');
is(sql('SELECT count(*) FROM items WHERE cents IS NOT NULL'), 0, 'its batch left nothing');
$holder->query_safe('SELECT pg_advisory_unlock(2)');
sql(q(CALL tandem.migrate('m')));
is(sql('SELECT count(*) FROM items WHERE cents = price * 100'), 10, 'called again it goes on');
sql(q(CALL tandem.abort('m')));

# the session that runs it is ended
expand(10);
$holder->query_safe('SELECT pg_advisory_lock(2)');
$migrate = start_psql($node, 'postgres', q(CALL tandem.migrate('m')));
wait_for_running($node, q(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted));
sql('SELECT pg_terminate_backend(running_pid) FROM tandem.migrations');
ok(!finish($migrate), 'a terminated migrate ends');
$holder->query_safe('SELECT pg_advisory_unlock(2)');
wait_for_running($node, 'SELECT running_pid IS NULL FROM tandem.migrations');
sql(q(CALL tandem.migrate('m')));
is(sql('SELECT count(*) FROM items WHERE cents = price * 100'), 10, 'and the next caller goes on');
sql(q(CALL tandem.abort('m')));

# a verify that another worker than the runner has ended, before the runner came to it: what it found counts
sql(<<'SQL');
CREATE FUNCTION steady_up(id int, price int) RETURNS bigint IMMUTABLE AS 'BEGIN RETURN up(id, price); END' LANGUAGE plpgsql;
CREATE TABLE parts (id int, price int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
INSERT INTO parts SELECT i, i FROM generate_series(1, 199) i;
BEGIN;
SELECT tandem.create_migration('p');
SELECT tandem.add_column('p', 'parts', 'cents', 'bigint');
SELECT tandem.sync_column('p', 'parts', 'price', 'cents', 'steady_up(id, price)', NULL);
COMMIT;
-- this one no fill computes, but verify does
UPDATE parts SET price = 20 WHERE id = 2;
UPDATE parts SET cents = 1 WHERE id = 150;
SQL
$holder->query_safe('SELECT pg_advisory_lock(2)');
$migrate = start_psql($node, 'postgres', q(CALL tandem.migrate('p', workers => 2)));
wait_for_running($node, q(SELECT state IN ('done', 'failed') FROM tandem.progress
	WHERE migration = 'p' AND step = 'verify' AND relation::text = 'parts_2'));
is(sql(q(SELECT state FROM tandem.progress WHERE migration = 'p' AND step = 'verify' AND relation::text = 'parts_2')), 'failed',
	'a worker that finds a wrong row says so');
$holder->query_safe('SELECT pg_advisory_unlock(2)');
ok(!finish($migrate), 'its runner');
like($migrate->{err}, qr/ERROR:  verify of migration "p" found unfilled or mismatched rows/, 'does not take it for a proof');
like(stderr_of(q(CALL tandem.contract('p'))), qr/verify of table public\.parts_2 found 0 rows unfilled and 1 mismatched/, 'nor does contract');
sql(q(CALL tandem.abort('p', force => true)));

# a row that a prepared transaction holds
foreach my $end ('COMMIT', 'ROLLBACK')
{
	expand(10);
	sql(q(BEGIN; UPDATE items SET cents = 777 WHERE id = 3; PREPARE TRANSACTION 'row'));
	$migrate = start_psql($node, 'postgres', q(CALL tandem.migrate('m')));
	wait_for_running($node, $waiting);
	like(sql(q(SELECT blockers FROM tandem.progress WHERE step = 'backfill')),
		qr/^rows locked by prepared transaction 'row' \(/, 'a prepared transaction in the way is named');
	is(sql('SELECT count(*) FROM items WHERE cents IS NOT NULL'), 9, 'all other rows are filled');
	sql("$end PREPARED 'row'");
	ok(finish($migrate), "migrate ends after $end PREPARED");
	is(sql('SELECT price, cents FROM items WHERE id = 3'), $end eq 'COMMIT' ? '7|777' : '3|300',
		'and the row is right');
	sql(q(CALL tandem.abort('m')));
}

# a table dropped under a backfill
expand(10);
$holder->query_safe('SELECT pg_advisory_lock(2)');
$migrate = start_psql($node, 'postgres', q(CALL tandem.migrate('m')));
wait_for_running($node, q(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted));
my $drop = start_psql($node, 'postgres', 'DROP TABLE items');
wait_for_running($node, q(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'relation' AND NOT granted));
$holder->query_safe('SELECT pg_advisory_unlock(2)');
ok(finish($drop), 'DROP TABLE waits for a batch at most');
ok(!finish($migrate), 'migrate ends');
like($migrate->{err}, qr/ERROR:  table .* of migration "m" was dropped/, 'and says so');
sql(q(CALL tandem.abort('m')));

# abort while batch follows batch: it must not wait for a gap between them
expand(40000);
$migrate = start_psql($node, 'postgres', q(SET tandem.batch_target = '20ms'), q(CALL tandem.migrate('m')));
wait_for_running($node, q(SELECT coalesce(max(done), 0) > 0 FROM tandem.progress));
sql(q(CALL tandem.abort('m')));
ok(!finish($migrate), 'abort stops a migrate at full speed');
like($migrate->{err}, qr/ERROR:  migration "m" was stopped by another session/, 'which says so');
is(sql(q(SELECT count(*) FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'cents')),
	0, 'and the new column is gone');
$holder->quit;

# Hazard: a deadlock between backfill and application.
# a unique key that a writer is inserting: the batch gives way, holding nothing, and no deadlock
expand(10);
sql('CREATE UNIQUE INDEX ON items (cents)');
my $writer = $node->background_psql('postgres');
$writer->query_safe('BEGIN');
$writer->query_safe('INSERT INTO items (id, price) VALUES (500, 5)');
$migrate = start_psql($node, 'postgres', q(SET tandem.batch_lock_timeout = '50ms'), q(CALL tandem.migrate('m')));
wait_for_running($node, q(SELECT count(*) > 0 FROM tandem.progress WHERE blockers LIKE 'another session: %'));
$writer->query_safe('UPDATE items SET price = price WHERE id BETWEEN 1 AND 4');
$writer->query_safe('ROLLBACK');
ok(finish($migrate), 'a batch gives way to a unique key being inserted, and ends when its writer does');
is(sql('SELECT count(*) FROM items WHERE cents = price * 100'), 10, 'with every row filled');
is(sql(q(SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres')), 0, 'and no deadlock');
$writer->quit;

done_testing();
