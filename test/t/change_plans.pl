# Sessions that have called PL/pgSQL functions and triggers before contract of a changed column, and call them again
# after it: what these have compiled is of the old type.  None needs to connect again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "session_preload_libraries = 'pg_tandem'");

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(<<'SQL');
CREATE TABLE items (id int PRIMARY KEY, price int NOT NULL DEFAULT 5, note text);
CREATE TABLE audit (id int, price numeric, old_price numeric);
INSERT INTO items (id, price) SELECT i, i FROM generate_series(1, 20) i;
-- the fields of a row, in expressions whose plans are kept
CREATE FUNCTION check_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.price < 0 THEN RAISE 'negative'; END IF;
	NEW.note := 'price ' || NEW.price + 1;
	RETURN NEW;
END $$;
CREATE FUNCTION note_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO audit VALUES (NEW.id, NEW.price, CASE WHEN TG_OP = 'UPDATE' THEN OLD.price END);
	RETURN NULL;
END $$;
CREATE TRIGGER check_item BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION check_item();
CREATE TRIGGER note_item AFTER INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION note_item();
CREATE FUNCTION total() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE r record; t numeric := 0;
BEGIN
	FOR r IN SELECT * FROM items LOOP t := t + r.price * 2; END LOOP;
	RETURN t;
END $$;
CREATE FUNCTION typed(account int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE r items%ROWTYPE; p items.price%TYPE;
BEGIN
	SELECT * INTO r FROM items WHERE id = account;
	SELECT price INTO p FROM items WHERE id = account;
	p := p + r.price;
	RETURN p - r.price;
END $$;
CREATE FUNCTION raise(account int, amount numeric) RETURNS text LANGUAGE plpgsql AS $$
DECLARE b text;
BEGIN
	UPDATE items SET price = price + amount WHERE id = account RETURNING price INTO b;
	RETURN b;
END $$;
SELECT tandem.register_release(1);
SELECT tandem.switch_release(1);
SELECT tandem.create_views(1, schemas => '{public}');
SELECT tandem.create_migration('wide', release => 2);
SELECT tandem.change_column('wide', 'items', 'price', 'bigint');
SELECT tandem.create_views(2, schemas => '{public}');
CALL tandem.migrate('wide');
SELECT tandem.switch_release(2);
SQL

# A session of release 2, which goes on; in each all plans are generic.
my @calls = (
	'SELECT total() > 0',
	'SELECT typed(1) > 0',
	'SELECT raise(2, 1) IS NOT NULL',
	"INSERT INTO items (id, price) VALUES (nextval('ids'), 1) RETURNING true",
	'UPDATE items SET price = price + 1 WHERE id = 3 RETURNING true',
	'EXECUTE change(4)',
	'EXECUTE read(4)');
sql("CREATE SEQUENCE ids START 100");
my %sessions;
foreach my $path ('public', 'release_2, public')
{
	my $session = $sessions{$path} = $node->background_psql('postgres', on_error_stop => 0);

	$session->query_safe("SET tandem.release = 2; SET search_path = $path");
	$session->query_safe('PREPARE change(int) AS UPDATE items SET price = price + 1 WHERE id = $1 RETURNING price > 0');
	$session->query_safe('PREPARE read(int) AS SELECT price > 0 FROM items WHERE id = $1');
	$session->query_safe($_) foreach (@calls) x 7;
}
sql("CALL tandem.contract('wide')");
foreach my $path (sort keys %sessions)
{
	foreach my $call (@calls)
	{
		my $answer = $sessions{$path}->query($call);

		is($answer . $sessions{$path}->{stderr}, 't', "$path: $call");
		$sessions{$path}->{stderr} = '';
	}
	is($sessions{$path}->query('SELECT raise(2, 3000000000)') >= 3000000000 ? 't' : $sessions{$path}->{stderr}, 't', "$path: a value that the old type does not hold");
	$sessions{$path}->{stderr} = '';
	is($sessions{$path}->query('SELECT typed(2) >= 3000000000') . $sessions{$path}->{stderr}, 't', "$path: in a variable of the column's type");
	$sessions{$path}->{stderr} = '';
	$sessions{$path}->quit;
}
is(sql('SELECT count(*) FROM audit WHERE price NOT IN (old_price, old_price + 1, old_price + 3000000000)'), 0, 'the audit is right');

done_testing();
