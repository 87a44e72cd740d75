# What every scenario has: what it counts, and what it complains of; and one event after the other, for the scenarios
# that are made of nothing else.
package Scenario;

use strict;
use warnings;

use Test::More import => [qw(diag)];

# {name} is its name, where it has one; the first eight complaints are printed.
sub fail
{
	my ($self, $what) = @_;
	my $seed = "seed $self->{seed}" . ($self->{name} ? ", $self->{name}" : '');

	return if $self->{wrong}++ >= 8;
	push @{ $self->{report}{problems} }, "$seed: $what";
	diag("$seed: $what");
	return;
}

sub count
{
	my ($self, $event, $outcome) = @_;

	$self->{report}{events}{ ($self->{name} ? "$self->{name}: " : '') . $event }{$outcome}++;
	return;
}

# Draws {events} of events(), and calls check after each, which may complain; the first complaint ends it.
sub run_events
{
	my ($self, $check) = @_;
	my @bag = map { my $event = $_; ($event) x $event->[1] } $self->events;

	foreach (1 .. $self->{events})
	{
		my ($name, undef, $action) = @{ $self->{random}->pick(@bag) };

		$self->count($name, $action->($self));
		$check->();
		last if $self->{wrong};
	}
	return;
}

# What has happened last, if that was wrong.
sub tell_story
{
	my ($self) = @_;
	my @story = @{ $self->{story} };

	diag(join "\n", 'the last events:', @story > 40 ? @story[ -40 .. -1 ] : @story) if $self->{wrong};
	return;
}

1;
