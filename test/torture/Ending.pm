# The end of a battle: contract, abort, or the end of the extension.  Contract and abort come while all
# releases are at work, and are struck; whoever is refused then must have stored nothing.
package Ending;

use strict;
use warnings;

use Releases;
use Time::HiRes qw(sleep time);
use War;

sub end
{
	my ($battle) = @_;

	$battle->call_migrate;
	$battle->round(1, 0);
	return if $battle->{wrong};
	mend_quarantine($battle);
	$battle->run_migrate;
	$battle->check_end if !$battle->{wrong};
	$battle->check_health;
	$battle->{views}->check_writable($battle, 1);
	$battle->{schema}{constraints}->check($battle, 1);
	return if $battle->{wrong};
	my $how = $battle->{random}->pick('contract', 'contract', 'contract', 'abort', 'drop');
	$how eq 'drop' ? drop_extension($battle) : end_under_load($battle, $how);
	$battle->{schema}{constraints}->check($battle, $how eq 'abort' ? 0 : 1);
	my $seen = $battle->see;
	$battle->compare($battle->{model}, $seen, "after $how");
	return if $battle->{wrong};
	$battle->round(0.5, 0);
	return;
}

# Contract is refused as long as a row is in quarantine.
sub mend_quarantine
{
	my ($battle) = @_;
	my $model = $battle->{model};

	$_->{mended} = 1 foreach @{ $battle->{schema}{mappings} };
	my @rows = $model->quarantined or return;
	my $ids = join ', ', map { $_->[1] } @rows;

	$battle->finish_migrate;
	foreach my $name (map { $_->[0]{migration} } $rows[0])
	{
		my ($status) = $battle->{server}->try("CALL tandem.contract('$name', undeclared => 'ignore')");
		$battle->fail("contract of $name is not refused, with rows $ids in quarantine") if $status == 0;
	}
	$battle->insist("UPDATE torture.items SET code = '7' WHERE id IN ($ids)");
	$model->update($_->[1], { code => 7 }) foreach @rows;
	$battle->count('quarantine mended', 'refused');
	return;
}


sub drop_extension
{
	my ($battle) = @_;
	my $server = $battle->{server};
	my ($status) = $server->try('DROP EXTENSION pg_tandem');

	$battle->fail('DROP EXTENSION is not refused') if $status == 0;
	$server->ask('SET client_min_messages = error; DROP EXTENSION pg_tandem CASCADE');
	$battle->{model}->end_rules;
	$battle->{releases}{fenced} = 0;
	# they stay, and show what they showed; nobody knows any more of which release
	$battle->{views}{shown} = {};
	$battle->count('end: DROP EXTENSION CASCADE', 'done');
	return;
}

# The next migration to end, for a part of the model.
sub end_one
{
	my ($battle, $part) = @_;
	my $ended = $battle->{ended}[ $part->{ended}++ ];

	die "more migrations have ended than were to\n" if !$ended;
	$part->end_rules($ended->{name}, @{ $ended->{columns} });
	return;
}

# Ends one migration after the other.  What is in it by now is filled and proved.
sub end_under_load
{
	my ($battle, $how) = @_;
	my $migration = $battle->{migration};
	my @names = @{ $migration->{names} };
	my ($mismatched, $surely) = $battle->{model}->mismatched;

	if ($how eq 'contract')
	{
		# a trigger that knows an old column goes with it
		$battle->insist("SET client_min_messages = error; DROP FUNCTION torture.tidy_$_() CASCADE") foreach $battle->{schema}->end_tidy;
		$battle->{model}{tidy} = $battle->{schema}->tidy;
	}
	$battle->{ending} = $how;
	load($battle, 0.3);
	foreach my $name ($how eq 'abort' ? reverse @names : @names)
	{
		switch_to($battle, $name) if $how eq 'contract';
		end_migration($battle, $how, $name, $mismatched->{$name}, $surely->{$name});
		return if $battle->{wrong};
		load($battle, 0.3);
		$battle->check_health;
		$battle->check_snapshot if $battle->{random}->chance(50);
	}
	$battle->quiesce;
	$battle->settle;
	return;
}

