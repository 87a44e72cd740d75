# What migrate does between the fill and the builds is told in tandem.progress while it takes time, holds nothing
# while it waits, and ends with tandem.cancel like a batch.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "tandem.lock_timeout = '50ms'");

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

sub wait_for_fill
{
	my ($name, $condition) = @_;

	wait_for_running($node, "SELECT coalesce(bool_or($condition), false) FROM tandem.progress WHERE migration = '$name' AND step = 'backfill'");
	return;
}

sub is_not_told_any_more
{
	my ($name, $what) = @_;

	is(ask("SELECT count(*) FROM tandem.progress WHERE migration = '$name' AND (doing IS NOT NULL OR waiting IS NOT NULL OR blockers IS NOT NULL)"),
		0, "$what: nothing is told any more");
	return;
}

# Begins a transaction that is in the way; returns its session and process id.
sub stand_in_the_way
{
	my ($statement) = @_;
	my $session = $node->background_psql('postgres');

	$session->query_safe("BEGIN; $statement");
	my ($pid) = $session->query_safe('SELECT pg_backend_pid()') =~ /(\d+)/;
	return ($session, $pid);
}

sub test_mark
{
	my $name = 'marked';

	expand_table($node, $name);
	my ($writer, $pid) = stand_in_the_way("LOCK TABLE $name IN ROW EXCLUSIVE MODE");
	ask("CALL tandem.migrate('$name', background => true)");
	wait_for_fill($name, "state = 'waiting' AND percent = 100 AND doing = 'marking the table as filled' AND blockers ~ 'pid $pid ' AND workers IS NOT NULL");
	pass('a writer is in the way of the mark: it is told');
	is(ask("SELECT count(*) FROM pg_locks WHERE relation = '$name'::regclass AND granted AND pid <> $pid AND mode <> 'AccessShareLock'"), 0,
		'and nothing is held on the table meanwhile that would stop anybody');
	# would fail after half a minute
	ask("SELECT tandem.cancel('$name')");
	wait_for_running($node, "SELECT running_pid IS NULL AND NOT background FROM tandem.migrations WHERE name = '$name'");
	is(ask("SELECT phase FROM tandem.migrations WHERE name = '$name'"), 'migrate', 'cancel ends the run while it waits');
	is_not_told_any_more($name, 'after the cancel');
	ask("SELECT tandem.configure('$name', 'tandem.lock_retry_time', '0')");
	is_refused($node, "CALL tandem.migrate('$name')",
		qr/could not lock table "$name", or what belongs to it, within 0 s\nDETAIL:  Blocked by: pid $pid .*\nHINT:  .*CALL tandem.migrate\('$name'\) again/,
		'a writer that does not end');
	ask("SELECT tandem.configure('$name', 'tandem.lock_retry_time', NULL)");
	ask("CALL tandem.migrate('$name', background => true)");
	wait_for_fill($name, "state = 'waiting' AND blockers ~ 'pid $pid '");
	$writer->query_safe('COMMIT');
	is_ended_well($node, $name, 'once the writer has ended');
	is_not_told_any_more($name, 'at the end');
	$writer->quit;
	return;
}

sub test_views
{
	my $name = 'shown';

	expand_table($node, $name, release => 3);
	ask('SELECT tandem.create_views(3)');
	my ($reader, $pid) = stand_in_the_way("SELECT count(*) FROM release_3.$name");
	ask("CALL tandem.migrate('$name', background => true)");
	wait_for_fill($name, "state = 'waiting' AND doing = 'making the views of releases plain' AND blockers ~ 'pid $pid '");
	pass('a reader is in the way of the view: it is told');
	is(ask("SELECT count(*) FROM pg_locks WHERE relation = '$name'::regclass AND granted AND pid <> $pid AND mode <> 'AccessShareLock'"), 0,
		'and nothing is held on the table meanwhile that would stop anybody');
	$reader->query_safe('COMMIT');
	is_ended_well($node, $name, 'once the reader has ended');
	is(ask("UPDATE release_3.$name SET cents = 500 WHERE id = 1 RETURNING cents"), 500, 'the view is plain');
	$reader->quit;
	return;
}

sub test_retry
{
	my $name = 'noted';
	my $rows = 2000;

	ask(<<"SQL");
CREATE TABLE $name (id int PRIMARY KEY, price text);
INSERT INTO $name VALUES (0, '0');
CREATE FUNCTION slow(text) RETURNS int LANGUAGE plpgsql STABLE AS \$\$
BEGIN
	-- in the run, not for the writer
	PERFORM pg_sleep(0.05) WHERE current_setting('application_name') = 'pg_tandem';
	RETURN \$1::int;
END \$\$;
SELECT tandem.create_migration('$name');
SELECT tandem.add_column('$name', '$name', 'cents', 'int');
SELECT tandem.sync_column('$name', '$name', 'price', 'cents', 'slow(price)', on_error => 'quarantine');
CALL tandem.migrate('$name');
INSERT INTO $name SELECT i, 'no ' || i FROM generate_series(1, $rows) i;
CALL tandem.migrate('$name', background => true);
SQL
	wait_for_fill($name, "state = 'running' AND doing = 'trying rows in quarantine again'");
	pass('rows in quarantine are tried again: it is told');
	ask("SELECT tandem.cancel('$name')");
	wait_for_running($node, "SELECT running_pid IS NULL AND NOT background FROM tandem.migrations WHERE name = '$name'");
	is(ask('SELECT count(*) FROM tandem.quarantine'), $rows, 'cancel ends the run long before all have been tried');
	is_not_told_any_more($name, 'after the cancel');
	# a row that is locked is left to the next run, and does not hold it up
	ask("CREATE OR REPLACE FUNCTION slow(text) RETURNS int LANGUAGE sql STABLE AS 'SELECT length(\$1)'");
	my ($writer) = stand_in_the_way("SELECT FROM $name WHERE id = 7 FOR UPDATE");
	my ($status, $out, $err) = $node->psql('postgres', "CALL tandem.migrate('$name')");
	is(ask('SELECT array_agg(key) FROM tandem.quarantine'), '{"{\"id\": \"7\"}"}', 'a row that somebody has locked stays');
	$writer->query_safe('COMMIT');
	$writer->quit;
	return;
}

test_mark();
test_views();
test_retry();
$node->stop;
done_testing();
