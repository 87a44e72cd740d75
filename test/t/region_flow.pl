# The whole flow in three regions, with writers in each that never stop: expand and fill region by region, with a line that is
# cut and a server that is killed; a primary key that changes its type; one region after the other switches, and its links are
# changed after that; one fails over to its standby in the middle of it; then all contract.  At the end all rows are equal
# everywhere, and no apply worker has met anything but lost connections.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Regions;
use TandemTest;
use Test::More;

my ($ROWS, $LINKS) = (2000, 6000);
start_regions([qw(a b c)], conf => <<'CONF');
shared_preload_libraries = 'pg_tandem'
tandem.launcher_interval = 1
track_commit_timestamp = on
tandem.region_timeout = 20
max_wal_senders = 20
max_replication_slots = 20
wal_receiver_status_interval = 1s
CONF

my %expand = (
	visibility => q(SELECT tandem.add_column('visibility', 'images', 'visibility', 'text');
		SELECT tandem.sync_column('visibility', 'images', 'is_public', 'visibility', $$CASE WHEN is_public THEN 'public' ELSE 'private' END$$, $$visibility = 'public'$$);
		SELECT tandem.add_after_switch('visibility', 'links', set => $$version = 'v2'$$, condition => $$target = tandem.region() AND version = 'v1'$$);),
	key => q(SELECT tandem.add_column('key', 'orders', 'id8', 'bigint');
		SELECT tandem.sync_column('key', 'orders', old => 'id', new => 'id8', up => 'id', down => 'id8');
		ALTER TABLE orders ALTER id8 SET DEFAULT nextval('orders_id_seq');
		SELECT tandem.add_index('key', 'CREATE UNIQUE INDEX orders_id8 ON orders (id8, region)');
		SELECT tandem.add_not_null('key', 'orders', 'id8');));

#
# Applications: each region has its own rows, but links, which it makes to any region where the server can tell whose a
# change is.
#

my %writers;

sub start_writer
{
	my ($name, $release) = @_;
	my ($key, $image, $version) = $release == 41 ? ('id', 'is_public = :value > 50', 'v1')
	  : ('id8', q(visibility = (ARRAY['private', 'public', 'shared'])[1 + :value % 3]), 'v2');
	my $target = has_origin() ? q((ARRAY['a', 'b', 'c'])[1 + :value % 3]) : "'$name'";
	my $script = write_script("$name$release", <<"SQL");
\\set id random(1, $ROWS)
\\set value random(1, 100)
UPDATE images SET $image, n = n + 1 WHERE region = '$name' AND id = :id;
INSERT INTO orders (region, note) VALUES ('$name', '$release') RETURNING $key AS key \\gset
UPDATE orders SET note = note || ' again' WHERE region = '$name' AND $key = :key;
DELETE FROM orders WHERE region = '$name' AND $key = :key - 10;
INSERT INTO links (maker, id, target, version) VALUES ('$name', :key, $target, '$version');
SQL

	local $ENV{PGOPTIONS} = "-c tandem.release=$release";
	$writers{"$name$release"} = start_pgbench(server_of($name), '-f', $script, '-c', '2', '-R', '60', '-T', '600');
	return;
}

sub end_writer
{
	my ($name, $release) = @_;

	return ends_without_failure(delete $writers{"$name$release"}, "release $release in $name");
}

# The server is gone, and so is its application.
sub lose_writers
{
	my ($name) = @_;
	my @releases = grep { $writers{"$name$_"} } 41, 42;

	foreach my $release (@releases)
	{
		my $job = delete $writers{"$name$release"};
		$job->{run}->finish;
		unlike($job->{err}, qr/ERROR/, "release $release in $name has lost its server, and nothing else");
	}
	return @releases;
}

# Since the last look, or soon, each region has more orders of the releases that are at work in it.
sub all_write
{
	my ($what) = @_;

	foreach my $writer (sort keys %writers)
	{
		my ($name, $release) = $writer =~ /(.)(\d+)/;
		my $before = sql($name, "SELECT count(*) FROM links WHERE maker = '$name'");
		wait_for($name, "SELECT count(*) > $before + 5 FROM links WHERE maker = '$name'");
	}
	pass("all write, $what");
	return;
}

sub contract
{
	my ($name, $migration) = @_;

	return sql($name, "SET client_min_messages = error; CALL tandem.contract('$migration', undeclared => 'ignore')");
}

#
# Three regions at release 41.
#

foreach my $name (regions())
{
	sql($name, <<"SQL");
CREATE TABLE images (region text, id int, n int DEFAULT 0, is_public boolean, PRIMARY KEY (region, id));
CREATE TABLE orders (id serial, region text, note text, PRIMARY KEY (id, region));
CREATE TABLE links (maker text, id bigint, target text, version text, PRIMARY KEY (maker, id, target));
SQL
	sql($name, 'CREATE PUBLICATION p FOR TABLE ' . join ', ', 'images' . own_rows($name, 'region'), 'orders' . own_rows($name, 'region'), 'links' . own_rows($name, 'target'));
}
join_all();
my $failover_slots = server_of('a')->pg_version >= 17;
# what a standby of a has not got yet must not be confirmed to the others
subscribe_all(sub { my ($to, $from) = @_; return ($to eq 'a' ? 'synchronous_commit = on' : (), $from eq 'a' && $failover_slots ? 'failover = true' : ()) });
foreach my $name (regions())
{
	sql($name, "INSERT INTO images SELECT '$name', i, 0, i % 2 = 0 FROM generate_series(1, $ROWS) i");
	sql($name, "INSERT INTO links SELECT '$name', -i, '$name', 'v1' FROM generate_series(1, $LINKS) i");
}

