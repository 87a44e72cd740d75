# The hazard of a key column that is swapped, here int for bigint, the way README tells it: a primary key
# with its sequence or identity, its replica identity and the foreign keys that refer to it.  What migrate
# carries over is there; what it cannot is refused by contract until the DBA has moved it; and the clients of
# both releases work all the time.
# Hazard: a key column that is swapped.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub is_refused_for
{
	my ($when, @reasons) = @_;
	my ($status, $out, $err) = $node->psql('postgres', q(CALL tandem.contract('key', undeclared => 'ignore')));

	isnt($status, 0, "$when: contract is refused");
	like($err, qr/old columns of migration "key" are still in use/, "$when: for what uses the old columns");
	like($err, qr/- $_$/m, "$when: $_") foreach @reasons;
	is(() = $err =~ /^(DETAIL:  )?- /mg, @reasons, "$when: that is all");
	return;
}

# What an application of the old or new release does all the time.
sub start_release
{
	my ($name, $id, $order_id) = @_;

	return start_pgbench($node, '-c', '2', '-T', '600', '--rate', '200', '-f', write_script($name, <<"SQL"));
INSERT INTO orders (note) VALUES ('$name') RETURNING $id AS order \\gset
INSERT INTO lines ($order_id) VALUES (:order);
INSERT INTO events (note) VALUES ('$name') RETURNING $id AS event \\gset
UPDATE events SET note = note WHERE $id = :event;
DELETE FROM lines WHERE $order_id = :order;
SQL
}

sub stop_release
{
	my ($clients, $name) = @_;

	# it has worked, and works still
	my $count = sql("SELECT count(*) FROM events WHERE note = '$name'");
	wait_for_running($node, "SELECT count(*) > $count FROM events WHERE note = '$name'");
	$clients->{run}->kill_kill;
	unlike($clients->{err}, qr/ERROR|abort/, "$name: no statement has failed");
	return;
}

# Hazard: rows with a GENERATED ALWAYS identity key.
# All rows are published: an UPDATE or DELETE without a replica identity would fail.
sql(<<'SQL');
CREATE TABLE orders (id serial PRIMARY KEY, note text);
CREATE TABLE lines (line int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id int NOT NULL
	CONSTRAINT lines_order_id_fkey REFERENCES orders ON DELETE CASCADE);
