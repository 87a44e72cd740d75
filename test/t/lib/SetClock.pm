# A time of day that a test may set, for a server alone.  Clocks that nobody sets go on as they are.
package SetClock;

use strict;
use warnings;

use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;
use TandemTest ();

sub new
{
	my ($class) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir;
	my $self = bless { file => "$folder/clock", library => "$folder/set_clock.so", offset => 0 }, $class;
	my ($compiler) = split ' ', `$ENV{PG_CONFIG} --cc`;

	system_or_bail($compiler, '-shared', '-fPIC', '-o', $self->{library}, dirname(__FILE__) . '/set_clock.c');
	append_to_file($self->{file}, pack('q', 0));
	return $self;
}

# Sets it forward, or back, by so many seconds.
sub move
{
	my ($self, $seconds) = @_;

	$self->{offset} += $seconds;
	open my $handle, '+<', $self->{file} or die "$self->{file}: $!";
	syswrite $handle, pack('q', $self->{offset} * 1_000_000) or die "$self->{file}: $!";
	close $handle;
	return;
}

# Starts a server that goes by it.
sub start
{
	my ($self, $node, @options) = @_;

	local $ENV{LD_PRELOAD} = TandemTest::preload($self->{library});
	local $ENV{SET_CLOCK} = $self->{file};
	return $node->start(@options);
}

1;
