# pg_upgrade in the middle of a migration, from the server whose folder $TANDEM_OLD_SERVER names (test/upgrade
# sets it) to the one that is tested: state, sync, views and guard are there; what was proved under the
# old server's trigger is proved again; and what was left to do is done.  Both servers have the library
# preloaded, and a run in the background with workers is wanted all the while: no row is written by it
# while pg_upgrade runs, which amcheck would find.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $from = $ENV{TANDEM_OLD_SERVER};
plan skip_all => 'no older server to upgrade from: see test/upgrade' if !$from;

my @locale = (extra => [ '--no-locale', '--encoding=UTF8' ]);
my $old = PostgreSQL::Test::Cluster->new('old', install_path => $from);
my $new = PostgreSQL::Test::Cluster->new('new');
$old->init(@locale);
$new->init(@locale);
$_->append_conf('postgresql.conf', <<'CONF') foreach $old, $new;
shared_preload_libraries = 'pg_tandem'
tandem.launcher_interval = '1s'
CONF
$old->start;

$old->safe_psql('postgres', 'CREATE ROLE app_owner LOGIN');
$old->safe_psql('postgres', 'CREATE DATABASE app OWNER app_owner');
$old->safe_psql('app', <<'SQL');
CREATE EXTENSION pg_tandem;
GRANT EXECUTE ON FUNCTION tandem.register_release, tandem.switch_release TO app_owner;
CREATE SCHEMA app AUTHORIZATION app_owner;
SET ROLE app_owner;
CREATE FUNCTION app.to_cents(price int) RETURNS bigint AS 'SELECT price * 100::bigint' LANGUAGE sql;
CREATE TABLE app.items (id int PRIMARY KEY, price int, filler text);
INSERT INTO app.items SELECT i, i, repeat('x', 500) FROM generate_series(1, 2000) i;
CREATE TABLE app.proved AS SELECT id, price FROM app.items;
CREATE FUNCTION app.once(price int) RETURNS bigint AS 'SELECT price * 100::bigint' LANGUAGE sql;
CREATE TABLE app.alone (id int PRIMARY KEY, price int);
INSERT INTO app.alone VALUES (1, 1);
BEGIN;
SELECT tandem.create_migration('alone');
SELECT tandem.add_column('alone', 'app.alone', 'cents', 'bigint');
SELECT tandem.sync_column('alone', 'app.alone', 'price', 'cents', 'app.once(price)', '(cents / 100)::int');
COMMIT;
SELECT tandem.register_release(1);
SELECT tandem.create_migration('proved');
SELECT tandem.add_column('proved', 'app.proved', 'cents', 'bigint');
SELECT tandem.sync_column('proved', 'app.proved', 'price', 'cents', 'app.to_cents(price)', '(cents / 100)::int');
CALL tandem.migrate('proved');
BEGIN;
SELECT tandem.create_migration('m', release => 2);
ALTER TABLE app.items ADD COLUMN cents bigint;
SELECT tandem.sync_column('m', 'app.items', 'price', 'cents', 'app.to_cents(price)', 'coalesce(cents / 100, price)');
SELECT tandem.add_index('m', 'CREATE INDEX items_cents ON app.items (cents)');
COMMIT;
SELECT tandem.create_views(1), tandem.create_views(2);
-- an explicit NULL, which is not an unfilled row; a new value; and one of the old release
UPDATE app.items SET cents = 1100, price = 11 WHERE id = 10;
UPDATE app.items SET cents = NULL WHERE id = 10;
UPDATE app.items SET cents = 2050 WHERE id = 20;
UPDATE app.items SET price = 3 WHERE id = 30;
SQL

# a migrate that has filled some blocks and not others, paused
my $locker = $old->background_psql('app');
$locker->query_safe('BEGIN; SELECT 1 FROM app.items WHERE id = 1990 FOR UPDATE');
my $migrate = start_psql($old, 'app', q(SET tandem.batch_target = '1ms'), q(CALL tandem.migrate('m')));
wait_for_running($old, q(SELECT count(*) > 0 FROM tandem.progress WHERE blockers IS NOT NULL), 'app');
$old->safe_psql('app', q(SELECT tandem.pause('m')));
wait_for_running($old, q(SELECT bool_or(state = 'paused') FROM tandem.progress), 'app');
$locker->query_safe('ROLLBACK');
$locker->quit;

