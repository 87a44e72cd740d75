# Tables whose rows a fill cannot reach: refused at expand, and where they become so later, with an error that says why.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $library = PostgreSQL::Test::Utils::tempdir . '/no_tid_range.so';
my ($compiler) = split ' ', `$ENV{PG_CONFIG} --cc`;
chomp(my $headers = `$ENV{PG_CONFIG} --includedir-server`);
chomp(my $flags = `$ENV{PG_CONFIG} --cppflags`);

system_or_bail($compiler, '-shared', '-fPIC', split(' ', $flags), "-I$headers", '-o', $library,
	"$FindBin::Bin/lib/no_tid_range.c");

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# What expand is made of, each of which must refuse the table.
sub is_refused_at_expand
{
	my ($table, $error, $what) = @_;

	ask("SELECT tandem.create_migration('$table')");
	is_refused($node, "SELECT tandem.add_column('$table', '$table', 'cents', 'bigint')", $error, "$what: add_column");
	ask("ALTER TABLE $table ADD cents bigint");
	is_refused($node, "SELECT tandem.sync_column('$table', '$table', 'price', 'cents', 'price * 100')", $error, "$what: sync_column");
	is_refused($node, "SELECT tandem.add_index('$table', 'CREATE INDEX ON $table (price)')", $error, "$what: add_index");
	is_refused($node, "SELECT tandem.add_constraint('$table', '$table', 'c', 'CHECK (price > 0)')", $error, "$what: add_constraint");
	ask("CALL tandem.abort('$table')");
	return;
}

my $no_scan = qr/ERROR:  rows of table "\w+" cannot be read block by block.*TID range scans.*HINT:.*SET ACCESS METHOD heap/s;

sub test_access_method
{
	ask(<<"SQL");
CREATE FUNCTION no_tid_range(internal) RETURNS table_am_handler LANGUAGE c AS '$library', 'no_tid_range';
CREATE ACCESS METHOD no_tid_range TYPE TABLE HANDLER no_tid_range;
CREATE TABLE plain (id int, price int) USING no_tid_range;
CREATE TABLE tree (id int, price int) PARTITION BY LIST (id);
CREATE TABLE tree_1 PARTITION OF tree FOR VALUES IN (1);
CREATE TABLE tree_2 PARTITION OF tree FOR VALUES IN (2) USING no_tid_range;
SQL
	is_refused_at_expand('plain', $no_scan, 'no TID range scan');
	is_refused_at_expand('tree', $no_scan, 'no TID range scan of a partition');
	# it comes later
	ask(<<'SQL');
ALTER TABLE tree DETACH PARTITION tree_2;
ALTER TABLE tree DROP cents;
INSERT INTO tree VALUES (1, 1);
INSERT INTO tree_2 (id, price) VALUES (2, 2);
SQL
	ask(<<'SQL');
SELECT tandem.create_migration('m');
SELECT tandem.add_column('m', 'tree', 'cents', 'bigint');
SELECT tandem.sync_column('m', 'tree', 'price', 'cents', 'price * 100', 'cents / 100');
ALTER TABLE tree_1 SET ACCESS METHOD no_tid_range;
SQL
	is_refused($node, q(CALL tandem.migrate('m')), $no_scan, 'an access method changed later: migrate');
	ask(<<'SQL');
ALTER TABLE tree_1 SET ACCESS METHOD heap;
CALL tandem.migrate('m');
ALTER TABLE tree ATTACH PARTITION tree_2 FOR VALUES IN (2);
SQL
	is_refused($node, q(CALL tandem.migrate('m')), $no_scan, 'a partition attached later: migrate');
	is_refused($node, q(SELECT * FROM tandem.verify('m')), $no_scan, 'a partition attached later: verify');
	is_refused($node, q(CALL tandem.contract('m')), qr/tree_2 is not filled/, 'a partition attached later: contract');
	ask('ALTER TABLE tree_2 SET ACCESS METHOD heap');
	ask(q(CALL tandem.migrate('m')));
	is(ask('SELECT count(*) FROM tree WHERE cents = price * 100'), 2, 'and with one that has them all is filled');
	ask(q(CALL tandem.contract('m')));
	return;
}

# A row in the catalog of such an extension is all that is looked at.
sub test_distributed
{
	my ($name, $catalog, $row) = @_;
	my $elsewhere = qr/ERROR:  the rows of table "d" are not in this table\nDETAIL:  $name keeps them elsewhere/;

	ask("CREATE TABLE d (id int, price int); INSERT INTO d VALUES (1, 1); INSERT INTO $catalog VALUES $row");
	is_refused_at_expand('d', $elsewhere, $name);
	# it comes later
	ask(<<"SQL");
TRUNCATE $catalog;
DROP TABLE d;
CREATE TABLE d (id int, price int);
INSERT INTO d VALUES (1, 1);
SELECT tandem.create_migration('later');
SELECT tandem.add_column('later', 'd', 'cents', 'bigint');
SELECT tandem.sync_column('later', 'd', 'price', 'cents', 'price * 100', 'cents / 100');
INSERT INTO $catalog VALUES $row;
SQL
	is_refused($node, q(CALL tandem.migrate('later')), $elsewhere, "$name, later: migrate");
	ask("TRUNCATE $catalog; CALL tandem.migrate('later'); INSERT INTO $catalog VALUES $row");
	is_refused($node, q(SELECT * FROM tandem.verify('later')), $elsewhere, "$name, later: verify");
	is_refused($node, q(CALL tandem.contract('later')), $elsewhere, "$name, later: contract");
	is_refused($node, q(CALL tandem.contract('later', force => true)), $elsewhere, "$name, later: contract by force");
	is(ask('SELECT price FROM d'), 1, "$name: the old column is there");
	ask("CALL tandem.abort('later'); DROP TABLE d; TRUNCATE $catalog");
	return;
}

