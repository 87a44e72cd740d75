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
sql('b', 'SELECT tandem.switch_release(42)');
sql('b', q(SET client_min_messages = error; CALL tandem.contract('m', undeclared => 'ignore')));

# Rule: what comes in the columns of the release before, for a row that waits while another region expands, is followed.
my $later = q(SELECT tandem.create_migration('later', 43); SELECT tandem.add_column('later', 't', 'r', 'int', up => 'c * 3');
	SELECT tandem.add_column('later', 't', 'long', 'text', up => q'repeat(c::text, 5000)q'); ALTER TABLE t ALTER long SET STORAGE EXTERNAL) =~ s/q'/\$\$/gr;
sql('a', "BEGIN; $later; COMMIT");
sql('a', q(CALL tandem.migrate('later')));
catch_up();
my $expands = server_of('b')->background_psql('postgres');
$expands->query_safe("BEGIN; $later");
sql('a', q(INSERT INTO t (id, region, c) VALUES (20, 'a', 4); UPDATE t SET c = 8 WHERE region = 'a' AND id = 3));
wait_for('b', q(SELECT count(*) > 0 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND relation = 't'::regclass AND backend_type ~ '^logical'));
$expands->query_safe('COMMIT');
$expands->quit;
catch_up();
is(sql('b', q(SELECT string_agg(concat_ws(' ', id, c, r), ', ' ORDER BY id) FROM t WHERE region = 'a' AND id IN (3, 20))), '3 8 24, 20 4 12', 'what waited for expand is followed');

# Rule: what the new release has made NULL stays so also where the row is not filled yet.
sql('b', q(SELECT tandem.pause('later'); CALL tandem.migrate('later', background => true)));
wait_for('b', q(SELECT phase = 'migrate' FROM tandem.migrations WHERE name = 'later'));
sql('b', 'SELECT tandem.region_beat()');
catch_up();
wait_for('a', q(SELECT healthy FROM tandem.health(43)));
# a long value that an UPDATE leaves as it was is not sent
sql('a', q(UPDATE t SET q = -1 WHERE region = 'a' AND id = 9));
catch_up();
is(sql('b', q(SELECT r, length(long) FROM t WHERE region = 'a' AND id = 9)), '12|5000', 'what is not sent for a row that is not filled is computed');
sql('a', q(SET tandem.release = 43; UPDATE t SET r = NULL WHERE region = 'a' AND id = 1; UPDATE t SET r = NULL, c = 9 WHERE region = 'a' AND id = 2));
catch_up();
is(sql('b', q(SELECT count(*) FROM t WHERE region = 'a' AND id IN (1, 2) AND r IS NULL)), 2, 'a NULL of the new release arrives in a row that is not filled');
sql('b', q(SELECT tandem.resume('later')));
wait_for('b', q(SELECT phase = 'contract' AND running_pid IS NULL FROM tandem.migrations WHERE name = 'later'));
my $rows = 'SELECT id, region, c, q, r, md5(long) FROM t ORDER BY region, id';
is(sql('b', $rows), sql('a', $rows), 'and the fill leaves it');
sql($_, q(SELECT tandem.region_beat())) foreach regions();
is(join("\n", apply_errors($_)), '', "$_: nothing has failed") foreach regions();
done_testing();
