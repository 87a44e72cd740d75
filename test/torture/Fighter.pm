# What every war has: what it counts, and what it complains of.
package Fighter;

use strict;
use warnings;

use Test::More import => [qw(diag)];

# The war is {war}, when it has a name; the first eight complaints are printed.
sub fail
{
	my ($self, $what) = @_;
	my $seed = "seed $self->{seed}" . ($self->{war} ? ", $self->{war}" : '');

	return if $self->{wrong}++ >= 8;
	push @{ $self->{report}{problems} }, "$seed: $what";
	diag("$seed: $what");
	return;
}

sub count
{
	my ($self, $event, $outcome) = @_;

	$self->{report}{events}{ ($self->{war} ? "$self->{war}: " : '') . $event }{$outcome}++;
	return;
}

1;
