# The table "One call for each change" of the README: each line from expand to contract, and once more from expand to
# abort.  Through the views both releases write meanwhile; what is there after contract is told below, by the first words
# of the line; after abort everything is as it was.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "session_preload_libraries = 'pg_tandem'");

# What is true after contract, and was not before.
my %after = (
	'add a column' => q(SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'films'::regclass AND attname = 'note')),
	'add one with a value' => q(SELECT coalesce(bool_and(to_jsonb(f)->>'rating' = '3'), false) FROM films f),
	'add one that is computed' => q(SELECT coalesce(bool_and(to_jsonb(f)->>'decade' IN ('1950', '1960')), false) FROM films f WHERE id < 10),
	'drop a column' => q(SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'films'::regclass AND attname = 'studio')),
	'drop one that the old release needs' => q(SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'films'::regclass AND attname = 'year')),
	'rename a column' => q(SELECT (SELECT attname FROM pg_attribute WHERE attrelid = 'films'::regclass AND attnum = 2) = 'title'),
	'give a column another type' => q(SELECT (SELECT atttypid = 'bigint'::regtype AND attnotnull FROM pg_attribute WHERE attrelid = 'films'::regclass AND attname = 'year')
		AND EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indexrelid = to_regclass('films_year') AND a.attname = 'year')
		AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'films'::regclass AND attname = 'year__42')),
	'and other values' => q(SELECT coalesce(bool_and(to_jsonb(f)->>'studio' IN ('S1', 'S2')), false) FROM films f WHERE id < 4),
	'make a column NOT NULL' => q(SELECT attnotnull FROM pg_attribute WHERE attrelid = 'films'::regclass AND attname = 'studio'),
	'add a CHECK' => q(SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = 'year_check' AND convalidated)),
	'add a foreign key' => q(SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = 'studio_fkey' AND convalidated)),
	'make a column unique' => q(SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = 'name_key' AND contype = 'u')),
	'add an index' => q(SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('films_studio') AND indisvalid)),
	'drop an index' => q(SELECT to_regclass('films_year') IS NULL),
	'rename a constraint' => q(SELECT EXISTS (SELECT FROM pg_constraint WHERE conname = 'films_have_names')),
	'rename a table' => q(SELECT to_regclass('movies') IS NOT NULL AND to_regclass('films') IS NULL),
	'drop a table' => q(SELECT to_regclass('reviews') IS NULL),
	'any other DDL' => q(SELECT relreplident = 'f' FROM pg_class WHERE oid = 'films'::regclass));

# What release 42 calls things, where that is another name.
my %films = ('rename a table' => 'movies');
my %name = ('rename a column' => 'title');

# Of what a call does that is not one line alone: NOT NULL and an index go with the column.
my %listed = ('give a column another type' => 3);

my $template = <<'SQL';
CREATE TABLE studios (id integer PRIMARY KEY);
INSERT INTO studios VALUES (1), (2);
CREATE TABLE films (id integer PRIMARY KEY, name text, year integer NOT NULL, studio integer, CONSTRAINT films_named CHECK (name <> ''));
CREATE INDEX films_year ON films (year);
INSERT INTO films VALUES (1, 'Vertigo', 1958, 1), (2, 'Psycho', 1960, 2), (3, 'Marnie', 1964, 1);
CREATE TABLE reviews (id integer PRIMARY KEY, text text);
CREATE EXTENSION pg_tandem;
SELECT tandem.register_release(41), tandem.switch_release(41);
SQL
$node->safe_psql('postgres', 'CREATE DATABASE fixture');
$node->safe_psql('fixture', $template);

