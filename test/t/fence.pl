# The fence with the library preloaded: who has declared a release by its connection or role is served
# or refused by it, after a crash of contract, in a restored database and on a standby too; what the
# server does by itself is left alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $conninfo = $node->connstr('postgres');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A statement of a node of some release; what it prints, or its error with the SQLSTATE.
sub ask
{
	my ($server, $release, $statement, $database) = @_;
	my ($status, $out, $err) = $server->psql('postgres', "\\set VERBOSITY sqlstate\n$statement",
		connstr => $server->connstr($database || 'postgres') . " options=-ctandem.release=$release");

	return $out eq '' && $err ne '' ? $err : $out;
}

# A session that stays, with these options when it connects.
sub connect_with
{
	my ($options, $database) = @_;

	local $ENV{PGOPTIONS} = $options;
	return $node->background_psql($database || 'postgres');
}

sub expand
{
	my ($name, $release) = @_;

	sql(<<"SQL");
SET client_min_messages = error;
CREATE TABLE $name (id int PRIMARY KEY, price int);
INSERT INTO $name SELECT i, i FROM generate_series(1, 10) i;
SQL
	expand_price($node, $name, release => $release);
	sql("CALL tandem.migrate('$name')");
	return;
}

# A node of an older release that stays in its transaction.
sub hang
{
	my ($release) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	$session->query_safe("SET tandem.release = $release; BEGIN; SELECT 1");
	return $session;
}

sub start_contract
{
	my ($name) = @_;
	my $contract = start_psql($node, 'postgres', "CALL tandem.contract('$name', undeclared => 'ignore')");

	wait_for_running($node, q(SELECT count(*) > 0 FROM tandem.registry WHERE contracting IS NOT NULL));
	return $contract;
}

# what the fence costs a session that it lets pass: for people to read
sub select_only
{
	my $job = start_pgbench($node, '-S', '-M', 'prepared', '-c', '2', '-T', '2');

	ok(finish($job), 'pgbench -S');
	return $job->{out} =~ /^tps = ([0-9.]+)/m ? $1 : 0;
}

init_pgbench($node, 1);
my $without = select_only();
$node->append_conf('postgresql.conf', "session_preload_libraries = 'pg_tandem'");
$node->restart;
my $with = select_only();
sql(q(SELECT tandem.register_release(41); ALTER ROLE CURRENT_USER SET tandem.release = 41));
my $declared = select_only();
sql('ALTER ROLE CURRENT_USER RESET tandem.release');
note(sprintf('pgbench -S, %.0f tps without the library; preloaded %.3f times that, declared %.3f times',
	$without, $with / $without, $declared / $without));

# by connection, by role, by SET
expand('items', 42);
is(ask($node, 41, 'SELECT release FROM tandem.sessions WHERE pid = pg_backend_pid()'), '41', 'declared by the connection');
is(ask($node, 41, 'DISCARD ALL; SELECT release FROM tandem.sessions WHERE pid = pg_backend_pid()'), '41',
	'which DISCARD ALL does not take away');
sql('CREATE ROLE app LOGIN; GRANT ALL ON items, pgbench_accounts TO app; ALTER ROLE app SET tandem.release = 41');
is($node->safe_psql('postgres', 'SELECT release FROM tandem.sessions WHERE pid = pg_backend_pid()', connstr => "$conninfo user=app"),
	'41', 'declared by the role');
my $fresh = connect_with('-ctandem.release=41');
is(sql('SELECT release FROM tandem.sessions WHERE release IS NOT NULL'), '41', 'before its first statement');
$fresh->quit;

