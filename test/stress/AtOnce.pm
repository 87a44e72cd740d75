# Statements of a writer (Writers.pm) whose row is read in the same transaction: nobody else may have been there, so
# what it is then is certain.  They draw from streams of their own.
package AtOnce;

use strict;
use warnings;

use Random;
use Schema;

sub run
{
	my ($self) = @_;

	return if $self->{ending};
	write_side($self, Random->new($self->{random}{state}, 'at once'));
	take_back($self, Random->new($self->{random}{state}, 'taken back'));
	write_alike($self, Random->new($self->{random}{state}, 'alike'));
	write_tidied($self, Random->new($self->{random}{state}, 'tidied'));
	return;
}

sub update
{
	my ($self, $id, %set) = @_;
	my $sql = "UPDATE $self->{table} SET " . join(', ', map { "$_ = " . Schema::literal($set{$_}) } sort keys %set) . " WHERE id = $id;";

	$self->say($sql);
	$self->step($sql, sub { !$_[0]{rows}{$id} || $_[0]->update($id, \%set) });
	return;
}

# A side, of the table or of the view of any release, gets a value, and may lose it again.
sub write_side
{
	my ($self, $random) = @_;
	my @views = $self->{views}->releases;
	my ($mapping) = grep { @{ $_->{writable} } > 1 } $random->shuffled(@{ $self->{schema}{mappings} });

	# most of all while nothing is filled yet
	return if !$mapping || $self->{seq} > 24 && !$random->chance(40);
	$self->on_table;
	$self->on_view($random->pick(@views)) if @views && $random->chance(40);
	return if $self->{release} && Writers::only_own($mapping);
	my ($side) = $random->shuffled(grep { my $side = $_; !$self->{shown} || !grep { !$self->{shown}{ $_->{name} } } @$side } @{ $mapping->{writable} }) or return;
	my $id = $self->{number} * Schema::KEYS + $random->below($self->{schema}{rows});
	foreach my $is_value (@{ $random->pick([1], [ 1, 0 ], [ 1, 0 ], [0]) })
	{
		update($self, $id, map { $_->{name} => $is_value ? $_->{value}->($random) : undef } @$side);
	}
	look($self, $id);
	$self->{count}{look_at_once}++;
	return;
}

# A row comes in quarantine, gets a value of its own, is repaired, and loses the value: that NULL is the writer's,
# and nothing is noted of the row any more.
sub take_back
{
	my ($self, $random) = @_;
	my ($mapping) = grep { $_->{quarantine} && $_->{derived} && @{ $_->{writable} } > 1 } @{ $self->{schema}{mappings} };

	return if !$mapping || $mapping->{repaired} || $self->{schema}{constraints}{keyless} || !$random->chance(15);
	$self->on_table;
	return if $self->{release};
	my $id = $self->{number} * Schema::KEYS + $random->below($self->{schema}{rows});
	my ($new) = @{ $mapping->{writable}[1] };
	update($self, $id, %$_) foreach $mapping->{bad}, { $new->{name} => $new->{value}->($random) }, { @{ $mapping->{repair} } }, { $new->{name} => undef };
	look($self, $id);
	see($self, "SELECT count(*) FROM tandem.quarantine WHERE key ->> 'id' = '$id' AND sqlstate = '22012'", sub { !$_[0]{rows}{$id} || $_[1] eq '0' });
	$self->{count}{take_back_repaired}++;
	return;
}

# A new side gets a value, and loses it, while another trigger of the table changes what another rule reads: the NULL is
# the writer's, and no row that was never filled.
sub write_tidied
{
	my ($self, $random) = @_;
	my ($other) = grep { $_->{tidied} } @{ $self->{schema}{mappings} } or return;
	my ($mapping) = grep { $_ != $other && @{ $_->{writable} } == 2 && @{ $_->{links} } == 1 } $random->shuffled(@{ $self->{schema}{mappings} });

	# most of all while nothing is filled yet
	return if !$mapping || !$random->chance($self->{seq} > 24 ? 10 : 70);
	$self->on_table;
	return if $self->{release};
	my $id = $self->{number} * Schema::KEYS + $random->below($self->{schema}{rows});
	foreach my $is_value (1, 0)
	{
		update($self, $id, $other->{tidied} => -$random->between(1, 99), map { $_->{name} => $is_value ? $_->{value}->($random) : undef } @{ $mapping->{writable}[1] });
	}
	look($self, $id);
	$self->{count}{write_tidied}++;
	return;
}

# Both sides, which agree by the equality of their types alone.
sub write_alike
{
	my ($self, $random) = @_;
	my ($mapping) = grep { $_->{alike} && @{ $_->{writable} } > 1 } @{ $self->{schema}{mappings} };

	return if !$mapping || !$random->chance(25);
	$self->on_table;
	return if $self->{release};
	my $id = $self->{number} * Schema::KEYS + $random->below($self->{schema}{rows});
	update($self, $id, %{ $mapping->{alike}->($random) });
	look($self, $id);
	$self->{count}{write_alike}++;
	return;
}

# Reads a row that the transaction has just written.
sub look
{
	my ($self, $id) = @_;
	my @names = map { $_->{name} } map { @$_ } map { @{ $_->{writable} } } @{ $self->{schema}{mappings} };
	my $values = join ', ', map { "CASE WHEN $_ IS NOT NULL THEN format('%s', $_) END" } @names;

	see($self, "SELECT array_to_string(ARRAY[$values], '|', '(null)') FROM $self->{schema}{name} WHERE id = $id", sub { $_[0]->look($id, \@names, $_[1]) });
	return;
}

# Notes what a query returns, a value or no row at all, for the model: right($model, $value) is false where it cannot be.
sub see
{
	my ($self, $query, $right) = @_;
	my $step = @{ $self->{steps} };

	$self->say("INSERT INTO stress.looked SELECT $self->{number}, $self->{seq}, $step, seen FROM ($query) s (seen);");
	push @{ $self->{steps} }, { what => $query, looked => $right, release => $self->{release} };
	return;
}

1;
