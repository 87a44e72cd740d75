# Constraints that a migration adds.  What the rows do not allow must fail by name, with a query that finds them, and
# go on once they are repaired.
package Constraints;

use strict;
use warnings;

use Schema;

# What writers may meet, once such a constraint is in force: SQLSTATEs.
my %MET = (
	'not null' => qr/^235(02|14)$/,
	unique => qr/^23505$/,
	'foreign key' => qr/^23503$/,
	'primary key' => qr/^235(02|05|14)$/);

sub new
{
	my ($class, $random) = @_;
	my $self = bless { of => {}, keyless => $random->chance(25) }, $class;

	$self->{wanted}{$_} = { map { $_ => 1 } grep { $random->chance(25) } 'not null', 'unique', 'foreign key' } foreach map { "m$_" } 1 .. 4;
	$self->{complete} = $random->chance(50);
	return $self;
}

# None at all.
sub leave_out
{
	my ($self) = @_;

	$self->{wanted} = {};
	$self->{keyless} = 0;
	return;
}

# The statement that gives the table its key; without one a migration adds it.
sub key_sql
{
	my ($self, $table, @key) = @_;

	$self->{key} = join ', ', @key;
	return "ALTER TABLE $table ADD CONSTRAINT items_pkey " . ($self->{keyless} ? 'UNIQUE' : 'PRIMARY KEY') . " ($self->{key});\n";
}

# Tables that foreign keys of later migrations refer to.
sub sql
{
	my ($self) = @_;
	my $values = $self->{complete} ? "('public'), ('private'), ('shared')" : "('public'), ('private')";

	return "CREATE TABLE stress.kinds (kind text PRIMARY KEY);\nINSERT INTO stress.kinds VALUES $values;\n"
	  . "GRANT REFERENCES, SELECT, UPDATE ON stress.kinds TO stress_owner, stress_other;\n";
}

# What a migration adds to the table with these new columns.
sub add_sql
{
	my ($self, $name, $table, @columns) = @_;
	my $wanted = $self->{wanted}{$name};
	my ($column) = grep { $_->{name} !~ /^(shout|num|mean|doc)$/ } @columns;
	my $sql = '';

	if ($self->{keyless} && $name ne 'm4')
	{
		$self->{keyless} = 0;
		$self->{of}{$name}{'primary key'} = { object => "${name}_pk" };
		$sql .= "SELECT tandem.add_constraint('$name', '$table', '${name}_pk', 'PRIMARY KEY ($self->{key})');\n";
	}
	if ($wanted->{'not null'} && $column)
	{
		$self->{of}{$name}{'not null'} = { object => $column->{name}, column => $column };
		$sql .= "SELECT tandem.add_not_null('$name', '$table', '$column->{name}');\n";
	}
	# a key on the middle of a chain would keep the next migration from its contract
	if ($wanted->{unique} && $column && $column->{name} ne 'tenths')
	{
		# money is rarely the same, and must not be
		my ($cents) = $self->{key} eq 'id' && !$self->{partitioned} ? grep { $_->{name} eq 'cents' } @columns : ();
		my $columns = $cents ? 'cents' : "$self->{key}, $column->{name}";
		$self->{of}{$name}{unique} = { object => "${name}_unique", column => $cents };
		$sql .= "SELECT tandem.add_constraint('$name', '$table', '${name}_unique', 'UNIQUE ($columns)');\n";
	}
	if ($wanted->{'foreign key'} && grep { $_->{name} eq 'visibility' } @columns)
	{
		$self->{of}{$name}{'foreign key'} = { object => "${name}_fkey" };
		$sql .= "SELECT tandem.add_constraint('$name', '$table', '${name}_fkey', 'FOREIGN KEY (visibility) REFERENCES stress.kinds ON UPDATE CASCADE');\n";
	}
	return $sql;
}

sub any
{
	my ($self) = @_;

	return scalar keys %{ $self->{of} };
}

# Whether a foreign key was added.
sub refers
{
	my ($self) = @_;

	return scalar grep { $_->{'foreign key'} } values %{ $self->{of} };
}

# Whether a writer may meet such an error.
sub is_due
{
	my ($self, $state) = @_;

	return scalar grep { $state =~ $MET{$_} } map { keys %$_ } values %{ $self->{of} };
}

