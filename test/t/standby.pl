# A hot standby in the middle of a migration reads all there is to read: every view of schema tandem, the
# health of releases, the views of releases (read-through and plain), with the rights of anybody; and
# the fence holds there, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $primary = new_server('primary');

sub sql { return $primary->safe_psql('postgres', $_[0]); }

# A session of some release; without: one that has not said it.
sub ask
{
	my ($server, $release, $statement, %options) = @_;
	my $conninfo = $server->connstr('postgres') . ' user=' . ($options{user} || 'reader');

	$conninfo .= " options=-ctandem.release=$release" if $release;
	my ($status, $out, $err) = $server->psql('postgres', "\\set VERBOSITY verbose\n$statement", connstr => $conninfo);
	return $err =~ /ERROR:  (\w{5}): ([^\n]*)/ ? "$1 $2" : $out;
}

$primary->append_conf('postgresql.conf', "session_preload_libraries = 'pg_tandem'");
$primary->reload;
sql(<<'SQL');
CREATE ROLE reader LOGIN;
CREATE TABLE items (id int PRIMARY KEY, price int, filler text);
CREATE INDEX items_filler ON items (filler);
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE texts (id int PRIMARY KEY, number text);
CREATE TABLE numbered (id serial PRIMARY KEY);
INSERT INTO numbered DEFAULT VALUES;
INSERT INTO items SELECT i, i, repeat('x', 500) FROM generate_series(1, 2000) i;
INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 3) i;
INSERT INTO texts VALUES (1, '1'), (2, 'two');
GRANT SELECT ON items, users, texts TO reader;
SELECT tandem.register_release(41, 'the first'), tandem.set_dependency('search-index', 7), tandem.join_region('here');
BEGIN;
SELECT tandem.create_migration('login', release => 41);
SELECT tandem.add_column('login', 'users', 'login', 'text');
SELECT tandem.sync_column('login', 'users', 'name', 'login', 'upper(name)', 'lower(login)');
SELECT tandem.create_migration('number', release => 41);
SELECT tandem.add_column('number', 'texts', 'n', 'int');
SELECT tandem.sync_column('number', 'texts', 'number', 'n', 'number::int', 'n::text', on_error => 'quarantine');
SELECT tandem.add_after_switch('number', 'texts', 'n = 0', 'n < 0');
COMMIT;
SET client_min_messages = error;
CALL tandem.migrate('login');
CALL tandem.migrate('number');
SELECT tandem.switch_release(41);
BEGIN;
SELECT tandem.create_migration('cents', release => 42);
SELECT tandem.add_column('cents', 'items', 'cents', 'bigint');
SELECT tandem.sync_column('cents', 'items', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
SELECT tandem.add_index('cents', 'CREATE INDEX items_cents ON items (cents)');
SELECT tandem.add_constraint('cents', 'items', 'cents_whole', 'CHECK (cents % 100 = 0)');
COMMIT;
SELECT tandem.create_views(r) FROM generate_series(40, 42) r;
CALL tandem.rehearse('SELECT 1');
SQL
my $standby = PostgreSQL::Test::Cluster->new('standby');
$primary->backup('base');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = 200ms');
$standby->start;

# in the middle of the fill, with nobody at work
my $locker = $primary->background_psql('postgres');
$locker->query_safe('BEGIN; SELECT 1 FROM items WHERE id = 1990 FOR UPDATE');
my $migrate = start_psql($primary, 'postgres', q(SET tandem.batch_target = '1ms'), q(CALL tandem.migrate('cents')));
wait_for_running($primary, q(SELECT count(*) > 0 FROM tandem.progress WHERE migration = 'cents' AND blockers IS NOT NULL));
sql(q(SELECT tandem.cancel('cents')));
ok(!finish($migrate), 'the fill is stopped');
$locker->quit;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery(), count(*) > 0, count(cents) BETWEEN 1 AND 1999 FROM items'),
	't|t|t', 'a standby, with rows filled and others not');

# every view, those of later versions of the extension included
my @views = split /\n/, sql(q(SELECT relname FROM pg_class WHERE relnamespace = 'tandem'::regnamespace AND relkind = 'v' AND NOT starts_with(relname, '_') ORDER BY 1));
cmp_ok(scalar @views, '>=', 7, 'there are views');
foreach my $view (@views)
{
	foreach my $user ('postgres', 'reader')
	{
		# what a sequence gives next is logged ahead
		my $columns = $view eq 'keys' ? 'relation, column_name, type, sequence, last_value BETWEEN 1 AND 33, max_value' : '*';
		my $query = "SELECT $columns FROM tandem.$view v ORDER BY v::text";
		my $read = ask($standby, 0, $query, user => $user);

		if ($view eq 'sessions')
		{
			is(() = $read =~ /^\d+\|/mg, 1, "$view as $user: the one session there");
			next;
		}
		is($read, ask($primary, 0, $query, user => $user), "$view as $user: as on the primary");
		isnt($read, '', "$view as $user: with rows") if $user eq 'postgres' || $view !~ /^(?:quarantine|rehearsals)$/;
	}
}
is(ask($standby, 0, $_), ask($primary, 0, $_), $_)
  foreach map({ "SELECT * FROM tandem.health($_)" } 40 .. 43),
  q(SELECT * FROM tandem.health(41, '{"search-index": 7}')), q(SELECT * FROM tandem.health(41, '{"search-index": 8}'));
