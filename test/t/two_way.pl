# The hazard of two-way native replication: two servers that publish one table to each other, with origin
# = none, which the server has from 16 on (15 sends each change round and round).  Both have the sync, both
# releases write on both, each server fills its own rows; every change of a writer arrives, is made once, and
# what one server derives is what the other derives.  The fill and its races: two_way_fill.pl.
# Hazard: two-way native replication.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;
use TwoWay;

start_two_way();
my $rows = 'SELECT id, is_public, visibility FROM images ORDER BY id';

# How often the table was written on each server since the last call, by whomever.
sub is_written
{
	my ($on_a, $on_b, $what) = @_;

	is_deeply([ sql_on_both('SELECT count(*) FROM written; TRUNCATE written') ], [ $on_a, $on_b ],
		"$what: written $on_a times on a, $on_b times on b");
	return;
}

sub are_alike
{
	my ($what, @lines) = @_;
	my ($on_a, $on_b) = sql_on_both($rows);

	is($on_a, join("\n", @lines), "$what: a") if @lines;
	is($on_b, $on_a, "$what: b has the same rows");
	return;
}

# Every write of either server leaves a line on that server, the fill's excepted, which fires no trigger.
sql_on_both(<<'SQL');
CREATE TABLE images (id int PRIMARY KEY, is_public boolean NOT NULL);
CREATE TABLE written (id int, op text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.written VALUES (NEW.id, TG_OP); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON images FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE images ENABLE ALWAYS TRIGGER note;
INSERT INTO images SELECT i, i % 2 = 1 FROM generate_series(1, 6) i;
TRUNCATE written;
CREATE PUBLICATION p FOR TABLE images;
SQL
subscribe_both();
my $expand = <<'SQL';
BEGIN;
SELECT tandem.create_migration('m');
SELECT tandem.add_column('m', 'images', 'visibility', 'text');
SELECT tandem.sync_column('m', 'images', 'is_public', 'visibility',
	$$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$, $$ visibility = 'public' $$);
COMMIT;
SQL

# DDL is not replicated: between the two expands what a writes waits at b, and is not lost
sql('a', $expand);
sql('a', q(UPDATE images SET visibility = 'shared' WHERE id = 2));
my $offset = -s node_of('b')->logfile;
node_of('b')->wait_for_log(qr/relation "public.images" is missing replicated column: "visibility"/, $offset);
sql('b', $expand);
wait_for_both();
are_alike('what was written between the two expands', '1|t|', '2|f|shared', '3|t|', '4|f|', '5|t|', '6|f|');
is_written(1, 1, 'between the two');

# each release on each server
sql('a', 'UPDATE images SET is_public = false WHERE id = 1');
sql('b', q(UPDATE images SET visibility = 'shared' WHERE id = 4));
sql('a', 'INSERT INTO images (id, is_public) VALUES (7, true)');
sql('b', q(INSERT INTO images (id, visibility) VALUES (8, 'unlisted')));
wait_for_both();
my @after = ('1|f|private', '2|f|shared', '3|t|', '4|f|shared', '5|t|', '6|f|', '7|t|public', '8|f|unlisted');
are_alike('both releases on both servers', @after);
is_written(4, 4, 'both releases on both servers');
# a lossy value is not undone by the old release of the other server saving the row as it is
sql('a', 'UPDATE images SET is_public = is_public WHERE id IN (4, 8)');
wait_for_both();
are_alike('the old release saves rows as they are', @after);
is_written(2, 2, 'the old release saves rows as they are');

# each fills its own rows, and sends nothing of that
sql('a', q(CALL tandem.migrate('m')));
wait_for_both();
is(sql('b', 'SELECT count(*) FROM images WHERE visibility IS NULL'), '3', 'the fill of a does not arrive on b');
sql('b', q(CALL tandem.migrate('m')));
is(sql('b', q(SELECT rows_filled FROM tandem.progress WHERE step = 'backfill')), '3', 'which fills its own rows');
wait_for_both();
$after[$_ - 1] = "$_|" . ($_ % 2 ? 't|public' : 'f|private') foreach 3, 5, 6;
are_alike('filled on both', @after);
is_written(0, 0, 'filled on both');
is_deeply([ sql_on_both(q(SELECT rows_checked, rows_unfilled, rows_mismatched FROM tandem.verify('m'))) ], [ '8|0|0', '8|0|0' ], 'both are verified');

# the old column is no longer published, and then dropped on both, while the new release writes
sql_on_both('ALTER PUBLICATION p SET TABLE images (id, visibility)');
wait_for_both();
sql('a', q(CALL tandem.contract('m', accept => '{not null}')));
sql('b', q(UPDATE images SET visibility = 'between' WHERE id = 1));
sql('a', q(UPDATE images SET visibility = 'two' WHERE id = 2));
wait_for_both();
sql('b', q(CALL tandem.contract('m', accept => '{not null}')));
sql('b', q(UPDATE images SET visibility = 'three' WHERE id = 3));
wait_for_both();
$rows = 'SELECT id, visibility FROM images WHERE id < 4 ORDER BY id';
are_alike('contracted on both', '1|between', '2|two', '3|three');
is_written(3, 3, 'contracted on both');

done_testing();
