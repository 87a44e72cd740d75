# Wrong orders in two regions that are not refused, or were forced: what tandem.regions says then, and the way out that
# doc/regions.md tells.  Those that are refused are in the other tests of regions; see test/faults.md, E146.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use Regions;
use TandemTest;
use Test::More;

start_regions([qw(a b)], conf => "wal_retrieve_retry_interval = 2s\n");

sub problem
{
	my ($name) = @_;

	return sql($name, q(SELECT string_agg(problem, '; ') FROM tandem.regions));
}

# The one does not apply what the other sends.
sub is_stuck
{
	my ($name, $log, $what) = @_;
	my $errors = sql($name, 'SELECT sum(apply_error_count) FROM pg_stat_subscription_stats');

	wait_for($name, "SELECT sum(apply_error_count) > $errors + 1 FROM pg_stat_subscription_stats");
	like(slurp_file(server_of($name)->logfile), $log, "$what: $name does not apply what the other writes");
	wait_for($name, q{SELECT problem ~ 'has no process at the moment after [0-9]+ errors.*where columns are missing, SELECT tandem.take_release.4' FROM tandem.regions WHERE NOT is_here});
	pass("$what: which its view says, and what to call");
	return;
}

sub are_equal
{
	my ($columns, $what) = @_;

	catch_up();
	is(sql('a', "SELECT $columns FROM images ORDER BY id, region"), sql('b', "SELECT $columns FROM images ORDER BY id, region"), "$what: all rows are equal");
	return;
}

my $expand = q(BEGIN; SELECT tandem.create_migration('m42', 42); SELECT tandem.add_column('m42', 'images', 'visibility', 'text');
	SELECT tandem.sync_column('m42', 'images', 'is_public', 'visibility', $$CASE WHEN is_public THEN 'public' ELSE 'private' END$$, $$visibility = 'public'$$); COMMIT);

foreach my $name (regions())
{
	sql($name, 'CREATE TABLE images (id int, region text, title text, is_public boolean, PRIMARY KEY (id, region)); CREATE PUBLICATION p FOR TABLE images' . own_rows($name, 'region'));
}
join_all();
subscribe_all();
sql($_, "INSERT INTO images VALUES (1, '$_', 'first', true)") foreach regions();
are_equal('id, region, title, is_public', 'before');

# Wrong order: a publication is taken that the other has not made.  From 18 on the server passes over it.
if (server_of('a')->pg_version < 18)
{
	sql('b', 'ALTER SUBSCRIPTION s_b_a SET PUBLICATION release_99, tandem_region WITH (refresh = false)');
	sql('a', "UPDATE images SET title = 'second' WHERE region = 'a'");
	is_stuck('b', qr/publication "release_99" does not exist/, 'a publication that is not there');
	sql('b', 'ALTER SUBSCRIPTION s_b_a SET PUBLICATION p, tandem_region WITH (refresh = false)');
	are_equal('id, region, title, is_public', 'with the publication of the application');
	sql('b', 'SELECT tandem.take_release(41)');
	is(sql('b', 'SELECT subpublications FROM pg_subscription'), '{release_41,tandem_region}', 'and that of the release again');
}

# Wrong order: contract with force, while the other has not expanded.
sql('a', $expand);
sql('a', q(CALL tandem.migrate('m42')));
is_refused(server_of('a'), q(CALL tandem.contract('m42', undeclared => 'ignore')), qr/would leave no release|cannot|waits for another region/, 'contract that is too early');
sql('a', q(SET client_min_messages = error; CALL tandem.contract('m42', undeclared => 'ignore', force => true)));
sql('b', "UPDATE images SET title = 'third' WHERE region = 'b'");
sql('a', "UPDATE images SET title = 'third' WHERE region = 'a'");
if (server_of('a')->pg_version < 18)
{
	is_stuck('a', qr/publication "release_42" does not exist/, 'contract with force');
	is_stuck('b', qr/publication "release_41" does not exist/, 'contract with force');
}
sql('b', $expand);
sql('b', q(CALL tandem.migrate('m42')));
# what b has written before is older than its publication of 42
is_stuck('a', qr/publication "release_42" does not exist/, 'after the script of 42') if server_of('a')->pg_version < 18;
sql('a', 'SELECT tandem.take_release(); ALTER TABLE images ADD COLUMN is_public boolean');
sql($_, "UPDATE images SET title = 'fourth' WHERE region = '$_'") foreach regions();
are_equal('id, region, title', 'with the column that was dropped');
sql('a', 'SELECT tandem.take_release(42); ALTER TABLE images DROP COLUMN is_public');
sql_in_all('SELECT tandem.region_beat()');
catch_up();
sql('b', 'SELECT tandem.switch_release(42)');
sql('b', q(SET client_min_messages = error; CALL tandem.contract('m42', undeclared => 'ignore')));
sql($_, "UPDATE images SET title = 'fifth', visibility = 'shared' WHERE region = '$_'") foreach regions();
are_equal('id, region, title, visibility', 'both have contracted');

# Wrong order: what a region says does not come with its rows.
sql($_, q(BEGIN; SELECT tandem.create_migration('m43', 43); SELECT tandem.rename_column('m43', 'images', 'title', 'name');
	SELECT tandem.add_column('m43', 'images', 'n', 'int', up => 'id + 1'); COMMIT)) foreach regions();
sql('b', 'ALTER SUBSCRIPTION s_b_a DROP PUBLICATION tandem_region');
like(problem('b'), qr/subscription s_b_a brings table images, and not what its region says: ALTER SUBSCRIPTION s_b_a ADD PUBLICATION tandem_region/, 'b: what is wrong, and what to call');
sql('b', 'ALTER SUBSCRIPTION s_b_a ADD PUBLICATION tandem_region');
server_of('b')->wait_for_subscription_sync(server_of('a'), 's_b_a');
sql_in_all('SELECT tandem.region_beat()');
catch_up();
unlike(problem('b'), qr/ADD PUBLICATION/, 'b: nothing is wrong');

# Wrong order: the other writes a moment after the names were taken here.
sql($_, q(SET client_min_messages = error; CALL tandem.migrate('m43'))) foreach regions();
catch_up();
foreach my $name (regions())
{
	sql($name, 'SELECT tandem.switch_release(43)');
	sql($name, q(SET client_min_messages = error; CALL tandem.contract('m43', undeclared => 'ignore')));
	sql_in_all('SELECT tandem.region_beat()');
	catch_up();
}
sql('a', q(SELECT tandem.take_names('m43')));
sql('b', "UPDATE images SET title = 'sixth' WHERE region = 'b'");
is_stuck('a', qr/missing replicated column: "title"/, 'a write after take_names');
sql('a', 'ALTER TABLE images RENAME COLUMN name TO title');
are_equal('id, region, title, visibility', 'with the former name');
sql('a', 'ALTER TABLE images RENAME COLUMN title TO name');
sql('b', q(SELECT tandem.take_names('m43')));
sql($_, "UPDATE images SET name = 'seventh' WHERE region = '$_'") foreach regions();
are_equal('id, region, name, visibility', 'with the new name in both');
done_testing();
