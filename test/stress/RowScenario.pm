# A random table, a random migration of it, writers of every release, and what happens to them;
# after each phase every row is compared with the model.
package RowScenario;

use strict;
use warnings;

use parent 'Scenario';

use Constraints;
use Ending;
use Migration;
use Model;
use Random;
use Releases;
use Schema;
use Server;
use Mapping;
use Test::More import => [qw(note)];
use Time::HiRes qw(sleep time);
use Views;
use Events;
use Writers;

# What a writer may meet: SQLSTATEs.  57P: the server goes down; 40, 55P03, 57014: locks and cancels; 25P02,
# 3B001, 42704: what follows from one of those; 42P01, 3F000, 42501: renamed or revoked for
# a moment.
my $BORNE = qr/^(57P0[1235]|40001|40P01|55P03|57014|25P02|3B001|42704|42P01|3F000|42501|08...|53300)$/;

# server, seed, folder, report; rounds, seconds (of a round), standbys, dumps: how many at most.
sub new
{
	my ($class, %parts) = @_;
	my $self = bless { standbys => 0, dumps => 0, wrong => 0, %parts }, $class;
	my $random = Random->new($parts{seed}, 'tables');

	my @mappings = $random->shuffled(Mapping::all());
	my @others = splice @mappings, $random->between(2, 4);
	push @mappings, grep { my $other = $_; grep { ($_->{with} // '') eq $other->{name} } @mappings } @others;
	$self->{schema} = Schema->new($random, mappings => \@mappings, writers => 3,
		constraints => Constraints->new(Random->new($parts{seed}, 'constraints')), rows => $random->pick(60, 150, 400));
	$self->{releases} = Releases->of_seed($parts{seed});
	$self->{views} = Views->new(Random->new($parts{seed}, 'views'));
	$self->{migration} = Migration->new($random, $self->{schema}, $self->{releases}, $parts{seed}, $self->{views});
	$self->{schema}{operations} = $self->{migration}{operations};
	$self->{ended} = [];
	$self->{random} = Random->new($parts{seed}, 'events');
	$self->{model} = Model->new(columns => { %{ $self->{schema}{columns} } }, tidy => scalar $self->{schema}->tidy, keyless => $self->{schema}{constraints}{keyless}, undoes => $self->{schema}->undoes, moves => $self->{schema}->moves);
	$self->{writers} = [ map { {
				generator => Writers->new(schema => $self->{schema}, views => $self->{views}, number => $_, folder => $parts{folder}),
				scripts => 0, pending => [] } } 0 .. 2 ];
	# of partitions that are made meanwhile: it writes when an event says so
	$self->{partition_writer} = {
		generator => Writers->new(schema => $self->{schema}, views => $self->{views}, number => scalar @{ $self->{writers} }, folder => $parts{folder}),
		pending => [] };
	$self->{setup_random} = $random;
	return $self;
}

# Does a statement that is to succeed in the end, whatever is in the way; or to fail with an error like borne,
# which is returned.
sub insist
{
	my ($self, $sql, $borne) = @_;
	my $err;

	foreach (1 .. 100)
	{
		(my $status, my $out, $err) = $self->{server}->try("SET lock_timeout = '2s'; $sql");
		return $out if $status == 0;
		return $err if $borne && $err =~ $borne;
		die "$sql\n$err" if !Events::is_passing($err);
		sleep 0.1;
	}
	die "not to be done: $sql\n$err";
}

sub run
{
	my ($self) = @_;
	my $server = $self->{server};

	$self->set_up;
	foreach my $round (1 .. $self->{rounds})
	{
		$self->expand(0) if $round == 1;
		$self->expand(1) if $round == 2;
		$self->call_migrate;
		$self->round($self->{seconds}, 1);
		$self->act_in_quiet if $self->{random}->chance(40) && !$self->{wrong};
		last if $self->{wrong};
	}
	$self->expand(1) if $self->{rounds} < 2;
	Ending::end($self) if !$self->{wrong};
	return $self->{wrong};
}

sub expand
{
	my ($self, $late) = @_;
	my $expanded = @{ $self->{migration}{names} };

	$self->{migration}->expand($self->{server}, $self->{model}, $self->{setup_random}, $late);
	return if @{ $self->{migration}{names} } == $expanded;
	$self->{views}->create($self);
	# of a table whose columns are older than their sync a fill may end before a write
	$self->{views}->check_writable($self, 0) if !$late;
	return;
}

sub set_up
{
	my ($self) = @_;
	my $server = $self->{server};
	my @names = sort keys %{ $self->{schema}{columns} };
	my $copy = '';

	$server->{database} = "seed$self->{seed}";
	$server->ask("CREATE DATABASE $server->{database}", 'postgres');
	$server->ask('CREATE EXTENSION pg_tandem; CREATE EXTENSION amcheck');
	$server->ask($self->{schema}->sql);
	$server->ask("GRANT CREATE ON DATABASE $server->{database} TO stress_owner, stress_other");
	$server->ask('GRANT EXECUTE ON FUNCTION tandem.switch_release TO stress_owner, stress_other') if $self->{releases}{granted};
	foreach my $row ($self->{schema}->rows($self->{setup_random}, Random->new($self->{seed}, 'operated rows')))
	{
		$copy .= join("\t", map { $row->{$_} // '\N' } @names) . "\n";
		$self->{model}{rows}{ $row->{id} } = [ { v => $row, filled => [] } ];
	}
	my $file = "$self->{folder}/rows";
	PostgreSQL::Test::Utils::append_to_file($file, $copy);
	$server->ask("SET session_replication_role = replica;\n\\copy stress.items (" . join(', ', @names) . ") FROM '$file'");
	$self->insist(Schema::owner_sql('stress_owner'))
	  if $self->{migration}{as_owner};
	$self->describe;
	my $library = $self->{releases}{library};
	$self->fail("$library is not preloaded") if $library ne 'none' && $server->ask("SHOW ${library}_preload_libraries") ne 'pg_tandem';
	return;
}

sub describe
{
	my ($self) = @_;
	my $schema = $self->{schema};

	note("seed $self->{seed}: $schema->{kind} table, " . join(', ', map { $_->{name} . ($_->{tidied} ? ' (tidied)' : '') } @{ $schema->{mappings} })
		. "; migrations " . join(' ', sort keys %{ $self->{migration}{syncs} })
		. ($self->{migration}{as_owner} ? ', by an owner' : '')
		. '; ' . $self->{migration}{operations}->describe
		. ($self->{releases}{fenced} ? ", $self->{releases}{library} preloaded" : ''));
	return;
}

# Calls migrate for every migration that nobody runs.  A run takes about as long as a round.
sub call_migrate
{
	my ($self) = @_;
	my $rate = int($self->{schema}{rows} * 3 / $self->{seconds}) + 1;
	my $workers = $self->{random}->pick(1, 1, 2);

	$self->{releases}->set_proved(undef);
	foreach my $name (@{ $self->{migration}{names} })
	{
		$self->{server}->try("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '$rate');"
			. "CALL tandem.migrate('$name', background => true, workers => $workers)");
	}
	return;
}

# Writers at work for some seconds; with events at random moments.
sub round
{
	my ($self, $seconds, $with_events) = @_;
	my @events = Events::events();
	my @bag = map { my $event = $_; ($event) x $event->[1] } @events;
	my $end = time + $seconds;
	my $next = time + 0.2;

	$self->{base} = $self->{model}->copy;
	while (time < $end)
	{
		$self->start_scripts;
		if ($with_events && time > $next)
		{
			my ($name, undef, $action) = @{ $self->{random}->pick(@bag) };
			my $outcome = $action->($self);
			$self->{server}->wait_for_server;
			note("$name: $outcome");
			$self->count($name, $outcome);
			$self->call_migrate;
			$next = time + $self->{random}->below(700) / 1000;
			last if $self->{wrong};
		}
		sleep 0.02;
	}
	$self->quiesce;
	$self->check_dump if $self->{dump};
	$self->settle;
	return;
}

# Starts the next script of each writer that has none.
sub start_scripts
{
	my ($self) = @_;

	foreach my $writer (@{ $self->{writers} })
	{
		next if $writer->{job} && !$self->{server}->is_ended($writer->{job});
		$self->end_script($writer) or next;
		my $number = $writer->{generator}{number};
		my $script = $writer->{generator}->script(Random->new($self->{seed}, 'writer', $number, $writer->{scripts}++),
			$self->{ending} ? 5 : 12, $self->{ending});
		push @{ $writer->{pending} }, @{ $script->{transactions} };
		$script->{started} = time;
		$writer->{script} = $script;
		$writer->{job} = $self->{server}->start_script($script->{user}, $script->{file}, $script->{options});
	}
	return;
}

# Looks at what a script has said, and settles the prepared transaction that it may have left.  False
# when the server is down.
sub end_script
{
	my ($self, $writer) = @_;

	return 1 if !$writer->{job};
	my $number = $writer->{generator}{number};
	# a session may outlive its client for a moment
	my ($status, $out) = $self->{server}->try(<<"SQL");
SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'stress\\_$number\\_%' AND database = current_database();
SQL
	return 0 if $status != 0;
	foreach my $gid (split /\n/, $out)
	{
		my $how = $self->{random}->pick('COMMIT', 'ROLLBACK');
		$self->{server}->try("$how PREPARED '$gid'");
	}
	$self->check_errors($writer->{script});
	delete $writer->{job};
	return 1;
}

sub check_errors
{
	my ($self, $script) = @_;

	open my $handle, '<', "$script->{file}.err" or return;
	while (my $line = <$handle>)
	{
		next if $line !~ /^psql:[^:]*:(\d+): (?:ERROR|FATAL|PANIC):\s+(\w{5}): (.*)/;
		my ($number, $state, $message) = ($1, $2, $3);
		# up and down run as the owner: no right of the writer is in the way
		next if $state =~ $BORNE && ($self->{revoked} || $message !~ /^permission denied for function/);
		next if $state =~ /^(27000|55T02)$/ && $script->{tries}{$number};
		my ($transaction) = grep { $_->{from} <= $number && $number <= $_->{to} } @{ $script->{transactions} };
		next if $transaction && $self->is_due($script, $transaction, $number, $state, $message);
		my @lines = split /\n/, PostgreSQL::Test::Utils::slurp_file($script->{file});
		$self->fail("a writer met $state: $message (line $number of $script->{file}: $lines[ $number - 1 ])");
	}
	close $handle;
	return;
}

# Whether the fence, or the end of a migration, may meet a transaction so.
sub is_due
{
	my ($self, $script, $transaction, $line, $state, $message) = @_;
	my $releases = $self->{releases};
	my $release = $releases->{fenced} ? $transaction->{release} : 0;

	# 42P10: what the server says of ON CONFLICT on such a view, where the library is not preloaded; 42703: of a column
	# that the release does not know, and that the writers know again
	return 1 if $state =~ /^(55T01|42P10|42703)$/ && $self->is_of_ended_view($script, $line);
	if ($state eq '42703' && $message =~ /^column "?(?:\w+\.)?(\w+)/)
	{
		# of a release that the fence has stopped the transaction does not begin, while a row may be read before
		return exists $self->{gone}{$1} && (!$release || $release >= $self->{gone}{$1} || $line < $transaction->{begin});
	}
	return 1 if $state =~ /^(42883|42804|22P02)$/ && $self->names_taken($script, $line);
	return 1 if $self->{schema}{constraints}->is_due($state);
	if ($state eq '0A000' && $message =~ /^cannot (?:update|insert into) column "\w+" of view/)
	{
		$self->count('write through a view', 'column is read through');
		return !$self->{ending};
	}
	return 0 if !$release || $state !~ /^55T0[12]$/;
	return 0 if !$releases->may_have_been($script->{started}, $release, $state eq '55T01' ? ('retired', 'unknown') : 'read_only');
	return 1 if $line < $transaction->{begin};
	$self->count('transaction of a declared release', $state) if !$transaction->{refused};
	$transaction->{refused} = $state;
	return 1;
}

# Whether a statement uses the view of a release that ends, or has ended, with a migration.
sub is_of_ended_view
{
	my ($self, $script, $line) = @_;
	my ($view) = (split /\n/, PostgreSQL::Test::Utils::slurp_file($script->{file}))[ $line - 1 ] =~ /\brelease_(\d+)\.items/;

	return 0 if !$view || !$self->{ending};
	return 1 if $self->{ending} eq 'abort';
	return grep { $view < $_ } map({ $_->{fence} } @{ $self->{ended} }), map { $self->{releases}->fence_of($_) } @{ $self->{migration}{names} };
}

# Whether a statement names a column that is dropped, and whose name another one gets in the same contract.
sub names_taken
{
	my ($self, $script, $line) = @_;
	my $taken = $self->{migration}{operations}->taken_name;

	return $taken && exists $self->{gone}{$taken} && (split /\n/, PostgreSQL::Test::Utils::slurp_file($script->{file}))[ $line - 1 ] =~ /\b$taken\b/;
}

# A transaction that was committed: it must not have been refused, nor have begun once its release was retired.
sub check_served
{
	my ($self, $number, $transaction, $marker) = @_;
	my $releases = $self->{releases};
	my $what = "transaction $transaction->{seq} of writer $number, of release $transaction->{release},";

	$self->fail("$what was refused by $transaction->{refused}, and has been stored") if $transaction->{refused};
	return if !$releases->{fenced} || !$transaction->{release};
	my ($fence) = sort { $b <=> $a } 0, map { $_->{fence} } @{ $self->{ended} }[ 0 .. $marker - 1 ];
	$self->fail("$what has been stored after the end of a migration of release $fence") if $transaction->{release} < $fence;
	return;
}

# What a node is told that asks for each release.
sub check_health
{
	my ($self) = @_;
	my $releases = $self->{releases};
	my ($status, $out) = $self->{server}->try('SELECT r, (tandem.health(r)).state, (tandem.health(r)).healthy'
		  . ' FROM generate_series(' . Releases::FIRST . ', ' . Releases::LAST . ') r');

	return if $status != 0;
	foreach my $line (split /\n/, $out)
	{
		my ($release, $state, $healthy) = split /\|/, $line;
		$self->fail("release $release is $state, and not " . join(' or ', $releases->states($release))) if !$releases->may_be($release, $state);
		$self->fail("release $release is $state, and healthy: $healthy") if !$releases->{aborting} && $healthy ne $releases->healthy($release, $state);
	}
	return;
}

# Waits until nobody writes any more, and nothing is prepared.
sub quiesce
{
	my ($self) = @_;
	my $server = $self->{server};
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	foreach my $writer (@{ $self->{writers} })
	{
		while ($writer->{job})
		{
			die "a writer does not end\n" if time > $deadline;
			sleep 0.05;
			$server->is_ended($writer->{job}) and $self->end_script($writer);
		}
	}
	$server->wait_until(q(SELECT count(*) = 0 FROM pg_stat_activity WHERE usename LIKE 'stress\_writer%'))
	  or die "sessions of writers stay\n";
	foreach my $gid (split /\n/, $server->ask('SELECT gid FROM pg_prepared_xacts WHERE database = current_database()'))
	{
		$self->insist("COMMIT PREPARED '$gid'");
	}
	return;
}

# Those that contract or abort has dropped, as a set.
sub gone_columns
{
	my ($self) = @_;

	return map { $_ => 1 } map { @{ $_->{columns} } } @{ $self->{ended} };
}

# Those that are in the table, and in the model before these ended.
sub columns_left
{
	my ($self) = @_;
	my %columns = %{ $self->{model}{columns} };

	foreach my $ended (@{ $self->{ended} }[ $self->{model}{ended} .. $#{ $self->{ended} } ])
	{
		delete @columns{ @{ $ended->{columns} } };
		%columns = map { $ended->{renamed}{$_} // $_ => 1 } keys %columns;
	}
	return sort keys %columns;
}

# What a snapshot of the database shows: rows, markers, failures.  What a view reads through runs under the reader's
# search_path, as any view does.
sub look
{
	my ($self, $database) = @_;
	my %gone = $self->gone_columns;
	my @names = $self->columns_left;
	my $names = join ', ', @names;
	my $views = $self->{views}->look_sql($self->{model}, \%gone);
	my ($status, $out, $err) = $self->{server}->try(<<"SQL", $database);
SET TimeZone = 'UTC';
SET search_path = stress;
BEGIN ISOLATION LEVEL REPEATABLE READ;
COPY (SELECT 'm', writer, seq, ended FROM stress.marker) TO STDOUT;
COPY (SELECT 'f', writer, seq, step, sqlstate FROM stress.failed) TO STDOUT;
COPY (SELECT 'l', writer, seq, step, seen FROM stress.looked) TO STDOUT;
COPY (SELECT 'r', $names FROM stress.items) TO STDOUT;
\\echo end
$views
COMMIT;
SQL
	$self->{unread} = $err;
	return if $status != 0 || $out !~ /^end$/m;
	my ($tables, $shown) = split /^end$/m, $out, 2;
	my %seen = (marker => {}, failed => {}, looked => {}, rows => {}, views => Views::read_output($shown), err => $err);
	foreach my $line (split /\n/, $tables)
	{
		my ($kind, @fields) = map { $_ eq '\N' ? undef : $_ } split /\t/, $line, -1;
		if ($kind eq 'm') { $seen{marker}{ $fields[0] }{ $fields[1] } = $fields[2] }
		elsif ($kind eq 'f') { $seen{failed}{ $fields[0] }{ $fields[1] }{ $fields[2] } = $fields[3] }
		elsif ($kind eq 'l') { $seen{looked}{ $fields[0] }{ $fields[1] }{ $fields[2] } = $fields[3] }
		elsif ($kind eq 'r')
		{
			my %row;
			@row{@names} = @fields;
			$self->fail("row $row{id} is there twice") if $seen{rows}{ $row{id} };
			$seen{rows}{ $row{id} } = \%row;
		}
	}
	return \%seen;
}

# The same, where it must be had.
sub see
{
	my ($self) = @_;

	foreach (1 .. 50)
	{
		my $seen = $self->look;
		return $seen if $seen;
		sleep 0.1;
	}
	die "the table cannot be read: $self->{unread}\n";
}

# What the model makes of the transactions that a snapshot shows.
sub expected
{
	my ($self, $seen, $by_value) = @_;
	my $model = $self->{model}->copy;
	my @parts;

	$model->tell_by_value(1) if $by_value;
	my @writers = (@{ $self->{writers} }, $self->{partition_writer});
	foreach my $number (0 .. $#writers)
	{
		my $part = $model->part($number * Schema::KEYS, ($number + 1) * Schema::KEYS - 1);
		foreach my $transaction (@{ $writers[$number]{pending} })
		{
			my $marker = $seen->{marker}{$number}{ $transaction->{seq} } // next;
			Ending::end_one($self, $part) while $part->{ended} < $marker;
			$self->check_served($number, $transaction, $marker);
			$self->fail("transaction $transaction->{seq} of writer $number cannot be: $_")
			  foreach Writers::apply($transaction, $part, map { $_->{$number}{ $transaction->{seq} } || {} } @{$seen}{qw(failed looked)});
		}
		Ending::end_one($self, $part) while $part->{ended} < @{ $self->{ended} };
		push @parts, $part;
	}
	return Model::joined(@parts);
}

sub compare
{
	my ($self, $model, $seen, $when) = @_;
	my %before = %{ $model->{rows} };
	my @wrong = $model->compare($seen->{rows});

	$self->{report}{rows} += keys %{ $seen->{rows} };
	$self->{report}{wrong} += @wrong;
	foreach my $id (@wrong > 5 ? @wrong[ 0 .. 4 ] : @wrong)
	{
		$self->fail("$when: row $id is wrong\n  is " . Model::describe($seen->{rows}{$id})
			. join('', map { "\n  or " . Model::describe($_->{v}) } $before{$id} ? $model->possible($before{$id}) : ())
			. "\n  by " . join('; ', $self->writes_of($id)));
	}
	$self->fail("$when: " . @wrong . ' rows are wrong') if @wrong > 5;
	return if $self->{wrong} || Events::is_passing($seen->{err});
	my @unlike = $self->{views}->compare($model, $seen);
	$self->{report}{shown} += keys %$_ foreach values %{ $seen->{views} };
	$self->{report}{wrong} += @unlike;
	$self->fail("$when: $_") foreach @unlike;
	return;
}

# The last statements that name a row.
sub writes_of
{
	my ($self, $id) = @_;
	my @writes = map { my $t = $_; map { "$t->{seq}" . ($_->{release} ? " of $_->{release}" : '') . ": $_->{what}" } grep { $_->{what} =~ /(?<![-'.\w])$id\b(?!')/ } @{ $t->{steps} } }
	  @{ (@{ $self->{writers} }, $self->{partition_writer})[ int($id / Schema::KEYS) ]{pending} };

	return map { s/(\w{60})\w+/$1/gr } @writes > 6 ? @writes[ -6 .. -1 ] : @writes;
}

# In the middle of the load.
sub check_snapshot
{
	my ($self) = @_;
	my $seen = $self->see;

	$self->compare($self->expected($seen), $seen, 'in a snapshot') if $seen;
	return;
}

# At the end of a round: what was committed is certain now.
sub settle
{
	my ($self) = @_;
	my $seen = $self->see;
	my $model = $self->expected($seen);

	$self->compare($model, $seen, 'after a round');
	$self->{model} = $model;
	return if $self->{wrong};
	$_->{pending} = [] foreach @{ $self->{writers} }, $self->{partition_writer};
	$self->insist('TRUNCATE stress.marker, stress.failed, stress.looked');
	$self->check_generated;
	return;
}

sub check_generated
{
	my ($self) = @_;
	my $bad = $self->{schema}{generated} ? $self->{server}->ask('SELECT count(*) FROM stress.items WHERE sum <> part + hits') : 0;

	$self->fail("$bad generated values are wrong") if $bad;
	return;
}

# A dump of the middle of the round, restored: its markers tell what must be in it.
sub check_dump
{
	my ($self) = @_;
	my $server = $self->{server};
	my $node = $server->{node};
	my ($from, $to) = ($server->{database}, "$server->{database}_restored");
	my $file = delete $self->{dump};
	my ($out, $err);

	$server->ask("CREATE DATABASE $to", 'postgres');
	IPC::Run::run([ $node->installed_command('pg_restore'), '-e', '-h', $node->host, '-p', $node->port, '-d', $to, $file ], '>', \$out, '2>', \$err)
	  or $self->fail("restore: $err");
	$server->{database} = $to;
	local $self->{views}{plain} = {};
	# that it is filled there tells nothing of this one
	local $self->{releases} = $self->{releases}->copy;
	my $seen = $self->see;
	my $model = $self->expected($seen, 1);
	$self->compare($model, $seen, 'in a restored dump');
	my $mine = $self->{model};
	$self->{model} = $model;
	$self->run_migrate;
	$self->check_end if !$self->{wrong};
	$self->{model} = $mine;
	$server->{database} = $from;
	$server->ask("DROP DATABASE $to WITH (FORCE)", 'postgres');
	return;
}

# Something that is done while nobody writes.
sub act_in_quiet
{
	my ($self) = @_;
	my @actions = ([ 'trigger stopped by force', \&Events::disable_by_force ], [ 'partition detached', \&Events::detach ]);
	push @actions, [ 'key cascaded', \&Events::cascade_key ] if $self->{schema}{constraints}->refers;
	$self->act(@{ $self->{random}->pick(@actions) });
	return;
}

sub act
{
	my ($self, $name, $action) = @_;
	my $outcome = $action->($self);

	$self->count($name, $outcome);
	note("$name: $outcome");
	$self->compare($self->{model}, $self->see, "after $name");
	return;
}

# Writes that no trigger sees: values of the new release alone, in a few rows.
sub write_unsynced
{
	my ($self) = @_;
	my $rule = $self->{random}->pick(grep { !$_->{is_drop} } @{ $self->{model}{rules} });
	my ($id) = sort { $a <=> $b } keys %{ $self->{model}{rows} };
	my $column = $rule->{new}[0];
	my $value = $self->{schema}{columns}{$column}{value}->($self->{random});

	return if $self->{schema}{constraints}->any;
	$self->{server}->ask("SET session_replication_role = replica; UPDATE stress.items SET $column = " . Schema::literal($value) . " WHERE id = $id");
	$self->{model}->force($id, { $column => $value });
	return;
}

# Runs every migration to its end, in this session; returns the names of those that found rows that are
# not right.
sub finish_migrate
{
	my ($self) = @_;
	my @unproved;

	foreach my $name (@{ $self->{migration}{names} })
	{
		$self->{server}->try("SELECT tandem.cancel('$name')");
		$self->insist("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', NULL)");
		my $migrate = "SET client_min_messages = error; SET statement_timeout = '60s'; CALL tandem.migrate('$name', if_running => 'wait')";
		my $wrong = qr/found unfilled or mismatched rows/;
		# again: a verify that was killed goes on with what it had found, which may have been repaired since
		my $unproved = $self->migrate_repairing($name, $migrate, $wrong) && $self->migrate_repairing($name, $migrate, $wrong);
		push @unproved, $name if $unproved;
		$self->{releases}->set_proved($unproved ? 0 : 1, $name);
		$self->{views}->set_plain($name);
	}
	return @unproved;
}

# Repairs what constraints do not allow, and goes on.
sub migrate_repairing
{
	my ($self, $name, $migrate, $wrong) = @_;
	my $err;
	my $repaired = 0;

	# the fill names one row at a time
	while ($repaired < 50)
	{
		$err = $self->insist($migrate, qr/$wrong|ERROR:\s+23\d\d\d/);
		return $err if $err eq '' || $err =~ $wrong;
		last if !$self->{schema}{constraints}->repair($self, $name, $err);
		$repaired++;
	}
	die "migrate of $name, after $repaired repairs: $err\n";
}

# The same, and compares; those and only those whose rows disagree may say so.
sub run_migrate
{
	my ($self) = @_;
	my @unproved = $self->finish_migrate;

	$self->{model}->end_of_fill;
	my $seen = $self->see;
	$self->compare($self->{model}, $seen, 'after migrate');
	return if $self->{wrong};
	my ($mismatched, $surely) = $self->{model}->mismatched;
	foreach my $name (@{ $self->{migration}{names} })
	{
		my $unproved = grep { $_ eq $name } @unproved;
		$self->fail("$name: migrate finds rows that are not right, and there are none") if $unproved && !$mismatched->{$name};
		$self->fail("$name: migrate takes $surely->{$name} rows for right that are not") if !$unproved && $surely->{$name};
	}
	return;
}

# All is filled: the rows, and what verify says of them.
sub check_end
{
	my ($self) = @_;
	my ($expected) = $self->{model}->mismatched;
	foreach my $name (@{ $self->{migration}{names} })
	{
		my ($unfilled, $mismatched) = split /\|/, $self->{server}->ask("SELECT coalesce(sum(rows_unfilled), 0), coalesce(sum(rows_mismatched), 0) FROM tandem.verify('$name')");
		$self->fail("verify of $name finds $unfilled rows that are not filled") if $unfilled;
		my $count = $expected->{$name} // 0;
		$self->fail("verify of $name finds $mismatched mismatches, the model $count") if $mismatched != $count;
		my $own = $self->{server}->ask("SELECT coalesce(sum(rows_own), 0) FROM tandem.verify('$name')");
		$count = $self->{model}->own->{$name} // 0;
		$self->fail("verify of $name finds $own rows with values of their own, the model $count") if $own != $count;
	}
	$self->check_indexes;
	return;
}

sub check_indexes
{
	my ($self) = @_;

	$self->{server}->ask(<<'SQL');
SELECT bt_index_check(i.indexrelid, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relkind = 'i' AND c.relnamespace = 'stress'::regnamespace AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree') AND i.indisvalid;
SQL
	my $corrupt = $self->{server}->ask(q(SELECT count(*) FROM pg_class c, LATERAL verify_heapam(c.oid) v
		WHERE relnamespace = 'stress'::regnamespace AND relkind = 'r' AND relname LIKE 'items%'));
	$self->fail("$corrupt corruptions of the heap") if $corrupt;
	my $invalid = $self->{server}->ask(q(SELECT string_agg(indexrelid::regclass::text, ' ') FROM pg_index i JOIN pg_class c ON c.oid = indrelid
		WHERE c.relnamespace = 'stress'::regnamespace AND NOT indisvalid));
	note("invalid: $invalid") if $invalid ne '';
	return;
}

sub clean_up
{
	my ($self) = @_;

	$self->{server}->end_jobs;
	$self->{server}->ask("DROP DATABASE IF EXISTS $self->{server}{database} WITH (FORCE)", 'postgres');
	return;
}

1;
