# A real schema from end to end: the public Chinook sample database.  Each migration goes through
# expand, writes by both releases, migrate, writes again, verify, contract.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Chinook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('chinook');
$node->init;
load_chinook($node);

sub query { return $node->safe_psql('chinook', shift) }

# What every migration must keep: the two sides agree in every row, and no row is lost.
sub both_agree
{
	my ($table, $rows, $condition, $name) = @_;
	is(query("SELECT count(*), count(*) FILTER (WHERE ($condition) IS NOT TRUE) FROM $table"),
		"$rows|0", $name);
}

sub expand
{
	my ($name, $statements) = @_;
	query("BEGIN; SELECT tandem.create_migration('$name'); $statements COMMIT;");
}

sub migrate_and_contract
{
	my ($name, $table, $rows, $condition, $later) = @_;

	query("CALL tandem.migrate('$name')");
	both_agree($table, $rows, $condition, "$name: filled");
	query($later);
	both_agree($table, $rows, $condition, "$name: in step after the fill");
	is(query("SELECT sum(rows_checked), sum(rows_unfilled), sum(rows_mismatched) FROM tandem.verify('$name')"),
		"$rows|0|0", "$name: verified");
	query("CALL tandem.contract('$name', accept => '{not null}')");
	is(query("SELECT phase FROM tandem.migrations WHERE name = '$name'"), 'done', "$name: done");
}

sub columns_of
{
	my $table = shift;
	return query("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute "
		  . "WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped");
}

query('CREATE EXTENSION pg_tandem');
my %rows = map { $_ => query("SELECT count(*) FROM $_") } qw(artist customer invoice_line track);
cmp_ok($rows{track}, '>', 3000, 'there is data');

# Rename of a column.
my $names = query("SELECT md5(string_agg(name, ',' ORDER BY artist_id)) FROM artist");
expand('rename', q{
	ALTER TABLE artist ADD COLUMN artist_name varchar(120);
	SELECT tandem.sync_column('rename', 'artist', 'name', 'artist_name', 'name', 'artist_name');});
query(q{INSERT INTO artist (artist_id, name) VALUES (10001, 'Old'), (10002, NULL);
	INSERT INTO artist (artist_id, artist_name) VALUES (10003, 'New');
	UPDATE artist SET name = 'By old' WHERE artist_id = 1;
	UPDATE artist SET artist_name = 'By new' WHERE artist_id = 2;});
migrate_and_contract('rename', 'artist', $rows{artist} + 3, 'name IS NOT DISTINCT FROM artist_name',
	q{UPDATE artist SET name = 'AC/DC' WHERE artist_id = 1;
	UPDATE artist SET artist_name = 'Accept' WHERE artist_id = 2;
	DELETE FROM artist WHERE artist_id > 10000;
	INSERT INTO artist SELECT 10000 + i, 'Name ' || i FROM generate_series(1, 3) i});
is(columns_of('artist'), 'artist_id artist_name', 'rename: the old column is gone');
is(query("SELECT md5(string_agg(artist_name, ',' ORDER BY artist_id)) FROM artist WHERE artist_id < 10000"),
	$names, 'rename: every name is what it was');

# Change of a type: a foreign key column from integer to bigint.
expand('type', q{
	SELECT tandem.add_column('type', 'track', 'album', 'bigint');
	SELECT tandem.sync_column('type', 'track', 'album_id', 'album', 'album_id', 'album');
	ALTER TABLE track ADD CONSTRAINT track_album_fkey FOREIGN KEY (album) REFERENCES album (album_id) NOT VALID;
	ALTER TABLE track DROP CONSTRAINT track_album_id_fkey;
	ALTER TABLE track ADD CONSTRAINT track_album_id_fkey FOREIGN KEY (album_id) REFERENCES album (album_id) NOT VALID;});
query(q{UPDATE track SET album_id = 2 WHERE track_id = 1;
	UPDATE track SET album = 3 WHERE track_id = 2;
	UPDATE track SET album = NULL WHERE track_id = 3;});
my ($status, $stdout, $stderr) = $node->psql('chinook', 'UPDATE track SET album_id = 99999 WHERE track_id = 4');
like($stderr, qr/violates foreign key constraint/, 'type: a row that fits neither foreign key is refused');
query("CALL tandem.migrate('type')");
($status, $stdout, $stderr) = $node->psql('chinook', "CALL tandem.contract('type')");
like($stderr, qr/foreign keys: foreign key track_album_id_fkey of table public.track/,
	'type: contract is refused while the new column has no valid foreign key');
query('ALTER TABLE track VALIDATE CONSTRAINT track_album_fkey');
migrate_and_contract('type', 'track', $rows{track}, 'album IS NOT DISTINCT FROM album_id',
	'UPDATE track SET album_id = 1 WHERE track_id <= 3');
is(query('SELECT count(*), pg_typeof(min(t.album)) FROM track t JOIN album a ON a.album_id = t.album'),
	"$rows{track}|bigint", 'type: every track has its album');

