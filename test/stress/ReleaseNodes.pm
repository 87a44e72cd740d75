# The sessions of the scenario of releases: nodes that come, say what they are, read, write and go; what each statement
# must end with, and what it tells of the session.
package ReleaseNodes;

use strict;
use warnings;

use Releases;
use Session;

# sessions at once, each of which has a row of its own in each table
use constant SLOTS => 4;

sub arrive
{
	my ($self, $slot) = @_;
	my $random = $self->{random};
	my $release = $self->draw_release;
	my $how = $random->pick('none', 'options', 'set', $release <= Releases::LAST ? 'role' : 'set', 'stranger');
	my %session = (slot => $slot, said => 0, held => 0, default => 0, user => 'stress_writer', marks => {});
	my $options = '';

	$session{default} = $release if $how =~ /options|role/;
	$options = "-ctandem.release=$release" if $how eq 'options';
	$session{user} = Releases::role($release) if $how eq 'role';
	$session{user} = 'stress_stranger' if $how eq 'stranger';
	$session{said} = $session{default};
	$session{psql} = Session->new(node => $self->{server}{node}, database => $self->{server}{database}, user => $session{user}, options => $options);
	# with shared libraries it is declared by its first statement, with those of sessions from its start
	$session{held} = $session{said} if $self->{library} eq 'session';
	my (undef, $pid) = $session{psql}->ask('SELECT pg_backend_pid();');
	$session{held} = $session{said};
	($session{pid}) = $pid =~ /^(\d+)$/m;
	$self->{sessions}{$slot} = \%session;
	$self->tell("session $slot arrives, $session{user}, declaring $session{said}");
	$self->say_release(\%session, $release) if $how =~ /set|stranger/;
	return "arrives: $how";
}

sub leave
{
	my ($self, $session) = @_;

	delete $self->{sessions}{ $session->{slot} };
	$session->{psql}->close;
	$self->{server}->wait_until("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $session->{pid})") if $session->{pid};
	$self->tell("session $session->{slot} leaves");
	return 'leaves';
}

# A session that has declared nothing yet does so by its next statement; one that declares nothing any more, too.
sub say_release
{
	my ($self, $session, $release) = @_;

	$session->{psql}->ask("SET tandem.release = $release;");
	$session->{said} = $release;
	$session->{held} = $release if $session->{held} && $release;
	$self->tell("session $session->{slot} says $release");
	return 'SET';
}

# How a statement must end, and what that tells of the session.
sub verdict
{
	my ($self, $session, $use) = @_;
	my $view = $session->{block} ? $session->{block}{view} : $self->{releases}->view;

	$session->{held} = $session->{said};
	my $right = Releases::of_statement($view, $session->{said}, $use);
	return $right ne '00000' || $use eq 'none' || $session->{user} ne 'stress_stranger' ? $right : '42501';
}

sub statement
{
	my ($self, $session, $sql, $right) = @_;
	my ($state, $out) = $session->{psql}->ask($sql);

	$self->judge("session $session->{slot}" . ($session->{block} ? ' in a block' : '') . ", of $session->{said}: $sql", $state, $out, $right);
	if ($state ne '00000' && $session->{block})
	{
		$session->{psql}->ask('ROLLBACK;');
		delete $session->{block};
	}
	return $state;
}

