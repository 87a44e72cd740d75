# Several servers that send each other their own rows, one release after the other: each takes the columns of
# the release that it is at, so they expand, contract and abort minutes apart, and nothing stops or is lost.
# A row filter keeps what comes from the other from going back, which 15 has, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my %server = map { $_ => new_server($_, conf => "wal_level = logical\nwal_retrieve_retry_interval = 200ms\nautovacuum = off\n") } qw(a b);
my %other = (a => 'b', b => 'a');
my $rows = 'SELECT id, region, n, %s FROM images ORDER BY id';
my $id = 0;

sub sql
{
	my ($name, $sql) = @_;

	return $server{$name}->safe_psql('postgres', $sql);
}

sub catch_up
{
	$server{$_}->wait_for_catchup("s_$_") foreach qw(a b);
	return;
}

# A row of each server, then another value in all of its own rows.
sub write_rows
{
	my (%column) = @_;

	foreach my $name (qw(a b))
	{
		my $column = $column{$name};
		my $value = $column eq 'visibility' ? q('public') : 'true';

		$id++;
		sql($name, "INSERT INTO images (id, region, n, $column) VALUES ($id, '$name', $id, $value)");
		sql($name, "UPDATE images SET n = n + 1 WHERE region = '$name'");
	}
	return;
}

sub errors
{
	my ($name) = @_;

	return sql($name, 'SELECT sum(apply_error_count) FROM pg_stat_subscription_stats');
}

sub are_equal
{
	my ($what, $columns) = @_;

	catch_up();
	my ($on_a, $on_b) = map { sql($_, sprintf $rows, $columns) } qw(a b);

	is($on_a, $on_b, "$what: both have the same rows");
	is(scalar(split /\n/, $on_a), $id, "$what: all of them");
	is(errors($_), 0, "$what: nothing has failed on $_") foreach qw(a b);
	return;
}

my %expand = (
	42 => q(SELECT tandem.create_migration('m42', 42);
		SELECT tandem.add_column('m42', 'images', 'visibility', 'text');
		SELECT tandem.sync_column('m42', 'images', 'is_public', 'visibility',
			$$CASE WHEN is_public THEN 'public' ELSE 'private' END$$, $$visibility = 'public'$$);),
	43 => q(SELECT tandem.create_migration('m43', 43);
		SELECT tandem.add_column('m43', 'images', 'twice', 'int');
		SELECT tandem.sync_column('m43', 'images', 'n', 'twice', 'n * 2', 'twice / 2');),
	44 => q(SELECT tandem.create_migration('m44', 44);
		SELECT tandem.add_column('m44', 'images', 'note', 'text');));

sub expand_to
{
	my ($name, $release) = @_;

	return sql($name, "BEGIN; $expand{$release} COMMIT;");
}

sub publications
{
	return join ' ', map { sql($_, 'SELECT subpublications FROM pg_subscription') } qw(a b);
}

foreach my $name (qw(a b))
{
	sql($name, <<"SQL");
CREATE TABLE images (id int, region text, n int, is_public boolean, PRIMARY KEY (id, region));
CREATE PUBLICATION p FOR TABLE images WHERE (region = '$name');
CREATE PUBLICATION notes;
SELECT tandem.create_publication(41, 'p');
SQL
}
sql($_, "CREATE SUBSCRIPTION s_$other{$_} CONNECTION '" . $server{ $other{$_} }->connstr . " dbname=postgres' PUBLICATION release_41, notes")
  foreach qw(a b);
$server{$_}->wait_for_subscription_sync($server{ $other{$_} }, "s_$other{$_}") foreach qw(a b);
write_rows(a => 'is_public', b => 'is_public');
are_equal('before', 'is_public');

# Rule: a server that expands takes all columns from then on, the other one those that it has.
expand_to('a', 42);
is(publications(), '{p,notes} {release_41,notes}', 'a has expanded, b has not');
write_rows(a => 'visibility', b => 'is_public');
are_equal('one has expanded', 'is_public');
is(sql('a', q(SELECT count(*) FROM images WHERE visibility IS DISTINCT FROM 'public' AND id > 2)), 0, 'one has expanded: a derives its column');

# what only the new column can say comes along as soon as both have it
expand_to('b', 42);
is(publications(), '{p,notes} {p,notes}', 'both have expanded');
sql('a', q(UPDATE images SET visibility = 'shared' WHERE id = 3));
write_rows(a => 'is_public', b => 'visibility');
are_equal('both have expanded', 'is_public, visibility');
sql($_, q(CALL tandem.migrate('m42'))) foreach qw(a b);
are_equal('both are filled', 'is_public, visibility');

