# What must be in the table: the dual-write and the backfill rule, written once more, from the design
# alone.
#
# Migrations end one by one, under load: each part of the model (the rows of one writer) comes to that in its
# own time.  release: what the session at hand has declared.
#
# What nobody can know from outside, whether the backfill has been at a row yet, makes a row a set
# of possible states: { v => { column => value }, filled => [ by rule ] }; filled is 0, FILLED, or QUARANTINED where up
# has failed for the row and nobody has given it a value since.  States are never changed in place.  A comparison with the table leaves those that were seen.
package Model;

use strict;
use warnings;

use constant { FILLED => 1, QUARANTINED => 2 };

# columns: { name => { default => [ kind, value ], equal } }, kind none, constant or computed; tidy: what
# other BEFORE triggers make of a row, given it and the row before (undef: there are none); undoes: whether they return
# the row before, given it; moves: whether the row goes
# to another partition, likewise; keyless: whether
# rows are in quarantine by other columns than a key.
sub new
{
	my ($class, %parts) = @_;

	return bless { columns => {}, rules => [], names => [], renamed => {}, tidy => undef, keyless => 0, undoes => sub { 0 }, moves => sub { 0 }, rows => {}, by_value => 0, release => 0, ended => 0, %parts }, $class;
}

# Adds new columns and a rule for them: old, new (lists of names), sources (other columns that up reads: those of a
# derived column are all such, and its old is empty), up_of (of old, then sources), down_of (of new, then down_sources),
# down_gives (the old columns that it computes), keep_old (both releases use the old columns), on_conflict, migration, release (the first that knows the new columns; 0: none was said), repair (a column and a value
# that up does not raise for), is_drop (of a column that the new release does not know: there is no new side, nothing to be
# filled, and down reads but down_sources), is_change (rows that are there have nothing in the new column).
sub add_rule
{
	my ($self, $rule, $columns) = @_;
	my %added = map { $_ => $rule->{is_change} ? undef : $columns->{$_}{default}[1] } @{ $rule->{new} };

	$self->{columns}{$_} = $columns->{$_} foreach keys %added;
	push @{ $self->{rules} }, $rule;
	foreach my $states (values %{ $self->{rows} })
	{
		$states = [ map { { v => { %{ $_->{v} }, %added }, filled => [ @{ $_->{filled} }, $rule->{is_drop} ? FILLED : 0 ] } } @$states ];
	}
	return;
}

# Adds what a release calls a column, and those after it: migration, release, stored, name.
sub add_name
{
	my ($self, $name) = @_;

	$self->{names} = [ @{ $self->{names} }, $name ];
	return;
}

# The name of a column of the table for a release.
sub name_in
{
	my ($self, $stored, $release) = @_;
	my ($last) = reverse grep { $_->{stored} eq $stored && $_->{release} <= $release } @{ $self->{names} };

	return $last ? $last->{name} : $stored;
}

# The name that a column of the table has by now.
sub current
{
	my ($self, $name) = @_;

	$name = $self->{renamed}{$name} while exists $self->{renamed}{$name};
	return $name;
}

