# From PostgreSQL 17 on the server builds indexes under search_path = pg_catalog, pg_temp.  That a function of an index
# needs more is said at expand, as far as it can be known, and not after the fill.  C17 of test/faults.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $node = new_server('main', conf => 'autovacuum = off');
my $pinned = $node->safe_psql('postgres', "SELECT current_setting('server_version_num')::int >= 170000") eq 't';

sub ask
{
	return $node->safe_psql('postgres', "SET search_path = app, public; $_[0]");
}

ask(<<'SQL');
CREATE SCHEMA app;
CREATE FUNCTION app.helper(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN lower($1); END $$;
CREATE FUNCTION app.needs_path(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN helper($1); END $$;
CREATE FUNCTION app.needs_path_inlined(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT helper($1) $$;
CREATE FUNCTION app.qualified(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN app.helper($1); END $$;
CREATE FUNCTION app.own_path(text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = app AS $$ BEGIN RETURN helper($1); END $$;
CREATE FUNCTION app.fails(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN nowhere($1); END $$;
CREATE FUNCTION app.slow(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(600); RETURN $1; END $$;
CREATE TABLE words (id int PRIMARY KEY, a text);
INSERT INTO words VALUES (1, 'A'), (2, 'B');
CREATE TABLE empty (id int PRIMARY KEY, a text);
CREATE TABLE parts (id int, x int, a text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 (a text, gone int, x int, id int);
ALTER TABLE parts_1 DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM (0) TO (10);
INSERT INTO parts VALUES (1, 1, 'A');
SELECT tandem.create_migration('m');
SQL
foreach my $table ('words', 'empty', 'parts')
{
	ask("SELECT tandem.add_column('m', '$table', 'b', 'text'); SELECT tandem.sync_column('m', '$table', 'a', 'b', 'a', 'b')");
	foreach my $sql ('(needs_path(a))', '(needs_path_inlined(a))', "(id) WHERE needs_path(a) = 'a'")
	{
		my $call = "SET search_path = app, public; SELECT tandem.add_index('m', \$\$CREATE INDEX wrong ON $table $sql\$\$)";

		if ($pinned)
		{
			is_refused($node, $call, qr/function helper\(text\) does not exist.*HINT:  .*Qualify the names in the body of the function, or give the function a search_path of its own/s, "$table $sql");
		}
		else
		{
			my ($status) = $node->psql('postgres', "BEGIN; $call; ROLLBACK");
			is($status, 0, "$table $sql: taken");
		}
	}
	ask("SELECT tandem.add_index('m', 'CREATE INDEX ${table}_$_ ON $table ($_(a))')") foreach 'qualified', 'own_path';
}
# what would fail anyway, or cannot be known
ask("SET tandem.lock_timeout = '100ms'; BEGIN; SELECT tandem.add_index('m', 'CREATE INDEX broken ON words (fails(a))'); SELECT tandem.add_index('m', 'CREATE INDEX slow ON words (slow(a))'); ROLLBACK");
pass('only what the path is the reason for is refused');
ask("CALL tandem.migrate('m')");
is(ask("SELECT count(*) FROM pg_index WHERE indexrelid::regclass::text ~ '_(qualified|own_path)' AND indisvalid"), $node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname ~ '_(qualified|own_path)'"), 'the forms that the hint names are built');
$node->stop;

done_testing();
