# A series of seeds, the scenarios of each, and the figures of all.
package Stress;

use strict;
use warnings;

use File::Basename;
use FindBin;
use lib "$FindBin::Bin/../t/lib";
use RowScenario;
use File::Path qw(remove_tree);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use PublicationScenario;
use RegionScenario;
use ReleaseScenario;
use Server;
use SetClock;
use Test::More;
use Time::HiRes qw(time);

# Those of the file "seeds".
sub known_seeds
{
	my $folder = dirname(__FILE__);

	return grep { /^\d+$/ } split /\s+/, slurp_file("$folder/seeds") =~ s/#.*//gr;
}

# Runs the scenarios of the given seeds, then of random ones until seconds or rounds are over.
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
		run_seed($server, $seed, \%report, %options);
		last if @{ $report{problems} } && !$options{keep_going};
	}
	$_->stop('immediate') foreach grep { defined } $server->{subscriber}, map({ $_->{node} } values %{ $server->{regions} || {} }), $server->{node};
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

# The scenarios of a seed, each in a database of its own: on releases, on a publication and its subscriber, on rows, on
# regions, which have servers of their own.
sub scenarios
{
	my ($seed, %options) = @_;
	my %parts = (seed => $seed, dumps => $options{dumps} || 0, map { $_ => $options{$_} } qw(server folder report));
	my %scenario = (
		releases => sub { ReleaseScenario->new(%parts, events => $options{release_events} || 150) },
		publication => sub { PublicationScenario->new(%parts, events => $options{publication_events} || 80) },
		regions => sub { RegionScenario->new(%parts, count => $options{regions} || 3, seconds => $options{region_seconds} || 120) },
		rows => sub { RowScenario->new(%parts, rounds => $options{phases} || 3, seconds => $options{phase_seconds} || 4, standbys => $options{standbys} || 0) });

	return map { ($scenario{$_} or die "no such scenario: $_\n")->() } @{ $options{scenarios} || [qw(releases publication rows)] };
}

# Processes that ended by a signal which none sends here.
sub crashes
{
	my ($node, $offset) = @_;
	my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile, $offset);

	return $log =~ /(\N*was terminated by signal (?:4|6|7|8|11)\b\N*)/g;
}

sub run_seed
{
	my ($server, $seed, $report, %options) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir;
	my @scenarios = scenarios($seed, %options, server => $server, folder => $folder, report => $report);
	my $library = Releases->of_seed($seed)->{library};
	my $log_before = -s $server->{node}->logfile;
	my $wrong = 0;

	push @{ $report->{seeds} }, $seed;
	diag("SEED=$seed");
	$server->{node}->append_conf('postgresql.conf', "${_}_preload_libraries = " . ($library eq $_ ? "'pg_tandem'" : "''")) foreach qw(shared session);
	$server->restart('fast');
	foreach my $scenario (@scenarios)
	{
		my $ok = eval { $scenario->run; 1 };
		$scenario->fail("stopped: $@") if !$ok;
		$wrong = $scenario->{wrong} and last;
		$scenario->clean_up;
	}
	if (my @crashes = crashes($server->{node}, $log_before))
	{
		$scenarios[-1]->fail("a process of the server crashed: $_") foreach @crashes;
		$wrong = 1;
	}
	ok(!$wrong, "seed $seed") or diag("replay its choices: make stress SEED=$seed" . ("@{ $options{scenarios} || [] }" eq 'regions' ? ' REGIONS=' . ($options{regions} || 3) : '') . '; keep it: add it to test/stress/seeds');
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
