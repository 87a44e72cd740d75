# doc/ci/check stops a pipeline where a script would break the release that is running, in a copy of the schema made as
# the page says; and its recipes are YAML.
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

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE orders (id int PRIMARY KEY, total int, note text);
SELECT tandem.record_shape(41, '{orders}');
SQL
foreach my $what ([ 'schema', '--schema-only' ], [ 'shape', '--data-only', '--table=tandem.shape' ])
{
	my ($name, @options) = @$what;
	$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', "$folder/$name.sql", @options ], "$name is dumped");
}
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', "$folder/$_.sql" ], "and restored: $_") foreach qw(schema shape);

sub script
{
	my ($name, $sql) = @_;

	append_to_file("$folder/$name.sql", $sql);
	return "$folder/$name.sql";
}

# what it ends with, and says
sub check
{
	my ($out, $err) = ('', '');
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'copy';

	IPC::Run::run([ "$doc/ci/check", @_ ], '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

my $adds = script('adds', "-- it's \"one\"; of \$x\$ two\n" . "ALTER TABLE orders ADD place text; SELECT '" . 'x' x 300_000 . "' IS NULL;");
my $follows = script('follows', 'ALTER TABLE orders ALTER place SET DEFAULT $$it\'s$$');
my $breaks = script('breaks', 'ALTER TABLE orders DROP total');
my $fails = script('fails', 'ALTER TABLE order DROP total');

my ($status, $out, $err) = check(41, $adds, $follows);
is($status, 0, 'scripts that break nothing pass') or diag($err);
like($out, qr/adds.sql: release 41 works\n.*follows.sql: release 41 works\n/, 'it says so');
($status, $out, $err) = check(41, $breaks, $follows);
is($status, 1, 'one that breaks the release does not');
like($err, qr/release 41 would not work after this script\nDETAIL:  - public.orders, column total: is missing\n/, 'and it says why');
is($node->safe_psql('copy', q(SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0)), 'id total note place',
	'what passes has been run, what breaks has not');
($status, $out, $err) = check(41, $fails);
is($status, 1, 'nor does one that fails');
like($err, qr{ERROR:  line 1 of the script: syntax error at or near "order"}, 'with its error');
is((check(40, $adds))[0], 1, 'nor a release of which nothing is recorded');
is((check(41))[0], 2, 'it asks for a script');

# one step each
foreach my $recipe ([ 'github.yml', sub { map { $_->{run} // () } @{ $_[0]{jobs}{check}{steps} } } ], [ 'gitlab.yml', sub { @{ $_[0]{schema}{script} } } ])
{
	my ($file, $steps) = @$recipe;
	my $yaml = CPAN::Meta::YAML->read("$doc/ci/$file") or die CPAN::Meta::YAML->errstr;
	is((grep { m{doc/ci/check "\$RELEASE" } } $steps->($yaml->[0])), 1, "$file: one step checks");
}

$node->stop;
done_testing();
