# How far the regions of RegionScenario are, and the calls that bring them on: a call that is refused must have a reason and
# change nothing, and none may be accepted that the others are not ready for.
package RegionCalls;

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use RegionModel;
use Server;
use Session;
use Time::HiRes qw(sleep);

# A call may be refused: another region has to go first, or has not answered; a lock was not to be had; sessions of the
# older release go on.
my $REFUSED = qr/^(55000|55P03|55006)$/;

#
# How far a region is.
#

sub migration { return "m$_[0]{k}" }

# Each try has a number of its own: one that was written as is not to be made again.
sub release_now
{
	my ($self) = @_;

	return RegionModel::FIRST + RegionModel::STEP * ($self->{k} - 1) + $self->{tries};
}

# Of a server that is away: what it was before.
sub state
{
	my ($self, $name) = @_;

	return $self->{last}{$name} if $self->{last}{$name};
	my ($phase, $current, $state) = split /\|/, $self->look($name, sprintf q(SELECT coalesce((SELECT phase FROM tandem.migration WHERE name = '%s' ORDER BY id DESC LIMIT 1), 'none'),
		coalesce((SELECT current FROM tandem.registry), 0), (tandem.health(%d)).state), $self->migration, $self->release_now);

	return { phase => $phase, current => $current, state => $state };
}

# A query, in a session that stays.
sub look
{
	my ($self, $name, $query) = @_;

	foreach (1 .. 3)
	{
		my $session = $self->{sessions}{$name} //= Session->new(node => $self->at($name)->{node}, database => $self->{database});
		my ($state, $out) = $session->ask("$query;");
		chomp $out;
		return $out if $state eq '00000';
		# which the scenario has ended, with its server
		(delete $self->{sessions}{$name})->close;
	}
	return $self->sql($name, $query);
}

sub phase { return $_[0]->state($_[1])->{phase} }

sub has_expanded { return $_[0]{phase} =~ /^(migrate|contract|done)$/ }

sub is_open { return $_[0]{phase} =~ /^(expand|migrate|contract)$/ }

sub has_switched
{
	my ($self, $state) = @_;

	return $state->{current} >= $self->release_now || $state->{phase} eq 'done';
}

# What a call that is refused must leave as it is.  A run in the background goes on meanwhile.
sub fingerprint
{
	my ($self, $name) = @_;
	my $tables = join ', ', map { "'$_'::regclass" } @{ $self->{model}{tables} };

	return <<"SQL";
SELECT (SELECT string_agg(name || ' ' || CASE WHEN phase IN ('expand', 'migrate', 'contract') THEN 'open' ELSE phase END, ', ' ORDER BY id) FROM tandem.migration),
	(SELECT string_agg(attrelid::regclass || '.' || attname, ' ' ORDER BY attrelid, attnum) FROM pg_attribute WHERE attrelid IN ($tables) AND attnum > 0 AND NOT attisdropped),
	(SELECT string_agg(tgname, ' ' ORDER BY tgrelid, tgname) FROM pg_trigger WHERE tgrelid IN ($tables)),
	(SELECT current || ' ' || coalesce(lowest, 0) || ' ' || coalesce(contracting, 0) FROM tandem.registry),
	(SELECT string_agg(subname || subpublications::text, ' ' ORDER BY subname) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())),
	(SELECT string_agg(pubname || '.' || tablename || attnames::text, ' ' ORDER BY pubname, tablename) FROM pg_publication_tables WHERE tablename IN ('items', 'parts')),
	(SELECT current || ' ' || coalesce(lowest, 0) FROM tandem.region WHERE region = '$name')
SQL
}

#
# Calls.
#

sub sqlstate
{
	my ($status, $err) = @_;
	my ($state) = $err =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5}):/;

	return $state // ($status == 0 ? '00000' : '08006');
}

