# What abort looks at before it loses values: for a limited time, and without waiting for somebody who
# has a table locked while others wait for what abort's transaction has locked.  B23 of test/faults.md.

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

# A session with a transaction that has something locked; returns it, and its process id.
sub locker
{
	my ($lock) = @_;
	my $session = $node->background_psql('postgres');

	$session->query_safe("BEGIN; $lock");
	my ($pid) = $session->query_safe('SELECT pg_backend_pid()') =~ /(\d+)/;
	return ($session, $pid);
}

sub end_session
{
	my ($session) = @_;

	$session->query_safe('COMMIT');
	$session->quit;
	return;
}

# One row a block, of which the last has more to say in the new column than in the old one.  The first
# evaluation of up with app.slow set takes longer than the whole look may.
sub make_flags
{
	my ($name) = @_;

	ask(<<"SQL");
CREATE OR REPLACE FUNCTION flag_up(id int, flag boolean) RETURNS text LANGUAGE plpgsql IMMUTABLE AS \$\$
BEGIN
	IF id = 1 AND current_setting('app.slow', true) = 'on' THEN
		PERFORM set_config('app.slow', 'off', false);
		PERFORM pg_sleep(10.01);
	END IF;
	RETURN CASE WHEN flag THEN 'public' ELSE 'private' END;
END \$\$;
CREATE TABLE $name (id int, flag boolean, filler text); ALTER TABLE $name ALTER COLUMN filler SET STORAGE PLAIN;
SELECT tandem.create_migration('$name');
SELECT tandem.add_column('$name', '$name', 'status', 'text');
SELECT tandem.sync_column('$name', '$name', 'flag', 'status', up => 'flag_up(id, flag)', down => 'status = ''public''');
INSERT INTO $name (id, flag, filler) SELECT i, false, repeat('x', 5000) FROM generate_series(1, 20) i;
UPDATE $name SET status = 'unlisted' WHERE id = 20;
SQL
	return;
}

sub test_time
{
	make_flags('flags');
	my $blocks = ask("SELECT pg_relation_size('flags') / current_setting('block_size')::int");
	my $unread = $blocks - 16;
	is_refused($node, q(CALL tandem.abort('flags')),
		qr/table public.flags: 1 row with a value that up does not give.*status IS DISTINCT FROM/s, 'a value beyond the old one');
	my ($status, $out, $err) = $node->psql('postgres', q(SET app.slow = 'on'; CALL tandem.abort('flags')));
	is($status, 0, 'abort goes on after 10 s');
	like($err, qr/WARNING:  abort of migration "flags" may lose values of new columns that up does not give\nDETAIL:  Table public.flags: $unread of its blocks were not read within the 10 s/,
		'and says how much it has not looked at');
	is(ask(q(SELECT phase FROM tandem.migrations WHERE name = 'flags')), 'aborted', 'it has ended the migration');
	return;
}

# Of a sync whose values come back abort does not wait: it says so, and tries for its own locks.
sub test_two_way_locked
{
	make_flags('locked');
	my ($holder, $pid) = locker('LOCK TABLE locked IN ACCESS EXCLUSIVE MODE');
	my ($status, $out, $err) = $node->psql('postgres', q(SET tandem.lock_retry_time = '1s'; CALL tandem.abort('locked')));
	isnt($status, 0, 'abort of a locked table fails');
	like($err, qr/WARNING:  abort of migration "locked" may lose values.*\nDETAIL:  Table public.locked: canceling statement due to lock timeout/,
		'it says that it has not looked');
	like($err, qr/ERROR:  could not lock table "locked" within 1 s\nDETAIL:  Blocked by: pid $pid /, 'and who has it locked');
	end_session($holder);
	is_refused($node, q(CALL tandem.abort('locked')), qr/1 row with a value that up does not give/, 'with the table free again');
	return;
}

# What must be counted, abort waits for, but not while others wait for its transaction.
sub test_counted_locked
{
	my ($kind, $sync) = @_;

	ask(<<"SQL");
CREATE TABLE $kind (id int PRIMARY KEY, price int);
INSERT INTO $kind VALUES (1, 1);
SELECT tandem.create_migration('$kind');
SELECT tandem.add_column('$kind', '$kind', 'cents', 'bigint'$sync);
SQL
	my ($holder, $pid) = locker("LOCK TABLE $kind IN ACCESS EXCLUSIVE MODE");
	my ($status, $out, $err) = $node->psql('postgres',
		"SET statement_timeout = '60s'; SET tandem.lock_retry_time = '1h'; BEGIN; LOCK TABLE other IN ACCESS EXCLUSIVE MODE; CALL tandem.abort('$kind')");
	like($err, qr/ERROR:  could not lock table "$kind" while this transaction has "other" locked\nDETAIL:  Blocked by: pid $pid /,
		"$kind: not waited for with another table locked");
	($status, $out, $err) = $node->psql('postgres', "SET tandem.lock_retry_time = '1s'; CALL tandem.abort('$kind')");
	like($err, qr/ERROR:  could not lock table "$kind" within 1 s\nDETAIL:  Blocked by: pid $pid /, "$kind: nor for ever");
	# a writer, whose values count when he has ended
	my ($writer, $writer_pid) = locker('SELECT 1'); $writer->query_safe('COMMIT');
	end_session($holder);
	$writer->query_safe("BEGIN; UPDATE $kind SET cents = 7");
	is_refused($node, "SET tandem.lock_retry_time = '1s'; CALL tandem.abort('$kind')",
		qr/ERROR:  a transaction that writes tables of migration "$kind" has not ended within 1 s\nDETAIL:  This one: pid $writer_pid /, "$kind: a writer");
	$writer->query_safe('ROLLBACK');
	$writer->quit;
	($holder, $pid) = locker("LOCK TABLE $kind IN ACCESS EXCLUSIVE MODE");
	# it waits, and goes on when the other has ended
	my $abort = start_psql($node, 'postgres', "CALL tandem.abort('$kind')");
	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = '$kind'::regclass AND NOT granted AND mode = 'AccessShareLock')");
	end_session($holder);
	ok(finish($abort), "$kind: it is counted when it is free");
	return;
}

test_time();
test_two_way_locked();
ask('CREATE TABLE other (id int)');
test_counted_locked('derived', q(, up => 'price * 100'));
test_counted_locked('plain', '');

done_testing();
