# The statements that a migration has run by workers: with the memory and the parallel workers of the session that
# wants them, in the background too, and over a restart; VACUUM leaves the TOAST table alone.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $node = new_server('main', conf => <<'CONF');
shared_preload_libraries = 'pg_tandem'
tandem.launcher_interval = '1s'
autovacuum = off
CONF
my $wanted = "SET maintenance_work_mem = '77MB'; SET max_parallel_maintenance_workers = 5";

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

sub expand_indexed
{
	my ($name) = @_;

	expand_table($node, $name);
	ask("SELECT tandem.add_index('$name', 'CREATE INDEX ${name}_cents ON $name (cents)')");
	return;
}

sub is_built_with
{
	my ($name, $expected, $what) = @_;

	is(ask("SELECT memory, workers FROM built WHERE query ~ ' ${name}_cents '"), $expected, $what);
	return;
}

ask(<<'SQL');
CREATE TABLE built (query text, memory text, workers text);
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.built VALUES (current_query(), current_setting('maintenance_work_mem'),
		current_setting('max_parallel_maintenance_workers'));
END $$;
CREATE EVENT TRIGGER note ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION note();
SQL
expand_indexed($_) foreach qw(session background resumed);
ask("$wanted; CALL tandem.migrate('session')");
is_built_with('session', '77MB|5', 'an index is built as the session would build it');
ask("$wanted; CALL tandem.migrate('background', background => true)");
is_ended_well($node, 'background', 'background');
is_built_with('background', '77MB|5', 'in the background, too');
ask("SELECT tandem.pause('resumed')");
ask("$wanted; CALL tandem.migrate('resumed', background => true)");
$node->restart;
ask("SELECT tandem.resume('resumed')");
is_ended_well($node, 'resumed', 'resumed');
is_built_with('resumed', '77MB|5', 'and by a launcher after a restart');

ask(<<'SQL');
CREATE TABLE wide (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 150), document text);
ALTER TABLE wide ALTER document SET STORAGE EXTERNAL;
INSERT INTO wide (id, price, document) SELECT i, i, repeat('y', 3000) FROM generate_series(1, 2000) i;
SQL
expand_price($node, 'wide');
ask("CALL tandem.migrate('wide')");
is(ask("SELECT vacuum_count > 0 FROM pg_stat_all_tables WHERE relid = 'wide'::regclass"), 't', 'a table that was filled is vacuumed');
is(ask("SELECT vacuum_count FROM pg_stat_all_tables WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'wide'::regclass)"),
	0, 'its TOAST table is not');
is(ask(q(SELECT count(*), sum(length(document)) FROM wide WHERE cents = price * 100)), '2000|6000000', 'every row is filled');

$node->stop;
done_testing();
