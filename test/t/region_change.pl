# A column that changes its type, and one that is renamed, in two regions that send each other what they write, with
# writers in both: logical replication finds columns by their names, so contract leaves these in the table, and views,
# those of users too, show the new ones; take_names gives them to the table when nobody writes any more.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Regions;
use TandemTest;
use Test::More;

start_regions([qw(a b)], conf => "session_preload_libraries = 'pg_tandem'\n");

# A writer of each region: its own rows, through the views of a release.
sub start_writers
{
	my ($release, $remark) = @_;
	my %writers;

	foreach my $name (regions())
	{
		my $script = write_script("write_$name$release", <<"SQL");
\\set id random(1, 2000)
\\set price random(1, 1000)
INSERT INTO fees (id, region, price, $remark) VALUES (:id, '$name', :price, '$release') ON CONFLICT (id, region) DO UPDATE SET price = excluded.price, $remark = excluded.$remark;
UPDATE fees SET price = price + 1 WHERE id = :id AND region = '$name';
SQL
		local $ENV{PGOPTIONS} = "-c tandem.release=$release -c search_path=release_$release";
		$writers{$name} = start_pgbench(server_of($name), '-f', $script, '-c', '2', '-R', '200', '-T', '600');
	}
	return \%writers;
}

sub written
{
	my ($name) = @_;

	return sql($name, 'SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relname = $$fees$$');
}

sub progressed
{
	my ($what) = @_;

	foreach my $name (regions())
	{
		my $before = written($name);

		wait_for_running(server_of($name), "SELECT n_tup_ins + n_tup_upd > $before + 50 FROM pg_stat_user_tables WHERE relname = 'fees'");
	}
	pass("writers go on in both regions $what");
	return;
}

sub equal_in_both
{
	my ($release, $what) = @_;
	my $sums = "SELECT count(*), sum(price), sum(hashtext(f::text)) FROM release_$release.fees f";

	catch_up();
	is(sql('a', $sums), sql('b', $sums), "$what: all rows are equal");
	is(sql($_, "SELECT apply_error_count FROM pg_stat_subscription_stats WHERE subname LIKE 's\\_%'"), 0, "$what: $_ has met no error") foreach regions();
	return;
}

foreach my $name (regions())
{
	sql($name, <<'SQL' . own_rows($name, 'region'));
CREATE TABLE fees (id int, region text, price int NOT NULL DEFAULT 1 CHECK (price >= 0), note text, PRIMARY KEY (id, region));
CREATE INDEX fees_price ON fees (price DESC);
CREATE VIEW dear AS SELECT id, region, price FROM fees WHERE price > 500;
CREATE PUBLICATION p FOR TABLE fees
SQL
}
join_all();
sql_in_all(q(SELECT tandem.create_views(41, schemas => '{public}')));
subscribe_all();

my $old = start_writers(41, 'note');
progressed('before expand');
foreach my $name (regions())
{
	sql($name, <<'SQL');
BEGIN;
SELECT tandem.create_migration('wide', 42);
SELECT tandem.change_column('wide', 'fees', 'price', 'bigint');
SELECT tandem.rename_column('wide', 'fees', 'note', 'remark');
SELECT tandem.create_views(42, schemas => '{public}');
COMMIT;
SQL
	progressed("when $name has expanded");
}
sql($_, "SET client_min_messages = warning; CALL tandem.migrate('wide')") foreach regions();
catch_up();
my $new = start_writers(42, 'remark');
progressed('beside release 42');
foreach my $name (regions())
{
	sql($name, 'SELECT tandem.switch_release(42)');
	progressed("when $name has switched");
}
foreach my $name (regions())
{
	# release 41 ends here
	ends_without_failure($old->{$name}, "release 41 in $name");
}
foreach my $name (regions())
{
	catch_up();
	sql($name, "SET client_min_messages = error; CALL tandem.contract('wide', undeclared => 'ignore')");
	progressed("when $name has contracted");
	is(columns_of($name, 'fees'),
		'id region note price__42', "$name: the table has the names that the other region sends");
	is(sql($name, q(SELECT attname || ' ' || atttypid::regtype FROM pg_attribute WHERE attrelid = 'dear'::regclass AND attnum = 3)), 'price bigint', "$name: the user's view has its own");
}
is_refused(server_of('b'), q(SELECT tandem.take_names('wide')), qr/are being written|has not arrived everywhere/, 'names are not taken while writers are at work in both regions');
ends_without_failure($new->{b}, "release 42 in b");
is_refused(server_of('b'), q(SELECT tandem.take_names('wide')), qr/are being written|has not arrived everywhere/, 'nor while one is at work elsewhere');
ends_without_failure($new->{a}, "release 42 in a");
equal_in_both(42, 'after contract');
sql($_, 'SELECT tandem.region_beat()') foreach regions();
catch_up();
sql($_, q(SELECT tandem.take_names('wide'))) foreach regions();
is(columns_of($_, 'fees'),
	'id region remark price', "$_: the table has the new names") foreach regions();
$new = start_writers(42, 'remark');
progressed('after the names were taken');
ends_without_failure($new->{$_}, "release 42 in $_, afterwards") foreach regions();
equal_in_both(42, 'at the end');
is(sql('a', 'SELECT count(*), sum(price) FROM dear'), sql('b', 'SELECT count(*), sum(price) FROM dear'), "the user's view shows the same in both");

server_of($_)->stop foreach regions();
done_testing();
