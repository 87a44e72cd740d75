# An application in a region, a process of its own: it writes rows of its region that nobody else writes, as a
# release that is served there, and notes each transaction that was committed in a file.
package RegionWriter;

use strict;
use warnings;

use JSON::PP;
use List::Util qw(max);
use POSIX ();
use Random;
use RegionModel;
use Session;
use Time::HiRes qw(sleep);

use constant IDS => 200;

# What it may meet: its release is not served any more, or not yet; a column has gone; the server goes, or is not there.
my $BORNE = qr/^(55T0[12]|42703|57P0[1235]|08...)$/;

# Starts it; returns its process.  node, database, region, number, seed, contracted (migrations, before its time), model (no
# rows), folder, mine (name of its files).
sub start
{
	my (%parts) = @_;
	my $self = bless { seq => 0, %parts }, __PACKAGE__;
	my $pid = fork;

	die "fork: $!" if !defined $pid;
	return $pid if $pid;
	$SIG{TERM} = 'DEFAULT';
	my $ok = eval { $self->work; 1 };
	$self->note({ bad => "stopped: $@" }) if !$ok;
	# not what the parent does at its end
	POSIX::_exit(0);
}

sub note
{
	my ($self, $what) = @_;

	$self->{log} //= do { open my $handle, '>>', "$self->{folder}/$self->{mine}.log" or die "$self->{mine}: $!"; $handle };
	syswrite $self->{log}, encode_json($what) . "\n";
	return;
}

sub work
{
	my ($self) = @_;

	$self->{random} = Random->new($self->{seed}, 'region writer', $self->{mine});
	while (!-e "$self->{folder}/stop")
	{
		$self->pause;
		$self->choose_release if !$self->{left}--;
		$self->write_rows if $self->{release};
		sleep 0.01 + $self->{random}->below(40) / 1000;
	}
	$self->{session}->close if $self->{session};
	return;
}

# What the scenario says in a file; nothing, if there is none.
sub read_file
{
	my ($self, $name) = @_;

	open my $handle, '<', "$self->{folder}/$name" or return '';
	my $said = <$handle> // '';
	close $handle;
	return $said;
}

# The order of the scenario, if there is one: a number, and a word.
sub order { return $_[0]->read_file('pause') }

# While the scenario says so nothing is written; "plain": but values that the old columns cannot hold are given up before.
sub pause
{
	my ($self) = @_;
	my $order = $self->order or return;

	$self->give_up_values if $order =~ /plain/;
	my $file = "$self->{folder}/$self->{mine}.idle";
	open my $handle, '>', "$file.new" or die "$file: $!";
	print $handle $order;
	close $handle;
	rename "$file.new", $file or die "$file: $!";
	sleep 0.02 while $self->order eq $order;
	$self->{left} = 0;
	return;
}

sub ask
{
	my ($self, $sql) = @_;

	while (!$self->{session})
	{
		my $session = Session->new(node => $self->{node}, database => $self->{database}, options => '-c client_min_messages=error');
		my ($state) = $session->ask('\pset null NULL');
		if ($state eq '00000') { $self->{session} = $session }
		else { $session->close; sleep 0.1 }
		return ('08006', '') if -e "$self->{folder}/stop";
	}
	my ($state, $out) = $self->{session}->ask("$sql;");
	if ($state ne '00000')
	{
		# another session finds its release anew
		$self->{session}->close;
		delete $self->{session};
		$self->{left} = 0;
		$self->note({ bad => "$state: $sql: $out" }) if $state !~ $BORNE;
	}
	return ($state, $out);
}

# One of those at hand that health says may write, and the columns that there are.
sub choose_release
{
	my ($self) = @_;
	$self->{left} = $self->{random}->between(1, 12);
	$self->{release} = 0;
	my ($state, $out) = $self->ask('RESET tandem.release; SELECT r FROM unnest(ARRAY[' . $self->read_file('releases') . ']) r WHERE (tandem.health(r)).healthy');
	my @releases = $state eq '00000' ? split /\n/, $out : ();
	return $self->{left} = 0 if !@releases;
	($self->{served}) = sort { $b <=> $a } @releases;
	foreach my $table (@{ $self->{model}{tables} })
	{
		($state, $out) = $self->ask("SELECT attname FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum");
		return $self->{left} = 0 if $state ne '00000';
		$self->{columns}{$table} = [ split /\n/, $out ];
	}
	$self->declare($self->{random}->chance(20) ? RegionModel::UNDECLARED : $self->{random}->pick(@releases));
	return;
}

