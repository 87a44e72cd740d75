# Migrations beside a publication FOR ALL TABLES with a live subscriber: both servers go through the same
# migrations, each at its own pace, while rows arrive.  What the extension holds of one server must be of that server alone, every
# row must arrive, and both shapes of each must agree.
package PublicationScenario;

use strict;
use warnings;

use parent 'Scenario';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Random;

# what an apply worker may say when its server or the other one goes
my $GONE = qr/could not (connect|receive|send|fetch)|connection to server|terminating|server closed|shutting down|no COPY in progress|is (already )?active for PID|does not exist/;

# the name of its random choices, which a known seed repeats
my $STREAM = 'publication war';

# server (the publisher), seed, report, events (how many).
sub new
{
	my ($class, %parts) = @_;

	return bless { wrong => 0, name => 'publication', %parts, random => Random->new($parts{seed}, $STREAM),
		own => [ map { { migrations => {}, dependencies => {} } } 0, 1 ], migrations => [], partitions => 0, fresh => 1000, story => [] }, $class;
}

sub events
{
	return (
		[ 'rows written', 30, \&write_rows ],
		[ 'large transaction', 3, \&write_many ],
		[ 'expand on both', 6, \&expand ],
		[ 'migrate on one', 10, \&migrate ],
		[ 'contract on both', 3, \&contract ],
		[ 'abort on both', 2, \&abort ],
		[ 'migration of one', 4, \&migration_of_one ],
		[ 'dependency of one', 6, \&dependency ],
		[ 'new partition', 3, \&new_partition ],
		[ 'TRUNCATE', 2, \&truncate_own ],
		[ 'subscription stopped for a while', 2, \&stop_subscription ],
		[ 'server lost', 2, \&crash ],
		[ 'servers compared', 8, \&compare ]);
}

sub run
{
	my ($self) = @_;

	$self->set_up;
	$self->run_events(sub { });
	$self->compare if !$self->{wrong};
	$self->tell_story;
	return;
}

# One subscriber serves all scenarios of a run.
sub subscriber
{
	my ($server) = @_;

	return $server->{subscriber} if $server->{subscriber};
	my $node = PostgreSQL::Test::Cluster->new('subscriber_of_' . $server->{node}->name);

	$node->init;
	$node->append_conf('postgresql.conf', <<'CONF');
wal_retrieve_retry_interval = 100ms
max_worker_processes = 16
restart_after_crash = on
tandem.launcher_interval = 1s
log_line_prefix = '%m [%p] %b: '
CONF
	$node->start;
	return $server->{subscriber} = $node;
}

# 0 is the publisher, 1 the subscriber.
sub node_of
{
	my ($self, $which) = @_;

	return $which ? $self->{subscriber} : $self->{server}{node};
}

sub sql
{
	my ($self, $which, $sql) = @_;
	my ($status, $out, $err) = $self->node_of($which)->psql($self->{name}, "\\set VERBOSITY verbose\nSET client_min_messages = error;\n$sql",
		timeout => $PostgreSQL::Test::Utils::timeout_default);

	push @{ $self->{story} }, ($which ? 'subscriber' : 'publisher') . ': ' . substr($sql, 0, 300) . ($status ? " -> $err" : '');
	die "$sql\n$err\n" if $status != 0;
	return $out;
}

sub set_up
{
	my ($self) = @_;
	my $random = $self->{random};
	my $kind = $self->{kind} = $random->pick('plain', 'partitioned');
	my $by = $kind eq 'plain' ? '' : ' PARTITION BY RANGE (id)';

	$self->{name} = $self->{server}{database} = "publication$self->{seed}";
	$self->{subscriber} = subscriber($self->{server});
	$self->{log} = -s $self->{subscriber}->logfile;
	foreach my $which (0, 1)
	{
		$self->node_of($which)->safe_psql('postgres', "CREATE DATABASE $self->{name}");
		$self->sql($which, "CREATE EXTENSION pg_tandem; CREATE TABLE items (id int PRIMARY KEY, a int, c int, filler text)$by;"
			. ($by ? 'CREATE TABLE items_0 PARTITION OF items FOR VALUES FROM (0) TO (1000000);' : ''));
		# each was there before it heard of the other
		$self->dependency_of($which) if $random->chance(50);
		$self->one_of($which) if $random->chance(50);
	}
	$self->sql(0, q(INSERT INTO items SELECT i, i, i, repeat('x', 100) FROM generate_series(1, 300) i));
	$self->sql(0, "ALTER DATABASE $self->{name} SET logical_decoding_work_mem = '64kB'");
	$self->sql(0, 'CREATE PUBLICATION everything FOR ALL TABLES' . ($random->chance(50) ? ' WITH (publish_via_partition_root)' : ''));
	my $streaming = $random->pick('off', 'on', $self->node_of(0)->pg_version >= 16 ? 'parallel' : 'on');
	$self->sql(1, sprintf q(CREATE SUBSCRIPTION %s CONNECTION '%s' PUBLICATION everything WITH (streaming = %s)),
		$self->{name}, $self->node_of(0)->connstr . " dbname=$self->{name}", $streaming);
	$self->compare;
	return;
}

