# A publisher and a subscriber that have the same syncs: what the sync of the one has made of a row arrives
# at the other as written by somebody, and stays as it is, also where a transform fails.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my %node = map { $_ => new_server($_) } qw(publisher subscriber);

sub sql { return $node{ $_[0] }->safe_psql('postgres', $_[1]); }

sub sql_on_both { return map { sql($_, $_[0]) } qw(publisher subscriber); }

sub are_alike
{
	my ($query, $expected, $what) = @_;

	$node{publisher}->wait_for_catchup('s');
	is_deeply([ sql_on_both($query) ], [ $expected, $expected ], $what);
	return;
}

my @modes = qw(error new old);

sql_on_both(join ';', map { <<"SQL" } @modes);
CREATE TABLE $_ (id int PRIMARY KEY, word text, number int);
INSERT INTO $_ SELECT i, i, i FROM generate_series(1, 4) i;
SELECT tandem.create_migration('$_');
SELECT tandem.sync_column('$_', '$_', 'word', 'number', 'word::int', 'CASE WHEN number < 0 THEN 1 / (number - number) ELSE number END::text',
	on_conflict => '$_', on_error => 'quarantine');
SQL
sql('publisher', 'CREATE PUBLICATION p FOR TABLE ' . join(', ', map { "\"$_\"" } @modes));
sql('subscriber', sprintf(q(CREATE SUBSCRIPTION s CONNECTION '%s' PUBLICATION p WITH (copy_data = false)),
	$node{publisher}->connstr . ' dbname=postgres'));
$node{subscriber}->wait_for_subscription_sync($node{publisher}, 's');

foreach my $mode (@modes)
{
	sql('publisher', "UPDATE $mode SET word = 'one' WHERE id = 1");
	sql('publisher', "UPDATE $mode SET number = -2 WHERE id = 2");
	sql('publisher', "INSERT INTO $mode (id, word) VALUES (5, 'five')");
	sql('publisher', "INSERT INTO $mode (id, number) VALUES (6, -6)");
	sql('publisher', "UPDATE $mode SET word = '30' WHERE id = 3");
	are_alike("SELECT id, word, number FROM $mode ORDER BY id", "1|one|\n2||-2\n3|30|30\n4|4|4\n5|five|\n6||-6",
		"on_conflict => $mode: rows in quarantine arrive as they are");
	are_alike("SELECT key, direction FROM tandem.quarantine WHERE migration = '$mode' ORDER BY key, direction",
		qq({"id": "1"}|up\n{"id": "2"}|down\n{"id": "5"}|up\n{"id": "6"}|down), "on_conflict => $mode: and are in quarantine there");
}

# so does a writer who saves such a row as a whole
sql('publisher', q(UPDATE error SET word = 'four', number = NULL WHERE id = 4));
is(sql('publisher', 'SELECT word, number FROM error WHERE id = 4'), 'four|', 'a row saved as a whole, as the quarantine leaves it');
is_refused($node{publisher}, q(UPDATE error SET word = '3', number = NULL WHERE id = 3), qr/were both written, and disagree/,
	'a null that no failure explains');

done_testing();
