# The end of a scenario: contract, abort, or the end of the extension.  Contract and abort come while all
# releases are at work, and are disturbed; a transaction that is refused then must have stored nothing.
package Ending;

use strict;
use warnings;

use Random;
use Releases;
use Time::HiRes qw(sleep time);
use Events;

sub end
{
	my ($scenario) = @_;

	$scenario->call_migrate;
	$scenario->round(1, 0);
	return if $scenario->{wrong};
	repair_quarantine($scenario);
	$scenario->run_migrate;
	$scenario->check_end if !$scenario->{wrong};
	$scenario->check_health;
	$scenario->{views}->check_writable($scenario, 1);
	$scenario->{schema}{constraints}->check($scenario, 1);
	$scenario->act('key cascaded', \&Events::cascade_key) if $scenario->{schema}{constraints}->refers && !$scenario->{wrong};
	return if $scenario->{wrong};
	my $how = how_of_seed($scenario->{seed});
	$how eq 'drop' ? drop_extension($scenario) : end_under_load($scenario, $how);
	$scenario->{schema}{constraints}->check($scenario, $how eq 'abort' ? 0 : 1);
	my $seen = $scenario->see;
	$scenario->compare($scenario->{model}, $seen, "after $how");
	return if $scenario->{wrong};
	$scenario->round(0.5, 0);
	return;
}

# How often events have drawn until then no seed repeats.
sub how_of_seed
{
	my ($seed) = @_;

	return Random->new($seed, 'ending')->pick('contract', 'contract', 'contract', 'abort', 'drop');
}

# Contract is refused as long as a row is in quarantine.
sub repair_quarantine
{
	my ($scenario) = @_;
	my $model = $scenario->{model};

	$_->{repaired} = 1 foreach @{ $scenario->{schema}{mappings} }, $scenario->{schema}{operations};
	my @rows = $model->quarantined or return repair_rows($scenario, $model->raising);
	my $ids = join ', ', map { $_->[1] } @rows;

	$scenario->finish_migrate;
	foreach my $name (map { $_->[0]{migration} } $rows[0])
	{
		my ($status) = $scenario->{server}->try("CALL tandem.contract('$name', undeclared => 'ignore', $Server::ACCEPT)");
		$scenario->fail("contract of $name is not refused, with rows $ids in quarantine") if $status == 0;
	}
	# a row that has a value of its own may yet lose it
	repair_rows($scenario, $model->raising);
	$scenario->count('quarantine repaired', 'refused');
	return;
}

sub repair_rows
{
	my ($scenario, @rows) = @_;

	foreach (@rows)
	{
		my ($rule, $id) = @$_;
		my ($column, $value) = @{ $rule->{repair} };
		$scenario->insist("UPDATE stress.items SET $column = '$value' WHERE id = $id");
		$scenario->{model}->update($id, { $column => $value });
	}
	return;
}

sub drop_extension
{
	my ($scenario) = @_;
	my $server = $scenario->{server};
	my ($status) = $server->try('DROP EXTENSION pg_tandem');

	$scenario->fail('DROP EXTENSION is not refused') if $status == 0;
	$server->ask('SET client_min_messages = error; ALTER EVENT TRIGGER tandem_guard_before DISABLE; DROP EXTENSION pg_tandem CASCADE');
	$scenario->{model}->end_rules;
	$scenario->{releases}{fenced} = 0;
	# they stay, and show what they showed; nobody knows any more of which release
	$scenario->{views}{shown} = {};
	$scenario->count('end: DROP EXTENSION CASCADE', 'done');
	return;
}

# The next migration to end, for a part of the model.
sub end_one
{
	my ($scenario, $part) = @_;
	my $ended = $scenario->{ended}[ $part->{ended}++ ];

	die "more migrations have ended than were to\n" if !$ended;
	$part->end_rules($ended->{name}, @{ $ended->{columns} });
	$part->rename($ended->{renamed});
	return;
}

# Ends one migration after the other.  What is in it by now is filled and proved.
sub end_under_load
{
	my ($scenario, $how) = @_;
	my $migration = $scenario->{migration};
	my @names = @{ $migration->{names} };
	my ($mismatched, $surely) = $scenario->{model}->mismatched;

	if ($how eq 'contract')
	{
		# a trigger that knows an old column goes with it
		$scenario->insist("SET client_min_messages = error; DROP FUNCTION stress.tidy_$_() CASCADE") foreach $scenario->{schema}->end_tidy;
		$scenario->{model}{tidy} = $scenario->{schema}->tidy;
	}
	my $takes = $migration->{operations}->takes_name_in;
	$scenario->{views}->leave_to_others($takes) if $takes && $how eq 'abort';
	$scenario->{ending} = $how;
	load($scenario, 0.3);
	foreach my $name ($how eq 'abort' ? reverse @names : @names)
	{
		switch_to($scenario, $name) if $how eq 'contract';
		end_migration($scenario, $how, $name, $mismatched->{$name}, $surely->{$name});
		return if $scenario->{wrong};
		load($scenario, 0.3);
		$scenario->check_health;
		$scenario->check_snapshot if $scenario->{random}->chance(50);
	}
	$scenario->quiesce;
	$scenario->settle;
	return;
}

# Writers at work for so many seconds, or as long as job is.
sub load
{
	my ($scenario, $seconds, $job) = @_;
	my $end = time + $seconds;
	my $next = time + 0.05 + $scenario->{random}->below(1500) / 1000;

	while ($job ? !$scenario->{server}->is_ended($job) : time < $end)
	{
		die "$job->{file} does not end\n" if time > $end + $PostgreSQL::Test::Utils::timeout_default;
		$scenario->start_scripts;
		if ($job && time > $next)
		{
			disturb($scenario);
			$next = time + 1 + $scenario->{random}->below(2000) / 1000;
		}
		sleep 0.02;
	}
	return;
}

