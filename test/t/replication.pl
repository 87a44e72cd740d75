# Replication in the middle of a migration: a subscriber that is ahead of its publisher, the direct
# update of the backfill as a subscriber sees it, and a standby that is promoted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $publisher = new_server('publisher');
my $subscriber = new_server('subscriber');
my $table = 'CREATE TABLE items (id int PRIMARY KEY, price int)';
my $expand = <<'SQL';
BEGIN;
SELECT tandem.create_migration('m');
ALTER TABLE items ADD COLUMN cents bigint;
SELECT tandem.sync_column('m', 'items', 'price', 'cents', 'to_cents(price)', '(cents / 100)::int');
COMMIT;
SQL

# Hazard: logical apply has an empty search_path.
# the apply worker has no search_path: neither in the rule nor in the function is a name looked up there
$_->safe_psql('postgres', 'CREATE FUNCTION to_cents(price int) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT price * 100::bigint $$')
  foreach $publisher, $subscriber;

# Hazard: logical apply fires no ordinary trigger.
# the subscriber has the sync, the publisher is of the old release
$publisher->safe_psql('postgres', "$table; INSERT INTO items SELECT i, i FROM generate_series(1, 100) i");
$subscriber->safe_psql('postgres', $table);
$subscriber->safe_psql('postgres', $expand);
$publisher->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE items');
$subscriber->safe_psql('postgres',
	sprintf(q(CREATE SUBSCRIPTION s CONNECTION '%s' PUBLICATION p), $publisher->connstr . ' dbname=postgres'));
$subscriber->wait_for_subscription_sync($publisher, 's');
is($subscriber->safe_psql('postgres', 'SELECT count(*), sum(cents) FROM items'), '100|505000',
	'rows of the first copy are synced');
$publisher->safe_psql('postgres', <<'SQL');
INSERT INTO items VALUES (101, 101);
UPDATE items SET price = 20 WHERE id = 2;
DELETE FROM items WHERE id = 3;
SQL
$publisher->wait_for_catchup('s');
is($subscriber->safe_psql('postgres', 'SELECT id, price, cents FROM items WHERE id IN (2, 3, 101) ORDER BY id'),
	"2|20|2000\n101|101|10100", 'applied rows are synced');
# Hazard: logical apply sees every column as updated.
# an applied row looks as if every column had been written: what has not changed is left alone
$subscriber->safe_psql('postgres', 'UPDATE items SET cents = 450 WHERE id = 4');
$publisher->safe_psql('postgres', 'UPDATE items SET price = price WHERE id = 4; UPDATE items SET price = 50 WHERE id = 5');
$publisher->wait_for_catchup('s');
is($subscriber->safe_psql('postgres', 'SELECT price, cents FROM items WHERE id IN (4, 5) ORDER BY id'), "4|450\n50|5000",
	'a row applied unchanged keeps what only the new column can say');
$subscriber->safe_psql('postgres', q(CALL tandem.migrate('m')));
is($subscriber->safe_psql('postgres', q(SELECT rows_checked, rows_unfilled, rows_mismatched FROM tandem.verify('m'))),
	'100|0|0', 'and verified');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION s');
is_refused($subscriber, q(CALL tandem.abort('m')), qr/would lose what only its new columns have.*1 row with a value that up does not give/s,
	'which abort does not drop unasked');
$subscriber->safe_psql('postgres', q(CALL tandem.abort('m', force => true); DROP TABLE items));

# the publisher migrates; the subscriber has the new column, and no sync
foreach my $identity ('DEFAULT', 'FULL')
{
	$publisher->safe_psql('postgres', "DROP TABLE items; $table; ALTER TABLE items REPLICA IDENTITY $identity");
	$publisher->safe_psql('postgres', 'INSERT INTO items SELECT i, i FROM generate_series(1, 1000) i');
	$publisher->safe_psql('postgres', $expand);
	$publisher->safe_psql('postgres', 'ALTER PUBLICATION p ADD TABLE items');
	$subscriber->safe_psql('postgres', "$table; ALTER TABLE items ADD COLUMN cents bigint");
	$subscriber->safe_psql('postgres',
		sprintf(q(CREATE SUBSCRIPTION s CONNECTION '%s' PUBLICATION p), $publisher->connstr . ' dbname=postgres'));
	$subscriber->wait_for_subscription_sync($publisher, 's');
	is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM items WHERE cents IS NULL'), 1000,
		"identity $identity: copied as they are");
	$publisher->safe_psql('postgres', q(CALL tandem.migrate('m')));
	$publisher->wait_for_catchup('s');
	is($subscriber->safe_psql('postgres', 'SELECT count(*), sum(cents) FROM items'), '1000|50050000',
		"identity $identity: the backfill is replayed");
	$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION s; DROP TABLE items');
	$publisher->safe_psql('postgres', q(CALL tandem.abort('m')));
}

my ($status, $out, $err);

