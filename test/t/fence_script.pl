# Every node may run the script of its release, in a session that declares it; who has nothing to do
# with the tables stops nobody; tandem.health answers wherever it is asked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "session_preload_libraries = 'pg_tandem'");
my $conninfo = $node->connstr('postgres');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A script in a session that declares a release; what it prints, and its errors.
sub run_as
{
	my ($release, $script, %options) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "SET client_min_messages = warning;\n$script",
		connstr => "$conninfo options=-ctandem.release=$release", %options);

	return ($out, $err);
}

sub succeeds_as
{
	my ($release, $script, $what) = @_;
	my ($out, $err) = run_as($release, $script);

	is($err, '', $what);
	return $out;
}

sub new_items
{
	my ($name) = @_;

	sql("CREATE TABLE $name (id int PRIMARY KEY, price int); INSERT INTO $name SELECT i, i FROM generate_series(1, 1000) i");
	return;
}

sub expand_script
{
	my ($name, $release) = @_;

	return <<"SQL";
SELECT tandem.create_migration('$name', release => $release);
SELECT tandem.add_column('$name', '$name', 'cents', 'bigint');
SELECT tandem.sync_column('$name', '$name', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
SQL
}

sql(<<'SQL');
CREATE TABLE versions (version int);
SELECT tandem.register_release(41);
SELECT tandem.switch_release(41);
SQL
new_items('items');

# in one transaction, with what tools and scripts do before and after
succeeds_as(42, <<"SQL", 'the script of an unknown release, in one transaction');
SELECT 1;
SELECT pg_try_advisory_lock(1);
SET statement_timeout = 0;
BEGIN;
CREATE TABLE seeds (id int);
INSERT INTO seeds VALUES (1);
@{[ expand_script('items', 42) ]}
ALTER TABLE items ADD COLUMN note text;
SELECT tandem.add_index('items', 'CREATE INDEX items_cents ON items (cents)');
SELECT tandem.create_views(42);
UPDATE items SET note = 'first' WHERE id = 1;
INSERT INTO versions VALUES (42);
COMMIT;
SQL
is((run_as(42, 'SELECT state FROM tandem.health(42)'))[0], 'read_only', 'then it may only read');
like((run_as(42, 'UPDATE items SET cents = 7 WHERE id = 7'))[1], qr/release 42 may only read/, 'a node that does not wait is refused');
# another script of the release, before it is filled; one statement a transaction
new_items('more');
succeeds_as(42, "CREATE TABLE later (id int);\n" . expand_script('more', 42) . "CREATE INDEX more_id ON more (id);\nCALL tandem.migrate('more')",
	'a second script of it, statement by statement');
is((run_as(42, 'SELECT state FROM tandem.health(42)'))[0], 'read_only', 'one that is filled does not make it ready');
is(succeeds_as(42, expand_script('items', 42) . q(SET tandem.fire_triggers = on; CALL tandem.migrate('items'); SELECT state FROM tandem.health(42)),
	'the script again, and its fill, which fires triggers'), "\n\n\nready", 'makes it ready');
is(sql('SELECT count(*) FROM items WHERE cents = price * 100'), '1000', 'everything is filled');
is(sql('SELECT count(*) FROM tandem.sessions WHERE has_written IS NOT NULL'), '0', 'and nobody is left that has written');
# in a DO block, and for a release that needs no migration
new_items('third');
succeeds_as(43, "DO \$\$ BEGIN PERFORM tandem.register_release(43); INSERT INTO versions VALUES (43); END \$\$", 'a release that only registers itself');
succeeds_as(44, "BEGIN;\nSELECT tandem.register_release(44);\nUPDATE versions SET version = 44;\n" . expand_script('third', 44) . 'COMMIT', 'a release that is registered first');
like((run_as(46, "BEGIN;\nSELECT tandem.register_release(45);\nSELECT count(*) FROM items"))[1],
	qr/release 46 is not served yet/, 'the script of another release is none of its own');
sql(q(SET client_min_messages = error; CALL tandem.migrate('third')));

# a stranger may declare what he likes
sql('CREATE ROLE stranger LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE viewer LOGIN; CREATE VIEW prices AS SELECT id FROM items');
sql('GRANT SELECT (id) ON items TO reader; GRANT SELECT ON prices TO viewer');
$node->safe_psql('postgres', 'CREATE SCHEMA AUTHORIZATION stranger; CREATE VIEW stranger.peep AS SELECT id FROM items; ALTER VIEW stranger.peep OWNER TO stranger');

sub hang
{
	my ($role, $release) = @_;
	my $session = $node->background_psql('postgres', extra_params => [ '-U', $role ]);

	$session->query_safe("SET tandem.release = $release; BEGIN; SELECT 1");
	return $session;
}

my $contract = q(SET tandem.lock_retry_time = '1s'; SET tandem.release = 44; CALL tandem.contract('items'));
sql('SELECT tandem.switch_release(44); DROP SCHEMA release_42 CASCADE');
foreach my $role ('reader', 'viewer')
{
	my $session = hang($role, 41);
	is_refused($node, $contract, qr/have not ended within 1 s.*user $role/s, "contract with the $role of what shows a column");
	$session->quit;
}
my $session = hang('stranger', 41);
sql($contract);
is(sql(q(SELECT phase FROM tandem.migrations WHERE name = 'items')), 'done', 'a stranger is not waited for');
sql(q(SET tandem.release = 44; BEGIN; CALL tandem.contract('third'); ROLLBACK));
$session->quit;

# nor does he keep a release from being begun again
sql('SELECT tandem.register_release(47)');
new_items('fourth');
sql('BEGIN;' . expand_script('fourth', 47) . 'COMMIT; SET client_min_messages = error; CALL tandem.migrate(\'fourth\')');
$session = hang('stranger', 47);
sql(q(BEGIN; SELECT tandem.create_migration('fifth', release => 47); ROLLBACK));
$session->quit;
$session = hang('reader', 47);
is_refused($node, q(SELECT tandem.create_migration('fifth', release => 47)),
	qr/Release 47 is ready, and sessions have declared it: .*user reader.*release => 48/s, 'a release that a node works as');
$session->quit;

# from the script of any extension, from an index, a parallel query, a standby
chomp(my $share = `$ENV{PG_CONFIG} --sharedir`);
foreach my $name ('asks', 'waits')
{
	append_to_file("$share/extension/$name.control", "default_version = '1'\n");
	append_to_file("$share/extension/$name--1.sql", $name eq 'asks'
		? "CREATE TABLE answers AS SELECT h.* FROM tandem.health(44) h; SELECT tandem.switch_release(44);\n"
		: "CALL tandem.wait_for_release(44);\n");
}
is(sql('CREATE EXTENSION asks; SELECT healthy, state FROM answers'), 't|current', 'the script of an extension asks');
is_refused($node, 'CREATE EXTENSION waits', qr/wait_for_release cannot run inside a transaction block/, 'one that waits');
is(sql('SELECT 1'), '1', 'the server is there');
sql('ALTER EXTENSION pg_tandem ADD TABLE versions');
is(sql('SELECT state FROM tandem.health(44)'), 'current', 'what is added to the extension changes nothing');
sql('ALTER EXTENSION pg_tandem DROP TABLE versions');
is(sql(<<'SQL'), 'current|100', 'as an immutable function, in an index and in a parallel query');
CREATE FUNCTION state_of(int) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$ BEGIN RETURN (tandem.health($1)).state; END $$;
CREATE TABLE asked (release int);
INSERT INTO asked SELECT 44 FROM generate_series(1, 100);
CREATE INDEX ON asked (state_of(release));
ALTER TABLE asked SET (parallel_workers = 2);
SET parallel_leader_participation = off; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off;
SELECT state_of(release), count(*) FROM asked GROUP BY 1;
SQL
my $standby = PostgreSQL::Test::Cluster->new('standby');
$node->backup('standby');
$standby->init_from_backup($node, 'standby', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', 'CALL tandem.wait_for_release(44); SELECT state FROM tandem.health(44)'), 'current', 'on a standby');
my ($status, $out, $err) = $standby->psql('postgres', q(CALL tandem.wait_for_release(999, '0.1 s')));
like($err, qr/release 999 did not become ready in time/, 'which waits, too');
$standby->stop;
# a schema of that name is not the extension
sql('CREATE DATABASE other');
is($node->safe_psql('other', 'CREATE SCHEMA tandem; CREATE TABLE tandem.registry (lowest int); CREATE TABLE tandem.migration (id int);'
	  . 'SET tandem.release = 1; SELECT count(*) FROM pg_class WHERE false'), '0', 'a schema that somebody has made fences nobody');

# who waits commits once a second, and ends with its client
is(sql(q(SELECT pg_get_function_arguments('tandem.wait_for_release'::regproc))),
	q(IN release integer, IN timeout interval DEFAULT '00:10:00'::interval), 'it waits for ten minutes unless told otherwise');
my $commits = q(SELECT xact_commit FROM pg_stat_database WHERE datname = 'other');
$node->safe_psql('other', 'DROP SCHEMA tandem CASCADE; SET tandem.release = 1; CREATE EXTENSION pg_tandem; SELECT tandem.register_release(1)');
my $before = sql("SELECT pg_stat_force_next_flush(); $commits");
$node->psql('other', q(CALL tandem.wait_for_release(2, '3 s')));
my $after = sql("SELECT pg_stat_force_next_flush(); $commits");
($before, $after) = map { (split /\n/)[-1] } ($before, $after);
cmp_ok($after - $before, '<', 30, 'it commits now and then');
note('commits of a wait of three seconds: ' . ($after - $before));
my $wait = start_psql($node, 'postgres', 'CALL tandem.wait_for_release(999)');
my $there = q(SELECT count(*) FROM pg_stat_activity WHERE query ~ '^CALL tandem.wait_for_release' AND state = 'active');
wait_for_running($node, "SELECT ($there) = 1");
$wait->{run}->signal('KILL');
wait_for_running($node, "SELECT ($there) = 0");
pass('a wait ends with its client');

done_testing();
