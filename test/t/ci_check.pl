# doc/ci/check stops a pipeline where a script would break the release that is running, in a copy of the schema made as
# doc/review.md says; its recipes are YAML, and a test of pg_regress.  test/recipes runs them in a bare chroot.
use strict;
use warnings;

use CPAN::Meta::YAML;
use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $doc = "$FindBin::Bin/../../doc";
my $folder = PostgreSQL::Test::Utils::tempdir;
my $copies = 0;

# what production has, with a migration that is open
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE deployer;
CREATE ROLE app;
GRANT CREATE ON DATABASE postgres TO deployer;
GRANT CREATE ON SCHEMA public TO deployer;
GRANT EXECUTE ON FUNCTION tandem.switch_release, tandem.register_release, tandem.record_shape TO deployer;
SET ROLE deployer;
CREATE TABLE orders (id int PRIMARY KEY, total int, note text);
GRANT SELECT, INSERT ON orders TO app;
SELECT tandem.register_release(41);
SELECT tandem.switch_release(41);
SELECT tandem.record_shape(41, '{orders}');
SELECT tandem.create_migration('open', release => 42);
SELECT tandem.change_column('open', 'orders', 'total', 'bigint');
SQL
mkdir "$folder/$_" foreach qw(schema doc doc/ci migrations migrations/next);
run_ok('the page of reviews makes the copy', $folder, { PRODUCTION => $node->connstr('postgres') },
	map { /^    (pg_dump.*)/ ? $1 : () } split /\n/, slurp_file("$doc/review.md"));
# the copy in which the file is loaded is of another server
my $pipeline = new_server('pipeline');

# runs commands of bash in a folder
sub run_ok
{
	my ($name, $where, $env, @commands) = @_;
	my ($out, $err) = ('', '');
	local %ENV = (%ENV, %$env);

	IPC::Run::run([ 'bash', '-c', join("\n", 'set -e; cd "$0"', @commands), $where ], '>', \$out, '2>', \$err);
	is($?, 0, $name) or diag($out, $err);
	return $err;
}

sub environment
{
	my ($database) = @_;

	return { PGHOST => $pipeline->host, PGPORT => $pipeline->port, PGDATABASE => $database };
}

# Returns the environment of a copy of production.
sub new_copy
{
	my $database = 'copy' . ++$copies;

	$pipeline->safe_psql('postgres', "CREATE DATABASE $database");
	run_ok("$database is loaded", $folder, environment($database), 'psql -Xq -f schema/production.sql');
	return environment($database);
}

sub script
{
	my ($name, $sql) = @_;

	append_to_file("$folder/$name.sql", $sql);
	return "$folder/$name.sql";
}

