# DDL of users beside a migration, on servers that take the publications of releases: no writer fails, and what is
# written arrives.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my %server = map { $_ => new_server($_, conf => "wal_level = logical\nwal_retrieve_retry_interval = 200ms\nautovacuum = off\n") } qw(a b);

sub sql
{
	my ($name, $sql) = @_;

	return $server{$name}->safe_psql('postgres', $sql);
}

sub are_equal
{
	my ($what) = @_;

	$server{a}->wait_for_catchup('s');
	foreach my $query ('SELECT id8, price, note FROM orders ORDER BY id8', 'SELECT id, at, price FROM parts ORDER BY id')
	{
		is(sql('b', $query), sql('a', $query), "$what: both have the same rows");
	}
	return;
}

foreach my $name (qw(b a))
{
	sql($name, <<'SQL');
CREATE TABLE orders (id int PRIMARY KEY, price int);
CREATE TABLE parts (id int, at int, price int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE pets (id int PRIMARY KEY, kind text, n int);
CREATE PUBLICATION p FOR TABLE orders, parts, pets;
SELECT tandem.create_publication(41, 'p');
SQL
}
sql('b', "CREATE SUBSCRIPTION s CONNECTION '" . $server{a}->connstr . " dbname=postgres' PUBLICATION release_41");
$server{b}->wait_for_subscription_sync($server{a}, 's');

# Rule: the key swap fails no writer, on a server whose publication leaves columns out.
sql($_, q(BEGIN;
	SELECT tandem.create_migration('m', 42);
	SELECT tandem.add_column('m', 'orders', 'id8', 'bigint');
	SELECT tandem.sync_column('m', 'orders', 'id', 'id8', 'id::bigint', 'coalesce(id8, 0)::int');
	SELECT tandem.add_not_null('m', 'orders', 'id8');
	SELECT tandem.add_index('m', 'CREATE UNIQUE INDEX orders_id8 ON orders (id8)');
	COMMIT;)) foreach qw(a b);
sql($_, q(ALTER TABLE orders ADD COLUMN note text)) foreach qw(b a);
sql('a', q(INSERT INTO orders (id, price, note) VALUES (1, 10, 'a')));
sql('a', q(INSERT INTO parts VALUES (1, 1, 1)));
sql($_, q(CALL tandem.migrate('m'))) foreach qw(a b);
foreach my $name (qw(b a))
{
	sql($name, 'ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD CONSTRAINT orders_pkey PRIMARY KEY USING INDEX orders_id8');
	sql($name, 'UPDATE orders SET price = price + 1') if $name eq 'a';
}
are_equal('swapped');

# Rule: a partition that comes later is sent.
sql($_, 'CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20)') foreach qw(b a);
sql('b', 'SELECT tandem.take_release(42)');
sql('b', 'ALTER SUBSCRIPTION s REFRESH PUBLICATION');
$server{b}->wait_for_subscription_sync($server{a}, 's');
sql('a', 'INSERT INTO parts VALUES (2, 11, 2)');
sql('a', 'UPDATE parts SET price = price + 1');
sql('a', 'DELETE FROM orders WHERE id = 1');
are_equal('a new partition');

# Rule: a row that comes without the new columns, or without the old ones, keeps what it comes with, where both have a
# default that is computed: of two servers each has a sequence and a clock of its own.
sql($_, q(CREATE TABLE keys (id serial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(), day timestamptz DEFAULT now(), n int);
	ALTER PUBLICATION p ADD TABLE keys)) foreach qw(a b);
sql('b', 'ALTER SUBSCRIPTION s REFRESH PUBLICATION');
$server{b}->wait_for_subscription_sync($server{a}, 's');
my $keys = q(BEGIN; SELECT tandem.create_migration('keys', 43);
	SELECT tandem.add_column('keys', 'keys', 'id8', 'bigint'), tandem.sync_column('keys', 'keys', 'id', 'id8', 'id', 'coalesce(id8, 0)::int');
	SELECT tandem.add_column('keys', 'keys', 'day8', 'timestamptz'), tandem.sync_column('keys', 'keys', 'day', 'day8', 'day', 'day8');
	ALTER TABLE keys ALTER id8 SET DEFAULT nextval('keys_id_seq'), ALTER day8 SET DEFAULT now(); COMMIT);
sub keys_are_equal
{
	my ($what, $columns) = @_;
	my $rows = "SELECT $columns FROM keys ORDER BY n DESC LIMIT 2";

	$server{a}->wait_for_catchup('s');
	is(sql('b', $rows), sql('a', $rows), $what);
	return;
}
sql('b', "SELECT setval('keys_id_seq', 500); $keys");
sql('a', 'INSERT INTO keys (n) VALUES (1), (2)');
keys_are_equal('rows with the old columns', 'n, id, day, at');
is(sql('b', 'SELECT count(*) FROM keys WHERE id8 = id AND day8 = day'), 2, 'from which the new ones follow');
sql('a', $keys);
sql('a', 'INSERT INTO keys (n) VALUES (3), (4)');
keys_are_equal('rows with both', 'n, id, day, id8, day8');
sql('a', q(CALL tandem.abort('keys'); ALTER TABLE keys DROP CONSTRAINT keys_pkey; ALTER TABLE keys RENAME id TO id8; ALTER TABLE keys RENAME day TO day8;
	ALTER TABLE keys ALTER id8 TYPE bigint; ALTER TABLE keys ADD PRIMARY KEY (id8)));
sql('a', 'INSERT INTO keys (n) VALUES (5), (6)');
keys_are_equal('rows with the new columns', 'n, id8, day8');
is(sql('b', 'SELECT count(*) FROM keys WHERE id8 = id AND day8 = day'), 6, 'from which the old ones follow');

# Rule: what the fill of another server, or a write that follows it, brings of the new side leaves the old one, also where
# down gives another value.
sql('a', q(INSERT INTO pets VALUES (1, 'cat', 0), (2, 'dog', 0), (3, NULL, 0)));
sql($_, q(BEGIN; SELECT tandem.create_migration('pets', 44); SELECT tandem.add_column('pets', 'pets', 'class', 'text');
	SELECT tandem.sync_column('pets', 'pets', 'kind', 'class', $$CASE WHEN kind IN ('cat', 'dog') THEN 'animal' ELSE 'none' END$$, $$CASE class WHEN 'animal' THEN 'cat' ELSE 'nothing' END$$);
	COMMIT)) foreach qw(b a);
$server{a}->wait_for_catchup('s');
sql('a', q(CALL tandem.migrate('pets')));
$server{a}->wait_for_catchup('s');
is(sql('b', q(SELECT string_agg(concat_ws(' ', id, kind, class), ', ' ORDER BY id) FROM pets)), '1 cat animal, 2 dog animal, 3 none', 'what was filled elsewhere');
sql('a', q(SET tandem.release = 44; UPDATE pets SET class = 'none' WHERE id = 2));
$server{a}->wait_for_catchup('s');
is(sql($_, q(SELECT kind, class FROM pets WHERE id = 2)), 'nothing|none', "$_: what was written is followed") foreach qw(a b);
done_testing();
