# The Chinook sample database from one release to the next, with each operation in one script.  Both releases write
# through their views, and on the tables where these are alike for both, while the fill is under way and after it; all
# rows are compared in both shapes.  Then contract; and in a copy of the database abort, which leaves it as it was.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Chinook;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('chinook');

$node->init;
$node->append_conf('postgresql.conf', "tandem.nice_ratio = 0\n");
load_chinook($node);

# What the sample lacks: a default, CHECKs, indexes over two columns, with a condition, and of an expression.
$node->safe_psql('chinook', <<'SQL');
ALTER TABLE track ALTER unit_price SET DEFAULT 0.99, ADD CONSTRAINT track_price_check CHECK (unit_price >= 0),
	ADD CONSTRAINT track_length_check CHECK (milliseconds > 0);
CREATE INDEX track_price_idx ON track (unit_price DESC, name) WHERE unit_price > 1;
CREATE INDEX track_album_price_idx ON track (album_id, unit_price);
CREATE INDEX track_double_idx ON track ((unit_price * 2));
CREATE EXTENSION pg_tandem;
SELECT tandem.register_release(41), tandem.switch_release(41);
SELECT tandem.create_views(41, schemas => '{public}');
SQL
$node->safe_psql('postgres', 'CREATE DATABASE aborted TEMPLATE chinook');

my $script = <<'SQL';
BEGIN;
SELECT tandem.create_migration('shop', release => 42);
SELECT tandem.add_column('shop', 'track', 'note', 'text');
SELECT tandem.add_column('shop', 'track', 'seconds', 'integer', up => 'milliseconds / 1000', default_value => '0', not_null => true);
SELECT tandem.add_column('shop', 'customer', 'tier', 'text', default_value => $$'basic'$$, not_null => true);
SELECT tandem.add_column('shop', 'customer', 'full_name', 'text', up => $$last_name || ', ' || first_name$$);
SELECT tandem.add_column('shop', 'invoice_line', 'amount', 'numeric(12,2)', up => 'unit_price * quantity');
SELECT tandem.drop_column('shop', 'employee', 'fax');
SELECT tandem.drop_column('shop', 'customer', 'fax', down => 'left(phone, 24)');
SELECT tandem.drop_column('shop', 'customer', 'company', down => $$'of ' || tier$$);
SELECT tandem.drop_column('shop', 'track', 'bytes', down => 'seconds * 32000');
SELECT tandem.drop_column('shop', 'track', 'genre_id');
SELECT tandem.drop_table('shop', 'genre');
SELECT tandem.drop_table('shop', 'playlist_track');
SELECT tandem.rename_table('shop', 'artist', 'performer');
SELECT tandem.rename_table('shop', 'media_type', 'format');
SELECT tandem.rename_column('shop', 'album', 'artist_id', 'performer_id');
SELECT tandem.rename_column('shop', 'track', 'media_type_id', 'format_id');
SELECT tandem.rename_constraint('shop', 'album', 'album_artist_id_fkey', 'album_performer_id_fkey');
SELECT tandem.drop_index('shop', 'customer_support_rep_id_idx');
SELECT tandem.rename_constraint('shop', 'track', 'track_album_id_fkey', 'track_of_album');
SELECT tandem.change_column('shop', 'track', 'album_id', 'bigint');
SELECT tandem.change_column('shop', 'customer', 'support_rep_id', 'bigint');
SELECT tandem.change_column('shop', 'track', 'unit_price', 'integer', up => '(unit_price * 100)::integer', down => 'unit_price / 100.0',
	carry => '{track_price_check}', leave => '{track_double_idx}');
SELECT tandem.add_index('shop', 'CREATE INDEX invoice_date_idx ON invoice (invoice_date DESC) INCLUDE (total)');
SELECT tandem.add_index('shop', 'CREATE INDEX track_price_idx ON track (unit_price) WHERE unit_price > 100');
SELECT tandem.add_not_null('shop', 'invoice', 'billing_country');
SELECT tandem.add_constraint('shop', 'invoice_line', 'invoice_line_quantity_check', 'CHECK (quantity > 0)');
SELECT tandem.add_constraint('shop', 'track', 'track_seconds_check', 'CHECK (seconds >= 0)');
SELECT tandem.add_constraint('shop', 'album', 'album_title_key', 'UNIQUE (performer_id, title)');
SELECT tandem.at_contract('shop', 'performer', 'ALTER TABLE artist REPLICA IDENTITY FULL');
CREATE TABLE IF NOT EXISTS review (review_id serial PRIMARY KEY, track_id integer REFERENCES track, stars integer);
SELECT tandem.add_table('shop', 'review');
SELECT tandem.create_views(42, schemas => '{public}');
COMMIT;
SQL

