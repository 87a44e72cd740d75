# Regions: servers that send each other their own rows go from one release to the next, while applications write in
# each and never stop.  What is drawn comes in any order: calls that are too early, lines that are cut, servers that are
# killed.  A call that is refused must have a reason and change nothing, and none may be accepted that the others are not
# ready for.  In each quiet all regions must have the rows that the regions themselves have written (RegionModel).
package RegionScenario;

use strict;
use warnings;

use parent 'Scenario';

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(:sys_wait_h);
use Random;
use RegionModel;
use RegionWriter;
use Server;
use Session;
use Test::More import => [qw(note)];
use Time::HiRes qw(sleep time);

use constant { CYCLES => 3, WRITERS => 2 };

# what an apply worker may say when its server or the other one goes, or when the scenario ends a process
my $GONE = qr/could not (connect|receive|send)|connection to server|terminating|server closed|shutting down|no COPY in progress|is (already )?active for PID|not yet accepting/;

# A call may be refused: another region has to go first, or has not answered; a lock was not to be had; sessions of the
# older release go on.
my $REFUSED = qr/^(55000|55P03|55006)$/;

# the server goes, or is not there
my $DOWN = qr/^(57P0[123]|08...)$/;

my $TABLES = [qw(items parts)];

# server, seed, report, folder; count: of regions; seconds: of the load.
sub new
{
	my ($class, %parts) = @_;
	my $random = Random->new($parts{seed}, 'regions');
	my $self = bless { wrong => 0, name => 'regions', %parts, random => $random, story => [], calls => 0,
		names => [ ('a' .. 'z')[ 0 .. $parts{count} - 1 ] ], cut => {}, writers => {}, k => 1, tries => 1, base => RegionModel::FIRST, aborting => 0, jobs => 0 }, $class;

	$self->{model} = RegionModel->new($random, tables => $TABLES, count => CYCLES);
	$self->{filters} = $parts{server}{node}->pg_version < 16 || $random->chance(30);
	$self->{library} = $random->pick('shared', 'shared', 'session');
	return $self;
}