CREATE TABLE events (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
ALTER TABLE events REPLICA IDENTITY USING INDEX events_pkey;
INSERT INTO orders (note) SELECT 'first' FROM generate_series(1, 2000);
INSERT INTO lines (order_id) SELECT i FROM generate_series(1, 2000) i;
INSERT INTO events (note) SELECT 'first' FROM generate_series(1, 2000);
CREATE PUBLICATION p FOR ALL TABLES;
SQL
my $old = start_release('old', 'id', 'order_id');

# an identity column cannot be written by a sync: it becomes a plain one with a sequence first
is_refused($node, <<'SQL', qr/column "id" is an identity column and cannot be written by a sync/, 'a sync both ways with an identity');
BEGIN; SELECT tandem.create_migration('key'); SELECT tandem.add_column('key', 'events', 'id8', 'bigint');
SELECT tandem.sync_column('key', 'events', 'id', 'id8', 'id', 'id8');
SQL
sql(<<'SQL');
BEGIN;
LOCK TABLE events;
CREATE SEQUENCE events_id_seq8 AS bigint OWNED BY events.id;
SELECT setval('events_id_seq8', nextval(pg_get_serial_sequence('events', 'id')));
ALTER TABLE events ALTER id DROP IDENTITY, ALTER id SET DEFAULT nextval('events_id_seq8');
COMMIT;
SQL
is_refused($node, q(BEGIN; SELECT tandem.create_migration('key'); SELECT tandem.add_constraint('key', 'orders', 'k', 'PRIMARY KEY (note)')),
	qr/already has a primary key.*tandem\.add_index.*before contract.*ADD PRIMARY KEY USING INDEX/s, 'a second primary key');

# expand and migrate; the foreign keys by a migration of their own, since the index must be there
my $foreign_key = q(SELECT tandem.add_constraint('%s', 'lines', 'lines_order_id8_fkey',
	'FOREIGN KEY (order_id8) REFERENCES orders (id8) ON DELETE CASCADE'));
sql(<<'SQL');
BEGIN;
SELECT tandem.create_migration('key', release => 42);
SELECT tandem.add_column('key', 'orders', 'id8', 'bigint');
SELECT tandem.sync_column('key', 'orders', old => 'id', new => 'id8', up => 'id', down => 'id8');
SELECT tandem.add_index('key', 'CREATE UNIQUE INDEX orders_id8 ON orders (id8)');
SELECT tandem.add_not_null('key', 'orders', 'id8');
COMMIT;
-- a table at a time: a line that is written waits for its order, and we would for lines
BEGIN;
SELECT tandem.add_column('key', 'events', 'id8', 'bigint');
SELECT tandem.sync_column('key', 'events', old => 'id', new => 'id8', up => 'id', down => 'id8');
SELECT tandem.add_index('key', 'CREATE UNIQUE INDEX events_id8 ON events (id8)');
SELECT tandem.add_not_null('key', 'events', 'id8');
COMMIT;
BEGIN;
SELECT tandem.add_column('key', 'lines', 'order_id8', 'bigint');
SELECT tandem.sync_column('key', 'lines', old => 'order_id', new => 'order_id8', up => 'order_id', down => 'order_id8');
SELECT tandem.add_not_null('key', 'lines', 'order_id8');
COMMIT;
SQL
my $new = start_release('new', 'id8', 'order_id8');
is_refused($node, sprintf($foreign_key, 'key'), qr/no unique constraint matching given keys for referenced table "orders"/,
	'a foreign key to an index that is still to be built');
sql(q(CALL tandem.migrate('key')));
sql(q(SELECT tandem.create_migration('key_fk');) . sprintf($foreign_key, 'key_fk') . q(; CALL tandem.migrate('key_fk')));
is(sql(q(SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 'lines'::regclass AND contype = 'f' ORDER BY 1)),
	"lines_order_id8_fkey|t\nlines_order_id_fkey|t", 'the foreign key is there and valid, beside the old one');

# what contract finds in its way
my @keys = ('column id of table public.events: primary key events_pkey', 'column id of table public.orders: primary key orders_pkey',
	'column id of table public.events: replica identity public.events_pkey');
is_refused_for('before the swap', @keys, 'column id of table public.orders: foreign key lines_order_id_fkey of table public.lines');

# the swap, by hand
sql(<<'SQL');
BEGIN;
ALTER TABLE lines DROP CONSTRAINT lines_order_id_fkey;
ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD CONSTRAINT orders_pkey PRIMARY KEY USING INDEX orders_id8;
ALTER TABLE orders ALTER id8 SET DEFAULT nextval('orders_id_seq');
COMMIT;
BEGIN;
ALTER TABLE events DROP CONSTRAINT events_pkey, ADD CONSTRAINT events_pkey PRIMARY KEY USING INDEX events_id8;
ALTER TABLE events REPLICA IDENTITY USING INDEX events_pkey;
ALTER TABLE events ALTER id8 SET DEFAULT nextval('events_id_seq8');
ALTER SEQUENCE events_id_seq8 OWNED BY events.id8;
COMMIT;
SQL
# the sequence that is forgotten would go with the column
is_refused_for('with the sequence of the old column in use',
	'column id of table public.orders: default value for column id8 of table public.orders, through sequence public.orders_id_seq');
sql('ALTER SEQUENCE orders_id_seq AS bigint OWNED BY orders.id8');
stop_release($old, 'old');
is(sql('SELECT count(*) FROM orders WHERE id IS DISTINCT FROM id8') . sql('SELECT count(*) FROM events WHERE id IS DISTINCT FROM id8'),
	'00', 'both keys are one, whoever wrote');
sql(q(CALL tandem.contract('key', undeclared => 'ignore'); CALL tandem.contract('key_fk')));
stop_release($new, 'new');

# the end: as if it had been bigint from the start
sql('ALTER TABLE orders RENAME id8 TO id');
sql(<<'SQL');
BEGIN;
LOCK TABLE events;
ALTER TABLE events ALTER id8 DROP DEFAULT, ALTER id8 ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('events', 'id8'), nextval('events_id_seq8'));
DROP SEQUENCE events_id_seq8;
COMMIT;
SQL
is(sql(<<'SQL'), "events_pkey|PRIMARY KEY (id8)\nlines_order_id8_fkey|FOREIGN KEY (order_id8) REFERENCES orders(id) ON DELETE CASCADE\nlines_pkey|PRIMARY KEY (line)\norders_pkey|PRIMARY KEY (id)", 'keys');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f') ORDER BY 1
SQL
is(sql(<<'SQL'), "events_id8_seq|bigint\norders_id_seq|bigint", 'sequences');
SELECT s.seqrelid::regclass, s.seqtypid::regtype FROM pg_sequence s
WHERE s.seqrelid IN (pg_get_serial_sequence('orders', 'id')::regclass, pg_get_serial_sequence('events', 'id8')::regclass) ORDER BY s.seqrelid::regclass::text
SQL
sql(q(SELECT setval('orders_id_seq', 3000000000), setval('events_id8_seq', 3000000000)));
is(sql(q(INSERT INTO orders (note) VALUES ('large') RETURNING id)), '3000000001', 'more than an int can hold');
is(sql(q(INSERT INTO lines (order_id8) VALUES (3000000001) RETURNING order_id8)), '3000000001', 'also in what refers to it');
is(sql(q(INSERT INTO events (note) VALUES ('large') RETURNING id8)), '3000000001', 'and in an identity column');
is_refused($node, 'INSERT INTO lines (order_id8) VALUES (3000000002)', qr/violates foreign key constraint/, 'a line without order');
sql(q(UPDATE events SET note = 'larger' WHERE id8 = 3000000001; DELETE FROM orders WHERE id = 3000000001));
is(sql('SELECT count(*) FROM lines WHERE order_id8 = 3000000001'), '0', 'published tables are updated and deleted from, and the key cascades');

