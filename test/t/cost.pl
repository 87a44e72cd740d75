# What the sync trigger and the backfill cost, measured once and printed; nothing is judged by time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $rows = 200000;
my $node = new_server('main');

# us per row of a statement, by the server's own clock
sub cost
{
	my ($statement) = @_;

	return $node->safe_psql('postgres', <<"SQL");
SET client_min_messages = error;
CREATE TEMP TABLE clock AS SELECT clock_timestamp() AS started;
$statement;
SELECT round(extract(epoch FROM clock_timestamp() - started) * 1e6 / $rows, 2) FROM clock;
SQL
}

sub insert_cost { return cost("INSERT INTO $_[0] (id, price) SELECT i, i FROM generate_series(1, $rows) i"); }

$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->restart;
$node->safe_psql('postgres', <<"SQL");
CREATE TABLE plain (id int PRIMARY KEY, price int, cents bigint);
CREATE TABLE synced (id int PRIMARY KEY, price int);
CREATE TABLE filled (id int PRIMARY KEY, price int);
CREATE TABLE updated (id int PRIMARY KEY, price int, cents bigint);
INSERT INTO filled SELECT i, i FROM generate_series(1, $rows) i;
INSERT INTO updated SELECT i, i FROM generate_series(1, $rows) i;
SQL
foreach my $table ('synced', 'filled')
{
	$node->safe_psql('postgres', <<"SQL");
BEGIN;
SELECT tandem.create_migration('$table');
ALTER TABLE $table ADD COLUMN cents bigint;
SELECT tandem.sync_column('$table', '$table', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
COMMIT;
SQL
}
my ($plain, $synced) = (insert_cost('plain'), insert_cost('synced'));
diag("INSERT: $plain us a row without trigger, $synced with the sync");
$plain = cost('UPDATE plain SET price = price + 1, cents = price');
$synced = cost('UPDATE synced SET price = price + 1');
diag("UPDATE: $plain us a row without trigger, $synced with the sync");
my $update = cost('UPDATE updated SET cents = price * 100::bigint');
my $fill = cost(q(CALL tandem.migrate('filled')));
diag("fill of a column: $update us a row by one UPDATE, $fill by migrate, which verifies too");
is($node->safe_psql('postgres', 'SELECT count(*), count(cents), sum(cents) - 100 * sum(price) FROM filled'),
	"$rows|$rows|0", 'every row is filled');
is($node->safe_psql('postgres', 'SELECT count(*), count(cents), sum(cents) - 100 * sum(price) FROM synced'),
	"$rows|$rows|0", 'every row is synced');

done_testing();
