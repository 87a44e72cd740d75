# A key that changes its type, with the columns that refer to it, in two regions that send each other what they write, with
# writers of both releases in both.  A server finds the row of an UPDATE or DELETE by the replica identity of its own table,
# so the key moves before contract, while all send whole rows; each step in the wrong order is refused, with the next call.

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
	my ($release) = @_;
	my %writers;

	foreach my $name (regions())
	{
		my $script = write_script("write_$name$release", <<"SQL");
INSERT INTO orders (region, note) VALUES ('$name', '$release') RETURNING id AS key \\gset
INSERT INTO lines (region, order_id, note) VALUES ('$name', :key, '$release');
UPDATE orders SET note = note || ' again' WHERE region = '$name' AND id = :key;
UPDATE lines SET note = note || ' again' WHERE region = '$name' AND order_id = :key;
BEGIN;
DELETE FROM lines WHERE region = '$name' AND order_id = :key - 20;
DELETE FROM orders WHERE region = '$name' AND id = :key - 20;
COMMIT;
SQL
		local $ENV{PGOPTIONS} = "-c tandem.release=$release -c search_path=release_$release";
		$writers{$name} = start_pgbench(server_of($name), '-f', $script, '-c', '2', '-R', '40', '-T', '600');
	}
	return \%writers;
}

sub progressed
{
	my ($what) = @_;

	foreach my $name (regions())
	{
		my $written = "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = 'lines'";
		my $before = sql($name, $written);

		wait_for_running(server_of($name), "SELECT ($written) > $before + 20");
	}
	pass("writers go on in both regions $what");
	return;
}

foreach my $name (regions())
{
	sql($name, <<'SQL' . own_rows($name, 'region') . ', TABLE lines' . own_rows($name, 'region'));
CREATE TABLE orders (id serial, region text, note text, PRIMARY KEY (id, region));
CREATE TABLE lines (id serial, region text, order_id int NOT NULL, note text, PRIMARY KEY (id, region),
	FOREIGN KEY (order_id, region) REFERENCES orders);
CREATE INDEX lines_order ON lines (order_id);
CREATE PUBLICATION p FOR TABLE orders
SQL
}
join_all();
sql_in_all(q(SELECT tandem.create_views(41, schemas => '{public}')));
subscribe_all();

my $old = start_writers(41);
progressed('before expand');
foreach my $name (regions())
{
	sql($name, <<'SQL');
BEGIN;
SELECT tandem.create_migration('key', 42);
SELECT tandem.change_column('key', 'orders', 'id', 'bigint', cascade => true);
SELECT tandem.create_views(42, schemas => '{public}');
COMMIT;
SQL
	progressed("when $name has expanded");
}
sql($_, "SET client_min_messages = warning; CALL tandem.migrate('key')") foreach regions();
catch_up();
my $new = start_writers(42);
progressed('beside release 42');

