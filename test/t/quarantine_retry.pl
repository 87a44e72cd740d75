# Rows in quarantine are tried again by a run like any other work of it: in batches of a transaction each, told in
# tandem.progress, with pause, cancel and throttle, and with what was done kept.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $node = new_server('main');
my $rows = 4000;

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# A filled table whose rows a writer has put into quarantine since, some 30 a page; up works for them in the run.
sub noted_table
{
	my ($name, $key) = @_;

	ask(<<"SQL");
CREATE TABLE $name (id int $key, price text, filler text DEFAULT repeat('x', 200)) WITH (autovacuum_enabled = off);
INSERT INTO $name SELECT i, i::text FROM generate_series(1, $rows) i;
CREATE OR REPLACE FUNCTION number(text) RETURNS int LANGUAGE plpgsql STABLE AS \$\$
BEGIN
	IF current_setting('application_name') = 'pg_tandem' THEN
		PERFORM pg_sleep(0.002);
		RETURN split_part(\$1, ' ', 1)::int;
	END IF;
	RETURN \$1::int;
END \$\$;
SELECT tandem.create_migration('$name');
SELECT tandem.add_column('$name', '$name', 'cents', 'int');
SELECT tandem.sync_column('$name', '$name', 'price', 'cents', 'number(price)', 'cents::text', on_error => 'quarantine');
CALL tandem.migrate('$name');
UPDATE $name SET price = price || ' EUR';
SELECT tandem.configure('$name', 'tandem.batch_target', '50ms');
SQL
	is(ask("SELECT count(*) FROM tandem.quarantine"), $rows, "$name: all rows are noted");
	return;
}

sub wait_for_retry
{
	my ($name, $condition) = @_;

	wait_for_running($node, "SELECT coalesce(bool_or(doing = 'trying rows in quarantine again' AND $condition), false) "
		  . "FROM tandem.progress WHERE migration = '$name' AND step = 'backfill'");
	return;
}

sub filled
{
	my ($name) = @_;

	return ask("SELECT count(*) FROM $name WHERE cents = id");
}

sub test_pause
{
	my ($name) = @_;

	ask("CALL tandem.migrate('$name', background => true)");
	wait_for_retry($name, "state = 'running' AND done > 0 AND done < total AND percent BETWEEN 0.1 AND 99.9");
	pass("$name: how far it is, is told");
	ask("SELECT tandem.pause('$name')");
	wait_for_retry($name, "state = 'paused' AND waiting ~ '^paused'");
	my $before = filled($name);
	cmp_ok($before, '>', 0, "$name: what the batches before have done is committed");
	cmp_ok($before, '<', $rows, "$name: the pause comes in the middle");
	is(ask("SELECT count(*) FROM pg_locks WHERE relation = '$name'::regclass AND granted"), 0, "$name: nothing is held meanwhile");
	# what passes in a pause is a writer, who neither waits nor is overwritten
	ask("UPDATE $name SET price = '7' WHERE id = $rows");
	is(filled($name), $before, "$name: nothing goes on");
	ask("SELECT tandem.resume('$name')");
	wait_for_retry($name, 'waiting IS NULL');
	pass("$name: it goes on");
	return;
}

sub test_cancel
{
	my ($name, $noted) = @_;

	wait_for_retry($name, 'done > 20');
	ask("SELECT tandem.cancel('$name')");
	wait_for_running($node, "SELECT running_pid IS NULL AND NOT background FROM tandem.migrations WHERE name = '$name'");
	my $done = filled($name);
	cmp_ok($done, '<', $rows, "$name: cancel ends it in the middle");
	is(ask("SELECT phase FROM tandem.migrations WHERE name = '$name'"), 'migrate', "$name: the run has not ended");
	is(ask('SELECT count(*) FROM tandem.quarantine'), $noted, "$name: no note goes before all rows have been seen");
	is_refused($node, "CALL tandem.contract('$name')", qr/$noted rows are in quarantine/, "$name: contract");
	return;
}

sub test_throttle
{
	my ($name) = @_;

	ask("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '100'); CALL tandem.migrate('$name', background => true)");
	wait_for_retry($name, "state = 'waiting' AND waiting ~ 'max_rows_per_second'");
	pass("$name: it is held back like a fill");
	speed_up($node, $name);
	is_ended_well($node, $name, $name);
	is(filled($name), $rows - 1, "$name: every row is filled");
	is(ask("SELECT cents FROM $name WHERE id = $rows"), 7, "$name: and what a writer wrote meanwhile is there");
	is(ask('SELECT count(*) FROM tandem.quarantine'), 0, "$name: no note is left");
	is(ask("SELECT count(*) FROM tandem.progress WHERE migration = '$name' AND (doing IS NOT NULL OR percent < 100)"), 0,
		"$name: nothing is told any more");
	return;
}

for my $table ([ keyed => 'PRIMARY KEY' ], [ bare => '' ])
{
	noted_table(@$table);
	test_pause($table->[0]);
	# the writer has repaired one row, whose note its key finds
	test_cancel($table->[0], $table->[1] ? $rows - 1 : $rows);
	test_throttle($table->[0]);
	ask("CALL tandem.contract('$table->[0]')");
}
$node->stop;
done_testing();
