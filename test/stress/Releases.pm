# What the release registry must say, and who declares which release: told once more from README.md.
#
# What nobody can know from outside, whether the fill under way has ended, makes a state a set of states.
# A release that was ready stays ready, whatever migration is begun or run again; only one of that very
# release that was never filled takes it back.  That one may be begun while no session has declared the
# release, or has ever written as it, and while it is above the pointer and the oldest that is left.  Some
# release may always write: so contract of one that would be held back by a migration after it is refused.
#
# In the scenario of rows fills are under way and sessions come by themselves; in that on releases everything is
# known, and so each state and each SQLSTATE.
package Releases;

use strict;
use warnings;

use Random;
use Storable qw(dclone);
use Time::HiRes qw(time);

# the release before all migrations; each migration m<n> is of release FIRST + n, or of none
use constant FIRST => 41;
use constant LAST => 46;

sub new
{
	my ($class, $random) = @_;
	my $self = bless { current => 0, lowest => 0, registered => {}, open => {}, final => {}, releases => {}, last => {}, ready => {}, used => {}, newest => LAST }, $class;

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

sub of_seed
{
	my ($class, $seed) = @_;

	return $class->new(Random->new($seed, 'releases'));
}

# What another database goes through from now on.
sub copy
{
	my ($self) = @_;

	return dclone($self);
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

# A migration has been expanded; release: where it was not drawn beforehand.
sub opened
{
	my ($self, $name, $release) = @_;

	$release //= $self->of($name);
	$self->remember;
	$self->{open}{$name} = { release => $release, proved => 0 } if $release;
	return;
}

# The SQLSTATEs that create_migration of a release may end with, 00000 among them; who calls: may_move (may
# move releases), declared (by other sessions that count: 1, 0, or undef where nobody knows).
sub of_beginning
{
	my ($self, $release, %who) = @_;
	my %outcomes;

	return ('00000') if !$release;
	return ('42501') if !$who{may_move};
	return ('55000') if $release <= $self->{current} || $release == $self->{lowest};
	# a contract under way may have made it the oldest
	$outcomes{'55000'} = 1 if $release == ($self->{fence} // 0);
	foreach my $state ($self->states($release))
	{
		my $taken = $state eq 'retired' || $state eq 'ready' && ($self->{used}{$release} || $who{declared});
		$outcomes{ $taken ? '55000' : '00000' } = 1;
		# used may be what nobody has told
		$outcomes{'55000'} = 1 if $state eq 'ready' && !defined $who{declared};
	}
	return sort keys %outcomes;
}

# A session has written a table of a migration as this release, and that is committed: for good.
sub written
{
	my ($self, $release) = @_;

	$self->{used}{$release} = 1;
	return;
}

# What a transaction sees of it, from its first statement to its end.
sub view
{
	my ($self) = @_;

	return { known => $self->highest > 0, states => { map { $_ => ($self->states($_))[0] } FIRST .. $self->{newest} } };
}

# The SQLSTATE of a statement of a session that has declared a release; use: none, read, write (rows of users).
sub of_statement
{
	my ($view, $release, $use) = @_;
	my $state = $view->{states}{$release} // 'ready';

	return '00000' if !$release || !$view->{known};
	return '55T01' if $state eq 'retired' || $state eq 'unknown' && $use ne 'none';
	return '55T02' if $state eq 'read_only' && $use eq 'write';
	return '00000';
}

# Each release that somebody has made known: { release => [names of its migrations] }.
sub known
{
	my ($self) = @_;
	my %known = map { $_ => [] } keys %{ $self->{registered} }, $self->{current} || ();

	push @{ $known{ $_->[1] } }, $_->[0] foreach (map { [ $_, $self->{open}{$_}{release} ] } keys %{ $self->{open} }),
	  map { my $release = $_; map { [ $_, $release ] } @{ $self->{final}{$release} } } keys %{ $self->{final} };
	return { map { $_ => [ sort @{ $known{$_} } ] } keys %known };
}

# The lowest release that a migration keeps from being ready; without: but that migration.  0: none does.
sub lowest_unfilled
{
	my ($self, $without) = @_;
	my ($lowest) = sort { $a <=> $b } map { $self->{open}{$_}{release} } grep { $_ ne ($without // '') && !$self->{open}{$_}{proved} } keys %{ $self->{open} };

	return $lowest // 0;
}

# Whether contract of a migration would leave no release that may write: another one keeps its release back.
sub leaves_no_writer
{
	my ($self, $name) = @_;
	my $release = $self->{open}{$name}{release};

	$self->remember;
	return 0 if $self->{current} >= $release || $self->{lowest} >= $release;
	my $was_ready = ($self->{ready}{$release} // 0) == 2;
	my @others = map { $self->{open}{$_} } grep { $_ ne $name } keys %{ $self->{open} };
	return scalar grep { !$_->{proved} && ($_->{release} == $release || $_->{release} < $release && !$was_ready) } @others;
}

# Whether a migration of a release may be refused: it is current, or older, or nodes may work as it.
sub may_be_taken
{
	my ($self, $release) = @_;

	return $release <= $self->{current} || $release == $self->{lowest} || $release == ($self->{fence} // 0)
	  || $self->may_be($release, 'retired', 'ready', 'current');
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

# Abort has begun: from now on the migration may be gone.
sub aborting
{
	my ($self, $name) = @_;

	$self->remember;
	$self->{aborting} = $name;
	return;
}

# It was refused, and has taken its fence back.
sub unfenced
{
	my ($self) = @_;

	$self->remember;
	delete $self->{fence};
	return;
}

sub ended
{
	my ($self, $name, $how) = @_;

	$self->remember;
	my $was = delete $self->{open}{$name};
	delete @{$self}{qw(fence aborting)};
	$self->{aborted}{ $was->{release} } = 1 if $was && $how eq 'abort';
	return if !$was || $how eq 'abort';
	push @{ $self->{final}{ $was->{release} } }, $name;
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

	foreach my $release (FIRST .. $self->{newest})
	{
		my @states = $self->states($release);
		# that a contract by force may be making it current is told by switched(), where it does
		my @ready = grep { $_ eq 'ready' || $_ eq 'current' } $self->states_but_for_force($release);

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
	my @states = $self->states_but_for_force($release);
	my %left = %{ $self->{open} };

	if ($self->{aborting} && delete $left{ $self->{aborting} })
	{
		my %seen = map { $_ => 1 } @states;
		local $self->{open} = \%left;
		push @states, grep { !$seen{$_} } $self->states_but_for_force($release);
	}
	# a contract by force takes the pointer along
	unshift @states, 'current' if $states[0] ne 'retired' && $self->{fence} && $release == $self->{fence} && $self->{current} && $self->{current} < $release;
	return @states;
}

sub states_but_for_force
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

# Of a release that was there for its migrations alone, all of which were aborted, nodes are told to wait.
sub is_left
{
	my ($self, $release) = @_;

	return $self->{aborted}{$release} && !$self->{registered}{$release} && !$self->{final}{$release}
	  && !grep { $_->{release} == $release } values %{ $self->{open} };
}

sub may_serve
{
	my ($self, $release) = @_;

	return !$self->is_left($release) && $self->may_be($release, 'ready', 'current');
}

# The states are those in which it does not.
sub may_not_serve
{
	my ($self, $release, @states) = @_;

	return $self->is_left($release) || $self->may_be($release, @states);
}

# Whether a node of that release is told that it may serve, in such a state: "t" or "f".
sub healthy
{
	my ($self, $release, $state) = @_;

	return $state =~ /^(ready|current)$/ && !$self->is_left($release) ? 't' : 'f';
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
DO \$\$ BEGIN CREATE ROLE $role LOGIN IN ROLE stress_writer; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END \$\$;
ALTER ROLE $role SET tandem.release = $release;
SQL
	}
	return $sql;
}

sub role
{
	my ($release) = @_;

	return "stress_writer_$release";
}

# How a session says what it is: { setting, path (releases), user, options, sql }; half of them say nothing.
sub draw_session
{
	my ($random) = @_;
	my $release = $random->between(FIRST, LAST);
	my $how = $random->pick('options', 'set', 'role', 'path', 'path set');
	my %session = (user => 'stress_writer', sql => '', options => '', setting => 0, path => 0);

	return \%session if $random->chance(45);
	$session{ $how =~ /path/ ? 'path' : 'setting' } = $release;
	$session{options} = "-ctandem.release=$release" if $how eq 'options';
	$session{options} = "-csearch_path=release_$release" if $how eq 'path';
	$session{sql} = "SET tandem.release = $release;" if $how eq 'set';
	$session{sql} = "SET search_path = release_$release, pg_catalog;" if $how eq 'path set';
	$session{user} = role($release) if $how eq 'role';
	return \%session;
}

1;
