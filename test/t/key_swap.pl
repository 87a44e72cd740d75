# The hazard of a key that changes its type, here int for bigint, with its sequence or identity and all that refers to
# it: one call, under the load of both releases.  The stock TPC-B script of pgbench, unmodified, goes on through
# change_key of the branches and contract; a pair of partitioned tables is changed while each phase is killed once.
# Hazard: a key column that is swapped.
# Hazard: rows with a GENERATED ALWAYS identity key.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => <<'CONF');
session_preload_libraries = 'pg_tandem'
restart_after_crash = on
CONF

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub types_are
{
	my ($expected, @columns) = @_;

	is(sql("SELECT DISTINCT atttypid::regtype FROM pg_attribute WHERE attrelid::regclass || '.' || attname = ANY ('{" . join(',', @columns) . "}') AND NOT attisdropped"),
		$expected, "$expected is the type of @columns");
	return;
}

# 1. TPC-B, as both releases, each through its views.
$node->command_ok([ 'pgbench', '-i', '-q', '-s', '2', '--foreign-keys', '-h', $node->host, '-p', $node->port, 'postgres' ], 'tables of pgbench');
sql(q(SELECT tandem.register_release(1); SELECT tandem.switch_release(1); SELECT tandem.create_views(1, schemas => '{public}')));
my $constraints = q(SELECT conrelid::regclass, conname, contype, pg_get_constraintdef(oid), convalidated FROM pg_constraint
	WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, 2);
my $before = sql($constraints);

sub start_release
{
	my ($release, @options) = @_;

	local $ENV{PGOPTIONS} = "-c tandem.release=$release -c search_path=release_$release";
	return start_pgbench($node, '-c', '2', '-T', '600', @options);
}

sub progressed
{
	my ($what) = @_;
	my $count = sql('SELECT count(*) FROM pgbench_history');

	wait_for_running($node, "SELECT count(*) > $count + 100 FROM pgbench_history");
	pass("clients go on $what");
	return;
}

my $old = start_release(1, '-s', '2', '-M', 'prepared');
progressed('before expand');
sql(q(SELECT tandem.create_migration('key', release => 2)));
sql(q(CALL tandem.change_key('key', 'pgbench_branches', 'bid', 'bigint')));
sql(q(SELECT tandem.create_views(2, schemas => '{public}')));
progressed('after expand');
sql(q(SET tandem.batch_target = '20ms'; SET client_min_messages = warning; CALL tandem.migrate('key')));
my $new = start_release(2, '-s', '2');
progressed('after migrate');
sql('SELECT tandem.switch_release(2)');
ends_without_failure($old, 'release 1');
sql(q(SET client_min_messages = error; CALL tandem.contract('key', undeclared => 'ignore')));
progressed('after contract');
ends_without_failure($new, 'release 2');
sums_agree($node, 'with another key');
is(sql($constraints), $before, 'all keys are the same');
types_are('bigint', map { "pgbench_$_.bid" } qw(branches tellers accounts history));
is(sql('SELECT count(*) FROM pgbench_accounts a LEFT JOIN pgbench_branches b USING (bid) WHERE b.bid IS NULL'), 0, 'each account has its branch');