# a sequence that nobody else draws from goes with its column, partitions' defaults included; contract says so
sql(<<'SQL');
CREATE TABLE parts (k int PRIMARY KEY, n serial) PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
INSERT INTO parts SELECT i FROM generate_series(0, 9) i;
BEGIN;
SELECT tandem.create_migration('parts');
SELECT tandem.add_column('parts', 'parts', 'n8', 'bigint');
SELECT tandem.sync_column('parts', 'parts', 'n', 'n8', 'n', 'n8');
COMMIT;
CALL tandem.migrate('parts');
SQL
my ($status, $out, $err) = $node->psql('postgres', q(CALL tandem.contract('parts', accept => '{defaults,not null}')));
is($status, 0, 'contract where only the old column draws from its sequence');
like($err, qr/NOTICE:  dropping columns.*- column n of table public\.parts: sequence public\.parts_n_seq$/s, 'tells that the sequence goes');

# back again after the swap: abort does not take the key with the column
sql(<<'SQL');
CREATE TABLE bills (id serial PRIMARY KEY, note text);
CREATE TABLE items (bill_id int CONSTRAINT items_bill_id_fkey REFERENCES bills);
INSERT INTO bills (note) SELECT 'first' FROM generate_series(1, 10);
INSERT INTO items SELECT id FROM bills;
BEGIN;
SELECT tandem.create_migration('bills');
SELECT tandem.add_column('bills', 'bills', 'id8', 'bigint');
SELECT tandem.sync_column('bills', 'bills', 'id', 'id8', 'id', 'id8');
SELECT tandem.add_index('bills', 'CREATE UNIQUE INDEX bills_id8 ON bills (id8)');
SELECT tandem.add_not_null('bills', 'bills', 'id8');
COMMIT;
CALL tandem.migrate('bills');
BEGIN;
ALTER TABLE items DROP CONSTRAINT items_bill_id_fkey;
ALTER TABLE bills DROP CONSTRAINT bills_pkey, ADD CONSTRAINT bills_pkey PRIMARY KEY USING INDEX bills_id8;
ALTER TABLE bills REPLICA IDENTITY USING INDEX bills_pkey;
COMMIT;
SQL
is_refused($node, q(CALL tandem.abort('bills')),
	qr/new columns of migration "bills" are in use.*- column id8 of table public\.bills: primary key bills_pkey\n- .*id8.*: replica identity public\.bills_pkey\nHINT:  Move the keys back/s,
	'abort after the swap');
sql(q(CREATE UNIQUE INDEX CONCURRENTLY bills_id ON bills (id)));
sql(<<'SQL');
BEGIN;
ALTER TABLE bills REPLICA IDENTITY DEFAULT;
ALTER TABLE bills DROP CONSTRAINT bills_pkey, ADD CONSTRAINT bills_pkey PRIMARY KEY USING INDEX bills_id;
ALTER TABLE items ADD CONSTRAINT items_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES bills NOT VALID;
COMMIT;
ALTER TABLE items VALIDATE CONSTRAINT items_bill_id_fkey;
CALL tandem.abort('bills');
SQL
is(sql(q(SELECT string_agg(conname || ' ' || pg_get_constraintdef(oid), ', ' ORDER BY conname) FROM pg_constraint
	WHERE conrelid IN ('bills'::regclass, 'items'::regclass) AND contype IN ('p', 'f'))),
	'bills_pkey PRIMARY KEY (id), items_bill_id_fkey FOREIGN KEY (bill_id) REFERENCES bills(id)', 'and once the keys are back it is as it was');
