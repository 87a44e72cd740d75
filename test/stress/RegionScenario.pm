# Regions: servers that send each other their own rows go from one release to the next, while applications write in
# each and never stop.  What is drawn comes in any order: calls that are too early, lines that are cut, servers that are
# killed.  A call that is refused must have a reason and change nothing, and none may be accepted that the others are not
# ready for.  In each quiet all regions must have the rows that the regions themselves have written (RegionModel).
package RegionScenario;

use strict;
use warnings;

use parent qw(RegionServers RegionCalls RegionQuiet RegionJoin RegionAway Scenario);

use PostgreSQL::Test::Utils;
use Random;
use RegionModel;
use Time::HiRes qw(sleep time);

use constant CYCLES => 3;

# server, seed, report, folder; count: of regions; seconds: of the load.
sub new
{
	my ($class, %parts) = @_;
	my $random = Random->new($parts{seed}, 'regions');
	my $self = bless { wrong => 0, name => 'regions', %parts, random => $random, story => [], calls => 0,
		names => [ ('a' .. 'z')[ 0 .. $parts{count} - 1 ] ], cut => {}, writers => {}, k => 1, tries => 1, base => RegionModel::FIRST, aborting => 0, jobs => 0 }, $class;

	$self->{model} = RegionModel->new($random, tables => [qw(items parts)], count => CYCLES);
	$self->{filters} = $parts{server}{node}->pg_version < 16 || $random->chance(30);
	$self->{database} = "regions$parts{seed}";
	$self->{late} = pop @{ $self->{names} } if $parts{count} > 2 && $random->chance(50);
	$self->{library} = $random->pick('shared', 'shared', 'session');
	return $self;
}

# name, how often, what to do
sub events
{
	my ($self) = @_;

	return (
		[ 'expand', 6, 'expand' ],
		[ 'migrate', 6, 'migrate' ],
		[ 'paused or resumed', 2, 'pause' ],
		[ 'switch to the new release', 6, 'switch_on' ],
		[ 'switch back', 1, 'switch_back' ],
		[ 'contract', 5, 'contract' ],
		[ 'abort', 2, 'abort' ],
		[ 'two calls at once', 4, 'call_two' ],
		[ 'line cut', 3, 'cut_line' ],
		[ 'line mended', 4, 'mend_line' ],
		[ 'walsenders ended', 2, 'end_walsenders' ],
		[ 'apply workers ended', 2, 'end_workers' ],
		[ 'kill -9 of a server', 1, 'kill_server' ],
		[ 'kill -9, and one call meanwhile', 1, 'kill_and_call' ],
		[ 'beat', 4, 'beat' ],
		[ 'writers alone', 4, sub { sleep 0.3 + $_[0]{random}->below(700) / 1000; return 'done' } ],
		[ 'left in the middle, and joined again', 3, 'leave_in_the_middle' ],
		[ 'a region that comes late', $self->{late} ? 6 : 0, 'join_late' ],
		[ 'compared', 1, sub { $_[0]->quiet; $_[0]->go_on; return 'done' } ]);
}

sub run
{
	my ($self) = @_;
	my @bag = map { my $event = $_; ($event) x $event->[1] } $self->events;
	my $end = time + $self->{seconds};

	my $ok = eval {
		$self->set_up;
		while (time < $end && !$self->{wrong})
		{
			my ($name, undef, $action) = @{ $self->{random}->pick(@bag) };
			$self->tell("-- $name");
			my $outcome = $self->$action;
			$self->count($name, $outcome);
			$self->look_after_writers;
			$self->check_health;
			$self->begin_next if !$self->{wrong} && !grep { $self->phase($_) ne 'done' } @{ $self->{names} };
		}
		$self->end if !$self->{wrong};
		1;
	};
	my $error = $@;
	$self->stop_writers;
	$self->tell_story;
	die $error if !$ok;
	return;
}

#
# What happens to servers and lines.
#

sub draw_line
{
	my ($self) = @_;
	my $to = $self->draw_region;

	return ($to, $self->{random}->pick($self->others($to)));
}

sub cut_line
{
	my ($self) = @_;
	my ($to, $from) = $self->draw_line;

	return 'none' if $self->{cut}{"$to $from"};
	$self->tell("$to: no more from $from");
	$self->sql($to, 'ALTER SUBSCRIPTION ' . $self->line($to, $from) . ' DISABLE');
	$self->{cut}{"$to $from"} = 1;
	return 'done';
}

sub mend_line
{
	my ($self) = @_;
	my @cut = sort keys %{ $self->{cut} } or return 'none';

	$self->mend($self->{random}->pick(@cut));
	return 'done';
}

sub mend
{
	my ($self, $line) = @_;
	my ($to, $from) = split / /, $line;

	$self->tell("$to: from $from again");
	$self->sql($to, 'ALTER SUBSCRIPTION ' . $self->line($to, $from) . ' ENABLE');
	delete $self->{cut}{$line};
	return;
}

sub end_walsenders
{
	my ($self) = @_;

	return $self->sql($self->draw_region, 'SELECT count(pg_terminate_backend(pid)) FROM pg_stat_replication') ? 'done' : 'none';
}

sub end_workers
{
	my ($self) = @_;

	return $self->sql($self->draw_region, 'SELECT count(pg_terminate_backend(pid)) FROM pg_stat_subscription WHERE pid IS NOT NULL') ? 'done' : 'none';
}

sub kill_server
{
	my ($self) = @_;
	my $server = $self->at($self->draw_region);

	$server->kill_postmaster;
	$server->wait_for_server;
	return 'done';
}