# Rule: a server that contracts takes what the new release sees, also of what was written before.
sql('a', 'ALTER SUBSCRIPTION s_b DISABLE');
write_rows(a => 'visibility', b => 'is_public');
sql('a', q(CALL tandem.contract('m42', undeclared => 'ignore')));
is(publications(), '{release_42,notes} {p,notes}', 'a has contracted, b has not');
sql('a', 'ALTER SUBSCRIPTION s_b ENABLE');
write_rows(a => 'visibility', b => 'is_public');
are_equal('one has contracted', 'visibility');
is(sql('b', q(SELECT is_public, visibility FROM images WHERE id = 3)), 'f|shared', 'one has contracted: b keeps both columns');

# Rule: whoever takes what it has no columns for stops, loses nothing, and goes on with what it has.
sql('a', 'SELECT tandem.take_release()');
write_rows(a => 'visibility', b => 'is_public');
wait_for_running($server{a}, 'SELECT sum(apply_error_count) > 0 FROM pg_stat_subscription_stats');
sql('a', 'SELECT tandem.take_release(42)');
catch_up();
is(sql('a', sprintf $rows, 'visibility'), sql('b', sprintf $rows, 'visibility'), 'stopped, and going on: both have the same rows');
sql('a', 'SELECT pg_stat_reset_subscription_stats(NULL)');

sql('b', q(CALL tandem.contract('m42', undeclared => 'ignore')));
write_rows(a => 'visibility', b => 'visibility');
are_equal('both have contracted', 'visibility');
is(sql($_, q(SELECT string_agg(pubname, ' ' ORDER BY pubname) FROM pg_publication)), 'notes p release_42', "both have contracted: the publication of 41 is gone on $_")
  foreach qw(a b);

# Rule: before a server aborts it takes what the release before sees.
expand_to('a', 43);
expand_to('b', 43);
write_rows(a => 'visibility', b => 'visibility');
sql('a', q(CALL tandem.abort('m43')));
is(publications(), '{release_42,notes} {p,notes}', 'a has aborted, b has not');
write_rows(a => 'visibility', b => 'visibility');
are_equal('one has aborted', 'visibility');
sql('b', q(CALL tandem.abort('m43')));
write_rows(a => 'visibility', b => 'visibility');
are_equal('both have aborted', 'visibility');

# whose subscription is another's
foreach my $name (qw(a b))
{
	sql($name, q(CREATE ROLE tandem_owner; GRANT CREATE ON DATABASE postgres TO tandem_owner; ALTER TABLE images OWNER TO tandem_owner;
		GRANT USAGE, CREATE ON SCHEMA public TO tandem_owner; GRANT EXECUTE ON FUNCTION tandem.switch_release TO tandem_owner;
		ALTER PUBLICATION release_42 OWNER TO tandem_owner));
}
my ($status, $out, $err) = $server{a}->psql('postgres', "SET ROLE tandem_owner; BEGIN; $expand{43} COMMIT;");
is($status, 0, 'expand by a role that owns the tables alone');
like($err, qr/WARNING:  must be owner of subscription s_b.*HINT:  After the commit, as a member of role \w+ run ALTER SUBSCRIPTION s_b SET PUBLICATION p, notes WITH \(refresh = false\);/s,
	'expand: says which statement is left to do');
sql('a', 'SELECT tandem.take_release()');
# Rule: a right that is missing is found before the run is stopped.
sql('a', q(SELECT tandem.configure('m43', 'tandem.max_rows_per_second', '1'); INSERT INTO images (id, region, n) SELECT i, 'a', i FROM generate_series(1000, 1100) i;
	CALL tandem.migrate('m43', background => true)));
my $running = q(SELECT running_pid FROM tandem.migrations WHERE name = 'm43' AND running_pid IS NOT NULL);
wait_for_running($server{a}, "SELECT EXISTS ($running)");
my $runner = sql('a', $running);
is_refused($server{a}, q(SET ROLE tandem_owner; CALL tandem.abort('m43')),
	qr/must be owner of subscription s_b.*HINT:  As a member of role \w+ run ALTER SUBSCRIPTION s_b SET PUBLICATION release_42, notes WITH \(refresh = false\); then call it again/s,
	'abort by such a role');
is(sql('a', $running), $runner, 'abort that is refused: the run goes on');
sql('a', q(CALL tandem.abort('m43')));
is(publications(), '{release_42,notes} {release_42,notes}', 'abort by one that may');

# Rule: contract takes the columns of a later release, too, if that is expanded.
foreach my $name (qw(a b))
{
	sql($name, "BEGIN; $expand{43} COMMIT; BEGIN; $expand{44} COMMIT");
	sql($name, q(CALL tandem.migrate('m43')));
}
catch_up();
sql('a', q(CALL tandem.contract('m43', undeclared => 'ignore')));
is(publications(), '{release_44,notes} {p,notes}', 'a has contracted the earlier one of two');
sql('b', q(INSERT INTO images (id, region, twice, visibility, note) VALUES (2000, 'b', 4, 'public', 'of 44')));
$server{b}->wait_for_catchup('s_b');
is(sql('a', 'SELECT twice, note FROM images WHERE id = 2000'), '4|of 44', 'what only the columns of the later one say has come');
done_testing();