# identity NOTHING: nobody could replay an update, so none is made, as UPDATE makes none
$publisher->safe_psql('postgres', 'ALTER TABLE items REPLICA IDENTITY NOTHING');
is_refused($publisher, $expand, qr/table "items" does not have a replica identity and publishes updates/,
	'expand of a published table without identity');
# nor if it has lost it since
$publisher->safe_psql('postgres', "ALTER TABLE items REPLICA IDENTITY DEFAULT; $expand; ALTER TABLE items REPLICA IDENTITY NOTHING");
is_refused($publisher, q(CALL tandem.migrate('m')), qr/cannot update table "items" because it does not have a replica identity/,
	'fill of a published table without identity');
$publisher->safe_psql('postgres', q(CALL tandem.abort('m'); DROP TABLE items));

# A derived column is sent as any other: a subscriber has it before, with a sync of its own or without.
sub derive
{
	return q(BEGIN; SELECT tandem.create_migration('m'); SELECT tandem.add_column('m', 'items', 'cents', 'bigint', up => 'to_cents(price)'); COMMIT);
}
$publisher->safe_psql('postgres', "$table; INSERT INTO items SELECT i, i FROM generate_series(1, 4) i; ALTER PUBLICATION p ADD TABLE items");
foreach my $subscribed ('ALTER TABLE items ADD COLUMN cents bigint', derive())
{
	my $has_sync = $subscribed eq derive();

	$subscriber->safe_psql('postgres', "$table; $subscribed");
	$subscriber->safe_psql('postgres',
		sprintf(q(CREATE SUBSCRIPTION s CONNECTION '%s' PUBLICATION p), $publisher->connstr . ' dbname=postgres'));
	$subscriber->wait_for_subscription_sync($publisher, 's');
	$publisher->safe_psql('postgres', derive());
	# a value of its own, before and after the fill
	$publisher->safe_psql('postgres', 'UPDATE items SET cents = 7 WHERE id = 1');
	$publisher->safe_psql('postgres', q(CALL tandem.migrate('m')));
	$publisher->safe_psql('postgres', 'UPDATE items SET price = 20, cents = NULL WHERE id = 2; UPDATE items SET price = 30 WHERE id = 3');
	$publisher->wait_for_catchup('s');
	my $rows = $publisher->safe_psql('postgres', 'SELECT id, price, cents FROM items ORDER BY id');
	is($rows, "1|1|7\n2|20|\n3|30|3000\n4|4|400", 'a derived column that is published, on the publisher');
	is($subscriber->safe_psql('postgres', 'SELECT id, price, cents FROM items ORDER BY id'), $rows,
		$has_sync ? 'and on a subscriber that has the sync' : 'and on one that has only the column: the fill is sent');
	if ($has_sync)
	{
		$subscriber->safe_psql('postgres', q(CALL tandem.migrate('m')));
		is($subscriber->safe_psql('postgres', 'SELECT id, price, cents FROM items ORDER BY id'), $rows, 'whose own migrate replaces nothing');
		$subscriber->safe_psql('postgres', q(DROP SUBSCRIPTION s; CALL tandem.abort('m', force => true); DROP TABLE items));
	}
	else
	{
		$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION s; DROP TABLE items');
	}
	$publisher->safe_psql('postgres', q(CALL tandem.abort('m', force => true); TRUNCATE items; INSERT INTO items SELECT i, i FROM generate_series(1, 4) i));
}
# without the column a subscriber stops, and goes on when it has it
$subscriber->safe_psql('postgres', $table);
$subscriber->safe_psql('postgres',
	sprintf(q(CREATE SUBSCRIPTION s CONNECTION '%s' PUBLICATION p), $publisher->connstr . ' dbname=postgres'));
$subscriber->wait_for_subscription_sync($publisher, 's');
my $log = -s $subscriber->logfile;
$publisher->safe_psql('postgres', derive());
$publisher->safe_psql('postgres', q(CALL tandem.migrate('m')));
$subscriber->wait_for_log(qr/is missing replicated column: "cents"/, $log);
$subscriber->safe_psql('postgres', 'ALTER TABLE items ADD COLUMN cents bigint');
$publisher->wait_for_catchup('s');
is($subscriber->safe_psql('postgres', 'SELECT sum(cents) FROM items'), '1000', 'a subscriber that gets the column late');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION s; DROP TABLE items');
$publisher->safe_psql('postgres', q(CALL tandem.abort('m'); DROP TABLE items));

# Hazard: REPLICA IDENTITY FULL without a key compares the columns of the migration.
# identity FULL and no key: a subscriber that fills itself would find no row for what arrives, and say nothing
my $keyless = 'CREATE TABLE items (id int, price int); ALTER TABLE items REPLICA IDENTITY FULL';
$publisher->safe_psql('postgres', "$keyless; INSERT INTO items SELECT i, i FROM generate_series(1, 4) i; ALTER PUBLICATION p ADD TABLE items");
$subscriber->safe_psql('postgres', $keyless);
$subscriber->safe_psql('postgres',
	sprintf(q(CREATE SUBSCRIPTION s CONNECTION '%s' PUBLICATION p), $publisher->connstr . ' dbname=postgres'));
