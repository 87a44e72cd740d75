# Nothing is waited for long while others wait for what is locked already, an autovacuum does not keep anybody out, and
# a circle through a lock of the tool that runs a migration is found.  C1, C2, C2b, C2c and
# C17 of test/faults.md.
# Hazard: a lock queue behind a long transaction.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $node = new_server('main', conf => <<'CONF');
autovacuum_naptime = 1s
log_autovacuum_min_duration = 0
CONF

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
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

# An autovacuum that would take for ever: only the server's own cancel, after deadlock_timeout, ends it.
sub slow_autovacuum
{
	my ($name) = @_;
	my $at_work = "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query ~ '\\m$name\\M'";

	ask(<<"SQL");
ALTER TABLE $name SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100,
	autovacuum_vacuum_cost_limit = 1, autovacuum_enabled = true);
UPDATE $name SET filler = filler || 'y';
SQL
	wait_for_running($node, $at_work);
	return $at_work;
}

sub test_autovacuum
{
	my $name = 'vacuumed';

	ask("CREATE TABLE $name (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 150)) WITH (autovacuum_enabled = false);
		INSERT INTO $name SELECT i, i FROM generate_series(1, 6000) i");
	slow_autovacuum($name);
	ask("SET tandem.lock_retry_time = '10s'; SET tandem.lock_timeout = '200ms'; BEGIN; SELECT tandem.create_migration('$name');
		SELECT tandem.add_column('$name', '$name', 'cents', 'bigint'); SELECT tandem.sync_column('$name', '$name', 'price', 'cents', 'price * 100', 'cents / 100'); COMMIT");
	pass('expand gets past an autovacuum');
	like(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/canceling autovacuum task/, 'which the server has cancelled for it');
	ask("CALL tandem.migrate('$name')");
	slow_autovacuum($name);
	ask("SET tandem.lock_retry_time = '10s'; CALL tandem.contract('$name', undeclared => 'ignore')");
	pass('and so does contract');
	ask("DROP TABLE $name");
	return;
}

sub expand_sql
{
	my ($migration, $name) = @_;

	return "SELECT tandem.add_column('$migration', '$name', 'cents', 'bigint');
		SELECT tandem.sync_column('$migration', '$name', 'price', 'cents', 'price * 100', 'cents / 100');";
}

# A client has read the one table, and will write the other.
sub test_two_tables
{
	ask("CREATE TABLE $_ (id int PRIMARY KEY, price int); INSERT INTO $_ VALUES (1, 1)") foreach 'lines', 'users';
	my ($client, $pid) = stand_in_the_way('SELECT * FROM users');
	is_refused($node, "SELECT tandem.create_migration('two'); BEGIN; " . expand_sql('two', 'lines') . expand_sql('two', 'users') . 'COMMIT',
		qr/could not lock table "users" while this transaction has "lines" locked\nDETAIL:  Blocked by: pid $pid .*\nHINT:  .*Change one table a transaction/,
		'a second table in one transaction');
	# the client has waited for us, and writes
	my $expand = start_psql($node, 'postgres', q(SET tandem.lock_retry_time = '60s'), q(SET tandem.lock_timeout = '2s'), 'BEGIN; ' . expand_sql('two', 'lines') . expand_sql('two', 'users') . 'COMMIT');
	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'lines'::regclass AND granted AND mode = 'AccessExclusiveLock')");
	$client->query_safe("SET statement_timeout = '20s'; UPDATE lines SET price = 2");
	$client->query_safe('COMMIT');
	$client->quit;
	ok(!finish($expand), 'while the client went on, expand has failed');
	ask(expand_sql('two', 'lines'));
	ask(expand_sql('two', 'users'));
	pass('each by itself is expanded');

	# what nobody else sees is locked for nobody
	ask('CREATE TABLE third (id int PRIMARY KEY, price int)');
	my ($reader) = stand_in_the_way('SELECT * FROM third');
	my $alone = start_psql($node, 'postgres', "SET tandem.lock_retry_time = '60s'; SELECT tandem.create_migration('third')", "BEGIN; CREATE TABLE mine (id int PRIMARY KEY); " . expand_sql('third', 'third') . 'COMMIT');
	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'third'::regclass AND NOT granted)");
	wait_for_running($node, "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE relation = 'third'::regclass AND NOT granted)") foreach 1 .. 6;
	$reader->query_safe('COMMIT');
	$reader->quit;
	ok(finish($alone), 'a table that was made in the transaction does not count');
	return;
}

# A tool has a statement_timeout of its own, and the server's error names neither table nor culprit.
sub test_statement_timeout
{
	expand_table($node, 'timed', rows => 10);
	my ($client, $pid) = stand_in_the_way('SELECT * FROM timed');
	my (undef, undef, $err) = $node->psql('postgres', "SET tandem.lock_timeout = '50ms'; SET statement_timeout = '3s'; CALL tandem.abort('timed')");
	like($err, qr/canceling statement due to statement timeout\n.*CONTEXT:  waiting for a lock on table "timed", blocked by: pid $pid /s, 'who is in the way when statement_timeout ends it');
	$client->query_safe('COMMIT');
	$client->quit;
	ask("CALL tandem.abort('timed')");
	return;
}

