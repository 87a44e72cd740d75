# Memory is flat: what a process has while it works on the last rows of a statement, a fill or a proof is what it
# had while it worked on the first.  TANDEM_MEMORY_ROWS=10000000 for the long run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $rows = $ENV{TANDEM_MEMORY_ROWS} || 300000;
# the first caches and states are there by then
my $early = 1000;
my $late = $rows - 1;
my $most_growth = 65536;
my $node = new_server('main', conf => "autovacuum = off\nfsync = off");

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# An up that looks at the memory of the process that computes it, at two of the rows.
sub expand_watched
{
	my ($name) = @_;

	expand_price($node, $name, up => "CASE WHEN id IN ($early, $late) THEN noted(id, price) ELSE price * 100::bigint END");
	return;
}

# What the log has of that since an earlier moment: by process and row, the last look.
sub looks_since
{
	my ($offset) = @_;
	my $log = slurp_file($node->logfile, $offset);
	my %bytes;

	$bytes{$1}{$2} = $3 while $log =~ /LOG:  process (\d+), row (\d+): (\d+) bytes/g;
	return %bytes;
}

# How much more some process has at the late row of a statement than at the early one, in bytes.
sub growth_of
{
	my ($what, $statement) = @_;
	my $offset = -s $node->logfile;

	ask($statement);
	my %bytes = looks_since($offset);
	my @growths = map { $_->{$late} - $_->{$early} } grep { $_->{$early} && $_->{$late} } values %bytes;
	is(scalar @growths, 1, "$what: one process looked at its memory at both ends");
	note("$what, $rows rows: $growths[0] bytes more at the end");
	return $growths[0];
}

sub is_flat
{
	my ($what, $statement, $of_the_server) = @_;

	cmp_ok(growth_of($what, $statement), '<=', $most_growth + ($of_the_server || 0), "$what: memory does not grow");
	return;
}

ask(<<'SQL');
CREATE FUNCTION noted(id int, price int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RAISE LOG 'process %, row %: % bytes', pg_backend_pid(), id, (SELECT sum(total_bytes) FROM pg_backend_memory_contexts);
	RETURN price * 100::bigint;
END $$;
SQL
my $source = "SELECT i, i % 1000 FROM generate_series(1, $rows) i";
ask("CREATE TABLE $_ (id int PRIMARY KEY, price int)") foreach qw(plain written filled);
ask("INSERT INTO $_ $source") foreach qw(plain filled);
ask(<<"SQL");
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	PERFORM noted(NEW.id, NEW.price);
	RETURN NEW;
END \$\$;
CREATE TRIGGER look BEFORE UPDATE ON plain FOR EACH ROW WHEN (NEW.id IN ($early, $late)) EXECUTE FUNCTION look();
SQL
expand_watched('written');
is_flat('INSERT', "INSERT INTO written $source");
# the server itself leaves some bytes a row behind in an UPDATE with any BEFORE trigger, in some releases
my $of_the_server = growth_of('UPDATE with a trigger of somebody else', 'UPDATE plain SET price = price + 1');
is_flat('UPDATE', 'UPDATE written SET price = price + 1', $of_the_server);
expand_watched('filled');
is_flat('fill', "CALL tandem.migrate('filled')");
# nothing is left to fill, so this proves
is_flat('verify', q(SELECT * FROM tandem.verify('filled')));

# the same of rows whose transform fails, each in a subtransaction
$rows = 20000;
$late = $rows - 1;
ask(<<"SQL");
CREATE TABLE raising (id int PRIMARY KEY, price int);
INSERT INTO raising SELECT i, i FROM generate_series(1, $rows) i;
SELECT tandem.create_migration('raising');
SELECT tandem.add_column('raising', 'raising', 'cents', 'bigint');
SELECT tandem.sync_column('raising', 'raising', 'price', 'cents',
	'CASE WHEN id IN ($early, $late) THEN noted(id, price) ELSE (1 / (price - price))::bigint END', on_error => 'quarantine');
SQL
is_flat('verify of rows that raise', q(SELECT * FROM tandem.verify('raising')));

# What a session keeps for tables and roles goes with them: it lives on, they come and go.
ask(<<'SQL');
CREATE VIEW kept AS SELECT coalesce(sum(total_bytes), 0) AS bytes FROM pg_backend_memory_contexts WHERE name LIKE 'tandem%';
CREATE PROCEDURE come_and_go(rounds int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..rounds LOOP
		CREATE TABLE passing (id int PRIMARY KEY, price int);
		CREATE ROLE passer;
		GRANT INSERT ON passing TO passer;
		PERFORM tandem.create_migration('passing');
		PERFORM tandem.add_column('passing', 'passing', 'cents', 'int');
		PERFORM tandem.sync_column('passing', 'passing', 'price', 'cents', 'price * 100');
		INSERT INTO passing VALUES (1, 1);
		SET ROLE passer;
		INSERT INTO passing VALUES (2, 2);
		RESET ROLE;
		COMMIT;
		CALL tandem.abort('passing');
		COMMIT;
		DROP TABLE passing;
		DROP ROLE passer;
		PERFORM tandem.forget('passing');
		COMMIT;
	END LOOP;
END $$;
CREATE TABLE staying (id int PRIMARY KEY, price int);
SELECT tandem.create_migration('staying');
SELECT tandem.add_column('staying', 'staying', 'cents', 'int');
SELECT tandem.sync_column('staying', 'staying', 'price', 'cents', 'price * 100');
CREATE PROCEDURE write_as_each(rounds int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..rounds LOOP
		CREATE ROLE passer;
		GRANT INSERT ON staying TO passer;
		COMMIT;
		SET ROLE passer;
		INSERT INTO staying VALUES (i, i);
		RESET ROLE;
		DELETE FROM staying;
		REVOKE INSERT ON staying FROM passer;
		DROP ROLE passer;
		COMMIT;
	END LOOP;
END $$;
SQL
foreach my $what ('come_and_go', 'write_as_each')
{
	my ($first, $last) = split /\n/,
	  ask("SET client_min_messages = error; CALL $what(3); SELECT bytes FROM kept; CALL $what(30); SELECT bytes FROM kept");

	cmp_ok($last, '<=', $first + 32768, "$what: nothing is kept of tables and roles that are gone");
}

done_testing();