sub begin_block
{
	my ($self, $session) = @_;
	my $view = $self->{releases}->view;
	my $retired = $session->{said} && ($view->{states}{ $session->{said} } // '') eq 'retired';

	$session->{held} = $session->{said} if $session->{said};
	return 'BEGIN refused' if $self->statement($session, 'BEGIN;', $retired ? '55T01' : '00000') ne '00000';
	# of one that declares nothing the first statement that writes may be any
	$session->{block} = { view => $view, tables => {}, uses => {} };
	return 'BEGIN';
}

sub end_block
{
	my ($self, $session) = @_;
	my $how = $self->{random}->chance(60) ? 'COMMIT' : 'ROLLBACK';
	my $block = delete $session->{block};

	$self->statement($session, "$how;", '00000');
	if ($how eq 'COMMIT')
	{
		$self->{releases}->written($_) foreach keys %{ $block->{uses} };
	}
	return $how;
}

sub read_rows
{
	my ($self, $session) = @_;
	my @tables = sort keys %{ $self->{tables} } or return 'none';
	my $table = $self->{random}->pick(@tables);
	my $state = $self->statement($session, "SELECT count(*) FROM $table;", $self->verdict($session, 'read'));

	$session->{block}{tables}{$table} = 1 if $session->{block};
	return "read $state";
}

# Its own row; kind: plain, in a savepoint that is taken back or kept, or by itself: in a statement that fails
# after the write, or in a serializable transaction.
sub write_row
{
	my ($self, $session) = @_;
	my $random = $self->{random};
	my @tables = sort keys %{ $self->{tables} } or return 'none';
	my @synced = grep { $self->is_synced($_) } @tables;
	my $table = $random->pick(@synced && $random->chance(80) ? @synced : @tables);
	my $update = "UPDATE $table SET n = n + 1 WHERE id = $session->{slot}";
	my $kind = $session->{block} ? $random->pick('plain', 'plain', 'taken back', 'kept') : $random->pick('plain', 'plain', 'fails', 'serializable');
	my $held = $session->{held};
	my $right = $self->verdict($session, 'write');
	my %sql = (plain => "$update;", kept => "SAVEPOINT s; $update; RELEASE s;", 'taken back' => "SAVEPOINT s; $update; ROLLBACK TO s;",
		fails => "$update RETURNING 1 / (n - n);", serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE; $update; COMMIT;");

	if ($kind ne 'plain' && $right ne '00000')
	{
		# no statement, so the session declares nothing by it
		$session->{held} = $held;
		return 'none';
	}
	my $state = $self->statement($session, $sql{$kind}, $kind eq 'fails' ? '22012' : $right);
	$session->{block}{tables}{$table} = 1 if $session->{block};
	return "write $state" if $right ne '00000' || !$self->is_synced($table);
	$self->note_write($session, $table, $kind) if !$self->{wrong};
	return "write $kind";
}

# The mark of an older writer outlives an abort; that a release was written as does not.
sub note_write
{
	my ($self, $session, $table, $kind) = @_;
	my $said = $session->{said};

	foreach my $name ($self->open_names)
	{
		next if !grep { $_ eq $table } $self->tables_of($name);
		$session->{marks}{$name} = 1 if $self->{migrations}{$name}{release} > $said;
	}
	return if !$said || $kind =~ /taken back|fails/ || !$self->{releases}->may_be($said, 'ready', 'current');
	$session->{block} ? ($session->{block}{uses}{$said} = 1) : $self->{releases}->written($said);
	return;
}

# DDL, and what touches no rows, is for the script of a release that nobody knows yet.
sub touch_nothing
{
	my ($self, $session) = @_;
	my $sql = $self->{random}->pick('SELECT 1;', 'CREATE TEMPORARY TABLE scratch (id int); DROP TABLE scratch;');

	return 'no rows ' . $self->statement($session, $sql, $self->verdict($session, 'none'));
}

# A node asks for itself, whatever its release may do.
sub ask_health
{
	my ($self, $session) = @_;
	my $release = $session->{said} || Releases::FIRST;
	my ($right) = $self->{releases}->states($release);
	my ($state, $out) = $session->{psql}->ask("SELECT (h).state FROM tandem.health($release) h;");

	$out =~ s/\s+//g;
	$self->tell("session $session->{slot} asks for $release: $out");
	$self->fail("session $session->{slot} is told that $release is $out, and not $right") if $out ne $right;
	return $right;
}

# A pool gives the connection to another client.
sub discard
{
	my ($self, $session) = @_;

	$session->{psql}->ask('DISCARD ALL;');
	$session->{said} = $session->{default};
	$session->{held} = $session->{held} ? $session->{said} : 0;
	$self->tell("session $session->{slot}: DISCARD ALL");
	return 'DISCARD ALL';
}

sub give_locks_back
{
	my ($self, $session) = @_;

	return 'locks given back ' . $self->statement($session, 'SELECT pg_advisory_unlock_all();', $self->verdict($session, 'none'));
}

sub session
{
	my ($self) = @_;
	my $random = $self->{random};
	my $slot = $random->between(1, SLOTS);
	my $session = $self->{sessions}{$slot} or return $self->arrive($slot);

	return $random->pick(\&read_rows, \&write_row, \&write_row, \&write_row, \&touch_nothing, \&ask_health, \&end_block, \&end_block)->($self, $session)
	  if $session->{block};
	return $self->say_release($session, $random->chance(15) ? 0 : $self->draw_release) if $random->chance(12);
	return $random->pick(\&read_rows, (\&write_row) x 4, \&touch_nothing, \&ask_health, (\&begin_block) x 3, \&discard, \&give_locks_back, \&leave)->($self, $session);
}

1;
