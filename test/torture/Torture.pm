# A series of wars, each of its own seed, and the figures of all.
package Torture;

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../t/lib";
use Battle;
use File::Path qw(remove_tree);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PublicationWar;
use ReleaseWar;
use Server;
use SetClock;
use Test::More;
use Time::HiRes qw(time);

# Fights the given seeds, then random ones until seconds are over or rounds are fought.
sub run
{
	my (%options) = @_;
	my @seeds = @{ $options{seeds} || [] };
	my $server = new_server($options{name} || 'main');
	my $end = time + ($options{seconds} || 0);
	my %report = (events => {}, rows => 0, shown => 0, wrong => 0, seeds => [], problems => []);

	while (1)
	{
		last if $options{rounds} ? @{ $report{seeds} } >= $options{rounds} : time > $end && @{ $report{seeds} };
		my $seed = @seeds ? shift @seeds : int(rand(1_000_000_000));
		fight($server, $seed, \%report, %options);
		last if @{ $report{problems} } && !$options{keep_going};
	}
	$_->stop('immediate') foreach grep { defined } $server->{subscriber}, $server->{node};
	show(\%report);
	return \%report;
}

sub new_server
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 'logical');
	$node->append_conf('postgresql.conf', <<'CONF');
max_connections = 50
max_worker_processes = 16
max_prepared_transactions = 20
max_wal_senders = 8
restart_after_crash = on
tandem.launcher_interval = 1s
log_line_prefix = '%m [%p] %q%a '
CONF
	my $server = Server->new($node, SetClock->new);
	$server->start_again;
	return $server;
}

# The wars of a seed, each in a database of its own: on releases, on a publication and its subscriber, on rows.
sub wars
{
	my ($seed, %options) = @_;
	my %parts = (seed => $seed, dumps => $options{dumps} || 0, map { $_ => $options{$_} } qw(server folder report));
	my %war = (
		releases => sub { ReleaseWar->new(%parts, events => $options{release_events} || 150) },
		publication => sub { PublicationWar->new(%parts, events => $options{publication_events} || 80) },
		rows => sub { Battle->new(%parts, rounds => $options{phases} || 3, seconds => $options{phase_seconds} || 4, standbys => $options{standbys} || 0) });

	return map { ($war{$_} or die "no such war: $_\n")->() } @{ $options{wars} || [qw(releases publication rows)] };
}

sub fight
{
	my ($server, $seed, $report, %options) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir;
	my @wars = wars($seed, %options, server => $server, folder => $folder, report => $report);
	my $library = Releases->of_seed($seed)->{library};
	my $wrong = 0;

	push @{ $report->{seeds} }, $seed;
	diag("SEED=$seed");
	$server->{node}->append_conf('postgresql.conf', "${_}_preload_libraries = " . ($library eq $_ ? "'pg_tandem'" : "''")) foreach qw(shared session);
	$server->restart('fast');
	foreach my $war (@wars)
	{
		my $ok = eval { $war->fight; 1 };
		$war->fail("stopped: $@") if !$ok;
		$wrong = $war->{wrong} and last;
		$war->clean_up;
	}
	ok(!$wrong, "seed $seed") or diag("replay its choices: make torture SEED=$seed; keep it: add it to test/torture/seeds");
	if ($wrong)
	{
		# what is there stays to be looked at
		$server->end_jobs;
		note("files: $folder");
		return;
	}
	remove_tree($folder);
	return;
}

sub show
{
	my ($report) = @_;
	my $events = 0;

	note(sprintf '%-60s %s', 'event', 'outcomes');
	foreach my $name (sort keys %{ $report->{events} })
	{
		my $outcomes = $report->{events}{$name};
		note(sprintf '%-60s %s', $name, join ', ', map { "$_ $outcomes->{$_}" } sort keys %$outcomes);
		next if $name =~ /^careless: /;
		$events += $outcomes->{$_} foreach grep { $_ ne 'none' } keys %$outcomes;
	}
	diag(sprintf '%d seeds, %d events, %d rows checked, %d of views, %d rows wrong, %d problems',
		scalar @{ $report->{seeds} }, $events, $report->{rows}, $report->{shown}, $report->{wrong}, scalar @{ $report->{problems} });
	return;
}

1;
