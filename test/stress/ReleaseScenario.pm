# Releases alone: many migrations of many releases on small tables, and sessions that declare, write,
# leave and come back; one event after the other, so that the model (Releases) tells the state of every
# release, and how each call and each statement ends, from the events alone.  A seed makes the very same scenario.
package ReleaseScenario;

use strict;
use warnings;

use parent qw(ReleaseNodes Scenario);

use PostgreSQL::Test::Cluster;
use Random;
use Releases;
use Schema;
use Session;

# of the releases drawn
use constant NEWEST => 90;

# the name of its random choices, which a known seed repeats
my $STREAM = 'release war';

# server, seed, report, events (how many), dumps (how many at most).
sub new
{
	my ($class, %parts) = @_;

	return bless { wrong => 0, name => 'releases', dumps => 0, %parts,
		random => Random->new($parts{seed}, $STREAM), migrations => {}, tables => {}, sessions => {},
		names => 0, number => 0, story => [] }, $class;
}

sub events
{
	return (
		[ 'migration begun', 36, \&begin ],
		[ 'migration begun by a session of its release', 12, \&run_script ],
		[ 'create_migration repeated', 9, \&repeat ],
		[ 'migrate', 30, \&migrate ],
		[ 'row that up refuses', 6, \&spoil ],
		[ 'row repaired', 9, \&repair ],
		[ 'new partition', 12, \&new_partition ],
		[ 'create_views', 9, \&create_views ],
		[ 'pointer switched', 15, \&switch ],
		[ 'release registered', 9, \&register ],
		[ 'release waited for', 9, \&wait_for ],
		[ 'contract', 9, \&contract ],
		[ 'abort', 9, \&abort ],
		[ 'session', 135, sub { $_[0]->session } ],
		[ 'server lost', 1, \&crash ],
		[ 'dump, restored', 1, \&dump ]);
}

sub run
{
	my ($self) = @_;

	$self->set_up;
	$self->run_events(sub { $self->check_states($self->{server}{database}) });
	$self->tell_story;
	return;
}

sub set_up
{
	my ($self) = @_;
	my $server = $self->{server};
	my $database = "releases$self->{seed}";

	$self->{releases} = Releases->of_seed($self->{seed});
	$self->{releases}{newest} = NEWEST;
	$self->{library} = $server->ask('SHOW shared_preload_libraries', 'postgres') =~ /pg_tandem/ ? 'shared' : 'session';
	$server->{database} = $database;
	$server->ask("CREATE DATABASE $database", 'postgres');
	$server->ask("ALTER DATABASE $database SET session_preload_libraries = pg_tandem; ALTER DATABASE $database SET tandem.lock_retry_time = '1s'", 'postgres');
	$server->ask(Schema::roles_sql() . Releases::roles_sql() . <<"SQL");
DO \$\$ BEGIN CREATE ROLE stress_stranger LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END \$\$;
CREATE EXTENSION pg_tandem;
GRANT EXECUTE ON FUNCTION tandem.switch_release TO stress_owner;
CREATE SCHEMA rel;
GRANT USAGE ON SCHEMA rel TO PUBLIC;
GRANT CREATE ON SCHEMA rel TO stress_owner, stress_other;
GRANT CREATE ON DATABASE $database TO stress_owner, stress_other;
CREATE FUNCTION rel.up(a int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
	\$\$ BEGIN IF a < 0 THEN RAISE EXCEPTION 'negative' USING ERRCODE = '22003'; END IF; RETURN a * 100; END \$\$;
SQL
	return;
}

sub clean_up
{
	my ($self) = @_;

	$self->leave($_) foreach values %{ $self->{sessions} };
	$self->{observer}->close if $self->{observer};
	$self->{server}->ask("DROP DATABASE $self->{server}{database} WITH (FORCE)", 'postgres');
	return;
}

sub tell
{
	my ($self, $what) = @_;

	push @{ $self->{story} }, scalar(@{ $self->{story} }) . ": $what";
	return;
}

# Runs statements as a superuser, in a session of their own; they must end with one of the SQLSTATEs.
sub run_as_told
{
	my ($self, $sql, @right) = @_;
	my ($status, $out, $err) = $self->{server}->try("SET client_min_messages = error;\n$sql");
	my ($state) = $err =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5}):/;

	$state //= $status == 0 ? '00000' : '08006';
	$self->judge($sql, $state, $err, @right);
	return $state;
}

