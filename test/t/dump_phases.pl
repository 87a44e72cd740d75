# Dumps of a database that has migrations in every phase, by a superuser and by the owner of the
# database, in every form, restored in every way: each restored database takes up where the dumped
# one was, and each migration goes on to its end with every row right.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $folder = PostgreSQL::Test::Utils::tempdir;
my @server = ('-h', $node->host, '-p', $node->port);
my @as_owner = ('-U', 'app_owner');

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE app_owner LOGIN;
-- it owns a table of the database too, whose rows are none of the database owner's business
CREATE ROLE other LOGIN;
SQL

sub new_database
{
	my ($db, %options) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db OWNER app_owner");
	$node->safe_psql($db, <<'SQL') if $options{extension};
CREATE EXTENSION pg_tandem;
GRANT EXECUTE ON FUNCTION tandem.register_release, tandem.switch_release TO app_owner;
SQL
	return $db;
}

# Runs statements as the owner.
sub by_owner
{
	my ($db, $sql) = @_;

	return $node->safe_psql($db, "SET ROLE app_owner; $sql");
}

# A migration without a release would take a column from every view that is served: does as the hint says.
sub contract_as_told
{
	my ($db, $as, $name) = @_;
	my $contract = "$as CALL tandem.contract('$name', undeclared => 'ignore')";
	my ($status, $out, $err) = $node->psql($db, $contract);

	while ($status != 0 && $err =~ /shows columns that would be dropped.*(DROP VIEW \S+);/s)
	{
		$node->safe_psql($db, $1);
		($status, $out, $err) = $node->psql($db, $contract);
	}
	return ($status, $out, $err);
}