# a has a standby
my $standby = PostgreSQL::Test::Cluster->new('standby');
{
	my $primary = server_of('a');

	sql('a', q(SELECT pg_create_physical_replication_slot('standby')));
	$primary->backup('standby');
	$standby->init_from_backup($primary, 'standby', has_streaming => 1);
	$standby->append_conf('postgresql.conf', "primary_conninfo = '" . $primary->connstr . " dbname=postgres application_name=standby'\nprimary_slot_name = 'standby'\nhot_standby_feedback = on\n"
		. ($failover_slots ? "sync_replication_slots = on\n" : ''));
	$standby->start;
	$primary->wait_for_catchup('standby');
	$primary->append_conf('postgresql.conf', "synchronous_standby_names = 'standby'\n" . ($failover_slots ? "synchronized_standby_slots = 'standby'\n" : ''));
	$primary->reload;
}
start_writer($_, 41) foreach regions();
all_write('at release 41');

#
# Expand and fill, region by region; nothing of a arrives in b meanwhile, and c is killed in its fill.
#

sql('b', 'ALTER SUBSCRIPTION s_b_a DISABLE');
foreach my $name (regions())
{
	# from the commit on all columns are taken, so all are made in one transaction
	sql($name, 'BEGIN; ' . join('', map { "SELECT tandem.create_migration('$_', 42); $expand{$_}" } qw(visibility key)) . ' COMMIT');
	all_write("$name has expanded");
	is_refused(server_of('a'), 'SELECT tandem.switch_release(42)', qr/cannot switch to release 42/, "a switch when $name has expanded");
	# a primary key can be swapped only where it is filled
	sql($name, "SELECT tandem.configure('visibility', 'tandem.max_rows_per_second', '3000')");
	sql($name, "CALL tandem.migrate('$_', background => true)") foreach qw(visibility key);
}
wait_for('c', q(SELECT coalesce(sum(rows_filled), 0) > 100 FROM tandem.progress WHERE migration = 'visibility'));
kill_region('c');
my @lost = lose_writers('c');
server_of('c')->start;
start_writer('c', $_) foreach @lost;
foreach my $name (regions())
{
	sql($name, q(SELECT tandem.configure('visibility', 'tandem.max_rows_per_second', NULL)));
	wait_for($name, q(SELECT bool_and(phase = 'contract') FROM tandem.migrations));
}
sql('b', 'ALTER SUBSCRIPTION s_b_a ENABLE');
wait_for($_, 'SELECT healthy FROM tandem.health(42)') foreach regions();
start_writer($_, 42) foreach regions();
all_write('both releases');

#
# The key is swapped in each, before any contracts.  A row is found by the replica identity of the table that it is in, and the
# other must have sent that: so all send whole rows meanwhile, which the publications of releases are in the way of.
#

my $swap = 'ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD CONSTRAINT orders_pkey PRIMARY KEY USING INDEX orders_id8';
is_refused(server_of('a'), $swap, qr/the replica identity of table (public\.)?orders cannot move to columns that release 41 does not see.*REPLICA IDENTITY FULL/s, 'a key that moves in one region alone');
is_refused(server_of('a'), 'ALTER TABLE orders REPLICA IDENTITY FULL', qr/has REPLICA IDENTITY FULL, so publication release_4\d cannot leave out.*drop_publications/s, 'whole rows beside publications of releases');
sql($_, 'SELECT tandem.take_release(); SELECT tandem.drop_publications()') foreach regions();
sql($_, 'ALTER TABLE orders REPLICA IDENTITY FULL') foreach regions();
catch_up();
foreach my $name (regions())
{
	sql($name, $swap);
	sql($name, 'ALTER SEQUENCE orders_id_seq AS bigint OWNED BY orders.id8');
	all_write("$name has swapped the key");
}
sql($_, 'ALTER TABLE orders REPLICA IDENTITY DEFAULT') foreach regions();
sql($_, q(SELECT tandem.create_publication(42, 'p'))) foreach regions();
# what was written before is not in it
catch_up();
all_write('with the new key');

#
# a switches, changes its links, and fails over meanwhile.
#