# As drivers send them: one query string is one transaction.
sub test_two_contracts
{
	foreach my $name ('first', 'second')
	{
		expand_table($node, $name, rows => 10);
		ask("CALL tandem.migrate('$name')");
	}
	my ($client, $pid) = stand_in_the_way('SELECT * FROM second');
	my ($out, $err) = ('', '');
	PostgreSQL::Test::Utils::run_log([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c',
			"CALL tandem.contract('first', undeclared => 'ignore'); CALL tandem.contract('second', undeclared => 'ignore')" ], '2>', \$err);
	like($err, qr/could not lock table "second" while this transaction has "first\w*" locked.*\n.*Blocked by: pid $pid .*\n.*Change one table a transaction/, 'two contracts in one query string');
	$client->query_safe('COMMIT');
	$client->quit;
	ask("CALL tandem.contract('$_', undeclared => 'ignore')") foreach 'first', 'second';
	pass('one after the other they contract');
	return;
}

# The triggers of two tables are broken, and a writer is in the way of the second: the first is not kept meanwhile.
sub test_repair
{
	my $migration = 'repaired';

	ask("SELECT tandem.create_migration('$migration')");
	foreach my $name ('repaired_a', 'repaired_b')
	{
		ask("CREATE TABLE $name (id int PRIMARY KEY, price int); INSERT INTO $name VALUES (1, 1)");
		ask(expand_sql($migration, $name));
	}
	ask(<<'SQL');
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
ALTER TABLE repaired_a DISABLE TRIGGER "~tandem_sync";
ALTER TABLE repaired_b DISABLE TRIGGER "~tandem_sync";
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
SQL
	my ($writer, $pid) = stand_in_the_way('UPDATE repaired_b SET price = 2');
	my $migrate = start_psql($node, 'postgres', "CALL tandem.migrate('$migration')");
	wait_for_running($node, "SELECT coalesce(bool_or(blockers ~ 'pid $pid ' AND doing = 'repairing the trigger'), false) FROM tandem.progress WHERE relation = 'repaired_b'::regclass");
	is(ask("SET statement_timeout = '10s'; UPDATE repaired_a SET price = 3 RETURNING cents"), 300, 'the first table is repaired, and free');
	$writer->query_safe('COMMIT');
	$writer->quit;
	ok(finish($migrate), 'migrate goes on');
	is(ask('SELECT cents FROM repaired_b'), 200, 'and what was written meanwhile is filled');
	return;
}

# Two nodes of a tool that takes an advisory lock: the second waits for it in a transaction with a snapshot, which
# CREATE INDEX CONCURRENTLY waits for.
sub test_advisory_lock
{
	my $name = 'locked';

	expand_table($node, $name, rows => 10);
	ask("SELECT tandem.add_index('$name', 'CREATE INDEX ${name}_cents ON $name (cents)')");
	my $tool = $node->background_psql('postgres', on_error_stop => 0);
	$tool->query_safe('SELECT pg_advisory_lock(7)');
	my $other = start_psql($node, 'postgres', "SET application_name = 'other node'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM $name; SELECT pg_advisory_lock(7); SELECT pg_advisory_unlock(7); COMMIT");
	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted)");
	my ($out, $failed) = $tool->query("SET statement_timeout = '60s'; CALL tandem.migrate('$name')");
	like($tool->{stderr}, qr/a statement of migration "$name" waits for a session that waits for this one.*It waits for: pid \d+ .*other node.*background => true/s,
		'a circle through an advisory lock is found and named');
	$tool->{stderr} = '';
	$tool->query_safe('SELECT pg_advisory_unlock(7)');
	ok(finish($other), 'the other node goes on');
	$tool->query_safe("SET client_min_messages = error; CALL tandem.migrate('$name')");
	is(ask("SELECT phase FROM tandem.migrations WHERE name = '$name'"), 'contract', 'and then migrate ends');
	$tool->quit;
	return;
}

# The same, where another session runs the migration, and the tool waits for its end.
sub test_wait_for_run
{
	my $name = 'awaited';

	expand_table($node, $name, rows => 10);
	ask("SELECT tandem.add_index('$name', 'CREATE INDEX ${name}_cents ON $name (cents)')");
	my $tool = $node->background_psql('postgres', on_error_stop => 0);
	$tool->query_safe('SELECT pg_advisory_lock(8)');
	my $other = start_psql($node, 'postgres', "SET application_name = 'third node'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM $name; SELECT pg_advisory_lock(8); SELECT pg_advisory_unlock(8); COMMIT");
	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 8 AND NOT granted)");
	my $run = start_psql($node, 'postgres', "CALL tandem.migrate('$name')");
	wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type = 'pg_tandem' AND l.locktype = 'virtualxid' AND NOT l.granted)");
	$tool->query("SET statement_timeout = '60s'; CALL tandem.migrate('$name', if_running => 'wait')");
	like($tool->{stderr}, qr/the run of migration "$name", which this session waits for, waits for this session.*Process \d+ of the run waits for: pid \d+ .*third node.*call it again/s,
		'a circle through the wait for a run of another session is found and named');
	$tool->{stderr} = '';
	$tool->query_safe('SELECT pg_advisory_unlock(8)');
	ok(finish($other), 'the other node goes on');
	ok(finish($run), 'and the run ends');
	$tool->query_safe("SET client_min_messages = error; CALL tandem.migrate('$name', if_running => 'wait')");
	$tool->quit;
	return;
}

test_autovacuum();
test_two_tables();
test_two_contracts();
test_statement_timeout();
test_repair();
test_advisory_lock();
test_wait_for_run();
$node->stop;

done_testing();