# A run in the background that is at work until the server stops; of a superuser, since nobody else can
# connect to a server that runs for pg_upgrade.
my $rows = 60000;
expand_table($old, 'app_run', rows => $rows, database => 'app');
$old->safe_psql('app', <<'SQL');
SELECT tandem.configure('app_run', 'tandem.max_rows_per_second', '2000');
SELECT tandem.configure('app_run', 'tandem.batch_target', '5ms');
CALL tandem.migrate('app_run', background => true, workers => 2);
SQL
wait_for_running($old, q(SELECT coalesce(bool_or(rows_filled > 0), false) FROM tandem.progress WHERE migration = 'app_run'), 'app');

# What users see of the state; whoever runs it ends with the old server.
my $state = <<'SQL';
SELECT name, release, phase, paused_by, syncs, steps_open, problem FROM tandem.migrations ORDER BY 1;
SELECT * FROM tandem.syncs ORDER BY 1, 2;
SELECT * FROM tandem.releases ORDER BY 1;
SELECT * FROM tandem.history ORDER BY 1;
SELECT view, release, relation, definition FROM tandem.view ORDER BY 1;
SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname ~ '^~tandem' ORDER BY tgrelid;
SELECT sum(hashtext(i::text)::bigint), count(*) - count(cents) FROM app.items i;
SELECT count(*) FROM pg_depend WHERE classid = 'pg_trigger'::regclass AND refobjid = 'app.alone'::regclass;
SELECT sum(hashtext(i::text)::bigint) FROM release_1.items i;
SELECT sum(hashtext(i::text)::bigint) FROM release_2.items i;
SQL
my $before = $old->safe_psql('app', $state);
is($old->safe_psql('app', q(SELECT background, running_pid > 0 FROM tandem.migrations WHERE name = 'app_run')), 't|t',
	'a run in the background is at work when the old server stops');
cmp_ok($old->safe_psql('app', 'SELECT count(*) FROM app.items WHERE cents IS NULL'), '>=', 2,
	'the fill is not at its end');
$old->stop;
finish($migrate);

{
	# libraries that the old server needs and this system has not
	local $ENV{LD_LIBRARY_PATH} = "$from/lib";
	my $bin = $new->config_data('--bindir');

	chdir ${PostgreSQL::Test::Utils::tmp_check};
	$new->command_ok(
		[ 'pg_upgrade', '-d', $old->data_dir, '-D', $new->data_dir, '-b', "$from/bin", '-B', $bin,
			'-s', $new->host, '-p', $old->port, '-P', $new->port ],
		'pg_upgrade')
	  or diag(map { slurp_file($_) } glob($new->data_dir . '/pg_upgrade_output.d/*/log/pg_upgrade_dump_*.log'));
}
$new->start;
is($new->safe_psql('app', $state), $before, 'state, trigger, views and rows are as before');

