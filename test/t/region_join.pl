# A region that comes late: a fresh server that is joined while a migration is open, and one that leaves in the middle of it and
# joins again.  It may join once it has the columns that another region's applications may write.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use Regions;
use TandemTest;
use Test::More;

start_regions([qw(a b c)]);
my @first = qw(a b);

sub rows_are_equal
{
	my ($what, @names) = @_;
	my $rows = 'SELECT * FROM (SELECT id, region, c, is_public, visibility, q FROM images) i ORDER BY region, id';
	my $right = sql($names[0], $rows);

	is(sql($_, $rows), $right, "$what: $_ has the rows of $names[0]") foreach @names[ 1 .. $#names ];
	return;
}

sub beat_all
{
	my (@names) = @_;

	foreach (1, 2)
	{
		sql($_, 'SELECT tandem.region_beat()') foreach @names;
		foreach my $from (@names)
		{
			server_of($from)->wait_for_catchup("s_${_}_$from") foreach grep { $_ ne $from } @names;
		}
	}
	return;
}

my $expand = q(BEGIN; SELECT tandem.create_migration('m42', 42); SELECT tandem.add_column('m42', 'images', 'visibility', 'text');
	SELECT tandem.sync_column('m42', 'images', 'is_public', 'visibility', $$CASE WHEN is_public THEN 'public' ELSE 'private' END$$, $$visibility = 'public'$$);
	SELECT tandem.add_column('m42', 'images', 'q', 'int', up => 'c * 2'); COMMIT);

foreach my $name (regions())
{
	sql($name, 'CREATE TABLE images (id int, region text, c int, is_public boolean, PRIMARY KEY (id, region)); CREATE PUBLICATION p FOR TABLE images' . own_rows($name, 'region'));
	sql($name, 'SELECT tandem.register_release(41); SELECT tandem.switch_release(41)');
}
sql($_, "SELECT tandem.join_region('$_', publication => 'p')") foreach @first;
subscribe(qw(a b));
subscribe(qw(b a));
server_of('a')->wait_for_subscription_sync(server_of('b'), 's_a_b');
server_of('b')->wait_for_subscription_sync(server_of('a'), 's_b_a');
sql($_, "INSERT INTO images SELECT i, '$_', i, i % 2 = 0 FROM generate_series(1, 10) i") foreach @first;
beat_all(@first);

# One leaves before it expands; for the others its release is ready then, without it.
sql('b', q(SELECT tandem.leave_region('b')));
server_of('b')->wait_for_catchup('s_a_b');
sql('a', $expand);
sql('a', q(CALL tandem.migrate('m42')));
is(sql('a', 'SELECT state FROM tandem.health(42)'), 'ready', 'b has left: release 42 is ready in a');
sql('a', 'SELECT tandem.region_beat()');
server_of('a')->wait_for_catchup('s_b_a');

# Rule: it joins again once it has the columns that may be written.
is_refused(server_of('b'), q(SELECT tandem.join_region('b', publication => 'p')),
	qr/release 42 is ready in region a, and is not expanded here.*Run the scripts of the releases up to 42 here/s, 'b joins before it has expanded what is ready in a');
sql('b', $expand);
sql('b', q(CALL tandem.migrate('m42')));
sql('b', q(SELECT tandem.join_region('b', publication => 'p')));
beat_all(@first);
is(sql('a', q(SELECT string_agg(region || ' ' || expanded, ', ' ORDER BY region) FROM tandem.regions)), 'a 42, b 42', 'b has joined again');
is(sql('a', q(SELECT string_agg(problem, '; ') FROM tandem.regions)), '', 'and nothing is wrong');

# a switches, and both releases write
sql('a', 'SELECT tandem.switch_release(42)');
sql('a', q(SET tandem.release = 42; UPDATE images SET visibility = 'shared', c = 50, q = 7 WHERE region = 'a' AND id <= 3; UPDATE images SET c = 60 WHERE region = 'a' AND id = 4));
sql('b', q(SET tandem.release = 41; UPDATE images SET is_public = NOT is_public, c = 70 WHERE region = 'b' AND id <= 3));
beat_all(@first);
rows_are_equal('both releases have written', @first);

# A fresh server: first what the regions say, then it joins, then the tables.
subscribe('c', $_, publications => 'tandem_region') foreach @first;
server_of('c')->wait_for_subscription_sync(server_of($_), "s_c_$_") foreach @first;
is(sql('c', q(SELECT string_agg(region || ' ' || expanded || ' ' || current, ', ' ORDER BY region) FROM tandem.regions)), 'a 42 42, b 42 41', 'c knows how far the others are');
is_refused(server_of('c'), q(SELECT tandem.join_region('c', publication => 'p')), qr/region a has switched to release 42, which is not expanded here/, 'c joins before it has expanded');
# the publication of the release before comes first: others may be sent no more than its columns
sql('c', q(SELECT tandem.create_publication(41, 'p')));
sql('c', $expand);
sql('c', q(CALL tandem.migrate('m42')));
sql('c', q(SELECT tandem.join_region('c', publication => 'p')));

# without row filters one region sends the rows of all
foreach my $from (@first)
{
	my $copies = !has_origin() || $from eq 'a';
	sql('c', "ALTER SUBSCRIPTION s_c_$from ADD PUBLICATION p WITH (copy_data = " . ($copies ? 'true' : 'false') . ')');
	server_of('c')->wait_for_subscription_sync(server_of($from), "s_c_$from");
}
rows_are_equal('copied', 'a', 'c');

# the others take what c says, then its rows
foreach my $to (@first)
{
	subscribe($to, 'c', publications => 'tandem_region');
	server_of($to)->wait_for_subscription_sync(server_of('c'), "s_${to}_c");
	sql($to, "ALTER SUBSCRIPTION s_${to}_c ADD PUBLICATION p WITH (copy_data = false)");
}
beat_all(regions());
is(sql('a', q(SELECT string_agg(region || ' ' || expanded, ', ' ORDER BY region) FROM tandem.regions)), 'a 42, b 42, c 42', 'c is a region');
sql('c', q(SET tandem.release = 41; INSERT INTO images VALUES (1, 'c', 1, true), (2, 'c', 2, false)));
sql('c', q(SET tandem.release = 42; UPDATE images SET visibility = 'unlisted', q = NULL WHERE region = 'c' AND id = 2));
sql('a', q(SET tandem.release = 42; UPDATE images SET c = 80 WHERE region = 'a' AND id = 5));
sql('b', q(SET tandem.release = 41; UPDATE images SET c = 90 WHERE region = 'b' AND id = 5));
beat_all(regions());
rows_are_equal('all three write', regions());

# all go on to the end
foreach my $name (regions())
{
	sql($name, 'SELECT tandem.switch_release(42)');
	sql($name, q(SET client_min_messages = error; CALL tandem.contract('m42', undeclared => 'ignore')));
	beat_all(regions());
}
sql($_, "UPDATE images SET visibility = 'last', c = 100 WHERE region = '$_' AND id = 1") foreach regions();
beat_all(regions());
is(sql($_, 'SELECT id, region, c, visibility, q FROM images ORDER BY region, id'), sql('a', 'SELECT id, region, c, visibility, q FROM images ORDER BY region, id'), "$_: all have contracted") foreach qw(b c);
is(join("\n", apply_errors($_)), '', "$_: nothing has failed") foreach regions();
done_testing();
