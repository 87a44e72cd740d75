# Keys that are moved by hand, between a column and the new one of a sync, and what the end of the migration finds of
# that: abort does not take a key along, nor what has become the replica identity.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $node = new_server('main');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql('CREATE PUBLICATION p FOR ALL TABLES');

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
