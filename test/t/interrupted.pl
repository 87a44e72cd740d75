# Random calls in several sessions at once, with DDL on their tables, each cancelled or terminated at any
# moment: no internal error, nothing half done, no fence and no lock left behind, and each migration
# can still be ended.  TANDEM_SEED repeats the random choices.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $seed = $ENV{TANDEM_SEED} || int(rand(1_000_000));
my $seconds = $ENV{TANDEM_SECONDS} || 15;
my $node = new_server('main', conf => <<'CONF');
session_preload_libraries = 'pg_tandem'
log_error_verbosity = verbose
tandem.lock_timeout = 30ms
tandem.lock_retry_time = 1s
deadlock_timeout = 100ms
CONF
my $up = q(CREATE OR REPLACE FUNCTION up(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 + 1; END');

diag("TANDEM_SEED=$seed");
srand($seed);

sub ask { return $node->safe_psql('postgres', $_[0]); }

sub pick { return $_[ int(rand(@_)) ]; }

sub make_table
{
	my ($table) = @_;

	return <<"SQL" if $table eq 'parted';
CREATE TABLE parted (id int, a int, filler text DEFAULT repeat('x', 200)) PARTITION BY RANGE (id);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
CREATE TABLE parted2 PARTITION OF parted FOR VALUES FROM (1000) TO (2000);
INSERT INTO parted SELECT i, i FROM generate_series(0, 1999) i;
SQL
	return <<"SQL";
CREATE TABLE $table (id int PRIMARY KEY, a int, filler text DEFAULT repeat('x', 200));
INSERT INTO $table SELECT i, i FROM generate_series(1, 2000) i;
SQL
}

# Each statement is committed on its own, unless there are several.
sub statement
{
	my ($table, $migration, $column, $release) = (pick(qw(one two parted)), pick(qw(m1 m2 m3)), pick(qw(n1 n2)), pick(1 .. 3));
	my $expand = "SELECT tandem.add_column('$migration', '$table', '$column', 'bigint');"
	  . " SELECT tandem.sync_column('$migration', '$table', 'a', '$column', 'up(a)', '($column - 1)::int')";

	return pick(
		make_table($table), make_table($table),
		"DROP TABLE $table", 'DROP TABLE parted2', "DROP SCHEMA release_$release CASCADE", "DROP VIEW release_$release.$table",
		'ALTER TABLE parted DETACH PARTITION parted2', 'ALTER TABLE parted DETACH PARTITION parted2 CONCURRENTLY',
		'ALTER TABLE parted ATTACH PARTITION parted2 FOR VALUES FROM (1000) TO (2000)',
		"ALTER TABLE $table DROP COLUMN $column", "ALTER TABLE $table ADD COLUMN $column bigint", "TRUNCATE $table", "VACUUM FULL $table",
		"UPDATE $table SET a = a + 1 WHERE id < 100", "UPDATE $table SET $column = $column + 1 WHERE id = 7",
		"BEGIN; SELECT tandem.create_migration('$migration', release => " . pick('NULL', 1 .. 3) . "); $expand; COMMIT",
		"BEGIN; SELECT tandem.create_migration('$migration', release => " . pick('NULL', 1 .. 3) . "); $expand; COMMIT",
		$expand,
		"SELECT tandem.add_index('$migration', 'CREATE INDEX ON $table ($column)')",
		"SELECT tandem.add_not_null('$migration', '$table', '$column')",
		"SELECT tandem.add_constraint('$migration', '$table', 'c_$column', 'CHECK ($column > 0)')",
		"CALL tandem.migrate('$migration')", "CALL tandem.migrate('$migration', if_running => 'wait')",
		"CALL tandem.migrate('$migration', background => true, workers => 2)",
		"CALL tandem.contract('$migration', force => true, undeclared => 'ignore')", "CALL tandem.contract('$migration', undeclared => 'ignore')",
		"CALL tandem.abort('$migration')", "CALL tandem.abort('$migration', force => true)", "SELECT * FROM tandem.preview_contract('$migration')", "SELECT tandem.forget('$migration')", "SELECT * FROM tandem.verify('$migration')",
		"SELECT tandem.pause('$migration'); SELECT tandem.resume('$migration')", "SELECT tandem.cancel('$migration')",
		"SELECT tandem.create_views($release)", "SELECT tandem.switch_release($release)", "SELECT * FROM tandem.health($release)",
		'SELECT * FROM tandem.syncs', 'SELECT * FROM tandem.progress', 'SELECT * FROM tandem.migrations', 'SELECT * FROM tandem.sessions');
}

sub start_session
{
	my %job = (out => '', err => '');
	my $file = write_script('session' . int(rand(1_000_000_000)), join('', map { statement() . ";\n" } 1 .. 200));

	$job{run} = IPC::Run::start([ $node->installed_command('psql'), '-XAtq', '-d', $node->connstr('postgres'), '-f', $file ],
		'<', \undef, '>', \$job{out}, '2>', \$job{err});
	return \%job;
}

# An internal error in a statement that calls the extension, or in one of its processes.
sub internal_errors
{
	my @found;
	my %entry;

	foreach my $line (split /^/m, slurp_file($node->logfile))
	{
		my ($pid) = $line =~ /^\S+ \S+ \S+ \[(\d+)\]/ or next;

		$entry{$pid} = '' if $line =~ /(?:ERROR|FATAL|PANIC|WARNING):  /;
		$entry{$pid} .= $line;
		# the server's own races with a function that is dropped
		push @found, $entry{$pid}
		  if $line =~ /STATEMENT:  .*tandem\./ && $entry{$pid} =~ /:  XX\d{3}:/ && $entry{$pid} !~ /func_get_detail|get_func_prokind/;
	}
	return @found;
}

ask("$up; " . join ' ', map { make_table($_) } qw(one two parted));
my @sessions = map { start_session() } 1 .. 4;
my $hits = 0;
my $end = time + $seconds;
while (time < $end)
{
	foreach my $session (@sessions)
	{
		$session->{run}->pump_nb if $session->{run}->pumpable;
		next if $session->{run}->pumpable;
		$session->{run}->finish;
		$session = start_session();
	}
	my $signal = pick(qw(pg_cancel_backend pg_cancel_backend pg_terminate_backend));
	$hits += ask(<<"SQL");
SELECT count($signal(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active'
	AND (query ~ 'tandem' OR backend_type = 'pg_tandem') ORDER BY random() LIMIT 1) p
SQL
	select(undef, undef, undef, rand(0.1));
}
ask(q(SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type IN ('client backend', 'pg_tandem') AND datname = 'postgres'));
$_->{run}->finish foreach @sessions;
wait_for_running($node, q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type IN ('client backend', 'pg_tandem') AND datname = 'postgres'));
cmp_ok($hits, '>', 0, "$hits calls were interrupted");

is(join('', internal_errors()), '', 'no internal error');
unlike(slurp_file($node->logfile), qr/was terminated by signal|TRAP:/, 'no crash');
is(ask(q(SELECT count(*) FROM pg_locks WHERE locktype IN ('object', 'userlock') AND classid = 'tandem.migration'::regclass)), 0, 'no lock is left');
ask($up);
is(ask('SELECT string_agg(name, $$, $$) FROM tandem.migrations WHERE running_pid IS NOT NULL'), '', 'nothing runs');
ask("SET client_min_messages = error; DROP SCHEMA IF EXISTS release_1, release_2, release_3 CASCADE");
# one whose column an index of another is on goes after it; of two that wait for each other the tables go
for (my $round = 1; my @open = split /\n/, ask(q(SELECT name FROM tandem.migrations WHERE phase NOT IN ('done', 'aborted'))); $round++)
{
	ask('SET client_min_messages = error; DROP TABLE IF EXISTS one, two, parted CASCADE') if $round == 4;
	last if $round == 6;
	foreach my $name (@open)
	{
		my ($status, undef, $err) = $node->psql('postgres', "SET client_min_messages = error; SET tandem.lock_retry_time = '10s'; CALL tandem.abort('$name', force => true)");

		like($err, qr/are in use\n.* of migration m/, "of $name: abort waits for another migration alone") if $status != 0;
	}
}
is(ask(q(SELECT count(*) FROM tandem.migrations WHERE phase NOT IN ('done', 'aborted'))), 0, 'each migration can be ended');
is(ask(q(SELECT string_agg(release::text, ', ') FROM tandem.releases WHERE contracting IS NOT NULL)), '', 'the fence is lifted');
is(ask(q(SELECT string_agg(tgrelid::regclass::text, ', ') FROM pg_trigger WHERE tgname = '~tandem_sync')), '', 'no trigger is left');

done_testing();