$subscriber->wait_for_subscription_sync($publisher, 's');
is_refused($subscriber, $expand, qr/table "items" is replicated by subscription "s" and has neither a primary key nor a replica identity index.*Add a primary key/s,
	'expand on a subscriber that compares whole rows');
($status, $out, $err) = $publisher->psql('postgres', $expand);
is($status, 0, 'on the publisher it is possible');
like($err, qr/WARNING:  table "items" is published with REPLICA IDENTITY FULL and has no primary key/, 'and warned of');
$publisher->safe_psql('postgres', q(CALL tandem.abort('m')));
# with the key that the hint asks for, in the order that README gives, nothing is lost
$subscriber->safe_psql('postgres', 'ALTER TABLE items ADD PRIMARY KEY (id)');
$subscriber->safe_psql('postgres', $expand);
$subscriber->safe_psql('postgres', q(CALL tandem.migrate('m')));
$publisher->safe_psql('postgres', 'UPDATE items SET price = 20 WHERE id = 2; DELETE FROM items WHERE id = 3');
$publisher->wait_for_catchup('s');
is($subscriber->safe_psql('postgres', 'SELECT id, price, cents FROM items ORDER BY id'), "1|1|100\n2|20|2000\n4|4|400",
	'UPDATE and DELETE find their rows by the key');
$publisher->safe_psql('postgres', $expand);
$publisher->safe_psql('postgres', q(CALL tandem.migrate('m')));
$publisher->safe_psql('postgres', 'UPDATE items SET cents = 3000 WHERE id = 2; DELETE FROM items WHERE id = 1');
$publisher->wait_for_catchup('s');
is($subscriber->safe_psql('postgres', 'SELECT id, price, cents FROM items ORDER BY id'), "2|30|3000\n4|4|400",
	'also where both have filled their rows');
$subscriber->safe_psql('postgres', q(DROP SUBSCRIPTION s; CALL tandem.abort('m'); DROP TABLE items));
$publisher->safe_psql('postgres', q(CALL tandem.abort('m'); DROP TABLE items));

# a standby: its views are read, and the migration goes on there when it is promoted in the middle
$publisher->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($publisher, 'base', has_streaming => 1);
$standby->start;
$publisher->safe_psql('postgres', <<'SQL');
CREATE TABLE items (id int PRIMARY KEY, price int, filler text);
INSERT INTO items SELECT i, i, repeat('x', 500) FROM generate_series(1, 2000) i;
SQL
$publisher->safe_psql('postgres', $expand);
$publisher->safe_psql('postgres', 'UPDATE items SET cents = 550 WHERE id = 5; UPDATE items SET cents = NULL, price = NULL WHERE id = 6');
my $locker = $publisher->background_psql('postgres');
$locker->query_safe('BEGIN; SELECT 1 FROM items WHERE id = 1990 FOR UPDATE');
my $migrate = start_psql($publisher, 'postgres', q(SET tandem.batch_target = '1ms'), q(CALL tandem.migrate('m')));
wait_for_running($publisher, q(SELECT count(*) > 0 FROM tandem.progress WHERE migration = 'm' AND blockers IS NOT NULL));
my $position = 'SELECT done, rows_filled FROM tandem.progress WHERE state = \'%s\' AND done > 0';
my $before = $publisher->safe_psql('postgres', sprintf($position, 'running'));
$publisher->wait_for_catchup($standby, 'replay', $publisher->lsn('flush'));
is($standby->safe_psql('postgres', q(SELECT name, phase, running_pid IS NULL, problem IS NULL FROM tandem.migrations WHERE phase = 'migrate')),
	'm|migrate|t|t', 'the standby shows the migration');
is($standby->safe_psql('postgres', sprintf($position, 'pending')), $before, 'and its progress');
($status, $out, $err) = $standby->psql('postgres', q(CALL tandem.migrate('m')));
isnt($status, 0, 'migrate is refused there');
like($err, qr/ERROR:  cannot execute tandem.migrate during recovery/, 'because it is a standby');

$publisher->stop('immediate');
$migrate->{run}->finish;
$locker->{run}->finish;
$standby->promote;
is($standby->safe_psql('postgres', sprintf($position, 'pending')), $before, 'promoted, it stands where it stood');
$standby->safe_psql('postgres', 'UPDATE items SET price = 7 WHERE id = 7');
$standby->safe_psql('postgres', q(CALL tandem.migrate('m')));
is($standby->safe_psql('postgres', 'SELECT id, price, cents FROM items WHERE cents IS DISTINCT FROM price * 100 ORDER BY id'),
	'5|5|550', 'migrate goes on there, and keeps what writers wrote');
is($standby->safe_psql('postgres', 'SELECT price, cents FROM items WHERE id IN (6, 7) ORDER BY id'), "|\n7|700",
	'before and after');
$standby->safe_psql('postgres', q(CALL tandem.contract('m')));
is($standby->safe_psql('postgres', q(SELECT phase FROM tandem.migrations ORDER BY created_at DESC LIMIT 1)), 'done', 'contract');

done_testing();