is(ask($standby, 0, q(CALL tandem.wait_for_release(41, '1 min'))), '', 'wait_for_release of one that is ready');
like(ask($standby, 0, q(CALL tandem.wait_for_release(42, '200 ms'))), qr/^55P03 release 42 did not become ready in time/, 'and of one that is not');

# the views of releases
foreach my $view (map({ ("release_$_.items", "release_$_.users") } 40 .. 42), 'release_41.texts', 'release_40.texts')
{
	my $query = "SELECT * FROM $view ORDER BY id";
	my $read = ask($standby, 0, $query);

	is($read, ask($primary, 0, $query), "$view: as on the primary");
	like($read, qr/^\d+\|/, "$view: with rows");
}
is(ask($standby, 0, 'SELECT count(*), sum(cents) FROM release_42.items'), '2000|200100000', 'read through: complete');
is(ask($standby, 0, 'SELECT login FROM release_42.users WHERE id = 2'), 'U2', 'plain');

# the fence
my $read = 'BEGIN; SELECT sum(cents) FROM release_42.items; SELECT login FROM release_41.users WHERE id = 1; COMMIT';
is(ask($standby, 42, $read), "200100000\nU1", 'release 42, of which the fill has not ended, may read');
is(ask($standby, 41, $read), "200100000\nU1", 'so may release 41');
like(ask($standby, 43, $read), qr/^55T01 /, 'release 43, which nobody knows, may not');
like(ask($standby, 41, 'UPDATE items SET price = 1'), qr/^25006 /, 'nobody writes there');
is(ask($standby, 41, 'SELECT release, release_state FROM tandem.sessions WHERE release IS NOT NULL'), '41|current', 'a declared session is shown');

# what would change something says where to call it
like(ask($standby, 0, $_, user => (getpwuid $>)[0]), qr/^25006 (?:pg_tandem changes nothing on a standby|cannot execute)/, "refused there: $_") foreach (
	q(SELECT tandem.create_migration('there')),
	q(SELECT tandem.add_column('cents', 'items', 'x', 'int')),
	q(SELECT tandem.sync_column('cents', 'items', 'price', 'x', 'price')),
	q(SELECT tandem.add_index('cents', 'CREATE INDEX ON items (price)')),
	q(SELECT tandem.add_after_switch('cents', 'items', 'price = 1', 'price < 0')),
	q(SELECT tandem.at_contract('cents', 'items', 'ALTER TABLE items DROP COLUMN filler')),
	q(SELECT tandem.rename_constraint('cents', 'items', 'items_pkey', 'items_key')),
	q(SELECT tandem.add_table('cents', 'items')),
	q(SELECT tandem.rename_table('cents', 'items', 'things')),
	q(SELECT tandem.drop_table('cents', 'users')),
	q(SELECT tandem.drop_index('cents', 'items_filler')),
	q(SELECT tandem.add_not_null('cents', 'items', 'price')),
	q(SELECT tandem.add_constraint('cents', 'items', 'c', 'CHECK (price > 0)')),
	q(CALL tandem.migrate('cents')),
	q(SELECT tandem.start_migrate('cents')),
	q(CALL tandem.change_key('cents', 'items', 'price', 'bigint')),
	q(SELECT tandem.pause('cents')),
	q(SELECT tandem.resume('cents')),
	q(SELECT tandem.cancel('cents')),
	q(SELECT tandem.configure('cents', 'tandem.nice_ratio', '0')),
	q(SELECT tandem.forget('cents')),
	q(CALL tandem.contract('cents')),
	q(CALL tandem.abort('cents')),
	q(SELECT tandem.switch_release(41)),
	q(SELECT tandem.register_release(50)),
	q(SELECT tandem.set_dependency('d', 1)),
	q(SELECT tandem.create_views(41)),
	q(CALL tandem.rehearse('SELECT 1')));
like(ask($standby, 0, q(SELECT rows, detail FROM tandem.rehearse_change('items', 'bigint', 'price', 'price') WHERE rows IS NOT NULL)),
	qr/^2000\|all rows\n2000\|not measured: nothing can be written here$/, 'a change is rehearsed there');

# contract on the primary does not see the sessions of a standby: there the server ends what stands in the way
my $reader = $standby->background_psql('postgres');
$reader->query_safe("SET tandem.release = 41; BEGIN");
my $pid = $reader->query_safe('SELECT pg_backend_pid()');
is($reader->query_safe('SELECT count(*) FROM release_41.items'), '2000', 'a transaction of release 41 on the standby');
sql(q(SET client_min_messages = error; CALL tandem.migrate('cents'); SELECT tandem.switch_release(42)));
sql(q(CALL tandem.contract('cents', undeclared => 'ignore')));
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid"), 0, 'is ended by the replay of contract');
$reader->quit;
like(ask($standby, 41, $read), qr/^55T01 release 41 is no longer served/, 'and what comes after it is refused');
is(ask($standby, 42, $read =~ s/release_41/release_42/r), "200100000\nU1", 'while release 42 goes on');

done_testing();
