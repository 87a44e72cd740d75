# Three migrations, by the staged way, with tandem.at_once, and with tandem_stub.sql: the schemas that pg_dump
# shows are the same. The stub has the signatures of the extension, and can be run twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use PostgreSQL::Test::Utils qw(slurp_file);
use Test::More;

my $node = new_server('main', conf => "autovacuum = off\n");
chomp(my $share = qx(@{[ $ENV{PG_CONFIG} // "pg_config" ]} --sharedir));
my $stub = "$share/extension/tandem_stub.sql";

my @migrations = (
	[   'types', 42, q{
		SELECT tandem.create_migration('types', 42);
		SELECT tandem.change_column('types', 'films', 'rating', 'bigint', bare_table => true);}
	],
	[   'split', 43, q{
		SELECT tandem.create_migration('split', 43);
		SELECT tandem.add_column('split', 'films', 'first', 'text');
		SELECT tandem.add_column('split', 'films', 'last', 'text');
		SELECT tandem.sync_columns('split', 'films', old => '{full_name}', new => '{first,last}',
			up => ARRAY[$$split_part(full_name, ' ', 1)$$, $$split_part(full_name, ' ', 2)$$],
			down => ARRAY[$$first || ' ' || last$$]);}
	],
	[   'names', 44, q{
		SELECT tandem.create_migration('names', 44);
		SELECT tandem.rename_column('names', 'films', 'title', 'label');}
	]);

sub in_transaction
{
	my ($database, $script) = @_;
	my ($code, $out, $err) = $node->psql($database, "BEGIN; $script COMMIT;", on_error_stop => 1);

	is($code, 0, "$database: the script runs") or diag($err);
	return $err;
}

sub dumped
{
	my ($database, @options) = @_;
	my $file = $node->basedir . "/$database.sql";

	$node->command_ok([ 'pg_dump', '--schema-only', @options, '-f', $file, '-d', $node->connstr($database) ], "$database is dumped");
	my $text = slurp_file($file);
	$text =~ s/^\\(un)?restrict .*\n//mg;
	return $text;
}

$node->safe_psql('postgres', "CREATE ROLE developer LOGIN");
foreach my $database (qw(staged at_once stub))
{
	$node->safe_psql('postgres', "CREATE DATABASE $database OWNER developer");
	$node->safe_psql($database, 'DROP EXTENSION IF EXISTS pg_tandem');
	$node->safe_psql($database, 'CREATE EXTENSION pg_tandem') if $database ne 'stub';
	$node->safe_psql($database, <<'SQL');
CREATE TABLE films (id serial PRIMARY KEY, title text NOT NULL, rating numeric NOT NULL DEFAULT 0, full_name text,
	CONSTRAINT films_title_key UNIQUE (title));
INSERT INTO films (title, rating, full_name) SELECT 'f' || i, i, 'A' || i || ' B' || i FROM generate_series(1, 50) i;
CREATE INDEX films_rating ON films (rating DESC) INCLUDE (title);
COMMENT ON COLUMN films.rating IS 'stars';
COMMENT ON INDEX films_rating IS 'by stars';
CREATE VIEW best AS SELECT title, rating FROM films WHERE id > 3;
COMMENT ON VIEW best IS 'the best';
GRANT SELECT (rating) ON films TO PUBLIC;
GRANT SELECT ON best TO PUBLIC;
SQL
}
$node->safe_psql('postgres', 'ALTER DATABASE at_once SET tandem.at_once = on');

# twice, by a role that is no superuser
$node->safe_psql('stub', "SET ROLE developer;\n" . slurp_file($stub)) for (1, 2);
my ($code, $out, $err) = $node->psql('at_once', slurp_file($stub), on_error_stop => 1);
like($err, qr/extension pg_tandem is installed/, 'the stub refuses a database that has the extension');

foreach my $migration (@migrations)
{
	my ($name, $release, $script) = @$migration;

	in_transaction($_, $script) foreach qw(staged at_once stub);
	# again, and what a script for production calls next
	foreach my $database (qw(at_once stub))
	{
		like(in_transaction($database, $script), qr/skipping/, "$database: again it says that it was done");
		foreach my $call ("CALL tandem.migrate('$name')", "SELECT tandem.start_migrate('$name')", "CALL tandem.contract('$name')")
		{
			my ($code, $out, $err) = $node->psql($database, $call);
			is($code, 0, "$database: $call");
			like($err, qr/NOTICE/, '... says so');
		}
	}
	$node->safe_psql('staged', $_)
	  foreach ("CALL tandem.migrate('$name')", "SELECT tandem.switch_release($release)", "CALL tandem.contract('$name', undeclared => 'ignore')");
}

my @of_users = ('--schema=public');
my $wanted = dumped('staged', @of_users);
like($wanted, qr/rating bigint/, 'the dump has the shape after contract');
is(dumped($_, @of_users), $wanted, "$_: the same schema") foreach qw(at_once stub);
my $rows = $node->safe_psql('staged', 'SELECT * FROM films ORDER BY id');
is($node->safe_psql($_, 'SELECT * FROM films ORDER BY id'), $rows, "$_: the same rows") foreach qw(at_once stub);

# What scripts call has the same signatures in both.
my $signatures = q(SELECT proname, proargnames, oidvectortypes(proargtypes), pg_get_expr(proargdefaults, 0), prokind
	FROM pg_proc WHERE pronamespace = 'tandem'::regnamespace AND proname !~ '^(plain_|once_)' ORDER BY proname, 3);
my %extension = map { $_ => 1 } split /\n/, $node->safe_psql('at_once', $signatures);
my @of_stub = split /\n/, $node->safe_psql('stub', $signatures);
is_deeply([ grep { !$extension{$_} } @of_stub ], [], 'each function of the stub has its signature from the extension');
my %has = map { (split /\|/)[0] => 1 } @of_stub;
my @operations = grep { /^once_/ } split /\n/, $node->safe_psql('at_once', q(SELECT proname FROM pg_proc WHERE pronamespace = 'tandem'::regnamespace));
s/^once_// foreach @operations;
is_deeply([ grep { !$has{$_} } @operations ], [], 'the stub has each operation');

done_testing();