sub judge
{
	my ($self, $sql, $state, $err, @right) = @_;

	$self->tell("$sql -> $state");
	$self->fail("$sql: $state, and not " . join(' or ', @right) . ": $err") if !grep { $_ eq $state } @right;
	return;
}

# Mostly near what is known, or one that is served.
sub draw_release
{
	my ($self) = @_;
	my $random = $self->{random};
	my @served = grep { $self->{releases}->may_be($_, 'ready') } sort keys %{ $self->{releases}->known };
	my $highest = $self->{releases}->highest || Releases::FIRST;
	my $release = $highest + $random->between(-3, 2);

	return $random->pick(@served) if @served && $random->chance(35);
	# one that is retired is soon known
	$release = $self->{releases}{lowest} + $random->below(3) if $release < $self->{releases}{lowest} && $random->chance(70);
	$release = $self->{releases}{current} + $random->between(-1, 1) if $self->{releases}{current} && $random->chance(15);
	return $release < Releases::FIRST ? Releases::FIRST : $release > NEWEST - 1 ? NEWEST - 1 : $release;
}

sub open_names
{
	my ($self) = @_;

	return sort grep { $self->{migrations}{$_}{phase} !~ /^(done|aborted)$/ } keys %{ $self->{migrations} };
}

# Whether a table has a sync: writes of it are noted.
sub is_synced
{
	my ($self, $table) = @_;

	return grep { my $name = $_; grep { $_->{table} eq $table } @{ $self->{migrations}{$name}{syncs} } } $self->open_names;
}

# Tables of a release and those before it, as far as migrations tell; contracted ones count.
sub has_tables
{
	my ($self, $release) = @_;

	return grep { $_->{release} && $_->{release} <= $release && $_->{phase} ne 'aborted' && @{ $_->{syncs} } } values %{ $self->{migrations} };
}

# Whether sessions have declared a release who may use its tables; where there are none everybody counts.
# Undefined while one has set it and run no statement since: with that statement at the latest it has declared it.
sub declared
{
	my ($self, $release) = @_;
	my $anybody = !$self->has_tables($release);
	my @sessions = grep { $anybody || $_->{user} ne 'stress_stranger' } values %{ $self->{sessions} };

	return 1 if grep { $_->{held} == $release } @sessions;
	return (grep { $_->{said} == $release } @sessions) ? undef : 0;
}

# Transactions that have a table in hand come to an end.
sub free
{
	my ($self, @tables) = @_;

	foreach my $session ($self->in_transaction)
	{
		$self->end_block($session) if grep { $session->{block}{tables}{$_} } @tables;
	}
	return;
}

sub in_transaction
{
	my ($self) = @_;

	return map { $self->{sessions}{$_} } grep { $self->{sessions}{$_}{block} } sort keys %{ $self->{sessions} };
}

# Draws what a migration does: new tables, and sometimes another pair of columns of one that is there.
sub draw_syncs
{
	my ($self) = @_;
	my $random = $self->{random};
	my @free = grep { !$self->{tables}{$_}{second} } sort keys %{ $self->{tables} };

	return () if $random->chance(8);
	if (@free && $random->chance(25))
	{
		return { table => $random->pick(@free), old => 'c', new => 'd' };
	}
	return map { { table => 'rel.t' . ++$self->{number}, old => 'a', new => 'b', parts => $random->chance(40) } } 1 .. $random->pick(1, 1, 2);
}

sub table_sql
{
	my ($sync) = @_;
	my $table = $sync->{table};

	return '' if $sync->{old} ne 'a';
	return "CREATE TABLE $table (id int, n int NOT NULL DEFAULT 1, a int, c int)" . ($sync->{parts} ? " PARTITION BY RANGE (id);\n"
		. "CREATE TABLE ${table}_0 PARTITION OF $table FOR VALUES FROM (0) TO (1000);\n" : ";\n")
	  . "INSERT INTO $table SELECT i, 1, i, i FROM generate_series(1, 9) i;\nGRANT ALL ON $table TO stress_writer;\n";
}

