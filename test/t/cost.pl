# What the sync trigger and the backfill cost beside their peers, measured once and printed; nothing
# is judged by time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $rows = 200000;
my $rounds = 3;
my $node = new_server('main');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# us per row of a statement, by the server's own clock
sub cost
{
	my ($statement) = @_;

	return sql(<<"SQL");
SET client_min_messages = error;
CREATE TEMP TABLE clock AS SELECT clock_timestamp() AS started;
$statement;
SELECT round(extract(epoch FROM clock_timestamp() - started) * 1e6 / $rows, 2) FROM clock;
SQL
}

sub sync
{
	my ($table) = @_;

	sql(<<"SQL");
BEGIN;
SELECT tandem.create_migration('$table');
ALTER TABLE $table ADD COLUMN cents bigint;
SELECT tandem.sync_column('$table', '$table', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
COMMIT;
SQL
	return;
}

# The contenders take turns; the best of the rounds counts.
sub compare
{
	my ($what, $statement, @tables) = @_;
	my %best;

	foreach my $round (1 .. $rounds)
	{
		foreach my $table (@tables)
		{
			sql("TRUNCATE $table") if $statement =~ /^INSERT/;
			sql("VACUUM $table; CHECKPOINT");
			my $cost = cost(sprintf($statement, $table));

			$best{$table} = $cost if !defined $best{$table} || $cost < $best{$table};
		}
	}
	diag("$what, us a row: " . join(', ', map { "$_ $best{$_}" } @tables));
	return;
}

$node->append_conf('postgresql.conf', "autovacuum = off\nmax_wal_size = 4GB");
$node->restart;
sql(<<'SQL');
CREATE TABLE no_trigger (id int PRIMARY KEY, price int, other int, cents bigint);
CREATE TABLE plpgsql (LIKE no_trigger INCLUDING ALL);
CREATE TABLE tandem (id int PRIMARY KEY, price int, other int);
-- by hand, as one would write it: both directions, comparing OLD and NEW
CREATE FUNCTION by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		IF NEW.cents IS NULL THEN NEW.cents := NEW.price * 100::bigint;
		ELSIF NEW.price IS NULL THEN NEW.price := NEW.cents / 100;
		END IF;
	ELSIF NEW.price IS DISTINCT FROM OLD.price THEN NEW.cents := NEW.price * 100::bigint;
	ELSIF NEW.cents IS DISTINCT FROM OLD.cents THEN NEW.price := NEW.cents / 100;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER by_hand BEFORE INSERT OR UPDATE ON plpgsql FOR EACH ROW EXECUTE FUNCTION by_hand();
SQL
sync('tandem');

my @contenders = ('no_trigger', 'plpgsql', 'tandem');
compare('INSERT', "INSERT INTO %s (id, price) SELECT i, i FROM generate_series(1, $rows) i", @contenders);
compare('UPDATE of the synced column', 'UPDATE %s SET price = price + 1', @contenders);
compare('UPDATE of another column', 'UPDATE %s SET other = 1', @contenders);
is(sql('SELECT count(*), count(cents), sum(cents) - 100 * sum(price) FROM tandem'), "$rows|$rows|0", 'every row is synced');

sub make_heap
{
	my ($table, $columns) = @_;

	sql(<<"SQL");
CREATE TABLE $table ($columns);
INSERT INTO $table SELECT i, i, repeat('x', 80) FROM generate_series(1, $rows) i;
CREATE INDEX ON $table (price);
VACUUM ANALYZE $table;
CHECKPOINT;
SQL
	return sql("SELECT pg_relation_size('$table')");
}

sub growth
{
	my ($table, $before) = @_;
	return sql("SELECT round(pg_relation_size('$table')::numeric / $before, 2)");
}

my $size = make_heap('updated', 'id int PRIMARY KEY, price int, filler text, cents bigint');
my $update = cost('UPDATE updated SET cents = price * 100::bigint');
my $update_growth = growth('updated', $size);

$size = make_heap('filled', 'id int PRIMARY KEY, price int, filler text');
sync('filled');
my $fill = cost(q(CALL tandem.migrate('filled')));
my $fill_growth = growth('filled', $size);

diag("fill, us a row: one UPDATE $update, migrate with its verify $fill");
diag("heap after the fill over before: one UPDATE $update_growth, migrate $fill_growth");
is(sql('SELECT count(*), count(cents), sum(cents) - 100 * sum(price) FROM filled'), "$rows|$rows|0", 'every row is filled');
cmp_ok($fill_growth, '<', 1.5, 'the space of old versions went to new ones');

done_testing();