# A table (id, price) of 500 rows of a migration of the same name; options as for sync_column.
sub expand
{
	my ($db, $name, %options) = @_;
	my $release = $options{release} || 'NULL';
	my $up = $options{up} || 'price::bigint * 100';
	my $partition = $options{partition} || '';
	my $more = $options{more} || '';
	# the server's own dump cannot be restored with --clean over the key of a partition
	my $key = $partition ? '' : 'PRIMARY KEY';

	by_owner($db, <<"SQL");
CREATE TABLE app.$name (id int $key, price text, filler text DEFAULT repeat('x', 200)) $partition;
@{[ $partition ? "CREATE TABLE app.${name}_1 PARTITION OF app.$name FOR VALUES FROM (1) TO (200);
	CREATE TABLE app.${name}_2 PARTITION OF app.$name DEFAULT;" : '' ]}
INSERT INTO app.$name (id, price) SELECT i, i FROM generate_series(1, 500) i;
BEGIN;
SELECT tandem.create_migration('$name', release => $release);
SELECT tandem.add_column('$name', 'app.$name', 'cents', 'bigint');
SELECT tandem.sync_column('$name', 'app.$name', 'price', 'cents', '$up', '(cents / 100)::text' $more);
COMMIT;
SQL
	return;
}

new_database('app', extension => 1);
# nothing but the extension: a dump of it by the owner, and its restore, too
$node->command_ok([ 'pg_dump', @server, @as_owner, '-Fc', '-f', "$folder/empty", 'app' ],
	'the owner of the database dumps it, before anything');
$node->safe_psql('app', 'CREATE SCHEMA app AUTHORIZATION app_owner');
by_owner('app', 'SELECT tandem.register_release(1)');
# in every phase, in the order of releases
expand('app', 'done', release => 2);
by_owner('app', q(CALL tandem.migrate('done'); CALL tandem.contract('done', undeclared => 'ignore')));
expand('app', 'aborted');
by_owner('app', q(CALL tandem.abort('aborted')));
expand('app', 'ready', release => 3);
by_owner('app', q(CALL tandem.migrate('ready')));
expand('app', 'quarantined', more => q(, on_error => 'quarantine'));
by_owner('app', q(INSERT INTO app.quarantined (id, price) VALUES (1001, 'SECRET é'); CALL tandem.migrate('quarantined')));
expand('app', 'parted', partition => 'PARTITION BY RANGE (id)');
by_owner('app', q(SELECT tandem.add_index('parted', 'CREATE INDEX parted_cents ON app.parted (cents)')));
expand('app', 'expanded', release => 4);
by_owner('app', q(SELECT tandem.add_constraint('expanded', 'app.expanded', 'positive', 'CHECK (cents > 0)')));
by_owner('app', <<'SQL');
CREATE TABLE app.shown (id int PRIMARY KEY, price text);
INSERT INTO app.shown SELECT i, i FROM generate_series(1, 10) i;
SELECT tandem.create_migration('shown', release => 5);
SELECT tandem.sync_column('shown', 'app.shown', 'price', 'cents', 'price::bigint * 100', stored => false);
SQL
by_owner('app', <<'SQL');
CREATE TABLE app.stored (id int CONSTRAINT given CHECK (id > 0));
CREATE INDEX stored_idx ON app.stored (id);
INSERT INTO app.stored SELECT generate_series(1, 10);
CREATE TABLE app.dropped (id int);
BEGIN;
SELECT tandem.create_migration('tables', release => 7);
CREATE TABLE app.added (id int PRIMARY KEY);
SELECT tandem.add_table('tables', 'app.added');
SELECT tandem.rename_table('tables', 'app.stored', 'renamed');
SELECT tandem.drop_table('tables', 'app.dropped');
SELECT tandem.drop_index('tables', 'app.stored_idx');
SELECT tandem.rename_constraint('tables', 'app.stored', 'given', 'known');
SELECT tandem.at_contract('tables', 'app.stored', 'ALTER TABLE app.stored ADD COLUMN late int DEFAULT 7');
COMMIT;
SQL
# in the middle of their runs: one paused, one at work in the background
expand('app', 'paused');
expand('app', 'running', release => 6);
foreach my $name ('paused', 'running')
{
	by_owner('app', <<"SQL");
SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '1');
SELECT tandem.configure('$name', 'tandem.batch_target', '1ms');
CALL tandem.migrate('$name', background => true);
SQL
	wait_for_running($node,
		"SELECT coalesce(bool_or(rows_filled > 0), false) FROM tandem.progress WHERE migration = '$name'", 'app');
}
by_owner('app', q(SELECT tandem.pause('paused')));
by_owner('app', 'SELECT tandem.create_views(r) FROM generate_series(2, 7) r');
is($node->safe_psql('app', q(SELECT string_agg(name || ' ' || phase, ', ' ORDER BY id) FROM tandem.migration)),
	'done done, aborted aborted, ready contract, quarantined contract, parted expand, expanded expand, shown expand, tables expand, paused migrate, running migrate',
	'there are migrations in every phase');

# What the owner of the database may see of what others' rows say.
$node->safe_psql('app', <<'SQL');
CREATE SCHEMA other AUTHORIZATION other;
SET ROLE other;
CREATE TABLE other.private (id text PRIMARY KEY, price text);
BEGIN;
SELECT tandem.create_migration('private');
SELECT tandem.add_column('private', 'other.private', 'cents', 'bigint');
SELECT tandem.sync_column('private', 'other.private', 'price', 'cents', 'price::bigint * 100', '(cents / 100)::text', on_error => 'quarantine');
SELECT tandem.add_constraint('private', 'other.private', 'positive', 'CHECK (cents > 0)');
COMMIT;
INSERT INTO other.private VALUES ('HIDDEN', 'HIDDEN');
INSERT INTO other.private VALUES ('HIDDEN2', '-17');
SQL
$node->psql('app', q(SET ROLE other; CALL tandem.migrate('private')));
cmp_ok($node->safe_psql('app', q(SELECT count(*) FROM tandem.quarantined_row WHERE key::text ~ 'HIDDEN')), '>', 0, 'a row of another role is in quarantine');
cmp_ok($node->safe_psql('app', q(SELECT count(*) FROM tandem.step_report WHERE error IS NOT NULL)), '>', 0, 'a step of its migration has failed');
foreach my $table ('quarantined_row', 'step_report', 'run_report', 'quarantine')
{
	is($node->safe_psql('app', "SET ROLE app_owner; SELECT count(*) FROM tandem.$table t WHERE t::text ~ 'HIDDEN|-17'"), 0,
		"the owner of the database sees none of them in $table");
}
$node->command_ok([ 'pg_dump', @server, '-f', "$folder/all.sql", 'app' ], 'dump by a superuser, with the rows of the other role');
unlike(slurp_file("$folder/all.sql") =~ s/^COPY (?:app|other)\..*?^\\\.$//msgr, qr/HIDDEN|SECRET/, 'what tandem knows of rows is in no dump');
# the owner cannot dump what it cannot read, with or without tandem
$node->safe_psql('app', q(CALL tandem.abort('private'); DROP SCHEMA other CASCADE));

# Dumps.
foreach my $role ('postgres', 'app_owner')
{
	my @role = $role eq 'app_owner' ? @as_owner : ();

	$node->command_ok([ 'pg_dump', @server, @role, '-Fc', '-f', "$folder/$role.custom", 'app' ], "custom dump by $role");
	$node->command_ok([ 'pg_dump', @server, @role, '-Fd', '-j', '2', '-f', "$folder/$role.directory", 'app' ], "directory dump, two jobs, by $role");
	$node->command_ok([ 'pg_dump', @server, @role, '-f', "$folder/$role.sql", 'app' ], "plain dump by $role");
	$node->command_ok([ 'pg_dump', @server, @role, '-s', '-f', "$folder/$role.schema.sql", 'app' ], "dump of the schema by $role");
	$node->command_ok([ 'pg_dump', @server, @role, '--clean', '--if-exists', '-f', "$folder/$role.clean.sql", 'app' ], "dump that cleans by $role");
	$node->command_ok([ 'pg_dump', @server, @role, '-Fc', '-N', 'tandem', '-f', "$folder/$role.part", 'app' ], "dump without schema tandem by $role");
	$node->command_ok([ 'pg_dump', @server, @role, '-t', 'app.ready', '-f', "$folder/$role.table.sql", 'app' ], "dump of a table by $role");
	$node->command_ok([ 'pg_dump', @server, @role, '-n', 'app', '-f', "$folder/$role.namespace.sql", 'app' ], "dump of a schema by $role");
}
by_owner('app', q(SELECT tandem.cancel('running')));

# Contract does what was called for, of a migration that needs no migrate; what another role has called for that role confirms.
sub contract_tables
{
	my ($db, $owner) = @_;
	my $as = "SET ROLE $owner;";
	my ($status, $out, $err);

	if ($owner ne 'app_owner')
	{
		($status, $out, $err) = $node->psql($db, "$as CALL tandem.contract('tables', undeclared => 'ignore')");
		like($err, qr/it would be run as role $owner, who has not called for it/, "$db: no text runs as a role that has not said it");
		$node->safe_psql($db, "$as SELECT tandem.at_contract('tables', 'app.stored', 'ALTER TABLE app.stored ADD COLUMN late int DEFAULT 7')");
	}
	($status, $out, $err) = contract_as_told($db, $as, 'tables');
	is($status, 0, "$db: contract of tables") or diag($err);
	is($node->safe_psql($db, q(SELECT sum(late), to_regclass('app.stored'), to_regclass('app.dropped'), to_regclass('app.added'), to_regclass('app.stored_idx'),
		(SELECT conname FROM pg_constraint WHERE conrelid = 'app.renamed'::regclass AND contype = 'c') FROM app.renamed)),
		'70|||app.added||known', "$db: tables, index, constraint and statement");
	is($node->safe_psql($db, 'SELECT count(*) FROM release_7.renamed'), 10, "$db: the view of release 7 is still there");
	return;
}

# The whole of it, by what the dump says: the state is as it was, and every migration ends well.
sub check
{
	my ($db, $owner) = @_;
	my $as = "SET ROLE $owner;";

	is($node->safe_psql($db, q(SELECT string_agg(name || ' ' || phase, ', ' ORDER BY id) FROM tandem.migration WHERE name <> 'private')),
		'done done, aborted aborted, ready contract, quarantined contract, parted expand, expanded expand, shown expand, tables expand, paused migrate, running migrate',
		"$db: every migration is in its phase");
	is($node->safe_psql($db, q(SELECT string_agg(DISTINCT problem, '; ') FROM tandem.migrations)), '', "$db: every sync is in force");
	is($node->safe_psql($db, q(SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM (
		SELECT viewname AS tablename FROM pg_views WHERE schemaname = 'release_7') v WHERE tablename IN ('added', 'stored', 'renamed', 'dropped'))),
		'added renamed', "$db: release 7 sees its tables");
	cmp_ok($node->safe_psql($db, q(SELECT count(*) FROM app.running WHERE cents IS NULL)), '>', 0, "$db: a run was in its middle");
	is($node->safe_psql($db, q(SELECT count(*) FROM tandem.migrations WHERE running_pid IS NOT NULL)), 0, "$db: nothing runs by itself");
	$node->safe_psql($db, "UPDATE app.expanded SET price = '7' WHERE id = 1; UPDATE app.parted SET cents = 800 WHERE id = 2");
	is($node->safe_psql($db, 'SELECT cents FROM app.expanded WHERE id = 1 UNION ALL SELECT price::bigint FROM app.parted WHERE id = 2'),
		"700\n8", "$db: the syncs go on");
	is($node->safe_psql($db, 'SELECT count(*), sum(cents) FROM release_6.running'), '500|12525000', "$db: the views read through");

	# as if triggers had the same numbers here as in the dumped database
	$node->safe_psql($db, <<'SQL');
UPDATE tandem.step s SET proof = regexp_replace(s.proof, '\d+:\d+$', t.oid || ':' || t.xmin)
FROM pg_trigger t WHERE t.tgrelid = s.relation AND t.tgname = '~tandem_sync'
SQL
	# nothing is believed of what was proved elsewhere, and a row that cannot be computed is found again
	foreach my $name ('ready', 'quarantined')
	{
		my ($status, $out, $err) = $node->psql($db, "$as CALL tandem.contract('$name', undeclared => 'ignore')");
		like($err, qr/is not ready for contract/, "$db: contract of $name wants it proved again");
	}
	$node->safe_psql($db, "$as CALL tandem.migrate('quarantined')");
	is($node->safe_psql($db, q(SELECT key FROM tandem.quarantine)), '{"id": "1001"}', "$db: the row in quarantine is found again");
	my ($status, $out, $err) = $node->psql($db, "$as CALL tandem.contract('quarantined')");
	like($err, qr/is not ready for contract/, "$db: and contract waits for it");
	$node->safe_psql($db, q(UPDATE app.quarantined SET price = '1001' WHERE id = 1001));
	foreach my $name ('ready', 'quarantined', 'parted', 'expanded', 'shown', 'paused', 'running')
	{
		$node->safe_psql($db, "$as SELECT tandem.configure('$name', 'tandem.max_rows_per_second', NULL)");
		$node->safe_psql($db, "$as SELECT tandem.resume('$name')") if $name eq 'paused';
		($status, $out, $err) = $node->psql($db, "$as CALL tandem.migrate('$name')");
		is($status, 0, "$db: migrate of $name goes on") or diag($err);
		is($node->safe_psql($db, "SELECT coalesce(sum(rows_unfilled), 0), coalesce(sum(rows_mismatched), 0) FROM tandem.verify('$name')"),
			'0|0', "$db: every row of $name is right");
		($status, $out, $err) = contract_as_told($db, $as, $name);
		is($status, 0, "$db: contract of $name") or diag($err);
	}
	contract_tables($db, $owner);
	is($node->safe_psql($db, 'SELECT count(*), sum(cents) FROM app.quarantined'), '501|12625100', "$db: no row is lost");
	is($node->safe_psql($db, 'SELECT count(*), sum(cents) FROM app.running'), '500|12525000', "$db: nor where a run was in its middle");
	is($node->safe_psql($db, "$as SELECT tandem.create_migration('next'); SELECT count(DISTINCT id) = count(*) FROM tandem.migration"),
		"\nt", "$db: the next migration has a number of its own");
	return;
}

# Restores by a superuser.
my $n = 0;

sub restore
{
	my ($what, $owner, @command) = @_;
	my $db = new_database('restored_' . ++$n);

	$node->command_ok([ $command[0], @server, '-d', $db, @command[ 1 .. $#command ] ], "$db: $what");
	check($db, $owner);
	return $db;
}

my @psql = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1');
restore('in one transaction, of a dump by the owner', 'app_owner', 'pg_restore', '-1', "$folder/app_owner.custom");
restore('two jobs', 'app_owner', 'pg_restore', '-e', '-j', '2', "$folder/app_owner.directory");
restore('plain, in one transaction', 'app_owner', @psql, '-1', '-f', "$folder/postgres.sql");
restore('without owners and privileges', 'postgres', 'pg_restore', '-1', '--no-owner', '--no-privileges', "$folder/postgres.custom");

# over what is there, in mid-migration
my $over = new_database('over');
$node->command_ok([ 'pg_restore', @server, '-d', $over, '-1', "$folder/postgres.custom" ], 'restore to be restored over');
by_owner($over, q(CALL tandem.migrate('expanded')));
$node->command_ok([ 'pg_restore', @server, '-d', $over, '--clean', '--if-exists', '-e', "$folder/postgres.custom" ], 'restore over it with --clean');
$node->command_ok([ 'pg_restore', @server, '-d', $over, '--clean', '--if-exists', '-1', "$folder/app_owner.custom" ], 'and in one transaction');
$node->command_ok([ @psql, @server, '-d', $over, '-1', '-f', "$folder/postgres.clean.sql" ], 'and of a plain dump that cleans');
check($over, 'app_owner');
my ($status, $out, $err) = $node->psql('app', 'DROP TRIGGER "~tandem_sync" ON app.ready');
like($err, qr/DROP TRIGGER would break migration "ready"/, 'another session drops no trigger of a live sync');

# the schema, then the data
my $apart = new_database('apart');
$node->command_ok([ @psql, @server, '-d', $apart, '-1', '-f', "$folder/app_owner.schema.sql" ], 'restore of the schema');
is($node->safe_psql($apart, 'SELECT count(*) FROM tandem.migrations'), 0, 'which has no migration');
$node->safe_psql($apart, q(INSERT INTO app.expanded (id, price) VALUES (1, '5')));
is($node->safe_psql($apart, 'SELECT cents FROM app.expanded'), 500, 'but triggers, which sync');
$node->safe_psql($apart, 'TRUNCATE app.expanded');
$node->command_ok([ 'pg_restore', @server, '-d', $apart, '-1', '-a', "$folder/app_owner.custom" ], 'restore of the data into it');
is($node->safe_psql($apart, q(SELECT string_agg(DISTINCT problem, '; ') FROM tandem.migrations)), '', 'every sync is in force');
is($node->safe_psql($apart, 'SELECT count(*) FROM app.quarantined'), 501, 'every row is there');
$node->safe_psql($apart, q(UPDATE app.quarantined SET price = '1001' WHERE id = 1001));
foreach my $name ('ready', 'quarantined', 'parted', 'expanded', 'shown', 'paused', 'running')
{
	by_owner($apart, "SELECT tandem.configure('$name', 'tandem.max_rows_per_second', NULL)");
	by_owner($apart, "SELECT tandem.resume('paused')") if $name eq 'paused';
	by_owner($apart, "CALL tandem.migrate('$name')");
	is(by_owner($apart, "SELECT coalesce(sum(rows_unfilled), 0), coalesce(sum(rows_mismatched), 0) FROM tandem.verify('$name')"),
		'0|0', "every row of $name is right");
	my ($status, $out, $err) = contract_as_told($apart, 'SET ROLE app_owner;', $name);
	is($status, 0, "contract of $name") or diag($err);
}
contract_tables($apart, 'app_owner');
is($node->safe_psql($apart, q(SELECT string_agg(DISTINCT phase, ' ' ORDER BY phase) FROM tandem.migrations WHERE name <> 'private')), 'aborted done', 'and every migration ends');

# by the owner of a database that a superuser has given the extension
my $given = new_database('given', extension => 1);
$node->command_ok(
	[ 'pg_restore', @server, @as_owner, '-d', $given, '-1', '--no-owner', '--no-privileges', '--no-comments', "$folder/app_owner.custom" ],
	'restore by the owner of the database');
check($given, 'app_owner');
$given = new_database('empty', extension => 1);
$node->command_ok([ 'pg_restore', @server, @as_owner, '-d', $given, '-1', '--no-owner', '--no-privileges', '--no-comments', "$folder/empty" ],
	'restore by the owner of a dump without migrations');

# without what tandem knows: tables, and views, and no migration
my $part = new_database('part');
$node->command_ok([ 'pg_restore', @server, '-d', $part, '-1', "$folder/app_owner.part" ], 'restore without schema tandem');
is($node->safe_psql($part, 'SELECT count(*) FROM tandem.migrations'), 0, 'has no migration');
is($node->safe_psql($part, q(SELECT count(*) FROM app.ready)), 500, 'but the tables');

# The owner of the database loads nothing that is not its own.
$given = new_database('claimed', extension => 1);
$node->safe_psql($given, <<'SQL');
CREATE TABLE public.precious (id int, a int, b int);
SELECT tandem.create_migration('of_another');
SQL
my %claims = (
	'a sync of a table of another' => [ q(INSERT INTO tandem.sync (migration, relation, old_columns, new_columns, up, up_given, on_conflict, on_error, keep_old, search_path)
		VALUES (77, 'public.precious', '{a}', '{b}', '{1}', '{1}', 'error', 'error', true, '')), qr/must be owner of relation "precious"/ ],
	'a step of a table of another' => [ q(INSERT INTO tandem.step (migration, kind, relation) VALUES (77, 'backfill', 'public.precious')),
		qr/must be owner of relation "precious"/ ],
	'a statement for a table of another' => [ q(INSERT INTO tandem.operation (migration, kind, relation, given, statement, owner, search_path)
		SELECT 77, 'statement', 'public.precious', 'x', 'DROP TABLE x', (SELECT m.created_by FROM tandem.migration m LIMIT 1), ''), qr/must be owner of relation "precious"/ ],
	'a view of another' => [ q(INSERT INTO tandem.view VALUES ('public.precious', 1, 'public.precious', '', '{id}')), qr/must be owner of relation "precious"/ ],
	'a part of a migration of another' => [ q(INSERT INTO tandem.event (migration, name, action, done_by) VALUES (1, 'of_another', 'create', 'postgres')),
		qr/permission denied for migration 1/ ],
);
foreach my $what (sort keys %claims)
{
	my ($sql, $pattern) = @{ $claims{$what} };

	($status, $out, $err) = $node->psql($given, "SET ROLE app_owner; $sql");
	like($err, $pattern, "$what is refused");
}
is( $node->safe_psql(
		$given,
		q(SET ROLE app_owner;
		CREATE SCHEMA release_1; CREATE VIEW release_1.gone AS SELECT 1 AS id;
		INSERT INTO tandem.view (view, release, relation, definition, columns, ended) VALUES ('release_1.gone', 1, 'release_1.gone', '', '{id}', true);
		RESET ROLE;
		SELECT view, relation FROM tandem.view)),
	'release_1.gone|release_1.gone',
	'what an ended release has left of its own view is loaded');
$node->safe_psql($given, 'REVOKE EXECUTE ON FUNCTION tandem.switch_release FROM app_owner');
($status, $out, $err) = $node->psql($given, 'SET ROLE app_owner; INSERT INTO tandem.registry (lowest) VALUES (99)');
like($err, qr/permission denied to load table tandem\.registry/, 'who may not move releases loads none');
is( $node->safe_psql(
		$given,
		q(SET ROLE app_owner;
		INSERT INTO tandem.migration (name, created_by, background, run_as, run_in, hold_by, hold_owner, hold_path, settings)
		SELECT 'forged', r, true, r, 'here', r, r, 'evil', '{"tandem.hold_function": "evil", "tandem.nice_ratio": "2"}'
		FROM (SELECT ROW('postgres'::regrole::oid, 'postgres', (created_by).cluster)::tandem.role_reference AS r FROM tandem.migration LIMIT 1) m;
		RESET ROLE;
		SELECT tandem.role_name(created_by), background, run_as, run_in, hold_by, hold_owner, hold_path, settings
		FROM tandem.migration WHERE name = 'forged')),
	'app_owner|f||||||{"tandem.nice_ratio": "2"}',
	'what it loads is its own, and runs as nobody else');
foreach my $sql (q(UPDATE tandem.migration SET name = 'x'), 'DELETE FROM tandem.event', 'ALTER TABLE tandem.step DISABLE TRIGGER ALL', 'CREATE TABLE tandem.mine ()')
{
	($status, $out, $err) = $node->psql($given, "SET ROLE app_owner; $sql");
	like($err, qr/permission denied|must be owner/, "$sql: refused");
}

done_testing();