sub clean_up
{
	my ($self) = @_;

	$self->sql(1, "DROP SUBSCRIPTION $self->{name}");
	$self->node_of($_)->safe_psql('postgres', "DROP DATABASE $self->{name} WITH (FORCE)") foreach 0, 1;
	return;
}

# A migration that both have expanded and neither has ended.
sub open_ones
{
	my ($self) = @_;

	return grep { !$_->{ended} } @{ $self->{migrations} };
}

# Columns that may be written: of each pair the old one or the new one.
sub assignments
{
	my ($self) = @_;
	my $random = $self->{random};
	my @set;

	foreach my $old ($random->some('a', 'c'))
	{
		my ($open) = grep { $_->{old} eq $old } $self->open_ones;
		my $value = $random->between(-500, 500);
		my $gone = $self->{now}{$old};

		push @set, $gone ? "$gone = " . 100 * $value : $open && $random->chance(50) ? "$open->{new} = " . 100 * $value : "$old = $value";
	}
	return @set;
}

sub write_rows
{
	my ($self) = @_;
	my $random = $self->{random};
	my @sql;

	foreach (1 .. $random->between(1, 5))
	{
		my $id = $random->chance(70) ? $random->between(1, 300) : $self->{fresh}++;
		my @set = $self->assignments;
		my $kind = $random->pick('UPDATE', 'UPDATE', 'UPDATE', 'DELETE', 'INSERT');
		my $columns = join ', ', 'id', map { /(\w+) =/ } @set;
		my $values = join ', ', $id, map { /= (.*)/ } @set;
		my $sql = $kind eq 'UPDATE' ? 'UPDATE items SET ' . join(', ', @set) . " WHERE id = $id"
		  : $kind eq 'DELETE' ? "DELETE FROM items WHERE id = $id"
		  : "INSERT INTO items ($columns) VALUES ($values) ON CONFLICT (id) DO UPDATE SET " . join(', ', @set);

		push @sql, $random->chance(15) ? "SAVEPOINT s; $sql; ROLLBACK TO s" : $sql;
	}
	$self->sql(0, join ";\n", 'BEGIN', @sql, $random->chance(10) ? 'ROLLBACK' : 'COMMIT');
	return 'done';
}

# So large that it is streamed, with rows of the extension in it.
sub write_many
{
	my ($self) = @_;
	my $version = $self->{random}->below(1000);

	$self->sql(0, "BEGIN; UPDATE items SET filler = repeat('y', 200 + $version); SELECT tandem.set_dependency('streamed', $version);"
		. "UPDATE items SET filler = repeat('z', 300); COMMIT");
	$self->{own}[0]{dependencies}{streamed} = $version;
	return 'done';
}

# The subscriber first, or new columns would arrive that it does not have.
sub expand
{
	my ($self) = @_;
	my $random = $self->{random};
	my ($old) = grep { my $old = $_; !$self->{now}{$old} && !grep { $_->{old} eq $old } $self->open_ones } $random->shuffled('a', 'c') or return 'none';
	my $number = @{ $self->{migrations} } + 1;
	my %migration = (name => "m$number", old => $old, new => "n$number");
	my $release = $random->chance(50) ? 'release => ' . (40 + $number) : 'release => NULL';

	foreach my $which (1, 0)
	{
		$self->sql($which, <<"SQL");
BEGIN;
SELECT tandem.create_migration('$migration{name}', $release);
SELECT tandem.add_column('$migration{name}', 'items', '$migration{new}', 'int');
SELECT tandem.sync_column('$migration{name}', 'items', '$old', '$migration{new}', '$old * 100', '$migration{new} / 100');
COMMIT;
SQL
		$self->{own}[$which]{migrations}{ $migration{name} } = 'expand';
		# rows arrive while the one has it and the other has not
		$self->write_rows if $which && $random->chance(60);
	}
	push @{ $self->{migrations} }, \%migration;
	return 'done';
}

