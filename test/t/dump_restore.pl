# pg_dump and restore in the middle of a migration: the sync goes on in the restored database, what
# writers wrote stays, and migrate fills there what is left.  A restored row does not tell by its
# length whether it is filled: so an explicit NULL is restored, but then filled as what has no value.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $other = new_server('other');
my $folder = PostgreSQL::Test::Utils::tempdir;

$node->safe_psql('postgres', 'CREATE ROLE app_owner LOGIN');
$node->safe_psql('postgres', 'CREATE DATABASE app OWNER app_owner');
$node->safe_psql('app', <<'SQL');
CREATE EXTENSION pg_tandem;
GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO app_owner;
CREATE SCHEMA app AUTHORIZATION app_owner;
SET ROLE app_owner;
CREATE FUNCTION app.to_cents(price int) RETURNS bigint AS 'SELECT price * 100::bigint' LANGUAGE sql;
CREATE TABLE app.items (id int PRIMARY KEY, price int, filler text);
INSERT INTO app.items SELECT i, i, repeat('x', 500) FROM generate_series(1, 2000) i;
BEGIN;
SELECT tandem.create_migration('m', release => 2);
ALTER TABLE app.items ADD COLUMN cents bigint;
SELECT tandem.sync_column('m', 'app.items', 'price', 'cents', 'app.to_cents(price)', 'coalesce(cents / 100, price)');
COMMIT;
SELECT tandem.create_views(1), tandem.create_views(2);
-- an explicit NULL, which is not an unfilled row; a new value; and one of the old release
UPDATE app.items SET cents = 1100, price = 11 WHERE id = 10;
UPDATE app.items SET cents = NULL WHERE id = 10;
UPDATE app.items SET cents = 2050 WHERE id = 20;
UPDATE app.items SET price = 3 WHERE id = 30;
SQL

# a migrate that has filled some blocks and not others
my $locker = $node->background_psql('app');
$locker->query_safe('BEGIN; SELECT 1 FROM app.items WHERE id = 1990 FOR UPDATE');
my $migrate = start_psql($node, 'app', q(SET tandem.batch_target = '1ms'), q(CALL tandem.migrate('m')));
wait_for_running($node, q(SELECT count(*) > 0 FROM tandem.progress WHERE blockers IS NOT NULL), 'app');

my @dump = ('pg_dump', '-h', $node->host, '-p', $node->port);
$node->command_checks_all([ @dump, '-Fp', '-f', "$folder/plain.sql", 'app' ],
	0, [qr/\A\z/], [qr/\A\z/], 'plain dump, with no warning');
$node->command_ok([ @dump, '-Fc', '-f', "$folder/custom", 'app' ], 'custom dump');
$node->command_ok([ @dump, '-Fd', '-j', '2', '-f', "$folder/directory", 'app' ], 'directory dump, two jobs');
$node->command_ok([ @dump, '-Fp', '-s', '-f', "$folder/schema.sql", 'app' ], 'dump of the schema alone');
$locker->query_safe('ROLLBACK');
$locker->quit;
ok(finish($migrate), 'migrate ends in the dumped database');