is(sql(q(INSERT INTO bills (note) VALUES ('last') RETURNING id)), '11', 'its sequence, too');

# a primary key of old columns goes with a new column that it includes
sql(<<'SQL');
DROP PUBLICATION p;
CREATE TABLE wide (id int PRIMARY KEY, price int);
BEGIN;
SELECT tandem.create_migration('wide');
SELECT tandem.add_column('wide', 'wide', 'cents', 'bigint');
SELECT tandem.sync_column('wide', 'wide', 'price', 'cents', 'price * 100', 'cents / 100');
COMMIT;
ALTER TABLE wide DROP CONSTRAINT wide_pkey, ADD CONSTRAINT wide_pkey PRIMARY KEY (id) INCLUDE (cents);
SQL
is_refused($node, q(CALL tandem.abort('wide')), qr/- column cents of table public\.wide: primary key wide_pkey\n/, 'abort where the primary key includes the new column');

# a primary key that the migration adds is its own, also where only a part of the partitions has it yet
sql(<<'SQL');
CREATE TABLE days (day int, id int) PARTITION BY LIST (day);
CREATE TABLE days_1 PARTITION OF days FOR VALUES IN (1);
CREATE TABLE days_2 PARTITION OF days FOR VALUES IN (2);
INSERT INTO days VALUES (1, 1), (2, 2), (2, 2);
BEGIN;
SELECT tandem.create_migration('days');
SELECT tandem.add_column('days', 'days', 'id8', 'bigint');
SELECT tandem.sync_column('days', 'days', 'id', 'id8', 'id', 'id8');
SELECT tandem.add_constraint('days', 'days', 'Days key', 'PRIMARY KEY (day, id8)');
COMMIT;
SQL
is_refused($node, q(CALL tandem.migrate('days')), qr/could not create unique index "days_2_Days key"/, 'a primary key that one partition does not fit');
is(sql(q(SELECT string_agg(conrelid::regclass::text, ',') FROM pg_constraint WHERE contype = 'p' AND conrelid::regclass::text ~ '^days')), 'days_1', 'another partition has it');
sql(q(CALL tandem.abort('days')));
is(sql(q(SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND conrelid::regclass::text ~ '^days')), '0', 'abort takes it');

# what the migration has built on columns of somebody's may have become the replica identity
sql(<<'SQL');
CREATE TABLE marks (id int NOT NULL, id8 bigint NOT NULL);
CREATE TABLE seals (id int NOT NULL, id8 bigint NOT NULL);
BEGIN;
SELECT tandem.create_migration('marks');
SELECT tandem.sync_column('marks', 'marks', 'id', 'id8', 'id', 'id8');
SELECT tandem.add_index('marks', 'CREATE UNIQUE INDEX marks_id8 ON marks (id8)');
SELECT tandem.create_migration('seals');
SELECT tandem.sync_column('seals', 'seals', 'id', 'id8', 'id', 'id8');
SELECT tandem.add_constraint('seals', 'seals', 'seals_id8', 'PRIMARY KEY (id8)');
COMMIT;
CALL tandem.migrate('marks');
CALL tandem.migrate('seals');
ALTER TABLE marks REPLICA IDENTITY USING INDEX marks_id8;
ALTER TABLE seals REPLICA IDENTITY USING INDEX seals_id8;
SQL
foreach my $table ('marks', 'seals')
{
	is_refused($node, "CALL tandem.abort('$table')", qr/index "${table}_id8" is the replica identity of table "$table"\nHINT:  Give it another one/,
		"abort of $table");
	sql("ALTER TABLE $table REPLICA IDENTITY FULL; CALL tandem.abort('$table')");
	is(sql("SELECT count(*) FROM pg_index WHERE indrelid = '$table'::regclass"), '0', "abort takes the index of $table");
}

# a partition has a replica identity of its own
sql(<<'SQL');
CREATE TABLE years (year int NOT NULL, id8 bigint NOT NULL, id int) PARTITION BY LIST (year);
CREATE TABLE years_1 PARTITION OF years FOR VALUES IN (1);
BEGIN;
SELECT tandem.create_migration('years');
SELECT tandem.sync_column('years', 'years', 'id', 'id8', 'id', 'id8');
SELECT tandem.add_index('years', 'CREATE UNIQUE INDEX years_id8 ON years (year, id8)');
COMMIT;
CALL tandem.migrate('years');
ALTER TABLE years_1 REPLICA IDENTITY USING INDEX years_id8_years_1;
SQL
is_refused($node, q(CALL tandem.abort('years')), qr/index "years_id8_years_1" is the replica identity of table "years_1"/, 'abort of years');

done_testing();
