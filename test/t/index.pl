# Indexes built by migrate, while an application writes: they end exactly as CREATE INDEX by hand
# makes them, on every partition too, whatever an earlier try, a crash or somebody else has left
# under their name.  Who makes a build wait is named.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');

# state of every index of a table, and of those of its partitions
sub indexes
{
	my ($table) = @_;

	return $node->safe_psql('postgres', <<"SQL");
SELECT c.relname, i.indisvalid AND i.indisready AND i.indislive, i.indisunique, p.relname
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid LEFT JOIN pg_class p ON p.oid = h.inhparent
WHERE i.indrelid = '$table'::regclass ORDER BY 1
SQL
}

sub expand
{
	my ($migration, @definitions) = @_;
	my $sql = "SELECT tandem.create_migration('$migration');";

	$sql .= "SELECT tandem.add_index('$migration', \$\$$_\$\$);" foreach @definitions;
	$node->safe_psql('postgres', $sql);
	return;
}

sub migrate
{
	my ($migration) = @_;

	return start_psql($node, 'postgres', "CALL tandem.migrate('$migration')");
}

sub wait_for_blocker
{
	my ($migration, $pattern) = @_;

	wait_for_running($node,
		"SELECT blockers ~ '$pattern' FROM tandem.progress WHERE migration = '$migration' AND step = 'index'");
	return;
}

# Hazard: CREATE INDEX CONCURRENTLY waits for the snapshot of its launcher.
# Under load: after the fill, and complete.
$node->command_ok([ 'pgbench', '-i', '-q', '-s', '1', '-h', $node->host, '-p', $node->port, 'postgres' ],
	'tables of pgbench');
expand_accounts($node, 0);
$node->safe_psql('postgres', q(SELECT tandem.add_index('cents',
	'CREATE INDEX accounts_cents ON pgbench_accounts (abalance_cents DESC) INCLUDE (bid) WHERE abalance_cents <> 0')));
my $load = start_pgbench($node, '-c', '3', '-T', '600');
wait_for_running($node, 'SELECT count(*) > 50 FROM pgbench_history');
$node->safe_psql('postgres', q(CALL tandem.migrate('cents')));
my $history = $node->safe_psql('postgres', 'SELECT count(*) FROM pgbench_history');
wait_for_running($node, "SELECT count(*) > $history + 50 FROM pgbench_history");
ok(end_pgbench($load), 'clients end well');
is((pgbench_counts($load))[1], 0, 'no transaction failed');
my $sum = 'SELECT count(*), sum(abalance_cents) FROM pgbench_accounts WHERE abalance_cents <> 0';
like($node->safe_psql('postgres', "SET enable_seqscan = off; SET enable_bitmapscan = off; EXPLAIN $sum"),
	qr/Index Only Scan using accounts_cents/, 'the index is used');
is( $node->safe_psql('postgres', "SET enable_seqscan = off; SET enable_bitmapscan = off; $sum"),
	$node->safe_psql('postgres', "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; $sum"),
	'and has every row');
cmp_ok($node->safe_psql('postgres', q(SELECT (SELECT changed_at FROM tandem.step WHERE kind = 'index')
	- (SELECT changed_at FROM tandem.step WHERE kind = 'backfill') > '0')), 'eq', 't', 'it was built after the fill');

# Hazard: an index loses its order, INCLUDE, predicate or expressions.
# Every option is as by hand.
my @options = (
	'CREATE UNIQUE INDEX several ON t (title DESC, size NULLS FIRST, id DESC NULLS LAST)',
	'CREATE UNIQUE INDEX nulls ON t (title, id) INCLUDE (size) NULLS NOT DISTINCT WITH (fillfactor = 70)',
	'CREATE INDEX gin ON t USING gin (tags) WITH (fastupdate = off)',
	'CREATE INDEX brin ON t USING brin (made timestamptz_minmax_multi_ops (values_per_range = 16))',
	q(CREATE INDEX partial ON t (plain(title) COLLATE "C", (size + 1)) TABLESPACE elsewhere
		WHERE made > '2024-01-02 03:04+05' AND plain(title) <> 'it''s \\'),
	'CREATE INDEX "Mixed ""case"" and a name of more than sixty-three bytes, which gets cut" ON t (title text_pattern_ops)');
