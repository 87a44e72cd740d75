# Regions know of each other what they have said: nobody may switch, contract or abort too early, or at the same time
# as another does what speaks against it.  Three servers, each of which sends the others its own rows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Regions;
use TandemTest;
use Test::More;

# one beats by itself, the others as the tests say, or when something is announced
start_regions([qw(a b c)], conf_of => { c => "shared_preload_libraries = 'pg_tandem'\n" });

my $expand = q(BEGIN; SELECT tandem.create_migration('m42', 42);
	SELECT tandem.add_column('m42', 'images', 'visibility', 'text');
	SELECT tandem.sync_column('m42', 'images', 'is_public', 'visibility',
		$$CASE WHEN is_public THEN 'public' ELSE 'private' END$$, $$visibility = 'public'$$); COMMIT);

# what tandem.status says, in one line
my $status = q(SELECT state, regexp_replace(what, E'\n', ' ', 'g') FROM tandem.status ORDER BY migration DESC);

foreach my $name (regions())
{
	sql($name, <<"SQL");
CREATE TABLE images (id int, region text, n int, is_public boolean, PRIMARY KEY (id, region));
INSERT INTO images SELECT i, '$name', i, true FROM generate_series(1, 20) i;
CREATE PUBLICATION p FOR TABLE images WHERE (region = '$name');
SELECT tandem.register_release(41);
SELECT tandem.join_region('$name', publication => 'p');
SQL
	is(sql($name, 'SELECT tandem.region()'), $name, "region $name knows its name");
}

# Rule: each knows how far the others are.
subscribe_all();
foreach my $name (regions())
{
	is(sql($name, q(SELECT string_agg(concat_ws(' ', region, is_here, expanded, subscription, problem), ', ' ORDER BY region) FROM tandem.regions)),
		join(', ', map { "$_ " . ($_ eq $name ? 't 41' : "f 41 s_${name}_$_") } regions()), "$name: how far each is");
}
is(sql('a', 'SELECT count(*) FROM images'), 60, 'rows of all regions');
is_refused(server_of('a'), q(SELECT tandem.join_region('d')), qr/this database is region a already.*leave_region\('a'\)/s, 'another name');
is_refused(server_of('a'), q(SELECT tandem.leave_region('b')), qr/subscription s_a_b still brings what region b sends.*DROP SUBSCRIPTION s_a_b/s,
	'to forget a region that is there');
is_refused(server_of('a'), q(SELECT tandem.leave_region('x')), qr/region x does not exist/, 'to forget an unknown region');
is_refused(server_of('a'), q(SELECT tandem.join_region('')), qr/the name of a region has 1 to 63 bytes/, 'no name');
is(sql('a', q(SELECT count(*) FROM tandem._own_publications)), 0, 'its publication is no mistake');

# Rule: a release is read-only until all regions have expanded.
sql('a', $expand);
is(sql('a', q(SELECT expanded FROM tandem.regions WHERE is_here)), 41, 'what may still go on is not said to be expanded');
sql('a', q(CALL tandem.migrate('m42')));
catch_up();
is(sql('b', q(SELECT expanded, phases FROM tandem.regions WHERE region = 'a')), '42|{"m42": "contract"}', 'b hears that a has expanded');
like(sql('a', 'SELECT reason, state FROM tandem.health(42)'),
	qr/^release 42 waits until it is expanded in all regions: region b has release 41 \(heard of [\d:]+ ago\); region c has release 41 .*\|read_only$/,
	'release 42 is read-only in a');
is_refused(server_of('a'), 'SELECT tandem.switch_release(42)', qr/cannot switch to release 42.*region b has release 41/s, 'a switch that is too early');
is_refused(server_of('a'), q(CALL tandem.contract('m42', undeclared => 'ignore')), qr/would leave no release|cannot|waits for another region/, 'contract that is too early');
like(sql('a', $status), qr/^waiting\|filled and verified, waits until region b has release 42, waits until region c has release 42$/, 'status names them');
sql('b', $expand);
sql('b', q(CALL tandem.migrate('m42')));
catch_up();
like(sql('a', 'SELECT reason FROM tandem.health(42)'), qr/^release 42 waits until it is expanded in all regions: region c has release 41/, 'and waits for c');
sql('c', $expand);
sql('c', q(SELECT tandem.configure('m42', 'tandem.max_rows_per_second', '1')));
sql('c', q(CALL tandem.migrate('m42', background => true)));
wait_for('c', q(SELECT percent > 0 FROM tandem.migrations));
pass('c has filled a part');
sql('c', 'SELECT tandem.region_beat()');
catch_up();
like(sql('a', q(SELECT progress FROM tandem.regions WHERE region = 'c')), qr/^\{"m42": [1-9][\d.]*\}$/, 'a knows how far c is');
sql('c', q(SELECT tandem.configure('m42', 'tandem.max_rows_per_second', NULL)));
wait_for('c', q(SELECT phase = 'contract' AND running_pid IS NULL FROM tandem.migrations));
pass('c has filled');
sql('c', 'SELECT tandem.region_beat()');
catch_up();
is(sql('a', q(SELECT progress FROM tandem.regions WHERE region = 'c')), '{}', 'and that it is done');
is(sql($_, 'SELECT healthy, state FROM tandem.health(42)'), 't|ready', "release 42 is ready in $_") foreach regions();
# who was last heard of a minute ago is told of
sql($_, 'SELECT tandem.region_beat()') foreach regions();
catch_up();
is(sql($_, $status), 'ready|filled and verified', "status of $_ waits for none") foreach regions();
# the state itself is that of a trigger which does not fit the rule
like(sql('a', "BEGIN; UPDATE tandem.sync SET down = NULL; $status; ROLLBACK"),
	qr/^\w+\|filled and verified, waits until region b has switched to release 42, waits until region c/m, 'but where nothing is written back');