# Writers at work for so many seconds, or as long as job is.
sub load
{
	my ($battle, $seconds, $job) = @_;
	my $end = time + $seconds;
	my $strike = time + 0.05 + $battle->{random}->below(1500) / 1000;

	while ($job ? !$battle->{server}->is_ended($job) : time < $end)
	{
		die "$job->{file} does not end\n" if time > $end + $PostgreSQL::Test::Utils::timeout_default;
		$battle->tend_writers;
		if ($job && time > $strike)
		{
			strike($battle);
			$strike = time + 1 + $battle->{random}->below(2000) / 1000;
		}
		sleep 0.02;
	}
	return;
}

sub strike
{
	my ($battle) = @_;
	my ($name, undef, $blow) = @{ $battle->{random}->pick(grep { $_->[0] =~ /^(kill|cancel|terminate|immediate|fast|lock storm|health|pointer|clock)/ } War::events()) };
	my $outcome = $blow->($battle);

	$battle->{server}->wait_for_server;
	$battle->count("while migrations end: $name", $outcome);
	return;
}

# Contract is refused as long as the pointer is on what it would retire.
sub switch_to
{
	my ($battle, $name) = @_;
	my $releases = $battle->{releases};
	my $fence = $releases->fence_of($name);

	return if !$fence || !$releases->{current} || $releases->{current} >= $fence;
	my ($status, $out, $err) = $battle->{server}->try("CALL tandem.contract('$name', undeclared => 'ignore')");
	$battle->fail("contract of $name is not refused while the pointer is on $releases->{current}: $err")
	  if $status == 0 || !War::is_passing($err) && $err !~ /would retire, is the current one|is not ready for contract/;
	foreach (1 .. 20)
	{
		my $outcome = War::switch_release($battle, $fence);
		$battle->count('pointer switched for contract', $outcome);
		return if $outcome eq 'done';
		# one whose migration is not ready for contract: with force contract takes the pointer along
		return if $outcome eq 'refused';
	}
	die "the pointer cannot be switched\n";
}

sub end_migration
{
	my ($battle, $how, $name, $mismatched, $surely) = @_;
	my $releases = $battle->{releases};
	my $fence = $how eq 'contract' ? $releases->fence_of($name) : 0;
	my @gone = $battle->{migration}->ended_columns($how, $name);
	my $refused = 0;

	$battle->{gone}{$_} = $fence foreach @gone;
	foreach (1 .. 60)
	{
		my $arguments = $how eq 'abort' ? '' : ", undeclared => 'ignore', force => " . ($refused ? 'true' : 'false');

		$releases->fencing($name) if $how eq 'contract';
		my $job = $battle->{server}->start_sql($battle->{folder},
			"\\set VERBOSITY verbose\nSET client_min_messages = error;\nSET tandem.lock_retry_time = '5s';\nCALL tandem.$how('$name'$arguments);\n");
		load($battle, 0, $job);
		if ($battle->insist("SELECT phase IN ('done', 'aborted') FROM tandem.migrations WHERE name = '$name'") eq 't')
		{
			$battle->fail("contract of $name is not refused, with $surely rows that disagree") if $surely && !$refused && $how eq 'contract';
			push @{ $battle->{ended} }, { name => $name, how => $how, columns => \@gone, fence => $fence };
			$releases->ended($name, $how);
			forget_columns($battle);
			$releases->switched($fence) if $refused && $fence && $releases->{current} && $releases->{current} < $fence;
			$battle->count("end under load: $how", $refused ? 'refused and forced' : 'done');
			return;
		}
		my $err = PostgreSQL::Test::Utils::slurp_file("$job->{file}.err");
		next if War::is_passing($err);
		$battle->fail("$how of $name: $err") if !$mismatched || $refused || $err !~ /is not ready for contract/;
		return if $battle->{wrong};
		$refused = 1;
	}
	$battle->fail("$how of $name does not come to an end");
	return;
}

# From now on nobody writes what is gone, but old releases that do not know.
sub forget_columns
{
	my ($battle) = @_;
	my %gone = $battle->gone_columns;

	foreach my $mapping (@{ $battle->{schema}{mappings} })
	{
		$mapping->{writable} = [ grep { !grep { $gone{ $_->{name} } } @$_ } @{ $mapping->{sides} } ];
	}
	my $model = $battle->{model}->copy;
	end_one($battle, $model) while $model->{ended} < @{ $battle->{ended} };
	$battle->{views}->ended($battle, $model);
	return;
}

1;