# The lines of the table: what is changed, and the call.
my ($section) = slurp_file("$FindBin::Bin/../../README.md") =~ /^## One call for each change\n(.*?)^## /ms;
my @lines = $section =~ /^\| ([^|`]+) \| `([^`]+)` \| \d+ \|$/mg;
my %call = @lines;

is_deeply([ sort keys %call ], [ sort keys %after ], 'every line of the table is executed here');
cmp_ok(scalar keys %call, '>=', 15, 'and there are at least 15');

# A row of each release, by its views.
sub write_as_both
{
	my ($database, $change) = @_;
	my $films = $films{$change} || 'films';
	my $name = $name{$change} || 'name';
	my %columns = (id => 11, $name => q('Rope'), year => 1948, studio => 2);

	$node->safe_psql($database, q(SET tandem.release = 41; INSERT INTO release_41.films (id, name, year, studio) VALUES (10, 'Frenzy', 1972, 1);
		UPDATE release_41.films SET name = 'Topaz' WHERE id = 10));
	$columns{studio} = q('S2') if $change eq 'and other values';
	delete $columns{studio} if $change eq 'drop a column';
	delete $columns{year} if $change eq 'drop one that the old release needs';
	my $list = join ', ', sort keys %columns;
	my $values = join ', ', map { $columns{$_} } sort keys %columns;
	$node->safe_psql($database, "SET tandem.release = 42; INSERT INTO release_42.$films ($list) VALUES ($values); UPDATE release_42.$films SET $name = 'The Birds' WHERE id = 11");
	is($node->safe_psql($database, 'SELECT name FROM release_41.films WHERE id IN (10, 11) ORDER BY id'), "Topaz\nThe Birds", "$change: release 41 sees what both have written");
	is($node->safe_psql($database, "SELECT $name FROM release_42.$films WHERE id IN (10, 11) ORDER BY id"), "Topaz\nThe Birds", "$change: so does release 42");
	return;
}

foreach my $change (sort keys %call)
{
	foreach my $end ('contract', 'abort')
	{
		my $database = lc($end . '_' . ($change =~ s/\W/_/gr));
		my $expand = "SELECT tandem.create_migration('m', 42); SELECT tandem.$call{$change}; SELECT tandem.create_views(41); SELECT tandem.create_views(42)";

		$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE fixture");
		my $before = schema_of($node, $database);
		# both releases have views of the table, whatever is changed
		$expand =~ s/create_views\((\d+)\)/create_views($1, relations => '{films}')/g;
		my ($status, $out, $err) = $node->psql($database, "BEGIN; $expand; COMMIT", on_error_die => 0, on_error_stop => 1);
		is($status, 0, "$change: one call") or diag($err);
		is($node->safe_psql($database, "SELECT count(*) FROM tandem.operations WHERE migration = 'm'"),
			$listed{$change} || ($call{$change} =~ /not_null/ && $call{$change} =~ /^add_column/ ? 2 : 1), "$change: is listed");
		is($node->safe_psql($database, $after{$change}), 'f', "$change: not yet on the table") if $change !~ /^add (a column|one)/;
		# what has nothing to fill is ready at once
		my $ready = $node->safe_psql($database, 'SELECT healthy FROM tandem.health(42)');
		is($ready, $change =~ /^(drop|rename|any)/ ? 't' : 'f', "$change: ready at once, or after migrate");
		$node->safe_psql($database, "CALL tandem.migrate('m')") if $ready eq 'f';
		write_as_both($database, $change);
		if ($end eq 'abort')
		{
			$node->safe_psql($database, "CALL tandem.abort('m', force => true)");
			is(schema_of($node, $database), $before, "$change: abort leaves no trace");
			next;
		}
		($status, $out, $err) = $node->psql($database, "SELECT tandem.switch_release(42); CALL tandem.contract('m', undeclared => 'ignore')", on_error_stop => 1);
		is($status, 0, "$change: contract") or diag($err);
		is($node->safe_psql($database, $after{$change}), 't', "$change: is there after contract");
		is($node->safe_psql($database, 'SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = \'public\'::regnamespace AND NOT t.tgisinternal'), 0, "$change: nothing is left to do");
		is($node->safe_psql($database, "SELECT DISTINCT state FROM tandem.operations WHERE migration = 'm'"), 'done', "$change: and told as done");
	}
}

$node->stop;
done_testing();
