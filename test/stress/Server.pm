# The server under stress: statements that may find it down, and psql processes beside the scenario.
package Server;

use strict;
use warnings;

# For a contract that may lose what the drawn columns have beside their values.
our $ACCEPT = q(accept => '{defaults,not null,unique constraints,exclusion constraints,foreign keys,check constraints,indexes,extended statistics,trigger functions}');

use POSIX qw(:sys_wait_h);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);

sub new
{
	my ($class, $node, $clock) = @_;

	return bless { node => $node, clock => $clock, jobs => {}, standbys => 0 }, $class;
}

# Runs a statement; returns psql's status, its output and its errors.
sub try
{
	my ($self, $sql, $database) = @_;
	my $timed_out;
	my ($status, $out, $err);

	# a psql that finds no server does not read its input
	local $SIG{PIPE} = 'IGNORE';
	my $ok = eval {
		($status, $out, $err) = $self->{node}->psql($database || $self->{database}, "\\set VERBOSITY verbose\n$sql",
			timeout => $PostgreSQL::Test::Utils::timeout_default, timed_out => \$timed_out);
		1;
	};
	die "no end of: $sql\n" if $timed_out;
	return (2, '', "FATAL: $@") if !$ok;
	return ($status, $out, $err // '');
}

# Runs a statement that must succeed.
sub ask
{
	my ($self, $sql, $database) = @_;
	my ($status, $out, $err) = $self->try($sql, $database);

	die "$sql\n$err\n" if $status != 0;
	return $out;
}

# Whether a query is true; not where the server is down.
sub is_true
{
	my ($self, $sql) = @_;
	my ($status, $out) = $self->try($sql);

	return $status == 0 && $out eq 't';
}

sub wait_until
{
	my ($self, $sql, $seconds) = @_;
	my $deadline = time + ($seconds || $PostgreSQL::Test::Utils::timeout_default);

	while (time < $deadline)
	{
		return 1 if $self->is_true($sql);
		sleep 0.05;
	}
	return 0;
}

sub wait_for_server
{
	my ($self) = @_;

	$self->wait_until('SELECT true') or die "the server did not come back\n";
	return;
}

# Starts psql on a file beside the scenario.  Its end is seen by is_ended.
sub start_script
{
	my ($self, $user, $file, $options) = @_;
	my $node = $self->{node};
	my @command = (
		$node->installed_command('psql'), '-XAtq', '-h', $node->host, '-p', $node->port,
		'-U', $user, '-d', $self->{database}, '-f', $file);
	my $pid = fork;

	die "fork: $!" if !defined $pid;
	if ($pid == 0)
	{
		$ENV{PGOPTIONS} = $options if $options;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$file.out";
		open STDERR, '>', "$file.err";
		exec { $command[0] } @command or POSIX::_exit(127);
	}
	$self->{jobs}{$pid} = 1;
	return { pid => $pid, file => $file };
}

# Runs statements beside the scenario, whose results do not matter.
sub start_sql
{
	my ($self, $folder, $sql) = @_;
	my $file = "$folder/beside" . $self->{beside}++ . '.sql';

	append_to_file($file, $sql);
	return $self->start_script($self->superuser, $file);
}

sub superuser
{
	return (getpwuid $<)[0];
}

sub is_ended
{
	my ($self, $job) = @_;

	return 1 if !$self->{jobs}{ $job->{pid} };
	return 0 if waitpid($job->{pid}, WNOHANG) == 0;
	delete $self->{jobs}{ $job->{pid} };
	return 1;
}

sub end_jobs
{
	my ($self) = @_;

	foreach my $pid (keys %{ $self->{jobs} })
	{
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
	$self->{jobs} = {};
	return;
}

# kill -9 of one process: the server takes all others with it, and comes back.
sub kill_process
{
	my ($self, $query) = @_;
	my ($status, $pid) = $self->try($query);

	return 0 if $status != 0 || $pid !~ /^\d+$/ || kill('KILL', $pid) == 0;
	# the postmaster notices at once, yet not before us
	$self->wait_until("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
	return 1;
}

# kill -9 of the postmaster; its children end by themselves, and it returns when they have.
sub end_postmaster
{
	my ($self) = @_;
	my $postmaster = $self->{node}{_pid};
	my @all = ($postmaster, split ' ', `ps -o pid= --ppid $postmaster`);

	$self->{node}->kill9;
	foreach (1 .. 200)
	{
		@all = grep { -e "/proc/$_" } @all or last;
		sleep 0.05;
	}
	# where nobody reaps it, a zombie would pass for a server
	die "processes @all outlive their postmaster\n" if grep { slurp_file("/proc/$_/stat") !~ /\) Z / } @all;
	unlink $self->{node}->data_dir . '/postmaster.pid' if @all;
	return;
}

sub kill_postmaster
{
	my ($self) = @_;

	$self->end_postmaster;
	return $self->start_again;
}

sub start_again
{
	my ($self) = @_;

	$self->start_node($self->{node}, fail_ok => 1) or die "the server does not start\n";
	return 1;
}

# By a clock that the scenario sets.
sub start_node
{
	my ($self, $node, @options) = @_;

	return $self->{clock}->start($node, @options);
}

sub restart
{
	my ($self, $mode) = @_;

	$self->{node}->stop($mode);
	return $self->start_again;
}

# A standby takes over from its primary, which is stopped.
sub promote_standby
{
	my ($self) = @_;
	my $primary = $self->{node};
	my $name = 'standby' . ++$self->{standbys};
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$primary->backup($name, backup_options => [ '-c', 'fast' ]);
	$standby->init_from_backup($primary, $name, has_streaming => 1);
	$self->start_node($standby);
	$primary->poll_query_until('postgres', q(SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'))
	  or die "no standby\n";
	$primary->stop('immediate');
	$standby->promote;
	$self->{node} = $standby;
	$self->wait_until('SELECT NOT pg_is_in_recovery()') or die "no promotion\n";
	$primary->clean_node;
	return 1;
}

1;