# name, how often, what to do
sub events
{
	return (
		[ 'expand', 6, \&expand ],
		[ 'migrate', 6, \&migrate ],
		[ 'paused or resumed', 2, \&pause ],
		[ 'switch to the new release', 6, \&switch_on ],
		[ 'switch back', 1, \&switch_back ],
		[ 'contract', 5, \&contract ],
		[ 'abort', 2, \&abort ],
		[ 'two calls at once', 4, \&call_two ],
		[ 'line cut', 3, \&cut_line ],
		[ 'line mended', 4, \&mend_line ],
		[ 'walsenders ended', 2, \&end_walsenders ],
		[ 'apply workers ended', 2, \&end_workers ],
		[ 'kill -9 of a server', 1, \&kill_server ],
		[ 'kill -9, and one call meanwhile', 1, \&kill_and_call ],
		[ 'beat', 4, \&beat ],
		[ 'writers alone', 4, sub { sleep 0.3 + $_[0]{random}->below(700) / 1000; return 'done' } ],
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
			my $outcome = $action->($self);
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
# Servers.
#

# One group of servers serves all seeds of a run.
sub servers
{
	my ($self) = @_;
	my $server = $self->{server};

	foreach my $name (@{ $self->{names} })
	{
		next if $server->{regions}{$name};
		my $node = PostgreSQL::Test::Cluster->new("region_$name");
		$node->init(allows_streaming => 'logical');
		$node->append_conf('postgresql.conf', <<'CONF');
max_connections = 60
max_worker_processes = 40
max_logical_replication_workers = 20
max_sync_workers_per_subscription = 2
max_replication_slots = 30
max_wal_senders = 20
wal_retrieve_retry_interval = 100ms
wal_receiver_status_interval = 1s
tandem.launcher_interval = 1s
tandem.region_timeout = 3s
# the tests themselves are clients at work
tandem.nice_ratio = 0
track_commit_timestamp = on
restart_after_crash = on
log_line_prefix = '%m [%p] %b %q%d: '
CONF
		$server->{regions}{$name} = Server->new($node, $server->{clock});
		$server->{regions}{$name}->start_again;
	}
	return @{ $server->{regions} }{ @{ $self->{names} } };
}

sub at
{
	my ($self, $name) = @_;

	return $self->{server}{regions}{$name};
}

sub others
{
	my ($self, $name) = @_;

	return grep { $_ ne $name } @{ $self->{names} };
}

# The subscription by which a region gets what another one sends.
sub line
{
	my ($self, $to, $from) = @_;

	return "s$self->{seed}_${to}_$from";
}

sub tell
{
	my ($self, $what) = @_;

	push @{ $self->{story} }, sprintf '%.1f %s', time - $^T, substr $what, 0, 400;
	return;
}

# Runs what must succeed, as a superuser.
sub sql
{
	my ($self, $name, $sql) = @_;

	return $self->at($name)->ask($sql);
}

sub set_up
{
	my ($self) = @_;
	my $random = $self->{random};
	my $database = $self->{database} = "regions$self->{seed}";

	$self->servers;
	foreach my $name (@{ $self->{names} })
	{
		my $server = $self->at($name);
		$server->{node}->append_conf('postgresql.conf', "shared_preload_libraries = " . ($self->{library} eq 'shared' ? "'pg_tandem'" : "''"));
		$server->restart('fast');
		$self->{logged}{$name} = -s $server->{node}->logfile;
		$server->ask("CREATE DATABASE $database", 'postgres');
		$server->ask("ALTER DATABASE $database SET session_preload_libraries = 'pg_tandem'", 'postgres');
		$server->{database} = $database;
		$self->sql($name, 'CREATE EXTENSION pg_tandem; CREATE TABLE marker (writer int PRIMARY KEY, seq int);'
			. join('', map { "INSERT INTO marker VALUES ($_, 0);" } 0 .. WRITERS - 1) . $self->tables_sql($name));
	}
	# first all of them, then the subscriptions
	foreach my $to (@{ $self->{names} })
	{
		$self->sql($to, sprintf q(CREATE SUBSCRIPTION %s CONNECTION '%s dbname=%s' PUBLICATION release_%d, tandem_region%s),
			$self->line($to, $_), $self->at($_)->{node}->connstr, $database, RegionModel::FIRST,
			$self->{server}{node}->pg_version < 16 ? '' : ' WITH (origin = none)') foreach $self->others($to);
	}
	foreach my $to (@{ $self->{names} })
	{
		$self->at($to)->{node}->wait_for_subscription_sync($self->at($_)->{node}, $self->line($to, $_), $database) foreach $self->others($to);
	}
	$self->fill_tables($_) foreach @{ $self->{names} };
	note("seed $self->{seed}: " . ($self->{filters} ? 'row filters' : 'origin = none') . ", $self->{library} preloaded; "
		. join('; ', map { my $of = $_; join ', ', map { "$_ $of->{$_}{name}" } sort keys %$of } @{ $self->{model}{mappings} }));
	$self->draw_manner;
	$self->start_writer(@$_) foreach map { my $name = $_; map { [ $name, $_ ] } 0 .. WRITERS - 1 } @{ $self->{names} };
	return;
}

sub tables_sql
{
	my ($self, $name) = @_;
	my $where = $self->{filters} ? " WHERE (region = '$name')" : '';
	my $sql = '';

	foreach my $table (@$TABLES)
	{
		my $columns = join '', map { ", $_->{old_name} $_->{types}[0]" } $self->{model}->mappings_of($table);
		$sql .= "CREATE TABLE $table (region text, id int, n int, c int, filler text DEFAULT repeat('x', 50)$columns, PRIMARY KEY (region, id))"
		  . ($table eq 'parts' ? ' PARTITION BY RANGE (id); CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (100);'
			  . ' CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (100) TO (10000);' : ';');
	}
	return $sql . 'CREATE PUBLICATION own FOR TABLE ' . join(', ', map { $_ . $where } @$TABLES) . ' WITH (publish_via_partition_root = true);'
	  . sprintf(q(SELECT tandem.register_release(%1$d); SELECT tandem.switch_release(%1$d); SELECT tandem.join_region('%2$s', publication => 'own');), RegionModel::FIRST, $name);
}

# Rows that are there before any migration, some of which nobody writes again.
sub fill_tables
{
	my ($self, $name) = @_;

	foreach my $table (@$TABLES)
	{
		my @old = map { $_->{old_name} } $self->{model}->mappings_of($table);
		my @values;
		foreach my $id (0 .. WRITERS * RegionWriter::IDS - 1)
		{
			my %set = (n => 0, c => $self->{random}->below(1000), map { $_->{old_name} => $self->{random}->chance(10) && !$_->{never_null} ? undef : $_->{old}->($self->{random}) } $self->{model}->mappings_of($table));
			$self->{model}->apply($name, { table => $table, kind => 'insert', id => $id, set => \%set }, RegionModel::FIRST);
			push @values, "('$name', $id, " . join(', ', map { RegionWriter::literal($set{$_}) } 'n', 'c', @old) . ')';
		}
		$self->sql($name, "INSERT INTO $table (" . join(', ', qw(region id n c), @old) . ') VALUES ' . join(', ', @values));
	}
	return;
}

sub clean_up
{
	my ($self) = @_;

	foreach my $to (@{ $self->{names} })
	{
		$self->sql($to, 'DROP SUBSCRIPTION ' . $self->line($to, $_)) foreach $self->others($to);
	}
	$self->at($_)->ask("DROP DATABASE $self->{database} WITH (FORCE)", 'postgres') foreach @{ $self->{names} };
	return;
}

#
# Writers.
#

sub start_writer
{
	my ($self, $name, $number) = @_;
	my $mine = "writer_$name$number";
	my $pid = RegionWriter::start(node => $self->at($name)->{node}, database => $self->{database}, region => $name, number => $number,
		seed => $self->{seed}, model => $self->{model}, folder => $self->{folder}, mine => $mine);

	$self->{writers}{$mine} = { pid => $pid, region => $name, read => 0 };
	return;
}

# What writers have noted since; none has died, or met what it must not.
sub look_after_writers
{
	my ($self) = @_;

	foreach my $mine (sort keys %{ $self->{writers} })
	{
		my $writer = $self->{writers}{$mine};
		$self->fail("$mine has died") if !$self->{stopping} && waitpid($writer->{pid}, WNOHANG);
		open my $handle, '<', "$self->{folder}/$mine.log" or next;
		seek $handle, $writer->{read}, 0;
		while (my $line = <$handle>)
		{
			last if $line !~ /\n$/;
			$writer->{read} += length $line;
			$self->take_note($writer, $mine, decode_json($line));
		}
		close $handle;
	}
	return;
}

sub take_note
{
	my ($self, $writer, $mine, $note) = @_;

	return $self->fail("$mine: $note->{bad}") if $note->{bad};
	$self->count('transaction of ' . ($note->{release} == RegionModel::UNDECLARED ? 'no release' : $note->{release} <= $self->{base} ? 'an old release' : 'a new release'),
		$note->{state} // 'committed');
	return if $note->{state};
	foreach my $step (@{ $note->{steps} })
	{
		$self->{model}->apply($writer->{region}, $step, $note->{release});
		next if $step->{kind} eq 'plain';
		push @{ $self->{written}{"$step->{table} $writer->{region} $step->{id}"} },
		  "$step->{kind} of $note->{release}: " . join ', ', map { "$_=" . ($step->{set}{$_} // 'NULL') } sort keys %{ $step->{set} };
	}
	return;
}

# A file that they read whole.
sub tell_writers
{
	my ($self, $name, $what) = @_;
	my $file = "$self->{folder}/$name";

	open my $handle, '>', "$file.new" or die "$file: $!";
	print $handle $what;
	close $handle;
	rename "$file.new", $file or die "$file: $!";
	return;
}

sub order_pause
{
	my ($self, $word) = @_;
	my $order = ++$self->{orders} . " $word";
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	$self->tell_writers('pause', $order);
	foreach my $mine (sort keys %{ $self->{writers} })
	{
		my $file = "$self->{folder}/$mine.idle";
		until (-e $file && slurp_file($file) eq $order)
		{
			die "$mine does not pause\n" if time > $deadline;
			sleep 0.02;
		}
	}
	$self->look_after_writers;
	return;
}

sub go_on
{
	my ($self) = @_;

	unlink "$self->{folder}/pause";
	return;
}

sub stop_writers
{
	my ($self) = @_;

	$_->close foreach values %{ delete $self->{sessions} || {} };
	return if !%{ $self->{writers} };
	$self->{stopping} = 1;
	append_to_file("$self->{folder}/stop", '');
	$self->go_on;
	foreach my $writer (values %{ $self->{writers} })
	{
		# one whose server is gone waits for it no longer
		foreach (1 .. 100)
		{
			last if waitpid($writer->{pid}, WNOHANG);
			sleep 0.05;
			kill 'KILL', $writer->{pid} if $_ == 100;
		}
	}
	$self->{writers} = {};
	return;
}

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
	my $tables = join ', ', map { "'$_'::regclass" } @$TABLES;

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

	foreach my $other ($self->others($name))
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
		my $down = $of->{$table}{down} ? '$$' . sprintf($of->{$table}{down_sql}, $new) . '$$' : 'NULL';
		$sql .= " SELECT tandem.add_column('$migration', '$table', '$new', '$type'); SELECT tandem.sync_column('$migration', '$table', '$old', '$new', \$\$$up\$\$, $down);";
	}
	my $state = $self->try($name, "$sql COMMIT", qr/^(55P03|25P02)$/);
	return "refused: $state" if $state ne '00000';
	my $rate = $self->{random}->pick(300, 1000);
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

	return 'none' if $act eq 'expand' ? 0 : !is_open($self->state($other));
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
# Quiet: everything has arrived everywhere.
#

sub catch_up
{
	my ($self) = @_;

	foreach my $from (@{ $self->{names} })
	{
		my $lsn = $self->sql($from, 'SELECT pg_current_wal_lsn()');
		my $slots = join ', ', map { "'" . $self->line($_, $from) . "'" } $self->others($from);
		my $arrived = "SELECT count(*) FILTER (WHERE confirmed_flush_lsn >= '$lsn') = $self->{count} - 1 FROM pg_replication_slots WHERE slot_name IN ($slots)";
		my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
		until ($self->at($from)->is_true($arrived))
		{
			my @errors = map { $self->errors($_) } @{ $self->{names} };
			die "not all that $from has sent arrives: @errors\n" if @errors || time > $deadline;
			sleep 0.1;
		}
	}
	return;
}

sub quiet
{
	my ($self, $word) = @_;

	$self->order_pause($word // 'pause');
	$self->mend($_) foreach sort keys %{ $self->{cut} };
	foreach (1, 2)
	{
		$self->catch_up;
		$self->sql($_, 'SELECT tandem.region_beat()') foreach @{ $self->{names} };
	}
	$self->catch_up;
	$self->check_health;
	$self->compare;
	return;
}

# What apply workers have complained of; from 18 on conflicts, too, but for those that a fill makes: a row that it has
# written here was last written elsewhere, in the eyes of the server, and so was one that a copy of the table has brought.
sub errors
{
	my ($self, $name) = @_;

	return grep { /logical replication [\w ]*worker.*(ERROR:|conflict=(?!\w+_origin_differs))/ && !/$GONE/ } split /\n/, slurp_file($self->at($name)->{node}->logfile, $self->{logged}{$name});
}

sub rows_of
{
	my ($self, $name, $table) = @_;
	my @columns = split /\n/, $self->sql($name, "SELECT attname FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'filler' ORDER BY attname");
	my %rows;

	foreach my $line (split /\n/, $self->sql($name, "\\pset null NULL\nSELECT " . join(', ', @columns) . " FROM $table"))
	{
		my %row;
		@row{@columns} = map { $_ eq 'NULL' ? undef : $_ } split /\|/, $line, -1;
		$rows{"$table $row{region} $row{id}"} = \%row;
	}
	return \%rows;
}

sub compare
{
	my ($self) = @_;
	my %state = map { $_ => $self->state($_) } @{ $self->{names} };

	foreach my $table (@$TABLES)
	{
		my %rows = map { $_ => $self->rows_of($_, $table) } @{ $self->{names} };
		$self->compare_with_model($table, $_, \%rows, \%state) foreach @{ $self->{names} };
	}
	foreach my $name (@{ $self->{names} })
	{
		my @errors = $self->errors($name);
		$self->fail("$name: $errors[0]") if @errors;
		$self->check_verify($name) if $state{$name}{phase} eq 'contract';
		my $doubt = $self->sql($name, q(SELECT string_agg(concat_ws(' ', region, intent, doubt), '; ') FROM tandem.region WHERE doubt IS NOT NULL OR intent IS NOT NULL));
		$self->fail("$name, in quiet, of regions: $doubt") if $doubt;
	}
	return;
}

sub check_verify
{
	my ($self, $name) = @_;
	my $migration = $self->migration;
	my $found = $self->sql($name, "SELECT sum(rows_unfilled), sum(rows_mismatched) FROM tandem.verify('$migration')");

	$self->fail("$name: verify finds $found") if $found ne '0|0';
	return;
}

# The columns that a region has of a row, if its migration is filled: those that the region it belongs to would have if it had
# them.  One that has no new column, or is not filled, has told of the old one alone.
sub compare_with_model
{
	my ($self, $table, $name, $rows, $state) = @_;
	my ($is, $model) = ($rows->{$name}, $self->{model}{rows});
	my $last = sub { my @all = @{ $self->{written}{ $_[0] } || [] }; return @all > 6 ? @all[ -6 .. -1 ] : @all };
	my @wrong;

	foreach my $key (sort keys %{ { %$is, map { $_ => 1 } grep { /^$table / } keys %$model } })
	{
		my ($row, $right) = ($is->{$key}, $model->{$key});
		my $what = !$row ? 'is missing' : !$right ? 'is not gone' : $self->row_is_wrong($table, $row, $right, $state->{$name});
		push @wrong, "$name: row $key $what\n  is " . describe($row) . "\n  right is " . describe($right)
		  . "\n  by " . join "\n     ", $last->($key) if $what;
	}
	$self->{report}{rows} += keys %$is;
	$self->{report}{wrong} += @wrong;
	$self->fail($_) foreach @wrong > 3 ? (@wrong[ 0 .. 2 ], "$name: " . @wrong . " rows of $table are wrong") : @wrong;
	return;
}

sub row_is_wrong
{
	my ($self, $table, $row, $right, $state) = @_;

	foreach my $column (grep { exists $right->{$_} } sort keys %$row)
	{
		next if !RegionModel::differ($row->{$column}, $right->{$column});
		# not filled yet
		next if $column eq "q$self->{k}" && !defined $row->{$column} && $state->{phase} =~ /^(expand|migrate)$/;
		return "has another $column";
	}
	return '';
}

sub describe
{
	my ($row) = @_;

	return $row ? join ', ', map { "$_=" . ($row->{$_} // 'NULL') } sort keys %$row : 'no row';
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

# One leaves by itself: all forget it, and nobody waits for it; then it joins again, as far as it is.
sub leave_and_join
{
	my ($self) = @_;
	my $name = $self->draw_region;
	my $known = q(SELECT string_agg(region, '' ORDER BY region) FROM tandem.regions);
	my $all = join '', @{ $self->{names} };

	return if !$self->{random}->chance(70);
	$self->try($name, "SELECT tandem.leave_region('$name')", qr/^$/);
	$self->catch_up;
	foreach my $other ($self->others($name))
	{
		my $is = $self->sql($other, $known);
		$self->fail("$other knows of regions $is, when $name has left") if $is ne $all =~ s/$name//r;
	}
	$self->try($name, "SELECT tandem.join_region('$name', publication => 'own')", qr/^$/);
	$self->catch_up;
	foreach my $other (@{ $self->{names} })
	{
		my $is = $self->sql($other, $known);
		$self->fail("$other knows of regions $is, when $name has joined again") if $is ne $all;
	}
	$self->count('left and joined again', 'done');
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

sub fill_all
{
	my ($self) = @_;
	my $migration = $self->migration;

	foreach my $name ($self->{random}->shuffled(@{ $self->{names} }))
	{
		foreach (1 .. 20)
		{
			last if $self->phase($name) !~ /^(none|aborted)$/ || $self->expand_at($name) eq 'done';
		}
		next if $self->phase($name) eq 'done';
		$self->sql($name, "SELECT tandem.configure('$migration', 'tandem.max_rows_per_second', NULL); SELECT tandem.resume('$migration')");
		$self->sql($name, "SET client_min_messages = error; CALL tandem.migrate('$migration', if_running => 'wait')");
	}
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
		$self->insist($name, 'abort') if !$self->{wrong} && is_open($self->state($name));
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

# With lines that are mended, everybody contracts, or everybody aborts.
sub end
{
	my ($self) = @_;

	$self->quiet;
	$self->go_on;
	return if $self->{wrong};
	my %state = map { $_ => $self->state($_) } @{ $self->{names} };
	my $forward = grep({ $self->has_switched($_) } values %state) || !$self->{aborting} && $self->{random}->chance(60);
	if ($forward) { $self->contract_all }
	else { $self->abort_all }
	return if $self->{wrong};
	$self->quiet;
	my @phases = map { $self->phase($_) } @{ $self->{names} };
	$self->fail("at the end the regions are in phases @phases") if grep { $forward ? $_ ne 'done' : $_ !~ /^(none|aborted)$/ } @phases;
	$self->count('end', $forward ? 'contracted' : 'aborted');
	return;
}

1;