# The key moves.  Each region takes a step when all have taken the one before.
sub take
{
	my ($name, $step, $call) = @_;

	is(sql($name, 'SET client_min_messages = warning; SELECT tandem.take_keys(' . ($call // q('key')) . ')'), $step, "$name takes step $step");
	catch_up();
	progressed("when $name has taken step $step");
	return;
}

sub is_early
{
	my ($name, $other, $at, $call) = @_;

	is_refused(server_of($name), 'SELECT tandem.take_keys(' . ($call // q('key')) . ')',
		qr/the keys of migration "key" wait for another region.*region $other is at step $at .*Run SELECT tandem.take_keys\(\Q${\($call \/\/ q('key'))}\E\); in region $other/s, "$name does not go on before $other");
	return;
}

my $back = q('key', back => true);
my $unmoved = qr/replica identities of migration "key" have still to move.*this region is at step 0.*SELECT tandem.take_keys\('key'\);/s;

sql($_, 'SELECT tandem.switch_release(42)') foreach regions();
catch_up();
# status and preview tell of it before contract does
my $preview = q(SELECT object, what_happens, remedy FROM tandem.preview_contract('key') WHERE part = 'replica identities');
my $status = q(SELECT state, regexp_replace(what, '\\s+', ' ', 'g') FROM tandem.status);

like(sql('a', $preview), qr/^this region is at step 0\|contract is refused, whatever it is to accept\|in each region in turn, until all have taken step 3: SELECT tandem\.take_keys\('key'\);\nregion b is at step 0 /, 'preview before the key has moved');
like(sql('a', $status), qr/^waiting\|filled and verified, keys are at step 0 of 3 in region a, step 0 of 3 in region b: SELECT tandem\.take_keys\('key'\);/, 'status before the key has moved');
is_refused(server_of('a'), q(CALL tandem.contract('key', undeclared => 'ignore')), $unmoved, 'contract before the key has moved');
take('a', 1);
is(sql('b', q(SELECT keys FROM tandem.regions WHERE region = 'a')), '{"key": 1}', 'b hears of it');
is_early('a', 'b', 0);
take('b', 1);
take('b', 2);
is_early('b', 'a', 1);
is_refused(server_of('b'), q(CALL tandem.abort('key', force => true)), qr/have moved to the new columns.*this database is at step 2.*back => true/s, 'abort where the primary key has moved');
is_refused(server_of('a'), q(CALL tandem.abort('key', force => true)), qr/have moved to the new columns.*region b is at step 2/s, 'or has in another region');
# and back again
is_early('a', 'b', 2, $back);
take('b', 1, $back);
take('a', 0, $back);
take('a', 1);
take('a', 2);
take('b', 2);
take('b', 3);
is_refused(server_of('b'), q(CALL tandem.contract('key', undeclared => 'ignore')), qr/have still to move.*region a is at step 2.*begin in region a/s, 'contract before the key has moved everywhere');
like(sql('b', $preview), qr/^region a is at step 2 [^\n]*$/, 'preview where another region is behind');
like(sql('b', $status), qr/^waiting\|.*keys are at step 2 of 3 in region a: /, 'status where another region is behind');
is_early('a', 'b', 3, $back);
take('a', 3);
is(sql('a', $preview), '', 'preview once the key has moved');

# Of a step on and a step back at the same time, in two regions, at most one is done: what the one sends the other could not apply.
foreach my $round (1 .. 4)
{
	my ($on, $off) = $round % 2 ? qw(a b) : qw(b a);

	sql($_, "SET client_min_messages = error; SELECT tandem.take_keys($back)") foreach regions();
	catch_up();
	my @calls = (start_psql(server_of($on), 'postgres', q(SELECT tandem.take_keys('key'))), start_psql(server_of($off), 'postgres', "SELECT tandem.take_keys($back)"));
	my $done = grep { finish($_) } @calls;

	catch_up();
	cmp_ok($done, '<=', 1, "round $round: at most one acts");
	is(sql($on, 'SELECT min(step) FROM tandem._moving_keys') - sql($off, 'SELECT min(step) FROM tandem._moving_keys'), $done, "round $round: they are no more than a step from each other");
	# who is behind takes the first step
	foreach my $name ($off, $on, $off)
	{
		sql($name, q(SET client_min_messages = error; SELECT tandem.take_keys('key')));
		catch_up();
	}
}
is(sql($_, q(SELECT string_agg(concat_ws(' ', conname, contype), ', ' ORDER BY conname) FROM pg_constraint WHERE conrelid = 'orders'::regclass AND contype IN ('p', 'u'))),
	'orders_pkey u, orders_pkey__42 p', "$_: the new key is the primary key, the old one is unique") foreach regions();

ends_without_failure($old->{$_}, "release 41 in $_") foreach regions();
sql('a', q(SET client_min_messages = error; CALL tandem.contract('key', undeclared => 'ignore')));
catch_up();
progressed('when a has contracted');
ends_without_failure($new->{b}, 'release 42 in b');
catch_up();
is_deeply([ apply_errors($_) ], [], "$_ has met no error when a has contracted") foreach regions();

# What only the new type can hold is not applied where the old one is still there, and nothing that comes after it; contract
# there is the way out, which asks for no answer of who has contracted.
sql('a', q(INSERT INTO release_42.orders (id, region, note) VALUES (3000000000, 'a', 'new')));
server_of('b')->wait_for_log(qr/ERROR: +column "id" of table "orders" is of type integer until contract of migration "key": integer out of range/);
sql('b', q(SET client_min_messages = error; CALL tandem.contract('key', undeclared => 'ignore')));
ends_without_failure($new->{a}, 'release 42 in a');
catch_up();
my $sums = 'SELECT count(*), sum(hashtext(o::text)), max(id) FROM release_42.orders o UNION ALL SELECT count(*), sum(hashtext(l::text)), 0 FROM release_42.lines l';
is(sql('a', $sums), sql('b', $sums), 'all rows are equal at the end');
like(sql('b', $sums), qr/\|3000000000$/m, 'the one that waited, too');
foreach my $name (regions())
{
	is_deeply([ grep { !/column "id" of table "orders" is of type integer until contract/ } apply_errors($name) ], [], "$name has met no other error");
	is(sql($name, q(SELECT string_agg(conname || ' ' || pg_get_constraintdef(oid), ', ' ORDER BY conname) FROM pg_constraint WHERE conrelid IN ('orders'::regclass, 'lines'::regclass) AND contype <> 'n')),
		'lines_order_id_region_fkey FOREIGN KEY (order_id__42, region) REFERENCES orders(id__42, region), lines_pkey PRIMARY KEY (id, region), orders_pkey PRIMARY KEY (id__42, region)',
		"$name: the keys have their names again");
	is(sql($name, q(SELECT type || ' ' || sequence FROM tandem.keys WHERE relation = 'orders'::regclass)), 'bigint orders_id_seq', "$name: tandem.keys shows the new one");
}

server_of($_)->stop foreach regions();
done_testing();