# the run in the background goes on by itself
sql('a', q(SELECT tandem.configure('visibility', 'tandem.max_rows_per_second', '300')));
sql('a', 'SELECT tandem.switch_release(42)');
end_writer('a', 41);
is_refused(server_of('b'), q(CALL tandem.abort('visibility')), qr/region a has switched to release 42/, 'abort where another has switched');
is_refused(server_of('a'), q(CALL tandem.contract('visibility', undeclared => 'ignore')), qr/links are to be changed after the switch/, 'contract before its links are changed');
wait_for('a', q(SELECT count(*) > 100 FROM links WHERE id < 0 AND target = 'a' AND version = 'v2'));
if ($failover_slots)
{
	$standby->poll_query_until('postgres', q(SELECT count(*) = 2 FROM pg_replication_slots WHERE synced AND NOT temporary AND invalidation_reason IS NULL)) or die 'slots are not on the standby';
}
kill_region('a');
@lost = lose_writers('a');
$standby->append_conf('postgresql.conf', "synchronous_standby_names = ''\n" . ($failover_slots ? "synchronized_standby_slots = ''\n" : ''));
$standby->reload;
$standby->promote;
replace_server('a', $standby);
# under one snapshot, since the run goes on
my ($old, $new) = split /\|/, sql('a', q(SELECT count(*) FILTER (WHERE version = 'v1'), count(*) FILTER (WHERE version = 'v2') FROM links WHERE id < 0 AND target = 'a'));
note("failover with $new links that are changed, and $old that are not");
is($old + $new, $LINKS, 'a standby of a is a, in the middle of its links');
foreach my $name (qw(b c))
{
	if ($failover_slots)
	{
		sql($name, "ALTER SUBSCRIPTION s_${name}_a CONNECTION '" . $standby->connstr . " dbname=postgres'");
		next;
	}
	# the slots are gone with the server: the rows of a are copied again, before its application writes
	sql($name, "ALTER SUBSCRIPTION s_${name}_a DISABLE; ALTER SUBSCRIPTION s_${name}_a SET (slot_name = NONE); DROP SUBSCRIPTION s_${name}_a");
	sql('a', "SELECT pg_create_logical_replication_slot('s_${name}_a', 'pgoutput')");
}
if (!$failover_slots)
{
	# what it has said last may be known to the others, and not to the standby
	sql('a', q(SELECT tandem.join_region('a')));
	foreach my $name (qw(b c))
	{
		sql($name, "DELETE FROM images WHERE region = 'a'; DELETE FROM orders WHERE region = 'a'; DELETE FROM links WHERE target = 'a'");
		subscribe($name, 'a', publications => 'p, tandem_region', options => [ 'create_slot = false' ]);
	}
}
start_writer('a', $_) foreach @lost;
all_write('a has failed over');
is(sql('b', q(SELECT current FROM tandem.regions WHERE region = 'a')), 42, 'b knows of it as before');

#
# b and c switch, and change theirs; then all contract.
#

foreach my $name (qw(b c))
{
	sql($name, 'SELECT tandem.switch_release(42)');
	end_writer($name, 41);
	all_write("$name has switched");
}
# those that others have made before they switched
catch_up();
foreach my $name (regions())
{
	sql($name, q(SELECT tandem.configure('visibility', 'tandem.max_rows_per_second', NULL); SELECT tandem.resume('visibility')));
	sql($name, q(CALL tandem.migrate('visibility', if_running => 'wait')));
	wait_for($name, q(SELECT state = 'done' FROM tandem.after_switches));
}
foreach my $name (regions())
{
	contract($name, $_) foreach qw(visibility key);
	all_write("$name has contracted");
	is(columns_of($name, 'images') . ', ' . columns_of($name, 'orders'), 'region id n visibility, region note id8', "$name: the old columns are gone");
}
sql('a', q(SELECT setval('orders_id_seq', 3000000000); INSERT INTO orders (region, note) VALUES ('a', 'large')));
all_write('nothing is in the way of a large number');

end_writer($_, 42) foreach regions();
catch_up();
my %rows = (images => 3 * $ROWS, links => undef, orders => undef);
foreach my $table (sort keys %rows)
{
	my %sum = map { $_ => sql($_, "SELECT count(*), sum(hashtext(t::text)::bigint) FROM $table t") } regions();
	is($sum{$_}, $sum{a}, "all rows of $table are equal in $_ and a") foreach qw(b c);
	like($sum{a}, qr/^$rows{$table}\|/, "all of them") if $rows{$table};
}
is(sql($_, q(SELECT count(*) FROM links WHERE version = 'v1')), 0, "$_: no link is left that is of release 41") foreach regions();
is(sql($_, 'SELECT max(id8) > 3000000000 FROM orders'), 't', "$_: a large number has arrived") foreach regions();
is(sql($_, 'SELECT count(*) FROM tandem.regions WHERE problem IS NOT NULL OR intent IS NOT NULL'), 0, "$_: no region has a problem") foreach regions();
is(join("\n", apply_errors($_)), '', "$_: no apply worker has met an error or a conflict") foreach regions();
# which those have that have it: only that a row was last written by another, as a fill makes it
is(sql($_, q(SELECT string_agg(concat_ws(' ', subname, key, value), ', ') FROM pg_stat_subscription_stats s, jsonb_each_text(to_jsonb(s))
	WHERE key LIKE 'confl%' AND key NOT LIKE '%\_origin\_differs' AND value <> '0')), '', "$_: no conflict is counted") foreach regions();
done_testing();
