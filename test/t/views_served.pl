# A server of release 41 and one of 42, which live in the views of their release alone and have prepared
# what they run, through all that happens to a table: every statement is right or an error with 55T01,
# never a wrong value.  Neither has the library preloaded: the views alone keep them from what is not theirs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;
use Time::HiRes qw(usleep);
use WireClient;

my $node = new_server('main');
my $folder = PostgreSQL::Test::Utils::tempdir;
# what each release calls an amount, and how many of it are one unit
my %release = (
	41 => { column => 'price', note => 'note', unit => 1, row => 1 },
	42 => { column => 'cents', note => 'note', unit => 100, row => 2 },
	43 => { column => 'cents', note => 'remark', unit => 100, row => 3 });
my @servers;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Its statements, which it prepares by name, as drivers do; SELECT * among them.
sub statements
{
	my ($column, $note) = @_;

	return {
		whole => 'SELECT * FROM items WHERE id = 7',
		fixed => "SELECT $column, $note FROM items WHERE id = 7",
		own => "SELECT $column FROM items WHERE id = \$1",
		raise => "UPDATE items SET $column = \$2 WHERE id = \$1",
		reset => "UPDATE items SET $note = DEFAULT WHERE id = \$1",
		noted => "SELECT $note FROM items WHERE id = \$1",
		put => "INSERT INTO items (id, $column, $note) VALUES (\$1, \$2, DEFAULT)",
		upsert => "INSERT INTO items (id, $column) VALUES (\$1, \$2) ON CONFLICT (id) DO UPDATE SET $column = excluded.$column",
		take => "DELETE FROM items WHERE id = \$1 RETURNING $column, $note" };
}

# What could not be prepared is tried again each time.
sub execute
{
	my ($client, $name, @parameters) = @_;
	my $statement = 'EXECUTE ' . $name . (@parameters ? '(' . join(', ', @parameters) . ')' : '');
	my $result = $client->query($statement);

	return $result if $result->{state} ne '26000';
	$result = $client->query("PREPARE $name AS $client->{statements}{$name}");
	return $result->{state} eq '00000' ? $client->query($statement) : $result;
}

# One round of a server; returns what was wrong, and counts what was refused.
sub work
{
	my ($client, $release, $round, $columns, $refused) = @_;
	my ($unit, $own) = @{ $release{$release} }{qw(unit row)};
	my $other = 1000 * $release + $round % 100;
	my $amount = $round * $unit;
	my @wrong;
	my %result;
	# a column is written once it is filled: the server refuses it before
	my $early = $release > 41 ? qr/^(0A000|55000)$/ : qr/^$/;
	my $run = sub {
		my ($name, @parameters) = @_;
		my $result = execute($client, $name, @parameters);

		$result{$name} = $result;
		return 1 if $result->{state} eq '00000';
		$refused->{ $result->{state} }++;
		push @wrong, "$name: $result->{state} $result->{message}" if $result->{state} ne '55T01' && $result->{state} !~ $early;
		return 0;
	};
	my $is = sub {
		my ($name, @expected) = @_;
		my $got = join '|', map { $_ // 'null' } map { @$_ } @{ $result{$name}{rows} };

		push @wrong, "$name: $got, not " . join('|', @expected) if $got ne join '|', @expected;
		return;
	};

	$is->('fixed', 7 * $unit, 'seven') if $run->('fixed');
	push @wrong, 'whole: other columns' if $run->('whole') && @{ $result{whole}{rows}[0] } != $columns;
	$is->('own', $amount) if $run->('raise', $own, $amount) && $run->('own', $own);
	if ($run->('reset', $own) && $run->('noted', $own))
	{
		my $note = $result{noted}{rows}[0][0] // 'null';
		push @wrong, "a note $note" if $note !~ /^(none|other)$/;
	}
	$run->('upsert', $own, $amount);
	if ($run->('put', $other, $amount) && $run->('take', $other))
	{
		push @wrong, "taken: @{[ map { $_ // 'null' } @{ $result{take}{rows}[0] } ]}"
		  if $result{take}{rows}[0][0] != $amount || $result{take}{rows}[0][1] !~ /^(none|other)$/;
	}
	return @wrong;
}

sub serve
{
	my ($release, $file, $stop, $behind) = @_;
	my $client = WireClient->new($node, 'postgres', "-csearch_path=release_$release$behind");
	my %refused;
	my $columns = @{ ($client->query('SELECT * FROM items WHERE id = 7')->{rows}[0]) || [] };
	my @wrong;

	$client->{statements} = statements(@{ $release{$release} }{qw(column note)});
	for (my $round = 1; !-e $stop; $round++)
	{
		push @wrong, work($client, $release, $round, $columns, \%refused);
		append_to_file("$file.new", '');
		open my $out, '>', "$file.new" or die "$file: $!";
		print $out "$round\n", join(' ', map { "$_=$refused{$_}" } sort keys %refused), "\n", map { "$_\n" } @wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)];
		close $out;
		rename "$file.new", $file;
	}
	return;
}

# behind: what its search_path has besides the views
sub start_server
{
	my ($release, $behind) = (@_, '');
	my %server = (release => $release, file => "$folder/" . @servers, stop => "$folder/" . @servers . '.stop');

	$server{pid} = fork // die "fork: $!";
	if ($server{pid} == 0)
	{
		my $ended = eval { serve($release, $server{file}, $server{stop}, $behind); 1 };
		append_to_file("$server{file}.died", $@ || 'unknown') if !$ended;
		require POSIX;
		POSIX::_exit(0);
	}
	push @servers, \%server;
	return \%server;
}