# Another region is called while the one is not there.
sub kill_and_call
{
	my ($self) = @_;
	my $name = $self->draw_region;
	my $other = $self->{random}->pick($self->others($name));
	my $act = $self->{random}->pick('switch', 'contract', 'expand', $self->may_abort ? 'abort' : 'switch');

	return 'none' if $act eq 'expand' ? 0 : !RegionCalls::is_open($self->state($other));
	$self->tell("$name: kill -9");
	$self->{last}{$name} = $self->state($name);
	$self->at($name)->end_postmaster;
	# what it was is known; that it aborted is, too
	my $outcome = $act eq 'expand' ? 'none' : $self->call($other, $self->call_of($act));
	$self->at($name)->start_again;
	$self->at($name)->wait_for_server;
	delete $self->{last}{$name};
	return "$act: $outcome";
}

sub beat
{
	my ($self) = @_;

	$self->sql($self->draw_region, 'SELECT tandem.region_beat()');
	return 'done';
}

#
# From one migration to the next, and to the end.
#

# Some tries are given up; in some nobody ever writes what the old columns cannot hold.
sub draw_manner
{
	my ($self) = @_;

	$self->{attempt}++;
	# who was of a release that was aborted would mean the old columns now
	$self->tell_writers('releases', "$self->{base}, " . $self->release_now);
	$self->{gives_up} = $self->{random}->chance(35);
	unlink "$self->{folder}/plain";
	append_to_file("$self->{folder}/plain", '') if $self->{random}->chance(30);
	return;
}

# All have contracted.
sub begin_next
{
	my ($self) = @_;

	return if $self->{k} >= CYCLES;
	$self->quiet;
	return if $self->{wrong};
	$self->leave_and_join;
	return if $self->{wrong};
	$self->{base} = $self->release_now;
	$self->{k}++;
	$self->{tries} = 1;
	$self->draw_manner;
	$self->go_on;
	$self->count('migration', 'done everywhere');
	return;
}

# Does it in the end, when what is in the way passes.
sub insist
{
	my ($self, $name, $act) = @_;

	foreach (1 .. 20)
	{
		my ($what, $sql) = $self->call_of($act);
		return if $self->call($name, $what, $sql) eq 'done' || $self->{wrong};
		$self->sql($_, 'SELECT tandem.region_beat()') foreach @{ $self->{names} };
		sleep 0.2;
	}
	return $self->fail("$name: $act does not come to its end: $self->{said}");
}

sub fill
{
	my ($self, $name) = @_;
	my $migration = $self->migration;

	foreach (1 .. 20)
	{
		last if $self->phase($name) !~ /^(none|aborted)$/ || $self->expand_at($name) eq 'done';
	}
	return if $self->phase($name) eq 'done';
	$self->sql($name, "SELECT tandem.configure('$migration', 'tandem.max_rows_per_second', NULL); SELECT tandem.resume('$migration')");
	$self->sql($name, "SET client_min_messages = error; CALL tandem.migrate('$migration', if_running => 'wait')");
	return;
}

sub fill_all
{
	my ($self) = @_;

	$self->fill($_) foreach $self->{random}->shuffled(@{ $self->{names} });
	return;
}

sub abort_all
{
	my ($self) = @_;

	# values that only the new columns have are given up, and stay so
	append_to_file("$self->{folder}/plain", '');
	$self->quiet('plain');
	$self->go_on;
	foreach my $name ($self->{random}->shuffled(@{ $self->{names} }))
	{
		$self->insist($name, 'abort') if !$self->{wrong} && RegionCalls::is_open($self->state($name));
	}
	return;
}

sub contract_all
{
	my ($self) = @_;
	my @names = $self->{random}->shuffled(@{ $self->{names} });

	$self->fill_all;
	$self->quiet;
	$self->go_on;
	my $one_way = $self->{model}->is_one_way($self->{k});
	foreach my $acts ($one_way ? (['switch'], ['contract']) : [qw(switch contract)])
	{
		foreach my $name (@names)
		{
			foreach my $act (@$acts)
			{
				my $state = $self->state($name);
				next if $act eq 'switch' ? $self->has_switched($state) : $state->{phase} eq 'done';
				$self->insist($name, $act);
				return if $self->{wrong};
			}
		}
	}
	return;
}

# With lines that are mended, and all regions that are to come, everybody contracts, or everybody aborts; or all but one that
# is away, which follows.
sub end
{
	my ($self) = @_;

	$self->quiet;
	$self->go_on;
	$self->count('left and came at the end', $self->leave_in_the_middle) if !$self->{wrong} && $self->{random}->chance(60);
	$self->count('late at the end', $self->join_late) if !$self->{wrong} && $self->{late};
	return if $self->{wrong};
	my %state = map { $_ => $self->state($_) } @{ $self->{names} };
	my $forward = grep({ $self->has_switched($_) } values %state) || !$self->{aborting} && $self->{random}->chance(60);
	my $away = $self->{random}->chance(40);
	if ($forward) { $away ? $self->contract_without_one : $self->contract_all }
	else { $away ? $self->abort_without_one : $self->abort_all }
	return if $self->{wrong};
	$self->quiet;
	my @phases = map { $self->phase($_) } @{ $self->{names} };
	$self->fail("at the end the regions are in phases @phases") if grep { $forward ? $_ ne 'done' : $_ !~ /^(none|aborted)$/ } @phases;
	$self->count('end', $forward ? 'contracted' : 'aborted');
	return;
}

1;