# the search_path says it, too: that of the connection, of the role, in the database that has another prefix
sub by_path
{
	my ($path, $database) = @_;
	my $client = connect_with("-csearch_path=$path", $database);
	my $release = $node->safe_psql($database, q(SELECT string_agg(release::text, ',') FROM tandem.sessions WHERE release IS NOT NULL));

	$client->quit;
	return $release;
}
is(by_path('release_41,public', 'postgres'), '41', 'declared by the search_path, before the first statement');
is(by_path('public', 'postgres'), '', 'which need not name a release');
sql('CREATE ROLE app_path LOGIN; GRANT ALL ON items TO app_path; ALTER ROLE app_path SET search_path = release_41, public');
my $lives = $node->background_psql('postgres', extra_params => [ '-U', 'app_path' ]);
is(sql('SELECT release FROM tandem.sessions WHERE user_name = \'app_path\''), '41', 'declared by the search_path of the role');
$lives->query_safe('DISCARD ALL');
is(sql('SELECT release FROM tandem.sessions WHERE user_name = \'app_path\''), '41', 'which DISCARD ALL does not take away');
$lives->query_safe('SET search_path = public; SELECT 1');
is(sql('SELECT release FROM tandem.sessions WHERE user_name = \'app_path\''), '', 'and SET does');
$lives->quit;
sql('CREATE DATABASE prefixed');
$node->safe_psql('prefixed', q(CREATE EXTENSION pg_tandem; SELECT tandem.set_release_prefix('"v'); SELECT tandem.register_release(41)));
is(by_path('"""v41"', 'prefixed'), '41', 'declared by a schema with the prefix of the database');
is(by_path('release_41', 'prefixed'), '', 'and by no other');
my $prefixed = PostgreSQL::Test::Utils::tempdir . '/prefixed';
$node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-Fc', '-f', $prefixed, 'prefixed' ], 'dump with a prefix');
sql('DROP DATABASE prefixed; CREATE DATABASE prefixed');
$node->command_ok([ 'pg_restore', '-h', $node->host, '-p', $node->port, '-d', 'prefixed', '--exit-on-error', $prefixed ], 'restore with a prefix');
is(by_path('"""v41"', 'prefixed'), '41', 'the prefix is restored');
is(ask($node, 43, 'SELECT count(*) FROM items'), "psql:<stdin>:2: ERROR:  55T01", 'a release that nobody knows is refused');
is(ask($node, 43, q(SELECT healthy, state FROM tandem.health(43))), 'f|unknown', 'and is told why when it asks');
like(ask($node, 42, 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;'
	  . 'EXPLAIN (ANALYZE, COSTS off, TIMING off) SELECT count(*) FROM pgbench_accounts'),
	qr/Workers Launched: [1-9]/, 'queries of a declared session run in parallel');

# undeclared sessions that have written are named: by another role than the one that logged in, too
sql('CREATE ROLE authenticator LOGIN NOINHERIT; CREATE ROLE web; GRANT web TO authenticator; GRANT ALL ON items TO web');
my $mute = $node->background_psql('postgres', extra_params => [ '-U', 'authenticator' ]);
$mute->query_safe('SET ROLE web; UPDATE items SET price = price WHERE id = 1; RESET ROLE');
is_refused($node, q(CALL tandem.contract('items')),
	qr/1 session that has written tables of migration "items" has not declared.*user authenticator.*undeclared => 'ignore'/s, 'contract with a mute session');
$mute->query_safe('DISCARD ALL');
is_refused($node, q(CALL tandem.contract('items')), qr/user authenticator/, 'contract with a mute session of a pool');
$mute->quit;
# where the library is not preloaded a release that is declared is not fenced, and so counts as nothing
$mute = connect_with('-csession_preload_libraries= -ctandem.release=41');
$mute->query_safe('UPDATE items SET price = price WHERE id = 1');
is_refused($node, q(CALL tandem.contract('items')), qr/1 session that has written/, 'contract with a session without the library');
$mute->quit;

# what would keep a view from ending is found before anybody is refused
sql('SELECT tandem.create_views(41); CREATE RULE quiet AS ON DELETE TO release_41.items DO INSTEAD NOTHING');
is_refused($node, q(CALL tandem.contract('items', undeclared => 'ignore')),
	qr/view release_41.items of release 41 would not fail when the release has ended.*RULE quiet/s, 'contract with a rule of others');
is(sql('SELECT count(*) FROM tandem.registry'), '0', 'release 41 was served all the time');
sql('DROP SCHEMA release_41 CASCADE');

# who is in the way is named, and goes on
my $old = hang(41);
sql(q(SET tandem.release = 41; BEGIN; UPDATE items SET price = 7 WHERE id = 7; PREPARE TRANSACTION 'two'));
is_refused($node, q(SET tandem.lock_retry_time = '1s'; CALL tandem.contract('items', undeclared => 'ignore')),
	qr/releases before 42 have not ended within 1 s.*pid \d+ .*idle in transaction.*prepared transaction 'two'/s, 'contract in vain');
sql(q(COMMIT PREPARED 'two'));
is(ask($node, 41, 'SELECT price FROM items WHERE id = 7'), '7', 'older releases go on');