sub expand_sql
{
	my ($name, @syncs) = @_;

	return join '', map {
		my $up = $_->{old} eq 'a' ? 'rel.up(a)' : "$_->{old} * 100";
		"SELECT tandem.add_column('$name', '$_->{table}', '$_->{new}', 'int');\n"
		  . "SELECT tandem.sync_column('$name', '$_->{table}', '$_->{old}', '$_->{new}', '$up', '$_->{new} / 100');\n"
	} @syncs;
}

# The statements of a migration, within a transaction block.
sub script_sql
{
	my ($name, $release, @syncs) = @_;

	return join('', map { table_sql($_) } @syncs) . "SELECT tandem.create_migration('$name'" . ($release ? ", release => $release" : '') . ");\n"
	  . expand_sql($name, @syncs);
}

# It has been committed.
sub begun
{
	my ($self, $name, $release, @syncs) = @_;

	foreach my $sync (@syncs)
	{
		$self->{tables}{ $sync->{table} } //= { parts => $sync->{parts} };
		$self->{tables}{ $sync->{table} }{second} = 1 if $sync->{old} ne 'a';
	}
	# of a table that was there, views of the release or of a later one may show the column that is to go
	my $shown = $release && grep({ $_->{old} ne 'a' } @syncs) && grep { $_ >= $release } keys %{ $self->{views} || {} };
	$self->{migrations}{$name} = { release => $release, phase => 'expand', filled => 0, proof => 0, syncs => \@syncs, shown => $shown };
	$self->{releases}->opened($name, $release);
	return;
}

# A name that is free: now and then that of one that was aborted.
sub free_name
{
	my ($self) = @_;
	my @aborted = grep { $self->{migrations}{$_}{phase} eq 'aborted' } sort keys %{ $self->{migrations} };

	return @aborted && $self->{random}->chance(20) ? $self->{random}->pick(@aborted) : 'm' . ++$self->{names};
}

# Now and then a release that is ready, has been written as, and that nobody is any more.
sub of_the_past
{
	my ($self) = @_;
	my ($random, $releases) = @{$self}{qw(random releases)};
	my @used = grep { $_ > $releases->{current} && $releases->may_be($_, 'ready') } sort keys %{ $releases->{used} };

	return if !@used || $random->chance(70);
	my $release = $random->pick(@used);
	$self->leave($_) foreach grep { $_->{held} == $release } map { $self->{sessions}{$_} } sort keys %{ $self->{sessions} };
	return $release;
}

sub begin
{
	my ($self) = @_;
	my $random = $self->{random};
	my $release = $random->chance(10) ? 0 : $self->of_the_past // $self->draw_release;
	my @syncs = $self->draw_syncs;
	my $owner = @syncs && $syncs[0]{old} ne 'a' ? '' : $random->pick('', '', 'stress_owner', 'stress_other');
	my $name = $owner ? 'm' . ++$self->{names} : $self->free_name;
	my $end = $random->chance(20) ? 'ROLLBACK' : 'COMMIT';

	$self->free(map { $_->{table} } @syncs);
	my @right = $self->{releases}->of_beginning($release, may_move => $owner ne 'stress_other', declared => $self->declared($release));
	my $state = $self->run_as_told(($owner ? "SET ROLE $owner;\n" : '') . "BEGIN;\n" . script_sql($name, $release, @syncs) . "$end;", @right);
	if ($state eq '00000' && $end eq 'COMMIT')
	{
		$self->begun($name, $release, @syncs);
		$self->{migrations}{$name}{owner} = $owner;
	}
	return $state eq '00000' ? lc $end : 'refused: ' . $self->why_refused($release, $state);
}

sub why_refused
{
	my ($self, $release, $state) = @_;
	my $releases = $self->{releases};

	return 'may not' if $state eq '42501';
	return 'retired' if $releases->may_be($release, 'retired');
	return 'current' if $release <= $releases->{current};
	return $releases->{used}{$release} ? 'written as' : 'declared';
}

