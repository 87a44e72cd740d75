# Fills by several workers, of tables of every shape and name, while both releases write: each row that
# needs it is filled, once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => <<'CONF');
max_worker_processes = 16
autovacuum = off
max_locks_per_transaction = 256
CONF
my $rows = 60000;

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# Both releases write, at the end of the table too, while three workers fill it.
sub fill_under_load
{
	my ($name) = @_;
	my $load = write_script($name, <<"SQL");
\\set id random(1, $rows)
UPDATE $name SET price = price + 1 WHERE id = :id;
\\set id random(1, $rows)
UPDATE $name SET cents = 700 WHERE id = :id;
INSERT INTO $name (id, price) VALUES (nextval('ids'), 7);
INSERT INTO $name (id, cents) VALUES (nextval('ids'), 700);
SQL

	expand_counted($node, $name);
	ask(<<"SQL");
SELECT tandem.configure('$name', 'tandem.batch_target', '10ms');
SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '5000');
SQL
	my $writers = start_pgbench($node, '-c', '2', '-t', '300', '--rate', '200', '-f', $load);
	ask("CALL tandem.migrate('$name', background => true, workers => 3)");
	wait_for_running($node, "SELECT max(cardinality(workers)) = 3 FROM tandem.progress WHERE migration = '$name'");
	pass("$name: three workers are shown");
	ask("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '25000')");
	is_ended_well($node, $name, $name);
	ok(finish($writers), "$name: writers end well");
	my ($done, $failed) = pgbench_counts($writers);
	is("$done|$failed", '600|0', "$name: no write failed");
	is_shared($node, $name, 3);
	cmp_ok(ask("SELECT count(*) FROM $name WHERE pid = 0"), '>', 1200, "$name: writers filled rows in between");
	is(ask("SELECT count(*) FROM $name WHERE cents / 100 IS DISTINCT FROM price"), 0, "$name: every row is right");
	ask("CALL tandem.contract('$name')");
	return;
}

ask('CREATE SEQUENCE ids START 100001');

# one big table
ask(<<"SQL");
CREATE TABLE big (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 100));
INSERT INTO big SELECT i, i FROM generate_series(1, $rows) i;
SQL
fill_under_load('big');

# Hazard: partitions that are migrated one by one.
# 64 partitions and more: some divided again, some empty, one without a primary key, and one for all
# that comes
ask(<<"SQL");
CREATE TABLE parts (id int NOT NULL, price int, filler text DEFAULT repeat('x', 100)) PARTITION BY RANGE (id);
DO \$\$ BEGIN
	FOR i IN 0..49 LOOP
		EXECUTE format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s)', i, i * 1000, i * 1000 + 1000);
		IF i <> 7 THEN
			EXECUTE format('ALTER TABLE parts_%s ADD PRIMARY KEY (id)', i);
		END IF;
	END LOOP;
	FOR i IN 200..203 LOOP
		EXECUTE format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s)', i, i * 1000, i * 1000 + 1000);
	END LOOP;
	CREATE TABLE parts_sub PARTITION OF parts FOR VALUES FROM (50000) TO (100000) PARTITION BY HASH (id);
	FOR i IN 0..9 LOOP
		EXECUTE format('CREATE TABLE parts_sub_%s PARTITION OF parts_sub FOR VALUES WITH (MODULUS 10, REMAINDER %s)', i, i);
	END LOOP;
END \$\$;
CREATE TABLE parts_more PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT i, i FROM generate_series(1, $rows) i;
SQL
fill_under_load('parts');
is(ask(q(SELECT count(*), count(*) FILTER (WHERE state = 'done' AND percent = 100) FROM tandem.progress
	WHERE migration = 'parts' AND step = 'backfill')), '65|65', 'parts: each leaf has its own step, done');

# no primary key, rows that are equal; no row
ask(<<'SQL');
CREATE TABLE keyless (id int, price int);
INSERT INTO keyless SELECT 1, 1 FROM generate_series(1, 60000);
CREATE TABLE empty (id int, price int);
SQL
foreach my $case ([ 'keyless', 60000 ], [ 'empty', 0 ])
{
	my ($name, $count) = @$case;

	expand_counted($node, $name);
	ask("SELECT tandem.configure('$name', 'tandem.batch_target', '1ms'); CALL tandem.migrate('$name', workers => 3)");
	is_ended_well($node, $name, $name);
	is(ask("SELECT rows_filled, percent FROM tandem.progress WHERE migration = '$name' AND step = 'backfill'"),
		"$count|100.0", "$name: $count rows were filled");
	is(ask("SELECT rows_done FROM tandem.progress WHERE migration = '$name' AND step = 'verify'"), $count,
		"$name: no block is given to two workers");
	is(ask("SELECT count(*) FROM $name WHERE cents = price * 100"), $count, "$name: every row");
	ask("CALL tandem.contract('$name')");
}

