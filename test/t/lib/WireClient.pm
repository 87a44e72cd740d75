# A client that speaks the server's protocol itself: simple and extended queries with the SQLSTATE and the rows of
# each, many thousands a second.  What a driver sends (Parse with parameters, Bind, Execute), it sends too.
package WireClient;

use strict;
use warnings;

use IO::Socket::UNIX;

# node, database; options: those of the session, as in PGOPTIONS.
sub new
{
	my ($class, $node, $database, $options) = @_;
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $socket = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!";
	my $self = bless { socket => $socket, buffer => '' }, $class;
	my $startup = pack('N', 196608) . join('', map { "$_\0" } user => (getpwuid $<)[0], database => $database, options => $options // '') . "\0";

	$self->{socket}->syswrite(pack('N', 4 + length $startup) . $startup);
	my $result = $self->read_result;
	die "$path: $result->{message}" if $result->{state} ne '00000';
	return $self;
}

sub message
{
	my ($type, $body) = @_;

	return $type . pack('N', 4 + length $body) . $body;
}

# One or more statements; data: what COPY FROM STDIN is to read.  Returns { state, message, rows }.
sub query
{
	my ($self, $sql, $data) = @_;

	$self->{socket}->syswrite(message('Q', "$sql\0"));
	return $self->read_result($data);
}

# One statement with parameters, by the extended protocol.
sub execute
{
	my ($self, $sql, @parameters) = @_;
	my $bind = pack('x x n n', 0, scalar @parameters)
	  . join('', map { defined $_ ? pack('N/a*', $_) : pack('N', 0xffffffff) } @parameters) . pack('n', 0);

	$self->{socket}->syswrite(message('P', "\0$sql\0" . pack('n', 0)) . message('B', $bind) . message('E', "\0" . pack('N', 0)) . message('S', ''));
	return $self->read_result;
}

sub read_bytes
{
	my ($self, $count) = @_;

	while (length $self->{buffer} < $count)
	{
		$self->{socket}->sysread($self->{buffer}, 65536, length $self->{buffer}) or die "the server has closed the connection\n";
	}
	return substr $self->{buffer}, 0, $count, '';
}

# Reads to the end of a query.
sub read_result
{
	my ($self, $data) = @_;
	my %result = (state => '00000', message => '', rows => []);

	while (1)
	{
		my ($type, $length) = unpack 'a N', $self->read_bytes(5);
		my $body = $self->read_bytes($length - 4);

		return \%result if $type eq 'Z';
		push @{ $result{rows} }, row($body) if $type eq 'D';
		$self->{socket}->syswrite(message('d', $data) . message('c', '')) if $type eq 'G';
		if ($type eq 'E' && $result{state} eq '00000')
		{
			my %field = map { (substr($_, 0, 1), substr($_, 1)) } grep { $_ ne '' } split /\0/, $body;
			@result{qw(state message)} = @field{qw(C M)};
		}
	}
	return;
}

sub row
{
	my ($body) = @_;
	my ($count, $rest) = unpack 'n a*', $body;
	my @row;

	foreach (1 .. $count)
	{
		(my $length, $rest) = unpack 'l> a*', $rest;
		push @row, $length < 0 ? undef : substr $rest, 0, $length, '';
	}
	return \@row;
}

1;
