# Regions: servers, each named by a letter, that send each other the rows that are their own.  From 16 on subscriptions have
# origin = none; before, a row that another region has sent would go round, so each sends its own rows alone, by a row filter.
package Regions;

use strict;
use warnings;

use Exporter qw(import);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

our @EXPORT = qw(start_regions regions server_of replace_server has_origin others sql sql_in_all wait_for own_rows join_all subscribe
  subscribe_all catch_up columns_of apply_errors kill_region);

my @names;
my %server;
# how long the log of a server was when it came to be a region
my %logged;

# names: of the regions; conf: settings of all; conf_of: more of some, by name.
sub start_regions
{
	my ($names, %options) = @_;

	@names = @$names;
	foreach my $name (@names)
	{
		replace_server($name, new_server($name, conf => "wal_retrieve_retry_interval = 200ms\nautovacuum = off\nmax_worker_processes = 30\n"
			. "max_logical_replication_workers = 12\ntandem.region_timeout = 200\n" . ($options{conf} // '') . ($options{conf_of}{$name} // '')));
	}
	return;
}

sub regions { return @names; }

sub server_of { return $server{ $_[0] }; }

# Another server is the region from now on.
sub replace_server
{
	my ($name, $node) = @_;

	$server{$name} = $node;
	push @{ $logged{$name} }, [ $node, -s $node->logfile ];
	return;
}

sub has_origin { return $server{ $names[0] }->pg_version >= 16; }

sub others
{
	my ($name) = @_;

	return grep { $_ ne $name } @names;
}

sub sql
{
	my ($name, $sql) = @_;

	return $server{$name}->safe_psql('postgres', $sql);
}

sub sql_in_all { return map { sql($_, $_[0]) } @names; }

sub wait_for
{
	my ($name, $query) = @_;

	return wait_for_running($server{$name}, $query);
}

# What a publication of a region says after the name of a table, whose column names the region of a row.
sub own_rows
{
	my ($name, $column) = @_;

	return has_origin() ? '' : " WHERE ($column = '$name')";
}

# Release 41 is in use in all, and p the publication that they send.
sub join_all
{
	foreach my $name (@names)
	{
		sql($name, "SELECT tandem.register_release(41); SELECT tandem.switch_release(41); SELECT tandem.join_region('$name', publication => 'p')");
	}
	return;
}

# One region takes what another one sends; options: more of the subscription; publications: instead of those at the start.
sub subscribe
{
	my ($to, $from, %params) = @_;
	my @options = (has_origin() ? 'origin = none' : (), @{ $params{options} || [] });

	sql($to, "CREATE SUBSCRIPTION s_${to}_$from CONNECTION '" . $server{$from}->connstr . " dbname=postgres' PUBLICATION "
		. ($params{publications} // 'release_41, tandem_region') . (@options ? ' WITH (' . join(', ', @options) . ')' : ''));
	return;
}

# Each takes what the others send, and knows of them.  options: of a subscription, given who takes and who sends.
sub subscribe_all
{
	my ($options) = @_;

	foreach my $to (@names)
	{
		subscribe($to, $_, options => $options ? [ $options->($to, $_) ] : []) foreach others($to);
	}
	foreach my $to (@names)
	{
		$server{$to}->wait_for_subscription_sync($server{$_}, "s_${to}_$_") foreach others($to);
	}
	sql_in_all('SELECT tandem.region_beat()');
	catch_up();
	return;
}

# Everything that was written anywhere has arrived everywhere.
sub catch_up
{
	foreach my $from (@names)
	{
		$server{$from}->wait_for_catchup("s_${_}_$from") foreach others($from);
	}
	return;
}

sub columns_of
{
	my ($name, $table) = @_;

	return sql($name, "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped");
}

# What the workers of subscriptions have complained of since the region was made, but lost connections.  From 18 on they tell
# of conflicts: that a row was last written by another, which a fill that is not sent makes true of each row, is none.
sub apply_errors
{
	my ($name) = @_;
	my $gone = qr/could not (connect|receive|send)|connection to server|terminating|server closed|shutting down|starting up|no COPY in progress|is (already )?active for PID|not yet accepting/;

	return map {
		my ($node, $offset) = @$_;
		grep { /logical replication [\w ]*worker.*(ERROR:|conflict=(?!\w+_origin_differs))|(ERROR|LOG):.*(conflict=(?!\w+_origin_differs)|missing replicated column)/ && !/$gone/ }
		  split /\n/, slurp_file($node->logfile, $offset)
	} @{ $logged{$name} };
}

# The server goes as its machine would: none of its processes outlives another, to confirm what a standby has not got.
sub kill_region
{
	my ($name) = @_;
	my $node = $server{$name};

	kill 'STOP', $node->{_pid};
	my @all = ($node->{_pid}, split ' ', `ps -o pid= --ppid $node->{_pid}`);
	kill $_, @all foreach 'STOP', 'KILL';
	$node->kill9;
	# until init has seen to them
	foreach (1 .. 50 * $PostgreSQL::Test::Utils::timeout_default)
	{
		@all = grep { (eval { slurp_file("/proc/$_/stat") } // '') =~ /\) [^Z] / } @all or last;
		select undef, undef, undef, 0.02;
	}
	die "@all outlive their server" if @all;
	# until somebody has waited for it, it would pass for a server
	unlink $node->data_dir . '/postmaster.pid', $node->host . '/.s.PGSQL.' . $node->port . '.lock';
	return;
}

1;