sub disturb
{
	my ($scenario) = @_;
	my ($name, undef, $action) = @{ $scenario->{random}->pick(grep { $_->[0] =~ /^(kill|cancel|terminate|immediate|fast|lock storm|health|pointer|clock)/ } Events::events()) };
	my $outcome = $action->($scenario);

	$scenario->{server}->wait_for_server;
	$scenario->count("while migrations end: $name", $outcome);
	return;
}

# Contract is refused as long as the pointer is on what it would retire.
sub switch_to
{
	my ($scenario, $name) = @_;
	my $releases = $scenario->{releases};
	my $fence = $releases->fence_of($name);

	return if !$fence || !$releases->{current} || $releases->{current} >= $fence;
	my ($status, $out, $err) = $scenario->{server}->try("CALL tandem.contract('$name', undeclared => 'ignore', $Server::ACCEPT)");
	$scenario->fail("contract of $name is not refused while the pointer is on $releases->{current}: $err")
	  if $status == 0 || !Events::is_passing($err) && $err !~ /would retire, is the current one|is not ready for contract/;
	foreach (1 .. 20)
	{
		my $outcome = Events::switch_release($scenario, $fence);
		$scenario->count('pointer switched for contract', $outcome);
		return if $outcome eq 'done';
		# one whose migration is not ready for contract: with force contract takes the pointer along
		return if $outcome eq 'refused';
	}
	die "the pointer cannot be switched\n";
}

sub end_migration
{
	my ($scenario, $how, $name, $mismatched, $surely) = @_;
	my $releases = $scenario->{releases};
	my $fence = $how eq 'contract' ? $releases->fence_of($name) : 0;
	my @gone = $scenario->{migration}->ended_columns($how, $name);
	my $renamed = $scenario->{migration}->renamed_columns($how, $name);
	my $refused = 0;
	my $since = time;

	$scenario->{gone}{$_} = $fence foreach @gone, keys %$renamed;
	foreach (1 .. 60)
	{
		my $arguments = $how eq 'abort' ? ', force => true' : ", undeclared => 'ignore', $Server::ACCEPT, force => " . ($refused ? 'true' : 'false');

		$how eq 'contract' ? $releases->fencing($name) : $releases->aborting($name);
		my $job = $scenario->{server}->start_sql($scenario->{folder},
			"\\set VERBOSITY verbose\nSET client_min_messages = error;\nSET tandem.lock_retry_time = '5s';\nCALL tandem.$how('$name'$arguments);\n");
		load($scenario, 0, $job);
		if ($scenario->insist("SELECT phase IN ('done', 'aborted') FROM tandem.migrations WHERE name = '$name'") eq 't')
		{
			$scenario->fail("contract of $name is not refused, with $surely rows that disagree") if $surely && !$refused && $how eq 'contract';
			push @{ $scenario->{ended} }, { name => $name, how => $how, columns => \@gone, renamed => $renamed, fence => $fence };
			$releases->ended($name, $how);
			my $wrong = $scenario->insist($scenario->{migration}{operations}->wrong_tables($name, $how));
			$scenario->fail("$how of $name: wrong tables: $wrong") if $wrong ne '';
			$wrong = $scenario->insist($scenario->{migration}{operations}->wrong_objects);
			$scenario->fail("$how of $name: wrong objects of columns: $wrong") if $wrong ne '';
			forget_columns($scenario, $since);
			$releases->switched($fence) if $refused && $fence && $releases->{current} && $releases->{current} < $fence;
			$scenario->count("end under load: $how", $refused ? 'refused and forced' : 'done');
			return;
		}
		my $err = PostgreSQL::Test::Utils::slurp_file("$job->{file}.err");
		next if Events::is_passing($err) || $scenario->{views}->make_way($scenario, $err, @gone);
		next if $err =~ /was changed since verify/ && prove_again($scenario, $name);
		$scenario->fail("$how of $name: $err" . of_quarantine($scenario)) if !$mismatched || $refused || $err !~ /is not ready for contract/;
		return if $scenario->{wrong};
		$refused = 1;
	}
	$scenario->fail("$how of $name does not come to an end");
	return;
}

sub of_quarantine
{
	my ($scenario) = @_;

	return $scenario->insist("SELECT string_agg(format(E'%s\n  %s\n', to_jsonb(q), i), '') FROM (SELECT * FROM tandem.quarantine LIMIT 5) q JOIN stress.items i ON i.id = (q.key ->> 'id')::int");
}

# What takes the row as a whole has changed with the columns that the last migration has dropped.
sub prove_again
{
	my ($scenario, $name) = @_;

	return 0 if !@{ $scenario->{ended} } || !grep { $_->{row_functions} } @{ $scenario->{schema}{mappings} };
	$scenario->insist("SET client_min_messages = error; CALL tandem.migrate('$name', if_running => 'wait')", qr/found unfilled or mismatched rows/);
	return 1;
}

# From now on nobody writes what is gone, but old releases that do not know.
sub forget_columns
{
	my ($scenario, $since) = @_;
	my %gone = $scenario->gone_columns;

	foreach my $mapping (@{ $scenario->{schema}{mappings} })
	{
		$mapping->{writable} = [ grep { !grep { $gone{ $_->{name} } } @$_ } @{ $mapping->{sides} } ];
	}
	my $last = $scenario->{ended}[-1];
	$scenario->{migration}{operations}->forget($scenario->{schema}, $last->{columns}, $last->{renamed});
	my $model = $scenario->{model}->copy;
	end_one($scenario, $model) while $model->{ended} < @{ $scenario->{ended} };
	$scenario->{views}->ended($scenario, $model, $since);
	return;
}

1;