# what it ends with, and says
sub check
{
	my ($env, @arguments) = @_;
	my ($out, $err) = ('', '');
	local %ENV = (%ENV, %$env);

	IPC::Run::run([ "$doc/ci/check", @arguments ], '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

my $copy = new_copy();
my $columns = q(SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0);
my $adds = script('adds', "-- it's \"one\"; of \$x\$ two\n" . "ALTER TABLE orders ADD place text; SELECT '" . 'x' x 300_000 . "' IS NULL;");
my $follows = script('follows', 'ALTER TABLE orders ALTER place SET DEFAULT $$it\'s$$');
my $breaks = script('breaks', "-- drops\nALTER TABLE orders\n\tDROP note");
my $fails = script('fails', "SELECT 1;\nALTER TABLE order DROP total");
my $tool = script('tool', "\\set ON_ERROR_STOP on\nBEGIN;\nALTER TABLE orders ADD made_by text;\nCOMMIT;\n");
my $builds = script('builds', "CREATE INDEX CONCURRENTLY orders_note ON orders (note);\n");
my $expands = script('expands', "BEGIN;\nSELECT tandem.create_migration('next', release => 43);\n" .
	  "SELECT tandem.drop_column('next', 'orders', 'note');\nCOMMIT;\nCALL tandem.migrate('next');\n");

my ($status, $out, $err) = check($copy, 41, $adds, $follows);
is($status, 0, 'scripts that break nothing pass') or diag($err);
like($out, qr/adds.sql: release 41 works\n.*follows.sql: release 41 works\n/, 'it says so');
($status, $out, $err) = check($copy, 41, $breaks, $follows);
is($status, 1, 'one that breaks the release does not');
like($err, qr/release 41 would not work after this script\nDETAIL:  - public.orders, column note: is missing\n/, 'and it says why');
like($err, qr{/breaks.sql:2: drop-column: the release before may still use column note\n    SELECT tandem.drop_column\('m', 'public.orders', 'note'\);\n},
	'with the line, and what to do instead');
is($pipeline->safe_psql($copy->{PGDATABASE}, $columns), 'id total note total__42 place', 'what passes has been run, what breaks has not');
($status, $out, $err) = check($copy, 41, $fails);
is($status, 1, 'nor does one that fails');
like($err, qr{ERROR:  line 2 of the script: syntax error at or near "order"}, 'with its error');
($status, $out, $err) = check($copy, 41, $tool, $builds, $expands);
is($status, 0, 'scripts as tools print them, and of pg_tandem') or diag($err);
unlike($err, qr/transaction in progress/, 'without a warning of a transaction');
is($pipeline->safe_psql($copy->{PGDATABASE}, "SELECT to_regclass('orders_note')"), 'orders_note', 'what was passed over has been run then');
is((check($copy, 41, "$folder/none/*.sql"))[0], 0, 'a change without scripts passes');
is((check($copy, 41, "$folder/none.sql"))[0], 1, 'a script that is not there does not');
is((check($copy, 40, $adds))[0], 2, 'nor does a release of which nothing is recorded');
is((check($copy, 41))[0], 2, 'it asks for a script');
is((check($copy, 'x', $adds))[0], 2, 'and for a number');

# no script is to blame for a copy that is not like production
$pipeline->safe_psql($copy->{PGDATABASE}, 'REVOKE SELECT ON orders FROM app');
($status, $out, $err) = check($copy, 41, $follows);
is($status, 2, 'a copy that lacks something');
like($err, qr/lost: app SELECT.*\nrelease 41 does not work in this database before any script/s, 'is said to');

# one step each
foreach my $recipe ([ 'github.yml', sub { map { $_->{run} // () } @{ $_[0]{jobs}{check}{steps} } } ], [ 'gitlab.yml', sub { @{ $_[0]{schema}{script} } } ])
{
	my ($file, $steps) = @$recipe;
	my $yaml = CPAN::Meta::YAML->read("$doc/ci/$file") or die CPAN::Meta::YAML->errstr;
	is((grep { m{doc/ci/check "\$RELEASE" } } $steps->($yaml->[0])), 1, "$file: one step checks");
}

# by pg_regress the file is its own result
sub regress
{
	my ($database) = @_;
	my ($out, $err) = ('', '');
	local %ENV = (%ENV, %{ environment($database) });

	$pipeline->safe_psql('postgres', "CREATE DATABASE $database");
	IPC::Run::run([ 'bash', '-c', 'cd "$0" && exec "$@"', $folder, $ENV{PG_REGRESS}, '--use-existing', "--dbname=$database",
		"--bindir=" . $pipeline->config_data('--bindir'), 'shape' ], '>', \$out, '2>', \$err);
	return $? >> 8;
}

mkdir "$folder/$_" foreach qw(sql expected);
run_ok('the recipe of pg_regress is copied', $folder, {}, "cp '$doc/ci/check' doc/ci",
	map { "cp '$doc/ci/pg_regress.sql' $_" } qw(sql/shape.sql expected/shape.out));
script('migrations/next/1', 'ALTER TABLE orders ADD place text;');
is(regress('regress1'), 0, 'pg_regress passes') or diag(slurp_file("$folder/regression.diffs"));
script('migrations/next/2', 'ALTER TABLE orders DROP note;');
isnt(regress('regress2'), 0, 'pg_regress fails');
like(slurp_file("$folder/regression.diffs"), qr/^\+DETAIL:  - public.orders, column note: is missing/m, 'with the line that says why');

$node->stop;
$pipeline->stop;
done_testing();
