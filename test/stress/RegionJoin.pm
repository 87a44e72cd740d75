# Regions of RegionScenario that leave and join: between migrations; in the middle of one, while the others go on; and one
# that is only made then, by a copy of the tables.
package RegionJoin;

use strict;
use warnings;

use RegionModel;
use Time::HiRes qw(sleep);

# One leaves by itself: all forget it, and nobody waits for it.
sub leave
{
	my ($self, $name) = @_;

	$self->try($name, "SELECT tandem.leave_region('$name')", qr/^$/);
	$self->catch_up;
	$self->check_known($_, grep { $_ ne $name } @{ $self->{names} }) foreach $self->others($name);
	return;
}

# It joins, as far as it is.
sub join_again
{
	my ($self, $name) = @_;

	$self->try($name, "SELECT tandem.join_region('$name', publication => 'own')", qr/^$/);
	$self->catch_up;
	$self->check_known($_, @{ $self->{names} }) foreach @{ $self->{names} };
	return;
}

sub check_known
{
	my ($self, $name, @right) = @_;
	my $is = $self->sql($name, q(SELECT string_agg(region, ' ' ORDER BY region) FROM tandem.regions));

	$self->fail("$name knows of regions $is, and not of @right") if $is ne join ' ', sort @right;
	return;
}

# Refused while a release is ready or current elsewhere that is not expanded here: what its columns say would be lost here.
sub check_join
{
	my ($self, $name) = @_;
	my ($highest) = sort { $b <=> $a } map { my $state = $self->state($_); $state->{state} =~ /^(ready|current|retired)$/ ? $self->release_now : $state->{current} } $self->others($name);
	my $behind = $highest >= $self->release_now && !RegionCalls::has_expanded($self->state($name));
	my $state = $self->try($name, "SELECT tandem.join_region('$name', publication => 'own')", qr/^55000$/);

	$self->fail("$name, where the migration is in phase " . $self->phase($name) . ", joins others that serve release $highest: $state")
	  if $behind != ($state ne '00000');
	return $behind;
}

# All the scripts of the migration at hand.
sub come_up
{
	my ($self, $name) = @_;
	my $migration = $self->migration;

	foreach (1 .. 20)
	{
		last if $self->phase($name) ne 'none' || $self->expand_at($name) eq 'done';
	}
	$self->try($name, "CALL tandem.migrate('$migration', background => true)", qr/^55006$/);
	foreach (1 .. 200)
	{
		return if RegionCalls::has_expanded($self->state($name));
		sleep 0.05;
	}
	return $self->fail("$name does not begin to migrate");
}

# All have heard that it has joined.  What was filled somewhere before that, here or elsewhere, is ready there, without those
# that have not expanded; the view says so.
sub be_heard
{
	my ($self, $name) = @_;

	return if $self->{wrong};
	foreach (1, 2)
	{
		$self->sql($_, 'SELECT tandem.region_beat()') foreach @{ $self->{names} };
		$self->catch_up;
	}
	$self->check_known($_, @{ $self->{names} }) foreach @{ $self->{names} };
	my @ready = grep { $self->state($_)->{state} =~ /^(ready|current)$/ } @{ $self->{names} } or return;
	foreach my $late (grep { !RegionCalls::has_expanded($self->state($_)) } @{ $self->{names} })
	{
		foreach my $other (@ready)
		{
			my $problem = $self->sql($other, "SELECT problem FROM tandem.regions WHERE region = '$late'");
			$self->fail("$other, of $late which has not expanded: $problem") if $problem !~ /is ready here: what only its columns say is lost there|this region has switched to/;
		}
		$self->count('not expanded, and ready elsewhere', 'told');
		$self->come_up($late);
	}
	return;
}

# Between two migrations.
sub leave_and_join
{
	my ($self) = @_;
	my $name = $self->draw_region;

	return if !$self->{random}->chance(70);
	$self->leave($name);
	$self->join_again($name);
	$self->count('left and joined again', 'done');
	return;
}

