# Two servers, a and b, that subscribe to each other with origin = none, which the server has from 16 on.
package TwoWay;

use strict;
use warnings;

use Exporter qw(import);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

our @EXPORT = qw(start_two_way node_of sql sql_on_both subscribe_both wait_for_both while_apart);

my %node;
my %other = (a => 'b', b => 'a');

# Skips the test where the server does not have origin = none.
sub start_two_way
{
	plan skip_all => 'no origin = none before PostgreSQL 16: there each change goes round and round'
	  if PostgreSQL::Test::Cluster->new('version')->pg_version < 16;
	%node = map { $_ => new_server($_, @_) } qw(a b);
	return;
}

sub node_of { return $node{ $_[0] }; }

sub sql { return $node{ $_[0] }->safe_psql('postgres', $_[1]); }

sub sql_on_both { return map { sql($_, $_[0]) } qw(a b); }

# Each to publication p of the other, whose tables have the same rows already.
sub subscribe_both
{
	foreach my $to (qw(a b))
	{
		sql($to, sprintf(q(CREATE SUBSCRIPTION to_%s CONNECTION '%s' PUBLICATION p WITH (origin = none, copy_data = false)),
			$to, $node{ $other{$to} }->connstr . ' dbname=postgres'));
	}
	return;
}

# Until each has what the other has written, and what the other has written because of that.
sub wait_for_both
{
	foreach my $from (qw(a b), qw(a b))
	{
		$node{$from}->wait_for_catchup("to_$other{$from}");
	}
	return;
}

# Neither hears of the other while the block runs, as over a line with any latency.
sub while_apart
{
	my ($do) = @_;

	sql($_, "ALTER SUBSCRIPTION to_$_ DISABLE") foreach qw(a b);
	foreach my $server (qw(a b))
	{
		wait_for_running($node{$server}, q(SELECT count(pid) = 0 FROM pg_stat_subscription));
		wait_for_running($node{$server}, q(SELECT bool_and(active_pid IS NULL) FROM pg_replication_slots));
	}
	$do->();
	sql($_, "ALTER SUBSCRIPTION to_$_ ENABLE") foreach qw(a b);
	wait_for_both();
	return;
}

1;
