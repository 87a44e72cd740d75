# Views of releases, and partitions that have nothing to fill, over dump and restore and in a copy of the
# database: each view stays with its owner and in its schema, and no note of a trigger outlives it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $folder = PostgreSQL::Test::Utils::tempdir;
my @to = ('-h', $node->host, '-p', $node->port);
my $views = q(SELECT v.view, v.relation, c.relowner::regrole FROM tandem.view v JOIN pg_class c ON c.oid = v.view ORDER BY v.view::text);

$node->safe_psql('postgres', 'CREATE ROLE app_owner; CREATE DATABASE app');
$node->safe_psql('app', <<'SQL');
CREATE EXTENSION pg_tandem;
GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO app_owner;
CREATE SCHEMA a AUTHORIZATION app_owner;
CREATE SCHEMA b AUTHORIZATION app_owner;
SET ROLE app_owner;
CREATE TABLE a.items (id int, price int) PARTITION BY RANGE (id);
CREATE TABLE a.items1 PARTITION OF a.items FOR VALUES FROM (0) TO (10);
CREATE TABLE b.items (id int PRIMARY KEY, n int, m int);
INSERT INTO a.items VALUES (1, 1);
SELECT tandem.create_migration('m', release => 2);
SELECT tandem.add_column('m', 'a.items', 'cents', 'bigint');
SELECT tandem.sync_column('m', 'a.items', 'price', 'cents', 'coalesce(price, 0) * 100', 'cents / 100');
CALL tandem.migrate('m');
RESET ROLE;
-- the superuser's schemas, the owner's views
SELECT tandem.create_views(2, relations => '{a.items,b.items}');
SET ROLE app_owner;
-- set by hand, so it does not follow the table's
ALTER VIEW b__release_2.items ALTER m SET DEFAULT 9;
CREATE TABLE a.items2 PARTITION OF a.items FOR VALUES FROM (10) TO (20);
INSERT INTO a.items (id, price) VALUES (11, 1);
UPDATE a.items SET cents = NULL WHERE id = 11;
SQL
is($node->safe_psql('app', $views), "b__release_2.items|b.items|app_owner\nrelease_2.items|a.items|app_owner", 'views in two schemas');
is($node->safe_psql('app', 'SELECT count(*) FROM tandem.fill_mark WHERE file IS NULL'), 2, 'a partition that is filled, and one that had nothing to fill');

$node->command_ok([ 'pg_dump', @to, '-Fc', '-f', "$folder/app", 'app' ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-e', @to, '-d', 'restored', "$folder/app" ], 'restore');
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE app');

foreach my $db ('restored', 'copied')
{
	my ($status, $out, $err) = $node->psql($db, q(SELECT tandem.create_views(2, relations => '{a.items,b.items}')));
	is($status, 0, "$db: create_views") or diag($err);
	is($node->safe_psql($db, $views), "b__release_2.items|b.items|app_owner\nrelease_2.items|a.items|app_owner",
		"$db: each view is where it was");
	$node->safe_psql($db, 'INSERT INTO release_2.items (id, cents) VALUES (2, 200)');
	is($node->safe_psql($db, 'SELECT price FROM a.items WHERE id = 2'), 2, "$db: they stay writable");
	is($node->safe_psql($db, q(SELECT has_schema_privilege('app_owner', 'release_2', 'CREATE'))), 'f', "$db: and their schema closed");
	# the trigger that had seen every row is not this one, as far as anybody can tell
	$node->safe_psql($db, 'UPDATE a.items SET id = 12 WHERE id = 11');
	is($node->safe_psql($db, 'SELECT cents FROM a.items WHERE id = 12'), 0, "$db: the partition is filled as any other");
	is($node->safe_psql($db, q(SELECT count(*) FROM tandem.fill_mark)), $db eq 'copied' ? 2 : 0, "$db: nothing is noted of the old one");
	$node->safe_psql($db, q(SELECT tandem.create_views(1, relations => '{a.items}'); ALTER TABLE b.items ALTER n SET DEFAULT 5, ALTER m SET DEFAULT 6));
	($status, $out, $err) = $node->psql($db, q(SET ROLE app_owner; CALL tandem.migrate('m'); CALL tandem.contract('m', undeclared => 'ignore')));
	is($status, 0, "$db: migrate and contract") or diag($err);
	$node->safe_psql($db, 'INSERT INTO release_2.items (id, cents) VALUES (3, 300)');
}

# what an ended release has left, and defaults, are in a dump as well; also when the table is gone
$node->safe_psql('copied', 'DROP TABLE a.items CASCADE');
foreach my $db ('restored', 'copied')
{
	$node->command_ok([ 'pg_dump', @to, '-Fc', '-f', "$folder/$db", $db ], "dump of $db");
	$node->safe_psql('postgres', "CREATE DATABASE again_$db");
	$node->command_ok([ 'pg_restore', '-e', @to, '-d', "again_$db", "$folder/$db" ], 'restored again');
	is_ended("again_$db", 'SELECT * FROM release_1.items WHERE id = 1');
	is_ended("again_$db", 'INSERT INTO release_1.items (id) VALUES (1)');
	$node->safe_psql("again_$db", 'INSERT INTO b.items VALUES (1, 1); UPDATE b__release_2.items SET n = DEFAULT');
	is($node->safe_psql("again_$db", 'SELECT n FROM b.items'), 5, 'the view has the default');
	$node->safe_psql("again_$db", 'ALTER TABLE b.items ALTER m SET DEFAULT 7; INSERT INTO b__release_2.items (id) VALUES (2)');
	is($node->safe_psql("again_$db", 'SELECT n, m FROM b.items WHERE id = 2'), '5|9', 'one that was set by hand stays, over dumps and changes of the table');
	$node->safe_psql("again_$db", 'SELECT tandem.drop_views(1)');
	is($node->safe_psql("again_$db", q(SELECT to_regnamespace('release_1') IS NULL)), 't', 'and drop_views removes what was left');
}

sub is_ended
{
	my ($db, $statement) = @_;
	my ($status, $out, $err) = $node->psql($db, "\\set VERBOSITY sqlstate\n$statement");

	like($err, qr/55T01/, "$db: $statement");
	return;
}

done_testing();
