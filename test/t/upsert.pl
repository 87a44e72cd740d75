# Upserts of both releases at once on few keys, by stock pgbench: none fails that would not fail without the
# sync, while the unique index of the new column is built, when it is there, and until the old one is dropped.
# Hazard: a second unique index makes ON CONFLICT on the first fail.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "autovacuum = off\nfsync = off");
my $clients = 12;

# A key that each session makes anew every few milliseconds: they meet while it is inserted.
my $fresh_key = q((extract(epoch FROM clock_timestamp()) * 250)::bigint % 1000000);

# A table (tenant, k, n), whose k becomes k8; options: key (before k), partitioned, rows.
sub expand_keys
{
	my ($table, %options) = @_;
	my $key = $options{key} || '';
	my $rows = $options{rows} || 0;
	my $by = $options{partitioned} ? 'PARTITION BY HASH (tenant)' : '';

	$node->safe_psql('postgres', <<"SQL");
CREATE TABLE $table (tenant int NOT NULL DEFAULT 1, k int NOT NULL, n int NOT NULL, was boolean NOT NULL DEFAULT false) $by;
SQL
	$node->safe_psql('postgres', "CREATE TABLE ${table}_$_ PARTITION OF $table FOR VALUES WITH (MODULUS 2, REMAINDER $_)")
	  foreach $options{partitioned} ? (0, 1) : ();
	$node->safe_psql('postgres', <<"SQL");
CREATE UNIQUE INDEX ${table}_k ON $table (${key}k);
INSERT INTO $table (k, n, was) SELECT -i, 0, true FROM generate_series(1, $rows) i;
BEGIN;
SELECT tandem.create_migration('$table');
SELECT tandem.add_column('$table', '$table', 'k8', 'bigint');
SELECT tandem.sync_column('$table', '$table', 'k', 'k8', 'k::bigint', 'k8::int');
SELECT tandem.add_index('$table', 'CREATE UNIQUE INDEX ${table}_k8 ON $table (${key}k8)');
COMMIT;
SQL
	return;
}

# pgbench's script of a release that adds one to a counter; column: k or k8.
sub upsert_script
{
	my ($table, $column, $key) = @_;
	my $target = $key ? "tenant, $column" : $column;

	return write_script("$table-$column", <<"SQL");
\\set tenant random(1, 2)
INSERT INTO $table AS t (tenant, $column, n) VALUES (:tenant, $fresh_key, 1) ON CONFLICT ($target) DO UPDATE SET n = t.n + 1;
SQL
}

# The same on keys that others delete all the time; no sum can be proved of it.
sub deleted_scripts
{
	my ($table) = @_;

	return (
		'-f', write_script("$table-dk", <<"SQL") . '@3',
\\set k random(1, 10)
INSERT INTO $table AS t (k, n) VALUES (:k, 1) ON CONFLICT (k) DO UPDATE SET n = t.n + 1;
SQL
		'-f', write_script("$table-dk8", <<"SQL") . '@3',
\\set k random(1, 10)
INSERT INTO $table AS t (k8, n) VALUES (:k, 1) ON CONFLICT (k8) DO UPDATE SET n = t.n + 1;
SQL
		'-f', write_script("$table-nothing", <<"SQL") . '@2',
\\set k random(1, 10)
INSERT INTO $table AS t (k, n) VALUES (:k, 1) ON CONFLICT DO NOTHING;
SQL
		'-f', write_script("$table-delete", <<"SQL") . '@3');
\\set k random(1, 10)
DELETE FROM $table WHERE k = :k;
SQL
}

sub duplicates_logged
{
	my ($offset) = @_;
	my @errors = slurp_file($node->logfile, $offset) =~ /ERROR:  (?!could not serialize).*/g;

	note($_) foreach @errors > 5 ? @errors[ 0 .. 4 ] : @errors;
	return scalar @errors;
}

sub deadlocks
{
	$node->safe_psql('postgres', 'SELECT pg_stat_force_next_flush()');
	return $node->safe_psql('postgres', "SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'");
}

# Ends well: every transaction is done, and none has failed.
sub is_flawless
{
	my ($job, $offset, $transactions, $what) = @_;
	my ($done, $failed);

	ok(finish($job), "$what: pgbench ends well");
	($done, $failed) = pgbench_counts($job);
	is($done, $transactions, "$what: every transaction was done");
	is($failed, 0, "$what: none has failed");
	is(duplicates_logged($offset), 0, "$what: no error in the log");
	is(deadlocks(), 0, "$what: no deadlock");
	return;
}