foreach my $schema ('ours', 'by_hand')
{
	$node->safe_psql('postgres', <<"SQL");
CREATE SCHEMA $schema;
CREATE FUNCTION $schema.plain(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower(\$1)';
CREATE TABLE $schema.t (id integer, title text, tags text[], size integer, made timestamptz);
INSERT INTO $schema.t SELECT n, 't' || n, ARRAY[n::text], n, now() FROM generate_series(1, 100) n;
SQL
}
$node->append_conf('postgresql.conf', 'allow_in_place_tablespaces = on');
$node->reload;
$node->safe_psql('postgres', q(CREATE TABLESPACE elsewhere LOCATION ''));
$node->safe_psql('postgres', "SET search_path = by_hand; SET client_min_messages = error; " . join(';', @options));
$node->safe_psql('postgres', "SET search_path = ours; SET client_min_messages = error; SELECT tandem.create_migration('options');"
	  . join('', map { "SELECT tandem.add_index('options', \$\$$_\$\$);" } @options));
$node->safe_psql('postgres', "CALL tandem.migrate('options')");
my $definitions = q(SELECT indexname, indexdef, tablespace, (SELECT indisvalid FROM pg_index
	WHERE indexrelid = (quote_ident(schemaname) || '.' || quote_ident(indexname))::regclass)
	FROM pg_indexes WHERE schemaname = '%s' ORDER BY 1);
my $by_hand = $node->safe_psql('postgres', sprintf($definitions, 'by_hand'));
$by_hand =~ s/by_hand\./ours./g;
is($node->safe_psql('postgres', sprintf($definitions, 'ours')), $by_hand, 'every option is kept');
is(scalar(() = $by_hand =~ /\|t$/mg), scalar(@options), 'every index is there');
# once built, it is the user's
$node->safe_psql('postgres', 'ALTER TABLE ours.t RENAME size TO bytes; ALTER INDEX ours.gin SET (fastupdate = on)');
$node->safe_psql('postgres', "CALL tandem.migrate('options')");

# Partitions of two levels.
my $parts = <<'SQL';
CREATE TABLE parts (k integer, a text, b integer) PARTITION BY LIST (k);
CREATE TABLE parts_sub PARTITION OF parts FOR VALUES IN (7, 8) PARTITION BY RANGE (b);
CREATE TABLE parts_sub_1 PARTITION OF parts_sub FOR VALUES FROM (0) TO (50);
CREATE SCHEMA other;
CREATE TABLE other.parts_1 (b integer, gone integer, a text, k integer);
ALTER TABLE other.parts_1 DROP COLUMN gone;
ALTER TABLE parts_sub ATTACH PARTITION other.parts_1 FOR VALUES FROM (50) TO (MAXVALUE);
SQL
$parts .= "CREATE TABLE parts_$_ PARTITION OF parts FOR VALUES IN ($_);" foreach (1 .. 6);
$node->safe_psql('postgres', $parts);
$node->safe_psql('postgres', "INSERT INTO parts SELECT 1 + n % 8, n, n FROM generate_series(1, 1000) n");
# whoever has our name gets in nobody's way
$node->safe_psql('postgres', 'CREATE TABLE parts_ab_parts_2 (a integer)');
expand('parts', 'CREATE UNIQUE INDEX parts_ab ON parts (a DESC, b, k)');

$node->safe_psql('postgres', 'CREATE INDEX by_somebody ON parts_4 (a DESC, b, k)');
my $tree = q(SELECT relid::regclass, isleaf, level, (SELECT indisvalid FROM pg_index WHERE indexrelid = relid)
	FROM pg_partition_tree('parts_ab') ORDER BY relid::regclass::text COLLATE "C");
my $stderr;
$node->psql('postgres', "CALL tandem.migrate('parts')", stderr => \$stderr);
my $parts_2_oid = $node->safe_psql('postgres', q(SELECT 'parts_2'::regclass::oid));
is($node->safe_psql('postgres', $tree), <<"TREE" =~ s/\n$//r, 'each partition has its index, attached and valid');
other.parts_ab_parts_1|t|2|t
parts_ab|f|0|t
parts_ab_parts_1|t|1|t
parts_ab_parts_2_$parts_2_oid|t|1|t
parts_ab_parts_3|t|1|t
parts_ab_parts_4|t|1|t
parts_ab_parts_5|t|1|t
parts_ab_parts_6|t|1|t
parts_ab_parts_sub|f|1|t
parts_ab_parts_sub_1|t|2|t
TREE
is(indexes('parts_4'), "by_somebody|t|f|\nparts_ab_parts_4|t|t|parts_ab", "somebody's own index stays his own");
$node->safe_psql('postgres', "CALL tandem.abort('parts')");
is(indexes('parts_4'), 'by_somebody|t|f|', 'abort drops ours, and not his');
is(indexes('parts') . indexes('parts_sub') . indexes('parts_sub_1'), '', 'nor leaves one of ours');

# Half of the tree is built when partitions come and go.
expand('changing', 'CREATE INDEX parts_b ON parts (b)');
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE parts_3 IN ROW EXCLUSIVE MODE');
my $job = migrate('changing');
wait_for_blocker('changing', 'pid');
like($node->safe_psql('postgres', q(SELECT doing FROM tandem.progress WHERE step = 'index' AND migration = 'changing')),
	qr/^building index parts_b on parts_3 \(\d of 8\)/, 'it says where it is');
$node->safe_psql('postgres', <<'SQL');
ALTER TABLE parts DETACH PARTITION parts_6;
CREATE TABLE parts_9 PARTITION OF parts FOR VALUES IN (9) PARTITION BY RANGE (b);
CREATE TABLE parts_9_1 PARTITION OF parts_9 DEFAULT;
CREATE TABLE parts_10 (LIKE parts);
INSERT INTO parts_10 VALUES (10, 'a', 1);
ALTER TABLE parts ATTACH PARTITION parts_10 FOR VALUES IN (10);
SQL
$holder->query_safe('COMMIT');
ok(finish($job), 'partitions came and went');
is($node->safe_psql('postgres', q(SELECT count(*), bool_and(indisvalid) FROM pg_partition_tree('parts_b') JOIN pg_index ON indexrelid = relid)),
	$node->safe_psql('postgres', q(SELECT count(*), true FROM pg_partition_tree('parts'))), 'each that is there has its index');
$node->safe_psql('postgres', "CALL tandem.abort('changing')");

# Abort in the middle.
expand('stopped', 'CREATE INDEX parts_b ON parts (b)');
$holder->query_safe('BEGIN; LOCK TABLE parts_3 IN ROW EXCLUSIVE MODE');
$job = migrate('stopped');
wait_for_blocker('stopped', 'pid');
my $some = q(SELECT count(*) FROM pg_class WHERE relname LIKE 'parts_b%');
cmp_ok($node->safe_psql('postgres', $some), '>', 3, 'some indexes are there');
my $abort = start_psql($node, 'postgres', "CALL tandem.abort('stopped')");
ok(!finish($job), 'abort stops the build');
$holder->query_safe('COMMIT');
ok(finish($abort), 'abort');
is($node->safe_psql('postgres', $some . q( AND relname NOT LIKE '%parts_6')), '0', 'and leaves no index');

# Hazard: CREATE INDEX CONCURRENTLY waits for writers, old snapshots and cursors.
# Who makes a build wait is named, and it goes on when he has ended.
$node->safe_psql('postgres', 'CREATE TABLE plain (a integer, b integer); INSERT INTO plain SELECT n, n FROM generate_series(1, 1000) n');
expand('wait', 'CREATE INDEX plain_wait ON plain (b)');
my $reader = $node->background_psql('postgres');
$reader->query_safe(q(SET application_name = 'a reader'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM parts_1));
$holder->query_safe(q(SET application_name = 'a writer'; BEGIN; INSERT INTO plain VALUES (0, 0)));
$node->safe_psql('postgres', q(BEGIN; INSERT INTO plain VALUES (0, 1); PREPARE TRANSACTION 'a prepared one'));
$job = migrate('wait');
wait_for_blocker('wait', 'a writer|a prepared one');
wait_for_blocker('wait', 'a writer') if $node->safe_psql('postgres', q(SELECT blockers ~ 'a writer' FROM tandem.progress WHERE migration = 'wait')) eq 't';
$holder->query_safe('COMMIT');
wait_for_blocker('wait', 'a prepared one');
$node->safe_psql('postgres', q(COMMIT PREPARED 'a prepared one'));
wait_for_blocker('wait', 'a reader');
$reader->query_safe('COMMIT');
ok(finish($job), 'the build ends when they have ended');
is(indexes('plain'), 'plain_wait|t|f|', 'and the index is valid');

# An open cursor has a snapshot, too.
expand('cursor', 'CREATE INDEX plain_cursor ON plain (b)');
$reader->query_safe(q(SET application_name = 'a cursor'; BEGIN; DECLARE c CURSOR FOR SELECT * FROM parts_1; FETCH 1 FROM c));
$job = migrate('cursor');
wait_for_blocker('cursor', 'a cursor');
$reader->query_safe('COMMIT');
ok(finish($job), 'the build ends when the cursor is closed');

# Hazard: a short lock_timeout breaks a concurrent build.
# Timeouts of the role and of the caller are none of the build's: it waits, as it blocks nobody.
my $role = $node->safe_psql('postgres', 'SELECT current_user');
expand('timeout', 'CREATE INDEX plain_timeout ON plain (b)');
$node->safe_psql('postgres', "ALTER ROLE $role SET lock_timeout = '50ms'; ALTER ROLE $role SET idle_in_transaction_session_timeout = '50ms'");
$holder->query_safe('BEGIN; INSERT INTO plain VALUES (0, 0)');
$job = start_psql($node, 'postgres', q(SET lock_timeout = '50ms'), q(CALL tandem.migrate('timeout')));
wait_for_blocker('timeout', 'a writer');
# several times as long as the timeout is
my $since = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
wait_for_running($node, "SELECT clock_timestamp() > '$since'::timestamptz + '300ms'");
is($node->safe_psql('postgres', q(SELECT blockers ~ 'a writer' AND error IS NULL FROM tandem.progress WHERE migration = 'timeout' AND step = 'index')), 't',
	'a short lock_timeout does not end the build');
$holder->query_safe('COMMIT');
ok(finish($job), 'which ends when the writer has ended');
like(indexes('plain'), qr/^plain_cursor\|t.*^plain_timeout\|t/ms, 'both indexes are valid');
$node->safe_psql('postgres', "ALTER ROLE $role RESET lock_timeout; ALTER ROLE $role RESET idle_in_transaction_session_timeout");

# Hazard: a failed CREATE INDEX CONCURRENTLY leaves an invalid index.
# What a runner that is killed leaves is dropped and built anew.
expand('killed', 'CREATE INDEX plain_killed ON plain (a, b)');
$holder->query_safe('BEGIN; INSERT INTO plain VALUES (0, 0)');
$job = migrate('killed');
wait_for_blocker('killed', 'a writer');
$node->safe_psql('postgres', q(SELECT pg_terminate_backend(running_pid) FROM tandem.migrations WHERE name = 'killed'));
ok(!finish($job), 'the runner is gone');
wait_for_running($node, q(SELECT count(*) = 0 FROM pg_stat_progress_create_index));
like(indexes('plain'), qr/^plain_killed\|f/m, 'it has left an invalid index');
$holder->query_safe('COMMIT');
my $left = $node->safe_psql('postgres', q(SELECT 'plain_killed'::regclass::oid));
$node->safe_psql('postgres', "CALL tandem.migrate('killed')");
like(indexes('plain'), qr/^plain_killed\|t/m, 'which is built anew');
isnt($node->safe_psql('postgres', q(SELECT 'plain_killed'::regclass::oid)), $left, 'and not believed');

# Somebody else's: one that is invalid, and one that he is at.
expand('other', 'CREATE INDEX plain_other ON plain (b, a)', 'CREATE INDEX plain_race ON plain (b, a)');
$node->psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY plain_other ON plain ((1))', stderr => \$stderr);
like(indexes('plain'), qr/^plain_other\|f\|t/m, 'an invalid index of another definition');
$holder->query_safe('BEGIN; INSERT INTO plain VALUES (0, 0)');
my $race = start_psql($node, 'postgres', 'CREATE INDEX CONCURRENTLY plain_race ON plain USING btree (b, a)');
wait_for_running($node, q(SELECT count(*) = 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'));
$job = migrate('other');
wait_for_running($node, q(SELECT bool_or(waiting ~ 'may be building') FROM tandem.progress WHERE migration = 'other'));
$left = $node->safe_psql('postgres', q(SELECT 'plain_race'::regclass::oid));
$holder->query_safe('COMMIT');
ok(finish($race), 'he builds his index');
ok(finish($job), 'we wait for him');
like(indexes('plain'), qr/^plain_other\|t\|f\|\nplain_race\|t\|f/m, 'both are there');
is($node->safe_psql('postgres', q(SELECT 'plain_race'::regclass::oid)), $left, 'and his is the one, as it is the same');

expand('taken', 'CREATE INDEX plain_taken ON plain (b, a)');
$node->safe_psql('postgres', 'CREATE INDEX plain_taken ON plain (a)');
isnt($node->psql('postgres', "CALL tandem.migrate('taken')", stderr => \$stderr), 0, 'another index has the name');
like($stderr, qr/index "plain_taken" already exists and is another one.*Its definition is: CREATE INDEX plain_taken ON public\.plain USING btree \(a\).*HINT:.*ALTER INDEX public\.plain_taken RENAME/s,
	'which is told');
$node->safe_psql('postgres', "CALL tandem.abort('taken')");
like(indexes('plain'), qr/^plain_taken\|t/m, 'abort does not drop it');
$node->safe_psql('postgres', 'DROP INDEX plain_taken');

# Rows that are not unique.
$node->safe_psql('postgres', 'CREATE TABLE twice (a integer); INSERT INTO twice VALUES (1), (2), (2)');
expand('twice', 'CREATE UNIQUE INDEX twice_a ON twice (a)');
isnt($node->psql('postgres', "CALL tandem.migrate('twice')", stderr => \$stderr), 0, 'rows are not unique');
like($stderr, qr/could not create unique index "twice_a"\nDETAIL:  Key \(a\)=\(2\) is duplicated\.\nHINT:  Fix the rows/, 'the key is named');
like($node->safe_psql('postgres', q(SELECT state, error, hint FROM tandem.progress WHERE migration = 'twice')),
	qr/^failed\|.*\(a\)=\(2\).*\|Fix the rows/, 'in the view too');
is(indexes('twice'), '', 'no invalid index stays');
$node->safe_psql('postgres', 'DELETE FROM twice WHERE ctid = (SELECT max(ctid) FROM twice WHERE a = 2)');
$node->safe_psql('postgres', "CALL tandem.migrate('twice')");
is(indexes('twice'), 'twice_a|t|t|', 'then it is built');

$_->quit foreach ($holder, $reader);
$node->stop;
done_testing();
