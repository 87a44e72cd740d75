# What the release registry must say, and who declares which release: told once more from README.md.
#
# What nobody can know from outside, whether the fill under way has ended, makes a state a set of states.
# A release that was ready stays ready, whatever migration is begun or run again; only one of that very
# release that was never filled takes it back.
package Releases;

use strict;
use warnings;

use Time::HiRes qw(time);

# the release before all migrations; each migration m<n> is of release FIRST + n, or of none
use constant FIRST => 41;
use constant LAST => 46;

sub new
{
	my ($class, $random) = @_;
	my $self = bless { current => 0, lowest => 0, registered => {}, open => {}, final => {}, releases => {}, last => {}, ready => {} }, $class;

	# who has no right to move releases leaves them out
	$self->{granted} = $random->chance(70);
	$self->{library} = $random->pick('none', 'none', 'shared', 'session');
	$self->{fenced} = $self->{library} ne 'none';
	foreach my $n (1 .. 4)
	{
		$self->{releases}{"m$n"} = $random->chance(80) ? FIRST + $n : 0;
	}
	return $self;
}

sub of
{
	my ($self, $name) = @_;

	return $self->{releases}{$name};
}

# A migration is to be of no release.
sub leave_out
{
	my ($self, $name) = @_;

	$self->{releases}{$name} = 0;
	return;
}

# A migration has been expanded.
sub opened
{
	my ($self, $name) = @_;

	$self->remember;
	$self->{open}{$name} = { release => $self->of($name), proved => 0 } if $self->of($name);
	return;
}

# Whether a migration of a release may be refused: it is current, or older, or nodes may work as it.
sub may_be_taken
{
	my ($self, $release) = @_;

	return $release <= $self->{current} || $self->may_be($release, 'retired', 'ready', 'current');
}

# proved: 1, 0, or undef where a run may have come to its end or not.  What was filled once stays so.
sub set_proved
{
	my ($self, $proved, @names) = @_;

	$self->remember;
	foreach my $open (map { $self->{open}{$_} // () } @names ? @names : keys %{ $self->{open} })
	{
		$open->{proved} = $proved if $proved || defined $open->{proved} && !$open->{proved};
	}
	return;
}

# Contract has begun: what is older than its release may be refused from now on.
sub fencing
{
	my ($self, $name) = @_;

	$self->remember;
	$self->{fence} = $self->{open}{$name}{release} if $self->{open}{$name};
	return;
}

sub ended
{
	my ($self, $name, $how) = @_;

	$self->remember;
	my $was = delete $self->{open}{$name};
	delete $self->{fence};
	return if !$was || $how eq 'abort';
	$self->{final}{ $was->{release} } = 1;
	$self->{lowest} = $was->{release} if $was->{release} > $self->{lowest};
	return;
}

sub switched
{
	my ($self, $release) = @_;

	$self->remember;
	$self->{current} = $release;
	return;
}

sub registered
{
	my ($self, $release) = @_;

	$self->remember;
	$self->{registered}{$release} = 1;
	return;
}

# Before a change: up to now releases may have been what they may be.
sub remember
{
	my ($self) = @_;

	foreach my $release (FIRST .. LAST)
	{
		my @states = $self->states($release);
		my @ready = grep { $_ eq 'ready' || $_ eq 'current' } @states;

		$self->{last}{$release}{$_} = time foreach @states;
		# for sure, or perhaps
		$self->{ready}{$release} = 2 if @ready && !grep { $_ eq 'read_only' } @states;
		$self->{ready}{$release} ||= 1 if @ready;
	}
	return;
}

sub highest
{
	my ($self) = @_;
	my ($highest) = sort { $b <=> $a } $self->{current}, keys %{ $self->{registered} }, keys %{ $self->{final} },
	  map { $_->{release} } values %{ $self->{open} };

	return $highest;
}

# The states that a release may be in.
sub states
{
	my ($self, $release) = @_;
	my $highest = $self->highest;
	my $served = $release == $self->{current} ? 'current' : 'ready';
	my @open = grep { $_->{release} <= $release } values %{ $self->{open} };
	my @states;

	return ('retired') if $release < $self->{lowest};
	push @states, 'retired' if $self->{fence} && $release < $self->{fence};
	return (@states, 'unknown') if !$highest || $release > $highest;
	my $ready = $self->{ready}{$release} // 0;
	my @own = grep { $_->{release} == $release } @open;
	@open = @own if $ready == 2;
	push @states, $served if $ready == 1 && !grep { defined $_->{proved} && !$_->{proved} } @own;
	return (@states, 'read_only') if grep { defined $_->{proved} && !$_->{proved} } @open;
	push @states, 'read_only' if grep { !defined $_->{proved} } @open;
	return (@states, $served);
}

sub may_be
{
	my ($self, $release, @states) = @_;
	my %possible = map { $_ => 1 } $self->states($release);

	return scalar grep { $possible{$_} } @states;
}

# Whether a release may have been in one of the states at any time since.
sub may_have_been
{
	my ($self, $since, $release, @states) = @_;

	return $self->may_be($release, @states) || grep { ($self->{last}{$release}{$_} // 0) >= $since } @states;
}

# Releases older than this are refused, once a migration is to end; 0: it has no fence.
sub fence_of
{
	my ($self, $name) = @_;

	return $self->{open}{$name} ? $self->{open}{$name}{release} : 0;
}

# Roles that declare their release by themselves.
sub roles_sql
{
	my $sql = '';

	foreach my $release (FIRST .. LAST)
	{
		my $role = role($release);

		$sql .= <<"SQL";
DO \$\$ BEGIN CREATE ROLE $role LOGIN IN ROLE torture_writer; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END \$\$;
ALTER ROLE $role SET tandem.release = $release;
SQL
	}
	return $sql;
}

sub role
{
	my ($release) = @_;

	return "torture_writer_$release";
}

# How a session says what it is: { release, user, options, sql }; half of them say nothing.
sub draw_session
{
	my ($random) = @_;
	my $release = $random->between(FIRST, LAST);
	my $how = $random->pick('options', 'set', 'role');
	my %session = (user => 'torture_writer', sql => '', options => '');

	return { %session, release => 0 } if $random->chance(45);
	$session{options} = "-ctandem.release=$release" if $how eq 'options';
	$session{sql} = "SET tandem.release = $release;" if $how eq 'set';
	$session{user} = role($release) if $how eq 'role';
	return { %session, release => $release };
}

1;
