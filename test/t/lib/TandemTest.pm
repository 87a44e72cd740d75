# What the TAP tests of this folder have in common.
package TandemTest;

use strict;
use warnings;

use Exporter qw(import);
use File::Basename;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_server preload start_psql start_pgbench end_pgbench finish wait_for_running
  write_script pgbench_counts init_pgbench expand_accounts sums_agree expand_price expand_table
  schema_of ends_without_failure is_refused expand_counted is_shared run_slowly pause_run speed_up is_ended_well);

# A server with the extension in database postgres; option conf: more settings.
sub new_server
{
	my ($name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my $conf = delete $params{conf};

	$node->init(allows_streaming => 'logical', %params);
	$node->append_conf('postgresql.conf', <<'CONF');
max_connections = 40
max_prepared_transactions = 4
max_wal_senders = 8
max_replication_slots = 8
# the tests themselves are clients at work
tandem.nice_ratio = 0
log_line_prefix = '%m [%p] %q%a '
CONF
	$node->append_conf('postgresql.conf', $conf) if defined $conf;
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_tandem');
	return $node;
}

# LD_PRELOAD of a server for a library; that of AddressSanitizer, of a server built with it, must come first.
sub preload
{
	my ($library) = @_;

	chomp(my $bindir = `$ENV{PG_CONFIG} --bindir`);
	my ($sanitizer) = `ldd $bindir/postgres` =~ m{(/\S*libasan\S*)};
	return join ' ', grep { defined } $sanitizer, $library;
}

# Runs statements in the background, one transaction each; see finish.
sub start_psql
{
	my ($node, $database, @statements) = @_;
	my %job = (out => '', err => '', what => $statements[-1]);
	my @command = (
		$node->installed_command('psql'),
		'-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database));

	push @command, '-c', $_ foreach @statements;
	$job{run} = IPC::Run::start(\@command, '<', \undef, '>', \$job{out},
		'2>', \$job{err},
		IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	return \%job;
}

# Runs pgbench in the background; what pgbench prints is in {out} and {err}.
sub start_pgbench
{
	my ($node, @options) = @_;
	my %job = (out => '', err => '', what => "pgbench @options");
	my @command = ($node->installed_command('pgbench'),
		'-n', @options, '-h', $node->host, '-p', $node->port,
		# the environment of the tests names it otherwise
		'dbname=postgres application_name=pgbench');

	$job{run} = IPC::Run::start(\@command, '<', \undef, '>', \$job{out},
		'2>', \$job{err},
		IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	return \%job;
}

# Waits for the end of a background job; returns whether it succeeded.
sub finish
{
	my ($job) = @_;
	my $ok = $job->{run}->finish;

	note("$job->{what}: $job->{err}") if $job->{err} ne '';
	return $ok;
}

# Ends pgbench as its own -T does: each client finishes its transaction, then it reports.
sub end_pgbench
{
	my ($job) = @_;

	$job->{run}->signal('ALRM');
	return finish($job);
}

# Waits until a query is true; dies with what is there instead.
sub wait_for_running
{
	my ($node, $query, $database) = @_;

	$node->poll_query_until($database || 'postgres', $query)
	  or die "never came true: $query";
	return;
}

# A file with the given content, for pgbench -f.
sub write_script
{
	my ($name, $content) = @_;
	my $test = basename($0, '.pl');
	my $path = "${PostgreSQL::Test::Utils::tmp_check}/$test-$name.sql";

	unlink $path;
	append_to_file($path, $content);
	return $path;
}

# Transactions that pgbench says it has done, and those that failed.
sub pgbench_counts
{
	my ($job) = @_;
	my ($done) = $job->{out} =~ /transactions actually processed: (\d+)/;
	my ($failed) = $job->{out} =~ /failed transactions: (\d+)/;

	return ($done || 0, defined $failed ? $failed : -1);
}

# pgbench, ended between two transactions, has done some, none of them failed, and has told of nothing.
sub ends_without_failure
{
	my ($job, $name) = @_;
	my ($done, $failed);

	ok(end_pgbench($job), "$name ends well");
	($done, $failed) = pgbench_counts($job);
	cmp_ok($done, '>', 100, "$name did its transactions");
	is($failed, 0, "no transaction of $name failed");
	unlike($job->{err}, qr/error|abort/i, "nothing was reported by $name");
	return;
}

# What pg_dump says of schema public.
sub schema_of
{
	my ($node, $database) = @_;
	my $dump = '';

	IPC::Run::run([ $node->installed_command('pg_dump'), '--schema-only', '-n', 'public', '-d', $node->connstr($database) ], '>', \$dump)
	  or die "pg_dump failed\n";
	# a random key of newer ones
	return $dump =~ s/^\\(?:un)?restrict .*\n//mgr;
}

# The tables of pgbench, of 100000 accounts a unit of scale.
sub init_pgbench
{
	my ($node, $scale) = @_;

	$node->command_ok([ 'pgbench', '-i', '-q', '-s', $scale, '-h', $node->host, '-p', $node->port, 'postgres' ],
		'tables of pgbench');
	return;
}

# Expand for pgbench's own table: whole units in an int become cents in a bigint.
sub expand_accounts
{
	my ($node, $keep_old) = @_;
	my $keep = $keep_old ? 'true' : 'false';

	$node->safe_psql('postgres', <<"SQL");
BEGIN;
SELECT tandem.create_migration('cents', release => 2);
SELECT tandem.add_column('cents', 'pgbench_accounts', 'abalance_cents', 'bigint');
SELECT tandem.sync_column('cents', 'pgbench_accounts', 'abalance', 'abalance_cents',
	'abalance * 100::bigint', '(abalance_cents / 100)::int', keep_old => $keep);
COMMIT;
SQL
	return;
}

# Whether TPC-B's own sums agree: no change of release 1 is lost, none is there twice.
sub sums_agree
{
	my ($node, $when) = @_;

	is($node->safe_psql('postgres', <<'SQL'), 't|t|t', "accounts, tellers and branches have every change of the history $when");
SELECT (SELECT sum(abalance) FROM pgbench_accounts) = delta,
	(SELECT sum(tbalance) FROM pgbench_tellers) = delta,
	(SELECT sum(bbalance) FROM pgbench_branches) = delta
FROM (SELECT coalesce(sum(delta), 0) AS delta FROM pgbench_history) h
SQL
	return;
}

# Expand of a table with a price, an int, which becomes cents; options: migration (its name, else that
# of the table), release, up, database.
sub expand_price
{
	my ($node, $table, %options) = @_;
	my $migration = $options{migration} || $table;
	my $release = $options{release} || 'NULL';
	my $up = $options{up} || 'price * 100::bigint';

	$node->safe_psql($options{database} || 'postgres', <<"SQL");
BEGIN;
SELECT tandem.create_migration('$migration', release => $release);
SELECT tandem.add_column('$migration', '$table', 'cents', 'bigint');
SELECT tandem.sync_column('$migration', '$table', 'price', 'cents', '$up', '(cents / 100)::int');
COMMIT;
SQL
	return;
}

# A table with some 40 rows a page, expanded; options: rows, and those of expand_price.
sub expand_table
{
	my ($node, $name, %options) = @_;
	my $rows = delete $options{rows} || 6000;

	$node->safe_psql($options{database} || 'postgres', <<"SQL");
CREATE TABLE $name (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 150));
INSERT INTO $name SELECT i, i FROM generate_series(1, $rows) i;
SQL
	expand_price($node, $name, %options);
	return;
}

# Runs a statement that is to fail with an error like pattern.
sub is_refused
{
	my ($node, $statement, $pattern, $what) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $statement);

	isnt($status, 0, "$what: refused");
	like($err, $pattern, "$what: with the reason and what to do");
	return;
}

# A migration for a table (id, price) that tells who filled each row: pid, which is 0 where it was a
# writer.  Options: database, migration.
sub expand_counted
{
	my ($node, $name, %options) = @_;
	my $migration = $options{migration} || $name;

	$node->safe_psql($options{database} || 'postgres', <<"SQL");
CREATE OR REPLACE FUNCTION public.whoami() RETURNS int LANGUAGE sql VOLATILE
	AS \$\$ SELECT CASE current_setting('application_name') WHEN 'pg_tandem' THEN pg_backend_pid() ELSE 0 END \$\$;
BEGIN;
SELECT tandem.create_migration('$migration');
SELECT tandem.add_column('$migration', '$name', 'cents', 'bigint');
SELECT tandem.add_column('$migration', '$name', 'pid', 'int');
SELECT tandem.sync_column('$migration', '$name', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
SELECT tandem.sync_column('$migration', '$name', 'id', 'pid', 'public.whoami()', NULL, keep_old => true);
COMMIT;
SQL
	return;
}

# Checks after the run of an expand_counted that each row was filled once, by several processes.
sub is_shared
{
	my ($node, $name, $least) = @_;
	my ($counted, $filled, $workers) = split /\|/, $node->safe_psql('postgres', <<"SQL");
SELECT (SELECT sum(rows_filled) FROM tandem.progress WHERE migration = '$name' AND step = 'backfill'),
	count(*), count(DISTINCT pid) FROM $name WHERE pid <> 0
SQL

	is($counted, $filled, "$name: the $filled rows that needed it were filled, each once");
	cmp_ok($workers, '>=', $least, "$name: by $workers workers");
	return;
}

# Starts a run in the background that takes its time; see speed_up.
sub run_slowly
{
	my ($node, $name, $workers, $database) = @_;

	$node->safe_psql($database || 'postgres', <<"SQL");
SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '500');
SELECT tandem.configure('$name', 'tandem.batch_target', '5ms');
CALL tandem.migrate('$name', background => true, workers => $workers);
SQL
	wait_for_running($node,
		"SELECT coalesce(bool_or(rows_filled > 0), false) FROM tandem.progress WHERE migration = '$name'", $database);
	return;
}

# Makes a run stay where it is; see speed_up.
sub pause_run
{
	my ($node, $name) = @_;

	$node->safe_psql('postgres', "SELECT tandem.pause('$name')");
	wait_for_running($node,
		"SELECT bool_or(state = 'paused' AND waiting ~ '^paused') FROM tandem.progress WHERE migration = '$name'");
	return;
}

sub speed_up
{
	my ($node, $name, $database) = @_;

	$node->safe_psql($database || 'postgres',
		"SELECT tandem.configure('$name', 'tandem.max_rows_per_second', NULL); SELECT tandem.resume('$name')");
	return;
}

# Waits for the end of a run, which is to have done all.
sub is_ended_well
{
	my ($node, $name, $what) = @_;

	wait_for_running($node, "SELECT running_pid IS NULL AND NOT background FROM tandem.migrations WHERE name = '$name'");
	is($node->safe_psql('postgres', "SELECT phase, error FROM tandem.migrations WHERE name = '$name'"),
		'contract|', "$what: the run ends well");
	is($node->safe_psql('postgres', "SELECT sum(rows_unfilled), sum(rows_mismatched) FROM tandem.verify('$name')"),
		'0|0', "$what: every row is right");
	return;
}

1;