# Contract has renamed columns: { old name => new one }.
sub rename
{
	my ($self, $renamed) = @_;
	my $of = sub { $renamed->{ $_[0] } // $_[0] };

	return if !%$renamed;
	$self->{renamed} = { %{ $self->{renamed} }, %$renamed };
	# it is the name of that one now
	delete $self->{renamed}{$_} foreach values %$renamed;
	$self->{columns} = { map { $of->($_) => $self->{columns}{$_} } keys %{ $self->{columns} } };
	$self->{names} = [ map { { %$_, stored => $of->($_->{stored}) } } @{ $self->{names} } ];
	$self->{rules} = [ map {
			my $rule = $_;
			+{ %$rule, map { $_ => $rule->{$_} && [ map { $of->($_) } @{ $rule->{$_} } ] } qw(old new down_sources down_gives) }
	} @{ $self->{rules} } ];
	foreach my $states (values %{ $self->{rows} })
	{
		$states = [ map { my $v = $_->{v}; +{ %$_, v => { map { $of->($_) => $v->{$_} } keys %$v } } } @$states ];
	}
	return;
}

# Forgets the rules of a migration (undef: of all), and columns.
sub end_rules
{
	my ($self, $migration, @dropped) = @_;
	my @stay = grep { defined $migration && $self->{rules}[$_]{migration} ne $migration } 0 .. $#{ $self->{rules} };

	$self->{rules} = [ @{ $self->{rules} }[@stay] ];
	$self->{names} = [ grep { defined $migration && $_->{migration} ne $migration } @{ $self->{names} } ];
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

# What an INSERT says of a column: 2, it gives a value; 1, it names the column, with just its default; 0, it does not
# name it.  said: { named => { column => 'value' or 'DEFAULT' } }, or { by_value => 1 } where no statement can be reached.
sub weight_of_insert
{
	my ($self, $name, $value, $said) = @_;
	my ($kind, $default) = @{ $self->{columns}{$name}{default} };
	# a value is never what a computed default would be
	my $is_default = $kind eq 'computed' ? 0 : !differ($value, $kind eq 'none' ? undef : $default);
	my $word = $said->{named}{$name};

	return $is_default || $kind eq 'computed' && !$word ? 0 : 2 if $said->{by_value};
	return !$word ? 0 : $word eq 'DEFAULT' || $is_default ? 1 : 2;
}

# What is said of a side: the most that is said of one of its columns.
sub weight
{
	my ($row, @names) = @_;
	my ($most) = sort { $b <=> $a } 0, map { $row->{given}{$_} // 0 } @names;

	return $most;
}

# Writes the values of one side of a rule; what comes out as it was is not given to the next rule.
sub give
{
	my ($self, $row, $names, @values) = @_;

	foreach my $name (@$names)
	{
		my $value = shift @values;
		$row->{v}{$name} = $value;
		$row->{given}{$name} = !$row->{before} || differ($value, $row->{before}{$name}) ? 2 : 0;
	}
	return;
}

sub read_by_up
{
	my ($rule) = @_;

	return (@{ $rule->{old} }, @{ $rule->{sources} || [] });
}

# NULLs where up raises, and the row so comes in quarantine.
sub up
{
	my ($rule, $v) = @_;
	my @values = eval { $rule->{up_of}->(@{$v}{ read_by_up($rule) }) };

	return $@ ? map { undef } @{ $rule->{new} } : @values;
}

# Of a column that goes it is down that may.
sub raises
{
	my ($rule, $v) = @_;

	return $rule->{down_of} && !eval { $rule->{down_of}->(@{$v}{ read_by_down($rule) }); 1 } if $rule->{is_drop};
	return !eval { $rule->{up_of}->(@{$v}{ read_by_up($rule) }); 1 };
}

# Whether up has failed for a row, and nobody has given it a value.
sub waits
{
	my ($rule, $v) = @_;

	return raises($rule, $v) && !grep { defined $v->{$_} } @{ $rule->{new} };
}

# Rows for which up fails, by rule.
sub raising
{
	my ($self) = @_;
	my @found;

	foreach my $rule (@{ $self->{rules} })
	{
		push @found, map { [ $rule, $_ ] } grep { raises($rule, $self->{rows}{$_}[0]{v}) } sort keys %{ $self->{rows} };
	}
	return @found;
}

# Those in quarantine: what waits to be repaired.
sub quarantined
{
	my ($self) = @_;

	return grep { $_->[0]{is_drop} ? $self->is_noted(@$_) : waits($_->[0], $self->{rows}{ $_->[1] }[0]{v}) } $self->raising;
}

# Whether a row has a note, for a column that goes: nothing else tells who has put a NULL there.
sub is_noted
{
	my ($self, $rule, $id) = @_;
	my ($i) = grep { $self->{rules}[$_] == $rule } 0 .. $#{ $self->{rules} };

	return $self->{rows}{$id}[0]{filled}[$i] == QUARANTINED;
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
	return $self->give($row, $rule->{down_gives}, down($rule, $row->{v}));
}

# Whether down tells of agreement: only where it has an expression for each old column.
sub is_judged_by_down
{
	my ($rule) = @_;

	return $rule->{down_of} && @{ $rule->{down_gives} } == @{ $rule->{old} };
}

sub read_by_down
{
	my ($rule) = @_;

	return (@{ $rule->{new} }, @{ $rule->{down_sources} || [] });
}

sub down
{
	my ($rule, $v) = @_;
	my @values = $rule->{repair} && raises($rule, $v) && $rule->{is_drop} ? () : $rule->{down_of}->(@{$v}{ read_by_down($rule) });

	# down of NULL is NULL for each column
	$#values = $#{ $rule->{down_gives} };
	return @values;
}

# Whether old and new columns say the same, one way or the other: by the equality of the columns' types.
sub agrees
{
	my ($self, $rule, $v) = @_;
	my @new = up($rule, $v);

	return 1 if !raises($rule, $v) && $self->equal($v, $rule->{new}, @new);
	return 0 if !is_judged_by_down($rule);
	return $self->equal($v, $rule->{old}, down($rule, $v));
}

sub equal
{
	my ($self, $v, $names, @values) = @_;

	foreach my $i (0 .. $#$names)
	{
		my ($a, $b) = ($v->{ $names->[$i] }, $values[$i]);
		my $equal = $self->{columns}{ $names->[$i] }{equal};

		return 0 if defined $a && defined $b && $equal ? !$equal->($a, $b) : differ($a, $b);
	}
	return 1;
}

# Whether the release at hand is one that a rule knows, of the new columns or of the old ones only.
sub is_of_new
{
	my ($self, $rule) = @_;

	# with keep_old it uses both sides
	return $self->{release} && $rule->{release} && $self->{release} >= $rule->{release} && !$rule->{keep_old};
}

sub is_of_old
{
	my ($self, $rule) = @_;

	return $self->{release} && $rule->{release} && $self->{release} < $rule->{release};
}

# A declared release means its own side, the newest columns that it sees.  What it writes on the other side never
# counts: an UPDATE leaves there what the row had, an INSERT the default; and it gives its own side, if only its default.
sub own_side
{
	my ($self, $row) = @_;
	my (%own, %other);

	foreach my $rule (@{ $self->{rules} })
	{
		my ($own, $other) = $self->is_of_new($rule) ? ('new', 'old') : $self->is_of_old($rule) ? ('old', 'new') : next;
		$own{$_} = 1 foreach @{ $rule->{$own} };
		$other{$_} = 1 foreach @{ $rule->{$other} };
	}
	foreach my $name (keys %other)
	{
		$row->{v}{$name} = $row->{before} ? $row->{before}{$name} : $self->{columns}{$name}{default}[1];
		$row->{given}{$name} = 0;
	}
	return if $row->{before};
	# what it gives to a column of a migration without release counts more than a default
	$row->{given}{$_} ||= 1 foreach grep { !$other{$_} } keys %own;
	return;
}

# The table of the design, for one rule.  Notes who has the new side from whom: the writer, or up.
sub apply_rule
{
	my ($self, $row, $i, $unfilled) = @_;
	my $rule = $self->{rules}[$i];
	my $old = weight($row, @{ $rule->{old} });
	my $new = weight($row, @{ $rule->{new} });
	my $forward = sub { $row->{from}[$i] = 'up'; $self->forward($row, $rule); };

	# who gives only some of the new columns of a row that has none means up for the others
	if ($new && $row->{before} && $unfilled)
	{
		my @up = up($rule, $row->{v});
		foreach my $k (0 .. $#up)
		{
			my $name = $rule->{new}[$k];
			$self->give($row, [$name], $up[$k]) if !$row->{given}{$name};
		}
	}
	if ($rule->{is_drop} && !$old)
	{
		# who inserts a row and says nothing of the column: the new release does not know it, and anybody else has its default
		my $is_told = !$self->is_of_new($rule) && $self->{columns}{ $rule->{old}[0] }{default}[0] ne 'none';
		if (!$row->{before} && !$is_told)
		{
			$self->backward($row, $rule);
			$row->{from}[$i] = 'down';
		}
	}
	elsif (!$old && !$new)
	{
		$forward->() if !$row->{before} || $unfilled;
	}
	# given beats named, named beats absent; of two that are named it is the old side
	elsif ($old > $new || $old == 1 && $new == 1)
	{
		$forward->();
	}
	elsif ($new > $old)
	{
		$row->{from}[$i] = 'writer';
		$self->backward($row, $rule);
	}
	elsif ($self->agrees($rule, $row->{v}))
	{
		$row->{from}[$i] = 'writer';
	}
	# both as quarantine has them: who saves such a row gets no error
	elsif ($rule->{on_conflict} eq 'error' && $rule->{repair} && waits($rule, $row->{v}))
	{
		$row->{from}[$i] = 'up';
	}
	else
	{
		die "27000\n" if $rule->{on_conflict} eq 'error';
		return $forward->() if $rule->{on_conflict} eq 'old';
		$row->{from}[$i] = 'writer';
		$self->backward($row, $rule);
	}
	return;
}

# A new side that was left as it is follows up, where another source of up has changed, unless it has a value of its
# own; that of a release that knows it never does.  Returns 'down' if the old side did so.  before: the row before, whose up it must have been; unfilled: rules
# that it was never filled by.
sub follow
{
	my ($self, $row, $rule, $before, @unfilled) = @_;
	my @up = up($rule, $before);
	my $raised = raises($rule, $before);
	my $changed = sub { grep { differ($row->{v}{$_}, $before->{$_}) } @_ };

	return $self->follow_down($row, $rule, $before, @unfilled) if $rule->{down_sources} && $changed->(@{ $rule->{down_sources} });
	return if $rule->{is_drop} || $self->is_of_new($rule);
	return if !$changed->(read_by_up($rule));
	foreach my $k (0 .. $#up)
	{
		my $name = $rule->{new}[$k];
		my ($is, $default) = ($before->{$name}, $self->{columns}{$name}{default}[1]);
		return if $raised ? defined $is && differ($is, $default) : differ($is, $up[$k]);
	}
	$self->forward($row, $rule);
	return;
}

# Whether down of a rule reads what another one fills.
sub reads
{
	my ($self, $rule, $other) = @_;
	my %new = map { $_ => 1 } @{ $other->{new} };

	return scalar grep { $new{$_} } @{ $rule->{down_sources} || [] };
}

# Likewise an old side whose down reads a source.
sub follow_down
{
	my ($self, $row, $rule, $before, @unfilled) = @_;
	my @down = down($rule, $before);

	my $raised = $rule->{is_drop} && raises($rule, $before);

	return if $self->is_of_old($rule);
	# what a row that was never filled has in a column that goes is the old release's
	return if $rule->{is_drop} && grep { $self->reads($rule, $self->{rules}[$_]) } @unfilled;
	foreach my $k (0 .. $#down)
	{
		my $name = $rule->{down_gives}[$k];
		my $is = $before->{$name};
		my ($kind, $default) = @{ $self->{columns}{$name}{default} };
		# a value is never what a computed default would be
		return if $raised ? defined $is && ($kind ne 'constant' || $is ne $default) : differ($is, $down[$k]);
	}
	$self->backward($row, $rule);
	return 'down';
}

# Columns that go come last, and first those of later releases, which the earlier ones know.
sub in_order
{
	my ($self) = @_;
	my @rules = @{ $self->{rules} };

	return ((grep { !$rules[$_]{is_drop} } 0 .. $#rules), reverse grep { $rules[$_]{is_drop} } 0 .. $#rules);
}

# Applies each rule once, from what is given; unfilled: [ by rule ].
sub apply_rules
{
	my ($self, $row, @unfilled) = @_;
	my @open = $self->in_order;
	my @read;

	while (@open)
	{
		# first what the writer has taken hold of
		my @next = map {
			my $least = $_;
			grep { weight($row, @{ $self->{rules}[$_]{old} }, @{ $self->{rules}[$_]{new} }) >= $least } @open
		} 2, 1;
		my $next = @next ? $next[0] : $open[0];

		@open = grep { $_ != $next } @open;
		$self->apply_rule($row, $next, $unfilled[$next]);
		$read[$next] = { %{ $row->{v} } };
	}
	# what up has made of a source that another rule has set since is made again
	foreach my $i (grep { ($row->{from}[$_] // '') eq 'up' } 0 .. $#{ $self->{rules} })
	{
		my $rule = $self->{rules}[$i];
		$self->forward($row, $rule) if grep { differ($row->{v}{$_}, $read[$i]{$_}) } @{ $rule->{sources} || [] };
	}
	return;
}

# The state that a written row comes to; dies with an SQLSTATE.  said: see weight_of_insert; of an UPDATE computes: the
# columns that it computes from themselves.
sub written
{
	my ($self, $v, $state, $said) = @_;
	my $before = $state && $state->{v};
	my @rules = @{ $self->{rules} };
	my @unfilled = map { $state && !$state->{filled}[$_] } 0 .. $#rules;
	my %row = (v => $v, before => $before, from => []);

	if (!@rules)
	{
		$self->{tidy}->($v, $before) if $self->{tidy};
		return { v => $before && $self->{undoes}->($v) ? {%$before} : $v, filled => [] };
	}
	foreach my $i (grep { $unfilled[$_] } 0 .. $#rules)
	{
		die "55T02\n" if grep { $said->{computes}{$_} } @{ $rules[$i]{new} };
	}
	foreach my $name (map { (@{ $_->{old} }, @{ $_->{new} }) } @rules)
	{
		$row{given}{$name} = $before ? (differ($v->{$name}, $before->{$name}) ? 2 : 0) : $self->weight_of_insert($name, $v->{$name}, $said);
	}
	$self->own_side(\%row);
	$self->apply_rules(\%row, @unfilled);
	foreach my $i ($before ? grep { !$row{from}[$_] } $self->in_order : ())
	{
		$row{from}[$i] = $self->follow(\%row, $rules[$i], $before, grep { $unfilled[$_] } 0 .. $#rules);
	}
	$self->after_others(\%row, $before, @unfilled) if $self->{tidy};
	return { v => $v, filled => [ map { $self->is_quarantined($rules[$_], $v, $state && $state->{filled}[$_], $row{from}[$_]) ? QUARANTINED : FILLED } 0 .. $#rules ] };
}

# Whether a row that is written is in quarantine, or stays there; from: who has the new side, if it was written.
sub is_quarantined
{
	my ($self, $rule, $v, $was, $from) = @_;

	return 0 if !$rule->{repair} || grep { defined $v->{$_} } @{ $rule->{ $rule->{is_drop} ? 'old' : 'new' } };
	# a writer who gives it, or makes a new row, puts the NULL there
	return ($from // '') eq 'down' ? raises($rule, $v) : !$from && ($was // 0) == QUARANTINED if $rule->{is_drop};
	return raises($rule, $v) || $self->{keyless} || ($was // 0) == QUARANTINED && ($from // '') ne 'writer';
}

# What other triggers change is followed: they see both sides right, and what they leave behind is no word of the
# writer.  What is as up had it follows, where a source has changed, whoever has put it there.
sub after_others
{
	my ($self, $row, $before, @unfilled) = @_;
	my %first = %{ $row->{v} };
	my %row = (v => $row->{v}, before => \%first, from => []);
	my @rules = @{ $self->{rules} };

	local $self->{release} = 0;
	$self->{tidy}->($row{v}, $before);
	if ($before && $self->{undoes}->($row{v}))
	{
		# as if nothing had been written, to a row that is filled nevertheless
		%{ $row{v} } = %$before;
		return $self->apply_rules({ v => $row{v}, before => $before, given => {}, from => [] }, @unfilled);
	}
	$row{given} = { map { $_ => differ($row{v}{$_}, $first{$_}) ? 2 : 0 } map { (@{ $_->{old} }, @{ $_->{new} }) } @rules };
	$self->apply_rules(\%row);
	foreach my $i (grep { !$row{from}[$_] } $self->in_order)
	{
		$self->follow(\%row, $rules[$i], \%first);
	}
	return;
}

# The state after the backfill.
sub filled
{
	my ($self, $state) = @_;
	my %row = (v => { %{ $state->{v} } }, before => $state->{v}, given => {});

	foreach my $i (0 .. $#{ $self->{rules} })
	{
		my $rule = $self->{rules}[$i];
		$self->forward(\%row, $rule) if !$state->{filled}[$i] || weight(\%row, @{ $rule->{old} });
	}
	my @rules = @{ $self->{rules} };
	return { v => $row{v}, filled => [ map { $self->is_quarantined($rules[$_], $row{v}, $state->{filled}[$_]) ? QUARANTINED : FILLED } 0 .. $#rules ] };
}

# The state after a row in quarantine was tried again, where up does not fail any more.
sub retried
{
	my ($self, $state, $i) = @_;
	my $rule = $self->{rules}[$i];
	my %row = (v => { %{ $state->{v} } }, before => $state->{v}, given => {});
	my @filled = @{ $state->{filled} };

	$rule->{is_drop} ? $self->backward(\%row, $rule) : $self->forward(\%row, $rule);
	$filled[$i] = FILLED;
	return { v => $row{v}, filled => \@filled };
}

sub is_at_default
{
	my ($self, $state, $rule) = @_;

	return !grep {
		my ($kind, $default) = @{ $self->{columns}{$_}{default} };
		defined $state->{v}{$_} && ($kind ne 'constant' || $state->{v}{$_} ne $default)
	} @{ $rule->{new} };
}

# All states that a row may be in by now: those that the backfill has not reached may have been filled,
# and those in quarantine tried again;
# and where rows tell it by their values alone, what has no value may count as never filled.
sub possible
{
	my ($self, $states) = @_;
	my @all = @$states;
	my %seen;

	if ($self->{by_value})
	{
		foreach my $i (grep { !$self->{rules}[$_]{done} && !$self->{rules}[$_]{is_drop} } 0 .. $#{ $self->{rules} })
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
	foreach my $i (grep { $self->{rules}[$_]{repair} } 0 .. $#{ $self->{rules} })
	{
		push @all, map { $self->retried($_, $i) } grep { $_->{filled}[$i] == QUARANTINED && !raises($self->{rules}[$i], $_->{v}) } @all;
	}
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

# A value that is the keyword DEFAULT.
use constant DEFAULT => \'DEFAULT';

sub is_keyword
{
	return ref $_[0] eq 'SCALAR';
}

# by_value: no statement tells which columns are named.
sub insert
{
	my ($self, $id, $given, $by_value) = @_;
	my $values = { map { $self->current($_) => $given->{$_} } keys %$given };
	my %named = map { $_ => is_keyword($values->{$_}) ? 'DEFAULT' : 'value' } keys %$values;
	my %v = map { $_ => ($named{$_} // 'DEFAULT') eq 'DEFAULT' ? $self->{columns}{$_}{default}[1] : $values->{$_} } keys %{ $self->{columns} };

	$v{id} = $id;
	my $state = eval { $self->written(\%v, undef, { named => \%named, by_value => $by_value }) };
	return 0 if !$state;
	$self->{rows}{$id} = [$state];
	return 1;
}

# A row that its UPDATE moves to another partition is inserted there: other triggers see it once more.
sub moved
{
	my ($self, $before, $after) = @_;
	my %v = %{ $after->{v} };

	return $after if !$self->{tidy} || !$self->{moves}->($before->{v}, \%v);
	# nobody has written anything since
	$self->after_others({ v => \%v, from => [ map { 'writer' } @{ $self->{rules} } ] }, undef);
	return { v => \%v, filled => $after->{filled} };
}

# What an UPDATE makes of one state of a row: a state, or undef and the SQLSTATE.
sub update_state
{
	my ($self, $state, $set, $computes) = @_;
	my %v = %{ $state->{v} };

	foreach (keys %$set)
	{
		my $name = $self->current($_);
		$v{$name} = ref $set->{$_} eq 'CODE' ? $set->{$_}->($state->{v}, $name) : $set->{$_};
	}
	my $after = eval { $self->moved($state, $self->written(\%v, $state, { computes => $computes })) };
	die $@ if !$after && $@ !~ /^(27000|55T02)$/;
	return ($after, $after ? '' : $1);
}

# Splits the possible states of a row in those that an UPDATE leads to, and those that it is refused in.
sub try_update
{
	my ($self, $id, $set, $computes) = @_;
	my (@done, @refused, %seen);

	foreach my $state ($self->possible($self->{rows}{$id}))
	{
		my ($after, $error) = $self->update_state($state, $set, $computes);
		if ($after) { push @done, $after }
		else { push @refused, [ $state, $error ] }
	}
	return ([ grep { !$seen{ key($_) }++ } @done ], \@refused);
}

# computes: the columns that it computes from themselves.
sub update
{
	my ($self, $id, $set, $computes) = @_;
	my ($done) = $self->try_update($id, $set, $computes);

	return 0 if !@$done;
	$self->{rows}{$id} = $done;
	return 1;
}

sub refuse_update
{
	my ($self, $id, $set, $computes, $sqlstate) = @_;
	my ($done, $refused) = $self->try_update($id, $set, $computes);
	my @states = map { $_->[0] } grep { $_->[1] eq $sqlstate } @$refused;

	return 0 if !@states;
	$self->{rows}{$id} = \@states;
	return 1;
}

# A row is read, and its columns are saved as they were read, but for some: the fill may have been there before it was
# read, or in between.
sub save
{
	my ($self, $id, $names, $set, $sqlstate) = @_;
	my (@done, @refused, %seen);

	foreach my $read ($self->possible($self->{rows}{$id}))
	{
		my %all = ((map { $_ => $read->{v}{ $self->current($_) } } @$names), %$set);
		foreach my $state ($self->possible([$read]))
		{
			my ($after, $error) = $self->update_state($state, \%all, {});
			if ($after) { push @done, $after }
			elsif ($error eq ($sqlstate // '')) { push @refused, $state }
		}
	}
	my @states = grep { !$seen{ key($_) }++ } defined $sqlstate ? @refused : @done;
	return 0 if !@states;
	$self->{rows}{$id} = \@states;
	return 1;
}

# What a transaction sees of a row that it has just written, and that nobody else may have written since.
sub look
{
	my ($self, $id, $names, $seen) = @_;
	my @states = grep {
		my $v = $_->{v};
		join('|', map { $v->{ $self->current($_) } // '(null)' } @$names) eq ($seen // '');
	} @{ $self->{rows}{$id} || [] };

	return !defined $seen if !$self->{rows}{$id};
	return 0 if !@states;
	$self->{rows}{$id} = \@states;
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
# lead to, so that a proof cannot miss them: a one-way sync lets the new column go its way at any time, and a release that
# means the new columns leaves them as they are, whatever it writes to a source of up.  Call it where each row is certain.
sub mismatched
{
	my ($self) = @_;
	my (%rows, %surely);

	foreach my $states (values %{ $self->{rows} })
	{
		# a derived column may hold a value of its own
		my @wrong = grep { @{ $_->{old} } && !$_->{is_drop} && !raises($_, $states->[0]{v}) && !$self->agrees($_, $states->[0]{v}) } @{ $self->{rules} };
		my %wrong = map { $_->{migration} => 1 } @wrong;
		my %both_ways = map { $_->{migration} => 1 } grep { is_judged_by_down($_) && !($_->{release} && @{ $_->{sources} }) } @wrong;
		$rows{$_}++ foreach keys %wrong;
		$surely{$_}++ foreach keys %both_ways;
	}
	return (\%rows, \%surely);
}

# Rows whose derived columns hold values of their own, by migration.
sub own
{
	my ($self) = @_;
	my %rows;

	foreach my $v (map { $_->[0]{v} } values %{ $self->{rows} })
	{
		my %own = map { $_->{migration} => 1 } grep { !@{ $_->{old} } && !raises($_, $v) && !$self->equal($v, $_->{new}, up($_, $v)) } @{ $self->{rules} };
		$rows{$_}++ foreach keys %own;
	}
	return \%rows;
}

# For messages.
sub describe
{
	my ($v) = @_;

	return 'no row' if !$v;
	return join ', ', map { "$_=" . (defined $v->{$_} ? length $v->{$_} > 60 ? substr($v->{$_}, 0, 60) . '... of ' . length $v->{$_} : $v->{$_} : 'NULL') } sort keys %$v;
}

1;