# While nobody writes: meanwhile others may switch, and need not wait for it.
sub leave_in_the_middle
{
	my ($self) = @_;
	my $name = $self->draw_region(sub { !RegionCalls::has_expanded($_[0]) });
	my $before = $self->phase($name);

	return 'none' if $self->{aborting} || $before eq 'aborted';
	$self->quiet;
	$self->leave($name) if !$self->{wrong};
	return 'wrong' if $self->{wrong};
	$self->{left}{$name} = 1;
	my $other = $self->{random}->pick($self->others($name));
	$self->fill($_) foreach $self->{random}->chance(50) ? $self->others($name) : ();
	my $switched = RegionCalls::is_open($self->state($other)) && $self->{random}->chance(60) ? $self->call($other, $self->call_of('switch')) : 'not called';
	$self->sql($_, 'SELECT tandem.region_beat()') foreach $self->others($name);
	$self->catch_up;
	my $refused = $self->check_join($name);
	if ($refused && !$self->{wrong})
	{
		$self->come_up($name);
		$self->fail("$name is refused still") if $self->check_join($name);
	}
	delete $self->{left}{$name};
	$self->be_heard($name);
	$self->go_on;
	return "in phase $before, switch of another " . ($switched =~ /^(done|not called)/ ? $1 : 'refused') . ($refused ? ', refused at first' : '');
}

#
# One that was not there.
#

# A copy does not tell a NULL that was written from a row that is not filled.
sub may_copy
{
	my ($self) = @_;
	my $of = $self->{model}{mappings}[ $self->{k} - 1 ];
	my $contracted = grep { $self->phase($_) eq 'done' } @{ $self->{names} };

	return !grep { $_->{derived} && !$_->{never_null} || !$_->{derived} && !$_->{down} && $contracted } values %$of;
}

sub join_late
{
	my ($self) = @_;
	my $name = $self->{late};

	return 'none' if !$name || $self->{aborting} || !$self->may_copy;
	my @others = @{ $self->{names} };
	my $phases = join ' ', sort map { $self->phase($_) } @others;
	$self->tell("$name comes, the others are in phases $phases");
	# by row filters each sends its rows, and writers go on; else one sends those of all, in which what is under way is missing
	if ($self->{filters}) { $self->mend($_) foreach sort keys %{ $self->{cut} } }
	else { $self->quiet }
	$self->make_database($name, $self->{base}, $self->{k});
	$self->subscribe($name, $_, 'tandem_region') foreach @others;
	$self->wait_for_copies($name, @others);
	# who has contracted sends and takes no more than the new columns
	my $expands = $self->{random}->chance(50) || grep { $self->phase($_) eq 'done' } @others;
	$self->come_up($name) if $expands;
	# others that are filled meanwhile would be ready without it
	$self->order_pause('pause') if $self->{filters} && !$expands;
	my $refused = $self->check_join($name);
	if ($refused)
	{
		$self->come_up($name);
		$self->fail("$name is refused still") if $self->check_join($name);
	}
	$self->take_tables($name, @others) if !$self->{wrong};
	return 'wrong' if $self->{wrong};
	$self->{names} = [ @others, $name ];
	delete $self->{late};
	$self->be_heard($name);
	$self->start_writers($name);
	$self->go_on;
	return "others in phases $phases" . ($refused ? ', refused at first' : $expands ? ', expanded' : '');
}

# It takes the tables, and then the others take what it says and writes.
sub take_tables
{
	my ($self, $name, @others) = @_;
	my $publication = RegionCalls::has_expanded($self->state($name)) ? 'own' : "release_$self->{base}";

	foreach my $from (@others)
	{
		$self->add_publication($name, $from, $publication, $self->{filters} || $from eq $others[0]);
		$self->wait_for_copies($name, $from);
	}
	$self->subscribe($_, $name, 'tandem_region') foreach @others;
	foreach my $to (@others)
	{
		my $taken = $self->sql($to, "SELECT min(p) FROM pg_subscription, unnest(subpublications) p WHERE subname = '" . $self->line($to, (grep { $_ ne $to } @others)[0]) . "' AND p <> 'tandem_region'");
		$self->wait_for_copies($to, $name);
		$self->add_publication($to, $name, $taken, 0);
	}
	return;
}

sub add_publication
{
	my ($self, $to, $from, $publication, $copies) = @_;

	$self->tell("$to: $publication from $from");
	$self->sql($to, 'ALTER SUBSCRIPTION ' . $self->line($to, $from) . " ADD PUBLICATION $publication WITH (copy_data = " . ($copies ? 'true' : 'false') . ')');
	return;
}

1;
