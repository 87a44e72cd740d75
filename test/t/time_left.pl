# What tandem.stat_progress says of the time left, from a tenth of a fill on, is that of the wall clock: rests and
# VACUUMs, which take most of it here, are in it, and pauses are not.  How near it is, the part time_left of the bench tells.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = new_server('main', conf => "autovacuum = off\ncheckpoint_timeout = 1h\n");
sub ask { return $node->safe_psql('postgres', $_[0]); }

# Looks until the step has ended: when, the part done, the seconds left, state and phase.
sub follow
{
	my ($name, $kind) = @_;
	my @seen;
	my $session = $node->background_psql('postgres');
	# between the end of a step and its last VACUUM it is done for a moment: it has ended when what follows has begun
	my $query = "SELECT round(1.0 * blocks_done / nullif(blocks_total, 0), 4), seconds_left, state, p.phase, m.phase = 'contract'
		OR p.kind = 'backfill' AND p.state = 'done' AND EXISTS (SELECT FROM tandem.stat_progress o WHERE o.migration_id = m.id AND o.kind <> p.kind AND o.state <> 'pending') FROM tandem.stat_progress p
		JOIN tandem.migration m ON m.id = p.migration_id WHERE m.name = '$name' AND p.kind = '$kind'";

	while (1)
	{
		my ($part, $left, $state, $phase, $over) = split /\|/, $session->query_safe($query), 5;
		push @seen, { at => time, part => $part || 0, left => $left, state => $state, phase => $phase || '' };
		last if $over eq 't' || $state eq 'failed' || @seen > 3000;
		usleep(50_000);
	}
	$session->quit;
	# what else was done for its table is no part of it
	pop @seen while @seen > 1 && $seen[-2]{phase} ne 'vacuuming' && $seen[-2]{part} == 1 && ($seen[-2]{state} eq 'done' || $seen[-2]{phase} !~ /^(filling|verifying)$/);
	note("$name: $kind");
	note(sprintf '%.1f s left, said %s at %.1f %% (%s)', $seen[-1]{at} - $_->{at}, $_->{left} eq '' ? 'nothing' : sprintf('%.1f', $_->{left}), 100 * $_->{part}, $_->{phase}) foreach @seen;
	return @seen;
}

# Most estimates from a part on are right by half, whatever else this machine has to do: what leaves out the rests, or the
# VACUUMs, tells a fraction.
sub is_near
{
	my ($what, $begin, @seen) = @_;
	my $end = $seen[-1]{at};
	my @from = grep { $_->{part} >= $begin && $_->{state} ne 'done' } @seen;
	my @known = grep { $_->{left} ne '' } @from;
	my @judged = grep { $end - $_->{at} > 1.5 } @known;
	my @wrong = grep { abs($_->{left} - ($end - $_->{at})) > 0.5 * ($end - $_->{at}) } @judged;

	cmp_ok(scalar(@known), '>', 2, "$what: the time left is known");
	cmp_ok(scalar(@known), '>=', 0.7 * @from, "$what: nearly always");
	cmp_ok(2 * @wrong, '<', scalar(@judged), "$what: and mostly right")
	  or diag(join "\n", map { sprintf '%.1f s left, said %.1f', $end - $_->{at}, $_->{left} } @wrong);
	is(scalar(grep { $_->{left} ne '' && $_->{left} < 0 } @seen), 0, "$what: never less than nothing");
	return;
}

