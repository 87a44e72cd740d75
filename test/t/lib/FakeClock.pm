# A time of day that a test may set, for a server alone: by libfaketime, where it is installed.  Clocks that nobody
# sets go on as they are.
package FakeClock;

use strict;
use warnings;

use PostgreSQL::Test::Utils;

sub library
{
	my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';

	return $library;
}

# undef where there is no such library.
sub new
{
	my ($class, $folder) = @_;
	my $self = bless { file => "$folder/clock", offset => 0 }, $class;

	return if !library();
	$self->move(0);
	return $self;
}

# Sets it forward, or back, by so many seconds.
sub move
{
	my ($self, $seconds) = @_;

	$self->{offset} += $seconds;
	# nobody reads half of it
	open my $handle, '>', "$self->{file}.new" or die "$self->{file}: $!";
	printf $handle "%+d\n", $self->{offset};
	close $handle;
	rename "$self->{file}.new", $self->{file} or die "$self->{file}: $!";
	return;
}

# Starts a server that goes by it.
sub start
{
	my ($self, $node, @options) = @_;

	local $ENV{LD_PRELOAD} = library();
	local $ENV{FAKETIME_TIMESTAMP_FILE} = $self->{file};
	local $ENV{FAKETIME_NO_CACHE} = 1;
	local $ENV{FAKETIME_DONT_FAKE_MONOTONIC} = 1;
	local $ENV{DONT_FAKE_MONOTONIC} = 1;
	return $node->start(@options);
}

1;