# Merge of two columns: the names of customers.
my $people = query("SELECT md5(string_agg(first_name || '|' || last_name, ',' ORDER BY customer_id)) FROM customer");
my $three = query('SELECT customer_id, first_name, last_name FROM customer WHERE customer_id <= 3');
expand('merge', q{
	SELECT tandem.add_column('merge', 'customer', 'full_name', 'text');
	SELECT tandem.sync_columns('merge', 'customer', '{first_name,last_name}', '{full_name}',
		ARRAY['last_name || $$, $$ || first_name'],
		ARRAY['split_part(full_name, $$, $$, 2)', 'split_part(full_name, $$, $$, 1)']);});
query(q{UPDATE customer SET first_name = 'Anna' WHERE customer_id = 1;
	UPDATE customer SET full_name = 'Berg, Bo' WHERE customer_id = 2;
	INSERT INTO customer (customer_id, full_name, email) VALUES (1001, 'Novel, Nora', 'n@example.org');
	INSERT INTO customer (customer_id, first_name, last_name, email) VALUES (1002, 'Olaf', 'Older', 'o@example.org')});
migrate_and_contract('merge', 'customer', $rows{customer} + 2, q{full_name = last_name || ', ' || first_name},
	q{UPDATE customer SET last_name = 'Olden' WHERE customer_id = 1002;
	UPDATE customer SET full_name = 'Noble, Nora' WHERE customer_id = 1001});
is(query('SELECT full_name FROM customer WHERE customer_id IN (2, 1001, 1002) ORDER BY customer_id'),
	"Berg, Bo\nNoble, Nora\nOlden, Olaf", 'merge: what both releases wrote is there');

# Split of it again, into columns that take no NULL once all are filled.
expand('split', q{
	ALTER TABLE customer ADD COLUMN given varchar(40), ADD COLUMN family varchar(20);
	SELECT tandem.sync_columns('split', 'customer', '{full_name}', '{given,family}',
		ARRAY['split_part(full_name, $$, $$, 2)', 'split_part(full_name, $$, $$, 1)'],
		ARRAY['family || $$, $$ || given']);});
query(q{UPDATE customer SET given = 'Britta' WHERE customer_id = 2;
	UPDATE customer SET full_name = 'Celik, Cem' WHERE customer_id = 3});
is(query('SELECT full_name, given, family FROM customer WHERE customer_id IN (2, 3) ORDER BY customer_id'),
	"Berg, Britta|Britta|Berg\nCelik, Cem|Cem|Celik", 'split: one part written by the new release');
migrate_and_contract('split', 'customer', $rows{customer} + 2, q{full_name = family || ', ' || given},
	q{ALTER TABLE customer ALTER given SET NOT NULL, ALTER family SET NOT NULL;
	DELETE FROM customer WHERE customer_id > 1000;
	INSERT INTO customer (customer_id, given, family, email) VALUES (1001, 'N', 'M', 'm@example.org');
	INSERT INTO customer (customer_id, full_name, email) VALUES (1002, 'P, O', 'o@example.org')});
is(query('SELECT given, family FROM customer WHERE customer_id > 1000 ORDER BY customer_id'),
	"N|M\nO|P", 'split: what both releases wrote is there');
query('DELETE FROM customer WHERE customer_id > 1000');
for (split /\n/, $three)
{
	my ($id, $given, $family) = split /\|/;
	query("UPDATE customer SET given = '$given', family = '$family' WHERE customer_id = $id");
}
is(query("SELECT md5(string_agg(given || '|' || family, ',' ORDER BY customer_id)) FROM customer"),
	$people, 'split: every name is what it was');

# Money, from numeric to cents.
my $total = query('SELECT (sum(unit_price * quantity) * 100)::integer FROM invoice_line');
expand('cents', q{
	ALTER TABLE invoice_line ADD COLUMN unit_cents integer;
	SELECT tandem.sync_column('cents', 'invoice_line', 'unit_price', 'unit_cents',
		'unit_price * 100', 'unit_cents / 100.0');});
query(q{INSERT INTO invoice_line (invoice_line_id, invoice_id, track_id, unit_price, quantity) VALUES (10001, 1, 1, 0.99, 2);
	INSERT INTO invoice_line (invoice_line_id, invoice_id, track_id, unit_cents, quantity) VALUES (10002, 1, 2, 199, 1);
	UPDATE invoice_line SET quantity = quantity WHERE invoice_line_id = 1;});
is(query('SELECT unit_price, unit_cents FROM invoice_line WHERE invoice_line_id IN (1, 10001, 10002) ORDER BY 1, invoice_line_id'),
	"0.99|99\n0.99|99\n1.99|199", 'cents: both releases write, and an old row that is written is filled');
migrate_and_contract('cents', 'invoice_line', $rows{invoice_line} + 2, 'unit_cents = unit_price * 100',
	q{UPDATE invoice_line SET unit_price = 1.05 WHERE invoice_line_id = 10001;
	UPDATE invoice_line SET unit_cents = 95 WHERE invoice_line_id = 10002});
is(query('SELECT sum(unit_cents * quantity) FROM invoice_line WHERE invoice_line_id < 10000'), $total,
	'cents: the sum is the same to the cent');

is(query("SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	WHERE t.tgname LIKE '%tandem%' AND c.relnamespace <> 'tandem'::regnamespace"), 0, 'no trigger stays');
$node->stop;
done_testing();