# Runs a statement; returns its SQLSTATE, which must be one of the right ones where it is an error.
sub try
{
	my ($self, $name, $sql, $right) = @_;
	my ($status, $out, $err) = $self->at($name)->try("SET client_min_messages = error; $sql");
	my $state = sqlstate($status, $err);
	my ($message) = $err =~ /((?:ERROR|FATAL).*)/s;

	$self->tell("$name: $sql -> $state " . ($message // '') =~ s/\s*\n\s*/ /gr);
	$self->fail("$name: $sql: $state: $err") if $state ne '00000' && $state !~ $right;
	$self->{said} = $err;
	return $state;
}

# One that waits for the other regions: refused, it changes nothing, and done it was right to be done.
sub call
{
	my ($self, $name, $act, $sql) = @_;
	my $timeout = $self->{random}->pick(1, 1, 3);
	my $before = $self->look($name, $self->fingerprint($name));
	my $state = $self->try($name, "SET tandem.region_timeout = $timeout; $sql", $REFUSED);

	if ($state eq '00000')
	{
		$self->check_act($name, $act);
		return 'done';
	}
	my $after = $self->look($name, $self->fingerprint($name));
	$self->fail("$name: $sql was refused, and has changed\n  $before\n  to $after") if $after ne $before;
	return 'refused: ' . $self->reason($state);
}

sub reason
{
	my ($self, $state) = @_;

	return $self->{said} =~ /was not answered/ ? 'no answer' : $self->{said} =~ /is about to/ ? 'another is about to act'
	  : $self->{said} =~ /waits for another region|expanded in all regions/ ? 'another is not ready' : $self->{said} =~ /would lose/ ? 'values would be lost' : $state;
}

# What was done: is it right, by what the others are?
sub check_act
{
	my ($self, $name, $act) = @_;
	my $release = $self->release_now;

	# who has left is not waited for
	foreach my $other (grep { !$self->{left}{$_} } $self->others($name))
	{
		my $state = $self->state($other);
		my $is = "$other is in phase $state->{phase}, at release $state->{current}";

		$self->fail("$name: $act, while $is") if $act =~ /^(switch|contract)$/ && !has_expanded($state)
		  || $act eq 'abort' && $self->has_switched($state)
		  || $act eq 'contract' && $self->{model}->is_one_way($self->{k}) && !$self->has_switched($state);
	}
	$self->note_abort if $act eq 'abort';
	my $own = $self->state($name);
	$self->fail("$name: contract, at release $own->{current}") if $act eq 'contract' && $own->{current} < $release;
	return;
}

# All of them abort before any expands again.
sub note_abort
{
	my ($self) = @_;

	$self->{aborting} = grep { is_open($self->state($_)) } @{ $self->{names} };
	return if $self->{aborting};
	$self->{tries}++;
	$self->look_after_writers;
	$self->{model}->forget_nulls($self->{k});
	$self->draw_manner;
	return;
}

# Mostly one for which it may be time, given its state.
sub draw_region
{
	my ($self, $is_due) = @_;
	my @names = @{ $self->{names} };
	my @due = $is_due && $self->{random}->chance(80) ? grep { $is_due->($self->state($_)) } @names : ();

	return $self->{random}->pick(@due ? @due : @names);
}

sub expand
{
	my ($self) = @_;

	return $self->expand_at($self->draw_region(sub { $_[0]{phase} =~ /^(none|aborted)$/ }));
}

# Where one has aborted all do so, before any expands again: it would fill the others' rows anew.
sub expand_at
{
	my ($self, $name) = @_;
	my ($migration, $release) = ($self->migration, $self->release_now);

	return 'none' if $self->{aborting} || $self->{tries} >= RegionModel::STEP || $self->phase($name) !~ /^(none|aborted)$/;
	my $of = $self->{model}{mappings}[ $self->{k} - 1 ];
	my $sql = "BEGIN; SELECT tandem.create_migration('$migration', $release);";
	foreach my $table (sort keys %$of)
	{
		my ($old, $new, $type) = ($of->{$table}{old_name}, $of->{$table}{new_name}, $of->{$table}{types}[1]);
		my $up = sprintf $of->{$table}{up_sql}, $old;
		if ($of->{$table}{derived})
		{
			$sql .= " SELECT tandem.add_column('$migration', '$table', '$new', '$type', up => \$\$$up\$\$);";
			next;
		}
		my $down = $of->{$table}{down} ? '$$' . sprintf($of->{$table}{down_sql}, $new) . '$$' : 'NULL';
		$sql .= " SELECT tandem.add_column('$migration', '$table', '$new', '$type'); SELECT tandem.sync_column('$migration', '$table', '$old', '$new', \$\$$up\$\$, $down);";
	}
	my $state = $self->try($name, "$sql COMMIT", qr/^(55P03|25P02)$/);
	return "refused: $state" if $state ne '00000';
	my $rate = $self->{random}->pick(100, 300, 1000);
	$self->sql($name, "SELECT tandem.configure('$migration', 'tandem.max_rows_per_second', '$rate')");
	return 'done';
}

sub migrate
{
	my ($self) = @_;
	my $name = $self->draw_region(sub { $_[0]{phase} =~ /^(expand|migrate)$/ });
	my $migration = $self->migration;
	my $background = $self->{random}->chance(60);

	return 'none' if !is_open($self->state($name));
	# that of a run which pauses would not end
	my $state = $self->try($name, $background ? "CALL tandem.migrate('$migration', background => true)"
		: "SELECT tandem.resume('$migration'); CALL tandem.migrate('$migration', if_running => 'wait')", qr/^(55006|55P03)$/);
	return ($background ? 'background ' : '') . ($state eq '00000' ? 'done' : $state);
}

sub pause
{
	my ($self) = @_;
	my $name = $self->draw_region;
	my $call = $self->{random}->pick('pause', 'resume', 'resume');

	return 'none' if !is_open($self->state($name));
	my $migration = $self->migration;
	$self->try($name, "SELECT tandem.$call('$migration')", qr/^$/);
	return "${call}d" =~ s/ee/e/r;
}

sub switch_on
{
	my ($self) = @_;

	return $self->call($self->draw_region(sub { !$self->has_switched($_[0]) && is_open($_[0]) }), $self->call_of('switch'));
}

# Where nobody has contracted, and the old release loses nothing by that.
sub switch_back
{
	my ($self) = @_;
	my $name = $self->draw_region;

	return 'none' if $self->{model}->is_one_way($self->{k}) || grep { $self->phase($_) eq 'done' } @{ $self->{names} };
	return $self->call($name, 'switch back', "SELECT tandem.switch_release($self->{base})");
}

sub call_of
{
	my ($self, $act) = @_;
	my ($migration, $release) = ($self->migration, $self->release_now);
	my %sql = (
		switch => "SELECT tandem.switch_release($release)",
		contract => "CALL tandem.contract('$migration', undeclared => 'ignore')",
		abort => "CALL tandem.abort('$migration')");

	return ($act, $sql{$act});
}

sub contract
{
	my ($self) = @_;
	my $name = $self->draw_region(sub { $self->has_switched($_[0]) && is_open($_[0]) });

	return 'none' if !is_open($self->state($name));
	return $self->call($name, $self->call_of('contract'));
}

sub abort
{
	my ($self) = @_;
	my $name = $self->draw_region(\&is_open);

	return 'none' if !is_open($self->state($name)) || !$self->may_abort;
	return $self->call($name, $self->call_of('abort'));
}

# In most tries it is only called once it is too late.
sub may_abort
{
	my ($self) = @_;

	return $self->{gives_up} || $self->{aborting} || grep { $self->has_switched($self->state($_)) } @{ $self->{names} };
}

# Two regions at the same time: never do both act where it does not go together.
sub call_two
{
	my ($self) = @_;
	my @names = ($self->{random}->shuffled(grep { is_open($self->state($_)) } @{ $self->{names} }))[ 0, 1 ];
	my (@jobs, @acts);
	my $may_abort = $self->may_abort;

	return 'none' if !defined $names[1];
	my %before = map { $_ => $self->state($_) } @{ $self->{names} };
	foreach my $name (@names)
	{
		my ($act, $sql) = $self->call_of($self->{random}->pick('switch', 'contract', $may_abort ? 'abort' : 'switch'));
		push @acts, $act;
		$self->tell("$name: $sql, beside the other");
		my $file = "$self->{folder}/call_$name" . $self->{jobs}++ . '.sql';
		append_to_file($file, "\\set VERBOSITY verbose\nSET tandem.region_timeout = 3;\n$sql;\n");
		push @jobs, $self->at($name)->start_script(Server::superuser(), $file);
	}
	foreach my $i (0, 1)
	{
		sleep 0.02 until $self->at($names[$i])->is_ended($jobs[$i]);
		my $err = slurp_file("$jobs[$i]{file}.err") =~ s/^.*NOTICE.*\n//mgr;
		my $state = sqlstate(0, $err);
		$self->tell("$names[$i]: $state " . $err =~ s/\s*\n\s*/ /gr);
		$self->fail("$names[$i]: $acts[$i] beside $acts[ 1 - $i ]: $err") if $state ne '00000' && $state !~ $REFUSED;
	}
	my %after = map { $_ => $self->state($_) } @{ $self->{names} };
	my @aborted = grep { $before{$_}{phase} ne 'aborted' && $after{$_}{phase} eq 'aborted' } @names;
	my @gone_on = grep { $self->has_switched($after{$_}) } @{ $self->{names} };
	$self->fail("@aborted aborted and @gone_on went on, at the same time") if @aborted && @gone_on;
	$self->check_act($_, 'abort') foreach @aborted;
	foreach my $name (@names)
	{
		$self->check_act($name, 'switch') if $after{$name}{current} > $before{$name}{current};
		$self->check_act($name, 'contract') if $after{$name}{phase} eq 'done' && $before{$name}{phase} ne 'done';
	}
	my $acted = grep { $after{$_}{phase} =~ /^(done|aborted)$/ || $after{$_}{current} != $before{$_}{current} } @names;
	return "@{[ sort @acts ]}: $acted";
}

# A release is served for writes only once all have its columns.
sub check_health
{
	my ($self) = @_;
	my %state = map { $_ => $self->state($_) } @{ $self->{names} };

	$self->{together} = $self->{attempt} if !grep { !has_expanded($_) } values %state;
	foreach my $name (@{ $self->{names} })
	{
		next if $state{$name}{state} !~ /^(ready|current)$/ || ($self->{together} // -1) == $self->{attempt};
		# one may have begun to migrate since
		$state{$_} = $self->state($_) foreach $self->others($name);
		next if !grep { !has_expanded($state{$_}) } values %state;
		$self->fail("$name: release " . $self->release_now . " is $state{$name}{state}, while "
			. join ', ', map { "$_ is in phase $state{$_}{phase}" } grep { !has_expanded($state{$_}) } $self->others($name));
	}
	return;
}

1;