# 2. Two partitioned tables; each phase is killed once, with -9.
sql(<<'SQL');
CREATE TABLE orders (region int, id int GENERATED ALWAYS AS IDENTITY, note text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES IN (1);
CREATE TABLE orders_2 PARTITION OF orders FOR VALUES IN (2);
CREATE TABLE lines (region int, order_id int, n int, PRIMARY KEY (region, order_id, n), FOREIGN KEY (region, order_id) REFERENCES orders ON DELETE CASCADE) PARTITION BY LIST (region);
CREATE TABLE lines_1 PARTITION OF lines FOR VALUES IN (1);
CREATE TABLE lines_2 PARTITION OF lines FOR VALUES IN (2);
INSERT INTO orders (region, note) SELECT 1 + i % 2, 'first' FROM generate_series(1, 20000) i;
INSERT INTO lines SELECT region, id, 1 FROM orders;
SELECT tandem.create_views(2, ARRAY['orders', 'lines']);
SQL
my $shape = q(SELECT conrelid::regclass, conname, contype, pg_get_constraintdef(oid) FROM pg_constraint
	WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, 2);
my $keys = sql($shape);
my $script = write_script('orders', <<'SQL');
INSERT INTO orders (region, note) VALUES (1, 'written') RETURNING id AS order \gset
INSERT INTO lines VALUES (1, :order, 1), (1, :order, 2);
UPDATE lines SET n = 3 WHERE region = 1 AND order_id = :order AND n = 2;
DELETE FROM orders WHERE region = 1 AND id = :order - 100;
SQL

# Those of the release have written, and nothing has failed.
sub works
{
	my ($release, $when) = @_;

	local $ENV{PGOPTIONS} = "-c tandem.release=$release -c search_path=release_$release";
	$node->command_ok([ 'pgbench', '-n', '-c', '2', '-t', '50', '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
		"release $release works $when");
	return;
}

# Calls it while somebody has the table, and kills the session that waits for it there.
sub kill_in
{
	my ($what, $call, $table, $until) = @_;
	my $holder = $node->background_psql('postgres');
	my $job;
	my $pid;

	$holder->query_safe("BEGIN; LOCK TABLE $table MODE;");
	$job = start_psql($node, 'postgres', "SET application_name = 'killed'; SET tandem.lock_retry_time = '100s'", $call);
	wait_for_running($node, $until);
	$pid = sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'killed'");
	is(kill('KILL', $pid), 1, "$what is killed");
	wait_for_running($node, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
	ok(!finish($job), "$what has ended");
	eval { $holder->quit };
	return;
}

my $change = q(CALL tandem.change_key('swap', 'orders', 'id', 'bigint'));
sql(q(SELECT tandem.create_migration('swap', release => 3)));
kill_in('change_key', $change, 'lines_2 IN ROW EXCLUSIVE', q(SELECT EXISTS (SELECT FROM tandem.operations WHERE operation = 'change_column' AND relation = 'orders'::regclass AND migration = 'swap')));
is(sql(q(SELECT operation, relation, column_name FROM tandem.operations WHERE migration = 'swap' AND operation LIKE 'change%' ORDER BY 1)),
	"change_column|orders|id\nchange_key|lines|order_id", 'one table is changed, and the other named');
works(2, 'between the tables');
is_refused($node, q(CALL tandem.migrate('swap')), qr/changes a key, and not yet all.*- column order_id of table public\.lines.*CALL tandem\.change_key\('swap', 'public\.orders', 'id', 'bigint'\); then migrate/s,
	'migrate between the tables');
sql($change);
sql(q(SELECT tandem.create_views(3, ARRAY['orders', 'lines'])));
works(2, 'after expand');

# the backfill fills, and waits for the second partition
kill_in('migrate', q(CALL tandem.migrate('swap')), 'orders_2 IN ACCESS EXCLUSIVE', q(SELECT EXISTS (SELECT FROM tandem.step t JOIN tandem.migration m ON m.id = t.migration WHERE m.name = 'swap' AND t.kind = 'backfill' AND t.rows_filled > 0)));
works(2, 'after migrate was killed');
sql(q(SET client_min_messages = warning; CALL tandem.migrate('swap')));
works($_, 'after migrate') foreach (2, 3);
is(sql('SELECT count(*) FROM orders WHERE id IS DISTINCT FROM id__3') . sql('SELECT count(*) FROM lines WHERE order_id IS DISTINCT FROM order_id__3'), '00',
	'both keys are one, whoever wrote');

my $contract = q(CALL tandem.contract('swap', undeclared => 'ignore'));
sql('SELECT tandem.switch_release(3)');
kill_in('contract', $contract, 'lines_1 IN ROW EXCLUSIVE', q(SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'killed' AND NOT l.granted AND l.relation = 'lines_1'::regclass)));
works(3, 'after contract was killed');
my $last = sql('SELECT last_value FROM orders_id_seq');
sql("SET client_min_messages = error; $contract");
works(3, 'after contract');
is(sql($shape), $keys, 'all keys of the partitions are the same');
types_are('bigint', 'orders.id', 'orders_1.id', 'lines.order_id', 'lines_2.order_id');
is(sql(q(SELECT attidentity, pg_get_serial_sequence('orders', 'id') FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'id')), 'a|public.orders_id_seq',
	'the identity is one, with its sequence');
is(sql(q(SELECT seqtypid::regtype FROM pg_sequence WHERE seqrelid = 'orders_id_seq'::regclass)), 'bigint', 'which goes on beyond an int');
cmp_ok(sql('SELECT last_value FROM orders_id_seq') - $last, '==', 100, 'each INSERT has taken one number');
is(sql(q(SELECT count(*) FROM lines l LEFT JOIN orders o ON o.region = l.region AND o.id = l.order_id WHERE o.id IS NULL)), 0, 'each line has its order');
sql(q(SELECT setval('orders_id_seq', 3000000000)));
is(sql(q(INSERT INTO orders (region) VALUES (2) RETURNING id)), '3000000001', 'more than an int can hold');
is(sql(q(INSERT INTO lines (region, order_id, n) VALUES (2, 3000000001, 1) RETURNING order_id)), '3000000001', 'also in what refers to it');
is_refused($node, 'INSERT INTO lines (region, order_id, n) VALUES (2, 3000000002, 1)', qr/violates foreign key constraint "lines_region_order_id_fkey"/, 'a line without order');

# 3. Where the table is published contract renames no column, and take_names does it later.
sql(<<'SQL');
CREATE TABLE sent (id serial PRIMARY KEY, note text);
CREATE TABLE marks (id int PRIMARY KEY, sent_id int REFERENCES sent);
INSERT INTO sent (note) VALUES ('a'), ('b');
INSERT INTO marks VALUES (1, 1);
CREATE PUBLICATION p FOR TABLE sent, marks;
SELECT tandem.create_views(3, ARRAY['sent', 'marks']);
SELECT tandem.create_migration('sent', release => 4);
SELECT tandem.change_column('sent', 'sent', 'id', 'bigint', cascade => true);
SELECT tandem.create_views(4, ARRAY['sent', 'marks']);
SQL
sql(q(SET client_min_messages = warning; CALL tandem.migrate('sent')));
sql(q(SELECT tandem.switch_release(4)));
sql(q(SET client_min_messages = error; CALL tandem.contract('sent', undeclared => 'ignore')));
is(sql(q(SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid IN ('sent'::regclass, 'marks'::regclass) AND contype <> 'n' AND conname <> 'marks_pkey' ORDER BY 1)),
	"marks_sent_id_fkey|f|FOREIGN KEY (sent_id__4) REFERENCES sent(id__4)\nsent_pkey|p|PRIMARY KEY (id__4)", 'published: the keys have moved, the columns keep their names');
sql(q(UPDATE release_4.sent SET note = 'c' WHERE id = 1; INSERT INTO release_4.sent (note) VALUES ('d'); SELECT tandem.take_names('sent')));
is(sql(q(SELECT string_agg(id || note, ',' ORDER BY id) FROM sent)), '1c,2b,3d', 'and take them later');

done_testing();