# A node runs the script of its release itself, and writes in it.
sub run_script
{
	my ($self) = @_;
	my $releases = $self->{releases};
	my $release = $self->draw_release;
	my @syncs = map { { table => 'rel.t' . ++$self->{number}, old => 'a', new => 'b', parts => 0 } } 1;
	my $name = $self->free_name;
	my @right = $releases->of_beginning($release, may_move => 1, declared => $self->declared($release));
	my $begin = Releases::of_statement($releases->view, $release, 'none');
	my @other = sort keys %{ $self->{tables} };
	my $write = @other ? 'UPDATE ' . $self->{random}->pick(@other) . " SET n = n + 1 WHERE id = 9;\n" : '';

	# of a retired release the transaction does not begin
	@right = ($begin) if $begin ne '00000' && $begin eq '55T01' && $releases->may_be($release, 'retired');
	$self->free(@other);
	my $state = $self->run_as_told("SET tandem.release = $release;\nBEGIN;\n" . script_sql($name, $release, @syncs) . "${write}COMMIT;", @right);
	$self->begun($name, $release, @syncs) if $state eq '00000';
	return $state eq '00000' ? 'done' : 'refused: ' . $self->why_refused($release, $state);
}

# The same call is passed over, in every phase; with another release, or by another role, it is an error.
sub repeat
{
	my ($self) = @_;
	my ($random, $migrations) = @{$self}{qw(random migrations)};
	my @names = grep { $migrations->{$_}{phase} ne 'aborted' } sort keys %$migrations or return 'none';
	my $name = $random->pick(@names);
	my $release = $migrations->{$name}{release};
	my $other = $random->chance(30) ? $release + 1 : $release;

	return 'none' if $migrations->{$name}{phase} eq 'done' && $other != $release;
	my $owner = $migrations->{$name}{owner};
	my $as_owner = $owner && $random->chance(70);
	my $state = $self->run_as_told(($as_owner ? "SET ROLE $owner;\n" : '') . "SELECT tandem.create_migration('$name'" . ($other ? ", release => $other" : '') . ");",
		$other == $release && ($as_owner || !$owner) ? '00000' : '42710');
	return $state eq '00000' ? 'passed over' : "refused $state";
}

sub tables_of
{
	my ($self, $name) = @_;

	return map { $_->{table} } @{ $self->{migrations}{$name}{syncs} };
}

# Whether a row of its tables cannot be filled: by its own up, or by that of another migration, which follows.
sub is_spoilt
{
	my ($self, $name) = @_;

	return grep { $self->{tables}{$_}{spoilt} && !$self->{tables}{$_}{ended} } $self->tables_of($name);
}

sub migrate
{
	my ($self) = @_;
	my @names = $self->open_names or return 'none';
	my @unfilled = grep { !$self->{migrations}{$_}{filled} } @names;
	my $name = $self->{random}->pick(@unfilled && $self->{random}->chance(60) ? @unfilled : @names);
	my $migration = $self->{migrations}{$name};

	$self->free($self->tables_of($name));
	my @right = $self->is_spoilt($name) ? '22003' : '00000';
	my $state = $self->run_as_told("CALL tandem.migrate('$name');", @right);
	my $again = $migration->{filled} ? 'again ' : '';

	$migration->{phase} = $state eq '00000' ? 'contract' : 'migrate';
	$migration->{proof} = $state eq '00000' ? 1 : 0;
	$migration->{filled} = 1 if $state eq '00000';
	$self->{releases}->set_proved($state eq '00000' ? 1 : 0, $name);
	return $again . ($state eq '00000' ? 'done' : 'failed');
}

