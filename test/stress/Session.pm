# A client that stays: statements one after the other in one session, each with its SQLSTATE.
package Session;

use strict;
use warnings;

use IO::Select;
use IPC::Open3;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time);

# node, database; user, options.
sub new
{
	my ($class, %parts) = @_;
	my $self = bless { count => 0, buffer => '', %parts }, $class;
	my $node = $parts{node};
	my @command = (
		$node->installed_command('psql'), '-XAtq', '-h', $node->host, '-p', $node->port, '-d', $parts{database},
		$parts{user} ? ('-U', $parts{user}) : ());

	local $ENV{PGOPTIONS} = $parts{options} // '';
	$self->{psql} = open3($self->{in}, $self->{out}, undef, @command);
	$self->ask('\set VERBOSITY verbose');
	return $self;
}

# Returns the SQLSTATE of the first statement that failed, 00000 where none did, and what was printed.
sub ask
{
	my ($self, $sql) = @_;
	my $end = 'end of ' . ++$self->{count};
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	local $SIG{PIPE} = 'IGNORE';
	syswrite $self->{in}, "$sql\n\\echo $end\n";
	while ($self->{buffer} !~ /^$end\n/m)
	{
		IO::Select->new($self->{out})->can_read($deadline - time) or die "no end of: $sql\n";
		sysread $self->{out}, $self->{buffer}, 65536, length $self->{buffer} or return ('08006', "$self->{buffer}");
	}
	(my $out, $self->{buffer}) = split /^$end\n/m, $self->{buffer}, 2;
	my ($state) = $out =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5}):/;
	return ($state // '00000', $out);
}

# The backend may outlive it for a moment.
sub close
{
	my ($self) = @_;

	local $SIG{PIPE} = 'IGNORE';
	syswrite $self->{in}, "\\q\n";
	CORE::close $self->{in};
	waitpid $self->{psql}, 0;
	CORE::close $self->{out};
	return;
}

1;
