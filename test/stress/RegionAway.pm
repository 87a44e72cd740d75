# A region of RegionScenario that is away, for good as the others think: nothing waits for it by force.  It comes back, must
# not go another way than they have gone, and follows them.
package RegionAway;

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep);

sub go_away
{
	my ($self, $name) = @_;

	$self->{last}{$name} = $self->state($name);
	$self->tell("$name goes, in phase $self->{last}{$name}{phase}");
	$self->at($name)->end_postmaster;
	return;
}

sub come_back
{
	my ($self, $name) = @_;

	$self->at($name)->start_again;
	$self->at($name)->wait_for_server;
	delete $self->{last}{$name};
	$self->tell("$name is back");
	# everything has arrived
	$self->quiet;
	$self->go_on;
	return;
}

# One of them is away: without force each of the others is refused, and with force it acts.
sub act_by_force
{
	my ($self, $act, @names) = @_;
	my (undef, $sql) = $self->call_of($act);

	foreach my $name (@names)
	{
		my $outcome = $self->call($name, $act, $sql);
		return $self->fail("$name: $act while another region is away is not refused") if $outcome eq 'done';
		foreach (1 .. 20)
		{
			$outcome = $self->call($name, "$act by force", $sql =~ s/\)$/, force => true)/r);
			last if $outcome eq 'done' || $self->{wrong};
			sleep 0.2;
		}
		return if $self->{wrong};
		$self->fail("$name: $act by force does not come to its end: $self->{said}") if $outcome ne 'done';
		$self->note_abort if $act eq 'abort';
	}
	return;
}

sub must_refuse
{
	my ($self, $name, $act, $reason) = @_;
	my $outcome = $self->call($name, $self->call_of($act));

	$self->fail("$name: $act, after the others have gone another way by force, is not refused: $outcome $self->{said}")
	  if !$self->{wrong} && ($outcome eq 'done' || $self->{said} !~ $reason);
	return;
}

# A switch has no force: those that go on have switched before; where nothing can be written back all have.
sub contract_without_one
{
	my ($self) = @_;
	my ($away, @names) = $self->{random}->shuffled(@{ $self->{names} });
	my @open = grep { $self->phase($_) ne 'done' } @names;

	$self->fill_all;
	$self->quiet;
	$self->go_on;
	foreach my $name ($self->{model}->is_one_way($self->{k}) ? @{ $self->{names} } : @open)
	{
		$self->insist($name, 'switch') if !$self->{wrong} && !$self->has_switched($self->state($name));
	}
	return if $self->{wrong};
	$self->go_away($away);
	$self->act_by_force('contract', @open);
	return if $self->{wrong};
	$self->come_back($away);
	if (!$self->{wrong} && $self->phase($away) ne 'done')
	{
		$self->must_refuse($away, 'abort', qr/waits for another region|is the current one/);
		$self->insist($away, 'switch') if !$self->{wrong} && !$self->has_switched($self->state($away));
		$self->insist($away, 'contract') if !$self->{wrong};
	}
	$self->count('contracted by force, one away', scalar @open);
	return;
}

sub abort_without_one
{
	my ($self) = @_;
	my ($away, @names) = $self->{random}->shuffled(@{ $self->{names} });

	append_to_file("$self->{folder}/plain", '');
	$self->quiet('plain');
	$self->go_on;
	return if $self->{wrong};
	my @open = grep { RegionCalls::is_open($self->state($_)) } @names;
	$self->go_away($away);
	$self->act_by_force('abort', @open);
	return if $self->{wrong};
	$self->come_back($away);
	if (!$self->{wrong} && RegionCalls::is_open($self->state($away)))
	{
		$self->must_refuse($away, 'switch', qr/waits for another region|cannot switch/) if @open;
		$self->insist($away, 'abort') if !$self->{wrong};
	}
	$self->count('aborted by force, one away', scalar @open);
	return;
}

1;