sub declare
{
	my ($self, $release) = @_;
	my ($state) = $self->ask($release == RegionModel::UNDECLARED ? 'RESET tandem.release' : "SET tandem.release = $release");

	return 0 if $state ne '00000';
	$self->{declared} = $self->{session};
	$self->{release} = $release;
	return 1;
}

sub literal
{
	my ($value) = @_;

	return defined $value ? "'$value'" : 'NULL';
}

# A value of the side, old or new, of a mapping.
sub draw_value
{
	my ($self, $mapping, $new) = @_;
	my $random = $self->{random};
	my $plain = -e "$self->{folder}/plain";

	if ($new)
	{
		return $mapping->{lossy}->($random) if !$plain && $random->chance(40);
	}
	my $old = $random->chance(8) && !$mapping->{never_null} ? undef : $mapping->{old}->($random);
	return $new ? $mapping->{up}->($old) : $old;
}

# Columns with values, for a statement: of each mapping one side, the other, both or neither.
sub draw_set
{
	my ($self, $table, $inserts) = @_;
	my $random = $self->{random};
	my %is = map { $_ => 1 } @{ $self->{columns}{$table} };
	my %set = ($random->chance(40) ? (c => $random->below(1000)) : ());

	foreach my $mapping ($self->{model}->mappings_of($table))
	{
		if ($mapping->{derived})
		{
			$self->draw_derived($mapping, \%set, \%is, $inserts);
			next;
		}
		my $undeclared = $self->{release} == RegionModel::UNDECLARED;
		my $of_new = $undeclared ? !$is{ $mapping->{old_name} } : $self->{release} >= $mapping->{release};
		my ($own, $other) = $of_new ? @{$mapping}{qw(new_name old_name)} : @{$mapping}{qw(old_name new_name)};
		my $which = $random->pick($undeclared ? qw(own own neither) : qw(own own own other both neither));

		# nothing is given up by a row that says nothing of it
		$which = 'own' if $inserts && ($mapping->{never_null} || $of_new && -e "$self->{folder}/plain");
		$set{$own} = $self->draw_value($mapping, $of_new) if $is{$own} && $which =~ /own|both/ && ($mapping->{down} || !$of_new);
		$set{$other} = $self->draw_value($mapping, !$of_new) if $is{$other} && $which =~ /other|both/ && $mapping->{down};
	}
	return \%set;
}

# The column that is derived, what it is computed from, both or neither.  Nobody writes it before its release is served.
sub draw_derived
{
	my ($self, $mapping, $set, $is, $inserts) = @_;
	my $random = $self->{random};
	my ($old, $new) = @{$mapping}{qw(old_name new_name)};
	my $undeclared = $self->{release} == RegionModel::UNDECLARED;
	my $of_new = !$undeclared && $self->{release} >= $mapping->{release};
	my $plain = -e "$self->{folder}/plain";

	if ($plain && $of_new)
	{
		# what up gives, of all that it reads
		$set->{c} //= $random->below(1000);
		$set->{$old} = $mapping->{old}->($random);
		$set->{$new} = $mapping->{up}->(@{$set}{ $old, 'c' });
		return;
	}
	return if $undeclared && $inserts && $mapping->{never_null};
	$set->{$old} = $random->chance(8) ? undef : $mapping->{old}->($random) if $random->chance(50);
	my $chance = $of_new ? 50 : $undeclared && ($plain || $self->{served} < $mapping->{release}) ? 0 : 20;
	return if !$is->{$new} || !($random->chance($chance) || $inserts && $of_new && $mapping->{never_null});
	$set->{$new} = $random->chance(35) && !$mapping->{never_null} ? undef : $mapping->{lossy}->($random);
	return;
}