sub query
{
	my ($database, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

sub fails
{
	my ($database, $statement, $pattern, $what) = @_;
	my ($status, $out, $err) = $node->psql($database, $statement);

	like($err, $pattern, $what);
	return;
}

# What a release does, here with keys from i on, and to rows of the sample; and who has no release, on the tables.
my %WRITES = (
	41 => <<'SQL',
INSERT INTO artist VALUES (:i, 'old :i');
INSERT INTO album VALUES (:i, 'old :i', :i);
INSERT INTO genre VALUES (:i, 'old :i');
INSERT INTO media_type VALUES (:i, 'old :i');
INSERT INTO track VALUES (:i, 'old :i', :i, :i, :i, 'me', 5500, 7, 1.05);
INSERT INTO track (track_id, name, media_type_id, milliseconds) VALUES (1 + :i, 'old :i', 1, 6500);
INSERT INTO employee (employee_id, last_name, first_name, fax) VALUES (:i, 'Old', 'Olaf', '123');
INSERT INTO customer (customer_id, first_name, last_name, email, fax, company, support_rep_id) VALUES (:i, 'Olaf', 'Older', 'o', '7', 'c', :i);
INSERT INTO invoice (invoice_id, customer_id, invoice_date, billing_country, total) VALUES (:i, :i, '2026-01-01', 'land', 1);
INSERT INTO invoice_line VALUES (:i, :i, :i, 0.99, 3);
INSERT INTO playlist_track VALUES (1, :i);
UPDATE track SET unit_price = unit_price + 1, milliseconds = milliseconds + 1000 WHERE track_id % 100 = 7;
UPDATE track SET album_id = 1, bytes = 5 WHERE track_id % 100 = 8;
UPDATE customer SET last_name = 'Neu', support_rep_id = 3 WHERE customer_id % 10 = 3;
UPDATE invoice_line SET quantity = quantity + 1 WHERE invoice_line_id % 50 = 9;
SQL
	42 => <<'SQL',
INSERT INTO performer VALUES (:i, 'new :i');
INSERT INTO album (album_id, title, performer_id) VALUES (:i, 'new :i', :i);
INSERT INTO format VALUES (:i, 'new :i');
INSERT INTO track (track_id, name, album_id, format_id, milliseconds, unit_price, seconds, note) VALUES (:i, 'new :i', :i, :i, 5500, 105, 6, 'noted');
INSERT INTO track (track_id, name, format_id, milliseconds) VALUES (1 + :i, 'new :i', 1, 6500);
INSERT INTO review (track_id, stars) VALUES (:i, 5);
INSERT INTO employee (employee_id, last_name, first_name) VALUES (:i, 'New', 'Nora');
INSERT INTO customer (customer_id, first_name, last_name, email, phone, support_rep_id, tier, full_name) VALUES (:i, 'Nora', 'Newer', 'n', '99', :i, 'gold', 'Madam');
INSERT INTO invoice (invoice_id, customer_id, invoice_date, billing_country, total) VALUES (:i, :i, '2026-01-01', 'land', 1);
INSERT INTO invoice_line VALUES (:i, :i, :i, 0.99, 3, 2.97);
UPDATE track SET unit_price = unit_price + 200, seconds = seconds + 5 WHERE track_id % 100 = 17;
UPDATE track SET album_id = 2, seconds = 9 WHERE track_id % 100 = 18;
UPDATE customer SET phone = 'phone :i', tier = 'gold', support_rep_id = 4 WHERE customer_id % 10 = 4;
UPDATE invoice_line SET amount = 7 WHERE invoice_line_id % 50 = 19;
SQL
	# until they are filled, columns that are new can be written on the table alone
	'42 on the table' => <<'SQL',
SET tandem.release = 42;
INSERT INTO release_42.performer VALUES (:i, 'new :i');
INSERT INTO release_42.album (album_id, title, performer_id) VALUES (:i, 'new :i', :i);
INSERT INTO release_42.format VALUES (:i, 'new :i');
INSERT INTO track (track_id, name, album_id__42, media_type_id, milliseconds, unit_price__42, seconds, note) VALUES (:i, 'new :i', :i, :i, 5500, 105, 6, 'noted');
INSERT INTO release_42.track (track_id, name, format_id, milliseconds) VALUES (1 + :i, 'new :i', 1, 6500);
INSERT INTO release_42.review (track_id, stars) VALUES (:i, 5);
INSERT INTO release_42.employee (employee_id, last_name, first_name) VALUES (:i, 'New', 'Nora');
INSERT INTO customer (customer_id, first_name, last_name, email, phone, support_rep_id__42, tier, full_name) VALUES (:i, 'Nora', 'Newer', 'n', '99', :i, 'gold', 'Madam');
INSERT INTO release_42.invoice (invoice_id, customer_id, invoice_date, billing_country, total) VALUES (:i, :i, '2026-01-01', 'land', 1);
INSERT INTO invoice_line VALUES (:i, :i, :i, 0.99, 3, 2.97);
UPDATE release_42.track SET note = 'noted' WHERE track_id % 100 = 16;
UPDATE track SET unit_price__42 = 305, seconds = 9 WHERE track_id % 100 = 17;
UPDATE release_42.customer SET phone = 'phone :i', tier = 'gold' WHERE customer_id % 10 = 4;
UPDATE invoice_line SET amount = 7 WHERE invoice_line_id % 50 = 19;
SQL
	table => <<'SQL');
INSERT INTO artist VALUES (:i, 'bare :i');
INSERT INTO album VALUES (:i, 'bare :i', :i);
INSERT INTO customer (customer_id, first_name, last_name, email, support_rep_id) VALUES (:i, 'Bea', 'Bare', 'b', 5);
UPDATE customer SET support_rep_id = NULL, phone = 'bare :i' WHERE customer_id % 10 = 5 AND customer_id < 1000;
UPDATE album SET artist_id = 3 WHERE album_id = 20;
UPDATE track SET album_id = 3, milliseconds = 9000 WHERE track_id % 100 = 27;
INSERT INTO invoice_line (invoice_line_id, invoice_id, track_id, unit_price, quantity) VALUES (:i, 1, 1, 2, 3);
SQL

sub writes
{
	my ($database, $who, $i) = @_;
	my $path = $who =~ /table/ ? 'public' : "release_$who";

	query($database, "SET search_path = $path; " . $WRITES{$who} =~ s/:i\b/$i/gr);
	return;
}

# Rows of both shapes that do not say the same, and rows that one of them lacks.
my %SAME = (
	'artist performer artist_id' => 'o.name IS NOT DISTINCT FROM n.name',
	'album album album_id' => 'o.title = n.title AND o.artist_id = n.performer_id',
	'media_type format media_type_id' => 'o.name = n.name',
	'track track track_id' => 'o.album_id IS NOT DISTINCT FROM n.album_id AND o.unit_price * 100 = n.unit_price AND o.media_type_id = n.format_id '
	  . 'AND o.milliseconds = n.milliseconds AND o.composer IS NOT DISTINCT FROM n.composer AND n.seconds IS NOT NULL '
	  . 'AND (n.seconds = o.milliseconds / 1000 OR n.track_id >= 10000 OR n.track_id % 100 IN (17, 18))',
	'customer customer customer_id' => 'o.support_rep_id IS NOT DISTINCT FROM n.support_rep_id AND o.phone IS NOT DISTINCT FROM n.phone '
	  . q(AND (n.full_name = o.last_name || ', ' || o.first_name OR n.tier = 'gold') AND n.tier IS NOT NULL),
	'employee employee employee_id' => 'o.last_name = n.last_name',
	'invoice invoice invoice_id' => 'o.total = n.total',
	'invoice_line invoice_line invoice_line_id' => 'n.amount = o.unit_price * o.quantity OR n.invoice_line_id % 50 = 19');

sub agree
{
	my ($database, $when) = @_;
	my @counts;

	foreach my $tables (sort keys %SAME)
	{
		my ($old, $new, $key) = split ' ', $tables;

		push @counts, "SELECT '$old', count(*) FROM release_41.$old o FULL JOIN release_42.$new n USING ($key) WHERE ($SAME{$tables}) IS NOT TRUE HAVING count(*) > 0";
	}
	is(query($database, join ' UNION ALL ', @counts), '', "$when: all tables are the same to both releases");
	return;
}

# Both write, then each sees of the rows from i on what both have made of them.
sub both_work
{
	my ($database, $when, $i, $of_42) = @_;
	my ($j, $k) = ($i + 2, $i + 4);

	writes($database, 41, $i);
	writes($database, $of_42, $j);
	writes($database, 'table', $k);
	my $old = 'SELECT a.title, t.unit_price, t.bytes, t.genre_id, e.fax, c.fax, c.company, c.support_rep_id, v.billing_country FROM release_41.track t '
	  . 'JOIN release_41.album a USING (album_id) JOIN release_41.employee e ON e.employee_id = t.track_id '
	  . 'JOIN release_41.customer c ON c.customer_id = t.track_id JOIN release_41.invoice v ON v.invoice_id = t.track_id WHERE t.track_id = ';
	my $new = 'SELECT a.title, t.unit_price, t.seconds, t.note, c.tier, c.full_name, c.support_rep_id, l.amount FROM release_42.track t '
	  . 'JOIN release_42.album a USING (album_id) JOIN release_42.customer c ON c.customer_id = t.track_id '
	  . 'JOIN release_42.invoice_line l ON l.invoice_line_id = t.track_id WHERE t.track_id = ';
	is(query($database, $old . $i), "old $i|1.05|7|$i|123|7|c|$i|land", "$when: 41 of its own row");
	is(query($database, $new . $i), "old $i|105|5||basic|Older, Olaf|$i|2.97", "$when: 42 of that of 41");
	is(query($database, $new . $j), "new $j|105|6|noted|gold|Madam|$j|2.97", "$when: 42 of its own row");
	is(query($database, $old . $j), "new $j|1.05|192000|||99|of gold|$j|land", "$when: 41 of that of 42");
	# (a default is shown as what up gives until all is filled)
	is(query($database, "SELECT unit_price, seconds FROM release_42.track WHERE track_id IN ($i + 1, $j + 1) ORDER BY track_id"),
		$of_42 eq 42 ? "99|6\n99|0" : "99|6\n99|6", "$when: what is left out");
	is(query($database, 'SELECT unit_price FROM release_41.track WHERE track_id = ' . ($j + 1)), '0.99', "$when: also to 41");
	is(query($database, "SELECT c.full_name, c.tier, c.support_rep_id, l.amount FROM release_42.customer c JOIN release_42.invoice_line l ON l.invoice_line_id = c.customer_id "
			  . "WHERE c.customer_id = $k"), 'Bare, Bea|basic|5|6.00', "$when: 42 of what was written on the table");
	agree($database, $when);
	return;
}

# While the fill is under way, and then after it.
sub works_during_migrate
{
	my ($database) = @_;

	agree($database, "$database: before the fill");
	run_slowly($node, 'shop', 1, $database);
	query($database, q(SELECT tandem.configure('shop', 'tandem.max_rows_per_second', '20')));
	both_work($database, "$database: during the fill", 10001, '42 on the table');
	is(query($database, q(SELECT bool_or(state <> 'done') FROM tandem.progress WHERE migration = 'shop' AND step = 'backfill')), 't', "$database: it is under way");
	speed_up($node, 'shop', $database);
	wait_for_running($node, q(SELECT bool_and(running_pid IS NULL AND NOT background) FROM tandem.migrations WHERE name = 'shop'), $database);
	is(query($database, q(SELECT phase, error FROM tandem.migrations WHERE name = 'shop' AND phase <> 'aborted')), 'contract|', "$database: the fill ends well");
	is(query($database, 'SELECT seconds FROM release_42.track WHERE track_id = 10004'), 0, "$database: the default is stored");
	both_work($database, "$database: after the fill", 10011, 42);
	is(query($database, q(SELECT sum(rows_unfilled), sum(rows_mismatched) FROM tandem.verify('shop'))), '0|0', "$database: verified");
	return;
}

# Aborted: at once, and after both have written.
my $before = schema_of($node, 'aborted');
my $rows = query('aborted', 'SELECT md5(string_agg(t::text, chr(10) ORDER BY track_id)) FROM track t');
query('aborted', $script);
query('aborted', q(CALL tandem.abort('shop', force => true)));
is(schema_of($node, 'aborted'), $before, 'abort at once leaves no trace');
query('aborted', $script);
works_during_migrate('aborted');
fails('aborted', q(CALL tandem.abort('shop')), qr/would lose/, 'abort would lose rows');
query('aborted', q(CALL tandem.abort('shop', force => true)));
is(schema_of($node, 'aborted'), $before, 'abort leaves no trace');
is(query('aborted', 'SELECT count(*) FROM track WHERE track_id > 10000'), 8, 'nor does it take rows along');
query('aborted', 'SET search_path = release_41; ' . $WRITES{41} =~ s/:i\b/10021/gr);

# Contracted.
query('chinook', $script);
query('chinook', $script);
my @operations = split /\n/, query('chinook', 'SELECT DISTINCT operation FROM tandem.operations ORDER BY 1');
is("@operations", 'add_column add_constraint add_index add_not_null add_table at_contract change_column drop_column drop_index drop_table leave '
	  . 'rename_column rename_constraint rename_table', 'each operation is in the script');
works_during_migrate('chinook');
my $seen = 'SELECT md5(string_agg(t::text, chr(10) ORDER BY track_id)) FROM release_42.track t';
my $tracks = query('chinook', $seen);
is(query('chinook', q(SELECT string_agg(object, ', ' ORDER BY object) FROM tandem.preview_contract('shop') WHERE part IN ('indexes', 'foreign keys', 'defaults', 'checks', 'not null'))),
	'foreign key track_genre_id_fkey of table public.track, index public.track_genre_id_idx', 'contract takes along what is on the dropped column');
query('chinook', 'SELECT tandem.switch_release(42)');
query('chinook', q(CALL tandem.contract('shop')));
is(query('chinook', $seen), $tracks, 'release 42 sees the tracks that it has seen');
is(query('chinook', q(SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r')),
	'album customer employee format invoice invoice_line performer playlist review track', 'the tables of release 42');
my %columns = (track => 'track_id integer, name character varying(200), format_id integer, composer character varying(220), milliseconds integer, note text, '
	  . 'seconds integer, album_id bigint, unit_price integer',
	album => 'album_id integer, title character varying(160), performer_id integer');
is(query('chinook', "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute "
		  . "WHERE attrelid = '$_'::regclass AND attnum > 0 AND NOT attisdropped"), $columns{$_}, "the columns of $_") foreach sort keys %columns;
my $schema = schema_of($node, 'chinook');
like($schema, qr/$_/, "there is $_") foreach 'CONSTRAINT track_price_check CHECK', 'unit_price integer DEFAULT .*NOT NULL',
  'CONSTRAINT track_length_check', 'INDEX track_price_idx ON public.track USING btree \(unit_price\) WHERE \(unit_price > 100\)',
  'INDEX track_album_price_idx ON public.track USING btree \(album_id, unit_price\)', 'INDEX track_album_id_idx ON public.track USING btree \(album_id\)',
  'CONSTRAINT track_of_album FOREIGN KEY \(album_id\)', 'CONSTRAINT customer_support_rep_id_fkey FOREIGN KEY \(support_rep_id\)',
  'CONSTRAINT album_performer_id_fkey FOREIGN KEY \(performer_id\) REFERENCES public.performer\(artist_id\)', 'UNIQUE \(performer_id, title\)',
  'INDEX invoice_date_idx', 'ONLY public.performer REPLICA IDENTITY FULL', 'billing_country character varying\(40\) (CONSTRAINT \w+ )?NOT NULL';
unlike($schema, qr/fax|genre|company|bytes|track_double_idx|customer_support_rep_id_idx|__42|tandem|NOT VALID/, 'and nothing of release 41, or of the migration');
writes('chinook', 42, 10021);
is(query('chinook', 'SELECT unit_price, seconds, album_id FROM track WHERE track_id = 10021'), '105|6|10021', 'release 42 writes on');
fails('chinook', "SELECT * FROM release_41.$_", qr/release 41 is no longer served/, "release 41 does not: $_") foreach 'genre', 'media_type', 'track';
# a node that comes late runs the script
query('chinook', $script);
is(schema_of($node, 'chinook'), $schema, 'the script once more changes nothing');

$node->stop;
done_testing();
