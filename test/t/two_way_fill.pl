# The fill, where two servers subscribe to each other with origin = none (from PostgreSQL 16 on).  A fill writes
# whole rows: sent to the other server it would be applied over what a writer has committed there meanwhile.  So
# each server fills its own rows, and nothing of that is sent, whichever way it is written; a subscriber with
# origin = any is sent it as ever.
# Hazard: a fill that is replicated undoes newer writes elsewhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;
use TwoWay;

start_two_way();
sql_on_both('CREATE PUBLICATION p');
subscribe_both();

# of the latest table: a release that is ready takes no other migration
my $release = 41;

# A table on both, with the same rows, in the publications and the subscriptions; then its expand on both.
sub new_table
{
	my ($name, %options) = @_;
	my $columns = $options{columns} || 'is_public boolean, n int';
	my $select = $options{select} || 'false, 0 FROM generate_series(1, 4) i';
	my $up = $options{up} || q(CASE WHEN is_public THEN 'public' ELSE 'private' END);
	my $on_error = $options{on_error} || 'error';
	my $before = $options{before} || '';

	$release++;

	sql_on_both("CREATE TABLE $name (id int PRIMARY KEY, $columns)" . ($options{partitions} ? " PARTITION BY HASH (id);
		CREATE TABLE ${name}_0 PARTITION OF $name FOR VALUES WITH (MODULUS 2, REMAINDER 0);
		CREATE TABLE ${name}_1 PARTITION OF $name FOR VALUES WITH (MODULUS 2, REMAINDER 1);" : ''));
	sql_on_both("INSERT INTO $name SELECT i, $select; ALTER PUBLICATION p ADD TABLE $name");
	sql($_, "ALTER SUBSCRIPTION to_$_ REFRESH PUBLICATION WITH (copy_data = false)") foreach qw(a b);
	wait_for_both();
	sql_on_both(<<"SQL");
$before
BEGIN;
SELECT tandem.create_migration('$name', release => $release);
SELECT tandem.add_column('$name', '$name', 'visibility', 'text');
SELECT tandem.sync_column('$name', '$name', 'is_public', 'visibility', \$up\$ $up \$up\$, \$\$ visibility = 'public' \$\$, on_error => '$on_error');
COMMIT;
SQL
	return;
}

# Every row is the same on both, and proved on both.
sub is_equal
{
	my ($name, $what) = @_;
	my $rows = "SELECT * FROM $name ORDER BY id";

	wait_for_both();
	is(sql('b', $rows), sql('a', $rows), "$what: every row is the same on both");
	is_deeply([ sql_on_both("SELECT sum(rows_unfilled), sum(rows_mismatched) FROM tandem.verify('$name')") ],
		[ '0|0', '0|0' ], "$what: and proved on both");
	return;
}

# Two more readers of a: local takes what subscriptions with origin = none are sent, any what others are.
sql('a', qq(SELECT pg_create_logical_replication_slot('$_', 'test_decoding'))) foreach qw(local any);

# Checks how many updates of a table they have been sent since the last call; any has those of b, too.
sub sent
{
	my ($table, $local, $any, $what) = @_;
	my $query = q(SELECT count(*) FROM pg_logical_slot_get_changes('%s', NULL, NULL, 'only-local', '%s') WHERE data LIKE 'table public.%s%%: UPDATE:%%');

	is_deeply([ sql('a', sprintf($query, 'local', 1, $table)), sql('a', sprintf($query, 'any', 0, $table)) ],
		[ $local, $any ], "$what: $local updates of a are sent where origin = none, $any updates elsewhere");
	return;
}

# a fills while b's writer updates the same row: his write is there afterwards, on both
new_table('images');
while_apart(sub {
	sql('a', q(CALL tandem.migrate('images')));
	sql('b', 'SET tandem.release = 41; UPDATE images SET is_public = true, n = 7 WHERE id = 1');
	sql('b', qq(SET tandem.release = $release; UPDATE images SET visibility = 'shared', n = 8 WHERE id = 2));
});
is(sql('a', 'SELECT id, is_public, n, visibility FROM images ORDER BY id'),
	"1|t|7|public\n2|f|8|shared\n3|f|0|private\n4|f|0|private", 'what b wrote while a filled is there on a');
sql('b', q(CALL tandem.migrate('images')));
is_equal('images', 'a write on b during the fill of a');
is(sql('b', 'SELECT id, is_public, n, visibility FROM images WHERE id < 3 ORDER BY id'), "1|t|7|public\n2|f|8|shared",
	'and on b');
sent('images', 0, 6, 'a fill');

# both fill, both write, all at once and apart: each in its rows, as an application of two regions does
new_table('twice');
while_apart(sub {
	sql('a', 'UPDATE twice SET n = 1 WHERE id = 1');
	sql_on_both(q(CALL tandem.migrate('twice')));
	sql('a', 'UPDATE twice SET n = 2, is_public = true WHERE id = 2');
	sql('b', 'UPDATE twice SET n = 3, is_public = true WHERE id = 3');
	sql('b', qq(SET tandem.release = $release; UPDATE twice SET visibility = 'shared' WHERE id = 4));
});
is_equal('twice', 'fills and writes on both');
is(sql('a', 'SELECT id, is_public, n, visibility FROM twice ORDER BY id'),
	"1|f|1|private\n2|t|2|public\n3|t|3|public\n4|f|0|shared", 'no write is lost');
sent('twice', 2, 7, 'writers of a, and its fill');

# a statement that fires triggers writes the rows: the same, of what the triggers write, too
new_table('fired', before => <<'SQL');
CREATE TABLE fired_log (id int, server text DEFAULT current_setting('cluster_name'));
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.fired_log VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER note AFTER UPDATE ON fired FOR EACH ROW EXECUTE FUNCTION note();
SQL
sql_on_both(q(SELECT tandem.configure('fired', 'tandem.fire_triggers', 'on')));
while_apart(sub {
	sql('a', q(CALL tandem.migrate('fired')));
	sql('b', 'UPDATE fired SET is_public = true, n = 7 WHERE id = 1');
});
sql('b', q(CALL tandem.migrate('fired')));
is_equal('fired', 'fire_triggers');
is(sql('b', 'SELECT is_public, n, visibility FROM fired WHERE id = 1'), 't|7|public', 'fire_triggers: the write on b is there');
is(sql('a', 'SELECT count(*) FROM fired_log'), '4', 'fire_triggers: they were fired');
sent('fired', 0, 5, 'fire_triggers');

# a row that was in quarantine is filled later
new_table('quarantined',
	before => 'CREATE FUNCTION strict(boolean) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION \'not yet\'; END $$;',
	up => 'public.strict(is_public)', on_error => 'quarantine');
sql_on_both(q(CALL tandem.migrate('quarantined')));
is_deeply([ sql_on_both('SELECT count(*) FROM tandem.quarantine') ], [ 4, 4 ], 'rows in quarantine, on each server its own');
sql_on_both(q(CREATE OR REPLACE FUNCTION strict(boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN $1 THEN 'public' ELSE 'private' END $$));
while_apart(sub {
	sql('a', q(CALL tandem.migrate('quarantined')));
	sql('b', 'UPDATE quarantined SET is_public = true, n = 7 WHERE id = 1');
});
sql('b', q(CALL tandem.migrate('quarantined')));
is_equal('quarantined', 'quarantine');
is(sql('b', 'SELECT is_public, n, visibility FROM quarantined WHERE id = 1'), 't|7|public', 'quarantine: the write on b is there');
sent('quarantined', 0, 5, 'rows tried again');

# partitions, subscribed each and as the table above them; rows with values out of line
foreach my $root ('false', 'true')
{
	my $name = "parted_$root";

	sql_on_both("ALTER PUBLICATION p SET (publish_via_partition_root = $root)");
	new_table($name, partitions => 1, columns => 'is_public boolean, n int, wide text',
		select => q(false, 0, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 300) j) FROM generate_series(1, 4) i));
	while_apart(sub {
		sql('a', "CALL tandem.migrate('$name')");
		sql('b', "UPDATE $name SET is_public = true, n = 7 WHERE id < 3");
	});
	sql('b', "CALL tandem.migrate('$name')");
	is_equal($name, "publish_via_partition_root = $root");
	is(sql('b', "SELECT count(*) FROM $name WHERE n = 7 AND visibility = 'public'"), '2', 'what b wrote is there');
	sent($name, 0, 6, "publish_via_partition_root = $root");
}

# workers in the background, writers of both releases on both servers, each in its own rows
new_table('load', select => 'false, 0 FROM generate_series(1, 20000) i', columns => 'is_public boolean, n int, home text, filler text DEFAULT repeat(chr(120), 100)');
my @writers;
foreach my $server (qw(a b))
{
	my $odd = $server eq 'a' ? 1 : 0;

	foreach my $writer ($release - 1, $release)
	{
		my $set = $writer < $release ? 'is_public = NOT is_public' : q(visibility = (ARRAY['public', 'shared'])[1 + n % 2]);
		push @writers, start_pgbench(node_of($server), '-c', '2', '-T', '600', '--rate', '200', '-f', write_script("$server$writer", <<"SQL"));
\\set id 2 * random(0, 9999) + 1 + $odd
SET tandem.release = $writer;
UPDATE load SET $set, n = n + 1, home = '$server' WHERE id = :id;
SQL
	}
}
wait_for_running(node_of($_), "SELECT count(*) > 20 FROM load WHERE home = '$_'") foreach qw(a b);
run_slowly(node_of($_), 'load', 2) foreach qw(a b);
speed_up(node_of($_), 'load') foreach qw(a b);
wait_for_running(node_of($_), q(SELECT running_pid IS NULL AND NOT background FROM tandem.migrations WHERE name = 'load')) foreach qw(a b);
ok(end_pgbench($_), 'a writer ends well') foreach @writers;
is_equal('load', 'writers on both while both fill');
is_deeply([ sql_on_both(q(SELECT count(*) FROM tandem.migrations WHERE name = 'load' AND phase = 'contract')) ], [ 1, 1 ], 'both fills are done');
is(sql('a', q(SELECT count(*) > 0 FROM load WHERE home = 'b' AND n > 0)), 't', 'rows of both were written');

# a follower without the sync, with origin = any, is sent the fill: its rows are filled
my $follower = new_server('follower');
new_table('followed');
$follower->safe_psql('postgres', 'CREATE TABLE followed (id int PRIMARY KEY, is_public boolean, n int, visibility text)');
sql('a', 'CREATE PUBLICATION followed FOR TABLE followed');
$follower->safe_psql('postgres', sprintf(q(CREATE SUBSCRIPTION f CONNECTION '%s' PUBLICATION followed WITH (origin = any)),
	node_of('a')->connstr . ' dbname=postgres'));
$follower->wait_for_subscription_sync(node_of('a'), 'f');
sql('a', q(CALL tandem.migrate('followed')));
node_of('a')->wait_for_catchup('f');
is($follower->safe_psql('postgres', 'SELECT count(*) FROM followed WHERE visibility = \'private\''), '4', 'a follower with origin = any has the fill');
sent('followed', 0, 4, 'with a follower');

# tandem.send_fill says it for one migration; where the table comes from nowhere else a fill is sent to all
new_table('by_hand');
sql('a', q(SELECT tandem.configure('by_hand', 'tandem.send_fill', 'on')));
sql('a', q(CALL tandem.migrate('by_hand')));
sent('by_hand', 4, 4, 'send_fill = on');
wait_for_both();
is(sql('b', q(SELECT count(*) FROM by_hand WHERE visibility = 'private')), '4', 'send_fill = on: it arrives');
foreach my $case ([ 'auto', 4 ], [ 'off', 0 ])
{
	my ($setting, $local) = @$case;

	expand_table(node_of('a'), "alone_$setting", rows => 4);
	sql('a', "SELECT tandem.configure('alone_$setting', 'tandem.send_fill', '$setting')");
	sql('a', "CALL tandem.migrate('alone_$setting')");
	sent("alone_$setting", $local, 4, "a table that is sent only, send_fill = $setting");
}

# the mark ends with the batch: an error in it, and the session's own writes after it
new_table('broken', select => 'false, i FROM generate_series(1, 4) i', up => q(CASE WHEN is_public THEN 'public' ELSE 'private' END));
sql('a', q(ALTER TABLE broken ADD CHECK (visibility IS NULL OR id <> 4)));
my ($status, $out, $err) = node_of('a')->psql('postgres', q(CALL tandem.migrate('broken')), on_error_stop => 0);
like($err, qr/violates check constraint/, 'a fill that fails');
($status, $out, $err) = node_of('a')->psql('postgres', "SET tandem.fire_triggers = on;\nCALL tandem.migrate('broken');\nUPDATE broken SET n = 9 WHERE id = 1;\nRESET tandem.fire_triggers;\nCALL tandem.migrate('broken');\nUPDATE broken SET n = 10 WHERE id = 2;", on_error_stop => 0);
sent('broken', 2, 2, 'writes of the session in which a fill has failed');
wait_for_both();
is(sql('b', 'SELECT n FROM broken WHERE id < 3 ORDER BY id'), "9\n10", 'they arrive');

# a volatile up would be another value on each server
new_table('plain');
is_refused(node_of('a'), <<'SQL', qr/up of column "token" of table "plain" is volatile: each server would fill it with another value.*SET tandem.send_fill = on/s, 'a volatile up');
BEGIN;
SELECT tandem.create_migration('token');
SELECT tandem.add_column('token', 'plain', 'token', 'text');
SELECT tandem.sync_column('token', 'plain', 'id', 'token', 'gen_random_uuid()::text', keep_old => true);
SQL
sql_on_both(<<'SQL');
SET tandem.send_fill = on;
BEGIN;
SELECT tandem.create_migration('token');
SELECT tandem.add_column('token', 'plain', 'token', 'text');
SELECT tandem.sync_column('token', 'plain', 'id', 'token', 'gen_random_uuid()::text', keep_old => true);
COMMIT;
SQL
is_refused(node_of('a'), q(CALL tandem.migrate('token')), qr/up of column "token" of table "plain" is volatile/, 'its fill, not sent');
sql('a', q(SELECT tandem.configure('token', 'tandem.send_fill', 'on')));
sql('a', q(CALL tandem.migrate('token')));
wait_for_both();
# nothing is left to be computed: so nothing is refused
sql('b', q(CALL tandem.migrate('token')));
is(sql('b', 'SELECT * FROM plain ORDER BY id'), sql('a', 'SELECT * FROM plain ORDER BY id'), 'a volatile up that one server fills and sends');

done_testing();