# a crash between fence and end leaves the fence, and says so
my $contract = start_contract('items');
$node->stop('immediate');
$contract->{run}->finish;
$node->start;
my $fenced = q(SELECT release, state, contracting FROM tandem.releases WHERE state = 'retired');
is(sql($fenced), q(41|retired|fenced by contract of migration 'items', which has not ended), 'a crash leaves the fence');
is(sql('SELECT release, state, contracting FROM tandem.releases WHERE release = 42'),
	q(42|ready|contract of migration 'items' has fenced older releases, and has not ended), 'which is seen where older releases are not known, too');
is(ask($node, 41, 'SELECT 1'), "psql:<stdin>:2: ERROR:  55T01", 'release 41 is refused');
is(ask($node, 42, 'SELECT cents FROM items WHERE id = 7'), '700', 'release 42 is served');

# so does a dump
sql(q(SELECT tandem.set_dependency('search-index', 7)));
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-Fc', '-f', $dump, 'postgres' ], 'dump');
sql('CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-h', $node->host, '-p', $node->port, '-d', 'restored', '--exit-on-error', $dump ], 'restore');
my $all = q(SELECT * FROM tandem.releases; SELECT * FROM tandem.health(42, '{"search-index": 7}'));
is($node->safe_psql('restored', $all), sql($all), 'the registry is restored');
is(ask($node, 41, 'SELECT 1', 'restored'), "psql:<stdin>:2: ERROR:  55T01", 'with its fence');
$node->safe_psql('restored', q(CALL tandem.abort('items')));
is(ask($node, 41, 'SELECT price FROM items WHERE id = 7', 'restored'), '7', 'which abort takes back');

# contract, called again, ends it, and names who has declared nothing and written nothing
my $reader = $node->background_psql('postgres', extra_params => [ '-U', 'authenticator' ]);
$reader->query_safe('SELECT 1');
# two sessions without the library, whatever their paths say; one that has it, and has given up its locks
my @bare = map { connect_with("-csession_preload_libraries= -csearch_path=$_") } 'release_42,public', 'public';
$bare[0]->query_safe('UPDATE items SET cents = cents WHERE id = 1');
$reader->query_safe('DISCARD ALL');
$reader->query_safe('SELECT pg_advisory_unlock_all()');
my ($status, $out, $err) = $node->psql('postgres', q(CALL tandem.contract('items')));
is($status, 0, 'contract beside sessions that have written nothing, or as release 42');
like($err, qr/NOTICE:  2 other client sessions have not preloaded pg_tandem\nDETAIL:  .*\nHINT:  Set session_preload_libraries/, 'it counts those that it does not see');
$_->quit foreach @bare;
like($err, qr/NOTICE:  \d+ other sessions? ha(s|ve) declared no release, and ha(s|ve) written no table of the migration\nDETAIL:.*user authenticator/s,
	'which it names');
$reader->quit;
is(sql($fenced), '41|retired|', 'contract, called again, ends');
is(sql('SELECT phase FROM tandem.migrations'), 'done', 'the migration too');

# a statement that names what is gone fails while it is parsed, so a block is refused as it begins
is(ask($node, 41, 'BEGIN \; SELECT price FROM items'), "psql:<stdin>:2: ERROR:  55T01", 'a block of release 41 is refused');
is(ask($node, 42, 'BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SHOW transaction_isolation'), 'serializable',
	'one of release 42 may still choose its isolation');
is(ask($node, 43, 'BEGIN; SELECT healthy, state FROM tandem.health(43)'), 'f|unknown', 'one of a release to come may ask');

# a contract that is terminated takes its fence back, and is then aborted
expand('second', 44);
$old = hang(42);
my $loser = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $loser->query_safe('SELECT pg_backend_pid()');
$loser->query(q(SET tandem.lock_retry_time = '1s'; CALL tandem.contract('second', undeclared => 'ignore')));
$contract = start_contract('second');
is(sql("SELECT pg_terminate_backend($pid, 10000)"), 't', 'one that has given up is terminated');
is(ask($node, 43, 'SELECT 1'), "psql:<stdin>:2: ERROR:  55T01", 'and takes nothing back of another');
sql(q(SELECT pg_terminate_backend(running_pid) FROM tandem.migrations WHERE name = 'second'));
ok(!finish($contract), 'contract is terminated');
wait_for_running($node, q(SELECT running_pid IS NULL FROM tandem.migrations WHERE name = 'second'));
is(ask($node, 43, 'SELECT 1'), '1', 'its fence is taken back');
is(sql('SELECT release FROM tandem.releases WHERE contracting IS NOT NULL'), '', 'nothing is shown of it');
$old->query_safe('COMMIT');
$old->quit;
sql(q(CALL tandem.abort('second'); DROP TABLE second));
is(ask($node, 42, 'SELECT 1'), '1', 'to where the last contract has put it');
is(ask($node, 41, 'SELECT 1'), "psql:<stdin>:2: ERROR:  55T01", 'and not further');