# Runs pgbench's scripts, so many transactions a client, while migrate works if asked for.
sub upserts
{
	my ($what, $each, $migration, @scripts) = @_;
	my $offset = -s $node->logfile;
	my $job = start_pgbench($node, '-c', $clients, '-t', $each, @scripts);

	$node->safe_psql('postgres', "SET client_min_messages = warning; CALL tandem.migrate('$migration')")
	  if $migration;
	is_flawless($job, $offset, $clients * $each, $what);
	return $clients * $each;
}

# Every transaction has counted, in one row a key, whose two forms agree.
sub counts_agree
{
	my ($table, $count) = @_;

	is($node->safe_psql('postgres', "SELECT sum(n), count(*) FILTER (WHERE k IS DISTINCT FROM k8) FROM $table WHERE NOT was"),
		"$count|0", "$table: every upsert has counted");
	return;
}

sub index_is_ready
{
	my ($table) = @_;

	is($node->safe_psql('postgres', "SELECT bool_and(indisvalid) FROM pg_index WHERE indexrelid = '${table}_k8'::regclass"),
		't', "$table: the second unique index is there");
	return;
}

# while the index is built, and when it is there: the old release, the new one, both
expand_keys('plain', rows => 20000);
my @old = ('-f', upsert_script('plain', 'k'));
my @new = ('-f', upsert_script('plain', 'k8'));
my $count = upserts('old release, index being built', 400, 'plain', @old);
index_is_ready('plain');
$count += upserts('old release', 250, undef, @old);
$count += upserts('new release', 250, undef, @new);
$count += upserts('both releases', 250, undef, @old, @new);
$count += upserts('both releases, prepared', 250, undef, @old, @new, '-M', 'prepared');
counts_agree('plain', $count);
# each new version of a row has entries of its own in the unique indexes
$node->safe_psql('postgres', 'CREATE INDEX plain_n ON plain (n)');
upserts('both releases, of a counter with an index', 250, undef, @old, @new);
$node->safe_psql('postgres', 'DROP INDEX plain_n');

# rows that vanish between the look and the insertion
upserts('keys that are deleted', 400, undef, deleted_scripts('plain'));

# other forms of keys
foreach my $form ([ composite => 0 ], [ partitioned => 1 ])
{
	my ($table, $partitioned) = @$form;

	expand_keys($table, key => 'tenant, ', partitioned => $partitioned, rows => 1000);
	my @both = map { ('-f', upsert_script($table, $_, 'tenant')) } qw(k k8);
	my $done = upserts("$table key, index being built", 150, $table, @both[ 0, 1 ]);
	index_is_ready($table);
	$done += upserts("$table key", 250, undef, @both);
	counts_agree($table, $done);
}

# several keys in one transaction, each session's in its own order: the server itself may find deadlocks in this,
# but none where the order is the same
my $several = write_script('several', <<"SQL");
\\set k random(1, 10)
BEGIN;
INSERT INTO plain AS t (k, n) VALUES (100 + :k, 1) ON CONFLICT (k) DO UPDATE SET n = t.n + 1;
INSERT INTO plain AS t (k8, n) VALUES (200 + :k, 1), (201 + :k, 1) ON CONFLICT (k8) DO UPDATE SET n = t.n + 1;
DELETE FROM plain WHERE k = 202 + :k;
INSERT INTO plain AS t (k, n) VALUES (202 + :k, 1) ON CONFLICT (k) DO UPDATE SET n = t.n + 1;
COMMIT;
SQL
upserts('several keys in a transaction', 150, undef, '-f', $several);

# a row that is locked first, then deleted: those who wait for it insert it again
my $locking = write_script('locking', <<"SQL");
\\set k random(1, 3)
BEGIN;
SELECT n FROM plain WHERE k = 300 + :k FOR UPDATE;
DELETE FROM plain WHERE k = 300 + :k;
COMMIT;
SQL
my $locked = write_script('locked', <<"SQL");
\\set k random(1, 3)
INSERT INTO plain AS t (k, n) VALUES (300 + :k, 1) ON CONFLICT (k) DO UPDATE SET n = t.n + 1;
SQL
upserts('keys that are locked, then deleted', 250, undef, '-f', "$locked\@3", '-f', $locking);

