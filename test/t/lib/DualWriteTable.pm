# Runs the lines of test/t/dual_write_table.pl.  A fixture is a table with one rule, made twice: <name>_u, whose
# rows nobody has filled, and <name>_f, whose rows the fill has.  Each cell is a transaction that is rolled back,
# so that all cells of a fixture find the same rows:
#
#   unfilled   row 1 of <name>_u        filled   row 1 of <name>_f
#   null_u     row 3 of <name>_u        null     row 3 of <name>_f: a is NULL
#   own_u      row 2 of <name>_u        own      row 2 of <name>_f: by a writer, after expand
#   new        no row of <name>_f: rows from 9 on are shown
package DualWriteTable;

use strict;
use warnings;

use Exporter qw(import);
use Test::More;
use WireClient;

our @EXPORT = qw(connect_writers make_fixture make_views check_lines check_releases);

my %row = (unfilled => [ 'u', 1 ], own_u => [ 'u', 2 ], null_u => [ 'u', 3 ], filled => [ 'f', 1 ], own => [ 'f', 2 ], null => [ 'f', 3 ], new => [ 'f', 9 ]);

# How a writer says what it is.  Each column of the table is run for each of its ways, and all must come to the same.
my %ways = (
	41 => [qw(setting path view)],
	42 => [qw(setting path view)],
	43 => [qw(setting path)],
	none => [qw(table)]);
my (%client, %fixture, $admin);

# Clients that stay; the first statement of each is a plain one.
sub connect_writers
{
	my ($node, $database) = @_;
	my %options = (none => '', view => '');

	foreach my $release (41 .. 43)
	{
		$options{"$release setting"} = "-ctandem.release=$release";
		$options{"$release path"} = "-csearch_path=release_$release,public";
	}
	$admin = WireClient->new($node, $database);
	$client{$_} = WireClient->new($node, $database, $options{$_}) foreach keys %options;
	return $admin;
}

sub ask
{
	my ($sql) = @_;
	my $result = $admin->query($sql);

	return $result->{state} eq '00000' ? '' : "$result->{state}: $result->{message}";
}

