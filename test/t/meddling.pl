# Others do to tables, extension and database whatever they may while a migration runs in the
# background: it goes on, or ends with an answer, and what was done stays right.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => <<'CONF');
max_worker_processes = 16
shared_preload_libraries = 'pg_tandem'
tandem.launcher_interval = 1s
CONF

sub ask
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database || 'postgres', $sql);
}

# A table of so many rows, a run of several workers in its middle.
sub start_run
{
	my ($name, $rows, $database) = @_;

	ask(<<"SQL", $database);
CREATE TABLE $name (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 150));
INSERT INTO $name SELECT i, i FROM generate_series(1, $rows) i;
SQL
	expand_counted($node, $name, database => $database);
	run_slowly($node, $name, 3, $database);
	return;
}

sub wait_for_end
{
	my ($name) = @_;

	wait_for_running($node, "SELECT running_pid IS NULL AND NOT background FROM tandem.migrations WHERE name = '$name'");
	return;
}

# A rewrite moves rows that are not filled to where filled ones were.
sub test_rewrite
{
	start_run('rewritten', 40000);
	ask(q(SELECT tandem.configure('rewritten', 'tandem.max_rows_per_second', '4000')));
	foreach my $round (1 .. 2)
	{
		wait_for_running($node, q(SELECT done > 60 FROM tandem.progress WHERE migration = 'rewritten' AND step = 'backfill'));
		ask("DELETE FROM rewritten WHERE id % 5 = $round");
		ask('VACUUM FULL rewritten');
		note(ask('SELECT count(*) FROM rewritten WHERE pid IS NULL') . ' rows to fill');
		cmp_ok(ask('SELECT count(*) FROM rewritten WHERE pid IS NULL'), '>', 0, "rewrite: in the middle") if $round == 1;
	}
	speed_up($node, 'rewritten');
	is_ended_well($node, 'rewritten', 'rewrite');
	is(ask('SELECT count(*), count(*) FILTER (WHERE pid <> 0 AND cents = price * 100) FROM rewritten'), '24000|24000',
		'rewrite: every row was filled');
	ask(q(CALL tandem.contract('rewritten')));
	return;
}

sub test_rename
{
	start_run('old_name', 10000);
	ask('ALTER TABLE old_name RENAME TO new_name; CREATE SCHEMA s; ALTER TABLE new_name SET SCHEMA s');
	cmp_ok(ask('SELECT count(*) FROM s.new_name WHERE pid <> 0'), '<', 10000, 'rename: in the middle');
	speed_up($node, 'old_name');
	is_ended_well($node, 'old_name', 'rename');
	is(ask(q(SELECT relation, rows_filled FROM tandem.progress WHERE migration = 'old_name' AND step = 'backfill')),
		's.new_name|10000', 'rename: shown under its name, each row filled once');
	ask(q(CALL tandem.contract('old_name')));
	return;
}

sub test_partitions
{
	my ($workers) = @_;

	ask(<<'SQL');
CREATE TABLE parts (id int, price int, filler text DEFAULT repeat('x', 150)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10000);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10000) TO (20000);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (20000) TO (30000);
INSERT INTO parts SELECT i, i FROM generate_series(0, 29999) i;
SQL
	expand_counted($node, 'parts');
	ask(<<'SQL');
CREATE TABLE parts_4 (LIKE parts INCLUDING DEFAULTS);
INSERT INTO parts_4 (id, price) SELECT i, i FROM generate_series(30000, 30999) i;
SQL
	my $progress = q(FROM tandem.progress WHERE migration = 'parts' AND step = 'backfill');
	run_slowly($node, 'parts', $workers);
	my $first = ask("SELECT relation $progress AND rows_filled > 0 LIMIT 1");
	ask("ALTER TABLE parts DETACH PARTITION $first");
	cmp_ok(ask("SELECT count(*) FROM $first WHERE cents IS NULL"), '>', 0, "$workers workers: $first is detached in its middle");
	wait_for_running($node, "SELECT bool_or(rows_filled > 0) $progress AND relation::text <> '$first'");
	my $second = ask("SELECT relation $progress AND rows_filled > 0 AND relation::text <> '$first' LIMIT 1");
	cmp_ok(ask("SELECT count(*) FROM $second WHERE cents IS NULL"), '>', 0, "$workers workers: $second is dropped in its middle");
	ask("DROP TABLE $second");
	ask('ALTER TABLE parts ATTACH PARTITION parts_4 FOR VALUES FROM (30000) TO (40000)');
	speed_up($node, 'parts');
	wait_for_end('parts');
	is(ask(q(SELECT phase, error FROM tandem.migrations WHERE name = 'parts')), 'contract|', "$workers workers: the run ends well");
	is(ask("SELECT state, rows_filled $progress"), 'done|10000', "$workers workers: the one that stayed is filled");
	is_refused($node, q(CALL tandem.contract('parts')), qr/HINT: .*tandem\.migrate/, 'contract before the new one is filled');
	ask(q(CALL tandem.migrate('parts')));
	is_ended_well($node, 'parts', "$workers workers, migrate again");
	is(ask('SELECT count(*), count(*) FILTER (WHERE cents = price * 100) FROM parts'), '11000|11000', 'the new one is filled too');
	ask(q(CALL tandem.abort('parts')));
	ask("DROP TABLE parts, $first; DROP EXTENSION pg_tandem; CREATE EXTENSION pg_tandem");
	return;
}

