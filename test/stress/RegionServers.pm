# The servers of RegionScenario, what they send each other, and the writers at work on them.
package RegionServers;

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(:sys_wait_h);
use RegionModel;
use RegionWriter;
use Server;
use Test::More import => [qw(note)];
use Time::HiRes qw(sleep time);

use constant WRITERS => 2;

#
# Servers.
#

# One group of servers serves all seeds of a run.
sub servers
{
	my ($self) = @_;
	my $server = $self->{server};

	foreach my $name (@{ $self->{names} }, $self->{late} // ())
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
	return;
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

	$self->servers;
	$self->make_database($_, RegionModel::FIRST, 1) foreach @{ $self->{names} };
	# first all of them, then the subscriptions
	$self->sql($_, "SELECT tandem.join_region('$_', publication => 'own')") foreach @{ $self->{names} };
	foreach my $to (@{ $self->{names} })
	{
		$self->subscribe($to, $_, 'release_' . RegionModel::FIRST . ', tandem_region') foreach $self->others($to);
	}
	$self->wait_for_copies($_, $self->others($_)) foreach @{ $self->{names} };
	$self->fill_tables($_) foreach @{ $self->{names} };
	note("seed $self->{seed}: " . ($self->{filters} ? 'row filters' : 'origin = none') . ", $self->{library} preloaded; " . ($self->{late} ? "$self->{late} comes late; " : '')
		. join('; ', map { my $of = $_; join ', ', map { "$_ $of->{$_}{name}" } sort keys %$of } @{ $self->{model}{mappings} }));
	$self->draw_manner;
	$self->start_writers($_) foreach @{ $self->{names} };
	return;
}

# A database of the application at a release, with the tables as they are when migration k begins.
sub make_database
{
	my ($self, $name, $release, $k) = @_;
	my $server = $self->at($name);

	$server->{node}->append_conf('postgresql.conf', "shared_preload_libraries = " . ($self->{library} eq 'shared' ? "'pg_tandem'" : "''"));
	$server->restart('fast');
	$self->{logged}{$name} = -s $server->{node}->logfile;
	$server->ask("CREATE DATABASE $self->{database}", 'postgres');
	$server->ask("ALTER DATABASE $self->{database} SET session_preload_libraries = 'pg_tandem'", 'postgres');
	$server->{database} = $self->{database};
	$self->sql($name, 'CREATE EXTENSION pg_tandem; CREATE TABLE marker (writer int PRIMARY KEY, seq int, contracted int);'
		. join('', map { "INSERT INTO marker VALUES ($_, 0, 0);" } 0 .. WRITERS - 1) . $self->tables_sql($name, $k)
		. "SELECT tandem.register_release($release); SELECT tandem.switch_release($release); SELECT tandem.create_publication($release, 'own');");
	return;
}

sub subscribe
{
	my ($self, $to, $from, $publications) = @_;

	$self->sql($to, sprintf q(CREATE SUBSCRIPTION %s CONNECTION '%s dbname=%s' PUBLICATION %s%s), $self->line($to, $from), $self->at($from)->{node}->connstr,
		$self->{database}, $publications, $self->{server}{node}->pg_version < 16 ? '' : ' WITH (origin = none)');
	return;
}

# Of what a region takes from others.
sub wait_for_copies
{
	my ($self, $to, @from) = @_;

	$self->at($to)->{node}->wait_for_subscription_sync($self->at($_)->{node}, $self->line($to, $_), $self->{database}) foreach @from;
	return;
}

sub columns_sql
{
	my ($self, $table, $k) = @_;
	my $sql = '';

	foreach my $mapping ($self->{model}->mappings_of($table))
	{
		my $done = $mapping->{number} < $k;
		$sql .= ", $mapping->{old_name} $mapping->{types}[0]" if !$done || $mapping->{derived};
		$sql .= ", $mapping->{new_name} $mapping->{types}[1]" if $done;
	}
	return $sql;
}

sub tables_sql
{
	my ($self, $name, $k) = @_;
	my $where = $self->{filters} ? " WHERE (region = '$name')" : '';
	my $sql = '';

	foreach my $table (@{ $self->{model}{tables} })
	{
		my $columns = $self->columns_sql($table, $k);
		$sql .= "CREATE TABLE $table (region text, id int, n int, c int, filler text DEFAULT repeat('x', 50)$columns, PRIMARY KEY (region, id))"
		  . ($table eq 'parts' ? ' PARTITION BY RANGE (id); CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (100);'
			  . ' CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (100) TO (10000);' : ';');
	}
	return $sql . 'CREATE PUBLICATION own FOR TABLE ' . join(', ', map { $_ . $where } @{ $self->{model}{tables} }) . ' WITH (publish_via_partition_root = true);';
}

# Rows that are there before any migration, some of which nobody writes again.
sub fill_tables
{
	my ($self, $name) = @_;

	foreach my $table (@{ $self->{model}{tables} })
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

sub start_writers
{
	my ($self, $name) = @_;

	foreach my $number (0 .. WRITERS - 1)
	{
		my $mine = "writer_$name$number";
		my $pid = RegionWriter::start(node => $self->at($name)->{node}, database => $self->{database}, region => $name, number => $number,
			seed => $self->{seed}, contracted => $self->{k} - 1, model => $self->{model}, folder => $self->{folder}, mine => $mine);
		$self->{writers}{$mine} = { pid => $pid, region => $name, read => 0 };
	}
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
		$self->{model}->apply($writer->{region}, $step, @{$note}{qw(release contracted)});
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

1;