# the end of the table grows by more than there was, of both releases
ask(<<'SQL');
CREATE TABLE grows (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 150));
INSERT INTO grows SELECT i, i FROM generate_series(1, 10000) i;
SQL
expand_counted($node, 'grows');
run_slowly($node, 'grows', 3);
pause_run($node, 'grows');
cmp_ok(ask('SELECT count(*) FROM grows WHERE cents IS NULL'), '>', 1000, 'grows: in the middle');
ask(<<'SQL');
INSERT INTO grows (id, price) SELECT i, i FROM generate_series(100001, 110000) i;
INSERT INTO grows (id, cents) SELECT i, i * 100 FROM generate_series(200001, 210000) i;
SQL
speed_up($node, 'grows');
is_ended_well($node, 'grows', 'grows');
is_shared($node, 'grows', 2);
is(ask('SELECT count(*), count(*) FILTER (WHERE cents = price * 100) FROM grows'), '30000|30000', 'grows: every row is right');

# nothing to fill, only an index to build
ask(<<'SQL');
SELECT tandem.create_migration('index only');
SELECT tandem.add_index('index only', 'CREATE INDEX grows_price ON grows (price)');
CALL tandem.migrate('index only', background => true, workers => 3);
SQL
wait_for_running($node, q(SELECT NOT background AND running_pid IS NULL FROM tandem.migrations WHERE name = 'index only'));
is(ask(q(SELECT phase, (SELECT indisvalid FROM pg_index WHERE indexrelid = 'grows_price'::regclass) FROM tandem.migrations
	WHERE name = 'index only')), 'contract|t', 'a migration of an index alone');
is(ask(q(SELECT string_agg(step, ',') FROM tandem.progress WHERE migration = 'index only')), 'index', 'has that step only');
ask(q(CALL tandem.contract('index only')));

# Hazard: names of keys and indexes are assumed.
# Names that have to be quoted, as long as they may be; a migration's may be longer.
sub quoted { return '"' . $_[0] =~ s/"/""/gr . '"'; }
sub literal { return q(E') . $_[0] =~ s/\\/\\\\/gr =~ s/'/''/gr . q('); }
my $odd = q( %s "q" 'q' \\ $$ {x},);
my %name = map { $_ => substr("$_$odd" . 'x' x 63, 0, 63) } ('schema', 'table', 'key', 'old', 'new', 'index', 'check', 'unique');
my $migration = "m$odd" . 'x' x 100;
my %quoted = map { $_ => quoted($name{$_}) } keys %name;
my $table = literal("$quoted{schema}.$quoted{table}");
my $m = literal($migration);
ask(<<"SQL");
CREATE SCHEMA $quoted{schema};
CREATE TABLE $quoted{schema}.$quoted{table} ($quoted{key} int PRIMARY KEY, $quoted{old} int);
INSERT INTO $quoted{schema}.$quoted{table} SELECT i, i FROM generate_series(1, 5000) i;
BEGIN;
SELECT tandem.create_migration($m);
SELECT tandem.add_column($m, $table, ${\ literal($name{new}) }, 'bigint');
SELECT tandem.sync_column($m, $table, ${\ literal($name{old}) }, ${\ literal($name{new}) },
	${\ literal("$quoted{old} * 100::bigint") }, ${\ literal("($quoted{new} / 100)::int") });
SELECT tandem.add_index($m, ${\ literal("CREATE INDEX $quoted{index} ON $quoted{schema}.$quoted{table} ($quoted{new})") });
SELECT tandem.add_constraint($m, $table, ${\ literal($name{check}) }, ${\ literal("CHECK ($quoted{new} > 0)") });
SELECT tandem.add_constraint($m, $table, ${\ literal($name{unique}) }, ${\ literal("UNIQUE ($quoted{new})") });
SELECT tandem.add_not_null($m, $table, ${\ literal($name{new}) });
COMMIT;
CALL tandem.migrate($m, background => true, workers => 2);
SQL
wait_for_running($node, "SELECT NOT background AND running_pid IS NULL FROM tandem.migrations WHERE name = $m");
is(ask("SELECT phase, error FROM tandem.migrations WHERE name = $m"), 'contract|', 'odd names: the run ends well');
is(ask("SELECT count(*) FROM $quoted{schema}.$quoted{table} WHERE $quoted{new} = $quoted{old} * 100"), 5000, 'odd names: every row is right');
is(ask("SELECT count(*) FROM pg_constraint WHERE conrelid = $table\::regclass AND convalidated AND conname IN (${\ literal($name{check}) }, ${\ literal($name{unique}) })"),
	2, 'odd names: constraints are there');
is(ask("SELECT indisvalid FROM pg_index WHERE indexrelid = (${\ literal(qq($quoted{schema}.$quoted{index})) })::regclass"), 't', 'odd names: and the index');
ask("CALL tandem.contract($m)");
is(ask("SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = $table\::regclass AND attnum > 0 AND NOT attisdropped"),
	"$name{key},$name{new}", 'odd names: contract');

done_testing();