# A foreign partition that comes after expand is refused, and nothing is proved or dropped with one.
sub test_foreign
{
	my $made = 'CREATE FOREIGN TABLE f_2 PARTITION OF f FOR VALUES IN (2) SERVER nowhere';
	my $attached = 'ALTER TABLE f ATTACH PARTITION f_3 FOR VALUES IN (3)';
	my $rows = qr/a foreign table/;

	ask(<<'SQL');
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE TABLE f (id int, price int) PARTITION BY LIST (id);
CREATE TABLE f_1 PARTITION OF f FOR VALUES IN (1);
INSERT INTO f VALUES (1, 1);
SELECT tandem.create_migration('f');
SELECT tandem.add_column('f', 'f', 'cents', 'bigint');
SELECT tandem.sync_column('f', 'f', 'price', 'cents', 'price * 100', 'cents / 100');
CREATE FOREIGN TABLE f_3 (id int, price int, cents bigint) SERVER nowhere;
CREATE TABLE f_4 (id int, price int, cents bigint) PARTITION BY LIST (price);
CREATE FOREIGN TABLE f_41 PARTITION OF f_4 FOR VALUES IN (1) SERVER nowhere;
SQL
	is_refused($node, $made, qr/CREATE FOREIGN TABLE would break migration "f"\n.*public.f_2 is a foreign table/, 'a foreign partition: created');
	is_refused($node, $attached, qr/ALTER TABLE would break migration "f"\n.*public.f_3 is a foreign table/, 'a foreign partition: attached');
	is_refused($node, 'ALTER TABLE f ATTACH PARTITION f_4 FOR VALUES IN (4)',
		qr/ALTER TABLE would break migration "f"\n.*public.f_41 is a foreign table/, 'a foreign partition: below what is attached');
	ask("CALL tandem.migrate('f'); ALTER EVENT TRIGGER tandem_guard_ddl DISABLE; $made; ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS");
	is(ask(q(SELECT health FROM tandem.syncs WHERE migration = 'f')), 'broken', 'past the guard: shown');
	is_refused($node, q(CALL tandem.migrate('f')), $rows, 'past the guard: migrate');
	is_refused($node, q(SELECT * FROM tandem.verify('f')), $rows, 'past the guard: verify');
	is_refused($node, q(CALL tandem.contract('f')), $rows, 'past the guard: contract');
	is_refused($node, q(CALL tandem.contract('f', force => true)), $rows, 'past the guard: contract by force');
	ask('ALTER TABLE f DETACH PARTITION f_2');
	is(ask(q(SELECT health FROM tandem.syncs WHERE migration = 'f')), 'healthy', 'and without it all is well');
	ask(q(CALL tandem.migrate('f')));
	ask(q(CALL tandem.contract('f')));
	return;
}

test_access_method();
test_foreign();
ask(<<'SQL');
CREATE TABLE pg_dist_partition (logicalrelid regclass);
CREATE SCHEMA _timescaledb_catalog;
CREATE TABLE _timescaledb_catalog.hypertable (schema_name name, table_name name);
SQL
test_distributed('Citus', 'pg_dist_partition', q(('d')));
test_distributed('TimescaleDB', '_timescaledb_catalog.hypertable', q(('public', 'd')));
ask('DROP TABLE pg_dist_partition');
# nobody stops the migrations of others by a table of such a name, nor by one with other columns
ask(<<'SQL');
CREATE ROLE mallory;
CREATE SCHEMA AUTHORIZATION mallory;
CREATE TABLE d (id int, price int);
SET ROLE mallory;
CREATE TABLE mallory.pg_dist_partition (logicalrelid regclass);
INSERT INTO mallory.pg_dist_partition VALUES ('d');
RESET ROLE;
CREATE TABLE pg_dist_partition (logicalrelid text);
INSERT INTO pg_dist_partition VALUES ('d');
SELECT tandem.create_migration('free');
SELECT tandem.add_column('free', 'd', 'cents', 'bigint');
SELECT tandem.sync_column('free', 'd', 'price', 'cents', 'price * 100', 'cents / 100');
CALL tandem.migrate('free');
CALL tandem.contract('free');
SQL
is(ask(q(SELECT phase FROM tandem.migrations WHERE name = 'free')), 'done', 'a table of a stranger is not believed');
$node->stop;
done_testing();
