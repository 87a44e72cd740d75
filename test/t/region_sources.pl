# A column that is computed from others, in two regions: what the new release writes to the one and not to the other stays so
# everywhere, and what the old one writes is followed everywhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use Regions;
use TandemTest;
use Test::More;

start_regions([qw(a b)]);

sub are_equal
{
	my ($what) = @_;

	catch_up();
	is(sql('b', 'SELECT id, region, c, q FROM t ORDER BY region, id'), sql('a', 'SELECT id, region, c, q FROM t ORDER BY region, id'), "$what: both have the same rows");
	return;
}

foreach my $name (regions())
{
	sql($name, 'CREATE TABLE t (id int, region text, c int, PRIMARY KEY (id, region)); CREATE PUBLICATION p FOR TABLE t' . own_rows($name, 'region'));
}
join_all();
subscribe_all();
sql($_, "INSERT INTO t SELECT i, '$_', 1 FROM generate_series(1, 3) i") foreach regions();
catch_up();
my $expand = q(BEGIN; SELECT tandem.create_migration('m', 42); SELECT tandem.add_column('m', 't', 'q', 'int', up => 'c * 2'); COMMIT);

# Rule: a region that sends the sources alone is followed.
sql('b', $expand);
sql('b', q(CALL tandem.migrate('m')));
sql('a', q(UPDATE t SET c = 2 WHERE region = 'a' AND id = 3));
catch_up();
is(sql('b', q(SELECT q FROM t WHERE region = 'a' AND id = 3)), 4, 'one has expanded: it follows the source');
sql('a', $expand);
sql('a', q(CALL tandem.migrate('m')));
are_equal('both are filled');

# Rule: of one that sends both, what came is kept.
sql('a', q(SET tandem.release = 42; UPDATE t SET c = 5 WHERE region = 'a' AND id = 1; INSERT INTO t (id, region, c) VALUES (9, 'a', 4)));
sql('a', q(SET tandem.release = 41; UPDATE t SET c = 6 WHERE region = 'a' AND id = 2; INSERT INTO t (id, region, c) VALUES (10, 'a', 4)));
are_equal('writers of both releases');
is(sql('b', q(SELECT string_agg(concat_ws(' ', id, c, q), ', ' ORDER BY id) FROM t WHERE region = 'a')), '1 5 2, 2 6 12, 3 2 4, 9 4, 10 4 8', 'each means what it has written');

# Rule: also of one that has contracted.
sql('a', 'SELECT tandem.switch_release(42)');
sql('a', q(SET client_min_messages = error; CALL tandem.contract('m', undeclared => 'ignore')));
sql('a', q(UPDATE t SET c = 7 WHERE region = 'a' AND id = 2; INSERT INTO t (id, region, c) VALUES (11, 'a', 4)));
are_equal('one has contracted');
sql($_, q(SELECT tandem.region_beat())) foreach regions();
is(join("\n", apply_errors($_)), '', "$_: nothing has failed") foreach regions();
done_testing();