# one process, whose pages are visited several times
sub test_rests
{
	my ($name, $workers) = @_;

	expand_table($node, $name, rows => 12000);
	ask("SELECT tandem.configure('$name', 'tandem.max_rows_per_second', '1500'); SELECT tandem.configure('$name', 'tandem.batch_target', '2ms')");
	my $job = start_psql($node, 'postgres', "CALL tandem.migrate('$name', workers => $workers)");
	my @seen = follow($name, 'backfill');
	my @verify = follow($name, 'verify');

	ok(finish($job), "$name: ended") or diag($job->{err});
	is_near("$name: backfill", 0.1, @seen);
	# it begins with a second's worth of rows for nothing; of two processes one ends before the other on so few pages
	is_near("$name: verify", 0.5, @verify) if $workers == 1;
	ok((grep { $_->{part} > 0 && $_->{part} < 0.5 } @seen), "$name: pages count before their last visit");
	is(scalar(grep { $seen[$_]{part} < $seen[$_ - 1]{part} - 0.02 } 1 .. $#seen), 0, "$name: and what is done does not become less");
	my ($told) = $job->{err} =~ /NOTICE:  backfill .*, (\S.*) left/;
	ok(!defined $told || $told eq '?' || $told =~ /^\d+ s$/, "$name: the first line tells seconds") or diag($told);
	return;
}

# VACUUM takes a good part of the time
sub test_vacuum
{
	ask(<<'SQL');
CREATE TABLE vacuumed (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 1500));
INSERT INTO vacuumed SELECT i, i FROM generate_series(1, 6000) i;
SQL
	ask(<<'SQL');
CREATE FUNCTION slowly(int) RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM pg_sleep(0.001); RETURN $1 * 100; END $$;
VACUUM vacuumed;
SQL
	expand_price($node, 'vacuumed', up => 'slowly(price)');
	ask(<<'SQL');
CREATE INDEX ON vacuumed (cents);
SELECT tandem.configure('vacuumed', 'tandem.batch_target', '20ms');
SELECT tandem.configure('vacuumed', 'tandem.vacuum_every', '10');
ALTER ROLE CURRENT_USER SET vacuum_cost_delay = '20ms';
ALTER ROLE CURRENT_USER SET vacuum_cost_limit = 500;
SQL
	my $job = start_psql($node, 'postgres', q(CALL tandem.migrate('vacuumed')));
	my @seen = follow('vacuumed', 'backfill');
	ok(finish($job), 'vacuumed: ended') or diag($job->{err});
	my @vacuums = grep { $seen[$_]{phase} eq 'vacuuming' && $seen[$_ - 1]{phase} ne 'vacuuming' } 1 .. $#seen;
	ask('ALTER ROLE CURRENT_USER RESET ALL');
	cmp_ok(scalar(@vacuums), '>', 2, 'vacuumed: the phase tells of each VACUUM');
	ok((grep { $_->{phase} eq 'vacuuming' && $_->{part} == 1 } @seen), 'vacuumed: of the last one, too');
	# the first one tells how long they take
	is_near('vacuumed: backfill', 0.1, grep { $_->{at} > $seen[ $vacuums[1] ]{at} } @seen) if @vacuums > 1;
	return;
}

# A pause is not counted, and nothing is known in it.
sub test_pause
{
	my $progress = "FROM tandem.stat_progress p JOIN tandem.migration m ON m.id = p.migration_id WHERE m.name = 'paused' AND kind = 'backfill'";

	expand_table($node, 'paused', rows => 6000);
	ask(q(SELECT tandem.configure('paused', 'tandem.max_rows_per_second', '1000'); SELECT tandem.configure('paused', 'tandem.batch_target', '2ms')));
	my $job = start_psql($node, 'postgres', q(CALL tandem.migrate('paused')));
	wait_for_running($node, "SELECT blocks_done * 4 >= blocks_total AND seconds_left IS NOT NULL $progress");
	pause_run($node, 'paused');
	is(ask("SELECT seconds_left, state $progress"), '|paused', 'paused: the time left is not known');
	my $seconds = ask("SELECT seconds $progress");
	usleep(3_000_000);
	is(ask("SELECT seconds $progress"), $seconds, 'paused: the time does not count');
	ask(q(SELECT tandem.resume('paused')));
	is_near('paused: backfill', 0.1, follow('paused', 'backfill'));
	ok(finish($job), 'paused: ended') or diag($job->{err});
	return;
}

test_rests('alone', 1);
test_rests('shared', 2);
test_vacuum();
test_pause();

$node->stop;
done_testing();
