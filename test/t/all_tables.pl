# A publication FOR ALL TABLES has the tables of the extension in it, and no server from 15 to 18 can leave them
# out.  A subscriber that has the extension passes over what arrives in them, by the first copy, one change at a
# time and streamed, and goes through a migration of its own beside the publisher's, under load, from expand to
# contract.  One without it stops, as create_migration says beforehand, and goes on when it has it.
# Hazard: FOR ALL TABLES carries the tables of an extension.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $publisher = new_server('publisher', conf => 'logical_decoding_work_mem = 64kB');
my $subscriber = new_server('subscriber');
my $table = "CREATE TABLE items (id int PRIMARY KEY, price int, note text, filler text DEFAULT repeat('x', 100))";
my $streaming = $publisher->pg_version < 16 ? 'on' : 'parallel';

sub sql { return $_[0]->safe_psql('postgres', $_[1]); }

# What the extension holds of a server, without the time of day.
sub own_rows
{
	my ($node) = @_;
	my @tables = split /\n/, sql($node, q(SELECT relname FROM pg_class WHERE relnamespace = 'tandem'::regnamespace AND relkind = 'r' ORDER BY 1));

	return join "\n", map { sql($node, "SELECT '$_', to_jsonb(t) FROM tandem.$_ t ORDER BY 2") } @tables;
}

# The subscriber has applied all, has met no error and holds the very rows of the publisher.
sub is_equal
{
	my ($what, @columns) = @_;
	my $columns = join ', ', @columns;
	my $rows = "SELECT count(*), sum(hashtext(row($columns)::text)) FROM items";

	$publisher->wait_for_catchup('s');
	is(sql($subscriber, $rows), sql($publisher, $rows), "$what: every row arrives");
	is(sql($subscriber, <<'SQL'), '0', "$what: without an error");
SELECT sum(value::int) FROM pg_stat_subscription_stats s, jsonb_each_text(to_jsonb(s)) WHERE key ~ 'error_count'
SQL
	return;
}

sql($publisher, "$table; INSERT INTO items SELECT i, i FROM generate_series(1, 20000) i");
sql($subscriber, $table);
# both have made migrations before they heard of each other: the first copy brings none
sql($publisher, q(SELECT tandem.create_migration('earlier'); CALL tandem.abort('earlier'); SELECT tandem.set_dependency('cache', 3)));
sql($subscriber, q(SELECT tandem.create_migration('mine'); SELECT tandem.set_dependency('cache', 1)));
my $before = own_rows($subscriber);
sql($publisher, 'CREATE PUBLICATION everything FOR ALL TABLES');
sql($subscriber, sprintf(q(CREATE SUBSCRIPTION s CONNECTION '%s' PUBLICATION everything WITH (streaming = %s)),
	$publisher->connstr . ' dbname=postgres', $streaming));
$subscriber->wait_for_subscription_sync($publisher, 's');
is(own_rows($subscriber), $before, 'the first copy brings nothing of the extension');
is_equal('the first copy', qw(id price));

# every command on every table, one at a time, and a transaction so large that it is streamed
sql($publisher, q(SELECT tandem.set_dependency('cache', 4); UPDATE tandem.dependency SET version = 5; DELETE FROM tandem.dependency; SELECT tandem.set_dependency('new', 1)));
sql($publisher, <<'SQL');
SET client_min_messages = error;
BEGIN;
SELECT count(tandem.create_migration('m' || i)) FROM generate_series(1, 500) i;
UPDATE items SET note = repeat('y', 100);
SELECT tandem.set_dependency('streamed', 1);
COMMIT;
SQL
is_equal('a streamed transaction', qw(id price note));
is(sql($publisher, q(SELECT sum(stream_txns) > 0 FROM pg_stat_replication_slots WHERE slot_name = 's')), 't', 'it was streamed');
is(own_rows($subscriber), $before, 'and brings nothing of the extension');
# which could not be passed over
is_refused($publisher, 'TRUNCATE items, tandem.event', qr/cannot truncate table "event" of extension pg_tandem/, 'TRUNCATE of a table of the extension');