sub test_drop_table
{
	start_run('dropped', 20000);
	my ($status, $out, $err) = $node->psql('postgres', 'DROP TABLE dropped');
	is($status, 0, 'drop: the table is the user\'s to drop') or note($err);
	wait_for_end('dropped');
	is(ask(q(SELECT error FROM tandem.migrations WHERE name = 'dropped')) =~ s/OID \d+/OID n/r,
		'table with OID n of migration "dropped" was dropped', 'drop: the run ends and says why');
	like(ask(q(SELECT hint FROM tandem.migrations WHERE name = 'dropped')), qr/tandem\.abort/, 'drop: and what to do');
	ask(q(CALL tandem.abort('dropped')));
	is(ask(q(SELECT phase FROM tandem.migrations WHERE name = 'dropped')), 'aborted', 'drop: abort');
	return;
}

# A dropped extension, and databases that go.
sub test_drop_database
{
	my $launcher = q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND datname IS NULL);
	my $pid = ask($launcher);
	my $workers = q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND datname = 'other');

	ask('CREATE DATABASE other');
	ask('CREATE EXTENSION pg_tandem', 'other');
	start_run('items', 20000, 'other');
	my $pids = ask(q(SELECT array_agg(w) FROM (SELECT unnest(workers) FROM tandem.progress) p (w)), 'other');
	my $at_work = "$workers AND pid = ANY ('$pids')";
	is(ask($at_work), 3, "database: three workers are at work in it: $pids");
	is_refused($node, 'DROP DATABASE other', qr/ERROR:  database "other" is being accessed by other users/, 'database: DROP');
	# the launcher may look into the database meanwhile
	is(ask($at_work), 3, 'database: they stay at work');
	ask('DROP DATABASE other WITH (FORCE)');
	is(ask(q(SELECT count(*) FROM pg_database WHERE datname = 'other')), 0, 'database: FORCE drops it');
	is(ask($workers), 0, 'database: no worker is left');
	# the launcher is at work as before: it resumes what was killed elsewhere
	start_run('after', 10000);
	ask(q(SELECT pg_terminate_backend(running_pid) FROM tandem.migrations WHERE name = 'after'));
	speed_up($node, 'after');
	is_ended_well($node, 'after', 'database: a migration of another one that was terminated');
	is(ask($launcher), $pid, 'database: the launcher has lived through it');
	return;
}

sub test_drop_extension
{
	my $workers = q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND datname = 'postgres');

	start_run('extended', 20000);
	my ($status, $out, $err) = $node->psql('postgres', 'DROP EXTENSION pg_tandem');
	note("$status $err");
	isnt($status, 0, 'extension: DROP is refused as long as triggers need it');
	is(ask(q(SELECT running_pid IS NOT NULL FROM tandem.migrations WHERE name = 'extended')), 't', 'extension: the run goes on');
	ask('SET client_min_messages = error; ALTER EVENT TRIGGER tandem_guard_before DISABLE; DROP EXTENSION pg_tandem CASCADE');
	wait_for_running($node, $workers =~ s/count\(\*\)/count(*) = 0/r);
	is(ask('SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal'), 0, 'extension: CASCADE takes the triggers');
	is(ask(q(UPDATE extended SET price = 0 WHERE id = 1 RETURNING price)), 0, 'extension: the table is written as ever');
	return;
}

# A batch that takes long, and then reads our tables: DROP EXTENSION waits for it with nothing held, so
# neither of them is in a deadlock.
sub test_drop_extension_in_batch
{
	my $relations = q(SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE a.query ~ '^DROP EXTENSION' AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock');
	my $holder = $node->background_psql('postgres');

	ask(<<'SQL');
CREATE EXTENSION pg_tandem;
CREATE TABLE stopped (id int PRIMARY KEY, price int);
INSERT INTO stopped SELECT i, i FROM generate_series(1, 10) i;
CREATE FUNCTION stop_at(id int, price int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	IF id = 2 THEN PERFORM pg_advisory_xact_lock_shared(2); END IF;
	RETURN price * 100;
END $$;
BEGIN;
SELECT tandem.create_migration('stopped');
ALTER TABLE stopped ADD COLUMN cents bigint;
SELECT tandem.sync_column('stopped', 'stopped', 'price', 'cents', 'stop_at(id, price)', '(cents / 100)::int');
COMMIT;
SELECT tandem.configure('stopped', 'tandem.batch_lock_timeout', '0');
SQL
	$holder->query_safe('SELECT pg_advisory_lock(2)');
	my $migrate = start_psql($node, 'postgres', q(CALL tandem.migrate('stopped')));
	wait_for_running($node, q(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted));
	my $drop = start_psql($node, 'postgres', 'SET client_min_messages = error; ALTER EVENT TRIGGER tandem_guard_before DISABLE', 'DROP EXTENSION pg_tandem CASCADE');
	wait_for_running($node,
		q(SELECT count(*) = 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.query ~ '^DROP EXTENSION' AND NOT granted));
	is(ask($relations), 0, 'extension: DROP waits for a batch before it has locked any table');
	$holder->query_safe('SELECT pg_advisory_unlock(2)');
	ok(finish($drop), 'extension: and gets it when the batch has ended') or note($drop->{err});
	ok(!finish($migrate), 'extension: the run in the foreground ends');
	unlike($migrate->{err}, qr/deadlock/, 'extension: without a deadlock');
	like($migrate->{err}, qr/ERROR:  table tandem\.\w+ of extension pg_tandem does not exist.*HINT:  Run CREATE EXTENSION/s,
		'extension: and says why');
	$holder->quit;
	return;
}

test_partitions(1);
test_partitions(2);
test_rewrite();
test_rename();
test_drop_table();
test_drop_database();
test_drop_extension();
test_drop_extension_in_batch();
done_testing();
