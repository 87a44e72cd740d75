# Blocks with rows that others have locked stay on the step's list, with few others, and every row is counted once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $node = new_server('main');

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# Holds the first row of some blocks, as long as the prepared transaction of that name is there.
sub hold_blocks
{
	my ($name, @blocks) = @_;
	my $tids = join ', ', map { "'($_,1)'" } @blocks;

	ask("BEGIN; SELECT FROM items WHERE ctid = ANY (ARRAY[$tids]::tid[]) FOR UPDATE; PREPARE TRANSACTION '$name'");
	return;
}

sub wait_for_blocks
{
	my ($blocks, $rows_open, $what) = @_;
	my $step = q(FROM tandem.step WHERE kind = 'backfill');

	wait_for_running($node, "SELECT blocks_todo = '$blocks' $step");
	is(ask("SELECT rows_done $step"), ask("SELECT count(*) - ($rows_open) FROM items"), $what);
	return;
}

# the rows of block n whose blocks are on the list are not counted yet
sub rows_of
{
	my ($first, $last) = @_;

	return "SELECT count(*) FROM items_before WHERE block BETWEEN $first AND $last";
}

ask(<<'SQL');
CREATE TABLE items (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 150)) WITH (fillfactor = 50);
INSERT INTO items SELECT i, i FROM generate_series(1, 3000) i;
CREATE TABLE items_before AS SELECT id, (ctid::text::point)[0]::int AS block FROM items;
SQL
expand_price($node, 'items');
# all within the first batch
hold_blocks('first', 1);
hold_blocks('second', 12);
hold_blocks('third', 15);
ask(q(CALL tandem.migrate('items', background => true)));
wait_for_blocks('{[1,2),[12,16)}', '(' . rows_of(1, 1) . ') + (' . rows_of(12, 15) . ')',
	'what lies close between two blocks stays with them, and is not counted yet');
ask(q(COMMIT PREPARED 'second'));
wait_for_blocks('{[1,2),[15,16)}', '(' . rows_of(1, 1) . ') + (' . rows_of(15, 15) . ')', 'it is counted when it goes');
ask(q(ROLLBACK PREPARED 'first'));
ask(q(COMMIT PREPARED 'third'));
is_ended_well($node, 'items', 'items');
wait_for_blocks('{}', '0', 'at the end each row is counted, once');
is(ask(q(SELECT count(*) FROM items WHERE cents = price * 100)), 3000, 'each row is filled');

done_testing();
