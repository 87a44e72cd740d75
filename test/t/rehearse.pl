# A rehearsal among other sessions: it waits for no lock longer than tandem.lock_timeout, whatever the script
# says, tells whose the lock is, and how many were waiting behind its own; and it can be cancelled.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;
use Time::HiRes qw(time);

my $node = new_server('main', conf => "autovacuum = off\n");

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# What the call says, and how long it took.
sub rehearse
{
	my ($call) = @_;
	my $start = time;
	my ($code, $out, $err) = $node->psql('postgres', "SET tandem.lock_timeout = '200ms'; $call");

	return ($err, time - $start);
}

ask(<<'SQL');
CREATE TABLE items (id int PRIMARY KEY, price int);
INSERT INTO items SELECT i, i FROM generate_series(1, 10) i;
CREATE TABLE spare (id int);
SQL

my $other = $node->background_psql('postgres');
$other->query_safe('BEGIN; LOCK TABLE items IN ROW EXCLUSIVE MODE');
my $pid = $other->query_safe('SELECT pg_backend_pid()');

my ($err, $took) = rehearse(q(CALL tandem.rehearse(E'SELECT 1;\nALTER TABLE items ADD COLUMN more int')));
like($err, qr/line 2 of the script: could not get AccessExclusiveLock on table items; blocked by: .*\b$pid\b/, 'the error tells the lock, and whose it is');
cmp_ok($took, '<', 5, 'and comes soon');
like(
	ask('SELECT sqlstate, message FROM tandem.rehearsals WHERE sqlstate IS NOT NULL ORDER BY rehearsal DESC LIMIT 1'),
	qr/^55P03\|could not get AccessExclusiveLock on table items; blocked by/, 'so does the report');

# the script cannot have it wait longer
foreach my $script ("SET lock_timeout = 0; ALTER TABLE items ADD COLUMN more int",
	"SET tandem.lock_timeout = ''60s''; SET lock_timeout = ''60s''; ALTER TABLE items ADD COLUMN more int",
	'DO $d$BEGIN SET lock_timeout = 0; ALTER TABLE items ADD COLUMN more int; END$d$')
{
	($err, $took) = rehearse("SET statement_timeout = '20s'; CALL tandem.rehearse('$script')");
	like($err, qr/could not get AccessExclusiveLock on table items; blocked by: .*\b$pid\b/, "not with $script");
	cmp_ok($took, '<', 5, 'nor does it take long');
}

# a shorter one counts
($err, $took) = rehearse("SET tandem.lock_timeout = '30s'; SET lock_timeout = '100ms'; CALL tandem.rehearse('ALTER TABLE items ADD COLUMN more int')");
like($err, qr/line 1 of the script/, 'lock_timeout of the session counts, too');
cmp_ok($took, '<', 10, 'and is shorter');

# a row
$other->query_safe('COMMIT; BEGIN; UPDATE items SET price = 0 WHERE id = 1');
($err, $took) = rehearse(q(CALL tandem.rehearse('UPDATE items SET price = 1 WHERE id = 1')));
like($err, qr/could not get \w+ on a row, or what else another transaction has written; blocked by: .*\b$pid\b/, 'a row that another has written');
$other->query_safe('COMMIT');

# statements of top level, by a worker: neither, and the lock is seen
$other->query_safe('BEGIN; UPDATE items SET price = 0 WHERE id = 1');
($err, $took) = rehearse(q(CALL tandem.rehearse(E'ALTER TABLE spare ADD more int;\nCREATE INDEX CONCURRENTLY items_price ON items (price)', true, top_level => true)));
like($err, qr/line 2 of the script: canceling statement due to lock timeout/, 'a worker waits no longer');
like($err, qr/HINT: .*What stands before line 2 is kept/, 'the error tells what is kept');
cmp_ok($took, '<', 5, 'and comes soon');
is( ask(q(SELECT lock_mode, predicted_lock_mode, held > '100ms', kept FROM tandem.rehearsals WHERE relation = 'public.items' ORDER BY rehearsal DESC LIMIT 1)),
	'ShareUpdateExclusiveLock|ShareUpdateExclusiveLock|t|t', 'what it has locked is seen');
is(ask(q(SELECT count(*) FROM pg_attribute WHERE attrelid = 'spare'::regclass AND attname = 'more')), 1, 'what stands before it is kept');
is(ask(q(SELECT indisvalid FROM pg_index WHERE indexrelid = 'items_price'::regclass)), 'f', 'the index is as the server leaves it');
is(ask(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem')), 0, 'the worker has ended');
$other->query_safe('COMMIT');

# cancelled, it cancels its worker
$other->query_safe('BEGIN; UPDATE items SET price = 0 WHERE id = 1');
ask(q(ALTER DATABASE postgres SET tandem.lock_timeout = '60s'));
my $waits = start_psql($node, 'postgres', q(CALL tandem.rehearse('DROP INDEX CONCURRENTLY items_price', true, top_level => true)));
wait_for_running($node, q(SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND wait_event_type = 'Lock')));
ask(q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%DROP INDEX CONC%' AND backend_type = 'client backend' AND pid <> pg_backend_pid()));
finish($waits);
ask('ALTER DATABASE postgres RESET tandem.lock_timeout');
ok($node->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_tandem')), 'a cancelled rehearsal ends its worker');
$other->query_safe('COMMIT');

# the script of check_shape neither
ask(q(SELECT tandem.record_shape(41, '{items}')));
$other->query_safe('BEGIN; LOCK TABLE items IN ROW EXCLUSIVE MODE');
($err, $took) = rehearse(q(SET statement_timeout = '20s'; SELECT * FROM tandem.check_shape(41, 'SET lock_timeout = 0; ALTER TABLE items ADD COLUMN more int')));
like($err, qr/could not get AccessExclusiveLock on table items; blocked by: .*\b$pid\b/, 'check_shape does not wait longer');
cmp_ok($took, '<', 5, 'either');
$other->query_safe('COMMIT');

# rehearse_change neither
$other->query_safe('BEGIN; LOCK TABLE items');
($err, $took) = rehearse(q(SELECT * FROM tandem.rehearse_change('items', 'bigint', 'price')));
like($err, qr/lock timeout/, 'rehearse_change does not wait for its table longer');
cmp_ok($took, '<', 5, 'either');
$other->query_safe('COMMIT');

# those behind a lock of the script are counted, at the end of any statement while it is held
my $rehearsal = start_psql($node, 'postgres', q(CALL tandem.rehearse('LOCK TABLE items; SELECT pg_sleep(3); SELECT 1')));
wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'items'::regclass AND mode = 'AccessExclusiveLock' AND granted)");
my $reader = start_psql($node, 'postgres', 'SELECT count(*) FROM items');
finish($rehearsal);
finish($reader);
is(ask(q(SELECT waiting FROM tandem.rehearsals WHERE lock_mode = 'AccessExclusiveLock' AND command = 'LOCK TABLE' ORDER BY rehearsal DESC LIMIT 1)), 1,
	'who waits behind a lock is counted');

# cancelled: an error at once, and nothing is left
my $before = ask('SELECT count(*) FROM tandem.rehearsals');
$rehearsal = start_psql($node, 'postgres', q(CALL tandem.rehearse('ALTER TABLE items ADD COLUMN more int; SELECT pg_sleep(60)')));
wait_for_running($node, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')");
ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
finish($rehearsal);
is(ask("SELECT count(*) FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'more'"), 0, 'a rehearsal that is cancelled leaves nothing');
is(ask('SELECT count(*) FROM tandem.rehearsals'), $before, 'no report either');

$other->quit;
$node->stop;
done_testing();