my $drop = q(CREATE TABLE old (id int); INSERT INTO tandem.operation (migration, kind, relation, given, owner, search_path)
	SELECT id, 'drop table', 'old', 'old', created_by, '' FROM tandem.migration WHERE name = 'm42');
like(sql('a', "BEGIN; $drop; $status; ROLLBACK"),
	qr/^waiting\|filled and verified, waits until region b has switched to release 42, waits until region c/m, 'and where a table goes, which others still send');

# Rule: who switches says so before, and waits for the others.
is(sql('a', 'SELECT tandem.switch_release(42)'), '', 'a switches');
is(sql('a', 'SELECT current, intent IS NULL FROM tandem.regions WHERE is_here'), '42|t', 'and has nothing announced any more');
catch_up();
is_refused(server_of('b'), q(CALL tandem.abort('m42', force => false)), qr/abort of migration "m42" waits for another region.*region a has switched to release 42/s,
	'abort in b');

# Rule: contract takes what the latest release that is expanded here sees, so the others must have it.
sql('a', q(BEGIN; SELECT tandem.create_migration('later', 43); SELECT tandem.add_column('later', 'images', 'note', 'text'); COMMIT));
is_refused(server_of('a'), q(CALL tandem.contract('m42', undeclared => 'ignore')),
	qr/contract of migration "m42" waits for another region.*region b has release 42.*Expand up to release 43 there/s, 'contract beside a later release');
like(sql('a', $status), qr/^waiting\|filled and verified, waits until region b has release 43,/m, 'status says so');
sql('a', q(CALL tandem.abort('later')));
catch_up();

# a line is cut
sql('b', 'ALTER SUBSCRIPTION s_b_a DISABLE');
is_refused(server_of('a'), q(SET tandem.region_timeout = 1; CALL tandem.contract('m42', undeclared => 'ignore')),
	qr/contract of migration "m42" was not answered by every region within 1 s.*region b has not \(heard of.*If region b is no more, drop its subscription and run SELECT tandem.leave_region\('b'\).*force => true/s, 'contract with a line that is cut');
is(sql('b', q(SELECT problem FROM tandem.regions WHERE region = 'a')), 'subscription s_b_a is disabled', 'b: what is wrong');
like(sql('b', q(SELECT problem FROM tandem.migrations)), qr/region a: subscription s_b_a is disabled/, 'b: it is a problem of the migration');
is(sql('b', $status), 'ready|filled and verified, region a: subscription s_b_a is disabled', 'b: status tells it');
is(sql('b', q(SELECT max(length(l)) <= 41 FROM tandem.status, regexp_split_to_table(what, E'\n') l)), 't', 'in short lines');
is(sql('a', 'SELECT intent FROM tandem.regions WHERE is_here'), q(contract 'm42' of release 42), 'what was announced stays until the next beat');
sql('a', 'SELECT tandem.region_beat()');
is(sql('a', 'SELECT intent IS NULL FROM tandem.regions WHERE is_here'), 't', 'which takes it back');
sql('b', 'ALTER SUBSCRIPTION s_b_a ENABLE');
catch_up();

# Rule: of two that announce what does not go together none, or one, acts.
my $holder = server_of('b')->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT 1 FROM tandem.region WHERE region = \'b\' FOR UPDATE');
my $contract = start_psql(server_of('a'), 'postgres', q(CALL tandem.contract('m42', undeclared => 'ignore')));
wait_for('b', q(SELECT count(*) = 1 FROM tandem.regions WHERE region = 'a' AND intent ~ '^contract'));
pass('b hears that a is about to contract');
is_refused(server_of('c'), q(CALL tandem.abort('m42')), qr/waits for another region.*region a (is about to contract 'm42' of release 42|has switched)/s, 'abort in c meanwhile');
is_refused(server_of('a'), 'SELECT tandem.switch_release(42)', qr/another session is about to switch to a release, to contract or to abort/, 'a switch in a meanwhile');
is(sql('a', q(SELECT count(*) FROM information_schema.columns WHERE table_name = 'images' AND column_name = 'is_public')), 1, 'a waits for the answer of b');
$holder->query_safe('COMMIT');
$holder->quit;
ok(finish($contract), 'a has contracted');
catch_up();
is(sql('b', q(SELECT current, lowest, phases FROM tandem.regions WHERE region = 'a')), '42|42|{}', 'b hears of it');
is_refused(server_of('b'), q(CALL tandem.abort('m42')), qr/region a has (switched to|contracted up to) release 42/, 'abort in b');
is(sql('b', 'SELECT tandem.switch_release(42)'), '', 'b switches');