# Everything that must be so in a restored database.
sub check
{
	my ($server, $db, $owner) = @_;
	my $what = "$db on " . $server->name;
	my ($status, $out, $err);

	is($server->safe_psql($db, 'SELECT name, release, phase, running_pid IS NULL, syncs, problem FROM tandem.migrations'),
		'm|2|migrate|t|1|', "$what: the migration is in its phase, and healthy");
	is($server->safe_psql($db, q(SELECT string_agg(action, ' ') FROM tandem.history)),
		'create expand migrate', "$what: its history is there");
	is($server->safe_psql($db, q(SELECT tgenabled FROM pg_trigger WHERE tgname = '~tandem_sync')),
		'A', "$what: the trigger is enabled ALWAYS");
	is($server->safe_psql($db, 'SELECT id, price, cents FROM app.items WHERE id IN (10, 20, 30) ORDER BY id'),
		"10|11|\n20|20|2050\n30|3|300", "$what: writers' values are there");

	is($server->safe_psql($db, 'SELECT count(*), count(price) FROM release_1.items'), '2000|2000',
		"$what: the view of the old release");
	is($server->safe_psql($db, 'SELECT count(*), count(cents) FROM release_2.items WHERE cents = id * 100'), '1997|1997',
		"$what: the view of the new release reads through");

	$server->safe_psql($db, 'UPDATE app.items SET price = 77 WHERE id = 1; UPDATE app.items SET cents = 8800 WHERE id = 2');
	is($server->safe_psql($db, 'SELECT price, cents FROM app.items WHERE id IN (1, 2) ORDER BY id'),
		"77|7700\n88|8800", "$what: the sync goes on");
	foreach my $column ('price', 'cents')
	{
		($status, $out, $err) = $server->psql($db, "ALTER TABLE app.items DROP COLUMN $column");
		like($err, qr/ALTER TABLE would break migration "m"\n.*column "$column", which the migration keeps in sync, is gone/,
			"$what: DROP COLUMN $column is refused");
	}
	($status, $out, $err) = $server->psql($db, 'DROP FUNCTION app.to_cents(int)');
	like($err, qr/cannot drop function app.to_cents\(integer\) because other objects depend on it/,
		"$what: DROP FUNCTION of what up calls is refused");
	($status, $out, $err) = $server->psql($db, 'DROP TRIGGER "~tandem_sync" ON app.items');
	like($err, qr/DROP TRIGGER would break migration "m"/, "$what: DROP TRIGGER is refused");

	($status, $out, $err) = $server->psql($db, "SET ROLE $owner; CALL tandem.migrate('m')");
	is($status, 0, "$what: migrate goes on") or diag($err);
	is($server->safe_psql($db, 'SELECT id, price, cents FROM app.items WHERE cents IS DISTINCT FROM price * 100 ORDER BY id'),
		'20|20|2050', "$what: every row is filled, and no writer's value is touched");
	is($server->safe_psql($db, 'UPDATE release_2.items SET cents = 500 WHERE id = 5 RETURNING cents'), '500',
		"$what: the view of the new release is plain after the fill");
	($status, $out, $err) = $server->psql($db, "SET ROLE $owner; CALL tandem.contract('m')");
	is($status, 0, "$what: contract") or diag($err);
	is($server->safe_psql($db, q(SELECT string_agg(view::text || ' ' || ended, ', ' ORDER BY view::text) FROM tandem.view)),
		'release_1.items true, release_1.items_tandem_ended true, release_2.items false', "$what: contract ends the view of the old release");
	is($server->safe_psql($db, "SELECT tandem.create_migration('next'); SELECT name, phase FROM tandem.migrations"),
		"\nm|done\nnext|expand", "$what: the next migration has a number of its own");
	return;
}

sub new_database
{
	my ($server, $db) = @_;

	$server->safe_psql('postgres', "CREATE DATABASE $db");
	return ('-h', $server->host, '-p', $server->port, '-d', $db);
}

# some rows must be unfilled in the dumps, else they prove nothing
my @to = new_database($node, 'plain');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/plain.sql", @to ], 'plain restore');
cmp_ok($node->safe_psql('plain', 'SELECT count(*) FROM app.items WHERE cents IS NULL'), '>=', 2,
	'it was dumped in the middle of the backfill');
check($node, 'plain', 'app_owner');

@to = new_database($node, 'custom');
$node->command_ok([ 'pg_restore', '-e', @to, "$folder/custom" ], 'custom restore');
check($node, 'custom', 'app_owner');

@to = new_database($node, 'jobs');
$node->command_ok([ 'pg_restore', '-e', '-j', '2', @to, "$folder/directory" ], 'restore with two jobs');
check($node, 'jobs', 'app_owner');

@to = new_database($node, 'single');
$node->command_ok([ 'pg_restore', '--single-transaction', @to, "$folder/custom" ], 'restore in one transaction');
check($node, 'single', 'app_owner');

# another cluster, where the creator of the migration does not exist
@to = new_database($other, 'moved');
$other->command_ok([ 'pg_restore', '-e', '--no-owner', '--no-acl', @to, "$folder/custom" ],
	'restore without the roles');
# another cluster may number its files alike: the list of blocks is not of this one all the same
$other->safe_psql('moved', q(UPDATE tandem.step
	SET storage = regexp_replace(storage, '\d+$', pg_relation_filenode('app.items')::text)));
check($other, 'moved', $other->safe_psql('postgres', 'SELECT quote_ident(current_user)'));