# keys that an UPDATE brings, while others insert them
my $renaming = write_script('renaming', <<"SQL");
\\set k random(1, 3)
BEGIN;
INSERT INTO plain AS t (k, n) VALUES (1000 + :client_id, 1) ON CONFLICT (k) DO UPDATE SET n = t.n + 1;
DELETE FROM plain WHERE k = 400 + :k;
UPDATE plain SET k8 = 400 + :k WHERE k = 1000 + :client_id AND NOT EXISTS (SELECT FROM plain WHERE k = 400 + :k);
COMMIT;
SQL
my $renamed = write_script('renamed', <<"SQL");
\\set k random(1, 3)
INSERT INTO plain AS t (k, n) VALUES (400 + :k, 1) ON CONFLICT (k) DO UPDATE SET n = t.n + 1;
SQL
{
	# the UPDATE itself may meet a key, with or without the sync; the upserts may not
	my $offset = -s $node->logfile;
	my $update = start_pgbench($node, '-c', 1, '-t', 500, '-f', $renaming);
	my $upsert = start_pgbench($node, '-c', 8, '-t', 300, '-f', $renamed);

	ok(finish($upsert), 'keys that an UPDATE brings: the upserts end well');
	is((pgbench_counts($upsert))[0], 2400, 'keys that an UPDATE brings: every upsert was done');
	finish($update);
	is(deadlocks(), 0, 'keys that an UPDATE brings: no deadlock');
}

# serialization failures are tried again by pgbench; nothing else may fail
{
	local $ENV{PGOPTIONS} = '-c default_transaction_isolation=repeatable\ read';

	upserts('REPEATABLE READ', 150, undef, @old, @new, '--max-tries=1000');
	upserts('REPEATABLE READ, keys that are deleted', 150, undef, deleted_scripts('plain'), '--max-tries=1000');
}

# the new release goes on while the old index is dropped, and over contract
my $offset = -s $node->logfile;
my $job = start_pgbench($node, '-c', $clients, '-t', 400, @new);
wait_for_running($node, "SELECT count(*) > 5 FROM pg_stat_activity WHERE application_name = 'pgbench'");
$node->safe_psql('postgres', q(SET client_min_messages = warning; CALL tandem.migrate('plain')));
$node->safe_psql('postgres', 'DROP INDEX CONCURRENTLY plain_k');
$node->safe_psql('postgres', q(CALL tandem.contract('plain', undeclared => 'ignore', accept => '{not null,unique constraints,indexes}')));
is_flawless($job, $offset, $clients * 400, 'new release over contract');
# Many rows in one statement hold one lock at a time, and no memory.  TANDEM_MEMORY_ROWS=1000000 for the long run.
my $rows = $ENV{TANDEM_MEMORY_ROWS} || 200000;
my $late = $rows - 1;

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE looked (locks int, bytes bigint);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO looked SELECT (SELECT count(*) FROM pg_locks WHERE classid = TG_RELID AND pid = pg_backend_pid()),
		(SELECT sum(total_bytes) FROM pg_backend_memory_contexts);
	RETURN NEW;
END $$;
SQL

# The most locks at one of two rows of an upsert of many, and how much memory the later one has more.
sub bulk_upsert
{
	my ($table) = @_;

	return split /\|/, $node->safe_psql('postgres', <<"SQL");
TRUNCATE looked;
INSERT INTO $table AS t (k, n) SELECT 2000000 + i, i FROM generate_series(1, $rows) i
	ON CONFLICT (k) DO UPDATE SET n = t.n + 1;
SELECT max(locks), max(bytes) - min(bytes), count(*) FROM looked;
SQL
}

expand_keys($_) foreach qw(guarded alone);
$node->safe_psql('postgres', "SET client_min_messages = warning; CALL tandem.migrate('$_')") foreach qw(guarded alone);
$node->safe_psql('postgres', 'DROP INDEX alone_k8');
$node->safe_psql('postgres', "CREATE TRIGGER a_look BEFORE INSERT ON $_ FOR EACH ROW WHEN (NEW.k IN (2001000, 2000000 + $late)) EXECUTE FUNCTION look()")
  foreach qw(guarded alone);
foreach my $what ('new keys', 'keys that are there')
{
	# the server itself leaves some bytes a row behind in an UPDATE with any BEFORE trigger, in some releases
	my ($none, $of_the_server, $looks) = bulk_upsert('alone');
	my ($locks, $growth) = bulk_upsert('guarded');

	is("$none|$looks", '0|2', "$rows rows, $what: no lock where there is one unique index");
	cmp_ok($locks, '<=', 1, "$rows rows, $what: one lock at a time");
	cmp_ok($growth, '<=', $of_the_server + 200000, "$rows rows, $what: memory does not grow");
}

done_testing();
