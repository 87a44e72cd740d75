# Texts of others, cut to a length or written in another encoding: what is stored of them is valid, and
# a dump of it is restored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
my $folder = PostgreSQL::Test::Utils::tempdir;
my @server = ('-h', $node->host, '-p', $node->port);

# Whether every text that is stored is valid, which the server does not ask when it reads one.
sub is_valid
{
	my ($what) = @_;

	foreach my $table ($node->safe_psql('postgres', q(SELECT string_agg(oid::regclass::text, ' ') FROM pg_class
		WHERE relnamespace = 'tandem'::regnamespace AND relkind = 'r')) =~ /(\S+)/g)
	{
		my ($status, $out, $err) = $node->psql('postgres', "SELECT count(convert_from(convert_to(t::text, 'UTF8'), 'UTF8')) FROM $table t");

		is($err, '', "$what: $table");
	}
	return;
}

# The message, detail and hint of a statement that a worker runs pass through 2,048 bytes each.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE items (id int PRIMARY KEY, price int);
INSERT INTO items VALUES (1, 1);
CREATE FUNCTION says(price int, lead int, bytes int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE
	letter text := (ARRAY['x', 'é', '€', '😀'])[bytes];
BEGIN
	IF current_setting('application_name') <> 'pg_tandem' THEN
		RETURN price;
	END IF;
	RAISE EXCEPTION USING message = repeat('m', lead) || repeat(letter, 3000), detail = repeat('d', lead) || repeat(letter, 3000),
		hint = repeat('h', lead) || repeat(letter, 3000);
END $$;
SQL
foreach my $bytes (1 .. 4)
{
	foreach my $lead (0 .. 3)
	{
		my $name = "cut_${bytes}_$lead";
		my $letter = ('x', "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80")[ $bytes - 1 ];
		my $letters = int((2047 - $lead) / $bytes);

		$node->safe_psql('postgres', <<"SQL");
SELECT tandem.create_migration('$name');
SELECT tandem.add_index('$name', 'CREATE INDEX $name ON items (says(price, $lead, $bytes))');
SQL
		my ($status, $out, $err) = $node->psql('postgres', "CALL tandem.migrate('$name')");
		isnt($status, 0, "$name: the statement fails");
		like($err, qr/ERROR:  m{$lead}(?:$letter){$letters}\n/, "$name: the message is cut after $letters whole letters");
		like($err, qr/DETAIL:  d{$lead}(?:$letter){$letters}\n/, "$name: and the detail");
	}
}
is_valid('cut');

# The name of a worker, of 96 bytes.
foreach my $lead (0 .. 3)
{
	my $name = 'n' x $lead . "\xf0\x9f\x98\x80" x 60;

	$node->safe_psql('postgres', <<"SQL");
CREATE TABLE named_$lead (id int PRIMARY KEY, price int);
SELECT tandem.create_migration('$name');
SELECT tandem.add_index('$name', 'CREATE INDEX ON named_$lead (price)');
CALL tandem.migrate('$name');
SQL
}
pass('migrations of long names are migrated');

# A role whose name is of another encoding: names of roles are shared by all databases.
$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$node->safe_psql('latin', "SET client_encoding = 'UTF8'; CREATE ROLE \"m\xc3\xbcller\" LOGIN; CREATE ROLE \"m\xc3\xbc\" LOGIN");
foreach my $role ("m\xfcller", "m\xfc")
{
	my ($status, $out, $err) = $node->psql('postgres', "SELECT tandem.create_migration('of_' || octet_length(current_user::text))",
		extra_params => [ '-U', $role ]);

	is($status, 0, 'a role of another encoding creates a migration') or diag($err);
}
# an error that is kept quotes such a name
$node->safe_psql('postgres', 'GRANT CREATE ON SCHEMA public TO PUBLIC');
foreach my $sql (
	q(CREATE TABLE owned (id int, price int, cents int) PARTITION BY LIST (id); CREATE TABLE owned_1 PARTITION OF owned DEFAULT; INSERT INTO owned VALUES (1, 1)),
	q(SELECT tandem.create_migration('owned'); SELECT tandem.sync_column('owned', 'owned', 'price', 'cents', 'price * 100'); SELECT tandem.add_index('owned', 'CREATE INDEX owned_cents ON owned (cents)')))
{
	my ($status, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', "m\xfc" ]);

	is($status, 0, 'such a role expands a table of its own') or diag($err);
}
$node->safe_psql('postgres', 'ALTER TABLE owned_1 OWNER TO postgres');
isnt(($node->psql('postgres', q(CALL tandem.migrate('owned'))))[0], 0, 'its run ends with an error');
like($node->safe_psql('postgres', q(SELECT string_agg(hint, '') FROM tandem.step_report)), qr/ALTER TABLE public.owned_1 OWNER TO "m\?"/, 'whose hint names it');
is_valid('another encoding');
# the server itself cannot restore a table of such a role
$node->safe_psql('postgres', q(CALL tandem.abort('owned'); DROP TABLE owned));
is($node->safe_psql('postgres', q(SELECT string_agg(tandem.role_name(created_by)::text, ' ' ORDER BY id) FROM tandem.migration WHERE name ~ '^of_')), 'm?ller m?',
	'a letter that is none here is a question mark');

$node->command_ok([ 'pg_dump', @server, '-Fc', '-f', "$folder/dump", 'postgres' ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->command_ok([ 'pg_restore', @server, '-1', '-d', 'again', "$folder/dump" ], 'and its restore');
is($node->safe_psql('again', 'SELECT count(*) FROM tandem.migration'), $node->safe_psql('postgres', 'SELECT count(*) FROM tandem.migration'),
	'with every migration');

done_testing();
