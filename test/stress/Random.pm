# Random choices that a seed repeats: each name has a stream of its own, so that what one part of a scenario
# draws does not depend on how far the others are.
package Random;

use strict;
use warnings;

use Digest::MD5 qw(md5);

sub new
{
	my ($class, @name) = @_;

	return bless { state => unpack('N', md5(join('/', @name))) || 1 }, $class;
}

# A whole number from 0 to $n - 1.
sub below
{
	my ($self, $n) = @_;
	my $x = $self->{state};

	# xorshift
	$x ^= ($x << 13) & 0xffffffff;
	$x ^= $x >> 17;
	$x ^= ($x << 5) & 0xffffffff;
	$self->{state} = $x;
	return $x % $n;
}

sub between
{
	my ($self, $low, $high) = @_;

	return $low + $self->below($high - $low + 1);
}

# True in so many of a hundred cases.
sub chance
{
	my ($self, $percent) = @_;

	return $self->below(100) < $percent;
}

sub pick
{
	my ($self, @list) = @_;

	return $list[ $self->below(scalar @list) ];
}

# Some of the list, in their order; at least one.
sub some
{
	my ($self, @list) = @_;
	my @some = grep { $self->chance(50) } @list;

	return @some ? @some : ($self->pick(@list));
}

sub shuffled
{
	my ($self, @list) = @_;
	my @result;

	push @result, splice(@list, $self->below(scalar @list), 1) while @list;
	return @result;
}

1;