# the same migration on both, of an old release at work on the publisher: subscriber first
my $expand = <<'SQL';
BEGIN;
SELECT tandem.create_migration('cents');
SELECT tandem.add_column('cents', 'items', 'cents', 'bigint');
SELECT tandem.sync_column('cents', 'items', 'price', 'cents', 'public.to_cents(price)', '(cents / 100)::int', on_error => 'quarantine');
COMMIT;
SQL
my $old = start_pgbench($publisher, '-c', '2', '-T', '600', '--rate', '300', '-f', write_script('old', <<'SQL'));
\set id random(1, 20000)
\set price random(1, 9999)
UPDATE items SET price = :price WHERE id = :id;
SQL
sql($publisher, 'CREATE FUNCTION to_cents(price int) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT price * 100::bigint $$');
sql($subscriber, 'CREATE FUNCTION to_cents(price int) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT price * 100::bigint + 0 / (price - 20013) $$');
sql($subscriber, $expand);
# what the sync notes on the apply side is no row of the publisher's
sql($publisher, 'INSERT INTO items VALUES (20001, 20013)');
$publisher->wait_for_catchup('s');
is(sql($subscriber, q(SELECT key, direction FROM tandem.quarantine)), '{"id": "20001"}|up', 'the apply worker notes its own quarantine');
sql($subscriber, 'CREATE OR REPLACE FUNCTION to_cents(price int) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT price * 100::bigint $$');
my ($status, $out, $err) = $publisher->psql('postgres', $expand);
is($status, 0, 'expand on both');
like($err, qr/WARNING:  publication "everything" has tables of schema tandem in it\n.*DETAIL:  .*logical replication target relation "tandem.migration" does not exist\.\n.*HINT:  Run CREATE EXTENSION pg_tandem on each subscriber/,
	'create_migration reports the publication');
sql($publisher, q(CALL tandem.migrate('cents', background => true, workers => 2)));
sql($subscriber, q(CALL tandem.migrate('cents', background => true, workers => 2)));
is_ended_well($_, 'cents', 'migrate on ' . $_->name) foreach $publisher, $subscriber;
ok(end_pgbench($old), 'the old release ends well');
is_equal('migrate on both', qw(id price cents));
is(sql($subscriber, 'SELECT count(*) FROM tandem.quarantine'), '0', 'migrate is done with the quarantine');

# contract on the publisher first, while the new release is at work
my $new = start_pgbench($publisher, '-c', '2', '-T', '600', '--rate', '300', '-f', write_script('new', <<'SQL'));
\set id random(1, 20000)
\set cents 100 * random(1, 9999)
UPDATE items SET cents = :cents WHERE id = :id;
SQL
sql($publisher, q(CALL tandem.contract('cents')));
sql($subscriber, q(CALL tandem.contract('cents')));
my $written = sql($publisher, 'SELECT pg_current_wal_insert_lsn()');
wait_for_running($publisher, "SELECT pg_current_wal_insert_lsn() - '$written' > 50000");
ok(end_pgbench($new), 'the new release ends well');
is_equal('contract on both', qw(id cents));
is(sql($subscriber, q(SELECT string_agg(name || ' ' || phase, ', ' ORDER BY name) FROM tandem.migrations)), 'cents done, mine expand',
	'the subscriber has its own migrations');
is(sql($publisher, q(SELECT count(*) FROM tandem.migrations WHERE name ~ '^m[0-9]')), '500', 'and the publisher its own');

# a subscriber without the extension stops with the words that create_migration has quoted, and goes on when it has it
my $bare = PostgreSQL::Test::Cluster->new('bare');
$bare->init(allows_streaming => 'logical');
$bare->append_conf('postgresql.conf', 'wal_retrieve_retry_interval = 100ms');
$bare->start;
$bare->safe_psql('postgres', "CREATE TABLE items (id int PRIMARY KEY, cents bigint, note text, filler text)");
is_refused($bare, sprintf(q(CREATE SUBSCRIPTION bare CONNECTION '%s' PUBLICATION everything), $publisher->connstr . ' dbname=postgres'),
	qr/schema "tandem" does not exist/, 'CREATE SUBSCRIPTION without the extension');
sql($publisher, 'CREATE DATABASE other');
$publisher->safe_psql('other', "CREATE TABLE items (id int PRIMARY KEY); CREATE PUBLICATION everything FOR ALL TABLES");
$bare->safe_psql('postgres', 'DROP TABLE items; CREATE TABLE items (id int PRIMARY KEY)');
$bare->safe_psql('postgres', sprintf(q(CREATE SUBSCRIPTION other CONNECTION '%s' PUBLICATION everything),
	$publisher->connstr . ' dbname=other'));
$bare->wait_for_subscription_sync($publisher, 'other');
my $offset = -s $bare->logfile;
$publisher->safe_psql('other', q(CREATE EXTENSION pg_tandem; SELECT tandem.create_migration('m'); INSERT INTO items VALUES (1)));
$bare->wait_for_log(qr/ERROR:  logical replication target relation "tandem.migration" does not exist/, $offset);
$bare->safe_psql('postgres', 'CREATE EXTENSION pg_tandem');
$publisher->wait_for_catchup('other');
is($bare->safe_psql('postgres', 'SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM tandem.migrations)'), '1|0',
	'it goes on as soon as it has the extension, and passes over what came');

done_testing();