# Rule: what a copy says, or what was restored, is not believed.
sql('b', q(UPDATE tandem.region SET seq = seq - 1000000, expanded = 7 WHERE region = 'b'));
catch_up();
like(sql('a', q(SELECT concat_ws(' ', expanded, problem) FROM tandem.regions WHERE region = 'b')), qr/^42 says what it said before \(\d+ after \d+\): it was restored/,
	'a does not believe what is older');
is_refused(server_of('a'), 'SELECT tandem.switch_release(42)', qr/region b says what it said before/, 'a switch');
sql('b', q(UPDATE tandem.region SET system_identifier = 1 WHERE region = 'b'));
is(sql('b', 'SELECT tandem.region() IS NULL'), 't', 'a copy is no region');
sql('b', q(SELECT tandem.join_region('b')));
catch_up();
is(sql('a', q(SELECT concat_ws(' ', expanded, problem) FROM tandem.regions WHERE region = 'b')), '42', 'it is believed when it has joined again');
sql('c', q(SELECT tandem.switch_release(42)));

# Rule: a region that is no more holds nobody up.
sql('a', 'ALTER SUBSCRIPTION s_a_c DISABLE; ALTER SUBSCRIPTION s_a_c SET (slot_name = NONE); DROP SUBSCRIPTION s_a_c');
like(sql('a', q(SELECT problem FROM tandem.regions WHERE region = 'c')), qr/the subscription that brought what it says is gone/, 'a: what is wrong');
sql('a', q(SELECT tandem.leave_region('c')));
is(sql('a', q(SELECT string_agg(region, ' ') FROM tandem.regions)), 'a b', 'a knows of b alone');

# Rule: one that joins late must be as far as the others.
my $late = new_server('d', conf => "wal_level = logical\nautovacuum = off\n");
$late->safe_psql('postgres', 'CREATE TABLE images (id int, region text, n int, visibility text, PRIMARY KEY (id, region))');
$late->safe_psql('postgres', "CREATE SUBSCRIPTION s_d_a CONNECTION '" . server_of('a')->connstr . " dbname=postgres' PUBLICATION release_42, tandem_region");
$late->wait_for_subscription_sync(server_of('a'), 's_d_a');
is_refused($late, q(SELECT tandem.join_region('d')), qr/region a has switched to release 42, which is not expanded here.*register_release\(42\)/s, 'a region that is behind');
$late->safe_psql('postgres', q(SELECT tandem.register_release(42); SELECT tandem.join_region('d')));
is($late->safe_psql('postgres', q(SELECT string_agg(concat_ws(' ', region, expanded), ', ' ORDER BY region) FROM tandem.regions)), 'a 42, d 42', 'one that is as far');

# Rule: what a subscription should tell of a region, and does not, holds up as what it would tell.
my $early = new_server('e', conf => "wal_level = logical\nautovacuum = off\nwal_retrieve_retry_interval = 200ms\n");
$early->safe_psql('postgres', q(SELECT tandem.register_release(42); SELECT tandem.join_region('e')));
server_of('b')->safe_psql('postgres', q(SELECT pg_create_logical_replication_slot('early', 'pgoutput')));
$early->safe_psql('postgres', q(CREATE SUBSCRIPTION s_e_b CONNECTION ') . server_of('b')->connstr . q( dbname=postgres' PUBLICATION no_such, tandem_region WITH (create_slot = false, slot_name = 'early', connect = false)));
like($early->safe_psql('postgres', q(SELECT problem FROM tandem.regions)), qr/^subscription s_e_b has brought nothing of a region: tandem.join_region\(\) comes before/, 'e: what is wrong');
is_refused($early, q(SELECT tandem.register_release(43); SELECT tandem.switch_release(43)), qr/region of subscription s_e_b has no release \(never heard of\)/, 'a switch beside it');
$early->safe_psql('postgres', q(ALTER SUBSCRIPTION s_e_b SET (slot_name = NONE); DROP SUBSCRIPTION s_e_b; SELECT tandem.region_beat()));
is($early->safe_psql('postgres', q(SELECT healthy FROM tandem.health(43))), 't', 'without it nothing is in the way');
sql('b', q(SELECT pg_drop_replication_slot('early')));

# one that leaves by itself is forgotten by all
sql('b', q(SELECT tandem.leave_region('b')));
server_of('b')->wait_for_catchup('s_a_b');
is(sql('a', q(SELECT string_agg(region, ' ') FROM tandem.regions)), 'a', 'b has left');
# the launcher beats
my $at = sql('b', q(SELECT at FROM tandem.region WHERE region = 'c'));
wait_for('b', qq(SELECT at > '$at' FROM tandem.region WHERE region = 'c'));
pass('c is heard of, where nothing happens');

is(sql($_, q(SELECT count(*) FROM pg_stat_subscription_stats WHERE apply_error_count > 0)), 0, "$_: nothing has failed") foreach regions();
done_testing();