# Repairs what a migrate that failed has named; false: it named nothing of ours.
sub repair
{
	my ($self, $scenario, $name, $err) = @_;
	# its details may name other columns
	my ($error) = $err =~ /ERROR:\s+23\d\d\d: (.*)/;

	return 0 if !$error;
	# NOT NULL added by an earlier run, or by another migration: the fill meets the row, and names it
	my $by_fill = $err =~ /filling row /;
	foreach my $of (map { $self->{of}{$_} || {} } $by_fill ? sort keys %{ $self->{of} } : $name)
	{
		my ($kind) = grep { $error =~ /(?:\b|"tandem_not_null_)\Q$of->{$_}{object}\E\b/ } sort keys %$of;

		next if !$kind;
		return 0 if !$by_fill && !names_rows($scenario, $name, $err);
		my ($filled) = $err =~ /filling row \(id\)=\((\d+)\)/;
		$self->repair_rows($scenario, $kind, $of->{$kind}{column}, $filled);
		$scenario->count("constraint violated: $kind", $by_fill ? 'repaired for the fill' : 'repaired');
		return 1;
	}
	return 0;
}

# Whether the error of a migrate has a query that finds what it is about.
sub names_rows
{
	my ($scenario, $name, $err) = @_;
	my ($query) = $err =~ /HINT:\s+See the rows: (.*?); Fix/;

	$scenario->fail("migrate of $name names no rows: $err") if !$query;
	return 0 if !$query;
	$scenario->fail("migrate of $name: $err\nbut there are no such rows") if $scenario->insist($query) eq '';
	return 1;
}

# Other columns that may not be NULL, and that no rule computes from this one, or this one from them.
sub other_required
{
	my ($self, $scenario, $column) = @_;
	my @rules = map { [ @{ $_->{old} }, @{ $_->{new} } ] } @{ $scenario->{model}{rules} };
	my @others = grep { $_ != $column } map { $_->{'not null'} ? $_->{'not null'}{column} : () } map { $self->{of}{$_} } sort keys %{ $self->{of} };

	return grep {
		my $other = $_;
		my @of_other = map { @$_ } grep { grep { $_ eq $other->{name} } @$_ } @rules;
		my @of_column = map { @$_ } grep { grep { $_ eq $column->{name} } @$_ } @rules;
		@of_other && !grep { my $name = $_; grep { $_ eq $name } @of_column } @of_other;
	} @others;
}

# filled: the row that the fill has met, where it was that.  What it would get is elsewhere already: a sync that was
# installed again cannot tell a NULL that was given from a row never filled.
sub repair_rows
{
	my ($self, $scenario, $kind, $column, $filled) = @_;

	if ($kind eq 'foreign key')
	{
		$scenario->insist("INSERT INTO stress.kinds SELECT DISTINCT visibility FROM stress.items WHERE visibility IS NOT NULL ON CONFLICT DO NOTHING");
		return;
	}
	my $rows = $kind eq 'unique'
	  ? defined $filled ? "(SELECT $filled AS id, true AS bad)"
	  : '(SELECT id, row_number() OVER (PARTITION BY cents ORDER BY id) > 1 AS bad FROM stress.items WHERE cents IS NOT NULL)'
	  : "(SELECT id, $column->{name} IS NULL AS bad FROM stress.items)";
	foreach my $id (split /\n/, $scenario->insist("SELECT id FROM $rows r WHERE bad ORDER BY id"))
	{
		my %set = ($column->{name} => $kind eq 'unique' ? 1_000_000 + 100 * ++$self->{repaired} : $column->{value}->($scenario->{random}));
		# another one would not let it through
		foreach my $other ($kind eq 'not null' ? $self->other_required($scenario, $column) : ())
		{
			$set{ $other->{name} } = $other->{value}->($scenario->{random}) if $scenario->insist("SELECT $other->{name} IS NULL FROM stress.items WHERE id = $id") eq 't';
		}
		$scenario->insist('UPDATE stress.items SET ' . join(', ', map { "$_ = " . Schema::literal($set{$_}) } sort keys %set) . " WHERE id = $id");
		$scenario->fail("row $id cannot be repaired") if !$scenario->{model}->update($id, \%set);
	}
	return;
}

# All that were added are there, and proved; or gone with their migrations.
sub check
{
	my ($self, $scenario, $there) = @_;
	my %gone = $scenario->gone_columns;

	foreach my $name (sort keys %{ $self->{of} })
	{
		foreach my $kind (sort keys %{ $self->{of}{$name} })
		{
			my $object = $self->{of}{$name}{$kind}{object};
			# the next migration of a chain has dropped the column
			next if $kind eq 'not null' && $gone{$object};
			my $query = $kind eq 'not null'
			  ? "SELECT count(*) FROM pg_attribute WHERE attrelid = 'stress.items'::regclass AND attname = '$object' AND attnotnull"
			  : "SELECT count(*) FROM pg_constraint WHERE conrelid = 'stress.items'::regclass AND conname = '$object' AND convalidated";
			my $count = $scenario->insist($query);
			$scenario->fail("$kind $object of $name is " . ($count ? 'still' : 'not') . ' there') if $count != $there;
			$scenario->count("constraint added: $kind", $there ? 'there' : 'gone');
		}
	}
	return;
}

1;