# name, and: a (the type and default of column a, int), b (a default that is set on b), up, down, rule (statements
# that make column b and its rule instead), release (of the migration; NULL for none), own (the statements that write row 2; without: a = 19, b = up of
# it), create (statements that make the table :t, with a partition :p), extra (more statements before expand), show (what is shown of a row), derived (no side is old: both
# releases see a), old, new (which columns only 41 sees, and only 42, patterns), row (o, s, a of row 1);
# stored, view (what columns of the lines are called in the table, and in the view of 42: { name => name }), unsaid (a
# pattern: statements that have no words for the view of 42).
sub make_fixture
{
	my ($name, %parts) = @_;
	my $release = $parts{release} // 42;
	my @problems;

	$fixture{$name} = { show => q(concat_ws('/', coalesce(a::text, '-'), coalesce(b::text, '-'))), %parts };
	foreach my $kind ('u', 'f')
	{
		my ($table, $migration) = ("public.${name}_$kind", "${name}_$kind");
		my $down = $parts{down} ? "\$\$$parts{down}\$\$" : 'NULL';
		my $options = join '', map { ", $_" } grep { defined } $parts{options};
		my $rule = $parts{rule} // "SELECT tandem.add_column(':m', ':t', 'b', 'int'); SELECT tandem.sync_column(':m', ':t', 'a', 'b', \$\$$parts{up}\$\$, $down$options);";
		my $row = $parts{row} // '0, 3, 5';
		my $create = $parts{create} // "CREATE TABLE :t (id int PRIMARY KEY, o int, s int, a int @{[ $parts{a} // '' ]});";
		my $before = <<"SQL";
$create
@{[ $parts{extra} // '' ]}
INSERT INTO :t VALUES (1, $row), (3, 0, 3, NULL);
SQL
		my $expand = "BEGIN; SELECT tandem.create_migration(':m', release => $release); $rule;"
		  . ($parts{b} ? " ALTER TABLE :t ALTER b $parts{b};" : '') . ' COMMIT';
		my $own = $parts{own} // "INSERT INTO :t (id, o, s, a) VALUES (2, 0, 3, 19)";

		foreach my $sql ($before, $expand, $kind eq 'f' ? "CALL tandem.migrate(':m')" : 'SELECT 1', $own)
		{
			my $problem = ask($sql =~ s/:t\b/$table/gr =~ s/:p\b/${table}_p/gr =~ s/:m\b/$migration/gr);

			next if $problem eq '';
			push @problems, $problem;
			$admin->query('ROLLBACK');
		}
	}
	ok(!@problems, "fixture $name") or diag(@problems);
	$fixture{$name}{tables} = [ map { "public.${name}_$_" } 'u', 'f' ];
	return;
}

# Views of releases 41 and 42 of all fixtures of a release.
sub make_views
{
	my @tables = map { @{ $_->{tables} } } grep { ($_->{release} // '42') eq '42' && !$_->{no_views} } values %fixture;
	my $tables = join ', ', map { "'$_'" } sort @tables;

	foreach my $release (41, 42)
	{
		is(ask("SELECT tandem.create_views($release, relations => ARRAY[$tables])"), '', "views of release $release");
	}
	# the very first statement of a session may be one that nothing can be told of
	my ($first) = sort map { @{ $_->{tables} } } grep { !$_->{no_views} } values %fixture;
	$_->query("BEGIN; INSERT INTO $first (id) VALUES (99); ROLLBACK") foreach values %client;
	return;
}

# Statements, and what is shown, with the names that the columns have there.
sub renamed
{
	my ($names, $sql) = @_;

	return $sql if !$names;
	my $any = join '|', sort keys %$names;
	return $sql =~ s/(?<!:)\b($any)\b/$names->{$1}/gr;
}

# "SET ..." and "INSERT a = 1, b = 2" in full.
sub statement_of
{
	my ($short) = @_;

	return "UPDATE :t SET $1 WHERE id = :id" if $short =~ /^SET (.*)/;
	return $short if $short !~ /^INSERT(?: (\w+ = .*))?$/;
	my @pairs = map { [ split / = /, $_, 2 ] } split /, (?=\w+ = )/, $1 // '';
	return 'INSERT INTO :t (' . join(', ', 'id', map { $_->[0] } @pairs) . ') VALUES (' . join(', ', ':id', map { $_->[1] } @pairs) . ')';
}

# What is there after a statement, or its SQLSTATE.  The statement may have parameters, " <- 1, NULL", and then is
# sent as drivers do, or data for COPY, "<<<...", lines of which end in semicolons.
sub run_cell
{
	my ($client, $name, $row, $target, $statement, $before) = @_;
	my ($kind, $id) = @{ $row{$row} };
	my ($table, $show) = ("public.${name}_$kind", renamed($fixture{$name}{stored}, $fixture{$name}{show}));
	my $names = $fixture{$name}{ $target =~ /^release_42\./ ? 'view' : 'stored' };
	my ($sql, $data) = split /<<</, renamed($names, $statement) =~ s/:t\b/$target/gr =~ s/:id\b/$id/gr;
	my $shown = $id == 9 ? 'id >= 9' : "id = $id";

	($sql, my $parameters) = split / <- /, $sql;
	$client->query('BEGIN; ' . ($before // '') . '; SAVEPOINT cell');
	my $result = defined $parameters
	  ? $client->execute($sql, map { $_ eq 'NULL' ? undef : $_ } split /, /, $parameters)
	  : $client->query($sql, defined $data ? $data =~ s/;/\n/gr : undef);
	$client->query('ROLLBACK TO cell') if $result->{state} ne '00000';
	my $seen = $client->query("SELECT string_agg($show, ' ' ORDER BY id) FROM $table WHERE $shown");
	$client->query('ROLLBACK; DEALLOCATE ALL');
	return $result->{state} if $result->{state} ne '00000';
	return $seen->{rows}[0][0] // 'no row';
}

# Columns that a release does not see.
sub hidden
{
	my ($fixture, $release, $sql) = @_;

	return $sql =~ ($fixture->{new} // qr/\bb\b/) if $release == 41;
	return $release == 42 && !$fixture->{derived} && $sql =~ ($fixture->{old} // qr/\ba\b/);
}

# What a cell is to be, where the way of writing has a word in it; undef: there is no such cell.
sub expected_by_view
{
	my ($fixture, $release, $row, $sql, $expected) = @_;

	return if ($fixture->{release} // 42) ne '42' || $fixture->{no_views};
	# what views cannot do (MERGE before 17), and statements that are not of a view's own columns
	return if $sql =~ /\b(MERGE|COPY|CONSTRAINT|CURRENT OF|ROWTYPE|populate)\b|VALUES \(:id, 0/;
	return if $release == 42 && $fixture->{unsaid} && $sql =~ $fixture->{unsaid};
	return '42703' if hidden($fixture, $release, $sql);
	# until it is filled the new column is read through
	return '0A000' if $release == 42 && $row =~ /^(unfilled|\w+_u)$/ && $sql =~ /\bb"? ?[=,)]/;
	return $expected;
}

# A cell, written in one of its ways.
sub run_way
{
	my ($name, $row, $statement, $release, $way) = @_;
	my $table = "${name}_$row{$row}[0]";
	my $client = $client{ $way eq 'view' ? 'view' : $release eq 'none' ? 'none' : "$release $way" };

	return run_cell($client, $name, $row, $way eq 'view' ? "release_$release.$table" : "public.$table", $statement);
}

# Lines "row | statement | 41 | 42 | none"; one value alone is that of all writers; "." is what the design does not
# tell; # begins a comment.  Each cell is a test, and the table is in the output.
sub check_lines
{
	my ($name, $writers, $lines) = @_;
	my @writers = split ' ', $writers;

	note('');
	note(sprintf '%-10s %-9s %-64s %s', $name, 'row', 'statement', join ' ', map { sprintf '%-23s', $_ } @writers);
	foreach my $line (grep { /\S/ && !/^\s*#/ } split /\n/, $lines)
	{
		my ($row, $short, @expected) = split /\s+\|\s+/, $line =~ s/^\s+|\s+$//gr;
		my $statement = statement_of($short);
		my @shown;

		@expected = ($expected[0]) x @writers if @expected == 1;
		die "$line\n" if @expected != @writers;
		foreach my $i (0 .. $#writers)
		{
			my %got;
			foreach my $way (@{ $ways{ $writers[$i] } })
			{
				my $expected = $way eq 'view' ? expected_by_view($fixture{$name}, $writers[$i], $row, $statement, $expected[$i]) : $expected[$i];
				next if !defined $expected || $expected eq '.';
				my $got = run_way($name, $row, $statement, $writers[$i], $way);
				is($got, $expected, "$name, $row: $short; $writers[$i] by $way");
				push @{ $got{$got} }, $way;
			}
			push @shown, join ', ', map { keys %got > 1 ? "$_ by @{ $got{$_} }" : $_ } sort keys %got;
		}
		note(sprintf '%-10s %-9s %-64s %s', '', $row, substr($short, 0, 64), join ' ', map { sprintf '%-23s', $_ } @shown);
	}
	return;
}

# Lines "what the session has said | what it writes to | row | statement | expected".
sub check_releases
{
	my ($name, $lines) = @_;

	note('');
	note(sprintf '%-10s %-50s %-22s %-9s %-50s', $name, 'session', 'relation', 'row', 'statement');
	foreach my $line (grep { /\S/ && !/^\s*#/ } split /\n/, $lines)
	{
		my ($session, $target, $row, $short, $expected) = split /\s*\|\s*/, $line;
		my $got = run_cell($client{none}, $name, $row, $target, statement_of($short), $session);

		is($got, $expected, "$name, $row: $short on $target; $session");
		note(sprintf '%-10s %-50s %-22s %-9s %-50s %s', '', substr($session, 0, 50), $target, $row, substr($short, 0, 50), $got);
	}
	return;
}

1;