sub migrate
{
	my ($self) = @_;
	my @open = $self->open_ones or return 'none';
	my $name = $self->{random}->pick(@open)->{name};
	my $which = $self->{random}->below(2);

	$self->sql($which, "CALL tandem.migrate('$name', if_running => 'wait')");
	$self->{own}[$which]{migrations}{$name} = 'contract';
	return $which ? 'subscriber' : 'publisher';
}

# The publisher first, or columns would arrive that the subscriber has no more.
sub end_both
{
	my ($self, $how, $migration) = @_;
	my $name = $migration->{name};

	foreach my $which (0, 1)
	{
		if ($which)
		{
			# what was written before has both columns
			$self->write_rows if $self->{random}->chance(50);
			$self->node_of(0)->wait_for_catchup($self->{name});
		}
		# again: a partition may have come since
		$self->sql($which, "CALL tandem.migrate('$name', if_running => 'wait')") if $how eq 'contract';
		$self->sql($which, "CALL tandem.$how('$name'" . ($how eq 'contract' ? ", undeclared => 'ignore', $Server::ACCEPT)" : ', force => true)'));
		$self->{own}[$which]{migrations}{$name} = $how eq 'contract' ? 'done' : 'aborted';
		$migration->{ended} = 1;
		$self->{now}{ $migration->{old} } = $migration->{new} if $how eq 'contract';
	}
	return 'done';
}

# Of releases the older one goes first.
sub contract
{
	my ($self) = @_;
	my ($first) = $self->open_ones or return 'none';

	return $self->end_both('contract', $first);
}

sub abort
{
	my ($self) = @_;
	my @open = $self->open_ones or return 'none';

	return $self->end_both('abort', $open[-1]);
}

# A migration that the other server does not have.
sub migration_of_one
{
	my ($self) = @_;
	my $which = $self->{random}->below(2);

	return $self->one_of($which);
}

sub one_of
{
	my ($self, $which) = @_;
	my $name = "own$which" . $self->{random}->below(5);
	my $own = $self->{own}[$which]{migrations};
	my $phase = $own->{$name} // '';

	$self->sql($which, $phase eq 'expand' ? "CALL tandem.abort('$name', force => true)" : "SELECT tandem.create_migration('$name')");
	$own->{$name} = $phase eq 'expand' ? 'aborted' : 'expand';
	return $own->{$name};
}

sub dependency
{
	my ($self) = @_;

	return $self->dependency_of($self->{random}->below(2));
}

# The same names on both, changed and deleted.
sub dependency_of
{
	my ($self, $which) = @_;
	my $random = $self->{random};
	my $dependencies = $self->{own}[$which]{dependencies};
	my ($name, $version) = ('d' . $random->below(3), $random->below(100));
	my $kind = $random->pick('set', 'set', 'update', 'delete');

	$self->sql($which, $kind eq 'set' ? "SELECT tandem.set_dependency('$name', $version)"
		: $kind eq 'update' ? "UPDATE tandem.dependency SET version = $version WHERE name = '$name'"
		: "DELETE FROM tandem.dependency WHERE name = '$name'");
	$dependencies->{$name} = $version if $kind eq 'set' || $kind eq 'update' && exists $dependencies->{$name};
	delete $dependencies->{$name} if $kind eq 'delete';
	return $kind;
}

sub new_partition
{
	my ($self) = @_;
	my $number = $self->{partitions};
	my $low = 1000000 + 1000 * $number;

	return 'none' if $self->{kind} eq 'plain' || $number >= 5;
	$self->{partitions}++;
	$self->sql($_, "CREATE TABLE items_new_$number PARTITION OF items FOR VALUES FROM ($low) TO (" . ($low + 1000) . ')') foreach 1, 0;
	# its rows arrive once the subscriber has heard of it
	$self->sql(1, "ALTER SUBSCRIPTION $self->{name} REFRESH PUBLICATION");
	my ($set) = $self->assignments;
	my ($column, $value) = $set =~ /(\w+) = (.*)/;
	$self->sql(0, "INSERT INTO items (id, $column) SELECT $low + i, $value FROM generate_series(0, 9) i");
	return 'done';
}

