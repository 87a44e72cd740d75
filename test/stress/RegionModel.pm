# What must be in the rows of a region, from what it has written itself: the rule of old and new columns once more, for
# writers that declare their release.  Each mapping comes with a release of its own, one after the other.  A row holds the old and
# the new column of each from the start, as if the sync had always been there: until then nobody writes the new one.  Some new
# columns are derived: they are computed from others that stay, and follow these as long as nobody has given them a value.
package RegionModel;

use strict;
use warnings;

# Mapping k is of the releases from FIRST + STEP * (k - 1) + 1 on, one for each time that it is tried.
use constant { FIRST => 41, STEP => 10 };

# A writer that declares no release counts as one before all: it means what it writes, the old column as long as there is one.
use constant UNDECLARED => 1;

sub up_of { my ($value, $do) = @_; return defined $value ? $do->($value) : undef }

# Pairs of columns, or derived: a new column, and what it is computed from, the old column and maybe c.  old: a value of the old column, drawn, as psql shows it; lossy: one of the new column that the old one
# cannot give back; never_null: nobody writes NULL.  In the expressions %s is the column.
sub kinds
{
	return (
		{   name => 'cents', types => [ 'int', 'bigint' ],
			up_sql => '%s * 100::bigint', down_sql => '(%s / 100)::int',
			up => sub { up_of($_[0], sub { $_[0] * 100 }) }, down => sub { up_of($_[0], sub { int($_[0] / 100) }) },
			old => sub { $_[0]->between(-500, 500) }, lossy => sub { 100 * $_[0]->between(1, 500) + $_[0]->between(1, 99) } },
		{   name => 'flag', types => [ 'boolean', 'text' ],
			up_sql => q(CASE WHEN %1$s THEN 'public' WHEN NOT %1$s THEN 'private' END), down_sql => q(%s = 'public'),
			up => sub { up_of($_[0], sub { $_[0] eq 't' ? 'public' : 'private' }) }, down => sub { up_of($_[0], sub { $_[0] eq 'public' ? 't' : 'f' }) },
			old => sub { $_[0]->pick('t', 'f') }, lossy => sub { $_[0]->pick('shared', 'unlisted') } },
		{   name => 'word', types => [ 'text', 'text' ],
			up_sql => q('v:' || %s), down_sql => 'substr(%s, 3)',
			up => sub { up_of($_[0], sub { "v:$_[0]" }) }, down => sub { up_of($_[0], sub { substr $_[0], 2 }) },
			old => sub { 'w' . $_[0]->below(100) }, lossy => sub { 'x:w' . $_[0]->below(100) } },
		# release N reads it alone
		{   name => 'one way', types => [ 'int', 'text' ],
			up_sql => q('l' || %s), up => sub { up_of($_[0], sub { "l$_[0]" }) },
			old => sub { $_[0]->below(100) } },
		# up gives several old values the same new one, and down only one of them
		{   name => 'class', types => [ 'text', 'text' ], never_null => 1,
			up_sql => q(CASE WHEN %s IN ('cat', 'dog') THEN 'animal' ELSE 'thing' END), down_sql => q(CASE WHEN %s = 'thing' THEN 'stone' ELSE 'cat' END),
			up => sub { ($_[0] // '') =~ /^(cat|dog)$/ ? 'animal' : 'thing' }, down => sub { ($_[0] // '') eq 'thing' ? 'stone' : 'cat' },
			old => sub { $_[0]->pick(qw(cat dog stone wood)) }, lossy => sub { $_[0]->pick(qw(ghost dream)) } },
		{   name => 'label', types => [ 'int', 'text' ], derived => 1,
			up_sql => q('no ' || %s), up => sub { up_of($_[0], sub { "no $_[0]" }) },
			old => sub { $_[0]->below(100) }, lossy => sub { 'own ' . $_[0]->below(100) } },
		{   name => 'sum', types => [ 'int', 'int' ], derived => 1,
			up_sql => '%s + c', up => sub { my ($old, $c) = @_; return up_of($old, sub { up_of($c, sub { $old + $c }) }) },
			old => sub { $_[0]->below(100) }, lossy => sub { 5000 + $_[0]->below(100) } });
}

# random; count: how many mappings a table has; tables: their names.  Each mapping is of some of the tables.
sub new
{
	my ($class, $random, %parts) = @_;
	my $self = bless { rows => {}, mappings => [], %parts }, $class;

	foreach my $k (1 .. $parts{count})
	{
		my %of = map { $_ => draw_mapping($random, $k) } $random->some(@{ $parts{tables} });
		push @{ $self->{mappings} }, \%of;
	}
	return $self;
}

sub draw_mapping
{
	my ($random, $k) = @_;
	my @kinds = kinds();
	my $kind = $random->chance(15) ? $kinds[3] : $random->chance(40) ? $random->pick(@kinds[ 5, 6 ]) : $random->pick(@kinds[ 0 .. 2, 4 ]);

	# no NULL in place of what up gives
	$kind = { %$kind, never_null => 1 } if $kind->{derived} && $random->chance(50);
	return { %$kind, number => $k, old_name => "p$k", new_name => "q$k", release => FIRST + STEP * ($k - 1) + 1 };
}

# The mappings of a table.
sub mappings_of
{
	my ($self, $table) = @_;

	return grep { defined } map { $_->{$table} } @{ $self->{mappings} };
}

sub is_one_way
{
	my ($self, $k) = @_;

	return grep { !$_->{down} && !$_->{derived} } values %{ $self->{mappings}[ $k - 1 ] };
}

sub differ
{
	my ($a, $b) = @_;

	return defined $a && defined $b ? $a ne $b : defined $a || defined $b;
}

# One statement that has been committed by a session of a release: table, kind, id, set (column => value).  contracted: the
# last migration that its region had contracted then, asked only for who declares no release.
sub apply
{
	my ($self, $region, $step, $release, $contracted) = @_;
	my ($table, $kind) = @{$step}{qw(table kind)};

	return $self->make_plain($region, $step) if $kind eq 'plain';
	my $key = "$table $region $step->{id}";
	my $row = $self->{rows}{$key};
	delete $self->{rows}{$key} if $kind eq 'delete';
	return if $kind eq 'delete' || !$row && $kind eq 'update' || $row && $kind eq 'insert';
	if ($row) { $self->update($row, $step, $release, $contracted) }
	else { $self->{rows}{$key} = $self->insert($step, $release, $contracted) }
	return;
}

sub derive
{
	my ($mapping, $row) = @_;

	return $mapping->{up}->(@{$row}{ $mapping->{old_name}, 'c' });
}

# Whether a derived column follows what this writer has written.  That of its own release does not.
sub follows
{
	my ($mapping, $release, $contracted) = @_;

	return $release == UNDECLARED ? $mapping->{number} > ($contracted // 0) : $release < $mapping->{release};
}

# Whether it counts what this writer has written to the derived column itself.
sub gives_derived
{
	my ($mapping, $release, $set) = @_;

	return exists $set->{ $mapping->{new_name} } && means_new($mapping, $release, $set);
}

sub insert_derived
{
	my ($mapping, $row, $set, $release, $contracted) = @_;
	my ($old, $new) = @{$mapping}{qw(old_name new_name)};

	$row->{$old} = $set->{$old};
	$row->{$new} = !gives_derived($mapping, $release, $set) && follows($mapping, $release, $contracted) ? derive($mapping, $row) : $set->{$new};
	return;
}

# before: the row, with the values that c and the old column had.
sub update_derived
{
	my ($mapping, $row, $before, $set, $release, $contracted) = @_;
	my ($old, $new) = @{$mapping}{qw(old_name new_name)};
	my $given = gives_derived($mapping, $release, $set) && differ($set->{$new}, $row->{$new});

	$row->{$old} = $set->{$old} if exists $set->{$old};
	if ($given) { $row->{$new} = $set->{$new} }
	elsif (follows($mapping, $release, $contracted) && !differ($row->{$new}, derive($mapping, $before)))
	{
		$row->{$new} = derive($mapping, $row);
	}
	return;
}

# All have aborted the mapping: what a later try fills is computed, also where a NULL was written.
sub forget_nulls
{
	my ($self, $k) = @_;
	my $of = $self->{mappings}[ $k - 1 ];

	foreach my $table (grep { $of->{$_}{derived} } keys %$of)
	{
		foreach my $key (grep { /^$table / } keys %{ $self->{rows} })
		{
			my $row = $self->{rows}{$key};
			$row->{ $of->{$table}{new_name} } //= derive($of->{$table}, $row);
		}
	}
	return;
}

# Whether the writer of these values means the new column.
sub means_new
{
	my ($mapping, $release, $set) = @_;

	return $release == UNDECLARED ? exists $set->{ $mapping->{new_name} } : $release >= $mapping->{release};
}

# The side that a release means; what it writes on the other one does not count.
sub insert
{
	my ($self, $step, $release, $contracted) = @_;
	my $set = $step->{set};
	my %row = (n => $set->{n}, c => $set->{c});

	foreach my $mapping ($self->mappings_of($step->{table}))
	{
		my ($old, $new) = @{$mapping}{qw(old_name new_name)};
		if ($mapping->{derived})
		{
			insert_derived($mapping, \%row, $set, $release, $contracted);
		}
		elsif (means_new($mapping, $release, $set))
		{
			$row{$new} = $set->{$new};
			$row{$old} = $mapping->{down} ? $mapping->{down}->($set->{$new}) : undef;
		}
		else
		{
			$row{$old} = $set->{$old};
			$row{$new} = $mapping->{up}->($set->{$old});
		}
	}
	return \%row;
}

sub update
{
	my ($self, $row, $step, $release, $contracted) = @_;
	my $set = $step->{set};
	my $before = {%$row};

	exists $set->{$_} and $row->{$_} = $set->{$_} foreach qw(n c);
	foreach my $mapping ($self->mappings_of($step->{table}))
	{
		my ($old, $new) = @{$mapping}{qw(old_name new_name)};
		if ($mapping->{derived})
		{
			update_derived($mapping, $row, $before, $set, $release, $contracted);
			next;
		}
		my ($own, $other, $do) = means_new($mapping, $release, $set) ? ($new, $old, $mapping->{down}) : ($old, $new, $mapping->{up});

		next if !exists $set->{$own} || !differ($set->{$own}, $row->{$own});
		$row->{$own} = $set->{$own};
		$row->{$other} = $do->($set->{$own}) if $do;
	}
	return;
}

# Values that the old column cannot give back are given up, for an abort: of one mapping, in the rows of one writer.
sub make_plain
{
	my ($self, $region, $step) = @_;
	my ($mapping) = grep { $_->{new_name} eq $step->{column} } $self->mappings_of($step->{table});

	foreach my $id ($step->{from} .. $step->{to})
	{
		my $row = $self->{rows}{"$step->{table} $region $id"} or next;
		if ($mapping->{derived})
		{
			$row->{ $mapping->{new_name} } = derive($mapping, $row);
			next;
		}
		my $plain = $mapping->{up}->($mapping->{down}->($row->{ $mapping->{new_name} }));
		next if !differ($plain, $row->{ $mapping->{new_name} });
		$row->{ $mapping->{new_name} } = $plain;
		$row->{ $mapping->{old_name} } = $mapping->{down}->($plain);
	}
	return;
}

1;