# A row as it was read, whole, with some columns changed.
sub read_row
{
	my ($self, $table, $id) = @_;
	my @columns = grep { !/^(region|id|n|filler)$/ } @{ $self->{columns}{$table} };
	my ($state, $out) = $self->ask('SELECT ' . join(', ', @columns) . " FROM $table WHERE region = '$self->{region}' AND id = $id");

	chomp $out;
	return if $state ne '00000' || $out eq '';
	my @values = map { $_ eq 'NULL' ? undef : $_ } split /\|/, $out, -1;
	return { map { $columns[$_] => $values[$_] } 0 .. $#columns };
}

sub draw_step
{
	my ($self, $n) = @_;
	my $random = $self->{random};
	my $table = $random->pick(@{ $self->{model}{tables} });
	my $id = $self->{number} * IDS + ($random->chance(70) ? $random->below(30) : $random->below(IDS));
	my $kind = $random->pick(qw(update update update update save save insert insert upsert delete));
	my %step = (table => $table, id => $id, kind => $kind eq 'save' ? 'update' : $kind);

	# who declares nothing means all that has changed, also where a row is not filled yet
	my $read = $kind eq 'save' && $self->{release} != RegionModel::UNDECLARED ? $self->read_row($table, $id) // {} : {};
	$step{set} = { %$read, %{ $self->draw_set($table, $kind =~ /sert/) }, n => $n };
	return \%step;
}

sub step_sql
{
	my ($self, $step) = @_;
	my ($table, $set) = @{$step}{qw(table set)};
	my @names = sort keys %$set;
	my $where = "WHERE region = '$self->{region}' AND id = $step->{id}";

	return "DELETE FROM $table $where" if $step->{kind} eq 'delete';
	return "UPDATE $table SET " . join(', ', map { "$_ = " . literal($set->{$_}) } @names) . " $where" if $step->{kind} eq 'update';
	return "INSERT INTO $table (region, id, " . join(', ', @names) . ") VALUES ('$self->{region}', $step->{id}, " . join(', ', map { literal($set->{$_}) } @names) . ') '
	  . ($step->{kind} eq 'insert' ? 'ON CONFLICT DO NOTHING' : 'ON CONFLICT (region, id) DO UPDATE SET ' . join(', ', map { "$_ = excluded.$_" } @names));
}

# A transaction; whether it was committed its marker says, where the server went meanwhile.
sub commit
{
	my ($self, $sql, @steps) = @_;
	# another session than the one that has said its release
	return 0 if !$self->{session} || $self->{session} != $self->{declared};
	my $seq = ++$self->{seq};
	my %note = (seq => $seq, release => $self->{release}, steps => \@steps);
	# what had been contracted is told by the same transaction, which contract waits for
	my ($state, $out) = $self->ask("BEGIN; $sql; UPDATE marker SET seq = $seq, contracted = (SELECT coalesce(max(substr(name, 2)::int), 0) FROM tandem.migration WHERE phase = 'done')"
		. " WHERE writer = $self->{number} RETURNING contracted; COMMIT");

	if ($state =~ /^(08|57)/)
	{
		while ($state ne '00000')
		{
			return if -e "$self->{folder}/stop";
			($state, $out) = $self->ask("SELECT seq || E'\\n' || contracted FROM marker WHERE writer = $self->{number}");
		}
		$state = '08006' if $out !~ /^$seq\n/;
	}
	# what was there when its database was made it knows of no migration
	$note{contracted} = max($self->{contracted}, $out =~ /(\d+)\n?\z/);
	$note{state} = $state if $state ne '00000';
	$self->note(\%note);
	return $state eq '00000';
}

sub write_rows
{
	my ($self) = @_;
	my @steps = map { $self->draw_step(10 * ($self->{seq} + 1) + $_) } 1 .. $self->{random}->between(1, 3);

	return $self->commit(join('; ', map { $self->step_sql($_) } @steps), @steps);
}

sub give_up_values
{
	my ($self) = @_;
	my ($from, $to) = ($self->{number} * IDS, ($self->{number} + 1) * IDS - 1);

	foreach my $table (@{ $self->{model}{tables} })
	{
		foreach my $mapping (grep { $_->{down} || $_->{derived} } $self->{model}->mappings_of($table))
		{
			my $done;
			until ($done || -e "$self->{folder}/stop")
			{
				my ($state, $out) = $self->ask(sprintf q(RESET tandem.release; SELECT min(r) FROM unnest(ARRAY[%s]) r WHERE r >= %d AND (tandem.health(r)).healthy AND 2 =
						(SELECT count(*) FROM pg_attribute WHERE attrelid = '%s'::regclass AND attname IN ('%s', '%s'))),
					$self->read_file('releases'), $mapping->{release}, $table, @{$mapping}{qw(old_name new_name)});
				sleep 0.05 and next if $state ne '00000';
				last if $out !~ /^(\d+)/;
				my $release = $1;
				my $old = $mapping->{derived} ? $mapping->{old_name} : sprintf $mapping->{down_sql}, $mapping->{new_name};
				my $plain = sprintf $mapping->{up_sql}, $old;
				my $sql = "UPDATE $table SET $mapping->{new_name} = $plain WHERE region = '$self->{region}' AND id BETWEEN $from AND $to AND $mapping->{new_name} IS DISTINCT FROM $plain";
				$done = $self->declare($release) && $self->commit($sql, { table => $table, kind => 'plain', column => $mapping->{new_name}, from => $from, to => $to });
			}
		}
	}
	return;
}

1;
