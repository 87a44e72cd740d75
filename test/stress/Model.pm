# What must be in the table: the dual-write and the backfill rule, written once more, from the design
# alone.
#
# Migrations end one by one, under load: each part of the model (the rows of one writer) comes to that in its
# own time.  release: what the session at hand has declared.
#
# What nobody can know from outside, whether the backfill has been at a row yet, makes a row a set
# of possible states: { v => { column => value }, filled => [ by rule ] }.  States are never changed in
# place.  A comparison with the table leaves those that were seen.
package Model;

use strict;
use warnings;

# columns: { name => { default => [ kind, value ] } }, kind none, constant or computed; tidy: what
# another BEFORE trigger makes of a row, given it and the row before; moves: whether the row goes to another partition,
# likewise.
sub new
{
	my ($class, %parts) = @_;

	return bless { columns => {}, rules => [], tidy => sub { }, moves => sub { 0 }, rows => {}, by_value => 0, release => 0, ended => 0, %parts }, $class;
}

# Adds new columns and a rule for them: old, new (lists of names), up_of, down_of, on_conflict,
# migration, release (the first that knows the new columns; 0: none was said).
sub add_rule
{
	my ($self, $rule, $columns) = @_;
	my %added = map { $_ => $columns->{$_}{default}[1] } @{ $rule->{new} };

	$self->{columns}{$_} = $columns->{$_} foreach keys %added;
	push @{ $self->{rules} }, $rule;
	foreach my $states (values %{ $self->{rows} })
	{
		$states = [ map { { v => { %{ $_->{v} }, %added }, filled => [ @{ $_->{filled} }, 0 ] } } @$states ];
	}
	return;
}

# Forgets the rules of a migration (undef: of all), and columns.
sub end_rules
{
	my ($self, $migration, @dropped) = @_;
	my @stay = grep { defined $migration && $self->{rules}[$_]{migration} ne $migration } 0 .. $#{ $self->{rules} };

	$self->{rules} = [ @{ $self->{rules} }[@stay] ];
	$self->{columns} = { %{ $self->{columns} } };
	delete $self->{columns}{$_} foreach @dropped;
	foreach my $states (values %{ $self->{rows} })
	{
		my %seen;
		foreach my $state (@$states)
		{
			my %v = %{ $state->{v} };
			delete @v{@dropped};
			my $after = { v => \%v, filled => [ @{ $state->{filled} }[@stay] ] };
			$seen{ key($after) } = $after;
		}
		$states = [ values %seen ];
	}
	return;
}

# The part of it whose ids are from..to.
sub part
{
	my ($self, $from, $to) = @_;
	my $rows = $self->{rows};

	return bless { %$self, rows => { map { $_ => $rows->{$_} } grep { $_ >= $from && $_ <= $to } keys %$rows } }, ref $self;
}

# Puts parts together again, that have come to the same.
sub joined
{
	my (@parts) = @_;

	return bless { %{ $parts[0] }, rows => { map { %{ $_->{rows} } } @parts } }, ref $parts[0];
}

# A copy whose rows may be changed apart.
sub copy
{
	my ($self) = @_;

	return bless { %$self, rows => { %{ $self->{rows} } } }, ref $self;
}

sub differ
{
	my ($a, $b) = @_;

	return defined $a && defined $b ? $a ne $b : defined $a || defined $b;
}

# Whether the writer gave a column.
sub is_given
{
	my ($self, $name, $row, $before, $named) = @_;
	my ($kind, $default) = @{ $self->{columns}{$name}{default} };

	return differ($row->{$name}, $before->{$name}) if $before;
	return $named->{$name} if $kind eq 'computed';
	return differ($row->{$name}, $default);
}

sub any_given
{
	my ($row, @names) = @_;

	return scalar grep { $row->{given}{$_} } @names;
}