# Every table and index of every database: a row that was written behind the back of pg_upgrade has a
# transaction number of the future.
my $tables = 0;
foreach my $db ('postgres', 'app')
{
	$new->safe_psql($db, 'CREATE EXTENSION amcheck');
	is($new->safe_psql($db, <<'SQL'), '', "$db: amcheck has no complaint");
SELECT format('%s, block %s, offset %s: %s', c.oid::regclass, v.blkno, v.offnum, v.msg)
FROM pg_class c, LATERAL verify_heapam(c.oid) v WHERE c.relkind IN ('r', 't', 'm') AND c.relpersistence = 'p' LIMIT 20
SQL
	$tables += $new->safe_psql($db, <<'SQL');
SELECT count(bt_index_check(i.indexrelid, i.indrelid <> 0)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND i.indisvalid AND c.relpersistence = 'p'
SQL
}
cmp_ok($tables, '>', 100, 'every index has what its table has');
is($new->safe_psql('app', 'SELECT count(*), count(DISTINCT id), sum(price) FROM app_run'), "$rows|$rows|" . $rows * ($rows + 1) / 2,
	'every row is seen, once');
cmp_ok($new->safe_psql('app', 'SELECT count(*) FROM app_run WHERE cents IS NULL'), '>', 0, 'the run is not at its end');
is($new->safe_psql('app', q(SELECT running_pid FROM tandem.migrations WHERE name = 'app_run')), '', 'nobody runs it, until it is called again');
$new->safe_psql('app', q(SELECT tandem.configure('app_run', 'tandem.max_rows_per_second', NULL);
	CALL tandem.migrate('app_run', background => true, workers => 2)));
wait_for_running($new, q(SELECT phase = 'contract' AND NOT background FROM tandem.migrations WHERE name = 'app_run'), 'app');
is($new->safe_psql('app', 'SELECT count(*), sum(cents) FROM app_run'), "$rows|" . $rows * ($rows + 1) * 50, 'then it ends, with every row filled');
is($new->safe_psql('app', q(SELECT sum(rows_unfilled), sum(rows_mismatched) FROM tandem.verify('app_run'))), '0|0', 'and right');
$new->safe_psql('app', q(CALL tandem.contract('app_run')));

# The sync and its guard.
$new->safe_psql('app', 'UPDATE app.items SET price = 77 WHERE id = 1; UPDATE app.items SET cents = 8800 WHERE id = 2');
is($new->safe_psql('app', 'SELECT price, cents FROM app.items WHERE id IN (1, 2) ORDER BY id'),
	"77|7700\n88|8800", 'the sync goes on');

# Runs a statement of the owner that is to fail.
sub is_refused_here
{
	my ($statement, $pattern, $what) = @_;
	my ($status, $out, $err) = $new->psql('app', "SET ROLE app_owner; $statement");

	isnt($status, 0, "$what: refused");
	like($err, $pattern, "$what: with the reason");
	return;
}

is_refused_here('DROP TRIGGER "~tandem_sync" ON app.items', qr/would break migration "m"/, 'DROP TRIGGER');
is_refused_here('ALTER TABLE app.items RENAME price TO p', qr/would break migration "m"/, 'RENAME of a column');
# the trigger of a table that no view shows
is_refused_here('DROP FUNCTION app.once(int)', qr/trigger "?~tandem_sync"? on table app.alone depends on function app.once/, 'DROP FUNCTION of what up alone calls');
is_refused_here('ALTER TABLE app.alone DROP COLUMN price', qr/column "price", which the migration keeps in sync, is gone/, 'DROP COLUMN');
is_refused_here('DROP FUNCTION app.to_cents(int)', qr/other objects depend on it/, 'DROP FUNCTION of what up calls');
is_refused_here(q(CALL tandem.contract('m')), qr/migration "m" is not ready for contract/, 'contract before the fill has ended');

# A proof of the old server.
is_refused_here(q(CALL tandem.contract('proved')), qr/migration "proved" is not ready for contract/, 'contract on the proof of the old server');
$new->safe_psql('app', q(SET ROLE app_owner; CALL tandem.migrate('proved'); DROP VIEW IF EXISTS release_1.proved, release_2.proved; CALL tandem.contract('proved')));
is($new->safe_psql('app', 'SELECT count(*), sum(cents) FROM app.proved'), '2000|200100000', 'proved anew, it ends well');

# The rest of the migration.
$new->safe_psql('app', q(SET ROLE app_owner; SELECT tandem.resume('m'); CALL tandem.migrate('m')));
is($new->safe_psql('app', q(SELECT sum(rows_unfilled), sum(rows_mismatched) FROM tandem.verify('m'))), '0|0',
	'every row is right');
is($new->safe_psql('app', 'SELECT id, price, cents FROM app.items WHERE cents IS DISTINCT FROM price * 100 ORDER BY id'),
	'20|20|2050', 'every row is filled, and no value of a writer is touched');
is($new->safe_psql('app', q(SELECT indisvalid FROM pg_index WHERE indexrelid = 'app.items_cents'::regclass)), 't',
	'the index is there');
$new->safe_psql('app', q(SET ROLE app_owner; SELECT tandem.switch_release(2); CALL tandem.contract('m')));
is($new->safe_psql('app', 'SELECT count(*), sum(cents) FROM release_2.items'),
	$new->safe_psql('app', 'SELECT count(*), sum(cents) FROM app.items'), 'contract leaves the view of the new release');
is($new->safe_psql('app', q(SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
	WHERE attrelid = 'app.items'::regclass AND attnum > 0 AND NOT attisdropped)), 'id filler cents',
	'contract drops the old column');
is_refused_here('SELECT * FROM release_1.items', qr/release 1 is no longer served/, 'the view of the old release');
is($new->safe_psql('app', "SELECT tandem.create_migration('next'); SELECT name, phase FROM tandem.migrations WHERE phase NOT IN ('done', 'expand') OR name = 'next'"),
	"\nnext|expand", 'the next migration has a number of its own');

done_testing();