# A row that no sync has seen, and that up cannot compute: before the fill, or in a partition that is attached.
sub spoil
{
	my ($self) = @_;
	my $random = $self->{random};
	my @tables = grep { my $t = $self->{tables}{$_}; $t->{parts} && !$t->{spoilt} && !$t->{ended} && ($t->{next} // 0) < 8 } sort keys %{ $self->{tables} } or return 'none';
	my $table = $random->pick(@tables);
	my $number = ++$self->{tables}{$table}{next};
	my $low = $number * 1000;

	$self->free($table);
	$self->run_as_told("CREATE TABLE ${table}_$number (LIKE $table INCLUDING DEFAULTS);\nINSERT INTO ${table}_$number (id, a) VALUES ($low, -1);\n"
		. "ALTER TABLE $table ATTACH PARTITION ${table}_$number FOR VALUES FROM ($low) TO (" . ($low + 1000) . ');', '00000');
	$self->{tables}{$table}{spoilt} = $number;
	# it is neither filled nor verified
	$_->{proof} = 0 foreach $self->migrations_of($table);
	return 'done';
}

sub migrations_of
{
	my ($self, $table) = @_;

	return map { $self->{migrations}{$_} } grep { my $name = $_; grep { $_ eq $table } $self->tables_of($name) } $self->open_names;
}

sub repair
{
	my ($self) = @_;
	my @tables = grep { $self->{tables}{$_}{spoilt} } sort keys %{ $self->{tables} } or return 'none';
	my $table = $self->{random}->pick(@tables);
	my $number = delete $self->{tables}{$table}{spoilt};

	$self->free($table);
	$self->run_as_told("ALTER TABLE $table DETACH PARTITION ${table}_$number;\nDROP TABLE ${table}_$number;", '00000');
	$_->{proof} = undef foreach grep { defined $_->{proof} && !$_->{proof} && $_->{phase} eq 'contract' } $self->migrations_of($table);
	return 'done';
}

# It comes empty, as a daily job makes it.
sub new_partition
{
	my ($self) = @_;
	my @tables = grep { my $t = $self->{tables}{$_}; $t->{parts} && ($t->{next} // 0) < 8 } sort keys %{ $self->{tables} } or return 'none';
	my $table = $self->{random}->pick(@tables);
	my $number = ++$self->{tables}{$table}{next};
	my $low = $number * 1000;

	$self->free($table);
	$self->run_as_told("CREATE TABLE ${table}_$number PARTITION OF $table FOR VALUES FROM ($low) TO (" . ($low + 1000) . ');', '00000');
	# whether it has to be verified is not this scenario's business
	$_->{proof} = undef foreach grep { $_->{proof} } $self->migrations_of($table);
	return 'done';
}

# What comes of it is told elsewhere: here it must leave each release as it was.
sub create_views
{
	my ($self) = @_;
	my $release = $self->draw_release;
	my ($status, $out, $err) = $self->{server}->try("SELECT tandem.create_views($release);");

	$self->tell("create_views($release): " . ($status ? $err : 'done'));
	$self->fail("create_views($release): $err") if $status && $err !~ /ERROR:\s+(55000|55P03|42501)/;
	$self->{views}{$release} = 1 if $status == 0;
	return $status ? 'refused' : 'done';
}

sub switch
{
	my ($self) = @_;

	return $self->switch_to($self->draw_release);
}

sub switch_to
{
	my ($self, $release) = @_;
	my $right = $self->{releases}->may_serve($release) ? '00000' : '55000';
	my $state = $self->run_as_told("SELECT tandem.switch_release($release);", $right);

	$self->{releases}->switched($release) if $state eq '00000';
	return $state eq '00000' ? 'done' : 'refused';
}

sub register
{
	my ($self) = @_;
	my $release = $self->draw_release;
	my $end = $self->{random}->chance(20) ? 'ROLLBACK' : 'COMMIT';

	$self->run_as_told("BEGIN; SELECT tandem.register_release($release); $end;", '00000');
	$self->{releases}->registered($release) if $end eq 'COMMIT';
	return lc $end;
}

sub wait_for
{
	my ($self) = @_;
	my $release = $self->draw_release;
	my ($state) = $self->{releases}->states($release);
	my $right = $state eq 'retired' ? '55000' : $self->{releases}->may_serve($release) ? '00000' : '55P03';

	$self->run_as_told("CALL tandem.wait_for_release($release, '1 ms');", $right);
	return $state;
}

# Who may still be old: sessions that have written its tables, of which nobody can say what they are.
sub undeclared_writers
{
	my ($self, $name) = @_;

	return grep { $_->{marks}{$name} && !$_->{held} } values %{ $self->{sessions} };
}

# Why a contract is refused, as a list of SQLSTATEs; empty: it is not.
sub contract_is_refused
{
	my ($self, $name, $force, $undeclared) = @_;
	my $releases = $self->{releases};
	my ($release, $phase, $proof) = @{ $self->{migrations}{$name} }{qw(release phase proof)};
	my $current = $releases->{current};

	return ('55000') if $phase eq 'expand' || !$force && $phase eq 'migrate';
	# force passes over no row that is not filled, as those of a partition that was attached since
	return ('55000') if defined $proof && !$proof && (!$force || $phase eq 'contract');
	return () if !$release;
	my @why;
	push @why, '55006' if $undeclared eq 'refuse' && $self->undeclared_writers($name);
	push @why, '55000' if $releases->leaves_no_writer($name);
	return @why if @why;
	my $lowest = $releases->lowest_unfilled($name);
	# the pointer goes along with one that force alone can end
	my $goes_along = $force && $releases->may_be($release, 'read_only') && !($lowest && $lowest <= $release);
	return ('55000') if $current && $current < $release && !$goes_along;
	return () if !$self->tables_of($name);
	return grep({ $_->{held} && $_->{held} < $release && $_->{user} ne 'stress_stranger' } $self->in_transaction) ? ('55P03') : ();
}

# Nothing is taken from the views of a release that is served: of a migration without a release, or of an earlier one.
sub taken_from_views
{
	my ($self, $release) = @_;

	return grep({ $_ > $release } keys %{ $self->{views} || {} }) ? ('2BP01') : ();
}

sub contract
{
	my ($self) = @_;
	my ($random, $releases) = @{$self}{qw(random releases)};
	my @names = sort { $self->{migrations}{$a}{release} <=> $self->{migrations}{$b}{release} || $a cmp $b } $self->open_names or return 'none';
	my @proved = grep { $self->{migrations}{$_}{phase} eq 'contract' } @names;
	my $name = @proved && $random->chance(60) ? $proved[0] : $random->pick(@names);
	my $migration = $self->{migrations}{$name};
	my $force = $random->chance(25);
	my $undeclared = $random->chance(50) ? 'refuse' : 'ignore';

	$self->free($self->tables_of($name));
	# of views, which retire with their releases, nobody has anything in hand
	$self->free(keys %{ $self->{tables} }) if $random->chance(60);
	$self->switch_to($migration->{release}) if $random->chance(50) && $releases->{current} < $migration->{release};
	my @refused = $self->contract_is_refused($name, $force, $undeclared);
	my @right = @refused ? @refused : '00000';
	# a partition that came since may have to be verified; rows are looked at before sessions
	push @right, '55000' if !$force && !defined $migration->{proof};
	# force passes over rows that disagree, and over nothing that is not done
	push @right, '55000' if $force && $migration->{phase} eq 'migrate';
	push @right, $self->taken_from_views(0) if !$migration->{release};
	push @right, '2BP01' if $migration->{shown};
	$releases->fencing($name);
	my $state = $self->run_as_told("CALL tandem.contract('$name', undeclared => '$undeclared', $Server::ACCEPT, force => " . ($force ? 'true' : 'false') . ');', @right);
	if ($state ne '00000')
	{
		$releases->unfenced;
		return "refused $state";
	}
	$migration->{phase} = 'done';
	$self->{tables}{$_}{ended} = 1 foreach map { $_->{table} } grep { $_->{old} eq 'a' } @{ $migration->{syncs} };
	$releases->ended($name, 'contract');
	$releases->switched($migration->{release}) if $releases->{current} && $releases->{current} < $migration->{release};
	delete $_->{marks}{$name} foreach values %{ $self->{sessions} };
	return $force ? 'forced' : 'done';
}

sub abort
{
	my ($self) = @_;
	my @names = $self->open_names or return 'none';
	my $name = $self->{random}->pick(@names);
	my $migration = $self->{migrations}{$name};

	$self->free($self->tables_of($name));
	my $state = $self->run_as_told("CALL tandem.abort('$name', force => true);", '00000', $self->taken_from_views($migration->{release}));
	return 'refused' if $state ne '00000';
	$migration->{phase} = 'aborted';
	$self->{tables}{$_}{ended} = 1 foreach map { $_->{table} } grep { $_->{old} eq 'a' } @{ $migration->{syncs} };
	$self->{releases}->ended($name, 'abort');
	return 'done';
}

# The server crashes; what was committed stays.
sub crash
{
	my ($self) = @_;

	$self->{server}->restart('immediate');
	$self->{server}->wait_for_server;
	$_->{psql}->close foreach values %{ $self->{sessions} };
	$self->{observer}->close if $self->{observer};
	delete $self->{observer};
	$self->{sessions} = {};
	$self->tell('the server is lost, and comes back');
	return 'done';
}

# What is restored knows the same, and that a release was written as.
sub dump
{
	my ($self) = @_;
	my ($server, $releases) = @{$self}{qw(server releases)};
	my $from = $server->{database};
	my $to = "${from}_restored";
	my $node = $server->{node};
	my $file = "$self->{folder}/releases.dump";
	my $err;

	return 'none' if $self->{dumps}-- <= 0;
	$self->free(keys %{ $self->{tables} });
	IPC::Run::run([ $node->installed_command('pg_dump'), '-Fc', '-h', $node->host, '-p', $node->port, '-f', $file, $from ], '2>', \$err)
	  or $self->fail("dump: $err");
	$server->ask("CREATE DATABASE $to", 'postgres');
	IPC::Run::run([ $node->installed_command('pg_restore'), '-e', '-1', '-h', $node->host, '-p', $node->port, '-d', $to, $file ], '2>', \$err)
	  or $self->fail("restore: $err");
	$server->{database} = $to;
	$self->tell('the dump is restored');
	$self->check_states($to, 'new session');
	foreach my $release (sort keys %{ $releases->known })
	{
		my @right = $releases->of_beginning($release, may_move => 1, declared => 0);
		$self->run_as_told("BEGIN; SELECT tandem.create_migration('of a dump', release => $release); ROLLBACK;", @right);
	}
	$server->{database} = $from;
	$server->ask("DROP DATABASE $to WITH (FORCE)", 'postgres');
	return 'done';
}

# Each release, also one that nobody has made known, asked in a session that stays, or in a new one.
sub check_states
{
	my ($self, $database, $new_session) = @_;
	my $releases = $self->{releases};
	my $known = $releases->known;
	my @asked = (Releases::FIRST .. ($releases->highest || Releases::FIRST) + 3);
	my @right = map { my ($state) = $releases->states($_); "$_|$state|" . $releases->healthy($_, $state) } @asked;
	my $sql = "SELECT r, (h).state, (h).healthy FROM generate_series($asked[0], $asked[-1]) r, LATERAL tandem.health(r) h ORDER BY r;\n";

	push @right, map { my ($state) = $releases->states($_); "known $_|$state|" . join ',', @{ $known->{$_} } } sort { $a <=> $b } keys %$known;
	$sql .= q(SELECT 'known ' || release, state, coalesce(array_to_string(migrations, ','), '') FROM tandem.releases ORDER BY release;);
	my $out = $new_session || $self->{random}->chance(10) ? $self->{server}->ask($sql, $database) . "\n" : $self->observe($sql);
	my @seen = split /\n/, $out;
	foreach my $i (0 .. ($#right > $#seen ? $#right : $#seen))
	{
		my ($seen, $right) = ($seen[$i] // 'nothing', $right[$i] // 'nothing');
		$self->fail("releases say $seen, the model $right") if $seen ne $right;
	}
	return;
}

sub observe
{
	my ($self, $sql) = @_;

	$self->{observer} //= Session->new(node => $self->{server}{node}, database => $self->{server}{database});
	return ($self->{observer}->ask($sql))[1];
}

1;
