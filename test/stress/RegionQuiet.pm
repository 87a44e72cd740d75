# Quiet in RegionScenario: everything has arrived everywhere, and all regions have the rows that the regions themselves
# have written.
package RegionQuiet;

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use RegionModel;
use Time::HiRes qw(sleep time);

# what an apply worker may say when its server or the other one goes, or when the scenario ends a process
my $GONE = qr/could not (connect|receive|send)|connection to server|terminating|server closed|shutting down|no COPY in progress|is (already )?active for PID|not yet accepting/;

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
		my $arrived = "SELECT count(*) FILTER (WHERE confirmed_flush_lsn >= '$lsn') = " . $self->others($from) . " FROM pg_replication_slots WHERE slot_name IN ($slots)";
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

	foreach my $table (@{ $self->{model}{tables} })
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

1;
