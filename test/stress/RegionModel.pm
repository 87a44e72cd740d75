# What must be in the rows of a region, from what it has written itself: the rule of old and new columns once more, for
# writers that declare their release.  Each mapping comes with a release of its own, one after the other.  A row holds the old and
# the new column of each from the start, as if the sync had always been there: until then nobody writes the new one.
package RegionModel;

use strict;
use warnings;

# Mapping k is of the releases from FIRST + STEP * (k - 1) + 1 on, one for each time that it is tried.
use constant { FIRST => 41, STEP => 10 };

# A writer that declares no release counts as one before all: it means what it writes, the old column as long as there is one.
use constant UNDECLARED => 1;

sub up_of { my ($value, $do) = @_; return defined $value ? $do->($value) : undef }

# Pairs of columns.  old: a value of the old column, drawn, as psql shows it; lossy: one of the new column that the old one
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
			old => sub { $_[0]->pick(qw(cat dog stone wood)) }, lossy => sub { $_[0]->pick(qw(ghost dream)) } });
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
	my $kind = $random->chance(15) ? $kinds[3] : $random->pick(@kinds[ 0 .. 2, 4 ]);

	return { %$kind, old_name => "p$k", new_name => "q$k", release => FIRST + STEP * ($k - 1) + 1 };
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

	return grep { !$_->{down} } values %{ $self->{mappings}[ $k - 1 ] };
}

sub is_lossy
{
	my ($mapping, $value) = @_;

	return $mapping->{down} && differ($value, $mapping->{up}->($mapping->{down}->($value)));
}

sub differ
{
	my ($a, $b) = @_;

	return defined $a && defined $b ? $a ne $b : defined $a || defined $b;
}

# Whether the columns of a row agree, one way or the other.
sub agree
{
	my ($mapping, $old, $new) = @_;

	return !differ($new, $mapping->{up}->($old)) || $mapping->{down} && !differ($old, $mapping->{down}->($new));
}

# One statement that has been committed by a session of a release: table, kind, id, set (column => value).
sub apply
{
	my ($self, $region, $step, $release) = @_;
	my ($table, $kind) = @{$step}{qw(table kind)};

	return $self->make_plain($region, $step) if $kind eq 'plain';
	my $key = "$table $region $step->{id}";
	my $row = $self->{rows}{$key};
	delete $self->{rows}{$key} if $kind eq 'delete';
	return if $kind eq 'delete' || !$row && $kind eq 'update' || $row && $kind eq 'insert';
	if ($row) { $self->update($row, $step, $release) }
	else { $self->{rows}{$key} = $self->insert($step, $release) }
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
	my ($self, $step, $release) = @_;
	my $set = $step->{set};
	my %row = (n => $set->{n}, c => $set->{c});

	foreach my $mapping ($self->mappings_of($step->{table}))
	{
		my ($old, $new) = @{$mapping}{qw(old_name new_name)};
		if (means_new($mapping, $release, $set))
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
	my ($self, $row, $step, $release) = @_;
	my $set = $step->{set};

	exists $set->{$_} and $row->{$_} = $set->{$_} foreach qw(n c);
	foreach my $mapping ($self->mappings_of($step->{table}))
	{
		my ($old, $new) = @{$mapping}{qw(old_name new_name)};
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
		my $plain = $mapping->{up}->($mapping->{down}->($row->{ $mapping->{new_name} }));
		next if !differ($plain, $row->{ $mapping->{new_name} });
		$row->{ $mapping->{new_name} } = $plain;
		$row->{ $mapping->{old_name} } = $mapping->{down}->($plain);
	}
	return;
}

1;