# Writes the values of one side of a rule; what comes out as it was is not given to the next rule.
sub give
{
	my ($self, $row, $names, @values) = @_;

	foreach my $name (@$names)
	{
		my $value = shift @values;
		$row->{v}{$name} = $value;
		$row->{given}{$name} = !$row->{before} || differ($value, $row->{before}{$name});
	}
	return;
}

# NULLs where up raises, and the row so comes in quarantine.
sub up
{
	my ($rule, $v) = @_;
	my @values = eval { $rule->{up_of}->(@{$v}{ @{ $rule->{old} } }) };

	return $@ ? map { undef } @{ $rule->{new} } : @values;
}

sub raises
{
	my ($rule, $v) = @_;

	return !eval { $rule->{up_of}->(@{$v}{ @{ $rule->{old} } }); 1 };
}

# Rows in quarantine, by rule: what waits to be repaired.
sub quarantined
{
	my ($self) = @_;
	my @found;

	foreach my $rule (@{ $self->{rules} })
	{
		push @found, map { [ $rule, $_ ] } grep { raises($rule, $self->{rows}{$_}[0]{v}) } sort keys %{ $self->{rows} };
	}
	return @found;
}

sub forward
{
	my ($self, $row, $rule) = @_;

	return $self->give($row, $rule->{new}, up($rule, $row->{v}));
}

sub backward
{
	my ($self, $row, $rule) = @_;

	return if !$rule->{down_of};
	my @values = $rule->{down_of}->(@{ $row->{v} }{ @{ $rule->{new} } });
	# down of NULL is NULL for each column
	$#values = $#{ $rule->{old} };
	return $self->give($row, $rule->{old}, @values);
}

# Whether old and new columns say the same, one way or the other.
sub agrees
{
	my ($rule, $v) = @_;
	my @new = up($rule, $v);

	return 1 if !raises($rule, $v) && !grep { differ($new[$_], $v->{ $rule->{new}[$_] }) } 0 .. $#{ $rule->{new} };
	return 0 if !$rule->{down_of};
	my @old = $rule->{down_of}->(@{$v}{ @{ $rule->{new} } });
	return !grep { differ($old[$_], $v->{ $rule->{old}[$_] }) } 0 .. $#{ $rule->{old} };
}