# rights that up needs, which a restore grants at its end
$node->safe_psql('postgres', 'CREATE DATABASE granted');
$node->safe_psql('granted', <<'SQL');
CREATE EXTENSION pg_tandem;
CREATE SCHEMA lib;
GRANT USAGE ON SCHEMA lib TO app_owner;
CREATE FUNCTION lib.to_cents(price int) RETURNS bigint AS 'SELECT price * 100::bigint' LANGUAGE sql IMMUTABLE;
REVOKE ALL ON FUNCTION lib.to_cents FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lib.to_cents TO app_owner;
CREATE SCHEMA app AUTHORIZATION app_owner;
SET ROLE app_owner;
CREATE TABLE app.items (id int PRIMARY KEY, price int);
INSERT INTO app.items VALUES (1, 1);
BEGIN;
SELECT tandem.create_migration('m');
SELECT tandem.add_column('m', 'app.items', 'cents', 'bigint');
SELECT tandem.sync_column('m', 'app.items', 'price', 'cents', 'lib.to_cents(price)', '(cents / 100)::int');
SELECT tandem.add_column('m', 'app.items', 'label', 'text', up => $$id || ': ' || cents$$, default_value => $$'none'$$, not_null => true);
COMMIT;
INSERT INTO app.items (id, price, label) VALUES (2, 2, 'own');
SQL
$node->command_ok([ @dump, '-Fc', '-f', "$folder/granted", 'granted' ], 'dump of a table whose owner was granted what up needs');
@to = new_database($node, 'granted_restored');
$node->command_ok([ 'pg_restore', '-e', @to, "$folder/granted" ], 'its restore');
is($node->safe_psql('granted_restored', 'SELECT direction, health FROM tandem.syncs'), "both ways|healthy\nderived|healthy", 'its syncs are healthy');
my ($status, $out, $err) = $node->psql('granted_restored', 'DROP FUNCTION lib.to_cents');
like($err, qr/trigger "?\S+ on table app.items depends on function lib.to_cents/, 'and depends on what up uses');
($status, $out, $err) = $node->psql('granted_restored', 'CREATE ROLE stranger; ALTER TABLE app.items OWNER TO stranger');
like($err, qr/would break migration "m".*no longer has (USAGE on schema|EXECUTE on function) lib/s, 'an owner without these rights is refused');
$node->safe_psql('granted_restored', q(SET ROLE app_owner; CALL tandem.migrate('m')));
is($node->safe_psql('granted_restored', 'SELECT price, cents, label FROM app.items ORDER BY id'), "1|100|1: 100\n2|200|own", 'and its migration goes on');
is($node->safe_psql('granted_restored', q(SELECT rows_unfilled, rows_mismatched, rows_own FROM tandem.verify('m'))), '0|0|1', 'and is proved');
is($node->safe_psql('granted_restored', q(SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'app.items'::regclass AND attnotnull AND attnum > 0)),
	'id label', 'with the NOT NULL of the derived column');
($status, $out, $err) = $node->psql('granted_restored', q(SET ROLE app_owner; SELECT tandem.add_column('m', 'app.items', 'label', 'text', up => $$id || ': ' || cents$$, default_value => $$'none'$$, not_null => true)));
like($err, qr/has column label of app.items already, skipping/, 'the same call is passed over');
my $revoke = 'REVOKE USAGE ON SCHEMA lib FROM app_owner';
($status, $out, $err) = $node->psql('granted_restored', $revoke);
like($err, qr/would break migration "m"/, 'and so is taking them away');
$node->safe_psql('granted_restored', "ALTER EVENT TRIGGER tandem_guard_ddl DISABLE; $revoke; ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS");
($status, $out, $err) = $node->psql('granted_restored', q(CALL tandem.contract('m')));
like($err, qr/permission denied for schema lib/, 'contract asks for them');

# rights that a restore does not grant stand in the way of no DDL, but are missed
@to = new_database($node, 'denied');
$node->command_ok([ 'pg_restore', '-e', '--no-acl', @to, "$folder/granted" ], 'restore without these rights');
$node->safe_psql('denied', 'ALTER TABLE app.items ADD note text');
like($node->safe_psql('denied', q(SELECT problem FROM tandem.syncs WHERE direction <> 'derived')), qr/permission denied for schema lib/, 'tandem.syncs shows that');

# where DDL is checked what pg_dump has written is not
foreach my $restored ([ 'checked', 'pg_restore', '-e', "$folder/granted" ], [ 'checked_text', 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/granted.sql" ])
{
	my ($name, @restore) = @$restored;
	@to = new_database($node, $name);
	$node->safe_psql('postgres', "ALTER DATABASE $name SET session_preload_libraries = 'pg_tandem'; "
		. "ALTER DATABASE $name SET tandem.ddl_check = refuse; ALTER DATABASE $name SET tandem.ddl_check_size = 0");
	$node->command_ok([ 'pg_restore', '-f', "$folder/granted.sql", "$folder/granted" ], 'the dump as text') if $restore[0] eq 'psql';
	$node->command_ok([ @restore[0 .. $#restore - 1], ($restore[0] eq 'psql' ? ($restore[-1], @to) : (@to, $restore[-1])) ], "restore by $restore[0] where ddl_check refuses");
	($status, $out, $err) = $node->psql($name, 'ALTER TABLE app.items ADD UNIQUE (price)');
	like($err, qr/tandem.ddl_check refuses/, 'and it does');
}

# the schema alone: no migration, and a trigger that goes on syncing
@to = new_database($node, 'schema');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/schema.sql", @to ], 'restore of the schema');
$node->safe_psql('schema', q(INSERT INTO app.items (id, price) VALUES (1, 5)));
is($node->safe_psql('schema', 'SELECT cents FROM app.items'), 500, 'its trigger syncs');
is($node->safe_psql('schema', 'SELECT count(*) FROM tandem.migrations'), 0, 'it has no migration');

done_testing();