sub report
{
	my ($server) = @_;

	return (0, '') if !-e $server->{file};
	my ($round, $refused, @wrong) = split /\n/, slurp_file($server->{file});
	return ($round, $refused // '', @wrong);
}

# Until each server has run all its statements twice since.
sub after
{
	my ($what, @only) = @_;
	my @watched = @only ? @only : @servers;
	my %since = map { $_->{file} => (report($_))[0] } @watched;

	foreach my $server (@watched)
	{
		my $tries = 10 * $PostgreSQL::Test::Utils::timeout_default;

		usleep(100_000) while (report($server))[0] < $since{ $server->{file} } + 3 && $tries-- > 0 && !-e "$server->{file}.died";
		my ($round, $refused, @wrong) = report($server);
		is(join("\n", @wrong), '', "$what: release $server->{release}, $round rounds");
		ok($tries > 0 && !-e "$server->{file}.died", "$what: release $server->{release} goes on");
	}
	return;
}

sub refused { return (report($_[0]))[1]; }

sql(<<'SQL');
CREATE SCHEMA app;
CREATE TABLE app.items (id int NOT NULL, price int, note text DEFAULT 'none', PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE app.items_0 PARTITION OF app.items FOR VALUES FROM (0) TO (100000);
INSERT INTO app.items SELECT i, i, CASE WHEN i = 7 THEN 'seven' END FROM generate_series(1, 3000) i;
SELECT tandem.create_views(41, schemas => '{app}');
SQL
my $server_41 = start_server(41);
after('at first');

sql(<<'SQL');
BEGIN;
SELECT tandem.create_migration('cents', release => 42);
SELECT tandem.add_column('cents', 'app.items', 'cents', 'bigint');
SELECT tandem.sync_column('cents', 'app.items', 'price', 'cents', 'price * 100', 'cents / 100');
SELECT tandem.create_views(42, schemas => '{app}');
COMMIT;
SQL
my $server_42 = start_server(42);
after('expand');

sql(q(CALL tandem.migrate('cents')));
after('migrate');
my $before = refused($server_42);
sql(q(CALL tandem.migrate('cents')));
after('migrate again');
is(refused($server_42), $before, 'a release that was ready stays ready');

sql(q(CREATE TABLE app.items_1 PARTITION OF app.items FOR VALUES FROM (100000) TO (200000); SELECT tandem.create_views(42)));
after('a new partition');
sql(q(CREATE TABLE app.full (LIKE app.items INCLUDING DEFAULTS); INSERT INTO app.full SELECT i, i, 'x', i * 100 FROM generate_series(300000, 300100) i;
	ALTER TABLE app.items ATTACH PARTITION app.full FOR VALUES FROM (300000) TO (400000)));
sql(q(CALL tandem.migrate('cents')));
after('a partition that has rows');

sql(<<'SQL');
BEGIN;
SELECT tandem.create_migration('length');
SELECT tandem.add_column('length', 'app.items', 'length', 'int', up => 'length(note)');
COMMIT;
CALL tandem.migrate('length');
CALL tandem.contract('length');
SELECT tandem.create_views(41, schemas => '{app}'), tandem.create_views(42, schemas => '{app}');
SQL
after(q(another migration's contract));
sql(q(ALTER TABLE app.items RENAME note TO remark; ALTER TABLE app.items ALTER remark SET DEFAULT 'other'; SELECT tandem.create_views(41), tandem.create_views(42)));
after('a column renamed, and another default');
is(refused($server_41), '', 'release 41: nothing was refused so far');

sql(q(CALL tandem.contract('cents', undeclared => 'ignore')));
after('contract');
like(refused($server_41), qr/^55T01=\d+$/, 'release 41 has ended');
is(refused($server_42), $before, 'and 42 goes on');
my $late = start_server(41);
after('a late start of 41', $late);
like(refused($late), qr/^55T01=\d+$/, 'all is refused');

# the rename that is proposed, and what follows
sql(q(ALTER TABLE app.items RENAME cents TO price; SELECT tandem.create_views(42)));
after('the rename after contract');
# one whose path has the table itself, too, where price are cents by now
my $behind = start_server(41, ',app');
after('a late start of 41, with the tables behind its views', $behind);
like(refused($behind), qr/^55T01=\d+$/, 'all is refused');
sql(<<'SQL');
BEGIN;
SELECT tandem.create_migration('rename', release => 43);
SELECT tandem.sync_column('rename', 'app.items', 'price', 'cents', 'price', stored => false);
SELECT tandem.create_views(43, schemas => '{app}');
COMMIT;
CALL tandem.migrate('rename');
SQL
my $server_43 = start_server(43);
after('the next release');
sql(q(CALL tandem.abort('rename')));
after('its abort');
like(refused($server_43), qr/^55T01=\d+$/, 'release 43 has ended');
is(refused($server_42), $before, 'and 42 goes on');

append_to_file($_->{stop}, '') foreach @servers;
waitpid $_->{pid}, 0 foreach @servers;
is(sql('SELECT count(*) FROM app.items WHERE price IS NULL'), 0, 'no row has lost its amount');
is(sql('SELECT price FROM app.items WHERE id = 7'), 700, 'nor got another one');
done_testing();