# a standby
my $standby = PostgreSQL::Test::Cluster->new('standby');
$node->backup('standby');
$standby->init_from_backup($node, 'standby', has_streaming => 1);
$standby->start;
is(ask($standby, 42, 'SELECT cents FROM items WHERE id = 7'), '700', 'a standby serves a declared session');
is(ask($standby, 42, 'SELECT release, release_state FROM tandem.sessions WHERE pid = pg_backend_pid()'), '42|ready', 'which is shown there');
is(ask($standby, 41, 'SELECT 1'), "psql:<stdin>:2: ERROR:  55T01", 'it refuses release 41');
is($standby->safe_psql('postgres', 'SELECT healthy, state FROM tandem.health(41)'), 'f|retired', 'and says so');
$reader = $standby->background_psql('postgres', on_error_stop => 0);
$reader->query_safe('SET tandem.release = 42; SELECT 1');
expand('third', 45);
sql(q(CALL tandem.contract('third', undeclared => 'ignore')));
$node->wait_for_catchup('standby', 'replay', $node->lsn('insert'));
$reader->query('SELECT 1');
like($reader->{stderr}, qr/release 42 is no longer served/, 'a session of the standby sees the fence of the primary');
$reader->{stderr} = '';
$reader->query_safe('SET tandem.release = 45; SELECT 1');
$standby->promote;
wait_for_running($standby, 'SELECT NOT pg_is_in_recovery()');
$reader->query_safe('UPDATE third SET cents = 1 WHERE id = 1');
is(ask($standby, 45, 'SELECT cents FROM third WHERE id = 1'), '1', 'and goes on when it is promoted, beside new ones');
$reader->quit;
$standby->stop;

# what the server does by itself, where every session is of a retired release and the mute are refused
$node->append_conf('postgresql.conf', "tandem.undeclared = refuse\nautovacuum_naptime = 1s");
$node->reload;
sql(<<'SQL');
CREATE DATABASE subscriber;
CREATE PUBLICATION p FOR TABLE items;
SELECT pg_create_logical_replication_slot('s', 'pgoutput');
SQL
my $publisher = $node->connstr . ' dbname=postgres';
$node->safe_psql('subscriber', <<"SQL");
CREATE EXTENSION pg_tandem;
SELECT tandem.create_migration('gone', release => 2);
CREATE TABLE items (id int PRIMARY KEY, cents bigint);
CREATE TABLE applied (id int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO public.applied VALUES (NEW.id); RETURN NULL; END \$\$;
CREATE TRIGGER note AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE items ENABLE ALWAYS TRIGGER note;
CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS \$\$ BEGIN RETURN (SELECT \$1 FROM pg_catalog.pg_class LIMIT 1); END \$\$;
CREATE TABLE vacuumed (id int) WITH (autovacuum_analyze_threshold = 1);
CREATE INDEX ON vacuumed (slow(id));
INSERT INTO vacuumed SELECT generate_series(1, 100);
SET client_min_messages = error;
CALL tandem.migrate('gone');
CALL tandem.contract('gone', undeclared => 'ignore');
ALTER DATABASE subscriber SET tandem.release = 1;
CREATE SUBSCRIPTION s CONNECTION '$publisher' PUBLICATION p WITH (create_slot = false, slot_name = 's', copy_data = false);
SQL
is(ask($node, 1, 'SELECT 1', 'subscriber'), "psql:<stdin>:2: ERROR:  55T01", 'sessions of the subscriber are refused');
sql('INSERT INTO items VALUES (100, 1)');
$node->wait_for_catchup('s');
is(ask($node, 2, 'SELECT id FROM applied', 'subscriber'), '100', 'logical replication applies, with its triggers');
$ENV{PGOPTIONS} = '-ctandem.release=2';
wait_for_running($node, q(SELECT last_autoanalyze IS NOT NULL FROM pg_stat_user_tables WHERE relname = 'vacuumed'), 'subscriber');
delete $ENV{PGOPTIONS};
pass('autovacuum analyzes an index whose function has a query');
is($node->safe_psql('subscriber', 'SET tandem.release = 2; DROP SUBSCRIPTION s; SELECT 1'), '1', 'the subscription is gone');
($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT 1", connstr => "$conninfo user=app options=-ctandem.release=0");
is($err, "psql:<stdin>:2: ERROR:  55T03", 'who says nothing is refused');

done_testing();