# The table of the design, for one rule.
sub apply_rule
{
	my ($self, $row, $rule, $unfilled) = @_;
	my $old = any_given($row, @{ $rule->{old} });
	my $new = any_given($row, @{ $rule->{new} });

	# who gives only some of the new columns of a row that has none means up for the others
	if ($new && $row->{before} && $unfilled)
	{
		my @up = up($rule, $row->{v});
		foreach my $i (0 .. $#up)
		{
			my $name = $rule->{new}[$i];
			$self->give($row, [$name], $up[$i]) if !$row->{given}{$name};
		}
	}
	if (!$old && !$new)
	{
		$self->forward($row, $rule) if !$row->{before} || $unfilled;
	}
	elsif (!$new)
	{
		$self->forward($row, $rule);
	}
	elsif (!$old)
	{
		$self->backward($row, $rule);
	}
	elsif (!agrees($rule, $row->{v}))
	{
		die "conflict\n" if $rule->{on_conflict} eq 'error';
		$rule->{on_conflict} eq 'new' ? $self->backward($row, $rule) : $self->forward($row, $rule);
	}
	return;
}

# Whether the session has said that it knows the new columns.
sub is_known
{
	my ($self, $rule) = @_;

	return $self->{release} && $rule->{release} && $self->{release} >= $rule->{release};
}

# The state that a written row comes to; dies at a conflict.
sub written
{
	my ($self, $v, $state, $named) = @_;
	my %row = (v => $v, before => $state && $state->{v});
	my @open = 0 .. $#{ $self->{rules} };
	my $silent;

	return { v => $v, filled => [] } if !@open;
	foreach my $rule (@{ $self->{rules} })
	{
		$row{given}{$_} = $self->is_given($_, $v, $row{before}, $named) foreach @{ $rule->{old} }, @{ $rule->{new} };
	}
	while (@open)
	{
		# first what the writer has taken hold of
		my ($next) = grep { any_given(\%row, @{ $self->{rules}[$_]{old} }, @{ $self->{rules}[$_]{new} }) } @open;
		# who inserts without a word on either side, and knows the new columns, means what they hold
		($silent) = defined $next || $state ? () : reverse grep { $self->is_known($self->{rules}[$_]) } @open;
		$next //= $silent // $open[0];
		$row{given}{$_} = 1 foreach defined $silent ? @{ $self->{rules}[$silent]{new} } : ();
		@open = grep { $_ != $next } @open;
		$self->apply_rule(\%row, $self->{rules}[$next], $state && !$state->{filled}[$next]);
	}
	return { v => $v, filled => [ map { 1 } @{ $self->{rules} } ] };
}

# The state after the backfill.
sub filled
{
	my ($self, $state) = @_;
	my %row = (v => { %{ $state->{v} } }, before => $state->{v}, given => {});

	foreach my $i (0 .. $#{ $self->{rules} })
	{
		my $rule = $self->{rules}[$i];
		$self->forward(\%row, $rule) if !$state->{filled}[$i] || any_given(\%row, @{ $rule->{old} });
	}
	return { v => $row{v}, filled => [ map { 1 } @{ $self->{rules} } ] };
}

sub is_at_default
{
	my ($self, $state, $rule) = @_;

	return !grep {
		my ($kind, $default) = @{ $self->{columns}{$_}{default} };
		defined $state->{v}{$_} && ($kind ne 'constant' || $state->{v}{$_} ne $default)
	} @{ $rule->{new} };
}

# All states that a row may be in by now: those that the backfill has not reached may have been filled;
# and where rows tell it by their values alone, what has no value may count as never filled.
sub possible
{
	my ($self, $states) = @_;
	my @all = @$states;
	my %seen;

	if ($self->{by_value})
	{
		foreach my $i (grep { !$self->{rules}[$_]{done} } 0 .. $#{ $self->{rules} })
		{
			foreach my $state (@all)
			{
				next if !$state->{filled}[$i] || !$self->is_at_default($state, $self->{rules}[$i]);
				my @filled = @{ $state->{filled} };
				$filled[$i] = 0;
				push @all, { v => $state->{v}, filled => \@filled };
			}
		}
	}
	push @all, map { $self->filled($_) } grep {
		grep { !$_ } @{ $_->{filled} }
	} @all;
	return grep { !$seen{ key($_) }++ } @all;
}

sub key
{
	my ($state) = @_;
	my $v = $state->{v};

	return join "\t", @{ $state->{filled} }, map { $v->{$_} // '\N' } sort keys %$v;
}

# What writers do.  Each returns what the server must have done for one row: true, or false where it may
# only have been refused.

sub insert
{
	my ($self, $id, $values) = @_;
	my %v = map { $_ => exists $values->{$_} ? $values->{$_} : $self->{columns}{$_}{default}[1] } keys %{ $self->{columns} };

	$v{id} = $id;
	$self->{tidy}->(\%v, undef);
	my $state = eval { $self->written(\%v, undef, { map { $_ => 1 } keys %$values }) };
	return 0 if !$state;
	$self->{rows}{$id} = [$state];
	return 1;
}

# A row that its UPDATE moves to another partition is inserted there: other triggers see it once more.
sub moved
{
	my ($self, $before, $after) = @_;
	my %v = %{ $after->{v} };

	return $after if !$self->{moves}->($before->{v}, \%v);
	$self->{tidy}->(\%v, undef);
	return $self->written(\%v, $after);
}

# Splits the possible states of a row in those that an UPDATE leads to, and those that it is refused in.
sub try_update
{
	my ($self, $id, $set) = @_;
	my (@done, @refused);

	foreach my $state ($self->possible($self->{rows}{$id}))
	{
		my %v = %{ $state->{v} };
		$v{$_} = ref $set->{$_} ? $set->{$_}->($state->{v}) : $set->{$_} foreach keys %$set;
		$self->{tidy}->(\%v, $state->{v});
		my $after = eval { $self->moved($state, $self->written(\%v, $state)) };
		if ($after) { push @done, $after }
		else { push @refused, $state }
	}
	my %seen;
	return ([ grep { !$seen{ key($_) }++ } @done ], \@refused);
}

sub update
{
	my ($self, $id, $set) = @_;
	my ($done) = $self->try_update($id, $set);

	return 0 if !@$done;
	$self->{rows}{$id} = $done;
	return 1;
}

sub refuse_update
{
	my ($self, $id, $set) = @_;
	my ($done, $refused) = $self->try_update($id, $set);

	return 0 if !@$refused;
	$self->{rows}{$id} = $refused;
	return 1;
}

# A write without the sync.
sub force
{
	my ($self, $id, $set) = @_;

	$self->{rows}{$id} = [ map { { v => { %{ $_->{v} }, %$set }, filled => $_->{filled} } } $self->possible($self->{rows}{$id}) ];
	return;
}

# Compares with the rows of the table; returns the ids of those that are wrong.
sub compare
{
	my ($self, $table) = @_;
	my @wrong;

	foreach my $id (sort { $a <=> $b } keys %{ { %$table, %{ $self->{rows} } } })
	{
		my ($seen, $states) = ($table->{$id}, $self->{rows}{$id});
		my @same = $seen && $states ? grep { same_values($_->{v}, $seen) } $self->possible($states) : ();
		if (@same) { $self->{rows}{$id} = \@same }
		else { push @wrong, $id }
	}
	return @wrong;
}

sub same_values
{
	my ($v, $seen) = @_;

	return 0 if keys %$v != keys %$seen;
	return !grep { !exists $seen->{$_} || differ($v->{$_}, $seen->{$_}) } keys %$v;
}

# The backfill is done: each row is filled, and is known to be.
sub end_of_fill
{
	my ($self) = @_;

	foreach my $states (values %{ $self->{rows} })
	{
		my %seen;
		$states = [ grep { !$seen{ key($_) }++ } map { $self->filled($_) } $self->possible($states) ];
	}
	# a table with rows in quarantine is not done
	$_->{done} = 1 foreach $self->quarantined ? () : @{ $self->{rules} };
	return;
}

# From now on rows tell by their values alone whether they were filled: of all rules, or of those whose
# fill has not ended.
sub tell_by_value
{
	my ($self, $all) = @_;

	$self->{by_value} = 1;
	$self->{rules} = [ map { { %$_, done => $_->{done} && !$all } } @{ $self->{rules} } ];
	return;
}

# Rows whose sides disagree, by migration, as verify counts them; and those of them that no write may
# lead to, so that a proof cannot miss them: a one-way sync lets the new column go its way at any time.  Call
# it where each row is certain.
sub mismatched
{
	my ($self) = @_;
	my (%rows, %surely);

	foreach my $states (values %{ $self->{rows} })
	{
		my @wrong = grep { !raises($_, $states->[0]{v}) && !agrees($_, $states->[0]{v}) } @{ $self->{rules} };
		my %wrong = map { $_->{migration} => 1 } @wrong;
		my %both_ways = map { $_->{migration} => 1 } grep { $_->{down_of} } @wrong;
		$rows{$_}++ foreach keys %wrong;
		$surely{$_}++ foreach keys %both_ways;
	}
	return (\%rows, \%surely);
}

# For messages.
sub describe
{
	my ($v) = @_;

	return 'no row' if !$v;
	return join ', ', map { "$_=" . (defined $v->{$_} ? length $v->{$_} > 60 ? substr($v->{$_}, 0, 60) . '...' : $v->{$_} : 'NULL') } sort keys %$v;
}

1;
