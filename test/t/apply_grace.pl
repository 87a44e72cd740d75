# A batch does not commit while a worker of a subscription may be within its search for a row of the table: it would find
# neither the old version of the row nor the new one, and the server would pass over the change.
# Hazard: logical replication passes over a change of a row that is updated at the same time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my %node = map { $_ => new_server($_) } qw(publisher subscriber);

sub sql { return $node{ $_[0] }->safe_psql('postgres', $_[1]); }

foreach my $name (sort keys %node)
{
	sql($name, 'CREATE TABLE items (id int PRIMARY KEY, price int NOT NULL, note text); INSERT INTO items SELECT i, i FROM generate_series(1, 500) i');
}
sql('publisher', 'CREATE PUBLICATION p FOR TABLE items');
# what is applied to row 1 takes until the gate is open
sql('subscriber', <<'SQL');
CREATE TABLE gate (is_open boolean);
INSERT INTO gate VALUES (false);
CREATE FUNCTION wait_for_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	WHILE NOT (SELECT is_open FROM public.gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
	RETURN NULL;
END $$;
CREATE TRIGGER slow AFTER UPDATE ON items FOR EACH ROW WHEN (NEW.note = 'slow') EXECUTE FUNCTION wait_for_gate();
ALTER TABLE items ENABLE REPLICA TRIGGER slow;
SQL
sql('subscriber', sprintf(q(CREATE SUBSCRIPTION s CONNECTION '%s' PUBLICATION p WITH (copy_data = false)), $node{publisher}->connstr . ' dbname=postgres'));
$node{subscriber}->wait_for_subscription_sync($node{publisher}, 's');
expand_price($node{subscriber}, 'items', migration => 'cents');

sql('publisher', q(UPDATE items SET note = 'slow' WHERE id = 1));
wait_for_running($node{subscriber}, q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%' AND wait_event = 'PgSleep'));
sql('subscriber', q(CALL tandem.migrate('cents', background => true)));
wait_for_running($node{subscriber}, q(SELECT blockers ~ 'a subscription is applying changes to table "items"' FROM tandem.progress WHERE migration = 'cents' AND step = 'backfill'));
is(sql('subscriber', 'SELECT count(cents) FROM items'), 0, 'no batch is committed while a worker is within a transaction that changes rows of the table');
is(sql('subscriber', q(UPDATE items SET note = 'mine' WHERE id = 400 RETURNING note)), 'mine', 'who writes is not held up by that');

# one that waits for a lock is not within a search
my $holder = $node{subscriber}->background_psql('postgres');
$holder->query_safe(q(BEGIN; SELECT * FROM items WHERE id = 2 FOR UPDATE));
sql('subscriber', 'UPDATE gate SET is_open = true');
$node{publisher}->wait_for_catchup('s');
sql('publisher', q(BEGIN; UPDATE items SET note = 'three' WHERE id = 3; DELETE FROM items WHERE id = 2; COMMIT));
wait_for_running($node{subscriber}, q(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%' AND wait_event_type = 'Lock'));
wait_for_running($node{subscriber}, 'SELECT count(cents) >= 400 FROM items');
pass('the fill goes on while what is applied waits for a lock');
$holder->query_safe('COMMIT');
$holder->quit;
$node{publisher}->wait_for_catchup('s');
wait_for_running($node{subscriber}, q(SELECT phase = 'contract' FROM tandem.migrations));
is(sql('subscriber', q(SELECT string_agg(id || ' ' || note, ', ' ORDER BY id) FROM items WHERE note IS NOT NULL)), '1 slow, 3 three, 400 mine', 'every change is there');
is(sql('subscriber', 'SELECT count(*), count(*) FILTER (WHERE cents = price * 100) FROM items'), '499|499', 'and every row is right');
$_->stop foreach values %node;

done_testing();