# What could not be passed over where it arrives is not sent.
sub truncate_own
{
	my ($self) = @_;
	my $table = $self->{random}->pick(qw(migration event dependency release_state step));
	my ($status, $out, $err) = $self->node_of(0)->psql($self->{name}, "TRUNCATE tandem.$table CASCADE");

	$self->fail("TRUNCATE tandem.$table: " . ($err || 'done')) if $status == 0 || $err !~ /cannot truncate table/;
	return 'refused';
}

sub stop_subscription
{
	my ($self) = @_;

	$self->sql(1, "ALTER SUBSCRIPTION $self->{name} DISABLE");
	$self->write_rows foreach 1 .. 3;
	$self->migrate;
	$self->sql(1, "ALTER SUBSCRIPTION $self->{name} ENABLE");
	return 'done';
}

sub crash
{
	my ($self) = @_;

	if ($self->{random}->chance(50))
	{
		$self->{subscriber}->stop('immediate');
		$self->write_rows;
		$self->{subscriber}->start;
		return 'subscriber';
	}
	$self->{server}->restart('immediate');
	$self->{server}->wait_for_server;
	return 'publisher';
}

sub own_rows
{
	my ($self, $which) = @_;

	return $self->sql($which, q(SELECT coalesce(string_agg(name || ' ' || phase, ', ' ORDER BY name), '') FROM tandem.migration m
		WHERE id = (SELECT max(id) FROM tandem.migration o WHERE o.name = m.name)))
	  . '; ' . $self->sql($which, q(SELECT coalesce(string_agg(name || ' ' || version, ', ' ORDER BY name), '') FROM tandem.dependency))
	  . '; ' . $self->sql($which, 'SELECT count(*) FROM tandem.event e WHERE NOT EXISTS (SELECT FROM tandem.migration m WHERE m.id = e.migration AND m.name = e.name)');
}

sub described
{
	my ($self, $which) = @_;
	my ($migrations, $dependencies) = @{ $self->{own}[$which] }{qw(migrations dependencies)};

	return join('; ', join(', ', map { "$_ $migrations->{$_}" } sort keys %$migrations), join(', ', map { "$_ $dependencies->{$_}" } sort keys %$dependencies), 0);
}

sub compare
{
	my ($self) = @_;

	$self->{subscriber}->wait_for_subscription_sync($self->node_of(0), $self->{name}, $self->{name});
	my @errors = grep { /logical replication [\w ]*worker: *ERROR:/ && !/$GONE/ } split /\n/, slurp_file($self->{subscriber}->logfile, $self->{log});
	$self->fail("the subscriber says: $errors[0]") if @errors;
	foreach my $which (0, 1)
	{
		my ($is, $right) = ($self->own_rows($which), $self->described($which));
		$self->fail(($which ? 'the subscriber' : 'the publisher') . " holds $is\n  and not $right") if $is ne $right;
		foreach my $migration ($self->open_ones)
		{
			my ($old, $new) = @{$migration}{qw(old new)};
			my $filled = $self->{own}[$which]{migrations}{ $migration->{name} } eq 'contract';
			my $bad = $self->sql($which, "SELECT count(*) FROM items WHERE " . ($filled ? '' : "$new IS NOT NULL AND ") . "$new IS DISTINCT FROM $old * 100");
			$self->fail(($which ? 'the subscriber' : 'the publisher') . ": $bad rows of $migration->{name} are wrong") if $bad;
		}
	}
	my $columns = join ', ', 'id', map { $self->{now}{$_} // $_ } 'a', 'c';
	my $rows = "SELECT count(*), coalesce(sum(hashtext(row($columns)::text)), 0) FROM items";
	my ($sent, $arrived) = map { $self->sql($_, $rows) } 0, 1;
	$self->fail("rows sent: $sent, arrived: $arrived") if $sent ne $arrived;
	$self->{report}{rows} += (split /\|/, $arrived)[0];
	return 'done';
}

1;
